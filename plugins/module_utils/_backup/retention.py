# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which backups to keep. Pure: dates and options in, decisions out.

Rules work in buckets: a day, an ISO week, a month. A rule that keeps N of a period looks at the newest N periods in
which there is a backup at all, so that a pause in the backups never ages the last ones away. Of a day the newest
backup is kept, of a week and a month the oldest: the first backup of a month, once chosen, stays the choice. A
verified backup is preferred to one that was never verified, and of verified ones those that lack nothing that another
one of the period has. A file that cannot be a backup takes no place and stays: nobody knows what it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Callable, Dict, FrozenSet, List, Mapping, Optional, Sequence, Set, Tuple


@dataclass(frozen=True)
class Item:
    """A backup as far as retention is concerned.

    Attributes:
        date: the local time in its name.
        verified: it was read back whole and has not changed since.
        protected: why it stays whatever the policy says; "" for none.
        parts: what is known to be in it beside the database.
        problem: why it cannot be a backup; "" when it can.
    """

    name: str
    date: datetime
    verified: bool = False
    protected: str = ""
    parts: FrozenSet[str] = frozenset()
    problem: str = ""


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


def decide_retention(items: Sequence[Item], policy: Policy, now: datetime) -> List[Decision]:
    """Decide about each backup.

    Args:
        items: all backups of one directory.
        policy: how many to keep.
        now: the present moment in the host's local time (naive, as the dates in the names).

    Returns:
        One decision for each item, oldest first. The newest backup and the newest verified one are always kept, and so is
        anything dated in the future: a wrong clock is no reason to remove data. Where a backup of a day, week or month is
        kept, and another one of the same period has parts that no kept one has, the newest that has them stays as well.
    """
    ordered = sorted(items, key=lambda item: (item.date, item.name))
    reasons: Dict[str, List[str]] = {item.name: [] for item in ordered}
    if policy.empty:
        return [Decision(item, True, "the policy is empty: nothing is removed") for item in ordered]
    past = [item for item in ordered if item.date <= now and not item.problem]
    for item in ordered:
        if item.problem:
            reasons[item.name].append("does not count as a backup: %s" % item.problem)
        if item.date > now:
            reasons[item.name].append("dated in the future")
        if item.protected:
            reasons[item.name].append(item.protected)
    for rank, item in enumerate(reversed(past[-policy.last :] if policy.last else []), 1):
        reasons[item.name].append("last %d of %d" % (rank, policy.last))
    kept_buckets: Dict[str, Set[Tuple[int, ...]]] = {}
    for name, bucket_of, newest, text in _RULES:
        wanted = int(getattr(policy, name))
        in_buckets = _by_bucket(past, bucket_of)
        buckets = sorted(in_buckets, reverse=True)[:wanted]
        kept_buckets[name] = set(buckets)
        for rank, bucket in enumerate(buckets, 1):
            which = "newest" if newest else "oldest"
            chosen = _choose(in_buckets[bucket], newest)
            reasons[chosen.name].append("%s %d of %d: %s %s" % (name, rank, wanted, which, text(bucket)))
    if past:
        reasons[past[-1].name].append("the newest backup")
    newest_verified = _newest([item for item in past if item.verified])
    if newest_verified is not None:
        reasons[newest_verified.name].append("the newest verified backup")
    _keep_parts(past, reasons)
    decisions = []
    for item in ordered:
        why = reasons[item.name]
        decisions.append(Decision(item, bool(why), "; ".join(why) or _removal(item, policy, kept_buckets)))
    return decisions


def _by_bucket(items: Sequence[Item], bucket_of: _Bucket) -> Dict[Tuple[int, ...], List[Item]]:
    found: Dict[Tuple[int, ...], List[Item]] = {}
    for item in items:
        found.setdefault(bucket_of(item.date), []).append(item)
    return found


def _choose(items: Sequence[Item], newest: bool) -> Item:
    """The one to keep of one bucket, whose items are in the order of their dates."""
    verified = [item for item in items if item.verified]
    most = _most_parts(verified)
    candidates = [item for item in verified if item.parts in most] or list(items)
    return candidates[-1 if newest else 0]


def _most_parts(items: Sequence[Item]) -> List[FrozenSet[str]]:
    """The sets of parts of which no other one has more."""
    sets = list(dict.fromkeys(item.parts for item in items))
    return [parts for parts in sets if not any(parts < other for other in sets)]


def _keep_parts(past: Sequence[Item], reasons: Dict[str, List[str]]) -> None:
    """Where a kept backup lacks what another one of its period has, keep that, too; and again beside what that keeps."""
    added = True
    while added:
        added = False
        for _name, bucket_of, _newest_first, text in _RULES:
            for bucket, items in _by_bucket(past, bucket_of).items():
                if not any(reasons[item.name] for item in items):
                    continue
                verified = [item for item in items if item.verified]
                for parts in _most_parts(verified):
                    if parts and not any(parts <= item.parts for item in verified if reasons[item.name]):
                        holder = [item for item in verified if item.parts == parts][-1]
                        reasons[holder.name].append("the newest %s with %s" % (text(bucket), ", ".join(sorted(parts))))
                        added = True


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
