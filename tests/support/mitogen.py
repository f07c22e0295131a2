# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mitogen's strategies, as a user has them: named by a variable of ours, and found by Ansible where Mitogen is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ARGUMENTS = ("-e", "miniecom_strategy=mitogen_host_pinned")


def environment() -> dict[str, str]:
    """What Ansible needs in its environment to find them."""
    found = importlib.util.find_spec("ansible_mitogen")
    assert found is not None and found.origin is not None
    return {"ANSIBLE_STRATEGY_PLUGINS": str(Path(found.origin).parent / "plugins" / "strategy")}
