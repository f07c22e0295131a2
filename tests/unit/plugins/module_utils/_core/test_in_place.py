# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file that is written in place is the old one or the new one again, wherever the write was killed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.in_place import (
    finish_in_place,
    is_torn,
    write_in_place,
)


@given(st.binary(max_size=40), st.binary(max_size=40), st.integers(0, 40))
def test_a_write_is_known_as_torn_wherever_it_ended(before: bytes, after: bytes, size: int) -> None:
    written = after[:size]
    now = written + before[len(written) :]
    assert is_torn(now, before, after) == (now not in (before, after))


def test_what_somebody_else_has_written_meanwhile_stays(tmp_path: Path) -> None:
    note, path = tmp_path / "note", tmp_path / "site"
    for text, torn in ((b"somebody else's", False), (b"include x;\nserver {}", False), (b"includeer {}", True)):
        path.write_bytes(text)
        note.write_text(json.dumps({"path": str(path), "before": "server {}", "after": "include x;\nserver {}"}))
        if torn:
            path.write_bytes(b"includ {}")
        assert finish_in_place(str(note)) == (str(path) if torn else "")
        assert path.read_bytes() == (b"server {}" if torn else text) and not note.exists()
    assert finish_in_place(str(note)) == ""


def test_the_file_stays_the_same_file(tmp_path: Path) -> None:
    path, note = tmp_path / "site", tmp_path / "state/note"
    path.write_bytes(b"a longer text than the new one")
    inode = path.stat().st_ino
    write_in_place(str(path), b"short", str(note))
    assert path.read_bytes() == b"short" and path.stat().st_ino == inode and not note.exists()


def test_a_disk_that_is_full_is_told_and_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, note = tmp_path / "site", tmp_path / "note"
    path.write_bytes(b"server {}")
    pwrite = os.pwrite

    def full(descriptor: int, data: bytes, offset: int) -> int:
        if offset:
            raise OSError(28, "No space left on device")
        return pwrite(descriptor, data[:6], 0)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space"):
        write_in_place(str(path), b"include x;\nserver {}", str(note))
    monkeypatch.undo()
    assert path.read_bytes() == b"includ {}" and finish_in_place(str(note)) == str(path)
    assert path.read_bytes() == b"server {}"
