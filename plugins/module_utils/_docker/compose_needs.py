# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The images that a host's compose projects would start services from, also those that have no container now."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from typing import Dict, Iterable, List, Optional, Sequence, Set, Tuple

from .._core.late_dataclass import dataclass
from .compose_file import ComposeFile, parse_compose_file
from .inventory import Container, Declared, ImageNeed
from .project import compose_files_of, working_directory_of

# What people call the files that they choose from, with -f or by a link: base, production, development, override.
_FILES = ("*compose*.yml", "*compose*.yaml")
_PROJECT_NAME = re.compile(r"^\s*(?:export\s+)?COMPOSE_PROJECT_NAME\s*=\s*[\"']?([\w-]+)", re.MULTILINE)
_LARGEST = 1 << 20
_DEEPEST = 5


@dataclass(frozen=True)
class ComposeNeeds:
    """What services need.

    Attributes:
        declared: volumes and networks that compose files declare.
        unread: for each project of which not all can be known why, by its name; "" for the files that were given.
    """

    needs: Tuple[ImageNeed, ...] = ()
    declared: Tuple[Declared, ...] = ()
    unread: Tuple[Tuple[str, str], ...] = ()


def read_compose_needs(containers: Iterable[Container], paths: Sequence[str], local: bool) -> ComposeNeeds:
    """Read the compose files that the containers' labels name, those beside them, and those that are given.

    Args:
        paths: further compose files, or directories of projects.
        local: whether the engine's host is this one, so that the paths in labels mean something here.
    """
    needs: List[ImageNeed] = []
    declared: List[Declared] = []
    unread: Dict[str, str] = {}
    projects: Dict[str, List[str]] = {}
    for container in containers:
        if container.project:
            places = projects.setdefault(container.project, [])
            places.extend(place for place in _places(container) if place not in places)
    for project, places in sorted(projects.items()):
        if not local:
            unread[project] = "it was made on a host whose files are not to be seen from here"
        elif not places:
            unread[project] = "it was made from standard input"
        else:
            unread.update(_read(project, places, needs, declared))
    unread.update(_read("", [os.path.abspath(path) for path in paths], needs, declared))
    return ComposeNeeds(tuple(dict.fromkeys(needs)), tuple(dict.fromkeys(declared)), tuple(sorted(unread.items())))


def _places(container: Container) -> List[str]:
    """The files that a container was made from, and their directories."""
    files = list(compose_files_of(container.labels))
    directory = working_directory_of(container.labels)
    # From standard input the working directory is only where somebody stood.
    return [*files, *([directory] if directory and files else [])]


def _read(project: str, places: Sequence[str], needs: List[ImageNeed], declared: List[Declared]) -> Dict[str, str]:
    """Add what the files at these places need; returns for the project why not all is known, or nothing."""
    waiting: List[Tuple[str, int]] = []
    missing = ""
    for place in places:
        directory = place
        if not os.path.isdir(place):
            waiting.append((place, 0))
            directory = os.path.dirname(place) if os.path.isfile(place) or place.endswith((".yml", ".yaml")) else ""
        try:
            names = os.listdir(directory)
        except OSError:
            continue
        matching = [name for name in sorted(names) if any(fnmatch.fnmatch(name, pattern) for pattern in _FILES)]
        waiting.extend((os.path.join(directory, name), 0) for name in matching)
    seen: Set[str] = set()
    while waiting:
        path, depth = waiting.pop(0)
        real = os.path.realpath(path)
        if real in seen:
            continue
        seen.add(real)
        text = _text(path)
        if text is None:
            missing = missing or "%s cannot be read" % path
            continue
        found = parse_compose_file(text)
        directory = os.path.dirname(path)
        by_directory = _normalized(os.path.basename(directory))
        needs.extend(_needs(found, path, project or by_directory))
        declared.extend(_declared(found, path, {project or by_directory, found.project, _given_name(directory)} - {""}))
        if depth < _DEEPEST:
            waiting.extend((os.path.normpath(os.path.join(directory, name)), depth + 1) for name in found.files)
    return {project: missing} if missing else {}


def _text(path: str) -> Optional[str]:
    """A file of reasonable size; None when it is none or cannot be read."""
    try:
        # Labels say where to read: a pipe planted there must not keep us waiting.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as handle:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            data = handle.read(_LARGEST + 1)
    except OSError:
        return None
    return data.decode("utf-8", "replace") if len(data) <= _LARGEST else None


def _needs(found: ComposeFile, path: str, project: str) -> Iterable[ImageNeed]:
    by = "the compose file %s" % path
    for image in found.images:
        yield ImageNeed(image, by)
    for service in found.services:
        # What compose calls an image that it builds, now and before version 2.
        for name in dict.fromkeys((project, found.project)):
            if name:
                yield ImageNeed("%s-%s" % (name, service), by)
                yield ImageNeed("%s_%s" % (name, service), by)


def _given_name(directory: str) -> str:
    """What the environment file beside a compose file calls the project; "" when it does not."""
    found = _PROJECT_NAME.findall(_text(os.path.join(directory, ".env")) or "")
    return str(found[-1]) if found else ""


def _declared(found: ComposeFile, path: str, projects: Iterable[str]) -> Iterable[Declared]:
    by = "the compose file %s" % path
    sections = {"volume": (found.volumes, found.volume_names), "network": (found.networks, found.network_names)}
    for kind, (keys, names) in sections.items():
        for project in sorted(projects):
            # Every project has a network of this name, said or not.
            for key in (*keys, *(["default"] if kind == "network" else [])):
                yield Declared(kind, "%s_%s" % (project, key), by)
        for name in names:
            yield Declared(kind, name, by)


def _normalized(name: str) -> str:
    """A directory's name as compose makes a project's name of it."""
    return re.sub(r"[^a-z0-9_-]", "", name.lower()).lstrip("_-")
