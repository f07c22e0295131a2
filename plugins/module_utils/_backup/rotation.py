# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removing what no rule keeps: the steps of backup_prune."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, Iterator, Mapping, Optional, Tuple

from .._core.arguments import ArgumentSpec
from .._core.atomic_file import sync_directory
from .._core.call import Call
from .._core.errors import AbortPlan, MaintenanceError, SkipAction, from_os_error
from .._core.plan import Action, Outcome, Plan, Report, Results, Verification
from .._core.record import read_events
from .._core.runner import Task
from .._core.units import counted, format_size, parse_duration
from .catalogue import ArchiveId, archive_of, directory_lock, look_at, read_catalogue, sidecar_path
from .pruning import (
    RemoveBackup,
    RemoveRecord,
    RotationObservation,
    RotationPolicy,
    RotationWork,
    blocking_findings,
    kept_back,
    plan_rotation,
)
from .retention import Policy

KEEP = ("keep_last", "keep_daily", "keep_weekly", "keep_monthly")
RETENTION_ARGUMENTS = ArgumentSpec(
    {
        **{name: {"type": "int", "default": 0} for name in KEEP},
        "keep_within": {"type": "str", "default": "0"},
        "keep_tags": {"type": "list", "elements": "str", "default": []},
    }
)
# What these modules end with names the backup that they made, reused or tested.
_RELYING = ("mongo_backup", "mongo_restore", "recovery_drill")


def retention_policy(params: Mapping[str, Any]) -> Policy:
    """The rules in a module's options.

    Raises:
        MaintenanceError: a number is negative, or a duration is none.
    """
    negative = [name for name in KEEP if params[name] < 0]
    if negative:
        raise MaintenanceError(
            "a number to keep is negative", target=", ".join(negative), next_step="Use 0 to leave a rule out."
        )
    tags = tuple(frozenset(tag.strip() for tag in entry.split(",") if tag.strip()) for entry in params["keep_tags"])
    last, daily, weekly, monthly = (params[name] for name in KEEP)
    return Policy(last, daily, weekly, monthly, parse_duration(params["keep_within"]), tags)


def _without_mistakes(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options without any rule where one of the numbers is negative: without a rule nothing is removed."""
    if min(params[name] for name in KEEP) >= 0:
        return params
    # A span alone is a rule as well, and would remove what the number that was meant keeps.
    return {**params, **dict.fromkeys(KEEP, 0), "keep_within": "0"}


class BackupPrune(Task[RotationObservation]):
    """Remove what no rule keeps."""

    stop_on_failure = False

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        params = self.params
        self.policy = RotationPolicy(
            retention_policy(_without_mistakes(params) if params["negative"] == "keep_all" else params),
            parse_duration(params["require_verified"]),
            params["require_verified"],
            params["assume_verified"] and call.check,
            params["max_delete"],
            tuple(params["blocked_by"]),
            params["database"],
        )

    def observe(self) -> RotationObservation:
        return RotationObservation(read_catalogue(self.params["path"]), self._relied_on())

    def _relied_on(self) -> Tuple[str, ...]:
        """The backups in this directory that the options or the record of the run name."""
        paths = [str(path) for path in self.params["relied_on"]]
        if self.run.run_id:
            for event in read_events(self.run.state, self.run.run_id):
                summary = event.get("summary")
                if event.get("module") in _RELYING and event.get("event") == "ended" and isinstance(summary, dict):
                    paths.append(str(summary.get("path") or ""))
        here = os.path.realpath(self.params["path"])
        return tuple(os.path.basename(path) for path in paths if os.path.realpath(os.path.dirname(path)) == here)

    def plan(self, observation: RotationObservation, now: datetime) -> Plan[RotationWork]:
        return plan_rotation(observation, self.policy, now)

    def _remove_backup(self, action: Action[RemoveBackup], observation: RotationObservation) -> Outcome:
        with self._alone():
            _require_unchanged(action.work.relies_on)
            return remove_archive(action.work.archive)

    def _remove_record(self, action: Action[RemoveRecord], observation: RotationObservation) -> Outcome:
        with self._alone():
            if os.path.lexists(archive_of(action.work.path)):
                raise SkipAction("its backup is there now")
            unlink(action.work.path)
            return Outcome()

    handlers = {RemoveBackup: _remove_backup, RemoveRecord: _remove_record}

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with directory_lock(self.params["path"]) as free:
            if not free:
                raise MaintenanceError(
                    "a backup is being written to this directory",
                    target=self.params["path"],
                    next_step="Wait until it has ended and run again.",
                )
            yield

    def verify(
        self,
        observation: RotationObservation,
        plan: Plan[RotationWork],
        results: Results[RotationWork, RotationObservation],
    ) -> Verification[RotationObservation]:
        after = read_catalogue(self.params["path"])
        left = {backup.path for backup in after.backups}
        lost = [kept.target for kept in plan.kept if kept.target not in left]
        failure = None
        if lost:
            failure = MaintenanceError(
                "backups that were to be kept are gone",
                target=", ".join(lost[:5]),
                next_step="Something else deletes backups on this host: look for the shop's own jobs.",
            )
        return Verification(replace(observation, catalogue=after), failure)

    def report(
        self,
        observation: RotationObservation,
        plan: Plan[RotationWork],
        results: Results[RotationWork, RotationObservation],
    ) -> Report:
        removed = sum(isinstance(action.work, RemoveBackup) for action in results.effective)
        kept = len(observation.catalogue.backups) - removed
        findings = blocking_findings(plan, self.policy)
        verb = results.words("removed", "would remove")
        headline = "%s %s (%s), kept %d" % (verb, counted(removed, "backup"), format_size(results.bytes), kept)
        if findings:
            headline = (
                "%s nothing: %d backups that no rule keeps stay as long as the shop's own jobs delete backups beside us."
                " Switch them off, and the next run rotates: %s"
                % (verb, kept_back(plan), ", ".join(finding.target for finding in findings))
            )
        entries = [finding.as_dict() for finding in findings]
        return Report(
            headline,
            changed=bool(results.effective),
            summary={
                "removed": removed,
                "kept": kept,
                "bytes": results.bytes,
                "bytes_freed": results.bytes,
                "implausible": len(observation.catalogue.implausible),
                "blocked": bool(findings),
                "findings_total": len(findings),
            },
            values={"findings": entries},
            record={"findings": entries} if entries else {},
        )


def _require_unchanged(relied_on: Optional[ArchiveId]) -> None:
    """The newest verified backup of the plan is there as it was; without it nothing more may go."""
    if relied_on is None:
        return
    now = look_at(relied_on.path)
    if now is None or not now.verified or now.id != relied_on:
        raise AbortPlan(
            "the newest verified backup is gone, or has changed, or was proven not to restore meanwhile",
            target=relied_on.path,
            next_step="Nothing more was removed. Something else works in this directory: look for the shop's own jobs.",
        )


def remove_archive(archive: ArchiveId) -> Outcome:
    """Remove an archive, if it still is the file that was planned for, and its record.

    Raises:
        SkipAction: it is gone, or another file stands there.
        MaintenanceError: the system refuses.
    """
    try:
        status = os.lstat(archive.path)
    except FileNotFoundError:
        raise SkipAction("it is gone already") from None
    seen = ArchiveId(archive.path, status.st_ino, status.st_size, status.st_mtime_ns)
    if not stat.S_ISREG(status.st_mode) or seen != archive:
        raise SkipAction("it has changed since planning")
    unlink(archive.path)
    note = ""
    try:
        os.unlink(sidecar_path(archive.path))
    except FileNotFoundError:
        pass
    except OSError as error:
        # The backup is gone: that its record stays costs nothing, and the next call tries again.
        note = "its record could not be removed (%s)" % (error.strerror or error)
    sync_directory(os.path.dirname(archive.path))
    # A file with other names (hard links) frees nothing yet.
    return Outcome(archive.size if status.st_nlink == 1 else 0, note)


def unlink(path: str) -> None:
    """Remove a file. Raises SkipAction: it is gone. Raises MaintenanceError: the system refuses."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        raise SkipAction("it is gone already") from None
    except OSError as error:
        raise from_os_error(
            "cannot remove the file",
            error,
            target=path,
            next_step="Run as its owner or as root (become: true); chattr +i also forbids it.",
        ) from error
