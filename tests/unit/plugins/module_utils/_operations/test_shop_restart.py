# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import SkipAction
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Action
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.probe import DEGRADED, DOWN, UP, Probe
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.services import CONTAINER, Service
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.services import (
    CRASHED,
    ILL,
    STARTING,
    STOPPED,
    WELL,
    Health,
    judge_container,
    stop_seconds,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.shop_restart import (
    RestartObservation,
    RestartService,
    ShopRestart,
    plan_restarts,
)

API = Service(CONTAINER, "api")


@pytest.mark.parametrize(
    ("state", "answer", "hindered", "restarted", "restarts"),
    [
        (WELL, UP, "", False, False),
        (WELL, DOWN, "", False, True),
        (ILL, UP, "", False, True),
        (CRASHED, DOWN, "", False, True),
        # A database that is away, a person, maintenance, and a restart that has not helped: none is helped by one.
        (WELL, DEGRADED, "", False, False),
        (STOPPED, DOWN, "", False, False),
        (ILL, UP, "the shop is in maintenance", False, False),
        (WELL, DOWN, "the shop is in maintenance", False, False),
        (ILL, UP, "", True, False),
        (WELL, DOWN, "", True, False),
    ],
)
def test_what_is_restarted(state: str, answer: str, hindered: str, restarted: bool, restarts: bool) -> None:
    seen = RestartObservation(
        hindered,
        Probe("http://shop", answer, reason="no answer"),
        (Health(API, state, "its health check fails"),),
        (API,),
        {API.target: "2026-11-24T03:00:00Z"} if restarted else {},
    )
    plan = plan_restarts(seen)
    assert bool(plan.actions) == restarts and bool(plan.kept) != restarts
    assert bool(plan.warnings) == restarted


@pytest.mark.parametrize(
    ("state", "policy", "expected"),
    [
        ({"Running": True}, "no", WELL),
        ({"Running": True, "Health": {"Status": "starting"}}, "no", STARTING),
        ({"Running": True, "Health": {"Status": "unhealthy"}}, "no", ILL),
        ({"Running": True, "Restarting": True, "ExitCode": 1}, "always", ILL),
        ({"Status": "exited", "ExitCode": 1}, "no", CRASHED),
        ({"Status": "exited", "ExitCode": 1}, "on-failure", CRASHED),
        ({"Status": "exited", "ExitCode": 137}, "unless-stopped", STOPPED),
        ({"Status": "exited", "ExitCode": 0}, "no", STOPPED),
        ({"Status": "created"}, "no", STOPPED),
    ],
)
def test_how_a_container_is(state: dict[str, Any], policy: str, expected: str) -> None:
    raw = {"State": state, "HostConfig": {"RestartPolicy": {"Name": policy}}}
    assert judge_container(API, raw).state == expected


@pytest.mark.parametrize(
    ("hindered", "state", "words"),
    [
        ("the shop is in maintenance", ILL, "in maintenance"),
        ("", STOPPED, "stopped it meanwhile"),
        ("", ILL, ""),
        # The endpoint has spoken against it, whatever the engine thinks of it.
        ("", WELL, ""),
    ],
)
def test_what_was_stopped_since_planning_is_not_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hindered: str, state: str, words: str
) -> None:
    module = "ansible_collections.miniecom.maintenance.plugins.module_utils._operations.shop_restart"
    restarted: list[Service] = []
    monkeypatch.setattr(module + ".health_of", lambda service: Health(service, state))
    monkeypatch.setattr(module + ".restart_service", restarted.append)
    task = object.__new__(ShopRestart)
    run: Any = SimpleNamespace(state_dir=str(tmp_path))
    task.run = run
    monkeypatch.setattr(task, "_hindered", lambda _answer: hindered)
    action = Action("restart_service", API.target, "", RestartService(API))
    seen = RestartObservation("", None, (), ())
    if words:
        with pytest.raises(SkipAction, match=words):
            task._restart(action, seen)
        assert not restarted and not list(tmp_path.iterdir())
    else:
        task._restart(action, seen)
        assert restarted == [API]


def test_nothing_is_killed_sooner_than_it_asks_for() -> None:
    assert stop_seconds({"Config": {"StopTimeout": 120}}) == 120
    assert stop_seconds({"Config": {"StopTimeout": 1}}) == stop_seconds({}) == 30
