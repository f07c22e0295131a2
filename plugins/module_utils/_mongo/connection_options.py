# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of a connection string as the application's Node driver understands them, in the words of our own driver. Pure.

Each option that any release of the Node driver from 4 to 7 takes, or Mongoose, or our own driver, stands in one of the
tables: kept, under the name that our driver has for it; dropped, because it tunes the application and not the way to the
server; or refused, because without it another server would be reached, or none. What stands in none of them is a
misspelling, and would have no effect for the application either.
"""

from __future__ import annotations

import difflib
import re
from typing import Dict, List, Tuple
from urllib.parse import unquote_plus

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass

# Names in small letters, as they are compared, and what our driver calls the option.
_KEPT: Dict[str, str] = {
    "authmechanism": "authMechanism",
    "authmechanismproperties": "authMechanismProperties",
    "authsource": "authSource",
    "directconnection": "directConnection",
    "j": "journal",
    "journal": "journal",
    "loadbalanced": "loadBalanced",
    "replicaset": "replicaSet",
    "retryreads": "retryReads",
    "retrywrites": "retryWrites",
    "srvmaxhosts": "srvMaxHosts",
    "srvservicename": "srvServiceName",
    "ssl": "tls",
    "sslca": "tlsCAFile",
    "sslcrl": "tlsCRLFile",
    "sslpass": "tlsCertificateKeyFilePassword",
    "tls": "tls",
    "tlsallowinvalidcertificates": "tlsAllowInvalidCertificates",
    "tlsallowinvalidhostnames": "tlsAllowInvalidHostnames",
    "tlscafile": "tlsCAFile",
    "tlscertificatekeyfile": "tlsCertificateKeyFile",
    "tlscertificatekeyfilepassword": "tlsCertificateKeyFilePassword",
    "tlscrlfile": "tlsCRLFile",
    "tlsdisableocspendpointcheck": "tlsDisableOCSPEndpointCheck",
    "tlsinsecure": "tlsInsecure",
    "w": "w",
    "wtimeout": "wTimeoutMS",
    "wtimeoutms": "wTimeoutMS",
}
# The opposite of an option that our driver has.
_NEGATED = {"rejectunauthorized": "tlsAllowInvalidCertificates", "sslvalidate": "tlsAllowInvalidCertificates"}
_BOOLEANS = frozenset(
    "directConnection journal loadBalanced retryReads retryWrites tls tlsAllowInvalidCertificates "
    "tlsAllowInvalidHostnames tlsDisableOCSPEndpointCheck tlsInsecure".split()
)
# As the Node driver reads them; our own knows "true" and "false" alone.
_TRUE, _FALSE = frozenset(("true", "t", "1", "y", "yes")), frozenset(("false", "f", "0", "n", "no", "-1"))
# Which of several servers is read from we decide, not the application; pools, timeouts and the monitoring of servers are
# tuned for the application's load; what becomes of documents once they have been read is each driver's own.
_DROPPED = frozenset(
    # reading
    "readpreference readpreferencetags maxstalenessseconds readconcern readconcernlevel localthresholdms "
    # pools, timeouts, monitoring
    "appname maxpoolsize minpoolsize poolsize minsize maxconnecting maxidletimems waitqueuetimeoutms waitqueuemultiple "
    "connecttimeoutms sockettimeoutms serverselectiontimeoutms serverselectiontryonce timeoutms heartbeatfrequencyms "
    "minheartbeatfrequencyms servermonitoringmode maxadaptiveretries enableoverloadretargeting __skippingonconnect "
    "reconnecttries reconnectinterval connect connectiontype srvpoller srvallowedhostssuffix srvhostvalidator "
    "runtimeadapters "
    # compression costs time, and a package that the host may not have
    "compressors zlibcompressionlevel "
    # the socket
    "family autoselectfamily autoselectfamilyattempttimeout keepalive keepaliveinitialdelay nodelay localaddress localport "
    "lookup hints index "
    # finer points of TLS as Node has it
    "alpnprotocols snicallback session requestocsp requestcert enabletrace checkserveridentity allowpartialtrustchain "
    "mindhsize securecontext pskcallback "
    # documents
    "bsonregexp checkkeys enableutf8validation fieldsasraw forceserverobjectid ignoreundefined mininternalbuffersize "
    "pkfactory promotebuffers promotelongs promotevalues raw serializefunctions usebigint64 datetime_conversion tz_aware "
    "unicode_decode_error_handler uuidrepresentation "
    # what the driver tells about itself, and what it is given by other means
    "auth autoencryption driver driverinfo logger loggerlevel monitorcommands mongodblogpath mongodblogcomponentseverities "
    "mongodblogmaxdocumentlength name promiselibrary serverapi server_api "
    # writing: journal takes the place of fsync, and writeConcern is an object, which a string cannot hold
    "fsync writeconcern "
    # Mongoose, and the Node driver before release 4
    "autocreate autoindex buffercommands buffermaxentries usecreateindex usefindandmodify usenewurlparser "
    "useunifiedtopology".split()
)
_PROXY = frozenset(("proxyhost", "proxyport", "proxyusername", "proxypassword"))
_BEYOND = {
    **dict.fromkeys(_PROXY, "give the option address, with a server that this host reaches without the proxy"),
    **dict.fromkeys(
        ("cert", "key", "passphrase", "pfx", "sslcert", "sslkey", "tlscertificatefile"),
        "put certificate and key into one file, and name it in tlsCertificateKeyFile",
    ),
    **dict.fromkeys(("ca", "crl"), "name a file instead, in tlsCAFile or tlsCRLFile"),
    **dict.fromkeys(
        ("ciphers", "ecdhcurve", "secureprotocol"),
        "take it out of the connection string, or give another one in the option uri",
    ),
}
# Together with `address` these say nothing: the one server is named.
_WITHOUT_MEANING = frozenset(("directconnection", "loadbalanced", "srvmaxhosts", "srvservicename")) | _PROXY
# They name files on the application's side, which need not be this host's.
FILES = ("tlsCAFile", "tlsCertificateKeyFile", "tlsCRLFile")
_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_.]{0,39}\Z")
_KNOWN = frozenset(_KEPT) | frozenset(_NEGATED) | frozenset(_BEYOND) | _DROPPED | {"dbname", "servername"}


@dataclass(frozen=True)
class ConnectionOptions:
    """What a connection string's options come to.

    Attributes:
        values: by the names of our driver; decoded.
        database: named by the option dbName.
        server_name: that the server's certificate must bear, by the option servername.
    """

    values: Tuple[Tuple[str, str], ...]
    database: str = ""
    server_name: str = ""

    @property
    def tls(self) -> bool:
        return dict(self.values).get("tls") == "true"


def translate_options(query: str, source: str, srv: bool = False, replaced: bool = False) -> ConnectionOptions:
    """The options of a connection string for our driver.

    Args:
        query: what stands behind the question mark.
        source: where the string came from, for messages.
        srv: it is a mongodb+srv string, which speaks TLS unless told otherwise.
        replaced: one server is named in place of the string's hosts.

    Raises:
        MaintenanceError: an option is misspelt, has no value or a wrong one, or means something that cannot be had here.
    """
    values: Dict[str, str] = {}
    database = server_name = ""
    for part in re.split(r"[&;]", query):
        if not part:
            continue
        name, _equals, encoded = part.partition("=")
        key, value = name.lower(), unquote_plus(encoded)
        if key not in _KNOWN:
            raise _unknown(name, query, source)
        if key in _DROPPED or (replaced and key in _WITHOUT_MEANING):
            continue
        if not value:
            raise _invalid("its option %s has no value" % name, source, "Give it one, or remove it.")
        if key == "dbname":
            database = value
        elif key == "servername":
            server_name = value
        elif key in _BEYOND:
            raise _invalid(
                "its option %s cannot be honoured here" % name, source, _BEYOND[key][0].upper() + _BEYOND[key][1:] + "."
            )
        elif key in _NEGATED:
            values[_NEGATED[key]] = "false" if _truth(name, value, source) == "true" else "true"
        else:
            ours = _KEPT[key]
            values[ours] = _truth(name, value, source) if ours in _BOOLEANS else value
    # Nobody would tell us whether a write of ours has reached the server.
    if values.get("w") == "0":
        del values["w"]
    if srv:
        values.setdefault("tls", "true")
    if values.get("tls") != "true":
        # To the Node driver they then mean nothing; ours would refuse them, or speak TLS because of them.
        values = {name: value for name, value in values.items() if name == "tls" or not name.startswith("tls")}
    return ConnectionOptions(tuple(values.items()), database, server_name)


def _truth(name: str, value: str, source: str) -> str:
    if value.lower() in _TRUE:
        return "true"
    if value.lower() in _FALSE:
        return "false"
    raise _invalid("the value of its option %s is wrong" % name, source, "It is true or false.")


def _unknown(name: str, query: str, source: str) -> MaintenanceError:
    # In a string that is not escaped, what looks like a name may be a piece of the password.
    if not _NAME.match(name) or "@" in query:
        return _invalid("one of its options has no name", source, "Options are NAME=VALUE, with & between them.")
    near: List[str] = difflib.get_close_matches(name.lower(), sorted(_KEPT) + sorted(_DROPPED), 1)
    step = "Correct its spelling or remove it: it would have no effect."
    if near:
        step = "Is %s meant? %s" % (_KEPT.get(near[0], near[0]), step)
    return _invalid("unknown option %s" % name, source, step)


def _invalid(why: str, source: str, next_step: str) -> MaintenanceError:
    return MaintenanceError("the MongoDB connection string is not valid: " + why, target=source, next_step=next_step)
