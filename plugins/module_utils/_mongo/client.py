# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one way to a MongoDB server: where it is, who we are there, and what its errors mean.

Nothing here puts a password, or a piece of one, into a message. Texts of the driver about a connection string are
therefore never passed on: it quotes the piece that it stumbled over, which in an unescaped string is the password.
"""

from __future__ import annotations

import re
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple
from urllib.parse import quote, unquote

from .._core import dotenv
from .._core.arguments import ArgumentSpec
from .._core.errors import MaintenanceError, MissingLibrary
from .._core.redaction import SECRETS

try:
    import bson.errors
    import pymongo
    from pymongo import errors as driver
    from pymongo.uri_parser import parse_uri

    IMPORT_ERROR = ""
    # Since 4.3 the driver reads dates that Python's datetime cannot hold: a backup must not stumble over one.
    if pymongo.version_tuple < (4, 3):
        IMPORT_ERROR = "its version %s is too old, 4.3 or newer is needed" % pymongo.version
except ImportError as error:  # pragma: no cover - tested in a process without pymongo
    IMPORT_ERROR = str(error)

MONGO_ARGUMENTS = ArgumentSpec(
    {
        "uri": {"type": "str", "no_log": True},
        "env_file": {"type": "path"},
        "address": {"type": "str"},
        "connect_timeout": {"type": "int", "default": 5},
    },
    required_one_of=[("uri", "env_file")],
    mutually_exclusive=[("uri", "env_file")],
)

DEFAULT_PORT = 27017
# The application reads these two, the first one wins.
URI_KEYS = ("MONGODB_URI", "MONGO_URI")

# Options that the application's Node driver or Mongoose takes in its URI and that mean nothing to any other driver.
_NODE_ONLY = frozenset(
    "usenewurlparser useunifiedtopology usecreateindex usefindandmodify poolsize keepalive keepaliveinitialdelay "
    "autoindex autocreate buffercommands buffermaxentries family nodelay reconnecttries reconnectinterval promiselibrary "
    "monitorcommands minsize ignoreundefined promotelongs promotevalues promotebuffers checkserveridentity".split()
)

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
    """

    hosts: Tuple[Tuple[str, int], ...]
    username: str
    password: str = field(repr=False)
    database: str = ""
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    direct: bool = False
    source: str = ""
    uri: str = field(default="", repr=False)

    @property
    def where(self) -> str:
        """The hosts, for messages."""
        return ",".join(_host_text(host, port) for host, port in self.hosts)


@dataclass(frozen=True)
class Server:
    """What kind of server answered.

    Attributes:
        version: as the server reports it ("7.0.14").
        version_array: its first three numbers.
        topology: standalone, replica set or mongos.
        state: primary, secondary, arbiter or other; primary on a standalone and a mongos.
    """

    version: str
    version_array: Tuple[int, ...]
    topology: str
    state: str
    set_name: str = ""
    name: str = ""


class Connection:
    """An open, authenticated connection. A context manager.

    Attributes:
        client: the driver's client.
        address: what it was opened with.
        database_name: the database in the connection string, "" when it names none.
        server: kind and version of the server.
        hello: its answer to hello.
    """

    def __init__(self, client: Any, address: Address, hello: Dict[str, Any], build: Dict[str, Any]) -> None:
        self.client = client
        self.address = address
        self.database_name = address.database
        self.hello = hello
        self.server = describe_server(hello, build)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self.close()

    def close(self) -> None:
        self.client.close()

    def databases(self) -> List[str]:
        """Names of the databases that this user may see, the server's own included."""
        with mongo_errors("cannot list the databases", self.address.where):
            answer = self.client.admin.command("listDatabases", nameOnly=True, authorizedDatabases=True)
        return sorted(entry["name"] for entry in answer["databases"])

    def require_database(self, name: Optional[str] = None) -> str:
        """The database to work on: the one named, else the connection string's; it must exist.

        Raises:
            MaintenanceError: none is named, or there is no such database.
        """
        wanted = name or self.database_name
        if not wanted:
            raise MaintenanceError(
                "the connection string names no database",
                self.address.where,
                next_step="Write it behind the hosts (mongodb://HOST:PORT/DATABASE) or give the option for it.",
            )
        # A user may well read a database whose name listDatabases hides from it: ask the database itself then.
        known = self.databases()
        if wanted not in known and not self._has_collections(wanted):
            raise MaintenanceError(
                "there is no database of this name, or this user may not see it",
                "%s on %s" % (wanted, self.address.where),
                next_step="Databases that it may see: %s." % (", ".join(known) or "none"),
            )
        return wanted

    def _has_collections(self, name: str) -> bool:
        try:
            return bool(self.client[name].list_collection_names())
        except driver.PyMongoError:
            return False


def describe_server(hello: Mapping[str, Any], build: Mapping[str, Any]) -> Server:
    """Kind and version of a server from its answers to hello and buildInfo."""
    if hello.get("msg") == "isdbgrid":
        topology = "mongos"
    elif hello.get("setName") or hello.get("isreplicaset"):
        topology = "replica set"
    else:
        topology = "standalone"
    if topology != "replica set" or hello.get("isWritablePrimary") or hello.get("ismaster"):
        state = "primary"
    elif hello.get("secondary"):
        state = "secondary"
    elif hello.get("arbiterOnly"):
        state = "arbiter"
    else:
        state = "other"
    numbers = [int(number) for number in build.get("versionArray", [])[:3]]
    if not numbers:
        numbers = [int(number) for number in re.findall(r"\d+", str(build.get("version", "")))[:3]]
    return Server(
        str(build.get("version", "")),
        tuple(numbers),
        topology,
        state,
        str(hello.get("setName", "")),
        str(hello.get("me", "")),
    )


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
            "address" if "@" in text else repr(text),
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
    values = dotenv.load(str(env_file))
    # Every connection string of the file is a secret, also the one that is not used.
    for key in URI_KEYS:
        register_password(values.get(key, ""))
    for key in URI_KEYS:
        # An empty value counts as none, as in the application (process.env.A || process.env.B).
        if values.get(key, "").strip():
            return values[key].strip(), "%s in %s" % (key, env_file)
    raise MaintenanceError(
        "the environment file sets neither %s nor %s" % URI_KEYS,
        str(env_file),
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


def resolve(params: Mapping[str, Any]) -> Address:
    """Where the server is and who we are there, from `uri` or `env_file`, with the hosts of `address` if given.

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
    if address:
        host, port = parse_host(str(address))
        hosts = _host_text(host, port)
        if scheme == "mongodb+srv":
            # The driver turns TLS on for this scheme; we must, when one host replaces what DNS would have told.
            scheme = "mongodb"
            if not re.search(r"(?i)(^|&)(tls|ssl)=", query):
                query = query + "&tls=true" if query else "tls=true"
    query = "&".join(
        part for part in re.split(r"[&;]", query) if part and part.partition("=")[0].lower() not in _NODE_ONLY
    )
    plain = "%s://%s%s/%s%s" % (scheme, userinfo + "@" if userinfo else "", hosts, path, "?" + query if query else "")
    parsed = _parse(plain, source)
    for secret in (
        parsed.get("password"),
        dict(parsed["options"]).get("tlsCertificateKeyFilePassword"),
        unquote(userinfo.partition(":")[2]),
    ):
        SECRETS.register(secret)
    options = dict(parsed["options"])
    seeds = tuple((str(host), int(port or DEFAULT_PORT)) for host, port in parsed["nodelist"])
    direct = bool(address) or (
        len(seeds) == 1
        and scheme == "mongodb"
        and not any(key.lower() in ("replicaset", "loadbalanced", "directconnection") for key in options)
    )
    return Address(
        seeds,
        parsed.get("username") or "",
        parsed.get("password") or "",
        parsed.get("database") or "",
        options,
        direct,
        source,
        plain,
    )


def _bad_uri(why: str, source: str, next_step: str) -> MaintenanceError:
    return MaintenanceError("the MongoDB connection string is not valid: " + why, source, next_step=next_step)


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
        raise _uri_error(error, uri, source) from None


def _uri_error(error: Exception, uri: str, source: str) -> MaintenanceError:
    """Our own words for what the driver found wrong with a connection string; its text may quote the password."""
    text = str(error)
    option = re.match(r"^Unknown option: ?['\"]?([A-Za-z][A-Za-z0-9.]{1,39})", text)
    if option and "@" not in uri.partition("?")[2]:
        return _bad_uri(
            "unknown option %s" % option.group(1), source, "Correct its spelling or remove it: it would have no effect."
        )
    if "DNS" in text or "does not exist" in text or "Resolver" in text or "resolution lifetime" in text:
        return MaintenanceError(
            "the host of a mongodb+srv connection string cannot be looked up in DNS",
            source,
            type(error).__name__,
            "Check the name and this host's DNS, or give the option address with host and port.",
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


def connect(params: Mapping[str, Any], **client_options: Any) -> Connection:
    """Open a connection, and prove that it is one: a server answers and accepts us.

    Args:
        params: a module's options (uri, env_file, address, connect_timeout in seconds).
        client_options: further options for the driver's client; they win over the connection string.

    Raises:
        MaintenanceError: no connection string, no server, or it does not accept us.
        MissingLibrary: pymongo is missing.
    """
    return open_address(resolve(params), float(params.get("connect_timeout") or 5), **client_options)


def open_address(address: Address, connect_timeout: float = 5.0, **client_options: Any) -> Connection:
    """Like connect(), for an address at hand."""
    options: Dict[str, Any] = {
        "appname": "miniecom.maintenance",
        "serverSelectionTimeoutMS": int(connect_timeout * 1000),
        "connectTimeoutMS": int(connect_timeout * 1000),
        # What the application may read from a lagging member we must not decide on.
        "readPreference": "primary",
    }
    if address.direct:
        options["directConnection"] = True
    options.update(client_options)
    what = "cannot connect to MongoDB"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            client: Any = pymongo.MongoClient(address.uri, **options)
    except (driver.PyMongoError, ValueError, OSError, TypeError) as error:
        raise _uri_error(error, address.uri, address.source) from None
    try:
        with mongo_errors(what, address.where, address):
            hello = dict(client.admin.command("hello"))
            if not hello.get("arbiterOnly"):
                # ping and hello also succeed without any credentials: only a command that needs them proves something.
                client.admin.command(
                    "listDatabases",
                    nameOnly=True,
                    authorizedDatabases=True,
                    filter={"name": address.database or "admin"},
                )
            build = dict(client.admin.command("buildInfo"))
    except MaintenanceError:
        client.close()
        raise
    return Connection(client, address, hello, build)


_NEXT_STEPS = {
    18: "User name, password or authSource is wrong; the server does not say which. The root user of the shop's compose file lives in "
    "authSource=admin. A password changed in the environment file does not change that of an existing database.",
    20: "The server is not of the kind that supports this.",
    26: "Check the spelling of database and collection.",
    43: "The cursor is gone, mostly after a step-down or a restart of the server: run it again.",
    50: "The server was too slow: try again when it is less busy.",
    59: "This server version does not know the command.",
    72: "This server version does not take these options.",
    112: "Somebody changed the same document: run it again.",
    123: "This needs a replica set.",
    166: "Views and time-series collections cannot be treated this way.",
    262: "The server did not finish in time: try again later.",
    334: "The server does not offer this authMechanism: correct it in the connection string.",
    10107: "This member is not the primary: give the address of the primary, or a connection string with replicaSet=NAME.",
    11000: "A document of that key exists already.",
    13435: "This member is not the primary: give the address of the primary, or a connection string with replicaSet=NAME.",
    13436: "This member is not the primary and not a readable secondary: wait until it has caught up.",
    17217: "The result is larger than 16 MB.",
    31299: "The result is larger than 16 MB.",
}


def error_code(error: Exception) -> Any:
    """The server's code of a driver error: codeName and number as far as known, else None."""
    details = getattr(error, "details", None) or {}
    number = getattr(error, "code", None)
    if number is None and isinstance(details, dict):
        number = details.get("code")
    name = details.get("codeName") if isinstance(details, dict) else None
    if number is None:
        return name
    return "%s %s" % (number, name) if name else number


def error_number(error: BaseException) -> Optional[int]:
    """The number of a driver error; NotPrimaryError keeps it in its details only."""
    number = getattr(error, "code", None)
    if number is None:
        number = (getattr(error, "details", None) or {}).get("code")
    return int(number) if isinstance(number, int) else None


def error_text(error: Exception) -> str:
    """The server's message without what it quotes of commands and documents."""
    details = getattr(error, "details", None) or {}
    text = str(details.get("errmsg") or error) if isinstance(details, dict) else str(error)
    text = re.sub(r"(to execute command) \{ *([A-Za-z]+):.*$", r"\1 \2", text, flags=re.DOTALL)
    text = re.sub(r"(dup key):.*$", r"\1", text, flags=re.DOTALL)
    text = re.split(r",? ?(?:Timeout: [0-9.]+s, )?Topology Description:|, full error:|\(configured timeouts:", text)[0]
    return SECRETS.clean_text(text.strip()[:300])


def translate(error: Exception, what: str, target: str, address: Optional[Address] = None) -> MaintenanceError:
    """A driver error as one that says what to do."""
    text, number = error_text(error), error_number(error)
    if isinstance(error, driver.OperationFailure) and not isinstance(error, driver.NotPrimaryError):
        step = _NEXT_STEPS.get(number or 0, "")
        if number == 13 and "requires authentication" in text:
            step = "The server wants credentials and %s: write them into the connection string." % (
                "%s names none" % address.source if address and not address.username else "did not accept any"
            )
        elif number == 13:
            step = (
                "The user may not do this: grant it the privilege (the roles dbAdmin and read on the database, clusterMonitor on admin), "
                "or connect as another one."
            )
        elif number == 18 and address is not None:
            step = "%s Tried as user %r with %s." % (step, address.username, address.source)
        return MaintenanceError("%s: %s" % (what, text.rstrip(".")), target, error_code(error), step)
    if isinstance(error, driver.NotPrimaryError):
        return MaintenanceError("%s: %s" % (what, text), target, error_code(error), _NEXT_STEPS[10107])
    if isinstance(error, driver.ServerSelectionTimeoutError):
        return MaintenanceError("%s: %s" % (what, _selection_text(text)), target, None, _selection_step(text))
    if isinstance(error, driver.ConnectionFailure):
        step = "The server may still be working on it: look at it before you try again."
        return MaintenanceError(
            "%s: the connection was lost (%s: %s)" % (what, type(error).__name__, text), target, error_code(error), step
        )
    return MaintenanceError("%s: %s: %s" % (what, type(error).__name__, text), target, error_code(error))


def _selection_text(text: str) -> str:
    for mark, words in (
        ("Connection refused", "connection refused"),
        ("Name or service not known", "the host name cannot be resolved (Name or service not known)"),
        (
            "Temporary failure in name resolution",
            "the host name cannot be resolved (Temporary failure in name resolution)",
        ),
        ("nodename nor servname", "the host name cannot be resolved"),
        ("No address associated", "the host name cannot be resolved (No address associated with hostname)"),
        ("SSL handshake failed", "the TLS handshake failed"),
        ("No replica set members", "no member of the replica set named in the connection string answers"),
        (
            "but this node belongs to a set named",
            "this server is no member of the replica set named in the connection string",
        ),
        ("No servers found yet", "no answer"),
        ("timed out", "no answer (timed out)"),
    ):
        if mark in text:
            return words
    return text


def _selection_step(text: str) -> str:
    if "refused" in text:
        return "Nothing listens there: is mongod running, and is this its port? Inside compose use the published port as address."
    if "Name or service" in text or "resolution" in text or "servname" in text or "No address" in text:
        return (
            "A name such as mongo resolves only inside the compose network: give the option address with the published port "
            "or the container's address."
        )
    if "SSL" in text:
        return "One side speaks TLS and the other does not, or the certificate is not trusted: check tls and tlsCAFile."
    if "replica set" in text:
        return "Check replicaSet in the connection string, and that the set has been initiated."
    return "Check host, port and firewall; raise connect_timeout if the network is slow."


@contextmanager
def mongo_errors(what: str, target: str, address: Optional[Address] = None) -> Iterator[None]:
    """Turns whatever the driver raises inside into a MaintenanceError.

    ValueError and OSError come from bad options and files, and documents that are too large raise an error of the
    bson package, which is none of the driver's.
    """
    try:
        yield
    except (driver.PyMongoError, bson.errors.BSONError, ValueError, OSError) as error:
        raise translate(error, what, target, address) from error
