# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which containers there are at this moment, without asking for all of them again and again.

The containers are listed once, which may be the list by which everything was planned. From then on the engine's events say whether
it still holds: what may give an object a new user makes it be read anew. An engine publishes an event before it answers the request
that caused it, and events are looked for after a request of our own has been answered. It may still be on its way then, for a fraction
of a millisecond or, on a busy machine, for longer: a container that was made in that time is missed like one that is made right after
the look. Where there are no events to rely on (Podman,
which keeps them in a journal; an address on the network, whose clock and delays are not ours) the containers are read each time.

They also say what nobody has touched since it was observed, which then need not be looked at again before it goes. Events come
in the order in which they were published, so when that of our own last removal is there, all that others did before it is known.
"""

from __future__ import annotations

import json
import select
import threading
import time
from contextlib import suppress
from dataclasses import field
from functools import cached_property
from typing import AbstractSet, Dict, FrozenSet, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from .._core.late_dataclass import dataclass
from .client import Docker, DockerUnavailable, EngineError
from .inventory import Container, Inventory, Volume, parse_time, parse_volume
from .lane import connected
from .observation import read_containers, with_real_places

# Events after which each object has the users that it had before, or fewer. Any other one, known or not, may bring a new user.
_NO_NEW_USER: Mapping[str, FrozenSet[str]] = {
    "container": frozenset(
        "destroy die kill stop pause unpause oom top attach detach resize export copy archive-path extract-to-dir".split()
    ),
    "network": frozenset(("disconnect", "destroy", "remove", "prune")),
    "volume": frozenset(("mount", "unmount", "destroy", "prune")),
    # Whatever gets or loses a name by these has no user by that; the image itself is looked at again then (`untouched`).
    "image": frozenset("delete untag prune push save tag pull load import".split()),
    "builder": frozenset(("prune",)),
}
_NO_NEW_USER_BEGINNINGS = ("exec_", "health_status")
# After these what they are about is the same as before, whatever was done in it, or has fewer names.
_AS_BEFORE: Mapping[str, FrozenSet[str]] = {
    "container": frozenset("top attach detach resize export copy archive-path extract-to-dir".split()),
    "image": frozenset("untag push save prune".split()),
    "volume": frozenset(("prune",)),
    "builder": frozenset(("prune",)),
}
_GONE = frozenset((("container", "destroy"), ("volume", "destroy"), ("image", "delete")))
# The engine keeps its last 256 events for who asks late, and 1024 for who reads slowly: of many at once some may be lost.
MANY_EVENTS = 100
# Seconds in which the event of a removal comes that was answered: the engine publishes it first.
_OWN_EVENT_SECONDS = 1.0

# What an event, or a removal, is about: its kind, and its id or name.
Subject = Tuple[str, str]


@dataclass(frozen=True)
class Users:
    """What may use something: all containers, and all volumes, of which some are mounts of a directory elsewhere."""

    containers: Tuple[Container, ...] = ()
    volumes: Mapping[str, Volume] = field(default_factory=dict)

    @cached_property
    def joining(self) -> List[Container]:
        """The containers that do not start without another one: mostly few."""
        return [container for container in self.containers if container.joins]

    @cached_property
    def binds(self) -> List[Volume]:
        return [volume for volume in self.volumes.values() if volume.elsewhere]


@dataclass(frozen=True)
class News:
    """What events say.

    Attributes:
        stale: something may have a user that it did not have.
        gone: containers, volumes and images that are gone.
        touched: what something was done with.
        unclear: there may have been others.
    """

    stale: bool = False
    gone: FrozenSet[Subject] = frozenset()
    touched: FrozenSet[Subject] = frozenset()
    unclear: bool = False


def news_of(lines: List[bytes]) -> News:
    """What events, one of JSON in each line, say. Pure; a line that is none may have been anything."""
    unclear = stale = len(lines) >= MANY_EVENTS
    gone: Set[Subject] = set()
    touched: Set[Subject] = set()
    for line in lines:
        try:
            event = json.loads(line.decode("utf-8", "replace"))
            kind, action = str(event["Type"]), str(event["Action"])
        except (ValueError, KeyError, TypeError):
            unclear = stale = True
            continue
        subject = (kind, str((event.get("Actor") or {}).get("ID") or ""))
        inside = kind == "container" and action.startswith(_NO_NEW_USER_BEGINNINGS)
        if (kind, action) in _GONE:
            gone.add(subject)
        elif not (inside or action in _AS_BEFORE.get(kind, ())):
            touched.add(subject)
        if action not in _NO_NEW_USER.get(kind, ()) and not inside:
            stale = True
    return News(stale, frozenset(gone), frozenset(touched), unclear)


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

    def new(self, seconds: float = 0.0) -> List[bytes]:
        """Those that have come.

        Args:
            seconds: how long to wait for the first of them.

        Raises:
            OSError: there will be no more.
        """
        while select.select([self._socket], [], [], seconds)[0]:
            self._take()
            seconds = 0.0
        *lines, self._buffer = self._buffer.split(b"\n")
        # The beginning of one says that there is one.
        return [line for line in lines if line.strip()] + ([self._buffer] if self._buffer.strip() else [])

    def close(self) -> None:
        self._socket.close()


class Watch:
    """What uses something now, and what was touched since it was observed. Several threads may ask."""

    def __init__(self, docker: Docker) -> None:
        self._docker = docker
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        # When the last full look began, and what it saw.
        self._looked: Optional[Tuple[float, Users]] = None
        self._events: Optional[Events] = None
        self._users: Optional[Users] = None
        self._touched: Set[Subject] = set()
        self._gone: Set[Subject] = set()
        self._unclear = False
        # Whether something may have had a new user since the events are heard.
        self._stale = False
        # By thread the last thing that it has removed.
        self._own: Dict[int, Subject] = {}

    @property
    def _listens(self) -> bool:
        return self._docker.engine == "docker" and self._docker.lanes is not None

    def listen(self) -> None:
        """Hear the engine's events from now on; to be called before anything is observed of which `believe` is told."""
        if self._listens:
            with self._lock, suppress(DockerUnavailable, EngineError):
                # One that tells none fails where they are needed, which is when something goes.
                if self._events is None:
                    self._listen()

    def believe(self, observed: Inventory) -> None:
        """Take what was observed since `listen` for the list of all that may use something, as long as no event says otherwise.

        Whoever observed less than what `users` tells has to remove less: volumes only where volumes were observed.
        """
        with self._lock:
            if self._events is None:
                return
            self._catch_up()
            if self._events is not None and not (self._stale or self._unclear):
                volumes = {volume.name: volume for volume in observed.volumes}
                self._users = Users(_without(self._gone, observed.containers), volumes)

    def users(self) -> Users:
        """To be asked after the object itself was looked at, and right before its removal.

        Raises:
            EngineError, DockerUnavailable: the engine did not answer.
        """
        if not self._listens:
            return read_users(self._docker)
        with self._lock:
            self._catch_up()
            if self._users is None:
                self._users = read_users(self._docker)
            return self._users

    def look(self) -> Users:
        """The same by asking for everything, for what no event tells. Threads that ask at one time get one answer, to a question
        that was put after each of them had asked.

        Raises:
            EngineError, DockerUnavailable: the engine did not answer.
        """
        asked = time.monotonic()
        with self._looking:
            if self._looked is None or self._looked[0] <= asked:
                put = time.monotonic()
                self._looked = (put, read_users(self._docker))
            return self._looked[1]

    def network(self, *names: str) -> Sequence[Container]:
        """The containers that may use a network. No event tells that one was connected which does not run, so the engine is asked
        for those that are in the network, which costs it little, and the events tell of all others.

        Args:
            names: of the network, and its id.

        Raises:
            EngineError, DockerUnavailable: the engine did not answer.
        """
        if not self._listens:
            return self.look().containers
        connected_now = read_containers(self._docker, filters=json.dumps({"network": names}))
        return (*connected_now, *self.users().containers)

    def untouched(self, kind: str, identity: str) -> bool:
        """Whether a container, a volume or an image is certainly as it was when it was observed.

        What is done with images is not always told by the id of the one that has another name then, so any image that was touched
        makes all unsure. Certain is what was published before this thread's own last removal, and that is as late as an answer to a question would
        be; before its first one nothing is. False says that nobody knows.

        Raises:
            EngineError, DockerUnavailable: the engine does not tell its events.
        """
        if not self._listens:
            return False
        with self._lock:
            own = self._own.get(threading.get_ident())
            self._catch_up(own)
            if kind == "image":
                seen = any(other in ("image", "builder") for other, _identity in self._touched)
            else:
                seen = (kind, identity) in self._touched
            return not self._unclear and own in self._gone and not seen

    def removed(self, kind: str, identity: str) -> None:
        """Tell that this thread has removed a container, a volume or an image, by the very id or name that its event has."""
        with self._lock:
            self._own[threading.get_ident()] = (kind, identity)

    def _catch_up(self, own: Optional[Subject] = None) -> None:
        """Take note of the events that have come; with the lock held.

        Args:
            own: wait for the event of this removal, and with it for all before.
        """
        if self._events is None:
            self._listen()
        deadline = time.monotonic() + _OWN_EVENT_SECONDS
        wait = 0.0
        while self._events is not None:
            try:
                self._take_note(news_of(self._events.new(wait)))
            except OSError:
                # A daemon that was started anew says nothing of what was before: everything is looked at again.
                self._events.close()
                self._unclear, self._users = True, None
                self._listen()
                return
            wait = deadline - time.monotonic()
            if own is None or own in self._gone or self._unclear:
                return
            if wait <= 0:
                self._unclear, self._users = True, None
                return

    def _listen(self) -> None:
        docker = self._docker
        self._events = None
        if docker.lanes is not None:
            since = parse_time(docker.info.get("SystemTime"))
            with docker.errors("the Docker Engine does not tell its events", docker.docker_host):
                self._events = Events(docker.lanes.path, docker.api_version, since, docker.lanes.timeout)

    def _take_note(self, news: News) -> None:
        self._gone |= news.gone
        self._touched |= news.touched
        self._unclear = self._unclear or news.unclear
        self._stale = self._stale or news.stale
        if news.stale:
            self._users = None
        elif self._users is not None and any(kind == "container" for kind, _identity in news.gone):
            self._users = Users(_without(news.gone, self._users.containers), self._users.volumes)

    def close(self) -> None:
        if self._events is not None:
            self._events.close()
            self._events = None


def _without(gone: AbstractSet[Subject], containers: Iterable[Container]) -> Tuple[Container, ...]:
    ids = {identity for kind, identity in gone if kind == "container"}
    return tuple(item for item in containers if item.id not in ids)


def read_users(docker: Docker) -> Users:
    """All that may use something, read now.

    Raises:
        EngineError, DockerUnavailable: the engine did not answer.
    """
    volumes = with_real_places(docker, map(parse_volume, docker.volumes()))
    return Users(tuple(read_containers(docker)), {volume.name: volume for volume in volumes})
