# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When something is full."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.forecast import WINDOW_DAYS, forecast, slope

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=timezone.utc)


def days(*values: float, step: float = 1.0) -> list[tuple[datetime, int]]:
    start = NOW - timedelta(days=step * (len(values) - 1))
    return [(start + timedelta(days=step * index), int(value)) for index, value in enumerate(values)]


def test_a_steady_growth_is_forecast() -> None:
    result = forecast(days(100, 110, 120, 130), 70, NOW)
    assert result.per_day == 10 and result.days_until_full == 7 and result.samples == 4 and result.span_days == 3


def test_one_clean_up_does_not_upset_it() -> None:
    result = forecast(days(100, 110, 120, 130, 40, 50, 60, 70, 80, 90), 100, NOW)
    assert result.per_day == 10 and result.days_until_full == 10
    just_before = forecast(days(100, 110, 120, 130, 140, 40), 100, NOW)
    assert just_before.per_day == 10
    weekly = forecast(days(*[100 + 10 * (n % 7) for n in range(42)]), 100, NOW)
    assert weekly.per_day is not None and abs(weekly.per_day) < 1
    straight = slope([(x, 10.0 * x) for x in range(20)] + [(20.0, 10000.0)])
    assert 9 <= straight <= 11


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        ([], "no measurements yet"),
        (days(1), "has 1"),
        (days(1, 2, step=5), "has 2"),
        (days(1, 2, 3, step=0.2), "needs measurements"),
        (days(30, 20, 10), "not filling"),
        (days(10, 10, 10), "not filling"),
        ([(NOW - timedelta(days=200 + n), n) for n in range(9)], "no measurements yet"),
        ([(NOW + timedelta(days=1 + n), n) for n in range(9)], "no measurements yet"),
    ],
)
def test_where_there_is_no_forecast_it_says_why(samples: list[tuple[datetime, int]], reason: str) -> None:
    result = forecast(samples, 100, NOW)
    assert result.days_until_full is None and reason in result.reason


moments = st.floats(0, 100).map(lambda age: NOW - timedelta(days=age))


def test_a_forecast_is_never_negative_and_never_breaks() -> None:
    reached: Counter[str] = Counter()

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(st.tuples(moments, st.integers(0, 10**15)), max_size=150)
        | st.lists(st.tuples(moments, st.integers(0, 10**15)), min_size=20, max_size=150),
        st.integers(0, 10**15),
    )
    def check(samples: list[tuple[datetime, int]], available: int) -> None:
        result = forecast(samples, available, NOW)
        reached["known" if result.days_until_full is not None else result.reason[:5]] += 1
        assert result.samples <= WINDOW_DAYS + 1
        assert result.days_until_full is None or result.days_until_full >= 0

    check()
    assert reached["known"] >= 30 and reached["it is"] >= 10, reached


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=30), st.integers(-1000, 1000), st.integers(-(10**6), 10**6))
def test_the_slope_of_a_line_is_exact(xs: list[int], gradient: int, offset: int) -> None:
    points = [(float(x), float(gradient * x + offset)) for x in sorted(set(xs))]
    if len(points) > 1:
        assert slope(points) == pytest.approx(gradient, abs=1e-3)
