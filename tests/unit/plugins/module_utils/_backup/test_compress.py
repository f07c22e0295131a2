# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import gzip
import io
import os
import threading
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup import compress
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from tests.conftest import lacking

PIECES = st.lists(st.binary(max_size=5000), max_size=20)


READERS = pytest.mark.parametrize("reader_of", [compress.GzipReader, compress.MembersReader], ids=["one", "members"])
Reader = Callable[..., Any]


def read_in_steps(reader: Any, step: int = -1) -> bytes:
    found = b""
    while True:
        data = reader.read(step)
        assert step < 0 or len(data) <= step
        if not data:
            return found
        found += data


def contents(reader: Any) -> tuple[bytes, str]:
    """What a reader gives out, and what it has against the rest; "" where it has nothing."""
    found = b""
    while True:
        try:
            data = reader.read(1000)
        except MaintenanceError as error:
            return found, str(error)
        if not data:
            return found, ""
        found += data


@pytest.fixture(autouse=True, params=["zlib", "isal"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both libraries, where isal is installed."""
    if request.param == "zlib":
        monkeypatch.setattr(compress, "isal_zlib", None)
    elif compress.isal_zlib is None:
        lacking("the Python package isal: not installed")
    return str(request.param)


def pack(pieces: list[bytes], compression: str, threads: int = 2) -> bytes:
    out = io.BytesIO()
    writer = compress.GzipWriter(out.write, compress.compressor(compression), threads)
    for piece in pieces:
        writer.write(piece)
    writer.flush()
    writer.close()
    return out.getvalue()


@READERS
@settings(max_examples=40, deadline=None)
@given(
    pieces=PIECES,
    compression=st.sampled_from(["fast", "small", "none"]),
    chunk=st.integers(1, 20000),
    step=st.integers(1, 100000),
)
def test_round_trip_and_any_gzip_program_reads_it(
    reader_of: Reader, pieces: list[bytes], compression: str, chunk: int, step: int
) -> None:
    plain = b"".join(pieces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compress, "CHUNK_BYTES", chunk)
        packed = pack(pieces, compression)
        assert gzip.decompress(packed) == plain if packed else plain == b""
        assert read_in_steps(reader_of(io.BytesIO(packed)), step) == plain


def test_many_chunks_keep_their_order() -> None:
    plain = os.urandom(1000) * 9000
    pieces = [plain[position : position + 100_001] for position in range(0, len(plain), 100_001)]
    packed = pack(pieces, "fast", threads=3)
    assert gzip.decompress(packed) == plain
    reader = compress.Prefetch(compress.GzipReader(io.BytesIO(packed)))
    found = io.BytesIO()
    while data := reader.read(77_777):
        found.write(data)
    reader.close()
    assert found.getvalue() == plain


def test_what_is_written_at_once_is_not_packed_at_once() -> None:
    """Else each thread would hold a document of 16 MB, and what it has made of it."""
    sizes: list[int] = []

    def pack_one(data: bytes) -> bytes:
        sizes.append(len(data))
        return gzip.compress(data, 0)

    out = io.BytesIO()
    writer = compress.GzipWriter(out.write, pack_one, 2)
    plain = b"head" + os.urandom(1000) * 9000
    assert writer.write(plain[:4]) == 4 and writer.write(plain[4:]) == len(plain) - 4
    writer.flush()
    writer.close()
    assert gzip.decompress(out.getvalue()) == plain
    assert max(sizes) <= compress.READ_BYTES


def test_a_batch_is_packed_as_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not copied behind the few bytes that are written before it."""
    monkeypatch.setattr(compress, "CHUNK_BYTES", 1000)
    packed: list[bytes] = []

    def pack_one(data: bytes) -> bytes:
        packed.append(data)
        return data

    batches = [os.urandom(size) for size in (500, 1000, 1500, 1501)]
    out = io.BytesIO()
    writer = compress.GzipWriter(out.write, pack_one, 1)
    for batch in batches:
        for piece in (b"head", batch, b"end"):
            writer.write(piece)
    writer.flush()
    writer.close()
    assert out.getvalue() == b"".join(b"head" + batch + b"end" for batch in batches)
    found = [id(chunk) for chunk in packed]
    assert [id(batch) in found for batch in batches] == [True, True, True, False]
    # The last is cut after a chunk.
    assert [len(chunk) for chunk in packed] == [4, 500, 7, 1000, 7, 1500, 7, 1000, 501, 3]


@given(st.binary(max_size=600))
def test_a_stored_member_is_gzip_and_has_a_fixed_length(data: bytes) -> None:
    member = compress.stored_member(data)
    assert gzip.decompress(member) == data
    assert len(member) == 23 + len(data)


@READERS
def test_cut_off_anywhere_is_an_error(reader_of: Reader) -> None:
    packed = pack([b"some text " * 50], "fast") + pack([b"more text " * 50], "none")
    whole_member = len(pack([b"some text " * 50], "fast"))
    for length in range(1, len(packed)):
        reader = reader_of(io.BytesIO(packed[:length]), "x")
        if length == whole_member:
            continue  # a whole gzip file: the archive inside notices what is missing
        with pytest.raises(MaintenanceError, match="damaged"):
            while reader.read():
                pass


@READERS
def test_a_changed_byte_in_the_data_is_noticed(reader_of: Reader) -> None:
    packed = bytearray(pack([b"some text " * 50], "none"))
    packed[60] ^= 1
    reader = reader_of(io.BytesIO(bytes(packed)), "x")
    with pytest.raises(MaintenanceError, match="damaged"):
        while reader.read():
            pass


@READERS
def test_any_changed_byte_is_told_alike(reader_of: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given out, and the error behind it, are those of whoever unpacks one member after the other."""
    monkeypatch.setattr(compress, "CHUNK_BYTES", 100)
    packed = pack([b"%d some text\n" % number * 5 for number in range(12)], "fast")
    for place in range(len(packed)):
        for changed in (packed[place] ^ 1, packed[place] ^ 0x80):
            damaged = packed[:place] + bytes([changed]) + packed[place + 1 :]
            expected = contents(compress.GzipReader(io.BytesIO(damaged), "x"))
            found = contents(reader_of(io.BytesIO(damaged), "x"))
            assert found == expected, place


class Dripping:
    """A stream that gives out a few bytes at a time, as pipes may."""

    def __init__(self, data: bytes, step: int) -> None:
        self.data = io.BytesIO(data)
        self.step = step

    def read(self, size: int) -> bytes:
        return self.data.read(min(size, self.step))


@READERS
@pytest.mark.parametrize("step", [1, 2, 7, 11, 13, 19, 21, 28, 29])
def test_members_that_come_in_pieces(reader_of: Reader, step: int) -> None:
    parts = [b"%d some text" % number for number in range(5)]
    packed = b"".join(pack([part], "fast") for part in parts)
    assert read_in_steps(reader_of(Dripping(packed, step))) == b"".join(parts)


@READERS
def test_members_of_others_between_ours(reader_of: Reader) -> None:
    parts = [b"one" * 100, b"two" * 100, b"three" * 100, b"four" * 100]
    packed = pack(parts[:1], "fast") + pack(parts[1:2], "fast") + gzip.compress(parts[2]) + pack(parts[3:], "fast")
    assert read_in_steps(reader_of(io.BytesIO(packed)), 7) == b"".join(parts)


@READERS
def test_zero_padding_after_the_end_is_allowed(reader_of: Reader) -> None:
    reader = reader_of(io.BytesIO(pack([b"abc"], "fast") + b"\0" * 100))
    assert reader.read() == b"abc"
    assert reader.read() == b""


@READERS
@pytest.mark.parametrize("ours", [False, True])
def test_a_bomb_is_read_in_small_pieces(reader_of: Reader, ours: bool) -> None:
    make = compress.compressor("fast") if ours else gzip.compress
    reader = reader_of(io.BytesIO(make(b"\0" * 50_000_000)))
    tracemalloc.start()
    try:
        assert len(reader.read(1000)) <= 1000
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


class Broken:
    """A stream that fails after some bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        data = self.data.read(size)
        if not data:
            raise OSError(5, "Input/output error")
        return data


@READERS
def test_an_error_while_reading_comes_behind_what_was_read(reader_of: Reader) -> None:
    packed = pack([b"some text"], "fast")
    for rest in (b"", packed[:20], packed[:-1]):
        reader = reader_of(Broken(packed + rest))
        assert reader.read() == b"some text"
        with pytest.raises(OSError, match="Input/output"):
            read_in_steps(reader)


def test_members_are_unpacked_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compress, "CHUNK_BYTES", 100)
    packed = pack([b"%04d" % number * 25 for number in range(9)], "fast")
    together, unpack = threading.Barrier(2), compress._unpacked

    def meeting(member: bytes) -> bytes | None:
        together.wait(30)
        return unpack(member)

    monkeypatch.setattr(compress, "_unpacked", meeting)
    reader = compress.MembersReader(io.BytesIO(packed), threads=2)
    assert reader.read(1000) == b"0000" * 25
    together.abort()


def test_without_threads_it_is_done_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(compress, "CHUNK_BYTES", 100)
    monkeypatch.setattr(threading.Thread, "start", start)
    pieces = [b"%04d" % number * 25 for number in range(9)]
    packed = pack(pieces, "fast")
    assert gzip.decompress(packed) == b"".join(pieces)
    assert read_in_steps(compress.MembersReader(io.BytesIO(packed), threads=2)) == b"".join(pieces)


def test_an_error_of_the_stream_comes_out_where_it_belongs() -> None:
    class Broken:
        def __init__(self) -> None:
            self.reads = 0

        def read(self, size: int) -> bytes:
            self.reads += 1
            if self.reads > 2:
                raise OSError(5, "Input/output error")
            return b"abc"

    reader = compress.Prefetch(Broken())
    assert reader.read() == b"abc"
    assert reader.read(2) == b"ab"
    assert reader.read() == b"c"
    with pytest.raises(OSError, match="Input/output"):
        reader.read()
    reader.close()


def test_closing_while_the_thread_waits_does_not_hang() -> None:
    class Endless:
        def read(self, size: int) -> bytes:
            return b"x" * size

    reader = compress.Prefetch(Endless(), depth=2)
    assert reader.read(10) == b"x" * 10
    reader.close()


def test_the_engine_is_named(library: str) -> None:
    assert compress.compression_engine() == library
    assert zlib.decompress(compress.compressor("fast")(b"abc"), 31) == b"abc"
