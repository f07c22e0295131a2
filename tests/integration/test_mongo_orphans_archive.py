# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is archived comes back byte for byte, is never nowhere, and never goes when anything about it is doubtful."""

from __future__ import annotations

import os
import signal
import struct
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from bson import ObjectId, encode
from bson.raw_bson import RawBSONDocument

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import orphan_archive
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.orphan_judgement import identity_of
from tests.sandbox.mongod import Mongod
from tests.support.extent import EXHAUSTIVE
from tests.support.modules import ModuleResult, finish_module, run_module, start_module

LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)
INVENTORY = {"collection": "inventory", "field": "productId", "references": "products"}
CARTS = {"collection": "carts", "field": "items[].productId", "references": "products"}
LARGEST = 16 * 1024 * 1024


def old_id() -> ObjectId:
    return ObjectId(int(LONG_AGO.timestamp()).to_bytes(4, "big") + ObjectId().binary[4:])


def element(kind: int, name: bytes, value: bytes) -> bytes:
    return bytes((kind,)) + name + b"\0" + value


def text(value: bytes) -> bytes:
    return struct.pack("<i", len(value) + 1) + value + b"\0"


def document(*fields: bytes) -> bytes:
    body = b"".join(fields)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def stored(database: Any, name: str) -> dict[bytes, bytes]:
    """The documents of a collection as bytes, by their _id."""
    found = {}
    for batch in database[name].find_raw_batches({}):
        position = 0
        while position < len(batch):
            (length,) = struct.unpack_from("<i", batch, position)
            raw = bytes(batch[position : position + length])
            found[identity_of(raw).raw] = raw
            position += length
    return found


def archived(database: Any, name: str) -> dict[bytes, bytes]:
    """The documents that the archive of a collection holds, by their _id."""
    archive = orphan_archive.Archive(database, name)
    return {entry.key.raw: entry.payload for batch in archive.read({}) for entry in batch}


class Shop:
    """A shop with a few orphans among many good documents."""

    def __init__(self, database: Any, params: dict[str, Any]) -> None:
        self.database = database
        self.params = params
        self.products = [old_id() for _ in range(60)]
        self.gone = [old_id() for _ in range(4)]

    def fill(self, odd: tuple[bytes, ...] = ()) -> None:
        self.database.products.insert_many([{"_id": product} for product in self.products])
        stock = [{"_id": old_id(), "productId": product, "n": 1} for product in [*self.products, *self.gone]]
        self.database.inventory.insert_many(stock)
        carts = [{"_id": old_id(), "items": [{"productId": str(product)}], "n": 1} for product in self.products]
        carts[0]["items"] = [
            {"productId": str(self.gone[0]), "q": 1},
            {"productId": str(self.products[0])},
            {"productId": str(self.gone[1]), "$odd": {"a.b": 1}},
        ]
        self.database.carts.insert_many([RawBSONDocument(encode(cart)) for cart in carts])
        for raw in odd:
            self.database.inventory.insert_one(RawBSONDocument(raw))

    def archive(self, *relations: dict[str, Any], **more: Any) -> ModuleResult:
        return run_module("mongo_orphans", self.arguments(*relations, **more.pop("params", {})), **more)

    def arguments(self, *relations: dict[str, Any], **params: Any) -> dict[str, Any]:
        given = list(relations) or [INVENTORY, CARTS]
        return {**self.params, "action": "archive", "max_delete": 100, "max_percent": 50, "relations": given, **params}

    def restore(self, run: str, **more: Any) -> ModuleResult:
        return run_module("mongo_orphans", {**self.params, "action": "restore", "archive_run": run}, **more)

    def restore_all(self) -> None:
        for name in ("inventory", "carts"):
            for run in self.database[name + "__orphans"].distinct("run_id"):
                result = self.restore(run)
                assert not result.failed, result.msg


@pytest.fixture
def shop(mongod, mongo_database, state_dir):
    with mongod.client() as client:
        yield Shop(client[mongo_database], {"uri": mongod.uri_for(mongo_database), "state_dir": str(state_dir)})


def ok(result: ModuleResult) -> dict[str, Any]:
    assert not result.failed, result.msg
    return result.result


def odd_documents(reference: ObjectId) -> dict[str, bytes]:
    """Documents that decoding and encoding would change, or that do not fit into another one."""

    def identity() -> bytes:
        return element(7, b"_id", old_id().binary)

    product = element(7, b"productId", reference.binary)
    largest = encode({"_id": old_id(), "productId": reference, "a": ""})
    deep: dict[str, Any] = {"v": 1}
    for _level in range(177):
        deep = {"d": deep}
    return {
        "as large as can be": encode({"_id": old_id(), "productId": reference, "a": "x" * (LARGEST - len(largest))}),
        "as deep as can be": encode({"_id": old_id(), "productId": reference, "d": deep}),
        "a field twice below the top": document(
            identity(),
            product,
            element(3, b"a", document(element(16, b"b", b"\1\0\0\0"), element(16, b"b", b"\2\0\0\0"))),
        ),
        "no UTF-8": document(identity(), product, element(2, b"a", text(b"\xff\xfe"))),
        "names like operators": document(
            identity(),
            product,
            element(16, b"$a", b"\1\0\0\0"),
            element(16, b"a.b", b"\1\0\0\0"),
            element(16, b"", b"\1\0\0\0"),
        ),
        "an empty timestamp": document(identity(), product, element(17, b"t", bytes(8))),
        "empty timestamps, and names": document(
            identity(), element(17, b"t", bytes(8)), product, element(3, b"n", document(element(17, b"t", bytes(8))))
        ),
        "types of old": document(identity(), product, element(6, b"u", b""), element(14, b"s", text(b"s"))),
        "a date beyond the calendar": document(identity(), product, element(9, b"d", struct.pack("<q", 2**62))),
        "a document for its _id": encode({"_id": {"b": 1, "a": [1]}, "productId": reference, "createdAt": LONG_AGO}),
        "text for its _id": encode({"_id": "é\n", "productId": reference, "createdAt": LONG_AGO}),
        "a null for its _id": encode({"_id": None, "productId": reference, "createdAt": LONG_AGO}),
    }


@pytest.mark.every_server
@pytest.mark.parametrize("collation", [None, {"locale": "en", "strength": 1}])
def test_whatever_was_archived_comes_back_byte_for_byte(shop, collation):
    if collation:
        shop.database.create_collection("inventory", collation=collation)
    odd = odd_documents(shop.gone[0])
    shop.fill(tuple(odd.values()))
    before = {name: stored(shop.database, name) for name in ("inventory", "carts")}
    assert set(odd.values()) <= set(before["inventory"].values()) | {odd["an empty timestamp"]} | {
        odd["empty timestamps, and names"]
    }
    # The server gives an empty timestamp the present time, except in this way.
    for name in ("an empty timestamp", "empty timestamps, and names"):
        raw = odd[name]
        shop.database.inventory.update_one(
            {"_id": ObjectId(raw[9:21])}, [{"$replaceWith": {"$literal": RawBSONDocument(raw)}}]
        )
    before["inventory"] = stored(shop.database, "inventory")
    assert set(odd.values()) <= set(before["inventory"].values())
    predicted = ok(shop.archive(check=True))
    assert {name: stored(shop.database, name) for name in before} == before
    done = ok(shop.archive())
    assert done["plan"] == predicted["plan"]
    assert done["summary"]["archived"] == predicted["summary"]["archived"] == len(odd) + 4 + 2
    left = stored(shop.database, "inventory")
    assert not set(odd.values()) & set(left.values())
    assert len(left) == len(shop.products)
    held = archived(shop.database, "inventory")
    assert {**left, **held} == before["inventory"]
    assert shop.database.carts__orphans.find_one()["content"]["elements"][0] == {
        "productId": str(shop.gone[0]),
        "q": 1,
    }
    again = ok(shop.archive())
    assert not again["changed"]
    ok(shop.restore(done["archive_run"], check=True))
    assert stored(shop.database, "inventory") == left
    back = ok(shop.restore(done["archive_run"]))
    assert back["changed"]
    assert back["summary"]["restored"] == len(odd) + 4 + 1
    assert {name: stored(shop.database, name) for name in before} == before
    assert [shop.database[name].count_documents({}) for name in ("inventory__orphans", "carts__orphans")] == [0, 0]
    assert not ok(shop.restore(done["archive_run"]))["changed"]


def test_what_stands_in_the_way_is_reported_and_never_overwritten(shop):
    shop.fill()
    shop.database.inventory.create_index("place", unique=True, sparse=True)
    shop.database.inventory.update_one({"productId": shop.gone[2]}, {"$set": {"place": "A1"}})
    run = ok(shop.archive())["archive_run"]
    taken = {entry["content"]["productId"]: entry["of"]["_id"] for entry in shop.database.inventory__orphans.find()}
    shop.database.inventory.insert_one({"_id": taken[shop.gone[0]], "new": True})
    shop.database.inventory.insert_one({"_id": 1, "productId": shop.products[0], "place": "A1"})
    same = shop.database.inventory__orphans.find_one({"content.productId": shop.gone[1]})
    shop.database.inventory.insert_one(same["content"])
    shop.database.carts.update_many({}, {"$push": {"items": {"productId": str(shop.products[1])}}})
    here = stored(shop.database, "inventory")
    result = ok(shop.restore(run))
    assert result["summary"]["restored"] == 1
    reasons = " ".join(kept["reason"] for kept in result["kept"]) + " ".join(
        action.get("note", "") for action in result["actions"]
    )
    assert "it is another one" in reasons
    assert "its list was changed since" in reasons
    assert "must be unique" in reasons
    after = stored(shop.database, "inventory")
    assert {key: after[key] for key in here} == here
    assert len(after) == len(here) + 1
    assert shop.database.inventory__orphans.count_documents({}) == 2
    assert shop.database.carts__orphans.count_documents({}) == 1


def test_a_rule_that_came_later_does_not_keep_a_document_from_coming_back(shop):
    shop.fill()
    run = ok(shop.archive())["archive_run"]
    shop.database.command("collMod", "inventory", validator={"price": {"$exists": True}})
    assert ok(shop.restore(run))["summary"]["restored"] == 5


def capped(shop: Shop) -> None:
    shop.database.create_collection("inventory", capped=True, size=100000)


def view(shop: Shop) -> None:
    shop.database.create_collection("inventory", viewOn="stock", pipeline=[])
    shop.database.stock.insert_one({"_id": old_id(), "productId": shop.gone[0]})
    shop.database.stock.insert_many([{"_id": old_id(), "productId": one} for one in shop.products])


def time_series(shop: Shop) -> None:
    shop.database.create_collection("inventory", timeseries={"timeField": "at"})
    shop.database.inventory.insert_many(
        [{"_id": old_id(), "at": LONG_AGO, "productId": one} for one in [*shop.products, shop.gone[0]]]
    )


def archive_with_ttl(shop: Shop) -> None:
    shop.database.inventory__orphans.create_index("archived_at", expireAfterSeconds=60)


def archive_with_rules(shop: Shop) -> None:
    shop.database.create_collection("inventory__orphans", validator={"a": 1})


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (capped, "inventory is capped"),
        (view, "inventory is a view"),
        (time_series, "inventory is a time-series collection"),
        (archive_with_ttl, "has an index (archived_at_1) that removes or refuses documents"),
        (archive_with_rules, "it is no plain collection"),
    ],
)
def test_where_nothing_could_be_put_back_nothing_is_taken(shop, prepare: Callable[[Shop], None], words):
    prepare(shop)
    if prepare in (view, time_series):
        shop.database.products.insert_many([{"_id": product} for product in shop.products])
    else:
        shop.fill()
    before = shop.database.inventory.count_documents({})
    result = shop.archive(INVENTORY)
    assert result.failed
    assert words in result.msg
    assert "inventory.productId" in result.msg
    assert shop.database.inventory.count_documents({}) == before


@pytest.mark.parametrize(
    ("change", "params", "words"),
    [
        (lambda shop: shop.database.products.drop(), {}, "there is no collection products"),
        (lambda shop: shop.database.products.delete_many({}), {}, "the collection products is empty"),
        (lambda shop: None, {"max_percent": 5}, "4 of 64 documents (6.2 %)"),
        (lambda shop: None, {"max_delete": 3}, "4 orphans would be archived, more than max_delete (3)"),
        (lambda shop: None, {"max_delete": None}, "archiving needs max_delete"),
        (
            lambda shop: shop.database.products.aggregate(
                [{"$set": {"_id": {"$toLong": {"$toDate": "$_id"}}}}, {"$limit": 1}, {"$out": "products"}]
            ),
            {"max_percent": 100},
            "no form of an id matches any type there",
        ),
    ],
)
def test_what_is_doubtful_is_refused(shop, change, params, words):
    shop.fill()
    change(shop)
    before = stored(shop.database, "inventory")
    given = {key: value for key, value in {**shop.arguments(INVENTORY), **params}.items() if value is not None}
    for check in (True, False):
        result = run_module("mongo_orphans", given, check=check)
        assert result.failed
        assert words in result.msg
        if "max_delete" not in words:
            assert "inventory.productId holds objectId 64" in result.msg or "nothing" in result.msg
        assert not result.changed
        assert result.result["relations"]
    assert stored(shop.database, "inventory") == before
    assert "inventory__orphans" not in shop.database.list_collection_names()


def test_what_is_no_sure_orphan_stays(shop):
    shop.fill()
    gone = shop.gone[0]
    stays = {
        "young": {"_id": ObjectId(), "productId": gone},
        "made lately": {"_id": old_id(), "createdAt": datetime.now(timezone.utc), "productId": gone},
        "of no age": {"_id": "x", "productId": gone},
        "malformed": {"_id": old_id(), "productId": "undefined"},
        "of another type": {"_id": old_id(), "productId": 7},
        "null": {"_id": old_id(), "productId": None},
    }
    shop.database.inventory.insert_many(stays.values())
    twice = document(
        element(7, b"_id", old_id().binary),
        element(7, b"productId", shop.products[0].binary),
        element(7, b"productId", gone.binary),
    )
    shop.database.inventory.insert_one(RawBSONDocument(twice))
    result = ok(shop.archive(INVENTORY))
    assert result["summary"]["archived"] == 4
    left = stored(shop.database, "inventory")
    assert twice in left.values()
    assert {encode(one) for one in stays.values() if one is not stays["made lately"]} <= set(left.values())
    assert shop.database.inventory.count_documents({}) == len(shop.products) + len(stays) + 1
    reasons = " ".join(kept["reason"] for kept in result["kept"])
    assert "neither createdAt nor an ObjectId tells its age" in reasons
    assert "1 malformed" in reasons
    assert "younger than min_age" in reasons
    assert ok(shop.archive(INVENTORY, params={"min_age": "0s"}))["summary"]["archived"] == 3


def test_archives_are_no_data_of_the_shop(shop):
    shop.fill()
    ok(shop.archive())
    everywhere = {"collection": "*", "field": "content.productId", "references": "products"}
    found = ok(run_module("mongo_orphans", {**shop.params, "relations": [everywhere]}))
    assert {entry["relation"].partition(".")[0] for entry in found["relations"]} == {"carts", "inventory", "products"}
    named = {"collection": "inventory__orphans", "field": "of._id", "references": "products"}
    result = run_module("mongo_orphans", {**shop.params, "relations": [named]})
    assert "is an archive" in result.msg


def test_purge_takes_what_is_old_and_nothing_else(shop):
    odd = odd_documents(shop.gone[0])
    shop.fill((odd["as large as can be"],))
    ok(shop.archive())
    archive = shop.database.inventory__orphans
    assert archive.count_documents({"kind": "part"}) == 2
    archive.insert_one({"_id": "somebody else's", "archived_at": LONG_AGO})
    purge = {**shop.params, "action": "purge"}
    assert not ok(run_module("mongo_orphans", purge))["changed"]
    archive.update_many({"content.productId": {"$ne": shop.gone[1]}}, {"$set": {"archived_at": LONG_AGO}})
    archive.update_one({"content.productId": shop.gone[2]}, {"$set": {"pending": True}})
    predicted = ok(run_module("mongo_orphans", purge, check=True))
    done = ok(run_module("mongo_orphans", purge))
    assert predicted["plan"] == done["plan"]
    assert done["summary"]["entries_purged"] == predicted["summary"]["entries_purged"] == 3
    left = [entry.get("content", {}).get("productId") for entry in archive.find()]
    assert sorted(map(str, left)) == sorted(map(str, [shop.gone[1], shop.gone[2], None]))
    assert not ok(run_module("mongo_orphans", purge))["changed"]


# -- faults ------------------------------------------------------------------------------------------------------------


def check_nothing_is_lost(shop: Shop, before: dict[str, dict[bytes, bytes]]) -> None:
    """Each document is in its collection or in its archive, as it was."""
    here, away = stored(shop.database, "inventory"), archived(shop.database, "inventory")
    for key, raw in before["inventory"].items():
        assert raw in (here.get(key), away.get(key))
    kept = {key: raw for key, raw in stored(shop.database, "carts").items() if raw != before["carts"][key]}
    assert set(kept) <= set(archived(shop.database, "carts"))


def try_again(shop: Shop, before: dict[str, dict[bytes, bytes]]) -> None:
    """The next run finishes the work, and what all of them archived comes back."""
    check_nothing_is_lost(shop, before)
    ok(shop.archive())
    check_nothing_is_lost(shop, before)
    assert not ok(shop.archive())["changed"]
    assert len(stored(shop.database, "inventory")) == len(shop.products)
    assert shop.database.inventory__orphans.count_documents({"pending": True}) == 0
    shop.restore_all()
    assert {name: stored(shop.database, name) for name in before} == before
    for name in ("inventory__orphans", "carts__orphans"):
        assert shop.database[name].count_documents({}) == 0


def commands_of(shop: Shop, check: bool) -> int:
    """How many commands planning alone, or all of archiving, sends."""
    process = start_module("mongo_orphans", shop.arguments(), check=check, signal_at_command=(-1, 0, 0))
    return int(finish_module(process).stderr.rpartition("commands: ")[2])


def phases(planning: int, all_commands: int, step: int) -> range:
    """Numbers of the commands before which something happens; nothing changes while it is planned."""
    return range(planning, all_commands, 1 if EXHAUSTIVE else step)


def test_a_module_killed_between_any_two_commands_loses_nothing(shop):
    shop.fill((odd_documents(shop.gone[0])["as deep as can be"],))
    before = {name: stored(shop.database, name) for name in ("inventory", "carts")}
    planning, count = commands_of(shop, True), commands_of(shop, False)
    shop.restore_all()
    reached = set()
    for number in phases(planning, count, 9):
        process = start_module("mongo_orphans", shop.arguments(), signal_at_command=(number, signal.SIGKILL, 0))
        assert finish_module(process).rc == -signal.SIGKILL
        pending = shop.database.inventory__orphans.count_documents({"pending": True})
        gone = len(before["inventory"]) - shop.database.inventory.count_documents({})
        reached.add((pending > 0, gone > 0))
        try_again(shop, before)
    # Before the copy, before the removal, before it was noted that all is done, and after it.
    assert not EXHAUSTIVE or reached == {(False, False), (True, False), (True, True), (False, True)}


def test_a_server_killed_at_any_command_loses_nothing(tmp_path, mongod_version, state_dir):
    with Mongod(tmp_path / "mongod", version=mongod_version) as server:
        with server.client() as client:
            shop = Shop(client.shop, {"uri": server.uri_for("shop"), "state_dir": str(state_dir), "connect_timeout": 2})
            shop.fill()
            before = {name: stored(shop.database, name) for name in ("inventory", "carts")}
            planning, count = commands_of(shop, True), commands_of(shop, False)
            shop.restore_all()
        for number in phases(planning, count, 17):
            assert server.pid
            at = (number, signal.SIGKILL, server.pid)
            result = finish_module(start_module("mongo_orphans", shop.arguments(), signal_at_command=at))
            assert result.failed
            assert "shop.inventory" in result.msg or "shop.carts" in result.msg
            assert "This is a defect" not in result.msg
            server.kill()
            server.start()
            with server.client() as client:
                shop.database = client.shop
                try_again(shop, before)


@pytest.mark.exhaustive
def test_a_server_that_stands_still_at_a_command_loses_nothing(tmp_path, mongod_version, state_dir):
    """As behind a network that drops everything: the module does not wait for ever, and the server does later what it was told."""
    with Mongod(tmp_path / "mongod", version=mongod_version) as server, server.client() as client:
        shop = Shop(client.shop, {"uri": server.uri_for("shop"), "state_dir": str(state_dir), "connect_timeout": 2})
        shop.fill()
        before = {name: stored(shop.database, name) for name in ("inventory", "carts")}
        planning, count = commands_of(shop, True), commands_of(shop, False)
        shop.restore_all()
        assert server.pid
        try:
            at = ((planning + count) // 2, signal.SIGSTOP, server.pid)
            result = finish_module(start_module("mongo_orphans", shop.arguments(), signal_at_command=at))
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert result.failed and "it does not answer any more" in result.msg, result.msg
        assert "shop.inventory" in result.msg or "shop.carts" in result.msg
        try_again(shop, before)
