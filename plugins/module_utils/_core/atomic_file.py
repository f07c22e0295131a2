# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that are either old or new, never half-written.

A file is written under a temporary name in its own directory, flushed to disk, then renamed over the target, and the
directory is flushed too (POSIX rename is atomic; without the fsync of the directory a power cut may undo it).
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import BinaryIO, Iterator

PARTIAL_SUFFIX = ".miniecom-partial"


def partial_name(path: str) -> str:
    """The temporary name used while path is written."""
    directory, name = os.path.split(path)
    return os.path.join(directory, "." + name + PARTIAL_SUFFIX)


def is_partial(name: str) -> bool:
    """Whether a file name is the leftover of an interrupted write of ours."""
    base = os.path.basename(name)
    return base.startswith(".") and base.endswith(PARTIAL_SUFFIX)


def discard_partial(path: str) -> None:
    """Remove what a killed write of path has left, if anything."""
    try:
        os.unlink(partial_name(path))
    except (FileNotFoundError, NotADirectoryError):
        pass


def sync_directory(path: str) -> None:
    """Make a rename or an unlink in a directory durable."""
    descriptor = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_writer(path: str, mode: int = 0o600) -> Iterator[BinaryIO]:
    """A binary file that becomes ``path`` when the block ends well and vanishes when it does not.

    Args:
        path: the final name.
        mode: permission bits from the first byte on, whatever the umask.

    Raises:
        OSError: as the system reports it (ENOSPC included); the target is untouched then.
    """
    temporary = partial_name(path)
    discard_partial(path)  # O_EXCL below then refuses symlinks planted in its place
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            os.fchmod(handle.fileno(), mode)
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.rename(temporary, path)
    except BaseException:
        discard_partial(path)
        raise
    sync_directory(os.path.dirname(path))


def write_atomic(path: str, data: bytes, mode: int | None = None) -> None:
    """Replace the content of path in one step.

    Args:
        path: the file; its directory must exist.
        data: the new content.
        mode: permission bits; by default those of the file as it stands, 0600 for a new one.

    The owner of an existing file is kept where the process is allowed to.
    """
    try:
        before = os.lstat(path)
    except FileNotFoundError:
        before = None
    if mode is None:
        mode = before.st_mode & 0o7777 if before else 0o600
    with atomic_writer(path, mode) as handle:
        if before is not None and (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
            try:
                os.fchown(handle.fileno(), before.st_uid, before.st_gid)
                os.fchmod(handle.fileno(), mode)
            except PermissionError:
                pass
        handle.write(data)


def append_line(path: str, line: bytes, mode: int = 0o600) -> None:
    """Add a line, or several with line ends between them, at the end of a file.

    A line that a full disk or a power cut has torn is ended first, so that the new one is not lost with it; whoever reads
    passes over what does not parse.

    Args:
        line: without a line end at its end.
        mode: permission bits of a file that is made by this.

    Raises:
        OSError: as the system reports it (ENOSPC also where only a part could be written, ELOOP where the file is a link).
    """
    data = line + b"\n"
    # It may lie where others write, too: a link that they put there must not lead root elsewhere.
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            data = b"\n" + data
        if os.write(descriptor, data) < len(data):
            raise OSError(errno.ENOSPC, "only a part of the line was written", path)
    finally:
        os.close(descriptor)
