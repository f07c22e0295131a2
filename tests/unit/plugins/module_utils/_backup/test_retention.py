# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.retention import (
    Decision,
    Item,
    Policy,
    decide_retention,
)

NOW = datetime(2026, 11, 23, 12, 0)


def dailies(count: int, last: datetime = datetime(2026, 11, 23, 2, 0)) -> list[Item]:
    return [Item(f"{day:%Y%m%d_%H%M%S}.tar.gz", day) for day in (last - timedelta(days=n) for n in range(count))]


def kept(decisions: list[Decision]) -> list[Item]:
    return [decision.item for decision in decisions if decision.keep]


def test_the_shops_policy_over_400_dailies_keeps_36_the_oldest_of_the_first_of_december() -> None:
    left = kept(decide_retention(dailies(400), Policy(daily=14, weekly=12, monthly=12), NOW))
    assert len(left) == 36
    assert left[0].date == datetime(2025, 12, 1, 2, 0)
    assert left[-1].date == datetime(2026, 11, 23, 2, 0)


def test_every_decision_has_a_reason_and_a_removal_names_every_rule() -> None:
    decisions = decide_retention(dailies(400), Policy(last=3, daily=14, weekly=12, monthly=12), NOW)
    assert len(decisions) == 400
    assert all(decision.reason for decision in decisions)
    removed = next(decision for decision in decisions if not decision.keep)
    for word in ("last 3", "days", "weeks", "months"):
        assert word in removed.reason
    newest = decisions[-1]
    assert "last 1 of 3" in newest.reason
    assert "daily 1 of 14: newest of the day 2026-11-23" in newest.reason


def test_an_empty_policy_removes_nothing() -> None:
    assert all(decision.keep for decision in decide_retention(dailies(40), Policy(), NOW))


def test_a_pause_in_the_backups_does_not_age_the_last_ones_away() -> None:
    old = dailies(10, datetime(2024, 1, 20, 2, 0))
    assert len(kept(decide_retention(old, Policy(daily=7), NOW))) == 7


def test_a_backup_dated_in_the_future_stays_and_uses_up_no_place() -> None:
    future = Item("20301231_000000.tar.gz", datetime(2030, 12, 31))
    decisions = decide_retention([*dailies(5), future], Policy(daily=2), NOW)
    assert future in kept(decisions)
    assert len(kept(decisions)) == 3


def test_the_newest_verified_backup_stays_whatever_the_policy() -> None:
    items = dailies(30)
    items[20] = Item(items[20].name, items[20].date, verified=True)
    decisions = decide_retention(items, Policy(last=1), NOW)
    assert {item.name for item in kept(decisions)} == {items[0].name, items[20].name}
    assert "the newest verified backup" in next(d.reason for d in decisions if d.item.name == items[20].name)


def test_of_one_day_the_newest_verified_backup_is_preferred() -> None:
    day = datetime(2026, 11, 20)
    items = [
        Item("a", day.replace(hour=1)),
        Item("b", day.replace(hour=2), verified=True),
        Item("c", day.replace(hour=3)),
    ]
    newest = Item("z", day + timedelta(days=1))

    def names(found: list[Item], policy: Policy) -> list[str]:
        return [item.name for item in kept(decide_retention([*found, newest], policy, NOW))]

    assert names(items, Policy(daily=2)) == ["b", "z"]
    assert names([items[0], items[2]], Policy(daily=2)) == ["c", "z"]
    assert names([items[0], items[2]], Policy(weekly=1)) == ["a", "z"]


@pytest.mark.parametrize(
    "policy", [Policy(monthly=1), Policy(weekly=1), Policy(monthly=12), Policy(weekly=2, monthly=1)]
)
def test_the_newest_backup_stays_whatever_the_policy(policy: Policy) -> None:
    items = dailies(60)
    decisions = decide_retention(items, policy, NOW)
    assert items[0] in kept(decisions)
    assert "the newest backup" in decisions[-1].reason


def test_what_cannot_be_a_backup_takes_no_place_and_stays() -> None:
    items = dailies(10)
    junk = [replace(item, problem="empty") for item in items[:3]]
    decisions = decide_retention([*junk, *items[3:]], Policy(last=1, daily=2), NOW)
    assert [item.name for item in kept(decisions)] == [item.name for item in reversed(items[:5])]
    reasons = {decision.item.name: decision.reason for decision in decisions}
    assert reasons[items[0].name] == "does not count as a backup: empty"
    assert "last 1 of 1" in reasons[items[3].name] and "the newest backup" in reasons[items[3].name]


FULL, LESS, OTHER = frozenset({"uploads", "invoices"}), frozenset({"invoices"}), frozenset({"uploads", "labels"})
MONTH = datetime(2026, 10, 1)


@pytest.mark.parametrize(
    ("policy", "made", "left"),
    [
        # Of one day the later one lacks the uploads.
        (Policy(daily=2), [(13.1, FULL), (13.5, LESS)], [13.1]),
        (Policy(daily=2), [(13.1, LESS), (13.5, FULL)], [13.5]),
        (Policy(daily=2), [(13.1, FULL), (13.5, FULL)], [13.5]),
        # Each has what the other one lacks.
        (Policy(daily=2), [(13.1, FULL), (13.5, OTHER)], [13.1, 13.5]),
        # Of one week and of one month the oldest is kept, but not for less.
        (Policy(weekly=2), [(13.1, LESS), (14.1, FULL), (15.1, FULL)], [14.1]),
        (Policy(monthly=2), [(2.1, LESS), (14.1, FULL), (25.1, LESS)], [14.1]),
        # A rule that does not look at parts.
        (Policy(last=2), [(13.1, FULL), (13.2, FULL), (13.5, LESS)], [13.2, 13.5]),
        # What is as old as all that is left of its month goes as its rule says.
        (Policy(last=1), [(13.1, FULL)], []),
    ],
)
def test_what_lacks_parts_takes_no_place_of_what_has_them(
    policy: Policy, made: list[tuple[float, frozenset[str]]], left: list[float]
) -> None:
    """Days of the month, each with what is in the backup; the newest backup of all is of the month after it."""
    items = [Item(str(day), MONTH + timedelta(days=day), True, parts=parts) for day, parts in made]
    newest = Item("newest", datetime(2026, 11, 22), True, parts=FULL)
    assert [item.name for item in kept(decide_retention([*items, newest], policy, NOW))] == [*map(str, left), "newest"]


def test_what_is_protected_stays() -> None:
    items = dailies(10)
    items[7] = replace(items[7], protected="this run has relied on it")
    decisions = decide_retention(items, Policy(last=1), NOW)
    assert kept(decisions) == [items[7], items[0]]
    assert decisions[2].reason == "this run has relied on it"


# Several of one day and week, as often as not.
close_by = st.builds(
    lambda day, quarter: datetime(2026, 11, 12) + timedelta(days=day, hours=6 * quarter),
    st.integers(0, 9),
    st.integers(0, 3),
)
moments = st.one_of(
    close_by,
    close_by,
    st.datetimes(datetime(2026, 11, 1), datetime(2026, 11, 25)),
    st.datetimes(datetime(2026, 10, 1), datetime(2026, 11, 25)),
    st.datetimes(datetime(2023, 1, 1), datetime(2027, 12, 31)),
).map(lambda moment: moment.replace(microsecond=0))
sets_of_items = st.lists(
    st.tuples(
        moments,
        st.sampled_from([True, True, False]),
        st.sampled_from(["", "", "", "empty"]),
        st.sampled_from([LESS, FULL, FULL, OTHER]),
    ),
    max_size=60,
    unique_by=lambda entry: entry[0],
).map(
    lambda entries: [
        Item(
            f"{moment:%Y%m%d_%H%M%S}.tar.gz",
            moment,
            verified and not problem,
            "",
            parts if verified else frozenset(),
            problem,
        )
        for moment, verified, problem, parts in entries
    ]
)
# Mostly few of each, so that something goes.
few = st.sampled_from([0, 0, 1, 1, 2, 3, 8])
policies = st.builds(Policy, few, few, few, few)
PERIODS: tuple[Callable[[datetime], Any], ...] = (
    lambda date: date.date(),
    lambda date: tuple(date.isocalendar()[:2]),
    lambda date: (date.year, date.month),
)


def test_properties() -> None:
    reached: Counter[str] = Counter()

    @settings(max_examples=300, deadline=None)
    @given(sets_of_items, policies)
    def check(items: list[Item], policy: Policy) -> None:
        decisions = decide_retention(items, policy, NOW)
        assert sorted(decision.item.name for decision in decisions) == sorted(item.name for item in items)
        left = kept(decisions)
        past = sorted((item for item in items if item.date <= NOW and not item.problem), key=lambda item: item.date)
        if policy.empty:
            reached["an empty policy"] += 1
            assert len(left) == len(items)
            return
        reached["something goes"] += len(left) < len(items)
        assert all(item in left for item in items if item.problem or item.date > NOW)
        # Deciding again about what was kept removes nothing more.
        assert kept(decide_retention(left, policy, NOW)) == left
        # The newest backups are there, and the newest verified one.
        assert set(past[len(past) - min(max(policy.last, 1), len(past)) :]) <= set(left)
        verified = [item for item in past if item.verified]
        assert not verified or verified[-1] in left
        counted = [item for item in left if item in past]
        # One backup for each of the newest periods.
        for wanted, period in zip((policy.daily, policy.weekly, policy.monthly), PERIODS):
            periods = sorted({period(item.date) for item in past}, reverse=True)[:wanted]
            assert set(periods) <= {period(item.date) for item in counted}
        # Whatever goes, all that was in it is in another one of its day, week and month, or nothing of that is kept.
        for item in set(verified) - set(left):
            for period in PERIODS:
                beside = [other for other in counted if period(other.date) == period(item.date)]
                reached["a verified one goes beside one that stays"] += bool(beside)
                assert not beside or any(item.parts <= other.parts for other in beside)
        # Not more than the rules allow, where all hold the same.
        if len({item.parts for item in verified}) < 2:
            reached["all hold the same"] += bool(verified)
            assert len(counted) <= policy.last + policy.daily + policy.weekly + policy.monthly + 2

    check()
    assert len(reached) == 4 and min(reached.values()) >= 3, reached


def test_a_later_day_without_new_backups_removes_nothing_that_a_rule_of_the_past_kept() -> None:
    reached: Counter[str] = Counter()

    @settings(deadline=None)
    @given(sets_of_items, policies, st.integers(0, 400))
    def check(items: list[Item], policy: Policy, days: int) -> None:
        past = [item for item in items if item.date <= NOW]
        left = kept(decide_retention(past, policy, NOW))
        assert kept(decide_retention(left, policy, NOW + timedelta(days=days))) == left
        reached["something had gone"] += len(left) < len(past)

    check()
    assert min(reached.values()) >= 10, reached
