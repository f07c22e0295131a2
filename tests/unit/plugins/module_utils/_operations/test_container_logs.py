# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What fails is told as what it is, and what could be read of a damaged log is kept."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Action, Result, Results
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.client import (
    DockerUnavailable,
    docker_errors,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.log_export import (
    CollectLog,
    LoggedContainer,
    LogWorld,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.log_source import open_log
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.log_stream import BrokenLog, UnreadableLog
from ansible_collections.miniecom.maintenance.plugins.module_utils._logs.log_errors import Tally
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations import (
    container_logs,
    log_collection,
)

API = LoggedContainer("0123456789abcdef", "shop-api", "shop", "api")


def frame(stream: int, text: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text


LINE = frame(1, b"2026-11-29T06:00:00.000000000Z hello\n")
DAMAGE = frame(3, b"Error grabbing logs: unexpected EOF\n")


class Engine:
    """An engine that has one log."""

    def __init__(self, log: bytes, breaks: bool = False) -> None:
        self.log = log
        self.breaks = breaks
        self.api = SimpleNamespace(
            _get=lambda url, **options: self, _url=lambda *parts: "", _raise_for_status=lambda response: None
        )

    @contextmanager
    def errors(self, what: str, target: str) -> Iterator[None]:
        with docker_errors(what, target, "unix:///engine", 60):
            yield

    def iter_content(self, size: int) -> Iterator[bytes]:
        yield self.log
        if self.breaks:
            raise ConnectionResetError(104, "reset")

    def close(self) -> None:
        pass


def test_a_full_disk_is_no_failure_of_the_engine() -> None:
    with pytest.raises(OSError, match="No space"), open_log(Engine(LINE), API, "") as pieces:  # type: ignore[arg-type]
        for _piece in pieces:
            raise OSError(28, "No space left on device")


def test_an_engine_that_breaks_off_is_one() -> None:
    with pytest.raises(DockerUnavailable), open_log(Engine(LINE, True), API, "") as pieces:  # type: ignore[arg-type]
        list(pieces)


@pytest.mark.parametrize(("log", "kind"), [(b"no log at all", UnreadableLog), (LINE + DAMAGE, BrokenLog)])
def test_what_cannot_be_read_names_its_container(log: bytes, kind: type[MaintenanceError]) -> None:
    with pytest.raises(kind, match="shop-api"), open_log(Engine(log), API, "") as pieces:  # type: ignore[arg-type]
        list(pieces)


def task(tmp_path: Path, engine: Engine) -> container_logs.DockerLogs:
    params = {
        "dest": str(tmp_path / "logs"),
        "remove_after": None,
        "max_size": None,
        "compose_project": "",
        "fresh_within": "0s",
        "since": "7d",
        "limit": 20,
    }
    call: Any = SimpleNamespace(params=params, run=SimpleNamespace(state_dir=str(tmp_path / "state")), check=False)
    made = container_logs.DockerLogs(call)
    made._docker = engine  # type: ignore[assignment]
    return made


def test_what_could_be_read_of_a_damaged_log_is_kept_and_the_rest_a_failure(tmp_path: Path) -> None:
    made = task(tmp_path, Engine(LINE + DAMAGE))
    action: Action[Any] = Action("collect", API.name, "", CollectLog(API, None))
    scene = container_logs.LogScene(LogWorld((API,)), log_collection.LogCursors(), Tally())
    outcome = made._collect(action, scene)
    assert str(outcome.failure).startswith("the engine cannot read all of the log: unexpected EOF: shop-api.")
    [written] = (tmp_path / "logs" / "shop-api").iterdir()
    assert gzip.decompress(written.read_bytes()).endswith(b" hello\n")
    results: Results[Any, Any] = Results(False, [action])
    results.all.append(Result(action, "failed", 0, 0.0, str(outcome.failure), "", outcome.detail))
    report = made.report(scene, made.plan(scene, container_logs.utc_now()), results)
    assert report.changed and report.summary["collected"] == 1
    # The next time there is nothing new, and that there is more is told again.
    anchor = log_collection.load_cursors(str(tmp_path / "state")).anchors[API.id]
    with pytest.raises(BrokenLog):
        made._collect(Action("collect", API.name, "", CollectLog(API, anchor)), scene)
    assert list((tmp_path / "logs" / "shop-api").iterdir()) == [written]


@pytest.mark.parametrize(("log", "lines"), [(LINE + DAMAGE, 1), (DAMAGE, None), (b"no log at all", None)])
def test_check_mode_goes_on_where_a_log_cannot_be_read(tmp_path: Path, log: bytes, lines: int | None) -> None:
    made = task(tmp_path, Engine(log))
    scene = container_logs.LogScene(LogWorld((API,)), log_collection.LogCursors(), Tally())
    made._look_ahead(scene)
    if lines:
        assert scene.world.pending[API.id].lines == lines and not scene.world.unreadable
    else:
        assert "shop-api" in scene.world.unreadable[API.id]


def test_a_clock_that_was_hours_ahead_hides_no_lines(tmp_path: Path) -> None:
    made = task(tmp_path, Engine(LINE))
    anchor = log_collection.Anchor("2026-11-28T12:00:00.000000000Z", "x", 1, "2026-11-28T12:00:00.000000000Z", 1)
    noon = 1795867200
    assert float(made._collection().since(anchor)) <= noon - 12 * 3600


@pytest.mark.parametrize(
    ("log", "told"), [(LINE, "1 line"), (LINE + DAMAGE, "1 line; the engine cannot read all"), (DAMAGE, "cannot read")]
)
def test_the_last_look_at_a_log_keeps_no_container_because_of_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: bytes, told: str
) -> None:
    other = LoggedContainer("f" * 16, "another", "shop", "web")
    monkeypatch.setattr(log_collection, "read_logged_containers", lambda docker: [API, other])
    engine: Any = Engine(log)
    collection = log_collection.LogCollection(engine, str(tmp_path / "logs"), str(tmp_path / "state"), 60.0)
    [(name, note)] = collection.collect_last([API.id])
    assert name == "shop-api" and told in note
    assert ((tmp_path / "logs" / "shop-api").exists() and any((tmp_path / "logs" / "shop-api").iterdir())) == (
        LINE in log
    )


def test_a_last_look_that_cannot_be_written_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_collection, "read_logged_containers", lambda docker: [API])
    (tmp_path / "logs").write_text("no directory")
    engine: Any = Engine(LINE)
    collection = log_collection.LogCollection(engine, str(tmp_path / "logs"), str(tmp_path / "state"), 60.0)
    with pytest.raises(MaintenanceError, match="cannot write the collected log"):
        collection.collect_last([API.id])
