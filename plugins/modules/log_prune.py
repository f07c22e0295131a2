#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compress and remove old logs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: log_prune
short_description: Compress and remove old log files
version_added: 0.1.0
description:
  - Compresses logs that have not been written to for a while and removes those that are older still. It does not rotate; logrotate does.
  - A log that any process has open is left alone, whatever its age, since what the process writes next would be lost.
  - Only root sees what the processes of other users have open. Run without root, a log that somebody else could have open for writing (it belongs to
    another user, or its group or others may write to it) is left alone, with a warning. Logs that only the user of this task (and root) may write to are
    handled as usual, after the kernel has been asked whether anybody at all has them open for writing. Where it does not tell (on network file
    systems) and a process hides its open files, they are left alone as well.
  - A compressed copy is read back and compared before the original goes. A run killed at any moment leaves the original or a complete copy,
    and the next run finishes.
  - Only regular files directly in O(paths) are looked at; links are not followed.
options:
  paths:
    description: Directories with logs.
    type: list
    elements: path
    required: true
  patterns:
    description: Globs of file names that are logs.
    type: list
    elements: str
    default: ["*.log", "*.log.*", "*.log-*"]
  compress_after:
    description:
      - Age since the last write from which a log is compressed, such as V(7d).
      - Without it, or with V(0), nothing is compressed.
    type: str
  remove_after:
    description:
      - Age since the last write from which a log is removed, such as V(30d).
      - Without it, or with V(0), nothing is removed.
    type: str
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.run
author:
  - miniecom.maintenance contributors (@miniecom)
"""

EXAMPLES = r"""
- name: Compress logs after a week, remove them after a month
  miniecom.maintenance.log_prune:
    paths: /opt/miniecom/storage/logs
    compress_after: 7d
    remove_after: 30d

- name: See what would be compressed
  miniecom.maintenance.log_prune:
    paths: /opt/miniecom/storage/logs
    compress_after: 7d
  check_mode: true
  diff: true
"""

RETURN = r"""
plan:
  description: What was to be done; the same in check mode.
  returned: always
  type: list
  elements: dict
  sample: [{"action": "compress", "target": "/opt/miniecom/storage/logs/ops.log-20261101", "reason": "last written 9 d ago", "bytes": 900}]
kept:
  description: Logs that were left alone, each with the reason.
  returned: always
  type: list
  elements: dict
actions:
  description: What was done, with the bytes each action freed.
  returned: always
  type: list
  elements: dict
counts:
  description: Totals of the lists, which are cut at 200 entries.
  returned: always
  type: dict
summary:
  description: C(headline), C(bytes) and C(bytes_freed), C(compressed), C(removed).
  returned: always
  type: dict
"""

import gzip
import os
from typing import Any, BinaryIO, Dict, List, Optional

from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.atomic_file import atomic_writer, partial_name, sync_directory
from ..module_utils._core.errors import MaintenanceError, SkipAction
from ..module_utils._core.legacy_plan import Action, ActionResult, Outcome, Plan
from ..module_utils._core.legacy_runner import Task, run
from ..module_utils._core.units import format_size, parse_duration
from ..module_utils._logs.retention import (
    CHUNK,
    OPENED,
    UNSEEN,
    LogFile,
    Policy,
    compressed_name,
    in_use,
    plan_retention,
    scan,
)

SPEC = RUN_ARGUMENTS + ArgumentSpec(
    {
        "paths": {"type": "list", "elements": "path", "required": True},
        "patterns": {"type": "list", "elements": "str", "default": ["*.log", "*.log.*", "*.log-*"]},
        "compress_after": {"type": "str"},
        "remove_after": {"type": "str"},
    }
)


class LogPrune(Task[List[LogFile]]):
    """Compress and remove old logs."""

    stop_on_failure = False

    def observe(self) -> List[LogFile]:
        return scan(self.params["paths"], self.params["patterns"])

    def plan(self, observation: List[LogFile], now: Any) -> Plan:
        ages = [self.params[name] for name in ("compress_after", "remove_after")]
        # A retention of 0 days is far more often meant as "no limit" than as "remove every log".
        policy = Policy(*[(parse_duration(age) or None) if age else None for age in ages])
        return plan_retention(observation, policy, now)

    def act(self, action: Action) -> Outcome:
        log: LogFile = action.data["file"]
        self._recheck(log)
        try:
            if action.action == "compress":
                return Outcome(log.size - self._compress(log))
            os.unlink(log.path)
            sync_directory(os.path.dirname(log.path))
            return Outcome(log.size)
        except OSError as error:
            raise MaintenanceError(
                "cannot %s the log" % action.action,
                target=log.path,
                code=error.strerror,
                next_step="The log was left as it is.",
            ) from error

    def _recheck(self, log: LogFile) -> None:
        try:
            status = os.lstat(log.path)
        except FileNotFoundError:
            raise SkipAction("it is gone") from None
        if (status.st_dev, status.st_ino, status.st_size, status.st_mtime) != (
            log.device,
            log.inode,
            log.size,
            log.modified,
        ):
            raise SkipAction("it was written to or replaced since it was looked at")
        reason = in_use(log.path, status)
        if reason:
            raise SkipAction(reason + " since it was looked at" if reason == OPENED else reason)

    def _compress(self, log: LogFile) -> int:
        """Make the compressed copy, compare it, remove the original; returns the size of the copy in bytes."""
        target = compressed_name(log.path)
        if os.path.lexists(target):
            raise SkipAction("%s exists" % target)
        # Whoever may write to this directory could swap the log for a link at any moment and have root copy another file.
        with os.fdopen(os.open(log.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as source:
            status = os.fstat(source.fileno())
            if (status.st_dev, status.st_ino) != (log.device, log.inode):
                raise SkipAction("it was replaced since it was looked at")
            return self._copy(log, target, source, status)

    def _copy(self, log: LogFile, target: str, source: BinaryIO, status: os.stat_result) -> int:
        with atomic_writer(target, status.st_mode & 0o7777) as handle:
            with gzip.GzipFile(
                filename=os.path.basename(log.path), mode="wb", fileobj=handle, mtime=int(log.modified)
            ) as packed:
                while True:
                    chunk = source.read(CHUNK)
                    if not chunk:
                        break
                    packed.write(chunk)
            handle.flush()
            source.seek(0)
            with gzip.open(partial_name(target), "rb") as copy:
                while True:
                    left, right = source.read(CHUNK), copy.read(CHUNK)
                    if left != right:
                        raise MaintenanceError(
                            "the compressed copy differs", target=log.path, next_step="The log was left as it is."
                        )
                    if not left:
                        break
            self._recheck(log)
            if os.geteuid() == 0:
                os.fchown(handle.fileno(), status.st_uid, status.st_gid)
            size = os.fstat(handle.fileno()).st_size
            # The age decides about removal later: the copy is as old as its content.
            os.utime(handle.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
        self._recheck(log)
        os.unlink(log.path)
        sync_directory(os.path.dirname(log.path))
        return size

    def summary(self, observation: List[LogFile], plan: Plan, results: Optional[List[ActionResult]]) -> Dict[str, Any]:
        if results is None:
            counted = {verb: sum(action.action == verb for action in plan.actions) for verb in ("compress", "remove")}
            freed = plan.bytes
            template = "would compress %d and remove %d of %d logs (about %s)"
        else:
            done = [result for result in results if result.status == "done"]
            counted = {verb: sum(result.action.action == verb for result in done) for verb in ("compress", "remove")}
            freed = sum(result.bytes for result in done)
            template = "compressed %d and removed %d of %d logs (%s)"
        headline = template % (counted["compress"], counted["remove"], len(observation), format_size(freed))
        if not any(counted.values()):
            headline = "none of %d logs is old enough" % len(observation)
            if any(kept.reason == UNSEEN for kept in plan.kept):
                headline = "none of %d logs may be touched without root" % len(observation)
        return {
            "headline": headline,
            "bytes": freed,
            "bytes_freed": freed,
            "compressed": counted["compress"],
            "removed": counted["remove"],
        }


def main() -> None:
    run(LogPrune, SPEC)


if __name__ == "__main__":
    main()
