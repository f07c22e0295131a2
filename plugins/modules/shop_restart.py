#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: shop_restart
short_description: Restart services of the shop that are unhealthy, once
version_added: 0.1.0
description:
  - Restarts those of the named services that are unhealthy. A container is when its own health check fails, when it ends again and again, or when it has
    ended with an error and the engine does not start it by itself. A unit is when it has failed. What O(probe_url) speaks for also is when nothing
    answers there.
  - Never restarts anything while the shop is in maintenance, in whatever layer, or while a run works on the host.
  - Restarts each once. What that has not helped is left alone, and said to be, until it was well in between.
  - Leaves alone what somebody has stopped, and a shop that answers but has lost its database, as no restart of it brings that back.
  - Afterwards waits until what was restarted is well, and fails where it does not get so within 20 seconds.
options:
  services:
    description:
      - What may be restarted. With O(compose_project) its services, such as V(api), and systemd units otherwise or where the name ends in C(.service).
      - Name the database only if you want that to be restarted as well.
    type: list
    elements: str
    required: true
  compose_project:
    description: The compose project of O(services), as M(miniecom.maintenance.context_info) tells it.
    type: str
  docker_host:
    description: The Docker Engine of O(compose_project). By default E(DOCKER_HOST), else the engine's usual socket.
    type: str
  probe_url:
    description: Address of the shop's health endpoint.
    type: str
  api_service:
    description: Which of O(services) answers at O(probe_url).
    type: str
    default: api
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.flag
  - miniecom.maintenance.run
author:
  - miniecom.maintenance contributors (@miniecom)
seealso:
  - module: miniecom.maintenance.maintenance_flag_info
"""

EXAMPLES = r"""
- name: See what would be restarted
  miniecom.maintenance.shop_restart:
    services: [api, frontend]
    compose_project: miniecom
    probe_url: http://127.0.0.1:3001/api/health
  check_mode: true

- name: Restart the API of a native installation when it has failed or does not answer
  miniecom.maintenance.shop_restart:
    services: [miniecom-api]
    api_service: miniecom-api
    probe_url: http://127.0.0.1:3001/api/health
    application_setting:
      env_file: /opt/miniecom/.env
"""

RETURN = r"""
changed:
  description: Whether something was, or in check mode would be, restarted.
  returned: always
  type: bool
plan:
  description: What was to be done, with C(action), which is V(restart_service), C(target), C(reason) and C(bytes).
  returned: success
  type: list
  elements: dict
kept:
  description: What was left alone, with C(target) and C(reason).
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
restarted:
  description: Names of what was, or in check mode would be, restarted.
  returned: success
  type: list
  elements: str
hindered:
  description: Why nothing may be restarted at this moment, empty when it may.
  returned: success
  type: str
summary:
  description: C(headline) and C(seconds).
  returned: success
  type: dict
  sample: {"headline": "miniecom_api was restarted", "seconds": 3.1}
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run
from ..module_utils._flag.arguments import FLAG_ARGUMENTS
from ..module_utils._operations.shop_restart import ShopRestart

SPEC = (
    ArgumentSpec(
        {
            "services": {"type": "list", "elements": "str", "required": True},
            "compose_project": {"type": "str"},
            "docker_host": {"type": "str"},
            "probe_url": {"type": "str"},
            "api_service": {"type": "str", "default": "api"},
        }
    )
    + FLAG_ARGUMENTS
    + RUN_ARGUMENTS
)


def main() -> None:
    run(ShopRestart, SPEC)


if __name__ == "__main__":
    main()
