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

from ..plugin_utils.command_line import Command, read_command, tags_of
from ..plugin_utils.known_names import OWN_VARIABLES, known_variables, meant, misspelt_tags, misspelt_variables

DOCUMENTATION = r"""
name: targets
short_description: Refuse a host pattern that names nobody, and a command that is misspelt
version_added: 0.1.0
description:
  - Returns the pattern. Fails when it selects no host of the inventory, and when a part of it selects the group C(all), as V(all), V(*) and V(~.*) do.
  - Without it, a play on an empty or misspelt group does nothing and ends with success, which in a scheduled job looks like maintenance.
  - For the same reason it fails, before anything is done anywhere, when C(--tags) or C(--skip-tags) name a tag that no task has, when C(--limit) names
    a host that the inventory does not know or leaves no host to maintain, and when C(-e) sets a variable that begins like one of this collection's
    and is none. The nearest right name is told.
  - Where a playbook of another origin runs, which may have tags and variables of its own, only what is nearly one of ours is refused. A name that is
    none of ours is let through by C(miniecom_own_variables), a list of names or patterns.
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

# Where Ansible puts the words of -e that follow a space and have no name of their own; it then passes over them.
_REST = "_raw_params"


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
    command = read_command()
    problems = _limit_problems(command, parts, groups) + _tag_problems(command) + _variable_problems(command)
    if problems:
        raise AnsibleFilterError("Nothing was done. " + " ".join(problems))
    return text


def _limit_problems(command: Command, parts: List[str], groups: Mapping[str, Sequence[str]]) -> List[str]:
    """What is wrong with --limit: Ansible passes over a part of it that names nobody."""
    problems: List[str] = []
    if not command.limit:
        return problems
    limits = split_host_pattern(command.limit)
    for part in limits:
        name = part.lstrip("!&")
        # A file of hosts, as a run that failed leaves it.
        if name and not name.startswith("@") and not _selected([name], groups):
            hosts = {str(host) for group in groups.values() for host in group}
            known = hosts | set(groups) - {"all", "ungrouped"}
            problems.append("--limit: %s is no host or group of this inventory. %s" % (name, meant(name, known)))
    if not problems and command.ours and not _selected(parts, groups, limits):
        problems.append("--limit %s leaves no host of %s to maintain." % (command.limit, ",".join(parts)))
    return problems


def _tag_problems(command: Command) -> List[str]:
    """What is wrong with --tags and --skip-tags."""
    if not command.tags - {"all"}:
        return []
    return misspelt_tags(command.tags, tags_of(command.playbooks), known_variables(), command.ours)


def _variable_problems(command: Command) -> List[str]:
    """What is wrong with the variables given by -e."""
    own = command.variables.get(OWN_VARIABLES) or []
    problems = misspelt_variables(set(command.variables) - {_REST}, known_variables(), own, command.ours)
    if command.ours and command.variables.get(_REST):
        problems.append(
            "-e: %s belongs to no variable. A value with spaces needs quotes of its own: -e \"NAME='some words'\"."
            % command.variables[_REST]
        )
    return problems


def _means_all(part: str) -> bool:
    """Whether a part of a pattern selects the group of all hosts, by its name or by a pattern that its name matches."""
    if part.startswith("~"):
        try:
            return re.match(part[1:], "all") is not None
        except re.error as error:
            raise AnsibleFilterError("miniecom_hosts: %r is no regular expression: %s" % (part, error)) from error
    return fnmatch.fnmatch("all", part)


def _selected(parts: List[str], groups: Mapping[str, Sequence[str]], limits: Sequence[str] = ()) -> List[Any]:
    """The hosts that a pattern selects, within the limits, as ansible itself reads it."""
    manager = InventoryManager(loader=DataLoader(), sources=None, parse=False)
    for group, hosts in groups.items():
        manager.groups.get(group) or manager.add_group(str(group))
        for host in hosts:
            manager.add_host(str(host), group=str(group))
    manager.reconcile_inventory()
    manager.subset(list(limits))
    return list(manager.get_hosts(parts))


class FilterModule:
    """Filter plugin."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"targets": targets}
