# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docker_prune and docker_usage_info on a socket of Podman, which calls itself API 1.44 of Docker's and means other things by it.

MINIECOM_TEST_ENGINE_RELEASES=1 runs it: Podman comes from Debian sid, which moves.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import OTHER_RELEASES
from tests.sandbox.image import load, small_image
from tests.sandbox.podman import Podman
from tests.support.modules import ModuleResult, run_module

pytestmark = pytest.mark.skipif(not os.environ.get("MINIECOM_TEST_ENGINE_RELEASES"), reason=OTHER_RELEASES)
ALL = {
    "containers": "stopped",
    "images": "unused",
    "volumes": "anonymous",
    "networks": "unused",
    "build_cache": "unused",
}


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    with Podman(tmp_path_factory.mktemp("podman") / "p") as own:
        yield own


@pytest.fixture
def prune(podman: Podman, state_dir: Path) -> Iterator[Callable[..., ModuleResult]]:
    def run(check: bool = False, **options: Any) -> ModuleResult:
        params = {"docker_host": podman.docker_host, "state_dir": state_dir, **options}
        return run_module("docker_prune", params, check=check)

    yield run
    for container in podman.api("GET", "/containers/json?all=1"):
        podman.api("DELETE", f"/containers/{container['Id']}?force=1&v=1")
    for image in podman.api("GET", "/images/json"):
        podman.api("DELETE", f"/images/{image['Id']}?force=1")
    for volume in podman.api("GET", "/volumes")["Volumes"]:
        podman.api("DELETE", f"/volumes/{volume['Name']}")


def create(podman: Podman, name: str, image: str, **facts: Any) -> None:
    host = {"NetworkMode": "none", **facts.pop("HostConfig", {})}
    # A version in the path: without one Podman takes it for a request of its own kind.
    payload = {"Image": image, "Cmd": ["true"], "HostConfig": host, **facts}
    podman.api("POST", f"/v1.44/containers/create?name={name}", payload)


def volume(podman: Podman, name: str | None = None) -> str:
    return str(podman.api("POST", "/v1.44/volumes/create", {"Name": name} if name else {})["Name"])


def kept(result: ModuleResult) -> dict[str, str]:
    return {entry["target"]: entry["reason"] for entry in result.result["kept"]}


def done(result: ModuleResult) -> list[str]:
    assert not result.failed, result.msg
    assert {action["status"] for action in result.result["actions"]} <= {"done"}, result.result["actions"]
    return sorted(action["target"] for action in result.result["actions"])


def test_it_is_called_by_its_name(podman: Podman, state_dir: Path) -> None:
    result = run_module("docker_usage_info", {"docker_host": podman.docker_host, "state_dir": state_dir})
    assert not result.failed, result.msg
    engine = result.result["engine"]
    assert (engine["kind"], engine["version"], engine["hidden_containers"]) == ("podman", "5.8.6", 0)


def test_what_nothing_uses_goes_and_nothing_else(podman: Podman, prune: Callable[..., ModuleResult]) -> None:
    load(podman, [small_image("used:1", b"used"), small_image("free:1", b"free"), small_image(None, b"dangling")])
    load(
        podman, [small_image("two:1", b"two"), small_image("elsewhere/two:2", b"two"), small_image("taken:1", b"taken")]
    )
    create(podman, "stopped", "taken:1")
    create(
        podman,
        "project",
        "used:1",
        Labels={"com.docker.compose.project": "shop"},
        Volumes={"/anonymous": {}},
        HostConfig={"Binds": ["shop_data:/data"]},
    )
    create(podman, "always", "used:1", HostConfig={"RestartPolicy": {"Name": "always"}})
    lonely, named = volume(podman), volume(podman, "precious")
    checked = prune(check=True, **ALL)
    result = prune(**ALL)
    assert [item["target"] for item in checked.result["plan"]] == [item["target"] for item in result.result["plan"]]
    targets = done(result)
    dangling = [target for target in targets if len(target) == 12]
    assert len(dangling) == 1
    assert set(targets) - set(dangling) == {
        "stopped",
        "localhost/free:1",
        "localhost/elsewhere/two:2",
        "localhost/taken:1",
        lonely,
    }
    names = {item["Name"] for item in podman.api("GET", "/volumes")["Volumes"]}
    assert {named, "shop_data"} <= names and lonely not in names and len(names) == 3
    assert [item["RepoTags"] for item in podman.api("GET", "/images/json")] == [["localhost/used:1"]]
    reasons = kept(result)
    assert "compose project shop" in reasons["container project"]
    assert "restart policy is always" in reasons["container always"]
    assert reasons["volume precious"] == "has a name, and is not named in volume_names"
    assert "mounted by the container project" in reasons["volume shop_data"]
    assert reasons["network bridge"] == "made by the engine"
    assert not prune(**ALL).changed


def test_a_named_volume_goes_when_it_is_named(podman: Podman, prune: Callable[..., ModuleResult]) -> None:
    volume(podman, "given")
    volume(podman, "other")
    load(podman, [small_image("used:1", b"used")])
    create(podman, "user", "used:1", HostConfig={"Binds": ["mounted:/data"]})
    result = prune(volume_names=["given", "mounted"])
    assert done(result) == ["given"]
    assert "mounted by the container user" in kept(result)["volume mounted"]


def test_containers_of_other_programs_keep_volumes(podman: Podman, prune: Callable[..., ModuleResult]) -> None:
    """As buildah's, which stand in the same storage and in no list of Podman's."""
    load(podman, [small_image("used:1", b"used")])
    create(podman, "user", "used:1")
    lonely = volume(podman)
    path = podman.data_root / "overlay-containers/containers.json"
    before = path.read_text()
    entries = json.loads(before)
    path.write_text(json.dumps([*entries, {**entries[0], "id": "e" * 64, "names": ["buildah"], "layer": "x"}]))
    try:
        result = prune(volumes="anonymous")
    finally:
        path.write_text(before)
    assert result.result["plan"] == []
    assert "buildah" in str(result.result.get("warnings")) + result.output
    assert done(prune(volumes="anonymous")) == [lonely]
