# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with how containers are configured: the rules, as data, and what breaks them. Pure.

Numbers are those of the CIS Docker Benchmark, version 1.6.0, where it has one for the matter.
"""

from __future__ import annotations

import posixpath
import re
from typing import Callable, Iterable, List, Sequence, Tuple, Union

from .._core.finding import Finding
from .._core.late_dataclass import dataclass

CONTAINER_SCOPE = "container configuration"
# Whoever has one of these is close to being root on the host.
_STRONG = frozenset("SYS_ADMIN SYS_MODULE SYS_PTRACE SYS_RAWIO DAC_READ_SEARCH NET_ADMIN BPF".split())
# What a container that may write there changes on the host itself; 5.6 names most of them.
_SENSITIVE = ("/", "/boot", "/dev", "/etc", "/lib", "/proc", "/root", "/sys", "/usr", "/var/lib/docker")
_SOCKET = re.compile(r"(?:^|/)(?:docker|podman|containerd)\.sock$")
# Directories in which an engine's socket lies.
_SOCKET_HOMES = ("/var/run", "/run", "/var", "/")
_SHOWN = 8


@dataclass(frozen=True)
class Bind:
    """A path of the host that a container mounts."""

    source: str
    destination: str
    writable: bool


@dataclass(frozen=True)
class ContainerFacts:
    """How one running container is configured.

    Attributes:
        image: as it was called; built: it was built here, so that its tag is nobody's promise.
        root: its main process runs as root of the host; None when that is not known.
        healthcheck: it has one that is not switched off.
        unlimited_log: its log grows without a limit.
        secrets: names of the variables that it was given and that hold secrets; baked: those that its image holds.
        in_layer: what of the shop's data lies in its writable layer or in memory, each with the path.
    """

    name: str
    service: str = ""
    image: str = ""
    built: bool = False
    privileged: bool = False
    network: str = ""
    pid: str = ""
    ipc: str = ""
    capabilities: Tuple[str, ...] = ()
    binds: Tuple[Bind, ...] = ()
    root: bool | None = None
    healthcheck: bool = True
    unlimited_log: bool = False
    secrets: Tuple[str, ...] = ()
    baked: Tuple[str, ...] = ()
    in_layer: Tuple[str, ...] = ()

    @property
    def yaml(self) -> str:
        """Where it is changed, for people."""
        return "under the service %s of the compose file" % self.service if self.service else "where it is started"


@dataclass(frozen=True)
class ContainerRule:
    """One rule.

    Attributes:
        cis: number in the benchmark, "" where it has none.
        what: why it is one, for the container's finding; `broken` says with what, or nothing when all is well. Each of several
            is a finding of its own: one that is known or waived says nothing of the next.
    """

    id: str
    severity: str
    cis: str
    what: str
    remediation: str
    broken: Callable[[ContainerFacts], Union[str, Sequence[str]]]


def _sockets(facts: ContainerFacts) -> List[str]:
    return [
        "%s is mounted at %s" % (bind.source, bind.destination)
        for bind in facts.binds
        if _SOCKET.search(bind.source) or posixpath.normpath(bind.source) in _SOCKET_HOMES
    ]


def _directories(facts: ContainerFacts) -> List[str]:
    found = {bind.source for bind in facts.binds if bind.writable and posixpath.normpath(bind.source) in _SENSITIVE}
    return ["it may write to %s" % path for path in sorted(found)]


def _capabilities(facts: ContainerFacts) -> List[str]:
    names = {name.upper()[4:] if name.upper().startswith("CAP_") else name.upper() for name in facts.capabilities}
    found = sorted(names & (_STRONG | {"ALL"}))
    return ["it has %s" % name for name in found] if not facts.privileged else []


def _latest(facts: ContainerFacts) -> str:
    name = facts.image
    if not name or facts.built or "@" in name or re.match(r"^(?:sha256:)?[0-9a-f]{12,}$", name):
        return ""
    tag = name.rpartition("/")[2].partition(":")[2]
    return "its image is %s" % name if tag in ("", "latest") else ""


def _names(names: Sequence[str]) -> str:
    more = " and %d more" % (len(names) - _SHOWN) if len(names) > _SHOWN else ""
    return ", ".join(sorted(names)[:_SHOWN]) + more


CONTAINER_RULES = (
    ContainerRule(
        "container-privileged",
        "high",
        "5.5",
        "nothing keeps this container from being root on the host",
        "Take privileged: true away %s; give it the one capability or device that it needs.",
        lambda facts: "privileged" if facts.privileged else "",
    ),
    ContainerRule(
        "docker-socket-mounted",
        "high",
        "5.32",
        "whoever gets into this container controls Docker, which is as good as being root; mounted read-only it is no better",
        "Take the mount away %s, or put a proxy between that lets through only what is needed.",
        _sockets,
    ),
    ContainerRule(
        "host-directory-mounted",
        "high",
        "5.6",
        "this container can change the host itself",
        "Mount just the directory that it needs, read-only where it only reads, %s.",
        _directories,
    ),
    ContainerRule(
        "host-network",
        "medium",
        "5.10",
        "this container is in the host's own network: what it listens on is open as on the host, and it reaches what listens on 127.0.0.1",
        "Take network_mode: host away and publish the ports that are needed, %s.",
        lambda facts: "network_mode: host" if facts.network == "host" else "",
    ),
    ContainerRule(
        "host-processes",
        "medium",
        "5.16",
        "this container sees and can signal the host's processes",
        "Take pid: host away %s.",
        lambda facts: "pid: host" if facts.pid == "host" else "",
    ),
    ContainerRule(
        "host-memory",
        "medium",
        "5.17",
        "this container shares memory with the host's processes",
        "Take ipc: host away %s.",
        lambda facts: "ipc: host" if facts.ipc == "host" else "",
    ),
    ContainerRule(
        "container-capabilities",
        "medium",
        "5.4",
        "this container can do what is close to being root on the host",
        "Take the capability out of cap_add %s.",
        _capabilities,
    ),
    ContainerRule(
        "container-runs-as-root",
        "medium",
        "4.1",
        "the program in this container runs as root: a hole in it or in the kernel is a short way to the host",
        "Write USER into its Dockerfile, or user: %s, after giving it the files that it writes.",
        lambda facts: "its main process is root's" if facts.root else "",
    ),
    ContainerRule(
        "image-latest",
        "medium",
        "",
        "the next pull may bring any version, for a database one that cannot be taken back",
        "Name a version, as in mongo:7, %s.",
        _latest,
    ),
    ContainerRule(
        "no-healthcheck",
        "low",
        "5.27",
        "Docker does not notice when this container hangs",
        "Write a healthcheck: %s, or HEALTHCHECK into its Dockerfile.",
        lambda facts: "" if facts.healthcheck else "no health check",
    ),
    ContainerRule(
        "no-log-limit",
        "medium",
        "",
        "the log of this container grows until the disk is full",
        "Write logging: with max-size and max-file %s, or set both for all in daemon.json (log-opts), and make the container anew.",
        lambda facts: "json-file without max-size" if facts.unlimited_log else "",
    ),
    ContainerRule(
        "secret-in-environment",
        "low",
        "",
        "whoever may ask Docker sees these secrets (docker inspect), and so does each program that this one starts",
        "Give them as files (secrets:), where the program can read a file, %s.",
        lambda facts: _names(facts.secrets) if facts.secrets else "",
    ),
    ContainerRule(
        "secret-in-image",
        "high",
        "4.10",
        "this secret is part of the image: whoever gets the image has it",
        "Take it out of the Dockerfile (ENV, ARG), build anew, change it, and give it %s instead.",
        lambda facts: facts.baked,
    ),
    ContainerRule(
        "data-in-container",
        "high",
        "",
        "this data is lost when the container is made anew, as each update does",
        "Copy it out (docker cp), then mount a volume or directory there %s.",
        lambda facts: facts.in_layer,
    ),
)


def judge_containers(containers: Iterable[ContainerFacts]) -> List[Finding]:
    """The findings of each rule that a container breaks."""
    findings: List[Finding] = []
    for facts in containers:
        for rule in CONTAINER_RULES:
            broken = rule.broken(facts)
            cis = " (CIS Docker Benchmark 1.6.0, %s)" % rule.cis if rule.cis else ""
            # What is said in one may change from day to day, such as a list of names, and is one finding all the same.
            said = [(broken, "")] if isinstance(broken, str) else [(how, how) for how in broken]
            findings.extend(
                Finding(
                    rule.id,
                    rule.severity,
                    "container %s" % facts.name,
                    "%s: %s%s" % (rule.what, how, cis),
                    rule.remediation % facts.yaml,
                    scope=CONTAINER_SCOPE,
                    subject=subject,
                )
                for how, subject in said
                if how
            )
    return findings
