# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Production and staging, each with a database of the same name, that share a directory of backups."""

from __future__ import annotations

from datetime import datetime, timezone

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup import catalogue, planning

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)
MOMENT = "2026-11-24T11:00:00Z"
POLICY = planning.BackupPolicy("/b", 20 * 3600, "20h", 0)
HERE = "10.0.0.1:27017"


def directory(address: str) -> catalogue.Catalogue:
    name = "20261124_110000.tar.gz"
    record = catalogue.VerificationRecord(10, 1, "00", MOMENT, MOMENT, "shop", address)
    return catalogue.Catalogue(
        "/b", [catalogue.Backup(name, "/b/" + name, datetime(2026, 11, 24, 11), 10, 1, 1, False, record)]
    )


def test_a_backup_of_another_server_is_not_reused() -> None:
    reused, why = planning.reusable(directory("10.0.0.2:27017"), "shop", HERE, {}, {}, POLICY, NOW)
    assert reused is None and "another server (10.0.0.2:27017)" in why


def test_one_of_the_same_server_is_and_one_that_does_not_say() -> None:
    assert planning.reusable(directory("10.0.0.1:27017"), "shop", HERE, {}, {}, POLICY, NOW)[0] is not None
    assert planning.reusable(directory(""), "shop", HERE, {}, {}, POLICY, NOW)[0] is not None
    assert planning.reusable(directory("10.0.0.2:27017"), "shop", "", {}, {}, POLICY, NOW)[0] is not None
