# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stopping and starting what runs the shop: containers of its compose project, and systemd units."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Mapping, Sequence, Tuple

from .._core import systemd
from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .._docker.client import Docker, docker_errors
from .._docker.project import LABEL
from .._flag.services import CONTAINER, UNIT, Service, ServiceState

# A member of a replica set needs 17 s to stop (see mongo_stop), and the engine kills it after 10 unless it is told otherwise.
STOP_SECONDS = 30
START_SECONDS = 60.0
_TIMEOUT = 120
WELL, STARTING, ILL, CRASHED, STOPPED = "well", "starting", "ill", "crashed", "stopped"
_SUFFIX = ".service"
_ACTIVE = ("active", "activating", "reloading", "refreshing")


@contextmanager
def _engine(docker_host: str, what: str, target: str) -> Iterator[Docker]:
    with Docker.connect(docker_host or None, _TIMEOUT) as docker, docker_errors(
        what, target, docker.docker_host, _TIMEOUT
    ):
        yield docker


def named_services(names: Sequence[str], project: str, docker_host: str) -> List[Service]:
    """What is meant by names: services of a compose project, and systemd units where there is no project or the name ends so.

    Raises:
        MaintenanceError: the project has no container of such a service, or the engine does not tell.
    """
    services = [name for name in names if project and not name.endswith(_SUFFIX)]
    containers: Dict[str, List[str]] = {}
    if services:
        with _engine(docker_host, "cannot list the containers of the project", project) as docker:
            listed = docker.api.containers(all=True, filters={"label": "%sproject=%s" % (LABEL, project)})
            host = docker.docker_host
        for raw in listed:
            labels = raw.get("Labels") or {}
            if str(labels.get(LABEL + "oneoff", "")).lower() != "true":
                name = str((raw.get("Names") or [raw["Id"]])[0]).lstrip("/")
                containers.setdefault(str(labels.get(LABEL + "service", "")), []).append(name)
    found: List[Service] = []
    for name in names:
        if name not in services:
            found.append(Service(UNIT, name if "." in name else name + _SUFFIX))
        elif name in containers:
            found += [Service(CONTAINER, container, host) for container in sorted(containers[name])]
        else:
            raise MaintenanceError(
                "the compose project has no container of this service",
                target=name,
                next_step="Name some of: %s." % (", ".join(sorted(containers)) or "none, as it has no containers"),
            )
    return found


def look_at_noted(noted: Sequence[Service]) -> List[ServiceState]:
    """The state of what a note names, as far as somebody tells. An engine that does not answer is asked once."""
    found = []
    silent: Dict[Tuple[str, str], str] = {}
    for service in noted:
        place = (service.kind, service.docker_host)
        if place not in silent:
            try:
                found += look_at_services([service], ())
                continue
            except MaintenanceError as error:
                silent[place] = str(error)
        found.append(ServiceState(service, False, unseen=silent[place]))
    return found


def look_at_services(noted: Sequence[Service], wanted: Sequence[Service]) -> List[ServiceState]:
    """The state of what a note names and of what is to be stopped.

    Raises:
        MaintenanceError: a unit that is to be stopped is not there, or nobody tells.
    """
    found = []
    for service in dict.fromkeys([*noted, *wanted]):
        state = _container_state(service) if service.kind == CONTAINER else _unit_state(service)
        present = bool(state)
        if not present and service in wanted:
            raise MaintenanceError("there is no such %s" % service.kind, target=service.name)
        if service in wanted and state.get("running") and state.get("fleeting"):
            raise MaintenanceError(
                "this %s is gone as soon as it is stopped, and could not be started again" % service.kind,
                target=service.name,
                next_step="Leave it out (maintenance_mode_stop_services), or stop and start it yourself.",
            )
        found.append(ServiceState(service, bool(state.get("running")), present, service in wanted))
    return found


def _container_state(service: Service) -> Mapping[str, Any]:
    with _engine(service.docker_host, "cannot look at the container", service.name) as docker:
        for raw in docker.api.containers(all=True, filters={"name": "^/?%s$" % service.name}):
            if service.name in [name.lstrip("/") for name in raw.get("Names") or ()]:
                host = docker.api.inspect_container(raw["Id"]).get("HostConfig") or {}
                running = raw.get("State") in ("running", "restarting", "paused")
                return {"running": running, "fleeting": bool(host.get("AutoRemove"))}
    return {}


def _unit_state(service: Service) -> Mapping[str, Any]:
    if not systemd.runs_this_host():
        raise MaintenanceError(
            "systemd does not run this host",
            target=service.name,
            next_step="Give compose_project, or leave stop_services out.",
        )
    found = systemd.unit_properties([service.name], ["LoadState", "ActiveState", "Transient"]).get(service.name, {})
    if found.get("LoadState") != "loaded":
        return {}
    return {"running": found.get("ActiveState") in _ACTIVE, "fleeting": found.get("Transient") == "yes"}


def stop_seconds(raw: Mapping[str, Any]) -> int:
    """How long a container has to stop before it is killed: no less than it asks for. Pure."""
    return max(STOP_SECONDS, int((raw.get("Config") or {}).get("StopTimeout") or 0))


def stop_service(service: Service) -> None:
    """Raises MaintenanceError: it runs on."""
    if service.kind == UNIT:
        systemd.call("systemctl", "stop", service.name)
        return
    with _engine(service.docker_host, "cannot stop the container", service.name) as docker:
        docker.api.stop(service.name, timeout=stop_seconds(docker.api.inspect_container(service.name)))


def start_service(service: Service) -> None:
    """Start it, and wait until it is healthy where it can say so.

    Raises:
        MaintenanceError: it does not come up.
    """
    if service.kind == UNIT:
        systemd.start_unit(service.name)
        return
    with _engine(service.docker_host, "cannot start the container", service.name) as docker:
        docker.api.start(service.name)
        deadline = time.monotonic() + START_SECONDS
        while True:
            state = docker.api.inspect_container(service.name).get("State") or {}
            health = str((state.get("Health") or {}).get("Status") or "")
            if state.get("Running") and health in ("", "none", "healthy"):
                return
            if time.monotonic() > deadline or not (state.get("Running") or state.get("Restarting")):
                break
            time.sleep(0.2)
    raise MaintenanceError(
        "it was started and does not come up (%s)" % (health or state.get("Status") or "ended"),
        target=service.name,
        next_step="Look at docker logs %s, then run this again." % service.name,
    )


@dataclass(frozen=True)
class Health:
    """How a service is: well, starting (nobody knows yet), ill, crashed, or stopped by somebody. why: in words, where something is wrong."""

    service: Service
    state: str
    why: str = ""


def health_of(service: Service) -> Health:
    """How a service is, as engine or systemd tell.

    Raises:
        MaintenanceError: it is not there, or nobody tells.
    """
    if service.kind == UNIT:
        found = systemd.unit_properties([service.name], ["LoadState", "ActiveState", "Result"]).get(service.name, {})
        if found.get("LoadState") != "loaded":
            raise MaintenanceError("there is no such unit", target=service.name)
        if found.get("ActiveState") == "failed":
            return Health(service, CRASHED, "it has failed (%s)" % (found.get("Result") or "without a word"))
        return Health(service, WELL if found.get("ActiveState") in _ACTIVE else STOPPED)
    with _engine(service.docker_host, "cannot look at the container", service.name) as docker:
        return judge_container(service, docker.api.inspect_container(service.name))


def judge_container(service: Service, raw: Mapping[str, Any]) -> Health:
    """How a container is. Pure.

    One that the engine itself would start again whenever it ends was stopped by somebody when it does not run.
    """
    state = raw.get("State") or {}
    if state.get("Running") and not state.get("Paused") and not state.get("Restarting"):
        told = str((state.get("Health") or {}).get("Status") or "")
        if told == "unhealthy":
            return Health(service, ILL, "its health check fails")
        return Health(service, STARTING if told == "starting" else WELL)
    policy = str(((raw.get("HostConfig") or {}).get("RestartPolicy") or {}).get("Name") or "")
    code = int(state.get("ExitCode") or 0)
    if state.get("Restarting"):
        return Health(service, ILL, "it ends again and again (%d)" % code)
    if code and str(state.get("Status")) == "exited" and policy not in ("always", "unless-stopped"):
        return Health(service, CRASHED, "it has ended with %d" % code)
    return Health(service, STOPPED)


def restart_service(service: Service) -> None:
    """Raises MaintenanceError: it does not come up."""
    if service.kind == UNIT:
        systemd.start_unit(service.name, "restart")
        return
    with _engine(service.docker_host, "cannot restart the container", service.name) as docker:
        docker.api.restart(service.name, timeout=stop_seconds(docker.api.inspect_container(service.name)))
