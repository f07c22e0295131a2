# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real engine that an ordinary user runs, by Docker's own script: it is served like any other one, by root and by its owner."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import lacking
from tests.sandbox.dockerd import EngineUnavailable
from tests.sandbox.image import load, small_image, tiny_image
from tests.sandbox.rootless import UID, RootlessEngine
from tests.support.modules import ROOT, run_module

EVERYTHING = {
    "containers": "stopped",
    "images": "unused",
    "volumes": "anonymous",
    "networks": "unused",
    "build_cache": "unused",
}
# All that is imported is read before the rights go: what tests run from may be closed to others.
BY_ANOTHER = """
import json, os, sys, time
import docker.transport, requests
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.client import Docker, DockerUnavailable
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.draft import Policy
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.observation import EVERYTHING, read_inventory
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.prune import plan_removals
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.removal import remove
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.watch import Watch
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))
try:
    engine = Docker.connect(sys.argv[1])
except DockerUnavailable as error:
    print(json.dumps([error.reason, str(error)]))
    sys.exit()
plan = plan_removals(read_inventory(engine, EVERYTHING), Policy(volumes="anonymous"), time.time())
watch = Watch(engine)
print(json.dumps([action.target for action in plan.actions if remove(engine, watch, action).failure is None]))
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[RootlessEngine]:
    try:
        with RootlessEngine() as found:
            yield found
        # It has ended with all that it had started.
        assert not found.processes() and not found.home.exists()
    except EngineUnavailable as error:
        lacking(f"a rootless engine: {error}")


@pytest.fixture(scope="module")
def image(engine: RootlessEngine) -> str:
    return tiny_image(engine)


def by(engine: RootlessEngine, uid: int) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", BY_ANOTHER, engine.docker_host, str(uid)],
        env={
            "PYTHONPATH": str(ROOT / "collections"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "DOCKER_CONFIG": "/nonexistent",
        },
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert done.stdout, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


def test_what_nothing_uses_goes_as_was_said_and_nothing_else(
    engine: RootlessEngine, image: str, tmp_path: Path, state_dir: Path
) -> None:
    assert "name=rootless" in engine.info()["SecurityOptions"]
    engine.docker("run", "--detach", "--name=web", "--volume=/data", image, "httpd", "-f", "-h", "/www")
    engine.docker("create", "--name=old", image)
    load(engine, [small_image(None, b"x" * 1000)])
    engine.api("POST", "/networks/create", {"Name": "unused"})
    unused, named = engine.api("POST", "/volumes/create", {}), engine.api("POST", "/volumes/create", {"Name": "named"})
    (engine.data_root / "volumes" / unused["Name"] / "_data" / "file").write_bytes(b"y" * 50)
    mounted = engine.api("POST", "/volumes/create", {})["Name"]
    # By its directory, and not by its name.
    place = engine.data_root / "volumes" / mounted / "_data"
    engine.docker("create", "--name=shop", "--label=com.docker.compose.project=shop", f"--volume={place}:/data", image)
    params: dict[str, Any] = {"docker_host": engine.docker_host, "state_dir": state_dir, **EVERYTHING}
    planned = run_module("docker_prune", params, check=True)
    done = run_module("docker_prune", params)
    assert not planned.failed and not done.failed, (planned.msg, done.msg)
    told = {(action["action"], action["target"]) for action in planned.result["plan"]}
    assert {(action["action"], action["target"]) for action in done.result["actions"]} == told
    assert {name for name, _target in told} == {
        "remove_container",
        "remove_image",
        "remove_network",
        "remove_volume",
    }
    assert ("remove_container", "old") in told and ("remove_volume", unused["Name"]) in told and len(told) == 4
    assert done.result["summary"]["bytes_freed"] == planned.result["summary"]["bytes_predicted"] > 1000
    left = {volume["Name"] for volume in engine.api("GET", "/volumes")["Volumes"]}
    assert {named["Name"], mounted} < left and len(left) == 3
    assert {item["Names"][0] for item in engine.api("GET", "/containers/json?all=1")} == {"/web", "/shop"}
    again = run_module("docker_prune", params)
    assert not again.failed and not again.changed
    used = run_module("docker_usage_info", {"docker_host": engine.docker_host, "state_dir": state_dir})
    assert used.result["volumes"]["total"] == 3 and not used.failed
    engine.docker("exec", "web", "sh", "-c", "echo said > /proc/1/fd/1")
    logs = {"docker_host": engine.docker_host, "state_dir": state_dir, "dest": tmp_path / "logs"}
    collected = run_module("docker_logs", logs)
    assert not collected.failed, collected.msg
    assert collected.result["summary"]["lines"] == 1


def test_its_owner_may_and_others_may_not(engine: RootlessEngine) -> None:
    volume = engine.api("POST", "/volumes/create", {})["Name"]
    reason, message = by(engine, UID + 1)
    assert reason == "permission" and f"may not be opened by uid {UID + 1}" in message
    assert by(engine, UID) == [volume]
    assert volume not in {item["Name"] for item in engine.api("GET", "/volumes")["Volumes"]}
