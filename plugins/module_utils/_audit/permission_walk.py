# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at the trees and sockets of a permission audit, and notes what breaks a rule: of a million files the rest is not kept."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from typing import FrozenSet, Iterable, List, Set, Tuple

from .._core.errors import from_os_error
from .._core.walker import Walk
from .file_modes import identified, status_of
from .permission_policy import PermissionPolicy
from .permission_problems import Facts, SocketFacts, Unreadable, examine, plainly_fine
from .secret_files import PEM_ENDINGS
from .users import group_and_members

PEM_HEAD_BYTES = 65536


def walk_tree(root: str, policy: PermissionPolicy) -> Tuple[List[Facts], List[Unreadable], int]:
    """What lies at and below a path and breaks a rule, what could not be looked into, and how many entries there are.

    Raises:
        MaintenanceError: the path is missing or closed to us.
    """
    found: List[Facts] = []
    walk = Walk(root, policy.exclude)
    directory, in_backups, in_scripts = "", False, False
    trusted: FrozenSet[int] = frozenset()
    top_owner = 0
    try:
        for path, descriptor, name, result in walk:
            mode = result.st_mode
            if stat.S_ISDIR(mode):
                if mode & 0o002:
                    _note(found, Facts(os.path.join(path, name), root, status_of(result)), policy)
                if walk.entries == 1:
                    top_owner = result.st_uid
                continue
            if not stat.S_ISREG(mode):
                continue
            if path != directory:
                directory = path
                below = path[len(root) :] + "/"
                in_backups, in_scripts = "/backups/" in below, below.endswith("/scripts/")
                trusted = frozenset()
            if plainly_fine(name, mode, in_backups, in_scripts):
                continue
            if not trusted:
                # Whoever owns the directory can replace the file anyway.
                trusted = frozenset((0, top_owner, os.fstat(descriptor).st_uid))
            facts = Facts(
                os.path.join(path, name),
                root,
                status_of(result),
                in_backups,
                in_scripts,
                trusted,
                _private_pem(descriptor, name),
            )
            _note(found, facts, policy)
    except OSError as error:
        raise from_os_error(
            "cannot audit this path",
            error,
            target=root,
            next_step="Correct paths, or run as root (become: true).",
        ) from error
    unreadable = [Unreadable(trouble.path, root, trouble.code) for trouble in walk.troubles]
    return found, unreadable, walk.entries


def _note(found: List[Facts], facts: Facts, policy: PermissionPolicy) -> None:
    broken = {rule for rule, _note in examine(facts) if policy.wants(rule)}
    if broken & policy.fix:
        facts = replace(facts, status=identified(facts.root, facts.path, facts.status))
    if broken:
        found.append(facts)


def look_at_sockets(paths: Iterable[str]) -> List[SocketFacts]:
    """The Docker sockets that exist, each once whatever its names, without opening one."""
    found: List[SocketFacts] = []
    seen: Set[Tuple[int, int]] = set()
    for path in paths:
        try:
            result = os.stat(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise from_os_error("cannot look at the Docker socket", error, target=path) from error
        if (result.st_dev, result.st_ino) in seen:
            continue  # under another name (/run and /var/run)
        seen.add((result.st_dev, result.st_ino))
        name, members = group_and_members(result.st_gid)
        found.append(SocketFacts(path, status_of(result), stat.S_ISSOCK(result.st_mode), name, tuple(members)))
    return found


def _private_pem(descriptor: int, name: str) -> bool:
    """Whether a .pem file holds a private key; one that cannot be read counts as one."""
    if name.rpartition(".")[2].lower() not in PEM_ENDINGS:
        return False
    try:
        opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=descriptor)
        with os.fdopen(opened, "rb") as handle:
            return b"PRIVATE KEY-----" in handle.read(PEM_HEAD_BYTES)
    except OSError:
        return True
