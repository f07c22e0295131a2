# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The seeded shop: its references have the types of the real one, and its orphans are those that it tells of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bson import ObjectId

from tests.sandbox.mongod import Mongod
from tests.sandbox.seed import HEX, MIXED, OBJECT_ID, RELATIONS, Relation, ShopFacts, delete_products, seed_shop

Seeded = tuple[Any, ShopFacts]


@pytest.fixture(scope="module", params=[False, True], ids=["as-it-is", "stray"])
def seeded(mongod: Mongod, request: pytest.FixtureRequest) -> Iterator[Seeded]:
    with mongod.client() as client:
        name = f"seed_{request.param}"
        facts = seed_shop(client[name], users=40, orders=100, rng_seed=3, stray=request.param)
        yield client[name], facts
        client.drop_database(name)


def values(database: Any, relation: Relation) -> Iterator[tuple[Any, Any]]:
    """What identifies a document or element, and its reference."""
    array, _, name = relation.field.rpartition("[].")
    for document in database[relation.collection].find():
        if array:
            for item in document[array]:
                yield (document["_id"], item[name]), item[name]
        else:
            yield document["_id"], document.get(name)


def test_orphans_are_as_told(seeded: Seeded) -> None:
    database, facts = seeded
    for relation in RELATIONS:
        there = {str(one["_id"]) for one in database[relation.references].find({}, {"_id": 1})}
        found = {
            key
            for key, value in values(database, relation)
            if value is not None and value not in relation.literals and str(value) not in there
        }
        assert found == facts.orphans[relation.name], relation


def test_references_have_the_types_of_the_shop(seeded: Seeded) -> None:
    database, _ = seeded
    forms = {HEX: {str}, OBJECT_ID: {ObjectId}, MIXED: {str, ObjectId}}
    for relation in RELATIONS:
        found = [value for _, value in values(database, relation)]
        assert {type(value) for value in found if value is not None} == forms[relation.form], relation
        if None in found:
            assert relation.optional, relation
        for literal in relation.literals:
            assert literal in found, relation
        texts = [value for value in found if isinstance(value, str) and value not in relation.literals]
        assert all(ObjectId.is_valid(text) and len(text) == 24 for text in texts), relation


def test_guests_nulls_and_absent_fields(seeded: Seeded) -> None:
    database, facts = seeded
    guests = {one["_id"] for one in database.orders.find({"userId": None, "guestEmail": {"$type": "string"}})}
    assert guests == facts.guest_orders
    assert guests
    assert database.carts.count_documents({"userId": None})
    for collection, field in (("products", "categoryId"), ("categories", "parentId")):
        assert database[collection].count_documents({field: {"$type": "null"}}), collection
        assert database[collection].count_documents({field: {"$exists": False}}), collection
    paid = set(database.payments.distinct("orderId"))
    waiting = [one for one in database.orders.find({"status": "awaiting_payment"}) if str(one["_id"]) not in paid]
    assert waiting


def test_collections_and_indexes(seeded: Seeded) -> None:
    database, facts = seeded
    assert set(database.list_collection_names()) == set(facts.counts)
    assert len(facts.counts) == 43
    for name, number in facts.counts.items():
        assert database[name].count_documents({}) == number
    for name in ("sessions", "audit_logs"):
        assert any("expireAfterSeconds" in index for index in database[name].index_information().values())
    assert any("textIndexVersion" in index for index in database.products.index_information().values())
    assert {one["key"] for one in database.settings.find()} >= {"site", "platform", "SMTP_PASS"}
    assert all(database.settings.count_documents({"value": secret}) == 1 for secret in facts.secrets)


def test_deleting_a_product_leaves_orphans(mongod: Mongod, mongo_database: str) -> None:
    with mongod.client() as client:
        database = client[mongo_database]
        facts = seed_shop(database)
        gone = delete_products(database)
        assert len(gone) == 1
        assert gone[0] not in facts.deleted_products
        assert database.products.count_documents({"_id": gone[0]}) == 0
        assert database.inventory.count_documents({"productId": gone[0]}) == 1
