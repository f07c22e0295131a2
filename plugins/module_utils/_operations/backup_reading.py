# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finding the backup that is meant, and opening it, for whoever restores it."""

from __future__ import annotations

import hashlib
import os
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any, Dict, Iterator, Optional, Tuple

from .._backup.bare_dump import look_at_source
from .._backup.catalogue import Backup, read_catalogue
from .._backup.compress import READ_BYTES, HashedReader, Prefetch
from .._backup.encryption import Openssl
from .._backup.manifest import OPLOG, FoundCollection
from .._core.errors import MaintenanceError, from_os_error
from .._mongo.archive import ArchiveReader
from .._mongo.oplog import OPLOG_HEAD


def find_backup(src: str, now: datetime, check: bool) -> Tuple[Optional[Backup], Tuple[str, ...]]:
    """The backup to read, and what was passed over on the way to it.

    Args:
        src: an archive, or a directory of which the newest one is taken.
        check: in check mode there may be none yet.

    Raises:
        MaintenanceError: there is none.
    """
    if os.path.isdir(src) or (check and not os.path.lexists(src)):
        found = read_catalogue(src, missing_ok=True)
        newest = found.newest(now)
        passed_over = [
            "%s is not tested: it does not count as a backup (%s)" % (backup.path, backup.problem)
            for backup in found.implausible
            if newest is None or backup.date > newest.date
        ]
        if newest is not None or check:
            return newest, tuple(passed_over)  # where there is none, a real run would have made one before
        why = "".join("; " + text for text in passed_over)
        if found.backups and not passed_over:
            why = " but such as are dated in the future"
        raise MaintenanceError(
            "there is no backup in this directory" + why,
            target=src,
            next_step="Make one with mongo_backup first.",
        )
    backup = look_at_source(src)
    if backup is None:
        raise MaintenanceError(
            "this is no backup: it is missing, no regular file, or neither named YYYYmmdd_HHMMSS.tar.gz nor what"
            " mongodump --archive writes",
            target=src,
            next_step="Correct src, or rename the file to the time it was made.",
        )
    return backup, ()


class OpenedBackup:
    """The bytes of a backup, decrypted, read ahead.

    Args:
        handle: the archive, unbuffered, at its first byte.
        ahead: reads it.
        digest: has got what was read of the archive itself; None where that went to another process.
    """

    def __init__(self, handle: Any, ahead: Prefetch, digest: Any) -> None:
        self._handle = handle
        self._ahead = ahead
        self._digest = digest

    def read(self, size: int = READ_BYTES) -> bytes:
        return self._ahead.read(size)

    def sha256(self) -> str:
        """SHA-256 of the archive as it lies there; what nobody has read of it yet is read for that.

        Raises:
            OSError: it cannot be read.
        """
        while self._ahead.read():
            pass
        if self._digest is None:
            self._digest = hashlib.sha256()
            os.lseek(self._handle.fileno(), 0, os.SEEK_SET)
            for data in iter(lambda: self._handle.read(READ_BYTES), b""):
                self._digest.update(data)
        return str(self._digest.hexdigest())


@contextmanager
def open_backup(backup: Backup, passphrase: Optional[bytes]) -> Iterator[OpenedBackup]:
    """The bytes of a backup, decrypted, as a stream that is read ahead.

    Raises:
        MaintenanceError: it cannot be opened, or not be decrypted.
    """
    try:
        descriptor = os.open(backup.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise from_os_error("cannot read the backup", error, target=backup.path) from error
    with os.fdopen(descriptor, "rb", 0) as handle:
        if not backup.encrypted:
            hashing = HashedReader(handle)
            with closing(Prefetch(hashing)) as ahead:
                yield OpenedBackup(handle, ahead, hashing.digest)
            return
        with closing(Openssl(handle, passphrase or b"", True, backup.name)) as cipher, closing(
            Prefetch(cipher)
        ) as ahead:
            yield OpenedBackup(handle, ahead, None)


def oplog_of(reader: ArchiveReader) -> Dict[str, FoundCollection]:
    """The oplog in an archive that was read to its end, under its name of the manifest; nothing where there is none."""
    totals = reader.totals.get(OPLOG_HEAD)
    return {} if totals is None else {OPLOG: FoundCollection(totals.documents, totals.bytes, totals.sha256)}
