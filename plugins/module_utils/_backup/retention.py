# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which backups to keep. Pure: dates and options in, decisions out.

Rules work in buckets: a day, an ISO week, a month. A rule that keeps N of a period looks at the newest N periods in
which there is a backup at all, so that a pause in the backups never ages the last ones away. Of a day the newest
backup is kept, of a week and a month the oldest: the first backup of a month, once chosen, stays the choice. A
verified backup is preferred to one that was never verified.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple


@dataclass(frozen=True)
class Item:
    """A backup as far as retention is concerned.

    Attributes:
        date: the local time in its name.
        verified: it was read back whole and has not changed since.
        protected: why it stays whatever the policy says; "" for none.
    """

    name: str
    date: datetime
    verified: bool = False
    protected: str = ""


@dataclass(frozen=True)
class Policy:
    """How many to keep. All zero: the policy is empty and nothing is removed."""

    last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0

    @property
    def empty(self) -> bool:
        return not (self.last or self.daily or self.weekly or self.monthly)


@dataclass(frozen=True)
class Decision:
    """What becomes of one backup, and why."""

    item: Item
    keep: bool
    reason: str


def _day(date: datetime) -> Tuple[int, ...]:
    return (date.year, date.month, date.day)


def _week(date: datetime) -> Tuple[int, ...]:
    year, week, _weekday = date.isocalendar()
    return (year, week)


def _month(date: datetime) -> Tuple[int, ...]:
    return (date.year, date.month)


def _day_text(bucket: Tuple[int, ...]) -> str:
    return "of the day %04d-%02d-%02d" % bucket


def _week_text(bucket: Tuple[int, ...]) -> str:
    return "of the week %04d-W%02d" % bucket


def _month_text(bucket: Tuple[int, ...]) -> str:
    return "of the month %04d-%02d" % bucket


_Bucket = Callable[[datetime], Tuple[int, ...]]
_RULES: Tuple[Tuple[str, _Bucket, bool, Callable[[Tuple[int, ...]], str]], ...] = (
    ("daily", _day, True, _day_text),
    ("weekly", _week, False, _week_text),
    ("monthly", _month, False, _month_text),
)


def decide(items: Sequence[Item], policy: Policy, now: datetime) -> List[Decision]:
    """Decide about each backup.

    Args:
        items: all backups of one directory.
        policy: how many to keep.
        now: the present moment in the host's local time (naive, as the dates in the names).

    Returns:
        One decision for each item, oldest first. The newest verified backup is always kept, and so is anything dated in
        the future: a wrong clock is no reason to remove data.
    """
    ordered = sorted(items, key=lambda item: (item.date, item.name))
    reasons: Dict[str, List[str]] = {item.name: [] for item in ordered}
    if policy.empty:
        return [Decision(item, True, "the policy is empty: nothing is removed") for item in ordered]
    past = [item for item in ordered if item.date <= now]
    for item in ordered:
        if item.date > now:
            reasons[item.name].append("dated in the future")
        if item.protected:
            reasons[item.name].append(item.protected)
    for rank, item in enumerate(reversed(past[-policy.last :] if policy.last else []), 1):
        reasons[item.name].append("last %d of %d" % (rank, policy.last))
    kept_buckets: Dict[str, Set[Tuple[int, ...]]] = {}
    for name, bucket_of, newest, text in _RULES:
        wanted = int(getattr(policy, name))
        chosen: Dict[Tuple[int, ...], Item] = {}
        for item in past:
            bucket = bucket_of(item.date)
            best = chosen.get(bucket)
            if best is None or _better(item, best, newest):
                chosen[bucket] = item
        buckets = sorted(chosen, reverse=True)[:wanted]
        kept_buckets[name] = set(buckets)
        for rank, bucket in enumerate(buckets, 1):
            which = "newest" if newest else "oldest"
            reasons[chosen[bucket].name].append("%s %d of %d: %s %s" % (name, rank, wanted, which, text(bucket)))
    newest_verified = _newest([item for item in past if item.verified])
    if newest_verified is not None:
        reasons[newest_verified.name].append("the newest verified backup")
    decisions = []
    for item in ordered:
        why = reasons[item.name]
        decisions.append(Decision(item, bool(why), "; ".join(why) or _removal(item, policy, kept_buckets)))
    return decisions


def _better(item: Item, best: Item, newest: bool) -> bool:
    """Whether item is to be preferred to best, both of one bucket, item being the later one in order."""
    if item.verified != best.verified:
        return item.verified
    return newest


def _newest(items: Sequence[Item]) -> Optional[Item]:
    return max(items, key=lambda item: (item.date, item.name), default=None)


def _removal(item: Item, policy: Policy, kept: Mapping[str, Set[Tuple[int, ...]]]) -> str:
    """Why no rule keeps an item, said by the rules that there are."""
    parts = []
    if policy.last:
        parts.append("not among the last %d" % policy.last)
    for name, bucket_of, _newest_first, text in _RULES:
        wanted = int(getattr(policy, name))
        if not wanted:
            continue
        if bucket_of(item.date) in kept[name]:
            parts.append("another one is kept %s" % text(bucket_of(item.date)))
        else:
            parts.append(
                "older than the %d kept %s" % (wanted, {"daily": "days", "weekly": "weeks", "monthly": "months"}[name])
            )
    return "; ".join(parts)
