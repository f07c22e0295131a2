# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore test has shown is noted beside the archive that it was shown of, and beside no other."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup import catalogue, making
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.bare_dump import read_backup_or_dump
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.compress import DamagedBackup
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.restore_planning import (
    RestoreTest,
    ServerOrigin,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.tarball import ReadBack
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Action
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.archive import ArchiveError
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations import restore_test
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.backup_reading import open_backup
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.restore_test import (
    ChangedArchive,
    _is_proof,
    _require_recorded_bytes,
    record_failure,
    record_success,
)
from tests.support.archives import small_archive
from tests.support.extent import EXHAUSTIVE
from tests.unit.plugins.module_utils._backup.test_making import job

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


def test_an_archive_that_differs_fails_and_counts_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tested = archive(tmp_path)
    task: Any = restore_test.MongoRestore.__new__(restore_test.MongoRestore)
    action: Any = Action("restore_test", tested.path, "", RestoreTest(tested.path, ServerOrigin("mongod")))
    seen: Any = SimpleNamespace(database="shop")
    found = restore_test.TestOutcome(("shop.orders is missing",))
    monkeypatch.setattr(task, "_restore_and_compare", lambda *_arguments: (found, ()))
    outcome = task.act(action, seen)
    assert "does not restore as it was: shop.orders is missing" in str(outcome.failure)
    assert outcome.detail == found and not look_again(Path(tested.path)).verified


def test_a_success_makes_no_other_archive_verified(tmp_path: Path) -> None:
    Path(archive(tmp_path).path).write_bytes(small_archive(b"another one, put there under the name"))
    tested = look_again(tmp_path / "20261124_020000.tar.gz")
    assert tested.stale
    [warning] = record_success(tested, None, "shop", ReadBack(), restore_test.TestOutcome((), "6.0.5", 1, 1))
    assert "not the archive that its record was made of" in warning
    assert not look_again(Path(tested.path)).verified


def test_what_an_archive_lacks_is_recorded_with_its_success(tmp_path: Path) -> None:
    tested = archive(tmp_path)
    outcome = restore_test.TestOutcome((), "6.0.5", 1, 1, lacking=(("uploads", "empty"),))
    assert record_success(tested, None, "shop", ReadBack(), outcome) == ()
    seen = look_again(Path(tested.path)).verification
    assert seen is not None and seen.restore_tested and seen.lacking == (("uploads", "empty"),)
    # Of an archive that has no record yet one is made.
    Path(catalogue.sidecar_path(tested.path)).unlink()
    assert record_success(look_again(Path(tested.path)), None, "shop", ReadBack(), outcome) == ()
    seen = look_again(Path(tested.path)).verification
    assert seen is not None and seen.lacking == (("uploads", "empty"),)


def test_what_speaks_against_an_archive(tmp_path: Path) -> None:
    plain = archive(tmp_path)
    encrypted = replace(plain, encrypted=True)
    assert _is_proof(ArchiveError("cut off"), plain) and _is_proof(ArchiveError("cut off"), encrypted)
    assert _is_proof(DamagedBackup("no gzip"), plain)
    assert not _is_proof(DamagedBackup("no gzip"), encrypted), "with a wrong passphrase anything comes out"
    assert not _is_proof(MaintenanceError("no space"), plain)


@pytest.mark.parametrize("passphrase", [None, b"secret"])
def test_one_changed_byte_anywhere_is_found_and_the_archive_named(tmp_path: Path, passphrase: bytes | None) -> None:
    """Those in the heads of gzip, too, which no checksum covers: there the record's SHA-256 tells."""
    wanted = job(tmp_path, "20261124_020000.tar.gz" + (".enc" if passphrase else ""), passphrase=passphrase)
    making.make(wanted)
    path = Path(wanted.path)
    whole, times = path.read_bytes(), (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    by_record = 0
    step = (1 if EXHAUSTIVE else 3) * (31 if passphrase else 1)
    for place in [*range(0, len(whole), step), 5]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        os.utime(path, ns=times)
        backup = look_again(path)
        assert backup.verified, "only its bytes tell"
        with pytest.raises(MaintenanceError) as refused, open_backup(backup, passphrase) as stream:
            found = read_backup_or_dump(backup, stream, wanted.read_dump)
            assert found.manifest is not None
            _require_recorded_bytes(backup, stream)
        assert path.name in str(refused.value)
        by_record += isinstance(refused.value, ChangedArchive)
    assert bool(by_record) is (passphrase is None)
    path.write_bytes(whole)
    os.utime(path, ns=times)
    with open_backup(look_again(path), passphrase) as stream:
        read_backup_or_dump(look_again(path), stream, wanted.read_dump)
        _require_recorded_bytes(look_again(path), stream)
