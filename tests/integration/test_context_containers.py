# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""context_info on hosts with more than one shop, and with containers that publish nothing, on an engine of their own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.engine import Engine
from tests.sandbox.image import tiny_image
from tests.support.modules import run_module

COMPOSE = """\
name: %(name)s
services:
  mongo: {image: "%(image)s", command: [sleep, "1000"], ports: ["127.0.0.1:%(port)d:27017"], volumes: ["data:/data/db"]}
  api:
    image: "%(image)s"
    command: [sleep, "1000"]
    working_dir: /app
    ports: ["127.0.0.1:%(api)d:3001"]
    volumes: ["store:/app/storage"]
    tmpfs: [/app/uploads]
volumes: {data: {}, store: {}}
"""
# Two members of a replica set, as far as the engine is told.
MEMBERS = """\
name: %(name)s
services:
  mongo:
    image: "%(image)s"
    command: [sh, -c, "sleep 1000; : mongod --replSet rs0 --bind_ip_all"]
    ports: ["127.0.0.1:%(port)d:27017"]
    tty: true
  mongo2:
    image: "%(image)s"
    command: [sh, -c, "sleep 1000; : mongod --replSet rs0 --bind_ip_all"]
    tty: true
  api: {image: "%(image)s", command: [sleep, "1000"], working_dir: /app, ports: ["127.0.0.1:%(api)d:3001"]}
"""
# Two programs that listen, as mongod and API on the host's own network.
HOST_NETWORK = """\
name: miniecom
services:
  mongo: {image: "%(image)s", command: [httpd, "-f", "-p", "0.0.0.0:%(port)d", "-h", "/"], network_mode: host}
  api: {image: "%(image)s", command: [httpd, "-f", "-p", "127.0.0.1:%(api)d", "-h", "/"], network_mode: host}
"""
URI = "MONGODB_URI=mongodb://admin:%s@%s:%d/miniecom?authSource=admin\nPORT=%d\n"


@pytest.fixture(scope="module")
def engine(docker_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine of this module's own: other tests leave shops on the shared one."""
    with Engine(tmp_path_factory.mktemp("shops"), docker_engine.release) as own:
        yield own


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Shop:
    """A shop of its own directory, in containers."""

    def __init__(self, engine: Engine, directory: Path, name: str, text: str = COMPOSE, host: str = "mongo") -> None:
        self.engine, self.directory, self.name = engine, directory, name
        self.port, self.api = free_port(), free_port()
        (directory / "backend").mkdir(parents=True)
        inside = 27017 if host == "mongo" else self.port
        (directory / ".env").write_text(URI % (name + "-canary", host, inside, self.api))
        values = {"name": name, "image": tiny_image(engine), "port": self.port, "api": self.api}
        (directory / "docker-compose.yml").write_text(text % values)

    def compose(self, *arguments: str) -> None:
        self.engine.docker("compose", "-f", str(self.directory / "docker-compose.yml"), *arguments)

    @contextmanager
    def up(self) -> Iterator[None]:
        self.compose("up", "-d")
        try:
            yield
        finally:
            self.compose("down", "-t", "0", "-v")

    def look(self, **params: Any) -> tuple[dict[str, Any], str]:
        values = {"root": self.directory, "docker_host": self.engine.docker_host, "state_dir": self.directory / "state"}
        result = run_module("context_info", {**values, "cron_paths": [str(self.directory / "no-cron")], **params})
        assert not result.failed, result.msg
        assert "canary" not in result.output
        return result.result["context"], json.dumps(result.result.get("warnings", []))


def test_another_shop_of_the_host_is_left_alone(engine: Engine, tmp_path: Path) -> None:
    shop = Shop(engine, tmp_path / "miniecom", "miniecom")
    staging = Shop(engine, tmp_path / "staging", "miniecom-staging")
    with staging.up():
        with shop.up():
            found, warnings = shop.look()
            assert found["compose"]["project"] == "miniecom" and "staging" in warnings
            assert found["mongo"]["address"] == "127.0.0.1:%d" % shop.port
            assert found["mongo"]["exposure"] == "loopback" and found["mongo"]["exposed"] == []
            assert found["docker"]["reason"] == found["docker"]["message"] == ""
            uploads = found["storage"]["uploads"]
            assert (uploads["kind"], uploads["path"], uploads["in_writable_layer"]) == ("tmpfs", "", False)
            assert found["storage"]["invoices"]["kind"] == "volume"
            assert found["docker"]["data_root"] == str(engine.data_root)
            assert found["mongo"]["data_path"] == str(engine.data_root / "volumes" / "miniecom_data" / "_data")
        # Named, since a mongod of the machine that runs the tests would make it a native shop.
        found, warnings = shop.look(deployment="compose")
        told = json.dumps(found)
        assert found["compose"]["project"] == ""
        assert str(staging.port) not in told and str(staging.api) not in told
        assert "miniecom-staging (made from %s)" % staging.directory in warnings
        assert found["mongo"]["address"] == "" and found["mongo"]["exposure"] == "unknown"
        assert found["storage"]["uploads"]["kind"] == "unknown"
        assert staging.look()[0]["mongo"]["address"] == "127.0.0.1:%d" % staging.port


@pytest.mark.exhaustive
def test_members_that_are_killed_before_they_have_stopped(engine: Engine, tmp_path: Path) -> None:
    """What the engine waits comes from the container, whatever has been written into the file since."""
    shop = Shop(engine, tmp_path / "miniecom", "miniecom", MEMBERS)
    file = shop.directory / "docker-compose.yml"
    text = file.read_text()
    params = {"root": shop.directory, "docker_host": engine.docker_host, "state_dir": shop.directory / "state"}
    params["cron_paths"] = [str(shop.directory / "no-cron")]

    def look() -> dict[str, Any]:
        done = run_module("context_info", params)
        assert not done.failed, done.msg
        return done.result

    with shop.up():
        found = look()
        assert [item["target"] for item in found["findings"]] == ["miniecom-mongo-1", "miniecom-mongo2-1"]
        assert found["summary"]["findings_total"] == 2
        assert (
            "Docker kills MongoDB before it has stopped (miniecom-mongo-1, miniecom-mongo2-1)"
            in found["summary"]["headline"]
        )
        assert str(file) in found["findings"][0]["remediation"]
        members = found["context"]["mongo"]["set_members"]
        assert [(item["service"], item["replica_set"], item["stop_grace_seconds"]) for item in members] == [
            ("mongo", "rs0", 10.0),
            ("mongo2", "rs0", 10.0),
        ]
        file.write_text(text.replace("    tty: true\n", "    stop_grace_period: 30s\n"))
        older = look()
        assert {item["stop_grace_seconds_in_file"] for item in older["context"]["mongo"]["set_members"]} == {30.0}
        assert all("older than stop_grace_period" in item["remediation"] for item in older["findings"])
        assert [item["id"] for item in older["findings"]] == [item["id"] for item in found["findings"]]
        shop.compose("up", "-d", "-t", "0")
        mended = look()
        assert mended["findings"] == [] and mended["summary"]["findings_total"] == 0
        assert mended["context"]["mongo"]["stop_problem"] == ""
        assert {item["stop_grace_seconds"] for item in mended["context"]["mongo"]["set_members"]} == {30.0}
        shop.compose("rm", "-s", "-f", "mongo2")
        file.write_text(text)
        shop.compose("up", "-d", "-t", "0", "mongo", "api")
        alone = look()
        assert alone["findings"] == [], "one that is alone stops in three seconds"
        assert [item["stop_grace_seconds"] for item in alone["context"]["mongo"]["set_members"]] == [10.0]


def test_a_standalone_is_given_time_enough(engine: Engine, tmp_path: Path) -> None:
    shop = Shop(engine, tmp_path / "miniecom", "miniecom")
    with shop.up():
        found, _warnings = shop.look()
        assert found["mongo"]["set_members"] == [] and found["mongo"]["stop_problem"] == ""


def test_the_stopped_shops_port_is_the_other_ones_now(engine: Engine, tmp_path: Path) -> None:
    shop = Shop(engine, tmp_path / "miniecom", "miniecom")
    staging = Shop(engine, tmp_path / "staging", "miniecom-staging")
    (staging.directory / "docker-compose.yml").write_text(
        COMPOSE % {"name": "miniecom-staging", "image": tiny_image(engine), "port": shop.port, "api": shop.api}
    )
    with shop.up():
        shop.compose("stop", "-t", "0")
        found, _warnings = shop.look()
        assert found["mongo"]["address"] == "127.0.0.1:%d" % shop.port, "where it would be"
        assert found["mongo"]["exposure"] == "unknown" and "exited" in found["mongo"]["exposure_why"]
        with staging.up():
            found, warnings = shop.look()
            assert found["mongo"]["address"] == "" and found["api_url"] == ""
            assert "is that of another project now" in warnings


def test_a_native_api_beside_another_shop_in_containers(engine: Engine, tmp_path: Path) -> None:
    staging = Shop(engine, tmp_path / "staging", "miniecom-staging")
    shop = Shop(engine, tmp_path / "miniecom", "miniecom", host="127.0.0.1")
    (shop.directory / "docker-compose.yml").unlink()
    code = (
        "import socket, sys; s = socket.socket(); s.bind(('127.0.0.1', int(sys.argv[1]))); s.listen();"
        "print('up', flush=True); sys.stdin.read()"
    )
    api = subprocess.Popen(
        [sys.executable, "-c", code, str(shop.api)],
        cwd=shop.directory / "backend",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert api.stdout is not None and api.stdout.readline()
    try:
        with staging.up():
            found, warnings = shop.look()
    finally:
        api.kill()
        api.communicate()
    assert found["deployment"] == "native" and found["api"]["pid"] == api.pid
    assert found["ports"]["api"] == shop.api and found["mongo"]["address"] == "127.0.0.1:%d" % shop.port
    assert found["compose"]["project"] == "" and "miniecom-staging" in warnings
    assert found["mongo"]["exposure"] == "unknown" and "nothing listens" in found["mongo"]["exposure_why"]


def test_containers_on_the_hosts_own_network(engine: Engine, tmp_path: Path) -> None:
    shop = Shop(engine, tmp_path / "miniecom", "miniecom", HOST_NETWORK, host="127.0.0.1")
    with shop.up():
        found, _warnings = shop.look()
        assert found["mongo"]["address"] == "127.0.0.1:%d" % shop.port
        assert found["mongo"]["exposure"] == "exposed"
        assert found["mongo"]["exposed"] == ["0.0.0.0:%d" % shop.port]
        assert found["ports"]["api"] == shop.api and found["api_url"] == "http://127.0.0.1:%d" % shop.api
        (shop.directory / ".env").write_text(URI % ("x-canary", "127.0.0.1", shop.port, shop.api + 1))
        assert shop.look()[0]["ports"]["api"] == shop.api, "what listens counts"


def test_why_no_engine_answers(engine: Engine, tmp_path: Path) -> None:
    shop = Shop(engine, tmp_path / "miniecom", "miniecom")
    found, _warnings = shop.look(docker_host="unix://%s/none.sock" % tmp_path)
    assert (found["docker"]["available"], found["docker"]["reason"]) == (False, "missing")
    assert "none.sock" in found["docker"]["message"]
    with tempfile.TemporaryDirectory(dir="/tmp") as short, socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(short + "/deaf.sock")
        assert shop.look(docker_host="unix://%s/deaf.sock" % short)[0]["docker"]["reason"] == "refused"
    assert shop.look(docker_host="ssh://somewhere")[0]["docker"]["reason"] == "address"
    for host, deployment, absent in (
        ("unix://%s/none.sock" % tmp_path, "native", True),
        ("unix://%s/none.sock" % tmp_path, "compose", False),
        ("ssh://somewhere", "native", False),
    ):
        found, _warnings = shop.look(docker_host=host, deployment=deployment)
        assert found["docker"]["absent"] is absent, "one that is needed, or there and does not answer, is not absent"


# As the shop's own file: it passes one variable, and the environment file sets another.
PASSES_ONE = """\
name: miniecom
services:
  mongo: {image: "%(image)s", command: [sleep, "1000"], ports: ["127.0.0.1:%(port)d:27017"], volumes: ["data:/data/db"]}
  api:
    image: "%(image)s"
    command: [sleep, "1000"]
    working_dir: /app
    environment:
      MONGO_URI: ${MONGO_URI:-mongodb://${MONGO_ROOT_USER:-admin}:compose-canary@mongo:27017/miniecom?authSource=admin}
      UPLOAD_DIR: storage/pictures
    ports: ["127.0.0.1:%(api)d:3001"]
    volumes: ["store:/app/storage"]
volumes: {data: {}, store: {}}
"""


def test_what_compose_passes_decides_and_not_the_file(engine: Engine, tmp_path: Path) -> None:
    shop = Shop(engine, tmp_path / "miniecom", "miniecom", PASSES_ONE)
    env_file = shop.directory / ".env"
    env_file.write_text(env_file.read_text().replace("/miniecom?", "/handmade_harmony?"))
    with shop.up():
        found, warnings = shop.look()
        assert (found["mongo"]["database"], found["mongo"]["source"]) == ("miniecom", "MONGO_URI")
        assert found["env_from"] == "container:" + found["api"]["container"]
        assert "handmade_harmony" in warnings and "handmade_harmony" in found["mongo"]["conflict"]
        uploads = found["storage"]["uploads"]
        assert (uploads["kind"], uploads["container_path"]) == ("volume", "/app/storage/pictures")
        assert uploads["path"].endswith("_store/_data/pictures")
    # No container any more: what compose would give to the next one.
    found, _warnings = shop.look(deployment="compose")
    assert found["mongo"]["database"] == "miniecom"
    assert found["env_from"] == "compose:%s" % (shop.directory / "docker-compose.yml")
    env_file.write_text(env_file.read_text() + "MONGO_URI='mongodb://a:canary-b@mongo:27017/shop_of_env'\n")
    assert shop.look(deployment="compose")[0]["mongo"]["database"] == "shop_of_env"
