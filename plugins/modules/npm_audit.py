#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: npm_audit
short_description: Report vulnerable and outdated dependencies of an npm project
version_added: 1.0.0
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
  description: Outdated packages, major updates first; at most 200. C(current) is null where it is not installed.
  returned: always
  type: list
  elements: dict
  sample: [{name: express, current: 4.18.2, wanted: 4.21.1, latest: 5.0.1, update: major}]
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

import os
import shutil
import tempfile
from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._audit import npm as npm_tool
from ..module_utils._audit.report import FINDING_ARGUMENTS, conclude, finish
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.clock import utc_now
from ..module_utils._core.errors import MaintenanceError
from ..module_utils._core.finding import parse_waivers
from ..module_utils._core.legacy_runner import run_info
from ..module_utils._core.run_context import RunContext
from ..module_utils._core.units import parse_duration

SPEC = (
    ArgumentSpec(
        {
            "path": {"type": "path", "required": True},
            "npm": {"type": "path"},
            "timeout": {"type": "str", "default": "2m"},
        }
    )
    + RUN_ARGUMENTS
    + FINDING_ARGUMENTS
)


def npm_audit(module: AnsibleModule, context: RunContext) -> Dict[str, Any]:
    params = module.params
    parse_waivers(params["waivers"])
    timeout = parse_duration(params["timeout"])
    path = os.path.realpath(params["path"])
    if not os.path.isfile(os.path.join(path, "package.json")):
        raise MaintenanceError(
            "this is no npm project, or it may not be read",
            target=os.path.join(path, "package.json"),
            next_step="Correct path, or run as a user who may read it.",
        )
    program = npm_tool.find_npm(params["npm"])
    if program is None:
        audit = outdated = npm_tool.Answer(
            False, "there is no npm on this host (PATH); in a compose deployment it may only be in the containers"
        )
    else:
        workspace = tempfile.mkdtemp(prefix="miniecom-npm-", dir=module.tmpdir)
        try:
            audit = npm_tool.read_audit(
                npm_tool.ask(program, ["audit", "--json", "--ignore-scripts"], path, workspace, timeout)
            )
            context.renew()
            outdated = npm_tool.read_outdated(npm_tool.ask(program, ["outdated", "--json"], path, workspace, timeout))
        finally:
            shutil.rmtree(workspace, ignore_errors=True)
    found = npm_tool.vulnerabilities(audit.data, path) if audit.available else []
    conclusion = conclude("npm_audit", params, context, found, utc_now(), [path] if audit.available else [])
    packages = npm_tool.outdated_list(outdated.data) if outdated.available else []
    majors = sum(package["update"] == "major" for package in packages)
    summary = conclusion.values["summary"]
    if not audit.available:
        summary["headline"] = "audit not available: %s" % audit.reason
        conclusion.values["warnings"].append("No audit of %s: %s" % (path, audit.reason))
    if not outdated.available:
        summary["headline"] += "; newer versions not known"
    elif packages:
        summary["headline"] += "; %d package%s outdated" % (len(packages), "" if len(packages) == 1 else "s")
    # Several projects of one shop stand in one row of the run's table.
    summary["headline"] = "%s: %s" % (os.path.basename(os.path.normpath(path)), summary["headline"])
    summary.update(
        outdated=len(packages),
        outdated_major=majors,
        npm_counts=(audit.data.get("metadata") or {}).get("vulnerabilities") or {},
    )
    return finish(conclusion, audit=_status(audit), outdated=packages, outdated_status=_status(outdated))


def _status(answer: npm_tool.Answer) -> Dict[str, Any]:
    return {
        "available": answer.available,
        "status": "done" if answer.available else "not available",
        "reason": answer.reason,
    }


def main() -> None:
    run_info(npm_audit, SPEC)


if __name__ == "__main__":
    main()
