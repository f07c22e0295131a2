# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The weekly run's CPU, against as many pings of Ansible's

A weekly run with nothing left to do, on a native sandbox; what its modules cost beyond what Ansible asks for any module call. With
MINIECOM_BENCH_BEFORE=DIRECTORY another checkout's weekly run stands beside it, on the same sandbox. Rounds of all of them take turns, and the
medians are told. By Mitogen only the host's part is told: the interpreter that stays there for a run, with all that it starts.
"""

from __future__ import annotations

import os
import resource
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any

from tests.support import mitogen
from tests.support.playbooks import ROOT, PlaybookRun, run_playbook
from tests.support.sandboxes import sandbox_command

ROUNDS = 3


# Seconds between two looks at the processes on the host.
LOOK = 0.02


def _measured(
    playbook: Path, directory: Path, log: Path, *arguments: str, **more: str
) -> tuple[PlaybookRun, float, float]:
    """A run of a playbook of a checkout, or of one beside it; CPU seconds, and seconds."""
    checkout = playbook.parents[1] if playbook.parent.name == "playbooks" else ROOT
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    run = run_playbook(
        str(playbook),
        ROOT / "inventories" / "sandbox",
        *arguments,
        log=log,
        cwd=checkout,
        env={
            "MINIECOM_SANDBOX": str(directory),
            "ANSIBLE_CONFIG": str(checkout / "ansible.cfg"),
            "PYTHONPATH": f"{checkout / 'collections'}{os.pathsep}{checkout}",
            # Whoever develops may want no compiled files; the modules here would hear of it, and keep no compiled code, as hosts do.
            "PYTHONDONTWRITEBYTECODE": "",
            **more,
        },
    )
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.rc:
        raise RuntimeError(run.output[-4000:])
    return run, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, seconds


def _by_mitogen(directory: Path, log: Path) -> tuple[PlaybookRun, float, float]:
    """The weekly run by Mitogen; CPU seconds of the host's part, and seconds of all."""
    ticks: dict[str, int] = {}
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(LOOK):
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    if b"(mitogen:" in Path(f"/proc/{pid}/cmdline").read_bytes():
                        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                        # Its own, and of what it has started and waited for.
                        ticks[pid] = sum(map(int, fields[11:15]))
                except OSError:
                    continue  # it has ended

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        weekly = ROOT / "playbooks" / "weekly.yml"
        run, _cpu, seconds = _measured(weekly, directory, log, *mitogen.ARGUMENTS, **mitogen.environment())
    finally:
        ended.set()
        watcher.join()
    assert ticks, "no process of Mitogen's was seen on the host"
    return run, sum(ticks.values()) / os.sysconf("SC_CLK_TCK"), seconds


def _pings(path: Path, calls: int) -> Path:
    """As many pings, by the strategy of the weekly run."""
    tasks = "\n".join("    - ansible.builtin.ping:" for _ in range(calls))
    path.write_text(
        f"- hosts: miniecom\n  gather_facts: false\n  strategy: ansible.builtin.host_pinned\n  tasks:\n{tasks}\n"
    )
    return path


def main() -> list[dict[str, Any]]:
    builds = {"weekly, nothing to do": ROOT}
    if os.environ.get("MINIECOM_BENCH_BEFORE"):
        builds["the build before"] = Path(os.environ["MINIECOM_BENCH_BEFORE"]).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        directory, log = Path(scratch) / "native", Path(scratch) / "tasks.jsonl"
        sandbox_command("up", "native", directory)
        try:
            what: dict[str, tuple[Path, int]] = {}
            for name, checkout in builds.items():
                playbook = checkout / "playbooks" / "weekly.yml"
                for _ in range(2):  # the work and the libraries, then what is kept from one run for the next
                    run = _measured(playbook, directory, log)[0]
                calls = len(run.host_calls("sandbox"))
                what[name] = (playbook, calls)
                what[f"{calls} pings"] = (_pings(Path(scratch) / f"pings{calls}.yml", calls), calls)
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in what}
            by_mitogen = [_by_mitogen(directory, log)[1:] for _ in range(ROUNDS + 1)][1:]
            for _ in range(ROUNDS):
                for name, (playbook, _calls) in what.items():
                    found[name].append(_measured(playbook, directory, log)[1:])
        finally:
            sandbox_command("down", "native", directory)
    cpu = {name: median(seconds for seconds, _wall in runs) for name, runs in found.items()}
    host_part = {
        "what": "by Mitogen, the host's part",
        "module calls": what["weekly, nothing to do"][1],
        "CPU s": median(seconds for seconds, _wall in by_mitogen),
        "wall s": median(wall for _cpu, wall in by_mitogen),
        "CPU ratio to as many pings": "",
        "cores": os.cpu_count() or 1,
    }
    rows: list[dict[str, Any]] = [
        {
            "what": name,
            "module calls": calls,
            "CPU s": cpu[name],
            "wall s": median(wall for _cpu, wall in found[name]),
            "CPU ratio to as many pings": cpu[name] / cpu[f"{calls} pings"],
            "cores": os.cpu_count() or 1,
        }
        for name, (_playbook, calls) in what.items()
    ]
    return [*rows, host_part]
