# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""References of documents told apart by their form, as bytes: those that only one key can be meant by, and all others."""

from __future__ import annotations

import binascii
from typing import Callable, Dict, List, Sequence

from .raw_document import elements
from .raw_ids import objectids_of
from .raw_tables import NULL, OBJECTID, TEXT, RawTable, cut_tables

# Documents that may have to be counted, and distinct texts that are no ids; and bytes of both.
MOST_LEFT = 50_000
MOST_BYTES = 8 * 1024 * 1024
# Text of 24 digits, and the zero byte at its end.
_WRITTEN = 25


class PlainReferences:
    """What compares references with keys that are ObjectIds, in whatever order both come.

    Args:
        field: with the reference, in the documents that are compared.
        texts_are_ids: whether 24 digits are the same as the ObjectId that they write.
        keep_text: whether the documents with any other text are to be counted; asked once for each text.
        keep_absent: the same for those without a reference.

    Attributes:
        documents: those that have to be counted.
        texts: each other text that was met, and whether documents with it are among those.
    """

    def __init__(self, field: str, texts_are_ids: bool, keep_text: Callable[[bytes], bool], keep_absent: bool) -> None:
        self._field = field
        self._texts_are_ids = texts_are_ids
        self._keep_text = keep_text
        self._keep_absent = keep_absent
        self._bytes = 0
        self.documents: List[bytes] = []
        self.texts: Dict[bytes, bool] = {}

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

    def _meet(self, written: bool, keys: List[bytes], table: RawTable) -> None:
        """Compare the references of a table.

        Args:
            written: they are text.
            keys: the ObjectIds that they are.
        """
        raise NotImplementedError

    def _meet_one(self, written: bool, key: bytes, document: bytes) -> None:
        """The same for one document."""
        raise NotImplementedError

    def _compare_table(self, table: RawTable) -> bool:
        kind = table.kind(self._field)
        if kind in (None, NULL):
            if self._keep_absent:
                self._keep(table.documents())
            return True
        values = table.values(self._field)
        if kind == OBJECTID:
            self._meet(False, values, table)
            return True
        if kind != TEXT:
            # Of these the server takes for equal what has other bytes.
            return False
        written = self._written_ids(values)
        if written:
            self._meet(True, written, table)
            return True
        # One that is met here as text and elsewhere as an id would be counted as two.
        ids = {value: self._written_ids([value]) for value in set(values)}
        kept = {value for value, usual in ids.items() if not usual and self._is_kept(value)}
        if not kept and not any(ids.values()):
            return True
        for value, document in zip(values, table.documents()):
            if ids[value]:
                self._meet_one(True, ids[value][0], document)
            elif value in kept:
                self._keep([document])
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
            self._meet_one(False, field.value, document)
        elif field.kind == TEXT:
            text = field.value[4:]
            written = self._written_ids([text])
            if written:
                self._meet_one(True, written[0], document)
            elif self._is_kept(text):
                self._keep([document])
        else:
            return False
        return True

    def _is_kept(self, text: bytes) -> bool:
        if text not in self.texts:
            self._bytes += len(text)
            self.texts[text] = self._keep_text(text[:-1])
        return self.texts[text]

    def _keep(self, documents: List[bytes]) -> None:
        self.documents += documents
        self._bytes += sum(map(len, documents))
