# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of a host's variables are misspelt ones of this collection."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Sequence

from ..plugin_utils.known_names import known_variables, misspelt_variables

DOCUMENTATION = r"""
name: unknown_variables
short_description: Variables of a host that are misspelt ones of this collection
version_added: 0.1.0
description:
  - Returns a sentence for each variable that differs from one of this collection's by a letter, or in longer names two. Other names that begin
    alike may belong to other roles and are let through.
options:
  _input:
    description: Names of variables, as the lookup P(ansible.builtin.varnames#lookup) returns them.
    type: list
    elements: str
    required: true
  own:
    description: Names or patterns of names that are none of this collection's, although they look like one.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Check the inventory's variables
  ansible.builtin.assert:
    that: problems | length == 0
    fail_msg: "{{ problems | join(' ') }}"
  vars:
    problems: "{{ query('ansible.builtin.varnames', '.') | miniecom.maintenance.unknown_variables }}"
"""

RETURN = r"""
_value:
  description: Sentences.
  type: list
  elements: str
"""


def unknown_variables(given: Sequence[str], own: Sequence[str] = ()) -> List[str]:
    """What is wrong with the names of a host's variables."""
    return misspelt_variables(map(str, given), known_variables(), list(own))


class FilterModule:
    """Filter plugin."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"unknown_variables": unknown_variables}
