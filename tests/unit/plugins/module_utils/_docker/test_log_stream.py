# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A log is read on from where it was left, whatever was written, rotated away, or dated back meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.log_stream import (
    PIECE,
    STDERR,
    STDOUT,
    Anchor,
    BrokenLog,
    ChunkReader,
    Piece,
    Reading,
    format_piece,
    framed_pieces,
    normalise_stamp,
    parse_anchor,
    parse_piece,
    terminal_pieces,
    unix_stamp,
)

TEXTS = st.binary(max_size=12).map(lambda text: text.replace(b"\n", b"."))


def stamp(second: int) -> bytes:
    return b"2026-11-29T06:%02d:%02d.123456789Z" % (second // 60, second % 60)


@st.composite
def logs(draw: st.DrawFn) -> list[Piece]:
    """A log in its order: mostly forwards in time, now and then back, with lines that are alike."""
    second, back, found = 600, 0, []
    for _ in range(draw(st.integers(0, 12))):
        step = draw(st.sampled_from([0, 0, 1, 1, 5, -20]))
        second, back = second + step, back + (step < 0)
        text = draw(st.one_of(st.sampled_from([b"tick", b""]), TEXTS))
        # Not even a clock that was set back shows the same nanosecond twice.
        moment = stamp(second)[:-2] + b"%dZ" % (back % 10)
        found.append(Piece(moment, draw(st.sampled_from([STDOUT, STDERR])), text, True))
    return found


def take(reading: Reading, log: list[Piece]) -> list[Piece]:
    return [piece for piece, _ in reading.follow(log)]


def framed(pieces: list[Piece]) -> bytes:
    def frame(piece: Piece) -> bytes:
        payload = piece.stamp + b" " + piece.text + (b"\n" if piece.ended else b"")
        return bytes([1 if piece.stream == STDOUT else 2, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload

    return b"".join(map(frame, pieces))


def cut(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    for size in sizes:
        yield data[:size]
        data = data[size:]
    yield data


@given(logs(), st.lists(st.integers(0, 12), max_size=4))
def test_each_line_is_read_once(log: list[Piece], stops: list[int]) -> None:
    """However often it was read in between, and although the engine sends again what was read."""
    anchor: Anchor | None = None
    read: list[Piece] = []
    for stop in [*sorted(stops), len(log)]:
        reading = Reading(anchor)
        read += take(reading, log[:stop])
        assert not reading.gap
        anchor = reading.anchor()
    assert read == log


@given(logs(), logs(), st.integers(0, 12))
def test_what_was_rotated_away_is_told(before: list[Piece], after: list[Piece], lost: int) -> None:
    """Nothing that is still there is read twice, and nothing new is left out."""
    later = [Piece(stamp(int(p.stamp[14:16]) * 60 + int(p.stamp[17:19]) + 1200), p.stream, p.text, True) for p in after]
    first = Reading(None)
    take(first, before)
    second = Reading(first.anchor())
    left = (before + later)[lost:]
    new = take(second, left)
    assert new == [piece for piece in left if piece in later]
    gone = bool(before) and lost >= len(before)
    event("the end was rotated away" if gone else "the end is there")
    if gone and new:
        assert second.gap
    if not gone:
        assert not second.gap


def test_a_clock_that_was_set_back_loses_no_line() -> None:
    early, late = Piece(stamp(100), STDOUT, b"early", True), Piece(stamp(900), STDOUT, b"late", True)
    first = Reading(None)
    take(first, [late])
    assert take(Reading(first.anchor()), [late, early]) == [early]


def test_pieces_that_are_alike_are_told_apart_by_their_number() -> None:
    piece = Piece(stamp(1), STDOUT, b"x" * PIECE, False)
    first = Reading(None)
    assert len(take(first, [piece, piece])) == 2
    anchor = first.anchor()
    assert anchor is not None and anchor.occurrence == 2
    assert first.lines == 1
    assert take(Reading(anchor), [piece, piece, piece]) == [piece]


@given(logs(), st.lists(st.integers(0, 40), max_size=6))
def test_frames_come_back_as_they_were(log: list[Piece], sizes: list[int]) -> None:
    assert list(framed_pieces(ChunkReader(cut(framed(log), sizes)).read)) == log


@given(st.lists(st.tuples(st.integers(0, 600), TEXTS), max_size=6), st.lists(st.integers(0, 40), max_size=6))
def test_a_terminals_lines_come_back_as_they_were(lines: list[tuple[int, bytes]], sizes: list[int]) -> None:
    data = b"".join(stamp(second) + b" " + text + b"\n" for second, text in lines)
    found = list(terminal_pieces(cut(data, sizes)))
    assert found == [Piece(stamp(second), STDOUT, text, True) for second, text in lines]


@pytest.mark.parametrize("size", [PIECE - 1, PIECE, PIECE + 1, 10 * PIECE + 5])
@pytest.mark.parametrize("chunk", [1000, 100_000])
def test_a_long_line_of_a_terminal_is_cut_where_the_engine_cut_it(size: int, chunk: int) -> None:
    text = b"x" * size
    parts = [text[at : at + PIECE] for at in range(0, size, PIECE)]
    data = b"".join(stamp(1) + b" " + part for part in parts) + b"\n" + stamp(2) + b" end"
    chunks = [data[at : at + chunk] for at in range(0, len(data), chunk)]
    found = list(terminal_pieces(chunks))
    assert [piece.text for piece in found] == [*parts, b"end"]
    assert [piece.partial for piece in found] == [True] * (len(parts) - 1) + [False, False]


@given(st.binary(max_size=60))
def test_anything_else_is_refused_in_words(data: bytes) -> None:
    for read in (lambda: list(framed_pieces(ChunkReader([data]).read)), lambda: list(terminal_pieces([data]))):
        try:
            read()
        except MaintenanceError as error:
            event("refused")
            assert "log" in str(error)


@pytest.mark.parametrize("terminal", [False, True])
def test_what_the_engine_cannot_read_is_told_after_what_it_could(terminal: bool) -> None:
    piece = Piece(stamp(1), STDOUT, b"x", True)
    words = b"Error grabbing logs: invalid character '\\x00' looking for beginning of value\n"
    data = framed([piece]) + b"\3\0\0\0" + len(words).to_bytes(4, "big") + words + framed([piece])
    read: list[Piece] = []
    pieces = terminal_pieces([stamp(1) + b" x\n", words]) if terminal else framed_pieces(ChunkReader([data]).read)
    with pytest.raises(BrokenLog, match="cannot read all of the log: invalid character"):
        for one in pieces:
            read.append(one)
    assert read == [piece] * (1 if terminal else 2)


@pytest.mark.parametrize(
    "text, expected",
    [
        (b"2026-11-29T06:00:00.5Z", b"2026-11-29T06:00:00.500000000Z"),
        (b"2026-11-29T06:00:00Z", b"2026-11-29T06:00:00.000000000Z"),
        (b"2026-11-29T01:00:00.000000001+02:00", b"2026-11-28T23:00:00.000000001Z"),
        (b"2026-11-29T23:30:00-00:30", b"2026-11-30T00:00:00.000000000Z"),
        (b"2026-11-29 06:00:00Z", None),
        (b"2026-13-29T06:00:00+02:00", None),
        (b"", None),
    ],
)
def test_times(text: bytes, expected: bytes | None) -> None:
    assert normalise_stamp(text) == expected


def test_a_time_as_the_engine_takes_it() -> None:
    assert unix_stamp("2026-11-29T06:43:12.854360897Z") == "1795934592.854360897"
    assert unix_stamp("2026-11-29T06:43:12.854360897Z", earlier=60) == "1795934532.854360897"


@given(st.binary(max_size=40).map(lambda text: text.replace(b"\n", b"")), st.booleans())
def test_what_is_written_can_be_read(text: bytes, error: bool) -> None:
    piece = Piece(stamp(3), STDERR if error else STDOUT, text, True)
    assert parse_piece(format_piece(piece)[:-1]) == piece


@pytest.mark.parametrize(
    "line", [b"", b"x", b"2026-11-29T06:00:00Z stdout F x", b"2026-11-29T06:43:12.854360897Z other F x"]
)
def test_what_is_no_piece(line: bytes) -> None:
    assert parse_piece(line) is None


@pytest.mark.parametrize(
    "entry", [None, {}, {"stamp": "x"}, {"stamp": "x", "digest": "y", "occurrence": 1, "high": "z", "sequence": 1}]
)
def test_what_is_no_anchor(entry: object) -> None:
    assert parse_anchor(entry) is None


def test_an_anchor_can_be_written_and_read() -> None:
    reading = Reading(None)
    take(reading, [Piece(stamp(1), STDOUT, b"x", True)])
    anchor = reading.anchor()
    assert anchor is not None
    assert parse_anchor(anchor.as_dict()) == anchor
