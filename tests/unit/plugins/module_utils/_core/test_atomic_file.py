# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core import atomic_file
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.atomic_file import (
    append_line,
    atomic_writer,
    is_partial,
    partial_name,
    write_atomic,
)


def test_a_new_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_atomic(str(tmp_path / "new"), b"text")
    finally:
        os.umask(before)
    assert (tmp_path / "new").read_bytes() == b"text"
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


def test_an_existing_file_keeps_its_mode(tmp_path: Path) -> None:
    target = tmp_path / "kept"
    target.write_bytes(b"old")
    target.chmod(0o640)
    write_atomic(str(target), b"new")
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    with pytest.raises(RuntimeError), atomic_writer(str(target)) as handle:
        handle.write(b"half")
        raise RuntimeError
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_planted_under_the_temporary_name_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    target = tmp_path / "file"
    os.symlink(victim, partial_name(str(target)))
    write_atomic(str(target), b"new")
    assert victim.read_bytes() == b"precious"
    assert target.read_bytes() == b"new"


def test_a_leftover_is_recognised_by_its_name() -> None:
    assert is_partial(partial_name("/a/20261124_020000.tar.gz"))
    assert not is_partial("/a/20261124_020000.tar.gz")


def test_it_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, rename = os.fsync, os.rename

    def synced(descriptor: int) -> None:
        status = os.fstat(descriptor)
        done.append("directory" if stat.S_ISDIR(status.st_mode) else "file of %d bytes" % status.st_size)
        fsync(descriptor)

    def renamed(source: str, target: str) -> None:
        done.append("renamed")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", renamed)
    write_atomic(str(tmp_path / "file"), b"text")
    assert done == ["file of 4 bytes", "renamed", "directory"]


def test_what_is_planted_at_the_last_moment_is_not_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After what lay there was cleared away: a second name of somebody else's file."""
    victim, target = tmp_path / "victim", tmp_path / "file"
    victim.write_bytes(b"precious")
    monkeypatch.setattr(atomic_file, "discard_partial", lambda _path: None)
    os.link(victim, partial_name(str(target)))
    with pytest.raises(FileExistsError):
        write_atomic(str(target), b"new")
    assert victim.read_bytes() == b"precious" and not target.exists()


def test_a_torn_line_is_ended_before_the_next(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    append_line(str(path), b"one")
    path.write_bytes(path.read_bytes() + b"to")
    append_line(str(path), b"three")
    append_line(str(path), b"four")
    assert path.read_bytes() == b"one\nto\nthree\nfour\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_line_is_not_written_where_a_link_leads(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("root\n")
    (tmp_path / "lines").symlink_to("theirs")
    with pytest.raises(OSError, match="symbolic"):
        append_line(str(tmp_path / "lines"), b"one")
    assert (tmp_path / "theirs").read_text() == "root\n"


def test_a_part_of_a_line_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:2]))
    with pytest.raises(OSError, match="only a part"):
        append_line(str(tmp_path / "lines"), b"one")
