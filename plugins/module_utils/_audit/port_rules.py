# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which reachable ports are allowed, and how bad the others are. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from .._core.errors import MaintenanceError
from .._core.finding import Finding
from .._core.late_dataclass import dataclass

# Kept apart: while no engine answers, nothing is known of what it publishes.
HOST_SCOPE, DOCKER_SCOPE = "listening ports", "published ports"
# Programs that listen for what is in a container: they say nothing of what it is.
PROXIES = frozenset(("docker-proxy", "rootlessport"))
MONGODB = "mongodb-exposed"
_EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, nothing is bound here


@dataclass(frozen=True)
class Port:
    """A port of this host that something answers on.

    Attributes:
        proto: tcp or udp.
        address: numeric, "*" for every interface.
        program: name of the program that listens, "" when it is not known.
        container: name of the container that publishes it, "" for a program of the host.
        private_port: the port inside the container, 0 for a program of the host, or where it is not known.
        watched: whether findings are wanted for it; False for a container of another project than was asked for.
        image_and_service: what says more of a container than its name: its image, its compose service.
    """

    proto: str
    address: str
    port: int
    program: str = ""
    container: str = ""
    private_port: int = 0
    watched: bool = True
    image_and_service: Tuple[str, ...] = ()

    @property
    def target(self) -> str:
        address = "[%s]" % self.address if ":" in self.address else self.address
        return "%s:%d/%s" % (address, self.port, self.proto)

    @property
    def loopback(self) -> bool:
        return self.address.startswith("127.") or self.address == "::1"

    @property
    def who(self) -> str:
        if self.container:
            return "container %s" % self.container
        return self.program or "unknown program"

    def as_dict(self) -> Dict[str, object]:
        entry: Dict[str, object] = {"proto": self.proto, "address": self.address, "port": self.port}
        for name in ("program", "container"):
            if getattr(self, name):
                entry[name] = getattr(self, name)
        return entry


def everywhere(address: str) -> str:
    """The address, with one name for all interfaces."""
    return "*" if address in _EVERYWHERE else address


@dataclass(frozen=True)
class Allowed:
    """One entry of the option allow; an empty part stands for any."""

    text: str
    address: str = ""
    port: int = 0
    proto: str = ""
    program: str = ""

    def covers(self, port: Port) -> bool:
        if self.program:
            return self.program in (port.program, port.container)
        if self.address and not _same_address(self.address, port.address):
            return False
        return (not self.port or self.port == port.port) and (not self.proto or self.proto == port.proto)


def _same_address(allowed: str, actual: str) -> bool:
    if allowed == actual:
        return True
    try:
        return ipaddress.ip_address(actual) in ipaddress.ip_network(allowed, strict=False)
    except ValueError:
        return False


_PORT = re.compile(
    r"^(?:(?:\[(?P<six>[0-9a-fA-F:.]+(?:/\d+)?)\]|(?P<four>\*|[0-9.]+(?:/\d+)?)):)?(?P<port>\*|\d{1,5})(?:/(?P<proto>tcp|udp))?$"
)
_NAME = re.compile(r"^[A-Za-z_][\w.@-]*$")


def parse_allow(entries: Iterable[str]) -> List[Allowed]:
    """What is allowed, from ``443``, ``443/tcp``, ``10.0.0.5:27017/tcp``, ``10.0.0.0/8:*``, ``[::1]:*`` or a name.

    Raises:
        MaintenanceError: an entry is none of these.
    """
    allowed = []
    for entry in entries:
        text = str(entry).strip()
        match = _PORT.match(text)
        if match:
            port = 0 if match.group("port") == "*" else int(match.group("port"))
            address = match.group("six") or match.group("four") or ""
            if address and address != "*":
                try:
                    network = ipaddress.ip_network(address, strict=False)
                    # 0.0.0.0 means what a program binds to, not the network of all addresses.
                    address = everywhere(address) if "/" not in address else str(network)
                except ValueError:
                    match = None
            if match and port <= 65535 and (port or address or match.group("proto")):
                allowed.append(Allowed(text, address, port, match.group("proto") or ""))
                continue
        elif _NAME.match(text):
            allowed.append(Allowed(text, program=text))
            continue
        raise MaintenanceError(
            "not a port, address or program",
            target=repr(entry),
            next_step="In allow, write a port (443/tcp), an address and a port (127.0.0.1:*, [::1]:8080/tcp, 10.0.0.0/8:9100), "
            "or the name of a program or container (sshd).",
        )
    return allowed


@dataclass(frozen=True)
class Danger:
    """A service that must not be reachable from elsewhere."""

    rule: str
    severity: str
    what: str
    remediation: str
    programs: Tuple[str, ...]
    ports: Tuple[int, ...]


_DANGERS = (
    Danger(
        MONGODB,
        "critical",
        "MongoDB, and with it every order and customer, is reachable from other machines",
        "Publish it on 127.0.0.1 only (ports: 127.0.0.1:27017:27017), or set bindIp: 127.0.0.1 in mongod.conf; "
        "a firewall in front does not help against ports that Docker publishes.",
        ("mongod", "mongos"),
        (27017, 27018, 27019),
    ),
    Danger(
        "docker-api-exposed",
        "critical",
        "the Docker API is reachable from other machines; whoever gets in is root here",
        "Take the tcp:// address out of daemon.json or dockerd's command line; use ssh:// to reach it from elsewhere.",
        ("dockerd",),
        (2375, 2376),
    ),
    Danger(
        "database-ui-exposed",
        "critical",
        "a database user interface is reachable from other machines",
        "Stop it (docker compose --profile tools down), or publish it on 127.0.0.1 and reach it through an SSH tunnel.",
        (),
        (),
    ),
    Danger(
        "datastore-exposed",
        "critical",
        "a database is reachable from other machines",
        "Bind it to 127.0.0.1, or to an address of a private network that only its clients are in.",
        ("redis-server", "memcached", "postgres", "mysqld", "mariadbd", "elasticsearch"),
        (6379, 11211, 5432, 3306, 9200),
    ),
    Danger(
        "debugger-exposed",
        "high",
        "Node's debugger is reachable from other machines; whoever connects runs code in the shop",
        "Start node without --inspect, or with --inspect=127.0.0.1.",
        (),
        (9229,),
    ),
)
DEFAULT_CREDENTIALS = "mongodb-exposed-default-credentials"
PORT_RULES = frozenset(
    [danger.rule for danger in _DANGERS] + [DEFAULT_CREDENTIALS, "published-port-not-allowed", "port-not-allowed"]
)
_UI = re.compile(r"mongo-?express|adminer|phpmyadmin|redis-?commander")


def merge_ports(listening: Iterable[Port], published: Iterable[Port]) -> List[Port]:
    """One entry for each service: sockets of docker-proxy belong to what Docker publishes, and IPv4 and IPv6 count once.

    Published ports without a docker-proxy (userland-proxy off) have no socket; they are only in the second list.
    """
    merged: Dict[Tuple[str, str, int, str], Port] = {}
    claimed = set()
    for port in published:
        port = replace(port, address=everywhere(port.address))
        claimed.add((port.proto, port.address, port.port))
        merged.setdefault((port.proto, port.address, port.port, port.container), port)
    for port in listening:
        port = replace(port, address=everywhere(port.address))
        if (port.proto, port.address, port.port) in claimed and port.program in (*PROXIES, ""):
            continue
        merged.setdefault((port.proto, port.address, port.port, port.program), port)
    return sorted(merged.values(), key=lambda item: (item.port, item.proto, item.address, item.container, item.program))


def proxied_port(argv: Sequence[str]) -> int:
    """The port inside the container, from the command line of docker-proxy; 0 when it does not tell. Pure."""
    for option, value in zip(argv, argv[1:]):
        if option.lstrip("-") == "container-port" and value.isdigit():
            return int(value)
    return 0


def danger_of(port: Port) -> Optional[Danger]:
    """The dangerous service behind a port: by the program that is known to listen, else by the port it is known for."""
    if port.container and any(_UI.search(name) for name in (port.container, *port.image_and_service)):
        return _DANGERS[2]
    program = "" if port.program in PROXIES else port.program
    for danger in _DANGERS:
        if program and program in danger.programs:
            return danger
    if port.proto != "tcp" or (program and not port.container):
        # A known program on a port that only happens to be another one's: the debugger has no program of its own.
        return _DANGERS[4] if port.proto == "tcp" and port.port == 9229 else None
    number = port.private_port or port.port
    for danger in _DANGERS:
        if number in danger.ports:
            return danger
    return None


def judge_ports(
    ports: Sequence[Port], allowed: Sequence[Allowed], credentials: str = ""
) -> Tuple[List[Finding], List[Tuple[Port, str]]]:
    """Findings, and what is fine with the reason.

    Args:
        ports: as `merge_ports` gives them.
        credentials: what is wrong with those of MongoDB, in words, when everybody tries them; "" when nothing is known to be.
        allowed: what is allowed; an entry that names a dangerous service's address or port allows that too.
    """
    findings: List[Finding] = []
    fine: List[Tuple[Port, str]] = []
    for port in ports:
        if port.loopback:
            fine.append((port, "reachable from this host only"))
            continue
        danger = danger_of(port)
        # Whoever runs it: whoever gets into another project's database or engine is on this host.
        if not port.watched and (danger is None or danger.severity != "critical"):
            fine.append((port, "published by another project"))
            continue
        cover = next((entry for entry in allowed if entry.covers(port)), None)
        if cover is not None:
            fine.append((port, "allowed by %s" % cover.text))
            continue
        how = "published by %s" % port.who if port.container else "%s listens" % port.who
        if danger is not None:
            rule, severity, message, remediation = danger.rule, danger.severity, danger.what, danger.remediation
            if rule == MONGODB and credentials and port.watched:
                # Told together: either is bad, both are an open door.
                rule, message = DEFAULT_CREDENTIALS, "%s, and %s" % (message, credentials)
                remediation = "Change the password now, then close the port. " + remediation
        elif port.container:
            rule, severity = "published-port-not-allowed", "high"
            message = "Docker publishes a port that is not in allow"
            remediation = "Publish it on 127.0.0.1 or not at all, or add it to allow. Docker's own rules come before a host firewall's."
        else:
            rule, severity = "port-not-allowed", "medium" if port.proto == "tcp" else "low"
            message = "something listens on a port that is not in allow"
            remediation = "Stop it, bind it to 127.0.0.1, or add it to allow."
        findings.append(
            Finding(
                rule=rule,
                severity=severity,
                target=port.target,
                message="%s (%s)" % (message, how),
                remediation=remediation,
                scope=DOCKER_SCOPE if port.container else HOST_SCOPE,
                subject=port.who,
            )
        )
    return findings, fine
