# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which entries of an archive stand behind the last of its bytes that are proven. Pure.

An archive of ours has a checksum every few megabytes, one of the shop's a single one at its end, behind however many files.
"""

from __future__ import annotations

from typing import List, Tuple

# Entries that are told apart; with more of them, neighbours are taken for one.
MOST = 1000


class Doubt:
    """The entries that are not proven yet, in order, the last one that was begun among them in any case."""

    def __init__(self) -> None:
        # Where it ends in the unpacked archive, and its name; of neighbours the later end and the earlier name.
        self._entries: List[Tuple[int, str]] = []

    def begin(self, name: str, end: int, proven: int) -> None:
        """Take a next entry.

        Args:
            end: where it ends, in bytes of the unpacked archive.
            proven: so many bytes from its beginning on stand before a checksum that fits.
        """
        last = self._entries[-1:]
        if last and last[0][0] <= proven:
            self._entries = []
        elif len(self._entries) >= MOST:
            kept = [item for item in self._entries[:-1] if item[0] > proven]
            joined = [(later[0], earlier[1]) for earlier, later in zip(kept[::2], kept[1::2])]
            self._entries = joined + kept[len(joined) * 2 :] + last
        self._entries.append((end, name))

    def text(self, proven: int) -> str:
        """What may be damaged, where the last bytes that are proven are those before `proven`.

        What a damaged member of gzip holds may not have been given out at all: of that only what it follows is known.
        """
        names = [name for end, name in self._entries if end > proven]
        if not names:
            return "what follows %s" % self._entries[-1][1] if self._entries else "its beginning"
        return "%s, or what follows it" % (names[0] if len(names) == 1 else "one of %s to %s" % (names[0], names[-1]))
