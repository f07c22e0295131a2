# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hypothesis asks a class's signature for what it takes, and a dataclass of ours has one when the first of its objects is made."""

from __future__ import annotations

import dataclasses
import sys

OURS = "ansible_collections.miniecom.maintenance.plugins."


def make_classes() -> int:
    """Make each dataclass of the modules of ours that are imported; how many there are."""
    found = [
        value
        for name, module in list(sys.modules.items())
        if name.startswith(OURS)
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == name and dataclasses.is_dataclass(value)
    ]
    # Asked for its fields, a class is made.
    return sum(1 for cls in found if dataclasses.fields(cls) is not None)
