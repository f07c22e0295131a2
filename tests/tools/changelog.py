# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders CHANGELOG.rst as the release of galaxy.yml's version will: fragments stay, and are rendered in a copy.

``python -m tests.tools.changelog`` writes it, ``--check`` fails when it is out of date.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHANGELOG = ROOT / "CHANGELOG.rst"
# What antsibull-changelog looks at: the fragments, and the plugins that are new.
READ = ("galaxy.yml", "changelogs", "meta", "plugins", "roles", "playbooks")
# Its date is not in the text, but must be given.
DATE = "2026-01-01"


def render() -> str:
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place, "ansible_collections", "miniecom", "maintenance")
        for name in READ:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                copy.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, copy / name)
        program = Path(sys.executable).parent / "antsibull-changelog"
        subprocess.run(
            [program, "release", "--version", str(version), "--date", DATE],
            cwd=copy,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return (copy / CHANGELOG.name).read_text()


def main(arguments: list[str]) -> int:
    text = render()
    if "--check" in arguments:
        if not CHANGELOG.exists() or CHANGELOG.read_text() != text:
            print("CHANGELOG.rst is out of date: make changelog")
            return 1
        return 0
    CHANGELOG.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
