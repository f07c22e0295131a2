# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""gzip, fast: written in chunks by several threads, read in one thread while another one works.

A stream of gzip members one after the other is a gzip file (RFC 1952, section 2.2): gunzip, tar and mongorestore
read it as one. Each chunk is one member, so that chunks can be compressed side by side. A member's header says how long it
is, in the extra field that gzip has for such things (section 2.3.1.1): so they can be unpacked side by side as well.
"""

from __future__ import annotations

import hashlib
import os
import queue
import struct
import threading
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Callable, Deque, List, Optional, Tuple, Union

try:
    from isal import isal_zlib
except ImportError:
    isal_zlib = None  # type: ignore[assignment]

from .._core.errors import MaintenanceError

TAKE_ANOTHER = "Do not rely on this file: restore from another one, and make a new backup."


class DamagedBackup(MaintenanceError):
    """The bytes of a backup are not those of a whole one: a proof against the file, whatever the surroundings."""

    def at(self, where: str) -> DamagedBackup:
        """The same, with what of the file it is about."""
        return DamagedBackup(
            "%s; %s" % (self.what, where),
            target=self.target,
            code=self.code,
            next_step=self.next_step,
            details=self.details,
        )


# Chunks are of half to one and a half times this: one batch of the dump each. Larger ones are hardly packed better (measured:
# 0.05 % at twice the size), and their memory would be fetched from the system each time (see `_core/heap.py`).
CHUNK_BYTES = 1024 * 1024
# A whole chunk at once, so that it need not be cut.
READ_BYTES = CHUNK_BYTES * 3 // 2
_GZIP, _BARE = 31, -15  # zlib's wbits for deflated data with the header and trailer of gzip, and for that data alone
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
# The same with an extra field of one subfield, which no other program knows: the bytes of the whole member.
_SIZED_HEADER = b"\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\xff" + struct.pack("<H2sH", 8, b"mm", 4)
_SIZE = struct.Struct("<I")
_HEAD_BYTES = len(_SIZED_HEADER) + _SIZE.size
_TRAILER = struct.Struct("<II")
_LARGEST_MEMBER = 2 * CHUNK_BYTES + 65536  # what GzipWriter gives at most at once, and what storing it takes
_ERRORS: Any = (zlib.error,) if isal_zlib is None else (zlib.error, isal_zlib.error)


def compression_engine() -> str:
    """Which library compresses: isal (Intel's, several times faster) or zlib."""
    return "zlib" if isal_zlib is None else "isal"


def _with_zlib(level: int) -> Callable[[bytes], bytes]:
    def deflate(data: bytes) -> bytes:
        packer = zlib.compressobj(level, zlib.DEFLATED, _BARE)
        return packer.compress(data) + packer.flush()

    return deflate


def compressor(compression: str) -> Callable[[bytes], bytes]:
    """The function that turns bytes into one gzip member.

    Args:
        compression: ``fast`` (isal level 1, or zlib level 1 where isal is missing), ``small`` (zlib level 6; higher
            levels gain next to nothing) or ``none`` (stored).
    """
    if compression == "none":
        deflate = _with_zlib(0)
    elif compression == "small":
        deflate = _with_zlib(6)
    elif isal_zlib is None:
        deflate = _with_zlib(1)
    else:

        def deflate(data: bytes) -> bytes:
            packed: bytes = isal_zlib.compress(data, 1, _BARE)
            return packed

    def compress(data: bytes) -> bytes:
        packed = deflate(data)
        size = _HEAD_BYTES + len(packed) + _TRAILER.size
        return b"".join((_SIZED_HEADER, _SIZE.pack(size), packed, _trailer(data)))

    return compress


def _trailer(data: bytes) -> bytes:
    return _TRAILER.pack((isal_zlib or zlib).crc32(data) & 0xFFFFFFFF, len(data) & 0xFFFFFFFF)


def stored_member(data: bytes) -> bytes:
    """One gzip member that holds data uncompressed, in one block: its length depends on nothing but len(data).

    Args:
        data: at most 65535 bytes.
    """
    length = len(data)
    return _HEADER + b"\x01" + struct.pack("<HH", length, length ^ 0xFFFF) + data + _trailer(data)


def threads_for_compression() -> int:
    """As many as there are cores for this process, four at most: the shop runs here too."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 1
    return max(1, min(4, cores))


class _Workers:
    """Threads that are begun when there is work; where none can be had, for the host may allow no more, it is done here."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool: Optional[ThreadPoolExecutor] = None
        self._alone = False

    def submit(self, work: Callable[[bytes], Any], data: bytes) -> Future[Any]:
        if not self._alone:
            try:
                self._pool = self._pool or ThreadPoolExecutor(self._threads)
                return self._pool.submit(work, data)
            except RuntimeError:
                # Not asked again: the pool holds what it could not begin.
                self._alone = True
        done: Future[Any] = Future()
        done.set_result(work(data))
        return done

    def end(self, wait: bool) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=wait)
            self._pool = None


class GzipWriter:
    """Compresses what is written, in threads, and passes it on in order.

    Args:
        write: gets the compressed bytes; called only from the thread that writes here.
        compress: bytes to one gzip member.
        threads: how many chunks are compressed at a time; memory stays below about (threads + 2) * 3 * CHUNK_BYTES.
    """

    def __init__(
        self, write: Callable[[bytes], Any], compress: Callable[[bytes], bytes], threads: Optional[int] = None
    ) -> None:
        self._write = write
        self._compress = compress
        self._threads = threads or threads_for_compression()
        self._workers = _Workers(self._threads)
        self._pieces: List[bytes] = []
        self._held = 0
        self._waiting: Deque[Future[bytes]] = deque()

    def write(self, data: bytes) -> int:
        # A document of 16 MB in one chunk would be held by each thread, packed and unpacked.
        start, size = 0, len(data)
        while size - start > CHUNK_BYTES * 3 // 2:
            self._take(data[start : start + CHUNK_BYTES])
            start += CHUNK_BYTES
        self._take(data[start:])  # the very same bytes, where they are no more than that
        return size

    def _take(self, piece: bytes) -> None:
        whole = 2 * len(piece) >= CHUNK_BYTES
        if whole and self._held:
            # A member of their own costs some bytes; what stands before a batch would have all of it copied.
            self._submit()
        self._pieces.append(piece)
        self._held += len(piece)
        if 2 * self._held >= CHUNK_BYTES:
            self._submit()

    def _submit(self) -> None:
        chunk = b"".join(self._pieces)
        self._pieces, self._held = [], 0
        self._waiting.append(self._workers.submit(self._compress, chunk))
        while len(self._waiting) > self._threads:
            self._write(self._waiting.popleft().result())

    def flush(self) -> None:
        """Pass on everything written so far, as whole members."""
        if self._held:
            self._submit()
        while self._waiting:
            self._write(self._waiting.popleft().result())

    def close(self) -> None:
        """End the threads; does not flush."""
        self._workers.end(wait=True)


class GzipReader:
    """Decompresses a gzip stream of any number of members; read(n) gives at most n bytes, and b"" at its end.

    Attributes:
        proven: how many of the bytes that were given out stand before a checksum that fits.

    Raises:
        DamagedBackup: damaged or cut off.
    """

    def __init__(self, stream: Any, name: str = "") -> None:
        self._stream = stream
        self._name = name
        self._library: Any = isal_zlib or zlib
        self._unpacker: Any = None
        self._rest = b""
        self._given = 0
        self.proven = 0

    def read(self, size: int = READ_BYTES) -> bytes:
        data = self._read(READ_BYTES if size < 0 else size)
        self._given += len(data)
        if self._unpacker is None:
            self.proven = self._given
        return data

    def _read(self, size: int) -> bytes:
        while size:
            if not self._rest:
                self._rest = self._stream.read(READ_BYTES)
            if not self._rest:
                if self._unpacker is None:
                    return b""
                # The library may have taken all input and still hold output that did not fit into the last read.
                return self._last_output(size)
            if self._unpacker is None:
                # Zero bytes after the last member are padding, which gzip allows.
                self._rest = self._rest.lstrip(b"\0")
                if not self._rest:
                    continue
                self._unpacker = self._library.decompressobj(_GZIP)
            try:
                data: bytes = self._unpacker.decompress(self._rest, size)
            except _ERRORS as error:
                raise self._damaged(str(error)) from error
            if self._unpacker.eof:
                self._rest = self._unpacker.unused_data
                self._unpacker = None
            else:
                self._rest = self._unpacker.unconsumed_tail
            if data:
                return data
        return b""

    def _last_output(self, size: int) -> bytes:
        try:
            data: bytes = self._unpacker.decompress(b"", size)
        except _ERRORS as error:
            raise self._damaged(str(error)) from error
        if self._unpacker.eof:
            self._unpacker = None
        elif not data:
            raise self._damaged("it ends early")
        return data

    def _damaged(self, why: str) -> DamagedBackup:
        return DamagedBackup(
            "the gzip data is damaged: " + why,
            target=self._name,
            next_step=TAKE_ANOTHER,
        )


class Reread:
    """read(n) over bytes that were read already, and then the rest of the stream."""

    def __init__(self, head: bytes, stream: Any) -> None:
        self._head = head
        self._stream = stream

    def read(self, size: int = READ_BYTES) -> bytes:
        if self._head:
            data, self._head = self._head[:size], self._head[size:]
            return data
        rest: bytes = self._stream.read(size)
        return rest


class MembersReader:
    """Decompresses a gzip stream in threads, as far as its members say how long they are; read(n) gives at most n bytes.

    From the first member on that does not, or that is not as it says, the stream is read by GzipReader: whatever gzip
    allows is read, and what is damaged is told in its words.

    Args:
        threads: how many members are unpacked at a time; memory stays below about (threads + 2) * 3 * CHUNK_BYTES.

    Raises:
        DamagedBackup: damaged or cut off.
    """

    def __init__(self, stream: Any, name: str = "", threads: Optional[int] = None) -> None:
        self._stream = stream
        self._name = name
        self._threads = threads or threads_for_compression()
        self._workers = _Workers(self._threads)
        self._waiting: Deque[Tuple[bytes, Future[Optional[bytes]]]] = deque()
        self._input = b""
        self._taken = 0
        self._failure: Optional[Exception] = None
        self._plain: Optional[GzipReader] = None
        self._data = b""
        self._position = 0

    def read(self, size: int = READ_BYTES) -> bytes:
        if size < 0:
            size = READ_BYTES
        while size and self._position >= len(self._data):
            if self._plain is not None:
                return self._plain.read(size)
            self._data, self._position = self._next(), 0
        data = self._data[self._position : self._position + size]
        self._position += len(data)
        return data

    def _next(self) -> bytes:
        """What the next member holds; b"" also where there is none that can be unpacked here."""
        while len(self._waiting) <= self._threads and self._failure is None:
            try:
                member = self._take_member()
            except Exception as error:  # it belongs behind what was read before it
                self._failure = error
                break
            if not member:
                break
            self._waiting.append((member, self._workers.submit(_unpacked, member)))
        if not self._waiting:
            self._read_plainly(b"")
            return b""
        member, future = self._waiting.popleft()
        data = future.result()
        if data is None:
            self._read_plainly(member)
        return data or b""

    def _take_member(self) -> bytes:
        """The next member's bytes; b"" where it does not say how many, or where they are not there."""
        if not self._fill(_HEAD_BYTES) or not self._input.startswith(_SIZED_HEADER, self._taken):
            return b""
        (size,) = _SIZE.unpack_from(self._input, self._taken + len(_SIZED_HEADER))
        if not _HEAD_BYTES < size <= _LARGEST_MEMBER or not self._fill(size):
            return b""
        start, self._taken = self._taken, self._taken + size
        return self._input[start : self._taken]

    def _fill(self, size: int) -> bool:
        """Have so many bytes that were not taken yet; False where the stream ends before."""
        held = len(self._input) - self._taken
        if held >= size:
            return True
        pieces = [self._input[self._taken :]]
        try:
            while held < size:
                piece = self._stream.read(max(size - held, READ_BYTES))
                if not piece:
                    break
                pieces.append(piece)
                held += len(piece)
        finally:
            self._input, self._taken = b"".join(pieces), 0
        return held >= size

    def _read_plainly(self, member: bytes) -> None:
        """Leave this member and all that follow to GzipReader."""
        rest = b"".join([member, *(waiting for waiting, _future in self._waiting), self._input[self._taken :]])
        self._waiting.clear()
        self._input, self._taken = b"", 0
        self._workers.end(wait=False)
        stream = self._stream if self._failure is None else _Failing(self._failure)
        self._plain = GzipReader(Reread(rest, stream), self._name)


class _Failing:
    """A stream whose reading has failed."""

    def __init__(self, failure: Exception) -> None:
        self._failure = failure

    def read(self, size: int = READ_BYTES) -> bytes:
        raise self._failure


def _unpacked(member: bytes) -> Optional[bytes]:
    """What one member holds; None where it is damaged, is not one member, or holds more than GzipWriter gives it."""
    unpacker = (isal_zlib or zlib).decompressobj(_GZIP)
    try:
        data: bytes = unpacker.decompress(member, 2 * CHUNK_BYTES)
    except _ERRORS:
        return None
    return data if unpacker.eof and not unpacker.unused_data else None


class HashedReader:
    """Hashes what is read through it.

    Attributes:
        digest: SHA-256 of it so far.
    """

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self.digest = hashlib.sha256()

    def read(self, size: int = READ_BYTES) -> bytes:
        data: bytes = self._handle.read(size)
        self.digest.update(data)
        return data


class Prefetch:
    """Reads another stream ahead in a thread of its own; read(n) gives at most n bytes.

    An error of the stream is raised where its data would have been read.
    """

    def __init__(self, stream: Any, depth: int = 4) -> None:
        self._stream = stream
        self._queue: queue.Queue[Union[bytes, BaseException]] = queue.Queue(depth)
        self._stop = threading.Event()
        self._rest = b""
        self._position = 0
        self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                data = self._stream.read(READ_BYTES)
                if not self._put(data) or not data:
                    return
        except BaseException as error:
            self._put(error)

    def _put(self, item: Union[bytes, BaseException]) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def read(self, size: int = READ_BYTES) -> bytes:
        if self._position >= len(self._rest):
            if self._ended:
                return b""
            item = self._queue.get()
            if isinstance(item, BaseException):
                self._ended = True
                raise item
            if not item:
                self._ended = True
                return b""
            self._rest, self._position = item, 0
        if size < 0:
            size = READ_BYTES
        data = self._rest[self._position : self._position + size]
        self._position += len(data)
        return data

    def close(self) -> None:
        """Stop reading ahead; the underlying stream may be closed afterwards."""
        self._stop.set()
        self._thread.join()
