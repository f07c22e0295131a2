# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading references and keys in order finds what looking up each reference finds, in whatever world."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Any

from bson import DBRef, Decimal128, Int64, ObjectId
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import (
    held_keys,
    key_ranges,
    orphans,
    spilled_references,
    spilled_rows,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.relations import Relation
from tests.support.looked_up import EachLookedUp

NOW = datetime(2026, 11, 24, tzinfo=timezone.utc)
IDS = [ObjectId(f"5f{number:022x}") for number in range(0xA0, 0xB8)]
ABSENT = object()


OBJECTIDS = st.sampled_from(IDS)
LOWER = OBJECTIDS.map(str)
SPELT = st.one_of(LOWER, LOWER.map(str.upper), LOWER.map(lambda text: text[:22] + text[22:].upper()))
ODD = st.one_of(
    st.sampled_from(
        ["legacy-1", "legacy-2", "LEGACY-1", "x" * 24, "undefined", "ObjectId('a')", "", "guest", "y" * 300]
    ),
    st.sampled_from([1, Int64(1), 1.0, 2, True, Decimal128("1"), float("nan"), b"ab", NOW]),
    st.sampled_from([None, ABSENT]),
    st.builds(DBRef, st.sampled_from(["users", "admins"]), OBJECTIDS),
    st.lists(OBJECTIDS, max_size=2),
    st.dictionaries(st.just("id"), OBJECTIDS, max_size=1),
)
KEYS = st.one_of(
    st.sets(OBJECTIDS, min_size=1),
    st.sets(OBJECTIDS, min_size=15),
    st.just(set(IDS)),
    st.just(set(IDS)),
    st.sets(LOWER, min_size=1),
    st.sets(OBJECTIDS | SPELT | st.sampled_from(["legacy-1", "undefined", 1, 2.0]), min_size=1),
)
REFERENCES = st.one_of(
    st.lists(OBJECTIDS, min_size=5, max_size=40),
    st.lists(LOWER, min_size=5, max_size=40),
    st.lists(OBJECTIDS | LOWER | st.sampled_from([None, "undefined", "legacy-1"]), min_size=5, max_size=40),
    st.lists(OBJECTIDS | st.sampled_from([1, [IDS[0]]]), min_size=5, max_size=40),
    st.lists(OBJECTIDS | LOWER | st.sampled_from([None, ABSENT, "guest", "legacy-1", "undefined"]), max_size=40),
    st.lists(OBJECTIDS | SPELT | ODD, max_size=40),
)
RELATIONS = st.builds(
    Relation,
    st.just("orders"),
    st.sampled_from(["userId", "userId", "userId", "buyer.userId", "items[].userId"]),
    st.just("users"),
    optional=st.booleans(),
    id_forms=st.sampled_from([("objectid", "hex_string")] * 3 + [("objectid",), ("hex_string",), ()]),
    ignore=st.sampled_from([("", "guest"), (), (str(IDS[0]), str(IDS[1]).upper())]),
)
COLLATIONS = st.sampled_from([None, None, None, {"locale": "en", "strength": 2}])


# What is counted as bytes has an ObjectId, and a date or none.
IDENTITIES: dict[str, Any] = {"number": int, "ObjectId": lambda number: ObjectId(f"{number:024x}")}
DATES: dict[str, dict[str, Any]] = {
    "none": {},
    "old": {"createdAt": NOW - timedelta(days=1)},
    "young": {"createdAt": NOW + timedelta(days=1)},
    "text": {"createdAt": "2026-11-01T00:00:00Z"},
}
KINDS = st.tuples(st.sampled_from(["ObjectId", "ObjectId", "number"]), st.sampled_from(sorted(DATES)))


def document(number: int, reference: Any, field: str, identity: str = "number", date: str = "none") -> dict[str, Any]:
    inner = {} if reference is ABSENT else {"userId": reference}
    shaped: dict[str, Any] = {"userId": inner, "buyer.userId": {"buyer": inner}, "items[].userId": {"items": [inner]}}
    return {"_id": IDENTITIES[identity](number), **(inner if field == "userId" else shaped[field]), **DATES[date]}


def count(monkeypatch: Any, reached: Counter[str], owner: Any, name: str, tell: Any) -> None:
    """Count what a function's results tell."""
    original = getattr(owner, name)

    def counting(*arguments: Any) -> Any:
        result = original(*arguments)
        reached[tell(result)] += 1
        return result

    monkeypatch.setattr(owner, name, counting)


def found_and_looked_up(database: Any, relation: Relation, **options: Any) -> list[orphans.RelationFindings]:
    reports = [
        finder(database, NOW, samples=1000, hold=1000, **options).find(relation)
        for finder in (orphans.OrphanFinder, EachLookedUp)
    ]
    for report in reports:
        report.samples.sort()
        report.malformed_samples.sort()
        report.holders.sort(key=str)
    return reports


def test_it_finds_what_looking_up_each_finds(mongod, mongo_database, monkeypatch):
    reached: Counter[str] = Counter()
    # So small that the ways part, which large collections go.
    monkeypatch.setattr(orphans, "REFERENCE_BATCH", 5)
    monkeypatch.setattr(key_ranges, "FEWEST_IDS", 2)
    monkeypatch.setattr(key_ranges, "KEY_BATCH", 4)
    monkeypatch.setattr(held_keys, "KEY_BATCH", 4)

    count(
        monkeypatch,
        reached,
        key_ranges.KeyRange,
        "discard_existing",
        lambda whole: "range read" if whole else "range given up",
    )
    count(
        monkeypatch,
        reached,
        orphans.OrphanFinder,
        "_counted_at_once",
        lambda counted: "at once" if counted else "not at once",
    )
    count(monkeypatch, reached, held_keys.HeldKeys, "compare", lambda fits: "fits" if fits else "does not fit")

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        KEYS,
        REFERENCES,
        RELATIONS,
        st.booleans(),
        COLLATIONS,
        COLLATIONS,
        st.sampled_from([1, 8]),
        st.sampled_from([3, 100, 100]),
    )
    # Rare, and it has to be reached.
    @example(set(IDS), [*IDS[:5], 1], Relation("orders", "userId", "users"), False, None, None, 8, 100)
    def check(keys, references, relation, indexed, users, orders, each, most):
        monkeypatch.setattr(key_ranges, "KEYS_FOR_EACH_ID", each)
        monkeypatch.setattr(held_keys, "MOST_KEYS", most)
        for name, collation in (("users", users), ("orders", orders)):
            database.drop_collection(name)
            database.create_collection(name, **({"collation": collation} if collation else {}))
        equal = {}
        for key in keys:
            equal.setdefault(key.lower() if users and isinstance(key, str) else key, key)
        database.users.insert_many([{"_id": key} for key in equal.values()])
        if references:
            shaped = [document(number, value, relation.field) for number, value in enumerate(references)]
            database.orders.insert_many(shaped)
        if indexed:
            database.orders.create_index(relation.path)
        mine, model = found_and_looked_up(database, relation)
        reached["orphans"] += mine.orphans > 0
        reached["no orphans among many"] += mine.orphans == 0 and mine.references > 5
        reached["incomparable"] += mine.incomparable > 0
        reached["malformed"] += mine.malformed > 0
        assert mine == model

    with mongod.client() as client:
        database = client[mongo_database]
        check()
    ways = ("range read", "range given up", "at once", "not at once", "fits", "does not fit")
    found = ("orphans", "no orphans among many", "incomparable", "malformed")
    assert all(reached[what] >= 1 for what in (*ways, *found)), reached


FEW_ODD = st.sampled_from([None, ABSENT, "guest", "legacy-1", "undefined", str(IDS[2]).upper(), str(IDS[3]).title()])


def test_in_parts_it_finds_what_looking_up_each_finds(mongod, mongo_database, monkeypatch, tmp_path):
    reached: Counter[str] = Counter()
    monkeypatch.setattr(orphans, "REFERENCE_BATCH", 5)
    monkeypatch.setattr(orphans, "MOST_KEYS", 0)
    monkeypatch.setattr(spilled_references, "KEY_BATCH", 4)
    monkeypatch.setattr(spilled_references, "KEYS_FOR_EACH_REFERENCE", 100)
    for module in (spilled_rows, spilled_references):
        monkeypatch.setattr(module, "PARTS", 3)
    count(monkeypatch, reached, orphans.OrphanFinder, "_counted_in_parts", lambda told: "parts" if told else "given up")
    count(monkeypatch, reached, spilled_rows.SpillFile, "append", lambda place: "written")
    part = spilled_references.SpilledReferences._part

    def counting(*arguments: Any) -> Any:
        result = part(*arguments)
        for what in ("lost", "lost_texts", "holders", "documents"):
            reached[what] += bool(getattr(result, what))
        return result

    monkeypatch.setattr(spilled_references.SpilledReferences, "_part", counting)

    @settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        st.sets(OBJECTIDS, min_size=1),
        st.sets(st.sampled_from([7, 8.5, b"key"])),
        st.lists(st.tuples(OBJECTIDS | LOWER | FEW_ODD, KINDS), min_size=1, max_size=40),
        st.sampled_from([[], [], [], [7], [[IDS[0]]], [{"id": IDS[0]}]]),
        st.booleans(),
        st.sampled_from([("objectid", "hex_string")] * 3 + [("objectid",), ("hex_string",)]),
        st.sampled_from([1, 5, 100]),
        st.sampled_from([1, 100, 100_000]),
    )
    def check(keys, other_keys, references, odd, optional, forms, waiting, room):
        monkeypatch.setattr(spilled_rows, "ROWS_AT_ONCE", waiting)
        monkeypatch.setattr(orphans, "PROBE_BATCH", waiting)
        monkeypatch.setattr(orphans, "room_for", lambda *_numbers: room)
        relation = Relation("orders", "userId", "users", optional=optional, id_forms=forms)
        for name in ("users", "orders"):
            database.drop_collection(name)
        database.users.insert_many([{"_id": key} for key in [*keys, *other_keys]])
        rows = [*references, *((value, ("number", "none")) for value in odd)]
        database.orders.insert_many(
            [document(number, value, "userId", *kind) for number, (value, kind) in enumerate(rows)]
        )
        mine, model = found_and_looked_up(database, relation, directory=lambda: str(tmp_path))
        for what in ("orphans", "too_young", "malformed", "incomparable"):
            reached[what] += bool(getattr(mine, what))
        assert mine == model

    with mongod.client() as client:
        database = client[mongo_database]
        check()
    ways = ("parts", "given up", "written", "lost", "lost_texts", "holders", "documents")
    found = ("orphans", "too_young", "malformed", "incomparable")
    assert not [what for what in (*ways, *found) if not reached[what]], reached
    assert not list(tmp_path.iterdir())
