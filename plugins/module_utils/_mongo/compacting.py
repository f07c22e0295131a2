# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compacting collections, on one server or on the members of a set in turn: the steps of mongo_compact."""

from __future__ import annotations

import platform
import time
import uuid
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, List, Mapping, Optional, Sequence, Tuple

from .._core.call import Call
from .._core.clock import utc_now
from .._core.errors import MaintenanceError, SkipAction
from .._core.late_dataclass import dataclass
from .._core.plan import Action, Kept, Outcome, Plan, Report, Results, Verification
from .._core.runner import Task
from .._core.units import parse_duration, parse_size
from .client import Connection
from .compaction import (
    CHANGED_FROM,
    Compact,
    Compaction,
    CompactionObservation,
    CompactionWork,
    MemberView,
    Policy,
    StandAgain,
    StepDown,
    beyond_compaction,
    compaction_headline,
    is_deferral,
    plan_compaction,
    scattered_warnings,
    shortfall_warnings,
)
from .compaction_history import (
    CompactionHistory,
    PastYield,
    read_compaction_history,
    write_compaction_history,
)
from .compactor import Compactor, removed_of_late
from .former_compactions import FormerCompactions
from .member_connections import CONNECTED, MemberConnections
from .removals import read_removals
from .rolling import Rolling, let_stand, look_at_set
from .rolling_rules import rolling_order, seat_obstacle, step_down_obstacle
from .running_operations import COMMENT
from .set_lease import SetLease
from .storage import (
    CollectionStatistics,
    checkpoint,
    choose_databases,
    list_collection_statistics,
    read_database_statistics,
    require_names,
)
from .topology import read_lag, read_snapshot_window, supports


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
    rolling = params["members"] == "rolling"
    if params["primary"] == "stepdown" and not rolling:
        raise MaintenanceError(
            "primary is stepdown, which is a part of going through all members",
            target="members: connected",
            next_step="Set members: rolling, or primary: force.",
        )
    return Policy(
        parse_size(params["min_reclaimable"]),
        params["min_ratio"],
        parse_duration(budget) if budget else None,
        params["primary"],
        parse_duration(params["max_lag"]),
        rolling,
        params["force"],
    )


@dataclass(frozen=True)
class CompactionWorld:
    """What was seen, of each server that may be compacted, in the order of the work.

    Attributes:
        names: of the members that hold data; empty where only the connected server is looked at.
        database: in which the lease of the set lies.
        began: seconds of a monotonic clock, from which the time budget counts.
        history: what earlier calls have come to, and left.
        connected: the name of the connected server.
    """

    views: Tuple[MemberView, ...]
    names: Tuple[str, ...]
    database: str
    began: float
    history: CompactionHistory
    connected: str

    def past(self, work: Compact) -> Sequence[PastYield]:
        """What earlier compactions of the same came to."""
        return self.history.of_member(work.member or self.connected).get(work.namespace, ())


class MongoCompact(Task[CompactionWorld]):
    """Compact what is worth it, on the connected member or on each in turn."""

    stop_on_failure = False

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.policy = policy_of(self.params)
        self._connections = MemberConnections(self.params)
        self._lease: Optional[SetLease] = None

    def observe(self) -> CompactionWorld:
        began = time.monotonic()
        connection = self._connections.looking()
        require_server(connection)
        databases = choose_databases(connection, self.params["databases"])
        database = connection.database_name or databases[0]
        history = read_compaction_history(self.run.state_dir)
        connected = connection.server.name or connection.address.where
        if not self.policy.rolling or connection.server.topology != "replica set":
            seen = self._observe_server(connection, databases, history.of_member(connected))
            found = list(seen.collections)
            views, names = [MemberView(CONNECTED, seen)], []
        else:
            views, found = self._observe_members(connection, databases, history)
            names = [view.name for view in views]
        require_names(found, self.params["collections"], databases)
        return CompactionWorld(tuple(views), tuple(names), database, began, history, connected)

    def _observe_members(
        self, connection: Connection, databases: Sequence[str], history: CompactionHistory
    ) -> Tuple[List[MemberView], List[CollectionStatistics]]:
        seats, members = look_at_set(connection)
        views: List[MemberView] = []
        found: List[CollectionStatistics] = []
        for seat in rolling_order(seats, members):
            obstacle = seat_obstacle(seat.name, seats, members, self.policy.max_lag)
            if not obstacle and self.policy.primary == "stepdown":
                obstacle = step_down_obstacle(seat.name, seats, members, self.policy.max_lag)
            try:
                member = self._connections.looking(seat.name)
                seen = self._observe_server(member, databases, history.of_member(seat.name))
            except MaintenanceError as error:
                views.append(MemberView(seat.name, None, obstacle or str(error)))
                continue
            # How far it is behind is judged with the delay that it may have.
            views.append(MemberView(seat.name, replace(seen, lag_seconds=None), obstacle))
            found += seen.collections
        return views, found

    def _observe_server(
        self, connection: Connection, databases: Sequence[str], past: Mapping[str, Sequence[PastYield]]
    ) -> CompactionObservation:
        server = connection.server
        warnings: List[str] = []
        # The free bytes are counted at checkpoints. Check mode writes nothing, not even one of these.
        if not self.call.check:
            warnings = [text for text in [checkpoint(connection)] if text]
        collections: List[CollectionStatistics] = []
        for database in databases:
            collections += list_collection_statistics(connection, database, self.params["collections"])
        disk = read_database_statistics(connection, databases[0])
        window = read_snapshot_window(connection)
        recent, unknown = removed_of_late(connection, window)
        if unknown:
            warnings.append("What others have removed of late is not known, and not waited for: %s" % unknown)
        return CompactionObservation(
            server,
            tuple(collections),
            disk.filesystem_free if disk.filesystem_bytes else None,
            read_lag(connection, server),
            read_removals(self.run.state_dir),
            window,
            tuple(warnings),
            past,
            recent,
        )

    def plan(self, observation: CompactionWorld, now: datetime) -> Plan[CompactionWork]:
        return plan_compaction(observation.views, self.policy, now, observation.history.deferred)

    def _compact(self, action: Action[Compact], observation: CompactionWorld) -> Outcome:
        work = action.work
        rolling = self._rolling(observation) if work.member else None
        mended = rolling.take_turn(work.member) if rolling else ""
        compactor = Compactor(
            self._connections.looking(work.member),
            self._connections.working(work.member),
            self.policy,
            # For each command another one: by it the command is known again after a lost connection.
            "%s %s %s" % (COMMENT, self.run.run_id or "mongo_compact", uuid.uuid4().hex),
            observation.began,
            guard=partial(rolling.obstacle, work.member) if rolling else None,
            past=observation.past(work),
        )
        if rolling is None:
            outcome = self._compact_after_others(compactor, work, [CONNECTED])
        else:
            with rolling.lease.kept(work.member):
                outcome = self._compact_after_others(compactor, work, observation.names)
                try:
                    rolling.wait_until_caught_up(work.member)
                except MaintenanceError as error:
                    outcome = replace(outcome, failure=error)
        self.run.renew()
        return replace(outcome, note=joined(mended, outcome.note))

    def _compact_after_others(self, compactor: Compactor, work: Compact, members: Sequence[str]) -> Outcome:
        """Compact once all has ended that an earlier call has begun on these members: it may be what we are about to do."""
        budget = self.policy.time_budget
        waited = FormerCompactions(
            {name: partial(self._connections.looking, name) for name in members}, self.run.renew
        ).wait(None if budget is None else compactor.began + budget)
        try:
            outcome = compactor.compact(work)
        except SkipAction as skip:
            raise SkipAction(joined(skip.reason, waited)) from None
        return replace(outcome, note=joined(waited, outcome.note))

    def _step_down(self, action: Action[StepDown], observation: CompactionWorld) -> Outcome:
        rolling = self._rolling(observation)
        mended = rolling.take_turn(action.work.member)
        with rolling.lease.kept(action.work.member):
            successor = rolling.step_down(action.work.member, action.work.seconds)
        return Outcome(note=joined(mended, "%s is the primary now" % successor))

    def _stand_again(self, action: Action[StandAgain], observation: CompactionWorld) -> Outcome:
        rolling = self._rolling(observation)
        # Where another host has made it step down and compacts it now, it is to be left alone.
        rolling.take_turn(action.work.member)
        rolling.stand_again(action.work.member)
        return Outcome(note="it may be elected again")

    handlers = {Compact: _compact, StepDown: _step_down, StandAgain: _stand_again}

    def _rolling(self, observation: CompactionWorld) -> Rolling:
        if self._lease is None:
            holder = "%s, %s" % (platform.node(), self.run.run_id or "mongo_compact")
            names = list(observation.names)
            self._lease = SetLease(lambda: self._connections.primary(names), observation.database, holder)
        return Rolling(self._connections, observation.names, self.policy, self._lease, self.run.renew)

    def verify(
        self,
        observation: CompactionWorld,
        plan: Plan[CompactionWork],
        results: Results[CompactionWork, CompactionWorld],
    ) -> Verification[CompactionWorld]:
        # Nothing but file sizes may have changed: what was there must still be there.
        warnings = []
        for work in [result.action.work for result in results.done]:
            if not isinstance(work, Compact):
                continue
            connection = self._connections.looking(work.member)
            if not list_collection_statistics(connection, work.database, [work.collection]):
                warnings.append("%s was dropped or renamed by somebody else meanwhile" % work.namespace)
        return Verification(warnings=tuple(warnings))

    def report(
        self,
        observation: CompactionWorld,
        plan: Plan[CompactionWork],
        results: Results[CompactionWork, CompactionWorld],
    ) -> Report:
        freed = sum(result.bytes for result in results.done)
        effective = [action for action in results.effective if isinstance(action.work, Compact)]
        predicted = sum(action.bytes for action in effective)
        measured = results.details(Compaction)
        later = deferred_work(plan, results)
        beyond = beyond_compaction(observation.views)
        works = [action.work for action in effective if isinstance(action.work, Compact)]
        headline = compaction_headline(
            freed, predicted, works, results.check, self._connections.looking().server, self.policy
        )
        return Report(
            "%s; %d deferred for want of time" % (headline, len(later)) if later else headline,
            changed=bool(plan.actions)
            if results.check
            else any(
                item.bytes >= CHANGED_FROM or not isinstance(item.action.work, (Compact, StandAgain))
                for item in results.done
            ),
            summary={
                "bytes": results.bytes,
                "bytes_freed": freed,
                "bytes_predicted": predicted,
                "bytes_predicted_least": sum(work.least for work in works),
                "collections_compacted": len(effective) if not results.check else 0,
                "collections_kept": len(plan.kept),
                "collections_deferred": len(later),
            },
            values={
                "collections": [entry.as_dict() for entry in measured],
                "deferred": [entry.as_dict() for entry in later],
                "initial_sync": beyond,
            },
            warnings=shortfall_warnings(measured) + scattered_warnings(beyond),
        )

    def remember(
        self,
        observation: CompactionWorld,
        plan: Plan[CompactionWork],
        results: Results[CompactionWork, CompactionWorld],
    ) -> Sequence[str]:
        now = utc_now()
        yields = [
            PastYield(
                now,
                entry.member or observation.connected,
                entry.namespace,
                entry.bytes_counted,
                max(0, entry.bytes_freed),
                entry.bytes_after,
            )
            for entry in results.details(Compaction)
        ]
        seen = [entry.target for entry in plan.kept] + [action.target for action in plan.actions]
        later = [entry.target for entry in deferred_work(plan, results)]
        history = observation.history.with_more(yields, seen, later, now)
        if history != observation.history:
            try:
                write_compaction_history(self.run.state_dir, history)
            except MaintenanceError as error:
                # A full disk is no reason to call what has just made room on it a failure.
                return ["The next call will not know what this one came to, nor what it had no time for: %s" % error]
        return []

    def close(self) -> None:
        if self._lease is not None:
            self._settle(self._lease)
            self._lease.release()
        self._connections.close()

    def _settle(self, lease: SetLease) -> None:
        """Where a failure has ended it all after a step-down: the member need not be out of elections until its time is over."""
        member = lease.unsettled
        if not member:
            return
        try:
            let_stand(self._connections.looking(member))
            lease.note_step_down("", member)
        except MaintenanceError:
            pass  # it stays noted, for the next one


def joined(*parts: str) -> str:
    """Remarks as one."""
    return "; ".join(part for part in parts if part)


def deferred_work(plan: Plan[CompactionWork], results: Results[CompactionWork, CompactionWorld]) -> List[Kept]:
    """What is left for the next time for want of time, seen before or when its turn came. Pure."""
    skipped = [Kept(result.action.target, result.note) for result in results.skipped]
    return [entry for entry in [*plan.kept, *skipped] if is_deferral(entry.reason)]


def require_server(connection: Connection) -> None:
    """Raises MaintenanceError: this server cannot be compacted without harm, or is none."""
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
