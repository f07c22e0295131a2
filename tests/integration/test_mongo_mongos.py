# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Through mongos nothing is done that only a member can do, and it is said where to go instead.

There is no mongos to be had for tests: a real mongod stands behind something that answers hello as mongos does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId

from tests.sandbox.mongod import Mongod
from tests.support.modules import run_module
from tests.support.mongos import as_mongos

OLD = ObjectId("0123456789abcdef01234567")
RELATION = {"collection": "orders", "field": "userId", "references": "users", "action": "archive"}


@pytest.fixture
def shop(mongod: Mongod, mongo_database: str, state_dir: Path) -> Iterator[tuple[Any, dict[str, Any], list[str]]]:
    with mongod.client() as client, as_mongos(mongod.address) as (address, commands):
        database = client[mongo_database]
        database.users.insert_one({"_id": OLD})
        database.orders.insert_many([{"_id": ObjectId(f"{n:024x}"), "userId": str(OLD)} for n in range(100)])
        database.orders.insert_one({"_id": ObjectId(f"{200:024x}"), "userId": "0" * 24})
        database.orders.create_index("userId")
        uri = mongod.uri_for(mongo_database).replace(mongod.address, address)
        yield database, {"uri": uri, "state_dir": str(state_dir)}, commands


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("members", ["connected", "rolling"])
def test_compaction_is_refused_with_a_hint(shop: Any, members: str, check: bool) -> None:
    _database, params, commands = shop
    result = run_module("mongo_compact", {**params, "members": members, "min_reclaimable": "0"}, check=check)
    assert result.failed
    assert "not through mongos" in result.msg and "address of a member" in result.msg
    assert "hello" in commands and not {"compact", "fsync", "replSetStepDown"}.intersection(commands)


def test_indexes_are_not_rebuilt_and_it_says_what_to_do_instead(shop: Any) -> None:
    _database, params, commands = shop
    options = {"collections": ["orders"], "min_reclaimable": "0", "require_maintenance": False}
    result = run_module("mongo_reindex", {**params, **options})
    assert not result.failed and not result.changed, result.msg
    assert "mongos" in str(result.result["kept"]) and "each shard" in str(result.result["instead"])
    assert not {"reIndex", "createIndexes", "dropIndexes"}.intersection(commands)


def test_orphans_are_reported_and_not_archived(shop: Any) -> None:
    database, params, _commands = shop
    options = {"relations": [RELATION], "max_delete": 10}
    report = run_module("mongo_orphans", {**params, **options})
    assert not report.failed, report.msg
    assert report.result["summary"]["orphans"] == 1
    refused = run_module("mongo_orphans", {**params, **options, "action": "archive"})
    assert refused.failed and "sharded cluster are only reported" in refused.msg
    assert database.orders.count_documents({}) == 101 and "orders__orphans" not in database.list_collection_names()


def test_figures_are_told(shop: Any) -> None:
    _database, params, _commands = shop
    result = run_module("mongo_info", params)
    assert not result.failed, result.msg
    assert result.result["server"]["topology"] == "mongos"
