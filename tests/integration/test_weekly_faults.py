# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a person sees when something is wrong, and that nothing is lost by it. Real servers, real kills."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.playbooks import ROOT, PlaybookRun, environment, run_playbook
from tests.support.sandboxes import Sandbox, sandbox_command

INVENTORY = ROOT / "inventories" / "sandbox"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "tasks.jsonl"


def weekly(sandbox: Sandbox, *arguments: str, log: Path) -> PlaybookRun:
    return run_playbook("weekly", INVENTORY, *arguments, log=log, env=sandbox.environment())


def changed_env(sandbox: Sandbox, tmp_path: Path, pattern: str, replacement: str) -> list[str]:
    """Arguments for a copy of the shop's environment file with one thing changed."""
    text = sandbox.env_file.read_bytes().decode("utf-8", "surrogateescape")
    changed, count = re.subn(pattern, replacement, text)
    assert count, f"nothing matches {pattern}"
    copy = tmp_path / "changed.env"
    copy.write_bytes(changed.encode("utf-8", "surrogateescape"))
    copy.chmod(0o600)
    return ["-e", f"miniecom_env_file={copy}"]


def failed_steps(run: PlaybookRun) -> set[str]:
    return set(run.result("maintenance_report")["failed_steps"])


def statuses(run: PlaybookRun) -> dict[str, str]:
    return {step["step"]: step["status"] for step in run.result("maintenance_report")["steps"]}


def backups(sandbox: Sandbox) -> set[str]:
    return {path.name for path in (sandbox.root / "storage" / "backups").iterdir() if not path.name.startswith(".")}


@pytest.fixture(scope="module", autouse=True)
def libraries(native_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The sandbox has its libraries before the faults begin."""
    log = tmp_path_factory.mktemp("libraries") / "tasks.jsonl"
    weekly(native_sandbox, "--tags", "prerequisites", log=log).assert_ok()


def test_a_wrong_password_fails_what_needs_the_database_and_nothing_else(
    native_sandbox: Sandbox, tmp_path: Path, log: Path
) -> None:
    before = backups(native_sandbox)
    wrong = changed_env(
        native_sandbox, tmp_path, r"(MONGO(?:DB)?_URI=['\"]?mongodb://[^:]+:)[^@]+@", r"\g<1>Wr0ng-and-long@"
    )
    run = weekly(native_sandbox, *wrong, log=log)
    assert run.rc != 0
    assert {"backup", "orphans"} <= failed_steps(run)
    assert statuses(run)["compaction"] == "skipped", "no good backup, no compaction"
    assert statuses(run)["permissions"] in ("ok", "changed"), "what does not need the database goes on"
    assert "AuthenticationFailed" in run.output or "code 18" in run.output
    assert "Wr0ng-and-long" not in run.output
    assert backups(native_sandbox) >= before, "no backup is removed without a good one"


def test_a_server_that_is_down_is_named_and_the_rest_goes_on(
    native_sandbox: Sandbox, tmp_path: Path, log: Path
) -> None:
    down = changed_env(native_sandbox, tmp_path, r"(MONGO(?:DB)?_URI=['\"]?mongodb://[^@]+@[^:/]+:)\d+", r"\g<1>9")
    run = weekly(native_sandbox, *down, log=log)
    assert run.rc != 0
    assert "backup" in failed_steps(run)
    assert "refused" in run.output
    assert statuses(run)["old logs"] in ("ok", "changed")


def test_an_unknown_database_makes_no_empty_backup(native_sandbox: Sandbox, tmp_path: Path, log: Path) -> None:
    before = backups(native_sandbox)
    unknown = changed_env(
        native_sandbox, tmp_path, r"(MONGO(?:DB)?_URI=['\"]?mongodb://[^/]+/)[A-Za-z_]+", r"\g<1>nowhere"
    )
    run = weekly(native_sandbox, *unknown, log=log)
    assert run.rc != 0
    assert "nowhere" in run.output
    assert "backup" in failed_steps(run)
    assert backups(native_sandbox) == before


def test_a_host_without_the_shop_is_refused(native_sandbox: Sandbox, tmp_path: Path, log: Path) -> None:
    run = weekly(native_sandbox, "-e", f"miniecom_root={tmp_path}/nothing", log=log)
    assert run.rc != 0
    assert f"{tmp_path}/nothing" in run.output
    assert {task["action"].rsplit(".", 1)[-1] for task in run.tasks}.isdisjoint({"mongo_backup", "perm_audit"})


def test_an_empty_group_fails(tmp_path: Path, log: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("all:\n  children:\n    miniecom: {}\n  hosts:\n    other:\n      ansible_connection: local\n")
    run = run_playbook("weekly", inventory, log=log)
    assert run.rc != 0
    assert "no host to maintain" in run.output
    assert run.tasks == []


def test_a_host_that_is_down_does_not_hold_up_the_rest(native_sandbox: Sandbox, tmp_path: Path, log: Path) -> None:
    extra = tmp_path / "inventory"
    extra.mkdir()
    (extra / "hosts.yml").write_text(
        "all:\n  children:\n    miniecom:\n      hosts:\n        down:\n          ansible_connection: ssh\n"
        "          ansible_host: 127.0.0.1\n          ansible_port: 9\n"
    )
    run = run_playbook(
        "weekly", INVENTORY, "-i", str(extra), "--tags", "disk_check", log=log, env=native_sandbox.environment()
    )
    assert run.rc != 0
    assert run.recap["down"]["unreachable"] == 1
    assert run.recap["sandbox"]["failed"] == 0
    assert run.result("maintenance_report", "sandbox")["status"] == "ok"


def test_a_second_run_is_refused_while_one_is_going(native_sandbox: Sandbox, log: Path) -> None:
    first = start_weekly(native_sandbox, log.with_name("first.jsonl"), "-e", "backup_fresh_within=0s")
    try:
        wait_for_task(first, log.with_name("first.jsonl"), "context_info")
        run = weekly(native_sandbox, log=log)
        assert run.rc != 0
        assert "another run holds this host" in run.output
        assert "miniecom_takeover=true" in run.output
    finally:
        assert first.wait(timeout=300) == 0, "the first run is not disturbed"


def start_weekly(sandbox: Sandbox, log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    log.unlink(missing_ok=True)
    with open(log.with_suffix(".out"), "wb") as output:
        return subprocess.Popen(
            ["ansible-playbook", "-i", str(INVENTORY), str(ROOT / "playbooks" / "weekly.yml"), *arguments],
            cwd=ROOT,
            env=environment(log, sandbox.environment()),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_for_task(process: subprocess.Popen[bytes], log: Path, action: str, started: bool = False) -> None:
    """Wait until a task of an action has ended, or has started."""
    needle = f'"{"started" if started else "action"}": "miniecom.maintenance.{action}"'
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        if log.exists() and needle in log.read_text(encoding="utf-8"):
            return
        assert process.poll() is None, log.with_suffix(".out").read_text()[-4000:]
        time.sleep(0.02)
    raise AssertionError(f"{action} was not reached")


def descendants(pid: int) -> set[int]:
    """The process ids below a process. Ansible's workers are in sessions of their own, so that a group does not hold them."""
    parents: dict[int, int] = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            parents[int(entry)] = int(Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, seen = {pid}, 0
    while len(found) > seen:
        seen = len(found)
        found |= {child for child, parent in parents.items() if parent in found}
    return found - {pid}


def kill_with_all_below(process: subprocess.Popen[bytes]) -> None:
    """As when the controller's machine loses power: ansible-playbook, its workers and the modules they run.

    All are stopped before the first one is killed: none can start another, or lose its parent and so be missed.
    """
    stopped: set[int] = set()
    while new := {process.pid, *descendants(process.pid)} - stopped:
        for pid in new:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        stopped |= new
    for pid in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


PHASES = [
    "context_info",
    "mongo_backup",
    "docker_prune",
    "log_prune",
    "mongo_compact",
    "perm_audit",
    "secret_scan",
    "backup_prune",
]


@pytest.fixture
def fresh_trouble(native_sandbox: Sandbox) -> Iterator[None]:
    sandbox_command("renew", "native", native_sandbox.directory)
    yield


def test_a_controller_killed_in_any_phase_loses_nothing(
    native_sandbox: Sandbox, fresh_trouble: None, log: Path
) -> None:
    """Each run is killed one phase later than the one before; the last one may finish and clears up after all of them."""
    before = backups(native_sandbox)
    for phase in PHASES:
        if phase == "docker_prune":
            continue  # not applicable on a native host
        killed = log.with_name(f"{phase}.jsonl")
        process = start_weekly(native_sandbox, killed, "-e", "miniecom_takeover=true", "-e", "backup_fresh_within=0s")
        wait_for_task(process, killed, phase, started=True)
        kill_with_all_below(process)
    last = weekly(native_sandbox, "-e", "miniecom_takeover=true", log=log).assert_ok()
    assert last.result("maintenance_report")["failed_steps"] == []
    assert list((native_sandbox.directory / "state" / "leftovers").glob("*.json")) == []
    assert not list((native_sandbox.root / "storage").rglob("*.miniecom-partial"))
    assert not (native_sandbox.directory / "state" / "lease.json").exists()
    newest_before = max(before)
    assert newest_before in backups(native_sandbox) or len(backups(native_sandbox)) >= 36
