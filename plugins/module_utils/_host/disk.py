# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How full file systems are. Decisions are pure; only `measure` and `History` touch the host."""

from __future__ import annotations

import errno
import json
import os
from datetime import datetime
from typing import Dict, Iterable, List, Optional, Tuple

from .._core.atomic_file import append_line, write_atomic
from .._core.clock import format_utc, parse_utc
from .._core.errors import NO_ROOM, MaintenanceError, from_os_error
from .._core.late_dataclass import dataclass
from .._core.private_dir import private_directory
from .._core.state_dir import state_error

OK, WARN, CRITICAL = "ok", "warn", "critical"
STATUSES = (OK, WARN, CRITICAL)
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
