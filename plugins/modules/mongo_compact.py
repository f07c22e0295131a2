#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mongo_compact
short_description: Gives disk space of deleted documents back to the file system
version_added: 0.1.0
description:
  - Compacts the collections that are worth it, and says of the others why not.
  - Whether a collection is worth it is decided from the free bytes in its files and those of its indexes, as the server counts them, less what experience says
    that the server will not give back. What came free is measured in the files before and after, and set against the prediction.
  - Reads and writes go on while a collection is compacted. Creating or dropping an index on it waits, and makes writes to that collection wait meanwhile.
  - Compacts the member of a replica set that is connected to, and no other.
  - Compactions run one after the other. A compaction cannot be stopped once it runs, so none is begun that may not fit into O(time_budget).
  - Time-series collections are compacted where the server does so. It does not tell beforehand; where it does not, the action is skipped.
  - On a replica set the free bytes are a rough guide, since the server counts as used what snapshots may still read; more or less may come free.
  - A collection of which this collection of modules has removed documents is left alone until no snapshot can read them any more
    (C(minSnapshotHistoryWindowInSeconds) of the server, 5 minutes by default); compacting earlier would keep their space for good.
  - Whether the member is the primary is looked at again right before each compaction, since not every server refuses to compact a primary.
  - Views, capped and system collections, and the databases C(admin), C(config) and C(local), are left alone.
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.mongo
  - miniecom.maintenance.mongo.address
  - miniecom.maintenance.docker
  - miniecom.maintenance.run
attributes:
  check_mode:
    details:
      - Stops after planning. The server's figures are then as of its last checkpoint, up to a minute ago, since check mode does not even write a checkpoint.
      - The server decides what it gives back, so the bytes are an estimate.
  idempotent:
    details: Changed only where at least 64 KiB came free.
options:
  databases:
    description: Databases to look at. Default is the one that the connection string names.
    type: list
    elements: str
    default: []
  collections:
    description: Collections to look at, in each of the databases. Default is all. A name that is in none of the databases is an error.
    type: list
    elements: str
    default: []
  min_reclaimable:
    description: Least size that compacting a collection must give back, such as V(64MiB).
    type: str
    default: 256MiB
  min_ratio:
    description: The same as a share of the size of the collection's files with its indexes, from V(0) to V(1). Both must be reached.
    type: float
    default: 0.25
  time_budget:
    description:
      - How long all compactions together may take, such as V(45m). Default is no limit.
      - A compaction is estimated at 40 MiB a second, which is cautious, and is not begun when the rest of the budget is shorter.
    type: str
  primary:
    description:
      - What to do when the connected member is the primary of a replica set. V(skip) compacts nothing and says so, V(force) compacts it all the same.
    type: str
    choices: [skip, force]
    default: skip
  max_lag:
    description: A secondary that is further behind the primary than this is not compacted.
    type: str
    default: 10s
notes:
  - The user needs the role C(dbAdmin) on the database. With C(fsync) and C(inprog) on the cluster (C(hostManager) and C(clusterMonitor)) the
    figures are fresh and other users' compactions are seen.
  - Servers before 4.4 are refused, since they block the whole database.
seealso:
  - module: miniecom.maintenance.mongo_info
author:
  - miniecom.maintenance contributors (@miniecom)
"""

EXAMPLES = r"""
- name: Compact what is worth it, on a shop in compose
  miniecom.maintenance.mongo_compact:
    env_file: /opt/miniecom/.env
    address: 127.0.0.1:27017
    time_budget: 45m

- name: See what two collections would give back
  miniecom.maintenance.mongo_compact:
    env_file: /opt/miniecom/.env
    collections: [orders, audit_logs]
    min_reclaimable: 64MiB
    min_ratio: 0.1
  check_mode: true
  diff: true

- name: Compact on a server that speaks TLS, whose authority the container knows by another path
  miniecom.maintenance.mongo_compact:
    env_file: /opt/miniecom/.env
    address: 127.0.0.1:27017
    tls_files:
      /certs/ca.pem: /opt/miniecom/certs/ca.pem

- name: Compact one secondary of a replica set
  miniecom.maintenance.mongo_compact:
    uri: "mongodb://{{ user }}:{{ password | urlencode | replace('/', '%2F') }}@mongo1/miniecom?authSource=admin&replicaSet=rs0"
    address: mongo2.example.com:27017
    max_lag: 5s
"""

RETURN = r"""
changed:
  description: Whether space came free; in check mode whether any collection would be compacted.
  returned: always
  type: bool
plan:
  description: What to compact, most rewarding first.
  returned: always
  type: list
  elements: dict
  contains:
    action:
      description: Always V(compact).
      type: str
    target:
      description: Database and collection.
      type: str
    reason:
      description: How much is free.
      type: str
    bytes:
      description: What compacting is expected to give back.
      type: int
    predicted:
      description: The server decides, the bytes are an estimate.
      type: bool
  sample:
    - action: compact
      target: miniecom.audit_logs
      reason: 926.2 MiB of 1.2 GiB free
      bytes: 971149312
      predicted: true
kept:
  description: Collections left alone, and why.
  returned: always
  type: list
  elements: dict
  sample:
    - target: miniecom.users
      reason: nothing to reclaim
actions:
  description: What was done, with the measured bytes and seconds.
  returned: always
  type: list
  elements: dict
  sample:
    - action: compact
      target: miniecom.audit_logs
      status: done
      bytes: 970997760
      seconds: 4.2
collections:
  description: For each collection compacted, its size before and after.
  returned: always
  type: list
  elements: dict
  contains:
    namespace:
      description: Database and collection.
      type: str
    bytes_before:
      description: Files of collection and indexes before.
      type: int
    bytes_after:
      description: The same afterwards.
      type: int
    bytes_predicted:
      description: What was expected to come free.
      type: int
    bytes_freed:
      description: What came free; negative where the collection grew meanwhile.
      type: int
    seconds:
      description: How long it took.
      type: float
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
      description: Bytes freed; in check mode as predicted.
      type: int
    bytes_freed:
      description: Bytes that came free.
      type: int
    bytes_predicted:
      description: Bytes that were expected.
      type: int
    collections_compacted:
      description: How many were compacted.
      type: int
    collections_kept:
      description: How many were left alone.
      type: int
    seconds:
      description: How long the module took.
      type: float
"""

from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run
from ..module_utils._mongo.compacting import MongoCompact
from ..module_utils._operations.connection import CONNECTION_ARGUMENTS, prepare_connection

SPEC = (
    ArgumentSpec(
        {
            "databases": {"type": "list", "elements": "str", "default": []},
            "collections": {"type": "list", "elements": "str", "default": []},
            "min_reclaimable": {"type": "str", "default": "256MiB"},
            "min_ratio": {"type": "float", "default": 0.25},
            "time_budget": {"type": "str"},
            "primary": {"type": "str", "choices": ["skip", "force"], "default": "skip"},
            "max_lag": {"type": "str", "default": "10s"},
        }
    )
    + CONNECTION_ARGUMENTS
    + RUN_ARGUMENTS
)


def main() -> None:
    run(MongoCompact, SPEC, prepare_connection)


if __name__ == "__main__":
    main()
