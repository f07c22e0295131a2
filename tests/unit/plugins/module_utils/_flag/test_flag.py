# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Action
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.flag_file import (
    Flag,
    Note,
    flag_line,
    moment_text,
    parse_expires,
    parse_flag,
    parse_moment,
    read_flag,
    read_note,
    remove_file,
    require_directory,
    write_flag,
    write_note,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.probe import judge
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.switch import (
    NOBODY,
    Application,
    Layers,
    Policy,
    WriteNote,
    is_up,
    owner_of,
    plan_switch,
    render_layers,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.maintenance_status import look_at_files

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=timezone.utc)
PATH = "/opt/miniecom/storage/.maintenance"


# -- a model of the world: layers, and what each action does to them ------------------------------------------------------


def application(layers: Layers, policy: Policy) -> Layers:
    """What observing would find: whether the application's setting has to change."""
    if layers.application is None:
        return layers
    wanted = policy.state == "present"
    change = ("", "x") if layers.application.enabled != wanted else None
    return replace(layers, application=replace(layers.application, change=change))


def carry_out(layers: Layers, action: Action) -> Layers:
    if action.action == "write_note":
        return replace(layers, note=action.work.note)
    if action.action == "remove_note":
        return replace(layers, note=None)
    if action.action == "write_flag":
        return replace(layers, flag=parse_flag(action.work.line))
    if action.action == "remove_flag":
        return replace(layers, flag=Flag(False))
    assert layers.application is not None
    enabled = action.action == "switch_application_on"
    return replace(
        layers, application=replace(layers.application, enabled=enabled, remember={"present": True, "enabled": enabled})
    )


def run(layers: Layers, policy: Policy, actions: int | None = None, now: datetime = NOW) -> Layers:
    """Plan, and carry out the first so many actions: a run that is killed after them."""
    for action in plan_switch(application(layers, policy), policy, now).actions[:actions]:
        layers = carry_out(layers, action)
    return layers


OPEN = Layers(
    Flag(False), None, Application(False, remember={"present": True, "enabled": False}, place={"database": "shop"})
)
OPS = Policy("present", PATH, "ops", "disks", "2h")
ABSENT = replace(OPS, state="absent")

policies = st.builds(
    Policy,
    st.sampled_from(["present", "absent"]),
    st.just(PATH),
    st.just("ops"),
    st.sampled_from(["disks", "other words"]),
    st.sampled_from(["", "2h", "2026-12-01T00:00:00Z"]),
)


@given(st.lists(st.tuples(policies, st.integers(0, 4)), max_size=6), policies, st.booleans())
def test_whatever_was_killed_the_next_run_completes(killed: Any, last: Policy, with_application: bool) -> None:
    layers = OPEN if with_application else replace(OPEN, application=None)
    for policy, actions in killed:
        layers = run(layers, policy, actions)
    layers = run(layers, last)
    assert layers.flag.present == (last.state == "present") == (layers.note is not None)
    if layers.application is not None:
        assert layers.application.enabled == (last.state == "present")
        if layers.note is not None:
            assert layers.note.application["previous"]["enabled"] is False, "how it was before is never forgotten"
    assert plan_switch(application(layers, last), last, NOW).actions == [], "the second run has nothing to do"


@given(st.integers(0, 3))
def test_on_entry_the_note_comes_first_and_on_exit_the_shop_opens_first(actions: int) -> None:
    layers = run(OPEN, OPS, actions)
    if is_up(layers):
        assert layers.note is not None and layers.note.owner == "ops"
    leaving = run(run(OPEN, OPS), ABSENT, actions)
    assert leaving.application is not None
    if actions:
        assert not leaving.application.enabled
    if leaving.flag.present:
        assert leaving.note is not None


def test_somebody_elses_is_left_alone_unless_forced() -> None:
    up = run(OPEN, replace(OPS, owner="alice"))
    for policy in (OPS, ABSENT):
        with pytest.raises(MaintenanceError, match="alice"):
            plan_switch(application(up, policy), policy, NOW)
        forced = run(up, replace(policy, force=True))
        assert is_up(forced) == (policy.state == "present")
    by_hand = replace(OPEN, application=Application(True, remember={"enabled": True}))
    assert owner_of(by_hand) == NOBODY
    with pytest.raises(MaintenanceError, match="somebody else"):
        plan_switch(by_hand, OPS, NOW)


def test_what_a_killed_run_left_locks_nobody_out() -> None:
    begun = run(OPEN, replace(OPS, owner="alice"), 1)
    assert begun.note is not None and owner_of(begun) == ""
    later = run(begun, OPS, now=NOW + timedelta(hours=5))
    assert later.note is not None and (later.note.owner, later.note.since) == ("ops", "2026-11-24T08:00:00Z")
    # What the application is like is not known here, and alice's note says that she was about to switch it.
    unseen = replace(begun, application=None)
    with pytest.raises(MaintenanceError, match="alice"):
        plan_switch(unseen, ABSENT, NOW)


def test_the_same_window_again_and_another_one() -> None:
    up = run(OPEN, OPS)
    assert up.note is not None and up.note.expires == "2026-11-24T05:00:00Z"
    again = run(up, OPS, now=NOW + timedelta(hours=1))
    assert again == up
    longer = run(up, replace(OPS, expires="3h"), now=NOW + timedelta(hours=1))
    assert longer.note is not None and longer.note.expires == "2026-11-24T07:00:00Z"
    late = run(up, OPS, now=NOW + timedelta(hours=3))
    assert late.note is not None and late.note.expires == "2026-11-24T08:00:00Z", "an end that has passed is no end"
    assert late.note.since == up.note.since
    none = run(up, replace(OPS, expires=""))
    assert none.note is not None and none.note.expires == "" and not none.note.expired(NOW + timedelta(days=999))
    assert up.note.expired(NOW + timedelta(hours=2)) and not up.note.expired(NOW)


def test_what_is_shown() -> None:
    assert render_layers(OPEN, OPS, '{"enabled":false}') == (
        'flag %s: absent\napplication: {"enabled":false}\nnote: absent\n' % PATH
    )
    assert "owner ops" in render_layers(run(OPEN, OPS), OPS, None) and "application" not in render_layers(
        OPEN, OPS, None
    )


# -- the file -----------------------------------------------------------------------------------------------------------


@given(st.text(max_size=200))
def test_a_reason_of_any_text_comes_back_as_one_line(reason: str) -> None:
    line = flag_line("2026-11-24T03:00:00Z", reason)
    found = parse_flag(line + "\n")
    assert found.present and "\n" not in line
    assert (found.since, found.reason) == ("2026-11-24T03:00:00Z", " ".join(reason.split()))
    assert found.line == line.strip()


@given(st.binary(max_size=100))
def test_a_flag_of_any_content_is_a_flag(content: bytes) -> None:
    assert parse_flag(content.decode("utf-8", "replace")).present


def test_a_word_in_the_flag_is_a_reason_and_no_time() -> None:
    assert parse_flag("disks\n") == Flag(True, "", "disks", "disks")
    assert parse_flag("2026-11-24T03:00:00Z|disks\n").since == "2026-11-24T03:00:00Z"


def test_files(tmp_path: Path) -> None:
    path = str(tmp_path / ".maintenance")
    assert not read_flag(path).present and not remove_file(path)
    write_flag(path, flag_line("2026-11-24T03:00:00Z", "why"))
    assert read_flag(path).reason == "why" and remove_file(path) and not read_flag(path).present
    state = str(tmp_path / "new" / "state")
    assert read_note(state) is None
    note = Note("ops", moment_text(NOW), "why", path, application={"previous": {"present": True, "block": None}})
    write_note(state, note)
    assert read_note(state) == note
    (tmp_path / "new" / "state" / "maintenance.json").write_text("[]")
    with pytest.raises(MaintenanceError, match="makes no sense"):
        read_note(state)
    with pytest.raises(MaintenanceError, match="Its directory does not exist"):
        write_flag(str(tmp_path / "no" / "directory"), "x")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2h", "2026-11-24T05:00:00Z"),
        ("90m", "2026-11-24T04:30:00Z"),
        ("2026-11-24T05:00:00Z", "2026-11-24T05:00:00Z"),
        ("2026-11-24T05:00:00+05:30", None),
        ("2026-11-24 10:00+05:30", "2026-11-24T04:30:00Z"),
        ("2026-11-25", "2026-11-25T00:00:00Z"),
        ("0s", None),
        ("", None),
        ("soon", None),
        ("99999999999999d", None),
    ],
)
def test_ends(text: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(MaintenanceError):
            parse_expires(text, NOW)
    else:
        assert moment_text(parse_expires(text, NOW)) == expected
        assert parse_moment(expected) == parse_expires(text, NOW)


# -- the probe ----------------------------------------------------------------------------------------------------------


@given(st.integers(100, 599), st.binary(max_size=200))
def test_only_a_shop_with_its_database_is_up(status: int, body: bytes) -> None:
    assert judge(status, body)["state"] in ("degraded", "down")


@pytest.mark.parametrize(
    ("status", "body", "state"),
    [
        (200, b'{"status":"ok","mongoConnected":true}', "up"),
        (200, b'{"status":"ok","mongoConnected":false}', "degraded"),
        (200, b'{"status":"ok"}', "degraded"),
        (200, b"healthy\n", "degraded"),
        (200, b"[1]", "degraded"),
        (503, b'{"ok":false,"maintenance":true,"message":"x"}', "maintenance"),
        (503, b'{"ok":false,"maintenance":"true"}', "down"),
        (200, b'{"maintenance":true}', "degraded"),
        (502, b"<html>", "down"),
        (404, b"{}", "degraded"),
    ],
)
def test_answers(status: int, body: bytes, state: str) -> None:
    assert judge(status, body)["state"] == state


def test_what_was_put_up_around_a_run_is_nobodys_once_the_run_is_over() -> None:
    run_id = "20261124T030000Z-abcdef"
    around = replace(OPS, owner="weekly maintenance of alice", run_id=run_id, around_run=True)
    up = replace(run(OPEN, around), live_run=run_id)
    bob = replace(ABSENT, owner="bob", run_id="20261124T040000Z-123456")
    with pytest.raises(MaintenanceError, match="weekly maintenance of alice"):
        plan_switch(application(up, bob), bob, NOW)
    for live in ("", bob.run_id):
        left = replace(up, live_run=live)
        assert not run(left, bob).flag.present, "its run is over or dead"
    mine = replace(bob, state="present", owner="bob")
    assert run(replace(up, live_run=bob.run_id), mine).note.owner == "bob"  # type: ignore[union-attr]
    ordinary = run(OPEN, replace(OPS, owner="alice", run_id=run_id))
    with pytest.raises(MaintenanceError, match="alice"):
        plan_switch(application(ordinary, bob), bob, NOW)


def test_somebody_elses_note_is_written_over_by_force_only() -> None:
    def overwrites(layers: Layers, policy: Policy) -> bool:
        [work] = [a.work for a in plan_switch(layers, policy, NOW).actions if isinstance(a.work, WriteNote)]
        return work.overwrite

    assert not overwrites(OPEN, OPS)
    up = application(run(OPEN, replace(OPS, owner="alice")), OPS)
    assert overwrites(up, replace(OPS, force=True))


def test_a_flag_whose_directory_is_missing_is_refused_before_anything(tmp_path: Path) -> None:
    require_directory(str(tmp_path / ".maintenance"))
    with pytest.raises(MaintenanceError, match="Its directory does not exist"):
        require_directory(str(tmp_path / "storage" / ".maintenance"))
    (tmp_path / "file").touch()
    with pytest.raises(MaintenanceError, match="Its directory does not exist"):
        require_directory(str(tmp_path / "file" / ".maintenance"))


def test_a_flag_that_cannot_be_read_is_not_missing(tmp_path: Path) -> None:
    (tmp_path / "flag").mkdir()
    with pytest.raises(MaintenanceError, match="cannot read the maintenance flag"):
        read_flag(str(tmp_path / "flag"))
    flag, note, problems = look_at_files(str(tmp_path / "flag"), str(tmp_path))
    assert flag.present and note is None and "cannot read the maintenance flag" in problems[0]
    assert look_at_files(str(tmp_path / "none"), str(tmp_path)) == (Flag(False), None, [])
