# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run secret_scan on a tree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.modules import ModuleResult, run_module


def scan(root: Path, state: Path, **more: Any) -> ModuleResult:
    options = {key: more.pop(key) for key in ("check", "diff", "python", "env") if key in more}
    params = {"paths": [str(root)], "state_dir": str(state), "_ansible_verbosity": 3, **more}
    return run_module("secret_scan", params, **options)
