# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Between planning and removing the world may change: what is no longer what was planned for stays."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup import catalogue, pruning, rotation
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import (
    AbortPlan,
    MaintenanceError,
    SkipAction,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Action, Kept, Plan, Results
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.state_dir import StateDirectory

NOTHING = pruning.RotationObservation(catalogue.Catalogue("/nowhere"))
OPTIONS: dict[str, Any] = {
    "keep_last": 1,
    "keep_within": "0",
    "keep_tags": [],
    "keep_daily": 0,
    "keep_weekly": 0,
    "keep_monthly": 0,
    "require_verified": "48h",
    "assume_verified": True,
    "max_delete": None,
    "negative": "fail",
    "relied_on": [],
    "blocked_by": [],
    "database": None,
}


def task(directory: Path, **options: Any) -> rotation.BackupPrune:
    call: Any = SimpleNamespace(
        params={**OPTIONS, "path": str(directory), **options}, run=SimpleNamespace(run_id=None), check=False
    )
    return rotation.BackupPrune(call)


def archive(directory: Path, name: str = "20261124_020000.tar.gz", verified: bool = True) -> Path:
    path = directory / name
    path.write_bytes(b"abc")
    if verified:
        moment = "2026-11-24T01:00:00Z"
        status = path.stat()
        record = catalogue.VerificationRecord(3, status.st_mtime_ns, "0" * 64, moment, moment, "shop")
        catalogue.write_sidecar(str(path), record)
    return path


def seen(path: Path) -> catalogue.Backup:
    found = catalogue.look_at(str(path))
    assert found is not None
    return found


def removal(path: Path, relies_on: Path) -> Action[pruning.RemoveBackup]:
    return Action("remove_backup", str(path), "", pruning.RemoveBackup(seen(path).id, seen(relies_on).id))


def rewritten(path: Path) -> None:
    os.utime(path, (1, 1))


def replaced(path: Path) -> None:
    """Another file of the same size and time."""
    status = path.stat()
    other = path.with_name("other")
    other.write_bytes(b"xyz")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)


def a_link(path: Path) -> None:
    path.rename(path.with_name("kept-by-hand"))
    path.symlink_to("kept-by-hand")


@pytest.mark.parametrize("wrong", ["keep_last", "keep_daily", "keep_weekly", "keep_monthly"])
@pytest.mark.parametrize("others", [{}, {"keep_daily": 7, "keep_within": "3d"}, {"keep_tags": ["a"]}])
def test_with_a_mistake_among_the_numbers_there_is_no_rule(tmp_path: Path, wrong: str, others: dict[str, Any]) -> None:
    options = {**others, wrong: -1}
    assert task(tmp_path, **options, negative="keep_all").policy.keep.empty
    with pytest.raises(MaintenanceError, match="negative"):
        task(tmp_path, **options)


@pytest.mark.parametrize("change", [rewritten, replaced, a_link])
def test_a_file_that_was_replaced_since_planning_stays(tmp_path: Path, change: Any) -> None:
    old, new = archive(tmp_path), archive(tmp_path, "20261125_020000.tar.gz")
    action = removal(old, new)
    change(old)
    with pytest.raises(SkipAction, match="changed since planning"):
        task(tmp_path).act(action, NOTHING)
    assert old.exists() and new.exists()


@pytest.mark.parametrize("change", [rewritten, replaced, a_link, Path.unlink])
def test_without_what_it_relies_on_nothing_more_goes(tmp_path: Path, change: Any) -> None:
    old, new = archive(tmp_path), archive(tmp_path, "20261125_020000.tar.gz")
    action = removal(old, new)
    change(new)
    with pytest.raises(AbortPlan, match="the newest verified backup is gone, or has changed"):
        task(tmp_path).act(action, NOTHING)
    assert old.exists()


def test_an_unchanged_one_goes_with_its_record(tmp_path: Path) -> None:
    old, new = archive(tmp_path), archive(tmp_path, "20261125_020000.tar.gz")
    assert task(tmp_path).act(removal(old, new), NOTHING).bytes == 3
    assert sorted(os.listdir(tmp_path)) == sorted([new.name, f".{new.name}.verified.json"])


def test_a_record_whose_backup_came_back_stays(tmp_path: Path) -> None:
    path = archive(tmp_path)
    action = Action("remove_record", "", "", pruning.RemoveRecord(catalogue.sidecar_path(str(path))))
    with pytest.raises(SkipAction, match="its backup is there now"):
        task(tmp_path).act(action, NOTHING)
    assert seen(path).verified


def test_that_a_kept_backup_went_meanwhile_is_told(tmp_path: Path) -> None:
    plan: Plan[pruning.RotationWork] = Plan([], [Kept(str(tmp_path / "20261124_020000.tar.gz"), "last 1 of 1")])
    results: Results[pruning.RotationWork, pruning.RotationObservation] = Results(False)
    failure = task(tmp_path).verify(NOTHING, plan, results).failure
    assert isinstance(failure, MaintenanceError)
    assert "that were to be kept are gone" in str(failure)
    archive(tmp_path)
    assert task(tmp_path).verify(NOTHING, plan, results).failure is None


def test_an_assumption_counts_in_check_mode_only(tmp_path: Path) -> None:
    assert not task(tmp_path).policy.assume_verified


def test_what_a_run_relied_on_is_in_its_options_and_its_record(tmp_path: Path) -> None:
    backups = tmp_path / "backups"
    backups.mkdir()
    (tmp_path / "link").symlink_to("backups")
    names = [f"2026112{day}_020000.tar.gz" for day in range(1, 6)]
    for name in names:
        archive(backups, name)
    state = StateDirectory(str(tmp_path / "state"))
    state.prepare()
    events = [
        {"module": "mongo_backup", "event": "ended", "summary": {"path": str(backups / names[0])}},
        {"module": "mongo_restore", "event": "ended", "summary": {"path": str(tmp_path / "link" / names[1])}},
        {"module": "mongo_restore", "event": "failed", "summary": {"path": str(backups / names[2])}},
        {"module": "mongo_backup", "event": "ended", "summary": {"path": str(tmp_path / names[3])}},
        {"module": "docker_prune", "event": "ended", "summary": {}},
    ]
    Path(state.events_path("r")).write_text("".join(json.dumps(event) + "\n" for event in events))
    found = task(backups, relied_on=[str(backups / names[4])])
    assert found.observe().relied_on == (names[4],)
    found.run = SimpleNamespace(run_id="r", state=state)  # type: ignore[assignment]
    assert set(found.observe().relied_on) == {names[0], names[1], names[4]}


def test_nothing_goes_while_a_backup_is_written(tmp_path: Path) -> None:
    old, new = archive(tmp_path), archive(tmp_path, "20261125_020000.tar.gz")
    action = removal(old, new)
    with catalogue.directory_lock(str(tmp_path)) as free:
        assert free
        with pytest.raises(MaintenanceError, match="a backup is being written"):
            task(tmp_path).act(action, NOTHING)
    assert old.exists()
    assert task(tmp_path).act(action, NOTHING).bytes == 3
