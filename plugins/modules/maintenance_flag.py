#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: maintenance_flag
short_description: Put the shop into maintenance and take it out again
version_added: 0.1.0
description:
  - Works layer by layer. The flag file is for people and scripts; the application itself reads only its own setting in the database, and that is
    what turns visitors away, at once. Both are kept in step.
  - Remembers who put maintenance up and how the application's setting was before, and puts exactly that back. All other settings, which stand in
    the same text, are left as they are to the byte.
  - Maintenance that somebody else put up, a person in the shop's administration included, is neither changed nor taken down without O(force).
  - A run that is killed in between leaves a state that the next one with the same options completes. On entry the note of what was before is
    written first and the application switched last; on exit the application is switched first and the note removed last.
  - Restarts nothing. Taking down maintenance that is not up changes nothing.
  - While maintenance is up, the application answers everything with 503, its health endpoint and payment webhooks included, and its administration
    as well, except to addresses in O(application_setting.allow_ips).
options:
  state:
    description: Up or down.
    type: str
    choices: [present, absent]
    default: present
  path:
    description: The flag file.
    type: path
    default: /opt/miniecom/storage/.maintenance
  reason:
    description: Why, for people; written into the flag file.
    type: str
    default: Scheduled maintenance
  owner:
    description:
      - Who puts it up or takes it down, a person or a job.
      - By default the user that the module runs as, or that called C(sudo).
    type: str
  force:
    description: Change it or take it down whoever put it up.
    type: bool
    default: false
  expires:
    description:
      - When it is to end. A duration from now, such as V(2h), or a point in time, such as V(2026-11-24T05:00:00Z). Without it there is no end.
      - The same duration given again by the same owner means the same end; another one, or a point in time, moves it.
      - M(miniecom.maintenance.maintenance_flag_info) tells when it has passed. Nothing on the host acts on it by itself.
    type: str
  on_expiry:
    description: What whoever watches is to do then, take maintenance down or tell somebody. Kept beside O(expires).
    type: str
    choices: [lift, alert]
    default: alert
  application_setting:
    description:
      - How to reach the application's own setting. Without it only the flag file is put up, which turns nobody away.
      - With O(state=absent) what was used to put it up is remembered, except O(application_setting.uri).
    type: dict
    suboptions:
      uri:
        description: Connection string. Give it or O(application_setting.env_file).
        type: str
      env_file:
        description: The shop's environment file, from which the connection string is read on the host.
        type: path
      address:
        description: Host and port that replace those of the connection string, as M(miniecom.maintenance.context_info) returns them.
        type: str
      database:
        description: The shop's database. By default the one that the connection string names.
        type: str
      visitor_message:
        description: What visitors read. By default what is set there already.
        type: str
        aliases: [message]
      allow_ips:
        description: Client addresses that the application still serves; replaces the list. By default what is set there already.
        type: list
        elements: str
      connect_timeout:
        description: Seconds to wait for the server.
        type: int
        default: 5
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.run
author:
  - miniecom.maintenance contributors (@miniecom)
seealso:
  - module: miniecom.maintenance.maintenance_flag_info
  - module: miniecom.maintenance.context_info
"""

EXAMPLES = r"""
- name: Close the shop for the night's work
  miniecom.maintenance.maintenance_flag:
    state: present
    reason: Moving the database to new disks
    expires: 2h
    application_setting:
      env_file: /opt/miniecom/.env
      address: 127.0.0.1:27017
      visitor_message: We are back at six.
      allow_ips: [203.0.113.7]

- name: Open it again
  miniecom.maintenance.maintenance_flag:
    state: absent
    application_setting:
      env_file: /opt/miniecom/.env
      address: 127.0.0.1:27017

- name: Work while it is closed, whatever happens
  block:
    - name: Close
      miniecom.maintenance.maintenance_flag:
        owner: weekly
        application_setting:
          env_file: "{{ shop.context.env_file }}"
          address: "{{ shop.context.mongo.address }}"
    - name: Work
      ansible.builtin.import_role:
        name: miniecom.maintenance.mongo_maintenance
  always:
    - name: Open
      miniecom.maintenance.maintenance_flag:
        state: absent
        owner: weekly

- name: Take down what a colleague has forgotten
  miniecom.maintenance.maintenance_flag:
    state: absent
    force: true
"""

RETURN = r"""
changed:
  description: Whether something was, or in check mode would be, changed.
  returned: always
  type: bool
plan:
  description:
    - What was to be done, with C(action), C(target), C(reason) and C(bytes).
    - The actions are V(write_note), V(write_flag), V(switch_application_on), V(switch_application_off), V(remove_flag) and V(remove_note).
  returned: success
  type: list
  elements: dict
kept:
  description: Layers that were right already, with C(target) and C(reason).
  returned: success
  type: list
  elements: dict
actions:
  description: What was done, with C(action), C(target), C(status), C(bytes), C(seconds) and C(error).
  returned: outside check mode
  type: list
  elements: dict
counts:
  description: Totals of C(plan), C(kept) and C(actions).
  returned: success
  type: dict
owner:
  description: Who had put maintenance up before this call, empty when it was not up.
  returned: always
  type: str
since:
  description: Since when maintenance is up, in UTC.
  returned: with O(state=present)
  type: str
  sample: "2026-11-24T03:15:00Z"
expires:
  description: When it is to end, in UTC, empty for no end.
  returned: with O(state=present)
  type: str
summary:
  description: C(headline) and C(seconds).
  returned: success
  type: dict
  sample: {"headline": "maintenance is up until 2026-11-24T05:15:00Z: Moving the database to new disks", "seconds": 0.05}
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError, SkipAction
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Action, ActionResult, Outcome, Plan
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.run_record import default_owner
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.run_state import utc_now
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.runner import Task, run
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag import switch
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.flag_file import (
    Note,
    note_path,
    read_flag,
    read_note,
    remove_file,
    write_flag,
    write_note,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.application_setting import (
    plan_setting,
    read_setting,
    update_setting,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.client import Connection, connect

APPLICATION_OPTIONS: Dict[str, Any] = {
    "uri": {"type": "str", "no_log": True},
    "env_file": {"type": "path"},
    "address": {"type": "str"},
    "database": {"type": "str"},
    "visitor_message": {"type": "str", "aliases": ["message"]},
    "allow_ips": {"type": "list", "elements": "str"},
    "connect_timeout": {"type": "int", "default": 5},
}

SPEC = (
    ArgumentSpec(
        {
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "path": {"type": "path", "default": "/opt/miniecom/storage/.maintenance"},
            "reason": {"type": "str", "default": "Scheduled maintenance"},
            "owner": {"type": "str"},
            "force": {"type": "bool", "default": False},
            "expires": {"type": "str"},
            "on_expiry": {"type": "str", "choices": ["lift", "alert"], "default": "alert"},
            "application_setting": {
                "type": "dict",
                "options": APPLICATION_OPTIONS,
                "mutually_exclusive": [("uri", "env_file")],
                "required_one_of": [("uri", "env_file")],
            },
        }
    )
    + RUN_ARGUMENTS
)


@dataclass
class Observation:
    """The layers, the moment they were looked at, and the application's maintenance block before and after, for the diff."""

    layers: switch.Layers
    now: datetime
    block_before: Optional[str] = None
    block_after: Optional[str] = None


class MaintenanceFlag(Task[Observation]):
    def __init__(self, module: AnsibleModule) -> None:
        super().__init__(module)
        self._connection: Optional[Connection] = None
        self._database: Any = None
        self.policy = switch.Policy(
            self.params["state"],
            self.params["path"],
            self.params["owner"] or default_owner(),
            self.params["reason"],
            (self.params["expires"] or "").strip(),
            self.params["on_expiry"],
            self.params["force"],
            self.run.run_id or "",
        )
        self._present = self.policy.state == "present"

    # -- observe ---------------------------------------------------------------------------------------------------

    def _application_options(self, note: Optional[Note]) -> Optional[Mapping[str, Any]]:
        given: Optional[Mapping[str, Any]] = self.params["application_setting"]
        if given is not None:
            return given
        remembered = note.application if note is not None else {}
        if self._present or "previous" not in remembered:
            return None
        if not remembered.get("env_file"):
            raise MaintenanceError(
                "the application was put into maintenance with a connection string, which is not remembered",
                self.policy.path,
                next_step="Give application_setting, so that it can be switched off again.",
            )
        return dict(remembered, connect_timeout=5)

    def _connect(self, options: Mapping[str, Any]) -> Any:
        if self._database is None:
            self._connection = connect(options)
            name = self._connection.require_database(options.get("database") or None)
            self._database = self._connection.client[name]
        return self._database

    def observe(self) -> Observation:
        flag, note = read_flag(self.policy.path), read_note(self.run.state_dir)
        options = self._application_options(note)
        observation = Observation(switch.Layers(flag, note), utc_now())
        if options is None:
            return observation
        database = self._connect(options)
        setting = read_setting(database)
        previous = switch.previous_of(note)
        change = None
        # Switched off by hand meanwhile: what was saved then stands.
        if self._present or setting.enabled:
            change = plan_setting(
                setting,
                self._present,
                options.get("visitor_message") if self._present else None,
                options.get("allow_ips") if self._present else None,
                None if self._present else previous,
            )
        application = switch.Application(
            setting.enabled,
            (change.before, change.after) if change else None,
            setting.remember(),
            {
                "env_file": options.get("env_file") or "",
                "address": options.get("address") or "",
                "database": database.name,
            },
            "settings of %s (key site)" % database.name,
        )
        observation.layers = switch.Layers(flag, note, application)
        observation.block_before = setting.block or ""
        observation.block_after = change.after if change else setting.block or ""
        return observation

    # -- plan ------------------------------------------------------------------------------------------------------

    def plan(self, observation: Observation, now: datetime) -> Plan:
        observation.now = now
        return switch.plan(observation.layers, self.policy, now)

    # -- act -------------------------------------------------------------------------------------------------------

    def act(self, action: Action) -> Outcome:
        if action.action == "write_note":
            # Whoever was quicker wins: two that enter at the same moment must not both believe that it is theirs.
            if not self.policy.force:
                now = read_note(self.run.state_dir)
                if now is not None and now.owner != self.policy.owner and read_flag(self.policy.path).present:
                    raise MaintenanceError(
                        "maintenance was put up by %s at this moment" % now.owner,
                        self.policy.path,
                        next_step="Ask them first.",
                    )
            write_note(self.run.state_dir, action.data["note"])
        elif action.action == "write_flag":
            write_flag(self.policy.path, action.data["line"])
        elif action.action == "remove_flag":
            if not remove_file(self.policy.path):
                raise SkipAction("it is gone already")
        elif action.action == "remove_note":
            if not remove_file(note_path(self.run.state_dir)):
                raise SkipAction("it is gone already")
        elif action.action in ("switch_application_on", "switch_application_off"):
            return self._switch()
        else:
            raise AssertionError(action.action)
        return Outcome()

    def _switch(self) -> Outcome:
        options = self.params["application_setting"] or {}
        if self._present:
            _before, change = update_setting(
                self._database, True, options.get("visitor_message"), options.get("allow_ips")
            )
        else:
            previous = switch.previous_of(read_note(self.run.state_dir))
            _before, change = update_setting(self._database, False, previous=previous)
        if change is None:
            raise SkipAction("somebody else has just done so")
        return Outcome()

    # -- verify ----------------------------------------------------------------------------------------------------

    def verify(self, observation: Observation, plan: Plan, results: List[ActionResult]) -> None:
        if any(result.status == "failed" for result in results):
            return
        wrong = []
        if read_flag(self.policy.path).present != self._present:
            wrong.append("the flag file is %s" % ("missing" if self._present else "there again"))
        if observation.layers.application is not None and read_setting(self._database).enabled != self._present:
            wrong.append("the application's setting is %s" % ("off" if self._present else "on"))
        if wrong:
            raise MaintenanceError(
                "somebody else is changing maintenance at the same time: %s" % " and ".join(wrong),
                self.policy.path,
                next_step="Settle who does, then run it again.",
            )

    # -- tell ------------------------------------------------------------------------------------------------------

    def summary(self, observation: Observation, plan: Plan, results: Optional[List[ActionResult]]) -> Dict[str, Any]:
        return {"headline": self._headline(observation, plan, results)}

    def _headline(self, observation: Observation, plan: Plan, results: Optional[List[ActionResult]]) -> str:
        if results is not None and any(result.status == "failed" for result in results):
            return "maintenance was only partly %s" % ("put up" if self._present else "taken down")
        would = "would " if results is None and plan.actions else ""
        if not self._present:
            if not plan.actions:
                return "maintenance is not up"
            return "would take down maintenance" if would else "maintenance was taken down"
        note = switch.wanted_note(observation.layers, self.policy, observation.now)
        until = " until %s" % note.expires if note.expires else ""
        if would:
            return "would put up maintenance%s: %s" % (until, note.reason)
        return "maintenance is up%s: %s" % (until, note.reason)

    def diff(self, observation: Observation, plan: Plan) -> Optional[Dict[str, Any]]:
        if not plan.actions:
            return None
        done = switch.after(observation.layers, self.policy, observation.now)
        return {
            "before": switch.render(observation.layers, self.policy, observation.block_before),
            "after": switch.render(done, self.policy, observation.block_after),
        }

    def extra(self, observation: Observation, plan: Plan, results: Optional[List[ActionResult]]) -> Dict[str, Any]:
        values: Dict[str, Any] = {"owner": switch.owner_of(observation.layers)}
        if self._present:
            note = switch.wanted_note(observation.layers, self.policy, observation.now)
            values.update(since=note.since, expires=note.expires)
        return values

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def main() -> None:
    run(MaintenanceFlag, SPEC)


if __name__ == "__main__":
    main()
