# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run secret_scan on a tree, and wait until a tree is old enough to be remembered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.scanned_tree import RACY_NS
from tests.support.modules import ModuleResult, run_module
from tests.support.replica import wait_for


def scan(root: Path, state: Path, **more: Any) -> ModuleResult:
    options = {key: more.pop(key) for key in ("check", "diff", "python", "env", "place") if key in more}
    params = {"paths": [str(root)], "state_dir": str(state), "_ansible_verbosity": 3, **more}
    return run_module("secret_scan", params, **options)


def settled(directory: Path) -> None:
    """Wait until nothing in a directory has changed for so long that a scan may be remembered."""
    newest = max(path.lstat().st_ctime_ns for path in directory.rglob("*"))
    probe = directory.parent / (directory.name + " probe")

    def passed() -> bool:
        probe.touch()
        return probe.stat().st_ctime_ns > newest + RACY_NS

    wait_for(passed)
    probe.unlink()
