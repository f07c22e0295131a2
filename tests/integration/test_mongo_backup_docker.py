# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups and restore tests where the shop runs in containers."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest

from tests.integration.test_mongo_backup import archives, ok, wait_for
from tests.sandbox.engine import Engine
from tests.sandbox.image import shop_images
from tests.sandbox.mongod import free_port
from tests.support.extent import EXHAUSTIVE
from tests.support.modules import finish_module, run_module, start_module

pytestmark = pytest.mark.docker
PASSWORD = "canary-of-the-container"


@pytest.fixture(scope="module")
def shop(docker_engine: Engine) -> Iterator[dict[str, Any]]:
    """mongo with a published port, and an API container with uploads in its writable layer."""
    images = shop_images(docker_engine)
    port = free_port()
    credentials = ["-e", "MONGO_INITDB_ROOT_USERNAME=admin", "-e", f"MONGO_INITDB_ROOT_PASSWORD={PASSWORD}"]
    docker_engine.docker(
        "run", "-d", "--name=test_mongo", f"--publish=127.0.0.1:{port}:27017", *credentials, images.mongo
    )
    docker_engine.docker("create", "--name=test_api", images.base, "sleep", "1000")
    uri = f"mongodb://admin:{PASSWORD}@mongo:27017/shop?authSource=admin"
    with pymongo.MongoClient(
        uri.replace("mongo:27017", f"127.0.0.1:{port}"), serverSelectionTimeoutMS=60000, directConnection=True
    ) as client:

        def answers() -> bool:
            try:
                client.shop.command("listCollections")
            except pymongo.errors.PyMongoError:
                return False
            return True

        wait_for(answers, 90)
        client.shop.orders.insert_many([{"n": i, "x": "y" * 200} for i in range(3000)])
        client.shop.orders.create_index("n", unique=True)
    yield {"uri": uri, "address": f"127.0.0.1:{port}", "docker_host": docker_engine.docker_host}
    docker_engine.docker("rm", "-f", "-v", "test_mongo", "test_api")


@pytest.fixture
def uploads(docker_engine: Engine, shop: dict[str, Any], tmp_path: Path) -> Path:
    directory = tmp_path / "uploads"
    (directory / "products").mkdir(parents=True)
    (directory / "products" / "a.jpg").write_bytes(os.urandom(30_000))
    (directory / "products" / "b.txt").write_text("text")
    # Its content: another test's directory may be there already, and would else get this one inside it.
    docker_engine.docker("cp", f"{directory}/.", "test_api:/srv/uploads")
    return directory


@pytest.fixture
def params(shop: dict[str, Any], tmp_path: Path, state_dir: Path) -> dict[str, Any]:
    (tmp_path / "dest").mkdir()
    return {**shop, "dest": str(tmp_path / "dest"), "state_dir": str(state_dir), "min_free": "1MiB"}


def containers(engine: Engine) -> list[str]:
    return sorted(engine.docker("ps", "-a", "--format={{.Names}}").split())


def test_uploads_in_a_containers_writable_layer_are_saved_and_it_all_restores(
    docker_engine: Engine, params: dict[str, Any], shop: dict[str, Any], uploads: Path, tmp_path: Path
) -> None:
    params["include"] = [
        {"name": "uploads", "path": "/srv/uploads", "container": "test_api"},
        {"name": "labels", "path": "/srv/labels", "container": "test_api", "optional": True},
        {"name": "invoices", "path": "/srv/invoices", "container": "gone", "optional": True},
    ]
    would = ok(run_module("mongo_backup", params, check=True))
    assert would.result["summary"]["missing"] == ["labels", "invoices"]
    result = ok(run_module("mongo_backup", params))
    assert result.result["summary"]["components"] == ["uploads"]
    assert PASSWORD not in result.output
    (path,) = archives(tmp_path / "dest")
    target = tmp_path / "unpacked"
    target.mkdir()
    subprocess.run(["tar", "xzf", path, "-C", target], check=True)
    subprocess.run(["diff", "-r", uploads, target / path.name.split(".")[0] / "uploads"], check=True)
    assert not ok(run_module("mongo_backup", params)).changed

    before, volumes = containers(docker_engine), docker_engine.docker("volume", "ls", "-q")
    test = {**shop, "src": str(path), "state_dir": params["state_dir"], "min_free": "1MiB"}
    restored = ok(run_module("mongo_restore", test))
    assert restored.result["summary"]["restored"]
    assert restored.result["summary"]["documents"] == 3000
    assert "image of the container test_mongo" in restored.result["plan"][0]["reason"]
    assert containers(docker_engine) == before
    assert docker_engine.docker("volume", "ls", "-q") == volumes


def test_what_the_database_names_is_looked_for_in_the_container(
    docker_engine: Engine, params: dict[str, Any], shop: dict[str, Any], tmp_path: Path
) -> None:
    directory = tmp_path / "pictures"
    (directory / "sub").mkdir(parents=True)
    docker_engine.docker("cp", str(directory), "test_api:/srv/pictures")
    params["include"] = [{"name": "uploads", "path": "/srv/pictures", "container": "test_api", "optional": True}]

    def lacking() -> str:
        result = ok(run_module("mongo_backup", params, check=True)).result["summary"]
        assert ("WARNING" in result["headline"]) == bool(result["lacking"])
        return str(result["lacking"].get("uploads", ""))

    with pymongo.MongoClient(
        shop["uri"].replace("mongo:27017", shop["address"]), serverSelectionTimeoutMS=60000, directConnection=True
    ) as client:
        assert lacking() == ""
        client.shop.products.insert_many([{"images": [f"/uploads/sub/{n}.jpg"]} for n in range(60)])
        try:
            assert lacking().startswith("empty, though")
            (directory / "README").write_text("x" * 2_000_000)
            docker_engine.docker("cp", f"{directory}/.", "test_api:/srv/pictures")
            # Each file is a request to the engine: so many and no more.
            assert "none of the 50 files that the database names in its newest documents" in lacking()
            (directory / "sub" / "30.jpg").write_text("image")
            docker_engine.docker("cp", f"{directory}/.", "test_api:/srv/pictures")
            assert lacking() == ""
            params["include"][0]["path"] = "/srv/nowhere"
            assert lacking().startswith("not found, though")
        finally:
            client.shop.products.drop()


def test_a_directory_that_is_a_link_in_the_container_is_saved_and_not_the_bare_link(
    docker_engine: Engine, params: dict[str, Any], uploads: Path, tmp_path: Path
) -> None:
    (tmp_path / "links").mkdir()
    for name, target in (("to-directory", "uploads"), ("to-nothing", "/srv/nothing"), ("to-link", "to-directory")):
        (tmp_path / "links" / name).symlink_to(target)
        docker_engine.docker("cp", str(tmp_path / "links" / name), f"test_api:/srv/{name}")
    docker_engine.docker("cp", str(uploads / "products" / "b.txt"), "test_api:/srv/plain.txt")
    params["include"] = [
        {"name": "uploads", "path": "/srv/to-link", "container": "test_api"},
        {"name": "labels", "path": "/srv/to-nothing", "container": "test_api", "optional": True},
        {"name": "plain", "path": "/srv/plain.txt", "container": "test_api"},
    ]
    result = ok(run_module("mongo_backup", params))
    assert result.result["summary"]["missing"] == ["labels"]
    (path,) = archives(tmp_path / "dest")
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    subprocess.run(["tar", "xzf", path, "-C", unpacked], check=True)
    directory = unpacked / path.name.split(".")[0]
    assert not (directory / "uploads").is_symlink()
    subprocess.run(["diff", "-r", uploads, directory / "uploads"], check=True)
    assert (directory / "plain").read_text() == "text"
    params["include"][1]["optional"] = False
    result = run_module("mongo_backup", {**params, "fresh_within": "0"})
    assert result.failed
    assert "/srv/to-nothing" in result.msg


def test_what_is_missing_or_cannot_be_asked_for_is_never_left_out_silently(
    params: dict[str, Any], shop: dict[str, Any], tmp_path: Path
) -> None:
    params["include"] = [{"name": "uploads", "path": "/srv/nothing", "container": "test_api"}]
    result = run_module("mongo_backup", params)
    assert result.failed
    assert "test_api:/srv/nothing" in result.msg
    # Optional means that it may be missing, not that nobody looks.
    params["include"][0]["optional"] = True
    params["docker_host"] = f"unix://{tmp_path}/no-engine.sock"
    result = run_module("mongo_backup", params)
    assert result.failed
    assert "no Docker Engine" in result.msg
    assert os.listdir(tmp_path / "dest") == []


def test_a_killed_restore_test_leaves_no_container_behind_for_long(
    docker_engine: Engine, params: dict[str, Any], shop: dict[str, Any], tmp_path: Path
) -> None:
    ok(run_module("mongo_backup", params))
    test = {**shop, "src": str(tmp_path / "dest"), "state_dir": params["state_dir"], "min_free": "1MiB"}
    before = containers(docker_engine)
    process = start_module("mongo_restore", test)
    wait_for(lambda: containers(docker_engine) != before, 60)
    process.send_signal(signal.SIGKILL)
    finish_module(process)
    result = ok(run_module("mongo_restore", test))
    assert result.changed
    assert containers(docker_engine) == before
    assert list(Path(params["state_dir"]).glob("restore-test-*")) == []


def in_container(engine: Engine, path: str, directory: Path) -> dict[str, bytes]:
    """The files below a path of the API's container."""
    shutil.rmtree(directory, ignore_errors=True)
    engine.docker("cp", f"test_api:{path}", str(directory))
    return {str(file.relative_to(directory)): file.read_bytes() for file in directory.rglob("*") if file.is_file()}


def test_files_go_back_into_a_containers_writable_layer(
    docker_engine: Engine, params: dict[str, Any], shop: dict[str, Any], tmp_path: Path
) -> None:
    """The container is stopped, as while a shop is restored: its engine puts them there."""
    then, now = tmp_path / "then", tmp_path / "now"
    for directory, files in (
        (then, {"a.jpg": "a then", "deep/b.jpg": "b then", "same.jpg": "same"}),
        (now, {"a.jpg": "a now", "same.jpg": "same", "later.jpg": "later"}),
    ):
        for name, text in files.items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(text)
    docker_engine.docker("cp", "-a", str(then), "test_api:/srv/files")
    docker_engine.docker("cp", "-a", str(then), "test_api:/srv/lost")
    include = [
        {"name": "uploads", "path": "/srv/files", "container": "test_api"},
        {"name": "invoices", "path": "/srv/lost", "container": "test_api"},
    ]
    path = ok(run_module("mongo_backup", {**params, "include": include})).result["path"]
    # Another path than then, in which nothing is: as in a container that was made anew.
    places = [include[0], {**include[1], "path": "/srv/invoices"}]
    restore = {key: params[key] for key in ("uri", "address", "docker_host", "state_dir", "min_free")}
    restore |= {
        "src": path,
        "mode": "restore",
        "server": "live",
        "components": ["uploads", "invoices"],
        "places": places,
    }
    restore |= {"safety_backup": path, "require_maintenance": False, "allow_clients": True}
    state = Path(params["state_dir"])

    def lose() -> None:
        docker_engine.docker("rm", "-f", "test_api")
        docker_engine.docker("create", "--name=test_api", shop_images(docker_engine).base, "sleep", "1000")
        docker_engine.docker("cp", "-a", str(now), "test_api:/srv/files")

    def require_restored() -> None:
        found = in_container(docker_engine, "/srv/files", tmp_path / "out")
        assert found == {
            "a.jpg": b"a then",
            "deep/b.jpg": b"b then",
            "same.jpg": b"same",
            "later.jpg": b"later",
        }
        found = in_container(docker_engine, "/srv/invoices", tmp_path / "out")
        assert found == {"a.jpg": b"a then", "deep/b.jpg": b"b then", "same.jpg": b"same"}
        assert [*state.glob("*restore*"), *state.glob(".miniecom_restore*"), *state.glob("leftovers/*.json")] == []

    lose()
    before = in_container(docker_engine, "/srv/files", tmp_path / "out")
    ok(run_module("mongo_restore", restore, check=True))
    assert in_container(docker_engine, "/srv/files", tmp_path / "out") == before
    done = ok(run_module("mongo_restore", restore)).result
    require_restored()
    (uploads, _invoices) = done["files"]
    assert uploads["place"] == "test_api:/srv/files"
    assert (uploads["files_created"], uploads["files_replaced"], uploads["staying"]) == (1, 1, ["later.jpg"])
    assert not ok(run_module("mongo_restore", restore)).changed

    docker_engine.docker("rm", "-f", "test_api")
    docker_engine.docker("create", "--name=test_api", shop_images(docker_engine).base, "sleep", "1000")


def entries_in_container(engine: Engine, path: str) -> dict[str, tuple[Any, ...]]:
    """What is below a path of the API's container, with owner, mode and a digest of each file."""
    command = ["docker", "cp", f"test_api:{path}", "-"]
    sent = subprocess.run(command, env=engine.environment(), check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(sent)) as tar:
        return {
            info.name: (info.type, info.mode & 0o7777, info.uid, info.gid, hashlib.sha256(source.read()).hexdigest())
            if (source := tar.extractfile(info) if info.isreg() else None)
            else (info.type, info.mode & 0o7777, info.uid, info.gid, info.linkname)
            for info in tar
        }


def read_bytes(pid: int) -> int:
    """How far a process has read what goes into a container; -1 where it does not read it."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if link.readlink().name == "put.tar":
                told = Path(f"/proc/{pid}/fdinfo/{link.name}").read_text().split()
                return int(told[1]) if int(told[3], 8) & os.O_ACCMODE == os.O_RDONLY else -1
    return -1


def stop_while_it_sends(process: subprocess.Popen[str]) -> None:
    """Stop a process in the middle of what it sends: it has read all of it once before, to know what must be there."""
    furthest = 0
    while process.poll() is None:
        now = read_bytes(process.pid)
        if 10_000_000 < now < furthest:
            process.send_signal(signal.SIGSTOP)
            assert read_bytes(process.pid) < 90_000_000, "it was to be stopped in the middle"
            return
        furthest = max(furthest, now)
        time.sleep(0.002)
    raise AssertionError("it has ended: " + finish_module(process).msg)


def test_killed_while_the_engine_puts_files_the_next_call_puts_them_with_owner_and_mode(
    docker_engine: Engine, params: dict[str, Any], tmp_path: Path
) -> None:
    """In the middle of what is sent; what came to stand there since the backup stays."""
    if os.geteuid():
        pytest.skip("files of other owners need root")
    files = tmp_path / "files"
    (files / "deep").mkdir(parents=True)
    for number in range(6):
        path = files / "deep" / f"{number}.jpg"
        path.write_bytes(os.urandom(16_000_000))
        os.chown(path, 1000 + number, 2000 + number)
        path.chmod(0o600 + number)
    (files / "link.jpg").symlink_to("deep/0.jpg")
    os.chown(files / "deep", 1234, 4321)
    (files / "deep").chmod(0o2750)
    docker_engine.docker("cp", "-a", str(files), "test_api:/srv/putting")
    wanted = entries_in_container(docker_engine, "/srv/putting")
    assert wanted["putting/deep/3.jpg"][1:4] == (0o603, 1003, 2003)
    assert wanted["putting/deep"][1:4] == (0o2750, 1234, 4321)
    place = {"name": "uploads", "path": "/srv/putting", "container": "test_api"}
    backup = ok(run_module("mongo_backup", {**params, "include": [place]})).result["path"]
    docker_engine.docker("rm", "-f", "test_api")
    docker_engine.docker("create", "--name=test_api", shop_images(docker_engine).base, "sleep", "1000")
    docker_engine.docker("cp", "-a", f"{write_later(tmp_path)}/.", "test_api:/srv/putting")
    restore = {key: params[key] for key in ("uri", "address", "docker_host", "state_dir", "min_free")}
    restore |= {"src": backup, "mode": "restore", "server": "live", "components": ["uploads"], "places": [place]}
    restore |= {"safety_backup": backup, "require_maintenance": False, "allow_clients": True}
    for _time in range(2 if EXHAUSTIVE else 1):
        process = start_module("mongo_restore", restore)
        stop_while_it_sends(process)
        process.kill()
        finish_module(process)
        assert entries_in_container(docker_engine, "/srv/putting")["putting/later.jpg"]
    ok(run_module("mongo_restore", restore))
    found = entries_in_container(docker_engine, "/srv/putting")
    assert found.pop("putting/later.jpg")
    assert found == wanted
    state = Path(params["state_dir"])
    assert [*state.glob("*restore*"), *state.glob(".miniecom_restore*"), *state.glob("leftovers/*.json")] == []
    assert not ok(run_module("mongo_restore", restore)).changed
    docker_engine.docker("rm", "-f", "test_api")
    docker_engine.docker("create", "--name=test_api", shop_images(docker_engine).base, "sleep", "1000")


def write_later(directory: Path) -> Path:
    """A directory with a file that came after the backup."""
    (directory / "later").mkdir()
    (directory / "later/later.jpg").write_text("later")
    return directory / "later"


def test_a_container_that_is_gone_is_told_and_changes_nothing(
    docker_engine: Engine, params: dict[str, Any], shop: dict[str, Any], uploads: Path
) -> None:
    include = [{"name": "uploads", "path": "/srv/uploads", "container": "test_api"}]
    path = ok(run_module("mongo_backup", {**params, "include": include})).result["path"]
    restore = {key: params[key] for key in ("uri", "address", "docker_host", "state_dir", "min_free")}
    restore |= {"src": path, "mode": "restore", "server": "live", "components": ["uploads"]}
    result = run_module("mongo_restore", {**restore, "places": [{**include[0], "container": "gone"}]})
    assert result.failed
    assert "gone" in result.msg
