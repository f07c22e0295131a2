# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup import catalogue, pruning
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.retention import Policy
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Plan

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc)
SHOP = Policy(daily=14, weekly=12, monthly=12)


def plan_rotation(
    found: catalogue.Catalogue, policy: pruning.RotationPolicy, now: datetime, relied_on: tuple[str, ...] = ()
) -> Plan[pruning.RotationWork]:
    return pruning.plan_rotation(pruning.RotationObservation(found, relied_on), policy, now)


def backup(hours: float, verified: bool = False, database: str = "shop") -> catalogue.Backup:
    moment = NOW - timedelta(hours=hours)
    text = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    record = catalogue.VerificationRecord(10, 1, "00", text, text, database) if verified else None
    name = catalogue.backup_name(moment)
    return catalogue.Backup(name, "/b/" + name, moment.astimezone().replace(tzinfo=None), 10, 1, 1, False, record)


def directory(*backups: catalogue.Backup) -> catalogue.Catalogue:
    return catalogue.Catalogue("/b", sorted(backups, key=lambda entry: entry.name))


def dailies(count: int, verified_hours: float | None = None) -> catalogue.Catalogue:
    found = [backup(10 + 24 * day) for day in range(count)]
    if verified_hours is not None:
        found = [backup(34 + 24 * day) for day in range(count)]
    if verified_hours is not None:
        found.append(backup(verified_hours, verified=True))
    return directory(*found)


def removed(catalogue_: catalogue.Catalogue, policy: pruning.RotationPolicy) -> list[str]:
    return [action.target for action in plan_rotation(catalogue_, policy, NOW).actions]


def test_what_goes_frees_its_size_and_says_why() -> None:
    policy = pruning.RotationPolicy(SHOP, 48 * 3600, "48h")
    plan = plan_rotation(dailies(400, 9), policy, NOW)
    assert pruning.blocking_findings(plan, policy) == []
    assert len(plan.actions) + len(plan.kept) == 401
    assert plan.bytes == 10 * len(plan.actions)
    assert [action.target for action in plan.actions] == sorted(action.target for action in plan.actions)
    assert all(action.reason and not action.assumes for action in plan.actions)
    assert all(kept.reason for kept in plan.kept)


@pytest.mark.parametrize("verified_hours", [None, 49])
def test_without_a_recent_verified_backup_nothing_goes(verified_hours: float | None) -> None:
    with pytest.raises(MaintenanceError, match="without a verified one younger than 48h"):
        removed(dailies(400, verified_hours), pruning.RotationPolicy(SHOP, 48 * 3600, "48h"))


def test_no_verified_backup_is_needed_when_nothing_goes_or_none_is_asked_for() -> None:
    assert removed(dailies(5), pruning.RotationPolicy(SHOP, 48 * 3600, "48h")) == []
    assert removed(dailies(400), pruning.RotationPolicy(Policy(), 48 * 3600, "48h")) == []
    assert len(removed(dailies(400), pruning.RotationPolicy(SHOP))) > 300


def test_check_mode_may_assume_the_backup_before_it() -> None:
    policy = pruning.RotationPolicy(SHOP, 48 * 3600, "48h", assume_verified=True)
    plan = plan_rotation(dailies(400), policy, NOW)
    assert plan.actions
    assert all(action.assumes == pruning.ASSUMPTION for action in plan.actions)
    assert not any("assumed" in kept.target or "(" in kept.target for kept in plan.kept)
    # What is planned is what a real run with that backup would do, and then it rests on the assumption no more.
    real = directory(*dailies(400).backups, backup(0.001, verified=True))
    assert removed(real, pruning.RotationPolicy(SHOP, 48 * 3600, "48h")) == [action.target for action in plan.actions]


def test_a_backup_that_would_be_reused_is_not_counted_twice() -> None:
    found = dailies(400, 9)
    assumed = removed(found, pruning.RotationPolicy(SHOP, 48 * 3600, "48h", assume_verified=True))
    assert assumed == removed(found, pruning.RotationPolicy(SHOP, 48 * 3600, "48h"))


def test_the_cap_fails_before_anything_and_shows_the_whole_plan() -> None:
    found, policy = dailies(400, 9), pruning.RotationPolicy(SHOP)
    planned = plan_rotation(found, policy, NOW)
    with pytest.raises(MaintenanceError, match=r"more than max_delete \(10\)") as caught:
        plan_rotation(found, replace(policy, max_delete=10), NOW)
    assert caught.value.details["plan"] == planned.as_dict()["plan"]
    assert all(entry["bytes"] == 10 for entry in caught.value.details["plan"])
    assert caught.value.details["kept"] == planned.as_dict()["kept"] != []
    assert removed(dailies(5, 9), replace(policy, max_delete=0)) == []
    with pytest.raises(MaintenanceError, match=r"more than max_delete \(0\)"):
        removed(found, replace(policy, max_delete=0))
    assert removed(found, replace(policy, max_delete=len(planned.actions)))


def test_the_cap_counts_backups_and_not_records() -> None:
    found = dailies(3, 9)
    found.orphan_sidecars += ["/b/.20200101_000000.tar.gz.verified.json", "/b/.20200102_000000.tar.gz.verified.json"]
    assert len(removed(found, pruning.RotationPolicy(SHOP, max_delete=0))) == 2


def test_a_job_of_the_shop_blocks_everything_and_is_a_finding() -> None:
    jobs = ("cron: rotate_backups.sh", "timer: tidy.timer")
    policy = pruning.RotationPolicy(SHOP, 48 * 3600, "48h", blocked_by=jobs)
    plan = plan_rotation(dailies(400, 9), policy, NOW)
    assert plan.actions == []
    assert len(plan.kept) == 401
    findings = pruning.blocking_findings(plan, policy)
    assert [finding.target for finding in findings] == list(jobs)
    assert {finding.status for finding in findings} == {"known"}, "the same jobs are no news every week"
    assert pruning.kept_back(plan) == sum("is active; else:" in kept.reason for kept in plan.kept) > 300
    assert plan.warnings
    # Each is known by a fingerprint and an id of its own, the same each time.
    assert len({finding.fingerprint for finding in findings}) == len({finding.id for finding in findings}) == 2
    assert all(len(finding.fingerprint) == 32 for finding in findings)
    assert findings == pruning.blocking_findings(plan, policy)
    # Where nothing would go anyway nothing is wrong.
    assert pruning.blocking_findings(plan_rotation(dailies(3, 9), policy, NOW), policy) == []


def test_records_without_a_backup_go_too_but_not_with_an_empty_policy() -> None:
    found = dailies(3, 9)
    found.orphan_sidecars.append("/b/.20200101_000000.tar.gz.verified.json")
    assert removed(found, pruning.RotationPolicy(SHOP)) == ["/b/.20200101_000000.tar.gz.verified.json"]
    assert removed(found, pruning.RotationPolicy(Policy())) == []


def test_the_newest_verified_backup_always_stays() -> None:
    reached: Counter[str] = Counter()

    @settings(max_examples=500, deadline=None)
    @given(
        st.lists(
            st.tuples(st.integers(-50, 400) | st.integers(-500, 20000), st.sampled_from([False, False, True])),
            max_size=30,
            unique_by=lambda pair: pair[0],
        ),
        st.builds(Policy, st.integers(0, 3), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)),
        st.sampled_from([None, None, 0, 3, 30]),
        st.sampled_from([False, False, True]),
        st.sampled_from([0.5, 47.5, 60.5, None]),
    )
    def check(
        hours: list[tuple[int, bool]], keep: Policy, max_delete: int | None, assume: bool, sure: float | None
    ) -> None:
        found = directory(*(backup(hour, verified) for hour, verified in [*hours, *([(sure, True)] if sure else [])]))
        policy = pruning.RotationPolicy(keep, 48 * 3600, "48h", assume, max_delete)
        newest = found.newest_verified(NOW)
        recent = newest is not None and newest.age_seconds(NOW) <= 48 * 3600
        try:
            plan = plan_rotation(found, policy, NOW)
        except MaintenanceError as error:
            reached["refused by the cap" if "max_delete" in str(error) else "refused for want of a verified one"] += 1
            assert "max_delete" in str(error) or not (recent or assume)
            return
        targets = [action.target for action in plan.actions]
        assert newest is None or newest.path not in targets
        assert len(targets) + len(plan.kept) == len(found.backups)
        assert max_delete is None or len(targets) <= max_delete
        if keep.empty:
            assert not targets
        if targets and not assume:
            reached["removed on the account of a recent verified one"] += 1
            assert recent
        elif targets:
            reached["removed on an assumption"] += 1
        ages = {entry.path: entry.age_seconds(NOW) for entry in found.backups}
        for action in plan.actions:
            assert isinstance(action.work, pruning.RemoveBackup)
            assert ages[action.target] >= 0
            assert action.work.relies_on == (newest.id if newest is not None else None)

    check()
    assert len(reached) == 4 and min(reached.values()) >= 3, reached


def test_another_database_proves_nothing_and_takes_no_turn() -> None:
    policy = pruning.RotationPolicy(Policy(daily=2), 48 * 3600, "48h", database="shop")
    ours = [backup(34 + 24 * day) for day in range(4)]
    theirs = [backup(9, True, "other"), *(backup(33.5 + 24 * day, True, "other") for day in range(4))]
    with pytest.raises(MaintenanceError, match="without a verified one younger than 48h: there is none"):
        removed(directory(*ours, *theirs), policy)
    mine = backup(10, True)
    plan = plan_rotation(directory(*ours, *theirs, mine), policy, NOW)
    assert {action.target for action in plan.actions} == {entry.path for entry in ours[1:]}
    told = {kept.target: kept.reason for kept in plan.kept}
    assert all(told[entry.path] == "of another database: other" for entry in theirs)
    assert set(told) == {entry.path for entry in [*theirs, mine, ours[0]]}


def test_what_lies_beside_changes_nothing() -> None:
    """A directory that is shared is rotated as if only the one database's backups lay there."""
    reached: Counter[str] = Counter()

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 2000), st.sampled_from(["", "shop", "other"])), max_size=30, unique=True))
    def check(made: list[tuple[int, str]]) -> None:
        found = [backup(hours, bool(name), name) for hours, name in made]
        alone = [entry for entry in found if entry.verification is None or entry.verification.database == "shop"]
        policy = pruning.RotationPolicy(Policy(daily=3, weekly=2), database="shop")
        going = removed(directory(*alone), policy)
        assert removed(directory(*found), policy) == going
        reached["something goes beside others"] += bool(going) and len(alone) < len(found)

    check()
    assert min(reached.values()) >= 10, reached


def test_without_a_database_the_backups_of_several_are_no_one_series() -> None:
    both = directory(*(backup(10 + day * 24, True, name) for day in range(40) for name in ("shop_a", "shop_b")))
    with pytest.raises(MaintenanceError, match="several databases: shop_a, shop_b"):
        plan_rotation(both, pruning.RotationPolicy(SHOP, 48 * 3600, "48h"), NOW)
    assert removed(both, pruning.RotationPolicy(Policy(), 48 * 3600, "48h")) == []
    assert removed(both, pruning.RotationPolicy(SHOP, 48 * 3600, "48h", database="shop_a"))
    unknown = directory(*(backup(10 + day * 24, day == 0, "shop_a") for day in range(40)))
    assert removed(unknown, pruning.RotationPolicy(SHOP, 48 * 3600, "48h"))


@pytest.mark.parametrize("stale", [False, True])
def test_one_that_does_not_count_any_more_is_still_of_its_database(stale: bool) -> None:
    fine = backup(9, verified=True)
    text = "2026-11-20T00:00:00Z"
    record = catalogue.VerificationRecord(10, 1, "00", text, text, "boutique", restore_failed="" if stale else text)
    other = replace(backup(24 * 100), stale=stale, record=record)
    plan = plan_rotation(
        directory(fine, other), pruning.RotationPolicy(Policy(last=1), 48 * 3600, "48h", database="shop"), NOW
    )
    assert plan.actions == []
    assert other.restore_failed == ("" if stale else text)
    assert {kept.target: kept.reason for kept in plan.kept}[other.path] == "of another database: boutique"


def test_what_this_run_has_relied_on_stays() -> None:
    found = directory(*(backup(10 + 24 * day, True) for day in range(5)))
    policy = pruning.RotationPolicy(Policy(last=1), 48 * 3600, "48h")
    relied_on = found.backups[1].name
    plan = plan_rotation(found, policy, NOW, (relied_on,))
    assert "/b/" + relied_on not in [action.target for action in plan.actions]
    assert len(plan.actions) == 3
    assert {kept.target: kept.reason for kept in plan.kept}["/b/" + relied_on] == "this run has relied on it"
    assert len(removed(found, policy)) == 4


def test_the_newest_backup_that_a_restore_has_proven_stays() -> None:
    """Newer ones were read back; of this one it is known that the shop comes back."""
    proven, older = (
        replace(one, verification=replace(one.verification, restore_tested="2026-11-24T03:00:00Z"))
        for one in (backup(200, verified=True), backup(300, verified=True))
        if one.verification is not None
    )
    found = directory(older, proven, backup(100, verified=True), backup(2, verified=True))
    plan = plan_rotation(found, pruning.RotationPolicy(Policy(last=1)), NOW)
    assert {action.target for action in plan.actions} == {older.path, found.backups[2].path}
    assert {kept.target: kept.reason for kept in plan.kept}[proven.path] == (
        "the newest backup that a restore has proven"
    )


def test_a_file_that_cannot_be_a_backup_costs_no_other_its_place() -> None:
    junk = [replace(backup(1 + 24 * day), problem="empty") for day in range(3)]
    found = directory(*(backup(10 + 24 * day) for day in range(5)), backup(200, True), *junk)
    plan = plan_rotation(found, pruning.RotationPolicy(Policy(daily=3)), NOW)
    stays = {kept.target for kept in plan.kept}
    assert stays == {backup(hours).path for hours in (10, 34, 58, 200)} | {entry.path for entry in junk}
    assert len(plan.warnings) == 3 and all("does not count as a backup (empty)" in text for text in plan.warnings)


def test_a_complete_backup_does_not_go_for_one_without_uploads() -> None:
    def holding(hours: float, *components: str) -> catalogue.Backup:
        entry = backup(hours, True)
        assert entry.verification is not None
        return replace(entry, verification=replace(entry.verification, components=components))

    complete, later = holding(30, "uploads", ".env"), holding(26, ".env")
    assert complete.date.date() == later.date.date()
    found = directory(complete, later, holding(5, "uploads", ".env"))
    assert removed(found, pruning.RotationPolicy(Policy(daily=7), 48 * 3600, "48h")) == [later.path]
