#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mongo_orphans
short_description: Finds, archives, purges and restores documents whose reference points nowhere
version_added: 0.1.0
description:
  - Looks up every reference of the shop's data, and reports those whose document is gone, with counts and some ids. By default it changes nothing.
  - With O(action=archive) it moves what it finds in the O(relations) named into a collection beside, C(<collection>__orphans), from where
    O(action=restore) puts it back byte by byte. At every instant each document is in its collection, in the archive, or in both, also when the
    module, the server or the network is cut off; the next run then finishes what was under way.
  - Archiving copies a batch onto the disks of most members, reads it back, looks each reference up again, removes only documents that are
    still what they were copied as, and looks each reference up a last time. What gained its reference meanwhile stays, or is put back.
  - Several hosts of one replica set may archive at once. What another run is about to remove is left alone, and nothing is removed whose copy another run
    has dropped or taken over.
  - Archiving refuses as a whole, before it changes anything, when the collection referred to is missing or empty, when no form of an id matches
    any type there, when more than O(max_percent) of a collection are orphans, when there are more than O(max_delete), when the server's disk has
    too little room, and where documents could not be put back (views, capped and time-series collections). The message has counts, types and
    examples. Every number that this rests on is counted, since the server's own is wrong after it was killed.
  - Malformed references, documents that do not decode and documents whose age is not known are never archived.
  - Archives are no part of the shop's data, and references in them are never looked at.
  - A reference counts as good when it is found in any form in which an id may be written, so that the text V(65a1...) finds the ObjectId of the same digits.
  - Null, absent and empty references, the text V(guest) and whatever else O(relations[].ignore) names are no orphans.
  - Values that cannot be equal to any key, such as a number where all keys are ObjectIds, or a list where one value is expected, are counted as
    incomparable and not as orphans.
  - Text that a program wrote in place of an id, V(undefined), V(null), V(NaN), V([object Object]) or V(ObjectId("...")), is counted as a malformed
    reference and not as an orphan; no document has gone there.
  - A relation is not judged when the collection referred to is missing or empty, or its key is null everywhere, since then everything would be an
    orphan; nor are references in a view that has a collation.
  - Documents younger than O(min_age) are not judged, and each orphan is looked up a second time after its document was read, so that what is
    inserted meanwhile is no orphan.
  - References are streamed in batches. Memory stays small on both sides, whatever the size of the collections, and an index on the field is used
    where there is one. Without an index, and with more than 300,000 keys, references and keys are put aside in a file without a name in Ansible's temporary
    directory on the host, about 32 bytes for each reference, if that takes no more than half of what is free there. It goes with the module, however that
    ends. Without that room the server groups the references, which takes several times as long.
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.mongo
  - miniecom.maintenance.mongo.address
  - miniecom.maintenance.docker
  - miniecom.maintenance.run
  - miniecom.maintenance.given
options:
  database:
    description: The database. Default is the one that the connection string names.
    type: str
  relations:
    description:
      - What refers to what. Default is the shop's own data model with all its references.
    type: list
    elements: dict
    suboptions:
      collection:
        description:
          - The collection that holds the references. Wildcards V(*) and V(?) stand for all collections that match, archives excepted, but where one is
            called just so.
        type: str
        required: true
      field:
        description: Path of the field, such as V(userId). V(items[].productId) is a field of each element of the list C(items).
        type: str
        required: true
      references:
        description: The collection referred to.
        type: str
        required: true
      key:
        description: The field there that is referred to. Any other than V(_id) needs an index.
        type: str
        default: _id
      optional:
        description: Whether null and absent are ordinary. If not, they count as orphans.
        type: bool
        default: true
      id_forms:
        description: Forms of one and the same id that are taken as equal.
        type: list
        elements: str
        choices: [objectid, hex_string]
        default: [objectid, hex_string]
      ignore:
        description: Text that stands for no reference.
        type: list
        elements: str
        default: ["", "guest"]
      unit:
        description:
          - What one orphan is. V(element) makes the last list on the path one whose elements are judged one by one, as V([]) in O(relations[].field) does.
          - Default is V(document), or V(element) where the field has V([]).
        type: str
        choices: [document, element]
      action:
        description:
          - What becomes of orphans of this relation. Default is O(action).
          - With O(action=report) nothing is archived, whatever stands here.
        type: str
        choices: [report, archive]
  action:
    description:
      - V(report) changes nothing.
      - V(archive) moves orphans of the O(relations) named into the archives of their collections; elements of lists are archived as elements.
      - V(purge) removes for good what was archived longer ago than O(grace).
      - V(restore) puts back what the run O(archive_run) archived, as it was. What would overwrite something is reported and stays in the archive.
      - For V(purge) and V(restore) O(relations) only narrow down which collections' archives are meant.
    type: str
    choices: [report, archive, purge, restore]
    default: report
  archive_run:
    description: What is restored, the RV(archive_run) of an earlier call, which is the id of its run where it had one.
    type: str
  min_age:
    description:
      - Documents younger than this are not judged, by the time in their C(_id) and their C(createdAt) (a date, or text like V(2026-11-29T03:00:00.000Z)),
        the later one. Such as V(1h) or V(7d).
      - Of documents whose elements are archived, C(updatedAt) counts as well. A document that says nothing of its age is archived only with V(0s).
      - Default is V(7d) for O(action=archive), and V(1h) for O(action=report).
    type: str
  grace:
    description: How long archived documents are kept from being purged.
    type: str
    default: 30d
  max_delete:
    description: The most orphans that may be archived with one call, or entries purged. Nothing is done where there are more. Required for O(action=archive).
    type: int
  max_percent:
    description: The most documents of a collection that may be orphans or hold some, in percent. Nothing is archived where there are more.
    type: float
    default: 5
  max_lag:
    description: Replica sets. Archiving, purging and restoring wait before each batch while a secondary is further behind.
    type: str
    default: 10s
  allow_business_records:
    description:
      - Collections of business records that may be archived and purged, by their exact names.
      - Orders, payments, refunds, invoices, shipments, coupon usage, loyalty and audit logs, and collections named like them, such as C(orders_2025),
        are only reported otherwise.
    type: list
    elements: str
    default: []
  samples:
    description: How many ids of documents to return for each relation.
    type: int
    default: 5
notes:
  - The user needs the role C(read) on the database, and C(readWrite) to archive, purge and restore; C(clusterMonitor) on C(admin) to see members lag.
  - On a replica set the files of a collection grow while documents are removed, to twice their size at most, and what comes free does so only after
    the server's snapshot window (C(minSnapshotHistoryWindowInSeconds), 300 seconds). Room for that is checked on the primary's disk. Compacting
    earlier would freeze the removed documents into the file, so each removal is noted on the host, and M(miniecom.maintenance.mongo_compact) waits.
  - The archive needs no restoring to be read. Each entry holds its document in C(content), beside C(run_id), C(archived_at) and the relation. Only
    a document that fits into no other, being 16 MiB large or nested 180 levels deep, is stored as bytes in parts.
  - On a replica set the primary is read, as a member that lags would make orphans of what it has not seen yet.
seealso:
  - module: miniecom.maintenance.mongo_info
author:
  - miniecom.maintenance contributors (@miniecom)
"""

EXAMPLES = r"""
- name: Report what points nowhere in the shop
  miniecom.maintenance.mongo_orphans:
    env_file: /opt/miniecom/.env
    address: 127.0.0.1:27017
  register: orphans

- name: Show relations that have orphans
  ansible.builtin.debug:
    msg: "{{ orphans.relations | selectattr('orphans') | list }}"

- name: Judge a field of one's own
  miniecom.maintenance.mongo_orphans:
    env_file: /opt/miniecom/.env
    min_age: 7d
    relations:
      - collection: gift_cards
        field: redemptions[].orderId
        references: orders
      - collection: notifications
        field: recipient
        references: users
        ignore: ["", "guest", "all"]

- name: Archive what hard deleted products leave behind
  miniecom.maintenance.mongo_orphans:
    env_file: /opt/miniecom/.env
    action: archive
    max_delete: 500
    relations:
      - collection: inventory
        field: productId
        references: products
      - collection: carts
        field: items[].productId
        references: products
  register: archived

- name: Put it all back
  miniecom.maintenance.mongo_orphans:
    env_file: /opt/miniecom/.env
    action: restore
    archive_run: "{{ archived.archive_run }}"

- name: Remove for good what has lain in the archives for three months
  miniecom.maintenance.mongo_orphans:
    env_file: /opt/miniecom/.env
    action: purge
    grace: 90d
"""

RETURN = r"""
changed:
  description: Whether documents were, or in check mode would be, archived, purged or restored.
  returned: always
  type: bool
plan:
  description: What was to be done, the same in check mode and in a real run.
  returned: always
  type: list
  elements: dict
  contains:
    action:
      description: V(settle) what a run that was cut off had under way, V(archive), V(purge) or V(restore).
      type: str
    target:
      description: Database, collection and field.
      type: str
    reason:
      description: How many, and why.
      type: str
    bytes:
      description: Bytes of the documents concerned.
      type: int
kept:
  description: What was looked at and stays, and why.
  returned: always
  type: list
  elements: dict
actions:
  description: The actions with their status, V(done), V(skipped) or V(failed).
  returned: always
  type: list
  elements: dict
counts:
  description: How many entries the lists have, which are cut at 200.
  returned: always
  type: dict
archive_run:
  description: What to give to O(archive_run) to put back what was archived; empty where nothing was.
  returned: with O(action=archive)
  type: str
archived_runs:
  description: Runs that the archives still hold something of, ten of each collection.
  returned: with O(action=restore)
  type: list
  elements: str
run_known:
  description: Whether O(archive_run) is a run of this host.
  returned: with O(action=restore)
  type: bool
collisions:
  description: What stays in the archive, since putting it back would overwrite something, or something else stands in the way.
  returned: with O(action=restore)
  type: list
  elements: dict
  contains:
    target:
      description: Collection and C(_id).
      type: str
    reason:
      description: What stands there.
      type: str
relations:
  description: The relations, each with what was found.
  returned: with O(action=report) and O(action=archive)
  type: list
  elements: dict
  contains:
    relation:
      description: Collection and field.
      type: str
    references:
      description: Collection and key referred to.
      type: str
    unit:
      description: What one orphan is, V(document) or V(element).
      type: str
    orphans:
      description: Number of orphans.
      type: int
    documents:
      description: Documents that hold them. With more than 50000 missing references, one that holds several may count more than once.
      type: int
    distinct_references:
      description: Different references that were looked up.
      type: int
    incomparable:
      description: Different values that no key can be equal to; never counted as orphans.
      type: int
    too_young:
      description: References that point nowhere so far, in documents younger than O(min_age).
      type: int
    malformed:
      description: Number of references that are text which never was an id, such as V(undefined).
      type: int
    malformed_samples:
      description: Ids of some of the documents that hold them.
      type: list
      elements: str
    samples:
      description: Ids of some of the documents. An _id that is neither an ObjectId nor a number is not shown, since it may be personal.
      type: list
      elements: str
    judged:
      description: Whether anything can be said.
      type: bool
    reason:
      description: Why not.
      type: str
  sample:
    - relation: inventory.productId
      references: products._id
      unit: document
      orphans: 3
      documents: 3
      distinct_references: 3
      incomparable: 0
      too_young: 0
      malformed: 0
      malformed_samples: []
      samples: [65a1b2c3d4e5f60718293a4b]
      judged: true
      reason: ""
summary:
  description: The few numbers a person wants.
  returned: success
  type: dict
  contains:
    headline:
      description: One sentence.
      type: str
    orphans:
      description: Orphans of all relations.
      type: int
    documents:
      description: Documents that hold them, counted for each relation.
      type: int
    malformed:
      description: Malformed references of all relations.
      type: int
    relations_judged:
      description: How many relations were judged.
      type: int
    relations_not_judged:
      description: How many were not.
      type: int
    archived:
      description: With O(action=archive), orphans that were, or would be, archived.
      type: int
    entries_purged:
      description: With O(action=purge), entries that were, or would be, removed for good.
      type: int
    restored:
      description: With O(action=restore), documents that were, or would be, put back, and documents whose elements were.
      type: int
    collisions:
      description: With O(action=restore), what cannot be put back without overwriting something.
      type: int
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.runner import run
from ..module_utils._mongo.orphan_task import MongoOrphans
from ..module_utils._operations.connection import prepare_connection
from ..module_utils._operations.mongo_arguments import MONGO_ORPHANS_ARGUMENTS

SPEC = MONGO_ORPHANS_ARGUMENTS


def main() -> None:
    run(MongoOrphans, SPEC, prepare_connection)


if __name__ == "__main__":
    main()
