#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mongo_compact
short_description: Gives disk space of deleted documents back to the file system
description:
  - Compacts the collections that are worth it, and says of the others why not.
  - Whether a collection is worth it is decided from the free bytes in its files and those of its indexes, as the server counts them, less what experience says
    that the server will not give back. What came free is measured in the files before and after, and set against the prediction.
  - Reads and writes go on while a collection is compacted. Creating or dropping an index on it waits, and makes writes to that collection wait meanwhile.
  - Compactions run one after the other. A compaction cannot be stopped once it runs, so none is begun that may not fit into O(time_budget).
  - Views, time-series, capped and system collections, and the databases C(admin), C(config) and C(local), are left alone.
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.mongo
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
  members:
    description:
      - Which members of a replica set to compact. V(connected) is the one that is connected to.
      - V(rolling), one member after the other, is not available yet and fails.
    type: str
    choices: [connected, rolling]
    default: connected
  primary:
    description:
      - What to do when the connected member is the primary of a replica set. V(skip) compacts nothing and says so, V(force) compacts it all the same.
      - V(stepdown) is not available yet and fails.
    type: str
    choices: [skip, stepdown, force]
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

from datetime import datetime
from typing import Any, Dict, List, Optional

from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.errors import MaintenanceError
from ..module_utils._core.legacy_plan import Action, ActionResult, Outcome, Plan
from ..module_utils._core.legacy_runner import Task, run
from ..module_utils._core.units import parse_duration, parse_size
from ..module_utils._mongo.client import MONGO_ARGUMENTS, Connection, connect
from ..module_utils._mongo.compaction import (
    CHANGED_FROM,
    Compactor,
    Observation,
    Policy,
    headline,
    plan_compaction,
    shortfall_warnings,
)
from ..module_utils._mongo.storage import checkpoint, choose_databases, read_collections, read_database, require_names
from ..module_utils._mongo.topology import read_members, supports

SPEC = (
    ArgumentSpec(
        {
            "databases": {"type": "list", "elements": "str", "default": []},
            "collections": {"type": "list", "elements": "str", "default": []},
            "min_reclaimable": {"type": "str", "default": "256MiB"},
            "min_ratio": {"type": "float", "default": 0.25},
            "time_budget": {"type": "str"},
            "members": {"type": "str", "choices": ["connected", "rolling"], "default": "connected"},
            "primary": {"type": "str", "choices": ["skip", "stepdown", "force"], "default": "skip"},
            "max_lag": {"type": "str", "default": "10s"},
        }
    )
    + MONGO_ARGUMENTS
    + RUN_ARGUMENTS
)


def policy_of(params: Dict[str, Any]) -> Policy:
    """The options as data.

    Raises:
        MaintenanceError: an option's value makes no sense, or is not available yet.
    """
    if not 0 <= params["min_ratio"] <= 1:
        raise MaintenanceError(
            "min_ratio is a share, from 0 to 1", target=str(params["min_ratio"]), next_step="Write 0.25 for 25 percent."
        )
    for option, value in (("members", "rolling"), ("primary", "stepdown")):
        if params[option] == value:
            raise MaintenanceError(
                "not available yet",
                target="%s: %s" % (option, value),
                next_step="Compact the secondaries one by one with address, and the primary after a step-down by hand.",
            )
    budget = params["time_budget"]
    return Policy(
        parse_size(params["min_reclaimable"]),
        params["min_ratio"],
        parse_duration(budget) if budget else None,
        params["primary"],
        parse_duration(params["max_lag"]),
    )


class MongoCompact(Task[Observation]):
    stop_on_failure = False
    connection: Connection

    def __init__(self, module: Any) -> None:
        super().__init__(module)
        self.policy = policy_of(self.params)
        self.compactor: Optional[Compactor] = None
        self.opened: List[Connection] = []

    def observe(self) -> Observation:
        connection = self.connection = self._open()
        server = connection.server
        if server.topology == "mongos":
            raise MaintenanceError(
                "compaction works on the members of a shard, not through mongos",
                target=connection.address.where,
                next_step="Give the address of a member.",
            )
        if not supports(server, "compact_online"):
            raise MaintenanceError(
                "this server blocks the whole database while it compacts",
                target="version %s" % server.version,
                next_step="Upgrade to 4.4 or newer.",
            )
        databases = choose_databases(connection, self.params["databases"])
        warnings = []
        # The free bytes are counted at checkpoints. Check mode writes nothing, not even one of these.
        if not self.module.check_mode:
            warnings = [text for text in [checkpoint(connection)] if text]
        collections = []
        for database in databases:
            collections += read_collections(connection, database, self.params["collections"])
        require_names(collections, self.params["collections"], databases)
        disk = read_database(connection, databases[0])
        return Observation(
            server,
            connection.address.where,
            tuple(collections),
            disk.filesystem_free if disk.filesystem_bytes else None,
            self._lag(),
            tuple(warnings),
        )

    def plan(self, observation: Observation, now: datetime) -> Plan:
        return plan_compaction(observation, self.policy)

    def act(self, action: Action) -> Outcome:
        if self.compactor is None:
            # However long it takes: a client that gives up does not stop the server.
            worker = self._open(socketTimeoutMS=None, timeoutMS=None)
            comment = "miniecom.maintenance %s" % (self.run.run_id or "mongo_compact")
            self.compactor = Compactor(self.connection, worker, self.policy, comment, self._lag)
        outcome = self.compactor.compact(action.data["database"], action.data["collection"], action.bytes)
        self.run.renew()
        return outcome

    def _open(self, **options: Any) -> Connection:
        connection = connect(self.params, **options)
        self.opened.append(connection)
        return connection

    def _lag(self) -> Optional[float]:
        if self.connection.server.state != "secondary":
            return None
        mine = [member for member in read_members(self.connection) if member.is_self]
        return mine[0].lag_seconds if mine else None

    def verify(self, observation: Observation, plan: Plan, results: List[ActionResult]) -> None:
        # Nothing but file sizes may have changed: what was there with documents must still be there.
        compacted = {result.action.target for result in results if result.status == "done"}
        for before in observation.collections:
            if before.namespace not in compacted or not before.documents:
                continue
            if not read_collections(self.connection, before.database, [before.name]):
                self.module.warn("%s was dropped or renamed by somebody else meanwhile" % before.namespace)

    def changed(self, observation: Observation, plan: Plan, results: Optional[List[ActionResult]]) -> bool:
        if results is None:
            return bool(plan.actions)
        return any(result.bytes >= CHANGED_FROM for result in results)

    def summary(self, observation: Observation, plan: Plan, results: Optional[List[ActionResult]]) -> Dict[str, Any]:
        done = [result for result in results or [] if result.status == "done"]
        freed = sum(result.bytes for result in done)
        predicted = plan.bytes if results is None else sum(result.action.bytes for result in done)
        count = len(plan.actions) if results is None else len(done)
        return {
            "headline": headline(freed, predicted, count, results is None),
            "bytes": predicted if results is None else freed,
            "bytes_freed": freed,
            "bytes_predicted": predicted,
            "collections_compacted": len(done),
            "collections_kept": len(plan.kept),
        }

    def extra(self, observation: Observation, plan: Plan, results: Optional[List[ActionResult]]) -> Dict[str, Any]:
        measured = [result.data for result in results or [] if result.data]
        return {"collections": measured, "warnings": plan.warnings + shortfall_warnings(measured)}

    def close(self) -> None:
        for connection in self.opened:
            connection.close()


def main() -> None:
    run(MongoCompact, SPEC)


if __name__ == "__main__":
    main()
