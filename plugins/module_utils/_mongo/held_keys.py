# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""References held against all keys at once, in whatever order they come: for fields without an index.

Sorting or grouping the references costs the server more than reading them. It is not needed where the keys fit in memory.
"""

from __future__ import annotations

from typing import Any, List, NamedTuple, Optional, Set

from .key_ranges import KEY_BATCH
from .raw_cursor import RawCursor
from .raw_ids import RawIds, cut_ids, objectids_of

try:
    from bson.min_key import MinKey
except ImportError:  # the client says so
    MinKey = None  # type: ignore[assignment,misc]

# Measured: 100,000 of them take 25 to 30 MiB with all that is compared, 300,000 take 71 to 76.
MOST_KEYS = 300_000
# Distinct values that are no key, and the bytes of those that are no ids.
MOST_LEFT = 50_000
MOST_BYTES = 4 * 1024 * 1024
# Of these the server takes for equal what has the same bytes, and nothing else: text, and null.
_PLAIN_TYPES = (0x02, 0x0A)


class Compared(NamedTuple):
    """What came of comparing references with keys.

    Attributes:
        seen: number of distinct references that are keys.
        lost, lost_texts: distinct references, as ObjectIds and as texts, of 12 bytes each, that are no key.
    """

    seen: int
    lost: Set[bytes]
    lost_texts: Set[bytes]


class HeldKeys:
    """The keys of a collection, and what was compared with them.

    Attributes:
        texts: distinct texts that were not compared.
        others: distinct documents with other values.
    """

    def __init__(self, keys: Set[bytes]) -> None:
        self._keys = keys
        # Compared when all have been met: one look for each distinct reference, and none for its repetitions.
        self._met: Set[bytes] = set()
        self._met_texts: Set[bytes] = set()
        self.texts: Set[bytes] = set()
        self.others: Set[bytes] = set()
        self._bytes = 0

    def compared(self) -> Optional[Compared]:
        """What came of it; None where more point nowhere than fit in memory."""
        lost, lost_texts = self._met - self._keys, self._met_texts - self._keys
        seen = len(self._met) - len(lost) + len(self._met_texts) - len(lost_texts)
        return Compared(seen, lost, lost_texts) if self._fits(len(lost) + len(lost_texts)) else None

    def compare(self, ids: RawIds, texts_are_ids: bool) -> bool:
        """Compare a batch of references with the keys.

        Args:
            texts_are_ids: whether 24 digits are the same as the ObjectId that they write.

        Returns:
            Whether what is left still fits in memory.
        """
        self._met.update(ids.objectids)
        if ids.texts:
            self._compare_texts(ids.texts, texts_are_ids)
        for document in set(ids.others) - self.others:
            if len(document) > 5 and document[4] not in _PLAIN_TYPES:
                return False
            self.others.add(document)
            self._bytes += len(document)
        # As many as there are keys may all be keys.
        beyond = (len(met) - len(self._keys) for met in (self._met, self._met_texts))
        return self._fits(sum(max(0, number) for number in beyond))

    def _fits(self, lost: int) -> bool:
        return lost + len(self.texts) + len(self.others) <= MOST_LEFT and self._bytes <= MOST_BYTES

    def _compare_texts(self, texts: List[bytes], texts_are_ids: bool) -> None:
        together = b"".join(texts)
        if not texts_are_ids or together != together.lower():
            # Another spelling of the same id is another reference, and needs a look of its own.
            self.texts.update(texts)
            return
        self._met_texts.update(objectids_of(texts))


def hold_keys(database: Any, collection: str) -> Optional[HeldKeys]:
    """All keys (_id) of a collection, all of which are ObjectIds; None if there are others, or too many of them."""
    keys: Set[bytes] = set()
    # A bound that all keys meet makes the server read them from the index alone.
    command = {"find": collection, "filter": {"_id": {"$gte": MinKey()}}, "projection": {"_id": 1}}
    with RawCursor(database, command, KEY_BATCH) as batches:
        for batch in batches:
            ids = cut_ids(batch)
            keys.update(ids.objectids)
            if ids.texts or ids.others or len(keys) > MOST_KEYS:
                return None
    return HeldKeys(keys)
