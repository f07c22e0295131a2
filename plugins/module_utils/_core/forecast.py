# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When something is full, from what was measured before. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

from .late_dataclass import dataclass

# A forecast from less than this is a guess.
FEWEST_SAMPLES = 3
SHORTEST_SPAN_DAYS = 2.0
WINDOW_DAYS = 90.0


@dataclass(frozen=True)
class Forecast:
    """How fast something fills.

    Attributes:
        per_day: growth a day, None when there are too few measurements.
        days_until_full: None when it does not fill, or is not known.
        samples, span_days: what the forecast rests on.
        reason: why there is no number of days.
    """

    per_day: Optional[float]
    days_until_full: Optional[float]
    samples: int
    span_days: float
    reason: str = ""


def slope(points: Sequence[Tuple[float, float]]) -> float:
    """The median slope of all pairs of points (the Theil-Sen estimator): outliers hardly move it."""
    slopes = sorted(
        (y2 - y1) / (x2 - x1) for i, (x1, y1) in enumerate(points) for x2, y2 in points[i + 1 :] if x2 != x1
    )
    if not slopes:
        return 0.0
    middle = len(slopes) // 2
    return slopes[middle] if len(slopes) % 2 else (slopes[middle - 1] + slopes[middle]) / 2.0


def without_single_drop(points: Sequence[Tuple[float, float]]) -> List[Tuple[float, float]]:
    """The points on one side of a single large fall, where there is exactly one. Pure.

    A clean-up by hand says nothing about how fast the disk fills; falls that recur, as those of a weekly clean-up, do, and
    stay. The side after the fall counts if it is long enough for a forecast, else the one before.
    """
    steps = [after[1] - before[1] for before, after in zip(points, points[1:])]
    usual = sorted(abs(step) for step in steps)[len(steps) // 2] if steps else 0.0
    falls = [index for index, step in enumerate(steps) if step < -5 * usual]
    if len(steps) < 4 or len(falls) != 1:
        return list(points)
    before, after = list(points[: falls[0] + 1]), list(points[falls[0] + 1 :])
    for side in (after, before):
        if len(side) >= FEWEST_SAMPLES and side[-1][0] - side[0][0] >= SHORTEST_SPAN_DAYS:
            return side
    return list(points)


def forecast(samples: Iterable[Tuple[datetime, int]], available: int, now: datetime) -> Forecast:
    """When something is full, from measurements of what is used. Pure.

    Args:
        samples: moments and what was used then, in any order.
        available: what is left now, in the same unit.
        now: the present moment; older measurements than WINDOW_DAYS do not count, and of a day the last one does, so that
            there are never many: the slope is the median over all pairs.
    """
    by_day: Dict[Any, Tuple[datetime, int]] = {}
    for moment, used in samples:
        age = (now - moment).total_seconds() / 86400.0
        if 0 <= age <= WINDOW_DAYS:
            day = moment.date()
            # The last of a day: what a night's clean-up left.
            if day not in by_day or by_day[day][0] <= moment:
                by_day[day] = (moment, used)
    kept = sorted(by_day.values())
    if not kept:
        return Forecast(None, None, 0, 0.0, "no measurements yet")
    start = kept[0][0]
    points = [((moment - start).total_seconds() / 86400.0, float(used)) for moment, used in kept]
    span = points[-1][0]
    if len(points) < FEWEST_SAMPLES or span < SHORTEST_SPAN_DAYS:
        return Forecast(
            None,
            None,
            len(points),
            round(span, 1),
            "needs measurements of %d days, has %d" % (FEWEST_SAMPLES, len(points)),
        )
    per_day = slope(without_single_drop(points))
    if per_day <= 0:
        return Forecast(per_day, None, len(points), round(span, 1), "it is not filling")
    return Forecast(per_day, max(0.0, available / per_day), len(points), round(span, 1))
