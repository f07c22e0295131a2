# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.exchange import recorded_images
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.project import Project, ServiceContainer
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.update_journal import (
    DONE,
    REPLACING,
    RecordedService,
    UpdateJournal,
    read_update,
    write_update,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.update_plan import (
    NEWER,
    REPORT,
    UNDO,
    UNKNOWN,
    UP_TO_DATE,
    UPDATE,
    BuildImage,
    PullImage,
    RecordImages,
    RegistryAnswer,
    ReplaceContainers,
    RunningService,
    SettleUpdate,
    UpdatePolicy,
    UpdateScene,
    availability,
    obstacles,
    plan_update,
    refuse_missing_files,
    refuse_project,
    refuse_undefined,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.update_scene import is_database
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.writable_layer import LayerContent

GIB = 1 << 30
OLD, NEW = "sha256:" + "0" * 64, "sha256:" + "1" * 64


def service(name: str, **more: Any) -> RunningService:
    made = RunningService(
        name, (f"id-{name}",), (f"shop-{name}-1",), f"reg/{name}:1", "image-1", "image-1", (f"reg/{name}@{OLD}",)
    )
    return replace(made, **more)


def scene(*services: RunningService, digest: str = NEW, **more: Any) -> UpdateScene:
    registry = {one.image: RegistryAnswer(digest) for one in services if not one.build}
    return UpdateScene(
        "shop", services, tuple(one.name for one in services), **{"registry": registry, "free_bytes": GIB, **more}
    )


def works(seen: UpdateScene, policy: UpdatePolicy) -> list[Any]:
    return [action.work for action in plan_update(seen, policy).actions]


MONGO = service("mongo", database=True)


def test_what_a_registry_says_against_what_is_here() -> None:
    api = service("api")
    assert availability(api, RegistryAnswer(OLD))[0] == UP_TO_DATE
    assert availability(api, RegistryAnswer(NEW))[0] == NEWER
    assert availability(replace(api, image_id="image-0"), RegistryAnswer(OLD))[0] == NEWER
    assert availability(replace(api, digests=()), RegistryAnswer(NEW))[0] == NEWER
    assert availability(api, RegistryAnswer(problem="its registry does not answer")) == (
        UNKNOWN,
        "its registry does not answer",
    )
    assert availability(replace(api, build="/x"), RegistryAnswer(NEW))[0] == UNKNOWN
    assert availability(replace(api, pull_policy="never"), RegistryAnswer(NEW))[0] == UNKNOWN
    assert availability(api, None)[0] == UNKNOWN
    # Made here since, and what runs is older: no registry need be asked for that.
    for made_here in ({"build": "/x"}, {"pull_policy": "never"}):
        assert availability(replace(api, named_id="image-2", **made_here), None)[0] == NEWER


def test_the_database_only_where_it_is_named() -> None:
    seen = scene(service("api"), MONGO)
    assert works(seen, UpdatePolicy(UPDATE))[-1] == ReplaceContainers(("api",))
    assert works(seen, UpdatePolicy(UPDATE, ("mongo",)))[-1] == ReplaceContainers(("mongo",))
    assert works(scene(MONGO), UpdatePolicy(UPDATE)) == []
    with pytest.raises(MaintenanceError, match="only services that run are updated, and worker does not"):
        plan_update(seen, UpdatePolicy(UPDATE, ("worker",)))


@pytest.mark.parametrize(
    ("name", "image", "mounts", "expected"),
    [
        ("mongo", "mongo:7", (), True),
        ("db", "docker.io/library/mongo:7", (), True),
        ("db", "bitnami/mongodb:7", (), True),
        ("store", "own/image:1", ("/data/db",), True),
        ("mongo-express", "mongo-express:1", (), False),
        ("api", "shop/api:1", ("/app/storage",), False),
        ("mongoose-docs", "docs:1", (), False),
    ],
)
def test_what_holds_the_database(name: str, image: str, mounts: tuple[str, ...], expected: bool) -> None:
    assert is_database(name, image, dict.fromkeys(mounts, None)) is expected


def test_an_image_that_several_services_use_is_pulled_once() -> None:
    seen = scene(service("api"), service("worker", image="reg/api:1", digests=(f"reg/api@{OLD}",)))
    assert works(seen, UpdatePolicy(UPDATE)) == [
        RecordImages(("api", "worker")),
        PullImage("reg/api:1", ("api", "worker")),
        ReplaceContainers(("api", "worker")),
    ]


def test_builds_and_what_waits_to_be_replaced() -> None:
    built = service("web", build="/opt/shop")
    waiting = service("api", pull_policy="never", named_id="image-2")
    assert works(scene(built, waiting), UpdatePolicy(UPDATE, no_cache=True)) == [
        RecordImages(("api", "web")),
        BuildImage("web", "reg/web:1", True),
        ReplaceContainers(("api", "web")),
    ]
    assert works(scene(built), UpdatePolicy(UPDATE, build=False)) == []
    plan = plan_update(scene(built), UpdatePolicy(UPDATE))
    assert plan.actions[-1].predicted, "whether a build makes another image nobody knows before"
    kept = plan_update(scene(service("api")), UpdatePolicy(UPDATE, pull=False)).kept
    assert "not to be pulled" in kept[0].reason


def test_a_registry_that_is_silent_stops_all_before_anything() -> None:
    registry = {"reg/api:1": RegistryAnswer(NEW), "reg/web:1": RegistryAnswer(problem="does not answer", silent=True)}
    seen = scene(service("api"), service("web"), registry=registry)
    with pytest.raises(MaintenanceError, match=r"does not answer for web.*Nothing was done"):
        plan_update(seen, UpdatePolicy(UPDATE))
    assert works(seen, UpdatePolicy(UPDATE, ("api",)))
    unknown = {**registry, "reg/web:1": RegistryAnswer(problem="no such image")}
    assert works(replace(seen, registry=unknown), UpdatePolicy(UPDATE))[-1] == ReplaceContainers(("api",))


DATA = LayerContent(("/app/uploads",))
OBSTACLES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"unseen": True}, {}, "no way would lead back"),
    ({"lost": ("/data",)}, {}, "would not have its volumes"),
    ({"layer": LayerContent((), ("/app/notes",))}, {}, "/app/notes; name it in data or in discard"),
    ({"layer": DATA, "containers": ("a", "b")}, {}, "2 containers have data"),
    ({"layer": DATA, "layer_bytes": 2 * GIB}, {}, "no room to copy"),
    ({"variables": ("TOKEN",)}, {}, "other variables than it runs with (TOKEN)"),
    ({}, {"config_changes": ("shop-api-1",)}, "what has changed in the compose files"),
    ({}, {"bystanders": ("shop-mongo-1",)}, "compose would replace shop-mongo-1 as well"),
    ({}, {"unhealthy": "connection refused"}, "not well before the update"),
]


@pytest.mark.parametrize(("of_service", "of_scene", "words"), OBSTACLES, ids=[words for _s, _c, words in OBSTACLES])
def test_it_refuses_what_cannot_be_done_without_loss(
    of_service: dict[str, Any], of_scene: dict[str, Any], words: str
) -> None:
    seen = scene(service("api", **of_service), **of_scene)
    with pytest.raises(MaintenanceError) as refused:
        plan_update(seen, UpdatePolicy(UPDATE))
    assert words in str(refused.value) and "Nothing was done." in str(refused.value)
    # A report says the same, and fails for none of it.
    assert plan_update(seen, UpdatePolicy(REPORT)).actions == []
    assert len(obstacles(seen, UpdatePolicy(REPORT), seen.services)) == 1
    # What nothing is done to is in nobody's way.
    assert works(replace(seen, registry={"reg/api:1": RegistryAnswer(OLD)}), UpdatePolicy(UPDATE)) == []


def test_changes_of_the_files_can_be_allowed() -> None:
    seen = scene(service("api", variables=("TOKEN",)), config_changes=("shop-api-1",))
    assert works(seen, UpdatePolicy(UPDATE, config_changes=True))


def recorded(image: str = "image-0") -> dict[str, RecordedService]:
    return {"api": RecordedService("reg/api:1", image, (), ("id-api",))}


def test_going_back() -> None:
    journal = UpdateJournal("shop", DONE, "2026-11-29T03:00:00Z", recorded())
    seen = scene(service("api"), MONGO, journal=journal)
    assert works(seen, UpdatePolicy(UNDO)) == [ReplaceContainers(("api",), (("api", "image-0"),))]
    # Who goes back does so because the shop is not well.
    assert works(replace(seen, unhealthy="down"), UpdatePolicy(UNDO))
    again = replace(seen, journal=replace(journal, services=recorded("image-1")))
    assert works(again, UpdatePolicy(UNDO)) == []
    assert works(replace(seen, journal=None), UpdatePolicy(UNDO)) == []
    assert works(seen, UpdatePolicy(UNDO, ("mongo",))) == []
    broken = scene(service("api", layer=LayerContent((), ("/app/notes",))), journal=journal)
    with pytest.raises(MaintenanceError, match="/app/notes"):
        plan_update(broken, UpdatePolicy(UNDO))


def test_what_was_cut_off_comes_first_and_alone() -> None:
    journal = UpdateJournal("shop", REPLACING, "2026-11-29T03:00:00Z", recorded())
    seen = scene(service("api", lost=("/data",)), journal=journal)
    for action in (UPDATE, UNDO):
        assert works(seen, UpdatePolicy(action)) == [SettleUpdate(("api",))]
    migrated = replace(seen, migrated="migrations have run (changelog)")
    (settled,) = plan_update(migrated, UpdatePolicy(UPDATE)).actions
    assert settled.work == SettleUpdate(("api",), forward=True) and "migrations have run (changelog)" in settled.reason
    told = plan_update(seen, UpdatePolicy(REPORT))
    assert told.actions == [] and "was cut off" in told.warnings[0]


def test_a_plan_tells_what_becomes_of_the_logs() -> None:
    done = UpdateJournal("shop", DONE, "2026-11-29T03:00:00Z", recorded())
    cut_off = replace(done, phase=REPLACING)
    newer = {"reg/api:1": RegistryAnswer(NEW)}
    for action, journal in ((UPDATE, None), (UNDO, done), (UPDATE, cut_off), (UNDO, cut_off)):
        seen = scene(service("api"), journal=journal, registry=newer)
        collected, lost = (
            plan_update(seen, UpdatePolicy(action, logs_dest=dest)).actions[-1].reason for dest in ("/srv/logs", "")
        )
        assert "collected before, into /srv/logs" in collected and "logs go with them" in lost


def test_of_images_that_ran_is_noted_what_they_were_and_not_what_their_name_has_become() -> None:
    api = service("api", digests=(f"reg/api@{NEW}",), running_digests=(f"reg/api@{OLD}",), running_tags=("reg/api:0",))
    assert recorded_images(scene(api, service("web")), ["api"]) == {
        "api": RecordedService("reg/api:1", "image-1", (f"reg/api@{OLD}",), ("id-api",), ("reg/api:0",))
    }


def test_the_journal_is_read_as_it_was_written(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    assert read_update(state, "shop") is None
    journal = UpdateJournal(
        "shop",
        DONE,
        "2026-11-29T03:00:00Z",
        {name: replace(one, tags=("reg/api:0",)) for name, one in recorded().items()},
        {"api": "id-api"},
        {"api": {"/app/uploads": "/x.tar"}},
        {"migrations": "1"},
        True,
        {"seconds": 1.5},
    )
    write_update(state, journal)
    assert read_update(state, "shop") == journal
    write_update(state, replace(journal, migrations=None))
    assert read_update(state, "shop") == replace(journal, migrations=None)
    path = tmp_path / "state/updates/shop/journal.json"
    assert path.stat().st_mode & 0o077 == 0 and path.parent.stat().st_mode & 0o077 == 0
    older = json.loads(path.read_text())
    del older["services"]["api"]["tags"]
    path.write_text(json.dumps(older))
    found = read_update(state, "shop")
    assert found is not None and found.services == recorded()
    for damaged in ("", "[]", "{}", '{"services": 1}'):
        path.write_text(damaged)
        with pytest.raises(MaintenanceError, match="no journal of an update"):
            read_update(state, "shop")


def project(*told: str, name: str = "shop", state: str = "running") -> Project:
    containers = tuple(
        ServiceContainer(
            f"id{number}",
            f"shop-{number}",
            "api",
            state,
            "",
            "i",
            "image",
            {"Labels": {"com.docker.compose.project.config_files": text}},
        )
        for number, text in enumerate(told)
    )
    files = tuple(part for text in told[:1] for part in text.split(",") if part and part != "-")
    return Project(name, "/opt/shop", files, (), containers, "")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "no compose project of the shop runs here"),
        (project("/a.yml", name=""), "no compose project of the shop runs here"),
        (project("/a.yml", state="exited"), "no compose project of the shop runs here"),
        (project("-"), "standard input"),
        (project(""), "standard input"),
        (project("/a.yml,-"), "standard input"),
        (project("/a.yml", "/a.yml,/prod.yml"), "different files"),
    ],
)
def test_a_project_whose_files_nobody_can_name_is_refused(found: Project | None, words: str) -> None:
    with pytest.raises(MaintenanceError, match=words):
        refuse_project(found, (), "/opt/shop", ["blog"])


def test_a_project_whose_files_are_named_is_worked_on() -> None:
    refuse_project(project("-"), ("/a.yml",), "/opt/shop", [])
    refuse_project(project("/a.yml", "/a.yml"), (), "/opt/shop", [])
    refuse_project(project("/a.yml", state="exited"), (), "/opt/shop", [], stopped=True)
    refuse_missing_files("shop", [])
    refuse_undefined("shop", [], ["/a.yml"])
    with pytest.raises(MaintenanceError, match="app_update_files"):
        refuse_missing_files("shop", ["/a"])
    with pytest.raises(MaintenanceError, match=r"worker runs, and the files do not define it \(/a.yml\)"):
        refuse_undefined("shop", ["worker"], ["/a.yml"])


@st.composite
def worlds(draw: st.DrawFn) -> UpdateScene:
    def mostly(usual: Any, *others: Any) -> Any:
        return draw(st.sampled_from([usual] * 6 + list(others)))

    made = []
    for name in ("api", "mongo", "web"):
        made.append(
            service(
                name,
                database=name == "mongo",
                build=mostly("", "", "", "/opt/shop"),
                named_id=mostly("image-1", "image-2", ""),
                digests=mostly((f"reg/{name}@{OLD}",), ()),
                layer=mostly(LayerContent(), DATA, LayerContent((), ("/x",))),
                lost=mostly((), ("/data",)),
                variables=mostly((), ("A",)),
                unseen=mostly(False, True),
            )
        )
    answers = {
        one.image: mostly(
            RegistryAnswer(NEW), RegistryAnswer(OLD), RegistryAnswer(), RegistryAnswer(problem="x", silent=True)
        )
        for one in made
    }
    return scene(*made, registry=answers, bystanders=mostly((), ("shop-mongo-1",)), unhealthy=mostly("", "", "down"))


@given(worlds(), st.sampled_from([(), ("mongo",), ("api", "web")]), st.booleans(), st.booleans())
def test_a_plan_touches_only_what_it_may(seen: UpdateScene, names: tuple[str, ...], pull: bool, build: bool) -> None:
    policy = UpdatePolicy(UPDATE, names, pull, build)
    try:
        plan = plan_update(seen, policy)
    except MaintenanceError as error:
        event("refused")
        assert "Nothing was done." in str(error)
        return
    touched: set[str] = set()
    for action in plan.actions:
        work = action.work
        assert pull or not isinstance(work, PullImage)
        assert build or not isinstance(work, BuildImage)
        touched |= {work.service} if isinstance(work, BuildImage) else set(work.services)  # type: ignore[union-attr]
    event("touched" if touched else "nothing to do")
    assert touched <= (set(names) or {"api", "web"})
    if plan.actions:
        assert isinstance(plan.actions[0].work, RecordImages) and isinstance(plan.actions[-1].work, ReplaceContainers)
        assert set(plan.actions[0].work.services) == set(plan.actions[-1].work.services) == touched
    for one in seen.services:
        assert one.name in touched or any(kept.target == one.label for kept in plan.kept)
        if one.name in touched:
            assert not (
                one.lost or one.unseen or one.layer.unknown or one.variables or seen.bystanders or seen.unhealthy
            )
