# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an engine sends when it is asked for a container's log, cut into lines, and where an earlier reading of it ended. Pure.

A line longer than 16 KiB is stored in pieces of that size, each of which comes with the time of the first: with a frame of its own,
or, from a container with a terminal, in the middle of the line (measured on Engine 20.10 and 28.5, drivers json-file and local).
Times are no order: a clock can be set back. The order of a log is that in which the engine sends it, so a reading goes on
behind the very piece with which the one before ended, and not at a time.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass

# Bytes of a piece after which another one of the same line follows.
PIECE = 16384
STDOUT, STDERR = b"stdout", b"stderr"
_STREAMS = {0: STDOUT, 1: STDOUT, 2: STDERR}
_HEADER = 8
# A stream of the engine's own words, when it cannot read on. It goes on behind them where it can.
_ENGINE = 3
_ENGINE_WORDS = b"Error grabbing logs: "
_STAMP = re.compile(rb"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$")

Read = Callable[[int], bytes]


class UnreadableLog(MaintenanceError):
    """What the engine sends of a log is of no use."""


class BrokenLog(UnreadableLog):
    """The engine cannot read all of a log. What it could read has been read."""


@dataclass(frozen=True)
class Piece:
    """A line of a log, or a piece of a long one.

    Attributes:
        stamp: when it was written, in UTC with nine decimals: the order of such texts is that of the times.
        stream: stdout or stderr.
        ended: a line end came behind it.
    """

    stamp: bytes
    stream: bytes
    text: bytes
    ended: bool

    @property
    def partial(self) -> bool:
        """The line goes on with the next piece."""
        return not self.ended and len(self.text) >= PIECE

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.stream + b"\0" + self.text).hexdigest()[:32]


@dataclass(frozen=True)
class Anchor:
    """The piece with which a reading has ended.

    Attributes:
        stamp, digest: that piece's.
        occurrence: so many pieces of that time were read, this one included: those of a long line all have the time of the first.
        high: the latest time of all pieces read, which a clock that was set back makes later than `stamp`.
        sequence: how many readings there were.
    """

    stamp: str
    digest: str
    occurrence: int
    high: str
    sequence: int

    def as_dict(self) -> Mapping[str, Any]:
        return dict(self.__dict__)


def parse_anchor(entry: Any) -> Optional[Anchor]:
    """An anchor as it was written; None for anything else."""
    try:
        found = Anchor(
            str(entry["stamp"]),
            str(entry["digest"]),
            int(entry["occurrence"]),
            str(entry["high"]),
            int(entry["sequence"]),
        )
    except (KeyError, TypeError, ValueError):
        return None
    stamps = (normalise_stamp(found.stamp.encode()), normalise_stamp(found.high.encode()))
    return found if None not in stamps and found.occurrence > 0 and found.sequence > 0 else None


def normalise_stamp(text: bytes) -> Optional[bytes]:
    """A time as an engine writes it, in UTC with nine decimals; None for what is no time."""
    match = _STAMP.match(text)
    if match is None:
        return None
    seconds, decimals, zone = match.group(1), (match.group(2) or b"").ljust(9, b"0"), match.group(3)
    if zone != b"Z":
        sign = -1 if zone[:1] == b"-" else 1
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6])) * sign
        try:
            moment = datetime.strptime(seconds.decode(), "%Y-%m-%dT%H:%M:%S") - offset
        except (ValueError, OverflowError):
            return None
        seconds = moment.strftime("%Y-%m-%dT%H:%M:%S").encode()
    return b"%s.%sZ" % (seconds, decimals)


def unix_stamp(stamp: str, earlier: float = 0.0) -> str:
    """A time as the engine takes it for `since`.

    Args:
        stamp: in UTC with nine decimals.
        earlier: so many seconds before it.
    """
    moment = datetime.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    return "%d.%s" % (int(moment.timestamp()) - int(earlier), stamp[20:29])


class ChunkReader:
    """Exactly so many bytes at a time out of chunks of any size."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._held = b""

    def read(self, size: int) -> bytes:
        """So many bytes, fewer at the end."""
        parts: List[bytes] = []
        missing = size
        while missing:
            if not self._held:
                held = next(self._chunks, None)
                if held is None:
                    break
                self._held = held
                continue
            parts.append(self._held[:missing])
            self._held = self._held[missing:]
            missing -= len(parts[-1])
        return b"".join(parts)


def framed_pieces(read: Read) -> Iterator[Piece]:
    """The log of a container without a terminal: frames of a header of eight bytes and what was written at once.

    Raises:
        BrokenLog: the engine could not read all of it; when everything else was read.
        UnreadableLog: it ends in the middle of a frame, or is something else.
    """
    words = b""
    while True:
        header = read(_HEADER)
        if not header:
            break
        size = int.from_bytes(header[4:], "big")
        if len(header) < _HEADER or header[0] not in (*_STREAMS, _ENGINE) or header[1:4] != b"\0\0\0":
            raise _not_a_log()
        payload = read(size)
        if len(payload) < size:
            raise UnreadableLog(
                "the engine stopped in the middle of the log",
                next_step="Look at the engine's log (journalctl -u docker) and run this again.",
            )
        if header[0] == _ENGINE:
            words = words or payload
        else:
            yield from _pieces(payload, _STREAMS[header[0]])
    if words:
        raise _broken(words)


def _pieces(payload: bytes, stream: bytes) -> Iterator[Piece]:
    stamp, blank, text = payload.partition(b" ")
    moment = normalise_stamp(stamp)
    if moment is None or not blank:
        raise _not_a_log()
    ended = text.endswith(b"\n")
    lines = (text[:-1] if ended else text).split(b"\n")
    for line in lines[:-1]:
        yield Piece(moment, stream, line, True)
    yield Piece(moment, stream, lines[-1], ended)


def terminal_pieces(chunks: Iterable[bytes]) -> Iterator[Piece]:
    """The log of a container with a terminal: the lines as they are, each with its time before it."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield from _terminal_line(line, True)
        # A line without an end is handed on as soon as a piece of it is whole: it may be of any length.
        while len(rest) > 3 * PIECE:
            cut = len(rest.partition(b" ")[0]) + 1 + PIECE
            stamp = rest.partition(b" ")[0]
            if rest[cut : cut + len(stamp) + 1] != stamp + b" ":
                break
            yield from _terminal_line(rest[:cut], False)
            rest = rest[cut:]
    if rest:
        yield from _terminal_line(rest, False)


def _terminal_line(line: bytes, ended: bool) -> Iterator[Piece]:
    """The pieces of one line: behind each of 16 KiB the same time stands again."""
    stamp, blank, text = line.partition(b" ")
    moment = normalise_stamp(stamp)
    if line.startswith(_ENGINE_WORDS):
        raise _broken(line)
    if moment is None or not blank:
        raise _not_a_log()
    again = stamp + b" "
    while text[PIECE : PIECE + len(again)] == again:
        yield Piece(moment, STDOUT, text[:PIECE], False)
        text = text[PIECE + len(again) :]
    yield Piece(moment, STDOUT, text, ended)


def _broken(words: bytes) -> BrokenLog:
    told = words[len(_ENGINE_WORDS) :] if words.startswith(_ENGINE_WORDS) else words
    return BrokenLog(
        "the engine cannot read all of the log: %s" % told[:200].decode("utf-8", "replace").strip(),
        next_step="Its file is damaged, as after a power failure. It ends with the container: make that anew when it suits.",
    )


def _not_a_log() -> UnreadableLog:
    return UnreadableLog(
        "what the engine sent is no log with times",
        next_step="Is it an engine? Please report its version (docker version) and log driver.",
    )


class Reading:
    """One reading of a log, from where the one before it ended.

    Attributes:
        gap: the log no longer holds where that was: lines between are lost.
        broken: why the engine could not read all of it.
        lines: how many lines were read, pieces counted once.
        bytes: of their text.
        first, last: the times of the first and the last piece; empty without any.
    """

    def __init__(self, anchor: Optional[Anchor]) -> None:
        self.before = anchor
        self.gap = False
        self.broken: Optional[BrokenLog] = None
        self.lines = 0
        self.bytes = 0
        self.first = b""
        self.last = b""
        self._high = anchor.high.encode() if anchor else b""
        self._stamp = anchor.stamp.encode() if anchor else b""
        self._occurrence = anchor.occurrence if anchor else 0
        self._end: Optional[Piece] = None
        self._goes_on: Dict[bytes, bool] = {}

    def follow(self, pieces: Iterable[Piece]) -> Iterator[Tuple[Piece, bool]]:
        """What is new, in order, each with whether a line begins with it."""
        before, found, seen, met = self.before, self.before is None, 0, False
        for piece in pieces:
            if before is not None and not found:
                if piece.stamp == self._stamp and seen < before.occurrence:
                    seen += 1
                    met = piece.digest == before.digest
                    found = met and seen == before.occurrence
                    continue
                if piece.stamp <= self._high:
                    continue
                # Where some of the pieces of that time are gone as well, the last of them was the one.
                found, self.gap = True, not met
            yield piece, self.take(piece)

    def take(self, piece: Piece) -> bool:
        """Count a piece that is new; returns whether a line begins with it."""
        begins = not self._goes_on.get(piece.stream, False)
        self._goes_on[piece.stream] = piece.partial
        self.lines += begins
        self.bytes += len(piece.text) + 1
        self.first = self.first or piece.stamp
        self._occurrence = self._occurrence + 1 if piece.stamp == self._stamp else 1
        self._stamp = self.last = piece.stamp
        self._high = max(self._high, piece.stamp)
        self._end = piece
        return begins

    def anchor(self) -> Optional[Anchor]:
        """Where the next reading goes on; None where nothing was ever read."""
        if self._end is None:
            return self.before
        return Anchor(
            self._stamp.decode(),
            self._end.digest,
            self._occurrence,
            self._high.decode(),
            (self.before.sequence if self.before else 0) + 1,
        )


def format_piece(piece: Piece) -> bytes:
    """A line of the format in which container runtimes under Kubernetes write logs (CRI): time, stream, F for the end of a line or P for
    a piece of one, text."""
    return b"%s %s %s %s\n" % (piece.stamp, piece.stream, b"P" if piece.partial else b"F", piece.text)


def parse_piece(line: bytes) -> Optional[Piece]:
    """A piece as format_piece() wrote it, without its line end; None for anything else."""
    parts = line.split(b" ", 3)
    if len(parts) != 4 or normalise_stamp(parts[0]) != parts[0] or parts[1] not in (STDOUT, STDERR):
        return None
    return Piece(parts[0], parts[1], parts[3], parts[2] == b"F")
