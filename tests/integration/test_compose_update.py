# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""compose_update against a real engine, compose and a registry: newer images, builds, and every way in which an update goes wrong."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.engine import Engine
from tests.sandbox.image import Image, program_image
from tests.sandbox.mongod import Mongod, free_port
from tests.support.extent import EXHAUSTIVE
from tests.support.modules import ModuleResult, finish_module, run_module, start_module
from tests.support.registry import Registry

HEALTH = b'{"status": "ok", "mongoConnected": true}'
SERVE = ["httpd", "-f", "-h", "/www", "-p", "3001"]
FILE = """\
name: updates
services:
  mongo:
    image: {host}/shop/mongo:6
    command: [sleep, "100000"]
    stop_grace_period: 0s
    volumes: ["data:/data/db"]
  api:
    image: {host}/shop/api:1
    env_file: .env
    depends_on: [mongo]
    stop_grace_period: 0s
    ports: ["127.0.0.1:{port}:3001"]
    volumes: ["storage:/app/storage"]
  web:
    build: .
    profiles: [front]
    stop_grace_period: 0s
    command: [sleep, "100000"]
  old:
    image: {host}/shop/api:1
    profiles: [never]
volumes:
  data: {{}}
  storage: {{}}
"""
# Of the changes to the state directory: when the data are copied out, and after they are put back.
KILLED = (35, 38)
# The call is killed when compose is to make containers, and when it has made them.
DYING = """\
#!/bin/sh
case "$DOCKER_KILLED $*" in
    *--dry-run*) ;;
    before*" up "*) kill -9 $PPID; sleep 600;;
    after*" up "*) trap "" TERM; {docker} "$@" < /dev/null; kill -9 $PPID; exit 1;;
esac
exec {docker} "$@"
"""
DOCKERFILE = """\
FROM {host}/shop/api:1
RUN {command}
"""


def api(version: str, command: list[str] | None = None, health: bytes = HEALTH) -> Image:
    files: dict[str, Path | bytes | str] = {
        "www/api/health": health,
        "www/version": version.encode(),
        "app/shipped": b"x",
    }
    return program_image(files, {"Cmd": command or SERVE, "WorkingDir": "/app"}, {})


def database(version: str) -> Image:
    files: dict[str, Path | bytes | str] = {"bin/mongod": f"#!/bin/sh\necho db version v{version}\n".encode()}
    return program_image(files, {"Cmd": ["sleep", "100000"]}, {"bin/mongod": 0o755})


class World:
    """A shop of three services whose images come from a registry."""

    def __init__(self, engine: Engine, registry: Registry, root: Path) -> None:
        self.engine, self.registry, self.root, self.port = engine, registry, root, free_port()
        environment = engine.environment()
        self.env = {name: environment[name] for name in ("PATH", "DOCKER_CONFIG")}

    def raise_shop(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        (self.root / "shop/backend").mkdir(parents=True)
        self.registry.cut = self.registry.silent = False
        self.registry.push("shop/api:1", api("one"))
        self.registry.push("shop/mongo:6", database("6.0.5"))
        self.write()
        # An image of another test may still have the name.
        self.compose("pull", "--quiet", "mongo", "api")
        self.compose("up", "--detach", "--build")
        self.fill()

    def fill(self) -> None:
        """What customers leave in the shop."""
        self.sh(
            "api", "mkdir -p /app/uploads/2026; echo photo > /app/uploads/2026/a.jpg; chmod 640 /app/uploads/2026/a.jpg"
        )
        self.sh(
            "api",
            "ln -s 2026/a.jpg /app/uploads/newest; echo order > /app/storage/invoice; mkdir -p /tmp; echo x > /tmp/x",
        )

    def write(self, **changes: str) -> None:
        text = FILE.format(host=self.registry.host, port=self.port)
        for before, after in changes.items():
            text = text.replace(before, after)
        (self.shop / "docker-compose.yml").write_text(text)
        (self.shop / ".env").write_text("TOKEN=tell-nobody-2026\nCOMPOSE_REMOVE_ORPHANS=true\n")
        self.dockerfile("true")

    def dockerfile(self, command: str) -> None:
        (self.shop / "Dockerfile").write_text(DOCKERFILE.format(host=self.registry.host, command=command))

    @property
    def shop(self) -> Path:
        return self.root / "shop"

    def compose(self, *arguments: str) -> str:
        return self.engine.docker("compose", "--profile", "front", *arguments, cwd=self.shop)

    def sh(self, service: str, script: str) -> str:
        return self.engine.docker("exec", f"updates-{service}-1", "sh", "-c", script)

    def ids(self) -> dict[str, str]:
        rows = self.engine.api("GET", "/containers/json?all=1")
        mine = [row for row in rows if row["Labels"].get("com.docker.compose.project") == "updates"]
        return {row["Labels"]["com.docker.compose.service"]: row["Id"] for row in mine}

    def version(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/version", timeout=5) as answer:
            return str(answer.read().decode())

    def parameters(self, **options: Any) -> dict[str, Any]:
        return {
            "root": str(self.shop),
            "docker_host": self.engine.docker_host,
            "state_dir": str(self.root / "state"),
            "probe_url": f"http://127.0.0.1:{self.port}/api/health",
            "patience": "10s",
            "steady": "1s",
            "registry_timeout": "5s",
            "data": [{"service": "api", "path": "/app/uploads"}],
            "build": False,
            "logs_dest": str(self.root / "logs"),
            **options,
        }

    def run(self, action: str = "update", check: bool = False, **options: Any) -> ModuleResult:
        return run_module("compose_update", self.parameters(action=action, **options), check=check, env=dict(self.env))

    def logged(self, container: str) -> str:
        """What was collected of a container's log."""
        found = sorted((self.root / "logs").glob(f"*/*{container[:12]}*.gz"))
        return "".join(gzip.decompress(path.read_bytes()).decode() for path in found)

    def assert_as_before(self, version: str = "one", copies: bool = False) -> None:
        """The shop serves its version, with its customers' data, and compose itself has nothing to do."""
        assert self.version() == version
        listed = self.sh(
            "api",
            "cat /app/uploads/2026/a.jpg; ls -ln /app/uploads/2026/a.jpg /app/uploads/newest; cat /app/storage/invoice",
        )
        assert listed.startswith("photo\n-rw-r-----") and "-> 2026/a.jpg" in listed and listed.endswith("order\n")
        # One that was killed after its work was done leaves a copy, which the next one overwrites.
        assert copies or not list((self.root / "state/updates").glob("*/*.tar"))


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with Registry() as made:
        yield made


@pytest.fixture
def world(docker_engine: Engine, registry: Registry, tmp_path: Path) -> Iterator[World]:
    made = World(docker_engine, registry, tmp_path)
    try:
        made.raise_shop()
        yield made
    finally:
        made.write()
        made.compose("down", "--volumes", "--timeout", "0", "--remove-orphans")


def good(result: ModuleResult) -> dict[str, Any]:
    assert not result.failed, result.msg
    assert "tell-nobody-2026" not in result.stdout
    return result.result


def test_without_a_registry_nobody_says_that_nothing_is_newer(world: World) -> None:
    world.write(**{"image: ": "pull_policy: never\n    image: "})
    told = good(world.run("report"))
    assert told["summary"]["headline"].startswith("no registry was asked")


def test_newer_images_are_told_taken_and_gone_back_from(world: World) -> None:
    told = good(world.run("report"))
    assert told["changed"] is False and told["summary"]["headline"] == "no newer images"
    assert {row["service"]: row["state"] for row in told["images"]} == {
        "api": "up to date",
        "mongo": "up to date",
        "web": "unknown",
    }
    assert good(world.run())["changed"] is False

    world.registry.push("shop/api:1", api("two"))
    world.registry.push("shop/mongo:6", database("6.0.6"))
    told = good(world.run("report"))
    host = world.registry.host
    assert told["summary"]["headline"] == f"2 images with newer versions: {host}/shop/api:1, {host}/shop/mongo:6"
    assert told["obstacles"] == [] and told["plan"] == []

    before = world.ids()
    checked = good(world.run(check=True))
    assert checked["changed"] is True and world.ids() == before
    assert [(item["action"], item["target"]) for item in checked["plan"]] == [
        ("record", "api"),
        ("pull", f"{host}/shop/api:1"),
        ("replace", "api"),
    ]
    assert "copied out and put back: api:/app/uploads" in checked["plan"][2]["reason"]
    assert f"what they have logged is collected before, into {world.root / 'logs'}" in checked["plan"][2]["reason"]
    assert not (world.root / "logs").exists()
    assert not (world.root / "state/updates").exists()

    world.sh("api", "echo last words > /proc/1/fd/1")
    done = good(world.run())
    assert done["changed"] is True and done["plan"] == checked["plan"]
    assert [action["status"] for action in done["actions"]] == ["done"] * 3
    steps = ["stop", "copy out", "collect the log", "recreate", "put back", "start"]
    assert [step["step"] for step in done["steps"]] == steps
    assert "stdout F last words\n" in world.logged(before["api"])
    world.assert_as_before("two")
    (path,) = (world.root / "state/updates").glob("*/journal.json")
    journal = json.loads(path.read_text())
    assert journal["phase"] == "done" and journal["services"]["api"]["digests"]
    assert path.stat().st_mode & 0o077 == 0 and path.parent.stat().st_mode & 0o077 == 0
    after = world.ids()
    assert {name for name in after if after[name] != before[name]} == {"api"}
    # What a person does next must not make compose replace it again, with all that customers have uploaded.
    world.compose("up", "--detach", "--no-build")
    assert world.ids() == after
    assert good(world.run())["changed"] is False

    world.sh("api", "echo later > /app/uploads/later")
    back = good(world.run("undo", check=True))
    assert back["changed"] is True and world.ids() == after
    assert good(world.run("undo"))["changed"] is True
    world.assert_as_before("one")
    assert world.sh("api", "cat /app/uploads/later") == "later\n"
    assert good(world.run("undo"))["changed"] is False


def test_only_the_files_and_variables_that_it_was_raised_with_count(world: World) -> None:
    """An override for development beside them, and the file of variables that is taken by default, are not this shop's."""
    world.write(**{"env_file: .env": 'env_file: .env\n    environment: {MODE: "${MODE:-unset}"}'})
    (world.shop / "production.env").write_text("MODE=production\n")
    given = ("--file", "docker-compose.yml", "--env-file", "production.env")
    world.compose(*given, "up", "--detach", "--force-recreate", "--build")
    world.fill()
    override = world.shop / "docker-compose.override.yml"
    override.write_text("services: {api: {environment: {MODE: development}}}\n")
    world.registry.push("shop/api:1", api("two"))
    good(world.run())
    world.assert_as_before("two")
    config = world.engine.api("GET", f"/containers/{world.ids()['api']}/json")["Config"]
    assert "MODE=production" in config["Env"]
    assert config["Labels"]["com.docker.compose.project.config_files"] == str(world.shop / "docker-compose.yml")
    override.unlink()


def test_what_is_left_of_a_service_that_the_files_know_no_more_stays(world: World) -> None:
    """Also where the project's own environment file tells compose to remove it."""
    for service in ("gone", "old"):
        labels = [
            f"--label=com.docker.compose.{name}" for name in ("project=updates", f"service={service}", "oneoff=False")
        ]
        number = ("--label=com.docker.compose.container-number=1", "--label=com.docker.compose.config-hash=x")
        world.engine.docker(
            "create", f"--name=updates-{service}-1", *labels, *number, f"{world.registry.host}/shop/api:1"
        )
    try:
        before = world.ids()
        world.registry.push("shop/api:1", api("two"))
        assert good(world.run())["changed"] is True
        after = world.ids()
        # Nor is a service started, or made anew, that did not run.
        assert {name for name in before if after.get(name) != before[name]} == {"api"} and "gone" in after
        assert "old" not in world.compose("ps", "--services", "--status", "running").split()
        world.assert_as_before("two")
    finally:
        # Nobody else would.
        world.engine.docker("rm", "--force", "updates-gone-1", "updates-old-1")


def test_the_database_only_when_it_is_named_and_never_to_another_major_version(world: World) -> None:
    world.registry.push("shop/mongo:6", database("7.0.1"))
    before = world.ids()
    assert good(world.run())["changed"] is False
    refused = world.run(services=["mongo"])
    assert refused.failed and "would move from MongoDB 6.0 to 7.0" in refused.msg and "runs as before" in refused.msg
    assert [action["status"] for action in refused.result["actions"]] == ["done", "done", "failed"]
    assert world.ids() == before
    world.registry.push("shop/mongo:6", database("6.0.9"))
    assert good(world.run(services=["mongo"]))["changed"] is True
    after = world.ids()
    assert {name for name in after if after[name] != before[name]} == {"mongo"}
    assert world.sh("mongo", "mongod") == "db version v6.0.9\n"
    mounts = world.engine.api("GET", f"/containers/{after['mongo']}/json")["Mounts"]
    assert [mount["Name"] for mount in mounts] == ["updates_data"]


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (api("dies", ["false"]), "has ended with 1"),
        (api("ill", health=b'{"status": "ok", "mongoConnected": false}'), "it answers, but has lost its database"),
        (api("no program", ["no-such-program"]), "no-such-program"),
    ][: 3 if EXHAUSTIVE else 2],
    ids=["dies", "is not well", "cannot start"][: 3 if EXHAUSTIVE else 2],
)
def test_what_does_not_come_up_is_taken_back(world: World, image: Image, words: str) -> None:
    world.registry.push("shop/api:1", image)
    failed = world.run(patience="3s")
    # Why it did not come up is what its log is for; it is gone by now.
    collected = [step for step in failed.result["steps"] if step["step"] == "collect the log"]
    assert [step["target"] for step in collected] == ["updates-api-1", "updates-api-1"]
    assert failed.failed and words in failed.msg and "back on the images that ran before" in failed.msg, failed.msg
    assert failed.result["rolled_back"] is True
    assert [action["status"] for action in failed.result["actions"]] == ["done", "done", "failed"]
    world.assert_as_before()


def test_what_goes_wrong_before_anything_runs_touches_nothing(world: World) -> None:
    before = world.ids()
    # Layers that the engine has already are not fetched again.
    world.registry.push("shop/api:1", api("never whole"))
    world.registry.cut = True
    failed = world.run()
    assert failed.failed and "cannot pull the image" in failed.msg and "runs as before" in failed.msg
    world.registry.cut, world.registry.silent = False, True
    for check in (True, False):
        failed = world.run(check=check, registry_timeout="1s")
        assert failed.failed and "the registry does not answer" in failed.msg and "Nothing was done" in failed.msg
    told = good(world.run("report", registry_timeout="1s"))
    assert told["summary"]["unknown"] == 2 and "does not answer" in told["images"][0]["reason"]
    world.registry.silent = False
    world.registry.push("shop/api:1", api("one"))
    world.dockerfile("echo broken; false")
    failed = world.run(build=True)
    assert failed.failed and "cannot build the image" in failed.msg and "runs as before" in failed.msg
    assert world.ids() == before
    world.assert_as_before()
    world.dockerfile("echo built > /built")
    assert good(world.run(build=True, services=["web"]))["changed"] is True
    assert world.sh("web", "cat /built") == "built\n"
    assert good(world.run(build=True))["changed"] is False
    assert good(world.run(build=True, no_cache=True, check=True))["plan"][1]["reason"].startswith(
        "built anew without cache"
    )


def test_it_refuses_what_it_cannot_do_without_loss(world: World) -> None:
    before = world.ids()
    world.registry.push("shop/api:1", api("two"))

    def refused(*words: str, **options: Any) -> None:
        result = world.run(check=True, **options)
        assert result.failed and all(word in result.msg for word in words), result.msg
        assert "tell-nobody" not in result.stdout

    refused("only services that run are updated, and old does not", services=["old"])
    world.sh("api", "echo secret-notes > /app/notes")
    refused("lies what nobody has called data or not: /app/notes")
    told = good(world.run("report"))
    assert len(told["obstacles"]) == 1 and "/app/notes" in told["obstacles"][0]
    world.sh("api", "rm /app/notes")
    world.write(**{"storage:/app/storage": "moved:/app/storage", "storage: {}": "moved: {}"})
    refused(
        "would not have its volumes any more: /app/storage (volume updates_storage, by the files volume updates_moved)"
    )
    world.write()
    (world.shop / ".env").write_text("TOKEN=another-one\nMORE=1\nCOMPOSE_REMOVE_ORPHANS=true\n")
    refused("other variables than it runs with (MORE, TOKEN)")
    world.write(
        **{'command: [sleep, "100000"]\n    stop_grace_period: 0s\n    volumes': 'command: [sleep, "9"]\n    volumes'}
    )
    refused("compose would replace updates-mongo-1 as well")
    world.write(**{"  api:": "  shop:"})
    refused("api runs, and the files do not define it")
    world.write()
    (world.shop / "docker-compose.yml").rename(world.shop / "x.yml")
    refused("is not there (a comma in a file's name")
    assert world.ids() == before
    assert good(world.run(files=[str(world.shop / "x.yml")]))["changed"] is True
    world.assert_as_before("two")


def test_a_project_that_nobody_knows(world: World) -> None:
    nowhere = world.root / "nowhere"
    result = world.run("report", root=str(nowhere))
    assert (
        result.failed and "no compose project of the shop runs here" in result.msg and "project updates" in result.msg
    )
    result = run_module("compose_update", world.parameters(docker_host=f"unix://{nowhere}.sock"), env=dict(world.env))
    assert result.failed and "the socket does not exist" in result.msg
    result = world.run("report", docker_program="/no/such/docker")
    assert result.failed and "docker-compose-plugin" in result.msg


def test_a_project_whose_files_its_containers_do_not_name(world: World) -> None:
    """From standard input, from a file with a comma in its name, and from one that brings in another."""
    file = world.shop / "docker-compose.yml"

    def raised(name: str, **options: Any) -> None:
        world.compose("down", "--timeout", "0")
        profile = ("--project-name", "updates", "--profile", "front")
        up = ("up", "--detach", "--no-build")
        world.engine.docker("compose", *profile, "-f", name, *up, cwd=world.shop, **options)

    raised("-", input=file.read_text())
    result = world.run("report")
    assert result.failed and "standard input" in result.msg and "app_update_files" in result.msg
    named = {"files": [str(file)], "project_directory": str(world.shop)}
    assert good(world.run("report", **named))["summary"]["images"] == 3

    (world.shop / "the shop, all.yml").write_text(file.read_text())
    raised("the shop, all.yml")
    result = world.run("report")
    assert result.failed and "a comma in a file's name" in result.msg and "app_update_files" in result.msg
    named["files"] = [str(world.shop / "the shop, all.yml")]
    assert good(world.run("report", **named))["summary"]["images"] == 3

    # The label names the first file alone, which compose follows as long as it is there.
    (world.shop / "main.yml").write_text(f"include: [{file.name}]\n")
    raised("main.yml")
    assert good(world.run("report"))["summary"]["images"] == 3
    (world.shop / "main.yml").write_text("services: {}\n")
    result = world.run("report")
    assert result.failed and "runs, and the files do not define it" in result.msg and "app_update_files" in result.msg
    assert good(world.run("report", files=[str(file)]))["summary"]["images"] == 3


def test_a_killed_update_is_brought_back(world: World) -> None:
    """Killed just before a change to what is written down, between which each thing is done to containers."""
    world.registry.push("shop/api:1", api("two"))
    state = world.root / "state"
    good(world.run(check=True))
    settled = 0
    for number in range(1000) if EXHAUSTIVE else KILLED:
        killed = run_module(
            "compose_update", world.parameters(action="update"), env=dict(world.env), kill_at_change=(state, number)
        )
        if killed.rc != -signal.SIGKILL:
            assert EXHAUSTIVE and not killed.failed, killed.msg
            break
        told = good(world.run(check=True))
        if [item["action"] for item in told["plan"]] == ["settle"]:
            settled += 1
            assert "taken back" in good(world.run())["summary"]["headline"]
            world.assert_as_before("one")
        elif world.version() == "two":
            world.sh("api", "cat /app/uploads/2026/a.jpg")
            good(world.run("undo"))
        world.assert_as_before("one", copies=True)
    assert settled >= 2
    # In the middle of compose's own work, which ends with the call that began it.
    dying = world.root / "docker"
    dying.write_text(DYING.format(docker=shutil.which("docker", path=world.env["PATH"])))
    dying.chmod(0o755)
    for when in ("before", "after") if EXHAUSTIVE else ("after",):
        world.registry.push("shop/api:1", api("one" if world.version() == "two" else "two"))
        version = world.version()
        killed = run_module(
            "compose_update",
            world.parameters(action="update", docker_program=str(dying)),
            env={**world.env, "DOCKER_KILLED": when},
        )
        assert killed.rc == -signal.SIGKILL, killed.msg
        assert [item["action"] for item in good(world.run(check=True))["plan"]] == ["settle"]
        good(world.run())
        world.assert_as_before(version)


def test_after_migrations_nothing_goes_back_by_itself(world: World, mongod: Mongod, mongo_database: str) -> None:
    connection = {"uri": mongod.uri_for(mongo_database), "database": mongo_database}
    with closing(mongod.client()) as client:
        migrations = client[mongo_database].migrations
        migrations.insert_one({"name": "0041"})
        world.registry.push("shop/api:1", api("migrates", health=b'{"status": "ok", "mongoConnected": false}'))
        more = {"connection": connection, "backup": "/b/20261129.tar.gz"}
        process = begun(world, "migrates", patience="60s", **more)
        migrations.insert_one({"name": "0042"})
        world.engine.docker("kill", "updates-api-1")
        failed = finish_module(process)
        assert failed.failed and "migrations have run (migrations)" in failed.msg, failed.msg
        assert failed.result["rolled_back"] is False
        world.engine.docker("start", "updates-api-1")
        wait_until_served(world, "migrates")
        assert failed.result["restore_command"].endswith("-e backup_restore_src=/b/20261129.tar.gz")
        # A person has decided: the old image, and then the old data.
        good(world.run("undo", connection=connection))
        world.assert_as_before("one")

        # Nor where the call that would say so is killed.
        world.registry.push("shop/api:1", api("migrates too"))
        process = begun(world, "migrates too", steady="60s", **more)
        process.kill()
        finish_module(process)
        migrations.insert_one({"name": "0043"})
        (planned,) = good(world.run(check=True, connection=connection))["plan"]
        assert planned["action"] == "settle" and "migrations have run (migrations)" in planned["reason"]
        brought = good(world.run(connection=connection))
        assert "was brought to its end" in brought["summary"]["headline"]
        world.assert_as_before("migrates too")
        good(world.run("undo", connection=connection))
    world.assert_as_before("one")


def test_a_disk_that_is_full_in_the_middle_of_a_pull(world: World) -> None:
    before = world.ids()
    large = program_image(
        {"www/version": b"two", "large": os.urandom(6 << 20)}, {"Cmd": SERVE, "WorkingDir": "/app"}, {}
    )
    world.registry.push("shop/api:1", large)
    # Where the engine puts what it fetches (its TMPDIR).
    place = str(world.engine.data_root / "tmp")
    os.makedirs(place, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "miniecom-test", place], check=True)
    try:
        failed = world.run()
    finally:
        subprocess.run(["umount", place], check=True)
    assert failed.failed and "cannot pull the image" in failed.msg and "no space left on device" in failed.msg, (
        failed.msg
    )
    assert "runs as before" in failed.msg and failed.result["rolled_back"] is True
    assert [(one["action"], one["status"]) for one in failed.result["actions"]] == [
        ("record", "done"),
        ("pull", "failed"),
    ]
    assert world.ids() == before
    world.assert_as_before()
    # With room it goes on as if nothing had been.
    world.registry.push("shop/api:1", api("two"))
    good(world.run())
    world.assert_as_before("two")


@pytest.mark.parametrize("comes_back", [False, True], ids=["is down", "restarts"])
def test_a_daemon_that_goes_in_the_middle(world: World, comes_back: bool) -> None:
    """Its containers go with it. What ran before comes back by itself, or by the next call where the engine stayed away."""
    world.registry.push("shop/api:1", api("two"))
    process = begun(world, "two", steady="60s", patience="60s")
    if comes_back:
        world.engine.restart()
    else:
        world.engine.pause_daemon()
    failed = finish_module(process)
    assert failed.failed and "defect" not in failed.msg, failed.msg
    steps = [step["step"] for step in failed.result["steps"]]
    assert steps[:6] == ["stop", "copy out", "collect the log", "recreate", "put back", "start"]
    if not comes_back:
        assert failed.result["rolled_back"] is False and "Run the same again" in failed.msg
        refused = world.run(check=True)
        assert refused.failed and "docker" in refused.msg.lower() and "defect" not in refused.msg
        world.engine.restart()
    if not failed.result["rolled_back"]:
        assert [item["action"] for item in good(world.run(check=True))["plan"]] == ["settle"]
        assert "taken back" in good(world.run())["summary"]["headline"]
    world.assert_as_before("one")


def begun(world: World, version: str, **options: Any) -> subprocess.Popen[str]:
    """An update whose new image serves already, and which still waits whether it goes on doing so."""
    process = start_module("compose_update", world.parameters(action="update", **options), env=dict(world.env))
    wait_until_served(world, version)
    return process


def wait_until_served(world: World, version: str) -> None:
    deadline = time.monotonic() + 60
    while not served(world, version):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def served(world: World, version: str) -> bool:
    try:
        return world.version() == version
    except OSError:
        return False
