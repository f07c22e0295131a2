# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The private Docker Engine: it works, it keeps to itself, and nothing of it stays."""

from __future__ import annotations

import ipaddress
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.sandbox import bridge
from tests.sandbox import image as images
from tests.sandbox.engine import SOCKET_PATH_MAX, Engine, EngineError, EngineUnavailable
from tests.sandbox.image import SYSTEMD_RUN_ARGUMENTS, systemd_image, tiny_image

pytestmark = pytest.mark.usefixtures("docker_engine")
ROOT = Path(__file__).resolve().parents[2]


def leftovers(engine: Engine) -> list[str]:
    """Whatever of an engine is still on the machine: files, processes, mounts, bridges, control groups."""
    found = [str(path) for path in (engine.directory, engine.socket, engine.wanted_socket) if os.path.lexists(path)]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().decode("utf-8", "replace")
                groups = (entry / "cgroup").read_text()
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if state != "Z" and (f"{engine.directory}/" in command or f"/{engine.bridge}/" in groups):
                found.append(f"process {entry.name}: {command}")
    found += [line for line in Path("/proc/mounts").read_text().splitlines() if str(engine.directory) in line]
    found += [name for name in os.listdir("/sys/class/net") if name == engine.bridge]
    # Groups of other engines come and go meanwhile, which a glob does not bear.
    groups_now = os.walk("/sys/fs/cgroup")
    found += [str(Path(parent, engine.bridge)) for parent, children, _files in groups_now if engine.bridge in children]
    return found


def networks_of(block: str) -> list[str]:
    return bridge.bridges_within(str(ipaddress.ip_network(block, strict=False)))


def serve(engine: Engine, name: str, *options: str) -> None:
    command = ["httpd", "-f", "-h", "/www", "-p", "8000"]
    engine.docker("run", "--detach", f"--name={name}", *options, tiny_image(engine), *command)


def fetch(address: str) -> int:
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return int(answer.status)
        except OSError:
            if time.monotonic() > deadline:
                raise


def test_published_ports_and_container_names_work(docker_engine: Engine) -> None:
    docker_engine.docker("network", "create", "engine-test")
    try:
        serve(docker_engine, "engine-test-web", "--network=engine-test", "--publish=127.0.0.1:0:8000")
        published = docker_engine.docker("port", "engine-test-web", "8000").strip()
        assert published.startswith("127.0.0.1:")
        assert fetch(f"http://{published}/") == 200
        reader = ["run", "--rm", "--network=engine-test", tiny_image(docker_engine)]
        answer = docker_engine.docker(*reader, "wget", "-q", "-O", "-", "http://engine-test-web:8000/")
        assert answer.strip() == "served"
    finally:
        docker_engine.docker("rm", "--force", "engine-test-web", check=False)
        docker_engine.docker("network", "rm", "engine-test")


def test_compose_and_the_client_talk_to_this_engine(docker_engine: Engine) -> None:
    environment = docker_engine.environment()
    assert environment["DOCKER_HOST"] == docker_engine.docker_host != "unix:///var/run/docker.sock"
    name = json.loads(docker_engine.docker("info", "--format", "{{json .DockerRootDir}}"))
    assert name == str(docker_engine.data_root)
    assert "Docker Compose" in docker_engine.docker("compose", "version")


def test_an_error_names_the_request_and_the_engines_words(docker_engine: Engine) -> None:
    with pytest.raises(EngineError, match=r"GET /containers/nope/json: 404 .*No such container") as caught:
        docker_engine.api("GET", "/containers/nope/json")
    assert caught.value.status == 404


def test_stop_leaves_nothing(tmp_path: Path) -> None:
    with Engine(tmp_path / "engine") as engine:
        block = f"{bridge.address_of(engine.bridge)}/20"
        engine.docker("network", "create", "another")
        serve(engine, "web", "--network=another", "--restart=always", "--volume=kept:/data")
        assert leftovers(engine)
        assert len(networks_of(block)) == 2
    assert leftovers(engine) == []
    assert networks_of(block) == []


def test_starting_is_idempotent_and_restart_keeps_the_data(tmp_path: Path) -> None:
    with Engine(tmp_path / "engine") as engine:
        engine.api("POST", "/volumes/create", {"Name": "kept"})
        assert Engine(tmp_path / "engine").start().api("GET", "/volumes/kept")["Name"] == "kept"
        engine.restart()
        assert engine.api("GET", "/volumes/kept")["Name"] == "kept"


def test_a_killed_engine_is_cleared_away_by_the_next_start(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "engine").start()
    try:
        serve(engine, "survivor")
        engine.kill()
        assert not engine.running
        assert any("httpd" in found for found in leftovers(engine)), "the container should outlive a crash"
        engine = Engine(tmp_path / "engine").start()
        assert engine.api("GET", "/containers/json?all=1") == []
        assert not any("httpd" in found for found in leftovers(engine))
    finally:
        engine.stop()
    assert leftovers(engine) == []


def test_the_engine_of_a_killed_test_run_is_swept_away(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from tests.sandbox.engine import Engine\n"
        "print(Engine(sys.argv[1]).start(tied=True).running, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    orphan = Engine(tmp_path / "orphan")
    command = [sys.executable, "-B", "-c", script, str(orphan.directory)]
    killed = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert (killed.returncode, killed.stdout.strip()) == (-signal.SIGKILL, "True"), killed.stderr
    # Whatever engine of the machine starts next sweeps it away, be it another test's.
    with Engine(tmp_path / "next"):
        assert leftovers(orphan) == []


def test_two_engines_do_not_see_each_other(tmp_path: Path, docker_engine: Engine) -> None:
    with Engine(tmp_path / "second") as second:
        second.api("POST", "/volumes/create", {"Name": "mine"})
        assert second.bridge != docker_engine.bridge
        networks = [
            ipaddress.ip_network(f"{bridge.address_of(e.bridge)}/20", strict=False) for e in (second, docker_engine)
        ]
        assert not networks[0].overlaps(networks[1])
        with pytest.raises(EngineError, match="404"):
            docker_engine.api("GET", "/volumes/mine")
    assert docker_engine.running


def test_a_long_path_has_its_socket_elsewhere(tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 20) / "engine"
    with Engine(directory) as engine:
        assert len(engine.docker_host) <= SOCKET_PATH_MAX + len("unix://")
        assert engine.wanted_socket.resolve() == engine.socket
        assert engine.running
    assert leftovers(engine) == []
    assert not engine.short.exists()


def test_without_root_it_says_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    script = (
        "import os, sys\n"
        "from tests.sandbox.engine import Engine, EngineUnavailable\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "try:\n    Engine(sys.argv[1]).start()\n"
        "except EngineUnavailable as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", script, str(tmp_path / "engine")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "needs root" in done.stdout
    assert not (tmp_path / "engine").exists()


def test_a_daemon_that_cannot_start_tells_why_and_leaves_nothing(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "engine")
    engine.directory.mkdir()
    (engine.directory / "data").write_text("a file where the data directory should be", encoding="ascii")
    with pytest.raises(EngineUnavailable, match="dockerd ended with status"):
        engine.start()
    engine.stop()
    assert leftovers(engine) == []


@pytest.mark.root
def test_an_image_that_cannot_be_built_tells_why_in_apts_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "IMAGES", tmp_path)
    monkeypatch.setattr(images, "mirror", lambda: f"copy://{tmp_path}/no-mirror")
    with pytest.raises(EngineUnavailable, match=r"(?s)mmdebstrap failed.*no-mirror.*does not have a Release file"):
        images.root_filesystem()
    assert not list(tmp_path.rglob("*.tar"))


def test_debian_boots_in_a_container(docker_engine: Engine) -> None:
    """What tests of roles need of a host: systemd, sshd, cron, sudo without a password for an ordinary user."""
    image = systemd_image(docker_engine)
    docker_engine.docker("run", "--detach", "--name=engine-test-host", *SYSTEMD_RUN_ARGUMENTS, image)
    try:
        inside = ("exec", "engine-test-host")
        deadline = time.monotonic() + 60
        while (
            state := docker_engine.docker(*inside, "systemctl", "is-system-running", check=False).strip()
        ) != "running":
            failed = docker_engine.docker(*inside, "systemctl", "--failed", check=False)
            assert state != "degraded" and time.monotonic() < deadline, f"{state}: {failed}"
            time.sleep(0.1)
        for unit in ("ssh", "cron", "dbus"):
            assert docker_engine.docker(*inside, "systemctl", "is-active", unit, check=False).strip() == "active", unit
        assert docker_engine.docker("exec", "--user=ops", "engine-test-host", "sudo", "-n", "id", "-u").strip() == "0"
    finally:
        docker_engine.docker("rm", "--force", "--volumes", "engine-test-host")
