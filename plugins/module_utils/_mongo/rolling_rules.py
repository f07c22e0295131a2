# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""In which order the members of a replica set are worked on, and when one may be. Pure."""

from __future__ import annotations

from typing import Dict, List, Sequence

from .._core.units import format_duration
from .topology import Member, Seat

NO_SUCCESSOR = "no other member could become the primary: with a priority, up, and not too far behind"
_UP = ("PRIMARY", "SECONDARY", "ARBITER")


def rolling_order(seats: Sequence[Seat], members: Sequence[Member]) -> List[Seat]:
    """Those that hold data: hidden ones first, as nobody reads from them, then the other secondaries, the primary last."""
    states = _by_name(members)

    def rank(seat: Seat) -> int:
        if seat.name in states and states[seat.name].state == "PRIMARY":
            return 2
        return 0 if seat.hidden else 1

    return sorted((seat for seat in seats if not seat.arbiter), key=rank)


def seat_obstacle(name: str, seats: Sequence[Seat], members: Sequence[Member], max_lag: float) -> str:
    """Why a member may not be busy now, by the state of its set; "" when it may.

    Args:
        members: as the member itself sees them: one that is cut off sees no majority.
        max_lag: seconds that it may be behind, beyond a delay that was asked for.
    """
    states = _by_name(members)
    own, seat = states.get(name), next((entry for entry in seats if entry.name == name), None)
    if own is None or seat is None:
        return "the replica set does not list this member any more"
    if not own.healthy or own.state not in ("PRIMARY", "SECONDARY"):
        return "this member is %s" % (own.state or "not known to the replica set")
    if not any(member.healthy and member.state == "PRIMARY" for member in members):
        return "the replica set has no primary at the moment"
    others = [entry for entry in seats if entry.votes and entry.name != name]
    up = [entry for entry in others if entry.name in states and _counts(states[entry.name])]
    majority = (len(others) + (1 if seat.votes else 0)) // 2 + 1
    # Of two members none can be missed: there both must be up, and the busy one goes on replicating.
    if len(up) < min(majority, len(others)):
        return "of the other voting members only %d of %d are up: without this one there might be no majority" % (
            len(up),
            len(others),
        )
    return lag_obstacle(own, seat, max_lag)


def lag_obstacle(own: Member, seat: Seat, max_lag: float) -> str:
    """Whether a member is too far behind, beyond a delay that was asked for, and how far; "" when it is not."""
    if own.state == "PRIMARY":
        return ""
    if own.lag_seconds is None:
        return "it is not known how far this member is behind the primary"
    behind = own.lag_seconds - seat.delay_seconds
    if behind > max_lag:
        return "this member is %s behind the primary, more than max_lag (%s)" % (
            format_duration(behind),
            format_duration(max_lag),
        )
    return ""


def step_down_obstacle(name: str, seats: Sequence[Seat], members: Sequence[Member], max_lag: float) -> str:
    """Why a member may not step down; "" where it may, or is no primary."""
    states = _by_name(members)
    if name not in states or states[name].state != "PRIMARY" or successors(name, seats, members, max_lag):
        return ""
    return NO_SUCCESSOR


def successors(name: str, seats: Sequence[Seat], members: Sequence[Member], max_lag: float) -> List[str]:
    """Members that could become the primary in place of one: with a priority, up, and not too far behind."""
    states = _by_name(members)
    return [
        seat.name
        for seat in seats
        if seat.name != name
        and seat.priority > 0
        and seat.votes
        and seat.name in states
        and states[seat.name].healthy
        and states[seat.name].state == "SECONDARY"
        and not lag_obstacle(states[seat.name], seat, max_lag)
    ]


def _counts(member: Member) -> bool:
    return member.healthy and member.state in _UP


def _by_name(members: Sequence[Member]) -> Dict[str, Member]:
    return {member.name: member for member in members}
