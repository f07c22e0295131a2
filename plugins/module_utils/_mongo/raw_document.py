# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documents as bytes: taken apart and put together without decoding a value.

What is decoded and encoded again may come out as another document: a field that stands twice loses its first value, text that
is not UTF-8 is replaced. What must come back exactly as it was is never decoded.
"""

from __future__ import annotations

import re
import struct
from typing import Iterator, List, NamedTuple, Optional, Sequence

_LENGTH = struct.Struct("<i")
# Bytes of the values of fixed size, by the type of an element (https://bsonspec.org/spec.html).
_FIXED = {1: 8, 6: 0, 7: 12, 8: 1, 9: 8, 10: 0, 16: 4, 17: 8, 18: 8, 19: 16, 127: 0, 255: 0}
DOCUMENT, ARRAY, TIMESTAMP = 3, 4, 17
_NINE_ZEROS = bytes(9)
# The field's type, its name's end, the zero byte behind it, and eight of value. Names hold no zero byte, and one that holds the
# type's byte is found by its rest, so that no byte is looked at twice.
_EMPTY_TIMESTAMP = re.compile(b"\x11[^\0\x11]*\0{9}")


class Element(NamedTuple):
    """One field: its BSON type, its name and its value."""

    kind: int
    name: bytes
    value: bytes

    @property
    def raw(self) -> bytes:
        return bytes((self.kind,)) + self.name + b"\0" + self.value


def elements(raw: bytes) -> Iterator[Element]:
    """The fields of a document or an array, in order. Pure.

    Raises:
        ValueError: these bytes are no document.
    """
    unpack = _LENGTH.unpack_from
    position, end = 4, len(raw) - 1
    try:
        while position < end:
            kind = raw[position]
            name_end = raw.index(b"\0", position + 1)
            name, start = raw[position + 1 : name_end], name_end + 1
            if kind in _FIXED:
                position = start + _FIXED[kind]
            elif kind in (2, 13, 14):
                position = start + 4 + unpack(raw, start)[0]
            elif kind in (DOCUMENT, ARRAY, 15):
                position = start + unpack(raw, start)[0]
            elif kind == 5:
                position = start + 5 + unpack(raw, start)[0]
            elif kind == 12:
                position = start + 4 + unpack(raw, start)[0] + 12
            elif kind == 11:
                position = raw.index(b"\0", raw.index(b"\0", start) + 1) + 1
            else:
                raise ValueError("no BSON type: %d" % kind)
            if not start <= position <= end:
                raise ValueError("a field reaches beyond its document")
            yield Element(kind, name, raw[start:position])
    except (struct.error, IndexError) as error:
        raise ValueError("a document that is cut short") from error


def build(fields: Sequence[Element]) -> bytes:
    """A document, or an array, of these fields. Pure."""
    body = b"".join(field.raw for field in fields)
    return _LENGTH.pack(len(body) + 5) + body + b"\0"


def array_of(values: Sequence[Element]) -> bytes:
    """An array of these values, whatever they were named. Pure."""
    return build([Element(value.kind, b"%d" % number, value.value) for number, value in enumerate(values)])


def field_of(raw: bytes, name: bytes) -> Optional[Element]:
    """The first field of this name; None without one. Pure."""
    return next((field for field in elements(raw) if field.name == name), None)


def field_at(raw: bytes, path: Sequence[str]) -> Optional[Element]:
    """The field at the end of a path of names through documents; None without one, and where a name on it stands twice. Pure."""
    found: Optional[Element] = None
    for position, part in enumerate(path):
        if position and (found is None or found.kind != DOCUMENT):
            return None
        inner = raw if found is None else found.value
        named = [field for field in elements(inner) if field.name == part.encode("utf-8")]
        if len(named) != 1:
            return None
        found = named[0]
    return found


def split_batch(batch: bytes) -> List[bytes]:
    """The documents of a batch, which is an array of them. Pure."""
    return [field.value for field in elements(batch)]


def may_have_empty_timestamp(data: bytes) -> bool:
    """Whether any document in data may have a field that is Timestamp(0, 0): False is certain, True is to be looked into. Pure.

    Prices of nothing and ids full of zeros are no such fields, so that a look at each document is seldom needed.
    """
    return _EMPTY_TIMESTAMP.search(data) is not None


def has_empty_timestamp(raw: bytes) -> bool:
    """Whether a whole BSON document has a field at its top, other than _id, that is Timestamp(0, 0). Pure.

    The server puts its own time there when such a document is inserted
    (https://www.mongodb.com/docs/manual/reference/bson-types/#timestamps).
    """
    if not may_have_empty_timestamp(raw):
        return False
    try:
        return any(
            field.kind == TIMESTAMP and field.name != b"_id" and field.value == _NINE_ZEROS[:8]
            for field in elements(raw)
        )
    except ValueError:
        return False
