# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import gzip
import io
import os
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup import compress
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from tests.conftest import lacking

PIECES = st.lists(st.binary(max_size=5000), max_size=20)


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


@settings(max_examples=40, deadline=None)
@given(PIECES, st.sampled_from(["fast", "small", "none"]), st.integers(1, 100000))
def test_round_trip_and_any_gzip_program_reads_it(pieces: list[bytes], compression: str, step: int) -> None:
    plain = b"".join(pieces)
    packed = pack(pieces, compression)
    assert gzip.decompress(packed) == plain if packed else plain == b""
    reader = compress.GzipReader(io.BytesIO(packed))
    found = b""
    while True:
        data = reader.read(step)
        assert len(data) <= step
        if not data:
            break
        found += data
    assert found == plain


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
    assert max(sizes) < 2 * compress.CHUNK_BYTES


@given(st.binary(max_size=600))
def test_a_stored_member_is_gzip_and_has_a_fixed_length(data: bytes) -> None:
    member = compress.stored_member(data)
    assert gzip.decompress(member) == data
    assert len(member) == 23 + len(data)


def test_cut_off_anywhere_is_an_error() -> None:
    packed = pack([b"some text " * 50], "fast") + pack([b"more text " * 50], "none")
    whole_member = len(pack([b"some text " * 50], "fast"))
    for length in range(1, len(packed)):
        reader = compress.GzipReader(io.BytesIO(packed[:length]), "x")
        if length == whole_member:
            continue  # a whole gzip file: the archive inside notices what is missing
        with pytest.raises(MaintenanceError, match="damaged"):
            while reader.read():
                pass


def test_a_changed_byte_in_the_data_is_noticed() -> None:
    packed = bytearray(pack([b"some text " * 50], "none"))
    packed[60] ^= 1
    reader = compress.GzipReader(io.BytesIO(bytes(packed)), "x")
    with pytest.raises(MaintenanceError, match="damaged"):
        while reader.read():
            pass


def test_zero_padding_after_the_end_is_allowed() -> None:
    reader = compress.GzipReader(io.BytesIO(pack([b"abc"], "fast") + b"\0" * 100))
    assert reader.read() == b"abc"
    assert reader.read() == b""


def test_a_bomb_is_read_in_small_pieces() -> None:
    reader = compress.GzipReader(io.BytesIO(gzip.compress(b"\0" * 50_000_000)))
    assert len(reader.read(1000)) <= 1000


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
