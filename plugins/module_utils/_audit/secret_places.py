# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a match really stands in its file: line, column, and what is written before it.

Kingfisher counts line feeds only, so all of a file with the line ends of old Macintoshes is line 1; and it counts bytes,
where a person counts characters.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import accumulate, groupby
from typing import Dict, Iterator, List, Sequence, Tuple

from .secret_matches import Match

# The name of a setting or an option, and what joins it to its value; nothing else of a line is ever shown.
_NAME = re.compile(
    r"""(?:^|[\s"'`{\[(,;&?])(\$?[A-Za-z_][\w.-]{0,39}["'\])}]{0,3}\s{0,4}(?::?=>?|:)\s{0,4}["'`]?|-{1,2}[a-zA-Z][\w-]{0,39}[= ]{0,2}["'`]?)$""",
    re.ASCII,
)


def located(matches: Sequence[Match]) -> List[Match]:
    """The matches with line and column as a person counts them, and with the name before them.

    A file that cannot be read any more keeps what Kingfisher said.
    """
    found: List[Match] = []
    for path, group in groupby(sorted(matches, key=lambda match: match.path), key=lambda match: match.path):
        found += _located_in(path, list(group))
    return found


def _located_in(path: str, matches: List[Match]) -> Iterator[Match]:
    try:
        with open(path.encode("utf-8", "surrogateescape"), "rb") as handle:
            text = _decode(handle.read())
    except (OSError, ValueError):
        yield from matches
        return
    lines = text.split("\n")
    # Carriage returns that end a line of their own, before each line feed.
    earlier = list(accumulate((other.rstrip("\r").count("\r") for other in lines), initial=0)) if "\r" in text else None
    encoded: Dict[int, bytes] = {}
    for match in matches:
        if not 0 < match.line <= len(lines):
            yield match
            continue
        index = match.line - 1
        if index not in encoded:
            encoded[index] = lines[index].encode("utf-8", "surrogateescape")
        line, column, before = place_in_line(encoded[index][: match.column])
        yield replace(match, line=match.line + line + (earlier[index] if earlier else 0), column=column, before=before)


def place_in_line(before: bytes) -> Tuple[int, int, str]:
    """Carriage returns before a place, its column from 1, and the name that stands before it. Pure.

    Args:
        before: what stands between the last line feed and the place, in UTF-8.
    """
    earlier = before.count(b"\r")
    last = before.rpartition(b"\r")[2]
    name = _NAME.search(last[-100:].decode("utf-8", "ignore"))
    return earlier, len(last.decode("utf-8", "replace")) + 1, name.group(1) if name else ""


def _decode(content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", "replace")
    if content[:1] == b"\0" and content[2:3] == b"\0":
        return content.decode("utf-16-be", "replace")
    return content.decode("utf-8", "surrogateescape")
