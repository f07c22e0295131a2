# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How good the settings of a shop are: secrets that everybody knows, short ones, one secret for two things, debugging. Pure.

Judged is what the application gets: values with variables put in. Names of variables are told, never a value.
"""

from __future__ import annotations

import re
from typing import Dict, FrozenSet, Iterable, List, Sequence, Tuple
from urllib.parse import unquote

from .._core.finding import Finding
from .._core.late_dataclass import dataclass
from .secret_values import well_known

ENVIRONMENT_SCOPE = "settings"
ENVIRONMENT_RULES = frozenset(
    (
        "default-secret-in-use",
        "weak-secret-in-use",
        "secret-used-twice",
        "debugging-in-production",
        "node-inspector",
        "setting-twice",
    )
)
_SECRET_NAME = re.compile(
    r"(?i)(?:^|_)(?:PASS|PASSWORD|PASSWD|PASSPHRASE|PWD|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY|SECRET_?KEY|ENCRYPTION_?KEY|SIGNING_?KEY|ACCESS_?KEY)(?:_|$)"
)
# What is told of a secret: where it lies, how long it lives.
_ABOUT = re.compile(
    r"(?i)(?:_|^)(?:FILE|PATH|DIR|URL|URI|HOST|TTL|EXPIRY|EXPIRES?|EXPIRATION|IN|AGE|LENGTH|MIN|MAX|ROUNDS|ALGORITHM|HEADER|NAME|ID|ENABLED|REQUIRED|ISSUER"
    r"|AUDIENCE|PUBLIC|PUBLISHABLE|LIFETIME|DAYS|HOURS|MINUTES|SECONDS)$"
)
# The shop makes these up itself and signs with them: who can guess one is whoever he wants to be.
_SIGNING = re.compile(
    r"(?i)(?:^|_)(?:JWT|SESSION|COOKIE|CSRF|REFRESH|ACCESS_TOKEN|ENCRYPTION|SIGNING|APP)_?(?:TOKEN_?)?(?:SECRET|KEY)(?:_|$)"
)
_ENCRYPTING = re.compile(r"(?i)(?:^|_)(?:EN)?(?:CRYPT|CRYPTION|CIPHER)")
_PACKING = re.compile(r"(?i)(?:^|_)(?:BACKUP|RESTIC|BORG)_|PASSPHRASE")
_PASSWORD = re.compile(r"(?i)(?:^|_)(?:PASS|PASSWORD|PASSWD|PASSPHRASE|PWD)(?:_|$)")
_USERINFO = re.compile(r"^[a-z][a-z0-9+.-]*://[^/?#\s]*?:([^\s]*)@[^@\s]*$", re.IGNORECASE)
_DATABASE = re.compile(r"(?i)^(?:ME_CONFIG_)?(?:MONGO|MONGODB|DB|DATABASE)(?:_|$)")
_DIGITS = re.compile(r"^\d{0,7}$|^(?:true|false|yes|no|on|off)$", re.IGNORECASE)
# RFC 7518, 3.2: a key for HS256 has as many bits as the hash, 256.
SIGNING_CHARACTERS = 32
PASSWORD_CHARACTERS = 12
_DISTINCT = 6
_SET_BOTH = "Set a long random value (openssl rand -base64 32), and the same one in the service that checks it, as the database."
_SIGN_ANEW = "Set a long random value (openssl rand -base64 32) and start the API anew; whoever is signed in then has to sign in again."
_ENCRYPT_ANEW = (
    "Make a long random value (openssl rand -base64 32), encrypt with it anew what the present one has encrypted, then set it; without that nobody can "
    "read it any more."
)

_KEEP_FOR_OLD = (
    "Set a long random value (openssl rand -base64 32) for the backups to come, and keep the present one, outside this host, as long as there are backups "
    "that only it opens."
)


@dataclass(frozen=True)
class EnvironmentSetting:
    """One variable as it is used.

    Attributes:
        place: where it is set: the path of a file, or a container.
        line: its line in the file, 0 elsewhere.
    """

    key: str
    value: str
    place: str
    line: int = 0

    def __repr__(self) -> str:
        return "EnvironmentSetting(%s, %s)" % (self.key, self.place)


def secret_of(key: str, value: str) -> str:
    """The secret that a variable holds: its value, or the password of an address; "" when it holds none."""
    match = _USERINFO.match(value.strip())
    if match:
        return unquote(match.group(1))
    if _SECRET_NAME.search(key) and not _ABOUT.search(key):
        return value if not value.strip().startswith("/") else ""
    return ""


def names_of_secrets(values: Dict[str, str]) -> Tuple[str, ...]:
    """The variables that hold secrets."""
    return tuple(
        sorted(key for key, value in values.items() if secret_of(key, value) and not _DIGITS.match(value.strip()))
    )


def judge_settings(settings: Iterable[EnvironmentSetting]) -> List[Finding]:
    """Findings about settings. Two places that give a variable one value are told once, at the first; so is the password of the
    database, which stands under several names."""
    findings: List[Finding] = []
    purposes: Dict[Tuple[str, str], List[EnvironmentSetting]] = {}
    users: Dict[str, List[EnvironmentSetting]] = {}
    seen = set()
    for setting in settings:
        if (setting.key, setting.value) in seen:
            continue
        seen.add((setting.key, setting.value))
        findings.extend(_judge_debugging(setting))
        secret = secret_of(setting.key, setting.value)
        if secret or _signs(setting.key):
            purposes.setdefault((_purpose(setting.key), secret), []).append(setting)
        if len(secret) >= 4 and not well_known(secret):
            users.setdefault(secret, []).append(setting)
    for (purpose, secret), alike in purposes.items():
        findings.extend(_judge_secret(alike, purpose, secret))
    for sharing in users.values():
        findings.extend(_judge_sharing(sharing))
    return findings


def _signs(key: str) -> bool:
    return bool(_SIGNING.search(key)) and not _ABOUT.search(key)


def _finding(
    setting: EnvironmentSetting, rule: str, severity: str, message: str, remediation: str, subject: str = ""
) -> Finding:
    return Finding(
        rule,
        severity,
        setting.place,
        message,
        remediation,
        line=setting.line,
        scope=ENVIRONMENT_SCOPE,
        subject=subject or setting.key,
    )


def _judge_secret(alike: Sequence[EnvironmentSetting], purpose: str, secret: str) -> List[Finding]:
    """What is wrong with the secret that these variables hold."""
    signing = any(_signs(setting.key) for setting in alike)
    password = any(_PASSWORD.search(setting.key) or "://" in setting.value for setting in alike)
    keys = ", ".join(sorted({setting.key for setting in alike}))
    rule, severity = "default-secret-in-use", "high"
    if signing and not secret.strip():
        why = "no value: whatever the application signs with it, anybody can sign"
    elif well_known(secret):
        why = "a default or a placeholder that everybody tries first"
    else:
        rule, severity = "weak-secret-in-use", "medium"
        if signing and len(secret) < SIGNING_CHARACTERS:
            why = "fewer than %d characters, too few to sign with (RFC 7518, 3.2)" % SIGNING_CHARACTERS
        elif password and len(secret) < PASSWORD_CHARACTERS:
            why = "fewer than %d characters" % PASSWORD_CHARACTERS
        elif _repeats(secret):
            why = "the same few characters again and again"
        else:
            return []
    remediation = _SIGN_ANEW if signing else _SET_BOTH
    for pattern, other in ((_ENCRYPTING, _ENCRYPT_ANEW), (_PACKING, _KEEP_FOR_OLD)):
        if any(pattern.search(setting.key) for setting in alike):
            remediation = other
    has = "has" if "," not in keys else "have"
    return [_finding(alike[0], rule, severity, "%s %s %s" % (keys, has, why), remediation, purpose)]


def _repeats(secret: str) -> bool:
    return len(set(secret)) < _DISTINCT or bool(re.match(r"^(.{1,8})\1{2,}.{0,7}$", secret, re.DOTALL))


def _purpose(key: str) -> str:
    """What a secret is for: the database's password stands under several names."""
    return "database" if _DATABASE.match(key) else key


def _judge_sharing(sharing: Sequence[EnvironmentSetting]) -> List[Finding]:
    purposes: FrozenSet[str] = frozenset(_purpose(setting.key) for setting in sharing)
    if len(purposes) < 2:
        return []
    names = sorted({setting.key for setting in sharing})
    message = "%s are one and the same secret: who learns it by the one has the other" % ", ".join(names)
    return [
        _finding(
            sharing[0], "secret-used-twice", "medium", message, "Give each a random value of its own.", " ".join(names)
        )
    ]


def _judge_debugging(setting: EnvironmentSetting) -> List[Finding]:
    key, value = setting.key, setting.value.strip().lower()
    if key == "NODE_OPTIONS" and "--inspect" in value:
        message = "NODE_OPTIONS starts Node's debugger: whoever reaches it runs code in the shop"
        return [_finding(setting, "node-inspector", "high", message, "Take --inspect out of NODE_OPTIONS.")]
    why = ""
    if key == "NODE_ENV" and value in ("development", "dev", "test", "debug"):
        why = "NODE_ENV is not production: visitors get stack traces, and libraries leave checks and caches out"
    elif key == "DEBUG" and value not in ("", "0", "false", "no", "off"):
        why = "DEBUG is set: libraries write requests, and what is in them, into the log"
    elif key in ("LOG_LEVEL", "LOGLEVEL") and value in ("debug", "trace", "silly"):
        why = "%s is that of debugging: requests, and what is in them, get into the log" % key
    if not why:
        return []
    severity = "medium" if key == "NODE_ENV" else "low"
    return [
        _finding(setting, "debugging-in-production", severity, why, "Set it as for production, and start the API anew.")
    ]


def judge_repetitions(place: str, assigned: Sequence[Tuple[str, str, int]]) -> List[Finding]:
    """A finding for the variables that a file sets more than once, and not alike.

    Args:
        assigned: key, value and line, in order.
    """
    values: Dict[str, List[str]] = {}
    lines: Dict[str, List[int]] = {}
    for key, value, line in assigned:
        values.setdefault(key, []).append(value)
        lines.setdefault(key, []).append(line)
    return [
        _finding(
            EnvironmentSetting(key, "", place, lines[key][-1]),
            "setting-twice",
            "low",
            "%s is set %d times with different values (lines %s); the last one counts"
            % (key, len(found), ", ".join(map(str, lines[key]))),
            "Leave the line that is meant, and remove the others.",
        )
        for key, found in values.items()
        if len(set(found)) > 1
    ]
