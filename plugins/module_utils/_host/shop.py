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
from dataclasses import field
from typing import Callable, List, Mapping, Optional, Sequence, Tuple

from .._core.late_dataclass import dataclass
from .._core.paths import lies_below
from .._core.processes import Process, Socket
from .mongo_uri import MONGO_SERVICE, MongoUri, host_text, is_loopback

DEFAULT_API_PORT = 3001

_SHELLS = frozenset(
    "sh bash dash zsh ksh fish busybox tmux screen less more vi vim nano tail sudo su sshd cron crond".split()
)


# A program's script stands behind the program and its options: this far one looks for it.
_SCRIPT_WORDS = 12


def _runs_from(process: Process, directory: str, real: Callable[[str], str]) -> bool:
    """Whether a process runs a script below a directory, named in full, through a link, or from where it works."""
    for word in process.argv[:_SCRIPT_WORDS]:
        if word and not word.startswith("-") and lies_below(real(os.path.join(process.cwd or "/", word)), directory):
            return True
    return False


def find_api(
    processes: Sequence[Process],
    sockets: Sequence[Socket],
    root: str,
    real: Callable[[str], str] = os.path.realpath,
) -> Optional[Process]:
    """The shop's API among the host's own processes.

    It is what works in ROOT/backend or is run from there, and listens; a shell that somebody left in that directory is not.

    Args:
        root: the shop's directory, links resolved.
        real: resolves links in a path.
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
        if lies_below(process.cwd, backend):
            score = 3
        elif _runs_from(process, backend, real):
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
