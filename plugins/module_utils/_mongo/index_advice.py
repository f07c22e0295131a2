# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which indexes nobody needs: those that another one covers, and those that no member has used for a month. Pure.

A server counts the use of an index from its own start, each member for itself, and forgets at a restart. So what was seen is
added up over the calls: the time for which an index is known to have rested.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, List, Mapping, Optional, Sequence, Tuple

from .._core.late_dataclass import dataclass

# What makes an index answer other questions than its keys say, or fewer.
_MEANING = ("collation", "partialFilterExpression", "sparse", "wildcardProjection")
# So long it must have rested on every member before it is called unused.
UNUSED_AFTER = timedelta(days=30)


@dataclass(frozen=True)
class Covered:
    """An index that another one makes superfluous.

    Attributes:
        by: name of the other one.
        kind: duplicate (of the same keys) or prefix (of more keys).
    """

    name: str
    by: str
    kind: str


def _keys(spec: Mapping[str, Any]) -> Tuple[Tuple[str, Any], ...]:
    return tuple((spec.get("key") or {}).items())


def _is_plain(spec: Mapping[str, Any]) -> bool:
    """Ascending and descending keys only, of whole documents: no text, hashed, geo or wildcard index."""
    keys = _keys(spec)
    return bool(keys) and all(
        isinstance(value, (int, float)) and not isinstance(value, bool) and value in (1, -1) and "$**" not in name
        for name, value in keys
    )


def is_needed(spec: Mapping[str, Any]) -> bool:
    """It does something without being used in queries: _id, unique and TTL indexes."""
    return spec.get("name") == "_id_" or bool(spec.get("unique")) or spec.get("expireAfterSeconds") is not None


def covers(wide: Mapping[str, Any], narrow: Mapping[str, Any]) -> str:
    """Whether `wide` answers all that `narrow` does: "duplicate", "prefix", or "" when it does not."""
    if is_needed(narrow) or not (_is_plain(wide) and _is_plain(narrow)):
        return ""
    if wide.get("hidden") or any(spec.get(name) for spec in (wide, narrow) for name in _MEANING[1:]):
        return ""
    if (wide.get("collation") or None) != (narrow.get("collation") or None):
        return ""
    longer, shorter = _keys(wide), _keys(narrow)
    if len(longer) < len(shorter) or [name for name, _way in longer[: len(shorter)]] != [
        name for name, _way in shorter
    ]:
        return ""
    # An index is walked in both directions: all ways the same, or all turned round.
    turns = {way == other_way for (_name, way), (_other, other_way) in zip(longer, shorter)}
    if len(turns) > 1:
        return ""
    return "duplicate" if len(longer) == len(shorter) else "prefix"


def find_covered(specs: Sequence[Mapping[str, Any]]) -> List[Covered]:
    """The superfluous indexes of one collection, each with one that stays and covers it. Of two alike the later one goes.

    Args:
        specs: definitions as the server gives them.
    """
    found: List[Covered] = []
    gone = set()
    # The longest stay: what they cover needs nothing else.
    for other in sorted(specs, key=lambda spec: (len(_keys(spec)), str(spec.get("name")))):
        for one in sorted(specs, key=lambda spec: (-len(_keys(spec)), not is_needed(spec), str(spec.get("name")))):
            if one is other or one.get("name") in gone:
                continue
            kind = covers(one, other)
            if not kind:
                continue
            if kind == "duplicate" and covers(other, one) and str(one.get("name")) > str(other.get("name")):
                continue
            gone.add(other.get("name"))
            found.append(Covered(str(other.get("name")), str(one.get("name")), kind))
            break
    return sorted(found, key=lambda entry: entry.name)


@dataclass(frozen=True)
class Rest:
    """What is known of the use of one index on one member.

    Attributes:
        since: when the server began to count.
        at: when it was looked at last.
        accesses: its count then.
        rested: seconds for which it is known not to have been used, up to `at`.
    """

    since: datetime
    at: datetime
    accesses: int
    rested: float


def look_again(known: Optional[Rest], since: datetime, accesses: int, now: datetime) -> Rest:
    """What is known after another look.

    Args:
        known: from the looks before, None at the first.
        since, accesses: what the server says now.
    """
    if known is not None and known.at > now:
        known = None  # the clock was turned back
    if known is not None and known.since == since and known.accesses <= accesses:
        rested = known.rested + (now - known.at).total_seconds() if known.accesses == accesses else 0.0
    elif accesses:
        rested = 0.0
    else:
        # It was restarted, or the index made anew. Of the time between nobody knows: it does not count.
        rested = (now - max(since, known.at if known else since)).total_seconds()
        rested = max(0.0, rested) + (known.rested if known else 0.0)
    return Rest(since, now, accesses, rested)


def is_unused(spec: Mapping[str, Any], members: Sequence[Optional[Rest]]) -> bool:
    """Whether every member has left it alone for a month, and nothing else speaks for it.

    Args:
        members: what is known on each member that holds data, None where it could not be asked; none at all is no proof.
    """
    if is_needed(spec) or not members:
        return False
    return all(rest is not None and rest.rested >= UNUSED_AFTER.total_seconds() for rest in members)
