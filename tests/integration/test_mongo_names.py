# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a collection is called and whatever it is, the database modules treat it as they should and call it by its name."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from typing import Any

import pytest
from bson import ObjectId, encode
from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure

from tests.sandbox.mongod import Mongod
from tests.support.modules import run_module

# The server takes them all, and its commands too; of the first two the driver makes no collection.
DOTTED = ("a..b", "ends.")
NAMES = (
    *DOTTED,
    " blank in it ",
    "quo\"te's",
    "d.o.t",
    "\u00fcml\u00e4ut \U0001f600",
    "new\nline",
    "{{ 7 * 7 }} %s %d",
    "[ab]*",
    "-x/\\~",
    "\x1b[31mred",
)
USER, GHOST = "0123456789abcdef01234567", "0" * 24
COUNT = 160


def documents() -> list[dict[str, Any]]:
    """Two of them refer to nobody; of a size that makes a file worth compacting when most of them are gone."""
    return [{"_id": n, "userId": GHOST if n < 2 else USER, "b": os.urandom(16_000)} for n in range(COUNT)]


def relation(name: str, action: str = "report") -> dict[str, str]:
    return {"collection": name, "field": "userId", "references": "users", "action": action}


@pytest.fixture
def shop(mongod: Mongod, mongo_database: str, state_dir: os.PathLike[str]) -> Any:
    with mongod.client() as client:
        database = client[mongo_database]
        database.users.insert_one({"_id": ObjectId(USER)})
        yield database, {"uri": mongod.uri_for(mongo_database), "state_dir": str(state_dir)}


@pytest.mark.every_server
@pytest.mark.parametrize("name", ["a$b", "$a", ".a", "a\0b"])
def test_names_that_the_server_does_not_take(shop: Any, name: str) -> None:
    """Should one take them, they belong to those that are tested here."""
    database, _params = shop
    with pytest.raises(OperationFailure) as caught:
        database.command("create", name)
    assert caught.value.code == 73


def test_every_name(shop: Any) -> None:
    database, params = shop
    for name in NAMES:
        database.command("insert", name, documents=documents())
        database.command("createIndexes", name, indexes=[{"key": {"userId": 1}, "name": "by user"}])
    places = {f"{database.name}.{name}" for name in NAMES}

    info = run_module("mongo_info", params)
    assert not info.failed, info.msg
    found = {entry["name"]: entry for entry in info.result["collections"]}
    assert {name: found[name]["documents_counted"] for name in NAMES} == dict.fromkeys(NAMES, COUNT)
    uses = {name: {index["name"]: index["accesses"] for index in found[name]["indexes"]} for name in NAMES}
    assert all(set(use) == {"_id_", "by user"} and use["by user"] == 0 for use in uses.values()), uses
    assert not info.result.get("warnings")

    relations = [relation(name) for name in NAMES]
    orphans = run_module("mongo_orphans", {**params, "relations": relations, "min_age": "0"})
    assert not orphans.failed, orphans.msg
    judged = {entry["relation"]: (entry["judged"], entry["orphans"]) for entry in orphans.result["relations"]}
    assert judged == {f"{name}.userId": (False, 0) if name in DOTTED else (True, 2) for name in NAMES}
    told = str(orphans.result["warnings"])
    assert all(f"{name}.userId is not judged: the Python driver" in told for name in DOTTED), told

    plain = [name for name in NAMES if name not in DOTTED]
    options = {"relations": [relation(name, "archive") for name in plain], "min_age": "0", "max_delete": 100}
    archived = run_module("mongo_orphans", {**params, **options, "action": "archive"})
    assert not archived.failed, archived.msg
    assert [database[name].count_documents({}) for name in plain] == [COUNT - 2] * len(plain)
    run_id = archived.result["archive_run"]
    back = run_module("mongo_orphans", {**params, "action": "restore", "archive_run": run_id})
    assert not back.failed, back.msg
    assert [database[name].count_documents({}) for name in plain] == [COUNT] * len(plain)

    options = {"collections": list(NAMES), "require_maintenance": False, "min_reclaimable": "0"}
    for mode in ("validate", "rebuild"):
        done = run_module("mongo_reindex", {**params, **options, "mode": mode})
        assert not done.failed, done.msg
        assert {(entry["target"], entry["status"]) for entry in done.result["actions"]} == {(p, "done") for p in places}
    for name in NAMES:
        indexes = database.command("listIndexes", name)["cursor"]["firstBatch"]
        assert [index["name"] for index in indexes] == ["_id_", "by user"]

    database.client.admin.command("fsync")
    for name in NAMES:
        database.command("delete", name, deletes=[{"q": {"_id": {"$gte": 20}}, "limit": 0}])
    options = {"min_reclaimable": "1MiB", "min_ratio": 0.2, "collections": list(NAMES)}
    compacted = run_module("mongo_compact", {**params, **options})
    assert not compacted.failed, compacted.msg
    assert {(entry["target"], entry["status"]) for entry in compacted.result["actions"]} == {
        (place, "done") for place in places
    }
    for name in NAMES:
        assert database.command("collStats", name)["count"] == 20


# One of each kind, and what is done with it: compacted, its indexes built anew, its orphans archived.
KINDS = ("orders", "undecodable", "clustered", "capped", "view", "series", "system.views", "system.profile")


@pytest.fixture
def kinds(shop: Any) -> Any:
    database, params = shop
    database.create_collection("clustered", clusteredIndex={"key": {"_id": 1}, "unique": True})
    database.create_collection("capped", capped=True, size=10**8)
    for name in ("orders", "undecodable", "clustered", "capped"):
        database[name].insert_many(documents())
    # Neither is valid UTF-8: one refers to nobody all the same, what the other refers to cannot be told.
    text, broken = "x\u00e9\u00e9".encode(), b"x\xff\xfe\xff\xfe"
    database.undecodable.insert_many(
        [
            RawBSONDocument(encode({"_id": 9001, "userId": GHOST, "t": "x\u00e9\u00e9"}).replace(text, broken)),
            RawBSONDocument(encode({"_id": 9002, "userId": "x\u00e9\u00e9"}).replace(text, broken)),
        ]
    )
    database.command("create", "view", viewOn="orders", pipeline=[])
    database.create_collection("series", timeseries={"timeField": "at", "metaField": "userId"})
    at = datetime(2026, 1, 1, tzinfo=timezone.utc)
    database.series.insert_many([{"at": at, "userId": one["userId"], "b": one["b"]} for one in documents()])
    database.command("profile", 2)
    database.users.find_one({})
    database.command("profile", 0)
    return database, params


def test_every_kind(kinds: Any) -> None:
    database, params = kinds

    def outcome(name: str, **options: Any) -> dict[str, str]:
        """What became of each, by its name."""
        done = run_module(name, {**params, **options})
        assert not done.failed, done.msg
        entries = [*done.result["actions"], *done.result["kept"]]
        return {entry["target"].partition(".")[2]: entry.get("status") or entry["reason"] for entry in entries}

    info = run_module("mongo_info", params)
    assert not info.failed, info.msg
    found = {entry["name"]: entry for entry in info.result["collections"]}
    expected = ["collection", "collection", "collection", "capped", "view", "timeseries", "system", "system"]
    assert [found[name]["kind"] for name in KINDS] == expected
    assert found["undecodable"]["documents_counted"] == COUNT + 2 and found["capped"]["documents_counted"] == COUNT

    rebuilt = outcome(
        "mongo_reindex", collections=list(KINDS), require_maintenance=False, min_reclaimable="0", mode="rebuild"
    )
    assert [rebuilt[name] for name in ("orders", "undecodable", "capped")] == ["done"] * 3
    assert rebuilt["clustered"] == "it has no indexes" and "view has no indexes" in rebuilt["view"]
    assert "does not take time-series" in rebuilt["series"]
    assert [rebuilt[name] for name in KINDS[6:]] == ["a collection of the server's own"] * 2

    validated = outcome("mongo_reindex", mode="validate")
    assert [validated[name] for name in ("orders", "undecodable", "clustered", "capped", "series")] == ["done"] * 5
    assert "no data of its own" in validated["view"]
    assert [validated[name] for name in KINDS[6:]] == ["a collection of the server's own"] * 2

    for name in ("orders", "undecodable", "clustered", "capped"):
        database.client.admin.command("fsync")
        if name != "capped":
            database[name].delete_many({"_id": {"$gte": 20, "$lt": 9000}})
    compacted = outcome("mongo_compact", min_reclaimable="1MiB", min_ratio=0.2)
    assert [compacted[name] for name in ("orders", "undecodable", "clustered")] == ["done"] * 3
    assert "keeps its size" in compacted["capped"] and "no data of its own" in compacted["view"]
    assert [compacted[name] for name in KINDS[6:]] == ["a collection of the server's own"] * 2
    assert compacted["series"], "it is named in any case"


def test_orphans_of_every_kind(kinds: Any) -> None:
    database, params = kinds
    options = {"min_age": "0", "max_delete": 100, "action": "archive", "allow_business_records": ["orders"]}
    for name in ("undecodable", "orders", "clustered"):
        done = run_module("mongo_orphans", {**params, **options, "relations": [relation(name, "archive")]})
        assert not done.failed, done.msg
        [entry] = done.result["relations"]
        lost = 3 if name == "undecodable" else 2
        assert (entry["orphans"], entry["incomparable"]) == (lost, lost - 2)
        left = database.command("count", name)["n"]
        assert left == COUNT - 2 + (lost - 2), "what cannot be told stays"
    for name, words in (
        ("view", "view is a view"),
        ("capped", "capped is capped"),
        ("series", "series is a time-series"),
        ("system.views", "the server's own"),
        ("system.buckets.series", "the server's own"),
    ):
        before = database.command("count", name)["n"] if name == "capped" else None
        refused = run_module("mongo_orphans", {**params, **options, "relations": [relation(name, "archive")]})
        assert refused.failed and words in refused.msg and not refused.changed, refused.msg
        assert "max_percent" not in refused.msg
        assert before is None or database.command("count", name)["n"] == before
    # Reported they may be, but for the server's own.
    for name in ("capped", "series"):
        report = run_module("mongo_orphans", {**params, "min_age": "0", "relations": [relation(name)]})
        assert not report.failed and report.result["summary"]["orphans"] == 2, report.msg
