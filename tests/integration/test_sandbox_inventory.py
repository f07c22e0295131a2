# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""inventories/sandbox on a machine where no sandbox is up, and where other things run."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.port_rules import (
    Port,
    judge_ports,
    parse_allow,
)
from tests.support.playbooks import ROOT, run_playbook

INVENTORY = ROOT / "inventories" / "sandbox"


@pytest.mark.parametrize("playbook", ["assess", "weekly", "maintenance_status"])
def test_without_a_sandbox_a_run_says_so_and_makes_nothing(playbook: str, tmp_path: Path) -> None:
    directory = tmp_path / "sandbox"
    run = run_playbook(playbook, INVENTORY, log=tmp_path / "log", env={"MINIECOM_SANDBOX": str(directory)})
    assert run.rc != 0
    assert "no sandbox is up" in run.output and "make demo" in run.output
    assert not directory.exists()


def test_what_else_the_machine_listens_on_fails_no_run() -> None:
    variables = yaml.safe_load((INVENTORY / "group_vars" / "miniecom.yml").read_text(encoding="utf-8"))
    allowed = parse_allow(variables["security_audit_allowed_ports"])
    ports = [
        Port("tcp", "0.0.0.0", 6379, "redis-server"),
        Port("tcp", "::", 27017, "mongod"),
        Port("tcp", "192.0.2.7", 2375, ""),
        Port("udp", "0.0.0.0", 5353, "avahi-daemon"),
    ]
    assert judge_ports(ports, allowed)[0] == []
