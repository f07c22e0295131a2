# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shop's compose project, as the labels of its containers tell it. Pure.

Compose writes into each container which files, environment file and directory it was made from. This is what runs, whatever
the files on disk say by now.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from .ports import container_name

LABEL = "com.docker.compose."
_NAMES = re.compile(r"^miniecom[_-](?P<service>.+?)(?:[_-](?:prod|dev))?(?:[_-]\d+)?$")


@dataclass(frozen=True)
class Container:
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


@dataclass(frozen=True)
class Project:
    """A compose project.

    Attributes:
        name: "" for containers that were not made by compose.
        files, env_files: absolute paths from the labels.
        containers: without one-off containers (compose run), by service and name.
        by_directory: its labels name the shop's directory; otherwise only its name speaks for it.
    """

    name: str
    working_dir: str
    files: Tuple[str, ...]
    env_files: Tuple[str, ...]
    containers: Tuple[Container, ...]
    why: str
    by_directory: bool = False

    @property
    def running(self) -> bool:
        return any(container.running for container in self.containers)

    def services(self) -> Dict[str, List[Container]]:
        found: Dict[str, List[Container]] = {}
        for container in self.containers:
            found.setdefault(container.service, []).append(container)
        return found

    def one(self, service: str) -> Optional[Container]:
        """The container of a service, a running one first."""
        mine = [container for container in self.containers if container.service == service]
        return next((container for container in mine if container.running), mine[0] if mine else None)


def _labels(raw: Mapping[str, Any]) -> Mapping[str, str]:
    return raw.get("Labels") or {}


def _container(raw: Mapping[str, Any], service: str) -> Container:
    status = str(raw.get("Status") or "")
    health = re.search(r"\((healthy|unhealthy|health: starting)\)", status)
    return Container(
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
    return tuple(part for part in text.split(",") if part)


def _make(name: str, raws: Sequence[Mapping[str, Any]], why: str, by_directory: bool = False) -> Project:
    kept = [raw for raw in raws if str(_labels(raw).get(LABEL + "oneoff", "False")).lower() != "true"]
    containers = [_container(raw, _labels(raw).get(LABEL + "service", "") or _service(raw)) for raw in kept]
    # Containers made at different times may carry different files: what runs now counts, the newest of it.
    order = sorted(kept, key=lambda raw: (raw.get("State") == "running", int(raw.get("Created") or 0)), reverse=True)
    labels = next((_labels(raw) for raw in order if _labels(raw).get(LABEL + "project.config_files")), {})
    return Project(
        name,
        labels.get(LABEL + "project.working_dir", ""),
        _split(labels.get(LABEL + "project.config_files", "")),
        _split(labels.get(LABEL + "project.environment_file", "")),
        tuple(sorted(containers, key=lambda item: (item.service, item.name))),
        why,
        by_directory,
    )


def _service(raw: Mapping[str, Any]) -> str:
    match = _NAMES.match(container_name(raw))
    return match.group("service") if match else container_name(raw)


@dataclass(frozen=True)
class Found:
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
        places.append(_labels(raw).get(LABEL + "project.working_dir", ""))
        places.extend(os.path.dirname(path) for path in _split(_labels(raw).get(LABEL + "project.config_files", "")))
    return list(dict.fromkeys(place for place in places if place))


def find_project(
    containers: Iterable[Mapping[str, Any]],
    root: str,
    real: Callable[[str], str] = os.path.realpath,
    exists: Callable[[str], bool] = os.path.isdir,
) -> Found:
    """The project that was made from the shop's directory; without one, a project that has the shop's name and no other directory.

    A host may hold several shops: production and staging, each with its own data. A project whose labels name a directory that
    is there and is not the shop's belongs to another one, whatever its name is.

    Args:
        containers: all of the engine, stopped ones too.
        root: the shop's directory.
        real: resolves links in a path.
        exists: whether a directory is there.
    """
    groups: Dict[str, List[Mapping[str, Any]]] = {}
    for raw in containers:
        groups.setdefault(_labels(raw).get(LABEL + "project", ""), []).append(raw)
    directory = real(root)

    def elsewhere(raws: Sequence[Mapping[str, Any]]) -> str:
        for place in _places(raws):
            # A directory inside the shop's holds its compose files, or a second shop.
            apart = not _within(real(place), directory) or exists(os.path.join(place, "backend"))
            if exists(place) and apart:
                return place
        return ""

    by_directory = [
        name for name, raws in groups.items() if name and any(real(place) == directory for place in _places(raws))
    ]
    by_name, ignored = [], []
    for name, raws in sorted(groups.items()):
        if name and name not in by_directory and re.match(r"^miniecom([_-]|$)", name):
            other = elsewhere(raws)
            if other:
                ignored.append("%s (made from %s)" % (name, other))
            else:
                by_name.append(name)
    loose = [raw for raw in groups.get("", []) if _NAMES.match(container_name(raw))]
    project: Optional[Project] = None
    for names, why in ((by_directory, "made from %s" % root), (by_name, "by its name")):
        made = [_make(name, groups[name], why, names is by_directory) for name in names]
        if made:
            # The base and the prod file may have been used one after the other under two project names.
            project = max(made, key=lambda item: (sum(container.running for container in item.containers), item.name))
            break
    if project is None and loose:
        project = _make("", loose, "by the containers' names")
    return Found(project, tuple(ignored))


def _within(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")


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


def profiles(text: str) -> Dict[str, List[str]]:
    """Profiles of each service of a compose file. Read without a YAML parser, which the host may lack: the two spellings
    that people use (a list on the line, a list below it) under two levels of plain indentation."""
    found: Dict[str, List[str]] = {}
    section, service, collecting = "", "", -1
    for line in text.splitlines():
        bare = line.split(" #")[0].rstrip()
        if not bare.strip() or bare.lstrip().startswith("#"):
            continue
        indent = len(bare) - len(bare.lstrip())
        word = bare.strip()
        if collecting >= 0 and indent >= collecting and word.startswith("- "):
            found.setdefault(service, []).append(word[2:].strip().strip("'\""))
            continue
        collecting = -1
        if indent == 0:
            section, service, level = word.rstrip(":"), "", -1
        elif section == "services":
            if (level == -1 or indent == level) and re.match(r"^[\w.\"'-]+:$", word):
                level, service = indent, word.rstrip(":").strip("\"'")
            elif service and word.startswith("profiles:"):
                rest = word[len("profiles:") :].strip()
                if rest.startswith("["):
                    values = [part.strip().strip("'\"") for part in rest.strip("[]").split(",")]
                    found.setdefault(service, []).extend(value for value in values if value)
                else:
                    collecting = indent
    return found
