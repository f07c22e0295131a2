# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The biggest directories of a tree, found in one pass with bounded memory."""

from __future__ import annotations

import heapq
import stat
import time
from typing import Any, Dict, List, Sequence, Set, Tuple

from .._core.finding import printable
from .._core.late_dataclass import dataclass
from .._core.walker import Walk

# Of the biggest directories more are kept than are shown, as some turn out to be mere wrappings of others.
_SPARE = 5
# A directory that holds hardly anything beside one subdirectory says nothing of its own.
_WRAPPING = 0.9
_MOST_LINKED = 1000000
_CLOCK_EVERY = 4096


@dataclass
class Directory:
    """What lies below a directory, itself included: bytes on disk, bytes in files, files."""

    path: str
    allocated: int = 0
    apparent: int = 0
    files: int = 0

    def as_dict(self) -> Dict[str, Any]:
        return {
            "path": printable(self.path),
            "bytes_allocated": self.allocated,
            "bytes_apparent": self.apparent,
            "files": self.files,
        }


class Largest:
    """Adds up a depth-first stream of entries; only the directories on the present path and the biggest ones are kept."""

    def __init__(self, root: str, count: int) -> None:
        self._root = root
        self._count = count
        self._stack: List[Directory] = []
        self._heap: List[Tuple[int, str, Directory]] = []
        self._linked: Set[Tuple[int, int]] = set()
        self.total = Directory(root)

    def add(self, directory: str, status: Any) -> None:
        """Count one entry of a directory; entries of a directory come before those of its subdirectories."""
        while self._stack and not _holds(self._stack[-1].path, directory):
            self._leave()
        if not self._stack or self._stack[-1].path != directory:
            self._stack.append(Directory(directory))
        top = self._stack[-1]
        if stat.S_ISREG(status.st_mode):
            if status.st_nlink > 1:
                identity = (status.st_dev, status.st_ino)
                if identity in self._linked:
                    return
                if len(self._linked) < _MOST_LINKED:
                    self._linked.add(identity)
            top.files += 1
            top.apparent += status.st_size
        top.allocated += status.st_blocks * 512

    def _leave(self) -> None:
        done = self._stack.pop()
        # Empty levels between are not in the stream: the parent is whatever is below on the stack.
        if self._stack:
            parent = self._stack[-1]
            parent.allocated += done.allocated
            parent.apparent += done.apparent
            parent.files += done.files
        else:
            self.total = done
        entry = (done.allocated, done.path, done)
        if len(self._heap) < self._count * _SPARE:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def result(self) -> List[Directory]:
        while self._stack:
            self._leave()
        return choose_largest(
            [directory for _size, _path, directory in sorted(self._heap, reverse=True)], self._root, self._count
        )


def choose_largest(directories: Sequence[Directory], root: str, count: int) -> List[Directory]:
    """The biggest ones worth telling: not the root, and no directory that merely wraps another one. Pure.

    Args:
        directories: the biggest first.
    """
    worth = []
    for directory in directories:
        if directory.path == root:
            continue
        inner = directory.path.rstrip("/") + "/"
        if any(
            other.path.startswith(inner) and other.allocated >= _WRAPPING * directory.allocated > 0
            for other in directories
        ):
            continue
        worth.append(directory)
    return worth[:count]


def _holds(above: str, below: str) -> bool:
    return below == above or below.startswith(above.rstrip("/") + "/")


@dataclass
class Usage:
    """The biggest directories below a root, and whether all of it was seen."""

    root: str
    largest: List[Directory]
    total: Directory
    complete: bool
    unreadable: int
    entries: int


def biggest(root: str, count: int, seconds: float) -> Usage:
    """Walk one tree on one file system.

    Args:
        root: the directory.
        count: how many directories to return.
        seconds: time limit; what was seen until then is returned.
    """
    walk = Walk(root, one_device=True)
    largest = Largest(root, count)
    deadline = time.monotonic() + seconds
    complete = True
    for number, (path, _descriptor, _name, status) in enumerate(walk):
        if number == 0:
            continue  # the root itself, given as an entry of its parent
        largest.add(path, status)
        if number % _CLOCK_EVERY == 0 and time.monotonic() > deadline:
            complete = False
            break
    chosen = largest.result()
    return Usage(root, chosen, largest.total, complete, len(walk.troubles), walk.entries)
