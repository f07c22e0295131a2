# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stays whatever it refers to, and how lists are taken apart and put together."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from bson import ObjectId, decode, encode
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import orphan_judgement as judgement
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.orphan_archive import Entry, parse_entry
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.orphan_originals import (
    merged,
    unchanged,
    without,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.raw_document import (
    array_of,
    build,
    elements,
    field_at,
    field_of,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.relations import Relation

NOW = datetime(2026, 11, 29, tzinfo=timezone.utc)
WEEK = judgement.AgeRule(NOW - timedelta(days=7), False)
ANY = judgement.AgeRule(NOW, True)
STOCK = Relation("inventory", "productId", "products")
CARTS = Relation("carts", "items[].productId", "products")
OLD = ObjectId("5f" + "0" * 22)


def stay(document: dict[str, Any] | bytes, relation: Relation = STOCK, rule: judgement.AgeRule = WEEK) -> str:
    raw = document if isinstance(document, bytes) else encode(document)
    return judgement.read_reference(raw, relation, rule).stay


@pytest.mark.parametrize(
    ("document", "relation", "reason"),
    [
        ({"_id": OLD, "productId": "x"}, STOCK, ""),
        ({"_id": ObjectId(), "productId": "x"}, STOCK, judgement.YOUNG),
        ({"_id": OLD, "createdAt": NOW, "productId": "x"}, STOCK, judgement.YOUNG),
        ({"_id": "a", "productId": "x"}, STOCK, judgement.NO_AGE),
        ({"_id": "a", "createdAt": NOW - timedelta(days=8), "productId": "x"}, STOCK, ""),
        ({"_id": "a" * 70000, "createdAt": NOW - timedelta(days=8)}, STOCK, judgement.LONG_ID),
        # A list may have been filled yesterday.
        ({"_id": OLD, "updatedAt": NOW, "items": []}, CARTS, judgement.YOUNG),
        ({"_id": OLD, "updatedAt": NOW, "productId": "x"}, STOCK, ""),
        # As a program writes it that has never heard of dates in the database.
        ({"_id": OLD, "updatedAt": "2026-11-28T20:00:00.123Z", "items": []}, CARTS, judgement.YOUNG),
        ({"_id": OLD, "createdAt": "2026-11-28T20:00:00.123Z", "productId": "x"}, STOCK, judgement.YOUNG),
        ({"_id": "a", "createdAt": "2020-11-28T20:00:00+01:00", "productId": "x"}, STOCK, ""),
        ({"_id": "a", "createdAt": "yesterday", "productId": "x"}, STOCK, judgement.NO_AGE),
        ({"_id": OLD, "items": {"productId": "x"}}, CARTS, judgement.NO_LIST),
        ({"_id": OLD}, CARTS, judgement.NO_LIST),
        ({"_id": OLD, "items": [{"productId": "x"}, 3, None]}, CARTS, ""),
        ({"_id": OLD, "items": [{"productId": "x", "a": "a" * 9 * 1024 * 1024}]}, CARTS, judgement.TOO_LARGE),
    ],
)
def test_what_stays_whatever_it_refers_to(document: dict[str, Any], relation: Relation, reason: str) -> None:
    assert stay(document, relation) == reason


def test_of_any_age_is_what_the_user_says() -> None:
    assert stay({"_id": "a", "productId": "x"}, rule=ANY) == ""


def test_a_field_that_stands_twice_is_not_judged() -> None:
    identity, one, other = elements(encode({"_id": OLD, "productId": "x", "other": "y"}))
    assert stay(build([identity, one, other])) == ""
    assert stay(build([identity, one, other._replace(name=b"productId")])) == judgement.TWICE
    twice = build([one, other._replace(name=b"productId")])
    [element] = elements(encode({"0": {}}))
    listed = array_of([element._replace(value=twice)])
    [items] = elements(encode({"items": []}))
    assert stay(build([identity, items._replace(value=listed)]), CARTS) == judgement.TWICE


@given(st.binary(max_size=60))
def test_no_bytes_are_too_broken_to_stay(raw: bytes) -> None:
    assert stay(len(raw + b"xxxxx").to_bytes(4, "little") + raw + b"\0") in (
        judgement.UNREADABLE,
        judgement.NO_AGE,
        judgement.TWICE,
        judgement.YOUNG,
        "",
    )


def test_what_does_not_decode_stays() -> None:
    raw = encode({"_id": OLD, "b": True})
    assert stay(raw[:-2] + b"\7\0") == judgement.UNREADABLE
    assert stay(encode({"b": 1})) == judgement.UNREADABLE


VALUES = st.recursive(
    st.none() | st.integers(-5, 5) | st.text(max_size=3) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=6,
)


@given(st.lists(VALUES, max_size=12), st.sets(st.integers(0, 11)))
def test_a_list_is_put_together_as_it_was(values: list[Any], chosen: set[int]) -> None:
    raw = encode({"items": values})
    listed = field_of(raw, b"items")
    assert listed is not None
    positions = tuple(sorted(number for number in chosen if number < len(values)))
    taken = [element for number, element in enumerate(elements(listed.value)) if number in positions]
    left = without(listed.value, positions)
    assert decode(build([listed._replace(value=left)]))["items"] == [
        value for number, value in enumerate(values) if number not in positions
    ]
    assert merged(left, positions, taken) == listed.value


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), VALUES, max_size=3))
def test_documents_are_taken_apart_and_put_together(document: dict[str, Any]) -> None:
    raw = encode(document)
    assert build(list(elements(raw))) == raw
    for name in document:
        found = field_at(raw, [name])
        assert found is not None and build([found]) == encode({name: document[name]})


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), VALUES, max_size=3), st.integers(0, 3))
def test_a_document_is_removed_only_as_it_is(document: dict[str, Any], number: int) -> None:
    raw = encode({"_id": number, **document})
    query = decode(unchanged(raw).raw)
    assert query["_id"] == {"$eq": number}
    root, literal = query["$expr"]["$eq"]
    assert root == "$$ROOT"
    assert encode(literal["$literal"]) == raw


@given(st.dictionaries(st.sampled_from(["_id", "b", "c"]), VALUES.filter(lambda value: not isinstance(value, list))))
def test_an_entry_is_read_as_it_was_written(document: dict[str, Any]) -> None:
    raw = encode({"_id": 1, **document})
    entry = Entry(STOCK, judgement.identity_of(raw), raw, "run-1", "2026-11-29T00:00:00Z")
    found, parts = parse_entry(entry.whole())
    assert parts == 0
    assert found is not None
    assert (found.key, found.payload, found.run_id, found.archived_at, found.pending) == (
        entry.key,
        raw,
        "run-1",
        "2026-11-29T00:00:00Z",
        True,
    )
    assert found.id == entry.id
    assert found.relation.path == "productId"


def test_what_is_no_entry_of_ours_is_none() -> None:
    assert parse_entry(encode({"_id": 1, "of": {"_id": 1}, "format": 2}))[0] is None
    assert parse_entry(encode({"_id": 1}))[0] is None
