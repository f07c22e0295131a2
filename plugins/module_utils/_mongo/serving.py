# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a server that answers also serves: a lock against writes that was left, and members that neither lead nor follow.

A locked server answers every question and keeps only writers waiting: nothing but currentOp tells of it.
"""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Tuple

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .._core.leftovers import Leftover, LockLeft
from .client import Connection
from .errors import error_number
from .fsync_lock import is_locked
from .health import UNAUTHORIZED
from .topology import Member, read_members

# What a member is while it does what it should.
WELL = ("PRIMARY", "SECONDARY", "ARBITER")
# Somebody has just added it, and it copies the data.
SYNCING = ("STARTUP", "STARTUP2")
BY_BACKUP, BY_KILLED, BY_SOMEBODY = "a backup that runs", "a backup that was killed", "somebody else"


@dataclass(frozen=True)
class Serving:
    """How a server serves.

    Attributes:
        where: its address.
        locked_by: who holds the lock against writes, "" when there is none.
        state: of this member: primary (a standalone, too), secondary, arbiter or other.
        members: those of its set that are not as they should be; empty where the user may not know.
    """

    where: str
    locked_by: str = ""
    state: str = "primary"
    members: Tuple[Member, ...] = ()

    @property
    def problems(self) -> List[str]:
        """What somebody has to do something about, a sentence for each."""
        found = []
        if self.locked_by == BY_KILLED:
            found.append(
                "MongoDB at %s is locked against writes by a backup that was killed: nobody can order anything. The next run"
                " releases it, such as the playbook backup" % self.where
            )
        elif self.locked_by == BY_SOMEBODY:
            found.append(
                "MongoDB at %s is locked against writes (fsyncLock), by somebody else than this collection: nobody can order"
                " anything until db.fsyncUnlock() is run in mongosh" % self.where
            )
        if self.state == "other" and not any(member.is_self for member in self.members):
            found.append(
                "the member of MongoDB at %s is neither primary nor secondary: it starts, syncs (STARTUP2) or recovers"
                " (RECOVERING), and may refuse the right password until it is done" % self.where
            )
        for member in self.members:
            if not member.healthy:
                found.append("the member %s of the replica set does not answer" % member.name)
            elif member.state not in SYNCING:
                found.append("the member %s of the replica set is %s" % (member.name, member.state))
        return found

    @property
    def notes(self) -> List[str]:
        """What is as somebody wants it, and worth a word."""
        found = []
        if self.locked_by == BY_BACKUP:
            found.append("MongoDB at %s is locked against writes by a backup that runs" % self.where)
        for member in self.members:
            if member.healthy and member.state in SYNCING:
                found.append(
                    "the member %s copies the data of its replica set (%s); until then it refuses every password, also the"
                    " right one" % (member.name, member.state)
                )
        return found

    def as_dict(self) -> Dict[str, Any]:
        return {
            "locked": bool(self.locked_by),
            "locked_by": self.locked_by,
            "state": self.state,
            "members": [member.as_dict() for member in self.members],
            "problems": self.problems,
            "notes": self.notes,
        }


def holder_of(locked: bool, notes: Sequence[Leftover], boot: str) -> str:
    """Who holds the lock against writes; "" when there is none. Pure but for the question whether processes live.

    Args:
        notes: what runs have noted before they locked.
        boot: id of the host's present boot.
    """
    if not locked:
        return ""
    ours = [note for note in notes if isinstance(note.left, LockLeft) and not note.is_of_another_boot(boot)]
    if any(note.left.keeper.runs() or note.process.runs() for note in ours if isinstance(note.left, LockLeft)):
        return BY_BACKUP
    return BY_KILLED if ours else BY_SOMEBODY


def look_at_serving(connection: Connection, notes: Sequence[Leftover], boot: str) -> Serving:
    """How the connected server serves.

    Raises:
        MaintenanceError: it does not answer.
    """
    holder = holder_of(is_locked(connection), notes, boot)
    members: Sequence[Member] = ()
    try:
        members = [member for member in read_members(connection) if not member.healthy or member.state not in WELL]
    except MaintenanceError as error:
        if error_number(error.__cause__ or error) != UNAUTHORIZED:
            raise
    return Serving(connection.address.where, holder, connection.server.state, tuple(members))
