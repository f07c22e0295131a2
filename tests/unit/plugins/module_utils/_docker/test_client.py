# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker
import pytest
from docker import errors as sdk

from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.client import (
    Docker,
    DockerUnavailable,
    EngineError,
    docker_errors,
    engine_of,
    resolve_host,
    store_of,
    unavailable,
    version_tuple,
)

ROOT = Path(__file__).resolve().parents[5]
VERSION = b'{"Version": "%s", "ApiVersion": "%s", "MinAPIVersion": "1.24"}'


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Callable[[bytes], str]]:
    """Something that listens on a socket and gives every request the same answer; what no engine can be made to do."""
    listeners: list[socket.socket] = []

    def start(answer: bytes) -> str:
        listener = socket.socket(socket.AF_UNIX)
        path = tmp_path / f"{len(listeners)}.sock"
        listener.bind(str(path))
        listener.listen(8)
        listeners.append(listener)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                # Who does not want to wait any longer has hung up.
                with connection, suppress(ConnectionError):
                    connection.recv(65536)
                    if answer == b"silence":
                        connection.recv(1)
                    elif answer:
                        connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        return f"unix://{path}"

    yield start
    for listener in listeners:
        listener.close()


def http(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (
        status,
        len(body),
        body,
    )


def failure(host: str, timeout: int = 5) -> DockerUnavailable:
    with pytest.raises(DockerUnavailable) as caught:
        Docker.connect(host, timeout)
    assert str(caught.value).count(host) == 1
    assert caught.value.next_step
    assert caught.value.details["docker"] == {"available": False, "reason": caught.value.reason, "docker_host": host}
    return caught.value


def test_a_missing_socket_is_no_engine(tmp_path: Path) -> None:
    error = failure(f"unix://{tmp_path}/none.sock")
    assert (error.reason, error.code) == ("missing", "ENOENT")


def test_a_path_too_long_for_a_socket_is_no_engine_unless_there_is_one(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 100)
    directory.mkdir()
    error = failure(f"unix://{directory}/docker.sock")
    assert error.reason == "missing"
    assert f"{len(str(directory / 'docker.sock'))} bytes" in str(error)
    (tmp_path / "short").symlink_to(directory)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{tmp_path}/short/docker.sock")
        error = failure(f"unix://{directory}/docker.sock")
    assert error.reason == "address"
    assert "too long" in str(error)


def test_a_socket_that_nobody_listens_on(tmp_path: Path) -> None:
    path = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    error = failure(f"unix://{path}")
    assert (error.reason, error.code) == ("refused", "ECONNREFUSED")


def test_a_socket_that_others_may_open_and_we_may_not() -> None:
    """Also where it lies in a directory of another user, as that of a rootless engine does."""
    directory = Path(tempfile.mkdtemp(prefix="miniecom-test-"))
    try:
        for path, closed in ((directory / "docker.sock", None), (directory / "1000/docker.sock", directory / "1000")):
            path.parent.mkdir(exist_ok=True)
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(str(path))
                server.listen()
                path.chmod(0o000 if closed is None else 0o666)
                directory.chmod(0o755)
                path.parent.chmod(0o755 if closed is None else 0o000)
                with as_nobody():
                    error = failure(f"unix://{path}")
                path.parent.chmod(0o755)
            assert (error.reason, error.code) == ("permission", "EACCES")
            assert "become: true" in error.next_step
    finally:
        shutil.rmtree(directory)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may open everything; whoever else runs this is nobody in particular already."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_the_socket_of_a_rootless_engine(fake: Callable[[bytes], str], monkeypatch: pytest.MonkeyPatch) -> None:
    where = fake(http(VERSION % (b"28.5.2", b"1.51")))
    for name, option in ((where, None), ("unix:///nonexistent.sock", where), ("", where.removeprefix("unix://"))):
        monkeypatch.setenv("DOCKER_HOST", name)
        with Docker.connect(option) as docker:
            assert (docker.docker_host, docker.version) == (where, "28.5.2")
    assert "rootless engine is unix:///run/user/UID/docker.sock" in failure("unix:///run/none/docker.sock").next_step


def test_a_port_that_nobody_listens_on() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    assert failure(f"tcp://127.0.0.1:{port}").reason == "refused"


def test_an_engine_that_does_not_answer(fake: Callable[[bytes], str]) -> None:
    error = failure(fake(b"silence"), timeout=1)
    assert error.reason == "timeout"
    assert "within 1 s" in str(error)


def test_a_connection_that_breaks(fake: Callable[[bytes], str]) -> None:
    assert failure(fake(b"")).reason == "connection"


@pytest.mark.parametrize("body", [b"hello", b"[]", b"{}"])
def test_something_that_is_no_engine(fake: Callable[[bytes], str], body: bytes) -> None:
    assert failure(fake(http(body))).reason == "address"


def test_an_engine_too_old_for_the_library(fake: Callable[[bytes], str]) -> None:
    error = failure(fake(http(VERSION % (b"1.10.3", b"1.22"))))
    assert error.reason == "version"
    assert "1.24" in str(error)


def test_an_engine_that_finds_the_library_too_new(fake: Callable[[bytes], str]) -> None:
    words = b'{"message": "client version 1.53 is too new. Maximum supported API version is 1.51"}'
    error = failure(fake(http(words, b"400 Bad Request")))
    assert error.reason == "version"
    assert "1.51" in str(error)


def test_an_engine_that_has_given_up_all_that_is_understood(fake: Callable[[bytes], str]) -> None:
    answer = b'{"Version": "40.0", "ApiVersion": "1.65", "MinAPIVersion": "%s"}'
    error = failure(fake(http(answer % b"1.60")))
    assert error.reason == "version" and error.next_step.startswith("Upgrade the collection")
    assert "1.60" in str(error) and "1.52 at most" in str(error)
    with Docker.connect(fake(http(answer % b"1.52"))) as docker:
        assert docker.api_version == "1.52"


@pytest.mark.parametrize(
    ("offered", "spoken"), [(b"1.41", "1.41"), (b"1.51", "1.51"), (b"1.52", "1.52"), (b"1.60", "1.52")]
)
def test_the_version_is_negotiated_up_to_what_is_understood(
    fake: Callable[[bytes], str], offered: bytes, spoken: str
) -> None:
    with Docker.connect(fake(http(VERSION % (b"99.0", offered)))) as docker:
        assert docker.api_version == spoken
        assert docker.version == "99.0"


def greeting(server: bytes, spoken: bytes, body: bytes = b"OK", status: bytes = b"200 OK") -> bytes:
    return http(body, status).replace(b"\r\n", b"\r\nServer: %s\r\nApi-Version: %s\r\n" % (server, spoken), 1)


def test_docker_says_in_the_head_of_an_answer_who_it_is(fake: Callable[[bytes], str]) -> None:
    with Docker.connect(fake(greeting(b"Docker/28.5.2+dfsg4 (linux)", b"1.51"))) as docker:
        assert (docker.version, docker.api_version, docker.engine) == ("28.5.2+dfsg4", "1.51", "docker")
        assert docker.api._version == "1.51"


@pytest.mark.parametrize(
    ("server", "spoken"),
    [
        (b"Libpod/5.8.6 (linux)", b"1.41"),
        (b"Docker", b"1.41"),
        (b"Docker/99.0 (linux)", b"1.53"),
        (b"Docker/99.0 (linux)", b"1.23"),
        (b"Docker/99.0 (linux)", b""),
    ],
)
def test_what_is_not_said_there_is_asked_for(fake: Callable[[bytes], str], server: bytes, spoken: bytes) -> None:
    body = b'{"Version": "5.8.6", "ApiVersion": "1.44", "Components": [{"Name": "Podman Engine"}]}'
    with Docker.connect(fake(greeting(server, spoken, body))) as docker:
        assert (docker.version, docker.api_version, docker.engine) == ("5.8.6", "1.44", "podman")


def test_a_greeting_that_is_forbidden_says_nothing(fake: Callable[[bytes], str]) -> None:
    words = b'{"message": "authorization denied by plugin policy: no"}'
    assert "denied by plugin" in str(failure(fake(greeting(b"Docker/99.0 (linux)", b"1.51", words, b"403 Forbidden"))))


@pytest.mark.parametrize("host", ["ssh://root@host", "foo://x", "tcp://", "unix://", "localhost"])
def test_an_address_that_makes_no_sense(host: str) -> None:
    with pytest.raises(DockerUnavailable) as caught:
        resolve_host(host)
    assert caught.value.reason == "address"


def test_a_name_that_does_not_resolve() -> None:
    assert failure("tcp://no-such-host.invalid:2375").reason == "address"


def test_where_the_engine_is() -> None:
    assert resolve_host("unix:///a", {"DOCKER_HOST": "unix:///b"}) == "unix:///a"
    assert resolve_host("/run/docker.sock", {}) == "unix:///run/docker.sock"
    assert resolve_host("", {"DOCKER_HOST": "tcp://h:1"}) == "tcp://h:1"
    assert resolve_host(None, {}) == "unix:///var/run/docker.sock"


def wrapped(inner: BaseException) -> Exception:
    """An error as the libraries hand it on."""
    middle = RuntimeError("Connection aborted.", inner)
    try:
        raise sdk.DockerException("Error while fetching server API version") from middle
    except sdk.DockerException as error:
        return error


@pytest.mark.parametrize(
    ("inner", "reason"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "permission"),
        (FileNotFoundError(errno.ENOENT, "No such file"), "missing"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "refused"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), "connection"),
        (TimeoutError(errno.ETIMEDOUT, "timed out"), "timeout"),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), "tls"),
    ],
)
def test_the_cause_is_found_below_the_wrappings(inner: BaseException, reason: str) -> None:
    assert unavailable(wrapped(inner), "tcp://h:1", 3).reason == reason


def test_certificates_that_are_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    assert failure("tcp://127.0.0.1:1").reason == "tls"


@pytest.mark.parametrize(("status", "said"), [(404, ""), (409, ""), (403, "authorization"), (500, "journalctl")])
def test_what_an_engine_refuses_is_told_in_its_words(fake: Callable[[bytes], str], status: int, said: str) -> None:
    host = fake(http(b'{"message": "remove v: volume is in use"}', b"%d X" % status))
    api = docker.APIClient(base_url=host, version="1.41", timeout=3)
    with pytest.raises(EngineError) as caught, docker_errors("cannot remove the volume", "v", host, 3):
        api.remove_volume("v")
    api.close()
    error = caught.value
    assert (error.status, error.code, error.words) == (status, status, "remove v: volume is in use")
    assert "cannot remove the volume: remove v: volume is in use: v (code %d)" % status in str(error)
    assert said in error.next_step


def test_stores() -> None:
    assert store_of({"DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}) == "containerd"
    assert store_of({"DriverStatus": [["Backing Filesystem", "extfs"]]}) == "classic"
    assert store_of({}) == "classic"


def test_podman_is_told_from_docker() -> None:
    assert engine_of({"Components": [{"Name": "Podman Engine", "Version": "5.8.6"}, {"Name": "Conmon"}]}) == "podman"
    assert engine_of({"Components": [{"Name": "Engine"}, {"Name": "containerd"}]}) == "docker"
    assert engine_of({}) == engine_of({"Components": None}) == "docker"


def test_versions_are_compared_as_numbers() -> None:
    assert version_tuple("1.9") < version_tuple("1.41") < version_tuple("1.52")


@pytest.mark.parametrize(
    "address, told",
    [
        ("tcp://127.0.0.1:1", "MissingLibrary the Python package docker is missing"),
        ("unix:///nonexistent", "DockerUnavailable there is no Docker Engine here, the socket does not exist"),
    ],
)
def test_a_missing_library_is_named_where_there_is_something_to_connect_to(address: str, told: str) -> None:
    script = (
        "import sys\n"
        "sys.modules['docker'] = None\n"
        "from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.client import Docker\n"
        f"try:\n    Docker.connect({address!r})\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
    )
    environment = {"PYTHONPATH": str(ROOT / "collections"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(told)
    assert ("prerequisites" in done.stdout) == told.startswith("MissingLibrary")


@pytest.mark.parametrize("count", [0, 3, 40])
def test_of_many_questions_each_has_its_answer_or_there_is_nothing_by_that_name(count: int) -> None:
    def get_all(paths: list[str]) -> list[tuple[int, bytes]]:
        return [
            (404, b'{"message": "gone"}') if path.endswith("1") else (200, b'"%s"' % path.encode()) for path in paths
        ]

    api: Any = SimpleNamespace(_version="1.51")
    lanes: Any = SimpleNamespace(get_all=get_all)
    engine = Docker(api, "unix:///nowhere", 5, {"Version": "28.5.2"}, lanes)
    paths = [f"/{number}" for number in range(count)]
    assert engine.get_all(paths) == [None if path.endswith("1") else "/v1.51" + path for path in paths]
    lanes.get_all = lambda paths: [(500, b'{"message": "broken"}')] * len(paths)
    if paths:
        with pytest.raises(EngineError, match="did not answer /0: broken"):
            engine.get_all(paths)
