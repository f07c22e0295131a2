# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that ends, or comes back, while it is locked for its backup: a lock goes with the process that held it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.planning import DumpConsistency, MakeBackup
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.leftovers import Leftovers
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.state_dir import StateDirectory
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import dump
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.client import connect
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.backup import MongoBackup
from tests.integration.test_mongo_backup import locked, ok, unlock_all, wait_for
from tests.sandbox.mongod import Mongod
from tests.support.modules import finish_module, run_module, start_module
from tests.unit.plugins.module_utils._operations.test_backup import OPTIONS


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mongod_version: str) -> Iterator[Mongod]:
    with Mongod(tmp_path_factory.mktemp("restarted"), version=mongod_version) as running:
        with running.client() as client:
            for name in ("a_first", "b_second"):
                client.shop[name].insert_many([{"_id": n, "x": os.urandom(20_000)} for n in range(100)])
            client.admin.command("fsync")
        yield running


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    directory = tmp_path / "dest"
    directory.mkdir()
    return directory


def notes(state_dir: Path) -> list[Path]:
    return list((state_dir / "leftovers").glob("*.json"))


def keeper_of(state_dir: Path) -> int:
    (note,) = notes(state_dir)
    return int(json.loads(note.read_text())["facts"]["keeper"]["pid"])


def kill_and_start(server: Mongod, state_dir: Path) -> None:
    server.kill()
    server.start()


def stop_and_start(server: Mongod, state_dir: Path) -> None:
    server.stop()
    server.start()


def restart_under_another_lock(server: Mongod, state_dir: Path) -> None:
    kill_and_start(server, state_dir)
    with server.client() as client:
        client.admin.command("fsync", lock=True)


def unlock_by_hand(server: Mongod, state_dir: Path) -> None:
    with server.client() as client:
        client.admin.command("fsyncUnlock")


def kill_the_keeper(server: Mongod, state_dir: Path) -> None:
    """As the kernel does when memory is short."""
    keeper = keeper_of(state_dir)
    os.kill(keeper, signal.SIGKILL)
    wait_for(lambda: Path(f"/proc/{keeper}/stat").read_text().rpartition(")")[2].split()[0] == "Z")


@pytest.mark.parametrize(
    ("meanwhile", "told", "left"),
    [
        (kill_and_start, "restarted while it was locked", 0),
        pytest.param(stop_and_start, "restarted while it was locked", 0, marks=pytest.mark.exhaustive),
        (restart_under_another_lock, "restarted while it was locked", 1),
        (unlock_by_hand, "somebody else has released", 0),
        (kill_the_keeper, "has ended without releasing it", 0),
    ],
)
def test_what_was_read_without_the_lock_is_no_locked_backup(
    server: Mongod,
    dest: Path,
    state_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    meanwhile: Callable[[Mongod, Path], None],
    told: str,
    left: int,
) -> None:
    """Between two collections no command fails of it: the driver opens a new connection and asks again."""
    plain, calls = dump._require_unmoved, []

    def in_between(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 1:
            meanwhile(server, state_dir)
        plain(*arguments)

    monkeypatch.setattr(dump, "_require_unmoved", in_between)
    run: Any = SimpleNamespace(run_id=None, leftovers=Leftovers(StateDirectory(str(state_dir)), None, True))
    params = {
        **OPTIONS,
        "env_file": None,
        "env_from": None,
        "tls_files": None,
        "dest": str(dest),
        "compression": "fast",
        "consistency": "locked",
        "lock_timeout": "300s",
    }
    call: Any = SimpleNamespace(params=params, run=run, check=False)
    task = MongoBackup(call)
    work = MakeBackup(str(dest / "20261124_023000.tar.gz"), "shop", DumpConsistency("locked"), {})
    try:
        with connect({"uri": server.uri_for("shop")}) as connection:
            task._connected = connection
            with pytest.raises(MaintenanceError, match=told) as caught:
                task._make_steadily(work, [])
        assert server.address in str(caught.value)
        assert len(calls) == (1 if meanwhile is kill_the_keeper else 2), "the others are noticed at the end alone"
        assert os.listdir(dest) == [] and notes(state_dir) == []
    finally:
        with server.client() as client:
            assert unlock_all(client) == left


@pytest.mark.parametrize("number", [3, *(pytest.param(n, marks=pytest.mark.exhaustive) for n in (2, 4, 5))])
def test_a_server_that_dies_under_the_lock_leaves_neither_lock_nor_backup(
    server: Mongod, dest: Path, state_dir: Path, number: int
) -> None:
    """Whichever of its answers is the last; the keeper of the lock ends when the server is there again."""
    assert server.pid is not None
    params = {
        "uri": server.uri_for("shop"),
        "dest": str(dest),
        "state_dir": str(state_dir),
        "min_free": "1MiB",
        "consistency": "locked",
        "lock_timeout": "300s",
    }
    process = start_module("mongo_backup", params, signal_at_command=(number, signal.SIGKILL, server.pid))
    try:
        wait_for(lambda: not server.running)
        keeper = keeper_of(state_dir) if notes(state_dir) else None
        result = finish_module(process)
    finally:
        server.stop()
        server.start()
    assert result.failed and server.address in result.msg, result.msg
    assert os.listdir(dest) == []
    if keeper:
        assert "the server that was locked for the dump does not answer" in result.msg
        wait_for(lambda: not Path(f"/proc/{keeper}").exists())
    assert notes(state_dir) == []
    with server.client() as client:
        assert not locked(client)
        assert client.shop.other.insert_one({}).acknowledged
        client.shop.other.drop()
    assert ok(run_module("mongo_backup", params)).result["summary"]["consistency"] == "locked"
