#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copy verified backups to a second place, and bring them back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_offsite
short_description: Copy the backups of a MiniEcom shop off the host, and bring one back
version_added: 0.1.0
description:
  - Copies verified backups to a second place with C(rsync) (over ssh, to a daemon, or to another disk), C(rclone) (object stores and much else) or
    C(restic) (an encrypted repository). The program must be installed on the host.
  - Or the controller fetches them itself (O(method=controller)), over the connection that Ansible has. The host holds no credentials of the place
    and needs no program for it.
  - An archive is read once more before it is sent, and its SHA-256 must be that of its record. After the transfer it is compared at the place, and only
    then a note is written beside it. Only an archive with such a note is a copy; what an interrupted transfer leaves is resumed (C(rsync), C(restic)) or
    begun anew (C(rclone)).
  - The place has rules of its own. Backups here and copies there are one series for them. A backup that they would not keep is not sent, and one that
    is missing there is sent later. Without any of the keep options all copies stay.
  - Removed are only copies that this host has noted itself (O(owner)), one at a time, each time after a look that the newest copy is there. The newest
    copy is never removed. Other files at the place are never touched, and never overwritten.
  - Nothing is ever changed in O(path) by O(action=copy), whatever becomes of the transfer.
  - O(action=fetch) brings the newest copy, or the one of O(name), into O(path), compares its SHA-256 with that of the note and puts its record beside it,
    so that it counts as verified there and M(miniecom.maintenance.mongo_restore) takes it. It needs no state of the host that made the backup.
options:
  action:
    description: V(copy) sends what is missing at the place and rotates there. V(fetch) brings one backup here.
    type: str
    choices: [copy, fetch]
    default: copy
  path:
    description: Directory with the backups; for V(fetch) the directory to put the backup into, which must exist.
    type: path
    required: true
  method:
    description:
      - The program that reaches the place, or V(controller), where the place is a directory of the controller.
      - With V(controller) archives travel in parts of 8 MiB through the shell of the connection, as the user that the task becomes, so that memory stays
        bounded. A transfer that was cut off is gone on with. V(fetch) puts the archive into Ansible's temporary directory on the host first, and takes
        its space twice for that moment.
      - With V(controller) the controller's own rules decide as well - a copy that O(keep_last) and the others keep is not removed, whatever the host says.
    type: str
    choices: [rsync, rclone, restic, controller]
    required: true
  target:
    description:
      - The place. For C(rsync) a directory such as V(backup@vault.example:/srv/miniecom), V(rsync://vault.example/miniecom) or
        V(/mnt/disk/miniecom); for C(rclone) V(REMOTE:BUCKET/DIRECTORY); for C(restic) a repository such as
        V(sftp:backup@vault.example:/srv/restic) or V(s3:https://s3.example/bucket); for C(controller) an absolute path there, below which each host has
        a directory of the name O(owner).
      - It is shown in reports, and holds no secrets.
      - Where it is empty, nothing is copied, and the task is skipped with a reason.
    type: str
    required: true
  create:
    description:
      - Make the place where it is not there, the last directory of a path or an empty repository.
      - Not done by default, since a directory that is missing is most often a disk that is not mounted.
    type: bool
    default: false
  name:
    description: For V(fetch) the backup to bring, such as V(20261124_020000.tar.gz.enc); by default the newest one.
    type: str
  database:
    description:
      - Only backups and copies of this database count. Needed where a directory or a place holds those of several.
    type: str
  owner:
    description:
      - What this host is called at the place. Only copies of this name are counted and rotated, so that hosts may share a place.
      - By default the host name, and with O(method=controller) the name in the inventory. For V(fetch) the copies of all hosts, as the one that made
        them may be lost; with O(method=controller) only where there are none of this host.
    type: str
  adopt:
    description:
      - Take copies of the name O(owner) that another host has put there for this host's own, from now on. For a host that was set up anew, or that got another
        O(state_dir) or machine id.
      - Without it such copies are neither counted nor removed, and a warning tells of them, since two hosts of one name would otherwise remove each
        other's copies.
    type: bool
    default: false
  verify:
    description:
      - How a copy is compared after the transfer. V(read_back) reads it at the place from its first byte to its last; C(rclone) and C(restic)
        download it for that.
      - V(own) trusts the program's own comparison of the transfer. C(rsync) and C(controller) always read it back at the place, without a download.
    type: str
    choices: [read_back, own]
    default: read_back
  temporary:
    description:
      - For V(fetch), what is brought here is for this run alone. The end of the run removes it, or the next run should this one be killed.
      - What lay here before is never removed.
    type: bool
    default: false
  allow_unencrypted:
    description:
      - Send archives that are not encrypted to a place that does not encrypt by itself. Backups hold customers' data and the shop's C(.env).
      - Not asked for with C(restic), which encrypts.
    type: bool
    default: false
  max_copies:
    description: Send at most this many backups in one call, the newest first; V(0) sends all that are missing.
    type: int
    default: 0
  max_delete:
    description: Fail, and neither send nor remove anything, when more copies than this would go. By default there is no limit.
    type: int
  assume_verified:
    description: Assume that a verified backup will have been made before. Honoured in check mode only.
    type: bool
    default: false
  environment_file:
    description:
      - File on the host with C(KEY=VALUE) lines for the program's environment, such as C(AWS_ACCESS_KEY_ID) or C(RCLONE_CONFIG_PASS).
      - Others must not be able to read it, nor O(password_file) and O(config_file).
    type: path
  password_file:
    description: File on the host with the password of the C(restic) repository. Keep another copy of it elsewhere.
    type: path
  config_file:
    description: Configuration file of C(rclone) on the host; by default the one of the user that the module runs as.
    type: path
  ssh_key:
    description: For C(rsync), the private key on the host, without a passphrase.
    type: path
  ssh_port:
    description: For C(rsync), the port of the place's ssh server.
    type: int
  known_hosts:
    description: For C(rsync), the file with the place's host key. A host whose key is not known is refused.
    type: path
  bandwidth:
    description: Send at most this much a second, such as V(4MiB); V(0) is no limit.
    type: str
    default: "0"
  time_limit:
    description: End a command of the program that takes longer; V(0) is no limit. Not with O(method=controller), which has no program.
    type: str
    default: 12h
  controller:
    description: What lies on the controller. With O(method=controller) the task's own action sets it, and nobody else.
    type: dict
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.retention
  - miniecom.maintenance.run
seealso:
  - module: miniecom.maintenance.mongo_backup
  - module: miniecom.maintenance.mongo_restore
  - module: miniecom.maintenance.backup_prune
author:
  - miniecom.maintenance contributors (@miniecom)
"""

EXAMPLES = r"""
- name: Copy encrypted backups to another host, and keep 30 days and 12 months there
  miniecom.maintenance.backup_offsite:
    path: /opt/miniecom/storage/backups
    method: rsync
    target: backup@vault.example:/srv/miniecom
    ssh_key: /root/.ssh/vault
    keep_daily: 30
    keep_monthly: 12

- name: The same into an encrypted repository of restic's
  miniecom.maintenance.backup_offsite:
    path: /opt/miniecom/storage/backups
    method: restic
    target: s3:https://s3.example/miniecom
    password_file: /etc/miniecom/restic.password
    environment_file: /etc/miniecom/restic.env
    create: true
    keep_daily: 30

- name: Let the controller fetch them, into /srv/backups/NAME-OF-THE-HOST
  miniecom.maintenance.backup_offsite:
    path: /opt/miniecom/storage/backups
    method: controller
    target: /srv/backups
    keep_daily: 30
    keep_monthly: 12
  become: true

- name: Bring the newest copy back, on a host that knows nothing of the old one
  miniecom.maintenance.backup_offsite:
    action: fetch
    path: /srv/recovery
    method: rsync
    target: backup@vault.example:/srv/miniecom
    ssh_key: /root/.ssh/vault
  register: fetched

- name: See that it restores
  miniecom.maintenance.mongo_restore:
    src: "{{ fetched.path }}"
    passphrase_file: /etc/miniecom/backup.passphrase
"""

RETURN = r"""
plan:
  description: What was to be done, in order; the same in check mode.
  returned: always
  type: list
  elements: dict
  sample: [{"action": "copy_backup", "target": "/srv/backups/20261124_020000.tar.gz.enc", "reason": "daily 1 of 30", "bytes": 41943040}]
kept:
  description: What stays as it is, here and at the place, and why.
  returned: always
  type: list
  elements: dict
actions:
  description: What was done. The note of a sent backup says how it was compared at the place.
  returned: always
  type: list
  elements: dict
counts:
  description: Totals of the lists, which are cut at 200 entries.
  returned: always
  type: dict
copies:
  description: The finished copies at the place, newest first, as of the last look of this call.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: File name of the backup., type: str}
    bytes: {description: Size., type: int}
    sha256: {description: SHA-256 of the archive., type: str}
    owner: {description: Which host put it there., type: str}
    host: {description: "What tells that host from another one of its name; empty in notes that do not tell.", type: str}
    database: {description: Name of the database in it., type: str}
    started: {description: "When the backup was begun, in UTC; data younger than this is not in it.", type: str}
    copied: {description: "When it was copied, in UTC.", type: str}
    checked: {description: How it was compared at the place., type: str}
    age_hours: {description: Age of its data., type: float}
    tags: {description: What the backup was tagged with., type: list, elements: str}
newest:
  description: The newest copy.
  returned: when there is one
  type: dict
path:
  description: The fetched backup, whether it was fetched by this call or was here already.
  returned: with O(action=fetch)
  type: str
summary:
  description: The few numbers.
  returned: always
  type: dict
  contains:
    headline: {description: One sentence., type: str}
    target: {description: "The place, without secrets.", type: str}
    method: {description: The program., type: str}
    copies: {description: How many finished copies of this host are there., type: int}
    copied: {description: How many backups were (in check mode would be) sent., type: int}
    removed: {description: How many copies were (in check mode would be) removed., type: int}
    damaged: {description: "How many noted copies are gone, or have another size.", type: int}
    bytes: {description: Bytes sent or fetched., type: int}
    age_hours: {description: "Age of the newest copy's data, null if there is none.", type: float}
    path: {description: "The fetched backup, with O(action=fetch).", type: str}
    verified: {description: "Whether it counts as verified here, with O(action=fetch).", type: bool}
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._backup.offsite import BackupOffsite
from ..module_utils._backup.rotation import RETENTION_ARGUMENTS
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run

SPEC = (
    ArgumentSpec(
        {
            "action": {"type": "str", "choices": ["copy", "fetch"], "default": "copy"},
            "path": {"type": "path", "required": True},
            "method": {"type": "str", "choices": ["rsync", "rclone", "restic", "controller"], "required": True},
            "target": {"type": "str", "required": True},
            "create": {"type": "bool", "default": False},
            "name": {"type": "str"},
            "database": {"type": "str"},
            "owner": {"type": "str"},
            "adopt": {"type": "bool", "default": False},
            "verify": {"type": "str", "choices": ["read_back", "own"], "default": "read_back"},
            "temporary": {"type": "bool", "default": False},
            "allow_unencrypted": {"type": "bool", "default": False},
            "max_copies": {"type": "int", "default": 0},
            "max_delete": {"type": "int"},
            "assume_verified": {"type": "bool", "default": False},
            "environment_file": {"type": "path"},
            "password_file": {"type": "path", "no_log": False},
            "config_file": {"type": "path"},
            "ssh_key": {"type": "path", "no_log": False},
            "ssh_port": {"type": "int"},
            "known_hosts": {"type": "path"},
            "bandwidth": {"type": "str", "default": "0"},
            "time_limit": {"type": "str", "default": "12h"},
            "controller": {"type": "dict"},
        },
        required_if=[("method", "restic", ("password_file", "environment_file"), True)],
    )
    + RETENTION_ARGUMENTS
    + RUN_ARGUMENTS
)


def main() -> None:
    run(BackupOffsite, SPEC)


if __name__ == "__main__":
    main()
