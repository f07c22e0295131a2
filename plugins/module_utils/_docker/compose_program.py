# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``docker compose`` for exactly one project: its name, its directory, its files and its environment file, as labels tell them.

Why it is called here and not by the modules of community.docker stands in docs/architecture.md.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from .._core.children import dying_with_parent
from .._core.errors import InsufficientSpace, MaintenanceError, from_os_error
from .._core.late_dataclass import dataclass

_LINES = 12
_INSTALL = "Install the packages docker-ce-cli and docker-compose-plugin, or name the command in docker_program."
# How the engine and the builder say that there is no room.
_NO_ROOM = ("no space left on device", "disk quota exceeded")


@dataclass(frozen=True)
class ComposeProgram:
    """How a project is worked on.

    Attributes:
        program: the docker command, a name or a path.
        docker_host: the engine's address.
        seconds: after which a command is given up.
    """

    program: str
    docker_host: str
    project: str
    directory: str
    files: Tuple[str, ...]
    env_files: Tuple[str, ...]
    seconds: float

    def _command(self, arguments: Sequence[str]) -> List[str]:
        command = [self.program, "compose", "--ansi", "never", "--project-name", self.project]
        if self.directory:
            command += ["--project-directory", self.directory]
        for path in self.files:
            command += ["--file", path]
        for path in self.env_files:
            command += ["--env-file", path]
        return [*command, *arguments]

    def run(self, what: str, target: str, *arguments: str) -> Tuple[str, str]:
        """Run a command of compose and return what it printed, on the standard output and beside it.

        Args:
            what: what failed when it fails ("cannot pull the image").

        Raises:
            MaintenanceError: there is no such program, it took too long, or it failed; its last lines are in it.
        """
        if shutil.which(self.program) is None:
            raise MaintenanceError("there is no docker command", target=self.program, next_step=_INSTALL)
        try:
            done = subprocess.run(
                self._command(arguments),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=program_environment(self.docker_host),
                cwd=self.directory or "/",
                timeout=self.seconds,
                check=False,
                # Who finds what we were at when we were killed must not meet compose still at it.
                preexec_fn=dying_with_parent(signal.SIGTERM),
            )
        except subprocess.TimeoutExpired as error:
            raise MaintenanceError(
                "%s: docker compose was not ready within %d s" % (what, self.seconds),
                target=target,
                code="timeout",
                next_step="Look at the engine's log and at the network, or allow more seconds (compose_timeout).",
            ) from error
        except OSError as error:
            raise from_os_error("cannot run docker compose", error, target=self.program) from error
        output, beside = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
        if done.returncode:
            raise _failed(what, target, done.returncode, beside or output)
        return output, beside


def _failed(what: str, target: str, code: int, text: str) -> MaintenanceError:
    words = last_words(text)
    if any(phrase in text.lower() for phrase in _NO_ROOM):
        return InsufficientSpace(
            "%s: %s" % (what, words),
            target=target,
            code=code,
            next_step="Make room where the engine keeps its data: miniecom.maintenance.docker_cleanup.",
        )
    step = ""
    if "unknown shorthand flag" in text or "is not a docker command" in text:
        step = _INSTALL
    elif "client version" in text:
        step = (
            "The docker command and the engine have no API version in common: upgrade the one that is older, name another in "
            "docker_program, or take DOCKER_API_VERSION out of the environment."
        )
    return MaintenanceError("%s: %s" % (what, words), target=target, code=code, next_step=step)


def last_words(text: str) -> str:
    """The last lines of an output on one line, each once: progress is drawn over and over."""
    lines = [line for line in dict.fromkeys(line.strip() for line in text.splitlines()) if line]
    return " | ".join(lines[-_LINES:])[-1500:]


def program_environment(docker_host: str, environment: Optional[Mapping[str, str]] = None) -> Dict[str, str]:
    """The environment in which compose is run: nothing of ours may take the place of what the project's own files say.

    What stands in its ``.env`` counts for compose as well, such as COMPOSE_REMOVE_ORPHANS; what is set here wins.
    """
    own = os.environ if environment is None else environment
    kept = {
        name: value for name, value in own.items() if name in ("PATH", "HOME", "LANG") or name.startswith("DOCKER_")
    }
    kept.setdefault("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    kept.pop("DOCKER_CONTEXT", None)
    kept.update(
        DOCKER_HOST=docker_host,
        COMPOSE_REMOVE_ORPHANS="false",
        COMPOSE_IGNORE_ORPHANS="true",
        COMPOSE_PROGRESS="plain",
        BUILDKIT_PROGRESS="plain",
    )
    return kept


_VERSION = re.compile(r"db version v(\d+)\.(\d+)")


def mongod_series(compose: ComposeProgram, image_id: str) -> str:
    """The release series of an image's mongod, such as 7.0, by its own word, in a container without network that is gone afterwards.

    Raises:
        MaintenanceError: it does not say.
    """
    command = [compose.program, "run", "--rm", "--network", "none", "--entrypoint", "mongod", image_id, "--version"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=program_environment(compose.docker_host),
            timeout=compose.seconds,
            check=False,
        )
        found = _VERSION.search(done.stdout.decode("utf-8", "replace"))
    except (OSError, subprocess.TimeoutExpired):
        found = None
    if found is None:
        raise MaintenanceError(
            "which version of MongoDB an image has cannot be told, so the database is left alone", target=image_id
        )
    return "%s.%s" % found.groups()
