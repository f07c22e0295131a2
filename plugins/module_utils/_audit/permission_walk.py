# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at the trees and sockets of a permission audit, and notes what breaks a rule: of a million files the rest is not kept."""

from __future__ import annotations

import os
import stat
from collections import Counter, deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Callable, Deque, Iterable, List, Optional, Sequence, Set, Tuple

from .._core.errors import MaintenanceError, from_os_error
from .._core.late_dataclass import dataclass
from .._core.walker import Trouble, Walk
from .file_modes import status_of
from .permission_find import (
    DIRECTORY,
    FILE,
    FOR_BACKUPS,
    Selection,
    Siblings,
    batches,
    candidates,
    gnu_find,
    in_backups,
    look_through,
    plain_names,
)
from .permission_look import Look, Owners
from .permission_policy import PermissionPolicy
from .permission_problems import USUAL_BITS, Facts, SocketFacts, Unreadable, plainly_fine
from .permission_rules import RuleSet
from .users import group_and_members, has_name

# So many entries are looked at by ourselves before find is called, which takes a while to begin.
SMALL = 3000
# So many finds at a time: the shop needs the machine too.
FINDS = 2
# Fewer subtrees than this are opened further before they are shared out.
SHARES = 16


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

    def takes_file(self, look: Look, name: str, mode: int, uid: int, gid: int) -> bool:
        """Whether a file of the present directory is a candidate."""
        return (
            self.every_file
            or not plainly_fine(name, mode, look.in_backups, self.file_bits)
            or bool(look.owners.nameless(uid, gid))
        )

    def takes_directory(self, look: Look, mode: int, uid: int, gid: int) -> bool:
        return self.every_directory or bool(mode & self.directory_bits or look.owners.nameless(uid, gid))


def walk_tree(
    root: str, roots: Sequence[str], policy: PermissionPolicy, owners: Owners, all_backups: bool = False
) -> Tuple[List[Facts], List[Unreadable], int]:
    """What lies at and below a path and breaks a rule, what could not be looked into, and how many entries there are.

    Args:
        roots: all audited paths, this one among them.
        all_backups: every file there is a backup.

    Raises:
        MaintenanceError: the path is missing or closed to us.
    """
    look = Look(root, roots, policy, owners, all_backups=all_backups)
    survey = _Survey(look, policy)
    try:
        survey.run()
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
    unreadable = sorted(
        (Unreadable(item.path, root, item.code) for item in survey.troubles), key=lambda item: item.path
    )
    return look.found(), unreadable, survey.entries


class _Survey:
    """One pass over a tree: by ourselves where it is small, by find where it is large.

    Attributes:
        entries: how many entries were looked at; troubles: what could not be looked into.
    """

    def __init__(self, look: Look, policy: PermissionPolicy) -> None:
        self.look = look
        self.sieve = Sieve.of(policy.rules)
        self.exclude = policy.exclude
        self.entries = 0
        self.troubles: List[Trouble] = []
        self._deferred: List[str] = []
        self._seen = 0
        self._owners: Counter[int] = Counter()
        self._groups: Counter[int] = Counter()

    def run(self) -> None:
        names = plain_names(self.exclude)
        # Where every file is a candidate, find would only hand us all of them.
        program = gnu_find() if names is not None and not self.look.all_backups else ""
        self._walk("", self._defer if program else None)
        if not self._deferred or names is None:
            return
        # A few large subtrees are opened one level further, until there is something to share out.
        expanded = 0
        while len(self._deferred) < SHARES and self._deferred and expanded < SMALL:
            shared, self._deferred = self._deferred, []
            for start in shared:
                before = self._seen
                self._walk(start, self._always)
                expanded += 1 + self._seen - before
        selection = Selection(
            self.sieve.file_bits,
            self.sieve.directory_bits,
            self.sieve.every_file,
            self.sieve.every_directory,
            self._usual(self._owners, group=False),
            self._usual(self._groups, group=True),
            names,
        )
        self._share_out(program, selection)

    def _share_out(self, program: str, selection: Selection) -> None:
        root = self.look.root
        for start in self._deferred:
            if in_backups(root, start):
                self._walk(start, None)
        waiting = batches(start for start in self._deferred if not in_backups(root, start))
        self._deferred = []
        with ThreadPoolExecutor(max_workers=min(FINDS, len(os.sched_getaffinity(0)))) as pool:
            # So many at a time: what is done waits here, and is perhaps much.
            running: Deque[Tuple[Siblings, Future[Optional[Tuple[List[bytes], int]]]]] = deque()
            for batch in waiting:
                running.append((batch, pool.submit(look_through, program, root, batch, selection)))
                if len(running) > 2 * FINDS:
                    self._take(*running.popleft())
            while running:
                self._take(*running.popleft())

    def _take(self, batch: Siblings, future: Future[Optional[Tuple[List[bytes], int]]]) -> None:
        found = future.result()
        if found is None:
            for start in batch.paths():
                self._walk(start, None)
            return
        records, entries = found
        self.entries += entries
        look, sieve = self.look, self.sieve
        for item in candidates(batch.parent, records):
            status = item.status
            if item.kind == FILE:
                look.enter(item.directory)
                if sieve.takes_file(look, item.name, status.mode, status.uid, status.gid):
                    look.file(item.name, status, item.size)
            elif item.kind == DIRECTORY:
                if sieve.takes_directory(look, status.mode, status.uid, status.gid):
                    look.directory(os.path.join(item.directory, item.name), status)
            elif item.kind == FOR_BACKUPS:
                self._walk(os.path.join(item.directory, item.name), None)
            else:
                look.link(item.directory, item.name, status)

    def _walk(self, start: str, defer: Optional[Callable[[str], bool]]) -> None:
        walk = Walk(self.look.root, self.exclude, links=True, start=start, defer=defer)
        look, sieve = self.look, self.sieve
        at_top = not start
        for path, _descriptor, name, result in walk:
            mode = result.st_mode
            if at_top and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise MaintenanceError(
                    "cannot audit this path: it is neither a file nor a directory",
                    target=self.look.root,
                    next_step="Correct paths.",
                )
            self._seen += 1
            if self._seen < SMALL:
                self._owners[result.st_uid] += 1
                self._groups[result.st_gid] += 1
            if stat.S_ISREG(mode):
                look.enter(path)
                if sieve.takes_file(look, name, mode, result.st_uid, result.st_gid):
                    look.file(name, status_of(result), result.st_size)
            elif stat.S_ISDIR(mode):
                if at_top:
                    look.top_owner = result.st_uid
                if sieve.takes_directory(look, mode, result.st_uid, result.st_gid):
                    look.directory(os.path.join(path, name), status_of(result))
            elif stat.S_ISLNK(mode):
                look.link(path, name, status_of(result))
            at_top = False
        self.entries += walk.entries
        self.troubles += walk.troubles

    def _defer(self, path: str) -> bool:
        if self._seen < SMALL:
            return False
        self._deferred.append(path)
        return True

    def _always(self, path: str) -> bool:
        self._deferred.append(path)
        return True

    def _usual(self, counted: Counter[int], group: bool) -> Tuple[int, ...]:
        """The owners or groups that were met most and have names."""
        return tuple(number for number, _count in counted.most_common(8) if has_name(number, group))


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
