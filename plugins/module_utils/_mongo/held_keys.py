# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""References held against all keys at once, in whatever order they come: for fields without an index.

Sorting or grouping the references costs the server more than reading them. It is not needed where the keys fit in memory.
"""

from __future__ import annotations

from typing import Any, Callable, List, Optional, Set

from .key_ranges import KEY_BATCH
from .plain_references import PlainReferences
from .raw_cursor import RawCursor
from .raw_ids import cut_ids
from .raw_tables import RawTable

try:
    from bson.min_key import MinKey
except ImportError:  # the client says so
    MinKey = None  # type: ignore[assignment,misc]

# Measured: 100,000 of them take 25 to 30 MiB with all that is compared, 300,000 take 50 to 60.
MOST_KEYS = 300_000


class _Form:
    """One form of references, beside the keys.

    Attributes:
        lost: distinct references that are no key.
    """

    def __init__(self, keys: Set[bytes]) -> None:
        self._keys = keys
        # That no reference was met for yet. A form that does not come takes no memory.
        self._unmet: Optional[Set[bytes]] = None
        self.lost: Set[bytes] = set()

    def meet(self, references: List[bytes]) -> Set[bytes]:
        """Returns those of the references that are no key."""
        met = set(references)
        if self._unmet is None:
            self._unmet = set(self._keys)
        self._unmet -= met
        lost = met - self._keys
        self.lost |= lost
        return lost

    @property
    def seen(self) -> int:
        return 0 if self._unmet is None else len(self._keys) - len(self._unmet)


class HeldKeys(PlainReferences):
    """The keys of a collection, and what was compared with them.

    Args:
        keys: ObjectIds, 12 bytes each.
        field, texts_are_ids, keep_text, keep_absent: as PlainReferences takes them.

    Attributes:
        lost, lost_texts: distinct references, as ObjectIds and as texts, of 12 bytes each, that are no key.
    """

    def __init__(
        self,
        keys: Set[bytes],
        field: str,
        texts_are_ids: bool,
        keep_text: Callable[[bytes], bool],
        keep_absent: bool,
    ) -> None:
        super().__init__(field, texts_are_ids, keep_text, keep_absent)
        self._objectids = _Form(keys)
        self._written = _Form(keys)

    @property
    def lost(self) -> Set[bytes]:
        return self._objectids.lost

    @property
    def lost_texts(self) -> Set[bytes]:
        return self._written.lost

    @property
    def seen(self) -> int:
        """Number of distinct references that are keys, in each of both forms."""
        return self._objectids.seen + self._written.seen

    def _meet(self, written: bool, keys: List[bytes], table: RawTable) -> None:
        lost = (self._written if written else self._objectids).meet(keys)
        if lost:
            self._keep([document for key, document in zip(keys, table.documents()) if key in lost])

    def _meet_one(self, written: bool, key: bytes, document: bytes) -> None:
        if (self._written if written else self._objectids).meet([key]):
            self._keep([document])


def read_keys(database: Any, collection: str) -> Optional[Set[bytes]]:
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
    return keys
