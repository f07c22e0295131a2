# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is taken of slow operations, and what never is."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.slow_operations import (
    SlowOperation,
    advice,
    group,
    of_log_line,
    of_profile,
    sentence,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.slow_reading import (
    MEMORY,
    SlowSource,
    merge,
    slow_headline,
)

AT = datetime(2026, 11, 29, 3, tzinfo=timezone.utc)


def line(
    command: dict[str, Any], kind: str = "command", ns: str = "shop.orders", message: str = "Slow query", **more: Any
) -> bytes:
    facts = {"type": kind, "ns": ns, "command": command, "planSummary": "COLLSCAN", "docsExamined": 900, "nreturned": 3}
    entry = {"t": {"$date": "2026-11-29T04:00:00.123+01:00"}, "s": "I", "msg": message}
    return json.dumps({**entry, "attr": {**facts, "durationMillis": 250, **more}}).encode()


def of(command: dict[str, Any], **more: Any) -> SlowOperation:
    found = of_log_line(line(command, **more))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("command", "more", "told"),
    [
        ({"find": "orders", "filter": {"status": "x"}, "sort": {"at": -1}}, {}, ("find", ("status",), ("at",))),
        ({"find": "orders", "filter": {"$or": [{"a.b": {"$gt": 1}}, {"c": 2}]}}, {}, ("find", ("a.b", "c"), ())),
        (
            {"aggregate": "orders", "pipeline": [{"$match": {"a": 1}}, {"$sort": {"n": 1}}, {"$match": {"late": 1}}]},
            {},
            ("aggregate", ("a",), ("n",)),
        ),
        ({"aggregate": "orders", "pipeline": [{"$group": {"_id": "$a"}}]}, {}, ("aggregate", (), ())),
        ({"q": {"n": 5}, "u": {"$set": {"name": "x"}}}, {"kind": "update"}, ("update", ("n",), ())),
        ({"q": {"n": 5}, "limit": 0}, {"kind": "remove"}, ("delete", ("n",), ())),
        ({"findAndModify": "orders", "query": {"s": 1}, "update": {"t": 1}}, {}, ("findAndModify", ("s",), ())),
        ({"distinct": "orders", "query": {"s": 1}, "key": "k"}, {}, ("distinct", ("s",), ())),
        (
            {"getMore": 77, "collection": "orders"},
            {"originatingCommand": {"find": "orders", "filter": {"s": 1}}},
            ("getMore", ("s",), ()),
        ),
    ],
)
def test_the_shape_of_an_operation(command: dict[str, Any], more: dict[str, Any], told: tuple[Any, ...]) -> None:
    found = of(command, **more)
    assert (found.operation, found.fields, found.sort) == told
    assert (found.at, found.millis, found.examined) == (AT.replace(microsecond=123000), 250, 900)


@pytest.mark.parametrize(
    "raw",
    [
        line({"find": "orders"}, appName="miniecom.maintenance"),
        line({"update": "orders"}, ns="shop.$cmd"),
        line({"find": "users"}, ns="admin.system.users"),
        line({"find": "orders"}, message='quoting "Slow query"'),
        line({"find": "orders"})[:200],
        b'"Slow query"',
        b'{"msg": "Slow query", "attr": [], "t": {"$date": "2026-11-29T04:00:00.123Z"}}',
        b"",
    ],
)
def test_what_is_no_slow_operation_of_the_shop(raw: bytes) -> None:
    assert of_log_line(raw) is None


def test_the_profiler_and_the_log_tell_the_same() -> None:
    entry = {"ts": AT, "ns": "shop.orders", "op": "query", "millis": 250, "planSummary": "COLLSCAN"}
    entry.update(docsExamined=900, nreturned=3, command={"find": "orders", "filter": {"status": "x"}})
    [kind] = group([of({"find": "orders", "filter": {"status": "y"}}), of_profile(entry)])  # type: ignore[list-item]
    assert kind["count"] == 2 and kind["milliseconds"] == 500
    assert of_profile({"ns": "shop.orders"}) is None


values = st.recursive(
    st.just("canary") | st.integers(10**9, 10**10) | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["$gt", "$in", "f"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from(["a", "$or", "$and", "b.c", "$expr", "$where"]), values, max_size=4),
    st.text(max_size=30),
)
def test_no_value_is_ever_told(asked: dict[str, Any], plan: str) -> None:
    for command in ({"find": "orders", "filter": asked}, {"aggregate": "orders", "pipeline": [{"$match": asked}]}):
        text = json.dumps(group([of(command, planSummary=plan)]))
        assert "canary" not in text
        assert not any(str(number) in text for number in _numbers(asked))


def _numbers(value: Any) -> list[int]:
    if isinstance(value, dict):
        return [number for inner in value.values() for number in _numbers(inner)]
    if isinstance(value, list):
        return [number for inner in value for number in _numbers(inner)]
    return [value] if isinstance(value, int) else []


def test_what_a_person_reads() -> None:
    [kind] = group([of({"find": "orders", "filter": {"status": "x"}, "sort": {"createdAt": -1}}, durationMillis=1203)])
    assert sentence(kind) == (
        "shop.orders find by status sorted by createdAt (1 time, up to 1.2 s) reads the whole collection, 900 documents for 3"
    )
    assert advice(kind).endswith('createIndex({"status": 1, "createdAt": 1})')
    assert "1 slow operation of 1 kind since 2026-11-29T03:00:00Z" in slow_headline([kind], 1, AT, 100)
    assert "no slow operation since" in slow_headline([], 0, AT, 100) and "not known" in slow_headline([], 0, None, 100)


@pytest.mark.parametrize(
    "command",
    [
        {"find": "orders", "filter": {"a": 1, "b": 1, "c": 1, "d": 1}},  # which of them comes first?
        {"find": "orders"},
    ],
)
def test_no_index_is_advised_without_ground(command: dict[str, Any]) -> None:
    [kind] = group([of(command)])
    assert advice(kind) == ""
    asked = {"find": "orders", "filter": {"a": 1}}
    for more in ({"planSummary": "IXSCAN { a: 1 }"}, {"nreturned": 800}):
        assert advice(group([of(asked, **more)])[0]) == ""
    assert advice(group([of(asked)])[0])


def operation(seconds: int, namespace: str = "shop.orders") -> SlowOperation:
    return SlowOperation(AT + timedelta(seconds=seconds), namespace, "find", (), (), "", 1, 1, 1)


def test_nothing_is_counted_twice() -> None:
    log = SlowSource(MEMORY, AT, [operation(5), operation(5, "other.orders")])
    profiler = SlowSource("shop", AT, [operation(-9), operation(-5), operation(5)])
    found = merge(log, [profiler], ["shop"], AT - timedelta(seconds=6))
    assert found == [operation(5), operation(-5)]
    assert merge(None, [profiler], ["shop"], AT - timedelta(days=1)) == profiler.operations
