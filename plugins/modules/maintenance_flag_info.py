#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: maintenance_flag_info
short_description: Tell whether the shop is in maintenance, and how it is
version_added: 0.1.0
description:
  - Looks at each layer of maintenance and says since when it is up, by whom, why, until when, and whether the layers agree.
  - With O(probe_url) asks the shop itself. It is V(up), in V(maintenance) (it answers 503 and says so, which is a state and no failure),
    V(degraded) (it answers, but has lost its database or is something else) or V(down).
  - Does not fail for what it finds, a database that cannot be reached included; that layer is then returned with its C(problem).
options:
  path:
    description: The flag file.
    type: path
    default: /opt/miniecom/storage/.maintenance
  application_setting:
    description: How to reach the application's own setting. Without it that layer is not looked at.
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
      connect_timeout:
        description: Seconds to wait for the server.
        type: int
        default: 5
  probe_url:
    description: Address of the shop's health endpoint. An empty one means that nobody knows it, which counts as V(down).
    type: str
  probe_timeout:
    description: Seconds to wait for the shop. It takes ten to notice that its database is gone.
    type: int
    default: 20
extends_documentation_fragment:
  - miniecom.maintenance.attributes.info
  - miniecom.maintenance.run
author:
  - miniecom.maintenance contributors (@miniecom)
seealso:
  - module: miniecom.maintenance.maintenance_flag
"""

EXAMPLES = r"""
- name: Is the shop closed?
  miniecom.maintenance.maintenance_flag_info:
    application_setting:
      env_file: /opt/miniecom/.env
      address: 127.0.0.1:27017
  register: closed

- name: Ask the shop itself
  miniecom.maintenance.maintenance_flag_info:
    probe_url: http://127.0.0.1:3001/api/health
  register: health
  failed_when: health.probe.state not in ['up', 'maintenance']

- name: Complain about maintenance that somebody forgot
  ansible.builtin.fail:
    msg: "{{ closed.maintenance.owner }} closed the shop at {{ closed.maintenance.since }}, until {{ closed.maintenance.expires }}"
  when: closed.maintenance.expired
"""

RETURN = r"""
maintenance:
  description:
    - C(active), whether any layer is up; C(since), C(owner) (empty when no note says), C(reason), C(expires) and C(on_expiry); C(timer), the
      systemd units on the host that act then, empty without; C(timer_armed), whether they really will; C(expired), whether its end has passed;
      C(consistent), whether all layers that were looked at agree, and what is wrong in C(problems), a timer that is not armed any more included.
  returned: success
  type: dict
layers:
  description:
    - C(flag) with C(present), C(since), C(reason) and C(path); C(application) with C(enabled), C(message), C(allow_ips), C(database) and a
      C(problem), and C(looked_at), false when O(application_setting) was not given; C(note) with C(present).
  returned: success
  type: dict
probe:
  description:
    - C(state) (V(up), V(maintenance), V(degraded), V(down)), the HTTP C(status), the C(seconds) it took, C(mongo_connected) and the C(reason).
  returned: when O(probe_url) is given
  type: dict
summary:
  description: C(headline) and C(seconds).
  returned: success
  type: dict
  sample: {"headline": "the shop is up (0.005 s); maintenance is not up", "seconds": 0.03}
"""

from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.clock import utc_now
from ..module_utils._core.errors import MaintenanceError
from ..module_utils._core.legacy_runner import run_info
from ..module_utils._core.run_context import RunContext
from ..module_utils._flag import probe
from ..module_utils._flag.ending import ending
from ..module_utils._flag.flag_file import Flag, Note, read_flag, read_note
from ..module_utils._flag.timer import Timer, observe_timer
from ..module_utils._mongo.application_setting import read_setting
from ..module_utils._mongo.client import connect

SPEC = (
    ArgumentSpec(
        {
            "path": {"type": "path", "default": "/opt/miniecom/storage/.maintenance"},
            "application_setting": {
                "type": "dict",
                "options": {
                    "uri": {"type": "str", "no_log": True},
                    "env_file": {"type": "path"},
                    "address": {"type": "str"},
                    "database": {"type": "str"},
                    "connect_timeout": {"type": "int", "default": 5},
                },
                "mutually_exclusive": [("uri", "env_file")],
                "required_one_of": [("uri", "env_file")],
            },
            "probe_url": {"type": "str"},
            "probe_timeout": {"type": "int", "default": 20},
        }
    )
    + RUN_ARGUMENTS
)


def look_at_application(options: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    layer: Dict[str, Any] = {
        "looked_at": options is not None,
        "enabled": None,
        "message": None,
        "allow_ips": None,
        "database": "",
        "problem": "",
    }
    if options is None:
        return layer
    try:
        with connect(options) as connection:
            layer["database"] = connection.require_database(options.get("database") or None)
            setting = read_setting(connection.client[layer["database"]])
    except MaintenanceError as error:
        layer["problem"] = str(error)
        return layer
    layer.update(
        enabled=setting.enabled,
        message=setting.message,
        allow_ips=list(setting.allow_ips) if setting.allow_ips is not None else None,
        # That there is no setting at all is the ordinary state of a shop that was never in maintenance.
        problem=setting.problem if setting.present else "",
    )
    return layer


def conclude(
    flag: Flag, note: Optional[Note], application: Mapping[str, Any], now: datetime, timer: Optional[Timer] = None
) -> Dict[str, Any]:
    """One answer from all layers. Pure.

    timer: None when nobody looked.
    """
    enabled = application["enabled"]
    active = flag.present or bool(enabled)
    problems: List[str] = []
    if flag.present and enabled is False:
        problems.append("the flag file is there, but the application turns nobody away")
    if enabled and not flag.present:
        problems.append("the application turns visitors away, but there is no flag file")
    if note is not None and not active and enabled is not None:
        problems.append("a run was killed while it put maintenance up or took it down; run it again")
    if application["problem"]:
        problems.append(str(application["problem"]))
    standing = note if active else None
    expired = standing is not None and standing.expired(now)
    if expired and standing is not None:
        problems.append("its end, %s, has passed" % standing.expires)
    armed = bool(standing is not None and standing.timer)
    if standing is not None and armed and timer is not None and not timer.rings_at(standing.expires):
        armed = False
        problems.append("the timer that is to end it, %s.timer, is not armed" % standing.timer)
    return {
        "active": active,
        "since": standing.since if standing else flag.since,
        "owner": standing.owner if standing else "",
        "reason": standing.reason if standing else flag.reason,
        "expires": standing.expires if standing else "",
        "on_expiry": standing.on_expiry if standing else "",
        "timer": standing.timer if standing else "",
        "timer_armed": armed,
        "expired": expired,
        "consistent": not (flag.present and enabled is False)
        and not (enabled and not flag.present)
        and not application["problem"],
        "problems": problems,
    }


def headline(found: Mapping[str, Any], answer: Optional[probe.Probe]) -> str:
    text = "maintenance is not up"
    if found["active"]:
        text = "maintenance is up"
        if found["since"]:
            text += " since %s" % found["since"]
        text += " by %s" % (found["owner"] or "somebody else than this collection")
        if found["reason"]:
            text += ": %s" % found["reason"]
        if found["expires"]:
            over = "until %s, which has passed" % found["expires"]
            text += " (%s)" % (
                over if found["expired"] else ending(found["expires"], found["on_expiry"], found["timer_armed"])
            )
    if found["problems"]:
        text += "; " + "; ".join(found["problems"])
    if answer is None:
        return text
    words = {"up": "the shop is up", "maintenance": "the shop answers that it is in maintenance"}
    shop = words.get(answer.state, "the shop is %s: %s" % (answer.state, answer.reason))
    return "%s (%.3f s); %s" % (shop, answer.seconds, text)


def gather(module: AnsibleModule, context: RunContext) -> Dict[str, Any]:
    params = module.params
    answer = None
    # First: a database that is down takes its time, and the shop shall not be asked later for it.
    if params["probe_url"] is not None:
        answer = probe.probe(params["probe_url"].strip(), float(params["probe_timeout"]))
        context.renew()
    flag, note = read_flag(params["path"]), read_note(context.state_dir)
    application = look_at_application(params["application_setting"])
    timer = observe_timer(context.state_dir) if note is not None and note.timer else None
    found = conclude(flag, note, application, utc_now(), timer)
    values: Dict[str, Any] = {
        "maintenance": found,
        "layers": {
            "flag": {"present": flag.present, "since": flag.since, "reason": flag.reason, "path": params["path"]},
            "application": application,
            "note": {"present": note is not None},
        },
        "summary": {"headline": headline(found, answer)},
    }
    if answer is not None:
        values["probe"] = answer.as_dict()
    return values


def main() -> None:
    run_info(gather, SPEC)


if __name__ == "__main__":
    main()
