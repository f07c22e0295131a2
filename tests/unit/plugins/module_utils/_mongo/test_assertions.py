# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

import bson
import pytest
import yaml
from bson.raw_bson import RawBSONDocument
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.clock import format_utc
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError, MissingLibrary
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import assertions
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.assertions import (
    MAX_DOCUMENTS,
    Assertion,
    BackupFacts,
    SampledCollection,
    as_json,
    check_assertions,
    prepare,
)
from tests.support.playbooks import ROOT

STARTED = datetime(2026, 11, 24, 2, tzinfo=timezone.utc)


class FakeCollection:
    def __init__(self, documents: list[dict[str, Any]]) -> None:
        self.documents = documents

    def count_documents(self, condition: Any) -> int:
        return len(self.documents)

    @contextmanager
    def aggregate(self, stages: list[Any], **_options: Any) -> Any:
        assert stages[-1] == {"$limit": MAX_DOCUMENTS}
        yield iter([RawBSONDocument(bson.encode(document)) for document in self.documents])


class FakeDatabase(dict[str, list[dict[str, Any]]]):
    def get_collection(self, name: str, codec_options: Any) -> FakeCollection:
        return FakeCollection(self.get(name, []))


def told(shop: dict[str, list[dict[str, Any]]], wanted: list[dict[str, Any]], *samples: str) -> tuple[Any, Any]:
    """What check_assertions says of entries as the options give them."""
    filled = [{"collection": None, "filter": {}, "min": 1, "max": None, **entry} for entry in wanted]
    prepared, taken = prepare(filled, [{"name": name, "collection": name, "pipeline": []} for name in samples])
    connection: Any = type("Connection", (), {"client": {"shop": FakeDatabase(shop)}})
    counts = {name: len(documents) for name, documents in shop.items()}
    return check_assertions(connection, "shop", prepared, taken, BackupFacts(STARTED, counts, {"uploads": 2}))


def test_an_assertion_that_does_not_hold_is_told() -> None:
    counts = {"orders": [{}] * 3}

    def lines(**limits: Any) -> Any:
        return told(counts, [{"collection": "orders", "filter": {"a": 1}, **limits}])[0]

    assert lines() == lines(min=3, max=3) == lines(min=None) == []
    assert lines(min=4) == ['shop.orders: 3 documents match {"a": 1}, less than 4']
    assert lines(min=None, max=2) == ['shop.orders: 3 documents match {"a": 1}, more than 2']
    assert lines(min=4, name="enough") == [
        'the assertion does not hold: enough (shop.orders: 3 documents match {"a": 1}, less than 4)'
    ]
    counts["orders"] = []
    assert lines() == ['shop.orders: 0 documents match {"a": 1}, less than 1']


@pytest.mark.parametrize(
    ("that", "said"),
    [
        ("counts.orders == `1`", ""),
        ("counts.orders == `2`", "it is false"),
        ("backup.files.uploads == `2`", ""),
        ("database == 'shop'", ""),
        ("samples.orders[0].items[0].price > `9`", ""),
        ("samples.orders[0]._id == '0123456789ab0123456789ab'", ""),
        ("age_hours(samples.orders[0].createdAt) == `5`", ""),
        ("age_hours(samples.orders[0].createdAt) < `5`", "it is false"),
        ("age_hours(samples.orders[0].nothing) < `5`", "it gives neither true nor false, but null"),
        ("samples.orders[0].email", "it gives neither true nor false, but a text"),
        ("counts.orders", "it gives neither true nor false, but a number"),
    ],
)
def test_only_true_holds_and_no_value_is_told(that: str, said: str) -> None:
    order = {
        "_id": bson.ObjectId("0123456789ab0123456789ab"),
        "createdAt": STARTED - timedelta(hours=5),
        "items": [{"price": bson.Decimal128("9.5")}],
        "email": "canary@example.org",
    }
    failed, warned = told({"orders": [order]}, [{"that": that}], "orders")
    assert warned == []
    assert failed == ([f"the assertion does not hold: {that} ({said})"] if said else [])
    assert "canary" not in str(failed)


def test_what_only_warns_is_told_apart() -> None:
    failed, warned = told({}, [{"that": "`false`", "severity": "warn", "name": "b"}, {"that": "`false`", "name": "a"}])
    assert failed == ["the assertion does not hold: a (it is false)"]
    assert warned == ["the assertion does not hold: b (it is false)"]


def test_what_makes_no_sense_is_refused_before_anything_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MaintenanceError, match="no JMESPath expression"):
        told({}, [{"that": "counts.["}])
    for stage in ("$out", "$merge"):
        with pytest.raises(MaintenanceError, match="writes"):
            prepare([], [{"name": "a", "collection": "b", "pipeline": [{"$match": {}}, {stage: "users"}]}])
    # What cannot be worked out says nothing about the backup.
    with pytest.raises(MaintenanceError, match="cannot be worked out"):
        told({}, [{"that": "length(`1`) > `2`"}])
    monkeypatch.setattr(assertions, "IMPORT_ERROR", "No module named 'jmespath'")
    with pytest.raises(MissingLibrary, match="jmespath"):
        told({}, [{"that": "`true`"}])
    told({}, [{"collection": "orders", "min": 0}])


def test_a_sample_is_bounded() -> None:
    body = "x" * (1024 * 1024)
    connection: Any = type(
        "Connection", (), {"client": {"shop": FakeDatabase(a=[{"n": n, "b": body} for n in range(20)])}}
    )
    assert len(assertions.take_sample(connection, "shop", SampledCollection("a", "a"))) == 3


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**40), 2**40)
        | st.text()
        | st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(timezone.utc))
        | st.binary()
        | st.just(bson.ObjectId()),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_every_value_becomes_one_of_json(value: Any) -> None:
    json.dumps(as_json(value))
    if isinstance(value, datetime):
        assert as_json(value) == format_utc(value)


def test_the_assertions_of_the_role() -> None:
    """Against a shop that it is true of and one that it is not; the one that asks the server has a test with a server."""
    defaults = yaml.safe_load((ROOT / "roles/backup/defaults/main.yml").read_text(encoding="utf-8"))
    admin, _items, newest = defaults["backup_test_assertions"]
    samples = [sample["name"] for sample in defaults["backup_test_samples"]]
    assert samples == ["administrators", "administrative_users", "newest_order"]
    limit = int(defaults["backup_test_newest_order_days"]) * 24
    age = newest["that"].replace("{{ backup_test_newest_order_days | int * 24 }}", str(limit))

    def holds(that: str, **shop: list[dict[str, Any]]) -> bool:
        return told(shop, [{"that": that}], *samples) == ([], [])

    assert holds(admin["that"])  # an empty shop has nobody
    assert not holds(admin["that"], users=[{}])
    assert not holds(admin["that"], users=[{}], administrators=[{"holders": 0}])
    assert holds(admin["that"], users=[{}], administrators=[{"holders": 0}, {"holders": 2}])
    assert holds(admin["that"], users=[{}], administrative_users=[{}])
    assert holds(age)
    assert holds(age, newest_order=[{"createdAt": STARTED - timedelta(days=29)}])
    assert not holds(age, newest_order=[{"createdAt": STARTED - timedelta(days=31)}])
    assert Assertion().severity == "fail"
