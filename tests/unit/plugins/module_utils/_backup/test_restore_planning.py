# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.catalogue import Backup, VerificationRecord
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.restore_planning import (
    RestoreObservation,
    ServerOrigin,
    expected_space,
    plan_restore_test,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.leftovers import Leftover, PathLeft

GIB = 1024**3
NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)


def backup(raw: int = 0, encrypted: bool = False) -> Backup:
    text = "2026-11-24T02:00:00Z"
    record = VerificationRecord(GIB, 1, "00", text, text, "shop", bytes_documents=raw) if raw else None
    name = "20261124_020000.tar.gz"
    return Backup(name, "/b/" + name, datetime(2026, 11, 24, 2), GIB, 1, 1, encrypted, record)


def observation(found: Backup | None, free: int = 100 * GIB) -> RestoreObservation:
    return RestoreObservation("/b", found, ServerOrigin("/usr/bin/mongod"), free, NOW)


def test_one_action_that_says_where_the_server_comes_from() -> None:
    (action,) = plan_restore_test(observation(backup(GIB)), "/w", 0, False).actions
    assert action.target == "/b/20261124_020000.tar.gz"
    assert "/usr/bin/mongod" in action.reason
    assert not action.assumes


def test_before_the_first_backup_check_mode_assumes_one() -> None:
    (action,) = plan_restore_test(observation(None), "/w", 0, False).actions
    assert action.assumes


def test_the_space_comes_from_the_record_and_else_from_the_archive() -> None:
    assert 1.3 * 2 * GIB < expected_space(backup(2 * GIB)) < 3.1 * GIB
    assert expected_space(backup()) > 6 * GIB


@pytest.mark.parametrize("missing", [1, 50 * GIB])
def test_too_little_space_is_refused(missing: int) -> None:
    needed = expected_space(backup(GIB)) + GIB
    plan_restore_test(observation(backup(GIB), needed), "/w", GIB, False)
    with pytest.raises(MaintenanceError, match="not enough space for a restore test"):
        plan_restore_test(observation(backup(GIB), needed - missing), "/w", GIB, False)


def test_an_encrypted_backup_needs_its_passphrase() -> None:
    with pytest.raises(MaintenanceError, match="encrypted"):
        plan_restore_test(observation(backup(GIB, True)), "/w", 0, False)
    assert plan_restore_test(observation(backup(GIB, True)), "/w", 0, True).actions


def test_leftovers_go_first() -> None:
    found = replace(observation(backup(GIB)), leftovers=(Leftover("1", PathLeft("/w/restore-test-1")),))
    plan = plan_restore_test(found, "/w", 0, False)
    assert [action.action for action in plan.actions] == ["remove_leftover", "restore_test"]
    assert plan.actions[0].target == "/w/restore-test-1"
