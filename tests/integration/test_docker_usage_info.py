# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docker_usage_info, and the connection, against a real engine of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.client import Docker, EngineError
from tests.sandbox import docker_trouble
from tests.sandbox.engine import Engine
from tests.sandbox.image import Image, load, small_image, tiny_image
from tests.support.modules import ROOT, run_module


@pytest.fixture(scope="module")
def engine(docker_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine of this module's own, with what piles up over the months."""
    store = os.environ.get("MINIECOM_TEST_ENGINE_STORE", docker_engine.store)
    with Engine(tmp_path_factory.mktemp("usage"), docker_engine.release, store) as own:
        docker_trouble.make(own, tiny_image(own))
        layer = small_image("x", os.urandom(100_000)).layers[0]
        other = small_image("x", os.urandom(50_000)).layers[0]
        load(own, [Image(("shared:1",), (layer,)), Image(("shared:2",), (layer, other))])
        yield own


def look(engine: Engine, state_dir: Path, **options: Any) -> dict[str, Any]:
    result = run_module("docker_usage_info", {"docker_host": engine.docker_host, "state_dir": state_dir, **options})
    assert not result.failed, result.msg
    assert not result.changed
    return result.result


def test_totals_are_the_engines_own(engine: Engine, state_dir: Path) -> None:
    found = look(engine, state_dir)
    usage = engine.api("GET", "/system/df")
    assert found["engine"]["version"] == engine.version
    assert found["engine"]["store"] == engine.store
    assert found["engine"]["hidden_containers"] == 0
    assert found["images"]["bytes"] == usage["LayersSize"]
    assert found["images"]["total"] == len(usage["Images"])
    assert found["volumes"]["bytes"] == sum(item["UsageData"]["Size"] for item in usage["Volumes"])
    assert found["containers"]["total"] == len(usage["Containers"])
    assert found["build_cache"]["total"] == len(usage["BuildCache"])
    assert found["reclaimable_bytes"] == found["summary"]["bytes"] <= found["reclaimable_bytes_max"]


def test_what_is_used_is_not_reclaimable(engine: Engine, state_dir: Path) -> None:
    found = look(engine, state_dir)
    # A volume that a stopped container mounts is used; a stopped container of a project is, too.
    assert found["volumes"]["unused"] == found["volumes"]["total"] - 1
    assert found["containers"]["unused"] == found["containers"]["total"] - 1
    largest = {item["target"]: item for item in look(engine, state_dir, largest=100)["largest"]}
    users = [item["used_by"] for name, item in largest.items() if name.startswith("partner_import")]
    assert [name.startswith("old-import") for name in users[0]] == [True]


def test_a_shared_layer_is_counted_once(engine: Engine, state_dir: Path) -> None:
    if engine.store != "classic":
        pytest.skip("the containerd store gives a range")
    before = look(engine, state_dir)["images"]["reclaimable_bytes"]
    engine.api("DELETE", "/images/shared:1")
    assert look(engine, state_dir)["images"]["reclaimable_bytes"] == before
    engine.api("DELETE", "/images/shared:2")
    assert look(engine, state_dir)["images"]["reclaimable_bytes"] == before - 150_000


def test_the_largest_come_first(engine: Engine, state_dir: Path) -> None:
    largest = look(engine, state_dir, largest=4)["largest"]
    assert len(largest) == 4
    assert [item["bytes"] for item in largest] == sorted((item["bytes"] for item in largest), reverse=True)
    assert look(engine, state_dir, largest=0)["largest"] == []


def test_check_mode_is_the_same(engine: Engine, state_dir: Path) -> None:
    params = {"docker_host": engine.docker_host, "state_dir": state_dir}
    checked = run_module("docker_usage_info", params, check=True).result
    assert checked["images"] == look(engine, state_dir)["images"]
    assert not state_dir.exists()


def test_the_environments_engine_is_the_default(engine: Engine, state_dir: Path) -> None:
    result = run_module("docker_usage_info", {"state_dir": state_dir}, env={"DOCKER_HOST": engine.docker_host})
    assert result.result["engine"]["docker_host"] == engine.docker_host


def test_the_version_is_the_engines_newest(engine: Engine) -> None:
    with Docker.connect(engine.docker_host) as docker:
        assert docker.api_version == engine.api("GET", "/version")["ApiVersion"]
        assert docker.store == engine.store


def test_a_refused_request_has_the_engines_words(engine: Engine) -> None:
    with Docker.connect(engine.docker_host) as docker, pytest.raises(EngineError) as caught:
        docker.get("/volumes/nope")
    assert caught.value.status == 404
    assert "no such volume" in caught.value.words


def test_a_socket_that_may_not_be_opened(engine: Engine, state_dir: Path) -> None:
    """In a process without the rights: root may open everything."""
    script = (
        # The SDK is imported where it is used, which that user might not be allowed to read.
        "import docker, json, os, sys\n"
        "from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.client import *\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "try:\n    Docker.connect(sys.argv[1])\n"
        "except DockerUnavailable as error:\n    print(json.dumps([error.reason, str(error)]))\n"
    )
    # The directories on the way must be open to that user for the socket itself to refuse.
    link = Path("/tmp") / f"miniecom-test-{os.getpid()}.sock"
    link.symlink_to(engine.socket)
    directories = [directory for directory in engine.socket.parents if not directory.stat().st_mode & 0o001]
    modes = {directory: directory.stat().st_mode & 0o7777 for directory in directories}
    try:
        for directory in directories:
            directory.chmod(modes[directory] | 0o011)
        done = subprocess.run(
            [sys.executable, "-c", script, f"unix://{link}"],
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
    finally:
        link.unlink()
        for directory, mode in modes.items():
            directory.chmod(mode)
    assert done.stdout, done.stderr
    reason, message = json.loads(done.stdout)
    assert reason == "permission"
    assert "become: true" in message
