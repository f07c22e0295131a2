# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what scheduled jobs are made of. All that touches the host on their behalf is here, and it only reads."""

from __future__ import annotations

import errno
import glob
import os
import pwd
import stat
from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from .._core.errors import errno_name
from .job_words import LARGEST

# What is no fault of the host: nothing there, no directory, a FIFO without a writer, a loop of links.
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO)
_FOLDERS_OF_LINKS = (".wants", ".requires", ".d")


class Script(NamedTuple):
    """A file's text; whole is False where it was too long to be read to its end, binary where it is no text."""

    text: str
    whole: bool = True
    binary: bool = False


def script(raw: bytes) -> Script:
    return Script(raw[:LARGEST].decode("utf-8", "replace"), len(raw) <= LARGEST, b"\0" in raw[:4096])


class Reader:
    """The host's files.

    Attributes:
        unreadable: what was asked for and could not be read, with the reason.
    """

    def __init__(self) -> None:
        self.unreadable: List[str] = []
        self._scripts: Dict[str, Optional[Script]] = {}
        self._links: Dict[str, Set[str]] = {}

    def _failed(self, path: str, error: OSError) -> None:
        self.unreadable.append("%s (%s)" % (path, errno_name(error)))

    def script(self, path: str, report: bool = False) -> Optional[Script]:
        """A regular file's text, at most LARGEST bytes of it; None where there is none or it cannot be read."""
        if path not in self._scripts:
            self._scripts[path] = None
            try:
                # A FIFO or a device here would block or never end.
                descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
                with os.fdopen(descriptor, "rb") as handle:
                    if stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
                        self._scripts[path] = script(handle.read(LARGEST + 1))
            except ValueError:  # a NUL in the name
                pass
            except OSError as error:
                if report and error.errno not in _ABSENT:
                    self._failed(path, error)
        return self._scripts[path]

    def text(self, path: str) -> str:
        """Like script, for a file in which jobs are written down: what cannot be read is reported."""
        found = self.script(path, report=True)
        return found.text if found else ""

    def files(self, pattern: str, depth: int = 2) -> Iterator[str]:
        """Files at and below a path (which may be a glob pattern), some directories deep; unit files' directories of links are left out."""
        for path in sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]:
            yield from self._below(path, depth)

    def _below(self, path: str, depth: int) -> Iterator[str]:
        try:
            names = sorted(os.listdir(path))
        except NotADirectoryError:
            yield path
            return
        except FileNotFoundError:
            return
        except OSError as error:
            self._failed(path, error)
            return
        for name in names:
            inner = os.path.join(path, name)
            if not os.path.isdir(inner):
                yield inner
            elif name in ("cron.d", "tmpfiles.d", "logrotate.d") or (
                depth > 1 and not name.endswith(_FOLDERS_OF_LINKS)
            ):
                yield from self._below(inner, depth - 1)

    def status(self, path: str) -> Optional[Tuple[Tuple[int, int], int]]:
        """Identity (device and inode) and mode of what a path leads to."""
        try:
            found = os.stat(path)
        except (OSError, ValueError):
            return None
        return (found.st_dev, found.st_ino), found.st_mode

    def is_masked(self, path: str) -> bool:
        return os.path.realpath(path) == "/dev/null"

    def links(self, directory: str, unit: str) -> bool:
        """Whether a target's directory of links below `directory` holds the unit, so that the target starts it."""
        if directory not in self._links:
            self._links[directory] = set()
            for entry in glob.glob(os.path.join(glob.escape(directory), "*.wants")) + glob.glob(
                os.path.join(glob.escape(directory), "*.requires")
            ):
                try:
                    self._links[directory].update(os.listdir(entry))
                except OSError:
                    continue
        return unit in self._links[directory]

    def home(self, user: str) -> str:
        """A user's home; "" where it is not known."""
        try:
            return pwd.getpwnam(user).pw_dir
        except (KeyError, ValueError):
            return ""
