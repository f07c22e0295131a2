# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an audit found, and whether it is news.

The first audit of a place sets its baseline and is green. From then on a finding is *known* when the baseline holds it,
*waived* when a person has said why it may stand and until when, and *new* otherwise; only new ones turn a job red. A
known finding that has become more severe is new again. What has gone is reported once and forgotten, so that its return
is news.

A fingerprint is keyed (HMAC-SHA256): what it stands for, a weak password perhaps, cannot be guessed from it.
"""

from __future__ import annotations

import fnmatch
import hashlib
import hmac
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Collection, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from .clock import format_utc
from .errors import MaintenanceError
from .paths import lies_below

SEVERITIES = ("low", "medium", "high", "critical")
FAIL_ON = SEVERITIES + ("never",)
NEW, KNOWN, WAIVED, FIXED = "new", "known", "waived", "fixed"
WAIVER_SCOPE = "waivers"


def printable(text: str) -> str:
    """A file name as one line of valid text: undecodable bytes and control characters become escapes."""
    if text.isprintable():
        return text
    pieces = []
    for character in text:
        if 0xDC80 <= ord(character) <= 0xDCFF:
            pieces.append("\\x%02x" % (ord(character) - 0xDC00))
        elif character.isprintable():
            pieces.append(character)
        else:
            pieces.append(character.encode("unicode_escape").decode("ascii"))
    return "".join(pieces)


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        rule: id of the rule, lower-case words with dashes.
        severity: low, medium, high or critical.
        target: the object, as a person would call it; with rule and subject it makes the identity.
        message: what is wrong; never a secret.
        remediation: what to do about it, a full sentence.
        line: line number in the target, 0 when there is none.
        column: column of what was found in that line, from 1; 0 when it is not known.
        lines: all lines on which the same was found.
        excerpt: what stands there, with the secret masked.
        scope: what was audited when it was found (a path, "ports"); baselines are kept for each scope.
        subject: what tells it from other findings of the same rule and target; may be a secret, and is never
            returned, shown or stored: it only enters the keyed fingerprint.
        fingerprint, status: filled in by `judge_findings`.
    """

    rule: str
    severity: str
    target: str
    message: str
    remediation: str
    line: int = 0
    column: int = 0
    lines: Tuple[int, ...] = ()
    excerpt: str = ""
    scope: str = ""
    subject: str = ""
    fingerprint: str = ""
    status: str = NEW

    def __repr__(self) -> str:
        return "Finding(%s, %s, %s)" % (self.rule, self.target, self.status)

    @property
    def id(self) -> str:
        return "%s-%s" % (self.rule, self.fingerprint[:8])

    def as_dict(self) -> Dict[str, Any]:
        entry: Dict[str, Any] = {
            "id": self.id,
            "rule": self.rule,
            "severity": self.severity,
            "target": self.target,
            "message": self.message,
            "remediation": self.remediation,
            "fingerprint": self.fingerprint,
            "status": self.status,
        }
        if self.line:
            entry["line"] = self.line
        if self.column:
            entry["column"] = self.column
        if len(self.lines) > 1:
            entry["lines"] = list(self.lines)
        if self.excerpt:
            entry["excerpt"] = self.excerpt
        return entry


def severity_rank(severity: str) -> int:
    return SEVERITIES.index(severity)


def fingerprint(key: bytes, finding: Finding) -> str:
    """The keyed fingerprint of a finding: 32 hexadecimal digits, the same wherever in the file it moves."""
    text = "\0".join((finding.rule, finding.target, finding.subject))
    return hmac.new(key, text.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()[:32]


def key_id(key: bytes) -> str:
    """Tells two keys apart without giving either away."""
    return hmac.new(key, b"key id", hashlib.sha256).hexdigest()[:16]


@dataclass(frozen=True)
class Waiver:
    """A person's word that a finding may stand: what (fingerprint or id, or globs), why and until when (inclusive)."""

    reason: str
    expires: date
    fingerprint: str = ""
    target: str = ""
    rule: str = ""

    def matches(self, finding: Finding) -> bool:
        if self.fingerprint:
            return self.fingerprint in (finding.fingerprint, finding.id)
        return fnmatch.fnmatchcase(finding.target, self.target or "*") and fnmatch.fnmatchcase(
            finding.rule, self.rule or "*"
        )

    def expired(self, today: date) -> bool:
        return today > self.expires

    def __str__(self) -> str:
        return " ".join(
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
        named = {key: str(item.get(key) or "") for key in ("fingerprint", "target", "rule")}
        label = "waiver %s" % {key: value for key, value in named.items() if value}
        if not any(named.values()):
            raise MaintenanceError(
                "a waiver names no finding", next_step="Give it a fingerprint, or a glob for target, rule or both."
            )
        if not str(item.get("reason") or "").strip():
            raise MaintenanceError("a waiver has no reason", target=label, next_step="Say why the finding may stand.")
        try:
            expires = datetime.strptime(str(item.get("expires")), "%Y-%m-%d").date()
        except ValueError as error:
            raise MaintenanceError(
                "the expiry of a waiver is not a date",
                target="%s, expires: %r" % (label, item.get("expires")),
                next_step="Write the last day on which it holds, as in 2027-03-31.",
            ) from error
        waivers.append(Waiver(str(item["reason"]), expires, **named))
    return waivers


@dataclass(frozen=True)
class BaselineEntry:
    """A finding as the baseline remembers it."""

    rule: str
    target: str
    severity: str
    since: str

    def as_dict(self) -> Dict[str, str]:
        return {"rule": self.rule, "target": self.target, "severity": self.severity, "since": self.since}


# Scope -> fingerprint -> entry. A scope that is there with no entry was audited and clean.
Baseline = Dict[str, Dict[str, BaselineEntry]]


@dataclass(frozen=True)
class Judgement:
    """What `judge_findings` decided.

    Attributes:
        findings: all of them, the most severe first, with fingerprint and status.
        failing: the new ones at or above the threshold.
        resolved: what the baseline held and is gone, once each.
        baseline: the baseline from now on.
        first: scopes that were audited for the first time.
    """

    findings: List[Finding]
    failing: List[Finding]
    resolved: List[BaselineEntry]
    baseline: Baseline
    first: List[str]

    def count(self, status: str) -> int:
        return sum(1 for finding in self.findings if finding.status == status)


def judge_findings(
    found: Iterable[Finding],
    baseline: Baseline,
    waivers: Sequence[Waiver],
    fail_on: str,
    key: bytes,
    now: datetime,
    scopes: Collection[str],
    rules: Optional[Collection[str]] = None,
    blind: Sequence[str] = (),
    update: bool = False,
) -> Judgement:
    """Tell news from what is known. Pure.

    Args:
        found: the findings of this audit, each with its scope.
        baseline: what earlier audits left; not modified.
        waivers: what may stand.
        fail_on: the severity from which a new finding counts as failing; "never" for none.
        key: key of the fingerprints.
        now: the present moment.
        scopes: everything that was audited; only there can something be resolved.
        rules: the rules that were examined, None for all.
        blind: paths below which nothing could be seen: what is known there stays known.
        update: take everything found as known from now on.
    """
    since = format_utc(now)
    today = now.date()
    audited = sorted(set(scopes) | {WAIVER_SCOPE})
    first = [scope for scope in audited if scope not in baseline]
    after: Baseline = {scope: dict(entries) for scope, entries in baseline.items()}
    for scope in first:
        after[scope] = {}

    judged: Dict[Tuple[str, str], Finding] = {}
    for finding in list(found) + expired_waivers(waivers, today):
        finding = replace(finding, fingerprint=fingerprint(key, finding))
        place = (finding.scope, finding.fingerprint)
        if place in judged:
            continue
        entry = after.setdefault(finding.scope, {}).get(finding.fingerprint)
        status = NEW
        if finding.scope in first or update:
            status = KNOWN
        elif entry is not None and severity_rank(finding.severity) <= severity_rank(entry.severity):
            status = KNOWN
        if any(waiver.matches(finding) and not waiver.expired(today) for waiver in waivers):
            # Not taken into the baseline: when the waiver ends, the finding is news.
            status = WAIVED
        elif status == KNOWN and (entry is None or update):
            after[finding.scope][finding.fingerprint] = BaselineEntry(
                finding.rule, finding.target, finding.severity, entry.since if entry else since
            )
        judged[place] = replace(finding, status=status)

    resolved = []
    for scope in audited:
        for mark, entry in sorted(baseline.get(scope, {}).items()):
            if (scope, mark) in judged or (rules is not None and scope != WAIVER_SCOPE and entry.rule not in rules):
                continue
            if any(lies_below(entry.target, path) for path in blind):
                continue
            resolved.append(entry)
            del after[scope][mark]

    findings = sorted(
        judged.values(), key=lambda item: (-severity_rank(item.severity), item.target, item.line, item.rule)
    )
    failing = []
    if fail_on != "never":
        failing = [
            item for item in findings if item.status == NEW and severity_rank(item.severity) >= severity_rank(fail_on)
        ]
    return Judgement(findings, failing, resolved, after, first)


def expired_waivers(waivers: Iterable[Waiver], today: date) -> List[Finding]:
    """A finding for each waiver whose time is over."""
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
        if waiver.expired(today)
    ]
