# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documents whose reference is an id, and their age, as bytes: most of the documents that a report has to count."""

from __future__ import annotations

import binascii
from datetime import datetime, timezone
from typing import Any, Collection, Iterator, List, NamedTuple, Optional, Set, Tuple

from .raw_cursor import RawCursor
from .raw_ids import cut_ids, objectids_of
from .raw_tables import DATE, OBJECTID, TEXT, RawTable, cut_tables

try:
    from bson.raw_bson import RawBSONDocument
except ImportError:  # the client says so
    RawBSONDocument = None  # type: ignore[assignment,misc]

# So many ids are looked up at once: some 200 KB of a command.
LOOK_UP_BATCH = 10_000
# Text of 24 digits, and the zero byte at its end.
_WRITTEN = 25
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# Dates beyond the years that Python knows tell no age.
_MOMENTS = range(-62_135_596_800_000, 253_402_300_800_000)


class RawHolders(NamedTuple):
    """Documents that are alike, in columns.

    Attributes:
        ids: their _id, an ObjectId.
        values: their reference as it is stored: an ObjectId, or text of 24 digits.
        keys: the ObjectIds that these stand for.
        created: the field createdAt, a date; None for documents that have none.
    """

    ids: List[bytes]
    values: List[bytes]
    keys: List[bytes]
    created: Optional[List[bytes]]


def holders_in(batch: bytes, field: str) -> Tuple[List[RawHolders], List[bytes]]:
    """The documents of a batch whose reference is an id, and all others as they are. Pure.

    Args:
        field: with the reference.
    """
    tables, others = cut_tables(batch)
    found = []
    for table in tables:
        holders = _holders(table, field)
        if holders is None:
            others += table.documents()
        else:
            found.append(holders)
    return found, others


def _holders(table: RawTable, field: str) -> Optional[RawHolders]:
    if table.kind("_id") != OBJECTID or table.kind("createdAt") not in (DATE, None):
        return None
    created = None if table.kind("createdAt") is None else table.values("createdAt")
    if table.kind(field) == OBJECTID:
        values = table.values(field)
        return RawHolders(table.values("_id"), values, values, created)
    if table.kind(field) != TEXT:
        return None
    texts = [text[:-1] for text in table.values(field)]
    try:
        if len(texts[0]) != _WRITTEN - 1:
            return None
        return RawHolders(table.values("_id"), texts, objectids_of(texts), created)
    except binascii.Error:
        return None


class Cutoff:
    """Tells which documents are too young, by the same rule as `created`: the later of createdAt and the time in the _id counts."""

    def __init__(self, moment: datetime) -> None:
        since = moment - _EPOCH
        # Both are stored in whole units: later than the moment is later than what it is rounded down to.
        self._seconds = since.days * 86_400 + since.seconds
        self._milliseconds = self._seconds * 1000 + since.microseconds // 1000
        # ObjectIds have seconds without a sign.
        self._in_id = min(max(0, self._seconds), 2**32 - 1).to_bytes(4, "big")

    def is_younger(self, identity: bytes, created: Optional[bytes]) -> bool:
        if self._seconds < 0 or identity[:4] > self._in_id:
            return True
        if created is None:
            return False
        moment = int.from_bytes(created, "little", signed=True)
        return moment > self._milliseconds and moment in _MOMENTS


def existing_ids(database: Any, collection: str, ids: Collection[bytes]) -> Set[bytes]:
    """Those of the ids that are keys (_id) of a collection.

    Raises:
        PyMongoError: the server refuses or was lost.
    """
    found: Set[bytes] = set()
    for part in _parts(sorted(ids)):
        body = b"".join([b"\x07%d\0%b" % numbered for numbered in enumerate(part)])
        array = b"\x04$in\0" + _document(body)
        command = {
            "find": collection,
            "filter": {"_id": RawBSONDocument(_document(array))},
            "projection": {"_id": 1},
        }
        with RawCursor(database, command, LOOK_UP_BATCH) as batches:
            for batch in batches:
                found.update(cut_ids(batch).objectids)
    return found


def _document(body: bytes) -> bytes:
    return (len(body) + 5).to_bytes(4, "little") + body + b"\0"


def _parts(ids: List[bytes]) -> Iterator[List[bytes]]:
    for start in range(0, len(ids), LOOK_UP_BATCH):
        yield ids[start : start + LOOK_UP_BATCH]
