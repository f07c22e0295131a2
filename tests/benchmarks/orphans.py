# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Orphans: our report against the guide's count

Orders, 3 % of them of users who are gone: 300,000 of 100,000 users, once with references as ObjectIds, which is the only form
that the guide's command is right about, and once as text, as the shop stores them; then 1,000,000 of 300,000 users. More
can be named, in millions of orders, in MINIECOM_BENCH_ORPHANS ("3,10"): there the cost of an order is to stay what it was.
The guide's command fails from about 840,000 users on, and looking each up takes more than a few minutes. Each way runs three times,
one way after the other, and the fastest run counts.
"""

from __future__ import annotations

import os
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
from tests.support.looked_up import EachLookedUp

# Orders, users, and whether the references are text.
SIZES = ((300_000, 100_000, False), (300_000, 100_000, True), (1_000_000, 300_000, True))
RUNS = 3
# One in so many orders is an orphan.
ONE_IN = 33


def identity(number: int) -> ObjectId:
    return ObjectId(number.to_bytes(12, "big"))


def fill(database: Any, orders: int, users: int, text: bool) -> None:
    database.orders.drop()
    if database.users.count_documents({}) != users:
        database.users.drop()
        for start in range(0, users, 10_000):
            database.users.insert_many([{"_id": identity(n), "name": "x" * 200} for n in range(start, start + 10_000)])
    for start in range(0, orders, 10_000):
        batch = []
        for n in range(start, start + 10_000):
            user = identity(n * 7 % users + (10**9 if n % ONE_IN == 0 else 0))
            batch.append({"_id": identity(10**8 + n), "userId": str(user) if text else user, "note": "x" * 400})
        database.orders.insert_many(batch)


def found_by(finder: type[OrphanFinder], uri: str) -> int:
    import pymongo

    with pymongo.MongoClient(uri) as client, tempfile.TemporaryDirectory() as directory:
        looker = finder(client.bench, datetime.now(timezone.utc), directory=lambda: directory)
        return looker.find(Relation("orders", "userId", "users")).orphans


def ours(uri: str) -> int:
    return found_by(OrphanFinder, uri)


def each_looked_up(uri: str) -> int:
    return found_by(EachLookedUp, uri)


def guides(uri: str) -> int:
    import pymongo

    with pymongo.MongoClient(uri) as client:
        database = client.bench
        return database.orders.count_documents({"userId": {"$nin": database.users.distinct("_id")}})


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


def sizes() -> list[tuple[int, int, bool]]:
    further = [int(text) for text in os.environ.get("MINIECOM_BENCH_ORPHANS", "").split(",") if text]
    return [*SIZES, *((millions * 1_000_000, millions * 200_000, True) for millions in further)]


def main() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    ways = (("guide: $nin distinct", guides), ("each looked up", each_looked_up), ("ours", ours))
    with tempfile.TemporaryDirectory() as directory, Mongod(directory) as server, server.client() as client:
        for orders, users, text in sizes():
            fill(client.bench, orders, users, text)
            for index in (True, False):
                if index:
                    client.bench.orders.create_index("userId")
                else:
                    client.bench.orders.drop_index("userId_1")
                # From some size on the guide's list of ids is more than a command may have.
                compared = orders <= 1_000_000
                possible = ways if compared else ways[-1:]
                runs = [(name, measured(function, server.uri)) for _ in range(RUNS) for name, function in possible]
                for name, _function in possible:
                    found, seconds, memory = min((run for way, run in runs if way == name), key=lambda run: run[1])
                    first = min(run[1] for way, run in runs if way == possible[0][0])
                    rows.append(
                        {
                            "orders": orders,
                            "references": "text" if text else "ObjectId",
                            "index": "yes" if index else "no",
                            "way": name,
                            "seconds": seconds,
                            "ratio": seconds / first if compared else "",
                            "us/order": 1e6 * seconds / orders,
                            "client MiB": memory,
                            "called orphans": found,
                            "wrong": found - len(range(0, orders, ONE_IN)),
                        }
                    )
    return rows
