# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which backups to remove. Pure: a catalogue and options in, a plan out; what may not be removed is said, too."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from typing import List, Optional, Sequence, Tuple

from .._core.errors import MaintenanceError
from .._core.finding import Finding
from .._core.legacy_plan import Action, Kept, Plan
from .._core.units import format_duration
from .catalogue import Backup, Catalogue
from .retention import Item, Policy, decide

# In check mode the backup that this run would make counts as made, unless mongo_backup would reuse one that is there:
# this is the default of its option fresh_within.
REUSED_WITHIN = 20 * 3600
ASSUMED_NAME = "(the backup that this run would make)"
ASSUMPTION = "a verified backup made by this run"


@dataclass(frozen=True)
class Wishes:
    """The options that decide.

    Attributes:
        require_verified: seconds; 0 asks for nothing.
        assume_verified: check mode only: a verified backup will have been made by then.
        max_delete: None sets no limit.
        blocked_by: the shop's own jobs that delete backups, too, and are active.
        database: only its backups count; None for all that are there.
    """

    policy: Policy
    require_verified: float = 0
    require_verified_text: str = "0"
    assume_verified: bool = False
    max_delete: Optional[int] = None
    blocked_by: Tuple[str, ...] = ()
    database: Optional[str] = None


def plan_prune(catalogue: Catalogue, wishes: Wishes, now: datetime) -> Tuple[Plan, List[Finding]]:
    """What to remove, oldest first, and what to keep, each with its reason.

    Args:
        now: the present moment, with its zone; names are read in the host's local time.

    Raises:
        MaintenanceError: the backups are of several databases and none is named, backups are to go and there is no recent
            verified one, or more are to go than max_delete.
    """
    plan = Plan()
    databases = sorted({backup.database for backup in catalogue.backups if backup.database})
    if not wishes.database and len(databases) > 1 and not wishes.policy.empty:
        # As one series the backups of each would take the turns of the others.
        raise MaintenanceError(
            "the backups in this directory are of several databases: %s" % ", ".join(databases),
            target=catalogue.path,
            next_step="Set the option database to the one whose backups are to be rotated. Nothing was removed.",
        )
    catalogue = catalogue.of(wishes.database)
    plan.kept.extend(Kept(backup.path, "of another database: %s" % backup.database) for backup in catalogue.others)
    newest = catalogue.newest_verified(now)
    age = newest.age_seconds(now) if newest is not None else None
    items = [Item(backup.name, backup.date, backup.verified) for backup in catalogue.backups]
    local_now = now.astimezone().replace(tzinfo=None)
    if wishes.assume_verified and (age is None or age > REUSED_WITHIN):
        items.append(Item(ASSUMED_NAME, local_now.replace(microsecond=0), verified=True))
    known = {backup.name: backup for backup in catalogue.backups}
    doomed: List[Tuple[Backup, str]] = []
    for decision in decide(items, wishes.policy, local_now):
        backup = known.get(decision.item.name)
        if backup is None:
            continue
        # Whatever was assumed, the newest backup that really is verified stays.
        if decision.keep or backup is newest:
            plan.kept.append(Kept(backup.path, decision.reason if decision.keep else "the newest verified backup"))
        else:
            doomed.append((backup, decision.reason))
    if doomed and wishes.blocked_by:
        return _blocked(plan, doomed, wishes)
    if doomed:
        _require_verified(age, wishes, catalogue.path)
        if wishes.max_delete is not None and len(doomed) > wishes.max_delete:
            raise MaintenanceError(
                "%d backups would be removed, more than max_delete (%d)" % (len(doomed), wishes.max_delete),
                target=catalogue.path,
                next_step="Nothing was removed. Look at the plan in check mode, then raise max_delete or correct the policy.",
                details={
                    "plan": [
                        {"action": "remove_backup", "target": backup.path, "reason": reason}
                        for backup, reason in doomed
                    ]
                },
            )
    for backup, reason in doomed:
        plan.actions.append(
            Action(
                "remove_backup",
                backup.path,
                reason,
                bytes=backup.size,
                assumes=ASSUMPTION if wishes.assume_verified and not _recent(age, wishes) else "",
                data={"backup": backup, "relied": newest},
            )
        )
    if not wishes.policy.empty:
        for path in catalogue.orphan_sidecars:
            plan.actions.append(Action("remove_record", path, "record of a backup that is gone"))
    return plan, []


def _recent(age: Optional[float], wishes: Wishes) -> bool:
    return age is not None and age <= wishes.require_verified


def _require_verified(age: Optional[float], wishes: Wishes, path: str) -> None:
    if wishes.require_verified <= 0 or wishes.assume_verified or _recent(age, wishes):
        return
    found = "there is none" if age is None else "the newest one is %s old" % format_duration(age)
    raise MaintenanceError(
        "no backup is removed without a verified one younger than %s: %s" % (wishes.require_verified_text, found),
        target=path,
        next_step="Make one with mongo_backup (the playbook backup) first. Nothing was removed.",
    )


def _blocked(plan: Plan, doomed: Sequence[Tuple[Backup, str]], wishes: Wishes) -> Tuple[Plan, List[Finding]]:
    jobs = ", ".join(wishes.blocked_by)
    for backup, reason in doomed:
        plan.kept.append(Kept(backup.path, "nothing is removed while %s is active; else: %s" % (jobs, reason)))
    plan.kept.sort(key=lambda kept: os.path.basename(kept.target))
    plan.warnings.append("No backup is removed: the shop's own %s would delete backups beside us." % jobs)
    findings = [
        Finding(
            "backup-deleted-by-another-job",
            "critical",
            job,
            "This job of the shop deletes backups, too, so nothing is removed here while it is active.",
            "Switch it off where it is scheduled (a # before the line of the crontab, or systemctl disable --now for a timer), and run again.",
            scope="backups",
        )
        for job in wishes.blocked_by
    ]
    return plan, findings
