# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What archiving, purging or restoring would meet: read, and changed in nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Callable, Dict, List, Mapping, Sequence, Set, Tuple

from .client import Connection
from .errors import mongo_errors
from .orphan_archive import FORMAT, LONGEST_NAMESPACE, Archive, Entry, archive_name
from .orphan_judgement import AgeRule, identity_of, judge_documents, read_reference
from .orphan_originals import CHANGED_LIST, GONE, Originals, digest, list_of
from .orphan_planning import ArchiveSeen, RelationSeen
from .orphans import OrphanFinder, RelationFindings, showable
from .raw_document import Element, build
from .relations import ARCHIVE_SUFFIX, Relation
from .storage import read_collection_statistics

try:
    from bson import decode, encode
except ImportError:  # the client says so
    decode = encode = None  # type: ignore[assignment]

EXAMPLES = 3
READ_AT_ONCE = 500


def key_text(key: Element) -> str:
    """An _id as a plan holds it. Pure."""
    return bytes((key.kind,)).hex() + key.value.hex()


def key_of(text: str) -> Element:
    """The _id of such a text. Pure."""
    raw = bytes.fromhex(text)
    return Element(raw[0], b"_id", raw[1:])


def key_of_value(value: Any) -> Element:
    """The _id of a document that was decoded. Pure."""
    return identity_of(bytes(encode({"_id": value})))


def shown_key(key: Element) -> str:
    """An _id for a report. Pure."""
    try:
        return showable(decode(build([key]))["_id"])
    except ValueError:
        return "(an _id that does not decode)"


def _lists_with(entry: Entry) -> Set[Tuple[bytes, str, str]]:
    """The list that is there once the elements of an entry are back."""
    return {(entry.key.raw, entry.relation.lists[0], entry.before)} if entry.positions else set()


def in_turn(
    waiting: Sequence[Tuple[Entry, str, int]], back: Set[Tuple[bytes, str, str]]
) -> Tuple[List[int], List[Tuple[Entry, str, int]]]:
    """What can be put back once other entries of the same run were: a run may take elements of one list several times, and then
    the document. Pure.

    Args:
        waiting: entries, what stands in the way of each now, and its bytes.
        back: lists that will be there, each with the document's _id and its path, by their digests.

    Returns:
        The bytes of those that can be, and those that cannot.
    """
    sizes: List[int] = []
    reached, left = set(back), list(waiting)
    while True:
        still = []
        for one, standing, size in left:
            known = bool(one.positions) and standing in (GONE, CHANGED_LIST)
            if known and (one.key.raw, one.relation.lists[0], one.left) in reached:
                sizes.append(size)
                reached |= _lists_with(one)
            else:
                still.append((one, standing, size))
        if len(still) == len(left):
            return sizes, still
        left = still


class Observer:
    """Reads what the planner decides on.

    Args:
        connection: to the primary.
        database: its name.
        collections: what listCollections tells of it, by name.
        progress: called now and then.
    """

    def __init__(
        self,
        connection: Connection,
        database: str,
        collections: Mapping[str, Mapping[str, Any]],
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        self._connection = connection
        self._database = connection.client[database]
        self._collections = collections
        self._progress = progress

    def archived_collections(self, wanted: Sequence[str] = ()) -> List[str]:
        """Collections that have an archive, there or not there themselves.

        Args:
            wanted: names or patterns of those that are meant; all without any.
        """
        names = [name[: -len(ARCHIVE_SUFFIX)] for name in self._collections if name.endswith(ARCHIVE_SUFFIX)]
        meant = [name for name in names if not wanted or any(name == one or fnmatchcase(name, one) for one in wanted)]
        return sorted(name for name in meant if name)

    def look_at(self, findings: RelationFindings, finder: OrphanFinder, policy: AgeRule, limit: int) -> RelationSeen:
        """What archiving the orphans of a relation would take; the documents are read only where they are no more than `limit`."""
        relation = findings.relation
        if not findings.judged:
            return RelationSeen(findings)
        obstacle = self._obstacle(relation)
        with mongo_errors("cannot look at the references", "%s.%s" % (self._database.name, relation.name)):
            # Never the fast count: after a server was killed it is wrong, for good.
            total = self._database[relation.collection].count_documents({})
            types = self._reference_types(relation) if findings.documents or findings.incomparable else {}
        key_types = tuple(finder.key_types(relation)) if types else ()
        if obstacle or len(findings.holders) > limit:
            return RelationSeen(
                findings, (), findings.orphans, 0, {}, total, types, key_types, tuple(findings.samples), obstacle
            )
        statistics = read_collection_statistics(self._connection, self._database.name, relation.collection)
        keys, orphans, size, stays, examples = self._candidates(findings, finder, policy)
        return RelationSeen(
            findings,
            keys,
            orphans,
            size,
            stays,
            total,
            types,
            key_types,
            examples,
            "",
            statistics.bytes,
            len(statistics.indexes),
        )

    def _candidates(
        self, findings: RelationFindings, finder: OrphanFinder, policy: AgeRule
    ) -> Tuple[Tuple[str, ...], int, int, Dict[str, int], Tuple[str, ...]]:
        relation = findings.relation
        originals = Originals(self._database, relation.collection)
        wanted = list({key_text(key_of_value(value)): None for value in findings.holders})
        keys: List[str] = []
        examples: List[str] = []
        orphans, size = 0, 0
        stays: Counter[str] = Counter()
        for start in range(0, len(wanted), READ_AT_ONCE):
            chunk = [key_of(text) for text in wanted[start : start + READ_AT_ONCE]]
            seen = 0
            for raws in originals.read(chunk):
                seen += len(raws)
                for raw, verdict in zip(raws, judge_documents(finder, relation, raws, policy)):
                    if verdict.stay:
                        stays[verdict.stay] += 1
                        continue
                    keys.append(key_text(identity_of(raw)))
                    orphans += len(verdict.positions) or 1
                    size += len(raw)
                    if len(examples) < EXAMPLES:
                        values = read_reference(raw, relation, policy).values
                        value = values[verdict.positions[0] if verdict.positions else 0]
                        examples.append("%s refers to %s" % (shown_key(identity_of(raw)), showable(value)))
                self._progress()
            if seen < len(chunk):
                stays["it is gone, or its _id is no valid text"] += len(chunk) - seen
        return tuple(keys), orphans, size, dict(stays), tuple(examples)

    def _obstacle(self, relation: Relation) -> str:
        """Why nothing of a collection can be archived; "" when it can."""
        entry = self._collections.get(relation.collection) or {}
        kind = str(entry.get("type", "collection"))
        if kind != "collection":
            return "%s is a %s: its documents are others' and cannot be put back one by one" % (
                relation.collection,
                "view" if kind == "view" else "time-series collection" if kind == "timeseries" else kind,
            )
        if (entry.get("options") or {}).get("capped"):
            return (
                "%s is capped: what is put back would stand at its end, and push out what is oldest"
                % relation.collection
            )
        if len(relation.lists) > 1:
            return "lists within lists are only reported"
        archive = archive_name(relation.collection)
        if len(("%s.%s" % (self._database.name, archive)).encode("utf-8")) > LONGEST_NAMESPACE:
            return "the name of its archive, %s, would be longer than the server allows" % archive
        return self._unfit_archive(archive)

    def _unfit_archive(self, name: str) -> str:
        entry = self._collections.get(name)
        if entry is None:
            return ""
        if str(entry.get("type", "collection")) != "collection" or entry.get("options"):
            return "%s is there, and it is no plain collection: rename it" % name
        with mongo_errors("cannot list the indexes", "%s.%s" % (self._database.name, name)):
            for index in self._database[name].list_indexes():
                if "expireAfterSeconds" in index or (index.get("unique") and index["name"] != "_id_"):
                    return "%s has an index (%s) that removes or refuses documents: drop it" % (name, index["name"])
        return ""

    def _reference_types(self, relation: Relation) -> Dict[str, int]:
        stages: List[Dict[str, Any]] = [{"$unwind": "$" + path} for path in relation.lists]
        stages.append({"$group": {"_id": {"$type": "$" + relation.path}, "n": {"$sum": 1}}})
        found = self._database[relation.collection].aggregate(stages, allowDiskUse=True)
        return {str(entry["_id"]): int(entry["n"]) for entry in found}

    def pending(self, collection: str) -> int:
        """Entries of an archive that a run which was cut off had under way."""
        archive = archive_name(collection)
        if archive not in self._collections:
            return 0
        with mongo_errors("cannot read the archive", "%s.%s" % (self._database.name, archive)):
            return int(self._database[archive].count_documents({"format": FORMAT, "pending": True}))

    def look_at_age(self, collection: str, before: datetime) -> ArchiveSeen:
        """Which entries of an archive are from before a moment."""
        archive = archive_name(collection)
        settled = {"format": FORMAT, "kind": {"$ne": "part"}, "pending": {"$exists": False}}
        with mongo_errors("cannot read the archive", "%s.%s" % (self._database.name, archive)):
            held = self._database[archive]
            group = {"_id": None, "n": {"$sum": 1}, "bytes": {"$sum": {"$bsonSize": "$$ROOT"}}}
            stages = [{"$match": dict(settled, archived_at={"$lt": before})}, {"$group": group}]
            old = next(iter(held.aggregate(stages)), {"n": 0, "bytes": 0})
            young = held.count_documents(dict(settled, archived_at={"$gte": before}))
        return ArchiveSeen(collection, self.pending(collection), int(old["n"]), int(old["bytes"]), int(young))

    def look_at_run(self, collection: str, run_id: str) -> ArchiveSeen:
        """What of a run's entries can be put back, and what stands in the way."""
        archive, originals = Archive(self._database, collection), Originals(self._database, collection)
        entry = self._collections.get(collection)
        restorable, size, obstacle = 0, 0, ""
        waiting: List[Tuple[Entry, str, int]] = []
        back: Set[Tuple[bytes, str, str]] = set()
        if entry is None:
            obstacle = "the collection is gone, and with it its indexes: create it anew, and restore again"
        elif str(entry.get("type", "collection")) != "collection":
            obstacle = "it is no plain collection any more"
        for batch in archive.read({"run_id": run_id}):
            for one in batch:
                standing = "" if obstacle else originals.judge(one)
                if standing in ("", "there"):
                    restorable += 1
                    size += len(one.payload)
                    back |= _lists_with(one)
                else:
                    waiting.append((replace(one, payload=b""), standing, len(one.payload)))
            self._progress()
        back |= self._lists_of_documents(archive, run_id, waiting)
        later, waiting = in_turn(waiting, back)
        restorable += len(later)
        size += sum(later)
        return ArchiveSeen(
            collection,
            restorable=0 if obstacle else restorable,
            restorable_bytes=size,
            collisions=tuple((shown_key(one.key), standing) for one, standing, _size in waiting),
            obstacle=obstacle if restorable else "",
        )

    def _lists_of_documents(
        self, archive: Archive, run_id: str, waiting: Sequence[Tuple[Entry, str, int]]
    ) -> Set[Tuple[bytes, str, str]]:
        """The lists in documents that come back themselves, and for whose elements there is no document yet."""
        gone: Dict[bytes, List[Entry]] = {}
        for one, standing, _size in waiting:
            if standing == GONE:
                gone.setdefault(one.key.raw, []).append(one)
        found: Set[Tuple[bytes, str, str]] = set()
        if not gone:
            return found
        for batch in archive.read({"run_id": run_id, "kind": "document"}):
            for entry in batch:
                for one in gone.get(entry.key.raw, ()):
                    listed = list_of(entry.payload, one)
                    if listed is not None:
                        found.add((entry.key.raw, one.relation.lists[0], digest(listed)))
        return found

    def runs(self, collection: str) -> Sequence[str]:
        """Runs that an archive holds something of."""
        name = archive_name(collection)
        with mongo_errors("cannot read the archive", "%s.%s" % (self._database.name, name)):
            stages: List[Dict[str, Any]] = [
                {"$match": {"format": FORMAT}},
                {"$group": {"_id": "$run_id"}},
                {"$sort": {"_id": -1}},
                {"$limit": 10},
            ]
            return [str(entry["_id"]) for entry in self._database[name].aggregate(stages)]
