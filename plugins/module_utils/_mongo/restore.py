# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores an archive into an empty server, and compares what is there afterwards with what the archive said."""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Mapping, Sequence, Tuple

try:
    from bson import json_util
    from bson.codec_options import CodecOptions, DatetimeConversion
    from bson.raw_bson import RawBSONDocument
    from pymongo import errors as driver

    # Metadata keeps its types: an index on 1.0 is another one than an index on 1.
    _JSON = json_util.JSONOptions(
        json_mode=json_util.JSONMode.CANONICAL, tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO
    )
    _CODEC = CodecOptions(tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO)
except ImportError:  # pragma: no cover - the client raises MissingLibrary first
    pass

from .._core.errors import MaintenanceError
from .archive import ArchiveReader, CollectionMetadata, count_documents
from .client import Connection
from .dump import Source, list_sources
from .errors import mongo_errors

# About a megabyte and at most a thousand documents in one insert (measured: larger ones are slower).
INSERT_BYTES = 1024 * 1024
INSERT_DOCUMENTS = 1000
# Of old servers; newer ones refuse them.
_OBSOLETE_OPTIONS = ("autoIndexId",)
_LENGTH = struct.Struct("<i")


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
        collections: by the name under which the documents stand; views are left out.
        differences: what is not as the archive said, a sentence each.
    """

    collections: Dict[str, Restored] = field(default_factory=dict)
    differences: List[str] = field(default_factory=list)


def restore_archive(connection: Connection, reader: ArchiveReader) -> List[str]:
    """Restore an archive of one database, under its own name, into a server that has no such database.

    Validators are bypassed, as for mongorestore: what was stored once must be restorable. Indexes are built when the
    data is there, views are made last.

    Returns:
        The names of the databases restored.

    Raises:
        MaintenanceError: the archive is damaged, or the server refuses something.
    """
    heads = reader.prelude.collections
    declared = {(head.db, head.data_collection) for head in heads}
    for head in heads:
        if head.type != "view":
            _create(connection, head)
    for batch in reader.batches():
        if (batch.db, batch.collection) not in declared:
            raise MaintenanceError(
                "the archive holds documents of a collection that its head does not name",
                "%s.%s" % (batch.db, batch.collection),
                next_step="Do not rely on this archive.",
            )
        target = connection.client[batch.db][batch.collection]
        with mongo_errors("cannot restore documents", "%s.%s" % (batch.db, batch.collection)):
            for documents in _inserts(batch.data):
                try:
                    target.insert_many(documents, ordered=True, bypass_document_validation=True)
                except driver.BulkWriteError as error:
                    raise _refused("%s.%s" % (batch.db, batch.collection), error) from error
    for head in heads:
        if head.type != "view":
            _build_indexes(connection, head)
    for head in heads:
        if head.type == "view":
            _create(connection, head)
    return sorted({head.db for head in heads})


def _refused(where: str, error: Any) -> MaintenanceError:
    """What the server had against the first document it refused; its text may quote values and is left out."""
    first = ((error.details or {}).get("writeErrors") or [{}])[0]
    keys = ", ".join(str(key) for key in (first.get("keyPattern") or {}))
    what = "the server refuses a document of the archive"
    if first.get("code") == 11000:
        what = "the archive holds two documents with the same %s" % (keys or "key")
    return MaintenanceError(what, where, first.get("code"), "Do not rely on this archive.")


def _inserts(data: bytes) -> Iterator[List[Any]]:
    unpack = _LENGTH.unpack_from
    position, end = 0, len(data)
    documents: List[Any] = []
    size = 0
    while position < end:
        (length,) = unpack(data, position)
        documents.append(RawBSONDocument(data[position : position + length]))
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
        MaintenanceError: the text is not extended JSON.
    """
    try:
        values = json_util.loads(head.metadata or "{}", json_options=_JSON)
        return dict(values)
    except (ValueError, TypeError, KeyError) as error:
        raise MaintenanceError(
            "the metadata of a collection is not valid extended JSON (%s)" % error,
            "%s.%s" % (head.db, head.collection),
            next_step="Do not rely on this archive.",
        ) from error


def _create(connection: Connection, head: CollectionMetadata) -> None:
    options = dict(metadata_of(head).get("options") or {})
    for name in _OBSOLETE_OPTIONS:
        options.pop(name, None)
    with mongo_errors("cannot make the collection", "%s.%s" % (head.db, head.collection)):
        connection.client[head.db].command("create", head.collection, **options)


def _build_indexes(connection: Connection, head: CollectionMetadata) -> None:
    wanted = []
    for index in metadata_of(head).get("indexes") or []:
        specification = {key: value for key, value in index.items() if key != "ns"}
        # Made with the collection itself.
        if specification.get("clustered") or _is_id(specification.get("key") or {}):
            continue
        wanted.append(specification)
    if wanted:
        with mongo_errors("cannot build the indexes", "%s.%s" % (head.db, head.collection)):
            connection.client[head.db].command("createIndexes", head.collection, indexes=wanted)


def _is_id(key: Mapping[str, Any]) -> bool:
    return list(key) == ["_id"] and key["_id"] in (1, -1) and not isinstance(key["_id"], str)


def compare(connection: Connection, reader: ArchiveReader) -> Comparison:
    """Compare a restored database with the archive that was read to its end.

    Every document is read back from the server and hashed; options and indexes are listed again.
    """
    result = Comparison()
    heads = reader.prelude.collections
    present: Dict[Tuple[str, str], Source] = {}
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
        restored = read_collection(connection, head.db, head.data_collection, source_.batch_documents)
        result.collections[head.data_collection] = restored
        said = reader.totals[(head.db, head.data_collection)]
        if restored.documents != said.documents:
            result.differences.append("%s has %d documents instead of %d" % (where, restored.documents, said.documents))
        elif restored.sha256 != said.sha256:
            result.differences.append("%s has other documents than the archive" % where)
    result.differences += ["%s.%s is not in the archive" % key for key in sorted(present)]
    return result


def read_collection(connection: Connection, database: str, name: str, batch_documents: int = 1000) -> Restored:
    """Count and hash the raw documents of a collection in its natural order."""
    digest = hashlib.sha256()
    documents, size = 0, 0
    with mongo_errors("cannot read the collection", "%s.%s" % (database, name)):
        for batch in connection.client[database][name].find_raw_batches({}, batch_size=batch_documents):
            digest.update(batch)
            documents += count_documents(batch, "%s.%s" % (database, name))
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
    values = json.loads(text or "{}")
    options = {key: json.dumps(value) for key, value in (values.get("options") or {}).items()}
    indexes = {
        str(index.get("name")): {key: json.dumps(value) for key, value in index.items() if key != "ns"}
        for index in values.get("indexes") or []
    }
    return options, indexes


@dataclass(frozen=True)
class Assertion:
    """What must hold of a restored database.

    Attributes:
        condition: a filter of the query language; {} counts everything.
        least, most: how many documents it may match; None sets no limit.
    """

    collection: str
    condition: Mapping[str, Any] = field(default_factory=dict)
    least: Any = 1
    most: Any = None


def check_assertions(connection: Connection, database: str, assertions: Sequence[Assertion]) -> List[str]:
    """Which assertions do not hold, a sentence each."""
    lines = []
    for assertion in assertions:
        where = "%s.%s" % (database, assertion.collection)
        target = connection.client[database].get_collection(assertion.collection, codec_options=_CODEC)
        with mongo_errors("cannot check an assertion", where):
            condition = json_util.loads(json.dumps(assertion.condition), json_options=_JSON)
            count = target.count_documents(condition)
        if assertion.least is not None and count < assertion.least:
            lines.append(
                "%s: %d documents match %s, less than %d"
                % (where, count, json.dumps(assertion.condition), assertion.least)
            )
        if assertion.most is not None and count > assertion.most:
            lines.append(
                "%s: %d documents match %s, more than %d"
                % (where, count, json.dumps(assertion.condition), assertion.most)
            )
    return lines
