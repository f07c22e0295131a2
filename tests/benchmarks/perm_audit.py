# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The permission audit with all its rules, against one pass of find that looks at every file

The same warm tree in memory; the module with its process and with Ansible's frame, then the audit as it runs where there is
no GNU find, and a walk alone. The memory is the largest of the module's process and of what it starts, measured for it alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.walker import Walk
from tests.support.modules import start_module

SHAPES = ((300, 1000), (500, 1000))  # directories and files in each, in thousands of files
ROUNDS = 3
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


def _best(action: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return min(times)


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

    def find() -> None:
        command = ["find", str(root), "-printf", "%m %U %G %p\n"]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)

    def walk() -> None:
        for _path, _descriptor, _entry, _status in Walk(str(root), ["node_modules", ".git"]):
            pass

    memory = 0

    def module(**more: Any) -> float:
        nonlocal memory
        params = {"paths": [str(root)], "state_dir": f"{place}/state", "docker_socket": [], "fail_on": "never", **more}
        process = start_module("perm_audit", params)
        assert process.stdout is not None and process.stderr is not None
        with process.stdout, process.stderr:
            result = json.loads(process.stdout.read())
        # Of all children together the largest would be another measurement's, when several run in one process.
        _pid, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert not result.get("failed") and result["summary"]["entries"] == entries, result.get("msg")
        memory = max(memory, usage.ru_maxrss // 1024)
        return float(result["summary"]["seconds"])

    base = _best(find)
    walked = _best(walk)
    started = [(time.perf_counter(), module(), time.perf_counter()) for _ in range(ROUNDS)]
    most = memory
    # A glob of a path is one that find does not understand as we do.
    alone = module(exclude=["no/such"])
    inside = min(seconds for _begin, seconds, _end in started)
    outside = min(end - begin for begin, _seconds, end in started)
    measured = [
        ("find, one pass", base),
        ("perm_audit", inside),
        ("with its process", outside),
        ("without find", alone),
        ("a walk alone", walked),
    ]
    return [
        {
            "what": what,
            "entries": entries,
            "seconds": seconds,
            "entries/s": round(entries / seconds),
            "ratio": seconds / base,
            "MB": most if what == "with its process" else "",
        }
        for what, seconds in measured
    ]
