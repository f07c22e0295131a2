# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a file is by the first bytes of its content: a dump of a database, a private key, or a login. Pure."""

from __future__ import annotations

import re
import zlib

from .permission_rules import DUMP, SECRET

# As much as is read of a file, and as much as is unpacked of it.
HEAD_BYTES = 65536

# mongodump --archive (its magic number, little-endian), pg_dump -Fc, and what writes SQL, which says so in its first lines.
_DUMP_HEADS = (b"\x6d\xe2\x99\x81", b"PGDMP")
_SQL = re.compile(
    rb"(?m)\A(?:--[^\n]*\n|\s)*?-- (?:MySQL dump|MariaDB dump|PostgreSQL database (?:cluster )?dump)|\APRAGMA foreign_keys=OFF;\s+BEGIN TRANSACTION;"
)
_PRIVATE_KEY = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----")
# A login of npm: most projects have such a file of settings without one, or with the name of a variable in its place.
_NPM_LOGIN = re.compile(rb"(?m)^\s{0,8}(?:[^\s=#;]{1,200}:)?_(?:authToken|auth|password)\s{0,4}=\s{0,4}[^\s$]")
_IN_TAR = re.compile(rb"(?:\A|/)(?:mongo\.archive(?:\.gz)?|[^/]*\.(?:bson|dump|sql)(?:\.(?:gz|zst|xz))?)\Z")
_BLOCK = 512


def content_class(head: bytes) -> str:
    """The class of a file by how it begins: dump, secret, or "" for neither.

    Args:
        head: its first `HEAD_BYTES`, or all of it.
    """
    if head.startswith(b"\x1f\x8b"):
        try:
            head = zlib.decompressobj(31).decompress(head, HEAD_BYTES)
        except zlib.error:
            return ""
    if head.startswith(_DUMP_HEADS) or _SQL.search(head[:4096]) or _dumps_in_tar(head):
        return DUMP
    return SECRET if holds_private_key(head) or _NPM_LOGIN.search(head[:4096]) else ""


def holds_private_key(head: bytes) -> bool:
    return bool(_PRIVATE_KEY.search(head))


def _dumps_in_tar(head: bytes) -> bool:
    """Whether one of the first members of a tar archive is a dump."""
    offset = 0
    while head[offset + 257 : offset + 262] == b"ustar":
        if _IN_TAR.search(head[offset : offset + 100].split(b"\0", 1)[0]):
            return True
        try:
            size = int(head[offset + 124 : offset + 136].strip(b" \0") or b"0", 8)
        except ValueError:
            return False
        offset += _BLOCK + (size + _BLOCK - 1) // _BLOCK * _BLOCK
    return False
