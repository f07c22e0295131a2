# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docker_prune in worlds made by chance, on a real engine: nothing outside the plan goes, and a plan equals what comes free.

MINIECOM_TEST_EXHAUSTIVE=1 makes many more of them.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.engine import Engine
from tests.sandbox.image import Image, load, small_image, tiny_image
from tests.support.extent import EXHAUSTIVE
from tests.support.modules import run_module

WORLDS = 40 if EXHAUSTIVE else 4
PROJECT = "com.docker.compose.project"
KINDS = {
    "containers": ("none", "stopped"),
    "images": ("none", "dangling", "unused"),
    "volumes": ("none", "anonymous"),
    "networks": ("none", "unused"),
}


@pytest.fixture(scope="module")
def engine(docker_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    store = os.environ.get("MINIECOM_TEST_ENGINE_STORE", docker_engine.store)
    with Engine(tmp_path_factory.mktemp("worlds"), docker_engine.release, store) as own:
        yield own


class World:
    """What an engine holds, made of one seed."""

    def __init__(self, engine: Engine, seed: int, directory: Path) -> None:
        self.engine = engine
        self.chance = random.Random(seed)
        self.base = tiny_image(engine)
        self.directory = directory

    def some(self, choices: Any) -> Any:
        return self.chance.choice(list(choices))

    def labels(self) -> dict[str, str]:
        return self.some([{}, {}, {}, {PROJECT: "shop"}, {"keep": ""}])

    def make(self) -> None:
        layers = [small_image("x", self.chance.randbytes(1000 * number)).layers[0] for number in (1, 20, 300)]
        old = datetime.now(timezone.utc) - timedelta(days=400)
        images, tags = [], []
        for number in range(5):
            names = [(), (f"app:{number}",), (f"app:{number}", f"mirror/app:{number}")]
            chosen = tuple(self.chance.sample(layers, self.chance.randint(1, 3)))
            images.append(Image(self.some(names), chosen, created=old + timedelta(days=number)))
            tags += images[-1].tags
        load(self.engine, images)
        for number in range(3):
            self.engine.api("POST", "/networks/create", {"Name": f"net{number}", "Labels": self.labels()})
        names = []
        for number in range(6):
            wanted = {"Name": f"named{number}"} if self.chance.random() < 0.5 else {}
            made = self.engine.api("POST", "/volumes/create", {**wanted, "Labels": self.labels() if wanted else {}})
            names.append(made["Name"])
            (self.place(made["Name"]) / "content").write_bytes(b"x" * self.chance.randint(1, 5000))
        device = {"type": "none", "o": "bind", "device": str(self.place(self.some(names)))}
        self.engine.api("POST", "/volumes/create", {"Name": "alias", "DriverOpts": device})
        for number in range(5):
            binds = [f"{self.some([self.some(names), self.place(self.some(names)), 'alias'])}:/data"]
            host = {
                "Binds": binds if self.chance.random() < 0.5 else [],
                "NetworkMode": self.some(["none", "net0", "net1", "net2"]),
                "RestartPolicy": {"Name": self.some(["no", "no", "no", "always", "unless-stopped"])},
            }
            image = self.some([self.base, *tags])
            payload = {"Image": image, "Cmd": ["true"], "Labels": self.labels(), "HostConfig": host}
            self.engine.api("POST", f"/containers/create?name=c{number}", payload)
        # A project that is down: what its file declares stays.
        self.directory.mkdir(exist_ok=True)
        (self.directory / "compose.yml").write_text(
            f"name: down\nservices:\n  a:\n    image: {self.some(['app:0', 'app:1'])}\n"
            "volumes:\n  v: {name: named0}\nnetworks:\n  n: {name: net0}\n"
        )

    def options(self) -> dict[str, Any]:
        return {
            **{kind: self.some(choices[-2:]) for kind, choices in KINDS.items()},
            "volume_names": [f"named{number}" for number in range(4)] if self.chance.random() < 0.5 else [],
            "keep_per_repository": self.some([0, 0, 1]),
            "protect": {"labels": self.some([[], ["keep"]]), "names": [self.base]},
            "compose_paths": [str(self.directory)],
        }

    def place(self, name: str) -> Path:
        return self.engine.data_root / "volumes" / name / "_data"

    def objects(self) -> set[tuple[str, str]]:
        api = self.engine.api
        found = {("container", item["Names"][0].lstrip("/")) for item in api("GET", "/containers/json?all=1")}
        found |= {("network", item["Name"]) for item in api("GET", "/networks")}
        found |= {("volume", item["Name"]) for item in api("GET", "/volumes")["Volumes"] or []}
        return found | {("image", item["Id"]) for item in api("GET", "/images/json")}

    def data(self) -> dict[str, int]:
        return {name: self.size(name) for kind, name in self.objects() if kind == "volume"}

    def size(self, name: str) -> int:
        return sum(path.stat().st_size for path in self.place(name).iterdir())

    def image_ids(self, title: str) -> set[tuple[str, str]]:
        """What an image is called in a plan, as its id."""
        listed = self.engine.api("GET", "/images/json")
        return {
            ("image", item["Id"])
            for item in listed
            if title in (item["RepoTags"] or []) or item["Id"].partition(":")[2].startswith(title)
        }

    def clear(self) -> None:
        for item in self.engine.api("GET", "/containers/json?all=1"):
            self.engine.api("DELETE", f"/containers/{item['Id']}?force=1&v=1")
        for kind, name in self.objects():
            if kind == "volume" or (kind == "network" and name not in ("bridge", "host", "none")):
                self.engine.api("DELETE", f"/{kind}s/{name}")
        for item in self.engine.api("GET", "/images/json"):
            if self.base not in (item["RepoTags"] or []):
                self.engine.api("DELETE", f"/images/{item['Id']}?force=1")


@pytest.mark.parametrize("seed", range(WORLDS))
def test_nothing_outside_the_plan_goes_and_a_plan_equals_what_comes_free(
    engine: Engine, tmp_path: Path, state_dir: Path, seed: int
) -> None:
    world = World(engine, seed, tmp_path / "down")
    world.make()
    try:
        for _ in range(2):
            params = {"docker_host": engine.docker_host, "state_dir": state_dir, **world.options()}
            planned = run_module("docker_prune", params, check=True)
            assert not planned.failed, planned.msg
            expected: set[tuple[str, str]] = set()
            for action in planned.result["plan"]:
                kind = action["action"][len("remove_") :]
                expected |= world.image_ids(action["target"]) if kind == "image" else {(kind, action["target"])}
                assert action["again"]
            before, data = world.objects(), world.data()
            layers = engine.api("GET", "/system/df")["LayersSize"]
            done = run_module("docker_prune", params)
            assert not done.failed, done.msg
            told = json.dumps([params, done.result["plan"], done.result["kept"]], indent=1, default=str)
            # Ages in the reasons have grown meanwhile.
            plans = [
                [(item["action"], item["target"], item["bytes"]) for item in run.result["plan"]]
                for run in (planned, done)
            ]
            assert plans[0] == plans[1], told
            assert {action["status"] for action in done.result["actions"]} <= {"done"}, told
            assert before - world.objects() == expected, told
            assert world.objects() <= before
            # Every volume that stays holds what it held, and nothing that any container or volume needs has gone.
            left = world.data()
            assert left == {name: data[name] for name in left}, told
            gone = sum(data[name] for kind, name in expected if kind == "volume")
            freed = done.result["summary"]["bytes_freed"]
            drop = layers - engine.api("GET", "/system/df")["LayersSize"]
            sizes = sum(item["bytes"] for item in planned.result["plan"] if item["action"] == "remove_container")
            if engine.store == "classic":
                assert freed == planned.result["summary"]["bytes_predicted"] == gone + drop + sizes, told
            assert done.result["summary"]["bytes_predicted"] <= freed <= done.result["summary"]["bytes_predicted_max"]
            for kind, name in sorted(world.objects()):
                if kind == "container":
                    engine.api("GET", f"/containers/{name}/json")
    finally:
        world.clear()
