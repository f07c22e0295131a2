#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The operator's checklists."""

from __future__ import annotations

DOCUMENTATION = r"""
module: maintenance_checklist
short_description: Show the operator's checklists, and tick what a person has done
version_added: 0.1.0
author:
  - miniecom.maintenance contributors (@miniecom)
description:
  - Tells how the daily, weekly, monthly and quarterly boxes of the shop's maintenance guide stand, each with when it was done last and by whom.
  - What runs do is ticked by their records, where the step that does it ended well; nobody can tick it by hand. What only a person can do is
    ticked with O(tick), and kept with date, name and note in C(checklist.jsonl) of the state directory.
  - A box is due when it was not ticked for longer than its period and a little.
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.run
attributes:
  idempotent:
    details: One person ticks a box once a day.
options:
  tick:
    description: Ids of boxes that were done; RV(boxes) has them, those with C(by_hand) can be ticked.
    type: list
    elements: str
    default: []
  by:
    description: Who did it; by default the user who runs this.
    type: str
  note:
    description: A word on it, such as what came of a drill.
    type: str
"""

EXAMPLES = r"""
- name: Show the checklists
  miniecom.maintenance.maintenance_checklist:
  register: checklist

- name: Tick what was done
  miniecom.maintenance.maintenance_checklist:
    tick: [documentation, recovery_drill]
    by: mira
    note: the shop was up on the spare host after 40 minutes
"""

RETURN = r"""
boxes:
  description: C(id), C(period), C(text), C(how), C(by_hand), C(at), C(by), C(note) and C(due) of each box.
  returned: success
  type: list
  elements: dict
lines:
  description: The checklists as a person reads them.
  returned: success
  type: list
  elements: str
plan:
  description: What was to be ticked; the same in check mode.
  returned: always
  type: list
  elements: dict
kept:
  description: What was ticked today already.
  returned: always
  type: list
  elements: dict
actions:
  description: What was ticked.
  returned: always
  type: list
  elements: dict
counts:
  description: Totals of the lists, which are cut at 200 entries.
  returned: always
  type: dict
durations:
  description: When each step of a run was done last (C(at)), and how long it took (C(seconds)), by its title in the record.
  returned: success
  type: dict
  sample: {"compaction": {"at": "2026-11-29T03:14:00Z", "seconds": 61.4}}
summary:
  description: C(headline), C(due) and C(boxes).
  returned: always
  type: dict
  sample: {"headline": "3 of 16 boxes are due", "due": 3, "boxes": 16}
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._checklist.ticking import MaintenanceChecklist
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run

SPEC = RUN_ARGUMENTS + ArgumentSpec(
    {
        "tick": {"type": "list", "elements": "str", "default": []},
        "by": {"type": "str"},
        "note": {"type": "str"},
    }
)


def main() -> None:
    run(MaintenanceChecklist, SPEC)


if __name__ == "__main__":
    main()
