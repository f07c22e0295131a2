# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Between planning and removing an engine may change: what is used, or is another object by now, stays."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import SkipAction
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Action, Outcome
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker import removal
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.client import EngineError
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.inventory import Container, Mount, Volume
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.watch import Users
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.works import (
    Removal,
    RemoveBuildCache,
    RemoveContainer,
    RemoveImage,
    RemoveNetwork,
    RemoveVolume,
)

ID = "sha256:" + "ab" * 32
CACHE = "abcdefghij0123456789"
ENDED: dict[str, Any] = {
    "State": {"Status": "exited", "FinishedAt": "then"},
    "HostConfig": {"RestartPolicy": {"Name": "no"}},
}
OTHER = Container("other", "other", "x:1", "sha256:x", "exited", 1.0)
CONTAINER = RemoveContainer("cid", "web", "then", 0, "no")
IMAGE = RemoveImage(ID, ("app:1",), (ID,), 5)
VOLUME = RemoveVolume("data", "/v/data", "then", {"a": "1"})
MADE: dict[str, Any] = {"CreatedAt": "then", "Labels": {"a": "1"}}
SEEN = Volume("data", "local", "/v/data", 1.0, {"a": "1"}, created_at="then", real=("/disk/data",))
NETWORK = RemoveNetwork("nid", "net")


class Engine:
    """Answers what a test says, and notes what it was asked to remove."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: Any, *containers: Container) -> None:
        self.answer = answer
        self.removed: list[tuple[str, dict[str, Any]]] = []
        self.known: set[tuple[str, str]] = set()
        self.told: list[tuple[str, str]] = []
        self.watch: Any = SimpleNamespace(
            users=self.users,
            network=lambda *names: self.users().containers,
            untouched=lambda kind, identity: (kind, identity) in self.known,
            removed=lambda kind, identity: self.told.append((kind, identity)),
        )
        self.containers = containers
        self.volumes: tuple[Volume, ...] = ()
        self.docker_host = "tcp://elsewhere:2376"
        monkeypatch.setattr(removal, "inspect_container", lambda _docker, _id: self.answer)
        monkeypatch.setattr(removal, "inspect_image", lambda _docker, _id: self.answer)

    def users(self) -> Users:
        return Users(self.containers, {volume.name: volume for volume in self.volumes})

    def get(self, path: str) -> Any:
        assert self.answer is not None, "it was asked for"
        return self.answer

    def post(self, path: str, **parameters: Any) -> Any:
        self.removed.append((path, parameters))
        return {"CachesDeleted": [CACHE], "SpaceReclaimed": 9}

    def delete(self, path: str, what: str, target: str, **parameters: Any) -> None:
        self.removed.append((path, parameters))

    def remove(self, work: Removal) -> Outcome:
        docker: Any = self
        return removal.remove(docker, self.watch, Action("remove", "it", "", work, 5))


def state(**facts: Any) -> dict[str, Any]:
    return {**ENDED, "State": {**ENDED["State"], **facts}}


@pytest.mark.parametrize(
    ("answer", "users", "said"),
    [
        (None, (), "gone already"),
        (state(Status="running"), (), "is running by now"),
        (state(FinishedAt="later"), (), "was started since planning"),
        ({**ENDED, "HostConfig": {"RestartPolicy": {"Name": "always"}}}, (), "its restart policy is always by now"),
        (ENDED, (replace(OTHER, joins=("web",)),), "uses it by now"),
    ],
)
def test_a_container_that_is_needed_by_now_stays(
    monkeypatch: pytest.MonkeyPatch, answer: Any, users: tuple[Container, ...], said: str
) -> None:
    engine = Engine(monkeypatch, answer, *users)
    with pytest.raises(SkipAction, match=said):
        engine.remove(CONTAINER)
    assert engine.removed == []


def test_a_container_goes_without_its_volumes(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch, ENDED, OTHER)
    assert engine.remove(CONTAINER).bytes == 5
    assert engine.removed == [("/containers/cid", {})]


@pytest.mark.parametrize(
    ("tags", "users", "work", "said"),
    [
        (["app:1", "app:latest"], (), IMAGE, "was given the name app:latest since planning"),
        (["app:1"], (replace(OTHER, image_id=ID),), IMAGE, "uses it by now"),
        (["app:1"], (replace(OTHER, image_id="", image="app:1"),), IMAGE, "uses it by now"),
        (["app:1", "app:2"], (), replace(IMAGE, tags=("app:1", "app:2")), "has several names by now"),
    ],
)
def test_an_image_that_is_another_or_needed_by_now_stays(
    monkeypatch: pytest.MonkeyPatch, tags: list[str], users: tuple[Container, ...], work: RemoveImage, said: str
) -> None:
    engine = Engine(monkeypatch, {"Id": ID, "RepoTags": tags}, *users)
    with pytest.raises(SkipAction, match=said):
        engine.remove(work)
    assert engine.removed == []


LATE = {"Name": "/late", "State": {"Status": "created"}}
IN_USE = (
    "conflict: unable to delete abababababab (must be forced) - image is being used by stopped container 2e0bb398112f"
)


@pytest.mark.parametrize(
    ("words", "found", "said"),
    [
        (IN_USE, LATE, "the container late (created) uses it by now"),
        (IN_USE, None, f"the engine refuses: {IN_USE}"),
        (IN_USE, EngineError("cannot look", "late", 500, "out of order"), f"the engine refuses: {IN_USE}"),
        # Podman says the whole id.
        ("in use by " + "2e0bb398112f".ljust(64, "0"), LATE, "the container late (created) uses it by now"),
        (
            "conflict: it has dependent child images",
            LATE,
            "the engine refuses: conflict: it has dependent child images",
        ),
    ],
)
@pytest.mark.parametrize("work", [IMAGE, VOLUME])
def test_who_uses_what_the_engine_refuses_is_told_by_name(
    monkeypatch: pytest.MonkeyPatch, work: Removal, words: str, found: Any, said: str
) -> None:
    engine = Engine(monkeypatch, {**MADE, "Id": ID, "RepoTags": ["app:1"]}, OTHER)

    def inspect(_docker: Any, identity: str) -> Any:
        if isinstance(found, Exception):
            raise found
        return found if identity.startswith("2e0bb398112f") else None

    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise EngineError("cannot remove it", "app:1", 409, words)

    monkeypatch.setattr(removal, "inspect_container", inspect)
    monkeypatch.setattr(engine, "delete", refuse)
    with pytest.raises(SkipAction) as caught:
        engine.remove(work)
    assert caught.value.reason == said


def test_a_container_that_the_engine_refuses_is_not_said_to_be_used_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch, {**ENDED, "Name": "/web"})

    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise EngineError("cannot remove it", "web", 409, "You cannot remove a running container 2e0bb398112f")

    monkeypatch.setattr(engine, "delete", refuse)
    with pytest.raises(SkipAction, match="the engine refuses: You cannot"):
        engine.remove(CONTAINER)


def test_an_image_goes_without_force(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch, {"Id": ID, "RepoTags": ["app:1"]}, OTHER)
    assert engine.remove(IMAGE).bytes == 5
    assert engine.removed == [(f"/images/{ID}", {"force": "false"})]


@pytest.mark.parametrize(
    ("answer", "users", "said"),
    [
        ({"Containers": {"cid": {}}}, (), "a container is connected to it by now"),
        ({}, (replace(OTHER, networks=frozenset(["net"])),), "uses it by now"),
    ],
)
def test_a_network_that_is_used_by_now_stays(
    monkeypatch: pytest.MonkeyPatch, answer: Any, users: tuple[Container, ...], said: str
) -> None:
    engine = Engine(monkeypatch, answer, *users)
    with pytest.raises(SkipAction, match=said):
        engine.remove(NETWORK)
    assert engine.removed == []


@pytest.mark.parametrize(
    ("answer", "users", "said"),
    [
        ({**MADE, "CreatedAt": "later"}, (), "made anew since planning"),
        ({**MADE, "Labels": {"a": "2"}}, (), "made anew since planning"),
        ({**MADE, "Labels": None}, (), "made anew since planning"),
        (MADE, (replace(OTHER, mounts=(Mount("volume", "data", "", "/d"),)),), "uses it by now"),
        (MADE, (replace(OTHER, mounts=(Mount("bind", "", "/v", "/d"),)),), "uses it by now"),
    ],
)
def test_a_volume_that_is_another_or_mounted_by_now_stays(
    monkeypatch: pytest.MonkeyPatch, answer: Any, users: tuple[Container, ...], said: str
) -> None:
    engine = Engine(monkeypatch, answer, *users)
    with pytest.raises(SkipAction, match=said):
        engine.remove(VOLUME)
    assert engine.removed == []


def test_a_volume_whose_directory_another_one_mounts_by_now_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch, MADE, OTHER)
    engine.volumes = (Volume("other", "local", "/v/other", 1.0, elsewhere=("/v/data/sub",)),)
    with pytest.raises(SkipAction, match="the volume other is a mount of its directory by now"):
        engine.remove(VOLUME)
    assert engine.removed == []


def test_a_network_and_a_volume_that_nobody_uses_go(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch, MADE, OTHER)
    assert (engine.remove(NETWORK).bytes, engine.remove(VOLUME).bytes) == (0, 5)
    assert engine.removed == [("/networks/nid", {}), ("/volumes/data", {"force": "false"})]


def test_what_nobody_has_touched_is_not_asked_for_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch, None, OTHER)
    engine.known = {("container", "cid"), ("volume", "data"), ("image", ID)}
    engine.volumes = (Volume("data", "local", "/v/data", 1.0, {"a": "1"}, created_at="then"),)
    assert [engine.remove(work).bytes for work in (CONTAINER, VOLUME, IMAGE)] == [5, 5, 5]
    assert engine.told == [("container", "cid"), ("volume", "data"), ("image", ID)]


@pytest.mark.parametrize(
    ("volumes", "containers", "said"),
    [
        ((), (), "gone already"),
        ((replace(SEEN, created_at="later"),), (), "made anew since planning"),
        ((replace(SEEN, labels={}),), (), "made anew since planning"),
        ((SEEN,), (replace(OTHER, mounts=(Mount("volume", "data", "", "/d"),)),), "uses it by now"),
        ((SEEN,), (replace(OTHER, mounts=(Mount("bind", "", "/disk/data", "/d"),)),), "uses it by now"),
        ((SEEN, Volume("other", "local", "/v/other", 1.0, elsewhere=("/disk/data/sub",))), (), "is a mount of its"),
    ],
)
def test_what_nobody_has_touched_may_be_used_all_the_same(
    monkeypatch: pytest.MonkeyPatch, volumes: tuple[Volume, ...], containers: tuple[Container, ...], said: str
) -> None:
    engine = Engine(monkeypatch, None, *containers)
    engine.known, engine.volumes = {("container", "cid"), ("volume", "data")}, volumes
    with pytest.raises(SkipAction, match=said):
        engine.remove(VOLUME)
    engine.known.add(("image", ID))
    image = replace(IMAGE, names=("app:1", "app@sha256:1"))
    users = {"joins": ("web",)}, {"image_id": ID}, {"image_id": "", "image": "app@sha256:1"}
    for work, facts in zip((CONTAINER, image, image), users, strict=True):
        engine.containers = (replace(OTHER, **facts),)
        with pytest.raises(SkipAction, match="uses it by now"):
            engine.remove(work)
    # One that goes name by name is looked at each time.
    engine.answer, engine.containers = {"Id": ID, "RepoTags": ["app:1", "other:1"]}, ()
    with pytest.raises(SkipAction, match="was given the name other:1 since planning"):
        engine.remove(replace(IMAGE, references=("app:1", ID)))
    assert engine.removed == []


@pytest.mark.parametrize("entry", ["abc", CACHE[:19], CACHE + ".*", ""])
def test_an_id_of_build_cache_that_could_mean_others_is_not_asked_for(
    monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    engine = Engine(monkeypatch, None)
    with pytest.raises(SkipAction, match="too short to name it alone"):
        engine.remove(RemoveBuildCache(entry, False, 0, 9))
    assert engine.removed == []
    assert engine.remove(RemoveBuildCache(CACHE, False, 0, 9)).bytes == 9
