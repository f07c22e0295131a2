#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: disk_usage_info
short_description: Tell how full file systems are, what fills them, and when they will be full
version_added: 0.1.0
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

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run_info
from ..module_utils._host.disk_report import read_disk_usage

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


def main() -> None:
    run_info(read_disk_usage, SPEC)


if __name__ == "__main__":
    main()
