# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.counting import outside
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.information import (
    growth_words,
    index_sentence,
)

OLD, YOUNG = "2026-11-01T00:00:00Z", "2026-11-10T00:00:00Z"


def index(since: str | None = OLD, unused: bool = False) -> dict[str, Any]:
    return {"name": "x", "accesses_since": since, "unused": unused}


def test_indexes_in_one_sentence() -> None:
    assert index_sentence([index(), index(YOUNG, True), index(OLD, True)], 2) == (
        "3 indexes, 2 unused for 30 days or more on every member"
    )
    assert index_sentence([index(YOUNG), index(OLD)], 0) == (
        "2 indexes, none unused for 30 days (use is counted since 2026-11-01T00:00:00Z)"
    )
    assert index_sentence([index()], 1, 1).endswith("on every member, 1 covered by another one")
    assert index_sentence([{"name": "x"}], 0) == "1 index, use not known"
    assert index_sentence([], 0) == "0 indexes"


@pytest.mark.parametrize(
    ("before", "counted", "after", "expected"),
    [(5, 5, 5, 0), (5, 6, 7, 0), (7, 6, 5, 0), (5, 4, 7, -1), (5, 9, 7, 2), (0, 3000, 0, 3000), (5000, 0, 5000, -5000)],
)
def test_a_count_beside_the_statistics(before: int, counted: int, after: int, expected: int) -> None:
    assert outside(before, counted, after) == expected


def test_growth_is_told_as_soon_as_it_is_known() -> None:
    def grown(per_day: int | None, days: float | None = None) -> dict[str, Any]:
        return {"bytes_per_day": per_day, "days_until_full": days}

    assert growth_words({}) == growth_words({"shop": grown(None)}) == ""
    assert growth_words({"shop": grown(0), "logs": grown(None)}) == ", not growing"
    assert growth_words({"shop": grown(-5), "logs": grown(2)}) == ", not growing"
    assert growth_words({"shop": grown(1024 * 1024), "x": grown(None)}) == ", growing by 1.0 MiB a day"
    assert growth_words({"shop": grown(1024 * 1024, 1000)}) == ", growing by 1.0 MiB a day"
    both = {"shop": grown(1024 * 1024, 400.7), "logs": grown(1024 * 1024, 90.2)}
    assert growth_words(both) == ", growing by 2.0 MiB a day, the disk full in 90 days"
