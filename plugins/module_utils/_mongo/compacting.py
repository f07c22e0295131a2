# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compacting collections: the steps of mongo_compact."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Callable, Dict, List, Mapping, Optional

from .._core.call import Call
from .._core.errors import MaintenanceError, SkipAction
from .._core.plan import Action, Outcome, Plan, Report, Results, Verification
from .._core.runner import Task
from .._core.units import format_duration, parse_duration, parse_size
from .client import Connection, Server, connect_member, open_address
from .compaction import (
    CHANGED_FROM,
    Compact,
    Compaction,
    CompactionObservation,
    Policy,
    compact_command,
    compaction_headline,
    estimate_seconds,
    member_obstacle,
    plan_compaction,
    shortfall_warnings,
    unworthy,
)
from .errors import error_number, mongo_errors
from .removals import read_removals
from .storage import (
    VIEW_CODE,
    CollectionStatistics,
    checkpoint,
    choose_databases,
    list_collection_statistics,
    read_collection_statistics,
    read_database_statistics,
    require_names,
)
from .topology import read_members, read_server, read_snapshot_window, supports

try:
    from pymongo.errors import ConnectionFailure, OperationFailure
except ImportError:  # the client says so
    ConnectionFailure = OperationFailure = Exception  # type: ignore[assignment,misc]


def policy_of(params: Mapping[str, Any]) -> Policy:
    """The options as data.

    Raises:
        MaintenanceError: an option's value makes no sense.
    """
    if not 0 <= params["min_ratio"] <= 1:
        raise MaintenanceError(
            "min_ratio is a share, from 0 to 1", target=str(params["min_ratio"]), next_step="Write 0.25 for 25 percent."
        )
    budget = params["time_budget"]
    return Policy(
        parse_size(params["min_reclaimable"]),
        params["min_ratio"],
        parse_duration(budget) if budget else None,
        params["primary"],
        parse_duration(params["max_lag"]),
    )


class MongoCompact(Task[CompactionObservation]):
    """Compact what is worth it, on the connected member."""

    stop_on_failure = False

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.policy = policy_of(self.params)
        self._connections: Dict[str, Connection] = {}

    def observe(self) -> CompactionObservation:
        connection = self._looking()
        server = connection.server
        if server.topology == "mongos":
            raise MaintenanceError(
                "compaction works on the members of a shard, not through mongos",
                target=connection.address.where,
                next_step="Give the address of a member.",
            )
        if not supports(server, "compact_online"):
            raise MaintenanceError(
                "this server blocks the whole database while it compacts",
                target="version %s" % server.version,
                next_step="Upgrade to 4.4 or newer.",
            )
        databases = choose_databases(connection, self.params["databases"])
        warnings: List[str] = []
        # The free bytes are counted at checkpoints. Check mode writes nothing, not even one of these.
        if not self.call.check:
            warnings = [text for text in [checkpoint(connection)] if text]
        collections: List[CollectionStatistics] = []
        for database in databases:
            collections += list_collection_statistics(connection, database, self.params["collections"])
        require_names(collections, self.params["collections"], databases)
        disk = read_database_statistics(connection, databases[0])
        return CompactionObservation(
            server,
            tuple(collections),
            time.monotonic(),
            disk.filesystem_free if disk.filesystem_bytes else None,
            read_lag(connection, server),
            read_removals(self.run.state_dir),
            read_snapshot_window(connection),
            tuple(warnings),
        )

    def plan(self, observation: CompactionObservation, now: datetime) -> Plan[Compact]:
        return plan_compaction(observation, self.policy, now)

    def _compact(self, action: Action[Compact], observation: CompactionObservation) -> Outcome:
        compactor = Compactor(
            self._looking(),
            self._working(),
            self.policy,
            "miniecom.maintenance %s" % (self.run.run_id or "mongo_compact"),
            observation.began,
        )
        outcome = compactor.compact(action.work)
        self.run.renew()
        return outcome

    handlers = {Compact: _compact}

    def verify(
        self, observation: CompactionObservation, plan: Plan[Compact], results: Results[Compact, CompactionObservation]
    ) -> Verification[CompactionObservation]:
        # Nothing but file sizes may have changed: what was there must still be there.
        warnings = []
        for work in [result.action.work for result in results.done]:
            if not list_collection_statistics(self._looking(), work.database, [work.collection]):
                warnings.append("%s was dropped or renamed by somebody else meanwhile" % work.namespace)
        return Verification(warnings=tuple(warnings))

    def report(
        self, observation: CompactionObservation, plan: Plan[Compact], results: Results[Compact, CompactionObservation]
    ) -> Report:
        freed = sum(result.bytes for result in results.done)
        predicted = sum(action.bytes for action in results.effective)
        measured = results.details(Compaction)
        return Report(
            compaction_headline(
                freed, predicted, len(results.effective), results.check, observation.server, self.policy
            ),
            changed=bool(plan.actions) if results.check else any(item.bytes >= CHANGED_FROM for item in results.done),
            summary={
                "bytes": results.bytes,
                "bytes_freed": freed,
                "bytes_predicted": predicted,
                "collections_compacted": len(results.done),
                "collections_kept": len(plan.kept),
            },
            values={"collections": [entry.as_dict() for entry in measured]},
            warnings=shortfall_warnings(measured),
        )

    def _looking(self) -> Connection:
        """For everything but the command itself."""
        if "looking" not in self._connections:
            self._connections["looking"] = connect_member(self.params)
        return self._connections["looking"]

    def _working(self) -> Connection:
        """For the command: however long it takes, a client that gives up does not stop the server."""
        if "working" not in self._connections:
            # To the member that was looked at, whichever of the set is the primary by now.
            timeout = float(self.params.get("connect_timeout") or 5)
            looked_at = self._looking().address
            self._connections["working"] = open_address(looked_at, timeout, socketTimeoutMS=None, timeoutMS=None)
        return self._connections["working"]

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()


def read_lag(connection: Connection, server: Server) -> Optional[float]:
    """Seconds that the connected member is behind the primary; None where it is no secondary, or where that is not known.

    Raises:
        MaintenanceError: the server refuses.
    """
    if server.state != "secondary":
        return None
    own = [member for member in read_members(connection) if member.is_self]
    return own[0].lag_seconds if own else None


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


@dataclass(frozen=True)
class Compactor:
    """Compacts a collection on the connected member.

    Attributes:
        connection: for looking; its timeouts apply.
        worker: for the command itself, which may take long and must not be cut off: a dropped client does not stop
            the server, and killOp does not either.
        comment: shown in the server's list of operations.
        began: when the time budget began, in seconds of the clock.
        clock: seconds, monotonic.
        sleep: waits for so many seconds between two looks.
    """

    connection: Connection
    worker: Connection
    policy: Policy
    comment: str
    began: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def compact(self, work: Compact) -> Outcome:
        """Compact one collection, if it is still worth it.

        Raises:
            SkipAction: it is not any more, or somebody else compacts on this server, or the time is up.
            MaintenanceError: the server refuses, or was lost.
        """
        before = self._recheck(work)
        # Of this moment: what was the secondary when we came may be the primary by now, and not every server refuses.
        server = self._server_now()
        began = self.clock()
        note = ""
        try:
            with mongo_errors("cannot compact the collection", work.namespace):
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
            note = "the connection was lost meanwhile; the server went on, and was waited for"
        seconds = self.clock() - began
        after = read_collection_statistics(self.connection, work.database, work.collection)
        if after.bytes == 0:
            return Outcome(0, note="the collection was dropped meanwhile")
        # Not the command's own bytesFreed: two compactions of one collection both report the same bytes.
        freed = before.bytes - after.bytes
        if not note and freed < CHANGED_FROM:
            note = "the server moved nothing: deleted documents that a snapshot may still read are freed only minutes later"
        measured = Compaction(work.namespace, before.bytes, after.bytes, work.predicted, freed, round(seconds, 3))
        return Outcome(max(0, freed), note=note, detail=measured)

    def _recheck(self, work: Compact) -> CollectionStatistics:
        policy = self.policy
        before = read_collection_statistics(self.connection, work.database, work.collection)
        if before.bytes == 0:
            raise SkipAction("the collection is gone")
        reason = unworthy(before, policy, self.connection.server)
        if reason:
            raise SkipAction("not worth it any more: %s" % reason)
        if policy.time_budget is not None:
            left = policy.time_budget - (self.clock() - self.began)
            if estimate_seconds(before) > left:
                raise SkipAction(
                    "may take %s, and %s of time_budget are left"
                    % (format_duration(estimate_seconds(before)), format_duration(max(0.0, left)))
                )
        others = running_compactions(self.connection)
        if others:
            # Two at once are allowed, and each takes four times as long.
            raise SkipAction(
                "another compaction runs on this server (%s)" % (others[0].get("ns") or others[0]["command"]["compact"])
            )
        return before

    def _server_now(self) -> Server:
        server = read_server(self.connection)
        obstacle = member_obstacle(server, read_lag(self.connection, server), self.policy)
        if obstacle:
            raise SkipAction(obstacle)
        return server

    def _wait_for_the_server(self, work: Compact, error: MaintenanceError) -> None:
        """After a dropped connection the server goes on compacting: wait until it has finished, or is really lost."""
        silent_since: Optional[float] = None
        while True:
            try:
                running = running_compactions(self.connection)
                silent_since = None
            except MaintenanceError:
                now = self.clock()
                silent_since = now if silent_since is None else silent_since
                if now - silent_since > 60:
                    raise MaintenanceError(
                        "the server was lost while it compacted the collection, and has not answered for a minute",
                        target=work.namespace,
                        code=error.code,
                        next_step="Is mongod running? A compaction that was cut off loses nothing; run it again afterwards.",
                    ) from error
                running = [{}]
            if not any(not entry or entry.get("command", {}).get("compact") == work.collection for entry in running):
                return
            self.sleep(0.5)
