#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: perm_audit
short_description: Find file modes and owners that expose a shop, and mend them on request
version_added: 0.1.0
author:
  - miniecom.maintenance contributors (@miniecom)
description:
  - Looks once at everything below the given paths, and at the Docker socket, and reports environment files, private keys and backups that
    others may read, directories and files that everybody may write to, programs with set-user-id or set-group-id, secrets with an
    unexpected owner, and scripts that cannot be started.
  - It changes nothing unless O(fix) or O(undo) says so. A fix only ever narrows a mode, notes the old modes in O(state_dir) before the
    first change, and changes exactly the file that was looked at, never through a symbolic link.
  - A fix leaves alone what the running shop needs. Where a process works in one of the O(paths), or a container has a part of it mounted,
    and its user could no longer read or write an object, the object is kept as it is and RV(kept) says who uses it. Rights of a group stay
    when such a user has access through that group.
  - Symbolic links are not followed, except in O(paths) themselves. Files with several hard links are not mended.
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.run
  - miniecom.maintenance.findings
options:
  paths:
    description: Directories to audit, usually the shop's directory. Required unless O(undo) is given.
    type: list
    elements: path
    default: []
  exclude:
    description:
      - Directories that are not entered, as names (V(cache)) or as globs of paths relative to one of O(paths) (V(storage/cache/*)), beside
        C(node_modules) and C(.git), which never are.
    type: list
    elements: str
    default: []
  rules:
    description:
      - The rules to examine; all when omitted.
      - V(env-readable) (high) and V(env-group-access) (medium) are about C(.env) and C(.env.*), samples excepted.
      - V(secret-readable) (high), V(secret-group-access) (medium) and V(secret-owner) (medium) are about private keys and credentials, by
        their names; a C(.pem) file counts when it holds a private key.
      - V(backup-readable) (high), V(backup-group-access) (medium) and V(backup-sidecar-readable) (low) are about files below a directory
        named C(backups); all such files of one directory are one finding, since backups come and go.
      - V(world-writable-directory) (high), V(world-writable-file) (high), V(world-writable-program) (critical).
      - V(setuid-file) (high), V(setgid-file) (medium), V(script-not-executable) (low; one finding for a directory), V(directory-unreadable) (medium).
      - V(docker-socket-open) (critical), V(docker-socket-owner) (high), V(docker-group-members) (low).
    type: list
    elements: str
  docker_socket:
    description: Docker sockets to look at, without opening them. One that does not exist is no finding.
    type: list
    elements: path
    default: [/var/run/docker.sock]
  fix:
    description:
      - V(false) mends nothing. V(true) mends the rules about readable, group-accessible and world-writable files and directories. A list of
        rules mends just these; only so V(setuid-file) and V(setgid-file) are mended.
      - Other rules need a decision about an owner or a wider mode and are never mended.
    type: raw
    default: false
  readers:
    description:
      - Users of the host that must keep what access they have when modes are narrowed, beside the users found among the processes.
      - Of use when the shop is stopped during a fix, and it runs as another user than the owner of its files.
    type: list
    elements: str
    default: []
  undo:
    description:
      - Give back the modes that an earlier fix took, by its RV(undo_id), or all those of a run by its run id.
      - Files whose mode was changed again, or which were replaced, are left alone and told in RV(kept). No audit takes place.
    type: str
seealso:
  - module: miniecom.maintenance.secret_scan
  - module: miniecom.maintenance.port_audit
"""

EXAMPLES = r"""
- name: Audit the shop's files; the first time sets the baseline
  miniecom.maintenance.perm_audit:
    paths: [/opt/miniecom]

- name: Show what a fix would change
  miniecom.maintenance.perm_audit:
    paths: [/opt/miniecom]
    fix: true
  check_mode: true
  diff: true

- name: Close the environment files only, with the stopped API's user in mind
  miniecom.maintenance.perm_audit:
    paths: [/opt/miniecom]
    fix: [env-readable]
    readers: [miniecom]

- name: Let the upload directory stay as it is until the owner is sorted out
  miniecom.maintenance.perm_audit:
    paths: [/opt/miniecom]
    waivers:
      - rule: world-writable-directory
        target: /opt/miniecom/storage/uploads
        reason: the container writes as uid 1000, ticket OPS-118
        expires: 2027-03-31

- name: Take back what a fix changed
  miniecom.maintenance.perm_audit:
    undo: 20261124T030000Z-a1b2c3
"""

RETURN = r"""
plan:
  description: The modes to change, at most 200. Empty without O(fix) and O(undo).
  returned: always
  type: list
  elements: dict
  sample: [{action: chmod, target: /opt/miniecom/.env, reason: "0644 -> 0600: env-readable", bytes: 0}]
kept:
  description: What a fix or an undo left alone, and why.
  returned: always
  type: list
  elements: dict
  sample: [{target: /opt/miniecom/storage/uploads, reason: "mode 0777 is what uid 1000 (node, process 812) uses it by; ..."}]
actions:
  description: What became of each planned change; empty in check mode.
  returned: always
  type: list
  elements: dict
counts:
  description: Totals of the lists, which are cut at 200 entries.
  returned: always
  type: dict
findings:
  description: What was found, the most severe first; V(fixed) ones before all others.
  returned: always
  type: list
  elements: dict
  sample:
    - id: env-readable-3fa91c02
      rule: env-readable
      severity: high
      target: /opt/miniecom/.env
      message: an environment file, full of secrets, is open to every user of the host (mode 0644)
      remediation: Make it 0600, as perm_audit does with fix.
      fingerprint: 3fa91c02d0b14be2a51c2f0e3a4d9b77
      status: new
resolved:
  description: What the baseline knew and is gone, once.
  returned: always
  type: list
  elements: dict
baseline:
  description: Where the baseline lies, what was audited for the first time, and whether it was set, updated or kept.
  returned: when an audit took place
  type: dict
undo_id:
  description: By this id the changes of this call can be taken back with O(undo).
  returned: when something was changed by O(fix)
  type: str
summary:
  description: The numbers a person wants.
  returned: always
  type: dict
  sample: {headline: "5 findings (1 critical, 4 high); 0 new, 2 fixed", findings: 0, findings_total: 5, entries: 4127, seconds: 0.041}
"""

from ..module_utils._audit.report import FINDING_ARGUMENTS
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run
from ..module_utils._operations.permission_audit import PermissionAudit

SPEC = (
    ArgumentSpec(
        {
            "paths": {"type": "list", "elements": "path", "default": []},
            "exclude": {"type": "list", "elements": "str", "default": []},
            "rules": {"type": "list", "elements": "str"},
            "docker_socket": {"type": "list", "elements": "path", "default": ["/var/run/docker.sock"]},
            "fix": {"type": "raw", "default": False},
            "readers": {"type": "list", "elements": "str", "default": []},
            "undo": {"type": "str"},
        }
    )
    + RUN_ARGUMENTS
    + FINDING_ARGUMENTS
)


def main() -> None:
    run(PermissionAudit, SPEC)


if __name__ == "__main__":
    main()
