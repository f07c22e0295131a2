#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: context_info
short_description: Find and describe the MiniEcom of a host
version_added: 0.1.0
description:
  - Finds the shop once, so that no other module has to guess. Where it lies, whether it runs in Docker Compose or natively, which compose
    project it is, on which ports it really answers, how this host reaches its database, where its uploads and invoices really are, and which of
    its own scheduled jobs would prune and delete beside this collection.
  - What runs counts more than what files say. A compose project is read from the labels of its containers, ports from what is published or what
    listens.
  - A host may hold several shops. A compose project named like the shop whose labels name another directory that exists is another shop; it is
    never taken for this one, and a warning names it.
  - Returns no secret. Of the environment file only the settings that concern maintenance are told, and of the database's credentials only how
    good they are.
  - Needs nothing but Python's standard library on the host; the Docker SDK for Python where the shop runs in containers.
options:
  root:
    description: The shop's directory. A host without it is refused.
    type: path
    default: /opt/miniecom
  env_file:
    description: The shop's environment file. The default is C(.env) in O(root).
    type: path
  deployment:
    description:
      - Whether the shop runs in Docker Compose or as processes of the host.
      - V(auto) decides by what runs. The containers of the compose project that was made from O(root) come first, then an API whose working
        directory is C(backend) in O(root), then a compose project that only its name speaks for. Without a Docker Engine it is V(native) when
        the API or a mongod runs as a process of the host, else V(compose).
    type: str
    choices: [auto, compose, native]
    default: auto
  docker_host:
    description: Address of the Docker Engine. The default is E(DOCKER_HOST), else the engine's usual socket.
    type: str
  timeout:
    description: Seconds to wait for an answer of the engine.
    type: int
    default: 30
  cron_paths:
    description:
      - Files and directories to look for scheduled jobs in, instead of the system's own crontabs, run-parts directories and systemd units.
    type: list
    elements: path
extends_documentation_fragment:
  - miniecom.maintenance.attributes.info
  - miniecom.maintenance.run
author:
  - miniecom.maintenance contributors (@miniecom)
seealso:
  - module: miniecom.maintenance.maintenance_run
  - module: miniecom.maintenance.maintenance_flag_info
"""

EXAMPLES = r"""
- name: Find the shop in its usual place
  miniecom.maintenance.context_info:
  register: shop

- name: Look into its database with what was found
  miniecom.maintenance.mongo_info:
    env_file: "{{ shop.context.env_file }}"
    address: "{{ shop.context.mongo.address }}"

- name: Find a shop that lies elsewhere and runs natively
  miniecom.maintenance.context_info:
    root: /srv/shop
    env_file: /etc/miniecom/env
    deployment: native

- name: Fail while one of the shop's own jobs deletes backups
  ansible.builtin.assert:
    that: shop.context.blocking_jobs | length == 0
    fail_msg: "Switch off first: {{ shop.context.blocking_jobs | join(', ') }}"
"""

RETURN = r"""
context:
  description: The shop as it was found.
  returned: success
  type: dict
  contains:
    root:
      description: The shop's directory.
      type: str
    env_file:
      description: Its environment file.
      type: str
    deployment:
      description: V(compose) or V(native).
      type: str
    why:
      description: Why it was taken for that.
      type: str
    compose:
      description:
        - The compose project, from the labels of its containers. C(project), C(working_dir), C(files), C(env_files), C(profiles) (of the services
          that have a container) and C(containers), a list for each service with C(id), C(name), C(state), C(health), C(image) and C(image_id).
      type: dict
    docker:
      description:
        - Whether a Docker Engine answers (C(available)); its C(version), image C(store) and, when it runs on this host, the directory of its data
          (C(data_root)).
        - C(absent) says that the host has none and needs none, as a native shop may. One that is there and does not answer is not absent.
        - C(reason) is why none answers, as one word for conditions, and C(message) the same in a sentence; both are empty when one answers. V(missing)
          (no socket there) and V(refused) (nobody listens) may mean that the host has no engine. All others mean that there is one or that nobody
          can tell, V(permission), V(timeout), V(tls), V(version), V(address), V(connection), V(library) (the Docker SDK for Python is missing) and
          V(error) (it refused to list its containers).
      type: dict
      sample: {"available": false, "absent": true, "reason": "missing", "message": "there is no Docker Engine ...", "version": "", "store": "", "data_root": ""}
    api:
      description: The API natively, C(pid) and C(cwd); in compose the C(container), its C(state) and C(cwd).
      type: dict
    api_url:
      description: Where this host reaches the API; empty when that is not known.
      type: str
    health_url:
      description: Its health endpoint.
      type: str
    frontend_url:
      description: Where this host reaches the frontend; empty when that is not known.
      type: str
    ports:
      description: C(api), C(frontend) and C(mongo) as this host reaches them, 0 when not known, and what containers publish (C(published)).
      type: dict
    mongo:
      description:
        - The database. C(address) to give to modules as O(miniecom.maintenance.mongo_info#module:address), empty when the connection string is
          right as it stands, and C(why); C(database), the C(source) variable, C(hosts), C(tls), C(srv) and C(replica_set) of the connection
          string; natively C(pid) and C(exe) of its mongod, in compose its C(container) and C(image_id); C(data_path), the directory of this host
          in which it keeps its data, empty when that is not known.
        - C(exposure) says from where it can be reached, V(exposed) (from beyond this host), V(loopback) (from this host only) or V(unknown), and
          C(exposure_why) by what that is known, or why it is not. C(exposed) lists the addresses beyond loopback on which it accepts connections.
      type: dict
    credentials_quality:
      description: Of the database's credentials in the environment file, V(none), V(default) (of a list that everybody tries), V(weak) or V(strong).
      type: str
    storage:
      description:
        - Where C(backups), C(logs), C(uploads), C(invoices) and C(labels) are. Each with its C(path) on the host (empty when it has none), whether
          that C(exists), what C(kind) of place it is (V(directory), V(bind), V(volume), V(tmpfs), V(layer), or V(unknown) where no container could
          be looked at), its C(volume), and in compose C(container) and C(container_path). C(in_writable_layer) is true for what is lost when the
          container is made anew; what is in a V(tmpfs) is lost when it stops.
      type: dict
    settings:
      description: Settings of the environment file that concern maintenance, with the shop's defaults where it says nothing.
      type: dict
      sample: {"BACKUP_RETENTION_DAYS": 14, "LOG_RETENTION_DAYS": 30, "MAX_LOG_SIZE": "100M"}
    jobs:
      description:
        - The shop's own scheduled jobs that are dangerous beside this collection. C(source) and C(line), C(schedule), C(user), C(kind) (what was
          recognised), C(danger) (the worst), all C(dangers), and whether the job is C(active).
      type: list
      elements: dict
      sample:
        - {"source": "/etc/cron.d/miniecom", "line": 3, "schedule": "0 3 * * 0", "user": "root", "kind": "run_maintenance_tasks.sh",
           "danger": "deletes_backups", "dangers": ["deletes_backups", "prunes_docker"], "active": true}
    jobs_unreadable:
      description: Files and directories that may hold further jobs and could not be read, each with the reason.
      type: list
      elements: str
      sample: ["/var/spool/cron/crontabs (EACCES)"]
    blocking_jobs:
      description: Active jobs that delete backups, one text each, for O(miniecom.maintenance.backup_prune#module:blocked_by).
      type: list
      elements: str
    libraries:
      description: C(python), C(interpreter), and the versions of C(pymongo) and C(docker), empty when missing.
      type: dict
summary:
  description: C(headline), C(dangerous_jobs) (active ones) and C(seconds).
  returned: success
  type: dict
  sample: {"headline": "MiniEcom at /opt/miniecom, compose project miniecom, API on port 3001", "dangerous_jobs": 1, "seconds": 0.12}
"""

import errno
import os
import socket
import sys
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core import dotenv, processes
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.errors import MaintenanceError, MissingLibrary
from ..module_utils._core.legacy_runner import run_info
from ..module_utils._core.run_context import RunContext
from ..module_utils._docker import ports as docker_ports
from ..module_utils._docker.client import Docker, DockerUnavailable, docker_errors
from ..module_utils._docker.project import Container, Project, find_project, place, profiles
from ..module_utils._host import jobs, shop

SPEC = (
    ArgumentSpec(
        {
            "root": {"type": "path", "default": "/opt/miniecom"},
            "env_file": {"type": "path"},
            "deployment": {"type": "str", "choices": ["auto", "compose", "native"], "default": "auto"},
            "docker_host": {"type": "str"},
            "timeout": {"type": "int", "default": 30},
            "cron_paths": {"type": "list", "elements": "path"},
        }
    )
    + RUN_ARGUMENTS
)

# What makes a directory a MiniEcom: any of these.
_MARKS = ("docker-compose.yml", "docker-compose.prod.yml", "backend", "scripts/run_maintenance_tasks.sh")
_API_PORTS = (shop.DEFAULT_API_PORT, 3000, 5000)
_FRONTEND_PORTS = (80, 8080, 3000, 5173, 443)
_KINDS = {"uploads": "uploads", "invoices": "storage/invoices", "labels": "storage/labels"}


def require_shop(root: str) -> None:
    """Refuse a host without MiniEcom."""
    step = "Set root (miniecom_root) to the shop's directory, or take this host out of the group."
    try:
        names = os.listdir(root)
    except OSError as error:
        code = errno.errorcode.get(error.errno or 0, "")
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise MaintenanceError(
                "there is no MiniEcom on this host: no such directory", target=root, code=code, next_step=step
            ) from error
        raise MaintenanceError(
            "cannot look into the shop's directory",
            target=root,
            code=code,
            next_step="Run as its owner or as root (become: true).",
        ) from error
    if not any(os.path.exists(os.path.join(root, mark)) for mark in _MARKS):
        raise MaintenanceError(
            "this directory is no MiniEcom: it holds none of %s (but %d other things)"
            % (", ".join(_MARKS), len(names)),
            target=root,
            next_step=step,
        )


def library_versions() -> Dict[str, str]:
    from importlib import metadata

    found = {"python": "%d.%d.%d" % sys.version_info[:3], "interpreter": sys.executable}
    for package in ("pymongo", "docker"):
        try:
            found[package] = str(metadata.version(package))
        except metadata.PackageNotFoundError:
            found[package] = ""
    return found


class Look:
    """One look at the host. Each part is read once."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = params
        self.root = os.path.normpath(str(params["root"]))
        self.warnings: List[str] = []
        require_shop(self.root)
        self.env_file = str(params.get("env_file") or os.path.join(self.root, ".env"))
        self.env = dotenv.load(self.env_file)
        self.docker: Optional[Docker] = None
        self.engine_reason, self.engine_message = "", ""
        self.project: Optional[Project] = None
        self.raw_containers: List[Mapping[str, Any]] = []
        self._ask_engine()
        self.processes = processes.list_processes()
        self.sockets = processes.listening_sockets(protocols=("tcp",))
        # A process tells its directory with every link resolved.
        self.real_root = os.path.realpath(self.root)
        self.api = shop.find_api(self.processes, self.sockets, self.real_root)
        self.mongods = shop.find_mongods(self.processes)
        self.uri = shop.mongo_uri(self.env)

    def _ask_engine(self) -> None:
        try:
            self.docker = Docker.connect(self.params.get("docker_host"), self.params["timeout"])
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

    def _inspect(self, container: Container) -> Dict[str, Any]:
        if self.docker is None:
            return {}
        with docker_errors("cannot look at the container", container.name):
            return dict(self.docker.api.inspect_container(container.id))

    def describe(self) -> Dict[str, Any]:
        compose_files = [
            name
            for name in ("docker-compose.yml", "docker-compose.prod.yml", "compose.yml", "compose.yaml")
            if os.path.exists(os.path.join(self.root, name))
        ]
        choice = shop.choose_deployment(
            str(self.params["deployment"]),
            self.engine_reason,
            (self.project.name or "without a project") if self.project else "",
            bool(self.project and self.project.running),
            self.api,
            self.mongods,
            bool(compose_files),
            bool(self.project and self.project.by_directory),
        )
        told = shop.settings(self.env)
        self.warnings.extend(told.warnings)
        context: Dict[str, Any] = {
            "root": self.root,
            "env_file": self.env_file,
            "deployment": choice.deployment,
            "why": choice.why,
            "docker": {
                "available": self.docker is not None,
                "absent": choice.deployment == "native" and self.engine_reason in shop.NO_ENGINE,
                "reason": self.engine_reason,
                "message": self.engine_message,
                "version": str(getattr(self.docker, "version", "") or "") if self.docker else "",
                "store": str(getattr(self.docker, "store", "") or "") if self.docker else "",
                "data_root": self._data_root(),
            },
            "compose": self._compose(),
            "credentials_quality": self._credentials(),
            "settings": told.values,
            "libraries": library_versions(),
        }
        if self.uri is None:
            self.warnings.append("the environment file sets neither %s nor %s" % shop.URI_KEYS)
        context.update(self._compose_parts() if choice.deployment == "compose" else self._native_parts())
        storage = context["storage"]
        for name, directory in (("backups", str(told.values["BACKUP_DIR"])), ("logs", "storage/logs")):
            storage[name] = _directory(os.path.normpath(os.path.join(self.root, directory)))
        for entry in storage.values():
            entry["exists"] = bool(entry["path"]) and os.path.isdir(entry["path"])
        context["ports"]["published"] = [
            {
                "address": item.address,
                "port": item.port,
                "private_port": item.private_port,
                "proto": item.proto,
                "container": item.container,
            }
            for item in docker_ports.published(
                container.raw for container in (self.project.containers if self.project else ())
            )
        ]
        context["health_url"] = context["api_url"] + "/api/health" if context["api_url"] else ""
        context.update(self._jobs())
        return context

    def _data_root(self) -> str:
        """Where the engine keeps volumes and images, if that is a directory of this host."""
        if self.docker is None or not self.docker.docker_host.startswith("unix:"):
            return ""
        path = str(self.docker.info.get("DockerRootDir") or "")
        return path if os.path.isdir(path) else ""

    def _data_path(self, pid: Optional[int], container: Optional[Container]) -> str:
        """Where the database keeps its data, as a directory of this host."""
        path = ""
        if container is not None:
            detail = self._inspect(container)
            path = place(detail, shop.db_path([str(word) for word in detail.get("Args") or []]) or "/data/db").path
        elif pid is not None:
            server = next((item for item in self.mongods if item.pid == pid), None)
            path = _directory_of_open_file(pid, "mongod.lock")
            if server is not None and not path:
                told = shop.db_path(server.argv)
                path = os.path.join(server.cwd, told) if told and (server.cwd or os.path.isabs(told)) else ""
        return path if path and os.path.isdir(path) else ""

    def _credentials(self) -> str:
        """The worse of the connection string's password and the root user's, who is let in just as well."""
        order = ("default", "none", "weak", "strong")
        found = [self.uri.quality] if self.uri else ["none"]
        for key in ("MONGO_ROOT_PASSWORD", "MONGO_INITDB_ROOT_PASSWORD"):
            if self.env.get(key):
                found.append(shop.password_quality("", self.env[key]))
        return min(found, key=order.index)

    def _compose(self) -> Dict[str, Any]:
        project = self.project
        if project is None:
            return {"project": "", "working_dir": "", "files": [], "env_files": [], "profiles": [], "containers": {}}
        services = project.services()
        named: Dict[str, List[str]] = {}
        for path in project.files:
            try:
                with open(path, encoding="utf-8", errors="replace") as handle:
                    for service, names in profiles(handle.read()).items():
                        named.setdefault(service, []).extend(names)
            except OSError as error:
                self.warnings.append(
                    "the compose file %s, from which containers were made, cannot be read (%s)"
                    % (path, errno.errorcode.get(error.errno or 0, ""))
                )
        return {
            "project": project.name,
            "working_dir": project.working_dir,
            "files": list(project.files),
            "env_files": list(project.env_files),
            "profiles": sorted({name for service in services for name in named.get(service, [])}),
            "containers": {name: [container.as_dict() for container in found] for name, found in services.items()},
        }

    # -- native ----------------------------------------------------------------------------------------------------

    def _native_parts(self) -> Dict[str, Any]:
        found = shop.ports_of(self.api, self.processes, self.sockets)
        port, why = shop.api_port(self.env, found)
        address = next((item.address for item in found if item.port == port), "")
        cwd = self.api.cwd if self.api and self.api.cwd else os.path.join(self.root, "backend")
        reach = shop.native_mongo(self.uri, self.mongods, self.sockets)
        self.warnings.extend(reach.warnings)
        frontend = self._native_frontend()
        return {
            "api": {"pid": self.api.pid if self.api else None, "cwd": cwd, "port_why": why},
            "api_url": "http://" + shop.host_text(_usable(address), port),
            "frontend_url": "http://" + shop.host_text(_usable(frontend.address), frontend.port) if frontend else "",
            "ports": {"api": port, "frontend": frontend.port if frontend else 0, "mongo": _port(reach.address)},
            "mongo": self._mongo(reach),
            "storage": {name: _directory(os.path.join(cwd, directory)) for name, directory in _KINDS.items()},
        }

    def _native_frontend(self) -> Optional[processes.Socket]:
        directory = os.path.join(self.real_root, "frontend")
        pids = {item.pid for item in self.processes if item.cwd == directory and not item.contained}
        found = [item for item in self.sockets if item.pid in pids]
        if not found:
            # nginx serves the built files: its ports are those of a web server.
            web = {item.pid for item in self.processes if item.name in ("nginx", "caddy") and not item.contained}
            found = [item for item in self.sockets if item.pid in web and item.port in _FRONTEND_PORTS]
        return min(found, key=lambda item: item.port) if found else None

    def _mongo(self, reach: shop.Reach, container: Optional[Container] = None) -> Dict[str, Any]:
        uri = self.uri or shop.MongoUri("")
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
            "source": uri.source,
            "hosts": [shop.host_text(host, port) for host, port in uri.hosts],
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

    # -- compose ---------------------------------------------------------------------------------------------------

    def _compose_parts(self) -> Dict[str, Any]:
        if self.docker is None:
            self.warnings.append(
                "the shop runs in Docker Compose, and no Docker Engine answers: what only it knows is missing here (%s)"
                % self.engine_message
            )
        api = self.project.one("api") if self.project else None
        detail = self._inspect(api) if api else {}
        cwd = str((detail.get("Config") or {}).get("WorkingDir") or "/app")
        told = self.env.get("PORT", "").strip()
        wanted = ([int(told)] if told.isdigit() else []) + list(_API_PORTS)
        if api and api.network_mode == "host":
            listening = self._listening(detail)
            port = shop.api_port(self.env, listening)[0]
            host = _usable(next((item.address for item in listening if item.port == port), ""))
        else:
            host, port = self._reach(api, detail, wanted)
        front = self.project.one("frontend") if self.project else None
        if front and front.network_mode == "host":
            sockets = sorted(self._listening(self._inspect(front)), key=lambda item: item.port)
            front_host, front_port = (_usable(sockets[0].address), sockets[0].port) if sockets else ("", 0)
        else:
            front_host, front_port = self._reach(front, {}, _FRONTEND_PORTS)
        reach, container = self._compose_mongo()
        return {
            "api": {
                "container": api.name if api else "",
                "state": api.state if api else "",
                "cwd": cwd,
            },
            "api_url": "http://" + shop.host_text(host, port) if port else "",
            "frontend_url": "http://" + shop.host_text(front_host, front_port) if front_port else "",
            "ports": {"api": port, "frontend": front_port, "mongo": _port(reach.address)},
            "mongo": self._mongo(reach, container),
            "storage": {
                name: self._inside(api, detail, os.path.join(cwd, directory)) for name, directory in _KINDS.items()
            },
        }

    def _listening(self, detail: Mapping[str, Any]) -> List[processes.Socket]:
        """The sockets of a container that uses the host's network; it publishes nothing that one could look up."""
        pid = (detail.get("State") or {}).get("Pid") or 0
        return shop.ports_of(
            next((item for item in self.processes if item.pid == pid), None), self.processes, self.sockets
        )

    def _others(self, port: int) -> str:
        """Containers of other projects that publish a port of this host."""
        mine = {item.id for item in self.project.containers} if self.project else set()
        others = [raw for raw in self.raw_containers if raw.get("Id") not in mine]
        return ", ".join(
            item.container for item in docker_ports.published(others) if item.proto == "tcp" and item.port == port
        )

    def _free(self, what: str, bound: Tuple[str, int]) -> Tuple[str, int]:
        """Where a container that is stopped would be, unless another shop's has its port by now."""
        others = self._others(bound[1]) if bound[1] else ""
        if others:
            self.warnings.append(
                "port %d, which the stopped container of %s publishes when it runs, is that of another project now (%s)"
                % (bound[1], what, others)
            )
            return "", 0
        return bound

    def _reach(
        self, container: Optional[Container], detail: Mapping[str, Any], wanted: Sequence[int]
    ) -> Tuple[str, int]:
        """Address and port of one of the wanted ports of a container; port 0 when none can be reached."""
        if container is None:
            return "", 0
        inside = docker_ports.private_ports(container.raw)
        for port in [port for port in wanted if port in inside] + inside:
            reached = docker_ports.reach(container.raw, port)
            if reached:
                return reached[0], reached[1]
        return self._free("the service %s" % container.service, _bound(detail, wanted))

    def _compose_mongo(self) -> Tuple[shop.Reach, Optional[Container]]:
        uri, project = self.uri, self.project
        if uri is None or not uri.hosts:
            return shop.Reach("", "the environment file names no database"), None
        host, port = uri.hosts[0]
        if uri.srv:
            return shop.Reach("", "as the connection string says"), None
        container = project.one(host) if project else None
        if container is None and project:
            # By container name, or by whatever else serves the port when the string means the host itself.
            container = next((item for item in project.containers if item.name == host), None)
            if container is None and (host == shop.MONGO_SERVICE or shop.is_loopback(host)):
                container = next(
                    (item for item in project.containers if item.service in ("mongo", "mongodb", "db")), None
                )
        if container is not None:
            return self._mongo_in(container, host, port), container
        if host == shop.MONGO_SERVICE:
            return self._mongo_unseen(host, port), None
        address = "" if len(uri.hosts) > 1 or uri.replica_set else shop.host_text(host, port)
        return shop.Reach(address, "as the connection string says"), None

    def _mongo_in(self, container: Container, host: str, port: int) -> shop.Reach:
        """How the database in a container of the shop is reached."""
        published = [item for item in docker_ports.published([container.raw]) if item.proto == "tcp"]
        private = port
        if shop.is_loopback(host):
            # That is the host's view already: its port is the published one. Inside it may be another.
            inside = docker_ports.private_ports(container.raw)
            mine = [item.private_port for item in published if item.port == port]
            private = mine[0] if mine else port if port in inside or not inside else inside[0]
        reached = docker_ports.reach(container.raw, private) if container.running else None
        if reached:
            return shop.Reach(
                shop.host_text(reached[0], reached[1]),
                reached[2],
                self._container_exposure(container, private, published),
            )
        # Where it would be, so that whoever connects is told that nothing listens there.
        state = container.state + (", and this host cannot reach its port %d" % private if container.running else "")
        self.warnings.append("the container %s of the database is %s" % (container.name, state))
        bound = self._free("the database", _bound(self._inspect(container), [private]))
        why = "its container is %s" % state
        return shop.Reach(shop.host_text(*bound) if bound[1] else "", why, shop.Exposure(shop.UNKNOWN, why))

    def _container_exposure(
        self, container: Container, private: int, published: Sequence[docker_ports.Published]
    ) -> shop.Exposure:
        if container.network_mode == "host":
            here = shop.MongoUri("", (("127.0.0.1", private),))
            return shop.judge_exposure(here, self.processes, self.sockets)
        beyond = tuple(
            shop.host_text(item.address, item.port)
            for item in published
            if item.private_port == private and not item.loopback
        )
        if beyond:
            return shop.Exposure(shop.EXPOSED, "%s publishes its port" % container.name, beyond)
        if container.network_mode.startswith("container:"):
            return shop.Exposure(shop.UNKNOWN, "%s shares the network of another container" % container.name)
        return shop.Exposure(shop.LOOPBACK, "%s publishes its port on loopback alone, or not at all" % container.name)

    def _mongo_unseen(self, host: str, port: int) -> shop.Reach:
        """The database by its name inside compose, and no container of the shop has it."""
        listening = [item for item in self.sockets if item.port == port]
        others = self._others(port)
        why = ""
        if others:
            why = "%s is a name inside compose; here its port is that of another project (%s)" % (host, others)
            self.warnings.append("the shop's database was not found: " + why)
        elif not listening:
            why = "%s is a name inside compose, and nothing listens on port %d" % (host, port)
        if why:
            return shop.Reach("", why, shop.Exposure(shop.UNKNOWN, why))
        why = "something listens on its port on this host"
        if self.docker is None:
            why += ", and no Docker Engine says whose it is"
            self.warnings.append(
                "the database is taken for what listens on port %d: no Docker Engine says whose it is" % port
            )
        return shop.Reach("127.0.0.1:%d" % port, why)

    @staticmethod
    def _inside(container: Optional[Container], detail: Mapping[str, Any], path: str) -> Dict[str, Any]:
        if container is None:
            return dict(_directory(""), container_path=path, kind="unknown")
        found = place(detail or container.raw, path)
        return {
            "path": found.path,
            "kind": found.kind,
            "volume": found.volume,
            "container": container.name,
            "container_path": path,
            "in_writable_layer": found.kind == "layer",
        }

    # -- jobs ------------------------------------------------------------------------------------------------------

    def _jobs(self) -> Dict[str, Any]:
        finder = jobs.Finder(self.root, self.params.get("cron_paths") or jobs.DEFAULT_PATHS)
        found = [job for job in finder.find() if job.dangers]
        if finder.unreadable:
            self.warnings.append("not looked at for scheduled jobs: " + ", ".join(finder.unreadable[:10]))
        return {
            "jobs": [
                {
                    "source": job.source,
                    "line": job.line,
                    "schedule": job.schedule,
                    "user": job.user,
                    "kind": job.kind,
                    "danger": job.dangers[0],
                    "dangers": list(job.dangers),
                    "active": job.active,
                }
                for job in found
            ],
            "jobs_unreadable": list(finder.unreadable[:20]),
            "blocking_jobs": [
                "%s (%s)" % (job.where, job.kind) for job in found if job.active and jobs.DELETES_BACKUPS in job.dangers
            ],
        }


def _directory_of_open_file(pid: int, name: str) -> str:
    """The directory of a file that a process holds open all its life; "" when it may not be seen."""
    directory = "/proc/%d/fd" % pid
    try:
        targets = [os.readlink(os.path.join(directory, descriptor)) for descriptor in os.listdir(directory)]
    except OSError:
        return ""
    return next((os.path.dirname(target) for target in targets if os.path.basename(target) == name), "")


def _bound(detail: Mapping[str, Any], wanted: Sequence[int]) -> Tuple[str, int]:
    """Where a container publishes one of its ports when it runs; of one that is stopped the engine lists no ports."""
    bindings = (detail.get("HostConfig") or {}).get("PortBindings") or {}
    for port in [*wanted, *sorted(int(key.split("/")[0]) for key in bindings)]:
        for binding in bindings.get("%d/tcp" % port) or []:
            if (binding.get("HostPort") or "").isdigit() and int(binding["HostPort"]):
                return _usable(binding.get("HostIp") or ""), int(binding["HostPort"])
    return "", 0


def _directory(path: str) -> Dict[str, Any]:
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
    if shop.is_loopback(host) or host == socket.gethostname():
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
    return any(shop.is_loopback(address) or _binds(address) for address in addresses)


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


def _usable(address: str) -> str:
    """Where to connect to reach what listens on an address."""
    return "127.0.0.1" if address in ("", "0.0.0.0", "::") else address  # noqa: S104


def _port(address: str) -> int:
    return shop.host_port(address)[1] if address else 0


def gather(module: AnsibleModule, context: RunContext) -> Dict[str, Any]:
    look = Look(module.params)
    found = look.describe()
    active = sum(1 for job in found["jobs"] if job["active"])
    kind = "native"
    if found["deployment"] == "compose":
        project = found["compose"]["project"]
        kind = "compose project %s" % project if project else "compose, without a project of its own"
    headline = "MiniEcom at %s, %s, API on port %s" % (found["root"], kind, found["ports"]["api"] or "unknown")
    if active:
        headline += "; %d dangerous job%s of its own active" % (active, "" if active == 1 else "s")
    return {
        "context": found,
        "warnings": look.warnings,
        "summary": {"headline": headline, "dangerous_jobs": active},
    }


def main() -> None:
    run_info(gather, SPEC)


if __name__ == "__main__":
    main()
