# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import Phase, example, find, given, settings
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
NO_TAGS: frozenset[str] = frozenset()
HELD = st.sampled_from([LESS, FULL, FULL, OTHER])


def sets_of(parts: st.SearchStrategy[frozenset[str]], lacks: st.SearchStrategy[bool]) -> st.SearchStrategy[list[Item]]:
    """Backups of moments of their own; what was never verified is not known to hold or to lack anything."""
    entries = st.tuples(
        moments,
        st.sampled_from([True, True, False]),
        st.sampled_from(["", "", "", "empty"]),
        parts,
        lacks,
        st.sampled_from([NO_TAGS, NO_TAGS, frozenset({"pre-update"}), frozenset({"pre-update", "by-hand"})]),
    )
    return st.lists(entries, max_size=60, unique_by=lambda entry: entry[0]).map(
        lambda drawn: [
            Item(
                f"{moment:%Y%m%d_%H%M%S}.tar.gz",
                moment,
                verified and not problem,
                "",
                parts if verified else frozenset(),
                problem,
                verified and not problem and lacks,
                tags,
            )
            for moment, verified, problem, parts, lacks, tags in drawn
        ]
    )


# Mostly few of each, so that something goes.
few = st.sampled_from([0, 0, 1, 1, 2, 3, 8])
counts = st.tuples(few, few, few, few).filter(any)
policies = st.builds(
    lambda numbers, within, tags: Policy(numbers[0], numbers[1], numbers[2], numbers[3], within, tags),
    counts,
    st.sampled_from([0.0, 0.0, 0.0, 3 * 86400.0, 30 * 86400.0]),
    st.sampled_from([(), (), (frozenset({"pre-update"}),), (frozenset({"pre-update", "by-hand"}), frozenset({"x"}))]),
)
sets_of_items = sets_of(HELD, st.sampled_from([False, False, True]))
# Backups that all hold the same, and rules that keep nothing but a number of them.
alike = sets_of(st.just(FULL), st.just(False))


def all_verified(items: list[Item]) -> list[Item]:
    """Beside one that was never verified, which holds nothing that is known, one that was stays as well."""
    return [replace(item, verified=not item.problem, parts=FULL) for item in items]


numbers_alone = counts.map(lambda numbers: Policy(*numbers))
DAY = datetime(2026, 11, 18)
PERIODS: tuple[Callable[[datetime], Any], ...] = (
    lambda date: date.date(),
    lambda date: tuple(date.isocalendar()[:2]),
    lambda date: (date.year, date.month),
)


def by_rules(policy: Policy) -> list[tuple[int, Callable[[datetime], Any]]]:
    return list(zip((policy.daily, policy.weekly, policy.monthly), PERIODS))


def check_properties(items: list[Item], policy: Policy) -> list[Item]:
    """What holds of any backups and any policy that is not empty; what stays is returned."""
    decisions = decide_retention(items, policy, NOW)
    assert sorted(decision.item.name for decision in decisions) == sorted(item.name for item in items)
    left = kept(decisions)
    past = sorted((item for item in items if item.date <= NOW and not item.problem), key=lambda item: item.date)
    assert all(item in left for item in items if item.problem or item.date > NOW)
    # Deciding again about what was kept removes nothing more.
    assert kept(decide_retention(left, policy, NOW)) == left
    # The newest backups are there, and the newest verified one.
    assert set(past[len(past) - min(max(policy.last, 1), len(past)) :]) <= set(left)
    verified = [item for item in past if item.verified]
    assert not verified or verified[-1] in left
    complete = [item for item in verified if not item.lacking]
    assert not complete or complete[-1] in left
    counted = [item for item in left if item in past]
    whole = [item for item in past if not item.lacking]
    assert set(whole[len(whole) - min(policy.last, len(whole)) :]) <= set(left)
    for wanted, period in by_rules(policy):
        # One backup for each of the newest periods, and a complete one for each of the newest that have one.
        for found in (past, whole):
            periods = sorted({period(item.date) for item in found}, reverse=True)[:wanted]
            assert set(periods) <= {period(item.date) for item in counted if item in found}
    # Whatever goes, all that was in it is in another one of its day, week and month, or nothing of that is kept; and
    # all that was in a complete one is in a complete one.
    for item in set(verified) - set(left):
        for period in PERIODS:
            beside = [other for other in counted if period(other.date) == period(item.date)]
            assert not beside or any(item.parts <= other.parts for other in beside)
            sound = [other for other in beside if other.verified and not other.lacking]
            assert item.lacking or not beside or not item.parts or any(item.parts <= other.parts for other in sound)
    for item in past:
        assert item in left or not any(tags <= item.tags for tags in policy.tags)
        assert item in left or (past[-1].date - item.date).total_seconds() > policy.within
    return left


@settings(max_examples=300, deadline=None)
@given(sets_of_items, policies)
@example(
    [
        Item("of a week, it lacks something", DAY - timedelta(days=9), True, "", LESS, lacking=True),
        Item("of that week, complete", DAY - timedelta(days=6), True, "", LESS),
        Item("complete", DAY - timedelta(days=2), True, "", LESS),
        Item("it lacks something", DAY + timedelta(days=5), True, "", LESS, lacking=True),
    ],
    Policy(weekly=2),
)
@example(
    [
        Item("complete", DAY - timedelta(days=2), True, "", LESS),
        Item("never verified", DAY - timedelta(days=1, hours=2), False),
        Item("of that day, it lacks something", DAY - timedelta(days=1), True, "", LESS, lacking=True),
        Item("it lacks something", DAY, True, "", LESS, lacking=True),
    ],
    Policy(daily=1),
)
def test_properties(items: list[Item], policy: Policy) -> None:
    check_properties(items, policy)


def test_a_rule_that_keeps_a_number_keeps_no_more_where_all_hold_the_same() -> None:
    reached: Counter[str] = Counter()

    @settings(max_examples=200, deadline=None)
    @given(alike, numbers_alone)
    @example(dailies(40), Policy(last=2, weekly=1))
    def check(items: list[Item], policy: Policy) -> None:
        left = check_properties(items, policy)
        counted = [item for item in left if item.date <= NOW and not item.problem]
        reached["something goes"] += len(left) < len(items)
        assert len(counted) <= policy.last + policy.daily + policy.weekly + policy.monthly + 2

    check()
    assert reached["something goes"]


@given(sets_of_items)
def test_an_empty_policy_keeps_any(items: list[Item]) -> None:
    tags = Policy(tags=(frozenset({"pre-update"}),))
    for policy in (Policy(), tags):
        assert len(kept(decide_retention(items, policy, NOW))) == len(items)


@settings(deadline=None)
@given(sets_of_items, policies, st.integers(0, 400))
def test_a_later_day_without_new_backups_removes_nothing_that_a_rule_of_the_past_kept(
    items: list[Item], policy: Policy, days: int
) -> None:
    past = [item for item in items if item.date <= NOW]
    left = kept(decide_retention(past, policy, NOW))
    assert kept(decide_retention(left, policy, NOW + timedelta(days=days))) == left


FOR_ITS_PARTS = re.compile(r"the newest of the (day|week|month) \S+ with ")


def both(one: Policy, other: Policy) -> Policy:
    """A policy that wants all that either of two wants."""
    return Policy(
        max(one.last, other.last),
        max(one.daily, other.daily),
        max(one.weekly, other.weekly),
        max(one.monthly, other.monthly),
        max(one.within, other.within),
        (*one.tags, *other.tags),
    )


@settings(max_examples=200, deadline=None)
@given(sets_of_items, policies, policies)
def test_a_coarser_policy_never_keeps_less_of_its_tier(items: list[Item], one: Policy, other: Policy) -> None:
    decided = [entry for entry in decide_retention(items, one, NOW) if entry.keep]
    many = kept(decide_retention(items, both(one, other), NOW))
    # What stays for its parts alone is not needed where a backup that has them stays for another reason.
    few = [entry.item for entry in decided if not all(map(FOR_ITS_PARTS.match, entry.reason.split("; ")))]
    for period in PERIODS:
        assert {period(item.date) for item in few} <= {period(item.date) for item in many}
    assert {part for entry in decided for part in entry.item.parts} <= {part for item in many for part in item.parts}


@settings(max_examples=200, deadline=None)
@given(alike.map(all_verified), policies, policies)
def test_a_policy_that_wants_more_keeps_all_that_the_other_one_does_where_all_hold_the_same(
    items: list[Item], one: Policy, other: Policy
) -> None:
    few, many = (kept(decide_retention(items, policy, NOW)) for policy in (one, both(one, other)))
    assert set(few) <= set(many)


def _holds(case: Callable[[list[Item], Policy], object], drawn: tuple[list[Item], Policy]) -> bool:
    return bool(case(*drawn))


def test_backups_and_policies_of_the_properties_are_such_that_they_say_something() -> None:
    """Whatever the seed: each case is looked for, with as many tries as it takes."""
    cases: dict[str, Callable[[list[Item], Policy], object]] = {
        "something goes": lambda items, policy: len(kept(decide_retention(items, policy, NOW))) < len(items),
        "a complete one beside one that lacks something": lambda items, policy: any(
            one.lacking and other.verified and not other.lacking and PERIODS[0](one.date) == PERIODS[0](other.date)
            for one in items
            for other in items
        ),
        "a tagged one": lambda items, policy: any(tags <= item.tags for tags in policy.tags for item in items),
        "several rules": lambda items, policy: bool(policy.last and policy.daily and policy.weekly),
    }
    # The first one found will do: it need not be the smallest.
    tries = settings(max_examples=5000, phases=[Phase.generate], database=None)
    for case in cases.values():
        find(st.tuples(sets_of_items, policies), partial(_holds, case), settings=tries)


BEGIN = datetime(2024, 1, 1, 2, 30)
DAYS = 3 * 365


@settings(max_examples=4)
@given(
    policy=st.builds(
        Policy,
        st.integers(0, 3),
        st.integers(0, 14),
        st.integers(0, 12),
        st.integers(0, 14),
        st.sampled_from([0.0, 20 * 86400.0]),
        st.sampled_from([(), (frozenset({"pre-update"}),)]),
    ),
    pause=st.integers(0, DAYS - 40),
    tagged=st.sets(st.integers(0, DAYS - 1), max_size=3),
)
@example(Policy(1, 14, 12, 12), 700, set())
@example(Policy(0, 0, 3, 0), 360, set())
def test_rotating_daily_for_three_years_ends_as_rotating_once(policy: Policy, pause: int, tagged: set[int]) -> None:
    """Over weeks 52 and 53 and both changes of the clock, with a pause of a month."""
    every: list[Item] = []
    left: list[Item] = []
    now = BEGIN
    for day in range(DAYS):
        if pause <= day < pause + 30:
            continue
        # Half past two is there twice when the clock goes back, and not at all when it goes forward.
        now = BEGIN + timedelta(days=day)
        now = now.replace(hour=3) if (now.month, now.isoweekday()) == (3, 7) and now.day > 24 else now
        tags = frozenset({"pre-update"} if day in tagged else ())
        item = Item(f"{now:%Y%m%d_%H%M%S}.tar.gz", now, True, parts=FULL, tags=tags)
        every.append(item)
        left = kept(decide_retention([*left, item], policy, now + timedelta(minutes=20)))
    assert left == kept(decide_retention(every, policy, now + timedelta(minutes=20)))
    assert kept(decide_retention(left, policy, now + timedelta(days=1))) == left


def test_two_weeks_without_the_uploads_push_no_complete_backup_out() -> None:
    items = [replace(item, verified=True, parts=FULL) for item in dailies(40)]
    items[:14] = [replace(item, parts=LESS, lacking=True) for item in items[:14]]
    left = kept(decide_retention(items, Policy(daily=7), NOW))
    assert [item.lacking for item in left] == [False] * 7 + [True] * 7
    assert "daily 1 of 7 that lack nothing" in decide_retention(items, Policy(daily=7), NOW)[-15].reason


def test_a_complete_backup_of_a_day_stays_beside_one_that_holds_more_and_lacks_something() -> None:
    day = datetime(2026, 11, 20)
    items = [
        Item("complete", day.replace(hour=1), True, parts=LESS),
        Item("it lacks something", day.replace(hour=2), True, parts=FULL, lacking=True),
        Item("complete, of the next day", day + timedelta(days=1), True, parts=OTHER),
        Item("the newest lacks something", day + timedelta(days=2), True, parts=LESS, lacking=True),
    ]
    assert kept(decide_retention(items, Policy(daily=1), NOW)) == [items[0], items[1], *items[2:]]
    assert kept(decide_retention(items[:2], Policy(last=1), NOW)) == items[:2]


def test_within_counts_from_the_newest_backup_and_tags_only_keep_more() -> None:
    old = [replace(item, tags=frozenset({"a", "b"} if n == 20 else {"a"})) for n, item in enumerate(dailies(30))]
    later = NOW + timedelta(days=400)
    assert len(kept(decide_retention(old, Policy(within=7 * 86400), later))) == 8
    both = Policy(last=1, tags=(frozenset({"a", "b"}),))
    assert kept(decide_retention(old, both, later)) == [old[20], old[0]]
    assert len(kept(decide_retention(old, Policy(tags=(frozenset({"b"}),)), later))) == 30
