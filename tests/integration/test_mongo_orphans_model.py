# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading references and keys in order finds what looking up each reference finds, in whatever world."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone
from typing import Any

from bson import DBRef, Decimal128, Int64, ObjectId
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import held_keys, key_ranges, orphans
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


def document(number: int, reference: Any, field: str) -> dict[str, Any]:
    inner = {} if reference is ABSENT else {"userId": reference}
    shaped: dict[str, Any] = {"userId": inner, "buyer.userId": {"buyer": inner}, "items[].userId": {"items": [inner]}}
    return {"_id": number, **(inner if field == "userId" else shaped[field])}


def test_it_finds_what_looking_up_each_finds(mongod, mongo_database, monkeypatch):
    reached: Counter[str] = Counter()
    # So small that the ways part, which large collections go.
    monkeypatch.setattr(orphans, "REFERENCE_BATCH", 5)
    monkeypatch.setattr(key_ranges, "FEWEST_IDS", 2)
    monkeypatch.setattr(key_ranges, "KEY_BATCH", 4)
    monkeypatch.setattr(held_keys, "KEY_BATCH", 4)

    def count(owner: Any, name: str, tell: Any) -> None:
        original = getattr(owner, name)

        def counting(*arguments: Any) -> Any:
            result = original(*arguments)
            reached[tell(result)] += 1
            return result

        monkeypatch.setattr(owner, name, counting)

    count(key_ranges.KeyRange, "discard_existing", lambda whole: "range read" if whole else "range given up")
    count(orphans.OrphanFinder, "_counted_at_once", lambda counted: "at once" if counted else "not at once")
    count(held_keys.HeldKeys, "compare", lambda fits: "fits" if fits else "does not fit")

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
        mine = orphans.OrphanFinder(database, NOW, samples=1000).find(relation)
        model = EachLookedUp(database, NOW, samples=1000).find(relation)
        reached["orphans"] += mine.orphans > 0
        reached["no orphans among many"] += mine.orphans == 0 and mine.references > 5
        reached["incomparable"] += mine.incomparable > 0
        reached["malformed"] += mine.malformed > 0
        for report in (mine, model):
            report.samples.sort()
            report.malformed_samples.sort()
        assert mine == model

    with mongod.client() as client:
        database = client[mongo_database]
        check()
    ways = ("range read", "range given up", "at once", "not at once", "fits", "does not fit")
    found = ("orphans", "no orphans among many", "incomparable", "malformed")
    assert all(reached[what] >= 1 for what in (*ways, *found)), reached
