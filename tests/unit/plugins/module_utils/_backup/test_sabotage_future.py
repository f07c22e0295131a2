# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A backup made while the clock was years ahead is no proof that there is a recent one."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup import catalogue, pruning
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.retention import Policy
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc)
POLICY = pruning.RotationPolicy(Policy(last=2), 48 * 3600, "48h")


def verified(moment: datetime) -> catalogue.Backup:
    text = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    name = catalogue.backup_name(moment)
    record = catalogue.VerificationRecord(10, 1, "00", text, text, "shop")
    return catalogue.Backup(name, "/b/" + name, moment.astimezone().replace(tzinfo=None), 10, 1, 1, False, record)


def test_a_future_backup_does_not_let_old_ones_go() -> None:
    found = catalogue.Catalogue("/b", [verified(NOW - timedelta(days=days)) for days in (40, 30, 20, 10)])
    found.backups.append(verified(NOW + timedelta(days=3650)))
    with pytest.raises(MaintenanceError, match="10 d old"):
        pruning.plan_rotation(pruning.RotationObservation(found), POLICY, NOW)


def test_a_clock_a_minute_apart_does_no_harm() -> None:
    found = catalogue.Catalogue("/b", [verified(NOW - timedelta(days=days)) for days in (40, 30, 20, 10)])
    found.backups.append(verified(NOW + timedelta(minutes=1)))
    plan = pruning.plan_rotation(pruning.RotationObservation(found), POLICY, NOW)
    assert len(plan.actions) == 2
