# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The other playbooks, each run as a person runs it, and each run twice."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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
    lines = run.result("maintenance_report")["lines"]
    # What audits of earlier tests know would stand below an empty line.
    assert [*lines, ""].index("") == 10


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


def rows(run: PlaybookRun) -> dict[str, dict[str, object]]:
    return {step["step"]: step for step in run.result("maintenance_report")["steps"]}


def test_a_day_is_told_in_one_table(native_sandbox: Sandbox, log: Path) -> None:
    play("backup", native_sandbox, log).assert_ok()
    errors = native_sandbox.root / "storage" / "logs" / "api.log"
    play("daily", native_sandbox, log, "--tags", "logs_errors").assert_ok()
    with errors.open("a") as handle:
        handle.write("2026-11-29T03:00:00Z [ERROR] till 7 burns\n" * 3)
    for again in (False, True):
        run = play("daily", native_sandbox, log).assert_ok()
        assert run.changed() == []
        told = rows(run)
        assert list(told) == ["context", "health", "disk", "backup age", "log errors"]
        assert "newest verified one is" in str(told["backup age"]["headline"])
        assert ("[ERROR] till # burns (3)" in str(told["log errors"]["headline"])) is not again
    old = play("daily", native_sandbox, log, "--tags", "backup_age", "-e", "backup_max_age_hours=0")
    assert old.rc != 0
    assert rows(old)["backup age"]["status"] == "failed"


def test_maintenance_that_should_be_over_turns_a_day_red(native_sandbox: Sandbox, log: Path) -> None:
    play("enter_maintenance", native_sandbox, log, "-e", "maintenance_mode_timer=none").assert_ok()
    note = native_sandbox.directory / "state" / "maintenance.json"
    try:
        play("maintenance_status", native_sandbox, log).assert_ok()
        note.write_text(json.dumps({**json.loads(note.read_text()), "expires": "2026-01-01T00:00:00Z"}))
        status = play("maintenance_status", native_sandbox, log)
        assert status.rc != 0
        assert "run exit_maintenance" in status.output
        day = play("daily", native_sandbox, log, "--tags", "health_check")
        assert day.rc != 0
        assert rows(day)["health"]["status"] == "failed"
        play("weekly", native_sandbox, log, "--tags", "health_check").assert_ok()
    finally:
        play("exit_maintenance", native_sandbox, log, "-e", "maintenance_mode_force=true").assert_ok()


def test_modes_are_narrowed_and_given_back(native_sandbox: Sandbox, log: Path) -> None:
    env = native_sandbox.root / ".env"
    env.chmod(0o644)
    checked = play("fix_permissions", native_sandbox, log, "--check", "--diff").assert_ok()
    assert checked.result("perm_audit")["changed"]
    assert env.stat().st_mode & 0o777 == 0o644
    fixed = play("fix_permissions", native_sandbox, log).assert_ok()
    assert env.stat().st_mode & 0o777 == 0o600
    assert "undo" not in rows(fixed)
    again = play("fix_permissions", native_sandbox, log).assert_ok()
    assert again.changed() == []
    nothing = play("undo", native_sandbox, log)
    assert nothing.rc != 0
    assert "undo_run=" in nothing.output
    run_id = fixed.result("maintenance_report")["run_id"]
    undone = play("undo", native_sandbox, log, "-e", f"undo_run={run_id}").assert_ok()
    assert rows(undone)["undo"]["status"] == "changed"
    assert env.stat().st_mode & 0o777 == 0o644
    env.chmod(0o600)


@contextmanager
def health_of(well: Callable[[], bool]) -> Iterator[str]:
    """A health endpoint of a shop that is well as long as a condition holds."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"status": "ok", "mongoConnected": True}).encode()
            self.send_response(200 if well() else 500)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body if well() else b"{}")

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Health) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/api/health"
        finally:
            server.shutdown()
            thread.join()


def test_a_fix_that_the_shop_does_not_bear_is_taken_back(native_sandbox: Sandbox, log: Path) -> None:
    env = native_sandbox.root / ".env"
    env.chmod(0o644)
    with health_of(lambda: env.stat().st_mode & 0o044 == 0o044) as url:
        run = play("fix_permissions", native_sandbox, log, "-e", f"health_check_url={url}")
    assert run.rc != 0
    told = rows(run)
    assert (told["permission fix"]["status"], told["health after"]["status"]) == ("changed", "failed")
    assert told["undo"]["status"] == "changed"
    assert env.stat().st_mode & 0o777 == 0o644
    env.chmod(0o600)


def test_the_database_alone_and_a_restore_test_alone(native_sandbox: Sandbox, log: Path) -> None:
    play("database", native_sandbox, log).assert_ok()
    again = play("database", native_sandbox, log).assert_ok()
    assert again.changed() == []
    assert list(rows(again)) == ["context", "health", "backup", "compaction", "orphans", "indexes", "health after"]
    tested = play("restore_test", native_sandbox, log).assert_ok()
    assert "restores" in str(rows(tested)["restore test"]["headline"])
