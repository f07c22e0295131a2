# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The oplog of the time in which a dump was made, as ``mongodump --oplog`` has it in an archive.

Stock mongodump takes the oplog of whole servers only. Here it is that of one database: its own entries, and of transactions,
which may reach into others, the operations in it. ``mongorestore --oplogReplay`` replays them as it finds them.

The dump is of one moment, and the entries begin right after it: replayed in their order they meet each document as it was
then, and bring the database to the moment at which the dump ended.
"""

from __future__ import annotations

import struct
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .archive import CollectionMetadata
from .client import Connection
from .errors import error_number, mongo_errors
from .raw_cursor import DocumentCursor
from .raw_document import DOCUMENT, Element, array_of, build, elements, field_of
from .read_ahead import read_ahead

# Where mongodump puts it: in a database without a name.
OPLOG_DATABASE, OPLOG_COLLECTION = "", "oplog"
OPLOG_HEAD = (OPLOG_DATABASE, OPLOG_COLLECTION)
# An entry is as large as the document that was inserted, mostly.
_BATCH_ENTRIES = 1000
UNAUTHORIZED = 13
_COMMANDS = b"admin.$cmd"
_LENGTH = struct.Struct("<i")
_PRIVILEGES = (
    "Give the user the role backup in the database admin (it reads local and config), or use consistency: snapshot."
)


@dataclass(frozen=True)
class OplogWindow:
    """Of which time entries are taken.

    Attributes:
        moment: that of the dump, which holds what came up to it.
        start: the moment, or where the oldest transaction began that was not committed before it.
        end: up to which most members have everything.
    """

    moment: Any
    start: Any
    end: Any


def oplog_head() -> CollectionMetadata:
    """What stands of it in the head of an archive: neither type nor metadata."""
    return CollectionMetadata(OPLOG_DATABASE, OPLOG_COLLECTION, "", "")


def timestamp_text(moment: Any) -> str:
    """A moment as mongorestore takes it for ``--oplogLimit``: seconds, colon, number. Pure."""
    return "%d:%d" % (moment.time, moment.inc)


def open_transactions(connection: Connection) -> Any:
    """When the oldest transaction began that has entries in the oplog and is not committed; None without one.

    To be asked before the moment of the dump: what begins later is in the window as a whole.

    Raises:
        MaintenanceError: the server refuses.
    """
    states = {"state": {"$in": ["prepared", "inProgress"]}, "startOpTime": {"$exists": True}}
    with _reading("config.transactions"):
        times = [found["startOpTime"]["ts"] for found in connection.client.config.transactions.find(states)]
    return min(times, default=None)


def require_readable(connection: Connection) -> None:
    """Raises MaintenanceError when this user may not read what the oplog of a dump takes: better known before."""
    open_transactions(connection)
    _oldest_entry(connection)


def window_until_now(connection: Connection, moment: Any, oldest: Any) -> OplogWindow:
    """The window that ends now.

    Args:
        oldest: as `open_transactions` gave it before the moment.
    """
    with mongo_errors("cannot ask for the end of the oplog", connection.address.where):
        end = connection.client.admin.command("hello")["lastWrite"]["majorityOpTime"]["ts"]
    return OplogWindow(moment, moment if oldest is None else min(moment, oldest), max(end, moment))


def read_oplog(connection: Connection, database: str, window: OplogWindow) -> Iterator[Tuple[bytes, int]]:
    """Entries of a database in a window: whole documents one after the other, and how many these are, in batches.

    When all have been given, it is looked whether the oplog still holds the start of the window: else some were missed.

    Raises:
        MaintenanceError: the server refuses, or the oplog does not reach back to the start any more.
    """
    command = {
        "find": "oplog.rs",
        "filter": _condition(database, window),
        "readConcern": {"level": "majority"},
    }
    prefix = database.encode("utf-8") + b"."
    local = connection.client.local
    with read_ahead(lambda: DocumentCursor(local, command, _BATCH_ENTRIES)) as batches:
        while True:
            with _reading("local.oplog.rs"):
                item = next(batches, None)
            if item is None:
                break
            entries = entries_of(item[0], prefix)
            del item
            if entries:
                yield b"".join(entries), len(entries)
    require_window(connection, window)


@contextmanager
def _reading(where: str) -> Iterator[None]:
    try:
        with mongo_errors("cannot read the oplog of the dump's time", where):
            yield
    except MaintenanceError as error:
        if error_number(error.__cause__ or error) != UNAUTHORIZED:
            raise
        raise MaintenanceError(error.what, target=where, code=error.code, next_step=_PRIVILEGES) from error.__cause__


def _condition(database: str, window: OplogWindow) -> Dict[str, Any]:
    """What the server is asked for. Pure."""
    # "/" is the character behind ".".
    ours = [{"ns": {"$gte": database + ".", "$lt": database + "/"}}, {"ns": _COMMANDS.decode("ascii")}]
    after: Dict[str, Any] = {"ts": {"$gt": window.moment, "$lte": window.end}, "op": {"$ne": "n"}, "$or": ours}
    if window.start == window.moment:
        return after
    # Of what came before the moment the dump lacks only transactions that were committed after it.
    parts = {"$or": [{"o.partialTxn": True}, {"o.prepare": True}]}
    before = {"ts": {"$gte": window.start, "$lte": window.moment}, "op": "c", **parts}
    return {"ts": {"$gte": window.start}, "$or": [before, after]}


def require_window(connection: Connection, window: OplogWindow) -> None:
    """Raises MaintenanceError when the oplog does not hold everything since the start of the window any more."""
    oldest = _oldest_entry(connection)
    if oldest > window.start:
        raise MaintenanceError(
            "the oplog does not hold the time of the dump any more: it begins at %s, and the dump began at %s and ended at %s"
            % (timestamp_text(oldest), timestamp_text(window.start), timestamp_text(window.end)),
            target="local.oplog.rs",
            next_step="Make the oplog larger (replSetResizeOplog), back up when less is written, or use consistency: snapshot.",
        )


def _oldest_entry(connection: Connection) -> Any:
    with _reading("local.oplog.rs"):
        return next(connection.client.local["oplog.rs"].find({}, {"ts": 1}).sort("$natural", 1).limit(1))["ts"]


def entries_of(batch: bytes, prefix: bytes) -> List[bytes]:
    """Those of a batch of entries that a database needs. Pure.

    Args:
        prefix: name of the database and a dot.
    """
    found, position = [], 0
    while position < len(batch):
        (size,) = _LENGTH.unpack_from(batch, position)
        entry = entry_of(batch[position : position + size], prefix)
        position += size
        if entry is not None:
            found.append(entry)
    return found


def entry_of(raw: bytes, prefix: bytes) -> Optional[bytes]:
    """An entry of the oplog as far as it is about a database; None when it is not. Pure.

    Args:
        prefix: name of the database and a dot.
    """
    namespace = _namespace(raw)
    if namespace.startswith(prefix):
        return raw
    fields = list(elements(raw)) if namespace == _COMMANDS else []
    operation = next((field for field in fields if field.name == b"o" and field.kind == DOCUMENT), None)
    if operation is None:
        return None
    command = list(elements(operation.value))
    if command and command[0].name in (b"commitTransaction", b"abortTransaction"):
        return raw
    if not command or command[0].name != b"applyOps":
        return None
    operations = list(elements(command[0].value))
    ours = [inner for inner in operations if _namespace(inner.value).startswith(prefix)]
    if len(ours) == len(operations):
        return raw
    if not ours and not _is_part(fields, command):
        return None
    command[0] = command[0]._replace(value=array_of(ours))
    changed = operation._replace(value=build(command))
    return build([changed if field is operation else field for field in fields])


def _namespace(raw: bytes) -> bytes:
    field = field_of(raw, b"ns")
    return b"" if field is None else field.value[4:-1]


def _is_part(fields: Sequence[Element], command: Sequence[Element]) -> bool:
    """Whether an entry is one of several of a transaction, without which the others cannot be replayed."""
    if any(field.name in (b"partialTxn", b"prepare") for field in command):
        return True
    previous = next((field.value for field in fields if field.name == b"prevOpTime"), None)
    time = field_of(previous, b"ts") if previous is not None else None
    return time is not None and time.value != bytes(8)
