# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""More rows than memory holds, in a file without a name, taken apart by their keys so that each part fits.

The file goes with the process that made it, however that ends.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any, Iterable, Iterator, List, Sequence, Tuple
from zlib import crc32

# Of 30 million distinct keys one part has 120,000, which take about 10 MB.
PARTS = 256
# Rows that wait to be written take 60 bytes each beside their own.
ROWS_AT_ONCE = 50_000
BYTES_AT_ONCE = 4 * 1024 * 1024


class OutOfRoom(Exception):
    """The file may not grow any more, or cannot be written; what it was for has to be done in another way."""


class SpillFile:
    """A context manager: a file without a name.

    Args:
        directory: it lies in its file system.
        most: bytes that it may have.

    Raises:
        OutOfRoom: it cannot be made.
    """

    def __init__(self, directory: str, most: int) -> None:
        self._directory = directory
        self._most = most
        self._size = 0
        self._file: Any = None

    def __enter__(self) -> SpillFile:
        try:
            self._file = tempfile.TemporaryFile(dir=self._directory, buffering=0)
        except OSError as error:
            raise OutOfRoom(str(error)) from error
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._file.close()

    def append(self, data: bytes) -> int:
        """Returns where in the file the data begins.

        Raises:
            OutOfRoom: it does not fit.
        """
        start = self._size
        if start + len(data) > self._most:
            raise OutOfRoom("more than %d bytes" % self._most)
        try:
            left = memoryview(data)
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise OutOfRoom(str(error)) from error
        self._size += len(data)
        return start

    def read(self, start: int, size: int) -> bytes:
        """Raises:
        OutOfRoom: not all of it is there.
        """
        try:
            data = os.pread(self._file.fileno(), size, start)
        except OSError as error:
            raise OutOfRoom(str(error)) from error
        if len(data) != size:
            raise OutOfRoom("the file was cut short")
        return data


class SpilledRows:
    """Rows of one form, each of which is found again in the part that its key belongs to.

    Args:
        file: to write them to; other rows may lie there as well.
    """

    def __init__(self, file: SpillFile) -> None:
        self._file = file
        self._waiting: List[List[bytes]] = [[] for _part in range(PARTS)]
        self._rows = 0
        self._bytes = 0
        self._written: List[List[Tuple[int, int]]] = [[] for _part in range(PARTS)]

    def add(self, keys: Sequence[bytes], rows: Iterable[bytes]) -> None:
        """Args:
            keys: of the rows, in their order.

        Raises:
            OutOfRoom: they do not fit.
        """
        waiting = self._waiting
        for row, digest in zip(rows, map(crc32, keys)):
            waiting[digest % PARTS].append(row)
            self._bytes += len(row)
        self._rows += len(keys)
        if self._rows >= ROWS_AT_ONCE or self._bytes >= BYTES_AT_ONCE:
            self._write()

    def _write(self) -> None:
        pieces = [b"".join(rows) for rows in self._waiting]
        place = self._file.append(b"".join(pieces))
        for part, piece in enumerate(pieces):
            if piece:
                self._written[part].append((place, len(piece)))
                place += len(piece)
                self._waiting[part].clear()
        self._rows = self._bytes = 0

    def part(self, number: int) -> Iterator[bytes]:
        """Pieces of one part: whole rows, one after the other, in the order in which they were added.

        Raises:
            OutOfRoom: they cannot be read.
        """
        for start, size in self._written[number]:
            yield self._file.read(start, size)
        if self._waiting[number]:
            yield b"".join(self._waiting[number])
