# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of docker_prune around the planner: what ends a plan, what a second look finds, what is told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import (
    AbortPlan,
    MaintenanceError,
    SkipAction,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import (
    Action,
    Outcome,
    Plan,
    Result,
    Results,
    Verification,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.runner import apply
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker import observation, pruning, removal
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.client import DockerUnavailable, EngineError
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.inventory import (
    Container,
    DiskUsage,
    Inventory,
    Volume,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.pruning import DockerPrune
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.removal import Unsure
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.works import (
    Removal,
    RemoveContainer,
    RemoveImage,
    RemoveNetwork,
    RemoveVolume,
)

PARAMS: dict[str, Any] = {
    **dict.fromkeys(("containers", "images", "volumes", "networks", "build_cache"), "none"),
    **{name: [] for name in ("container_names", "volume_names", "only_labels", "compose_paths")},
    "build_cache_mounts": False,
    "older_than": "0s",
    "keep_per_repository": 0,
    "protect": {},
    "max_delete": None,
    "target_free": None,
    "docker_host": "unix:///nowhere",
    "docker_timeout": 1,
}
VOLUME: Action[Removal] = Action("remove_volume", "data", "", RemoveVolume("data", "/d", "then", {}), 5)
CONTAINER: Action[Removal] = Action("remove_container", "web", "", RemoveContainer("cid", "web", "then", 0), 7)
NETWORK: Action[Removal] = Action("remove_network", "net", "", RemoveNetwork("nid", "net"))
GONE_AWAY = DockerUnavailable("it did not answer", "unix:///nowhere", "timeout", next_step="Look.")


def task(**params: Any) -> DockerPrune:
    run = SimpleNamespace(renew=lambda: None, append=lambda event: None)
    return DockerPrune(SimpleNamespace(params={**PARAMS, **params}, run=run, check=False))  # type: ignore[arg-type]


def volumes(*names: str) -> tuple[Volume, ...]:
    return tuple(Volume(name, "local", "/" + name, 1.0) for name in names)


def results(*items: Result[Removal], after: Inventory | None = None) -> Results[Removal, Inventory]:
    found: Results[Removal, Inventory] = Results(False, [item.action for item in items], list(items))
    found.verification = Verification(after)
    return found


# -- carrying out -----------------------------------------------------------------------------------------------------


def test_an_engine_that_goes_away_ends_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def gone(docker: Any, watch: Any, work: Any, size: int) -> int:
        tried.append(work)
        raise GONE_AWAY

    monkeypatch.setitem(removal.REMOVERS, RemoveContainer, gone)
    monkeypatch.setattr(DockerPrune, "docker", lambda self: None)
    found: Results[Removal, Inventory] = Results(False)
    apply(task(), Inventory(), Plan([CONTAINER, CONTAINER, VOLUME]), found)
    assert len(tried) == len(found) == 1
    assert found.details(Unsure) == []
    assert found.failures[0].details["docker"]["reason"] == "timeout"


@pytest.mark.parametrize(
    ("error", "action", "outcome"),
    [
        (GONE_AWAY, VOLUME, AbortPlan),
        (EngineError("no", "data", 500, "broken"), VOLUME, EngineError),
        (EngineError("no", "data", 403, "denied"), VOLUME, EngineError),
        (EngineError("no", "net", 403, "denied"), NETWORK, EngineError),
        (EngineError("no", "net", 403, "it has active endpoints"), NETWORK, SkipAction),
        (EngineError("no", "data", 403, "it has active endpoints"), VOLUME, EngineError),
        (EngineError("no", "data", 404, "no such volume"), VOLUME, SkipAction),
        (EngineError("no", "data", 409, "in use"), VOLUME, SkipAction),
    ],
)
@pytest.mark.parametrize("asked", [True, False])
def test_what_a_refusal_means(
    monkeypatch: pytest.MonkeyPatch, error: MaintenanceError, action: Action[Removal], outcome: type, asked: bool
) -> None:
    def refused(docker: Any, watch: Any, work: Any, size: int) -> int:
        raise removal._RequestFailed(error) if asked else error

    monkeypatch.setitem(removal.REMOVERS, type(action.work), refused)
    if outcome is SkipAction:
        with pytest.raises(SkipAction):
            removal.remove(None, None, action)  # type: ignore[arg-type]
        return
    found = removal.remove(None, None, action)  # type: ignore[arg-type]
    assert isinstance(found.failure, outcome)
    # Only when it was asked to remove it, the engine may have done so.
    assert found.detail == (Unsure(action) if asked else None)


def test_nothing_more_goes_when_enough_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DockerPrune, "docker", lambda self: None)
    monkeypatch.setattr(pruning, "remove", lambda docker, watch, action: Outcome(1))
    free = {"now": 99}
    monkeypatch.setattr(pruning, "free_bytes", lambda docker: free["now"])
    prune = task(target_free="100B")
    assert prune.act(VOLUME, Inventory()).bytes == 1
    free["now"] = 100
    with pytest.raises(SkipAction, match="100 B are free by now"):
        prune.act(VOLUME, Inventory())
    assert task().act(VOLUME, Inventory()).bytes == 1


# -- the second look --------------------------------------------------------------------------------------------------


def test_what_is_still_there_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    there = Inventory(containers=(Container("cid", "web", "a", "i", "exited", 1.0),))
    looked: list[Any] = []

    def look(docker: Any, wanted: Any) -> Inventory:
        looked.append(wanted)
        return there

    monkeypatch.setattr(DockerPrune, "docker", lambda self: None)
    monkeypatch.setattr(pruning, "read_inventory", look)
    found = task(containers="stopped").verify(Inventory(), Plan(), results(Result(CONTAINER, "done")))
    assert "1 objects are still there" in str(found.failure)
    assert (found.after, looked[0].containers, looked[0].brief) == (there, True, True)
    # Where nothing was done nobody looks; where it is not sure whether anything was, somebody does.
    assert task().verify(Inventory(), Plan(), results(Result(CONTAINER, "skipped"))).after is None
    unsure = Result(CONTAINER, "failed", detail=Unsure(CONTAINER))
    found = task().verify(Inventory(), Plan(), results(unsure))
    assert (found.after, found.failure) == (there, None)


def test_what_went_after_all_is_a_change_and_is_told() -> None:
    before = Inventory(volumes=volumes("data", "others", "stays"))
    unsure = Result(VOLUME, "failed", detail=Unsure(VOLUME))
    report = task().report(before, Plan(), results(unsure, after=Inventory(volumes=volumes("stays"))))
    assert report.changed
    assert report.warnings == [
        "the volume data was removed after all: the engine went on when it was waited for no longer",
        "the volume others was removed by somebody else meanwhile",
    ]
    report = task().report(before, Plan(), results(unsure, after=before))
    assert not report.changed and not report.warnings
    report = task().report(before, Plan(), results(unsure))
    assert not report.changed and not report.warnings


def test_the_numbers_of_a_report() -> None:
    planned: Results[Removal, Inventory] = Results(True, [CONTAINER, VOLUME])
    report = task().report(Inventory(), Plan([CONTAINER, VOLUME]), planned)
    assert report.headline == "would remove 1 container, 1 volume and free 12 B"
    assert (report.changed, report.summary["bytes"], report.summary["bytes_freed"]) == (True, 12, 0)
    done = results(Result(CONTAINER, "done", 6), Result(VOLUME, "skipped"), after=Inventory())
    report = task().report(Inventory(volumes=volumes("data")), Plan([CONTAINER, VOLUME]), done)
    assert report.headline == "removed 1 container and freed 6 B (predicted 7 B)"
    assert (report.summary["containers_removed"], report.summary["volumes_removed"]) == (1, 0)
    assert (report.summary["objects_skipped"], report.summary["bytes"]) == (1, 6)


# -- what the engine does not tell ------------------------------------------------------------------------------------


class Engine:
    """As much of a connection as the functions under test ask for."""

    def __init__(self, swarm: dict[str, Any] | None = None, services: list[dict[str, Any]] | None = None) -> None:
        self.info = {"Swarm": swarm}
        self._services = services or []
        self.api_version = "1.45"

    def services(self) -> list[dict[str, Any]]:
        return self._services

    def df(self, types: list[str]) -> dict[str, Any]:
        if "container" in types:
            raise EngineError("no", "df", 500, "rw layer snapshot not found for container 1")
        return {"LayersSize": 7}


def swarm_needs(*facts: Any) -> observation.SwarmNeeds:
    return observation._swarm_needs(Engine(*facts))  # type: ignore[arg-type]


def test_only_a_manager_tells_the_services_of_a_swarm() -> None:
    assert swarm_needs() == swarm_needs({"LocalNodeState": "inactive"}) == observation.SwarmNeeds()
    for swarm in ({"LocalNodeState": "active"}, {"LocalNodeState": "locked", "ControlAvailable": True}):
        found = swarm_needs(swarm)
        assert found.needs == () and "no manager" in found.unseen
    mounts = [{"Type": "volume", "Source": "shop_data"}, {"Type": "volume"}, {"Type": "bind", "Source": "/srv"}]
    container = {"Image": "api:2@sha256:12", "Mounts": [*mounts, {"Type": "image", "Source": "assets:1"}]}
    spec = {"Name": "shop_api", "TaskTemplate": {"ContainerSpec": container, "Networks": [{"Target": "nid"}]}}
    plugin = {"Spec": {"Name": "p", "TaskTemplate": {"PluginSpec": {}}}}
    found = swarm_needs({"LocalNodeState": "active", "ControlAvailable": True}, [{"Spec": spec}, plugin])
    assert found.unseen == "" and {need.by for need in found.needs} == {"the swarm's service shop_api"}
    assert found.needs[0].meets(["api:2"]) and found.needs[0].meets(["api@sha256:12"])
    assert not found.needs[0].meets(["api:1"]) and found.needs[1].meets(["assets:1"])
    assert [(item.kind, item.pattern) for item in found.declared] == [("volume", "shop_data"), ("network", "nid")]


def test_only_what_the_containerd_store_cleans_up_after_goes_by_many_at_a_time() -> None:
    prune, image = task(), Action("remove_image", "i", "", RemoveImage("i", (), ("i",), 1), 1)
    found = [
        [prune.at_a_time(Inventory(store=store), [action]) for action in (CONTAINER, image, VOLUME, NETWORK)]
        for store in ("classic", "containerd")
    ]
    assert found == [[4, 4, 4, 4], [16, 16, 4, 4]]


class Lister(Engine):
    """Lists containers, with their sizes unless they cannot be had."""

    engine, docker_host = "docker", "tcp://elsewhere:2376"

    def __init__(self, words: str = "") -> None:
        super().__init__()
        self.words = words
        self.asked: list[dict[str, Any]] = []

    def containers(self, **parameters: Any) -> list[dict[str, Any]]:
        self.asked.append(parameters)
        if self.words and parameters:
            raise EngineError("no", "list", 500, self.words)
        return [{"Id": "c", "SizeRw": 7}] if parameters else [{"Id": "c"}]


def listed(docker: Lister, wanted: observation.Wanted) -> tuple[list[int], str]:
    counted = DiskUsage((), ({"Id": "c", "SizeRw": 5},), (), (), 0)
    containers, why = observation._containers(docker, counted, wanted)  # type: ignore[arg-type]
    return [container.size for container in containers], why


def test_containers_are_listed_with_their_sizes_once() -> None:
    wanted = observation.Wanted(containers=True)
    docker = Lister()
    assert listed(docker, wanted) == ([7], "") and docker.asked == [{"size": 1}]
    # Who is not asked about them, and who looks again, need none; older engines count everything in their disk usage.
    assert listed(docker, observation.Wanted(volumes=True)) == listed(docker, wanted.briefly()) == ([5], "")
    docker.api_version = "1.41"
    assert listed(docker, wanted) == ([5], "") and docker.asked[1:] == [{}, {}, {}]
    lost = Lister("rw layer snapshot not found for container 1")
    assert listed(lost, wanted) == ([0], lost.words)
    with pytest.raises(EngineError):
        listed(Lister("out of memory"), wanted)


def test_sizes_of_containers_are_done_without() -> None:
    usage, why = observation._disk_usage(Engine(), ["container", "image"])  # type: ignore[arg-type]
    assert (usage.layers_size, why) == (7, "rw layer snapshot not found for container 1")
    assert observation._disk_usage(Engine(), ["container"])[0].layers_size == 0  # type: ignore[arg-type]
    assert observation._disk_usage(Engine(), ["image"])[1] == ""  # type: ignore[arg-type]
    broken = Engine()
    broken.df = lambda types: (_ for _ in ()).throw(EngineError("no", "df", 500, "out of memory"))  # type: ignore[method-assign]
    with pytest.raises(EngineError):
        observation._disk_usage(broken, ["container"])  # type: ignore[arg-type]
