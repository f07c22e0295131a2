# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Time zones as plain data: how far the clock on the wall is from UTC, and when that changes."""

from __future__ import annotations

import os
import re
import time
from contextlib import contextmanager
from datetime import datetime
from typing import Iterator, List, Optional, Tuple

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass

ZONEINFO = "/usr/share/zoneinfo"
LOCALTIME = "/etc/localtime"
_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}$")
_STEP = 6 * 3600  # no zone changes twice within it and back


@dataclass(frozen=True)
class ClockChange:
    """One change of the clock.

    Attributes:
        at: when, in seconds since 1970.
        before, after: seconds to add to UTC for the clock on the wall.
    """

    at: int
    before: int
    after: int

    @property
    def is_gap(self) -> bool:
        """The clock goes forward: times on the wall are missing."""
        return self.after > self.before


@dataclass(frozen=True)
class Zone:
    """A zone over some years.

    Attributes:
        name: "" for the host's own where that has none.
        offset: at the beginning, in seconds to add to UTC.
        changes: in order.
    """

    name: str
    offset: int
    changes: Tuple[ClockChange, ...] = ()

    def offset_at(self, instant: int) -> int:
        offset = self.offset
        for change in self.changes:
            if change.at > instant:
                break
            offset = change.after
        return offset

    def instants(self, local: datetime) -> List[int]:
        """The moments at which the clock on the wall shows a time: none in a gap, two when it goes back.

        Args:
            local: without a zone.
        """
        seconds = _counted(local)
        offsets = {self.offset}.union(*({change.before, change.after} for change in self.changes))
        return sorted(seconds - offset for offset in offsets if self.offset_at(seconds - offset) == offset)

    def gap_around(self, local: datetime) -> Optional[ClockChange]:
        """The change that has left a time on the wall out."""
        seconds = _counted(local)
        for change in self.changes:
            if change.is_gap and change.at + change.before <= seconds < change.at + change.after:
                return change
        return None


UTC = Zone("UTC", 0)
_EPOCH = datetime(1970, 1, 1)


def _counted(local: datetime) -> int:
    return int((local - _EPOCH).total_seconds())


# -- the host -----------------------------------------------------------------------------------------------------------


def local_zone_name() -> str:
    """Name of the host's own zone; "" where it cannot be told."""
    target = os.path.realpath(LOCALTIME)
    if not os.path.exists(target):
        return "UTC"  # as the C library takes it (localtime(5))
    name = target.partition("/zoneinfo/")[2]
    return name if _NAME.match(name) else ""


def read_zone(name: str, start: datetime, years: int = 3) -> Zone:
    """A zone as this host knows it; the host's own for "".

    Args:
        start: changes are looked for from here on.
        years: for so long.

    Raises:
        MaintenanceError: the host does not know it.
    """
    if name == "UTC":
        return UTC
    if name and not (_NAME.match(name) and os.path.isfile(os.path.join(ZONEINFO, name))):
        raise MaintenanceError(
            "the host does not know this time zone",
            target=repr(name),
            next_step="Write a name such as Europe/Berlin (timedatectl list-timezones), and see that the package tzdata is "
            "installed.",
        )
    with _clock_of(":" + name if name else None):
        first = int(start.timestamp())
        return Zone(name or local_zone_name(), _offset(first), tuple(_changes(first, first + years * 366 * 86400)))


@contextmanager
def _clock_of(value: Optional[str]) -> Iterator[None]:
    """Have the C library tell another zone's time; by it, since Python 3.8 knows no zones."""
    before = os.environ.get("TZ")
    try:
        _set_clock(value)
        yield
    finally:
        _set_clock(before)


def _set_clock(value: Optional[str]) -> None:
    if value is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = value
    time.tzset()


def _offset(instant: int) -> int:
    return time.localtime(instant).tm_gmtoff


def _changes(first: int, last: int) -> Iterator[ClockChange]:
    before, left = _offset(first), first
    for right in range(first + _STEP, last, _STEP):
        after = _offset(right)
        if after != before:
            low, high = left, right
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _offset(middle) == before else (low, middle)
            yield ClockChange(high, before, after)
        before, left = after, right
