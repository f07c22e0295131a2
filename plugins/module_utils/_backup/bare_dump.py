# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file of mongodump --archive without anything around it: whatever its name, its first bytes say what it is."""

from __future__ import annotations

import os
import stat
import zlib
from datetime import datetime
from typing import Any, Callable, Optional

from .._core.errors import from_os_error
from .catalogue import Backup, look_at
from .plausibility import GZIP_MAGIC
from .tarball import ARCHIVE_MAGIC, ReadBack, Sink, read_backup, unpacked_dump

_HEAD_BYTES = 64 * 1024


def look_at_source(path: str) -> Optional[Backup]:
    """A backup, or a bare dump; None when it is neither.

    Raises:
        MaintenanceError: it cannot be read.
    """
    return look_at(path) or _look_at_dump(path)


def _look_at_dump(path: str) -> Optional[Backup]:
    try:
        status = os.stat(path)
        # Pipes and devices would keep the opener waiting.
        if not stat.S_ISREG(status.st_mode):
            return None
        with open(path, "rb") as handle:
            head = handle.read(_HEAD_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise from_os_error("cannot read the dump", error, target=path) from error
    if not is_dump(head):
        return None
    written = datetime.fromtimestamp(int(status.st_mtime))
    name = os.path.basename(path)
    return Backup(name, path, written, status.st_size, status.st_mtime_ns, status.st_ino, bare=True)


def is_dump(head: bytes) -> bool:
    """Whether a file that begins so is one that mongodump --archive has written, packed (--gzip) or not. Pure."""
    if head.startswith(GZIP_MAGIC):
        try:
            head = zlib.decompressobj(31).decompress(head, len(ARCHIVE_MAGIC))
        except zlib.error:
            return False
    return head.startswith(ARCHIVE_MAGIC)


def read_backup_or_dump(
    backup: Backup, stream: Any, read_dump: Callable[[Any], Any], sink: Optional[Sink] = None
) -> ReadBack:
    """Read a backup, or a bare dump, from its first byte to its last; see read_backup."""
    if not backup.bare:
        return read_backup(stream, backup.name, read_dump, sink)
    dump = unpacked_dump(stream, backup.name, False)
    found = ReadBack(dump=read_dump(dump), has_dump=True)
    # The checksum of gzip stands at its end.
    while dump.read():
        pass
    return found
