# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mongo_restore into the live database: the old one or the new one, whatever happens, and never a part of each."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import bson
import pytest
from bson import json_util
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.archive import (
    ArchiveWriter,
    CollectionMetadata,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.swap import PREFIX
from ansible_collections.miniecom.maintenance.plugins.plugin_utils.step_report import collect, step_of
from tests.integration.test_mongo_backup import fill_with_every_kind, ok
from tests.integration.test_mongo_restore import stock_backup, stock_dump
from tests.sandbox.mongod import Mongod
from tests.support.extent import EXHAUSTIVE
from tests.support.modules import ModuleResult, run_module

pytestmark = pytest.mark.usefixtures("mongod_libraries")

# Each moment at which a run can be killed, instead of some of them.
SITE = {"key": "site", "type": "json"}
RAW: CodecOptions[Any] = CodecOptions(document_class=RawBSONDocument)


def site(name: str, maintenance: str) -> dict[str, Any]:
    return {**SITE, "value": '{"shopName":"%s","maintenance":%s,"currency":"EUR"}' % (name, maintenance)}


ON, OFF = '{"enabled":true,"message":"soon"}', '{"enabled":false}'


def fill(database: Any) -> None:
    """A small shop with each kind of thing that takes its place in a way of its own."""
    database.orders.insert_many([{"_id": number, "n": number} for number in range(20)])
    database.orders.create_index("n", unique=True)
    database.products.insert_many([{"_id": number, "name": f"cup {number}"} for number in range(5)])
    database.create_collection("metrics", timeseries={"timeField": "ts", "metaField": "m"})
    database.metrics.insert_many([{"ts": datetime(2026, 1, 1, tzinfo=timezone.utc), "m": n} for n in range(4)])
    database.create_collection("top", viewOn="orders", pipeline=[{"$match": {"n": {"$gt": 10}}}])
    database.settings.insert_one(site("then", OFF))
    database.same.insert_one({"_id": 1})


def live_on(database: Any) -> None:
    """Weeks later: everything has changed, the shop is in maintenance, one collection is gone and one is new."""
    database.orders.delete_many({"n": {"$lt": 5}})
    database.orders.insert_many([{"_id": number, "n": number} for number in range(100, 130)])
    database.orders.drop_index("n_1")
    database.products.drop()
    database.drop_collection("metrics")
    database.create_collection("metrics", timeseries={"timeField": "ts", "metaField": "m", "granularity": "hours"})
    database.metrics.insert_one({"ts": datetime(2026, 5, 1, tzinfo=timezone.utc), "m": 9})
    database.top.drop()
    database.create_collection("top", viewOn="orders", pipeline=[{"$match": {"n": {"$gt": 100}}}])
    database.settings.replace_one({"key": "site"}, site("now", ON))
    database.later.insert_one({"_id": "since"})


def snapshot(client: Any, name: str) -> dict[str, Any]:
    """All there is in a database, but for what a restore has beside it."""
    found = {}
    database = client.get_database(name, codec_options=RAW)
    for info in client[name].list_collections():
        collection, kind = info["name"], info.get("type", "collection")
        if collection.startswith((PREFIX, "system.")):
            continue
        data = f"system.buckets.{collection}" if kind == "timeseries" else collection
        documents = [] if kind == "view" else sorted(bytes(document.raw) for document in database[data].find({}))
        indexes = (
            [] if kind == "view" else [json_util.dumps(index) for index in client[name][collection].list_indexes()]
        )
        found[collection] = (kind, json_util.dumps(info["options"], sort_keys=True), sorted(indexes), documents)
    return found


def beside(client: Any, name: str) -> list[str]:
    return [collection for collection in client[name].list_collection_names() if PREFIX in collection]


def as_restored(new: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    """What a restore comes to: the backup's, what it does not hold as it was, and the maintenance block as it is now."""
    kind, options, indexes, documents = new["settings"]
    text = site("then", ON)["value"]
    raw = [bson.encode({**bson.decode(document), "value": text}) for document in documents]
    return {**old, **new, "settings": (kind, options, indexes, raw)}


class World:
    """A database that lived on after its backup, in which the next restore is to be made."""

    def __init__(self, mongod: Mongod, directory: Path) -> None:
        self.mongod, self.directory = mongod, directory
        self.name = "live_restore"
        directory.mkdir(exist_ok=True)
        (directory / "env").write_text(f"MONGODB_URI={mongod.uri_for(self.name)}\n")
        with mongod.client() as client:
            client.drop_database(self.name)
            fill(client[self.name])
            self.new = snapshot(client, self.name)
        self.backup = self.back_up("backups")
        self.reset()
        self.safety = self.back_up("safety")

    def back_up(self, where: str) -> str:
        (self.directory / where).mkdir()
        params = {"env_file": str(self.directory / "env"), "dest": str(self.directory / where), "fresh_within": "0s"}
        params |= {"state_dir": str(self.directory / "state"), "min_free": "1MiB"}
        return str(ok(run_module("mongo_backup", params)).result["path"])

    def reset(self) -> None:
        with self.mongod.client() as client:
            client.drop_database(self.name)
            fill(client[self.name])
            live_on(client[self.name])
            self.old = snapshot(client, self.name)
        shutil.rmtree(self.directory / "state", ignore_errors=True)

    def params(self, **options: Any) -> dict[str, Any]:
        params: dict[str, Any] = {"src": self.backup, "mode": "restore", "server": "live", "min_free": "1MiB"}
        params |= {"env_file": str(self.directory / "env"), "safety_backup": self.safety}
        return {**params, "state_dir": str(self.directory / "state"), **options}

    def now(self) -> dict[str, Any]:
        with self.mongod.client() as client:
            return snapshot(client, self.name)

    @property
    def restored(self) -> dict[str, Any]:
        return as_restored(self.new, self.old)

    def require_restored(self) -> None:
        assert self.now() == self.restored
        self.require_nothing_left()

    def require_as_before(self) -> None:
        assert self.now() == self.old
        self.require_nothing_left()

    def require_nothing_left(self) -> None:
        with self.mongod.client() as client:
            assert beside(client, self.name) == []
        state = self.directory / "state"
        assert list(state.glob("restore-*")) == []
        assert list((state / "leftovers").glob("*.json")) == []


@pytest.fixture(scope="module")
def made(mongod: Mongod, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(mongod, tmp_path_factory.mktemp("live"))
    yield world
    with mongod.client() as client:
        client.drop_database(world.name)


@pytest.fixture
def world(made: World) -> World:
    made.reset()
    return made


def restore(world: World, **options: Any) -> ModuleResult:
    return run_module("mongo_restore", world.params(**options))


# --- what is restored


@pytest.mark.every_server
def test_the_backup_takes_the_place_of_the_live_database(world: World) -> None:
    would = ok(run_module("mongo_restore", world.params(), check=True, diff=True)).result
    world.require_as_before()
    done = ok(restore(world)).result
    world.require_restored()
    assert would["changed"] is done["changed"] is True
    assert would["plan"] == done["plan"]
    assert would["collections"] == done["collections"]
    changes = {
        entry["name"]: (entry["change"], entry["documents_now"], entry["documents_then"])
        for entry in done["collections"]
    }
    assert changes == {
        "later": ("stays", 1, 1),
        "metrics": ("replace", 1, 4),
        "orders": ("replace", 45, 20),
        "products": ("create", None, 5),
        "same": ("same", 1, 1),
        "settings": ("replace", 1, 1),
        "top": ("replace", 0, 0),
    }
    assert done["staying"] == ["later"]
    assert f"{world.name}.orders: 45 documents" in would["diff"]["before"]
    assert f"{world.name}.orders: 20 documents" in would["diff"]["after"]
    assert "would restore 5 collections with 30 documents (now 47)" in would["summary"]["headline"]
    again = ok(restore(world)).result
    assert again["changed"] is False
    assert again["plan"] == []
    world.require_restored()


@pytest.mark.every_server
def test_every_kind_of_collection_and_index_comes_back_as_it_was(
    mongod: Mongod, mongo_database: str, tmp_path: Path
) -> None:
    (tmp_path / "dest").mkdir()
    uri = {"uri": mongod.uri_for(mongo_database), "state_dir": str(tmp_path / "state"), "min_free": "1MiB"}
    with mongod.client() as client:
        fill_with_every_kind(client[mongo_database])
        before = snapshot(client, mongo_database)
        path = ok(run_module("mongo_backup", {**uri, "dest": str(tmp_path / "dest")})).result["path"]
        client.drop_database(mongo_database)
        # After a disaster there is nothing to lose: neither maintenance nor a safety backup is wanted.
        result = ok(
            run_module(
                "mongo_restore", {**uri, "src": path, "mode": "restore", "server": "live", "allow_clients": True}
            )
        )
        assert snapshot(client, mongo_database) == before
        assert beside(client, mongo_database) == []
        assert {entry["change"] for entry in result.result["collections"]} == {"create"}
        # Over what is there, with all that differs only in options and indexes.
        client[mongo_database].command("collMod", "strict", validator={})
        client[mongo_database].plain.drop_index("n_1")
        client[mongo_database].big.drop()
        safety = ok(run_module("mongo_backup", {**uri, "dest": str(tmp_path / "dest"), "fresh_within": "0s"})).result[
            "path"
        ]
        params = {
            **uri,
            "src": path,
            "mode": "restore",
            "server": "live",
            "allow_clients": True,
            "safety_backup": safety,
        }
        result = ok(run_module("mongo_restore", {**params, "require_maintenance": False}))
        changed = {entry["name"] for entry in result.result["collections"] if entry["change"] != "same"}
        assert changed == {"strict", "plain", "big"}
        assert snapshot(client, mongo_database) == before


def test_a_database_as_in_the_backup_is_left_alone_in_whatever_order_it_stands(
    mongod: Mongod, mongo_database: str, tmp_path: Path
) -> None:
    """A dump reads in the order of _id while others may write, and documents are on the disk as they came."""
    (tmp_path / "env").write_text(f"MONGODB_URI={mongod.uri_for(mongo_database)}\n")
    with mongod.client() as client:
        client[mongo_database].orders.insert_many([{"_id": number} for number in (3, 1, 2)])
        client[mongo_database].settings.insert_many([{"_id": 2, **site("then", ON)}, {"_id": 1, "key": "other"}])
    params: dict[str, Any] = {"env_file": str(tmp_path / "env"), "state_dir": str(tmp_path / "state")}
    dest = {"dest": str(tmp_path), "fresh_within": "0s", "min_free": "1MiB"}
    backup = ok(run_module("mongo_backup", {**params, **dest})).result["path"]
    params |= {"src": backup, "mode": "restore", "server": "live", "safety_backup": backup, "min_free": "1MiB"}
    done = ok(run_module("mongo_restore", params)).result
    assert done["changed"] is False and done["plan"] == []
    assert {entry["change"] for entry in done["collections"]} == {"same"}
    with mongod.client() as client:
        client[mongo_database].orders.replace_one({"_id": 2}, {"_id": 2, "n": 1})
    done = ok(run_module("mongo_restore", {**params, "require_maintenance": False}, check=True)).result
    assert {entry["name"]: entry["change"] for entry in done["collections"]} == {
        "orders": "replace",
        "settings": "same",
    }


def test_named_collections_alone_are_restored(world: World) -> None:
    result = ok(restore(world, collections=["products", "top"])).result
    now = world.now()
    assert now == {**world.old, "products": world.new["products"], "top": world.new["top"]}
    assert sorted(result["staying"]) == ["later", "metrics", "orders", "same", "settings"]
    assert "does not hold the collections nope" in restore(world, collections=["nope"]).msg


# --- what stands in the way


def test_nothing_is_done_before_it_is_safe(world: World) -> None:
    refused = {
        "no safety backup is named": {"safety_backup": None},
        "no safety backup under this path": {"safety_backup": world.safety + ".missing"},
        "holds 31 documents, and the database 49": {"safety_backup": world.backup},
        "not enough space": {"min_free": "900TiB"},
        "do not go together": {"server": "throwaway"},
        "does not hold the database other": {"from_database": "other"},
        "one of the server's own databases": {"database": "admin"},
    }
    for words, options in refused.items():
        result = restore(world, **options)
        assert result.failed
        assert words in result.msg
    with world.mongod.client(appname="the API") as client:
        client[world.name].orders.find_one()
        result = restore(world)
        assert "others are connected to the database" in result.msg
        assert "the API from 127.0.0.1" in result.msg
        would = ok(run_module("mongo_restore", world.params(), check=True)).result
        assert "would be refused as things are now" in str(would["warnings"])
        client[world.name].settings.replace_one({"key": "site"}, site("now", OFF))
    assert "the shop is not in maintenance" in restore(world).msg
    world.require_nothing_left()


@pytest.mark.parametrize("damage", ["cut", "flipped", "passphrase"])
def test_a_damaged_archive_changes_nothing(world: World, tmp_path: Path, damage: str) -> None:
    path = tmp_path / Path(world.backup).name
    options: dict[str, Any] = {"src": str(path)}
    data = bytearray(Path(world.backup).read_bytes())
    if damage == "cut":
        del data[len(data) // 2 :]
    elif damage == "flipped":
        data[len(data) // 2] ^= 1
    path.write_bytes(data)
    if damage == "passphrase":
        encrypted = tmp_path / f"{path.name}.enc"
        subprocess.run(
            ["openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-in", path, "-out", encrypted, "-pass", "pass:right"],
            check=True,
        )
        (tmp_path / "passphrase").write_text("wrong\n")
        assert "the backup is encrypted" in restore(world, src=str(encrypted)).msg
        options = {"src": str(encrypted), "passphrase_file": str(tmp_path / "passphrase")}
    for check in (True, False):
        assert run_module("mongo_restore", world.params(**options), check=check).failed
        world.require_as_before()
    if damage == "passphrase":
        (tmp_path / "passphrase").write_text("right\n")
        ok(restore(world, **options))
        world.require_restored()


# --- whenever it is killed


def test_killed_before_any_command_it_is_the_old_database_or_the_new_one(world: World) -> None:
    """Until it lives to its end; the next run on the host, or the next call, puts it in order."""
    number, seen, told = 0, set(), set()
    while True:
        world.reset()
        result = run_module("mongo_restore", world.params(), kill_at_command=(number, None))
        if result.rc != -signal.SIGKILL:
            break
        if number % 2:
            begun = run_module(
                "maintenance_run", {"state": "begun", "name": "x", "state_dir": str(world.directory / "state")}
            )
            assert not ok(begun).result.get("warnings"), number
            # The run's table says so.
            rows = collect([{"step": "earlier run", "variable": "begun"}], {"begun": begun.result}, False)
            assert [("the restore of live_restore on" in row.headline, row.status) for row in rows] in (
                [],
                [(True, "ok")],
            ), begun.result
            told.update(row.headline.partition(" was ")[2].partition(":")[0] for row in rows)
            now = world.now()
            seen.add("new" if now == world.restored else "old")
            assert now in (world.old, world.restored), number
            world.require_nothing_left()
        else:
            ok(restore(world))
            world.require_restored()
        number += 1 if EXHAUSTIVE else 3
    ok(result)
    world.require_restored()
    assert number >= 25
    assert seen == {"old", "new"}
    assert told == {"finished", "undone"}


def test_killed_with_a_uri_of_its_own_the_next_run_says_what_to_do_and_no_backup_is_made_meanwhile(
    world: World, tmp_path: Path
) -> None:
    """The uri is a secret that is written down nowhere, so only whoever has it can go on: until then nobody may miss it."""
    params = {key: value for key, value in world.params().items() if key != "env_file"}
    params |= {"uri": world.mongod.uri_for(world.name)}
    state = {"state_dir": str(world.directory / "state")}
    # The last command before the new set counts: the database is neither the old one nor the new one.
    number, half_way = 0, False
    while not half_way:
        number += 3
        world.reset()
        result = run_module("mongo_restore", params, kill_at_command=(number, None))
        assert result.rc == -signal.SIGKILL, "it came to its end before it was half way"
        journals = list((world.directory / "state").glob("restore-*"))
        half_way = any('"swapping"' in path.read_text() for path in journals) and world.now() != world.old
    begun = ok(run_module("maintenance_run", {"state": "begun", "name": "x", **state}))
    [told] = begun.result["unsettled"]
    assert told in str(begun.result["warnings"]) and not begun.result["cleaned"]
    for words in (world.name, "Call mongo_restore again", "the same uri", "written down nowhere"):
        assert words in told
    row = step_of("earlier run", begun.result, False)
    assert row.status == "failed" and told in row.headline
    assert str(params["uri"]).rpartition("@")[0].rpartition(":")[2] not in begun.output

    backups = tmp_path / "backups"
    backups.mkdir()
    wanted = {"env_file": str(world.directory / "env"), "dest": str(backups), "min_free": "1MiB", **state}
    refused = run_module("mongo_backup", wanted)
    assert refused.failed and "killed half way" in refused.msg and not list(backups.iterdir())
    ok(run_module("mongo_restore", params))
    world.require_restored()
    ok(run_module("mongo_backup", wanted))
    ended = ok(run_module("maintenance_run", {"state": "ended", "run_id": begun.result["run_id"], **state}))
    assert not ended.result["cleaned"] and "unsettled" not in ended.result


def test_killed_between_its_notes_it_is_put_in_order(world: World) -> None:
    number = 0
    while True:
        world.reset()
        state = world.directory / "state"
        result = run_module("mongo_restore", world.params(), kill_at_change=(state, number))
        if result.rc != -signal.SIGKILL:
            break
        assert world.mongod.running
        ok(restore(world))
        world.require_restored()
        number += 1 if EXHAUSTIVE else 5
    assert number > 10


def test_the_server_dies_on_the_way(tmp_path: Path) -> None:
    with Mongod(tmp_path / "mongod", auth=True) as server:
        world = World(server, tmp_path / "world")
        for number in (2, 12, 19, 24):
            world.reset()
            assert server.pid is not None
            result = run_module("mongo_restore", world.params(), kill_at_command=(number, server.pid))
            committed = not result.failed
            words = "the next run clears it away" if committed else "could not be put in order yet"
            assert words in str([result.msg, result.result.get("warnings")])
            server.stop()
            server.start()
            begun = {"state": "begun", "name": "x", "state_dir": str(world.directory / "state")}
            ok(run_module("maintenance_run", begun))
            if committed:
                world.require_restored()
            else:
                world.require_as_before()
        assert committed


def test_what_an_application_wrote_too_early_is_kept(world: World) -> None:
    """Killed half way through the swap, and the shop was opened: orders that came in meanwhile are not dropped."""
    number = 12
    while True:
        world.reset()
        result = run_module("mongo_restore", world.params(), kill_at_command=(number, None))
        assert result.rc == -signal.SIGKILL, "no kill has left the new orders in place beside old data"
        now = world.now()
        if now.get("orders") == world.new["orders"] and "settings" in now and now != world.restored:
            break
        number += 1
    with world.mongod.client() as client:
        client[world.name].orders.insert_one({"_id": "precious", "n": 1000})
    run_module("maintenance_run", {"state": "begun", "name": "x", "state_dir": str(world.directory / "state")})
    with world.mongod.client() as client:
        (kept,) = beside(client, world.name)
        assert client[world.name][kept].find_one({"_id": "precious"})
    assert world.now() == world.old


# --- archives of stock mongodump


def test_a_dump_of_a_whole_server_restores_the_shop_alone(mongod: Mongod, mongo_database: str, tmp_path: Path) -> None:
    path = stock_backup(tmp_path / "shop", stock_dump(mongod, ["blog", mongo_database], True), "mongo.archive")
    params = {"src": str(path), "mode": "restore", "server": "live", "uri": mongod.uri_for(mongo_database)}
    params |= {"state_dir": str(tmp_path / "state"), "min_free": "1MiB"}
    with mongod.client() as client:
        users = client.admin.command("usersInfo", 1)["users"]
        databases = client.list_database_names()
    result = ok(run_module("mongo_restore", params)).result
    warnings = str(result["warnings"])
    assert "Other databases in the backup are not restored: blog" in warnings
    assert "Users and roles in the backup are not restored" in warnings
    assert "is not replayed: the collections are restored as they were when each was read." in warnings
    with mongod.client() as client:
        assert client[mongo_database].orders.count_documents({}) == 5
        assert client.admin.command("usersInfo", 1)["users"] == users
        assert sorted(client.list_database_names()) == sorted([*databases, mongo_database])
    assert (
        "does not hold the database elsewhere" in run_module("mongo_restore", {**params, "database": "elsewhere"}).msg
    )


def test_names_and_sizes_at_the_edge(mongod: Mongod, mongo_database: str, tmp_path: Path) -> None:
    (tmp_path / "dest").mkdir()
    uri = {"uri": mongod.uri_for(mongo_database), "state_dir": str(tmp_path / "state"), "min_free": "1MiB"}
    longest = "n" * (255 - len(mongo_database) - 1)
    with mongod.client() as client:
        client[mongo_database].big.insert_one({"_id": 1, "x": os.urandom(16 * 1024 * 1024 - 40)})
        for name in ("odd/na me%é.x", "a.b.c", longest, 'q"uote', "new\nline"):
            client[mongo_database][name].insert_one({"_id": name})
        before = snapshot(client, mongo_database)
        path = ok(run_module("mongo_backup", {**uri, "dest": str(tmp_path / "dest")})).result["path"]
        client.drop_database(mongo_database)
        ok(
            run_module(
                "mongo_restore", {**uri, "src": path, "mode": "restore", "server": "live", "allow_clients": True}
            )
        )
        assert snapshot(client, mongo_database) == before


def test_an_empty_backup_replaces_nothing(world: World, tmp_path: Path) -> None:
    out = io.BytesIO()
    writer = ArchiveWriter(out.write, [CollectionMetadata(world.name, "orders")], "6.0.5", "100.10.0")
    writer.end(world.name, "orders")
    path = stock_backup(tmp_path / "shop", out.getvalue())
    assert "there is not one document in it" in restore(world, src=str(path)).msg
    world.require_as_before()


@pytest.mark.parametrize("packed", [False, True])
def test_what_mongodump_wrote_is_restored_without_anything_around_it(
    mongod: Mongod, mongo_database: str, tmp_path: Path, packed: bool
) -> None:
    """A dump of a whole server, with its users, under a name of somebody's own."""
    dump = stock_dump(mongod, ["blog", mongo_database], True)
    path = tmp_path / "before the move.dump"
    path.write_bytes(gzip.compress(dump) if packed else dump)
    params = {"src": str(path), "uri": mongod.uri_for(mongo_database), "state_dir": str(tmp_path / "state")}
    params["min_free"] = "1MiB"
    tested = ok(run_module("mongo_restore", params)).result
    assert tested["summary"]["restored"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [path.name, "state"], "no record of it"
    live = {**params, "mode": "restore", "server": "live"}
    would = ok(run_module("mongo_restore", live, check=True)).result
    done = ok(run_module("mongo_restore", live)).result
    assert would["plan"] == done["plan"]
    assert "Users and roles in the backup are not restored" in str(done["warnings"])
    assert "Other databases in the backup are not restored: blog" in str(done["warnings"])
    with mongod.client() as client:
        assert client[mongo_database].orders.count_documents({}) == 5
        assert "blog" not in client.list_database_names()
        client.drop_database(mongo_database)
    data = bytearray(path.read_bytes())
    for damaged in (bytes(data[:-30]), bytes(data[: len(data) // 2]) + b"\x01" + bytes(data[len(data) // 2 + 1 :])):
        path.write_bytes(damaged)
        for values in (params, live):
            assert run_module("mongo_restore", values).failed
    with mongod.client() as client:
        assert mongo_database not in client.list_database_names()
    path.write_bytes(b"no dump at all")
    assert "nor what mongodump --archive writes" in run_module("mongo_restore", params).msg
