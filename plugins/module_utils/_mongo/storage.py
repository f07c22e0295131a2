# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What databases and collections occupy, and how much of it is free for reuse.

WiredTiger keeps a file for each collection and each index. What deleted documents occupied stays in the file, listed as
"file bytes available for reuse": the figure that predicts what ``compact`` gives back to the file system. It is as of the
last checkpoint, which the server takes every 60 seconds.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .client import Connection
from .errors import error_number, mongo_errors

try:
    from pymongo.errors import OperationFailure
except ImportError:  # the client says so
    OperationFailure = Exception  # type: ignore[assignment,misc]

SYSTEM_DATABASES = frozenset(("admin", "config", "local"))
VIEW_CODE = 166
DOTS = "the Python driver cannot read a collection whose name begins or ends with a dot or holds two in a row"


@dataclass(frozen=True)
class File:
    """One WiredTiger file.

    Attributes:
        name: of the index, "" for the collection's own file.
        bytes: its length.
        reusable: bytes in it that hold nothing.
    """

    name: str
    bytes: int
    reusable: int


@dataclass(frozen=True)
class CollectionStatistics:
    """One collection, or what looks like one.

    Attributes:
        kind: collection, capped, view, timeseries or system.
        data_bytes: the documents' size as BSON.
        file: the collection's own file; length 0 for a view.
        indexes: a file for each index.
    """

    database: str
    name: str
    kind: str
    documents: int = 0
    data_bytes: int = 0
    file: File = File("", 0, 0)
    indexes: Tuple[File, ...] = ()

    @property
    def namespace(self) -> str:
        return "%s.%s" % (self.database, self.name)

    @property
    def free_share(self) -> float:
        """From 0 to 1."""
        return round(self.reusable / self.bytes, 4) if self.bytes else 0.0

    @property
    def files(self) -> Tuple[File, ...]:
        return (self.file,) + self.indexes

    @property
    def bytes(self) -> int:
        """On disk, indexes included."""
        return sum(file.bytes for file in self.files)

    @property
    def reusable(self) -> int:
        return sum(file.reusable for file in self.files)

    def as_dict(self) -> Dict[str, Any]:
        return {
            "database": self.database,
            "name": self.name,
            "kind": self.kind,
            "documents": self.documents,
            "data_bytes": self.data_bytes,
            "storage_bytes": self.file.bytes,
            "reusable_bytes": self.file.reusable,
            "free_share": self.free_share,
            "index_bytes": sum(file.bytes for file in self.indexes),
            "index_reusable_bytes": sum(file.reusable for file in self.indexes),
            "indexes": [
                {"name": file.name, "bytes": file.bytes, "reusable_bytes": file.reusable} for file in self.indexes
            ],
        }


@dataclass(frozen=True)
class DatabaseStatistics:
    """One database, from dbStats.

    Attributes:
        filesystem_bytes, filesystem_free: of the file system under the server's data directory, as the server sees it.
    """

    name: str
    collections: int
    views: int
    indexes: int
    documents: int
    data_bytes: int
    storage_bytes: int
    index_bytes: int
    reusable: int
    filesystem_bytes: int
    filesystem_free: int

    def as_dict(self) -> Dict[str, Any]:
        occupied = self.storage_bytes + self.index_bytes
        return {
            "name": self.name,
            "collections": self.collections,
            "views": self.views,
            "indexes": self.indexes,
            "documents": self.documents,
            "data_bytes": self.data_bytes,
            "storage_bytes": self.storage_bytes,
            "index_bytes": self.index_bytes,
            "reusable_bytes": self.reusable,
            "free_share": round(self.reusable / occupied, 4) if occupied else 0.0,
            "filesystem_bytes": self.filesystem_bytes,
            "filesystem_free_bytes": self.filesystem_free,
        }


def _file(name: str, details: Mapping[str, Any], length: int) -> File:
    manager = details.get("block-manager") or {}
    return File(
        name,
        int(manager.get("file size in bytes", length)),
        int(manager.get("file bytes available for reuse", 0)),
    )


def interpret_statistics(database: str, name: str, kind: str, answer: Mapping[str, Any]) -> CollectionStatistics:
    """A collStats answer as data."""
    sizes = answer.get("indexSizes") or {}
    details = answer.get("indexDetails") or {}
    indexes = tuple(_file(index, details.get(index) or {}, int(sizes[index])) for index in sorted(sizes))
    own = _file("", answer.get("wiredTiger") or {}, int(answer.get("storageSize", 0)))
    if kind == "collection" and answer.get("capped"):
        kind = "capped"
    if kind == "collection" and answer.get("timeseries"):
        kind = "timeseries"
    return CollectionStatistics(
        database, name, kind, int(answer.get("count", 0)), int(answer.get("size", 0)), own, indexes
    )


def read_collection_statistics(
    connection: Connection, database: str, name: str, kind: str = "collection"
) -> CollectionStatistics:
    """Statistics of one collection; all zero when it does not exist (any more).

    Raises:
        MaintenanceError: the server refuses.
    """
    namespace = "%s.%s" % (database, name)
    with mongo_errors("cannot read the statistics of the collection", namespace):
        try:
            answer = connection.client[database].command("collStats", name)
        except OperationFailure as error:
            if error_number(error) == VIEW_CODE:
                return CollectionStatistics(database, name, "view")
            raise
    return interpret_statistics(database, name, kind, answer)


def is_readable_name(name: str) -> bool:
    """Whether the driver makes a collection of a name (pymongo raises InvalidName); the server, and its commands, take more."""
    return not (name.startswith(".") or name.endswith(".") or ".." in name)


def list_collections(connection: Connection, database: str) -> List[Tuple[str, str]]:
    """Name and kind of everything in a database, by name.

    Raises:
        MaintenanceError: the server refuses.
    """
    with mongo_errors("cannot list the collections", database):
        entries = list(connection.client[database].list_collections())
    found = []
    for entry in entries:
        name, kind = str(entry["name"]), str(entry.get("type", "collection"))
        if name.startswith("system."):
            kind = "system"
        elif kind == "collection" and (entry.get("options") or {}).get("capped"):
            kind = "capped"
        found.append((name, kind))
    return sorted(found)


def list_collection_statistics(
    connection: Connection, database: str, names: Optional[Sequence[str]] = None
) -> List[CollectionStatistics]:
    """Statistics of the collections of a database, or of those named.

    Raises:
        MaintenanceError: the server refuses.
    """
    statistics = []
    for name, kind in list_collections(connection, database):
        if names and name not in names:
            continue
        if kind in ("view", "system"):
            statistics.append(CollectionStatistics(database, name, kind))
        else:
            statistics.append(read_collection_statistics(connection, database, name, kind))
    return statistics


def require_names(statistics: Sequence[CollectionStatistics], names: Sequence[str], databases: Sequence[str]) -> None:
    """A misspelt name must not pass for a collection in good order.

    Raises:
        MaintenanceError: a name is in none of the databases.
    """
    known = {entry.name for entry in statistics}
    missing = sorted(set(names) - known)
    if missing:
        raise MaintenanceError(
            "there is no collection of this name in %s" % ", ".join(databases),
            target=", ".join(missing),
            code="26 NamespaceNotFound",
            next_step="Correct the option collections.",
        )


def read_database_statistics(connection: Connection, database: str) -> DatabaseStatistics:
    """Statistics of one database.

    Raises:
        MaintenanceError: the server refuses.
    """
    with mongo_errors("cannot read the statistics of the database", database):
        answer = connection.client[database].command("dbStats", freeStorage=1)
    total, used = int(answer.get("fsTotalSize", 0)), int(answer.get("fsUsedSize", 0))
    return DatabaseStatistics(
        database,
        int(answer.get("collections", 0)),
        int(answer.get("views", 0)),
        int(answer.get("indexes", 0)),
        int(answer.get("objects", 0)),
        int(answer.get("dataSize", 0)),
        int(answer.get("storageSize", 0)),
        int(answer.get("indexSize", 0)),
        int(answer.get("totalFreeStorageSize", answer.get("freeStorageSize", 0))),
        total,
        max(0, total - used),
    )


def choose_databases(connection: Connection, named: Sequence[str], fallback_to_all: bool = False) -> List[str]:
    """The databases to look at: those named, else the connection string's; never the server's own.

    Args:
        named: the option `databases`.
        fallback_to_all: with nothing named anywhere, all that the user may see.

    Raises:
        MaintenanceError: there is none, one does not exist, or one is the server's own.
    """
    chosen = list(dict.fromkeys(named))
    if not chosen and not connection.database_name and fallback_to_all:
        return [name for name in connection.databases() if name not in SYSTEM_DATABASES]
    if not chosen:
        chosen = [connection.require_database()]
    own = sorted(set(chosen) & SYSTEM_DATABASES)
    if own:
        raise MaintenanceError(
            "the server's own databases are left alone", target=", ".join(own), next_step="Name the shop's database."
        )
    return [connection.require_database(name) for name in chosen]


def checkpoint(connection: Connection) -> str:
    """Write a checkpoint, so that the figures are those of now; returns why it could not be, else "".

    Only for real runs: it writes. It locks nothing.
    """
    try:
        with mongo_errors("cannot write a checkpoint", connection.address.where):
            connection.client.admin.command("fsync")
    except MaintenanceError as error:
        if error_number(error.__cause__ or error) == 13:
            return (
                "The user may not have a checkpoint written (fsync, which the role hostManager on admin allows): "
                "the figures may be up to a minute old."
            )
        return "%s The figures may be up to a minute old." % error
    return ""
