# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No good reference is ever called an orphan, whatever its form; every bad one is found."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone

import pytest
from bson import DBRef, Decimal128, Int64, ObjectId, Regex
from bson.binary import Binary

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import (
    held_keys,
    key_ranges,
    orphans,
    raw_cursor,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.relations import Relation
from tests.sandbox import seed
from tests.support.modules import run_module

LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)


def old_id() -> ObjectId:
    """A new id whose time is long ago."""
    fresh = ObjectId()
    return ObjectId(int(LONG_AGO.timestamp()).to_bytes(4, "big") + fresh.binary[4:])


@pytest.fixture
def shop(mongod, mongo_database, state_dir):
    with mongod.client() as client:
        yield client[mongo_database], {"uri": mongod.uri_for(mongo_database), "state_dir": str(state_dir)}


def run(params, relations=None, **more):
    result = run_module("mongo_orphans", {**params, **({"relations": relations} if relations else {}), **more})
    assert not result.failed, result.msg
    assert not result.changed
    return {entry["relation"]: entry for entry in result.result["relations"]}, result


def one(params, relation, **more):
    found, _result = run(params, [relation], **more)
    [entry] = found.values()
    return entry


@pytest.mark.parametrize("stray", [False, True])
def test_the_shop_as_it_is_stored(shop, state_dir, stray):
    """Every reference type of the shop's data model, against the truth that the maker of the data knows."""
    database, params = shop
    facts = seed.seed_shop(database, stray=stray)
    found, result = run(params, samples=1000)
    assert set(found) >= {relation.name for relation in seed.RELATIONS}
    for name, truth in facts.orphans.items():
        entry = found[name]
        assert entry["judged"], entry["reason"]
        assert entry["orphans"] == len(truth), name
        holders = {str(item[0] if isinstance(item, tuple) else item) for item in truth}
        assert set(entry["samples"]) == holders, name
        assert entry["documents"] == len(holders)
    assert not facts.guest_orders & {ObjectId(text) for text in found["orders.userId"]["samples"]}
    assert result.result["summary"]["orphans"] == facts.orphaned_documents
    for secret in facts.secrets:
        assert secret not in result.output
    assert not state_dir.exists(), "a report writes nothing"


def test_the_guides_command_deletes_everything_and_ours_reports_none(shop):
    database, params = shop
    users = [database.users.insert_one({"_id": old_id()}).inserted_id for _ in range(4)]
    orders = [{"_id": old_id(), "userId": str(users[n % 4])} for n in range(10)]
    orders += [{"_id": old_id(), "userId": None, "guestEmail": "a@b.c"} for _ in range(4)]
    database.orders.insert_many(orders)
    theirs = database.orders.count_documents({"userId": {"$nin": database.users.distinct("_id")}})
    entry = one(params, {"collection": "orders", "field": "userId", "references": "users"})
    assert (theirs, entry["orphans"], entry["judged"]) == (14, 0, True)


@pytest.mark.parametrize("indexed", [False, True])
def test_every_value_that_can_stand_in_a_field(shop, indexed):
    database, params = shop
    user, gone = old_id(), old_id()
    database.users.insert_many([{"_id": user}, {"_id": "legacy-7"}])
    good = {
        "absent": {},
        "null": {"userId": None},
        "empty": {"userId": ""},
        "literal": {"userId": "guest"},
        "objectid": {"userId": user},
        "hex": {"userId": str(user)},
        "upper case hex": {"userId": str(user).upper()},
        "text key": {"userId": "legacy-7"},
        "dbref": {"userId": DBRef("users", user)},
        "dbref as text": {"userId": DBRef("users", str(user))},
        "dbref elsewhere": {"userId": DBRef("admins", gone)},
        "list": {"userId": [gone]},
        "empty list": {"userId": []},
        "number": {"userId": 7},
        "long": {"userId": Int64(7)},
        "not a number": {"userId": float("nan")},
        "decimal": {"userId": Decimal128("7")},
        "true": {"userId": True},
        "date": {"userId": LONG_AGO},
        "document": {"userId": {"id": gone}},
        "regex": {"userId": Regex(".*")},
        "binary": {"userId": Binary(b"x" * 16, 4)},
        "long text": {"userId": "x" * 100000},
    }
    bad = {
        "lost objectid": {"userId": gone},
        "lost hex": {"userId": str(gone)},
        "lost dbref": {"userId": DBRef("users", gone)},
        "lost text": {"userId": "legacy-8"},
    }
    if indexed:
        database.orders.create_index([("userId", 1), ("createdAt", -1)])
    database.orders.insert_many([{"_id": old_id(), "case": case, **rest} for case, rest in {**good, **bad}.items()])
    names = {str(order["_id"]): order["case"] for order in database.orders.find({}, {"case": 1})}
    entry = one(params, {"collection": "orders", "field": "userId", "references": "users"}, samples=100)
    assert {names[identity] for identity in entry["samples"]} == set(bad)
    assert entry["orphans"] == len(bad)
    assert entry["incomparable"] >= 8
    # A reference that must be there.
    strict = {"collection": "orders", "field": "userId", "references": "users", "optional": False}
    entry = one(params, strict, samples=100)
    assert {names[identity] for identity in entry["samples"]} == {*bad, "absent", "null"}


def test_text_is_incomparable_where_all_keys_are_objectids(shop):
    database, params = shop
    database.users.insert_one({"_id": old_id()})
    database.orders.insert_many([{"_id": old_id(), "userId": text} for text in ("deleted-user", "x", str(old_id()))])
    entry = one(params, {"collection": "orders", "field": "userId", "references": "users"})
    assert (entry["orphans"], entry["incomparable"]) == (1, 2)


@pytest.mark.parametrize("indexed", [False, True])
def test_elements_of_lists(shop, indexed):
    database, params = shop
    product, other, gone = old_id(), old_id(), old_id()
    database.products.insert_many([{"_id": product}, {"_id": other}])

    def items(*references):
        return [{"productId": reference} for reference in references]

    cases = {
        "none": {},
        "empty": {"items": []},
        "null": {"items": None},
        "good": {"items": items(str(product), other)},
        "null id": {"items": [{"productId": None}, {}, {"productId": str(product)}]},
        "one of two": {"items": items(str(gone), str(product))},
        "all": {"items": items(str(gone), gone)},
        "no list": {"items": {"productId": str(gone)}},
        "plain values": {"items": [str(gone), 3]},
        "list in list": {"items": [[{"productId": str(gone)}]]},
    }
    if indexed:
        database.carts.create_index("items.productId")
    database.carts.insert_many([{"_id": old_id(), "case": case, **rest} for case, rest in cases.items()])
    names = {str(cart["_id"]): cart["case"] for cart in database.carts.find({}, {"case": 1})}
    relation = {"collection": "carts", "field": "items[].productId", "references": "products"}
    entry = one(params, relation)
    assert {names[identity] for identity in entry["samples"]} == {"one of two", "all", "no list"}
    assert (entry["orphans"], entry["documents"], entry["unit"]) == (4, 3, "element")
    same = one(params, {**relation, "field": "items.productId", "unit": "element"})
    assert same == entry
    # Without [] a list is one value, which is no id: never an orphan.
    whole = one(params, {**relation, "field": "items.productId"})
    assert whole["orphans"] == 1 and whole["samples"] == [i for i, case in names.items() if case == "no list"]


def test_list_of_plain_ids(shop):
    database, params = shop
    tag, gone = old_id(), old_id()
    database.tags.insert_one({"_id": tag})
    database.posts.insert_many(
        [{"_id": old_id(), "tags": [str(tag), tag]}, {"_id": old_id(), "tags": [tag, gone, None]}]
    )
    assert one(params, {"collection": "posts", "field": "tags[]", "references": "tags"})["orphans"] == 1


@pytest.mark.parametrize("prepare", ["missing", "empty"])
def test_missing_or_empty_parent_is_not_judged(shop, prepare):
    database, params = shop
    if prepare == "empty":
        database.create_collection("uzers")
    database.orders.insert_many([{"_id": old_id(), "userId": str(old_id())} for _ in range(5)])
    _found, result = run(params, [{"collection": "orders", "field": "userId", "references": "uzers"}])
    [entry] = result.result["relations"]
    assert (entry["judged"], entry["orphans"]) == (False, 0)
    assert "uzers" in entry["reason"] and "uzers" in str(result.result["warnings"])
    assert result.result["summary"]["relations_not_judged"] == 1


def test_mostly_orphans_is_told_as_suspicious(shop):
    database, params = shop
    database.users.insert_one({"_id": old_id()})
    database.orders.insert_many([{"_id": old_id(), "userId": str(old_id())} for _ in range(20)])
    found, result = run(params, [{"collection": "orders", "field": "userId", "references": "users"}])
    assert found["orders.userId"]["orphans"] == 20
    assert "20 of 20" in str(result.result["warnings"])


def test_young_documents_are_not_judged(shop):
    database, params = shop
    database.users.insert_one({})
    now = datetime.now(timezone.utc)
    database.orders.insert_many(
        [
            {"userId": str(ObjectId())},
            {"_id": old_id(), "createdAt": now - timedelta(minutes=5), "userId": str(ObjectId())},
            {"_id": old_id(), "createdAt": now - timedelta(hours=5), "userId": str(ObjectId())},
            {"_id": "text", "userId": str(ObjectId())},
        ]
    )
    relation = {"collection": "orders", "field": "userId", "references": "users"}
    entry = one(params, relation)
    assert (entry["orphans"], entry["too_young"]) == (2, 2)
    assert "text" not in entry["samples"] and "(an _id of type str)" in entry["samples"]
    assert one(params, relation, min_age="0s")["orphans"] == 4


def test_document_inserted_before_the_one_it_refers_to(shop):
    """The parent appears between the first look and the second: no orphan."""
    database, _params = shop
    database.users.insert_one({"_id": old_id()})
    late, lost = old_id(), old_id()
    database.orders.insert_many([{"_id": old_id(), "userId": str(late)}, {"_id": old_id(), "userId": lost}])
    finder = orphans.OrphanFinder(database, datetime.now(timezone.utc))
    original = finder._count

    def parent_arrives(relation, missing, batches, report):
        assert missing == {str(late), lost}
        batches = list(batches)
        database.users.insert_one({"_id": late})
        original(relation, missing, batches, report)

    finder._count = parent_arrives
    report = finder.find(Relation("orders", "userId", "users"))
    assert (report.orphans, report.missing) == (1, 2)


def test_other_key_needs_an_index(shop):
    database, params = shop
    database.products.insert_many([{"sku": "A", "codes": ["a", "b"]}, {"sku": "B"}])
    database.lines.insert_many([{"_id": old_id(), "sku": sku} for sku in ("A", "B", "C", None)])
    relation = {"collection": "lines", "field": "sku", "references": "products", "key": "sku"}
    entry = one(params, relation)
    assert not entry["judged"] and "index" in entry["reason"]
    database.products.create_index("sku")
    assert one(params, relation)["orphans"] == 1
    assert not one(params, {**relation, "key": "skew"})["judged"]


def test_batches_are_bounded_and_complete(shop, monkeypatch):
    database, _params = shop
    monkeypatch.setattr(orphans, "PROBE_BATCH", 7)
    monkeypatch.setattr(orphans, "HOLDER_BATCH_UNINDEXED", 11)
    users = [old_id() for _ in range(50)]
    database.users.insert_many([{"_id": user} for user in users])
    references = [str(user) for user in users] + [old_id() for _ in range(60)] + [str(old_id()) for _ in range(40)]
    database.orders.insert_many([{"_id": old_id(), "userId": reference} for reference in references * 2])
    for index in (False, True):
        if index:
            database.orders.create_index("userId")
        report = orphans.OrphanFinder(database, datetime.now(timezone.utc)).find(Relation("orders", "userId", "users"))
        assert (report.orphans, report.documents, report.references) == (200, 200, 150)


def test_index_answers_without_the_documents(shop, monkeypatch):
    """References and keys alike: each command that reads them is one that the server answers from an index alone."""
    database, _params = shop
    users = [old_id() for _ in range(60)]
    database.users.insert_many([{"_id": user, "name": "x"} for user in users])
    database.orders.insert_many([{"userId": str(user), "note": "x"} for user in users * 3])
    monkeypatch.setattr(orphans, "REFERENCE_BATCH", 20)
    monkeypatch.setattr(key_ranges, "FEWEST_IDS", 2)
    read = []

    def reading(database, command, batch_size):
        read.append(command)
        return raw_cursor.RawCursor(database, command, batch_size)

    for module in (orphans, key_ranges, held_keys):
        monkeypatch.setattr(module, "RawCursor", reading)
    for indexed in (False, True):
        if indexed:
            database.orders.create_index([("userId", 1), ("createdAt", -1)])
        report = orphans.OrphanFinder(database, datetime.now(timezone.utc)).find(Relation("orders", "userId", "users"))
        assert (report.references, report.orphans) == (60, 0)
    ways = []
    for command in read:
        command = {**command, "cursor": {}} if "aggregate" in command else command
        plan = str(database.command({"explain": command, "verbosity": "queryPlanner"}))
        stages = [stage for stage in ("COLLSCAN", "FETCH", "IXSCAN", "DISTINCT_SCAN") if f"'{stage}'" in plan]
        ways.append((next(iter(command)), *stages))
    keys = ("find", "IXSCAN")
    # Without an index the references are read from the documents, and all keys at once.
    assert ways == [("find", "COLLSCAN"), keys, ("aggregate", "DISTINCT_SCAN"), keys, keys, keys]


@pytest.mark.parametrize(
    ("index", "usable"),
    [
        ({"keys": [("userId", 1)]}, True),
        ({"keys": [("userId", -1), ("x", 1)]}, True),
        ({"keys": [("x", 1), ("userId", 1)]}, False),
        ({"keys": [("userId", "hashed")]}, False),
        ({"keys": [("userId", 1)], "sparse": True}, False),
        ({"keys": [("userId", 1)], "partialFilterExpression": {"x": 1}}, False),
        ({"keys": [("userId", 1)], "hidden": True}, False),
        ({"keys": [("userId", 1)], "collation": {"locale": "en", "strength": 2}}, False),
    ],
)
def test_which_index_may_be_used(shop, index, usable):
    database, _params = shop
    database.users.insert_one({"_id": old_id()})
    database.orders.insert_many([{"_id": old_id(), "userId": old_id()}, {"_id": old_id()}])
    database.orders.create_index(**index)
    finder = orphans.OrphanFinder(database, datetime.now(timezone.utc))
    assert finder._indexed("orders", "userId") is usable
    assert finder.find(Relation("orders", "userId", "users")).orphans == 1


def test_view_as_parent_and_pattern_of_collections(shop):
    database, params = shop
    user = old_id()
    database.people.insert_one({"_id": user})
    database.command("create", "users", viewOn="people", pipeline=[])
    for name in ("loyalty_a", "loyalty_b", "loyalty_b__orphans"):
        database[name].insert_many([{"_id": old_id(), "userId": str(user)}, {"_id": old_id(), "userId": str(old_id())}])
    found, _result = run(params, [{"collection": "loyalty_*", "field": "userId", "references": "users"}])
    assert {name: entry["orphans"] for name, entry in found.items()} == {"loyalty_a.userId": 1, "loyalty_b.userId": 1}


def test_dates_beyond_the_calendar_do_not_stop_it(shop):
    database, params = shop
    from bson.datetime_ms import DatetimeMS

    database.users.insert_one({"_id": old_id()})
    database.orders.insert_one({"_id": old_id(), "createdAt": DatetimeMS(10**17), "userId": str(old_id())})
    assert one(params, {"collection": "orders", "field": "userId", "references": "users"})["orphans"] == 1


@pytest.mark.parametrize(
    "relation",
    [
        {"collection": "orders", "field": "$userId", "references": "users"},
        {"collection": "orders", "field": "a..b", "references": "users"},
        {"collection": "orders", "field": "", "references": "users"},
        {"collection": "orders", "field": "userId", "references": "us*"},
        {"collection": "orders", "field": "userId", "references": "users", "key": "a[]"},
        {"collection": "orders", "field": "items[].x", "references": "users", "unit": "document"},
    ],
)
def test_relation_that_makes_no_sense(shop, relation):
    _database, params = shop
    result = run_module("mongo_orphans", {**params, "relations": [relation]})
    assert result.failed and "makes no sense" in result.msg


def test_unknown_database_fails(shop):
    _database, params = shop
    result = run_module("mongo_orphans", {**params, "database": "nosuchshop"})
    assert result.failed and "nosuchshop" in result.msg


def test_reader_suffices_and_nothing_is_written(mongod, shop):
    database, params = shop
    seed.seed_shop(database, users=20, orders=30)
    database.command("createUser", "reader", pwd="reader-password", roles=["read"])
    uri = f"mongodb://reader:reader-password@{mongod.address}/{database.name}"
    run({**params, "uri": uri})


def test_shop_that_is_being_used_has_no_false_orphans(shop):
    database, params = shop
    database.users.insert_one({})
    stop = threading.Event()

    def sell():
        while not stop.is_set():
            user = ObjectId()
            database.orders.insert_one({"userId": str(user)})
            database.users.insert_one({"_id": user})

    thread = threading.Thread(target=sell)
    thread.start()
    try:
        for _ in range(3):
            entry = one(params, {"collection": "orders", "field": "userId", "references": "users"})
            assert (entry["judged"], entry["orphans"]) == (True, 0)
    finally:
        stop.set()
        thread.join()


def test_on_the_oldest_python(shop, old_python):
    database, params = shop
    facts = seed.seed_shop(database, users=20, orders=30, stray=True)
    result = run_module("mongo_orphans", params, python=old_python)
    assert not result.failed, result.msg
    assert result.result["summary"]["orphans"] == facts.orphaned_documents


@pytest.mark.parametrize("spelling", [str.upper, str.lower])
def test_digits_of_a_text_key_may_be_written_in_either_case(shop, spelling):
    database, params = shop
    keys, lost = [f"{n:02d}abcdef0123456789abcdef" for n in range(3)], "ff" * 12
    other = str.lower if spelling is str.upper else str.upper
    database.users.insert_many([{"_id": spelling(key)} for key in keys])
    database.orders.insert_many(
        [{"_id": old_id(), "userId": other(keys[0])}, {"_id": old_id(), "userId": spelling(keys[1])}]
        + [{"_id": old_id(), "userId": ObjectId(keys[2])}, {"_id": old_id(), "userId": other(lost)}]
    )
    entry = one(params, {"collection": "orders", "field": "userId", "references": "users"})
    assert (entry["orphans"], entry["judged"]) == (1, True)


def test_a_collection_that_ignores_case_is_asked_in_its_own_sense(shop):
    database, params = shop
    users = database.create_collection("users", collation={"locale": "en", "strength": 1})
    users.insert_many([{"_id": f"User-{n}"} for n in range(20)] + [{"_id": "Andr\u00e9"}])
    good = [f"USER-{n}" for n in range(0, 20, 3)] + [f"user-{n}" for n in range(1, 20, 3)] + ["User-2", "andre"]
    database.orders.insert_many([{"_id": old_id(), "userId": text} for text in [*good, "user-20", "user-21"]])
    entry = one(params, {"collection": "orders", "field": "userId", "references": "users"})
    assert (entry["orphans"], entry["judged"]) == (2, True)


def test_a_line_end_behind_the_digits_makes_no_id(shop):
    database, params = shop
    user = old_id()
    database.users.insert_one({"_id": user})
    database.orders.insert_many(
        [{"_id": old_id(), "userId": text} for text in (f"{user}\n", "f" * 24 + "\n", "f" * 24)]
    )
    entry = one(params, {"collection": "orders", "field": "userId", "references": "users"})
    assert (entry["orphans"], entry["incomparable"]) == (1, 2)


def test_numbers_of_every_type_that_are_the_same(shop):
    database, params = shop
    keys = [Decimal128("7"), 5, Int64(2**60), Decimal128("NaN"), Decimal128("0.5"), Decimal128("0.1")]
    database.users.insert_many([{"_id": key} for key in keys])
    good = [7, 7.0, Int64(7), 5.0, float(2**60), 0.5]
    # The server does not take a binary fraction for the decimal one that it is written like.
    bad = [8, 0.1, float("inf")]
    database.orders.insert_many([{"_id": old_id(), "userId": value} for value in (*good, *bad, Decimal128("99"))])
    truth = [
        order["userId"] for order in database.orders.find() if not database.users.find_one({"_id": order["userId"]})
    ]
    assert truth == [*bad, Decimal128("99")]
    entry = one(params, {"collection": "orders", "field": "userId", "references": "users"})
    assert (entry["orphans"], entry["incomparable"]) == (len(bad), 1)


@pytest.mark.parametrize("indexed", [False, True])
def test_references_that_their_own_collection_takes_for_equal_are_each_judged(shop, indexed):
    database, params = shop
    database.users.insert_many([{"_id": "alice"}, {"_id": "bob"}])
    database.create_collection("orders", collation={"locale": "en", "strength": 2})
    if indexed:
        database.orders.create_index("userId", collation={"locale": "simple"})
        database.orders.create_index([("userId", 1), ("x", 1)])
    values = ["alice", "ALICE", "bob", "BOB", "Bob", "ghost", "GHOST", "Ghost"]
    database.orders.insert_many([{"_id": old_id(), "userId": value} for value in values])
    entry = one(params, {"collection": "orders", "field": "userId", "references": "users"})
    assert (entry["orphans"], entry["distinct_references"]) == (6, 8)


def test_a_view_with_a_collation_is_not_judged(shop):
    database, params = shop
    database.users.insert_one({"_id": "alice"})
    database.orders.insert_one({"_id": old_id(), "userId": "ALICE"})
    database.create_collection("view", viewOn="orders", pipeline=[], collation={"locale": "en", "strength": 2})
    database.create_collection("plain_view", viewOn="orders", pipeline=[])
    entry = one(params, {"collection": "view", "field": "userId", "references": "users"})
    assert not entry["judged"] and "collation" in entry["reason"]
    assert one(params, {"collection": "plain_view", "field": "userId", "references": "users"})["orphans"] == 1


# A view has no indexes, so it is not judged by another key than _id.
@pytest.mark.parametrize(("key", "view"), [("_id", False), ("_id", True), ("code", False), ("codes.text", False)])
def test_digits_of_a_text_key_may_be_written_in_both_cases_at_once(shop, key, view):
    database, params = shop
    key_text = "aBcdef0123456789abcdef01"
    place = {"_id": key_text} if key == "_id" else {"code": key_text, "codes": [{"text": "x"}, {"text": key_text}]}
    database.accounts.insert_many([place, {"_id": "f" * 24}])
    if key != "_id":
        database.accounts.create_index(key)
    if view:
        database.create_collection("view", viewOn="accounts", pipeline=[])
    texts = [key_text, key_text.lower(), key_text.upper(), ObjectId(key_text), "abcdef0123456789abcdef02"]
    database.orders.insert_many([{"_id": old_id(), "userId": text} for text in texts])
    parent = "view" if view else "accounts"
    entry = one(params, {"collection": "orders", "field": "userId", "references": parent, "key": key})
    assert (entry["judged"], entry["orphans"], entry["incomparable"]) == (True, 1, 0)
    exact = {"collection": "orders", "field": "userId", "references": parent, "key": key, "id_forms": ["objectid"]}
    assert one(params, exact)["orphans"] == 3, "whoever says that case matters is believed"


def test_a_key_that_is_null_everywhere_is_not_judged(shop):
    """Otherwise every reference would be an orphan."""
    database, params = shop
    database.products.insert_many([{"sku": None}, {"name": "without"}])
    database.products.create_index("sku")
    database.lines.insert_many([{"_id": old_id(), "sku": sku} for sku in ("A", "B")])
    relation = {"collection": "lines", "field": "sku", "references": "products", "key": "sku"}
    entry = one(params, relation)
    assert (entry["judged"], entry["orphans"]) == (False, 0) and "sku" in entry["reason"]
    database.products.insert_one({"sku": "A"})
    entry = one(params, relation)
    assert (entry["judged"], entry["orphans"]) == (True, 1)


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize("text_keys", [False, True])
def test_malformed_references_are_a_kind_of_their_own(shop, indexed, text_keys):
    database, params = shop
    database.users.insert_one({"_id": old_id()})
    if text_keys:
        database.users.insert_many([{"_id": "null"}, {"_id": "legacy"}])
    if indexed:
        database.orders.create_index("userId")
    malformed = ["undefined", "undefined", "NaN", "[object Object]", f'ObjectId("{old_id()}")']
    holders = [{"_id": old_id(), "userId": text} for text in malformed]
    database.orders.insert_many([*holders, {"_id": old_id(), "userId": "null"}, {"_id": old_id(), "userId": old_id()}])
    database.orders.insert_one({"userId": "undefined"})
    found, result = run(params, [{"collection": "orders", "field": "userId", "references": "users"}], samples=100)
    entry = found["orders.userId"]
    expected = 5 if text_keys else 6
    assert (entry["orphans"], entry["malformed"], entry["too_young"]) == (1, expected, 1)
    assert entry["incomparable"] == 0 and entry["distinct_references"] == 1
    assert set(entry["malformed_samples"]) >= {str(holder["_id"]) for holder in holders}
    assert len(entry["samples"]) == 1
    assert result.result["summary"]["malformed"] == expected
    assert result.result["summary"]["headline"].endswith(f", {expected} malformed references")


def test_malformed_references_do_not_make_a_report_hard_to_believe(shop):
    database, params = shop
    database.users.insert_one({"_id": old_id()})
    database.orders.insert_many([{"_id": old_id(), "userId": f"ObjectId({n})"} for n in range(50)])
    found, result = run(params, [{"collection": "orders", "field": "userId", "references": "users"}])
    assert found["orders.userId"]["malformed"] == 50 and not result.result.get("warnings")


def test_every_further_reference_of_the_shop(shop):
    """Where the application keeps them: lists of categories, answers, who did what for whom."""
    database, params = shop
    parents = ("users", "products", "categories", "support_tickets", "product_questions", "invoices", "webhook_events")
    good = {name: str(database[name].insert_one({"_id": old_id()}).inserted_id) for name in parents}
    cases = {
        "support_ticket_replies.ticketId": ("support_tickets", lambda key: {"ticketId": key}),
        "support_ticket_replies.userId": ("users", lambda key: {"userId": key}),
        "products.categoryIds[]": ("categories", lambda key: {"categoryIds": [good["categories"], key]}),
        "product_answers.questionId": ("product_questions", lambda key: {"questionId": key}),
        "product_answers.userId": ("users", lambda key: {"userId": key}),
        "recently_viewed.productId": ("products", lambda key: {"productId": key}),
        "recently_viewed.userId": ("users", lambda key: {"userId": key}),
        "orders.invoiceId": ("invoices", lambda key: {"invoiceId": key}),
        "refunds.initiatedBy": ("users", lambda key: {"initiatedBy": key}),
        "reviews.adminReply.repliedBy": ("users", lambda key: {"adminReply": {"repliedBy": key}}),
        "user_roles.assignedBy": ("users", lambda key: {"assignedBy": key}),
        "admin_audit.adminId": ("users", lambda key: {"adminId": key}),
        "jobs.payload.webhookEventId": ("webhook_events", lambda key: {"payload": {"webhookEventId": key}}),
    }
    for name, (parent, document) in cases.items():
        database[name.partition(".")[0]].insert_many(
            [{"_id": old_id(), **document(key)} for key in (good[parent], str(old_id()), None)]
        )
    found, _result = run(params)
    assert {name: found[name]["orphans"] for name in cases} == dict.fromkeys(cases, 1)
