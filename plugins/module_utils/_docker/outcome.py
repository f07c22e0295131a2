# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a clean-up brings: expected before, measured after. Pure."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

from .._core.legacy_plan import Action, ActionResult
from .._core.units import format_size
from .inventory import Inventory
from .prune import KINDS, Policy, container_bytes, plan_prune


def expected_range(actions: Sequence[Action]) -> Tuple[int, int]:
    """Least and most bytes that actions free."""
    low = sum(action.bytes for action in actions)
    return low, sum(max(int(action.data.get("high", action.bytes)), action.bytes) for action in actions)


def measured_bytes(before: Inventory, after: Optional[Inventory], done: Sequence[ActionResult]) -> int:
    """Bytes that came free.

    What goes with an object of its own (a container, a volume, an entry of the build cache) is known when it has gone. For
    images the engine's sum of layers is compared. It falls by all layers of a removed image, also by those that build cache
    holds on to: under the classic store these are the entries that were shared and are not any more. Under the containerd
    store the sum counts containers and build cache as well, but of blobs only those of images: where there was build cache
    it may hold all that the images had, so they are left out, and what is returned is the least that came free.

    Args:
        after: None when nothing was removed.
    """
    images = [result for result in done if result.action.action == "remove_image"]
    others = [result for result in done if result.action.action != "remove_image"]
    freed = sum(result.bytes for result in others)
    if after is None or not images:
        return freed + sum(result.bytes for result in images)
    drop = before.layers_size - after.layers_size
    if before.store == "classic":
        shared = {entry.id for entry in before.build_cache if entry.shared}
        drop -= sum(entry.size for entry in after.build_cache if entry.id in shared and not entry.shared)
    else:
        cache = [r for r in others if r.action.action == "remove_build_cache"]
        # The snapshot of an entry is in the sum, a blob is not; where the two are not known apart all counts as snapshot.
        drop -= sum(min(r.bytes, int(r.action.data["snapshot"] or r.bytes)) for r in cache)
        if before.build_cache:
            gone = {r.action.data["id"] for r in images}
            drop -= sum(max(i.size - (i.unpacked or 0), 0) for i in before.images if i.id in gone)
        drop -= sum(int(r.action.data["layer_bytes"]) for r in others if r.action.action == "remove_container")
    return freed + max(drop, 0)


def still_there(after: Inventory, done: Sequence[Action]) -> List[Action]:
    """Objects that were removed and are there all the same. A volume or network may be there anew, under its old name."""
    there = _ids(after)
    return [action for action in done if action.data.get("id") in there]


def gone_after_all(after: Inventory, unsure: Sequence[Action]) -> List[Action]:
    """Objects that are gone although their removal failed: the engine went on when nobody waited for its answer."""
    there = _ids(after) | {"volume " + volume.name for volume in after.volumes}
    return [a for a in unsure if a.data.get("id", "volume " + a.target) not in there]


def _ids(inventory: Inventory) -> Set[str]:
    found: Set[str] = set()
    for items in (inventory.containers, inventory.images, inventory.networks, inventory.build_cache):
        found.update(item.id for item in items)  # type: ignore[attr-defined]
    return found


def vanished_volumes(before: Inventory, after: Inventory, tried: Sequence[Action]) -> List[str]:
    """Volumes that are gone without our doing; tried: what was removed here, or may have been."""
    there = {volume.name for volume in after.volumes}
    ours = {action.target for action in tried if action.action == "remove_volume"}
    return sorted(v.name for v in before.volumes if v.name not in there and v.name not in ours)


def headline(actions: Sequence[Action], freed: Optional[int]) -> str:
    """One sentence; freed is None in check mode."""
    if not actions:
        return "nothing to remove" if freed is None else "nothing removed"
    counts = []
    for verb, kind in KINDS.items():
        count = sum(action.action == verb for action in actions)
        if count and kind == "build cache":
            counts.append("%d entr%s of the build cache" % (count, "y" if count == 1 else "ies"))
        elif count:
            counts.append("%d %s%s" % (count, kind, "" if count == 1 else "s"))
    low, high = expected_range(actions)
    expected = format_size(low) if low == high else "between %s and %s" % (format_size(low), format_size(high))
    if freed is None:
        return "would remove %s and free %s" % (", ".join(counts), expected)
    return "removed %s and freed %s (predicted %s)" % (", ".join(counts), format_size(freed), expected)


def usage(inventory: Inventory, now: float) -> Dict[str, Dict[str, Any]]:
    """For each kind: how many, how large, and what would come free if all that nothing uses went."""
    everything = Policy("stopped", "unused", "anonymous", tuple(v.name for v in inventory.volumes), "unused", "unused")
    plan = plan_prune(inventory, everything, now)
    found: Dict[str, Dict[str, Any]] = {}
    totals = {
        "containers": (
            "remove_container",
            len(inventory.containers),
            sum(container_bytes(c, inventory.store) for c in inventory.containers),
        ),
        "images": ("remove_image", len(inventory.images), inventory.layers_size),
        "build_cache": (
            "remove_build_cache",
            len(inventory.build_cache),
            sum(entry.size for entry in inventory.build_cache if not entry.shared),
        ),
        "networks": ("remove_network", len(inventory.networks), 0),
        "volumes": ("remove_volume", len(inventory.volumes), sum(volume.size or 0 for volume in inventory.volumes)),
    }
    for kind, (verb, count, size) in totals.items():
        mine = [action for action in plan.actions if action.action == verb]
        low, high = expected_range(mine)
        found[kind] = {
            "total": count,
            "unused": len(mine),
            "bytes": size,
            "reclaimable_bytes": low,
            "reclaimable_bytes_max": high,
        }
    return found
