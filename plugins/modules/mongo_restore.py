#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prove that a backup restores, or restore it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mongo_restore
short_description: Prove that a backup of a MiniEcom shop restores, or restore it
version_added: 0.1.0
description:
  - O(mode=verify) restores the database of a backup into a throwaway mongod and compares what the server then gives back with what the backup says (document
    counts, the SHA-256 over all raw documents, collection options, indexes), and the files in the backup with its manifest.
  - The throwaway mongod keeps everything in a directory of its own, listens on one socket in it and on no network, and is gone afterwards.
    A run that is killed takes its server process with it; its directory, or its container, is removed by the next call or the next run.
  - Where the shop's MongoDB runs as a process of the host, the throwaway server is that process's own program. Where it runs in a container,
    it is a container of the same image without network. The shop's own server is neither written to nor read from.
  - Reads backups of M(miniecom.maintenance.mongo_backup), and those of the shop's own scripts, which have no such manifest and are compared
    with their own content. Their dump may be C(mongo.archive.gz) or C(mongo.archive), of one database, of one with its users and roles, or of a whole server.
    Other collections of the server's own are read, and not restored.
  - An oplog in the backup (O(miniecom.maintenance.mongo_backup#module:consistency=oplog), C(mongodump --oplog)) is read to its end and compared, and not
    replayed, neither in a test nor in a restore, which says so. What V(oplog) has made restores to the moment of its snapshot;
    C(mongorestore --oplogReplay) brings it to the end of the dump. A dump of C(mongodump --oplog) is not of one moment without its oplog.
  - With O(mode=verify) the SHA-256 of the archive must be that of its record, too, where the record fits by size and time. A byte that has changed
    is found wherever it stands, even where no checksum inside covers it.
  - Validators are bypassed. Documents that do not pass them are counted. C(mongorestore) restores them with C(--bypassDocumentValidation) only, and the
    shop's C(restore.sh), which runs it without, loses them.
  - That a restore succeeded, and how long it took, is recorded beside the archive and shown by M(miniecom.maintenance.backup_info). An archive that had no
    record counts as verified from then on. Where a record stands that the archive does not fit any more, a new one is made only if size and SHA-256 of
    the archive are still those of the record.
  - That the archive does not restore (damage, differences, documents or indexes that the server refuses, an assertion that does not
    hold) is recorded, too. It then no longer counts as verified, so that M(miniecom.maintenance.mongo_backup) does not reuse it and
    M(miniecom.maintenance.backup_prune) does not rely on it, until a restore of it succeeds. What speaks against the surroundings and not
    against the archive (no space, a mongod that does not start, a wrong passphrase) changes no record.
  - O(mode=restore) with O(server=live) restores the database of a backup, and its files if asked to, in the place of the live ones. The archive is first
    read to its end, all its checksums compared. Then each collection that differs is restored beside the live one and compared as in a test (documents,
    options, indexes). Only when all are proven they take the places of the live ones, each by a rename. The old ones are dropped only when all have done so
    and the old ones are as they were when they were looked at. What somebody wrote in between ends the restore. Collections that the backup does not hold
    stay as they are.
  - A server renames one collection at a time. How far it is stands in a journal in O(state_dir). Until the whole new set is in place the old one counts. A
    restore that fails puts it back at once; one that was killed is put in order by the next call, or by the next run on the host. Until then the shop must
    not be opened.
  - Documents are restored as the server had them, also such as do not pass their collection's validator. A time-series collection cannot be renamed and is
    made anew out of its proven copy. Users and roles are never restored into the live server.
  - The application's maintenance setting stays as it is now, whatever the backup has; all its other settings are those of the backup.
  - Whether somebody is connected to the server is looked at before anything is done and again before the places are taken. A user without the privilege
    C(inprog) sees those who are connected as the same user, which the application mostly is; where it sees nobody, a warning says that it may not know.
  - With O(components) it also restores uploads, invoices, labels and the configuration to where O(places) says that this installation reads them. Only
    files that differ are written. Each is unpacked beside the one that is there, read back and compared, and takes its place by a rename; the old ones come
    back with the database if anything fails. Files that the backup does not hold stay and are listed. A file that is replaced must be in the safety backup.
  - In a container's own layer nothing can be renamed while the container is stopped. What goes there is proven first, and the engine puts it there when
    all else is in place, and it is compared. Where that is cut off, the next call does it again. The same holds for the configuration, which comes last.
options:
  src:
    description:
      - The archive, or a directory of which the newest backup by name is taken that is not dated in the future. A file that cannot be a backup
        (empty, no archive, cut short) is passed over with a warning.
      - It may also be a file that C(mongodump --archive) has written, with or without C(--gzip), whatever its name. Its database is restored, and of a dump of
        a whole server the shop's alone; no record is kept beside it.
    type: path
    required: true
  mode:
    description: Whether the backup is to be tested or restored.
    type: str
    choices: [verify, restore]
    default: verify
  server:
    description: Where to. O(mode=verify) wants V(throwaway), O(mode=restore) V(live), so that nothing is overwritten by one slip.
    type: str
    choices: [throwaway, live]
    default: throwaway
  database:
    description: For O(mode=restore) the live database; by default that of the connection string. It need not exist.
    type: str
  from_database:
    description: For O(mode=restore) the shop's database in the backup, if it has another name there.
    type: str
  components:
    description:
      - For O(mode=restore) what is restored of the backup. V(config) is C(.env) and C(docker-compose.yml).
      - What the backup does not hold of it stays as it is, which is told.
    type: list
    elements: str
    choices: [database, uploads, invoices, labels, config]
    default: [database]
  places:
    description:
      - For O(mode=restore) where this installation reads its files, which need not be where those of the backup came from. The filter
        P(miniecom.maintenance.backup_include#filter) makes it of what M(miniecom.maintenance.context_info) has found, as for
        O(miniecom.maintenance.mongo_backup#module:include).
      - Every part of O(components) but the database must be in it; others are not looked at.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The part, such as V(uploads) or V(.env).
        type: str
        required: true
      path:
        description: Where it is, from the root on. A directory that is not there is made, with the owner and mode of the backup's.
        type: path
        required: true
      container:
        description: The container in which that path is, where it is in no directory of the host.
        type: str
      optional:
        description: Taken so that entries of C(include) fit; it changes nothing here.
        type: bool
        default: false
      configured_by:
        description: As O(places[].optional).
        type: str
  collections:
    description: For O(mode=restore) the collections to restore; by default all that the backup holds.
    type: list
    elements: str
    default: []
  safety_backup:
    description:
      - For O(mode=restore) the path of a verified backup of what is live now. It must be of this database, not older than the maintenance that is up
        (than a day where it was not put up by M(miniecom.maintenance.maintenance_flag)), and hold no fewer documents than there are.
      - Wanted as long as there are documents in the live database.
    type: path
  require_maintenance:
    description: For O(mode=restore) refuse while neither nginx nor the application turns visitors away. A database without documents has nothing to lose.
    type: bool
    default: true
  allow_clients:
    description: For O(mode=restore) go on while others are connected to the server, such as a monitor that only reads.
    type: bool
    default: false
  connect_timeout:
    description: Seconds to wait for the server.
    type: int
    default: 5
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.restore_test
  - miniecom.maintenance.mongo.address
  - miniecom.maintenance.docker
  - miniecom.maintenance.run
requirements:
  - pymongo >= 4.10.1 on the host
  - jmespath on the host, for O(assertions[].that)
seealso:
  - module: miniecom.maintenance.mongo_backup
  - module: miniecom.maintenance.backup_info
author:
  - miniecom.maintenance contributors (@miniecom)
"""

EXAMPLES = r"""
- name: Prove that the newest backup restores
  miniecom.maintenance.mongo_restore:
    src: /opt/miniecom/storage/backups
    env_file: /opt/miniecom/.env
    address: 127.0.0.1:27017

- name: Test one encrypted backup, and that there are orders of this year in it
  miniecom.maintenance.mongo_restore:
    src: /srv/backups/20261124_020000.tar.gz.enc
    passphrase_file: /root/backup.passphrase
    env_file: /opt/miniecom/.env
    work_dir: /srv/scratch
    assertions:
      - collection: orders
        filter: {createdAt: {$gt: {$date: "2026-01-01T00:00:00Z"}}}
      - name: no order is without items
        collection: orders
        filter: {items.0: {$exists: false}}
        min: 0
        max: 0
      - name: the newest order was at most two days old
        that: age_hours(samples.newest[0].createdAt) < `48`
        severity: warn
    samples:
      - name: newest
        collection: orders
        pipeline: [{$sort: {createdAt: -1}}, {$limit: 1}, {$project: {createdAt: 1}}]

- name: See what a restore would change
  miniecom.maintenance.mongo_restore:
    src: /opt/miniecom/storage/backups/20261124_020000.tar.gz
    mode: restore
    server: live
    env_file: /opt/miniecom/.env
    address: 127.0.0.1:27017
  check_mode: true
  diff: true

- name: Restore two collections, with the shop in maintenance and stopped
  miniecom.maintenance.mongo_restore:
    src: /opt/miniecom/storage/backups/20261124_020000.tar.gz
    mode: restore
    server: live
    collections: [products, categories]
    safety_backup: "{{ safety.path }}"
    env_file: /opt/miniecom/.env
    address: 127.0.0.1:27017

- name: Restore database and files, with the shop in maintenance and stopped
  miniecom.maintenance.mongo_restore:
    src: /opt/miniecom/storage/backups/20261124_020000.tar.gz
    mode: restore
    server: live
    components: [database, uploads, invoices, labels]
    places: "{{ shop.context | miniecom.maintenance.backup_include }}"
    safety_backup: "{{ safety.path }}"
    env_file: /opt/miniecom/.env
    address: 127.0.0.1:27017

- name: Test a backup on another machine
  miniecom.maintenance.mongo_restore:
    src: /mnt/offsite
    mongod_program: /usr/bin/mongod
"""

RETURN = r"""
plan:
  description: What was planned; the same in check mode.
  returned: always
  type: list
  elements: dict
kept:
  description: What was looked at and left alone, with a reason.
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
differences:
  description: What is not as the backup says, a sentence each; empty when it restores.
  returned: in the mode verify
  type: list
  elements: str
doubts:
  description: Assertions of the severity V(warn) that do not hold, a sentence each.
  returned: in the mode verify
  type: list
  elements: str
collections:
  description: Each collection of either side, with its documents now and then (buckets of a time-series collection).
  returned: in the mode restore
  type: list
  elements: dict
  contains:
    name: {description: Its name., type: str}
    type: {description: "collection, view or timeseries.", type: str}
    change: {description: "create, replace, same (it is as in the backup) or stays (it is not restored).", type: str}
    documents_now: {description: How many it holds; none where it does not exist., type: int}
    documents_then: {description: How many it will hold., type: int}
unsettled:
  description: The restore failed and its database could not be put in order, mostly since its server does not answer. Keep the shop closed, and run again.
  returned: in the mode restore, when it is so
  type: bool
staying:
  description: Names of the collections that are not restored and stay as they are.
  returned: in the mode restore
  type: list
  elements: str
files:
  description: Each part of O(components) that the backup holds, but the database.
  returned: in the mode restore
  type: list
  elements: dict
  contains:
    name: {description: The part., type: str}
    place: {description: "The directory its files are in; CONTAINER:PATH in a container.", type: str}
    files_created: {description: How many files are new there., type: int}
    files_replaced: {description: How many files have another content now., type: int}
    files_same: {description: How many files are as in the backup., type: int}
    files_staying: {description: How many files the backup does not hold; they stay., type: int}
    staying: {description: Their paths; at most 200., type: list, elements: str}
    replaced: {description: Paths of those that are replaced; at most 200., type: list, elements: str}
summary:
  description: The few numbers.
  returned: always
  type: dict
  contains:
    headline: {description: One sentence., type: str}
    path: {description: The archive., type: str}
    restored: {description: Whether it was restored and nothing differs., type: bool}
    documents: {description: How many documents were restored and compared., type: int}
    documents_before: {description: How many documents the same collections held before; in the mode restore., type: int}
    documents_live: {description: How many documents all collections of the database held before; in the mode restore., type: int}
    collections_same: {description: How many collections were as in the backup; in the mode restore., type: int}
    collections_staying: {description: How many collections are not restored and stay; in the mode restore., type: int}
    database: {description: The live database; in the mode restore., type: str}
    safety_backup: {description: The backup of what was live before; in the mode restore., type: str}
    maintenance_owner: {description: Who put up the maintenance that is up now; in the mode restore., type: str}
    lacking:
      description: What the backup lacks of the files that its database names, by name (C(uploads), C(invoices), C(labels)). It is not called restorable by the
        playbook C(assess) then.
      type: dict
    invalid_documents:
      description: How many of them do not pass their collection's validator; C(mongorestore) loses them without C(--bypassDocumentValidation).
      type: int
    collections: {description: How many collections., type: int}
    indexes: {description: How many indexes., type: int}
    bytes: {description: Raw size of the documents., type: int}
    files: {description: How many files of the backup were checked; in the mode restore how many are written., type: int}
    files_replaced: {description: How many of them stand in the place of another one; in the mode restore., type: int}
    files_staying: {description: How many files the backup does not hold; in the mode restore., type: int}
    manifest: {description: Whether the backup has a manifest of ours to compare with., type: bool}
    server_version: {description: Version of the throwaway server., type: str}
    backup_version: {description: Version of the server that was backed up., type: str}
    age_hours: {description: Age of the backup's data., type: float}
    differences: {description: How many differences., type: int}
    seconds: {description: Duration., type: float}
    seconds_start: {description: How long the throwaway server took to start., type: float}
    oplog_entries: {description: "With O(mode=verify), how many entries of an oplog in it were read, and not replayed.", type: int}
    seconds_restore: {description: How long the database took to be restored with its indexes; kept beside the archive., type: float}
    seconds_compare: {description: How long everything took to be read back and compared., type: float}
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run
from ..module_utils._docker.client import DOCKER_ARGUMENTS
from ..module_utils._mongo.client import ADDRESS_ARGUMENTS
from ..module_utils._operations.connection import prepare_connection
from ..module_utils._operations.restore_test import RESTORE_TEST_ARGUMENTS
from ..module_utils._operations.restoring import Restoring

SPEC = (
    ArgumentSpec(
        {
            "src": {"type": "path", "required": True},
            "mode": {"type": "str", "choices": ["verify", "restore"], "default": "verify"},
            "server": {"type": "str", "choices": ["throwaway", "live"], "default": "throwaway"},
            "database": {"type": "str"},
            "from_database": {"type": "str"},
            "components": {
                "type": "list",
                "elements": "str",
                "choices": ["database", "uploads", "invoices", "labels", "config"],
                "default": ["database"],
            },
            "places": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "path": {"type": "path", "required": True},
                    "container": {"type": "str"},
                    "optional": {"type": "bool", "default": False},
                    "configured_by": {"type": "str"},
                },
            },
            "collections": {"type": "list", "elements": "str", "default": []},
            "safety_backup": {"type": "path"},
            "require_maintenance": {"type": "bool", "default": True},
            "allow_clients": {"type": "bool", "default": False},
            "connect_timeout": {"type": "int", "default": 5},
        },
    )
    + RESTORE_TEST_ARGUMENTS
    + ADDRESS_ARGUMENTS
    + DOCKER_ARGUMENTS
    + RUN_ARGUMENTS
)


def main() -> None:
    run(Restoring, SPEC, prepare_connection)


if __name__ == "__main__":
    main()
