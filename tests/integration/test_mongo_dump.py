# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a dump makes of a database that changes while it is read; the changes come at a certain point of the reading."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bson
import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.planning import DumpConsistency, MakeBackup
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import dump, oplog
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.archive import ArchiveReader
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.client import connect
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.backup import MongoBackup
from tests.sandbox.mongod import Mongod
from tests.support.modules import run_module
from tests.unit.plugins.module_utils._operations.test_backup import OPTIONS

# Well more than what is read ahead of the batch that is being written.
DOCUMENTS = 1000
PAYLOAD = 20_000


@pytest.fixture(scope="module")
def replica_set(tmp_path_factory: pytest.TempPathFactory, mongod_version: str) -> Iterator[Mongod]:
    with Mongod(tmp_path_factory.mktemp("replica"), replica_set="rs0", version=mongod_version) as server:
        yield server


@pytest.fixture
def database(replica_set: Mongod) -> Iterator[Any]:
    with replica_set.client() as client:
        found = client.test_dump
        found.a_big.insert_many([{"_id": i, "k": i, "x": os.urandom(PAYLOAD)} for i in range(DOCUMENTS)])
        found.m_orders.insert_many([{"n": i} for i in range(777)])
        found.z_small.insert_one({"n": 1})
        yield found
        client.drop_database("test_dump")


def dumped(server: Mongod, mode: str, change: Callable[[], Any]) -> tuple[dict[str, list[Any]], list[str]]:
    """Dump, with a change made when the first batch has been read; gives the documents by collection, and the notes."""
    out = io.BytesIO()
    calls: list[int] = []
    with connect({"uri": server.uri_for("test_dump")}) as connection:
        sources = dump.list_sources(connection, "test_dump")

        def check() -> None:
            calls.append(1)
            if len(calls) == 1:
                change()

        _writer, result = dump.dump_database(
            connection, "test_dump", sources, dump.Writing(out.write, check), dump.Consistency(mode, ""), "test"
        )
    documents: dict[str, list[Any]] = {}
    for batch in ArchiveReader(io.BytesIO(out.getvalue())).batches():
        documents.setdefault(batch.collection, []).extend(bson.decode_all(batch.data))
    return documents, result.notes


@pytest.mark.every_server(sampled=True)
@pytest.mark.parametrize("mode", ["none", "snapshot"])
@pytest.mark.parametrize("moved", ["m_orders", "a_big"])
def test_a_collection_that_is_renamed_meanwhile_fails_the_dump(
    replica_set: Mongod, database: Any, mode: str, moved: str
) -> None:
    with pytest.raises(MaintenanceError, match=r"the collections changed while the database was read|cannot read"):
        dumped(replica_set, mode, lambda: database[moved].rename("z_renamed"))


@pytest.mark.every_server(sampled=True)
@pytest.mark.parametrize("mode", ["none", "snapshot"])
def test_a_collection_that_was_read_and_then_renamed_fails_it_too(
    replica_set: Mongod, database: Any, mode: str
) -> None:
    database.a_a.insert_many([{"n": i} for i in range(5)])

    def rename() -> None:
        database.a_a.rename("z_renamed")

    with connect({"uri": replica_set.uri_for("test_dump")}) as connection:
        sources = dump.list_sources(connection, "test_dump")
        calls: list[int] = []

        def check() -> None:
            calls.append(1)
            if len(calls) == 2:  # the first batch of a_big: a_a has been read
                rename()

        with pytest.raises(MaintenanceError, match="it is now called z_renamed"):
            dump.dump_database(
                connection,
                "test_dump",
                sources,
                dump.Writing(io.BytesIO().write, check),
                dump.Consistency(mode, ""),
                "test",
            )


@pytest.mark.every_server(sampled=True)
@pytest.mark.parametrize("mode", ["none", "snapshot"])
@pytest.mark.parametrize("how", ["dropped", "made again", "replaced by $out"])
def test_a_collection_that_is_dropped_before_its_turn_fails_the_dump(
    replica_set: Mongod, database: Any, mode: str, how: str
) -> None:
    def drop() -> None:
        if how == "replaced by $out":
            database.a_big.aggregate([{"$limit": 3}, {"$out": "m_orders"}])
            return
        database.m_orders.drop()
        if how == "made again":
            database.m_orders.insert_one({"n": "another one of the same name"})

    with pytest.raises(MaintenanceError, match=r"m_orders|Snapshot"):
        dumped(replica_set, mode, drop)


@pytest.mark.every_server(sampled=True)
@pytest.mark.parametrize("mode", ["none", "snapshot"])
def test_a_collection_that_is_dropped_when_it_has_been_read_and_a_new_one_are_told(
    replica_set: Mongod, database: Any, mode: str
) -> None:
    database.a_a.insert_many([{"n": i} for i in range(5)])
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 2:
            database.a_a.drop()
            database.b_new.insert_one({})

    out = io.BytesIO()
    with connect({"uri": replica_set.uri_for("test_dump")}) as connection:
        sources = dump.list_sources(connection, "test_dump")
        _writer, result = dump.dump_database(
            connection, "test_dump", sources, dump.Writing(out.write, check), dump.Consistency(mode, ""), "test"
        )
    assert [note.split(" was ")[0] for note in result.notes] == ["test_dump.a_a", "test_dump.b_new"]
    totals = ArchiveReader(io.BytesIO(out.getvalue())).read_all()
    assert totals[("test_dump", "a_a")].documents == 5


def test_a_document_that_is_deleted_and_inserted_again_is_not_read_twice(replica_set: Mongod, database: Any) -> None:
    def again() -> None:
        first = database.a_big.find_one_and_delete({"_id": 0})
        database.a_big.insert_one(first)

    documents, notes = dumped(replica_set, "none", again)
    assert notes == []
    assert sorted(document["_id"] for document in documents["a_big"]) == list(range(DOCUMENTS))


@pytest.mark.parametrize("mode", ["none", "snapshot"])
def test_every_kind_of_collection_has_its_order(replica_set: Mongod, mode: str) -> None:
    with replica_set.client() as client:
        database = client.test_dump
        database.create_collection("a_big", capped=True, size=100_000)
        database.a_big.insert_many([{"_id": i} for i in (3, 1, 2)])
        database.create_collection("m_orders", clusteredIndex={"key": {"_id": 1}, "unique": True})
        database.m_orders.insert_many([{"_id": i} for i in (3, 1, 2)])
        database.create_collection("plain", collation={"locale": "de"})
        database.plain.insert_many([{"_id": str(i)} for i in (3, 1, 2)])
        database.plain.create_index([("_id", "hashed")])
        database.create_collection("series", timeseries={"timeField": "t"})
        database.series.insert_one({"t": bson.datetime.datetime(2026, 1, 1)})
        try:
            documents, notes = dumped(replica_set, mode, lambda: None)
        finally:
            client.drop_database("test_dump")
    # A server before 8.0 has none of these in a snapshot: it is read nevertheless, and that is said.
    assert [note.partition(" (")[0] for note in notes] == (
        ["test_dump.a_big is not part of the snapshot"] if mode == "snapshot" else []
    )
    assert [document["_id"] for document in documents["a_big"]] == [3, 1, 2]
    assert [document["_id"] for document in documents["m_orders"]] == [1, 2, 3]
    assert sorted(document["_id"] for document in documents["plain"]) == ["1", "2", "3"]
    assert len(documents["system.buckets.series"]) == 1


# --- the whole backup begins anew, once


def renamed_away(database: Any, time: int) -> str:
    names = ["m_orders", "n_orders", "o_orders"]
    database[names[time - 1]].rename(names[time])
    return names[time - 1]


def dropped_once_more(database: Any, time: int) -> str:
    name = ["m_orders", "z_small"][time - 1]
    database[name].drop()
    return name


def made_again(database: Any, time: int) -> str:
    database.m_orders.drop()
    database.m_orders.insert_one({"n": time})
    return "m_orders"


def renamed_to(database: Any, time: int) -> str:
    database[f"y_spare_{time}"].insert_many([{"n": n} for n in range(time)])
    database[f"y_spare_{time}"].rename("m_orders", dropTarget=True)
    return "m_orders"


def replaced_by_out(database: Any, time: int) -> str:
    database.a_big.aggregate([{"$limit": 3 * time}, {"$out": "m_orders"}])
    return "m_orders"


UNAVAILABLE = "246 SnapshotUnavailable"
HOW = [renamed_away, dropped_once_more, made_again, renamed_to, replaced_by_out]
# Each way once with one change and once with two; which of them as a snapshot takes turns.
MOVES = [
    pytest.param(how, mode, times, marks=[] if (number + times) % 2 == turn else pytest.mark.exhaustive)
    for number, how in enumerate(HOW)
    for turn, mode in enumerate(["none", "snapshot"])
    for times in (1, 2)
]


@pytest.mark.every_server(sampled=True)
@pytest.mark.parametrize(("how", "mode", "times"), MOVES)
def test_a_dump_of_collections_that_move_begins_anew_once(
    replica_set: Mongod,
    database: Any,
    how: Callable[[Any, int], str],
    mode: str,
    times: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The server itself refuses what a snapshot does not hold under that name; a name that is gone just holds nothing.
    refused = mode == "snapshot" and how in (made_again, renamed_to, replaced_by_out)
    plain, moved = dump.documents_of_collection, list[str]()

    def moving(connection: Any, name: str, collection: str, *more: Any) -> Any:
        if collection == "a_big" and len(moved) < times:
            moved.append("")
            moved[-1] = how(database, len(moved))
        return plain(connection, name, collection, *more)

    monkeypatch.setattr(dump, "documents_of_collection", moving)
    run: Any = SimpleNamespace(run_id=None)
    call: Any = SimpleNamespace(params={**OPTIONS, "dest": str(tmp_path), "compression": "fast"}, run=run, check=False)
    task = MongoBackup(call)
    warnings: list[str] = []
    work = MakeBackup(str(tmp_path / "20261124_023000.tar.gz"), "test_dump", DumpConsistency(mode), {})
    with connect({"uri": replica_set.uri_for("test_dump")}) as connection:
        task._connected = connection
        if times == 2:
            with pytest.raises(
                dump.CollectionsMoved, match="the collections changed while the database was read"
            ) as error:
                task._make_steadily(work, warnings)
            assert error.value.target == f"test_dump.{moved[1]}"
            assert error.value.code == (UNAVAILABLE if refused else None)
        else:
            made, path = task._make_steadily(work, warnings)
    assert [warning.endswith("The dump was begun anew.") for warning in warnings] == [True]
    assert warnings[0].startswith(f"test_dump.{moved[0]}: ")
    assert (f"(code {UNAVAILABLE})" in warnings[0]) is refused
    if times == 2:
        assert os.listdir(tmp_path) == []
    else:
        assert os.path.basename(path) in os.listdir(tmp_path)
        found = {record.name: record.documents for record in made.manifest.collections}
        assert found == {name: database[name].count_documents({}) for name in database.list_collection_names()}
        assert len(found) == (2 if how is dropped_once_more else 3)
        assert made.manifest.consistency == mode


@pytest.mark.every_server(sampled=True)
def test_a_snapshot_is_of_one_moment_and_in_small_batches_too(replica_set: Mongod, database: Any) -> None:
    def change() -> None:
        database.z_small.insert_one({"n": 2})
        database.a_big.delete_many({"k": {"$gte": 10}})
        database.m_orders.update_many({}, {"$set": {"n": -1}})

    documents, notes = dumped(replica_set, "snapshot", change)
    assert notes == []
    assert sorted(document["_id"] for document in documents["a_big"]) == list(range(DOCUMENTS))
    assert sorted(document["n"] for document in documents["m_orders"]) == list(range(777))
    assert len(documents["z_small"]) == 1


@pytest.mark.every_server(sampled=True)
@pytest.mark.parametrize("change", ["made", "dropped", "renamed"])
def test_what_moves_between_the_listing_and_the_moment_is_noticed(
    replica_set: Mongod, database: Any, change: str
) -> None:
    with connect({"uri": replica_set.uri_for("test_dump")}) as connection:
        sources = dump.list_sources(connection, "test_dump")
        if change == "made":
            database.b_new.insert_one({})
        elif change == "dropped":
            database.z_small.drop()
        else:
            database.z_small.rename("z_other")
        with pytest.raises(dump.CollectionsMoved, match="as the dump began"):
            dump._take_moment(connection, "test_dump", sources)


def source(name: str, uuid: str) -> dump.DumpSource:
    return dump.DumpSource(name, "collection", name, "{}", uuid=uuid)


def test_what_changed_since_is_told_by_identity_and_not_by_name() -> None:
    sources = [source("a", "01"), source("b", "02"), replace(source("v", ""), type="view")]
    assert dump._changes("d", sources, {"a": "01", "b": "02", "v": "", "system.views": "09"}) == []
    # Exchanged names: each stands where the other did.
    with pytest.raises(MaintenanceError, match="now called b"):
        dump._changes("d", sources, {"a": "02", "b": "01", "v": ""})
    notes = dump._changes("d", sources, {"a": "03", "b": "02", "c": "04"})
    assert [note.split(" was ")[0] for note in notes] == ["d.a", "d.v", "d.c"]


@pytest.mark.parametrize("name", ["a..b", "a."])
def test_a_name_that_the_driver_does_not_take_is_named(replica_set: Mongod, name: str) -> None:
    with replica_set.client() as client:
        client.test_dump.command("create", name)
        try:
            with (
                connect({"uri": replica_set.uri_for("test_dump")}) as connection,
                pytest.raises(MaintenanceError, match="the Python driver cannot read a collection whose name"),
            ):
                dump.list_sources(connection, "test_dump")
        finally:
            client.drop_database("test_dump")


# --- the oplog of the dump's time


def replay(client: Any, entries: list[Any]) -> None:
    """As mongorestore does it: one operation at a time, those of transactions too, without the UUIDs of old collections."""
    for entry in entries:
        operations = entry["o"]["applyOps"] if entry["ns"] == "admin.$cmd" else [entry]
        for operation in operations:
            kept = {key: value for key, value in operation.items() if key in ("op", "ns", "o", "o2")}
            client.admin.command("applyOps", [kept])


def state_of(database: Any) -> dict[str, list[Any]]:
    return {
        name: sorted(database[name].find({}, {"x": 0}), key=lambda found: str(found["_id"]))
        for name in sorted(database.list_collection_names())
    }


def test_the_oplog_brings_a_snapshot_to_the_end_of_the_dump(replica_set: Mongod, database: Any) -> None:
    client = database.client
    database.z_small.insert_one({"_id": "early"})
    states: list[dict[str, list[Any]]] = []

    def change() -> None:
        database.a_big.update_one({"_id": 1}, {"$inc": {"k": 1000}})
        database.m_orders.delete_many({"n": {"$lt": 7}})
        database.z_small.insert_one({"_id": "late", "n": 1})
        database.z_small.delete_one({"_id": "early"})
        database.z_new.insert_one({"_id": 1})
        client.test_dump_2.a_big.insert_one({"_id": 1})
        with client.start_session() as session, session.start_transaction():
            database.z_small.update_one({"_id": "late"}, {"$set": {"n": 2}}, session=session)
            client.test_dump_2.a_big.insert_one({"_id": 2}, session=session)
        states.append(state_of(database))

    documents, notes = dumped(replica_set, "oplog", change)
    assert notes == ["test_dump.z_new was made while the database was read, and is not in the backup, but in its oplog"]
    entries = documents.pop("oplog")
    assert documents["a_big"][1]["k"] == 1 and len(documents["m_orders"]) == 777
    assert {found["_id"] for found in documents["z_small"]} >= {"early"}, "all as of the moment before"
    client.drop_database("test_dump")
    client.drop_database("test_dump_2")
    for name, found in documents.items():
        database[name].insert_many(found)
    replay(client, entries)
    assert [state_of(database)] == states
    assert "test_dump_2" not in client.list_database_names(), "what a transaction did elsewhere is not replayed"


def test_an_oplog_that_has_lost_the_beginning_of_the_dump_is_no_oplog_of_it(replica_set: Mongod, database: Any) -> None:
    with connect({"uri": replica_set.uri_for("test_dump")}) as connection:
        now = connection.client.admin.command("ping")["operationTime"]
        past = bson.Timestamp(now.time - 10**6, 1)
        window = oplog.window_until_now(connection, now, past)
        with pytest.raises(MaintenanceError, match=rf"it begins at \d+:\d+, and the dump began at {past.time}:1 and"):
            list(oplog.read_oplog(connection, "test_dump", window))


@pytest.mark.usefixtures("mongod_libraries")
def test_a_backup_with_an_oplog_is_tested_and_says_that_it_is_not_replayed(
    replica_set: Mongod, database: Any, tmp_path: Path, state_dir: Path
) -> None:
    database.oplog.insert_one({"_id": "of the shop's own"})
    writing = threading.Event()

    def write() -> None:
        while not writing.wait(0.002):
            database.z_small.update_one({"n": 1}, {"$inc": {"times": 1}})

    writer = threading.Thread(target=write)
    writer.start()
    common = {"state_dir": str(state_dir), "min_free": "1MiB", "uri": replica_set.uri_for("test_dump")}
    try:
        made = run_module("mongo_backup", {**common, "dest": str(tmp_path / "dest"), "consistency": "oplog"})
    finally:
        writing.set()
        writer.join()
    assert not made.failed and made.result["summary"]["consistency"] == "oplog", made.output
    tested = run_module("mongo_restore", {**common, "src": made.result["path"]})
    assert not tested.failed and tested.result["differences"] == [], tested.output
    live = {**common, "src": made.result["path"], "mode": "restore", "server": "live", "allow_clients": True}
    would = run_module("mongo_restore", {**live, "require_maintenance": False}, check=True)
    assert "restored as they were at the moment of the dump" in str(would.result.get("warnings")), would.output
    entries = tested.result["summary"]["oplog_entries"]
    assert (
        entries > 0 and f"the oplog in it ({entries}) was read and not replayed" in tested.result["summary"]["headline"]
    )
