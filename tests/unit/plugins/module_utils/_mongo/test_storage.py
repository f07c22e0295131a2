# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.health import interpret_index
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.storage import (
    CollectionStatistics,
    File,
    interpret_statistics,
    require_names,
)

NOW = datetime(2026, 1, 30, tzinfo=timezone.utc)


def manager(size, free):
    return {"block-manager": {"file size in bytes": size, "file bytes available for reuse": free}}


def test_statistics_of_files():
    answer = {
        "count": 7,
        "size": 700,
        "storageSize": 4096,
        "wiredTiger": manager(4096, 1024),
        "indexSizes": {"b_1": 300, "_id_": 200},
        "indexDetails": {"_id_": manager(200, 50), "b_1": manager(300, 60)},
    }
    statistics = interpret_statistics("shop", "orders", "collection", answer)
    assert statistics.files == (File("", 4096, 1024), File("_id_", 200, 50), File("b_1", 300, 60))
    assert (statistics.bytes, statistics.reusable, statistics.documents) == (4596, 1134, 7)
    assert statistics.as_dict()["index_reusable_bytes"] == 110
    assert interpret_statistics("shop", "c", "collection", {**answer, "capped": True}).kind == "capped"


def test_statistics_without_details():
    """A missing collection, or a storage engine that tells less."""
    statistics = interpret_statistics("shop", "c", "collection", {"storageSize": 5, "indexSizes": {"_id_": 6}})
    assert (statistics.bytes, statistics.reusable) == (11, 0)
    assert interpret_statistics("shop", "c", "collection", {}).bytes == 0


def test_misspelt_names():
    known = [CollectionStatistics("a", "orders", "collection"), CollectionStatistics("b", "users", "view")]
    require_names(known, ["users", "orders"], ["a", "b"])
    with pytest.raises(MaintenanceError, match="ordres"):
        require_names(known, ["users", "ordres"], ["a", "b"])


def test_index_statistics():
    entry = {
        "name": "at_1",
        "key": {"at": 1},
        "accesses": {"ops": 3, "since": datetime(2026, 1, 1)},
        "spec": {"expireAfterSeconds": 60, "unique": True},
    }
    index = interpret_index(entry)
    assert (index.accesses, index.ttl_seconds, index.unique) == (3, 60.0, True)
    assert index.as_dict()["accesses_since"] == "2026-01-01T00:00:00Z"
    assert index.spec == {"expireAfterSeconds": 60, "unique": True, "name": "at_1", "key": {"at": 1}}
