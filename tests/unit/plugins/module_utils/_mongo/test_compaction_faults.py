# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a real server cannot be made to do on time: be compacted by somebody else, or die in the middle."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from pymongo.errors import AutoReconnect, OperationFailure

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError, SkipAction
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Action, Plan, Result, Results
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import compacting, compactor
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.client import Server
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.compaction import (
    MIB,
    Compact,
    Compaction,
    Policy,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.compaction_history import (
    CompactionHistory,
    read_compaction_history,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.compactor import Compactor
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.recent_removals import RecentRemoval
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.storage import CollectionStatistics, File

SERVER = Server("6.0.5", (6, 0, 5), "standalone", "primary")
SECONDARY = Server("6.0.27", (6, 0, 27), "replica set", "secondary", "rs0")
ORDERS = Compact("shop", "orders", 60 * MIB)
OURS = {"ns": "shop.orders", "command": {"compact": "orders", "comment": "test"}}
ANOTHERS = {"ns": "shop.orders", "command": {"compact": "orders", "comment": "somebody else's"}}


class World:
    """A server of which the test says what it answers, and a clock that only sleeping moves."""

    def __init__(self, monkeypatch, sizes, running=(), error=None, server=SERVER, states=(), kind="collection"):
        self.now = 0.0
        self.server, self.states, self.kind = server, list(states), kind
        self.sizes, self.running, self.error = list(sizes), list(running), error
        self.commands = []
        self.lag = None
        monkeypatch.setattr(compactor, "read_lag", lambda _connection, _server: self.lag)
        monkeypatch.setattr(compactor, "read_server", lambda _connection: self.state())
        self.processes = []
        monkeypatch.setattr(
            compactor, "read_server_process", lambda _connection: self.processes.pop(0) if self.processes else "one"
        )
        self.removed = {}
        monkeypatch.setattr(compactor, "read_snapshot_window", lambda _connection: 300.0)
        monkeypatch.setattr(compactor, "read_recent_removals", lambda _connection, _seconds: (self.removed, ""))
        monkeypatch.setattr(compactor, "read_collection_statistics", lambda *_args: self.statistics())
        monkeypatch.setattr(compactor, "running_commands", lambda _connection, _command: self.operations())

    def state(self):
        """The server as it is now; whatever was known of it when the connection was opened is old."""
        return replace(self.server, state=self.states.pop(0)) if self.states else self.server

    def statistics(self):
        size, free = self.sizes.pop(0)
        return CollectionStatistics("shop", "orders", self.kind, 9, size, File("", size, free))

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
        connection = SimpleNamespace(
            server=self.server, client={"shop": self}, address=SimpleNamespace(where="a:27017")
        )
        wanted = Policy(**{"min_reclaimable": MIB, "min_ratio": 0.1, **policy})
        self.lag = lag
        return Compactor(connection, connection, wanted, "test", 0.0, lambda: self.now, self.sleep)


PARAMS = {
    "min_reclaimable": "1MiB",
    "min_ratio": 0.1,
    "time_budget": None,
    "primary": "skip",
    "max_lag": "10s",
    "members": "connected",
    "force": False,
}
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
        World(monkeypatch, [BEFORE], server=SECONDARY).compactor(lag=11.0).compact(ORDERS)
    world = World(monkeypatch, [BEFORE])
    compactor = world.compactor(time_budget=10.0)
    world.now = 9.0
    with pytest.raises(SkipAction, match="time_budget"):
        compactor.compact(ORDERS)
    assert not world.commands


@pytest.mark.parametrize(("documents", "waits"), [(1, True), (0, False)])
def test_what_was_removed_since_planning_is_not_frozen_into_the_file(monkeypatch, documents, waits):
    world = World(monkeypatch, [BEFORE, AFTER], server=SECONDARY)
    world.removed = {"shop.orders": RecentRemoval(documents, 20.0)}
    if waits:
        with pytest.raises(SkipAction, match="may be compacted in 5 min 40 s"):
            world.compactor().compact(ORDERS)
    else:
        world.compactor().compact(ORDERS)
    assert bool(world.commands) is not waits


def test_dropped_connection_is_waited_for(monkeypatch):
    running = [[], [OURS], MaintenanceError("no answer"), [OURS], []]
    world = World(monkeypatch, [BEFORE, AFTER], running, AutoReconnect("gone"))
    outcome = world.compactor().compact(ORDERS)
    assert outcome.bytes == 60 * MIB and "connection was lost" in outcome.note
    assert not world.running, "looked until it had ended"
    assert len(world.commands) == 1, "never sent twice"


def test_after_a_lost_connection_nobody_elses_compaction_is_waited_for(monkeypatch):
    """Two compactions of one collection are allowed: ours is known by its comment."""
    world = World(monkeypatch, [BEFORE, AFTER], [[], [ANOTHERS, OURS], [ANOTHERS], [ANOTHERS]], AutoReconnect("gone"))
    assert world.compactor().compact(ORDERS).bytes == 60 * MIB
    assert world.running == [[ANOTHERS]]


def test_a_server_that_was_started_anew_has_not_gone_on(monkeypatch):
    world = World(monkeypatch, [BEFORE, BEFORE], [[], MaintenanceError("no answer"), []], AutoReconnect("gone"))
    world.processes = ["one", "another"]
    with pytest.raises(MaintenanceError, match=r"started anew .*shop\.orders"):
        world.compactor().compact(ORDERS)


def test_server_that_does_not_come_back(monkeypatch):
    running = [[], *[MaintenanceError("no answer", code="111")] * 1000]
    world = World(monkeypatch, [BEFORE, AFTER], running, AutoReconnect("gone"))
    with pytest.raises(MaintenanceError, match=r"not answered for a minute: shop\.orders on a.* run at a:27017,"):
        world.compactor().compact(replace(ORDERS, member="a"))
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


@pytest.mark.parametrize("version", [(6, 0, 5), (6, 0, 27), (8, 0, 0)])
def test_a_member_that_has_become_primary_is_left_alone(monkeypatch, version):
    """Some servers refuse to compact a primary without force, newer ones do not: it is ours to decide, right before."""
    world = World(monkeypatch, [BEFORE], server=replace(SECONDARY, version_array=version), states=["primary"])
    with pytest.raises(SkipAction, match="this member is the primary"):
        world.compactor().compact(ORDERS)
    assert not world.commands


def test_a_member_that_is_neither_any_more_is_left_alone(monkeypatch):
    world = World(monkeypatch, [BEFORE], server=SECONDARY, states=["other"])
    with pytest.raises(SkipAction, match="neither primary nor secondary"):
        world.compactor(primary="force").compact(ORDERS)
    assert not world.commands


def test_force_is_for_what_is_primary_now(monkeypatch):
    world = World(monkeypatch, [BEFORE, AFTER], server=SECONDARY, states=["primary"])
    world.compactor(primary="force").compact(ORDERS)
    stepped_down = World(monkeypatch, [BEFORE, AFTER], server=replace(SECONDARY, state="primary"), states=["secondary"])
    stepped_down.compactor(primary="force").compact(ORDERS)
    assert [command.get("force") for command in world.commands + stepped_down.commands] == [True, None]


def test_time_series_are_tried(monkeypatch):
    world = World(monkeypatch, [BEFORE, AFTER], kind="timeseries")
    assert world.compactor().compact(ORDERS).bytes == 60 * MIB
    refused = OperationFailure("no", 166, {"errmsg": "can't compact a view", "code": 166})
    world = World(monkeypatch, [BEFORE], error=refused, kind="timeseries")
    with pytest.raises(SkipAction, match="does not compact time-series"):
        world.compactor().compact(ORDERS)
    with pytest.raises(MaintenanceError, match="166"):
        World(monkeypatch, [BEFORE], error=refused).compactor().compact(ORDERS)


def test_a_collection_that_went_meanwhile_is_told_of(monkeypatch):
    """Also one without any documents by the fast count, which after a crash may be any number."""
    call = SimpleNamespace(params=PARAMS, check=False, run=None)
    monkeypatch.setattr(compacting.MemberConnections, "looking", lambda _self, _member: None)
    monkeypatch.setattr(compacting, "list_collection_statistics", lambda *_args: [])
    action = Action("compact", "shop.orders", "", ORDERS)
    results = Results(False, [action], [Result(action, "done")])
    [warning] = compacting.MongoCompact(call).verify(None, None, results).warnings
    assert "shop.orders was dropped or renamed" in warning


@pytest.mark.parametrize("blocked", [False, True])
def test_what_cannot_be_remembered_is_a_warning_beside_the_result(tmp_path, blocked):
    """A state directory that is full or read-only does not make a failure of what was done."""
    state_dir = tmp_path / "state"
    if blocked:
        state_dir.write_text("in the way")
    call = SimpleNamespace(params=PARAMS, check=False, run=SimpleNamespace(state_dir=str(state_dir)))
    measured = Compaction("shop.orders", 100 * MIB, 40 * MIB, 60 * MIB, 60 * MIB, 1.0, bytes_counted=60 * MIB)
    action = Action("compact", "shop.orders", "", ORDERS)
    results = Results(False, [action], [Result(action, "done", detail=measured)])
    observation = SimpleNamespace(history=CompactionHistory(), connected="a:27017")
    warnings = compacting.MongoCompact(call).remember(observation, Plan([action]), results)
    if blocked:
        [warning] = warnings
        assert "will not know what this one came to" in warning and str(state_dir) in warning
    else:
        assert not warnings
        assert read_compaction_history(str(state_dir)).of_member("a:27017")["shop.orders"][0].freed == 60 * MIB
