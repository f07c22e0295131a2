# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled code on the host, with modules as Ansible really packs and sends them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.module_utils import basic

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.code_cache import DIRECTORY
from tests.support.playbooks import ROOT
from tests.support.venvs import put_in_place


@pytest.mark.parametrize("interpreter", ["python", "miniecom-python"])
def test_a_sent_module_keeps_its_code_but_not_in_check_mode(tmp_path: Path, interpreter: str) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    code = venv / DIRECTORY
    code.mkdir(mode=0o700)
    put_in_place(venv)
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def call(*arguments: str) -> set[str]:
        command = [
            sys.executable,
            "-m",
            "ansible",
            "adhoc",
            "localhost",
            "-c",
            "local",
            "-m",
            "miniecom.maintenance.disk_usage_info",
        ]
        command += [
            "-a",
            f"paths={tmp_path} state_dir={tmp_path / 'state'}",
            "-e",
            f"ansible_python_interpreter={venv / 'bin' / interpreter}",
        ]
        done = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, env=environment, cwd=ROOT, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return {path.name for path in code.iterdir()}

    assert call("--check") == set()
    kept = call()
    # The room _host is imported after the cache has been laid, and so is Ansible's part that the start does not need.
    assert len(kept) > 15
    assert call() == kept
    # What starts modules is there before Ansible's own part is imported, which is the most of it.
    ansible = {hashlib.sha256(path.read_bytes()).hexdigest() for path in Path(basic.__file__).parent.glob("*.py")}
    assert bool(ansible & {name.partition(".")[0] for name in kept}) == (interpreter == "miniecom-python")
