#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Let a finding of an audit stand for a while, with a reason and an end."""

from __future__ import annotations

DOCUMENTATION = r"""
module: finding_waiver
short_description: Let a finding of an audit stand for a while, with a reason and an end
version_added: 0.1.0
author:
  - miniecom.maintenance contributors (@miniecom)
description:
  - Writes down on the host that a finding of M(miniecom.maintenance.perm_audit), M(miniecom.maintenance.secret_scan), M(miniecom.maintenance.port_audit) or
    M(miniecom.maintenance.npm_audit) may stand, why, and until when. The next audit tells it as V(waived), and it fails nothing.
  - When its last day is over, the finding is news again, and the expired waiver a finding of its own.
  - The file is C(waivers.json) in O(state_dir), since ids of findings are the host's own, and whoever runs the next audit must find it. A person may edit it.
    What is to hold on many hosts, by globs, stands in the inventory, in the option O(miniecom.maintenance.perm_audit#module:waivers) of the audits.
  - Needs no library and no run.
options:
  state:
    description:
      - V(present) waives the finding, or gives its waiver another reason or end.
      - V(absent) takes the waiver back.
      - V(listed) changes nothing, and lists the waivers and what could be waived.
    type: str
    choices: [present, absent, listed]
    default: present
  finding:
    description: The C(id) or C(fingerprint) of the finding, as the audit tells it. Required unless O(state=listed).
    type: str
  reason:
    description: Why it may stand. Required with O(state=present).
    type: str
  expires:
    description: The last day on which it may, as in V(2027-03-31), or for how long from today on, as in V(90d). Required with O(state=present).
    type: str
  by:
    description: Who waives it. By default the user who called sudo on the host, else the one that the module runs as.
    type: str
  unknown:
    description: Whether it is a failure that no audit of this host knows the finding; V(ignore) is for looking on many hosts for the one that does.
    type: str
    choices: [fail, ignore]
    default: fail
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.run
seealso:
  - module: miniecom.maintenance.perm_audit
  - module: miniecom.maintenance.port_audit
"""

EXAMPLES = r"""
- name: Let a finding stand for a quarter
  miniecom.maintenance.finding_waiver:
    finding: env-group-access-1a2b3c4d
    reason: The group is the shop's own and has no other members
    expires: 90d

- name: Take that back
  miniecom.maintenance.finding_waiver:
    finding: env-group-access-1a2b3c4d
    state: absent

- name: See what is waived, and what could be
  miniecom.maintenance.finding_waiver:
    state: listed
"""

RETURN = r"""
plan:
  description: What was to be done; the same in check mode.
  returned: always
  type: list
  elements: dict
  sample:
    - action: waive
      target: env-group-access-1a2b3c4d
      reason: "/opt/miniecom/.env until 2027-02-27: The group is the shop's own and has no other members"
      bytes: 0
kept:
  description: Why nothing was to be done.
  returned: always
  type: list
  elements: dict
actions:
  description: What was done.
  returned: always
  type: list
  elements: dict
counts:
  description: Totals of the lists, which are cut at 200 entries.
  returned: always
  type: dict
path:
  description: The file of waivers on the host.
  returned: success
  type: str
known:
  description: Whether an audit of this host knows the finding.
  returned: success
  type: bool
waivers:
  description:
    - The waivers of the file as they are afterwards, in check mode as they would be. C(status) is V(active), V(expired), or V(idle) when what it
      covered is gone.
  returned: success
  type: list
  elements: dict
  sample:
    - {finding: env-group-access-1a2b3c4d, audit: perm_audit, target: /opt/miniecom/.env, reason: The group is the shop's own, by: alice,
       since: "2026-11-29T04:00:00Z", expires: "2027-02-27", status: active}
waivable:
  description:
    - What the last audits found and is not waived by the file, the most severe first. C(status) is V(known), or V(new) for what was new when it was
      last looked for.
  returned: success
  type: list
  elements: dict
summary:
  description: C(headline), C(waivers), C(waivers_expired).
  returned: always
  type: dict
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._audit.waiving import FindingWaiver
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run

SPEC = RUN_ARGUMENTS + ArgumentSpec(
    {
        "state": {"type": "str", "choices": ["present", "absent", "listed"], "default": "present"},
        "finding": {"type": "str"},
        "reason": {"type": "str"},
        "expires": {"type": "str"},
        "by": {"type": "str"},
        "unknown": {"type": "str", "choices": ["fail", "ignore"], "default": "fail"},
    }
)


def main() -> None:
    run(FindingWaiver, SPEC)


if __name__ == "__main__":
    main()
