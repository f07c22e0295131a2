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
  - miniecom.maintenance.given
  - miniecom.maintenance.findings
options:
  paths:
    description: Directories to audit, usually the shop's directory. Required unless O(undo) is given.
    type: list
    elements: path
    default: []
  backups:
    description:
      - Directories of backups, wherever they are and whatever they are called. Each file below them is audited as a backup, also where a symbolic link
        below O(paths) leads there. One that does not exist is no finding.
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
      - 'Names or ids of the rules to examine; all when omitted. A mapping changes a rule (its C(id) or name, and C(enabled), C(severity),
        C(title), C(remediation) or C(fix)) or adds one; mappings alone leave all other rules on.'
      - 'A rule of your own has an C(id), a C(title), and at least one condition, all of which must hold: C(names) (globs of base names), C(paths)
        (globs relative to one of O(paths)), C(any_bits), C(all_bits), C(no_bits) (octal numbers in quotes), C(owners) (users one of whom should own
        it), C(about) (a list of C(env), C(secret), C(backup), C(dump), C(sidecar), C(sensitive)). Besides it may have C(severity) (V(medium)),
        C(remediation), C(kind) (C(file), or C(directory)), C(remove) (the bits that a fix takes away), C(fix) (whether O(fix=true) does), C(enabled),
        and C(former), the names it had before, by which baselines know it.'
      - V(env-readable) (MPA-001, high) and V(env-group-access) (MPA-002, medium) are about environment files, C(.env), C(.env.*), C(.env~), C(prod.env),
        C(.envrc) and copies of them, samples excepted.
      - V(secret-readable) (MPA-003, high), V(secret-group-access) (MPA-004, medium) and V(secret-owner) (MPA-005, medium) are about private keys and
        credentials, by their names; a C(.pem) file, and one whose name says nothing, counts when it holds a private key.
      - V(backup-readable) (MPA-006, high), V(backup-group-access) (MPA-007, medium) and V(backup-sidecar-readable) (MPA-008, low) are about files below
        a directory named C(backups), or one of O(backups); all such files of one directory are one finding, since backups come and go.
      - V(dump-readable) (MPA-019, high) and V(dump-group-access) (MPA-020, medium) are about dumps of a database elsewhere, by their names, or by their
        content where the name says nothing.
      - V(world-writable-directory) (MPA-009, high), V(world-writable-program) (MPA-010, critical), V(world-writable-file) (MPA-011, high).
      - V(setuid-file) (MPA-012, high), V(setgid-file) (MPA-013, medium), V(script-not-executable) (MPA-014, low; one finding for a directory),
        V(directory-unreadable) (MPA-015, medium).
      - V(file-without-owner) (MPA-021, medium) and V(directory-without-owner) (MPA-022, medium) are about owners and groups without a name; all of one
        number are one finding.
      - V(secret-shared) (MPA-023, medium) is about POSIX access control lists on sensitive files. V(secret-replaceable) (MPA-024, medium) is about
        directories in which somebody else can replace a sensitive file, V(parent-replaceable) (MPA-025, high) about those above O(paths).
      - V(link-outside) (MPA-026, low) is about symbolic links that lead out of O(paths).
      - V(docker-socket-open) (MPA-016, critical), V(docker-socket-owner) (MPA-017, high), V(docker-group-members) (MPA-018, low).
      - V(ssh-writable) (MPA-027, high), V(ssh-key-readable) (MPA-028, high), V(ssh-owner) (MPA-029, high) and V(ssh-authorized-key) (MPA-030, low; a
        finding for each key) are about C(.ssh) of O(service_users).
    type: list
    elements: raw
  docker_socket:
    description: Docker sockets to look at, without opening them. One that does not exist is no finding.
    type: list
    elements: path
    default: [/var/run/docker.sock]
  service_users:
    description: Users whose C(.ssh) is looked at, beside the owners of O(paths) other than root.
    type: list
    elements: str
    default: []
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

- name: Switch a rule off, make another one weigh more, and add one
  miniecom.maintenance.perm_audit:
    paths: [/opt/miniecom]
    rules:
      - id: MPA-026
        enabled: false
      - id: secret-owner
        severity: high
      - id: shop-uploads-executable
        title: an uploaded file is executable
        paths: [storage/uploads/*]
        any_bits: "0111"
        remove: "0111"

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
      message: an environment file, full of secrets, is open to every user of the host (mode 0644) [MPA-001]
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

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._audit.audit_arguments import PERMISSION_AUDIT_ARGUMENTS
from ..module_utils._core.runner import run
from ..module_utils._operations.permission_audit import PermissionAudit

SPEC = PERMISSION_AUDIT_ARGUMENTS


def main() -> None:
    run(PermissionAudit, SPEC)


if __name__ == "__main__":
    main()
