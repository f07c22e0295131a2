#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Switch the shop's own scheduled jobs off, and on again."""

from __future__ import annotations

DOCUMENTATION = r"""
module: shop_jobs
short_description: Switch the shop's own scheduled jobs off, and on again
version_added: 0.1.0
description:
  - Switches off those of the shop's own cron jobs and timers that M(miniecom.maintenance.context_info) reports as dangerous, since they prune, delete or
    restart beside this collection.
  - A line of a crontab becomes a comment that holds the line as it was, a script in C(/etc/cron.daily) and the like gets a name that run-parts passes over,
    a timer is stopped and the links that start it at boot are removed. Nothing is deleted, and nothing else in a file changes.
  - Everything is noted on the host before the first change, crontabs whole, so that all of it can be switched on again byte for byte.
  - What is neither a line of a crontab nor a timer, such as rules of tmpfiles.d and logrotate, is reported and left alone.
options:
  state:
    description:
      - V(off) switches off what is active.
      - V(restored) switches on again what this module has switched off and what still is as it left it.
    type: str
    choices: ["off", restored]
    required: true
  root:
    description: The shop's directory.
    type: path
    default: /opt/miniecom
  backups:
    description: Directories of its backups; C(storage/backups) is always one.
    type: list
    elements: path
    default: []
  names:
    description: Names of its databases and of its compose project.
    type: list
    elements: str
    default: []
  cron_paths:
    description: Files and directories to look for scheduled jobs in, instead of the system's own.
    type: list
    elements: path
  unknown:
    description: Whether jobs near the shop that were not understood are switched off as well.
    type: bool
    default: false
  undo:
    description: With O(state=restored), only what was switched off under this undo id or run id. By default everything.
    type: str
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.run
seealso:
  - module: miniecom.maintenance.context_info
    description: Finds the jobs.
  - module: miniecom.maintenance.schedule_jobs
    description: Runs the collection's own.
author:
  - miniecom.maintenance contributors (@miniecom)
"""

EXAMPLES = r"""
- name: See which jobs of the shop would be switched off
  miniecom.maintenance.shop_jobs:
    state: "off"
    root: /opt/miniecom
  check_mode: true

- name: Switch them off
  miniecom.maintenance.shop_jobs:
    state: "off"
    root: /opt/miniecom
    backups: "{{ [found.context.storage.backups.path] }}"

- name: Switch all of them on again
  miniecom.maintenance.shop_jobs:
    state: restored
"""

RETURN = r"""
plan:
  description: What was to be done; the same in check mode.
  returned: always
  type: list
  elements: dict
  sample:
    - action: switch_off
      target: "/etc/cron.d/miniecom:3 (rotate_backups.sh; 30 1 * * *)"
      reason: it works beside this collection
      bytes: 0
kept:
  description: Jobs that were left alone, each with the reason.
  returned: always
  type: list
  elements: dict
actions:
  description: What was done.
  returned: always
  type: list
  elements: dict
counts:
  description: Totals of the lists, which are cut at 200 entries.
  returned: always
  type: dict
undo_id:
  description: Under what the switched-off jobs were noted, for O(undo).
  returned: when jobs were switched off
  type: str
summary:
  description: C(headline), C(jobs_switched), and C(jobs_active), those that are active all the same.
  returned: always
  type: dict
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run
from ..module_utils._operations.shop_jobs import ShopJobs

SPEC = RUN_ARGUMENTS + ArgumentSpec(
    {
        "state": {"type": "str", "choices": ["off", "restored"], "required": True},
        "root": {"type": "path", "default": "/opt/miniecom"},
        "backups": {"type": "list", "elements": "path", "default": []},
        "names": {"type": "list", "elements": "str", "default": []},
        "cron_paths": {"type": "list", "elements": "path"},
        "unknown": {"type": "bool", "default": False},
        "undo": {"type": "str"},
    }
)


def main() -> None:
    run(ShopJobs, SPEC)


if __name__ == "__main__":
    main()
