# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removes one planned object at a time, after looking once more whether it may go.

Never with force, and never by the engine's own prune, which takes whatever is unused by then: an object goes only when it
was in the plan, is still what it was, and no container uses it at this moment. The look and the removal are two requests,
so a container that is made between them can still come too late; the engine then refuses for everything but volumes.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Mapping, Optional
from urllib.parse import quote

from .._core.errors import MaintenanceError, SkipAction
from .._core.legacy_plan import Action, Outcome
from .._core.units import format_size
from .client import Docker, DockerUnavailable, EngineError
from .inventory import (
    STOPPED_STATES,
    Container,
    container_joins,
    container_uses_image,
    container_uses_network,
    container_uses_volume,
    parse_image,
    parse_time,
)
from .observation import free_bytes, inspect_container, inspect_image, read_containers, real_places

# The engine takes an entry's id for a regular expression without anchors: anything shorter could take others with it.
_CACHE_ID = re.compile(r"^[a-z0-9]{20,}$")
GONE, REFUSED, FORBIDDEN = 404, 409, 403
# With these words the engine says of a network, and of nothing else, by status 403 what it says of the others by 409.
_NETWORK_IN_USE = ("active endpoints", "pre-defined")


class Remover:
    """Carries out the actions of a plan on an engine.

    Attributes:
        unsure: actions that failed when the engine had been asked to remove something: it may have done so all the same.
    """

    def __init__(self, docker: Docker) -> None:
        self.docker = docker
        self.unsure: List[Action] = []
        self._asked = False
        self._lost: Optional[DockerUnavailable] = None
        self._removers: Dict[str, Callable[[Action], int]] = {
            "remove_container": self._container,
            "remove_image": self._image,
            "remove_build_cache": self._build_cache,
            "remove_network": self._network,
            "remove_volume": self._volume,
        }

    def remove(self, action: Action) -> Outcome:
        """Remove an object; returns the bytes that came free by it.

        Raises:
            SkipAction: it is gone, is used or was changed since planning, or the engine refuses.
            MaintenanceError: the engine failed.
        """
        if self._lost is not None:
            raise MaintenanceError(
                "not tried, the Docker Engine had gone away",
                target=self.docker.docker_host,
                code=self._lost.code,
                next_step=self._lost.next_step,
            )
        self._stop_at_target(action)
        self._asked = False
        try:
            return Outcome(self._removers[action.action](action))
        except DockerUnavailable as error:
            self._lost = error
            self._note(action)
            raise
        except EngineError as error:
            if error.status == GONE:
                raise SkipAction("it is gone already (%s)" % error.words) from error
            busy = action.action == "remove_network" and any(words in error.words for words in _NETWORK_IN_USE)
            if error.status == REFUSED or (error.status == FORBIDDEN and busy):
                raise SkipAction("the engine refuses: %s" % error.words) from error
            # Forbidden by somebody else: a clean-up that may never remove anything must not end green.
            self._note(action)
            raise

    def _note(self, action: Action) -> None:
        if self._asked:
            self.unsure.append(action)

    def _stop_at_target(self, action: Action) -> None:
        target = action.data.get("target_free")
        free = free_bytes(self.docker) if target is not None else None
        if target is not None and free is not None and free >= target:
            raise SkipAction("%s are free by now" % format_size(free))

    def _delete(self, what: str, target: str, path: str, **parameters: Any) -> Any:
        api = self.docker.api
        self._asked = True
        with self.docker.errors(what, target):
            response = api._delete(api._url(path), params=parameters)
            api._raise_for_status(response)
            return response.json() if response.content else None

    @staticmethod
    def _require_unused(users: List[Container]) -> None:
        if users:
            raise SkipAction("the container %s (%s) uses it by now" % (users[0].name, users[0].state))

    # -- one of each kind ----------------------------------------------------------------------------------------

    def _container(self, action: Action) -> int:
        identity = action.data["id"]
        raw = inspect_container(self.docker, identity)
        if raw is None:
            raise SkipAction("it is gone already")
        state = raw.get("State") or {}
        if state.get("Status") not in STOPPED_STATES:
            raise SkipAction("it is %s by now" % state.get("Status"))
        if parse_time(state.get("FinishedAt")) != action.data["finished"]:
            raise SkipAction("it was started since planning")
        self._require_unused([c for c in read_containers(self.docker) if container_joins(c, identity, action.target)])
        # Without v: its anonymous volumes stay.
        self._delete("cannot remove the container", action.target, "/containers/%s" % identity)
        return action.bytes

    def _image(self, action: Action) -> int:
        identity, tags = action.data["id"], set(action.data["tags"])
        for reference in action.data["references"]:
            raw = inspect_image(self.docker, identity)
            if raw is None:
                raise SkipAction("it is gone already")
            now = set(parse_image(raw).tags)
            if now - tags:
                raise SkipAction("it was given the name %s since planning" % sorted(now - tags)[0])
            users = [
                item for item in read_containers(self.docker) if container_uses_image(item, identity, sorted(tags))
            ]
            self._require_unused(users)
            if reference != identity:
                if reference in tags and reference not in now:
                    continue  # the name was given to another image meanwhile
            elif len(now) > 1:
                raise SkipAction("it has several names by now")
            self._delete(
                "cannot remove the image", reference, "/images/%s" % quote(reference, safe="/:@"), force="false"
            )
        return action.bytes

    def _build_cache(self, action: Action) -> int:
        identity = action.data["id"]
        if not _CACHE_ID.match(identity):
            raise SkipAction("its id is too short to name it alone")
        # Without all: what an image shares by now, or the builder uses, is left alone by the engine.
        self._asked = True
        filters = '{"id":["%s"]}' % identity
        answer: Mapping[str, Any] = self.docker.post("/build/prune", filters=filters)
        if identity not in (answer.get("CachesDeleted") or []):
            raise SkipAction("the engine keeps it: in use, shared with an image, the base of another entry, or gone")
        # What it shares with an image of this run is measured there.
        return 0 if action.data["counted_with_image"] else int(answer.get("SpaceReclaimed") or 0)

    def _network(self, action: Action) -> int:
        identity, name = action.data["id"], action.data["name"]
        raw = self.docker.get("/networks/%s" % identity)
        if raw.get("Containers"):
            raise SkipAction("a container is connected to it by now")
        self._require_unused(
            [item for item in read_containers(self.docker) if container_uses_network(item, identity, name)]
        )
        self._delete("cannot remove the network", action.target, "/networks/%s" % identity)
        return 0

    def _volume(self, action: Action) -> int:
        name, mountpoint = action.data["name"], action.data["mountpoint"]
        raw = self.docker.get("/volumes/%s" % quote(name, safe=""))
        labels = {str(key): str(value) for key, value in (raw.get("Labels") or {}).items()}
        if str(raw.get("CreatedAt") or "") != action.data["created_at"] or labels != action.data["labels"]:
            raise SkipAction("it was made anew since planning")
        # The engine's own refusal does not protect a volume on 27.4 and later.
        real = real_places(self.docker, [mountpoint]).get(mountpoint, ())
        users = [c for c in read_containers(self.docker) if container_uses_volume(c, name, mountpoint, real)]
        self._require_unused(users)
        self._delete("cannot remove the volume", name, "/volumes/%s" % quote(name, safe=""), force="false")
        return action.bytes
