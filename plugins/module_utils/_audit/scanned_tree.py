# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that a scan for secrets reads, as they stand: what it passes over, and a digest that tells whether anything has changed.

Whatever Kingfisher 2.14.0 reads is covered: the files below the paths it is given. It follows no symbolic link, reads no ignore file, and looks
for no configuration of its own (strace shows it; of the first two there is a test).
"""

from __future__ import annotations

import hashlib
import os
import stat
from itertools import groupby
from typing import AbstractSet, Dict, Iterable, Iterator, List, Sequence, Tuple

from .._core.mounts import parse_mount_types, types_of_file_systems
from .._core.walker import Walk, matcher
from .unscanned import EXCLUDED, Passed, unscanned_kind

# A file that was changed a moment before it was read may have been changed again within the same tick of the clock that file times are
# taken from (git's documentation has it as "racy-git"). The tick is up to 10 ms with Linux's file systems, 1 s with ext3, 2 s with the coarsest that
# there is.
RACY_NS = 2_000_000_000
# Those whose files get another time of change (ctime) with each change, by this machine's own clock, whatever time a program sets. What is written
# through a mapping (mmap) is the exception: one page gets a new time with the first of the changes that are stored together, half a minute later.
# Files in memory (tmpfs) are never stored, and not trusted therefore.
# Not those of other machines (nfs, cifs, ceph, 9p, fuse), whose clock is another one and whose times are kept for a while, nor those
# without such a time (vfat, exfat).
_TIMED = frozenset("bcachefs btrfs ext2 ext3 ext4 f2fs jfs overlay reiserfs xfs zfs".split())


class ScannedTree:
    """One walk over what is scanned. It goes on where it stopped: `differs_from` stops at the first difference, `finish` does the rest.

    Args:
        roots: absolute paths without links, none of which lies below another.
        exclude: names and globs that are not entered, nor read.
        limit: the largest size of a file that is read, in bytes.

    Attributes:
        passed: what a scan of these paths passes over, by kind.
        digests: one for each directory that holds anything.
        newest: the latest time of anything that is read, in nanoseconds since 1970.
    """

    def __init__(self, roots: Sequence[str], exclude: Sequence[str], limit: int) -> None:
        self.passed: Dict[str, Passed] = {}
        self.digests: List[str] = []
        self.newest = 0
        self._roots = tuple(roots)
        self._exclude, self._limit = tuple(exclude), limit
        self._excluded = matcher(exclude)
        self._entered: Dict[str, Tuple[int, int]] = {}
        self._left_out: List[str] = []
        self._troubled = False
        self._steps = self._walk()

    def differs_from(self, digests: AbstractSet[str]) -> bool:
        """Whether anything has changed since these were the digests, or could not be looked at; stops where that is certain.

        Raises:
            OSError: a root is missing.
        """
        if any(digest not in digests for digest in self._steps):
            return True
        return self._troubled or len(self.digests) != len(digests)

    def finish(self) -> None:
        """Walk to the end.

        Raises:
            OSError: a root is missing.
        """
        for _digest in self._steps:
            pass

    def settled(self, began: int) -> bool:
        """Whether what a scan has read is what `digests` stand for: everything was seen, and nothing had changed since shortly before it began.

        A directory may have been away while Kingfisher looked for it: the time of the directory tells, and it is looked at once more. To be asked
        when the scan and the walk have come to their end.

        Args:
            began: when they began, in nanoseconds since 1970, by this machine's clock.
        """
        latest = began - RACY_NS
        if self._troubled or self.newest >= latest:
            return False
        for path, identity in self._entered.items():
            try:
                status = os.lstat(path)
            except OSError:
                return False
            if (status.st_dev, status.st_ino) != identity or status.st_ctime_ns >= latest:
                return False
        return True

    def timed(self) -> bool:
        """Whether the times of all of it can be relied upon, by the kinds of file systems."""
        try:
            with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as handle:
                mounts = parse_mount_types(handle.read())
        except OSError:
            return False
        return types_of_file_systems(self._roots, self._entered, self._left_out, mounts) <= _TIMED

    def _walk(self) -> Iterator[str]:
        for root in self._roots:
            walk = Walk(root, self._exclude)
            for directory, entries in groupby(walk, key=_directory):
                found = ((name, status) for _path, _open, name, status in entries)
                digest = directory_digest(directory, self._seen(root, directory, found))
                self.digests.append(digest)
                yield digest
            self._troubled = self._troubled or bool(walk.troubles)

    def _seen(
        self, root: str, directory: str, entries: Iterable[Tuple[str, os.stat_result]]
    ) -> Iterator[Tuple[str, os.stat_result]]:
        """What of a directory is scanned; takes note of the rest."""
        excluded, length = self._excluded, len(root.rstrip("/")) + 1
        for name, status in entries:
            path = root if name == "." else os.path.join(directory, name)
            mode = status.st_mode
            if excluded is not None and path != root and excluded(name, path[length:]):
                if stat.S_ISDIR(mode):
                    self._pass_over(EXCLUDED, path)
                    self._left_out.append(path)
                continue
            if stat.S_ISDIR(mode):
                self._entered[path] = (status.st_dev, status.st_ino)
            elif stat.S_ISREG(mode):
                kind = unscanned_kind(name, status.st_size, self._limit)
                if kind:
                    self._pass_over(kind, path)
            if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
                self.newest = max(self.newest, status.st_ctime_ns, status.st_mtime_ns)
            yield name, status

    def _pass_over(self, kind: str, path: str) -> None:
        passed = self.passed.setdefault(kind, Passed())
        passed.count += 1
        passed.example = passed.example or path


def directory_digest(path: str, entries: Iterable[Tuple[str, os.stat_result]]) -> str:
    """What stands for the present state of a directory's own entries, in whatever order they come. Pure.

    A directory among them stands for itself alone, without its times and size: they change where something comes and goes again, as the
    file of the maintenance mode does, and what lies in it has digests of its own.
    """
    marks = []
    for name, status in entries:
        parts = [name, status.st_mode, status.st_uid, status.st_gid, status.st_dev, status.st_ino]
        if stat.S_ISREG(status.st_mode):
            parts += [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        # Of a million files in one directory no more than this is held. No name holds the separator.
        marks.append(hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "surrogateescape")).digest())
    marks.sort()
    digest = hashlib.sha256(path.encode("utf-8", "surrogateescape") + b"\0")
    for mark in marks:
        digest.update(mark)
    return digest.hexdigest()[:32]


def _directory(entry: Tuple[str, int, str, os.stat_result]) -> str:
    return entry[0]
