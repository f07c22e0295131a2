# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""POSIX access control lists as the kernel stores them, and whom they let in beyond the mode. Pure."""

from __future__ import annotations

import struct
from typing import List, Tuple

# linux/posix_acl_xattr.h: a version, then entries of tag, permissions and id, all little-endian.
_VERSION = 2
_HEAD = struct.Struct("<I")
_ENTRY = struct.Struct("<HHI")
USER, OWNING_GROUP, GROUP, MASK = 0x02, 0x04, 0x08, 0x10
READ, WRITE = 4, 2

# Of a named user or group: which of the two, its id, and the rights that the mask leaves it.
Named = Tuple[int, int, int]


def named_entries(value: bytes) -> List[Named]:
    """The named users and groups of a list with their rights under its mask; empty for what cannot be understood."""
    entries, mask = _entries(value)
    return [(tag, number, rights & mask) for tag, rights, number in entries if tag in (USER, GROUP)]


def shuts_out_the_group(value: bytes) -> bool:
    """Whether the owning group has no rights at all under a list, whatever a mode shows: that is the mask then."""
    entries, mask = _entries(value)
    return any(tag == OWNING_GROUP and not rights & mask for tag, rights, _number in entries)


def _entries(value: bytes) -> Tuple[List[Tuple[int, int, int]], int]:
    if len(value) < _HEAD.size or (len(value) - _HEAD.size) % _ENTRY.size or _HEAD.unpack_from(value)[0] != _VERSION:
        return [], 7
    entries = [_ENTRY.unpack_from(value, offset) for offset in range(_HEAD.size, len(value), _ENTRY.size)]
    return entries, next((rights for tag, rights, _number in entries if tag == MASK), 7)
