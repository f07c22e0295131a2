# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compacting one collection on one member: what is looked at right before, the command, and what it came to."""

from __future__ import annotations

import time
from typing import Callable, Dict, Optional, Sequence, Tuple

from .._core.errors import MaintenanceError, SkipAction
from .._core.late_dataclass import dataclass
from .._core.plan import Outcome
from .client import Connection, Server
from .compaction import (
    CHANGED_FROM,
    CHECKPOINT_SECONDS,
    Compact,
    Compaction,
    Policy,
    compact_command,
    deferral,
    estimate_seconds,
    expect,
    member_obstacle,
    predict,
    recent_obstacle,
    unworthy,
)
from .compaction_history import PastYield
from .errors import error_number, mongo_errors
from .recent_removals import RecentRemoval, read_recent_removals
from .running_operations import SILENCE_SECONDS, running_commands
from .storage import VIEW_CODE, CollectionStatistics, read_collection_statistics
from .topology import read_lag, read_server, read_server_process, read_snapshot_window

try:
    from pymongo.errors import ConnectionFailure
except ImportError:  # the client says so
    ConnectionFailure = Exception  # type: ignore[assignment,misc]


def removed_of_late(connection: Connection, window: float) -> Tuple[Dict[str, RecentRemoval], str]:
    """What was removed so recently that it matters, by namespace, and why that is not known, else "".

    Args:
        window: seconds for which the server keeps deleted documents for snapshots.
    """
    if connection.server.topology != "replica set" or window <= 0:
        return {}, ""
    return read_recent_removals(connection, window + CHECKPOINT_SECONDS)


@dataclass(frozen=True)
class Compactor:
    """Compacts a collection on the connected member.

    Attributes:
        connection: for looking; its timeouts apply.
        worker: for the command itself, which may take long and must not be cut off: a dropped client does not stop
            the server, and killOp does not either.
        comment: shown in the server's list of operations, where it tells this command from all others.
        began: when the time budget began, in seconds of the clock.
        clock: seconds, monotonic.
        sleep: waits for so many seconds between two looks.
        guard: why the member, as it is at this moment, may not be compacted; "" when it may.
        past: what earlier compactions of the collection came to.
    """

    connection: Connection
    worker: Connection
    policy: Policy
    comment: str
    began: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    guard: Optional[Callable[[Server], str]] = None
    past: Sequence[PastYield] = ()

    def compact(self, work: Compact) -> Outcome:
        """Compact one collection, if it is still worth it.

        Raises:
            SkipAction: it is not any more, or somebody else compacts on this server, or the time is up.
            MaintenanceError: the server refuses, or was lost.
        """
        before = self._recheck(work)
        # Of this moment: what was the secondary when we came may be the primary by now, and not every server refuses.
        server = self._server_now()
        process = read_server_process(self.connection)
        began = self.clock()
        note = ""
        try:
            with mongo_errors("cannot compact the collection", work.place):
                command = compact_command(server, work.collection, self.policy, self.comment)
                self.worker.client[work.database].command(command)
        except MaintenanceError as error:
            if before.kind == "timeseries" and error_number(error.__cause__ or error) == VIEW_CODE:
                raise SkipAction(
                    "this server (version %s) does not compact time-series collections" % server.version
                ) from None
            if not isinstance(error.__cause__, ConnectionFailure):
                raise
            self._wait_for_the_server(work, error)
            if read_server_process(self.connection) != process:
                raise MaintenanceError(
                    "the server was started anew while it compacted the collection",
                    target=work.place,
                    code=error.code,
                    next_step="A compaction that was cut off loses nothing; run it again.",
                ) from error
            note = "the connection was lost meanwhile; the server went on, and was waited for"
        seconds = self.clock() - began
        after = read_collection_statistics(self.connection, work.database, work.collection)
        if after.bytes == 0:
            return Outcome(0, note="the collection was dropped meanwhile")
        # Not the command's own bytesFreed: two compactions of one collection both report the same bytes.
        freed = before.bytes - after.bytes
        if not note and freed < CHANGED_FROM:
            note = "the server moved nothing: deleted documents that a snapshot may still read are freed only minutes later"
        measured = Compaction(
            work.namespace,
            before.bytes,
            after.bytes,
            work.predicted,
            freed,
            round(seconds, 3),
            work.member,
            predict(before),
        )
        return Outcome(max(0, freed), note=note, detail=measured)

    def _recheck(self, work: Compact) -> CollectionStatistics:
        policy = self.policy
        before = read_collection_statistics(self.connection, work.database, work.collection)
        if before.bytes == 0:
            raise SkipAction("the collection is gone")
        reason = unworthy(before, policy, self.connection.server, self.past)
        if reason:
            raise SkipAction("not worth it any more: %s" % reason)
        window = read_snapshot_window(self.connection)
        recent = removed_of_late(self.connection, window)[0].get(work.namespace)
        frozen = recent_obstacle(before, recent, window, expect(before, self.connection.server, self.past).bytes)
        if frozen:
            raise SkipAction(frozen)
        if policy.time_budget is not None:
            left = policy.time_budget - (self.clock() - self.began)
            if estimate_seconds(before) > left:
                raise SkipAction(deferral(estimate_seconds(before), left))
        others = running_commands(self.connection, "compact")
        if others:
            # Two at once are allowed, and each takes four times as long.
            raise SkipAction(
                "another compaction runs on this server (%s)" % (others[0].get("ns") or others[0]["command"]["compact"])
            )
        return before

    def _server_now(self) -> Server:
        server = read_server(self.connection)
        if self.guard is None:
            obstacle = member_obstacle(server, read_lag(self.connection, server), self.policy)
        else:
            obstacle = member_obstacle(server, None, self.policy) or self.guard(server)
        if obstacle:
            raise SkipAction(obstacle)
        return server

    def _wait_for_the_server(self, work: Compact, error: MaintenanceError) -> None:
        """After a dropped connection the server goes on compacting: wait until it has finished, or is really lost."""
        silent_since: Optional[float] = None
        while True:
            try:
                running = running_commands(self.connection, "compact")
                silent_since = None
            except MaintenanceError:
                now = self.clock()
                silent_since = now if silent_since is None else silent_since
                if now - silent_since > SILENCE_SECONDS:
                    raise MaintenanceError(
                        "the server was lost while it compacted the collection, and has not answered for a minute",
                        target=work.place,
                        code=error.code,
                        next_step="Does mongod run at %s, and does the network reach it? It may go on by itself, and a compaction"
                        " that was cut off loses nothing: when it answers again, the next call waits for what still runs and"
                        " does the rest." % self.connection.address.where,
                    ) from error
                running = [{}]
            if not any(not entry or entry.get("command", {}).get("comment") == self.comment for entry in running):
                return
            self.sleep(0.5)
