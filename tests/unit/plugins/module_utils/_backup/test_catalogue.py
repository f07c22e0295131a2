# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup import catalogue
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError


def record(path: Path, **changes: object) -> catalogue.VerificationRecord:
    status = path.stat()
    values = {
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "sha256": "00",
        "started": "2026-11-24T02:00:00Z",
        "verified": "2026-11-24T02:01:00Z",
        "database": "shop",
        "components": ("uploads", ".env"),
        **changes,
    }
    return catalogue.VerificationRecord(**values)  # type: ignore[arg-type]


def test_what_a_directory_holds(tmp_path: Path) -> None:
    for name in ("20261123_020000.tar.gz", "20261124_020000.tar.gz", "20261124_030000.tar.gz.enc"):
        (tmp_path / name).write_bytes(b"x" * 10)
    catalogue.write_sidecar(str(tmp_path / "20261124_020000.tar.gz"), record(tmp_path / "20261124_020000.tar.gz"))
    (tmp_path / ".20261124_040000.tar.gz.miniecom-partial").write_bytes(b"abc")
    (tmp_path / "..20261124_040000.tar.gz.verified.json.miniecom-partial").write_bytes(b"a")
    (tmp_path / ".20250101_020000.tar.gz.verified.json").write_text("{}")
    (tmp_path / "20260101_020000").mkdir()
    (tmp_path / "20260102_020000.tar.gz").mkdir()
    (tmp_path / "20260103_020000.tar.gz").symlink_to(tmp_path / "20261123_020000.tar.gz")
    (tmp_path / "20261399_020000.tar.gz").write_bytes(b"")
    (tmp_path / "before-update-20261124_020000.tar.gz").write_bytes(b"")
    (tmp_path / "20261124_020000.tar.gz.old").write_bytes(b"")
    found = catalogue.read_catalogue(str(tmp_path))
    assert [(entry.name, entry.verified, entry.encrypted) for entry in found.backups] == [
        ("20261123_020000.tar.gz", False, False),
        ("20261124_020000.tar.gz", True, False),
        ("20261124_030000.tar.gz.enc", False, True),
    ]
    assert sorted(os.path.basename(path) for path, _size in found.partials) == [
        "..20261124_040000.tar.gz.verified.json.miniecom-partial",
        ".20261124_040000.tar.gz.miniecom-partial",
    ]
    assert [os.path.basename(path) for path in found.orphan_sidecars] == [".20250101_020000.tar.gz.verified.json"]
    assert found.foreign == 6
    newest = found.newest_verified()
    assert newest is not None
    assert newest.name == "20261124_020000.tar.gz"


@pytest.mark.parametrize("change", ["content", "longer", "time"])
def test_a_record_counts_only_while_the_archive_is_unchanged(tmp_path: Path, change: str) -> None:
    path = tmp_path / "20261124_020000.tar.gz"
    path.write_bytes(b"abc")
    catalogue.write_sidecar(str(path), record(path))
    seen = catalogue.look_at(str(path))
    assert seen is not None
    assert seen.verified
    before = path.stat()
    if change == "content":
        path.write_bytes(b"abd")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    elif change == "longer":
        path.write_bytes(b"abcd")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    else:
        os.utime(path)
    seen = catalogue.look_at(str(path))
    assert seen is not None
    assert not seen.verified
    assert seen.stale


def test_a_record_survives_what_does_not_change_the_content(tmp_path: Path) -> None:
    path = tmp_path / "20261124_020000.tar.gz"
    path.write_bytes(b"abc")
    catalogue.write_sidecar(str(path), record(path))
    path.chmod(0o400)
    os.link(path, tmp_path / "copy")
    seen = catalogue.look_at(str(path))
    assert seen is not None
    assert seen.verified


@pytest.mark.parametrize(
    ("later", "counts"),
    [(-123_456_789, True), (0, True), (1, False), (-1, False), (876_543_211, False), (-(10**9), False)],
)
def test_a_record_survives_a_copy_that_keeps_whole_seconds_only(tmp_path: Path, later: int, counts: bool) -> None:
    path = tmp_path / "20261124_020000.tar.gz"
    path.write_bytes(b"abc")
    moment = 1_790_000_000_123_456_789
    os.utime(path, ns=(moment, moment))
    catalogue.write_sidecar(str(path), record(path))
    os.utime(path, ns=(moment, moment + later))
    seen = catalogue.look_at(str(path))
    assert seen is not None
    assert (seen.verified, seen.stale) == (counts, not counts)


def test_parts_are_what_holds_files(tmp_path: Path) -> None:
    path = tmp_path / "20261124_020000.tar.gz"
    path.write_bytes(b"abc")
    catalogue.write_sidecar(str(path), record(path, empty=("uploads",)))
    seen = catalogue.look_at(str(path))
    assert seen is not None
    assert seen.parts == {".env"}
    # Other files than those that its database names are no uploads either.
    catalogue.write_sidecar(str(path), record(path, lacking=(("uploads", "holds none of them"),)))
    seen = catalogue.look_at(str(path))
    assert seen is not None
    assert seen.parts == {".env"}
    os.utime(path, (1, 1))
    seen = catalogue.look_at(str(path))
    assert seen is not None
    assert seen.parts == set()


def test_a_record_that_is_a_link_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "20261124_020000.tar.gz"
    path.write_bytes(b"abc")
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_bytes(record(path).to_json())
    Path(catalogue.sidecar_path(str(path))).symlink_to(elsewhere)
    seen = catalogue.look_at(str(path))
    assert seen is not None
    assert not seen.verified


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        "not json",
        '{"size": "x"}',
        '{"size":1,"mtime_ns":1,"sha256":"a","started":"yesterday","verified":"x"}',
    ],
)
def test_an_unreadable_record_means_not_verified(text: str) -> None:
    assert catalogue.parse_verification(text.encode()) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_accepted_as_a_record_without_failing(data: bytes) -> None:
    catalogue.parse_verification(data)


def test_a_record_reads_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    written = record(
        path, documents=3, empty=("uploads",), lacking=(("labels", "empty"),), restore_tested="2026-11-24T03:00:00Z"
    )
    assert catalogue.parse_verification(written.to_json()) == written
    assert json.loads(written.to_json())["format"] == 1


@given(st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)))
def test_names_round_trip(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    name = catalogue.backup_name(moment.astimezone())
    parsed = catalogue.parse_name(name)
    assert parsed is not None
    assert abs(parsed[0] - moment) <= timedelta(hours=2)  # an hour that a clock change skips does not exist
    assert catalogue.parse_name(name + ".enc") == (parsed[0], True)


def test_age_comes_from_the_record_and_else_from_the_name(tmp_path: Path) -> None:
    path = tmp_path / catalogue.backup_name(datetime(2026, 11, 24, 1, 0, tzinfo=timezone.utc))
    path.write_bytes(b"abc")
    now = datetime(2026, 11, 24, 4, 0, tzinfo=timezone.utc)
    seen = catalogue.look_at(str(path))
    assert seen is not None
    assert seen.age_seconds(now) == 3 * 3600
    catalogue.write_sidecar(str(path), record(path))
    seen = catalogue.look_at(str(path))
    assert seen is not None
    assert seen.age_seconds(now) == 2 * 3600


def test_a_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(MaintenanceError, match="no directory of backups"):
        catalogue.read_catalogue(str(tmp_path / "nope"))
    assert catalogue.read_catalogue(str(tmp_path / "nope"), missing_ok=True).backups == []


def test_one_at_a_time(tmp_path: Path) -> None:
    with catalogue.directory_lock(str(tmp_path)) as first:
        assert first
        with catalogue.directory_lock(str(tmp_path)) as second:
            assert not second
    with catalogue.directory_lock(str(tmp_path)) as third:
        assert third
