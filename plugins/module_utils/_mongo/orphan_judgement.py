# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which documents of a relation are to be archived, and which stay: judged on each whole document, and judged again and again.

The same judgement makes the plan and is made anew right before a document goes. What cannot be told for certain stays.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from .orphans import OrphanFinder, created, moment_of, values_at
from .raw_document import ARRAY, DOCUMENT, Element, elements, field_at, field_of
from .relations import Relation

try:
    from bson import decode
    from bson.codec_options import CodecOptions, DatetimeConversion
    from bson.errors import BSONError
except ImportError:  # the client says so
    decode = CodecOptions = DatetimeConversion = None  # type: ignore[assignment,misc]
    BSONError = Exception  # type: ignore[assignment,misc]

# An _id stands beside its document in the archive, and in each command about it.
LONGEST_ID = 64 * 1024
# An update of a list carries the document, to prove that it is unchanged, and the list.
LARGEST_UPDATE = 16 * 1024 * 1024

NO_ORPHAN = "its reference is good, or no reference at all"
MALFORMED_OR_OTHER = "it holds a value that is malformed or cannot be compared"
YOUNG = "younger than min_age"
NO_AGE = "neither createdAt nor an ObjectId tells its age (min_age: 0 archives it all the same)"
UNREADABLE = "it does not decode: look at it with the shell, and repair or remove it"
TWICE = "a field stands in it twice"
TOO_LARGE = "it is too large to be changed and proven unchanged in one command"
LONG_ID = "its _id is longer than 64 KiB"
NO_LIST = "what should be a list is none"


class AgeRule(NamedTuple):
    """Of what age a document must be.

    Attributes:
        cutoff: it must have been made before.
        any_age: also one whose age nothing tells.
    """

    cutoff: datetime
    any_age: bool


class Verdict(NamedTuple):
    """What is to become of a document.

    Attributes:
        stay: why it stays as it is; "" where it, or elements of it, are to be archived.
        positions: of the elements.
    """

    stay: str
    positions: Tuple[int, ...] = ()


class _Readable(NamedTuple):
    """A document that can be judged: what it refers to, for each of its elements or once, and where the elements stand."""

    values: List[Any]
    stay: str = ""


def identity_of(raw: bytes) -> Element:
    """The field _id as it is stored. Pure.

    Raises:
        ValueError: there is none.
    """
    found = field_of(raw, b"_id")
    if found is None:
        raise ValueError("a document without an _id")
    return found


def list_path(relation: Relation) -> Tuple[str, ...]:
    """The names that lead to the list whose elements are judged. Pure."""
    return tuple(relation.lists[0].split("."))


def inner_path(relation: Relation) -> List[str]:
    """The names that lead from an element to its reference. Pure."""
    parts = relation.field.split(".")
    first = next(number for number, part in enumerate(parts) if part.endswith("[]"))
    return parts[first + 1 :]


def decode_leniently(raw: bytes) -> Optional[Dict[str, Any]]:
    """A document as far as Python can hold it; None where it does not decode. Pure."""
    options = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="replace")
    try:
        return dict(decode(raw, options))
    except (BSONError, ValueError, OverflowError):
        return None


def age_obstacle(document: Mapping[str, Any], relation: Relation, policy: AgeRule) -> str:
    """Why a document is not old enough; "" when it is. Pure.

    A list may have got its elements long after its document was made: there the last change counts as well.
    """
    moments = [moment for moment in [created(document)] if moment is not None]
    changed = moment_of(document.get("updatedAt"))
    if relation.unit == "element" and changed is not None:
        moments.append(changed)
    if not moments:
        return "" if policy.any_age else NO_AGE
    return YOUNG if max(moments) > policy.cutoff else ""


def read_reference(raw: bytes, relation: Relation, policy: AgeRule) -> _Readable:
    """What a document refers to, or why it stays whatever that is. Pure."""
    try:
        fields = list(elements(raw))
        document = decode_leniently(raw)
        too_long = len(identity_of(raw).value) > LONGEST_ID
    except ValueError:
        return _Readable([], UNREADABLE)
    if document is None:
        return _Readable([], UNREADABLE)
    if len({field.name for field in fields}) < len(fields):
        return _Readable([], TWICE)
    stay = LONG_ID if too_long else age_obstacle(document, relation, policy)
    if stay:
        return _Readable([], stay)
    if relation.unit == "document":
        return _Readable(list(values_at(document, relation.field.split("."))))
    listed = field_at(raw, list_path(relation))
    if listed is None or listed.kind != ARRAY:
        return _Readable([], NO_LIST)
    if len(raw) + len(listed.value) > LARGEST_UPDATE:
        return _Readable([], TOO_LARGE)
    return _element_values(listed.value, document, relation)


def _element_values(listed: bytes, document: Mapping[str, Any], relation: Relation) -> _Readable:
    inner, values = inner_path(relation), []
    held: Any = document
    for part in list_path(relation):
        held = held[part]
    for stored, element in zip(elements(listed), held):
        if inner and stored.kind == DOCUMENT and field_at(stored.value, inner) is None:
            # Absent, or there twice: of the two the first is what the server looks at, and the last what we see.
            names = [field.name for field in elements(stored.value)]
            if len(set(names)) < len(names):
                return _Readable([], TWICE)
        values.append(next(values_at(element, inner), None))
    return _Readable(values)


def judge_documents(finder: OrphanFinder, relation: Relation, raws: Sequence[bytes], policy: AgeRule) -> List[Verdict]:
    """What is to become of each of these documents, by what the collection referred to holds at this moment.

    Raises:
        MaintenanceError: as `OrphanFinder.lost`.
    """
    readable = [read_reference(raw, relation, policy) for raw in raws]
    lost = iter(finder.lost(relation, [value for one in readable for value in one.values]))
    verdicts = []
    for one in readable:
        gone = [next(lost) for _value in one.values]
        if one.stay:
            verdicts.append(Verdict(one.stay))
        elif relation.unit == "element":
            positions = tuple(number for number, is_lost in enumerate(gone) if is_lost)
            verdicts.append(Verdict("" if positions else NO_ORPHAN, positions))
        else:
            verdicts.append(Verdict("" if gone == [True] else NO_ORPHAN))
    return verdicts
