# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import configparser
import shlex
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.arguments import DEFAULT_STATE_DIR
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Action
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag import timer as timers
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.flag_file import (
    Flag,
    moment_text,
    parse_flag,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.switch import (
    Application,
    Layers,
    Policy,
    is_up,
    layers_after,
    plan_switch,
    render_layers,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.timer import (
    Timer,
    render_service,
    render_timer,
    unit_name,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.maintenance_status import (
    merge_layers,
    status_headline,
)

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=timezone.utc)
PYTHON = "/opt/miniecom-maintenance/venv/bin/python"
NONE_YET = Timer(timers.UNIT, DEFAULT_STATE_DIR, PYTHON)
OPEN = Layers(
    Flag(False),
    None,
    Application(False, remember={"enabled": False}, place={"env_file": "/opt/miniecom/.env"}),
    NONE_YET,
)
OPS = Policy("present", "/flag", "ops", "disks", "2h", "lift")
ABSENT = replace(OPS, state="absent", expires="")


def armed(timer: Timer, expires: str) -> Timer:
    return replace(
        timer,
        service=render_service(timer.python, timer.state_dir),
        timer=render_timer(expires),
        program_current=True,
        running=True,
    )


def carry_out(layers: Layers, action: Action) -> Layers:
    """A model of the world: what each action does to it."""
    timer = layers.timer
    assert timer is not None and layers.application is not None
    changes: dict[str, Callable[[], Layers]] = {
        "arm_timer": lambda: replace(layers, timer=armed(timer, action.work.expires)),
        "disarm_timer": lambda: replace(
            layers, timer=replace(timer, service="", timer="", program_current=False, running=False)
        ),
        "write_note": lambda: replace(layers, note=action.work.note),
        "remove_note": lambda: replace(layers, note=None),
        "write_flag": lambda: replace(layers, flag=parse_flag(action.work.line)),
        "remove_flag": lambda: replace(layers, flag=Flag(False)),
    }
    if action.action in changes:
        return changes[action.action]()
    return replace(layers, application=replace(layers.application, enabled=action.action == "switch_application_on"))


def planned(layers: Layers, policy: Policy, now: datetime = NOW) -> list[Action]:
    """The actions, by what observing would find in the application's setting."""
    assert layers.application is not None
    change = ("", "x") if layers.application.enabled != (policy.state == "present") else None
    layers = replace(layers, application=replace(layers.application, change=change))
    return plan_switch(layers, policy, now).actions


def run(layers: Layers, policy: Policy, actions: int | None = None) -> Layers:
    """Carry out the first so many actions: a run that is killed after them."""
    for action in planned(layers, policy)[:actions]:
        layers = carry_out(layers, action)
    return layers


policies = st.builds(
    Policy,
    st.sampled_from(["present", "absent"]),
    st.just("/flag"),
    st.just("ops"),
    st.sampled_from(["disks", "other words"]),
    st.sampled_from(["", "2h", "3h", "2026-12-01T00:00:00Z"]),
    st.sampled_from(["lift", "alert"]),
)


@given(st.lists(st.tuples(policies, st.integers(0, 6)), max_size=5), policies)
def test_maintenance_with_an_end_is_never_up_without_a_timer(killed: list[tuple[Policy, int]], last: Policy) -> None:
    layers = OPEN
    for policy, actions in [*killed, (last, None)]:
        layers = run(layers, policy, actions)
        if is_up(layers) and layers.note is not None and layers.note.expires:
            assert layers.timer is not None and layers.timer.running, "whenever it is killed"
    assert layers.timer is not None
    wanted = last.state == "present" and last.expires
    assert layers.timer.installed == bool(wanted)
    if wanted:
        assert layers.note is not None and layers.timer.armed_for(layers.note.expires)
        assert layers.note.timer == timers.UNIT
    assert run(layers, last) == layers, "the second run has nothing to do"


def test_it_is_armed_first_and_removed_last() -> None:
    actions = [action.action for action in planned(OPEN, OPS)]
    assert actions[:2] == ["arm_timer", "write_note"]
    up = run(OPEN, OPS)
    assert [action.action for action in planned(up, ABSENT)][-2:] == ["remove_note", "disarm_timer"]
    assert [action.action for action in planned(up, replace(OPS, expires=""))] == [
        "write_note",
        "disarm_timer",
    ]
    moved = planned(up, replace(OPS, expires="3h"))
    assert [action.action for action in moved] == ["arm_timer", "write_note"]


@pytest.mark.parametrize(
    "difference", [{"running": False}, {"program_current": False}, {"python": "/usr/bin/python3"}, {"service": ""}]
)
def test_what_is_not_right_about_it_is_renewed(difference: dict[str, object]) -> None:
    up = run(OPEN, OPS)
    assert up.timer is not None
    broken = replace(up, timer=replace(up.timer, **difference))
    assert [action.action for action in planned(broken, OPS)] == ["arm_timer"]


def test_where_none_can_be_armed_it_is_said_and_nothing_is_tried() -> None:
    bare = replace(OPEN, timer=replace(NONE_YET, problem="this host does not run systemd"))
    found = plan_switch(bare, OPS, NOW)
    assert "arm_timer" not in [action.action for action in found.actions]
    assert any("does not run systemd" in warning and "2026-11-24T05:00:00Z" in warning for warning in found.warnings)
    assert plan_switch(bare, replace(OPS, expires=""), NOW).warnings == []
    up = run(bare, OPS)
    assert up.note is not None and up.note.timer == "" and "timer" not in render_layers(up, OPS, None)


def test_timers_that_nobody_asked_for_are_left_alone() -> None:
    up = run(OPEN, OPS)
    unseen = replace(up, timer=None)
    assert planned(unseen, OPS) == [], "the note keeps the timer's name"
    assert "disarm_timer" not in [action.action for action in planned(unseen, ABSENT)]


def test_a_connection_string_that_the_timer_will_not_know_is_warned_of() -> None:
    assert OPEN.application is not None
    by_uri = replace(OPEN, application=replace(OPEN.application, change=("", "x"), place={"env_file": ""}))
    assert any("env_file" in warning for warning in plan_switch(by_uri, OPS, NOW).warnings)
    assert plan_switch(by_uri, replace(OPS, on_expiry="alert"), NOW).warnings == []


def test_the_difference_shows_when_it_rings() -> None:
    assert "absent" in render_layers(OPEN, OPS, None)
    assert f"timer {timers.UNIT}: 2026-11-24 05:00:00 UTC\n" in render_layers(
        layers_after(OPEN, plan_switch(OPEN, OPS, NOW)), OPS, None
    )
    up = run(OPEN, OPS)
    gone = render_layers(layers_after(up, plan_switch(up, ABSENT, NOW)), ABSENT, None)
    assert f"timer {timers.UNIT}: absent" in gone


# -- the units ----------------------------------------------------------------------------------------------------------


def unit(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment]
    parser.read_string(text)
    return parser


@given(st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1)))
def test_it_rings_at_the_end_and_twice_more(end: datetime) -> None:
    expires = moment_text(end.replace(tzinfo=timezone.utc))
    text = render_timer(expires)
    moments = [
        datetime.strptime(line, "OnCalendar=%Y-%m-%d %H:%M:%S UTC")
        for line in text.splitlines()
        if line.startswith("OnCalendar=")
    ]
    first = end.replace(microsecond=0)
    assert moments == [first, first + timedelta(hours=1), first + timedelta(days=1)]
    assert unit(text)["Timer"]["Persistent"] == "true" and unit(text)["Install"]["WantedBy"] == "timers.target"
    assert armed(NONE_YET, expires).rings_at(expires)
    assert not armed(NONE_YET, expires).rings_at(moment_text(end.replace(tzinfo=timezone.utc) + timedelta(seconds=1)))


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126) | st.just(" "), min_size=1))
@example("a%b")
@example("a$b")
def test_any_directory_stays_one_word(name: str) -> None:
    command = unit(render_service(PYTHON, "/" + name))["Service"]["ExecStart"]
    # One of these alone would be a specifier or a variable of systemd's.
    assert not set("%$") & set(command.replace("%%", "").replace("$$", ""))
    # systemd's quoting of these is that of a shell, beside its own % and $.
    words = [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(command)]
    normal = timers.os.path.normpath("/" + name)
    assert words == [PYTHON, "-B", timers.os.path.join(normal, timers.PROGRAM), normal]


def test_retries_are_bounded_and_an_alert_is_none() -> None:
    service = unit(render_service(PYTHON, DEFAULT_STATE_DIR))
    tries, pause = int(service["Unit"]["StartLimitBurst"]), int(service["Service"]["RestartSec"])
    assert 0 < tries * pause < int(service["Unit"]["StartLimitIntervalSec"]), "else the limit is never met"
    assert service["Service"]["RestartPreventExitStatus"] == str(timers.ALERT_STATUS)
    assert service["Service"]["Restart"] == "on-failure"


def test_each_state_directory_has_its_own_units() -> None:
    assert unit_name(DEFAULT_STATE_DIR) == unit_name(DEFAULT_STATE_DIR + "/") == "miniecom-maintenance-expiry"
    names = {unit_name(path) for path in (DEFAULT_STATE_DIR, "/srv/a", "/srv/b", "/srv/a/")}
    assert len(names) == 3 and all(name.startswith(timers.UNIT) for name in names)


def test_without_systemd_nothing_is_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(timers, "SYSTEMD", str(tmp_path / "none"))
    monkeypatch.setattr(timers, "UNIT_DIR", str(tmp_path))
    monkeypatch.setattr(timers, "_systemctl", lambda *arguments, **options: pytest.fail("systemctl was called"))
    found = timers.observe_timer(str(tmp_path), b"x")
    assert "does not run systemd" in found.problem and not found.installed
    timers.disarm(found)


def test_a_timer_that_somebody_stopped_is_missed() -> None:
    up = run(OPEN, OPS)
    assert up.note is not None and up.timer is not None
    application = {"enabled": True, "problem": ""}
    found = merge_layers(up.flag, up.note, application, NOW, up.timer)
    assert found["problems"] == [] and found["timer"] == timers.UNIT and found["timer_armed"]
    for timer in (
        replace(up.timer, running=False),
        replace(up.timer, timer=""),
        armed(NONE_YET, "2026-12-01T00:00:00Z"),
    ):
        found = merge_layers(up.flag, up.note, application, NOW, timer)
        assert "is not armed" in found["problems"][0] and not found["timer_armed"]
        text = status_headline(found, None)
        assert "but no timer is armed" in text and "opens by itself" not in text and "the host alerts" not in text
    without = replace(up.note, timer="")
    assert merge_layers(up.flag, without, application, NOW, NONE_YET)["problems"] == []
