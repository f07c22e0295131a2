# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a scanner's matches to findings: what is a secret, what a default that everybody knows, what a label on a form. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .._core.finding import Finding, printable
from .._core.late_dataclass import dataclass
from .._core.paths import lies_below
from .._core.walker import matcher
from .secret_files import copied_file, env_file, secret_file, without_copy_mark
from .secret_rules import BASICAUTH, FALLBACK, FALLBACK_CALL, HTPASSWD, PREFIX, SHELL_DEFAULT
from .secret_values import is_secret, well_known


@dataclass(frozen=True)
class Match:
    """One match of a rule. The value is a secret: it must not leave this process.

    column: of the value; before: the name that stands before it.
    """

    rule: str
    path: str
    line: int
    value: str
    column: int = 0
    before: str = ""

    def __repr__(self) -> str:
        return "Match(%s, %s, %d)" % (self.rule, self.path, self.line)


_SAMPLE_FILE = re.compile(
    r"(?i)(\.(example|sample|template|dist|md|rst|adoc)$|[._-](example|sample|template)\.[a-z]+$|/(docs?|examples?)/)"
)
_TEST_FILE = re.compile(
    r"(?i)(/(tests?|__tests__|__mocks__|spec|specs|fixtures|e2e|seeds?|seeders?)/|[._-](test|spec)\.[a-z]+$)"
)
MASK = "********"
_FALLBACKS = (FALLBACK, FALLBACK_CALL, SHELL_DEFAULT)
_MOVE = "Move it to .env (mode 0600) and read it from the environment; then change it, as everybody who has seen the file knows it."
_KEEP = (
    "Keep it in the home of the user who needs it, outside the shop's directory, readable by that user alone (mode 0600); change it where "
    "others could read it."
)
_HIDE = (
    "Keep it out of what is served and out of version control, readable by the web server alone; choose passwords too long to be guessed from their "
    "hashes, and change this one where others could read it."
)
_REMOVE = "Remove this copy, or move it to where the backups are kept; change what of it is still in use, where others could read it."
# Where programs look for logins: there is no variable of the environment to take their place.
_LOGIN_FILES = frozenset(
    (".netrc", "_netrc", ".pgpass", ".git-credentials", ".msmtprc", ".npmrc", ".my.cnf", ".s3cfg", ".boto")
)


@dataclass(frozen=True)
class SecretVerdict:
    """What a match is: the rule of our finding, how severe, and what to tell."""

    rule: str
    severity: str
    message: str
    remediation: str


def classify_secret(rule: str, path: str, value: str) -> Optional[SecretVerdict]:
    """Whether a match is a finding. Pure.

    Args:
        rule: id of Kingfisher's or our rule.
        path: the file, absolute.
        value: what the rule captured.

    Returns:
        None when it is no secret: a reference to the environment, a label, a path; or it lies in an environment file,
        where secrets belong.
    """
    name = path.rpartition("/")[2]
    if env_file(name) and not copied_file(name):
        return None
    if "private-key" in rule and (secret_file(name) or name.lower().endswith(".pem")):
        return None  # its place is a file of its own, whose mode perm_audit looks at
    value = unquoted(value)
    sample, test = bool(_SAMPLE_FILE.search(path)), bool(_TEST_FILE.search(path))
    known = well_known(value)
    ours = rule.startswith(PREFIX)
    if ours and not is_secret(rule, path, value, sample):
        return None
    if known:
        # A sample shows where a secret goes; elsewhere it is a lock whose key hangs beside it.
        if sample:
            return None
        return SecretVerdict(
            "default-credentials",
            "medium" if test else "high",
            "a default password or key that everybody knows is set here",
            "Set a long random value in .env, let this file refer to it without a default, and change it in the service too.",
        )
    # What an example shows was hardly ever in use; what a test logs in with may be.
    softer = "low" if sample else "medium" if test else "high"
    if rule in (FALLBACK, FALLBACK_CALL):
        return SecretVerdict(
            "secret-fallback",
            softer,
            "when the environment variable is missing, a secret written into the code is used",
            "Let the program fail when the variable is missing; change the secret.",
        )
    if rule == SHELL_DEFAULT:
        return SecretVerdict(
            "secret-fallback",
            softer,
            "when the variable is missing, a secret written into this file is used",
            "Write ${NAME:?must be set} in place of the default; change the secret.",
        )
    if rule in (HTPASSWD, BASICAUTH):
        return SecretVerdict("hard-coded-secret", softer, "the hash of a password is written into this file", _HIDE)
    plain = without_copy_mark(name)
    remedy = _REMOVE if env_file(plain) else _KEEP if plain in _LOGIN_FILES else _MOVE
    if ours:
        return SecretVerdict("hard-coded-secret", softer, "a password, key or token is written into this file", remedy)
    name = provider_rule(rule)
    return SecretVerdict(name, softer, "a secret is written into this file (%s)" % name.replace("-", " "), remedy)


def unquoted(value: str) -> str:
    """A value without the quotes that stand around it. Pure."""
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'`":
        value = value[1:-1].strip()
    return value.rstrip(";,") if len(value) > 4 else value


def provider_rule(rule: str) -> str:
    """The name of our finding for one of Kingfisher's own rules. Pure.

    Several patterns for one kind of secret are numbered there (``betterleaks.razorpay-key-id.1``); the kind is what counts.
    """
    parts = rule.rpartition("/")[2].split(".")
    while len(parts) > 1 and parts[-1].isdigit():
        parts.pop()
    return parts[-1]


def suspicious(matches: Sequence[Match]) -> List[Match]:
    """The matches that come to a finding, without quotes; most are settings about secrets, or words of a form. Pure."""
    found = []
    for match in matches:
        if classify_secret(match.rule, match.path, match.value) is not None:
            value = unquoted(match.value)
            found.append(replace(match, value=value, column=match.column + match.value.find(value)))
    return found


def _told_once(matches: Sequence[Match]) -> List[Match]:
    """One match for each secret on a line: several rules may see the same, or a part of it."""
    best: List[Match] = []
    # A provider's rule knows better what it has seen; then that of a fallback; then the one that has seen more of it.
    ranked = sorted(
        matches,
        key=lambda match: (
            not _specific(match),
            match.rule not in _FALLBACKS,
            -len(match.value),
            match.column,
            match.rule,
        ),
    )
    by_line: Dict[Tuple[str, int], List[Match]] = {}
    for match in ranked:
        seen = by_line.setdefault((match.path, match.line), [])
        if not any(
            match.value in other.value or other.value in match.value for other in seen if _overlap(match, other)
        ):
            seen.append(match)
            best.append(match)
    return best


def _specific(match: Match) -> bool:
    return not match.rule.startswith(PREFIX)


def _overlap(one: Match, other: Match) -> bool:
    """Whether two matches of a line share a part of it; two rules of a provider may differ in where they begin."""
    if _specific(one) and _specific(other):
        return one.rule == other.rule or one.value == other.value
    return one.column < other.column + len(other.value) and other.column < one.column + len(one.value)


def to_secret_findings(matches: Sequence[Match], roots: Sequence[str], exclude: Sequence[str]) -> List[Finding]:
    """Findings, one for each secret in each file, with all the lines it stands on. Pure.

    Args:
        matches: what Kingfisher found.
        roots: the scanned paths; each finding has the one it lies below as its scope.
        exclude: applied once more to the path below the root, as the patterns are meant.
    """
    excluded = matcher(exclude)
    by_place: Dict[Tuple[str, str, str], List[Match]] = {}
    verdicts: Dict[Tuple[str, str, str], SecretVerdict] = {}
    values: Dict[Tuple[str, int], List[str]] = {}
    for match in _told_once(matches):
        root = _root_of(match.path, roots)
        if excluded is not None and _below_excluded(match.path[len(root) :].strip("/"), excluded):
            continue
        verdict = classify_secret(match.rule, match.path, match.value)
        if verdict is None:
            continue
        key = (verdict.rule, match.path, unquoted(match.value))
        verdicts[key] = verdict
        by_place.setdefault(key, []).append(match)
        values.setdefault((match.path, match.line), []).append(unquoted(match.value))
    found = []
    for key, group in by_place.items():
        rule, path, value = key
        lines = sorted({match.line for match in group})
        first = min(group, key=lambda match: (match.line, match.column))
        verdict = verdicts[key]
        message = verdict.message
        if len(lines) > 1:
            message += "; also on line%s %s" % ("" if len(lines) == 2 else "s", ", ".join(str(n) for n in lines[1:20]))
            message += " and %d more" % (len(lines) - 20) if len(lines) > 20 else ""
        found.append(
            Finding(
                rule=rule,
                severity=verdict.severity,
                target=printable(path),
                message=message,
                remediation=verdict.remediation,
                line=lines[0],
                column=first.column,
                lines=tuple(lines),
                excerpt=_masked(first.before, values[(path, first.line)]),
                scope=_root_of(path, roots),
                subject=value,
            )
        )
    return found


def _masked(before: str, values: Sequence[str]) -> str:
    """The name that stands before a secret and a mask for it; nothing where another secret of the line is part of it."""
    if not before or any(value in before for value in values):
        return ""
    return printable(before) + MASK


def _root_of(path: str, roots: Sequence[str]) -> str:
    for root in roots:
        if lies_below(path, root):
            return root
    return roots[0]


def _below_excluded(relative: str, excluded: Any) -> bool:
    parts = relative.split("/")
    return any(excluded(part, "/".join(parts[: index + 1])) for index, part in enumerate(parts))
