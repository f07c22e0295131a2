# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backup: verified backup and restore test against a plain raw read

Memory is the most that the module's process has had at a time, without its helpers (below 60 MB each). The last rows are for
ten documents of 16 MB, their ratio against a plain read of these.

Shop orders of some 670 bytes in one collection. The plain read only fetches raw batches and drops them; every other way
does that, too. One gzip stream of level 6 is what mongodump --gzip writes.
"""

from __future__ import annotations

import gzip
import os
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bson import ObjectId

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.compress import compression_engine
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.client import connect
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.dump import (
    Consistency,
    Writing,
    dump_database,
    list_sources,
)
from tests.sandbox.mongod import Mongod
from tests.support.modules import run_measured

DOCUMENTS = 300_000
LARGE_DOCUMENTS = 10
# Bytes of what was written, and of memory; 0 where there is nothing to tell.
Written = tuple[int, int]


def order(number: int, chance: random.Random) -> dict[str, Any]:
    items = [
        {
            "productId": chance.randbytes(12).hex(),
            "name": f"thing {chance.randrange(10**6)}",
            "qty": count,
            "price": round(chance.random() * 100, 2),
        }
        for count in range(4)
    ]
    return {
        "_id": ObjectId(number.to_bytes(12, "big")),
        "userId": chance.randbytes(12).hex(),
        "items": items,
        "status": chance.choice(["paid", "sent", "new"]),
        "address": {
            "line1": f"{chance.randrange(10**9):030} street",
            "city": chance.choice("ABCDEFG") * 12,
            "zip": "12345",
        },
        "total": chance.random(),
        "note": "".join(chance.choices("abcdefghij klmnop", k=60)),
    }


def fill(server: Mongod) -> int:
    """Returns the raw size of the documents in bytes."""
    chance = random.Random(20261124)
    with server.client() as client:
        orders = client.bench.orders
        orders.create_index("userId")
        for start in range(0, DOCUMENTS, 5000):
            orders.insert_many([order(number, chance) for number in range(start, start + 5000)])
        client.admin.command("fsync")
        return int(client.bench.command("collStats", "orders")["size"])


def fill_large(server: Mongod) -> int:
    """Returns the raw size of the documents in bytes."""
    size = 16 * 1024 * 1024 - 64
    with server.client() as client:
        for number in range(LARGE_DOCUMENTS):
            client.large.photos.insert_one({"_id": number, "x": os.urandom(size)})
    return LARGE_DOCUMENTS * size


def plain_read(server: Mongod, database: str = "bench", collection: str = "orders") -> Written:
    with server.client() as client:
        for _batch in client[database][collection].find_raw_batches({}, batch_size=1000):
            pass
    return 0, 0


def one_gzip(server: Mongod, path: Path) -> Written:
    with server.client() as client, gzip.open(path, "wb", 6) as out:
        for batch in client.bench.orders.find_raw_batches({}, batch_size=1000):
            out.write(batch)
    return path.stat().st_size, 0


def archive_only(server: Mongod, path: Path) -> Written:
    with connect({"uri": server.uri_for("bench")}) as connection, path.open("wb") as out:
        sources = list_sources(connection, "bench")
        dump_database(connection, "bench", sources, Writing(out.write), Consistency("none", ""), "benchmark")
    return path.stat().st_size, 0


def backup(server: Mongod, directory: Path, database: str = "bench", **options: Any) -> Written:
    params = {
        "uri": server.uri_for(database),
        "dest": directory / f"dest-{database}",
        "state_dir": directory / "state",
        "fresh_within": "0",
    }
    result, memory = run_measured("mongo_backup", {**params, "min_free": "0", **options}, directory, timeout=600)
    if result.failed:
        raise RuntimeError(result.msg)
    return int(result.result["summary"]["bytes"]), memory


def restore_test(server: Mongod, directory: Path, database: str = "bench") -> Written:
    source = directory / f"dest-{database}"
    params = {"uri": server.uri, "src": source, "state_dir": directory / "state", "min_free": "0"}
    result, memory = run_measured("mongo_restore", params, directory, timeout=600)
    if result.failed:
        raise RuntimeError(result.msg)
    return 0, memory


def measure(raw: int, ways: Sequence[tuple[str, Callable[[], Written]]]) -> list[dict[str, Any]]:
    """A row for each way; the first one is what the others are compared with.

    raw: size of the documents in bytes.
    """
    rows: list[dict[str, Any]] = []
    for title, way in ways:
        os.sync()
        started = time.monotonic()
        size, memory = way()
        seconds = time.monotonic() - started
        rows.append(
            {
                "way": title,
                "seconds": seconds,
                "MB/s": raw / seconds / 1e6,
                "ratio": seconds / (rows[0]["seconds"] if rows else seconds),
                "MB written": size / 1e6,
                "MB memory": memory / 1e6,
            }
        )
    return rows


def main() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name, Mongod(Path(name) / "mongod") as server:
        directory = Path(name)
        raw = fill(server)
        plain_read(server)  # so that the first way finds the same warm cache as the others
        engine = compression_engine()
        rows = measure(
            raw,
            [
                ("plain raw read, dropped", lambda: plain_read(server)),
                ("archive with checksums, not compressed", lambda: archive_only(server, directory / "archive")),
                (f"mongo_backup, {engine}, checked by checksums", lambda: backup(server, directory, check="checksums")),
                (f"mongo_backup, {engine}, every document parsed", lambda: backup(server, directory)),
                ("one gzip stream, level 6, nothing checked", lambda: one_gzip(server, directory / "gzip")),
                ("mongo_restore: restored and compared", lambda: restore_test(server, directory)),
            ],
        )
        raw = fill_large(server)
        plain_read(server, "large", "photos")
        return rows + measure(
            raw,
            [
                ("16 MB: plain raw read, dropped", lambda: plain_read(server, "large", "photos")),
                (f"16 MB: mongo_backup, {engine}", lambda: backup(server, directory, "large")),
                ("16 MB: mongo_restore", lambda: restore_test(server, directory, "large")),
            ],
        )
