# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Having a host run the jobs of a list: the steps of schedule_jobs."""

from __future__ import annotations

import hmac
import json
import secrets
import sys
from datetime import datetime, timezone
from typing import Any, Dict, List, Optional, Tuple

from .._core import program as programs
from .._core.call import Call
from .._core.clock import format_utc, utc_now
from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .._core.plan import Action, Outcome, Plan, Report, Results, Verification
from .._core.runner import Task
from . import job_runner
from .clock_change import next_runs
from .host_jobs import (
    check_calendars,
    check_playbook,
    chosen_kind,
    group_of,
    make_directory,
    observe_installed,
    remove_job,
    remove_shared,
    start_timer,
    write_files,
    zones_of,
)
from .job_list import schedule_policy
from .planning import (
    Installed,
    InstallShared,
    RemoveShared,
    ScheduleJob,
    ScheduleWork,
    UnscheduleJob,
    WriteCrontab,
    plan_schedule,
)
from .rendering import FileOnHost, Schedule, render

_NEXT = 3
_KEY = secrets.token_bytes(16)


@dataclass(frozen=True)
class ScheduleObservation:
    """What was found.

    Attributes:
        at: when.
        schedule: what the list comes to on this host: the kind, the zones and the user's group are the host's.
    """

    at: datetime
    schedule: Schedule
    installed: Installed
    group: int


class ScheduleJobs(Task[ScheduleObservation]):
    """Have the host run the jobs of the list, and no others of ours.

    Attributes:
        program: full name of the module that is packed as what starts the jobs.
    """

    program = job_runner.__name__

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.policy = schedule_policy(call.params, sys.executable)

    def observe(self) -> ScheduleObservation:
        now = utc_now()
        kind = chosen_kind(self.policy.kind)
        group = group_of(self.policy.user)
        schedule = render(self.policy, kind, zones_of(self.policy.jobs, now), group)
        check_calendars(schedule)
        installed = observe_installed(self.policy, kind, programs.pack(self.program))
        if self.params["check_playbooks"]:
            for job, rendered in zip(self.policy.jobs, schedule.jobs):
                known = installed.files.get(rendered.files[0].path)
                if known is None or known.text != rendered.files[0].text:
                    check_playbook(self.policy, job)
        return ScheduleObservation(now, schedule, installed, group)

    def plan(self, observation: ScheduleObservation, now: datetime) -> Plan[ScheduleWork]:
        return plan_schedule(observation.schedule, observation.installed, self.policy.directory)

    def _write(self, paths: Tuple[str, ...], observation: ScheduleObservation) -> None:
        files = {file.path: file for job in observation.schedule.jobs for file in job.files}
        files.update({file.path: file for file in observation.schedule.shared})
        write_files([files[path] for path in paths], observation.installed, programs.pack(self.program))

    def _install(self, action: Action[InstallShared], observation: ScheduleObservation) -> Outcome:
        make_directory(self.policy.directory, observation.group)
        self._write(action.work.paths, observation)
        return Outcome()

    def _schedule(self, action: Action[ScheduleJob], observation: ScheduleObservation) -> Outcome:
        work = action.work
        self._write(work.paths, observation)
        if work.timer:
            start_timer(work.timer, work.new_time)
        return Outcome()

    def _unschedule(self, action: Action[UnscheduleJob], observation: ScheduleObservation) -> Outcome:
        work = action.work
        remove_job(work.name, work.paths, work.timer, observation.installed)
        return Outcome()

    def _crontab(self, action: Action[WriteCrontab], observation: ScheduleObservation) -> Outcome:
        self._write((action.work.path,), observation)
        return Outcome()

    def _remove(self, action: Action[RemoveShared], observation: ScheduleObservation) -> Outcome:
        remove_shared(action.work.paths, observation.installed)
        return Outcome()

    handlers = {
        InstallShared: _install,
        ScheduleJob: _schedule,
        UnscheduleJob: _unschedule,
        WriteCrontab: _crontab,
        RemoveShared: _remove,
    }

    def verify(
        self,
        observation: ScheduleObservation,
        plan: Plan[ScheduleWork],
        results: Results[ScheduleWork, ScheduleObservation],
    ) -> Verification[ScheduleObservation]:
        if not results.done:
            return Verification()
        kind = observation.schedule.kind
        installed = observe_installed(self.policy, kind, programs.pack(self.program))
        left = plan_schedule(observation.schedule, installed, self.policy.directory).actions
        after = ScheduleObservation(observation.at, observation.schedule, installed, observation.group)
        failure = None
        if left and not (results.failed or results.skipped):
            failure = MaintenanceError(
                "the schedule is not what it was just made",
                target=", ".join(action.target for action in left),
                next_step="Something else changes it at this moment, or systemd refuses it: look at systemctl status.",
            )
        return Verification(after, failure)

    def report(
        self,
        observation: ScheduleObservation,
        plan: Plan[ScheduleWork],
        results: Results[ScheduleWork, ScheduleObservation],
    ) -> Report:
        schedule = observation.schedule
        jobs = self._jobs(observation)
        scheduled = sum(isinstance(action.work, ScheduleJob) for action in results.effective)
        removed = sum(isinstance(action.work, UnscheduleJob) for action in results.effective)
        number = len(schedule.jobs)
        headline = "%d job%s by %s" % (number, "" if number == 1 else "s", schedule.kind)
        if results.effective:
            template = results.words("set %d, removed %d", "would set %d, remove %d")
            headline += ": " + template % (scheduled, removed)
        else:
            headline += ", nothing to change"
        return Report(
            headline,
            changed=bool(results.effective),
            summary={"jobs": number, "jobs_set": scheduled, "jobs_removed": removed},
            values={
                "kind": schedule.kind,
                "jobs": jobs,
                "collisions": _collisions(observation),
                "lines": [headline, *map(_line, jobs)],
            },
        )

    def _jobs(self, observation: ScheduleObservation) -> List[Dict[str, Any]]:
        kind = observation.schedule.kind
        return [
            {
                "name": job.name,
                "playbook": job.playbook,
                "when": rendered.on_calendar,
                "time_zone": rendered.settled.zone.name,
                "moved": rendered.settled.moved,
                "timer": rendered.timer,
                "next": [_text(run) for run in next_runs(rendered.settled, kind, observation.at, _NEXT)],
            }
            for job, rendered in zip(self.policy.jobs, observation.schedule.jobs)
        ]

    def diff(self, observation: ScheduleObservation, plan: Plan[ScheduleWork]) -> Optional[Dict[str, Any]]:
        schedule, before = observation.schedule, observation.installed.files
        wanted = {file.path: file for job in schedule.jobs for file in job.files}
        wanted.update({file.path: file for file in schedule.shared})
        paths = [path for action in plan.actions for path in getattr(action.work, "paths", ())]
        paths += [action.work.path for action in plan.actions if isinstance(action.work, WriteCrontab)]
        # A file that goes and one that stays in the way of its job are told apart by what is wanted.
        return {
            "before": "".join(_shown(before.get(path)) for path in paths),
            "after": "".join(_shown(wanted.get(path)) for path in paths),
        }


def _line(job: Dict[str, Any]) -> str:
    """A job as a person reads it."""
    following = job["next"][0] if job["next"] else "never"
    return "  %-16s %s in %s, next %s" % (job["name"], job["when"], job["time_zone"] or "local time", following) + (
        " (moved away from the night of a clock change)" if job["moved"] else ""
    )


def _text(instant: int) -> str:
    return format_utc(datetime.fromtimestamp(instant, timezone.utc))


def _shown(file: Optional[FileOnHost]) -> str:
    """A file as diff mode shows it: never the program, and never the values of variables."""
    if file is None:
        return ""
    text = file.text
    if file.path.endswith(".pyz") or not text:
        text = "(the program of the jobs)\n" if file.path.endswith(".pyz") else "(empty)\n"
    elif file.path.endswith(".variables.json"):
        # Their digest tells that they are others, and a key of its own each time that nobody guesses them from it.
        names = ", ".join(sorted(json.loads(text))) if text.startswith("{") else ""
        text = "(variables: %s; digest %s)\n" % (names, hmac.new(_KEY, text.encode(), "sha256").hexdigest()[:8])
    return "# %s\n%s" % (file.path, text)


def _collisions(observation: ScheduleObservation) -> List[Dict[str, Any]]:
    """Jobs that begin at the same moment, of those moments that are next: they run one after the other."""
    found: Dict[int, List[str]] = {}
    for job in observation.schedule.jobs:
        for run in next_runs(job.settled, observation.schedule.kind, observation.at, 60):
            found.setdefault(run, []).append(job.name)
    together: Dict[Tuple[str, ...], int] = {}
    for run in sorted(found):
        if len(found[run]) > 1:
            together.setdefault(tuple(found[run]), run)
    return [{"jobs": list(names), "first": _text(run)} for names, run in together.items()]
