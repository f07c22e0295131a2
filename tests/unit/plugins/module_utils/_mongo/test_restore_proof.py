# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What speaks against an archive, and which documents a server changes when they are inserted."""

from __future__ import annotations

from collections import Counter
from typing import Any

import bson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import raw_document, restore

NAMES = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
    st.text(st.sampled_from("\x11a"), max_size=5),  # the byte that stands for a timestamp
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(allow_nan=False),
    st.just(0.0),
    st.integers(-(2**63), 2**63 - 1).map(bson.Int64),
    st.integers(-(2**31), 2**31 - 1),
    st.text(max_size=9),
    st.binary(max_size=20),
    st.sampled_from([b"\0" * 20, b"\x11a\0" + b"\0" * 8]),
    st.binary(min_size=12, max_size=12).map(bson.ObjectId),
    st.builds(bson.Timestamp, st.integers(0, 1), st.integers(0, 1)),
    st.sampled_from(
        [
            bson.Regex("a.*", "i"),
            bson.Code("f()"),
            bson.Code("f()", {"x": 1}),
            bson.MinKey(),
            bson.MaxKey(),
            bson.Decimal128("0"),
            bson.DatetimeMS(0),
            bson.DBRef("c", 1),
        ]
    ),
)
VALUES = st.recursive(LEAVES, lambda inner: st.one_of(st.lists(inner), st.dictionaries(NAMES, inner)), max_leaves=6)


def test_an_empty_timestamp_at_the_top_is_found_and_no_other() -> None:
    reached: Counter[bool] = Counter()

    @settings(max_examples=300, deadline=None)
    @given(
        st.dictionaries(st.one_of(NAMES, st.just("_id")), VALUES),
        st.none() | st.dictionaries(st.sampled_from(["_id", "t"]), st.just(bson.Timestamp(0, 0)), min_size=1),
    )
    def check(document: dict[str, Any], more: dict[str, Any] | None) -> None:
        document = {**document, **(more or {})}
        expected = any(value == bson.Timestamp(0, 0) for name, value in document.items() if name != "_id")
        reached[expected] += 1
        raw = bson.encode(document)
        assert raw_document.has_empty_timestamp(raw) is expected
        assert raw_document.may_have_empty_timestamp(bson.encode({}) + raw + raw) or not expected

    check()
    assert min(reached[True], reached[False]) >= 20, reached


def test_orders_full_of_zeros_are_not_looked_into() -> None:
    order = {"_id": bson.ObjectId(bytes(12)), "total": 0.0, "paid": bson.Int64(0), "t": bson.Timestamp(1, 1)}
    assert not raw_document.may_have_empty_timestamp(bson.encode(order) * 3)
    assert raw_document.may_have_empty_timestamp(bson.encode(order) + bson.encode({"t": bson.Timestamp(0, 0)}))


@pytest.mark.parametrize(
    ("number", "same", "proof"),
    [
        (11000, True, True),
        (11000, False, True),
        (16755, True, True),  # not a point on the earth
        (72, False, False),  # an option of another series
        (14031, True, False),  # the disk is full
        (None, True, False),  # the connection was lost
        (11600, True, False),  # the server is ending
    ],
)
def test_only_what_the_archive_holds_speaks_against_it(number: int | None, same: bool, proof: bool) -> None:
    assert restore.refusal_is_proof(number, same) is proof


def test_release_series() -> None:
    assert restore.same_series("6.0.5", "6.0.14")
    assert not restore.same_series("6.0.5", "7.0.5")
    assert not restore.same_series("6.0.5", "")
