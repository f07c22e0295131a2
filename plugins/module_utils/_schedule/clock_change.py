# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Jobs on the nights on which the clock changes. Pure.

In spring an hour is missing. A systemd timer of a time in it does not run at all that day, a weekly one loses its week;
Debian's cron runs it when the hour would be over, beside whatever begins then (cron(8)). In autumn an hour comes twice, and
both run a job of a fixed time once. Measured with systemd 252 and 262 and cron 3.0pl1.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from typing import List, Optional, Tuple

from .._core.late_dataclass import dataclass
from .calendars import Calendar
from .zones import UTC, ClockChange, Zone

MOVE, TO_UTC, KEEP = "move", "utc", "keep"
SYSTEMD, CRON = "systemd", "cron"
# Between one and three at night, in the zones of most shops.
_FIRST, _LAST = (1, 0, 0), (3, 0, 0)
# Where a job goes that cannot stay: the first of these that no change of its zone ever leaves out.
_SAFE_HOURS = (3, 4, 5, 6, 7, 8, 9, 10)
SAFE_MINUTE = 30


@dataclass(frozen=True)
class Settled:
    """When a job really runs.

    Attributes:
        calendar, zone: as they are installed.
        moved: it is not as it was asked for.
        warning: a sentence for the user, "" when there is nothing to say.
    """

    calendar: Calendar
    zone: Zone
    moved: bool = False
    warning: str = ""


def settle(name: str, calendar: Calendar, zone: Zone, choice: str, kind: str) -> Settled:
    """Keep a job away from the hour at night that may be missing.

    Args:
        name: of the job.
        choice: what is to happen with a time between 01:00 and 03:00, or in an hour that a change leaves out, where the
            zone's clock changes: MOVE to 03:30 of the same day, TO_UTC, or KEEP it. A warning is given each time.
        kind: SYSTEMD or CRON.
    """
    # A job of every hour loses none but that of the hour that is not there.
    if not zone.changes or calendar.every_hour:
        return Settled(calendar, zone)
    risky = [moment for moment in calendar.times() if _is_risky(moment, zone)]
    if not risky:
        return Settled(calendar, zone)
    shown = "%02d:%02d" % risky[0][:2]
    why = "%s is set for %s in %s, where the clock changes%s" % (name, shown, _named(zone), _fate(calendar, zone, kind))
    if choice == KEEP:
        return Settled(calendar, zone, False, why + "; it was left there as clock_change says.")
    if choice == TO_UTC and kind == SYSTEMD:
        return Settled(calendar, UTC, True, why + "; it runs at %s UTC instead." % shown)
    if len(calendar.times()) > 1:
        return Settled(
            calendar,
            zone,
            False,
            why + "; a job of several times a day is not moved: choose times outside 01:00 to 03:00.",
        )
    hour = _safe_hour(zone)
    moved = replace(calendar, hours=(hour,), minutes=(SAFE_MINUTE,), seconds=(0,))
    instead = "; it runs at %02d:%02d instead" % (hour, SAFE_MINUTE)
    if choice == TO_UTC:
        instead += ", since cron knows no other zone than the host's"
    return Settled(moved, zone, True, why + instead + ".")


def _named(zone: Zone) -> str:
    return zone.name or "the host's time zone"


def _fate(calendar: Calendar, zone: Zone, kind: str) -> str:
    """What becomes of it on the next night on which it would suffer."""
    for change in zone.changes:
        if not change.is_gap:
            continue
        first = _wall(change.at, change.before)
        for moment in calendar.moments(first.date() - timedelta(days=1), 3):
            if zone.gap_around(moment) == change:
                there = _wall(change.at, change.after).strftime("%H:%M")
                what = (
                    "would not run at all" if kind == SYSTEMD else "would run at %s with whatever begins then" % there
                )
                return ": on %s it %s" % (moment.date().isoformat(), what)
    return " at night"


def _wall(instant: int, offset: int) -> datetime:
    return datetime.fromtimestamp(instant + offset, timezone.utc).replace(tzinfo=None)


def _seconds(moment: Tuple[int, int, int]) -> int:
    return moment[0] * 3600 + moment[1] * 60 + moment[2]


def _is_risky(moment: Tuple[int, int, int], zone: Zone) -> bool:
    return _FIRST <= moment < _LAST or _is_left_out(_seconds(moment), zone)


def _is_left_out(second: int, zone: Zone) -> bool:
    """Whether a change ever leaves out a second of the day."""
    for change in zone.changes:
        if change.is_gap:
            begin = (change.at + change.before) % 86400
            if (second - begin) % 86400 < change.after - change.before:
                return True
    return False


def _safe_hour(zone: Zone) -> int:
    return next(hour for hour in _SAFE_HOURS if not _is_left_out(hour * 3600 + SAFE_MINUTE * 60, zone))


# -- when it runs -------------------------------------------------------------------------------------------------------


def runs(calendar: Calendar, zone: Zone, kind: str, first: date, days: int) -> List[int]:
    """The moments at which systemd or Debian's cron really start a job, in seconds since 1970, in order.

    Args:
        first: from this day on, by the clock on the wall.
        days: for so many days.
    """
    starred = kind == CRON and (calendar.hours is None or calendar.minutes is None)
    found = set()
    for moment in calendar.moments(first, days):
        instants = zone.instants(moment)
        if instants:
            found.update(instants if starred else instants[:1])
        elif kind == CRON and not starred:
            change = zone.gap_around(moment)
            found.update([change.at] if isinstance(change, ClockChange) else [])
    return sorted(found)


def next_runs(settled: Settled, kind: str, now: datetime, count: int) -> List[int]:
    """The next moments at which a job is started, at most `count` of them within two years."""
    instant = int(now.timestamp())
    today = _wall(instant, settled.zone.offset_at(instant)).date()
    found: List[int] = []
    # First a few days, which is all that most jobs need.
    for days in (8, 63, 733):
        found = [run for run in runs(settled.calendar, settled.zone, kind, today, days) if run > instant]
        if len(found) >= count:
            break
    return found[:count]


def clock_change_runs(settled: Settled, kind: str, change: ClockChange) -> Optional[List[int]]:
    """When a job is started on the day of a change."""
    day = _wall(change.at, change.before).date()
    return runs(settled.calendar, settled.zone, kind, day, 1)
