# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archiving on a replica set: a new primary in the middle of it, a member that lags, and a compaction afterwards."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from pymongo import WriteConcern

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import AbortPlan
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import orphan_removal, topology
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.client import connect
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.removals import read_removals
from tests.integration.test_mongo_orphans_archive import Shop, check_nothing_is_lost, ok, stored, try_again
from tests.sandbox.mongod import Mongod
from tests.support.extent import EXHAUSTIVE
from tests.support.modules import finish_module, start_module, wait_until_stopped
from tests.support.replica import SET, hello, step_down, two_members, wait_for


@pytest.fixture(scope="module")
def members(tmp_path_factory, mongod_version):
    with two_members(tmp_path_factory.mktemp("set"), mongod_version) as (primary, secondary):
        yield primary, secondary


@pytest.fixture
def shop(members, mongo_database, state_dir):
    hosts = ",".join(member.address for member in members)
    uri = f"mongodb://{hosts}/{mongo_database}?replicaSet={SET}"
    params = {"uri": uri, "state_dir": str(state_dir)}
    with connect(params) as connection:
        yield Shop(connection.client[mongo_database], params)


def by_role(members: tuple[Mongod, Mongod]) -> tuple[Mongod, Mongod]:
    one, other = members
    return (one, other) if hello(one).get("isWritablePrimary") else (other, one)


def test_a_new_primary_at_any_command_loses_nothing(shop, members):
    shop.fill()
    before = {name: stored(shop.database, name) for name in ("inventory", "carts")}

    def commands(check: bool) -> int:
        process = start_module("mongo_orphans", shop.arguments(), check=check, signal_at_command=(-1, 0, 0))
        return int(finish_module(process).stderr.rpartition("commands: ")[2])

    planning, count = commands(True), commands(False)
    shop.restore_all()
    for number in range(planning, count, 1 if EXHAUSTIVE else max(1, (count - planning) // 3)):
        process = start_module("mongo_orphans", shop.arguments(), signal_at_command=(number, signal.SIGSTOP, 0))
        wait_until_stopped(process)
        primary, secondary = by_role(members)
        step_down(primary, secondary)
        os.kill(process.pid, signal.SIGCONT)
        result = finish_module(process)
        # The driver goes over to the new primary, or it is said what was lost.
        assert not result.failed or "shop" in result.msg or shop.database.name in result.msg
        assert "This is a defect" not in result.msg
        check_nothing_is_lost(shop, before)
        try_again(shop, before)


def test_a_member_that_lags_is_waited_for(shop, members, monkeypatch):
    _primary, secondary = by_role(members)
    with connect(shop.params) as connection:
        assert topology.lagging_members(connection, 10.0) == []
        with secondary.client() as direct:
            direct.admin.command("fsync", lock=True)
            try:
                collection = shop.database.get_collection("lag", write_concern=WriteConcern(w=1))
                collection.insert_one({"n": 1})
                behind = wait_for(lambda: _write_and_look(collection, connection))
                assert secondary.address in behind[0]
                monkeypatch.setattr(orphan_removal, "LONGEST_PAUSE", 0.2)
                waited: list[float] = []
                with pytest.raises(AbortPlan, match="more than max_lag"):
                    orphan_removal.LagGate(connection, 1.0, sleep=waited.append).wait()
                assert waited
            finally:
                direct.admin.command("fsyncUnlock")
        gate = orphan_removal.LagGate(connection, 1.0)
        monkeypatch.setattr(orphan_removal, "LONGEST_PAUSE", 60)
        gate.wait()
        assert topology.lagging_members(connection, 1.0) == []


def _write_and_look(collection: Any, connection: Any) -> list[str]:
    collection.update_one({}, {"$inc": {"n": 1}})
    return topology.lagging_members(connection, 1.0)


def test_a_removal_is_remembered_and_compaction_told_to_wait(shop, state_dir):
    shop.fill()
    result = ok(shop.archive())
    assert "is compacted only when" in str(result["warnings"])
    assert set(read_removals(str(state_dir))) == {f"{shop.database.name}.{name}" for name in ("inventory", "carts")}
    ok(shop.restore(result["archive_run"]))
