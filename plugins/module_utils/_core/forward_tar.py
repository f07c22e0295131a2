# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A tar read once from its start to its end, its files' content given on as it came.

tarfile's own way to read a stream copies what a file holds six times (Python 3.11), which for a dump is as much work as its checksum.
"""

from __future__ import annotations

import tarfile
from tarfile import ReadError
from typing import Any

_SKIP_BYTES = 1024 * 1024
# What an entry has beside its header: a long name or attributes. tarfile reads all of it at once, whatever size is told, and
# looks for attributes in a time that grows with the square of it (until Python 3.12.6, CVE-2024-6232).
MAX_EXTENSION_BYTES = 256 * 1024
# Attributes of all entries that follow are held to the end.
MAX_GLOBAL_BYTES = 1024 * 1024
# Of a file with holes, which are zeros that the archive has not: they are hashed and written all the same.
MAX_SPARSE_BYTES = 1 << 40


class Forward:
    """What tarfile needs of a file, over anything with read(n) that gives at most n bytes: tell(), and seek() forward."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._position = 0

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> int:
        """Pass over what stands before a position; less where the stream ends before it.

        Raises:
            tarfile.StreamError: it was passed already.
        """
        if position < self._position:
            raise tarfile.StreamError("seeking backwards is not allowed")
        while self._position < position and self.take(min(_SKIP_BYTES, position - self._position)):
            pass
        return self._position

    def read(self, size: int) -> bytes:
        """So many bytes, fewer at the end of the stream only."""
        pieces = []
        while size > 0:
            piece = self.take(size)
            if not piece:
                break
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def take(self, size: int) -> bytes:
        """What comes next, at most so many bytes; nothing at the end of the stream."""
        data: bytes = self._stream.read(size)
        self._position += len(data)
        return data


class _Content:
    """read(n) over the file whose header was read last."""

    def __init__(self, source: Forward, size: int) -> None:
        self._source = source
        self._left = size

    def read(self, size: int = _SKIP_BYTES) -> bytes:
        size = min(size if size >= 0 else _SKIP_BYTES, self._left)
        if not size:
            return b""
        data = self._source.take(size)
        if not data:
            raise ReadError("unexpected end of data")
        self._left -= len(data)
        return data


class _Entry(tarfile.TarInfo):
    """Notes on the archive that the end which a tar must have was found, and not merely the end of its bytes."""

    @classmethod
    def fromtarfile(cls, tarfile: Any) -> Any:
        try:
            found = super().fromtarfile(tarfile)
        except _END_OF_ARCHIVE:
            tarfile.found_end = True
            raise
        except (ValueError, IndexError, OverflowError) as error:
            # Of a header that is damaged: of a file with holes, or in letters of an encoding that it has not.
            raise ReadError("a header does not make sense (%s)" % error) from error
        if found.size < 0 or (found.issparse() and found.size > MAX_SPARSE_BYTES):
            raise ReadError("an entry claims a size of %d bytes" % found.size)
        return found

    def _block(self, count: int) -> int:
        # As newer releases of Python do: with less than nothing tarfile would go round in circles (CVE-2025-8194).
        if count < 0:
            raise ReadError("an entry claims less than no bytes")
        return int(super()._block(count))  # type: ignore[misc]

    def _proc_gnulong(self, tarfile: Any) -> Any:
        return super()._proc_gnulong(_require_short(self, tarfile))  # type: ignore[misc]

    def _proc_pax(self, tarfile: Any) -> Any:
        return super()._proc_pax(_require_short(self, tarfile))  # type: ignore[misc]


def _require_short(info: tarfile.TarInfo, archive: Any) -> Any:
    if info.size > MAX_EXTENSION_BYTES:
        raise ReadError("the name or the attributes of an entry claim a length of %d bytes" % info.size)
    if info.type == tarfile.XGLTYPE:
        archive.global_bytes = getattr(archive, "global_bytes", 0) + info.size
        if archive.global_bytes > MAX_GLOBAL_BYTES:
            raise ReadError("the attributes of all entries take more than %d bytes" % MAX_GLOBAL_BYTES)
    return archive


_END_OF_ARCHIVE: Any = tarfile.EOFHeaderError  # type: ignore[attr-defined]


def has_end(tar: Any) -> bool:
    """Whether a tar that was read to its end has the one that a tar must have."""
    return bool(getattr(tar, "found_end", False))


def open_forward(stream: Any) -> Any:
    """A tarfile.TarFile over anything with read(n); names are read alike under every locale."""
    return tarfile.TarFile(fileobj=Forward(stream), tarinfo=_Entry, encoding="utf-8", errors="surrogateescape")  # type: ignore[arg-type]


def content_of(tar: Any, info: tarfile.TarInfo) -> Any:
    """What has read(n) over the content of the entry that was read last.

    Raises:
        tarfile.ReadError: it is no regular file; or, when it is read, the archive ends before.
    """
    if not info.isreg():
        raise ReadError("%s is no regular file" % info.name)
    if info.issparse():
        return tar.extractfile(info)
    return _Content(tar.fileobj, info.size)
