# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the engine gives a member of a replica set the time that it needs to stop.

Measured with 6.0.27, from SIGTERM to its exit: a member of a set of two or more 16.6 to 18.1 s, of which 15 s go by in quiesce
mode, with clients and without; a set of one member 2.7 s, a standalone 2.1 s. Engine and compose wait for 10 s unless they are
told otherwise and kill it then. So there is nothing to say of a standalone, nor of a set that is known to have one member.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .._audit.rule_names import KILLED_WHEN_STOPPED
from .._core.errors import MaintenanceError
from .._core.finding import KNOWN, Finding, fingerprint
from .._core.late_dataclass import dataclass
from .._docker.compose_file import stop_grace_periods
from .._docker.project import Container, place
from .host_reader import HostReader

# The longest that was measured, and what gives it room on a busy disk.
NEEDED_SECONDS = 18.1
ADVISED = "30s"
# Docker's own, for a container that does not say.
DEFAULT_GRACE_SECONDS = 10.0
RULE = KILLED_WHEN_STOPPED
# The subject is the name of a container: nothing to hide, and the same id on every host and in each run.
_FINGERPRINT_KEY = b"miniecom.maintenance.context_info"
_SET_OPTION = re.compile(r"--replSet[\s=]+[\"']?([^\s\"',\]/]+)")
_CONFIG_OPTION = re.compile(r"(?:^|\s)(?:--config|-f)[\s=]+[\"']?(/[^\s\"',\]]+)")
# In a configuration file, as YAML or in the old form.
_SET_IN_FILE = re.compile(r"^\s*(?:replication\.)?(?:replSetName|replSet)\s*[:=]\s*[\"']?([^\s\"'#]+)", re.MULTILINE)
_LARGEST_CONFIG = 1 << 20


@dataclass(frozen=True)
class SetMember:
    """A mongod in a container of the shop that belongs to a replica set.

    Attributes:
        grace: seconds that the engine waits for it; infinite where it never kills.
        file_grace: seconds that the compose files give it now, None where they say nothing; file is the one that does, or the
            one in which it would be said.
    """

    container: str
    service: str
    replica_set: str
    grace: float
    file: str = ""
    file_grace: Optional[float] = None

    def as_dict(self) -> Dict[str, Any]:
        return {
            "container": self.container,
            "service": self.service,
            "replica_set": self.replica_set,
            "stop_grace_seconds": None if self.grace == float("inf") else self.grace,
            "stop_grace_seconds_in_file": self.file_grace,
        }


def stop_values(reader: HostReader) -> Dict[str, Any]:
    """What is told of the stopping of the shop's database; findings go to the reader."""
    members = read_set_members(reader)
    findings = judge_stops(members, len(reader.uri.hosts) if reader.uri else 0)
    reader.findings.extend(findings)
    return {"set_members": [member.as_dict() for member in members], "stop_problem": stop_sentence(findings)}


def read_set_members(reader: HostReader) -> List[SetMember]:
    """The containers of the shop's project in which a member of a replica set runs, or would."""
    if reader.project is None:
        return []
    periods, files = _periods(reader.project.files)
    found = []
    for container in reader.project.containers:
        words = "%s %s %s" % (container.raw.get("Command"), container.image, container.service)
        if "mongo" not in words.lower():
            continue
        try:
            detail = reader.inspect(container)
        except MaintenanceError as error:
            reader.warnings.append("how long %s is given to stop is not known: %s" % (container.name, error))
            continue
        name = set_name(detail) or _set_by_string(reader, container)
        if name:
            service = container.service
            file = files.get(service) or next(iter(reader.project.files), "")
            found.append(SetMember(container.name, service, name, stop_grace(detail), file, periods.get(service)))
    return found


def _periods(paths: Sequence[str]) -> Tuple[Dict[str, float], Dict[str, str]]:
    """What the files say for each service, and which of them says it: the last one counts."""
    periods: Dict[str, float] = {}
    files: Dict[str, str] = {}
    for path in paths:
        for service, seconds in stop_grace_periods(_read(path)).items():
            periods[service], files[service] = seconds, path
    return periods, files


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read(_LARGEST_CONFIG)
    except OSError:  # whoever reads the project's files says so
        return ""


def stop_grace(detail: Mapping[str, Any]) -> float:
    """Seconds that the engine waits after it has asked a container to stop. Pure."""
    seconds = (detail.get("Config") or {}).get("StopTimeout")
    if seconds is None:
        return DEFAULT_GRACE_SECONDS
    return float("inf") if seconds < 0 else float(seconds)


def set_name(detail: Mapping[str, Any]) -> str:
    """The replica set of the mongod in a container, by its command or the file that this names; "" for a standalone."""
    words = " ".join([str(detail.get("Path") or ""), *(str(word) for word in detail.get("Args") or ())])
    told = _SET_OPTION.search(words)
    if told:
        return told.group(1)
    config = _CONFIG_OPTION.search(words)
    path = place(detail, config.group(1)).path if config else ""
    told = _SET_IN_FILE.search(_read(path)) if path else None
    return told.group(1) if told else ""


def _set_by_string(reader: HostReader, container: Container) -> str:
    """The set that the application's connection string names, where the container is one of its hosts."""
    if reader.uri is None or not reader.uri.replica_set:
        return ""
    names = {host for host, _port in reader.uri.hosts}
    return reader.uri.replica_set if names.intersection((container.service, container.name)) else ""


def judge_stops(members: Sequence[SetMember], hosts: int) -> List[Finding]:
    """A finding for each member that is killed before it can have stopped. Pure.

    Args:
        hosts: how many the connection string names: members may run elsewhere.
    """
    findings = []
    for member in members:
        size = max(hosts, sum(other.replica_set == member.replica_set for other in members))
        message = _message(member) if size > 1 else ""
        if message:
            findings.append(Finding(RULE, "medium", member.container, message, _remedy(member), scope="docker"))
    # They stand until the container is made anew, and are no news each week.
    return [replace(finding, status=KNOWN, fingerprint=fingerprint(_FINGERPRINT_KEY, finding)) for finding in findings]


def _message(member: SetMember) -> str:
    """What is wrong with the time that one of several members is given; "" when nothing is."""
    if member.grace < NEEDED_SECONDS:
        when, then = "It is killed %g s after it is asked to stop" % member.grace, "each stop is a crash for it"
    elif member.file_grace is not None and member.file_grace < NEEDED_SECONDS:
        when = "The container made next will be killed %g s after it is asked to stop" % member.file_grace
        then = "each stop will be a crash for it"
    else:
        return ""
    return "%s, and a member of a replica set needs up to 18 s: %s." % (when, then)


def _remedy(member: SetMember) -> str:
    anew = "let compose make the container anew (docker compose up -d %s)" % member.service
    until = "Until then stop it with docker stop -t 30 %s." % member.container
    if member.file_grace is not None and member.file_grace >= NEEDED_SECONDS:
        return "The container is older than stop_grace_period in %s: %s. %s" % (member.file, anew, until)
    where = " in %s" % member.file if member.file else " in the compose file"
    write = "Write stop_grace_period: %s under the service %s%s" % (ADVISED, member.service, where)
    # The container that runs now may be fine already.
    return write + "." if member.grace >= NEEDED_SECONDS else "%s, and %s. %s" % (write, anew, until)


def stop_sentence(findings: Sequence[Finding]) -> str:
    """The findings in a few words; "" without any. Pure."""
    if not findings:
        return ""
    return "Docker kills MongoDB before it has stopped (%s): give it stop_grace_period: %s" % (
        ", ".join(finding.target for finding in findings),
        ADVISED,
    )
