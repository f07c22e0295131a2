# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rotating logs with logrotate: the steps of log_rotate."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from .._core.atomic_file import atomic_writer
from .._core.call import Call
from .._core.errors import AbortPlan, MaintenanceError, SkipAction, from_os_error
from .._core.plan import Action, Outcome, Plan, Report, Results
from .._core.runner import Task
from .._core.state_dir import StateDirectory
from .._core.units import counted, parse_size
from .holders import Holder, ask_to_reopen, find_holders, wait_until_released
from .logrotate import Rules, Section, errors_in, find_logrotate, newest_rotations, render_configuration, run_logrotate
from .retention import existing_directories
from .rotation import (
    FILE,
    Log,
    LogRotationPolicy,
    Logs,
    Reopen,
    Reopener,
    ReopenLog,
    RotateLog,
    RotationWork,
    RunLogrotate,
    plan_log_rotation,
    way_of,
)
from .rotation_scan import scan_logs

_REOPEN_SECONDS = 10.0
_MOST_DAYS = 36500
_NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\$?$")


class LogRotate(Task[Logs]):
    """Rotate logs with logrotate."""

    stop_on_failure = False

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.policy = read_policy(self.params)
        self.su = read_su(self.params["su"])
        for name in self.params["patterns"] + [entry.pattern for entry in self.policy.reopen]:
            _check_pattern(name)

    @property
    def configuration(self) -> str:
        return str(self.params["configuration"] or os.path.join(self.params["state_dir"], "logrotate.conf"))

    @property
    def state(self) -> str:
        return str(self.params["status"] or os.path.join(self.params["state_dir"], "logrotate.status"))

    def observe(self) -> Logs:
        for path in (self.configuration, self.state):
            directory = os.path.dirname(path)
            # The state directory is made by whatever comes first.
            if directory != os.path.abspath(self.params["state_dir"]) and not os.path.isdir(directory):
                raise MaintenanceError(
                    "the directory is missing",
                    target=ascii(directory),
                    next_step="Make it, or leave out what names it: then the state directory is used.",
                )
        return scan_logs(
            self.params["directories"] + existing_directories(self.params["optional_directories"]),
            self.params["patterns"],
            self.policy.rules,
            self.su,
            find_logrotate(self.params["logrotate"]),
            self.state,
            lambda: self.call.tmpdir,
        )

    def plan(self, observation: Logs, now: datetime) -> Plan[RotationWork]:
        return plan_log_rotation(observation, self.policy)

    def _run_logrotate(self, action: Action[RunLogrotate], observation: Logs) -> Outcome:
        work = action.work
        sections = still_right(work.sections, observation, self.policy)
        before = _latest(sections)
        StateDirectory(self.params["state_dir"]).prepare()
        try:
            with atomic_writer(self.configuration, 0o600) as handle:
                handle.write(render_configuration(sections, work.rules).encode("utf-8"))
        except OSError as error:
            failure = from_os_error("cannot write logrotate's configuration", error, target=self.configuration)
            raise AbortPlan.because_of(failure) from error
        try:
            code, output = run_logrotate(
                find_logrotate(self.params["logrotate"]), ["--state", self.state, self.configuration]
            )
        except MaintenanceError as error:
            raise AbortPlan.because_of(error) from error
        errors = errors_in(output)
        if not code and not errors:
            return Outcome()
        after = _latest(sections)
        rotated = sorted(path for path in after if after[path] > before[path])
        return Outcome(
            failure=MaintenanceError(
                "logrotate ended with exit code %d: %s" % (code, " | ".join(errors[:20]) or "and gave no reason"),
                next_step="Rotated all the same: %s." % (", ".join(rotated) or "nothing"),
            )
        )

    def _rotate(self, action: Action[RotateLog], observation: Logs) -> Outcome:
        work = action.work
        directory, name = os.path.split(work.path)
        if newest_rotations(directory).get(name, 0) <= work.latest:
            seen = _as_it_is(work.path, observation)
            if seen is None:
                raise SkipAction("it is gone")
            if way_of(seen, self.policy).method != work.method:
                raise SkipAction("a process has opened it since it was looked at")
            if not seen.size:
                raise SkipAction("it is empty now")
            raise MaintenanceError(
                "logrotate did not rotate it", target=work.path, next_step="Its own words stand with run_logrotate."
            )
        _reopen(work.path, work.device, work.inode, work.reopen)
        return Outcome()

    def _reopen(self, action: Action[ReopenLog], observation: Logs) -> Outcome:
        work = action.work
        _reopen(work.path, work.device, work.inode, work.reopen)
        return Outcome()

    handlers = {RunLogrotate: _run_logrotate, RotateLog: _rotate, ReopenLog: _reopen}

    def report(self, observation: Logs, plan: Plan[RotationWork], results: Results[RotationWork, Logs]) -> Report:
        rotated = [action for action in results.effective if isinstance(action.work, RotateLog)]
        reopened = [action for action in results.effective if isinstance(action.work, ReopenLog)]
        logs = [_about(log, self.policy) for log in observation.logs if log.kind == FILE]
        stuck = [entry for entry in logs if entry["due"] and not entry["method"]]
        headline = "%s %s" % (results.words("rotated", "would rotate"), counted(len(rotated), "log"))
        if reopened:
            headline += ", %s %d that were renamed before" % (results.words("reopened", "would reopen"), len(reopened))
        if stuck:
            headline += ", %d cannot be rotated" % len(stuck)
        failure = None
        if results.check and observation.errors:
            failure = MaintenanceError("logrotate would fail: %s" % " | ".join(observation.errors[:20]))
        return Report(
            headline,
            changed=bool(rotated or reopened),
            summary={
                "rotated": len(rotated),
                "reopened": len(reopened),
                "not_rotatable": len(stuck),
                "logs": len(observation.logs),
            },
            values={"logs": logs},
            failure=failure,
        )


def read_policy(params: Dict[str, Any]) -> LogRotationPolicy:
    """The options, each read by its kind.

    Raises:
        MaintenanceError: one is none of its kind.
    """
    size = parse_size(params["max_size"])
    if not 1 <= size < 1 << 50:
        raise MaintenanceError(
            "max_size is out of range", target=ascii(params["max_size"]), next_step="At least 1 byte."
        )
    days = params["retention_days"]
    if not 0 <= days <= _MOST_DAYS:
        raise MaintenanceError(
            "retention_days is out of range", target=str(days), next_step="From 0 (for ever) to %d." % _MOST_DAYS
        )
    reopen = tuple(Reopen(item["pattern"], item["method"], item["signal"]) for item in params["reopen"])
    return LogRotationPolicy(Rules(params["interval"], size, days), reopen)


def read_su(text: Optional[str]) -> Optional[Tuple[str, str]]:
    """Two names, of a user and of a group.

    Raises:
        MaintenanceError: it is something else.
    """
    if not text:
        return None
    parts = text.split(" ")
    if len(parts) != 2 or not all(_NAME.match(part) and part.isprintable() for part in parts):
        raise MaintenanceError(
            "su is not the name of a user and the name of a group",
            target=ascii(text),
            next_step='Write "www-data www-data", or leave it out: the owner of the directory is taken by itself.',
        )
    return parts[0], parts[1]


def _check_pattern(pattern: str) -> None:
    if not pattern or not pattern.isprintable() or set(pattern) & set("/\"'"):
        raise MaintenanceError(
            "not a pattern of file names",
            target=ascii(pattern),
            next_step="Write a glob such as *.log, without slashes, quotes and control characters.",
        )


def _latest(sections: Sequence[Section]) -> Dict[str, int]:
    """When each log was last rotated, by what lies beside it."""
    paths = [path for section in sections for path in section.paths]
    newest = {directory: newest_rotations(directory) for directory in {os.path.dirname(path) for path in paths}}
    return {path: newest[os.path.dirname(path)].get(os.path.basename(path), 0) for path in paths}


def _as_it_is(path: str, observation: Logs) -> Optional[Log]:
    """A log as it is held now; None when another file, or none, is in its place."""
    before = next((log for log in observation.logs if log.path == path), None)
    try:
        status = os.lstat(path)
    except OSError:
        return None
    if before is None or (status.st_dev, status.st_ino) != (before.device, before.inode):
        return None
    return replace(
        before,
        holders=tuple(find_holders({(before.device, before.inode)}).of.get((before.device, before.inode), ())),
        size=status.st_size,
    )


def still_right(sections: Sequence[Section], observation: Logs, policy: LogRotationPolicy) -> Tuple[Section, ...]:
    """The sections without the logs that are held otherwise than when they were looked at, or are other files by now."""
    due = {path for section in sections if section.due for path in section.paths}
    held: Set[Tuple[int, int]] = {(log.device, log.inode) for log in observation.logs if log.path in due}
    holders = find_holders(held).of
    known = {log.path: log for log in observation.logs}
    found: List[Section] = []
    for section in sections:
        paths = section.paths
        if section.due:
            paths = tuple(path for path in paths if _fits(known[path], section.method, holders, policy))
        if paths:
            found.append(Section(paths, section.method, section.su, section.create, section.due))
    return tuple(found)


def _fits(
    log: Log, method: str, holders: Mapping[Tuple[int, int], Sequence[Holder]], policy: LogRotationPolicy
) -> bool:
    try:
        status = os.lstat(log.path)
    except OSError:
        return False
    if (status.st_dev, status.st_ino) != (log.device, log.inode):
        return False
    held = tuple(holders.get((log.device, log.inode), ()))
    return way_of(replace(log, holders=held), policy).method == method


def _reopen(path: str, device: int, inode: int, reopen: Sequence[Reopener]) -> None:
    """Have the holders of a renamed log open it anew, and wait until they have.

    Raises:
        MaintenanceError: one cannot be asked, or still writes into the renamed file.
    """
    if not reopen:
        return
    for asked in reopen:
        ask_to_reopen(asked.process, asked.signal, asked.program)
    left = wait_until_released((device, inode), _REOPEN_SECONDS)
    if left:
        raise MaintenanceError(
            "it was renamed, and %s still writes into the renamed file %d s after the signal"
            % (", ".join(str(holder) for holder in left), _REOPEN_SECONDS),
            target=path,
            next_step="No line is lost. Restart it, or name the signal on which it opens its logs anew.",
        )


def _about(log: Log, policy: LogRotationPolicy) -> Dict[str, Any]:
    """What is returned about a log."""
    way = way_of(log, policy)
    return {
        "path": log.path,
        "bytes": log.size,
        "due": log.due,
        "method": way.method,
        "held_by": [
            {
                "pid": holder.process.pid,
                "program": holder.program,
                "mode": "read" if not holder.writes else ("append" if holder.appends else "write"),
                "manager": holder.manager,
                "unit": holder.unit,
            }
            for holder in log.holders
        ],
    }
