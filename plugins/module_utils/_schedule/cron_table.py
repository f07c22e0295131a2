# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Jobs as lines of a crontab. What cron cannot express is refused, never approximated. Pure."""

from __future__ import annotations

from typing import List, Optional, Tuple

from .._core.errors import MaintenanceError
from .calendars import Calendar, Numbers
from .zones import Zone

_SYSTEMD = "Change it, or let systemd run the jobs (kind: systemd)."


def cron_fields(
    name: str, calendar: Calendar, zone: Zone, local: Zone, jitter: float, persistent: Optional[bool]
) -> str:
    """The five fields of a job (crontab(5)).

    Args:
        zone: the job's; local: the host's.
        jitter: in seconds.
        persistent: what was asked for, None for whatever there is.

    Raises:
        MaintenanceError: cron cannot express it.
    """
    if calendar.seconds != (0,):
        raise _refused(name, "seconds")
    if calendar.years is not None:
        raise _refused(name, "a year")
    if calendar.from_end:
        raise _refused(name, "days from the end of the month")
    if calendar.weekdays is not None and calendar.days is not None:
        # crontab(5): with both fields set, a day that fits either of them counts.
        raise _refused(name, "a day of the week and a day of the month that have to fit both")
    if (zone.offset, zone.changes) != (local.offset, local.changes):
        raise _refused(name, "another time zone than the host's (%s)" % (local.name or "unnamed"))
    if jitter:
        raise _refused(name, "jitter")
    if persistent:
        raise _refused(name, "catching up on what was missed (persistent)")
    weekdays = None if calendar.weekdays is None else tuple(sorted((day + 1) % 7 for day in calendar.weekdays))
    fields = (calendar.minutes, calendar.hours, calendar.days, calendar.months, weekdays)
    return " ".join(_field(field) for field in fields)


def _refused(name: str, what: str) -> MaintenanceError:
    return MaintenanceError("cron cannot express %s" % what, target="job %s" % name, next_step=_SYSTEMD)


def _field(numbers: Numbers) -> str:
    if numbers is None:
        return "*"
    parts: List[str] = []
    for first, last in _runs(numbers):
        parts.append("%d-%d" % (first, last) if last - first > 1 else ",".join(map(str, range(first, last + 1))))
    return ",".join(parts)


def _runs(numbers: Tuple[int, ...]) -> List[Tuple[int, int]]:
    found: List[Tuple[int, int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found
