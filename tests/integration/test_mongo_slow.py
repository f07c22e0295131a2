# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""mongo_slow_info on a real mongod: its log's file, what it keeps in memory, and the profiler."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.mongod import Mongod
from tests.support.modules import run_module


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """A server to which everything is slow, with an order of each kind."""
    with Mongod(tmp_path_factory.mktemp("slow"), auth=True) as server, server.client() as client:
        client.shop.command("profile", 0, slowms=0)
        client.shop.orders.insert_many([{"n": n, "status": f"canary{n % 50}"} for n in range(5000)])
        list(client.shop.orders.find({"status": "canary7"}).sort("n", -1))
        client.shop.orders.update_many({"n": {"$lt": 10}}, {"$set": {"note": "canary"}})
        yield server


def look(server: Mongod, **params: Any) -> dict[str, Any]:
    result = run_module("mongo_slow_info", {"uri": server.uri_for("shop"), **params})
    assert not result.failed and not result.changed, result.msg
    assert "canary" not in result.output
    return result.result


def by_shape(found: dict[str, Any]) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {(kind["operation"], *kind["fields"]): kind for kind in found["slow_operations"]}


def test_the_log_tells_what_was_slow_and_no_value(slow: Mongod) -> None:
    found = look(slow)
    assert found["sources"]["log"] == "file" and found["sources"]["profiler_levels"] == {"shop": 0}
    kind = by_shape(found)["find", "status"]
    assert kind["scans"] and kind["documents_examined"] == 5000 and kind["sort"] == ["n"]
    assert kind["advice"].endswith('createIndex({"status": 1, "n": 1})')
    assert by_shape(found)["update", "n"]["documents_returned"] == 10
    assert found["summary"]["kinds_without_index"] >= 2
    assert look(slow, since="0s")["slow_operations"] == []


def test_where_the_file_is_not_on_this_host_the_memory_tells(slow: Mongod) -> None:
    [log] = [path for path in slow.directory.iterdir() if path.name == "mongod.log"]
    # As a file of that path is, when the server is in a container.
    away = log.rename(log.with_name("away"))
    log.write_bytes(b'{"t":{"$date":"2026-11-29T03:00:00.000Z"},"msg":"of another server"}\n')
    try:
        found = look(slow)
    finally:
        away.replace(log)
    assert found["sources"]["log"] == "memory" and ("find", "status") in by_shape(found)


def test_the_profiler_tells_what_a_user_without_the_log_may_know(slow: Mongod) -> None:
    with slow.client() as client:
        client.admin.command(
            "createUser",
            "reader",
            pwd="canary-password",
            roles=[{"role": "dbAdmin", "db": "shop"}, {"role": "read", "db": "shop"}],
        )
        client.shop.command("profile", 1, slowms=0)
        client.shop.carts.find_one({"userId": "canary"})
        client.shop.command("profile", 0, slowms=0)
    uri = slow.uri_for("shop").replace(f"root:{slow.root_password}", "reader:canary-password")
    assert "reader" in uri
    result = run_module("mongo_slow_info", {"uri": uri})
    assert not result.failed, result.msg
    assert result.result["sources"]["log"] is None and ("find", "userId") in by_shape(result.result)
    assert "clusterMonitor" in str(result.result["warnings"])


def test_on_the_oldest_python(slow: Mongod, old_python: Path) -> None:
    result = run_module("mongo_slow_info", {"uri": slow.uri_for("shop")}, python=old_python)
    assert not result.failed and ("find", "status") in by_shape(result.result), result.msg
