# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ids are cut out of a batch exactly as the driver would decode them."""

from __future__ import annotations

from collections import Counter
from typing import Any
from unittest import mock

import bson
import pytest
from bson import DBRef, ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import raw_cursor
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.archive import ArchiveError, count_documents
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.raw_cursor import documents_of, split_reply
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.raw_ids import (
    cut_ids,
    objectids_of,
    split_texts,
)

ABSENT = object()
OBJECTIDS = st.binary(min_size=12, max_size=12).map(ObjectId)
DIGITS = st.text("0123456789abcdefABCDEF", min_size=24, max_size=24)
OTHERS = st.one_of(
    st.none(),
    st.just(ABSENT),
    st.text(max_size=30),
    # As long as an id, in bytes.
    st.text("0123456789abcdef -\n\0\u00e9", min_size=22, max_size=24),
    st.integers(-(2**40), 2**40),
    st.floats(),
    st.binary(min_size=11, max_size=13),
    st.lists(OBJECTIDS, max_size=2),
    st.dictionaries(st.just("_id"), OBJECTIDS),
    OBJECTIDS.map(lambda identity: DBRef("users", identity)),
)
# Long runs of one form, as in a sorted stream, with something else now and then.
RUNS = st.lists(
    st.tuples(OBJECTIDS, st.integers(1, 120))
    | st.tuples(DIGITS, st.integers(1, 120))
    | st.tuples(OTHERS, st.integers(1, 3)),
    max_size=6,
)


def array(values: list[Any], name: str) -> bytes:
    """The documents as an array, as a reply holds it."""
    documents = [{} if value is ABSENT else {name: value} for value in values]
    return bson.encode({"a": documents})[7:-1]


@pytest.mark.parametrize("name", ["_id", "userId", "\u00fc"])
def test_every_value_comes_out_as_it_went_in(name: str) -> None:
    reached: Counter[str] = Counter()

    @settings(max_examples=300, deadline=None)
    @given(RUNS)
    def check(runs: list[tuple[Any, int]]) -> None:
        values = [value for value, times in runs for _ in range(times)]
        ids = cut_ids(array(values, name), name)
        objectids = [value.binary for value in values if isinstance(value, ObjectId)]
        texts = [value.encode() for value in values if isinstance(value, str) and is_id(value)]
        others = [value for value in values if not isinstance(value, ObjectId) and not (is_id(value))]
        assert ids.objectids == objectids
        assert ids.texts == texts
        decoded = [bson.encode(bson.decode(document)) for document in ids.others]
        assert sorted(decoded) == sorted(bson.encode({} if value is ABSENT else {name: value}) for value in others)
        assert ids.total == len(values)
        reached.update({"objectids": len(objectids) > 100, "texts": len(texts) > 100, "others": len(others) > 0})
        reached["mixed"] += bool(objectids and texts and others)

    check()
    assert all(reached[what] > 5 for what in ("objectids", "texts", "others", "mixed")), reached


def is_id(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 24 and all(digit in "0123456789abcdefABCDEF" for digit in value)


@given(st.lists(DIGITS, max_size=20))
def test_digits_as_the_ids_that_they_write(texts: list[str]) -> None:
    assert objectids_of([text.encode() for text in texts]) == [ObjectId(text).binary for text in texts]


def test_texts_that_stand_for_nothing_are_set_apart() -> None:
    zeros, other = b"0" * 24, b"a" * 24
    assert split_texts([other, zeros, other], ("", "guest", "\u00fc", "0" * 24)) == ([other, other], ["0" * 24])
    assert split_texts([other], ("", "guest")) == ([other], [])


@pytest.mark.parametrize("name", ["firstBatch", "nextBatch"])
@pytest.mark.parametrize("before", [{}, {"id": bson.Int64(7), "ns": "shop.orders"}])
def test_batch_and_state_of_a_reply(name: str, before: dict[str, Any]) -> None:
    state = {"id": bson.Int64(7), "ns": "shop.orders", "partialResultsReturned": False}
    documents = [{"_id": "\x04nextBatch"}, {"_id": 2}]
    batch, rest = split_reply(bson.encode({**before, name: documents, **state}))
    assert list(bson.decode(batch).values()) == documents
    assert rest == state


BY_DRIVER_OR_NOT = pytest.mark.parametrize("joined", [raw_cursor._joined_by_driver, None], ids=["driver", "python"])


def test_the_driver_joins() -> None:
    """Else the tests below are of one way only, and backups slower than they are told to be."""
    assert raw_cursor._joined_by_driver is not None


@BY_DRIVER_OR_NOT
@given(
    documents=st.lists(
        st.dictionaries(
            st.text(st.characters(codec="utf-8", exclude_characters="\0")),
            st.one_of(st.binary(), st.integers(0, 9), st.none()),
        ),
        max_size=130,
    )
)
def test_documents_of_an_array(joined: Any, documents: list[dict[str, Any]]) -> None:
    array = bson.encode({str(number): document for number, document in enumerate(documents)})
    with mock.patch.object(raw_cursor, "_joined_by_driver", joined):
        data, count = documents_of(b"before" + array + b"after", 6, 6 + len(array))
    # Within another one, where the driver does not put _id first.
    inside = len(bson.encode({"a": {}})) - len(bson.encode({})) - 1
    assert data == b"".join(bson.encode({"a": document})[inside:-1] for document in documents)
    assert count == len(documents)


@BY_DRIVER_OR_NOT
@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, 1001, 9999, 10000, 10001, 123456])
def test_documents_are_counted(joined: Any, count: int) -> None:
    array = bson.encode({str(number): {} for number in range(count)})
    with mock.patch.object(raw_cursor, "_joined_by_driver", joined):
        assert documents_of(array, 0, len(array)) == (bson.encode({}) * count, count)


ARRAY = bson.encode({"0": {"a": 1}, "1": {"b": "text"}})


@BY_DRIVER_OR_NOT
@pytest.mark.parametrize(
    "damaged",
    [
        ARRAY[:4] + b"\x02" + ARRAY[5:],  # another type
        ARRAY.replace(bson.encode({"a": 1}), b"\x0d" + bson.encode({"a": 1})[1:]),  # longer
        ARRAY.replace(bson.encode({"b": "text"}), b"\x7f" + bson.encode({"b": "text"})[1:]),  # longer than the array
        ARRAY.replace(bson.encode({"b": "text"}), b"\x04" + bson.encode({"b": "text"})[1:]),  # none so short
        ARRAY[:-1] + b"\x01",  # the array's end
        ARRAY[:4] + ARRAY[7:-1] + ARRAY[4:7] + b"\0",  # a key without a value
    ],
)
def test_no_array_of_whole_documents(joined: Any, damaged: bytes) -> None:
    assert damaged != ARRAY
    with (
        mock.patch.object(raw_cursor, "_joined_by_driver", joined),
        pytest.raises(ValueError, match=r"the server's answer|subsection not found"),
    ):
        documents_of(damaged, 0, len(damaged))


def test_document_that_does_not_end_in_nul() -> None:
    """The driver lets it pass; whoever reads the archive back does not."""
    damaged = ARRAY[:-2] + b"\x01\0"
    with (
        mock.patch.object(raw_cursor, "_joined_by_driver", None),
        pytest.raises(ValueError, match="the server's answer"),
    ):
        documents_of(damaged, 0, len(damaged))
    with pytest.raises(ArchiveError, match="does not end with a zero byte"):
        count_documents(documents_of(damaged, 0, len(damaged))[0])


def test_keys_that_are_no_row_of_numbers() -> None:
    array = bson.encode({"0": {"a": 1}, "10": {"b": 1}})
    with pytest.raises(ValueError, match="its keys"):
        documents_of(array, 0, len(array))


def test_the_driver_is_not_given_batches_of_large_documents() -> None:
    """It would hold them twice."""
    array = bson.encode({"0": {"x": b"\0" * (5 << 20)}})
    with mock.patch.object(raw_cursor, "_joined_by_driver", mock.Mock(side_effect=AssertionError)) as driver:
        data, count = documents_of(array, 0, len(array))
        assert count == 1 and data == array[7:-1]
        with pytest.raises(AssertionError):
            documents_of(ARRAY, 0, len(ARRAY))
    assert driver.call_count == 1
