# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a server holds and how it is doing: the work of mongo_info."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from .._core.call import Call
from .._core.clock import utc_now
from .._core.plan import Report
from .._core.record import LIST_CAP
from .._core.units import format_size, parse_duration
from .client import Connection, connect_member
from .compaction import SKIPPED_KINDS, predict
from .counting import Count, count_collections
from .health import Prober
from .storage import (
    CollectionStatistics,
    choose_databases,
    list_collection_statistics,
    read_database_statistics,
    require_names,
)


def read_information(call: Call) -> Report:
    """All that mongo_info tells.

    Raises:
        MaintenanceError: the server refuses or cannot be reached, or a name is misspelt.
    """
    with connect_member(call.params) as connection:
        return _read(connection, call.params)


def _read(connection: Connection, params: Mapping[str, Any]) -> Report:
    now = utc_now()
    prober = Prober(connection)
    names = choose_databases(connection, params["databases"], fallback_to_all=True)
    statistics: List[CollectionStatistics] = []
    for name in names:
        statistics += list_collection_statistics(connection, name, params["collections"])
    require_names(statistics, params["collections"], names)
    statistics.sort(key=lambda entry: (-entry.bytes, entry.namespace))
    seconds = parse_duration(params["count_time"])
    counts = (
        prober.ask(
            "the documents, to count them",
            lambda: count_collections(connection, statistics, seconds),
            "read on the database",
        )
        or {}
    )
    unused: List[str] = []
    collections = []
    for position, entry in enumerate(statistics):
        values = dict(
            entry.as_dict(),
            documents_counted=counts[entry.namespace].counted if entry.namespace in counts else None,
            reclaimable_bytes=0 if entry.kind in SKIPPED_KINDS else predict(entry),
        )
        # What is not returned need not be asked for.
        if position < LIST_CAP and entry.kind in ("collection", "capped"):
            use = prober.index_use(entry.database, entry.name)
            for index in values["indexes"]:
                if index["name"] in use:
                    index.update(use[index["name"]].as_dict(now))
                    if index["unused"]:
                        unused.append("%s.%s" % (entry.namespace, index["name"]))
        collections.append(values)
    wrong = sorted(namespace for namespace, count in counts.items() if count.wrong)
    values = {
        "server": prober.server(),
        "databases": [read_database_statistics(connection, name).as_dict() for name in names],
        "collections": collections,
        "unused_indexes": unused,
        "wrong_counts": wrong,
        "health": prober.health(),
    }
    storage = sum(entry.bytes for entry in statistics)
    reclaimable = sum(entry["reclaimable_bytes"] for entry in collections)
    indexes = [index for entry in collections for index in entry["indexes"]]
    headline = "%s; MongoDB %s (%s): %d collections, %s on disk, about %s reclaimable" % (
        index_sentence(indexes, len(unused)),
        connection.server.version,
        connection.server.topology,
        len(statistics),
        format_size(storage),
        format_size(reclaimable),
    )
    if wrong:
        # First, as it is what somebody has to do something about.
        headline = "the count of documents is wrong in %d collection%s; %s" % (
            len(wrong),
            "" if len(wrong) == 1 else "s",
            headline,
        )
    return Report(
        headline,
        summary={
            "storage_bytes": storage,
            "reusable_bytes": sum(entry.reusable for entry in statistics),
            "reclaimable_bytes": reclaimable,
            "collections": len(statistics),
            "indexes": len(indexes),
            "unused_indexes": len(unused),
            "collections_counted": len(counts),
            "wrong_counts": len(wrong),
        },
        values=values,
        record={key: found for key, found in (("unused_indexes", unused), ("wrong_counts", wrong)) if found},
        warnings=prober.warnings + wrong_count_warnings(counts),
    )


def wrong_count_warnings(counts: Mapping[str, Count]) -> List[str]:
    """One sentence for each collection whose statistics do not know how many documents it has. Pure."""
    return [
        "%s: the statistics say %d documents, counting finds %d. This comes of a server that was killed: nothing is lost by it,"
        " but count() and estimatedDocumentCount() are wrong until db.COLLECTION.validate() has run, which keeps writers"
        " waiting." % (namespace, count.fast, count.counted)
        for namespace, count in sorted(counts.items())
        if count.wrong
    ]


def index_sentence(indexes: List[Dict[str, Any]], unused: int) -> str:
    """How many indexes there are and how many of them nobody used, and since when that is known. Pure.

    Args:
        indexes: as they are returned; those whose use could not be read have no accesses_since.
        unused: how many of them are unused.
    """
    text = "%d index%s" % (len(indexes), "" if len(indexes) == 1 else "es")
    known = [index for index in indexes if index.get("accesses_since")]
    if not known:
        return text + ", use not known" if indexes else text
    if not unused:
        # The server counts from its start: of a young one silence says nothing.
        earliest = min(str(index["accesses_since"]) for index in known)
        return "%s, none unused for a week or more (use is counted since %s)" % (text, earliest)
    since = max(str(index["accesses_since"]) for index in known if index.get("unused"))
    return "%s, %d unused since %s or longer" % (text, unused, since)
