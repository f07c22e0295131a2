# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Definitions of indexes: read, kept in a file on the host while they are in danger, compared, and made again.

They are in danger while ``reIndex`` works. It drops all indexes of a collection first, and whatever ends it before its end
leaves the collection without them (measured on 6.0.5 and 6.0.27: killOp and maxTimeMS take even that of _id; after a SIGKILL
the server drops "unfinished" ones at its start, and builds only that of _id anew).
"""

from __future__ import annotations

import hashlib
import os
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from .._core.atomic_file import discard_partial, write_atomic
from .._core.errors import MaintenanceError, from_os_error
from .._core.late_dataclass import dataclass
from .._core.private_dir import private_directory
from .._core.state_dir import state_error
from .client import Connection
from .errors import error_number, mongo_errors

try:
    from bson import json_util
    from pymongo.errors import OperationFailure
except ImportError:  # the client says so
    OperationFailure = Exception  # type: ignore[assignment,misc]

DIRECTORY = "indexes"
DUPLICATE_KEY = 11000
NOT_FOUND = 26

Definition = Mapping[str, Any]


@dataclass(frozen=True)
class SavedIndexes:
    """What a file holds.

    Attributes:
        address: of the server, host and port.
        uuid: of the collection, as hexadecimal digits; a collection that was made anew under its name has another one.
        at: when it was written, in UTC.
        definitions: as the server lists them, by name.
    """

    address: str
    database: str
    collection: str
    uuid: str
    at: str
    definitions: Mapping[str, Definition]

    @property
    def namespace(self) -> str:
        return "%s.%s" % (self.database, self.collection)


@dataclass(frozen=True)
class Difference:
    """How the indexes of a collection differ from what they shall be, by name."""

    missing: Tuple[str, ...] = ()
    other: Tuple[str, ...] = ()


def same_definition(one: Definition, other: Definition) -> bool:
    """Whether two definitions mean the same index. Pure. The order of the keys of an index matters, no other order does."""
    keys = [list(dict(definition.get("key") or {}).items()) for definition in (one, other)]
    return keys[0] == keys[1] and dict(one) == dict(other)


def compare_definitions(wanted: Mapping[str, Definition], found: Mapping[str, Definition]) -> Difference:
    """What is missing or another than it shall be. Pure. What is there beyond is none of our business."""
    return Difference(
        tuple(sorted(set(wanted) - set(found))),
        tuple(sorted(name for name in wanted if name in found and not same_definition(wanted[name], found[name]))),
    )


def saved_text(saved: SavedIndexes) -> str:
    """The file's text: for people, and for db.runCommand({createIndexes: ...}), in canonical extended JSON. Pure."""
    values = {
        "namespace": saved.namespace,
        "database": saved.database,
        "collection": saved.collection,
        "address": saved.address,
        "uuid": saved.uuid,
        "at": saved.at,
        "indexes": [dict(definition) for definition in saved.definitions.values()],
    }
    return str(json_util.dumps(values, json_options=json_util.CANONICAL_JSON_OPTIONS, indent=1)) + "\n"


def parse_saved(text: str) -> SavedIndexes:
    """The other way round. Pure.

    Raises:
        ValueError, KeyError, TypeError: this is no such text.
    """
    values = json_util.loads(text, json_options=json_util.CANONICAL_JSON_OPTIONS)
    definitions: Dict[str, Definition] = {}
    for definition in values["indexes"]:
        definitions[str(definition["name"])] = dict(definition)
        if not definition["key"]:
            raise ValueError("an index without keys")
    return SavedIndexes(
        str(values["address"]),
        str(values["database"]),
        str(values["collection"]),
        str(values["uuid"]),
        str(values["at"]),
        definitions,
    )


def saved_path(state_dir: str, address: str, namespace: str) -> str:
    """Where the definitions of a collection lie while they are in danger. Pure."""
    digest = hashlib.sha256(("%s\0%s" % (address, namespace)).encode("utf-8", "surrogateescape")).hexdigest()
    return os.path.join(state_dir, DIRECTORY, digest[:24] + ".json")


def save_definitions(state_dir: str, saved: SavedIndexes) -> str:
    """Write them down, on the disk when this returns; returns the path.

    Raises:
        MaintenanceError: it cannot be written, or definitions of that collection still wait there.
    """
    path = saved_path(state_dir, saved.address, saved.namespace)
    try:
        private_directory(state_dir, DIRECTORY)
        if os.path.lexists(path):
            # Of a rebuild that did not end: what stands there may be more than what the server still has.
            raise MaintenanceError(
                "the definitions of an earlier rebuild, which did not end, still wait there",
                target=path,
                next_step="Run mongo_reindex for %s again: it completes that first." % saved.namespace,
            )
        write_atomic(path, saved_text(saved).encode("utf-8", "surrogateescape"), 0o600)
    except OSError as error:
        raise state_error("cannot save the definitions of the indexes", path, error) from error
    return path


def load_definitions(path: str) -> SavedIndexes:
    """Raises FileNotFoundError, or MaintenanceError: it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as handle:
            return parse_saved(handle.read())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise state_error("cannot read the definitions of indexes", path, error) from error
    except (ValueError, KeyError, TypeError) as error:
        raise MaintenanceError(
            "these are no definitions of indexes", target=path, next_step="Look at it; it is written in one step."
        ) from error


def forget_definitions(path: str) -> None:
    """Remove the file: the indexes are out of danger.

    Raises:
        MaintenanceError: it cannot be removed.
    """
    discard_partial(path)
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise from_os_error("cannot remove the definitions of indexes", error, target=path) from error


def read_definitions(connection: Connection, database: str, collection: str) -> Dict[str, Definition]:
    """The indexes of a collection by name, in the server's order; empty where there is none.

    The key of a clustered collection is listed as well, and is no index.

    Raises:
        MaintenanceError: the server refuses.
    """
    found: Dict[str, Definition] = {}
    with mongo_errors("cannot list the indexes of the collection", "%s.%s" % (database, collection)):
        try:
            # As a command: the server has names of which the driver makes no collection. One batch holds all 64.
            answer = connection.client[database].command("listIndexes", collection, cursor={"batchSize": 1000})
            for entry in answer["cursor"]["firstBatch"]:
                definition = {key: value for key, value in dict(entry).items() if key != "ns"}
                if not definition.get("clustered"):
                    found[str(definition["name"])] = definition
        except OperationFailure as error:
            if error_number(error) != NOT_FOUND:
                raise
    return found


def collection_uuid(connection: Connection, database: str, collection: str) -> str:
    """The collection's uuid in hexadecimal digits; "" where there is none of this name.

    Raises:
        MaintenanceError: the server refuses.
    """
    with mongo_errors("cannot look for the collection", "%s.%s" % (database, collection)):
        for entry in connection.client[database].list_collections(filter={"name": collection}):
            uuid = (entry.get("info") or {}).get("uuid")
            return bytes(uuid).hex() if uuid is not None else ""
    return ""


def ensure_indexes(connection: Connection, saved: SavedIndexes) -> List[str]:
    """Make the indexes that are missing; returns their names. All are there, and in the server's journal, when this returns.

    Raises:
        MaintenanceError: the collection is another one, an index cannot be made, or stands there with another definition.
    """
    if collection_uuid(connection, saved.database, saved.collection) != saved.uuid:
        raise MaintenanceError(
            "the collection is gone, or another one has its name now: it was renamed, restored or made anew",
            target=saved.namespace,
            next_step="Compare its indexes with those that were saved, then remove the file.",
        )
    before = read_definitions(connection, saved.database, saved.collection)
    missing = compare_definitions(saved.definitions, before).missing
    # Also where none is missing: a write that waits for the journal proves that all before it is there as well.
    try:
        _create(connection, saved, missing or tuple(saved.definitions))
    except MaintenanceError as error:
        if error_number(error.__cause__ or error) != DUPLICATE_KEY:
            raise
        _create_one_by_one(connection, saved, missing)
    left = compare_definitions(saved.definitions, read_definitions(connection, saved.database, saved.collection))
    if left.missing or left.other:
        raise MaintenanceError(
            "the collection has not the indexes that it had",
            target=saved.namespace,
            next_step="Missing: %s. Defined otherwise: %s."
            % (", ".join(left.missing) or "none", ", ".join(left.other) or "none"),
        )
    return list(missing)


def _create(connection: Connection, saved: SavedIndexes, names: Sequence[str]) -> None:
    wanted = [dict(saved.definitions[name]) for name in names]
    with mongo_errors("cannot make the indexes of the collection again", saved.namespace):
        connection.client[saved.database].command(
            "createIndexes", saved.collection, indexes=wanted, writeConcern={"w": 1, "j": True}
        )


def _create_one_by_one(connection: Connection, saved: SavedIndexes, names: Sequence[str]) -> None:
    """Where documents stand in the way of one index, the others are made all the same."""
    blocked: List[str] = []
    code: Any = None
    for name in names:
        try:
            _create(connection, saved, [name])
        except MaintenanceError as error:
            if error_number(error.__cause__ or error) != DUPLICATE_KEY:
                raise
            blocked.append(name)
            code = error.code
    if blocked:
        raise MaintenanceError(
            "a unique index cannot be made again, as documents of one key were written while it was missing",
            target="%s (%s)" % (saved.namespace, ", ".join(blocked)),
            code=code,
            next_step="Find and mend the documents that have the same key, then run mongo_reindex for it again.",
        )
