#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: os_packages
short_description: Tell which packages of Debian or Ubuntu have security updates, and install those
version_added: 0.1.0
author:
  - miniecom.maintenance contributors (@miniecom)
description:
  - Tells of which installed packages apt's lists know something newer, and which of that mends vulnerabilities. An update does when it, or a version
    between it and the installed one, comes from a suite or label such as C(bookworm-security), C(noble-security) or C(Debian-Security).
  - Tells whether the host has to be rebooted and why. Never reboots it.
  - By default nothing is installed, nor are apt's lists fetched. Where there are none, or they are older than O(lists_max_age), what is newer is not
    known, and that is said.
  - With O(upgrade) it fetches the lists and has apt install exactly what a simulation has shown before. No package is removed, and configuration files
    that were changed on the host stay. Packages on hold (C(apt-mark hold)) and those that O(keep) names stay as they are.
  - What apt prints lies in C(/var/log/apt). Should Ansible be killed, apt goes on to its end.
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.run
attributes:
  check_mode:
    details: Decides by the lists that are there; only a real run fetches them anew.
options:
  upgrade:
    description:
      - V(none) only tells.
      - V(security) installs what mends vulnerabilities, V(all) all that is newer.
    type: str
    choices: [none, security, all]
    default: none
  keep:
    description: Names of packages, as shell patterns, that are not upgraded. By default those whose upgrade restarts the containers or the database.
    type: list
    elements: str
    default: ["mongodb*", "docker-ce*", "docker.io", "moby-*", "containerd*", "runc", "podman*"]
  lists_max_age:
    description: How old apt's lists may be, for what they say to count.
    type: str
    default: 8d
  lock_timeout:
    description: How long to wait for another apt, such as the host's own daily one.
    type: str
    default: 5m
"""

EXAMPLES = r"""
- name: Tell which security updates are missing
  miniecom.maintenance.os_packages:
  register: packages

- name: See what would be installed
  miniecom.maintenance.os_packages:
    upgrade: security
  check_mode: true
  diff: true

- name: Install security updates
  miniecom.maintenance.os_packages:
    upgrade: security
"""

RETURN = r"""
changed:
  description: Whether something was, or in check mode would be, installed.
  returned: always
  type: bool
plan:
  description: What was to be done, with C(action), which is V(upgrade_packages), C(target), C(reason) and C(bytes).
  returned: success
  type: list
  elements: dict
kept:
  description: Packages of which something newer is available and which stay as they are, with C(target) and C(reason).
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
available:
  description: What is newer and not installed, with C(name), C(installed), C(candidate), C(origin), C(security) and C(held).
  returned: success
  type: list
  elements: dict
upgraded:
  description: What was, or in check mode would be, installed, with C(name), C(before), which is empty for a package that came along, and C(after).
  returned: success
  type: list
  elements: dict
reboot_required:
  description: Whether the host has to be rebooted.
  returned: success
  type: bool
reboot_reasons:
  description: Why.
  returned: success
  type: list
  elements: str
lists_at:
  description: When apt's lists were last fetched, empty when never.
  returned: success
  type: str
audit:
  description: C(available) tells whether it is known what is newer, C(reason) why not.
  returned: success
  type: dict
summary:
  description: The numbers a person wants; C(security) and C(findings_total) count the security updates that are missing.
  returned: success
  type: dict
  sample: {"headline": "2 packages upgraded", "upgraded": 2, "security": 0, "other": 3, "reboot_required": false, "findings_total": 0, "seconds": 9.2}
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run
from ..module_utils._packages.planning import ALL, KEEP, NONE, SECURITY
from ..module_utils._packages.upgrading import OsPackages

SPEC = (
    ArgumentSpec(
        {
            "upgrade": {"type": "str", "choices": [NONE, SECURITY, ALL], "default": NONE},
            "keep": {"type": "list", "elements": "str", "default": KEEP},
            "lists_max_age": {"type": "str", "default": "8d"},
            "lock_timeout": {"type": "str", "default": "5m"},
        }
    )
    + RUN_ARGUMENTS
)


def main() -> None:
    run(OsPackages, SPEC)


if __name__ == "__main__":
    main()
