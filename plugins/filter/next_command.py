# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command that comes next, as it can be typed."""

from __future__ import annotations

from typing import Any, Callable, Dict, Sequence

from ..plugin_utils.command_line import next_command

DOCUMENTATION = r"""
name: next_command
short_description: The command of another playbook of this collection, for the same hosts
version_added: 0.1.0
description:
  - Returns the command that runs another playbook with the inventory, variables and connection of this run, ready to be typed.
  - Where a secret was given with C(-e), C(...) stands in its place.
options:
  _input:
    description: Short name of the playbook.
    type: str
    required: true
  limit:
    description: The host it is for.
    type: str
    default: ""
  further:
    description: More arguments.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Say what to do
  ansible.builtin.debug:
    msg: "Run: {{ 'prerequisites' | miniecom.maintenance.next_command(inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description: The command.
  type: str
"""


def command(playbook: Any, limit: Any = "", further: Sequence[Any] = ()) -> str:
    return next_command(str(playbook), str(limit), [str(word) for word in further])


class FilterModule:
    """Filter plugin."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"next_command": command}
