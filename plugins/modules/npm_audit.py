#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: npm_audit
short_description: Report vulnerable and outdated dependencies of an npm project
version_added: 0.1.0
author:
  - miniecom.maintenance contributors (@miniecom)
description:
  - Runs C(npm audit) and C(npm outdated) in a project and reports known vulnerabilities as findings, one for each advisory on each package, and
    outdated packages as a list.
  - It reports only. Nothing is installed or updated, no script of a package runs, and npm's cache and logs go to a temporary directory.
  - Where there is no answer - no npm program, no lock file, a registry that does not offer audits or cannot be reached - RV(audit) says so. The
    module never takes that for a project without vulnerabilities, and leaves the baseline as it is.
extends_documentation_fragment:
  - miniecom.maintenance.attributes.info
  - miniecom.maintenance.run
  - miniecom.maintenance.findings
options:
  path:
    description: Directory of the project, with its C(package.json).
    type: path
    required: true
  npm:
    description: The npm program; by default the one on the C(PATH).
    type: path
  vex:
    description:
      - File on the host to write the vulnerabilities to, as CycloneDX 1.5 with what was decided about each (VEX). Its directory must exist.
      - It is replaced in one step and only when its content changes, which then counts as a change. Not written in check mode, nor when npm gives no answer.
    type: path
  timeout:
    description: How long each of the two commands may take, as in V(2m).
    type: str
    default: 2m
requirements:
  - npm 8 or newer
"""

EXAMPLES = r"""
- name: Look at the dependencies of both parts of the shop
  miniecom.maintenance.npm_audit:
    path: "{{ item }}"
  loop:
    - /opt/miniecom/backend
    - /opt/miniecom/frontend

- name: Only tell, and leave one advisory out for a quarter
  miniecom.maintenance.npm_audit:
    path: /opt/miniecom/backend
    fail_on: never
    waivers:
      - rule: GHSA-67hx-6x53-jw92
        reason: only reached when building, never with a customer's input
        expires: 2027-03-31

- name: Insist on an answer
  miniecom.maintenance.npm_audit:
    path: /opt/miniecom/backend
  register: dependencies
  failed_when: dependencies.msg is defined or not dependencies.audit.available
"""

RETURN = r"""
audit:
  description: Whether npm answered the question for vulnerabilities, and if not, why.
  returned: always
  type: dict
  sample: {available: false, status: not available, reason: "405; the registry does not offer this"}
outdated:
  description:
    - Outdated packages, major updates first; at most 200. C(current) is the installed version, that of the lock file where the package is not installed
      (in a compose deployment C(node_modules) is usually in the image only), null where neither tells.
    - C(dependent) is the package that asks for it. An alias has C(package), the name it is published under. Packages of the project's own workspaces are
      left out, since npm looks them up by name in the public registry.
  returned: always
  type: list
  elements: dict
  sample: [{name: express, current: 4.18.2, wanted: 4.21.1, latest: 5.0.1, update: major, dependent: backend}]
outdated_status:
  description: Whether npm answered the question for newer versions, and if not, why.
  returned: always
  type: dict
  sample: {available: true, status: done, reason: ""}
findings:
  description: Known vulnerabilities, the most severe first, at most 200.
  returned: always
  type: list
  elements: dict
  sample:
    - id: GHSA-35jh-r3h4-6jhm-0a1b2c3d
      rule: GHSA-35jh-r3h4-6jhm
      severity: high
      target: "npm:/opt/miniecom/backend:lodash"
      message: "lodash <4.17.21: Command Injection in lodash"
      remediation: npm audit fix mends it without a major update. See https://github.com/advisories/GHSA-35jh-r3h4-6jhm.
      fingerprint: 0a1b2c3d4e5f60718293a4b5c6d7e8f9
      status: new
resolved:
  description: What the baseline knew and is gone, once.
  returned: always
  type: list
  elements: dict
baseline:
  description: Where the baseline lies, and whether it was set, updated or kept.
  returned: always
  type: dict
summary:
  description: The numbers a person wants; C(npm_counts) are npm's own, which count packages that are affected through others.
  returned: always
  type: dict
  sample: {headline: "backend: 1 finding (1 high); 1 new; 12 packages outdated", findings: 1, findings_total: 1, outdated: 12, outdated_major: 3, seconds: 3.1}
"""

from ..module_utils._audit.npm_audit import audit_npm
from ..module_utils._audit.report import FINDING_ARGUMENTS
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run_info

SPEC = (
    ArgumentSpec(
        {
            "path": {"type": "path", "required": True},
            "npm": {"type": "path"},
            "vex": {"type": "path"},
            "timeout": {"type": "str", "default": "2m"},
        }
    )
    + RUN_ARGUMENTS
    + FINDING_ARGUMENTS
)


def main() -> None:
    run_info(audit_npm, SPEC)


if __name__ == "__main__":
    main()
