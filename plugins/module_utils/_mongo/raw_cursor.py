# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cursors over batches as the server sends them.

The driver's own raw batches make an object of each document on the way (measured, 4.20.0: about 3 microseconds each), which for
millions of documents of 22 bytes is most of the work. A command's reply it leaves alone.
"""

from __future__ import annotations

import struct
from typing import Any, Dict, Iterator, List, Mapping, Tuple

try:
    from bson import decode
    from bson.codec_options import CodecOptions
    from bson.errors import InvalidBSON
    from bson.int64 import Int64
    from bson.raw_bson import RawBSONDocument
    from pymongo.errors import PyMongoError
except ImportError:  # the client says so
    decode = CodecOptions = Int64 = RawBSONDocument = None  # type: ignore[assignment,misc]
    InvalidBSON = PyMongoError = Exception  # type: ignore[assignment,misc]

try:
    # Private to the driver. Releases before 4.18.3 trust the length that a document tells. It refuses what `_joined_in_python` refuses but for documents that
    # do not end in NUL, which are found when the archive is read back, in a seventh of the time (measured, 4.20.0: 75 ns a
    # document of 650 bytes).
    from bson._cbson import _array_of_documents_to_buffer  # type: ignore[attr-defined]
    from pymongo import version_tuple

    _joined_by_driver = _array_of_documents_to_buffer if version_tuple[:3] >= (4, 18, 3) else None
except ImportError:
    _joined_by_driver = None

_LENGTH = struct.Struct("<i")
_BATCHES = (b"\x04nextBatch\0", b"\x04firstBatch\0")
# The first field of a reply, which begins behind its length.
_CURSOR = b"\x03cursor\0"
_FIRST_FIELD = 4 + len(_CURSOR)
# The driver holds what it has joined twice; of so large a batch the documents are large, and few.
_LARGE_BYTES = 4 * 1024 * 1024
_DOCUMENT, _SMALLEST = 3, 5  # https://bsonspec.org/spec.html


class RawCursor:
    """A context manager, and an iterator over batches: BSON arrays of documents.

    Args:
        database: the driver's database; its primary is read.
        command: find or aggregate, the name first. A moment to read from is its readConcern.
        batch_size: most documents in a batch.

    Raises:
        PyMongoError: when it is read.
    """

    def __init__(self, database: Any, command: Mapping[str, Any], batch_size: int) -> None:
        self._database = database
        self._batch_size = batch_size
        self._command: Dict[str, Any] = dict(command)
        if "aggregate" in command:
            self._command["cursor"] = {"batchSize": batch_size}
        else:
            self._command["batchSize"] = batch_size
        # The server hands a cursor out to the session alone that opened it. A causally consistent one would add a moment
        # of its own to the command, which a server refuses beside that of a snapshot.
        self._session = database.client.start_session(causal_consistency=False)
        self._id = 0

    def __enter__(self) -> RawCursor:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        try:
            if self._id:
                name = self._command["collection"]
                self._database.command({"killCursors": name, "cursors": [Int64(self._id)]}, session=self._session)
        except PyMongoError:
            pass  # the server forgets it by itself
        finally:
            self._session.end_session()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> bytes:
        data, start, end = self._reply()
        return data[start:end]

    def _reply(self) -> Tuple[bytes, int, int]:
        """Bytes of the next reply, and where in them the batch begins and ends."""
        if not self._command:
            raise StopIteration
        reply = self._database.command(
            self._command, session=self._session, codec_options=CodecOptions(RawBSONDocument)
        )
        # As one piece, of 16 MB maybe: the field as a value of its own may be a second one.
        data, place = bytes(reply.raw), _FIRST_FIELD
        if not data.startswith(_CURSOR, place - len(_CURSOR)):
            data, place = bytes(reply["cursor"].raw), 0
        del reply
        start, end, state = _split(data, place)
        self._id = int(state["id"])
        self._command = {}
        if self._id:
            collection = str(state["ns"]).partition(".")[2]
            self._command = {"getMore": Int64(self._id), "collection": collection, "batchSize": self._batch_size}
        return data, start, end


class DocumentCursor(RawCursor):
    """The same over batches as an archive has them: whole documents one after the other, and how many these are."""

    def __next__(self) -> Any:
        return documents_of(*self._reply())


def documents_of(data: bytes, start: int, end: int) -> Tuple[bytes, int]:
    """The documents of the BSON array in data[start:end] without its keys, and how many. Pure.

    Raises:
        ValueError: it is no array of whole documents.
    """
    if _joined_by_driver is None or end - start > _LARGE_BYTES:
        return _joined_in_python(data, start, end)
    with memoryview(data) as whole, whole[start:end] as array:
        try:
            joined: bytes = _joined_by_driver(array)
        except InvalidBSON as error:
            raise ValueError("the server's answer is no array of documents (%s)" % error) from error
    return joined, _count_by_keys(end - start - _SMALLEST - len(joined))


def _count_by_keys(size: int) -> int:
    """How many elements an array has whose keys, with the type before each and the zero byte behind it, are so many bytes.

    The keys are the numbers from 0 on (https://bsonspec.org/spec.html), so that no other count takes as many.
    """
    count, digits, numbers = 0, 1, 10
    while size > numbers * (digits + 2):
        size -= numbers * (digits + 2)
        count += numbers
        digits, numbers = digits + 1, 9 * 10**digits
    more, rest = divmod(size, digits + 2)
    if rest:
        raise ValueError("the server's answer is no array of documents (its keys are no row of numbers)")
    return count + more


def _joined_in_python(data: bytes, start: int, end: int) -> Tuple[bytes, int]:
    unpack, index = _LENGTH.unpack_from, data.index
    pieces: List[bytes] = []
    append = pieces.append
    position, last = start + 4, end - 1
    while position < last:
        begin = index(0, position + 1) + 1
        (size,) = unpack(data, begin)
        position, kind = begin + size, data[position]
        if kind != _DOCUMENT or size < _SMALLEST or position > last or data[position - 1]:
            raise ValueError("the server's answer is no array of documents")
        append(data[begin:position])
    if position != last or data[last]:
        raise ValueError("the server's answer ends within a document")
    return b"".join(pieces), len(pieces)


def split_reply(cursor: bytes) -> Tuple[bytes, Mapping[str, Any]]:
    """The batch in the field `cursor` of a reply, and the fields beside it. Pure."""
    start, end, state = _split(cursor, 0)
    return cursor[start:end], state


def _split(data: bytes, place: int) -> Tuple[int, int, Mapping[str, Any]]:
    """Where in data the batch begins and ends, and the fields beside it.

    Args:
        place: where in data the document begins that the batch is a field of.
    """
    name = next((name for name in _BATCHES if data.startswith(name, place + 4)), b"")
    start = place + 4
    if not name:
        # Whichever comes first: a document may hold the other's name.
        places = [(data.find(name, start), name) for name in _BATCHES]
        start, name = min((found, name) for found, name in places if found >= 0)
    batch = start + len(name)
    end = batch + _LENGTH.unpack_from(data, batch)[0]
    rest = data[place + 4 : start] + data[end : place + _LENGTH.unpack_from(data, place)[0]]
    return batch, end, decode(_LENGTH.pack(4 + len(rest)) + rest)
