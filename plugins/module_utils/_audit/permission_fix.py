# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which modes to narrow, and how to give them back. Pure.

A mode is only ever narrowed. What the running shop needs is kept: where a process of the shop can reach a file or
directory only through the bits that a fix would remove, the object is left alone and the reason says who uses it.
"""

from __future__ import annotations

import stat
from typing import Any, Dict, FrozenSet, Iterable, List, Optional, Sequence, Tuple, Union

from .._core.finding import printable
from .._core.late_dataclass import dataclass
from .._core.paths import lies_below
from .._core.plan import Action, Kept, Plan
from .permission_problems import Problem, Status


@dataclass(frozen=True)
class ModeChange:
    """Another mode for exactly one inode.

    Attributes:
        path: where it lies; root: the audited path above it, from which it is reached without following a link.
        device, inode, born: which one it is; born is 0 where that is unknown.
        uid, gid: whose it is.
        before, after: permission bits.
    """

    path: str
    root: str
    device: int
    inode: int
    uid: int
    gid: int
    before: int
    after: int
    born: int


@dataclass(frozen=True)
class NarrowMode(ModeChange):
    """Take rights away.

    Attributes:
        undo_id: the fix that this belongs to: all of it can be taken back by this.
    """

    undo_id: str


@dataclass(frozen=True)
class RestoreMode(ModeChange):
    """Give back what a fix has taken."""


PermissionWork = Union[NarrowMode, RestoreMode]


@dataclass(frozen=True)
class User:
    """Somebody who uses the tree: a process of the shop, or a user named in the options.

    Attributes:
        below: the paths that are used; everything when empty.
    """

    uid: int
    groups: FrozenSet[int]
    name: str
    below: Tuple[str, ...] = ()

    def reaches(self, path: str) -> bool:
        return not self.below or any(lies_below(path, top) for top in self.below)


def granted(status: Status, mode: int, user: User) -> int:
    """The bits (rwx as 0..7) that a user has on an object of that owner under a mode; root has all."""
    if user.uid == 0:
        return 7
    if user.uid == status.uid:
        return (mode >> 6) & 7
    if status.gid in user.groups:
        return (mode >> 3) & 7
    return mode & 7


def narrowed(mode: int, remove: int, status: Status, users: Iterable[User]) -> Tuple[int, List[User]]:
    """The mode without the bits to remove, as far as the users of the tree keep what they have.

    Returns:
        The new mode, and the users who would lose reading (a directory: writing) even then; when there are any,
        the mode is the old one.
    """
    users = list(users)
    strict = mode & ~remove
    # The rights of a group stay when a user of the tree is in it and has them through nothing else.
    group_kept = strict | (mode & 0o060 & remove)
    for candidate in (strict, group_kept):
        losers = [user for user in users if granted(status, mode, user) & ~granted(status, candidate, user) & 6]
        if not losers:
            return candidate, []
    return mode, losers


def plan_fixes(
    problems: Iterable[Problem], wanted: FrozenSet[str], users: Sequence[User], undo_id: str
) -> Plan[PermissionWork]:
    """One action for each object whose mode can be narrowed. Pure.

    Args:
        problems: what the audit found.
        wanted: ids of the rules to mend.
        users: who uses the tree now.
        undo_id: by what the whole fix is to be taken back.
    """
    plan: Plan[PermissionWork] = Plan()
    by_path: Dict[str, List[Problem]] = {}
    for problem in problems:
        if problem.rule.name in wanted and problem.rule.remove:
            by_path.setdefault(problem.path, []).append(problem)
    for path in sorted(by_path):
        group = by_path[path]
        status = group[0].status
        shown = printable(path)
        if status.kind == stat.S_IFREG and status.links > 1:
            plan.kept.append(
                Kept(shown, "it has %d names (hard links), some perhaps elsewhere; mend it by hand" % status.links)
            )
            continue
        remove = 0
        for problem in group:
            remove |= problem.rule.remove
        mode, losers = narrowed(status.mode, remove, status, [user for user in users if user.reaches(path)])
        if losers:
            who = ", ".join(sorted({user.name for user in losers}))
            plan.kept.append(
                Kept(
                    shown,
                    "mode %04o is what %s uses it by; make that user its owner or put it in its group first"
                    % (status.mode, who),
                )
            )
            continue
        if status.acl and (mode ^ status.mode) & 0o070:
            # chmod would set the mask of the list and with it shut out the users named there.
            mode |= status.mode & 0o070
            if mode == status.mode:
                plan.kept.append(
                    Kept(shown, "its access control list lets others in (getfacl shows whom); mend it with setfacl")
                )
                continue
        if mode == status.mode:
            plan.kept.append(Kept(shown, "mode %04o is as narrow as the users of the tree allow" % mode))
            continue
        plan.actions.append(
            Action(
                "chmod",
                shown,
                "%04o -> %04o: %s" % (status.mode, mode, ", ".join(sorted(problem.rule.name for problem in group))),
                NarrowMode(
                    path,
                    group[0].scope,
                    status.device,
                    status.inode,
                    status.uid,
                    status.gid,
                    status.mode,
                    mode,
                    status.born,
                    undo_id,
                ),
            )
        )
    return plan


@dataclass
class _Chain:
    """What several fixes did to one object, one after the other.

    Attributes:
        note: of the latest fix.
        before: the mode before the first of them.
        stages: the modes that they set, the latest first. A fix that was killed noted a mode that it did not set.
        broken: somebody else changed the mode between two of them; what was before that is not given back.
    """

    note: ModeChange
    status: Optional[Status]
    before: int
    stages: List[int]
    broken: bool = False


def _chains(entries: Iterable[Tuple[ModeChange, Optional[Status]]]) -> List[_Chain]:
    """Notes of the same object joined; the notes come with the latest first."""
    chains: Dict[Tuple[Any, ...], _Chain] = {}
    for note, status in entries:
        # The number of an inode is used again: without its birth the path has to be the same.
        key = (note.device, note.inode, note.born or note.path)
        chain = chains.get(key)
        if chain is None:
            chains[key] = _Chain(note, status, note.before, [note.after])
        elif not chain.broken and note.after == chain.before:
            chain.before = note.before
            chain.stages.append(note.after)
        elif note.before != chain.before:
            chain.broken = True
    return list(chains.values())


def plan_undo(entries: Iterable[Tuple[ModeChange, Optional[Status]]]) -> Plan[PermissionWork]:
    """Give back the modes that fixes took. Pure.

    Args:
        entries: what the fixes noted, the latest first, each with the present `Status` of the path, or None when it is gone.
    """
    plan: Plan[PermissionWork] = Plan()
    for chain in _chains(entries):
        note, status = chain.note, chain.status
        shown = printable(note.path)
        if status is None:
            plan.kept.append(Kept(shown, "it is gone"))
        elif (status.device, status.inode) != (note.device, note.inode) or (
            status.born and note.born and status.born != note.born  # the number of an inode is used again
        ):
            plan.kept.append(Kept(shown, "another file has taken its place since; its mode is left alone"))
        elif status.mode == chain.before:
            plan.kept.append(Kept(shown, "it has mode %04o, as before the fix" % status.mode))
        elif status.mode not in chain.stages:
            plan.kept.append(Kept(shown, "somebody has changed its mode to %04o since; it is left alone" % status.mode))
        else:
            reason = "%04o -> %04o: as before the fix" % (status.mode, chain.before)
            if chain.broken:
                reason += "; somebody else changed its mode before that, and that stays"
            back = RestoreMode(
                note.path,
                note.root,
                note.device,
                note.inode,
                note.uid,
                note.gid,
                status.mode,
                chain.before,
                note.born,
            )
            plan.actions.append(Action("chmod", shown, reason, back))
    return plan
