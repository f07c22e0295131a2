# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""References that point nowhere, found without ever taking a good one for bad.

The distinct references of a field are streamed from the server in order (from an index alone where there is one). Ids that
are among the keys of the collection referred to, read in the same order, are good, and never decoded. All others are looked up
there in batches, in each form in which an id may be written. The documents that hold the missing ones are then read, and the
missing ones looked up once more: whatever was inserted in between is no orphan. Memory is bounded on both sides, however large
the collections. Nothing is ever written.

What cannot be compared is not judged: text that is no id where all keys are ObjectIds, lists where one value is expected,
and everything when the collection referred to is missing or empty, which is more likely a misspelt name than the end of all.
"""

from __future__ import annotations

import math
import re
from collections import deque
from contextlib import ExitStack
from dataclasses import field
from datetime import datetime, timedelta, timezone
from itertools import chain
from typing import (
    Any,
    Callable,
    ContextManager,
    Deque,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Set,
    Tuple,
)

from .._core.errors import AbortPlan
from .._core.late_dataclass import dataclass
from .errors import error_number, mongo_errors
from .held_keys import MOST_KEYS, HeldKeys, read_keys
from .key_ranges import KeyRange
from .plain_references import PlainReferences
from .raw_cursor import RawCursor
from .raw_holders import Cutoff, RawHolders, existing_ids, holders_in
from .raw_ids import RawIds, cut_ids, objectids_of, split_texts
from .raw_tables import is_short, join_batch
from .read_ahead import read_ahead
from .relations import Relation
from .spilled_references import LostPart, SpilledReferences, is_worth_a_file, room_for
from .spilled_rows import OutOfRoom, SpillFile
from .storage import DOTS, VIEW_CODE, is_readable_name

try:
    from bson import DBRef, Decimal128, ObjectId, decode
    from bson.codec_options import CodecOptions, DatetimeConversion
    from pymongo.collation import Collation
    from pymongo.errors import OperationFailure
except ImportError:  # the client says so
    DBRef = Decimal128 = ObjectId = Collation = CodecOptions = DatetimeConversion = None  # type: ignore[assignment,misc]
    decode = None  # type: ignore[assignment]
    OperationFailure = Exception  # type: ignore[assignment,misc]

# Distinct references read at once, about half a megabyte of them.
REFERENCE_BATCH = 20000
# Measured: larger batches gain nothing.
PROBE_BATCH = 5000
# Without an index each look for the holders reads the whole collection: fewer, larger looks. The ids still take
# about 2 MB, of the 16 MB that a command may have.
HOLDER_BATCH_UNINDEXED = 50000
# Documents with orphans that are read at once: small ones, but a list in each may be long.
HOLDERS = 5000
HOLDERS_WITH_LISTS = 1000
# Batches that are read before they are worked on.
AHEAD = 4
LONGEST_REFERENCE = 256
# Up to the very end: $ would let a line end pass, which no ObjectId has.
_HEX = re.compile(r"^[0-9a-fA-F]{24}\Z")
# What a program writes that had no id at hand: JavaScript's text for nothing, for no number and for an object, and the
# call that would have made an id. No document has gone; whoever wrote it has to be mended.
_MALFORMED = re.compile(r"^(?:undefined|null|NaN|\[object \w+\]|(?:new )?ObjectId\(.*\))\Z", re.DOTALL)
_ISO = re.compile(r"^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,]\d+)?(?:Z|([+-])(\d\d):?(\d\d))?\Z")
_MIXED = "^(?=.*[a-f])(?=.*[A-F])[0-9a-fA-F]{24}$"


class ReferenceJudgement(NamedTuple):
    """What one stored value is. One is made for each distinct reference, so it is a plain tuple.

    Attributes:
        kind: "absent", "ignored", "other" (cannot be compared), "malformed" (text that never was an id) or "reference".
        probes: values of the key any of which would prove that a reference is good, a malformed one too.
    """

    kind: str
    probes: Tuple[Any, ...] = ()


ABSENT, IGNORED, OTHER = ReferenceJudgement("absent"), ReferenceJudgement("ignored"), ReferenceJudgement("other")


def judge_value(value: Any, relation: Relation, types: Mapping[str, bool], database: str = "") -> ReferenceJudgement:
    """What a stored value is, as far as can be told without looking it up. Pure.

    Args:
        value: as stored.
        types: whether any key referred to is of a BSON type (by its alias in the query language).
        database: where both collections are, for DBRefs.
    """
    if value is None:
        return ABSENT
    if isinstance(value, DBRef):
        if value.collection != relation.references or value.database not in (None, database):
            return OTHER
        inner = judge_value(value.id, relation, types, database)
        return inner if inner.kind == "reference" else OTHER
    if isinstance(value, ObjectId):
        probes = [(value, "objectId")]
        if "hex_string" in relation.id_forms and types["string"]:
            probes.extend([(str(value), "string"), (str(value).upper(), "string")])
    elif isinstance(value, str):
        if value in relation.ignore:
            return IGNORED
        if len(value) > LONGEST_REFERENCE or "\ufffd" in value:
            # The latter stands for bytes that are no UTF-8: which they were, and what they refer to, cannot be told.
            return OTHER
        if is_malformed(value):
            return ReferenceJudgement("malformed", (value,) if types["string"] else ())
        probes = [(value, "string")]
        if _HEX.match(value) and "hex_string" in relation.id_forms:
            # One id, whichever way its digits are written.
            probes.extend([(text, "string") for text in (value.lower(), value.upper()) if text != value])
        if _HEX.match(value) and "objectid" in relation.id_forms:
            probes.append((ObjectId(value), "objectId"))
    elif isinstance(value, bool):
        return OTHER
    elif isinstance(value, (int, float)):
        if isinstance(value, float) and math.isnan(value):
            return OTHER
        probes = [(value, "number")]
    elif isinstance(value, bytes) and len(value) <= LONGEST_REFERENCE:
        probes = [(value, "binData")]
    else:
        return OTHER
    possible = tuple([probe for probe, bson_type in probes if types[bson_type]])
    # Never equal to any key, whatever the data: a difference of types, not a lost document.
    return ReferenceJudgement("reference", possible) if possible else OTHER


def is_malformed(value: Any) -> bool:
    """Whether a value is text that a program wrote in place of an id. Pure."""
    return isinstance(value, str) and _MALFORMED.match(value) is not None


def values_at(document: Any, parts: Sequence[str]) -> Iterator[Any]:
    """The values that a path such as ["items[]", "productId"] reaches in a document; None for an absent one. Pure."""
    if not parts:
        yield document
        return
    part, rest = parts[0], parts[1:]
    name = part[:-2] if part.endswith("[]") else part
    if not isinstance(document, Mapping):
        # The server finds nothing below a plain value, and a list of values below a list that was not unwound.
        yield document if isinstance(document, list) else None
        return
    value = document.get(name)
    if not part.endswith("[]"):
        yield from values_at(value, rest)
        return
    if value is None:
        return
    for element in value if isinstance(value, list) else [value]:
        yield from values_at(element, rest)


def key_values(document: Any, parts: Sequence[str]) -> Iterator[Any]:
    """The values by which a query finds a document under a path: the elements of every list on the way, and at its end. Pure."""
    if isinstance(document, list):
        if parts and parts[0].isdigit() and int(parts[0]) < len(document):
            yield from key_values(document[int(parts[0])], parts[1:])
        for element in document:
            yield from key_values(element, parts)
    elif not parts:
        yield document
    elif isinstance(document, Mapping):
        yield from key_values(document.get(parts[0]), parts[1:])


def moment_of(value: Any) -> Optional[datetime]:
    """The moment that a stored value is, also as JavaScript writes it into text (toISOString); None for anything else. Pure."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=timezone.utc)
    match = _ISO.match(value) if isinstance(value, str) else None
    if match is None:
        return None
    try:
        moment = datetime.strptime("".join(match.group(1, 2)), "%Y-%m-%d%H:%M:%S").replace(tzinfo=timezone.utc)
        sign, hours, minutes = match.group(3) or "+", int(match.group(4) or 0), int(match.group(5) or 0)
        return moment - timedelta(hours=hours, minutes=minutes) * (-1 if sign == "-" else 1)
    except (ValueError, OverflowError):
        return None


def created(document: Mapping[str, Any]) -> Optional[datetime]:
    """When a document was made, the later of its createdAt and the time in its _id; None when neither tells. Pure."""
    stamp, identity = moment_of(document.get("createdAt")), document.get("_id")
    moments = [stamp] if stamp is not None else []
    if isinstance(identity, ObjectId):
        moments.append(identity.generation_time)
    return max(moments) if moments else None


def showable(identity: Any) -> str:
    """A document's _id for a report: text may be an e-mail address, so only what is an id is shown. Pure."""
    if isinstance(identity, ObjectId) or (isinstance(identity, str) and _HEX.match(identity)):
        return str(identity)
    if isinstance(identity, int) and not isinstance(identity, bool):
        return str(identity)
    return "(an _id of type %s)" % type(identity).__name__


@dataclass
class RelationFindings:
    """What came of one relation.

    Attributes:
        orphans: documents, or elements of lists, whose reference points nowhere.
        documents: documents that hold them.
        references: distinct references looked up.
        missing: those of them that were not found at the first look.
        samples: some of the documents' ids.
        judged: False when nothing can be said; reason says why.
        incomparable: distinct values that cannot be compared with any key.
        too_young: orphans so far, but younger than min_age.
        malformed: documents, or elements of lists, that hold text which never was an id, such as "undefined".
        malformed_samples: some of the ids of those documents.
        holders: the _id of documents with orphans, as many of them as the finder was asked to hold.
    """

    relation: Relation
    orphans: int = 0
    documents: int = 0
    references: int = 0
    missing: int = 0
    samples: List[str] = field(default_factory=list)
    judged: bool = True
    reason: str = ""
    incomparable: int = 0
    too_young: int = 0
    malformed: int = 0
    malformed_samples: List[str] = field(default_factory=list)
    holders: List[Any] = field(default_factory=list)

    def as_dict(self) -> Dict[str, Any]:
        return {
            "relation": self.relation.name,
            "references": "%s.%s" % (self.relation.references, self.relation.key),
            "unit": self.relation.unit,
            "orphans": self.orphans,
            "documents": self.documents,
            "distinct_references": self.references,
            "incomparable": self.incomparable,
            "too_young": self.too_young,
            "malformed": self.malformed,
            "malformed_samples": list(self.malformed_samples),
            "samples": list(self.samples),
            "judged": self.judged,
            "reason": self.reason,
        }


def suspicion(report: RelationFindings) -> str:
    """Why a report is hard to believe; "" when it is not. Pure."""
    if report.references >= 10 and 2 * report.missing > report.references:
        return (
            "%s: %d of %d references point nowhere: is %s really what the field refers to, and is that collection complete?"
            % (
                report.relation.name,
                report.missing,
                report.references,
                report.relation.references,
            )
        )
    return ""


def _batches(values: Iterable[Any], size: int) -> Iterator[List[Any]]:
    batch: List[Any] = []
    for value in values:
        batch.append(value)
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch


def is_usable_index(index: Mapping[str, Any], path: str) -> bool:
    """Whether an index gives all values of a field in order. Pure."""
    keys = list(dict(index.get("key") or {}).items())
    if not keys or keys[0][0] != path or keys[0][1] not in (1, -1):
        return False
    # A partial or sparse index lacks documents, one with a collation has its own idea of order and equality.
    return not any(index.get(option) for option in ("sparse", "partialFilterExpression", "hidden", "collation"))


class _KeyTypes(Dict[str, bool]):
    """BSON types that keys are of; each is asked for when it is first looked up."""

    def __init__(self, collection: Any, key: str) -> None:
        super().__init__()
        self._collection = collection
        self._key = key

    def __missing__(self, bson_type: str) -> bool:
        found = self._collection.find_one({self._key: {"$type": bson_type}}, {"_id": 1}) is not None
        self[bson_type] = found
        return found


def _values(ids: RawIds) -> List[Any]:
    return [*map(ObjectId, ids.objectids), *(text.decode("ascii") for text in ids.texts)]


class _KeyReader:
    """Tells ids that are good for certain from those that have to be looked up, by reading keys in their order.

    Args:
        relation: its key is _id.
        types: of its keys.
    """

    def __init__(self, database: Any, relation: Relation, types: Mapping[str, bool]) -> None:
        self._relation = relation
        self._types = types
        self._objectids = KeyRange(database, relation.references, ObjectId, lambda ids: ids.objectids)
        self._texts = KeyRange(database, relation.references, lambda key: key.decode("ascii"), lambda ids: ids.texts)

    def sift(self, ids: RawIds, report: RelationFindings) -> Tuple[List[Any], List[Any]]:
        """The ids that are lost for certain, and those to be looked up; all others are good. The report counts them."""
        texts, ignored = split_texts(ids.texts, self._relation.ignore)
        lost, unknown = self._sift_objectids(ids.objectids)
        more_lost, more_unknown = self._sift_texts(texts)
        lost, unknown = [*lost, *more_lost], [*unknown, *more_unknown]
        report.references += len(ids.objectids) + len(texts) - len(unknown)
        report.missing += len(lost)
        return lost, [*unknown, *ignored]

    def _sift_objectids(self, ids: List[bytes]) -> Tuple[List[Any], List[Any]]:
        left, certain = set(ids), False
        if left and self._types["objectId"]:
            certain = self._objectids.discard_existing(left) and not self._types["string"]
        if left and "hex_string" in self._relation.id_forms and self._types["string"]:
            written = {key.hex().encode("ascii") for key in left}
            self._texts.discard_existing(written)
            left = set(objectids_of(list(written)))
        values = [ObjectId(key) for key in ids if key in left]
        return (values, []) if certain else ([], values)

    def _sift_texts(self, texts: List[bytes]) -> Tuple[List[Any], List[Any]]:
        left, certain = texts, False
        if left and "objectid" in self._relation.id_forms and self._types["objectId"]:
            meant = objectids_of(left)
            absent = set(meant)
            certain = self._objectids.discard_existing(absent) and not self._types["string"]
            left = [text for text, key in zip(left, meant) if key in absent]
        if left and self._types["string"]:
            written = set(left)
            self._texts.discard_existing(written)
            left = [text for text in left if text in written]
        values = [text.decode("ascii") for text in left]
        return (values, []) if certain else ([], values)


class Unjudgeable(AbortPlan):
    """Nothing can be said about a relation: what it refers to is missing, empty, or without keys."""


class OrphanFinder:
    """Finds the orphans of relations in one database.

    Args:
        database: the driver's database.
        cutoff: documents made later than this are too young to be judged.
        samples: how many ids to keep for each relation.
        progress: called now and then.
        hold: how many ids of documents with orphans to hold for each relation.
        directory: gives the place for a file without a name, which takes what memory does not hold; none is written without it.
    """

    def __init__(
        self,
        database: Any,
        cutoff: datetime,
        samples: int = 5,
        progress: Callable[[], None] = lambda: None,
        hold: int = 0,
        directory: Optional[Callable[[], str]] = None,
    ) -> None:
        # One date beyond the year 9999, or one broken text, must not keep everything else from being judged.
        self._options = CodecOptions(
            datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="replace"
        )
        self._database = database.with_options(self._options)
        self._cutoff = cutoff
        self._raw_cutoff = Cutoff(cutoff)
        self._samples = samples
        self._progress = progress
        self._hold = hold
        self._directory = directory
        self._types: Dict[Tuple[str, str], _KeyTypes] = {}
        with mongo_errors("cannot list the collections", database.name):
            listed = list(database.list_collections())
        self.collections: Set[str] = {entry["name"] for entry in listed}
        # Where text is equal that is not the same, only the server can tell what an id meets.
        self._collated: Set[str] = {entry["name"] for entry in listed if entry.get("options", {}).get("collation")}
        self._plain: Set[str] = {entry["name"] for entry in listed if entry.get("type", "collection") == "collection"}
        self._mixed: Dict[Tuple[str, str], bool] = {}

    def find(self, relation: Relation) -> RelationFindings:
        """Judge one relation.

        Raises:
            MaintenanceError: the server refuses or was lost.
        """
        report = RelationFindings(relation)
        with mongo_errors("cannot look for orphans", "%s.%s" % (self._database.name, relation.name)):
            report.reason = self._obstacle(relation)
            if report.reason:
                report.judged = False
                return report
            indexed = relation.unit == "document" and self._indexed(relation.collection, relation.path)
            size = (
                PROBE_BATCH if indexed or self._indexed(relation.collection, relation.path) else HOLDER_BATCH_UNINDEXED
            )
            if not indexed and self._may_be_counted_at_once(relation):
                found = self._counted_at_once(relation)
                if found is not None:
                    return found
            # While the documents of one batch are counted, those of the next are read.
            waiting: Deque[Tuple[Set[Any], Iterator[bytes], ExitStack]] = deque()
            try:
                for dangling in _batches(self._dangling(relation, report, indexed), size):
                    reading = ExitStack()
                    holders = reading.enter_context(self._holders(relation, dangling))
                    waiting.append((set(dangling), holders, reading))
                    if len(waiting) > 1:
                        self._count_next(relation, waiting, report)
                while waiting:
                    self._count_next(relation, waiting, report)
            finally:
                for _missing, _holders, reading in waiting:
                    reading.close()
        return report

    def _count_next(
        self, relation: Relation, waiting: Deque[Tuple[Set[Any], Iterator[bytes], ExitStack]], report: RelationFindings
    ) -> None:
        missing, holders, reading = waiting.popleft()
        with reading:
            self._count(relation, missing, holders, report)

    def lost(self, relation: Relation, values: Sequence[Any]) -> List[bool]:
        """Which of these stored values point nowhere at this moment; nothing that was known before is relied on.

        A value that is malformed, ignored or cannot be compared is none of them.

        Raises:
            Unjudgeable: nothing can be said about the relation (any more).
            MaintenanceError: the server refuses or was lost.
        """
        # A key of a type that no key had before may have come since.
        place = (relation.references, relation.key)
        self._types.pop(place, None)
        self._mixed.pop(place, None)
        with mongo_errors("cannot look for orphans", "%s.%s" % (self._database.name, relation.name)):
            obstacle = self._obstacle(relation)
            if obstacle:
                raise Unjudgeable(
                    "nothing more is archived: %s" % obstacle,
                    target="%s.%s" % (self._database.name, relation.name),
                    next_step="Correct the relation, or find out who removed what it refers to.",
                )
            types = self._key_types(relation)
            judged = [judge_value(value, relation, types, self._database.name) for value in values]
            existing = self._existing(relation, [one.probes for one in judged if one.kind == "reference"])
        return [
            existing.isdisjoint(one.probes)
            if one.kind == "reference"
            else one.kind == "absent" and not relation.optional
            for one in judged
        ]

    def key_types(self, relation: Relation) -> List[str]:
        """The types that keys are of, by their names in the query language, among those that a reference may be of."""
        with mongo_errors("cannot look for orphans", "%s.%s" % (self._database.name, relation.name)):
            types = _KeyTypes(self._database[relation.references], relation.key)
            return [name for name in ("objectId", "string", "number", "binData") if types[name]]

    def _obstacle(self, relation: Relation) -> str:
        """Why a relation cannot be judged; "" when it can."""
        for name in (relation.collection, relation.references):
            if name not in self.collections:
                return "there is no collection %s" % name
            if not is_readable_name(name):
                return "%s (%s)" % (DOTS, name)
        if relation.collection in self._collated and relation.collection not in self._plain:
            return (
                "%s is no plain collection, and its collation takes for one what is not the same" % relation.collection
            )
        parent = self._database[relation.references]
        if parent.find_one({}, {"_id": 1}) is None:
            return "the collection %s is empty: every reference would count as an orphan" % relation.references
        if relation.key != "_id":
            if parent.find_one({relation.key: {"$ne": None}}, {"_id": 1}) is None:
                return "no document of %s has a field %s" % (relation.references, relation.key)
            if not self._indexed(relation.references, relation.key):
                return "%s.%s has no index, and each of many looks would read the whole collection" % (
                    relation.references,
                    relation.key,
                )
        return ""

    def _indexed(self, collection: str, path: str) -> bool:
        try:
            return any(is_usable_index(index, path) for index in self._database[collection].list_indexes())
        except OperationFailure as error:
            if error_number(error) == VIEW_CODE:
                return False  # a view has no indexes to ask for
            raise

    def _exact(self, collection: str) -> Dict[str, Any]:
        """What makes the server compare references byte by byte, where the collection has an equality of its own: it would
        give one of several references that it takes for equal, and the others would never be looked up."""
        return {"collation": Collation("simple")} if collection in self._collated else {}

    def _key_types(self, relation: Relation) -> Mapping[str, bool]:
        known = (relation.references, relation.key)
        if known not in self._types:
            self._types[known] = _KeyTypes(self._database[relation.references], relation.key)
        return self._types[known]

    def _distinct(self, relation: Relation, indexed: bool) -> RawCursor:
        """A cursor over batches of documents whose _id is a value of the field, each value once.

        They come in order where that is of use; nothing rests on it.
        """
        stages: List[Dict[str, Any]] = []
        if indexed:
            # This pair the server answers from the index alone, hopping from value to value.
            stages.append({"$sort": {relation.path: 1}})
        else:
            if relation.path.split(".")[0] != "_id":
                stages.append({"$project": {"_id": 0, relation.path: 1}})
            stages.extend({"$unwind": "$" + path} for path in relation.lists)
        stages.append({"$group": {"_id": "$" + relation.path}})
        if not indexed and self._is_read_in_order(relation):
            stages.append({"$sort": {"_id": 1}})
        command = {"aggregate": relation.collection, "pipeline": stages, "allowDiskUse": True}
        if relation.collection in self._collated:
            command["collation"] = Collation("simple").document
        return RawCursor(self._database, command, REFERENCE_BATCH)

    def _is_read_in_order(self, relation: Relation) -> bool:
        """Whether the keys referred to can be read in their order: a list of them would have several."""
        return relation.key == "_id" and relation.references in self._plain

    def _dangling(self, relation: Relation, report: RelationFindings, indexed: bool) -> Iterator[Any]:
        """The stored values that point nowhere at the moment."""
        in_order = self._is_read_in_order(relation)
        keys = _KeyReader(self._database, relation, self._key_types(relation))
        with read_ahead(lambda: self._distinct(relation, indexed), AHEAD) as batches:
            for batch in batches:
                ids = cut_ids(batch)
                lost, unknown = keys.sift(ids, report) if in_order else ([], _values(ids))
                yield from lost
                values = (decode(document, self._options).get("_id") for document in ids.others)
                for part in _batches(chain(unknown, values), PROBE_BATCH):
                    yield from self._looked_up(relation, part, report)
                self._progress()

    def _counted_at_once(self, relation: Relation) -> Optional[RelationFindings]:
        """Read all documents once, and hold their references against all keys: in memory where the keys fit there, else in parts.

        Returns:
            None where that cannot be done.
        """
        directory, most = self._place_for_a_file(relation)
        return self._counted_in_parts(relation, directory, most) if most else self._counted_in_memory(relation)

    def _place_for_a_file(self, relation: Relation) -> Tuple[str, int]:
        """Where a file may be written for the references of a relation and all keys, and how many bytes; none where that is
        not worth it."""
        if self._directory is None or relation.collection not in self._plain:
            return "", 0
        # How many there are decides on the way alone; all ways say the same.
        keys = self._database[relation.references].estimated_document_count()
        if keys <= MOST_KEYS:
            return "", 0
        references = self._database[relation.collection].estimated_document_count()
        if not is_worth_a_file(references, keys):
            return "", 0
        directory = self._directory()
        return directory, room_for(directory, references, keys)

    def _read_documents(self, relation: Relation) -> ContextManager[Iterator[bytes]]:
        command = {"find": relation.collection, "projection": {"_id": 1, "createdAt": 1, relation.field: 1}}
        return read_ahead(lambda: RawCursor(self._database, command, REFERENCE_BATCH), AHEAD)

    def _counted_in_memory(self, relation: Relation) -> Optional[RelationFindings]:
        found = RelationFindings(relation)
        held: Optional[HeldKeys] = None
        with self._read_documents(relation) as batches:
            for batch in batches:
                if held is None:
                    # Fewer documents than this are not worth all keys.
                    keys = None if is_short(batch, REFERENCE_BATCH) else read_keys(self._database, relation.references)
                    if keys is None:
                        return None
                    held = HeldKeys(keys, *self._comparison(relation, keys.__contains__, found))
                if not held.compare(batch):
                    return None
                self._progress()
        if held is None:
            return None
        found.references += held.seen + len(held.lost) + len(held.lost_texts)
        found.missing += len(held.lost) + len(held.lost_texts)
        missing: Set[Any] = {*map(ObjectId, held.lost), *(key.hex() for key in held.lost_texts)}
        self._count_kept(relation, held, held.documents, found, missing)
        return found

    def _counted_in_parts(self, relation: Relation, directory: str, most: int) -> Optional[RelationFindings]:
        """The same for more keys than memory holds.

        Args:
            directory: for the file with the rest.
            most: bytes that it may have.
        """
        found = RelationFindings(relation)

        def exists(key: bytes) -> bool:
            return bool(existing_ids(self._database, relation.references, [key]))

        try:
            with SpillFile(directory, most) as file, self._read_documents(relation) as batches:
                spilled = SpilledReferences(file, *self._comparison(relation, exists, found))
                for batch in batches:
                    if not spilled.compare(batch):
                        return None
                    if len(spilled.documents) >= PROBE_BATCH:
                        self._count_kept(relation, spilled, spilled.take_documents(), found)
                    self._progress()
                self._count_kept(relation, spilled, spilled.take_documents(), found)
                if not spilled.read_keys(self._database, relation.references, self._progress):
                    return None
                for part in spilled.parts():
                    self._count_part(relation, part, found)
                    self._progress()
        except OutOfRoom:
            return None
        return found

    def _count_part(self, relation: Relation, part: LostPart, found: RelationFindings) -> None:
        found.references += part.references
        found.missing += len(part.lost) + len(part.lost_texts)
        if part.lost or part.lost_texts:
            missing: Set[Any] = {*map(ObjectId, part.lost), *(key.hex() for key in part.lost_texts)}
            self._count_raw(relation, missing, part.holders, found)
            documents = (decode(document, self._options) for document in part.documents)
            self._count_documents(relation, missing, documents, found)

    def _count_kept(
        self,
        relation: Relation,
        compared: PlainReferences,
        documents: Sequence[bytes],
        found: RelationFindings,
        missing: Iterable[Any] = (),
    ) -> None:
        """Count the documents without a reference, with a text that is no id, and with those that are missing beside these."""
        lost = {*missing, *(text[:-1].decode("utf-8") for text, kept in compared.texts.items() if kept)}
        if not relation.optional:
            lost.add(None)
        self._count(relation, lost, (join_batch(part) for part in _batches(documents, PROBE_BATCH)), found)

    def _comparison(
        self, relation: Relation, exists: Callable[[bytes], bool], found: RelationFindings
    ) -> Tuple[str, bool, Callable[[bytes], bool], bool]:
        """How references are compared; judgements of texts that are no plain ids are noted in what was found.

        Args:
            exists: whether an ObjectId is a key.
        """
        types = self._key_types(relation)

        def keep_text(text: bytes) -> bool:
            judgement = judge_value(text.decode("utf-8", "replace"), relation, types, self._database.name)
            if judgement.kind == "malformed":
                return True
            found.incomparable += judgement.kind == "other"
            if judgement.kind != "reference":
                return False
            lost = not any(exists(probe.binary) for probe in judgement.probes)
            found.references += 1
            found.missing += lost
            return lost

        return relation.field, "objectid" in relation.id_forms, keep_text, not relation.optional

    def _may_be_counted_at_once(self, relation: Relation) -> bool:
        return (
            self._is_read_in_order(relation)
            and self._are_only_ids(relation)
            and relation.field not in ("_id", "createdAt")
        )

    def _are_only_ids(self, relation: Relation) -> bool:
        """Whether nothing but an ObjectId can be the key for a reference that is an id, and no list is on the way to it."""
        types = self._key_types(relation)
        ignored = any(len(text) == 24 for text in relation.ignore)
        return types["objectId"] and not types["string"] and not ignored and _is_plain(relation)

    def _looked_up(self, relation: Relation, values: List[Any], report: RelationFindings) -> Iterator[Any]:
        """Those of the stored values that point nowhere, each of them looked up."""
        types = self._key_types(relation)
        references: Dict[Any, Tuple[Any, ...]] = {}
        for value in values:
            judgement = judge_value(value, relation, types, self._database.name)
            if judgement.kind in ("reference", "malformed"):
                references[value] = judgement.probes
                report.references += judgement.kind == "reference"
            elif judgement.kind == "other":
                report.incomparable += 1
            elif judgement.kind == "absent" and not relation.optional:
                yield None
        existing = self._existing(relation, references.values())
        for value, probes in references.items():
            if existing.isdisjoint(probes):
                report.missing += not is_malformed(value)
                yield value

    def _existing(self, relation: Relation, probes: Iterable[Tuple[Any, ...]]) -> Set[Any]:
        """Those of the keys that exist."""
        groups = list(probes)
        wanted = list({probe for several in groups for probe in several})
        found: Set[Any] = set()
        parent = self._database[relation.references]
        projection = {"_id": 1} if relation.key == "_id" else {"_id": 0, relation.key: 1}
        for start in range(0, len(wanted), 2 * PROBE_BATCH):
            query = {relation.key: {"$in": wanted[start : start + 2 * PROBE_BATCH]}}
            cursor = parent.find(query, projection, batch_size=2 * PROBE_BATCH)
            if relation.key == "_id":
                found.update(_comparable(document["_id"]) for document in cursor)
                continue
            for document in cursor:
                found.update(_comparable(value) for value in key_values(document, relation.key.split(".")))
        if relation.references in self._collated:
            rest = [probe for probe in wanted if isinstance(probe, str) and probe not in found]
            for start in range(0, len(rest), PROBE_BATCH):
                found.update(self._met(parent, relation.key, rest[start : start + PROBE_BATCH]))
        if "hex_string" in relation.id_forms:
            found.update(
                self._spelt_otherwise(relation, [several for several in groups if not found.intersection(several)])
            )
        return found

    def _spelt_otherwise(self, relation: Relation, groups: List[Tuple[Any, ...]]) -> Set[str]:
        """Those of the texts that are a key whose digits are written in both cases, aBcd... for abcd...

        Nobody writes ids like that on purpose, so it is asked once whether there are any.
        """
        wanted: Dict[str, List[str]] = {}
        for probe in (probe for several in groups for probe in several):
            if isinstance(probe, str) and _HEX.match(probe) and not probe.isdigit():
                wanted.setdefault(probe.lower(), []).append(probe)
        parent, place = self._database[relation.references], (relation.references, relation.key)
        query = {relation.key: {"$regex": _MIXED}}
        if wanted and place not in self._mixed:
            self._mixed[place] = parent.find_one(query, {"_id": 1}) is not None
        found: Set[str] = set()
        if wanted and self._mixed[place]:
            for document in parent.find(query, {"_id": int(relation.key == "_id"), relation.key: 1}):
                for value in key_values(document, relation.key.split(".")):
                    if isinstance(value, str):
                        found.update(wanted.get(value.lower(), ()))
        return found

    def _met(self, parent: Any, key: str, probes: List[str]) -> List[str]:
        """Those of the texts that meet a key in the collection's own sense of equality, found by halves."""
        if not probes or parent.find_one({key: {"$in": probes}}, {"_id": 1}) is None:
            return []
        if len(probes) == 1:
            return probes
        middle = len(probes) // 2
        return self._met(parent, key, probes[:middle]) + self._met(parent, key, probes[middle:])

    def _holders(self, relation: Relation, dangling: List[Any]) -> ContextManager[Iterator[bytes]]:
        """Batches of the documents that hold the values, read ahead: of each its _id, its createdAt and the reference."""
        projection = {"_id": 1, "createdAt": 1, relation.path: 1}
        if relation.path.split(".")[0] in ("_id", "createdAt"):
            projection = {"_id": 1, "createdAt": 1}
        command = {"find": relation.collection, "filter": {relation.path: {"$in": dangling}}, "projection": projection}
        if relation.collection in self._collated:
            command["collation"] = Collation("simple").document
        size = HOLDERS if _is_plain(relation) else HOLDERS_WITH_LISTS
        return read_ahead(lambda: RawCursor(self._database, command, size))

    def _count(self, relation: Relation, missing: Set[Any], batches: Iterable[bytes], report: RelationFindings) -> None:
        """Look the values up again that the documents hold, and count what is left.

        That is after the documents were read: a document inserted before the one it refers to has that one by now.
        """
        ids_alone = self._is_read_in_order(relation) and self._are_only_ids(relation)
        ids_alone = ids_alone and "objectid" in relation.id_forms
        for batch in batches:
            if not ids_alone:
                self._count_documents(relation, missing, decode(batch, self._options).values(), report)
            else:
                tables, others = holders_in(batch, relation.field)
                self._count_raw(relation, missing, tables, report)
                documents = (decode(document, self._options) for document in others)
                self._count_documents(relation, missing, documents, report)
            self._progress()

    def _count_raw(
        self, relation: Relation, missing: Set[Any], tables: Sequence[RawHolders], report: RelationFindings
    ) -> None:
        """The same for documents whose reference is an id, which nothing but an ObjectId can be the key for."""
        appeared = existing_ids(
            self._database, relation.references, {key for holders in tables for key in holders.keys}
        )
        missing_ids = {value.binary for value in missing if isinstance(value, ObjectId)}
        missing_texts = {value.encode("utf-8") for value in missing if isinstance(value, str)}
        for holders in tables:
            missing_values = missing_texts if holders.values is not holders.keys else missing_ids
            lost = [
                place
                for place, (value, key) in enumerate(zip(holders.values, holders.keys))
                if value in missing_values and key not in appeared
            ]
            created: Sequence[Optional[bytes]] = holders.created or [None] * len(holders.ids)
            left = [
                holders.ids[place]
                for place in lost
                if not self._raw_cutoff.is_younger(holders.ids[place], created[place])
            ]
            report.too_young += len(lost) - len(left)
            report.orphans += len(left)
            report.documents += len(left)
            report.samples += [identity.hex() for identity in left[: self._samples - len(report.samples)]]
            report.holders += [ObjectId(identity) for identity in left[: self._hold - len(report.holders)]]

    def _count_documents(
        self, relation: Relation, missing: Set[Any], documents: Iterable[Mapping[str, Any]], report: RelationFindings
    ) -> None:
        types = self._key_types(relation)
        parts = relation.field.split(".")
        plain = relation.field if _is_plain(relation) else ""
        for chunk in _batches(documents, PROBE_BATCH):
            held: List[Tuple[Mapping[str, Any], List[Any]]] = []
            probes: Dict[Any, Tuple[Any, ...]] = {}
            for document in chunk:
                reached = (document.get(plain),) if plain else values_at(document, parts)
                values = [value for value in reached if _is_one_of(value, missing)]
                if values:
                    held.append((document, values))
                for value in values:
                    if value is not None and value not in probes:
                        probes[value] = judge_value(value, relation, types, self._database.name).probes
            existing = self._existing(relation, probes.values())
            appeared = (
                {value for value, several in probes.items() if not existing.isdisjoint(several)} if existing else ()
            )
            for document, values in held:
                self._add(document, [value for value in values if value not in appeared], report)

    def _add(self, document: Mapping[str, Any], values: List[Any], report: RelationFindings) -> None:
        if not values:
            return
        moment = created(document)
        if moment is not None and moment > self._cutoff:
            report.too_young += len(values)
            return
        malformed = len([value for value in values if is_malformed(value)])
        if malformed:
            report.malformed += malformed
            self._sample(document, report.malformed_samples)
        if malformed < len(values):
            report.orphans += len(values) - malformed
            report.documents += 1
            self._sample(document, report.samples)
            if len(report.holders) < self._hold:
                report.holders.append(document.get("_id"))

    def _sample(self, document: Mapping[str, Any], samples: List[str]) -> None:
        if len(samples) < self._samples:
            samples.append(showable(document.get("_id")))


def _is_plain(relation: Relation) -> bool:
    """Whether the reference is a field of the document itself, and no list. Pure."""
    return "." not in relation.field and not relation.lists


def _comparable(value: Any) -> Any:
    """A key as a value that equals in Python what it equals on the server; None for one that equals no reference. Pure."""
    if isinstance(value, Decimal128):
        number = value.to_decimal()
        return None if number.is_nan() else number
    return value if _hashable(value) else None


def _is_one_of(value: Any, several: Set[Any]) -> bool:
    return (type(value) in (ObjectId, str) or _hashable(value)) and value in several


def _hashable(value: Any) -> bool:
    if isinstance(value, bool):
        return False  # True equals 1 in Python, but not on the server
    try:
        hash(value)
    except TypeError:
        return False
    return True
