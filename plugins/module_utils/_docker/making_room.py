# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a plan is enough to have so much free: the oldest and largest first. Pure.

An object's rank is its age times the bytes that come free by it at most. What has to go before it goes with it, whatever its
own rank: the containers that use an image, the images that were built upon one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Set

from .._core.errors import MaintenanceError
from .._core.plan import Action
from .._core.units import format_size
from .draft import Draft
from .image_rules import came_of, images_are_pinned, range_note
from .inventory import Inventory, container_joins
from .layers import freed_by
from .works import Removal, RemoveBuildCache, RemoveContainer, RemoveImage, kind_of_work


def limit_to_target(draft: Draft, inventory: Inventory) -> None:
    """Keep what is not needed for target_free.

    Raises:
        MaintenanceError: how much is free cannot be told.
    """
    target = draft.policy.target_free or 0
    if inventory.free_bytes is None:
        raise MaintenanceError(
            "cannot tell how much is free on the file system of Docker's data",
            target=inventory.root or "",
            next_step="Leave out target_free, or run this on the Docker host as a user who may read that directory.",
        )
    free = inventory.free_bytes
    actions = []
    ranked = _ranked(draft, inventory)
    wanted = {id(action) for action in ranked}
    ordered = _measured_in_order(ranked, inventory)
    for action in ordered:
        if free >= target:
            draft.keep(kind_of_work(action), action.target, "%s are free without it" % format_size(target))
            continue
        actions.append(action)
        free += action.bytes
    for action in draft.actions:
        if id(action) not in wanted:
            draft.keep(kind_of_work(action), action.target, "nothing comes free by it, and target_free is asked for")
    draft.actions = actions
    if free < target:
        draft.warnings.append(
            "all that may go is expected to leave at least %s free, less than target_free" % format_size(free)
        )


def most_bytes(action: Action[Removal]) -> int:
    """Bytes that come free by a removal at most."""
    most = action.work.most_bytes if isinstance(action.work, (RemoveImage, RemoveBuildCache)) else 0
    return max(most, action.bytes)


def _ranked(draft: Draft, inventory: Inventory) -> List[Action[Removal]]:
    """The actions by which anything comes free, and what has to go before each, in the order of their ranks."""
    before = _before(draft.actions, inventory)
    own = _own_layers(draft, inventory)
    ranks = {}
    for action, moment in zip(draft.actions, draft.moments):
        known = draft.known(moment)
        # What is of unknown age may be new.
        age = 1.0 if known is None else max(draft.now - known, 1.0)
        ranks[id(action)] = age * max(most_bytes(action), own.get(getattr(action.work, "id", ""), 0))
    found: List[Action[Removal]] = []
    taken: Set[int] = set()

    def take(action: Action[Removal]) -> None:
        if id(action) in taken:
            return
        taken.add(id(action))
        for other in before.get(id(action), ()):
            take(other)
        found.append(action)

    for action in sorted(draft.actions, key=lambda item: -ranks[id(item)]):
        if ranks[id(action)] > 0:
            take(action)
    return found


def _own_layers(draft: Draft, inventory: Inventory) -> Dict[str, int]:
    """For each image that goes, the bytes of its layers that no image has which stays: of what several of them share each is a
    condition, though it comes free with the last one."""
    held = {chain for image in inventory.images if image.id not in draft.images for chain in image.chains or ()}
    return {
        image.id: sum(layer.size for layer in image.layers or () if layer.chain not in held)
        for image in inventory.images
        if image.id in draft.images
    }


def _before(actions: List[Action[Removal]], inventory: Inventory) -> Dict[int, List[Action[Removal]]]:
    """For each action those that have to be carried out before it."""
    containers = {item.id: item for item in inventory.containers}
    images = {item.id: item for item in inventory.images}
    entries = {item.id: item for item in inventory.build_cache}
    going = {(type(action.work), getattr(action.work, "id", "")): action for action in actions}
    going_images = [images[action.work.id] for action in actions if isinstance(action.work, RemoveImage)]
    upon = came_of(going_images, inventory.parents)
    found: Dict[int, List[Action[Removal]]] = {}
    for action in actions:
        work = action.work
        needed: List[Action[Removal]] = []
        if isinstance(work, RemoveContainer):
            users = [c.id for c in containers.values() if container_joins(c, work.id, work.name)]
            needed = [going[RemoveContainer, user] for user in users if (RemoveContainer, user) in going]
        elif isinstance(work, RemoveImage):
            users = [user.id for user in inventory.users_of_image(images[work.id])]
            needed = [going[RemoveContainer, user] for user in users if (RemoveContainer, user) in going]
            needed += [going[RemoveImage, child] for child in upon.get(work.id, ())]
        elif isinstance(work, RemoveBuildCache):
            children = [entry.id for entry in entries.values() if work.id in entry.parents]
            needed = [going[RemoveBuildCache, child] for child in children if (RemoveBuildCache, child) in going]
            if entries[work.id].shared:
                # With which of them is told by its size alone.
                needed = [going[RemoveImage, image.id] for image in going_images] + needed
        found[id(action)] = needed
    return found


def _measured_in_order(actions: List[Action[Removal]], inventory: Inventory) -> List[Action[Removal]]:
    """The actions with the bytes that come free in this order: a layer goes with the last image that has it."""
    images = {item.id: item for item in inventory.images}
    order = [images[action.work.id] for action in actions if isinstance(action.work, RemoveImage)]
    listed = {image.id for image in order}
    # Any of them may be the first that stays: one whose layers are not known then holds whatever it may.
    staying = [image for image in images.values() if image.id not in listed or image.chains is None]
    removed = [image for image in order if image.chains is not None]
    freed = freed_by(removed, staying, inventory.store, images_are_pinned(inventory))
    freed.update(freed_by([image for image in order if image.chains is None], (), inventory.store, True))
    found = []
    for action in actions:
        if isinstance(action.work, RemoveImage):
            mine = freed[action.work.id]
            action = replace(
                action,
                work=replace(action.work, most_bytes=mine.high),
                bytes=mine.low,
                predicted=not mine.exact,
                reason=action.reason.partition("; frees between")[0] + range_note(mine),
            )
        found.append(action)
    return found
