# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JMESPath over results and records."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping

from ansible.errors import AnsibleFilterError

try:
    import jmespath
    from jmespath.exceptions import JMESPathError
except ImportError:
    jmespath = None

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


def plain(value: Any) -> Any:
    """The same without whatever Ansible adds to values: text, numbers, lists and mappings as Python has them."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    # A date, for instance, which is no type of JSON.
    return str(value)


def select(value: Any, expression: str) -> Any:
    """What the expression chooses.

    Raises:
        AnsibleFilterError: the expression makes no sense, or the library is missing.
    """
    if jmespath is None:
        raise AnsibleFilterError("the Python package jmespath is missing on the controller: pip install jmespath")
    query = plain(expression)
    try:
        return jmespath.search(query, plain(value))
    except JMESPathError as error:
        # Its message shows the place on lines of their own.
        raise AnsibleFilterError("select: %r: %s" % (query, " ".join(str(error).split()))) from error


class FilterModule:
    """Filter plugin."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"select": select}
