# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the compose files declare against what is published and listened on. Pure."""

from __future__ import annotations

import re
from typing import Iterable, List, Optional, Sequence, Tuple

from .._core.finding import Finding
from .._core.late_dataclass import dataclass

DECLARED_SCOPE = "declared ports"
DECLARED_RULES = frozenset(("declared-port-not-published", "published-port-not-declared", "published-port-unanswered"))
_DECLARED = re.compile(
    r"^(?:(?:\[[0-9a-fA-F:.%]+\]|\d+(?:\.\d+){3}):)?(?:(?P<published>\d+(?:-\d+)?)?:)?(?P<target>\d+(?:-\d+)?)(?:/(?P<proto>tcp|udp))?$"
)
_MOST = 1000


@dataclass(frozen=True)
class DeclaredPort:
    """A port that a service is to have.

    Attributes:
        published: on the host; 0 where the engine may choose.
        target: inside the container.
    """

    published: int
    target: int
    proto: str = "tcp"


@dataclass(frozen=True)
class PublishedPort:
    """A port that a running container has.

    Attributes:
        answered: something listens on the target inside the container; None when that cannot be seen.
    """

    published: int
    target: int
    proto: str
    answered: Optional[bool] = None


@dataclass(frozen=True)
class ServicePorts:
    """One service of a compose project.

    Attributes:
        file: the compose file that declares it, for people; "" when none does.
        declared: None where the files do not tell, as when one of them cannot be read.
        wanted: it is to run: it has a container, or no profile.
        containers: names of its running containers; published: their ports.
    """

    service: str
    file: str = ""
    declared: Optional[Tuple[DeclaredPort, ...]] = None
    wanted: bool = True
    containers: Tuple[str, ...] = ()
    published: Tuple[PublishedPort, ...] = ()


def parse_declared(text: str) -> Optional[List[DeclaredPort]]:
    """One entry of `ports` in the short form with its variables put in; None when it is none."""
    match = _DECLARED.match(text.strip())
    if match is None:
        return None
    targets, published = _span(match.group("target")), _span(match.group("published") or "0")
    if not targets or not published or (len(published) not in (1, len(targets))) or len(targets) > _MOST:
        return None
    if len(published) == 1 and len(targets) > 1:
        # The engine chooses, one for each.
        published = [0] * len(targets)
    proto = match.group("proto") or "tcp"
    return [DeclaredPort(host, inside, proto) for host, inside in zip(published, targets)]


def _span(text: str) -> List[int]:
    first, _dash, last = text.partition("-")
    begin, end = int(first), int(last or first)
    return list(range(begin, end + 1)) if begin <= end <= 65535 else []


def judge_declared(services: Iterable[ServicePorts]) -> List[Finding]:
    """What is declared and not published, published and not declared, and published with nothing behind it."""
    findings: List[Finding] = []
    for service in services:
        if service.declared is not None and service.wanted:
            findings.extend(_missing(service, service.declared))
        if service.declared is not None and service.containers:
            findings.extend(_surplus(service, service.declared))
        findings.extend(_unanswered(service))
    return findings


def _finding(
    service: ServicePorts, rule: str, severity: str, port: int, proto: str, message: str, remedy: str
) -> Finding:
    return Finding(
        rule, severity, "service %s %d/%s" % (service.service, port, proto), message, remedy, scope=DECLARED_SCOPE
    )


def _missing(service: ServicePorts, declared: Sequence[DeclaredPort]) -> List[Finding]:
    there = {(port.published, port.target, port.proto) for port in service.published}
    inside = {(port.target, port.proto) for port in service.published}
    why = "its container does not" if service.containers else "none of its containers runs"
    return [
        _finding(
            service,
            "declared-port-not-published",
            "medium",
            port.published or port.target,
            port.proto,
            "%s declares this port, and %s: whoever comes to it finds nothing"
            % (service.file or "the compose file", why),
            "docker compose up -d %s makes the container as the file says; look at its log when it does not stay up."
            % service.service,
        )
        for port in declared
        if ((port.published, port.target, port.proto) not in there)
        and (port.published or (port.target, port.proto) not in inside)
    ]


def _surplus(service: ServicePorts, declared: Sequence[DeclaredPort]) -> List[Finding]:
    known = {(port.published, port.target, port.proto) for port in declared}
    chosen = {(port.target, port.proto) for port in declared if not port.published}
    surplus = {
        (port.published, port.proto)
        for port in service.published
        if (port.published, port.target, port.proto) not in known and (port.target, port.proto) not in chosen
    }
    return [
        _finding(
            service,
            "published-port-not-declared",
            "medium",
            port,
            proto,
            "%s publishes this port, and %s does not declare it: the next docker compose up takes it away"
            % (", ".join(service.containers), service.file or "the compose file"),
            "Declare it, or make the container anew: docker compose up -d %s." % service.service,
        )
        for port, proto in sorted(surplus)
    ]


def _unanswered(service: ServicePorts) -> List[Finding]:
    return [
        _finding(
            service,
            "published-port-unanswered",
            "medium",
            port,
            proto,
            "Docker publishes this port, and nothing in %s listens on %d: whoever connects is turned away"
            % (", ".join(service.containers), target),
            "Correct the port on one of the two sides: what the program listens on, or what the compose file publishes.",
        )
        for port, target, proto in sorted(
            {(item.published, item.target, item.proto) for item in service.published if item.answered is False}
        )
    ]
