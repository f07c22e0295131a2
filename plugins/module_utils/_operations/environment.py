# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the application's connection string is read from, on the host: its container, its process, its compose file or `.env`.

The secret never leaves the process that needs it: modules are told the place (`env_from`), not the value.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Mapping, Optional

from .._core import dotenv
from .._core.errors import MaintenanceError, from_os_error
from .._core.processes import is_running
from .._docker.client import Docker, docker_errors
from .._host import compose_file
from .._host.environment import COMPOSE, CONTAINER, FILE, PROCESS

# The file as compose reads it, with variables put in; dotenv puts in none.
EXPANDED = "expanded"
_STEP = "Run context_info again (the playbooks do) and use the env_from that it returns, or leave env_from out."


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


def read_variables(env_from: str, env_file: str, docker_host: Optional[str], timeout: int) -> Dict[str, str]:
    """The variables that the application uses.

    Args:
        env_from: file, file:expanded, container:NAME, process:PID:START or compose:PATH.
        env_file: the shop's environment file.
        docker_host, timeout: how to reach the engine of a container; seconds for each answer.

    Raises:
        MaintenanceError: the place is not there, or may not be read.
    """
    kind, _colon, rest = env_from.partition(":")
    if kind == FILE:
        text = dotenv.read_text(env_file)
        return dotenv.parse_for_compose(text) if rest == EXPANDED else dotenv.parse(text)
    if kind == CONTAINER and rest:
        with Docker.connect(docker_host, timeout) as docker, docker_errors(
            "cannot look at the container of the application", rest
        ):
            return container_variables(docker.api.inspect_container(rest))
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
        raise MaintenanceError("the application's process has ended", target="process %s" % pid, next_step=_STEP)
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
