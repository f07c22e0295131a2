# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.retention import (
    Decision,
    Item,
    Policy,
    decide,
)

NOW = datetime(2026, 11, 23, 12, 0)


def dailies(count: int, last: datetime = datetime(2026, 11, 23, 2, 0)) -> list[Item]:
    return [Item(f"{day:%Y%m%d_%H%M%S}.tar.gz", day) for day in (last - timedelta(days=n) for n in range(count))]


def kept(decisions: list[Decision]) -> list[Item]:
    return [decision.item for decision in decisions if decision.keep]


def test_the_shops_policy_over_400_dailies_keeps_36_the_oldest_of_the_first_of_december() -> None:
    left = kept(decide(dailies(400), Policy(daily=14, weekly=12, monthly=12), NOW))
    assert len(left) == 36
    assert left[0].date == datetime(2025, 12, 1, 2, 0)
    assert left[-1].date == datetime(2026, 11, 23, 2, 0)


def test_every_decision_has_a_reason_and_a_removal_names_every_rule() -> None:
    decisions = decide(dailies(400), Policy(last=3, daily=14, weekly=12, monthly=12), NOW)
    assert len(decisions) == 400
    assert all(decision.reason for decision in decisions)
    removed = next(decision for decision in decisions if not decision.keep)
    for word in ("last 3", "days", "weeks", "months"):
        assert word in removed.reason
    newest = decisions[-1]
    assert "last 1 of 3" in newest.reason
    assert "daily 1 of 14: newest of the day 2026-11-23" in newest.reason


def test_an_empty_policy_removes_nothing() -> None:
    assert all(decision.keep for decision in decide(dailies(40), Policy(), NOW))


def test_a_pause_in_the_backups_does_not_age_the_last_ones_away() -> None:
    old = dailies(10, datetime(2024, 1, 20, 2, 0))
    assert len(kept(decide(old, Policy(daily=7), NOW))) == 7


def test_a_backup_dated_in_the_future_stays_and_uses_up_no_place() -> None:
    future = Item("20301231_000000.tar.gz", datetime(2030, 12, 31))
    decisions = decide([*dailies(5), future], Policy(daily=2), NOW)
    assert future in kept(decisions)
    assert len(kept(decisions)) == 3


def test_the_newest_verified_backup_stays_whatever_the_policy() -> None:
    items = dailies(30)
    items[20] = Item(items[20].name, items[20].date, verified=True)
    decisions = decide(items, Policy(last=1), NOW)
    assert {item.name for item in kept(decisions)} == {items[0].name, items[20].name}
    assert "the newest verified backup" in next(d.reason for d in decisions if d.item.name == items[20].name)


def test_of_one_day_the_newest_verified_backup_is_preferred() -> None:
    day = datetime(2026, 11, 20)
    items = [
        Item("a", day.replace(hour=1)),
        Item("b", day.replace(hour=2), verified=True),
        Item("c", day.replace(hour=3)),
    ]
    assert [item.name for item in kept(decide(items, Policy(daily=1), NOW))] == ["b"]
    assert [item.name for item in kept(decide([items[0], items[2]], Policy(daily=1), NOW))] == ["c"]
    assert [item.name for item in kept(decide([items[0], items[2]], Policy(weekly=1), NOW))] == ["a"]


moments = st.datetimes(datetime(2023, 1, 1), datetime(2027, 12, 31)).map(lambda moment: moment.replace(microsecond=0))
sets_of_items = st.lists(st.tuples(moments, st.booleans()), max_size=60, unique_by=lambda pair: pair[0]).map(
    lambda pairs: [Item(f"{moment:%Y%m%d_%H%M%S}.tar.gz", moment, verified) for moment, verified in pairs]
)
policies = st.builds(Policy, st.integers(0, 5), st.integers(0, 8), st.integers(0, 8), st.integers(0, 8))


@settings(max_examples=200)
@given(sets_of_items, policies)
def test_properties(items: list[Item], policy: Policy) -> None:
    decisions = decide(items, policy, NOW)
    assert sorted(decision.item.name for decision in decisions) == sorted(item.name for item in items)
    left = kept(decisions)
    past = [item for item in items if item.date <= NOW]
    if policy.empty:
        assert len(left) == len(items)
        return
    # Deciding again about what was kept removes nothing more.
    assert kept(decide(left, policy, NOW)) == left
    # The newest backups are there, and the newest verified one.
    newest = sorted(past, key=lambda item: item.date)
    assert {item.name for item in newest[len(newest) - min(policy.last, len(newest)) :]} <= {item.name for item in left}
    verified = [item for item in newest if item.verified]
    if verified:
        assert verified[-1] in left
    if past:
        assert any(item.date <= NOW for item in left)
    # One backup for each of the newest periods, and not more than the rules allow.
    for wanted, period in (
        (policy.daily, lambda date: date.date()),
        (policy.weekly, lambda date: tuple(date.isocalendar()[:2])),
        (policy.monthly, lambda date: (date.year, date.month)),
    ):
        periods = sorted({period(item.date) for item in past}, reverse=True)[:wanted]
        assert set(periods) <= {period(item.date) for item in left}
    limit = policy.last + policy.daily + policy.weekly + policy.monthly + 1
    assert len([item for item in left if item.date <= NOW]) <= limit


@given(sets_of_items, policies, st.integers(0, 400))
def test_a_later_day_without_new_backups_removes_nothing_that_a_rule_of_the_past_kept(
    items: list[Item], policy: Policy, days: int
) -> None:
    past = [item for item in items if item.date <= NOW]
    left = kept(decide(past, policy, NOW))
    assert kept(decide(left, policy, NOW + timedelta(days=days))) == left
