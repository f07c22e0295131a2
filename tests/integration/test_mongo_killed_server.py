# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a standalone was killed, its fast counts are wrong until somebody validates: no decision may rest on them."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import WriteConcern
from pymongo.monitoring import CommandListener, CommandStartedEvent

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import dump
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.client import connect
from tests.sandbox.mongod import Mongod
from tests.support.extent import EXHAUSTIVE
from tests.support.modules import finish_module, run_module, start_module

pytestmark = pytest.mark.usefixtures("mongod_libraries")

# Collection: documents that the server says it has, and that it has.
SMALL = 6000
COUNTS = {"orders": (100, 4000), "emptied": (5000, 0), "users": (0, 3000)}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mongod_version: str) -> Iterator[Mongod]:
    """A server that was killed as a loss of power would, between two of its checkpoints."""
    # No checkpoint but those that are asked for.
    parameters = {"syncdelay": "0"}
    with Mongod(tmp_path_factory.mktemp("killed"), version=mongod_version, parameters=parameters) as server:
        with server.client() as client:
            shop = client.get_database("shop", write_concern=WriteConcern(w=1, j=True))
            shop.orders.insert_many([{"_id": n, "userId": n, "oldId": n} for n in range(100)])
            shop.emptied.insert_many([{"_id": n} for n in range(5000)])
            shop.create_collection("users")
            lost = client.get_database("lost", write_concern=WriteConcern(w=1, j=True))
            lost.orders.insert_many([{"_id": n} for n in range(1000)])
            fat = client.get_database("fat", write_concern=WriteConcern(w=1, j=True))
            fat.events.insert_one({"_id": -1, "x": "x" * 2_000_000})
            client.admin.command("fsync")
            fat.events.insert_many([{"_id": n} for n in range(SMALL)])
            # The last tenth has users that are gone.
            shop.orders.insert_many([{"_id": n, "userId": n % 3300, "oldId": n} for n in range(100, 4000)])
            shop.users.insert_many([{"_id": n} for n in range(3000)])
            shop.emptied.delete_many({})
            lost.orders.delete_many({})
        server.kill()
        server.start()
        with server.client() as client:
            for name, (said, real) in COUNTS.items():
                collection = client.shop[name]
                assert (collection.estimated_document_count(), collection.count_documents({})) == (said, real)
            assert client.lost.orders.estimated_document_count() == 1000
        yield server


@pytest.fixture
def params(server: Mongod, state_dir: Path) -> dict[str, Any]:
    return {"uri": server.uri_for("shop"), "state_dir": str(state_dir)}


def test_orphans_are_judged_by_what_is_there(params: dict[str, Any]) -> None:
    relations = [
        {"collection": "orders", "field": "userId", "references": "users"},
        {"collection": "orders", "field": "oldId", "references": "emptied"},
        {"collection": "emptied", "field": "userId", "references": "users"},
    ]
    done = run_module("mongo_orphans", {**params, "relations": relations})
    assert not done.failed, done.msg
    users, old, empty = done.result["relations"]
    assert users["judged"] and users["orphans"] == sum(n % 3300 >= 3000 for n in range(100, 4000)) == 300
    assert not old["judged"] and "empty" in old["reason"]
    assert empty["orphans"] == 0


def test_a_backup_holds_what_is_there(params: dict[str, Any], tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    dest.mkdir()
    made = run_module("mongo_backup", {**params, "dest": str(dest), "min_free": "1MiB"})
    assert not made.failed, made.msg
    assert made.result["summary"]["documents"] == sum(real for _said, real in COUNTS.values())
    tested = run_module("mongo_restore", {**params, "src": str(dest), "min_free": "1MiB"})
    assert not tested.failed, tested.msg
    assert tested.result["summary"]["documents"] == made.result["summary"]["documents"]


def test_a_wrong_count_does_not_make_a_dump_slow(server: Mongod) -> None:
    """By the server's counts a document has two megabytes, and a batch of them would be two documents."""
    asked: list[str] = []

    class Listener(CommandListener):
        def started(self, event: CommandStartedEvent) -> None:
            if event.command_name in ("find", "getMore"):
                asked.append(event.command_name)

        def succeeded(self, event: Any) -> None:
            pass

        failed = succeeded

    out = io.BytesIO()
    with connect({"uri": server.uri_for("fat")}, event_listeners=[Listener()]) as connection:
        assert connection.client.fat.events.estimated_document_count() == 1
        sources = dump.list_sources(connection, "fat")
        writer, _result = dump.dump_database(
            connection, "fat", sources, dump.Writing(out.write), dump.Consistency("none", ""), "test"
        )
    assert writer.totals[("fat", "events")].documents == SMALL + 1
    assert len(asked) < 20, len(asked)


def test_no_backup_of_a_database_that_only_seems_to_have_documents(params: dict[str, Any], tmp_path: Path) -> None:
    params.update(dest=str(tmp_path), database="lost", min_free="1MiB")
    real = run_module("mongo_backup", params)
    assert real.failed and not list(tmp_path.glob("*.gz")), real.msg


def test_check_mode_does_not_promise_a_backup_of_nothing(params: dict[str, Any], tmp_path: Path) -> None:
    params.update(dest=str(tmp_path), database="lost", min_free="1MiB")
    check = run_module("mongo_backup", params, check=True)
    assert check.failed, check.result["summary"]


def test_compacting_loses_nothing_and_warns_of_nothing(server: Mongod, params: dict[str, Any]) -> None:
    done = run_module("mongo_compact", {**params, "min_reclaimable": "0", "min_ratio": 0})
    assert not done.failed, done.msg
    assert "dropped" not in json.dumps(done.result.get("warnings", []))
    with server.client() as client:
        assert {name: client.shop[name].count_documents({}) for name in COUNTS} == {
            name: real for name, (_said, real) in COUNTS.items()
        }


def test_a_count_that_disagrees_is_reported(params: dict[str, Any]) -> None:
    done = run_module("mongo_info", params)
    assert not done.failed, done.msg
    told = json.dumps(done.result.get("warnings", []))
    assert all(name in told for name in COUNTS), told or done.result["collections"]


def test_a_server_that_is_killed_while_it_is_backed_up_leaves_no_backup(tmp_path: Path, state_dir: Path) -> None:
    """Whichever of its answers is the last one; when it is there again, the next call makes one."""
    dest = tmp_path / "dest"
    with Mongod(tmp_path / "mongod") as server:
        with server.client() as client:
            for name in ("orders", "users"):
                client.shop[name].insert_many([{"_id": n, "x": os.urandom(50_000)} for n in range(60)])
        params = {"uri": server.uri_for("shop"), "dest": str(dest), "state_dir": str(state_dir), "min_free": "1MiB"}
        number, killed = 2, 0
        while True:
            assert server.pid is not None
            process = start_module("mongo_backup", params, signal_at_command=(number, signal.SIGKILL, server.pid))
            result = finish_module(process)
            if not result.failed:
                break
            assert server.address in result.msg or "shop" in result.msg, result.msg
            assert not dest.exists() or list(dest.iterdir()) == []
            server.stop()
            server.start()
            number, killed = number + (1 if EXHAUSTIVE else 4), killed + 1
        assert killed >= 2
        assert result.result["summary"]["documents"] == 120
