# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which containers there are at this moment, without asking for all of them again and again.

The containers are listed once. From then on the engine's events say whether the list still holds: what may give an object a
new user makes it be read anew. An engine publishes an event before it answers the request that caused it, and events are
looked for after a request of our own has been answered. Where there are no events to rely on (Podman, which keeps them in a
journal; an address on the network, whose clock and delays are not ours) the containers are read each time.
"""

from __future__ import annotations

import json
import select
import threading
from dataclasses import dataclass, field
from typing import FrozenSet, List, Mapping, Optional, Tuple

from .client import Docker
from .inventory import Container, Volume, parse_time, parse_volume
from .lane import connected
from .observation import read_containers, with_real_places

# Events after which each object has the users that it had before, or fewer. Any other one, known or not, may bring a new user.
_NO_NEW_USER: Mapping[str, FrozenSet[str]] = {
    "container": frozenset(
        "destroy die kill stop pause unpause oom top attach detach resize export copy archive-path extract-to-dir".split()
    ),
    "network": frozenset(("disconnect", "destroy", "remove", "prune")),
    "volume": frozenset(("mount", "unmount", "destroy", "prune")),
    # An image is looked at itself before it goes.
    "image": frozenset("delete untag prune push save tag pull load import".split()),
    "builder": frozenset(("prune",)),
}
_NO_NEW_USER_BEGINNINGS = ("exec_", "health_status")


@dataclass(frozen=True)
class Users:
    """What may use something: all containers, and all volumes that are mounts of a directory elsewhere."""

    containers: Tuple[Container, ...] = ()
    binds: Tuple[Volume, ...] = ()


@dataclass(frozen=True)
class News:
    """What events say.

    Attributes:
        stale: something may have a user that it did not have.
        gone: ids of containers that are gone.
    """

    stale: bool = False
    gone: FrozenSet[str] = field(default_factory=frozenset)


def news_of(lines: List[bytes]) -> News:
    """What events, one of JSON in each line, say. Pure; a line that is none may have been anything."""
    stale, gone = False, set()
    for line in lines:
        try:
            event = json.loads(line.decode("utf-8", "replace"))
            kind, action = str(event["Type"]), str(event["Action"])
        except (ValueError, KeyError, TypeError):
            stale = True
            continue
        if kind == "container" and action == "destroy":
            gone.add(str((event.get("Actor") or {}).get("ID") or ""))
        if action not in _NO_NEW_USER.get(kind, ()) and not (
            kind == "container" and action.startswith(_NO_NEW_USER_BEGINNINGS)
        ):
            stale = True
    return News(stale, frozenset(gone))


class Events:
    """The engine's events from a moment on.

    Args:
        since: Unix time by the engine's clock; None for now.

    Raises:
        OSError: there are none to be had.
    """

    def __init__(self, path: str, api_version: str, since: Optional[float], timeout: float) -> None:
        self._buffer = b""
        self._socket = connected(path, timeout)
        try:
            # In version 1.0 of HTTP the body is what was sent and no more.
            query = "" if since is None else "?since=%.6f" % since
            self._socket.sendall(
                ("GET /v%s/events%s HTTP/1.0\r\nHost: docker\r\n\r\n" % (api_version, query)).encode("ascii")
            )
            while b"\r\n\r\n" not in self._buffer:
                self._take()
            head, _end, self._buffer = self._buffer.partition(b"\r\n\r\n")
            if b" 200 " not in head.split(b"\r\n", 1)[0]:
                raise ConnectionError("the engine tells no events: %r" % head[:80])
        except BaseException:
            self.close()
            raise

    def _take(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("the engine ended its events")
        self._buffer += data

    def new(self) -> List[bytes]:
        """Those that have come, without waiting.

        Raises:
            OSError: there will be no more.
        """
        while select.select([self._socket], [], [], 0)[0]:
            self._take()
        *lines, self._buffer = self._buffer.split(b"\n")
        # The beginning of one says that there is one.
        return [line for line in lines if line.strip()] + ([self._buffer] if self._buffer.strip() else [])

    def close(self) -> None:
        self._socket.close()


class Watch:
    """What uses something now. Several threads may ask."""

    def __init__(self, docker: Docker) -> None:
        self._docker = docker
        self._lock = threading.Lock()
        self._events: Optional[Events] = None
        self._users: Optional[Users] = None

    def users(self) -> Users:
        """To be asked after the object itself was looked at, and right before its removal.

        Raises:
            EngineError, DockerUnavailable: the engine did not answer.
        """
        docker = self._docker
        if docker.engine != "docker" or docker.lanes is None:
            return read_users(docker)
        with self._lock:
            if not self._still_holds():
                self._users = read_users(docker)
            return self._users or Users()

    def look(self) -> Users:
        """The same by asking for everything, for what no event tells.

        Raises:
            EngineError, DockerUnavailable: the engine did not answer.
        """
        return read_users(self._docker)

    def _still_holds(self) -> bool:
        docker = self._docker
        lanes = docker.lanes
        if self._events is None:
            since = parse_time(docker.info.get("SystemTime"))
            if lanes is not None:
                with docker.errors("the Docker Engine does not tell its events", docker.docker_host):
                    self._events = Events(lanes.path, docker.api_version, since, lanes.timeout)
            return False
        try:
            news = news_of(self._events.new())
        except OSError:
            # A daemon that was started anew says nothing of what was before: everything is looked at again.
            self._events.close()
            self._events = None
            return self._still_holds()
        if news.gone and self._users is not None:
            kept = tuple(container for container in self._users.containers if container.id not in news.gone)
            self._users = Users(kept, self._users.binds)
        return not news.stale and self._users is not None

    def close(self) -> None:
        if self._events is not None:
            self._events.close()
            self._events = None


def read_users(docker: Docker) -> Users:
    """All that may use something, read now.

    Raises:
        EngineError, DockerUnavailable: the engine did not answer.
    """
    binds = with_real_places(docker, [volume for volume in map(parse_volume, docker.volumes()) if volume.elsewhere])
    return Users(tuple(read_containers(docker)), tuple(binds))
