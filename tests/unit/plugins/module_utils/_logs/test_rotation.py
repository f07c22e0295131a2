# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.leftovers import ProcessId
from ansible_collections.miniecom.maintenance.plugins.module_utils._logs.holders import Holder
from ansible_collections.miniecom.maintenance.plugins.module_utils._logs.logrotate import (
    COPY,
    RENAME,
    REOPEN,
    Identity,
    Rules,
    render_configuration,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._logs.open_files import UNSEEN
from ansible_collections.miniecom.maintenance.plugins.module_utils._logs.rotating import read_policy, read_su
from ansible_collections.miniecom.maintenance.plugins.module_utils._logs.rotation import (
    FILE,
    LINK,
    HeldRotation,
    Log,
    LogDirectory,
    LogRotationPolicy,
    Logs,
    Reopen,
    ReopenLog,
    RotateLog,
    RunLogrotate,
    become,
    plan_log_rotation,
    way_of,
)

RULES = Rules("weekly", 1000, 30)
POLICY = LogRotationPolicy(RULES)
HERE = LogDirectory("/l", 0, 0, 0o755, True, 10**9, 1)


def holder(pid: int = 7, **about: Any) -> Holder:
    return Holder(ProcessId(pid, 100), about.pop("program", "node"), **{"writes": True, **about})


APPENDER, OVERWRITER, READER = holder(appends=True), holder(), holder(writes=False)
PM2 = holder(appends=True, manager="pm2", pm2=ProcessId(5, 50), pm2_reloads=True)
HUPPED = holder(catches=("HUP",))


def policy(*entries: Reopen) -> LogRotationPolicy:
    return LogRotationPolicy(RULES, entries)


BY_HUP, BY_PM2 = Reopen("api*", "signal", "HUP"), Reopen("api*", "pm2_reload_logs")


@pytest.mark.parametrize(
    ("holders", "entry", "method", "word"),
    [
        ((), None, RENAME, "nobody"),
        ((READER,), None, RENAME, "only read"),
        ((APPENDER,), None, COPY, "loses what is written"),
        ((APPENDER, READER), None, COPY, "node (pid 7)"),
        ((OVERWRITER,), None, "", "not for appending"),
        ((APPENDER, replace(OVERWRITER, process=ProcessId(8, 1))), None, "", "not for appending"),
        ((PM2,), None, "", "of pm2"),
        ((PM2,), BY_PM2, REOPEN, "pm2 reloads"),
        ((replace(PM2, pm2_reloads=False),), BY_PM2, "", "no daemon of pm2"),
        ((APPENDER,), BY_PM2, "", "no daemon of pm2"),
        ((HUPPED,), BY_HUP, REOPEN, "SIGHUP"),
        ((OVERWRITER,), BY_HUP, "", "no handler for SIGHUP"),
        ((APPENDER,), BY_HUP, "", "no handler for SIGHUP"),
        ((HUPPED,), Reopen("other", "signal"), "", "not for appending"),
        ((), BY_HUP, RENAME, "nobody"),
        ((holder(pid=1, catches=("HUP",)),), BY_HUP, "", "first process"),
        ((holder(catches=("USR1",)),), Reopen("*", "signal", "USR1"), "", "debugger"),
        ((holder(catches=("USR1",), program="nginx"),), Reopen("*", "signal", "USR1"), REOPEN, "SIGUSR1"),
        ((replace(APPENDER, manager="systemd", unit="api.service"),), None, COPY, "unit api.service"),
        ((replace(APPENDER, manager="container", unit="0123456789ab"),), None, COPY, "container 0123456789ab"),
    ],
)
def test_who_holds_a_log_decides_how_it_is_rotated(
    holders: tuple[Holder, ...], entry: Reopen | None, method: str, word: str
) -> None:
    way = way_of(Log("/l/api.log", holders=holders), policy(*([entry] if entry else [])))
    assert (way.method, word in way.reason) == (method, True), way
    assert bool(way.remedy) is (method == ""), "who cannot is told what would help"
    assert bool(way.reopen) is (method == REOPEN)


def test_who_is_not_shown_may_hold_it_in_any_way() -> None:
    way = way_of(Log("/l/api.log", unseen=True), policy(BY_HUP))
    assert (way.method, way.reason) == ("", UNSEEN)


def test_a_master_is_sent_the_signal_and_its_workers_are_not() -> None:
    master = holder(pid=20, catches=("HUP",), program="nginx")
    worker = holder(pid=21, parent=20, program="nginx")
    way = way_of(Log("/l/api.log", holders=(master, worker)), policy(BY_HUP))
    assert [asked.process.pid for asked in way.reopen] == [20]


def test_the_first_entry_that_fits_counts() -> None:
    log = Log("/l/api.log", holders=(holder(catches=("HUP", "USR2")),))
    [asked] = way_of(log, policy(Reopen("api.log", "signal", "USR2"), BY_HUP)).reopen
    assert asked.signal == "USR2"


@pytest.mark.parametrize(
    ("mode", "directory", "log", "method", "expected"),
    [
        # uid, gid of the directory; uid, gid, mode of the log -> whom logrotate becomes, and whether it makes a new one
        (0o755, (33, 33), (33, 33, 0o640), RENAME, (None, True)),
        (0o755, (33, 33), (0, 0, 0o600), COPY, (None, True)),
        (0o775, (0, 0), (0, 0, 0o640), RENAME, (None, True)),
        (0o775, (33, 33), (33, 33, 0o640), RENAME, (Identity(33, 33), True)),
        (0o775, (33, 33), (33, 33, 0o640), COPY, (Identity(33, 33), True)),
        (0o775, (33, 33), (0, 0, 0o644), RENAME, (Identity(33, 33), False)),
        (0o775, (33, 33), (0, 0, 0o644), COPY, (Identity(0, 33), True)),
        (0o775, (33, 33), (0, 33, 0o660), COPY, (Identity(33, 33), False)),
        (0o775, (33, 33), (0, 0, 0o600), RENAME, (Identity(0, 33), True)),
        (0o775, (33, 4), (0, 0, 0o644), COPY, "truncate"),
        (0o775, (0, 4), (1000, 4, 0o600), COPY, (Identity(0, 4), True)),
        (0o777, (33, 33), (33, 33, 0o640), COPY, (Identity(33, 33), True)),
        (0o777, (33, 33), (0, 0, 0o644), COPY, "truncate"),
        (0o777, (33, 33), (0, 0, 0o600), RENAME, "read"),
        (0o1777, (0, 0), (1000, 1000, 0o600), RENAME, (Identity(0, 0), True)),
    ],
)
def test_whom_logrotate_becomes(
    mode: int, directory: tuple[int, int], log: tuple[int, int, int], method: str, expected: Any
) -> None:
    place = LogDirectory("/l", *directory, mode, owners_group=directory == (33, 33))
    found = Log("/l/a.log", 9, *log)
    su, create, problem = become(found, place, method, Logs({"/l": place}, (found,)))
    if isinstance(expected, str):
        assert problem is not None and expected in problem[0] and problem[1]
        assert su is None
    else:
        assert ((su, create), problem) == (expected, None)
    assert become(found, place, method, Logs({}, (), su=Identity(1, 2))) == (Identity(1, 2), True, None)
    assert become(found, place, method, Logs({}, (), as_root=False)) == (None, True, None)


HELD_BY = st.sampled_from([APPENDER, OVERWRITER, READER, PM2, PM2, HUPPED, HUPPED, holder(pid=8, appends=True)])
HOLDERS = st.lists(HELD_BY, max_size=2).map(tuple)
LOGS = st.builds(
    Log,
    path=st.sampled_from([f"/l/{name}" for name in ("api.log", "ops.log", "b.log", 'x" {.log', "a\n.log")]),
    size=st.integers(0, 10**9),
    uid=st.sampled_from([0, 33]),
    mode=st.sampled_from([0o600, 0o644]),
    inode=st.integers(1, 9),
    kind=st.sampled_from([FILE] * 5 + [LINK]),
    links=st.sampled_from([1] * 5 + [2]),
    holders=HOLDERS,
    unseen=st.sampled_from([False] * 5 + [True]),
    due=st.booleans(),
    known=st.booleans(),
)
WORLDS = st.builds(
    Logs,
    st.sampled_from([{"/l": replace(HERE, uid=33, gid=33, mode=mode)} for mode in (0o755, 0o775, 0o777)]),
    st.lists(LOGS, max_size=5, unique_by=lambda log: log.path).map(tuple),
    st.lists(
        st.builds(
            HeldRotation, st.just("/l/api.log-1"), st.just("/l/api.log"), st.just(1), st.just(2), st.tuples(HELD_BY)
        ),
        max_size=1,
    ).map(tuple),
)
POLICIES = st.lists(
    st.sampled_from([BY_HUP, BY_PM2, Reopen("*", "signal", "HUP"), Reopen("*", "pm2_reload_logs")]), max_size=2
).map(lambda entries: policy(*entries))


@given(WORLDS, POLICIES)
def test_each_log_is_rotated_safely_or_kept_with_a_reason(world: Logs, wanted: LogRotationPolicy) -> None:
    plan = plan_log_rotation(world, wanted)
    runs = [action.work for action in plan.actions if isinstance(action.work, RunLogrotate)]
    rotated = {action.work.path: action.work for action in plan.actions if isinstance(action.work, RotateLog)}
    reopened = [action for action in plan.actions if isinstance(action.work, ReopenLog)]
    assert len(runs) <= 1 and len(rotated) + len(reopened) + len(plan.kept) == len(world.logs) + len(world.rotations)
    assert all(kept.reason and kept.target.isprintable() for kept in plan.kept)
    assert all(warning.isprintable() for warning in plan.warnings)
    sections = runs[0].sections if runs else ()
    if runs:
        assert plan.actions[0].work is runs[0], "what stands for each log comes after it"
        render_configuration(sections, RULES)
    named = Counter(path for section in sections for path in section.paths)
    assert set(named.values()) <= {1}, "logrotate refuses what is named twice"
    due = {path: section for section in sections if section.due for path in section.paths}
    assert set(due) == set(rotated)
    room = 10**9
    for log in world.logs:
        if log.path not in rotated:
            continue
        work, writers = rotated[log.path], log.writers
        assert log.due and log.kind == FILE and log.links == 1 and not log.unseen
        assert due[log.path].method == work.method
        if work.method == RENAME:
            assert not writers
        elif work.method == COPY:
            assert all(item.appends and item.manager != "pm2" for item in writers)
            room -= log.size
        else:
            assert work.reopen and all(asked.process.pid > 1 for asked in work.reopen)
    assert room >= 0
    if runs and not rotated:
        assert any(not log.known for log in world.logs)


ONLY_DRAW = settings(max_examples=1000, database=None, deadline=None, phases=[Phase.generate])


@pytest.mark.parametrize("method", [RENAME, COPY, REOPEN])
def test_each_method_occurs_among_the_generated_worlds(method: str) -> None:
    def occurs(drawn: tuple[Logs, LogRotationPolicy]) -> bool:
        works = [action.work for action in plan_log_rotation(*drawn).actions]
        return any(isinstance(work, RotateLog) and work.method == method for work in works)

    find(st.tuples(WORLDS, POLICIES), occurs, settings=ONLY_DRAW)


@pytest.mark.parametrize(
    ("name", "about", "rotated"),
    [
        ("ops-20261126.log", {"idle": True}, False),
        ("ops.2026-11-26.log", {"idle": True}, False),
        ("ops-20261126.log", {}, True),
        ("ops-20261126.log", {"idle": True, "holders": (APPENDER,)}, True),
        ("ops.log", {"idle": True}, True),
        ("ops-20261326.log", {"idle": True}, True),
        ("order-120261126.log", {"idle": True}, True),
        ("ops-2026-1126.log", {"idle": True}, True),
    ],
)
def test_what_is_a_rotation_already_is_not_rotated_once_more(name: str, about: dict[str, Any], rotated: bool) -> None:
    log = Log(f"/l/{name}", size=9, device=1, inode=1, due=True, **about)
    plan = plan_log_rotation(Logs({"/l": HERE}, (log,)), POLICY)
    assert [action.target for action in plan.actions if action.action == "rotate"] == [log.path] * rotated
    assert [kept.target for kept in plan.kept] == [log.path] * (not rotated)
    assert plan.warnings == []


def test_a_copy_that_does_not_fit_is_not_begun() -> None:
    logs = tuple(Log(f"/l/{name}.log", 600, holders=(APPENDER,), device=1, due=True) for name in "ab")
    plan = plan_log_rotation(Logs({"/l": replace(HERE, free=1000)}, logs), POLICY)
    assert [action.target for action in plan.actions] == ["logrotate", "/l/a.log"]
    assert "400 B are free" in plan.kept[0].reason and "Make room" in plan.warnings[0]


def test_what_is_settled_needs_no_logrotate_and_its_errors_do() -> None:
    log = Log("/l/a.log", 5, known=True)
    world = Logs({"/l": HERE}, (log,))
    assert plan_log_rotation(world, POLICY).actions == []
    for other in (replace(world, logs=(replace(log, known=False),)), replace(world, errors=("error: x",))):
        [action] = plan_log_rotation(other, POLICY).actions
        assert isinstance(action.work, RunLogrotate) and not action.work.sections[0].due


def parameters(**given_: Any) -> dict[str, Any]:
    return {"max_size": "100M", "interval": "weekly", "retention_days": 30, "reopen": [], **given_}


def test_options_are_read_by_their_kind() -> None:
    entry = {"pattern": "api.log", "method": "signal", "signal": "USR1"}
    assert read_policy(parameters(max_size="1.5G", reopen=[entry])) == LogRotationPolicy(
        Rules("weekly", 1536 * 2**20, 30), (Reopen("api.log", "signal", "USR1"),)
    )
    assert read_policy(parameters(max_size="104857600")).rules.max_size == 104857600
    assert (read_su(None), read_su(""), read_su("root adm")) == (None, None, ("root", "adm"))


@pytest.mark.parametrize(
    "options",
    [
        {"max_size": "100M\npostrotate"},
        {"max_size": "0"},
        {"max_size": "9999T"},
        {"retention_days": -1},
        {"retention_days": 10**6},
    ],
)
def test_what_is_none_of_its_kind_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(MaintenanceError):
        read_policy(parameters(**options))


@pytest.mark.parametrize(
    "text", ["root", "root adm x", "root adm\n", "root\nadm", "a b\npostrotate", "-x adm", "r;x adm"]
)
def test_su_is_two_names(text: str) -> None:
    with pytest.raises(MaintenanceError):
        read_su(text)
