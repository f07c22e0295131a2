# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One member of a replica set after the other, never two at a time."""

from __future__ import annotations

import math
import time
from typing import Callable, List, Sequence, Tuple

from .._core.errors import AbortPlan, MaintenanceError, SkipAction
from .._core.late_dataclass import dataclass
from .._core.units import format_duration
from .client import Connection, Server
from .compaction import Policy
from .errors import mongo_errors
from .member_connections import MemberConnections
from .rolling_rules import NO_SUCCESSOR, lag_obstacle, seat_obstacle, successors
from .running_operations import running_commands
from .set_lease import LEASE_SECONDS, SetLease
from .topology import Member, Seat, read_members, read_seats, read_server

# How long a member may need to catch up, and a set for an election, before nothing further is done.
CATCH_UP_SECONDS = 600.0
ELECTION_SECONDS = 60.0
# On a set that nobody writes to, the next write, such as that of the lease, has every member behind by the whole pause until it
# gets there: that is no lag yet.
_ARRIVAL_SECONDS = 5.0
# The server waits so long for another member to catch up before it steps down.
_STEP_DOWN_CATCH_UP = 30


@dataclass(frozen=True)
class Rolling:
    """What is looked at before a member gets busy, and waited for afterwards.

    Attributes:
        names: of the members that hold data.
        renew: a sign of life of the run on this host.
        clock: seconds, monotonic.
        sleep: waits for so many seconds between two looks.
    """

    connections: MemberConnections
    names: Tuple[str, ...]
    policy: Policy
    lease: SetLease
    renew: Callable[[], None]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def take_turn(self, member: str) -> str:
        """Have the lease of the set for a member; returns what was mended after a holder that had died, "" for nothing.

        Raises:
            SkipAction: another host has it.
            MaintenanceError: the lease could not be written.
        """
        self._require(self.lease.hold(member))
        left = self.lease.left_behind
        # The document may be written by others: nobody is spoken to but who is in the set.
        if left not in self.names:
            return ""
        try:
            let_stand(self.connections.looking(left))
        except MaintenanceError:
            # It stays noted, and the server lets it stand again by itself after a while.
            return ""
        self._require(self.lease.note_step_down("", member))
        return "%s, which an earlier call had made step down, may be elected again" % left

    @staticmethod
    def _require(other: str) -> None:
        if other:
            raise SkipAction(
                "another host or call works on a member of this replica set (%s; if it has died, its lease runs out within %s)"
                % (other, format_duration(LEASE_SECONDS))
            )

    def obstacle(self, member: str, server: Server) -> str:
        """Why a member may not get busy at this moment; "" when it may. The lease is ours when this is asked.

        Raises:
            SkipAction: the lease was lost.
            MaintenanceError: the member does not answer.
        """
        if server.state == "primary" and self.policy.primary == "stepdown":
            return "this member is the primary: it has not stepped down, or was elected again"
        seats, members = self._look(member)
        began = self.clock()
        while self._only_behind(member, seats, members) and self.clock() - began < _ARRIVAL_SECONDS:
            self.sleep(0.2)
            seats, members = self._look(member)
        reason = seat_obstacle(member, seats, members, self.policy.max_lag) or self._busy_elsewhere(member, members)
        if not reason and not self.lease.fresh:
            self.take_turn(member)
        return reason

    def _look(self, member: str) -> Tuple[List[Seat], List[Member]]:
        connection = self.connections.looking(member)
        return read_seats(connection), read_members(connection)

    def _only_behind(self, member: str, seats: Sequence[Seat], members: Sequence[Member]) -> bool:
        """Whether nothing is in a member's way but that it is too far behind."""
        reason = seat_obstacle(member, seats, members, self.policy.max_lag)
        return bool(reason) and not seat_obstacle(member, seats, members, math.inf)

    def _busy_elsewhere(self, member: str, members: Sequence[Member]) -> str:
        """Whether another member compacts, such as for somebody who knows nothing of leases, or for a client that died."""
        up = {entry.name for entry in members if entry.healthy}
        for other in self.names:
            if other == member or other not in up:
                continue
            try:
                running = running_commands(self.connections.looking(other), "compact")
            except MaintenanceError as error:
                return "the member %s cannot be asked whether it compacts: %s" % (other, str(error).rstrip("."))
            if running:
                return "a compaction runs on the member %s" % other
        return ""

    def wait_until_caught_up(self, member: str) -> None:
        """Wait until a member has what the primary has.

        Raises:
            AbortPlan: it does not come about.
        """

        def behind() -> str:
            seats, members = self._look(member)
            own = [entry for entry in members if entry.name == member]
            seat = [entry for entry in seats if entry.name == member]
            if not own or not seat or own[0].state not in ("PRIMARY", "SECONDARY"):
                return "this member is neither primary nor secondary"
            return lag_obstacle(own[0], seat[0], self.policy.max_lag)

        self._wait(behind, CATCH_UP_SECONDS, "the member has not caught up after its compaction", member)

    def step_down(self, member: str, seconds: int) -> str:
        """Make another member the primary; returns which.

        Args:
            seconds: for so long the member does not stand for election.

        Raises:
            SkipAction: it is no primary any more, or nobody could take its place.
            AbortPlan: there is no new primary in time.
            MaintenanceError: the server refuses.
        """
        connection = self.connections.looking(member)
        if read_server(connection).state != "primary":
            raise SkipAction("it is not the primary any more")
        began = self.clock()
        while True:
            seats, members = self._look(member)
            if successors(member, seats, members, self.policy.max_lag):
                break
            if self.clock() - began >= _ARRIVAL_SECONDS:
                raise SkipAction(NO_SUCCESSOR)
            self.sleep(0.2)
        # Before it is done: killed after it, the next call knows.
        self._require(self.lease.note_step_down(member, member))
        with mongo_errors("cannot make the primary step down", member):
            connection.client.admin.command(
                {
                    "replSetStepDown": max(seconds, _STEP_DOWN_CATCH_UP + 1),
                    "secondaryCatchUpPeriodSecs": _STEP_DOWN_CATCH_UP,
                }
            )
        found: List[str] = []

        def no_primary() -> str:
            found[:] = [
                entry.name
                for entry in self._look(member)[1]
                if entry.state == "PRIMARY" and entry.healthy and entry.name != member
            ]
            if not found:
                return "no other member has become the primary"
            # It is elected before it has caught up, and takes no writes until then; what follows writes there.
            ready = read_server(self.connections.looking(found[0])).state == "primary"
            return "" if ready else "%s, the new primary, takes no writes yet" % found[0]

        self._wait(no_primary, ELECTION_SECONDS, "there is no new primary", member)
        return found[0]

    def stand_again(self, member: str) -> None:
        """Let a member be elected again, and wait until it could be.

        Raises:
            SkipAction: it is the primary.
            AbortPlan: it does not come about.
            MaintenanceError: the server refuses.
        """
        if read_server(self.connections.looking(member)).state == "primary":
            self._require(self.lease.note_step_down("", member))
            raise SkipAction("it is the primary")
        let_stand(self.connections.looking(member))
        self._require(self.lease.note_step_down("", member))
        self.wait_until_caught_up(member)

    def _wait(self, reason: Callable[[], str], seconds: float, what: str, member: str) -> None:
        began = self.clock()
        while True:
            try:
                left = reason()
            except MaintenanceError as error:
                # A member may be away for a moment, as in an election.
                left = str(error).rstrip(".")
            if not left:
                return
            if self.clock() - began > seconds:
                raise AbortPlan(
                    "%s in %s, and nothing further is done (%s)" % (what, format_duration(seconds), left),
                    target=member,
                    next_step="Look at rs.status(), and run it again when all members are well.",
                )
            self.renew()
            self.sleep(0.2)


def let_stand(connection: Connection) -> None:
    """Let a member be elected again, unless it has been.

    Raises:
        MaintenanceError: the server refuses.
    """
    if read_server(connection).state != "primary":
        with mongo_errors("cannot let the member be elected again", connection.address.where):
            connection.client.admin.command({"replSetFreeze": 0})


def look_at_set(connection: Connection) -> Tuple[List[Seat], List[Member]]:
    """Configuration and state of the set of a connected member.

    Raises:
        MaintenanceError: the server refuses.
    """
    return read_seats(connection), read_members(connection)
