# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks run by Mitogen's strategies, which send nothing packed and start no Python for each task."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.support.playbooks import ROOT, run_playbook
from tests.support.sandboxes import Sandbox

STRATEGY = "miniecom_strategy=mitogen_host_pinned"


@pytest.mark.parametrize(
    "playbook, arguments",
    [("weekly", ["--tags", "disk_check,security_audit"]), pytest.param("assess", [], marks=pytest.mark.exhaustive)],
)
def test_a_run_by_mitogen(native_sandbox: Sandbox, tmp_path: Path, playbook: str, arguments: list[str]) -> None:
    found = importlib.util.find_spec("ansible_mitogen")
    assert found is not None and found.origin is not None
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    settings = {
        **native_sandbox.environment(),
        "ANSIBLE_STRATEGY_PLUGINS": str(Path(found.origin).parent / "plugins" / "strategy"),
        "TMPDIR": str(temporary),
    }
    inventory = ROOT / "inventories" / "sandbox"
    run = run_playbook(playbook, inventory, "-e", STRATEGY, *arguments, log=tmp_path / "log", env=settings)
    run.assert_ok()
    assert any(task["action"].endswith("disk_usage_info") for task in run.module_calls("sandbox"))
    assert not list(temporary.iterdir()), "something stayed in the temporary folder"
