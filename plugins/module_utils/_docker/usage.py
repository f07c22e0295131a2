# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an engine holds and what of it nothing uses: the work of docker_usage_info."""

from __future__ import annotations

from typing import Any, Dict, List

from .._core.call import Call
from .._core.clock import utc_now
from .._core.plan import Report
from .client import Docker
from .draft import Policy
from .inventory import Inventory
from .observation import EVERYTHING, read_inventory
from .outcome import expected_range, format_range
from .prune import container_bytes, out_of_sight, plan_removals, without_sizes
from .works import RemoveBuildCache, RemoveContainer, RemoveImage, RemoveNetwork, RemoveVolume


def read_usage(call: Call) -> Report:
    """What an engine holds.

    Raises:
        EngineError, DockerUnavailable: the engine did not answer.
    """
    with Docker.connect(call.params["docker_host"], call.params["docker_timeout"]) as docker:
        inventory = read_inventory(docker, EVERYTHING)
        host = docker.docker_host
    kinds = usage_by_kind(inventory, utc_now().timestamp())
    low = sum(kind["reclaimable_bytes"] for kind in kinds.values())
    high = sum(kind["reclaimable_bytes_max"] for kind in kinds.values())
    unused = sum(kind["unused"] for kind in kinds.values())
    hidden = out_of_sight(inventory)
    values: Dict[str, Any] = dict(
        kinds,
        engine={
            "docker_host": host,
            "kind": inventory.engine,
            "version": inventory.version,
            "api_version": inventory.api_version,
            "store": inventory.store,
            "root": inventory.root,
            "hidden_containers": inventory.hidden_containers,
        },
        reclaimable_bytes=low,
        reclaimable_bytes_max=high,
        largest=largest(inventory, call.params["largest"]),
    )
    warnings = ["networks and volumes all count as used: %s" % hidden] if hidden else []
    if inventory.sizes_unknown:
        warnings.append(without_sizes(inventory))
    headline = "nothing is unused"
    if unused:
        headline = "%s could come free, of %d unused objects" % (format_range(low, high), unused)
    return Report(
        headline,
        summary={"bytes": low},
        values=values,
        warnings=warnings,
    )


def usage_by_kind(inventory: Inventory, now: float) -> Dict[str, Dict[str, int]]:
    """For each kind: how many, how large, and what would come free if all that nothing uses went. Pure.

    Args:
        now: Unix time.
    """
    everything = Policy("stopped", "unused", "anonymous", tuple(v.name for v in inventory.volumes), "unused", "unused")
    plan = plan_removals(inventory, everything, now)
    containers = sum(container_bytes(container, inventory.store) for container in inventory.containers)
    cache = sum(entry.size for entry in inventory.build_cache if not entry.shared)
    totals = {
        "containers": (RemoveContainer, len(inventory.containers), containers),
        "images": (RemoveImage, len(inventory.images), inventory.layers_size),
        "build_cache": (RemoveBuildCache, len(inventory.build_cache), cache),
        "networks": (RemoveNetwork, len(inventory.networks), 0),
        "volumes": (RemoveVolume, len(inventory.volumes), sum(volume.size or 0 for volume in inventory.volumes)),
    }
    found: Dict[str, Dict[str, int]] = {}
    for kind, (work, count, size) in totals.items():
        mine = [action for action in plan.actions if isinstance(action.work, work)]
        low, high = expected_range(mine)
        found[kind] = {
            "total": count,
            "unused": len(mine),
            "bytes": size,
            "reclaimable_bytes": low,
            "reclaimable_bytes_max": high,
        }
    return found


def largest(inventory: Inventory, count: int) -> List[Dict[str, Any]]:
    """The largest objects of all kinds, and which containers use them. Pure."""
    found = [
        {
            "kind": "container",
            "target": item.name,
            "bytes": container_bytes(item, inventory.store),
            "used_by": [],
            "state": item.state,
        }
        for item in inventory.containers
    ]
    for image in inventory.images:
        users = [user.name for user in inventory.users_of_image(image)]
        found.append({"kind": "image", "target": image.title, "bytes": image.size, "used_by": users})
    for volume in inventory.volumes:
        users = [user.name for user in inventory.users_of_volume(volume)]
        found.append({"kind": "volume", "target": volume.name, "bytes": volume.size or 0, "used_by": users})
    for entry in inventory.build_cache:
        found.append({"kind": "build_cache", "target": entry.id, "bytes": entry.size, "used_by": []})
    found.sort(key=lambda item: (-int(str(item["bytes"])), str(item["target"])))
    return found[: max(count, 0)]
