# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores an archive into an empty server, and compares what is there afterwards with what the archive said."""

from __future__ import annotations

import hashlib
import struct
from contextlib import contextmanager
from dataclasses import field
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

try:
    from bson import json_util
    from bson.codec_options import CodecOptions, DatetimeConversion
    from bson.raw_bson import RawBSONDocument
    from pymongo import errors as driver

    # Metadata keeps its types: an index on 1.0 is another one than an index on 1.
    _JSON = json_util.JSONOptions(
        json_mode=json_util.JSONMode.CANONICAL, tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO
    )
    _RAW = CodecOptions(
        document_class=RawBSONDocument,
        datetime_conversion=DatetimeConversion.DATETIME_AUTO,
        unicode_decode_error_handler="replace",
    )
except ImportError:  # pragma: no cover - the client raises MissingLibrary first
    RawBSONDocument = object  # type: ignore[assignment,misc]

from .._core.errors import MaintenanceError
from .._core.heap import give_large_blocks_back
from .._core.late_dataclass import dataclass
from .archive import ArchiveReader, CollectionMetadata
from .behind import behind
from .client import Connection
from .dump import DumpSource, count_invalid, documents_of_collection, list_sources
from .errors import error_number, mongo_errors
from .raw_document import has_empty_timestamp, may_have_empty_timestamp

# About a megabyte and at most a thousand documents in one insert (measured: larger ones are slower).
INSERT_BYTES = 1024 * 1024
INSERT_DOCUMENTS = 1000
# Of old servers; newer ones refuse them.
_OBSOLETE_OPTIONS = ("autoIndexId",)
_LENGTH = struct.Struct("<i")
DUPLICATE_KEY = 11000
# What the server says about itself and its surroundings, and not about what it was given: names of the codes are in
# https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml.
_ENVIRONMENT = frozenset(
    (1, 6, 7, 8, 13, 18, 24, 43, 46, 50, 59, 89, 91, 96, 112, 128, 146, 175, 189, 202, 237, 262, 264, 276, 290, 365)
    + (9001, 10107, 11600, 11601, 11602, 13388, 13435, 13436, 14031)
)


class _Stored(RawBSONDocument):
    """Bytes for the driver to send as they are: the frame has been checked, and nobody asks for a field."""

    __slots__ = ("raw",)

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    def __repr__(self) -> str:
        # The driver puts what the server refused into the words of its error; customers' data have no place there.
        return "a document of %d bytes" % len(self.raw)


class RefusedBackup(MaintenanceError):
    """The server refuses what an archive holds: a proof against the archive."""


def refusal_is_proof(number: Optional[int], same_series: bool) -> bool:
    """Whether an error of the server speaks against the archive, and not against the server. Pure.

    Args:
        number: of the server's error; None when the connection or the driver failed.
        same_series: the server is of the release series that the archive was made from. Another one may refuse options
            and indexes that are good where they come from.
    """
    if number is None or number in _ENVIRONMENT:
        return False
    return same_series or number == DUPLICATE_KEY


def same_series(one: str, other: str) -> bool:
    """Whether two versions of the server ("6.0.5") are of one release series."""
    return one.split(".")[:2] == other.split(".")[:2]


@contextmanager
def _restoring(what: str, where: str, same: bool) -> Iterator[None]:
    try:
        with mongo_errors(what, where):
            yield
    except MaintenanceError as error:
        cause = error.__cause__
        if isinstance(cause, driver.OperationFailure) and refusal_is_proof(error_number(cause), same):
            raise RefusedBackup(error.what, target=error.target, code=error.code, next_step=error.next_step) from cause
        raise


@dataclass(frozen=True)
class Restored:
    """One collection after it was restored: counted and hashed as the server gives it back."""

    documents: int
    bytes: int
    sha256: str


@dataclass
class Comparison:
    """What a restored database is like.

    Attributes:
        collections: by the database and the name under which the documents stand; views are left out.
        differences: what is not as the archive said, a sentence each.
        invalid: how many documents do not pass their collection's validator, by collection; only what is more than none.
    """

    collections: Dict[Tuple[str, str], Restored] = field(default_factory=dict)
    differences: List[str] = field(default_factory=list)
    invalid: Dict[str, int] = field(default_factory=dict)


DATA, USERS, ROLES, READ_ONLY = "data", "users", "roles", "read only"
# The names that mongorestore itself gives them.
_AUTHORIZATION = {USERS: "tempusers", ROLES: "temproles"}


def kind_of_collection(db: str, collection: str) -> str:
    """What a collection of an archive is. Pure.

    A dump of one database with its users and roles has them under ``$admin.system.users`` beside its collections, a dump of
    the whole server in ``admin``. An oplog stands in a database without a name.

    Returns:
        DATA, USERS, ROLES, or READ_ONLY for what is the server's own: no restore puts it back as it was.
    """
    name = collection
    if collection.startswith("$admin."):
        name = collection[len("$admin.") :]
    elif db != "admin":
        return READ_ONLY if db in ("", "config", "local") else DATA
    if name.startswith("system."):
        return {"system.users": USERS, "system.roles": ROLES}.get(name, READ_ONLY)
    return DATA


def data_heads(reader: ArchiveReader) -> List[CollectionMetadata]:
    """The collections and views that are restored as they stand in the archive."""
    return [head for head in reader.prelude.collections if kind_of_collection(head.db, head.collection) == DATA]


def databases(reader: ArchiveReader) -> List[str]:
    """The databases of applications in an archive."""
    return sorted({head.db for head in data_heads(reader)} - {"admin"})


def restore_archive(connection: Connection, reader: ArchiveReader) -> List[str]:
    """Restore an archive into a server that has none of its databases, each under its own name.

    Validators are bypassed: what was stored once must be restorable. Indexes are built when the data is there, views are
    made last. Users and roles are merged in as mongorestore does it; other collections of the server's own are read only.

    Returns:
        What could not be restored here though nothing speaks against the archive, a sentence each.

    Raises:
        ArchiveError: the archive is damaged.
        RefusedBackup: the server refuses what is in it.
        MaintenanceError: the server fails otherwise.
    """
    give_large_blocks_back()
    heads = data_heads(reader)
    same = same_series(connection.server.version, reader.prelude.server_version)
    declared = {(head.db, head.data_collection) for head in reader.prelude.collections}
    for head in heads:
        if head.type != "view":
            create_collection(connection, head, same)
    with behind() as insert:
        for batch in reader.batches():
            if (batch.db, batch.collection) not in declared:
                raise RefusedBackup(
                    "the archive holds documents of a collection that its head does not name",
                    target="%s.%s" % (batch.db, batch.collection),
                    next_step="Do not rely on this archive.",
                )
            kind = kind_of_collection(batch.db, batch.collection)
            if kind == READ_ONLY:
                continue
            into = ("admin", _AUTHORIZATION[kind]) if kind in _AUTHORIZATION else (batch.db, batch.collection)
            where = "%s.%s" % (batch.db, batch.collection)
            insert(insert_documents, connection.client[into[0]][into[1]], batch.data, where, same)
    for head in heads:
        if head.type != "view":
            build_indexes(connection, head, same)
    for head in heads:
        if head.type == "view":
            create_collection(connection, head, same)
    return _merge_authorization(connection, reader)


def insert_documents(target: Any, data: bytes, where: str, same: bool) -> None:
    """Insert whole documents, one after the other, as they are: validators are bypassed.

    Args:
        target: the driver's collection.
        where: for messages.
        same: whether a refusal of the server speaks against the documents (`same_series`).
    """
    look = may_have_empty_timestamp(data)
    with _restoring("cannot restore documents", where, same):
        for documents in _inserts(data):
            try:
                target.insert_many(documents, ordered=True, bypass_document_validation=True)
            except driver.BulkWriteError as error:
                first = ((error.details or {}).get("writeErrors") or [{}])[0]
                raise _refused(where, first, same) from error
            if look:
                _put_empty_timestamps_back(target, documents)


def _merge_authorization(connection: Connection, reader: ArchiveReader) -> List[str]:
    """Make users and roles of the documents that were restored aside, and see whether they are the same."""
    counts = dict.fromkeys(_AUTHORIZATION, 0)
    for (db, collection), totals in reader.totals.items():
        kind = kind_of_collection(db, collection)
        if kind in counts:
            counts[kind] += totals.documents
    present = {kind: _AUTHORIZATION[kind] for kind, count in counts.items() if count}
    if not present:
        return []
    names = {USERS: "tempUsersCollection", ROLES: "tempRolesCollection"}
    options = {names[kind]: "admin." + temporary for kind, temporary in present.items()}
    admin = connection.client.admin
    try:
        with mongo_errors("cannot restore users and roles", "admin"):
            admin.command("_mergeAuthzCollections", 1, db="", drop=False, **options)
            for kind, temporary in present.items():
                if _sorted_digest(admin[temporary]) != _sorted_digest(admin["system." + kind]):
                    return ["the %s are not those of the archive" % kind]
    except MaintenanceError as error:
        # It is no command for users of the server, and not every version may have it.
        return ["users and roles were read but could not be restored here: %s" % error]
    finally:
        with mongo_errors("cannot tidy up the throwaway server", "admin"):
            for temporary in present.values():
                admin[temporary].drop()
    return []


def _sorted_digest(collection: Any) -> str:
    digest = hashlib.sha256()
    for batch in collection.find_raw_batches({}, sort=[("_id", 1)]):
        digest.update(batch)
    return digest.hexdigest()


def _refused(where: str, first: Mapping[str, Any], same: bool) -> MaintenanceError:
    """What the server had against the first document it refused; its text may quote values and is left out."""
    keys = ", ".join(str(key) for key in (first.get("keyPattern") or {}))
    what = "the server refuses a document of the archive"
    number = first.get("code")
    if number == DUPLICATE_KEY:
        what = "the archive holds two documents with the same %s" % (keys or "key")
    if not refusal_is_proof(number, same):
        return MaintenanceError("the server cannot take a document of the archive", target=where, code=number)
    return RefusedBackup(what, target=where, code=number, next_step="Do not rely on this archive.")


def _put_empty_timestamps_back(target: Any, documents: Sequence[_Stored]) -> None:
    """An update by a pipeline stores a document as it is; insert has no way to on servers before 8.0."""
    for stored in documents:
        if has_empty_timestamp(stored.raw):
            document = RawBSONDocument(stored.raw, _RAW)
            update = {"q": {"_id": {"$eq": document["_id"]}}, "u": [{"$replaceWith": {"$literal": document}}]}
            target.database.command("update", target.name, updates=[update], bypassDocumentValidation=True)


def _inserts(data: bytes) -> Iterator[List[_Stored]]:
    unpack = _LENGTH.unpack_from
    position, end = 0, len(data)
    documents: List[_Stored] = []
    size = 0
    while position < end:
        (length,) = unpack(data, position)
        documents.append(_Stored(data[position : position + length]))
        position += length
        size += length
        if size >= INSERT_BYTES or len(documents) >= INSERT_DOCUMENTS:
            yield documents
            documents, size = [], 0
    if documents:
        yield documents


def metadata_of(head: CollectionMetadata) -> Dict[str, Any]:
    """Options and indexes of a collection as the archive's head has them.

    Raises:
        RefusedBackup: the text is not extended JSON.
    """
    try:
        values = json_util.loads(head.metadata or "{}", json_options=_JSON)
        return dict(values)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise RefusedBackup(
            "the metadata of a collection is not valid extended JSON (%s)" % error,
            target="%s.%s" % (head.db, head.collection),
            next_step="Do not rely on this archive.",
        ) from error


def lets_expire(metadata: str) -> bool:
    """Whether the server removes documents of a collection with this metadata by itself (TTL, capped). Pure."""
    values = json_util.loads(metadata or "{}", json_options=_JSON)
    options = values.get("options") or {}
    return bool(options.get("capped")) or any(
        "expireAfterSeconds" in found for found in (options, *(values.get("indexes") or []))
    )


def create_collection(connection: Connection, head: CollectionMetadata, same: bool) -> None:
    """Make the collection or view of an archive's head, without its indexes."""
    options = dict(metadata_of(head).get("options") or {})
    for name in _OBSOLETE_OPTIONS:
        options.pop(name, None)
    with _restoring("cannot make the collection", "%s.%s" % (head.db, head.collection), same):
        connection.client[head.db].command("create", head.collection, **options)


def build_indexes(
    connection: Connection, head: CollectionMetadata, same: bool, expiring: Optional[bool] = None
) -> None:
    """Build the indexes of an archive's head on the collection of its name.

    Args:
        expiring: True for those alone by which the server removes documents (TTL), False for all others, None for all.
    """
    wanted = []
    metadata = metadata_of(head)
    collated = "collation" in (metadata.get("options") or {})
    for index in metadata.get("indexes") or []:
        specification = {key: value for key, value in index.items() if key != "ns"}
        if collated:
            # The simple collation is not listed, and an index that names none would get the collection's.
            specification.setdefault("collation", {"locale": "simple"})
        if expiring not in (None, "expireAfterSeconds" in specification):
            continue
        # Made with the collection itself.
        if specification.get("clustered") or _is_id(specification.get("key") or {}):
            continue
        wanted.append(specification)
    if wanted:
        with _restoring("cannot build the indexes", "%s.%s" % (head.db, head.collection), same):
            connection.client[head.db].command("createIndexes", head.collection, indexes=wanted)


def _is_id(key: Mapping[str, Any]) -> bool:
    return list(key) == ["_id"] and key["_id"] in (1, -1) and not isinstance(key["_id"], str)


def compare_restored(connection: Connection, reader: ArchiveReader) -> Comparison:
    """Compare a restored database with the archive that was read to its end.

    Every document is read back from the server and hashed; options and indexes are listed again.
    """
    result = Comparison()
    heads = data_heads(reader)
    present: Dict[Tuple[str, str], DumpSource] = {}
    for database in sorted({head.db for head in heads}):
        for source in list_sources(connection, database):
            present[(database, source.name)] = source
    for head in heads:
        where = "%s.%s" % (head.db, head.collection)
        source_ = present.pop((head.db, head.collection), None)
        if source_ is None:
            result.differences.append("%s is missing" % where)
            continue
        if source_.type != head.type:
            result.differences.append("%s is a %s instead of a %s" % (where, source_.type, head.type))
        result.differences += compare_metadata(where, head.metadata, source_.metadata)
        if head.type == "view":
            continue
        restored = read_collection(connection, head.db, head.data_collection)
        result.collections[(head.db, head.data_collection)] = restored
        invalid = count_invalid(connection, head.db, head.collection, source_.validator)
        if invalid:
            result.invalid[where] = invalid
        said = reader.totals[(head.db, head.data_collection)]
        if restored.documents != said.documents:
            result.differences.append("%s has %d documents instead of %d" % (where, restored.documents, said.documents))
        elif restored.sha256 != said.sha256:
            result.differences.append("%s has other documents than the archive" % where)
    result.differences += ["%s.%s is not in the archive" % key for key in sorted(present)]
    return result


def read_collection(connection: Connection, database: str, name: str, order: str = "") -> Restored:
    """Count and hash the raw documents of a collection.

    Args:
        order: name of the index that gives it; "" for the natural one.
    """
    digest = hashlib.sha256()
    documents, size = 0, 0
    with mongo_errors("cannot read the collection", "%s.%s" % (database, name)), documents_of_collection(
        connection, database, name, None, order
    ) as batches:
        for batch, count in batches:
            digest.update(batch)
            documents += count
            size += len(batch)
    return Restored(documents, size, digest.hexdigest())


def compare_metadata(where: str, wanted: str, found: str) -> List[str]:
    """What differs between two texts of metadata: options field by field, indexes by name. Pure.

    The order of fields counts inside an index's key and an option, where the server minds it, and nowhere else.
    """
    lines = []
    wanted_options, wanted_indexes = _normal(wanted)
    found_options, found_indexes = _normal(found)
    for name in sorted(set(wanted_options) | set(found_options)):
        if name in _OBSOLETE_OPTIONS:
            continue
        if wanted_options.get(name) != found_options.get(name):
            lines.append("%s: the option %s differs" % (where, name))
    for name in sorted(set(wanted_indexes) | set(found_indexes)):
        if name not in found_indexes:
            lines.append("%s: the index %s is missing" % (where, name))
        elif name not in wanted_indexes and name != "_id_":  # made by the server, whether or not it is named
            lines.append("%s: the index %s is not in the archive" % (where, name))
        elif name in wanted_indexes and wanted_indexes[name] != found_indexes[name]:
            lines.append("%s: the index %s differs" % (where, name))
    return lines


def _normal(text: str) -> Tuple[Dict[str, str], Dict[str, Dict[str, str]]]:
    """Options and indexes as canonical text: old tools write numbers without their types, new ones with them."""
    values = json_util.loads(text or "{}", json_options=_JSON)

    def canonical(value: Any) -> str:
        return str(json_util.dumps(value, json_options=_JSON))

    options = {key: canonical(value) for key, value in (values.get("options") or {}).items()}
    indexes = {
        str(index.get("name")): {key: canonical(value) for key, value in index.items() if key != "ns"}
        for index in values.get("indexes") or []
    }
    return options, indexes
