# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shop's API started against a restored database, where it can do no harm: it reaches no network and writes to no file of the shop.

A restored shop has real customers and real keys. Its API must not send their mails a second time, nor ask a payment provider.
"""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import field
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple
from urllib.parse import quote

from .._core import processes
from .._core.errors import MaintenanceError, from_os_error
from .._core.isolation import in_network_of, isolated
from .._core.late_dataclass import dataclass
from .._docker.client import Docker
from .._flag import probe
from .._host.shop import find_api
from .._mongo.throwaway import SOCKET_NAME

PORT = 3001
LABEL = "miniecom.maintenance"
NAME = "api"
OUTPUT_NAME = "api.out"
_INSIDE = "/recovery-drill"
_PAUSE = 0.1


@dataclass(frozen=True)
class ApiOrigin:
    """What the API is started from.

    Attributes:
        argv: its command.
        environment: of the process or container that runs now; secrets are among it.
        image, container: of a container; "" for a program of the host.
        work_dir: where it works in the image.
        guarded: what the program must not be able to write to.
        why_not: why it cannot be started; "" when it can.
    """

    argv: Tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    image: str = ""
    container: str = ""
    work_dir: str = ""
    guarded: Tuple[str, ...] = ()
    why_not: str = ""

    def __str__(self) -> str:
        if self.why_not:
            return "not started: %s" % self.why_not
        if self.image:
            return "image of the container %s" % self.container
        return self.argv[0]


@dataclass(frozen=True)
class ApiAnswer:
    """How the API was: a state of its health, or "" where it was not started."""

    state: str
    reason: str
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        return self.state in (probe.UP, probe.MAINTENANCE)


def find_origin(params: Mapping[str, Any], engine: Callable[[], Docker]) -> ApiOrigin:
    """What the options lead to.

    Args:
        engine: connects to the Docker Engine.
    """
    if not params["start_api"]:
        return ApiOrigin(why_not="start_api is false")
    if params["api_container"]:
        return _of_container(engine(), params["api_container"])
    root = os.path.realpath(params["root"] or "/opt/miniecom")
    if os.geteuid() != 0:
        return ApiOrigin(why_not="only root can keep it from the network and from the shop's files (become: true)")
    if params["api_command"]:
        return ApiOrigin(tuple(params["api_command"]), {"PATH": os.environ.get("PATH", os.defpath)}, guarded=(root,))
    listed = processes.list_processes()
    running = find_api(listed, processes.listening_sockets(protocols=("tcp",)), root)
    if running is None or not running.argv:
        return ApiOrigin(why_not="no API of %s runs on this host, and api_command names none" % root)
    guarded = tuple(path for path in (root, running.cwd, "/") if path and os.path.isdir(path))
    return ApiOrigin(_absolute(running), _environment_of(running.pid), guarded=guarded)


def _absolute(process: processes.Process) -> Tuple[str, ...]:
    """The command of a process, which will run in another directory: its script is named in full."""
    program = process.exe or process.argv[0]
    rest = []
    for word in process.argv[1:]:
        path = os.path.join(process.cwd or "/", word)
        rest.append(path if word and not word.startswith("-") and os.path.exists(path) else word)
    # Its first word counts where a program goes by its name, as a Python of a virtual environment does.
    first = process.argv[0] if os.path.isabs(process.argv[0]) and os.access(process.argv[0], os.X_OK) else program
    return (first, *rest)


def _environment_of(pid: int) -> Dict[str, str]:
    try:
        with open("/proc/%d/environ" % pid, "rb") as handle:
            data = handle.read()
    except OSError:
        return {}
    pairs = (os.fsdecode(part).partition("=") for part in data.split(b"\0") if b"=" in part)
    return {name: value for name, _equals, value in pairs}


def _of_container(docker: Docker, name: str) -> ApiOrigin:
    if not docker.docker_host.startswith("unix://"):
        return ApiOrigin(why_not="its engine is on another machine (%s)" % docker.docker_host)
    with docker.errors("cannot look at the API's container", name):
        found = docker.api.inspect_container(name)
    config = found.get("Config") or {}
    argv = [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]
    pairs = (text.partition("=") for text in config.get("Env") or [])
    environment = {key: value for key, _equals, value in pairs}
    return ApiOrigin(tuple(argv), environment, str(found["Image"]), name, config.get("WorkingDir") or "/")


def environment_for(origin: ApiOrigin, socket: str, database: str, work_dir: str) -> Dict[str, str]:
    """What the API is given: all that it is given now, but for the database and where its files are. Pure.

    Args:
        socket: of the server with the restored database, as the API sees it.
        work_dir: where it works, as it sees it.
    """
    uri = "mongodb://%s/%s" % (quote(socket, safe=""), quote(database, safe=""))
    own = {
        "MONGODB_URI": uri,
        "MONGO_URI": uri,
        "PORT": str(PORT),
        "UPLOAD_DIR": os.path.join(work_dir, "uploads"),
        "STORAGE_PATH": os.path.join(work_dir, "storage"),
    }
    return {**origin.environment, **own}


class ProcessApi:
    """The API as a process of the host, in a network and a view of the file systems of its own."""

    def __init__(self, origin: ApiOrigin, directory: str, app: str, register: Callable[[int, int], Any]) -> None:
        self._origin = origin
        self._directory = directory
        self._app = app
        self._register = register
        self._process: Optional[Any] = None

    def start(self, socket_directory: str, database: str) -> None:
        """Raises MaintenanceError: it cannot be started, or not be kept from doing harm."""
        environment = environment_for(self._origin, os.path.join(socket_directory, SOCKET_NAME), database, self._app)
        temporary = os.path.join(self._app, "tmp")
        os.mkdir(temporary, 0o700)
        environment.update(HOME=self._app, TMPDIR=temporary)
        enter = isolated(self._app, self._origin.guarded, (socket_directory,))
        try:
            with open(os.path.join(self._directory, OUTPUT_NAME), "wb") as output:
                self._process = subprocess.Popen(
                    list(self._origin.argv),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=environment,
                    start_new_session=True,
                    preexec_fn=enter,
                )
        except OSError as error:
            raise from_os_error("cannot start the API", error, target=self._origin.argv[0]) from error
        except subprocess.SubprocessError as error:
            raise MaintenanceError(
                "the API cannot be kept from the network and from the shop's files here",
                target=self._origin.argv[0],
                next_step="It was not started. Set start_api to false, or run on a host where namespaces can be made.",
            ) from error
        found = processes.read_process(self._process.pid)
        if found is not None:
            self._register(found.pid, found.start_time)

    @property
    def pid(self) -> int:
        return int(self._process.pid) if self._process is not None else 0

    def ended(self) -> str:
        status = self._process.poll() if self._process is not None else 0
        return "" if status is None else "exit status %s" % status

    def output(self) -> str:
        return tail(os.path.join(self._directory, OUTPUT_NAME))

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            try:
                os.killpg(process.pid, 9)
            except ProcessLookupError:
                pass
            process.wait()


class ContainerApi:
    """The API in a container of the shop's image, without network."""

    def __init__(self, docker: Docker, origin: ApiOrigin, name: str, directory: str, app: str) -> None:
        self._docker = docker
        self._origin = origin
        self._name = name
        self._directory = directory
        self._app = app
        self._pid = 0

    def start(self, socket_directory: str, database: str) -> None:
        """Raises MaintenanceError: it cannot be started."""
        work = self._origin.work_dir
        environment = environment_for(self._origin, "%s/%s" % (_INSIDE, SOCKET_NAME), database, work)
        binds = ["%s:%s" % (os.path.realpath(socket_directory), _INSIDE)]
        for name in ("uploads", "storage"):
            binds.append("%s:%s" % (os.path.join(os.path.realpath(self._app), name), os.path.join(work, name)))
        api = self._docker.api
        with self._docker.errors("cannot start a container of the API", self._name):
            api.create_container(
                self._origin.image,
                # The image's own entry point is in it already.
                list(self._origin.argv[1:]),
                name=self._name,
                entrypoint=[self._origin.argv[0]],
                # The server's socket is its owner's alone.
                user="%d:%d" % (os.geteuid(), os.getegid()),
                environment=environment,
                working_dir=work,
                labels={LABEL: "recovery drill"},
                host_config=api.create_host_config(
                    network_mode="none",
                    binds=binds,
                    cap_drop=["ALL"],
                    security_opt=["no-new-privileges"],
                ),
            )
            api.start(self._name)
            self._pid = int(api.inspect_container(self._name)["State"].get("Pid") or 0)

    @property
    def pid(self) -> int:
        return self._pid

    def ended(self) -> str:
        with self._docker.errors("cannot look at the container", self._name):
            state = self._docker.api.inspect_container(self._name)["State"]
        return "" if state.get("Running") else "exit status %s %s" % (state.get("ExitCode"), state.get("Error") or "")

    def output(self) -> str:
        with self._docker.errors("cannot read what the container has written", self._name):
            written: bytes = self._docker.api.logs(self._name, stdout=True, stderr=True, tail=3)
        return " ".join(written.decode("utf-8", "replace").split())[-400:]

    def stop(self) -> None:
        with self._docker.errors("cannot remove the container of the recovery drill", self._name):
            if any("/" + self._name in (entry.get("Names") or []) for entry in self._docker.containers()):
                self._docker.api.remove_container(self._name, force=True, v=True)


def wait_for_health(server: Any, path: str, seconds: float) -> ApiAnswer:
    """Ask for its health until it is well, has ended, or the time is over; the last answer counts.

    Args:
        server: of one of the classes above, started.
        path: of the health endpoint.
        seconds: how long to wait.
    """
    begun = time.monotonic()
    urls = ["http://127.0.0.1:%d%s" % (PORT, path), "http://[::1]:%d%s" % (PORT, path)]
    while True:
        ended = server.ended()
        if ended:
            return ApiAnswer(probe.DOWN, "it ended (%s): %s" % (ended, server.output() or "it said nothing"))
        answers: List[probe.Probe] = in_network_of(server.pid, lambda: [probe.probe(url) for url in urls])
        last = min(answers, key=lambda answer: _RANK.index(answer.state))
        taken = time.monotonic() - begun
        if last.state in (probe.UP, probe.MAINTENANCE):
            return ApiAnswer(last.state, last.reason, taken)
        if taken > seconds:
            return ApiAnswer(last.state, "%s: %s" % (last.reason, server.output()), taken)
        time.sleep(_PAUSE)


_RANK = (probe.UP, probe.MAINTENANCE, probe.DEGRADED, probe.DOWN)


def tail(path: str) -> str:
    """The end of a file in one line."""
    try:
        with open(path, "rb") as handle:
            handle.seek(max(0, os.fstat(handle.fileno()).st_size - 400))
            return " ".join(handle.read().decode("utf-8", "replace").split())
    except OSError:
        return ""


def parts_of(app: str) -> Mapping[str, str]:
    """Where the parts of a backup go for an API that works in this directory and is told nothing else."""
    return {
        "uploads": os.path.join(app, "uploads"),
        "invoices": os.path.join(app, "storage", "invoices"),
        "labels": os.path.join(app, "storage", "labels"),
        ".env": os.path.join(app, ".env"),
    }
