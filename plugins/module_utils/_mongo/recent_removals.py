# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What others have removed of late, such as the shop or a TTL index: as a member's oplog has it.

The server's counters of deletions are those of the whole server since its start, or of a file's since it was opened; none says
when. The oplog does, of each collection, whoever removed; so the same rule holds for others' removals as for ours.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Tuple

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .client import Connection
from .errors import mongo_errors

try:
    from bson import Timestamp
except ImportError:  # the client says so
    pass

# Time-series are removed from by their buckets.
_BUCKETS = ".system.buckets."
_MOST_MILLISECONDS = 15000


@dataclass(frozen=True)
class RecentRemoval:
    """Documents of a collection that were removed of late.

    Attributes:
        documents: how many.
        seconds_ago: since the last of them.
    """

    documents: int
    seconds_ago: float


def read_recent_removals(connection: Connection, seconds: float) -> Tuple[Dict[str, RecentRemoval], str]:
    """What was removed in the last seconds of a member's own time, by namespace, and why that is not known, else "".

    A delayed member's last second is long ago: what counts is how old an operation was when the member's newest was made.

    Args:
        connection: to one member directly.
    """
    try:
        with mongo_errors("cannot look in the oplog for what others have removed", connection.address.where):
            oplog = connection.client.local["oplog.rs"]
            newest = oplog.find_one({}, {"ts": 1}, sort=[("$natural", -1)])
            if newest is None:
                return {}, ""
            since = Timestamp(max(0, newest["ts"].time - int(seconds)), 0)
            found = list(oplog.aggregate(_stages(since), maxTimeMS=_MOST_MILLISECONDS))
    except MaintenanceError as error:
        return {}, str(error)
    return interpret_removals(found, newest["ts"].time), ""


def _stages(since: Any) -> List[Dict[str, Any]]:
    removals = {"$filter": {"input": "$o.applyOps", "cond": {"$eq": ["$$this.op", "d"]}}}
    return [
        # The time alone at the top: by it the server finds where to begin, and need not read all.
        {"$match": {"ts": {"$gte": since}, "$or": [{"op": "d"}, {"op": "c", "o.applyOps.op": "d"}]}},
        {
            "$project": {
                "ts": 1,
                "ns": {"$cond": [{"$eq": ["$op", "d"]}, ["$ns"], {"$map": {"input": removals, "in": "$$this.ns"}}]},
            }
        },
        {"$unwind": "$ns"},
        {"$group": {"_id": "$ns", "documents": {"$sum": 1}, "last": {"$max": "$ts"}}},
    ]


def interpret_removals(found: List[Mapping[str, Any]], newest: int) -> Dict[str, RecentRemoval]:
    """The server's answer as data. Pure.

    Args:
        newest: when the member's newest operation was made, in seconds.
    """
    return {
        str(entry["_id"]).replace(_BUCKETS, ".", 1): RecentRemoval(
            int(entry["documents"]), float(max(0, newest - entry["last"].time))
        )
        for entry in found
    }
