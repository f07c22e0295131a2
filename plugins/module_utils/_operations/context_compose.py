# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A shop in Docker Compose: containers, what they publish, and where their data really lies."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .._core import processes
from .._docker import ports as docker_ports
from .._docker.project import Container, place
from .._host import shop
from .._host.mongo_uri import MONGO_SERVICE, MongoUri, host_text, is_loopback
from .host_reader import API_PORTS, FRONTEND_PORTS, HostReader, directory_place, port_of, usable
from .mongo_stop import stop_values


def compose_parts(reader: HostReader) -> Dict[str, Any]:
    if reader.docker is None:
        reader.warnings.append(
            "the shop runs in Docker Compose, and no Docker Engine answers: what only it knows is missing here (%s)"
            % reader.engine_message
        )
    api = reader.project.one("api") if reader.project else None
    detail = reader.inspect(api) if api else {}
    cwd = str((detail.get("Config") or {}).get("WorkingDir") or "/app")
    told = reader.environment.values.get("PORT", "").strip()
    wanted = ([int(told)] if told.isdigit() else []) + list(API_PORTS)
    if api and api.network_mode == "host":
        listening = _listening(reader, detail)
        port = shop.api_port(reader.environment.values, listening)[0]
        host = usable(next((item.address for item in listening if item.port == port), ""))
    else:
        host, port = _reach(reader, api, detail, wanted)
    front = reader.project.one("frontend") if reader.project else None
    if front and front.network_mode == "host":
        sockets = sorted(_listening(reader, reader.inspect(front)), key=lambda item: item.port)
        front_host, front_port = (usable(sockets[0].address), sockets[0].port) if sockets else ("", 0)
    else:
        front_host, front_port = _reach(reader, front, {}, FRONTEND_PORTS)
    reach, container = _compose_mongo(reader)
    return {
        "api": {
            "container": api.name if api else "",
            "state": api.state if api else "",
            "cwd": cwd,
        },
        "api_url": "http://" + host_text(host, port) if port else "",
        "frontend_url": "http://" + host_text(front_host, front_port) if front_port else "",
        "ports": {"api": port, "frontend": front_port, "mongo": port_of(reach.address)},
        "mongo": dict(reader.mongo_values(reach, container), **stop_values(reader)),
        "storage": {
            name: _inside(api, detail, os.path.normpath(os.path.join(cwd, directory)))
            for name, directory in reader.storage_directories().items()
        },
    }


def _listening(reader: HostReader, detail: Mapping[str, Any]) -> List[processes.Socket]:
    """The sockets of a container that uses the host's network; it publishes nothing that one could look up."""
    pid = (detail.get("State") or {}).get("Pid") or 0
    return shop.ports_of(
        next((item for item in reader.processes if item.pid == pid), None), reader.processes, reader.sockets
    )


def _others(reader: HostReader, port: int) -> str:
    """Containers of other projects that publish a port of this host."""
    mine = {item.id for item in reader.project.containers} if reader.project else set()
    others = [raw for raw in reader.raw_containers if raw.get("Id") not in mine]
    return ", ".join(
        item.container for item in docker_ports.published(others) if item.proto == "tcp" and item.port == port
    )


def _free(reader: HostReader, what: str, bound: Tuple[str, int]) -> Tuple[str, int]:
    """Where a container that is stopped would be, unless another shop's has its port by now."""
    others = _others(reader, bound[1]) if bound[1] else ""
    if others:
        reader.warnings.append(
            "port %d, which the stopped container of %s publishes when it runs, is that of another project now (%s)"
            % (bound[1], what, others)
        )
        return "", 0
    return bound


def _reach(
    reader: HostReader, container: Optional[Container], detail: Mapping[str, Any], wanted: Sequence[int]
) -> Tuple[str, int]:
    """Address and port of one of the wanted ports of a container; port 0 when none can be reached."""
    if container is None:
        return "", 0
    inside = docker_ports.private_ports(container.raw)
    for port in [port for port in wanted if port in inside] + inside:
        reached = docker_ports.reach(container.raw, port)
        if reached:
            return reached[0], reached[1]
    return _free(reader, "the service %s" % container.service, _bound(detail, wanted))


def _compose_mongo(reader: HostReader) -> Tuple[shop.Reach, Optional[Container]]:
    uri, project = reader.uri, reader.project
    if uri is None or not uri.hosts:
        return shop.Reach("", "the environment file names no database"), None
    host, port = uri.hosts[0]
    if uri.srv:
        return shop.Reach("", "as the connection string says"), None
    container = project.one(host) if project else None
    if container is None and project:
        # By container name, or by whatever else serves the port when the string means the host ithost.
        container = next((item for item in project.containers if item.name == host), None)
        if container is None and (host == MONGO_SERVICE or is_loopback(host)):
            container = next((item for item in project.containers if item.service in ("mongo", "mongodb", "db")), None)
    if container is not None:
        return _mongo_in(reader, container, host, port), container
    if host == MONGO_SERVICE:
        return _mongo_unseen(reader, host, port), None
    address = "" if len(uri.hosts) > 1 or uri.replica_set else host_text(host, port)
    return shop.Reach(address, "as the connection string says"), None


def _mongo_in(reader: HostReader, container: Container, host: str, port: int) -> shop.Reach:
    """How the database in a container of the shop is reached."""
    published = [item for item in docker_ports.published([container.raw]) if item.proto == "tcp"]
    private = port
    if is_loopback(host):
        # That is the host's view already: its port is the published one. Inside it may be another.
        inside = docker_ports.private_ports(container.raw)
        mine = [item.private_port for item in published if item.port == port]
        private = mine[0] if mine else port if port in inside or not inside else inside[0]
    reached = docker_ports.reach(container.raw, private) if container.running else None
    if reached:
        return shop.Reach(
            host_text(reached[0], reached[1]),
            reached[2],
            _container_exposure(reader, container, private, published),
        )
    # Where it would be, so that whoever connects is told that nothing listens there.
    state = container.state + (", and this host cannot reach its port %d" % private if container.running else "")
    reader.warnings.append("the container %s of the database is %s" % (container.name, state))
    bound = _free(reader, "the database", _bound(reader.inspect(container), [private]))
    why = "its container is %s" % state
    return shop.Reach(host_text(*bound) if bound[1] else "", why, shop.Exposure(shop.UNKNOWN, why))


def _container_exposure(
    reader: HostReader, container: Container, private: int, published: Sequence[docker_ports.Published]
) -> shop.Exposure:
    if container.network_mode == "host":
        here = MongoUri("", (("127.0.0.1", private),))
        return shop.judge_exposure(here, reader.processes, reader.sockets)
    beyond = tuple(
        host_text(item.address, item.port) for item in published if item.private_port == private and not item.loopback
    )
    if beyond:
        return shop.Exposure(shop.EXPOSED, "%s publishes its port" % container.name, beyond)
    if container.network_mode.startswith("container:"):
        return shop.Exposure(shop.UNKNOWN, "%s shares the network of another container" % container.name)
    return shop.Exposure(shop.LOOPBACK, "%s publishes its port on loopback alone, or not at all" % container.name)


def _mongo_unseen(reader: HostReader, host: str, port: int) -> shop.Reach:
    """The database by its name inside compose, and no container of the shop has it."""
    listening = [item for item in reader.sockets if item.port == port]
    others = _others(reader, port)
    why = ""
    if others:
        why = "%s is a name inside compose; here its port is that of another project (%s)" % (host, others)
        reader.warnings.append("the shop's database was not found: " + why)
    elif not listening:
        why = "%s is a name inside compose, and nothing listens on port %d" % (host, port)
    if why:
        return shop.Reach("", why, shop.Exposure(shop.UNKNOWN, why))
    why = "something listens on its port on this host"
    if reader.docker is None:
        why += ", and no Docker Engine says whose it is"
        reader.warnings.append(
            "the database is taken for what listens on port %d: no Docker Engine says whose it is" % port
        )
    return shop.Reach("127.0.0.1:%d" % port, why)


def _inside(container: Optional[Container], detail: Mapping[str, Any], path: str) -> Dict[str, Any]:
    if container is None:
        return dict(directory_place(""), container_path=path, kind="unknown")
    found = place(detail or container.raw, path)
    return {
        "path": found.path,
        "kind": found.kind,
        "volume": found.volume,
        "container": container.name,
        "container_path": path,
        "in_writable_layer": found.kind == "layer",
    }


def _bound(detail: Mapping[str, Any], wanted: Sequence[int]) -> Tuple[str, int]:
    """Where a container publishes one of its ports when it runs; of one that is stopped the engine lists no ports."""
    bindings = (detail.get("HostConfig") or {}).get("PortBindings") or {}
    for port in [*wanted, *sorted(int(key.split("/")[0]) for key in bindings)]:
        for binding in bindings.get("%d/tcp" % port) or []:
            if (binding.get("HostPort") or "").isdigit() and int(binding["HostPort"]):
                return usable(binding.get("HostIp") or ""), int(binding["HostPort"])
    return "", 0
