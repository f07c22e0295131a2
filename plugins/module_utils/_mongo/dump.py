# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dumps one database: raw batches from the server straight into an archive, no document ever decoded."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import field
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple
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
from .._core.heap import give_large_blocks_back
from .._core.late_dataclass import dataclass
from .archive import BUCKETS, ArchiveWriter, CollectionMetadata, count_documents
from .client import Connection, Server
from .errors import error_code, error_number, error_text, mongo_errors
from .oplog import OPLOG_HEAD, OplogWindow, open_transactions, oplog_head, read_oplog, window_until_now
from .raw_cursor import DocumentCursor
from .read_ahead import read_ahead
from .storage import DOTS, is_readable_name

# A batch of about a megabyte is read fastest: larger ones wait, smaller ones ask more often (measured).
BATCH_BYTES = 1024 * 1024
MAX_BATCH_DOCUMENTS = 20000
DEFAULT_BATCH_DOCUMENTS = 1000
MEASURED_DOCUMENTS = 64
LISTING_ATTEMPTS = 5
SNAPSHOT_SINCE = (5, 0)  # https://www.mongodb.com/docs/manual/reference/read-concern-snapshot/
NAMESPACE_NOT_FOUND = 26
SNAPSHOT_TOO_OLD = 239
SNAPSHOT_UNAVAILABLE = 246
# The server's own databases: a dump of them restores nothing useful into another server.
SYSTEM_DATABASES = ("admin", "config", "local")
_Batch = Tuple[bytes, int]


class SnapshotExpired(MaintenanceError):
    """The server no longer keeps the moment that the dump reads from."""


class CollectionsMoved(MaintenanceError):
    """Collections were made, renamed or dropped while the database was read: another attempt may find it at rest."""


@dataclass(frozen=True)
class DumpSource:
    """One collection to dump.

    Attributes:
        data: where its documents stand: the buckets of a time-series collection.
        uuid: of the collection where its documents stand, in hexadecimal; "" for views and where the server tells none.
        metadata: for the archive's head.
        indexes: names of its indexes.
        bytes, documents: as the server counts them now, which is wrong after it was killed: for predictions only.
        id_index: name of its index on _id where that is another order than the natural one; "" where there is none such.
        validator: what its documents must pass on insert; {} where nothing is refused.
    """

    name: str
    type: str
    data: str
    metadata: str
    indexes: Tuple[str, ...] = ()
    bytes: int = 0
    documents: int = 0
    capped: bool = False
    uuid: str = ""
    id_index: str = ""
    validator: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Consistency:
    """How one moment is kept: snapshot, oplog, locked or none, and what that means for the reader of the manifest."""

    mode: str
    note: str
    fallback: bool = False


def choose_consistency(requested: str, server: Server) -> Consistency:
    """What is possible on this kind of server. Pure.

    Args:
        requested: auto, snapshot, oplog, locked or none.

    Raises:
        MaintenanceError: the server cannot do what was requested.
    """
    can_snapshot = server.topology != "standalone" and server.version_array[:2] >= SNAPSHOT_SINCE
    if requested == "oplog":
        if not can_snapshot or server.topology != "replica set":
            raise MaintenanceError(
                "the oplog of the dump's time needs a replica set of MongoDB 5.0 or newer",
                target="%s %s" % (server.topology, server.version),
                next_step="Use consistency: snapshot on a sharded cluster, locked (writers wait meanwhile), none, or auto.",
            )
        return Consistency(
            "oplog", "every collection as of one moment, and the oplog from then on to the end of the dump"
        )
    if requested == "snapshot" or (requested == "auto" and can_snapshot):
        if not can_snapshot:
            raise MaintenanceError(
                "a snapshot needs a replica set or a sharded cluster of MongoDB 5.0 or newer",
                target="%s %s" % (server.topology, server.version),
                next_step="Use consistency: locked (writers wait meanwhile), none, or auto.",
            )
        return Consistency("snapshot", "every collection as of one moment", fallback=requested == "auto")
    if requested == "locked":
        if server.topology == "mongos":
            raise MaintenanceError(
                "a sharded cluster cannot be locked through mongos",
                target=server.topology,
                next_step="Use consistency: snapshot.",
            )
        return Consistency("locked", "the server was locked against writes (fsyncLock) while the dump was read")
    note = "collections were read one after the other while the application went on writing"
    if requested == "auto":
        note += "; a standalone server or one older than MongoDB 5.0 offers nothing better without a lock"
    return Consistency("none", note)


def list_sources(connection: Connection, database: str) -> List[DumpSource]:
    """Everything in a database that is to be dumped, in the order of names.

    System collections are left out except system.js, as mongodump does; time-series buckets come with their collection.

    Raises:
        MaintenanceError: the server refuses.
    """
    for _attempt in range(LISTING_ATTEMPTS):
        sources = _list_sources(connection, database)
        if sources is not None:
            return sources
    raise _moved(database, "some vanish each time they are listed")


def _list_sources(connection: Connection, database: str) -> Optional[List[DumpSource]]:
    """None when one was gone before it could be looked at: it may have been renamed, and then stands nowhere here."""
    target = connection.client[database].with_options(codec_options=_CODEC)
    with mongo_errors("cannot list the collections", database):
        listed = list(target.list_collections())
    sources = []
    uuids = {str(info["name"]): uuid_of(info) for info in listed}
    for info in sorted(listed, key=lambda entry: str(entry["name"])):
        name = str(info["name"])
        if not _is_dumped(name):
            continue
        kind = str(info.get("type") or "collection")
        if kind != "view" and not is_readable_name(name):
            raise MaintenanceError(
                DOTS,
                target="%s.%s" % (database, name),
                next_step="Rename it (the server's command renameCollection takes the name), or drop it if nobody needs it.",
            )
        source = _source(connection, database, target, name, kind, info, uuids)
        if source is None:
            return None
        sources.append(source)
    return sources


def _is_dumped(name: str) -> bool:
    return not name.startswith("system.") or name == "system.js"


def uuid_of(info: Mapping[str, Any]) -> str:
    """UUID of a collection as listCollections has it, in hexadecimal; "" of a view."""
    uuid = (info.get("info") or {}).get("uuid")
    if uuid is None:
        return ""
    return str(uuid.hex) if isinstance(uuid, UUID) else bytes(uuid).hex()


def _source(
    connection: Connection,
    database: str,
    target: Any,
    name: str,
    kind: str,
    info: Mapping[str, Any],
    uuids: Mapping[str, str],
) -> Optional[DumpSource]:
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
                    return None  # dropped or renamed since it was listed, as temporary collections are
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
    if uuid_of(info):
        described["uuid"] = uuid_of(info)
    described["collectionName"] = name
    described["type"] = kind
    return DumpSource(
        name,
        kind,
        data,
        json_util.dumps(described, json_options=json_util.CANONICAL_JSON_OPTIONS),
        tuple(str(index["name"]) for index in indexes),
        int(statistics.get("size") or 0),
        int(statistics.get("count") or 0) or _bucket_count(statistics),
        bool(options.get("capped")),
        uuids.get(data, "") if kind != "view" else "",
        _id_index(kind, options, indexes),
        refusing_validator(options),
    )


def _id_index(kind: str, options: Mapping[str, Any], indexes: Sequence[Mapping[str, Any]]) -> str:
    # A capped collection's order is its natural one, and one that is clustered stands in the order of _id.
    if kind != "collection" or options.get("capped") or options.get("clusteredIndex"):
        return ""
    for index in indexes:
        key = dict(index.get("key") or {})
        if list(key) == ["_id"] and key["_id"] == 1 and not index.get("clustered"):
            return str(index["name"])
    return ""


def _bucket_count(statistics: Mapping[str, Any]) -> int:
    return int((statistics.get("timeseries") or {}).get("bucketCount") or 0)


def _rest_of_cursor(target: Any, name: str, answer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    cursor = answer["cursor"]
    yield from cursor["firstBatch"]
    while cursor["id"]:
        cursor = target.command("getMore", cursor["id"], collection=name)["cursor"]
        yield from cursor["nextBatch"]


def refusing_validator(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """The validator of a collection, if the server refuses to insert what does not pass it; else {}. Pure.

    Such a collection may hold documents that do not pass: those that stood in it before, and what was written past it.
    mongorestore loses them unless it is told to bypass validation
    (https://www.mongodb.com/docs/manual/core/schema-validation/bypass-document-validation/).
    """
    refuses = options.get("validationAction", "error") != "warn" and options.get("validationLevel", "strict") != "off"
    return dict(options.get("validator") or {}) if refuses else {}


def count_invalid(
    connection: Connection, database: str, collection: str, validator: Mapping[str, Any]
) -> Optional[int]:
    """How many documents of a collection do not pass a validator; None where the server does not tell."""
    if not validator:
        return 0
    try:
        with mongo_errors("cannot count what does not pass the validator", "%s.%s" % (database, collection)):
            return int(connection.client[database][collection].count_documents({"$nor": [validator]}))
    except MaintenanceError:
        return None


@dataclass
class DumpResult:
    """What a dump has to say beside its counts, which the archive writer holds.

    Attributes:
        window: of which time the oplog is in it; None where none is.
    """

    notes: List[str] = field(default_factory=list)
    window: Optional[OplogWindow] = None


@dataclass(frozen=True)
class Moment:
    """What a snapshot reads as of.

    Attributes:
        time: of the server, as its own replies name it; None where `session` keeps it.
        session: a snapshot session of the driver, for its own cursors.
    """

    time: Any = None
    session: Any = None


@dataclass(frozen=True)
class Writing:
    """Where a dump goes.

    Attributes:
        write: gets the archive's bytes in order.
        check_alive: called between batches; raises what is to end the dump (a lock that ran out).
        check_documents: gets whole documents and the name of their collection; raises when one does not parse.
    """

    write: Callable[[bytes], Any]
    check_alive: Callable[[], None] = lambda: None
    check_documents: Callable[[bytes, str], Any] = lambda data, where: None


def dump_database(
    connection: Connection,
    database: str,
    sources: Sequence[DumpSource],
    writing: Writing,
    consistency: Consistency,
    tool_version: str,
) -> Tuple[ArchiveWriter, DumpResult]:
    """Write an archive of a database.

    Raises:
        SnapshotExpired: the server gave the snapshot up.
        CollectionsMoved: a collection was renamed, or dropped or replaced before it was read to its end.
        MaintenanceError: the server refuses, or the connection was lost.
        OSError: from writing.
    """
    give_large_blocks_back()
    heads = [CollectionMetadata(database, source.name, source.type, source.metadata) for source in sources]
    with_oplog = consistency.mode == "oplog"
    if with_oplog:
        heads.append(oplog_head())
    writer = ArchiveWriter(writing.write, heads, connection.server.version, tool_version)
    result = DumpResult()
    moment: Optional[Moment] = None
    oldest = open_transactions(connection) if with_oplog else None
    if with_oplog or consistency.mode == "snapshot":
        moment = _take_moment(connection, database, sources)
    try:
        for source in sources:
            if source.type != "view":
                _dump_collection(connection, database, source, writer, writing, moment, result)
                _require_unmoved(connection, database, source)
            writer.end(database, source.data if source.type != "view" else source.name)
    finally:
        if moment is not None and moment.session is not None:
            moment.session.end_session()
    after = _listed_uuids(connection, database)
    if with_oplog and moment is not None:
        result.window = window_until_now(connection, moment.time, oldest)
        for batch, entries in read_oplog(connection, database, result.window):
            writing.check_alive()
            writing.check_documents(batch, "oplog")
            writer.add(*OPLOG_HEAD, batch, entries)
            del batch
        writer.end(*OPLOG_HEAD)
    writer.close()
    result.notes += _changes(database, sources, after, ", but in its oplog" if with_oplog else "")
    return writer, result


def _take_moment(connection: Connection, database: str, sources: Sequence[DumpSource]) -> Moment:
    """A moment at which the collections were those of `sources`.

    Raises:
        CollectionsMoved: they are others by now.
    """
    moment = Moment()
    with mongo_errors("cannot start a snapshot", database):
        if not _answers_alone(connection):
            moment = Moment(session=connection.client.start_session(snapshot=True))
        else:
            try:
                moment = Moment(_snapshot_time(connection, database, sources))
            except driver.OperationFailure as error:
                # Even the moment that the server itself has chosen, where it keeps next to none.
                if error.code == SNAPSHOT_TOO_OLD:
                    raise _expired(database) from error
                raise
    now = _listed_uuids(connection, database)
    for source in sources:
        if source.type != "view" and now.get(source.data) != source.uuid:
            raise _moved("%s.%s" % (database, source.name), "it was renamed, dropped or replaced as the dump began")
    known = {source.name for source in sources}
    for name in sorted(now):
        if _is_dumped(name) and name not in known:
            raise _moved("%s.%s" % (database, name), "it was made as the dump began")
    return moment


def _snapshot_time(connection: Connection, database: str, sources: Sequence[DumpSource]) -> Any:
    """A Timestamp that the server can read as of: what most of its members have."""
    for source in sources:
        if source.type == "view":
            continue
        question = {"find": source.data, "projection": {"_id": 1}, "limit": 1, "singleBatch": True}
        try:
            answer = connection.client[database].command(dict(question, readConcern={"level": "snapshot"}))
        except driver.OperationFailure as error:
            if error.code != SNAPSHOT_UNAVAILABLE:
                raise
            continue
        if "atClusterTime" in answer["cursor"]:
            return answer["cursor"]["atClusterTime"]
    # None to ask: what there is is not in a snapshot, and is read as it is at its turn.
    return connection.client.admin.command("ping")["operationTime"]


def _listed_uuids(connection: Connection, database: str, **condition: Any) -> Dict[str, str]:
    """UUIDs of the collections by name, outside of any snapshot; "" for a view."""
    with mongo_errors("cannot list the collections", database):
        return {str(info["name"]): uuid_of(info) for info in connection.client[database].list_collections(**condition)}


def _require_unmoved(connection: Connection, database: str, source: DumpSource) -> None:
    """Right after its reading: under the name that was read stands the collection that was listed.

    The server reads by name, and under a name that is gone it finds no documents, which is no error. A snapshot does not
    help: before MongoDB 7.0 its names are those of the present.
    """
    now = _listed_uuids(connection, database, filter={"name": source.data})
    if now.get(source.data) != source.uuid:
        raise _moved("%s.%s" % (database, source.name), "it was renamed, dropped or replaced while it was read")


def _expired(where: str) -> SnapshotExpired:
    return SnapshotExpired(
        "the server no longer keeps the moment of the snapshot: the dump takes longer than its history window",
        target=where,
        code="239 SnapshotTooOld",
        next_step="Raise minSnapshotHistoryWindowInSeconds on the server above the dump's duration, or use consistency: none.",
    )


def _moved(where: str, how: str, code: Any = None) -> CollectionsMoved:
    return CollectionsMoved(
        "the collections changed while the database was read: %s" % how,
        target=where,
        code=code,
        next_step="Nothing of this backup remains. Run again.",
    )


def _changes(
    database: str, sources: Sequence[DumpSource], after: Mapping[str, str], of_new_ones: str = ""
) -> List[str]:
    """What became of the collections since each was read to its end; lines for the manifest. Pure.

    Args:
        after: UUIDs by name, as listed when everything had been read.
        of_new_ones: what else to say of those that are not in the dump.

    Raises:
        MaintenanceError: one was renamed: a restore would bring back the old name beside or instead of the new one.
    """
    names = {uuid: name for name, uuid in after.items() if uuid}
    notes = []
    for source in sources:
        where = "%s.%s" % (database, source.name)
        if after.get(source.data if source.type != "view" else source.name) == source.uuid:
            continue
        elsewhere = names.get(source.uuid)
        if elsewhere is not None:
            raise _moved(where, "it is now called %s" % elsewhere)
        notes.append("%s was dropped or replaced after it had been read: what is in the backup is the old one" % where)
    known = {source.name for source in sources}
    notes += [
        "%s.%s was made while the database was read, and is not in the backup%s" % (database, name, of_new_ones)
        for name in sorted(after)
        if _is_dumped(name) and name not in known
    ]
    return notes


def _dump_collection(
    connection: Connection,
    database: str,
    source: DumpSource,
    writer: ArchiveWriter,
    writing: Writing,
    moment: Optional[Moment],
    result: DumpResult,
) -> None:
    where = "%s.%s" % (database, source.name)
    written = 0

    def read(moment: Optional[Moment], hint: str) -> None:
        nonlocal written
        with documents_of_collection(connection, database, source.data, moment, hint) as batches:
            for batch, documents in _reading(batches, where, moment):
                writing.check_alive()
                writing.check_documents(batch, where)
                writer.add(database, source.data, batch, documents)
                written += documents

    try:
        # While others write, a document that is deleted and inserted again stands at two places of the natural order, and
        # would be read twice; an index on _id names it once. At one moment the natural order is as good, and faster.
        read(moment, source.id_index if moment is None else "")
    except _NotInSnapshot as error:
        if written:
            raise MaintenanceError(
                "the snapshot was lost while a collection was read", target=where, code=error.code
            ) from error
        if not source.capped:
            raise _moved(where, "it was made or changed after the moment of the snapshot", error.code) from error
        # Servers before 8.0 never have these in a snapshot.
        result.notes.append("%s is not part of the snapshot (%s): read as it was at its turn" % (where, error.text))
        read(None, source.id_index)


class _NotInSnapshot(Exception):
    def __init__(self, code: Any, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@contextmanager
def documents_of_collection(
    connection: Connection, database: str, name: str, moment: Optional[Moment] = None, hint: str = ""
) -> Iterator[Iterator[_Batch]]:
    """Raw batches of a collection and how many documents are in each, read ahead by a thread: the server need not wait for us.

    Args:
        moment: what to read as of; None reads what is there.
        hint: name of the index that gives the order; "" for the natural one.

    Raises:
        what the driver raises, where the batches are read.
    """
    target = connection.client[database]

    def open_cursor() -> Any:
        if not _answers_alone(connection):
            find = target[name].find_raw_batches
            session = moment.session if moment is not None else None
            # Negative: one batch, and no cursor stays open.
            size = measure_batch(find({}, limit=-MEASURED_DOCUMENTS, session=session, hint=hint or None))
            return _Counted(find({}, batch_size=size, session=session, hint=hint or None))
        command: Dict[str, Any] = {"find": name, "filter": {}}
        if hint:
            command["hint"] = hint
        if moment is not None:
            command["readConcern"] = {"level": "snapshot", "atClusterTime": moment.time}
        few = dict(command, limit=MEASURED_DOCUMENTS, singleBatch=True)
        with DocumentCursor(target, few, MEASURED_DOCUMENTS) as cursor:
            size = measure_batch(batch for batch, _documents in cursor)
        return DocumentCursor(target, command, size)

    with read_ahead(open_cursor) as batches:
        yield batches


class _Counted:
    """Batches of the driver's own cursor, with the number of documents in each."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def __enter__(self) -> _Counted:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._cursor.close()

    def __next__(self) -> _Batch:
        batch = next(self._cursor)
        return batch, count_documents(batch)


def _answers_alone(connection: Connection) -> bool:
    """Whether each command goes to one server, the one that holds a cursor, without the driver's own cursor."""
    preference = connection.client.read_preference
    return connection.server.topology != "mongos" and (connection.address.direct or preference.mode == 0)


def documents_per_batch(sizes: Sequence[int]) -> int:
    """How many documents make a batch of about BATCH_BYTES. Pure.

    Args:
        sizes: of some documents, in bytes. Half of them are smaller: one that is much larger than the others decides
            nothing. The server ends a batch at 16 MB, however many are asked for.
    """
    if not sizes:
        return DEFAULT_BATCH_DOCUMENTS
    return max(2, min(MAX_BATCH_DOCUMENTS, BATCH_BYTES // max(1, sorted(sizes)[len(sizes) // 2])))


def measure_batch(batches: Iterable[bytes]) -> int:
    """How many documents of a collection make a batch, by the first few of them: the server's own count may be wrong.

    Args:
        batches: those few, as whole documents one after the other.
    """
    sizes: List[int] = []
    for batch in batches:
        position = 0
        while position < len(batch):
            # A document begins with its own length.
            sizes.append(int.from_bytes(batch[position : position + 4], "little"))
            position += max(sizes[-1], 5)
    return documents_per_batch(sizes)


def _reading(batches: Iterator[_Batch], where: str, moment: Optional[Moment]) -> Iterator[_Batch]:
    """The batches; only what the server has against their reading becomes an error of it."""
    while True:
        with mongo_errors("cannot read the collection", where):
            try:
                item = next(batches, None)
            except driver.PyMongoError as error:
                number = error_number(error) if moment is not None else None
                if number == SNAPSHOT_TOO_OLD:
                    raise _expired(where) from error
                if number == SNAPSHOT_UNAVAILABLE:
                    raise _NotInSnapshot(error_code(error), error_text(error)) from error
                raise
        if item is None:
            return
        yield item
        del item


def has_documents(connection: Connection, database: str, source: DumpSource) -> bool:
    """Whether a collection holds at least one document."""
    with mongo_errors("cannot read the collection", "%s.%s" % (database, source.name)):
        return bool(connection.client[database][source.data].find_one({}, {"_id": 1}))
