# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is removed can be looked back on: how to have it again stands in the plan, in the record, and in what is read of that."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Action, Result
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.record import capped
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker import looking_back
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.inventory import (
    Container,
    Image,
    Inventory,
    Volume,
    parse_network,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.looking_back import look_back, removals
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.recall import (
    container_again,
    image_again,
    network_again,
    volume_again,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.works import Removal, RemoveNetwork

COMPOSE = "com.docker.compose."
SHOP = {
    f"{COMPOSE}project": "shop",
    f"{COMPOSE}service": "api",
    f"{COMPOSE}project.working_dir": "/opt/the shop",
    f"{COMPOSE}project.config_files": "/opt/the shop/compose.yml,/opt/the shop/prod.yml",
    f"{COMPOSE}project.environment_file": "/opt/the shop/.env",
}
CALL = (
    "docker compose --project-name shop --project-directory '/opt/the shop' --file '/opt/the shop/compose.yml' "
    "--file '/opt/the shop/prod.yml' --env-file '/opt/the shop/.env' "
)


def container(labels: dict[str, str]) -> Container:
    return Container("cid", "web", "shop-api:1", "sha256:ab", "exited", 1.0, labels)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (SHOP, CALL + "up --detach --no-deps api"),
        ({**SHOP, f"{COMPOSE}oneoff": "True"}, CALL + "run api"),
        ({}, "no compose file says how it was set up: make it anew, of the image shop-api:1 (sha256:ab)"),
        ({"com.docker.swarm.service.name": "s_api"}, "the swarm makes new tasks of the service s_api by itself"),
    ],
)
def test_a_container_is_made_again_by_what_made_it(labels: dict[str, str], said: str) -> None:
    assert container_again(container(labels)) == said


@pytest.mark.parametrize(
    ("facts", "store", "said"),
    [
        (
            {"digests": ("mongo@sha256:12",), "tags": ("mongo:6", "mongo:6.0")},
            "classic",
            "docker pull mongo@sha256:12 && docker tag mongo@sha256:12 mongo:6 && docker tag mongo@sha256:12 mongo:6.0",
        ),
        (
            {"digests": ("mongo@sha256:12",), "tags": ()},
            "containerd",
            "docker pull mongo@sha256:12 (if a registry has it: the containerd store does not tell)",
        ),
        (
            {"tags": ("app:1",)},
            "classic",
            "it was built or loaded here, and is in no registry that the engine knows of: build",
        ),
        ({"tags": ("app:1",), "labels": SHOP, "digests": ("app@sha256:1",)}, "containerd", CALL + "build api"),
    ],
)
def test_an_image_is_pulled_by_its_digest_or_built(facts: dict[str, Any], store: str, said: str) -> None:
    image = Image("sha256:ab", created=1.0, size=1, **facts)
    assert image_again(image, Inventory(store=store, containers=(container(SHOP),))).startswith(said)


def test_a_network_and_a_volume_are_made_with_what_they_had() -> None:
    raw: dict[str, Any] = {
        "Name": "front",
        "Driver": "bridge",
        "IPAM": {"Config": [{"Subnet": "10.9.0.0/24", "Gateway": "10.9.0.1"}]},
        "Internal": True,
        "Options": {"com.docker.network.bridge.name": "br9"},
        "Labels": {"a": "b c"},
    }
    assert network_again(parse_network(raw)) == (
        "docker network create --driver bridge --subnet 10.9.0.0/24 --gateway 10.9.0.1 --internal "
        "--opt com.docker.network.bridge.name=br9 --label 'a=b c' front"
    )
    assert "compose up of the project shop" in network_again(parse_network({**raw, "Labels": SHOP}))
    assert network_again(parse_network({"Name": "x", "Driver": "bridge", "IPAM": {"Config": None}})).endswith(
        "bridge x"
    )
    said = volume_again(Volume("data", "local", "/v", 1.0, {"a": "b"}))
    assert said == "docker volume create --label a=b data makes an empty one; what was in it only a backup has"


def test_what_is_recorded_is_found_again() -> None:
    action: Action[Removal] = Action("remove_network", "net", "", RemoveNetwork("n", "net"), again="make it")
    end = {"module": "docker_prune", "event": "end", "at": "now"}
    begin = {"module": "docker_prune", "event": "begin", "action": "remove_network", "target": "net"}
    done = {**Result(action, "done").as_dict(), **end}
    assert removals([begin, done]) == ([{"kind": "network", "target": "net", "at": "now", "again": "make it"}], [])
    # What was skipped is there, what was begun and has no end may be or not.
    skipped = Result(action, "skipped").as_dict()
    assert "again" not in skipped
    assert removals([begin, {**skipped, **end}]) == ([], [])
    assert removals([begin]) == ([], [{"kind": "network", "target": "net"}])
    # Two of one name, of which one was removed; other modules' events; and what other versions have written.
    assert removals([begin, begin, done])[1] == [{"kind": "network", "target": "net"}]
    assert removals([{**begin, "module": "log_prune"}, {**done, "module": "log_prune"}, {}]) == ([], [])
    old = {key: value for key, value in done.items() if key != "again"}
    assert removals([old])[0][0]["again"] == "it is not known how"


def test_however_much_was_removed_each_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def events(_state: Any, _run: str) -> list[dict[str, Any]]:
        one = {"module": "docker_prune", "event": "end", "action": "remove_volume", "status": "done"}
        return [{**one, "target": "v%d" % number, "again": "make it"} for number in range(1001)]

    monkeypatch.setattr(looking_back, "read_events", events)
    call: Any = SimpleNamespace(params={"of_run": "x"}, run=SimpleNamespace(state=None))
    told = capped(look_back(call).values)
    lines = told["lines"] + [line for page in told["more_lines"] for line in page]
    assert lines == ["volume v%d: make it" % number for number in range(1001)]
