# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The weekly run's CPU, against as many pings of Ansible's

A weekly run with nothing left to do, on a native sandbox; what its modules cost beyond what Ansible asks for any module call.
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.support.playbooks import ROOT, PlaybookRun, run_playbook
from tests.support.sandboxes import sandbox_command


def _measured(playbook: str, inventory: Path, directory: Path, log: Path) -> tuple[PlaybookRun, float, float]:
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    run = run_playbook(playbook, inventory, log=log, env={"MINIECOM_SANDBOX": str(directory)})
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.rc:
        raise RuntimeError(run.output[-4000:])
    return run, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, seconds


def main() -> list[dict[str, Any]]:
    inventory = ROOT / "inventories" / "sandbox"
    with tempfile.TemporaryDirectory() as scratch:
        directory, log = Path(scratch) / "native", Path(scratch) / "tasks.jsonl"
        sandbox_command("up", "native", directory)
        try:
            _measured("weekly", inventory, directory, log)  # the work, and the libraries
            run, cpu, wall = _measured("weekly", inventory, directory, log)
            calls = len(run.module_calls("sandbox"))
            pings = Path(scratch) / "pings.yml"
            tasks = "\n".join("    - ansible.builtin.ping:" for _ in range(calls))
            pings.write_text(f"- hosts: miniecom\n  gather_facts: false\n  tasks:\n{tasks}\n")
            _run, ping_cpu, ping_wall = _measured(str(pings), inventory, directory, log)
        finally:
            sandbox_command("down", "native", directory)
    rows = [("weekly, nothing to do", cpu, wall), (f"{calls} pings", ping_cpu, ping_wall)]
    return [
        {
            "what": what,
            "module calls": calls,
            "CPU s": seconds,
            "wall s": elapsed,
            "CPU ratio": seconds / ping_cpu,
            "cores": os.cpu_count() or 1,
        }
        for what, seconds, elapsed in rows
    ]
