# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many bytes the removal of images frees. Pure.

The sizes that the engine lists cannot be added up: images share layers, and a layer goes with the last image that has it.
Under the classic store the layers are known one by one, and the sum is exact. Under the containerd store the sizes of the
compressed blobs are nowhere in the API, so there is a range.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from .._core.late_dataclass import dataclass
from .inventory import Image, Layer


def chain_ids(diff_ids: Sequence[str]) -> List[str]:
    """Chain ids of an image's layers from their diff ids, as the OCI image specification defines them."""
    chains: List[str] = []
    for diff in diff_ids:
        if chains:
            diff = "sha256:" + hashlib.sha256(("%s %s" % (chains[-1], diff)).encode("ascii")).hexdigest()
        chains.append(diff)
    return chains


def pair_layers(diff_ids: Sequence[str], history: Iterable[Mapping[str, Any]]) -> Optional[Tuple[Layer, ...]]:
    """The layers of an image with their sizes.

    The engine tells sizes only in the image's history, newest first, among steps that made no layer and have size 0. A
    layer of size 0 looks like one of those: then the two lists differ in length, and nothing is known.

    Args:
        diff_ids: RootFS.Layers of the image.
        history: its history, as the engine gives it.
    """
    sizes = [int(step.get("Size") or 0) for step in history]
    sizes = [size for size in reversed(sizes) if size > 0]
    chains = chain_ids(diff_ids)
    if len(sizes) != len(chains):
        return None
    return tuple(Layer(chain, size) for chain, size in zip(chains, sizes))


def with_own_layers(image: Image) -> Image:
    """An image of the classic store that shares nothing with any other one, with all that it has as one layer, as the listing
    has its size. Any other image is returned as it is."""
    if image.shared != 0:
        return image
    chain = "all of " + image.id
    return replace(image, chains=(chain,), layers=(Layer(chain, image.size),))


@dataclass(frozen=True)
class Freed:
    """Bytes that come free: exactly `low` when low equals high.

    Attributes:
        known: False when nothing is known, and low and high say no more than the sizes listed allow.
    """

    low: int
    high: int
    known: bool = True

    @property
    def exact(self) -> bool:
        return self.known and self.low == self.high


def freed_by(removed: Sequence[Image], kept: Iterable[Image], store: str, pinned: bool) -> Dict[str, Freed]:
    """Bytes that come free when images go one after the other: the layers of each that no later or kept image has.

    Args:
        removed: in the order of their removal.
        kept: all other images.
        store: classic or containerd.
        pinned: there is build cache, or a container of an unlisted image, that may hold what the images have.

    Returns:
        by image id; they may be added up.
    """
    if store != "classic":
        return {image.id: _range(image, pinned) for image in removed}
    kept = list(kept)
    # A layer's size is known when it is in any image's history that could be read.
    sizes = {layer.chain: layer.size for image in [*kept, *removed] for layer in image.layers or ()}
    # Where a kept image's layers are not known it may hold any layer: everything is a guess then.
    blind = any(image.chains is None for image in kept)
    held: Set[str] = {chain for image in kept for chain in image.chains or ()}
    found: Dict[str, Freed] = {}
    for image in reversed(removed):
        own = None if image.chains is None else [chain for chain in image.chains if chain not in held]
        held.update(image.chains or ())
        if own is None or any(chain not in sizes for chain in own):
            found[image.id] = Freed(0, max(image.size - (image.shared or 0), 0), False)
            continue
        total = sum(sizes[chain] for chain in own)
        found[image.id] = Freed(0 if pinned or blind else total, total, not blind)
    return found


def _range(image: Image, pinned: bool) -> Freed:
    low = 0
    if not pinned and image.unpacked is not None and image.shared is not None:
        low = max(image.unpacked - image.shared, 0)
    return Freed(low, max(image.size, low))
