# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The boxes of the shop's maintenance guide, and how they stand. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .._core.clock import format_utc, parse_utc
from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .._core.plan import Action, Kept, Plan

# A box is due when it was not ticked for so many days: its period, and room for a holiday.
PERIODS: Mapping[str, int] = {"daily": 2, "weekly": 8, "monthly": 32, "quarterly": 95}

# What a full run has done beside its last step; one that was narrowed by tags has not.
FULL = frozenset(("health", "backup", "permissions"))
# What the playbook quarterly is called in the record.
QUARTERLY = "quarterly review"


@dataclass(frozen=True)
class Box:
    """One box of a checklist.

    Attributes:
        text: as the guide has it; that of the off-site copy is ours, as the guide has none.
        step: the step of a run that does it, by its title in the record; empty for what only a person can tick.
        how: what to run, or to read.
        also_by_hand: a person may have done it, too, and more of it than a run can.
        whole: it counts only where everything else of that run went well, too, and nothing of FULL was left out.
        run: only a run of this name does it. also: further steps that have to be done in it.
        clean: only a step that has left nothing open does it.
    """

    id: str
    period: str
    text: str
    how: str
    step: str = ""
    whole: bool = False
    also_by_hand: bool = False
    run: str = ""
    also: Tuple[str, ...] = ()
    clean: bool = False

    @property
    def by_hand(self) -> bool:
        """Whether a person may tick it."""
        return not self.step or self.also_by_hand


@dataclass(frozen=True)
class Tick:
    """That a box was done.

    Attributes:
        at: as the clock writes it.
        by: a person, or who ran what.
    """

    box: str
    at: str
    by: str
    note: str = ""


@dataclass(frozen=True)
class TickBox:
    """Note that a person has done it."""

    tick: Tick


BOXES: Tuple[Box, ...] = (
    Box("service_health", "daily", "Check service health", "playbook daily, and health every hour", "health"),
    Box("error_logs", "daily", "Review error logs", "playbook daily", "log errors"),
    Box("disk_space", "daily", "Check disk space", "playbook daily", "disk"),
    # A weekly run ends with it, and only when nothing has found fault with the newest backup.
    Box("full_maintenance", "weekly", "Run full maintenance", "playbook weekly", "backup rotation", True),
    Box("security_audit", "weekly", "Security audit", "playbook weekly or security_audit", "permissions"),
    Box("backup_logs", "weekly", "Review backup logs", "playbook backup or weekly, which verify it", "backup"),
    Box(
        "offsite_copy",
        "weekly",
        "Copy backups off the host",
        "playbook backup or weekly with backup_offsite_target, or by hand",
        "off-site copy",
        also_by_hand=True,
    ),
    Box("image_updates", "weekly", "Check for updates", "playbook weekly or update", "images"),
    Box("restore_test", "monthly", "Test backup restore", "playbook monthly or restore_test", "restore test"),
    Box("dependencies", "monthly", "Review and update dependencies", "monthly's row dependencies names them"),
    Box("database", "monthly", "Database optimization (compact, reindex)", "playbook weekly or database", "compaction"),
    Box("audit_review", "monthly", "Review security audit results", "playbook security_audit -e report_findings=all"),
    Box("documentation", "monthly", "Update documentation", "what changed this month, and whom to call"),
    Box(
        "recovery_drill",
        "quarterly",
        "Disaster recovery drill",
        "playbook dr_drill, or by hand",
        "recovery drill",
        also_by_hand=True,
    ),
    Box(
        "performance_review",
        "quarterly",
        "Performance review",
        "playbook quarterly",
        "slow operations",
        run=QUARTERLY,
        also_by_hand=True,
        also=("indexes",),
    ),
    Box(
        "security_review",
        "quarterly",
        "Security review",
        "playbook quarterly",
        "permissions",
        run=QUARTERLY,
        also_by_hand=True,
        also=("secrets", "ports"),
    ),
    Box(
        "system_packages",
        "quarterly",
        "Update system packages",
        "playbook update -e os_packages_upgrade=security, or by hand",
        "system packages",
        also_by_hand=True,
        clean=True,
    ),
)


def _moment(text: object) -> Optional[datetime]:
    try:
        return parse_utc(str(text))
    except ValueError:
        return None


def _has_been(tick: Tick, now: datetime) -> bool:
    # What lies ahead was written while the clock was wrong: it would keep a box ticked until then.
    moment = _moment(tick.at)
    return moment is not None and moment < now + timedelta(days=1)


def _left_nothing(steps: object, name: str) -> bool:
    """Whether a step has counted what is still to be done, and there was nothing."""
    return any(
        isinstance(step, dict) and step.get("step") == name and step.get("findings_total") == 0
        for step in (steps if isinstance(steps, list) else ())
    )


def _does(box: Box, record: Mapping[str, Any]) -> bool:
    """Whether a run did what a box asks for."""
    if not box.step or not _moment(record.get("ended")) or (box.whole and record.get("status") != "ok"):
        return False
    if box.run and record.get("name") != box.run:
        return False
    steps = record.get("steps")
    done = {
        str(step.get("step"))
        for step in (steps if isinstance(steps, list) else ())
        if isinstance(step, dict) and step.get("status") in ("ok", "changed")
    }
    if box.clean and not _left_nothing(steps, box.step):
        return False
    return done >= {box.step, *box.also} and (not box.whole or done >= FULL)


def newest(box: Box, ticks: Sequence[Tick], records: Sequence[Mapping[str, Any]]) -> Optional[Tick]:
    """Who did it last: a person, or a run.

    Args:
        records: of runs, as the host keeps them.
    """
    found = [tick for tick in ticks if tick.box == box.id]
    for record in records:
        if _does(box, record):
            found.append(Tick(box.id, str(record["ended"]), "%s of %s" % (record.get("name"), record.get("owner"))))
    return max(found, key=lambda tick: tick.at, default=None)


def last_durations(records: Sequence[Mapping[str, Any]]) -> Dict[str, Dict[str, Any]]:
    """When each step of a run was done last, and how many seconds it took.

    Args:
        records: of runs, as the host keeps them.
    """
    found: Dict[str, Dict[str, Any]] = {}
    for record in sorted(
        (record for record in records if _moment(record.get("ended"))), key=lambda item: str(item["ended"])
    ):
        steps = record.get("steps")
        for step in steps if isinstance(steps, list) else ():
            if isinstance(step, dict) and step.get("status") in ("ok", "changed") and step.get("seconds") is not None:
                found[str(step.get("step"))] = {"at": str(record["ended"]), "seconds": float(step["seconds"])}
    return found


def is_due(box: Box, last: Optional[Tick], now: datetime) -> bool:
    return last is None or now - parse_utc(last.at) > timedelta(days=PERIODS[box.period])


def as_values(ticks: Sequence[Tick], records: Sequence[Mapping[str, Any]], now: datetime) -> List[Dict[str, Any]]:
    """Each box as it is returned."""
    ticks = [tick for tick in ticks if _has_been(tick, now)]
    records = [record for record in records if _has_been(Tick("", str(record.get("ended")), ""), now)]
    found = []
    for box in BOXES:
        last = newest(box, ticks, records)
        found.append(
            {
                "id": box.id,
                "period": box.period,
                "text": box.text,
                "how": box.how,
                "by_hand": box.by_hand,
                "at": last.at if last else "",
                "by": last.by if last else "",
                "note": last.note if last else "",
                "due": is_due(box, last, now),
            }
        )
    return found


def as_lines(boxes: Sequence[Mapping[str, Any]]) -> List[str]:
    """The checklists as a person reads them: what is due has an empty box, and says what to do."""
    lines: List[str] = []
    width = max(len(box["text"]) for box in boxes)
    for period in PERIODS:
        lines.append(period)
        for box in (box for box in boxes if box["period"] == period):
            when = "%s by %s" % (box["at"][:10], box["by"]) if box["at"] else "never"
            if box["note"]:
                when += ": %s" % box["note"]
            name = " (%s)" % box["id"] if box["by_hand"] else ""
            text = "  [%s] %s  %s" % (" " if box["due"] else "x", box["text"].ljust(width), when)
            lines.append(text + ("; %s%s" % (box["how"], name) if box["due"] else name))
    lines.append("To tick what you have done: -e checklist_tick=ID,ID; the ids stand in brackets.")
    return lines


def plan_ticks(wanted: Sequence[str], by: str, note: str, ticks: Sequence[Tick], now: datetime) -> Plan[TickBox]:
    """A tick for each box that is named, unless the same person has ticked it today.

    Raises:
        MaintenanceError: there is no such box, or it is not a person who ticks it.
    """
    plan: Plan[TickBox] = Plan()
    known = {box.id: box for box in BOXES}
    by_hand = ", ".join(box.id for box in BOXES if box.by_hand)
    moment = format_utc(now)
    for name in dict.fromkeys(wanted):
        if name not in known:
            raise MaintenanceError("there is no such box", target=name, next_step="There are: %s." % by_hand)
        box = known[name]
        if not box.by_hand:
            raise MaintenanceError(
                "this box is ticked by a run that does it, by nobody else",
                target=name,
                next_step="Run %s." % box.how,
            )
        if any(tick.box == name and tick.by == by and tick.at[:10] == moment[:10] for tick in ticks):
            plan.kept.append(Kept(name, "ticked today by %s" % by))
            continue
        plan.actions.append(Action("tick", name, box.text, TickBox(Tick(name, moment, by, note))))
    return plan
