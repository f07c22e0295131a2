# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Putting maintenance up and taking it down: the steps of maintenance_flag."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, Optional

from .._core.call import Call
from .._core.errors import MaintenanceError
from .._core.plan import Action, Outcome, Plan, Report, Results, Verification
from .._core.record import default_owner
from .._core.runner import Task
from .._flag import switch
from .._flag.ending import ending
from .._flag.switch import SwitchWork
from .._mongo.application_setting import visitor_addresses
from .expiry import program
from .maintenance import HANDLERS, Maintenance, MaintenanceObservation


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
    )


class MaintenanceFlag(Task[MaintenanceObservation]):
    """Every layer, one after the other; the first that fails ends it, as the order is what keeps it safe."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.policy = policy_of(self.params, self.run.run_id or "")
        self.maintenance = Maintenance(
            self.policy,
            self.run.state_dir,
            self.params["application_setting"],
            program if self.params["timer"] == "auto" else None,
        )

    def observe(self) -> MaintenanceObservation:
        return self.maintenance.observe()

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
        if results.failed:
            return Verification()
        try:
            self.maintenance.verify(observation, plan)
        except MaintenanceError as error:
            return Verification(failure=error)
        return Verification()

    def report(
        self,
        observation: MaintenanceObservation,
        plan: Plan[SwitchWork],
        results: Results[SwitchWork, MaintenanceObservation],
    ) -> Report:
        values: Dict[str, Any] = {"owner": switch.owner_of(observation.layers)}
        note = switch.note_of(observation.layers, plan)
        if self.maintenance.present and note is not None:
            values.update(since=note.since, expires=note.expires, timer=note.timer)
        return Report(self._headline(observation, plan, results), bool(results.effective), values=values)

    def _headline(
        self,
        observation: MaintenanceObservation,
        plan: Plan[SwitchWork],
        results: Results[SwitchWork, MaintenanceObservation],
    ) -> str:
        if results.failed:
            return "maintenance was only partly %s" % ("put up" if self.maintenance.present else "taken down")
        would = results.check and bool(plan.actions)
        note = switch.note_of(observation.layers, plan)
        if not self.maintenance.present or note is None:
            if not plan.actions:
                return "maintenance is not up"
            return "would take down maintenance" if would else "maintenance was taken down"
        up = "would put up maintenance" if would else "maintenance is up"
        return "%s, %s: %s" % (up, ending(note.expires, note.on_expiry, bool(note.timer)), note.reason)

    def diff(self, observation: MaintenanceObservation, plan: Plan[Any]) -> Optional[Dict[str, Any]]:
        if not plan.actions:
            return None
        after = switch.layers_after(observation.layers, plan)
        return {
            "before": switch.render_layers(observation.layers, self.policy, observation.block_before),
            "after": switch.render_layers(after, self.policy, observation.block_after),
        }

    def close(self) -> None:
        self.maintenance.close()
