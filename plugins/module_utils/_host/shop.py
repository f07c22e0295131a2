# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules by which a host's MiniEcom is recognised. Pure: no I/O, no clock.

Everything here is made from the environment file, the list of processes and the list of sockets; nothing that is returned
holds a password or a piece of one.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple
from urllib.parse import unquote

from .._core.processes import Process, Socket

URI_KEYS = ("MONGODB_URI", "MONGO_URI")
DEFAULT_API_PORT = 3001
DEFAULT_MONGO_PORT = 27017
# The name of the database's service in every compose file of the shop; it resolves inside the compose network only.
MONGO_SERVICE = "mongo"

# What .env may say about maintenance, with the shop's documented defaults. Nothing else of it is ever returned: which of
# the other keys hold secrets cannot be known.
SETTINGS: Mapping[str, Any] = {
    "BACKUP_DIR": "./storage/backups",
    "ENCRYPT_BACKUP": False,
    "COMPRESS_BACKUP": True,
    "BACKUP_RETENTION_DAYS": 14,
    "BACKUP_RETENTION_WEEKS": 12,
    "BACKUP_RETENTION_MONTHS": 12,
    "DISK_WARN_PCT": 80,
    "DISK_CRITICAL_PCT": 90,
    "LOG_RETENTION_DAYS": 30,
    "MAX_LOG_SIZE": "100M",
    "ALERT_EMAIL": "",
    "SMTP_HOST": "",
    "SMTP_PORT": "",
    "UPDATE_IMAGES": False,
    "OFFSITE_ENABLED": False,
}

_KNOWN_PASSWORDS = frozenset(
    "admin administrator changeme change-me change_me default example letmein miniecom mongo mongodb pass passw0rd "
    "password password1 password123 qwerty root secret test 123456 12345678 123456789".split()
)
_LOOPBACK = re.compile(r"^(127\.|::1$|localhost$)")


@dataclass(frozen=True)
class MongoUri:
    """A connection string without its password.

    Attributes:
        source: the variable it came from.
        quality: of the credentials: none, default, weak or strong.
    """

    source: str
    hosts: Tuple[Tuple[str, int], ...] = ()
    database: str = ""
    user: str = ""
    quality: str = "none"
    tls: bool = False
    srv: bool = False
    replica_set: str = ""


def host_port(text: str) -> Tuple[str, int]:
    """Host and port of ``host``, ``host:port`` or ``[v6]:port``; the default port where there is none or it is no number."""
    match = re.match(r"^(?:\[([^\]]+)\]|([^:]*))(?::(\d+))?$", text)
    if not match:
        return text, DEFAULT_MONGO_PORT
    return match.group(1) or match.group(2), int(match.group(3) or DEFAULT_MONGO_PORT)


def host_text(host: str, port: int) -> str:
    return ("[%s]:%d" if ":" in host else "%s:%d") % (host, port)


def is_loopback(address: str) -> bool:
    return bool(_LOOPBACK.match(address))


def password_quality(user: str, password: str) -> str:
    """none, default (of a list everybody tries, or a placeholder), weak or strong."""
    if not password:
        return "none"
    plain = password.lower()
    if plain in _KNOWN_PASSWORDS or plain == user.lower() or re.match(r"^(your|change|replace)[-_ ]?", plain):
        return "default"
    kinds = sum(bool(re.search(kind, password)) for kind in ("[a-z]", "[A-Z]", "[0-9]", "[^a-zA-Z0-9]"))
    if len(password) < 12 or len(set(password)) < 6 or kinds < 2:
        return "weak"
    return "strong"


def parse_mongo_uri(uri: str, source: str) -> MongoUri:
    """What may be told about a connection string, well-formed or not."""
    scheme, separator, rest = uri.strip().partition("://")
    if not separator:
        return MongoUri(source)
    # An unescaped slash in a password would make a piece of it look like hosts: the last @ before the options decides.
    before_slash = rest.split("/", 1)[0]
    userinfo = before_slash.rpartition("@")[0] if "@" in before_slash else rest.split("?", 1)[0].rpartition("@")[0]
    tail = rest[len(userinfo) + 1 :] if userinfo else rest.lstrip("@")
    user, _colon, password = userinfo.partition(":")
    hosts, _slash, path = tail.partition("/")
    database, _mark, query = path.partition("?")
    if "?" in hosts:
        hosts, _mark, query = hosts.partition("?")
        database = ""
    options = {}
    for part in re.split("[&;]", query):
        key, _equals, value = part.partition("=")
        options[key.lower()] = value
    srv = scheme.lower() == "mongodb+srv"
    tls = options.get("tls", options.get("ssl", "true" if srv else "false")).lower() == "true"
    return MongoUri(
        source,
        tuple(host_port(host) for host in hosts.split(",") if host),
        unquote(database),
        unquote(user),
        password_quality(unquote(user), unquote(password)),
        tls,
        srv,
        options.get("replicaset", ""),
    )


def mongo_uri(env: Mapping[str, str]) -> Optional[MongoUri]:
    """The connection string that the application takes; an empty variable counts as none, as it does there."""
    for key in URI_KEYS:
        if env.get(key, "").strip():
            return parse_mongo_uri(env[key], key)
    return None


@dataclass(frozen=True)
class Settings:
    values: Dict[str, Any]
    warnings: List[str]


def settings(env: Mapping[str, str]) -> Settings:
    """The maintenance settings of an environment file, the defaults where it says nothing or nothing sensible."""
    values: Dict[str, Any] = {}
    warnings: List[str] = []
    for key, default in SETTINGS.items():
        text = env.get(key, "").strip()
        if not text:
            values[key] = default
        elif isinstance(default, bool):
            values[key] = text.lower() in ("1", "true", "yes", "on")
        elif isinstance(default, int):
            number = int(text) if re.match(r"^\d{1,6}$", text) else -1
            low, high = (1, 100) if key.endswith("_PCT") else (0, 999999)
            if low <= number <= high:
                values[key] = number
            else:
                values[key] = default
                warnings.append("%s of the environment file is not a sensible number; %d is used" % (key, default))
        else:
            values[key] = text
    return Settings(values, warnings)


def _inside(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")


_SHELLS = frozenset(
    "sh bash dash zsh ksh fish busybox tmux screen less more vi vim nano tail sudo su sshd cron crond".split()
)


def find_api(processes: Sequence[Process], sockets: Sequence[Socket], root: str) -> Optional[Process]:
    """The shop's API among the host's own processes.

    It is what works in ROOT/backend or is run from there, and listens; a shell that somebody left in that directory is not.
    """
    backend = os.path.join(root, "backend")
    listening = {item.pid for item in sockets if item.proto == "tcp"}
    best: Tuple[int, int] = (0, 0)
    found: Optional[Process] = None
    for process in processes:
        if (
            process.contained
            or process.name in _SHELLS
            or process.name.startswith("mongo")
            or process.state in ("Z", "X")
        ):
            continue
        score = 0
        if _inside(process.cwd, backend):
            score = 3
        elif any(_inside(os.path.normpath(part), backend) for part in process.argv[:4] if part.startswith("/")):
            score = 2
        elif process.cwd == root:
            score = 1
        if not score:
            continue
        if process.pid in listening:
            score += 10
        elif score < 2:
            continue
        # Of equals the oldest: a cluster's first process.
        if (score, -process.start_time) > best or found is None:
            best, found = (score, -process.start_time), process
    return found


def ports_of(process: Optional[Process], processes: Sequence[Process], sockets: Sequence[Socket]) -> List[Socket]:
    """The TCP sockets on which a process or one of its children listens."""
    if process is None:
        return []
    family = {process.pid}
    for other in processes:
        if other.ppid in family:
            family.add(other.pid)
    return [item for item in sockets if item.proto == "tcp" and item.pid in family]


def find_mongods(processes: Sequence[Process]) -> List[Process]:
    """The mongods that run as processes of the host itself."""
    return [item for item in processes if item.name == "mongod" and not item.contained and item.state not in ("Z", "X")]


# Why no engine answers, where that says that there may be none: no socket, or nobody listens. All other reasons mean that one is there.
NO_ENGINE = ("missing", "refused")


@dataclass(frozen=True)
class Choice:
    """Which deployment, and why."""

    deployment: str
    why: str


def choose_deployment(
    wanted: str,
    engine: str,
    project: str,
    project_running: bool,
    api: Optional[Process],
    mongods: Sequence[Process],
    compose_file: bool,
    project_by_directory: bool = True,
) -> Choice:
    """Compose or native.

    Args:
        wanted: auto, compose or native.
        engine: "" when a Docker Engine answers, else why none does.
        project: name of the shop's compose project, "" when there are no containers of it.
        api: it works below the shop's directory; only a project that was made from this directory is as certain to be the shop.
    """
    if wanted != "auto":
        return Choice(wanted, "as the option deployment says")
    if project and project_running and project_by_directory:
        return Choice("compose", "containers of the compose project %s run" % project)
    if api is not None:
        return Choice("native", "the API runs as process %d of this host" % api.pid)
    if project and project_running:
        return Choice("compose", "containers of the compose project %s run" % project)
    if project:
        return Choice("compose", "there are containers of the compose project %s, none of them running" % project)
    if mongods:
        return Choice(
            "native", "no containers of the shop, and a mongod runs as process %d of this host" % mongods[0].pid
        )
    if compose_file or engine:
        return Choice("compose", "nothing of the shop runs%s" % (", and it has a compose file" if compose_file else ""))
    return Choice("native", "nothing of the shop runs, and it has no compose file")


EXPOSED, LOOPBACK, UNKNOWN = "exposed", "loopback", "unknown"


@dataclass(frozen=True)
class Exposure:
    """From where the database can be reached.

    Attributes:
        state: exposed (from other machines), loopback (from this host only) or unknown.
        why: what it was told by; for unknown, why nobody can tell.
        addresses: those beyond loopback on which the server accepts connections.
    """

    state: str
    why: str
    addresses: Tuple[str, ...] = ()


def judge_exposure(
    uri: Optional[MongoUri],
    processes: Sequence[Process],
    sockets: Sequence[Socket],
    published: Sequence[Tuple[str, int]] = (),
    local: Callable[[str], bool] = is_loopback,
) -> Exposure:
    """From where the database that a connection string names can be reached, by what listens on this host. Pure but for `local`.

    Nothing is called safe that was not looked at: where no server is seen, the answer is unknown.

    Args:
        processes: all of the host, those of containers too.
        published: address and port of what containers publish.
        local: whether an address or name is this machine's own.
    """
    if uri is None or not uri.hosts:
        return Exposure(UNKNOWN, "the environment file names no database")
    if uri.srv:
        return Exposure(UNKNOWN, "the connection string leaves the hosts to the DNS (mongodb+srv): not judged")
    names = {process.pid: process.name for process in processes}
    found = []
    for host, port in uri.hosts:
        if host != MONGO_SERVICE and not local(host):
            found.append(Exposure(UNKNOWN, "on another machine (%s): not judged" % host))
        else:
            found.append(_judge_port(port, names, sockets, published))
    exposed = sorted({address for item in found for address in item.addresses})
    if exposed:
        return Exposure(EXPOSED, next(item.why for item in found if item.addresses), tuple(exposed))
    return next((item for item in found if item.state == UNKNOWN), found[0])


def _judge_port(
    port: int, names: Mapping[int, str], sockets: Sequence[Socket], published: Sequence[Tuple[str, int]]
) -> Exposure:
    listening = [item for item in sockets if item.proto == "tcp" and item.port == port]
    by_container = [address for address, number in published if number == port]
    addresses = {item.address for item in listening} | set(by_container)
    if not addresses:
        return Exposure(UNKNOWN, "nothing listens on port %d of this host" % port)
    beyond = tuple(sorted(host_text(address, port) for address in addresses if not is_loopback(address)))
    if beyond:
        return Exposure(EXPOSED, "what listens on port %d accepts connections there" % port, beyond)
    if by_container:
        return Exposure(LOOPBACK, "a container publishes port %d on loopback alone" % port)
    owners = {names.get(item.pid or 0, "") for item in listening}
    if owners == {"mongod"}:
        return Exposure(LOOPBACK, "mongod listens on loopback alone")
    if "" in owners:
        return Exposure(UNKNOWN, "whose socket listens on port %d cannot be seen; as root (become: true) it can" % port)
    # A tunnel or a proxy: the server itself is somewhere else.
    return Exposure(
        UNKNOWN, "%s, no mongod, listens on port %d of this host" % (" and ".join(sorted(owners - {"mongod"})), port)
    )


@dataclass(frozen=True)
class Reach:
    """How this host reaches the database.

    Attributes:
        address: host:port to put in place of the connection string's; "" when the string is right as it stands.
        exposure: from where it can be reached, where that is known from how this host reaches it.
    """

    address: str
    why: str
    exposure: Optional[Exposure] = None
    pid: Optional[int] = None
    exe: str = ""
    warnings: Tuple[str, ...] = field(default=())


def native_mongo(uri: Optional[MongoUri], mongods: Sequence[Process], sockets: Sequence[Socket]) -> Reach:
    """The database of a native installation: what the connection string says, unless its name exists in compose only."""
    by_pid = {process.pid: process for process in mongods}
    listening = [item for item in sockets if item.proto == "tcp" and item.pid in by_pid]
    if uri is None or not uri.hosts:
        return Reach("", "the environment file names no database")
    host, port = uri.hosts[0]
    mine = [item for item in listening if item.port == port] if is_loopback(host) or host == MONGO_SERVICE else []
    why, address = (
        "as the connection string says",
        "" if len(uri.hosts) > 1 or uri.srv or uri.replica_set else host_text(host, port),
    )
    warnings: Tuple[str, ...] = ()
    if host == MONGO_SERVICE:
        mine = mine or listening
        pids = sorted({item.pid or 0 for item in mine})
        if len(pids) == 1:
            address = host_text("127.0.0.1", mine[0].port)
            why = "the connection string says %s, which is a name inside compose only; mongod is process %d" % (
                host,
                pids[0],
            )
        else:
            warnings = (
                "the connection string says %s, and %d processes of mongod run on this host: say which in the environment file"
                % (host, len(pids)),
            )
    process = by_pid.get(mine[0].pid or 0) if mine else None
    exposure = None
    if host == MONGO_SERVICE and process is not None:
        # The name means a server on another port than the string says.
        exposure = judge_exposure(MongoUri(uri.source, (("127.0.0.1", mine[0].port),)), mongods, listening)
    return Reach(address, why, exposure, process.pid if process else None, process.exe if process else "", warnings)


def db_path(argv: Sequence[str]) -> str:
    """The directory that a mongod was told on its command line; "" without one."""
    for position, word in enumerate(argv):
        name, equals, value = word.partition("=")
        if name == "--dbpath":
            return value if equals else (argv[position + 1] if position + 1 < len(argv) else "")
    return ""


def api_port(env: Mapping[str, str], sockets: Sequence[Socket]) -> Tuple[int, str]:
    """The port of the API, and how it is known: what really listens, else PORT, else the application's default."""
    text = env.get("PORT", "").strip()
    told = int(text) if re.match(r"^\d{1,5}$", text) and 0 < int(text) < 65536 else 0
    ports = sorted({item.port for item in sockets})
    if told in ports or (told and not ports):
        return told, "PORT of the environment file" + (", and it listens" if ports else "")
    if ports:
        return ports[0], "the API listens there"
    return DEFAULT_API_PORT, "the application's default"
