# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import threading
import time
from datetime import datetime, timedelta, timezone

import pytest
from pymongo import WriteConcern
from pymongo.errors import OperationFailure

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.clock import utc_now
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import SkipAction
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.lease import take_lease
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Outcome
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.state_dir import StateDirectory
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import client as mongo
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.compaction import Compact, Policy
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.compactor import Compactor
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.storage import read_collection_statistics
from tests.sandbox.mongod import Mongod
from tests.support.extent import sampled
from tests.support.kill import boundaries, kill_and_run_again
from tests.support.modules import finish_module, run_module, start_module
from tests.support.replica import times_asked, two_members, wait_for

pytestmark = pytest.mark.every_server

MIB = 1024 * 1024


def grow(database, name, mebibytes, *, delete=0.7, indexed=True):
    """A collection of incompressible documents of 16 KiB, a share of which is deleted again, on disk."""
    collection = database[name]
    if indexed:
        collection.create_index("k")
    body = [os.urandom(16000) for _ in range(8)]
    count = mebibytes * 64
    for start in range(0, count, 500):
        collection.insert_many(
            [{"k": n, "b": body[n % 8] + n.to_bytes(8, "big") * 40} for n in range(start, start + 500)]
        )
    # Only what a checkpoint has written can be free afterwards.
    database.client.admin.command("fsync")
    if not delete:
        return
    collection.delete_many({"k": {"$gte": int(count * (1 - delete))}})
    database.client.admin.command("fsync")


@pytest.fixture
def shop(mongod, mongo_database, state_dir):
    with mongod.client() as client:
        database = client[mongo_database]
        params = {
            "uri": mongod.uri_for(mongo_database),
            "state_dir": str(state_dir),
            "min_reclaimable": "2MiB",
            "min_ratio": 0.2,
        }
        yield database, params


def test_check_then_run_then_nothing(mongod, shop, state_dir):
    database, params = shop
    grow(database, "bloated", 16, delete=0.8)
    database.fine.insert_many([{"k": n, "s": os.urandom(300).hex()} for n in range(10000)])
    database.client.admin.command("fsync")
    database.create_collection("capped", capped=True, size=100000)
    database.command("create", "view", viewOn="fine", pipeline=[])
    database.create_collection("series", timeseries={"timeField": "t"})
    database.tiny.insert_one({})
    namespace = f"{database.name}.bloated"
    before = database.command("collStats", "bloated")["totalSize"]
    documents = database.bloated.count_documents({})

    asked = times_asked(mongod, "compact")
    check = run_module("mongo_compact", params, check=True, diff=True)
    assert not check.failed, check.msg
    assert check.changed and check.result["actions"] == []
    assert times_asked(mongod, "compact") == asked, "these servers take no dryRun for one, and would compact"
    assert database.command("collStats", "bloated")["totalSize"] == before
    assert not state_dir.exists(), "check mode writes nothing, not even the state directory"
    [planned] = check.result["plan"]
    assert planned["target"] == namespace and planned["predicted"] is True
    assert check.result["summary"]["headline"].startswith("would ")
    assert namespace in check.result["diff"]["before"]
    kept = {entry["target"].partition(".")[2]: entry["reason"] for entry in check.result["kept"]}
    assert "fine" in kept
    assert "view" in kept["view"] and "capped" in kept["capped"]
    assert set(kept) >= {"tiny", "series", "system.views"}

    real = run_module("mongo_compact", params)
    assert not real.failed, real.msg
    assert real.changed
    assert [(entry["target"], entry["status"]) for entry in real.result["actions"]] == [(namespace, "done")]
    after = database.command("collStats", "bloated")["totalSize"]
    freed = real.result["summary"]["bytes_freed"]
    assert freed == real.result["actions"][0]["bytes"]
    # The run's own checkpoint may have trimmed the file's tail in between.
    assert abs(freed - (before - after)) < MIB / 4
    assert freed > 8 * MIB
    assert times_asked(mongod, "compact") == asked + 1
    # How much of what is predicted comes free is decided by where in the file the documents lie.
    assert check.result["summary"]["bytes_predicted_least"] <= freed <= 1.03 * planned["bytes"], "as predicted"
    assert check.result["summary"]["bytes_predicted_least"] > 0.7 * planned["bytes"]
    assert database.bloated.count_documents({}) == documents

    again = run_module("mongo_compact", params)
    assert not again.failed and not again.changed and again.result["plan"] == []
    assert again.result["summary"]["headline"].startswith("compacted nothing")


def compacts_time_series(database):
    """Whether this server does: 6.0.27 does and 6.0.5 does not, so the major version says nothing."""
    database.create_collection("probe", timeseries={"timeField": "t"})
    try:
        return database.command("compact", "probe")["ok"] == 1
    except OperationFailure as error:
        assert error.code == 166, error
        return False


def test_time_series_are_compacted_where_the_server_can(shop):
    """Where it cannot, that is said, and stops nothing else."""
    database, params = shop
    grow(database, "bloated", 8)
    database.create_collection("series", timeseries={"timeField": "t", "metaField": "m"})
    now = datetime.now(timezone.utc)
    database.series.insert_many([{"t": now, "m": n, "b": os.urandom(16000)} for n in range(512)])
    database.client.admin.command("fsync")
    # All over the file: any checkpoint trims what is free at its end.
    database.series.delete_many({"m": {"$in": [n for n in range(512) if n % 16 < 12]}})
    database.client.admin.command("fsync")
    before = database.command("collStats", "series")["storageSize"]
    able = compacts_time_series(database)

    real = run_module("mongo_compact", params)
    assert not real.failed, real.msg
    status = {entry["target"].partition(".")[2]: entry for entry in [*real.result["kept"], *real.result["actions"]]}
    assert status["bloated"]["status"] == "done"
    assert database.series.count_documents({}) == 128
    if able:
        assert status["series"].get("status") == "done", status["series"]
        assert before - database.command("collStats", "series")["storageSize"] > 2 * MIB
        assert {entry["namespace"] for entry in real.result["collections"]} >= {f"{database.name}.series"}
        assert not run_module("mongo_compact", params).changed
    else:
        assert status["series"].get("status") in (None, "skipped"), status["series"]
        assert "time-series" in str(status["series"])


def test_fresh_deletions_are_seen_after_a_checkpoint_in_real_runs_only(shop):
    database, params = shop

    def checkpoints():
        return database.command("serverStatus")["wiredTiger"]["transaction"]["transaction checkpoints"]

    # The server takes a checkpoint every minute by itself; in a world where it came in between nothing can be seen.
    for _ in range(5):
        database.fresh.drop()
        grow(database, "fresh", 12, delete=0)
        before = checkpoints()
        database.fresh.delete_many({"k": {"$gte": 100}})
        plan = run_module("mongo_compact", params, check=True).result["plan"]
        if checkpoints() == before:
            break
    else:
        raise AssertionError("a checkpoint came in between, five times")
    assert plan == []
    real = run_module("mongo_compact", params)
    assert real.changed and real.result["summary"]["bytes_freed"] > 4 * MIB


def test_time_series_are_compacted_where_the_server_does(mongod, shop):
    database, params = shop
    database.create_collection("series", timeseries={"timeField": "at", "metaField": "sensor"})
    start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    for sensor in range(20):
        database.series.insert_many(
            [
                {"at": start + timedelta(hours=sensor * 500 + n), "sensor": sensor, "b": os.urandom(2000)}
                for n in range(500)
            ]
        )
    database.client.admin.command("fsync")
    database.series.delete_many({"sensor": {"$lt": 15}})
    database.client.admin.command("fsync")
    [planned] = run_module("mongo_compact", params, check=True).result["plan"]
    assert planned["target"] == f"{database.name}.series" and "when it is tried" in planned["reason"]
    result = run_module("mongo_compact", params)
    assert not result.failed, result.msg
    [action] = result.result["actions"]
    with mongod.client() as client:
        version = tuple(client.server_info()["versionArray"][:3])
    if version == (6, 0, 5):
        assert action["status"] == "skipped" and "does not compact time-series" in action["note"] and not result.changed
    else:
        assert action["status"] == "done" and action["bytes"] > 8 * MIB and result.changed
    assert database.series.count_documents({}) == 2500


def test_time_budget_and_named_collections(shop):
    database, params = shop
    grow(database, "one", 8)
    grow(database, "two", 8)
    seconds = 1.2 + database.command("collStats", "one")["totalSize"] / (40 * MIB)
    result = run_module("mongo_compact", {**params, "time_budget": f"{seconds:.2f}s"}, check=True).result
    assert len(result["plan"]) == 1 and any("time_budget" in entry["reason"] for entry in result["kept"])
    result = run_module("mongo_compact", {**params, "collections": ["two"]}, check=True).result
    assert [entry["target"] for entry in result["plan"]] == [f"{database.name}.two"]
    assert result["kept"] == []


def test_what_there_was_no_time_for_is_first_next_time(shop, state_dir):
    database, params = shop
    grow(database, "small", 8)
    grow(database, "large", 16)

    def budget(name):
        return f"{1.3 + database.command('collStats', name)['totalSize'] / (40 * MIB):.2f}s"

    first = run_module("mongo_compact", {**params, "time_budget": budget("large")})
    assert not first.failed, first.msg
    assert [(entry["target"], entry["status"]) for entry in first.result["actions"]] == [
        (f"{database.name}.large", "done")
    ]
    [later] = first.result["deferred"]
    assert later["target"] == f"{database.name}.small" and later in first.result["kept"]
    assert first.result["summary"]["collections_deferred"] == 1
    assert first.result["summary"]["headline"].endswith("1 deferred for want of time")

    grow(database, "larger", 24)
    params["time_budget"] = budget("larger")
    check = run_module("mongo_compact", params, check=True)
    assert check.result["plan"][0]["target"] == f"{database.name}.small"
    assert [entry["target"] for entry in check.result["deferred"]] == [f"{database.name}.larger"]
    second = run_module("mongo_compact", params)
    assert not second.failed, second.msg
    assert second.result["actions"][0]["target"] == f"{database.name}.small"
    third = run_module("mongo_compact", {**params, "time_budget": None})
    assert [entry["target"] for entry in third.result["actions"]] == [f"{database.name}.larger"]
    assert third.result["deferred"] == []
    # What each came to is known from now on.
    known = json.loads((state_dir / "history" / "compactions.json").read_text(encoding="utf-8"))
    assert {entry["namespace"] for entry in known["yields"]} == {
        f"{database.name}.{name}" for name in ("large", "small", "larger")
    }
    assert all(0.5 < entry["freed"] / entry["predicted"] < 1.5 for entry in known["yields"])
    assert known["deferred"] == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"collections": ["nope"]}, ["nope", "NamespaceNotFound"]),
        ({"databases": ["nope"]}, ["nope", "may see"]),
        ({"databases": ["admin"]}, ["left alone"]),
        ({"members": "all"}, ["one of: connected, rolling"]),
        ({"primary": "stepdown"}, ["members: rolling"]),
        ({"min_ratio": 25}, ["from 0 to 1"]),
        ({"min_reclaimable": "lots"}, ["not a size"]),
        ({"time_budget": "soon"}, ["not a duration"]),
    ],
)
def test_bad_options_fail_before_anything(shop, options, words):
    database, params = shop
    database.c.insert_one({})
    result = run_module("mongo_compact", {**params, **options})
    assert result.failed and all(word in result.msg for word in words), result.msg


def test_user_with_the_least_privileges(mongod, shop):
    """dbAdmin on the database alone: it works, and says that the figures may be old."""
    database, params = shop
    grow(database, "bloated", 8)
    database.command("createUser", "keeper", pwd="keeper-password", roles=["dbAdmin"])
    uri = f"mongodb://keeper:keeper-password@{mongod.address}/{database.name}"
    try:
        result = run_module("mongo_compact", {**params, "uri": uri})
        assert not result.failed, result.msg
        assert result.changed
        assert "up to a minute old" in str(result.result["warnings"])
    finally:
        database.command("dropUser", "keeper")


def test_reader_may_not_compact(mongod, shop):
    database, params = shop
    grow(database, "bloated", 8)
    database.command("createUser", "reader", pwd="reader-password", roles=["read"])
    try:
        uri = f"mongodb://reader:reader-password@{mongod.address}/{database.name}"
        result = run_module("mongo_compact", {**params, "uri": uri})
        assert result.failed and "13 Unauthorized" in result.msg and "dbAdmin" in result.msg
        # What failed is still in the report.
        assert result.result["actions"][0]["status"] == "failed"
        assert not result.changed
    finally:
        database.command("dropUser", "reader")


def test_what_changed_since_planning_is_skipped(mongod, shop):
    database, params = shop
    database.c.insert_one({})
    with mongo.connect({"uri": params["uri"]}) as connection:
        compactor = Compactor(connection, connection, Policy(MIB, 0.1), "test", time.monotonic())
        with pytest.raises(SkipAction, match="gone"):
            compactor.compact(Compact(database.name, "never", 5))
        with pytest.raises(SkipAction, match="not worth it any more"):
            compactor.compact(Compact(database.name, "c", 5))


def test_dropped_connection_is_waited_for_and_measured(shop):
    """The server goes on compacting without us: the outcome is measured when it has finished."""
    database, params = shop
    grow(database, "bloated", 48, indexed=False)
    with mongo.connect(params) as connection, mongo.connect(params, socketTimeoutMS=5) as hasty:
        before = read_collection_statistics(connection, database.name, "bloated").bytes
        began = time.monotonic()
        outcome = Compactor(
            connection, hasty, Policy(MIB, 0.1), "test", began, sleep=lambda _s: time.sleep(0.01)
        ).compact(Compact(database.name, "bloated", 1))
        assert isinstance(outcome, Outcome)
        assert (
            outcome.bytes == before - read_collection_statistics(connection, database.name, "bloated").bytes > 16 * MIB
        )
        assert "connection was lost" in outcome.note


def test_writes_go_on_meanwhile_and_nothing_is_lost(shop):
    database, params = shop
    grow(database, "bloated", 16)
    stop, written = threading.Event(), []

    def write():
        number = 10**6
        while not stop.is_set():
            database.bloated.insert_one({"k": number})
            written.append(number)
            number += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        result = run_module("mongo_compact", params)
    finally:
        stop.set()
        thread.join()
    assert not result.failed and written
    assert database.bloated.count_documents({"k": {"$gte": 10**6}}) == len(written)


@pytest.mark.parametrize("number", sampled(boundaries(2)))
def test_killed_at_every_boundary(shop, number):
    database, params = shop
    grow(database, "one", 8, indexed=False)
    grow(database, "two", 8, indexed=False)
    counts = {name: database[name].count_documents({}) for name in ("one", "two")}

    def nothing_lost():
        assert {name: database[name].count_documents({}) for name in counts} == counts

    again = kill_and_run_again("mongo_compact", params, number, nothing_lost)
    assert len(again.result["actions"]) == 2 - (number + 1) // 2, "what the killed run had done is not done again"


def test_on_the_oldest_python(shop, old_python):
    database, params = shop
    grow(database, "bloated", 8)
    result = run_module("mongo_compact", params, python=old_python)
    assert not result.failed, result.msg
    assert result.changed


def test_record_of_the_run_holds_every_action(mongod, shop, state_dir):
    database, params = shop
    grow(database, "bloated", 8)
    state = StateDirectory(str(state_dir))
    state.prepare()
    run_id = take_lease(state, "test", "tester", False, utc_now()).lease.run_id
    result = run_module("mongo_compact", {**params, "run_id": run_id})
    assert not result.failed, result.msg
    events = [json.loads(line) for line in (state_dir / "runs" / f"{run_id}.jsonl").read_text().splitlines()]
    assert any(event.get("event") == "end" and event.get("bytes", 0) > MIB for event in events)
    assert mongod.root_password not in json.dumps(events)


def test_a_server_that_is_killed_meanwhile_loses_nothing(tmp_path, state_dir, mongod_version):
    """It is started again at once, and must not be taken for one that went on."""
    with Mongod(tmp_path / "killed", auth=True, version=mongod_version) as server:
        params = {
            "uri": server.uri_for("shop"),
            "state_dir": str(state_dir),
            "min_reclaimable": "2MiB",
            "min_ratio": 0.2,
        }
        with server.client() as client:
            grow(client.shop, "bloated", 16)
            documents = client.shop.bloated.count_documents({})
            slow = {"setParameter": 1, "wiredTigerEngineRuntimeConfig": "timing_stress_for_test=[compact_slow]"}
            client.admin.command(slow)
            module = start_module("mongo_compact", params)
            stages = [{"$currentOp": {"allUsers": True}}, {"$match": {"command.compact": "bloated"}}]
            [running] = wait_for(lambda: list(client.admin.aggregate(stages)))
            assert running["command"]["comment"].startswith("miniecom.maintenance mongo_compact ")
        server.kill()
        server.start()
        done = finish_module(module)
        assert done.failed and "started anew" in done.msg and "shop.bloated" in done.msg, done.msg
        assert [entry["status"] for entry in done.result["actions"]] == ["failed"]
        with server.client() as client:
            assert client.shop.bloated.count_documents({}) == documents
            assert client.shop.command("validate", "bloated")["valid"]
        again = run_module("mongo_compact", params)
        assert not again.failed, again.msg
        with server.client() as client:
            # A checkpoint may have kept what the killed server had done till then: there is less to free, or nothing.
            assert client.shop.command("collStats", "bloated")["totalSize"] < 8 * MIB
            assert client.shop.bloated.count_documents({}) == documents


@pytest.fixture(scope="module")
def replica_set(tmp_path_factory, mongod_version):
    """A primary and a secondary, with a bloated collection; deletions are freed at once instead of minutes later."""
    parameters = {"minSnapshotHistoryWindowInSeconds": "0"}
    with (
        two_members(tmp_path_factory.mktemp("set"), mongod_version, parameters, priority=0, votes=0) as members,
        members[0].client() as client,
    ):
        grow(client.shop, "bloated", 12, delete=0)
        both = client.get_database("shop", write_concern=WriteConcern(w=2))
        both.other.insert_many([{"n": n} for n in range(100)])
        # As in grow(), on each of them: what was never written to its file cannot be free there.
        for server in members:
            checkpoint(server)
        both.bloated.delete_many({"k": {"$gte": 200}})
        for server in members:
            wait_for(lambda server=server: free_bytes(server) > 4 * MIB)
        yield members


def checkpoint(server):
    with server.client() as client:
        client.admin.command("fsync")


def free_bytes(server):
    with server.client() as client:
        if client.admin.command("hello").get("isWritablePrimary"):
            client.shop.other.insert_one({})  # the oldest time that a reader may want moves on with writes only
        client.admin.command("fsync")
        return client.shop.command("collStats", "bloated").get("freeStorageSize", 0)


def test_secondary_then_primary_by_force(replica_set, state_dir):
    primary, secondary = replica_set
    params = {"state_dir": str(state_dir), "min_reclaimable": "1MiB", "min_ratio": 0.1}
    of_secondary = {**params, "uri": primary.uri_for("shop"), "address": secondary.address}
    of_primary = {**params, "uri": primary.uri_for("shop")}

    skipped = run_module("mongo_compact", of_primary)
    assert not skipped.failed and not skipped.changed and skipped.result["plan"] == []
    [reason] = [entry["reason"] for entry in skipped.result["kept"] if entry["target"] == "shop.bloated"]
    assert "primary: force" in reason

    # Its free bytes would say nothing: a checkpoint may cut the free end off a file.
    before = times_asked(primary, "compact")
    with primary.client() as client:
        documents = client.shop.bloated.count_documents({})
    done = run_module("mongo_compact", of_secondary)
    assert not done.failed, done.msg
    assert done.changed and done.result["summary"]["bytes_freed"] > 2 * MIB
    assert times_asked(primary, "compact") == before, "compacting one member leaves the other untouched"
    with secondary.client() as client:
        assert client.admin.command("hello")["secondary"]

    forced = run_module("mongo_compact", {**of_primary, "primary": "force"})
    assert not forced.failed, forced.msg
    assert forced.changed and times_asked(primary, "compact") > before
    with primary.client() as client:
        assert client.admin.command("hello")["isWritablePrimary"]
        assert client.shop.bloated.count_documents({}) == documents
    assert not run_module("mongo_compact", {**of_primary, "primary": "force"}).changed
