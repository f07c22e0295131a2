# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several hosts: all at once, or one after another until the first that fails, by the strategy that one likes."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest

from tests.support.playbooks import PlaybookRun, run_playbook

SHORT = {"ANSIBLE_STDOUT_CALLBACK": "miniecom.maintenance.concise", "COLUMNS": "160"}
HOSTS = ("shop1", "shop2", "shop3")


@pytest.fixture(name="inventory")
def _inventory(tmp_path: Path) -> Path:
    """The first host cannot be reached: nobody listens at its port, which is taken so that nobody can."""
    path = tmp_path / "hosts.json"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": taken.getsockname()[1]}
        here = {
            "ansible_connection": "local",
            # A version manager's stand-in for a Python that is not there would be found first.
            "ansible_python_interpreter": sys.executable,
            "prerequisites_method": "none",
            "miniecom_root": str(tmp_path / "none"),
        }
        found = {name: here if number else away for number, name in enumerate(HOSTS)}
        path.write_text(json.dumps({"miniecom": {"hosts": found}}))
    return path


def play(inventory: Path, tmp_path: Path, **variables: object) -> PlaybookRun:
    given = {"ansible_become": False, "ansible_ssh_timeout": 5, **variables}
    run = run_playbook("maintenance_status", inventory, "-e", json.dumps(given), log=tmp_path / "log", env=SHORT)
    assert run.rc != 0
    return run


def test_one_after_another_ends_at_the_first_that_fails(inventory: Path, tmp_path: Path) -> None:
    run = play(inventory, tmp_path, miniecom_serial=1)
    assert run.output.rstrip().endswith("3 hosts: 1 could not be reached (shop1); 2 not begun (shop2, shop3)")


def test_one_after_another_ends_at_the_first_whose_maintenance_fails(inventory: Path, tmp_path: Path) -> None:
    found = json.loads(inventory.read_text())
    hosts = found["miniecom"]["hosts"]
    # It can be reached; what is asked of it makes no sense.
    hosts["shop1"] = {**hosts["shop2"], "prerequisites_method": "nonsense"}
    inventory.write_text(json.dumps(found))
    run = play(inventory, tmp_path, miniecom_serial=1)
    assert "could not be reached" not in run.output and {task["host"] for task in run.tasks} == {"shop1"}
    assert run.output.rstrip().endswith("2 not begun (shop2, shop3)")


@pytest.mark.parametrize("strategy", [None, "ansible.builtin.linear"])
def test_all_at_once_one_host_does_not_hold_up_another(inventory: Path, tmp_path: Path, strategy: str | None) -> None:
    run = play(inventory, tmp_path, **({"miniecom_strategy": strategy} if strategy else {}))
    assert {task["host"] for task in run.tasks} == set(HOSTS)
    assert "not begun" not in run.output
    assert "3 hosts:" in run.output and "1 could not be reached (shop1)" in run.output
