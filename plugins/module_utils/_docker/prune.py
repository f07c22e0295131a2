# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decides what goes. Pure: no I/O, no clock.

Containers go first, then images, build cache, networks and volumes. What only a container of this plan uses goes with it,
so that a second run finds nothing more, with one exception: volumes. A volume that any container mounts stays, also when
that container goes in the same run; its anonymous volumes are seen, on their own, by the next run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple, TypeVar, Union

from .._core.errors import MaintenanceError
from .._core.plan import Action, Kept, Plan, refuse_above
from .._core.units import format_duration, format_size
from .inventory import (
    PROJECT_LABEL,
    CacheEntry,
    Container,
    Image,
    ImageNeed,
    Inventory,
    Network,
    Volume,
    container_joins,
    container_uses_image,
    known_moment,
    short_id,
)
from .layers import Freed, freed_by
from .protect import Protection, names_project, out_of_scope, protected

# The containerd store also frees the snapshot that prepared a container's root: always this size.
INIT_SNAPSHOT_BYTES = 28672
# By how much two snapshots of the same layer, or a layer that cannot be compressed and its blob, differ at most.
SLACK = 16384
# States of a container whose removal began and failed: dead, and on Engine 26 removing.
HALF_REMOVED = frozenset(("dead", "removing"))
# BuildKit does not count these as its prunable entries.
INTERNAL_CACHE = frozenset(("internal", "frontend"))


@dataclass(frozen=True)
class Policy:
    """What may go. Nothing by default.

    Attributes:
        older_than: seconds.
        keep_per_repository: newest images of each repository that stay.
        container_names: stopped containers that go although the engine is to start them again.
        only_labels: nothing without one of these is touched; empty for no such limit.
        max_delete: fail when more objects than this would go; None for no limit.
        target_free: stop once this many bytes are free; None for not.
    """

    containers: str = "none"
    images: str = "none"
    volumes: str = "none"
    volume_names: Tuple[str, ...] = ()
    networks: str = "none"
    build_cache: str = "none"
    older_than: float = 0.0
    keep_per_repository: int = 0
    protection: Protection = field(default_factory=Protection)
    only_labels: Tuple[str, ...] = ()
    max_delete: Optional[int] = None
    target_free: Optional[int] = None
    container_names: Tuple[str, ...] = ()


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
    """

    id: str
    tags: Tuple[str, ...]
    references: Tuple[str, ...]
    most_bytes: int


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


def kind_of(action: Action[Removal]) -> str:
    """The kind of object that an action removes, for people."""
    return VERBS[type(action.work)][1]


class _Draft:
    """The plan while it is being made."""

    def __init__(self, policy: Policy, now: float) -> None:
        self.policy = policy
        self.now = now
        self.actions: List[Action[Removal]] = []
        self.kept: List[Kept] = []
        self.warnings: List[str] = []
        self.containers: Set[str] = set()
        self.images: Set[str] = set()
        # Sizes of layers that no image has any more.
        self.orphaned_layers: Set[int] = set()
        # An image stays since nobody tells which services there are.
        self.services_unseen = False

    def remove(self, work: Removal, target: str, reason: str, size: int = 0, predicted: bool = False) -> None:
        self.actions.append(Action(VERBS[type(work)][0], target, reason, work, size, predicted))

    def keep(self, kind: str, title: str, reason: str) -> None:
        self.kept.append(Kept("%s %s" % (kind, title), reason))

    def common(self, names: Sequence[str], labels: Mapping[str, str]) -> str:
        """Why an object stays that its own rules would let go."""
        return out_of_scope(self.policy.only_labels, labels) or protected(self.policy.protection, names, labels)

    def known(self, moment: Optional[float]) -> Optional[float]:
        return known_moment(moment, self.now)

    def order(self, moment: Optional[float]) -> float:
        """For sorting by age, the oldest first: what is of unknown age may be new."""
        known = self.known(moment)
        return math.inf if known is None else known

    def too_young(self, moment: Optional[float], what: str) -> str:
        if self.policy.older_than <= 0:
            return ""
        known = self.known(moment)
        if known is None:
            return "its age is not known"
        age = self.now - known
        if age < self.policy.older_than:
            return "%s %s ago" % (what, format_duration(age))
        return ""

    def ago(self, moment: Optional[float]) -> str:
        known = self.known(moment)
        return "at an unknown time" if known is None else format_duration(self.now - known) + " ago"


def plan_removals(inventory: Inventory, policy: Policy, now: float) -> Plan[Removal]:
    """What goes, in order, and why everything else of the kinds that were asked for stays.

    Args:
        now: Unix time.

    Raises:
        MaintenanceError: more would go than max_delete allows, or target_free cannot be judged.
    """
    draft = _Draft(policy, now)
    if policy.containers != "none" or policy.container_names:
        _containers(draft, inventory)
    if policy.images != "none":
        _images(draft, inventory)
    if policy.build_cache != "none":
        _build_cache(draft, inventory)
    networks, volumes = policy.networks != "none", policy.volumes != "none" or bool(policy.volume_names)
    if networks:
        _networks(draft, inventory)
    if volumes:
        _volumes(draft, inventory)
    if (networks or volumes) and out_of_sight(inventory):
        kinds = " and no ".join(kind for kind, wanted in (("network", networks), ("volume", volumes)) if wanted)
        draft.warnings.append("no %s is removed: %s" % (kinds, out_of_sight(inventory)))
    if inventory.sizes_unknown:
        draft.warnings.append(without_sizes(inventory))
    if policy.images == "unused":
        draft.warnings += [_unread_project(*item) for item in sorted(inventory.projects_unread.items())]
    if draft.services_unseen:
        draft.warnings.append("no image with a name is removed: %s" % inventory.needs_unseen)
    if policy.target_free is not None:
        _limit_to_target(draft, inventory)
    plan = Plan(draft.actions, draft.kept, draft.warnings)
    refuse_above(plan, policy.max_delete, "objects")
    return plan


def without_sizes(inventory: Inventory) -> str:
    """One container that is half removed keeps the engine from telling the sizes of all."""
    named = [c.name for c in inventory.containers if c.id[:12] in inventory.sizes_unknown]
    named += [c.name for c in inventory.containers if c.state in HALF_REMOVED] or ["of that id"]
    which = named[0]
    return (
        "the engine does not tell the sizes of containers, so what comes free by their removal is not known: %s. The container %s "
        "is there by half, since its removal failed: remove it by hand (docker rm --force %s; if that fails too, look at the "
        "engine's log, journalctl -u docker). Until then docker system df and the engine's own prunes fail as well."
        % (inventory.sizes_unknown, which, which)
    )


def _unread_project(project: str, why: str) -> str:
    what = "the compose project %s" % project if project else "compose_paths"
    return "not all services of %s are known, so images of services that have no container may go: %s" % (what, why)


# -- containers ---------------------------------------------------------------------------------------------------------


def container_bytes(container: Container, store: str) -> int:
    """What the removal of a container frees: its layer, its log, and under the containerd store a fixed bit more."""
    return container.size + (container.log_bytes or 0) + (INIT_SNAPSHOT_BYTES if store == "containerd" else 0)


def _containers(draft: _Draft, inventory: Inventory) -> None:
    there = {container.name for container in inventory.containers}
    for name in draft.policy.container_names:
        if name not in there:
            draft.keep("container", name, "there is no container of this name")
    stays = {container.id: _container_stays(draft, inventory, container) for container in inventory.containers}
    joined = {
        container.id: [other for other in inventory.containers if container_joins(other, container.id, container.name)]
        for container in inventory.containers
        if not stays[container.id]
    }
    # What stays needs the containers whose network, processes or memory it shares, and these may need others.
    waiting = True
    while waiting:
        waiting = False
        for container in inventory.containers:
            users = [user for user in joined.get(container.id, ()) if stays[user.id]]
            if users and not stays[container.id]:
                what = "the container %s (%s), which stays, does not start without it"
                stays[container.id] = what % (users[0].name, users[0].state)
                waiting = True
    going = []
    for container in sorted(inventory.containers, key=lambda item: (draft.order(item.idle_since), item.id)):
        if stays[container.id]:
            draft.keep("container", container.name, stays[container.id])
        else:
            going.append(container)
    for container in _children_first(going, {identity: [c.id for c in users] for identity, users in joined.items()}):
        draft.containers.add(container.id)
        ended = "stopped %s" % draft.ago(container.finished)
        if container.finished is None and container.state == "created":
            ended = "made %s and never started" % draft.ago(container.created)
        layer = container_bytes(replace(container, log_bytes=0), inventory.store)
        draft.remove(
            RemoveContainer(container.id, container.name, container.finished_at, layer, container.restart),
            container.name,
            ended,
            container_bytes(container, inventory.store),
            bool(inventory.sizes_unknown),
        )


def _container_stays(draft: _Draft, inventory: Inventory, container: Container) -> str:
    named = container.name in draft.policy.container_names
    if draft.policy.containers == "none" and not named:
        return "not named in container_names"
    if not container.stopped:
        return "is %s" % (container.state or "in an unknown state")
    if container.pod_infrastructure:
        return "holds together a pod of Podman's, which goes as a whole"
    pods = [c for c in inventory.containers if c.pod_infrastructure and container_joins(container, c.id, c.name)]
    if pods:
        return "belongs to a pod of Podman's, which goes as a whole"
    reason = draft.common([container.name], container.labels)
    if reason:
        return reason
    if container.project and not names_project(draft.policy.only_labels, container.project):
        return "belongs to the compose project %s" % container.project
    if container.restart in ("always", "on-failure") and not named:
        return "comes back with the engine: its restart policy is %s" % container.restart
    if container.restart not in ("", "no") and not named:
        return "is a service that was stopped: its restart policy is %s" % container.restart
    return draft.too_young(container.idle_since, "made" if container.finished is None else "stopped")


# -- images -------------------------------------------------------------------------------------------------------------


def _images(draft: _Draft, inventory: Inventory) -> None:
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
    going = _children_first(going, _came_of(going, inventory.parents))
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
            RemoveImage(image.id, image.tags, references(image, inventory.store), freed[image.id].high),
            image.title,
            "%s, made %s%s" % (what, draft.ago(image.created), _range_note(freed[image.id])),
            freed[image.id].low,
            not freed[image.id].exact,
        )


def _built_upon(draft: _Draft, inventory: Inventory, stays: Mapping[str, str]) -> Dict[str, str]:
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


def _came_of(images: Sequence[Image], parents: Mapping[str, str]) -> Dict[str, List[str]]:
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


def _range_note(freed: Freed) -> str:
    if freed.exact:
        return ""
    return "; frees between %s and %s" % (format_size(freed.low), format_size(freed.high))


def _newest(draft: _Draft, images: Sequence[Image]) -> Dict[str, Set[str]]:
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


def _image_stays(draft: _Draft, inventory: Inventory, image: Image, newest: Mapping[str, Set[str]]) -> str:
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


def _mounted_under_a_lost_name(draft: _Draft, inventory: Inventory, image: Image) -> str:
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


def _would_be_started(draft: _Draft, inventory: Inventory, image: Image) -> str:
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


def _build_cache(draft: _Draft, inventory: Inventory) -> None:
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
    for entry in _children_first(going, children):
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
        )


def _cache_stays(draft: _Draft, inventory: Inventory, entry: CacheEntry) -> str:
    reason = draft.common([entry.id], {})
    if reason:
        return reason
    if entry.in_use:
        return "in use"
    if entry.kind in INTERNAL_CACHE:
        return "internal to the builder"
    if entry.shared and _layer_of(draft, inventory, entry) is None:
        return "shared with an image"
    return draft.too_young(entry.used, "last used")


def _layer_of(draft: _Draft, inventory: Inventory, entry: CacheEntry) -> Optional[int]:
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


Item = TypeVar("Item", Container, Image, CacheEntry)


def _children_first(ordered: Sequence[Item], children: Mapping[str, Sequence[str]]) -> List[Item]:
    """In the order given, except that what was built upon something goes before it."""
    waiting = {item.id: item for item in ordered}
    found: List[Item] = []
    while waiting:
        free = [item for item in waiting.values() if not any(c in waiting for c in children.get(item.id, ()))]
        # Things that name each other as parents cannot be; they would go in any order.
        for item in free or list(waiting.values()):
            found.append(waiting.pop(item.id))
    return found


# -- containers that the engine does not list ---------------------------------------------------------------------------


def out_of_sight(inventory: Inventory) -> str:
    """Why nothing goes that containers may need which the engine does not list; "" when there are none."""
    if inventory.hidden_containers is None:
        return (
            "whether there are containers that the engine does not list, as after a change of its image store, cannot be "
            "seen from here, where its directory%s cannot be read; run this on the Docker host itself, as root and by the "
            "engine's socket (unix://)" % (" " + inventory.root if inventory.root else "")
        )
    if inventory.hidden_containers and inventory.engine == "podman":
        return (
            "%d containers are in Podman's storage that it does not list, such as buildah's, and what they use cannot be seen"
            % inventory.hidden_containers
        )
    if inventory.hidden_containers:
        return (
            "%d containers are on disk that the engine does not list, as after a change of its image store, and what they "
            "use cannot be seen" % inventory.hidden_containers
        )
    return ""


def _hidden(inventory: Inventory) -> str:
    """The same in short, for each object."""
    if inventory.hidden_containers is None:
        return "whether there are containers that the engine does not list cannot be seen from here"
    return "there are containers that the engine does not list" if inventory.hidden_containers else ""


# -- networks -----------------------------------------------------------------------------------------------------------


def _networks(draft: _Draft, inventory: Inventory) -> None:
    for network in sorted(inventory.networks, key=lambda item: (draft.order(item.created), item.name, item.id)):
        reason = _network_stays(draft, inventory, network)
        if reason:
            draft.keep("network", network.name, reason)
            continue
        draft.remove(
            RemoveNetwork(network.id, network.name),
            network.name,
            "used by no container, made %s" % draft.ago(network.created),
        )


def _network_stays(draft: _Draft, inventory: Inventory, network: Network) -> str:
    if network.predefined:
        return "made by the engine"
    if _hidden(inventory):
        return _hidden(inventory)
    if network.scope != "local":
        return "reaches beyond this host (scope %s): what uses it elsewhere is not seen here" % network.scope
    staying = [user for user in inventory.users_of_network(network) if user.id not in draft.containers]
    if staying:
        return "used by the container %s (%s)" % (staying[0].name, staying[0].state)
    project = network.labels.get(PROJECT_LABEL, "")
    mine = [item for item in inventory.containers if project and item.project == project]
    if [item for item in mine if item.id not in draft.containers]:
        return "belongs to the compose project %s, which has containers" % project
    return draft.common([network.name], network.labels) or draft.too_young(network.created, "made")


# -- volumes ------------------------------------------------------------------------------------------------------------


def _volumes(draft: _Draft, inventory: Inventory) -> None:
    known = {volume.name for volume in inventory.volumes}
    for name in draft.policy.volume_names:
        if name not in known:
            draft.keep("volume", name, "there is no volume of this name")
    for volume in sorted(inventory.volumes, key=lambda item: (draft.order(item.created), item.name)):
        reason = _volume_stays(draft, inventory, volume)
        if reason:
            draft.keep("volume", volume.name, reason)
            continue
        what = "named in volume_names" if volume.name in draft.policy.volume_names else "anonymous"
        draft.remove(
            RemoveVolume(volume.name, volume.mountpoint, volume.created_at, dict(volume.labels)),
            volume.name,
            "%s, mounted by no container, made %s" % (what, draft.ago(volume.created)),
            volume.size or 0,
            volume.size is None,
        )


def _volume_stays(draft: _Draft, inventory: Inventory, volume: Volume) -> str:
    if _hidden(inventory):
        return _hidden(inventory)
    users = inventory.users_of_volume(volume)
    if users:
        going = ", which goes in this run" if users[0].id in draft.containers else ""
        return "mounted by the container %s (%s)%s" % (users[0].name, users[0].state, going)
    if volume.driver != "local":
        return "its driver is %s: what it holds is kept elsewhere" % (volume.driver or "unknown")
    if volume.options:
        return "a mount of something else, by the options of its driver"
    if not volume.measured:
        return "the engine does not count it as its own data"
    if volume.name not in draft.policy.volume_names:
        if draft.policy.volumes != "anonymous":
            return "not named in volume_names"
        if not volume.anonymous:
            return "has a name, and is not named in volume_names"
    return draft.common([volume.name], volume.labels) or draft.too_young(volume.created, "made")


# -- limits -------------------------------------------------------------------------------------------------------------


def _limit_to_target(draft: _Draft, inventory: Inventory) -> None:
    """Keep what is not needed for target_free. The order of removal stays, so what is left out depends on nothing."""
    target = draft.policy.target_free or 0
    if inventory.free_bytes is None:
        raise MaintenanceError(
            "cannot tell how much is free on the file system of Docker's data",
            target=inventory.root or "",
            next_step="Leave out target_free, or run this on the Docker host as a user who may read that directory.",
        )
    free = inventory.free_bytes
    actions = []
    for action in draft.actions:
        if free >= target:
            draft.keep(kind_of(action), action.target, "%s are free without it" % format_size(target))
            continue
        actions.append(action)
        free += action.bytes
    draft.actions = actions
    if free < target:
        draft.warnings.append(
            "all that may go is expected to leave at least %s free, less than target_free" % format_size(free)
        )
