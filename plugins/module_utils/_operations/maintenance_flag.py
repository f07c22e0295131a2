# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Putting maintenance up and taking it down: the steps of maintenance_flag."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import datetime
from typing import Any, Dict, List, Optional, Tuple

from .._core.call import Call
from .._core.clock import utc_now
from .._core.errors import MaintenanceError, SkipAction
from .._core.plan import Action, Outcome, Plan, Report, Results, Verification
from .._core.record import default_owner
from .._core.runner import Task
from .._flag import probe, switch
from .._flag.ending import ending
from .._flag.flag_file import read_note
from .._flag.page import Texts, check_texts
from .._flag.services import Service
from .._flag.switch import SwitchWork
from .._flag.turn import take_turn_to_switch
from .._mongo.application_setting import visitor_addresses
from .expiry import program
from .maintenance import HANDLERS, Maintenance, MaintenanceObservation
from .services import START_SECONDS, named_services


def policy_of(params: Dict[str, Any], run_id: str) -> switch.Policy:
    """The options as data."""
    application = params["application_setting"] or {}
    allowed = application.get("allow_ips")
    return switch.Policy(
        params["state"],
        params["path"],
        params["owner"] or default_owner(),
        params["reason"],
        (params["expires"] or "").strip(),
        params["on_expiry"],
        params["force"],
        run_id,
        application.get("visitor_message"),
        tuple(visitor_addresses(allowed)) if allowed is not None else None,
        params["around_run"],
        tuple(params["layers"]),
        check_texts(params["page"]["shop"], params["page"]["texts"]) if params["page"] else Texts(),
    )


def _taken_back(results: Results[SwitchWork, MaintenanceObservation]) -> bool:
    failure = results.verification.failure
    return failure is not None and bool(failure.details.get("rolled_back"))


class MaintenanceFlag(Task[MaintenanceObservation]):
    """Every layer, one after the other; the first that fails ends it, as the order is what keeps it safe."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self._turn: Optional[int] = None
        self.policy = policy_of(self.params, self.run.run_id or "")
        self.maintenance = Maintenance(
            self.policy,
            self.run.state_dir,
            self.params["application_setting"],
            program if self.params["timer"] == "auto" else None,
            stop=self._to_stop,
            assume_nginx=(self.params["assume_nginx"] or "") if call.check and self.policy.state == "present" else "",
        )

    def _to_stop(self) -> List[Service]:
        names, project = self.params["stop_services"], self.params["compose_project"] or ""
        return named_services(names, project, self.params["docker_host"] or "")

    def observe(self) -> MaintenanceObservation:
        observation = self.maintenance.observe()
        if self.call.check:
            return observation
        # Only now, as what is refused leaves nothing behind; then what another call has switched meanwhile is looked at again.
        try:
            self._turn = take_turn_to_switch(self.run.state_dir)
        except MaintenanceError:
            # One that hangs must not keep a shop closed for whoever knows what is going on.
            if not self.policy.force:
                raise
        return self.maintenance.observe() if self.maintenance.has_changed(observation) else observation

    def plan(self, observation: MaintenanceObservation, now: datetime) -> Plan[SwitchWork]:
        return switch.plan_switch(observation.layers, self.policy, now)

    def _carry_out(self, action: Action[Any], observation: MaintenanceObservation) -> Outcome:
        return self.maintenance.act(action, observation)

    # The host's own timer carries out the same works, without this class.
    handlers = dict.fromkeys(HANDLERS, _carry_out)

    def verify(
        self,
        observation: MaintenanceObservation,
        plan: Plan[SwitchWork],
        results: Results[SwitchWork, MaintenanceObservation],
    ) -> Verification[MaintenanceObservation]:
        if self.maintenance.present and results.failed:
            return self._rolled_back(observation, [])
        if results.failed:
            return Verification()
        try:
            self.maintenance.verify(observation, plan)
        except MaintenanceError as error:
            return Verification(failure=error)
        if not results.done:
            return Verification()
        if not self.maintenance.present and switch.remains(observation.layers):
            return Verification()  # how the shop is to be found then is not known
        self.run.renew()
        wrong = list(self.maintenance.prove(observation, plan))
        more, warnings = self._prove_application(plan)
        wrong.extend(more)
        if not wrong:
            return Verification(warnings=warnings)
        if self.maintenance.present:
            return self._rolled_back(observation, wrong)
        return Verification(
            failure=MaintenanceError(
                "maintenance was taken down in each of its layers, but the shop is not as visitors should find it: %s"
                % "; ".join(wrong),
                target=self.policy.path,
                next_step="Look at the shop and at its web server; maintenance_status tells the state of each layer.",
            ),
            warnings=warnings,
        )

    def _prove_application(self, plan: Plan[SwitchWork]) -> Tuple[List[str], Tuple[str, ...]]:
        """What does not hold of the application's layer, as its health endpoint tells, and what could not be proved."""
        url = (self.params["probe_url"] or "").strip()
        kind = switch.SwitchApplicationOn if self.maintenance.present else switch.SwitchApplicationOff
        if not url or not any(isinstance(action.work, kind) for action in plan.actions):
            return [], ()
        answer = self._asked(url, plan)
        if not self.maintenance.present:
            if answer.state == probe.UP:
                return [], ()
            return ["the layer application: %s: %s" % (url, answer.reason)], ()
        allowed = set(self.policy.allow_ips or ()) & {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
        if answer.state == probe.MAINTENANCE or allowed:
            return [], ()
        if answer.status == 0 or answer.status >= 500:
            return [], ("that the application turns visitors away could not be proved: %s: %s" % (url, answer.reason),)
        return ["the layer application does not hold: %s serves visitors" % url], ()

    def _asked(self, url: str, plan: Plan[SwitchWork]) -> probe.Probe:
        """What the health endpoint answers; what was just started gets its time."""
        started = any(isinstance(action.work, switch.StartService) for action in plan.actions)
        deadline = time.monotonic() + (START_SECONDS if started else 0)
        while True:
            answer = probe.probe(url)
            self.run.renew()
            if answer.state == probe.UP or time.monotonic() > deadline:
                return answer
            time.sleep(0.5)

    def _rolled_back(
        self, observation: MaintenanceObservation, wrong: List[str]
    ) -> Verification[MaintenanceObservation]:
        """Take down again what could not be put up in all of its layers. What was up before stays up."""
        what = "; ".join(wrong)
        if switch.is_up(observation.layers):
            return Verification(failure=MaintenanceError(what, target=self.policy.path) if what else None)
        note = read_note(self.run.state_dir)
        if note is not None and note.owner != self.policy.owner:
            # Whoever was quicker: nothing of theirs is taken back.
            return Verification(
                failure=MaintenanceError(
                    "maintenance was put up by %s at this moment" % note.owner,
                    target=self.policy.path,
                    next_step="Ask them first.",
                )
            )
        self.run.renew()
        undo = Maintenance(
            replace(self.policy, state="absent"),
            self.run.state_dir,
            self.params["application_setting"],
            program if self.params["timer"] == "auto" else None,
        )
        left = ""
        try:
            seen = undo.observe()
            plan = switch.plan_switch(seen.layers, undo.policy, utc_now())
            for action in plan.actions:
                try:
                    undo.act(action, seen)
                except SkipAction:
                    pass
            left = switch.remains(seen.layers)
        except MaintenanceError as error:
            left = str(error)
        finally:
            undo.close()
        if left:
            return Verification(
                failure=MaintenanceError(
                    "%s; and not all of it could be taken back: %s"
                    % (what or "maintenance was only partly put up", left),
                    target=self.policy.path,
                    next_step="Run exit_maintenance; maintenance_status tells the state of each layer.",
                )
            )
        return Verification(
            failure=MaintenanceError(
                "%s. All layers were taken back, and the shop is open as before"
                % (what or "maintenance was not put up"),
                target=self.policy.path,
                details={"rolled_back": True},
            )
        )

    def report(
        self,
        observation: MaintenanceObservation,
        plan: Plan[SwitchWork],
        results: Results[SwitchWork, MaintenanceObservation],
    ) -> Report:
        values: Dict[str, Any] = {"owner": switch.owner_of(observation.layers)}
        note = switch.note_of(observation.layers, plan)
        if self.maintenance.present and note is not None:
            values.update(stopped=[service.name for service in note.services])
            values.update(since=note.since, expires=note.expires, timer=note.timer, layers=switch.names_of(note))
        failure = None
        left = "" if self.maintenance.present else switch.remains(observation.layers)
        if left:
            failure = MaintenanceError(
                left,
                target=self.policy.path,
                next_step="What else was up %s taken down. Run it again as soon as that answers."
                % results.words("was", "would be"),
            )
        changed = bool(results.effective) and not _taken_back(results)
        return Report(self._headline(observation, plan, results), changed, values=values, failure=failure)

    def _headline(
        self,
        observation: MaintenanceObservation,
        plan: Plan[SwitchWork],
        results: Results[SwitchWork, MaintenanceObservation],
    ) -> str:
        if _taken_back(results):
            return "maintenance could not be put up, and the shop is open as before"
        if results.failed or (not self.maintenance.present and switch.remains(observation.layers)):
            return "maintenance was only partly %s" % ("put up" if self.maintenance.present else "taken down")
        would = results.check and bool(plan.actions)
        note = switch.note_of(observation.layers, plan)
        if not self.maintenance.present or note is None:
            if not plan.actions:
                return "maintenance is not up"
            return "would take down maintenance" if would else "maintenance was taken down"
        up = "would put up maintenance" if would else "maintenance is up"
        who = switch.who_turns_away(note)
        end = ending(note.expires, note.on_expiry, bool(note.timer))
        names = [service.name for service in note.services]
        stopped = "; %s for it: %s" % (results.words("stopped", "would stop"), ", ".join(names)) if names else ""
        return "%s, %s; %s: %s%s" % (up, end, who, note.reason, stopped)

    def diff(self, observation: MaintenanceObservation, plan: Plan[Any]) -> Optional[Dict[str, Any]]:
        if not plan.actions:
            return None
        after = switch.layers_after(observation.layers, plan)
        switched = any(
            isinstance(action.work, (switch.SwitchApplicationOn, switch.SwitchApplicationOff))
            for action in plan.actions
        )
        block = observation.block_after if switched else observation.block_before
        return {
            "before": switch.render_layers(observation.layers, self.policy, observation.block_before),
            "after": switch.render_layers(after, self.policy, block),
        }

    def close(self) -> None:
        self.maintenance.close()
        if self._turn is not None:
            os.close(self._turn)
