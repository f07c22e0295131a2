# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.npm_lock import (
    NpmProposal,
    ReplaceLock,
    beyond,
    chosen_scripts,
    direct_places,
    lock_changes,
    plan_lock,
    read_object,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError

VERSIONS = st.builds("{}.{}.{}".format, *[st.integers(0, 3)] * 3)
NAMES = st.sampled_from(["express", "lodash", "@shop/till", "star"])
PLACES = st.builds(lambda outer, name: f"{outer}node_modules/{name}", st.sampled_from(["", "api/", "node_modules/express/"]), NAMES)  # fmt: skip
LOCKED = st.dictionaries(PLACES, VERSIONS, max_size=6)


def lock(locked: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"lockfileVersion": 3, "packages": {place: {"version": version} for place, version in locked.items()} | more}


@given(before=LOCKED, after=LOCKED, asked=st.sets(NAMES))
def test_each_version_that_changes_is_told_once_and_none_beyond(
    before: dict[str, str], after: dict[str, str], asked: set[str]
) -> None:
    package = {"dependencies": dict.fromkeys(asked, "*")}
    direct = direct_places(lock(before), package)
    assert direct == {f"node_modules/{name}" for name in asked}
    changes = lock_changes(lock(before), lock(after), direct)
    told = {change.place: (change.before, change.after) for change in changes}
    expected = {
        place: (before.get(place, ""), after.get(place, ""))
        for place in {*before, *after}
        if before.get(place) != after.get(place)
    }
    assert told == expected and len(changes) == len(expected)
    for change in beyond(changes):
        event("a major update")
        assert change.place in direct and change.before.split(".")[0] < change.after.split(".")[0]
    majors = [place for place in direct & set(before) & set(after) if before[place][0] < after[place][0]]
    assert {change.place for change in beyond(changes)} == set(majors)


def test_a_workspace_asks_for_a_version_of_its_own() -> None:
    found = lock(
        {"node_modules/lodash": "1.0.0", "api/node_modules/lodash": "2.0.0"}, api={"dependencies": {"lodash": "2"}}
    )
    assert direct_places(found, {"devDependencies": {"star": "*"}}) == {"api/node_modules/lodash", "node_modules/star"}


def test_a_version_that_stays_has_the_same_content() -> None:
    def one(integrity: str) -> dict[str, Any]:
        return {"packages": {"node_modules/a": {"version": "1.0.0", "integrity": integrity}}}

    with pytest.raises(MaintenanceError, match="another content"):
        lock_changes(one("sha512-x"), one("sha512-y"), frozenset())
    assert lock_changes(one("sha1-x"), one("sha512-y"), frozenset()) == ()


def test_nothing_shows_that_it_works() -> None:
    scripts = {"test": 'echo "Error: no test specified" && exit 1', "start": "node ."}
    with pytest.raises(MaintenanceError, match="neither a script build nor a script test"):
        chosen_scripts({"scripts": scripts}, None, "/p")
    assert chosen_scripts({"scripts": scripts}, [], "/p") == ()
    assert chosen_scripts({"scripts": {**scripts, "build": "x"}}, None, "/p") == ("build",)
    with pytest.raises(MaintenanceError, match="no such script: test"):
        chosen_scripts({"scripts": scripts}, ["test"], "/p")


def test_a_lock_file_that_stays_is_not_replaced() -> None:
    work = ReplaceLock("/p", "package-lock.json", "1", "2", "3", (), False, "u")
    assert plan_lock(NpmProposal("package-lock.json", b"{}", b"{}", b"{}"), work).actions == []
    assert [action.target for action in plan_lock(NpmProposal("l", b"{}", b"{ }", b"{}"), work).actions]


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b"{"])
def test_what_is_no_lock_file_is_told(data: bytes) -> None:
    with pytest.raises(MaintenanceError, match="no JSON"):
        read_object(data, "/p")
