# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Later engines than the one that every test run uses: a lane of its own, as their packages move on.

MINIECOM_TEST_ENGINE_RELEASES=1 runs it; MINIECOM_TEST_ENGINE=sid runs all other Docker tests on that engine.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conftest import OTHER_RELEASES
from tests.sandbox import docker_trouble
from tests.sandbox.engine import Engine
from tests.sandbox.image import tiny_image

pytestmark = pytest.mark.skipif(not os.environ.get("MINIECOM_TEST_ENGINE_RELEASES"), reason=OTHER_RELEASES)


@pytest.mark.parametrize(
    ("release", "store", "version", "api", "driver"),
    [
        ("bookworm", "classic", "20.10.24", "1.41", "overlay2"),
        ("trixie", "classic", "26.1.5", "1.45", "overlay2"),
        ("sid", "classic", "28.5.2", "1.51", "overlay2"),
        ("sid", "containerd", "28.5.2", "1.51", "overlayfs"),
    ],
)
def test_an_engine_is_what_it_is_called_and_does_the_same(
    tmp_path: Path, release: str, store: str, version: str, api: str, driver: str
) -> None:
    with Engine(tmp_path / "engine", release=release, store=store) as engine:
        assert engine.version.startswith(version)
        assert engine.api("GET", "/version")["ApiVersion"] == api
        assert engine.api("GET", "/info")["Driver"] == driver
        image = tiny_image(engine)
        engine.docker("network", "create", "n1")
        engine.docker("run", "--detach", "--name=web", "--network=n1", image, "httpd", "-f", "-h", "/www")
        page = engine.docker("run", "--rm", "--network=n1", image, "wget", "-q", "-O", "-", "http://web/")
        assert page.strip() == "served"
        made = docker_trouble.make(engine, image)
        prune = engine.api("POST", '/containers/prune?filters={"until":["168h"]}')
        assert len(prune["ContainersDeleted"]) == 3
        pruned = engine.api("POST", '/build/prune?all=1&filters={"until":["168h"]}')
        assert pruned["SpaceReclaimed"] >= made.old_cache_bytes
    assert not engine.directory.exists()
