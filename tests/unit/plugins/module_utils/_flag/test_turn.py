# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.turn import LOCK_NAME, take_turn_to_switch
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations import maintenance_flag


def test_one_after_the_other(tmp_path: Path) -> None:
    state_dir = str(tmp_path / "state")
    first = take_turn_to_switch(state_dir)
    assert first is not None and (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    with pytest.raises(MaintenanceError, match="another call is putting maintenance up") as found:
        take_turn_to_switch(state_dir, wait=0.0)
    assert found.value.details["busy"]
    second: list[int | None] = []
    waiting = threading.Thread(target=lambda: second.append(take_turn_to_switch(state_dir)))
    waiting.start()
    assert second == []
    os.close(first)
    waiting.join()
    assert second[0] is not None
    os.close(second[0])


def test_where_nothing_can_be_written_nobody_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert take_turn_to_switch(str(tmp_path / "file")) is None
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / LOCK_NAME).symlink_to(tmp_path / "file")
    assert take_turn_to_switch(str(tmp_path / "state")) is None


@pytest.mark.parametrize("force", [False, True])
def test_one_that_hangs_keeps_no_shop_closed_for_whoever_forces_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    def busy(_state_dir: str) -> None:
        raise MaintenanceError("another call is at work")

    monkeypatch.setattr(maintenance_flag, "take_turn_to_switch", busy)
    task: Any = object.__new__(maintenance_flag.MaintenanceFlag)
    task.call = SimpleNamespace(check=False)
    task.run = SimpleNamespace(state_dir=str(tmp_path))
    task.policy = SimpleNamespace(force=force)
    task._turn = None
    task.maintenance = SimpleNamespace(observe=lambda: "seen", has_changed=lambda _seen: False)
    if force:
        assert task.observe() == "seen" and task._turn is None
    else:
        with pytest.raises(MaintenanceError, match="another call"):
            task.observe()
