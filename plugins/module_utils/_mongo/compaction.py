# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which collections are worth compacting, what that gives back, and the compacting itself.

The rules of prediction are measured on WiredTiger (server 6.0): the free bytes of a file are what ``compact`` returns, to
within a percent, except that it declines without a word where less than about a tenth of a file is free, gives back about
two thirds where it is less than three tenths, and never shrinks files of a megabyte or two.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from .._core.errors import MaintenanceError, SkipAction
from .._core.legacy_plan import Action, Kept, Outcome, Plan
from .._core.units import format_duration, format_size
from .client import Connection, Server
from .errors import error_number, mongo_errors
from .storage import CollectionStatistics, File, read_collection
from .topology import supports

try:
    from pymongo.errors import ConnectionFailure, OperationFailure
except ImportError:  # the client says so
    ConnectionFailure = OperationFailure = Exception  # type: ignore[assignment,misc]

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
SKIPPED_KINDS = {
    "view": "a view has no data of its own",
    "timeseries": "this server cannot compact time-series collections",
    "system": "a collection of the server's own",
    "capped": "a capped collection keeps its size",
}


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
class Observation:
    """What the planner decides on.

    Attributes:
        disk_free: free bytes on the server's data file system, None when not known.
        lag_seconds: of the connected member; None when it is a standalone or a primary, or not known.
    """

    server: Server
    address: str
    collections: Tuple[CollectionStatistics, ...]
    disk_free: Optional[int] = None
    lag_seconds: Optional[float] = None
    warnings: Tuple[str, ...] = ()


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


def unworthy(statistics: CollectionStatistics, policy: Policy) -> str:
    """Why a collection is not worth compacting; "" when it is."""
    if statistics.kind in SKIPPED_KINDS:
        return SKIPPED_KINDS[statistics.kind]
    expected = predict(statistics)
    free = "%s of %s free" % (format_size(statistics.reusable), format_size(statistics.bytes))
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


def member_obstacle(observation: Observation, policy: Policy) -> str:
    """Why nothing may be compacted on this member at all; "" when it may."""
    server = observation.server
    if server.topology != "replica set":
        return ""
    if server.state == "primary" and policy.primary == "skip":
        return (
            "this member is the primary, and primary is skip: connect to a secondary (address), or set primary: force"
        )
    if server.state not in ("primary", "secondary"):
        return "this member is neither primary nor secondary (%s)" % server.state
    if observation.lag_seconds is not None and observation.lag_seconds > policy.max_lag:
        return "this member is %s behind the primary, more than max_lag (%s)" % (
            format_duration(observation.lag_seconds),
            format_duration(policy.max_lag),
        )
    return ""


def plan_compaction(observation: Observation, policy: Policy) -> Plan:
    """What to compact, most rewarding first, and what not and why. Pure."""
    plan = Plan(warnings=list(observation.warnings))
    obstacle = member_obstacle(observation, policy)
    worthy: List[CollectionStatistics] = []
    for statistics in observation.collections:
        reason = unworthy(statistics, policy)
        if not reason and obstacle:
            reason = obstacle
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
                "%s of %s free" % (format_size(statistics.reusable), format_size(statistics.bytes)),
                predict(statistics),
                predicted=True,
                data={"database": statistics.database, "collection": statistics.name, "bytes": statistics.bytes},
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


def running_compactions(connection: Connection) -> List[Mapping[str, Any]]:
    """Compactions that the server works on now, also such whose client is gone.

    Raises:
        MaintenanceError: the server refuses or cannot be reached.
    """
    match = {"$match": {"command.compact": {"$exists": True}}}
    with mongo_errors("cannot list the server's operations", connection.address.where):
        for all_users in (True, False):
            try:
                stages: List[Any] = [{"$currentOp": {"allUsers": all_users, "idleConnections": False}}, match]
                return list(connection.client.admin.aggregate(stages))
            except OperationFailure as error:
                # Without the privilege inprog one's own operations are still visible.
                if error_number(error) != 13 or not all_users:
                    raise
    return []


class Compactor:
    """Compacts one collection after the other on the connected member.

    Args:
        connection: for looking; its timeouts apply.
        worker: for the command itself, which may take long and must not be cut off: a dropped client does not stop
            the server, and killOp does not either.
        comment: shown in the server's list of operations.
        clock: seconds, monotonic.
        sleep: waits for so many seconds between two looks.
    """

    def __init__(
        self,
        connection: Connection,
        worker: Connection,
        policy: Policy,
        comment: str,
        lag: Callable[[], Optional[float]] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connection = connection
        self._worker = worker
        self._policy = policy
        self._comment = comment
        self._lag = lag
        self._clock = clock
        self._sleep = sleep
        self._started = clock()

    def compact(self, database: str, name: str, predicted: int) -> Outcome:
        """Compact one collection, if it is still worth it.

        Raises:
            SkipAction: it is not any more, or somebody else compacts on this server, or the time is up.
            MaintenanceError: the server refuses, or was lost.
        """
        namespace = "%s.%s" % (database, name)
        before = self._recheck(database, name)
        began = self._clock()
        note = ""
        try:
            with mongo_errors("cannot compact the collection", namespace):
                command = compact_command(self._connection.server, name, self._policy, self._comment)
                self._worker.client[database].command(command)
        except MaintenanceError as error:
            if not isinstance(error.__cause__, ConnectionFailure):
                raise
            self._wait_for_the_server(name, namespace, error)
            note = "the connection was lost meanwhile; the server went on, and was waited for"
        seconds = self._clock() - began
        after = read_collection(self._connection, database, name)
        if after.bytes == 0:
            return Outcome(0, note="the collection was dropped meanwhile", data={})
        # Not the command's own bytesFreed: two compactions of one collection both report the same bytes.
        freed = before.bytes - after.bytes
        if not note and freed < CHANGED_FROM:
            note = "the server moved nothing: deleted documents that a snapshot may still read are freed only minutes later"
        data = {
            "namespace": namespace,
            "bytes_before": before.bytes,
            "bytes_after": after.bytes,
            "bytes_predicted": predicted,
            "bytes_freed": freed,
            "seconds": round(seconds, 3),
        }
        return Outcome(max(0, freed), note=note, data=data)

    def _recheck(self, database: str, name: str) -> CollectionStatistics:
        policy = self._policy
        before = read_collection(self._connection, database, name)
        if before.bytes == 0:
            raise SkipAction("the collection is gone")
        reason = unworthy(before, policy)
        if reason:
            raise SkipAction("not worth it any more: %s" % reason)
        if policy.time_budget is not None:
            left = policy.time_budget - (self._clock() - self._started)
            if estimate_seconds(before) > left:
                raise SkipAction(
                    "may take %s, and %s of time_budget are left"
                    % (format_duration(estimate_seconds(before)), format_duration(max(0.0, left)))
                )
        lag = self._lag()
        if lag is not None and lag > policy.max_lag:
            raise SkipAction("this member is %s behind the primary" % format_duration(lag))
        others = running_compactions(self._connection)
        if others:
            # Two at once are allowed, and each takes four times as long.
            raise SkipAction(
                "another compaction runs on this server (%s)" % (others[0].get("ns") or others[0]["command"]["compact"])
            )
        return before

    def _wait_for_the_server(self, name: str, namespace: str, error: MaintenanceError) -> None:
        """After a dropped connection the server goes on compacting: wait until it has finished, or is really lost."""
        silent_since: Optional[float] = None
        while True:
            try:
                running = running_compactions(self._connection)
                silent_since = None
            except MaintenanceError:
                now = self._clock()
                silent_since = now if silent_since is None else silent_since
                if now - silent_since > 60:
                    raise MaintenanceError(
                        "the server was lost while it compacted the collection, and has not answered for a minute",
                        target=namespace,
                        code=error.code,
                        next_step="Is mongod running? A compaction that was cut off loses nothing; run it again afterwards.",
                    ) from error
                running = [{}]
            if not any(not entry or entry.get("command", {}).get("compact") == name for entry in running):
                return
            self._sleep(0.5)


def headline(freed: int, predicted: int, count: int, check: bool) -> str:
    """One sentence for a person."""
    collections = "%d collection%s" % (count, "" if count == 1 else "s")
    if check:
        if not count:
            return "would compact nothing: no collection is worth it"
        return "would compact %s and free about %s" % (collections, format_size(predicted))
    if not count:
        return "compacted nothing: no collection was worth it"
    return "freed %s in %s (predicted %s)" % (format_size(freed), collections, format_size(predicted))


def shortfall_warnings(results: Sequence[Mapping[str, Any]]) -> List[str]:
    """Where far less came free than predicted, a sentence each."""
    return [
        "%s: %s came free instead of the predicted %s. Recently deleted documents are freed minutes later: a later run gets the rest."
        % (entry["namespace"], format_size(entry["bytes_freed"]), format_size(entry["bytes_predicted"]))
        for entry in results
        if entry["bytes_freed"] < entry["bytes_predicted"] / 2
    ]
