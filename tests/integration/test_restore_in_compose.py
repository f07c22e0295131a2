# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook restore on a shop in containers: API and worker are stopped for it, and started again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.test_playbooks import answer, play
from tests.sandbox.compose import Compose
from tests.support.sandboxes import Sandbox


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "tasks.jsonl"


def test_in_compose_a_restore_stops_and_starts_what_uses_the_database(
    compose_sandbox: Sandbox, log: Path, tmp_path: Path
) -> None:
    sandbox = Compose(compose_sandbox.directory)
    play("backup", compose_sandbox, log, "-e", "backup_fresh_within=0s").assert_ok()
    with sandbox.client() as client:
        database = client.get_database(sandbox.facts["database"])
        before = database.orders.count_documents({})
        lost = [order["_id"] for order in database.orders.find({}, {"_id": 1}).limit(100)]
        database.orders.delete_many({"_id": {"$in": lost}})
    # One picture in the API's own layer is another one since, and one is new; an invoice in a volume is gone.
    api = next(name for name in sandbox.states() if "api" in name)
    engine, mine = sandbox.engine.docker, tmp_path / "mine.jpg"
    mine.write_bytes(b"another")
    pictures = engine("exec", api, "sh", "-c", "ls /app/uploads/products/*.jpg").splitlines()
    invoice = engine("exec", api, "sh", "-c", "find /app/storage/invoices -type f").splitlines()[0]
    was = engine("exec", api, "sha256sum", pictures[0], invoice)
    engine("cp", str(mine), f"{api}:{pictures[0]}")
    engine("cp", str(mine), f"{api}:/app/uploads/products/later.jpg")
    engine("exec", api, "rm", invoice)
    states = sandbox.states()
    parts = '{"backup_restore_components": ["database", "uploads", "invoices", "labels"]}'
    run = play("restore", compose_sandbox, log, "-e", "confirm_target=sandbox", "-e", parts).assert_ok()
    # What used the database was down while it was restored, and is up again.
    names = [task["task"].rpartition(" : ")[2] for task in run.tasks if task["status"] != "skipped"]
    stop, restore, start = (
        names.index(name)
        for name in ("Stop the containers that use the database", "Restore the database", "Start the containers again")
    )
    assert stop < restore < start
    assert sandbox.states() == states
    assert answer(compose_sandbox)[0] == 200
    assert engine("exec", api, "sha256sum", pictures[0], invoice) == was
    assert engine("exec", api, "cat", "/app/uploads/products/later.jpg") == "another"
    engine("exec", api, "rm", "/app/uploads/products/later.jpg")
    with sandbox.client() as client:
        assert client.get_database(sandbox.facts["database"]).orders.count_documents({}) == before
