# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file of waivers, and the plan of finding_waiver."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.waiver_file import (
    FiledWaiver,
    audit_waivers,
    read_waiver_file,
    waiver_path,
    write_waiver_file,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.waiving import (
    Request,
    Unwaive,
    Waivable,
    Waive,
    WaiverObservation,
    last_day,
    plan_waiver,
    waivable,
    waiver_request,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.judgement import BaselineEntry, Remembered

NOW = datetime(2026, 11, 29, 4, 0, tzinfo=timezone.utc)
FOUND = (
    Waivable("env-readable-aaaaaaaa", "a" * 32, "perm_audit", "env-readable", "/srv/.env", "high"),
    Waivable("env-readable-bbbbbbbb", "b" * 32, "perm_audit", "env-readable", "/srv/b/.env", "high"),
)
FILED = FiledWaiver(
    FOUND[0].id, "ticket 1", "2027-02-27", "a" * 32, "perm_audit", "env-readable", "/srv/.env", "high", "alice", "x"
)

texts = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1).filter(str.strip)
filed = st.builds(
    FiledWaiver,
    finding=texts,
    reason=texts,
    expires=st.dates(min_value=date(1000, 1, 1)).map(date.isoformat),
    **{name: st.text(st.characters(blacklist_categories=["Cs"])) for name in ("audit", "rule", "target", "by")},
)


@given(entries=st.lists(filed, max_size=5))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, entries: list[FiledWaiver]) -> None:
    state = str(tmp_path_factory.mktemp("state"))
    write_waiver_file(state, entries)
    assert read_waiver_file(state) == entries
    assert os.stat(waiver_path(state)).st_mode & 0o777 == 0o600


def test_without_a_file_nothing_is_waived(tmp_path: Path) -> None:
    assert read_waiver_file(str(tmp_path / "none")) == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "Expecting value"),
        ('{"version": 1, "waivers": [}', "line 1 column 28"),
        ("[]", 'no list "waivers"'),
        ('{"version": 2, "waivers": []}', "version is not 1"),
        ('{"version": 1, "waivers": ["x"]}', "waiver 1 is no object"),
        ('{"version": 1, "waivers": [{"finding": "x", "reason": "r", "expires": 90}]}', "expires is no text"),
        ('{"version": 1, "waivers": [{"finding": "x", "reason": "r", "expires": "soon"}]}', "not a date"),
        ('{"version": 1, "waivers": [{"finding": "x", "expires": "2027-01-01"}]}', "no reason"),
        ('{"version": 1, "waivers": [{"reason": "r", "expires": "2027-01-01"}]}', "names no finding"),
        ('{"version": 1, "waivers": [{"fnding": "x"}]}', "unknown key fnding"),
        ("[" * 100_000, "nested too deeply"),
        ("\xff\xfe", "UTF-8"),
    ],
)
def test_a_broken_file_says_what_is_wrong_and_what_to_do(tmp_path: Path, content: str, why: str) -> None:
    (tmp_path / "waivers.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(MaintenanceError) as told:
        read_waiver_file(str(tmp_path))
    assert why in str(told.value) and "waivers.json" in str(told.value) and "Correct it" in str(told.value)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_keeps_nobody_waiting(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "waivers.json")
    with pytest.raises(MaintenanceError, match="cannot read the waivers"):
        read_waiver_file(str(tmp_path))


def test_an_entry_that_a_person_wrote_needs_no_more_than_three_keys(tmp_path: Path) -> None:
    (tmp_path / "waivers.json").write_text(
        '{"version": 1, "waivers": [{"finding": "x-12345678", "reason": "r", "expires": "2027-01-01"},'
        ' {"rule": "env-*", "reason": "r", "expires": "2027-01-01", "audit": "perm_audit"}]}'
    )
    found = read_waiver_file(str(tmp_path))
    assert [waiver.fingerprint or waiver.rule for waiver in audit_waivers(found, "perm_audit")] == [
        "x-12345678",
        "env-*",
    ]
    assert [waiver.fingerprint for waiver in audit_waivers(found, "port_audit")] == ["x-12345678"]


# -- the plan ---------------------------------------------------------------------------------------------------------


def request(**more: Any) -> Request:
    params = {
        "state": "present",
        "finding": FOUND[0].id,
        "reason": "r",
        "expires": "90d",
        "by": "bob",
        "unknown": "fail",
    }
    return waiver_request({**params, **more}, NOW)


def test_a_waiver_holds_ninety_days_from_today_and_names_what_it_covers() -> None:
    [action] = plan_waiver(WaiverObservation((), FOUND), request(), NOW).actions
    assert isinstance(action.work, Waive)
    wanted = action.work.waiver
    assert (wanted.expires, wanted.fingerprint, wanted.audit, wanted.by) == (
        "2027-02-27",
        "a" * 32,
        "perm_audit",
        "bob",
    )
    assert "/srv/.env" in action.reason and action.target == FOUND[0].id


def test_waiving_again_alike_changes_nothing_and_otherwise_replaces() -> None:
    seen = WaiverObservation((FILED,), FOUND)
    again = plan_waiver(seen, request(reason="ticket 1"), NOW)
    assert not again.actions and "already" in again.kept[0].reason
    assert len(plan_waiver(seen, request(reason="ticket 2"), NOW).actions) == 1
    assert len(plan_waiver(seen, request(finding="a" * 32, expires="2027-05-01"), NOW).actions) == 1


def test_taking_back() -> None:
    seen = WaiverObservation((FILED,), ())
    [action] = plan_waiver(seen, request(state="absent"), NOW).actions
    assert isinstance(action.work, Unwaive) and action.work.waiver == FILED
    assert not plan_waiver(seen, request(state="absent", finding="other"), NOW).actions


def test_an_id_that_nobody_knows_is_refused_with_the_nearest_ones() -> None:
    with pytest.raises(MaintenanceError, match="env-readable-aaaaaaaa"):
        plan_waiver(WaiverObservation((), FOUND), request(finding="env-readable-aaaaaaab"), NOW)
    with pytest.raises(MaintenanceError, match="run security_audit first"):
        plan_waiver(WaiverObservation(), request(), NOW)
    ignored = plan_waiver(WaiverObservation((), FOUND), request(finding="x", unknown="ignore"), NOW)
    assert not ignored.actions and "knows it" in ignored.kept[0].reason


def test_an_id_of_two_findings_wants_the_fingerprint() -> None:
    twin = Waivable(FOUND[0].id, "a" * 31 + "b", "perm_audit", "env-readable", "/srv/c", "high")
    with pytest.raises(MaintenanceError, match="several findings"):
        plan_waiver(WaiverObservation((), (*FOUND, twin)), request(), NOW)
    assert plan_waiver(WaiverObservation((), (*FOUND, twin)), request(finding=twin.fingerprint), NOW).actions


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"finding": ""}, "no finding is named"),
        ({"reason": "  "}, "no reason"),
        ({"expires": None}, "no end"),
        ({"expires": "next year"}, "neither a date nor a duration"),
        ({"expires": "99999999d"}, "neither a date nor a duration"),
        ({"expires": "2026-11-28"}, "over already"),
    ],
)
def test_a_request_that_says_too_little_is_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(MaintenanceError, match=told):
        request(**wrong)


def test_today_is_the_last_day_of_the_shortest_waiver() -> None:
    assert last_day("2026-11-29", NOW.date()) == NOW.date() == last_day("1h", NOW.date())


def test_what_is_new_is_not_taken_for_known() -> None:
    entry = BaselineEntry("env-readable", "/srv/.env", "medium", "2026-11-29T00:00:00Z")
    worse, other = replace(entry, severity="high"), replace(entry, target="/srv/b/.env")
    [first, second] = waivable(
        {"perm_audit": Remembered({"/srv": {"a" * 32: entry, "b" * 32: other}}, {"/srv": {"a" * 32: worse}})}
    )
    assert (first.target, first.severity, first.status) == ("/srv/.env", "high", "new"), "told once, as it is now"
    assert (second.target, second.status) == ("/srv/b/.env", "known")
