# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What docker_prune may do: one small piece of work for each kind of object."""

from __future__ import annotations

from typing import Mapping, Tuple, Union

from .._core.late_dataclass import dataclass
from .._core.plan import Action


@dataclass(frozen=True)
class RemoveContainer:
    """Remove this container, without its volumes.

    Attributes:
        finished_at: when it ended, as the engine writes it: another moment means that it was started since.
        restart: its restart policy: with another one it stays.
        layer_bytes: what of its bytes the engine's sum of layers counts.
    """

    id: str
    name: str
    finished_at: str
    layer_bytes: int
    restart: str = ""


@dataclass(frozen=True)
class RemoveImage:
    """Remove this image.

    Attributes:
        tags: the names that it has; with another one it stays.
        references: what to ask the engine to remove, one after the other.
        most_bytes: bytes that come free by it at most.
        names: its tags and its repository digests.
    """

    id: str
    tags: Tuple[str, ...]
    references: Tuple[str, ...]
    most_bytes: int
    names: Tuple[str, ...] = ()


@dataclass(frozen=True)
class RemoveBuildCache:
    """Remove this entry of the build cache.

    Attributes:
        counted_with_image: its bytes are those of an image that goes, and are measured there.
        snapshot_bytes: what of its bytes the engine's sum of layers counts; 0 when that is not known.
        most_bytes: bytes that come free by it at most.
    """

    id: str
    counted_with_image: bool
    snapshot_bytes: int
    most_bytes: int


@dataclass(frozen=True)
class RemoveNetwork:
    """Remove this network."""

    id: str
    name: str


@dataclass(frozen=True)
class RemoveVolume:
    """Remove this volume, and all data in it.

    Attributes:
        mountpoint: where its data is on the host.
        created_at: when it was made, as the engine writes it: another moment means that it was made anew since.
        labels: another set of them means the same.
    """

    name: str
    mountpoint: str
    created_at: str
    labels: Mapping[str, str]


Removal = Union[RemoveContainer, RemoveImage, RemoveBuildCache, RemoveNetwork, RemoveVolume]

# What the action of each kind of work is called, and its object.
VERBS = {
    RemoveContainer: ("remove_container", "container"),
    RemoveImage: ("remove_image", "image"),
    RemoveBuildCache: ("remove_build_cache", "build cache"),
    RemoveNetwork: ("remove_network", "network"),
    RemoveVolume: ("remove_volume", "volume"),
}


def kind_of_work(action: Action[Removal]) -> str:
    """The kind of object that an action removes, for people."""
    return VERBS[type(action.work)][1]
