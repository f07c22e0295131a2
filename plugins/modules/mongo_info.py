#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mongo_info
short_description: Tells what a MongoDB server holds, what of it is free, and how it is doing
version_added: 0.1.0
description:
  - Returns kind and version of the server, sizes of databases, collections and indexes, the bytes in them that compacting would give back, how
    often each index is used, and the server's health.
  - Reads statistics and indexes only, never documents, and returns nothing of the content of operations.
  - Tells which indexes another one covers, and which no member of the replica set has used for 30 days. A server counts the use of an index from its
    own start, so each real run keeps what it saw in O(state_dir), and what was seen is added up. The time between the last look and a restart
    does not count.
  - Tells how fast the files of each database grow, and when the file system of the server's data will be full. For this each real run keeps the
    sizes in O(state_dir), one figure a day; a forecast needs figures of 3 days.
  - What the user may not read is returned as null, with a warning that names the role.
extends_documentation_fragment:
  - miniecom.maintenance.attributes.info
  - miniecom.maintenance.mongo
  - miniecom.maintenance.mongo.address
  - miniecom.maintenance.docker
  - miniecom.maintenance.run
attributes:
  check_mode:
    details: What was seen of the use of indexes and of sizes is not kept.
options:
  databases:
    description:
      - Databases to describe. Default is the one that the connection string names, or when it names none all that the user may see except C(admin),
        C(config) and C(local).
    type: list
    elements: str
    default: []
  collections:
    description: Collections to describe, in each of the databases. Default is all.
    type: list
    elements: str
    default: []
  count_time:
    description:
      - How long to count documents, for all collections together, such as V(1m). The server itself ends what takes longer, and the smallest files
        come first. V(0) leaves it out.
      - Counting reads the index of C(_id) and no documents. It finds what the statistics do not know, as after a server was killed.
    type: str
    default: 10s
notes:
  - Where the connection string names a replica set and one host, that host is described and not the primary.
  - Free bytes are as of the server's last checkpoint, which it takes every minute.
  - Of more than 200 collections the 200 largest are returned; the totals are of all.
seealso:
  - module: miniecom.maintenance.mongo_compact
  - module: miniecom.maintenance.mongo_reindex
author:
  - miniecom.maintenance contributors (@miniecom)
"""

EXAMPLES = r"""
- name: Look at the shop's database
  miniecom.maintenance.mongo_info:
    env_file: /opt/miniecom/.env
    address: 127.0.0.1:27017
  register: mongo

- name: Show the collections that waste most
  ansible.builtin.debug:
    msg: "{{ mongo.collections | sort(attribute='reclaimable_bytes', reverse=true) | map(attribute='name') | first }}"

- name: Show indexes that nobody uses
  ansible.builtin.debug:
    msg: "{{ mongo.unused_indexes }}"
  when: mongo.unused_indexes

- name: Describe one collection
  miniecom.maintenance.mongo_info:
    env_file: /opt/miniecom/.env
    collections: [orders]
"""

RETURN = r"""
server:
  description: The server.
  returned: success
  type: dict
  contains:
    address:
      description: Host and port that were connected to.
      type: str
    version:
      description: As the server reports it.
      type: str
    topology:
      description: V(standalone), V(replica set) or V(mongos).
      type: str
    state:
      description: V(primary), V(secondary), V(arbiter) or V(other); V(primary) on a standalone.
      type: str
    set_name:
      description: Name of the replica set.
      type: str
    authorization:
      description: Whether the server asks for credentials; null when the user may not read it.
      type: bool
    bind:
      description: Addresses that the server listens on by its settings; null when not set, or when the user may not read it.
      type: str
databases:
  description:
    - The databases, with collections, indexes, documents and bytes.
    - C(growth) says how fast the files grow by what earlier runs saw on this server. Its C(days_until_full) is null where that is not known, or where
      they do not grow, and C(reason) says why.
  returned: success
  type: list
  elements: dict
  sample:
    - name: miniecom
      collections: 43
      views: 0
      indexes: 120
      documents: 1200000
      data_bytes: 1153433600
      storage_bytes: 524288000
      index_bytes: 104857600
      reusable_bytes: 335544320
      free_share: 0.5333
      filesystem_bytes: 107374182400
      filesystem_free_bytes: 53687091200
      growth:
        bytes_per_day: 52428800
        days_until_full: 1024.0
        samples: 12
        span_days: 77.0
        reason: null
collections:
  description: The collections, largest first, each with its indexes.
  returned: success
  type: list
  elements: dict
  contains:
    database:
      description: Its database.
      type: str
    name:
      description: Its name.
      type: str
    kind:
      description: V(collection), V(capped), V(view), V(timeseries) or V(system).
      type: str
    documents:
      description: Number of documents, from the statistics; wrong after a server was killed, and V(0) of time-series, of which they tell none.
      type: int
    documents_counted:
      description: Number of documents as counted; null where O(count_time) did not reach, and for views, time-series and clustered collections.
      type: int
    data_bytes:
      description: Size of the documents.
      type: int
    storage_bytes:
      description: Length of its file.
      type: int
    reusable_bytes:
      description: Bytes in that file which hold nothing.
      type: int
    free_share:
      description: Share of all its files, those of its indexes included, that holds nothing, from V(0) to V(1).
      type: float
    index_bytes:
      description: Length of all its indexes' files.
      type: int
    index_reusable_bytes:
      description: Bytes in those which hold nothing.
      type: int
    reclaimable_bytes:
      description: What compacting is expected to give back, indexes included.
      type: int
    indexes:
      description:
        - Each index with keys, bytes, reusable_bytes, free_share, reclaimable_bytes, accesses and accesses_since on this member, unique, ttl_seconds,
          unused, and rested_days, for how many days all members are known not to have used it.
      type: list
      elements: dict
unused_indexes:
  description:
    - Indexes that every member that holds data is known not to have used for 30 days, and that serve neither uniqueness nor expiry, as
      V(database.collection.index). None while a member cannot be asked.
  returned: success
  type: list
  elements: str
redundant_indexes:
  description:
    - Indexes that another one of their collection covers, V(duplicate) with the same keys, V(prefix) with more. Never unique and TTL indexes, and none that is
      partial, sparse, of another collation, or no plain one. A query that names one in its C(hint) still needs it.
  returned: success
  type: list
  elements: dict
  sample:
    - name: miniecom.orders.userId_1
      covered_by: userId_1_createdAt_-1
      kind: prefix
      bytes: 1048576
wrong_counts:
  description: Collections whose statistics do not know how many documents they have, as V(database.collection).
  returned: success
  type: list
  elements: str
health:
  description: Uptime, connections, the operation that runs longest, members, replication lag and oplog window.
  returned: success
  type: dict
  sample:
    uptime_seconds: 86400
    connections: {current: 12, available: 51188}
    oldest_operation: {operation: find, namespace: miniecom.orders, seconds: 0.2, waiting_for_lock: false}
    members: []
    replication_lag_seconds: null
    oplog_window_seconds: null
summary:
  description: The few numbers a person wants.
  returned: success
  type: dict
  contains:
    headline:
      description: One sentence.
      type: str
    storage_bytes:
      description: Bytes on disk of all collections described, indexes included.
      type: int
    reusable_bytes:
      description: Bytes of these which hold nothing.
      type: int
    reclaimable_bytes:
      description: What compacting is expected to give back.
      type: int
    collections:
      description: Number of collections described.
      type: int
    indexes:
      description: Number of indexes of the collections described.
      type: int
    unused_indexes:
      description: Number of unused indexes.
      type: int
    redundant_indexes:
      description: Number of indexes that another one covers.
      type: int
    collections_counted:
      description: Number of collections whose documents were counted.
      type: int
    wrong_counts:
      description: Number of collections whose statistics are wrong about that.
      type: int
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run_info
from ..module_utils._mongo.information import read_information
from ..module_utils._operations.connection import CONNECTION_ARGUMENTS, prepare_connection

SPEC = (
    ArgumentSpec(
        {
            "databases": {"type": "list", "elements": "str", "default": []},
            "collections": {"type": "list", "elements": "str", "default": []},
            "count_time": {"type": "str", "default": "10s"},
        }
    )
    + CONNECTION_ARGUMENTS
    + RUN_ARGUMENTS
)


def main() -> None:
    run_info(read_information, SPEC, prepare_connection)


if __name__ == "__main__":
    main()
