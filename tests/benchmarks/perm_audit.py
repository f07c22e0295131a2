# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The permission audit, against one pass of find that asks for a part of it

The same warm tree; the module with its process and with Ansible's frame, then the walk and the rules alone. `find` answers
three of the audit's questions (world-writable, set-user-id, open .env) in one pass.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.walker import Walk
from tests.support.modules import run_module

DIRECTORIES, FILES_EACH, ROUNDS = 400, 50, 5


def _tree(root: Path) -> int:
    for number in range(DIRECTORIES):
        directory = root / f"part{number % 20}" / f"sub{number}"
        directory.mkdir(parents=True)
        for file in range(FILES_EACH):
            (directory / f"module{file}.js").touch(mode=0o644)
    (root / ".env").touch(mode=0o644)
    (root / "part1").chmod(0o777)
    return sum(len(directories) + len(files) for _path, directories, files in os.walk(root)) + 1


def _best(action: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "shop"
        root.mkdir()
        entries = _tree(root)

        def find() -> None:
            subprocess.run(
                ["find", str(root), "(", "-name", "node_modules", "-o", "-name", ".git", ")", "-prune", "-o",
                 "(", "-perm", "-0002", "-o", "-perm", "-4000", "-o", "-name", ".env", "-perm", "/077", ")", "-print"],
                stdout=subprocess.DEVNULL, check=True,
            )  # fmt: skip

        def walk() -> None:
            for _path, _descriptor, _entry, _status in Walk(str(root), ["node_modules", ".git"]):
                pass

        def module() -> float:
            result = run_module(
                "perm_audit",
                {"paths": [str(root)], "state_dir": f"{name}/state", "docker_socket": [], "fail_on": "never"},
            )
            assert not result.failed and result.result["summary"]["entries"] == entries, result.msg
            return float(result.result["summary"]["seconds"])

        base = _best(find)
        walked = _best(walk)
        started = [(time.perf_counter(), module(), time.perf_counter()) for _ in range(ROUNDS)]
        inside = min(seconds for _begin, seconds, _end in started)
        outside = min(end - begin for begin, _seconds, end in started)
    rows = [("find, one pass", base), ("the walk alone", walked), ("perm_audit", inside), ("with its process", outside)]
    return [
        {
            "what": what,
            "entries": entries,
            "seconds": seconds,
            "entries/s": round(entries / seconds),
            "ratio": seconds / base,
        }
        for what, seconds in rows
    ]
