# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Engines out of thin air, for properties of the planner of docker_prune.

Most of what they hold may go: a rule that keeps something shows only where it is the one thing that does. How often each
kind goes is counted by a test.
"""

from __future__ import annotations

from typing import Any, TypeVar

from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.draft import Policy
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.inventory import (
    PROJECT_LABEL,
    CacheEntry,
    Container,
    Image,
    ImageNeed,
    Inventory,
    Layer,
    Mount,
    Network,
    Volume,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.protect import Protection

NOW = 1_800_000_000.0
DAY = 86400.0
# Year 1, the epoch, what builds write that leave dates out, just before Docker, and tomorrow.
NO_DATES = (-62135596800.0, 0.0, 315532800.0, 1356998399.0, NOW + DAY)
T = TypeVar("T")


def place(name: str) -> str:
    return f"/d/volumes/{name}/_data"


def mostly(usual: T, *others: T) -> st.SearchStrategy[T]:
    """The usual value, and once in five times one of the others."""
    return st.sampled_from([usual] * 4 * len(others) + list(others))


NUMBERS = st.integers(0, 9)
MOMENTS = st.one_of(*[st.floats(0, 60 * DAY).map(lambda age: NOW - age)] * 5, st.sampled_from(NO_DATES))
LABELS = st.one_of(
    *[st.just({})] * 4,
    st.dictionaries(
        st.sampled_from([PROJECT_LABEL, "keep", "team"]), st.sampled_from(["", "shop", "blog"]), min_size=1, max_size=2
    ),
)
STATES = mostly("exited", "created", "running", "paused", "restarting", "dead", "removing")


@st.composite
def containers(draw: st.DrawFn, number: int) -> Container:
    state = draw(STATES)
    mounts = []
    for volume in draw(st.lists(NUMBERS, max_size=1)):
        kind = draw(st.sampled_from(["named", "nameless", "inside", "linked", "above"]))
        source = place(f"v{volume}") + ("/sub" if kind == "inside" else "")
        if kind == "above":
            source = source.rpartition("/")[0]
        name = f"v{volume}" if kind == "named" else ""
        mounts.append(Mount("volume", name, "/link" if kind == "linked" else source, "/x", (source,)))
    if draw(mostly(False, True)):
        mounts.append(Mount("image", draw(st.sampled_from(["app:1.0", "db:3.0", "moved:1"])), "", "/i", ("",)))
    networks = [draw(st.sampled_from([f"n{item}", f"nid{item}"])) for item in draw(st.lists(NUMBERS, max_size=1))]
    joins = draw(mostly([], ["c0"], ["cid1"], ["c2", "cid0"]))
    return Container(
        f"cid{number}",
        f"c{number}",
        draw(mostly("elsewhere", "app:2.0")),
        f"iid{draw(NUMBERS)}",
        state,
        draw(MOMENTS),
        draw(LABELS),
        tuple(mounts),
        frozenset(networks),
        draw(st.integers(0, 99)),
        draw(MOMENTS) if state == "exited" else None,
        draw(st.sampled_from(["no", "no", "no", "", "on-failure", "always", "always", "unless-stopped"])),
        joins=tuple(joins),
    )


@st.composite
def images(draw: st.DrawFn, number: int) -> Image:
    tags = tuple(f"{draw(st.sampled_from(['app', 'db']))}:{number}.{i}" for i in range(draw(st.integers(0, 2))))
    layers = tuple(Layer(f"l{item}", 10**item) for item in draw(st.lists(st.integers(0, 5), unique=True, max_size=3)))
    known = draw(st.booleans())
    return Image(
        f"iid{number}",
        tags,
        draw(MOMENTS),
        sum(layer.size for layer in layers),
        digests=tuple(draw(mostly([], ["app@sha256:1"], ["web@sha256:2"]))),
        labels=draw(LABELS),
        chains=tuple(layer.chain for layer in layers),
        layers=layers if known else None,
    )


@st.composite
def volumes(draw: st.DrawFn, number: int) -> Volume:
    name = f"v{number}"
    labels = draw(LABELS)
    if draw(mostly(True, False)):
        labels = {**labels, "com.docker.volume.anonymous": ""}
    return Volume(
        name,
        draw(mostly("local", "nfs")),
        place(name),
        draw(MOMENTS),
        labels,
        draw(mostly({}, {"type": "none"})),
        draw(st.integers(0, 1000)),
        draw(mostly(True, False)),
    )


@st.composite
def networks(draw: st.DrawFn, number: int) -> Network:
    name = draw(mostly(f"n{number}", "bridge"))
    return Network(f"nid{number}", name, "bridge", draw(mostly("local", "swarm")), draw(MOMENTS), draw(LABELS))


@st.composite
def cache(draw: st.DrawFn, number: int) -> CacheEntry:
    # Parents are older entries: no circles.
    parents = draw(st.lists(st.integers(0, number - 1), max_size=1)) if number else []
    return CacheEntry(
        f"b{number}",
        draw(mostly("regular", "source.local", "internal")),
        "",
        tuple(f"b{parent}" for parent in parents),
        draw(mostly(False, True)),
        draw(mostly(False, True)),
        draw(st.sampled_from([1, 10, 100, 777])),
        draw(MOMENTS),
        draw(MOMENTS),
    )


@st.composite
def lines_of_images(draw: st.DrawFn) -> dict[str, str]:
    """What was built upon what: older images and steps without a name are parents of newer ones."""
    found = {}
    line = [name for number in range(6) for name in (f"iid{number}", f"step{number}")]
    for number, name in enumerate(line[1:], 1):
        if draw(st.booleans()):
            found[name] = line[draw(st.integers(0, number - 1))]
    return found


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    def some(strategy: Any, most: int = 5) -> tuple[Any, ...]:
        return tuple(draw(strategy(number)) for number in range(draw(st.integers(0, most))))

    return Inventory(
        store=draw(st.sampled_from(["classic", "containerd"])),
        containers=some(containers, 3),
        images=some(images),
        volumes=some(volumes),
        networks=some(networks),
        build_cache=some(cache),
        parents=draw(st.one_of(st.just({}), lines_of_images())),
        hidden_containers=draw(mostly(0, None, 1)),
        free_bytes=draw(st.integers(0, 10**6)),
        needs=draw(mostly((), (ImageNeed("app:*", "a service"),), (ImageNeed("db:1.0", "a service"),))),
        needs_unseen=draw(mostly("", "no manager")),
    )


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    return Policy(
        draw(mostly("stopped", "none")),
        draw(mostly("unused", "dangling", "none")),
        draw(mostly("anonymous", "none")),
        tuple(draw(st.lists(st.sampled_from(["v0", "v1", "v2", "gone"]), unique=True, max_size=3))),
        draw(mostly("unused", "none")),
        draw(mostly("unused", "none")),
        draw(mostly(0.0, DAY, 30 * DAY)),
        draw(st.sampled_from([0, 0, 1, 2])),
        Protection(
            tuple(draw(mostly([], ["keep"], ["team=shop"]))),
            tuple(draw(mostly([], ["c1", "app:*"], ["v?"], ["n*"]))),
            tuple(draw(mostly([], ["shop"]))),
        ),
        tuple(draw(mostly([], ["team"], [f"{PROJECT_LABEL}=blog"]))),
        container_names=tuple(draw(mostly([], ["c0"], ["c1", "gone"]))),
    )
