# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""mongo_restore of uploads, invoices and configuration: old or new whenever it is killed, and nothing of the shop's is lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_mongo_backup import ok
from tests.sandbox.mongod import Mongod
from tests.support.extent import EXHAUSTIVE
from tests.support.modules import ModuleResult, run_module

pytestmark = pytest.mark.usefixtures("mongod_libraries")

Tree = dict[str, Any]


def tree(directory: Path) -> Tree:
    """All below a directory: of files content and mode, of links where they lead to."""
    return {
        str(path.relative_to(directory)): (
            os.readlink(path)
            if path.is_symlink()
            else None
            if path.is_dir()
            else (path.read_bytes(), path.stat().st_mode & 0o7777)
        )
        for path in sorted(directory.rglob("*"))
    }


def fill(shop: Path) -> None:
    for name, text in {
        "uploads/a.jpg": "a then",
        "uploads/same.jpg": "same",
        "uploads/deep/er/b.jpg": "b then",
        "uploads/gone/c.jpg": "c then",
        "uploads/gone/d.jpg": "d then",
        "invoices/1.pdf": "invoice 1",
        ".env": "A=then\n",
        "docker-compose.yml": "services: {}\n",
    }.items():
        path = shop / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o640)
    (shop / "uploads/link.jpg").symlink_to("a.jpg")
    (shop / "uploads/odd \udce9 name.jpg").write_text("odd")


def live_on(shop: Path) -> None:
    """Weeks later: files were changed, lost and added, and the invoices are gone altogether."""
    (shop / "uploads/a.jpg").write_text("a now, another")
    (shop / "uploads/deep/er/b.jpg").write_text("b nowX"[:6])
    shutil.rmtree(shop / "uploads/gone")
    (shop / "uploads/link.jpg").unlink()
    (shop / "uploads/link.jpg").symlink_to("same.jpg")
    (shop / "uploads/later.jpg").write_text("later")
    (shop / "uploads/deep/later.jpg").write_text("later, too")
    shutil.rmtree(shop / "invoices")
    (shop / ".env").write_text("A=now\n")


class World:
    """A shop that lived on after its backup."""

    def __init__(self, mongod: Mongod, directory: Path) -> None:
        self.mongod, self.directory, self.shop = mongod, directory, directory / "shop"
        self.name = "restore_files"
        directory.mkdir(exist_ok=True)
        (directory / "env").write_text(f"MONGODB_URI={mongod.uri_for(self.name)}\n")
        with mongod.client() as client:
            client.drop_database(self.name)
            client[self.name].orders.insert_many([{"_id": number} for number in range(20)])
        fill(self.shop)
        self.new = tree(self.shop)
        self.backup = self._back_up("backups")
        self.reset()
        self.safety = self._back_up("safety")

    @property
    def places(self) -> list[dict[str, Any]]:
        names = ("uploads", "invoices", "labels", ".env", "docker-compose.yml")
        return [{"name": name, "path": str(self.shop / name), "optional": True} for name in names]

    def _back_up(self, where: str) -> str:
        (self.directory / where).mkdir()
        params: dict[str, Any] = {
            "env_file": str(self.directory / "env"),
            "dest": str(self.directory / where),
            "fresh_within": "0s",
        }
        params |= {"state_dir": str(self.directory / "state"), "min_free": "1MiB", "include": self.places}
        return str(ok(run_module("mongo_backup", params)).result["path"])

    def reset(self) -> None:
        with self.mongod.client() as client:
            client[self.name].orders.delete_many({"_id": {"$lt": 5}})
            client[self.name].orders.insert_many([{"_id": number} for number in range(100, 110)]) if not client[
                self.name
            ].orders.count_documents({"_id": 100}) else None
        shutil.rmtree(self.shop)
        fill(self.shop)
        live_on(self.shop)
        self.old = tree(self.shop)
        shutil.rmtree(self.directory / "state", ignore_errors=True)

    def params(self, **options: Any) -> dict[str, Any]:
        params: dict[str, Any] = {"src": self.backup, "mode": "restore", "server": "live", "min_free": "1MiB"}
        params |= {"env_file": str(self.directory / "env"), "safety_backup": self.safety, "places": self.places}
        params |= {"components": ["database", "uploads", "invoices", "labels", "config"], "require_maintenance": False}
        return {**params, "state_dir": str(self.directory / "state"), **options}

    def restore(self, **options: Any) -> ModuleResult:
        return run_module("mongo_restore", self.params(**options))

    def orders(self) -> int:
        with self.mongod.client() as client:
            return int(client[self.name].orders.count_documents({}))

    @property
    def restored(self) -> Tree:
        """The backup's, and what it does not hold as it was."""
        return {**self.old, **self.new}

    def require_restored(self) -> None:
        assert tree(self.shop) == self.restored
        assert self.orders() == 20
        self.require_nothing_left()

    def require_as_before(self) -> None:
        assert tree(self.shop) == self.old
        assert self.orders() == 25
        self.require_nothing_left()

    def require_nothing_left(self) -> None:
        state = self.directory / "state"
        assert list(state.glob("*restore*")) == []
        assert list((state / "leftovers").glob("*.json")) == []


@pytest.fixture(scope="module")
def made(mongod: Mongod, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(mongod, tmp_path_factory.mktemp("files"))
    yield world
    with mongod.client() as client:
        client.drop_database(world.name)


@pytest.fixture
def world(made: World) -> World:
    made.reset()
    return made


def test_what_differs_is_replaced_and_what_the_backup_lacks_stays(world: World) -> None:
    would = ok(run_module("mongo_restore", world.params(), check=True, diff=True)).result
    world.require_as_before()
    done = ok(world.restore()).result
    world.require_restored()
    assert would["plan"] == done["plan"]
    assert would["kept"] == done["kept"]
    uploads = next(part for part in done["files"] if part["name"] == "uploads")
    assert uploads["staying"] == ["deep/later.jpg", "later.jpg"]
    assert uploads["replaced"] == ["a.jpg", "deep/er/b.jpg", "link.jpg"]
    assert (uploads["files_created"], uploads["files_same"]) == (2, 2)
    assert done["summary"]["files"] == 7
    assert (
        "files: 5 of uploads, 1 of invoices, 1 of .env; 2 files that it does not hold stay"
        in done["summary"]["headline"]
    )
    assert any(kept["target"] == "labels" for kept in done["kept"])
    assert "passwords that were changed since" in str(done["warnings"])
    assert f"{world.shop}/uploads/a.jpg: as it is now" in would["diff"]["before"]
    again = ok(world.restore()).result
    assert again["changed"] is False and again["plan"] == []


def test_owner_and_mode_come_back_with_the_file(world: World) -> None:
    if os.geteuid():
        pytest.skip("only root gives files to others")
    world.shop.joinpath("invoices").mkdir()
    ok(world.restore(components=["uploads"]))
    assert (world.shop / "uploads/gone/c.jpg").stat().st_mode & 0o7777 == 0o640
    assert tree(world.shop / "invoices") == {}
    assert world.orders() == 25, "the database was not asked for"


def test_only_what_is_asked_for_is_restored(world: World) -> None:
    done = ok(world.restore(components=["database"])).result
    assert tree(world.shop) == world.old
    assert world.orders() == 20
    assert {kept["target"] for kept in done["kept"]} == {"uploads", "invoices", ".env", "docker-compose.yml"}
    done = ok(world.restore(components=["invoices"])).result
    assert [action["action"] for action in done["actions"]] == ["restore_files"]
    assert (world.shop / "invoices/1.pdf").read_text() == "invoice 1"
    assert tree(world.shop / "uploads") == {
        path.removeprefix("uploads/"): value for path, value in world.old.items() if path.startswith("uploads/")
    }


def test_what_is_not_safe_is_refused(world: World, tmp_path: Path) -> None:
    assert "has said where this installation has it" in world.restore(places=world.places[:1]).msg
    assert "the database is not among the components" in world.restore(components=["uploads"], collections=["x"]).msg
    bare = {"env_file": str(world.directory / "env"), "dest": str(tmp_path), "fresh_within": "0s", "min_free": "1MiB"}
    safety = ok(run_module("mongo_backup", {**bare, "state_dir": str(world.directory / "state")})).result["path"]
    assert "does not hold uploads, .env, of which files are replaced" in world.restore(safety_backup=safety).msg
    ok(world.restore(safety_backup=safety, components=["invoices"]))
    world.reset()
    (world.shop / "uploads/a.jpg").unlink()
    (world.shop / "uploads/a.jpg").mkdir()
    assert "a directory, or what is no file, stands where" in world.restore().msg
    assert (world.shop / "uploads/a.jpg").is_dir() and world.orders() == 25
    world.require_nothing_left()


def test_a_link_in_the_place_of_a_directory_leads_nothing_out(world: World, tmp_path: Path) -> None:
    shutil.rmtree(world.shop / "uploads/deep")
    (world.shop / "uploads/deep").symlink_to(tmp_path)
    assert "stands where the backup has something else: deep" in world.restore().msg
    assert list(tmp_path.iterdir()) == []


def test_killed_before_any_change_it_is_the_old_shop_or_the_new_one(world: World) -> None:
    """Until it lives to its end. Every other time the next run on the host puts it in order, else the next call does."""
    number, seen = 0, set()
    while True:
        world.reset()
        with world.mongod.client() as client:
            assert client[world.name].orders.count_documents({}) == 25
        result = run_module("mongo_restore", world.params(), kill_at_change=(world.directory, number))
        if result.rc != -signal.SIGKILL:
            break
        if number % 2:
            begun = {"state": "begun", "name": "x", "state_dir": str(world.directory / "state")}
            assert not ok(run_module("maintenance_run", begun)).result.get("warnings"), number
            now, orders = tree(world.shop), world.orders()
            assert (now, orders) in ((world.old, 25), (world.restored, 20)), number
            seen.add(orders)
            world.require_nothing_left()
        else:
            ok(world.restore())
            world.require_restored()
        number += 1 if EXHAUSTIVE else 13
    ok(result)
    world.require_restored()
    assert number > 60
    assert seen == {25, 20}


def test_what_somebody_wrote_while_it_was_half_way_is_kept(world: World) -> None:
    """Killed in the middle of the swap, and the shop was opened: what was uploaded in between is not lost."""
    number = 60
    while True:
        world.reset()
        result = run_module("mongo_restore", world.params(), kill_at_change=(world.directory, number))
        assert result.rc == -signal.SIGKILL, "no kill has left files half way"
        now = tree(world.shop)
        if (now.get("uploads/a.jpg") or [b""])[0] == b"a then" and any(
            ".old" in path or "/old/" in path for path in now
        ):
            break
        number += 5
    (world.shop / "uploads/a.jpg").write_text("precious")
    begun = {"state": "begun", "name": "x", "state_dir": str(world.directory / "state")}
    warnings = ok(run_module("maintenance_run", begun)).result["warnings"]
    (kept,) = world.shop.glob("uploads/.miniecom_restore.*/kept/*")
    assert kept.read_text() == "precious"
    assert str(kept) in str(warnings)
    shutil.rmtree(kept.parents[1])
    world.require_as_before()


def test_a_file_that_cannot_take_its_place_brings_everything_back(world: World) -> None:
    if os.geteuid():
        pytest.skip("chattr needs root")
    immutable = world.shop / "uploads/deep/er/b.jpg"
    if subprocess.run(["chattr", "+i", immutable], capture_output=True).returncode:
        pytest.skip("this file system knows no immutable files")
    try:
        result = world.restore()
        assert "cannot rename a file" in result.msg
        assert "The database is as it was before" in result.msg
        world.require_as_before()
    finally:
        subprocess.run(["chattr", "-i", immutable], check=True)


def test_the_environment_file_that_the_server_is_reached_with_is_there_at_any_moment(world: World) -> None:
    """Whoever puts a killed restore in order reads the connection string there."""
    environment, uri = world.shop / ".env", f"MONGODB_URI={world.mongod.uri_for(world.name)}\n"
    environment.write_text(uri + "A=then\n")
    params = world.params(env_file=str(environment), components=["config"], src=world._back_up("with_uri"))
    environment.write_text(uri + "A=now\n")
    params["safety_backup"] = world._back_up("safe_with_uri")
    number = 0
    while True:
        environment.write_text(uri + "A=now\n")
        result = run_module("mongo_restore", params, kill_at_change=(world.shop, number))
        if result.rc != -signal.SIGKILL:
            break
        assert uri in environment.read_text(), number
        ok(run_module("mongo_restore", params))
        assert environment.read_text() == uri + "A=then\n"
        number += 1
    ok(result)
    assert number > 5
    world.require_nothing_left()
