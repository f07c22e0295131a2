# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Says of many BSON documents at a time that the driver would decode them, and of the others that it has to be asked.

Documents of a collection look alike. For each place in them (the document itself, what is embedded under one key, what
stands in one array) the fields that were seen there are learnt in their order; then numpy compares the next field of
thousands of documents with one of these and moves on in all that have it. Each document has a cursor, and embedded ones
become documents of their own, so that arrays of any length and optional fields come together again.

Why this may be believed: a cursor only ever moves forward, by what the field's type takes or by a length read as an
unsigned number, and a document is vouched for when its cursor, and that of each document embedded in it, ended exactly at
its last byte, which is NUL. So nothing that was looked at on the way lay outside. A cursor that leaves the data is held at
their end, where no document ends, and what is read there is padding.

Types that are rare, deprecated or more than so many bytes to the driver are not known here: whoever has one is left to it.

It runs in processes beside the module, which are given this file's source: it imports nothing of the collection, and numpy comes as an argument.
"""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

# Fewer documents than this are left to the driver: a step costs some 15 us however few there are (measured).
LEAST = 48
# What has to follow the data: a field's name and what is read behind it.
PADDING = 256
_LONGEST_NAME = 120
_DEEPEST = 24  # of a hundred that the server takes; the driver's own limit is Python's
_MORE_FIELDS = 64
_MOST_ATTEMPTS = 12
_FIXED = {0x01: 8, 0x07: 12, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16}
_STRING, _DOCUMENT, _ARRAY, _BINARY, _BOOLEAN = 0x02, 0x03, 0x04, 0x05, 0x08
_KNOWN = frozenset(_FIXED) | {_STRING, _DOCUMENT, _ARRAY, _BINARY, _BOOLEAN}


class Field:
    """A field that was seen at a place: type, name and NUL as they stand in the data, as words to compare."""

    def __init__(self, numpy: Any, header: bytes, child: Any) -> None:
        self.header = header
        self.type = header[0]
        self.size = len(header)
        self.child = child
        self.words: List[Tuple[Any, Any]] = []
        for start in range(0, len(header), 8):
            part = header[start : start + 8]
            mask = None if len(part) == 8 else numpy.uint64(256 ** len(part) - 1)
            self.words.append((numpy.uint64(int.from_bytes(part, "little")), mask))
        # What is looked at together, in bytes: with the length that follows.
        self.width = (len(header) + (0 if self.type in _FIXED else 4) + 7) // 8 * 8


class Pool:
    """Documents that stand at one place: at the top, under one key, or in one array."""

    def __init__(self, depth: int, array: bool) -> None:
        self.depth = depth
        self.array = array
        self.fields: List[Field] = []
        self.most = 0  # fields, once there are some: names that are values, such as ids, are not to be learnt
        self.children: Dict[bytes, Pool] = {}
        self.waiting: List[Tuple[Any, Any, Any]] = []

    def child_of(self, header: bytes) -> Pool:
        """The place of what is embedded in a field; all documents of an array are at one."""
        key = header[:1] if self.array else header
        if key not in self.children:
            self.children[key] = Pool(self.depth + 1, header[0] == _ARRAY)
        return self.children[key]


class Data:
    """Some documents one after the other, followed by PADDING bytes.

    Args:
        room: the buffer where they are.
        start, size: where, in bytes.
    """

    def __init__(self, numpy: Any, room: Any, start: int, size: int) -> None:
        self.bytes = numpy.frombuffer(room, numpy.uint8, size + PADDING, start)
        self.size = size
        self._numpy = numpy
        self._parts: Dict[int, Any] = {}

    def parts(self, width: int) -> Any:
        """An array of as many bytes from each byte on, as opaque values: they need not be aligned."""
        if width not in self._parts:
            shape = (self.size + PADDING - width,)
            self._parts[width] = self._numpy.ndarray(shape, "V%d" % width, self.bytes, 0, (1,))
        return self._parts[width]


class Shapes:
    """What was learnt of one collection's documents.

    Args:
        numpy: the module.
    """

    def __init__(self, numpy: Any) -> None:
        self._numpy = numpy
        self._top = Pool(0, False)

    def unsure(self, room: Any, starts: List[int]) -> List[int]:
        """Which documents the driver has to be asked about. Of the others it is sure that it would decode them.

        Args:
            room: a buffer with the documents, one after the other, and at least PADDING bytes behind them.
            starts: where each of them starts in bytes, and then where the last ends. From one to the next it is as far as the
                document's first four bytes say, and 5 bytes at least.

        Returns:
            positions in starts, ascending.
        """
        numpy = self._numpy
        data = Data(numpy, room, starts[0], starts[-1] - starts[0])
        bounds = numpy.array(starts, numpy.int64) - starts[0]
        doubtful = numpy.zeros(len(starts) - 1, numpy.bool_)
        self._top.waiting.append((bounds[:-1], bounds[1:] - bounds[:-1], numpy.arange(len(doubtful))))
        places = [self._top]
        while places:
            place = places.pop()
            self._walk(data, place, doubtful)
            places.extend(child for child in place.children.values() if child.waiting)
        unsure: List[int] = numpy.flatnonzero(doubtful).tolist()
        return unsure

    def _walk(self, data: Data, place: Pool, doubtful: Any) -> None:
        """Follow all documents that wait at a place to their ends; those that do not get there are doubtful."""
        numpy, waiting = self._numpy, place.waiting
        place.waiting = []
        start, length, owner = waiting[0] if len(waiting) == 1 else map(numpy.concatenate, zip(*waiting))
        if len(start) < LEAST or place.depth > _DEEPEST:
            doubtful[owner] = True
            return
        end = start + length
        end -= 1
        cursor = start + 4
        numpy.minimum(cursor, data.size, out=cursor)
        # A length that leads out of the data, and a document that does not end with NUL.
        wrong = (end >= data.size) | (data.bytes.take(end, mode="clip") != 0)
        for _attempt in range(_MOST_ATTEMPTS):
            for field in place.fields:
                self._step(data, field, cursor, owner)
            wrong |= cursor == data.size
            stuck = numpy.flatnonzero((cursor != end) & ~wrong)
            if not len(stuck):
                break
            if len(stuck) < LEAST or not self._learn(data, place, int(start[stuck[0]]), int(end[stuck[0]])):
                wrong[stuck] = True
                break
            if len(stuck) < len(start):
                doubtful[owner[wrong]] = True
                start, end, cursor, owner = start[stuck], end[stuck], cursor[stuck], owner[stuck]
                wrong = numpy.zeros(len(stuck), numpy.bool_)
        else:
            wrong |= cursor != end
        doubtful[owner[wrong]] = True

    def _step(self, data: Data, field: Field, cursor: Any, owner: Any) -> None:
        """Move on over one field in all documents that have it next."""
        numpy = self._numpy
        parts = data.parts(field.width)[cursor]
        words = parts.view("<u8").reshape(len(cursor), -1)
        same: Any = None
        for number, (value, mask) in enumerate(field.words):
            alike = (words[:, number] if mask is None else words[:, number] & mask) == value
            same = alike if same is None else numpy.logical_and(same, alike, out=same)
        count = numpy.count_nonzero(same)
        if not count:
            return
        chosen = None if count == len(cursor) else numpy.flatnonzero(same)
        place = (cursor if chosen is None else cursor[chosen]) + field.size
        kind = field.type
        size = _FIXED.get(kind)
        failed = None
        if size is not None:
            place += size
        elif kind == _BOOLEAN:
            failed = data.bytes[place] > 1
            place += 1
        else:
            length = numpy.ndarray((len(parts),), "<u4", parts, field.size, (field.width,)).astype(numpy.int64)
            if chosen is not None:
                length = length[chosen]
            if kind == _STRING:
                place += length
                place += 4
                failed = data.bytes.take(place - 1, mode="clip") != 0
                failed |= length == 0
            elif kind == _BINARY:
                subtype = data.bytes[place + 4]
                # Drivers have refused a UUID that has not 16 bytes.
                failed = (subtype != 0) & ((subtype != 3) & (subtype != 4) | (length != 16))
                place += length
                place += 5
            else:
                field.child.waiting.append((place, length, owner if chosen is None else owner[chosen]))
                place = place + length
        numpy.minimum(place, data.size, out=place)
        if failed is not None and failed.any():
            place[failed] = data.size
        if chosen is None:
            cursor[:] = place
        else:
            cursor[chosen] = place

    def _learn(self, data: Data, place: Pool, start: int, end: int) -> bool:
        """Add what is new in a document that got stuck, each field after those before it; whether there was anything."""
        fields, position, at = place.fields, 0, start + 4
        learnt, most = False, place.most
        while at < end:
            piece = data.bytes[at : at + _LONGEST_NAME + 2].tobytes()
            stop = piece.find(b"\0", 1)
            header = piece[: stop + 1]
            if stop < 0 or at + stop >= end or header[0] not in _KNOWN or header[1:2] == b"$":
                break
            known = next((number for number in range(position, len(fields)) if fields[number].header == header), None)
            if known is None:
                if most and len(fields) >= most:
                    break
                child = place.child_of(header) if header[0] in (_DOCUMENT, _ARRAY) else None
                fields.insert(position, Field(self._numpy, header, child))
                known, learnt = position, True
            position = known + 1
            at = self._after(data, header[0], at + len(header))
        place.most = most or 2 * len(fields) + _MORE_FIELDS
        return learnt

    def _after(self, data: Data, kind: int, at: int) -> int:
        """Where a value ends that begins at a byte of the data; whether it is right is for the walk to say."""
        if kind in _FIXED:
            return at + _FIXED[kind]
        if kind == _BOOLEAN:
            return at + 1
        length = int.from_bytes(data.bytes[at : at + 4].tobytes(), "little") if at < data.size else data.size
        return at + length + {_STRING: 4, _BINARY: 5}.get(kind, 0)
