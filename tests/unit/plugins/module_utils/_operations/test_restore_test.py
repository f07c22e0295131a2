# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore test has shown is noted beside the archive that it was shown of, and beside no other."""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
import zlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup import catalogue, making
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.bare_dump import read_backup_or_dump
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.compress import DamagedBackup
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.manifest import FoundCollection, differences
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.restore_planning import (
    RestoreTest,
    ServerOrigin,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.tarball import ReadBack, read_backup
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.clock import parse_utc
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


def members(whole: bytes) -> list[tuple[int, int, bytes]]:
    """Those of gzip in a file: where each begins and ends, and what is in it."""
    found, start = [], 0
    while start < len(whole):
        unpacker = zlib.decompressobj(31)
        data = unpacker.decompress(whole[start:])
        end = len(whole) - len(unpacker.unused_data)
        found.append((start, end, data))
        start = end
    return found


def entries_at(whole: bytes, place: int) -> set[str]:
    """The entries of a tar.gz of which a part is in the member that a byte is of."""
    position = 0
    for start, end, data in members(whole):
        if start <= place < end:
            break
        position += len(data)
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        return {
            info.name
            for info in tar
            if info.offset < position + len(data) and info.offset_data + -(-info.size // 512) * 512 > position
        }


def content(path: Path) -> Any:
    """What is read out of an archive that has no record, when it is as its manifest says."""
    found = read_backup(io.BytesIO(path.read_bytes()), path.name, lambda stream: hashlib.sha256(stream.read()).digest())
    assert found.manifest is not None
    assert differences(found.manifest, {"a": FoundCollection(1, 3, "aa")}, found.found_components()) == []
    return found.directory, found.entries, found.dump, found.manifest, found.found_components()


def first_doubtful(text: str, names: list[str]) -> str:
    """The first entry that may be damaged by an error's text, of all that there are in their order."""
    if "damaged is its beginning" in text:
        return names[0]
    found = re.search(r"damaged is (what follows |one of )?(\S+?)(?: to \S+)?[,:] ", text)
    assert found, text
    return names[names.index(found[2]) + (found[1] == "what follows ")]


@pytest.mark.parametrize("passphrase", [None, b"secret"])
def test_one_changed_byte_anywhere_is_found_and_named(tmp_path: Path, passphrase: bytes | None) -> None:
    """Those in the heads of gzip, too, which no checksum covers: there the record's SHA-256 tells.

    Without a record they may change unnoticed, as may the few of packed data that unpack to the same (one of several equal
    places to copy from); all that the archive holds is proven by its other checksums.
    """
    wanted = job(tmp_path, "20261124_020000.tar.gz" + (".enc" if passphrase else ""), passphrase=passphrase)
    for name in ("b.txt", "c.txt", "d.png"):
        (tmp_path / "uploads" / name).write_bytes(name.encode())
    making.make(wanted)
    path = Path(wanted.path)
    whole, times = path.read_bytes(), (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    heads, unproven, all_of_it, names = set[int](), set[int](), None, list[str]()
    if not passphrase:
        all_of_it = content(path)
        heads = {start + byte for start, _end, _data in members(whole) for byte in range(3, 10)}
        with tarfile.open(path) as tar:
            names = tar.getnames()
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
        if isinstance(refused.value, ChangedArchive):
            unproven.add(place)
            assert content(path) == all_of_it
        elif not passphrase:
            assert first_doubtful(str(refused.value), names) in entries_at(whole, place), (place, str(refused.value))
    assert bool(unproven & heads) is (passphrase is None)
    path.write_bytes(whole)
    os.utime(path, ns=times)
    with open_backup(look_again(path), passphrase) as stream:
        read_backup_or_dump(look_again(path), stream, wanted.read_dump)
        _require_recorded_bytes(look_again(path), stream)


def test_one_changed_byte_of_a_record_changes_nothing_that_it_says(tmp_path: Path) -> None:
    """It takes away at most that the archive counts as verified, which the next restore test gives back."""
    making.make(job(tmp_path))
    path = tmp_path / "dest" / "20261124_020000.tar.gz"
    sidecar = Path(catalogue.sidecar_path(str(path)))
    first = look_again(path)
    assert first.record is not None
    making.mark_restore_failed(str(path), first.record, parse_utc("2026-11-25T02:00:00Z"))
    failed, whole = look_again(path), sidecar.read_bytes()
    assert not failed.verified
    for place in range(len(whole)):
        for change in (1, 2, 4, 8, 16, 32, 64, 128) if EXHAUSTIVE else (1 << place % 8,):
            sidecar.write_bytes(whole[:place] + bytes([whole[place] ^ change]) + whole[place + 1 :])
            seen = look_again(path)
            assert not seen.verified and seen.record in (None, failed.record)
