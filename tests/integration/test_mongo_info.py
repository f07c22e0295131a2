# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import threading
from contextlib import suppress

import pytest
from pymongo import WriteConcern
from pymongo.errors import OperationFailure

from tests.sandbox.mongod import Mongod
from tests.support.modules import run_module
from tests.support.replica import wait_for

pytestmark = pytest.mark.every_server


@pytest.fixture
def shop(mongod, mongo_database, state_dir):
    with mongod.client() as client:
        database = client[mongo_database]
        database.orders.insert_many([{"n": n, "s": os.urandom(500).hex()} for n in range(6000)])
        database.orders.create_index("n", unique=True)
        database.orders.create_index([("s", "text")])
        database.sessions.create_index("at", expireAfterSeconds=60)
        database.command("create", "view", viewOn="orders", pipeline=[])
        client.admin.command("fsync")
        database.orders.delete_many({"n": {"$lt": 4000}})
        client.admin.command("fsync")
        yield database, {"uri": mongod.uri_for(mongo_database), "state_dir": str(state_dir)}


def test_figures_are_the_servers(shop, mongod, state_dir):
    database, params = shop
    run = run_module("mongo_info", params)
    assert not run.failed, run.msg
    result = run.result
    assert not run.changed and not state_dir.exists()
    assert result["server"]["topology"] == "standalone" and result["server"]["authorization"] is True
    assert result["server"]["address"] == mongod.address and result["server"]["bind"] == "127.0.0.1"
    statistics = database.command("collStats", "orders", indexDetails=True)
    orders = result["collections"][0]
    assert (orders["name"], orders["documents"]) == ("orders", 2000)
    assert orders["storage_bytes"] == statistics["storageSize"]
    assert orders["reusable_bytes"] == statistics["freeStorageSize"] > 0
    assert orders["index_bytes"] == statistics["totalIndexSize"]
    assert 0 < orders["reclaimable_bytes"] <= orders["reusable_bytes"] + orders["index_reusable_bytes"]
    indexes = {index["name"]: index for index in orders["indexes"]}
    assert indexes["n_1"]["unique"] and indexes["n_1"]["keys"] == {"n": 1}
    assert indexes["s_text"]["keys"]["_fts"] == "text"
    [sessions] = [entry for entry in result["collections"] if entry["name"] == "sessions"]
    assert {index["ttl_seconds"] for index in sessions["indexes"]} == {None, 60.0}
    assert [entry["kind"] for entry in result["collections"] if entry["name"] == "view"] == ["view"]
    assert result["unused_indexes"] == []
    assert result["health"]["uptime_seconds"] >= 0 and result["health"]["connections"]["current"] > 0
    assert result["summary"]["reclaimable_bytes"] == orders["reclaimable_bytes"]
    assert "MongoDB 6" in result["summary"]["headline"]
    assert result["summary"]["indexes"] == sum(len(entry["indexes"]) for entry in result["collections"])
    assert result["summary"]["headline"].startswith("%d indexes, none unused" % result["summary"]["indexes"])
    [described] = result["databases"]
    assert described["documents"] >= 2000 and described["filesystem_free_bytes"] > 0


def test_oldest_operation_without_its_content(shop):
    database, params = shop

    def slow():
        # Longer than any machine takes to start the module: it is ended when it has been seen.
        with suppress(OperationFailure):
            list(database.orders.find({"$where": "sleep(50) || false", "canary": {"$ne": "personal"}}))

    def running():
        stages = [
            {"$currentOp": {}},
            {"$match": {"ns": f"{database.name}.orders", "op": {"$in": ["query", "getmore"]}}},
        ]
        return list(database.client.admin.aggregate(stages))

    thread = threading.Thread(target=slow)
    thread.start()
    try:
        wait_for(running)
        run = run_module("mongo_info", {**params, "collections": ["orders"]})
        oldest = run.result["health"]["oldest_operation"]
    finally:
        for operation in running():
            database.client.admin.command("killOp", op=operation["opid"])
        thread.join()
    assert oldest["operation"] in ("find", "getMore", "aggregate")
    assert oldest["namespace"].endswith(".orders") and oldest["seconds"] >= 0
    assert "personal" not in run.output


def test_user_who_may_little(mongod, shop):
    database, params = shop
    database.command("createUser", "reader", pwd="reader-password", roles=["read"])
    uri = f"mongodb://reader:reader-password@{mongod.address}/{database.name}"
    run = run_module("mongo_info", {**params, "uri": uri})
    assert not run.failed, run.msg
    assert run.result["server"]["authorization"] is None
    assert run.result["collections"][0]["documents"] == 2000
    assert "clusterMonitor" in str(run.result["warnings"])


def test_named_and_all_databases(mongod, shop):
    database, params = shop
    assert run_module("mongo_info", {**params, "collections": ["nope"]}).msg.startswith("there is no collection")
    assert run_module("mongo_info", {**params, "databases": ["nope"]}).failed
    run = run_module("mongo_info", {**params, "uri": mongod.uri})
    names = [entry["name"] for entry in run.result["databases"]]
    assert database.name in names and not {"admin", "config", "local"} & set(names)


def test_on_the_oldest_python(shop, old_python):
    _database, params = shop
    run = run_module("mongo_info", params, python=old_python)
    assert not run.failed, run.msg


def test_replica_set(tmp_path, state_dir, mongod_version):
    with Mongod(tmp_path / "rs", replica_set="rs0", version=mongod_version) as server, server.client() as client:
        client.shop.orders.insert_one({})
        run = run_module("mongo_info", {"uri": server.uri_for("shop"), "state_dir": str(state_dir)})
        assert not run.failed, run.msg
        assert (run.result["server"]["topology"], run.result["server"]["set_name"]) == ("replica set", "rs0")
        health = run.result["health"]
        assert [member["state"] for member in health["members"]] == ["primary"]
        assert health["oplog_window_seconds"] >= 0 and health["replication_lag_seconds"] == 0


def test_the_fast_count_after_a_crash_is_told_to_be_wrong(tmp_path, state_dir):
    """What was written after the last checkpoint comes back from the journal, the number beside it does not."""
    with Mongod(tmp_path) as server:
        with server.client() as client:
            client.shop.filled.insert_one({"_id": -1})
            client.shop.emptied.insert_many([{"_id": n} for n in range(500)])
            client.shop.right.insert_many([{"_id": n} for n in range(70)])
            client.admin.command("fsync")
            journaled = client.get_database("shop", write_concern=WriteConcern(w=1, j=True))
            journaled.filled.insert_many([{"_id": n} for n in range(3000)])
            journaled.emptied.delete_many({})
        server.kill()
        server.start()
        params = {"uri": server.uri_for("shop"), "state_dir": str(state_dir)}
        run = run_module("mongo_info", params)
        assert not run.failed, run.msg
        found = {entry["name"]: entry for entry in run.result["collections"]}
        assert (found["filled"]["documents"], found["filled"]["documents_counted"]) == (1, 3001)
        assert (found["emptied"]["documents"], found["emptied"]["documents_counted"]) == (500, 0)
        assert (found["right"]["documents"], found["right"]["documents_counted"]) == (70, 70)
        assert run.result["wrong_counts"] == ["shop.emptied", "shop.filled"]
        assert run.result["summary"]["headline"].startswith("the count of documents is wrong in 2 collections; ")
        assert "shop.filled: the statistics say 1 documents, counting finds 3001" in str(run.result["warnings"])
        assert run.result["summary"]["wrong_counts"] == 2 and run.result["summary"]["collections_counted"] == 3
        left_out = run_module("mongo_info", {**params, "count_time": "0"})
        assert left_out.result["wrong_counts"] == [] and not left_out.result.get("warnings")
        assert left_out.result["collections"][0]["documents_counted"] is None


def test_writers_do_not_make_a_count_wrong(shop):
    database, params = shop
    stop = threading.Event()

    def write():
        number = 10**6
        while not stop.is_set():
            database.orders.insert_many([{"n": number + n} for n in range(50)])
            database.orders.delete_many({"n": {"$gte": number, "$lt": number + 40}})
            number += 50

    thread = threading.Thread(target=write)
    thread.start()
    try:
        runs = [run_module("mongo_info", params) for _ in range(3)]
    finally:
        stop.set()
        thread.join()
    assert [run.result["wrong_counts"] for run in runs] == [[], [], []]


def test_who_may_not_read_documents_is_told_all_the_rest(mongod, shop):
    database, params = shop
    database.command("createUser", "keeper", pwd="keeper-password", roles=["dbAdmin"])
    uri = f"mongodb://keeper:keeper-password@{mongod.address}/{database.name}"
    try:
        run = run_module("mongo_info", {**params, "uri": uri})
    finally:
        database.command("dropUser", "keeper")
    assert not run.failed, run.msg
    assert run.result["collections"][0]["documents_counted"] is None
    assert "the role read on the database" in str(run.result["warnings"])
