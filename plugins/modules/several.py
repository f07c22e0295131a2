#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Call several modules in one process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: several
short_description: Call several modules of this collection in one process
version_added: 0.1.0
description:
  - To start a module costs more than what many a module does. This one makes the calls of several, one after another, in one process.
  - Each call is what it would be by itself, with its own options, its own entries in the record of the run and its own result, in check mode and diff
    mode, too. A call that fails does not keep the following ones from being made, unless O(stop_on_failure) says so.
  - It does not fail for what a call has found or could not do. The tasks of the modules themselves follow, each with its result in the option C(given),
    and end as it says.
  - A call whose options the module would refuse is not made, nor one with a password among its options; its own task then does what there is to do.
options:
  calls:
    description: The calls in their order, each module once.
    type: list
    elements: dict
    required: true
    suboptions:
      module:
        description: The module's short name.
        type: str
        required: true
        choices: [log_prune, log_rotate, mongo_compact, mongo_orphans, perm_audit, port_audit, secret_scan]
      options:
        description: Its own options.
        type: dict
        required: true
  common:
    description: Options of all of them, such as C(run_id) and C(state_dir). What stands with a call goes before.
    type: dict
    default: {}
  stop_on_failure:
    description: Make no further call after one that failed, or that cannot be made here.
    type: bool
    default: false
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
author:
  - miniecom.maintenance contributors (@miniecom)
seealso:
  - module: miniecom.maintenance.perm_audit
  - module: miniecom.maintenance.port_audit
  - module: miniecom.maintenance.secret_scan
  - module: miniecom.maintenance.log_rotate
  - module: miniecom.maintenance.log_prune
  - module: miniecom.maintenance.mongo_compact
  - module: miniecom.maintenance.mongo_orphans
"""

EXAMPLES = r"""
- name: Audit permissions and ports in one call
  miniecom.maintenance.several:
    calls:
      - module: perm_audit
        options: {paths: [/opt/miniecom]}
      - module: port_audit
        options: {allow: [22/tcp, 443/tcp]}
    common: {fail_on: critical}
  register: audits
  # Said by the tasks that follow.
  changed_when: false

- name: Say what the audit of permissions found
  miniecom.maintenance.perm_audit:
    paths: [/opt/miniecom]
    fail_on: critical
    given: "{{ audits.calls.perm_audit | default(omit) }}"

- name: Say what the audit of ports found
  miniecom.maintenance.port_audit:
    allow: [22/tcp, 443/tcp]
    fail_on: critical
    given: "{{ audits.calls.port_audit | default(omit) }}"
"""

RETURN = r"""
calls:
  description: From each module that was called to its result; C(failed) and C(msg) are among it where it failed, and C(warnings) where there are any.
  returned: always
  type: dict
  sample: {"port_audit": {"changed": false, "summary": {"headline": "no findings", "findings": 0}}}
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.in_turn import run_several
from ..module_utils._operations.several import NAMES, known


def main() -> None:
    run_several(NAMES, known)


if __name__ == "__main__":
    main()
