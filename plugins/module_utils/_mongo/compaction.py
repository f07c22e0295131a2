# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which collections are worth compacting, and what that gives back. Pure.

The rules of prediction are measured on WiredTiger (server 6.0): the free bytes of a file are what ``compact`` returns, mostly to
within a percent, except that it declines without a word where less than about a tenth of a file is free, gives back about
two thirds where it is less than three tenths, and never shrinks files of a megabyte or two.

It moves the last tenths of a file until less than a tenth of the rest is free, so that as much as a ninth of what is left may stay,
by where in the file the documents lie, which no counter tells; of small files more. Of 160 collections that a checkpoint had written
(6.0.5 and 6.0.27, 42 to 80 % deleted at the start, in the middle, at the end, all over or in blocks) 106 gave back what was predicted
to within 3 %; of the others those with files above 15 MiB up to 15 % less, the small ones up to 74 % less, and one 5 % more. What
stayed beyond that ninth was below 1 MiB in these, and 2.9 MiB in one of 12 MiB: with 4 MiB that is what is told as the least. It is
what was seen (in 80 more of 12 MiB none gave back less), and no promise of the server's.

On a replica set they are a rough guide: what snapshots may still read is counted as used, and comes free all the same, or not
(measured on 6.0.27: 80 MB said and 180 MB freed, 13.8 MB said and 8.4 MB freed).
"""

from __future__ import annotations

from dataclasses import asdict, field
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from .._core.late_dataclass import dataclass
from .._core.plan import Action, Kept, Plan
from .._core.units import counted, format_duration, format_size
from .client import Server
from .compaction_history import PastYield
from .recent_removals import RecentRemoval
from .storage import CollectionStatistics, File
from .topology import DEFAULT_SNAPSHOT_WINDOW, replicates_while_compacting, supports

MIB = 1024 * 1024
SMALL_FILE = 2 * MIB
DECLINED_BELOW = 0.10
FULL_FROM = 0.30
# Of what is left of a file, this share may stay free, and so much more.
LEFT_FREE = 1 / 9
LEFT_BYTES = 4 * MIB
PARTIAL_YIELD = 0.65
# The journal, which grows in files of 100 MB, must have room while blocks move.
DISK_NEEDED = 128 * MIB
# What is "freed" below this is the tail that any checkpoint trims.
CHANGED_FROM = 64 * 1024
# Cautious: a quiet machine with an SSD manages ten times as much.
BYTES_PER_SECOND = 40 * MIB
# A member that has stepped down does not stand for election for as long as its compactions may take, and this.
STEP_DOWN_SECONDS = 60
# So often the server writes one by itself.
CHECKPOINT_SECONDS = 60.0
SKIPPED_KINDS = {
    "view": "a view has no data of its own",
    "system": "a collection of the server's own",
    "capped": "a capped collection keeps its size",
}
ROUGH = "a rough guide on a replica set"
# How many of the last compactions of a collection say what the next one frees, by the share of what was predicted, and no
# share counts for more than this.
_EXPERIENCE = 3
_MOST_SHARE = 2.0
# What has failed to shrink a file says nothing any more once the file has grown so much.
_GROWN = 1.25
# Two compactions that freed less than this share: the free space is scattered among the documents.
_SCATTERED = 0.25
INITIAL_SYNC = "its deletions are scattered, which compaction does not mend: an initial sync of this member would"
_DEFERRED = "deferred: "
# What others removed of late keeps a collection from being compacted from this share on of what there is to get: a few documents
# that a TTL index removes each minute do not.
_RECENT_SHARE = 0.05
FROZEN = "snapshots may still read them, and compacting now would freeze them into the file: it may be compacted in %s"
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
        primary: skip, stepdown or force, for the primary of a replica set.
        max_lag: seconds that a member may be behind.
        rolling: every member of the set in turn, not just the connected one.
        force: also secondaries that cannot replicate while they compact.
    """

    min_reclaimable: int
    min_ratio: float
    time_budget: Optional[float] = None
    primary: str = "skip"
    max_lag: float = 10.0
    rolling: bool = False
    force: bool = False


@dataclass(frozen=True)
class CompactionObservation:
    """What the planner decides on, of one server.

    Attributes:
        disk_free: free bytes on the server's data file system, None when not known.
        lag_seconds: of the connected member; None when it is a standalone or a primary, or not known.
        removals: when we last removed documents of a collection, by its namespace.
        recent: what anybody has removed of late, by namespace.
        snapshot_window: seconds for which the server keeps deleted documents for snapshots.
        past: what earlier compactions of this server came to, by namespace, oldest first.
    """

    server: Server
    collections: Tuple[CollectionStatistics, ...]
    disk_free: Optional[int] = None
    lag_seconds: Optional[float] = None
    removals: Mapping[str, datetime] = field(default_factory=dict)
    snapshot_window: float = DEFAULT_SNAPSHOT_WINDOW
    warnings: Tuple[str, ...] = ()
    past: Mapping[str, Sequence[PastYield]] = field(default_factory=dict)
    recent: Mapping[str, RecentRemoval] = field(default_factory=dict)


def place_of(namespace: str, member: str) -> str:
    """A collection and, where one was named, the member."""
    return "%s on %s" % (namespace, member) if member else namespace


@dataclass(frozen=True)
class Compact:
    """Compact this collection.

    Attributes:
        predicted: bytes that are expected to come free.
        least: bytes that come free by all that was seen; 0 on a replica set.
        member: of the replica set, by its name there; "" for the connected server.
    """

    database: str
    collection: str
    predicted: int
    member: str = ""
    least: int = 0

    @property
    def namespace(self) -> str:
        return "%s.%s" % (self.database, self.collection)

    @property
    def place(self) -> str:
        return place_of(self.namespace, self.member)


@dataclass(frozen=True)
class StepDown:
    """Make another member the primary.

    Attributes:
        seconds: for so long the member does not stand for election, unless it is let before.
    """

    member: str
    seconds: int


@dataclass(frozen=True)
class StandAgain:
    """Let a member that has stepped down be elected again, and wait until it may be."""

    member: str


CompactionWork = Union[Compact, StepDown, StandAgain]


@dataclass(frozen=True)
class MemberView:
    """One server as a rolling compaction sees it, or the only one.

    Attributes:
        name: of the member; "" for the connected server.
        seen: None where it could not be looked at.
        obstacle: why nothing may be compacted there.
    """

    name: str
    seen: Optional[CompactionObservation]
    obstacle: str = ""

    def target(self, namespace: str) -> str:
        """A collection there, as a person would call it."""
        return place_of(namespace, self.name)


@dataclass(frozen=True)
class Compaction:
    """What a compaction came to.

    Attributes:
        member: as the work has it.
        bytes_before, bytes_after: files of the collection and its indexes.
        bytes_freed: their difference; negative where the collection grew meanwhile.
        bytes_counted: what the server's counters alone promised.
    """

    namespace: str
    bytes_before: int
    bytes_after: int
    bytes_predicted: int
    bytes_freed: int
    seconds: float
    member: str = ""
    bytes_counted: int = 0

    @property
    def place(self) -> str:
        return place_of(self.namespace, self.member)

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


def predict_least(statistics: CollectionStatistics) -> int:
    """Bytes that compacting gives back at the least, wherever in the files the documents lie; of a standalone."""
    return sum(
        max(0, int(min(predict_file(file), file.reusable - LEFT_FREE * (file.bytes - file.reusable) - LEFT_BYTES)))
        for file in statistics.files
        if predict_file(file)
    )


@dataclass(frozen=True)
class Expectation:
    """What compacting a collection is expected to give back.

    Attributes:
        bytes: by the counters and by experience.
        counted: by the counters alone.
        experience: what earlier compactions came to, for a person.
        scattered: they were hardly worth it, again and again.
    """

    bytes: int
    counted: int
    experience: str = ""
    scattered: bool = False


def expect(statistics: CollectionStatistics, server: Server, past: Sequence[PastYield]) -> Expectation:
    """What compacting a collection gives back: on a replica set, where the counters are a rough guide, by what came of them
    before on this server."""
    counted = predict(statistics)
    telling = [
        entry
        for entry in past
        if entry.predicted > 0
        and (entry.freed >= _SCATTERED * entry.predicted or statistics.bytes <= _GROWN * entry.bytes_after)
    ][-_EXPERIENCE:]
    if server.topology != "replica set" or not telling or not counted:
        return Expectation(counted, counted)
    shares = sorted(min(_MOST_SHARE, max(0.0, entry.freed / entry.predicted)) for entry in telling)
    middle = len(shares) // 2
    share = shares[middle] if len(shares) % 2 else (shares[middle - 1] + shares[middle]) / 2
    if len(shares) == 1:
        # Once is no rule.
        share = (1.0 + share) / 2
    experience = "the last %sfreed %s of %s predicted" % (
        "compaction " if len(telling) == 1 else "%d compactions " % len(telling),
        format_size(sum(entry.freed for entry in telling)),
        format_size(sum(entry.predicted for entry in telling)),
    )
    return Expectation(
        min(int(counted * share), statistics.bytes), counted, experience, len(shares) > 1 and share < _SCATTERED
    )


def estimate_seconds(statistics: CollectionStatistics) -> float:
    """How long compacting takes at most on a slow disk; the server tells nothing beforehand."""
    return 1.0 + statistics.bytes / float(BYTES_PER_SECOND)


def describe_free(statistics: CollectionStatistics, server: Server, experience: str = "") -> str:
    """How much of a collection's files is free, and how far that can be relied on."""
    text = "%s of %s free" % (format_size(statistics.reusable), format_size(statistics.bytes))
    if server.topology != "replica set":
        return text
    return "%s (%s%s)" % (text, ROUGH, "; " + experience if experience else "")


def unworthy(statistics: CollectionStatistics, policy: Policy, server: Server, past: Sequence[PastYield] = ()) -> str:
    """Why a collection is not worth compacting; "" when it is."""
    if statistics.kind in SKIPPED_KINDS:
        return SKIPPED_KINDS[statistics.kind]
    expectation = expect(statistics, server, past)
    reason = _too_little(statistics, policy, describe_free(statistics, server, expectation.experience), expectation)
    return "%s; %s" % (reason, INITIAL_SYNC) if reason and expectation.scattered else reason


def _too_little(statistics: CollectionStatistics, policy: Policy, free: str, expectation: Expectation) -> str:
    expected = expectation.bytes
    if expectation.counted == 0:
        if statistics.reusable and statistics.bytes < SMALL_FILE:
            return "%s: files this small never shrink" % free
        if statistics.reusable:
            return "%s: the server declines where so little of a file is free" % free
        return "nothing to reclaim: 0 B of %s free" % format_size(statistics.bytes)
    if expected < policy.min_reclaimable:
        return "%s, about %s to get: below min_reclaimable (%s)" % (
            free,
            format_size(expected),
            format_size(policy.min_reclaimable),
        )
    if expected < policy.min_ratio * statistics.bytes:
        return "%s, about %s to get: below min_ratio (%g)" % (free, format_size(expected), policy.min_ratio)
    return ""


def snapshot_obstacle(
    statistics: CollectionStatistics, observation: CompactionObservation, now: datetime, expected: int
) -> str:
    """Why a collection is not compacted yet although it is worth it: documents have just been removed; "" when it may be.

    Args:
        expected: bytes that compacting it gives back.
    """
    if observation.server.topology != "replica set":
        return ""
    removed = observation.removals.get(statistics.namespace)
    left = 0.0 if removed is None else until_let_go(observation.snapshot_window, (now - removed).total_seconds())
    if left > 0:
        return "documents were removed so recently that " + FROZEN % format_duration(left)
    recent = observation.recent.get(statistics.namespace)
    return recent_obstacle(statistics, recent, observation.snapshot_window, expected)


def recent_obstacle(
    statistics: CollectionStatistics, recent: Optional[RecentRemoval], window: float, expected: int
) -> str:
    """The same for what others have removed, such as the shop or a TTL index, where it is much beside what there is to get.

    Args:
        window: seconds for which the server keeps deleted documents for snapshots.
        expected: bytes that compacting it gives back.
    """
    if recent is None:
        return ""
    left = until_let_go(window, recent.seconds_ago)
    # By the size of those that are left; where none is, all that there was has just gone.
    removed = recent.documents * statistics.data_bytes / statistics.documents if statistics.documents else expected
    if left <= 0 or removed < _RECENT_SHARE * expected:
        return ""
    return "%s removed by others, the last %s ago; %s" % (
        counted(recent.documents, "document"),
        format_duration(recent.seconds_ago),
        FROZEN % format_duration(left),
    )


def until_let_go(window: float, ago: float) -> float:
    """Seconds until what was removed is free, 0 or less when it is.

    Args:
        window: seconds for which the server keeps it for snapshots.
        ago: seconds since it was removed.
    """
    # What the window lets go of is free from the next checkpoint on.
    return window + CHECKPOINT_SECONDS - ago if window > 0 else 0.0


def member_obstacle(server: Server, lag_seconds: Optional[float], policy: Policy) -> str:
    """Why nothing may be compacted on this member at all; "" when it may."""
    if server.topology != "replica set":
        return ""
    if server.state == "primary" and policy.primary == "skip":
        return "this member is the primary, and primary is skip: " + (
            "set primary: stepdown, or force"
            if policy.rolling
            else "connect to a secondary (address), or set primary: force"
        )
    if server.state not in ("primary", "secondary"):
        return "this member is neither primary nor secondary (%s)" % server.state
    if server.state == "secondary" and not policy.force and not replicates_while_compacting(server):
        return (
            "a secondary of this version (%s) does not replicate while it compacts, which begins with 4.4.17, 5.0.12 and 6.0.2:"
            " upgrade, or set force: true" % server.version
        )
    if lag_seconds is not None and lag_seconds > policy.max_lag:
        return "this member is %s behind the primary, more than max_lag (%s)" % (
            format_duration(lag_seconds),
            format_duration(policy.max_lag),
        )
    return ""


@dataclass(frozen=True)
class _Worthy:
    """A collection of one of the members that is worth it."""

    place: int
    view: MemberView
    seen: CompactionObservation
    statistics: CollectionStatistics
    expectation: Expectation
    since: Optional[datetime]

    @property
    def urgency(self) -> Tuple[Any, ...]:
        """What was deferred comes first, the longest ago before all; then the most rewarding."""
        waited = (0, self.since.timestamp()) if self.since else (1, 0.0)
        return (*waited, -self.expectation.bytes, self.statistics.namespace)

    @property
    def target(self) -> str:
        return self.view.target(self.statistics.namespace)


def _judge(
    place: int,
    view: MemberView,
    policy: Policy,
    now: datetime,
    deferred: Mapping[str, datetime],
    plan: Plan[CompactionWork],
) -> List[_Worthy]:
    """What is worth it on one member; the rest is added to what is kept."""
    observation = view.seen
    if observation is None:
        plan.kept.append(Kept("member %s" % view.name, view.obstacle))
        return []
    plan.warnings.extend(observation.warnings)
    obstacle = view.obstacle or member_obstacle(observation.server, observation.lag_seconds, policy)
    worthy = []
    for statistics in observation.collections:
        target = view.target(statistics.namespace)
        past = observation.past.get(statistics.namespace, ())
        expectation = expect(statistics, observation.server, past)
        reason = unworthy(statistics, policy, observation.server, past) or obstacle
        reason = reason or snapshot_obstacle(statistics, observation, now, expectation.bytes)
        if not reason and observation.disk_free is not None and observation.disk_free < DISK_NEEDED:
            reason = "only %s free on the server's disk, and compacting needs %s for its journal" % (
                format_size(observation.disk_free),
                format_size(DISK_NEEDED),
            )
            plan.warnings.append("%s is not compacted: %s." % (target, reason))
        if reason:
            plan.kept.append(Kept(target, reason))
        else:
            worthy.append(_Worthy(place, view, observation, statistics, expectation, deferred.get(target)))
    return worthy


def plan_compaction(
    views: Sequence[MemberView], policy: Policy, now: datetime, deferred: Optional[Mapping[str, datetime]] = None
) -> Plan[CompactionWork]:
    """What to compact, member by member, most rewarding first, and what not and why. Pure.

    Args:
        views: the servers, in the order in which they are to be compacted.
        deferred: what earlier calls had no time for, and since when: it has the first claim on the time, and comes first on
            its member. The order of the members stays.
    """
    plan: Plan[CompactionWork] = Plan()
    worthy: List[_Worthy] = []
    for place, view in enumerate(views):
        worthy += _judge(place, view, policy, now, deferred or {}, plan)
    spent = 0.0
    chosen = []
    for entry in sorted(worthy, key=lambda entry: (entry.urgency[:2], entry.place, entry.urgency)):
        seconds = estimate_seconds(entry.statistics)
        if policy.time_budget is not None and spent + seconds > policy.time_budget:
            plan.kept.append(Kept(entry.target, deferral(seconds, policy.time_budget - spent)))
            continue
        spent += seconds
        chosen.append(entry)
    for place in sorted({entry.place for entry in chosen}):
        own = sorted((entry for entry in chosen if entry.place == place), key=lambda entry: entry.urgency)
        plan.actions += _member_actions(own, policy)
    return plan


def deferral(seconds: float, left: float) -> str:
    """Why a compaction is left for the next time.

    Args:
        seconds: how long it may take.
        left: of the time budget.
    """
    return "%smay take %s, and %s of time_budget are left" % (
        _DEFERRED,
        format_duration(seconds),
        format_duration(max(0.0, left)),
    )


def waiting_deferral(running: Sequence[str]) -> str:
    """Why nothing is begun: what an earlier call has begun has used the time up.

    Args:
        running: collections and members.
    """
    return "%stime_budget is used up, and what an earlier call has begun still runs (%s)" % (
        _DEFERRED,
        ", ".join(running),
    )


def is_deferral(reason: str) -> bool:
    """Whether something was left for want of time."""
    return reason.startswith(_DEFERRED)


def beyond_compaction(views: Sequence[MemberView]) -> List[Dict[str, Any]]:
    """The collections whose files compaction has failed to shrink, again and again, with their numbers. Pure."""
    return [
        {
            "namespace": entry.namespace,
            "member": view.name,
            "bytes": entry.bytes,
            "data_bytes": entry.data_bytes,
            "reusable_bytes": entry.reusable,
        }
        for view in views
        if view.seen is not None
        for entry in view.seen.collections
        if expect(entry, view.seen.server, view.seen.past.get(entry.namespace, ())).scattered
    ]


def _member_actions(chosen: Sequence[_Worthy], policy: Policy) -> List[Action[CompactionWork]]:
    """All that is done on one member."""
    actions: List[Action[CompactionWork]] = [
        Action(
            "compact",
            entry.target,
            describe_free(entry.statistics, entry.seen.server, entry.expectation.experience)
            + (": " + TRIED if entry.statistics.kind == "timeseries" else ""),
            Compact(
                entry.statistics.database,
                entry.statistics.name,
                entry.expectation.bytes,
                entry.view.name,
                0 if entry.seen.server.topology == "replica set" else predict_least(entry.statistics),
            ),
            entry.expectation.bytes,
            predicted=True,
        )
        for entry in chosen
    ]
    first = chosen[0]
    if policy.primary != "stepdown" or (first.seen.server.topology, first.seen.server.state) != (
        "replica set",
        "primary",
    ):
        return actions
    name = first.view.name
    seconds = int(sum(estimate_seconds(entry.statistics) for entry in chosen)) + STEP_DOWN_SECONDS
    before: Action[CompactionWork] = Action(
        "step_down", name, "it is the primary, and primary is stepdown", StepDown(name, seconds)
    )
    after: Action[CompactionWork] = Action(
        "stand_again", name, "it has stepped down, and is to be electable again", StandAgain(name)
    )
    return [before, *actions, after]


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


def compaction_headline(
    freed: int, predicted: int, works: Sequence[Compact], check: bool, server: Server, policy: Policy
) -> str:
    """One sentence for a person, with the thresholds that decided.

    Args:
        works: what was compacted, or would be.
    """
    collections = counted(len({work.namespace for work in works}), "collection")
    members = {work.member for work in works if work.member}
    if members:
        collections += " on %s" % counted(len(members), "member")
    if server.topology == "replica set":
        rough = ", " + ROUGH
    else:
        rough = ", at least %s" % format_size(sum(work.least for work in works))
    if check:
        if not works:
            return "would compact nothing: worth it from %s" % worth_from(policy)
        return "would compact %s and free about %s%s; worth it from %s" % (
            collections,
            format_size(predicted),
            rough,
            worth_from(policy),
        )
    if not works:
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
        % (entry.place, format_size(entry.bytes_freed), format_size(entry.bytes_predicted))
        for entry in results
        if entry.bytes_freed < entry.bytes_predicted / 2
    ]


def scattered_warnings(entries: Sequence[Mapping[str, Any]]) -> List[str]:
    """What no compaction will shrink, and what would, a sentence each."""
    return [
        "%s%s: %s in files for %s of data, of which %s are free, and compaction hardly shrinks them. An initial sync of this member"
        " would: stop it, empty its data directory, start it, one member at a time, while a majority is up."
        % (
            entry["namespace"],
            " on " + entry["member"] if entry["member"] else "",
            format_size(entry["bytes"]),
            format_size(entry["data_bytes"]),
            format_size(entry["reusable_bytes"]),
        )
        for entry in entries
    ]
