# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a fix noted is found again, by its own id or by its run's."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.permission_fix import ModeChange
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.undo_store import read_undo, write_undo
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import AbortPlan, MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.undo_note import new_undo_id, undo_path

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=timezone.utc)


def change(path: str, born: int = 0) -> ModeChange:
    return ModeChange(path, "/srv", 1, 2, 0, 0, 0o644, 0o600, born)


def test_by_id_and_by_run(tmp_path: Path) -> None:
    moments = [NOW + timedelta(microseconds=number) for number in range(2)]
    ids = [new_undo_id("run-1", moment) for moment in moments] + [new_undo_id("run-10", NOW)]
    assert len(set(ids)) == 3
    for number, undo_id in enumerate(ids):
        path = write_undo(str(tmp_path), undo_id, [change(f"/srv/{number}\udcff", number)])
        assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600 and path == undo_path(str(tmp_path), undo_id)
    assert read_undo(str(tmp_path), ids[0]) == [change("/srv/0\udcff")]
    assert {note.path: note.born for note in read_undo(str(tmp_path), "run-1")} == {
        "/srv/0\udcff": 0,
        "/srv/1\udcff": 1,
    }


def test_what_earlier_versions_noted_is_read(tmp_path: Path) -> None:
    (tmp_path / "undo").mkdir()
    entry = {"path": "/srv/.env", "root": "/srv", "device": 1, "inode": 2, "uid": 0, "gid": 0}
    entries = [{**entry, "before": 0o644, "after": 0o600}, {**entry, "before": 0o666, "after": 0o664, "born": 7}]
    note = tmp_path / "undo" / "20261124T030000Z-a1b2c3.4f5e6d.json"
    note.write_text(json.dumps({"kind": "file modes", "entries": entries}))
    for wanted in ("20261124T030000Z-a1b2c3", "20261124T030000Z-a1b2c3.4f5e6d"):
        assert read_undo(str(tmp_path), wanted) == [
            change("/srv/.env"),
            replace(change("/srv/.env", 7), before=0o666, after=0o664),
        ]


def test_without_a_note_nothing_further_is_tried(tmp_path: Path) -> None:
    (tmp_path / "undo").write_text("in the way")
    with pytest.raises(AbortPlan, match="nothing was changed"):
        write_undo(str(tmp_path), "id", [change("/srv/a")])


@pytest.mark.parametrize("wanted", ["", "run", "../audit", "nothing"])
def test_what_is_not_there_is_told(tmp_path: Path, wanted: str) -> None:
    write_undo(str(tmp_path), "run-1.aaaaaa", [change("/srv/a")])
    with pytest.raises(MaintenanceError, match=r"no undo data.*run-1\.aaaaaa"):
        read_undo(str(tmp_path), wanted)


def test_damaged_undo_data_is_told(tmp_path: Path) -> None:
    (tmp_path / "undo").mkdir()
    (tmp_path / "undo" / "run-1.json").write_text("{")
    with pytest.raises(MaintenanceError, match="cannot be read"):
        read_undo(str(tmp_path), "run-1")
