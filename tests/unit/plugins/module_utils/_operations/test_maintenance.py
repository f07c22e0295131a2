# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands between two who maintain at the same moment, and between a timer that is there and one that runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Action, Plan
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag import flag_file, nginx_layer, switch
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.flag_file import Flag
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.timer import Timer
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.removals import read_removals
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations import maintenance, maintenance_status

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=timezone.utc)


def test_who_enters_at_the_same_moment_and_is_slower_is_refused(tmp_path: Path) -> None:
    path, state = str(tmp_path / "flag"), str(tmp_path / "state")
    theirs = flag_file.Note("other", "2026-11-24T02:00:00Z", "r", path)
    flag_file.write_note(state, theirs)
    flag_file.write_flag(path, "2026-11-24T02:00:00Z|r")
    task = maintenance.Maintenance(switch.Policy("present", path, "me"), state, None, None)
    seen = maintenance.MaintenanceObservation(switch.Layers(Flag(False), None))
    mine = replace(theirs, owner="me")
    with pytest.raises(MaintenanceError, match="put up by other at this moment"):
        task.act(Action("write_note", "note", "", switch.WriteNote(mine)), seen)
    assert flag_file.read_note(state) == theirs
    task.act(Action("write_note", "note", "", switch.WriteNote(mine, overwrite=True)), seen)
    assert flag_file.read_note(state) == mine


def test_a_timer_that_is_there_but_does_not_run_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "flag").write_text("x|y\n")
    task = maintenance.Maintenance(
        switch.Policy("present", str(tmp_path / "flag"), "o"), str(tmp_path), None, lambda: b"p"
    )
    asleep = Timer("u", str(tmp_path), "python", service="s", timer="t")
    monkeypatch.setattr(maintenance, "observe_timer", lambda *_args: asleep)
    note = flag_file.Note("o", "2026-11-24T03:00:00Z", "r", str(tmp_path / "flag"), "2026-11-24T05:00:00Z")
    seen = maintenance.MaintenanceObservation(
        switch.Layers(Flag(True), note, timer=Timer("u", str(tmp_path), "python")), program=b"p"
    )
    with pytest.raises(MaintenanceError, match="not armed"):
        task.verify(seen, Plan())
    forever = replace(seen, layers=replace(seen.layers, note=replace(note, expires="")))
    task.verify(forever, Plan())


@pytest.mark.parametrize(("state", "present"), [("present", False), ("absent", True)])
def test_a_flag_that_is_not_as_it_was_left_is_an_error(tmp_path: Path, state: str, present: bool) -> None:
    path = str(tmp_path / "flag")
    task = maintenance.Maintenance(switch.Policy(state, path, "me"), str(tmp_path / "state"), None, None)
    seen = maintenance.MaintenanceObservation(switch.Layers(Flag(False), None))
    if present:
        flag_file.write_flag(path, "2026-11-24T02:00:00Z|r")
    with pytest.raises(MaintenanceError, match="somebody else is changing maintenance at the same time: the flag file"):
        task.verify(seen, Plan())
    if present:
        flag_file.remove_file(path)
    else:
        flag_file.write_flag(path, "2026-11-24T02:00:00Z|r")
    task.verify(seen, Plan())


@pytest.mark.parametrize(("action", "noted"), [("delete", ["shop.settings"]), ("update", [])])
def test_a_setting_that_is_taken_away_is_noted_for_compaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str, noted: list[str]
) -> None:
    state = str(tmp_path / "state")
    task = maintenance.Maintenance(switch.Policy("absent", str(tmp_path / "flag"), "me"), state, None, None)
    monkeypatch.setattr(task, "_database", lambda _observation: SimpleNamespace(name="shop"))
    change = SimpleNamespace(action=action)
    monkeypatch.setattr(maintenance, "update_setting", lambda *_args, **_options: (None, change))
    seen = maintenance.MaintenanceObservation(switch.Layers(Flag(True), None))
    outcome = task.act(Action("switch_application_off", "x", "", switch.SwitchApplicationOff()), seen)
    assert outcome.warnings == () and list(read_removals(state)) == noted


def test_an_application_that_cannot_be_found_again_keeps_the_note(tmp_path: Path) -> None:
    """It was switched with a connection string, which is not remembered: without it the shop would stay closed."""
    path, state = str(tmp_path / "flag"), str(tmp_path / "state")
    previous = {"present": True, "block": None}
    note = flag_file.Note("me", "2026-11-24T02:00:00Z", "r", path, application={"previous": previous, "env_file": ""})
    flag_file.write_note(state, note)
    task = maintenance.Maintenance(switch.Policy("absent", path, "me"), state, None, None)
    with pytest.raises(MaintenanceError, match="with a connection string, which is not remembered"):
        task.observe()
    assert flag_file.read_note(state) == note


@pytest.mark.parametrize("setup", [None, "", '{"directory": "/elsewhere"}'])
def test_nginx_is_opened_although_nobody_knows_any_more_how_it_was_set_up(tmp_path: Path, setup: str | None) -> None:
    page, state, flag = tmp_path / "page", tmp_path / "state", str(tmp_path / "flag")
    page.mkdir()
    nginx_layer.close_shop(str(page), {"page.html": "closed", "no-end": ""}, "")
    note = flag_file.Note("me", "2026-11-24T02:00:00Z", "r", flag, nginx=str(page))
    flag_file.write_note(str(state), note)
    flag_file.write_flag(flag, "2026-11-24T02:00:00Z|r")
    if setup is not None:
        (state / nginx_layer.SETUP_NAME).write_text(setup)
    else:
        found = maintenance_status.look_at_nginx(str(state), note)
        assert found["closed"] and not found["set_up"] and "not known any more" in found["problem"]
    task = maintenance.Maintenance(switch.Policy("absent", flag, "me"), str(state), None, None)
    seen = task.observe()
    plan = switch.plan_switch(seen.layers, task.policy, NOW)
    for action in plan.actions:
        task.act(action, seen)
    task.verify(seen, plan)
    assert not (page / "closed").exists() and list(page.iterdir()) == []
    assert not Path(flag).exists() and flag_file.read_note(str(state)) is None


@pytest.mark.parametrize("layers", [("auto",), ("nginx",)])
def test_check_mode_plans_for_the_nginx_that_would_be_set_up(tmp_path: Path, layers: tuple[str, ...]) -> None:
    policy = switch.Policy("present", str(tmp_path / "flag"), "me", layers=layers)
    task = maintenance.Maintenance(policy, str(tmp_path / "state"), None, None, assume_nginx=str(tmp_path / "page"))
    plan = switch.plan_switch(task.observe().layers, policy, NOW)
    (close,) = [action for action in plan.actions if action.action == "close_nginx"]
    assert "set it up" in close.assumes and not plan.warnings
    assert list(tmp_path.iterdir()) == []
