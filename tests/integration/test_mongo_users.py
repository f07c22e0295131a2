# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each user may do its work, and not the others'; passwords stand in a file each and nowhere else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pymongo
import pytest
from bson import ObjectId
from pymongo.errors import OperationFailure

from tests.sandbox.mongod import Mongod
from tests.support.extent import EXHAUSTIVE
from tests.support.kill import boundaries, kill_and_run_again
from tests.support.modules import run_module
from tests.support.replica import wait_for

pytestmark = pytest.mark.usefixtures("mongod_libraries")

KINDS = ("observer", "maintainer", "restorer")


class Users:
    """The users of a shop's database, and the modules as one of them."""

    def __init__(self, server: Mongod, name: str, state_dir: Path) -> None:
        self.server, self.name, self.state_dir = server, name, state_dir
        self.params = {"uri": server.uri_for(name), "state_dir": str(state_dir)}

    def file(self, kind: str) -> Path:
        return self.state_dir / "mongo-users" / f"{self.name}-{kind}.env"

    def uri(self, kind: str) -> str:
        return self.file(kind).read_text().strip().partition("=")[2].strip("'")

    def run(self, kind: str, module: str, check: bool = False, **params: Any) -> Any:
        given = {"env_file": str(self.file(kind)), "state_dir": str(self.state_dir), **params}
        return run_module(module, given, check=check)

    def remove(self) -> None:
        with self.server.client() as client:
            for kind in KINDS:
                for command in ("dropUser", "dropRole"):
                    try:
                        client.admin.command(command, f"{self.name}-{kind}")
                    except OperationFailure:
                        pass


@pytest.fixture
def users(mongod: Mongod, mongo_database: str, state_dir: Path) -> Iterator[Users]:
    with mongod.client() as client:
        client[mongo_database].products.insert_many([{"n": n} for n in range(50)])
        parents = [str(entry["_id"]) for entry in client[mongo_database].products.find()]
        client[mongo_database].inventory.insert_many([{"productId": text} for text in parents])
        # Of long ago: what is young may get its parent yet.
        orphan = {"_id": ObjectId("5" + "0" * 23), "productId": "0123456789abcdef01234567"}
        client[mongo_database].inventory.insert_one(orphan)
        client[mongo_database].create_collection("series", timeseries={"timeField": "t"})
        client[mongo_database].series.insert_one({"t": datetime.now(timezone.utc)})
        client[mongo_database].products.create_index("n", unique=True)
        # A role's name lives on the server, and its rights are on databases by their names alone.
        client["other"].secrets.insert_one({"canary": 1})
    found = Users(mongod, mongo_database, state_dir)
    yield found
    found.remove()
    with mongod.client() as client:
        client.drop_database("other")


def test_check_then_run_then_nothing(users: Users) -> None:
    check = run_module("mongo_users", users.params, check=True, diff=True)
    assert not check.failed and check.changed and not users.state_dir.exists(), check.msg
    real = run_module("mongo_users", users.params)
    assert not real.failed and real.changed and real.result["plan"] == check.result["plan"], real.msg
    assert len(real.result["actions"]) == 9
    again = run_module("mongo_users", users.params)
    assert not again.failed and not again.changed, again.result
    for kind in KINDS:
        assert users.file(kind).stat().st_mode & 0o777 == 0o600
        password = pymongo.uri_parser.parse_uri(users.uri(kind))["password"]
        assert len(password) > 30
        for run in (check, real, again):
            assert password not in run.output and users.server.root_password not in run.output
    assert users.file("observer").parent.stat().st_mode & 0o777 == 0o700


def test_each_may_do_its_work_and_no_more(users: Users, tmp_path: Path) -> None:
    assert not run_module("mongo_users", users.params).failed
    refused = ("maintainer", "restorer", "observer")

    looked = users.run("observer", "mongo_info")
    assert not looked.failed and looked.result.get("warnings", []) == [], looked.result
    assert looked.result["health"]["oldest_operation"] is None or looked.result["health"]["connections"]
    relation = {"collection": "inventory", "field": "productId", "references": "products"}
    found = users.run("observer", "mongo_orphans", relations=[relation], database=users.name)
    assert not found.failed and found.result["summary"]["orphans"] == 1, found.result

    work: dict[str, dict[str, Any]] = {
        "mongo_info": {},
        "mongo_compact": {"min_reclaimable": "0", "min_ratio": 0.0},
        "mongo_backup": {"database": users.name, "dest": str(tmp_path / "backups"), "include": []},
    }
    done = {name: users.run("maintainer", name, **params) for name, params in work.items()}
    for name, run in done.items():
        assert not run.failed, f"{name}: {run.msg}"
        assert "may not" not in str(run.result.get("warnings")), f"{name}: {run.result['warnings']}"
    rebuilt = users.run(
        "maintainer", "mongo_reindex", collections=["products"], min_reclaimable="0", require_maintenance=False
    )
    assert not rebuilt.failed and rebuilt.changed, rebuilt.msg
    valid = users.run("maintainer", "mongo_reindex", mode="validate", foreground=True, require_maintenance=False)
    assert not valid.failed and valid.result["summary"]["collections_validated"] == 3, valid.msg
    archive = {
        "action": "archive",
        "relations": [relation],
        "database": users.name,
        "max_delete": 5,
    }
    archived = users.run("maintainer", "mongo_orphans", **archive)
    assert not archived.failed and archived.changed, archived.msg
    over = int(time.time()) + 1
    wait_for(lambda: time.time() > over)  # ages are counted in whole seconds
    purged = users.run("maintainer", "mongo_orphans", action="purge", database=users.name, grace="0s")
    assert not purged.failed and purged.changed, purged.msg

    # The live database is put back as it was in the backup: the archived orphan is there again.
    backup = done["mongo_backup"].result["backup"]["path"]
    with users.server.client() as client:
        client[users.name].products.delete_many({"n": {"$gt": 10}})
        before = client[users.name].products.count_documents({})
    safety = users.run("maintainer", "mongo_backup", **{**work["mongo_backup"], "fresh_within": "0s"})
    restore = {
        "src": backup,
        "mode": "restore",
        "server": "live",
        "min_free": "0",
        "database": users.name,
        "safety_backup": safety.result["backup"]["path"],
        "require_maintenance": False,
        "allow_clients": True,
    }
    for kind in refused[:1] + refused[2:]:
        run = users.run(kind, "mongo_restore", **restore)
        assert run.failed and "13" in run.msg, f"{kind}: {run.msg}"
        with users.server.client() as client:
            assert client[users.name].products.count_documents({}) == before
    restored = users.run("restorer", "mongo_restore", **restore)
    assert not restored.failed and restored.changed, restored.msg
    with users.server.client() as client:
        assert client[users.name].products.count_documents({}) == 50

    assert users.run(
        "observer", "mongo_reindex", collections=["products"], min_reclaimable="0", require_maintenance=False
    ).failed
    for kind in KINDS:
        with pymongo.MongoClient(users.uri(kind)) as client:
            for forbidden in (
                lambda client=client: client.other.secrets.find_one(),
                lambda client=client: client.admin.command("createUser", "x", pwd="x", roles=[]),
                lambda client=client: client.drop_database(users.name),
                lambda client=client: client.admin.command("shutdown"),
            ):
                with pytest.raises(OperationFailure) as refusal:
                    forbidden()
                assert refusal.value.code == 13, kind
            if kind != "restorer":
                with pytest.raises(OperationFailure):
                    client[users.name].drop_collection("products")
            if kind == "observer":
                with pytest.raises(OperationFailure):
                    client[users.name].products.insert_one({})


def test_a_new_password_when_told_and_whatever_was_changed_is_put_right(users: Users) -> None:
    given = {"passwords": {"observer": "a password / of @ ours"}}
    first = run_module("mongo_users", {**users.params, **given})
    assert not first.failed and "of @ ours" not in first.output and "of%20%40" not in first.output, first.msg
    assert pymongo.uri_parser.parse_uri(users.uri("observer"))["password"] == "a password / of @ ours"
    assert not run_module("mongo_users", {**users.params, **given}).changed
    old = users.uri("maintainer")
    rotated = run_module("mongo_users", {**users.params, "rotate": ["maintainer"]})
    assert [entry["action"] for entry in rotated.result["actions"]] == ["keep_password", "update_user"], rotated.result
    assert users.uri("maintainer") != old and not users.run("maintainer", "mongo_info").failed
    with pymongo.MongoClient(old) as client, pytest.raises(OperationFailure):
        client[users.name].products.find_one()
    assert not run_module("mongo_users", users.params).changed
    with users.server.client() as client:
        admin = client.admin
        admin.command("updateUser", f"{users.name}-observer", roles=["root"], pwd="somebody's")
        admin.command("updateRole", f"{users.name}-restorer", roles=[{"role": "readWriteAnyDatabase", "db": "admin"}])
    users.file("maintainer").unlink()
    put_right = run_module("mongo_users", users.params)
    done = [(entry["action"], entry["target"].rpartition("-")[2]) for entry in put_right.result["actions"]]
    assert done == [
        ("update_user", "observer"),
        ("keep_password", "maintainer"),
        ("update_user", "maintainer"),
        ("update_role", "restorer"),
    ]
    assert not run_module("mongo_users", users.params).changed
    users.file("restorer").chmod(0o644)
    opened = run_module("mongo_users", users.params)
    assert opened.failed and "open to others" in opened.msg, opened.msg


# Between role and file, and between file and user: there the host and the server know different things.
@pytest.mark.parametrize("number", boundaries(3) if EXHAUSTIVE else (2, 4))
def test_killed_at_every_boundary(users: Users, number: int) -> None:
    kill_and_run_again("mongo_users", {**users.params, "users": ["observer"]}, number)
    assert not users.run("observer", "mongo_info").failed


def test_who_may_not_make_users_is_told(users: Users) -> None:
    assert not run_module("mongo_users", {**users.params, "users": ["observer"]}).failed
    result = users.run("observer", "mongo_users", users=["maintainer"])
    assert result.failed and "13 Unauthorized" in result.msg and f"{users.name}-maintainer" in result.msg
    for options, words in (
        ({"database": "admin"}, "shop's database"),
        ({"passwords": {"observer": "short"}}, "12 characters"),
        ({"passwords": {"someone": "long enough a password"}}, "not a user of these"),
    ):
        refused = run_module("mongo_users", {**users.params, **options})
        assert refused.failed and words in refused.msg, refused.msg
        assert json.dumps("long enough a password") not in refused.output
