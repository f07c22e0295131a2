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
  - Looks only at files named C(YYYYmmdd_HHMMSS.tar.gz) or C(YYYYmmdd_HHMMSS.tar.gz.enc) directly in O(path). Directories, links, archives kept by hand
    under other names and everything in subdirectories are never touched.
  - The newest verified backup is never removed, nor is one dated in the future. Without any of the keep options nothing is removed.
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
  keep_last:
    description: Keep this many of the newest backups, whatever their dates.
    type: int
    default: 0
  keep_daily:
    description: Keep one backup of each of this many days.
    type: int
    default: 0
  keep_weekly:
    description: Keep one backup of each of this many weeks.
    type: int
    default: 0
  keep_monthly:
    description: Keep one backup of each of this many months.
    type: int
    default: 0
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
  blocked_by:
    description:
      - The shop's own jobs that delete backups, too, and are active, as M(miniecom.maintenance.context_info) finds them.
      - While there is one, nothing is removed, and each is a finding.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
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
    blocked: {description: Whether jobs of the shop stood in the way., type: bool}
    findings: {description: How many findings., type: int}
"""

import errno
import os
import stat
from datetime import datetime
from typing import Any, Dict, List, Optional, Tuple

from ..module_utils._backup.catalogue import Backup, Catalogue, directory_lock, look_at, read_catalogue, sidecar_path
from ..module_utils._backup.pruning import Wishes, plan_prune
from ..module_utils._backup.retention import Policy
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.atomic_file import sync_directory
from ..module_utils._core.errors import MaintenanceError, SkipAction
from ..module_utils._core.finding import Finding
from ..module_utils._core.legacy_plan import Action, ActionResult, Outcome, Plan
from ..module_utils._core.legacy_runner import Task, run
from ..module_utils._core.units import format_size, parse_duration

KEEP = ("keep_last", "keep_daily", "keep_weekly", "keep_monthly")

SPEC = (
    ArgumentSpec(
        {
            "path": {"type": "path", "required": True},
            "database": {"type": "str"},
            "keep_last": {"type": "int", "default": 0},
            "keep_daily": {"type": "int", "default": 0},
            "keep_weekly": {"type": "int", "default": 0},
            "keep_monthly": {"type": "int", "default": 0},
            "require_verified": {"type": "str", "default": "48h"},
            "assume_verified": {"type": "bool", "default": False},
            "max_delete": {"type": "int"},
            "blocked_by": {"type": "list", "elements": "str", "default": []},
        }
    )
    + RUN_ARGUMENTS
)


class BackupPrune(Task[Catalogue]):
    """Remove what no rule keeps."""

    stop_on_failure = False

    def __init__(self, module: Any) -> None:
        super().__init__(module)
        self._findings: List[Finding] = []

    def observe(self) -> Catalogue:
        negative = [name for name in KEEP if self.params[name] < 0]
        if negative:
            raise MaintenanceError(
                "a number to keep is negative", target=", ".join(negative), next_step="Use 0 to leave a rule out."
            )
        return read_catalogue(self.params["path"])

    def plan(self, observation: Catalogue, now: datetime) -> Plan:
        params = self.params
        wishes = Wishes(
            Policy(*(params[name] for name in KEEP)),
            parse_duration(params["require_verified"]),
            params["require_verified"],
            params["assume_verified"] and self.module.check_mode,
            params["max_delete"],
            tuple(params["blocked_by"]),
            params["database"],
        )
        plan, self._findings = plan_prune(observation, wishes, now)
        return plan

    def act(self, action: Action) -> Outcome:
        with directory_lock(self.params["path"]) as free:
            if not free:
                raise MaintenanceError(
                    "a backup is being written to this directory",
                    target=self.params["path"],
                    next_step="Wait until it has ended and run again.",
                )
            if action.action == "remove_record":
                return self._remove_record(action.target)
            self._require_relied(action.data["relied"])
            return self._remove(action.data["backup"])

    def _require_relied(self, relied: Optional[Backup]) -> None:
        """The newest verified backup of the plan is there as it was; without it nothing more may go."""
        if relied is None:
            return
        now = look_at(relied.path)
        if now is None or not now.verified or _identity(now) != _identity(relied):
            self.stop_on_failure = True
            raise MaintenanceError(
                "the newest verified backup is gone, or has changed, or was proven not to restore meanwhile",
                target=relied.path,
                next_step="Nothing more was removed. Something else works in this directory: look for the shop's own jobs.",
            )

    def _remove(self, backup: Backup) -> Outcome:
        try:
            status = os.lstat(backup.path)
        except FileNotFoundError:
            raise SkipAction("it is gone already") from None
        seen = (status.st_ino, status.st_size, status.st_mtime_ns)
        if not stat.S_ISREG(status.st_mode) or seen != _identity(backup):
            raise SkipAction("it has changed since planning")
        _unlink(backup.path)
        note = ""
        try:
            os.unlink(sidecar_path(backup.path))
        except FileNotFoundError:
            pass
        except OSError as error:
            # The backup is gone: that its record stays costs nothing, and the next call tries again.
            note = "its record could not be removed (%s)" % (error.strerror or error)
        sync_directory(os.path.dirname(backup.path))
        # A file with other names (hard links) frees nothing yet.
        return Outcome(bytes=backup.size if status.st_nlink == 1 else 0, note=note)

    def _remove_record(self, path: str) -> Outcome:
        archive = os.path.join(os.path.dirname(path), os.path.basename(path)[1 : -len(".verified.json")])
        if os.path.lexists(archive):
            raise SkipAction("its backup is there now")
        _unlink(path)
        return Outcome()

    def verify(self, observation: Catalogue, plan: Plan, results: List[ActionResult]) -> None:
        left = {backup.path for backup in read_catalogue(self.params["path"]).backups}
        lost = [kept.target for kept in plan.kept if kept.target not in left]
        if lost:
            raise MaintenanceError(
                "backups that were to be kept are gone",
                target=", ".join(lost[:5]),
                next_step="Something else deletes backups on this host: look for the shop's own jobs.",
            )

    def summary(self, observation: Catalogue, plan: Plan, results: Optional[List[ActionResult]]) -> Dict[str, Any]:
        if results is None:
            removed = [action for action in plan.actions if action.action == "remove_backup"]
            count, size = len(removed), sum(action.bytes for action in removed)
        else:
            done = [result for result in results if result.status == "done" and result.action.action == "remove_backup"]
            count, size = len(done), sum(result.bytes for result in done)
        kept = len(observation.backups) - count
        blocked = bool(self._findings)
        headline = "%s %d backups (%s), kept %d" % (
            "would remove" if results is None else "removed",
            count,
            format_size(size),
            kept,
        )
        if blocked:
            headline = "%s nothing: %s would delete backups beside us" % (
                "would remove" if results is None else "removed",
                ", ".join(finding.target for finding in self._findings),
            )
        return {
            "headline": headline,
            "removed": count,
            "kept": kept,
            "bytes": size,
            "bytes_freed": size,
            "blocked": blocked,
            "findings": len(self._findings),
        }

    def extra(self, observation: Catalogue, plan: Plan, results: Optional[List[ActionResult]]) -> Dict[str, Any]:
        return {"findings": [finding.as_dict() for finding in self._findings]}


def _identity(backup: Backup) -> Tuple[int, int, int]:
    return (backup.inode, backup.size, backup.mtime_ns)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        raise SkipAction("it is gone already") from None
    except OSError as error:
        code = errno.errorcode.get(error.errno or 0, error.errno)
        raise MaintenanceError(
            "cannot remove the file",
            target=path,
            code=code,
            next_step="Run as its owner or as root (become: true); chattr +i also forbids it.",
        ) from error


def main() -> None:
    run(BackupPrune, SPEC)


if __name__ == "__main__":
    main()
