# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of many ids exist, found by reading the keys between the lowest and the highest of them.

Where the ids come sorted and most keys are referred to, that costs the server and the client far less than looking each up.
Where few keys are referred to it would cost more, so it is given up early, and tried again ever less often.
"""

from __future__ import annotations

from typing import Any, Callable, List, Set

from .raw_cursor import RawCursor
from .raw_ids import RawIds, cut_ids

# Reading a key in order costs about an eighth of looking one up (measured, with the client's share of both).
KEYS_FOR_EACH_ID = 8
# So few are looked up at once.
FEWEST_IDS = 500
# Documents of 22 to 39 bytes.
KEY_BATCH = 50_000
LONGEST_PAUSE = 64


class KeyRange:
    """The keys of one type in a collection.

    Args:
        database: the driver's database.
        collection: its name.
        value: makes a key out of its bytes.
        pick: the keys of this type among those of a batch.
    """

    def __init__(
        self, database: Any, collection: str, value: Callable[[bytes], Any], pick: Callable[[RawIds], List[bytes]]
    ) -> None:
        self._database = database
        self._collection = collection
        self._value = value
        self._pick = pick
        self._pause = 0
        self._next_pause = 1

    def discard_existing(self, ids: Set[bytes]) -> bool:
        """Take those out of the ids that exist, as far as that is quickly told.

        Returns:
            Whether those that are left did not exist, as keys of this type and written alike, while they were looked for;
            if not, nothing is known about them.
        """
        if len(ids) < FEWEST_IDS:
            return False
        if self._pause:
            self._pause -= 1
            return False
        limit, read = KEYS_FOR_EACH_ID * len(ids), 0
        query = {"_id": {"$gte": self._value(min(ids)), "$lte": self._value(max(ids))}}
        command = {"find": self._collection, "filter": query, "projection": {"_id": 1}, "limit": limit}
        with RawCursor(self._database, command, KEY_BATCH) as batches:
            for batch in batches:
                keys = cut_ids(batch)
                read += keys.total
                ids.difference_update(self._pick(keys))
        if read < limit:
            self._next_pause = 1
            return True
        self._pause = self._next_pause
        self._next_pause = min(2 * self._next_pause, LONGEST_PAUSE)
        return False
