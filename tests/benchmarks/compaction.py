# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compaction: what is worth it, against the guide's every collection

Twelve collections, of which two hold deleted documents; the rest is as it should be. Each way starts from the same data.
"""

from __future__ import annotations

import os
import tempfile
import time
from typing import Any

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.clock import utc_now
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.client import connect
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.compaction import (
    MIB,
    Compact,
    CompactionObservation,
    MemberView,
    Policy,
    plan_compaction,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.compactor import Compactor
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.storage import (
    checkpoint,
    list_collection_statistics,
)
from tests.sandbox.mongod import Mongod

COLLECTIONS = 12
BLOATED = 2
MEBIBYTES = 24


def fill(database: Any) -> None:
    """Fine collections of full files, and bloated ones of which two thirds are deleted."""
    body = [os.urandom(900) for _ in range(50)]
    for position in range(COLLECTIONS):
        collection = database[f"c{position:02}"]
        collection.create_index("k")
        count = MEBIBYTES * 1024 * (3 if position < BLOATED else 1)
        for start in range(0, count, 5000):
            batch = [{"k": n, "b": body[n % 50] + n.to_bytes(8, "big") * 8} for n in range(start, start + 5000)]
            collection.insert_many(batch)
    database.client.admin.command("fsync")
    for position in range(BLOATED):
        database[f"c{position:02}"].delete_many({"k": {"$gte": MEBIBYTES * 1024}})
    database.client.admin.command("fsync")


def size(database: Any) -> int:
    return sum(database.command("collStats", name)["totalSize"] for name in database.list_collection_names())


def ours(server: Mongod) -> int:
    """Plan and compact as the module does; returns how many collections were compacted."""
    policy = Policy(min_reclaimable=4 * MIB, min_ratio=0.25)
    with connect({"uri": server.uri_for("bench")}) as connection:
        checkpoint(connection)
        statistics = tuple(list_collection_statistics(connection, "bench"))
        plan = plan_compaction(
            [MemberView("", CompactionObservation(connection.server, statistics))], policy, utc_now()
        )
        compactor = Compactor(connection, connection, policy, "benchmark", time.monotonic())
        for action in plan.actions:
            if isinstance(action.work, Compact):
                compactor.compact(action.work)
    return len(plan.actions)


def guides(server: Mongod) -> int:
    """compact and reIndex on every collection, as the guide has it."""
    with server.client() as client:
        names = client.bench.list_collection_names()
        for name in names:
            client.bench.command("compact", name)
        for name in names:
            client.bench.command("reIndex", name)
    return len(names)


def guides_without_reindex(server: Mongod) -> int:
    with server.client() as client:
        names = client.bench.list_collection_names()
        for name in names:
            client.bench.command("compact", name)
    return len(names)


def main() -> list[dict[str, Any]]:
    ways = [
        ("ours", ours),
        ("ours, second run", ours),
        ("compact everything", guides_without_reindex),
        ("compact everything, second run", guides_without_reindex),
        ("the guide: compact and reIndex everything", guides),
    ]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as directory, Mongod(directory) as server, server.client() as client:
        for name, way in ways:
            if "second" not in name:
                client.drop_database("bench")
                fill(client.bench)
            before, started = size(client.bench), time.monotonic()
            touched = way(server)
            seconds = time.monotonic() - started
            rows.append(
                {
                    "way": name,
                    "collections compacted": touched,
                    "MiB freed": (before - size(client.bench)) / MIB,
                    "seconds": seconds,
                    "ratio": seconds / (rows[0]["seconds"] if rows else seconds),
                }
            )
    return rows
