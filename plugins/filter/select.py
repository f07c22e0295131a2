# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JMESPath over results and records."""

from __future__ import annotations

from typing import Any, Callable, Dict

from ..plugin_utils.query import select

DOCUMENTATION = r"""
name: select
short_description: Choose from results and records with JMESPath
version_added: 0.1.0
description:
  - Applies an expression of the query language JMESPath (U(https://jmespath.org)) to what a module returned, or to the record of a run.
  - All values are made plain ones before. Those of ansible-core 2.19 and newer carry the place where they were written, by which functions
    such as C(contains) and C(sort_by) do not know them as text.
requirements:
  - jmespath on the controller
options:
  _input:
    description: A result, a record, or a part of one.
    type: raw
    required: true
  expression:
    description: The expression.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Name what is new and serious
  ansible.builtin.debug:
    msg: "{{ security_audit_permissions_result | miniecom.maintenance.select(expression) }}"
  vars:
    expression: "findings[?status=='new' && contains(['high', 'critical'], severity)].target"

- name: Say which steps took longest
  ansible.builtin.debug:
    msg: "{{ report_result | miniecom.maintenance.select('reverse(sort_by(steps[?seconds], &seconds))[:3].[step, seconds]') }}"

- name: Fail when the newest backup is small
  ansible.builtin.assert:
    that: (backup_result | miniecom.maintenance.select('summary.bytes')) > 1000000
"""

RETURN = r"""
_value:
  description: What the expression chose; null where it chose nothing.
  type: raw
"""


class FilterModule:
    """Filter plugin."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"select": select}
