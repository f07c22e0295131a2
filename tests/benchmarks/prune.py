# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pruning: one by one, each with a look before it, against the CLI's own prune of the same

Two hundred objects of each kind, six of networks. Ours observes and plans (its own column), looks at each object before its removal, knows of what
uses it by the engine's events, and compares afterwards; the module's start as a process is told apart. The CLI sends one request for a kind and takes
whatever is unused then. In one call, as a clean-up does it, ours plans all kinds at once. Each is measured MINIECOM_BENCH_ROUNDS times (3), in turn,
and the median counts. MINIECOM_TEST_ENGINE=sid and MINIECOM_TEST_ENGINE_STORE=containerd choose another engine and image store.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.client import Docker
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.draft import Policy
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.observation import Wanted, read_inventory
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.outcome import still_there
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.prune import plan_removals
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.pruning import at_a_time, waves
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.removal import remove
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.watch import Watch
from tests.sandbox.engine import Engine, EngineUnavailable
from tests.sandbox.image import load, small_image, tiny_image
from tests.support.modules import run_module

COUNT = 200
ROUNDS = int(os.environ.get("MINIECOM_BENCH_ROUNDS", "3"))
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


# What makes the objects, how they are removed by us and by the module, and the CLI's commands.
Measured = tuple[Callable[[Engine, str], None], Policy, Wanted, dict[str, str], list[list[str]]]
KINDS: dict[str, Measured] = {
    "containers": (
        containers,
        Policy(containers="stopped"),
        Wanted(containers=True),
        {"containers": "stopped"},
        [["container", "prune", "--force", "--filter", "label!=standing"]],
    ),
    "images": (
        images,
        Policy(images="dangling"),
        Wanted(images="dangling"),
        {"images": "dangling"},
        [["image", "prune", "--force"]],
    ),
    "networks": (
        networks,
        Policy(networks="unused"),
        Wanted(networks=True),
        {"networks": "unused"},
        [["network", "prune", "--force"]],
    ),
    "volumes": (
        volumes,
        Policy(volumes="anonymous"),
        Wanted(volumes=True),
        {"volumes": "anonymous"},
        [["volume", "prune", "--force"]],
    ),
}


def all_kinds(engine: Engine, image: str) -> None:
    for make, *_how in KINDS.values():
        make(engine, image)


# With its commands one after the other.
IN_ONE_CALL: Measured = (
    all_kinds,
    Policy(containers="stopped", images="dangling", networks="unused", volumes="anonymous"),
    Wanted(containers=True, images="dangling", networks=True, volumes=True),
    {name: value for *_how, options, _commands in KINDS.values() for name, value in options.items()},
    [command for *_how, commands in KINDS.values() for command in commands],
)


def ours(engine: Engine, policy: Policy, wanted: Wanted) -> tuple[int, float]:
    """Observe, plan, remove and verify as the module does; returns how many went, and the seconds until there was a plan."""
    started = time.perf_counter()
    with Docker.connect(engine.docker_host) as docker, closing(Watch(docker)) as watch:
        watch.listen()
        inventory = read_inventory(docker, wanted)
        watch.believe(inventory)
        plan = plan_removals(inventory, policy, time.time())
        planned = time.perf_counter() - started
        for wave in waves(plan.actions, inventory):
            for outcome in docker.each(partial(remove, docker, watch), wave, at_a_time(wave, inventory.store)):
                assert outcome.failure is None
        assert not still_there(read_inventory(docker, wanted.briefly()), plan.actions)
    return len(plan.actions), planned


def measure(engine: Engine, image: str, how: Measured, state: str) -> dict[str, float]:
    make, policy, wanted, options, commands = how
    seconds: dict[str, float] = {}
    make(engine, image)
    started = time.perf_counter()
    for command in commands:
        engine.docker(*command)
    seconds["cli"] = time.perf_counter() - started
    make(engine, image)
    started, cpu = time.perf_counter(), time.process_time()
    count, seconds["plan"] = ours(engine, policy, wanted)
    seconds["ours"], seconds["cpu"] = time.perf_counter() - started, time.process_time() - cpu
    make(engine, image)
    started = time.perf_counter()
    result = run_module("docker_prune", {"docker_host": engine.docker_host, "state_dir": state, **options})
    seconds["module"] = time.perf_counter() - started
    assert result.result["counts"]["actions"] == count, result.result
    return {**seconds, "count": count}


def row(kind: str, seconds: dict[str, float]) -> dict[str, Any]:
    return {
        "kind": kind,
        "objects": int(seconds["count"]),
        "CLI prune s": seconds["cli"],
        "plan s": seconds["plan"],
        "ours s": seconds["ours"],
        "ours, client CPU s": seconds["cpu"],
        "whole module s": seconds["module"],
        "plan : CLI": seconds["plan"] / seconds["cli"],
        "ours : CLI": seconds["ours"] / seconds["cli"],
    }


def main() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name:
        release = os.environ.get("MINIECOM_TEST_ENGINE", "bookworm")
        store = os.environ.get("MINIECOM_TEST_ENGINE_STORE", "classic")
        try:
            engine = Engine(Path(name) / "engine", release, store).start()
        except EngineUnavailable as error:
            print(f"NOT MEASURED: no private Docker Engine can run here: {error}", flush=True)
            return []
        with engine:
            print(f"Engine {engine.version}, image store {store}\n", flush=True)
            image = tiny_image(engine)
            labels = {"com.docker.compose.project": "shop", "standing": ""}
            for _ in range(STANDING):
                payload = {"Image": image, "Labels": labels, "HostConfig": {"NetworkMode": "none"}}
                engine.api("POST", "/containers/create", payload)
            medians = {}
            for kind, how in {**KINDS, "in one call": IN_ONE_CALL}.items():
                found = [measure(engine, image, how, f"{name}/state") for _ in range(ROUNDS)]
                medians[kind] = {key: statistics.median(item[key] for item in found) for key in found[0]}
            one_call = medians.pop("in one call")
            total = {key: sum(item[key] for item in medians.values()) for key in one_call}
    medians |= {"the sum of these": total, "all in one call": one_call}
    return [row(kind, seconds) for kind, seconds in medians.items()]
