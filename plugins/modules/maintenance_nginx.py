#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: maintenance_nginx
short_description: Set nginx up to turn visitors away while the shop is in maintenance
version_added: 0.1.0
description:
  - Gives the nginx in front of the shop, once, what M(miniecom.maintenance.maintenance_flag) switches later without a reload, a snippet that
    decides on each request whether the shop is closed, and a directory with what visitors read then.
  - While it is closed nginx answers 503 with C(Retry-After) and C(Cache-Control) C(no-store), a page to people and JSON below C(/api). O(open_paths) and
    allowed addresses pass.
  - Finds the server blocks of the shop, those that pass requests to O(api_port) or O(frontend_port) of this host or serve files below O(root), and puts
    one line at the beginning of each, an C(include) of the snippet.
  - Has nginx check the configuration (C(nginx -t)) and loads it once. What nginx does not accept is taken out again before anything is loaded, and a
    configuration that is broken already is not touched.
  - With O(container), does so for the nginx of the shop's compose project. Its container must see O(directory) under the same path, so that what is
    switched there later is seen inside at once; RV(compose_override) is what gives it that. The shop's own files stay the operator's, beside
    that one line. A configuration that the container was given as a single file is written in place, as it would see no other file there.
  - Where there is no nginx, where it does not run or serves something else, changes nothing and says so in RV(reason).
options:
  state:
    description: V(absent) takes our lines out of the configuration, byte for byte, loads it and removes snippet and directory.
    type: str
    choices: [present, absent]
    default: present
  root:
    description: The shop's directory.
    type: path
    default: /opt/miniecom
  api_port:
    description: Port of the shop's API on this host, as M(miniecom.maintenance.context_info) tells it. 0 when nobody knows.
    type: int
    default: 0
  frontend_port:
    description: Port of the shop's frontend on this host. 0 when it has none.
    type: int
    default: 0
  server_names:
    description: Names of the server blocks that are the shop's, in place of finding them.
    type: list
    elements: str
    default: []
  open_paths:
    description:
      - Paths that stay open while the shop is closed, such as its health endpoint and the webhooks of payment providers. A C(*) stands for anything.
      - While the shop is closed, nginx tries a path with C(*) as a regular expression, which takes C($1) and further numbers from what a regular
        C(server_name) of your own configuration has captured. Give the capture a name there and use that, or name the path without C(*).
      - While the shop is closed each of them is asked for with HEAD, once after each switch, at a name in which V(maintenance-probe) stands for the C(*).
    type: list
    elements: str
    default: [/health, /api/health, /api/webhook*, /api/*/webhook*]
  directory:
    description:
      - Where the snippet lies, and what visitors read. Nginx's workers must be able to read it, so it lies outside of O(state_dir).
      - The directory above it must exist. No other files may lie in it; none of them is ever written over or removed.
    type: path
    default: /var/lib/miniecom-maintenance-page
  program:
    description: The nginx program of this host, where it is not on the path. One that does not exist is an error.
    type: path
  config:
    description: Its main configuration file, where that is another than the program's own; with O(container), a path inside.
    type: path
  container:
    description:
      - Name of the container in which the nginx in front of the shop runs, as M(miniecom.maintenance.context_info) tells it. Without it, nginx is looked
        for on this host.
      - It is asked from within its own network, which needs root. Every server in it counts as the shop's that passes requests to another container of its
        compose project, or serves files.
    type: str
  docker_host:
    description: The Docker Engine that runs it. By default E(DOCKER_HOST), else the engine's usual socket.
    type: str
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.run
author:
  - miniecom.maintenance contributors (@miniecom)
seealso:
  - module: miniecom.maintenance.maintenance_flag
"""

EXAMPLES = r"""
- name: See what would be done to nginx
  miniecom.maintenance.maintenance_nginx:
    api_port: 3001
  check_mode: true
  diff: true

- name: Set it up, with a webhook of a payment provider that has another name
  miniecom.maintenance.maintenance_nginx:
    api_port: 3001
    open_paths: [/health, /api/health, /api/payments/notify]

- name: Set up the nginx of the compose project
  miniecom.maintenance.maintenance_nginx:
    container: miniecom_nginx
  register: front

- name: Show what its service still needs
  ansible.builtin.debug:
    msg: "{{ front.compose_override }}"
  when: not front.applicable

- name: Take all of that back
  miniecom.maintenance.maintenance_nginx:
    state: absent
    api_port: 3001
"""

RETURN = r"""
changed:
  description: Whether something was, or in check mode would be, changed.
  returned: always
  type: bool
plan:
  description:
    - What was to be done, with C(action), C(target), C(reason) and C(bytes).
    - The actions are V(write_snippet), V(include_snippet), V(exclude_snippet), V(load_configuration), V(note_setup) and V(remove_setup).
  returned: success
  type: list
  elements: dict
kept:
  description: What was right already, with C(target) and C(reason).
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
applicable:
  description: Whether nginx can turn visitors of the shop away here.
  returned: success
  type: bool
reason:
  description: Why not.
  returned: success
  type: str
  sample: there is no nginx on this host
servers:
  description: The servers of the shop, by name and by how this host asks them.
  returned: success
  type: list
  elements: str
  sample: ["shop.example (http://127.0.0.1:80)"]
directory:
  description: Where snippet and pages lie.
  returned: success
  type: str
compose_override:
  description:
    - What lets the service of O(container) see O(directory). Save it as C(docker-compose.override.yml) beside the compose file, or add the volume to yours,
      and have compose make that one container anew, such as with C(docker compose --profile nginx up --detach --no-deps nginx).
  returned: with O(container)
  type: str
summary:
  description: C(headline) and C(seconds).
  returned: success
  type: dict
  sample: {"headline": "nginx was set up for maintenance, for shop.example (http://127.0.0.1:80)", "seconds": 0.2}
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run
from ..module_utils._flag.nginx_snippet import DEFAULT_OPEN_PATHS
from ..module_utils._operations.nginx_setup import MaintenanceNginx

SPEC = (
    ArgumentSpec(
        {
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "root": {"type": "path", "default": "/opt/miniecom"},
            "api_port": {"type": "int", "default": 0},
            "frontend_port": {"type": "int", "default": 0},
            "server_names": {"type": "list", "elements": "str", "default": []},
            "open_paths": {"type": "list", "elements": "str", "default": list(DEFAULT_OPEN_PATHS)},
            "directory": {"type": "path", "default": "/var/lib/miniecom-maintenance-page"},
            "program": {"type": "path"},
            "config": {"type": "path"},
            "container": {"type": "str"},
            "docker_host": {"type": "str"},
        }
    )
    + RUN_ARGUMENTS
)


def main() -> None:
    run(MaintenanceNginx, SPEC)


if __name__ == "__main__":
    main()
