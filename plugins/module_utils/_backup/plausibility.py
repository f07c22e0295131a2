# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a file that has the name of a backup can be one, from its head and its end: a few reads, however large it is.

It proves little about a file that passes (a restore test does), and much about one that does not: such a file must not
count as the backup of its day.
"""

from __future__ import annotations

import os
import struct
import zlib
from typing import BinaryIO, Optional

from .._core.errors import errno_name
from .._core.late_dataclass import dataclass

GZIP_MAGIC = b"\x1f\x8b\x08"
SALTED_MAGIC = b"Salted__"
# AES works on blocks of 16 bytes, after the magic and eight bytes of salt.
CIPHER_BLOCK = 16
TAR_BLOCK = 512
_USTAR = slice(257, 262)
_GZIP = 31  # zlib's wbits for a gzip header and trailer
HEAD_BYTES = 64 * 1024
# Read to its end: it costs no more than the few reads of a larger one.
_SMALL_BYTES = 1024 * 1024
# Longer than the longest gzip member that mongo_backup writes.
_TAIL_BYTES = 8 * 1024 * 1024
_PIECE_BYTES = 1024 * 1024
_END = bytes(2 * TAR_BLOCK)
CUT_SHORT = "cut short: it has no end"


def problem_of(path: str, encrypted: bool) -> str:
    """Why a file cannot be a backup; "" when nothing speaks against it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", 0) as handle:
            size = os.fstat(descriptor).st_size
            if not size:
                return "empty"
            return _encrypted(handle, size) if encrypted else _packed(handle, size)
    except OSError as error:
        return "it cannot be looked into (%s)" % errno_name(error)


def _encrypted(handle: BinaryIO, size: int) -> str:
    if handle.read(len(SALTED_MAGIC)) != SALTED_MAGIC:
        return "it does not begin as openssl enc begins a file"
    if size % CIPHER_BLOCK or size < 2 * CIPHER_BLOCK:
        return CUT_SHORT
    return ""


def _packed(handle: BinaryIO, size: int) -> str:
    small = size <= _SMALL_BYTES
    head = handle.read(size if small else HEAD_BYTES)
    if not head.startswith(GZIP_MAGIC):
        return "it is no gzip file"
    found = _read_members(head)
    if not found.head[_USTAR].startswith(b"ustar"):
        return "what is packed in it is no tar archive"
    if small:
        return "" if found.ended and found.tail.endswith(_END) else CUT_SHORT
    if found.whole:
        # Several members one after the other, as mongo_backup writes them: the last ones show whether there is an end.
        handle.seek(-_TAIL_BYTES if size > _TAIL_BYTES else 0, os.SEEK_END if size > _TAIL_BYTES else os.SEEK_SET)
        last = _last_members(handle.read(_TAIL_BYTES))
        if last is not None:
            return "" if last.ended and last.tail.endswith(_END) else CUT_SHORT
    # One member up to the end of the file, as gzip writes it. Its last four bytes are the size of what is packed, and a
    # tar is a row of whole blocks; where a file was cut there stands anything.
    handle.seek(-4, os.SEEK_END)
    (unpacked,) = struct.unpack("<I", handle.read(4))
    return CUT_SHORT if unpacked % TAR_BLOCK else ""


def begins_as_archive(head: bytes) -> bool:
    """Whether these first bytes are those of a packed tar archive."""
    return head.startswith(GZIP_MAGIC) and _read_members(head).head[_USTAR].startswith(b"ustar")


@dataclass(frozen=True)
class _Members:
    """What a row of gzip members holds.

    Attributes:
        head, tail: the first and the last bytes that are packed in it.
        whole: how many members are there to their end.
        ended: the data ends with the end of a member; zero bytes after it are padding, which gzip allows.
    """

    head: bytes
    tail: bytes
    whole: int
    ended: bool


def _read_members(data: bytes) -> _Members:
    head, tail, whole = b"", b"", 0
    while data:
        unpacker = zlib.decompressobj(_GZIP)
        while not unpacker.eof:
            try:
                piece = unpacker.decompress(data, _PIECE_BYTES)
            except zlib.error:
                return _Members(head, tail, whole, False)
            data = unpacker.unconsumed_tail
            if not piece and not data and not unpacker.eof:
                return _Members(head, tail, whole, False)
            head = head if len(head) >= TAR_BLOCK else (head + piece)[:TAR_BLOCK]
            tail = (tail + piece)[-len(_END) :]
        whole += 1
        data = unpacker.unused_data.lstrip(b"\0")
    return _Members(head, tail, whole, True)


def _last_members(data: bytes) -> Optional[_Members]:
    """The members in the last bytes of a file, from the first one that begins there; None when none does."""
    position = data.find(GZIP_MAGIC)
    while position >= 0:
        found = _read_members(data[position:])
        if found.whole:
            return found
        position = data.find(GZIP_MAGIC, position + 1)
    return None
