# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dumps one database: raw batches from the server straight into an archive, no document ever decoded."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple
from uuid import UUID

try:
    from bson import json_util
    from bson.codec_options import CodecOptions, DatetimeConversion
    from pymongo import errors as driver

    # An index or a view may well hold a date that Python's datetime cannot.
    _CODEC = CodecOptions(tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO)
except ImportError:  # pragma: no cover - the client raises MissingLibrary first
    pass

from .._core.errors import MaintenanceError
from .archive import BUCKETS, ArchiveWriter, CollectionMetadata
from .client import Connection, Server
from .errors import error_number, error_text, mongo_errors

# A batch of about a megabyte is read fastest: larger ones wait, smaller ones ask more often (measured).
BATCH_BYTES = 1024 * 1024
MAX_BATCH_DOCUMENTS = 20000
READ_AHEAD = 3
SNAPSHOT_SINCE = (5, 0)  # https://www.mongodb.com/docs/manual/reference/read-concern-snapshot/
NAMESPACE_NOT_FOUND = 26
SNAPSHOT_TOO_OLD = 239
SNAPSHOT_UNAVAILABLE = 246
# The server's own databases: a dump of them restores nothing useful into another server.
SYSTEM_DATABASES = ("admin", "config", "local")


class SnapshotExpired(MaintenanceError):
    """The server no longer keeps the moment that the dump reads from."""


@dataclass(frozen=True)
class Source:
    """One collection to dump.

    Attributes:
        data: where its documents stand: the buckets of a time-series collection.
        metadata: for the archive's head.
        indexes: names of its indexes.
        bytes, documents: as the server counts them now; for predictions and batch sizes only.
    """

    name: str
    type: str
    data: str
    metadata: str
    indexes: Tuple[str, ...] = ()
    bytes: int = 0
    documents: int = 0
    capped: bool = False

    @property
    def batch_documents(self) -> int:
        """How many documents make a batch of about BATCH_BYTES."""
        if not self.documents or not self.bytes:
            return 1000
        return int(max(2, min(MAX_BATCH_DOCUMENTS, BATCH_BYTES * self.documents // max(1, self.bytes))))


@dataclass(frozen=True)
class Consistency:
    """How one moment is kept: snapshot, locked or none, and what that means for the reader of the manifest."""

    mode: str
    note: str
    fallback: bool = False


def choose_consistency(requested: str, server: Server) -> Consistency:
    """What is possible on this kind of server. Pure.

    Args:
        requested: auto, snapshot, locked or none.

    Raises:
        MaintenanceError: the server cannot do what was requested.
    """
    can_snapshot = server.topology != "standalone" and server.version_array[:2] >= SNAPSHOT_SINCE
    if requested == "snapshot" or (requested == "auto" and can_snapshot):
        if not can_snapshot:
            raise MaintenanceError(
                "a snapshot needs a replica set or a sharded cluster of MongoDB 5.0 or newer",
                "%s %s" % (server.topology, server.version),
                next_step="Use consistency: locked (writers wait meanwhile), none, or auto.",
            )
        return Consistency("snapshot", "every collection as of one moment", fallback=requested == "auto")
    if requested == "locked":
        if server.topology == "mongos":
            raise MaintenanceError(
                "a sharded cluster cannot be locked through mongos",
                server.topology,
                next_step="Use consistency: snapshot.",
            )
        return Consistency("locked", "the server was locked against writes (fsyncLock) while the dump was read")
    note = "collections were read one after the other while the application went on writing"
    if requested == "auto":
        note += "; a standalone server or one older than MongoDB 5.0 offers nothing better without a lock"
    return Consistency("none", note)


def list_sources(connection: Connection, database: str) -> List[Source]:
    """Everything in a database that is to be dumped, in the order of names.

    System collections are left out except system.js, as mongodump does; time-series buckets come with their collection.

    Raises:
        MaintenanceError: the server refuses.
    """
    target = connection.client[database].with_options(codec_options=_CODEC)
    with mongo_errors("cannot list the collections", database):
        listed = list(target.list_collections())
    sources = []
    for info in sorted(listed, key=lambda entry: str(entry["name"])):
        name = str(info["name"])
        if name.startswith("system.") and name != "system.js":
            continue
        kind = str(info.get("type") or "collection")
        source = _source(connection, database, target, name, kind, info)
        if source is not None:
            sources.append(source)
    return sources


def _source(
    connection: Connection, database: str, target: Any, name: str, kind: str, info: Mapping[str, Any]
) -> Optional[Source]:
    where = "%s.%s" % (database, name)
    indexes: List[Mapping[str, Any]] = []
    data = BUCKETS + name if kind == "timeseries" else name
    statistics: Mapping[str, Any] = {}
    if kind != "view":
        with mongo_errors("cannot read the indexes", where):
            # The command and not the driver's helper: that one refuses names with a dollar sign.
            try:
                answer = target.command("listIndexes", name, cursor={})
                indexes = list(_rest_of_cursor(target, name, answer))
            except driver.OperationFailure as error:
                if error.code == NAMESPACE_NOT_FOUND:
                    return None  # dropped since it was listed, as temporary collections are
                raise
        try:
            statistics = target.command("collStats", data)
        except driver.PyMongoError:
            statistics = {}  # only for predictions; reading may be allowed where this is not
    options = info.get("options") or {}
    described: Dict[str, Any] = {}
    if options:
        described["options"] = options
    described["indexes"] = [{key: value for key, value in index.items() if key != "ns"} for index in indexes]
    uuid = (info.get("info") or {}).get("uuid")
    if uuid is not None:
        described["uuid"] = uuid.hex if isinstance(uuid, UUID) else bytes(uuid).hex()
    described["collectionName"] = name
    described["type"] = kind
    return Source(
        name,
        kind,
        data,
        json_util.dumps(described, json_options=json_util.CANONICAL_JSON_OPTIONS),
        tuple(str(index["name"]) for index in indexes),
        int(statistics.get("size") or 0),
        int(statistics.get("count") or 0) or _bucket_count(statistics),
        bool(options.get("capped")),
    )


def _bucket_count(statistics: Mapping[str, Any]) -> int:
    return int((statistics.get("timeseries") or {}).get("bucketCount") or 0)


def _rest_of_cursor(target: Any, name: str, answer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    cursor = answer["cursor"]
    yield from cursor["firstBatch"]
    while cursor["id"]:
        cursor = target.command("getMore", cursor["id"], collection=name)["cursor"]
        yield from cursor["nextBatch"]


@dataclass
class DumpResult:
    """What a dump has to say beside its counts, which the archive writer holds."""

    notes: List[str] = field(default_factory=list)


def dump_database(
    connection: Connection,
    database: str,
    sources: Sequence[Source],
    write: Callable[[bytes], Any],
    consistency: Consistency,
    tool_version: str,
    check_alive: Callable[[], None] = lambda: None,
) -> Tuple[ArchiveWriter, DumpResult]:
    """Write an archive of a database.

    Args:
        write: gets the archive's bytes in order.
        check_alive: called between batches; raises what is to end the dump (a lock that ran out).

    Raises:
        SnapshotExpired: the server gave the snapshot up.
        MaintenanceError: the server refuses, or the connection was lost.
        OSError: from write.
    """
    heads = [CollectionMetadata(database, source.name, source.type, source.metadata) for source in sources]
    writer = ArchiveWriter(write, heads, connection.server.version, tool_version)
    result = DumpResult()
    session: Optional[Any] = None
    if consistency.mode == "snapshot":
        with mongo_errors("cannot start a snapshot", database):
            session = connection.client.start_session(snapshot=True)
    try:
        for source in sources:
            if source.type != "view":
                _dump_collection(connection, database, source, writer, session, result, check_alive)
            writer.end(database, source.data if source.type != "view" else source.name)
    finally:
        if session is not None:
            session.end_session()
    writer.close()
    return writer, result


def _dump_collection(
    connection: Connection,
    database: str,
    source: Source,
    writer: ArchiveWriter,
    session: Optional[Any],
    result: DumpResult,
    check_alive: Callable[[], None],
) -> None:
    where = "%s.%s" % (database, source.name)
    written = False
    try:
        for batch in _batches(connection, database, source, session, where):
            check_alive()
            writer.add(database, source.data, batch)
            written = True
    except _NotInSnapshot as error:
        if written:
            raise MaintenanceError("the snapshot was lost while a collection was read", where, error.code) from error
        # Capped collections, for one, on servers before 8.0.
        result.notes.append("%s is not part of the snapshot (%s): read as it was at its turn" % (where, error.text))
        for batch in _batches(connection, database, source, None, where):
            check_alive()
            writer.add(database, source.data, batch)


class _NotInSnapshot(Exception):
    def __init__(self, code: Optional[int], text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def _batches(
    connection: Connection, database: str, source: Source, session: Optional[Any], where: str
) -> Iterator[bytes]:
    """Raw batches of a collection in its natural order, read ahead by a thread: the server need not wait for us."""
    waiting: queue.Queue[Any] = queue.Queue(READ_AHEAD)
    stop = threading.Event()

    def put(item: Any) -> bool:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def read() -> None:
        try:
            collection = connection.client[database][source.data]
            cursor = collection.find_raw_batches({}, batch_size=source.batch_documents, session=session)
            try:
                for batch in cursor:
                    if not put(batch):
                        return
            finally:
                cursor.close()
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        while True:
            item = waiting.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                _raise(item, where, session)
            yield item
    finally:
        stop.set()
        thread.join()


def _raise(error: BaseException, where: str, session: Optional[Any]) -> None:
    number = error_number(error) if isinstance(error, Exception) else None
    if session is not None and number == SNAPSHOT_TOO_OLD:
        raise SnapshotExpired(
            "the server no longer keeps the moment of the snapshot: the dump takes longer than its history window",
            where,
            "239 SnapshotTooOld",
            "Raise minSnapshotHistoryWindowInSeconds on the server above the dump's duration, or use consistency: none.",
        ) from error
    if session is not None and number == SNAPSHOT_UNAVAILABLE and isinstance(error, Exception):
        raise _NotInSnapshot(number, error_text(error)) from error
    with mongo_errors("cannot read the collection", where):
        raise error


def has_documents(connection: Connection, database: str, source: Source) -> bool:
    """Whether a collection holds at least one document."""
    with mongo_errors("cannot read the collection", "%s.%s" % (database, source.name)):
        return bool(connection.client[database][source.data].find_one({}, {"_id": 1}))
