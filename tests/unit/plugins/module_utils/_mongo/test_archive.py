# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import bson
import pytest
from bson.raw_bson import RawBSONDocument
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import archive

SAMPLES = Path(__file__).parents[4] / "samples"


class Trickle:
    """A stream that gives a few bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        self._stream = io.BytesIO(data)
        self._step = step

    def read(self, size: int) -> bytes:
        return self._stream.read(min(size, self._step))


def sample() -> bytes:
    return gzip.decompress((SAMPLES / "mongodump-sample.archive.gz").read_bytes())


def read(data: bytes) -> archive.ArchiveReader:
    reader = archive.ArchiveReader(io.BytesIO(data), "test")
    reader.read_all()
    return reader


def build(collections: dict[str, list[bytes]], metadata: dict[str, str] | None = None) -> bytes:
    out = io.BytesIO()
    heads = [
        archive.CollectionMetadata("d", name, "collection", (metadata or {}).get(name, "{}")) for name in collections
    ]
    writer = archive.ArchiveWriter(out.write, heads, "6.0.5", "test")
    for name, batches in collections.items():
        for batch in batches:
            writer.add("d", name, batch)
        writer.end("d", name)
    writer.close()
    return out.getvalue()


# --- the checksum


def test_the_check_value_of_crc_64_xz() -> None:
    assert archive.crc64(b"123456789") == 0x995DC9BBDF1939FA
    assert archive.crc64_python(b"123456789") == 0x995DC9BBDF1939FA


def test_liblzma_is_found_where_the_tests_run() -> None:
    assert archive.crc64 is not archive.crc64_python


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_both_crc_implementations_agree_and_continue(first: bytes, second: bytes) -> None:
    whole = archive.crc64_python(first + second)
    assert archive.crc64(first + second) == whole
    assert archive.crc64(second, archive.crc64(first)) == whole
    assert archive.crc64_python(second, archive.crc64_python(first)) == whole


@pytest.mark.parametrize(("value", "signed"), [(0, 0), (2**63 - 1, 2**63 - 1), (2**63, -(2**63)), (2**64 - 1, -1)])
def test_signed64(value: int, signed: int) -> None:
    assert archive.signed64(value) == signed


# --- an archive of stock mongodump


def test_reads_what_stock_mongodump_wrote() -> None:
    expected = json.loads((SAMPLES / "mongodump-sample.expected.json").read_text())
    reader = archive.ArchiveReader(io.BytesIO(sample()), "sample")
    documents: dict[str, list[bytes]] = {}
    for batch in reader.batches():
        for raw in bson.decode_file_iter(io.BytesIO(batch.data), bson.CodecOptions(document_class=RawBSONDocument)):
            documents.setdefault(batch.collection, []).append(raw.raw)
    assert {entry.collection: entry.type for entry in reader.prelude.collections} == {
        name: entry["type"] for name, entry in expected.items()
    }
    assert reader.prelude.server_version == "6.0.5"
    for entry in reader.prelude.collections:
        wanted = expected[entry.collection]
        metadata = json.loads(entry.metadata)
        totals = reader.totals[("sample", entry.data_collection)]
        assert totals.complete
        if entry.type != "collection":
            continue
        assert totals.documents == wanted["count"]
        assert sorted(index["name"] for index in metadata["indexes"]) == wanted["indexes"]
        assert sorted(metadata.get("options", {})) == wanted["options"]
        by_id = sorted(documents.get(entry.collection, []), key=lambda raw: bson.decode(raw)["_id"])
        assert hashlib.sha256(b"".join(by_id)).hexdigest() == wanted["sha256_of_raw_documents_sorted_by_id"]
    assert reader.totals[("sample", "system.buckets.metrics")].documents == 1
    assert reader.totals[("sample", "top")].documents == 0


@pytest.mark.parametrize("step", [1 << 16, 997])
def test_how_the_bytes_arrive_makes_no_difference(step: int) -> None:
    data = sample()
    reader = archive.ArchiveReader(Trickle(data, step), "sample")
    totals = reader.read_all()
    assert {key: (value.documents, value.sha256) for key, value in totals.items()} == {
        key: (value.documents, value.sha256) for key, value in read(data).totals.items()
    }


def pieces(data: bytes) -> tuple[list[bytes], set[bytes], set[bytes]]:
    """Raw: the documents of the head after the first one, the headers of blocks with data, those of last blocks."""
    position = 4

    def take() -> bytes:
        nonlocal position
        size = int.from_bytes(data[position : position + 4], "little", signed=True)
        raw = data[position : position + max(size, 4)]
        position += len(raw)
        return raw

    head, blocks, ends = [], set(), set()
    take()
    while (raw := take()) != archive.TERMINATOR:
        head.append(raw)
    while position < len(data):
        header = take()
        (ends if bson.decode(header)["EOF"] else blocks).add(header)
        while take() != archive.TERMINATOR:
            pass
    return head, blocks, ends


def test_writing_the_sample_again_gives_stock_mongodump_s_own_heads_and_block_headers_byte_for_byte() -> None:
    data = sample()
    source = archive.ArchiveReader(io.BytesIO(data), "sample")
    batches: dict[tuple[str, str], list[bytes]] = {}
    for batch in source.batches():
        batches.setdefault((batch.db, batch.collection), []).append(batch.data)
    out = io.BytesIO()
    writer = archive.ArchiveWriter(out.write, source.prelude.collections, "6.0.5", source.prelude.tool_version)
    for key in source.totals:
        for documents in batches.get(key, []):
            writer.add(*key, documents)
        writer.end(*key)
    writer.close()
    assert pieces(out.getvalue()) == pieces(data)
    again = read(out.getvalue())
    assert again.prelude == source.prelude
    assert {key: value.sha256 for key, value in again.totals.items()} == {
        key: value.sha256 for key, value in source.totals.items()
    }
    original = bson.decode(data[4 : 4 + int.from_bytes(data[4:8], "little")])
    ours = bson.decode(out.getvalue()[4 : 4 + int.from_bytes(out.getvalue()[4:8], "little")])
    assert list(ours) == list(original)
    assert {name: type(value) for name, value in ours.items()} == {
        name: type(value) for name, value in original.items()
    }


# --- round trip

documents = st.lists(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
        st.integers(-(2**60), 2**60) | st.binary(max_size=30) | st.none(),
    ),
    max_size=8,
)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8),
        st.lists(documents, max_size=3),
        max_size=4,
    ),
    st.integers(1, 200),
)
def test_round_trip(content: dict[str, list[list[dict[str, object]]]], step: int) -> None:
    raw = {
        name: [b"".join(bson.encode(entry) for entry in batch) for batch in batches]
        for name, batches in content.items()
    }
    metadata = {name: json.dumps({"collectionName": name}) for name in content}
    data = build(raw, metadata)
    reader = archive.ArchiveReader(Trickle(data, step), "test")
    found: dict[str, bytes] = dict.fromkeys(content, b"")
    for batch in reader.batches():
        assert archive.count_documents(batch.data) == batch.documents > 0
        found[batch.collection] += batch.data
    assert found == {name: b"".join(batches) for name, batches in raw.items()}
    assert {entry.collection: entry.metadata for entry in reader.prelude.collections} == metadata
    for name, batches in content.items():
        totals = reader.totals[("d", name)]
        assert totals.complete
        assert totals.documents == sum(len(batch) for batch in batches)
        assert totals.sha256 == hashlib.sha256(found[name]).hexdigest()


# --- damage

SMALL = build({"a": [bson.encode({"_id": 1, "text": "one"}) + bson.encode({"_id": 2})], "b": []})


def test_an_archive_cut_off_anywhere_is_never_taken_for_a_whole_one() -> None:
    for length in range(len(SMALL)):
        with pytest.raises(archive.ArchiveError):
            read(SMALL[:length])


def test_a_changed_byte_never_changes_documents_unnoticed() -> None:
    reached: Counter[str] = Counter()

    @settings(deadline=None)
    @given(st.integers(0, len(SMALL) - 1), st.integers(1, 255))
    def check(position: int, change: int) -> None:
        damaged = bytearray(SMALL)
        damaged[position] ^= change
        try:
            reader = read(bytes(damaged))
        except archive.ArchiveError:
            reached["noticed"] += 1
            return
        reached["outside the documents"] += 1
        good = read(SMALL)
        # What is not noticed is outside the documents: a name, a version or the metadata at the head.
        assert [item.sha256 for item in reader.totals.values()] == [item.sha256 for item in good.totals.values()]

    check()
    assert len(reached) == 2 and min(reached.values()) >= 3, reached


@pytest.mark.parametrize("crc", ["x", {}, {"a": 1}, [1], 1.5, True])
def test_a_checksum_that_is_no_number_fits_nothing(crc: object) -> None:
    head = {"db": "d", "collection": "a"}
    documents = bson.encode({**head, "EOF": False, "CRC": 0}) + bson.encode({"_id": 1}) + archive.TERMINATOR
    end = bson.encode({**head, "EOF": True, "CRC": crc}) + archive.TERMINATOR
    announced = archive.MAGIC + bson.encode({"version": "0.1"}) + bson.encode(head) + archive.TERMINATOR
    with pytest.raises(archive.ArchiveError, match="checksum of the collection's documents is not the one recorded"):
        read(announced + documents + end)


def test_a_second_archive_behind_the_first_is_noticed() -> None:
    for more in (SMALL, SMALL[4:], archive.TERMINATOR, b"\0", b"\0" * 4096):
        with pytest.raises(archive.ArchiveError):
            read(SMALL + more)


class Endless:
    """A stream that goes on far longer than anybody should read it."""

    def __init__(self, head: bytes, pieces: Iterator[bytes]) -> None:
        self.pieces = itertools.chain([head], pieces)

    def read(self, size: int) -> bytes:
        return next(self.pieces, b"")


def test_a_head_without_end_is_no_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_HEAD_BYTES", 8 * 1024 * 1024)
    head = archive.MAGIC + bson.encode({"version": "0.1"})
    few_and_large = ({"db": "d", "collection": str(n), "metadata": "x" * 100_000} for n in range(200))
    many_and_small = ({"db": "d", "collection": str(n)} for n in range(20_000))
    for entries in (few_and_large, many_and_small):
        with pytest.raises(archive.ArchiveError, match="announces more collections than a server can have"):
            archive.ArchiveReader(Endless(head, map(bson.encode, entries)))


def test_collections_that_nobody_announced_are_not_counted_for_ever() -> None:
    blocks = (bson.encode({"db": "d", "collection": str(n)}) + archive.TERMINATOR for n in range(3000))
    head = archive.MAGIC + bson.encode({"version": "0.1"}) + archive.TERMINATOR
    with pytest.raises(archive.ArchiveError, match="collections that its head does not announce"):
        archive.ArchiveReader(Endless(head, blocks)).read_all()


def test_a_name_that_no_collection_has() -> None:
    with pytest.raises(archive.ArchiveError, match="a header has a name of 5000 letters"):
        read(build({"c" * 5000: []}))


def test_without_a_hash_the_checksum_of_the_archive_still_decides() -> None:
    reader = archive.ArchiveReader(io.BytesIO(SMALL), hashed=False)
    hashed = read(SMALL)
    assert {key: (item.documents, item.bytes, item.crc, "") for key, item in hashed.totals.items()} == {
        key: (item.documents, item.bytes, item.crc, item.sha256) for key, item in reader.read_all().items()
    }
    position = SMALL.index(b"one")
    damaged = archive.ArchiveReader(io.BytesIO(SMALL[:position] + b"two" + SMALL[position + 3 :]), hashed=False)
    with pytest.raises(
        archive.ArchiveError, match="the checksum of the collection's documents is not the one recorded"
    ):
        damaged.read_all()


def test_another_file_is_named_as_such() -> None:
    with pytest.raises(archive.ArchiveError, match="not an archive of mongodump"):
        read(b"PK\x03\x04 something else")


@pytest.mark.parametrize("data", [b"\0", b"\x05\0\0\0", b"\x05\0\0\0\x01", b"\xff\xff\xff\x7f\0", b"\x04\0\0\0\0"])
def test_no_whole_documents(data: bytes) -> None:
    with pytest.raises(archive.ArchiveError):
        archive.count_documents(data)


def test_a_collection_without_an_end_is_a_defect_of_the_caller() -> None:
    writer = archive.ArchiveWriter(lambda data: None, [archive.CollectionMetadata("d", "a")], "6.0.5", "test")
    with pytest.raises(ValueError, match="without an end"):
        writer.close()


def test_memory_does_not_grow_with_the_archive() -> None:
    document = bson.encode({"_id": 1, "text": "x" * 1000})
    batch = document * 1000

    class Endless:
        """An archive of 300 MB that is never in memory as a whole."""

        def __init__(self) -> None:
            self.left = 300
            head = io.BytesIO()
            writer = archive.ArchiveWriter(head.write, [archive.CollectionMetadata("d", "a")], "6", "t")
            del writer
            self.pending = head.getvalue()
            self.block = (
                bson.encode({"db": "d", "collection": "a", "EOF": False, "CRC": bson.Int64(0)})
                + batch
                + archive.TERMINATOR
            )

        def read(self, size: int) -> bytes:
            while len(self.pending) < size and self.left:
                self.pending += self.block
                self.left -= 1
            data, self.pending = self.pending[:size], self.pending[size:]
            return data

    import tracemalloc

    reader = archive.ArchiveReader(Endless(), "test")
    tracemalloc.start()
    try:
        with pytest.raises(archive.ArchiveError, match=r"before the end of d\.a"):
            reader.read_all()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert reader.totals[("d", "a")].documents == 300_000
    assert peak < 16 * 1024 * 1024


def test_of_large_documents_no_more_than_three_are_held() -> None:
    """One that is given out, and the next one in pieces and as a whole."""
    document = bson.encode({"x": bytes(15 * 1024 * 1024)})
    stream = Trickle(build({"a": [document] * 4}), 1024 * 1024)

    import tracemalloc

    reader = archive.ArchiveReader(stream, "test")
    tracemalloc.start()
    try:
        found = [batch.documents for batch in reader.batches()]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == [1] * 4
    assert peak < 3.2 * len(document)
