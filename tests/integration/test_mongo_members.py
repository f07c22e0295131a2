# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which member of a replica set is asked and compacted, and what is said of one that is not ready.

Nothing relies on the server's refusal: 6.0.5 declines to compact a primary without force, 6.0.27 does it.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import WriteConcern
from pymongo.errors import OperationFailure

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import client as mongo
from tests.sandbox.mongod import Mongod
from tests.support.modules import finish_module, run_module, start_module, wait_until_stopped
from tests.support.replica import SET, Member, add, hello, step_down, times_asked, two_members, wait_for

# Two: should one test find it compacted that must not be, the other still has its own.
BLOATED = ("bloated", "swollen")
WORTH_IT = 2 * 1024 * 1024
ASKED = ("compact", "collStats", "listCollections", "dbStats")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, mongod_version: str) -> Iterator[tuple[Mongod, Mongod]]:
    """Two members, either of which may become the primary, each with collections that are worth compacting."""
    parameters = {"minSnapshotHistoryWindowInSeconds": "0"}
    with (
        two_members(tmp_path_factory.mktemp("set"), mongod_version, parameters) as members,
        members[0].client() as client,
    ):
        shop = client.get_database("shop", write_concern=WriteConcern(w=2))
        shop.other.insert_one({})
        body = [os.urandom(16_000) for _ in range(8)]
        for name in BLOATED:
            shop[name].insert_many([{"k": n, "b": body[n % 8] + n.to_bytes(8, "big") * 40} for n in range(512)])
        for server in members:
            free(server, "bloated")
        for name in BLOATED:
            shop[name].delete_many({"k": {"$gte": 100}})
        wait_for(lambda: all(free(server, name) > WORTH_IT for server in members for name in BLOATED))
        yield members


def free(server: Mongod, name: str) -> int:
    """Bytes of the collection's file that hold nothing, after a checkpoint."""
    with server.client() as client:
        if hello(server).get("isWritablePrimary"):
            client.shop.other.insert_one({})  # the oldest time that a reader may want moves on with writes only
        client.admin.command("fsync")
        return int(client.shop.command("collStats", name).get("freeStorageSize", 0))


@pytest.fixture
def members(both: tuple[Mongod, Mongod]) -> tuple[Mongod, Mongod]:
    """The primary and the secondary of now."""
    first, second = both
    return (first, second) if hello(first).get("isWritablePrimary") else (second, first)


@pytest.fixture
def params(state_dir: Path) -> dict[str, Any]:
    return {"state_dir": str(state_dir), "min_reclaimable": "1MiB", "min_ratio": 0.1}


def asked(server: Mongod) -> dict[str, int]:
    return {command: times_asked(server, command) for command in ASKED}


def set_uri(*members: Mongod, options: str = "") -> str:
    return f"mongodb://{','.join(member.address for member in members)}/shop?replicaSet={SET}{options}"


@pytest.mark.parametrize("options", ["", "&readPreference=secondary", "&readPreference=secondaryPreferred"])
def test_a_primary_is_not_compacted_whatever_the_server_allows(
    members: tuple[Mongod, Mongod], params: dict[str, Any], options: str
) -> None:
    primary, secondary = members
    for uri in (primary.uri_for("shop"), set_uri(secondary, primary, options=options)):
        before = [times_asked(server, "compact") for server in members]
        done = run_module("mongo_compact", {**params, "uri": uri})
        assert not done.failed and not done.changed, done.msg
        [reason] = [entry["reason"] for entry in done.result["kept"] if entry["target"] == "shop.bloated"]
        assert "primary" in reason
        assert [times_asked(server, "compact") for server in members] == before
    assert all(free(primary, name) > WORTH_IT for name in BLOATED)


def test_the_server_itself_is_no_safety_net(members: tuple[Mongod, Mongod], mongod_version: str) -> None:
    """What the tests here guard against, as the servers do it: should a third version differ, it is to be looked at."""
    primary, _secondary = members
    with primary.client() as client:
        if mongod_version == "6.0.5":
            with pytest.raises(OperationFailure, match="will not run compact on an active replica set primary"):
                client.shop.command("compact", "other")
        else:
            assert client.shop.command("compact", "other")["ok"] == 1


def test_a_member_that_became_the_primary_since_planning_is_left_alone(
    members: tuple[Mongod, Mongod], params: dict[str, Any]
) -> None:
    primary, secondary = members
    before = times_asked(secondary, "compact")
    options = {"uri": secondary.uri_for("shop"), "collections": ["bloated"]}
    module = start_module("mongo_compact", {**params, **options}, stop_at=0)
    try:
        wait_until_stopped(module)
        step_down(primary, secondary)
    finally:
        module.send_signal(signal.SIGCONT)
    done = finish_module(module)
    assert times_asked(secondary, "compact") == before, "a primary was told to compact"
    assert not done.failed and not done.changed, done.msg
    [action] = done.result["actions"]
    assert action["status"] == "skipped" and "primary" in str(action)


def test_force_is_for_the_primary_that_was_looked_at(members: tuple[Mongod, Mongod], params: dict[str, Any]) -> None:
    primary, secondary = members
    before = times_asked(secondary, "compact")
    uri = set_uri(primary, secondary)
    options = {"uri": uri, "primary": "force", "collections": ["swollen"]}
    module = start_module("mongo_compact", {**params, **options}, stop_at=0)
    try:
        wait_until_stopped(module)
        step_down(primary, secondary)
    finally:
        module.send_signal(signal.SIGCONT)
    finish_module(module)
    assert times_asked(secondary, "compact") == before, "a member was told to compact that was never looked at"
    assert free(secondary, "swollen") > WORTH_IT


@pytest.mark.parametrize("name", ["mongo_info", "mongo_compact"])
@pytest.mark.parametrize("options", ["", "&readPreference=secondary"])
def test_a_member_that_is_addressed_is_asked_itself_and_no_other(
    members: tuple[Mongod, Mongod], params: dict[str, Any], name: str, options: str
) -> None:
    primary, secondary = members
    if name == "mongo_info":
        params = {"state_dir": params["state_dir"]}
    for server, other in ((secondary, primary), (primary, secondary)):
        before, of_other = asked(server), asked(other)
        uri = set_uri(primary, secondary, options=options)
        done = run_module(name, {**params, "uri": uri, "address": server.address}, check=True)
        assert not done.failed, done.msg
        assert asked(other) == of_other
        assert asked(server)["collStats"] > before["collStats"]


def test_the_member_that_answered_is_named(members: tuple[Mongod, Mongod], state_dir: Path) -> None:
    """With replicaSet in the connection string the driver would go to the primary, whoever is named."""
    primary, secondary = members
    for uri, state, member in (
        (set_uri(secondary), "secondary", secondary),
        (set_uri(secondary, primary, options="&readPreference=secondary"), "primary", primary),
    ):
        done = run_module("mongo_info", {"uri": uri, "state_dir": str(state_dir)})
        assert not done.failed, done.msg
        assert (done.result["server"]["state"], done.result["server"]["address"]) == (state, member.address)


def test_a_member_in_maintenance_says_so_and_is_not_compacted(
    members: tuple[Mongod, Mongod], params: dict[str, Any]
) -> None:
    """It takes compact all the same, while it refuses every question that comes before it."""
    _primary, secondary = members
    before = times_asked(secondary, "compact")
    with secondary.client() as client:
        client.admin.command("replSetMaintenance", True)
        try:
            done = run_module("mongo_compact", {**params, "uri": secondary.uri_for("shop")})
            own = {"uri": secondary.uri_for("shop"), "state_dir": params["state_dir"]}
            relation = {"collection": "bloated", "field": "k", "references": "other"}
            others = [
                run_module(name, {**own, **more})
                for name, more in (
                    ("mongo_info", {}),
                    ("mongo_reindex", {"mode": "validate"}),
                    ("mongo_orphans", {"relations": [relation]}),
                )
            ]
        finally:
            client.admin.command("replSetMaintenance", False)
            wait_for(lambda: hello(secondary).get("secondary"))
    for result in (done, *others):
        assert result.failed and "recovering" in result.msg.lower(), result.msg
        assert "wait until rs.status() calls it SECONDARY" in result.msg, result.msg
        assert "shop" in result.msg or secondary.address in result.msg
    assert "not the primary: give the address of the primary" not in done.msg, "it would be the same on any other"
    assert times_asked(secondary, "compact") == before


# -- members that have no users yet -----------------------------------------------------------------------------------


def failure(server: Mongod, password: str) -> str:
    uri = f"mongodb://root:{password}@{server.address}/shop?authSource=admin"
    with pytest.raises(MaintenanceError) as caught:
        mongo.connect({"uri": uri, "connect_timeout": 3}).close()
    assert password not in f"{caught.value} {caught.value.next_step}"
    return f"{caught.value} {caught.value.next_step}"


def test_a_member_outside_of_any_set_has_no_users_yet(tmp_path: Path, mongod_version: str) -> None:
    """The right password is answered as a wrong one is, so the state has to be said."""
    with Member(tmp_path / "alone", auth=True, replica_set=SET, version=mongod_version) as server:
        assert hello(server)["isreplicaset"] is True
        text = failure(server, server.root_password)
        assert "18 AuthenticationFailed" in text
        assert mentions_the_state(text), text


def test_a_member_that_copies_its_data_has_no_users_yet(tmp_path: Path, mongod_version: str) -> None:
    held = {"enableTestCommands": "1", "failpoint.initialSyncHangBeforeCopyingDatabases": '{"mode": "alwaysOn"}'}
    with Mongod(tmp_path / "one", auth=True, replica_set=SET, version=mongod_version) as primary:
        member = Member(
            tmp_path / "two",
            auth=True,
            replica_set=SET,
            root_password=primary.root_password,
            parameters=held,
            version=mongod_version,
        )
        member.directory.mkdir()
        shutil.copy2(primary.directory / "keyfile", member.directory / "keyfile")
        with member:
            add(primary, member, priority=0, votes=0)
            wait_for(lambda: state_of(primary, member) == "STARTUP2")
            try:
                assert mentions_the_state(failure(member, member.root_password))
            finally:
                member.kill()  # it would wait for the end of its copying
        # The same login where the users are is good.
        mongo.connect({"uri": primary.uri_for("shop")}).close()


def test_a_wrong_password_is_still_a_wrong_password(tmp_path: Path, mongod_version: str) -> None:
    with Mongod(tmp_path / "one", auth=True, replica_set=SET, version=mongod_version) as primary:
        text = failure(primary, "wrong-password")
        assert "18 AuthenticationFailed" in text and not mentions_the_state(text)


def mentions_the_state(text: str) -> bool:
    return any(word in text for word in ("STARTUP", "initial sync", "not been initiated", "is not ready"))


def state_of(primary: Mongod, member: Mongod) -> str:
    with primary.client() as client:
        status = client.admin.command("replSetGetStatus")
    return next((entry["stateStr"] for entry in status["members"] if entry["name"] == member.address), "")
