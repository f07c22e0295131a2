# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One pass over a directory tree that somebody else is changing at the same moment.

Every directory is opened relative to its already open parent and never through a symbolic link, so that nobody can lead
the walk out of the tree by swapping a directory. Only the directories on the present path are open; memory grows with
depth and with the number of subdirectories on it, not with the size of the tree.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import re
import stat
from dataclasses import dataclass
from typing import Callable, Iterator, List, Optional, Sequence, Tuple

from .errors import errno_name

# Each level keeps a descriptor open; the usual limit of a process is 1024.
DEEPEST = 256

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass
class Trouble:
    """A directory that could not be looked into; code is the errno name, or "depth"."""

    path: str
    code: str


# Directory of the entry (path, open descriptor), its name, its status.
Entry = Tuple[str, int, str, os.stat_result]


class Walk:
    """A walk over everything below a directory, itself included.

    Args:
        root: the directory (or a single file).
        exclude: names (``node_modules``) or globs of paths relative to the root (``storage/cache/*``) that are not
            entered. An excluded directory itself is still given.
        one_device: do not enter other file systems.

    Attributes:
        troubles: what could not be looked into, after the walk.
        entries: how many entries were looked at.
    """

    def __init__(self, root: str, exclude: Sequence[str] = (), one_device: bool = False) -> None:
        self.root = root
        self.troubles: List[Trouble] = []
        self.entries = 0
        self._one_device = one_device
        self._excluded = matcher(exclude)

    def __iter__(self) -> Iterator[Entry]:
        """Every entry but symbolic links: what is vanished in between is passed over.

        Raises:
            OSError: the root is missing or no directory or file.
        """
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
        # (path, descriptor, names of subdirectories still to enter)
        stack: List[Tuple[str, int, List[str]]] = []
        try:
            stack.append((path, descriptor, []))
            yield from self._list(path, descriptor, stack[-1][2], device)
            while stack:
                path, descriptor, pending = stack[-1]
                if not pending:
                    stack.pop()
                    os.close(descriptor)
                    continue
                name = pending.pop()
                below = path.rstrip("/") + "/" + name
                if len(stack) >= DEEPEST:
                    self.troubles.append(Trouble(below, "depth"))
                    continue
                try:
                    child = os.open(name, _DIRECTORY, dir_fd=descriptor)
                except OSError as error:
                    self._trouble(below, error)
                    continue
                stack.append((below, child, []))
                yield from self._list(below, child, stack[-1][2], device)
        finally:
            for _path, descriptor, _pending in stack:
                os.close(descriptor)

    def _list(self, path: str, descriptor: int, pending: List[str], device: int) -> Iterator[Entry]:
        excluded, root_length = self._excluded, len(self.root.rstrip("/")) + 1
        count = 0
        try:
            with os.scandir(descriptor) as scan:
                for entry in scan:
                    try:
                        if entry.is_symlink():
                            continue
                        status = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    count += 1
                    name = entry.name
                    mode = status.st_mode
                    if stat.S_ISDIR(mode):
                        if not (self._one_device and status.st_dev != device) and not (
                            excluded is not None and excluded(name, (path + "/" + name)[root_length:])
                        ):
                            pending.append(name)
                    elif stat.S_ISLNK(mode):
                        continue
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
