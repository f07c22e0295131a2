# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the description of a shop to what its backup must hold."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: backup_include
short_description: What a backup of a shop must hold beside the database
version_added: 0.1.0
description:
  - Turns the description by M(miniecom.maintenance.context_info) into the option O(miniecom.maintenance.mongo_backup#module:include).
  - Uploads, invoices and labels are taken from where they really are, which may be the writable layer of a container.
options:
  _input:
    description: The C(context) that M(miniecom.maintenance.context_info) returned.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Back up the shop
  miniecom.maintenance.mongo_backup:
    env_file: /opt/miniecom/.env
    dest: /opt/miniecom/storage/backups
    include: "{{ found.context | miniecom.maintenance.backup_include }}"
"""

RETURN = r"""
_value:
  description: A list of entries with C(name), C(path), C(optional) and, for what lies in a container only, C(container).
  type: list
  elements: dict
"""


def backup_include(context: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """Entries for mongo_backup.

    A directory that the shop has not made yet is optional; the environment file is not.
    """
    try:
        root, storage = str(context["root"]), context["storage"]
        entries: List[Dict[str, Any]] = []
        for name in ("uploads", "invoices", "labels"):
            place = storage[name]
            more: Dict[str, Any] = {"optional": True}
            if place.get("configured_by"):
                more["configured_by"] = str(place["configured_by"])
            if place.get("path"):
                entries.append({"name": name, "path": str(place["path"]), **more})
            elif place.get("container") and place.get("container_path"):
                entries.append(
                    {
                        "name": name,
                        "path": str(place["container_path"]),
                        "container": str(place["container"]),
                        **more,
                    }
                )
        entries.append({"name": ".env", "path": str(context["env_file"]), "optional": False})
        entries.append({"name": "docker-compose.yml", "path": root + "/docker-compose.yml", "optional": True})
        return entries
    except (KeyError, TypeError, AttributeError) as error:
        raise AnsibleFilterError("not a context of context_info: %s is missing" % error) from error


class FilterModule:
    """Filter plugin."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"backup_include": backup_include}
