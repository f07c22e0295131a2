# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read of compose files, and what it means for the images of their services."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.compose_file import (
    ComposeFile,
    parse_compose_file,
    profiles,
    stop_grace_periods,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.compose_needs import read_compose_needs
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.inventory import Container, ImageNeed

SHOP = """\
name: shop
include:
  - path: ./more/extra.yml
  - "tools.yaml"
x-base: &base
  image: registry.example.com:5000/base:${TAG:-${OTHER:-1}}   # a comment
services:
  mongo:
    image: "mongo:7"
  api:
    build: .
  worker:
    <<: *base
    profiles: [work]
  tools: {image: 'tools@sha256:12', profiles: [tools]}
  old:
    extends:
      file: common.yml
      service: base
  any:
    image: $IMAGE
volumes:
  data:
"""


def test_how_long_services_are_given_to_stop() -> None:
    text = """\
x-other:
  stop_grace_period: 9s
services:
  mongo:
    image: "mongo:7"
    stop_grace_period: 1m30s   # a comment
  "mongo2":
    stop_grace_period: "500ms"
  odd:
    stop_grace_period: ${GRACE:-30s}
  bare:
    stop_grace_period: 30
  api:
    build: .
volumes:
  data:
    stop_grace_period: 8s
"""
    assert stop_grace_periods(text) == {"mongo": 90.0, "mongo2": 0.5}
    assert stop_grace_periods("") == stop_grace_periods(SHOP) == {}


@given(st.text())
def test_any_text_is_read_for_it(text: str) -> None:
    assert all(
        seconds >= 0 for seconds in stop_grace_periods("services:\n  a:\n    stop_grace_period: " + text).values()
    )


def test_what_a_compose_file_names() -> None:
    assert parse_compose_file(SHOP) == ComposeFile(
        "shop",
        ("mongo", "api", "worker", "tools", "old", "any"),
        ("registry.example.com:5000/base:*", "mongo:7", "tools@sha256:12", "*"),
        ("./more/extra.yml", "tools.yaml", "common.yml"),
        ("data",),
    )
    assert parse_compose_file("") == ComposeFile()


def test_what_a_compose_file_declares() -> None:
    text = """\
services:
  api: {image: a, volumes: ["plain:/x"]}
volumes:
  plain:
  "quoted": {}
  named: {name: "exact-${TAG}"}
  external-old:
    external:
      name: old-name
  taken:
    external: true
networks: {front: {name: web}, back: }
"""
    found = parse_compose_file(text)
    assert found.volumes == ("plain", "quoted", "named", "external-old", "taken")
    assert found.volume_names == ("exact-*", "external-old", "old-name", "taken")
    assert {"front", "back"} <= set(found.networks)
    assert found.network_names == ("web",)


def test_a_project_that_is_down_declares_under_each_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "My.Shop").mkdir()
    (tmp_path / "My.Shop/compose.yml").write_text("name: given\nvolumes:\n  data:\n")
    (tmp_path / "My.Shop/.env").write_text("A=1\nexport COMPOSE_PROJECT_NAME='other'\n")
    found = read_compose_needs([], [str(tmp_path / "My.Shop")], True).declared
    assert {item.pattern for item in found if item.kind == "volume"} == {"myshop_data", "given_data", "other_data"}
    assert {item.pattern for item in found if item.kind == "network"} == {
        "myshop_default",
        "given_default",
        "other_default",
    }


def test_profiles_of_services() -> None:
    text = """\
name: x
services:
  # the rest comes with a profile
  api:
    image: a
  worker:
    profiles: ["work", 'tools'] # two
  express:
    profiles:
      - tools
    image: e
volumes:
  worker:
"""
    assert profiles(text) == {"worker": ["work", "tools"], "express": ["tools"]}


@given(st.text(max_size=400))
def test_any_compose_file_can_be_read(text: str) -> None:
    for read in (profiles, parse_compose_file):
        read(text)
        read("services:\n" + text)
        read("include:\n" + text)


@given(st.text(alphabet="abc/:.-_0123456789", min_size=1, max_size=20), st.sampled_from(["{}", "'{}'", '"{}"']))
def test_the_image_of_a_service_is_always_found(image: str, quoted: str) -> None:
    found = parse_compose_file("services:\n  api:\n    image: " + quoted.format(image) + "\n")
    assert image in found.images


# -- what a host's projects need --------------------------------------------------------------------------------------


def made_from(files: str, directory: str, project: str = "shop") -> Container:
    labels = {
        "com.docker.compose.project": project,
        "com.docker.compose.project.config_files": files,
        "com.docker.compose.project.working_dir": directory,
    }
    return Container("c", "shop_api", "api", "i", "running", 0.0, labels)


def patterns(needs: tuple[ImageNeed, ...]) -> set[str]:
    return {need.pattern for need in needs}


def test_files_in_labels_those_beside_them_and_what_they_include_are_read(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "docker-compose.yml").write_text("services:\n  api:\n    image: api:1\ninclude: [more/m.yml]\n")
    (tmp_path / "docker-compose.prod.yml").write_text("services:\n  front:\n    build: x\n")
    (tmp_path / "more/m.yml").write_text("services:\n  job:\n    image: job:1\ninclude: [../docker-compose.yml]\n")
    (tmp_path / "values.yml").write_text("image: not-compose:1\n")
    found = read_compose_needs([made_from(f"{tmp_path}/docker-compose.yml", str(tmp_path))], (), True)
    assert {"api:1", "job:1", "shop-front", "shop_front"} <= patterns(found.needs)
    assert "not-compose:1" not in patterns(found.needs)
    assert found.unread == ()
    [need] = [need for need in found.needs if need.pattern == "job:1"]
    assert need.by == f"the compose file {tmp_path}/more/m.yml"


def test_given_files_and_directories_are_read_without_any_container(tmp_path: Path) -> None:
    (tmp_path / "My.Shop").mkdir()
    (tmp_path / "My.Shop/compose.yaml").write_text("services:\n  api:\n    build: .\n")
    (tmp_path / "other").write_text("services:\n  x:\n    image: x:1\n")
    found = read_compose_needs([], [str(tmp_path / "My.Shop"), str(tmp_path / "other")], True)
    assert {"myshop-api", "x:1"} <= patterns(found.needs)
    assert found.unread == ()
    assert "nowhere cannot be read" in read_compose_needs([], [str(tmp_path / "nowhere")], True).unread[0][1]


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "compose.yml")
    piped = made_from(f"{tmp_path}/compose.yml", str(tmp_path))
    assert read_compose_needs([piped], (), True).unread == (("shop", f"{tmp_path}/compose.yml cannot be read"),)
    gone = made_from("/nowhere/compose.yml", "/nowhere")
    assert read_compose_needs([gone], (), True).unread == (("shop", "/nowhere/compose.yml cannot be read"),)
    assert "standard input" in read_compose_needs([made_from("-", str(tmp_path))], (), True).unread[0][1]
    assert "from here" in read_compose_needs([gone], (), False).unread[0][1]
    large = tmp_path / "large/compose.yml"
    large.parent.mkdir()
    large.write_text("#" * (1 << 20) + "\nservices: {}\n")
    assert "cannot be read" in read_compose_needs([], [str(large)], True).unread[0][1]


@pytest.mark.parametrize(
    ("pattern", "name", "meets"),
    [
        ("app:1", "app:1", True),
        ("app:1", "app:2", False),
        ("app", "app:latest", True),
        ("app", "app:1", False),
        ("docker.io/library/app:1", "app:1", True),
        ("app:1", "localhost/app:1", True),
        ("localhost:5000/app", "localhost:5000/app:latest", True),
        ("app:*", "app:7", True),
        ("app*", "app:7", True),
        ("*", "any/thing:7", True),
        ("*/app:1", "registry.example.com/app:1", True),
        ("app:1@sha256:12", "app:1", True),
        ("app:1@sha256:12", "app@sha256:12", True),
        ("app@sha256:12", "app@sha256:13", False),
        ("app@sha256:12", "app:1", False),
    ],
)
def test_references_that_mean_the_same(pattern: str, name: str, meets: bool) -> None:
    assert ImageNeed(pattern, "").meets([name]) is meets
