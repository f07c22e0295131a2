# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a scanner's matches to findings: what is a secret, what a default that everybody knows, what a label on a form. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .._core.finding import Finding, printable
from .._core.paths import lies_below
from .._core.walker import matcher
from .secret_files import env_file, secret_file
from .secret_rules import (
    FALLBACK,
    FALLBACK_CALL,
    HEADER,
    HTPASSWD,
    INLINE,
    MACHINE,
    PGPASS,
    PREFIX,
    QUOTED,
    SASL,
    SHELL_DEFAULT,
    UNQUOTED,
    UNQUOTED_KEY,
    URL,
)


@dataclass(frozen=True)
class Match:
    """One match of a rule. The value is a secret: it must not leave this process."""

    rule: str
    path: str
    line: int
    value: str

    def __repr__(self) -> str:
        return "Match(%s, %s, %d)" % (self.rule, self.path, self.line)


# Passwords that everybody tries first, with separators taken out.
_WELL_KNOWN = frozenset(
    "changeme changeit changethis password passw0rd pass1234 password1 password123 admin admin123 administrator secret supersecret "
    "mysecret topsecret secret123 secretkey jwtsecret yoursecret yoursecretkey yourjwtsecret yoursupersecretkey yourpassword "
    "yourtoken yourapikey default root toor letmein qwerty 1234 12345 123456 1234567 12345678 123456789 test test123 testing "
    "guest demo example mongo mongodb miniecom placeholder replaceme replacethis todo dummy insecure devsecret "
    "developmentsecret".split()
)
_PLACEHOLDER = re.compile(
    r"(?i)change.?(me|this|it)|replace.?(me|this|with)|^your[-_. ]|placeholder|^<.*>$|^(x+|\*+|\.+)$"
)
_REFERENCE = re.compile(
    r"process\.env|import\.meta|\$\{|\$\(|\{\{|<%|^\$|^%\(|%s|^\{\w*\}|^ENC\[|^!vault|^vault:|os\.environ|getenv"
)
# Words of a user interface, routes, identifiers: letters with separators, one of the words being what the rule looks for.
_WORDS = re.compile(r"^[A-Za-z]+(?:[._:/-][A-Za-z]+)*$")
_KEYWORD = re.compile(r"(?i)passw|passphrase|pwd|secret|token|key|auth|login")
_LABEL = re.compile(r"^[A-Z][a-z]+$")
_PATH = re.compile(r"^(?:~|\.{1,2})?/[\w./@-]+$|^https?://[^@]*$")
# What a setting says of a secret instead of being one.
_SETTINGS = frozenset(
    "true false null none yes no on off enabled disabled required optional strict strong weak medium standard default auto "
    "text string number boolean object error warn header body query cookie bearer basic digest field email hidden input local "
    "login plain file vault env bcrypt argon2 scrypt pbkdf2 md5 public private secret token key password undefined".split()
)
_NUMBER = re.compile(r"^\d{1,5}(?:ms|[smhdwy])?$")
_CALL = re.compile(r"^[A-Za-z_][\w.]*\(|^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+[\])};,]*$|^String[,;]?$")
_KIND = re.compile(r"^X-[A-Z][\w-]*$|^(?:HS|RS|ES|PS)\d{3}$|^(?:sha|aes)[\d-]+", re.ASCII)
_UPPER_WORD = re.compile(r"^[A-Z_]+$")
# Application passwords of mail providers: four groups of four.
_MAIL_PASSWORD = re.compile(r"^[a-z0-9]{4}(?: [a-z0-9]{4}){3}$")
_LOGIN_FILE = re.compile(r"/[._](?:netrc|authinfo|msmtprc|fetchmailrc)$")
_SAMPLE_FILE = re.compile(
    r"(?i)(\.(example|sample|template|dist|md|rst|adoc)$|[._-](example|sample|template)\.[a-z]+$|/(docs?|examples?)/)"
)
_TEST_FILE = re.compile(
    r"(?i)(/(tests?|__tests__|__mocks__|spec|specs|fixtures|e2e|seeds?|seeders?)/|[._-](test|spec)\.[a-z]+$)"
)
_INTERFACE_FILE = re.compile(r"(?i)(/(locales?|i18n|lang|translations)/|\.min\.js$|/dist/|/build/)")
_UNQUOTED_FILE = re.compile(
    r"(?i)(\.(ya?ml|conf|cfg|ini|sh|bash|properties|toml|tf|env|service|list|example|sample|template|dist|bak|old|orig|save|txt|md)~?$"
    r"|[.-]\d{6,8}$|/dockerfile[^/]*$|/[^/.]+$|/\.[^/]+$)"
)

_MOVE = "Move it to .env (mode 0600) and read it from the environment; then change it, as everybody who has seen the file knows it."


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
    if env_file(name):
        return None
    if "private-key" in rule and (secret_file(name) or name.lower().endswith(".pem")):
        return None  # its place is a file of its own, whose mode perm_audit looks at
    value = value.strip()
    sample, test = bool(_SAMPLE_FILE.search(path)), bool(_TEST_FILE.search(path))
    bare = re.sub(r"[^a-z0-9]", "", value.lower())
    known = bare in _WELL_KNOWN or bool(_PLACEHOLDER.search(value))
    ours = rule.startswith(PREFIX)
    reference = rule != HTPASSWD and _REFERENCE.search(value)
    if ours and (len(value) < 4 or reference or not _is_secret(rule, path, value, bare, known)):
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
    softer = "medium" if sample or test else "high"
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
    if ours:
        return SecretVerdict("hard-coded-secret", softer, "a password, key or token is written into this file", _MOVE)
    name = provider_rule(rule)
    return SecretVerdict(name, softer, "a secret is written into this file (%s)" % name.replace("-", " "), _MOVE)


def provider_rule(rule: str) -> str:
    """The name of our finding for one of Kingfisher's own rules. Pure.

    Several patterns for one kind of secret are numbered there (``betterleaks.razorpay-key-id.1``); the kind is what counts.
    """
    parts = rule.rpartition("/")[2].split(".")
    while len(parts) > 1 and parts[-1].isdigit():
        parts.pop()
    return parts[-1]


def _is_secret(rule: str, path: str, value: str, bare: str, known: bool) -> bool:
    """Whether what one of our rules has captured is a secret, by the kind of the value and of the file."""
    configuration = bool(_UNQUOTED_FILE.search(path))
    if rule == MACHINE:
        return bool(_LOGIN_FILE.search(path))
    if rule == PGPASS:
        return path.endswith("/.pgpass")
    if rule == SASL:
        return "sasl_passwd" in path.rpartition("/")[2]
    if rule == HTPASSWD:
        return "htpasswd" in path.rpartition("/")[2]
    if rule in (UNQUOTED, UNQUOTED_KEY, INLINE) and not configuration:
        return False
    if rule == QUOTED:
        return not _PATH.match(value) and not _is_text(value, path, bare, configuration)
    if rule in (FALLBACK, FALLBACK_CALL, SHELL_DEFAULT):
        return True
    if bare in ("pass", "passwd", "pwd") or (rule != UNQUOTED and _UPPER_WORD.match(value)):
        return False  # what documentation writes in the place of one
    if rule == URL:
        return True
    if _NUMBER.match(value) or _PATH.match(value) or _CALL.match(value) or _KIND.match(value):
        return False
    if bare in _SETTINGS and rule != UNQUOTED:
        return False
    if rule == UNQUOTED:
        return bare not in _SETTINGS or bare in _WELL_KNOWN
    if rule == UNQUOTED_KEY:
        # A key or token is no word; a password may be one.
        return known or bool(re.search(r"\d", value)) or len(value) >= 20
    if re.search(r"\s", value):
        return bool(re.search(r"\d", value) or _MAIL_PASSWORD.match(value))
    return rule != HEADER or bool(re.search(r"\d", value))


def _is_text(value: str, path: str, bare: str, configuration: bool) -> bool:
    """Whether a quoted value is a label, a message, a route or an identifier, not a secret."""
    if re.search(r"\s", value.strip()):
        # A sentence; in a configuration file, where there are none to be read by people, a pass phrase may have digits.
        return not _MAIL_PASSWORD.match(value) and not (configuration and re.search(r"\d", value))
    if _INTERFACE_FILE.search(path) or value[0] in "^[(<#" or _NUMBER.match(value) or _KIND.match(value):
        return True
    if len(set(value)) == 1 or bare in ("password", "passwd", "pass", "secret", "token"):
        return True
    if bare in _WELL_KNOWN:
        return False
    if bare in _SETTINGS or re.match(r"^pk_(?:example|test)", value):
        return True
    return bool(_LABEL.match(value)) or bool(_WORDS.match(value) and _KEYWORD.search(value))


def to_secret_findings(matches: Sequence[Match], roots: Sequence[str], exclude: Sequence[str]) -> List[Finding]:
    """Findings, one for each secret in each file, with the first line it stands on. Pure.

    Args:
        matches: what Kingfisher found.
        roots: the scanned paths; each finding has the one it lies below as its scope.
        exclude: applied once more to the path below the root, as the patterns are meant.
    """
    excluded = matcher(exclude)
    by_place: Dict[Tuple[str, str, str], List[Match]] = {}
    verdicts: Dict[Tuple[str, str, str], SecretVerdict] = {}
    specific = {(match.path, match.line) for match in matches if not match.rule.startswith(PREFIX)}
    specific_values: Dict[Tuple[str, int], List[str]] = {}
    for match in matches:
        if not match.rule.startswith(PREFIX):
            specific_values.setdefault((match.path, match.line), []).append(match.value)
    for match in matches:
        place = (match.path, match.line)
        if match.rule.startswith(PREFIX) and place in specific:
            # A provider's rule has seen the same value and knows better what it is.
            if any(match.value in value or value in match.value for value in specific_values[place]):
                continue
        root = _root_of(match.path, roots)
        if excluded is not None and _below_excluded(match.path[len(root) :].strip("/"), excluded):
            continue
        verdict = classify_secret(match.rule, match.path, match.value)
        if verdict is None:
            continue
        key = (verdict.rule, match.path, match.value.strip())
        verdicts[key] = verdict
        by_place.setdefault(key, []).append(match)
    found = []
    for key, group in by_place.items():
        rule, path, value = key
        lines = sorted({match.line for match in group})
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
                scope=_root_of(path, roots),
                subject=value,
            )
        )
    return found


def _root_of(path: str, roots: Sequence[str]) -> str:
    for root in roots:
        if lies_below(path, root):
            return root
    return roots[0]


def _below_excluded(relative: str, excluded: Any) -> bool:
    parts = relative.split("/")
    return any(excluded(part, "/".join(parts[: index + 1])) for index, part in enumerate(parts))
