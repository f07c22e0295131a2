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
  - Proves itself. What was switched is asked for as visitors do; where that does not hold, or where a layer cannot be put up, what this call has put
    up is taken back and the module fails.
  - Taking down goes on layer by layer, also while the database or the Docker Engine cannot be reached. What remains is an
    error, and the timer goes on trying.
  - A run that is killed in between leaves a state that the next one with the same options completes. On entry the note of what was before is
    written first and the application switched last; on exit the application is switched first and the note removed last.
  - With O(expires), arms a timer on the host that ends maintenance then, or alerts, whatever has become of the controller, and after a reboot as
    well; see O(timer).
  - Starts nothing but what O(stop_services) has stopped. Taking down maintenance that is not up changes nothing.
  - While the application's setting is one of the layers, it answers everything with 503, its health endpoint and payment webhooks included, and its
    administration as well, except to addresses in O(application_setting.allow_ips).
options:
  state:
    description: Up or down.
    type: str
    choices: [present, absent]
    default: present
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
  around_run:
    description:
      - It is up around the run of O(run_id) only. Once that run is over or dead, whoever runs this module may take it down or change it, without O(force).
    type: bool
    default: false
  expires:
    description:
      - When it is to end. A duration from now, such as V(2h), or a point in time, such as V(2026-11-24T05:00:00Z). Without it there is no end.
      - The same duration given again by the same owner means the same end; another one, or a point in time, moves it.
      - The host's own timer acts on it, see O(timer) and O(on_expiry); M(miniecom.maintenance.maintenance_flag_info) tells when it has passed.
    type: str
  on_expiry:
    description:
      - What the timer does at O(expires).
      - V(lift) takes maintenance down as O(state=absent) does. While the database cannot be reached it tries again every 30 seconds, for up to
        twelve hours, and once more after a day.
      - V(alert) leaves it up, writes a critical message into the journal and an entry into the maintenance log, and leaves the timer's service
        failed, at O(expires), an hour and a day later.
    type: str
    choices: [lift, alert]
    default: alert
  timer:
    description:
      - V(auto) arms a timer when maintenance with O(expires) is put up, before anything else, and removes it when maintenance is taken down. It
        consists of the systemd units C(miniecom-maintenance-expiry.timer) and C(.service), enabled for the next boot (with a suffix for a
        O(state_dir) that is not the default), and of a program in O(state_dir) that needs only the Python of this module with PyMongo, and reads the
        connection string from O(application_setting.env_file) itself.
      - Where none can be armed, because the host does not run systemd or the module not as root, V(auto) warns.
      - V(none) leaves timers alone.
    type: str
    choices: [auto, none]
    default: auto
  layers:
    description:
      - Which layers beside the flag file turn visitors away.
      - V(auto) uses V(nginx) where M(miniecom.maintenance.maintenance_nginx) has set it up and it answers, as only there can health endpoint and
        payment webhooks stay open, and otherwise V(application).
      - Named ones are put up, or the module fails before anything is changed. V(flag) alone turns nobody away.
    type: list
    elements: str
    choices: [auto, flag, nginx, application]
    default: [auto]
  assume_nginx:
    description:
      - In check mode, the directory with which M(miniecom.maintenance.maintenance_nginx) would have set nginx up by then. The plan is that of an nginx that
        is set up; what relies on it says so in C(assumes) of its RV(plan) entry. Outside of check mode it means nothing.
    type: path
  page:
    description: What visitors read where nginx turns them away, beside O(reason), O(expires) and O(application_setting.visitor_message).
    type: dict
    suboptions:
      shop:
        description: The shop's name.
        type: str
        default: Handmade Harmony
      texts:
        description:
          - For each language by its code, such as V(de), the words that differ from the English ones, C(title), C(headline), C(message), C(reason),
            C(until), C(no_end) and C(again).
          - A visitor gets the first of the three languages that his browser names first for which there are texts, else English.
        type: dict
        default: {}
  stop_services:
    description:
      - What is to be stopped once visitors are turned away, in this order. With O(compose_project) its services, such as V(api), and systemd units otherwise
        or where the name ends in C(.service).
      - Those of them that run are noted before the first is stopped. Taking maintenance down starts what is noted and does not run, in the reverse order and
        before visitors are let in, and nothing else; so does the timer with O(on_expiry=lift). What a reboot or a person has started meanwhile is left alone.
      - A container gets 30 seconds to stop, or more where it says so. A member of a replica set needs 17, and Docker by itself kills it after 10.
      - Given another time, it adds to what is stopped. To leave it out starts nothing.
    type: list
    elements: str
    default: []
  compose_project:
    description: The compose project of O(stop_services), as M(miniecom.maintenance.context_info) tells it.
    type: str
  docker_host:
    description: The Docker Engine of O(compose_project). By default E(DOCKER_HOST), else the engine's usual socket.
    type: str
  probe_url:
    description:
      - Address of the shop's health endpoint. After switching the application it is asked, and it is an error if it does not answer as it should.
      - Where nginx turns visitors away, its servers are always asked, as a visitor, from an allowed address, and at each path that is to stay open.
    type: str
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.flag
  - miniecom.maintenance.run
author:
  - miniecom.maintenance contributors (@miniecom)
seealso:
  - module: miniecom.maintenance.maintenance_flag_info
  - module: miniecom.maintenance.maintenance_nginx
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

- name: Close it for an hour at most, even if nobody is left to open it
  miniecom.maintenance.maintenance_flag:
    owner: weekly
    expires: 1h
    on_expiry: lift
    application_setting:
      env_file: /opt/miniecom/.env
      address: 127.0.0.1:27017

- name: Close it for work on the data, with nobody writing to it
  miniecom.maintenance.maintenance_flag:
    expires: 2h
    stop_services: [worker, api]
    compose_project: miniecom

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
    - The actions are V(arm_timer), V(write_note), V(write_flag), V(close_nginx), V(switch_application_on), V(stop_service), V(start_service),
      V(switch_application_off), V(open_nginx), V(remove_flag), V(remove_note) and V(disarm_timer).
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
timer:
  description: Name of the systemd units that end maintenance at RV(expires), empty when there are none.
  returned: with O(state=present)
  type: str
  sample: miniecom-maintenance-expiry
layers:
  description: The layers that are up, V(flag) and those that turn visitors away.
  returned: with O(state=present)
  type: list
  elements: str
  sample: [flag, nginx]
stopped:
  description: What is stopped for it, containers and units by name.
  returned: with O(state=present)
  type: list
  elements: str
  sample: [miniecom_api]
rolled_back:
  description: True where not all could be put up, and all was taken back.
  returned: when it failed so
  type: bool
summary:
  description: C(headline) and C(seconds).
  returned: success
  type: dict
  sample: {"headline": "maintenance is up, without an end; nginx turns visitors away, health and webhooks stay open: Bigger disks", "seconds": 0.05}
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run
from ..module_utils._flag.arguments import FLAG_ARGUMENTS
from ..module_utils._flag.switch import LAYERS
from ..module_utils._operations.maintenance_flag import MaintenanceFlag

SPEC = (
    ArgumentSpec(
        {
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "reason": {"type": "str", "default": "Scheduled maintenance"},
            "owner": {"type": "str"},
            "force": {"type": "bool", "default": False},
            "around_run": {"type": "bool", "default": False},
            "expires": {"type": "str"},
            "on_expiry": {"type": "str", "choices": ["lift", "alert"], "default": "alert"},
            "timer": {"type": "str", "choices": ["auto", "none"], "default": "auto"},
            "layers": {"type": "list", "elements": "str", "choices": list(LAYERS), "default": ["auto"]},
            "assume_nginx": {"type": "path"},
            "page": {
                "type": "dict",
                "options": {
                    "shop": {"type": "str", "default": "Handmade Harmony"},
                    "texts": {"type": "dict", "default": {}},
                },
            },
            "stop_services": {"type": "list", "elements": "str", "default": []},
            "compose_project": {"type": "str"},
            "docker_host": {"type": "str"},
            "probe_url": {"type": "str"},
        }
    )
    + FLAG_ARGUMENTS
    + RUN_ARGUMENTS
)


def main() -> None:
    run(MaintenanceFlag, SPEC)


if __name__ == "__main__":
    main()
