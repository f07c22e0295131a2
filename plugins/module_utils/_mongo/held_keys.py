# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""References held against all keys at once, in whatever order they come: for fields without an index.

Sorting or grouping the references costs the server more than reading them. It is not needed where the keys fit in memory.
"""

from __future__ import annotations

import binascii
from typing import Any, Callable, Dict, List, Optional, Sequence, Set

from .key_ranges import KEY_BATCH
from .raw_cursor import RawCursor
from .raw_document import elements
from .raw_ids import cut_ids, objectids_of
from .raw_tables import NULL, OBJECTID, TEXT, RawTable, cut_tables

try:
    from bson.min_key import MinKey
except ImportError:  # the client says so
    MinKey = None  # type: ignore[assignment,misc]

# Measured: 100,000 of them take 25 to 30 MiB with all that is compared, 300,000 take 50 to 60.
MOST_KEYS = 300_000
# Documents that may have to be counted, and distinct texts that are no ids; and bytes of both.
MOST_LEFT = 50_000
MOST_BYTES = 8 * 1024 * 1024
# Text of 24 digits, and the zero byte at its end.
_WRITTEN = 25


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


class HeldKeys:
    """The keys of a collection, and what was compared with them.

    Args:
        keys: ObjectIds, 12 bytes each.
        field: with the reference, in the documents that are compared.
        texts_are_ids: whether 24 digits are the same as the ObjectId that they write.
        keep_text: whether the documents with any other text are to be counted; asked once for each text.
        keep_absent: the same for those without a reference.

    Attributes:
        lost, lost_texts: distinct references, as ObjectIds and as texts, of 12 bytes each, that are no key.
        documents: those that have to be counted.
        texts: each other text that was met, and whether documents with it are among those.
    """

    def __init__(
        self,
        keys: Set[bytes],
        field: str,
        texts_are_ids: bool,
        keep_text: Callable[[bytes], bool],
        keep_absent: bool,
    ) -> None:
        self._field = field
        self._texts_are_ids = texts_are_ids
        self._keep_text = keep_text
        self._keep_absent = keep_absent
        self._objectids = _Form(keys)
        self._written = _Form(keys)
        self._bytes = 0
        self.documents: List[bytes] = []
        self.texts: Dict[bytes, bool] = {}

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

    def compare(self, batch: bytes) -> bool:
        """Compare the references of a batch of documents with the keys.

        Returns:
            Whether all could be compared, and what is left fits in memory.
        """
        tables, others = cut_tables(batch)
        return (
            all(self._compare_table(table) for table in tables)
            and all(self._compare_document(document) for document in others)
            and len(self.documents) + len(self.texts) <= MOST_LEFT
            and self._bytes <= MOST_BYTES
        )

    def _compare_table(self, table: RawTable) -> bool:
        kind = table.kind(self._field)
        if kind in (None, NULL):
            if self._keep_absent:
                self._keep(table.documents())
            return True
        values = table.values(self._field)
        if kind == OBJECTID:
            self._keep_lost(table, values, self._objectids.meet(values))
            return True
        if kind != TEXT:
            # Of these the server takes for equal what has other bytes.
            return False
        written = self._written_ids(values)
        if written:
            self._keep_lost(table, written, self._written.meet(written))
            return True
        kept = {value for value in set(values) if self._is_kept(value)}
        if kept:
            self._keep([document for value, document in zip(values, table.documents()) if value in kept])
        return True

    def _written_ids(self, texts: Sequence[bytes]) -> List[bytes]:
        """The ObjectIds that all of the texts are in their usual spelling; none if one is not."""
        if not self._texts_are_ids or len(texts[0]) != _WRITTEN:
            return []
        together = b"".join(texts)
        if together != together.lower():
            # Another spelling of the same id is another reference, and needs a look of its own.
            return []
        try:
            return objectids_of([text[:-1] for text in texts])
        except binascii.Error:
            return []

    def _compare_document(self, document: bytes) -> bool:
        """One that has a field of another kind than most have, or one twice."""
        named = [field for field in elements(document) if field.name == self._field.encode("utf-8")]
        if len(named) > 1:
            return False
        if not named or named[0].kind == NULL:
            if self._keep_absent:
                self._keep([document])
            return True
        (field,) = named
        if field.kind == OBJECTID:
            lost = bool(self._objectids.meet([field.value]))
        elif field.kind == TEXT:
            written = self._written_ids([field.value[4:]])
            lost = bool(self._written.meet(written)) if written else self._is_kept(field.value[4:])
        else:
            return False
        if lost:
            self._keep([document])
        return True

    def _is_kept(self, text: bytes) -> bool:
        if text not in self.texts:
            self._bytes += len(text)
            self.texts[text] = self._keep_text(text[:-1])
        return self.texts[text]

    def _keep_lost(self, table: RawTable, references: List[bytes], lost: Set[bytes]) -> None:
        if lost:
            self._keep([document for reference, document in zip(references, table.documents()) if reference in lost])

    def _keep(self, documents: List[bytes]) -> None:
        self.documents += documents
        self._bytes += sum(map(len, documents))


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
