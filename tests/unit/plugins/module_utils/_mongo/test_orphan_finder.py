# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What nothing can be said about, and what is no orphan after all, on a database that answers what a test says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, ClassVar

import pytest
from bson import ObjectId, encode
from bson.raw_bson import RawBSONDocument

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import key_ranges, orphans
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.orphans import (
    OrphanFinder,
    RelationFindings,
    is_usable_index,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.relations import Relation
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.spilled_references import SpilledReferences

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=timezone.utc)
OLD, YOUNG = (ObjectId.from_datetime(NOW + timedelta(hours=hours)) for hours in (-9, 9))
# Ids of users that are there, and of one that is not.
ANN, BOB, GONE, LATE = (ObjectId(f"{number:024x}") for number in (1, 2, 3, 4))

BUYER = Relation("orders", "userId", "users")


class Session:
    def end_session(self) -> None:
        pass


class Client:
    def start_session(self, **options: Any) -> Session:
        return Session()


class Collection:
    """Documents with plain values, found by equality, by `$in` and by type."""

    def __init__(self, *documents: Mapping[str, Any], indexes: Any = ()) -> None:
        self.documents = list(documents)
        self.indexes = [{"key": {"_id": 1}}, *indexes]

    def estimated_document_count(self) -> int:
        return len(self.documents)

    def list_indexes(self) -> list[Any]:
        return self.indexes

    def find(self, query: Mapping[str, Any], *_projection: Any, **_options: Any) -> list[Mapping[str, Any]]:
        return [item for item in self.documents if all(met(item.get(key), value) for key, value in query.items())]

    def find_one(self, query: Mapping[str, Any], *_projection: Any) -> Mapping[str, Any] | None:
        return next(iter(self.find(query)), None)


def met(value: Any, wanted: Any) -> bool:
    if not isinstance(wanted, Mapping):
        return bool(value == wanted)
    if len(wanted) > 1:
        # Of a range more may be given than was asked for.
        return True
    [(operator, operand)] = wanted.items()
    if operator == "$in":
        return value in operand
    if operator == "$type":
        return {"objectId": ObjectId, "string": str}.get(operand) is type(value)
    if operator == "$gte":
        return True
    if operator == "$ne":
        return value is not operand
    return False


class Database(dict[str, Collection]):
    name = "shop"
    client = Client()
    asked: ClassVar[list[Mapping[str, Any]]] = []

    def with_options(self, _options: Any) -> Database:
        return self

    def list_collections(self) -> list[dict[str, Any]]:
        return [{"name": name, "type": "collection"} for name in self]

    def command(self, command: Mapping[str, Any], **_options: Any) -> RawBSONDocument:
        """Some fields of the documents that are asked for, or each value of one."""
        self.asked.append(command)
        if "find" in command:
            documents = self[command["find"]].find(command.get("filter", {}))
            fields = [name for name, shown in command["projection"].items() if shown]
            batch = [{name: item[name] for name in fields if name in item} for item in documents]
        else:
            field = command["pipeline"][-2 if "$sort" in command["pipeline"][-1] else -1]["$group"]["_id"][1:]
            values = dict.fromkeys(item.get(field) for item in self[command["aggregate"]].documents)
            batch = [{"_id": value} for value in values]
        reply = {"cursor": {"firstBatch": batch, "id": 0, "ns": "shop.any"}, "ok": 1}
        return RawBSONDocument(encode(reply))


def found(database: Database, relation: Relation = BUYER) -> RelationFindings:
    return OrphanFinder(database, NOW).find(relation)


def order(user: Any, identity: ObjectId = OLD) -> dict[str, Any]:
    return {"_id": identity, "userId": user}


USERS = Collection({"_id": ANN}, {"_id": BOB})


def test_an_orphan_is_found() -> None:
    report = found(Database(users=USERS, orders=Collection(order(ANN), order(str(BOB)), order(GONE))))
    assert (report.orphans, report.documents, report.references, report.judged) == (1, 1, 3, True)


@pytest.mark.parametrize(
    ("database", "relation", "reason"),
    [
        (Database(orders=Collection(order(GONE))), BUYER, "no collection users"),
        (Database(users=USERS), BUYER, "no collection orders"),
        (
            Database(users=Collection(), orders=Collection(order(GONE))),
            BUYER,
            "users is empty: every reference would count as an orphan",
        ),
        (
            Database(
                users=Collection({"_id": ANN, "legacy": None}, indexes=[{"key": {"legacy": 1}}]),
                orders=Collection(order("7")),
            ),
            Relation("orders", "userId", "users", "legacy"),
            "no document of users has a field legacy",
        ),
    ],
)
def test_where_every_reference_would_be_an_orphan_none_is(database: Database, relation: Relation, reason: str) -> None:
    report = found(database, relation)
    assert (report.judged, report.orphans) == (False, 0)
    assert reason in report.reason


# Where a key is text as well, no document can be counted by its bytes alone.
KEYS = pytest.mark.parametrize("further", [(), ({"_id": "legacy"},)], ids=["ids alone", "text as well"])


@KEYS
def test_what_is_too_young_may_be_in_the_making(further: tuple[dict[str, Any], ...]) -> None:
    users = Collection({"_id": ANN}, *further)
    report = found(Database(users=users, orders=Collection(order(GONE, YOUNG), order(GONE))))
    assert (report.orphans, report.too_young) == (1, 1)


@KEYS
def test_what_has_appeared_since_the_first_look_is_no_orphan(further: tuple[dict[str, Any], ...]) -> None:
    """An order was read before its user was made."""
    users = Collection({"_id": ANN}, *further)
    orders = Collection(order(GONE))
    find = orders.find

    def late(query: Mapping[str, Any], *arguments: Any, **options: Any) -> list[Mapping[str, Any]]:
        if "userId" in query:
            users.documents.append({"_id": GONE})
        return find(query, *arguments, **options)

    orders.find = late  # type: ignore[method-assign]
    report = found(Database(users=users, orders=orders))
    assert (report.missing, report.orphans) == (1, 0)


@pytest.mark.parametrize("value", [ANN, str(ANN), GONE, str(GONE)])
def test_all_are_counted_in_one_reading(monkeypatch: pytest.MonkeyPatch, value: Any) -> None:
    """What arrives, or is too young, is no orphan there either."""
    monkeypatch.setattr(orphans, "REFERENCE_BATCH", 2)
    monkeypatch.setattr(Database, "asked", [])
    read_keys = orphans.read_keys

    def and_then_one_arrives(database: Database, collection: str) -> Any:
        keys = read_keys(database, collection)
        database["users"].documents.append({"_id": BOB})
        return keys

    monkeypatch.setattr(orphans, "read_keys", and_then_one_arrives)
    rows = Collection(
        order(value), order(value, YOUNG), order(BOB), order(str(BOB)), order(None), order("guest"), order("legacy")
    )
    report = found(Database(users=Collection({"_id": ANN}), orders=rows))
    lost = int(str(value) == str(GONE))
    assert (report.orphans, report.too_young) == (lost, lost)
    assert (report.references, report.missing, report.incomparable) == (3, 2 + lost, 1)
    assert not any("aggregate" in command for command in Database.asked)


def in_parts(database: Database, directory: Path) -> RelationFindings:
    return OrphanFinder(database, NOW, directory=lambda: str(directory)).find(BUYER)


@pytest.fixture
def few_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Are more than memory holds, and the references are not grouped by the server."""
    monkeypatch.setattr(orphans, "MOST_KEYS", 0)
    monkeypatch.setattr(Database, "asked", [])


@pytest.mark.parametrize("value", [ANN, str(ANN), GONE, str(GONE)])
@pytest.mark.usefixtures("few_keys")
def test_all_are_counted_in_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: Any) -> None:
    """What arrives while the documents are read is there, and what arrives while the keys are read is no orphan."""
    read_keys = SpilledReferences.read_keys

    def and_then_one_arrives(spilled: SpilledReferences, database: Database, *arguments: Any) -> bool:
        database["users"].documents.append({"_id": BOB})
        whole = read_keys(spilled, database, *arguments)
        database["users"].documents.append({"_id": LATE})
        return whole

    monkeypatch.setattr(SpilledReferences, "read_keys", and_then_one_arrives)
    rows = [value, BOB, str(BOB), LATE, None, "guest", "legacy"]
    orders = Collection(*map(order, rows), order(value, YOUNG))
    report = in_parts(Database(users=Collection({"_id": ANN}), orders=orders), tmp_path)
    lost = int(str(value) == str(GONE))
    assert (report.orphans, report.too_young) == (lost, lost)
    assert (report.references, report.missing, report.incomparable) == (4, 1 + lost, 1)
    assert not any("aggregate" in command for command in Database.asked)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("few_keys")
def test_a_key_that_is_text_gives_the_parts_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It arrives after it was asked whether there are any."""
    users = Collection({"_id": ANN})
    read_keys = SpilledReferences.read_keys

    def one_arrives(spilled: SpilledReferences, *arguments: Any) -> bool:
        users.documents.append({"_id": str(GONE)})
        return read_keys(spilled, *arguments)

    monkeypatch.setattr(SpilledReferences, "read_keys", one_arrives)
    in_parts(Database(users=users, orders=Collection(order(ANN), order(GONE))), tmp_path)
    assert any("aggregate" in command for command in Database.asked)


@pytest.mark.parametrize("trouble", ["no room", "no directory"])
@pytest.mark.usefixtures("few_keys")
def test_without_room_for_a_file_the_server_groups(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trouble: str
) -> None:
    if trouble == "no room":
        monkeypatch.setattr(orphans, "room_for", lambda *_arguments: 0)
    report = in_parts(Database(users=USERS, orders=Collection(order(ANN), order(GONE))), tmp_path / trouble)
    assert (report.orphans, report.references) == (1, 2)
    assert any("aggregate" in command for command in Database.asked)


def test_a_key_in_another_spelling_is_looked_for_before_a_reference_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_ranges, "FEWEST_IDS", 1)
    spelt = ObjectId("ab" * 12)
    users = Collection({"_id": ANN}, {"_id": str(spelt).upper()})
    for reference in (spelt, str(spelt)):
        report = found(Database(users=users, orders=Collection(order(ANN), order(reference))))
        assert (report.references, report.missing, report.orphans) == (2, 0, 0)


@pytest.mark.parametrize(
    ("index", "usable"),
    [
        ({"key": {"userId": 1}}, True),
        ({"key": {"userId": -1, "at": 1}}, True),
        ({"key": {"at": 1, "userId": 1}}, False),
        ({"key": {"userId": "hashed"}}, False),
        ({"key": {"userId": 1}, "sparse": True}, False),
        ({"key": {"userId": 1}, "partialFilterExpression": {"a": 1}}, False),
        ({"key": {"userId": 1}, "hidden": True}, False),
        ({"key": {"userId": 1}, "collation": {"locale": "de"}}, False),
    ],
)
def test_an_index_that_lacks_documents_is_not_asked(index: dict[str, Any], usable: bool) -> None:
    assert is_usable_index(index, "userId") is usable
