# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One pass over a directory tree that somebody else is changing at the same moment.

Every directory is opened relative to its already open parent and never through a symbolic link, so that nobody can lead
the walk out of the tree by swapping a directory. Of the directories on the present path the deepest are open; memory grows
with depth and with the number of subdirectories on it, not with the size of the tree.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import re
import stat
from typing import Callable, Iterator, List, Optional, Sequence, Tuple

from .errors import errno_name
from .late_dataclass import dataclass

# Deeper than any tree that somebody made on purpose. Without an end, a chain of directories could keep a walk for ever.
DEEPEST = 4096
# So many levels keep a descriptor open, the deepest; the usual limit of a process is 1024.
KEPT_OPEN = 128

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass
class Trouble:
    """A directory that could not be looked into, or not wholly; code is the errno name, "depth", or "moved"."""

    path: str
    code: str


@dataclass
class _Level:
    """A directory on the present path.

    Attributes:
        descriptor: open, -1 for one far above.
        pending: names of subdirectories still to enter.
        length: of its path.
        identity: device and inode, once it is no longer open.
    """

    descriptor: int
    pending: List[str]
    length: int
    identity: Tuple[int, int] = (0, 0)


# Directory of the entry (path, open descriptor), its name, its status.
Entry = Tuple[str, int, str, os.stat_result]


class Walk:
    """A walk over everything below a directory, itself included.

    Args:
        root: the directory (or a single file).
        exclude: names (``node_modules``) or globs of paths relative to the root (``storage/cache/*``) that are not
            entered. An excluded directory itself is still given.
        one_device: do not enter other file systems.
        links: give symbolic links too; they are not counted.
        start: a directory below the root of which only what lies below it is given; the root itself when empty.
        defer: asked with the path of each directory before it is entered; what it answers true to is not entered.

    Attributes:
        troubles: what could not be looked into, after the walk.
        entries: how many entries were looked at.
    """

    def __init__(
        self,
        root: str,
        exclude: Sequence[str] = (),
        one_device: bool = False,
        links: bool = False,
        start: str = "",
        defer: Optional[Callable[[str], bool]] = None,
    ) -> None:
        self.root = root
        self.troubles: List[Trouble] = []
        self.entries = 0
        self._one_device = one_device
        self._links = links
        self._start = start
        self._defer = defer
        self._excluded = matcher(exclude)

    def __iter__(self) -> Iterator[Entry]:
        """Every entry, symbolic links only where they are wanted: what is vanished in between is passed over.

        Raises:
            OSError: the root is missing or no directory or file.
        """
        if self._start:
            try:
                descriptor = _opened_again(self.root, self._start)
            except OSError as error:
                self._trouble(self._start, error)
                return
            yield from self._tree(self._start, descriptor, os.fstat(descriptor).st_dev)
            return
        parent, name = os.path.split(self.root.rstrip("/") or "/")
        parent = parent or "/"
        top = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            status = os.stat(name or ".", dir_fd=top, follow_symlinks=False)
            self.entries += 1
            yield parent, top, name or ".", status
            if not stat.S_ISDIR(status.st_mode):
                return
            try:
                descriptor = os.open(name or ".", _DIRECTORY, dir_fd=top)
            except OSError as error:
                self._trouble(self.root, error)
                return
            yield from self._tree(self.root.rstrip("/") or "/", descriptor, status.st_dev)
        finally:
            os.close(top)

    def _tree(self, path: str, descriptor: int, device: int) -> Iterator[Entry]:
        stack: List[_Level] = [_Level(descriptor, [], len(path))]
        oldest = 0  # the first level that is open
        above = levels(self.root, path)
        try:
            yield from self._list(path, descriptor, stack[-1].pending, device)
            while stack:
                level = stack[-1]
                if not level.pending:
                    if len(stack) > 1:
                        path = path[: stack[-2].length]
                        if stack[-2].descriptor < 0:
                            self._open_again(stack[-2], path, level.descriptor)
                            oldest = len(stack) - 2
                    stack.pop()
                    if level.descriptor >= 0:
                        os.close(level.descriptor)
                    continue
                name = level.pending.pop()
                below = path.rstrip("/") + "/" + name
                if self._defer is not None and self._defer(below):
                    continue
                if above + len(stack) >= DEEPEST:
                    self.troubles.append(Trouble(below, "depth"))
                    continue
                try:
                    child = os.open(name, _DIRECTORY, dir_fd=level.descriptor)
                except OSError as error:
                    self._trouble(below, error)
                    continue
                path = below
                stack.append(_Level(child, [], len(path)))
                if len(stack) - oldest > KEPT_OPEN:
                    far = stack[oldest]
                    far.identity = _identity(far.descriptor)
                    os.close(far.descriptor)
                    far.descriptor = -1
                    oldest += 1
                yield from self._list(path, child, stack[-1].pending, device)
        finally:
            for level in stack:
                if level.descriptor >= 0:
                    os.close(level.descriptor)

    def _open_again(self, level: _Level, path: str, child: int) -> None:
        """Open a level far above when the walk comes back to it: from the level below, or else by its path."""
        for attempt in (
            lambda: os.open("..", _DIRECTORY, dir_fd=child) if child >= 0 else -1,
            lambda: _opened_again(self.root, path),
        ):
            try:
                descriptor = attempt()
            except OSError:
                continue
            if descriptor >= 0 and _identity(descriptor) == level.identity:
                level.descriptor = descriptor
                return
            if descriptor >= 0:
                os.close(descriptor)
        if level.pending:
            # Somebody moved it, or what lies below it: what it still holds was not looked at.
            self.troubles.append(Trouble(path, "moved"))
            level.pending.clear()

    def _list(self, path: str, descriptor: int, pending: List[str], device: int) -> Iterator[Entry]:
        excluded, root_length = self._excluded, len(self.root.rstrip("/")) + 1
        count = 0
        try:
            with os.scandir(descriptor) as scan:
                for entry in scan:
                    try:
                        if entry.is_symlink() and not self._links:
                            continue
                        status = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    name = entry.name
                    mode = status.st_mode
                    if stat.S_ISLNK(mode):
                        if self._links:
                            yield path, descriptor, name, status
                        continue
                    count += 1
                    if stat.S_ISDIR(mode):
                        if not (self._one_device and status.st_dev != device) and not (
                            excluded is not None and excluded(name, (path + "/" + name)[root_length:])
                        ):
                            pending.append(name)
                    yield path, descriptor, name, status
        except OSError as error:
            self._trouble(path, error)
        finally:
            self.entries += count

    def _trouble(self, path: str, error: OSError) -> None:
        # Gone, or replaced by something that is no directory, since it was listed: nothing is left to look at.
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return
        self.troubles.append(Trouble(path, str(errno_name(error))))


def levels(root: str, path: str) -> int:
    """How deep a path lies below a root, which is 0."""
    return path[len(root.rstrip("/")) :].rstrip("/").count("/")


def _identity(descriptor: int) -> Tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _opened_again(root: str, path: str) -> int:
    reached = open_below(root, path)
    try:
        return os.open(".", _DIRECTORY, dir_fd=reached)
    finally:
        os.close(reached)


def matcher(patterns: Sequence[str]) -> Optional[Callable[[str, str], bool]]:
    """A test of (name, path relative to the root) against names and globs; None when there are none."""
    names = [pattern.strip("/") for pattern in patterns if "/" not in pattern.strip("/")]
    paths = [pattern.strip("/") for pattern in patterns if "/" in pattern.strip("/")]
    if not names and not paths:
        return None
    by_name = re.compile("|".join(fnmatch.translate(name) for name in names) if names else r"(?!)")
    by_path = re.compile("|".join(fnmatch.translate(path) for path in paths) if paths else r"(?!)")
    return lambda name, path: bool(by_name.match(name) or by_path.match(path))


def outermost(paths: Sequence[str]) -> List[str]:
    """The paths with symbolic links resolved, without those that lie below another one of them."""
    kept: List[str] = []
    for path in sorted({os.path.realpath(path) for path in paths}):
        if not any(path == other or path.startswith(other.rstrip("/") + "/") for other in kept):
            kept.append(path)
    return kept


def open_below(root: str, path: str) -> int:
    """An O_PATH descriptor of `path`, reached from `root` without following a symbolic link on the way.

    Raises:
        OSError: ENOENT when it is gone, ELOOP or ENOTDIR when a part of the path is now a link.
    """
    relative = os.path.relpath(path, root)
    parts = [] if relative == "." else relative.split("/")
    if ".." in parts:
        raise OSError(errno.EXDEV, "not below %s" % root)
    descriptor = os.open(root, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    for part in parts:
        try:
            below = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor
