# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server that speaks TLS, with a certificate for the name that the application uses inside the compose network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.client import connect
from tests.sandbox.engine import Engine
from tests.sandbox.image import shop_images
from tests.sandbox.mongod import Mongod
from tests.support.certificates import make_certificates
from tests.support.driver_end import driver_end
from tests.support.modules import run_module

NAME = "mongo.shop.invalid"
INSIDE = "/run/secrets/ca.pem"


class Speaking(Mongod):
    """Takes TLS as well as plain connections."""

    def command(self) -> list[str]:
        tls = ["--tlsMode", "preferTLS", "--tlsCertificateKeyFile", str(self.directory / "server.pem")]
        tls += ["--tlsCAFile", str(self.directory / "ca.pem"), "--tlsAllowConnectionsWithoutCertificates"]
        return super().command() + tls


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    directory = tmp_path_factory.mktemp("tls")
    make_certificates(directory, NAME)
    with Speaking(directory, auth=True) as server, server.client() as client:
        client.shop.orders.insert_one({"n": 1})
        yield server


def uri(server: Mongod, name: str = NAME, more: str = "") -> str:
    return f"mongodb://root:{server.root_password}@{name}:27017/shop?authSource=admin&tls=true&tlsCAFile={INSIDE}{more}"


def params(server: Mongod, name: str = NAME, more: str = "") -> dict[str, object]:
    files = {INSIDE: str(server.directory / "ca.pem")}
    return {"uri": uri(server, name, more), "address": server.address, "tls_files": files}


def test_the_certificate_is_checked_against_the_name_in_the_string(server: Mongod, state_dir: Path) -> None:
    with connect(params(server)) as connection:
        assert connection.address.where == server.address
        assert connection.client.shop.orders.count_documents({}) == 1
    run = run_module("mongo_info", {**params(server), "state_dir": state_dir})
    assert not run.failed, run.msg
    assert run.result["server"]["address"] == server.address


def test_threads_that_speak_tls_are_waited_for_at_the_end(server: Mongod) -> None:
    standing, *waited = driver_end(**params(server))
    assert standing == "standalone" and set(waited) == {"waited"}


def test_a_certificate_for_another_name_is_refused(server: Mongod) -> None:
    with pytest.raises(MaintenanceError, match="bears another name") as caught:
        connect({**params(server, "other.invalid"), "connect_timeout": 2})
    assert server.address in str(caught.value) and "servername" in str(caught.value)
    with connect(params(server, "other.invalid", f"&servername={NAME}")):
        pass
    with connect(params(server, "other.invalid", "&tlsAllowInvalidHostnames=true")):
        pass


def test_an_authority_that_is_not_trusted(server: Mongod) -> None:
    string = uri(server).replace(f"&tlsCAFile={INSIDE}", "")
    with pytest.raises(MaintenanceError, match="not trusted"):
        connect({"uri": string, "address": server.address, "connect_timeout": 2})


def test_a_file_of_a_container_is_named(server: Mongod) -> None:
    with pytest.raises(MaintenanceError, match="tls_files") as caught:
        connect({"uri": uri(server), "address": server.address})
    assert INSIDE in str(caught.value)


def flag(place: dict[str, object], tmp_path: Path, state_dir: Path) -> dict[str, object]:
    (tmp_path / "storage").mkdir()
    return {
        "path": tmp_path / "storage/.maintenance",
        "state_dir": state_dir,
        "timer": "none",
        "application_setting": place,
    }


def closes_and_opens(options: dict[str, object], server: Mongod) -> None:
    """Maintenance goes up, is seen, and goes down by what is remembered of the way to the setting."""
    up = run_module("maintenance_flag", {**options, "state": "present"})
    assert not up.failed, up.msg
    seen = run_module("maintenance_flag_info", {k: v for k, v in options.items() if k != "timer"})
    assert not seen.failed and seen.result["layers"]["application"]["enabled"], seen.msg
    down = {key: value for key, value in options.items() if key != "application_setting"}
    opened = run_module("maintenance_flag", {**down, "state": "absent"})
    assert not opened.failed, opened.msg
    with server.client() as client:
        assert client.shop.settings.find_one({"key": "site"}) is None


def test_every_module_takes_the_option(server: Mongod, tmp_path: Path, state_dir: Path) -> None:
    (tmp_path / ".env").write_text(f"MONGO_URI={uri(server)}\n")
    place = {"env_file": tmp_path / ".env", "address": server.address, "tls_files": params(server)["tls_files"]}
    (tmp_path / "backups").mkdir()
    made = run_module("mongo_backup", {**place, "dest": tmp_path / "backups", "state_dir": state_dir})
    assert not made.failed, made.msg
    tested = run_module(
        "mongo_restore", {**place, "src": tmp_path / "backups", "state_dir": state_dir, "min_free": "1MiB"}
    )
    assert not tested.failed, tested.msg
    assert tested.result["summary"]["restored"]
    closes_and_opens(flag({**place, "env_file": str(place["env_file"])}, tmp_path, state_dir), server)


@pytest.fixture
def container(docker_engine: Engine, server: Mongod) -> Iterator[dict[str, object]]:
    """A container that was given a string of TLS, whose authority lies in a directory of the host that it has mounted."""
    name = "test_tls_api"
    docker_engine.docker(
        "create",
        f"--name={name}",
        f"--volume={server.directory}:{Path(INSIDE).parent}:ro",
        f"--env=MONGO_URI={uri(server)}",
        shop_images(docker_engine).base,
        "true",
    )
    try:
        yield {
            "env_file": "/nonexistent/.env",
            "env_from": f"container:{name}",
            "docker_host": docker_engine.docker_host,
            "address": server.address,
        }
    finally:
        docker_engine.docker("rm", "-f", "-v", name)


@pytest.mark.docker
def test_files_are_found_through_the_mounts_of_the_container(
    container: dict[str, object], server: Mongod, tmp_path: Path, state_dir: Path
) -> None:
    run = run_module("mongo_info", {**container, "state_dir": state_dir})
    assert not run.failed, run.msg
    assert run.result["server"]["address"] == server.address
    closes_and_opens(flag(container, tmp_path, state_dir), server)
    (server.directory / "ca.pem").rename(server.directory / "gone.pem")
    try:
        lost = run_module("mongo_info", {**container, "state_dir": state_dir})
    finally:
        (server.directory / "gone.pem").rename(server.directory / "ca.pem")
    assert lost.failed and str(server.directory / "ca.pem") in lost.msg and f"({INSIDE}: PATH)" in lost.msg
    assert "tls_files" in lost.msg and server.root_password not in lost.output


def test_on_the_oldest_python(server: Mongod, state_dir: Path, old_python: Path) -> None:
    """Another Python, TLS library and driver."""
    run = run_module("mongo_info", {**params(server), "state_dir": state_dir}, python=old_python)
    assert not run.failed, run.msg
    wrong = run_module(
        "mongo_info",
        {**params(server, "other.invalid"), "connect_timeout": 2, "state_dir": state_dir},
        python=old_python,
    )
    assert wrong.failed and "bears another name" in wrong.msg


def test_the_lock_of_a_dump_is_on_the_server_that_is_dumped(server: Mongod, tmp_path: Path, state_dir: Path) -> None:
    """The keeper of the lock is a process of its own, and looks the name up by itself."""
    (tmp_path / "backups").mkdir()
    params = {
        "uri": uri(server),
        "address": server.address,
        "tls_files": {INSIDE: str(server.directory / "ca.pem")},
        "state_dir": state_dir,
    }
    made = run_module("mongo_backup", {**params, "dest": tmp_path / "backups", "consistency": "locked"})
    assert not made.failed, made.msg
    assert made.result["backup"]["consistency"] == "locked"
    with server.client() as client:
        assert not client.admin.command("currentOp").get("fsyncLock"), "and it is gone"
