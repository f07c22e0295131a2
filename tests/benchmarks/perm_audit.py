# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The permission audit with all its rules, against one pass of find that looks at every file

The same warm tree in memory; the module alone, then with its process and Ansible's frame, then a module that does nothing: so much of every
process is Python's and Ansible's own. Then the audit as it runs where there is no GNU find, and a walk alone. One after another in each round;
told are the medians, and of the ratio of each round the lowest and the highest as well. The finds share two processors: on a machine that does
other things as well they get less than both, so that the CPU of all processes of a row, halved, tells more there. The memory is the largest of
the module's process and of what it starts, measured for it alone.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.walker import Walk
from tests.support.modules import run_empty_module, start_module

SHAPES = ((300, 1000), (500, 1000))  # directories and files in each, in thousands of files
ROUNDS, SLOW_ROUNDS = 7, 2
ENDINGS = ("js", "js", "js", "json", "ts", "map", "png", "jpg", "html", "md")


def _tree(root: Path, directories: int, files: int) -> int:
    """A tree of so many directories of files, ten to each of them."""
    for number in range(directories):
        for part in range(10):
            directory = root / f"part{number % 20}" / f"sub{number}" / f"d{part}"
            directory.mkdir(parents=True)
            descriptor = os.open(directory, os.O_RDONLY)
            for file in range(files // 10):
                os.close(os.open(f"module{file}.{ENDINGS[file % 10]}", os.O_CREAT, 0o644, dir_fd=descriptor))
            os.close(descriptor)
    (root / ".env").touch(mode=0o644)
    (root / "part1").chmod(0o777)
    return sum(len(below) + len(names) for _path, below, names in os.walk(root)) + 1


def _seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def main() -> list[dict[str, Any]]:
    rows = []
    for directories, files in SHAPES:
        with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as name:
            rows += _rows(Path(name), directories, files)
    return rows


def _rows(place: Path, directories: int, files: int) -> list[dict[str, Any]]:
    root = place / "shop"
    root.mkdir()
    entries = _tree(root, directories, files)

    def find() -> float:
        command = ["find", str(root), "-printf", "%m %U %G %p\n"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def walk() -> None:
        for _path, _descriptor, _entry, _status in Walk(str(root), ["node_modules", ".git"]):
            pass

    # Compiled code is kept, as on a host that has our environment.
    compiled = {"PYTHONDONTWRITEBYTECODE": None, "PYTHONPYCACHEPREFIX": f"{place}/compiled"}
    memory, used = 0, 0.0

    def module(**more: Any) -> float:
        nonlocal memory, used
        params = {"paths": [str(root)], "state_dir": f"{place}/state", "docker_socket": [], "fail_on": "never", **more}
        process = start_module("perm_audit", params, env=compiled)
        assert process.stdout is not None and process.stderr is not None
        with process.stdout, process.stderr:
            result = json.loads(process.stdout.read())
        # Of all children together the largest would be another measurement's, when several run in one process.
        _pid, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert not result.get("failed") and result["summary"]["entries"] == entries, result.get("msg")
        memory, used = max(memory, usage.ru_maxrss // 1024), usage.ru_utime + usage.ru_stime
        return float(result["summary"]["seconds"])

    module()
    find()
    run_empty_module(compiled)
    # One after another in each round, so that what else the machine does meets all of them.
    rounds, cpu = [], []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        base_cpu = find()
        begin = time.perf_counter()
        inside = module()
        end = time.perf_counter()
        rounds.append((begin - started, inside, end - begin, _seconds(lambda: run_empty_module(compiled))))
        cpu.append((base_cpu, used))
    most = memory
    # A glob of a path is one that find does not understand as we do.
    slow = [(_seconds(find), module(exclude=["no/such"]), _seconds(walk)) for _ in range(SLOW_ROUNDS)]
    load = "%.1f" % os.getloadavg()[0]
    columns = [(row[0], row) for row in rounds]
    measured = [
        ("find, one pass", [(base, row[0]) for base, row in columns]),
        ("perm_audit", [(base, row[1]) for base, row in columns]),
        ("with its process", [(base, row[2]) for base, row in columns]),
        ("an empty module", [(base, row[3]) for base, row in columns]),
        ("without find", [(row[0], row[1]) for row in slow]),
        ("a walk alone", [(row[0], row[2]) for row in slow]),
    ]
    return [
        {
            "what": what,
            "entries": entries,
            "seconds": median(seconds for _base, seconds in pairs),
            "ratio": median(seconds / base for base, seconds in pairs),
            "lowest": min(seconds / base for base, seconds in pairs),
            "highest": max(seconds / base for base, seconds in pairs),
            "CPU ratio": median(mine / base for base, mine in cpu) if what == "with its process" else "",
            "MB": most if what == "with its process" else "",
            "load": load,
        }
        for what, pairs in measured
    ]
