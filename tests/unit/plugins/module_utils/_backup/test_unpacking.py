# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of a backup written to new places: as they were, and nowhere else, whoever has made the archive."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.drill_judgement import Targets
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.tarball import ReadBack, read_backup
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.unpacking import Unpacker
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError

Entry = tuple[str, bytes, str]


def archive(*entries: Entry, mode: int = 0o640) -> io.BytesIO:
    """A backup with entries of (name, kind of tarfile, content or target of a link)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, kind, text in entries:
            info = tarfile.TarInfo("20261124_020000/" + name)
            info.type, info.mtime, info.uid, info.gid = kind, 1_700_000_000, os.geteuid(), os.getegid()
            info.mode = 0o2750 if kind == tarfile.DIRTYPE else mode
            data = text.encode()
            if kind == tarfile.REGTYPE:
                info.size = len(data)
            else:
                info.linkname = text
            tar.addfile(info, io.BytesIO(data) if kind == tarfile.REGTYPE else None)
    return io.BytesIO(gzip.compress(out.getvalue()))


def unpack(stream: io.BytesIO, places: dict[str, str]) -> ReadBack:
    return read_backup(stream, "b", lambda _stream: None, Unpacker(places, owners=True))


UPLOADS = ("uploads", tarfile.DIRTYPE, "")


def test_everything_as_it_was(tmp_path: Path) -> None:
    stream = archive(
        UPLOADS,
        ("uploads/deep", tarfile.DIRTYPE, ""),
        ("uploads/deep/a.jpg", tarfile.REGTYPE, "x" * 100_000),
        ("uploads/b.jpg", tarfile.LNKTYPE, "20261124_020000/uploads/deep/a.jpg"),
        ("uploads/c.jpg", tarfile.SYMTYPE, "/etc/passwd"),
        ("labels", tarfile.DIRTYPE, ""),
        ("labels/not-wanted", tarfile.REGTYPE, "l"),
        (".env", tarfile.REGTYPE, "A=1"),
        mode=0o4755,
    )
    places = {"uploads": str(tmp_path / "new"), ".env": str(tmp_path / "env")}
    found = unpack(stream, places)
    assert found.components["uploads"].files == 1 and found.components["labels"].files == 1
    new = tmp_path / "new"
    assert (new / "deep" / "a.jpg").read_text() == "x" * 100_000
    assert (new / "b.jpg").stat().st_ino == (new / "deep" / "a.jpg").stat().st_ino
    assert os.readlink(new / "c.jpg") == "/etc/passwd"
    assert (new / "deep").stat().st_mode & 0o7777 == 0o2750
    assert int((new / "deep").stat().st_mtime) == 1_700_000_000
    assert (new / "deep" / "a.jpg").stat().st_mode & 0o7777 == 0o755, "no program that runs as its owner"
    assert (tmp_path / "env").read_text() == "A=1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["env", "new"]


@pytest.mark.parametrize(
    "entry",
    [
        ("uploads/../../outside/a", tarfile.REGTYPE, "x"),
        ("uploads/..", tarfile.DIRTYPE, ""),
        ("uploads/link/a", tarfile.REGTYPE, "x"),
        ("uploads/link", tarfile.REGTYPE, "x"),
        ("uploads/link/d", tarfile.DIRTYPE, ""),
        ("uploads/link/d", tarfile.SYMTYPE, "/etc"),
        ("uploads/hard", tarfile.LNKTYPE, "20261124_020000/uploads/link/there"),
        ("uploads/hard", tarfile.LNKTYPE, "20261124_020000/uploads/../../outside/there"),
        ("uploads/file/a", tarfile.REGTYPE, "x"),
        ("uploads/file", tarfile.REGTYPE, "y"),
    ],
)
def test_nothing_is_written_elsewhere_or_over_what_is_there(tmp_path: Path, entry: Entry) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "there").write_text("t")
    (tmp_path / "places").mkdir()
    link = ("uploads/link", tarfile.SYMTYPE, str(outside))
    stream = archive(UPLOADS, link, ("uploads/file", tarfile.REGTYPE, "f"), entry)
    with pytest.raises(MaintenanceError):
        unpack(stream, {"uploads": str(tmp_path / "places" / "uploads")})
    assert [path.name for path in outside.iterdir()] == ["there"]
    assert (outside / "there").stat().st_nlink == 1
    assert [path.name for path in (tmp_path / "places").iterdir()] == ["uploads"]
    assert (tmp_path / "places" / "uploads" / "file").read_text() == "f"


def test_what_stands_there_already_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "uploads").mkdir()
    with pytest.raises(MaintenanceError, match="EEXIST"):
        unpack(archive(UPLOADS), {"uploads": str(tmp_path / "uploads")})


def test_targets_are_missed_when_they_are_passed() -> None:
    assert Targets().missed(1e9, 1e9) == Targets(10, 20).missed(10, 20) == []
    slow, old = Targets(10, 20).missed(11, 21)
    assert slow == "it took 11 s, and 10 s are allowed (max_recovery_time)"
    assert old == "the data is 21 s old, and 20 s are allowed (max_data_age)"
