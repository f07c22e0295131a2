# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which hosts a play may work on."""

from __future__ import annotations

import fnmatch
import re
from typing import Any, Callable, Dict, List, Mapping, Sequence

from ansible.errors import AnsibleFilterError
from ansible.inventory.manager import InventoryManager, split_host_pattern
from ansible.parsing.dataloader import DataLoader

DOCUMENTATION = r"""
name: targets
short_description: Refuse a host pattern that names nobody
version_added: 0.1.0
description:
  - Returns the pattern. Fails when it selects no host of the inventory, and when a part of it selects the group C(all), as V(all), V(*) and V(~.*) do.
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
    """The pattern, when it selects at least one host, and not by a name that means all of them.

    Raises:
        AnsibleFilterError: it selects nobody, or everybody.
    """
    parts = [str(part) for part in pattern] if isinstance(pattern, (list, tuple)) else split_host_pattern(str(pattern))
    text = ",".join(parts)
    named = [part for part in parts if part and part[0] not in "!&"]
    for part in named:
        if _means_all(part):
            raise AnsibleFilterError(
                "miniecom_hosts is %r: these playbooks never run on all hosts. Name a group, usually miniecom." % text
            )
    # With exclusions alone ansible would begin from all hosts.
    if not named or not _selected(parts, groups):
        raise AnsibleFilterError(
            "no host to maintain: %r names no host of this inventory. Put the shop's hosts into the group miniecom of the "
            "inventory given with -i, or name another group with -e miniecom_hosts=GROUP." % text
        )
    return text


def _means_all(part: str) -> bool:
    """Whether a part of a pattern selects the group of all hosts, by its name or by a pattern that its name matches."""
    if part.startswith("~"):
        try:
            return re.match(part[1:], "all") is not None
        except re.error as error:
            raise AnsibleFilterError("miniecom_hosts: %r is no regular expression: %s" % (part, error)) from error
    return fnmatch.fnmatch("all", part)


def _selected(parts: List[str], groups: Mapping[str, Sequence[str]]) -> List[Any]:
    """The hosts that a pattern selects, as ansible itself reads it."""
    manager = InventoryManager(loader=DataLoader(), sources=None, parse=False)
    for group, hosts in groups.items():
        manager.groups.get(group) or manager.add_group(str(group))
        for host in hosts:
            manager.add_host(str(host), group=str(group))
    manager.reconcile_inventory()
    return list(manager.list_hosts(parts))


class FilterModule:
    """Filter plugin."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"targets": targets}
