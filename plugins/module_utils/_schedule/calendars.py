# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a job runs: the calendar expressions of systemd.time(7) that are understood here. Pure.

They are parsed by their kind and written anew, so that no text of a variable gets into a unit or a crontab.
"""

from __future__ import annotations

import calendar as _months
import re
from datetime import date, datetime, timedelta
from typing import Iterator, List, Optional, Set, Tuple

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass

Numbers = Optional[Tuple[int, ...]]  # None for any

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LONG = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SHORTHANDS = {
    "hourly": "*-*-* *:00",
    "daily": "*-*-* 00:00",
    "weekly": "Mon *-*-* 00:00",
    "monthly": "*-*-01 00:00",
    "quarterly": "*-01,04,07,10-01 00:00",
    "yearly": "*-01-01 00:00",
}
_DATE = re.compile(r"^(?:([0-9*,./]+)-)?([0-9*,./]+)([-~])([0-9*,./]+)$")
_TIME = re.compile(r"^([0-9*,./]+):([0-9*,./]+)(?::([0-9*,./]+))?$")
_PART = re.compile(r"^(\*|[0-9]+)(?:\.\.([0-9]+))?(?:/([0-9]+))?$")
_HELP = (
    "Write it as systemd does: hourly, 03:00, Sun 03:00, Mon..Fri 04:30, *-*-01 05:00, Sun *-*-1..7 03:00, *-*~01 22:00. "
    "A time zone has an option of its own."
)


@dataclass(frozen=True)
class Calendar:
    """A calendar expression; None stands for any.

    Attributes:
        weekdays: 0 for Monday to 6.
        from_end: days count from the end of the month, 1 being its last.
    """

    weekdays: Numbers = None
    years: Numbers = None
    months: Numbers = None
    days: Numbers = None
    from_end: bool = False
    hours: Numbers = (0,)
    minutes: Numbers = (0,)
    seconds: Numbers = (0,)

    def __str__(self) -> str:
        """As systemd reads it."""
        day = "%s-%s%s%s" % (
            _shown(self.years, 4),
            _shown(self.months, 2),
            "~" if self.from_end and self.days is not None else "-",
            _shown(self.days, 2),
        )
        words = [_weekdays_shown(self.weekdays)] if self.weekdays is not None else []
        return " ".join(words + [day, ":".join(_shown(field, 2) for field in (self.hours, self.minutes, self.seconds))])

    @property
    def every_hour(self) -> bool:
        return self.hours is None

    def is_on(self, day: date) -> bool:
        """Whether a day is one of its days."""
        number = day.day
        if self.from_end:
            number = _months.monthrange(day.year, day.month)[1] - day.day + 1
        return (
            _has(self.weekdays, day.weekday())
            and _has(self.years, day.year)
            and _has(self.months, day.month)
            and _has(self.days, number)
        )

    def times(self) -> List[Tuple[int, int, int]]:
        """The times of day, in order: hour, minute, second."""
        return [
            (hour, minute, second)
            for hour in _all(self.hours, 24)
            for minute in _all(self.minutes, 60)
            for second in _all(self.seconds, 60)
        ]

    def moments(self, first: date, days: int) -> Iterator[datetime]:
        """The moments that it names from a day on, by the clock on the wall, in order.

        Args:
            days: how many days are looked at.
        """
        times = self.times()
        for offset in range(days):
            day = first + timedelta(days=offset)
            if self.is_on(day):
                for hour, minute, second in times:
                    yield datetime(day.year, day.month, day.day, hour, minute, second)


def _has(field: Numbers, number: int) -> bool:
    return field is None or number in field


def _all(field: Numbers, size: int) -> Tuple[int, ...]:
    return tuple(range(size)) if field is None else field


def _runs(numbers: Tuple[int, ...]) -> List[List[int]]:
    runs: List[List[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs


def _shown(field: Numbers, width: int) -> str:
    if field is None:
        return "*"
    parts = []
    for run in _runs(field):
        if len(run) > 2:
            parts.append("%0*d..%0*d" % (width, run[0], width, run[-1]))
        else:
            parts.extend("%0*d" % (width, number) for number in run)
    return ",".join(parts)


def _weekdays_shown(field: Tuple[int, ...]) -> str:
    parts = []
    for run in _runs(field):
        parts.append("%s..%s" % (_DAYS[run[0]], _DAYS[run[-1]]) if len(run) > 2 else ",".join(_DAYS[n] for n in run))
    return ",".join(parts)


# -- parsing ------------------------------------------------------------------------------------------------------------


def _refused(text: str, why: str) -> MaintenanceError:
    return MaintenanceError("not a time for a job (%s)" % why, target=repr(text), next_step=_HELP)


def _field(text: str, whole: str, name: str, low: int, high: int, from_end: bool = False) -> Numbers:
    if text == "*":
        return None
    found: Set[int] = set()
    for part in text.split(","):
        match = _PART.match(part)
        if match is None:
            raise _refused(whole, "the %s" % name)
        start, end, step = match.group(1), match.group(2), match.group(3)
        if start == "*":
            if end or (step and from_end):
                raise _refused(whole, "the %s" % name)
            found.update(range(low, high + 1, _step(step, whole, name)))
            continue
        first = int(start)
        last = int(end) if end else first if step is None else high
        if not (low <= first <= high and first <= last <= high):
            raise _refused(whole, "the %s: %d to %d" % (name, low, high))
        if from_end and step and not end:
            # systemd.time(7) counts such a step on towards the end of the month.
            found.update(range(first, 0, -_step(step, whole, name)))
        elif from_end and step:
            raise _refused(whole, "the %s: a step within days from the end" % name)
        else:
            found.update(range(first, last + 1, _step(step, whole, name)))
    return None if len(found) == high - low + 1 and not from_end else tuple(sorted(found))


def _step(text: Optional[str], whole: str, name: str) -> int:
    if text is None:
        return 1
    if int(text) < 1:
        raise _refused(whole, "the %s: a step of nothing" % name)
    return int(text)


def _weekdays(text: str, whole: str) -> Numbers:
    found: Set[int] = set()
    for part in text.split(","):
        ends = part.split("..")
        numbers = []
        for end in ends:
            word = end.lower()
            short = [day.lower() for day in _DAYS]
            if word not in _LONG and word not in short:
                raise _refused(whole, "%r is no day of the week" % end)
            numbers.append(_LONG.index(word) if word in _LONG else short.index(word))
        if len(numbers) > 2 or numbers[0] > numbers[-1]:
            raise _refused(whole, "a range of days from Monday on")
        found.update(range(numbers[0], numbers[-1] + 1))
    return None if len(found) == 7 else tuple(sorted(found))


def parse_calendar(text: object) -> Calendar:
    """The calendar of a text such as ``Sun 03:00`` (systemd.time(7), without a zone, and never without a time of day).

    Raises:
        MaintenanceError: it is none, or one that is not understood here.
    """
    whole = str(text)
    words = SHORTHANDS.get(whole.strip().lower(), whole).split()
    weekdays: Numbers = None
    fields: List[Numbers] = [None, None, None]
    from_end = False
    if words and words[0][:1].isalpha():
        weekdays = _weekdays(words.pop(0), whole)
    if len(words) == 2:
        match = _DATE.match(words.pop(0))
        if match is None:
            raise _refused(whole, "the date")
        year, month, sign, day = match.groups()
        from_end = sign == "~"
        fields[0] = None if year in (None, "*") else _field(year, whole, "year", 1970, 2199)
        fields[1] = _field(month, whole, "month", 1, 12)
        # systemd counts from the end only as far as every month has days.
        fields[2] = _field(day, whole, "day", 1, 28 if from_end else 31, from_end)
        if fields[1] is not None and not _exists(fields[1], fields[2], from_end):
            raise _refused(whole, "there is no such day")
    match = _TIME.match(words[0]) if len(words) == 1 else None
    if match is None:
        raise _refused(whole, "the time of day")
    hour, minute, second = match.groups()
    return Calendar(
        weekdays,
        fields[0],
        fields[1],
        fields[2],
        from_end,
        _field(hour, whole, "hour", 0, 23),
        _field(minute, whole, "minute", 0, 59),
        _field(second or "0", whole, "second", 0, 59),
    )


def _exists(months: Tuple[int, ...], days: Numbers, from_end: bool) -> bool:
    longest = max(29 if month == 2 else 30 if month in (4, 6, 9, 11) else 31 for month in months)
    return days is None or days[0] <= longest
