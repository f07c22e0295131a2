# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which images go, and which build cache goes with them. Pure."""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple

from .._core.units import format_size
from .draft import Draft, children_first
from .inventory import PROJECT_LABEL, CacheEntry, Image, ImageNeed, Inventory, container_uses_image, short_id
from .layers import Freed, freed_by
from .recall import cache_again, image_again
from .works import RemoveBuildCache, RemoveImage

# By how much two snapshots of the same layer, or a layer that cannot be compressed and its blob, differ at most.
SLACK = 16384
# What RUN --mount=type=cache fills: not a result of a build, which the next one makes again, but what makes builds fast.
CACHE_MOUNT = "exec.cachemount"
# BuildKit does not count these as its prunable entries.
INTERNAL_CACHE = frozenset(("internal", "frontend"))


# -- images -------------------------------------------------------------------------------------------------------------


def plan_images(draft: Draft, inventory: Inventory) -> None:
    newest = _newest(draft, inventory.images)
    stays = {image.id: _image_stays(draft, inventory, image, newest) for image in inventory.images}
    stays = {identity: reason for identity, reason in stays.items() if reason}
    stays.update(_built_upon(draft, inventory, stays))
    going: List[Image] = []
    for image in sorted(inventory.images, key=lambda item: (draft.order(item.created), item.id)):
        if image.id in stays:
            draft.keep("image", image.title, stays[image.id])
        else:
            going.append(image)
    going = children_first(going, came_of(going, inventory.parents))
    draft.images.update(image.id for image in going)
    staying = [image for image in inventory.images if image.id not in draft.images]
    freed = freed_by(going, staying, inventory.store, images_are_pinned(inventory))
    held = {chain for image in staying for chain in image.chains or ()}
    for image in going:
        for layer in image.layers or ():
            if layer.chain not in held:
                draft.orphaned_layers.add(layer.size)
    for image in going:
        what = "dangling" if image.dangling else "used by no container"
        draft.remove(
            RemoveImage(image.id, image.tags, references(image, inventory.store), freed[image.id].high, image.names),
            image.title,
            "%s, made %s%s" % (what, draft.ago(image.created), range_note(freed[image.id])),
            freed[image.id].low,
            not freed[image.id].exact,
            again=image_again(image, inventory),
            moment=max(image.created, draft.known(image.tagged) or 0.0),
        )


def _built_upon(draft: Draft, inventory: Inventory, stays: Mapping[str, str]) -> Dict[str, str]:
    """Why images stay that others were built upon: the engine does not let go of one before all that came of it.

    A step of a build, which has no name and is in no list, goes by itself with the last image that came of it, unless a
    container was made from it.
    """
    titles = {image.id: image.title for image in inventory.images}
    because = {identity: "the image %s, which stays, was built upon it" % titles[identity] for identity in stays}
    for step in sorted(set(inventory.parents) | set(inventory.parents.values())):
        users = [c for c in inventory.containers if container_uses_image(c, step) and c.id not in draft.containers]
        if step not in titles and users:
            because[step] = "the container %s (%s) uses what was built upon it" % (users[0].name, users[0].state)
    found: Dict[str, str] = {}
    waiting = sorted(because)
    while waiting:
        identity = waiting.pop()
        parent = inventory.parents.get(identity, "")
        if parent and parent not in because:
            found[parent] = because[parent] = because[identity]
            waiting.append(parent)
    return {identity: reason for identity, reason in found.items() if identity in titles}


def came_of(images: Sequence[Image], parents: Mapping[str, str]) -> Dict[str, List[str]]:
    """For each of these images those of them that were built upon it, with the steps between them left out."""
    listed = {image.id for image in images}
    found: Dict[str, List[str]] = {}
    for image in images:
        line = {image.id}
        identity = parents.get(image.id, "")
        while identity and identity not in listed and identity not in line:
            line.add(identity)
            identity = parents.get(identity, "")
        found.setdefault(identity, []).append(image.id)
    return found


def images_are_pinned(inventory: Inventory) -> bool:
    """Whether something that no image lists may hold what images have: build cache, or a container of a lost image. Of Podman
    nobody knows: other programs keep images in its storage."""
    if inventory.engine == "podman":
        return True
    if any(entry.shared or inventory.store != "classic" for entry in inventory.build_cache):
        return True
    listed = {image.id for image in inventory.images}
    return any(container.image_id and container.image_id not in listed for container in inventory.containers)


def references(image: Image, store: str) -> Tuple[str, ...]:
    """By what to remove an image, one after the other: an image with several names goes only name by name, the last one
    by id, since force would take it from under a stopped container."""
    names = list(image.tags)
    if not names and store == "classic" and len({name.partition("@")[0] for name in image.digests}) > 1:
        # An image without tags that was pulled from two repositories. The containerd store would take more than asked.
        names = list(image.digests)
    return (*names[:-1], image.id)


def range_note(freed: Freed) -> str:
    if freed.exact:
        return ""
    return "; frees between %s and %s" % (format_size(freed.low), format_size(freed.high))


def _newest(draft: Draft, images: Sequence[Image]) -> Dict[str, Set[str]]:
    """Ids of the newest images of each repository. What is of unknown age may be the newest, and which of several such ones is
    nobody knows: they all stay."""
    count = draft.policy.keep_per_repository
    found: Dict[str, List[Image]] = {}
    for image in images if count > 0 else ():
        for repository in image.repositories:
            found.setdefault(repository, []).append(image)
    newest: Dict[str, Set[str]] = {}
    for repository, mine in found.items():
        ranked = sorted(mine, key=lambda item: (-draft.order(item.created), item.id))
        unknown = {item.id for item in mine if draft.known(item.created) is None}
        newest[repository] = {item.id for item in ranked[:count]} | unknown
    return newest


def _image_stays(draft: Draft, inventory: Inventory, image: Image, newest: Mapping[str, Set[str]]) -> str:
    users = inventory.users_of_image(image)
    staying = [user for user in users if user.id not in draft.containers]
    if staying:
        return "used by the container %s (%s)" % (staying[0].name, staying[0].state)
    if image.containers is not None and image.containers > len(users):
        return "the engine counts %d containers of it, and lists %d" % (image.containers, len(users))
    if draft.policy.images == "dangling" and not image.dangling:
        return "has a tag"
    reason = _mounted_under_a_lost_name(draft, inventory, image) or _would_be_started(draft, inventory, image)
    if reason:
        return reason
    reason = draft.common([*image.names, *image.repositories, short_id(image.id)], image.labels)
    if reason:
        return reason
    for repository in sorted(image.repositories):
        if image.id in newest.get(repository, ()):
            return "among the %d newest of %s" % (draft.policy.keep_per_repository, repository)
    # An image can be younger here than it is, but the engine knows only when it was named here (docker tag, a build): when
    # it was pulled it does not tell, so what was pulled yesterday and made last year counts as old.
    return draft.too_young(image.created, "made") or (
        draft.too_young(image.tagged, "tagged here") if draft.known(image.tagged) and image.tags else ""
    )


def _mounted_under_a_lost_name(draft: Draft, inventory: Inventory, image: Image) -> str:
    """A container mounts an image by its name. An image without one may be what such a name meant when the container was made."""
    if not image.dangling:
        return ""
    for container in inventory.containers:
        for mounted in () if container.id in draft.containers else container.mounted_images:
            need = ImageNeed(mounted, "")
            holders = [other for other in inventory.images if need.meets(other.names)]
            known = [other for other in holders if other.created <= container.created]
            known = [other for other in known if other.tagged is None or other.tagged <= container.created]
            if not known:
                return "may be what the container %s mounts as %s" % (container.name, mounted)
    return ""


def _would_be_started(draft: Draft, inventory: Inventory, image: Image) -> str:
    """Why an image stays of which there is no container now, and soon may be."""
    for container in inventory.containers:
        if container.id not in draft.containers and image.tags and ImageNeed(container.image, "").meets(image.tags):
            return "the container %s was made from an earlier image of this name" % container.name
    for need in inventory.needs:
        if need.meets(image.names):
            return "it %s that of %s" % ("may be" if "*" in need.pattern else "is", need.by)
    if inventory.needs_unseen and image.names:
        draft.services_unseen = True
        return "it may be that of a service of the swarm: this node does not tell"
    project = image.labels.get(PROJECT_LABEL, "")
    if project in inventory.projects_unread and image.tags:
        return "compose built it for the project %s, not all of whose services are known" % project
    return ""


# -- build cache --------------------------------------------------------------------------------------------------------


def plan_build_cache(draft: Draft, inventory: Inventory) -> None:
    entries = {entry.id: entry for entry in inventory.build_cache}
    children: Dict[str, List[str]] = {}
    for entry in inventory.build_cache:
        for parent in entry.parents:
            children.setdefault(parent, []).append(entry.id)
    stays: Dict[str, str] = {}
    for entry in inventory.build_cache:
        reason = _cache_stays(draft, inventory, entry)
        if reason:
            stays[entry.id] = reason
    # An entry goes only after all that were built upon it: one that stays keeps its whole line of ancestors.
    waiting = list(stays)
    while waiting:
        identity = waiting.pop()
        for parent in entries[identity].parents:
            if parent in entries and parent not in stays:
                stays[parent] = "the entry %s, which stays, was built upon it" % identity
                waiting.append(parent)
    for identity in sorted(stays):
        draft.keep("build cache", identity, stays[identity])
    going = sorted(
        (e for e in inventory.build_cache if e.id not in stays), key=lambda item: (draft.order(item.used), item.id)
    )
    for entry in children_first(going, children):
        reason = "last used %s" % draft.ago(entry.used)
        high = entry.size
        if entry.shared:
            reason += ", shared with an image that goes; its bytes are counted there"
            if inventory.store == "classic":
                high = 0
            else:
                reason = reason.replace("; its bytes are counted there", ", if it is shared with no other one")
        with_image = entry.shared and inventory.store == "classic"
        draft.remove(
            RemoveBuildCache(entry.id, with_image, _layer_of(draft, inventory, entry) or 0, high),
            entry.id,
            "%s: %s" % (entry.description or entry.kind, reason),
            0 if entry.shared else entry.size,
            # BuildKit rewrites the local sources with each build, and may tell a size of yesterday.
            entry.shared or entry.kind == "source.local",
            again=cache_again(),
            moment=entry.used,
        )


def _cache_stays(draft: Draft, inventory: Inventory, entry: CacheEntry) -> str:
    reason = draft.common([entry.id], {})
    if reason:
        return reason
    if entry.in_use:
        return "in use"
    if entry.kind == CACHE_MOUNT and not draft.policy.cache_mounts:
        return "a cache mount of builds, as of a package manager; build_cache_mounts lets these go"
    if entry.kind in INTERNAL_CACHE:
        return "internal to the builder"
    if entry.shared and _layer_of(draft, inventory, entry) is None:
        return "shared with an image"
    return draft.too_young(entry.used, "last used")


def _layer_of(draft: Draft, inventory: Inventory, entry: CacheEntry) -> Optional[int]:
    """Bytes of a layer that goes with an image and that this shared entry may be of; None when there is none.

    Only the size tells. Under the classic store it is that of the layer. Under the containerd store the entry's size is that
    of a snapshot of its own, some blocks more or less than the image's, and of the compressed layer, which is no larger
    but for what compression adds where it fails. It may be another layer after all: the engine then keeps the entry.
    """
    if not entry.shared:
        return None
    if inventory.store == "classic":
        return entry.size if entry.size in draft.orphaned_layers else None
    fitting = [size for size in draft.orphaned_layers if size - SLACK <= entry.size <= 2 * size + size // 64 + SLACK]
    return max(fitting, default=None)
