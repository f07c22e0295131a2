# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Between planning and removing the world may change: what is no longer what was planned for stays."""

from __future__ import annotations

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

OPTIONS: dict[str, Any] = {
    "keep_last": 1,
    "keep_daily": 0,
    "keep_weekly": 0,
    "keep_monthly": 0,
    "require_verified": "48h",
    "assume_verified": True,
    "max_delete": None,
    "blocked_by": [],
    "database": None,
}


def task(directory: Path, **options: Any) -> rotation.BackupPrune:
    call: Any = SimpleNamespace(params={**OPTIONS, "path": str(directory), **options}, run=None, check=False)
    return rotation.BackupPrune(call)


def archive(directory: Path, name: str = "20261124_020000.tar.gz", verified: bool = True) -> Path:
    path = directory / name
    path.write_bytes(b"abc")
    if verified:
        moment = "2026-11-24T01:00:00Z"
        status = path.stat()
        record = catalogue.Verification(3, status.st_mtime_ns, "0" * 64, moment, moment, "shop")
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


@pytest.mark.parametrize("change", [rewritten, replaced, a_link])
def test_a_file_that_was_replaced_since_planning_stays(tmp_path: Path, change: Any) -> None:
    old, new = archive(tmp_path), archive(tmp_path, "20261125_020000.tar.gz")
    action = removal(old, new)
    change(old)
    with pytest.raises(SkipAction, match="changed since planning"):
        task(tmp_path).act(action, catalogue.Catalogue(str(tmp_path)))
    assert old.exists() and new.exists()


@pytest.mark.parametrize("change", [rewritten, replaced, a_link, Path.unlink])
def test_without_what_it_relies_on_nothing_more_goes(tmp_path: Path, change: Any) -> None:
    old, new = archive(tmp_path), archive(tmp_path, "20261125_020000.tar.gz")
    action = removal(old, new)
    change(new)
    with pytest.raises(AbortPlan, match="the newest verified backup is gone, or has changed"):
        task(tmp_path).act(action, catalogue.Catalogue(str(tmp_path)))
    assert old.exists()


def test_an_unchanged_one_goes_with_its_record(tmp_path: Path) -> None:
    old, new = archive(tmp_path), archive(tmp_path, "20261125_020000.tar.gz")
    assert task(tmp_path).act(removal(old, new), catalogue.Catalogue(str(tmp_path))).bytes == 3
    assert sorted(os.listdir(tmp_path)) == sorted([new.name, f".{new.name}.verified.json"])


def test_a_record_whose_backup_came_back_stays(tmp_path: Path) -> None:
    path = archive(tmp_path)
    action = Action("remove_record", "", "", pruning.RemoveRecord(catalogue.sidecar_path(str(path))))
    with pytest.raises(SkipAction, match="its backup is there now"):
        task(tmp_path).act(action, catalogue.Catalogue(str(tmp_path)))
    assert seen(path).verified


def test_that_a_kept_backup_went_meanwhile_is_told(tmp_path: Path) -> None:
    plan: Plan[pruning.RotationWork] = Plan([], [Kept(str(tmp_path / "20261124_020000.tar.gz"), "last 1 of 1")])
    results: Results[pruning.RotationWork, catalogue.Catalogue] = Results(False)
    failure = task(tmp_path).verify(catalogue.Catalogue(str(tmp_path)), plan, results).failure
    assert isinstance(failure, MaintenanceError)
    assert "that were to be kept are gone" in str(failure)
    archive(tmp_path)
    assert task(tmp_path).verify(catalogue.Catalogue(str(tmp_path)), plan, results).failure is None


def test_an_assumption_counts_in_check_mode_only(tmp_path: Path) -> None:
    assert not task(tmp_path).policy.assume_verified
