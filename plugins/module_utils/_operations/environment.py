# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the application's connection string is read from, on the host: its container, its process, its compose file or `.env`.

The secret never leaves the process that needs it: modules are told the place (`env_from`), not the value.
"""

from __future__ import annotations

import os
import posixpath
from typing import Any, Dict, Iterable, Mapping, Optional

from .._core import dotenv
from .._core.errors import MaintenanceError, from_os_error
from .._core.processes import is_running, list_processes, listening_sockets
from .._docker import project
from .._docker.client import Docker, docker_errors
from .._host import compose_file
from .._host.environment import COMPOSE, CONTAINER, FILE, PROCESS
from .._host.mongo_uri import URI_KEYS
from .._host.shop import find_api

# The file as compose reads it, with variables put in; dotenv puts in none.
EXPANDED = "expanded"
DOCKER_TIMEOUT = 30
_STEP = "Run context_info again (the playbooks do) and use the env_from that it returns, or leave env_from out."


def with_environment(params: Mapping[str, Any], root: str = "") -> Dict[str, Any]:
    """Options of a connection, with the connection string read from where the application has it.

    Args:
        params: env_file, env_from, docker_host and docker_timeout decide; with uri, or env_from file, nothing is read here.
        root: the shop's directory: a process that has ended is looked for anew there, and without one the file counts.

    Raises:
        MaintenanceError: the place is not there, may not be read, or has no connection string.
    """
    found = dict(params)
    env_from, env_file = str(params.get("env_from") or FILE), str(params.get("env_file") or "")
    if env_from == FILE or params.get("uri") or not env_file:
        return found
    kind, _colon, place = env_from.partition(":")
    if kind == CONTAINER and place:
        return _of_container(found, place, env_file)
    try:
        values = read_variables(env_from, env_file)
    except ProcessEnded:
        if not root:
            raise
        values = _of_present_process(root, env_file)
    given = _uris(values)
    place = place or env_file
    if not given:
        raise MaintenanceError(
            "the application was given neither %s nor %s" % URI_KEYS,
            target=env_from,
            next_step="Leave env_from out to read env_file, or give the option uri.",
        )
    found["environment"] = given
    found["environment_place"] = "%s %s" % (kind, place.partition(":")[0])
    return found


def _uris(values: Mapping[str, str]) -> Dict[str, str]:
    return {key: values[key] for key in URI_KEYS if values.get(key, "").strip()}


def _of_container(params: Dict[str, Any], name: str, env_file: str) -> Dict[str, Any]:
    """Options completed from a container: its connection string, and where the files that this names lie on the host."""
    timeout = int(params.get("docker_timeout") or DOCKER_TIMEOUT)
    with Docker.connect(params.get("docker_host"), timeout) as docker, docker_errors(
        "cannot look at the container of the application", name
    ):
        inspected = docker.api.inspect_container(name)
    given = _uris(container_variables(inspected))
    found = dict(params)
    if given:
        found["environment"] = given
        found["environment_place"] = "%s %s" % (CONTAINER, name)
    else:
        # As in `_host.environment.choose`: what is not given to a container is read from the file, by it as well.
        found["env_from"] = FILE
        given = _uris(dotenv.load(env_file))
    told = params.get("tls_files") or {}
    found["tls_files"] = {**files_through_mounts(inspected, given.values()), **told}
    return found


def files_through_mounts(inspected: Mapping[str, Any], uris: Iterable[str]) -> Dict[str, str]:
    """Where files lie on the host that connection strings name by a path inside a container. Pure.

    What lies in the container's own layer or in memory is left out: the host has no path for it.

    Args:
        inspected: the container, as the engine's inspect gives it.
        uris: connection strings.
    """
    # Node takes a path that is not absolute from its working directory.
    start = str((inspected.get("Config") or {}).get("WorkingDir") or "/")
    # With the driver, for whoever connects; without a container nobody needs it.
    from .._mongo.address import named_paths

    found = {}
    for path in (path for uri in uris for path in named_paths(uri)):
        on_host = project.place(inspected, posixpath.normpath(posixpath.join(start, path))).path
        if on_host:
            found[path] = on_host
    return found


class ProcessEnded(MaintenanceError):
    """The process whose variables were asked for runs no more."""


def _of_present_process(root: str, env_file: str) -> Dict[str, str]:
    api = find_api(list_processes(), listening_sockets(protocols=("tcp",)), os.path.realpath(root))
    values = process_variables(api.pid) if api is not None else None
    return {**dotenv.load(env_file), **(values or {})}


def container_variables(inspected: Mapping[str, Any]) -> Dict[str, str]:
    """The variables of a container, from its configuration."""
    entries = (inspected.get("Config") or {}).get("Env") or []
    return {key: value for key, _equals, value in (str(entry).partition("=") for entry in entries)}


def process_source_name(pid: int, start_time: int) -> str:
    """A process as env_from names it: its number may be another one's later, its start time may not."""
    return "%s:%d:%d" % (PROCESS, pid, start_time)


def process_variables(pid: int) -> Optional[Dict[str, str]]:
    """What a process was started with; None when it may not be seen."""
    try:
        with open("/proc/%d/environ" % pid, "rb") as handle:
            data = handle.read()
    except OSError:
        return None
    entries = (part.decode("utf-8", "surrogateescape").partition("=") for part in data.split(b"\0") if part)
    return {key: value for key, _equals, value in entries}


def read_variables(env_from: str, env_file: str) -> Dict[str, str]:
    """The variables that the application uses, where that is no container.

    Args:
        env_from: file, file:expanded, process:PID:START or compose:PATH.
        env_file: the shop's environment file.

    Raises:
        MaintenanceError: the place is not there, or may not be read.
    """
    kind, _colon, rest = env_from.partition(":")
    if kind == FILE:
        text = dotenv.read_text(env_file)
        return dotenv.parse_for_compose(text) if rest == EXPANDED else dotenv.parse(text)
    if kind == PROCESS and rest:
        return _of_process(rest, env_file)
    if kind == COMPOSE and rest:
        return _of_compose(rest, env_file)
    raise MaintenanceError(
        "not a place of the application's variables",
        target=repr(env_from),
        next_step="Write file, container:NAME, process:PID:START or compose:PATH, as context_info returns it.",
    )


def _of_process(rest: str, env_file: str) -> Dict[str, str]:
    pid, _colon, start = rest.partition(":")
    if not pid.isdigit() or not start.isdigit() or not is_running(int(pid), int(start)):
        raise ProcessEnded("the application's process has ended", target="process %s" % pid, next_step=_STEP)
    values = process_variables(int(pid))
    if values is None:
        raise MaintenanceError(
            "cannot see what the application was given",
            target="process %s" % pid,
            next_step="Run as root (become: true), or leave env_from out to read env_file alone.",
        )
    # The application reads the file itself and overwrites nothing.
    if os.path.exists(env_file):
        return {**dotenv.load(env_file), **values}
    return values


def _of_compose(path: str, env_file: str) -> Dict[str, str]:
    values = dotenv.parse_for_compose(dotenv.read_text(env_file))
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            given = compose_file.service_environment(handle.read(), "api")
    except OSError as error:
        raise from_os_error("cannot read the compose file", error, target=path) from error
    return {key: dotenv.expand(value, values) for key, value in given.items()}
