# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import random
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import bson
import pytest
from bson.codec_options import CodecOptions, DatetimeConversion
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import document_check, document_shapes
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.document_check import (
    DocumentCheck,
    UnreadableDocument,
)
from tests.conftest import lacking

try:
    import numpy
except ImportError:
    numpy = None  # type: ignore[assignment, unused-ignore]

OPTIONS: Any = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="replace"
)
ID = bson.ObjectId("65f000000000000000000001")
PLAIN = bson.encode({"_id": ID, "n": 1, "price": 1.5, "name": "text", "yes": True, "no": False, "nil": None})
NESTED = bson.encode(
    {
        "_id": ID,
        "a": {"b": {"c": {"d": "deep", "e": [1, [2, "x"], {"f": 1.5}]}}},
        "items": [{"q": 1}, {"q": 2}],
        "z": {},
    }
)
TYPES = bson.encode(
    {
        "when": datetime(2026, 11, 24),
        "far": bson.DatetimeMS(2**62),
        "long": bson.Int64(2**60),
        "stamp": bson.Timestamp(1, 2),
        "exact": bson.Decimal128("1.50"),
        "bin": b"\x00\x01",
        "uuid": bson.Binary(b"0123456789abcdef", 4),
        "a_name_that_is_longer_than_sixteen_bytes": "",
        "\u00e4": "\u20ac",
    }
)
ASKED = bson.encode(
    {
        "re": bson.Regex("a", "i"),
        "code": bson.Code("x", {"a": 1}),
        "ref": bson.DBRef("c", 1),
        "old": bson.Binary(b"12", 2),
        "min": bson.MinKey(),
    }
)
DOCUMENTS = {"plain": PLAIN, "nested": NESTED, "types": TYPES, "asked": ASKED}


@pytest.fixture(autouse=True)
def library() -> None:
    if numpy is None:
        lacking("the Python package numpy: not installed")


def decodes(document: bytes) -> bool:
    try:
        bson.decode_all(document, OPTIONS)
    except Exception:
        return False
    return True


def starts(documents: Sequence[bytes]) -> list[int]:
    found = [0]
    for document in documents:
        found.append(found[-1] + len(document))
    return found


def unsure(shapes: document_shapes.Shapes, documents: Sequence[bytes], padding: bytes = b"\0") -> set[int]:
    room = bytearray(b"".join(documents) + padding * document_shapes.PADDING)
    return set(shapes.unsure(room, starts(documents)))


def learnt(*documents: bytes) -> document_shapes.Shapes:
    """What knows these documents already."""
    shapes = document_shapes.Shapes(numpy)
    unsure(shapes, list(documents) * 2 * document_shapes.LEAST)
    return shapes


def never_believed(shapes: document_shapes.Shapes, good: bytes, changed: Sequence[bytes]) -> int:
    """How many of the changed documents the driver refuses; none of them may be vouched for."""
    documents = [good] * (2 * document_shapes.LEAST)
    for document in changed:
        documents += [document, good]
    doubted = unsure(shapes, documents, b"\x02")
    refused = {number for number, document in enumerate(documents) if not decodes(document)}
    assert refused <= doubted, [documents[number].hex() for number in sorted(refused - doubted)][:3]
    return len(refused)


def flipped(document: bytes) -> Iterator[list[bytes]]:
    """The document with each byte after its own length replaced by each other value, by position."""
    for position in range(4, len(document)):
        yield [
            document[:position] + bytes([value]) + document[position + 1 :]
            for value in range(256)
            if value != document[position]
        ]


@pytest.mark.parametrize("name", ["plain", "nested", "types"])
def test_documents_of_common_types_are_vouched_for(name: str) -> None:
    shapes = learnt(DOCUMENTS[name])
    assert unsure(shapes, [DOCUMENTS[name]] * 100) == set()


def test_what_is_not_known_is_for_the_driver() -> None:
    for key, value in bson.decode(ASKED).items():
        document = bson.encode({"a": 1, key: value})
        assert unsure(learnt(document), [document] * 100) == set(range(100)), key
    for subtype in (3, 4):  # some versions of the driver refuse these
        document = crafted(b"\x05a\0" + b"\x03\0\0\0" + bytes([subtype]) + b"abc")
        assert len(unsure(learnt(document), [document] * 100)) == 100
    few = [PLAIN] * (document_shapes.LEAST - 1)
    assert unsure(learnt(PLAIN), few) == set(range(len(few)))
    deep: Any = 1
    for _level in range(40):
        deep = {"a": deep}
    assert len(unsure(learnt(bson.encode(deep)), [bson.encode(deep)] * 100)) == 100


@pytest.mark.parametrize("name", list(DOCUMENTS))
def test_no_changed_byte_is_believed_that_the_driver_refuses(name: str) -> None:
    document = DOCUMENTS[name]
    seasoned = learnt(document)  # and from whatever was wrong before
    refused = 0
    for changed in flipped(document):
        refused += never_believed(learnt(document), document, changed)
        never_believed(seasoned, document, changed)
    assert refused > 100


@pytest.mark.parametrize("name", list(DOCUMENTS))
def test_no_two_changed_bytes_are_believed_that_the_driver_refuses(name: str) -> None:
    chance, document = random.Random(name), DOCUMENTS[name]
    # A byte that matters is most often a length's, a type's or a NUL: small values meet them.
    values = [0, 1, 2, 3, 4, 5, 8, 16, 127, 128, 255]
    shapes = learnt(document)
    refused = 0
    for _round in range(40):
        changed = []
        for _count in range(100):
            copy = bytearray(document)
            for position in chance.sample(range(4, len(copy)), 2):
                copy[position] = chance.choice(values)
            changed.append(bytes(copy))
        refused += never_believed(shapes, document, changed)
    assert refused > 100


def test_what_all_documents_have_wrong_is_not_learnt_as_right() -> None:
    """A whole batch with the same change: the first it learns from is as wrong as the others."""
    refused: Counter[str] = Counter()
    for name, document in DOCUMENTS.items():
        for position in range(4, len(document)):
            for value in {0, 1, 2, 3, 4, 5, 6, 0x7F, 0x80, 0xFF} - {document[position]}:
                changed = document[:position] + bytes([value]) + document[position + 1 :]
                if not decodes(changed):
                    refused[name] += 1
                    batch = [changed] * document_shapes.LEAST
                    assert len(unsure(document_shapes.Shapes(numpy), batch)) == len(batch), changed.hex()
    assert min(refused.values()) > 50 and len(refused) == len(DOCUMENTS), refused


def crafted(body: bytes) -> bytes:
    return struct.pack("<i", len(body) + 5) + body + b"\0"


@pytest.mark.parametrize(
    "body",
    [
        b"\x02a\0" + b"\0\0\0\0",  # no room for its NUL
        b"\x02a\0" + b"\xff\xff\xff\xff" + b"text\0",
        b"\x02a\0" + b"\xff\xff\xff\x7f" + b"text\0",
        b"\x02a\0" + b"\x05\0\0\0" + b"textx",
        b"\x03a\0" + b"\x04\0\0\0\0",
        b"\x03a\0" + b"\0\0\0\0\0",
        b"\x03a\0" + b"\x05\0\0\0\x01",
        b"\x03a\0" + b"\x07\0\0\0\x08b\0\x01",  # ends inside its own last field
        b"\x04a\0" + b"\x06\0\0\0\0\0",
        b"\x08a\0\x02",
        b"\x05a\0" + b"\x02\0\0\0\x02ab",
        b"\x01a\0" + b"\0\0\0\0",
        b"\x10a",
        b"\x0aa\0\0",
    ],
)
def test_what_the_driver_refuses_is_never_vouched_for(body: bytes) -> None:
    document = crafted(body)
    assert not decodes(document)
    for shapes in (learnt(document), learnt(PLAIN, NESTED), learnt(crafted(body[:3] + bytes(16)))):
        documents = [document, PLAIN, NESTED] * 100
        assert set(range(0, 300, 3)) <= unsure(shapes, documents, b"\0")


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(),
        st.text(max_size=8),
        st.binary(max_size=8),
        st.just(ID),
        st.integers(-(2**63), 2**63 - 1).map(bson.DatetimeMS),
        st.builds(bson.Binary, st.binary(min_size=16, max_size=16), st.integers(0, 255)),
        st.builds(bson.Timestamp, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
        st.binary(min_size=16, max_size=16).map(bson.Decimal128.from_bid),
        st.sampled_from([bson.MinKey(), bson.MaxKey(), bson.Regex("a"), bson.Code("a"), bson.DBRef("a", 1)]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(["a", "b", "longer name", "$ref", "$id"]), inner)
    ),
    max_leaves=8,
)
KEYS = st.sampled_from(["_id", "a", "b", "c", "name that is longer than eight"])


def test_whatever_is_vouched_for_decodes() -> None:
    reached: Counter[str] = Counter()

    @settings(max_examples=80, deadline=None)
    @given(st.lists(st.dictionaries(KEYS, VALUES, max_size=5), min_size=1, max_size=6), st.integers(0, 2**32))
    def check(kinds: list[dict[str, Any]], seed: int) -> None:
        chance = random.Random(seed)
        documents = [bson.encode(kind) for kind in kinds] * 40
        shapes = document_shapes.Shapes(numpy)
        for _round in range(2):
            doubted = unsure(shapes, documents)
        reached["vouched for"] += len(documents) - len(doubted)
        # And the same when bytes of some are changed.
        for _change in range(20):
            number = chance.randrange(len(documents))
            if len(documents[number]) > 5:
                copy = bytearray(documents[number])
                copy[chance.randrange(4, len(copy))] = chance.randrange(256)
                documents[number] = bytes(copy)
        doubted = unsure(shapes, documents)
        refused = {number for number, document in enumerate(documents) if not decodes(document)}
        reached["refused"] += len(refused)
        assert refused <= doubted

    check()
    assert reached["vouched for"] > 1000 and reached["refused"] > 100, reached


def test_optional_fields_and_arrays_of_any_length_come_together() -> None:
    chance = random.Random(20261124)
    documents = []
    for number in range(3000):
        document: dict[str, Any] = {"_id": number}
        for name in "abcdef":
            if chance.random() < 0.5:
                document[name] = chance.choice([1, "text", None, 2.5])
        document["items"] = [{"x": chance.random(), "y": "y" * count} for count in range(chance.randrange(9))]
        documents.append(bson.encode(document))
    shapes = document_shapes.Shapes(numpy)
    unsure(shapes, documents)
    assert len(unsure(shapes, documents)) < 30


def test_names_that_are_values_are_not_learnt_without_end() -> None:
    documents = [bson.encode({"a%d" % number: 1 for number in range(start, start + 3)}) for start in range(3000)]
    shapes = document_shapes.Shapes(numpy)
    for _round in range(20):
        assert len(unsure(shapes, documents)) > 2000
    assert len(shapes._top.fields) <= 80


# --- in the helpers


def verdict(batches: Sequence[tuple[bytes, str]], numpy_after: int) -> tuple[str, str, int]:
    """Which place the check names, why, and how many documents were vouched for."""
    check = DocumentCheck(1, numpy_after)
    try:
        for batch, where in batches:
            check.check(batch, where)
        check.finish()
    except UnreadableDocument as error:
        return error.where, str(error), 0
    finally:
        check.close()
    return "", "", check.vouched


NO_TYPE = PLAIN.replace(b"\x02name\0", b"\x99name\0")
NO_END = NESTED.replace(b"deep\0", b"deepx")
SHORT = b"\x04\0\0\0\0" + PLAIN


@pytest.mark.parametrize(
    "bad", [NO_TYPE, NO_END, PLAIN[:-1], PLAIN[:2], SHORT, b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f\0"]
)
def test_the_verdict_and_the_named_place_are_the_same_without_numpy(bad: bytes) -> None:
    good = PLAIN * 300 + NESTED * 300
    for batch in (good + bad, good + bad + good, bad):
        batches = [(good, "shop.a"), (good, "shop.b"), (batch, "shop.c"), (good, "shop.d")]
        with_numpy, without = verdict(batches, 0), verdict(batches, -1)
        assert with_numpy == without and without[0] == "shop.c"


@pytest.mark.parametrize("behind", [False, True])
def test_one_helper_begins_where_numpy_is_and_others_follow_when_it_falls_behind(
    behind: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document_check, "_PATIENCE_BYTES", 10 * len(PLAIN))
    check = DocumentCheck(3)
    monkeypatch.setattr(check._waiting, "full", lambda: behind)
    try:
        counts = []
        for _count in range(60):
            counts.append(len(check._helpers))
            check.check(PLAIN)
        check.finish()
    finally:
        check.close()
    assert counts[:10] == [1] * 10, "it has to start first"
    assert counts[-1] == (3 if behind else 1)


def test_a_helper_that_cannot_follow_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(document_check, "_PATIENCE_BYTES", 0)
    check = DocumentCheck(3)
    monkeypatch.setattr(check._waiting, "full", lambda: True)
    monkeypatch.setattr(document_check.subprocess, "Popen", refuse)
    try:
        for _count in range(30):
            check.check(PLAIN)
        check.finish()
        assert len(check._helpers) == 1
    finally:
        check.close()


def test_without_numpy_all_helpers_begin_at_once() -> None:
    check = DocumentCheck(3, -1)
    try:
        assert len(check._helpers) == 3
    finally:
        check.close()


def test_most_documents_are_vouched_for_and_the_others_decoded() -> None:
    batch = (PLAIN + ASKED) * 400
    assert verdict([(batch, "shop.a")] * 3, 0)[2] == 1200
    assert verdict([(batch, "shop.a")] * 3, -1)[2] == 0
    # Not before there is enough to check: that is the helper's first megabyte here.
    assert verdict([(PLAIN * 1000, "shop.a")] * 3, 2 * len(PLAIN) * 1000)[2] == 1000
    assert verdict([(PLAIN * 10, "shop.a"), (bson.encode({"x": b"\0" * 5_000_000}), "shop.b"), (b"", "c")], 0)[2] == 0


def test_documents_with_little_in_common_are_soon_left_to_the_driver() -> None:
    batch = b"".join(bson.encode({"a%d" % number: 1}) for number in range(1000))
    assert verdict([(batch, "shop.a")] * 100, 0)[:2] == ("", "")
    assert verdict([(batch, "shop.a")] * 10 + [(PLAIN * 1000, "shop.a")], 0)[2] < 1000
    assert verdict([(batch, "shop.a")] * 10 + [(PLAIN * 1000, "shop.b")], 0)[2] >= 1000


def test_a_batch_of_many_megabytes_is_looked_at_in_parts() -> None:
    batch = TYPES * (5_000_000 // len(TYPES))
    assert verdict([(batch, "shop.a")], 0)[2] == 5_000_000 // len(TYPES)
    assert verdict([(batch + TYPES[:-1] + b"\1", "shop.a")], 0)[0] == "shop.a"


def test_without_the_source_all_documents_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_check, "_source_of_shapes", lambda: b"")
    assert verdict([(PLAIN * 1000, "shop.a")] * 3, 0) == ("", "", 0)
    monkeypatch.setattr(document_check, "_source_of_shapes", lambda: b"raise ImportError('no numpy')")
    assert verdict([(PLAIN * 1000, "shop.a")] * 3, 0) == ("", "", 0)
    assert verdict([(PLAIN * 1000 + NO_TYPE, "shop.a")], 0)[0] == "shop.a"


def test_where_the_fast_way_itself_fails_the_driver_decodes_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as by a numpy of another age: no document is called unreadable for it."""
    source = b"LEAST = 48\nclass Shapes:\n    def __init__(self, numpy): pass\n    def unsure(self, room, starts): raise IndexError('odd')\n"
    monkeypatch.setattr(document_check, "_source_of_shapes", lambda: source)
    assert verdict([(TYPES * (5_000_000 // len(TYPES)), "shop.a"), (PLAIN * 1000, "shop.b")], 0) == ("", "", 0)
    assert verdict([(PLAIN * 1000 + NO_TYPE, "shop.c")], 0)[0] == "shop.c"
