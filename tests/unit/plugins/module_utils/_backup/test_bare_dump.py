# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What mongodump --archive has written, told from everything else by its first bytes."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.bare_dump import (
    is_dump,
    look_at_source,
    read_backup_or_dump,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.compress import DamagedBackup
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.tarball import ARCHIVE_MAGIC

DUMP = ARCHIVE_MAGIC + os.urandom(200_000)


@pytest.mark.parametrize(
    ("head", "dump"),
    [
        (DUMP, True),
        (gzip.compress(DUMP, mtime=0), True),
        (gzip.compress(b"a tar", mtime=0), False),
        (b"\x1f\x8b\x08\x00 no gzip at all", False),
        (b"\x1f\x8b", False),
        (b"", False),
        (ARCHIVE_MAGIC[:3], False),
    ],
)
def test_its_first_bytes_say_what_it_is(head: bytes, dump: bool) -> None:
    assert is_dump(head) is dump


@pytest.mark.parametrize("packed", [False, True])
def test_it_is_read_to_its_end(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "of somebody"
    data = gzip.compress(DUMP) if packed else DUMP
    path.write_bytes(data)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    backup = look_at_source(str(path))
    assert backup is not None
    assert backup.bare and not backup.verified and not backup.encrypted
    assert backup.date.timestamp() == 1_700_000_000
    # What the dump's reader leaves is read all the same: gzip has its checksum at the end.
    found = read_backup_or_dump(backup, io.BytesIO(data), lambda stream: stream.read(4))
    assert found.dump == ARCHIVE_MAGIC
    assert found.manifest is None and not found.components
    if packed:
        with pytest.raises(DamagedBackup):
            read_backup_or_dump(backup, io.BytesIO(data[:-1]), lambda stream: stream.read(4))


def test_what_is_neither_is_none(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no dump")
    (tmp_path / "20261124_020000.tar.gz").write_text(
        "by its name it is one, and somebody else says what is wrong with it"
    )
    os.mkfifo(tmp_path / "pipe")
    for name in ("text", "pipe", "nowhere", "."):
        assert look_at_source(str(tmp_path / name)) is None
    backup = look_at_source(str(tmp_path / "20261124_020000.tar.gz"))
    assert backup is not None and not backup.bare
