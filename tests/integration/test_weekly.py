# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The weekly run on both kinds of sandbox, in the order in which a newcomer would run things."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.conftest import raised
from tests.support.extent import EXHAUSTIVE
from tests.support.playbooks import ROOT, PlaybookRun, run_playbook
from tests.support.sandboxes import Sandbox, switch_off_jobs

INVENTORY = ROOT / "inventories" / "sandbox"

# What the running servers write by themselves, and libraries that the first run installs.
OWN_LIFE = (
    *("mongo/", "log/", "venv/", "run/", "record/", "engine/"),
    # The API notes each of its starts and answers.
    "opt/miniecom/storage/logs/api.log",
)


# The modules that act on Docker, by deployment.
DOCKER = {"native": (), "compose": ("docker_prune",)}


def snapshot(directory: Path) -> dict[str, tuple[int, int, str]]:
    """Mode, modification time and content of all files but those that live servers write."""
    found = {}
    for parent, _directories, names in os.walk(directory):
        for name in names:
            path = Path(parent, name)
            relative = str(path.relative_to(directory))
            if relative.startswith(OWN_LIFE):
                continue
            status = path.lstat()
            content = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(status.st_mode) else ""
            found[relative] = (status.st_mode, status.st_mtime_ns, content)
    return found


def weekly(sandbox: Sandbox, *arguments: str, log: Path) -> PlaybookRun:
    return run_playbook("weekly", INVENTORY, *arguments, log=log, env=sandbox.environment())


@dataclass
class Story:
    """What was run on one sandbox, in order, and what it left."""

    sandbox: Sandbox
    runs: dict[str, PlaybookRun]
    touched_by_check: set[str]

    def __getitem__(self, name: str) -> PlaybookRun:
        return self.runs[name]


DEPLOYMENTS = ["native", "compose"]
# What each deployment tells alike is looked at in a run of one of them; in make test-long of both.
alike = pytest.mark.parametrize("bare_sandbox", DEPLOYMENTS if EXHAUSTIVE else DEPLOYMENTS[:1], indirect=True)


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def bare_sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A sandbox that nobody has maintained yet."""
    yield from raised(request.param, bare=True)


@pytest.fixture(scope="module")
def story(bare_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Everything in its order, once; the tests below look at it from their sides."""
    sandbox = bare_sandbox
    log = tmp_path_factory.mktemp("weekly") / "tasks.jsonl"
    runs = {"check_bare": weekly(sandbox, "--check", log=log)}
    runs["prerequisites"] = weekly(sandbox, "--tags", "prerequisites", log=log)
    before = snapshot(sandbox.directory)
    runs["check"] = weekly(sandbox, "--check", "--diff", log=log)
    after = snapshot(sandbox.directory)
    runs["first"] = weekly(sandbox, "--diff", log=log)
    runs["second"] = weekly(sandbox, log=log)
    # The shop's crontab ends in a rotation of its own. Whoever heeds what the run says of it gets ours.
    switch_off_jobs(sandbox, runs["second"].result("context_info")["context"]["blocking_jobs"])
    runs["rotation_check"] = weekly(sandbox, "--check", "--tags", "backup_rotate", log=log)
    runs["rotation"] = weekly(sandbox, "--tags", "backup_rotate", log=log)
    return Story(sandbox, runs, {key for key in {**before, **after} if before.get(key) != after.get(key)})


def test_check_mode_without_libraries_says_how_to_get_them(story: Story) -> None:
    assert story["check_bare"].rc != 0
    output = " ".join(story["check_bare"].output.split())
    command = f"ansible-playbook playbooks/prerequisites.yml -i {INVENTORY.relative_to(ROOT)} --limit sandbox"
    assert command in output


def test_check_mode_changes_nothing_on_the_host(story: Story) -> None:
    story["check"].assert_ok()
    assert story.touched_by_check == set()
    assert "would change" in story["check"].output


def test_check_mode_predicts_the_first_run(story: Story) -> None:
    acting = ("backup_prune", "log_prune", "mongo_compact", *DOCKER[story.sandbox.deployment])
    pairs = [(action, "check", "first") for action in acting] + [("backup_prune", "rotation_check", "rotation")]
    for action, check, real in pairs:
        predicted, done = story[check].result(action), story[real].result(action)
        assert predicted["changed"] == done["changed"], action
        assert {(entry["action"], entry["target"]) for entry in predicted["plan"]} == {
            (entry["action"], entry["target"]) for entry in done["plan"]
        }, action


def test_the_first_run_does_real_work(story: Story) -> None:
    story["first"].assert_ok()
    compaction = story["first"].result("mongo_compact")["summary"]
    assert compaction["bytes_freed"] > 50 * 1024**2
    backup = story["first"].result("mongo_backup")
    assert backup["changed"]
    for action in DOCKER[story.sandbox.deployment]:
        assert story["first"].result(action)["summary"]["bytes_freed"] > 0


def test_a_shop_that_rotates_by_itself_is_told_so_and_nothing_is_removed_beside_it(story: Story) -> None:
    crontab = story.sandbox.directory / "cron" / "root"
    for run in (story["check"], story["first"], story["second"]):
        jobs = run.result("context_info")["context"]["blocking_jobs"]
        assert f"{crontab}:2 (backup.sh, rotate_backups.sh, find -delete)" in jobs
        rotation = run.result("backup_prune")
        assert not rotation["changed"] and rotation["summary"]["blocked"]
        assert {finding["target"] for finding in rotation["findings"]} == set(jobs)
    row = next(
        step for step in story["second"].result("maintenance_report")["steps"] if step["step"] == "backup rotation"
    )
    assert (row["status"], row["findings"], row["findings_total"]) == ("ok", None, len(jobs)), "said, and not as news"
    assert row["headline"].startswith("removed nothing: ") and "Switch them off" in row["headline"]
    assert f"{crontab}:2" in story["second"].output.rpartition("Findings:")[2], "below the table as well"


def test_backups_are_rotated_once_the_shop_does_not(story: Story) -> None:
    story["rotation"].assert_ok()
    assert story["rotation"].result("context_info")["context"]["blocking_jobs"] == []
    summary = story["rotation"].result("backup_prune")["summary"]
    assert summary["removed"] > 300 and not summary["blocked"]
    left = list((story.sandbox.root / "storage" / "backups").glob("*.tar.gz"))
    assert len(left) == summary["kept"] > 30
    assert story["first"].result("mongo_backup")["path"] in {str(path) for path in left}


def test_the_second_run_has_nothing_to_do(story: Story) -> None:
    story["second"].assert_ok()
    assert story["second"].changed() == []
    assert story["second"].recap["sandbox"]["changed"] == 0
    for action in ("mongo_compact", *DOCKER[story.sandbox.deployment]):
        assert story["second"].result(action)["summary"]["bytes_freed"] == 0


def test_a_run_with_nothing_to_do_is_cheap(story: Story) -> None:
    calls = story["second"].host_calls("sandbox")
    most = 12 if story.sandbox.deployment == "native" else 15
    assert len(calls) <= most, [call["task"] for call in calls]


def test_the_record_lies_on_host_and_controller(story: Story) -> None:
    run_id = story["second"].result("maintenance_report")["run_id"]
    on_host = story.sandbox.directory / "state" / "runs"
    assert (on_host / f"{run_id}.jsonl").is_file()
    copy = json.loads((story.sandbox.directory / "record" / f"sandbox_{run_id}.json").read_text())
    assert copy["status"] == "ok"
    assert {"backup", "compaction", "permissions"} <= {step["step"] for step in copy["steps"]}
    log = (story.sandbox.directory / "state" / "maintenance-log.md").read_text()
    assert log.count("- Weekly maintenance: ok") >= 2


def test_the_record_tells_what_was_found(story: Story) -> None:
    report = story["second"].result("maintenance_report")
    events = (story.sandbox.directory / "state" / "runs" / f"{report['run_id']}.jsonl").read_text()
    copy = (story.sandbox.directory / "record" / f"sandbox_{report['run_id']}.json").read_text()
    for text in (events, copy):
        for part in ("privkey.pem", "payments.js", '"fingerprint"', "inventory.productId"):
            assert part in text, part
    steps = {step["step"]: step for step in report["steps"]}
    assert steps["permissions"]["findings"] == 0 < steps["permissions"]["findings_total"]
    assert steps["orphans"]["findings_total"] > 0
    # What is known is counted, and the command that lists it is told.
    found = {step["step"]: step["found"] for step in json.loads(copy)["steps"]}
    for finding in found["permissions"]["findings"]:
        assert f"[{finding['id']}]" not in story["second"].output
    assert f"{len(found['permissions']['findings'])} known (" in story["second"].output
    assert "playbooks/waive.yml -i " in story["second"].output
    baseline = next(line for line in story["first"].output.splitlines() if "baseline: " in line)
    assert "they will not fail later runs" in " ".join(story["first"].output.split())
    assert " high" in baseline and "known (" not in story["first"].output
    entries = (story.sandbox.directory / "state" / "maintenance-log.md").read_text().split("- Weekly maintenance")
    [log] = [entry for entry in entries if f"(run {report['run_id']} " in entry]
    assert "- Permissions: " in log and "- Orphans: " in log
    assert "- Backup rotation: removed nothing: " in log


@alike
def test_no_secret_leaves_the_host(story: Story, tmp_path: Path) -> None:
    verbose = weekly(story.sandbox, "-vvv", "--diff", log=tmp_path / "tasks.jsonl").assert_ok()
    texts = {"-vvv output": verbose.output, "results": json.dumps(verbose.tasks)}
    for directory in ("state", "record"):
        for path in (story.sandbox.directory / directory).rglob("*"):
            if path.is_file() and path.stat().st_size < 10**7:
                texts[str(path)] = path.read_text(errors="replace")
    for secret in story.sandbox.secrets():
        for place, text in texts.items():
            assert secret not in text, f"a secret stands in {place}"


def test_the_shop_is_still_well(story: Story) -> None:
    assert story["second"].result("maintenance_flag_info")["probe"]["state"] == "up"


@alike
def test_tags_do_only_their_part(story: Story, tmp_path: Path) -> None:
    run = weekly(story.sandbox, "--tags", "security_audit", log=tmp_path / "tasks.jsonl").assert_ok()
    actions = {call["action"].rsplit(".", 1)[-1] for call in run.module_calls("sandbox")}
    assert {"perm_audit", "secret_scan", "port_audit"} <= actions
    assert not actions & {"mongo_backup", "mongo_compact", "docker_prune", "backup_prune"}


def test_docker_is_never_skipped_in_silence(story: Story) -> None:
    steps = {step["step"]: step for step in story["second"].result("maintenance_report")["steps"]}
    if story.sandbox.deployment == "native":
        assert steps["docker clean-up"]["status"] == "skipped"
        assert "not applicable" in steps["docker clean-up"]["headline"]
        assert "not applicable" in steps["images"]["headline"]
    else:
        assert steps["docker clean-up"]["status"] == "ok"
        # Which images have newer versions is told each week; all of the sandbox's are built here.
        assert steps["images"]["status"] == "ok" and "no registry was asked" in steps["images"]["headline"]


@alike
def test_assess_prints_ten_lines_and_leaves_nothing(story: Story, tmp_path: Path) -> None:
    before = snapshot(story.sandbox.directory)
    run = run_playbook(
        "assess", INVENTORY, log=tmp_path / "tasks.jsonl", env=story.sandbox.environment(), timeout=300
    ).assert_ok()
    assert run.changed() == []
    lines = run.result("maintenance_report")["lines"]
    # Below the ten, what the audits know.
    assert lines[10] == "" and lines[11] == f"{len(lines) - 12} known findings, for which no run fails:"
    assert len(lines) > 12 and all(
        re.fullmatch(r"  (low|medium|high|critical) +\S.* \[\S+\]", line) for line in lines[12:]
    )
    lines = lines[:10]
    assert "verified" in lines[1]
    assert not any("unknown:" in line for line in lines), lines
    assert snapshot(story.sandbox.directory) == before
    made = next(task["result"]["path"] for task in run.tasks if task["action"].endswith("tempfile"))
    assert not Path(made).exists()
