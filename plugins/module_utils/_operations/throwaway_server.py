# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the throwaway mongod of a restore test comes from: the shop's own program, in a process or in a container.

It composes MongoDB with Docker, and so stands above both.
"""

from __future__ import annotations

import os
from typing import Any, Mapping, Optional

from .._backup.restore_planning import ServerOrigin
from .._core import processes
from .._core.errors import MaintenanceError
from .._docker.client import Docker, DockerUnavailable
from .._docker.ports import addresses, container_name, published
from .._mongo import throwaway
from .._mongo.address import resolve
from .._mongo.client import Connection

PURPOSE = "restore test"
LABEL = "miniecom.maintenance"


class ContainerServer:
    """A throwaway mongod in a container without network, its directory shared with the host."""

    def __init__(self, docker: Docker, origin: ServerOrigin, name: str, directory: str) -> None:
        self._docker = docker
        self._origin = origin
        self._name = name
        self._directory = directory

    def start(self) -> Connection:
        """Start and connect. Raises MaintenanceError: it does not start."""
        os.mkdir(os.path.join(self._directory, "db"), 0o700)
        api = self._docker.api
        inside = "/restore-test"
        with self._docker.errors("cannot start a container for the restore test", self._name):
            api.create_container(
                self._origin.image,
                throwaway.arguments(inside),
                name=self._name,
                entrypoint=[self._origin.program],
                user="%d:%d" % (os.geteuid(), os.getegid()),
                working_dir=inside,
                labels={LABEL: PURPOSE},
                host_config=api.create_host_config(
                    network_mode="none",
                    binds=["%s:%s" % (os.path.realpath(self._directory), inside)],
                    # What the image declares as volumes would be made anonymously.
                    tmpfs={"/data/db": "", "/data/configdb": ""},
                    cap_drop=["ALL"],
                    security_opt=["no-new-privileges"],
                ),
            )
            api.start(self._name)
        return throwaway.wait_for_server(self._directory, self._ended, self._output)

    def _output(self) -> str:
        try:
            with self._docker.errors("cannot read what the container has written", self._name):
                written: bytes = self._docker.api.logs(self._name, stdout=True, stderr=True, tail=2)
        except MaintenanceError as error:
            return str(error)  # that the server did not start is what matters
        return " ".join(written.decode("utf-8", "replace").splitlines())[-600:]

    def _ended(self) -> Optional[str]:
        with self._docker.errors("cannot look at the container", self._name):
            state = self._docker.api.inspect_container(self._name)["State"]
        return None if state.get("Running") else "exit status %s %s" % (state.get("ExitCode"), state.get("Error") or "")

    def stop(self) -> None:
        """Remove the container with all it has."""
        with self._docker.errors("cannot remove the container of the restore test", self._name):
            if any("/" + self._name in (entry.get("Names") or []) for entry in self._docker.containers()):
                self._docker.api.remove_container(self._name, force=True, v=True)


class Origins:
    """Finds the program.

    Args:
        params: the module's options that say where the shop's server is, and where the engine.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params
        self._docker: Optional[Docker] = None

    def close(self) -> None:
        if self._docker is not None:
            self._docker.close()

    def find(self, program: Optional[str]) -> ServerOrigin:
        """The program named, else what serves the shop's address.

        Raises:
            MaintenanceError: there is none, or it cannot be found out.
        """
        if program:
            if not os.access(program, os.X_OK):
                raise MaintenanceError("mongod_program is no program", target=program, next_step="Correct the path.")
            return ServerOrigin(program)
        host, port = resolve(self._params).hosts[0]
        for socket in processes.listening_sockets(protocols=("tcp",)):
            process = processes.read_process(socket.pid) if socket.port == port and socket.pid is not None else None
            if process is not None and process.name.startswith("mongod") and not process.contained:
                # An upgrade may have replaced the file since; the link still leads to the program that runs.
                return ServerOrigin(process.exe if os.access(process.exe, os.X_OK) else "/proc/%d/exe" % process.pid)
        return self._find_container(host, port)

    def _find_container(self, host: str, port: int) -> ServerOrigin:
        step = "Set address to where the shop's mongod listens, run as root (become: true), or set mongod_program to a mongod of the same version."
        try:
            docker = self.engine()
        except DockerUnavailable as error:
            raise MaintenanceError(
                "no program for a throwaway mongod: no mongod of this host listens on port %d, and there is no Docker Engine to ask (%s)"
                % (port, error.what),
                target="%s:%d" % (host, port),
                next_step=step,
            ) from error
        for container in docker.containers():
            if container.get("State") != "running":
                continue
            reached = any(item.port == port and item.proto == "tcp" for item in published([container]))
            shared = (container.get("HostConfig") or {}).get("NetworkMode") == "host"
            if reached or shared or host in addresses(container):
                program = self._program_in(container)
                if program:
                    return ServerOrigin(program, str(container["ImageID"]), container_name(container))
        raise MaintenanceError(
            "no program for a throwaway mongod: neither a process of this host nor a running container serves this address",
            target="%s:%d" % (host, port),
            next_step=step,
        )

    def _program_in(self, container: Mapping[str, Any]) -> str:
        """The path, inside a container, of the mongod that runs in it; "" when none does."""
        docker = self.engine()
        if not docker.docker_host.startswith("unix://"):
            raise MaintenanceError(
                "a restore test in a container needs the engine on this host",
                target=docker.docker_host,
                next_step="Run on the Docker host, or set mongod_program.",
            )
        with docker.errors("cannot look at the container", container_name(container)):
            listed = docker.api.top(container["Id"])
        titles = listed.get("Titles") or []
        for row in listed.get("Processes") or []:
            columns = dict(zip(titles, row))
            number = str(columns.get("PID", ""))
            process = processes.read_process(int(number)) if number.isdigit() else None
            if process is not None and process.name.startswith("mongod"):
                return process.exe or process.argv[0]
            if process is None and str(columns.get("CMD", "")).split(" ", 1)[0].rpartition("/")[2].startswith("mongod"):
                return str(columns["CMD"]).split(" ", 1)[0]
        return ""

    def engine(self) -> Docker:
        if self._docker is None:
            self._docker = Docker.connect(self._params["docker_host"], self._params["docker_timeout"])
        return self._docker
