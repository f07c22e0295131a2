# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ids cut out of the server's batches of documents that have one element and nothing else.

A batch is a BSON array, whose elements are named 0, 1, 2 and so on. An ObjectId, or one written as text, always takes the same
number of bytes, so that all elements with as many digits in their names are cut by position alone. What has any other form is
left as it is, for the driver to decode.
"""

from __future__ import annotations

import binascii
import struct
from typing import List, NamedTuple, Tuple

_LENGTH = struct.Struct("<i")
_OBJECTID = struct.Struct("12s")


class RawIds(NamedTuple):
    """The ids of one batch.

    Attributes:
        objectids: 12 bytes each.
        texts: 24 hexadecimal digits each, as they are written.
        others: the documents with any other value, or none.
    """

    objectids: List[bytes]
    texts: List[bytes]
    others: List[bytes]

    @property
    def total(self) -> int:
        return len(self.objectids) + len(self.texts) + len(self.others)


class _Form(NamedTuple):
    """How a document looks whose only element is an id: what is always the same in front of it, its bytes, and all."""

    head: bytes
    value: int
    size: int


def cut_ids(batch: bytes, name: str = "_id") -> RawIds:
    """The ids of a batch. Pure.

    Args:
        batch: an array of documents of one element.
        name: of the element.
    """
    element = name.encode("utf-8") + b"\0"
    objectid = _form(b"\x07" + element, 12, 1)
    text = _form(b"\x02" + element + _LENGTH.pack(25), 24, 2)
    ids = RawIds([], [], [])
    position, end, digits, count = 4, len(batch) - 1, 1, 10
    while position < end:
        taken = _take_uniform(batch, position, digits, count, objectid, ids.objectids)
        taken = taken or _take_uniform(batch, position, digits, count, text, ids.texts)
        position += taken or _take_one_by_one(batch, position, count, objectid, text, ids)
        digits, count = digits + 1, 9 * 10**digits
    if not _are_digits(ids.texts):
        ids = _without_other_texts(ids, text)
    return ids


def _form(head: bytes, value: int, end: int) -> _Form:
    size = 4 + len(head) + value + end
    return _Form(_LENGTH.pack(size) + head, value, size)


def _take_uniform(batch: bytes, position: int, digits: int, count: int, form: _Form, ids: List[bytes]) -> int:
    """Add so many elements, whose names have so many digits, if all are of one form; returns the bytes they take, or 0.

    As each document tells its own length, none can begin elsewhere than where the one before it ends.
    """
    step = digits + 2 + form.size
    part = batch[position : min(len(batch) - 1, position + count * step)]
    there, rest = divmod(len(part), step)
    if rest or part[::step] != b"\x03" * there or part[digits + 1 :: step] != bytes(there):
        return 0
    for place in range(len(form.head)):
        if part[digits + 2 + place :: step] != form.head[place : place + 1] * there:
            return 0
    before = digits + 2 + len(form.head)
    cut = struct.Struct("<%dx%ds%dx" % (before, form.value, step - before - form.value))
    ids.extend([value for (value,) in cut.iter_unpack(part)])
    return len(part)


def _take_one_by_one(batch: bytes, position: int, count: int, objectid: _Form, text: _Form, ids: RawIds) -> int:
    """Add so many elements, whatever they are; returns the bytes they take."""
    place, end = position, len(batch) - 1
    while place < end and count:
        start = batch.index(b"\0", place) + 1
        place = start + _LENGTH.unpack_from(batch, start)[0]
        count -= 1
        document = batch[start:place]
        if document.startswith(objectid.head):
            ids.objectids.append(document[len(objectid.head) :][: objectid.value])
        elif document.startswith(text.head):
            ids.texts.append(document[len(text.head) :][: text.value])
        else:
            ids.others.append(document)
    return place - position


def _without_other_texts(ids: RawIds, form: _Form) -> RawIds:
    """The same, with those texts among the others that only are as long as an id."""
    texts, others = [], list(ids.others)
    for text in ids.texts:
        if _are_digits([text]):
            texts.append(text)
        else:
            others.append(form.head + text + bytes(2))
    return RawIds(ids.objectids, texts, others)


def _are_digits(texts: List[bytes]) -> bool:
    try:
        binascii.unhexlify(b"".join(texts))
    except binascii.Error:
        return False
    return True


def objectids_of(texts: List[bytes]) -> List[bytes]:
    """The 12 bytes of each id that is written as 24 digits, in upper or lower case. Pure."""
    return [key for (key,) in _OBJECTID.iter_unpack(binascii.unhexlify(b"".join(texts)))]


def split_texts(texts: List[bytes], without: Tuple[str, ...]) -> Tuple[List[bytes], List[str]]:
    """Texts apart from those that are on a list; the latter as text. Pure."""
    special = {text.encode("ascii") for text in without if text.isascii()}.intersection(texts)
    if not special:
        return texts, []
    return [text for text in texts if text not in special], sorted(text.decode("ascii") for text in special)
