# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Orphans: our report against the guide's count

300,000 orders of 100,000 users, 3 % of them of users who are gone. Once with references as ObjectIds, which is the only
form that the guide's command is right about, and once as text, as the shop stores them.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timezone
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bson import ObjectId

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.orphans import OrphanFinder
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.relations import Relation
from tests.sandbox.mongod import Mongod

USERS = 100_000
ORDERS = 300_000


def identity(number: int) -> ObjectId:
    return ObjectId(number.to_bytes(12, "big"))


def fill(database: Any, text: bool) -> None:
    database.orders.drop()
    if database.users.estimated_document_count() != USERS:
        for start in range(0, USERS, 10_000):
            database.users.insert_many([{"_id": identity(n), "name": "x" * 200} for n in range(start, start + 10_000)])
    for start in range(0, ORDERS, 10_000):
        batch = []
        for n in range(start, start + 10_000):
            user = identity(n * 7 % USERS + (10**9 if n % 33 == 0 else 0))
            batch.append({"_id": identity(10**7 + n), "userId": str(user) if text else user, "note": "x" * 400})
        database.orders.insert_many(batch)


def ours(uri: str) -> int:
    import pymongo

    with pymongo.MongoClient(uri) as client:
        finder = OrphanFinder(client.bench, datetime.now(timezone.utc))
        return finder.find(Relation("orders", "userId", "users")).orphans


def guides(uri: str) -> int:
    import pymongo

    with pymongo.MongoClient(uri) as client:
        database = client.bench
        return database.orders.count_documents({"userId": {"$nin": database.users.distinct("_id")}})


def looked_up(uri: str) -> int:
    import pymongo

    stages: list[dict[str, Any]] = [
        {"$lookup": {"from": "users", "localField": "userId", "foreignField": "_id", "as": "u"}},
        {"$match": {"u": []}},
        {"$count": "n"},
    ]
    with pymongo.MongoClient(uri) as client:
        return next(iter(client.bench.orders.aggregate(stages)))["n"]


def _peak() -> float:
    """Most memory that this process ever had, in MiB. (getrusage would count its parent's, from before exec.)"""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _measure(function: Callable[[str], int], uri: str, pipe: Any) -> None:
    base = _peak()
    started = time.monotonic()
    found = function(uri)
    seconds = time.monotonic() - started
    pipe.send((found, seconds, _peak() - base))


def measured(function: Callable[[str], int], uri: str) -> tuple[int, float, float]:
    """Result, seconds and MiB of memory above the start, of a function in a process of its own."""
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(function, uri, sender))
    process.start()
    answer: tuple[int, float, float] = receiver.recv()
    process.join()
    return answer


def main() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    truth = len(range(0, ORDERS, 33))
    with tempfile.TemporaryDirectory() as directory, Mongod(directory) as server, server.client() as client:
        for text in (False, True):
            fill(client.bench, text)
            first = 0.0
            for index in (True, False):
                if index:
                    client.bench.orders.create_index("userId")
                else:
                    client.bench.orders.drop_index("userId_1")
                for name, function in (("ours", ours), ("guide: $nin distinct", guides), ("$lookup", looked_up)):
                    if name == "$lookup" and not index:
                        continue
                    found, seconds, memory = measured(function, server.uri)
                    first = first or seconds
                    rows.append(
                        {
                            "references": "text" if text else "ObjectId",
                            "index": "yes" if index else "no",
                            "way": name,
                            "seconds": seconds,
                            "ratio": seconds / first,
                            "client MiB": memory,
                            "called orphans": found,
                            "wrong": found - truth,
                        }
                    )
    return rows
