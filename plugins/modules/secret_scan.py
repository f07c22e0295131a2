#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: secret_scan
short_description: Find passwords, keys and tokens that are written into code and configuration
version_added: 0.1.0
author:
  - miniecom.maintenance contributors (@miniecom)
description:
  - Scans files with Kingfisher (MongoDB's scanner, package C(kingfisher-bin)), with its own rules and with ours for a shop - settings
    in code, compose, unit and configuration files, fallbacks of environment variables and defaults of compose files, command lines of scripts and
    crontabs (C(mongodump -p), C(--password=), C(PGPASSWORD=)), headers, addresses, and login files such as C(.netrc), C(.pgpass) and C(.npmrc).
  - Of a setting's name the last word counts. C(API_TOKEN) names a secret, C(TOKEN_LIFETIME) and C(API_KEY_HEADER) do not.
  - No secret is ever returned, logged or written. A finding carries the file, all lines, the column, the name that stands before the secret and a
    keyed fingerprint of it, which stays the same when the line moves and tells nothing about the secret.
  - Kingfisher is kept from trying the secrets on the network, from looking for updates, from reading the history of a Git repository and
    from unpacking archives.
  - C(.env) and C(.env.*) files are where secrets belong and are not reported, but their copies are (C(.env.bak), C(.env~), C(.env.20261101)), as
    nobody looks after them. Not reported either are private keys in C(.pem) and C(.key)
    files; M(miniecom.maintenance.perm_audit) looks at their modes.
    Placeholders in samples and documentation are not reported; a well-known default password anywhere else is, as V(default-credentials).
  - In samples and documentation the severity is V(low), in tests and seeds V(medium), elsewhere V(high). Files above 10 MB are not read.
  - Files in which nothing has changed are not read again, see O(rescan_after). Then Kingfisher is not started, and what the last scan found is
    judged anew - what is waived, until when, and what the baseline knows. A file has changed when its path, owner, mode, size, inode, time of
    writing or time of change (ctime, which programs cannot set) is another. All is read when any file, directory, exclusion or path is another
    one, when Kingfisher, our rules or the module are, and when the last scan was incomplete, is too old, or began within two seconds of a change.
  - The times of files on other machines (NFS, CIFS, FUSE and the like), in memory (tmpfs) and on file systems without such times (VFAT) are not
    relied on. Where any of the files lies on one, all is read each time. What a program writes through a mapping (mmap) within the half minute after
    its first change there, and after a scan that began between the two, is read by the next whole scan.
  - Nothing is changed but the baseline, the key of the fingerprints, what the last scan found (never a secret) and Kingfisher's cache of compiled
    rules, all in O(state_dir).
extends_documentation_fragment:
  - miniecom.maintenance.attributes.info
  - miniecom.maintenance.run
  - miniecom.maintenance.given
  - miniecom.maintenance.findings
attributes:
  check_mode:
    details: The baseline and what a scan found are not written. Without a cache of compiled rules the scan takes some seconds longer.
options:
  paths:
    description: Directories or files to scan, usually the shop's directory.
    type: list
    elements: path
    required: true
  exclude:
    description:
      - What is not scanned, as names (V(cache)) or as globs of paths relative to one of O(paths) (V(storage/cache)), beside C(node_modules),
        C(.git), and what a shop keeps its data in - C(storage/backups), C(storage/logs), C(storage/uploads), C(storage/invoices),
        C(storage/labels) and C(backend/uploads), and the file of the maintenance mode (C(storage/.maintenance)).
    type: list
    elements: str
    default: []
  kingfisher:
    description: The Kingfisher program. By default the one of the package C(kingfisher-bin) of the module's interpreter, else one on the C(PATH).
    type: path
  timeout:
    description: How long the scan may take, as in V(10m).
    type: str
    default: 10m
  rescan_after:
    description: For how long after a scan files in which nothing has changed are not read again, as in V(30d). V(0) reads all of them in any case.
    type: str
    default: 30d
requirements:
  - kingfisher-bin 2.14.0
seealso:
  - module: miniecom.maintenance.perm_audit
"""

EXAMPLES = r"""
- name: Scan the shop for hard-coded secrets; the first time sets the baseline
  miniecom.maintenance.secret_scan:
    paths: [/opt/miniecom]

- name: Fail for every new finding, whatever its severity, and keep a SARIF log
  miniecom.maintenance.secret_scan:
    paths: [/opt/miniecom]
    fail_on: low
    sarif: /var/log/miniecom/secrets.sarif

- name: Read all files, whatever the last scan found in them
  miniecom.maintenance.secret_scan:
    paths: [/opt/miniecom]
    rescan_after: 0

- name: Accept one finding until the end of the quarter
  miniecom.maintenance.secret_scan:
    paths: [/opt/miniecom]
    waivers:
      - fingerprint: 8c1f6a8e0b5f4a2d9e0d3c1b7a695847
        reason: test account of the payment provider, ticket OPS-131
        expires: 2027-03-31
"""

RETURN = r"""
findings:
  description: What was found, the most severe first, at most 200. Never holds a secret.
  returned: always
  type: list
  elements: dict
  sample:
    - id: hard-coded-secret-8c1f6a8e
      rule: hard-coded-secret
      severity: high
      target: /opt/miniecom/backend/src/mailer.js
      line: 12
      column: 22
      lines: [12, 40]
      excerpt: "smtpPassword: ********"
      message: a password, key or token is written into this file
      remediation: Move it to .env (mode 0600) and read it from the environment; then change it.
      fingerprint: 8c1f6a8e0b5f4a2d9e0d3c1b7a695847
      status: new
resolved:
  description: What the baseline knew and is gone, once.
  returned: always
  type: list
  elements: dict
kept:
  description:
    - What was not read, with counts - environment files, excluded directories, packed files (they are not unpacked), files above 10 MB, style sheets.
    - Lock files, pictures and fonts are read, but only our own rules are applied to them.
    - Where nothing was read again, since when (V(unchanged files)).
  returned: always
  type: list
  elements: dict
  sample: [{target: packed files, reason: "2 files such as /opt/miniecom/release.tar.gz: they are not unpacked"}]
baseline:
  description: Where the baseline lies, what was scanned for the first time, and whether it was set, updated or kept.
  returned: always
  type: dict
scanned:
  description: Whether the files were read by this call; false where none of them has changed since the scan that RV(scan_time) tells.
  returned: success, or findings that fail the audit
  type: bool
scan_time:
  description: When the scan began that found what is told, in UTC.
  returned: success, or findings that fail the audit
  type: str
  sample: "2026-11-28T21:37:20Z"
summary:
  description: The numbers a person wants. C(files_unchanged) is how many files were not read again.
  returned: always
  type: dict
  sample:
    headline: "3 findings (3 high); 1 new"
    findings: 1
    findings_total: 3
    files_scanned: 435
    files_not_scanned: 3
    files_unchanged: 0
    bytes_scanned: 2200000
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._audit.audit_arguments import SECRET_SCAN_ARGUMENTS
from ..module_utils._audit.secret_scan import scan_secrets
from ..module_utils._core.runner import run_info

SPEC = SECRET_SCAN_ARGUMENTS


def main() -> None:
    run_info(scan_secrets, SPEC)


if __name__ == "__main__":
    main()
