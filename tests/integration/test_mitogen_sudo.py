# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mitogen on a host that is reached by SSH as a user with sudo: it starts the modules' Python as that user before it becomes root."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import lacking
from tests.sandbox.engine import EngineUnavailable
from tests.sandbox.image import OPERATOR
from tests.support import mitogen
from tests.support.machine import NAME, Access, Machine, MachineUnavailable
from tests.support.playbooks import PlaybookRun, run_playbook

# Raising the host takes most of a minute. What fails first without it is in make test: test_first_hour.py, and the mode of the temporary folder.
pytestmark = pytest.mark.exhaustive

# What logind has there is not Ansible's.
LISTED = "ls -A /tmp | grep -v ^systemd-private-"


@dataclass
class Shop:
    """The host, and the directory of what is written about it here."""

    machine: Machine
    access: Access
    directory: Path

    def sh(self, script: str, user: str = "root") -> str:
        return self.machine.engine.docker("exec", "--user", user, NAME, "sh", "-c", script)

    def umask(self, mask: str) -> None:
        """What sudo gives to what it starts, whatever the user's own."""
        self.sh(f"echo 'Defaults umask={mask}, umask_override' > /etc/sudoers.d/umask; chmod 0440 /etc/sudoers.d/umask")
        assert self.sh("sudo sh -c umask", user=OPERATOR).strip() == mask

    def play(self, playbook: str, *arguments: str) -> PlaybookRun:
        inventory = self.directory / "hosts.json"
        variables = {
            "ansible_host": self.access.address,
            "ansible_port": self.access.port,
            "ansible_user": self.access.user,
            "ansible_ssh_private_key_file": self.access.identity_file,
            "miniecom_deployment": "native",
            "miniecom_record_dir": str(self.directory / "record"),
            # There is no way out of it: the wheels lie in it.
            "prerequisites_pip_arguments": "--no-index --find-links=/srv/wheels",
        }
        inventory.write_text(json.dumps({"miniecom": {"hosts": {NAME: variables}}}))
        settings = {**mitogen.environment(), "ANSIBLE_HOST_KEY_CHECKING": "False"}
        return run_playbook(
            playbook, inventory, *mitogen.ARGUMENTS, *arguments, log=self.directory / "log", env=settings
        )


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    if os.geteuid() != 0:
        lacking("Docker: a private engine needs root")
    machine = Machine(tmp_path_factory.mktemp("machine"))
    try:
        try:
            access = machine.up()
        except (EngineUnavailable, MachineUnavailable) as error:
            lacking(f"a host with sshd and sudo: {error}")
        assert access.user == OPERATOR
        yield Shop(machine, access, tmp_path_factory.mktemp("shop"))
    finally:
        machine.down()


def test_assess_where_roots_files_are_its_own(shop: Shop) -> None:
    shop.umask("0077")
    before = shop.sh(LISTED)
    run = shop.play("assess").assert_ok()
    assert [task["task"] for task in run.tasks if task["status"] in ("failed", "ignored")] == []
    assert "MiniEcom in /opt/miniecom" in run.result("maintenance_report")["lines"][0]
    assert shop.sh(LISTED) == before, "something stayed in the temporary folder"


@pytest.mark.parametrize("mask", ["0077", "0000"])
def test_the_environment_is_open_to_all_and_closed_to_their_changes(shop: Shop, mask: str) -> None:
    venv = f"/opt/{mask}/venv"
    shop.umask(mask)
    for playbook in ("prerequisites", "maintenance_status"):
        shop.play(playbook, "-e", f"miniecom_venv={venv}").assert_ok()
    assert shop.sh(f"find /opt/{mask} ! -type l -perm /022") == ""
    shop.sh(f"{venv}/bin/miniecom-python -c 'import pymongo, docker'", user=OPERATOR)
