# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which backups to remove. Pure: a catalogue and options in, a plan out; what may not be removed is said, too."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime
from typing import Any, List, Optional, Sequence, Tuple, Union

from .._core.errors import MaintenanceError
from .._core.finding import KNOWN, Finding, fingerprint
from .._core.late_dataclass import dataclass
from .._core.plan import Action, Kept, Plan, refuse_above
from .._core.units import format_duration
from .catalogue import ArchiveId, Backup, Catalogue
from .retention import Item, Policy, decide_retention

# In check mode the backup that this run would make counts as made, unless mongo_backup would reuse one that is there:
# this is the default of its option fresh_within.
REUSED_WITHIN = 20 * 3600
ASSUMED_NAME = "(the backup that this run would make)"
ASSUMPTION = "a verified backup made by this run"
_BLOCKED = "nothing is removed while "
# The subject of these findings is the name of a job, which is shown beside them: there is nothing to hide by a host's own
# key, and with this one a finding has the same id in check mode, in a real run, and on every host.
_FINGERPRINT_KEY = b"miniecom.maintenance.backup_prune"


@dataclass(frozen=True)
class RotationPolicy:
    """The options that decide.

    Attributes:
        keep: how many backups of which periods.
        require_verified: seconds; 0 asks for nothing.
        assume_verified: check mode only: a verified backup will have been made by then.
        max_delete: None sets no limit.
        blocked_by: the shop's own jobs that delete backups, too, and are active.
        database: only its backups count; None for all that are there.
    """

    keep: Policy
    require_verified: float = 0
    require_verified_text: str = "0"
    assume_verified: bool = False
    max_delete: Optional[int] = None
    blocked_by: Tuple[str, ...] = ()
    database: Optional[str] = None


@dataclass(frozen=True)
class RotationObservation:
    """What was found.

    Attributes:
        relied_on: names of the backups that this run has relied on so far.
    """

    catalogue: Catalogue
    relied_on: Tuple[str, ...] = ()


@dataclass(frozen=True)
class RemoveBackup:
    """Remove this archive and its record, as long as the one that is relied on is there unchanged and verified.

    Attributes:
        relies_on: the newest verified backup; None where none was there.
    """

    archive: ArchiveId
    relies_on: Optional[ArchiveId]


@dataclass(frozen=True)
class RemoveRecord:
    """Remove the record of a backup that is gone."""

    path: str


RotationWork = Union[RemoveBackup, RemoveRecord]


def plan_rotation(observation: RotationObservation, policy: RotationPolicy, now: datetime) -> Plan[RotationWork]:
    """What to remove, oldest first, and what to keep, each with its reason.

    Args:
        now: the present moment, with its zone; names are read in the host's local time.

    Raises:
        MaintenanceError: the backups are of several databases and none is named, backups are to go and there is no recent
            verified one, or more are to go than max_delete.
    """
    plan: Plan[RotationWork] = Plan()
    catalogue = observation.catalogue
    databases = sorted({backup.database for backup in catalogue.backups if backup.database})
    if not policy.database and len(databases) > 1 and not policy.keep.empty:
        # As one series the backups of each would take the turns of the others.
        raise MaintenanceError(
            "the backups in this directory are of several databases: %s" % ", ".join(databases),
            target=catalogue.path,
            next_step="Set the option database to the one whose backups are to be rotated. Nothing was removed.",
        )
    catalogue = catalogue.of(policy.database)
    plan.kept.extend(Kept(backup.path, "of another database: %s" % backup.database) for backup in catalogue.others)
    newest = catalogue.newest_verified(now)
    restored = catalogue.newest_restored(now)
    age = newest.age_seconds(now) if newest is not None else None
    for backup in catalogue.implausible:
        plan.warnings.append(
            "%s does not count as a backup (%s): it takes no place in the rotation and stays. Look at it, and remove it"
            " if it is worth nothing." % (backup.path, backup.problem)
        )
    for backup in catalogue.backups:
        if backup.restore_failed and not backup.problem:
            plan.warnings.append(
                "%s was proven not to restore: it takes no place in the rotation and stays. Remove it if it is worth nothing."
                % backup.path
            )
    items = [item_of(backup, _protection(backup, observation, restored)) for backup in catalogue.backups]
    local_now = now.astimezone().replace(tzinfo=None)
    if policy.assume_verified and (age is None or age > REUSED_WITHIN):
        # It will hold what the last one holds.
        parts = newest.parts if newest is not None else frozenset()
        items.append(Item(ASSUMED_NAME, local_now.replace(microsecond=0), verified=True, parts=parts))
    known = {backup.name: backup for backup in catalogue.backups}
    surplus: List[Tuple[Backup, str]] = []
    for decision in decide_retention(items, policy.keep, local_now):
        if decision.item.name not in known:
            continue
        backup = known[decision.item.name]
        # Whatever was assumed, the newest backup that really is verified stays.
        if decision.keep or backup is newest:
            plan.kept.append(Kept(backup.path, decision.reason if decision.keep else "the newest verified backup"))
        else:
            surplus.append((backup, decision.reason))
    if surplus and policy.blocked_by:
        _block(plan, surplus, policy)
        return plan
    if surplus:
        _require_verified(age, policy, catalogue.path)
    for backup, reason in surplus:
        plan.actions.append(
            Action(
                "remove_backup",
                backup.path,
                reason,
                RemoveBackup(backup.id, newest.id if newest is not None else None),
                backup.size,
                assumes=ASSUMPTION if policy.assume_verified and not _recent(age, policy) else "",
            )
        )
    # Records cost nothing and do not count.
    refuse_above(plan, policy.max_delete, "backups", target=catalogue.path)
    if not policy.keep.empty:
        for path in catalogue.orphan_sidecars:
            plan.actions.append(Action("remove_record", path, "record of a backup that is gone", RemoveRecord(path)))
    return plan


def _protection(backup: Backup, observation: RotationObservation, restored: Optional[Backup]) -> str:
    """Why a backup stays whatever the rules say; "" when nothing protects it."""
    if backup.name in observation.relied_on:
        return "this run has relied on it"
    # Newer ones were read back; that the shop comes back is known of this one.
    return "the newest backup that a restore has proven" if backup is restored else ""


def item_of(backup: Backup, protected: str = "") -> Item:
    """A backup as far as retention is concerned. Pure."""
    failed = "proven not to restore at %s" % backup.restore_failed if backup.restore_failed else ""
    record = backup.verification
    return Item(
        backup.name,
        backup.date,
        backup.verified,
        protected,
        backup.parts,
        backup.problem or failed,
        record is not None and bool(record.lacking),
        backup.tags,
    )


def _recent(age: Optional[float], policy: RotationPolicy) -> bool:
    return age is not None and age <= policy.require_verified


def _require_verified(age: Optional[float], policy: RotationPolicy, path: str) -> None:
    if policy.require_verified <= 0 or policy.assume_verified or _recent(age, policy):
        return
    found = "there is none" if age is None else "the newest one is %s old" % format_duration(age)
    raise MaintenanceError(
        "no backup is removed without a verified one younger than %s: %s" % (policy.require_verified_text, found),
        target=path,
        next_step="Make one with mongo_backup (the playbook backup) first. Nothing was removed.",
    )


def _block(plan: Plan[RotationWork], surplus: Sequence[Tuple[Backup, str]], policy: RotationPolicy) -> None:
    jobs = ", ".join(policy.blocked_by)
    for backup, reason in surplus:
        plan.kept.append(Kept(backup.path, "%s%s is active; else: %s" % (_BLOCKED, jobs, reason)))
    plan.kept.sort(key=lambda kept: os.path.basename(kept.target))
    plan.warnings.append("No backup is removed: the shop's own %s would delete backups beside us." % jobs)


def kept_back(plan: Plan[Any]) -> int:
    """How many backups that no rule keeps stay on account of the shop's own jobs. Pure."""
    return sum(kept.reason.startswith(_BLOCKED) for kept in plan.kept)


def blocking_findings(plan: Plan[Any], policy: RotationPolicy) -> List[Finding]:
    """A finding for each of the shop's own jobs on whose account backups stay that would go. Pure.

    They stand as long as the job does and are never news: a job that was there all the time must not look new every week.
    """
    if not kept_back(plan):
        return []
    findings = [
        Finding(
            "backup-deleted-by-another-job",
            "critical",
            job,
            "This job of the shop deletes backups, too, so nothing is removed here while it is active.",
            "Switch it off with the playbook schedule, -e schedule_shop_jobs=off, which schedule_shop_jobs=restored takes back"
            " (what is neither a line of a crontab nor a timer, by hand), and run again.",
            scope="backups",
        )
        for job in policy.blocked_by
    ]
    return [replace(finding, status=KNOWN, fingerprint=fingerprint(_FINGERPRINT_KEY, finding)) for finding in findings]
