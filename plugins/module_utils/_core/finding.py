# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an audit found.

A fingerprint is keyed (HMAC-SHA256): what it stands for, a weak password perhaps, cannot be guessed from it.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Dict, Tuple

from .late_dataclass import dataclass

SEVERITIES = ("low", "medium", "high", "critical")
FAIL_ON = SEVERITIES + ("never",)
NEW, KNOWN, WAIVED, FIXED = "new", "known", "waived", "fixed"
# What the shop's guide mends first, among findings of the same severity: environment files, then directories that everybody may
# write to, then secrets in code; everything else is planned for. The last entry is for the rules that are named nowhere.
GUIDE_ORDER: Tuple[Tuple[str, ...], ...] = (
    ("env-readable", "env-group-access"),
    ("world-writable-directory",),
    ("default-credentials", "hard-coded-secret", "secret-fallback"),
)


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
        fingerprint, status, since, new_rule, reason, until: filled in by `judge_findings`: since when it is known of,
            whether its rule is one that the last audit did not have, and why and until when it is waived.
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
    since: str = ""
    new_rule: bool = False
    reason: str = ""
    until: str = ""

    def __repr__(self) -> str:
        return "Finding(%s, %s, %s)" % (self.rule, self.target, self.status)

    @property
    def id(self) -> str:
        return finding_id(self.rule, self.fingerprint)

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
        if self.since:
            entry["since"] = self.since
        if self.new_rule:
            entry["new_rule"] = True
        if self.until:
            entry["waiver"] = {"reason": self.reason, "expires": self.until}
        return entry


def severity_rank(severity: str) -> int:
    return SEVERITIES.index(severity)


def finding_id(rule: str, mark: str) -> str:
    """What people call a finding by: its rule and the beginning of its fingerprint."""
    return "%s-%s" % (rule, mark[:8])


def priority(severity: str, rule: str) -> Tuple[int, int]:
    """Sorts kinds of findings as they should be mended; what has no severity of ours comes last."""
    place = next((number for number, rules in enumerate(GUIDE_ORDER) if rule in rules), len(GUIDE_ORDER))
    return -severity_rank(severity) if severity in SEVERITIES else 1, place


def urgency(finding: Finding) -> Tuple[int, int, str, int, str]:
    """Sorts findings as they should be mended: by severity, then in the order of the shop's guide."""
    return (*priority(finding.severity, finding.rule), finding.target, finding.line, finding.rule)


def fingerprint(key: bytes, finding: Finding) -> str:
    """The keyed fingerprint of a finding: 32 hexadecimal digits, the same wherever in the file it moves."""
    text = "\0".join((finding.rule, finding.target, finding.subject))
    return hmac.new(key, text.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()[:32]


def key_id(key: bytes) -> str:
    """Tells two keys apart without giving either away."""
    return hmac.new(key, b"key id", hashlib.sha256).hexdigest()[:16]
