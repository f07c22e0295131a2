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
  probe_url:
    description: Address of the shop's health endpoint. An empty one means that nobody knows it, which counts as V(down).
    type: str
  probe_timeout:
    description: Seconds to wait for the shop. It takes ten to notice that its database is gone.
    type: int
    default: 20
  certificates:
    description:
      - Look at the certificates that the shop's visitors see, and tell those that end soon. They are found in nginx's configuration, and looked at as
        nginx shows them; in its files only where it does not run.
    type: dict
    suboptions:
      root:
        description: The shop's directory.
        type: path
        default: /opt/miniecom
      ports:
        description: Ports of its API and its frontend, by which nginx's servers are known to be the shop's.
        type: list
        elements: int
        default: []
      nginx_config:
        description: Main configuration file of an nginx on the host.
        type: path
        default: /etc/nginx/nginx.conf
      published:
        description: Where containers of the shop speak TLS on the host, as C(HOST:PORT).
        type: list
        elements: str
        default: []
      places:
        description: Further ones, files or C(HOST:PORT), such as of a load balancer in front.
        type: list
        elements: str
        default: []
      within:
        description:
          - How long before its end a certificate is told, but never earlier than in the last quarter of its time, since those that are made for a few days
            are renewed late.
        type: str
        default: 14d
extends_documentation_fragment:
  - miniecom.maintenance.attributes.info
  - miniecom.maintenance.flag
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

- name: Look at the certificates as well
  miniecom.maintenance.maintenance_flag_info:
    probe_url: http://127.0.0.1:3001/api/health
    certificates:
      ports: [3001]
  register: health
  failed_when: health.certificate_problems | length > 0

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
      C(nginx), whether nginx is to turn visitors away; C(stopped), names of what was stopped for it and does not run;
      C(consistent), whether all layers that were looked at agree, and what is wrong in C(problems), a timer that is not armed any more included.
  returned: success
  type: dict
layers:
  description:
    - C(flag) with C(present), C(since), C(reason) and C(path); C(application) with C(enabled), C(message), C(allow_ips), C(database) and a
      C(problem), and C(looked_at), false when O(application_setting) was not given; C(nginx) with C(set_up), C(closed), whether it really C(turns_away)
      visitors, until when in C(retry_after), and a C(problem); C(note) with C(present).
  returned: success
  type: dict
probe:
  description:
    - C(state) (V(up), V(maintenance), V(degraded), V(down)), the HTTP C(status), the C(seconds) it took, C(mongo_connected) and the C(reason).
  returned: when O(probe_url) is given
  type: dict
mongo:
  description:
    - C(locked), whether MongoDB is locked against writes, and by whom in C(locked_by); C(state) of the member that was asked; C(members) of its replica
      set that are not as they should be. C(problems), what somebody has to do something about, and C(notes).
  returned: when O(application_setting) is given and MongoDB answers
  type: dict
  sample: {"locked": false, "locked_by": "", "state": "primary", "members": [], "problems": [], "notes": []}
certificates:
  description: Each certificate with C(place), C(source) (V(served) or V(file)), C(ends), C(days_left) and a C(problem).
  returned: when O(certificates) is given
  type: list
  elements: dict
  sample: [{"place": "shop.example:443", "source": "served", "ends": "2027-02-20T10:00:00Z", "days_left": 82, "problem": ""}]
certificate_problems:
  description: A sentence for each certificate that has ended, ends soon, or cannot be read.
  returned: when O(certificates) is given
  type: list
  elements: str
summary:
  description: C(headline) and C(seconds).
  returned: success
  type: dict
  sample: {"headline": "the shop is up (0.005 s); maintenance is not up", "seconds": 0.03}
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run_info
from ..module_utils._flag.arguments import FLAG_ARGUMENTS
from ..module_utils._operations.maintenance_status import maintenance_status

CERTIFICATE_OPTIONS = {
    "root": {"type": "path", "default": "/opt/miniecom"},
    "ports": {"type": "list", "elements": "int", "default": []},
    "nginx_config": {"type": "path", "default": "/etc/nginx/nginx.conf"},
    "published": {"type": "list", "elements": "str", "default": []},
    "places": {"type": "list", "elements": "str", "default": []},
    "within": {"type": "str", "default": "14d"},
}
SPEC = (
    ArgumentSpec(
        {
            "probe_url": {"type": "str"},
            "probe_timeout": {"type": "int", "default": 20},
            "certificates": {"type": "dict", "options": CERTIFICATE_OPTIONS},
        }
    )
    + FLAG_ARGUMENTS
    + RUN_ARGUMENTS
)


def main() -> None:
    run_info(maintenance_status, SPEC)


if __name__ == "__main__":
    main()
