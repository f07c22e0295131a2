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
    Baseline,
    Finding,
    Judgement,
    fingerprint,
    judge_findings,
    parse_waivers,
    printable,
)

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


def verdict(found: list[Finding], baseline: Baseline, fail_on: str = "high", **more: object) -> Judgement:
    waivers = parse_waivers(more.pop("waivers", []))  # type: ignore[arg-type]
    return judge_findings(found, baseline, waivers, fail_on, KEY, NOW, ["/srv"], **more)  # type: ignore[arg-type]


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
        [Finding("x", "critical", "/opt/f", "m", "r", scope="/opt")], first.baseline, [], "low", KEY, NOW, ["/opt"]
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


# -- on disk ----------------------------------------------------------------------------------------------------------


def keep(directory: Path, baseline: Baseline, audit: str = "a") -> Memory:
    """What an audit does at its end; returns what it knew at its beginning."""
    state = AuditState(str(directory))
    memory = state.read(audit)
    state.write(Writes(memory, baseline))
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
        state.write(Writes(slow, {"/srv": {}}))
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
    assert repr(memory.key)[2:-1] not in repr(Writes(memory, {}))


def test_the_baseline_file_is_json_that_a_person_can_read(tmp_path: Path) -> None:
    memory = keep(tmp_path, verdict([finding()], {}).baseline)
    found = json.loads(Path(memory.baseline_path).read_text())
    assert next(iter(found["scopes"]["/srv"].values()))["target"] == "/srv/.env"
