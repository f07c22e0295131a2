#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mongo_reindex
short_description: Builds the indexes of named collections anew, or validates collections
version_added: 0.1.0
description:
  - With O(mode=rebuild), the C(reIndex) of a standalone server. It keeps readers and writers of the collection waiting until it is done, so the shop
    is to be in maintenance; see O(require_maintenance).
  - The server drops all indexes of a collection first, and whatever ends it before its end leaves the collection without them, the one of C(_id)
    included. So their definitions are written into O(state_dir) before, and removed only once all are there again and in the server's journal. After a kill
    of module, server or host the next call, or the next run on the host, makes again what is missing before anything else. Until then a unique
    index guards nothing; where documents of one key were written meanwhile, it says so and keeps the definitions.
  - A member of a replica set refuses C(reIndex). There nothing is done, and RV(instead) says what to do, with the numbers. Compaction shrinks the files of
    indexes as well and keeps nobody waiting (M(miniecom.maintenance.mongo_compact)), so a rebuild is seldom worth it.
  - With O(mode=validate), has the server check collections and indexes on the member that is connected to. In the background reads and writes go on,
    and nothing is changed. In the foreground writers of the collection wait; it alone mends the count of documents that is wrong after a server was killed (not
    of an empty collection; that is mended once it holds a document again and is validated then). Nothing is ever repaired.
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.mongo
  - miniecom.maintenance.mongo.address
  - miniecom.maintenance.docker
  - miniecom.maintenance.run
attributes:
  check_mode:
    details: Stops after planning. What a rebuild gains is a rough guide, half-full pages come on top of the free bytes.
  idempotent:
    support: partial
    details: With O(min_reclaimable=0) indexes are rebuilt each time. Validating changes nothing but wrong counts.
options:
  mode:
    description: What to do.
    type: str
    choices: [rebuild, validate]
    default: rebuild
  databases:
    description: Databases to look at. Default is the one that the connection string names.
    type: list
    elements: str
    default: []
  collections:
    description:
      - Collections to work on, in each of the databases. A name that is in none of them is an error.
      - Wanted for O(mode=rebuild); for O(mode=validate) default is all.
    type: list
    elements: str
    default: []
  min_reclaimable:
    description:
      - For O(mode=rebuild), how much of the files of a collection's indexes must be free for them to be built anew, such as V(64MiB).
      - V(0) rebuilds them whatever is free, as where validating has found fault with them.
    type: str
    default: 1MiB
  foreground:
    description: For O(mode=validate), validate in the foreground. Writers of the collection wait, and wrong counts are mended.
    type: bool
    default: false
  full:
    description: For O(mode=validate) with O(foreground=true), check the whole structure of the files. It takes longer.
    type: bool
    default: false
  require_maintenance:
    description:
      - Refuse what keeps the shop waiting, a rebuild or validating in the foreground, while neither nginx nor the application turns visitors away.
      - V(false) is for a server that serves no visitors, as a member of a replica set that was taken out and started alone.
    type: bool
    default: true
notes:
  - The user needs the role C(dbAdmin) on the database, and may read its collection C(settings); with C(fsync) and C(inprog) on the cluster (C(hostManager) and
    C(clusterMonitor)) the figures are fresh. The playbook C(database_users) makes a user who may do exactly this.
seealso:
  - module: miniecom.maintenance.mongo_compact
  - module: miniecom.maintenance.mongo_info
  - module: miniecom.maintenance.maintenance_flag
author:
  - miniecom.maintenance contributors (@miniecom)
"""

EXAMPLES = r"""
- name: Rebuild the indexes of two collections while the shop is in maintenance
  miniecom.maintenance.mongo_reindex:
    env_file: /opt/miniecom/.env
    address: 127.0.0.1:27017
    collections: [orders, sessions]

- name: See what a rebuild would do
  miniecom.maintenance.mongo_reindex:
    env_file: /opt/miniecom/.env
    collections: [orders]
    require_maintenance: false
  check_mode: true
  diff: true

- name: Check all collections while the shop goes on
  miniecom.maintenance.mongo_reindex:
    mode: validate
    env_file: /opt/miniecom/.env

- name: Mend a count that mongo_info has found wrong, while the shop is in maintenance
  miniecom.maintenance.mongo_reindex:
    mode: validate
    foreground: true
    env_file: /opt/miniecom/.env
    collections: [orders]
"""

RETURN = r"""
changed:
  description: Whether indexes were rebuilt or made again, or a count was mended; in check mode whether they would be.
  returned: always
  type: bool
plan:
  description: What to do.
  returned: always
  type: list
  elements: dict
  sample:
    - action: rebuild
      target: miniecom.orders
      reason: 5 indexes, 12.4 MiB of 20.0 MiB free
      bytes: 13002342
      predicted: true
kept:
  description: Collections left alone, and why.
  returned: always
  type: list
  elements: dict
  sample:
    - target: miniecom.users
      reason: "8.0 KiB of 60.0 KiB of its indexes are free: below min_reclaimable (1.0 MiB)"
actions:
  description: What was done, V(complete), V(rebuild) or V(validate).
  returned: always
  type: list
  elements: dict
  sample:
    - action: rebuild
      target: miniecom.orders
      status: done
      bytes: 13100000
      seconds: 3.1
collections:
  description: For each collection whose indexes were rebuilt, their sizes before and after.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: Database and collection.
      type: str
    bytes_before:
      description: Files of its indexes before.
      type: int
    bytes_after:
      description: The same afterwards.
      type: int
    indexes:
      description: Each index with name, bytes_before and bytes_after.
      type: list
      elements: dict
    made_again:
      description: Indexes that were lost on the way, and made again.
      type: list
      elements: str
validations:
  description: For each collection that was validated, what was found.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: Database and collection.
      type: str
    valid:
      description: Whether the server found nothing wrong.
      type: bool
    foreground:
      description: Whether it was done in the foreground.
      type: bool
    documents:
      description: Number of documents as validating has counted them.
      type: int
    count_before:
      description: Number of documents by the statistics, before.
      type: int
    count_after:
      description: The same afterwards.
      type: int
    invalid_documents:
      description: Number of documents that do not decode.
      type: int
    errors:
      description: What is wrong, the first five sentences.
      type: list
      elements: str
    warnings:
      description: What else the server says, the first five sentences.
      type: list
      elements: str
instead:
  description: Where the server does not rebuild, what to do, step by step.
  returned: success
  type: list
  elements: str
counts:
  description: How many entries the lists have, which are cut at 200.
  returned: always
  type: dict
summary:
  description: The few numbers a person wants.
  returned: always
  type: dict
  contains:
    headline:
      description: One sentence.
      type: str
    bytes:
      description: Bytes by which the files of indexes became smaller; in check mode as far as it is known.
      type: int
    collections_rebuilt:
      description: Number of collections whose indexes were built anew.
      type: int
    collections_validated:
      description: Number of collections validated.
      type: int
    collections_invalid:
      description: Number of those in which something is wrong.
      type: int
    collections_kept:
      description: Number of collections left alone.
      type: int
    collections_completed:
      description: Number of rebuilds that had not ended and were completed.
      type: int
    indexes_made_again:
      description: Number of indexes that these had lost.
      type: int
    counts_mended:
      description: Number of collections whose count of documents was mended.
      type: int
    seconds:
      description: How long the module took.
      type: float
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run
from ..module_utils._operations.connection import CONNECTION_ARGUMENTS, prepare_connection
from ..module_utils._operations.reindex import MongoReindex

SPEC = (
    ArgumentSpec(
        {
            "mode": {"type": "str", "choices": ["rebuild", "validate"], "default": "rebuild"},
            "databases": {"type": "list", "elements": "str", "default": []},
            "collections": {"type": "list", "elements": "str", "default": []},
            "min_reclaimable": {"type": "str", "default": "1MiB"},
            "foreground": {"type": "bool", "default": False},
            "full": {"type": "bool", "default": False},
            "require_maintenance": {"type": "bool", "default": True},
        }
    )
    + CONNECTION_ARGUMENTS
    + RUN_ARGUMENTS
)


def main() -> None:
    run(MongoReindex, SPEC, prepare_connection)


if __name__ == "__main__":
    main()
