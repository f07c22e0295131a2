# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore test has shown is noted beside the archive that it was shown of, and beside no other."""

from __future__ import annotations

import os
from pathlib import Path

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup import catalogue
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.restore_test import record_failure
from tests.support.archives import small_archive

MOMENT = "2026-11-24T01:00:00Z"


def archive(directory: Path) -> catalogue.Backup:
    path = directory / "20261124_020000.tar.gz"
    path.write_bytes(small_archive())
    status = path.stat()
    record = catalogue.VerificationRecord(status.st_size, status.st_mtime_ns, "0" * 64, MOMENT, MOMENT, "shop")
    catalogue.write_sidecar(str(path), record)
    return look_again(path)


def look_again(path: Path) -> catalogue.Backup:
    found = catalogue.look_at(str(path))
    assert found is not None
    return found


def test_a_failure_is_noted_beside_the_archive(tmp_path: Path) -> None:
    tested = archive(tmp_path)
    assert record_failure(tested) == ()
    assert look_again(Path(tested.path)).restore_failed and not look_again(Path(tested.path)).verified


def test_a_failure_is_not_noted_beside_another_archive(tmp_path: Path) -> None:
    tested = archive(tmp_path)
    Path(tested.path).unlink()
    (tmp_path / "takes-the-inode").write_bytes(b"x")
    archive(tmp_path)
    record_failure(tested)
    assert look_again(Path(tested.path)).verified


def test_a_failure_of_what_has_changed_since_changes_no_record(tmp_path: Path) -> None:
    tested = archive(tmp_path)
    os.utime(tested.path, (1, 1))
    before = Path(catalogue.sidecar_path(tested.path)).read_bytes()
    record_failure(tested)
    assert Path(catalogue.sidecar_path(tested.path)).read_bytes() == before
