# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restarting what is unhealthy, once: the steps of shop_restart.

What was restarted is noted before it is, and forgotten when it is seen to be well again. In between it is left alone: what a restart
has not helped, a second one does not, and a shop that is restarted every hour hides what is wrong with it.
"""

from __future__ import annotations

import os
import time
from dataclasses import field
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .._core.call import Call
from .._core.clock import format_utc, utc_now
from .._core.errors import MaintenanceError, SkipAction
from .._core.late_dataclass import dataclass
from .._core.lease import boot_id, judge_lease, read_lease
from .._core.plan import Action, Kept, Outcome, Plan, Report, Results, Verification
from .._core.runner import Task
from .._core.state_dir import StateDirectory
from .._core.state_note import read_state_note, write_state_note
from .._flag import probe
from .._flag.flag_file import read_flag, read_note
from .._flag.services import Service
from .maintenance_status import look_at_application, look_at_nginx, merge_layers
from .services import CRASHED, ILL, STARTING, STOPPED, Health, health_of, named_services, restart_service

NOTE_NAME = "restarts.json"
# The time that the application gives its database, twice over.
HELP_SECONDS = 20.0


@dataclass(frozen=True)
class RestartService:
    """Restart a container or a unit."""

    service: Service


@dataclass(frozen=True)
class RestartObservation:
    """What was found.

    Attributes:
        hindered: why nothing may be restarted now, whatever is wrong, "" when it may.
        answer: what the shop's health endpoint says, None where it was not asked.
        healths: of each service. api: of those, what the endpoint speaks for.
        restarted: when each was restarted since it was last well, by its target.
    """

    hindered: str
    answer: Optional[probe.Probe]
    healths: Tuple[Health, ...]
    api: Tuple[Service, ...]
    restarted: Mapping[str, str] = field(default_factory=dict)


def illness(seen: RestartObservation, health: Health) -> str:
    """Why a service is to be restarted, "" when it is well or a restart is not what it needs. Pure."""
    if health.state in (CRASHED, ILL):
        return health.why
    answer = seen.answer
    if health.service in seen.api and health.state != STOPPED and answer is not None and answer.state == probe.DOWN:
        return "the shop does not answer: %s" % answer.reason
    return ""


def _well(seen: RestartObservation, health: Health) -> str:
    if health.state == STOPPED:
        return "somebody has stopped it"
    lost = seen.answer is not None and seen.answer.state == probe.DEGRADED and health.service in seen.api
    return "it has lost its database, which no restart of it brings back" if lost else "is well"


def plan_restarts(seen: RestartObservation) -> Plan[RestartService]:
    """What to restart. Pure."""
    plan: Plan[RestartService] = Plan()
    for health in seen.healths:
        target, why = health.service.target, illness(seen, health)
        if not why:
            plan.kept.append(Kept(target, _well(seen, health)))
        elif seen.hindered:
            plan.kept.append(Kept(target, "%s, but %s" % (why, seen.hindered)))
        elif target in seen.restarted:
            plan.kept.append(Kept(target, "%s; it was restarted at %s already" % (why, seen.restarted[target])))
            plan.warnings.append(
                "%s was restarted at %s, and that has not helped: %s. Look at its log"
                % (target, seen.restarted[target], why)
            )
        else:
            plan.actions.append(Action("restart_service", target, why, RestartService(health.service)))
    return plan


def read_restarts(state_dir: str) -> Dict[str, str]:
    """When each service was restarted since it was last well. Nothing where the note makes no sense.

    Raises:
        MaintenanceError: it cannot be read.
    """
    path = os.path.join(state_dir, NOTE_NAME)
    return read_state_note(path, "cannot read what was restarted", _moments) or {}


def _moments(found: Mapping[str, str]) -> Dict[str, str]:
    return {str(key): str(value) for key, value in found.items()}


def write_restarts(state_dir: str, restarted: Mapping[str, str]) -> None:
    """Raises MaintenanceError: it cannot be written."""
    path = os.path.join(state_dir, NOTE_NAME)
    write_state_note(state_dir, path, dict(restarted), "cannot note what is restarted, so nothing was")


class ShopRestart(Task[RestartObservation]):
    """Restart what is unhealthy."""

    stop_on_failure = False

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.url = (self.params["probe_url"] or "").strip()

    def observe(self) -> RestartObservation:
        answer = probe.probe(self.url) if self.url else None
        self.run.renew()
        project, host = self.params["compose_project"] or "", self.params["docker_host"] or ""
        services = named_services(self.params["services"], project, host)
        names = [name for name in self.params["services"] if name == self.params["api_service"]]
        api = tuple(named_services(names, project, host)) if names else ()
        healths = tuple(health_of(service) for service in services)
        return RestartObservation(self._hindered(answer), answer, healths, api, read_restarts(self.run.state_dir))

    def _hindered(self, answer: Optional[probe.Probe]) -> str:
        if answer is not None and answer.state == probe.MAINTENANCE:
            return "the shop is in maintenance"
        state = StateDirectory(self.run.state_dir)
        lease = read_lease(state)
        if lease is not None and lease.run_id != self.run.run_id:
            if judge_lease(lease, True, boot_id(), utc_now()).state == "live":
                return "a run works on this host (%s of %s)" % (lease.name, lease.owner)
        note = read_note(self.run.state_dir)
        flag = read_flag(self.params["path"])
        if note is not None or flag.present:
            return "the shop is in maintenance"
        # Without an answer nobody knows: then it serves visitors, as the application itself has it.
        layers = merge_layers(
            flag,
            note,
            look_at_application(self.params["application_setting"]),
            utc_now(),
            nginx=look_at_nginx(self.run.state_dir, note),
        )
        return "the shop is in maintenance" if layers["active"] else ""

    def plan(self, observation: RestartObservation, now: datetime) -> Plan[RestartService]:
        return plan_restarts(observation)

    def _restart(self, action: Action[RestartService], observation: RestartObservation) -> Outcome:
        # A restart starts what was stopped meanwhile, and the services before this one have taken their time.
        hindered = self._hindered(None)
        if hindered:
            raise SkipAction(hindered)
        if health_of(action.work.service).state == STOPPED:
            raise SkipAction("somebody has stopped it meanwhile")
        restarted = read_restarts(self.run.state_dir)
        write_restarts(self.run.state_dir, {**restarted, action.target: format_utc(utc_now())})
        restart_service(action.work.service)
        return Outcome()

    handlers = {RestartService: _restart}

    def verify(
        self,
        observation: RestartObservation,
        plan: Plan[RestartService],
        results: Results[RestartService, RestartObservation],
    ) -> Verification[RestartObservation]:
        """Wait until what was restarted is well."""
        if not results.done:
            return Verification()
        deadline = time.monotonic() + HELP_SECONDS
        while True:
            after = self.observe()
            ill = ["%s: %s" % (h.service.target, illness(after, h)) for h in after.healths if illness(after, h)]
            starting = any(h.state == STARTING for h in after.healths)
            if (not ill and not starting) or time.monotonic() > deadline:
                break
            time.sleep(0.5)
        if not ill:
            return Verification(after)
        return Verification(
            after,
            MaintenanceError(
                "a restart has not helped: %s" % "; ".join(ill),
                next_step="Look at its log; it is not restarted again before it was well.",
            ),
        )

    def remember(
        self,
        observation: RestartObservation,
        plan: Plan[RestartService],
        results: Results[RestartService, RestartObservation],
    ) -> None:
        """Forget what is well again."""
        seen = results.verification.after or observation
        ill = {h.service.target for h in seen.healths if illness(seen, h) or h.state == STARTING}
        named = {health.service.target for health in seen.healths}
        noted = read_restarts(self.run.state_dir)
        kept = {target: moment for target, moment in noted.items() if target in ill or target not in named}
        if kept != noted:
            write_restarts(self.run.state_dir, kept)

    def report(
        self,
        observation: RestartObservation,
        plan: Plan[RestartService],
        results: Results[RestartService, RestartObservation],
    ) -> Report:
        names: List[str] = [action.work.service.name for action in results.effective]
        ill = [health for health in observation.healths if illness(observation, health)]
        if names:
            headline = "%s %s" % (", ".join(names), results.words("was restarted", "would be restarted"))
        elif results.failed:
            headline = "what is unhealthy could not be restarted"
        elif ill and observation.hindered:
            headline = "nothing was restarted: %s" % observation.hindered
        elif ill:
            headline = "nothing was restarted a second time: %s" % ", ".join(h.service.name for h in ill)
        else:
            headline = "nothing had to be restarted"
        values: Dict[str, Any] = {"restarted": names, "hindered": observation.hindered}
        return Report(headline, bool(results.effective), values=values)
