# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.compose_config import (
    ConfiguredService,
    MountPoint,
    changed_variables,
    dependents,
    lost_mounts,
    mount_points,
    read_config,
    replaced_in,
    start_order,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.compose_program import (
    last_words,
    program_environment,
)

CONFIG = {
    "name": "shop",
    "services": {
        "api": {
            "build": {"context": "/opt/shop/backend"},
            "environment": {"PRICE": "5$$", "EMPTY": "", "UNSET": None},
            "depends_on": {"mongo": {"condition": "service_started"}},
            "volumes": [
                {"type": "volume", "source": "storage", "target": "/app/storage/"},
                {"type": "volume", "target": "/cache"},
                {"type": "bind", "source": "/srv/x", "target": "/x"},
            ],
        },
        "mongo": {"image": "mongo:7", "pull_policy": "never"},
    },
    "volumes": {"storage": {"name": "shop_storage"}},
}
ANONYMOUS = "a" * 64


def inspected(mounts: list[dict[str, str]], env: tuple[str, ...] = (), **config: Any) -> dict[str, Any]:
    return {"Mounts": mounts, "Config": {"Env": list(env), **config}}


def volume(name: str, path: str) -> dict[str, str]:
    return {"Type": "volume", "Name": name, "Source": f"/d/{name}/_data", "Destination": path}


def test_services_are_read_as_compose_would_start_them() -> None:
    services = read_config(json.dumps(CONFIG))
    api = services["api"]
    assert (api.image, api.build, api.depends_on) == ("shop-api", "/opt/shop/backend", ("mongo",))
    assert api.environment == {"PRICE": "5$", "EMPTY": "", "UNSET": None}
    assert api.mounts["/app/storage"] == MountPoint("volume", "shop_storage")
    assert services["mongo"].pull_policy == "never"
    assert "5$" not in repr(api), "values are secrets"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"services": []}', "no json"])
def test_what_is_no_config_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_config(text)


def test_a_mount_that_would_be_another_one_is_lost() -> None:
    api = read_config(json.dumps(CONFIG))["api"]
    same = [volume("shop_storage", "/app/storage"), volume(ANONYMOUS, "/cache")]
    same.append({"Type": "bind", "Source": "/srv/x", "Destination": "/x"})
    assert lost_mounts(api, inspected(same)) == []
    assert lost_mounts(api, inspected([volume("other", "/app/storage")])) == [
        "/app/storage (volume other, by the files volume shop_storage)"
    ]
    assert lost_mounts(api, inspected([volume("shop_db", "/data/db")])) == [
        "/data/db (volume shop_db, by the files nothing)"
    ]
    # An anonymous volume is handed on only where the new container wants one there.
    assert lost_mounts(api, inspected([volume(ANONYMOUS, "/elsewhere")])) != []
    assert lost_mounts(api, inspected([volume(ANONYMOUS, "/elsewhere")], Volumes={"/elsewhere": {}})) == []
    assert mount_points(inspected([{"Type": "tmpfs", "Destination": "/t"}])) == {}


def test_files_that_compose_mounts_as_secrets_and_configs_are_mounts() -> None:
    found = {
        "services": {
            "api": {
                "secrets": [{"source": "key", "target": "/run/secrets/key"}, {"source": "token"}, {"source": "typed"}],
                "configs": [{"source": "site", "target": "/etc/site.conf"}],
            }
        },
        "secrets": {"key": {"file": "/s/key"}, "token": {"file": "/s/token"}, "typed": {"environment": "X"}},
        "configs": {"site": {"file": "/c/site"}},
    }
    assert read_config(json.dumps(found))["api"].mounts == {
        "/run/secrets/key": MountPoint("bind", "/s/key"),
        "/run/secrets/token": MountPoint("bind", "/s/token"),
        "/etc/site.conf": MountPoint("bind", "/c/site"),
    }


def test_variables_that_differ_are_named_and_never_shown() -> None:
    service = ConfiguredService("api", "i", environment={"A": "1", "B": "2", "UNSET": None})
    image = {"Env": ["PATH=/bin", "LANG=C"]}
    assert changed_variables(service, inspected([], ("PATH=/bin", "LANG=C", "A=1", "B=2")), image) == []
    assert changed_variables(service, inspected([], ("PATH=/bin", "LANG=C", "A=0", "C=3")), image) == ["A", "B", "C"]
    # The proxies of the docker command's own configuration are in no file.
    proxied = inspected([], ("PATH=/bin", "LANG=C", "A=1", "B=2", "HTTPS_PROXY=x", "no_proxy=y"))
    assert changed_variables(service, proxied, image) == []


def test_what_compose_would_replace_is_read_from_its_own_words() -> None:
    text = (
        " DRY-RUN MODE -  Container shop-mongo-1  Running \n"
        " DRY-RUN MODE -  Container shop-api-1  Recreate \n DRY-RUN MODE -  Container shop-api-1  Recreated \n"
        " DRY-RUN MODE -  Container shop-web-1  Creating \n DRY-RUN MODE -  Network shop_default  Created \n"
    )
    assert replaced_in(text) == ["shop-api-1", "shop-web-1"]


@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=3), min_size=1))
def test_each_service_starts_behind_what_it_depends_on(graph: dict[str, list[str]]) -> None:
    # Compose accepts no circles.
    graph = {name: [other for other in others if other < name] for name, others in graph.items()}
    config = {name: ConfiguredService(name, "i", depends_on=tuple(others)) for name, others in graph.items()}
    order = start_order(list(graph), config)
    assert sorted(order) == sorted(graph)
    for name, others in graph.items():
        assert all(order.index(other) < order.index(name) for other in others if other in graph)


def test_what_depends_on_a_service_also_through_others() -> None:
    graph = {"mongo": (), "api": ("mongo",), "web": ("api",), "other": (), "circle": ("round",), "round": ("circle",)}
    config = {name: ConfiguredService(name, "i", depends_on=others) for name, others in graph.items()}
    assert dependents(["mongo"], config) == ["api", "web"]
    assert dependents(["api", "web"], config) == dependents(["other"], config) == []
    assert dependents(["circle"], config) == ["round"]


def test_nothing_of_ours_takes_the_place_of_what_the_project_says() -> None:
    given_environment = {
        "MONGO_URI": "ours",
        "COMPOSE_FILE": "x",
        "DOCKER_CONTEXT": "c",
        "DOCKER_TLS_VERIFY": "1",
        "HOME": "/root",
    }
    found = program_environment("unix:///s", given_environment)
    assert not {"MONGO_URI", "COMPOSE_FILE", "DOCKER_CONTEXT"} & set(found)
    assert found["COMPOSE_REMOVE_ORPHANS"] == "false" and found["DOCKER_HOST"] == "unix:///s"
    assert found["DOCKER_TLS_VERIFY"] == "1" and found["PATH"]


def test_only_the_last_words_of_an_output_are_told() -> None:
    text = "\n".join(f"line {number}" for number in range(100))
    assert last_words(text).startswith("line 88 | ") and last_words(text).endswith("line 99")
    assert last_words("one\n\n two\r three\none\n") == "one | two | three"
