# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The nginx of a compose project, whose configuration is a single file that its container was given."""

from __future__ import annotations

import http.client
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.engine import Engine
from tests.sandbox.image import nginx_image, tiny_image
from tests.support.extent import EXHAUSTIVE
from tests.support.modules import ModuleResult, run_module

COMPOSE = """\
services:
  api:
    image: {api}
    pull_policy: never
    command: [httpd, -f, -p, "3001", -h, /www]
  nginx:
    image: {nginx}
    pull_policy: never
    profiles: [nginx]
    depends_on: [api]
    volumes:
      - ./nginx/default.conf:/etc/nginx/conf.d/default.conf:ro
"""
CONFIG = """\
upstream shop { server api:3001; }
server {
    listen 80;
    server_name shop.example;
    location /api/ { proxy_pass http://shop/; }
    location / { proxy_pass http://shop; }
}
"""


@dataclass
class Front:
    """A compose project with an nginx, and the directory that it may be given."""

    base: Path
    engine: Engine

    @property
    def config(self) -> Path:
        return self.base / "shop/nginx/default.conf"

    @property
    def page(self) -> Path:
        return self.base / "page"

    def compose(self, *arguments: str) -> str:
        return self.engine.docker("compose", "--profile", "nginx", *arguments, cwd=self.base / "shop", timeout=120)

    def name(self) -> str:
        return self.compose("ps", "--all", "--format", "{{.Name}}", "nginx").strip() or "shop-nginx-1"

    def ask(self, path: str = "/") -> tuple[int, str]:
        """What a visitor gets; 0 where nothing answers yet."""
        found = self.engine.api("GET", "/containers/shop-nginx-1/json")["NetworkSettings"]["Networks"]
        address = next(iter(found.values()))["IPAddress"]
        connection = http.client.HTTPConnection(address, 80, timeout=10)
        try:
            connection.request("GET", path, headers={"Host": "shop.example"})
            got = connection.getresponse()
            return got.status, got.read().decode()
        except OSError:
            return 0, ""
        finally:
            connection.close()

    def wait_for(self, status: int, path: str = "/") -> None:
        deadline = time.monotonic() + 30
        while self.ask(path)[0] != status:
            assert time.monotonic() < deadline, (self.ask(path), self.compose("logs", "nginx"))
            time.sleep(0.05)

    def setup(self, **params: Any) -> ModuleResult:
        options = {key: params.pop(key) for key in ("check", "diff", "kill_at_change") if key in params}
        given = {
            "root": self.base / "shop",
            "container": "shop-nginx-1",
            "docker_host": self.engine.docker_host,
            "directory": self.page,
            "state_dir": self.base / "state",
            **params,
        }
        return run_module("maintenance_nginx", given, **options)

    def flag(self, module: str = "maintenance_flag", **params: Any) -> ModuleResult:
        given = {"path": self.base / "shop/storage/.maintenance", "state_dir": self.base / "state", **params}
        if module == "maintenance_flag":
            given = {"owner": "ops", "timer": "none", **given}
        return run_module(module, given)

    def status(self) -> dict[str, Any]:
        found = self.flag("maintenance_flag_info")
        assert not found.failed, found.msg
        return found.result


@pytest.fixture(scope="module")
def front(docker_engine: Engine) -> Iterator[Front]:
    # Not below pytest's own directories, which it closes to others: nginx's workers are another user.
    base = Path(tempfile.mkdtemp(prefix="miniecom-compose-front-"))
    base.chmod(0o711)
    (base / "shop/nginx").mkdir(parents=True)
    (base / "shop/storage").mkdir()
    images = {"api": tiny_image(docker_engine), "nginx": nginx_image(docker_engine)}
    (base / "shop/docker-compose.yml").write_text(COMPOSE.format(**images), encoding="utf-8")
    found = Front(base, docker_engine)
    found.config.write_text(CONFIG, encoding="utf-8")
    try:
        found.compose("up", "--detach")
        found.wait_for(200)
        yield found
    finally:
        found.compose("down", "--timeout", "0")
        shutil.rmtree(base)


def test_what_its_container_does_not_see_is_told_with_what_helps(front: Front) -> None:
    found = front.setup()
    assert not found.failed and not found.changed and not found.result["applicable"], found.msg
    assert "does not see" in found.result["reason"] and "compose_override" in found.result["reason"]
    assert front.config.read_text() == CONFIG and not front.page.exists()
    (front.base / "shop/docker-compose.override.yml").write_text(found.result["compose_override"], encoding="utf-8")
    front.compose("up", "--detach", "--no-deps", "nginx")
    front.wait_for(200)
    assert front.page.is_dir()


def test_set_up_in_place_and_checked_inside(front: Front) -> None:
    inode = front.config.stat().st_ino
    planned = front.setup(check=True, diff=True)
    assert planned.changed and front.config.read_text() == CONFIG, planned.msg
    assert str(front.config) in planned.result["diff"]["after"], "the file as it lies on the host"
    done = front.setup()
    assert not done.failed and done.changed, done.msg
    assert done.result["plan"] == planned.result["plan"]
    assert done.result["servers"] == ["shop.example (http://127.0.0.1:80 in shop-nginx-1)"]
    assert front.config.stat().st_ino == inode and f"include {front.page}/*.conf;" in front.config.read_text()
    assert not front.setup().changed and front.ask()[0] == 200


def test_it_turns_visitors_away_through_restarts_and_lets_them_in_again(front: Front) -> None:
    up = front.flag(expires="2h", reason="Bigger disks")
    assert not up.failed and up.result["layers"] == ["flag", "nginx"], up.msg
    assert front.ask()[0] == 503 and "Bigger disks" in front.ask()[1]
    assert front.ask("/api/orders")[0] == 503 and '"maintenance":true' in front.ask("/api/orders")[1]
    assert front.ask("/api/health")[0] == 404, "the shop's own answer"
    found = front.status()
    assert found["maintenance"]["consistent"] and found["layers"]["nginx"]["turns_away"] is True
    # As a reboot does: each container has another process and network afterwards.
    front.compose("restart", "--timeout", "0")
    front.wait_for(503)
    assert front.status()["maintenance"]["consistent"]
    assert not front.flag(expires="2h", reason="Bigger disks").changed

    front.compose("kill", "nginx")
    dead = front.status()["maintenance"]
    assert dead["active"] and not dead["consistent"] and "does not run" in str(dead["problems"])
    left = front.flag(state="absent")
    assert left.failed and "taken down in each of its layers" in left.msg and "does not run" in left.msg
    front.compose("start", "nginx")
    front.wait_for(200)
    assert not front.flag(state="absent").failed
    assert front.status()["summary"]["headline"] == "maintenance is not up"


def test_where_it_does_not_run_it_is_not_used(front: Front) -> None:
    front.compose("kill", "nginx")
    found = front.setup()
    assert not found.failed and "shop-nginx-1 does not run" in found.result["reason"]
    named = front.flag(layers=["nginx"])
    assert named.failed and "does not run" in named.msg and not (front.base / "shop/storage/.maintenance").exists()
    front.compose("start", "nginx")
    front.wait_for(200)


def test_a_configuration_that_is_broken_already_is_not_touched(front: Front) -> None:
    before = front.config.read_text()
    with front.config.open("r+", encoding="utf-8") as handle:
        handle.write("nonsense;" + before)
    found = front.setup()
    assert not found.failed and not found.changed and 'unknown directive "nonsense"' in found.result["reason"]
    with front.config.open("w", encoding="utf-8") as handle:
        handle.write(before)


def test_killed_at_every_change_it_is_whole_again(front: Front) -> None:
    """Taken back and set up, each killed just before its first change to the shop's files, its second, and so on."""
    number, killed = 0, True
    while killed:
        gone = front.setup(state="absent")
        assert not gone.failed, gone.msg
        assert front.config.read_text() == CONFIG
        killed = front.setup(kill_at_change=(front.base, number)).rc == -signal.SIGKILL
        front.engine.docker("exec", "shop-nginx-1", "nginx", "-t")
        done = front.setup()
        assert not done.failed and done.result["applicable"], (number, done.msg)
        assert not front.setup().changed and front.ask()[0] == 200
        number += 1 if EXHAUSTIVE else 6
    assert number > 6, "it was never killed"


def test_a_file_that_somebody_has_replaced_is_seen(front: Front) -> None:
    changed = front.config.with_name("new")
    changed.write_text(front.config.read_text() + "# as an editor does it\n", encoding="utf-8")
    changed.rename(front.config)
    found = front.setup()
    assert (
        not found.failed
        and not found.changed
        and "as it was before somebody replaced that file" in found.result["reason"]
    )
    front.compose("up", "--detach", "--no-deps", "--force-recreate", "nginx")
    front.wait_for(200)
    assert not front.setup().failed
