# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook restore on a whole shop: closed and stopped meanwhile, open again afterwards, whatever became of it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pymongo
import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.file_comparison import BESIDE
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.dotenv import load
from tests.conftest import lacking
from tests.integration.test_mongo_live_restore import beside
from tests.integration.test_mongo_live_restore_disk import fill_up
from tests.integration.test_playbooks import answer, play
from tests.support.extent import EXHAUSTIVE
from tests.support.playbooks import ROOT
from tests.support.sandboxes import Sandbox


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "tasks.jsonl"


def services(sandbox: Sandbox) -> tuple[str, str]:
    """How this shop's API is stopped and started."""
    pid = json.loads((sandbox.directory / "sandbox.json").read_text())["pids"]["api"]
    wait = f"kill {pid} && while kill -0 {pid} 2>/dev/null; do sleep 0.1; done"
    up = [sys.executable, "-m", "tests.sandbox", "up", "--deployment", sandbox.deployment, "--directory"]
    start = ["env", "-C", str(ROOT), *up, str(sandbox.directory)]
    return "-e", json.dumps({"backup_restore_stop": [["sh", "-c", wait]], "backup_restore_start": [start]})


def orders(sandbox: Sandbox, change: bool = False) -> int:
    """How many orders there are; with `change` half of them are lost first."""
    with pymongo.MongoClient[dict[str, Any]](load(str(sandbox.env_file))["MONGODB_URI"]) as client:
        database = client.get_default_database()
        if change:
            some = [order["_id"] for order in database.orders.find({}, {"_id": 1}).limit(300)]
            database.orders.delete_many({"_id": {"$in": some}})
            database.since.insert_one({"_id": 1})
        return int(database.orders.count_documents({}))


def test_a_lost_database_comes_back(native_sandbox: Sandbox, log: Path) -> None:
    sandbox = native_sandbox
    play("backup", sandbox, log, "-e", "backup_fresh_within=0s").assert_ok()
    before = orders(sandbox)
    confirmed = ("-e", "confirm_target=sandbox")

    unconfirmed = play("restore", sandbox, log)
    assert unconfirmed.rc != 0
    assert "Confirm it with -e confirm_target=sandbox" in unconfirmed.output

    assert orders(sandbox, change=True) == before - 300
    checked = play("restore", sandbox, log, "--check", "--diff").assert_ok()
    assert f"orders: {before - 300} documents" in checked.output
    assert answer(sandbox)[0] == 200

    # Natively nobody knows how the API is stopped. It stays connected, and so nothing is restored.
    refused = play("restore", sandbox, log, *confirmed)
    assert refused.rc != 0
    assert "others are connected to the database" in refused.output
    assert answer(sandbox)[0] == 200, "open again"
    assert orders(sandbox) == before - 300

    missing = play("restore", sandbox, log, *confirmed, "-e", "backup_restore_env_file=/nowhere/restorer.env")
    assert missing.rc != 0 and "/nowhere/restorer.env" in missing.output
    assert "1 of 2 steps failed: restore\n" in missing.output, "named, although it was only looked at"
    assert not [
        task for task in missing.tasks if task["action"].endswith("maintenance_flag") and task["status"] != "skipped"
    ], "it stayed open"

    # As the user who may do this and little else.
    only = ("-e", '{"mongo_maintenance_users": ["restorer"]}')
    made = play("database_users", sandbox, log, *only).assert_ok().result("mongo_users")
    credentials = made["users"][0]["file"]
    password = Path(credentials).read_text().rpartition("@")[0].rpartition(":")[2]
    as_restorer = ("-e", f"backup_restore_env_file={credentials}")
    restored = play("restore", sandbox, log, *confirmed, *services(sandbox), *as_restorer).assert_ok()
    assert len(password) > 30 and password not in restored.output + log.read_text()
    done = next(
        task["result"]
        for task in reversed(restored.tasks)
        if task["action"].endswith("mongo_restore") and "safety_backup" in str(task["result"].get("summary"))
    )
    assert done["invocation"]["module_args"]["env_file"] == credentials
    assert done["summary"]["restored"]
    assert done["staying"] == ["since"]
    assert Path(done["summary"]["safety_backup"]).parent == Path(done["summary"]["path"]).parent / "before_restore"
    assert orders(sandbox) == before
    assert answer(sandbox)[0] == 200
    assert not (sandbox.root / "storage" / ".maintenance").exists()

    again = play("restore", sandbox, log, *confirmed).assert_ok()
    assert not [
        task for task in again.tasks if task["action"].endswith("maintenance_flag") and task["status"] != "skipped"
    ]
    with pymongo.MongoClient[dict[str, Any]](load(str(sandbox.env_file))["MONGODB_URI"]) as client:
        client.get_default_database().since.drop()


@contextmanager
def own_disk(directory: Path) -> Iterator[Path]:
    """A small file system over a directory, with what the directory holds."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=700m", "miniecom-test", f"{directory}.disk"], check=False
    )
    if done.returncode:
        lacking("a file system of our own (mount -t tmpfs)")
    try:
        subprocess.run(["cp", "-a", f"{directory}/.", f"{directory}.disk"], check=True)
        subprocess.run(["mount", "--bind", f"{directory}.disk", directory], check=True)
        try:
            yield directory
        finally:
            subprocess.run(["umount", "--lazy", directory], check=True)
    finally:
        subprocess.run(["umount", "--lazy", f"{directory}.disk"], check=True)


@contextmanager
def full_as_soon_as(part: str, disk: Path, least: int) -> Iterator[Path]:
    """Somebody fills the disk while something of ours (a part of its path), with so many bytes at least, is being written there."""
    ended, filled = threading.Event(), threading.Event()

    def written() -> int:
        found = 0
        for where, _directories, names in os.walk(disk):
            for path in (os.path.join(where, name) for name in names):
                with suppress(FileNotFoundError):
                    found += os.stat(path).st_size if part in path else 0
        return found

    def watch() -> None:
        while not ended.is_set():
            if written() >= least:
                fill_up(disk / "filler")
                filled.set()
                return
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield disk / "filler"
    finally:
        ended.set()
        watcher.join()
        (disk / "filler").unlink(missing_ok=True)
    assert filled.is_set(), "nothing was seen to be written"


def hashes(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*")
        if path.is_file() and path.name != "filler"
    }


@pytest.mark.root
@pytest.mark.skipif(not EXHAUSTIVE, reason="six playbooks: only with MINIECOM_TEST_EXHAUSTIVE=1")
def test_a_disk_that_fills_up_in_the_middle_leaves_the_shop_as_it_was(
    native_sandbox: Sandbox, tmp_path: Path, log: Path
) -> None:
    """Of a backup, of the backup before a restore, and of a restore; with room again the next run is as if nothing had been."""
    sandbox, uploads = native_sandbox, native_sandbox.root / "backend" / "storage" / "uploads"
    for made in (Path(f"{uploads}.disk"), tmp_path / "backups", Path(f"{tmp_path}/backups.disk")):
        made.mkdir()
    photo = uploads / "big.jpg"

    def rows(run: Any) -> dict[str, tuple[str, str]]:
        return {step["step"]: (step["status"], step["headline"]) for step in run.result("maintenance_report")["steps"]}

    def require_full(run: Any, row: str) -> None:
        assert run.rc != 0
        status, headline = rows(run)[row]
        assert status == "failed" and any(word in headline for word in ("is full", "min_free", "ENOSPC")), headline
        assert "1 of" in run.output and f"failed: {row}" in run.output

    try:
        with own_disk(uploads), own_disk(tmp_path / "backups") as backups:
            photo.write_bytes(os.urandom(1 << 20) * 150)
            to = ("-e", f"backup_dest={backups}", "-e", "backup_fresh_within=0s")
            with full_as_soon_as(".miniecom-partial", backups, 1 << 20):
                failed = play("backup", sandbox, log, *to)
                assert [path.name for path in backups.iterdir()] == ["filler"], "nothing half is left"
            require_full(failed, "backup")
            assert rows(play("backup", sandbox, log, *to).assert_ok())["backup"][0] == "changed"
            [archive] = backups.glob("*.tar.gz")
            assert archive.stat().st_size > 150 << 20, "with the files"

            count = orders(sandbox, change=True)
            photo.write_bytes(os.urandom(1 << 20) * 150)
            now = hashes(uploads)
            arguments: tuple[str, ...] = ("-e", "confirm_target=sandbox", "-e", f"backup_restore_src={archive}")
            arguments += ("-e", json.dumps({"backup_restore_components": ["database", "uploads"]}))

            def require_as_it_was() -> None:
                assert answer(sandbox)[0] == 200, "open again"
                assert not (sandbox.root / "storage" / ".maintenance").exists()
                assert orders(sandbox) == count and hashes(uploads) == now
                assert not list(uploads.glob(f"{BESIDE}*"))
                with pymongo.MongoClient[dict[str, Any]](load(str(sandbox.env_file))["MONGODB_URI"]) as client:
                    assert beside(client, client.get_default_database().name) == []

            safety = ("-e", f"backup_restore_safety_dest={backups}/before")
            with full_as_soon_as(".miniecom-partial", backups, 1 << 20):
                failed = play("restore", sandbox, log, *services(sandbox), *arguments, *safety)
                assert not list((backups / "before").iterdir())
            require_full(failed, "backup")
            require_as_it_was()

            with full_as_soon_as(BESIDE, uploads, 1 << 20):
                failed = play("restore", sandbox, log, *services(sandbox), *arguments)
                assert failed.rc != 0, failed.output
                require_as_it_was()
            require_full(failed, "restore")
            assert f"{uploads}/{BESIDE}" in " ".join(rows(failed)["restore"][1].split()), (
                "the disk that is meant is named"
            )

            restored = play("restore", sandbox, log, *services(sandbox), *arguments).assert_ok()
            assert rows(restored)["restore"][0] == "changed"
            assert orders(sandbox) == count + 300 and hashes(uploads)["big.jpg"] != now["big.jpg"]
            assert answer(sandbox)[0] == 200
    finally:
        with pymongo.MongoClient[dict[str, Any]](load(str(sandbox.env_file))["MONGODB_URI"]) as client:
            client.get_default_database().since.drop()
        shutil.rmtree(f"{uploads}.disk")
