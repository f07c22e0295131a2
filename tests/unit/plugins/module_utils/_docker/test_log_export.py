# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose logs are collected, and which collections go: by tables and by properties."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.log_export import (
    Export,
    LoggedContainer,
    LogPolicy,
    LogWorld,
    Pending,
    RemoveExport,
    export_name,
    newest_exports,
    parse_export_name,
    parse_logged_container,
    plan_logs,
    unlimited_logs,
)

NOW = datetime(2026, 11, 29, 6, 0, tzinfo=timezone.utc)
ID = "0123456789ab" + "c" * 52


@st.composite
def exports(draw: st.DrawFn) -> list[Export]:
    found = []
    for number in range(draw(st.integers(0, 8))):
        hours = draw(st.integers(0, 24 * 100))
        container = draw(st.sampled_from(["aaaaaaaaaaaa", "bbbbbbbbbbbb"]))
        taken = NOW - timedelta(hours=hours)
        found.append(Export(f"/logs/{number}", container, number + 1, taken, draw(st.integers(1, 1000))))
    return found


@given(exports(), st.none() | st.integers(1, 4000), st.none() | st.integers(3600, 100 * 86400))
def test_what_goes_is_older_than_what_stays(found: list[Export], size: int | None, age: int | None) -> None:
    plan = plan_logs(LogWorld(exports=tuple(found)), LogPolicy("", age, size), NOW)
    gone = {action.target for action in plan.actions}
    assert all(isinstance(action.work, RemoveExport) for action in plan.actions)
    assert gone | {kept.target for kept in plan.kept} == {export.path for export in found}
    newest = {export.path for export in newest_exports(found).values()}
    stay = [export for export in found if export.path not in gone]
    for export in found:
        old = age is not None and (NOW - export.taken).total_seconds() > age
        if old:
            assert export.path in gone
        elif export.path in gone:
            # For its size alone: then nothing of an earlier day stays but what is the last of its container.
            assert size is not None and export.path not in newest
            assert all(other.taken >= export.taken or other.path in newest for other in stay)
    if size is not None:
        assert sum(export.size for export in stay) <= size or {export.path for export in stay} <= newest
    if size is None and age is None:
        assert not gone
    event("something goes" if gone else "nothing goes")


@given(st.integers(1, 10**7))
def test_names_can_be_read_again(sequence: int) -> None:
    name = export_name(LoggedContainer(ID, "api"), sequence, NOW)
    assert parse_export_name(name) == ("20261129T060000Z", ID[:12], sequence)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "api.log.gz",
        "20261129T060000Z-0123456789ab-1.log.gz",
        "x20261129T060000Z-0123456789ab-000001.log.gz",
        "20261329T060000Z-0123456789ab-000001.log.gz",
    ],
)
def test_other_files_are_none_of_ours(name: str) -> None:
    assert parse_export_name(name) is None


def test_the_plan_says_what_was_found() -> None:
    api, none, quiet = LoggedContainer(ID, "api"), LoggedContainer("b", "b", driver="none"), LoggedContainer("c", "c")
    broken = LoggedContainer("d", "d")
    world = LogWorld(
        (quiet, none, api, broken), pending={ID: Pending(1, 20), "c": Pending(0, 0)}, unreadable={"d": "why"}
    )
    plan = plan_logs(world, LogPolicy(), NOW)
    assert [(action.target, action.reason) for action in plan.actions] == [
        ("api", "1 new line (20 B) for the first time")
    ]
    assert [(kept.target, kept.reason) for kept in plan.kept] == [
        ("b", "its log driver (none) keeps nothing"),
        ("c", "its log is empty"),
        ("d", "why"),
    ]


@pytest.mark.parametrize("minutes, fresh", [(0, True), (59, True), (60, False), (-5, False)])
def test_what_was_collected_lately_waits(minutes: int, fresh: bool) -> None:
    export = Export("/logs/1", ID[:12], 1, NOW - timedelta(minutes=minutes), 5)
    world = LogWorld((LoggedContainer(ID, "api"),), (export,))
    assert bool(plan_logs(world, LogPolicy(fresh_within=3600), NOW).actions) is not fresh
    assert plan_logs(world, LogPolicy(), NOW).actions


@pytest.mark.parametrize(
    "driver, options, unlimited",
    [
        ("json-file", {}, True),
        ("json-file", {"max-size": "-1"}, True),
        ("json-file", {"max-size": "10m"}, False),
        ("local", {}, False),
        ("journald", {}, False),
        ("none", {}, False),
    ],
)
def test_which_logs_grow_without_end(driver: str, options: dict[str, str], unlimited: bool) -> None:
    raw = {
        "Id": ID,
        "Name": "/api",
        "Config": {"Labels": None},
        "HostConfig": {"LogConfig": {"Type": driver, "Config": options}},
    }
    container = parse_logged_container(raw, 5)
    assert (container.name, container.short_id) == ("api", ID[:12])
    assert bool(unlimited_logs([container], LogPolicy())) is unlimited
    assert unlimited_logs([container], LogPolicy("another")) == []
