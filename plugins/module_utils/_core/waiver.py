# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A person's word that a finding may stand for a while."""

from __future__ import annotations

import fnmatch
from datetime import date, datetime
from typing import Any, Collection, Dict, Iterable, List, Mapping, Optional

from .errors import MaintenanceError
from .finding import Finding
from .late_dataclass import dataclass

WAIVER_SCOPE = "waivers"


@dataclass(frozen=True)
class Waiver:
    """A person's word that a finding may stand: what (fingerprint or id, or globs), why and until when (inclusive).

    Attributes:
        label: what the finding is called, where the waiver was given for one; else what it names is told.
        was_known: an audit knew the finding when it was waived.
    """

    reason: str
    expires: date
    fingerprint: str = ""
    target: str = ""
    rule: str = ""
    label: str = ""
    was_known: bool = False

    def matches(self, finding: Finding) -> bool:
        if self.fingerprint:
            return self.fingerprint in (finding.fingerprint, finding.id)
        return fnmatch.fnmatchcase(finding.target, self.target or "*") and fnmatch.fnmatchcase(
            finding.rule, self.rule or "*"
        )

    def expired(self, today: date) -> bool:
        return today > self.expires

    def may_cover(self, rules: Collection[str]) -> bool:
        """Whether its globs can cover a finding of one of these rules."""
        return not self.fingerprint and any(fnmatch.fnmatchcase(rule, self.rule or "*") for rule in rules)

    def __str__(self) -> str:
        return self.label or " ".join(
            "%s=%s" % (name, value)
            for name, value in (("fingerprint", self.fingerprint), ("rule", self.rule), ("target", self.target))
            if value
        )


def parse_waivers(items: Optional[Iterable[Mapping[str, Any]]]) -> List[Waiver]:
    """Waivers from the module option.

    Raises:
        MaintenanceError: one names nothing, gives no reason, or its date is none.
    """
    waivers = []
    for item in items or ():
        named: Dict[str, Any] = {key: str(item.get(key) or "") for key in ("fingerprint", "target", "rule")}
        label = "waiver %s" % {key: value for key, value in named.items() if value}
        if not any(named.values()):
            raise MaintenanceError(
                "a waiver names no finding", next_step="Give it a fingerprint, or a glob for target, rule or both."
            )
        if not str(item.get("reason") or "").strip():
            raise MaintenanceError("a waiver has no reason", target=label, next_step="Say why the finding may stand.")
        waivers.append(Waiver(str(item["reason"]), parse_last_day(item.get("expires"), label), **named))
    return waivers


def parse_last_day(text: Any, label: str) -> date:
    """The last day on which a waiver holds.

    Raises:
        MaintenanceError: it is no date.
    """
    try:
        return datetime.strptime(str(text), "%Y-%m-%d").date()
    except ValueError as error:
        raise MaintenanceError(
            "the expiry of a waiver is not a date",
            target="%s, expires: %r" % (label, text),
            next_step="Write the last day on which it holds, as in 2027-03-31.",
        ) from error


def expired_waivers(
    waivers: Iterable[Waiver], today: date, found: Collection[Finding] = (), rules: Collection[str] = ()
) -> List[Finding]:
    """A finding for each waiver whose time is over. One for a finding that is gone is nobody's trouble, and a glob for other audits' rules
    is left to those.

    Args:
        found: what was found, with fingerprints.
        rules: all rules of the audit, empty when they are not known.
    """
    return [
        Finding(
            rule="waiver-expired",
            severity="medium",
            target="waiver %s" % waiver,
            message="this waiver ended on %s; its reason was: %s" % (waiver.expires.isoformat(), waiver.reason),
            remediation="Mend what it covered and remove it, or decide anew and give it another date.",
            scope=WAIVER_SCOPE,
        )
        for waiver in waivers
        if waiver.expired(today) and (waiver.may_cover(rules) or any(waiver.matches(finding) for finding in found))
    ]
