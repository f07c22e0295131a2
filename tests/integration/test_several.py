# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of several modules in one process: each with its own options, record and result, whatever becomes of the others."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.modules import run_module

DAY = 86400


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A directory with a log that is old enough to be compressed, and a file that everybody may write to."""
    directory = tmp_path / "shop"
    directory.mkdir()
    log = directory / "ops.log"
    log.write_text("nine days old\n" * 5000)
    os.utime(log, (time.time() - 9 * DAY,) * 2)
    (directory / "open.txt").write_text("")
    (directory / "open.txt").chmod(0o666)
    return directory


def pruning(shop: Path, **more: Any) -> dict[str, Any]:
    return {
        "module": "log_prune",
        "options": {"paths": [str(shop)], "compress_after": "7d", "state_dir": str(shop.parent / "state"), **more},
    }


def auditing(shop: Path, **more: Any) -> dict[str, Any]:
    options = {"paths": [str(shop)], "docker_socket": [], "state_dir": str(shop.parent / "state"), **more}
    return {"module": "perm_audit", "options": options}


def without_times(result: Any) -> Any:
    if isinstance(result, dict):
        return {key: without_times(value) for key, value in result.items() if key not in ("seconds",)}
    return [without_times(item) for item in result] if isinstance(result, list) else result


@pytest.mark.parametrize("check", [True, False], ids=["check mode", "real"])
def test_each_result_is_that_of_the_call_by_itself(shop: Path, check: bool) -> None:
    wanted = [auditing(shop), pruning(shop)]
    run_module("perm_audit", wanted[0]["options"])  # the baseline, and the key of the fingerprints
    alone = {
        call["module"]: run_module(call["module"], call["options"], check=True, diff=True).result for call in wanted
    }
    together = run_module("several", {"calls": wanted}, check=check, diff=True).result
    assert list(together["calls"]) == ["perm_audit", "log_prune"] and together["changed"] is True
    for name, result in together["calls"].items():
        for key in (
            "plan",
            "kept",
            "diff",
            "findings",
            *(["actions", "counts", "summary", "changed"] if check else []),
        ):
            assert without_times(result.get(key)) == without_times(alone[name].get(key)), (name, key)
    assert (shop / "ops.log").exists() is check and (shop / "ops.log.gz").exists() is not check


def test_what_all_have_in_common_is_said_once(shop: Path) -> None:
    common = {"paths": [str(shop)], "state_dir": str(shop.parent / "state")}
    calls = [
        {"module": "perm_audit", "options": {"docker_socket": []}},
        {"module": "log_prune", "options": {"paths": [str(shop / "missing")]}},
    ]
    done = run_module("several", {"calls": calls, "common": common}).result["calls"]
    assert done["perm_audit"]["summary"]["findings_total"] > 0
    assert str(shop / "missing") in done["log_prune"]["msg"], "what stands with a call goes before"
    assert os.listdir(shop.parent / "state")


def test_a_call_that_fails_does_not_keep_the_others_from_being_made(shop: Path) -> None:
    lost = pruning(shop, paths=[str(shop / "missing")])
    done = run_module("several", {"calls": [lost, auditing(shop)]})
    assert done.rc == 0, "the modules' own tasks fail"
    failed, audit = done.result["calls"]["log_prune"], done.result["calls"]["perm_audit"]
    assert failed["failed"] is True and str(shop / "missing") in failed["msg"] and failed["counts"]["actions"] == 0
    assert audit["summary"]["findings_total"] > 0 and "failed" not in audit


def test_it_can_be_the_end_of_it(shop: Path) -> None:
    lost = pruning(shop, paths=[str(shop / "missing")])
    done = run_module("several", {"calls": [lost, auditing(shop)], "stop_on_failure": True})
    assert list(done.result["calls"]) == ["log_prune"]


def test_what_a_module_would_refuse_is_left_to_itself(shop: Path) -> None:
    refused = [
        auditing(shop, fail_on="hihg"),
        {"module": "mongo_compact", "options": {"uri": "mongodb://u:s3cr3t@127.0.0.1"}},
    ]
    done = run_module("several", {"calls": [*refused, pruning(shop)]})
    assert list(done.result["calls"]) == ["log_prune"]
    common = {"uri": "mongodb://u:s3cr3t@127.0.0.1"}
    hidden = run_module("several", {"calls": [{"module": "mongo_compact", "options": {}}], "common": common})
    assert hidden.result["calls"] == {}
    stopped = run_module("several", {"calls": [*refused, pruning(shop)], "stop_on_failure": True})
    assert stopped.result["calls"] == {}


def test_each_call_has_its_own_entries_in_the_record(shop: Path) -> None:
    state = str(shop.parent / "state")
    begun = run_module("maintenance_run", {"state": "begun", "name": "test", "state_dir": state})
    run_id = begun.result["run_id"]
    lost = pruning(shop, paths=[str(shop / "missing")], run_id=run_id)
    run_module("several", {"calls": [lost, auditing(shop, run_id=run_id)]})
    events = [json.loads(line) for line in (shop.parent / "state/runs" / f"{run_id}.jsonl").read_text().splitlines()]
    told = [(event["module"], event["event"]) for event in events]
    assert told[-3:] == [("log_prune", "failed"), ("perm_audit", "planned"), ("perm_audit", "ended")]


def test_a_run_that_lost_the_host_acts_in_none_of_its_calls(shop: Path) -> None:
    gone = "20260101T000000Z-abcdef"
    done = run_module("several", {"calls": [pruning(shop, run_id=gone), auditing(shop, run_id=gone)]})
    assert all(result["lease_lost"] for result in done.result["calls"].values())
    assert (shop / "ops.log").exists()


def test_a_result_that_is_given_is_the_modules(shop: Path) -> None:
    options = pruning(shop)["options"]
    failed = run_module("log_prune", {**options, "given": {"failed": True, "msg": "why", "changed": False}})
    assert failed.rc != 0 and failed.result["msg"] == "why"
    ended = run_module("log_prune", {**options, "given": {"changed": True, "warnings": ["careful"], "summary": {}}})
    assert ended.result["changed"] is True and "careful" in str(ended.result["warnings"])
    assert (shop / "ops.log").exists(), "nothing was done"
