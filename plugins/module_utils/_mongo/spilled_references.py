# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""References held against more keys than memory holds: for fields without an index.

Both are read once, in whatever order they come, and put aside in parts by their keys; then one part after the other is compared.
That costs the same for each reference and each key, however many there are. The keys are read last, so that what was inserted
before the document that refers to it is among them.
"""

from __future__ import annotations

import os
import struct
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Set, Tuple

from .key_ranges import KEY_BATCH
from .plain_references import PlainReferences
from .raw_cursor import RawCursor
from .raw_holders import RawHolders
from .raw_ids import RawIds, cut_ids
from .raw_tables import DATE, OBJECTID, TEXT, RawTable
from .read_ahead import read_ahead
from .spilled_rows import PARTS, SpilledRows, SpillFile

try:
    from bson.min_key import MinKey
except ImportError:  # the client says so
    MinKey = None  # type: ignore[assignment,misc]

# Fewer references than this are looked up faster than all keys are read.
KEYS_FOR_EACH_REFERENCE = 2
# Key, _id and date: what most references take in the file.
_ROW = 32
_KEY = struct.Struct("12s")
_LENGTH = struct.Struct("<i")
_DOCUMENT = 12


class LostPart(NamedTuple):
    """What one part came to.

    Attributes:
        references: distinct ones, in each of both forms.
        lost, lost_texts: those of them that are no key, as ObjectIds and as texts, of 12 bytes each.
        holders: documents that hold them, of the usual form.
        documents: and of any other.
    """

    references: int
    lost: Set[bytes]
    lost_texts: Set[bytes]
    holders: List[RawHolders]
    documents: List[bytes]


def is_worth_a_file(references: int, keys: int) -> bool:
    """Whether so many references and keys are compared faster this way than grouped by the server. Pure."""
    return keys <= KEYS_FOR_EACH_REFERENCE * references


def room_for(directory: str, references: int, keys: int) -> int:
    """How many bytes a file may have that is to take so many references and keys; 0 where there is no room. Never more than half
    of what is free."""
    try:
        space = os.statvfs(directory)
    except OSError:
        return 0
    free = space.f_bavail * space.f_frsize // 2
    return free if references * _ROW + keys * _KEY.size <= free else 0


class SpilledReferences(PlainReferences):
    """References that are compared once all of them have been read.

    Args:
        file: to put them aside in.
        field, texts_are_ids, keep_text, keep_absent: as PlainReferences takes them.

    Raises:
        OutOfRoom: whatever it does, the file cannot take it.
    """

    def __init__(
        self,
        file: SpillFile,
        field: str,
        texts_are_ids: bool,
        keep_text: Callable[[bytes], bool],
        keep_absent: bool,
    ) -> None:
        super().__init__(field, texts_are_ids, keep_text, keep_absent)
        self._keys = SpilledRows(file)
        # By their form, and whether the document has a date.
        self._rows: Dict[Tuple[bool, bool], SpilledRows] = {
            (written, dated): SpilledRows(file) for written in (False, True) for dated in (False, True)
        }
        self._others: Dict[bool, SpilledRows] = {written: SpilledRows(file) for written in (False, True)}

    def take_documents(self) -> List[bytes]:
        """Those that have to be counted, which are forgotten."""
        documents, self.documents = self.documents, []
        self._bytes -= sum(map(len, documents))
        return documents

    def _meet(self, written: bool, keys: List[bytes], table: RawTable) -> None:
        dated = table.kind("createdAt") == DATE
        if table.kind("_id") != OBJECTID or (not dated and table.kind("createdAt") is not None):
            self._others[written].add(keys, map(bytes.__add__, keys, table.documents()))
            return
        columns = [keys, table.values("_id")]
        if dated:
            columns.append(table.values("createdAt"))
        self._rows[written, dated].add(keys, map(b"".join, zip(*columns)))

    def _meet_one(self, written: bool, key: bytes, document: bytes) -> None:
        self._others[written].add([key], [key + document])

    def read_keys(self, database: Any, collection: str, progress: Callable[[], None]) -> bool:
        """Read all keys (_id) of a collection; whether none of them is a text, which might be written as a reference is.

        Raises:
            PyMongoError: the server refuses or was lost.
        """
        # A bound that all keys meet makes the server read them from the index alone.
        command = {"find": collection, "filter": {"_id": {"$gte": MinKey()}}, "projection": {"_id": 1}}
        with read_ahead(lambda: RawCursor(database, command, KEY_BATCH)) as batches:
            for batch in batches:
                ids: RawIds = cut_ids(batch)
                if ids.texts or any(document[4] == TEXT for document in ids.others):
                    return False
                self._keys.add(ids.objectids, ids.objectids)
                progress()
        return True

    def parts(self) -> Iterator[LostPart]:
        """What came of the references, part by part."""
        for number in range(PARTS):
            yield self._part(number)

    def _part(self, number: int) -> LostPart:
        keys = {key for piece in self._keys.part(number) for (key,) in _KEY.iter_unpack(piece)}
        references = 0
        lost: Dict[bool, Set[bytes]] = {}
        for written in (False, True):
            met: Set[bytes] = set()
            for dated in (False, True):
                row = struct.Struct("12s12x8x" if dated else "12s12x")
                for piece in self._rows[written, dated].part(number):
                    met.update([key for (key,) in row.iter_unpack(piece)])
            met.update(key for key, _document in self._other(written, number))
            references += len(met)
            lost[written] = met - keys
        holders = [
            holder for written in lost if lost[written] for holder in self._holders(written, lost[written], number)
        ]
        documents = [
            document
            for written in lost
            if lost[written]
            for key, document in self._other(written, number)
            if key in lost[written]
        ]
        return LostPart(references, lost[False], lost[True], holders, documents)

    def _holders(self, written: bool, lost: Set[bytes], number: int) -> Iterator[RawHolders]:
        for dated in (False, True):
            row = struct.Struct("12s12s8s" if dated else "12s12s")
            pieces = self._rows[written, dated].part(number)
            rows = [found for piece in pieces for found in row.iter_unpack(piece) if found[0] in lost]
            if not rows:
                continue
            columns = [list(column) for column in zip(*rows)]
            keys, ids, created = columns[0], columns[1], columns[2] if dated else None
            values = [key.hex().encode("ascii") for key in keys] if written else keys
            yield RawHolders(ids, values, keys, created)

    def _other(self, written: bool, number: int) -> Iterator[Tuple[bytes, bytes]]:
        """Key and document of those of any other form."""
        for piece in self._others[written].part(number):
            place = 0
            while place < len(piece):
                start = place + _DOCUMENT
                end = start + _LENGTH.unpack_from(piece, start)[0]
                yield piece[place:start], piece[start:end]
                place = end
