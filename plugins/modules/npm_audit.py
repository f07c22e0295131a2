#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: npm_audit
short_description: Report vulnerable and outdated dependencies of an npm project, and update what semantic versioning allows
version_added: 0.1.0
author:
  - miniecom.maintenance contributors (@miniecom)
description:
  - Runs C(npm audit) and C(npm outdated) in a project and reports known vulnerabilities as findings, one for each advisory on each package, and
    outdated packages as a list.
  - By default it reports only, and npm's cache and logs go to a temporary directory.
  - With O(fix) or O(update) it has npm work on a copy of the project, as a user without rights, without lifecycle scripts and without the shop's
    environment file. There the new versions are installed and the project's own scripts to build and test are run, without a network and unable to
    write to anything but the copy. Only when all of it passes is the lock file of the project replaced, in one step. C(package.json) never changes.
  - The lock file of before is kept, and O(undo) puts it back.
  - With O(install) the dependencies that were tried, and what was built, take the place of those that the shop runs from, its services are restarted, and
    where it is not well then, all of it goes back. In a compose deployment M(miniecom.maintenance.compose_update) builds from the new lock file.
  - Where there is no answer - no npm program, no lock file, a registry that does not offer audits or cannot be reached - RV(audit) says so. The
    module never takes that for a project without vulnerabilities, and leaves the baseline as it is. O(fix) fails then.
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.run
  - miniecom.maintenance.findings
attributes:
  check_mode:
    details: >-
      What npm would change is found out on the copy and told by version; whether install, build and tests pass shows only when they run.
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
    description: How long npm may take for each answer, as in V(2m).
    type: str
    default: 2m
  fix:
    description: Update what has known vulnerabilities, as C(npm audit fix) does, never with its C(--force).
    type: bool
    default: false
  update:
    description:
      - V(minor) updates all packages as far as the ranges of those who ask for them go, as C(npm update) does, but what C(package.json) asks for
        never to another major version, even where its range allows that.
    type: str
    choices: [none, minor]
    default: none
  scripts:
    description:
      - Scripts of C(package.json) that have to pass in the copy. By default C(build) and C(test), those that there are; where there is neither, it refuses.
      - An empty list is content with the installation.
    type: list
    elements: str
  try_timeout:
    description: How long the installation in the copy, and each script, may take.
    type: str
    default: 15m
  exclude:
    description:
      - Names of files and directories that are left out of the copy. Always left out are environment files, keys and dumps, and C(node_modules),
        C(uploads), C(storage), C(logs), C(backups), C(coverage) and the directories of version control.
    type: list
    elements: str
    default: []
  user:
    description: The user as whom npm runs in the copy, where the module itself is root.
    type: str
    default: nobody
  work_dir:
    description: Where the copy is made, and removed again.
    type: path
    default: /var/tmp
  undo:
    description: RV(undo_id) of an update, or the id of its run, whose lock file is put back, and with it whatever O(install) had put in place.
    type: str
  install:
    description:
      - Also put in place what was tried, where the shop runs from this directory.
      - What packages have made of themselves by a script when they were installed is taken from there as long as their version stays; where another
        version needs that, it refuses.
    type: bool
    default: false
  outputs:
    description: Directories that the project's build makes; those that are there after it are put in place as well.
    type: list
    elements: str
    default: [dist, build]
  services:
    description: The systemd units that are restarted after O(install).
    type: list
    elements: str
    default: []
  probe_url:
    description: Address of the shop's health endpoint, which must be well, or in maintenance, before O(install) and after.
    type: str
  patience:
    description: How long the shop may take to become well.
    type: str
    default: 2m
  steady:
    description: How long it has to stay so.
    type: str
    default: 5s
requirements:
  - npm 8 or newer
notes:
  - Updating wants root, who alone can keep a stranger's code from the network and the shop's files.
seealso:
  - module: miniecom.maintenance.compose_update
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

- name: See which versions would change
  miniecom.maintenance.npm_audit:
    path: /opt/miniecom/backend
    fix: true
    update: minor
  check_mode: true
  diff: true

- name: Update them when the project builds and its tests pass with them
  miniecom.maintenance.npm_audit:
    path: /opt/miniecom/backend
    update: minor
  register: updated

- name: Put the lock file of before back
  miniecom.maintenance.npm_audit:
    path: /opt/miniecom/backend
    undo: "{{ updated.undo_id }}"

- name: Update a native installation, and go back where it does not come up
  miniecom.maintenance.npm_audit:
    path: /opt/miniecom/backend
    update: minor
    install: true
    services: [miniecom-api]
    probe_url: http://127.0.0.1:3001/api/health

- name: Insist on an answer
  miniecom.maintenance.npm_audit:
    path: /opt/miniecom/backend
  register: dependencies
  failed_when: dependencies.msg is defined or not dependencies.audit.available
"""

RETURN = r"""
plan:
  description: What was to be done, the same in check mode and in a real run.
  returned: always
  type: list
  elements: dict
  sample: [{"action": "replace_lock_file", "target": "/opt/miniecom/backend/package-lock.json", "reason": "express 4.18.2 -> 4.21.1", "bytes": 0}]
kept:
  description: Packages that stay although there is something newer, each with the reason.
  returned: always
  type: list
  elements: dict
actions:
  description: What was done; C(note) tells what has passed in the copy.
  returned: always
  type: list
  elements: dict
counts:
  description: Totals of the lists, which are cut at 200 entries.
  returned: always
  type: dict
versions:
  description: Each package that changes, with C(name), C(place), C(before), C(after), C(update) and whether the project itself asks for it (C(direct)).
  returned: with O(fix) or O(update)
  type: list
  elements: dict
  sample: [{"name": "express", "place": "node_modules/express", "before": "4.18.2", "after": "4.21.1", "update": "minor", "direct": true}]
scripts:
  description: Scripts of package.json that have to pass.
  returned: with O(fix) or O(update)
  type: list
  elements: str
undo_id:
  description: The name by which the lock file of before is put back.
  returned: when a lock file was replaced
  type: str
output:
  description: The last lines of what failed in the copy.
  returned: when installation, build or tests failed there
  type: str
rolled_back:
  description: Whether the shop runs from its dependencies of before again.
  returned: when O(install) has failed
  type: bool
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

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._audit.finding_arguments import FINDING_ARGUMENTS
from ..module_utils._core.arguments import RUN_ARGUMENTS
from ..module_utils._core.runner import run
from ..module_utils._operations.npm_update import NPM_ARGUMENTS, NpmUpdate

SPEC = NPM_ARGUMENTS + RUN_ARGUMENTS + FINDING_ARGUMENTS


def main() -> None:
    run(NpmUpdate, SPEC)


if __name__ == "__main__":
    main()
