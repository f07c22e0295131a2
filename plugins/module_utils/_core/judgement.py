# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a finding is news.

The first audit of a place sets its baseline and is green. From then on a finding is *known* when the baseline holds it,
*waived* when a person has said why it may stand and until when, and *new* otherwise; only new ones turn a job red, and they
stay new until somebody mends, waives or accepts them. A known finding that has become more severe is new again. What has gone
is told once as *fixed* and forgotten, so that its return is news.

A rule that no earlier audit had, as after an upgrade of this collection, finds what may have been there for years. It is told as
new, and taken as known from then on, without turning the job red: nothing on the host has changed.
"""

from __future__ import annotations

from dataclasses import field, replace
from datetime import datetime
from typing import Any, Collection, Dict, FrozenSet, Iterable, List, Mapping, Optional, Sequence, Tuple

from .clock import format_utc
from .finding import FIXED, KNOWN, NEW, WAIVED, Finding, finding_id, fingerprint, severity_rank, urgency
from .late_dataclass import dataclass
from .paths import lies_below
from .waiver import WAIVER_SCOPE, Waiver, expired_waivers


@dataclass(frozen=True)
class BaselineEntry:
    """A finding as the host remembers it."""

    rule: str
    target: str
    severity: str
    since: str

    def as_dict(self) -> Dict[str, str]:
        return {"rule": self.rule, "target": self.target, "severity": self.severity, "since": self.since}


# Scope -> fingerprint -> entry. A scope that is there with no entry was audited and clean.
Baseline = Dict[str, Dict[str, BaselineEntry]]


@dataclass(frozen=True)
class Remembered:
    """What earlier audits left.

    Attributes:
        baseline: what is known.
        open: what was new or waived at the last audit of its scope.
        rules: all rules that any audit examined; None when none has written that down.
    """

    baseline: Mapping[str, Mapping[str, BaselineEntry]] = field(default_factory=dict)
    open: Mapping[str, Mapping[str, BaselineEntry]] = field(default_factory=dict)
    rules: Optional[FrozenSet[str]] = None


@dataclass(frozen=True)
class Gone:
    """A finding that was there at the last audit and is not any more."""

    fingerprint: str
    rule: str
    target: str
    severity: str
    since: str

    def as_dict(self) -> Dict[str, Any]:
        return {
            "id": finding_id(self.rule, self.fingerprint),
            "rule": self.rule,
            "severity": self.severity,
            "target": self.target,
            "fingerprint": self.fingerprint,
            "status": FIXED,
            "since": self.since,
        }


@dataclass(frozen=True)
class Judgement:
    """What `judge_findings` decided.

    Attributes:
        findings: all of them, the most urgent first, with fingerprint and status.
        failing: those that make the audit fail: new ones at or above the threshold.
        resolved: what the last audit knew and is gone, once each.
        after: what is to be remembered.
        first: scopes that were audited for the first time.
    """

    findings: List[Finding]
    failing: List[Finding]
    resolved: List[Gone]
    after: Remembered
    first: List[str]

    @property
    def baseline(self) -> Mapping[str, Mapping[str, BaselineEntry]]:
        """What is known from now on."""
        return self.after.baseline

    def count(self, status: str) -> int:
        return sum(1 for finding in self.findings if finding.status == status)

    @property
    def by_new_rules(self) -> List[Finding]:
        return [finding for finding in self.findings if finding.new_rule]


def judge_findings(
    found: Iterable[Finding],
    before: Remembered,
    waivers: Sequence[Waiver],
    fail_on: str,
    key: bytes,
    now: datetime,
    scopes: Collection[str],
    rules: Optional[Collection[str]] = None,
    blind: Sequence[str] = (),
    update: bool = False,
    all_rules: Collection[str] = (),
    fail_for: str = NEW,
) -> Judgement:
    """Tell news from what is known. Pure.

    Args:
        found: the findings of this audit, each with its scope; one that is remembered has its fingerprint instead of its subject.
        before: what earlier audits left; not modified.
        waivers: what may stand.
        fail_on: the severity from which a new finding counts as failing; "never" for none.
        key: key of the fingerprints.
        now: the present moment.
        scopes: everything that was audited; only there can something be resolved.
        rules: the rules that were examined, None for all.
        blind: paths below which nothing could be seen: what is known there stays known.
        update: take everything found as known from now on.
        all_rules: every rule that this audit can examine, where that can be listed.
        fail_for: "new", or "all": known findings fail as well, at the first audit too; waived ones never do.
    """
    since = format_utc(now)
    today = now.date()
    audited = sorted(set(scopes) | {WAIVER_SCOPE})
    first = [scope for scope in audited if scope not in before.baseline]
    known: Baseline = {scope: dict(entries) for scope, entries in before.baseline.items()}
    still_open: Baseline = {scope: dict(entries) for scope, entries in before.open.items()}
    for scope in audited:
        known.setdefault(scope, {})
    news_by_rule = set() if before.rules is None else set(all_rules) - before.rules

    judged: Dict[Tuple[str, str], Finding] = {}
    marked = [replace(finding, fingerprint=finding.fingerprint or fingerprint(key, finding)) for finding in found]
    for finding in marked + [
        replace(finding, fingerprint=fingerprint(key, finding))
        for finding in expired_waivers(waivers, today, marked, all_rules)
    ]:
        place = (finding.scope, finding.fingerprint)
        if place in judged:
            continue
        entries = known.setdefault(finding.scope, {})
        entry = entries.get(finding.fingerprint)
        told = entry or before.open.get(finding.scope, {}).get(finding.fingerprint)
        here = BaselineEntry(finding.rule, finding.target, finding.severity, told.since if told else since)
        cover = next((waiver for waiver in waivers if waiver.matches(finding) and not waiver.expired(today)), None)
        new_rule = told is None and finding.rule in news_by_rule and finding.scope not in first and not update
        if cover is not None:
            # Out of the baseline: when the waiver ends, the finding is news.
            finding = replace(finding, status=WAIVED, reason=cover.reason, until=cover.expires.isoformat())
            entries.pop(finding.fingerprint, None)
        elif finding.scope in first or update or new_rule:
            finding = replace(finding, status=NEW if new_rule else KNOWN, new_rule=new_rule)
            entries[finding.fingerprint] = here
        elif entry is not None and severity_rank(finding.severity) <= severity_rank(entry.severity):
            finding = replace(finding, status=KNOWN)
        else:
            finding = replace(finding, status=NEW)
        if finding.status == WAIVED or (finding.status == NEW and not new_rule):
            still_open.setdefault(finding.scope, {})[finding.fingerprint] = here
        else:
            still_open.get(finding.scope, {}).pop(finding.fingerprint, None)
        judged[place] = replace(finding, since=here.since)

    resolved = []
    for scope in audited:
        for mark, entry in sorted({**before.open.get(scope, {}), **before.baseline.get(scope, {})}.items()):
            if (scope, mark) in judged or (rules is not None and scope != WAIVER_SCOPE and entry.rule not in rules):
                continue
            if any(lies_below(entry.target, path) for path in blind):
                continue
            resolved.append(Gone(mark, entry.rule, entry.target, entry.severity, entry.since))
            known[scope].pop(mark, None)
            still_open.get(scope, {}).pop(mark, None)

    findings = sorted(judged.values(), key=urgency)
    examined = set(all_rules) if rules is None else set(all_rules) & set(rules)
    remembered = (before.rules or frozenset()) | examined
    after = Remembered(
        known,
        {scope: entries for scope, entries in still_open.items() if entries},
        frozenset(remembered) if all_rules or before.rules is not None else None,
    )
    return Judgement(findings, _failing(findings, fail_on, fail_for), resolved, after, first)


def _failing(findings: Sequence[Finding], fail_on: str, fail_for: str) -> List[Finding]:
    if fail_on == "never":
        return []
    return [
        finding
        for finding in findings
        if severity_rank(finding.severity) >= severity_rank(fail_on)
        and (
            (finding.status in (NEW, KNOWN)) if fail_for == "all" else (finding.status == NEW and not finding.new_rule)
        )
    ]
