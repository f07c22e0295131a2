# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""maintenance_checklist on a host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.kill import boundaries, kill_and_run_again
from tests.support.modules import ModuleResult, run_module


def checklist(state_dir: Path, *tick: str, **options: Any) -> ModuleResult:
    check, python = options.pop("check", False), options.pop("python", None)
    params = {"state_dir": str(state_dir), "tick": list(tick), "by": "mira", **options}
    return run_module("maintenance_checklist", params, check=check, python=python)


def box(result: ModuleResult, name: str) -> dict[str, Any]:
    return next(dict(entry) for entry in result.result["boxes"] if entry["id"] == name)


def test_what_was_done_is_kept_with_date_and_name(state_dir: Path) -> None:
    first = checklist(state_dir)
    assert not first.failed and not first.changed and not state_dir.exists()
    assert first.result["summary"]["due"] == 17

    checked = checklist(state_dir, "documentation", check=True)
    assert checked.changed and not state_dir.exists()
    done = checklist(state_dir, "documentation", "recovery_drill", note="up after\n40 minutes")
    assert done.changed and not done.failed
    assert not checklist(state_dir, "documentation").changed
    told = checklist(state_dir)
    assert (box(told, "recovery_drill")["by"], box(told, "recovery_drill")["note"]) == ("mira", "up after 40 minutes")
    assert box(told, "recovery_drill")["due"] is False and box(told, "restore_test")["due"] is True
    assert any(
        "[x] Disaster recovery drill" in line and "by mira: up after 40 minutes" in line
        for line in told.result["lines"]
    )
    assert (state_dir / "checklist.jsonl").stat().st_mode & 0o777 == 0o600
    assert state_dir.stat().st_mode & 0o777 == 0o700
    wrong = checklist(state_dir, "documentatoin")
    assert wrong.failed and "There are:" in wrong.msg


def test_a_run_ticks_its_boxes(state_dir: Path) -> None:
    begun = run_module(
        "maintenance_run", {"state": "begun", "name": "daily look", "state_dir": str(state_dir), "owner": "jo"}
    )
    steps = [{"step": "disk", "status": "ok", "headline": "x"}, {"step": "health", "status": "failed", "headline": "x"}]
    ended = {"state": "ended", "run_id": begun.result["run_id"], "status": "failed", "steps": steps}
    assert not run_module("maintenance_run", {**ended, "state_dir": str(state_dir)}).failed
    told = checklist(state_dir)
    assert box(told, "disk_space")["by"] == "daily look of jo"
    assert box(told, "service_health")["due"]


def test_a_copy_off_the_host_ticks_its_box_and_none_does_not(state_dir: Path) -> None:
    def end(status: str) -> dict[str, Any]:
        shared = {"name": "weekly maintenance", "state_dir": str(state_dir), "owner": "jo"}
        begun = run_module("maintenance_run", {**shared, "state": "begun"})
        steps = [{"step": "off-site copy", "status": status, "headline": "x"}]
        ended = {**shared, "state": "ended", "run_id": begun.result["run_id"], "status": "ok", "steps": steps}
        assert not run_module("maintenance_run", ended).failed
        return box(checklist(state_dir), "offsite_copy")

    assert end("skipped")["due"], "no place for copies is named"
    copied = end("changed")
    assert not copied["due"] and copied["by"] == "weekly maintenance of jo"
    assert checklist(state_dir, "offsite_copy", note="tapes to the bank").changed, "or somebody else has done it"


@pytest.mark.parametrize("number", boundaries(1))
def test_killed_it_has_ticked_or_not(number: int, state_dir: Path) -> None:
    params = {"state_dir": str(state_dir), "tick": ["documentation"], "by": "mira"}
    kill_and_run_again("maintenance_checklist", params, number)
    assert len((state_dir / "checklist.jsonl").read_text().splitlines()) == 1


def test_on_the_oldest_python(state_dir: Path, old_python: Path) -> None:
    assert checklist(state_dir, "documentation", python=str(old_python)).changed
