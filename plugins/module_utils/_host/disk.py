# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How full file systems are and when they will be full. Decisions are pure; only `measure` and `History` touch the host."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

from .._core.atomic_file import append_line, write_atomic
from .._core.clock import format_utc, parse_utc
from .._core.errors import NO_ROOM, MaintenanceError, from_os_error
from .._core.private_dir import private_directory
from .._core.state_dir import state_error

OK, WARN, CRITICAL = "ok", "warn", "critical"
STATUSES = (OK, WARN, CRITICAL)
# A forecast from less than this is a guess.
FEWEST_SAMPLES = 3
SHORTEST_SPAN_DAYS = 2.0
WINDOW_DAYS = 90.0
_UNWRITABLE = (*NO_ROOM, errno.EROFS)
HISTORY_LINES = 2000


@dataclass(frozen=True)
class FileSystem:
    """One file system; sizes in bytes.

    Attributes:
        mount_point: where it is mounted.
        paths: the paths that were asked about and lie on it.
        bytes_available: what an ordinary user may still write; less than what is free, where root has a reserve.
        inodes_total: 0 where the file system has no fixed number of inodes.
    """

    mount_point: str
    paths: Tuple[str, ...]
    bytes_total: int
    bytes_used: int
    bytes_available: int
    inodes_total: int
    inodes_used: int

    @property
    def percent_used(self) -> float:
        """As df counts: what is used of what is used or available."""
        return percent(self.bytes_used, self.bytes_used + self.bytes_available)

    @property
    def percent_inodes_used(self) -> Optional[float]:
        return percent(self.inodes_used, self.inodes_total) if self.inodes_total else None


def percent(part: int, whole: int) -> float:
    return round(100.0 * part / whole, 1) if whole > 0 else 0.0


def existing_parent(path: str) -> str:
    """The path, or the nearest directory above it that exists: where it would come to lie."""
    path = os.path.abspath(path)
    while not os.path.exists(path) and path != "/":
        path = os.path.dirname(path)
    return path


def mount_point(path: str) -> str:
    """The directory where the file system of an existing path is mounted."""
    path = os.path.realpath(path)
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path


def measure_file_systems(paths: Iterable[str]) -> List[FileSystem]:
    """The file systems of the given paths, each once, in the order of the paths.

    Raises:
        MaintenanceError: a file system does not answer.
    """
    order: List[int] = []
    asked: Dict[int, List[str]] = {}
    for path in paths:
        place = existing_parent(path)
        try:
            device = os.stat(place).st_dev
        except OSError as error:
            raise _unanswered(place, error) from error
        if device not in asked:
            order.append(device)
        asked.setdefault(device, []).append(path)
    found = []
    for device in order:
        place = existing_parent(asked[device][0])
        try:
            status = os.statvfs(place)
        except OSError as error:
            raise _unanswered(place, error) from error
        found.append(
            FileSystem(
                mount_point(place),
                tuple(asked[device]),
                status.f_blocks * status.f_frsize,
                (status.f_blocks - status.f_bfree) * status.f_frsize,
                status.f_bavail * status.f_frsize,
                status.f_files,
                status.f_files - status.f_ffree,
            )
        )
    return found


def _unanswered(path: str, error: OSError) -> MaintenanceError:
    return from_os_error(
        "cannot measure the file system of this path",
        error,
        target=path,
        next_step="Run as root (become: true), or look at the mount: a dead network mount does not answer.",
    )


def judge_usage(used: Optional[float], warn: float, critical: float) -> str:
    """ok, warn or critical for a percentage; None, where there is nothing to run out of, is ok."""
    if used is None or used < warn:
        return OK
    return CRITICAL if used >= critical else WARN


def worst(statuses: Iterable[str]) -> str:
    return max(statuses, key=STATUSES.index, default=OK)


@dataclass(frozen=True)
class Sample:
    """One measurement of a file system: when, and what is used of bytes and inodes."""

    at: datetime
    bytes_used: int
    inodes_used: int


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


class HistoryFull(MaintenanceError):
    """There is no room for a measurement: the very state that a measurement is to tell of."""


class History:
    """Measurements of earlier runs, one JSON line each, in the state directory. It never grows beyond a bound."""

    def __init__(self, state_dir: str) -> None:
        self._state_dir = state_dir
        self.path = os.path.join(state_dir, "history", "disk.jsonl")

    def load(self) -> Dict[str, List[Sample]]:
        """Samples by mount point; torn or foreign lines are passed over."""
        samples: Dict[str, List[Sample]] = {}
        try:
            with open(self.path, encoding="utf-8", errors="replace") as handle:
                for line in handle:
                    try:
                        entry = json.loads(line)
                        sample = Sample(parse_utc(entry["at"]), int(entry["bytes_used"]), int(entry["inodes_used"]))
                        samples.setdefault(str(entry["mount_point"]), []).append(sample)
                    except (ValueError, KeyError, TypeError):
                        continue
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            raise state_error("cannot read the history of the disks", self.path, error) from error
        return samples

    def add(self, systems: Iterable[FileSystem], now: datetime) -> None:
        """Append one measurement of each file system, and drop the oldest lines when there are too many.

        Raises:
            HistoryFull: the file system of the state directory is full, or read-only.
            MaintenanceError: it cannot be written for another reason.
        """
        lines = "\n".join(
            json.dumps(
                {
                    "at": format_utc(now),
                    "mount_point": system.mount_point,
                    "bytes_used": system.bytes_used,
                    "bytes_available": system.bytes_available,
                    "inodes_used": system.inodes_used,
                },
                sort_keys=True,
            )
            for system in systems
        )
        try:
            private_directory(self._state_dir, "history")
            append_line(self.path, lines.encode("utf-8"))
            with open(self.path, "rb") as handle:
                kept = handle.readlines()
            if len(kept) > HISTORY_LINES:
                write_atomic(self.path, b"".join(kept[-HISTORY_LINES // 2 :]), 0o600)
        except OSError as error:
            told = state_error("cannot write the history of the disks", self.path, error)
            if error.errno in _UNWRITABLE:
                told = HistoryFull(told.what, target=told.target, code=told.code, next_step=told.next_step)
            raise told from error
