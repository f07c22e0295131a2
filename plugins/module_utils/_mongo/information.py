# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a server holds and how it is doing: the work of mongo_info."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .._core.call import Call
from .._core.clock import utc_now
from .._core.errors import MaintenanceError
from .._core.forecast import forecast
from .._core.late_dataclass import dataclass
from .._core.plan import Report
from .._core.record import LIST_CAP
from .._core.units import format_size, parse_duration
from .address import resolve
from .client import Connection, connect_member, open_address
from .compaction import SKIPPED_KINDS, predict, predict_file
from .counting import Count, count_collections
from .health import IndexUse, Prober
from .index_advice import find_covered, is_unused, look_again
from .index_history import read_rests, write_rests
from .size_history import read_sizes, with_sizes, write_sizes
from .storage import (
    CollectionStatistics,
    DatabaseStatistics,
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
        return _read(connection, call)


def _read(connection: Connection, call: Call) -> Report:
    params, now = call.params, utc_now().replace(microsecond=0)
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
    described = [
        entry for entry in statistics[:LIST_CAP] if entry.kind in ("collection", "capped")
    ]  # what is not returned need not be asked for
    health = prober.health()
    uses = {entry.namespace: prober.index_use(entry.database, entry.name) for entry in described}
    judged = judge_use(call, connection, health["members"], described, uses, now)
    unused = judged.unused
    collections, covered = [], []
    for entry in statistics:
        values = dict(
            entry.as_dict(),
            documents_counted=counts[entry.namespace].counted if entry.namespace in counts else None,
            reclaimable_bytes=0 if entry.kind in SKIPPED_KINDS else predict(entry),
        )
        files = {file.name: file for file in entry.indexes}
        use = uses.get(entry.namespace, {})
        superfluous = {item.name: item for item in find_covered([one.spec for one in use.values()])}
        for index in values["indexes"]:
            file = files[index["name"]]
            index["reclaimable_bytes"] = 0 if entry.kind in SKIPPED_KINDS else predict_file(file)
            index["free_share"] = round(file.reusable / file.bytes, 4) if file.bytes else 0.0
            if index["name"] in use:
                full = "%s.%s" % (entry.namespace, index["name"])
                index.update(use[index["name"]].as_dict(), unused=full in unused)
                index["rested_days"] = judged.rested_days.get(full)
            if index["name"] in superfluous:
                item = superfluous[index["name"]]
                covered.append(
                    {
                        "name": "%s.%s" % (entry.namespace, item.name),
                        "covered_by": item.by,
                        "kind": item.kind,
                        "bytes": file.bytes,
                    }
                )
        collections.append(values)
    wrong = sorted(namespace for namespace, count in counts.items() if count.wrong)
    databases = [read_database_statistics(connection, name) for name in names]
    growth, growth_warnings = judge_growth(call, connection.server.name or connection.address.where, databases, now)
    values = {
        "server": prober.server(),
        "databases": [dict(entry.as_dict(), growth=growth[entry.name]) for entry in databases],
        "collections": collections,
        "unused_indexes": unused,
        "redundant_indexes": covered,
        "wrong_counts": wrong,
        "health": health,
    }
    storage = sum(entry.bytes for entry in statistics)
    reclaimable = sum(entry["reclaimable_bytes"] for entry in collections)
    indexes = [index for entry in collections for index in entry["indexes"]]
    headline = "%s; MongoDB %s (%s): %d collections, %s on disk, about %s reclaimable%s" % (
        index_sentence(indexes, len(unused), len(covered)),
        connection.server.version,
        connection.server.topology,
        len(statistics),
        format_size(storage),
        format_size(reclaimable),
        growth_words(growth),
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
            "redundant_indexes": len(covered),
            "collections_counted": len(counts),
            "wrong_counts": len(wrong),
        },
        values=values,
        record={key: found for key, found in (("unused_indexes", unused), ("wrong_counts", wrong)) if found},
        warnings=prober.warnings + judged.warnings + growth_warnings + wrong_count_warnings(counts),
    )


@dataclass(frozen=True)
class JudgedUse:
    """What all members together say of the use of indexes.

    Attributes:
        unused: as database.collection.index.
        rested_days: for how many days the member that used it last is known not to have, by the same.
    """

    unused: List[str]
    rested_days: Mapping[str, float]
    warnings: List[str]


def judge_use(
    call: Call,
    connection: Connection,
    members: Optional[Sequence[Mapping[str, Any]]],
    collections: Sequence[CollectionStatistics],
    uses: Mapping[str, Mapping[str, IndexUse]],
    now: datetime,
) -> JudgedUse:
    """Ask the other members as well, add to what earlier calls have seen, and remember it; check mode remembers nothing.

    Args:
        members: of the replica set, empty on a standalone, None where they are not known.
        uses: on the connected member, by collection and index.
    """
    warnings: List[str] = []
    asked: Dict[str, Mapping[str, Mapping[str, IndexUse]]] = {}
    others = [member for member in members or [] if member["state"] != "arbiter"]
    if members is None or connection.server.topology == "mongos":
        # Nobody knows whom to ask.
        return JudgedUse([], {}, warnings)
    asked[connection.server.name or connection.address.where] = uses
    for member in others:
        if member["connected"]:
            continue
        try:
            asked[member["name"]] = _ask_member(call.params, member, collections)
        except MaintenanceError as error:
            asked[member["name"]] = {}
            warnings.append("no index is called unused, as a member could not be asked for their use: %s" % error)
    try:
        known = read_rests(call.run.state_dir)
        for name, found in asked.items():
            for namespace, indexes in found.items():
                for use in indexes.values():
                    if use.since is not None:
                        key = (name, "%s.%s" % (namespace, use.name))
                        known[key] = look_again(known.get(key), use.since, use.accesses, now)
        if not call.check:
            write_rests(call.run.state_dir, known, now)
    except MaintenanceError as error:
        warnings.append("what was seen of the use of indexes is not kept: %s" % error)
        known = {}
    unused, rested = [], {}
    for namespace, indexes in uses.items():
        for use in indexes.values():
            full = "%s.%s" % (namespace, use.name)
            rests = [
                known.get((name, full)) if use.name in found.get(namespace, {}) else None
                for name, found in asked.items()
            ]
            if is_unused(use.spec, rests):
                unused.append(full)
            if all(rest is not None for rest in rests):
                rested[full] = round(min(rest.rested for rest in rests if rest is not None) / 86400.0, 1)
    return JudgedUse(sorted(unused), rested, warnings)


def judge_growth(
    call: Call, server: str, databases: Sequence[DatabaseStatistics], now: datetime
) -> Tuple[Dict[str, Dict[str, Any]], List[str]]:
    """How fast the files of each database grow, by what earlier calls saw on this server, and warnings; check mode remembers nothing.

    Args:
        server: by its name in its set, or its address.
    """
    sizes = {(server, entry.name): entry.storage_bytes + entry.index_bytes for entry in databases}
    warnings: List[str] = []
    known = with_sizes({}, sizes, now)
    try:
        known = with_sizes(read_sizes(call.run.state_dir), sizes, now)
        if not call.check:
            write_sizes(call.run.state_dir, known)
    except MaintenanceError as error:
        warnings.append("how large the databases are is not kept for a forecast: %s" % error)
    growth = {}
    for entry in databases:
        found = forecast(known[(server, entry.name)], entry.filesystem_free, now)
        if not entry.filesystem_bytes:
            # Where the server does not tell how much room there is, nobody knows when it ends.
            found = replace(
                found, days_until_full=None, reason=found.reason or "the server does not tell the free space"
            )
        growth[entry.name] = {
            "bytes_per_day": None if found.per_day is None else int(round(found.per_day)),
            "days_until_full": None if found.days_until_full is None else round(found.days_until_full, 1),
            "samples": found.samples,
            "span_days": found.span_days,
            "reason": found.reason or None,
        }
    return growth, warnings


def _ask_member(
    params: Mapping[str, Any], member: Mapping[str, Any], collections: Sequence[CollectionStatistics]
) -> Dict[str, Mapping[str, IndexUse]]:
    """The use of indexes on another member.

    Raises:
        MaintenanceError: it cannot be reached, or may not be asked.
    """
    name = str(member["name"])
    if not member["healthy"] or member["state"] not in ("primary", "secondary"):
        raise MaintenanceError(
            "this member is %s" % (member["state"] or "not known"),
            target=name,
            next_step="Look at it with rs.status().",
        )
    address = resolve(dict(params, address=name), by_its_own_name=True)
    with open_address(address, float(params.get("connect_timeout") or 5)) as connection:
        prober = Prober(connection)
        found: Dict[str, Mapping[str, IndexUse]] = {}
        for entry in collections:
            found[entry.namespace] = prober.index_use(entry.database, entry.name)
        if prober.warnings:
            raise MaintenanceError(prober.warnings[0].rstrip("."), target=name)
        return found


def wrong_count_warnings(counts: Mapping[str, Count]) -> List[str]:
    """One sentence for each collection whose statistics do not know how many documents it has. Pure."""
    return [
        "%s: the statistics say %d documents, counting finds %d. This comes of a server that was killed: nothing is lost by it,"
        " but count() and estimatedDocumentCount() are wrong until it is validated in the foreground, which keeps writers waiting"
        " (mongo_reindex, mode: validate, foreground: true)%s."
        % (
            namespace,
            count.fast,
            count.counted,
            "" if count.counted else "; as it is empty, that mends it only once it holds a document again",
        )
        for namespace, count in sorted(counts.items())
        if count.wrong
    ]


# A forecast from three months says nothing of a time so far away.
_FAR_DAYS = 1000


def growth_words(growth: Mapping[str, Mapping[str, Any]]) -> str:
    """How fast the databases grow together, to be put after what they take; "" as long as nobody knows. Pure.

    Args:
        growth: by database, as it is returned.
    """
    known = [entry for entry in growth.values() if entry["bytes_per_day"] is not None]
    if not known:
        return ""
    per_day = sum(int(entry["bytes_per_day"]) for entry in known)
    if per_day <= 0:
        return ", not growing"
    days = min((entry["days_until_full"] for entry in known if entry["days_until_full"] is not None), default=None)
    full = ", the disk full in %d days" % days if days is not None and days < _FAR_DAYS else ""
    return ", growing by %s a day%s" % (format_size(per_day), full)


def index_sentence(indexes: List[Dict[str, Any]], unused: int, redundant: int = 0) -> str:
    """How many indexes there are, how many of them nobody used, and how many another one covers. Pure.

    Args:
        indexes: as they are returned; those whose use could not be read have no accesses_since.
        unused: how many of them are unused.
        redundant: how many of them another one covers.
    """
    text = "%d index%s" % (len(indexes), "" if len(indexes) == 1 else "es")
    if not indexes:
        return text
    more = ", %d covered by another one" % redundant if redundant else ""
    known = [index for index in indexes if index.get("accesses_since")]
    if not known:
        return text + ", use not known" + more
    if unused:
        return "%s, %d unused for 30 days or more on every member%s" % (text, unused, more)
    # The server counts from its start: of a young one silence says nothing.
    earliest = min(str(index["accesses_since"]) for index in known)
    return "%s, none unused for 30 days (use is counted since %s)%s" % (text, earliest, more)
