# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""New, known, waived and resolved: the judgement of audits, and what it keeps on disk."""

from __future__ import annotations

import json
import os
import stat
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.audit_state import (
    AuditState,
    Memory,
    Writes,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.finding import (
    SEVERITIES,
    Finding,
    fingerprint,
    printable,
    urgency,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.judgement import (
    Baseline,
    Judgement,
    Remembered,
    judge_findings,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.waiver import parse_waivers

KEY = b"k" * 32
NOW = datetime(2026, 11, 24, 3, 0, tzinfo=timezone.utc)

findings = st.builds(
    Finding,
    rule=st.sampled_from(["env-readable", "setuid-file", "x"]),
    severity=st.sampled_from(SEVERITIES),
    target=st.sampled_from(["/srv/a", "/srv/b", "/srv/b/c"]),
    message=st.just("m"),
    remediation=st.just("r"),
    scope=st.just("/srv"),
    subject=st.sampled_from(["", "one", "two"]),
)


def finding(rule: str = "env-readable", severity: str = "high", target: str = "/srv/.env", **more: str) -> Finding:
    return Finding(rule, severity, target, "m", "r", scope="/srv", **more)  # type: ignore[arg-type]


def verdict(found: list[Finding], before: Baseline | Remembered, fail_on: str = "high", **more: object) -> Judgement:
    waivers = parse_waivers(more.pop("waivers", []))  # type: ignore[arg-type]
    before = before if isinstance(before, Remembered) else Remembered(before)
    return judge_findings(found, before, waivers, fail_on, KEY, NOW, ["/srv"], **more)  # type: ignore[arg-type]


@given(st.lists(findings, max_size=8))
def test_the_first_audit_is_green_and_the_same_again_too(found: list[Finding]) -> None:
    first = verdict(found, {}, "low")
    assert not first.failing and not first.count("new") and "/srv" in first.first
    again = verdict(found, first.baseline, "low")
    assert not again.failing and not again.count("new") and not again.first and not again.resolved
    assert again.baseline == first.baseline


@given(st.lists(findings, max_size=6), st.lists(findings, max_size=6), st.sampled_from([*SEVERITIES, "never"]))
def test_only_news_at_or_above_the_threshold_fails(before: list[Finding], after: list[Finding], fail_on: str) -> None:
    first = verdict(before, {})
    second = verdict(after, first.baseline, fail_on)
    known = {fingerprint(KEY, item) for item in before}
    for item in second.failing:
        assert item.status == "new" and fail_on != "never"
        assert SEVERITIES.index(item.severity) >= SEVERITIES.index(fail_on)
    for item in second.findings:
        if item.fingerprint not in known:
            assert item.status == "new"
    gone = known - {fingerprint(KEY, item) for item in after}
    assert len(second.resolved) == len(gone)
    # Told once: the next audit has forgotten it, and its return is news.
    third = verdict(after, second.baseline)
    assert not third.resolved
    assert all(item.status == "new" for item in verdict(before, second.baseline).findings if item.fingerprint in gone)


def test_a_known_finding_that_becomes_more_severe_is_new() -> None:
    first = verdict([finding(severity="medium")], {})
    assert verdict([finding(severity="low")], first.baseline).count("known") == 1
    worse = verdict([finding(severity="critical")], first.baseline)
    assert [item.status for item in worse.failing] == ["new"]
    accepted = verdict([finding(severity="critical")], worse.baseline, update=True)
    assert not accepted.failing
    assert verdict([finding(severity="critical")], accepted.baseline).count("known") == 1


def test_a_new_finding_stays_new_until_it_is_mended_or_accepted() -> None:
    clean = verdict([], {})
    once = verdict([finding()], clean.baseline)
    assert len(once.failing) == 1
    assert len(verdict([finding()], once.baseline).failing) == 1


def test_another_place_has_a_first_audit_of_its_own() -> None:
    first = verdict([finding()], {})
    other = judge_findings(
        [Finding("x", "critical", "/opt/f", "m", "r", scope="/opt")], first.after, [], "low", KEY, NOW, ["/opt"]
    )
    assert other.first == ["/opt"] and not other.failing
    assert not other.resolved, "what was not audited is not resolved"
    assert "/srv" in other.baseline


def test_what_could_not_be_seen_or_was_not_examined_is_not_resolved() -> None:
    first = verdict([finding(target="/srv/closed/.env"), finding(rule="setuid-file", target="/srv/x")], {})
    blind = verdict([], first.baseline, blind=["/srv/closed"], rules=["env-readable"])
    assert blind.resolved == []
    assert {entry.target for entry in verdict([], first.baseline, rules=["setuid-file"]).resolved} == {"/srv/x"}


WAIVER = {"rule": "env-*", "target": "/srv/*", "reason": "ticket 1", "expires": "2026-11-24"}


def test_a_waiver_holds_through_its_last_day_and_then_is_a_finding_itself() -> None:
    clean = verdict([], {})
    waived = verdict([finding()], clean.baseline, waivers=[WAIVER])
    assert waived.count("waived") == 1 and not waived.failing
    late = verdict([finding()], waived.baseline, waivers=[dict(WAIVER, expires="2026-11-23")])
    assert {item.rule: item.status for item in late.findings} == {"env-readable": "new", "waiver-expired": "new"}
    assert [item.rule for item in late.failing] == ["env-readable"]


def test_what_is_waived_at_the_first_audit_is_news_when_the_waiver_ends() -> None:
    first = verdict([finding()], {}, waivers=[WAIVER])
    assert verdict([finding()], first.baseline).failing


def test_a_waiver_by_fingerprint_or_id_covers_just_that() -> None:
    target = verdict([finding()], {}).findings[0]
    for name in (target.fingerprint, target.id):
        result = verdict(
            [finding(), finding(target="/srv/b/.env")],
            verdict([], {}).baseline,
            waivers=[{"fingerprint": name, "reason": "r", "expires": "2030-01-01"}],
        )
        assert {item.target: item.status for item in result.findings} == {"/srv/.env": "waived", "/srv/b/.env": "new"}


@pytest.mark.parametrize(
    "waiver",
    [
        {"reason": "r", "expires": "2030-01-01"},
        {"rule": "x", "reason": " ", "expires": "2030-01-01"},
        {"rule": "x", "reason": "r", "expires": "next year"},
    ],
)
def test_a_waiver_without_name_reason_or_date_is_refused(waiver: dict[str, str]) -> None:
    with pytest.raises(MaintenanceError):
        parse_waivers([waiver])


@given(st.text(), st.text())
def test_a_fingerprint_needs_the_key_and_tells_secrets_apart(one: str, two: str) -> None:
    prints = {fingerprint(KEY, finding(subject=text)) for text in (one, two)}
    assert len(prints) == len({one, two})
    assert fingerprint(b"o" * 32, finding(subject=one)) != fingerprint(KEY, finding(subject=one))


def test_a_finding_never_shows_its_subject() -> None:
    secret = finding(subject="canary-of-a-secret")
    assert "canary" not in repr(secret) + str(secret.as_dict())


@given(st.binary(max_size=40))
def test_any_file_name_is_one_printable_line(name: bytes) -> None:
    shown = printable(os.fsdecode(name))
    assert shown.isprintable()
    shown.encode("utf-8")


# -- against the last audit ---------------------------------------------------------------------------------------------


def test_what_was_new_and_was_mended_is_told_as_fixed_once() -> None:
    red = verdict([finding()], verdict([], {}).after)
    green = verdict([], red.after)
    assert [gone.as_dict()["status"] for gone in green.resolved] == ["fixed"]
    assert green.resolved[0].as_dict()["id"] == red.findings[0].id
    assert not verdict([], green.after).resolved


@given(st.lists(findings, max_size=6), st.lists(findings, max_size=6))
def test_each_finding_of_the_last_audit_is_found_again_or_fixed(before: list[Finding], after: list[Finding]) -> None:
    """Whatever it was then: what stood there is now either among the findings or told as fixed, never neither and never both."""
    waivers = [{"rule": "x", "reason": "r", "expires": "2030-01-01"}]
    last = verdict(before, verdict([], {}).after, waivers=waivers)
    now = verdict(after, last.after)
    stood = {item.fingerprint for item in last.findings}
    found, fixed = {item.fingerprint for item in now.findings}, {gone.fingerprint for gone in now.resolved}
    assert stood - found == fixed and not found & fixed


def test_a_finding_says_since_when_it_is_known_of() -> None:
    clean = verdict([], {})
    red = verdict([finding()], clean.after)
    assert red.findings[0].since == "2026-11-24T03:00:00Z"
    later = judge_findings([finding()], red.after, [], "high", KEY, NOW.replace(day=30), ["/srv"])
    assert (later.findings[0].status, later.findings[0].since) == ("new", "2026-11-24T03:00:00Z")


def test_a_known_finding_that_was_waived_is_news_when_the_waiver_ends() -> None:
    """The waiver was somebody's promise to look at it by then: what nobody promised anything of stays known."""
    first = verdict([finding(), finding(target="/srv/b")], {})
    waived = verdict([finding(), finding(target="/srv/b")], first.after, waivers=[dict(WAIVER, target="/srv/.env")])
    late = verdict([finding(), finding(target="/srv/b")], waived.after)
    assert {item.target: item.status for item in late.findings} == {"/srv/.env": "new", "/srv/b": "known"}


def test_what_a_new_rule_finds_is_told_once_and_fails_nothing() -> None:
    old = verdict([finding()], {}, all_rules=["env-readable"])
    rules = ["env-readable", "setuid-file"]
    found = [finding(), finding(rule="setuid-file", severity="critical")]
    upgraded = verdict(found, old.after, all_rules=rules)
    assert {item.rule: (item.status, item.new_rule) for item in upgraded.findings} == {
        "env-readable": ("known", False),
        "setuid-file": ("new", True),
    }
    assert not upgraded.failing and len(upgraded.by_new_rules) == 1
    again = verdict(found, upgraded.after, all_rules=rules)
    assert again.count("known") == 2 and not again.by_new_rules
    another = verdict([*found, finding(rule="setuid-file", target="/srv/c")], upgraded.after, all_rules=rules)
    assert [item.target for item in another.failing] == ["/srv/c"], "the rule is new once"


def test_rules_that_were_left_out_are_new_when_they_are_asked_for() -> None:
    some = verdict([], {}, all_rules=["env-readable", "setuid-file"], rules=["env-readable"])
    every = verdict([finding(rule="setuid-file")], some.after, all_rules=["env-readable", "setuid-file"])
    assert every.by_new_rules and not every.failing


def test_a_baseline_that_names_no_rules_makes_none_of_them_new() -> None:
    """It was written by an older release: what it does not hold is news as before."""
    old = Remembered(verdict([], {}).baseline)
    assert verdict([finding()], old, all_rules=["env-readable"]).failing


def test_everything_fails_when_that_is_asked_for_but_what_is_waived() -> None:
    first = verdict([finding(), finding(target="/srv/b"), finding(severity="low", target="/srv/c")], {}, fail_for="all")
    assert [item.target for item in first.failing] == ["/srv/.env", "/srv/b"]
    again = verdict(
        [finding(), finding(target="/srv/b")], first.after, fail_for="all", waivers=[dict(WAIVER, target="/srv/b")]
    )
    assert [item.target for item in again.failing] == ["/srv/.env"]
    assert not verdict([finding()], first.after, "never", fail_for="all").failing


def test_findings_stand_in_the_order_of_the_guide_within_a_severity() -> None:
    rules = ["port-x", "hard-coded-secret", "world-writable-directory", "env-readable"]
    found = [*(finding(rule=rule) for rule in rules), finding(rule="z", severity="critical")]
    ordered = [item.rule for item in verdict(found, {}).findings]
    assert ordered == ["z", "env-readable", "world-writable-directory", "hard-coded-secret", "port-x"]
    assert sorted(found, key=urgency)[0].rule == "z"


def test_an_expired_waiver_is_told_by_the_audit_whose_rules_it_names() -> None:
    late = [dict(WAIVER, expires="2026-11-01")]
    assert [item.rule for item in verdict([], {}, waivers=late, all_rules=["env-readable"]).findings] == [
        "waiver-expired"
    ]
    assert verdict([], {}, waivers=late, all_rules=["port-x"]).findings == []
    gone = [{"fingerprint": "env-readable-12345678", "reason": "r", "expires": "2026-11-01"}]
    assert verdict([], {}, waivers=gone, all_rules=["env-readable"]).findings == [], "what it covered is gone"


# -- on disk ----------------------------------------------------------------------------------------------------------


def keep(directory: Path, baseline: Baseline, audit: str = "a", **more: Any) -> Memory:
    """What an audit does at its end; returns what it knew at its beginning."""
    state = AuditState(str(directory))
    memory = state.read(audit)
    state.write(Writes(memory, Remembered(baseline, **more)))
    return memory


def test_the_key_is_made_once_and_closed_to_others(tmp_path: Path) -> None:
    made = keep(tmp_path / "state", {})
    assert made.key_is_new
    again = AuditState(str(tmp_path / "state")).read("b")
    assert again.key == made.key and not again.key_is_new
    assert stat.S_IMODE(os.stat(made.key_path).st_mode) == 0o600
    assert sorted(os.listdir(tmp_path / "state")) == ["audit.key", "baselines"]


def test_reading_makes_nothing(tmp_path: Path) -> None:
    memory = AuditState(str(tmp_path / "state")).read("perm_audit", str(tmp_path / "log.sarif"))
    assert memory.key_is_new and len(memory.key) == 32 and list(tmp_path.iterdir()) == []


def test_of_two_first_audits_at_once_the_second_is_told_and_spoils_nothing(tmp_path: Path) -> None:
    state = AuditState(str(tmp_path))
    slow = state.read("a")
    quick = keep(tmp_path, {"/srv": {}}, "b")
    with pytest.raises(MaintenanceError, match="at the same moment"):
        state.write(Writes(slow, Remembered({"/srv": {}})))
    assert state.read("b").key == quick.key and sorted(os.listdir(tmp_path / "baselines")) == ["b.json"]
    assert sorted(os.listdir(tmp_path)) == ["audit.key", "baselines"]


def test_the_baseline_survives_a_round_trip_and_holds_no_secret(tmp_path: Path) -> None:
    baseline = verdict([finding(subject="canary-secret")], {}).baseline
    assert keep(tmp_path, baseline).baseline == {}
    memory = AuditState(str(tmp_path)).read("a")
    assert memory.baseline == baseline and not memory.other_key
    path = Path(memory.baseline_path)
    assert "canary" not in path.read_text() and stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.stat().st_ino
    keep(tmp_path, baseline)
    assert path.stat().st_ino == before, "an unchanged baseline is not written again"


def test_a_lost_key_begins_anew_and_says_so(tmp_path: Path) -> None:
    memory = keep(tmp_path, verdict([finding()], {}).baseline)
    os.unlink(memory.key_path)
    anew = AuditState(str(tmp_path)).read("a")
    assert anew.baseline == {} and anew.other_key and anew.key_is_new


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"version": 9, "scopes": {}}', '{"version": 1, "scopes": {"/": {"f": {}}}}']
)
def test_a_damaged_baseline_is_never_guessed_at(tmp_path: Path, text: str) -> None:
    state = AuditState(str(tmp_path))
    os.mkdir(tmp_path / "baselines")
    Path(state.baseline_path("a")).write_text(text)
    with pytest.raises(MaintenanceError, match="cannot be understood"):
        state.read("a")


def test_a_damaged_key_is_told(tmp_path: Path) -> None:
    (tmp_path / "audit.key").write_bytes(b"short")
    with pytest.raises(MaintenanceError, match="damaged"):
        AuditState(str(tmp_path)).read("a")


def test_what_shows_a_memory_does_not_show_its_key(tmp_path: Path) -> None:
    memory = AuditState(str(tmp_path)).read("a")
    assert repr(memory.key)[2:-1] not in repr(Writes(memory, Remembered()))


def test_the_baseline_file_is_json_that_a_person_can_read(tmp_path: Path) -> None:
    memory = keep(tmp_path, verdict([finding()], {}).baseline)
    found = json.loads(Path(memory.baseline_path).read_text())
    assert next(iter(found["scopes"]["/srv"].values()))["target"] == "/srv/.env"


def test_what_is_open_and_which_rules_there_were_survive_a_round_trip(tmp_path: Path) -> None:
    after = verdict([finding()], verdict([], {}).after, all_rules=["env-readable"]).after
    keep(tmp_path, dict(after.baseline), open=after.open, rules=after.rules)
    assert AuditState(str(tmp_path)).read("a").remembered == after
