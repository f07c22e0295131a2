# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restoring a set of collections beside the live ones, proving it, and carrying out the steps of a swap."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

try:
    from pymongo.write_concern import WriteConcern

    # A step that is answered is on the disk, and on most members of a set: the journal goes by it.
    _DURABLE = {"w": "majority", "j": True, "wtimeout": 60000}
    _WRITES = WriteConcern(w="majority", wtimeout=60000)
except ImportError:  # pragma: no cover - the client raises MissingLibrary first
    pass

from .._core.errors import MaintenanceError
from .._core.heap import give_large_blocks_back
from .archive import BUCKETS, ArchiveReader, CollectionMetadata, Totals
from .client import APP_NAME, Connection
from .dump import DumpSource, list_sources, uuid_of
from .errors import mongo_errors
from .restore import (
    build_indexes,
    compare_metadata,
    create_collection,
    data_heads,
    insert_documents,
    lets_expire,
    read_collection,
    same_series,
)
from .swap import COLLECTION, TIMESERIES, VIEW, Define, Drop, Journal, Listed, Refill, Rename, Side, Step, Swap

INTERNAL_DRIVERS = ("NetworkInterfaceTL", "MongoDB Internal Client")
# Seconds for connections of what was stopped just before to end: a driver's monitors look every half second.
GONE_WITHIN = 3.0


def list_live(connection: Connection, database: str) -> Dict[str, Listed]:
    """What stands in a database, by name."""
    return {source.name: listed(source) for source in list_sources(connection, database)}


def listed(source: DumpSource) -> Listed:
    return Listed(source.type, source.uuid, source.metadata)


def same_view(one: str, other: str) -> bool:
    return not compare_metadata("", one, other)


def heads_of(reader: ArchiveReader, database: str) -> Dict[str, CollectionMetadata]:
    """The collections and views of one database in an archive, by name."""
    return {head.collection: head for head in data_heads(reader) if head.db == database}


def look_at_side(connection: Connection, database: str, source: DumpSource) -> Side:
    """A live collection with the number and the hash of its documents."""
    if source.type == VIEW:
        return Side(VIEW, source.metadata)
    found = read_collection(connection, database, source.data)
    return Side(source.type, source.metadata, source.uuid, found.documents, found.sha256)


def is_same(side: Side, head: CollectionMetadata, totals: Optional[Totals]) -> bool:
    """Whether a live collection is already what an archive holds: documents in their order, options, indexes. Pure."""
    if side.kind != head.type or compare_metadata("", head.metadata, side.metadata):
        return False
    if side.kind == VIEW:
        return True
    return totals is not None and (side.documents, side.sha256) == (totals.documents, totals.sha256)


def is_live_same(
    connection: Connection, database: str, source: DumpSource, side: Side, head: CollectionMetadata, totals: Totals
) -> bool:
    """Whether a live collection is already what an archive holds, in the order in which a dump reads it.

    That is the natural one, which the side was looked at in, or the order of _id where others could write meanwhile.
    """
    if is_same(side, head, totals):
        return True
    if not source.id_index or not is_same(replace(side, sha256=totals.sha256), head, totals):
        return False
    found = read_collection(connection, database, source.data, source.id_index)
    return is_same(replace(side, documents=found.documents, sha256=found.sha256), head, totals)


# --- beside ----------------------------------------------------------------------------------------------------------


def stage(connection: Connection, database: str, journal: Journal, reader: ArchiveReader) -> None:
    """Restore collections of an archive beside the live ones, all but the indexes by which the server removes documents (TTL):
    those make `prove`. The archive is read to its end.

    Args:
        database: in the archive.

    Raises:
        ArchiveError, RefusedBackup: the archive is damaged, or the server refuses what is in it.
        MaintenanceError: the server fails otherwise.
    """
    give_large_blocks_back()
    same = same_series(connection.server.version, reader.prelude.server_version)
    heads = heads_of(reader, database)
    places: Dict[str, CollectionMetadata] = {}
    for swap in journal.swaps:
        head = heads[swap.name]
        if head.type == VIEW:
            continue
        beside = replace(head, db=journal.database, collection=journal.beside(swap, "new"))
        places[head.data_collection] = beside
        create_collection(connection, beside, same)
    for batch in reader.batches():
        found = places.get(batch.collection) if batch.db == database else None
        if found is None:
            continue
        target = connection.client[found.db].get_collection(found.data_collection, write_concern=_WRITES)
        insert_documents(target, batch.data, "%s.%s" % (batch.db, batch.collection), same)
    for beside in places.values():
        build_indexes(connection, beside, same, expiring=False)


def prove(connection: Connection, database: str, journal: Journal, reader: ArchiveReader) -> Tuple[Journal, List[str]]:
    """Compare what stands beside with the archive that was read to its end, and complete it.

    An index that lets documents expire is built when all have been read back: of a backup that is older than that time the
    server would remove them under our hands, and the archive would look as if it did not restore.

    Returns:
        The journal with the identity of each new collection, and what differs, a sentence each.
    """
    sources = {source.name: source for source in list_sources(connection, journal.database)}
    heads = heads_of(reader, database)
    same = same_series(connection.server.version, reader.prelude.server_version)
    swaps: List[Swap] = []
    differences: List[str] = []
    for swap in journal.swaps:
        head = heads[swap.name]
        where = "%s.%s" % (journal.database, swap.name)
        if head.type == VIEW:
            swaps.append(replace(swap, new=Side(VIEW, head.metadata)))
            continue
        source = sources.get(journal.beside(swap, "new"))
        if source is None:
            raise MaintenanceError("what was restored beside the collection is gone", target=where)
        side = look_at_side(connection, journal.database, source)
        swaps.append(replace(swap, new=replace(side, metadata=head.metadata)))
        said = reader.totals[(database, head.data_collection)]
        if (side.documents, side.sha256) != (said.documents, said.sha256):
            differences.append(
                "%s has %d documents instead of %d, or other ones" % (where, side.documents, said.documents)
            )
    for swap in swaps:
        if swap.new.kind != VIEW:
            name = journal.beside(swap, "new")
            beside = CollectionMetadata(journal.database, name, swap.new.kind, swap.new.metadata)
            build_indexes(connection, beside, same, expiring=True)
    found = list_live(connection, journal.database)
    for swap in swaps:
        here = found.get(journal.beside(swap, "new"))
        if swap.new.kind != VIEW and here is not None:
            where = "%s.%s" % (journal.database, swap.name)
            differences += compare_metadata(where, swap.new.metadata, here.metadata)
    return replace(journal, swaps=tuple(swaps)), differences


def copy_timeseries(connection: Connection, journal: Journal) -> Journal:
    """Copy live time-series collections that are to be swapped to collections beside them, and prove the copies.

    Returns:
        The journal with what they hold.
    """
    swaps = []
    for swap in journal.swaps:
        if swap.old.kind == TIMESERIES:
            where = "%s.%s" % (journal.database, swap.name)
            database = connection.client[journal.database]
            with mongo_errors("cannot copy the collection", where):
                # On most members of a set before the original is dropped, also where another one becomes its primary.
                source = database.get_collection(BUCKETS + swap.name, write_concern=_WRITES)
                source.aggregate([{"$match": {}}, {"$out": journal.beside(swap, "old")}])
            before = read_collection(connection, journal.database, BUCKETS + swap.name)
            # $out of nothing makes an empty collection or none; reading finds nothing in either.
            after = read_collection(connection, journal.database, journal.beside(swap, "old"))
            if before != after:
                raise MaintenanceError(
                    "the copy of the collection is not as it is",
                    target=where,
                    next_step="Something still writes to the database: stop it, then run again.",
                )
            swap = replace(swap, old=replace(swap.old, documents=before.documents, sha256=before.sha256))
        swaps.append(swap)
    return replace(journal, swaps=tuple(swaps))


# --- steps -----------------------------------------------------------------------------------------------------------


def carry_out(connection: Connection, database: str, steps: Sequence[Step]) -> None:
    """Carry out steps in their order; each looks again at what it moves right before.

    Raises:
        MaintenanceError: the server refuses, or something stands elsewhere than the step expects.
    """
    for step in steps:
        if isinstance(step, Rename):
            _require(connection, database, step.source, step.uuid)
            with mongo_errors("cannot rename the collection", "%s.%s" % (database, step.source)):
                connection.client.admin.command(
                    "renameCollection",
                    "%s.%s" % (database, step.source),
                    to="%s.%s" % (database, step.target),
                    writeConcern=_DURABLE,
                )
        elif isinstance(step, Drop):
            _require(connection, database, step.name, step.uuid)
            with mongo_errors("cannot drop what is not needed any more", "%s.%s" % (database, step.name)):
                connection.client[database].command("drop", step.name, writeConcern=_DURABLE)
        elif isinstance(step, Define):
            create_collection(connection, CollectionMetadata(database, step.name, VIEW, step.metadata), True)
        else:
            _refill(connection, database, step)


def _require(connection: Connection, database: str, name: str, uuid: str) -> None:
    found = _uuid_now(connection, database, name)
    if found != uuid:
        raise MaintenanceError(
            "the collection is gone" if found is None else "another collection stands here than a moment ago",
            target="%s.%s" % (database, name),
            next_step="Something else changes the database: stop it, then run again.",
        )


def _uuid_now(connection: Connection, database: str, name: str) -> Optional[str]:
    """UUID of the collection in which the documents of this name stand; "" of a view, None where there is nothing."""
    with mongo_errors("cannot list the collections", database):
        infos = {
            str(info["name"]): info
            for info in connection.client[database].list_collections(filter={"name": {"$in": [name, BUCKETS + name]}})
        }
    if name not in infos:
        return None
    return uuid_of(infos[BUCKETS + name] if infos[name].get("type") == TIMESERIES else infos[name])


def _refill(connection: Connection, database: str, step: Refill) -> None:
    head = CollectionMetadata(database, step.name, TIMESERIES, step.metadata)
    where = "%s.%s" % (database, step.name)
    # The new documents stand in a proven time-series collection, the old ones in a plain copy.
    buckets = connection.client[database].list_collection_names(filter={"name": BUCKETS + step.source})
    origin = BUCKETS + step.source if buckets else step.source
    create_collection(connection, head, True)
    target = connection.client[database].get_collection(head.data_collection, write_concern=_WRITES)
    with mongo_errors("cannot read the collection", "%s.%s" % (database, origin)):
        for batch in connection.client[database][origin].find_raw_batches({}):
            insert_documents(target, batch, where, True)
    build_indexes(connection, head, True)
    before = read_collection(connection, database, origin)
    if read_collection(connection, database, head.data_collection) != before:
        raise MaintenanceError("the time-series collection did not come back as it was", target=where)


def new_set_stands(journal: Journal, found: Mapping[str, Listed]) -> List[str]:
    """Where what stands live is not the proven new set, a sentence each. Pure."""
    wrong = []
    for swap in journal.swaps:
        here = found.get(swap.name)
        where = "%s.%s" % (journal.database, swap.name)
        if here is None or here.kind != swap.new.kind:
            wrong.append("%s is not there" % where)
        elif swap.new.kind == COLLECTION and here.uuid != swap.new.uuid:
            wrong.append("%s is another collection" % where)
        else:
            wrong += compare_metadata(where, swap.new.metadata, here.metadata)
    return wrong


def written_meanwhile(connection: Connection, journal: Journal) -> List[str]:
    """Names of old collections that are not any more as they were when they were looked at, now that they stand aside, where
    nobody writes to them. One whose documents expire is none: the server itself removes some.
    """
    found = []
    for swap in journal.swaps:
        if swap.old.kind != COLLECTION or lets_expire(swap.old.metadata):
            continue
        read = read_collection(connection, journal.database, journal.beside(swap, "old"))
        if (read.documents, read.sha256) != (swap.old.documents, swap.old.sha256):
            found.append(swap.name)
    return found


# --- who else is there -----------------------------------------------------------------------------------------------


def other_clients(connection: Connection) -> Optional[List[str]]:
    """Who else is connected to the server, also idle, each once; None where this user may not know.

    An application keeps its connections open: as long as there is one, it may write. A user without the privilege inprog sees
    its own connections, and the application's are that mostly, for the connection string is.

    What was stopped a moment ago is given time to go: drivers end the connections of their monitors after those of the work.
    """
    deadline = time.monotonic() + GONE_WITHIN
    while True:
        found = _clients_now(connection)
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def _clients_now(connection: Connection) -> Optional[List[str]]:
    for everybody in (True, False):
        try:
            with mongo_errors("cannot see who is connected", connection.address.where):
                stage = {"$currentOp": {"allUsers": everybody, "idleConnections": True}}
                found = clients_of(list(connection.client.admin.aggregate([stage])))
        except MaintenanceError:
            continue
        if everybody or found:
            return found
    return None


def clients_of(rows: Sequence[Mapping[str, Any]]) -> List[str]:
    """Clients in the rows of $currentOp that are neither ours nor the server's own. Pure."""
    found = set()
    for row in rows:
        metadata = row.get("clientMetadata") or {}
        driver_name = str((metadata.get("driver") or {}).get("name") or "")
        application = str(row.get("appName") or (metadata.get("application") or {}).get("name") or "")
        if not row.get("client") or application == APP_NAME or driver_name.startswith(INTERNAL_DRIVERS):
            continue
        host = str(row["client"]).rpartition(":")[0] or str(row["client"])
        found.add("%s from %s" % (application or driver_name or "a client", host))
    return sorted(found)


def free_for_data(connection: Connection, database: str) -> Optional[int]:
    """Free bytes on the file system of the server's data, as the server sees it; None where it does not tell."""
    for name in (database, "admin"):  # of a database that is not there yet it says nothing
        try:
            with mongo_errors("cannot ask for the free space", name):
                stats = connection.client[name].command("dbStats")
        except MaintenanceError:
            continue
        if stats.get("fsTotalSize"):
            return max(0, int(stats["fsTotalSize"]) - int(stats["fsUsedSize"]))
    return None
