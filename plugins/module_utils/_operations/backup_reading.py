# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finding the backup that is meant, and opening it, for whoever restores it."""

from __future__ import annotations

import os
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any, Dict, Iterator, Optional, Tuple

from .._backup.bare_dump import look_at_source
from .._backup.catalogue import Backup, read_catalogue
from .._backup.compress import Prefetch
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


@contextmanager
def open_backup(backup: Backup, passphrase: Optional[bytes]) -> Iterator[Any]:
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
            with closing(Prefetch(handle)) as ahead:
                yield ahead
            return
        with closing(Openssl(handle, passphrase or b"", True, backup.name)) as cipher, closing(
            Prefetch(cipher)
        ) as ahead:
            yield ahead


def oplog_of(reader: ArchiveReader) -> Dict[str, FoundCollection]:
    """The oplog in an archive that was read to its end, under its name of the manifest; nothing where there is none."""
    totals = reader.totals.get(OPLOG_HEAD)
    return {} if totals is None else {OPLOG: FoundCollection(totals.documents, totals.bytes, totals.sha256)}
