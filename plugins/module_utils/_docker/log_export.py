# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose logs are collected, which collections are old enough to go, and which logs grow without end. Pure."""

from __future__ import annotations

import re
from dataclasses import field
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from .._core.clock import compact_utc
from .._core.late_dataclass import dataclass
from .._core.plan import Action, Kept, Plan
from .._core.units import format_duration, format_size
from .inventory import PROJECT_LABEL, SERVICE_LABEL
from .log_stream import Anchor

SHORT_ID = 12
_NAME = re.compile(r"^(\d{8}T\d{6}Z)-([0-9a-f]{12})-(\d{6,})\.log\.gz$")
# What these drivers keep is limited unless somebody says otherwise: `local` by itself (five files of 20 MB), journald by the journal's settings.
_UNLIMITED_DRIVERS = ("json-file",)


@dataclass(frozen=True)
class LoggedContainer:
    """A container, as far as its log is concerned.

    Attributes:
        terminal: it has one, so that its log is not framed.
        driver: its log driver; "" when it was not told.
        log_bytes: of the driver's file; None when it cannot be seen from here.
    """

    id: str
    name: str
    project: str = ""
    service: str = ""
    terminal: bool = False
    driver: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    log_bytes: Optional[int] = None

    @property
    def short_id(self) -> str:
        return self.id[:SHORT_ID]

    @property
    def unlimited(self) -> bool:
        """Its log grows until the disk is full."""
        if self.driver not in _UNLIMITED_DRIVERS:
            return False
        return str(self.options.get("max-size") or "-1").strip() in ("-1", "0")


def parse_logged_container(raw: Mapping[str, Any], log_bytes: Optional[int] = None) -> LoggedContainer:
    """A container as the engine describes it."""
    config = raw.get("Config") or {}
    labels = config.get("Labels") or {}
    log = (raw.get("HostConfig") or {}).get("LogConfig") or {}
    return LoggedContainer(
        str(raw["Id"]),
        str(raw.get("Name") or raw["Id"][:SHORT_ID]).lstrip("/"),
        str(labels.get(PROJECT_LABEL) or ""),
        str(labels.get(SERVICE_LABEL) or ""),
        bool(config.get("Tty")),
        str(log.get("Type") or ""),
        {str(key): str(value) for key, value in (log.get("Config") or {}).items()},
        log_bytes,
    )


@dataclass(frozen=True)
class Export:
    """A collection of earlier: a file.

    Attributes:
        taken: when, as its name says it.
    """

    path: str
    short_id: str
    sequence: int
    taken: datetime
    size: int


def parse_export_name(name: str) -> Optional[Tuple[str, str, int]]:
    """Moment, container and number of a collection, from the name of its file; None for any other file."""
    match = _NAME.match(name)
    if match is None:
        return None
    try:
        datetime.strptime(match.group(1), "%Y%m%dT%H%M%SZ")
    except ValueError:
        return None
    return match.group(1), match.group(2), int(match.group(3))


def export_name(container: LoggedContainer, sequence: int, now: datetime) -> str:
    """The name of the file of a collection."""
    return "%s-%s-%06d.log.gz" % (compact_utc(now), container.short_id, sequence)


def newest_exports(exports: Sequence[Export]) -> Dict[str, Export]:
    """The last collection of each container, by its short id."""
    newest: Dict[str, Export] = {}
    for export in exports:
        if export.short_id not in newest or newest[export.short_id].sequence < export.sequence:
            newest[export.short_id] = export
    return newest


@dataclass(frozen=True)
class Torn:
    """A collection that a killed call has not finished."""

    path: str
    size: int


@dataclass(frozen=True)
class Pending:
    """What was found in a log beyond its last collection, without writing it down."""

    lines: int
    bytes: int


@dataclass(frozen=True)
class LogWorld:
    """What was observed.

    Attributes:
        torn: what killed calls have left, long enough ago for nobody to be writing it.
        anchors: where the last collection of a container ended, by its id.
        pending: what is new, by id; only where that was looked at beforehand (in check mode).
        unreadable: why a log could not be read, by id.
    """

    containers: Tuple[LoggedContainer, ...] = ()
    exports: Tuple[Export, ...] = ()
    torn: Tuple[Torn, ...] = ()
    anchors: Mapping[str, Anchor] = field(default_factory=dict)
    pending: Mapping[str, Pending] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LogPolicy:
    """What is asked for.

    Attributes:
        project: of which compose project; empty for all containers.
        remove_after: age in seconds from which a collection goes; None for never.
        max_size: bytes that all collections may take together; None for any number.
        fresh_within: a log that was collected at most so many seconds ago is left for the next time.
    """

    project: str = ""
    remove_after: Optional[float] = None
    max_size: Optional[int] = None
    fresh_within: float = 0.0


@dataclass(frozen=True)
class CollectLog:
    """Write down what a log holds beyond its last collection."""

    container: LoggedContainer
    anchor: Optional[Anchor]


@dataclass(frozen=True)
class RemoveExport:
    """Remove this collection."""

    path: str
    size: int


LogExportWork = Union[CollectLog, RemoveExport]


def in_scope(containers: Sequence[LoggedContainer], policy: LogPolicy) -> List[LoggedContainer]:
    """Those whose logs are asked for, by name."""
    wanted = [item for item in containers if not policy.project or item.project == policy.project]
    return sorted(wanted, key=lambda item: (item.name, item.id))


def plan_logs(world: LogWorld, policy: LogPolicy, now: datetime) -> Plan[LogExportWork]:
    """Decide about every log and every collection. Pure."""
    plan: Plan[LogExportWork] = Plan()
    newest = newest_exports(world.exports)
    for container in in_scope(world.containers, policy):
        anchor = world.anchors.get(container.id)
        since = "since %sZ" % anchor.stamp[:19] if anchor else "for the first time"
        pending = world.pending.get(container.id)
        fresh = collected_lately(newest.get(container.short_id), policy, now)
        if container.driver == "none":
            plan.kept.append(Kept(container.name, "its log driver (none) keeps nothing"))
        elif fresh:
            plan.kept.append(Kept(container.name, fresh))
        elif container.id in world.unreadable:
            plan.kept.append(Kept(container.name, world.unreadable[container.id]))
        elif pending is not None and not pending.lines:
            plan.kept.append(Kept(container.name, "nothing new " + since if anchor else "its log is empty"))
        else:
            found = since
            if pending is not None:
                found = "%d new %s (%s) %s" % (
                    pending.lines,
                    "line" if pending.lines == 1 else "lines",
                    format_size(pending.bytes),
                    since,
                )
            plan.actions.append(Action("collect", container.name, found, CollectLog(container, anchor)))
    for torn in world.torn:
        work = RemoveExport(torn.path, torn.size)
        plan.actions.append(Action("remove", torn.path, "a call that was killed has not finished it", work, torn.size))
    _plan_removals(world.exports, policy, now, plan)
    return plan


def collected_lately(newest: Optional[Export], policy: LogPolicy, now: datetime) -> str:
    """Why a log is left for the next time; "" when it is not."""
    age = (now - newest.taken).total_seconds() if newest else -1.0
    return "collected %s ago" % format_duration(age) if 0 <= age < policy.fresh_within else ""


def _plan_removals(exports: Sequence[Export], policy: LogPolicy, now: datetime, plan: Plan[LogExportWork]) -> None:
    """The oldest go first; what is younger than allowed stays, whatever the size of it all, when it is the last of its container."""
    newest = newest_exports(exports)
    total = sum(export.size for export in exports)
    for export in sorted(exports, key=lambda item: (item.taken, item.path)):
        age = (now - export.taken).total_seconds()
        if policy.remove_after is not None and age > policy.remove_after:
            reason = "collected %s ago" % format_duration(age)
        elif policy.max_size is not None and total > policy.max_size and newest[export.short_id] != export:
            reason = "all collections together take %s, more than max_size" % format_size(total)
        else:
            plan.kept.append(Kept(export.path, "collected %s ago" % format_duration(max(age, 0))))
            continue
        total -= export.size
        plan.actions.append(Action("remove", export.path, reason, RemoveExport(export.path, export.size), export.size))


def unlimited_logs(containers: Sequence[LoggedContainer], policy: LogPolicy) -> List[Dict[str, Any]]:
    """Whose log grows without end, the largest first, and what to set."""
    found = [
        {
            "container": container.name,
            "service": container.service,
            "driver": container.driver,
            "bytes": container.log_bytes,
            "remedy": _remedy(container),
        }
        for container in in_scope(containers, policy)
        if container.unlimited
    ]
    return sorted(found, key=lambda item: (-(item["bytes"] or 0), item["container"]))


def _remedy(container: LoggedContainer) -> str:
    if container.service:
        return (
            "Add to the service %s in the compose file: logging: {driver: local, options: {max-size: 20m, max-file: '5'}}; "
            "it applies when the container is made anew." % container.service
        )
    return "Make it anew with --log-driver local, or set log-driver and log-opts in /etc/docker/daemon.json for new containers."
