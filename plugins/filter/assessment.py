# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a first look at a shop comes to, in ten lines."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.units import format_duration

DOCUMENTATION = r"""
name: assessment
short_description: A first look at a shop in ten lines
version_added: 0.1.0
description:
  - Turns the results of the read-only modules into the lines that the playbook C(assess) prints.
  - A result that is missing or failed becomes a line that says so.
options:
  _input:
    description: Name of the host.
    type: str
    required: true
  context:
    description: The C(context) of M(miniecom.maintenance.context_info).
    type: dict
    required: true
  mongo:
    description: Result of M(miniecom.maintenance.mongo_info).
    type: dict
    required: true
  docker:
    description: Result of M(miniecom.maintenance.docker_usage_info).
    type: dict
    required: true
  disk:
    description: Result of M(miniecom.maintenance.disk_usage_info).
    type: dict
    required: true
  backups:
    description: Result of M(miniecom.maintenance.backup_info).
    type: dict
    required: true
  flag:
    description: Result of M(miniecom.maintenance.maintenance_flag_info).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Print it
  miniecom.maintenance.maintenance_report:
    lines: "{{ inventory_hostname | miniecom.maintenance.assessment(found.context, mongo, docker, disk, backups, flag) }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""


def _unknown(result: Mapping[str, Any]) -> str:
    message = " ".join(str(result.get("msg") or result.get("skip_reason") or "not looked at").split())
    return "unknown: " + message


def _good(result: Mapping[str, Any]) -> bool:
    return bool(result) and not result.get("failed") and not result.get("skipped")


def _age(backup: Mapping[str, Any]) -> str:
    seconds = float(backup["age_hours"]) * 3600
    return format_duration(seconds) if seconds >= 60 else "less than a minute"


def _backup(backups: Mapping[str, Any]) -> str:
    if not _good(backups):
        return _unknown(backups)
    newest = backups.get("newest_verified")
    if newest:
        tested = newest.get("restore_tested")
        return "yes, %s, %s old, verified%s" % (
            newest["name"],
            _age(newest),
            ", restored on %s" % tested if tested else "; a restore was never tested",
        )
    any_backup = backups.get("newest")
    if any_backup:
        return "NOT PROVEN: %d backups, the newest %s old, none verified" % (
            backups["summary"]["backups"],
            _age(any_backup),
        )
    return "NO: there is no backup"


def _uploads(context: Mapping[str, Any]) -> str:
    lost = [name for name in ("uploads", "invoices", "labels") if context["storage"][name].get("in_writable_layer")]
    if lost:
        return "NO: %s lie in a container's writable layer and go with it" % ", ".join(lost)
    return "yes"


def _exposure(context: Mapping[str, Any]) -> str:
    exposed = context["mongo"].get("exposed") or []
    where = "EXPOSED on %s" % ", ".join(map(str, exposed)) if exposed else "reachable from this host only"
    quality = context.get("credentials_quality", "unknown")
    return "%s; credentials: %s" % (where, quality if quality == "strong" else str(quality).upper())


def _mongo(mongo: Mapping[str, Any]) -> str:
    if not _good(mongo):
        return _unknown(mongo)
    return str(mongo["summary"]["headline"])


def _docker(docker: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    if _good(docker):
        return str(docker["summary"]["headline"])
    if not context["docker"]["available"] and context["deployment"] == "native":
        return "not applicable: no engine on this host"
    if not context["docker"]["available"]:
        return "unknown: " + str(context["docker"]["reason"])
    return _unknown(docker)


def _disk(disk: Mapping[str, Any]) -> str:
    return str(disk["summary"]["headline"]) if _good(disk) else _unknown(disk)


def _jobs(context: Mapping[str, Any]) -> str:
    active = [job for job in context.get("jobs") or [] if job.get("active")]
    if not active:
        return "none"
    return "%d ACTIVE: %s" % (
        len(active),
        "; ".join("%s (%s, %s)" % (job["kind"], job["danger"].replace("_", " "), job["source"]) for job in active[:4]),
    )


def _next(backups: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    if any(job.get("active") for job in context.get("jobs") or []):
        return "switch the dangerous jobs off, then ansible-playbook miniecom.maintenance.backup"
    if not _good(backups) or not backups.get("newest_verified"):
        return "ansible-playbook miniecom.maintenance.backup"
    return "ansible-playbook miniecom.maintenance.weekly --check --diff"


def assessment(
    host: str,
    context: Mapping[str, Any],
    mongo: Mapping[str, Any],
    docker: Mapping[str, Any],
    disk: Mapping[str, Any],
    backups: Mapping[str, Any],
    flag: Mapping[str, Any],
) -> List[str]:
    """The ten lines."""
    rows = [
        (host, "MiniEcom in %s, %s" % (context["root"], context["deployment"])),
        ("restorable backup", _backup(backups)),
        ("uploads survive a recreate", _uploads(context)),
        ("MongoDB", _exposure(context)),
        ("MongoDB would give back", _mongo(mongo)),
        ("Docker would give back", _docker(docker, context)),
        ("disk", _disk(disk)),
        ("the shop's dangerous jobs", _jobs(context)),
        ("maintenance mode", str(flag["summary"]["headline"]) if _good(flag) else _unknown(flag)),
        ("next", _next(backups, context)),
    ]
    width = max(len(name) for name, _text in rows)
    return ["%s  %s" % (name.ljust(width), text) for name, text in rows]


class FilterModule:
    """Filter plugin."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"assessment": assessment}
