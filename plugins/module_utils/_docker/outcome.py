# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a clean-up brings: expected before, measured after. Pure."""

from __future__ import annotations

from typing import Iterable, List, Optional, Sequence, Set, Tuple

from .._core.plan import Action, Result
from .._core.units import format_duration, format_size
from .inventory import Inventory
from .works import VERBS, Removal, RemoveBuildCache, RemoveContainer, RemoveImage, RemoveVolume


def expected_range(actions: Iterable[Action[Removal]]) -> Tuple[int, int]:
    """Least and most bytes that actions free."""
    low = high = 0
    for action in actions:
        low += action.bytes
        most = action.work.most_bytes if isinstance(action.work, (RemoveImage, RemoveBuildCache)) else 0
        high += max(most, action.bytes)
    return low, high


def measured_bytes(before: Inventory, after: Optional[Inventory], done: Sequence[Result[Removal]]) -> int:
    """Bytes that came free.

    What goes with an object of its own (a container, a volume, an entry of the build cache) is known when it has gone. For
    images the engine's sum of layers is compared. It falls by all layers of a removed image, also by those that build cache
    holds on to: under the classic store these are the entries that were shared and are not any more. Under the containerd
    store the sum counts containers and build cache as well, but of blobs only those of images: where there was build cache
    it may hold all that the images had, so they are left out, and what is returned is the least that came free.

    Args:
        after: None when nothing was removed.
    """
    images = {result.action.work.id for result in done if isinstance(result.action.work, RemoveImage)}
    freed = sum(result.bytes for result in done if not isinstance(result.action.work, RemoveImage))
    if before.engine == "podman":
        # Its sum counts a layer once for each image that has it.
        return freed
    if after is None or not images:
        return freed + sum(result.bytes for result in done if isinstance(result.action.work, RemoveImage))
    drop = before.layers_size - after.layers_size
    if before.store == "classic":
        shared = {entry.id for entry in before.build_cache if entry.shared}
        drop -= sum(entry.size for entry in after.build_cache if entry.id in shared and not entry.shared)
        return freed + max(drop, 0)
    for result in done:
        work = result.action.work
        if isinstance(work, RemoveBuildCache):
            # The snapshot of an entry is in the sum, a blob is not; where the two are not known apart all counts as snapshot.
            drop -= min(result.bytes, work.snapshot_bytes or result.bytes)
        elif isinstance(work, RemoveContainer):
            drop -= work.layer_bytes
    if before.build_cache:
        drop -= sum(max(image.size - (image.unpacked or 0), 0) for image in before.images if image.id in images)
    return freed + max(drop, 0)


def still_there(after: Inventory, done: Iterable[Action[Removal]]) -> List[Action[Removal]]:
    """Objects that were removed and are there all the same. A volume may be there anew, under its old name."""
    there = _ids(after)
    return [action for action in done if not isinstance(action.work, RemoveVolume) and action.work.id in there]


def gone_after_all(after: Inventory, unsure: Iterable[Action[Removal]]) -> List[Action[Removal]]:
    """Objects that are gone although their removal failed: the engine went on when nobody waited for its answer."""
    there, volumes = _ids(after), {volume.name for volume in after.volumes}
    return [
        action
        for action in unsure
        if (action.work.name not in volumes if isinstance(action.work, RemoveVolume) else action.work.id not in there)
    ]


def _ids(inventory: Inventory) -> Set[str]:
    kinds = (inventory.containers, inventory.images, inventory.networks, inventory.build_cache)
    return {item.id for items in kinds for item in items}  # type: ignore[attr-defined]


def vanished_volumes(before: Inventory, after: Inventory, tried: Iterable[Action[Removal]]) -> List[str]:
    """Volumes that are gone without our doing; tried: what was removed here, or may have been."""
    there = {volume.name for volume in after.volumes}
    ours = {action.work.name for action in tried if isinstance(action.work, RemoveVolume)}
    return sorted(v.name for v in before.volumes if v.name not in there and v.name not in ours)


def removal_headline(actions: Sequence[Action[Removal]], freed: Optional[int], older_than: float = 0) -> str:
    """One sentence, with the age that decided.

    Args:
        freed: bytes; None in check mode.
        older_than: seconds; younger things stay.
    """
    age = "; younger than %s stays" % format_duration(older_than) if older_than > 0 else ""
    if not actions:
        return ("nothing to remove" if freed is None else "nothing removed") + age
    counts = []
    for work, (_verb, kind) in VERBS.items():
        count = sum(isinstance(action.work, work) for action in actions)
        if count and kind == "build cache":
            counts.append("%d entr%s of the build cache" % (count, "y" if count == 1 else "ies"))
        elif count:
            counts.append("%d %s%s" % (count, kind, "" if count == 1 else "s"))
    expected = format_range(*expected_range(actions))
    if freed is None:
        return "would remove %s and free %s%s" % (", ".join(counts), expected, age)
    return "removed %s and freed %s (predicted %s)%s" % (", ".join(counts), format_size(freed), expected, age)


def format_range(low: int, high: int) -> str:
    """Bytes that are known exactly, or between which two numbers they are."""
    return format_size(low) if low == high else "between %s and %s" % (format_size(low), format_size(high))
