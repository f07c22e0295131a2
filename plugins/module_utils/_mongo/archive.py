# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The archive format of mongodump: a writer, and a reader whose memory does not grow with the archive.

The layout, as archives made by the stock tool show it:

* 4 bytes of magic, a BSON header, then one BSON document for each collection (its options and indexes as canonical
  extended JSON), then a terminator of four 0xff bytes;
* blocks: a BSON block header naming the collection, its documents, a terminator. Blocks of several collections may
  alternate. A last block of each collection has ``EOF: true`` and the CRC-64/XZ of all its document bytes;
* a view or an empty collection has one empty block before its last one; the data of a time-series collection stands
  under ``system.buckets.NAME``.

Stock mongorestore restores what the writer writes, and the reader reads what stock mongodump writes.
"""

from __future__ import annotations

import ctypes
import hashlib
import struct
from collections import deque
from dataclasses import field
from functools import lru_cache
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

try:
    import bson
    from bson.errors import BSONError
    from bson.int64 import Int64
except ImportError:  # pragma: no cover - the client raises MissingLibrary first
    bson = None  # type: ignore[assignment]
    BSONError = ValueError  # type: ignore[assignment,misc]

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass

MAGIC = b"\x6d\xe2\x99\x81"
TERMINATOR = b"\xff\xff\xff\xff"
FORMAT_VERSION = "0.1"
BUCKETS = "system.buckets."

# The server's own limit for a document is 16 MiB and for internal ones 16 KiB more
# (https://www.mongodb.com/docs/manual/reference/limits/). A larger length means damage, not data.
MAX_DOCUMENT_BYTES = 16 * 1024 * 1024 + 16 * 1024
SMALLEST_DOCUMENT_BYTES = 5
# The metadata of a collection is one string in one BSON document, of any length the indexes need.
MAX_METADATA_BYTES = 64 * 1024 * 1024
# All of them are held, and each takes something beside its text: more than a server has collections, and less than a host has memory.
MAX_HEAD_BYTES, _ENTRY_BYTES = 128 * 1024 * 1024, 1024
# Of a database or a collection; servers take 255 bytes for both.
MAX_NAME_LENGTH = 4096
# mongorestore knows no collection that is not announced; as many may be there before a reader gives up.
MAX_UNANNOUNCED = 1000
# More than one chunk of what is packed (`_backup/compress.py`), which then need not be cut.
READ_BYTES = 1536 * 1024

_Raw = bytes  # Totals has an attribute of that name
_LENGTH = struct.Struct("<i")
_POLYNOMIAL = 0xC96C5795D7870F42  # CRC-64/XZ (ECMA-182), reflected
_CHECK_INPUT, _CHECK_VALUE = b"123456789", 0x995DC9BBDF1939FA


class ArchiveError(MaintenanceError):
    """The bytes are not a whole, undamaged archive."""


# --- CRC-64/XZ -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _crc_table() -> Sequence[int]:
    table = []
    for value in range(256):
        for _bit in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


def crc64_python(data: bytes, crc: int = 0) -> int:
    """CRC-64/XZ of data, continuing from crc. Slow (about 10 MB/s): used where liblzma cannot be reached."""
    table = _crc_table()
    crc ^= 0xFFFFFFFFFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFFFFFFFFFF


def _liblzma_crc64() -> Optional[Callable[[bytes, int], int]]:
    """The CRC of the liblzma that Python's own lzma module is linked to: gigabytes a second, and no extra package."""
    candidates: List[Optional[str]] = []
    try:
        import _lzma

        candidates.append(getattr(_lzma, "__file__", None))
    except ImportError:
        pass
    for library in [*candidates, "liblzma.so.5"]:
        try:
            function = ctypes.CDLL(library).lzma_crc64
        except (OSError, AttributeError):
            continue
        function.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]
        function.restype = ctypes.c_uint64

        def crc64(data: bytes, crc: int = 0, _function: Any = function) -> int:
            return int(_function(data, len(data), crc))

        if crc64(_CHECK_INPUT) == _CHECK_VALUE:
            return crc64  # type: ignore[return-value]
    return None


crc64: Callable[..., int] = _liblzma_crc64() or crc64_python


def signed64(value: int) -> int:
    """An unsigned 64-bit number as the signed one that BSON stores."""
    return value - (1 << 64) if value >= 1 << 63 else value


# --- data ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CollectionMetadata:
    """What the head of an archive says about one collection.

    Attributes:
        type: collection, view or timeseries.
        metadata: canonical extended JSON: options, indexes, uuid, collectionName, type.
    """

    db: str
    collection: str
    type: str = "collection"
    metadata: str = "{}"

    @property
    def data_collection(self) -> str:
        """Where its documents stand: a time-series collection's data is in its buckets."""
        return BUCKETS + self.collection if self.type == "timeseries" else self.collection


@dataclass(frozen=True)
class Prelude:
    server_version: str
    tool_version: str
    collections: Tuple[CollectionMetadata, ...]


@dataclass(frozen=True)
class Batch:
    """Whole documents of one collection, one after the other."""

    db: str
    collection: str
    data: bytes
    documents: int


@dataclass
class Totals:
    """What has been written to or read from an archive for one collection."""

    documents: int = 0
    bytes: int = 0
    crc: int = 0
    complete: bool = False
    digest: Any = field(default_factory=hashlib.sha256, repr=False)

    def add(self, data: _Raw, documents: int) -> None:
        self.documents += documents
        self.bytes += len(data)
        self.crc = crc64(data, self.crc)
        if self.digest is not None:
            self.digest.update(data)

    @property
    def sha256(self) -> str:
        """SHA-256 over all raw documents in the order of the archive; "" where nobody has asked for it."""
        return str(self.digest.hexdigest()) if self.digest is not None else ""


def count_documents(data: bytes, where: str = "") -> int:
    """How many BSON documents stand in data, each one's frame (length and final zero byte) checked.

    Raises:
        ArchiveError: data is not a sequence of whole documents.
    """
    position, end, count = 0, len(data), 0
    unpack = _LENGTH.unpack_from
    while position < end:
        if end - position < SMALLEST_DOCUMENT_BYTES:
            raise _damaged(where, "the data ends within a document")
        (size,) = unpack(data, position)
        if not SMALLEST_DOCUMENT_BYTES <= size <= MAX_DOCUMENT_BYTES:
            raise _damaged(where, "a document claims a length of %d bytes" % size)
        position += size
        if position > end:
            raise _damaged(where, "the data ends within a document")
        if data[position - 1]:
            raise _damaged(where, "a document does not end with a zero byte")
        count += 1
    return count


def _damaged(where: str, what: str) -> ArchiveError:
    return ArchiveError(
        "the archive is damaged: " + what, target=where, next_step="Do not rely on this archive; make a new backup."
    )


# --- writing -------------------------------------------------------------------------------------------------------


class ArchiveWriter:
    """Writes an archive through a function that takes bytes.

    Args:
        write: called with each piece, in order.
        collections: all collections that will be written; the format wants them at its head.
    """

    def __init__(
        self,
        write: Callable[[bytes], Any],
        collections: Sequence[CollectionMetadata],
        server_version: str,
        tool_version: str,
    ) -> None:
        self._write = write
        self.totals: Dict[Tuple[str, str], Totals] = {}
        self._types: Dict[Tuple[str, str], str] = {}
        header = {
            "concurrent_collections": 1,
            "version": FORMAT_VERSION,
            "server_version": server_version,
            "tool_version": tool_version,
        }
        write(MAGIC + bson.encode(header))
        for entry in collections:
            self._types[(entry.db, entry.data_collection)] = entry.type
            write(
                bson.encode(
                    {
                        "db": entry.db,
                        "collection": entry.collection,
                        "metadata": entry.metadata,
                        "size": 0,
                        "type": entry.type,
                    }
                )
            )
        write(TERMINATOR)

    def _block(self, db: str, collection: str, end: bool, crc: int) -> bytes:
        return bson.encode({"db": db, "collection": collection, "EOF": end, "CRC": Int64(crc)})

    def add(self, db: str, collection: str, data: bytes, documents: Optional[int] = None) -> int:
        """Write whole documents of one collection; returns how many. Empty data writes nothing.

        Args:
            documents: how many they are, where each one's frame has been checked already.
        """
        if not data:
            return 0
        if documents is None:
            documents = count_documents(data, "%s.%s" % (db, collection))
        totals = self.totals.setdefault((db, collection), Totals())
        totals.add(data, documents)
        self._write(self._block(db, collection, False, 0))
        self._write(data)
        self._write(TERMINATOR)
        return documents

    def end(self, db: str, collection: str) -> Totals:
        """Close one collection (a view too); returns what was written of it."""
        totals = self.totals.setdefault((db, collection), Totals())
        if not totals.documents:
            # As mongodump does for an empty collection and for a view: mongorestore learns of it before its end.
            self._write(self._block(db, collection, False, 0) + TERMINATOR)
        totals.complete = True
        self._write(self._block(db, collection, True, signed64(totals.crc)) + TERMINATOR)
        return totals

    def close(self) -> None:
        """Check that every collection announced at the head was closed.

        Raises:
            ValueError: one was not: a programming error, and mongorestore would wait for it.
        """
        missing = [key for key in self._types if not self.totals.get(key, Totals()).complete]
        if missing:
            raise ValueError("collections without an end: %s" % missing)


# --- reading -------------------------------------------------------------------------------------------------------


class ArchiveReader:
    """Reads an archive from a binary stream: first ``prelude``, then ``batches()``, then ``totals``.

    No more than about READ_BYTES and one document is held at any time.

    Args:
        stream: anything with read(n).
        hashed: whether the totals get a SHA-256, beside the CRC-64 that the archive has of each collection and that is
            compared in any case.
    """

    def __init__(self, stream: Any, name: str = "", hashed: bool = True) -> None:
        self._stream = stream
        self._name = name
        self._hashed = hashed
        self._buffer = b""
        self._position = 0
        self.totals: Dict[Tuple[str, str], Totals] = {}
        if self._take(4) != MAGIC:
            raise ArchiveError(
                "this is not an archive of mongodump: it does not begin with its four bytes",
                target=name,
                next_step="An archive is made by mongodump --archive or by miniecom.maintenance.mongo_backup.",
            )
        header = self._document(MAX_METADATA_BYTES)
        if not isinstance(header, dict):
            raise self._damage("it has no header")
        collections: List[CollectionMetadata] = []
        held = 0
        while True:
            entry = self._document(MAX_METADATA_BYTES)
            if entry is None:
                break
            found = CollectionMetadata(
                self._text(entry, "db"),
                self._text(entry, "collection"),
                str(entry.get("type") or "collection"),
                str(entry.get("metadata") or "{}"),
            )
            held += len(found.metadata) + _ENTRY_BYTES
            if held > MAX_HEAD_BYTES:
                raise self._damage("its head announces more collections than a server can have")
            collections.append(found)
        self.prelude = Prelude(
            str(header.get("server_version", "")), str(header.get("tool_version", "")), tuple(collections)
        )

    @property
    def reading(self) -> str:
        """The collection that is being read, as DATABASE.NAME; "" before the first one."""
        return "%s.%s" % list(self.totals)[-1] if self.totals else ""

    def batches(self) -> Iterator[Batch]:
        """All documents in the archive's order, in batches of one collection each.

        Raises:
            ArchiveError: bad frame, wrong checksum, or an end before the end.
        """
        while self._fill(1):
            header = self._document(MAX_METADATA_BYTES)
            if header is None:
                raise self._damage("a block has no header")
            key = (self._text(header, "db"), self._text(header, "collection"))
            totals = self.totals.get(key)
            if totals is None:
                totals = self.totals[key] = Totals() if self._hashed else Totals(digest=None)
            if len(self.totals) > len(self.prelude.collections) + MAX_UNANNOUNCED:
                raise self._damage("it holds collections that its head does not announce")
            if totals.complete:
                raise self._damage("%s.%s goes on after its end" % key)
            where = "%s.%s in %s" % (key[0], key[1], self._name or "the archive")
            for data, documents in self._block(where):
                totals.add(data, documents)
                yield Batch(key[0], key[1], data, documents)
                del data
            if header.get("EOF"):
                crc = header.get("CRC") or 0
                if not isinstance(crc, int) or crc != signed64(totals.crc):
                    raise _damaged(where, "the checksum of the collection's documents is not the one recorded")
                totals.complete = True
        self._check_end()

    def read_all(self) -> Dict[Tuple[str, str], Totals]:
        """Read to the end for the checks' sake; returns the totals by (database, collection)."""
        deque(self.batches(), maxlen=0)
        return self.totals

    def _check_end(self) -> None:
        expected = {(entry.db, entry.data_collection) for entry in self.prelude.collections if entry.type != "view"}
        open_ones = sorted(expected.union(self.totals))
        open_ones = [key for key in open_ones if not self.totals.get(key, Totals()).complete]
        if open_ones:
            raise self._damage("it ends before the end of %s" % ", ".join("%s.%s" % key for key in open_ones[:5]))

    def _block(self, where: str) -> Iterator[Tuple[bytes, int]]:
        """Documents up to the terminator, as (bytes, count) pieces of about READ_BYTES."""
        unpack = _LENGTH.unpack_from
        while True:
            start, count = self._position, 0
            buffer, length = self._buffer, len(self._buffer)
            position, needed, finished = start, 4, False
            while length - position >= 4:
                (size,) = unpack(buffer, position)
                if size == -1:
                    finished = True
                    break
                if not SMALLEST_DOCUMENT_BYTES <= size <= MAX_DOCUMENT_BYTES:
                    raise _damaged(where, "a document claims a length of %d bytes" % size)
                if length - position < size:
                    needed = size
                    break
                position += size
                if buffer[position - 1]:
                    raise _damaged(where, "a document does not end with a zero byte")
                count += 1
            self._position = position
            if count:
                yield buffer[start:position], count
            buffer = b""  # of 16 MB, maybe, as are the names deleted below and where batches are read
            if finished:
                self._position += 4
                return
            if not self._fill(needed):
                raise _damaged(where, "it ends within a block")

    def _fill(self, needed: int) -> bool:
        """Have at least needed bytes from the position on; False at the stream's end."""
        missing = needed - (len(self._buffer) - self._position)
        if missing <= 0:
            return True
        rest = self._buffer[self._position :]
        pieces = [rest] if rest else []
        self._buffer, self._position = b"", 0  # not held beside what replaces it
        # Of a large document no byte more than it has: what is given out of it is then the buffer itself, and no copy.
        ahead = 0 if needed > READ_BYTES else READ_BYTES
        while missing > 0:
            piece = self._stream.read(max(missing, ahead))
            if not piece:
                break
            pieces.append(piece)
            missing -= len(piece)
        self._buffer, self._position = b"".join(pieces), 0
        return missing <= 0

    def _take(self, count: int) -> bytes:
        if not self._fill(count):
            raise self._damage("it ends at once" if not self.totals else "it ends early")
        data = self._buffer[self._position : self._position + count]
        self._position += count
        return data

    def _document(self, limit: int) -> Optional[Mapping[str, Any]]:
        """One BSON document of the archive's own; None for a terminator."""
        head = self._take(4)
        if head == TERMINATOR:
            return None
        (size,) = _LENGTH.unpack(head)
        if not SMALLEST_DOCUMENT_BYTES <= size <= limit:
            raise self._damage("a header claims a length of %d bytes" % size)
        raw = head + self._take(size - 4)
        try:
            return dict(bson.decode(raw))
        except (BSONError, ValueError, RecursionError) as error:
            raise self._damage("a header does not parse (%s)" % error) from error

    def _text(self, document: Mapping[str, Any], key: str) -> str:
        value = document.get(key)
        if not isinstance(value, str):
            raise self._damage("a header names no %s" % key)
        if len(value) > MAX_NAME_LENGTH:
            raise self._damage("a header has a name of %d letters" % len(value))
        return value

    def _damage(self, what: str) -> ArchiveError:
        return _damaged(self._name, what)
