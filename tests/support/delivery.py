# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection as its users get it: built, and installed from its artifact."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.playbooks import ROOT

BIN = Path(sys.executable).parent


def checkout(destination: Path) -> Path:
    """The tracked files and those that are new, without what git ignores: what a clone of this state would hold."""
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout.decode()
    for name in filter(None, names.split("\0")):
        source, target = ROOT / name, destination / name
        if not os.path.lexists(source):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)
    return destination


def bare(**values: str) -> dict[str, str]:
    """The environment without what makes this checkout's collection importable."""
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH" and not key.startswith("ANSIBLE_")}
    return {**kept, **values}


def galaxy(directory: Path, *arguments: str) -> None:
    """Run ansible-galaxy collection, with nothing of the user's configuration."""
    (directory / "ansible.cfg").write_text("[defaults]\n")
    done = subprocess.run(
        [str(BIN / "ansible-galaxy"), "collection", *arguments],
        cwd=directory,
        env=bare(HOME=str(directory), ANSIBLE_CONFIG=str(directory / "ansible.cfg")),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def install(source: Path, built: Path, target: Path) -> Path:
    """Build the collection of a directory and install it into another one, which is returned."""
    galaxy(built, "build", str(source), "--output-path", str(built))
    (artifact,) = built.glob("*.tar.gz")
    galaxy(built, "install", "--offline", "-p", str(target), str(artifact))
    return target
