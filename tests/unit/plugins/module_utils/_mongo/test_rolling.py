# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Order and obstacles of a rolling compaction, and the waits of which a real set cannot be made to miss the end."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo.errors import OperationFailure

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import (
    AbortPlan,
    MaintenanceError,
    SkipAction,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Action, Outcome
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import compacting, former_compactions, rolling
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.client import Server
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.compaction import (
    MIB,
    Compact,
    CompactionObservation,
    MemberView,
    Policy,
    plan_compaction,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.rolling import Rolling
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.rolling_rules import (
    rolling_order,
    seat_obstacle,
    step_down_obstacle,
    successors,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.storage import CollectionStatistics, File
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.topology import (
    Member,
    Seat,
    interpret_seats,
    replicates_while_compacting,
)

SEATS = [Seat("a"), Seat("b"), Seat("c", hidden=True, priority=0)]
UP = [
    Member("a", "PRIMARY", True, False, 0.0),
    Member("b", "SECONDARY", True, False, 1.0),
    Member("c", "SECONDARY", True, True, 2.0),
]
POLICY = Policy(MIB, 0.1, rolling=True)
PARAMS = {
    "min_reclaimable": "1MiB",
    "min_ratio": 0.1,
    "time_budget": None,
    "primary": "skip",
    "max_lag": "10s",
    "members": "rolling",
    "force": False,
}


def without(members, name, **changes):
    return [replace(member, **changes) if member.name == name else member for member in members]


def test_hidden_members_come_first_and_the_primary_last():
    seats = [Seat("a"), Seat("b"), Seat("arbiter", arbiter=True), Seat("c", hidden=True)]
    assert [seat.name for seat in rolling_order(seats, UP)] == ["c", "b", "a"]


def test_a_healthy_set_has_no_obstacle():
    assert [seat_obstacle(name, SEATS, UP, 10.0) for name in "abc"] == ["", "", ""]


@pytest.mark.parametrize(
    ("name", "members", "words"),
    [
        ("c", without(UP, "b", healthy=False, state="(not reachable/healthy)"), "no majority"),
        ("c", without(UP, "b", state="RECOVERING"), "no majority"),
        ("c", without(UP, "c", state="RECOVERING"), "is RECOVERING"),
        ("c", without(UP, "c", healthy=False), "this member is"),
        ("c", without(UP, "a", state="SECONDARY"), "no primary"),
        ("c", without(UP, "c", lag_seconds=11.0), "more than max_lag"),
        ("c", without(UP, "c", lag_seconds=None), "not known how far"),
        ("d", UP, "does not list"),
    ],
)
def test_obstacles(name, members, words):
    assert words in seat_obstacle(name, SEATS, members, 10.0)


def test_a_delay_that_was_asked_for_is_no_lag():
    late = without(UP, "c", lag_seconds=3605.0)
    delayed = [*SEATS[:2], replace(SEATS[2], delay_seconds=3600.0)]
    assert "more than max_lag" in seat_obstacle("c", SEATS, late, 10.0)
    assert seat_obstacle("c", delayed, late, 10.0) == ""


def test_of_two_members_one_may_be_busy_while_both_are_up():
    assert seat_obstacle("b", SEATS[:2], UP[:2], 10.0) == ""
    assert seat_obstacle("a", SEATS[:2], without(UP[:2], "b", healthy=False), 10.0)


@given(st.lists(st.booleans(), min_size=1, max_size=7), st.data())
def test_whoever_may_be_busy_leaves_a_majority_where_there_can_be_one(up, data):
    names = [str(number) for number in range(len(up))]
    seats = [Seat(name) for name in names]
    members = [
        Member(name, "PRIMARY" if name == "0" else "SECONDARY", healthy, False, 0.0) for name, healthy in zip(names, up)
    ]
    name = data.draw(st.sampled_from(names))
    others = sum(healthy for other, healthy in zip(names, up) if other != name)
    if not seat_obstacle(name, seats, members, 10.0):
        assert others >= len(names) // 2 + 1 or others == len(names) - 1


def test_who_can_take_the_place_of_the_primary():
    assert successors("a", SEATS, UP, 10.0) == ["b"], "not the hidden one"
    assert successors("a", SEATS, without(UP, "b", lag_seconds=11.0), 10.0) == []
    assert successors("a", SEATS, without(UP, "b", healthy=False), 10.0) == []
    assert successors("a", [SEATS[0], replace(SEATS[1], votes=0)], UP, 10.0) == []


def test_who_may_step_down():
    assert [step_down_obstacle(name, SEATS, UP, 10.0) for name in "abcd"] == ["", "", "", ""]
    alone = without(UP, "b", healthy=False)
    assert "no other member" in step_down_obstacle("a", SEATS, alone, 10.0)
    assert step_down_obstacle("c", SEATS, alone, 10.0) == "", "it is no primary"


def test_configuration():
    config = {
        "members": [
            {"host": "a:1"},
            {"host": "b:2", "hidden": True, "priority": 0, "votes": 0, "secondaryDelaySecs": 60, "arbiterOnly": False},
            {"host": "c:3", "slaveDelay": 5, "arbiterOnly": True},
        ]
    }
    assert interpret_seats(config) == [
        Seat("a:1"),
        Seat("b:2", True, 0.0, 0, 60.0),
        Seat("c:3", delay_seconds=5.0, arbiter=True),
    ]


@pytest.mark.parametrize(
    ("version", "able"),
    [
        ((4, 2, 24), False),
        ((4, 4, 16), False),
        ((4, 4, 17), True),
        ((5, 0, 11), False),
        ((5, 0, 12), True),
        ((5, 3, 1), False),
        ((6, 0, 1), False),
        ((6, 0, 2), True),
        ((6, 1, 0), True),
        ((7, 0, 0), True),
        ((8, 0, 4), True),
    ],
)
@pytest.mark.parametrize("force", [False, True])
def test_secondaries_that_cannot_replicate_meanwhile_are_refused_unless_forced(version, able, force):
    server = Server(version_words(version), version, "replica set", "secondary", "rs0")
    assert replicates_while_compacting(server) is able
    plan = plan_compaction([view("b", server)], replace(POLICY, force=force), None)
    assert bool(plan.actions) is (able or force)
    for words in ("does not replicate while it compacts", "(%s)" % version_words(version), "4.4.17, 5.0.12 and 6.0.2"):
        assert able or force or words in plan.kept[0].reason
    alone = Server(version_words(version), version, "standalone", "primary", "")
    assert plan_compaction([view("", alone)], replace(POLICY, force=force), None).actions, (
        "nobody waits for a standalone"
    )


def version_words(version):
    return ".".join(map(str, version))


def view(name, server, obstacle=""):
    entry = CollectionStatistics("shop", "orders", "collection", 1, 1, File("", 100 * MIB, 50 * MIB))
    return MemberView(name, CompactionObservation(server, (entry,)), obstacle)


SECONDARY = Server("6.0.27", (6, 0, 27), "replica set", "secondary", "rs0")
PRIMARY = replace(SECONDARY, state="primary")


@pytest.mark.parametrize(
    ("primary", "wanted"),
    [
        ("skip", ["compact c", "compact b"]),
        ("force", ["compact c", "compact b", "compact a"]),
        ("stepdown", ["compact c", "compact b", "step_down a", "compact a", "stand_again a"]),
    ],
)
def test_plan_of_a_set(primary, wanted):
    views = [view("c", SECONDARY), view("b", SECONDARY), view("a", PRIMARY)]
    plan = plan_compaction(views, replace(POLICY, primary=primary), None)
    assert ["%s %s" % (action.action, action.work.member) for action in plan.actions] == wanted


def test_one_member_that_cannot_be_looked_at_does_not_keep_the_others():
    views = [MemberView("c", None, "no answer"), view("b", SECONDARY, "behind"), view("a", PRIMARY)]
    plan = plan_compaction(views, replace(POLICY, primary="force"), None)
    assert [(kept.target, kept.reason) for kept in plan.kept] == [
        ("member c", "no answer"),
        ("shop.orders on b", "behind"),
    ]
    assert [action.target for action in plan.actions] == ["shop.orders on a"]


# -- the waits ------------------------------------------------------------------------------------------------------------


class Set:
    """A replica set of which the test says how it looks, and a clock that only sleeping moves."""

    def __init__(self, monkeypatch, *looks, running=(), policy=POLICY):
        self.now, self.looks, self.commands, self.renewed = 0.0, list(looks) or [UP], [], 0
        self.holder, self.fresh, self.state, self.refusal = "", True, "secondary", None
        monkeypatch.setattr(rolling, "read_seats", lambda _connection: SEATS)
        monkeypatch.setattr(rolling, "read_members", lambda _connection: self.look())
        monkeypatch.setattr(rolling, "read_server", lambda _connection: replace(SECONDARY, state=self.state))
        monkeypatch.setattr(rolling, "running_commands", lambda connection, _command: self.operations(connection))
        self.running = dict(running)
        self.noted = []
        lease = SimpleNamespace(
            hold=lambda _member: self.holder, fresh=self.fresh, left_behind="", note_step_down=self.note_step_down
        )
        connections = SimpleNamespace(
            looking=lambda name: SimpleNamespace(
                name=name, client=SimpleNamespace(admin=self), address=SimpleNamespace(where=name)
            )
        )
        self.rolling = Rolling(connections, ("a", "b", "c"), policy, lease, self.renew, lambda: self.now, self.sleep)

    def look(self):
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(look, Exception):
            raise look
        return look

    def operations(self, connection):
        found = self.running.get(connection.name, [])
        if isinstance(found, Exception):
            raise found
        return found

    def command(self, command):
        if isinstance(self.refusal, Exception):
            raise self.refusal
        self.commands.append(command)

    def note_step_down(self, stepped_down, _member):
        """Whether it is written down before or after what is done counts."""
        self.noted.append((stepped_down, len(self.commands)))
        return self.holder

    def renew(self):
        self.renewed += 1

    def sleep(self, seconds):
        self.now += seconds


def test_only_one_is_busy(monkeypatch):
    assert Set(monkeypatch).rolling.obstacle("c", SECONDARY) == ""
    busy = Set(monkeypatch, running={"b": [{"command": {"compact": "orders"}}]})
    assert busy.rolling.obstacle("c", SECONDARY) == "a compaction runs on the member b"
    silent = Set(monkeypatch, running={"b": MaintenanceError("no answer")})
    assert "b cannot be asked" in silent.rolling.obstacle("c", SECONDARY)


def test_a_write_that_has_not_arrived_yet_is_no_lag(monkeypatch):
    late = without(without(UP, "c", lag_seconds=3600.0), "b", lag_seconds=3600.0)
    world = Set(monkeypatch, late, late, UP)
    assert world.rolling.obstacle("c", SECONDARY) == "" and 0 < world.now < 1
    world = Set(monkeypatch, late)
    assert "more than max_lag" in world.rolling.obstacle("c", SECONDARY) and 5 <= world.now < 6
    for members in (without(UP, "c", lag_seconds=None), without(late, "c", state="RECOVERING")):
        world = Set(monkeypatch, members)
        assert world.rolling.obstacle("c", SECONDARY) and world.now == 0, "nothing is waited for that no time mends"
    world = Set(monkeypatch, late, UP, without(without(UP, "a", state="SECONDARY"), "b", state="PRIMARY"))
    world.state = "primary"
    assert world.rolling.step_down("a", 100) == "b"


def test_who_stood_still_for_long_asks_for_the_lease_again(monkeypatch):
    world = Set(monkeypatch)
    world.rolling.lease.fresh = False
    assert world.rolling.obstacle("c", SECONDARY) == ""
    world.holder = "other"
    with pytest.raises(SkipAction, match="another host"):
        world.rolling.obstacle("c", SECONDARY)


def test_whom_a_dead_call_made_step_down_may_be_elected_again(monkeypatch):
    world = Set(monkeypatch)
    assert world.rolling.take_turn("c") == "" and not world.noted
    world.rolling.lease.left_behind = "a"
    assert world.rolling.take_turn("c").startswith("a, which an earlier call had made step down")
    assert world.commands == [{"replSetFreeze": 0}] and world.noted == [("", 1)]
    away = Set(monkeypatch)
    away.rolling.lease.left_behind, away.refusal = "a", OperationFailure("no")
    assert away.rolling.take_turn("c") == "" and not away.noted, "it stays noted for the next one"
    stranger = Set(monkeypatch)
    stranger.rolling.lease.left_behind = "somewhere.else:27017"
    assert stranger.rolling.take_turn("c") == "" and not stranger.commands, "nobody but members is spoken to"


def test_a_primary_that_is_to_step_down_is_not_compacted_as_one(monkeypatch):
    world = Set(monkeypatch, policy=replace(POLICY, primary="stepdown"))
    assert "has not stepped down" in world.rolling.obstacle("a", PRIMARY)


def test_the_next_one_waits_until_the_last_has_caught_up(monkeypatch):
    late = without(UP, "c", lag_seconds=30.0)
    world = Set(monkeypatch, late, MaintenanceError("no answer"), late, UP)
    world.rolling.wait_until_caught_up("c")
    assert world.now > 0 and world.renewed == 3
    with pytest.raises(AbortPlan, match=r"has not caught up .*30 s behind"):
        Set(monkeypatch, late).rolling.wait_until_caught_up("c")
    with pytest.raises(AbortPlan, match="neither primary nor secondary"):
        Set(monkeypatch, without(UP, "c", state="RECOVERING")).rolling.wait_until_caught_up("c")


def test_stepping_down(monkeypatch):
    after = without(without(UP, "a", state="SECONDARY"), "b", state="PRIMARY")
    world = Set(monkeypatch, UP, without(UP, "a", state="SECONDARY"), after)
    world.state = "primary"
    assert world.rolling.step_down("a", 100) == "b"
    assert world.commands == [{"replSetStepDown": 100, "secondaryCatchUpPeriodSecs": 30}]
    assert world.noted == [("a", 0)], "killed at any moment, it is known that it may not be elected"
    with pytest.raises(AbortPlan, match="no new primary"):
        world = Set(monkeypatch, UP, without(UP, "a", state="SECONDARY"))
        world.state = "primary"
        world.rolling.step_down("a", 100)


@pytest.mark.parametrize("caught_up_at", [2.0, float("inf")])
def test_who_was_elected_has_to_take_writes_before_anything_goes_on(monkeypatch, caught_up_at):
    """The others see it as the primary from its election on; it says so itself when it has caught up."""
    world = Set(monkeypatch, UP, without(without(UP, "a", state="SECONDARY"), "b", state="PRIMARY"))

    def read(connection):
        return PRIMARY if connection.name == "a" or world.now >= caught_up_at else SECONDARY

    monkeypatch.setattr(rolling, "read_server", read)
    if caught_up_at < 10:
        assert world.rolling.step_down("a", 100) == "b" and world.now >= caught_up_at
    else:
        with pytest.raises(AbortPlan, match="b, the new primary, takes no writes yet"):
            world.rolling.step_down("a", 100)


def test_nobody_steps_down_for_nobody(monkeypatch):
    world = Set(monkeypatch, without(UP, "b", lag_seconds=60.0))
    world.state = "primary"
    with pytest.raises(SkipAction, match="no other member"):
        world.rolling.step_down("a", 100)
    world = Set(monkeypatch)
    with pytest.raises(SkipAction, match="not the primary any more"):
        world.rolling.step_down("a", 100)
    assert not world.commands


def test_a_member_that_was_elected_again_need_not_stand_again(monkeypatch):
    world = Set(monkeypatch)
    world.rolling.stand_again("c")
    assert world.commands == [{"replSetFreeze": 0}] and world.noted == [("", 1)]
    world.state = "primary"
    with pytest.raises(SkipAction):
        world.rolling.stand_again("c")


@pytest.mark.parametrize("answers", [True, False])
def test_where_all_ended_after_a_step_down_the_member_may_be_elected_again(monkeypatch, answers):
    world = Set(monkeypatch)
    world.refusal = None if answers else OperationFailure("no")
    lease, given_back = world.rolling.lease, []
    lease.unsettled, lease.release = "a", lambda: given_back.append(list(world.noted))
    task = compacting.MongoCompact(SimpleNamespace(params=PARAMS, check=False, run=None))
    task._lease = lease
    task._connections = SimpleNamespace(looking=world.rolling.connections.looking, close=lambda: None)
    task.close()
    assert world.commands == ([{"replSetFreeze": 0}] if answers else [])
    assert given_back == [[("", 1)] if answers else []]


def test_a_member_that_does_not_catch_up_ends_it_all_and_what_it_freed_is_told(monkeypatch):
    monkeypatch.setattr(compacting, "Compactor", lambda *_args, **_more: SimpleNamespace(compact=lambda _w: Outcome(5)))
    world = Set(monkeypatch, without(UP, "c", lag_seconds=30.0))
    world.rolling.lease.kept = lambda _member: nullcontext()
    run = SimpleNamespace(run_id=None, renew=lambda: None)
    task = compacting.MongoCompact(SimpleNamespace(params=PARAMS, check=False, run=run))
    monkeypatch.setattr(task, "_rolling", lambda _observation: world.rolling)
    monkeypatch.setattr(compacting.MemberConnections, "looking", lambda *_args: None)
    monkeypatch.setattr(compacting.MemberConnections, "working", lambda *_args: None)
    monkeypatch.setattr(former_compactions, "running_commands", lambda *_args: [])
    action = Action("compact", "shop.orders on c", "", Compact("shop", "orders", 5, "c"))
    outcome = task.act(action, SimpleNamespace(began=0.0, names=("a", "b", "c"), past=lambda _work: ()))
    assert outcome.bytes == 5 and isinstance(outcome.failure, AbortPlan)
