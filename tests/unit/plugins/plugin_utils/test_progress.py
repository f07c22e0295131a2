# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.callback.concise import CallbackModule
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.clock import format_utc, utc_now
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.lease import take_lease
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.run_context import RunContext
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.state_dir import StateDirectory
from ansible_collections.miniecom.maintenance.plugins.plugin_utils.progress import (
    RunPlace,
    progress_of,
    read_progress,
    run_place,
    told,
)

GIB = 1024**3
NOW = datetime(2026, 11, 30, 3, 0, tzinfo=timezone.utc)
BEGAN = NOW - timedelta(seconds=90, microseconds=-1)
PLANNED = {
    "event": "planned",
    "at": format_utc(BEGAN),
    "plan": [
        {"action": "compact", "target": "shop.orders on c", "bytes": 2 * GIB},
        {"action": "compact", "target": "shop.orders on b", "bytes": 2 * GIB},
        {"action": "compact", "target": "shop.logs on b", "bytes": 4 * GIB},
        {"action": "step_down", "target": "a", "bytes": 0},
    ],
}


def begin(number: int, ago: float = 0) -> dict[str, Any]:
    entry = PLANNED["plan"][number]
    return {**entry, "event": "begin", "at": format_utc(NOW - timedelta(seconds=ago))}  # type: ignore[dict-item]


def end(number: int, seconds: float, status: str = "done") -> dict[str, Any]:
    entry = PLANNED["plan"][number]
    return {**entry, "event": "end", "seconds": seconds, "status": status}  # type: ignore[dict-item]


def test_member_and_collection_how_many_bytes_and_time() -> None:
    events = [{"event": "begun"}, PLANNED, begin(0, 5)]
    found = progress_of(events, NOW, BEGAN)
    assert found and told(found) == "compact shop.orders on c, 1 of 4", "of the time left nothing is known yet"
    compactions = {**PLANNED, "plan": PLANNED["plan"][:3]}
    found = progress_of([compactions, begin(0), end(0, 60), begin(1, 20)], NOW, BEGAN)
    assert found and told(found) == "compact shop.orders on b, 2 of 3, 2.0 GiB so far, about 2 min 40 s left"
    found = progress_of([compactions, begin(0), end(0, 60), begin(1, 500)], NOW, BEGAN)
    assert found and found.left == 120, "it takes longer than thought, and the rest is still to come"
    found = progress_of([PLANNED, begin(0), end(0, 60), begin(1, 20)], NOW, BEGAN)
    assert found and found.left is None, "nothing tells how long a step-down takes"
    found = progress_of([compactions, begin(0), end(0, 0.1, "skipped"), begin(1)], NOW, BEGAN)
    assert found and found.left is None, "what was skipped tells nothing"


@pytest.mark.parametrize(
    "events",
    [
        [],
        [PLANNED],
        [PLANNED, begin(0), end(0, 1)],
        [PLANNED, begin(0), {"event": "ended"}],
        [PLANNED, begin(0), {"event": "failed"}],
        [begin(0)],
    ],
)
def test_where_nothing_is_worked_on_nothing_is_said(events: list[dict[str, Any]]) -> None:
    assert progress_of(events, NOW, BEGAN) is None


def test_only_the_module_at_work_counts() -> None:
    other = {"event": "planned", "at": PLANNED["at"], "plan": [{"action": "remove", "target": "x", "bytes": 0}]}
    found = progress_of(
        [PLANNED, begin(0), end(0, 60), {"event": "ended"}, other, {**begin(0), "target": "x"}], NOW, BEGAN
    )
    assert found and (found.number, found.total, found.bytes) == (1, 1, 0)
    events = [PLANNED, begin(0)]
    assert progress_of(events, NOW, BEGAN)
    assert progress_of(events, NOW, BEGAN + timedelta(seconds=1)) is None, "its module was killed, another task runs"
    beside = progress_of([PLANNED, begin(0), begin(1), end(0, 1)], NOW, BEGAN)
    assert beside and (beside.doing, beside.number) == ("compact shop.orders on b", 2), "side by side"


def test_the_callback_knows_of_the_run_that_it_has_seen_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    callback = CallbackModule()
    monkeypatch.setattr(callback, "get_option", lambda _name: False)
    state = StateDirectory(str(tmp_path))
    run_id = take_lease(state, "weekly", "me", False, utc_now()).lease.run_id
    run = RunContext(run_id, str(tmp_path), module="mongo_compact")
    task = SimpleNamespace(_uuid="1", get_name=lambda: "Begin")
    result = SimpleNamespace(
        result={"run_id": run_id, "begun_in": str(tmp_path)}, host=SimpleNamespace(get_name=lambda: "a"), task=task
    )
    callback.v2_runner_on_ok(result)
    for event in (PLANNED, {"event": "begin", "action": "compact", "target": "shop.orders on c"}):
        run.append({**event, "at": format_utc(utc_now())})
    running = [((host, "2"), ("Compact", 95.0)) for host in ("a", "b")]
    assert callback._progress(running, 100.0) == {"a": "compact shop.orders on c, 1 of 4", "b": ""}


def test_of_a_record_as_a_module_writes_it(tmp_path: Path) -> None:
    state = StateDirectory(str(tmp_path))
    run_id = take_lease(state, "weekly", "me", False, NOW).lease.run_id
    run = RunContext(run_id, str(tmp_path), module="mongo_compact")
    assert read_progress(str(tmp_path), run_id, NOW, BEGAN) == ""
    for event in (PLANNED, {"event": "begin", "action": "compact", "target": "shop.orders on c"}):
        run.append(event)
    assert read_progress(str(tmp_path), run_id, NOW, BEGAN) == "compact shop.orders on c, 1 of 4"
    run.append({"event": "begin", "action": "compact", "target": "shop.\x1b[31m\n"})
    assert read_progress(str(tmp_path), run_id, NOW, BEGAN) == "compact shop.?[31m?, 1 of 4"
    with (tmp_path / "runs" / f"{run_id}.jsonl").open("a", encoding="utf-8") as handle:
        handle.write("[]\n")
    assert read_progress(str(tmp_path), run_id, NOW, BEGAN) == ""
    assert read_progress(str(tmp_path / "elsewhere"), run_id, NOW, BEGAN) == "", "another host's record lies there"
    assert read_progress(str(tmp_path), "../x", NOW, BEGAN) == ""
    (tmp_path / "runs" / "20260101T000000Z-abcdef.jsonl").mkdir()
    assert read_progress(str(tmp_path), "20260101T000000Z-abcdef", NOW, BEGAN) == "", "it may not be read"


def test_a_run_is_known_by_what_began_it() -> None:
    assert run_place({"run_id": "r", "begun_in": "/var/lib/x"}) == RunPlace("/var/lib/x", "r")
    assert run_place({"run_id": "r"}) is None and run_place({"begun_in": "/var/lib/x"}) is None
