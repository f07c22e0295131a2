# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which backups to keep. Pure: dates and options in, decisions out.

Rules work in buckets: a day, an ISO week, a month. A rule that keeps N of a period looks at the newest N periods in
which there is a backup at all, so that a pause in the backups never ages the last ones away. Of a day the newest
backup is kept, of a week and a month the oldest: the first backup of a month, once chosen, stays the choice. A
verified backup is preferred to one that was never verified, of verified ones a complete one to one that lacks files of the
shop, and of those what holds the most. A file that cannot be a backup takes no place and stays: nobody knows what it is.

A backup that lacks files of the shop (its uploads were not mounted) takes a place, and pushes no complete one out: a rule that
keeps N keeps the newest N, and a complete one of each of the newest N that have one, which mostly are the same ones. What
is decided so holds when it is decided again about what stayed: nothing that was kept for a rule goes later for want of what
went before it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Callable, Dict, FrozenSet, List, Mapping, Optional, Sequence, Set, Tuple

from .._core.late_dataclass import dataclass
from .._core.units import format_duration


@dataclass(frozen=True)
class Item:
    """A backup as far as retention is concerned.

    Attributes:
        date: the local time in its name.
        verified: it was read back whole and has not changed since.
        protected: why it stays whatever the policy says; "" for none.
        parts: what is known to be in it beside the database.
        problem: why it cannot be a backup; "" when it can.
        lacking: files of the shop are known to be missing in it.
        tags: what it was tagged with when it was made.
    """

    name: str
    date: datetime
    verified: bool = False
    protected: str = ""
    parts: FrozenSet[str] = frozenset()
    problem: str = ""
    lacking: bool = False
    tags: FrozenSet[str] = frozenset()


@dataclass(frozen=True)
class Policy:
    """How many to keep. All zero: the policy is empty and nothing is removed, whatever the tags.

    Attributes:
        within: seconds; keep all that are no older than this, counted from the newest backup.
        tags: keep what has all the tags of one of these.
    """

    last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    within: float = 0
    tags: Tuple[FrozenSet[str], ...] = ()

    @property
    def empty(self) -> bool:
        return not (self.last or self.daily or self.weekly or self.monthly or self.within)


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
        One decision for each item, oldest first. The newest backup, the newest verified one and the newest verified one that
        lacks nothing are always kept, and so is anything dated in the future: a wrong clock is no reason to remove data.
        Where a backup of a day, week or month is kept, and another one of the same period has parts that no kept one has,
        the newest that has them stays as well; and so for complete ones, looked at by themselves.
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
        for wanted_tags in policy.tags:
            if wanted_tags and wanted_tags <= item.tags:
                reasons[item.name].append("tagged %s" % ", ".join(sorted(wanted_tags)))
    newest_first = list(reversed(past))
    for item, rank in _ranked(newest_first, [item for item in newest_first if not item.lacking], policy.last):
        reasons[item.name].append("last " + rank)
    if past and policy.within:
        for item in past:
            if past[-1].date - item.date <= timedelta(seconds=policy.within):
                reasons[item.name].append("within %s of the newest" % format_duration(policy.within))
    kept_buckets: Dict[str, Set[Tuple[int, ...]]] = {}
    for name, bucket_of, newest, text in _RULES:
        wanted = int(getattr(policy, name))
        which = "newest" if newest else "oldest"
        chosen = _of_each(past, bucket_of, newest, wanted)
        complete = _of_each([item for item in past if not item.lacking], bucket_of, newest, wanted)
        for item, rank in _ranked(chosen, complete, wanted):
            bucket = bucket_of(item.date)
            kept_buckets.setdefault(name, set()).add(bucket)
            reasons[item.name].append("%s %s: %s %s" % (name, rank, which, text(bucket)))
    if past:
        reasons[past[-1].name].append("the newest backup")
    newest_verified = _newest([item for item in past if item.verified])
    if newest_verified is not None:
        reasons[newest_verified.name].append("the newest verified backup")
    newest_complete = _newest([item for item in past if item.verified and not item.lacking])
    if newest_complete is not None and newest_complete is not newest_verified:
        reasons[newest_complete.name].append("the newest verified backup that lacks nothing")
    _keep_parts(past, reasons)
    decisions = []
    for item in ordered:
        why = reasons[item.name]
        decisions.append(Decision(item, bool(why), "; ".join(why) or _removal(item, policy, kept_buckets)))
    return decisions


def _ranked(newest_first: Sequence[Item], complete: Sequence[Item], wanted: int) -> List[Tuple[Item, str]]:
    """The newest ones wanted, and as many of those that are complete, each with its rank as words."""
    found = [(item, "%d of %d" % (rank, wanted)) for rank, item in enumerate(newest_first[:wanted], 1)]
    there = {item.name for item, _rank in found}
    for rank, item in enumerate(complete[:wanted], 1):
        if item.name not in there:
            found.append((item, "%d of %d that lack nothing" % (rank, wanted)))
    return found


def _of_each(items: Sequence[Item], bucket_of: _Bucket, newest: bool, wanted: int) -> List[Item]:
    """The one to keep of each of the newest buckets wanted, newest bucket first."""
    in_buckets = _by_bucket(items, bucket_of)
    return [_choose(in_buckets[bucket], newest) for bucket in sorted(in_buckets, reverse=True)[:wanted]]


def _by_bucket(items: Sequence[Item], bucket_of: _Bucket) -> Dict[Tuple[int, ...], List[Item]]:
    found: Dict[Tuple[int, ...], List[Item]] = {}
    for item in items:
        found.setdefault(bucket_of(item.date), []).append(item)
    return found


def _choose(items: Sequence[Item], newest: bool) -> Item:
    """The one to keep of one bucket, whose items are in the order of their dates."""
    verified = [item for item in items if item.verified]
    best = [item for item in verified if not item.lacking] or verified
    most = _most_parts(best)
    candidates = [item for item in best if item.parts in most] or list(items)
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
                for those in ([item for item in verified if not item.lacking], verified):
                    for parts in _most_parts(those):
                        if parts and not any(parts <= item.parts for item in those if reasons[item.name]):
                            holder = [item for item in those if item.parts == parts][-1]
                            words = (text(bucket), ", ".join(sorted(parts)))
                            reasons[holder.name].append("the newest %s with %s" % words)
                            added = True


def _newest(items: Sequence[Item]) -> Optional[Item]:
    return max(items, key=lambda item: (item.date, item.name), default=None)


def _removal(item: Item, policy: Policy, kept: Mapping[str, Set[Tuple[int, ...]]]) -> str:
    """Why no rule keeps an item, said by the rules that there are."""
    parts = []
    if policy.last:
        parts.append("not among the last %d" % policy.last)
    if policy.within:
        parts.append("more than %s before the newest" % format_duration(policy.within))
    for name, bucket_of, _newest_first, text in _RULES:
        wanted = int(getattr(policy, name))
        if not wanted:
            continue
        if bucket_of(item.date) in kept.get(name, ()):
            parts.append("another one is kept %s" % text(bucket_of(item.date)))
        else:
            parts.append(
                "older than the %d kept %s" % (wanted, {"daily": "days", "weekly": "weeks", "monthly": "months"}[name])
            )
    return "; ".join(parts)
