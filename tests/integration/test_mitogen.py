# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks run by Mitogen's strategies, which send nothing packed and start no Python for each task."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.kingfisher import find_kingfisher
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.code_cache import DIRECTORY
from tests.support import mitogen
from tests.support.playbooks import ROOT, run_playbook
from tests.support.sandboxes import Sandbox
from tests.support.secret_scans import scan, settled
from tests.support.venvs import put_in_place

# Somebody else's module between two of ours, all in one interpreter.
TASKS = """
- hosts: localhost
  gather_facts: false
  strategy: mitogen_linear
  tasks:
    - miniecom.maintenance.disk_usage_info: {paths: ["{{ place }}"], state_dir: "{{ place }}/state"}
    - ansible.builtin.ping:
    - miniecom.maintenance.maintenance_flag_info: {state_dir: "{{ place }}/state"}
"""


@pytest.mark.parametrize(
    "playbook, arguments",
    [("weekly", ["--tags", "disk_check,security_audit"]), pytest.param("assess", [], marks=pytest.mark.exhaustive)],
)
def test_a_run_by_mitogen(native_sandbox: Sandbox, tmp_path: Path, playbook: str, arguments: list[str]) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    settings = {**native_sandbox.environment(), **mitogen.environment(), "TMPDIR": str(temporary)}
    inventory = ROOT / "inventories" / "sandbox"
    run = run_playbook(playbook, inventory, *mitogen.ARGUMENTS, *arguments, log=tmp_path / "log", env=settings)
    run.assert_ok()
    assert any(task["action"].endswith("disk_usage_info") for task in run.module_calls("sandbox"))
    assert not list(temporary.iterdir()), "something stayed in the temporary folder"


SCAN = """
- hosts: localhost
  gather_facts: false
  strategy: mitogen_linear
  tasks:
    - miniecom.maintenance.secret_scan: {paths: ["{{ place }}/shop"], state_dir: "{{ state }}", kingfisher: "{{ kingfisher }}"}
      register: scan
    - ansible.builtin.assert: {that: not scan.scanned}
"""


def test_what_was_scanned_is_not_read_again(tmp_path: Path, scan_state: Path) -> None:
    """The source of what judges, a part of what a memory holds for, is there by the time that it is asked for."""
    kingfisher = find_kingfisher(None)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "app.js").write_text("const one = 1;\n")
    settled(tmp_path / "shop")
    assert scan(tmp_path / "shop", scan_state, kingfisher=kingfisher).result["scanned"]
    playbook = tmp_path / "scan.yml"
    playbook.write_text(SCAN)
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "-c", "local", playbook]
    for name, value in (
        ("place", tmp_path),
        ("state", scan_state),
        ("kingfisher", kingfisher),
        ("ansible_python_interpreter", sys.executable),
    ):
        command += ["-e", f"{name}={value}"]
    # What runs there finds no file of this collection.
    environment = {key: text for key, text in os.environ.items() if not key.startswith("PYTHON")}
    environment |= {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), **mitogen.environment()}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_mitogen_sends_is_compiled_once(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    code = venv / DIRECTORY
    code.mkdir(mode=0o700)
    put_in_place(venv)
    playbook = tmp_path / "tasks.yml"
    playbook.write_text(TASKS)
    # As on a host of its own: what runs there finds no file of this collection.
    environment = {key: text for key, text in os.environ.items() if not key.startswith("PYTHON")}
    environment |= {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), **mitogen.environment()}

    def run(*arguments: str) -> dict[str, tuple[int, int]]:
        command = [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "-c", "local", playbook]
        command += ["-e", f"place={tmp_path}", "-e", f"ansible_python_interpreter={venv / 'bin' / 'miniecom-python'}"]
        done = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, env=environment, cwd=ROOT, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in code.iterdir()}

    assert run("--check") == {}
    kept = run()
    # What both modules import beyond the start, each file once.
    assert len(kept) > 30
    assert run() == kept, "what was kept has been compiled again"
