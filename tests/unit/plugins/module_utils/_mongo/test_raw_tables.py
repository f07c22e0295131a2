# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documents are cut into columns exactly as the driver would decode them, and their age is told by the same rule."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Any

import bson
from bson import DatetimeMS, Int64, ObjectId
from bson.codec_options import CodecOptions, DatetimeConversion
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.orphans import created
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.raw_document import split_batch
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.raw_holders import Cutoff, holders_in
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.raw_tables import (
    TEXT,
    cut_tables,
    is_short,
    join_batch,
)

NOW = datetime(2026, 11, 24, 3, 0, 7, 250_000, tzinfo=timezone.utc)
OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)
ABSENT = object()
OBJECTIDS = st.binary(min_size=12, max_size=12).map(ObjectId)
DIGITS = st.text("0123456789abcdefABCDEF", min_size=24, max_size=24)
TEXTS = DIGITS | st.text("0123456789abcdef -\n\0é", max_size=26)
NEAR = st.integers(-3000, 3000).map(lambda milliseconds: NOW + timedelta(milliseconds=milliseconds))
VALUES = {
    "_id": OBJECTIDS | NEAR.map(ObjectId.from_datetime) | st.integers(0, 9) | TEXTS,
    "userId": OBJECTIDS | TEXTS | st.sampled_from([None, ABSENT, 7, Int64(7), 7.0, True, [1], {"a": 1}, b"x"]),
    "createdAt": NEAR
    | st.just(ABSENT)
    | st.sampled_from([None, "2026-11-24", DatetimeMS(253_402_300_799_999), DatetimeMS(253_402_300_800_000)])
    | st.integers(-(2**63), 2**63 - 1).map(DatetimeMS),
}
DOCUMENTS = st.permutations(sorted(VALUES)).flatmap(
    lambda names: st.tuples(*(VALUES[name] for name in names)).map(
        lambda values: {name: value for name, value in zip(names, values) if value is not ABSENT}
    )
)
# Long runs of one shape, as most collections have them, with something else now and then.
RUNS = st.lists(st.tuples(DOCUMENTS, st.integers(1, 9) | st.just(105)), max_size=4)


def batch_of(documents: list[dict[str, Any]]) -> bytes:
    return bson.encode({"a": documents})[7:-1]


def fingerprint(documents: Any) -> Counter[bytes]:
    return Counter(bson.encode(document) for document in documents)


def test_every_document_comes_out_as_it_went_in() -> None:
    reached: Counter[str] = Counter()

    @settings(max_examples=200, deadline=None)
    @given(RUNS, st.sampled_from([NOW, NOW.replace(microsecond=250_999), datetime(1960, 1, 1, tzinfo=timezone.utc)]))
    def check(runs: list[tuple[dict[str, Any], int]], moment: datetime) -> None:
        documents = [document for document, times in runs for _ in range(times)]
        batch = batch_of(documents)
        assert join_batch(split_batch(batch)) == batch
        assert is_short(batch, len(documents) + 1)
        assert not documents or not is_short(batch, len(documents))

        tables, others = cut_tables(batch)
        rows = [bson.decode(raw, OPTIONS) for table in tables for raw in table.documents()]
        for table in tables:
            of_table = [bson.decode(raw, OPTIONS) for raw in table.documents()]
            assert len(table) == len(of_table)
            for name in VALUES:
                assert all((name in row) == (table.kind(name) is not None) for row in of_table)
                if table.kind(name) == TEXT:
                    assert [row[name].encode() + b"\0" for row in of_table] == table.values(name)
        assert fingerprint([*rows, *(bson.decode(raw, OPTIONS) for raw in others)]) == fingerprint(documents)

        cutoff = Cutoff(moment)
        found, left = holders_in(batch, "userId")
        told: Counter[tuple[Any, Any, bool]] = Counter()
        for holders in found:
            for place, identity in enumerate(holders.ids):
                value = holders.values[place]
                stored = ObjectId(value) if holders.values is holders.keys else value.decode()
                assert ObjectId(stored).binary == holders.keys[place]
                made = holders.created[place] if holders.created else None
                told[ObjectId(identity), stored, cutoff.is_younger(identity, made)] += 1
        known = Counter(
            (document["_id"], document["userId"], is_young(document, moment))
            for document in documents
            if are_ids(document)
        )
        missed = Counter(
            (document["_id"], document["userId"], is_young(document, moment))
            for document in (bson.decode(raw, OPTIONS) for raw in left)
            if are_ids(document)
        )
        assert told + missed == known
        reached.update(
            {
                "uniform": len(found) > 0 and not left,
                "mixed": bool(found and left),
                "young": any(young for _id, _value, young in told),
                "old": any(not young for _id, _value, young in told),
                "long": len(documents) > 110 and not others,
            }
        )

    check()
    assert all(reached[what] > 3 for what in ("uniform", "mixed", "young", "old", "long")), reached


def is_young(document: dict[str, Any], moment: datetime) -> bool:
    made = created(bson.decode(bson.encode(document), OPTIONS))
    return made is not None and made > moment


def are_ids(document: dict[str, Any]) -> bool:
    value = document.get("userId")
    written = isinstance(value, str) and ObjectId.is_valid(value) and len(value) == 24
    return isinstance(document["_id"], ObjectId) and (isinstance(value, ObjectId) or written)


def test_a_name_or_a_length_that_differs_makes_another_shape() -> None:
    alike = [{"_id": 1, "a": "xx"}, {"_id": 2, "a": "yy"}]
    tables, others = cut_tables(batch_of(alike))
    assert ([len(table) for table in tables], others) == ([2], [])
    for other in ({"_id": 2, "b": "yy"}, {"_id": 2.5}, {"_id": 2, "a": "y"}, {"_id": 2, "a": ["y"]}):
        tables, others = cut_tables(batch_of([*alike, other]))
        assert sum(map(len, tables)) + len(others) == 3
        assert all(len({frozenset(bson.decode(raw)) for raw in table.documents()}) == 1 for table in tables)
