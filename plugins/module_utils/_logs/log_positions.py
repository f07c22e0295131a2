# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far each log has been read, whatever a rotation does to it. Pure.

A rotation renames a log, or copies it and truncates the original, or compresses what it has put away. A path says nothing then, nor
does an inode: a log is known by its beginning. Among the files of one name (api.log, api.log-20261129, api.log.1.gz), the one
that begins as the one read last time is that one, wherever its bytes lie now.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Iterable, List, Mapping, Optional, Sequence

from .._core.late_dataclass import dataclass

# So many bytes are the beginning of a log; fewer when it is shorter.
HEAD = 512
# Positions that are remembered: those of the latest looks.
MAX_POSITIONS = 500
_ROTATED = re.compile(r"^(?P<base>.+?\.log)(?:[.-][0-9A-Za-z._-]+)?$")


def base_name(name: str) -> str:
    """The name that a log and its rotations share."""
    match = _ROTATED.match(name)
    return match.group("base") if match else name


@dataclass(frozen=True)
class Position:
    """How far a log has been read.

    Attributes:
        base: directory and base name of the log.
        head: hash of its first bytes.
        length: how many bytes `head` stands for.
        offset: bytes read, uncompressed.
    """

    base: str
    head: str
    length: int
    offset: int

    def as_dict(self) -> Mapping[str, Any]:
        return {"base": self.base, "head": self.head, "length": self.length, "offset": self.offset}


def parse_position(entry: Any) -> Optional[Position]:
    """A position as it was written; None for anything else."""
    try:
        found = Position(str(entry["base"]), str(entry["head"]), int(entry["length"]), int(entry["offset"]))
    except (KeyError, TypeError, ValueError):
        return None
    return found if 0 < found.length <= HEAD and found.offset >= 0 else None


def hash_head(head: bytes) -> str:
    return hashlib.sha256(head).hexdigest()[:32]


def position_of(base: str, head: bytes, offset: int) -> Position:
    """Where a look has ended.

    Args:
        head: the first bytes of the log, at most HEAD; at least one.
    """
    part = head[:HEAD]
    return Position(base, hash_head(part), len(part), offset)


def find_position(base: str, head: bytes, known: Iterable[Position]) -> Optional[Position]:
    """The position of the log that begins so; the longest beginning that fits decides.

    Args:
        head: the first bytes of the file, at most HEAD.
    """
    fitting = [
        position
        for position in known
        if position.base == base
        and position.length <= len(head)
        and hash_head(head[: position.length]) == position.head
    ]
    return max(fitting, key=lambda position: (position.length, position.offset), default=None)


def keep_latest(now: Sequence[Position], before: Sequence[Position]) -> List[Position]:
    """What to remember: the positions of this look, and earlier ones of logs that were not seen this time."""
    seen = {(position.base, position.head) for position in now}
    bases = {position.base for position in now}
    others = [
        position for position in before if position.base not in bases and (position.base, position.head) not in seen
    ]
    return [*now, *others][:MAX_POSITIONS]
