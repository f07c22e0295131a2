# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a real server cannot be made to do on time: be compacted by somebody else, or die in the middle."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from pymongo.errors import AutoReconnect, OperationFailure

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError, SkipAction
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import compacting
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.client import Server
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.compacting import Compactor
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.compaction import MIB, Compact, Policy
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.storage import CollectionStatistics, File

SERVER = Server("6.0.5", (6, 0, 5), "standalone", "primary")
ORDERS = Compact("shop", "orders", 60 * MIB)
OURS = {"ns": "shop.orders", "command": {"compact": "orders"}}


class World:
    """A server of which the test says what it answers, and a clock that only sleeping moves."""

    def __init__(self, monkeypatch, sizes, running=(), error=None):
        self.now = 0.0
        self.sizes, self.running, self.error = list(sizes), list(running), error
        self.commands = []
        self.lag = None
        monkeypatch.setattr(compacting, "read_lag", lambda _connection: self.lag)
        monkeypatch.setattr(compacting, "read_collection_statistics", lambda *_args: self.statistics())
        monkeypatch.setattr(compacting, "running_compactions", lambda _connection: self.operations())

    def statistics(self):
        size, free = self.sizes.pop(0)
        return CollectionStatistics("shop", "orders", "collection", 9, size, File("", size, free))

    def operations(self):
        answer = self.running.pop(0) if self.running else []
        if isinstance(answer, Exception):
            raise answer
        return answer

    def command(self, command):
        self.commands.append(command)
        if self.error:
            raise self.error

    def sleep(self, seconds):
        self.now += seconds

    def compactor(self, lag=None, **policy):
        connection = SimpleNamespace(server=SERVER, client={"shop": self})
        wanted = Policy(**{"min_reclaimable": MIB, "min_ratio": 0.1, **policy})
        self.lag = lag
        return Compactor(connection, connection, wanted, "test", 0.0, lambda: self.now, self.sleep)


BEFORE, AFTER = (100 * MIB, 60 * MIB), (40 * MIB, 0)


def test_ordinary(monkeypatch):
    world = World(monkeypatch, [BEFORE, AFTER])
    outcome = world.compactor().compact(ORDERS)
    assert outcome.bytes == 60 * MIB and not outcome.note
    assert world.commands == [{"compact": "orders", "comment": "test"}]


def test_somebody_else_compacts(monkeypatch):
    world = World(monkeypatch, [BEFORE], running=[[{"ns": "shop.users", "command": {"compact": "users"}}]])
    with pytest.raises(SkipAction, match=r"another compaction .*shop\.users"):
        world.compactor().compact(ORDERS)
    assert not world.commands


def test_lag_and_time(monkeypatch):
    with pytest.raises(SkipAction, match="behind the primary"):
        World(monkeypatch, [BEFORE]).compactor(lag=11.0).compact(ORDERS)
    world = World(monkeypatch, [BEFORE])
    compactor = world.compactor(time_budget=10.0)
    world.now = 9.0
    with pytest.raises(SkipAction, match="time_budget"):
        compactor.compact(ORDERS)
    assert not world.commands


def test_dropped_connection_is_waited_for(monkeypatch):
    running = [[], [OURS], MaintenanceError("no answer"), [OURS], []]
    world = World(monkeypatch, [BEFORE, AFTER], running, AutoReconnect("gone"))
    outcome = world.compactor().compact(ORDERS)
    assert outcome.bytes == 60 * MIB and "connection was lost" in outcome.note
    assert not world.running, "looked until it had ended"
    assert len(world.commands) == 1, "never sent twice"


def test_server_that_does_not_come_back(monkeypatch):
    running = [[], *[MaintenanceError("no answer", code="111")] * 1000]
    world = World(monkeypatch, [BEFORE, AFTER], running, AutoReconnect("gone"))
    with pytest.raises(MaintenanceError, match="not answered for a minute"):
        world.compactor().compact(ORDERS)
    assert 60 <= world.now < 62


def test_refusal_is_no_lost_connection(monkeypatch):
    world = World(monkeypatch, [BEFORE], error=OperationFailure("no", 13, {"errmsg": "not authorized", "code": 13}))
    with pytest.raises(MaintenanceError, match="13"):
        world.compactor().compact(ORDERS)


def test_dropped_collection_is_no_gain(monkeypatch):
    outcome = World(monkeypatch, [BEFORE, (0, 0)]).compactor().compact(ORDERS)
    assert outcome.bytes == 0 and "dropped" in outcome.note


def test_nothing_moved_is_said(monkeypatch):
    outcome = World(monkeypatch, [BEFORE, BEFORE]).compactor().compact(ORDERS)
    assert outcome.bytes == 0 and "moved nothing" in outcome.note
    # Writers may have been faster.
    assert World(monkeypatch, [BEFORE, (120 * MIB, 0)]).compactor().compact(ORDERS).bytes == 0
