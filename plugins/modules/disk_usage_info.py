#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: disk_usage_info
short_description: Tell how full file systems are, what fills them, and when they will be full
version_added: 1.0.0
author:
  - miniecom.maintenance contributors (@miniecom)
description:
  - Measures the file systems under the given paths, each once, in bytes and in inodes, and judges them by two thresholds.
  - Each real run keeps its measurement in O(state_dir); from three days on the module tells in how many days a file system will be full,
    by the median growth of the last 90 days; a single clean-up in that time does not upset it, and recurring ones are taken into account.
  - Finds the biggest directories below the paths in one pass on the same file system.
  - It reports and never fails because a disk is full; RV(status) is for the playbook to judge. Where O(state_dir) itself has no room, the
    measurement is not kept, and a warning says so.
extends_documentation_fragment:
  - miniecom.maintenance.attributes.info
  - miniecom.maintenance.run
attributes:
  check_mode:
    details: The measurement is not kept.
options:
  paths:
    description: Paths whose file systems are measured. For one that does not exist the nearest directory above it is taken.
    type: list
    elements: path
    required: true
  warn:
    description: Percent of bytes or inodes in use from which the status is V(warn). By default C(DISK_WARN_PCT) of O(env_file), else 80.
    type: float
  critical:
    description: Percent of bytes or inodes in use from which the status is V(critical). By default C(DISK_CRITICAL_PCT) of O(env_file), else 90.
    type: float
  env_file:
    description: The shop's environment file, for the thresholds only. When it cannot be read, a warning says so.
    type: path
  largest:
    description: How many of the biggest directories to tell; V(0) leaves the search out.
    type: int
    default: 10
  time_limit:
    description: How long to search for the biggest directories at most, as in V(2m); what was seen until then is told.
    type: str
    default: 60s
"""

EXAMPLES = r"""
- name: Look at the disks of a shop
  miniecom.maintenance.disk_usage_info:
    paths: [/opt/miniecom, /var/lib/docker, /opt/miniecom/storage/backups]
    env_file: /opt/miniecom/.env
  register: disk

- name: Fail when a disk is critical or will be full within a week
  ansible.builtin.assert:
    that:
      - disk.status != 'critical'
      - disk.summary.days_until_full is none or disk.summary.days_until_full > 7

- name: Measure only, without looking for what fills the disk
  miniecom.maintenance.disk_usage_info:
    paths: [/]
    largest: 0
    warn: 70
    critical: 85
"""

RETURN = r"""
status:
  description: The worst of all file systems, V(ok), V(warn) or V(critical).
  returned: always
  type: str
filesystems:
  description:
    - One entry for each file system. C(percent_used) counts as C(df) does; C(inodes_total) is 0 where there is no fixed number.
    - C(days_until_full) is null where it does not fill or is not known; C(forecast) says which, and what it rests on.
  returned: always
  type: list
  elements: dict
  sample:
    - mount_point: /
      paths: [/opt/miniecom]
      status: ok
      reason: 61.2 % of bytes, 12.0 % of inodes in use
      bytes_total: 53687091200
      bytes_used: 30857496985
      bytes_available: 19581136117
      percent_used: 61.2
      inodes_total: 3276800
      inodes_used: 393216
      percent_inodes_used: 12.0
      days_until_full: 83.4
      forecast: {bytes_per_day: 234881024, inodes_per_day: 1200.0, samples: 31, span_days: 30.0, reason: ""}
largest:
  description:
    - The biggest directories with all that is below them, the biggest first. C(bytes_allocated) is what they take on disk,
      C(bytes_apparent) the length of the files. A directory that holds hardly anything beside one subdirectory is left out in favour of that.
  returned: always
  type: list
  elements: dict
  sample: [{path: /opt/miniecom/storage/backups, bytes_allocated: 8589934592, bytes_apparent: 8589900000, files: 42}]
thresholds:
  description: The thresholds in percent, and where each came from.
  returned: always
  type: dict
  sample: {warn: 80.0, critical: 90.0, warn_from: DISK_WARN_PCT, critical_from: default}
summary:
  description: The numbers a person wants.
  returned: always
  type: dict
  sample: {headline: "ok: / is 61.2 % full, full in 83 days", status: ok, percent_used: 61.2, bytes_available: 19581136117, days_until_full: 83.4}
"""

from typing import Any, Dict, List, Mapping, Optional, Tuple

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core import dotenv
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.clock import utc_now
from ..module_utils._core.errors import MaintenanceError
from ..module_utils._core.finding import printable
from ..module_utils._core.legacy_runner import run_info
from ..module_utils._core.run_context import RunContext
from ..module_utils._core.units import format_size, parse_duration
from ..module_utils._core.walker import outermost
from ..module_utils._host import disk
from ..module_utils._host.usage import biggest

SPEC = (
    ArgumentSpec(
        {
            "paths": {"type": "list", "elements": "path", "required": True},
            "warn": {"type": "float"},
            "critical": {"type": "float"},
            "env_file": {"type": "path"},
            "largest": {"type": "int", "default": 10},
            "time_limit": {"type": "str", "default": "60s"},
        }
    )
    + RUN_ARGUMENTS
)
DEFAULTS = {"warn": ("DISK_WARN_PCT", 80.0), "critical": ("DISK_CRITICAL_PCT", 90.0)}


def thresholds(params: Mapping[str, Any], settings: Mapping[str, str]) -> Dict[str, Any]:
    """The two thresholds and where they came from. Pure.

    Raises:
        MaintenanceError: one is no percentage, or they are in the wrong order.
    """
    found: Dict[str, Any] = {}
    for name, (key, default) in DEFAULTS.items():
        value, source = params[name], "option"
        if value is None and settings.get(key, "").strip():
            source = key
            try:
                value = float(settings[key].strip().rstrip("%"))
            except ValueError as error:
                raise MaintenanceError(
                    "not a percentage",
                    target="%s=%s" % (key, settings[key]),
                    next_step="Correct it in the environment file.",
                ) from error
        elif value is None:
            value, source = default, "default"
        if not 0 < value <= 100:
            raise MaintenanceError(
                "not a percentage", target="%s: %s" % (name, value), next_step="Give a number above 0 and up to 100."
            )
        found[name], found[name + "_from"] = float(value), source
    if found["warn"] > found["critical"]:
        raise MaintenanceError(
            "the threshold for a warning is above the critical one",
            target="warn %(warn)g (%(warn_from)s), critical %(critical)g (%(critical_from)s)" % found,
            next_step="Set warn and critical so that warn is the lower one.",
        )
    return found


def describe(
    system: disk.FileSystem, limits: Mapping[str, Any], byte: disk.Forecast, inode: disk.Forecast
) -> Dict[str, Any]:
    """One file system as it is returned. Pure."""
    inodes = system.percent_inodes_used
    status = disk.worst(
        disk.judge_usage(used, limits["warn"], limits["critical"]) for used in (system.percent_used, inodes)
    )
    known = [days for days in (byte.days_until_full, inode.days_until_full) if days is not None]
    return {
        "mount_point": printable(system.mount_point),
        "paths": [printable(path) for path in system.paths],
        "status": status,
        "reason": "%.1f %% of bytes%s in use"
        % (system.percent_used, "" if inodes is None else ", %.1f %% of inodes" % inodes),
        "bytes_total": system.bytes_total,
        "bytes_used": system.bytes_used,
        "bytes_available": system.bytes_available,
        "percent_used": system.percent_used,
        "inodes_total": system.inodes_total,
        "inodes_used": system.inodes_used,
        "percent_inodes_used": inodes,
        "days_until_full": round(min(known), 1) if known else None,
        "forecast": {
            "bytes_per_day": None if byte.per_day is None else int(byte.per_day),
            "inodes_per_day": None if inode.per_day is None else round(inode.per_day, 1),
            "samples": byte.samples,
            "span_days": byte.span_days,
            "reason": "" if known else byte.reason,
        },
    }


def headline(systems: List[Dict[str, Any]], status: str) -> Tuple[str, Dict[str, Any]]:
    """One sentence on the file system that needs attention first, and that file system. Pure."""
    first = max(
        systems,
        key=lambda item: (
            disk.STATUSES.index(item["status"]),
            max(item["percent_used"], item["percent_inodes_used"] or 0.0),
        ),
    )
    text = "%s: %s is %.1f %% full, %s available" % (
        status,
        first["mount_point"],
        first["percent_used"],
        format_size(first["bytes_available"]),
    )
    if (first["percent_inodes_used"] or 0.0) > first["percent_used"]:
        text = "%s: %s has %.1f %% of its inodes in use" % (status, first["mount_point"], first["percent_inodes_used"])
    filling = [item for item in systems if item["days_until_full"] is not None]
    if filling:
        soonest = min(filling, key=lambda item: item["days_until_full"])
        place = "" if soonest is first else "%s " % soonest["mount_point"]
        text += ", %sfull in %d days" % (place, soonest["days_until_full"])
    elif first["forecast"]["bytes_per_day"] is not None:
        text += ", not filling"
    else:
        text += ", days until full not known yet (%s)" % first["forecast"]["reason"]
    return text, first


def disk_usage_info(module: AnsibleModule, context: RunContext) -> Dict[str, Any]:
    params = module.params
    warnings: List[str] = []
    settings: Dict[str, str] = {}
    if params["env_file"] and (params["warn"] is None or params["critical"] is None):
        try:
            settings = dotenv.load(params["env_file"])
        except MaintenanceError as error:
            warnings.append("%s The built-in thresholds are used." % error)
    limits = thresholds(params, settings)
    seconds = parse_duration(params["time_limit"])
    if not params["paths"]:
        raise MaintenanceError("no paths to measure", next_step="Set paths.")
    now = utc_now()
    systems = disk.measure(params["paths"])
    history = disk.History(context.state_dir)
    known = history.load()
    described = []
    for system in systems:
        past = known.get(system.mount_point, []) + [disk.Sample(now, system.bytes_used, system.inodes_used)]
        byte = disk.forecast([(item.at, item.bytes_used) for item in past], system.bytes_available, now)
        inode = disk.Forecast(None, None, 0, 0.0)
        if system.inodes_total:
            left = system.inodes_total - system.inodes_used
            inode = disk.forecast([(item.at, item.inodes_used) for item in past], left, now)
        described.append(describe(system, limits, byte, inode))
    largest, entries = _largest(params, seconds, warnings)
    if not context.check:
        try:
            history.add(systems, now)
        except disk.HistoryFull as error:
            warnings.append("this measurement is not kept: %s" % error)
    status = disk.worst(item["status"] for item in described)
    text, first = headline(described, status)
    days: List[Optional[float]] = [item["days_until_full"] for item in described if item["days_until_full"] is not None]
    return {
        "status": status,
        "filesystems": described,
        "largest": largest,
        "thresholds": limits,
        "warnings": warnings,
        "summary": {
            "headline": text,
            "status": status,
            "percent_used": first["percent_used"],
            "percent_inodes_used": first["percent_inodes_used"],
            "bytes_available": first["bytes_available"],
            "days_until_full": min(day for day in days if day is not None) if days else None,
            "entries": entries,
        },
    }


def _largest(params: Mapping[str, Any], seconds: float, warnings: List[str]) -> Tuple[List[Dict[str, Any]], int]:
    if params["largest"] <= 0:
        return [], 0
    roots = [path for path in outermost(params["paths"]) if disk.existing_parent(path) == path]
    found, entries = [], 0
    for root in roots:
        try:
            usage = biggest(root, params["largest"], seconds / max(1, len(roots)))
        except OSError as error:
            warnings.append("cannot look for big directories below %s: %s" % (printable(root), error.strerror))
            continue
        entries += usage.entries
        found += usage.largest
        if not usage.complete:
            warnings.append("the search for big directories below %s ran out of time (time_limit)" % printable(root))
        if usage.unreadable:
            warnings.append("%d directories below %s could not be read" % (usage.unreadable, printable(root)))
    found.sort(key=lambda item: (-item.allocated, item.path))
    return [item.as_dict() for item in found[: params["largest"]]], entries


def main() -> None:
    run_info(disk_usage_info, SPEC)


if __name__ == "__main__":
    main()
