# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what an engine holds. I/O only; nothing is decided here and nothing is read twice."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from .._core.late_dataclass import dataclass
from .._core.mounts import inside_file_system, parse_mountinfo
from .blobs import blob_directory, unpacked_bytes
from .client import Docker, EngineError, version_tuple
from .compose_needs import ComposeNeeds, read_compose_needs
from .inventory import (
    Container,
    Declared,
    DiskUsage,
    Image,
    ImageNeed,
    Inventory,
    Volume,
    container_uses_image,
    joined_containers,
    parse_cache_entry,
    parse_container,
    parse_disk_usage,
    parse_image,
    parse_network,
    parse_time,
    parse_volume,
)
from .layers import chain_ids, pair_layers, with_own_layers

_LOST_LAYER = "rw layer snapshot not found"
# Directories above a path, beyond which each is not looked at by itself.
_DEEP = 100


@dataclass(frozen=True)
class Wanted:
    """What to look at: the rest costs time, volumes most of all, whose files are counted one by one.

    Attributes:
        images: dangling or unused: the layers of which images are needed; "" for none at all.
        brief: neither logs nor layers, no bytes of containers and volumes, and nobody who may use something.
        compose_paths: compose files, or directories with them, whose services' images matter, beside those of all projects.
    """

    containers: bool = False
    images: str = ""
    volumes: bool = False
    networks: bool = False
    build_cache: bool = False
    free_bytes: bool = False
    brief: bool = False
    compose_paths: Tuple[str, ...] = ()

    @property
    def types(self) -> List[str]:
        found = {
            "container": self.containers and not self.brief,
            "image": bool(self.images),
            "volume": self.volumes and not self.brief,
            # Build cache holds on to layers of images.
            "build-cache": self.build_cache or bool(self.images),
        }
        return [name for name, wanted in found.items() if wanted]

    def briefly(self) -> Wanted:
        """What is left to look at after the fact: what is there, without its details."""
        return replace(self, brief=True, free_bytes=False)


EVERYTHING = Wanted(True, "unused", True, True, True)


def read_inventory(docker: Docker, wanted: Wanted) -> Inventory:
    """Read what an engine holds.

    The containers, which decide what is in use, are read after everything that they may use: what is made in between is
    then seen with its user, or not at all.

    Raises:
        EngineError, DockerUnavailable: the engine did not answer.
    """
    root = str(docker.info.get("DockerRootDir") or "")
    listed, unpacked = _usage_and_unpacked(docker, root, wanted)
    usage, sizes_unknown = listed
    raw_volumes = docker.volumes() if wanted.volumes else []
    networks = tuple(parse_network(raw) for raw in docker.networks()) if wanted.networks else ()
    images = tuple(_listed_images(docker, usage, unpacked)) if wanted.images else ()
    before = _on_disk(root, docker) if (wanted.volumes or wanted.networks) and not wanted.brief else None
    with ThreadPoolExecutor(1) as pool:
        # The containerd store takes a millisecond for each container; meanwhile what came before is made sense of.
        asked = pool.submit(_containers, docker, usage, wanted) if wanted.containers or not wanted.brief else None
        volumes = tuple(with_real_places(docker, _volumes(docker, raw_volumes, usage, wanted)))
        containers, unknown = asked.result() if asked is not None else ([], "")
        sizes_unknown = sizes_unknown or unknown
    hidden = None
    if before is not None:
        hidden = len(before - {container.id for container in containers} & (_on_disk(root, docker) or set()))
    if wanted.containers and not wanted.brief:
        details = docker.get_all(["/containers/%s/json" % item.id for item in containers])
        # One without details is gone by now.
        containers = [_detailed(docker, root, item, raw) for item, raw in zip(containers, details) if raw is not None]
    parents: Dict[str, str] = {}
    needs, swarm = ComposeNeeds(), SwarmNeeds()
    if wanted.images and not wanted.brief:
        # Listed with the steps between them, which have no names: the engine of the classic store refuses to remove an image
        # that another one was built upon.
        steps = docker.images(all=1) if docker.store == "classic" else []
        parents = {str(raw["Id"]): str(raw["ParentId"]) for raw in steps if raw.get("ParentId")}
        # What of the build cache goes with an image is told by its layers.
        shared = wanted.build_cache and any(raw.get("Shared") for raw in usage.build_cache)
        layered = docker.store == "classic" or shared
        if docker.store == "classic" and docker.engine == "docker" and not shared:
            images = tuple(with_own_layers(image) for image in images)
        looked = docker.each(lambda image: _layers(docker, image, containers, wanted, layered), images)
        images = tuple(item for item in looked if item)
    if (wanted.images or wanted.networks or wanted.volumes) and not wanted.brief:
        # An image that was pulled by its digest has no tag: a service that has no container may need it all the same.
        needs = read_compose_needs(containers, wanted.compose_paths, _is_local(docker))
        swarm = _swarm_needs(docker)
    return Inventory(
        version=docker.version,
        api_version=docker.api_version,
        store=docker.store,
        root=root,
        containers=tuple(containers),
        images=images,
        volumes=volumes,
        networks=networks,
        build_cache=tuple(parse_cache_entry(raw) for raw in usage.build_cache),
        layers_size=usage.layers_size,
        parents=parents,
        hidden_containers=hidden,
        free_bytes=_free_bytes(root, docker) if wanted.free_bytes else None,
        engine=docker.engine,
        needs=needs.needs + swarm.needs,
        needs_unseen=swarm.unseen,
        projects_unread=dict(needs.unread),
        sizes_unknown=sizes_unknown,
        declared=needs.declared + swarm.declared,
        swarm=_swarm_state(docker) != "inactive",
    )


def _lists_sizes(docker: Docker) -> bool:
    """Whether the list of containers is asked for the bytes of their layers, rather than the disk usage, which would go through
    all of them once more. Older engines count everything there, whatever they are asked for."""
    return docker.engine == "docker" and version_tuple(docker.api_version) >= (1, 42)


def _containers(docker: Docker, usage: DiskUsage, wanted: Wanted) -> Tuple[List[Container], str]:
    """The containers, and why their sizes are missing; "" when they are not, or are of no matter."""
    if not wanted.containers or wanted.brief or not _lists_sizes(docker):
        return read_containers(
            docker, {str(raw.get("Id")): int(raw.get("SizeRw") or 0) for raw in usage.containers}
        ), ""
    try:
        return read_containers(docker, size=1), ""
    except EngineError as error:
        if _LOST_LAYER not in error.words:
            raise
        return read_containers(docker), error.words


def _disk_usage(docker: Docker, types: Sequence[str]) -> Tuple[DiskUsage, str]:
    """What uses disk, and why the sizes of containers are missing in it; "" when they are not.

    One container whose removal failed half way makes the containerd store refuse every listing with sizes (Engine 26 and 28:
    404 or 500, "rw layer snapshot not found").
    """
    if not types:
        return DiskUsage((), (), (), (), 0), ""
    try:
        return parse_disk_usage(docker.df(types)), ""
    except EngineError as error:
        others = [name for name in types if name != "container"]
        if _LOST_LAYER not in error.words:
            raise
        usage = parse_disk_usage(docker.df(others)) if others else DiskUsage((), (), (), (), 0)
        return usage, error.words


def _usage_and_unpacked(
    docker: Docker, root: str, wanted: Wanted
) -> Tuple[Tuple[DiskUsage, str], Mapping[str, Optional[int]]]:
    """What uses disk, and of images of the containerd store, by their id, the bytes of their snapshots."""
    types = [name for name in wanted.types if name != "container" or not _lists_sizes(docker)]
    modern = docker.store == "containerd" and version_tuple(docker.api_version) >= (1, 47)
    if docker.engine == "podman" or not modern or wanted.brief or not wanted.images:
        return _disk_usage(docker, types), {}
    directory = blob_directory(root) if root and _is_local(docker) else None
    if directory is None:
        # The engine takes long for both, and may for both at once.
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(_listed_unpacked, docker, wanted)
            return _disk_usage(docker, types), waiting.result()
    listed = _disk_usage(docker, types)
    unpacked = unpacked_bytes(directory, listed[0].images)
    return listed, _listed_unpacked(docker, wanted) if unpacked is None else unpacked


def _listed_unpacked(docker: Docker, wanted: Wanted) -> Mapping[str, Optional[int]]:
    """Bytes of the snapshots of images, as the engine lists them."""
    # Of the others none goes, and how much their own snapshots take does not matter. The filter lists more than what is dangling,
    # and what it should leave out would only be less well known.
    dangling = {"filters": '{"dangling":["true"]}'} if wanted.images == "dangling" else {}
    return {str(raw.get("Id")): parse_image(raw).unpacked for raw in docker.images(manifests=1, **dangling)}


def _listed_images(docker: Docker, usage: DiskUsage, unpacked: Mapping[str, Optional[int]]) -> List[Image]:
    """The images, with all that is known of them from one place or the other."""
    # Podman's disk usage has ids without their kind, of the names only the tags, and an image once for each.
    images = map(parse_image, docker.images() if docker.engine == "podman" else usage.images)
    return [replace(image, unpacked=unpacked[image.id]) if image.id in unpacked else image for image in images]


@dataclass(frozen=True)
class SwarmNeeds:
    """What the services of a swarm need, which may have no container here or none at all; unseen: why that cannot be told."""

    needs: Tuple[ImageNeed, ...] = ()
    declared: Tuple[Declared, ...] = ()
    unseen: str = ""


def _swarm_state(docker: Docker) -> str:
    return str((docker.info.get("Swarm") or {}).get("LocalNodeState") or "inactive")


def _swarm_needs(docker: Docker) -> SwarmNeeds:
    state = _swarm_state(docker)
    if state == "inactive":
        return SwarmNeeds()
    if state != "active" or not (docker.info.get("Swarm") or {}).get("ControlAvailable"):
        why = "this node is no manager of its swarm (state %s), and only one tells which services there are" % state
        return SwarmNeeds(unseen=why)
    needs: List[ImageNeed] = []
    declared: List[Declared] = []
    for service in docker.services():
        # What it would be rolled back to stays as well.
        for key in ("Spec", "PreviousSpec"):
            spec = service.get(key) or {}
            template = spec.get("TaskTemplate") or {}
            container = template.get("ContainerSpec") or {}
            by = "the swarm's service %s" % spec.get("Name")
            images = [container.get("Image")]
            for mount in container.get("Mounts") or []:
                if mount.get("Type") == "image":
                    images.append(mount.get("Source"))
                elif mount.get("Type") == "volume" and mount.get("Source"):
                    declared.append(Declared("volume", str(mount["Source"]), by))
            needs.extend(ImageNeed(str(image), by) for image in images if image)
            for network in [*(template.get("Networks") or []), *(spec.get("Networks") or [])]:
                declared.append(Declared("network", str(network.get("Target") or ""), by))
    return SwarmNeeds(tuple(dict.fromkeys(needs)), tuple(dict.fromkeys(declared)))


def real_places(docker: Docker, paths: Iterable[str]) -> Dict[str, Tuple[str, ...]]:
    """For each path of the engine's host where it really lies: without links, and in which file system and where in that,
    which is the same for all places where a directory is mounted. Nothing when that host is another one."""
    if not _is_local(docker):
        return {}
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as handle:
            mounts = parse_mountinfo(handle.read())
    except OSError:
        mounts = ()
    found: Dict[str, Tuple[str, ...]] = {}
    known: Dict[str, str] = {}
    for path in set(paths):
        if path.startswith("/"):
            real = real_path(path, known)
            place = inside_file_system(real, mounts)
            found[path] = (real, "%s:%s" % place) if place else (real,)
    return found


def real_path(path: str, known: Dict[str, str]) -> str:
    """As os.path.realpath does it, but each directory that many absolute paths have in common is looked at once.

    Args:
        known: what was found so far, and is from now on.
    """
    found = known.get(path)
    if found is None:
        above, _slash, name = path.rpartition("/")
        if not above or above.endswith("/") or name in ("", ".", "..") or path.count("/") > _DEEP:
            found = os.path.realpath(path)
        else:
            found = "%s/%s" % (real_path(above, known).rstrip("/"), name)
            if os.path.islink(found):
                found = os.path.realpath(found)
        known[path] = found
    return found


def with_real_places(docker: Docker, volumes: Iterable[Volume]) -> List[Volume]:
    """Volumes with where they, and what they are mounts of, really lie."""
    volumes = list(volumes)
    real = real_places(docker, [path for volume in volumes for path in (volume.mountpoint, *volume.elsewhere)])
    return [
        replace(
            volume,
            real=real.get(volume.mountpoint, ()),
            elsewhere=tuple(place for path in volume.elsewhere for place in (path, *real.get(path, ()))),
        )
        for volume in volumes
    ]


def _changed(docker: Docker, mountpoint: str) -> Optional[float]:
    """When something was last made, renamed or removed at the top of a directory; None when it cannot be seen from here."""
    if not mountpoint or not _is_local(docker):
        return None
    try:
        return os.stat(mountpoint).st_mtime
    except OSError:
        return None


def read_containers(
    docker: Docker, sizes: Mapping[str, int] = MappingProxyType({}), **parameters: Any
) -> List[Container]:
    """All containers as the engine lists them now, with where their mounts really come from.

    Args:
        sizes: bytes of their layers by id, where the list is not asked for them.
        parameters: of the request.
    """
    found = [parse_container(raw, sizes.get(str(raw.get("Id")), 0)) for raw in docker.containers(**parameters)]
    real = real_places(docker, [mount.source for container in found for mount in container.mounts])
    return [
        replace(container, mounts=tuple(replace(mount, real=real.get(mount.source, ())) for mount in container.mounts))
        if container.mounts
        else container
        for container in found
    ]


def _volumes(docker: Docker, listed: Iterable[Mapping[str, Any]], usage: DiskUsage, wanted: Wanted) -> List[Volume]:
    """All that are listed, with what the disk usage says of those that the engine counts as its own data; the others are mounts of
    something else."""
    # Of the disk usage only the size counts: Podman tells nothing else there.
    sizes = {str(raw.get("Name") or ""): raw.get("UsageData") or {} for raw in usage.volumes}
    found = []
    for raw in listed:
        volume = parse_volume({**raw, "UsageData": sizes.get(str(raw.get("Name") or ""))})
        changed = None if wanted.brief else _changed(docker, volume.mountpoint)
        found.append(volume if changed is None else replace(volume, changed=changed))
    return found


def _is_local(docker: Docker) -> bool:
    return docker.docker_host.startswith("unix://")


def _on_disk(root: str, docker: Docker) -> Optional[Set[str]]:
    """Containers that the engine's directory holds; None when it cannot be read from here.

    A directory without a configuration is the remainder of a removal that failed: no container is behind it. Podman keeps one
    list, in which other programs' containers stand as well.
    """
    if not root or not _is_local(docker):
        return None
    try:
        if docker.engine == "podman":
            path = os.path.join(root, "%s-containers" % docker.info.get("Driver"), "containers.json")
            if os.path.isdir(root) and not os.path.lexists(path):
                return set()  # no container was ever made
            with open(path, encoding="utf-8") as handle:
                return {str(entry["id"]) for entry in json.load(handle)}
        directory = os.path.join(root, "containers")
        return {
            name for name in os.listdir(directory) if os.path.exists(os.path.join(directory, name, "config.v2.json"))
        }
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _free_bytes(root: str, docker: Docker) -> Optional[int]:
    if not root or not _is_local(docker):
        return None
    try:
        status = os.statvfs(root)
    except OSError:
        return None
    return status.f_bavail * status.f_frsize


def free_bytes(docker: Docker) -> Optional[int]:
    """Bytes free for others than root on the file system of the engine's data; None when it cannot be seen from here."""
    return _free_bytes(str(docker.info.get("DockerRootDir") or ""), docker)


def _detailed(docker: Docker, root: str, container: Container, raw: Mapping[str, Any]) -> Container:
    """A container with what its listing does not tell.

    Args:
        raw: what the engine tells of it alone.
    """
    state = raw.get("State") or {}
    host = raw.get("HostConfig") or {}
    joins = joined_containers(host)
    if not container.stopped:
        return replace(container, joins=joins) if joins != container.joins else container
    return replace(
        container,
        joins=joins,
        finished=parse_time(state.get("FinishedAt")),
        finished_at=str(state.get("FinishedAt") or ""),
        restart=str((host.get("RestartPolicy") or {}).get("Name") or ""),
        log_bytes=_log_bytes(root, container.id) if root and _is_local(docker) else None,
    )


def inspect_container(docker: Docker, identity: str) -> Optional[Dict[str, Any]]:
    """A container; None when there is none."""
    try:
        return dict(docker.get("/containers/%s/json" % identity))
    except EngineError as error:
        if error.status == 404:
            return None
        raise


def _log_bytes(root: str, identity: str) -> Optional[int]:
    """Bytes of the container's log files, rotated ones too: neither the engine's listing nor its prune counts them."""
    directory = os.path.join(root, "containers", identity)
    total = 0
    try:
        for name in os.listdir(directory):
            path = os.path.join(directory, name)
            if name.startswith(identity + "-json.log"):
                total += os.lstat(path).st_size
            elif name == "local-logs":
                total += sum(os.lstat(os.path.join(path, part)).st_size for part in os.listdir(path))
    except OSError:
        return None
    return total


def inspect_image(docker: Docker, name: str) -> Optional[Dict[str, Any]]:
    """An image by id or tag; None when there is none."""
    try:
        return dict(docker.get("/images/%s/json" % name))
    except EngineError as error:
        if error.status == 404:
            return None
        raise


def _layers(
    docker: Docker, image: Image, containers: List[Container], wanted: Wanted, layered: bool
) -> Optional[Image]:
    """An image with what its listing does not tell; None when it is gone by now.

    Args:
        layered: the layers are wanted. Then the chain of every image is needed, to know what a removed one shares with the
            others, and the sizes of those that may go. Under the containerd store both take long.
    """
    running = any(container_uses_image(item, image.id, image.names) for item in containers if not item.stopped)
    candidate = not running and (wanted.images == "unused" or image.dangling)
    # Of an image without a name the engine has nothing more to tell, and the containerd store takes long for it.
    layered = layered and image.chains is None
    if not layered and (not candidate or not image.tags):
        return image
    raw = inspect_image(docker, image.id)
    if raw is None:
        # The containerd store lists some images that it cannot inspect; they stay, and say so.
        return image if docker.store != "classic" else None
    image = replace(image, tagged=parse_time((raw.get("Metadata") or {}).get("LastTagTime")))
    if not layered:
        return image
    diffs = [str(diff) for diff in (raw.get("RootFS") or {}).get("Layers") or []]
    image = replace(image, chains=tuple(chain_ids(diffs)))
    if not candidate:
        return image
    try:
        history = docker.get("/images/%s/history" % image.id)
    except EngineError as error:
        if error.status == 404:
            return None
        raise
    return replace(image, layers=pair_layers(diffs, history or []))
