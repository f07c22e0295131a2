# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The other playbooks, each run as a person runs it, and each run twice."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pymongo
import pytest
from bson import ObjectId

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.dotenv import load
from tests.conftest import lacking
from tests.integration.test_backup_role import play as play_tasks
from tests.sandbox.fetch import PackagesUnavailable
from tests.sandbox.offsite import offsite_programs
from tests.support.extent import EXHAUSTIVE
from tests.support.modules import run_module
from tests.support.npm_registry import NpmRegistry
from tests.support.playbooks import ROOT, PlaybookRun, run_playbook
from tests.support.sandboxes import Sandbox, switch_off_jobs

INVENTORY = ROOT / "inventories" / "sandbox"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "tasks.jsonl"


def play(name: str, sandbox: Sandbox, log: Path, *arguments: str) -> PlaybookRun:
    return run_playbook(name, INVENTORY, *arguments, log=log, env=sandbox.environment())


def with_offsite_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is run finds rsync, rclone and restic."""
    try:
        monkeypatch.setenv("PATH", f"{offsite_programs()}:{os.environ['PATH']}")
    except PackagesUnavailable as error:
        lacking(f"rsync of Debian: {error}")


def answer(sandbox: Sandbox) -> tuple[int, dict[str, object]]:
    """What a visitor gets from the shop."""
    port = json.loads((sandbox.directory / "sandbox.json").read_text())["ports"]["api"]
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=20) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_the_shop_closes_and_opens_again(native_sandbox: Sandbox, log: Path) -> None:
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


@pytest.mark.parametrize("deployment", ["native", pytest.param("compose", marks=pytest.mark.exhaustive)])
def test_the_monthly_run_proves_that_the_backup_restores(
    deployment: str, request: pytest.FixtureRequest, log: Path
) -> None:
    sandbox: Sandbox = request.getfixturevalue(f"{deployment}_sandbox")
    run = play("monthly", sandbox, log).assert_ok()
    restored = run.result("mongo_restore")
    assert "restores" in restored["summary"]["headline"]
    steps = {step["step"]: step for step in run.result("maintenance_report")["steps"]}
    assert {"restore test", "indexes", "orphans"} <= set(steps)
    # What has newer versions: images, packages of npm, packages of the host.
    assert {"images", "dependencies", "system packages"} <= set(steps)
    newest = play("assess", sandbox, log).assert_ok().result("maintenance_report")["lines"][1]
    assert "restored on" in newest


def test_assess_installs_no_packages_whatever_the_method(native_sandbox: Sandbox, log: Path) -> None:
    run = play("assess", native_sandbox, log, "--check", "-e", "prerequisites_method=packages").assert_ok()
    used = {task["action"].rsplit(".", 1)[-1] for task in run.tasks if task["status"] != "skipped"}
    assert "package" not in used
    temporary = [task["result"] for task in run.tasks if "miniecom-assess-" in str(task["result"].get("path"))]
    # Whoever connects enters it: Mitogen starts its Python before it becomes root.
    assert "0711" in [result.get("mode") for result in temporary]
    lines = run.result("maintenance_report")["lines"]
    # What audits of earlier tests know would stand below an empty line.
    assert [*lines, ""].index("") == 10


@pytest.mark.parametrize("name", ["backup", pytest.param("security_audit", marks=pytest.mark.exhaustive)])
def test_one_job_alone_twice(name: str, native_sandbox: Sandbox, log: Path) -> None:
    play(name, native_sandbox, log, "--limit", "sandbox").assert_ok()
    again = play(name, native_sandbox, log, "--limit", "sandbox").assert_ok()
    assert again.changed() == []


@pytest.mark.exhaustive
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
    with errors.open("a") as handle:
        handle.write("2026-11-29T03:00:00Z [ERROR] till 7 smokes\n" * 9)
    play("daily", native_sandbox, log, "--tags", "logs_errors").assert_ok()
    with errors.open("a") as handle:
        handle.write("2026-11-29T03:00:00Z [ERROR] till 7 smokes\n" * 9)
        handle.write("2026-11-29T03:00:00Z [ERROR] till 7 burns\n" * 3)
    for again in (False, True):
        run = play("daily", native_sandbox, log).assert_ok()
        assert run.changed() == []
        told = rows(run)
        assert list(told) == ["context", "health", "disk", "backup age", "log errors"]
        assert "newest verified one is" in str(told["backup age"]["headline"])
        # What is new comes first, however often the rest is met.
        first = "1 of them new; api.log: [ERROR] till # burns (3); api.log: [ERROR] till # smokes (9)"
        assert (first in str(told["log errors"]["headline"])) is not again
        assert ("[ERROR] till # burns (3)" in " ".join(run.output.split())) is not again, "nor shown by the table"
    old = play("daily", native_sandbox, log, "--tags", "backup_age", "-e", "backup_max_age_hours=0")
    assert old.rc != 0
    assert rows(old)["backup age"]["status"] == "failed"


def test_a_day_tells_how_old_the_copy_off_the_host_is(
    native_sandbox: Sandbox, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_offsite_programs(monkeypatch)
    (tmp_path / "made").mkdir()
    place: tuple[str, ...] = ("-e", f"backup_dest={tmp_path}/made", "-e", f"backup_offsite_target={tmp_path}/place")
    made = ("-e", "backup_offsite_create=true", "-e", "backup_offsite_allow_unencrypted=true")
    play("backup", native_sandbox, log, *place, *made).assert_ok()
    day = play("daily", native_sandbox, log, *place).assert_ok()
    newest = "the newest copy off the host is"
    assert re.search(f"{newest} [^;]+ old, as seen there [^;]+ ago$", str(rows(day)["backup age"]["headline"]))
    assert newest in " ".join(day.output.split()), "on the screen as well"

    ledger = native_sandbox.directory / "state" / "offsite.json"
    known = json.loads(ledger.read_text())
    (ours,) = [entry for entry in known["places"] if entry["path"] == str(tmp_path / "made")]
    ours["started"] = (datetime.now(UTC) - timedelta(days=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for places, told in (
        (known["places"], f"{newest} 10 d old"),
        ([entry for entry in known["places"] if entry is not ours], "no copy off the host is known"),
    ):
        ledger.write_text(json.dumps({**known, "places": places}))
        red = play("daily", native_sandbox, log, "--tags", "backup_age", *place)
        row = rows(red)["backup age"]
        assert red.rc != 0 and row["status"] == "failed"
        assert told in str(row["headline"]) and "one of the last 216 hours is wanted" in str(row["headline"])


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
    refused = [name for name, row in rows(nothing).items() if row["status"] == "failed"]
    assert refused == ["run"], "once, and not by each that might be asked"
    run_id = fixed.result("maintenance_report")["run_id"]
    undone = play("undo", native_sandbox, log, "-e", f"undo_run={run_id}").assert_ok()
    assert rows(undone)["undo"]["status"] == "changed"
    assert env.stat().st_mode & 0o777 == 0o644
    env.chmod(0o600)
    # What was fixed and is there again is news, until it is fixed or waived.
    play("security_audit", native_sandbox, log)
    told = play("security_audit", native_sandbox, log)
    assert told.rc != 0 and rows(told)["permissions"]["status"] == "failed"
    play("fix_permissions", native_sandbox, log).assert_ok()
    assert rows(play("security_audit", native_sandbox, log).assert_ok())["permissions"]["status"] == "ok"


def test_dependencies_are_updated_behind_a_backup_and_given_back(native_sandbox: Sandbox, log: Path) -> None:
    if not shutil.which("npm") or os.geteuid() != 0:
        lacking("npm, and root, who alone can keep what is fetched from the network")
    project = native_sandbox.directory / "till"
    project.mkdir()
    own = {"name": "till", "version": "1.0.0", "dependencies": {"leftpad": "^1.0.0"}, "scripts": {"test": "node ."}}
    (project / "package.json").write_text(json.dumps(own))
    (project / "index.js").write_text("require('leftpad')")
    lock = project / "package-lock.json"
    with NpmRegistry() as registry:
        for version in ("1.0.0", "1.1.0"):
            registry.publish("leftpad", version, {"index.js": ""})
        (project / ".npmrc").write_text(f"registry={registry.address}\n")
        packages = {"": own, "node_modules/leftpad": registry.lock_entry("leftpad", "1.0.0")}
        lock.write_text(json.dumps({"name": "till", "version": "1.0.0", "lockfileVersion": 3, "packages": packages}))
        before = lock.read_bytes()
        wanted = (
            *("--tags", "app_update_dependencies", "-e", json.dumps({"app_update_npm_projects": [str(project)]})),
            *("-e", "app_update_npm_update=minor"),
        )
        checked = play("update", native_sandbox, log, *wanted, "--check", "--diff").assert_ok()
        assert lock.read_bytes() == before and "leftpad 1.0.0 -> 1.1.0" in json.dumps(checked.result("npm_audit"))
        done = play("update", native_sandbox, log, *wanted).assert_ok()
        assert "1 version updated" in str(rows(done)["packages of npm"]["headline"])
        assert rows(done)["backup"]["status"] in ("changed", "ok") and b"1.1.0" in lock.read_bytes()
        run_id = done.result("maintenance_report")["run_id"]
        back = ("--tags", "app_update_dependencies_undo", "-e", f"undo_run={run_id}")
        undone = play("undo", native_sandbox, log, *back, *wanted[2:4]).assert_ok()
        assert lock.read_bytes() == before and rows(undone)["lock files put back"]["status"] == "changed"
    shutil.rmtree(project)


def test_the_shops_own_jobs_are_switched_off_and_given_back(native_sandbox: Sandbox, log: Path) -> None:
    places = {path: path.read_bytes() for path in (native_sandbox.directory / "cron").iterdir()}
    off = play(
        "schedule", native_sandbox, log, "--tags", "schedule_shop_jobs", "-e", "schedule_shop_jobs=off"
    ).assert_ok()
    undo_id = off.result("shop_jobs")["undo_id"]
    assert f"undo_run={undo_id}" in off.result("maintenance_report")["lines"][-1], "it says how to take it back"
    assert {path: path.read_bytes() for path in places} != places
    undone = play("undo", native_sandbox, log, "-e", f"undo_run={undo_id}").assert_ok()
    told = rows(undone)
    assert told["jobs switched on"]["status"] == "changed" and told["undo"]["status"] == "skipped"
    assert {path: path.read_bytes() for path in places} == places


def test_a_quarter_is_reviewed_and_ticks_its_boxes(native_sandbox: Sandbox, log: Path) -> None:
    play("backup", native_sandbox, log).assert_ok()
    run = play("quarterly", native_sandbox, log).assert_ok()
    told = rows(run)
    wanted = [
        "context",
        "health",
        "disk",
        "slow operations",
        "indexes",
        "permissions",
        "secrets",
        "ports",
        "dependencies",
        "system packages",
        "recovery drill",
    ]
    assert list(told) == wanted
    assert "slow operation" in str(told["slow operations"]["headline"])
    boxes = {
        box["id"]: box
        for box in play("checklist", native_sandbox, log).assert_ok().result("maintenance_checklist")["boxes"]
    }
    for name in ("performance_review", "security_review", "recovery_drill"):
        assert not boxes[name]["due"] and boxes[name]["by"].startswith("quarterly review of"), boxes[name]


def test_the_guides_questions_are_answered_and_nothing_is_changed(native_sandbox: Sandbox, log: Path) -> None:
    places = {path: path.read_bytes() for path in (native_sandbox.directory / "cron").iterdir()}
    flag = native_sandbox.root / "storage" / ".maintenance"
    # As the shop's own script does: a file that nothing reads.
    flag.write_text("2026-11-29T03:00:00Z|by hand\n")
    try:
        run = play("diagnose", native_sandbox, log)
    finally:
        flag.unlink()
    assert run.rc != 0 and run.changed() == []
    answers = {
        answer["question"]: answer for answer in run.result("set_fact")["ansible_facts"]["diagnose_answers"]["answers"]
    }
    assert answers["maintenance mode"]["status"] == "PROBLEM"
    assert "the application turns nobody away" in answers["maintenance mode"]["text"]
    assert "enter_maintenance" in answers["maintenance mode"]["next"]
    assert "schedule_shop_jobs=off" in answers["Docker clean-up"]["next"]
    assert {answer["status"] for answer in answers.values()} <= {"ok", "look", "PROBLEM"}
    switch_off_jobs(native_sandbox)
    try:
        play("diagnose", native_sandbox, log, "--check").assert_ok()
    finally:
        for path, content in places.items():
            path.write_bytes(content)


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


def test_an_audit_that_fixes_takes_back_what_the_shop_does_not_bear(
    native_sandbox: Sandbox, log: Path, tmp_path: Path
) -> None:
    env = native_sandbox.root / ".env"
    env.chmod(0o644)
    more = ("-e", "security_audit_fix=true", "-e", f"security_audit_fetch_directory={tmp_path}/logs")
    with health_of(lambda: env.stat().st_mode & 0o044 == 0o044) as url:
        # By its tag alone, as somebody may run it, the shop is asked as well.
        run = play("weekly", native_sandbox, log, "--tags", "security_audit", *more, "-e", f"health_check_url={url}")
    told = rows(run)
    assert run.rc != 0 and env.stat().st_mode & 0o777 == 0o644
    assert told["permissions"]["status"] == "failed" and "given back" in str(told["permissions"]["headline"])
    (logs,) = (tmp_path / "logs").iterdir()
    assert {path.name for path in logs.iterdir()} == {"perm_audit.sarif", "secret_scan.sarif", "port_audit.sarif"}
    assert json.loads((logs / "perm_audit.sarif").read_text())["version"] == "2.1.0"
    with health_of(lambda: True) as url:
        run = play("security_audit", native_sandbox, log, *more, "-e", f"health_check_url={url}")
    assert env.stat().st_mode & 0o777 == 0o600
    assert rows(run)["permissions"]["status"] == "changed"
    env.chmod(0o600)


@contextmanager
def shop_database(sandbox: Sandbox) -> Iterator[Any]:
    with pymongo.MongoClient(load(str(sandbox.env_file))["MONGODB_URI"]) as client:
        yield client.get_default_database()


def stock(database: Any) -> dict[str, dict[str, Any]]:
    return {str(entry["_id"]): entry for entry in database.inventory.find()}


def test_users_of_the_database_and_the_work_of_one_of_them(native_sandbox: Sandbox, log: Path) -> None:
    checked = play("database_users", native_sandbox, log, "--check", "--diff").assert_ok()
    assert checked.result("mongo_users")["changed"]
    made = play("database_users", native_sandbox, log).assert_ok()
    files = [Path(user["file"]) for user in made.result("mongo_users")["users"]]
    assert [path.stat().st_mode & 0o777 for path in files] == [0o600] * 3
    for path in files:
        password = path.read_text().partition(":")[2].partition(":")[2].partition("@")[0]
        assert len(password) > 30 and password not in made.output + log.read_text()
    assert not play("database_users", native_sandbox, log).assert_ok().result("mongo_users")["changed"]
    which = {
        "mongo_maintenance_as": "maintainer",
        "mongo_maintenance_orphans_archive": [
            {"collection": "inventory", "field": "productId", "references": "products"}
        ],
        "mongo_maintenance_orphans_min_age": "1d",
        "mongo_maintenance_orphans_max_percent": 50,
    }
    with shop_database(native_sandbox) as database:
        before, there = stock(database), {entry["_id"] for entry in database.products.find({}, {"_id": 1})}
        lost = {key for key, entry in before.items() if ObjectId(str(entry["productId"])) not in there}
        run = play("database", native_sandbox, log, "-e", json.dumps(which)).assert_ok()
        assert lost and set(stock(database)) == set(before) - lost
        assert rows(run)["orphans archived"]["status"] == "changed", rows(run)
        run_id = run.result("maintenance_report")["run_id"]
        undone = play("undo", native_sandbox, log, "-e", f"undo_run={run_id}").assert_ok()
        assert stock(database) == before and rows(undone)["orphans put back"]["status"] == "changed", rows(undone)
        database.inventory__orphans.drop()
    for module in ("mongo_info", "mongo_compact", "mongo_orphans"):
        result = run.result(module)
        assert result["invocation"]["module_args"]["env_file"].endswith("-maintainer.env")
        assert "may not" not in str(result.get("warnings")), result["warnings"]
    # Nobody can be made to do this as the user who may drop collections.
    refused = play(
        "database", native_sandbox, log, "-e", "mongo_maintenance_as=restorer", "--tags", "mongo_maintenance_info"
    )
    assert refused.rc != 0 and "restorer" in refused.output


def test_indexes_are_rebuilt_where_named_behind_a_backup_and_in_a_closed_shop(
    native_sandbox: Sandbox, log: Path
) -> None:
    with pymongo.MongoClient(load(str(native_sandbox.env_file))["MONGODB_URI"]) as client:
        coupons_used = client.get_default_database().coupons_used
        coupons_used.create_index("token", unique=True)
        coupons_used.insert_many([{"token": f"{number:0500}"} for number in range(8000)])
        client.admin.command("fsync")
        coupons_used.delete_many({"token": {"$gt": f"{500:0500}"}})
        client.admin.command("fsync")
        before = coupons_used.index_information()
        try:
            which = {
                "mongo_maintenance_reindex": ["coupons_used"],
                "mongo_maintenance_validate_collections": ["coupons_used"],
            }
            named = ("--tags", "mongo_maintenance_reindex,mongo_maintenance_validate", "-e", json.dumps(which))
            closed = ("-e", "maintenance_mode_during_run=true", "-e", "mongo_maintenance_validate=foreground")

            refused = play("database", native_sandbox, log, *named, "-e", "mongo_maintenance_validate=background")
            assert refused.rc != 0
            told = rows(refused)
            assert told["indexes rebuilt"]["status"] == "failed" and "enter_maintenance" in refused.output
            assert told["validation"]["status"] == "ok" and "all valid" in str(told["validation"]["headline"])
            unsaved = play("database", native_sandbox, log, *named, *closed, "--skip-tags", "backup").assert_ok()
            for row in ("indexes rebuilt", "validation"):
                assert rows(unsaved)[row]["status"] == "skipped"
                assert "without a verified backup" in str(rows(unsaved)[row]["headline"])

            checked = play("database", native_sandbox, log, "--check", "--diff", *named, *closed).assert_ok()
            assert "would rebuild the indexes of 1 collection" in str(rows(checked)["indexes rebuilt"]["headline"])
            done = play("database", native_sandbox, log, *named, *closed).assert_ok()
            told = rows(done)
            assert told["indexes rebuilt"]["status"] == "changed" and told["validation"]["status"] == "ok", told
            planned = [[entry["target"] for entry in run.result("mongo_reindex")["plan"]] for run in (checked, done)]
            assert planned[0] == planned[1]
            assert done.result("mongo_reindex")["summary"]["bytes"] > 1024 * 1024
            assert coupons_used.index_information() == before and answer(native_sandbox)[0] == 200

            again = play("database", native_sandbox, log, *named).assert_ok()
            assert again.changed() == [] and rows(again)["indexes rebuilt"]["status"] == "ok"
        finally:
            coupons_used.drop()


def test_the_database_alone_and_a_restore_test_alone(native_sandbox: Sandbox, log: Path) -> None:
    play("database", native_sandbox, log).assert_ok()
    again = play("database", native_sandbox, log).assert_ok()
    assert again.changed() == []
    assert list(rows(again)) == ["context", "health", "backup", "compaction", "orphans", "indexes", "health after"]
    tested = play("restore_test", native_sandbox, log).assert_ok()
    assert "restores" in str(rows(tested)["restore test"]["headline"])
    # One that is named, and room that no backup would leave.
    absent = play("restore_test", native_sandbox, log, "-e", "backup_restore_src=/srv/20200101_000000.tar.gz")
    assert absent.rc != 0 and "/srv/20200101_000000.tar.gz" in absent.output
    full = play("backup", native_sandbox, log, "-e", "backup_fresh_within=0", "-e", "backup_min_free=900TiB", "--check")
    assert full.rc != 0 and "900.0 TiB" in full.output, full.output


@pytest.mark.parametrize("deployment", ["native", pytest.param("compose", marks=pytest.mark.exhaustive)])
def test_a_recovery_drill_brings_the_shop_up_beside_itself(
    deployment: str, request: pytest.FixtureRequest, log: Path
) -> None:
    sandbox: Sandbox = request.getfixturevalue(f"{deployment}_sandbox")
    play("backup", sandbox, log).assert_ok()
    before = answer(sandbox)[0]
    run = play("dr_drill", sandbox, log).assert_ok()
    assert run.changed() == []
    summary = run.result("recovery_drill")["summary"]
    assert summary["passed"] and summary["api"] == "up", summary
    assert summary["files"] > 0
    assert "API up" in str(rows(run)["recovery drill"]["headline"])
    assert answer(sandbox)[0] == before == 200
    boxes = play("checklist", sandbox, log).assert_ok().result("maintenance_checklist")["boxes"]
    [drilled] = [box for box in boxes if box["id"] == "recovery_drill"]
    assert drilled["due"] is False and "recovery drill" in drilled["by"]
    late = play("dr_drill", sandbox, log, "-e", "dr_drill_max_recovery_time=0.001s", "-e", "dr_drill_start_api=false")
    assert late.rc != 0
    assert "max_recovery_time" in late.output


@pytest.mark.parametrize("method", ["controller", pytest.param("rsync", marks=pytest.mark.exhaustive)])
def test_a_recovery_drill_from_the_second_place(
    method: str, native_sandbox: Sandbox, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever lies on the host: only the copy and the passphrase on the controller count."""
    for name in ("made", "place", "brought"):
        (tmp_path / name).mkdir()
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("a passphrase of the controller's \n")
    made: tuple[str, ...] = ("-e", f"backup_dest={tmp_path}/made", "-e", f"backup_passphrase_file={passphrase}")
    if method == "controller":
        made += ("-e", "backup_offsite_method=controller", "-e", f"backup_offsite_target={tmp_path}/place")
    play("backup", native_sandbox, log, *made).assert_ok()
    if method == "rsync":
        with_offsite_programs(monkeypatch)
        copy = {"path": f"{tmp_path}/made", "method": "rsync", "target": f"{tmp_path}/place"}
        copied = run_module("backup_offsite", {**copy, "state_dir": f"{tmp_path}/state"})
        assert not copied.failed, copied.msg
    shutil.rmtree(tmp_path / "made")
    place: tuple[str, ...] = ("-e", f"dr_drill_offsite_target={tmp_path}/place")
    place += ("-e", f"dr_drill_offsite_method={method}", "-e", f"dr_drill_passphrase_file={passphrase}")
    run = play("dr_drill", native_sandbox, log, *place, "-vvv").assert_ok()
    assert run.changed() == []
    summary = run.result("recovery_drill")["summary"]
    assert summary["passed"] and summary["path"].endswith(".tar.gz.enc"), summary
    assert not (native_sandbox.directory / "state" / "recovery-drill").exists()
    assert "passphrase of the controller" not in run.output
    wrong = tmp_path / "wrong"
    wrong.write_text("another\n")
    failed = play("dr_drill", native_sandbox, log, *place[:4], "-e", f"dr_drill_passphrase_file={wrong}")
    assert failed.rc != 0
    assert not (native_sandbox.directory / "state" / "recovery-drill").exists()
    if method == "controller" and EXHAUSTIVE:
        bring = {"name": "miniecom.maintenance.backup", "tasks_from": "fetch"}
        variables = {
            "context_state_dir": f"{tmp_path}/state",
            "backup_offsite_method": method,
            "backup_offsite_target": f"{tmp_path}/place",
            "backup_offsite_fetch_dest": f"{tmp_path}/brought",
            "backup_offsite_fetch_owner": "sandbox",
        }
        brought = play_tasks(tmp_path, [{"ansible.builtin.import_role": bring}], variables)
        assert brought.returncode == 0, brought.stdout
        from_there = ("-e", f"backup_dest={tmp_path}/brought", "-e", f"backup_passphrase_file={passphrase}")
        tested = play("restore_test", native_sandbox, log, *from_there).assert_ok()
        assert Path(tested.result("mongo_restore")["summary"]["path"]).parent == tmp_path / "brought"
        assert "restores" in str(rows(tested)["restore test"]["headline"])
