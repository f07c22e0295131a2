# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of the shop's own jobs are switched off, and which of those are switched on again. Pure."""

from __future__ import annotations

from typing import FrozenSet, List, Sequence, Tuple, Union

from .._core.late_dataclass import dataclass
from .._core.plan import Action, Kept, Plan

# Before a line of a crontab that is switched off; what follows is the line, byte for byte.
OFF_MARK = b"# switched off by miniecom.maintenance: "
# What run-parts(8) passes over, as it does every name with a dot.
OFF_SUFFIX = ".miniecom-maintenance-off"
LINE, SCRIPT, TIMER = "line", "script", "timer"


@dataclass(frozen=True)
class Switch:
    """What switches one job of the shop off or on, as it was found.

    Attributes:
        form: LINE of a crontab, SCRIPT of a run-parts directory, or TIMER.
        path: the crontab, script or unit.
        line: number of the line.
        digest: of the line, which may hold a secret.
        links: of a timer, which start it at boot: path and target of each.
        running: the timer is started.
    """

    form: str
    path: str
    line: int = 0
    digest: str = ""
    links: Tuple[Tuple[str, str], ...] = ()
    running: bool = False


@dataclass(frozen=True)
class ShopJob:
    """One job of the shop.

    Attributes:
        where: place, as a person would look for it.
        about: what was recognised in it, and what is dangerous about it.
        unknown: it was not understood.
        switch: None where this module cannot switch it; problem says why.
    """

    where: str
    about: str
    unknown: bool
    active: bool
    switch: Union[Switch, None] = None
    problem: str = ""


@dataclass(frozen=True)
class NotedSwitch:
    """A job that was switched off once, and how it stands now.

    Attributes:
        undo_id, index: which entry of which note.
        off: it is switched off now, as we left it.
        state: how it stands otherwise.
    """

    undo_id: str
    index: int
    switch: Switch
    off: bool
    state: str = ""


@dataclass(frozen=True)
class SwitchOff:
    switch: Switch
    undo_id: str


@dataclass(frozen=True)
class SwitchOn:
    switch: Switch
    undo_id: str
    index: int


SwitchWork = Union[SwitchOff, SwitchOn]


def plan_off(jobs: Sequence[ShopJob], unknown: bool, undo_id: str) -> Plan[SwitchWork]:
    """Switch off what is active and dangerous.

    Args:
        unknown: also what was not understood.
    """
    plan: Plan[SwitchWork] = Plan()
    done: FrozenSet[Switch] = frozenset()
    left: List[str] = []
    for job in jobs:
        target = "%s (%s)" % (job.where, job.about)
        if not job.active:
            plan.kept.append(Kept(target, "not active"))
        elif job.unknown and not unknown:
            plan.kept.append(Kept(target, "not understood: look at it, and switch such jobs off with unknown"))
        elif job.switch is None:
            plan.kept.append(Kept(target, job.problem))
            left.append("%s: %s" % (job.where, job.problem))
        elif job.switch not in done:
            done |= {job.switch}
            reason = "it works beside this collection"
            plan.actions.append(Action("switch_off", target, reason, SwitchOff(job.switch, undo_id)))
    if left:
        plan.warnings.append("still active, switch off by hand: " + "; ".join(left))
    return plan


def plan_on(noted: Sequence[NotedSwitch]) -> Plan[SwitchWork]:
    """Switch on again what was switched off and still is, the latest first."""
    plan: Plan[SwitchWork] = Plan()
    for entry in noted:
        switch = entry.switch
        target = "%s:%d" % (switch.path, switch.line) if switch.line else switch.path
        if entry.off:
            reason = "switched off as %s" % entry.undo_id
            plan.actions.append(Action("switch_on", target, reason, SwitchOn(switch, entry.undo_id, entry.index)))
        else:
            plan.kept.append(Kept(target, entry.state))
    return plan
