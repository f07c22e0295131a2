# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backup: verified backup and restore test against a plain raw read

Memory is the most that the module's process has had at a time, without its helpers (below 65 MB each). Where a row does not name
numpy, it is hidden. The last rows are for ten documents of 16 MB, their ratio against a plain read of these.

MINIECOM_BENCH_ROUNDS says how often all is done, MINIECOM_BENCH_DOCUMENTS with how many documents, and MINIECOM_BENCH_BEFORE=DIRECTORY has the
modules of another checkout stand beside. What a way is compared with is measured right before it, each time; all numbers are medians.

Shop orders of some 670 bytes in one collection, 290 MB of them. The plain read only fetches raw batches and drops them; every
backup does that, too. One gzip stream of level 6 is what mongodump --gzip writes. The restore test is compared with a bare
insert_many of the same raw documents; the start of the server that they go to counts for neither. The modules' code was
compiled before, as it is kept on a host.

CPU seconds are those of the way and of its servers, with their start. The ratio of them holds on a busy machine as well; as a
plain read or insert keeps one core busy, that of the wall's clock comes to somewhat more than half of it where two are free.
"""

from __future__ import annotations

import gzip
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from bson import ObjectId
from bson.raw_bson import RawBSONDocument

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.compress import compression_engine
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.client import connect
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.dump import (
    Consistency,
    Writing,
    dump_database,
    list_sources,
)
from tests.sandbox.mongod import Mongod
from tests.support.modules import module_environment, run_measured

DOCUMENTS = int(os.environ.get("MINIECOM_BENCH_DOCUMENTS", "450000"))
ROUNDS = int(os.environ.get("MINIECOM_BENCH_ROUNDS", "3"))
BEFORE = os.environ.get("MINIECOM_BENCH_BEFORE", "")
LARGE_DOCUMENTS = 10


class Written(NamedTuple):
    """What a way has to tell: bytes of what was written and of memory, and seconds that do not count."""

    bytes: int = 0
    memory: int = 0
    apart: float = 0.0


# A title, what is measured, and the title of what it is compared with.
Way = tuple[str, Callable[[], Written], str]


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
    return Written()


def one_gzip(server: Mongod, path: Path) -> Written:
    with server.client() as client, gzip.open(path, "wb", 6) as out:
        for batch in client.bench.orders.find_raw_batches({}, batch_size=1000):
            out.write(batch)
    return Written(path.stat().st_size)


def archive_only(server: Mongod, path: Path) -> Written:
    with connect({"uri": server.uri_for("bench")}) as connection, path.open("wb") as out:
        sources = list_sources(connection, "bench")
        dump_database(connection, "bench", sources, Writing(out.write), Consistency("none", ""), "benchmark")
    return Written(path.stat().st_size)


def hidden(directory: Path, *names: str) -> dict[str, str]:
    """An environment for a module in which it and its helpers cannot import these packages."""
    place = directory / "-".join(["hidden", *names])
    place.mkdir()
    hide = "".join(f"sys.modules[{name!r}] = None\n" for name in names)
    (place / "sitecustomize.py").write_text("import sys\n" + hide)
    return {"PYTHONPATH": os.pathsep.join([str(place), module_environment()["PYTHONPATH"]])}


def compiled(directory: Path) -> dict[str, str | None]:
    """An environment for a module that keeps its compiled code, as the code cache of a host does."""
    return {"PYTHONDONTWRITEBYTECODE": None, "PYTHONPYCACHEPREFIX": f"{directory}/compiled"}


def of_checkout(checkout: Path) -> dict[str, str]:
    """An environment for a module in which it is that of another checkout."""
    path = module_environment()["PYTHONPATH"].split(os.pathsep)
    return {"PYTHONPATH": os.pathsep.join([*path[:-1], str(checkout.resolve() / "collections")])}


def compile_modules(server: Mongod, directory: Path, environments: Sequence[Mapping[str, str]]) -> None:
    with server.client() as client:
        client.warm.orders.insert_one({"_id": 1})
    for env in environments:
        backup(server, directory, "warm", env)
        restore_test(server, directory, "warm", env)


def backup(
    server: Mongod, directory: Path, database: str = "bench", env: Mapping[str, str] | None = None, **options: Any
) -> Written:
    dest = directory / f"dest-{database}"
    shutil.rmtree(dest, ignore_errors=True)
    params = {"uri": server.uri_for(database), "dest": dest, "state_dir": directory / "state", "fresh_within": "0"}
    params |= {"min_free": "0", **options}
    environment: dict[str, str | None] = {**compiled(directory), **(env or {})}
    result, memory = run_measured("mongo_backup", params, directory, timeout=900, env=environment)
    if result.failed:
        raise RuntimeError(result.msg)
    return Written(int(result.result["summary"]["bytes"]), memory)


def restore_test(
    server: Mongod, directory: Path, database: str = "bench", env: Mapping[str, str] | None = None
) -> Written:
    source = directory / f"dest-{database}"
    params = {"uri": server.uri, "src": source, "state_dir": directory / "state", "min_free": "0"}
    environment: dict[str, str | None] = {**compiled(directory), **(env or {})}
    result, memory = run_measured("mongo_restore", params, directory, timeout=900, env=environment)
    if result.failed:
        raise RuntimeError(result.msg)
    return Written(0, memory, float(result.result["summary"]["seconds_start"]))


def raw_documents(server: Mongod) -> list[list[RawBSONDocument]]:
    """All orders, in batches for one insert each."""
    batches: list[list[RawBSONDocument]] = []
    with server.client() as client:
        for batch in client.bench.orders.find_raw_batches({}, batch_size=1000):
            position = 0
            batches.append([])
            while position < len(batch):
                size = int.from_bytes(batch[position : position + 4], "little")
                batches[-1].append(RawBSONDocument(batch[position : position + size]))
                position += size
    return batches


def bare_insert(batches: Sequence[Sequence[RawBSONDocument]], directory: Path) -> Written:
    """Into a server of its own, as a restore test does."""
    started = time.monotonic()
    place = directory / "bare"
    shutil.rmtree(place, ignore_errors=True)
    with Mongod(place) as server, server.client() as client:
        apart = time.monotonic() - started
        for batch in batches:
            client.bench.orders.insert_many(batch)
        ended = time.monotonic()
    return Written(apart=apart + time.monotonic() - ended)


def cpu_seconds(server: Mongod) -> float:
    """Of this process, of the children that it has waited for, and of the server."""
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    own = os.times()
    ticks = int(fields[11]) + int(fields[12])
    return own.user + own.system + own.children_user + own.children_system + ticks / os.sysconf("SC_CLK_TCK")


def once(server: Mongod, way: Callable[[], Written]) -> dict[str, float]:
    os.sync()
    cpu, started = cpu_seconds(server), time.monotonic()
    written = way()
    seconds = time.monotonic() - started - written.apart
    return {
        "seconds": seconds,
        "CPU s": cpu_seconds(server) - cpu,
        "MB written": written.bytes / 1e6,
        "MB memory": written.memory / 1e6,
    }


def measure(server: Mongod, raw: int, ways: Sequence[Way]) -> list[dict[str, Any]]:
    """A row for each way, its numbers the medians of all rounds.

    raw: size of the documents in bytes.
    """
    known = {title: way for title, way, _base in ways}
    found: dict[str, list[dict[str, float]]] = {title: [] for title in known}
    for _ in range(ROUNDS):
        for title, way, base in ways:
            # The machine is not as fast at all times: what it is compared with is measured beside it.
            other = once(server, known[base]) if base else None
            numbers = once(server, way)
            if other is not None:
                found[base].append({**other, "ratio": 1, "of CPU": 1})
            beside = other or numbers
            ratios = {"ratio": numbers["seconds"] / beside["seconds"], "of CPU": numbers["CPU s"] / beside["CPU s"]}
            found[title].append({**numbers, **ratios})
    rows = []
    for title, all_numbers in found.items():
        middle = {name: median(numbers[name] for numbers in all_numbers) for name in all_numbers[0]}
        rates = {"MB/s": raw / middle["seconds"] / 1e6, "ratio": middle.pop("ratio"), "of CPU": middle.pop("of CPU")}
        rows.append({"way": title, "seconds": middle.pop("seconds"), **rates, **middle})
    return rows


def main() -> list[dict[str, Any]]:
    before = of_checkout(Path(BEFORE)) if BEFORE else None
    with tempfile.TemporaryDirectory() as name, Mongod(Path(name) / "mongod") as server:
        directory = Path(name)
        raw = fill(server)
        plain_read(server)  # so that the first way finds the same warm cache as the others
        compile_modules(server, directory, [{}, before] if before is not None else [{}])
        engine = compression_engine()
        plain, bare = "plain raw read, dropped", "bare insert_many of raw documents"
        documents = raw_documents(server)
        no_isal, no_numpy = hidden(directory, "isal"), hidden(directory, "numpy")
        neither = hidden(directory, "isal", "numpy")
        parsed = "every document parsed"
        ways: list[Way] = [
            ("archive with checksums, not compressed", lambda: archive_only(server, directory / "archive"), plain),
            (f"mongo_backup, {engine}, checksums", lambda: backup(server, directory, check="checksums"), plain),
            (f"mongo_backup, zlib, {parsed}", lambda: backup(server, directory, env=neither), plain),
            (f"mongo_backup, zlib, {parsed}, numpy", lambda: backup(server, directory, env=no_isal), plain),
            (f"mongo_backup, {engine}, {parsed}", lambda: backup(server, directory, env=no_numpy), plain),
            (f"mongo_backup, {engine}, {parsed}, numpy", lambda: backup(server, directory), plain),
            ("mongo_restore: restored and compared", lambda: restore_test(server, directory), bare),
        ]
        if before is not None:
            title = f"mongo_backup, {engine}, {parsed}, numpy"
            ways += [
                (f"the build before: {title}", lambda: backup(server, directory, env=before), plain),
                ("the build before: mongo_restore", lambda: restore_test(server, directory, env=before), bare),
            ]
        ways += [
            (plain, lambda: plain_read(server), ""),
            (bare, lambda: bare_insert(documents, directory), ""),
            ("one gzip stream, level 6, nothing checked", lambda: one_gzip(server, directory / "gzip"), plain),
        ]
        rows = measure(server, raw, ways)
        documents.clear()
        raw = fill_large(server)
        plain_read(server, "large", "photos")
        plain = "16 MB: plain raw read, dropped"
        ways = [
            (f"16 MB: mongo_backup, {engine}", lambda: backup(server, directory, "large"), plain),
            ("16 MB: mongo_restore", lambda: restore_test(server, directory, "large"), plain),
            (plain, lambda: plain_read(server, "large", "photos"), ""),
        ]
        return rows + measure(server, raw, ways)
