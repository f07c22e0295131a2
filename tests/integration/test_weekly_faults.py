# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a person sees when something is wrong, and that nothing is lost by it. Real servers, real kills."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.catalogue import (
    parse_name,
    read_catalogue,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.retention import (
    Item,
    Policy,
    decide_retention,
)
from tests.conftest import lacking
from tests.integration.test_mongo_live_restore_disk import fill_up
from tests.support.archives import small_archive
from tests.support.extent import EXHAUSTIVE
from tests.support.playbooks import ROOT, PlaybookRun, environment, run_playbook
from tests.support.sandboxes import Sandbox, sandbox_command, switch_off_jobs

INVENTORY = ROOT / "inventories" / "sandbox"
# BACKUP_RETENTION_DAYS, _WEEKS and _MONTHS of the sandbox's environment file.
SHOP_POLICY = Policy(last=1, daily=14, weekly=12, monthly=12)


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


@contextlib.contextmanager
def nothing_verified(sandbox: Sandbox) -> Iterator[Path]:
    """As on a host that has never been maintained: no backup counts as verified, and one is too old to be kept."""
    directory = sandbox.root / "storage" / "backups"
    records = list(directory.glob(".*.verified.json"))
    old = directory / "20200101_020000.tar.gz"
    old.write_bytes(small_archive())
    with tempfile.TemporaryDirectory(dir=sandbox.directory) as aside:
        for record in records:
            record.rename(Path(aside, record.name))
        try:
            yield old
        finally:
            for record in records:
                Path(aside, record.name).rename(record)
            old.unlink(missing_ok=True)


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met"
        time.sleep(0.05)


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@pytest.fixture(scope="module", autouse=True)
def no_jobs(native_sandbox: Sandbox) -> None:
    """No jobs of the shop's own keep backups from being rotated."""
    switch_off_jobs(native_sandbox)


def test_a_wrong_password_fails_what_needs_the_database_and_nothing_else(
    native_sandbox: Sandbox, tmp_path: Path, log: Path
) -> None:
    wrong = changed_env(
        native_sandbox, tmp_path, r"(MONGODB_URI=['\"]?mongodb://[^:\n]+:)[^@\n]+@", r"\g<1>Wr0ng-and-long@"
    )
    with nothing_verified(native_sandbox) as old:
        run = weekly(native_sandbox, *wrong, "-vvv", log=log)
        assert old.exists(), "no backup is removed without a good one"
    assert run.rc != 0
    assert {"backup", "orphans", "backup rotation"} <= failed_steps(run)
    assert statuses(run)["compaction"] == "skipped", "no good backup, no compaction"
    assert statuses(run)["permissions"] in ("ok", "changed"), "what does not need the database goes on"
    assert "AuthenticationFailed" in run.output
    assert "Tried as user 'root'" in run.output
    assert "Wr0ng-and-long" not in run.output
    assert not [secret for secret in native_sandbox.secrets() if secret in run.output]


def test_a_server_that_is_down_is_named_and_the_rest_goes_on(native_sandbox: Sandbox, log: Path) -> None:
    facts = json.loads((native_sandbox.directory / "sandbox.json").read_text())
    os.kill(facts["pids"]["mongod"], signal.SIGTERM)
    wait_for(lambda: not answers(facts["ports"]["mongo"]))
    try:
        with nothing_verified(native_sandbox) as old:
            run = weekly(native_sandbox, log=log)
            assert old.exists(), "no backup is removed without a good one"
    finally:
        sandbox_command("up", "native", native_sandbox.directory)
    assert run.rc != 0
    assert {"health", "backup", "orphans", "health after", "backup rotation"} <= failed_steps(run)
    assert "refused" in run.output
    assert statuses(run)["compaction"] == "skipped"
    assert statuses(run)["old logs"] in ("ok", "changed")
    rows = {step["step"]: step["headline"] for step in run.result("maintenance_report")["steps"]}
    assert "database" in rows["health"], "what is wrong with the shop is said, not that a check failed"


def test_an_unknown_database_makes_no_empty_backup(native_sandbox: Sandbox, tmp_path: Path, log: Path) -> None:
    before = backups(native_sandbox)
    unknown = changed_env(
        native_sandbox, tmp_path, r"(MONGODB_URI=['\"]?mongodb://[^/\n]+/)[A-Za-z_]+", r"\g<1>nowhere"
    )
    run = weekly(native_sandbox, *unknown, log=log)
    assert run.rc != 0
    assert "nowhere" in run.output
    assert "backup" in failed_steps(run)
    assert backups(native_sandbox) == before


def test_a_step_whose_module_refuses_an_option_is_named(native_sandbox: Sandbox, log: Path) -> None:
    """What nobody could know at the begin of the run fails its own step, which then does nothing, and the rest goes on."""
    late = "{{ context_result.context.deployment }}-"
    wrong = json.dumps({"logs_interval": late + "hourly", "security_audit_fail_on": late + "hihg"})
    full = ["disk_check_warn=1", "disk_check_critical=1"]
    run = weekly(native_sandbox, *(argument for value in [wrong, *full] for argument in ("-e", value)), log=log)
    assert run.rc != 0
    checks = ["permissions", "secrets", "ports"]
    assert failed_steps(run) == {"disk", "log rotation", *checks}
    rows = {step["step"]: step["headline"] for step in run.result("maintenance_report")["steps"]}
    assert "native-hourly" in rows["log rotation"]
    assert all("native-hihg" in rows[step] for step in checks), "what was not checked does not look as if it were"
    assert list(rows).index("backup") < list(rows).index("log rotation") < list(rows).index("health after")
    assert rows["disk"].startswith("critical: ")
    assert {"ok", "changed"} >= {statuses(run)[step] for step in ("backup", "compaction", "health after")}


def test_what_fails_in_a_call_for_several_fails_its_own_step(
    native_sandbox: Sandbox, tmp_path: Path, log: Path
) -> None:
    unusable = json.dumps({"logs_optional_directories": [f"{tmp_path}/{'x' * 300}"]})
    run = weekly(native_sandbox, "--tags", "logs", "-e", unusable, log=log)
    assert run.rc != 0
    assert failed_steps(run) == {"log rotation"}
    assert (
        "x" * 300
        in {step["step"]: step["headline"] for step in run.result("maintenance_report")["steps"]}["log rotation"]
    )
    assert [call["action"].rpartition(".")[2] for call in run.host_calls("sandbox")].count("log_rotate") == 0
    nowhere = tmp_path / "missing" / "logrotate.conf"
    run = weekly(native_sandbox, "--tags", "logs", "-e", f"logs_logrotate_configuration={nowhere}", log=log)
    assert run.rc != 0
    assert failed_steps(run) == {"log rotation"}, "and what the module says is in its own row"
    rows = {step["step"]: step["headline"] for step in run.result("maintenance_report")["steps"]}
    assert "missing" in rows["log rotation"]


@pytest.mark.root
def test_room_is_made_for_a_backup_that_does_not_fit(native_sandbox: Sandbox, tmp_path: Path, log: Path) -> None:
    """Old logs on the file system of the backups leave no room: they go first, then the backup is made."""
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m", "miniecom-test", disk], check=False)
    if done.returncode:
        lacking("a file system of our own (mount -t tmpfs)")
    try:
        for directory in ("backups", "logs"):
            (disk / directory).mkdir()
        old = disk / "logs" / "ops-20200101.log"
        old.write_bytes(os.urandom(1 << 20) * 380)
        os.utime(old, (1_577_836_800, 1_577_836_800))
        variables = {"backup_dest": str(disk / "backups"), "logs_directories": [str(disk / "logs")]}
        arguments = ("--tags", "backup,logs,backup_rotate", "-e", json.dumps(variables))
        run = weekly(native_sandbox, *arguments, log=log).assert_ok()
        assert not old.exists() or old.stat().st_size == 0, "logrotate leaves an empty file of that name"
        first = next(task for task in run.tasks if task["action"].endswith("mongo_backup"))
        assert (first["status"], first["result"]["insufficient_space"]) == ("failed", True)
        assert statuses(run)["backup"] == "changed"
        assert "changed" in (statuses(run)["room: log rotation"], statuses(run)["room: old logs"])
        assert len(list((disk / "backups").glob("*.tar.gz"))) == 1
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.root
@pytest.mark.exhaustive
def test_a_full_disk_fails_the_run_in_one_sentence_and_the_backup_before_stays(
    native_sandbox: Sandbox, tmp_path: Path, log: Path
) -> None:
    """Somebody else's files fill it: nothing of ours can make room. What was there of before is still the newest backup."""
    disk = tmp_path / "disk"
    disk.mkdir()
    variables = {"backup_dest": str(disk / "backups"), "backup_fresh_within": "0s"}
    arguments = ("--tags", "backup,logs,backup_rotate", "-e", json.dumps(variables))
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=800m", "miniecom-test", disk], check=False)
    if done.returncode:
        lacking("a file system of our own (mount -t tmpfs)")
    try:
        (disk / "backups").mkdir()
        weekly(native_sandbox, *arguments, log=log).assert_ok()
        before = {path.name: path.read_bytes() for path in (disk / "backups").iterdir()}
        fill_up(disk / "film.mkv")
        run = weekly(native_sandbox, *arguments, log=log)
        assert run.rc != 0
        assert {path.name: path.read_bytes() for path in (disk / "backups").iterdir()} == before
        assert read_catalogue(str(disk / "backups")).backups[0].verified
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
    rows = {step["step"]: step["headline"] for step in run.result("maintenance_report")["steps"]}
    assert failed_steps(run) == {"backup"}
    assert rows["backup"].startswith("not enough space for the backup: 0 B free, about ")
    assert str(disk / "backups") in rows["backup"] and "\n" not in rows["backup"]
    assert "1 of 9 steps failed: backup\n" in run.output
    assert rows["backup rotation"].endswith("kept 1")


def test_what_ends_a_run_is_in_its_record(native_sandbox: Sandbox, log: Path) -> None:
    run = weekly(native_sandbox, "-e", "miniecom_venv=/proc/nothing", log=log)
    assert run.rc != 0
    report = run.result("maintenance_report")
    assert report["failed_steps"] == ["run"]
    assert "/proc/nothing" in report["steps"][-1]["headline"]
    assert json.loads(Path(report["record_path"]).read_text())["status"] == "failed"
    assert json.loads(Path(report["copy"]).read_text())["status"] == "failed"
    assert "**failed**" in (native_sandbox.directory / "state" / "maintenance-log.md").read_text().splitlines()[-2]


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
    playbook = ROOT / "playbooks" / "weekly.yml"
    with open(log.with_suffix(".out"), "wb") as output:
        return subprocess.Popen(
            # Tests that run in the background of a shell ignore Ctrl-C, and what they start would, too.
            ["env", "--default-signal=INT", "ansible-playbook", "-i", str(INVENTORY), str(playbook), *arguments],
            cwd=ROOT,
            env=environment(log, sandbox.environment()),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_for_task(process: subprocess.Popen[bytes], log: Path, action: str, started: bool = False) -> None:
    """Wait until a task of an action has ended, or has started."""
    full = action if "." in action else f"miniecom.maintenance.{action}"
    needle = f'"{"started" if started else "action"}": "{full}"'
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        # Asked before the log is read: what ends after that may have got there in between.
        ended = process.poll() is not None
        if log.exists() and needle in log.read_text(encoding="utf-8"):
            return
        if ended:
            output = log.with_suffix(".out").read_text()
            told = [line for line in output.splitlines() if line.startswith(("fatal:", "ERROR", "[ERROR]"))]
            raise AssertionError(
                f"ended with {process.returncode} before {action}: {' '.join(told)[:1500]}\n{output[-3000:]}"
            )
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


def test_whoever_interrupts_a_run_that_closed_the_shop_opens_it_with_one_command(
    native_sandbox: Sandbox, log: Path
) -> None:
    """Ctrl-C: Ansible ends at once, and no `always` section runs any more."""
    facts = json.loads((native_sandbox.directory / "sandbox.json").read_text())
    health = "http://127.0.0.1:%d/api/health" % facts["ports"]["api"]
    first = log.with_name("interrupted.jsonl")
    process = start_weekly(
        native_sandbox, first, "-e", "maintenance_mode_during_run=true", "-e", "backup_fresh_within=0s"
    )
    wait_for_task(process, first, "mongo_backup", started=True)
    # In the moment that Ansible forks, Python (3.11) throws the interruption away and the run goes on: not before the module works.
    wait_for(lambda: not nobody_works(native_sandbox))
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=120) != 0
    with pytest.raises(urllib.error.HTTPError) as closed:
        urllib.request.urlopen(health, timeout=15)
    assert closed.value.code == 503, "nobody opened it"
    run = run_playbook("exit_maintenance", INVENTORY, log=log, env=native_sandbox.environment()).assert_ok()
    assert run.result("maintenance_flag")["changed"]
    with urllib.request.urlopen(health, timeout=15) as answer:
        assert answer.status == 200


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


def nobody_works(sandbox: Sandbox) -> bool:
    """Whether no module holds the host's lock."""
    lock = sandbox.directory / "state" / "lock"
    if not lock.exists():
        return True
    with lock.open("rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


# A task of each phase: begin, prerequisites, context, health, ... up to the end of the run.
PHASES = [
    "maintenance_run",
    "ansible.builtin.stat",
    "context_info",
    "maintenance_flag_info",
    "disk_usage_info",
    "mongo_backup",
    "docker_prune",
    "log_rotate",
    "log_prune",
    "mongo_compact",
    "mongo_orphans",
    "perm_audit",
    "secret_scan",
    "port_audit",
    "backup_prune",
    "maintenance_report",
]
# Each takes half a minute, and each module's own tests kill it as well: all of them are tried by make test-long.
SAMPLED = ("maintenance_run", "mongo_backup", "mongo_compact", "maintenance_report")
NATIVE = [phase for phase in PHASES if phase != "docker_prune" and (EXHAUSTIVE or phase in SAMPLED)]
COMPOSE = pytest.param("compose", ["mongo_backup", "docker_prune"], marks=pytest.mark.exhaustive)


@pytest.mark.parametrize(("deployment", "phases"), [("native", NATIVE), COMPOSE])
def test_a_controller_killed_in_any_phase_loses_nothing(
    deployment: str, phases: list[str], request: pytest.FixtureRequest, log: Path
) -> None:
    """Each run is killed one phase later than the one before; the last one may finish and clears up after all of them."""
    sandbox: Sandbox = request.getfixturevalue(f"{deployment}_sandbox")
    switch_off_jobs(sandbox)
    sandbox_command("renew", deployment, sandbox.directory)
    before = backups(sandbox)
    for phase in phases:
        killed = log.with_name(f"{phase}.jsonl")
        process = start_weekly(sandbox, killed, "-e", "miniecom_takeover=true", "-e", "backup_fresh_within=0s")
        wait_for_task(process, killed, phase, started=True)
        kill_with_all_below(process)
        # A killed process may sit in the kernel until the disk has answered; so long it still works on the host.
        wait_for(lambda: nobody_works(sandbox))
    last = weekly(sandbox, "-e", "miniecom_takeover=true", log=log).assert_ok()
    assert last.result("maintenance_report")["failed_steps"] == []
    assert list((sandbox.directory / "state" / "leftovers").glob("*.json")) == []
    assert not list((sandbox.root / "storage").rglob("*.miniecom-partial"))
    assert not (sandbox.directory / "state" / "lease.json").exists()
    # Whatever was killed when: of the old backups exactly those are left that the policy keeps.
    left = backups(sandbox)
    verified = {
        entry.name for entry in read_catalogue(str(sandbox.root / "storage" / "backups")).backups if entry.verified
    }
    items = [Item(name, parsed[0], name in verified) for name in before | left if (parsed := parse_name(name))]
    kept = {entry.item.name for entry in decide_retention(items, SHOP_POLICY, datetime.now()) if entry.keep}
    today = datetime.now().strftime("%Y%m%d")
    assert {name for name in kept & before if name < today} <= left
    assert len(left) < len(before), "the rotation took place"
