# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Installing what mends vulnerabilities: the steps of os_packages."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime, timedelta
from typing import Any, Dict, List, Optional, Tuple

from .._core.clock import format_utc, utc_now
from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .._core.plan import Action, Outcome, Plan, Report, Results, Verification
from .._core.runner import Task
from .._core.units import counted, format_duration, parse_duration
from . import apt
from .planning import NONE, SettledUpgrade, UpgradePackages, pending, plan_upgrade, settle_upgrade, some_names
from .reading import Update


@dataclass(frozen=True)
class PackagesObservation:
    """What was found.

    Attributes:
        unknown: why nobody can tell what is newer, "" when it is known.
        lists_at: when apt's lists were last fetched.
        silent: sources that did not answer.
        broken: packages that something has left half installed.
        reboot: why the host has to be started anew.
    """

    unknown: str = ""
    lists_at: Optional[datetime] = None
    silent: Tuple[str, ...] = ()
    broken: Tuple[str, ...] = ()
    updates: Tuple[Update, ...] = ()
    settled: SettledUpgrade = field(default_factory=SettledUpgrade)
    reboot: Tuple[str, ...] = ()


class OsPackages(Task[PackagesObservation]):
    """Tell what is newer, and install it."""

    def observe(self) -> PackagesObservation:
        if not apt.has_apt():
            return PackagesObservation("this host has no apt, the packages of Debian and Ubuntu alone are looked at")
        silent: List[str] = []
        if self.params["upgrade"] != NONE and not self.call.check:
            # Nothing is chosen from old lists, where it is installed.
            silent = apt.refresh_lists(self._lock_timeout())
            self.run.renew()
        return self._look(tuple(silent))

    def _lock_timeout(self) -> int:
        return int(parse_duration(self.params["lock_timeout"]))

    def _look(self, silent: Tuple[str, ...]) -> PackagesObservation:
        moment = apt.lists_moment()
        reboot = tuple(apt.reboot_reasons())
        installed = apt.installed_packages()
        broken = tuple(package.name for package in installed if package.state != "installed")
        unknown = self._unknown(moment, utc_now())
        if unknown:
            return PackagesObservation(unknown, moment, silent, broken, reboot=reboot)
        updates = tuple(apt.newer_packages(installed))
        settled = SettledUpgrade()
        if self.params["upgrade"] != NONE and not broken:
            settled = settle_upgrade(updates, self.params["upgrade"], self.params["keep"], apt.simulate)
        return PackagesObservation("", moment, silent, broken, updates, settled, reboot)

    def _unknown(self, moment: Optional[datetime], now: datetime) -> str:
        if moment is None:
            return "apt has no lists of packages: run apt-get update"
        age = now - moment
        if age > timedelta(seconds=parse_duration(self.params["lists_max_age"])):
            return "apt's lists are %s old: run apt-get update" % format_duration(age.total_seconds())
        return ""

    def plan(self, observation: PackagesObservation, now: datetime) -> Plan[UpgradePackages]:
        if observation.broken and self.params["upgrade"] != NONE:
            raise MaintenanceError(
                "something has left packages half installed: %s" % some_names(observation.broken),
                next_step="Nothing was upgraded. `dpkg --configure -a` finishes what was begun; `apt-get -f install` mends what is missing.",
            )
        return plan_upgrade(observation.updates, observation.settled, self.params["upgrade"], self.params["keep"])

    def _upgrade(self, action: Action[UpgradePackages], observation: PackagesObservation) -> Outcome:
        changes, problem = apt.simulate(action.work.packages)
        if changes is None or tuple(changes) != action.work.changes:
            raise MaintenanceError(
                "apt would do something else now than when it was planned%s" % (": " + problem if problem else ""),
                next_step="Nothing was upgraded. Run it again.",
            )
        apt.install_versions(action.work.packages, self._lock_timeout())
        return Outcome()

    handlers = {UpgradePackages: _upgrade}

    def verify(
        self,
        observation: PackagesObservation,
        plan: Plan[UpgradePackages],
        results: Results[UpgradePackages, PackagesObservation],
    ) -> Verification[PackagesObservation]:
        if not len(results):
            return Verification()
        after = self._look(observation.silent)
        failure = None
        now = apt.versions_now([change.name for action in plan.actions for change in action.work.changes])
        other = [
            "%s is %s" % (change.name, now.get(change.name, "missing"))
            for action in results.effective
            for change in action.work.changes
            if now.get(change.name) != change.after
        ]
        if other:
            failure = MaintenanceError(
                "not all is as planned: %s" % some_names(other), next_step="Look at /var/log/apt/term.log."
            )
        return Verification(after, failure)

    def diff(self, observation: PackagesObservation, plan: Plan[UpgradePackages]) -> Dict[str, Any]:
        changes = sorted(
            (change for action in plan.actions for change in action.work.changes), key=lambda change: change.name
        )
        before = ["%s %s\n" % (change.name, change.before) for change in changes if change.before]
        after = ["%s %s\n" % (change.name, change.after) for change in changes]
        return {"before": "".join(before), "after": "".join(after)}

    def report(
        self,
        observation: PackagesObservation,
        plan: Plan[UpgradePackages],
        results: Results[UpgradePackages, PackagesObservation],
    ) -> Report:
        seen = results.after or observation
        changes = [change for action in results.effective for change in action.work.changes]
        upgraded = {action_package for action in results.effective for action_package in action.work.packages}
        # In check mode they are still there.
        left = [update for update in seen.updates if (update.name, update.candidate) not in upgraded]
        open_ones = pending(left)
        parts = [self._headline(seen, results, len(changes), open_ones, len(left) - len(open_ones))]
        if seen.broken:
            parts.append("half installed: %s" % some_names(seen.broken))
        if seen.reboot:
            parts.append("the host has to be rebooted (%s)" % "; ".join(seen.reboot))
        summary: Dict[str, Any] = {
            "upgraded": len(changes),
            "security": len(open_ones),
            "other": len(left) - len(open_ones),
            "reboot_required": bool(seen.reboot),
        }
        if not seen.unknown:
            summary["findings_total"] = len(open_ones)
        failure = None
        if seen.silent:
            failure = MaintenanceError(
                "what %s to offer is not known: no answer" % ("%s has" % some_names(seen.silent)),
                next_step="What the others offer was looked at. Correct the source on the host, or take it away.",
            )
        return Report(
            "; ".join(parts),
            changed=bool(changes),
            summary=summary,
            values={
                "available": [update.as_dict() for update in left],
                "upgraded": [vars(change) for change in changes],
                "reboot_required": bool(seen.reboot),
                "reboot_reasons": list(seen.reboot),
                "lists_at": format_utc(seen.lists_at) if seen.lists_at else "",
                "audit": {"available": not seen.unknown, "reason": seen.unknown},
            },
            failure=failure,
        )

    def _headline(
        self,
        seen: PackagesObservation,
        results: Results[UpgradePackages, PackagesObservation],
        changed: int,
        left: List[Update],
        others: int,
    ) -> str:
        if seen.unknown:
            return "not known: %s" % seen.unknown
        parts = []
        if changed:
            parts.append("%s %s" % (counted(changed, "package"), results.words("upgraded", "would be upgraded")))
        if left:
            what = "%s %s" % (counted(len(left), "security update"), "left" if changed else "available")
            parts.append("%s: %s" % (what, some_names([update.name for update in left])))
        elif not changed:
            parts.append("no security update is missing")
        if others:
            parts.append("%d other newer" % others if parts else "%s newer" % counted(others, "package"))
        return "; ".join(parts)
