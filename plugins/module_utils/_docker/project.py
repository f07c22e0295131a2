# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shop's compose project, as the labels of its containers tell it. Pure.

Compose writes into each container which files, environment file and directory it was made from. This is what runs, whatever
the files on disk say by now. They are paths of the machine where compose ran, which a remote context makes another one.
Measured with compose 2.40: the working directory is that of the first file, wherever compose was started; files are absolute,
and joined by commas, which are not escaped; standard input is the file `-`, and the working directory then is where somebody
stood; a file that another one includes is not listed; the path of a link to a directory is kept as it is.
"""

from __future__ import annotations

import os
import re
from dataclasses import field
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from .._core.late_dataclass import dataclass
from .._core.paths import lies_below
from .compose_file import parse_compose_file, profiles
from .ports import container_name

__all__ = ["Container", "FoundProject", "Place", "Project", "ServiceContainer", "find_project", "place", "profiles"]

LABEL = "com.docker.compose."
STANDARD_INPUT = "-"
# By one of these a project inside the shop's directory is told from something else that is kept there.
SHOP_SERVICES = frozenset(("mongo", "api", "frontend"))
_NAMES = re.compile(r"^miniecom[_-](?P<service>.+?)(?:[_-](?:prod|dev))?(?:[_-]\d+)?$")


@dataclass(frozen=True)
class ServiceContainer:
    """One container of the project; raw is what the engine lists about it."""

    id: str
    name: str
    service: str
    state: str
    health: str
    image: str
    image_id: str
    raw: Mapping[str, Any] = field(repr=False, compare=False, default_factory=dict)

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def network_mode(self) -> str:
        """``host``, ``container:ID``, or the name of a network."""
        return str((self.raw.get("HostConfig") or {}).get("NetworkMode") or "")

    def as_dict(self) -> Dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "health": self.health,
            "image": self.image,
            "image_id": self.image_id,
        }


Container = ServiceContainer  # the name by which the module context_info knows it


@dataclass(frozen=True)
class Project:
    """A compose project.

    Attributes:
        name: "" for containers that were not made by compose.
        files, env_files: absolute paths from the labels; no files for a project that came from standard input.
        containers: without one-off containers (compose run), by service and name.
        by_directory: its labels name the shop's directory; otherwise only its name speaks for it.
    """

    name: str
    working_dir: str
    files: Tuple[str, ...]
    env_files: Tuple[str, ...]
    containers: Tuple[ServiceContainer, ...]
    why: str
    by_directory: bool = False

    @property
    def running(self) -> bool:
        return any(container.running for container in self.containers)

    def services(self) -> Dict[str, List[ServiceContainer]]:
        found: Dict[str, List[ServiceContainer]] = {}
        for container in self.containers:
            found.setdefault(container.service, []).append(container)
        return found

    def one(self, service: str) -> Optional[ServiceContainer]:
        """The container of a service, a running one first."""
        mine = [container for container in self.containers if container.service == service]
        return next((container for container in mine if container.running), mine[0] if mine else None)


def _labels(raw: Mapping[str, Any]) -> Mapping[str, str]:
    return raw.get("Labels") or {}


def _container(raw: Mapping[str, Any], service: str) -> ServiceContainer:
    status = str(raw.get("Status") or "")
    health = re.search(r"\((healthy|unhealthy|health: starting)\)", status)
    return ServiceContainer(
        str(raw.get("Id", "")),
        container_name(raw),
        service,
        str(raw.get("State") or ""),
        health.group(1).replace("health: ", "") if health else "",
        str(raw.get("Image") or ""),
        str(raw.get("ImageID") or ""),
        raw,
    )


def _split(text: str) -> Tuple[str, ...]:
    return tuple(part for part in text.split(",") if part and part != STANDARD_INPUT)


def compose_files_of(labels: Mapping[str, str]) -> Tuple[str, ...]:
    """The files that a container was made from, without standard input."""
    return _split(labels.get(LABEL + "project.config_files", ""))


def env_files_of(labels: Mapping[str, str]) -> Tuple[str, ...]:
    """The environment files that were named when a container was made."""
    return _split(labels.get(LABEL + "project.environment_file", ""))


def working_directory_of(labels: Mapping[str, str]) -> str:
    return labels.get(LABEL + "project.working_dir", "")


def _only_from_standard_input(raws: Sequence[Mapping[str, Any]]) -> bool:
    """The working directory then says nothing about where the project belongs to."""
    files = [str(_labels(raw).get(LABEL + "project.config_files", "")) for raw in raws]
    return STANDARD_INPUT in files and not any(_split(text) for text in files)


def _make(name: str, raws: Sequence[Mapping[str, Any]], why: str, by_directory: bool = False) -> Project:
    kept = [raw for raw in raws if str(_labels(raw).get(LABEL + "oneoff", "False")).lower() != "true"]
    containers = [_container(raw, _labels(raw).get(LABEL + "service", "") or _service(raw)) for raw in kept]
    # Containers made at different times may carry different files: what runs now counts, the newest of it.
    order = sorted(kept, key=lambda raw: (raw.get("State") == "running", int(raw.get("Created") or 0)), reverse=True)
    labels = next((_labels(raw) for raw in order if _labels(raw).get(LABEL + "project.config_files")), {})
    return Project(
        name,
        working_directory_of(labels),
        compose_files_of(labels),
        env_files_of(labels),
        tuple(sorted(containers, key=lambda item: (item.service, item.name))),
        why,
        by_directory,
    )


def _service(raw: Mapping[str, Any]) -> str:
    match = _NAMES.match(container_name(raw))
    return match.group("service") if match else container_name(raw)


@dataclass(frozen=True)
class FoundProject:
    """The shop's project, and what has its name and is another's.

    Attributes:
        ignored: one text for each project that is named like the shop and was made from another directory.
    """

    project: Optional[Project]
    ignored: Tuple[str, ...] = ()


def _places(raws: Sequence[Mapping[str, Any]]) -> List[str]:
    """The directories from which containers were made, as their labels tell."""
    places = []
    for raw in raws:
        places.append(working_directory_of(_labels(raw)))
        places.extend(os.path.dirname(path) for path in compose_files_of(_labels(raw)))
    return list(dict.fromkeys(place for place in places if place))


def _included(raws: Sequence[Mapping[str, Any]], read: Callable[[str], str]) -> List[str]:
    """The directories of compose files that those in the labels include, which no label names."""
    places = []
    for path in dict.fromkeys(path for raw in raws for path in compose_files_of(_labels(raw))):
        for name in parse_compose_file(read(path)).files:
            places.append(os.path.dirname(os.path.normpath(os.path.join(os.path.dirname(path), name))))
    return places


def _read_file(path: str) -> str:
    """The beginning of a file, "" when it cannot be read."""
    try:
        if not os.path.isfile(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read(1 << 20)
    except (OSError, ValueError):
        return ""


def find_project(
    containers: Iterable[Mapping[str, Any]],
    root: str,
    real: Callable[[str], str] = os.path.realpath,
    exists: Callable[[str], bool] = os.path.isdir,
    read: Callable[[str], str] = _read_file,
) -> FoundProject:
    """The project that was made from the shop's directory; without one, a project that has the shop's name and no other directory.

    A host may hold several shops: production and staging, each with its own data. A project whose labels name a directory that
    is there and is not the shop's belongs to another one, whatever its name is.

    In this order, what is found first counts: made from the shop's directory itself; from a directory inside it, when it has a
    service of the shop; from a file elsewhere that includes one of the shop's; a project with the shop's name; one whose
    containers have the shop's names, when nothing on this host speaks against it (it came from standard input, or from
    another machine).

    Args:
        containers: all of the engine, stopped ones too.
        root: the shop's directory.
        real: resolves links in a path.
        exists: whether a directory is there.
        read: the text of a compose file, "" when it cannot be read.
    """
    groups: Dict[str, List[Mapping[str, Any]]] = {}
    for raw in containers:
        groups.setdefault(_labels(raw).get(LABEL + "project", ""), []).append(raw)
    directory = real(root)

    def inside(place: str) -> bool:
        """In the shop's directory, and no second shop there."""
        return lies_below(real(place), directory) and (
            real(place) == directory or not exists(os.path.join(place, "backend"))
        )

    def elsewhere(raws: Sequence[Mapping[str, Any]]) -> str:
        nowhere = _only_from_standard_input(raws)
        for place in _places(raws):
            if nowhere and not exists(os.path.join(place, "backend")):
                continue
            if exists(place) and not inside(place):
                return place
        return ""

    exact: List[str] = []
    within: List[str] = []
    including: List[str] = []
    by_name: List[str] = []
    by_containers: List[str] = []
    ignored: List[str] = []
    for name, raws in sorted(groups.items()):
        if not name:
            continue
        places, other = _places(raws), elsewhere(raws)
        named = bool(re.match(r"^miniecom([_-]|$)", name))
        if any(real(place) == directory for place in places):
            exact.append(name)
        elif not other and _has_services_of_the_shop(raws) and any(inside(place) for place in places):
            within.append(name)
        elif _has_services_of_the_shop(raws) and any(inside(place) for place in _included(raws, read)):
            including.append(name)
        elif other:
            if named:
                ignored.append("%s (made from %s)" % (name, other))
        elif named:
            by_name.append(name)
        elif any(_NAMES.match(container_name(raw)) for raw in raws):
            by_containers.append(name)
    loose = [raw for raw in groups.get("", []) if _NAMES.match(container_name(raw))]
    for names, why, by_directory in (
        (exact, "made from %s" % root, True),
        (within, "made from a directory inside %s" % root, True),
        (including, "made from a file that includes one of %s" % root, True),
        (by_name, "by its name", False),
        (by_containers, "by the names of its containers", False),
    ):
        made = [_make(name, groups[name], why, by_directory) for name in names]
        if made:
            # The base and the prod file may have been used one after the other under two project names.
            project = max(made, key=lambda item: (sum(container.running for container in item.containers), item.name))
            return FoundProject(project, tuple(ignored))
    return FoundProject(_make("", loose, "by the containers' names") if loose else None, tuple(ignored))


def _has_services_of_the_shop(raws: Sequence[Mapping[str, Any]]) -> bool:
    return any(_labels(raw).get(LABEL + "service", "") in SHOP_SERVICES for raw in raws)


@dataclass(frozen=True)
class Place:
    """Where a path inside a container really is.

    Attributes:
        path: on the host; "" when it is in the container's writable layer or in a tmpfs.
        kind: bind, volume, tmpfs or layer.
    """

    container_path: str
    path: str
    kind: str
    volume: str = ""


def place(raw: Mapping[str, Any], path: str) -> Place:
    """Find a path of a container among its mounts: the longest mounted prefix holds it, else its writable layer does.

    Args:
        raw: the container as inspected. What the engine lists lacks the file systems in memory of the option tmpfs, which
            are no mounts to it.
    """
    best: Optional[Mapping[str, Any]] = None
    memory = [
        {"Type": "tmpfs", "Destination": destination}
        for destination in (raw.get("HostConfig") or {}).get("Tmpfs") or {}
    ]
    for mount in [*(raw.get("Mounts") or []), *memory]:
        destination = str(mount.get("Destination") or "").rstrip("/") or "/"
        inside = path == destination or path.startswith(destination.rstrip("/") + "/")
        if inside and (best is None or len(destination) > len(str(best.get("Destination") or ""))):
            best = mount
    if best is None:
        return Place(path, "", "layer")
    rest = path[len(str(best.get("Destination") or "").rstrip("/")) :].lstrip("/")
    source = str(best.get("Source") or "")
    kind = str(best.get("Type") or "bind")
    if kind == "tmpfs" or not source:
        return Place(path, "", kind)
    return Place(path, os.path.join(source, rest) if rest else source, kind, str(best.get("Name") or ""))
