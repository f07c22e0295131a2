# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removes one planned object at a time, after looking once more whether it may go.

Never with force, and never by the engine's own prune, which takes whatever is unused by then: an object goes only when it
was in the plan, is still what it was, and no container uses it at this moment: the object is looked at itself, unless the
engine's events say that nobody has touched it, and which containers there are by then the watch knows. The look and the
removal are two requests, so a container that is made between them can still come too late; the engine then refuses for
everything but volumes.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Type
from urllib.parse import quote

from .._core.errors import AbortPlan, MaintenanceError, SkipAction
from .._core.late_dataclass import dataclass
from .._core.plan import Action, Outcome
from .client import Docker, DockerUnavailable, EngineError
from .inventory import (
    STOPPED_STATES,
    Container,
    Image,
    Volume,
    container_joins,
    container_uses_image,
    container_uses_network,
    container_uses_volume,
    parse_image,
    parse_volume,
    repository_of,
    volume_lies_in,
)
from .observation import inspect_container, inspect_image, with_real_places
from .watch import Watch
from .works import Removal, RemoveBuildCache, RemoveContainer, RemoveImage, RemoveNetwork, RemoveVolume

# The engine takes an entry's id for a regular expression without anchors: anything shorter could take others with it.
_CACHE_ID = re.compile(r"^[a-z0-9]{20,}$")
GONE, REFUSED, FORBIDDEN = 404, 409, 403
# With these words the engine says of a network, and of nothing else, by status 403 what it says of the others by 409.
_NETWORK_IN_USE = ("active endpoints", "pre-defined")
# By its id alone, whole or cut short, an engine names the container that has what it refuses to remove.
_IDENTITY = re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{12})\b")


@dataclass(frozen=True)
class Unsure:
    """A removal failed after the engine had been asked for it: it may have removed the object all the same."""

    action: Action[Removal]


class _RequestFailed(Exception):
    """The engine was asked to remove something, and this came of it."""

    def __init__(self, error: MaintenanceError) -> None:
        super().__init__(str(error))
        self.error = error


def remove(docker: Docker, watch: Watch, action: Action[Removal]) -> Outcome:
    """Remove an object.

    Args:
        watch: knows what uses something.

    Returns:
        the bytes that came free by it; or a failure, which forbids all further removals when the engine has gone away. Its
        detail is `Unsure` when the engine had been asked for the removal.

    Raises:
        SkipAction: the object is gone, is used or was changed since planning, or the engine refuses.
    """
    remover = REMOVERS[type(action.work)]
    try:
        return Outcome(remover(docker, watch, action.work, action.bytes))
    except _RequestFailed as failed:
        return _failed(docker, action, failed.error, Unsure(action))
    except (EngineError, DockerUnavailable) as error:
        return _failed(docker, action, error, None)


def _failed(docker: Docker, action: Action[Removal], error: MaintenanceError, detail: Optional[Unsure]) -> Outcome:
    if isinstance(error, EngineError):
        if error.status == GONE:
            raise SkipAction("it is gone already (%s)" % error.words) from error
        busy = isinstance(action.work, RemoveNetwork) and any(words in error.words for words in _NETWORK_IN_USE)
        if error.status == REFUSED or (error.status == FORBIDDEN and busy):
            raise SkipAction(_refusal(docker, action.work, error.words)) from error
        # Forbidden by somebody else: a clean-up that may never remove anything must not end green.
        return Outcome(failure=error, detail=detail)
    aborted = AbortPlan.because_of(error, next_step=error.next_step + " Nothing further was tried.")
    return Outcome(failure=aborted, detail=detail)


def _refusal(docker: Docker, work: Removal, words: str) -> str:
    """Why the engine refuses, for people: with the name of the container that uses something by now.

    Args:
        words: the engine's own.
    """
    if isinstance(work, (RemoveImage, RemoveVolume)):
        for identity in _IDENTITY.findall(words):
            # Whether that can be found out or not: it has refused.
            with suppress(EngineError, DockerUnavailable):
                raw = inspect_container(docker, identity)
                if raw is not None:
                    state = str((raw.get("State") or {}).get("Status") or "")
                    return _used_by(str(raw.get("Name") or identity).lstrip("/"), state)
    return "the engine refuses: %s" % words


def _delete(docker: Docker, what: str, target: str, path: str, **parameters: Any) -> None:
    try:
        docker.delete(path, what, target, **parameters)
    except (EngineError, DockerUnavailable) as error:
        raise _RequestFailed(error) from error


def _require_unused(users: List[Container]) -> None:
    if users:
        raise SkipAction(_used_by(users[0].name, users[0].state))


def _used_by(name: str, state: str) -> str:
    return "the container %s (%s) uses it by now" % (name, state)


# -- one of each kind ---------------------------------------------------------------------------------------------------


def _remove_container(docker: Docker, watch: Watch, work: RemoveContainer, size: int) -> int:
    if not watch.untouched("container", work.id):
        _require_as_planned(docker, work)
    _require_unused([c for c in watch.users().joining if container_joins(c, work.id, work.name)])
    # Without v: its anonymous volumes stay.
    _delete(docker, "cannot remove the container", work.name, "/containers/%s" % work.id)
    watch.removed("container", work.id)
    return size


def _require_as_planned(docker: Docker, work: RemoveContainer) -> None:
    raw = inspect_container(docker, work.id)
    if raw is None:
        raise SkipAction("it is gone already")
    state = raw.get("State") or {}
    if state.get("Status") not in STOPPED_STATES:
        raise SkipAction("it is %s by now" % state.get("Status"))
    if str(state.get("FinishedAt") or "") != work.finished_at:
        raise SkipAction("it was started since planning")
    restart = str(((raw.get("HostConfig") or {}).get("RestartPolicy") or {}).get("Name") or "")
    if restart != work.restart:
        raise SkipAction("its restart policy is %s by now" % (restart or "no"))


def _remove_image(docker: Docker, watch: Watch, work: RemoveImage, size: int) -> int:
    gone: List[str] = []
    try:
        for reference in work.references:
            tags = _names_now(docker, watch, work)
            if reference in work.tags and reference not in tags:
                continue  # the name was given to another image meanwhile
            if reference == work.id and len(tags) > 1:
                raise SkipAction("it has several names by now")
            path = "/images/%s" % quote(reference, safe="/:@")
            _delete(docker, "cannot remove the image", reference, path, force="false")
            gone.append(reference)
    except (SkipAction, EngineError):
        _name_again(docker, work, gone)
        raise
    except _RequestFailed as failed:
        if isinstance(failed.error, EngineError):
            _name_again(docker, work, gone)
        raise
    watch.removed("image", work.id)
    return size


def _names_now(docker: Docker, watch: Watch, work: RemoveImage) -> Sequence[str]:
    """The tags of an image by now, when nothing speaks against its removal."""
    if len(work.references) == 1 and watch.untouched("image", work.id):
        tags, names = work.tags, {*work.tags, *work.names}
    else:
        image = _image_as_planned(docker, work)
        tags, names = image.tags, {*work.tags, *image.names}
    _require_unused([c for c in watch.users().containers if container_uses_image(c, work.id, sorted(names))])
    return tags


def _image_as_planned(docker: Docker, work: RemoveImage) -> Image:
    raw = inspect_image(docker, work.id)
    if raw is None:
        raise SkipAction("it is gone already")
    image = parse_image(raw)
    unknown = sorted(set(image.tags) - set(work.tags))
    if unknown:
        raise SkipAction("it was given the name %s since planning" % unknown[0])
    return image


def _name_again(docker: Docker, work: RemoveImage, gone: Sequence[str]) -> None:
    """Give an image that stays after all the names back that it has lost: whoever uses it looks for it by one of them."""
    for name in gone:
        if name not in work.tags or inspect_image(docker, work.id) is None or inspect_image(docker, name) is not None:
            continue
        repository = repository_of(name)
        parameters = {"repo": repository, "tag": name[len(repository) + 1 :]}
        docker.request("POST", "/images/%s/tag" % work.id, "cannot give the image its name back", name, parameters)


def _remove_build_cache(docker: Docker, watch: Watch, work: RemoveBuildCache, size: int) -> int:
    if not _CACHE_ID.match(work.id):
        raise SkipAction("its id is too short to name it alone")
    # Without all: what an image shares by now, or the builder uses, is left alone by the engine.
    try:
        answer: Mapping[str, Any] = docker.post("/build/prune", filters='{"id":["%s"]}' % work.id)
    except (EngineError, DockerUnavailable) as error:
        raise _RequestFailed(error) from error
    if work.id not in (answer.get("CachesDeleted") or []):
        raise SkipAction("the engine keeps it: in use, shared with an image, the base of another entry, or gone")
    # What it shares with an image of this run is measured there.
    return 0 if work.counted_with_image else int(answer.get("SpaceReclaimed") or 0)


def _remove_network(docker: Docker, watch: Watch, work: RemoveNetwork, size: int) -> int:
    raw = docker.get("/networks/%s" % work.id)
    if raw.get("Containers"):
        raise SkipAction("a container is connected to it by now")
    users = watch.network(work.id, work.name)
    _require_unused([c for c in users if container_uses_network(c, work.id, work.name)])
    _delete(docker, "cannot remove the network", work.name, "/networks/%s" % work.id)
    return 0


def _remove_volume(docker: Docker, watch: Watch, work: RemoveVolume, size: int) -> int:
    path = "/volumes/%s" % quote(work.name, safe="")
    volume: Optional[Volume] = None
    if not watch.untouched("volume", work.name):
        (volume,) = with_real_places(docker, [parse_volume(docker.get(path))])
    now = watch.users()
    volume = volume or now.volumes.get(work.name)
    if volume is None:
        raise SkipAction("it is gone already")
    if volume.created_at != work.created_at or dict(volume.labels) != dict(work.labels):
        raise SkipAction("it was made anew since planning")
    # The engine's own refusal does not protect a volume on 27.4 and later.
    users = [c for c in now.containers if container_uses_volume(c, work.name, work.mountpoint, volume.real)]
    _require_unused(users)
    mounts = [other.name for other in now.binds if volume_lies_in(other, work.name, work.mountpoint, volume.real)]
    if mounts:
        raise SkipAction("the volume %s is a mount of its directory by now" % mounts[0])
    _delete(docker, "cannot remove the volume", work.name, path, force="false")
    watch.removed("volume", work.name)
    return size


REMOVERS: Dict[Type[Any], Callable[[Docker, Watch, Any, int], int]] = {
    RemoveContainer: _remove_container,
    RemoveImage: _remove_image,
    RemoveBuildCache: _remove_build_cache,
    RemoveNetwork: _remove_network,
    RemoveVolume: _remove_volume,
}
