# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shop is found among the containers of a real engine, however compose was started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.client import Docker
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.project import Project, find_project
from tests.sandbox.engine import Engine
from tests.sandbox.image import tiny_image

SERVICE = "services:\n  api:\n    image: {image}\n    network_mode: none\n"


@pytest.fixture
def shop(docker_engine: Engine, tmp_path: Path) -> Iterator[Path]:
    """A directory with the shop's compose file; containers that are made go again."""
    root = tmp_path / "opt" / "own"
    (root / "deploy").mkdir(parents=True)
    text = SERVICE.format(image=tiny_image(docker_engine))
    (root / "docker-compose.yml").write_text(text)
    (root / "deploy/compose.yml").write_text(text)
    yield root
    for container in docker_engine.api("GET", "/containers/json?all=1"):
        if str(tmp_path) in container["Labels"].get("com.docker.compose.project.working_dir", ""):
            docker_engine.api("DELETE", f"/containers/{container['Id']}?force=1")


def create(engine: Engine, directory: Path, *options: str, text: str | None = None) -> None:
    engine.docker("compose", *options, "create", "--pull=never", cwd=directory, input=text)


def found(engine: Engine, root: Path) -> Project:
    with Docker.connect(engine.docker_host) as docker:
        project = find_project(docker.containers(), str(root)).project
    assert project is not None
    return project


def test_from_a_sub_directory(docker_engine: Engine, shop: Path) -> None:
    create(docker_engine, shop / "deploy", "-f", "../docker-compose.yml")
    assert found(docker_engine, shop).why == f"made from {shop}"


def test_from_a_file_in_a_sub_directory(docker_engine: Engine, shop: Path) -> None:
    create(docker_engine, shop / "deploy")
    assert found(docker_engine, shop).why == f"made from a directory inside {shop}"


def test_through_a_link(docker_engine: Engine, shop: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(shop)
    # As a shell does it that keeps the path by which somebody came.
    create(
        docker_engine,
        tmp_path,
        "--project-directory",
        str(tmp_path / "link"),
        "-f",
        str(tmp_path / "link/docker-compose.yml"),
    )
    assert found(docker_engine, shop).name == "link"
    assert found(docker_engine, tmp_path / "link").name == "link"


def test_from_standard_input(docker_engine: Engine, shop: Path) -> None:
    create(docker_engine, shop, "-f", "-", text=(shop / "docker-compose.yml").read_text())
    project = found(docker_engine, shop)
    assert (project.name, project.files) == ("own", ())


def test_from_a_file_elsewhere_that_includes_the_shops(docker_engine: Engine, shop: Path, tmp_path: Path) -> None:
    stacks = tmp_path / "stacks"
    stacks.mkdir()
    (stacks / "compose.yml").write_text("include:\n  - ../opt/own/docker-compose.yml\n")
    create(docker_engine, stacks)
    project = found(docker_engine, shop)
    assert (project.name, project.by_directory) == ("stacks", True)


def test_another_shop_beside_it_is_another_one(docker_engine: Engine, shop: Path, tmp_path: Path) -> None:
    create(docker_engine, shop)
    other = tmp_path / "opt" / "other"
    other.mkdir()
    with Docker.connect(docker_engine.docker_host) as docker:
        assert find_project(docker.containers(), str(other)).project is None
