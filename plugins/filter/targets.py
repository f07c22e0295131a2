# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which hosts a play may work on."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Mapping, Sequence

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: targets
short_description: Refuse a host pattern that names nobody
version_added: 0.1.0
description:
  - Returns the pattern unchanged. Fails when no part of it names a group with hosts or a host of the inventory, and when it is V(all) or V(*).
  - Without it, a play on an empty or misspelt group does nothing and ends with success, which in a scheduled job looks like maintenance.
options:
  _input:
    description: A host pattern.
    type: str
    required: true
  groups:
    description: The inventory's groups, the magic variable C(groups).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Maintain the shops
  hosts: "{{ miniecom_hosts | default('miniecom') | miniecom.maintenance.targets(groups) }}"
  tasks: []
"""

RETURN = r"""
_value:
  description: The pattern.
  type: str
"""


def targets(pattern: Any, groups: Mapping[str, Sequence[str]]) -> str:
    """The pattern, when it names at least one host.

    Raises:
        AnsibleFilterError: it names nobody, or everybody.
    """
    text = ",".join(str(part) for part in pattern) if isinstance(pattern, (list, tuple)) else str(pattern)
    parts = [part.strip() for part in re.split(r"[,:](?![^\[]*\])", text) if part.strip()]
    positive = [part for part in parts if part[0] not in "!&"]
    hosts = set(groups.get("all", ()))
    for part in positive:
        if part in ("all", "*"):
            raise AnsibleFilterError(
                "miniecom_hosts is %r: these playbooks never run on all hosts. Name a group, usually miniecom." % text
            )
        if re.search(r"[*?\[~]", part) or groups.get(part) or part in hosts:
            return text
    raise AnsibleFilterError(
        "no host to maintain: %r names no host of this inventory. Put the shop's hosts into the group miniecom of the "
        "inventory given with -i, or name another group with -e miniecom_hosts=GROUP." % text
    )


class FilterModule:
    """Filter plugin."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"targets": targets}
