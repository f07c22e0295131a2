# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documents of a collection read, put back, changed and removed as bytes: each change only where they are as they were seen.

A document is changed or removed by a query that holds all of it, so that whoever changes it meanwhile keeps it. Such a query
takes for unchanged only what differs in the type of an equal number.
"""

from __future__ import annotations

import hashlib
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from .errors import mongo_errors
from .orphan_archive import DUPLICATE_KEY, Entry, safe_writes
from .orphan_judgement import identity_of, list_path
from .raw_cursor import RawCursor
from .raw_document import (
    ARRAY,
    DOCUMENT,
    Element,
    array_of,
    build,
    elements,
    field_at,
    has_empty_timestamp,
    split_batch,
)

try:
    from bson import encode
    from bson.raw_bson import RawBSONDocument
    from pymongo import DeleteOne, UpdateOne
    from pymongo.collation import Collation
    from pymongo.errors import OperationFailure
except ImportError:  # the client says so
    encode = RawBSONDocument = DeleteOne = UpdateOne = Collation = None  # type: ignore[assignment,misc]
    OperationFailure = Exception  # type: ignore[assignment,misc]

GONE = "its document is gone"
CHANGED_LIST = "its list was changed since"
INVALID_DOCUMENT = 121
# So many are looked up with one command; what comes back with one reply takes at most 16 MiB.
IDS = 100
_NEVER = Element(16, b"$alwaysFalse", b"\1\0\0\0")
# Someone who changes a list all the time.
ATTEMPTS = 3


def digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def without(listed: bytes, positions: Sequence[int]) -> bytes:
    """A list without the elements at these positions. Pure."""
    gone = set(positions)
    return array_of([element for number, element in enumerate(elements(listed)) if number not in gone])


def merged(left: bytes, positions: Sequence[int], taken: Sequence[Element]) -> bytes:
    """A list with elements put back at their positions. Pure."""
    rest, back = list(elements(left)), dict(zip(positions, taken))
    whole, others = [], iter(rest)
    for number in range(len(rest) + len(back)):
        if number in back:
            whole.append(back[number])
        else:
            found = next(others, None)
            if found is not None:
                whole.append(found)
    return array_of(whole)


def list_of(raw: bytes, entry: Entry) -> Optional[bytes]:
    """The list in a document that an entry's elements are of; None where there is none. Pure."""
    found = field_at(raw, list_path(entry.relation))
    return found.value if found is not None and found.kind == ARRAY else None


class Originals:
    """The documents of one collection.

    Args:
        database: the driver's database.
        collection: its name.
    """

    def __init__(self, database: Any, collection: str) -> None:
        self._database = database
        self.name = collection
        self.namespace = "%s.%s" % (database.name, collection)
        self._documents = database.get_collection(collection, write_concern=safe_writes())

    def read(self, keys: Sequence[Element]) -> Iterator[List[bytes]]:
        """The documents of these ids, as far as they are there, in batches of at most 16 MiB.

        Raises:
            MaintenanceError: the server refuses or was lost.
        """
        plain = [key for key in keys if key.kind != DOCUMENT]
        queries = [
            RawBSONDocument(build([Element(DOCUMENT, b"_id", build([Element(ARRAY, b"$in", array_of(chunk))]))]))
            for chunk in (plain[start : start + IDS] for start in range(0, len(plain), IDS))
        ]
        # A document among others in $in would be read as a query where its first field looks like one.
        queries += [_by_id(key) for key in keys if key.kind == DOCUMENT]
        for query in queries:
            command: Dict[str, Any] = {"find": self.name, "filter": query, "collation": {"locale": "simple"}}
            with mongo_errors("cannot read the documents", self.namespace), RawCursor(
                self._database, command, IDS
            ) as batches:
                for batch in batches:
                    yield split_batch(batch)

    def find(self, key: Element) -> Optional[bytes]:
        """One document; None where it is not there."""
        found = [raw for batch in self.read([key]) for raw in batch]
        return found[0] if found else None

    def remove(self, raws: Sequence[bytes]) -> int:
        """Remove documents that are what they were; returns how many that were."""
        changes = [DeleteOne(unchanged(raw), collation=Collation("simple")) for raw in raws]
        with mongo_errors("cannot remove the documents", self.namespace):
            return int(self._documents.bulk_write(changes, ordered=False).deleted_count) if changes else 0

    def set_lists(self, lists: Sequence[Tuple[bytes, str, bytes]]) -> int:
        """Set lists in documents that are what they were; returns how many that were.

        Args:
            lists: each document, the path of its list, and what is to be there.
        """
        changes = []
        for raw, path, value in lists:
            change = build([Element(DOCUMENT, b"$set", build([Element(ARRAY, path.encode("utf-8"), value)]))])
            changes.append(UpdateOne(unchanged(raw), RawBSONDocument(change), collation=Collation("simple")))
        with mongo_errors("cannot change the documents", self.namespace):
            return int(self._documents.bulk_write(changes, ordered=False).matched_count) if changes else 0

    def put_back(self, entry: Entry) -> str:
        """Put back what an entry holds, if nothing else stands in its place.

        Returns:
            "restored", "there" (all as it was already), or why it cannot be put back.

        Raises:
            MaintenanceError: the server refuses or was lost.
        """
        if entry.positions:
            return self._put_elements_back(entry)
        standing = self.judge(entry)
        if standing:
            return standing
        with mongo_errors("cannot put a document back", self.namespace):
            refused = self._insert(entry.payload, False)
            if refused == INVALID_DOCUMENT:
                # It was there before: a rule that came later, or one that only warns, does not forbid it.
                refused = self._insert(entry.payload, True)
        if refused == DUPLICATE_KEY:
            return self.judge(entry) or "another document has a value that must be unique (code 11000)"
        if refused:
            return "the server refuses it (code %s)" % refused
        standing = self.judge(entry)
        return "restored" if standing == "there" else standing or "it was removed again at once"

    def judge(self, entry: Entry) -> str:
        """What stands in the place of what an entry holds.

        Returns:
            "" where it can be put back, "there" where all is as it was, or why it cannot.
        """
        raw = self.find(entry.key)
        if not entry.positions:
            if raw is None:
                return ""
            return "there" if raw == entry.payload else "a document with this _id is there, and it is another one"
        if raw is None:
            return GONE
        listed = list_of(raw, entry)
        if listed is not None and digest(listed) == entry.before:
            return "there"
        if listed is None or digest(listed) != entry.left:
            return CHANGED_LIST
        if digest(merged(listed, entry.positions, entry.elements)) != entry.before:
            return "its list cannot be made as it was"
        return ""

    def _insert(self, raw: bytes, bypass: bool) -> int:
        """Insert a document exactly as it is; returns the code of why not, 0 if it was."""
        command: Dict[str, Any] = {"insert": self.name, "documents": [RawBSONDocument(raw)]}
        if has_empty_timestamp(raw):
            # An upsert leaves it as it is. The query meets nothing, whatever is there.
            update = {
                "q": RawBSONDocument(build([*_by_id_fields(identity_of(raw)), _NEVER])),
                "u": [{"$replaceWith": {"$literal": RawBSONDocument(raw)}}],
                "upsert": True,
            }
            command = {"update": self.name, "updates": [update]}
        command["writeConcern"] = safe_writes().document
        if bypass:
            command["bypassDocumentValidation"] = True
        answer = self._database.command(command)
        errors = answer.get("writeErrors") or []
        if answer.get("writeConcernError"):
            concern = answer["writeConcernError"]
            raise OperationFailure(str(concern.get("errmsg")), concern.get("code"), concern)
        return int(errors[0].get("code") or 1) if errors else 0

    def _put_elements_back(self, entry: Entry) -> str:
        for _attempt in range(ATTEMPTS):
            standing = self.judge(entry)
            if standing:
                return standing
            raw = self.find(entry.key)
            listed = list_of(raw, entry) if raw is not None else None
            if raw is None or listed is None or digest(listed) != entry.left:
                continue
            whole = merged(listed, entry.positions, entry.elements)
            if self.set_lists([(raw, entry.relation.lists[0], whole)]):
                return "restored" if self.judge(entry) == "there" else CHANGED_LIST
        return "its document is changed all the time"


def unchanged(raw: bytes) -> Any:
    """A query that meets a document only while it is what it was. Pure."""
    same = encode({"$eq": ["$$ROOT", {"$literal": RawBSONDocument(raw)}]})
    return RawBSONDocument(build([*_by_id_fields(identity_of(raw)), Element(DOCUMENT, b"$expr", bytes(same))]))


def _by_id(key: Element) -> Any:
    return RawBSONDocument(build(_by_id_fields(key)))


def _by_id_fields(key: Element) -> List[Element]:
    return [Element(DOCUMENT, b"_id", build([Element(key.kind, b"$eq", key.value)]))]
