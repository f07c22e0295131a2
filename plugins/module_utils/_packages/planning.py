# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which packages are upgraded, and which stay as they are. Pure but for the simulation, which is handed in."""

from __future__ import annotations

import fnmatch
from typing import Callable, List, Optional, Sequence, Set, Tuple

from .._core.late_dataclass import dataclass
from .._core.plan import Action, Kept, Plan
from .._core.units import counted
from .reading import PackageChange, Update

NONE, SECURITY, ALL = "none", "security", "all"
# Upgrading these restarts what the shop runs on, the containers or the database: that is for the hour that somebody has chosen.
KEEP = ["mongodb*", "docker-ce*", "docker.io", "moby-*", "containerd*", "runc", "podman*"]
_SHOWN = 6

Simulate = Callable[[Sequence[Tuple[str, str]]], Tuple[Optional[List[PackageChange]], str]]


@dataclass(frozen=True)
class UpgradePackages:
    """Have apt install these versions.

    Attributes:
        packages: name and version of each that is asked for.
        changes: all that apt has said that it does for it.
    """

    packages: Tuple[Tuple[str, str], ...]
    changes: Tuple[PackageChange, ...]


@dataclass(frozen=True)
class SettledUpgrade:
    """What may be asked of apt together, what it then does, and why not the rest."""

    packages: Tuple[Tuple[str, str], ...] = ()
    changes: Tuple[PackageChange, ...] = ()
    refused: Tuple[Kept, ...] = ()


def some_names(names: Sequence[str]) -> str:
    """Names for a person: the first few, and how many more there are."""
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else "%s and %d more" % (shown, len(names) - _SHOWN)


def kept_by_name(name: str, keep: Sequence[str]) -> str:
    """The pattern of `keep` that a package matches, "" when none does."""
    bare = name.partition(":")[0]
    return next((pattern for pattern in keep if fnmatch.fnmatchcase(bare, pattern)), "")


def why_left(update: Update, upgrade: str, keep: Sequence[str]) -> str:
    """Why an update is not asked for, "" when it is."""
    if upgrade == NONE:
        return "%s is available; nothing was to be upgraded" % update.candidate
    if upgrade == SECURITY and not update.security:
        return "%s is no security update" % update.candidate
    if update.held:
        return "%s is available; the package is on hold on this host" % update.candidate
    pattern = kept_by_name(update.name, keep)
    return "%s is available; `keep` names %s" % (update.candidate, pattern) if pattern else ""


def settle_upgrade(updates: Sequence[Update], upgrade: str, keep: Sequence[str], simulate: Simulate) -> SettledUpgrade:
    """Ask a simulation what upgrading does, and leave out what would take along a package that is to stay, or remove one.

    Args:
        simulate: what apt would do for these versions; None and the reason where it refuses.
    """
    wanted = [(item.name, item.candidate) for item in updates if not why_left(item, upgrade, keep)]
    held = {item.name for item in updates if item.held}
    refused: List[Kept] = []
    for _attempt in (1, 2):
        if not wanted:
            break
        changes, problem = simulate(wanted)
        problem = problem or _harm(changes or (), keep, held)
        if changes is not None and not problem:
            return SettledUpgrade(tuple(wanted), tuple(changes), tuple(refused))
        # Which one it is shows when each is asked for alone.
        alone = []
        for package in wanted:
            changes, why = simulate([package])
            why = why or _harm(changes or (), keep, held)
            if changes is None or why:
                refused.append(Kept(package[0], "%s is available, but %s" % (package[1], why)))
            else:
                alone.append(package)
        if len(alone) == len(wanted):
            refused += [Kept(name, "%s is available, but %s" % (version, problem)) for name, version in wanted]
            wanted = []
            break
        wanted = alone
    else:
        refused += [Kept(name, "%s is available, but %s" % (version, problem)) for name, version in wanted]
    return SettledUpgrade(refused=tuple(refused))


def _harm(changes: Sequence[PackageChange], keep: Sequence[str], held: Set[str]) -> str:
    for change in changes:
        if not change.after:
            return "%s would be removed for it" % change.name
        if change.name in held or (change.before and kept_by_name(change.name, keep)):
            return "%s, which is to stay, would be upgraded with it" % change.name
    return ""


def plan_upgrade(
    updates: Sequence[Update], settled: SettledUpgrade, upgrade: str, keep: Sequence[str]
) -> Plan[UpgradePackages]:
    """One action for all, as apt does it. Pure."""
    plan: Plan[UpgradePackages] = Plan()
    refused = {kept.target for kept in settled.refused}
    for update in updates:
        why = why_left(update, upgrade, keep)
        if why and update.name not in refused:
            plan.kept.append(Kept(update.name, why))
    plan.kept.extend(settled.refused)
    if settled.packages:
        safe = sum(update.security for update in updates if (update.name, update.candidate) in settled.packages)
        reason = counted(safe, "security update")
        if len(settled.packages) > safe:
            reason += ", %d other" % (len(settled.packages) - safe)
        if len(settled.changes) > len(settled.packages):
            reason += "; %d more are needed for them" % (len(settled.changes) - len(settled.packages))
        names = ["%s %s" % package for package in settled.packages]
        plan.actions.append(
            Action("upgrade_packages", ", ".join(names), reason, UpgradePackages(settled.packages, settled.changes))
        )
    return plan


def pending(updates: Sequence[Update]) -> List[Update]:
    """The security updates that are not installed."""
    return [update for update in updates if update.security]
