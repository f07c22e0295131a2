# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many documents there really are.

The number in the statistics (collStats, dbStats, the count command without a query) is kept beside the documents and is
wrong after a standalone server was killed: measured on 6.0.27, 1000 for 188,200 documents, and 5000 for a collection that is
empty. It stays wrong over restarts and compactions, and mostly until a foreground ``validate``. Nothing may be decided by it.
"""

from __future__ import annotations

import time
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence

from .._core.errors import MaintenanceError
from .client import Connection
from .errors import error_number, mongo_errors
from .storage import CollectionStatistics

TOO_SLOW = 50
# So often it is looked whether a count is wrong while others write.
LOOKS = 6
# A standalone and each member count for themselves; through mongos a sum over shards is no number of a file.
_COUNTABLE = ("standalone", "replica set")


class Count(NamedTuple):
    """What counting came to.

    Attributes:
        fast: what the statistics say.
        counted: documents counted, one by one in the index of _id.
        wrong: the two cannot both be right, also while others write.
    """

    fast: int
    counted: int
    wrong: bool


def outside(before: int, counted: int, after: int) -> int:
    """By how much a count lies outside what the statistics said just before and just after it; 0 where it does not. Pure."""
    low, high = min(before, after), max(before, after)
    return min(0, counted - low) or max(0, counted - high)


def is_wrong(offsets: Sequence[int], quiet: bool) -> Optional[bool]:
    """Whether a count is wrong, by what `outside` gave each time it was looked at; None where another look must tell. Pure.

    A wrong count is wrong every time, by the same number while nobody writes. What others write meanwhile puts a right one
    outside now and then, to one side or the other.

    Args:
        offsets: at least one, the latest last.
        quiet: the statistics were the same before and after the latest look.
    """
    if not offsets[-1] or (len(offsets) > 1 and offsets[-1] * offsets[-2] < 0):
        return False
    if len(offsets) > 1 and quiet and offsets[-1] == offsets[-2]:
        return True
    return True if len(offsets) == LOOKS else None


def count_collections(
    connection: Connection, statistics: Iterable[CollectionStatistics], seconds: float
) -> Dict[str, Count]:
    """The real number of documents by namespace, as far as the time reaches; the smallest files first.

    Args:
        seconds: for all together; the server itself ends what takes longer. It reads indexes of _id and no documents.

    Raises:
        MaintenanceError: the server refuses or was lost.
    """
    found: Dict[str, Count] = {}
    if connection.server.topology not in _COUNTABLE:
        return found
    deadline = time.monotonic() + seconds
    # By the size of its file and not by its number of documents, which is what may be wrong.
    for entry in sorted(statistics, key=lambda item: (item.bytes, item.namespace)):
        # A clustered collection has no index of its own for _id, a view and time-series have no documents of their own.
        if entry.kind not in ("collection", "capped") or not any(index.name == "_id_" for index in entry.indexes):
            continue
        count = _count(connection, entry, deadline)
        if count is None:
            break
        found[entry.namespace] = count
    return found


def _count(connection: Connection, entry: CollectionStatistics, deadline: float) -> Optional[Count]:
    """None where the time is over."""
    database = connection.client[entry.database]

    # As commands: the server has names of which the driver makes no collection.
    def fast() -> int:
        return int(database.command("count", entry.name)["n"])

    def one_by_one(milliseconds: int) -> int:
        stages: List[Any] = [{"$match": {}}, {"$group": {"_id": 1, "n": {"$sum": 1}}}]
        answer = database.command(
            "aggregate", entry.name, pipeline=stages, cursor={}, hint="_id_", maxTimeMS=milliseconds
        )
        found = answer["cursor"]["firstBatch"]
        return int(found[0]["n"]) if found else 0

    offsets: List[int] = []
    try:
        with mongo_errors("cannot count the documents", entry.namespace):
            while True:
                before = fast()
                left = int((deadline - time.monotonic()) * 1000)
                if left <= 0:
                    return None
                counted = one_by_one(left)
                after = fast()
                offsets.append(outside(before, counted, after))
                verdict = is_wrong(offsets, before == after)
                if verdict is not None:
                    return Count(after, counted, verdict)
    except MaintenanceError as error:
        if error_number(error.__cause__ or error) == TOO_SLOW:
            return None
        raise
