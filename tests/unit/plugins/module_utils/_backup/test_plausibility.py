# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive counts by its content: what is none, or was cut short, is told without being read through."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
import zlib
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup import catalogue
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.plausibility import problem_of
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.tarball import BackupWriter
from tests.support.archives import small_archive

NAME = "20261124_020000"
SIZES = (1000, 3_000_000, 20_000_000)


@pytest.fixture(scope="module", params=SIZES)
def stock(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the shop's script makes one: stock tar and gzip."""
    work = tmp_path_factory.mktemp("stock")
    (work / NAME).mkdir()
    # The same bytes each time: of 512 places at which a file may be cut one cannot be told.
    (work / NAME / "mongo.archive.gz").write_bytes(Random(request.param).randbytes(request.param))
    command = ["tar", "--mtime=@0", "--owner=0", "--group=0", "-czf", work / f"{NAME}.tar.gz", "-C", work, NAME]
    subprocess.run(command, check=True)
    return work / f"{NAME}.tar.gz"


@pytest.fixture(scope="module", params=SIZES)
def ours(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("ours")
    (work / "uploads").mkdir()
    (work / "uploads" / "a.jpg").write_bytes(os.urandom(request.param // 2))
    with (work / f"{NAME}.tar.gz").open("w+b") as handle:
        writer = BackupWriter(handle.write, handle, NAME, 0, "fast")
        with writer.stream("mongo.archive.gz") as write:
            write(os.urandom(request.param))
        writer.add_path("uploads", str(work / "uploads"))
        writer.close()
        writer.release()
    return work / f"{NAME}.tar.gz"


def problem(tmp_path: Path, data: bytes, encrypted: bool = False) -> str:
    path = tmp_path / "file"
    path.write_bytes(data)
    return problem_of(str(path), encrypted)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"fake dump, 25 bytes long.", "no gzip file"),
        (gzip.compress(b"", mtime=0), "no tar archive"),
        (gzip.compress(b"a dump, but in no tar", mtime=0), "no tar archive"),
        (gzip.compress(bytes(10240), mtime=0), "no tar archive"),
        (b"\x1f\x8b\x08\0", "no tar archive"),
        (small_archive()[:-1], "cut short"),
        (small_archive()[:-8], "cut short"),
    ],
)
def test_what_is_none(tmp_path: Path, data: bytes, reason: str) -> None:
    assert reason in problem(tmp_path, data)


def test_what_is_one(tmp_path: Path, stock: Path, ours: Path) -> None:
    assert problem_of(str(stock), False) == problem_of(str(ours), False) == ""
    assert problem(tmp_path, small_archive()) == problem(tmp_path, small_archive() + bytes(600)) == ""


def test_packed_by_others(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(os.urandom(2_000_000))
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.add(tmp_path / "a", "x/é")
    for level in (1, 9):
        assert problem(tmp_path, gzip.compress(raw.getvalue(), level)) == ""


def cuts(data: bytes) -> list[int]:
    places = (len(data) - 1, len(data) - 5, len(data) - 4096, len(data) * 2 // 3, len(data) // 2, 700)
    return [place for place in places if 0 < place < len(data)]


def test_what_was_cut_short(tmp_path: Path, stock: Path) -> None:
    data = stock.read_bytes()
    assert all("cut short" in problem(tmp_path, data[:place]) for place in cuts(data))


def test_what_we_made_and_was_cut_short(tmp_path: Path, ours: Path) -> None:
    data = ours.read_bytes()
    assert all("cut short" in problem(tmp_path, data[:place]) for place in cuts(data))


def test_what_was_cut_between_two_members(ours: Path, tmp_path: Path) -> None:
    data, ends, position = ours.read_bytes(), [], 0
    while position < len(data):
        unpacker = zlib.decompressobj(31)
        unpacker.decompress(data[position:])
        position = len(data) - len(unpacker.unused_data)
        ends.append(position)
    assert len(ends) > 3
    for end in ends[:-1]:
        assert problem(tmp_path, data[:end]), end


def test_encrypted(tmp_path: Path, stock: Path) -> None:
    path = tmp_path / "x.enc"
    command = ["openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-salt", "-pass", "pass:x", "-in", stock, "-out", path]
    subprocess.run(command, check=True)
    data = path.read_bytes()
    assert problem_of(str(path), True) == ""
    for cut in (data[:-1], data[:20], data[:16]):
        assert "cut short" in problem(tmp_path, cut, True)
    assert "openssl" in problem(tmp_path, stock.read_bytes(), True)
    assert "no gzip file" in problem(tmp_path, data, False)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=3000) | st.binary(max_size=2000).map(lambda tail: b"\x1f\x8b\x08" + tail), st.booleans())
def test_any_bytes_have_an_answer(tmp_path: Path, data: bytes, encrypted: bool) -> None:
    # All but the few that look like something of openssl are no archives.
    assert problem(tmp_path, data, encrypted) or (encrypted and data.startswith(b"Salted__"))


def test_what_cannot_be_opened_is_told(tmp_path: Path) -> None:
    assert "ENOENT" in problem_of(str(tmp_path / "nope"), False)
    (tmp_path / "link").symlink_to("nope")
    assert "ELOOP" in problem_of(str(tmp_path / "link"), False)


def test_in_a_directory(tmp_path: Path) -> None:
    for day, data in enumerate([small_archive(), b"", b"x" * 20, small_archive()[:40]], 1):
        (tmp_path / f"2026112{day}_020000.tar.gz").write_bytes(data)
    found = catalogue.read_catalogue(str(tmp_path))
    assert [backup.name[:8] for backup in found.implausible] == ["20261122", "20261123", "20261124"]
    newest = found.newest(catalogue.parse_utc("2026-11-25T00:00:00Z"))
    assert newest is not None and newest.name == "20261121_020000.tar.gz"
    assert all("problem" in catalogue.describe_backup(backup, newest.date.astimezone()) for backup in found.backups)


@pytest.mark.parametrize(
    ("suffix", "data", "cut"),
    [
        ("", small_archive()[:-3], True),
        ("", small_archive(), False),
        ("", b"x" * 20, False),
        (".enc", b"Salted__" + bytes(24), True),
    ],
)
def test_what_is_smaller_than_its_record_was_cut_short_unless_it_is_whole(
    tmp_path: Path, suffix: str, data: bytes, cut: bool
) -> None:
    path = tmp_path / f"{NAME}.tar.gz{suffix}"
    path.write_bytes(data)
    moment = "2026-11-24T01:00:00Z"
    record = catalogue.VerificationRecord(5000, 1, "00", moment, moment, "shop")
    catalogue.write_sidecar(str(path), record)
    found = catalogue.look_at(str(path))
    assert found is not None
    assert (found.problem == f"cut short: {len(data)} bytes instead of 5000") is cut
    assert bool(found.problem) is (data != small_archive())
