# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How containers, their compose files and their settings stand, as the rules of port_audit want it.

Everything is read from the same engine and at the same moment as the ports: one call, one look.
"""

from __future__ import annotations

import os
import posixpath
from dataclasses import field, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .._audit.container_rules import CONTAINER_SCOPE, Bind, ContainerFacts, judge_containers
from .._audit.declared_ports import (
    DECLARED_SCOPE,
    DeclaredPort,
    PublishedPort,
    ServicePorts,
    judge_declared,
    parse_declared,
)
from .._audit.environment_rules import (
    ENVIRONMENT_SCOPE,
    EnvironmentSetting,
    judge_repetitions,
    judge_settings,
    names_of_secrets,
)
from .._core import dotenv
from .._core.errors import MaintenanceError
from .._core.finding import Finding
from .._core.late_dataclass import dataclass
from .._core.processes import listening_sockets, read_process
from .._docker.client import Docker
from .._docker.compose_file import parse_compose_file, profiles
from .._docker.inventory import PROJECT_LABEL, SERVICE_LABEL
from .._docker.ports import container_name, published
from .._docker.project import compose_files_of, place, working_directory_of
from .._host import compose_file, shop
from .._host.mongo_uri import URI_KEYS, mongo_uri, password_quality
from .environment import container_variables
from .host_reader import storage_directories
from .mongo_stop import SetMember, judge_stops, set_name, stop_grace

_LARGEST = 1 << 20
_ROOT_PASSWORDS = ("MONGO_ROOT_PASSWORD", "MONGO_INITDB_ROOT_PASSWORD")
_API_SERVICES = ("api", "worker")
# How a finding's target begins that is a container.
_CONTAINER = "container "


@dataclass(frozen=True)
class Inspected:
    """A running container: what the engine lists, its inspection, and that of its image ({} when the engine has none)."""

    # Their variables are secrets.
    raw: Mapping[str, Any] = field(repr=False)
    detail: Mapping[str, Any] = field(repr=False)
    image: Mapping[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        return container_name(self.raw)

    @property
    def labels(self) -> Mapping[str, str]:
        return self.raw.get("Labels") or {}

    @property
    def service(self) -> str:
        return str(self.labels.get(SERVICE_LABEL) or "")

    @property
    def project(self) -> str:
        return str(self.labels.get(PROJECT_LABEL) or "")

    @property
    def pid(self) -> int:
        return int((self.detail.get("State") or {}).get("Pid") or 0)


@dataclass(frozen=True)
class Examined:
    """What was found out.

    Attributes:
        scopes: what was looked at.
        credentials: what is wrong with MongoDB's, in words; "" when nothing is known to be.
    """

    findings: Tuple[Finding, ...] = ()
    scopes: Tuple[str, ...] = ()
    credentials: str = ""
    warnings: Tuple[str, ...] = ()


def inspect_running(docker: Docker, containers: Sequence[Mapping[str, Any]], project: str) -> List[Inspected]:
    """The running containers of a project, of all when none is named. One that has gone meanwhile is left out."""
    images: Dict[str, Mapping[str, Any]] = {}
    found = []
    for raw in containers:
        if raw.get("State") != "running" or (project and (raw.get("Labels") or {}).get(PROJECT_LABEL) != project):
            continue
        detail = _asked(docker, "/containers/%s/json" % raw.get("Id"))
        identity = str(raw.get("ImageID") or "")
        if identity not in images:
            images[identity] = _asked(docker, "/images/%s/json" % identity) if identity else {}
        if detail:
            found.append(Inspected(raw, detail, images[identity]))
    return found


def _asked(docker: Docker, path: str) -> Mapping[str, Any]:
    """What the engine answers; {} when it has no such thing any more."""
    try:
        return dict(docker.get(path) or {})
    except MaintenanceError as error:
        if error.code in (404, "404"):
            return {}
        raise


def examine_configuration(
    containers: Sequence[Mapping[str, Any]],
    inspected: Sequence[Inspected],
    project: str,
    env_files: Sequence[str],
    expand: bool,
    asked: bool,
) -> Examined:
    """Judge containers, declared ports and settings.

    Args:
        containers: all that the engine lists; stopped ones too.
        inspected: those that run.
        project: the compose project, "" for none in particular.
        env_files: files of settings.
        expand: whether variables are put into their values, as compose does.
        asked: an engine answered.

    Raises:
        MaintenanceError: a file of settings cannot be read.
    """
    settings, findings = _settings_of_files(env_files, expand)
    scopes = [ENVIRONMENT_SCOPE] if env_files else []
    warnings: List[str] = []
    for one in inspected:
        given = _given(one)
        settings.extend(EnvironmentSetting(key, value, _CONTAINER + one.name) for key, value in sorted(given.items()))
    if asked:
        scopes += [CONTAINER_SCOPE, DECLARED_SCOPE]
        findings.extend(judge_containers(container_facts(one) for one in inspected))
        findings.extend(_stops(inspected))
        services, warnings = _services(containers, inspected, project, env_files)
        findings.extend(judge_declared(services))
    # Those of containers are theirs: where no engine answers, nobody has looked whether they are gone.
    findings.extend(
        replace(finding, scope=CONTAINER_SCOPE) if finding.target.startswith(_CONTAINER) else finding
        for finding in judge_settings(settings)
    )
    return Examined(tuple(findings), tuple(scopes), credentials_told(settings), tuple(warnings))


def _settings_of_files(paths: Sequence[str], expand: bool) -> Tuple[List[EnvironmentSetting], List[Finding]]:
    settings: List[EnvironmentSetting] = []
    findings: List[Finding] = []
    for path in paths:
        text = dotenv.read_text(path)
        assigned = [(key, value, line) for key, value, _quote, line in dotenv.placed_assignments(text)]
        values = dotenv.parse_for_compose(text) if expand else dotenv.parse(text)
        lines = {key: line for key, _value, line in assigned}
        settings.extend(EnvironmentSetting(key, value, path, lines[key]) for key, value in values.items())
        findings.extend(judge_repetitions(path, assigned))
    return settings, findings


def _given(one: Inspected) -> Dict[str, str]:
    """The variables of a container that are not its image's own."""
    baked = container_variables(one.image)
    return {key: value for key, value in container_variables(one.detail).items() if baked.get(key) != value}


def credentials_told(settings: Sequence[EnvironmentSetting]) -> str:
    """What is wrong with the database's credentials when everybody tries them, in words. Pure."""
    for setting in settings:
        quality = ""
        if setting.key in URI_KEYS:
            found = mongo_uri({setting.key: setting.value})
            quality = found.quality if found else ""
        elif setting.key in _ROOT_PASSWORDS:
            quality = password_quality("", setting.value)
        if quality == "default":
            return "its password is a default that everybody tries (%s in %s)" % (setting.key, setting.place)
    return ""


# -- containers ---------------------------------------------------------------------------------------------------------


def container_facts(one: Inspected) -> ContainerFacts:
    """What the rules want to know of a container."""
    config, host = one.detail.get("Config") or {}, one.detail.get("HostConfig") or {}
    log = host.get("LogConfig") or {}
    test = (config.get("Healthcheck") or {}).get("Test")
    image = str(one.raw.get("Image") or config.get("Image") or "")
    process = read_process(one.pid) if one.pid else None
    # Where the engine's processes are not this machine's, a pid is another one's.
    own = process is not None and (process.contained or host.get("PidMode") == "host")
    return ContainerFacts(
        name=one.name,
        service=one.service,
        image=image,
        built=_built(one, image),
        privileged=bool(host.get("Privileged")),
        network=str(host.get("NetworkMode") or ""),
        pid=str(host.get("PidMode") or ""),
        ipc=str(host.get("IpcMode") or ""),
        capabilities=tuple(str(name) for name in host.get("CapAdd") or ()),
        binds=tuple(
            Bind(str(mount.get("Source") or ""), str(mount.get("Destination") or ""), bool(mount.get("RW")))
            for mount in one.detail.get("Mounts") or ()
            if mount.get("Type") == "bind"
        ),
        root=(process.user in ("root", "0")) if own and process is not None else None,
        healthcheck=bool(test) and list(test or ())[:1] != ["NONE"],
        unlimited_log=log.get("Type") == "json-file" and not (log.get("Config") or {}).get("max-size"),
        secrets=names_of_secrets(_given(one)),
        baked=names_of_secrets(container_variables(one.image)),
        in_layer=_in_layer(one),
    )


def _built(one: Inspected, image: str) -> bool:
    """Whether compose has built the image, or somebody here has."""
    own = ("%s-%s" % (one.project, one.service), "%s_%s" % (one.project, one.service))
    return image.partition(":")[0] in own or (bool(one.image) and not one.image.get("RepoDigests"))


def _in_layer(one: Inspected) -> Tuple[str, ...]:
    """What of the shop's data would not survive this container."""
    detail = one.detail
    words = [str(word) for word in [detail.get("Path") or "", *(detail.get("Args") or [])]]
    places: Dict[str, str] = {}
    if any(posixpath.basename(word) == "mongod" for word in words[:2]):
        places["the database"] = shop.db_path(words) or "/data/db"
    elif one.service in _API_SERVICES:
        start = str((detail.get("Config") or {}).get("WorkingDir") or "/")
        for what, path in storage_directories(container_variables(detail)).items():
            places[what] = posixpath.normpath(posixpath.join(start, path))
    return tuple(
        "%s (%s)" % (what, path) for what, path in places.items() if place(detail, path).kind in ("layer", "tmpfs")
    )


def _stops(inspected: Sequence[Inspected]) -> List[Finding]:
    """Members of replica sets that are killed before they can have stopped."""
    members = [
        SetMember(one.name, one.service, set_name(one.detail), stop_grace(one.detail))
        for one in inspected
        if "mongo" in ("%s %s" % (one.detail.get("Path"), one.raw.get("Image"))).lower() and set_name(one.detail)
    ]
    hosts = 0
    for one in inspected:
        found = mongo_uri(container_variables(one.detail))
        hosts = max(hosts, len(found.hosts) if found else 0)
    return [
        replace(finding, target=_CONTAINER + finding.target, scope=CONTAINER_SCOPE, fingerprint="")
        for finding in judge_stops(members, hosts)
    ]


# -- declared ports -----------------------------------------------------------------------------------------------------


def _services(
    containers: Sequence[Mapping[str, Any]], inspected: Sequence[Inspected], project: str, env_files: Sequence[str]
) -> Tuple[List[ServicePorts], List[str]]:
    """What the compose files declare for each service beside what its containers have, and what could not be read."""
    mine = [raw for raw in containers if project and (raw.get("Labels") or {}).get(PROJECT_LABEL) == project]
    newest = sorted(mine, key=lambda raw: (raw.get("State") == "running", int(raw.get("Created") or 0)), reverse=True)
    labels: Mapping[str, str] = next(
        (raw.get("Labels") or {} for raw in newest if compose_files_of(raw.get("Labels") or {})), {}
    )
    texts = {path: _text(path) for path in compose_files_of(labels)}
    unread = sorted(path for path, text in texts.items() if text is None)
    warnings = ["What is declared was not compared: %s cannot be read." % ", ".join(unread)] if unread else []
    variables = _variables(labels, env_files)
    names = {str((raw.get("Labels") or {}).get(SERVICE_LABEL) or "") for raw in mine}
    with_profile = {}
    for text in texts.values():
        if text is not None:
            names.update(parse_compose_file(text).services)
            with_profile.update({name: True for name, chosen in profiles(text).items() if chosen})
    found = []
    for service in sorted(names - {""}):
        running = [one for one in inspected if one.service == service and one.project == project]
        declared, file = (None, "") if unread else _declared(service, texts, variables)
        has_container = any((raw.get("Labels") or {}).get(SERVICE_LABEL) == service for raw in mine)
        found.append(
            ServicePorts(
                service,
                file,
                declared,
                has_container or service not in with_profile,
                tuple(one.name for one in running),
                tuple(port for one in running for port in _published(one)),
            )
        )
    return found, warnings


def _text(path: str) -> Optional[str]:
    try:
        if not os.path.isfile(path):
            return None
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read(_LARGEST)
    except OSError:  # whoever asks says that it could not be read
        return None


def _variables(labels: Mapping[str, str], env_files: Sequence[str]) -> Dict[str, str]:
    """What compose puts into the files: the project's environment file, which a label may name."""
    named = [path for path in str(labels.get("com.docker.compose.project.environment_file") or "").split(",") if path]
    usual = os.path.join(working_directory_of(labels), ".env") if labels else ""
    values: Dict[str, str] = {}
    for path in named or [*env_files, usual]:
        text = _text(path) if path else None
        values.update(dotenv.parse_for_compose(text) if text is not None else {})
    return values


def _declared(
    service: str, texts: Mapping[str, Optional[str]], variables: Mapping[str, str]
) -> Tuple[Optional[Tuple[DeclaredPort, ...]], str]:
    """The ports that the files declare for a service, and the file that does; None where that cannot be told."""
    ports: List[DeclaredPort] = []
    file = ""
    for path, text in texts.items():
        if text is None or service not in parse_compose_file(text).services:
            continue
        file = file or path
        if compose_file.borrows(text, service):
            return None, file
        for entry in compose_file.service_ports(text, service):
            parsed = parse_declared(dotenv.expand(entry, variables))
            if parsed is None:
                return None, file
            file = path
            ports.extend(parsed)
    return (tuple(dict.fromkeys(ports)), file) if file else (None, "")


def _published(one: Inspected) -> List[PublishedPort]:
    inside = _listened(one)
    return [
        PublishedPort(
            port.port,
            port.private_port,
            port.proto,
            (port.private_port in inside) if inside is not None and port.proto == "tcp" else None,
        )
        for port in published([one.raw])
    ]


def _listened(one: Inspected) -> Optional[List[int]]:
    """The TCP ports on which something listens inside a container, beyond its own loopback; None when that cannot be seen."""
    process = read_process(one.pid) if one.pid else None
    if process is None or not process.contained or os.geteuid() != 0:
        return None
    sockets = listening_sockets("/proc/%d" % one.pid, ("tcp",))
    return [item.port for item in sockets if not (item.address.startswith("127.") or item.address == "::1")]
