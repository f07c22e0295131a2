# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core import forward_tar as forward
from tests.conftest import lacking


class Pieces:
    """read(n) that gives less than n: as much as comes at a time from a thread that unpacks."""

    def __init__(self, data: bytes, step: int) -> None:
        self._data = io.BytesIO(data)
        self._step = step
        self.largest = 0

    def read(self, size: int) -> bytes:
        self.largest = max(self.largest, size)
        return self._data.read(min(size, self._step))


def pack(entries: list[tuple[str, bytes]], kind: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as tar:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def unpack(data: bytes, step: int, most: int | None = None) -> list[tuple[str, bytes]]:
    """The entries, of each no more than so many bytes read."""
    found = []
    tar = forward.open_forward(Pieces(data, step))
    for info in tar:
        content, pieces = forward.content_of(tar, info), []
        while piece := content.read(most or 1000):
            pieces.append(piece)
            if most:
                break
        found.append((info.name, b"".join(pieces)))
    if not forward.has_end(tar):
        raise EOFError
    return found


NAMES = st.text("abc/", min_size=1, max_size=8).map(lambda name: "d/" + name.strip("/") + "x" * len(name) * 20)
ENTRIES = st.lists(st.tuples(NAMES, st.binary(max_size=3000)), min_size=1, max_size=6)
KINDS = st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])


@settings(deadline=None)
@given(entries=ENTRIES, kind=KINDS, step=st.integers(1, 5000))
def test_every_file_has_its_content(entries: list[tuple[str, bytes]], kind: int, step: int) -> None:
    assert unpack(pack(entries, kind), step) == [(name.rstrip("/"), content) for name, content in entries]


@settings(deadline=None)
@given(entries=ENTRIES, step=st.integers(1, 5000), most=st.integers(1, 2000))
def test_what_is_not_read_of_a_file_is_passed_over(entries: list[tuple[str, bytes]], step: int, most: int) -> None:
    found = unpack(pack(entries, tarfile.GNU_FORMAT), step, most)
    assert [name for name, _content in found] == [name for name, _content in entries]
    assert all(
        content.startswith(start) and bool(start) == bool(content) for (_n, start), (_m, content) in zip(found, entries)
    )


def test_cut_off_anywhere_it_is_no_whole_archive() -> None:
    data = pack([("a", b"x" * 700), ("b", b""), ("c", b"y" * 512)], tarfile.GNU_FORMAT)
    end = data.rindex(b"y") + 1
    for length in range(end + 512):
        with pytest.raises((EOFError, tarfile.TarError)):
            unpack(data[:length], 300)
    assert len(unpack(data[: end + 512], 300)) == 3


def test_a_file_that_is_cut_off_does_not_seem_to_end() -> None:
    """Whoever unpacks it is told at once, not when it has its name."""
    tar = forward.open_forward(Pieces(pack([("a", b"x" * 700)], tarfile.GNU_FORMAT)[:1000], 300))
    content = forward.content_of(tar, tar.next())
    assert content.read(300) + content.read(300) == b"x" * 488
    with pytest.raises(tarfile.ReadError, match="unexpected end of data"):
        content.read(300)


def test_a_file_is_not_read_past_its_end_nor_more_of_it_than_was_asked_for() -> None:
    stream = Pieces(pack([("a", b"x" * 100_000), ("b", b"y")], tarfile.GNU_FORMAT), 10**6)
    tar = forward.open_forward(stream)
    first = tar.next()
    content = forward.content_of(tar, first)
    assert content.read(10) == b"x" * 10 and stream.largest == 512
    assert content.read() == b"x" * 99_990 and content.read() == b"" == content.read(7)
    assert forward.content_of(tar, tar.next()).read(50) == b"y"


def test_back_it_does_not_go() -> None:
    source = forward.Forward(io.BytesIO(b"0123456789"))
    assert source.seek(4) == 4 and source.read(2) == b"45" and source.tell() == 6
    with pytest.raises(tarfile.StreamError):
        source.seek(5)
    assert source.seek(20) == 10 and source.read(1) == b""


def with_holes(directory: Path, kind: str = "gnu") -> bytes:
    """As GNU tar packs it with --sparse: less stands in the archive than the file has."""
    if shutil.which("tar") is None:
        lacking("the program tar")
    with (directory / "holes").open("wb") as handle:
        handle.seek(3 * 1024 * 1024)
        handle.write(b"data")
        os.ftruncate(handle.fileno(), 4 * 1024 * 1024)
    (directory / "next").write_bytes(b"after it")
    command = ["tar", f"--format={kind}", "--sparse", "-cf", "-", "-C", str(directory), "holes", "next"]
    return subprocess.run(command, check=True, capture_output=True).stdout


def test_what_is_no_file_has_no_content() -> None:
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE):
        info = tarfile.TarInfo("a")
        info.type, info.linkname = kind, "b" * (kind in (tarfile.SYMTYPE, tarfile.LNKTYPE))
        tar = forward.open_forward(Pieces(info.tobuf() + pack([("b", b"content")], tarfile.GNU_FORMAT), 512))
        with pytest.raises(tarfile.ReadError, match="a is no regular file"):
            forward.content_of(tar, tar.next())


@pytest.mark.parametrize("kind", ["gnu", "pax"])
def test_a_damaged_header_is_told_as_such(tmp_path: Path, kind: str) -> None:
    """And by nothing but the errors of tarfile, whatever it says of holes."""
    packed = with_holes(tmp_path, kind)
    for position in [*range(1536), *range(len(packed) - 11 * 1024, len(packed) - 9 * 1024, 7)]:
        damaged = bytearray(packed)
        damaged[position] ^= 1 << position % 8
        with contextlib.suppress(tarfile.TarError, EOFError):
            unpack(bytes(damaged), 100_000)


def attributes(kind: bytes, name: str, value: str) -> bytes:
    """An extended header with one attribute."""
    record = f" {name}={value}\n"
    record = next(f"{size}{record}" for size in range(len(record), len(record) + 9) if len(f"{size}{record}") == size)
    info = tarfile.TarInfo("attributes")
    info.type, info.size = kind, len(record)
    return info.tobuf() + record.encode().ljust(-(-len(record) // 512) * 512, b"\0")


@pytest.mark.parametrize("size", [-5, 1 << 60])
def test_a_file_with_holes_of_no_size_that_a_file_has(size: int) -> None:
    head = attributes(tarfile.XHDTYPE, "GNU.sparse.size", str(size))
    with pytest.raises(tarfile.ReadError, match="an entry claims a size of"):
        unpack(head + pack([("a", b"x")], tarfile.GNU_FORMAT), 1000)


def test_attributes_of_all_entries_are_held_within_bounds() -> None:
    heads = [attributes(tarfile.XGLTYPE, f"name{number}", "x" * 200_000) for number in range(6)]
    file = pack([("a", b"x")], tarfile.GNU_FORMAT)
    assert unpack(b"".join(heads[:5]) + file, 10_000) == [("a", b"x")]
    with pytest.raises(tarfile.ReadError, match="the attributes of all entries take more than"):
        unpack(b"".join(heads) + file, 10_000)


def test_a_file_with_holes(tmp_path: Path) -> None:
    packed = with_holes(tmp_path)
    assert len(packed) < 1024 * 1024
    (_name, holes), (_other, after) = unpack(packed, 777)
    assert holes == b"\0" * 3 * 1024 * 1024 + b"data" + b"\0" * (1024 * 1024 - 4) and after == b"after it"
