#!/usr/bin/python
# -*- coding: utf-8 -*-

# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One verified, atomic backup of database, uploads, invoices and configuration."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mongo_backup
short_description: Make one verified, atomic backup of a MiniEcom shop
version_added: 0.1.0
description:
  - Writes one archive C(YYYYmmdd_HHMMSS.tar.gz) (the host's local time) that holds the database, the directories and files
    named in O(include), and a manifest, in the layout of the shop's own backups. Plain C(tar xzf) followed by
    C(mongorestore --archive=mongo.archive.gz --gzip --drop --bypassDocumentValidation) restores the database. The shop's C(restore.sh) restores it,
    too, but for documents that do not pass their collection's validator; they are counted, and warned of.
  - The database is read in raw batches and written in mongodump's archive format with all options and indexes; no MongoDB tool is
    needed on the host.
  - The archive is written under a temporary name, read back from its first byte to its last (checksums, counts taken from the bytes
    written, every document parsed), and only then given its name. A run killed at any moment leaves no half backup under a name of a
    backup; what it does leave is removed by the next call.
  - That it was verified is recorded in a hidden file beside the archive, C(.NAME.verified.json). The record counts only while size and modification
    time of the archive are unchanged. M(miniecom.maintenance.backup_info), M(miniecom.maintenance.backup_prune) and O(fresh_within) rely on it.
  - For C(uploads), C(invoices) and C(labels) it is looked whether they hold what the database names (C(images) of C(products), C(pdfPath) of C(invoices),
    C(labelFilename) of C(shipments)). A directory that is not there or is empty while files in it are named, or that holds none of those named in the
    newest thousand documents (50 where it lies in a container), is a warning, and stands in the headline, in the manifest and in the record of the backup,
    which is not called restorable by the playbook C(assess), and not reused once the files are there.
  - Only one backup at a time is written to a directory.
options:
  database:
    description:
      - Database to back up. By default the one named in the connection string.
      - A database that does not exist or holds no documents is refused, so that a misspelt name never gives a valid, empty backup.
    type: str
  dest:
    description:
      - Directory that the archive is written to. Made with mode 0700 if it is missing and its parent exists.
    type: path
    required: true
  include:
    description: Directories and files to back up beside the database.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Name inside the archive. The shop's names are C(uploads), C(invoices), C(labels), C(.env) and C(docker-compose.yml).
        type: str
        required: true
      path:
        description: Directory or file. On the host, or inside O(include[].container) if that is given.
        type: str
        required: true
      container:
        description:
          - Name or id of a container, running or stopped, that O(include[].path) is read from, for data that lies in a container's writable
            layer and on no volume.
        type: str
      optional:
        description:
          - Whether it may be missing. Then its absence is a warning and stands in the manifest. Otherwise the backup fails before anything is
            written. What is there but cannot be read is an error in any case, and so is an engine that does not answer.
        type: bool
        default: false
      configured_by:
        description:
          - Name of the variable by which the application is told of this place, as M(miniecom.maintenance.context_info) returns it. That the place is not
            there then counts like files that are (see RV(summary.lacking)).
        type: str
  fresh_within:
    description:
      - A verified backup of the same database that is younger than this is reused, and nothing is written, if it holds everything in O(include) from
        the same places, was checked as thoroughly as O(check) asks (or restored successfully), is encrypted if O(passphrase_file) is given, and is
        as consistent as O(consistency) asks where that is V(snapshot), V(oplog) or V(locked).
          One with an oplog is a snapshot, too.
      - V(0) always makes a new one.
    type: str
    default: 20h
  compression:
    description:
      - V(fast) uses the Python package isal if it is installed (several times faster than zlib at the same size) and zlib level 1 otherwise.
      - V(small) uses zlib level 6. V(none) stores without compression, in a file that is still a tar.gz.
    type: str
    choices: [fast, small, none]
    default: fast
  passphrase_file:
    description:
      - Encrypt the archive with the passphrase in the first line of this file on the host, as C(openssl -pass file:) takes it. Of a line that ends in
        CR LF the CR is a part of the passphrase. The result is C(YYYYmmdd_HHMMSS.tar.gz.enc),
        as C(openssl enc -aes-256-cbc -pbkdf2) makes it; the program openssl is needed.
      - The unencrypted archive exists only in a file without a name, which vanishes with the process. Twice the space is needed meanwhile.
    type: path
  consistency:
    description:
      - V(auto) reads everything as of one moment (V(snapshot)) on a replica set or sharded cluster of MongoDB 5.0 or newer, and V(none)
        elsewhere. When the server gives the snapshot up because the dump takes longer than its history window, V(auto) starts again with V(none).
      - V(oplog) is V(snapshot), and puts the oplog from that moment to the end of the dump beside it, where C(mongodump --oplog) has it. It is for replica
        sets, and for whoever wants the last seconds or minutes as well. A snapshot is consistent without it, and nothing but
        C(mongorestore --oplogReplay) replays it (M(miniecom.maintenance.mongo_restore) and plain C(mongorestore) restore the moment of the snapshot).
      - Of the oplog it takes the entries of the database, and of transactions the operations in it. The user must be allowed to read C(local.oplog.rs) and
        C(config.transactions), as with the role C(backup). If the oplog does not reach back to the snapshot any more when all has been read, the backup
        fails, and names what it held. C(mongorestore --oplogReplay) runs C(applyOps), for which its user needs any action on any resource.
      - V(locked) locks the server against writes (fsyncLock) while the database is read, at most for O(lock_timeout). Writers wait; readers do not.
      - V(none) reads collections one after the other while the application goes on writing. Each document is read once, but two documents may
        have the same key of another unique index, when the key moved from one to the other meanwhile; only a restore finds that out, so test one with
        M(miniecom.maintenance.mongo_restore).
      - With any of them a collection that is renamed, dropped or replaced before it was read to its end, or renamed later, fails the backup; one that
        is dropped after it was read, or is new, is a warning.
      - The manifest states which one it was.
    type: str
    choices: [auto, snapshot, oplog, locked, none]
    default: auto
  lock_timeout:
    description:
      - How long the server may stay locked with O(consistency=locked). When the time is over it is unlocked, whatever becomes of this
        module, and the backup fails.
    type: str
    default: 2m
  min_free:
    description:
      - How much must stay free on the file system of O(dest), checked before and while the archive is written. MongoDB stops when its own
        file system is full.
    type: str
    default: 256MiB
  check:
    description:
      - How the archive is checked when it is read back. V(documents) decodes every document to its last field. V(checksums) leaves that out and checks
        lengths, counts and checksums.
    type: str
    choices: [documents, checksums]
    default: documents
  tags:
    description:
      - Words that stand in the record of the backup, such as V(pre-update), by which O(miniecom.maintenance.backup_prune#module:keep_tags) keeps it.
      - One that is fresh is reused only where it has all of them.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.mongo
  - miniecom.maintenance.mongo.address
  - miniecom.maintenance.docker
  - miniecom.maintenance.run
seealso:
  - module: miniecom.maintenance.mongo_restore
  - module: miniecom.maintenance.backup_info
  - module: miniecom.maintenance.backup_prune
author:
  - miniecom.maintenance contributors (@miniecom)
"""

EXAMPLES = r"""
- name: Back up the shop, unless a verified backup of the last 20 hours exists
  miniecom.maintenance.mongo_backup:
    env_file: /opt/miniecom/.env
    address: 127.0.0.1:27017
    dest: /opt/miniecom/storage/backups
    include:
      - {name: uploads, path: /opt/miniecom/backend/uploads, optional: true}
      - {name: invoices, path: /opt/miniecom/backend/storage/invoices, optional: true}
      - {name: labels, path: /opt/miniecom/backend/storage/labels, optional: true}
      - {name: .env, path: /opt/miniecom/.env}
      - {name: docker-compose.yml, path: /opt/miniecom/docker-compose.yml}
  register: backup

- name: Back up uploads that lie in the API container's writable layer, too
  miniecom.maintenance.mongo_backup:
    env_file: /opt/miniecom/.env
    address: 127.0.0.1:27017
    dest: /opt/miniecom/storage/backups
    include:
      - {name: uploads, path: /app/uploads, container: miniecom_api}

- name: Make an encrypted backup now, with writers waiting for at most a minute
  miniecom.maintenance.mongo_backup:
    env_file: /opt/miniecom/.env
    dest: /srv/backups
    fresh_within: "0"
    consistency: locked
    lock_timeout: 1m
    passphrase_file: /root/backup.passphrase

- name: See what a backup would need
  miniecom.maintenance.mongo_backup:
    env_file: /opt/miniecom/.env
    dest: /srv/backups
  check_mode: true
  register: would
"""

RETURN = r"""
plan:
  description: What was planned, in order; the same in check mode and in a real run.
  returned: always
  type: list
  elements: dict
  sample:
    - action: back_up
      target: /srv/backups/20261124_020000.tar.gz
      reason: there is no verified backup yet
      bytes: 41943040
      predicted: true
kept:
  description: The backup that was reused, if one was.
  returned: always
  type: list
  elements: dict
actions:
  description: What was done.
  returned: when not in check mode
  type: list
  elements: dict
counts:
  description: Totals of the lists, which are cut at 200 entries.
  returned: always
  type: dict
summary:
  description: The few numbers.
  returned: always
  type: dict
  contains:
    headline: {description: One sentence., type: str}
    path: {description: The archive., type: str}
    restore_command:
      description: What unpacks the archive and restores the database, all documents included; where there is an archive.
      type: str
    reused: {description: Whether an earlier backup was good enough., type: bool}
    verified: {description: Whether the archive was read back and found whole., type: bool}
    bytes: {description: Size of the archive; in check mode the size expected., type: int}
    bytes_documents: {description: Raw size of the documents in it., type: int}
    bytes_files: {description: Size of the files in it., type: int}
    documents: {description: How many documents., type: int}
    invalid_documents:
      description: How many of them do not pass their collection's validator; C(mongorestore) loses them without C(--bypassDocumentValidation).
      type: int
    collections: {description: How many collections and views., type: int}
    components: {description: What else is in it., type: list, elements: str}
    missing: {description: "Optional entries of O(include) that were not there.", type: list, elements: str}
    lacking:
      description: What entries of O(include) lack at present of the files that the database names, or that they are not there though configured; by name.
      type: dict
      sample:
        uploads: empty, though the database names files in it (products.images, such as products/bowl.jpg)
    age_hours: {description: Age of its data., type: float}
    consistency: {description: "V(snapshot), V(oplog), V(locked) or V(none).", type: str}
    seconds: {description: Duration., type: float}
insufficient_space:
  description: Whether it failed for want of room on the file system of O(dest), so that making room and trying again may help.
  returned: when it did
  type: bool
path:
  description: The archive that was made or reused.
  returned: when there is one
  type: str
backup:
  description: The backup as M(miniecom.maintenance.backup_info) describes it.
  returned: when there is one
  type: dict
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run
from ..module_utils._operations.backup import MongoBackup
from ..module_utils._operations.connection import CONNECTION_ARGUMENTS, prepare_backup

SPEC = (
    ArgumentSpec(
        {
            "database": {"type": "str"},
            "dest": {"type": "path", "required": True},
            "include": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "path": {"type": "str", "required": True},
                    "container": {"type": "str"},
                    "optional": {"type": "bool", "default": False},
                    "configured_by": {"type": "str"},
                },
            },
            "fresh_within": {"type": "str", "default": "20h"},
            "compression": {"type": "str", "choices": ["fast", "small", "none"], "default": "fast"},
            # The path of a file is no secret; what is in it never leaves this process.
            "passphrase_file": {"type": "path", "no_log": False},
            "consistency": {
                "type": "str",
                "choices": ["auto", "snapshot", "oplog", "locked", "none"],
                "default": "auto",
            },
            "lock_timeout": {"type": "str", "default": "2m"},
            "min_free": {"type": "str", "default": "256MiB"},
            "check": {"type": "str", "choices": ["documents", "checksums"], "default": "documents"},
            "tags": {"type": "list", "elements": "str", "default": []},
        }
    )
    + CONNECTION_ARGUMENTS
    + RUN_ARGUMENTS
)


def main() -> None:
    run(MongoBackup, SPEC, prepare_backup)


if __name__ == "__main__":
    main()
