# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What has to be done so that a host runs the jobs of the list, and no others of ours. Pure."""

from __future__ import annotations

from typing import Dict, List, Mapping, Tuple, Union

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .._core.plan import Action, Kept, Plan
from .rendering import CRON_FILE, MARK, UNIT, FileOnHost, RenderedJob, Schedule, unit_path


@dataclass(frozen=True)
class InstallShared:
    """Write what all jobs have in common: the program, the lock, the unit of alerts."""

    paths: Tuple[str, ...]


@dataclass(frozen=True)
class ScheduleJob:
    """Write the files of a job, and have its timer run.

    Attributes:
        paths: of those files that are not as they should be.
        timer: "" with cron.
        new_time: its timer begins anew, without catching up on a time that it did not have before.
    """

    name: str
    paths: Tuple[str, ...]
    timer: str
    new_time: bool


@dataclass(frozen=True)
class UnscheduleJob:
    """Stop a timer and remove the files of a job. A run that is under way goes on to its end."""

    name: str
    paths: Tuple[str, ...]
    timer: str


@dataclass(frozen=True)
class WriteCrontab:
    path: str


@dataclass(frozen=True)
class RemoveShared:
    """Remove what no job needs any more."""

    paths: Tuple[str, ...]


ScheduleWork = Union[InstallShared, ScheduleJob, UnscheduleJob, WriteCrontab, RemoveShared]


@dataclass(frozen=True)
class Installed:
    """What was found on the host of ours.

    Attributes:
        files: by path.
        running: timers that are enabled, started and as their files say.
        program_current: the program is there, and the one of this version.
        foreign: paths with names of ours that are not ours.
    """

    files: Mapping[str, FileOnHost]
    running: Tuple[str, ...]
    program_current: bool
    foreign: Tuple[str, ...]


def is_ours(text: str) -> bool:
    return text.startswith(MARK) or MARK.lstrip("# ") in text[:200]


def job_name_of(path: str, directory: str) -> str:
    """The job that a file belongs to; "" for what is shared."""
    head, _slash, name = path.rpartition("/")
    if head == directory and name.endswith(".json"):
        return name.partition(".")[0]
    if name.startswith(UNIT) and head != directory:
        return name[len(UNIT) :].rpartition(".")[0]
    return ""


def plan_schedule(schedule: Schedule, installed: Installed, directory: str) -> Plan[ScheduleWork]:
    """What is to be done.

    Raises:
        MaintenanceError: what is in the way of a job is not ours.
    """
    wanted = {file.path: file for job in schedule.jobs for file in job.files}
    wanted.update({file.path: file for file in schedule.shared})
    in_the_way = [path for path in installed.foreign if path in wanted]
    if in_the_way:
        raise MaintenanceError(
            "files of these names are there already, and were not made by this module",
            target=", ".join(in_the_way),
            next_step="Nothing was changed. Move them away, or give the job another name.",
        )
    plan: Plan[ScheduleWork] = Plan()
    plan.warnings.extend(job.settled.warning for job in schedule.jobs if job.settled.warning)
    stale = [file for file in schedule.shared if file.path != CRON_FILE and not _is_right(file, installed)]
    if stale:
        names = ", ".join(file.path.rpartition("/")[2] for file in stale)
        paths = tuple(file.path for file in stale)
        plan.actions.append(Action("install", names, "what all jobs have in common", InstallShared(paths)))
    # A crontab that is not wanted goes before timers run the jobs; one that is wanted comes after their files, and before those
    # of other jobs go: at no moment does it start what is not there.
    gone = _gone(schedule, installed, directory)
    crontab = next((file for file in schedule.shared if file.path == CRON_FILE), None)
    if crontab is None and CRON_FILE in installed.files:
        reason = "systemd runs the jobs" if schedule.jobs else "no job is left"
        plan.actions.append(Action("remove", CRON_FILE, reason, RemoveShared((CRON_FILE,))))
    for job in schedule.jobs:
        _plan_job(plan, job, installed)
    if crontab is not None:
        if _is_right(crontab, installed):
            plan.kept.append(Kept(CRON_FILE, "as it should be"))
        else:
            plan.actions.append(
                Action("write_crontab", CRON_FILE, _reason(crontab, installed), WriteCrontab(CRON_FILE))
            )
    _plan_removals(plan, schedule, gone)
    for path in installed.foreign:
        plan.kept.append(Kept(path, "not made by this module"))
    return plan


def _is_right(file: FileOnHost, installed: Installed) -> bool:
    found = installed.files.get(file.path)
    if found is None or (found.mode, found.group) != (file.mode, file.group):
        return False
    if not file.text:
        return installed.program_current if file.path.endswith(".pyz") else True
    return found.text == file.text


def _reason(file: FileOnHost, installed: Installed) -> str:
    return "not as it should be" if file.path in installed.files else "missing"


def _plan_job(plan: Plan[ScheduleWork], job: RenderedJob, installed: Installed) -> None:
    stale = tuple(file.path for file in job.files if not _is_right(file, installed))
    when = job.on_calendar
    stopped = bool(job.timer) and job.timer not in installed.running
    if not stale and not stopped:
        plan.kept.append(Kept("job " + job.name, "runs %s" % when))
        return
    new = not any(file.path in installed.files for file in job.files)
    if new:
        reason = "new: runs %s" % when
    elif stale:
        names = ", ".join(path.rpartition("/")[2] for path in stale)
        reason = "changed (%s): runs %s" % (names, when)
    else:
        reason = "its timer does not run: runs %s" % when
    new_time = bool(job.timer) and unit_path(job.timer) in stale
    plan.actions.append(
        Action("schedule_job", "job " + job.name, reason, ScheduleJob(job.name, stale, job.timer, new_time))
    )


def _gone(schedule: Schedule, installed: Installed, directory: str) -> Dict[str, List[str]]:
    """What is there and not wanted, by job; what jobs share under ""."""
    wanted = {file.path for job in schedule.jobs for file in job.files} | {file.path for file in schedule.shared}
    gone: Dict[str, List[str]] = {}
    for path in sorted(installed.files):
        if path not in wanted and path != CRON_FILE:
            gone.setdefault(job_name_of(path, directory), []).append(path)
    return gone


def _plan_removals(plan: Plan[ScheduleWork], schedule: Schedule, gone: Mapping[str, List[str]]) -> None:
    kept = {job.name for job in schedule.jobs}
    for name in sorted(set(gone) - {""}):
        timer = next((path.rpartition("/")[2] for path in gone[name] if path.endswith(".timer")), "")
        reason = "cron runs it" if name in kept else "not in the list any more"
        plan.actions.append(
            Action("unschedule_job", "job " + name, reason, UnscheduleJob(name, tuple(gone[name]), timer))
        )
    shared = gone.get("", [])
    if shared:
        names = ", ".join(path.rpartition("/")[2] for path in shared)
        reason = "no job needs it" if schedule.jobs else "no job is left"
        plan.actions.append(Action("remove", names, reason, RemoveShared(tuple(shared))))
