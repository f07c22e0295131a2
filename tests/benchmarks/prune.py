# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pruning: one by one with a look before each, against the CLI's own prune

A hundred and fifty objects of each kind, six of networks. Ours observes, plans, looks at all containers before each removal and compares
afterwards; the module's start as a process is told apart. The CLI sends one request and takes whatever is unused then.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.client import Docker
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.draft import Policy
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.observation import Wanted, read_inventory
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.outcome import still_there
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.prune import plan_removals
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.removal import remove
from tests.sandbox.engine import Engine, EngineUnavailable
from tests.sandbox.image import load, small_image, tiny_image
from tests.support.modules import run_module

COUNT = 150
# What stays: each look before a removal has to read these.
STANDING = 20


def volumes(engine: Engine, image: str) -> None:
    for _ in range(COUNT):
        engine.api("POST", "/volumes/create", {})


def containers(engine: Engine, image: str) -> None:
    for _ in range(COUNT):
        engine.api("POST", "/containers/create", {"Image": image, "HostConfig": {"NetworkMode": "none"}})


def images(engine: Engine, image: str) -> None:
    load(engine, [small_image(None, b"%d" % number) for number in range(COUNT)])


def networks(engine: Engine, image: str) -> None:
    # Each costs an address range, of which a private engine has eight.
    for number in range(6):
        engine.api("POST", "/networks/create", {"Name": f"bench{number}"})


KINDS: dict[str, tuple[Callable[[Engine, str], None], Policy, Wanted, dict[str, str], list[str]]] = {
    "containers": (
        containers,
        Policy(containers="stopped"),
        Wanted(containers=True),
        {"containers": "stopped"},
        ["container", "prune", "--force", "--filter", "label!=standing"],
    ),
    "images": (
        images,
        Policy(images="dangling"),
        Wanted(images="dangling"),
        {"images": "dangling"},
        ["image", "prune", "--force"],
    ),
    "networks": (
        networks,
        Policy(networks="unused"),
        Wanted(networks=True),
        {"networks": "unused"},
        ["network", "prune", "--force"],
    ),
    "volumes": (
        volumes,
        Policy(volumes="anonymous"),
        Wanted(volumes=True),
        {"volumes": "anonymous"},
        ["volume", "prune", "--force"],
    ),
}


def ours(engine: Engine, policy: Policy, wanted: Wanted) -> int:
    """Observe, plan, remove and verify as the module does; returns how many went."""
    with Docker.connect(engine.docker_host) as docker:
        plan = plan_removals(read_inventory(docker, wanted), policy, time.time())
        for action in plan.actions:
            assert remove(docker, action).failure is None
        assert not still_there(read_inventory(docker, wanted.briefly()), plan.actions)
    return len(plan.actions)


@contextmanager
def measured(into: dict[str, float], name: str) -> Iterator[None]:
    started, cpu = time.perf_counter(), time.process_time()
    yield
    into[name] = time.perf_counter() - started
    into[name + " cpu"] = time.process_time() - cpu


def main() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        try:
            engine = Engine(Path(name) / "engine").start()
        except EngineUnavailable as error:
            print(f"NOT MEASURED: no private Docker Engine can run here: {error}", flush=True)
            return rows
        with engine:
            image = tiny_image(engine)
            labels = {"com.docker.compose.project": "shop", "standing": ""}
            for _ in range(STANDING):
                payload = {"Image": image, "Labels": labels, "HostConfig": {"NetworkMode": "none"}}
                engine.api("POST", "/containers/create", payload)
            for kind, (make, policy, wanted, options, command) in KINDS.items():
                seconds: dict[str, float] = {}
                make(engine, image)
                with measured(seconds, "cli"):
                    engine.docker(*command)
                make(engine, image)
                with measured(seconds, "ours"):
                    count = ours(engine, policy, wanted)
                make(engine, image)
                with measured(seconds, "module"):
                    params = {"docker_host": engine.docker_host, "state_dir": f"{name}/state", **options}
                    result = run_module("docker_prune", params)
                assert len(result.result["actions"]) == count, result.result
                rows.append(
                    {
                        "kind": kind,
                        "objects": count,
                        "CLI prune s": seconds["cli"],
                        "ours s": seconds["ours"],
                        "ours, client CPU s": seconds["ours cpu"],
                        "whole module s": seconds["module"],
                        "ours : CLI": seconds["ours"] / seconds["cli"],
                    }
                )
    return rows
