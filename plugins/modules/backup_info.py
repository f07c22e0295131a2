#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""List the backups in a directory."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_info
short_description: List the backups of a MiniEcom shop
version_added: 0.1.0
description:
  - Lists the archives C(YYYYmmdd_HHMMSS.tar.gz) and C(YYYYmmdd_HHMMSS.tar.gz.enc) directly in a directory, those of the shop's own scripts included.
  - Reads names, sizes and the records that M(miniecom.maintenance.mongo_backup) leaves beside its archives, and of an archive without such a record its
    head and its end, so it is quick however large they are. Whether one restores is proven by M(miniecom.maintenance.mongo_restore).
  - A file that has the name of a backup but is empty, does not begin as a gzip file (or one of openssl) with a tar in it, or is cut short,
    is told as such and is never the newest backup. Of an encrypted one without a record that was cut short not every case is found.
  - A backup counts as verified when such a record stands beside it, its size and modification time are still those of the record (in whole seconds
    where a copy keeps no more), and no restore of it has failed since.
  - A directory that does not exist is no error; there are no backups then.
options:
  path:
    description: Directory with the backups.
    type: path
    required: true
  database:
    description:
      - List only backups of this database; those whose record names another one are left out and counted in C(summary.other_databases).
      - A backup without a record, such as the shop's own script makes, is listed, as nobody knows.
    type: str
extends_documentation_fragment:
  - miniecom.maintenance.attributes.info
  - miniecom.maintenance.run
seealso:
  - module: miniecom.maintenance.mongo_backup
  - module: miniecom.maintenance.backup_prune
author:
  - miniecom.maintenance contributors (@miniecom)
"""

EXAMPLES = r"""
- name: Look at the backups
  miniecom.maintenance.backup_info:
    path: /opt/miniecom/storage/backups
  register: backups

- name: Fail when there is no verified backup of the last two days
  ansible.builtin.assert:
    that:
      - backups.summary.verified > 0
      - backups.summary.age_hours < 48
"""

RETURN = r"""
backups:
  description: All backups, newest first; at most 200, their number is in C(counts.backups).
  returned: always
  type: list
  elements: dict
  contains:
    name: {description: File name., type: str}
    path: {description: Full path., type: str}
    date: {description: "The host's local time in the name.", type: str}
    bytes: {description: Size., type: int}
    age_hours: {description: "Age of the data, from the record or else from the name.", type: float}
    encrypted: {description: Whether it is encrypted., type: bool}
    verified: {description: Whether it was verified and has not changed since., type: bool}
    changed_since_verified: {description: Whether it was verified and has changed since., type: bool}
    restore_tested: {description: "When a restore of it last succeeded, in UTC; empty if never.", type: str}
    restore_seconds: {description: How long its database took to be restored in that test; null if never., type: float}
    last_verified: {description: "When it was last proven to be whole, by reading it back or by restoring it, in UTC.", type: str}
    restore_failed:
      description: When it was proven not to restore, in UTC; empty if it was not. It does not count as verified then.
      type: str
    problem: {description: Why it can be no backup in spite of its name; empty when nothing speaks against it., type: str}
    database: {description: Name of the database in it., type: str}
    components: {description: What else is in it., type: list, elements: str}
    lacking: {description: "What it lacks of the files that its database names, by the name of the component.", type: dict}
    tags: {description: What it was tagged with when it was made., type: list, elements: str}
    consistency: {description: "V(snapshot), V(oplog), V(locked) or V(none).", type: str}
    documents: {description: How many documents., type: int}
    invalid_documents:
      description: How many of them do not pass their collection's validator; C(mongorestore) loses them without C(--bypassDocumentValidation).
      type: int
    collections: {description: How many collections., type: int}
newest:
  description: The newest backup that is not dated in the future and can be one.
  returned: when there is one
  type: dict
newest_verified:
  description: The newest verified backup.
  returned: when there is one
  type: dict
last_verified:
  description: The newest backup of which a restore has succeeded. It may be older than the newest verified one, which was read back only.
  returned: when there is one
  type: dict
offsite:
  description:
    - The newest copy of these backups at a second place, as of the last call of M(miniecom.maintenance.backup_offsite) on this host, which notes it in
      O(state_dir). The place itself is not asked.
  returned: when there was such a call
  type: dict
  contains:
    name: {description: The backup; empty when there is no copy., type: str}
    method: {description: The program., type: str}
    target: {description: "The place, without secrets.", type: str}
    started: {description: "When the backup was begun, in UTC.", type: str}
    copied: {description: "When it was copied, in UTC.", type: str}
    checked: {description: How it was compared there., type: str}
    looked: {description: "When the place was looked at, in UTC.", type: str}
    copies: {description: How many copies there were., type: int}
    age_hours: {description: "Age of the copy's data, null if there is none.", type: float}
summary:
  description: The few numbers.
  returned: always
  type: dict
  contains:
    headline: {description: One sentence., type: str}
    backups: {description: How many backups., type: int}
    verified: {description: How many of them are verified., type: int}
    restore_tested: {description: How many of them were restored successfully., type: int}
    restore_tested_days: {description: "How many days ago a restore of that backup last succeeded, null if never.", type: float}
    restore_failed: {description: How many backups were proven not to restore., type: int}
    implausible: {description: How many files have the name of a backup and cannot be one., type: int}
    bytes: {description: Size of all., type: int}
    age_hours: {description: "Age of the newest verified backup, null if there is none.", type: float}
    newest_age_hours:
      description: Age of the newest backup, verified or not, null if there is none. Those dated in the future are left out.
      type: float
    partials: {description: Leftovers of killed runs., type: int}
    bytes_partials: {description: Size of these., type: int}
    other_databases: {description: Backups that were left out because they are of another database than O(database)., type: int}
    offsite_age_hours: {description: "Age of the newest copy off the host, null if none is known.", type: float}
    foreign: {description: Other files and directories there; never touched., type: int}
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._backup.listing import backup_info
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run_info

SPEC = ArgumentSpec({"path": {"type": "path", "required": True}, "database": {"type": "str"}}) + RUN_ARGUMENTS


def main() -> None:
    run_info(backup_info, SPEC)


if __name__ == "__main__":
    main()
