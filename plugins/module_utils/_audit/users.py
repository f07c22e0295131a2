# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who uses a directory tree now: processes that work in it, or in whose container a part of it is mounted.

A mode that would shut out one of them would break the shop at its next restart, so the planner of fixes asks for them.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
from typing import Dict, Iterable, List, Optional, Sequence, Set, Tuple

from .._core.errors import MaintenanceError
from .._core.mounts import Mount, inside_file_system, parse_mountinfo
from .._core.paths import lies_below
from .permission_fix import User


def mounted_parts(root: str, own: Sequence[Mount], theirs: Sequence[Mount]) -> List[str]:
    """Paths at or below root that another mount namespace has mounted. Pure."""
    place = inside_file_system(root, own)
    if place is None:
        return []
    device, inner = place
    parts = []
    for other_device, other_root, _point in theirs:
        if other_device == device and lies_below(other_root, inner):
            parts.append((root.rstrip("/") + other_root[len(inner.rstrip("/")) :]).rstrip("/") or "/")
    return parts


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as handle:
            return handle.read()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _below(path: str, roots: Iterable[str]) -> List[str]:
    return [root for root in roots if lies_below(path, root)]


def _own_family() -> Set[int]:
    """This process and its ancestors: the operator's shell in the tree is no part of the shop."""
    family: Set[int] = set()
    pid = os.getpid()
    while pid > 1 and pid not in family:
        family.add(pid)
        match = re.search(r"^PPid:\s*(\d+)", _read("/proc/%d/status" % pid), re.MULTILINE)
        pid = int(match.group(1)) if match else 0
    return family


def find_users(roots: Sequence[str]) -> List[User]:
    """The unprivileged users whose processes work in one of the trees, one entry for each user and set of groups."""
    own_namespace, own_mounts = _link("/proc/self/ns/mnt"), parse_mountinfo(_read("/proc/self/mountinfo"))
    family = _own_family()
    by_namespace: Dict[str, List[str]] = {}
    found: Dict[Tuple[int, frozenset, Tuple[str, ...]], User] = {}
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []
    for pid in sorted(pids):
        if pid in family:
            continue
        base = "/proc/%d/" % pid
        namespace = _link(base + "ns/mnt")
        if namespace and own_namespace and namespace != own_namespace:
            if namespace not in by_namespace:
                theirs = parse_mountinfo(_read(base + "mountinfo"))
                by_namespace[namespace] = sorted(
                    {part for root in roots for part in mounted_parts(root, own_mounts, theirs)}
                )
            places = by_namespace[namespace]
        else:
            places = _below(_link(base + "cwd"), roots)
            if not places:
                for argument in _read(base + "cmdline").split("\0"):
                    places = places or (_below(argument, roots) if argument.startswith("/") else [])
        if not places:
            continue
        user = _user(pid, base, tuple(places))
        if user is not None and user.uid != 0:
            found.setdefault((user.uid, user.groups, user.below), user)
    return list(found.values())


def _user(pid: int, base: str, places: Tuple[str, ...]) -> Optional[User]:
    status = _read(base + "status")
    uid = re.search(r"^Uid:\s+\d+\s+(\d+)", status, re.MULTILINE)
    gid = re.search(r"^Gid:\s+\d+\s+(\d+)", status, re.MULTILINE)
    groups = re.search(r"^Groups:[ \t]*([0-9 ]*)", status, re.MULTILINE)
    name = re.search(r"^Name:\s+(\S+)", status, re.MULTILINE)
    if not uid or not gid:
        return None
    number = int(uid.group(1))
    members = frozenset([int(gid.group(1))] + [int(group) for group in (groups.group(1) if groups else "").split()])
    return User(
        number, members, "%s (%s, process %d)" % (user_name(number), name.group(1) if name else "?", pid), places
    )


def user_name(uid: int) -> str:
    """Name of a user, its number with the word uid when it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return "uid %d" % uid


def has_name(number: int, group: bool) -> bool:
    """Whether the host knows a user, or a group, of that number."""
    try:
        if group:
            grp.getgrgid(number)
        else:
            pwd.getpwuid(number)
    except (KeyError, OverflowError):
        return False
    return True


def group_and_members(gid: int) -> Tuple[Optional[str], List[str]]:
    """Name of a group, None when it has none, and its users: those that it lists, and those whose own group it is."""
    try:
        group = grp.getgrgid(gid)
        name, listed = group.gr_name, list(group.gr_mem)
    except KeyError:
        name, listed = None, []
    return name, sorted({*listed, *(user.pw_name for user in pwd.getpwall() if user.pw_gid == gid)})


def named_user(name: str) -> User:
    """A user of the host by name.

    Raises:
        MaintenanceError: there is none.
    """
    try:
        entry = pwd.getpwnam(name)
    except KeyError as error:
        raise MaintenanceError(
            "there is no such user on this host", target=name, next_step="Correct the option readers."
        ) from error
    return User(entry.pw_uid, frozenset(os.getgrouplist(name, entry.pw_gid)), name)
