# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compressing and removing old logs: the steps of log_prune."""

from __future__ import annotations

import gzip
import os
from datetime import datetime
from typing import BinaryIO, List

from .._core.atomic_file import atomic_writer, partial_name, sync_directory
from .._core.errors import MaintenanceError, SkipAction, from_os_error
from .._core.plan import Action, Outcome, Plan, Report, Results
from .._core.runner import Task
from .._core.units import counted, format_size, parse_duration
from .open_files import UNSEEN
from .retention import (
    CHUNK,
    OPENED,
    CompressLog,
    LogFile,
    LogWork,
    Policy,
    RemoveLog,
    compressed_name,
    existing_directories,
    in_use,
    plan_retention,
    scan,
)

_LEFT = "The log was left as it is."


class LogPrune(Task[List[LogFile]]):
    """Compress and remove old logs."""

    stop_on_failure = False

    def observe(self) -> List[LogFile]:
        return scan(self.params["paths"] + existing_directories(self.params["optional_paths"]), self.params["patterns"])

    def plan(self, observation: List[LogFile], now: datetime) -> Plan[LogWork]:
        ages = [self.params[name] for name in ("compress_after", "remove_after")]
        # A retention of 0 days is far more often meant as "no limit" than as "remove every log".
        policy = Policy(*[(parse_duration(age) or None) if age else None for age in ages])
        return plan_retention(observation, policy, now)

    def _compress(self, action: Action[CompressLog], observation: List[LogFile]) -> Outcome:
        log = action.work.log
        _recheck(log)
        try:
            return Outcome(log.size - compress(log))
        except OSError as error:
            raise from_os_error("cannot compress the log", error, target=log.path, next_step=_LEFT) from error

    def _remove(self, action: Action[RemoveLog], observation: List[LogFile]) -> Outcome:
        log = action.work.log
        _recheck(log)
        try:
            os.unlink(log.path)
            sync_directory(os.path.dirname(log.path))
        except OSError as error:
            raise from_os_error("cannot remove the log", error, target=log.path, next_step=_LEFT) from error
        return Outcome(log.size)

    handlers = {CompressLog: _compress, RemoveLog: _remove}

    def report(
        self, observation: List[LogFile], plan: Plan[LogWork], results: Results[LogWork, List[LogFile]]
    ) -> Report:
        compressed = sum(isinstance(action.work, CompressLog) for action in results.effective)
        removed = len(results.effective) - compressed
        template = results.words(
            "compressed %d and removed %d of %s (%s)",
            "would compress %d and remove %d of %s (about %s)",
        )
        headline = template % (compressed, removed, counted(len(observation), "log"), format_size(results.bytes))
        if not results.effective:
            headline = "none of %s is old enough" % counted(len(observation), "log")
            if any(kept.reason == UNSEEN for kept in plan.kept):
                headline = "none of %s may be touched without root" % counted(len(observation), "log")
        return Report(
            headline,
            changed=bool(results.effective),
            summary={
                "bytes": results.bytes,
                "bytes_freed": results.bytes,
                "compressed": compressed,
                "removed": removed,
            },
        )


def _recheck(log: LogFile) -> None:
    try:
        status = os.lstat(log.path)
    except FileNotFoundError:
        raise SkipAction("it is gone") from None
    if (status.st_dev, status.st_ino, status.st_size, status.st_mtime) != (
        log.device,
        log.inode,
        log.size,
        log.modified,
    ):
        raise SkipAction("it was written to or replaced since it was looked at")
    reason = in_use(log.path, status)
    if reason:
        raise SkipAction(reason + " since it was looked at" if reason == OPENED else reason)


def compress(log: LogFile) -> int:
    """Make the compressed copy, compare it, remove the original; returns the size of the copy in bytes."""
    target = compressed_name(log.path)
    if os.path.lexists(target):
        raise SkipAction("%s exists" % target)
    # Whoever may write to this directory could swap the log for a link at any moment and have root copy another file.
    with os.fdopen(os.open(log.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as source:
        status = os.fstat(source.fileno())
        if (status.st_dev, status.st_ino) != (log.device, log.inode):
            raise SkipAction("it was replaced since it was looked at")
        return _copy(log, target, source, status)


def _copy(log: LogFile, target: str, source: BinaryIO, status: os.stat_result) -> int:
    with atomic_writer(target, status.st_mode & 0o7777) as handle:
        with gzip.GzipFile(
            filename=os.path.basename(log.path), mode="wb", fileobj=handle, mtime=int(log.modified)
        ) as packed:
            while True:
                chunk = source.read(CHUNK)
                if not chunk:
                    break
                packed.write(chunk)
        handle.flush()
        source.seek(0)
        with gzip.open(partial_name(target), "rb") as copy:
            while True:
                left, right = source.read(CHUNK), copy.read(CHUNK)
                if left != right:
                    raise MaintenanceError(
                        "the compressed copy differs", target=log.path, next_step="The log was left as it is."
                    )
                if not left:
                    break
        _recheck(log)
        if os.geteuid() == 0:
            os.fchown(handle.fileno(), status.st_uid, status.st_gid)
        size = os.fstat(handle.fileno()).st_size
        # The age decides about removal later: the copy is as old as its content.
        os.utime(handle.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
    _recheck(log)
    os.unlink(log.path)
    sync_directory(os.path.dirname(log.path))
    return size
