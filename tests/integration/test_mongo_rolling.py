# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compaction of a whole replica set, one member after the other, as the user that scheduled jobs work as."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pymongo import WriteConcern

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.clock import utc_now
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import client as mongo
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.compaction_history import (
    CompactionHistory,
    PastYield,
    read_compaction_history,
    write_compaction_history,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.database_roles import privileges_of
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.recent_removals import read_recent_removals
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.set_lease import LEASE_COLLECTION, SetLease
from tests.sandbox.mongod import Mongod
from tests.support.modules import ModuleResult, finish_module, run_module, start_module, wait_until_stopped
from tests.support.playbooks import run_playbook
from tests.support.replica import SET, hello, step_down, three_members, times_asked, wait_for

MIB = 1024 * 1024
PARAMETERS = {"minSnapshotHistoryWindowInSeconds": "0", "enableTestCommands": "1", "ttlMonitorSleepSecs": "1"}
PASSWORD = "password-of-the-maintainer"


@dataclass
class ReplicaSet:
    """Three members, and the shop's collections on them."""

    members: tuple[Mongod, Mongod, Mongod]
    hidden: Mongod
    number: int = 0

    @property
    def primary(self) -> Mongod:
        return next(member for member in self.members if hello(member, answers=False).get("isWritablePrimary"))

    @property
    def secondary(self) -> Mongod:
        """The one that may become the primary."""
        return next(member for member in self.members if member not in (self.primary, self.hidden))

    @property
    def uri(self) -> str:
        hosts = ",".join(member.address for member in self.members)
        return f"mongodb://maintainer:{PASSWORD}@{hosts}/shop?authSource=admin&replicaSet={SET}"

    def bloat(self) -> str:
        """A new collection that is worth compacting on every member; its name."""
        self.number += 1
        name = f"bloated{self.number}"
        body = [os.urandom(16_000) for _ in range(8)]
        with self.primary.client() as client:
            shop = client.get_database("shop", write_concern=WriteConcern(w=3))
            shop[name].insert_many([{"k": n, "b": body[n % 8] + n.to_bytes(8, "big") * 40} for n in range(512)])
            for member in self.members:
                self.free(member, name)
            shop[name].delete_many({"k": {"$gte": 100}})
        wait_for(lambda: all(self.free(member, name) > 2 * MIB for member in self.members))
        return name

    def free(self, member: Mongod, name: str) -> int:
        """Bytes of the collection's file that hold nothing, after a checkpoint."""
        with member.client() as client:
            if hello(member).get("isWritablePrimary"):
                client.shop.other.insert_one({})  # the oldest time that a reader may want moves on with writes only
            client.admin.command("fsync")
            return int(client.shop.command("collStats", name).get("freeStorageSize", 0))

    def asked(self) -> list[int]:
        """How often each member was told to compact."""
        return [times_asked(member, "compact") for member in self.members]

    def state(self, member: Mongod) -> dict[str, Any]:
        """A member as the primary sees it."""
        with self.primary.client() as client:
            status = client.admin.command("replSetGetStatus")
        return next(dict(entry) for entry in status["members"] if entry["name"] == member.address)

    def lease(self) -> list[dict[str, Any]]:
        with self.primary.client() as client:
            return list(client.shop[LEASE_COLLECTION].find())


@pytest.fixture(scope="module")
def replica_set(tmp_path_factory: pytest.TempPathFactory, mongod_version: str) -> Iterator[ReplicaSet]:
    with three_members(tmp_path_factory.mktemp("set"), mongod_version, PARAMETERS) as members:
        with members[0].client() as client:
            role = "maintainer"
            client.admin.command("createRole", role, privileges=privileges_of("maintainer", "shop"), roles=[])
            client.admin.command(
                "createUser", "maintainer", pwd=PASSWORD, roles=[role], writeConcern={"w": 3, "wtimeout": 60000}
            )
        yield ReplicaSet(members, members[2])


@pytest.fixture
def params(replica_set: ReplicaSet, state_dir: Path) -> dict[str, Any]:
    return {
        "uri": replica_set.uri,
        "state_dir": str(state_dir),
        "min_reclaimable": "1MiB",
        "min_ratio": 0.1,
        "members": "rolling",
        "collections": [replica_set.bloat()],
    }


def kept(result: ModuleResult) -> dict[str, str]:
    return {entry["target"]: entry["reason"] for entry in result.result["kept"]}


@pytest.mark.every_server
def test_secondaries_one_after_the_other_hidden_ones_first(replica_set: ReplicaSet, params: dict[str, Any]) -> None:
    primary, secondary, hidden = replica_set.primary, replica_set.secondary, replica_set.hidden
    [name] = params["collections"]
    wanted = [f"shop.{name} on {member.address}" for member in (hidden, secondary)]
    before = replica_set.asked()
    check = run_module("mongo_compact", params, check=True, diff=True)
    assert not check.failed, check.msg
    assert [entry["target"] for entry in check.result["plan"]] == wanted
    assert "primary: stepdown" in kept(check)[f"shop.{name} on {primary.address}"]
    assert replica_set.asked() == before
    with primary.client() as client:
        assert LEASE_COLLECTION not in client.shop.list_collection_names(), "a check takes no lease"

    done = run_module("mongo_compact", params)
    assert not done.failed, done.msg
    assert [(entry["target"], entry["status"]) for entry in done.result["actions"]] == [(t, "done") for t in wanted]
    assert [entry["member"] for entry in done.result["collections"]] == [hidden.address, secondary.address]
    assert all(entry["bytes_freed"] > 2 * MIB for entry in done.result["collections"])
    assert done.changed and replica_set.primary is primary
    # The free bytes of the primary say nothing: a checkpoint may cut the free end off a file.
    assert times_asked(primary, "compact") == before[replica_set.members.index(primary)], "the primary is left alone"
    assert replica_set.lease() == [], "the lease was given back"
    with primary.client() as client:
        assert client.shop[name].count_documents({}) == 100

    again = run_module("mongo_compact", params)
    assert not again.failed and not again.changed and again.result["plan"] == []


def test_the_primary_steps_down_and_may_be_elected_again(replica_set: ReplicaSet, params: dict[str, Any]) -> None:
    primary, secondary = replica_set.primary, replica_set.secondary
    [name] = params["collections"]
    done = run_module("mongo_compact", {**params, "primary": "stepdown"})
    assert not done.failed, done.msg
    steps = [(entry["action"], entry["target"], entry["status"]) for entry in done.result["actions"]]
    assert [step[0] for step in steps] == ["compact", "compact", "step_down", "compact", "stand_again"]
    assert steps[2][1] == steps[4][1] == primary.address and steps[3][1] == f"shop.{name} on {primary.address}"
    assert {step[2] for step in steps} == {"done"}
    assert replica_set.primary is secondary
    assert all(replica_set.free(member, name) < MIB for member in replica_set.members)
    # The hidden one cannot: where the first is not electable yet, the server refuses (262).
    with secondary.client() as client:
        client.admin.command("replSetStepDown", 60, secondaryCatchUpPeriodSecs=10)
    wait_for(lambda: hello(primary).get("isWritablePrimary"))
    with secondary.client() as client:
        client.admin.command("replSetFreeze", 0)


def test_the_primary_by_force(replica_set: ReplicaSet, params: dict[str, Any]) -> None:
    primary = replica_set.primary
    done = run_module("mongo_compact", {**params, "primary": "force"})
    assert not done.failed, done.msg
    assert [entry["target"].partition(" on ")[2] for entry in done.result["actions"]][-1] == primary.address
    assert {entry["status"] for entry in done.result["actions"]} == {"done"} and len(done.result["actions"]) == 3
    assert replica_set.primary is primary


@pytest.mark.every_server
def test_a_primary_that_steps_down_while_it_is_compacted(replica_set: ReplicaSet, params: dict[str, Any]) -> None:
    primary, secondary = replica_set.primary, replica_set.secondary
    slow = {"setParameter": 1, "wiredTigerEngineRuntimeConfig": "timing_stress_for_test=[compact_slow]"}
    with primary.client() as client:
        client.admin.command(slow)
        try:
            module = start_module("mongo_compact", {**params, "primary": "force"})
            wait_for(lambda: running_compactions(client) or module.poll() is not None)
            assert module.poll() is None, finish_module(module).output
            step_down(primary, secondary)
            done = finish_module(module)
        finally:
            client.admin.command({**slow, "wiredTigerEngineRuntimeConfig": "timing_stress_for_test=[]"})
    assert not done.failed, done.msg
    assert [entry["status"] for entry in done.result["actions"]] == ["done"] * 3
    assert replica_set.free(primary, params["collections"][0]) < MIB and replica_set.lease() == []


def test_two_hosts_of_one_set_have_no_two_members_busy(
    replica_set: ReplicaSet, params: dict[str, Any], tmp_path: Path
) -> None:
    """The first stands still between two members, and holds the lease: nothing runs that the second could see."""
    first = start_module("mongo_compact", params, stop_at=1)
    try:
        wait_until_stopped(first)
        [held] = replica_set.lease()
        assert held["member"] == replica_set.hidden.address
        before = replica_set.asked()
        second = run_module("mongo_compact", {**params, "state_dir": str(tmp_path / "other")})
        assert replica_set.asked() == before, "two hosts at work at once"
    finally:
        first.send_signal(signal.SIGCONT)
    done = finish_module(first)
    assert not second.failed and not second.changed, second.msg
    assert {entry["status"] for entry in second.result["actions"]} == {"skipped"}
    assert all("another host" in entry["note"] for entry in second.result["actions"])
    assert [entry["status"] for entry in done.result["actions"]] == ["done", "done"], done.msg


def test_a_lease_whose_holder_died_runs_out(replica_set: ReplicaSet, params: dict[str, Any]) -> None:
    with mongo.connect({"uri": replica_set.uri}) as connection:
        dead = SetLease(lambda: connection, "shop", "a host that died", seconds=1.0)
        assert dead.hold("nobody") == ""
        later = SetLease(lambda: connection, "shop", "$a host", seconds=1.0)
        assert "a host that died" in later.hold("nobody")
        wait_for(lambda: later.hold("nobody") == "")
        assert later.fresh and "$a host" in dead.hold("nobody") and not dead.fresh
        # What is not ours any more is not ours to give back.
        dead.release()
        assert [entry["holder"] for entry in replica_set.lease()] == ["$a host"]
        with later.kept("nobody"):
            ends = replica_set.lease()[0]["until"]
            wait_for(lambda: replica_set.lease()[0]["until"] > ends)
        assert later.note_step_down("somebody", "nobody") == ""
        later.release()
        assert [entry["stepped_down"] for entry in replica_set.lease()] == ["somebody"], "for whoever comes next"
        following = SetLease(lambda: connection, "shop", "another")
        assert following.hold("nobody") == "" and following.left_behind == "somebody" and not following.unsettled
        assert following.note_step_down("", "nobody") == "" and following.left_behind == ""
        following.release()
        assert replica_set.lease() == []


def test_what_others_have_removed_is_not_frozen_into_the_files(replica_set: ReplicaSet, params: dict[str, Any]) -> None:
    """Whether one by one, in a transaction or by a TTL index; the user may see it, and a check says the same."""
    [name] = params["collections"]
    window = {"setParameter": 1, "minSnapshotHistoryWindowInSeconds": 300}
    before = replica_set.asked()
    clients = [member.client() for member in replica_set.members]
    try:
        for client in clients:
            client.admin.command(window)
        results = [run_module("mongo_compact", params, check=check) for check in (True, False)]
    finally:
        for client in clients:
            client.admin.command({**window, "minSnapshotHistoryWindowInSeconds": 0})
            client.close()
    for result in results:
        assert not result.failed and not result.changed and not result.result.get("warnings"), result.msg
        for member in (replica_set.hidden, replica_set.secondary):
            reason = kept(result)[f"shop.{name} on {member.address}"]
            assert reason.startswith("412 documents removed by others") and "may be compacted in" in reason
    assert replica_set.asked() == before

    with replica_set.primary.client() as client:
        shop = client.get_database("shop", write_concern=WriteConcern(w=3))
        passing, sold = shop[f"passing{name}"], shop[f"sold{name}"]
        passing.insert_many([{"at": utc_now()} for _ in range(3)])
        sold.insert_many([{"n": n} for n in range(4)])
        with client.start_session() as session, session.start_transaction():
            sold.delete_many({"n": {"$lt": 2}}, session=session)
        passing.create_index("at", expireAfterSeconds=0)
        wait_for(lambda: not passing.count_documents({}))
    with mongo.connect({"uri": replica_set.uri}) as connection:
        recent, unknown = read_recent_removals(connection, 300)
        none, _unknown = read_recent_removals(connection, -1)
    assert not unknown and not none
    assert [recent[f"shop.{entry.name}"].documents for entry in (passing, sold)] == [3, 2]
    assert 0 <= recent[f"shop.{name}"].seconds_ago < 120


def test_killed_between_two_members_and_after_a_step_down(replica_set: ReplicaSet, params: dict[str, Any]) -> None:
    """On this host it is known at once that nobody holds the lease any more, and what the dead call has left is done."""
    primary, secondary, hidden = replica_set.primary, replica_set.secondary, replica_set.hidden
    first = run_module("mongo_compact", params, kill_at=1)
    assert first.rc == -signal.SIGKILL
    assert [entry["member"] for entry in replica_set.lease()] == [hidden.address]
    before = times_asked(hidden, "compact")

    params = {**params, "primary": "stepdown"}
    # Before the compaction of what was the primary lie that of the secondary, and the step-down.
    second = run_module("mongo_compact", params, kill_at=3)
    assert second.rc == -signal.SIGKILL
    assert wait_for(lambda: hello(secondary).get("isWritablePrimary")), "a majority is up, and has a primary"
    assert [entry["stepped_down"] for entry in replica_set.lease()] == [primary.address]

    done = run_module("mongo_compact", params)
    assert not done.failed, done.msg
    [compacted] = done.result["actions"]
    assert compacted["target"].endswith(primary.address) and compacted["status"] == "done"
    assert "may be elected again" in compacted["note"] and replica_set.lease() == []
    assert times_asked(hidden, "compact") == before
    with secondary.client() as client:
        # The server refuses (262) where nobody else may be elected: not the hidden one, nor who has just stepped down.
        client.admin.command("replSetStepDown", 60, secondaryCatchUpPeriodSecs=10)
    wait_for(lambda: hello(primary).get("isWritablePrimary"))
    with secondary.client() as client:
        client.admin.command("replSetFreeze", 0)


def test_killed_while_a_member_is_compacted(replica_set: ReplicaSet, params: dict[str, Any]) -> None:
    """The member goes on, and until it has ended the next call begins nothing; a lock keeps it from ending before that is seen."""
    hidden, secondary = replica_set.hidden, replica_set.secondary
    killed, following = (start_module("mongo_compact", params, stop_at=0) for _ in range(2))
    try:
        wait_until_stopped(killed)
        wait_until_stopped(following)
        with hidden.client() as client:
            client.admin.command("fsync", lock=True)
            try:
                killed.send_signal(signal.SIGCONT)
                wait_for(lambda: running_compactions(client))
                killed.kill()
                killed.communicate()
                [left] = replica_set.lease()
                before = replica_set.asked()
                following.send_signal(signal.SIGCONT)
                wait_for(lambda: replica_set.lease()[0]["owner"] != left["owner"])
            finally:
                client.admin.command("fsyncUnlock")
        done = finish_module(following)
    finally:
        for module in (killed, following):
            module.kill()
    assert not done.failed, done.msg
    one, other = done.result["actions"]
    assert f"waited for what an earlier call had begun: {one['target']}" in one["note"] and one["status"] == "skipped"
    assert one["target"].endswith(hidden.address) and "not worth it any more" in one["note"]
    assert other["target"].endswith(secondary.address) and other["status"] == "done"
    now = replica_set.asked()
    assert sum(now) == sum(before) + 1, "only the secondary was told to compact"
    assert replica_set.lease() == []


def test_a_member_that_became_the_primary_since_planning_is_left_alone(
    replica_set: ReplicaSet, params: dict[str, Any]
) -> None:
    primary, secondary = replica_set.primary, replica_set.secondary
    before = times_asked(secondary, "compact")
    module = start_module("mongo_compact", params, stop_at=1)
    try:
        wait_until_stopped(module)
        step_down(primary, secondary)
    finally:
        module.send_signal(signal.SIGCONT)
    done = finish_module(module)
    assert times_asked(secondary, "compact") == before, "a primary was told to compact"
    assert not done.failed, done.msg
    assert [entry["status"] for entry in done.result["actions"]] == ["done", "skipped"]
    assert "is the primary" in done.result["actions"][1]["note"]


def running_compactions(client: Any) -> list[dict[str, Any]]:
    stages = [{"$currentOp": {"allUsers": True}}, {"$match": {"command.compact": {"$exists": True}}}]
    return list(client.admin.aggregate(stages))


def test_without_a_majority_of_the_others_no_member_gets_busy(replica_set: ReplicaSet, params: dict[str, Any]) -> None:
    """One member is cut off: it stands still, as behind a network that drops everything."""
    secondary = replica_set.secondary
    before = times_asked(replica_set.hidden, "compact")
    assert secondary.pid
    os.kill(secondary.pid, signal.SIGSTOP)
    try:
        wait_for(lambda: replica_set.state(secondary)["health"] == 0)
        done = run_module("mongo_compact", {**params, "connect_timeout": 2})
    finally:
        os.kill(secondary.pid, signal.SIGCONT)
        wait_for(lambda: replica_set.state(secondary)["health"] == 1 and hello(secondary).get("secondary"))
    assert not done.failed and not done.changed, done.msg
    told = kept(done)
    assert "no majority" in told[f"shop.{params['collections'][0]} on {replica_set.hidden.address}"]
    assert any(secondary.address in target for target in told)
    assert times_asked(replica_set.hidden, "compact") == before


@pytest.mark.exhaustive
def test_a_member_that_is_cut_off_while_it_is_compacted(replica_set: ReplicaSet, params: dict[str, Any]) -> None:
    """It stands still with its connections open, as behind a network that drops everything; later it goes on.

    A lock keeps the compaction from ending before that is seen.
    """
    primary, secondary, hidden = replica_set.primary, replica_set.secondary, replica_set.hidden
    [name] = params["collections"]
    # When it is back it is behind, which is no reason here.
    params = {**params, "connect_timeout": 2, "max_lag": "10m"}
    started = [start_module("mongo_compact", params, stop_at=0)]
    try:
        wait_until_stopped(started[0])
        with hidden.client() as client:
            client.admin.command("fsync", lock=True)
            try:
                started[0].send_signal(signal.SIGCONT)
                wait_for(lambda: running_compactions(client))
                assert hidden.pid
                os.kill(hidden.pid, signal.SIGSTOP)
                try:
                    before = times_asked(secondary, "compact")
                    first = finish_module(started[0])
                    assert times_asked(secondary, "compact") == before, "two members were missing at once"
                    with primary.client() as writer:
                        shop = writer.get_database("shop", write_concern=WriteConcern("majority", wtimeout=10_000))
                        shop.other.insert_one({})
                finally:
                    os.kill(hidden.pid, signal.SIGCONT)
                wait_for(lambda: replica_set.state(hidden)["health"] == 1)
                wait_for(lambda: running_compactions(client))
                started.append(start_module("mongo_compact", params))
                wait_for(replica_set.lease)
            finally:
                client.admin.command("fsyncUnlock")
        following = finish_module(started[1])
    finally:
        for module in started:
            module.kill()
    lost, left = first.result["actions"]
    target = f"shop.{name} on {hidden.address}"
    assert first.failed and lost["status"] == "failed" and lost["target"] == target and target in first.msg
    assert f"run at {hidden.address}" in lost["error"] and "the next call waits for what still runs" in lost["error"]
    assert left["status"] == "skipped" and "no majority" in left["note"]

    assert not following.failed, following.msg
    one, other = following.result["actions"]
    assert one["target"] == target and f"waited for what an earlier call had begun: {target}" in one["note"]
    assert other["target"].endswith(secondary.address) and other["status"] == "done"
    assert all(replica_set.free(member, name) < MIB for member in (hidden, secondary)) and replica_set.lease() == []


@pytest.mark.every_server
def test_a_member_that_is_behind_is_not_compacted(replica_set: ReplicaSet, params: dict[str, Any]) -> None:
    hidden = replica_set.hidden
    before = times_asked(hidden, "compact")
    with hidden.client() as client:
        client.admin.command("configureFailPoint", "rsSyncApplyStop", mode="alwaysOn")
        try:
            wait_for(lambda: behind(replica_set, hidden) > 6)
            done = run_module("mongo_compact", {**params, "max_lag": "1s"})
        finally:
            client.admin.command("configureFailPoint", "rsSyncApplyStop", mode="off")
    assert not done.failed, done.msg
    told = kept(done)
    assert "behind the primary, more than max_lag" in told.get(
        f"shop.{params['collections'][0]} on {hidden.address}", ""
    ), told
    assert times_asked(hidden, "compact") == before


def behind(replica_set: ReplicaSet, member: Mongod) -> float:
    """Seconds that a member is behind, by what each of the two says of itself.

    What they know of each other comes with heartbeats, every two seconds: the primary may count a member as far behind that
    has caught up by now.
    """

    def applied(server: Mongod) -> datetime:
        with server.client() as client:
            members = client.admin.command("replSetGetStatus")["members"]
        return next(entry["optimeDate"] for entry in members if entry.get("self"))

    with replica_set.primary.client() as client:
        client.shop.other.insert_one({})
    return (applied(replica_set.primary) - applied(member)).total_seconds()


def test_what_compaction_failed_to_shrink_is_left_to_an_initial_sync(
    replica_set: ReplicaSet, params: dict[str, Any]
) -> None:
    """By what this host has seen of each member: the others are compacted."""
    [name] = params["collections"]
    hidden, secondary = replica_set.hidden, replica_set.secondary
    once = PastYield(utc_now(), hidden.address, f"shop.{name}", 4 * MIB, 1000, 100 * MIB)
    write_compaction_history(params["state_dir"], CompactionHistory((once, once)))
    before = times_asked(hidden, "compact")
    done = run_module("mongo_compact", params)
    assert not done.failed, done.msg
    assert times_asked(hidden, "compact") == before
    assert [entry["target"] for entry in done.result["actions"]] == [f"shop.{name} on {secondary.address}"]
    reason = kept(done)[f"shop.{name} on {hidden.address}"]
    assert "of 8.0 MiB predicted" in reason and "initial sync" in reason
    assert [entry["member"] for entry in done.result["initial_sync"]] == [hidden.address]
    told = str(done.result["warnings"])
    assert f"shop.{name} on {hidden.address}" in told and "initial sync" in told
    known = read_compaction_history(params["state_dir"])
    [entry] = known.of_member(secondary.address)[f"shop.{name}"]
    [measured] = done.result["collections"]
    assert (entry.predicted, entry.freed) == (measured["bytes_counted"], measured["bytes_freed"])


def test_a_standalone_is_a_set_of_one(mongod: Mongod, mongo_database: str, state_dir: Path) -> None:
    with mongod.client() as client:
        client[mongo_database].tiny.insert_one({})
    done = run_module(
        "mongo_compact",
        {"uri": mongod.uri_for(mongo_database), "state_dir": str(state_dir), "members": "rolling"},
    )
    assert not done.failed and not done.changed, done.msg
    assert [entry["target"] for entry in done.result["kept"]] == [f"{mongo_database}.tiny"]


@pytest.fixture
def shop_inventory(replica_set: ReplicaSet, tmp_path: Path) -> Path:
    """A host with nothing but the shop's directory, whose connection string names all members."""
    for needed in ("backend", "storage/backups"):
        (tmp_path / "shop" / needed).mkdir(parents=True)
    uri = replica_set.uri.replace(f"maintainer:{PASSWORD}", f"root:{replica_set.hidden.root_password}")
    (tmp_path / "shop" / ".env").write_text(f"MONGODB_URI={uri}\n")
    (tmp_path / "cron").mkdir()
    host = {
        "ansible_connection": "local",
        "ansible_become": False,
        "ansible_python_interpreter": sys.executable,
        "prerequisites_method": "none",
        "miniecom_python": sys.executable,
        "miniecom_root": str(tmp_path / "shop"),
        "miniecom_deployment": "native",
        "miniecom_docker_host": f"unix://{tmp_path}/none.sock",
        "miniecom_state_dir": str(tmp_path / "state"),
        "miniecom_record_dir": str(tmp_path / "record"),
        "context_cron_paths": [str(tmp_path / "cron")],
        "health_check_required": False,
        "mongo_maintenance_members": "rolling",
        "mongo_maintenance_primary": "stepdown",
        # Between two playbooks nothing is written: a member that has not got the next write is behind by all that time.
        "mongo_maintenance_max_lag": "1m",
        "mongo_maintenance_min_reclaimable": "1MiB",
        "mongo_maintenance_min_ratio": 0.1,
    }
    path = tmp_path / "hosts.json"
    path.write_text(json.dumps({"miniecom": {"hosts": {"shop": host}}}))
    return path


@pytest.mark.exhaustive
def test_the_playbook_goes_through_all_members(
    replica_set: ReplicaSet, params: dict[str, Any], shop_inventory: Path, tmp_path: Path
) -> None:
    """With a backup of the set before, and with the primary at the end."""
    primary, secondary, hidden = replica_set.primary, replica_set.secondary, replica_set.hidden
    [name] = params["collections"]
    only = ("-e", json.dumps({"mongo_maintenance_collections": [name]}))
    order = [f"shop.{name} on {member.address}" for member in (hidden, secondary, primary)]
    log = tmp_path / "log"
    before = replica_set.asked()
    checked = run_playbook("database", shop_inventory, *only, "--check", "--diff", log=log).assert_ok()
    planned = [entry["target"] for entry in checked.result("mongo_compact")["plan"]]
    assert [target for target in planned if " on " in target] == order and replica_set.asked() == before

    done = run_playbook("database", shop_inventory, *only, log=log).assert_ok()
    compacted = done.result("mongo_compact")
    assert [entry["target"] for entry in compacted["actions"]] == planned
    assert {entry["status"] for entry in compacted["actions"]} == {"done"}, compacted["actions"]
    assert "in 1 collection on 3 members" in compacted["summary"]["headline"]
    assert done.result("mongo_backup")["summary"]["verified"]
    assert replica_set.primary is secondary and replica_set.lease() == []
    assert all(replica_set.free(member, name) < MIB for member in replica_set.members)
    members = {member["name"] for member in done.result("mongo_info")["health"]["members"]}
    assert members == {member.address for member in replica_set.members}

    again = run_playbook("database", shop_inventory, *only, log=log).assert_ok()
    assert again.changed() == [] and again.result("mongo_compact")["plan"] == []
    step_down(secondary, primary)
