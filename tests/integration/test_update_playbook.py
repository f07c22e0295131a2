# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook update on the shop in containers: told, put in place behind a backup, and gone back from after migrations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_playbooks import INVENTORY, answer, rows
from tests.sandbox.compose import Compose
from tests.support.extent import EXHAUSTIVE
from tests.support.playbooks import PlaybookRun, run_playbook
from tests.support.sandboxes import Sandbox

MIGRATE = (
    "import os, pymongo; "
    "pymongo.MongoClient(os.environ['MONGO_URI']).get_default_database('miniecom').migrations.insert_one({'name': '0042'}); "
    "raise SystemExit(3)"
)


class Shop:
    """The sandbox's shop, whose image of the API is made anew."""

    def __init__(self, sandbox: Sandbox, directory: Path) -> None:
        self.sandbox, self.directory = sandbox, directory
        self.made = Compose(sandbox.directory)
        self.image = str(self.made.facts["images"]["api"])
        self.first = self.image_id()

    def build(self, *lines: str) -> None:
        """Let the API's name stand for another image."""
        context = self.directory / "context"
        context.mkdir(exist_ok=True)
        (context / "Dockerfile").write_text("\n".join([f"FROM {self.first}", *lines, ""]), encoding="utf-8")
        self.made.engine.docker("build", "--quiet", "--tag", self.image, str(context))

    def image_id(self) -> str:
        return str(self.made.engine.api("GET", f"/images/{self.image}/json")["Id"])

    def running(self) -> dict[str, tuple[str, str]]:
        found = self.made.engine.api("GET", "/containers/json?all=1")
        return {one["Names"][0]: (one["Id"], one["ImageID"]) for one in found if one["State"] == "running"}

    def uploads(self) -> str:
        """What the container has of uploads, as one number."""
        listing = self.made.engine.docker(
            *("exec", "miniecom_api", "sh", "-c"),
            "cd /app/uploads && find . -type f -exec sha256sum {} + | sort && find . -printf '%p %m %u %g %y\\n' | sort",
        )
        assert "./" in listing
        return hashlib.sha256(listing.encode()).hexdigest()

    def play(self, *arguments: str) -> PlaybookRun:
        log = self.directory / "tasks.jsonl"
        return run_playbook("update", INVENTORY, *arguments, log=log, env=self.sandbox.environment())

    def database(self) -> Any:
        return closing(self.made.client())


@pytest.fixture
def shop(compose_sandbox: Sandbox, tmp_path: Path) -> Iterator[Shop]:
    made = Shop(compose_sandbox, tmp_path)
    yield made
    made.made.engine.docker("tag", made.first, made.image)
    with made.database() as client:
        client[made.made.facts["database"]].drop_collection("migrations")
    made.made.engine.docker("compose", "up", "--detach", "--no-build", cwd=made.made.root)


APPLY = ("-e", "app_update_apply=true")


def test_an_update_and_the_way_back(shop: Shop) -> None:
    before, uploads = shop.running(), shop.uploads()
    shop.build("RUN echo new > /app/new")
    told = shop.play().assert_ok()
    assert "Update the shop's images" not in " ".join(told.changed()) and shop.running() == before
    assert f"1 image with newer versions: {shop.image}" in str(rows(told)["images"]["headline"])
    checked = shop.play(*APPLY, "--check", "--diff").assert_ok()
    assert shop.running() == before
    damaged = check_that_without_a_verified_backup_nothing_is_replaced(shop, before)
    done = shop.play(*APPLY).assert_ok()
    assert done.result("mongo_backup")["path"] != str(damaged), "fresh, but not what was verified"
    for path in (damaged, damaged.with_name(f".{damaged.name}.verified.json")):
        path.unlink()
    plan = done.result("compose_update")["plan"]
    assert plan == checked.result("compose_update")["plan"]
    assert [item["action"] for item in plan] == ["record", "replace"] and "api:/app/uploads" in plan[1]["reason"]
    assert any("Update the shop's images" in task for task in done.changed())
    after = shop.running()
    assert {name for name in before if after[name] != before[name]} == {"/miniecom_api"}
    assert after["/miniecom_api"][1] == shop.image_id() and shop.uploads() == uploads
    assert answer(shop.sandbox)[1]["mongoConnected"] is True
    again = shop.play(*APPLY).assert_ok()
    assert again.changed() == [] and shop.running() == after

    if EXHAUSTIVE:
        check_that_migrations_are_not_gone_back_from(shop)
    back = shop.play("-e", "app_update_undo=true").assert_ok()
    assert back.result("compose_update")["summary"]["replaced"] == 1 and shop.uploads() == uploads
    assert shop.running()["/miniecom_api"][1] == (after if EXHAUSTIVE else before)["/miniecom_api"][1]
    assert shop.play("-e", "app_update_undo=true").assert_ok().changed() == []


def check_that_without_a_verified_backup_nothing_is_replaced(shop: Shop, before: dict[str, tuple[str, str]]) -> Path:
    """The only fresh backup is damaged, and a new one cannot be made: a standalone has no snapshots. Returns the damaged one."""
    made = shop.play("--tags", "backup", *APPLY).assert_ok().result("mongo_backup")
    archive = Path(made["path"])
    whole = archive.read_bytes()
    archive.write_bytes(whole[:-9] + b"x" + whole[-8:])
    refused = shop.play(*APPLY, "-e", "backup_consistency=snapshot")
    assert refused.rc != 0 and shop.running() == before
    told = rows(refused)
    assert told["backup"]["status"] == "failed" and "replica set" in str(told["backup"]["headline"])
    assert "no image is replaced without a verified backup of this run" in str(told["images"]["headline"])
    assert not [call for call in refused.module_calls("sandbox") if call["action"].endswith("compose_update")]
    return archive


def check_that_migrations_are_not_gone_back_from(shop: Shop) -> None:
    # A new version changes the database and dies: what it has done to the data no older version must meet unasked.
    shop.build("RUN echo newer > /app/new", f"CMD {json.dumps(['python3', '-c', MIGRATE])}")
    failed = shop.play(*APPLY, "-e", "app_update_patience=8s")
    assert failed.rc != 0
    result = failed.result("compose_update")
    backup = failed.result("mongo_backup")["path"]
    assert "migrations have run (migrations)" in result["msg"] and result["rolled_back"] is False
    assert f"backup_restore_src={backup}" in result["restore_command"]
    assert rows(failed)["images"]["status"] == "failed"


def test_what_a_cleanup_removed_is_shown_by_undo_with_how_to_have_it_again(shop: Shop) -> None:
    engine, before = shop.made.engine, shop.running()
    engine.docker("create", "--name", "forgotten", shop.image, "true")
    log, environment = shop.directory / "tasks.jsonl", shop.sandbox.environment()
    now = ("--tags", "docker_cleanup", "-e", "docker_cleanup_older_than=0s", "-e", "docker_cleanup_images=none")
    cleaned = run_playbook("weekly", INVENTORY, *now, log=log, env=environment).assert_ok()
    actions = cleaned.result("docker_prune")["actions"]
    assert "forgotten" in [action["target"] for action in actions if action["status"] == "done"]
    run_id = cleaned.result("maintenance_report")["run_id"]
    wanted = ("-e", f"undo_run={run_id}", "--tags", "docker_cleanup_undo")
    undone = run_playbook("undo", INVENTORY, *wanted, log=log, env=environment).assert_ok()
    lines = "\n".join(undone.result("docker_prune_info")["lines"])
    assert (
        f"container forgotten: no compose file says how it was set up: make it anew, of the image {shop.image}" in lines
    )
    assert "make it anew, of the image" in " ".join(undone.output.split()) and "removed of Docker" in rows(undone)
    # It tells, and does nothing.
    names = engine.docker("ps", "--all", "--format", "{{.Names}}").split()
    assert undone.changed() == [] and "forgotten" not in names and shop.running() == before


def test_more_than_one_host_wants_to_be_confirmed(shop: Shop, tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(
        "all: {children: {miniecom: {hosts: {sandbox: {ansible_connection: local}, other: {ansible_connection: local}}}}}\n"
    )
    refused = run_playbook(
        "update",
        INVENTORY,
        *("-i", str(inventory), *APPLY),
        log=tmp_path / "tasks.jsonl",
        env=shop.sandbox.environment(),
    )
    assert refused.rc != 0 and "confirm_hosts=2" in refused.output
