# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox's command: raising, using again, renewing, and removing without trace."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.sandbox import __main__ as main_module
from tests.sandbox.daemon import Daemon, of_directory, start_time
from tests.sandbox.native import FACTS, Native
from tests.support.modules import run_module

ROOT = Path(__file__).resolve().parents[2]


def command(verb: str, directory: Path) -> list[str]:
    return [sys.executable, "-m", "tests.sandbox", verb, "--directory", str(directory), "--megabytes", "6"]


def sandbox(verb: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(verb, directory), cwd=ROOT, capture_output=True, text=True, check=False)


def snapshot(directory: Path) -> dict[str, tuple[int, int, int]]:
    """Mode, size and time of every file but the log that the shop's API holds open and writes to all the time."""
    found = {}
    for path in directory.rglob("*"):
        if path.relative_to(directory) == Path("storage/logs/api.log"):
            continue
        status = path.lstat()
        found[str(path.relative_to(directory))] = (status.st_mode, status.st_size, status.st_mtime_ns)
    return found


def test_up_twice_renew_and_down(tmp_path: Path) -> None:
    # A unix socket cannot be made there: its path would be too long.
    place = tmp_path / ("a long name " * 10).strip()
    directory = place / "native"
    first = sandbox("up", directory)
    assert first.returncode == 0, first.stderr
    assert "already up" not in first.stdout
    shop = Native(directory)
    daemons = [Daemon(**facts) for facts in shop.facts["processes"].values()]
    assert len(daemons) == 3
    try:
        answer = shop.health()
        assert (answer["status"], answer["mongoConnected"]) == ("ok", True)
        _check_database(shop)
        _check_directory(shop)
        _check_that_no_engine_is_looked_for(shop)
        assert {(directory / name).stat().st_mode & 0o777 for name in ("state", "record")} == {0o700}

        before = snapshot(shop.root)
        second = sandbox("up", directory)
        assert second.returncode == 0
        assert "already up" in second.stdout
        assert snapshot(shop.root) == before
        assert sandbox("status", directory).returncode == 0

        # After the death of a process (or a reboot) up starts what is missing, on the same data and ports.
        for name in ("mongod", "api"):
            os.kill(shop.facts["pids"][name], signal.SIGKILL)
            Daemon(**shop.facts["processes"][name]).end()  # waits for it
        assert sandbox("status", directory).returncode != 0
        third = sandbox("up", directory)
        assert third.returncode == 0, third.stderr
        again = Native(directory)
        assert again.is_healthy()
        assert again.ports == shop.ports
        assert again.facts["pids"]["frontend"] == shop.facts["pids"]["frontend"]
        assert snapshot(shop.root) == before

        (shop.root / ".env").chmod(0o600)
        assert sandbox("renew", directory).returncode == 0
        assert (shop.root / ".env").stat().st_mode & 0o777 == 0o644
        daemons += [Daemon(**facts) for facts in again.facts["processes"].values()]
        # Its last argument lies in the directory, as that of an editor or a pager does: it is not the sandbox's.
        pager = subprocess.Popen(["tail", "-f", str(directory / FACTS)], cwd=directory, stdout=subprocess.DEVNULL)
    finally:
        down = sandbox("down", directory)
    assert pager.poll() is None
    pager.kill()
    pager.wait()
    assert down.returncode == 0, down.stderr
    assert list(place.iterdir()) == []
    assert not any(daemon.alive for daemon in daemons)
    assert sandbox("down", directory).returncode == 0
    assert sandbox("status", directory).returncode != 0


def _check_database(shop: Native) -> None:
    with shop._mongod().client() as client:
        database = client[shop.facts["database"]]
        assert len(database.list_collection_names()) == 43
        for name in ("audit_logs", "analytics_events", "sessions"):
            # Two thirds of what was written: known to the server only because of the checkpoint.
            assert database.command("collStats", name)["freeStorageSize"] > shop.facts["reclaimable_bytes"] / 10, name
        assert client.admin.command("getCmdLineOpts")["parsed"]["security"]["authorization"] == "enabled"


def _check_directory(shop: Native) -> None:
    root = shop.root
    assert (root / ".env").stat().st_mode & 0o777 == 0o644
    assert shop.directory.stat().st_mode & 0o777 == 0o700
    assert len(list((root / "storage/backups").glob("*.tar.gz"))) == 400
    assert any(path.stat().st_mode & 0o002 for path in root.rglob("*") if path.is_dir())
    assert all(path.stat().st_mode & 0o111 == 0 for path in (root / "scripts").iterdir())
    assert list((root / "backend/storage/uploads/products").iterdir())
    assert os.access(shop.facts["logrotate"], os.X_OK)


def _check_that_no_engine_is_looked_for(shop: Native) -> None:
    """What a run on the sandbox looks at first: an engine that its path alone keeps from being reached is none."""
    docker_host = f"unix://{shop.directory}/run/docker.sock"
    assert len(docker_host) > 107
    params = {"root": shop.root, "state_dir": shop.directory / "state", "cron_paths": [str(shop.directory / "cron")]}
    found = run_module("context_info", {**params, "docker_host": docker_host})
    assert not found.failed, found.msg
    context = found.result["context"]
    assert (context["deployment"], context["docker"]["absent"]) == ("native", True)
    assert context["mongo"]["address"] == f"127.0.0.1:{shop.ports['mongo']}"


def test_interrupted_start_is_cleared(tmp_path: Path) -> None:
    directory = tmp_path / "native"
    process = subprocess.Popen(command("up", directory), cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)
    facts: dict[str, dict[str, int]] = {}
    deadline = time.monotonic() + 60
    while "mongod" not in facts.get("pids", {}):
        assert time.monotonic() < deadline
        assert process.poll() is None, "it was over before it could be killed"
        try:
            facts = json.loads((directory / FACTS).read_text())
        except (OSError, ValueError):
            time.sleep(0.005)
    process.kill()
    process.wait()
    orphan = facts["pids"]["mongod"]
    assert start_time(orphan) is not None
    try:
        up = sandbox("up", directory)
        assert up.returncode == 0, up.stderr
        assert "interrupted" in up.stdout
        assert start_time(orphan) is None
        # A process that no file tells of ends as well: that of a start killed before it could write it down.
        (directory / FACTS).write_text(json.dumps(Native(directory).facts | {"processes": {}}))
        assert len(of_directory(directory)) == 3
    finally:
        assert sandbox("down", directory).returncode == 0
    assert of_directory(directory) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["up", "down"])
def test_a_stranger_directory_is_left_alone(tmp_path: Path, verb: str) -> None:
    precious = tmp_path / "home" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("mine")
    done = sandbox(verb, precious.parent)
    assert done.returncode == 1
    assert "no sandbox" in done.stderr
    assert precious.read_text() == "mine"


def test_default_directory_with_its_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "checkout" / ".sandbox"
    home.parent.mkdir()
    monkeypatch.setattr(main_module, "HOME", home)
    monkeypatch.setattr(main_module, "CURRENT", home / "current")
    monkeypatch.delenv("MINIECOM_SANDBOX", raising=False)
    try:
        assert main_module.main(["up", "--megabytes", "1"]) == 0
        assert (home / "current").resolve() == home / "native"
        assert sorted(path.name for path in home.iterdir()) == ["current", "native"]
        assert main_module.main(["status"]) == 0
        # Another deployment cannot take the directory over.
        assert main_module.main(["down", "--deployment", "compose", "--directory", str(home / "native")]) != 0
    finally:
        assert main_module.main(["down"]) == 0
    assert list(home.parent.iterdir()) == []
