# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which collections are worth compacting, and what that gives back. Pure.

The rules of prediction are measured on WiredTiger (server 6.0): the free bytes of a file are what ``compact`` returns, to
within a percent, except that it declines without a word where less than about a tenth of a file is free, gives back about
two thirds where it is less than three tenths, and never shrinks files of a megabyte or two.

On a replica set they are a rough guide: what snapshots may still read is counted as used, and comes free all the same, or not
(measured on 6.0.27: 80 MB said and 180 MB freed, 13.8 MB said and 8.4 MB freed).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .._core.plan import Action, Kept, Plan
from .._core.units import format_duration, format_size
from .client import Server
from .storage import CollectionStatistics, File
from .topology import DEFAULT_SNAPSHOT_WINDOW, supports

MIB = 1024 * 1024
SMALL_FILE = 2 * MIB
DECLINED_BELOW = 0.10
FULL_FROM = 0.30
PARTIAL_YIELD = 0.65
# The journal, which grows in files of 100 MB, must have room while blocks move.
DISK_NEEDED = 128 * MIB
# What is "freed" below this is the tail that any checkpoint trims.
CHANGED_FROM = 64 * 1024
# Cautious: a quiet machine with an SSD manages ten times as much.
BYTES_PER_SECOND = 40 * MIB
# So often the server writes one by itself.
CHECKPOINT_SECONDS = 60.0
SKIPPED_KINDS = {
    "view": "a view has no data of its own",
    "system": "a collection of the server's own",
    "capped": "a capped collection keeps its size",
}
ROUGH = "a rough guide on a replica set"
# 6.0.27 compacts them, by either of their names; 6.0.5 answers 166. Which release between is the first is not known, and
# compact has no way of asking.
TRIED = "whether this server compacts time-series collections shows when it is tried"


@dataclass(frozen=True)
class Policy:
    """What the user asked for.

    Attributes:
        min_reclaimable: bytes that compacting a collection must give back.
        min_ratio: the same as a share of the collection's files, 0 to 1.
        time_budget: seconds for all compactions together, None for no limit.
        primary: skip or force, for the primary of a replica set.
        max_lag: seconds that a member may be behind.
    """

    min_reclaimable: int
    min_ratio: float
    time_budget: Optional[float] = None
    primary: str = "skip"
    max_lag: float = 10.0


@dataclass(frozen=True)
class CompactionObservation:
    """What the planner decides on.

    Attributes:
        began: seconds of a monotonic clock, from which the time budget counts.
        disk_free: free bytes on the server's data file system, None when not known.
        lag_seconds: of the connected member; None when it is a standalone or a primary, or not known.
        removals: when we last removed documents of a collection, by its namespace.
        snapshot_window: seconds for which the server keeps deleted documents for snapshots.
    """

    server: Server
    collections: Tuple[CollectionStatistics, ...]
    began: float = 0.0
    disk_free: Optional[int] = None
    lag_seconds: Optional[float] = None
    removals: Mapping[str, datetime] = field(default_factory=dict)
    snapshot_window: float = DEFAULT_SNAPSHOT_WINDOW
    warnings: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Compact:
    """Compact this collection.

    Attributes:
        predicted: bytes that are expected to come free.
    """

    database: str
    collection: str
    predicted: int

    @property
    def namespace(self) -> str:
        return "%s.%s" % (self.database, self.collection)


@dataclass(frozen=True)
class Compaction:
    """What a compaction came to.

    Attributes:
        bytes_before, bytes_after: files of the collection and its indexes.
        bytes_freed: their difference; negative where the collection grew meanwhile.
    """

    namespace: str
    bytes_before: int
    bytes_after: int
    bytes_predicted: int
    bytes_freed: int
    seconds: float

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)


def predict_file(file: File) -> int:
    """Bytes that compacting gives back of one file."""
    if file.bytes < SMALL_FILE or file.reusable < DECLINED_BELOW * file.bytes:
        return 0
    if file.reusable < FULL_FROM * file.bytes:
        return int(file.reusable * PARTIAL_YIELD)
    return file.reusable


def predict(statistics: CollectionStatistics) -> int:
    """Bytes that compacting gives back of a collection and its indexes."""
    return sum(predict_file(file) for file in statistics.files)


def estimate_seconds(statistics: CollectionStatistics) -> float:
    """How long compacting takes at most on a slow disk; the server tells nothing beforehand."""
    return 1.0 + statistics.bytes / float(BYTES_PER_SECOND)


def describe_free(statistics: CollectionStatistics, server: Server) -> str:
    """How much of a collection's files is free, and how far that can be relied on."""
    text = "%s of %s free" % (format_size(statistics.reusable), format_size(statistics.bytes))
    return "%s (%s)" % (text, ROUGH) if server.topology == "replica set" else text


def unworthy(statistics: CollectionStatistics, policy: Policy, server: Server) -> str:
    """Why a collection is not worth compacting; "" when it is."""
    if statistics.kind in SKIPPED_KINDS:
        return SKIPPED_KINDS[statistics.kind]
    expected = predict(statistics)
    free = describe_free(statistics, server)
    if expected == 0:
        if statistics.reusable and statistics.bytes < SMALL_FILE:
            return "%s: files this small never shrink" % free
        if statistics.reusable:
            return "%s: the server declines where so little of a file is free" % free
        return "nothing to reclaim"
    if expected < policy.min_reclaimable:
        return "%s, about %s to get: below min_reclaimable (%s)" % (
            free,
            format_size(expected),
            format_size(policy.min_reclaimable),
        )
    if expected < policy.min_ratio * statistics.bytes:
        return "%s, about %s to get: below min_ratio (%g)" % (free, format_size(expected), policy.min_ratio)
    return ""


def snapshot_obstacle(namespace: str, observation: CompactionObservation, now: datetime) -> str:
    """Why a collection is not compacted yet although it is worth it: we have just removed documents; "" when it may be."""
    removed = observation.removals.get(namespace)
    if removed is None or observation.server.topology != "replica set":
        return ""
    # What the window lets go of is free from the next checkpoint on.
    left = observation.snapshot_window + CHECKPOINT_SECONDS - (now - removed).total_seconds()
    if left <= 0:
        return ""
    return (
        "documents were removed so recently that snapshots may still read them, and compacting now would freeze them into the"
        " file: it may be compacted in %s" % format_duration(left)
    )


def member_obstacle(server: Server, lag_seconds: Optional[float], policy: Policy) -> str:
    """Why nothing may be compacted on this member at all; "" when it may."""
    if server.topology != "replica set":
        return ""
    if server.state == "primary" and policy.primary == "skip":
        return (
            "this member is the primary, and primary is skip: connect to a secondary (address), or set primary: force"
        )
    if server.state not in ("primary", "secondary"):
        return "this member is neither primary nor secondary (%s)" % server.state
    if lag_seconds is not None and lag_seconds > policy.max_lag:
        return "this member is %s behind the primary, more than max_lag (%s)" % (
            format_duration(lag_seconds),
            format_duration(policy.max_lag),
        )
    return ""


def plan_compaction(observation: CompactionObservation, policy: Policy, now: datetime) -> Plan[Compact]:
    """What to compact, most rewarding first, and what not and why. Pure."""
    plan: Plan[Compact] = Plan(warnings=list(observation.warnings))
    obstacle = member_obstacle(observation.server, observation.lag_seconds, policy)
    worthy: List[CollectionStatistics] = []
    for statistics in observation.collections:
        reason = unworthy(statistics, policy, observation.server) or obstacle
        reason = reason or snapshot_obstacle(statistics.namespace, observation, now)
        if not reason and observation.disk_free is not None and observation.disk_free < DISK_NEEDED:
            reason = "only %s free on the server's disk, and compacting needs %s for its journal" % (
                format_size(observation.disk_free),
                format_size(DISK_NEEDED),
            )
            plan.warnings.append("%s is not compacted: %s." % (statistics.namespace, reason))
        if reason:
            plan.kept.append(Kept(statistics.namespace, reason))
        else:
            worthy.append(statistics)
    spent = 0.0
    for statistics in sorted(worthy, key=lambda entry: (-predict(entry), entry.namespace)):
        seconds = estimate_seconds(statistics)
        if policy.time_budget is not None and spent + seconds > policy.time_budget:
            reason = "may take %s, and %s of time_budget are left" % (
                format_duration(seconds),
                format_duration(max(0.0, policy.time_budget - spent)),
            )
            plan.kept.append(Kept(statistics.namespace, reason))
            continue
        spent += seconds
        plan.actions.append(
            Action(
                "compact",
                statistics.namespace,
                describe_free(statistics, observation.server)
                + (": " + TRIED if statistics.kind == "timeseries" else ""),
                Compact(statistics.database, statistics.name, predict(statistics)),
                predict(statistics),
                predicted=True,
            )
        )
    return plan


def compact_command(server: Server, collection: str, policy: Policy, comment: str) -> Dict[str, Any]:
    """The command for one collection: nothing that this server would not understand. Pure."""
    command: Dict[str, Any] = {"compact": collection, "comment": comment}
    if server.topology == "replica set" and server.state == "primary" and policy.primary == "force":
        command["force"] = True
    if supports(server, "compact_free_space_target") and policy.min_reclaimable < 20 * MIB:
        # From 8.0 on the server declines below 20 MB by itself, unless told otherwise.
        command["freeSpaceTargetMB"] = max(1, policy.min_reclaimable // MIB)
    return command


def worth_from(policy: Policy) -> str:
    """From where on a collection is worth it, for a person."""
    return "%s and %g %% of a collection's files on" % (format_size(policy.min_reclaimable), policy.min_ratio * 100)


def compaction_headline(freed: int, predicted: int, count: int, check: bool, server: Server, policy: Policy) -> str:
    """One sentence for a person, with the thresholds that decided."""
    collections = "%d collection%s" % (count, "" if count == 1 else "s")
    rough = ", " + ROUGH if server.topology == "replica set" else ""
    if check:
        if not count:
            return "would compact nothing: worth it from %s" % worth_from(policy)
        return "would compact %s and free about %s%s; worth it from %s" % (
            collections,
            format_size(predicted),
            rough,
            worth_from(policy),
        )
    if not count:
        return "compacted nothing: worth it from %s" % worth_from(policy)
    return "freed %s in %s (predicted %s%s); worth it from %s" % (
        format_size(freed),
        collections,
        format_size(predicted),
        rough,
        worth_from(policy),
    )


def shortfall_warnings(results: Sequence[Compaction]) -> List[str]:
    """Where far less came free than predicted, a sentence each."""
    return [
        "%s: %s came free instead of the predicted %s. Recently deleted documents are freed minutes later: a later run gets the rest."
        % (entry.namespace, format_size(entry.bytes_freed), format_size(entry.bytes_predicted))
        for entry in results
        if entry.bytes_freed < entry.bytes_predicted / 2
    ]
