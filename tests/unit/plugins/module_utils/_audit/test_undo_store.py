# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a fix noted is found again, by its own id or by its run's."""

from __future__ import annotations

import stat
from datetime import datetime, timezone
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit import undo_store
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=timezone.utc)


def entry(path: str) -> dict[str, object]:
    return {"path": path, "root": "/srv", "device": 1, "inode": 2, "uid": 0, "gid": 0, "before": 0o644, "after": 0o600}


def test_by_id_and_by_run(tmp_path: Path) -> None:
    ids = [undo_store.new_undo_id("run-1", NOW) for _ in range(2)] + [undo_store.new_undo_id("run-10", NOW)]
    for number, undo_id in enumerate(ids):
        path = undo_store.write(str(tmp_path), undo_id, [entry(f"/srv/{number}\udcff")])
        assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
    assert undo_store.read(str(tmp_path), ids[0]) == [entry("/srv/0\udcff")]
    assert {note["path"] for note in undo_store.read(str(tmp_path), "run-1")} == {"/srv/0\udcff", "/srv/1\udcff"}


@pytest.mark.parametrize("wanted", ["", "run", "../audit", "nothing"])
def test_what_is_not_there_is_told(tmp_path: Path, wanted: str) -> None:
    undo_store.write(str(tmp_path), "run-1.aaaaaa", [entry("/srv/a")])
    with pytest.raises(MaintenanceError, match=r"no undo data.*run-1\.aaaaaa"):
        undo_store.read(str(tmp_path), wanted)


def test_damaged_undo_data_is_told(tmp_path: Path) -> None:
    (tmp_path / "undo").mkdir()
    (tmp_path / "undo" / "run-1.json").write_text("{")
    with pytest.raises(MaintenanceError, match="cannot be read"):
        undo_store.read(str(tmp_path), "run-1")
