# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When jobs run: expressions, zones, and the nights on which the clock changes, against zoneinfo and systemd-analyze itself."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._schedule.calendars import Calendar, parse_calendar
from ansible_collections.miniecom.maintenance.plugins.module_utils._schedule.clock_change import (
    CRON,
    KEEP,
    MOVE,
    SYSTEMD,
    TO_UTC,
    next_runs,
    runs,
    settle,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._schedule.cron_table import cron_fields
from ansible_collections.miniecom.maintenance.plugins.module_utils._schedule.zones import UTC, Zone, read_zone
from tests.conftest import lacking

START = datetime(2026, 11, 29, tzinfo=timezone.utc)
# With and without changes; both hemispheres; changes at other hours, by half an hour and by two hours.
NAMES = (
    "Europe/Berlin Europe/London America/New_York America/Havana America/Santiago America/Nuuk Asia/Kolkata Asia/Beirut "
    "Africa/Cairo Atlantic/Azores Australia/Lord_Howe Antarctica/Troll Pacific/Auckland Pacific/Apia Europe/Dublin UTC"
).split()
ZONES = {name: read_zone(name, START) for name in NAMES}
SPRING, AUTUMN = date(2027, 3, 28), date(2027, 10, 31)  # in Europe


def zone_strategy() -> st.SearchStrategy[str]:
    return st.sampled_from(NAMES)


def numbers(low: int, high: int) -> st.SearchStrategy[Any]:
    return st.none() | st.sets(st.integers(low, high), min_size=1, max_size=4).map(lambda found: tuple(sorted(found)))


def calendars() -> st.SearchStrategy[Calendar]:
    return st.builds(
        Calendar,
        weekdays=st.none() | st.sets(st.integers(0, 6), min_size=1, max_size=6).map(lambda days: tuple(sorted(days))),
        months=numbers(1, 12),
        days=st.none() | st.sets(st.integers(1, 28), min_size=1, max_size=4).map(lambda days: tuple(sorted(days))),
        from_end=st.booleans(),
        hours=numbers(0, 23),
        minutes=st.sets(st.integers(0, 59), min_size=1, max_size=2).map(lambda found: tuple(sorted(found))),
    )


def utc(instant: int) -> str:
    return datetime.fromtimestamp(instant, timezone.utc).strftime("%Y-%m-%d %H:%M")


# -- zones --------------------------------------------------------------------------------------------------------------


@given(zone_strategy(), st.integers(0, 3 * 365 * 24 * 60))
def test_offsets_are_those_of_zoneinfo(name: str, minutes: int) -> None:
    moment = START + timedelta(minutes=minutes)
    offset = moment.astimezone(ZoneInfo(name)).utcoffset()
    assert offset is not None
    assert ZONES[name].offset_at(int(moment.timestamp())) == offset.total_seconds()


@given(zone_strategy(), st.integers(24 * 60, 3 * 365 * 24 * 60))
def test_instants_are_those_of_zoneinfo(name: str, minutes: int) -> None:
    """A time on the wall comes never, once or twice: whatever zoneinfo makes of it that comes back as the same time."""
    local = datetime(2026, 11, 29) + timedelta(minutes=minutes)
    expected = set()
    for fold in (0, 1):
        instant = local.replace(tzinfo=ZoneInfo(name), fold=fold).astimezone(timezone.utc)
        if instant.astimezone(ZoneInfo(name)).replace(tzinfo=None, fold=0) == local:
            expected.add(int(instant.timestamp()))
    assert ZONES[name].instants(local) == sorted(expected)
    assert (ZONES[name].gap_around(local) is not None) == (not expected)


def test_the_zones_have_what_the_properties_are_about() -> None:
    changing = [name for name in NAMES if ZONES[name].changes]
    assert len(changing) >= 11 and {"Asia/Kolkata", "UTC", "Pacific/Apia"}.isdisjoint(changing)
    lengths = {abs(change.after - change.before) for zone in ZONES.values() for change in zone.changes}
    assert {1800, 3600, 7200} <= lengths


def test_a_zone_that_the_host_does_not_know_is_refused() -> None:
    for name in ("Europe/Nowhere", "../../etc/passwd", "Europe", ":UTC", "EST5EDT4,M3.2.0"):
        with pytest.raises(MaintenanceError, match="does not know this time zone"):
            read_zone(name, START)


# -- expressions --------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(calendars())
def test_what_is_written_is_read_as_the_same(calendar: Calendar) -> None:
    read = parse_calendar(str(calendar))
    assert read.times() == calendar.times()
    days = [START.date() + timedelta(days=number) for number in range(800)]
    assert list(map(read.is_on, days)) == list(map(calendar.is_on, days))
    assert str(parse_calendar(str(read))) == str(read)


@pytest.mark.parametrize(
    "text",
    "|Sunday|03:00 Europe/Berlin|24:00|03:60|Sun..Mon 03:00|*-13-01 03:00|*-02-30 03:00|*-*-0 03:00|*-*-1..32 3:0|03:00; rm -rf /"
    "|*:0/0|Foo 03:00|03|*-*-* |5..3:00|03:00\n[Service]|*-*~*/2 03:00|*-*~29 03:00|tomorrow|@daily|0 3 * * 0|-1:00|Mon Tue 03:00".split(
        "|"
    ),
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(MaintenanceError, match="not a time for a job"):
        parse_calendar(text)


# -- against systemd ----------------------------------------------------------------------------------------------------


def systemd_runs(expression: str, base: datetime, count: int) -> list[int]:
    """What systemd itself says that the next elapses are."""
    if shutil.which("systemd-analyze") is None:
        lacking("systemd-analyze: apt-get install systemd")
    done = subprocess.run(
        [
            "systemd-analyze",
            "calendar",
            f"--iterations={count}",
            f"--base-time={base:%Y-%m-%d %H:%M:%S} UTC",
            expression,
        ],
        capture_output=True,
        text=True,
        check=False,
        env={"TZ": "UTC", "LC_ALL": "C", "PATH": "/usr/bin:/bin"},
    )
    # systemd 252 refuses some lists of days from the end of the month, such as *-*~01,26 and *-*~01,02,23, and takes others.
    assume(done.returncode == 0 or not re.search(r"~\d+(,\d+)+ ", expression))
    assert done.returncode == 0, done.stderr
    found = re.findall(r"(?:Next elapse|\(in UTC\)|Iter\. #\d+): \w+ (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC", done.stdout)
    return [
        int(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc).timestamp()) for text in found
    ]


# Just before a change of some of the zones, and at another time of the year.
BASES = [
    datetime(2027, 3, 12),
    datetime(2027, 3, 26),
    datetime(2027, 10, 2),
    datetime(2027, 10, 29),
    datetime(2027, 6, 1),
]


@settings(max_examples=40, deadline=None)
@given(calendars(), zone_strategy(), st.sampled_from(BASES))
def test_systemd_itself_runs_a_job_at_these_moments(calendar: Calendar, name: str, base: datetime) -> None:
    # systemd 252 refuses some lists of four days from the end (~01,02,04,20); the module asks it before it changes anything.
    assume(not (calendar.from_end and len(calendar.days or ()) > 3))
    # On the night when an hour comes twice systemd 252 runs an hourly job in the first of them, but in the second where its days count
    # from the end of the month. Such a job loses no run by either, and the prediction knows only the former.
    assume(not calendar.from_end or len(calendar.times()) == 1)
    expression = f"{calendar} {name}"
    expected = systemd_runs(expression, base, 5)
    first = base.date() - timedelta(days=2)
    instant = int(base.replace(tzinfo=timezone.utc).timestamp())
    found: list[int] = []
    for days in (4, 40, 800):
        found = [run for run in runs(calendar, ZONES[name], SYSTEMD, first, days) if run > instant]
        if len(found) >= 5:
            break
    assert expected[: len(found)] == found[: len(expected)]
    assert expected and (found or expected[0] - instant > 700 * 86400), "the property is reached"


@pytest.mark.parametrize(
    "name", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Antarctica/Troll", "America/Nuuk"]
)
@pytest.mark.parametrize(
    "time", ["00:30", "01:30", "02:00", "02:15", "02:30", "03:00", "03:30", "23:30", "*:00", "00,02,04:00"]
)
def test_the_nights_of_all_changes_as_systemd_sees_them(name: str, time: str) -> None:
    calendar, zone = parse_calendar(time), ZONES[name]
    for change in zone.changes[:4]:
        base = datetime.fromtimestamp(change.at, timezone.utc).replace(tzinfo=None) - timedelta(hours=30)
        expected = systemd_runs(f"{calendar} {name}", base, 40 if calendar.every_hour else 6)
        start = int(base.replace(tzinfo=timezone.utc).timestamp())
        found = [run for run in runs(calendar, zone, SYSTEMD, base.date() - timedelta(days=1), 12) if run > start]
        assert list(map(utc, found[: len(expected)])) == list(map(utc, expected))


@settings(deadline=None)
@given(calendars(), zone_strategy(), st.sampled_from([SYSTEMD, CRON]))
def test_a_settled_job_of_one_time_a_day_loses_no_day(calendar: Calendar, name: str, kind: str) -> None:
    """Moved, it runs exactly once on each of its days, and its days are the same; UTC has no such nights at all."""
    zone = ZONES[name]
    hour = (calendar.hours or (2,))[0]
    calendar = Calendar(
        calendar.weekdays, None, calendar.months, calendar.days, calendar.from_end, (hour,), calendar.minutes[:1]
    )
    moved = settle("job", calendar, zone, MOVE, kind)
    days = [moment.date() for moment in calendar.moments(START.date(), 250)]
    found = runs(moved.calendar, moved.zone, SYSTEMD, START.date(), 250)
    assert [datetime.fromtimestamp(run, ZoneInfo(name)).date() for run in found] == days
    assert moved.moved == bool(moved.warning)
    if kind == SYSTEMD:
        other = settle("job", calendar, zone, TO_UTC, kind)
        assert (other.zone is UTC) == (other.moved or name == "UTC")
        assert len(runs(other.calendar, other.zone, SYSTEMD, START.date(), 250)) == len(days)
    kept = settle("job", calendar, zone, KEEP, kind)
    assert (kept.calendar, kept.zone) == (calendar, zone) and bool(kept.warning) == moved.moved


@given(calendars(), zone_strategy(), st.sampled_from([SYSTEMD, CRON]), st.sampled_from([MOVE, TO_UTC, KEEP]))
def test_a_zone_whose_clock_does_not_change_gives_no_warning(
    calendar: Calendar, name: str, kind: str, choice: str
) -> None:
    zone = ZONES[name]
    if not zone.changes:
        settled = settle("job", calendar, zone, choice, kind)
        assert (settled.calendar, settled.moved, settled.warning) == (calendar, False, "")


@pytest.mark.parametrize(
    "time, warned", [("00:59", 0), ("01:00", 1), ("02:59", 1), ("03:00", 0), ("*:30", 0), ("1,12:00", 1)]
)
def test_between_one_and_three_there_is_a_warning(time: str, warned: int) -> None:
    for choice in (MOVE, TO_UTC, KEEP):
        assert bool(settle("job", parse_calendar(time), ZONES["Europe/Berlin"], choice, SYSTEMD).warning) == bool(
            warned
        )


def test_a_change_at_another_hour_counts_as_well() -> None:
    """In Havana and Beirut midnight is left out, in Nuuk the hour before it."""
    for name, time in (("America/Havana", "00:30"), ("Asia/Beirut", "00:00"), ("America/Nuuk", "23:15")):
        settled = settle("weekly", parse_calendar(time), ZONES[name], MOVE, SYSTEMD)
        assert settled.moved and settled.calendar.times() == [(3, 30, 0)], name


# -- cron ---------------------------------------------------------------------------------------------------------------


def night(time: str, day: date, kind: str = CRON) -> list[str]:
    zone = ZONES["Europe/Berlin"]
    found = runs(parse_calendar(time), zone, kind, day, 1)
    return [datetime.fromtimestamp(run, ZoneInfo("Europe/Berlin")).strftime("%H:%M%z") for run in found]


def test_what_debians_cron_does_on_these_nights() -> None:
    """As cron(8) says and as cron 3.0pl1 was seen to do with a clock of its own."""
    assert night("02:30", SPRING) == night("Sun 02:30", SPRING) == ["03:00+0200"]
    assert night("02:30", SPRING, SYSTEMD) == [], "systemd does not run it at all"
    assert night("03:00", SPRING) == ["03:00+0200"], "together with it"
    assert "02:30+0100" not in night("*:30", SPRING) and len(night("*:30", SPRING)) == 23
    assert night("02:30", AUTUMN) == night("02:30", AUTUMN, SYSTEMD) == ["02:30+0200"]
    assert night("03:00", AUTUMN) == ["03:00+0100"]
    assert len(night("*:30", AUTUMN)) == 25 and len(night("*:30", AUTUMN, SYSTEMD)) == 24


def fields(text: str, zone: Zone = UTC, **more: Any) -> str:
    return cron_fields(
        "weekly",
        parse_calendar(text),
        zone,
        more.pop("local", UTC),
        more.pop("jitter", 0),
        more.pop("persistent", None),
    )


def test_fields_of_a_crontab() -> None:
    assert fields("Sun 03:00") == "0 3 * * 0"
    assert fields("Mon..Fri 04:30") == "30 4 * * 1-5"
    assert fields("*-01,04,07,10-01 05:00") == "0 5 1 1,4,7,10 *"
    assert fields("Sat,Sun 03:00") == "0 3 * * 0,6"
    assert fields("*:0/15") == "0,15,30,45 * * * *"
    assert fields("*:*") == "* * * * *"


@pytest.mark.parametrize(
    "text, more, what",
    [
        ("03:00:30", {}, "seconds"),
        ("2027-*-* 03:00", {}, "a year"),
        ("*-*~1 03:00", {}, "end of the month"),
        ("Sun *-*-1..7 03:00", {}, "have to fit both"),
        ("03:00", {"zone": ZONES["Europe/Berlin"]}, "another time zone"),
        ("03:00", {"jitter": 60}, "jitter"),
        ("03:00", {"persistent": True}, "catching up"),
    ],
)
def test_what_cron_cannot_express_is_refused(text: str, more: dict[str, Any], what: str) -> None:
    with pytest.raises(MaintenanceError, match=what):
        fields(text, **more)


def cron_moments(line: str, start: datetime, days: int) -> set[datetime]:
    """crontab(5), read anew: a day of the month and one of the week count as either, where both are given."""
    every = []
    for field, size in zip(line.split(), (60, 24, 32, 13, 7)):
        spans = [part.split("-") for part in field.split(",")] if field != "*" else [["0", str(size - 1)]]
        every.append({number for span in spans for number in range(int(span[0]), int(span[-1]) + 1)})
    found = set()
    for day in (start + timedelta(days=number) for number in range(days)):
        on_day, on_weekday = day.day in every[2], (day.weekday() + 1) % 7 in every[4]
        fits = on_day or on_weekday if "*" not in line.split()[2::2] else on_day and on_weekday
        if fits and day.month in every[3]:
            found |= {day.replace(hour=hour, minute=minute) for hour in every[1] for minute in every[0]}
    return found


@settings(deadline=None)
@given(calendars())
def test_a_crontab_means_what_was_asked_for(calendar: Calendar) -> None:
    try:
        line = cron_fields("job", calendar, UTC, UTC, 0, None)
    except MaintenanceError:
        assert calendar.from_end or None not in (calendar.weekdays, calendar.days)
        return
    assert cron_moments(line, datetime(2027, 1, 1), 45) == set(calendar.moments(date(2027, 1, 1), 45))


def test_the_next_runs_are_in_the_future() -> None:
    settled = settle("job", parse_calendar("*-02-29 03:00"), ZONES["Europe/Berlin"], MOVE, SYSTEMD)
    assert list(map(utc, next_runs(settled, SYSTEMD, START, 3))) == ["2028-02-29 02:00"]
