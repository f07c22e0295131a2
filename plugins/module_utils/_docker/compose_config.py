# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What compose itself makes of a project's files (``docker compose config --format json``), against the containers that run. Pure.

The hash that compose keeps in a label cannot be compared with ``config --hash``: with compose 2.26 the two differ as soon as a
service has an ``env_file``. So what counts is compared: the variables, and where the data are.
"""

from __future__ import annotations

import json
import re
from dataclasses import field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .._core.late_dataclass import dataclass

_ANONYMOUS = re.compile(r"^[0-9a-f]{64}$")
_PROXY = re.compile(r"^(https?|ftp|no|all)_proxy$", re.IGNORECASE)
_DRY_RUN = re.compile(r"DRY-RUN MODE\s+-\s+Container\s+(\S+)\s+(\w+)")
# What compose says when it would put another container in the place of one, or make one that is not there.
_REPLACES = ("Recreate", "Recreated", "Create", "Created", "Creating")


@dataclass(frozen=True)
class MountPoint:
    """What is mounted in a container; source is a volume's name or a directory of the host, "" for an anonymous volume."""

    kind: str
    source: str


@dataclass(frozen=True)
class ConfiguredService:
    """A service as compose would start it.

    Attributes:
        build: the directory it is built from, "" for an image that is pulled.
        environment: None as a value for a variable that is not set; never shown.
        mounts: by the path inside the container.
    """

    name: str
    image: str
    build: str = ""
    pull_policy: str = ""
    environment: Mapping[str, Optional[str]] = field(default_factory=dict, repr=False)
    mounts: Mapping[str, MountPoint] = field(default_factory=dict)
    depends_on: Tuple[str, ...] = ()


def read_config(text: str) -> Dict[str, ConfiguredService]:
    """The services of a project by name.

    Raises:
        ValueError: this is not what compose prints.
    """
    found = json.loads(text)
    if not isinstance(found, dict) or not isinstance(found.get("services"), dict):
        raise ValueError("no services in it")
    volumes = found.get("volumes") or {}
    names = {key: str((value or {}).get("name") or key) for key, value in volumes.items()}
    project = str(found.get("name") or "")
    return {name: _service(project, name, raw or {}, names, found) for name, raw in found["services"].items()}


def _files(raw: Mapping[str, Any], whole: Mapping[str, Any]) -> Dict[str, MountPoint]:
    """Secrets and configs that are files of the host, which compose mounts."""
    mounts = {}
    for kind, directory in (("secrets", "/run/secrets/"), ("configs", "/")):
        for entry in raw.get(kind) or []:
            source = str(entry.get("source") or "")
            target = str(entry.get("target") or source)
            path = ((whole.get(kind) or {}).get(source) or {}).get("file")
            if path:
                mounts[target if target.startswith("/") else directory + target] = MountPoint("bind", str(path))
    return mounts


def _service(
    project: str, name: str, raw: Mapping[str, Any], volumes: Mapping[str, str], whole: Mapping[str, Any]
) -> ConfiguredService:
    build = raw.get("build") or {}
    mounts = _files(raw, whole)
    for mount in raw.get("volumes") or []:
        source = str(mount.get("source") or "")
        if mount.get("type") == "volume":
            source = volumes.get(source, source)
        mounts[_clean(str(mount.get("target") or ""))] = MountPoint(str(mount.get("type") or ""), source)
    environment = raw.get("environment") or {}
    return ConfiguredService(
        name,
        str(raw.get("image") or "%s-%s" % (project, name)),
        str(build.get("context") or ".") if build else "",
        str(raw.get("pull_policy") or ""),
        # compose writes a dollar twice, so that what it prints can be read as a compose file again.
        {key: None if value is None else str(value).replace("$$", "$") for key, value in environment.items()},
        mounts,
        tuple(raw.get("depends_on") or ()),
    )


def _clean(path: str) -> str:
    return path.rstrip("/") or "/"


def _variables(entries: Sequence[str]) -> Dict[str, str]:
    return dict(entry.partition("=")[::2] for entry in entries)


def mount_points(inspected: Mapping[str, Any]) -> Dict[str, MountPoint]:
    """The volumes and directories of a container, by the path inside it. Anonymous volumes have a name here."""
    found = {}
    for mount in inspected.get("Mounts") or []:
        kind = str(mount.get("Type") or "")
        if kind in ("volume", "bind"):
            source = str((mount.get("Name") if kind == "volume" else "") or mount.get("Source") or "")
            found[_clean(str(mount.get("Destination") or ""))] = MountPoint(kind, source)
    return found


def lost_mounts(service: ConfiguredService, inspected: Mapping[str, Any]) -> List[str]:
    """The mounts of a running container that one made from the files by now would not have, in words."""
    own = set(((inspected.get("Config") or {}).get("Volumes") or {}).keys())
    lost = []
    for path, mount in sorted(mount_points(inspected).items()):
        now = service.mounts.get(path)
        if now == mount:
            continue
        # compose hands an anonymous volume on to the container that takes the place of the old one.
        anonymous = mount.kind == "volume" and bool(_ANONYMOUS.match(mount.source))
        if anonymous and (path in own or (now is not None and not now.source)):
            continue
        there = "%s %s" % (now.kind, now.source) if now else "nothing"
        lost.append("%s (%s %s, by the files %s)" % (path, mount.kind, mount.source, there))
    return lost


def changed_variables(
    service: ConfiguredService, inspected: Mapping[str, Any], image_config: Mapping[str, Any]
) -> List[str]:
    """Names of the variables that the files by now give the service otherwise than its container has them."""
    has = _variables((inspected.get("Config") or {}).get("Env") or [])
    image = _variables(image_config.get("Env") or [])
    expected = {**image, **{key: value for key, value in service.environment.items() if value is not None}}
    names = {key for key in {*has, *expected} if has.get(key) != expected.get(key)}
    # Compose gives containers the proxies of the docker command's configuration, which no file of the project names.
    return sorted(key for key in names if key in service.environment or not _PROXY.match(key))


def replaced_in(dry_run: str) -> List[str]:
    """The containers that compose says it would replace or make, from what ``docker compose --dry-run up`` prints."""
    return sorted({name for name, what in _DRY_RUN.findall(dry_run) if what in _REPLACES})


def start_order(services: Sequence[str], config: Mapping[str, ConfiguredService]) -> List[str]:
    """These services with each behind those of them that it depends on."""
    order: List[str] = []

    def add(name: str, above: Tuple[str, ...]) -> None:
        if name in order or name in above or name not in config:
            return
        for other in config[name].depends_on:
            add(other, (*above, name))
        order.append(name)

    for name in sorted(services):
        add(name, ())
    return [name for name in order if name in services]


def dependents(services: Sequence[str], config: Mapping[str, ConfiguredService]) -> List[str]:
    """The services that depend on one of these, also through others: compose replaces them together where both are named."""
    found = set(services)
    while True:
        more = {name for name, service in config.items() if name not in found and found & set(service.depends_on)}
        if not more:
            return sorted(found - set(services))
        found |= more
