# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which indexes are built anew, and which collections validated. Pure.

``reIndex`` works on a standalone only (error 20 on a member of a replica set, since 4.4 and 5.0), keeps readers and writers of the
collection waiting, and gains little over ``compact``, which shrinks the files of indexes as well and keeps nobody waiting.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple, Union

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .._core.plan import Action, Kept, Plan
from .._core.units import format_size
from .client import Server
from .compaction import predict_file
from .storage import CollectionStatistics

# The journal and the server's own need room beside the new indexes.
ROOM_BESIDE = 128 * 1024 * 1024
REBUILD_SKIPPED = {
    "view": "a view has no indexes of its own",
    "system": "a collection of the server's own",
    "timeseries": "reIndex does not take time-series collections; compaction shrinks their indexes",
}
VALIDATE_SKIPPED = {
    "view": "a view has no data of its own",
    "system": "a collection of the server's own",
}


@dataclass(frozen=True)
class ReindexPolicy:
    """What the user asked for.

    Attributes:
        mode: rebuild or validate.
        min_reclaimable: free bytes in the indexes of a collection from which on they are built anew; 0 for whatever is free.
        foreground: validate keeps writers waiting, sees all, and mends counts.
        full: validate looks at whole pages, too.
        require_maintenance: whatever keeps visitors waiting wants them to be turned away.
    """

    mode: str
    min_reclaimable: int = 0
    foreground: bool = False
    full: bool = False
    require_maintenance: bool = True

    @property
    def keeps_waiting(self) -> bool:
        return self.mode == "rebuild" or self.foreground


@dataclass(frozen=True)
class SeenCollection:
    """One of the collections named.

    Attributes:
        indexes: how many it has.
        count: what its statistics say; counted: the documents, counted one by one, None where nobody counted.
    """

    statistics: CollectionStatistics
    indexes: int = 0
    count: int = 0
    counted: Optional[int] = None

    @property
    def index_bytes(self) -> int:
        return sum(file.bytes for file in self.statistics.indexes)

    @property
    def index_reusable(self) -> int:
        return sum(file.reusable for file in self.statistics.indexes)

    @property
    def count_is_wrong(self) -> bool:
        return self.counted is not None and self.counted != self.count

    @property
    def mends(self) -> bool:
        """Validating in the foreground mends its count. Measured on 6.0.5 and 6.0.27: not while the collection is empty."""
        return self.count_is_wrong and bool(self.counted)


@dataclass(frozen=True)
class Unfinished:
    """Definitions that were saved by a rebuild which did not end.

    Attributes:
        note: id of the leftover.
        missing: the indexes that are not there.
        same_collection: the collection is still the one that it was.
    """

    note: str
    database: str
    collection: str
    path: str
    missing: Tuple[str, ...] = ()
    same_collection: bool = True

    @property
    def namespace(self) -> str:
        return "%s.%s" % (self.database, self.collection)


@dataclass(frozen=True)
class ReindexObservation:
    """What the planner decides on.

    Attributes:
        in_maintenance: nginx or the application turns visitors away.
        disk_free: free bytes on the server's data file system, None when not known.
    """

    server: Server
    address: str
    collections: Tuple[SeenCollection, ...]
    unfinished: Tuple[Unfinished, ...] = ()
    in_maintenance: bool = False
    disk_free: Optional[int] = None
    warnings: Tuple[str, ...] = ()


@dataclass(frozen=True)
class CompleteIndexes:
    """Make again what a rebuild that did not end has lost. note: id of the leftover."""

    note: str
    database: str
    collection: str


@dataclass(frozen=True)
class RebuildIndexes:
    """Build all indexes of a collection anew."""

    database: str
    collection: str


@dataclass(frozen=True)
class ValidateCollection:
    """Validate a collection.

    Attributes:
        name: by which the server knows what is to be validated: the buckets of a time-series collection.
    """

    database: str
    collection: str
    name: str
    foreground: bool
    full: bool


Work = Union[CompleteIndexes, RebuildIndexes, ValidateCollection]


def validate_command(work: ValidateCollection, comment: str) -> Dict[str, Any]:
    """The command for one collection: never one that repairs, which may throw documents away. Pure."""
    command: Dict[str, Any] = {"validate": work.name, "comment": comment}
    if not work.foreground:
        command["background"] = True
    elif work.full:
        command["full"] = True
    return command


def count_indexes(number: int) -> str:
    return "%d index%s" % (number, "" if number == 1 else "es")


def maintenance_refusal(observation: ReindexObservation, policy: ReindexPolicy) -> Optional[MaintenanceError]:
    """Why nothing is done at all while visitors are in the shop; None where it may be."""
    if not (policy.keeps_waiting and policy.require_maintenance) or observation.in_maintenance:
        return None
    return MaintenanceError(
        "%s keeps the shop waiting, and visitors are not turned away"
        % ("rebuilding indexes" if policy.mode == "rebuild" else "validating in the foreground"),
        target=observation.address,
        next_step="Put up maintenance mode first (playbook enter_maintenance), or set require_maintenance: false.",
    )


def instead_of_rebuild(observation: ReindexObservation) -> List[str]:
    """What to do where the server does not rebuild, a step each."""
    if observation.server.topology == "standalone":
        return []
    steps = []
    for seen in observation.collections:
        if seen.statistics.kind in REBUILD_SKIPPED:
            continue
        expected = sum(predict_file(file) for file in seen.statistics.indexes)
        steps.append(
            "%s: indexes of %s, %s of them free. mongo_compact shrinks them by about %s on this member, and keeps nobody waiting."
            % (
                seen.statistics.namespace,
                format_size(seen.index_bytes),
                format_size(seen.index_reusable),
                format_size(expected),
            )
        )
    if observation.server.topology == "mongos":
        return [*steps, "Through mongos nothing is rebuilt: work on the members of each shard."]
    return [
        *steps,
        "To build indexes anew all the same, one member after another, secondaries first: stop the member; start it on another port"
        " without --replSet; run mongo_reindex on it with that address and require_maintenance: false; start it again as it was,"
        " and wait until rs.status() calls it SECONDARY and it has caught up.",
        "The primary last: rs.stepDown(), then the same.",
    ]


def _topology_reason(server: Server) -> str:
    if server.topology == "mongos":
        return "reIndex works on a standalone, and this is mongos: see instead"
    return "reIndex works on a standalone, and this is a member of the replica set %s: see instead" % server.set_name


def unworthy_of_rebuild(seen: SeenCollection, policy: ReindexPolicy) -> str:
    """Why the indexes of a collection are left as they are; "" when they are not. Pure."""
    kind = seen.statistics.kind
    if kind in REBUILD_SKIPPED:
        return REBUILD_SKIPPED[kind]
    if not seen.indexes:
        return "it has no indexes"
    if seen.index_reusable < policy.min_reclaimable:
        return "%s of %s of its indexes are free: below min_reclaimable (%s)" % (
            format_size(seen.index_reusable),
            format_size(seen.index_bytes),
            format_size(policy.min_reclaimable),
        )
    return ""


def plan_reindex(observation: ReindexObservation, policy: ReindexPolicy) -> Plan[Work]:
    """What to do, and what not and why. Pure.

    Raises:
        MaintenanceError: it would keep visitors waiting.
    """
    plan: Plan[Work] = Plan(warnings=list(observation.warnings))
    blocked = _plan_completion(observation, plan)
    if policy.mode == "validate":
        _plan_validation(observation, policy, plan)
    else:
        _plan_rebuild(observation, policy, plan, blocked)
    if any(not isinstance(action.work, CompleteIndexes) for action in plan.actions):
        refusal = maintenance_refusal(observation, policy)
        if refusal is not None:
            raise refusal
    return plan


def _plan_completion(observation: ReindexObservation, plan: Plan[Work]) -> List[str]:
    """What killed rebuilds have lost comes first. Returns the collections whose indexes nobody may touch before a person has looked."""
    blocked = []
    for entry in observation.unfinished:
        if not entry.same_collection:
            blocked.append(entry.namespace)
            text = (
                "a rebuild of its indexes did not end, and the collection is another one now (renamed, restored or made anew):"
                " compare its indexes with those saved in %s, then remove that file" % entry.path
            )
            plan.kept.append(Kept(entry.namespace, text))
            plan.warnings.append("%s: %s." % (entry.namespace, text))
            continue
        reason = "a rebuild did not end; all its indexes are there, and the saved definitions are not needed any more"
        if entry.missing:
            reason = "a rebuild did not end: %s to be made again (%s)" % (
                count_indexes(len(entry.missing)),
                ", ".join(entry.missing),
            )
        work = CompleteIndexes(entry.note, entry.database, entry.collection)
        plan.actions.append(Action("complete", entry.namespace, reason, work))
    return blocked


def _plan_rebuild(observation: ReindexObservation, policy: ReindexPolicy, plan: Plan[Work], blocked: List[str]) -> None:
    elsewhere = "" if observation.server.topology == "standalone" else _topology_reason(observation.server)
    for seen in sorted(observation.collections, key=lambda item: (-item.index_reusable, item.statistics.namespace)):
        namespace = seen.statistics.namespace
        if namespace in blocked:
            continue
        reason = elsewhere or unworthy_of_rebuild(seen, policy)
        needed = seen.index_bytes + ROOM_BESIDE
        if not reason and observation.disk_free is not None and observation.disk_free < needed:
            # What is dropped is not given back before the next checkpoint.
            reason = "only %s free on the server's disk, and building them beside the old ones needs %s" % (
                format_size(observation.disk_free),
                format_size(needed),
            )
            plan.warnings.append("%s is not rebuilt: %s." % (namespace, reason))
        if reason:
            plan.kept.append(Kept(namespace, reason))
            continue
        plan.actions.append(
            Action(
                "rebuild",
                namespace,
                "%s, %s of %s free"
                % (count_indexes(seen.indexes), format_size(seen.index_reusable), format_size(seen.index_bytes)),
                RebuildIndexes(seen.statistics.database, seen.statistics.name),
                seen.index_reusable,
                predicted=True,
            )
        )


def _plan_validation(observation: ReindexObservation, policy: ReindexPolicy, plan: Plan[Work]) -> None:
    for seen in observation.collections:
        statistics = seen.statistics
        if statistics.kind in VALIDATE_SKIPPED:
            plan.kept.append(Kept(statistics.namespace, VALIDATE_SKIPPED[statistics.kind]))
            continue
        reason = "in the background: reads and writes go on, and nothing is mended"
        if policy.foreground:
            reason = "in the foreground: writers wait"
            if seen.mends:
                reason += "; mends the count of documents, %d instead of %d" % (seen.count, seen.counted or 0)
            elif seen.count_is_wrong:
                reason += (
                    "; its count of documents is %d, which validating mends only once it holds a document again"
                    % seen.count
                )
        name = "system.buckets." + statistics.name if statistics.kind == "timeseries" else statistics.name
        work = ValidateCollection(statistics.database, statistics.name, name, policy.foreground, policy.full)
        plan.actions.append(Action("validate", statistics.namespace, reason, work))
