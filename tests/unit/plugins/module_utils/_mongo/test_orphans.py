# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from bson import DBRef, ObjectId, decode
from bson.codec_options import CodecOptions
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.orphan_search import orphan_report
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.orphans import (
    RelationFindings,
    created,
    judge_value,
    key_values,
    moment_of,
    showable,
    suspicion,
    values_at,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.relations import (
    SHOP_RELATIONS,
    Relation,
    expand_relations,
    parse_relation,
)

RELATION = Relation("orders", "userId", "users")
# Few enough that references and keys meet.
IDS = [ObjectId(bytes([n] * 12)) for n in range(160, 164)]

MALFORMED = [
    "undefined",
    "null",
    "NaN",
    "[object Object]",
    "[object Promise]",
    'ObjectId("65a1b2c3d4e5f60718293a4b")',
    "ObjectId('65a1b2c3d4e5f60718293a4b')",
    "new ObjectId('65a1b2c3d4e5f60718293a4b')",
]
ALL_TYPES = ("objectId", "string", "number", "binData")
KEYS = (
    st.sampled_from(IDS)
    | st.sampled_from([str(i) for i in IDS])
    | st.sampled_from(["legacy", "x", "null"])
    | st.integers(0, 2)
)
REFERENCES = st.one_of(
    KEYS,
    st.sampled_from(IDS).map(lambda i: str(i).upper()),
    st.none(),
    st.just(""),
    st.just("guest"),
    st.sampled_from(MALFORMED),
    st.booleans(),
    st.just(float("nan")),
    st.binary(max_size=2),
    st.lists(st.sampled_from(IDS), max_size=2),
    st.dictionaries(st.just("id"), st.sampled_from(IDS), max_size=1),
    st.builds(DBRef, st.sampled_from(["users", "admins"]), st.sampled_from(IDS)),
    st.just(datetime(2020, 1, 1)),
)


def bson_type(value):
    if isinstance(value, ObjectId):
        return "objectId"
    return "string" if isinstance(value, str) else "number"


def same_id(reference, key) -> bool:
    """The model: two values denote one id when they are equal, or when their 24 hex digits are."""
    if isinstance(reference, DBRef):
        return reference.collection == "users" and same_id(reference.id, key)
    if type(reference) is not type(key) and {type(reference), type(key)} != {str, ObjectId}:
        return False
    # Digits are the same in either case; other text is compared as it stands.
    if all(isinstance(value, ObjectId) or (isinstance(value, str) and len(value) == 24) for value in (reference, key)):
        return str(reference).lower() == str(key).lower()
    return reference == key


def plain(reference) -> bool:
    value = reference.id if isinstance(reference, DBRef) and reference.collection == "users" else reference
    return (
        isinstance(value, (ObjectId, str, int))
        and not isinstance(value, bool)
        and value not in ("", "guest", *MALFORMED)
    )


def test_judgement_against_a_model():
    reached = Counter()

    @settings(max_examples=500, deadline=None)
    @given(st.sets(KEYS, min_size=1, max_size=6), KEYS | KEYS | REFERENCES)
    @example({"null"}, "null")
    def check(keys, reference):
        types = {bson_type(key) for key in keys}
        judgement = judge_value(reference, RELATION, {name: name in types for name in ALL_TYPES})
        called_orphan = judgement.kind == "reference" and not keys.intersection(judgement.probes)
        good = any(same_id(reference, key) for key in keys)
        reached[judgement.kind] += 1
        reached["good"] += good
        reached["good in another form"] += good and reference not in keys
        reached["orphan"] += called_orphan
        assert not (good and called_orphan), "a good reference is never an orphan"
        if judgement.kind == "malformed":
            reached["malformed, and a key all the same"] += good
            assert reference in MALFORMED
            assert good == bool(keys.intersection(judgement.probes)), "also text like that may be a key"
        if not plain(reference):
            assert not called_orphan, "what is no id is never an orphan"
        elif not good:
            value = reference.id if isinstance(reference, DBRef) else reference
            hexadecimal = isinstance(value, ObjectId) or (isinstance(value, str) and len(value) == 24)
            comparable = {bson_type(value)} | ({"objectId", "string"} if hexadecimal else set())
            reached["bad, and cannot be compared"] += not comparable & types
            assert called_orphan is bool(comparable & types), "a bad one is found where it can be compared"

    check()
    least = {
        "good": 20,
        "good in another form": 5,
        "orphan": 30,
        "reference": 60,
        "bad, and cannot be compared": 5,
        "other": 20,
        "malformed": 10,
        "malformed, and a key all the same": 1,
        "absent": 2,
        "ignored": 2,
    }
    assert all(reached[what] >= number for what, number in least.items()), reached


@pytest.mark.parametrize("text", MALFORMED)
@pytest.mark.parametrize("types", [{"objectId"}, {"objectId", "string"}])
def test_text_that_a_program_made_of_nothing_is_no_lost_document(text, types):
    judgement = judge_value(text, RELATION, {name: name in types for name in ALL_TYPES})
    assert judgement.kind == "malformed"
    assert judgement.probes == ((text,) if "string" in types else ())
    assert judge_value(text, replace(RELATION, ignore=(text,)), dict.fromkeys(ALL_TYPES, True)).kind == "ignored"


@pytest.mark.parametrize(
    "text", ["Null", "undefined ", "nan", "ObjectId", "ObjectId(", "xObjectId('a')", "object", "[object]"]
)
def test_other_text_is_looked_up_as_ever(text):
    assert judge_value(text, RELATION, dict.fromkeys(ALL_TYPES, True)).kind == "reference"


def test_forms_can_be_restricted():
    strict = replace(RELATION, id_forms=())
    everything = dict.fromkeys(ALL_TYPES, True)
    assert judge_value(IDS[0], strict, everything).probes == (IDS[0],)
    assert judge_value(str(IDS[0]), strict, everything).probes == (str(IDS[0]),)


def test_ignored_text_is_the_relations_own():
    everything = dict.fromkeys(ALL_TYPES, True)
    assert judge_value("guest", replace(RELATION, ignore=()), everything).kind == "reference"
    assert judge_value("all", replace(RELATION, ignore=("all",)), everything).kind == "ignored"


@pytest.mark.parametrize(
    ("field", "document", "values"),
    [
        ("userId", {"userId": 1}, [1]),
        ("userId", {}, [None]),
        ("a.b", {"a": {"b": 1}}, [1]),
        ("a.b", {"a": 5}, [None]),
        ("a.b", {"a": [{"b": 1}]}, [[{"b": 1}]]),
        ("items[].p", {"items": [{"p": 1}, {}, {"p": None}]}, [1, None, None]),
        ("items[].p", {"items": {"p": 1}}, [1]),
        ("items[].p", {"items": None}, []),
        ("items[].p", {"items": []}, []),
        ("items[].p", {}, []),
        ("items[].p", {"items": [3]}, [None]),
        ("tags[]", {"tags": [1, 2]}, [1, 2]),
        ("a[].b[].c", {"a": [{"b": [{"c": 1}, {"c": 2}]}, {}]}, [1, 2]),
        ("a.b[]", {"a": {"b": [1]}}, [1]),
    ],
)
def test_values_at_a_path(field, document, values):
    assert list(values_at(document, field.split("."))) == values


@pytest.mark.parametrize(
    ("key", "document", "values"),
    [
        ("_id", {"_id": 1}, [1]),
        ("a.b", {"a": {"b": 1}}, [1]),
        ("a.b", {"a": [{"b": 1}, {"b": [2, 3]}, 4]}, [1, 2, 3]),
        ("a", {"a": [1, [2]]}, [1, 2]),
        ("a.1", {"a": [5, 6]}, [6]),
        ("a", {}, [None]),
    ],
)
def test_values_that_a_query_compares_with(key, document, values):
    assert list(key_values(document, key.split("."))) == values


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-28T20:00:00.123Z", datetime(2026, 11, 28, 20, tzinfo=timezone.utc)),
        ("2026-11-28 20:00:00", datetime(2026, 11, 28, 20, tzinfo=timezone.utc)),
        ("2026-11-28T20:00:00-0130", datetime(2026, 11, 28, 21, 30, tzinfo=timezone.utc)),
        ("2026-11-28T20:00:00+05:30", datetime(2026, 11, 28, 14, 30, tzinfo=timezone.utc)),
        ("2026-13-28T20:00:00Z", None),
        ("0001-01-01T00:00:00+05:00", None),
        ("2026-11-28T20:00:00Z\n", None),
        (7, None),
        (None, None),
    ],
)
def test_moments_are_also_those_that_stand_in_text(text, moment):
    assert moment_of(text) == moment


def test_text_that_is_no_utf8_cannot_be_told_and_is_no_orphan():
    [text] = decode(b"\x10\0\0\0\2a\0\4\0\0\0a\xffb\0\0", CodecOptions(unicode_decode_error_handler="replace")).values()
    assert judge_value(text, RELATION, dict.fromkeys(ALL_TYPES, True)).kind == "other"


def test_a_line_end_is_part_of_a_value():
    assert judge_value("f" * 24 + "\n", RELATION, dict.fromkeys(ALL_TYPES, True)).probes == ("f" * 24 + "\n",)
    with pytest.raises(MaintenanceError):
        parse_relation({"collection": "orders", "field": "userId\n", "references": "users"})


def test_age_is_the_later_of_both_times():
    early, late = datetime(2020, 1, 1, tzinfo=timezone.utc), datetime(2024, 1, 1, tzinfo=timezone.utc)
    assert created({"_id": ObjectId.from_datetime(early), "createdAt": late.replace(tzinfo=None)}) == late
    assert created({"_id": ObjectId.from_datetime(late), "createdAt": early}) == late
    assert created({"_id": "x", "createdAt": "2024"}) is None
    assert created({"_id": ObjectId.from_datetime(early)}) - early < timedelta(seconds=1)


def test_only_ids_are_shown():
    assert showable(IDS[0]) == str(IDS[0]) == showable(str(IDS[0]))
    assert showable(7) == "7"
    for personal in ("anna@example.com", {"mail": "anna@example.com"}, DBRef("anna", 1), True):
        assert "anna" not in showable(personal) and showable(personal).startswith("(an _id of type")


def test_suspicion():
    assert "6 of 10" in suspicion(RelationFindings(RELATION, references=10, missing=6))
    assert suspicion(RelationFindings(RELATION, references=10, missing=5)) == ""
    assert suspicion(RelationFindings(RELATION, references=9, missing=9)) == ""


@pytest.mark.parametrize(
    ("name", "references"),
    [
        ("support_ticket_replies.ticketId", "support_tickets"),
        ("support_ticket_replies.userId", "users"),
        ("products.categoryIds[]", "categories"),
        ("product_answers.questionId", "product_questions"),
        ("product_answers.userId", "users"),
        ("recently_viewed.productId", "products"),
        ("recently_viewed.userId", "users"),
        ("orders.invoiceId", "invoices"),
        ("refunds.initiatedBy", "users"),
        ("reviews.adminReply.repliedBy", "users"),
        ("user_roles.assignedBy", "users"),
        ("admin_audit.adminId", "users"),
        ("jobs.payload.webhookEventId", "webhook_events"),
    ],
)
def test_the_shop_refers_by_these_too(name, references):
    assert [relation.references for relation in SHOP_RELATIONS if relation.name == name] == [references]


def test_what_is_said_of_malformed_references():
    one = RelationFindings(RELATION, malformed=1, malformed_samples=["x"])
    report = orphan_report([one], [])
    assert report.headline == "no orphans in 1 relations, 1 malformed reference"
    assert report.summary["malformed"] == 1 and report.record == {"malformed_references": [one.as_dict()]}
    both = orphan_report([one, RelationFindings(RELATION, orphans=2, malformed=3)], [])
    assert both.headline == "2 orphans in 1 of 2 relations, 4 malformed references"


def test_shops_relations_are_all_optional_and_distinct():
    assert all(relation.optional for relation in SHOP_RELATIONS)
    assert len({relation.name for relation in SHOP_RELATIONS}) == len(SHOP_RELATIONS)
    for relation in SHOP_RELATIONS:
        parse_relation({"collection": relation.collection, "field": relation.field, "references": relation.references})


def test_unit_element_makes_the_last_list():
    def field(name, **more):
        return parse_relation({"collection": "c", "field": name, "references": "r", **more}).field

    assert field("items.productId", unit="element") == "items[].productId"
    assert field("tags", unit="element") == "tags[]"
    assert field("items[].productId", unit="element") == "items[].productId"
    assert field("userId", unit="document") == field("userId") == "userId"
    with pytest.raises(MaintenanceError):
        field("items[].productId", unit="document")


@pytest.mark.parametrize("name", ["a b", " a", "a\n", "{{ a }}", "[a]", "a..b", "\u00fc"])
def test_whatever_the_server_takes_is_a_name(name):
    relation = parse_relation({"collection": name, "field": "f", "references": name})
    assert (relation.collection, relation.references) == (name, name)


@pytest.mark.parametrize("name", ["", "a$b", "a\0", "system.views", "system.buckets.a", "a__orphans"])
@pytest.mark.parametrize("place", ["collection", "references"])
def test_what_is_no_name_or_not_the_shops_own(name, place):
    with pytest.raises(MaintenanceError, match="makes no sense"):
        parse_relation({"collection": "c", "field": "f", "references": "r", place: name})


def test_lists_and_path():
    relation = Relation("c", "a[].b.d[].e", "r")
    assert (relation.lists, relation.path, relation.unit) == (("a", "a.b.d"), "a.b.d.e", "element")


def test_expand():
    pattern, plain_one = Relation("loyalty_*", "userId", "users"), Relation("orders", "userId", "users")
    there = ["loyalty_b", "loyalty_a", "loyalty_a__orphans", "orders", "system.views"]
    assert [entry.collection for entry in expand_relations([pattern, plain_one], there)] == [
        "loyalty_a",
        "loyalty_b",
        "orders",
    ]
    assert [entry.collection for entry in expand_relations([pattern], ["orders"])] == ["loyalty_*"]
    assert [entry.collection for entry in expand_relations([pattern], ["loyalty_*", "loyalty_a"])] == ["loyalty_*"], (
        "what one is called is no pattern"
    )
    assert [entry.collection for entry in expand_relations([Relation("*", "a", "b")], there)] == [
        "loyalty_a",
        "loyalty_b",
        "orders",
    ]
