# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The weekly run on a native sandbox, in the order in which a newcomer would run things."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path

import pytest

from tests.support.playbooks import ROOT, PlaybookRun, run_playbook
from tests.support.sandboxes import Sandbox

INVENTORY = ROOT / "inventories" / "sandbox"

# What the running servers write by themselves, and libraries that the first run installs.
OWN_LIFE = ("mongod", "logs/api", "venv/", "run/", "record/", ".ansible")


# Files that differ after the run in check mode.
differences: set[str] = set()


def snapshot(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Mode, modification time and content of all files but those that live servers write."""
    found = {}
    for directory, _folders, names in os.walk(folder):
        for name in names:
            path = Path(directory, name)
            relative = str(path.relative_to(folder))
            if any(part in relative for part in OWN_LIFE):
                continue
            status = path.lstat()
            content = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(status.st_mode) else ""
            found[relative] = (status.st_mode, status.st_mtime_ns, content)
    return found


def weekly(sandbox: Sandbox, *arguments: str, log: Path) -> PlaybookRun:
    return run_playbook("weekly", INVENTORY, *arguments, log=log, env=sandbox.environment())


@pytest.fixture(scope="module")
def runs(native_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> dict[str, PlaybookRun]:
    """Everything in its order, once; the tests below look at it from their sides."""
    log = tmp_path_factory.mktemp("weekly") / "tasks.jsonl"
    found = {"check_bare": weekly(native_sandbox, "--check", log=log)}
    found["prerequisites"] = weekly(native_sandbox, "--tags", "prerequisites", log=log)
    before = snapshot(native_sandbox.directory)
    found["check"] = weekly(native_sandbox, "--check", "--diff", log=log)
    after = snapshot(native_sandbox.directory)
    differences.update(key for key in {**before, **after} if before.get(key) != after.get(key))
    found["first"] = weekly(native_sandbox, "--diff", log=log)
    found["second"] = weekly(native_sandbox, log=log)
    return found


def test_check_mode_without_libraries_says_how_to_get_them(runs: dict[str, PlaybookRun]) -> None:
    assert runs["check_bare"].rc != 0
    assert "--tags prerequisites" in runs["check_bare"].output


def test_check_mode_changes_nothing_on_the_host(runs: dict[str, PlaybookRun]) -> None:
    runs["check"].assert_ok()
    assert differences == set()
    assert "WOULD" in runs["check"].output


def test_check_mode_predicts_the_first_run(runs: dict[str, PlaybookRun]) -> None:
    for action in ("backup_prune", "log_prune", "mongo_compact"):
        predicted, done = runs["check"].result(action), runs["first"].result(action)
        assert predicted["changed"] == done["changed"], action
        assert {(entry["action"], entry["target"]) for entry in predicted["plan"]} == {
            (entry["action"], entry["target"]) for entry in done["plan"]
        }, action


def test_the_first_run_does_real_work(runs: dict[str, PlaybookRun]) -> None:
    runs["first"].assert_ok()
    compaction = runs["first"].result("mongo_compact")["summary"]
    assert compaction["bytes_freed"] > 50 * 1024**2
    backup = runs["first"].result("mongo_backup")
    assert backup["changed"]
    assert runs["first"].result("backup_prune")["changed"]


def test_the_second_run_has_nothing_to_do(runs: dict[str, PlaybookRun]) -> None:
    runs["second"].assert_ok()
    assert runs["second"].changed() == []
    assert runs["second"].recap["sandbox"]["changed"] == 0
    assert runs["second"].result("mongo_compact")["summary"]["bytes_freed"] == 0


def test_a_run_with_nothing_to_do_is_cheap(runs: dict[str, PlaybookRun]) -> None:
    calls = runs["second"].module_calls("sandbox")
    assert 10 < len(calls) <= 30, [call["task"] for call in calls]


def test_the_record_lies_on_host_and_controller(runs: dict[str, PlaybookRun], native_sandbox: Sandbox) -> None:
    run_id = runs["second"].result("maintenance_report")["run_id"]
    on_host = native_sandbox.directory / "state" / "runs"
    assert (on_host / f"{run_id}.jsonl").is_file()
    copy = json.loads((native_sandbox.directory / "record" / f"sandbox_{run_id}.json").read_text())
    assert copy["status"] == "ok"
    assert {"backup", "compaction", "permissions"} <= {step["step"] for step in copy["steps"]}
    log = (native_sandbox.directory / "state" / "maintenance-log.md").read_text()
    assert log.count("weekly maintenance") >= 2


def test_no_secret_leaves_the_host(runs: dict[str, PlaybookRun], native_sandbox: Sandbox, tmp_path: Path) -> None:
    verbose = weekly(native_sandbox, "-vvv", "--diff", log=tmp_path / "tasks.jsonl").assert_ok()
    texts = {"-vvv output": verbose.output, "results": json.dumps(verbose.tasks)}
    for folder in ("state", "record"):
        for path in (native_sandbox.directory / folder).rglob("*"):
            if path.is_file() and path.stat().st_size < 10**7:
                texts[str(path)] = path.read_text(errors="replace")
    for secret in native_sandbox.secrets():
        for place, text in texts.items():
            assert secret not in text, f"a secret stands in {place}"


def test_the_shop_is_still_well(runs: dict[str, PlaybookRun]) -> None:
    assert runs["second"].result("maintenance_flag_info")["probe"]["state"] == "up"


def test_tags_do_only_their_part(runs: dict[str, PlaybookRun], native_sandbox: Sandbox, tmp_path: Path) -> None:
    run = weekly(native_sandbox, "--tags", "security_audit", log=tmp_path / "tasks.jsonl").assert_ok()
    actions = {call["action"].rsplit(".", 1)[-1] for call in run.module_calls("sandbox")}
    assert {"perm_audit", "secret_scan", "port_audit"} <= actions
    assert not actions & {"mongo_backup", "mongo_compact", "docker_prune", "backup_prune"}
