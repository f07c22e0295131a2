# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A connection string taken apart: where the server is, and who we are there.

Nothing here puts a password, or a piece of one, into a message. Texts of the driver about a connection string are
therefore never passed on: it quotes the piece that it stumbled over, which in an unescaped string is the password.
"""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import field
from typing import Any, Dict, List, Mapping, Tuple
from urllib.parse import quote, unquote, urlencode

from .._core import dotenv
from .._core.errors import MaintenanceError, MissingLibrary
from .._core.late_dataclass import dataclass
from .._core.redaction import SECRETS
from .connection_options import FILES, ConnectionOptions, translate_options

try:
    import pymongo
    from pymongo import errors as driver
    from pymongo.uri_parser import parse_uri

    IMPORT_ERROR = ""
    # Since 4.3 the driver reads dates that Python's datetime cannot hold: a backup must not stumble over one.
    if pymongo.version_tuple < (4, 3):
        IMPORT_ERROR = "its version %s is too old, 4.3 or newer is needed" % pymongo.version
except ImportError as error:  # pragma: no cover - tested in a process without pymongo
    IMPORT_ERROR = str(error)

DEFAULT_PORT = 27017
# The application reads these two, the first one wins.
URI_KEYS = ("MONGODB_URI", "MONGO_URI")

# Our driver takes authMechanismProperties apart before it decodes them.
_SEPARATORS = ",:"
_ESCAPE = (
    "Write special characters of user name and password in percent-encoding, for example %40 for @, %3A for :, %2F for / "
    "and %25 for %; python3 -c \"import getpass, urllib.parse as u; print(u.quote(getpass.getpass(), safe=''))\" encodes one."
)
_SHAPE = "It must look like mongodb://USER:PASSWORD@HOST:PORT/DATABASE?authSource=admin."


@dataclass(frozen=True)
class Address:
    """A connection string taken apart.

    Attributes:
        hosts: host and port of each seed.
        options: the string's options as the driver understood them.
        direct: connect to exactly the one host, whatever replica set it may belong to.
        source: where the string came from, for messages.
        uri: what the driver is given; holds the password.
        server_name: the name in `uri` of the one host, where the certificate bears another than we connect to; else "".
        anonymous_uri: the same without user and password.
    """

    hosts: Tuple[Tuple[str, int], ...]
    username: str
    password: str = field(repr=False)
    database: str = ""
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    direct: bool = False
    source: str = ""
    uri: str = field(default="", repr=False)
    server_name: str = ""
    anonymous_uri: str = field(default="", repr=False)

    @property
    def srv(self) -> bool:
        """Which servers there are is looked up in DNS."""
        return self.uri.startswith("mongodb+srv:")

    @property
    def encrypted(self) -> bool:
        """Connections are by TLS."""
        return self.srv or bool(self.options.get("tls") or self.options.get("ssl"))

    @property
    def where(self) -> str:
        """The hosts, for messages."""
        return ",".join(_host_text(host, port) for host, port in self.hosts)


def _host_text(host: str, port: int) -> str:
    return ("[%s]:%d" if ":" in host else "%s:%d") % (host, port)


def parse_host(text: str) -> Tuple[str, int]:
    """Host and port of ``host``, ``host:port`` or ``[v6]:port``.

    Raises:
        MaintenanceError: it is none of these.
    """
    match = re.match(r"^(?:\[([0-9A-Fa-f:.%]+)\]|([^\s:/@\[\]]+))(?::([0-9]{1,5}))?$", text.strip())
    port = int(match.group(3) or DEFAULT_PORT) if match else 0
    if not match or not 0 < port < 65536:
        raise MaintenanceError(
            "not an address of a MongoDB server",
            target="address" if "@" in text else repr(text),
            next_step="Write HOST:PORT, for example 127.0.0.1:27017.",
        )
    return match.group(1) or match.group(2), port


def read_uri(params: Mapping[str, Any]) -> Tuple[str, str]:
    """The connection string and where it came from.

    Raises:
        MaintenanceError: there is none.
    """
    uri, env_file = params.get("uri"), params.get("env_file")
    if uri:
        return str(uri).strip(), "the option uri"
    if not env_file:
        raise MaintenanceError(
            "no connection string", next_step="Give uri, or env_file with the shop's environment file."
        )
    # Read where the application has it, by a storey above this one; else from the file.
    given = params.get("environment")
    values = dict(given) if given else dotenv.load(str(env_file))
    # Every connection string of the file is a secret, also the one that is not used.
    for key in URI_KEYS:
        register_password(values.get(key, ""))
    for key in URI_KEYS:
        # An empty value counts as none, as in the application (process.env.A || process.env.B).
        if values.get(key, "").strip():
            return values[key].strip(), "%s in %s" % (key, params.get("environment_place") or env_file)
    raise MaintenanceError(
        "the environment file sets neither %s nor %s" % URI_KEYS,
        target=str(env_file),
        next_step="Name the shop's own environment file, or give the option uri.",
    )


def register_password(uri: str) -> None:
    """Make the password of a connection string, well-formed or not, known to the redaction."""
    SECRETS.register_uri(uri)
    rest = uri.split("://", 1)[-1]
    if "@" not in rest:
        return
    # Both readings of a string with an @ too many: the whole up to the last one, and up to the first slash.
    for userinfo in (rest.rpartition("@")[0], re.split(r"[/?]", rest)[0].rpartition("@")[0]):
        password = userinfo.partition(":")[2]
        # Escapes may be written in small letters, too.
        encoded = quote(unquote(password), safe="")
        for form in (password, re.sub("%[0-9A-F]{2}", lambda escape: escape.group().lower(), encoded)):
            SECRETS.register(form)


def resolve(params: Mapping[str, Any], by_its_own_name: bool = False) -> Address:
    """Where the server is and who we are there, from `uri` or `env_file`, with the hosts of `address` if given.

    Args:
        params: a module's options.
        by_its_own_name: the certificate bears the name in `address`, and not the one in the connection string.

    Raises:
        MaintenanceError: there is no usable connection string.
        MissingLibrary: pymongo is missing.
    """
    if IMPORT_ERROR:
        raise MissingLibrary("pymongo", IMPORT_ERROR)
    uri, source = read_uri(params)
    register_password(uri)
    scheme, userinfo, hosts, path, query = _take_apart(uri, source)
    address = params.get("address")
    srv = scheme == "mongodb+srv"
    options = translate_options(query, source, srv, bool(address))
    path = path or _database(options.database, source)
    values = own_files(options, params, source)
    server_name = ""
    if address:
        scheme = "mongodb"
        wanted = parse_host(str(address))
        if by_its_own_name:
            hosts = _host_text(*wanted)
        hosts, server_name = _named(wanted, hosts, options)
    elif options.server_name and options.tls and "," not in hosts and not srv:
        wanted = parse_host(hosts)
        hosts, server_name = _named(wanted, hosts, options)
    tail = "%s/%s%s" % (hosts, path, "?" + urlencode(values, safe=_SEPARATORS) if values else "")
    plain = "%s://%s%s" % (scheme, userinfo + "@" if userinfo else "", tail)
    parsed = _parse(plain, source)
    for secret in (
        parsed.get("password"),
        dict(parsed["options"]).get("tlsCertificateKeyFilePassword"),
        unquote(userinfo.partition(":")[2]),
    ):
        SECRETS.register(secret)
    seeds = tuple((str(host), int(port or DEFAULT_PORT)) for host, port in parsed["nodelist"])
    direct = bool(address) or (
        len(seeds) == 1
        and scheme == "mongodb"
        and not {"replicaSet", "loadBalanced", "directConnection"}.intersection(dict(options.values))
    )
    login = ("authSource", "authMechanism", "authMechanismProperties")
    anonymous = urlencode([pair for pair in values if pair[0] not in login], safe=_SEPARATORS)
    return Address(
        (wanted,) if server_name else seeds,
        parsed.get("username") or "",
        parsed.get("password") or "",
        parsed.get("database") or "",
        dict(parsed["options"]),
        direct,
        source,
        plain,
        server_name,
        "%s://%s/%s" % (scheme, hosts, "?" + anonymous if anonymous else ""),
    )


def _named(wanted: Tuple[str, int], hosts: str, options: ConnectionOptions) -> Tuple[str, str]:
    """What stands for the one host in the connection string, and the name that is to be looked up there, if it is another.

    Without TLS nobody looks at the name. With TLS the certificate was made for the name that the application uses.
    """
    host, port = wanted
    name = options.server_name or _likely_name(wanted, hosts)
    if not options.tls or name == host:
        return _host_text(host, port), ""
    return _host_text(name, port), name


def _likely_name(wanted: Tuple[str, int], hosts: str) -> str:
    """Of several hosts in the string the one that is meant by an address: by its name, else by its port, else the first."""
    seeds = [parse_host(text) for text in hosts.split(",") if "%" not in text]
    if not seeds:
        return wanted[0]
    names = [name for name, _port in seeds]
    if wanted[0] in names:
        return wanted[0]
    return next((name for name, port in seeds if port == wanted[1]), names[0])


def _database(name: str, source: str) -> str:
    """The database of the option dbName, which counts where the path names none."""
    if re.search(r"[%\"$*<>:|\\./?#@\s]", name):
        raise _bad_uri("the database name holds a character that is not allowed", source, _SHAPE)
    return name


def named_paths(uri: str) -> List[str]:
    """The files that a connection string names, as it has them. Of one that is not well-formed none: `resolve` says so. Pure."""
    try:
        scheme, _userinfo, _hosts, _path, query = _take_apart(uri.strip(), "")
        options = translate_options(query, "", scheme == "mongodb+srv")
    except MaintenanceError:
        return []
    return [value for name, value in options.values if name in FILES]


def own_files(options: ConnectionOptions, params: Mapping[str, Any], source: str) -> List[Tuple[str, str]]:
    """The options, with the files that they name as this host has them.

    Raises:
        MaintenanceError: there is no such file here.
    """
    places: Mapping[str, str] = params.get("tls_files") or {}
    place = str(params.get("environment_place") or "")
    values = []
    for name, value in options.values:
        if name in FILES:
            path = str(places.get(value, value))
            if not os.path.isfile(path):
                why = "Is it a path inside a container? Then say"
                if place.startswith("container "):
                    why = "No mount of the %s holds it on this host: say" % place
                    if path != value:
                        why = "It is where the mounts of the %s, or tls_files, have it: say" % place
                raise MaintenanceError(
                    "this host has no such file, which the option %s of the connection string names" % name,
                    target=path,
                    next_step="%s in the option tls_files where it lies on the host (%s: PATH);"
                    " the connection string is that of %s." % (why, value, source),
                )
            value = path
        values.append((name, value))
    return values


def _bad_uri(why: str, source: str, next_step: str) -> MaintenanceError:
    return MaintenanceError("the MongoDB connection string is not valid: " + why, target=source, next_step=next_step)


def _take_apart(uri: str, source: str) -> Tuple[str, str, str, str, str]:
    """Scheme, user part, hosts, database and query of a connection string, all still encoded."""
    match = re.match(r"(?s)^(mongodb(?:\+srv)?)://(.*)$", uri)
    if not match:
        raise _bad_uri("it begins with neither mongodb:// nor mongodb+srv://", source, _SHAPE)
    rest = match.group(2)
    cut = re.search(r"[/?]", rest)
    authority, tail = (rest[: cut.start()], rest[cut.start() :]) if cut else (rest, "")
    userinfo, _at, hosts = authority.rpartition("@")
    path, _mark, query = tail.lstrip("/").partition("?")
    # An @ behind the first slash, with none before it, belongs to a password that holds the slash.
    if "@" in path or ("@" in tail and not userinfo) or re.search(r"[\s]", rest):
        raise _bad_uri("user name or password hold a character that must be escaped", source, _ESCAPE)
    if "." in path or re.search(r"[%\"$*<>:|\\]", path):
        raise _bad_uri("the database name holds a character that is not allowed", source, _SHAPE)
    if "@" in userinfo or userinfo.count(":") > 1 or re.search(r"%(?![0-9A-Fa-f]{2})", userinfo) or "#" in rest:
        raise _bad_uri("user name or password hold a character that must be escaped", source, _ESCAPE)
    if not hosts:
        raise _bad_uri("it names no host", source, _SHAPE)
    # The application's driver takes a plus sign as it stands, as the specification has it; this one would make it a space.
    return match.group(1), userinfo.replace("+", "%2B"), hosts, path, query


def _parse(uri: str, source: str) -> Dict[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # warn=False makes an unknown or bad option an error: the driver would warn and go on without it, so that
            # a misspelt tls=true would mean no TLS.
            parsed: Dict[str, Any] = parse_uri(uri, DEFAULT_PORT, validate=True, warn=False)
            return parsed
    except (driver.PyMongoError, ValueError, OSError, TypeError) as error:
        raise uri_error(error, uri, source) from None


def uri_error(error: Exception, uri: str, source: str) -> MaintenanceError:
    """Our own words for what the driver found wrong with a connection string; its text may quote the password."""
    text = str(error)
    if "DNS" in text or "does not exist" in text or "Resolver" in text or "resolution lifetime" in text:
        return MaintenanceError(
            "the host of a mongodb+srv connection string cannot be looked up in DNS",
            target=source,
            code=type(error).__name__,
            next_step="Check the name and this host's DNS, or give the option address with host and port.",
        )
    if "dnspython" in text or "srv" in text.lower():
        return _bad_uri("a mongodb+srv:// string takes exactly one host name without a port", source, _SHAPE)
    if "escaped" in text or "non-digit" in text or "digit" in text:
        if re.search(r"://[^/?]*@", uri):
            return _bad_uri("the port is not a number", source, _SHAPE)
        return _bad_uri("the port is not a number, or the @ before the host is missing", source, _SHAPE)
    if "password is required" in text:
        return _bad_uri("it names a user but no password", source, _SHAPE)
    if "Port" in text or "port" in text:
        return _bad_uri("the port is not a number between 1 and 65535", source, _SHAPE)
    if "directConnection" in text:
        return _bad_uri("directConnection allows one host only", source, "Remove the option or the other hosts.")
    if isinstance(error, OSError):
        return _bad_uri("a file that it names cannot be read", source, "Check tlsCAFile and tlsCertificateKeyFile.")
    if "@" not in uri.partition("?")[2]:
        for name in re.findall(r"[?&]([A-Za-z][A-Za-z0-9.]*)=", uri):
            if re.search(r"(?i)\b%s\b" % re.escape(name), text):
                return _bad_uri(
                    "the value of its option %s is wrong" % name, source, "See the MongoDB manual for its values."
                )
    return _bad_uri("the driver refuses it (%s)" % type(error).__name__, source, _SHAPE)
