# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in the way of a restore into the live database, and what the plan says of each collection."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.catalogue import Backup, VerificationRecord
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.file_comparison import PartChange
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.live_restore_planning import (
    CREATE,
    REPLACE,
    SAME,
    STAYS,
    CollectionChange,
    LiveObservation,
    LivePolicy,
    RestoreDatabase,
    SettleRestore,
    plan_live_restore,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import (
    InsufficientSpace,
    MaintenanceError,
)

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=timezone.utc)
RECORD = VerificationRecord(
    1, 1, "", "2026-11-24T02:30:00Z", "2026-11-24T02:31:00Z", "shop", "db:1", ("uploads", "invoices"), documents=30
)
SAFETY = Backup("20261124_023000.tar.gz", "/s/20261124_023000.tar.gz", NOW, 1, 1, 1, verification=RECORD, record=RECORD)
BACKUP = Backup("20261101_020000.tar.gz", "/b/20261101_020000.tar.gz", NOW, 1, 1, 2)
GOOD = LiveObservation(
    "/b",
    BACKUP,
    "shop",
    "db:1",
    NOW,
    changes=(
        CollectionChange("later", "collection", STAYS, 5, None),
        CollectionChange("orders", "collection", REPLACE, 20, 10, 10_000_000_000),
        CollectionChange("products", "collection", CREATE, None, 3, 100),
        CollectionChange("same", "collection", SAME, 5, 5),
    ),
    free=100_000_000_000,
    in_maintenance=True,
    maintenance_since="2026-11-24T02:00:00Z",
    safety=SAFETY,
)
POLICY = LivePolicy(1, "/s/20261124_023000.tar.gz")
UPLOADS = PartChange("uploads", "/u", "", ("c",), ("r",), 3, ("later",), (), 200, 1, free=1000, device=7)


def test_what_differs_changes_and_the_rest_stays() -> None:
    plan = plan_live_restore(GOOD, POLICY)
    assert [action.work for action in plan.actions] == [RestoreDatabase(BACKUP.path, ("orders", "products"))]
    assert "20 documents now, 13 then" in plan.actions[0].reason
    assert {kept.target for kept in plan.kept} == {"shop.later", "shop.same"}
    assert not plan.warnings
    assert not plan_live_restore(replace(GOOD, changes=GOOD.changes[3:]), POLICY).actions


def test_files_change_with_the_database_or_alone() -> None:
    seen = replace(GOOD, files=(UPLOADS,), absent=(("labels", ""), ("invoices", "not mounted")), unasked=(".env",))
    plan = plan_live_restore(seen, POLICY)
    (action,) = plan.actions
    assert action.work == RestoreDatabase(BACKUP.path, ("orders", "products"), ("uploads",))
    assert "20 documents now, 13 then" in action.reason and "uploads in /u (1 new, 1 other)" in action.reason
    kept = {kept.target for kept in plan.kept}
    assert kept == {"shop.later", "shop.same", "/u", "/u/later", "labels", "invoices", ".env"}
    assert plan.warnings == ["The backup holds no invoices (not mounted): what is there now stays."]
    (action,) = plan_live_restore(replace(seen, changes=GOOD.changes[3:]), POLICY).actions
    assert (action.action, action.target, action.bytes) == ("restore_files", "uploads", 200)
    done = replace(UPLOADS, create=(), replace=())
    assert not plan_live_restore(replace(seen, changes=GOOD.changes[3:], files=(done,)), POLICY).actions
    # Documents are not at stake where only files change, and files are where there are no documents.
    few = replace(SAFETY, verification=replace(RECORD, documents=0))
    plan_live_restore(replace(seen, changes=GOOD.changes[3:], safety=few), POLICY)
    with pytest.raises(MaintenanceError, match="no safety backup is named"):
        plan_live_restore(replace(seen, changes=GOOD.changes[2:3]), replace(POLICY, safety_backup=""))


def test_what_was_half_way_comes_first() -> None:
    plan = plan_live_restore(replace(GOOD, leftovers=("a",)), POLICY)
    assert [type(action.work) for action in plan.actions] == [SettleRestore, RestoreDatabase]


OBSTACLES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("not in maintenance", {"in_maintenance": False}, {}),
    ("others are connected", {"clients": ("node from 10.0.0.1",)}, {}),
    ("no safety backup is named", {}, {"safety_backup": ""}),
    ("no safety backup under this path", {"safety": None}, {}),
    ("is not verified", {"safety": replace(SAFETY, verification=None)}, {}),
    ("another database", {"safety": replace(SAFETY, verification=replace(RECORD, database="blog"))}, {}),
    ("another database", {"safety": replace(SAFETY, verification=replace(RECORD, address="other:1"))}, {}),
    ("older than the maintenance", {"maintenance_since": "2026-11-24T02:45:00Z"}, {}),
    (
        "older than a day",
        {
            "maintenance_since": "",
            "safety": replace(SAFETY, verification=replace(RECORD, started="2026-11-23T02:59:00Z")),
        },
        {},
    ),
    ("holds 29 documents", {"safety": replace(SAFETY, verification=replace(RECORD, documents=29))}, {}),
    ("not enough space", {"free": 13_000_000_000}, {}),
    ("not enough space", {"files": (UPLOADS, replace(UPLOADS, name="invoices"))}, {"min_free": 700}),
    ("stands where the backup has something else: x", {"files": (replace(UPLOADS, conflicts=("x",)),)}, {}),
    (
        "does not hold uploads, of which files are replaced",
        {"files": (UPLOADS,), "safety": replace(SAFETY, verification=replace(RECORD, components=("invoices",)))},
        {},
    ),
]


@pytest.mark.parametrize(("words", "seen", "asked"), OBSTACLES)
def test_each_obstacle_ends_it_and_check_mode_tells(words: str, seen: dict[str, Any], asked: dict[str, Any]) -> None:
    observation, policy = replace(GOOD, **seen), replace(POLICY, **asked)
    with pytest.raises(MaintenanceError, match=words) as refused:
        plan_live_restore(observation, policy)
    assert isinstance(refused.value, InsufficientSpace) is (words == "not enough space")
    plan = plan_live_restore(observation, replace(policy, check=True))
    assert plan.actions
    if words == "no safety backup is named":
        # The play makes one before.
        assert plan.actions[0].assumes == "a verified backup of what is live now"
        assert not plan.warnings
    else:
        assert words in plan.warnings[0]


def test_what_is_asked_for_is_let_through() -> None:
    plan_live_restore(replace(GOOD, in_maintenance=False), replace(POLICY, require_maintenance=False))
    plan_live_restore(replace(GOOD, clients=("x",)), replace(POLICY, allow_clients=True))
    plan_live_restore(replace(GOOD, maintenance_since=""), POLICY)
    (warning,) = plan_live_restore(replace(GOOD, clients=None, free=None), POLICY).warnings
    assert "may not see who else is connected" in warning
    empty = replace(GOOD, changes=GOOD.changes[2:3], in_maintenance=False, safety=None)
    plan_live_restore(empty, replace(POLICY, safety_backup=""))
