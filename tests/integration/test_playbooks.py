# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The other playbooks, each run as a person runs it, and each run twice."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.support.playbooks import ROOT, PlaybookRun, run_playbook
from tests.support.sandboxes import Sandbox

INVENTORY = ROOT / "inventories" / "sandbox"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "tasks.jsonl"


def play(name: str, sandbox: Sandbox, log: Path, *arguments: str) -> PlaybookRun:
    return run_playbook(name, INVENTORY, *arguments, log=log, env=sandbox.environment())


def answer(sandbox: Sandbox) -> tuple[int, dict[str, object]]:
    """What a visitor gets from the shop."""
    port = json.loads((sandbox.directory / "sandbox.json").read_text())["ports"]["api"]
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=20) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_the_shop_closes_and_opens_again(native_sandbox: Sandbox, log: Path) -> None:
    play("weekly", native_sandbox, log, "--tags", "prerequisites").assert_ok()
    checked = play(
        "enter_maintenance", native_sandbox, log, "--check", "--diff", "-e", "maintenance_mode_reason='New till'"
    ).assert_ok()
    assert checked.result("maintenance_flag")["changed"]
    assert answer(native_sandbox)[0] == 200, "check mode closes nothing"
    flag = native_sandbox.root / "storage" / ".maintenance"
    assert not flag.exists()

    for again in (False, True):
        entered = play("enter_maintenance", native_sandbox, log, "-e", "maintenance_mode_reason='New till'").assert_ok()
        assert entered.result("maintenance_flag")["changed"] is not again
        status, body = answer(native_sandbox)
        assert (status, body["maintenance"]) == (503, True)
        assert flag.read_text().rstrip("\n").endswith("|New till")

    told = play("maintenance_status", native_sandbox, log).assert_ok()
    assert "New till" in told.result("maintenance_report")["lines"][0]
    assert told.changed() == []

    weekly = play("weekly", native_sandbox, log, "--tags", "health_check").assert_ok()
    assert weekly.result("maintenance_flag_info")["probe"]["state"] == "maintenance", "a closed shop is no failed shop"

    for again in (False, True):
        left = play("exit_maintenance", native_sandbox, log).assert_ok()
        assert left.result("maintenance_flag")["changed"] is not again
        assert answer(native_sandbox)[0] == 200
        assert not flag.exists()


def test_a_run_inside_maintenance_opens_the_shop_again(native_sandbox: Sandbox, log: Path) -> None:
    around = ("--tags", "health_check", "-e", "maintenance_mode_during_run=true")
    run = play("weekly", native_sandbox, log, *around).assert_ok()
    closed = next(task["result"] for task in run.tasks if task["action"].endswith("maintenance_flag_info"))
    assert closed["probe"]["state"] == "maintenance", "the shop was closed meanwhile"
    assert closed["maintenance"]["on_expiry"] == "lift", "it opens by itself should the run be lost"
    assert answer(native_sandbox)[0] == 200
    rows = [step["step"] for step in run.result("maintenance_report")["steps"]]
    assert rows == ["context", "shop closed", "health", "shop opened", "health, open again"], "as it happened"
    asked = [
        task["result"]["probe"]["state"]
        for task in run.tasks
        if task["action"].endswith("maintenance_flag_info") and task["status"] != "skipped"
    ]
    assert asked == ["maintenance", "up"], "once while it was closed, and as a visitor when it was open again"
    failing = play("weekly", native_sandbox, log, *around, "-e", "miniecom_env_file=/nowhere/.env")
    assert failing.rc != 0
    assert answer(native_sandbox)[0] == 200, "also a run that fails leaves it open"


def test_somebody_elses_maintenance_stays(native_sandbox: Sandbox, log: Path) -> None:
    play("enter_maintenance", native_sandbox, log, "-e", "maintenance_mode_owner=alice").assert_ok()
    try:
        refused = play("exit_maintenance", native_sandbox, log, "-e", "maintenance_mode_owner=bob")
        assert refused.rc != 0
        assert "alice" in refused.output
        assert answer(native_sandbox)[0] == 503
    finally:
        play("exit_maintenance", native_sandbox, log, "-e", "maintenance_mode_force=true").assert_ok()
    assert answer(native_sandbox)[0] == 200


@pytest.mark.parametrize("deployment", ["native", "compose"])
def test_the_monthly_run_proves_that_the_backup_restores(
    deployment: str, request: pytest.FixtureRequest, log: Path
) -> None:
    sandbox: Sandbox = request.getfixturevalue(f"{deployment}_sandbox")
    run = play("monthly", sandbox, log).assert_ok()
    restored = run.result("mongo_restore")
    assert "restores" in restored["summary"]["headline"]
    steps = {step["step"]: step for step in run.result("maintenance_report")["steps"]}
    assert {"restore test", "indexes", "dependencies", "orphans"} <= set(steps)
    newest = play("assess", sandbox, log).assert_ok().result("maintenance_report")["lines"][1]
    assert "restored on" in newest


def test_assess_installs_no_packages_whatever_the_method(native_sandbox: Sandbox, log: Path) -> None:
    run = play("assess", native_sandbox, log, "--check", "-e", "prerequisites_method=packages").assert_ok()
    used = {task["action"].rsplit(".", 1)[-1] for task in run.tasks if task["status"] != "skipped"}
    assert "package" not in used
    assert len(run.result("maintenance_report")["lines"]) == 10


@pytest.mark.parametrize("name", ["backup", "security_audit"])
def test_one_job_alone_twice(name: str, native_sandbox: Sandbox, log: Path) -> None:
    play(name, native_sandbox, log, "--limit", "sandbox").assert_ok()
    again = play(name, native_sandbox, log, "--limit", "sandbox").assert_ok()
    assert again.changed() == []


def test_a_compose_host_whose_engine_is_down_fails_and_says_so(compose_sandbox: Sandbox, log: Path) -> None:
    run = play(
        "weekly", compose_sandbox, log, "-e", f"miniecom_docker_host=unix://{compose_sandbox.directory}/run/none.sock"
    )
    assert run.rc != 0
    assert "none.sock" in run.output
    steps = {step["step"]: step["status"] for step in run.result("maintenance_report")["steps"]}
    assert steps["docker clean-up"] == "failed"
    assert steps["permissions"] in ("ok", "changed"), "what does not need the engine goes on"
