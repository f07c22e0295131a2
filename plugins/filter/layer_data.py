# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the description of a shop to what of its data may lie in a container's writable layer."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: layer_data
short_description: What is data where it lies in the writable layer of a container
version_added: 0.1.0
description:
  - Turns the description by M(miniecom.maintenance.context_info) into the option O(miniecom.maintenance.compose_update#module:data).
options:
  _input:
    description: The C(context) that M(miniecom.maintenance.context_info) returned.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Update the shop and keep what customers have uploaded
  miniecom.maintenance.compose_update:
    action: update
    data: "{{ found.context | miniecom.maintenance.layer_data }}"
"""

RETURN = r"""
_value:
  description: A list of entries with C(service) and C(path).
  type: list
  elements: dict
"""


def layer_data(context: Mapping[str, Any]) -> List[Dict[str, str]]:
    """Entries for compose_update, each place once."""
    try:
        compose = context.get("compose") or {}
        services = {
            str(container["name"]): str(service)
            for service, containers in (compose.get("containers") or {}).items()
            for container in containers
        }
        found: List[Dict[str, str]] = []
        for place in context["storage"].values():
            inside = str(place.get("container_path") or "")
            service = services.get(str(place.get("container") or ""), "")
            entry = {"service": service, "path": inside}
            if service and inside and entry not in found:
                found.append(entry)
        return found
    except (KeyError, TypeError, AttributeError) as error:
        raise AnsibleFilterError("not a context of context_info: %s is missing" % error) from error


class FilterModule:
    """Filter plugin."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"layer_data": layer_data}
