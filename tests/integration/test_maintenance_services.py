# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ran before maintenance runs after it, and nothing else. Units of systemd are tested with the timer."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.expiry import program
from tests.sandbox.engine import Engine
from tests.sandbox.image import tiny_image
from tests.sandbox.mongod import free_port
from tests.support.extent import EXHAUSTIVE
from tests.support.modules import ModuleResult, run_module

# member: as one of a replica set, which takes longer to stop than the ten seconds that Docker waits by itself.
COMPOSE = """\
x-base: &base
  image: {image}
  pull_policy: never
services:
  api:
    <<: *base
    command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
  worker:
    <<: *base
    command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
  member:
    <<: *base
    command: [sh, -c, "trap 'sleep 11; exit 0' TERM; while :; do sleep 0.1; done"]
  web:
    <<: *base
    profiles: [web]
    command:
      - sh
      - -c
      - >-
        mkdir -p /www/api; touch /well; echo '{{"status": "ok", "mongoConnected": true}}' > /www/api/health;
        httpd -f -p 3001 -h /www & trap 'exit 0' TERM; while :; do sleep 0.1; done
    healthcheck: {{test: [CMD-SHELL, "[ -f /well ]"], interval: 300ms, retries: 1}}
    ports: ["127.0.0.1:{port}:3001"]
  idle:
    <<: *base
    command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
"""
PORT = free_port()


@dataclass
class Shop:
    """A compose project that needs no database: the flag is what is put up."""

    base: Path
    engine: Engine

    def compose(self, *arguments: str) -> str:
        return self.engine.docker("compose", *arguments, cwd=self.base / "shop", timeout=120)

    def running(self) -> list[str]:
        return sorted(self.compose("ps", "--services", "--status", "running").split())

    def call(self, *stop: str, **params: Any) -> ModuleResult:
        options = {key: params.pop(key) for key in ("check", "diff", "kill_at") if key in params}
        given = {
            "path": self.base / "shop/storage/.maintenance",
            "state_dir": self.base / "state",
            "owner": "ops",
            "timer": "none",
            "layers": ["flag"],
            "stop_services": list(stop),
            "compose_project": "shop",
            "docker_host": self.engine.docker_host,
            **params,
        }
        return run_module("maintenance_flag", given, **options)

    def leave(self, **params: Any) -> ModuleResult:
        return self.call(state="absent", **params)

    def headline(self) -> str:
        given = {"path": self.base / "shop/storage/.maintenance", "state_dir": self.base / "state"}
        found = run_module("maintenance_flag_info", given)
        assert not found.failed, found.msg
        return str(found.result["summary"]["headline"])


@pytest.fixture(scope="module")
def shop(docker_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    base = tmp_path_factory.mktemp("services")
    (base / "shop/storage").mkdir(parents=True)
    (base / "shop/docker-compose.yml").write_text(
        COMPOSE.format(image=tiny_image(docker_engine), port=PORT), encoding="utf-8"
    )
    found = Shop(base, docker_engine)
    try:
        found.compose("up", "--detach", "--no-start")
        found.compose("start", "api", "member", "worker")
        yield found
    finally:
        found.compose("down", "--timeout", "0")


def test_what_ran_runs_again_and_nothing_else(shop: Shop) -> None:
    stop = ("worker", "idle", "member")
    planned = shop.call(*stop, check=True, diff=True)
    assert shop.running() == ["api", "member", "worker"] and not planned.failed, planned.msg
    assert [entry["target"] for entry in planned.result["plan"] if entry["action"] == "stop_service"] == [
        "container shop-worker-1",
        "container shop-member-1",
    ]
    assert "container shop-worker-1: stopped" in planned.result["diff"]["after"]
    up = shop.call(*stop)
    assert not up.failed and up.result["plan"] == planned.result["plan"], up.msg
    assert up.result["stopped"] == ["shop-worker-1", "shop-member-1"] and shop.running() == ["api"]
    assert shop.engine.api("GET", "/containers/shop-member-1/json")["State"]["ExitCode"] == 0, "it was killed"
    assert not shop.call(*stop).changed
    assert "stopped for it: shop-worker-1, shop-member-1" in shop.headline()

    # Somebody starts one by hand, and another is added to what is stopped.
    shop.compose("start", "worker")
    more = shop.call("api")
    assert more.result["stopped"] == ["shop-worker-1", "shop-member-1", "shop-api-1"] and shop.running() == ["worker"]

    planned = shop.leave(check=True)
    assert [entry["target"] for entry in planned.result["plan"] if entry["action"] == "start_service"] == [
        "container shop-api-1",
        "container shop-member-1",
    ]
    down = shop.leave()
    assert not down.failed and down.result["plan"] == planned.result["plan"], down.msg
    assert shop.running() == ["api", "member", "worker"] and not shop.leave().changed


@pytest.mark.parametrize("boundary", range(8) if EXHAUSTIVE else (4, 5))
def test_killed_in_between_the_next_call_knows_what_to_start(shop: Shop, boundary: int) -> None:
    killed = shop.call("worker", "api", kill_at=boundary)
    assert killed.rc == -signal.SIGKILL
    # What the reader of the status is told, and what the next call makes of it.
    told = shop.headline()
    for name in ("worker", "api"):
        assert (f"shop-{name}-1" in told) == (name not in shop.running())
    if boundary % 2:
        again = shop.call("worker", "api")
        assert not again.failed and again.result["stopped"] == ["shop-worker-1", "shop-api-1"]
        assert shop.leave(kill_at=1).rc == -signal.SIGKILL and "shop-worker-1" in shop.headline()
    assert not shop.leave().failed and shop.running() == ["api", "member", "worker"]
    assert shop.headline() == "maintenance is not up"


def test_what_is_not_there_is_refused_before_anything(shop: Shop) -> None:
    wrong = shop.call("api", "wroker")
    assert wrong.failed and "no container of this service: wroker" in wrong.msg and "worker" in wrong.msg
    assert shop.running() == ["api", "member", "worker"] and shop.headline() == "maintenance is not up"


def test_what_was_removed_meanwhile_keeps_no_shop_closed(shop: Shop) -> None:
    assert not shop.call("worker", "api").failed
    shop.compose("rm", "--force", "worker")
    down = shop.leave()
    assert (
        not down.failed and "not there any more" in str(down.result["warnings"]) and shop.running() == ["api", "member"]
    )
    shop.compose("up", "--detach", "worker")


def test_leaving_goes_on_while_the_engine_is_down(shop: Shop) -> None:
    """Each layer is taken down that can be; what was stopped stays noted, and is started as soon as the engine answers."""
    state, flag = shop.base / "state", shop.base / "shop/storage/.maintenance"
    assert not shop.call("worker", "api").failed
    note = state / "maintenance.json"
    here = note.read_text()
    note.write_text(here.replace(shop.engine.docker_host, f"unix://{shop.base}/gone.sock"))
    planned = shop.leave(check=True)
    assert planned.failed and "container shop-worker-1" in str(planned.result["kept"]), planned.msg
    left = shop.leave()
    assert left.failed and left.result["plan"] == planned.result["plan"], left.msg
    assert "container shop-worker-1, container shop-api-1 could not be looked at" in left.msg and "again" in left.msg
    assert flag.exists() and "is not known" in shop.headline()
    note.write_text(here)
    assert not shop.leave().failed and shop.running() == ["api", "member", "worker"] and not flag.exists()


def test_its_end_starts_them(shop: Shop) -> None:
    assert not shop.call("worker", expires="2h", on_expiry="lift").failed
    note = shop.base / "state/maintenance.json"
    found = json.loads(note.read_text())
    found["expires"] = (datetime.now(timezone.utc) - timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    note.write_text(json.dumps(found))
    path = shop.base / "expiry.pyz"
    path.write_bytes(program())
    done = subprocess.run(
        [sys.executable, "-I", "-B", str(path), str(shop.base / "state")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert shop.running() == ["api", "member", "worker"] and shop.headline() == "maintenance is not up"


# -- restarting what is unhealthy ----------------------------------------------------------------------------------------


def test_what_is_unhealthy_is_restarted_once_and_never_in_maintenance(shop: Shop) -> None:
    def restart(**params: Any) -> ModuleResult:
        options = {key: params.pop(key) for key in ("check",) if key in params}
        given = {
            "services": ["web", "worker"],
            "api_service": "web",
            "probe_url": f"http://127.0.0.1:{PORT}/api/health",
            "compose_project": "shop",
            "docker_host": shop.engine.docker_host,
            "path": shop.base / "shop/storage/.maintenance",
            "state_dir": shop.base / "state",
            **params,
        }
        return run_module("shop_restart", given, **options)

    def state() -> dict[str, Any]:
        return dict(shop.engine.api("GET", "/containers/shop-web-1/json")["State"])

    def wait_for(health: str) -> str:
        deadline = time.monotonic() + 30
        while state()["Health"]["Status"] != health:
            assert time.monotonic() < deadline, state()
            time.sleep(0.1)
        return str(state()["StartedAt"])

    shop.compose("--profile", "web", "up", "--detach", "web")
    wait_for("healthy")
    assert not restart().changed
    shop.engine.docker("exec", "shop-web-1", "rm", "/well")
    began = wait_for("unhealthy")

    assert not shop.call().failed
    hindered = restart()
    assert not hindered.changed and hindered.result["hindered"] == "the shop is in maintenance", hindered.msg
    assert not shop.leave().failed and state()["StartedAt"] == began

    planned = restart(check=True)
    assert planned.changed and state()["StartedAt"] == began
    assert [entry["reason"] for entry in planned.result["plan"]] == ["its health check fails"]
    done = restart()
    assert (
        not done.failed and done.result["plan"] == planned.result["plan"] and done.result["restarted"] == ["shop-web-1"]
    )
    assert wait_for("healthy") != began and not restart().changed

    # Now one that no restart helps: it is tried once, and then said to be so.
    shop.engine.docker("exec", "shop-web-1", "sh", "-c", "rm /well; mkdir /well")
    wait_for("unhealthy")
    in_vain = restart()
    assert in_vain.failed and "has not helped" in in_vain.msg and in_vain.changed
    began = wait_for("unhealthy")
    again = restart()
    assert not again.failed and not again.changed and "has not helped" in str(again.result["warnings"])
    assert state()["StartedAt"] == began

    # What somebody has stopped stays stopped, whatever does not answer.
    shop.compose("--profile", "web", "stop", "web")
    stopped = restart()
    assert not stopped.failed and not stopped.changed and "somebody has stopped it" in str(stopped.result["kept"])
