# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A note that cannot be understood is passed over or told, whichever it is for; one that cannot be read is always told."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.state_note import (
    read_state_note,
    understood_entries,
    write_state_note,
)


def number(found: Any) -> int:
    return int(found["number"])


def test_what_was_written_is_read_in_its_order(tmp_path: Path) -> None:
    state = tmp_path / "state"
    path = state / "a/b/note.json"
    write_state_note(f"{state}/", str(path), {"z": "\udcffé", "a": 1}, "cannot")
    assert list((read_state_note(str(path), "cannot", dict) or {}).items()) == [("z", "\udcffé"), ("a", 1)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE((state / "a").stat().st_mode) == 0o700
    write_state_note(str(state), str(state / "top.json"), [], "cannot")
    assert {entry.name for entry in state.iterdir()} == {"a", "top.json"}


DEEP = b"[" * 200000
DAMAGED = [
    b"",
    b"{",
    b"[]",
    b"{}",
    b"null",
    b'"x"',
    b'{"number": "x"}',
    b'{"number": 1e999}',
    b'\xff{"number": 1}',
    DEEP,
]


@pytest.mark.parametrize("content", DAMAGED, ids=lambda content: repr(content[:20]))
def test_what_cannot_be_understood(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "note.json"
    assert read_state_note(str(path), "cannot", number, "damaged") is None
    path.write_bytes(content)
    assert read_state_note(str(path), "cannot", number) is None
    with pytest.raises(MaintenanceError, match=r"damaged.*note\.json.*Look\."):
        read_state_note(str(path), "cannot", number, "damaged", "Look.")


def test_what_the_system_refuses_is_told(tmp_path: Path) -> None:
    with pytest.raises(MaintenanceError, match=r"cannot read it.*EISDIR"):
        read_state_note(str(tmp_path), "cannot read it", number)
    (tmp_path / "file").write_text("kept")
    assert read_state_note(str(tmp_path / "file/note.json"), "cannot", number) is None
    with pytest.raises(MaintenanceError, match=r"cannot write it.*ENOTDIR"):
        write_state_note(str(tmp_path), str(tmp_path / "file/note.json"), 1, "cannot write it")
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize("entries", [None, "12", {"number": 1}, 7])
def test_no_list_has_no_entries(entries: Any) -> None:
    assert understood_entries(entries, number) == []


def test_entries_that_cannot_be_understood_are_passed_over() -> None:
    assert understood_entries([{"number": 1}, None, [], "x", {"number": None}, {}, {"number": "2"}], number) == [1, 2]
