# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Operations that were slow, from mongod's log and the profiler's entries, and which of them are of one kind. Pure.

Both hold what customers have entered. Of an operation only its shape is taken: the names of fields it asked by, never a value.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .._core.finding import printable
from .._core.late_dataclass import dataclass
from .client import APP_NAME

SLOW_QUERY = "Slow query"
# The log's own words for it, of which only these are looked at more closely.
MAY_BE_SLOW = b'"Slow query"'
COLLSCAN = "COLLSCAN"
# Names of fields that are told of one kind, and how deep they are looked for.
_FIELDS, _DEPTH = 8, 6
_COMMANDS = (
    "find",
    "aggregate",
    "count",
    "distinct",
    "findAndModify",
    "update",
    "delete",
    "insert",
    "getMore",
    "mapReduce",
)
_KINDS = {"query": "find", "remove": "delete", "getmore": "getMore"}
_SERVERS = ("admin", "local", "config")


@dataclass(frozen=True)
class SlowOperation:
    """One operation.

    Attributes:
        operation: the command ("find"). fields: what it asked by. sort: what it sorted by.
        plan: how the server did it ("COLLSCAN", "IXSCAN { userId: 1 }"), "" where it does not say.
        examined, returned: documents.
    """

    at: datetime
    namespace: str
    operation: str
    fields: Tuple[str, ...]
    sort: Tuple[str, ...]
    plan: str
    millis: int
    examined: int
    returned: int

    @property
    def kind(self) -> Tuple[Any, ...]:
        return (self.namespace, self.operation, self.fields, self.sort, self.plan)

    @property
    def scans(self) -> bool:
        return self.plan.startswith(COLLSCAN)


def _names(value: Any, depth: int = 0) -> List[str]:
    """The names of fields in a filter; what is asked of them and what they are compared with is left out."""
    found: List[str] = []
    if depth > _DEPTH:
        return found
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if str(name).startswith("$"):
                found += _names(inner, depth + 1)
            else:
                found.append(printable(str(name))[:60])
    elif isinstance(value, (list, tuple)):
        for inner in value:
            found += _names(inner, depth + 1)
    return found


def _shape(command: Mapping[str, Any]) -> Tuple[Tuple[str, ...], Tuple[str, ...]]:
    """What a command asks by and sorts by."""
    asked: Any = None
    sort = command.get("sort")
    for key in ("filter", "query", "q"):
        if isinstance(command.get(key), Mapping):
            asked = command[key]
            break
    for key in ("updates", "deletes"):
        if asked is None and isinstance(command.get(key), (list, tuple)):
            asked = [item.get("q") for item in command[key] if isinstance(item, Mapping)]
    pipeline = command.get("pipeline")
    if asked is None and isinstance(pipeline, (list, tuple)):
        stages = [stage for stage in pipeline if isinstance(stage, Mapping)]
        # Only what comes first can use an index.
        asked = stages[0].get("$match") if stages else None
        sort = next((stage["$sort"] for stage in stages if "$sort" in stage), None)
    return tuple(sorted(set(_names(asked)))[:_FIELDS]), tuple(dict.fromkeys(_names(sort)))[:_FIELDS]


def _operation(kind: str, command: Mapping[str, Any]) -> str:
    if kind == "command":
        return next((name for name in _COMMANDS if name in command), next(iter(map(str, command)), "command"))
    return _KINDS.get(kind, kind)


def _plan(summary: Any) -> str:
    # Of an index its keys, which are names; what a plan of another kind holds is none of our business.
    text = str(summary or "")
    return (
        printable(text)[:120]
        if re.match(r"^[A-Z_]+( \{[^{}]*\})?(, [A-Z_]+( \{[^{}]*\})?)*$", text)
        else text.partition(" ")[0][:40]
    )


def _number(value: Any) -> int:
    try:
        return int(value or 0)
    except (TypeError, ValueError):
        return 0


def _interpret(
    at: datetime, namespace: str, kind: str, facts: Mapping[str, Any], millis: int
) -> Optional[SlowOperation]:
    command = facts.get("command") if isinstance(facts.get("command"), Mapping) else {}
    original = facts.get("originatingCommand")
    operation = _operation(kind, command or {})
    if isinstance(original, Mapping):
        command = original
    database, _dot, collection = namespace.partition(".")
    # What one command changes in several steps is logged for each of them, and once more as a whole.
    if facts.get("appName") == APP_NAME or database in _SERVERS or not collection or collection == "$cmd":
        return None
    fields, sort = _shape(command or {})
    return SlowOperation(
        at,
        printable(namespace),
        printable(operation)[:40],
        fields,
        sort,
        _plan(facts.get("planSummary")),
        millis,
        _number(facts.get("docsExamined")),
        _number(facts.get("nreturned") or facts.get("nMatched") or facts.get("ndeleted")),
    )


def logged_at(line: bytes) -> Optional[datetime]:
    """When a line of mongod's log (4.4 and later) was written; None where it is none."""
    match = re.match(rb'\{"t":\{"\$date":"([0-9T:.+Z-]+)"\}', line)
    return _moment(match.group(1).decode("ascii")) if match else None


def _moment(text: str) -> Optional[datetime]:
    # Python before 3.11 reads neither Z nor an offset without a colon.
    text = re.sub(r"([+-]\d\d):?(\d\d)$", r"\1:\2", text.replace("Z", "+00:00"))
    try:
        return datetime.fromisoformat(text).astimezone(timezone.utc)
    except ValueError:
        return None


def of_log_line(line: bytes) -> Optional[SlowOperation]:
    """The slow operation that a line of mongod's log tells of; None for every other line, and for those of this collection."""
    if MAY_BE_SLOW not in line:
        return None
    try:
        entry = json.loads(line.decode("utf-8", "replace"))
        facts, at = entry["attr"], _moment(str(entry["t"]["$date"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if entry.get("msg") != SLOW_QUERY or at is None or not isinstance(facts, Mapping):
        return None
    return _interpret(
        at, str(facts.get("ns") or ""), str(facts.get("type") or ""), facts, _number(facts.get("durationMillis"))
    )


def of_profile(entry: Mapping[str, Any]) -> Optional[SlowOperation]:
    """The operation of an entry of system.profile."""
    at = entry.get("ts")
    if not isinstance(at, datetime):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=timezone.utc)
    return _interpret(at, str(entry.get("ns") or ""), str(entry.get("op") or ""), entry, _number(entry.get("millis")))


def group(operations: Sequence[SlowOperation]) -> List[Dict[str, Any]]:
    """Kinds of operations as they are returned: those that took the most time in all come first."""
    kinds: Dict[Tuple[Any, ...], List[SlowOperation]] = {}
    for operation in operations:
        kinds.setdefault(operation.kind, []).append(operation)
    found = []
    for members in kinds.values():
        first = members[0]
        found.append(
            {
                "namespace": first.namespace,
                "operation": first.operation,
                "fields": list(first.fields),
                "sort": list(first.sort),
                "plan": first.plan,
                "count": len(members),
                "milliseconds": sum(member.millis for member in members),
                "milliseconds_max": max(member.millis for member in members),
                "documents_examined": max(member.examined for member in members),
                "documents_returned": max(member.returned for member in members),
                "last": max(member.at for member in members).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "scans": first.scans,
            }
        )
    return sorted(found, key=lambda item: (-item["milliseconds"], item["namespace"], item["operation"]))


def sentence(kind: Mapping[str, Any]) -> str:
    """One kind, as a person reads it."""
    text = "%s %s" % (kind["namespace"], kind["operation"])
    if kind["fields"]:
        text += " by %s" % ", ".join(kind["fields"])
    if kind["sort"]:
        text += " sorted by %s" % ", ".join(kind["sort"])
    text += " (%d time%s, up to %.1f s)" % (
        kind["count"],
        "" if kind["count"] == 1 else "s",
        kind["milliseconds_max"] / 1000,
    )
    if kind["scans"]:
        text += " reads the whole collection, %d documents for %d" % (
            kind["documents_examined"],
            kind["documents_returned"],
        )
    return text


def advice(kind: Mapping[str, Any]) -> str:
    """The index that may help; "" where none is missing for all that can be seen."""
    keys = [*kind["fields"], *(name for name in kind["sort"] if name not in kind["fields"])]
    # With more of them it takes somebody who knows what they hold to say which come first.
    if (
        not kind["scans"]
        or not 0 < len(keys) <= 3
        or kind["documents_examined"] <= 10 * max(kind["documents_returned"], 1)
    ):
        return ""
    database, _dot, collection = kind["namespace"].partition(".")
    named = ", ".join("%s: 1" % json.dumps(key) for key in keys)
    return "in mongosh, on a copy first: use %s; db.getCollection(%s).createIndex({%s})" % (
        database,
        json.dumps(collection),
        named,
    )
