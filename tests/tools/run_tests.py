# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The driver of ``make test``: runs every check and test, three stages at a time, and says what took how long.

``python -m tests.tools.run_tests`` runs all stages, with names only those; ``--list`` shows them. Each stage writes a log of
its own below .cache/logs. The last line is ``<N> passed, <M> failed``; the exit status is 1 when anything failed. A machine whose
/dev/null is none begins no stage; where it becomes so in a run, that is a failure of its own.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.tools.null_device import null_device_trouble

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / ".cache" / "logs"
BIN = Path(sys.executable).parent
HEARTBEAT = 30
STAGE_TIMEOUT = 60 * 60
TAIL_LINES = 60
FAILURE_WIDTH = 400


@dataclass
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0


@dataclass
class Stage:
    """What to run: commands one after another, all of them even if one fails."""

    name: str
    commands: list[list[str]]
    # reads the number of tests out of the log; by default each command is one
    count: Callable[[Stage, list[int]], Count] | None = None
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        return LOGS / f"{self.name}.log"

    @property
    def junit(self) -> Path:
        return LOGS / f"{self.name}.xml"


@dataclass
class Outcome:
    stage: Stage
    count: Count
    seconds: float
    note: str = ""
    # the last line of each command that failed
    complaints: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return self.count.failed == 0 and self.count.passed > 0


# Integration tests in stages, the longest first: those of backups, those of MongoDB's modules, which run on several
# servers, those that need Docker, those of updates, those of maintenance mode, alerts and schedules, and those that raise
# whole sandboxes and run whole playbooks, each stage with servers and sandboxes of its own. All others are a stage as well.
PARTS = {
    "integration-maintenance": (
        "test_alerts_*.py",
        "test_maintenance_*.py",
        "test_mode_*.py",
        "test_schedule*.py",
        "test_shop_jobs.py",
    ),
    "integration-journeys": ("test_delivery.py", "test_playbooks*.py", "test_sandbox_*.py"),
    "integration-mongo": ("test_mongo_*.py",),
    "integration-faults": ("test_weekly_faults.py",),
    "integration-updates": (
        "test_compose_*.py",
        "test_npm_*.py",
        "test_os_packages.py",
        "test_restore_in_*.py",
        "test_update_*.py",
    ),
    "integration-weekly": ("test_weekly.py",),
    "integration-backup": ("test_backup_*.py", "test_recovery_drill.py", "test_restore_playbook.py"),
    "integration-docker": ("test_context_*.py", "test_docker_*.py", "test_engine_*.py"),
}

# Molecule runs from the checkout, keeps its files in it, and does not know the checkout's ansible.cfg.
MOLECULE = {
    "MOLECULE_PROJECT_DIRECTORY": str(ROOT),
    "XDG_CACHE_HOME": str(ROOT / ".cache" / "xdg"),
    "ANSIBLE_HOME": str(ROOT / ".cache" / "ansible-home"),
    "ANSIBLE_CONFIG": "",
    "NO_COLOR": "1",
}


# -- the stages ---------------------------------------------------------------------------------------------------------


def _module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", name, *arguments]


def _program(name: str, *arguments: str) -> list[str]:
    return [str(BIN / name), *arguments]


def _pytest(name: str, *arguments: str) -> Stage:
    junit = [
        "--junitxml",
        str(LOGS / f"{name}.xml"),
        "-o",
        "junit_family=xunit2",
        "--durations=15",
        "--durations-min=1",
    ]
    return Stage(name, [_module("pytest", "-v", *junit, *arguments)], count=count_junit)


def stages() -> list[Stage]:
    """All stages. The longest begins first; beside it the quick ones come before the long, so that they are told early."""
    integration = sorted((ROOT / "tests" / "integration").glob("test_*.py"))
    parts = {
        name: [path for path in integration if any(path.match(pattern) for pattern in patterns)]
        for name, patterns in PARTS.items()
    }
    taken = {path for paths in parts.values() for path in paths}
    longest, *others = [_pytest(name, *map(str, paths)) for name, paths in parts.items()]
    found = [
        longest,
        Stage("ruff", [_program("ruff", "check", "."), _program("ruff", "format", "--check", ".")]),
        _pytest("unit", "tests/unit"),
        Stage("mypy", mypy_commands()),
        Stage("yamllint", [_program("yamllint", "--strict", ".")]),
        Stage("docs", [list(command) for command in docs_commands()]),
        Stage(
            "ansible-lint",
            [_program("ansible-lint", "--offline", "--profile", "production", "-q", "--nocolor")],
            # The playbooks refuse an inventory without hosts, also when only their syntax is checked.
            environment={"ANSIBLE_INVENTORY": str(ROOT / "inventories" / "sandbox")},
        ),
        Stage("sanity", [_module("tests.tools.sanity")], count=count_sanity),
        _pytest("integration-modules", *(str(path) for path in integration if path not in taken)),
        *others,
    ]
    for scenario in [] if lacks_molecule() else molecule_scenarios():
        command = _program("molecule", "--base-config", "molecule/config.yml", "test", "--scenario-name", scenario)
        found.append(Stage(f"molecule-{scenario}", [command], count=count_molecule, environment=MOLECULE))
    return found


def mypy_commands() -> list[list[str]]:
    """Plugins as their targets' old Python sees them, the rest as the controller's does."""
    plugins = ["-p", "ansible_collections.miniecom.maintenance.plugins"]
    return [_module("mypy", *plugins), _module("mypy", "--python-version", "3.11", "-p", "tests")]


def docs_commands() -> Iterator[list[str]]:
    yield _program("antsibull-docs", "lint-collection-docs", "--plugin-docs", "--skip-rstcheck", str(ROOT))
    if (ROOT / "changelogs" / "config.yaml").exists():
        yield _program("antsibull-changelog", "lint")
        yield _module("tests.tools.changelog", "--check")
    if (ROOT / "tests" / "tools" / "role_docs.py").exists():
        yield _module("tests.tools.role_docs", "--check")


def lacks_molecule() -> str:
    """Why molecule cannot run here; in CI it must, whatever the reason."""
    if os.environ.get("CI"):
        return ""
    if os.geteuid() != 0:
        return "molecule: a private Docker Engine needs root: run make test as root"
    return "" if shutil.which("ssh") else "molecule: no ssh here: sudo apt-get install openssh-client"


def molecule_scenarios() -> list[str]:
    return sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml"))


# -- counting -----------------------------------------------------------------------------------------------------------


def count_junit(stage: Stage, statuses: list[int]) -> Count:
    """Tests as pytest counted them; a run that ended badly without a failed test counts as one failure."""
    count = Count()
    if stage.junit.exists():
        for suite in ElementTree.parse(stage.junit).getroot().iter("testsuite"):
            failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            count.failed += failed
            count.skipped += int(suite.get("skipped", 0))
            count.passed += int(suite.get("tests", 0)) - failed - int(suite.get("skipped", 0))
    if any(statuses) and not count.failed:
        count.failed = 1
    return count


def count_sanity(stage: Stage, statuses: list[int]) -> Count:
    """One for each sanity test; "All targets skipped" is no success."""
    text = stage.log.read_text(encoding="utf-8", errors="replace")
    ran = len(re.findall(r'^Running sanity test "', text, re.MULTILINE))
    failed = len(set(re.findall(r"^ERROR: Found \d+ ([a-z0-9-]+) issue", text, re.MULTILINE)))
    if (any(statuses) or not ran) and not failed:
        failed = 1
    return Count(passed=max(ran - failed, 0), failed=failed)


def count_molecule(stage: Stage, statuses: list[int]) -> Count:
    """One for each step of the scenario, and one for each of its tests."""
    text = stage.log.read_text(encoding="utf-8", errors="replace")
    scenario = stage.name.removeprefix("molecule-")
    steps = re.findall(rf"^{scenario} > (\w+): Executed: (\w+)", text, re.MULTILINE)
    count = Count(passed=sum(result == "Successful" for _, result in steps))
    for number, kind in re.findall(r"(\d+) (passed|failed|error)\b.* in [\d.]+s", text):
        if kind == "passed":
            count.passed += int(number)
    # A scenario without tests of its result proves nothing.
    tested = re.search(r"^=+ .*\d+ passed.* =+$", text, re.MULTILINE)
    if any(statuses) or not tested:
        count.failed = max(1, sum(result == "Failed" for _, result in steps))
    return count


def count_commands(statuses: list[int]) -> Count:
    return Count(passed=statuses.count(0), failed=len(statuses) - statuses.count(0))


# -- running ------------------------------------------------------------------------------------------------------------


class Driver:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._stopped = False
        # Stages that have begun and not ended.
        self._begun: list[str] = []
        # What was found to be wrong with the machine after a stage, with the stages in which it came about.
        self.trouble = ""

    def say(self, text: str) -> None:
        with self._lock:
            print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)

    def run(self, stage: Stage) -> Outcome:
        with self._lock:
            self._begun.append(stage.name)
        try:
            return self._run(stage)
        finally:
            self._look_at_machine(stage)

    def _look_at_machine(self, ended: Stage) -> None:
        with self._lock:
            if not self.trouble and (found := null_device_trouble()):
                self.trouble = f"{found} (it became so while these ran: {', '.join(self._begun)})"
                print(self.trouble, flush=True)
            self._begun.remove(ended.name)

    def _run(self, stage: Stage) -> Outcome:
        stage.log.parent.mkdir(parents=True, exist_ok=True)
        stage.junit.unlink(missing_ok=True)
        self.say(f"{stage.name} begins")
        started = time.monotonic()
        statuses: list[int] = []
        complaints: list[str] = []
        with stage.log.open("wb") as log:
            for command in stage.commands:
                if self._stopped:
                    break
                log.write(f"$ {' '.join(command)}\n".encode())
                log.flush()
                statuses.append(self._execute(stage, command, log, started))
                if statuses[-1]:
                    complaints.append(last_line(stage.log))
        count = stage.count(stage, statuses) if stage.count else count_commands(statuses)
        outcome = Outcome(stage, count, time.monotonic() - started, complaints=complaints)
        if outcome.ok:
            self.say(f"{stage.name} passed ({describe(count)}) in {outcome.seconds:.0f} s")
        else:
            outcome.note = os.path.relpath(stage.log, ROOT)
            self.say(f"{stage.name} FAILED ({describe(count)}) in {outcome.seconds:.0f} s: the end of {outcome.note}:")
            with self._lock:
                print(tail(stage.log), flush=True)
        return outcome

    def _execute(self, stage: Stage, command: list[str], log: object, started: float) -> int:
        environment = {**os.environ, **stage.environment}
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,  # type: ignore[call-overload]
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        with self._lock:
            self._running[stage.name] = process
        try:
            while True:
                try:
                    return int(process.wait(HEARTBEAT))
                except subprocess.TimeoutExpired:
                    seconds = time.monotonic() - started
                    if seconds > STAGE_TIMEOUT:
                        self.say(f"{stage.name} takes longer than {STAGE_TIMEOUT // 60} minutes and is ended")
                        end(process)
                        return 124
                    self.say(f"{stage.name} at {seconds:.0f} s: {last_line(stage.log)}")
        finally:
            with self._lock:
                del self._running[stage.name]

    def stop(self) -> None:
        """End all that runs; nothing further begins."""
        self._stopped = True
        with self._lock:
            running = list(self._running.values())
        for process in running:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a stage with all it started: politely first, so that servers and containers are cleared away."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(30)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
        else:
            return


def tail(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(f"    | {line}" for line in lines[-TAIL_LINES:])


def last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:110] if lines else ""


def describe(count: Count) -> str:
    parts = [f"{count.passed} passed"]
    parts += [f"{count.failed} failed"] if count.failed else []
    parts += [f"{count.skipped} skipped"] if count.skipped else []
    return ", ".join(parts)


def not_tested(outcomes: list[Outcome]) -> list[str]:
    """What pytest skipped because the machine lacks something."""
    lines: set[str] = set()
    for outcome in outcomes:
        if outcome.stage.junit.exists():
            for skipped in ElementTree.parse(outcome.stage.junit).getroot().iter("skipped"):
                message = skipped.get("message", "")
                if "NOT TESTED: " in message:
                    lines.add(message.partition("NOT TESTED: ")[2])
    return sorted(lines)


def left_out(outcomes: list[Outcome]) -> int:
    """How many tests were left to ``make test-long``, as pytest counted them."""
    ends = [last_line(outcome.stage.log) for outcome in outcomes if outcome.stage.junit.exists()]
    return sum(int(number) for end in ends for number in re.findall(r"(\d+) deselected", end))


def failures(outcomes: list[Outcome]) -> list[str]:
    """Each failed test with the place and the first words of its failure: the end of the output is what people see first."""
    lines = []
    for outcome in outcomes:
        named = 0
        if outcome.stage.junit.exists():
            for case in ElementTree.parse(outcome.stage.junit).getroot().iter("testcase"):
                for kind in ("failure", "error"):
                    if (found := case.find(kind)) is not None:
                        named += 1
                        test = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name', '')}"
                        places = re.findall(r"^([\w./-]+\.py:\d+): ", found.text or "", re.MULTILINE)
                        message = " ".join(found.get("message", "").split())
                        place = f" at {places[-1]}" if places else ""
                        lines.append(f"FAILED {test}{place}: {message}"[:FAILURE_WIDTH])
        if not named and not outcome.ok:
            lines += [f"FAILED {outcome.stage.name}: {text}" for text in outcome.complaints or ["nothing ran"]]
    return lines


def table(outcomes: list[Outcome]) -> str:
    width = max(len(outcome.stage.name) for outcome in outcomes)
    lines = [f"{'stage':{width}}  {'seconds':>8}  {'passed':>7}  {'failed':>7}  {'skipped':>7}"]
    for outcome in sorted(outcomes, key=lambda outcome: -outcome.seconds):
        count = outcome.count
        lines.append(
            f"{outcome.stage.name:{width}}  {outcome.seconds:8.1f}  {count.passed:7}  {count.failed:7}  {count.skipped:7}"
            + (f"  {outcome.note}" if outcome.note else "")
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the checks and tests of the collection.")
    parser.add_argument("names", nargs="*", help="stages to run; a beginning will do, such as molecule")
    parser.add_argument("--list", action="store_true", help="list the stages")
    parser.add_argument("--jobs", type=int, default=3, help="stages that run at a time (default 3)")
    options = parser.parse_args()
    every = stages()
    if options.list:
        print("\n".join(stage.name for stage in every))
        return 0
    wanted = [stage for stage in every if not options.names or stage.name.startswith(tuple(options.names))]
    unknown = [name for name in options.names if not any(stage.name.startswith(name) for stage in every)]
    if unknown or not wanted:
        parser.error(f"no such stage: {', '.join(unknown)}; there are {', '.join(stage.name for stage in every)}")

    if trouble := null_device_trouble():
        print(f"{trouble}\n0 passed, 1 failed", flush=True)
        return 1
    # Checkers call one another by name.
    os.environ["PATH"] = f"{BIN}:{os.environ['PATH']}"
    started = time.monotonic()
    driver = Driver()
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with ThreadPoolExecutor(options.jobs) as pool:
        futures = [pool.submit(driver.run, stage) for stage in wanted]
        try:
            outcomes = [future.result() for future in futures]
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            driver.stop()
            print("interrupted", flush=True)
            return 130
    print(f"\n{table(outcomes)}\n{time.monotonic() - started:.0f} s in all")
    for line in [*not_tested(outcomes), *([lacks_molecule()] if not options.names and lacks_molecule() else [])]:
        print(f"NOT TESTED ON THIS MACHINE: {line}")
    if left_out(outcomes):
        print(f"{left_out(outcomes)} tests more of kinds that were sampled: make test-long")
    of_machine = [f"FAILED the machine: {driver.trouble}"] if driver.trouble else []
    print("".join(f"{line}\n" for line in [*failures(outcomes), *of_machine]), end="")
    # A stage in which nothing ran is a failure of that stage.
    failed = sum(outcome.count.failed or (not outcome.ok) for outcome in outcomes) + len(of_machine)
    print(f"{sum(outcome.count.passed for outcome in outcomes)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
