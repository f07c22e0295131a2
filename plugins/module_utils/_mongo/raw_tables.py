# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documents of one shape as columns of bytes, cut out of the server's batches without decoding any.

Two documents have the same shape where everything but their values is the same: lengths, types and names. From the first field on
each field then begins where the other's does, so that the values are cut by position alone.
"""

from __future__ import annotations

import struct
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from .raw_document import elements, split_batch

# https://bsonspec.org/spec.html
TEXT, OBJECTID, DATE, NULL = 2, 7, 9, 10
# Those of fixed size, and text, whose length stands in front of it. Documents with anything else are left as they are.
_SIMPLE = frozenset((1, TEXT, 6, OBJECTID, 8, DATE, NULL, 16, 17, 18, 19))


class _Place(NamedTuple):
    """Where a field's value is in each row, without the length of a text."""

    kind: int
    start: int
    size: int


class RawTable:
    """Documents of one shape.

    Args:
        data: the rows, one after the other.
        step: bytes of a row.
        start: where in a row its document begins.
        places: of the fields' values.
    """

    def __init__(self, data: bytes, step: int, start: int, places: Dict[str, _Place]) -> None:
        self._data = data
        self._step = step
        self._start = start
        self._places = places

    def __len__(self) -> int:
        return len(self._data) // self._step

    def kind(self, name: str) -> Optional[int]:
        """BSON type of a field; None for one that these documents do not have."""
        place = self._places.get(name)
        return place.kind if place else None

    def values(self, name: str) -> List[bytes]:
        """The values of a field, in the order of the documents; a text with the zero byte at its end."""
        place = self._places[name]
        return self._cut(place.start, place.size)

    def documents(self) -> List[bytes]:
        return self._cut(self._start, self._step - self._start)

    def _cut(self, start: int, size: int) -> List[bytes]:
        row = struct.Struct("<%dx%ds%dx" % (start, size, self._step - start - size))
        return [value for (value,) in row.iter_unpack(self._data)]


def cut_tables(batch: bytes) -> Tuple[List[RawTable], List[bytes]]:
    """The documents of a batch as tables, and those that are in none. Pure.

    Args:
        batch: an array of documents, whose elements are named 0, 1, 2 and so on.
    """
    tables: List[RawTable] = []
    position, end, digits, count = 4, len(batch) - 1, 1, 10
    while position < end:
        # All whose names have so many digits.
        table = _uniform(batch, position, digits, count)
        if table is None:
            return _grouped(split_batch(batch))
        tables.append(table)
        position += len(table) * (digits + 2 + _length(batch, position + digits + 2))
        digits, count = digits + 1, 9 * 10**digits
    return tables, []


def _length(data: bytes, place: int) -> int:
    return int.from_bytes(data[place : place + 4], "little")


def _uniform(batch: bytes, position: int, digits: int, count: int) -> Optional[RawTable]:
    """So many elements from a position on, or as many as there are, as a table; None if they are not of one shape."""
    start = digits + 2
    size = _length(batch, position + start)
    step = start + size
    part = batch[position : min(len(batch) - 1, position + count * step)]
    there, rest = divmod(len(part), step)
    if rest or part[::step] != b"\x03" * there or part[digits + 1 :: step] != bytes(there):
        return None
    return _table(part, step, start)


def _grouped(documents: List[bytes]) -> Tuple[List[RawTable], List[bytes]]:
    """Documents by their length, which those of one shape have in common."""
    groups: Dict[int, List[bytes]] = {}
    for document in documents:
        groups.setdefault(len(document), []).append(document)
    tables, others = [], []
    for size, group in groups.items():
        table = _table(b"".join(group), size, 0)
        if table is None:
            others += group
        else:
            tables.append(table)
    return tables, others


def _table(data: bytes, step: int, start: int) -> Optional[RawTable]:
    first = data[start:step]
    places = _places(first, start)
    if places is None:
        return None
    values = {position for place in places.values() for position in range(place.start, place.start + place.size)}
    rows = len(data) // step
    for position in range(start, step):
        if position not in values and data[position::step] != data[position : position + 1] * rows:
            return None
    return RawTable(data, step, start, places)


def _places(document: bytes, start: int) -> Optional[Dict[str, _Place]]:
    """Where the values of a document are; None if it has a field that is not simple, or one twice."""
    places: Dict[str, _Place] = {}
    position = start + 4
    try:
        for field in elements(document):
            position += 2 + len(field.name)
            prefix = 4 if field.kind == TEXT else 0
            name = field.name.decode("utf-8")
            if field.kind not in _SIMPLE or name in places:
                return None
            places[name] = _Place(field.kind, position + prefix, len(field.value) - prefix)
            position += len(field.value)
    except ValueError:
        return None
    return places


def join_batch(documents: Sequence[bytes]) -> bytes:
    """Documents as the server sends them in a batch. Pure."""
    body = b"".join([b"\x03%d\0%b" % numbered for numbered in enumerate(documents)])
    return (len(body) + 5).to_bytes(4, "little") + body + b"\0"


def is_short(batch: bytes, size: int) -> bool:
    """Whether a batch has fewer documents than this. Pure."""
    return batch.rfind(b"\x03%d\0" % (size - 1)) < 0
