# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ran before maintenance runs after it, and nothing else, wherever runs were killed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.flag_file import (
    Flag,
    Note,
    parse_flag,
    read_note,
    write_note,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.nginx_layer import Nginx
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.services import (
    CONTAINER,
    UNIT,
    Service,
    ServiceState,
    to_start,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.switch import (
    Layers,
    Policy,
    plan_switch,
    remains,
)

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=timezone.utc)
NAMES = ("api", "worker", "mongo", "idle")
ENTER = Policy("present", "/flag", "ops", "disks", layers=("flag",))
LEAVE = replace(ENTER, state="absent")


def act(
    flag: Flag, note: Note | None, running: frozenset[str], policy: Policy, stop: tuple[str, ...], actions: int | None
) -> tuple[Flag, Note | None, frozenset[str]]:
    """One call on a world of containers, killed after so many actions."""
    wanted = stop if policy.state == "present" else ()
    noted = note.services if note else ()
    services = dict.fromkeys([*noted, *(Service(CONTAINER, name) for name in wanted)])
    states = tuple(ServiceState(s, s.name in running, wanted=s.name in wanted) for s in services)
    for action in plan_switch(Layers(flag, note, services=states), policy, NOW).actions[:actions]:
        work: Any = action.work
        if action.action == "write_note":
            note = work.note
        elif action.action == "remove_note":
            assert note is not None and {s.name for s in note.services} <= running, "forgotten before it was started"
            note = None
        elif action.action == "write_flag":
            flag = parse_flag(work.line)
        elif action.action == "remove_flag":
            flag = Flag(False)
        elif action.action == "stop_service":
            assert note is not None and work.service in note.services, "stopped before it was noted"
            running -= {work.service.name}
        elif action.action == "start_service":
            running |= {work.service.name}
    return flag, note, running


calls = st.lists(
    st.tuples(
        # None: somebody removes the flag by hand, as the shop's own script does.
        st.sampled_from([ENTER, LEAVE, replace(ENTER, reason="more"), None]),
        st.lists(st.sampled_from(NAMES), unique=True, max_size=3).map(tuple),
        st.integers(0, 7),
    ),
    max_size=6,
)


@given(calls, st.frozensets(st.sampled_from(NAMES)))
def test_what_ran_runs_after_and_nothing_else(killed: Any, before: frozenset[str]) -> None:
    world: Any = (Flag(False), None, before)
    for policy, stop, actions in killed:
        world = act(world[0], world[1], world[2], policy, stop, actions) if policy else (Flag(False), *world[1:])
        assert world[2] <= before, "something else was started"
    world = act(world[0], world[1], world[2], LEAVE, (), None)
    assert world == (Flag(False), None, before)


def test_what_is_stopped_is_not_forgotten_when_somebody_removes_the_flag() -> None:
    world: Any = act(Flag(False), None, frozenset(["api"]), ENTER, ("api",), None)
    assert world[2] == frozenset()
    world = act(Flag(False), world[1], world[2], ENTER, (), None)
    assert act(world[0], world[1], world[2], LEAVE, (), None) == (Flag(False), None, frozenset(["api"]))


def test_the_last_that_was_stopped_is_started_first() -> None:
    services = [Service(CONTAINER, name) for name in NAMES]
    states = [ServiceState(service, service.name == "worker", service.name != "idle") for service in services]
    assert [service.name for service in to_start(states, services)] == ["mongo", "api"]


def test_the_note_holds_them(tmp_path: Path) -> None:
    services = (Service(UNIT, "shop-api.service"), Service(CONTAINER, "miniecom_mongo", "unix:///run/d.sock"))
    note = Note("ops", "2026-11-24T03:00:00Z", "disks", "/flag", services=services)
    write_note(str(tmp_path), note)
    assert read_note(str(tmp_path)) == note


def test_what_cannot_be_looked_at_keeps_no_layer_up_and_is_not_forgotten() -> None:
    worker, unit = Service(CONTAINER, "worker", "unix:///gone"), Service(UNIT, "api.service")
    note = Note("ops", "2026-11-24T03:00:00Z", "disks", "/flag", nginx="/page", services=(worker, unit))
    states = (ServiceState(worker, False, unseen="no engine."), ServiceState(unit, False))
    layers = Layers(Flag(True), note, services=states, nginx=Nginx("/page", closed=True))
    plan = plan_switch(layers, LEAVE, NOW)
    assert [(action.action, action.target) for action in plan.actions] == [
        ("start_service", "unit api.service"),
        ("open_nginx", plan.actions[1].target),
    ]
    assert remains(layers) == (
        "what was stopped for maintenance may not run: container worker could not be looked at (no engine)"
    )
    assert remains(layers) in [kept.reason for kept in plan.kept if kept.target == "/flag"]
    both = replace(layers, unseen="no database.", note=replace(note, application={"previous": {}}))
    assert "the application may still" in remains(both) and "container worker" in remains(both)
    seen = plan_switch(replace(layers, services=(ServiceState(worker, True), ServiceState(unit, True))), LEAVE, NOW)
    assert [action.action for action in seen.actions] == ["open_nginx", "remove_flag", "remove_note"]
