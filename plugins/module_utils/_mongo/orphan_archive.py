# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The archive of a collection: ``<collection>__orphans`` holds what was taken out of it, byte by byte.

An entry holds the document itself, so that anybody can read and query it (``content``), or, where the entry would be larger or
nested deeper than the server allows, its bytes in parts. Its _id is made of what it holds: writing the same twice makes one
entry, so that a run that was killed is simply repeated. ``pending`` stands in an entry until what it holds has been dealt with
in the collection, whichever way.

Two runs may be at work at once, from two hosts of the same replica set, and what one of them finds pending may be the other's. So
a run claims its entries right before it removes what they hold (``claimed``, by the server's clock), removes nothing of which it
did not get the entry, and drops no entry that somebody has claimed a short while ago.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timezone
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

from .._core.clock import format_utc, parse_utc
from .._core.errors import AbortPlan, MaintenanceError
from .._core.late_dataclass import dataclass
from .errors import mongo_errors
from .raw_cursor import RawCursor
from .raw_document import DOCUMENT, Element, build, elements, field_of, split_batch
from .relations import ARCHIVE_SUFFIX, Relation

try:
    from bson import decode, encode
    from bson.raw_bson import RawBSONDocument
    from pymongo import WriteConcern
    from pymongo.errors import BulkWriteError
except ImportError:  # the client says so
    decode = encode = RawBSONDocument = WriteConcern = None  # type: ignore[assignment,misc]
    BulkWriteError = Exception  # type: ignore[assignment,misc]

FORMAT = 1
LARGEST_DOCUMENT = 16 * 1024 * 1024
# What stands beside the document in an entry is far smaller.
LARGEST_CONTENT = LARGEST_DOCUMENT - 256 * 1024
PART = 8 * 1024 * 1024
# A write that most members do not confirm by then has failed; nothing is removed on the strength of it.
WRITE_TIMEOUT = 120
DUPLICATE_KEY, TOO_DEEP = 11000, 15
# Longer than from claiming entries to removing what they hold, which is the next command.
CLAIM_SECONDS = 600
# Entries read, or removed, with one command.
ENTRIES = 200
LONGEST_NAMESPACE = 255


def safe_writes() -> Any:
    """On the disks of most members before it counts."""
    return WriteConcern(w="majority", j=True, wtimeout=WRITE_TIMEOUT * 1000)


def archive_name(collection: str) -> str:
    return collection + ARCHIVE_SUFFIX


@dataclass(frozen=True)
class Entry:
    """What was taken out of one document, or all of it.

    Attributes:
        key: the document's _id as it is stored.
        payload: the document; of elements, a document that holds them in an array.
        run_id: of the run that archived it.
        archived_at: as `format_utc` writes it.
        positions: of the elements in their list.
        before, left: of elements, digests of their list with them and without.
        pending: it has not been dealt with in the collection, or at least nobody came to note it.
    """

    relation: Relation
    key: Element
    payload: bytes
    run_id: str
    archived_at: str
    positions: Tuple[int, ...] = ()
    before: str = ""
    left: str = ""
    pending: bool = True

    @property
    def id(self) -> str:
        digest = hashlib.sha256(self.payload)
        if self.positions:
            digest.update(self.key.raw)
            digest.update(
                ("%s %s %s %s" % (self.relation.lists[0], self.positions, self.before, self.left)).encode("utf-8")
            )
        return "%s-%s" % (self.relation.unit, digest.hexdigest())

    @property
    def elements(self) -> List[Element]:
        """The elements as they stood in their list."""
        held = field_of(self.payload, b"elements")
        return list(elements(held.value)) if held is not None else []

    def _head(self) -> Dict[str, Any]:
        relation = self.relation
        head: Dict[str, Any] = {
            "_id": self.id,
            "format": FORMAT,
            "kind": relation.unit,
            "run_id": self.run_id,
            "archived_at": parse_utc(self.archived_at),
            "pending": True,
            "relation": {
                "collection": relation.collection,
                "field": relation.field,
                "references": relation.references,
                "key": relation.key,
                "optional": relation.optional,
                "id_forms": list(relation.id_forms),
                "ignore": list(relation.ignore),
            },
            "of": RawBSONDocument(build([self.key])),
        }
        if self.positions:
            head.update(positions=list(self.positions), before=self.before, left=self.left)
        return head

    def whole(self) -> bytes:
        """The entry with the document in it, for anybody to read."""
        return bytes(encode(dict(self._head(), content=RawBSONDocument(self.payload))))

    def parts(self) -> List[bytes]:
        """The entry in several documents, the one that makes it complete last."""
        head, numbers = self._head(), range(0, len(self.payload), PART)
        common = {"format": FORMAT, "kind": "part", "run_id": self.run_id, "archived_at": head["archived_at"]}
        parts = [
            dict(
                common, _id="%s-%04d" % (self.id, start // PART), entry=self.id, data=self.payload[start : start + PART]
            )
            for start in numbers
        ]
        return [bytes(encode(part)) for part in [*parts, dict(head, parts=len(numbers))]]


def parse_entry(raw: bytes) -> Tuple[Optional[Entry], int]:
    """An entry as it is stored, and in how many parts its payload is; None where it is none of ours. Pure."""
    fields = {field.name: field for field in elements(raw)}
    content = fields.pop(b"content", None)
    of = fields.pop(b"of", None)
    if of is None or of.kind != DOCUMENT:
        return None, 0
    head = decode(build(list(fields.values())))
    keys = list(elements(of.value))
    if head.get("format") != FORMAT or head.get("kind") not in ("document", "element") or len(keys) != 1:
        return None, 0
    relation = head["relation"]
    entry = Entry(
        Relation(
            str(relation["collection"]),
            str(relation["field"]),
            str(relation["references"]),
            str(relation["key"]),
            bool(relation["optional"]),
            tuple(relation["id_forms"]),
            tuple(relation["ignore"]),
            "archive",
        ),
        keys[0],
        content.value if content is not None else b"",
        str(head["run_id"]),
        format_utc(head["archived_at"].replace(tzinfo=timezone.utc)),
        tuple(int(number) for number in head.get("positions", ())),
        str(head.get("before", "")),
        str(head.get("left", "")),
        "pending" in head,
    )
    return entry, int(head.get("parts", 0))


class Archive:
    """The archive of one collection.

    Args:
        database: the driver's database.
        collection: the one whose documents it holds.
    """

    def __init__(self, database: Any, collection: str) -> None:
        self._database = database
        self.collection = collection
        self.name = archive_name(collection)
        self.namespace = "%s.%s" % (database.name, self.name)
        self._entries = database.get_collection(self.name, write_concern=safe_writes())

    def write(self, entries: Sequence[Entry]) -> None:
        """Write entries, on the disks of most members when it returns. One that is there already is taken over by its new run.

        Raises:
            MaintenanceError: the server refuses or was lost; some may have been written.
        """
        small = [entry for entry in entries if len(entry.payload) <= LARGEST_CONTENT]
        large = [entry for entry in entries if len(entry.payload) > LARGEST_CONTENT]
        with mongo_errors("cannot write into the archive", self.namespace):
            refused = self._insert([entry.whole() for entry in small])
            large += [small[index] for index in refused]
            for entry in large:
                self._insert(entry.parts(), deep=False)

    def _insert(self, documents: List[bytes], deep: bool = True) -> List[int]:
        """Insert; what is there already is marked as of the new run. Returns which were nested too deep."""
        if not documents:
            return []
        try:
            self._entries.insert_many([RawBSONDocument(document) for document in documents], ordered=not deep)
            return []
        except BulkWriteError as error:
            details = error.details or {}
            refused: List[int] = []
            for failure in details.get("writeErrors", ()):
                index = int(failure["index"])
                if failure.get("code") == DUPLICATE_KEY:
                    self._take_over(documents[index])
                elif deep and failure.get("code") == TOO_DEEP:
                    refused.append(index)
                else:
                    raise
            if details.get("writeConcernErrors"):
                raise
        if not deep:
            # In order, so that the one that makes it complete is the last: what came behind the one that was there.
            return self._insert(documents[1 + min(int(f["index"]) for f in details["writeErrors"]) :], deep)
        return refused

    def _take_over(self, document: bytes) -> None:
        fields = {field.name: field for field in elements(document)}
        wanted = [fields[name] for name in (b"run_id", b"archived_at", b"pending") if name in fields]
        self._entries.update_one({"_id": _text(fields[b"_id"])}, {"$set": RawBSONDocument(build(wanted))})

    def read(self, query: Mapping[str, Any]) -> Iterator[List[Entry]]:
        """Entries that most members have, in batches.

        Raises:
            MaintenanceError: the server refuses or was lost, or a part is missing.
        """
        command = {
            "find": self.name,
            "filter": {"format": FORMAT, "kind": {"$ne": "part"}, **query},
            "readConcern": {"level": "majority"},
        }
        with mongo_errors("cannot read the archive", self.namespace), RawCursor(
            self._database, command, ENTRIES
        ) as batches:
            for batch in batches:
                found = [parse_entry(raw) for raw in split_batch(batch)]
                yield [
                    replace(entry, payload=self._assemble(entry, raw, parts)) if parts else entry
                    for (entry, parts), raw in zip(found, split_batch(batch))
                    if entry is not None
                ]

    def _assemble(self, entry: Entry, raw: bytes, parts: int) -> bytes:
        identity = field_of(raw, b"_id")
        name = _text(identity) if identity is not None else ""
        ids = ["%s-%04d" % (name, number) for number in range(parts)]
        held = {}
        for one in ids:
            command = {"find": self.name, "filter": {"_id": one}, "readConcern": {"level": "majority"}}
            with RawCursor(self._database, command, 1) as batches:
                for part in (part for batch in batches for part in split_batch(batch)):
                    held[one] = bytes(decode(part)["data"])
        if len(held) < parts:
            raise MaintenanceError(
                "an entry of the archive lacks %d of its %d parts" % (parts - len(held), parts),
                target="%s %s" % (self.namespace, name),
                next_step="Get the document out of a backup.",
            )
        return b"".join(held[one] for one in ids)

    def verify(self, entries: Iterable[Entry]) -> None:
        """See that most members hold exactly what was written.

        Raises:
            AbortPlan: they do not.
            MaintenanceError: the server refuses or was lost.
        """
        wanted = {entry.id: entry for entry in entries}
        for batch in self.read({"_id": {"$in": list(wanted)}}):
            for entry in batch:
                written = wanted.get(entry.id)
                # Which run's they are tells when they are claimed: another one may have written the same.
                if written is not None and same_content(entry, written):
                    del wanted[entry.id]
        if wanted:
            raise AbortPlan(
                "%d copies in the archive are not what was written" % len(wanted),
                target=self.namespace,
                next_step="Nothing of them was removed. Does something else write there? If not, have the server's disk checked.",
            )

    def claim(self, entries: Sequence[Entry]) -> List[Entry]:
        """Claim entries of one run right before what they hold is removed.

        Returns:
            Those that are still there, of the same run and pending; what the others hold must not be removed.
        """
        ours = {"_id": {"$in": [entry.id for entry in entries]}, "run_id": entries[0].run_id, "pending": True}
        with mongo_errors("cannot claim entries of the archive", self.namespace):
            claimed = self._entries.update_many(ours, {"$currentDate": {"claimed": True}}).matched_count
            if claimed == len(entries):
                return list(entries)
            # Nobody drops what was claimed just now: what is still there stays.
            found = {one["_id"] for one in self._entries.find(dict(ours, claimed={"$exists": True}), {"_id": 1})}
        return [entry for entry in entries if entry.id in found]

    def drop(self, entries: Sequence[Entry], unless_claimed: bool = False) -> int:
        """Forget entries, as far as they are still of the same run; returns how many.

        Args:
            unless_claimed: keep those whose documents another run may be removing at this moment.
        """
        by_run: Dict[str, List[str]] = {}
        total = 0
        for entry in entries:
            by_run.setdefault(entry.run_id, []).append(entry.id)
        with mongo_errors("cannot remove entries from the archive", self.namespace):
            for run_id, ids in by_run.items():
                query: Dict[str, Any] = {"_id": {"$in": ids}, "run_id": run_id}
                if unless_claimed:
                    # True also where nobody ever claimed it: what is absent sorts before every date.
                    long_ago = {"$subtract": ["$$NOW", CLAIM_SECONDS * 1000]}
                    query["$expr"] = {"$lt": ["$claimed", long_ago]}
                dropped = int(self._entries.delete_many(query).deleted_count)
                total += dropped
                if dropped < len(ids):
                    left = {one["_id"] for one in self._entries.find({"_id": {"$in": ids}}, {"_id": 1})}
                    ids = [one for one in ids if one not in left]
                if ids:
                    self._entries.delete_many({"$or": [_parts_of(one) for one in ids], "run_id": run_id})
        return total

    def settle(self, entries: Sequence[Entry]) -> int:
        """Note that these were dealt with; returns how many are there."""
        ids = [entry.id for entry in entries]
        with mongo_errors("cannot mark entries of the archive", self.namespace):
            change = {"$unset": {"pending": "", "claimed": ""}}
            return int(self._entries.update_many({"_id": {"$in": ids}}, change).matched_count)


def same_content(one: Entry, other: Entry) -> bool:
    """Whether two entries hold the same of the same document. Pure."""
    return (one.key, one.payload, one.positions, one.before, one.left, one.relation.path) == (
        other.key,
        other.payload,
        other.positions,
        other.before,
        other.left,
        other.relation.path,
    )


def _parts_of(entry: str) -> Dict[str, Any]:
    """What finds the parts of an entry by the index of _id."""
    return {"_id": {"$gt": entry + "-", "$lt": entry + "."}}


def _text(field: Element) -> str:
    return field.value[4:-1].decode("utf-8")
