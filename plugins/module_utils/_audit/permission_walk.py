# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at the trees and sockets of a permission audit, and notes what breaks a rule: of a million files the rest is not kept."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import Iterable, List, Sequence, Set, Tuple

from .._core.errors import from_os_error
from .._core.walker import Walk
from .file_modes import status_of
from .permission_look import Look, Owners
from .permission_policy import PermissionPolicy
from .permission_problems import USUAL_BITS, Facts, SocketFacts, Unreadable, plainly_fine
from .permission_rules import RuleSet
from .users import group_and_members


@dataclass(frozen=True)
class Sieve:
    """What is a candidate of the rules, by name, mode and owner alone; all else breaks none of them.

    Attributes:
        file_bits, directory_bits: permission bits that make one whatever the name.
        every_file, every_directory: a rule may be broken by any.
    """

    file_bits: int
    directory_bits: int
    every_file: bool
    every_directory: bool

    @classmethod
    def of(cls, rules: RuleSet) -> Sieve:
        return cls(USUAL_BITS | rules.file_bits, 0o002 | rules.directory_bits, rules.every_file, rules.every_directory)


def walk_tree(
    root: str, roots: Sequence[str], policy: PermissionPolicy, owners: Owners
) -> Tuple[List[Facts], List[Unreadable], int]:
    """What lies at and below a path and breaks a rule, what could not be looked into, and how many entries there are.

    Args:
        roots: all audited paths, this one among them.

    Raises:
        MaintenanceError: the path is missing or closed to us.
    """
    look = Look(root, roots, policy, owners)
    walk = Walk(root, policy.exclude, links=True)
    try:
        sift(walk, look, Sieve.of(policy.rules))
        look.ancestors()
    except OSError as error:
        raise from_os_error(
            "cannot audit this path",
            error,
            target=root,
            next_step="Correct paths, or run as root (become: true).",
        ) from error
    finally:
        look.close()
    unreadable = [Unreadable(trouble.path, root, trouble.code) for trouble in walk.troubles]
    return look.found(), unreadable, walk.entries


def sift(walk: Walk, look: Look, sieve: Sieve) -> None:
    """Walk, and look closer at each candidate.

    Raises:
        OSError: what the walk begins at is missing.
    """
    nameless, file_bits, directory_bits = look.owners.nameless, sieve.file_bits, sieve.directory_bits
    directory, at_top = "", walk.root == look.root
    for path, _descriptor, name, result in walk:
        mode = result.st_mode
        if stat.S_ISREG(mode):
            if path != directory:
                directory = path
                look.enter(path)
            if (
                sieve.every_file
                or not plainly_fine(name, mode, look.in_backups, file_bits)
                or nameless(result.st_uid, result.st_gid)
            ):
                look.enter(path)
                look.file(name, status_of(result), result.st_size)
        elif stat.S_ISDIR(mode):
            if at_top:
                look.top_owner, at_top = result.st_uid, False
            if sieve.every_directory or mode & directory_bits or nameless(result.st_uid, result.st_gid):
                look.directory(os.path.join(path, name), status_of(result))
        elif stat.S_ISLNK(mode):
            look.link(path, name, status_of(result))


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
