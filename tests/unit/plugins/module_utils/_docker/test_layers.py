# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.inventory import Image, Layer
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.layers import (
    Freed,
    chain_ids,
    freed_by,
    pair_layers,
    with_own_layers,
)

SIZES = {f"layer{number}": 10**number for number in range(6)}


def image(name: str, *layers: int, known: bool = True) -> Image:
    chains = tuple(f"layer{number}" for number in layers)
    paired = tuple(Layer(chain, SIZES[chain]) for chain in chains) if known else None
    return Image(name, (), 0.0, sum(SIZES[chain] for chain in chains), chains=chains, layers=paired)


def test_chain_ids_are_those_of_the_specification() -> None:
    first, second, third = ("sha256:" + letter * 64 for letter in "abc")
    one = hashlib.sha256(f"{first} {second}".encode()).hexdigest()
    two = hashlib.sha256(f"sha256:{one} {third}".encode()).hexdigest()
    assert chain_ids([first, second, third]) == [first, f"sha256:{one}", f"sha256:{two}"]
    assert chain_ids([]) == []


def test_layers_are_paired_with_their_sizes_oldest_first() -> None:
    history = [{"Size": 0}, {"Size": 5}, {"Size": 0}, {"Size": 7}]
    paired = pair_layers(["sha256:a", "sha256:b"], history)
    assert paired is not None
    assert [layer.size for layer in paired] == [7, 5]
    assert paired[0].chain == "sha256:a"


def test_a_layer_without_bytes_makes_the_sizes_unknown() -> None:
    assert pair_layers(["sha256:a", "sha256:b"], [{"Size": 5}, {"Size": 0}]) is None


def test_a_layer_goes_with_the_last_image_that_has_it() -> None:
    found = freed_by([image("a", 0, 1), image("b", 0, 2)], [image("c", 0)], "classic", False)
    assert found == {"a": Freed(10, 10), "b": Freed(100, 100)}
    found = freed_by([image("a", 0, 1), image("b", 0, 2)], [], "classic", False)
    assert found == {"a": Freed(10, 10), "b": Freed(101, 101)}


def test_what_build_cache_may_hold_is_not_promised() -> None:
    assert freed_by([image("a", 1)], [], "classic", True) == {"a": Freed(0, 10)}


def test_an_image_of_unknown_layers_that_stays_makes_a_guess_of_all() -> None:
    stays = replace(image("b", 1), chains=None, layers=None)
    assert freed_by([image("a", 1)], [stays], "classic", False) == {"a": Freed(0, 10, False)}


def test_sizes_that_are_unknown_are_learnt_from_other_images() -> None:
    found = freed_by([image("a", 0, 1, known=False)], [image("b", 0)], "classic", False)
    assert found["a"].known is False
    found = freed_by([image("a", 0, 1, known=False), image("c", 1)], [image("b", 0)], "classic", False)
    assert found["a"] == Freed(0, 0)
    assert found["c"] == Freed(10, 10)


def test_the_containerd_store_gives_a_range() -> None:
    one = Image("a", (), 0.0, 100, shared=10, unpacked=60)
    assert freed_by([one], [], "containerd", False) == {"a": Freed(50, 100)}
    assert freed_by([one], [], "containerd", True) == {"a": Freed(0, 100)}
    assert freed_by([replace(one, unpacked=None)], [], "containerd", False) == {"a": Freed(0, 100)}


LISTS = st.lists(st.lists(st.integers(0, 5), unique=True, max_size=4), max_size=6)


@settings(deadline=None)
@given(LISTS, LISTS)
def test_the_sum_is_that_of_the_layers_that_no_kept_image_has(removed: list[list[int]], kept: list[list[int]]) -> None:
    going = [image(f"r{number}", *layers) for number, layers in enumerate(removed)]
    staying = [image(f"k{number}", *layers) for number, layers in enumerate(kept)]
    found = freed_by(going, staying, "classic", False)
    gone = {number for layers in removed for number in layers} - {number for layers in kept for number in layers}
    assert sum(freed.low for freed in found.values()) == sum(10**number for number in gone)
    assert all(freed.exact for freed in found.values())


@given(
    lines=st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True).map(tuple), min_size=1, max_size=5),
    kept=st.integers(0, 5),
    pinned=st.booleans(),
)
@settings(deadline=None)
def test_what_shares_nothing_needs_no_look_at_its_layers(lines: list[tuple[int, ...]], kept: int, pinned: bool) -> None:
    def shared(number: int) -> int:
        others = {layer for other, line in enumerate(lines) if other != number for layer in line}
        return sum(SIZES[f"layer{layer}"] for layer in lines[number] if layer in others)

    looked = [replace(image(str(n), *line), shared=shared(n)) for n, line in enumerate(lines)]
    listed = [with_own_layers(replace(item, chains=None, layers=None)) for item in looked]
    mixed = [own if own.chains else item for own, item in zip(listed, looked, strict=True)]
    assert all((item.chains is None) == bool(item.shared) for item in listed)
    expected = freed_by(looked[kept:], looked[:kept], "classic", pinned)
    assert freed_by(mixed[kept:], mixed[:kept], "classic", pinned) == expected
