# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError, SkipAction
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import former_compactions
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.compaction import is_deferral
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.former_compactions import FormerCompactions

OURS = {"command": {"compact": "orders", "$db": "shop", "comment": "miniecom.maintenance mongo_compact 1f"}}
ANOTHERS = {"command": {"compact": "users", "$db": "shop", "comment": "miniecom.maintenance.not"}}


class World:
    """Two members, on which something runs until a moment, and a clock that only sleeping moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **running: Any) -> None:
        self.now, self.signs = 0.0, 0
        self.running = running

        def commands(name: str, _command: str) -> list[dict[str, Any]]:
            until, what = self.running.get(name, (0, []))
            if isinstance(what, Exception):
                raise what
            return [what] if self.now < until else []

        monkeypatch.setattr(former_compactions, "running_commands", commands)
        servers: dict[str, Callable[[], Any]] = {"b": lambda: "b", "c": lambda: "c"}
        self.former = FormerCompactions(servers, self.sign, lambda: self.now, self.sleep)

    def sign(self) -> None:
        self.signs += 1

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_ours_are_waited_for_on_every_member_and_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, b=(30, OURS), c=(20, OURS))
    assert world.former.wait(None) == "waited for what an earlier call had begun: shop.orders on b, shop.orders on c"
    assert 30 <= world.now < 31 and world.signs > 100


def test_nothing_else_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, b=(30, ANOTHERS), c=(30, MaintenanceError("no answer")))
    assert world.former.wait(None) == "" and world.now == 0


def test_not_longer_than_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, b=(30, OURS))
    with pytest.raises(SkipAction, match=r"still runs \(shop\.orders on b\)") as skip:
        world.former.wait(10.0)
    assert is_deferral(skip.value.reason) and 10 <= world.now < 11
