# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook restore on a whole shop: closed and stopped meanwhile, open again afterwards, whatever became of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pymongo
import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.dotenv import load
from tests.integration.test_playbooks import answer, play
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
