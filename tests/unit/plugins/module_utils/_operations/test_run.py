# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a run ends: with its own lease alone, whatever else is written, and never twice."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.clock import parse_utc
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.lease import read_lease, release_lease
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Report
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.record import read_record
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.state_dir import StateDirectory
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations import run

NOW = parse_utc("2026-11-24T03:00:00Z")
PARAMS: Mapping[str, Any] = {
    "name": "weekly", "owner": "ops", "shop": None, "takeover": False, "takeover_own": False, "docker_timeout": 1,
    "status": "ok", "steps": [], "keep_days": 90, "log_path": None,
}  # fmt: skip


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    return StateDirectory(str(tmp_path / "state"))


def begin(state: StateDirectory, **more: Any) -> str:
    return str(run.begin({**PARAMS, **more}, state, NOW).values["run_id"])


def end(state: StateDirectory, run_id: str, check: bool = False, **more: Any) -> Report:
    return run.end({**PARAMS, "run_id": run_id, **more}, state, NOW + timedelta(minutes=5), check)


def holder(state: StateDirectory) -> str:
    lease = read_lease(state)
    return lease.run_id if lease is not None else ""


def test_a_run_ends_with_its_record_and_gives_its_lease_back(state: StateDirectory) -> None:
    run_id = begin(state)
    assert holder(state) == run_id
    report = end(state, run_id)
    assert report.failure is None and report.headline == f"ended {run_id}, ok"
    assert holder(state) == ""
    assert read_record(state, run_id)["seconds"] == 300


def test_a_run_that_this_host_does_not_know_is_refused(state: StateDirectory) -> None:
    begin(state)
    with pytest.raises(MaintenanceError, match="knows no such run"):
        end(state, "20260101T000000Z-abcdef")
    assert read_record(state, "20260101T000000Z-abcdef") == {}


def test_what_was_recorded_first_stands(state: StateDirectory) -> None:
    run_id = begin(state)
    end(state, run_id, status="failed")
    before = read_record(state, run_id)
    report = end(state, run_id, status="ok")
    assert report.headline == "had ended already, failed"
    assert read_record(state, run_id) == before


def test_a_run_that_was_taken_over_does_not_end_well_and_leaves_the_other_alone(state: StateDirectory) -> None:
    first = begin(state)
    second = begin(state, owner="alice", takeover=True)
    report = end(state, first, status="ok")
    assert read_record(state, first)["status"] == "failed"
    assert any("no longer held the host" in warning for warning in report.warnings)
    assert holder(state) == second


def test_the_lease_goes_back_whatever_the_disk_says(state: StateDirectory, tmp_path: Path) -> None:
    run_id = begin(state)
    (tmp_path / "log").mkdir()
    report = end(state, run_id, log_path=str(tmp_path / "log"))
    assert "its lease given back, but cannot write the maintenance log" in str(report.failure)
    assert holder(state) == "" and read_record(state, run_id)["status"] == "ok"


@pytest.mark.parametrize("run_id", ["check-1", ""])
def test_check_mode_ends_nothing(state: StateDirectory, run_id: str) -> None:
    mine = begin(state)
    report = end(state, run_id or mine, check=not run_id)
    assert report.headline == "would end; nothing is written"
    assert holder(state) == mine and read_record(state, mine) == {}


def test_two_shops_do_not_share_a_state_directory_unnoticed(state: StateDirectory, tmp_path: Path) -> None:
    production, staging, moved = (tmp_path / name for name in ("production", "staging", "moved"))
    production.mkdir()
    (tmp_path / "link").symlink_to(production)
    staging.mkdir()
    begun = run.begin({**PARAMS, "shop": str(production)}, state, NOW)
    assert begun.warnings == []
    with pytest.raises(MaintenanceError, match="another run holds this host") as caught:
        run.begin({**PARAMS, "shop": str(staging)}, state, NOW)
    assert str(production) in str(caught.value) and "miniecom_state_dir" in str(caught.value)
    release_lease(state, begun.values["run_id"])
    again = run.begin({**PARAMS, "shop": str(tmp_path / "link")}, state, NOW)
    assert again.warnings == [], "the same shop through a link"
    release_lease(state, again.values["run_id"])
    looked = run.begin_check({**PARAMS, "shop": str(staging)}, state, NOW)
    other = run.begin({**PARAMS, "shop": str(staging)}, state, NOW)
    assert other.warnings == looked.warnings
    (warning,) = other.warnings
    for part in (str(production), str(staging), "miniecom_state_dir"):
        assert part in warning
    release_lease(state, other.values["run_id"])
    staging.rename(moved)
    assert run.begin({**PARAMS, "shop": str(moved)}, state, NOW).warnings == [], "the same shop elsewhere"


def test_a_note_that_cannot_be_written_does_not_keep_a_run_from_its_host(
    state: StateDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(state_dir: str, root: str) -> None:
        raise MaintenanceError("cannot note which shop this serves", target=state_dir, code="ENOSPC")

    monkeypatch.setattr(run, "note_shop", full)
    begun = run.begin({**PARAMS, "shop": str(tmp_path)}, state, NOW)
    assert holder(state) == begun.values["run_id"] and "ENOSPC" in begun.warnings[0]
