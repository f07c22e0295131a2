# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decides what goes. Pure: no I/O, no clock.

Containers go first, then images, build cache, networks and volumes. What only a container of this plan uses goes with it,
so that a second run finds nothing more, with one exception: volumes. A volume that any container mounts stays, also when
that container goes in the same run; its anonymous volumes are seen, on their own, by the next run.
"""

from __future__ import annotations

from dataclasses import replace

from .._core.plan import Plan, refuse_above
from .draft import Draft, Policy, children_first
from .image_rules import plan_build_cache, plan_images
from .inventory import (
    PROJECT_LABEL,
    STACK_LABEL,
    SWARM_SERVICE_LABEL,
    Container,
    Inventory,
    Network,
    Volume,
    container_joins,
)
from .making_room import limit_to_target
from .protect import names_project
from .recall import container_again, network_again, volume_again
from .works import Removal, RemoveContainer, RemoveNetwork, RemoveVolume

# The containerd store also frees the snapshot that prepared a container's root: always this size.
INIT_SNAPSHOT_BYTES = 28672
# States of a container whose removal began and failed: dead, and on Engine 26 removing.
HALF_REMOVED = frozenset(("dead", "removing"))


def plan_removals(inventory: Inventory, policy: Policy, now: float) -> Plan[Removal]:
    """What goes, in order, and why everything else of the kinds that were asked for stays.

    Args:
        now: Unix time.

    Raises:
        MaintenanceError: more would go than max_delete allows, or target_free cannot be judged.
    """
    draft = Draft(policy, now)
    if policy.containers != "none" or policy.container_names:
        _containers(draft, inventory)
    if policy.images != "none":
        plan_images(draft, inventory)
    if policy.build_cache != "none":
        plan_build_cache(draft, inventory)
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
        limit_to_target(draft, inventory)
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


def _containers(draft: Draft, inventory: Inventory) -> None:
    there = {container.name for container in inventory.containers}
    for name in draft.policy.container_names:
        if name not in there:
            draft.keep("container", name, "there is no container of this name")
    stays = {container.id: _container_stays(draft, inventory, container) for container in inventory.containers}
    joining = [container for container in inventory.containers if container.joins]
    joined = {
        container.id: [other for other in joining if container_joins(other, container.id, container.name)]
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
    for container in children_first(going, {identity: [c.id for c in users] for identity, users in joined.items()}):
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
            again=container_again(container),
            moment=container.idle_since,
        )


def _container_stays(draft: Draft, inventory: Inventory, container: Container) -> str:
    named = container.name in draft.policy.container_names
    if draft.policy.containers == "none" and not named:
        return "not named in container_names"
    if not container.stopped:
        return "is %s" % (container.state or "in an unknown state")
    if container.pod_infrastructure:
        return "holds together a pod of Podman's, which goes as a whole"
    pods = inventory.containers if container.joins else ()
    if any(c.pod_infrastructure and container_joins(container, c.id, c.name) for c in pods):
        return "belongs to a pod of Podman's, which goes as a whole"
    reason = draft.common([container.name], container.labels)
    if reason:
        return reason
    if inventory.swarm and SWARM_SERVICE_LABEL in container.labels:
        # Its history, of which the swarm keeps as much as it is told to.
        return (
            "a task of the swarm's service %s, which the swarm itself removes" % container.labels[SWARM_SERVICE_LABEL]
        )
    if container.project and not names_project(draft.policy.only_labels, container.project):
        return "belongs to the compose project %s" % container.project
    if container.restart in ("always", "on-failure") and not named:
        return "comes back with the engine: its restart policy is %s" % container.restart
    if container.restart not in ("", "no") and not named:
        return "is a service that was stopped: its restart policy is %s" % container.restart
    return draft.too_young(container.idle_since, "made" if container.finished is None else "stopped")


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


def _networks(draft: Draft, inventory: Inventory) -> None:
    for network in sorted(inventory.networks, key=lambda item: (draft.order(item.created), item.name, item.id)):
        reason = _network_stays(draft, inventory, network)
        if reason:
            draft.keep("network", network.name, reason)
            continue
        draft.remove(
            RemoveNetwork(network.id, network.name),
            network.name,
            "used by no container, made %s" % draft.ago(network.created),
            again=network_again(network),
            moment=network.created,
        )


def _network_stays(draft: Draft, inventory: Inventory, network: Network) -> str:
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
    declared = inventory.declared_by("network", network.name, network.id)
    if declared:
        return "named by %s, which has no container that uses it now" % declared
    return draft.common([network.name], network.labels) or draft.too_young(network.created, "made")


# -- volumes ------------------------------------------------------------------------------------------------------------


def _volumes(draft: Draft, inventory: Inventory) -> None:
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
            again=volume_again(volume),
            moment=max(volume.created, draft.known(volume.changed) or 0.0),
        )


def _volume_stays(draft: Draft, inventory: Inventory, volume: Volume) -> str:
    if _hidden(inventory):
        return _hidden(inventory)
    users = inventory.users_of_volume(volume)
    if users:
        going = ", which goes in this run" if users[0].id in draft.containers else ""
        return "mounted by the container %s (%s)%s" % (users[0].name, users[0].state, going)
    mounts = inventory.mounts_of_volume(volume)
    if mounts:
        return "the volume %s is a mount of its directory" % mounts[0].name
    if volume.driver != "local":
        return "its driver is %s: what it holds is kept elsewhere" % (volume.driver or "unknown")
    if volume.options:
        where = volume.options.get("device") or "its options say where"
        return "a mount of something else, by the options of its driver (%s)" % where
    if not volume.measured:
        return "the engine does not count it as its own data"
    if volume.name not in draft.policy.volume_names:
        if draft.policy.volumes != "anonymous":
            return "not named in volume_names"
        if not volume.anonymous:
            return "has a name, and is not named in volume_names"
    declared = inventory.declared_by("volume", volume.name)
    if declared:
        return "named by %s, which has no container that mounts it now" % declared
    if inventory.needs_unseen and STACK_LABEL in volume.labels:
        return "it may be that of a service of the swarm: this node does not tell"
    if volume.labels.get(PROJECT_LABEL, "") in inventory.projects_unread and PROJECT_LABEL in volume.labels:
        return "belongs to the compose project %s, not all of whose services are known" % volume.labels[PROJECT_LABEL]
    # Of a volume without a date nobody knows that it is old, whatever was last done in it.
    reason = draft.common([volume.name], volume.labels) or draft.too_young(volume.created, "made")
    return reason or (draft.too_young(volume.changed, "changed") if draft.known(volume.changed) else "")
