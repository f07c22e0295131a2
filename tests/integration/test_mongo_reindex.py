# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Indexes are built anew and never lost, whoever is killed, and validating mends counts and nothing else."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from pymongo import WriteConcern

from tests.sandbox.mongod import Mongod
from tests.support.extent import EXHAUSTIVE
from tests.support.kill import boundaries, kill_and_run_again
from tests.support.modules import finish_module, run_module, start_module
from tests.support.replica import times_asked, two_members, wait_for

MIB = 1024 * 1024
# One of each kind that a shop may have.
KINDS = ("u_1", "e_1", "p_1", "x_text", "h_1", "co_1", "w.$**_1", "g_2dsphere")


def make_indexes(collection: Any) -> None:
    collection.create_index("u", unique=True)
    collection.create_index("e", expireAfterSeconds=10**8)
    collection.create_index("p", partialFilterExpression={"p": {"$gt": 5}})
    collection.create_index([("x", "text")], weights={"x": 3}, default_language="german")
    collection.create_index("h", hidden=True)
    collection.create_index("co", collation={"locale": "de", "strength": 2}, sparse=True)
    collection.create_index("w.$**")
    collection.create_index([("g", "2dsphere")])


def fill(collection: Any, count: int) -> None:
    """Documents of which the keys of one index take most of the space."""
    now = datetime.now(timezone.utc)
    for start in range(0, count, 2000):
        collection.insert_many(
            [
                {"u": os.urandom(250).hex(), "e": now, "p": n % 10, "x": "haus %d" % (n % 9), "h": n, "co": str(n % 99)}
                for n in range(start, min(start + 2000, count))
            ]
        )


def definitions(collection: Any) -> dict[str, Any]:
    return {index["name"]: dict(index) for index in collection.list_indexes()}


@pytest.fixture
def shop(mongod: Mongod, mongo_database: str, state_dir: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    with mongod.client() as client:
        database = client[mongo_database]
        params = {
            "uri": mongod.uri_for(mongo_database),
            "state_dir": str(state_dir),
            "collections": ["orders"],
            "require_maintenance": False,
        }
        yield database, params


def close_application(database: Any) -> None:
    value = json.dumps({"maintenance": {"enabled": True}})
    database.settings.insert_one({"key": "site", "type": "json", "value": value})


def test_check_then_run_then_nothing(shop: tuple[Any, dict[str, Any]], state_dir: Path) -> None:
    database, params = shop
    make_indexes(database.orders)
    fill(database.orders, 8000)
    database.client.admin.command("fsync")
    database.orders.delete_many({"h": {"$gt": 800}})
    database.small.insert_one({})
    database.command("create", "view", viewOn="orders", pipeline=[])
    database.client.admin.command("fsync")
    before, documents = definitions(database.orders), database.orders.count_documents({})
    assert set(before) == {"_id_", *KINDS}
    params = {**params, "collections": ["orders", "small", "view"]}

    check = run_module("mongo_reindex", params, check=True, diff=True)
    assert not check.failed, check.msg
    assert check.changed and check.result["actions"] == [] and not state_dir.exists()
    [planned] = check.result["plan"]
    assert planned["target"] == f"{database.name}.orders" and planned["reason"].startswith("9 indexes, ")
    assert check.result["summary"]["headline"] == "would rebuild the indexes of 1 collection"
    kept = {entry["target"].partition(".")[2]: entry["reason"] for entry in check.result["kept"]}
    assert "below min_reclaimable" in kept["small"] and "view" in kept["view"]

    real = run_module("mongo_reindex", params)
    assert not real.failed, real.msg
    assert real.changed and real.result["plan"][0]["target"] == planned["target"]
    assert [(entry["action"], entry["status"]) for entry in real.result["actions"]] == [("rebuild", "done")]
    [sizes] = real.result["collections"]
    assert sizes["bytes_before"] - sizes["bytes_after"] == real.result["actions"][0]["bytes"] > MIB
    after = database.command("collStats", "orders")["indexSizes"]
    assert {entry["name"]: entry["bytes_after"] for entry in sizes["indexes"]} == after
    assert definitions(database.orders) == before and list(definitions(database.orders)) == list(before)
    assert database.orders.count_documents({}) == documents
    # What was saved is not needed any more, nor is the note of it.
    assert list(state_dir.rglob("*.json")) == []

    again = run_module("mongo_reindex", params)
    assert not again.failed and not again.changed and again.result["plan"] == []
    assert again.result["summary"]["headline"].startswith("rebuilt nothing: worth it from 1.0 MiB")
    anyway = run_module("mongo_reindex", {**params, "collections": ["small"], "min_reclaimable": "0"})
    assert anyway.changed and definitions(database.small) == {"_id_": {"v": 2, "key": {"_id": 1}, "name": "_id_"}}


def test_only_in_maintenance_unless_told_otherwise(shop: tuple[Any, dict[str, Any]]) -> None:
    database, params = shop
    database.orders.insert_one({})
    params = {**params, "require_maintenance": True, "min_reclaimable": "0"}
    for check in (True, False):
        for mode in ({}, {"mode": "validate", "foreground": True}):
            refused = run_module("mongo_reindex", {**params, **mode}, check=check)
            assert refused.failed and "enter_maintenance" in refused.msg and not refused.changed, refused.msg
    assert not run_module("mongo_reindex", {**params, "mode": "validate"}).failed, "nobody waits for that"
    close_application(database)
    assert run_module("mongo_reindex", params, check=True).changed
    done = run_module("mongo_reindex", params)
    assert not done.failed and done.changed, done.msg


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"collections": []}, ["no collection is named", "mongo_info"]),
        ({"collections": ["nope"]}, ["nope", "NamespaceNotFound"]),
        ({"databases": ["admin"]}, ["left alone"]),
        ({"min_reclaimable": "lots"}, ["not a size"]),
        ({"mode": "validate", "full": True}, ["in full in the background"]),
    ],
)
def test_bad_options_fail_before_anything(
    shop: tuple[Any, dict[str, Any]], options: dict[str, Any], words: list[str]
) -> None:
    database, params = shop
    database.orders.insert_one({})
    result = run_module("mongo_reindex", {**params, **options})
    assert result.failed and all(word in result.msg for word in words), result.msg


def test_reader_may_not_rebuild(mongod: Mongod, shop: tuple[Any, dict[str, Any]], state_dir: Path) -> None:
    database, params = shop
    make_indexes(database.orders)
    before = definitions(database.orders)
    database.command("createUser", "reader", pwd="reader-password", roles=["read"])
    try:
        uri = f"mongodb://reader:reader-password@{mongod.address}/{database.name}"
        result = run_module("mongo_reindex", {**params, "uri": uri, "min_reclaimable": "0"})
        assert result.failed and "13 Unauthorized" in result.msg and "dbAdmin" in result.msg, result.msg
        assert f"{database.name}.orders" in result.msg and "reader-password" not in result.output
        assert definitions(database.orders) == before
    finally:
        database.command("dropUser", "reader")
    # Nothing was lost: whoever may do more finds that, and goes on.
    done = run_module("mongo_reindex", {**params, "min_reclaimable": "0"})
    assert not done.failed, done.msg
    assert [entry["action"] for entry in done.result["actions"]] == ["complete", "rebuild"]
    assert definitions(database.orders) == before and list(state_dir.rglob("*.json")) == []


@pytest.mark.parametrize("number", boundaries(1) if EXHAUSTIVE else (1,))
def test_killed_at_every_boundary(shop: tuple[Any, dict[str, Any]], number: int) -> None:
    database, params = shop
    make_indexes(database.orders)
    fill(database.orders, 8000)
    database.client.admin.command("fsync")
    database.orders.delete_many({"h": {"$gt": 500}})
    database.client.admin.command("fsync")
    before = definitions(database.orders)

    def nothing_lost() -> None:
        assert definitions(database.orders) == before and database.orders.count_documents({}) == 501

    kill_and_run_again("mongo_reindex", params, number, nothing_lost)


def rebuilding(client: Any) -> list[Any]:
    stages = [{"$currentOp": {"allUsers": True}}, {"$match": {"command.reIndex": {"$exists": True}}}]
    return list(client.admin.aggregate(stages))


class Rebuild:
    """A rebuild that has dropped the indexes, and does not go on before it is let."""

    def __init__(self, server: Mongod, state_dir: Path) -> None:
        self.server = server
        self.params = {
            "uri": server.uri_for("shop"),
            "state_dir": str(state_dir),
            "collections": ["orders"],
            "require_maintenance": False,
            "min_reclaimable": "0",
        }
        with server.client() as client:
            self.hold(False)
            client.drop_database("shop")
            make_indexes(client.shop.orders)
            fill(client.shop.orders, 100)
            client.admin.command("fsync")
            self.before = definitions(client.shop.orders)
            self.hold(True)
            said = len(server.log.read_text())
            self.process = start_module("mongo_reindex", self.params)
            wait_for(lambda: "Hanging index build" in server.log.read_text()[said:])
            assert rebuilding(client)

    def hold(self, on: bool) -> None:
        with self.server.client() as client:
            mode = "alwaysOn" if on else "off"
            client.admin.command("configureFailPoint", "hangAfterSettingUpIndexBuild", mode=mode)

    def kill_server(self) -> None:
        """And the module, which waits for it."""
        with self.server.client() as client:
            # What the rebuild has dropped is in the journal, too, as it is after a tenth of a second anyway.
            journaled = WriteConcern(w=1, j=True)
            client.get_database("other", write_concern=journaled).c.insert_one({})
        self.server.kill()
        self.process.kill()
        finish_module(self.process)
        self.server.start()

    def indexes(self) -> dict[str, Any]:
        with self.server.client() as client:
            return definitions(client.shop.orders)

    def settled(self, state_dir: Path) -> bool:
        """All indexes are there, and nothing is remembered any more."""
        return self.indexes() == self.before and list(state_dir.rglob("*.json")) == []


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory, mongod_version: str) -> Iterator[Mongod]:
    """A server that holds in the middle of building indexes when it is told, and may be killed."""
    parameters = {"enableTestCommands": "1"}
    with Mongod(tmp_path_factory.mktemp("slow"), version=mongod_version, parameters=parameters) as server:
        yield server


@pytest.mark.every_server
def test_server_killed_in_the_middle(slow: Mongod, state_dir: Path) -> None:
    """It comes back without them, and the next call makes them again, before anything else."""
    rebuild = Rebuild(slow, state_dir)
    rebuild.kill_server()
    assert set(rebuild.indexes()) == {"_id_"}, "that is what the server leaves"
    looked = run_module("mongo_reindex", rebuild.params, check=True)
    assert looked.changed and looked.result["plan"][0]["action"] == "complete"
    assert set(rebuild.indexes()) == {"_id_"}
    [left] = list((state_dir / "indexes").iterdir())
    assert left.stat().st_mode & 0o777 == 0o600

    # Documents of one key were written meanwhile: that index waits, the others do not, and nothing is built over it.
    with slow.client() as client:
        client.shop.orders.insert_many([{"u": "twice"}, {"u": "twice"}])
    failed = run_module("mongo_reindex", rebuild.params)
    assert failed.failed and "u_1" in failed.msg and "shop.orders" in failed.msg and "11000" in failed.msg, failed.msg
    assert [entry["status"] for entry in failed.result["actions"]] == ["failed", "failed"]
    assert set(rebuild.before) - set(rebuild.indexes()) == {"u_1"}
    with slow.client() as client:
        client.shop.orders.delete_one({"u": "twice"})
    frugal = {**rebuild.params, "min_reclaimable": "1GiB"}
    result = run_module("mongo_reindex", frugal)
    assert not result.failed and result.changed and result.result["summary"]["indexes_made_again"] == 1, result.msg
    assert rebuild.settled(state_dir)
    assert not run_module("mongo_reindex", frugal).changed


def test_module_killed_in_the_middle(slow: Mongod, state_dir: Path) -> None:
    """The server goes on; the next call waits for it before it judges: it would lose all, were it killed now."""
    rebuild = Rebuild(slow, state_dir)
    rebuild.process.send_signal(signal.SIGKILL)
    finish_module(rebuild.process)
    assert rebuild.indexes() == rebuild.before, "so the server says, also while they are not made"
    asked = times_asked(slow, "aggregate")
    process = start_module("mongo_reindex", {**rebuild.params, "min_reclaimable": "1GiB"})
    wait_for(lambda: times_asked(slow, "aggregate") > asked + 10)
    assert process.poll() is None and list((state_dir / "indexes").iterdir())
    rebuild.hold(False)
    result = finish_module(process)
    assert not result.failed and result.result["plan"][0]["action"] == "complete", result.msg
    assert rebuild.settled(state_dir)


def test_interrupted_by_somebody(slow: Mongod, state_dir: Path) -> None:
    """killOp leaves the collection without any index: they are made again at once, and it is told."""
    rebuild = Rebuild(slow, state_dir)
    with slow.client() as client:
        for operation in rebuilding(client):
            client.admin.command("killOp", op=operation["opid"])
    rebuild.hold(False)
    result = finish_module(rebuild.process)
    assert rebuild.settled(state_dir)
    assert result.failed and "interrupted" in result.msg and "shop.orders" in result.msg, result.msg


def test_the_next_run_of_the_host_makes_them_again(slow: Mongod, state_dir: Path, tmp_path: Path) -> None:
    rebuild = Rebuild(slow, state_dir)
    rebuild.kill_server()
    run = {"state": "begun", "name": "test", "state_dir": str(state_dir), "takeover": True}
    begun = run_module("maintenance_run", run)
    assert "connection string is not remembered" in str(begun.result["warnings"]), "it was given as an option"
    assert set(rebuild.indexes()) == {"_id_"}
    # As where the shop's own file names the server.
    env_file = tmp_path / "env"
    env_file.write_text(f"MONGO_URI={slow.uri_for('shop')}\n")
    [note] = list((state_dir / "leftovers").glob("*.json"))
    facts = json.loads(note.read_text())
    facts["facts"].update(env_file=str(env_file), env_from="file")
    note.write_text(json.dumps(facts))
    begun = run_module("maintenance_run", run)
    assert not begun.failed and "made the indexes of shop.orders again" in str(begun.result), begun.result
    assert rebuild.indexes() == rebuild.before and list((state_dir / "indexes").iterdir()) == []


def test_validating_in_the_background_changes_nothing(shop: tuple[Any, dict[str, Any]]) -> None:
    database, params = shop
    make_indexes(database.orders)
    fill(database.orders, 500)
    database.create_collection("series", timeseries={"timeField": "t"})
    database.series.insert_one({"t": datetime.now(timezone.utc)})
    params = {**params, "mode": "validate", "collections": []}
    check = run_module("mongo_reindex", params, check=True)
    assert not check.failed and not check.changed, check.msg
    real = run_module("mongo_reindex", params)
    assert not real.failed and not real.changed, real.msg
    assert [entry["target"] for entry in check.result["plan"]] == [entry["target"] for entry in real.result["plan"]]
    found = {entry["namespace"].partition(".")[2]: entry for entry in real.result["validations"]}
    assert set(found) == {"orders", "series"} and found["orders"]["documents"] == 500
    assert all(entry["valid"] for entry in found.values())
    assert real.result["summary"]["headline"] == "validated 2 collections in the background: all valid"


@pytest.mark.every_server
def test_validating_in_the_foreground_mends_counts(tmp_path: Path, mongod_version: str, state_dir: Path) -> None:
    with Mongod(tmp_path / "killed", version=mongod_version, parameters={"syncdelay": "0"}) as server:
        with server.client() as client:
            shop = client.get_database("shop", write_concern=WriteConcern(w=1, j=True))
            shop.orders.insert_many([{"_id": n} for n in range(100)])
            shop.emptied.insert_many([{"_id": n} for n in range(5000)])
            shop.right.insert_one({})
            client.admin.command("fsync")
            shop.orders.insert_many([{"_id": n} for n in range(100, 4000)])
            shop.emptied.delete_many({})
        server.kill()
        server.start()
        params = {
            "uri": server.uri_for("shop"),
            "state_dir": str(state_dir),
            "mode": "validate",
            "require_maintenance": False,
        }
        background = run_module("mongo_reindex", params)
        assert not background.failed and not background.changed, background.msg
        params["foreground"] = True
        check = run_module("mongo_reindex", params, check=True)
        assert check.changed and check.result["summary"]["counts_mended"] == 1
        reasons = {entry["target"]: entry["reason"] for entry in check.result["plan"]}
        assert "mends the count of documents, 100 instead of 4000" in reasons["shop.orders"]
        assert "once it holds a document again" in reasons["shop.emptied"]
        real = run_module("mongo_reindex", params)
        assert real.changed and real.result["summary"]["counts_mended"] == 1, real.result
        assert "shop.emptied is empty" in str(real.result["warnings"])
        with server.client() as client:
            assert client.shop.orders.estimated_document_count() == 4000
            again = run_module("mongo_reindex", params)
            assert not again.failed and not again.changed
            client.shop.emptied.insert_one({})
        filled = run_module("mongo_reindex", {**params, "full": True})
        assert filled.changed and filled.result["summary"]["counts_mended"] == 1
        assert not run_module("mongo_reindex", params).changed


def test_a_member_of_a_replica_set_is_told_what_to_do_instead(
    tmp_path: Path, mongod_version: str, state_dir: Path
) -> None:
    with two_members(tmp_path, mongod_version, priority=0, votes=0) as (primary, secondary):
        with primary.client() as client:
            shop = client.get_database("shop", write_concern=WriteConcern(w=2))
            make_indexes(shop.orders)
            fill(shop.orders, 100)
            before = definitions(shop.orders)
        params = {"uri": secondary.uri_for("shop"), "state_dir": str(state_dir), "collections": ["orders"]}
        # Nothing is kept waiting by being told.
        result = run_module("mongo_reindex", params)
        assert not result.failed and not result.changed and result.result["plan"] == [], result.msg
        assert "replica set rs0" in result.result["kept"][0]["reason"]
        instead = " ".join(result.result["instead"])
        assert "shop.orders: indexes of" in instead and "mongo_compact" in instead and "without --replSet" in instead
        wait_for(lambda: documents_of(secondary) == 100)
        valid = run_module("mongo_reindex", {**params, "mode": "validate"})
        assert not valid.failed and not valid.changed, valid.msg
        assert valid.result["validations"][0]["documents"] == 100
        with primary.client() as client:
            assert definitions(client.shop.orders) == before


def documents_of(server: Mongod) -> int:
    with server.client(readPreference="secondaryPreferred") as client:
        return int(client.shop.orders.count_documents({}))


def test_on_the_oldest_python(shop: tuple[Any, dict[str, Any]], old_python: Path) -> None:
    database, params = shop
    make_indexes(database.orders)
    before = definitions(database.orders)
    for mode in ({"min_reclaimable": "0"}, {"mode": "validate"}):
        result = run_module("mongo_reindex", {**params, **mode}, python=old_python)
        assert not result.failed, result.msg
    assert definitions(database.orders) == before
