# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an engine holds at one moment, as plain data. Pure; observation.py reads it from an engine.

Which object is in use is worked out from the containers alone, running and stopped. What the engine itself says about it
(RefCount, the filter dangling) is wrong for volumes on Engine 27.4 and later, and for networks and images on all.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import field
from datetime import datetime, timezone
from functools import cached_property
from typing import Any, Dict, FrozenSet, Iterable, List, Mapping, Optional, Sequence, Tuple

from .._core.late_dataclass import dataclass

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
# docker stack deploy puts it on all that it makes; the other one stands on the containers of every service of a swarm.
STACK_LABEL = "com.docker.stack.namespace"
SWARM_SERVICE_LABEL = "com.docker.swarm.service.name"
ANONYMOUS_LABEL = "com.docker.volume.anonymous"
NONE_TAG = "<none>:<none>"
# Made by the engine itself; docker_gwbridge by its swarm mode.
PREDEFINED_NETWORKS = frozenset(("bridge", "host", "none", "nat", "docker_gwbridge", "ingress"))
STOPPED_STATES = frozenset(("exited", "created"))
# Nothing of an engine is older than Docker's first release: an earlier date is a clock that was not set, or a build that leaves
# dates out so that its result is always the same (1970, 1980-01-01, year 1).
FIRST_MOMENT = datetime(2013, 1, 1, tzinfo=timezone.utc).timestamp()
# Absolute paths in the options of a volume's driver: device=/srv/data, o=lowerdir=/a:/b,upperdir=/c.
_OPTION_PATH = re.compile(r"(?:^|[=,:])(/[^,:]+)")
_ANONYMOUS_NAME = re.compile(r"^[0-9a-f]{64}$")
_STAMP = re.compile(r"^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(\.\d+)?\s*(Z|[+-]\d\d:?\d\d)?")


@dataclass(frozen=True)
class Mount:
    """What a container mounts. The name can be missing for a volume too (Engine 27.4 and later): the source never is.

    Attributes:
        real: where the source really lies: its path without links, and its place in its file system; empty when that was not
            looked at.
    """

    kind: str
    name: str
    source: str
    destination: str
    real: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Container:
    """One container.

    Attributes:
        image: what it was made from, as it was called; image_id: what that was.
        created, finished: Unix time; finished is None for one that never ended or was not looked at.
        finished_at: the same as the engine writes it; "" when not looked at.
        restart: its restart policy; "" when not looked at.
        networks: names and ids of the networks that it is, or on its next start will be, connected to.
        joins: names or ids of containers whose network, processes or memory it shares, and without which it does not start.
            The list of containers tells only of the network.
        size: bytes of its writable layer.
        log_bytes: bytes of its log files; None when they cannot be read from here.
    """

    id: str
    name: str
    image: str
    image_id: str
    state: str
    created: float
    labels: Mapping[str, str] = field(default_factory=dict)
    mounts: Tuple[Mount, ...] = ()
    networks: FrozenSet[str] = frozenset()
    size: int = 0
    finished: Optional[float] = None
    restart: str = ""
    log_bytes: Optional[int] = None
    joins: Tuple[str, ...] = ()
    finished_at: str = ""

    @property
    def stopped(self) -> bool:
        return self.state in STOPPED_STATES

    @property
    def idle_since(self) -> Optional[float]:
        """When it ended, or was made if it was never started: Unix time, None when not known."""
        return (self.finished or self.created) if self.state == "created" else self.finished

    @property
    def pod_infrastructure(self) -> bool:
        """It holds together a pod of Podman's: made from no image that has a name or an id."""
        return not self.image and self.image_id in ("", "sha256:")

    @property
    def mounted_images(self) -> Tuple[str, ...]:
        """References of the images that it mounts, as somebody wrote them; the source is a directory of the engine's."""
        if not self.mounts:
            return ()
        return tuple(mount.name for mount in self.mounts if mount.kind == "image" and mount.name)

    @property
    def project(self) -> str:
        return self.labels.get(PROJECT_LABEL, "")


@dataclass(frozen=True)
class Layer:
    """One layer of an image: its chain id, which two images share when they share the layer, and its bytes."""

    chain: str
    size: int


@dataclass(frozen=True)
class Image:
    """One image.

    Attributes:
        tags: without the placeholders that some versions give for none.
        size: as listed; shared: bytes of it that other images have as well, None when unknown.
        containers: how many the engine counts, None when it does not.
        tagged: when it was last given a name here, Unix time; None when unknown.
        chains: chain ids of its layers, None when not looked at.
        layers: the same with their sizes; None when these are not known.
        unpacked: bytes of its own snapshots under the containerd store, None when unknown.
    """

    id: str
    tags: Tuple[str, ...]
    created: float
    size: int
    digests: Tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    shared: Optional[int] = None
    containers: Optional[int] = None
    tagged: Optional[float] = None
    chains: Optional[Tuple[str, ...]] = None
    layers: Optional[Tuple[Layer, ...]] = None
    unpacked: Optional[int] = None

    @property
    def dangling(self) -> bool:
        """Without any tag. The engine's own filter also lists images that still have one (containerd store)."""
        return not self.tags

    @property
    def title(self) -> str:
        return self.tags[0] if self.tags else short_id(self.id)

    @property
    def names(self) -> Tuple[str, ...]:
        """All that it can be called by: the classic store gives an image that was pulled by its digest no tag."""
        return (*self.tags, *(digest for digest in self.digests if digest not in self.tags))

    @property
    def repositories(self) -> FrozenSet[str]:
        return frozenset(repository_of(name) for name in self.names)


@dataclass(frozen=True)
class Volume:
    """One volume.

    Attributes:
        size: apparent bytes of its files, None when the engine did not measure it.
        options: of its driver. A local volume with options is a mount of something else.
        measured: the engine counts it as its own data.
        real: where the mountpoint really lies, as for a mount.
        elsewhere: where its data lies when its options make it a mount of something else, really lying included. Its containers
            name the mountpoint, where nothing is to be seen while none of them runs.
        changed: when something was last made, renamed or removed at the top of its directory, Unix time; None when that was not
            looked at.
    """

    name: str
    driver: str
    mountpoint: str
    created: float
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    size: Optional[int] = None
    measured: bool = False
    created_at: str = ""
    real: Tuple[str, ...] = ()
    elsewhere: Tuple[str, ...] = ()
    changed: Optional[float] = None

    @property
    def anonymous(self) -> bool:
        """Made without a name. Engines before 26 set no label for it, some ways of making one on 26 neither; then the
        name decides, sixty-four hexadecimal digits, but only when nothing whatever was said about the volume: whoever
        labelled it, or gave its driver options, knows it by name."""
        if ANONYMOUS_LABEL in self.labels:
            return True
        return bool(_ANONYMOUS_NAME.match(self.name)) and not self.labels and not self.options

    @property
    def title(self) -> str:
        return short_id(self.name) if _ANONYMOUS_NAME.match(self.name) else self.name


@dataclass(frozen=True)
class Network:
    """One network; made: the options of `docker network create` by which it would be made again."""

    id: str
    name: str
    driver: str
    scope: str
    created: float
    labels: Mapping[str, str] = field(default_factory=dict)
    special: bool = False
    made: Tuple[str, ...] = ()

    @property
    def predefined(self) -> bool:
        return self.special or self.name in PREDEFINED_NETWORKS


@dataclass(frozen=True)
class CacheEntry:
    """One entry of the build cache; used: when it was last used, Unix time."""

    id: str
    kind: str
    description: str
    parents: Tuple[str, ...]
    in_use: bool
    shared: bool
    size: int
    created: float
    used: float


@dataclass(frozen=True)
class ImageNeed:
    """An image that something would start from which has no container now.

    Attributes:
        pattern: how it is called, as a shell pattern.
        by: what needs it, for people.
    """

    pattern: str
    by: str

    def meets(self, names: Iterable[str]) -> bool:
        """Whether an image of these names, tags and digests, is the one."""
        forms = {form for name in names for form in reference_forms(name)}
        for pattern in reference_forms(self.pattern):
            if pattern in forms or ("*" in pattern and any(fnmatch.fnmatchcase(form, pattern) for form in forms)):
                return True
        return False


@dataclass(frozen=True)
class Declared:
    """A volume or network that something names which may have no container now.

    Attributes:
        kind: volume or network.
        pattern: how it is called, as a shell pattern; of a network also its id.
        by: what names it, for people.
    """

    kind: str
    pattern: str
    by: str


@dataclass(frozen=True)
class Inventory:
    """All that an engine holds.

    Attributes:
        engine: docker or podman.
        needs: images that services of compose files and of a swarm would start from.
        declared: volumes and networks that they name.
        needs_unseen: why there may be more of these; "" when there are not.
        swarm: this engine belongs to a swarm.
        projects_unread: for compose projects, by name, why not all that they would start is known.
        sizes_unknown: why the sizes of containers are not known; "" when they are.
        store: classic or containerd.
        parents: by image id the image that it was built upon, as far as the engine insists on it: what the classic builder
            and docker commit made. Steps of a build are in it that have no name and are not among the images.
        hidden_containers: containers on disk that the engine does not list, as after a change of the image store; None
            when that cannot be seen from here.
        free_bytes: free on the file system of the engine's data, None when that cannot be seen from here.
    """

    version: str = ""
    api_version: str = ""
    store: str = "classic"
    root: str = ""
    containers: Tuple[Container, ...] = ()
    images: Tuple[Image, ...] = ()
    volumes: Tuple[Volume, ...] = ()
    networks: Tuple[Network, ...] = ()
    build_cache: Tuple[CacheEntry, ...] = ()
    layers_size: int = 0
    parents: Mapping[str, str] = field(default_factory=dict)
    hidden_containers: Optional[int] = None
    free_bytes: Optional[int] = None
    engine: str = "docker"
    needs: Tuple[ImageNeed, ...] = ()
    needs_unseen: str = ""
    projects_unread: Mapping[str, str] = field(default_factory=dict)
    sizes_unknown: str = ""
    declared: Tuple[Declared, ...] = ()
    swarm: bool = False

    def declared_by(self, kind: str, *names: str) -> str:
        """What names a volume or network, "" when nothing does."""
        for item in self.declared:
            if item.kind == kind and any(name and fnmatch.fnmatchcase(name, item.pattern) for name in names):
                return item.by
        return ""

    def users_of_image(self, image: Image) -> List[Container]:
        names = image.names
        return [container for container in self.containers if container_uses_image(container, image.id, names)]

    def users_of_volume(self, volume: Volume) -> List[Container]:
        return [c for c in self.containers if container_uses_volume(c, volume.name, volume.mountpoint, volume.real)]

    def mounts_of_volume(self, volume: Volume) -> List[Volume]:
        """Volumes that are mounts of another one's directory, of a part of it, or of one above it."""
        return [v for v in self.binds if volume_lies_in(v, volume.name, volume.mountpoint, volume.real)]

    @cached_property
    def binds(self) -> Tuple[Volume, ...]:
        """The volumes that are mounts of a directory elsewhere: few, where there may be hundreds of others."""
        return tuple(volume for volume in self.volumes if volume.elsewhere)

    def users_of_network(self, network: Network) -> List[Container]:
        return [c for c in self.containers if container_uses_network(c, network.id, network.name)]


# -- in use -------------------------------------------------------------------------------------------------------------


def container_uses_image(container: Container, image_id: str, names: Sequence[str] = ()) -> bool:
    """By id. A container may also say its image by id, or by a beginning of it, where it should say the name. An image that it
    mounts (Engine 28) is not counted by the engine, which would remove it, and is told by name alone.

    Args:
        names: tags and digests of the image.
    """
    if container.image_id == image_id or _is_id(container.image, image_id):
        return True
    for mounted in container.mounted_images:
        if _is_id(mounted, image_id) or ImageNeed(mounted, "").meets(names):
            return True
    # Without an id (an engine that has lost the image's record) the name has to do.
    return not container.image_id and (container.image in names or container.image + ":latest" in names)


def _is_id(reference: str, image_id: str) -> bool:
    """Whether a reference is the id of an image, or a beginning of it."""
    name = reference[len("sha256:") :] if reference.startswith("sha256:") else reference
    return len(name) >= 12 and image_id.partition(":")[2].startswith(name) and bool(re.match(r"^[0-9a-f]+$", name))


def container_uses_volume(container: Container, name: str, mountpoint: str, real: Sequence[str] = ()) -> bool:
    """By name or by place: the engine's list has volumes without a name, a bind may reach into a volume's directory or hold
    the whole of it, and either may be written by way of links, or of a directory that is mounted in two places.

    Args:
        mountpoint: of the volume, as the engine says it; real: where that really lies, empty when not known.
    """
    if not container.mounts:
        return False
    places = [place for place in (mountpoint, *real) if place]
    for mount in container.mounts:
        if name in (mount.name, mount.source):
            return True
        sources = [source for source in (mount.source, *mount.real) if source]
        if any(_overlap(source, place) for source in sources for place in places):
            return True
    return False


def volume_lies_in(other: Volume, name: str, mountpoint: str, real: Sequence[str] = ()) -> bool:
    """Whether another volume is a mount of a volume's directory. Whoever uses that one uses this one, and the engine counts no
    user of it.

    Args:
        name, mountpoint, real: of the volume, as for `container_uses_volume`.
    """
    places = [place for place in (mountpoint, *real) if place]
    return other.name != name and any(_overlap(source, place) for source in other.elsewhere for place in places)


def _overlap(one: str, other: str) -> bool:
    """Whether one path is the other, lies in it or holds it."""
    one, other = one.rstrip("/") + "/", other.rstrip("/") + "/"
    return one.startswith(other) or other.startswith(one)


def container_uses_network(container: Container, network_id: str, name: str) -> bool:
    """By name or id. A container that was never started has no id there yet, and a stopped one needs the network again."""
    return name in container.networks or network_id in container.networks


def container_joins(container: Container, other_id: str, other_name: str) -> bool:
    """Whether a container needs another one to start. It may say it by name, by id, or by a beginning of the id."""
    return any(
        joined in (other_id, other_name) or (len(joined) >= 12 and other_id.startswith(joined))
        for joined in container.joins
    )


# -- parsing ------------------------------------------------------------------------------------------------------------


def short_id(identity: str) -> str:
    return identity.partition(":")[2][:12] if ":" in identity else identity[:12]


def repository_of(tag: str) -> str:
    """registry:5000/name:1 -> registry:5000/name; name@sha256:... -> name."""
    name = tag.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return head + slash + last.partition(":")[0]


def reference_forms(reference: str) -> FrozenSet[str]:
    """The ways in which one image may be called, so that two references can be compared: without what Docker and Podman put
    before a name that has no registry, and with the tag and the digest apart."""
    name = reference
    for prefix in ("docker.io/", "index.docker.io/", "library/", "localhost/"):
        if name.startswith(prefix):
            name = name[len(prefix) :]
    tagged, _at, digest = name.partition("@")
    forms = {"%s@%s" % (repository_of(name), digest)} if digest else set()
    if repository_of(tagged) != tagged or "*" in tagged.rpartition("/")[2]:
        forms.add(tagged)
    elif not digest:
        forms.add(tagged + ":latest")
    return frozenset(forms)


def known_moment(moment: Optional[float], now: float) -> Optional[float]:
    """A moment of something that an engine holds; None when it is none: nothing is older than Docker itself, or of the future.

    Args:
        moment, now: Unix time.
    """
    return moment if moment is not None and FIRST_MOMENT <= moment <= now else None


def parse_time(value: Any) -> Optional[float]:
    """Unix time of the engine's timestamps (a number, or RFC 3339 with up to nine decimals); None for never."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    match = _STAMP.match(str(value or ""))
    if not match or match.group(1) == "0001":
        return None
    zone = match.group(8) or "Z"
    year, month, day, hour, minute, second = (int(match.group(number)) for number in range(1, 7))
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    except ValueError:
        return None
    seconds = moment.timestamp() + float(match.group(7) or 0)
    if zone != "Z":
        sign = -1 if zone[0] == "+" else 1
        seconds += sign * (int(zone[1:3]) * 3600 + int(zone[-2:]) * 60)
    return seconds


def _labels(raw: Mapping[str, Any]) -> Dict[str, str]:
    return {str(key): str(value) for key, value in (raw.get("Labels") or {}).items()}


def parse_container(raw: Mapping[str, Any], size: int = 0) -> Container:
    """One entry of GET /containers/json."""
    names = [str(name).lstrip("/") for name in raw.get("Names") or []]
    own = [name for name in names if "/" not in name]
    networks = set()
    for name, settings in ((raw.get("NetworkSettings") or {}).get("Networks") or {}).items():
        networks.add(str(name))
        if (settings or {}).get("NetworkID"):
            networks.add(str(settings["NetworkID"]))
    mode = str((raw.get("HostConfig") or {}).get("NetworkMode") or "")
    if mode and mode != "default" and not mode.startswith("container:"):
        networks.add(mode)
    mounts = tuple(
        Mount(
            str(mount.get("Type") or ""),
            str(mount.get("Name") or ""),
            str(mount.get("Source") or ""),
            str(mount.get("Destination") or ""),
        )
        for mount in raw.get("Mounts") or []
    )
    identity = str(raw.get("Id") or "")
    return Container(
        identity,
        (own or names or [short_id(identity)])[0],
        str(raw.get("Image") or ""),
        str(raw.get("ImageID") or ""),
        str(raw.get("State") or ""),
        parse_time(raw.get("Created")) or 0.0,
        _labels(raw),
        mounts,
        frozenset(networks),
        int(raw.get("SizeRw") or size or 0),
        joins=joined_containers(raw.get("HostConfig") or {}),
    )


def joined_containers(host_config: Mapping[str, Any]) -> Tuple[str, ...]:
    """The containers that a container's HostConfig says it joins."""
    modes = [str(host_config.get(key) or "") for key in ("NetworkMode", "PidMode", "IpcMode")]
    return tuple(sorted({mode.partition(":")[2].lstrip("/") for mode in modes if mode.startswith("container:")} - {""}))


def parse_image(raw: Mapping[str, Any]) -> Image:
    """One entry of GET /images/json or of the images of GET /system/df."""
    tags = [str(tag) for tag in raw.get("RepoTags") or [] if tag and str(tag) != NONE_TAG]
    digests = [str(item) for item in raw.get("RepoDigests") or [] if item and not str(item).startswith("<none>")]
    shared, containers = raw.get("SharedSize"), raw.get("Containers")
    unpacked = None
    if raw.get("Manifests"):
        unpacked = 0
        for manifest in raw["Manifests"]:
            unpacked += int(((manifest.get("ImageData") or {}).get("Size") or {}).get("Unpacked") or 0)
    return Image(
        str(raw.get("Id") or ""),
        tuple(sorted(tags)),
        parse_time(raw.get("Created")) or 0.0,
        int(raw.get("Size") or 0),
        tuple(sorted(digests)),
        _labels(raw),
        int(shared) if shared is not None and int(shared) >= 0 else None,
        int(containers) if containers is not None and int(containers) >= 0 else None,
        unpacked=unpacked,
    )


def parse_volume(raw: Mapping[str, Any]) -> Volume:
    """One volume of GET /system/df, or of GET /volumes, which measures nothing."""
    usage = raw.get("UsageData") or {}
    size = usage.get("Size")
    options = {str(key): str(value) for key, value in (raw.get("Options") or {}).items()}
    return Volume(
        str(raw.get("Name") or ""),
        str(raw.get("Driver") or ""),
        str(raw.get("Mountpoint") or ""),
        parse_time(raw.get("CreatedAt")) or 0.0,
        _labels(raw),
        options,
        int(size) if size is not None and int(size) >= 0 else None,
        "UsageData" in raw and raw["UsageData"] is not None,
        str(raw.get("CreatedAt") or ""),
        elsewhere=tuple(path for value in options.values() for path in _OPTION_PATH.findall(value)),
    )


def parse_network(raw: Mapping[str, Any]) -> Network:
    return Network(
        str(raw.get("Id") or ""),
        str(raw.get("Name") or ""),
        str(raw.get("Driver") or ""),
        str(raw.get("Scope") or ""),
        parse_time(raw.get("Created")) or 0.0,
        _labels(raw),
        # A configuration is used by other networks, which nothing here lists.
        bool(raw.get("Ingress") or raw.get("ConfigOnly")),
        _network_options(raw),
    )


def _network_options(raw: Mapping[str, Any]) -> Tuple[str, ...]:
    """What a network was made with, as `docker network create` takes it."""
    found: List[str] = []
    for part in (raw.get("IPAM") or {}).get("Config") or []:
        for key, option in (("Subnet", "--subnet"), ("IPRange", "--ip-range"), ("Gateway", "--gateway")):
            if part.get(key):
                found += [option, str(part[key])]
    for key, option in (("Internal", "--internal"), ("Attachable", "--attachable"), ("EnableIPv6", "--ipv6")):
        if raw.get(key):
            found.append(option)
    for key, option in (("Options", "--opt"), ("Labels", "--label")):
        for name, value in sorted((raw.get(key) or {}).items()):
            found += [option, "%s=%s" % (name, value)]
    return tuple(found)


def parse_cache_entry(raw: Mapping[str, Any]) -> CacheEntry:
    # The engine writes this key with a leading space; versions before it have a single parent.
    parents = raw.get("Parents") or raw.get(" Parents") or ([raw["Parent"]] if raw.get("Parent") else [])
    created = parse_time(raw.get("CreatedAt")) or 0.0
    return CacheEntry(
        str(raw.get("ID") or ""),
        str(raw.get("Type") or ""),
        str(raw.get("Description") or ""),
        tuple(str(parent) for parent in parents),
        bool(raw.get("InUse")),
        bool(raw.get("Shared")),
        int(raw.get("Size") or 0),
        created,
        parse_time(raw.get("LastUsedAt")) or created,
    )


@dataclass(frozen=True)
class DiskUsage:
    """GET /system/df in either of its forms."""

    images: Tuple[Mapping[str, Any], ...]
    containers: Tuple[Mapping[str, Any], ...]
    volumes: Tuple[Mapping[str, Any], ...]
    build_cache: Tuple[Mapping[str, Any], ...]
    layers_size: int


def parse_disk_usage(raw: Mapping[str, Any]) -> DiskUsage:
    """Read both forms: lists with LayersSize up to API 1.52, one object for each kind from 1.52 on."""

    def items(legacy: str, *names: str) -> Tuple[Mapping[str, Any], ...]:
        for name in names:
            usage = raw.get(name)
            if isinstance(usage, Mapping) and usage.get("Items") is not None:
                return tuple(usage["Items"])
        return tuple(raw.get(legacy) or ())

    total = raw.get("LayersSize")
    for name in ("ImageUsage", "ImagesUsage"):
        if isinstance(raw.get(name), Mapping):
            total = raw[name].get("TotalSize", total)
    return DiskUsage(
        items("Images", "ImageUsage", "ImagesUsage"),
        items("Containers", "ContainerUsage", "ContainersUsage"),
        items("Volumes", "VolumeUsage", "VolumesUsage"),
        items("BuildCache", "BuildCacheUsage"),
        int(total or 0),
    )
