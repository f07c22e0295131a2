# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the nginx in front of the shop runs: on the host, or in a container of its compose project.

In a container its own program checks and loads the configuration, by the paths that it sees; the files are read and written
where they lie on the host. It is asked from within its own network, whatever of it is published.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import Any, Dict, Mapping, Optional, Sequence, Set, Tuple

from .._audit.external_program import Completed, run_program
from .._core.atomic_file import write_atomic
from .._core.errors import MaintenanceError, from_os_error
from .._core.in_place import finish_in_place, write_in_place
from .._core.late_dataclass import dataclass
from .._docker.client import Docker, docker_errors
from .._docker.project import LABEL, place
from .._flag import nginx_config
from .._flag.nginx_config import ServerBlock
from .._flag.nginx_layer import Setup

TIMEOUT = 30.0
DOCKER_TIMEOUT = 30
PLACES = "/usr/sbin:/usr/local/sbin:/usr/local/nginx/sbin:/opt/nginx/sbin"
NOTE_NAME = "nginx-file.json"
# What the engine answers when a command cannot be started in a container (OCI runtimes, as shells do).
_NOT_STARTED = (126, 127)


def config_text(path: str) -> str:
    """A file of nginx's configuration, "" where there is none.

    Raises:
        MaintenanceError: it cannot be read.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as handle:
            return handle.read()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise from_os_error("cannot read nginx's configuration", error, target=path) from error


def _same_directory(one: str, other: str) -> bool:
    """Whether two paths lead to one directory; a container goes on seeing one that was removed and made anew."""
    try:
        return os.path.isdir(one) and os.path.samefile(one, other)
    except OSError:
        return False


@dataclass(frozen=True)
class Found:
    """What a place tells of nginx's configuration.

    Attributes:
        problem: why nobody can use it, "" when somebody can.
        servers: all of them, each with the file on this host that it stands in.
        texts: these files as they are, by path on this host.
    """

    problem: str = ""
    servers: Tuple[ServerBlock, ...] = ()
    texts: Mapping[str, str] = ()  # type: ignore[assignment]


class HostNginx:
    """nginx as a program of this host."""

    container, docker_host, pid = "", "", 0

    def __init__(self, program: str, config: str) -> None:
        self._config = config
        self._program = shutil.which(program or "nginx", path="%s:%s" % (os.environ.get("PATH", os.defpath), PLACES))
        if program and not self._program:
            raise MaintenanceError(
                "there is no such program",
                target=program,
                next_step="Set program (maintenance_mode_nginx_program) to that of nginx, or leave it out.",
            )
        if config and not os.path.isfile(config):
            raise MaintenanceError(
                "there is no such file",
                target=config,
                next_step="Set config (maintenance_mode_nginx_config) to nginx's main configuration file, or leave it out.",
            )

    @property
    def missing(self) -> str:
        """Why there is nothing to ask, "" when there is."""
        return "" if self._program else "there is no nginx on this host"

    def run(self, *arguments: str) -> Completed:
        command = [self._program or "", *arguments]
        if self._config:
            command += ["-c", self._config]
        return run_program(
            "nginx",
            command,
            "/",
            dict(os.environ, LC_ALL="C"),
            TIMEOUT,
            "its configuration",
            "Look at the log of nginx: it does not come to an end.",
        )

    def read(self, dumped: Mapping[str, str], snippet: str) -> Found:
        """What is known after ``nginx -T``, whose files are given by their paths there."""
        texts = {path: config_text(path) for path in dumped if path != snippet}
        return Found("", tuple(nginx_config.find_servers(texts)), texts)

    def serves_shop(self, server: ServerBlock, ports: Sequence[int], root: str) -> bool:
        return nginx_config.serves_shop(server, ports, nginx_config.LOOPBACK, root)

    def write(self, path: str, text: str) -> None:
        """Raises MaintenanceError: it cannot be written."""
        try:
            # Behind the link of sites-enabled lies the file itself.
            write_atomic(os.path.realpath(path), text.encode("utf-8", "surrogateescape"))
        except OSError as error:
            raise from_os_error("cannot write nginx's configuration", error, target=path) from error

    def close(self) -> None:
        """Nothing is open."""


class ContainerNginx:
    """nginx in a container.

    Raises:
        MaintenanceError: the engine does not tell of it, or a killed write of its configuration cannot be taken back.
    """

    def __init__(self, name: str, docker_host: str, config: str, directory: str, note: str) -> None:
        self.container, self.docker_host = name, docker_host
        self._config, self._directory, self._note = config, directory, note
        self._docker = Docker.connect(docker_host or None, DOCKER_TIMEOUT)
        try:
            with docker_errors("cannot look at nginx's container", name, self._docker.docker_host, DOCKER_TIMEOUT):
                self._raw: Dict[str, Any] = self._docker.api.inspect_container(name)
                self._names = self._names_of_project()
        except MaintenanceError:
            self.close()
            raise

    def _names_of_project(self) -> Tuple[str, ...]:
        """The names by which this container reaches the others of its project."""
        project = (self._raw.get("Config") or {}).get("Labels", {}).get(LABEL + "project", "")
        if not project:
            return ()
        found: Set[str] = set()
        for raw in self._docker.api.containers(all=True, filters={"label": "%sproject=%s" % (LABEL, project)}):
            if raw.get("Id") != self._raw.get("Id"):
                found.update(name.lstrip("/") for name in raw.get("Names") or ())
                found.add((raw.get("Labels") or {}).get(LABEL + "service", ""))
        return tuple(sorted(found - {""}))

    @property
    def pid(self) -> int:
        return int((self._raw.get("State") or {}).get("Pid") or 0)

    @property
    def missing(self) -> str:
        if not (self._raw.get("State") or {}).get("Running"):
            return "its container %s does not run" % self.container
        seen = place(self._raw, self._directory)
        if not seen.path or not _same_directory("/proc/%d/root%s" % (self.pid, self._directory), self._directory):
            return (
                "its container %s does not see %s: give its service the volume %s:%s:ro, as compose_override does, and have compose "
                "make the container anew (docker compose up --detach --no-deps %s)"
                % (self.container, *[self._directory] * 3, self.service)
            )
        return ""

    @property
    def service(self) -> str:
        return str((self._raw.get("Config") or {}).get("Labels", {}).get(LABEL + "service", "") or self.container)

    def run(self, *arguments: str) -> Completed:
        command = ["nginx", *arguments, *(["-c", self._config] if self._config else [])]
        api = self._docker.api
        with docker_errors(
            "cannot run nginx in its container", self.container, self._docker.docker_host, DOCKER_TIMEOUT
        ):
            made = api.exec_create(self._raw["Id"], command, environment={"LC_ALL": "C"})
            output, errors = api.exec_start(made["Id"], demux=True)
            status = int(api.exec_inspect(made["Id"])["ExitCode"] or 0)
        if status in _NOT_STARTED and not errors:
            output, errors = b"", output
        return Completed(status, output or b"", errors or b"")

    def read(self, dumped: Mapping[str, str], snippet: str) -> Found:
        inner = {path: text for path, text in dumped.items() if path != snippet}
        here = {path: place(self._raw, path).path for path in inner}
        texts = dict(inner)
        for path, host_path in here.items():
            text = config_text(host_path) if host_path and os.path.isfile(host_path) else None
            if text is None:
                here[path] = ""
            elif text.strip() != inner[path].strip():
                return Found(
                    "its container %s sees %s as it was before somebody replaced that file: have compose make the container anew "
                    "(docker compose up --detach --force-recreate %s)" % (self.container, host_path, self.service)
                )
            else:
                texts[path] = text
        include = nginx_config.include_of(self._directory)
        servers = []
        for server in nginx_config.find_servers(texts):
            if not here[server.path] and include not in server.includes:
                if self.serves_shop(server, (), ""):
                    return Found(
                        "%s lies in the image of its container %s: put the line include %s; into each server there"
                        % (server.path, self.container, include)
                    )
            servers.append(replace(server, path=here[server.path] or server.path))
        return Found("", tuple(servers), {here[path] or path: text for path, text in texts.items()})

    def serves_shop(self, server: ServerBlock, ports: Sequence[int], root: str) -> bool:
        """In the shop's own project it is whatever passes requests to another container of it, or serves files."""
        return bool(server.roots) or any(host in self._names for host, _port in server.targets)

    def write(self, path: str, text: str) -> None:
        data = text.encode("utf-8", "surrogateescape")
        try:
            if any(mount.get("Source") == path for mount in self._raw.get("Mounts") or ()):
                # The container was given this one file, and would never see another that takes its place.
                try:
                    write_in_place(path, data, self._note)
                except OSError:
                    # A half of a file is worse than none of the work, should nginx be started again before the next call.
                    finish_in_place(self._note)
                    raise
            else:
                write_atomic(os.path.realpath(path), data)
        except OSError as error:
            raise from_os_error("cannot write nginx's configuration", error, target=path) from error

    def close(self) -> None:
        self._docker.close()


def finish_write(note: str) -> str:
    """Take back what a killed write into a container's file has left, "" when there is nothing.

    Raises:
        MaintenanceError: it cannot be.
    """
    try:
        return finish_in_place(note)
    except OSError as error:
        raise from_os_error("cannot take back what a killed call has written", error, target=note) from error


def override_for(service: str, directory: str) -> str:
    """What lets a service of a compose project see the directory, as a file beside its compose file."""
    return "services:\n  %s:\n    volumes:\n      - %s:%s:ro\n" % (service, directory, directory)


def reached(setup: Optional[Setup]) -> Optional[Setup]:
    """The same, with how its servers are asked just now: a container has another process after each start."""
    if setup is None or not setup.container:
        return setup
    try:
        with Docker.connect(setup.docker_host or None, DOCKER_TIMEOUT) as docker, docker_errors(
            "cannot look at nginx's container", setup.container, docker.docker_host, DOCKER_TIMEOUT
        ):
            state = docker.api.inspect_container(setup.container).get("State") or {}
    except MaintenanceError as error:
        return replace(setup, unreached="its container cannot be looked at: %s" % error)
    if not state.get("Running") or not state.get("Pid"):
        return replace(setup, unreached="its container %s does not run" % setup.container)
    return replace(setup, sites=tuple(replace(site, pid=int(state["Pid"])) for site in setup.sites))
