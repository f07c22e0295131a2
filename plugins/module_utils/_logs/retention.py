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
from dataclasses import replace
from datetime import datetime
from typing import Iterable, List, Optional, Sequence, Union

from .._core.atomic_file import is_partial
from .._core.errors import from_os_error
from .._core.late_dataclass import dataclass
from .._core.plan import Action, Kept, Plan
from .._core.units import format_duration
from .open_files import UNSEEN, OpenFiles, files_open_now, open_for_writing, unseen_writers

CHUNK = 1 << 20
OPENED = "a process has it open"


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


@dataclass(frozen=True)
class CompressLog:
    """Compress this log, and remove it when its copy stands."""

    log: LogFile


@dataclass(frozen=True)
class RemoveLog:
    """Remove this log."""

    log: LogFile


LogWork = Union[CompressLog, RemoveLog]


def plan_retention(files: Sequence[LogFile], policy: Policy, now: datetime) -> Plan[LogWork]:
    """Decide about every log. Pure."""
    plan: Plan[LogWork] = Plan()
    moment = now.timestamp()
    left = 0
    for found in sorted(files, key=lambda item: item.path):
        age = moment - found.modified
        reason = "last written %s ago" % format_duration(max(age, 0))
        number = len(plan.actions)
        if found.opened:
            plan.kept.append(Kept(found.path, OPENED))
        elif policy.remove_after is not None and age > policy.remove_after:
            plan.actions.append(Action("remove", found.path, reason, RemoveLog(found), found.size))
        elif found.compressed:
            plan.kept.append(Kept(found.path, "compressed, " + reason))
        elif policy.compress_after is None or age <= policy.compress_after:
            plan.kept.append(Kept(found.path, reason))
        elif found.size == 0:
            plan.kept.append(Kept(found.path, "empty"))
        elif found.compressed_twin:
            plan.actions.append(
                Action("remove", found.path, "its compressed copy is complete", RemoveLog(found), found.size)
            )
        elif found.blocked_by:
            plan.kept.append(Kept(found.path, "%s exists and is something else" % found.blocked_by))
        else:
            # Text logs shrink to about a tenth; the real figure is measured when it is done.
            plan.actions.append(
                Action("compress", found.path, reason, CompressLog(found), found.size * 9 // 10, predicted=True)
            )
        if len(plan.actions) > number and found.unseen_writers:
            plan.actions.pop()
            plan.kept.append(Kept(found.path, UNSEEN))
            left += 1
    if left:
        plan.warnings.append(
            "%d old logs were left alone: processes whose files only root sees may have them open for writing."
            " Run with become: true." % left
        )
    return plan


def in_use(path: str, status: os.stat_result) -> str:
    """Why a log must not be touched at this moment; "" when nothing speaks against it."""
    identity = (status.st_dev, status.st_ino)
    if unseen_writers(status):
        return UNSEEN
    opened = files_open_now({identity})
    written = open_for_writing(path, identity)
    if opened.held or written:
        return OPENED
    return UNSEEN if opened.blind and written is None else ""


def existing_directories(paths: Iterable[str]) -> List[str]:
    """Those of the paths that are directories, and no links to one.

    Raises:
        MaintenanceError: nobody can tell.
    """
    found = []
    for path in paths:
        try:
            if stat.S_ISDIR(os.lstat(path).st_mode):
                found.append(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise from_os_error("cannot look at the directory", error, target=path) from error
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
            raise from_os_error("cannot read the log directory", error, target=directory) from error
    opened = files_open_now({(item.device, item.inode) for item in found})
    return [_complete(_seen(item, opened)) for item in found]


def _seen(item: LogFile, opened: OpenFiles) -> LogFile:
    identity = (item.device, item.inode)
    written = open_for_writing(item.path, identity)
    return replace(
        item,
        opened=identity in opened.held or bool(written),
        unseen_writers=item.unseen_writers or (opened.blind and written is None),
    )


def _complete(item: LogFile) -> LogFile:
    target = compressed_name(item.path)
    twin, blocked = False, ""
    if not item.compressed and os.path.lexists(target):
        # A pipe planted under that name would keep the reader waiting for ever.
        twin = _is_file(target) and _same_content(item.path, target)
        blocked = "" if twin else target
    return replace(item, compressed_twin=twin, blocked_by=blocked)


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
