#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep daily, weekly and monthly backups, remove the others."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_prune
short_description: Rotate the backups of a MiniEcom shop
version_added: 0.1.0
description:
  - Keeps the last, daily, weekly and monthly backups by the date in their names and removes the others, each with a reason.
  - A rule that keeps N of a period looks at the newest N periods (days, ISO weeks, months) in which there is a backup at all, so that a pause in the
    backups ages nothing away. Of a day the newest backup is kept, of a week and a month the oldest. A verified backup is preferred to one that is not.
  - Of the verified backups of one day, week or month one that lacks parts (uploads that were absent, a directory without a file) never takes the
    place of one that has them. Where only a backup without them is kept, the newest of the same period that has them stays as well.
  - An archive counts by its content. A file that has the name of a backup but is empty, does not begin as a gzip file (or one of openssl) with
    a tar in it, or is cut short, takes no place in any rule. It stays, with a warning. So does one that was proven not to restore.
  - A backup that is known to lack files of the shop pushes no complete one out. A rule that keeps N of a period keeps the newest N, and beside them the
    newest N in which there is a complete backup, where those are others.
  - Looks only at files named C(YYYYmmdd_HHMMSS.tar.gz) or C(YYYYmmdd_HHMMSS.tar.gz.enc) directly in O(path). Directories, links, archives kept by hand
    under other names and everything in subdirectories are never touched.
  - The newest backup, the newest verified one and the newest verified one that lacks nothing are never removed,
    nor is one dated in the future. Without any of the keep options nothing is removed.
  - Each file is looked at again right before it goes; one that has changed since planning stays. Before each removal the newest verified backup must
    still be there, unchanged and verified; else the module stops and fails.
options:
  path:
    description: Directory with the backups.
    type: path
    required: true
  database:
    description:
      - Only backups of this database count. A backup whose record names another one takes no part in the rules, is no proof that there is
        a verified one, and stays.
      - A backup without a record, such as the shop's own script makes, is taken for one of this database.
      - By default all backups in O(path) are taken for those of one shop; when their records name more than one database, the module fails before
        it removes anything.
    type: str
  require_verified:
    description:
      - Fail, and remove nothing, unless there is a verified backup younger than this. V(0) asks for none.
    type: str
    default: 48h
  assume_verified:
    description:
      - Assume that a verified backup will have been made before. Honoured in check mode only, where the backup before this step was not really made;
        what relies on it says so in C(assumes) of its RV(plan) entry.
      - The assumed backup counts in the rules, unless there is a verified one younger than 20 hours, which would be reused.
    type: bool
    default: false
  max_delete:
    description:
      - Fail, and remove nothing, when more backups than this would go. By default there is no limit.
    type: int
  relied_on:
    description:
      - Backups that this run has relied on, by their paths. They stay, whatever the rules say.
      - With O(run_id) the backups that M(miniecom.maintenance.mongo_backup) made or reused and M(miniecom.maintenance.mongo_restore) tested in the
        same run are among them by themselves; check mode, which leaves no record, knows them only from here.
    type: list
    elements: path
    default: []
  blocked_by:
    description:
      - The shop's own jobs that delete backups, too, and are active, as M(miniecom.maintenance.context_info) finds them.
      - While there is one, nothing is removed, and each is a finding.
    type: list
    elements: str
    default: []
  negative:
    description:
      - What to do where O(keep_last), O(keep_daily), O(keep_weekly) or O(keep_monthly) is negative, which is a mistake.
      - With V(keep_all) none of the four counts, nor does O(keep_within), so that nothing is removed.
    type: str
    choices: [fail, keep_all]
    default: fail
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.retention
  - miniecom.maintenance.run
seealso:
  - module: miniecom.maintenance.mongo_backup
  - module: miniecom.maintenance.backup_info
author:
  - miniecom.maintenance contributors (@miniecom)
"""

EXAMPLES = r"""
- name: Keep 14 days, 12 weeks and 12 months
  miniecom.maintenance.backup_prune:
    path: /opt/miniecom/storage/backups
    keep_daily: 14
    keep_weekly: 12
    keep_monthly: 12

- name: See what would go and why
  miniecom.maintenance.backup_prune:
    path: /opt/miniecom/storage/backups
    keep_daily: 14
    assume_verified: true
  check_mode: true
  diff: true

- name: Keep all of the last 30 days, and what was made before an update
  miniecom.maintenance.backup_prune:
    path: /opt/miniecom/storage/backups
    keep_within: 30d
    keep_tags: [pre-update]

- name: Keep the last ten copies on another disk, where nothing was verified by us
  miniecom.maintenance.backup_prune:
    path: /mnt/offsite
    keep_last: 10
    require_verified: "0"
    max_delete: 5
"""

RETURN = r"""
plan:
  description: What was to be removed, oldest first; the same in check mode.
  returned: always
  type: list
  elements: dict
  sample: [{"action": "remove_backup", "target": "/srv/backups/20250101_020000.tar.gz", "reason": "older than the 14 kept days", "bytes": 41943040}]
kept:
  description: What was kept, each with every rule that keeps it.
  returned: always
  type: list
  elements: dict
  sample: [{"target": "/opt/miniecom/storage/backups/20261101_020000.tar.gz", "reason": "monthly 1 of 12: oldest of the month 2026-11"}]
actions:
  description: What was removed, with the bytes freed.
  returned: always
  type: list
  elements: dict
counts:
  description: Totals of the lists, which are cut at 200 entries.
  returned: always
  type: dict
findings:
  description: One for each job in O(blocked_by) that kept backups from being removed.
  returned: always
  type: list
  elements: dict
summary:
  description: The few numbers.
  returned: always
  type: dict
  contains:
    headline: {description: One sentence., type: str}
    removed: {description: How many backups were (in check mode would be) removed., type: int}
    kept: {description: How many stay., type: int}
    bytes: {description: Bytes freed (in check mode to be freed)., type: int}
    bytes_freed: {description: The same., type: int}
    implausible: {description: How many files have the name of a backup and cannot be one., type: int}
    blocked: {description: Whether jobs of the shop stood in the way., type: bool}
    findings_total: {description: How many findings; none of them counts as news., type: int}
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._backup.rotation import RETENTION_ARGUMENTS, BackupPrune
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run

SPEC = (
    ArgumentSpec(
        {
            "path": {"type": "path", "required": True},
            "database": {"type": "str"},
            "require_verified": {"type": "str", "default": "48h"},
            "assume_verified": {"type": "bool", "default": False},
            "max_delete": {"type": "int"},
            "relied_on": {"type": "list", "elements": "path", "default": []},
            "blocked_by": {"type": "list", "elements": "str", "default": []},
            "negative": {"type": "str", "choices": ["fail", "keep_all"], "default": "fail"},
        }
    )
    + RETENTION_ARGUMENTS
    + RUN_ARGUMENTS
)


def main() -> None:
    run(BackupPrune, SPEC)


if __name__ == "__main__":
    main()
