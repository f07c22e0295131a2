# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A virtual environment as the role prerequisites makes it, without its libraries."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

ROLE = Path(__file__).resolve().parents[2] / "roles" / "prerequisites"


def put_in_place(venv: Path) -> Path:
    """Put what starts modules into an environment, from the role's own table; returns the interpreter."""
    table = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))["__prerequisites_start"]
    for place, source in table.items():
        target = venv / place
        target.parent.mkdir(exist_ok=True)
        shutil.copy(source.replace("{{ role_path }}", str(ROLE)), target)
    return venv / "bin" / "miniecom-python"
