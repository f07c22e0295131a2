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
  - The server stops where less than a tenth of what is left of a file is free, so that on a standalone, too, up to 15 percent less than predicted
    may come free of a file that is about half free; of one that is free by four fifths and more it is less than 3 percent.
  - Reads and writes go on while a collection is compacted. Creating or dropping an index on it waits, and makes writes to that collection wait meanwhile.
  - Compacts the member of a replica set that is connected to, and no other, or with O(members=rolling) one member after the other.
  - Compactions run one after the other. A compaction cannot be stopped once it runs, so none is begun that may not fit into O(time_budget).
  - Time-series collections are compacted where the server does so. It does not tell beforehand; where it does not, the action is skipped.
  - On a replica set the free bytes are a rough guide, since the server counts as used what snapshots may still read; more or less may come free.
    What is worth it is decided there by the free bytes and by what the last three compactions of the same collection on the same member freed of
    what was predicted, as far as this host knows them. Where two or more freed less than a quarter, in files that have not grown by a quarter since,
    the free space is scattered and compaction will not mend it. The collection is left alone then, and the initial sync that would is named.
  - A collection of which this collection of modules has removed documents is left alone until no snapshot can read them any more
    (C(minSnapshotHistoryWindowInSeconds) of the server, 5 minutes by default); compacting earlier would keep their space for good.
    The same holds for what others have removed, such as the shop or a TTL index, from a twentieth of what there is to get on. The server's counters of
    deletions do not say when, so the member's oplog is read (C(find) on C(local.oplog.rs)); a warning says where that is not allowed.
  - Whether the member is the primary is looked at again right before each compaction, since not every server refuses to compact a primary.
  - Views, capped and system collections, and the databases C(admin), C(config) and C(local), are left alone.
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.mongo
  - miniecom.maintenance.mongo.address
  - miniecom.maintenance.docker
  - miniecom.maintenance.run
  - miniecom.maintenance.given
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
      - A compaction is estimated at 40 MiB a second, which is cautious, and is not begun when the rest of the budget is shorter. It is told as
        deferred, and has the first claim on the time at the next call, on whatever member it is. The order of the members stays.
    type: str
  members:
    description:
      - Which members of a replica set are compacted. V(connected) is the one that is connected to.
      - V(rolling) goes through all that hold data, each over a connection of its own to the name that the set has for it, which this host must
        be able to reach. Hidden members come first, then the other secondaries, one at a time, the primary last and as O(primary) says.
        Right before each compaction the member must be healthy and at most O(max_lag) behind, a majority of the others must be up, and no
        other member may compact; afterwards the member is waited for until it has caught up.
      - With V(rolling) the document C(busy member) in the collection C(miniecom_maintenance_lease) of the database, written to a majority, keeps
        several hosts of one set from having two members busy. Another host's turn is waited for by nobody, what it keeps from being done is skipped.
      - A call that was killed leaves that document behind. The next call on the same host takes it over at once, one on another host after a minute.
        It first waits, within O(time_budget), for what the server still compacts for the dead call, and lets a member be elected again that was
        made to step down.
      - A standalone is compacted the same way with either.
    type: str
    choices: [connected, rolling]
    default: connected
  primary:
    description:
      - What to do with the primary of a replica set. V(skip) does not compact it and says so, V(force) compacts it all the same.
      - V(stepdown), only with O(members=rolling), makes another member the primary first, compacts the one that has stepped down as the secondary
        that it is then, and waits until it may be elected again. Which member is the primary afterwards is the set's affair. Writers notice an election
        of about a second.
    type: str
    choices: [skip, stepdown, force]
    default: skip
  max_lag:
    description: A secondary that is further behind the primary than this is not compacted, beyond a delay that it is to have.
    type: str
    default: 10s
  force:
    description:
      - Compact also secondaries of versions before 4.4.17, 5.0.12 and 6.0.2, which do not replicate while they compact. They are refused otherwise.
    type: bool
    default: false
notes:
  - The user needs the role C(dbAdmin) on the database. With C(fsync) and C(inprog) on the cluster (C(hostManager) and C(clusterMonitor)) the
    figures are fresh and other users' compactions are seen.
  - With O(members=rolling) it also needs C(readWrite) on the database, C(clusterMonitor), and for O(primary=stepdown) the privilege
    C(replSetStateChange) of C(clusterManager). The user C(maintainer) of M(miniecom.maintenance.mongo_users) has what is needed.
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

- name: Compact all members of a replica set, one after the other, the primary after it has stepped down
  miniecom.maintenance.mongo_compact:
    env_file: /opt/miniecom/.env
    members: rolling
    primary: stepdown
    time_budget: 2h
"""

RETURN = r"""
changed:
  description: Whether space came free; in check mode whether any collection would be compacted.
  returned: always
  type: bool
plan:
  description: What to compact, most rewarding first; with O(members=rolling) member by member.
  returned: always
  type: list
  elements: dict
  contains:
    action:
      description: V(compact), or V(step_down) and V(stand_again) around the compactions of a primary.
      type: str
    target:
      description: Database and collection, with O(members=rolling) also the member.
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
      reason: "nothing to reclaim: 0 B of 12.0 MiB free"
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
    member:
      description: Name of the member with O(members=rolling), else empty.
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
    bytes_counted:
      description: What the server's counters alone promised right before.
      type: int
    bytes_freed:
      description: What came free; negative where the collection grew meanwhile.
      type: int
    seconds:
      description: How long it took.
      type: float
deferred:
  description: What would be worth it, and had to be left for the next time for want of time.
  returned: always
  type: list
  elements: dict
  sample:
    - target: miniecom.audit_logs
      reason: "deferred: may take 8 min 20 s, and 3 min 5 s of time_budget are left"
initial_sync:
  description: Collections of a replica set that compaction has failed to shrink again and again, and that an initial sync of the member would.
  returned: always
  type: list
  elements: dict
  contains:
    namespace:
      description: Database and collection.
      type: str
    member:
      description: Name of the member with O(members=rolling), else empty.
      type: str
    bytes:
      description: Files of collection and indexes.
      type: int
    data_bytes:
      description: The documents' size as BSON.
      type: int
    reusable_bytes:
      description: What is free in the files.
      type: int
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
      description: Bytes that were expected. Mostly right to within 3 % where two fifths and more of large files are free and a checkpoint has been written.
      type: int
    bytes_predicted_least:
      description:
        - Bytes that came free at the least in all that was measured. Where in a file the documents lie, which the server does not tell,
          decides how much more it is.
        - V(0) on a replica set, where the server's counters are a rough guide.
      type: int
    collections_compacted:
      description: How many were compacted; the same one on several members counts as often.
      type: int
    collections_kept:
      description: How many were left alone.
      type: int
    collections_deferred:
      description: How many were left for the next time for want of time.
      type: int
    seconds:
      description: How long the module took.
      type: float
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.runner import run
from ..module_utils._mongo.compacting import MongoCompact
from ..module_utils._operations.connection import prepare_connection
from ..module_utils._operations.mongo_arguments import MONGO_COMPACT_ARGUMENTS

SPEC = MONGO_COMPACT_ARGUMENTS


def main() -> None:
    run(MongoCompact, SPEC, prepare_connection)


if __name__ == "__main__":
    main()
