# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Switching the shop's own jobs off and on: the steps of shop_jobs."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Tuple

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .._core.plan import Action, Outcome, Plan, Report, Results, Verification
from .._core.runner import Task
from .._core.undo_note import new_undo_id, undo_path
from .._host.jobs import DEFAULT_PATHS, UNKNOWN_EFFECT, JobFinder, Places
from .._schedule.host_switches import (
    clear_partial,
    job_seen,
    noted_switches,
    read_notes,
    switch_note_of,
    turn_off,
    turn_on,
    write_switch_note,
)
from .._schedule.rendering import CRON_FILE
from .._schedule.switching import LINE, NotedSwitch, ShopJob, SwitchOff, SwitchOn, SwitchWork, plan_off, plan_on


@dataclass(frozen=True)
class ShopJobsObservation:
    """What was found.

    Attributes:
        jobs: the shop's; empty when jobs are to be switched on again.
        noted: what was switched off by earlier calls; empty when jobs are to be switched off.
        unreadable: places that may hold further jobs.
    """

    jobs: Tuple[ShopJob, ...] = ()
    noted: Tuple[NotedSwitch, ...] = ()
    unreadable: Tuple[str, ...] = ()


class ShopJobs(Task[ShopJobsObservation]):
    """Switch the shop's own jobs off, or on again."""

    stop_on_failure = False

    def observe(self) -> ShopJobsObservation:
        if self.params["state"] == "restored":
            return ShopJobsObservation(noted=noted_switches(read_notes(self.run.state_dir, self.params["undo"] or "")))
        return self._jobs()

    def _jobs(self) -> ShopJobsObservation:
        places = Places(self.params["root"], self.params["backups"], self.params["names"])
        finder = JobFinder(places, self.params["cron_paths"] or DEFAULT_PATHS)
        found = []
        for job in finder.find():
            if job.source != CRON_FILE:
                about = "%s; %s" % (job.kind or "not recognised", job.schedule or "by itself")
                unknown = job.dangers == (UNKNOWN_EFFECT,)
                found.append(job_seen(job.where, about, unknown, job.active, job.source, job.line))
        return ShopJobsObservation(tuple(found), (), tuple(finder.unreadable))

    def plan(self, observation: ShopJobsObservation, now: datetime) -> Plan[SwitchWork]:
        if self.params["state"] == "restored":
            return plan_on(observation.noted)
        plan = plan_off(observation.jobs, self.params["unknown"], new_undo_id(self.run.run_id, now))
        if observation.unreadable:
            plan.warnings.append("not looked at for jobs: " + ", ".join(observation.unreadable[:10]))
        return plan

    def _off(self, action: Action[SwitchOff], observation: ShopJobsObservation) -> Outcome:
        undo_id = action.work.undo_id
        if not os.path.exists(undo_path(self.run.state_dir, undo_id)):
            # Before the first change, and of all that are planned: killed at whatever moment, all of it can be undone.
            plan = plan_off(observation.jobs, self.params["unknown"], undo_id)
            write_switch_note(
                self.run.state_dir, undo_id, [switch_note_of(planned.work.switch) for planned in plan.actions]
            )
        turn_off(action.work.switch)
        return Outcome()

    def _on(self, action: Action[SwitchOn], observation: ShopJobsObservation) -> Outcome:
        work = action.work
        notes = dict(read_notes(self.run.state_dir, work.undo_id))
        turn_on(work.switch, notes[work.undo_id][work.index].original)
        return Outcome()

    handlers = {SwitchOff: _off, SwitchOn: _on}

    def verify(
        self,
        observation: ShopJobsObservation,
        plan: Plan[SwitchWork],
        results: Results[SwitchWork, ShopJobsObservation],
    ) -> Verification[ShopJobsObservation]:
        if not results.done or self.params["state"] == "restored":
            return Verification()
        after = self._jobs()
        done = {result.action.work.switch for result in results.done}
        still = [job.where for job in after.jobs if job.active and job.switch in done]
        failure = None
        if still:
            failure = MaintenanceError(
                "jobs of the shop are active although they were just switched off",
                target=", ".join(still),
                next_step="Something else writes these files: look at what installs the shop.",
            )
        return Verification(after, failure)

    def remember(
        self,
        observation: ShopJobsObservation,
        plan: Plan[SwitchWork],
        results: Results[SwitchWork, ShopJobsObservation],
    ) -> None:
        # What a killed call was writing beside a crontab.
        for noted in observation.noted:
            if noted.switch.form == LINE:
                clear_partial(noted.switch)

    def report(
        self,
        observation: ShopJobsObservation,
        plan: Plan[SwitchWork],
        results: Results[SwitchWork, ShopJobsObservation],
    ) -> Report:
        number = len(results.effective)
        restored = self.params["state"] == "restored"
        if restored:
            verb = results.words("switched on", "would switch on")
        else:
            verb = results.words("switched off", "would switch off")
        headline = "%s %d job%s of the shop" % (verb, number, "" if number == 1 else "s")
        active = 0
        if not restored:
            planned = {action.work.switch for action in results.effective}
            active = sum(job.active and job.switch not in planned for job in observation.jobs)
            headline += ", %d still active" % active if active else ""
        undo = [action.work.undo_id for action in results.effective if isinstance(action.work, SwitchOff)]
        more = {"undo_id": undo[0]} if undo and not results.check else {}
        if more:
            headline += "; undo_run=%s switches them on again" % more["undo_id"]
        summary = {"jobs_switched": number, "jobs_active": active}
        return Report(headline, changed=bool(number), summary=summary, values=dict(more), record=dict(more))
