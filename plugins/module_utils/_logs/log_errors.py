# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which lines of a log are errors, and which of them say the same. Pure.

A log is written for whoever has the time to read it; here a day of it becomes a few lines. Two messages are of one kind when they
differ by what varies only: numbers, ids, addresses, times. What varies is also what is private (an address, a token), so
that a kind may be kept and shown where a line may not.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import field
from typing import Any, Dict, FrozenSet, List, Mapping, Optional, Sequence, Tuple

from .._core.late_dataclass import dataclass

# Longest message of a kind, in characters.
MESSAGE_WIDTH = 200
# How many kinds a headline names; all are in the record of the run.
NAMED = 3
# Kinds that one look tells apart; what is beyond is only counted.
MAX_KINDS = 2000
# Where a line says its level: before that many characters. A message that quotes another one says it later.
LEVEL_WITHIN = 160

# Levels of pino and bunyan (npm), in numbers; from 50 on they are errors.
_NUMERIC_ERROR = 50
_ERROR_WORDS = frozenset(("error", "err", "fatal", "critical", "crit", "alert", "emerg", "emergency", "panic"))
_LEVEL_KEYS = ("level", "severity", "levelname", "log.level", "s")
_MESSAGE_KEYS = ("msg", "message", "error", "err", "reason")
# What a line must hold to be looked at more closely: cheap, and applied to every line.
MAY_BE_ERROR = re.compile(
    rb"(?i)error|fatal|crit|alert|emerg|panic|exception|uncaught|unhandled|\"level\":\s*[5-9]\d|\"s\":\s*\"[EF]\""
)
# A level as loggers write it: in capitals, in brackets, or as a key. "0 errors" and "error handling enabled" are none.
_LEVEL = re.compile(
    r"(?<![\w.-])(?:ERROR|ERR|FATAL|CRITICAL|CRIT|ALERT|EMERG|EMERGENCY|PANIC)(?![\w-])"
    r"|\[(?:error|err|fatal|crit|critical|alert|emerg|panic)\]"
    r"|(?<!\w)(?:level|severity|lvl)=\"?(?:error|err|fatal|crit|critical|alert|emerg|panic)\b",
)
# What a program prints that nobody caught: node's and Python's errors begin a line with their class.
_THROWN = re.compile(
    r"^(?:(?:Uncaught\s+)?(?:[A-Za-z_][\w.]*)?(?:Error|Exception)(?:\s\[[A-Z_]+\])?:\s|\(node:\d+\) (?:Unhandled|Uncaught)|Unhandled|Uncaught )"
)
_TRACE = re.compile(r"^\s+(?:at |\.\.\. \d+ |File \")|^Traceback \(most recent call last\)")

_TIME = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
_LEADING = re.compile(
    r"^\s*(?:\[?(?:%s|\d{4}/\d\d/\d\d \d\d:\d\d:\d\d|\w{3} +\d+ \d\d:\d\d:\d\d)\]?[\s:,-]*)+" % _TIME,
)
# In order: each sees what the ones before it have left.
_VARYING: Tuple[Tuple[re.Pattern, str], ...] = (
    (re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/@]*@"), r"\1"),
    (re.compile(_TIME), "<time>"),
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "<address>"),
    (re.compile(r"(?i)(?<![\w-])[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?![\w-])"), "<id>"),
    (re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?(?![\w.])"), "<ip>"),
    (re.compile(r"(?i)(?<![\w:])(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{0,4}(?![\w:])"), "<ip>"),
    (re.compile(r"(?<![\w/.-])(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{16,}(?:\.[\w-]+)*"), "<id>"),
    (re.compile(r"(?i)(?<!\w)(?=[0-9a-f]*\d)[0-9a-f]{8,}(?!\w)"), "<id>"),
    (
        re.compile(r"(?i)(\b(?:pass(?:word|wd)?|secret|token|authorization|cookie|api[_-]?key)\b[\"']?\s*[:=]\s*)\S+"),
        r"\1<secret>",
    ),
    (re.compile(r"\d+"), "#"),
)


def message_of(line: str) -> Optional[str]:
    """What a line says when it is an error, without what varies; None for every other line.

    Args:
        line: one line of a log, without its end.
    """
    text = line.strip()
    if text.startswith("{"):
        found = _structured(text)
        if found is not None:
            is_error, message = found
            return generalise(message) if is_error else None
    if _TRACE.match(line):
        # It belongs to the error above it.
        return None
    plain = _LEADING.sub("", text)
    if _THROWN.match(plain) or _LEVEL.search(text[:LEVEL_WITHIN]):
        return generalise(plain)
    return None


def _structured(text: str) -> Optional[Tuple[bool, str]]:
    """Whether a line in JSON is an error, and its message; None when it is no JSON object with a level."""
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict):
        return None
    for key in _LEVEL_KEYS:
        level = entry.get(key)
        if isinstance(level, bool):
            continue
        if isinstance(level, (int, float)):
            return level >= _NUMERIC_ERROR, _message(entry)
        if isinstance(level, str):
            # MongoDB's own log says E and F.
            return level.lower() in _ERROR_WORDS or (key == "s" and level in ("E", "F")), _message(entry)
    return None


def _message(entry: Mapping[str, Any]) -> str:
    for key in _MESSAGE_KEYS:
        value = entry.get(key)
        if isinstance(value, Mapping):
            value = value.get("message") or value.get("code")
        if isinstance(value, str) and value:
            return value
    return "an error without a message"


def generalise(message: str) -> str:
    """A message without what varies from one time to the next."""
    text = " ".join(message[: MESSAGE_WIDTH * 4].split())
    for pattern, instead in _VARYING:
        text = pattern.sub(instead, text)
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= MESSAGE_WIDTH else text[: MESSAGE_WIDTH - 3] + "..."


def kind_id(message: str) -> str:
    """What a kind is remembered by."""
    return hashlib.sha256(message.encode("utf-8", "replace")).hexdigest()[:16]


@dataclass
class Tally:
    """How often each kind of error was met.

    Attributes:
        lines: how many lines were read.
        errors: how many of them were errors.
        uncounted: errors whose kind is not told apart, since there were too many kinds.
    """

    lines: int = 0
    errors: int = 0
    uncounted: int = 0
    _kinds: Dict[str, int] = field(default_factory=dict)
    _places: Dict[str, str] = field(default_factory=dict)

    def add(self, raw: bytes, path: str) -> None:
        """Take one line of a log into account."""
        self.lines += 1
        if not MAY_BE_ERROR.search(raw):
            return
        message = message_of(raw.decode("utf-8", "replace"))
        if message is None:
            return
        self.errors += 1
        if message in self._kinds:
            self._kinds[message] += 1
        elif len(self._kinds) < MAX_KINDS:
            self._kinds[message] = 1
        else:
            self.uncounted += 1
            return
        self._places[message] = path

    def merge(self, other: Tally) -> None:
        """Take what another one has counted into account."""
        self.lines += other.lines
        self.errors += other.errors
        self.uncounted += other.uncounted
        for message, count in other._kinds.items():
            if message not in self._kinds and len(self._kinds) >= MAX_KINDS:
                self.uncounted += count
                continue
            self._kinds[message] = self._kinds.get(message, 0) + count
            self._places[message] = other._places[message]

    def kinds(self, known: FrozenSet[str]) -> List[Dict[str, Any]]:
        """New ones first, then the most frequent.

        Args:
            known: ids of kinds that were met before.
        """
        found = [
            {
                "id": kind_id(message),
                "message": message,
                "count": count,
                "new": kind_id(message) not in known,
                "path": self._places[message],
            }
            for message, count in self._kinds.items()
        ]
        return sorted(found, key=lambda item: (not item["new"], -item["count"], item["message"]))


def first_kinds(kinds: Sequence[Mapping[str, Any]]) -> str:
    """The first of some kinds of errors, for a headline: in which log, what, and how often. Pure."""
    named = ["%s: %s (%d)" % (item["path"], item["message"], item["count"]) for item in kinds[:NAMED]]
    return "; ".join(named)
