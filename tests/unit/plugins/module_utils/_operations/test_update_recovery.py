# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.exchange import Exchange
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.update_journal import (
    REPLACING,
    RecordedService,
    UpdateJournal,
    read_update,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.update_plan import UpdateScene
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations import update_recovery
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.migrations import MigrationsPlace


def test_who_was_cut_off_going_back_never_goes_forward(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Half way back there are containers without their data: to start them, and forget the copies, would lose them."""
    services = {"api": RecordedService("api:1", "image-1", (), ("one",))}
    journal = UpdateJournal("shop", REPLACING, "2026-11-29T12:00:00Z", services, migrations={"m": "1"}, started=True)
    nothing: Any = None
    exchange = Exchange(nothing, nothing, nothing, UpdateScene("shop", ()), str(tmp_path), journal)

    def killed(_services: Any) -> None:
        raise MaintenanceError("killed")

    monkeypatch.setattr(exchange, "give_names_back", lambda _services: None)
    monkeypatch.setattr(exchange, "stop", killed)
    monkeypatch.setattr(update_recovery, "original", lambda _exchange, _service: False)
    with pytest.raises(MaintenanceError, match="killed"):
        update_recovery.go_back(exchange, lambda: "", 1.0)
    left = read_update(str(tmp_path), "shop")
    assert left is not None and left.phase == REPLACING
    nowhere = MigrationsPlace({}, "/opt/shop")
    assert update_recovery.migrated_since(journal, nowhere), "nobody can tell"
    assert not update_recovery.migrated_since(left, nowhere)
    assert update_recovery.migrated_since(replace(left, started=True), nowhere)
