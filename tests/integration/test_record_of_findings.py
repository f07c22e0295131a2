# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What audits find stands in the run's record, whole, whether they end well or fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.modules import ModuleResult, run_module

MANY = 230


def begin(state_dir: Path) -> str:
    run = run_module("maintenance_run", {"state": "begun", "state_dir": state_dir})
    assert not run.failed, run.msg
    return str(run.result["run_id"])


def end(state_dir: Path, run_id: str) -> dict[str, Any]:
    run = run_module("maintenance_run", {"state": "ended", "state_dir": state_dir, "run_id": run_id})
    assert not run.failed, run.msg
    return dict(run.result["record"])


def audit(root: Path, state_dir: Path, run_id: str, **params: Any) -> ModuleResult:
    options = {"paths": [str(root)], "docker_socket": [], "state_dir": state_dir, "run_id": run_id}
    return run_module("perm_audit", {**options, **params})


def events(state_dir: Path, run_id: str) -> list[dict[str, Any]]:
    """All but what maintenance_run writes itself."""
    text = (state_dir / "runs" / f"{run_id}.jsonl").read_text()
    return [event for event in map(json.loads, text.splitlines()) if event["event"] not in ("begun", "cleaned")]


def opened(root: Path, name: str) -> None:
    path = root / name
    path.write_text("1;\n")
    path.chmod(0o666)


def test_the_record_has_all_findings(tmp_path: Path) -> None:
    root, state_dir = tmp_path / "shop", tmp_path / "state"
    root.mkdir()
    opened(root, "known.js")
    first = begin(state_dir)
    assert not audit(root, state_dir, first).failed
    ended = events(state_dir, first)[-1]
    assert ended["event"] == "ended"
    [known] = ended["findings"]
    assert known["target"].endswith("known.js") and known["fingerprint"] and known["remediation"]
    end(state_dir, first)

    for number in range(MANY):
        opened(root, f"new{number}.js")
    second = begin(state_dir)
    run = audit(root, state_dir, second)
    assert run.failed and len(run.result["findings"]) == 200 and run.result["counts"]["findings"] == MANY + 1
    failed = events(state_dir, second)[-1]
    assert failed["event"] == "failed"
    assert sum(finding["status"] == "new" for finding in failed["findings"]) == MANY, "the record is not capped"
    [told] = [event for event in end(state_dir, second)["events"] if event["event"] == "failed"]
    assert len(told["findings"]) == 200 and told["counts"]["findings"] == MANY + 1, "the controller's copy is"


def test_the_record_says_what_was_mended_and_how_to_undo_it(tmp_path: Path) -> None:
    root, state_dir = tmp_path / "shop", tmp_path / "state"
    root.mkdir()
    opened(root, "index.js")
    run_id = begin(state_dir)
    run = audit(root, state_dir, run_id, fix=True)
    assert run.changed, run.msg
    recorded = events(state_dir, run_id)
    assert [event["target"] for event in recorded if event["event"] == "end"] == [str(root / "index.js")]
    assert [finding["status"] for finding in recorded[-1]["findings"]] == ["fixed"]
    assert recorded[-1]["undo_id"] == run.result["undo_id"]


def test_check_mode_leaves_no_record(tmp_path: Path) -> None:
    root, state_dir = tmp_path / "shop", tmp_path / "state"
    root.mkdir()
    opened(root, "index.js")
    run = run_module("perm_audit", {"paths": [str(root)], "docker_socket": [], "state_dir": state_dir}, check=True)
    assert not run.failed and not state_dir.exists()
