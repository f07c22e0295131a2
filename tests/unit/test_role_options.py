# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of modules that an operator must be able to reach through the role."""

from __future__ import annotations

from pathlib import Path

import yaml

ROLES = Path(__file__).resolve().parents[2] / "roles"


def test_users_that_must_keep_access_can_be_named_to_the_audit() -> None:
    role = ROLES / "security_audit"
    blocks = yaml.safe_load((role / "tasks/main.yml").read_text())
    tasks = [task for block in blocks for task in block.get("block", [])]
    [options] = [
        task[name] for task in tasks for name in task if name.endswith("perm_audit") and "undo" not in task[name]
    ]
    assert options["readers"] == "{{ security_audit_readers }}"
    assert yaml.safe_load((role / "defaults/main.yml").read_text())["security_audit_readers"] == []
