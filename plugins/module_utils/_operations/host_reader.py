# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One look at a host: engine, containers, processes, sockets, and what the application was given. Each is read once."""

from __future__ import annotations

import os
import socket
from typing import Any, Dict, List, Mapping, Optional

from .._core import dotenv, processes
from .._core.errors import MaintenanceError, MissingLibrary, from_os_error
from .._core.finding import Finding
from .._docker import ports as docker_ports
from .._docker.client import Docker, DockerUnavailable, docker_errors
from .._docker.project import Container, Project, find_project, place
from .._host import compose_file, shop
from .._host.environment import (
    COMPOSE,
    CONTAINER,
    FILE,
    PROCESS,
    Environment,
    EnvironmentSource,
    choose_source,
    compare_databases,
)
from .._host.mongo_uri import MongoUri, host_port, host_text, is_loopback, password_quality
from .environment import EXPANDED, container_variables, process_source_name, process_variables

# What makes a directory a MiniEcom: any of these.
_MARKS = ("docker-compose.yml", "docker-compose.prod.yml", "backend", "scripts/run_maintenance_tasks.sh")
API_PORTS = (shop.DEFAULT_API_PORT, 3000, 5000)
FRONTEND_PORTS = (80, 8080, 3000, 5173, 443)
COMPOSE_FILES = ("docker-compose.yml", "docker-compose.prod.yml", "compose.yml", "compose.yaml")
_API_SERVICE = "api"


def require_shop(root: str) -> None:
    """Refuse a host without MiniEcom."""
    step = "Set root (miniecom_root) to the shop's directory, or take this host out of the group."
    try:
        names = os.listdir(root)
    except OSError as error:
        if isinstance(error, (FileNotFoundError, NotADirectoryError)):
            raise from_os_error(
                "there is no MiniEcom on this host: no such directory", error, target=root, next_step=step
            ) from error
        raise from_os_error("cannot look into the shop's directory", error, target=root) from error
    if not any(os.path.exists(os.path.join(root, mark)) for mark in _MARKS):
        raise MaintenanceError(
            "this directory is no MiniEcom: it holds none of %s (but %d other things)"
            % (", ".join(_MARKS), len(names)),
            target=root,
            next_step=step,
        )


def storage_directories(environment: Any) -> Dict[str, str]:
    """Where the application keeps its files, relative to its working directory or absolute. Pure.

    Args:
        environment: gives the variables that the application uses (get).
    """
    storage = environment.get("STORAGE_PATH") or "storage"
    return {
        "uploads": environment.get("UPLOAD_DIR") or "uploads",
        "invoices": environment.get("INVOICE_DIR") or os.path.join(storage, "invoices"),
        "labels": os.path.join(storage, "labels"),
    }


class HostReader:
    """What can be seen of a host and its shop.

    Attributes:
        docker: the engine, None when none answers; engine_reason and engine_message say why.
        project: the shop's compose project, if there is one.
        environment: what the application was given.
        uri: the connection string that it uses, without the password.
        warnings: sentences for the user, as they come up.
        findings: what is not as it should be, as it comes up.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = params
        self.root = os.path.normpath(str(params["root"]))
        self.env_file = str(params.get("env_file") or os.path.join(self.root, ".env"))
        self.warnings: List[str] = []
        self.findings: List[Finding] = []
        self.docker: Optional[Docker] = None
        self.engine_reason, self.engine_message = "", ""
        self.project: Optional[Project] = None
        self.raw_containers: List[Mapping[str, Any]] = []
        self._inspected: Dict[str, Dict[str, Any]] = {}

    def read(self) -> None:
        """Look at everything.

        Raises:
            MaintenanceError: there is no shop, or its environment file cannot be read.
        """
        require_shop(self.root)
        env_text = dotenv.read_text(self.env_file)
        # What the shop's own scripts read; they and compose take the file, whatever the application was given.
        self.file_values = dotenv.parse(env_text)
        self._ask_engine()
        self.processes = processes.list_processes()
        self.sockets = processes.listening_sockets(protocols=("tcp",))
        # A process tells its directory with every link resolved.
        self.real_root = os.path.realpath(self.root)
        self.api = shop.find_api(self.processes, self.sockets, self.real_root)
        self.mongods = shop.find_mongods(self.processes)
        self.compose_files = [name for name in COMPOSE_FILES if os.path.exists(os.path.join(self.root, name))]
        self.choice = shop.choose_deployment(
            str(self.params["deployment"]),
            self.engine_reason,
            (self.project.name or "without a project") if self.project else "",
            bool(self.project and self.project.running),
            self.api,
            self.mongods,
            bool(self.compose_files),
            bool(self.project and self.project.by_directory),
        )
        self.environment = self._environment(env_text)
        self.uri = self.environment.used.mongo_uri()
        self.databases = compare_databases(self.environment)
        if self.databases.conflict:
            self.warnings.append(self.databases.conflict)

    def close(self) -> None:
        if self.docker is not None:
            self.docker.close()

    def _ask_engine(self) -> None:
        try:
            self.docker = Docker.connect(self.params.get("docker_host"), self.params["docker_timeout"])
            with docker_errors("cannot list the containers", "Docker Engine"):
                self.raw_containers = list(self.docker.containers())
            found = find_project(self.raw_containers, self.root)
            self.project = found.project
            self.warnings.extend(
                "the compose project %s is named like the shop, but %s is not its directory: it is taken for another MiniEcom of this host and left alone"
                % (text, self.root)
                for text in found.ignored
            )
        except MaintenanceError as error:
            # On a native shop that is no error; whether it is one, the caller sees from the deployment.
            self.docker, self.engine_message = None, str(error)
            self.engine_reason = (
                error.reason
                if isinstance(error, DockerUnavailable)
                else "library"
                if isinstance(error, MissingLibrary)
                else "error"
            )

    def inspect(self, container: Container) -> Dict[str, Any]:
        """A container's configuration, asked for once."""
        if self.docker is None:
            return {}
        if container.id not in self._inspected:
            with docker_errors("cannot look at the container", container.name):
                self._inspected[container.id] = dict(self.docker.api.inspect_container(container.id))
        return self._inspected[container.id]

    # -- what the application was given ----------------------------------------------------------------------------

    def _environment(self, env_text: str) -> Environment:
        compose = self.choice.deployment == "compose"
        values = dotenv.parse_for_compose(env_text) if compose else dict(self.file_values)
        file = EnvironmentSource(FILE, self.env_file, "%s:%s" % (FILE, EXPANDED) if compose else FILE, values)
        sources = [file]
        if compose:
            sources[:0] = self._compose_sources(values)
        elif self.api is not None:
            given = process_variables(self.api.pid)
            if given is None:
                self.warnings.append(
                    "what the API (process %d) was given cannot be seen: %s counts alone. Run as root (become: true)."
                    % (self.api.pid, self.env_file)
                )
            else:
                name = process_source_name(self.api.pid, self.api.start_time)
                sources.insert(0, EnvironmentSource(PROCESS, "process %d" % self.api.pid, name, given))
        return choose_source(sources)

    def _compose_sources(self, env_values: Mapping[str, str]) -> List[EnvironmentSource]:
        api = self.project.one(_API_SERVICE) if self.project else None
        if api is not None and self.docker is not None:
            values = container_variables(self.inspect(api))
            return [EnvironmentSource(CONTAINER, "container %s" % api.name, "%s:%s" % (CONTAINER, api.name), values)]
        # No container yet: what compose would give to one.
        given: Dict[str, str] = {}
        places: List[str] = []
        for path in self._compose_paths():
            try:
                with open(path, encoding="utf-8", errors="replace") as handle:
                    found = compose_file.service_environment(handle.read(), _API_SERVICE)
            except OSError:
                continue
            if found:
                places.append(path)
                given.update({key: dotenv.expand(value, env_values) for key, value in found.items()})
        if not places:
            return []
        return [EnvironmentSource(COMPOSE, ",".join(places), "%s:%s" % (COMPOSE, places[-1]), given)]

    def _compose_paths(self) -> List[str]:
        if self.project is not None and self.project.files:
            return list(self.project.files)
        return [os.path.join(self.root, name) for name in self.compose_files[:1]]

    def storage_directories(self) -> Dict[str, str]:
        """Where the application keeps its files, relative to its working directory or absolute."""
        return storage_directories(self.environment)

    def configured_by(self, name: str) -> str:
        """The variable that says where a kind of files lies; "" where the application's own default does."""
        keys = {"uploads": ("UPLOAD_DIR",), "invoices": ("INVOICE_DIR", "STORAGE_PATH"), "labels": ("STORAGE_PATH",)}
        return next((key for key in keys.get(name, ()) if self.environment.get(key)), "")

    def credentials_quality(self) -> str:
        """The worse of the connection string's password and the root user's, who is let in just as well."""
        order = ("default", "none", "weak", "strong")
        found = [self.uri.quality] if self.uri else ["none"]
        for key in ("MONGO_ROOT_PASSWORD", "MONGO_INITDB_ROOT_PASSWORD"):
            value = self.environment.get(key) or self.file_values.get(key, "")
            if value:
                found.append(password_quality("", value))
        return min(found, key=order.index)

    # -- the database ----------------------------------------------------------------------------------------------

    def _data_path(self, pid: Optional[int], container: Optional[Container]) -> str:
        """Where the database keeps its data, as a directory of this host."""
        path = ""
        if container is not None:
            detail = self.inspect(container)
            path = place(detail, shop.db_path([str(word) for word in detail.get("Args") or []]) or "/data/db").path
        elif pid is not None:
            server = next((item for item in self.mongods if item.pid == pid), None)
            path = directory_of_open_file(pid, "mongod.lock")
            if server is not None and not path:
                told = shop.db_path(server.argv)
                path = os.path.join(server.cwd, told) if told and (server.cwd or os.path.isabs(told)) else ""
        return path if path and os.path.isdir(path) else ""

    def mongo_values(self, reach: shop.Reach, container: Optional[Container] = None) -> Dict[str, Any]:
        """The database as it is returned."""
        uri = self.uri or MongoUri("")
        exposure = reach.exposure or shop.judge_exposure(
            self.uri,
            self.processes,
            self.sockets,
            [(item.address, item.port) for item in docker_ports.published(self.raw_containers) if item.proto == "tcp"],
            is_own,
        )
        return {
            "address": reach.address,
            "why": reach.why,
            "database": uri.database,
            "place": self.environment.used.place,
            "others": [other.as_dict() for other in self.databases.others],
            "conflict": self.databases.conflict,
            "source": uri.source,
            "hosts": [host_text(host, port) for host, port in uri.hosts],
            "tls": uri.tls,
            "srv": uri.srv,
            "replica_set": uri.replica_set,
            "exposure": exposure.state,
            "exposure_why": exposure.why,
            "exposed": list(exposure.addresses),
            "pid": reach.pid,
            "exe": reach.exe,
            "container": container.name if container else "",
            "image_id": container.image_id if container else "",
            "data_path": self._data_path(reach.pid, container),
        }


def directory_of_open_file(pid: int, name: str) -> str:
    """The directory of a file that a process holds open all its life; "" when it may not be seen."""
    directory = "/proc/%d/fd" % pid
    try:
        targets = [os.readlink(os.path.join(directory, descriptor)) for descriptor in os.listdir(directory)]
    except OSError:
        return ""
    return next((os.path.dirname(target) for target in targets if os.path.basename(target) == name), "")


def directory_place(path: str) -> Dict[str, Any]:
    """A directory of the host as a place of storage."""
    return {
        "path": path,
        "kind": "directory",
        "volume": "",
        "container": "",
        "container_path": "",
        "in_writable_layer": False,
    }


def is_own(host: str) -> bool:
    """Whether an address or name is this machine's own. The DNS is not asked: it may be slow, and it is not what decides."""
    if is_loopback(host) or host == socket.gethostname():
        return True
    addresses = {host}
    try:
        with open("/etc/hosts", encoding="utf-8", errors="replace") as handle:
            for line in handle:
                words = line.partition("#")[0].split()
                if host in words[1:]:
                    addresses.add(words[0])
    except OSError:
        pass
    return any(is_loopback(address) or _binds(address) for address in addresses)


def _binds(address: str) -> bool:
    """Whether an address is one of this machine's interfaces: only to those a socket can be bound."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        socket.inet_pton(family, address)
        with socket.socket(family, socket.SOCK_DGRAM) as own:
            own.bind((address, 0))
    except (OSError, ValueError):
        return False
    return True


def usable(address: str) -> str:
    """Where to connect to reach what listens on an address."""
    return "127.0.0.1" if address in ("", "0.0.0.0", "::") else address  # noqa: S104


def port_of(address: str) -> int:
    """The port of an address, 0 when there is none."""
    return host_port(address)[1] if address else 0
