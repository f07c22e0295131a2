# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What has changed between looking at a project and replacing its containers, with an engine of plain data."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.exchange import NEVER, Exchange
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.update_journal import (
    REPLACING,
    RecordedService,
    UpdateJournal,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.update_plan import UpdateScene
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.update_scene import UpdatePlace


class Engine:
    """Containers of the service api: by id the paths in the layer; those in `fresh` have never run."""

    def __init__(self, **layers: tuple[str, ...]) -> None:
        self.layers = layers
        self.fresh: set[str] = set()
        self.api = SimpleNamespace(get_archive=lambda *_: (SimpleNamespace(close=lambda: None), {"mode": 0}))

    def errors(self, *_: str) -> Any:
        return nullcontext()

    def containers(self) -> list[dict[str, Any]]:
        labels = {"com.docker.compose.project": "shop", "com.docker.compose.service": "api"}
        return [{"Id": name, "Names": ["/" + name], "Labels": labels, "State": "exited"} for name in self.layers]

    def get(self, path: str, **_: Any) -> Any:
        name, what = path.split("/")[2:]
        if what == "changes":
            return [{"Path": changed, "Kind": 1} for changed in self.layers[name]]
        return {"State": {"StartedAt": NEVER if name in self.fresh else "2026-11-29T12:00:00Z"}}


def exchange(engine: Engine, state: Path, **journal: Any) -> Exchange:
    place = UpdatePlace("/opt/shop", "docker", 1.0, 1, data={"api": ("/app/uploads",)})
    services = {"api": RecordedService("api:1", "image-1", (), ("one",))}
    begun = UpdateJournal("shop", REPLACING, "2026-11-29T12:00:00Z", services, {"api": "one"}, **journal)
    docker: Any = engine
    compose: Any = None
    return Exchange(docker, compose, place, UpdateScene("shop", ()), str(state), begun)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ({"one": ("/app/uploads/a.jpg", "/app/export/orders.csv")}, "/app/export/orders.csv"),
        ({"two": ()}, "others than when this began"),
        ({"one": (), "two": ("/app/uploads/b.jpg",)}, "/app/uploads"),
        ({"one": (), "two": ("/app/export/b.csv",)}, "/app/export/b.csv"),
    ],
)
def test_what_came_while_images_were_fetched_is_not_replaced(
    tmp_path: Path, layers: dict[str, tuple[str, ...]], words: str
) -> None:
    exchange(Engine(one=("/app/uploads/a.jpg", "/tmp/x")), tmp_path).require_as_seen(["api"])
    exchange(Engine(one=("/tmp/x",), two=()), tmp_path).require_as_seen(["api"])
    with pytest.raises(MaintenanceError, match=words):
        exchange(Engine(**layers), tmp_path).require_as_seen(["api"])


def test_the_data_of_a_container_that_nobody_knows_are_not_given_up(tmp_path: Path) -> None:
    engine = Engine(two=("/app/uploads/b.jpg",))
    with pytest.raises(MaintenanceError, match="not there when this began: /app/uploads"):
        exchange(engine, tmp_path).save(["api"])
    # Nor are those of one that was to get saved data first.
    with pytest.raises(MaintenanceError, match="started the container before its data"):
        exchange(engine, tmp_path, saved={"api": {"/app/uploads": "/saved"}}).save(["api"])
    engine.fresh.add("two")
    exchange(engine, tmp_path).save(["api"])
    exchange(Engine(two=()), tmp_path).save(["api"])
