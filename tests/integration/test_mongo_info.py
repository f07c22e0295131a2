# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from datetime import timedelta

import pytest
from pymongo import WriteConcern
from pymongo.errors import OperationFailure

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.clock import utc_now
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.size_history import read_sizes, write_sizes
from tests.sandbox.mongod import Mongod
from tests.support.modules import run_module
from tests.support.replica import two_members, wait_for


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
    database.orders.find_one({"n": 5000}, hint="n_1")
    run = run_module("mongo_info", params)
    assert not run.failed, run.msg
    result = run.result
    assert not run.changed
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
    # By the deletion, and here.
    assert indexes["n_1"]["accesses"] == 2 and indexes["n_1"]["accesses_since"].endswith("Z")
    assert indexes["s_text"]["accesses"] == 0
    for name, index in indexes.items():
        manager = statistics["indexDetails"][name]["block-manager"]
        size, reusable = manager["file size in bytes"], manager["file bytes available for reuse"]
        assert (index["bytes"], index["reusable_bytes"], index["free_share"]) == (
            size,
            reusable,
            round(reusable / size, 4),
        )
    assert orders["free_share"] == round(
        (orders["reusable_bytes"] + orders["index_reusable_bytes"]) / (orders["storage_bytes"] + orders["index_bytes"]),
        4,
    )
    # Of the text index most is free; those of a few hundred kilobytes do not shrink.
    assert indexes["s_text"]["reclaimable_bytes"] == indexes["s_text"]["reusable_bytes"] > 1024 * 1024
    assert indexes["n_1"]["reclaimable_bytes"] == 0
    assert orders["reclaimable_bytes"] == orders["reusable_bytes"] + indexes["s_text"]["reclaimable_bytes"]
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


def test_growth_and_forecast_from_what_earlier_runs_saw(shop, mongod, state_dir):
    database, params = shop
    check = run_module("mongo_info", params, check=True).result["databases"][0]
    assert check["growth"]["days_until_full"] is None and "has 1" in check["growth"]["reason"]
    assert not state_dir.exists(), "a check keeps nothing"
    size = check["storage_bytes"] + check["index_bytes"]
    now = utc_now()
    earlier = [(now - timedelta(days=days), size - days * 1024) for days in (1, 2, 3, 4)]
    write_sizes(str(state_dir), {(mongod.address, database.name): earlier, ("elsewhere", database.name): [(now, 1)]})
    run = run_module("mongo_info", params)
    assert not run.failed, run.msg
    assert ", growing by 1.0 KiB a day" in run.result["summary"]["headline"]
    [found] = run.result["databases"]
    growth = found["growth"]
    assert growth["samples"] == 5 and growth["reason"] is None and 512 < growth["bytes_per_day"] < 2048
    assert growth["days_until_full"] == pytest.approx(
        found["filesystem_free_bytes"] / growth["bytes_per_day"], rel=0.01
    )
    known = read_sizes(str(state_dir))
    assert [size for _at, size in known[(mongod.address, database.name)]][-1] == found["storage_bytes"] + found[
        "index_bytes"
    ]
    assert len(known) == 2
    again = run_module("mongo_info", params).result["databases"][0]["growth"]
    assert again["samples"] == 5, "of a day one figure is kept"


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


def test_unused_only_when_every_member_agrees_for_a_month(tmp_path, state_dir, mongod_version):
    """A month goes by in the record of what was seen: nobody waits for it here."""
    with two_members(tmp_path, mongod_version, priority=0, votes=0) as (primary, secondary), primary.client() as client:
        shop = client.get_database("shop", write_concern=WriteConcern(w=2))
        shop.orders.create_index("rests")
        shop.orders.create_index([("rests", 1), ("more", 1)])
        shop.orders.create_index("busy", unique=True)
        shop.orders.insert_one({"rests": 1})
        params = {"uri": primary.uri_for("shop"), "state_dir": str(state_dir)}
        assert not run_module("mongo_info", params, check=True).failed and not state_dir.exists()
        first = run_module("mongo_info", params)
        assert not first.failed and first.result["unused_indexes"] == [], first.msg
        members = {entry["name"]: entry for entry in first.result["health"]["members"]}
        assert [members[server.address]["state"] for server in (primary, secondary)] == ["primary", "secondary"]
        assert members[secondary.address]["lag_seconds"] >= 0, members
        [redundant] = first.result["redundant_indexes"]
        assert (redundant["name"], redundant["covered_by"]) == ("shop.orders.rests_1", "rests_1_more_1")
        path = state_dir / "history/index-use.json"
        entries = json.loads(path.read_text())
        assert {entry["member"] for entry in entries} == {primary.address, secondary.address}

        def a_month_later(members):
            for entry in entries:
                entry["rested"] = 31 * 86400.0 if entry["member"] in members else 0.0
            path.write_text(json.dumps(entries))
            return run_module("mongo_info", params).result["unused_indexes"]

        both = [primary.address, secondary.address]
        assert a_month_later(both) == ["shop.orders.rests_1", "shop.orders.rests_1_more_1"]
        assert a_month_later(both[:1]) == [], "only one of them agrees"
        with secondary.client(readPreference="secondaryPreferred") as reader:
            reader.shop.orders.find_one({"rests": 1}, hint="rests_1")
        assert a_month_later(both) == ["shop.orders.rests_1_more_1"], "it was used on the secondary just now"
        secondary.stop()
        wait_for(lambda: "(not reachable/healthy)" in str(client.admin.command("replSetGetStatus")["members"]))
        told = run_module("mongo_info", params)
        assert told.result["unused_indexes"] == [] and secondary.address in str(told.result["warnings"]), told.result
