# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""References held against all keys at once, in whatever order they come: for fields without an index.

Sorting or grouping the references costs the server more than reading them. It is not needed where the keys fit in memory.
"""

from __future__ import annotations

from typing import Any, List, Optional, Set

from .key_ranges import KEY_BATCH
from .raw_cursor import RawCursor
from .raw_ids import RawIds, cut_ids, objectids_of

try:
    from bson.min_key import MinKey
except ImportError:  # the client says so
    MinKey = None  # type: ignore[assignment,misc]

# Measured: 100,000 of them take 23 to 27 MiB with all that is compared, 300,000 take 54.
MOST_KEYS = 100_000
# Distinct values that are no key, and the bytes of those that are no ids.
MOST_LEFT = 50_000
MOST_BYTES = 4 * 1024 * 1024
# Of these the server takes for equal what has the same bytes, and nothing else: text, and null.
_PLAIN_TYPES = (0x02, 0x0A)


class HeldKeys:
    """The keys of a collection, and what was compared with them.

    Attributes:
        lost, lost_texts: distinct references, as ObjectIds and as texts, of 12 bytes each, that are no key.
        texts: distinct texts that were not compared.
        others: distinct documents with other values.
    """

    def __init__(self, keys: Set[bytes]) -> None:
        self._keys = keys
        # Both share the keys themselves; what is taken out of them was referred to.
        self._unseen: Optional[Set[bytes]] = None
        self._unseen_texts: Optional[Set[bytes]] = None
        self.lost: Set[bytes] = set()
        self.lost_texts: Set[bytes] = set()
        self.texts: Set[bytes] = set()
        self.others: Set[bytes] = set()
        self._bytes = 0

    @property
    def seen(self) -> int:
        """Number of distinct references that are keys."""
        return sum(len(self._keys) - len(unseen) for unseen in (self._unseen, self._unseen_texts) if unseen is not None)

    def compare(self, ids: RawIds, texts_are_ids: bool) -> bool:
        """Compare a batch of references with the keys.

        Args:
            texts_are_ids: whether 24 digits are the same as the ObjectId that they write.

        Returns:
            Whether what is left still fits in memory.
        """
        if ids.objectids:
            if self._unseen is None:
                self._unseen = set(self._keys)
            references = set(ids.objectids)
            self._unseen -= references
            self.lost |= references - self._keys
        if ids.texts:
            self._compare_texts(ids.texts, texts_are_ids)
        for document in set(ids.others) - self.others:
            if len(document) > 5 and document[4] not in _PLAIN_TYPES:
                return False
            self.others.add(document)
            self._bytes += len(document)
        left = len(self.lost) + len(self.lost_texts) + len(self.texts) + len(self.others)
        return left <= MOST_LEFT and self._bytes <= MOST_BYTES

    def _compare_texts(self, texts: List[bytes], texts_are_ids: bool) -> None:
        together = b"".join(texts)
        if not texts_are_ids or together != together.lower():
            # Another spelling of the same id is another reference, and needs a look of its own.
            self.texts.update(texts)
            return
        if self._unseen_texts is None:
            self._unseen_texts = set(self._keys)
        references = set(objectids_of(texts))
        self._unseen_texts -= references
        self.lost_texts |= references - self._keys


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
