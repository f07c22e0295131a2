# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which modes to narrow, and how to give them back: the planners are pure, the acting half works on one inode.

A mode is only ever narrowed. What the running shop needs is kept: where a process of the shop can reach a file or
directory only through the bits that a fix would remove, the object is left alone and the reason says who uses it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from dataclasses import dataclass, replace
from typing import Any, Dict, FrozenSet, Iterable, List, Mapping, Sequence, Tuple

from .._core.errors import MaintenanceError, SkipAction
from .._core.finding import printable
from .._core.legacy_plan import Action, Kept, Plan
from .._core.walker import open_below
from .permission_rules import RULES, Problem, Status

ACL_ATTRIBUTE = "system.posix_acl_access"
_AT_EMPTY_PATH = 0x1000
_STATX_BTIME = 0x800


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
        return not self.below or any(path == top or path.startswith(top.rstrip("/") + "/") for top in self.below)


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
    gentle = strict | (mode & 0o060 & remove)
    for candidate in (strict, gentle):
        losers = [user for user in users if granted(status, mode, user) & ~granted(status, candidate, user) & 6]
        if not losers:
            return candidate, []
    return mode, losers


def plan_fixes(
    problems: Iterable[Problem], wanted: FrozenSet[str], users: Sequence[User], roots: Mapping[str, str]
) -> Plan:
    """One action for each object whose mode can be narrowed. Pure.

    Args:
        problems: what the audit found.
        wanted: ids of the rules to mend.
        users: who uses the tree now.
        roots: path of an object -> the audited path it was found below.
    """
    plan = Plan()
    by_path: Dict[str, List[Problem]] = {}
    for problem in problems:
        if problem.rule.id in wanted and problem.rule.remove:
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
                "%04o -> %04o: %s" % (status.mode, mode, ", ".join(sorted(problem.rule.id for problem in group))),
                data={
                    "path": path,
                    "root": roots[path],
                    "device": status.device,
                    "inode": status.inode,
                    "uid": status.uid,
                    "gid": status.gid,
                    "before": status.mode,
                    "after": mode,
                },
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

    note: Mapping[str, Any]
    status: Any
    before: int
    stages: List[int]
    broken: bool = False


def _chains(entries: Iterable[Tuple[Mapping[str, Any], Any]]) -> List[_Chain]:
    """Notes of the same object joined; the notes come with the latest first."""
    chains: Dict[Tuple[Any, ...], _Chain] = {}
    for note, status in entries:
        # The number of an inode is used again: without its birth the path has to be the same.
        key = (note["device"], note["inode"], note.get("born") or note["path"])
        chain = chains.get(key)
        if chain is None:
            chains[key] = _Chain(note, status, note["before"], [note["after"]])
        elif not chain.broken and note["after"] == chain.before:
            chain.before = note["before"]
            chain.stages.append(note["after"])
        elif note["before"] != chain.before:
            chain.broken = True
    return list(chains.values())


def plan_undo(entries: Iterable[Tuple[Mapping[str, Any], Any]]) -> Plan:
    """Give back the modes that fixes took. Pure.

    Args:
        entries: what the fixes noted, the latest first, each with the present `Status` of the path, or None when it is gone.
    """
    plan = Plan()
    for chain in _chains(entries):
        note, status = chain.note, chain.status
        shown = printable(note["path"])
        if status is None:
            plan.kept.append(Kept(shown, "it is gone"))
        elif (status.device, status.inode) != (note["device"], note["inode"]) or (
            status.born and note.get("born") and status.born != note["born"]  # the number of an inode is used again
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
            plan.actions.append(Action("chmod", shown, reason, data=dict(note, before=status.mode, after=chain.before)))
    return plan


def status_of(result: os.stat_result) -> Status:
    return Status(
        stat.S_IFMT(result.st_mode),
        stat.S_IMODE(result.st_mode),
        result.st_uid,
        result.st_gid,
        result.st_dev,
        result.st_ino,
        result.st_nlink,
    )


def change_mode(data: Mapping[str, Any]) -> None:
    """Set the mode of exactly the inode that was planned.

    Raises:
        SkipAction: it is gone, replaced, or its mode or owner changed since planning.
        MaintenanceError: the system refused.
    """
    path = data["path"]
    try:
        descriptor = open_below(data["root"], path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise SkipAction("it is gone, or a part of its path is a symbolic link now") from error
        raise _refused(path, error) from error
    try:
        now = status_of(os.fstat(descriptor))
        if now.kind not in (stat.S_IFREG, stat.S_IFDIR):
            raise SkipAction("it is no longer a file or a directory")
        if (now.device, now.inode) != (data["device"], data["inode"]):
            raise SkipAction("another file has taken its place since planning")
        if data.get("born") and birth(descriptor) not in (0, data["born"]):
            raise SkipAction("another file has taken its place since planning")
        if (now.mode, now.uid, now.gid) != (data["before"], data["uid"], data["gid"]):
            raise SkipAction("its mode or owner has changed since planning")
        # fchmod() refuses an O_PATH descriptor; through /proc the same inode is reached, by no name that could be swapped.
        os.chmod("/proc/self/fd/%d" % descriptor, data["after"])
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        os.close(descriptor)


def current(root: str, path: str) -> Any:
    """The present status of a path, None when it is gone or reached only through a link."""
    try:
        descriptor = open_below(root, path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise _refused(path, error) from error
    try:
        return replace(status_of(os.fstat(descriptor)), born=birth(descriptor))
    finally:
        os.close(descriptor)


def birth(descriptor: int) -> int:
    """When an open inode was made, in nanoseconds; 0 where library, kernel or file system do not tell (statx(2))."""
    answer = ctypes.create_string_buffer(256)
    try:
        failed = ctypes.CDLL(None).statx(descriptor, b"", _AT_EMPTY_PATH, _STATX_BTIME, answer)
    except (OSError, AttributeError):
        return 0
    told, seconds, fraction = struct.unpack_from("=I76xqI", answer.raw)
    return 0 if failed or not told & _STATX_BTIME else int(seconds * 1000000000 + fraction)


def with_birth(data: Mapping[str, Any]) -> Dict[str, Any]:
    """What a fix notes of an object, with the birth of its inode."""
    try:
        status = current(data["root"], data["path"])
    except MaintenanceError:
        status = None
    return dict(data, born=status.born if status is not None else 0)


def has_acl(path: str) -> bool:
    """Whether a file or directory has an access control list beside its mode."""
    try:
        return ACL_ATTRIBUTE in os.listxattr(path, follow_symlinks=False)
    except OSError:
        return False


def _refused(path: str, error: OSError) -> MaintenanceError:
    step = "Run as the owner of the file or as root (become: true)."
    if error.errno == errno.EROFS:
        step = "Its file system is mounted read-only."
    elif error.errno == errno.EPERM and os.geteuid() == 0:
        step = "It may be immutable (lsattr shows an i): chattr -i takes that away."
    return MaintenanceError(
        "cannot change the mode",
        target=printable(path),
        code=errno.errorcode.get(error.errno or 0, error.errno),
        next_step=step,
    )


def fixable(names: Iterable[str]) -> List[str]:
    """Those of the rules that a narrower mode mends."""
    return [name for name in names if RULES[name].remove]
