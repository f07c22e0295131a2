# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which old logs are compressed, which are removed, and why the rest stays. Rotation itself is logrotate's."""

from __future__ import annotations

import fnmatch
import gzip
import os
import stat
import zlib
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Iterable, List, Optional, Sequence, Set, Tuple

from .._core.atomic_file import is_partial
from .._core.errors import MaintenanceError
from .._core.plan import Action, Kept, Plan
from .._core.units import format_duration

CHUNK = 1 << 20
UNSEEN = "others may write to it, and only root sees whether they have it open"


@dataclass(frozen=True)
class LogFile:
    """One log as found.

    Attributes:
        modified: time of the last write, seconds since the epoch.
        opened: a process has it open, so that it may still be written to under whatever name.
        compressed_twin: its compressed copy is complete; only the removal of the original is missing (a run was killed there).
        blocked_by: an unrelated file that has the name its compressed form would get.
        unseen_writers: a process that we are not shown may have it open for writing.
    """

    path: str
    size: int
    modified: float
    device: int
    inode: int
    opened: bool = False
    compressed_twin: bool = False
    blocked_by: str = ""
    unseen_writers: bool = False

    @property
    def compressed(self) -> bool:
        return self.path.endswith((".gz", ".xz", ".zst", ".bz2"))


@dataclass(frozen=True)
class Policy:
    """Ages in seconds; None means never."""

    compress_after: Optional[float]
    remove_after: Optional[float]


def plan_retention(files: Sequence[LogFile], policy: Policy, now: datetime) -> Plan:
    """Decide about every log. Pure."""
    plan = Plan()
    moment = now.timestamp()
    left = 0
    for found in sorted(files, key=lambda item: item.path):
        age = moment - found.modified
        reason = "last written %s ago" % format_duration(max(age, 0))
        data = {"file": found}
        number = len(plan.actions)
        if found.opened:
            plan.kept.append(Kept(found.path, "a process has it open"))
        elif policy.remove_after is not None and age > policy.remove_after:
            plan.actions.append(Action("remove", found.path, reason, found.size, data=data))
        elif found.compressed:
            plan.kept.append(Kept(found.path, "compressed, " + reason))
        elif policy.compress_after is None or age <= policy.compress_after:
            plan.kept.append(Kept(found.path, reason))
        elif found.size == 0:
            plan.kept.append(Kept(found.path, "empty"))
        elif found.compressed_twin:
            plan.actions.append(Action("remove", found.path, "its compressed copy is complete", found.size, data=data))
        elif found.blocked_by:
            plan.kept.append(Kept(found.path, "%s exists and is something else" % found.blocked_by))
        else:
            # Text logs shrink to about a tenth; the real figure is measured when it is done.
            plan.actions.append(Action("compress", found.path, reason, found.size * 9 // 10, predicted=True, data=data))
        if len(plan.actions) > number and found.unseen_writers:
            plan.actions.pop()
            plan.kept.append(Kept(found.path, UNSEEN))
            left += 1
    if left:
        plan.warnings.append(
            "%d old logs were left alone: other users may write to them, and only root sees whether they have them open."
            " Run with become: true." % left
        )
    return plan


def unseen_writers(status: os.stat_result) -> bool:
    """Whether a process that we are not shown may have a file open for writing.

    Without root /proc tells only of one's own processes. What others may not write to they have not opened, either; the
    mask of an access control list shows in the group's bits.
    """
    user = os.geteuid()
    return user != 0 and (status.st_uid != user or bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)))


def files_open_now(wanted: Set[Tuple[int, int]], proc: str = "/proc") -> Set[Tuple[int, int]]:
    """Which of the wanted files (device, inode) some process holds open. Without root only one's own processes are seen."""
    found: Set[Tuple[int, int]] = set()
    if not wanted:
        return found
    own = str(os.getpid())
    for pid in os.listdir(proc):
        if not pid.isdigit() or pid == own:
            continue
        directory = os.path.join(proc, pid, "fd")
        try:
            descriptors = os.listdir(directory)
        except OSError:
            continue
        for descriptor in descriptors:
            try:
                status = os.stat(os.path.join(directory, descriptor))
            except OSError:
                continue
            if (status.st_dev, status.st_ino) in wanted:
                found.add((status.st_dev, status.st_ino))
    return found


def scan(directories: Iterable[str], patterns: Sequence[str]) -> List[LogFile]:
    """The regular files that match, in these directories alone; links are not followed.

    Raises:
        MaintenanceError: a directory is missing or cannot be read.
    """
    found: List[LogFile] = []
    for directory in directories:
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    if is_partial(entry.name) or not any(fnmatch.fnmatch(entry.name, pattern) for pattern in patterns):
                        continue
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue  # rotated away this very moment
                    if stat.S_ISREG(status.st_mode):
                        unseen = unseen_writers(status)
                        found.append(
                            LogFile(
                                entry.path,
                                status.st_size,
                                status.st_mtime,
                                status.st_dev,
                                status.st_ino,
                                unseen_writers=unseen,
                            )
                        )
        except OSError as error:
            raise MaintenanceError(
                "cannot read the log directory", directory, error.strerror, "Check the path and the user of this task."
            ) from error
    held = files_open_now({(item.device, item.inode) for item in found})
    return [_complete(item, (item.device, item.inode) in held) for item in found]


def _complete(item: LogFile, opened: bool) -> LogFile:
    target = compressed_name(item.path)
    twin, blocked = False, ""
    if not item.compressed and os.path.lexists(target):
        # A pipe planted under that name would keep the reader waiting for ever.
        twin = _is_file(target) and _same_content(item.path, target)
        blocked = "" if twin else target
    return replace(item, opened=opened, compressed_twin=twin, blocked_by=blocked)


def compressed_name(path: str) -> str:
    return path + ".gz"


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def _same_content(path: str, compressed: str) -> bool:
    try:
        with open(path, "rb") as plain, gzip.open(compressed, "rb") as packed:
            while True:
                left, right = plain.read(CHUNK), packed.read(CHUNK)
                if left != right:
                    return False
                if not left:
                    return True
    except (OSError, EOFError, zlib.error):
        return False
