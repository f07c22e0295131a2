# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docker_prune against a real engine of its own: what it removes, and above all what it does not."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import AbortPlan, SkipAction
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Action
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker import observation
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker import watch as watch_module
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.client import Docker, EngineError
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.draft import Policy
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.observation import (
    EVERYTHING,
    Wanted,
    read_inventory,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.outcome import (
    gone_after_all,
    vanished_volumes,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.prune import plan_removals
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.removal import Unsure, remove
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.watch import Users, Watch
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.works import (
    Removal,
    RemoveBuildCache,
    RemoveImage,
    RemoveNetwork,
    RemoveVolume,
)
from tests.conftest import OTHER_RELEASES
from tests.sandbox import docker_trouble
from tests.sandbox.engine import Engine
from tests.sandbox.image import Image, load, small_image, tiny_image
from tests.support.extent import sampled
from tests.support.kill import boundaries, kill_and_run_again
from tests.support.modules import ModuleResult, run_module

ALL = {
    "containers": "stopped",
    "images": "unused",
    "volumes": "anonymous",
    "networks": "unused",
    "build_cache": "unused",
}
OCI = "application/vnd.oci.image"
WEEKLY = {"containers": "stopped", "images": "dangling", "build_cache": "unused", "older_than": "7d"}


@pytest.fixture(scope="module")
def engine(docker_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine of this module's own: what is pruned here is not missing to other tests.

    MINIECOM_TEST_ENGINE=sid MINIECOM_TEST_ENGINE_STORE=containerd runs it all on the other image store.
    """
    store = os.environ.get("MINIECOM_TEST_ENGINE_STORE", docker_engine.store)
    with Engine(tmp_path_factory.mktemp("prune"), docker_engine.release, store) as own:
        yield own


@pytest.fixture
def image(engine: Engine) -> Iterator[str]:
    """The name of an image with a shell; everything else that a test leaves behind is removed."""
    name = tiny_image(engine)
    yield name
    for container in engine.api("GET", "/containers/json?all=1"):
        engine.api("DELETE", f"/containers/{container['Id']}?force=1&v=1")
    for volume in engine.api("GET", "/volumes")["Volumes"] or []:
        engine.api("DELETE", f"/volumes/{volume['Name']}")
    for network in engine.api("GET", "/networks"):
        if network["Name"] not in ("bridge", "host", "none"):
            engine.api("DELETE", f"/networks/{network['Id']}")
    for item in engine.api("GET", "/images/json"):
        if name not in (item["RepoTags"] or []):
            engine.api("DELETE", f"/images/{item['Id']}?force=1")
    engine.api("POST", "/build/prune?all=1")


@pytest.fixture
def prune(engine: Engine, state_dir: Path) -> Callable[..., ModuleResult]:
    def run(check: bool = False, diff: bool = False, **options: Any) -> ModuleResult:
        return run_module(
            "docker_prune",
            {"docker_host": engine.docker_host, "state_dir": state_dir, **options},
            check=check,
            diff=diff,
        )

    return run


def create(engine: Engine, name: str, image: str, start: str = "", **host: Any) -> str:
    """Make a container, and start it when a command is given; returns its id."""
    labels = host.pop("Labels", {})
    volumes = host.pop("Volumes", {})
    payload = {
        "Image": image,
        "Cmd": ["sh", "-c", start or "true"],
        "Labels": labels,
        "Volumes": volumes,
        "HostConfig": {"NetworkMode": "none", **host},
    }
    identity = str(engine.api("POST", f"/containers/create?name={name}", payload)["Id"])
    if start:
        engine.api("POST", f"/containers/{name}/start")
        if start != FOREVER:
            ended(engine, name)
    return identity


def ended(engine: Engine, name: str) -> None:
    """Wait until a container has ended, also as far as the engine's list knows."""
    engine.api("POST", f"/containers/{name}/wait")
    deadline = time.monotonic() + 20
    while any(
        item["State"] == "running" and f"/{name}" in item["Names"]
        for item in engine.api("GET", "/containers/json?all=1")
    ):
        assert time.monotonic() < deadline


FOREVER = "while :; do sleep 1; done"


def volume(engine: Engine, name: str | None = None, content: bytes = b"precious", **facts: Any) -> str:
    made = str(engine.api("POST", "/volumes/create", {**({"Name": name} if name else {}), **facts})["Name"])
    if "DriverOpts" not in facts:
        (place(engine, made) / "content").write_bytes(content)
    return made


def place(engine: Engine, name: str) -> Path:
    return engine.data_root / "volumes" / name / "_data"


def snapshot(engine: Engine) -> str:
    """All that an engine holds, to be compared."""
    usage = engine.api("GET", "/system/df")
    return json.dumps(
        {
            "containers": sorted(item["Id"] + item["State"] for item in engine.api("GET", "/containers/json?all=1")),
            "images": sorted(str((item["Id"], item["RepoTags"])) for item in usage["Images"]),
            "volumes": sorted(item["Name"] for item in engine.api("GET", "/volumes")["Volumes"] or []),
            "networks": sorted(item["Id"] for item in engine.api("GET", "/networks")),
            "build_cache": sorted(item["ID"] for item in usage["BuildCache"] or []),
        },
        indent=1,
    )


def plan_of(engine: Engine, policy: Policy) -> dict[str, Action[Removal]]:
    with Docker.connect(engine.docker_host) as docker:
        plan = plan_removals(read_inventory(docker, EVERYTHING), policy, time.time())
    return {action.target: action for action in plan.actions}


def kept(result: ModuleResult) -> dict[str, str]:
    return {entry["target"]: entry["reason"] for entry in result.result["kept"]}


def removed(result: ModuleResult) -> list[str]:
    assert not result.failed, result.msg
    assert {action["status"] for action in result.result["actions"]} <= {"done"}
    return [action["target"] for action in result.result["actions"]]


# -- what is asked for and no more ------------------------------------------------------------------------------------


def test_nothing_by_default(engine: Engine, image: str, prune: Callable[..., ModuleResult]) -> None:
    load(engine, [small_image(None, b"dangling")])
    create(engine, "stopped", image, "true")
    volume(engine)
    engine.api("POST", "/networks/create", {"Name": "idle"})
    before = snapshot(engine)
    result = prune()
    assert not result.failed, result.msg
    assert not result.changed
    assert (result.result["plan"], result.result["kept"]) == ([], [])
    assert snapshot(engine) == before


def test_weekly_cleanup_of_months_of_leftovers(engine: Engine, image: str, prune: Callable[..., ModuleResult]) -> None:
    trouble = docker_trouble.make(engine, image)
    before = snapshot(engine)
    checked = prune(check=True, diff=True, **WEEKLY)
    assert checked.changed
    assert snapshot(engine) == before
    assert trouble.old_containers[0] in checked.result["diff"]["before"]
    assert checked.result["summary"]["headline"].startswith("would remove 2 containers, 3 images, ")
    layers = engine.api("GET", "/system/df")["LayersSize"]
    done = prune(**WEEKLY)
    assert done.result["plan"] == checked.result["plan"]
    assert [action["status"] for action in done.result["actions"]] == ["done"] * len(done.result["plan"])
    summary = done.result["summary"]
    if engine.store == "classic":
        assert layers - engine.api("GET", "/system/df")["LayersSize"] == trouble.old_image_bytes
        assert summary["bytes_freed"] == summary["bytes_predicted"] == summary["bytes_predicted_max"]
        assert summary["bytes_freed"] >= trouble.old_image_bytes + trouble.old_cache_bytes
    assert summary["bytes_predicted"] <= summary["bytes_freed"] <= summary["bytes_predicted_max"]
    for name in trouble.keep_images:
        # Under the containerd store an image's id is not the digest of its configuration.
        if engine.store == "classic" or not name.startswith("sha256:"):
            engine.api("GET", f"/images/{name}/json")
    assert len(json.loads(snapshot(engine))["images"]) == len(json.loads(before)["images"]) - len(trouble.old_images)
    names = {item["Names"][0].lstrip("/") for item in engine.api("GET", "/containers/json?all=1")}
    assert names == set(trouble.keep_containers)
    for name in trouble.keep_volumes:
        assert (place(engine, name) / "content").exists()
    again = prune(**WEEKLY)
    assert not again.changed
    assert again.result["plan"] == []


def test_containers(engine: Engine, image: str, prune: Callable[..., ModuleResult]) -> None:
    create(engine, "exited", image, "true")
    create(engine, "created", image)
    create(engine, "talkative", image, "head -c 300000 /dev/zero | tr '\\0' x | fold; echo written > /file")
    create(engine, "running", image, FOREVER)
    create(engine, "paused", image, FOREVER)
    engine.api("POST", "/containers/paused/pause")
    create(engine, "project", image, "true", Labels={"com.docker.compose.project": "shop"})
    create(engine, "service", image, "true", RestartPolicy={"Name": "unless-stopped"})
    engine.api("POST", "/containers/service/stop")
    create(engine, "labelled", image, "true", Labels={"keep": "yes"})
    create(engine, "named-report", image, "true")
    done = prune(containers="stopped", protect={"labels": ["keep=yes"], "names": ["*-report"]})
    assert sorted(removed(done)) == ["created", "exited", "talkative"]
    reasons = kept(done)
    assert reasons["container running"] == "is running"
    assert reasons["container paused"] == "is paused"
    assert "compose project shop" in reasons["container project"]
    assert "restart policy" in reasons["container service"]
    assert "label keep=yes" in reasons["container labelled"]
    assert "*-report" in reasons["container named-report"]
    # The log is more than the container's own layer, and nothing that the engine counts.
    assert done.result["summary"]["bytes_freed"] > 300_000
    engine.api("POST", "/containers/paused/unpause")
    again = prune(containers="stopped", only_labels=["com.docker.compose.project=shop"])
    assert removed(again) == ["project"]


def test_a_container_that_another_one_needs_stays(
    engine: Engine, image: str, prune: Callable[..., ModuleResult]
) -> None:
    for name in ("network", "memory"):
        create(engine, name, image, "true", IpcMode="shareable")
    action = plan_of(engine, EVERY)["network"]
    always = {"RestartPolicy": {"Name": "always"}}
    create(engine, "of-network", image, NetworkMode="container:network", **always)
    create(engine, "of-memory", image, IpcMode="container:memory", **always)
    done = prune(containers="stopped")
    assert done.result["plan"] == []
    for name in ("network", "memory"):
        assert f"of-{name} (created), which stays" in kept(done)[f"container {name}"]
    assert "of-network (created) uses it by now" in skipped(engine, action)
    for name in ("of-network", "of-memory"):
        engine.api("DELETE", f"/containers/{name}")
    assert sorted(removed(prune(containers="stopped"))) == ["memory", "network"]


def test_images_and_the_bytes_of_shared_layers(engine: Engine, image: str, prune: Callable[..., ModuleResult]) -> None:
    one, two, three = (small_image(f"base:{number}", os.urandom(number * 100_000)).layers[0] for number in (1, 2, 3))
    load(
        engine,
        [
            Image(("used:1",), (one,)),
            Image(("used:2", "mirror/used:2"), (one, two)),
            Image((), (one, two, three)),
            Image(("keepme:1",), (three,)),
        ],
    )
    create(engine, "user", "used:1", Labels={"com.docker.compose.project": "shop"})
    layers = engine.api("GET", "/system/df")["LayersSize"]
    done = prune(images="unused", protect={"names": ["keepme", image]})
    assert len(removed(done)) == 2
    left = {tag for item in engine.api("GET", "/images/json") for tag in item["RepoTags"] or []}
    assert left == {"used:1", "keepme:1", image}
    assert "container user (created)" in kept(done)["image used:1"]
    drop = layers - engine.api("GET", "/system/df")["LayersSize"]
    summary = done.result["summary"]
    assert summary["bytes_freed"] == drop
    if engine.store == "classic":
        assert summary["bytes_predicted"] == summary["bytes_predicted_max"] == drop > 200_000
    assert summary["bytes_predicted"] <= drop <= summary["bytes_predicted_max"]


def test_dangling_means_without_any_tag(engine: Engine, image: str, prune: Callable[..., ModuleResult]) -> None:
    load(engine, [small_image("app:1", b"first"), small_image("app:keep", b"first")])
    load(engine, [small_image(None, b"dangling"), small_image("unused:1", b"unused")])
    done = prune(images="dangling")
    assert len(removed(done)) == 1
    tags = {tag for item in engine.api("GET", "/images/json") for tag in item["RepoTags"] or []}
    assert tags == {"app:1", "app:keep", "unused:1", image}


CLASSIC_BUILD = """
FROM {image}
COPY f0 /f0
---
FROM line-base:1
COPY f1 /f1
LABEL x=y
---
FROM line-middle:1
COPY f2 /f2
RUN true
"""


def test_images_of_the_classic_builder_go_from_the_end_of_their_line(
    engine: Engine, image: str, prune: Callable[..., ModuleResult], tmp_path: Path
) -> None:
    if engine.store != "classic":
        pytest.skip("only the classic store knows parents of images")
    for name, recipe in zip(("base", "middle", "top"), CLASSIC_BUILD.format(image=image).split("---"), strict=True):
        (tmp_path / f"f{'base middle top'.split().index(name)}").write_bytes(os.urandom(100_000))
        (tmp_path / "Dockerfile").write_text(recipe)
        engine.docker("build", "--quiet", f"--tag=line-{name}:1", str(tmp_path), env={"DOCKER_BUILDKIT": "0"})
    parents = {item["Id"]: item["ParentId"] for item in engine.api("GET", "/images/json?all=1")}
    step = parents[engine.api("GET", "/images/line-top:1/json")["Id"]]
    options: dict[str, Any] = {"images": "unused", "protect": {"names": [image]}}
    create(engine, "keeper", "line-top:1")
    kept_all = prune(**options)
    assert kept_all.result["plan"] == []
    assert "the image line-top:1, which stays" in kept(kept_all)["image line-base:1"]
    engine.api("DELETE", "/containers/keeper")
    create(engine, "keeper", step)
    checked = prune(check=True, **options)
    assert [action["target"] for action in checked.result["plan"]] == ["line-top:1"]
    assert "the container keeper (created)" in kept(checked)["image line-middle:1"]
    engine.api("DELETE", "/containers/keeper")
    layers = engine.api("GET", "/system/df")["LayersSize"]
    done = prune(**options)
    assert removed(done) == ["line-top:1", "line-middle:1", "line-base:1"]
    summary = done.result["summary"]
    assert summary["bytes_predicted"] == summary["bytes_predicted_max"] == summary["bytes_freed"] == 300_000
    assert layers - engine.api("GET", "/system/df")["LayersSize"] == 300_000
    assert prune(**options).result["plan"] == []


def test_images_that_say_they_are_from_before_docker_have_no_age(
    engine: Engine, image: str, prune: Callable[..., ModuleResult]
) -> None:
    """As reproducible builds make them."""
    layer = small_image("x", b"reproducible").layers[0]
    for year in (1970, 1980):
        load(engine, [Image((f"odd:{year}",), (layer,), created=datetime(year, 1, 1, tzinfo=timezone.utc))])
    load(engine, [Image(("odd:new",), (layer,), created=datetime.now(timezone.utc) - timedelta(days=9))])
    options: dict[str, Any] = {"images": "unused", "protect": {"names": [image]}}
    done = prune(check=True, older_than="7d", **options)
    # The containerd store also knows that all three got their names just now.
    old = ["odd:new"] if engine.store == "classic" else []
    assert [action["target"] for action in done.result["plan"]] == old
    assert kept(done)["image odd:1970"] == kept(done)["image odd:1980"] == "its age is not known"
    done = prune(check=True, keep_per_repository=1, **options)
    assert [action["target"] for action in done.result["plan"]] == ["odd:new"]
    assert sorted(removed(prune(**options))) == ["odd:1970", "odd:1980", "odd:new"]


def test_images_of_services_without_a_container_stay(
    engine: Engine, image: str, prune: Callable[..., ModuleResult], tmp_path: Path
) -> None:
    load(engine, [small_image(f"{name}:1", name.encode()) for name in ("job", "tool", "front", "idle")])
    load(engine, [small_image("shop-built:latest", b"built"), small_image("given:1", b"given")])
    (tmp_path / "shop").mkdir()
    file = tmp_path / "shop/compose.yml"
    file.write_text(
        f"services:\n  api:\n    image: {image}\n  job:\n    image: job:1\n    profiles: [work]\n"
        "  built:\n    build: .\n    profiles: [work]\ninclude: [more.yml]\n"
    )
    (tmp_path / "shop/more.yml").write_text("services:\n  tool:\n    image: tool:${TAG:-1}\n    profiles: [tools]\n")
    (tmp_path / "shop/docker-compose.prod.yml").write_text("services:\n  front:\n    image: front:1\n")
    (tmp_path / "given.yml").write_text("services:\n  given:\n    image: given:1\n")
    # This compose knows no include: what the labels say is the same without it.
    create(
        engine,
        "shop-api-1",
        image,
        Labels={
            "com.docker.compose.project": "shop",
            "com.docker.compose.service": "api",
            "com.docker.compose.project.working_dir": str(file.parent),
            "com.docker.compose.project.config_files": str(file),
        },
    )
    done = prune(images="unused", compose_paths=[str(tmp_path / "given.yml")])
    assert removed(done) == ["idle:1"]
    assert kept(done)["image job:1"] == f"it is that of the compose file {file}"
    assert kept(done)["image given:1"] == f"it is that of the compose file {tmp_path}/given.yml"
    assert len(kept(done)) == 6
    file.unlink()
    done = prune(check=True, images="unused", compose_paths=[str(tmp_path / "given.yml")])
    assert f"{file} cannot be read" in str(done.result.get("warnings")) + done.output


def test_containers_that_would_come_back_go_only_by_name(
    engine: Engine, image: str, prune: Callable[..., ModuleResult]
) -> None:
    for policy in ("always", "on-failure"):
        create(engine, policy, image, "exit 0" if policy == "on-failure" else FOREVER, RestartPolicy={"Name": policy})
    engine.api("POST", "/containers/always/stop?t=0")
    ended(engine, "always")
    create(engine, "late", image, "true")
    action = plan_of(engine, EVERY)["late"]
    engine.api("POST", "/containers/late/update", {"RestartPolicy": {"Name": "always"}})
    assert "its restart policy is always by now" in skipped(engine, action)
    done = prune(containers="stopped", container_names=["always"])
    assert removed(done) == ["always"]
    assert kept(done)["container on-failure"] == "comes back with the engine: its restart policy is on-failure"
    assert "always" in kept(done)["container late"]
    assert removed(prune(container_names=["on-failure"])) == ["on-failure"]


def test_networks(engine: Engine, image: str, prune: Callable[..., ModuleResult]) -> None:
    for name in ("idle", "of-created", "of-exited", "protected"):
        engine.api("POST", "/networks/create", {"Name": name})
    create(engine, "waits", image, NetworkMode="of-created")
    create(engine, "ended", image, "true", NetworkMode="of-exited")
    done = prune(networks="unused", protect={"names": ["prot*"]})
    assert removed(done) == ["idle"]
    assert kept(done)["network bridge"] == "made by the engine"
    assert "container waits (created)" in kept(done)["network of-created"]
    # The proof that their networks are there.
    for name in ("waits", "ended"):
        engine.api("POST", f"/containers/{name}/start")


def test_what_only_a_removed_container_used_goes_with_it(
    engine: Engine, image: str, prune: Callable[..., ModuleResult]
) -> None:
    load(engine, [small_image("job:1", b"a job's image")])
    engine.api("POST", "/networks/create", {"Name": "job"})
    create(engine, "job", "job:1", NetworkMode="job", Volumes={"/data": {}})
    done = prune(**ALL, protect={"names": [image]})
    assert removed(done) == ["job", "job:1", "job"]
    # Its anonymous volume is seen by the next run, and not by the one after.
    assert len(removed(prune(**ALL, protect={"names": [image]}))) == 1
    assert not prune(**ALL, protect={"names": [image]}).changed


# -- volumes: no data is ever lost ------------------------------------------------------------------------------------


def test_volumes_that_any_container_mounts_stay(engine: Engine, image: str, prune: Callable[..., ModuleResult]) -> None:
    names = {how: volume(engine) for how in ("by-name", "by-source", "inside", "running", "created")}
    names["given"] = volume(engine, "given")
    inside = place(engine, names["inside"]) / "deeper"
    inside.mkdir()
    create(engine, "by-name", image, "true", Binds=[f"{names['by-name']}:/data"])
    create(engine, "by-source", image, "true", Binds=[f"{place(engine, names['by-source'])}:/data"])
    create(engine, "inside", image, "true", Binds=[f"{inside}:/data"])
    create(engine, "running", image, FOREVER, Binds=[f"{names['running']}:/data"])
    create(engine, "created", image, Binds=[f"{names['created']}:/data", "given:/given"])
    orphan = volume(engine)
    done = prune(volumes="anonymous", volume_names=["given"])
    assert removed(done) == [orphan]
    for how, name in names.items():
        assert (place(engine, name) / "content").read_bytes() == b"precious", how
        assert "mounted by the container" in kept(done)[f"volume {name}"]
    # Also when the containers themselves go: in this run not.
    done = prune(containers="stopped", volumes="anonymous", volume_names=["given"])
    assert "which goes in this run" in kept(done)["volume given"]
    for name in names.values():
        assert (place(engine, name) / "content").exists()


def test_volumes_that_are_mounted_by_way_of_a_link_or_with_a_directory_above_stay(
    engine: Engine, image: str, prune: Callable[..., ModuleResult], tmp_path: Path
) -> None:
    linked, above = volume(engine, "linked"), volume(engine, "above")
    action = plan_of(engine, Policy(volume_names=("linked",)))["linked"]
    (tmp_path / "docker").symlink_to(engine.data_root)
    create(engine, "linked", image, FOREVER, Binds=[f"{tmp_path}/docker/volumes/linked/_data:/data"])
    create(engine, "above", image, Binds=[f"{place(engine, above).parent}:/data"])
    done = prune(volumes="anonymous", volume_names=[linked, above])
    assert done.result["plan"] == []
    assert "the container linked (running)" in kept(done)["volume linked"]
    assert "the container above (created)" in kept(done)["volume above"]
    # The look right before a removal knows as much.
    assert "the container linked (running) uses it by now" in skipped(engine, action)
    for name in (linked, above):
        assert (place(engine, name) / "content").read_bytes() == b"precious"


def test_a_volume_that_is_mounted_by_way_of_another_mount_stays(
    engine: Engine, image: str, prune: Callable[..., ModuleResult], tmp_path: Path
) -> None:
    """As when the engine's directory was moved, and mounted where it had been."""
    volume(engine, "elsewhere")
    other = tmp_path / "other"
    other.mkdir()
    subprocess.run(["mount", "--bind", str(engine.data_root / "volumes"), str(other)], check=True)
    try:
        create(engine, "user", image, FOREVER, Binds=[f"{other}/elsewhere/_data:/data"])
        done = prune(volume_names=["elsewhere"])
        engine.api("DELETE", "/containers/user?force=1")
    finally:
        subprocess.run(["umount", "--lazy", str(other)], check=True)
    assert done.result["plan"] == []
    assert "the container user (running)" in kept(done)["volume elsewhere"]


def test_a_volume_with_a_name_goes_only_when_it_is_named(
    engine: Engine, image: str, prune: Callable[..., ModuleResult]
) -> None:
    for name in ("data", "data2", "labelled"):
        volume(engine, name, Labels={"keep": ""} if name == "labelled" else {})
    elsewhere = engine.directory / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    options = {"type": "none", "o": "bind", "device": str(elsewhere)}
    volume(engine, "mounted-elsewhere", DriverOpts=options)
    anonymous = volume(engine)
    described = volume(engine, "f" * 64, Labels={"owner": "somebody"})
    done = prune(
        volumes="anonymous",
        volume_names=["data", "labelled", "mounted-elsewhere", "dat", "data*"],
        protect={"labels": ["keep"]},
    )
    assert sorted(removed(done)) == sorted(["data", anonymous])
    left = {item["Name"] for item in engine.api("GET", "/volumes")["Volumes"]}
    assert left == {"data2", "labelled", "mounted-elsewhere", described}
    assert kept(done)["volume dat"] == "there is no volume of this name"
    assert "mount of something else" in kept(done)["volume mounted-elsewhere"]
    assert done.result["summary"]["bytes_freed"] == 2 * len(b"precious")


def test_volumes_and_networks_stay_when_the_engine_hides_containers(
    engine: Engine, image: str, prune: Callable[..., ModuleResult]
) -> None:
    orphan = volume(engine)
    engine.api("POST", "/networks/create", {"Name": "idle"})
    hidden = engine.data_root / "containers" / ("e" * 64)
    hidden.mkdir()
    (hidden / "config.v2.json").write_text("{}")
    try:
        result = prune(volumes="anonymous", volume_names=[orphan], networks="unused")
        (hidden / "config.v2.json").unlink()
        # What is left of a failed removal hides nothing.
        assert prune(check=True, volumes="anonymous").changed
    finally:
        shutil.rmtree(hidden)
    assert not result.failed
    assert result.result["plan"] == []
    assert (place(engine, orphan) / "content").exists()
    assert "not list" in str(result.result.get("warnings")) or "not list" in result.output
    assert "not list" in kept(result)["network idle"]
    assert removed(prune(volumes="anonymous", networks="unused")) == ["idle", orphan]


def test_volumes_and_networks_stay_when_nobody_can_tell_whether_the_engine_hides_containers(
    engine: Engine, image: str
) -> None:
    volume(engine)
    engine.api("POST", "/networks/create", {"Name": "idle"})
    with Docker.connect(engine.docker_host) as docker:
        # As if it were on another host, whose directories are not to be seen from here.
        docker.docker_host = "tcp://elsewhere.example:2375"
        plan = plan_removals(read_inventory(docker, EVERYTHING), EVERY, time.time())
    assert not [action for action in plan.actions if isinstance(action.work, (RemoveVolume, RemoveNetwork))]
    assert "run this on the Docker host itself, as root" in plan.warnings[0]


COMPOSE = """
services:
  mongo:
    image: {image}
    command: ["sh", "-c", "echo data > /data/db/file; while :; do sleep 1; done"]
    stop_grace_period: 1s
    volumes: ["mongo_data:/data/db", "/scratch"]
    networks: [backend]
volumes:
  mongo_data:
networks:
  backend:
"""

STACK = """
name: shop
services:
  mongo:
    image: {image}
    command: ["sh", "-c", "echo data > /data/db/file; while :; do sleep 1; done"]
    stop_grace_period: 1s
    volumes: ["mongo_data:/data/db"]
    networks: [backend]
    healthcheck: {{test: test -e /data/db/file, interval: 1s, retries: 30}}
  api:
    image: {image}
    command: ["sh", "-c", "while :; do sleep 1; done"]
    stop_grace_period: 1s
    depends_on: {{mongo: {{condition: service_healthy}}}}
    volumes: ["uploads:/uploads", "invoices:/invoices"]
    networks: [backend, frontend]
  report:
    image: shop-report:1
    profiles: [reports]
    volumes: ["mongo_data:/data/db"]
  idle:
    image: shop-idle:1
    deploy: {{replicas: 0}}
volumes:
  mongo_data:
  uploads:
  invoices:
    driver_opts: {{type: none, o: bind, device: "{invoices}"}}
networks:
  backend:
  frontend:
"""


def test_a_stopped_compose_project_loses_nothing(
    engine: Engine, image: str, prune: Callable[..., ModuleResult], tmp_path: Path
) -> None:
    load(engine, [small_image("shop-mongo:old", b"x")])
    file = tmp_path / "compose.yml"
    file.write_text(COMPOSE.format(image=image))
    compose = ("compose", "--project-name", "shop", "--file", str(file))
    engine.docker(*compose, "up", "--detach", "--quiet-pull")
    engine.docker(*compose, "stop")
    before = json.loads(snapshot(engine))
    done = prune(**ALL, volume_names=["shop_mongo_data"])
    assert removed(done) == ["shop-mongo:old"]
    after = json.loads(snapshot(engine))
    assert {key: after[key] for key in after if key != "images"} == {
        key: before[key] for key in before if key != "images"
    }
    assert (place(engine, "shop_mongo_data") / "file").read_text() == "data\n"
    engine.docker(*compose, "start")
    engine.docker(*compose, "down", "--volumes", "--timeout", "1")


def test_a_project_that_is_down_comes_back_with_all_it_had(
    engine: Engine, image: str, prune: Callable[..., ModuleResult], tmp_path: Path
) -> None:
    """A stack of compose's own making: services in a row, one behind a profile, one scaled to none, and volumes of all kinds."""
    load(engine, [small_image(name, name.encode()) for name in ("shop-report:1", "shop-idle:1", "other:1")])
    file = tmp_path / "docker-compose.yml"
    file.write_text(STACK.format(image=image, invoices=tmp_path / "invoices"))
    (tmp_path / "invoices").mkdir()
    compose = ("compose", "--file", str(file))
    engine.docker(*compose, "up", "--detach", "--wait")
    engine.docker(*compose, "exec", "-T", "api", "sh", "-c", "echo order > /uploads/file; echo bill > /invoices/file")
    engine.docker("volume", "create", "stranger")
    names = ["shop_mongo_data", "shop_uploads", "shop_invoices", "stranger"]
    everything: dict[str, Any] = {**ALL, "volume_names": names, "protect": {"names": [image]}}
    # While it runs its labels tell its file, down nobody knows of it but who names it.
    assert sorted(removed(prune(**everything))) == ["other:1", "stranger"]
    engine.docker(*compose, "down", "--timeout", "1")
    assert removed(prune(**everything, compose_paths=[str(tmp_path)])) == []
    assert "shop-report:1" in engine.docker("images", "--format", "{{.Repository}}:{{.Tag}}").split()
    engine.docker(*compose, "--profile", "reports", "up", "--detach", "--wait", "api")
    assert engine.docker(*compose, "exec", "-T", "api", "cat", "/uploads/file", "/invoices/file") == "order\nbill\n"
    assert (place(engine, "shop_mongo_data") / "file").read_text() == "data\n"
    assert (tmp_path / "invoices/file").read_text() == "bill\n"
    # What its owner takes away with it is gone, and not because of us.
    engine.docker(*compose, "down", "--volumes", "--timeout", "1")
    assert (tmp_path / "invoices/file").read_text() == "bill\n"


# -- the world changes between plan and act ---------------------------------------------------------------------------


def skipped(engine: Engine, action: Action[Removal]) -> str:
    with Docker.connect(engine.docker_host) as docker, pytest.raises(SkipAction) as caught:
        remove(docker, Watch(docker), action)
    return caught.value.reason


EVERY = Policy("stopped", "unused", "anonymous", ("given",), "unused", "unused")


@pytest.mark.parametrize("how", ["name", "source"])
def test_a_volume_that_is_mounted_after_planning_stays(engine: Engine, image: str, how: str) -> None:
    volume(engine, "given")
    action = plan_of(engine, EVERY)["given"]
    create(engine, "late", image, Binds=[f"{'given' if how == 'name' else place(engine, 'given')}:/data"])
    assert "the container late (created) uses it by now" in skipped(engine, action)
    assert (place(engine, "given") / "content").exists()


def test_a_volume_that_is_made_anew_after_planning_stays(engine: Engine, image: str) -> None:
    volume(engine, "given")
    action = plan_of(engine, EVERY)["given"]
    engine.api("DELETE", "/volumes/given")
    volume(engine, "given", Labels={"second": ""})
    assert "made anew" in skipped(engine, action)
    engine.api("DELETE", "/volumes/given")
    assert "gone already" in skipped(engine, action)


def test_an_image_that_is_used_or_named_after_planning_stays(engine: Engine, image: str) -> None:
    load(engine, [small_image("late:1", b"late"), small_image("late:2", b"later")])
    actions = plan_of(engine, EVERY)
    create(engine, "late", "late:1")
    assert "the container late (created) uses it by now" in skipped(engine, actions["late:1"])
    engine.api("POST", "/images/late:2/tag?repo=wanted&tag=1")
    assert "given the name wanted:1" in skipped(engine, actions["late:2"])
    engine.api("DELETE", "/images/wanted:1")
    engine.api("DELETE", "/images/late:2")
    assert "gone already" in skipped(engine, actions["late:2"])


@pytest.mark.parametrize("heard", ["in time", "too late"])
def test_an_image_that_is_taken_while_it_goes_keeps_all_its_names(
    engine: Engine, image: str, monkeypatch: pytest.MonkeyPatch, heard: str
) -> None:
    load(engine, [small_image("taken:1", b"taken"), small_image("other/taken:2", b"taken")])
    action = plan_of(engine, EVERY)["other/taken:2"]
    assert isinstance(action.work, RemoveImage)
    identity = action.work.id
    assert action.work.references == ("other/taken:2", identity)
    with Docker.connect(engine.docker_host) as docker, closing(Watch(docker)) as watch:
        delete = docker.delete
        if heard == "too late":
            # The event may be on its way still when the engine has answered whoever made the container. Then the engine
            # refuses, and says the container's id alone.
            before = watch.users()
            monkeypatch.setattr(watch, "users", lambda: before)

        def taken(*arguments: Any, **options: Any) -> Any:
            answer = delete(*arguments, **options)
            create(engine, "late", identity)
            return answer

        monkeypatch.setattr(docker, "delete", taken)
        with pytest.raises(SkipAction, match=r"^the container late \(created\) uses it by now$"):
            remove(docker, watch, action)
    names = engine.api("GET", f"/images/{identity}/json")["RepoTags"]
    assert sorted(names) == ["other/taken:2", "taken:1"]


def test_a_network_that_is_used_after_planning_stays(engine: Engine, image: str) -> None:
    engine.api("POST", "/networks/create", {"Name": "late"})
    action = plan_of(engine, EVERY)["late"]
    create(engine, "late", image, NetworkMode="late")
    assert "the container late (created) uses it by now" in skipped(engine, action)
    engine.api("POST", "/containers/late/start")
    engine.api("DELETE", "/containers/late?force=1")
    create(engine, "connected", image, NetworkMode="bridge")
    with Docker.connect(engine.docker_host) as docker, closing(Watch(docker)) as watch:
        watch.users()
        engine.api("POST", "/networks/late/connect", {"Container": "connected"})
        with pytest.raises(SkipAction, match=r"the container connected \(created\) uses it by now"):
            remove(docker, watch, action)


def test_a_container_that_is_started_after_planning_stays(engine: Engine, image: str) -> None:
    create(engine, "once", image, "true")
    create(engine, "again", image, FOREVER)
    engine.api("POST", "/containers/again/kill")
    ended(engine, "again")
    actions = plan_of(engine, EVERY)
    engine.api("POST", "/containers/again/start")
    assert "is running by now" in skipped(engine, actions["again"])
    engine.api("POST", "/containers/once/start")
    ended(engine, "once")
    assert "started since planning" in skipped(engine, actions["once"])


def test_build_cache_goes_by_its_whole_id_only(engine: Engine, image: str) -> None:
    docker_trouble._build(engine, "cached:1", 50_000)
    cache = {entry["ID"] for entry in engine.api("GET", "/system/df")["BuildCache"]}
    short: Action[Removal] = Action("remove_build_cache", "x", "", RemoveBuildCache(sorted(cache)[0][:5], False, 0, 0))
    assert "too short" in skipped(engine, short)
    # Shared with the image: not ours to take while the image is there.
    done = Policy(build_cache="unused")
    for target, action in plan_of(engine, done).items():
        with Docker.connect(engine.docker_host) as docker:
            remove(docker, Watch(docker), action)
        cache.discard(target)
        assert {entry["ID"] for entry in engine.api("GET", "/system/df")["BuildCache"]} == cache


def test_what_builds_have_downloaded_stays_unless_it_is_asked_for(
    engine: Engine, image: str, prune: Callable[..., ModuleResult], tmp_path: Path
) -> None:
    def build(command: str) -> None:
        run = f"RUN --mount=type=cache,target=/cache {command}"
        (tmp_path / "Dockerfile").write_text(f"FROM {image}\n{run}\n")
        options = ("--quiet", "--network", "none", "--tag", "cached:1")
        engine.docker("build", *options, str(tmp_path), env={"DOCKER_BUILDKIT": "1"})
        deadline = time.monotonic() + 30
        while any(entry["InUse"] for entry in engine.api("GET", "/system/df")["BuildCache"]):
            assert time.monotonic() < deadline

    def mounts() -> list[str]:
        return [e["ID"] for e in engine.api("GET", "/system/df")["BuildCache"] if e["Type"] == "exec.cachemount"]

    build("head -c 300000 /dev/zero > /cache/package")
    engine.api("DELETE", "/images/cached:1")
    (entry,) = mounts()
    result = prune(build_cache="unused")
    assert removed(result) and mounts() == [entry]
    assert "a cache mount of builds, as of a package manager" in kept(result)[f"build cache {entry}"]
    build("[ $(wc -c < /cache/package) = 300000 ]")
    engine.api("DELETE", "/images/cached:1")
    assert entry in removed(prune(build_cache="unused", build_cache_mounts=True)) and mounts() == []


def test_a_rebuilt_image_and_its_cache_go_in_one_run(
    engine: Engine, image: str, prune: Callable[..., ModuleResult]
) -> None:
    docker_trouble._build(engine, "rebuilt:1", 300_000)
    docker_trouble._build(engine, "rebuilt:1", 200_000)
    layers = engine.api("GET", "/system/df")["LayersSize"]
    done = prune(images="dangling", build_cache="unused")
    targets = removed(done)
    left = engine.api("GET", "/system/df")
    assert {entry["Shared"] for entry in left["BuildCache"]} <= {True}
    if engine.store == "classic":
        assert len(targets) == 1 + 8, "the old image, its two entries, and what both builds sent"
        assert layers - left["LayersSize"] == 600_000
        # Layers, and the sources of both builds with their Dockerfiles.
        assert 1_600_000 < done.result["summary"]["bytes_freed"] < 1_601_000
    assert not prune(images="dangling", build_cache="unused").changed
    engine.api("GET", "/images/rebuilt:1/json")


def test_an_engine_that_goes_away_is_told_once_and_nothing_more_is_tried(engine: Engine, image: str) -> None:
    create(engine, "one", image, "true")
    actions = plan_of(engine, EVERY)
    with Docker.connect(engine.docker_host, timeout=20) as docker:
        engine.pause_daemon()
        try:
            outcome = remove(docker, Watch(docker), actions["one"])
        finally:
            engine.restart()
    assert isinstance(outcome.failure, AbortPlan), "the rest would be tried, each for as long as the timeout"
    assert "Nothing further was tried" in str(outcome.failure)
    assert outcome.failure.details["docker"]["available"] is False
    assert outcome.detail is None, "it was not asked to remove anything"


def test_an_engine_that_restarts_after_planning_is_looked_at_again(engine: Engine, image: str) -> None:
    """Neither the connections nor the events of before are there any more: what changed meanwhile is seen all the same."""
    for name in ("one", "late"):
        volume(engine, name)
    actions = plan_of(engine, Policy(volume_names=("one", "late")))
    with Docker.connect(engine.docker_host) as docker, closing(Watch(docker)) as watch:
        watch.users()
        engine.restart()
        create(engine, "user", image, Binds=["late:/data"])
        with pytest.raises(SkipAction, match=r"the container user \(created\) uses it by now"):
            remove(docker, watch, actions["late"])
        assert remove(docker, watch, actions["one"]).failure is None
    assert [item["Name"] for item in engine.api("GET", "/volumes")["Volumes"]] == ["late"]


def test_a_removal_that_was_waited_for_no_longer_is_told_as_our_own(
    engine: Engine, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume(engine, "given")
    volume(engine, "other")
    with Docker.connect(engine.docker_host) as docker:
        before = read_inventory(docker, EVERYTHING)
        action = plan_removals(before, EVERY, time.time()).actions[-1]
        delete = docker.delete

        def slow(*arguments: Any, **options: Any) -> None:
            delete(*arguments, **options)
            with docker.errors("cannot remove the volume", "given"):
                raise TimeoutError("timed out")

        monkeypatch.setattr(docker, "delete", slow)
        outcome = remove(docker, Watch(docker), action)
        after = read_inventory(docker, EVERYTHING)
    assert isinstance(outcome.failure, AbortPlan)
    assert outcome.detail == Unsure(action)
    assert gone_after_all(after, [action]) == [action]
    assert vanished_volumes(before, after, [action]) == []


@pytest.mark.parametrize(
    ("kind", "words", "refused"),
    [
        ("network", 'error while removing network: network idle has active endpoints (name:"c")', True),
        ("network", "authorization denied by plugin policy: no", False),
        ("volume", "authorization denied by plugin policy: no", False),
    ],
)
def test_what_an_authorization_plugin_forbids_has_failed(
    engine: Engine, image: str, monkeypatch: pytest.MonkeyPatch, kind: str, words: str, refused: bool
) -> None:
    volume(engine, "given")
    engine.api("POST", "/networks/create", {"Name": "idle"})
    action = plan_of(engine, EVERY)["given" if kind == "volume" else "idle"]
    with Docker.connect(engine.docker_host) as docker:
        send = docker.lanes.request

        def forbidden(method: str, *arguments: Any) -> tuple[int, bytes]:
            return (403, json.dumps({"message": words}).encode()) if method == "DELETE" else send(method, *arguments)

        monkeypatch.setattr(docker.lanes, "request", forbidden)
        if refused:
            with pytest.raises(SkipAction, match="has active endpoints"):
                remove(docker, Watch(docker), action)
            return
        outcome = remove(docker, Watch(docker), action)
    assert isinstance(outcome.failure, EngineError)
    assert words in str(outcome.failure)
    assert outcome.detail == Unsure(action)


# -- what is known without a full look ---------------------------------------------------------------------------------


def test_whatever_may_give_an_object_a_user_is_seen_at_once(
    engine: Engine, image: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    looks = []
    read = watch_module.read_users

    def counted(docker: Docker) -> Users:
        looks.append(1)
        return read(docker)

    monkeypatch.setattr(watch_module, "read_users", counted)
    volume(engine, "given")
    engine.api("POST", "/networks/create", {"Name": "late"})
    create(engine, "ended", image, "true", Binds=["given:/data"])
    with Docker.connect(engine.docker_host) as docker, closing(Watch(docker)) as watch:

        def users() -> Users:
            docker.get("/volumes/given")
            return watch.users()

        def using(known: Users) -> Any:
            """Whether it runs, and by which id it knows its networks, is no use of anything."""
            containers = [(item.id, item.name, item.image, item.mounts, item.joins) for item in known.containers]
            return containers, known.binds

        def seen() -> bool:
            before = len(looks)
            known = users()
            assert using(known) == using(read(docker))
            return len(looks) > before

        assert [item.name for item in users().containers] == ["ended"]
        users()
        assert not seen() and not seen()
        create(engine, "one", image, Binds=[f"{place(engine, 'given')}:/data"], NetworkMode="bridge")
        assert seen() and not seen()
        engine.api("POST", "/containers/one/rename?name=two")
        assert seen()
        engine.api("POST", "/networks/late/connect", {"Container": "two"})
        docker.get("/volumes/given")
        assert not [item for item in watch.users().containers if "late" in item.networks], (
            "an event tells of it by now: the network need not be asked about"
        )
        (late,) = [item for item in docker.networks() if item["Name"] == "late"]
        assert [item.name for item in watch.network(late["Id"], "late") if "late" in item.networks] == ["two"]
        assert watch.look() == read(docker)
        engine.api("POST", "/containers/two/start")
        assert seen()
        ended(engine, "two")
        # What takes a user away, and what says nothing of users, is believed without a look.
        seen()
        engine.api("DELETE", "/containers/ended")
        load(engine, [small_image("some:1", b"some")])
        engine.api("DELETE", "/images/some:1")
        assert not seen()
        options = {"type": "none", "o": "bind", "device": str(place(engine, "given"))}
        volume(engine, "bind", DriverOpts=options)
        assert seen()
        assert [item.name for item in users().binds] == ["bind"]
        engine.restart()
        assert seen()
        create(engine, "three", image)
        assert seen()


def test_whoever_comes_after_the_list_by_which_was_planned_is_seen(
    engine: Engine, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    read = watch_module.read_users

    def counted(docker: Docker) -> Users:
        looks.append(1)
        return read(docker)

    monkeypatch.setattr(watch_module, "read_users", counted)
    names = ("one", "two", "late", "hidden")
    for name in names:
        volume(engine, name)
    create(engine, "stays", image)
    with Docker.connect(engine.docker_host) as docker, closing(Watch(docker)) as watch:
        watch.listen()
        inventory = read_inventory(docker, Wanted(volumes=True))
        watch.believe(inventory)
        plan = plan_removals(inventory, Policy(volume_names=names), time.time())
        actions = {action.target: action for action in plan.actions}
        for name in ("one", "two"):
            assert remove(docker, watch, actions[name]).failure is None
        assert looks == [], "nobody has come: the list still holds"
        create(engine, "user", image, Binds=["late:/data"])
        with pytest.raises(SkipAction, match=r"the container user \(created\) uses it by now"):
            remove(docker, watch, actions["late"])
        options = {"type": "none", "o": "bind", "device": str(place(engine, "hidden"))}
        volume(engine, "bind", DriverOpts=options)
        with pytest.raises(SkipAction, match="the volume bind is a mount of its directory by now"):
            remove(docker, watch, actions["hidden"])
        assert len(looks) == 2


def test_only_what_was_touched_since_planning_is_asked_for_again(
    engine: Engine, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("first", "started", "updated", "left")
    for name in names:
        create(engine, name, image, "true")
        volume(engine, name)
    load(engine, [small_image(f"{name}:1", name.encode()) for name in ("one", "two", "three", "four")])
    asked: list[str] = []
    get = Docker.get

    def noted(docker: Docker, path: str, **parameters: Any) -> Any:
        asked.append(path)
        return get(docker, path, **parameters)

    monkeypatch.setattr(Docker, "get", noted)
    with Docker.connect(engine.docker_host) as docker, closing(Watch(docker)) as watch:
        inventory = read_inventory(docker, EVERYTHING)
        policy = Policy(containers="stopped", images="unused", volume_names=names)
        plan = plan_removals(inventory, policy, time.time())
        actions = {(action.action, action.target): action for action in plan.actions}
        engine.api("POST", "/containers/started/start")
        ended(engine, "started")
        # Nothing of our own has told yet what was before.
        remove(docker, watch, actions["remove_container", "first"])
        remove(docker, watch, actions["remove_volume", "first"])
        assert f"/containers/{actions['remove_container', 'first'].work.id}/json" in asked
        engine.api("POST", "/containers/updated/update", {"RestartPolicy": {"Name": "always"}})
        engine.api("DELETE", "/volumes/updated")
        volume(engine, "updated", Labels={"made": "anew"})
        asked.clear()
        for name in ("left", "started"):
            assert remove(docker, watch, actions["remove_volume", name]).failure is None
        assert remove(docker, watch, actions["remove_container", "left"]).failure is None
        for name in ("one:1", "two:1"):
            assert remove(docker, watch, actions["remove_image", name]).failure is None
        assert [path for path in asked if path not in ("/containers/json", "/volumes")] == []
        for key, words in (
            (("remove_container", "started"), "it was started since planning"),
            (("remove_container", "updated"), "its restart policy is always by now"),
            (("remove_volume", "updated"), "it was made anew since planning"),
        ):
            with pytest.raises(SkipAction, match=words):
                remove(docker, watch, actions[key])
        # Whatever gives an image a name is told, and then each is asked for.
        key = ("image", "three:1")
        for given in range(3):
            assert given or watch.untouched(*key)
            watch._touched.clear()
            if given == 0:
                engine.api("POST", "/images/three:1/tag?repo=other&tag=1")
            elif given == 1:
                docker_trouble._build(engine, "built:1", 1000)
            else:
                load(engine, [small_image("other:2", b"three")])
            # Certain is what was published before our own last removal.
            volume(engine, "fence")
            engine.api("DELETE", "/volumes/fence")
            watch._gone.discard(("volume", "fence"))
            watch.removed("volume", "fence")
            assert not watch.untouched(*key)
        with pytest.raises(SkipAction, match="it was given the name other:1 since planning"):
            remove(docker, watch, actions["remove_image", "three:1"])
        # Of a daemon that was started anew nobody knows what it did before.
        engine.restart()
        assert not watch.untouched("container", actions["remove_container", "started"].work.id)


def test_a_volume_whose_directory_another_volume_mounts_stays(
    engine: Engine, image: str, prune: Callable[..., ModuleResult]
) -> None:
    """Its containers name the other one, and while they are stopped nothing is mounted."""
    volume(engine, "data")
    # Before the plan: this engine takes the time of the directory for that at which the volume was made.
    (place(engine, "data") / "sub").mkdir()
    before = plan_of(engine, Policy(volume_names=("data",)))["data"]
    volume(engine, "alias", DriverOpts={"type": "none", "o": "bind", "device": f"{place(engine, 'data')}/sub"})
    create(engine, "user", image, "true", Binds=["alias:/data"])
    result = prune(volume_names=["data", "alias"])
    assert result.result["plan"] == []
    assert kept(result)["volume data"] == "the volume alias is a mount of its directory"
    assert "the volume alias is a mount of its directory by now" in skipped(engine, before)
    engine.api("DELETE", "/containers/user")
    result = prune(volume_names=["data", "alias"])
    assert kept(result)["volume alias"] == (
        f"a mount of something else, by the options of its driver ({place(engine, 'data')}/sub)"
    )
    assert (place(engine, "data") / "content").read_bytes() == b"precious"


def test_what_a_project_that_is_down_declares_stays(
    engine: Engine, image: str, prune: Callable[..., ModuleResult], tmp_path: Path
) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / ".env").write_text("COMPOSE_PROJECT_NAME=other-shop\n")
    (shop / "docker-compose.yml").write_text(
        "services:\n  job:\n    image: job:1\n    profiles: [work]\n"
        "volumes:\n  data:\n  given: {name: exact}\nnetworks:\n  shared:\n    external: true\n"
    )
    load(engine, [small_image("job:1", b"job"), small_image("idle:1", b"idle")])
    for name in ("shop_data", "other-shop_data", "exact", "stranger_data"):
        volume(engine, name)
    for name in ("shop_default", "shared", "idle"):
        engine.api("POST", "/networks/create", {"Name": name})
    names = ["shop_data", "other-shop_data", "exact", "stranger_data"]
    options: dict[str, Any] = {"images": "unused", "networks": "unused", "volume_names": names}
    done = prune(**options, compose_paths=[str(shop)], protect={"names": [image]})
    assert removed(done) == ["idle:1", "idle", "stranger_data"]
    said = f"named by the compose file {shop}/docker-compose.yml, which has no container that "
    assert kept(done)["volume exact"] == said + "mounts it now"
    assert kept(done)["network shared"] == said + "uses it now"
    for name in ("shop_data", "other-shop_data", "exact"):
        assert (place(engine, name) / "content").read_bytes() == b"precious"


# -- limits, faults ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("check", [True, False])
def test_the_cap_fails_before_anything_goes(
    engine: Engine, image: str, prune: Callable[..., ModuleResult], check: bool
) -> None:
    for number in range(3):
        create(engine, f"c{number}", image, "true")
    before = snapshot(engine)
    result = prune(check=check, containers="stopped", max_delete=2)
    assert result.failed
    assert "3 objects would be removed, more than max_delete (2)" in result.msg
    assert len(result.result["plan"]) == 3
    assert result.result["counts"] == {"plan": 3, "kept": 0, "actions": 0}
    assert result.result["actions"] == []
    assert result.result["summary"]["headline"] == "failed before anything was done"
    assert snapshot(engine) == before
    nothing = prune(check=check, containers="stopped", max_delete=0)
    assert nothing.failed
    assert "3 objects would be removed, more than max_delete (0)" in nothing.msg
    assert snapshot(engine) == before
    assert not prune(check=check, volumes="anonymous", max_delete=0).failed
    assert len(removed(prune(containers="stopped", max_delete=3))) == 3


def test_no_more_than_is_needed_for_the_target(engine: Engine, image: str, prune: Callable[..., ModuleResult]) -> None:
    for name, size in (("small", 1), ("large", 3)):
        create(engine, name, image, f"head -c {size}000000 /dev/zero > /file")
        ended(engine, name)
    engine.api("POST", "/networks/create", {"Name": "idle"})
    options = {"containers": "stopped", "networks": "unused"}
    result = prune(**options, target_free="1KiB")
    assert not result.changed
    assert "1.0 KiB are free without it" in kept(result)["container small"]
    assert "nothing comes free by it" in kept(result)["network idle"]
    assert removed(prune(**options, target_free="900TiB")) == ["large", "small"]


def test_no_engine(tmp_path: Path, state_dir: Path) -> None:
    where = f"unix://{tmp_path}/none.sock"
    result = run_module("docker_prune", {"docker_host": where, "state_dir": state_dir, "containers": "stopped"})
    assert result.failed
    assert result.result["docker"] == {"available": False, "reason": "missing", "docker_host": where}
    assert "systemctl start docker" in result.msg
    assert (result.result["plan"], result.result["kept"], result.result["actions"]) == ([], [], [])
    assert result.result["counts"] == {"plan": 0, "kept": 0, "actions": 0}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"older_than": "soon"}, "not a duration"),
        ({"target_free": "much"}, "not a size"),
        ({"max_delete": -1}, "negative"),
        ({"protect": {"volumes": ["x"]}}, "volumes"),
        ({"containers": "all"}, "containers"),
        ({"docker_timeout": 0}, "one second at least"),
        ({"timeout": -5}, "one second at least"),
    ],
)
def test_options_that_make_no_sense(prune: Callable[..., ModuleResult], options: dict[str, Any], said: str) -> None:
    result = prune(**options)
    assert result.failed
    assert said in result.msg


@pytest.mark.parametrize("number", sampled(boundaries(3)))
def test_a_run_killed_anywhere_is_finished_by_the_next(
    engine: Engine, image: str, state_dir: Path, number: int
) -> None:
    create(engine, "exited", image, "true")
    load(engine, [small_image(None, b"dangling")])
    volume(engine)
    used = volume(engine, "used")
    create(engine, "project", image, Binds=["used:/data"], Labels={"com.docker.compose.project": "shop"})

    def nothing_lost() -> None:
        assert (place(engine, used) / "content").read_bytes() == b"precious"
        engine.api("GET", "/containers/project/json")

    params = {
        "docker_host": engine.docker_host,
        "state_dir": state_dir,
        **ALL,
        "images": "dangling",
        "volume_names": ["used"],
    }
    kill_and_run_again("docker_prune", params, number, nothing_lost)
    assert len(engine.api("GET", "/containers/json?all=1")) == 1
    assert len(engine.api("GET", "/volumes")["Volumes"]) == 1


def test_it_runs_on_the_oldest_python(engine: Engine, image: str, state_dir: Path, old_python: Path) -> None:
    create(engine, "exited", image, "true")
    volume(engine)
    params = {"docker_host": engine.docker_host, "state_dir": state_dir, **ALL, "protect": {"names": [image]}}
    result = run_module("docker_prune", params, python=old_python)
    assert len(removed(result)) == 2
    params = {"docker_host": engine.docker_host, "state_dir": state_dir}
    assert not run_module("docker_usage_info", params, python=old_python).failed


# -- the engine that gives mounted volumes away -----------------------------------------------------------------------


@pytest.mark.skipif(not os.environ.get("MINIECOM_TEST_ENGINE_RELEASES"), reason=OTHER_RELEASES)
def test_volumes_that_engine_28_gives_away_stay(docker_engine: Engine, tmp_path: Path, state_dir: Path) -> None:
    with Engine(tmp_path / "engine", release="sid") as engine:
        image = tiny_image(engine)
        for number in range(4):
            volume(engine, f"important{number}")
            create(engine, f"c{number}", image, Binds=["/data", f"important{number}:/n"])
        mounts = [mount for item in engine.api("GET", "/containers/json?all=1") for mount in item["Mounts"]]
        assert any(not mount.get("Name") for mount in mounts), "this engine names all mounts: is it still affected?"
        engine.restart()
        volumes = engine.api("GET", "/system/df")["Volumes"]
        assert any(item["UsageData"]["RefCount"] == 0 for item in volumes), "the engine protects them: no test"
        names = [f"important{number}" for number in range(4)]
        params = {"docker_host": engine.docker_host, "state_dir": state_dir, "volumes": "anonymous"}
        result = run_module("docker_prune", {**params, "volume_names": names})
        assert result.result["plan"] == []
        assert len(engine.api("GET", "/volumes")["Volumes"]) == 8
        for name in names:
            assert (place(engine, name) / "content").read_bytes() == b"precious"


@pytest.mark.skipif(not os.environ.get("MINIECOM_TEST_ENGINE_RELEASES"), reason=OTHER_RELEASES)
def test_volumes_of_containers_hidden_by_another_image_store_stay(
    docker_engine: Engine, tmp_path: Path, state_dir: Path
) -> None:
    with Engine(tmp_path / "engine", release="sid", store="containerd") as engine:
        image = tiny_image(engine)
        volume(engine, "important")
        create(engine, "shop", image, Binds=["important:/data"], Volumes={"/anonymous": {}})
        engine.store = "classic"
        engine.restart()
        assert engine.api("GET", "/containers/json?all=1") == [], "the containers are not hidden: no test"
        params = {"docker_host": engine.docker_host, "state_dir": state_dir}
        options = {"volumes": "anonymous", "volume_names": ["important"]}
        result = run_module("docker_prune", {**params, **options})
        assert result.result["plan"] == []
        assert len(engine.api("GET", "/volumes")["Volumes"]) == 2
        assert (place(engine, "important") / "content").read_bytes() == b"precious"


# -- what only later engines, or a swarm, can be in ---------------------------------------------------------------------


def index_archive(name: str) -> bytes:
    """An OCI archive of an image for three platforms, one of which was not pulled, with an attestation, under a name."""
    blobs: dict[str, bytes] = {}

    def put(kind: str, content: Any, **facts: Any) -> dict[str, Any]:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        blobs[digest] = data
        return {"mediaType": kind, "digest": digest, "size": len(data), **facts}

    def manifest(architecture: str, kind: str, contents: list[bytes], **facts: Any) -> dict[str, Any]:
        layers = [put(kind, content) for content in contents]
        rootfs = {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]}
        platform = {"architecture": architecture, "os": "unknown" if facts else "linux"}
        config = put(f"{OCI}.config.v1+json", {**platform, "config": {}, "rootfs": rootfs})
        content = {"schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json", "config": config, "layers": layers}
        return put(f"{OCI}.manifest.v1+json", content, platform=platform, **facts)

    layer = f"{OCI}.layer.v1.tar"
    mine = manifest("amd64", layer, [archive({"a": b"a" * 70_000}), archive({"b": b"b" * 90_000})])
    other = manifest("arm64", layer, [archive({"c": b"c" * 5_000})])
    absent = manifest("s390x", layer, [archive({"d": b"d"})])
    attested = {"vnd.docker.reference.digest": mine["digest"], "vnd.docker.reference.type": "attestation-manifest"}
    attestation = manifest("unknown", "application/vnd.in-toto+json", [b'{"x": 1}' * 200], annotations=attested)
    parts = [mine, other, absent, attestation]
    index = put(f"{OCI}.index.v1+json", {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": parts})
    del blobs[absent["digest"]]
    index["annotations"] = {"io.containerd.image.name": f"docker.io/library/{name}"}
    files = {f"blobs/{digest.replace(':', '/')}": data for digest, data in blobs.items()}
    top = {"schemaVersion": 2, "manifests": [index]}
    return archive({"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": json.dumps(top).encode(), **files})


def archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            made.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.skipif(not os.environ.get("MINIECOM_TEST_ENGINE_RELEASES"), reason=OTHER_RELEASES)
def test_what_snapshots_take_is_read_from_the_blobs_as_the_engine_tells_it(
    docker_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of images of all forms, and also where the blobs cannot be read."""
    with Engine(tmp_path / "engine", release="sid", store="containerd") as engine:
        tiny_image(engine)
        load(
            engine, [small_image(None, b"dangling"), small_image("named:1", b"named"), small_image("named:2", b"named")]
        )
        (tmp_path / "index.tar").write_bytes(index_archive("several:1"))
        engine.docker("load", "--input", str(tmp_path / "index.tar"))
        told = {}
        for raw in engine.api("GET", "/images/json?manifests=1"):
            of_images = [manifest["ImageData"] for manifest in raw["Manifests"] if manifest.get("ImageData")]
            told[raw["Id"]] = sum(item["Size"]["Unpacked"] for item in of_images)
            assert raw["RepoTags"] != ["several:1"] or len(raw["Manifests"]) == 4
        assert len(told) == 4 and min(told.values()) > 0
        requests: list[str] = []
        asked = Docker.images

        def images(docker: Docker, **parameters: Any) -> Any:
            requests.append(str(parameters))
            return asked(docker, **parameters)

        monkeypatch.setattr(Docker, "images", images)

        def found() -> dict[str, int | None]:
            with Docker.connect(engine.docker_host) as docker:
                return {image.id: image.unpacked for image in read_inventory(docker, EVERYTHING).images}

        assert found() == told
        assert requests == [], "the engine was asked as well"
        for directory in (engine.directory / "nowhere", None):
            monkeypatch.setattr(observation, "blob_directory", lambda _root, where=directory: where and str(where))
            assert found() == told
        assert requests == ["{'manifests': 1}"] * 2


@pytest.mark.skipif(not os.environ.get("MINIECOM_TEST_ENGINE_RELEASES"), reason=OTHER_RELEASES)
@pytest.mark.parametrize("store", ["classic", "containerd"])
def test_an_image_that_a_container_mounts_stays(
    docker_engine: Engine, tmp_path: Path, state_dir: Path, store: str
) -> None:
    """The engine counts no container of it, and removes it by its id even under a running one."""
    with Engine(tmp_path / "engine", release="sid", store=store) as engine:
        image = tiny_image(engine)
        load(engine, [small_image("data:1", b"data"), small_image("late:1", b"late")])
        late = plan_of(engine, EVERY)["late:1"]
        for name in ("data", "late"):
            mount = {"Type": "image", "Source": f"{name}:1", "Target": "/d"}
            create(engine, f"of-{name}", image, FOREVER if name == "data" else "", Mounts=[mount])
        assert "the container of-late (created) uses it by now" in skipped(engine, late)
        params = {"docker_host": engine.docker_host, "state_dir": state_dir, "images": "unused"}
        result = run_module("docker_prune", params)
        assert result.result["plan"] == []
        assert kept(result)["image data:1"] == "used by the container of-data (running)"
        engine.api("GET", "/images/data:1/json")


@pytest.mark.skipif(not os.environ.get("MINIECOM_TEST_ENGINE_RELEASES"), reason=OTHER_RELEASES)
@pytest.mark.parametrize(("release", "store"), [("sid", "containerd"), ("sid", "classic"), ("bookworm", "classic")])
def test_a_container_that_is_half_removed_keeps_nothing_from_being_planned(
    docker_engine: Engine, tmp_path: Path, state_dir: Path, release: str, store: str
) -> None:
    with Engine(tmp_path / "engine", release=release, store=store) as engine:
        image = tiny_image(engine)
        identity = create(engine, "half", image, "true")
        create(engine, "exited", image, "true")
        load(engine, [small_image(None, b"dangling")])
        held = engine.data_root / "containers" / identity / "held"
        held.write_text("x")
        subprocess.run(["chattr", "+i", str(held)], check=True)
        try:
            assert engine.request("DELETE", f"/containers/{identity}")[0] == 500
            blind = engine.request("GET", "/system/df")[0] != 200
            assert blind == (store == "containerd"), "this engine behaves otherwise: no test"
            params = {"docker_host": engine.docker_host, "state_dir": state_dir}
            result = run_module("docker_prune", {**params, "containers": "stopped", "images": "dangling"})
            usage = run_module("docker_usage_info", params)
        finally:
            subprocess.run(["chattr", "-i", str(held)], check=True)
        assert sorted(removed(result))[-1] == "exited"
        assert len(removed(result)) == 2
        assert kept(result)["container half"] in ("is dead", "is removing")
        assert not usage.failed
        for told in (result, usage):
            assert ("docker rm --force half" in str(told.result.get("warnings")) + told.output) == blind


@pytest.mark.skipif(not os.environ.get("MINIECOM_TEST_ENGINE_RELEASES"), reason=OTHER_RELEASES)
@pytest.mark.parametrize("release", ["bookworm", "sid"])
def test_the_image_of_a_service_without_replicas_stays(
    docker_engine: Engine, tmp_path: Path, state_dir: Path, release: str
) -> None:
    """In this lane alone: a swarm makes a bridge whose name is the same for all engines of the machine."""
    with Engine(tmp_path / "engine", release=release) as engine:
        load(engine, [small_image(f"svc:{number}", b"%d" % number) for number in (1, 2, 3)])
        engine.api("POST", "/swarm/init", {"ListenAddr": "127.0.0.1:0", "AdvertiseAddr": "127.0.0.1"})
        try:
            spec = {"Name": "shop_api", "Mode": {"Replicated": {"Replicas": 0}}}
            first = {**spec, "TaskTemplate": {"ContainerSpec": {"Image": "svc:1"}}}
            identity = engine.api("POST", "/services/create", first)["ID"]
            version = engine.api("GET", f"/services/{identity}")["Version"]["Index"]
            second = {**spec, "TaskTemplate": {"ContainerSpec": {"Image": "svc:2"}}}
            engine.api("POST", f"/services/{identity}/update?version={version}", second)
            params = {"docker_host": engine.docker_host, "state_dir": state_dir, "images": "unused"}
            result = run_module("docker_prune", params)
        finally:
            engine.api("POST", "/swarm/leave?force=1")
        assert removed(result) == ["svc:3"]
        # What it would be rolled back to stays as well.
        assert (
            kept(result)["image svc:1"] == kept(result)["image svc:2"] == "it is that of the swarm's service shop_api"
        )


SWARM_STACK = """
version: "3.8"
services:
  api:
    image: svc:1
    volumes: ["data:/data"]
    networks: [back]
    deploy: {replicas: 0}
  job:
    image: svc:2
    volumes: ["jobs:/jobs"]
    networks: [back]
    deploy: {replicas: 0}
volumes: {data: {}, jobs: {}}
networks: {back: {}}
"""


@pytest.mark.skipif(not os.environ.get("MINIECOM_TEST_ENGINE_RELEASES"), reason=OTHER_RELEASES)
@pytest.mark.parametrize("release", ["bookworm", "sid"])
def test_a_stack_that_is_scaled_to_nothing_loses_nothing(
    docker_engine: Engine, tmp_path: Path, state_dir: Path, release: str
) -> None:
    """As `docker stack deploy` makes it, in this lane alone as above."""
    (tmp_path / "stack.yml").write_text(SWARM_STACK)
    with Engine(tmp_path / "engine", release=release) as engine:
        load(engine, [small_image(f"svc:{number}", b"%d" % number) for number in (1, 2, 3)])
        engine.api("POST", "/swarm/init", {"ListenAddr": "127.0.0.1:0", "AdvertiseAddr": "127.0.0.1"})
        try:
            deploy = ("stack", "deploy", "--resolve-image=never", "--compose-file", str(tmp_path / "stack.yml"), "shop")
            engine.docker(*deploy)
            # A node has a volume as soon as a task ran on it once.
            for name in ("shop_data", "shop_jobs", "stranger"):
                volume(engine, name)
            params: dict[str, Any] = {"docker_host": engine.docker_host, "state_dir": state_dir, **ALL}
            names = ["shop_data", "shop_jobs", "stranger"]
            result = run_module("docker_prune", {**params, "volume_names": names})
            left = {service["Spec"]["Name"] for service in engine.api("GET", "/services")}
            networks = {network["Name"] for network in engine.api("GET", "/networks")}
            after = engine.docker(*deploy)
        finally:
            engine.api("POST", "/swarm/leave?force=1")
        assert sorted(removed(result)) == ["stranger", "svc:3"]
        assert left == {"shop_api", "shop_job"} and {"shop_back", "ingress"} <= networks
        assert after.count("Updating service") == 2
        for name in names[:2]:
            assert (place(engine, name) / "content").read_bytes() == b"precious"
