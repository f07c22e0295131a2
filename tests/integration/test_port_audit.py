# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""port_audit on real sockets and on real published ports."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.sandbox.mongod import free_port
from tests.support.modules import ModuleResult, run_module

if TYPE_CHECKING:
    from tests.sandbox.engine import Engine

# Other programs of the machine may come and go during the test: only what the test made itself counts.
NO_ENGINE = "unix:///nonexistent/docker.sock"


def audit(state_dir: Path, **more: Any) -> ModuleResult:
    options = {key: more.pop(key) for key in ("check", "python") if key in more}
    return run_module("port_audit", {"state_dir": str(state_dir), "docker_host": NO_ENGINE, **more}, **options)


def finding(result: ModuleResult, port: int) -> dict[str, Any]:
    return next((item for item in result.result["findings"] if f":{port}/" in item["target"]), {})


def listed(result: ModuleResult, port: int) -> dict[str, Any]:
    return next((item for item in result.result["ports"] if item["port"] == port), {})


@contextlib.contextmanager
def listening(address: str, port: int, kind: int = socket.SOCK_STREAM) -> Iterator[None]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, kind) as server:
        server.bind((address, port))
        if kind == socket.SOCK_STREAM:
            server.listen()
        yield


def test_a_new_port_on_every_interface_is_found_and_one_on_loopback_is_not(state_dir: Path) -> None:
    port, private = free_port(), free_port()
    first = audit(state_dir, fail_on="never")
    assert not first.failed and first.result["baseline"]["state"] == "set"
    assert first.result["docker"]["asked"] is False and "nonexistent" in first.result["docker"]["reason"]
    with listening("0.0.0.0", port), listening("127.0.0.1", private):
        result = audit(state_dir, fail_on="medium")
        assert result.failed and str(port) in str(result.result["findings"])
        new = finding(result, port)
        assert (new["rule"], new["severity"], new["status"]) == ("port-not-allowed", "medium", "new")
        assert finding(result, private) == {} and listed(result, private)["fine"] == "reachable from this host only"
        assert listed(result, port)["program"].startswith("python")
        assert finding(audit(state_dir, fail_on="never", allow=[f"{port}/tcp"]), port) == {}
        assert finding(audit(state_dir, fail_on="never", allow=[f"127.0.0.1:{port}"]), port)
        accepted = audit(state_dir, update_baseline=True)
        assert not accepted.failed and finding(accepted, port)["status"] == "known"
        assert not audit(state_dir, fail_on="never").changed
        assert finding(audit(state_dir, fail_on="never"), port)["status"] == "known"


def test_udp_is_told_more_softly(state_dir: Path) -> None:
    port = free_port()
    with listening("0.0.0.0", port, socket.SOCK_DGRAM):
        assert finding(audit(state_dir, fail_on="never"), port)["severity"] == "low"


def test_a_program_that_calls_itself_mongod_is_critical_beyond_loopback(state_dir: Path, tmp_path: Path) -> None:
    """The kernel's word counts: the name of the program, on whatever port."""
    program = tmp_path / "mongod"
    program.write_bytes(Path("/bin/cat").read_bytes())
    program.chmod(0o755)
    port = free_port()
    with socket.socket() as server:
        server.bind(("0.0.0.0", port))
        server.listen()
        with subprocess.Popen([str(program)], stdin=subprocess.PIPE, pass_fds=[server.fileno()]) as process:
            server.close()
            result = audit(state_dir, fail_on="never")
            process.communicate()
    if os.geteuid() == 0:
        new = finding(result, port)
        assert (new["rule"], new["severity"]) == ("mongodb-exposed", "critical")
        assert "127.0.0.1" in new["remediation"]


def test_check_mode_writes_nothing(state_dir: Path) -> None:
    result = audit(state_dir, check=True, fail_on="never")
    assert not result.failed and not state_dir.exists()


@pytest.mark.parametrize("allow", ["70000", "a b", "443/sctp"])
def test_a_mistake_in_allow_is_told(state_dir: Path, allow: str) -> None:
    result = audit(state_dir, allow=[allow])
    assert result.failed and "not a port, address or program" in result.msg and "443/tcp" in result.msg


def test_docker_can_be_left_out(state_dir: Path) -> None:
    result = audit(state_dir, docker=False, fail_on="never")
    assert "No Docker Engine was asked" not in result.output
    assert result.result["docker"] == {"asked": False, "reason": "not wanted (docker: false)"}


def test_on_the_oldest_python(state_dir: Path, old_python: Path) -> None:
    result = audit(state_dir, fail_on="never", python=old_python)
    assert not result.failed, result.msg


@pytest.mark.docker
def test_published_ports(docker_engine: Engine, state_dir: Path) -> None:
    from tests.sandbox.image import tiny_image

    name, other, lone = (f"port-audit-{secrets.token_hex(3)}" for _ in range(3))
    port, private, foreign, web, alone = (free_port() for _ in range(5))
    params = {"docker_host": docker_engine.docker_host, "fail_on": "never"}
    image = tiny_image(docker_engine)
    serve = ["httpd", "-f", "-h", "/www", "-p", "27017"]
    known = audit(state_dir, **params)
    assert known.result["docker"]["asked"] is True
    try:
        docker_engine.docker(
            "run", "--detach", f"--name={name}", "--label=com.docker.compose.project=shop",
            f"--publish={port}:27017", f"--publish=127.0.0.1:{private}:27017", image, *serve,
        )  # fmt: skip
        docker_engine.docker(
            "run",
            "--detach",
            f"--name={other}",
            "--label=com.docker.compose.project=other",
            f"--publish={foreign}:27017",
            f"--publish={web}:8000",
            image,
            *serve,
        )
        docker_engine.docker("tag", image, "mongo-express:port-audit")
        docker_engine.docker(
            "run", "--detach", f"--name={lone}", f"--publish={alone}:8081", "mongo-express:port-audit", *serve
        )
        result = audit(state_dir, compose_project="shop", **params)
        new = finding(result, port)
        assert (new["rule"], new["severity"], new["status"]) == ("mongodb-exposed", "critical", "new")
        assert name in new["message"] and new["target"] == f"*:{port}/tcp"
        assert finding(result, private) == {} and finding(result, web) == {}
        assert listed(result, web)["fine"] == "published by another project"
        # Another project's database is everybody's danger, and what belongs to no project is nobody else's affair.
        assert finding(result, foreign)["rule"] == "mongodb-exposed"
        assert finding(result, alone)["rule"] == "database-ui-exposed"
        assert len([item for item in result.result["ports"] if item["port"] == port]) == 1, (
            "its proxy is the same thing"
        )
        assert finding(audit(state_dir, **params), web)["rule"] == "published-port-not-allowed"
        red = audit(state_dir, compose_project="shop", docker_host=docker_engine.docker_host)
        # Which of them the message names first depends on the ports they got.
        serious = {item["rule"] for item in red.result["findings"] if item["status"] == "new"}
        assert red.failed and {"mongodb-exposed", "database-ui-exposed"} <= serious
        accepted = audit(state_dir, compose_project="shop", update_baseline=True, **params)
        assert finding(accepted, port)["status"] == "known"
        # An engine that does not answer for a while makes nothing known forgotten, so that it is no news afterwards.
        silent = audit(state_dir, fail_on="never")
        assert silent.result["docker"]["asked"] is False
        assert "No Docker Engine was asked" in silent.output
        # The engine's own proxy says which port it hands on to.
        assert os.geteuid() != 0 or finding(silent, port)["rule"] == "mongodb-exposed"
        assert finding(audit(state_dir, compose_project="shop", **params), port)["status"] == "known"
    finally:
        docker_engine.docker("rm", "--force", name, other, lone, check=False)
        docker_engine.docker("rmi", "mongo-express:port-audit", check=False)


def by_rule(result: ModuleResult, target: str) -> dict[str, dict[str, Any]]:
    return {item["rule"]: item for item in result.result["findings"] if target in item["target"]}


def test_settings_are_judged_with_their_variables_put_in_and_no_value_is_shown(state_dir: Path, tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_text(
        "NODE_ENV=development\nBASE=canary7canary\nJWT_SECRET=${BASE}\nCOOKIE_SECRET='${BASE}'\n"
        "MONGO_URI=mongodb://admin:${PW:-admin}@mongo/shop\nPORT=1\nPORT=2\n"
    )
    result = audit(state_dir, docker=False, env_files=[str(env)])
    assert not result.failed, "the first time it is the baseline"
    found = by_rule(result, ".env")
    assert set(found) == {"debugging-in-production", "weak-secret-in-use", "default-secret-in-use", "setting-twice"}
    assert found["default-secret-in-use"]["line"] == 5 and "MONGO_URI" in found["default-secret-in-use"]["message"]
    assert "canary7" not in result.output + "".join(
        path.read_text(errors="replace") for path in state_dir.rglob("*") if path.is_file()
    )
    # The shop's own loader puts nothing in: there the password is ${PW:-admin} itself.
    assert "default-secret-in-use" not in by_rule(
        audit(tmp_path / "other", docker=False, env_files=[str(env)], expand=False), ".env"
    )
    env.write_text(env.read_text().replace("JWT_SECRET=${BASE}", "JWT_SECRET=changeme"))
    worse = audit(state_dir, docker=False, env_files=[str(env)])
    assert worse.failed and "JWT_SECRET has a default" in worse.msg
    missing = audit(state_dir, docker=False, env_files=[str(tmp_path / "none")])
    assert missing.failed and "cannot read the environment file" in missing.msg and "Traceback" not in missing.output


COMPOSE = """\
services:
  api:
    image: x
    ports: ["127.0.0.1:${API_PORT}:3001", "127.0.0.1:{unanswered}:3999"]
  web:
    image: x
    ports:
      - {web}:80
  tools:
    image: x
    profiles: [tools]
    ports: ["8081:8081"]
"""


@pytest.mark.docker
def test_how_containers_are_configured_and_what_is_declared(
    docker_engine: Engine, state_dir: Path, tmp_path: Path
) -> None:
    from tests.sandbox.image import tiny_image

    good, bad = (f"port-audit-{secrets.token_hex(3)}" for _ in range(2))
    api, unanswered, web, surplus, mongo = (free_port() for _ in range(5))
    image = tiny_image(docker_engine)
    (tmp_path / ".env").write_text(f"API_PORT={api}\nJWT_SECRET=canary-of-a-secret-{secrets.token_hex(16)}\n")
    file = tmp_path / "docker-compose.yml"
    file.write_text(COMPOSE.replace("{unanswered}", str(unanswered)).replace("{web}", str(web)))
    labels = [
        "--label=com.docker.compose.project=shop",
        f"--label=com.docker.compose.project.config_files={file}",
        f"--label=com.docker.compose.project.working_dir={tmp_path}",
    ]
    docker_engine.docker("tag", image, "port-audit:latest")
    params = {
        "docker_host": docker_engine.docker_host,
        "compose_project": "shop",
        "env_files": [str(tmp_path / ".env")],
        "fail_on": "never",
    }
    try:
        docker_engine.docker(
            "run", "--detach", f"--name={good}", *labels, "--label=com.docker.compose.service=api", "--user=1000",
            f"--publish=127.0.0.1:{api}:3001", f"--publish=127.0.0.1:{unanswered}:3999", f"--publish=127.0.0.1:{surplus}:9229",
            "--log-opt=max-size=10m", "--health-cmd=true", "--workdir=/app", "--volume=/app/storage",
            image, "httpd", "-f", "-h", "/www", "-p", "3001",
        )  # fmt: skip
        docker_engine.docker(
            "run", "--detach", f"--name={bad}", *labels, "--label=com.docker.compose.service=mongo", "--cap-add=SYS_ADMIN",
            f'--volume={docker_engine.docker_host.removeprefix("unix://")}:/var/run/docker.sock:ro', "--volume=/etc:/host/etc", "--pid=host", "--ipc=host",
            "--env=MONGO_INITDB_ROOT_PASSWORD=changeme", f"--publish={mongo}:27017",
            "port-audit:latest", "httpd", "-f", "-h", "/www", "-p", "27017",
        )  # fmt: skip
        result = audit(state_dir, **params)
        assert not result.failed, result.msg
        fine = by_rule(result, good)
        assert set(fine) == {"data-in-container"}, fine
        assert "uploads (/app/uploads)" in fine["data-in-container"]["message"]
        assert "invoices" not in fine["data-in-container"]["message"], "these are on a volume"
        wrong = by_rule(result, bad)
        expected = {
            "docker-socket-mounted", "host-directory-mounted", "host-processes", "host-memory", "container-capabilities",
            "no-healthcheck", "no-log-limit", "secret-in-environment", "default-secret-in-use",
        }  # fmt: skip
        assert expected <= set(wrong)
        assert "container-runs-as-root" in wrong or os.geteuid() != 0
        assert "CIS Docker Benchmark 1.6.0, 5.32" in wrong["docker-socket-mounted"]["message"]
        exposed = finding(result, mongo)
        assert exposed["rule"] == "mongodb-exposed-default-credentials" and exposed["severity"] == "critical"
        assert f"MONGO_INITDB_ROOT_PASSWORD in container {bad}" in exposed["message"]
        services = {
            (item["rule"], item["target"]) for item in result.result["findings"] if "service " in item["target"]
        }
        # A container that is not in the files is another's way of working: what it publishes is judged by allow.
        assert services - {("published-port-unanswered", f"service api {surplus}/tcp")} == {
            ("declared-port-not-published", f"service web {web}/tcp"),
            ("published-port-not-declared", f"service api {surplus}/tcp"),
            ("published-port-unanswered", f"service api {unanswered}/tcp"),
        }
        assert "canary" not in result.output and "changeme" not in result.output
        assert audit(state_dir, **params).result["summary"]["findings"] == 0, "known the second time"
        less = audit(tmp_path / "less", configuration=False, **params)
        assert not by_rule(less, good) and not by_rule(less, bad)
        file.unlink()
        untold = audit(tmp_path / "untold", **params)
        assert "was not compared" in untold.output
        assert not any(item["rule"].startswith("declared") for item in untold.result["findings"])
    finally:
        docker_engine.docker("rm", "--force", "--volumes", good, bad, check=False)
        docker_engine.docker("rmi", "port-audit:latest", check=False)
