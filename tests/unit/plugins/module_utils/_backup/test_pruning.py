# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup import catalogue, pruning
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.retention import Policy
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc)
SHOP = Policy(daily=14, weekly=12, monthly=12)


def backup(hours: float, verified: bool = False, database: str = "shop") -> catalogue.Backup:
    moment = NOW - timedelta(hours=hours)
    text = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    record = catalogue.Verification(10, 1, "00", text, text, database) if verified else None
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


def removed(catalogue_: catalogue.Catalogue, wishes: pruning.Wishes) -> list[str]:
    plan, _findings = pruning.plan_prune(catalogue_, wishes, NOW)
    return [action.target for action in plan.actions]


def test_what_goes_frees_its_size_and_says_why() -> None:
    plan, findings = pruning.plan_prune(dailies(400, 9), pruning.Wishes(SHOP, 48 * 3600, "48h"), NOW)
    assert findings == []
    assert len(plan.actions) + len(plan.kept) == 401
    assert plan.bytes == 10 * len(plan.actions)
    assert [action.target for action in plan.actions] == sorted(action.target for action in plan.actions)
    assert all(action.reason and not action.assumes for action in plan.actions)
    assert all(kept.reason for kept in plan.kept)


@pytest.mark.parametrize("verified_hours", [None, 49])
def test_without_a_recent_verified_backup_nothing_goes(verified_hours: float | None) -> None:
    with pytest.raises(MaintenanceError, match="without a verified one younger than 48h"):
        removed(dailies(400, verified_hours), pruning.Wishes(SHOP, 48 * 3600, "48h"))


def test_no_verified_backup_is_needed_when_nothing_goes_or_none_is_asked_for() -> None:
    assert removed(dailies(5), pruning.Wishes(SHOP, 48 * 3600, "48h")) == []
    assert removed(dailies(400), pruning.Wishes(Policy(), 48 * 3600, "48h")) == []
    assert len(removed(dailies(400), pruning.Wishes(SHOP))) > 300


def test_check_mode_may_assume_the_backup_before_it() -> None:
    wishes = pruning.Wishes(SHOP, 48 * 3600, "48h", assume_verified=True)
    plan, _findings = pruning.plan_prune(dailies(400), wishes, NOW)
    assert plan.actions
    assert all(action.assumes == pruning.ASSUMPTION for action in plan.actions)
    assert not any("assumed" in kept.target or "(" in kept.target for kept in plan.kept)
    # What is planned is what a real run with that backup would do, and then it rests on the assumption no more.
    real = directory(*dailies(400).backups, backup(0.001, verified=True))
    assert removed(real, pruning.Wishes(SHOP, 48 * 3600, "48h")) == [action.target for action in plan.actions]


def test_a_backup_that_would_be_reused_is_not_counted_twice() -> None:
    found = dailies(400, 9)
    assumed = removed(found, pruning.Wishes(SHOP, 48 * 3600, "48h", assume_verified=True))
    assert assumed == removed(found, pruning.Wishes(SHOP, 48 * 3600, "48h"))


def test_the_cap_fails_before_anything() -> None:
    with pytest.raises(MaintenanceError, match=r"more than max_delete \(10\)") as caught:
        removed(dailies(400, 9), pruning.Wishes(SHOP, 0, "0", max_delete=10))
    assert len(caught.value.details["plan"]) > 300
    assert removed(dailies(5, 9), pruning.Wishes(SHOP, 0, "0", max_delete=0)) == []


def test_a_job_of_the_shop_blocks_everything_and_is_a_finding() -> None:
    wishes = pruning.Wishes(SHOP, 48 * 3600, "48h", blocked_by=("cron: rotate_backups.sh",))
    plan, findings = pruning.plan_prune(dailies(400, 9), wishes, NOW)
    assert plan.actions == []
    assert len(plan.kept) == 401
    assert [finding.target for finding in findings] == ["cron: rotate_backups.sh"]
    assert plan.warnings
    # Where nothing would go anyway nothing is wrong.
    assert pruning.plan_prune(dailies(3, 9), wishes, NOW)[1] == []


def test_records_without_a_backup_go_too_but_not_with_an_empty_policy() -> None:
    found = dailies(3, 9)
    found.orphan_sidecars.append("/b/.20200101_000000.tar.gz.verified.json")
    assert removed(found, pruning.Wishes(SHOP)) == ["/b/.20200101_000000.tar.gz.verified.json"]
    assert removed(found, pruning.Wishes(Policy())) == []


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-500, 20000), st.booleans()), max_size=40, unique_by=lambda pair: pair[0]),
    st.builds(Policy, st.integers(0, 3), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)),
    st.integers(0, 3) | st.none(),
    st.booleans(),
)
def test_the_newest_verified_backup_always_stays(
    hours: list[tuple[int, bool]], policy: Policy, max_delete: int | None, assume: bool
) -> None:
    found = directory(*(backup(hour, verified) for hour, verified in hours))
    wishes = pruning.Wishes(policy, 48 * 3600, "48h", assume, max_delete)
    try:
        plan, _findings = pruning.plan_prune(found, wishes, NOW)
    except MaintenanceError:
        return
    targets = [action.target for action in plan.actions]
    newest = found.newest_verified()
    assert newest is None or newest.path not in targets
    assert len(targets) + len(plan.kept) == len(found.backups)
    assert max_delete is None or len(targets) <= max_delete
    if policy.empty:
        assert not targets
    if targets and not assume:
        assert newest is not None
        assert newest.age_seconds(NOW) <= 48 * 3600
    for action in plan.actions:
        assert action.data["backup"].age_seconds(NOW) >= 0 or action.data["backup"].verified


def test_another_database_proves_nothing_and_takes_no_turn() -> None:
    wishes = pruning.Wishes(Policy(daily=2), 48 * 3600, "48h", database="shop")
    ours = [backup(34 + 24 * day) for day in range(4)]
    theirs = [backup(9, True, "other"), *(backup(33.5 + 24 * day, True, "other") for day in range(4))]
    with pytest.raises(MaintenanceError, match="without a verified one younger than 48h: there is none"):
        removed(directory(*ours, *theirs), wishes)
    mine = backup(10, True)
    plan, _findings = pruning.plan_prune(directory(*ours, *theirs, mine), wishes, NOW)
    assert {action.target for action in plan.actions} == {entry.path for entry in ours[1:]}
    told = {kept.target: kept.reason for kept in plan.kept}
    assert all(told[entry.path] == "of another database: other" for entry in theirs)
    assert set(told) == {entry.path for entry in [*theirs, mine, ours[0]]}


@given(st.lists(st.tuples(st.integers(0, 2000), st.sampled_from(["", "shop", "other"])), max_size=30, unique=True))
def test_what_lies_beside_changes_nothing(made: list[tuple[int, str]]) -> None:
    """A directory that is shared is rotated as if only the one database's backups lay there."""
    found = [backup(hours, bool(name), name) for hours, name in made]
    alone = [entry for entry in found if entry.verification is None or entry.verification.database == "shop"]
    wishes = pruning.Wishes(Policy(daily=3, weekly=2), database="shop")
    assert removed(directory(*found), wishes) == removed(directory(*alone), wishes)


def test_without_a_database_the_backups_of_several_are_no_one_series() -> None:
    both = directory(*(backup(10 + day * 24, True, name) for day in range(40) for name in ("shop_a", "shop_b")))
    with pytest.raises(MaintenanceError, match="several databases: shop_a, shop_b"):
        pruning.plan_prune(both, pruning.Wishes(SHOP, 48 * 3600, "48h"), NOW)
    assert removed(both, pruning.Wishes(Policy(), 48 * 3600, "48h")) == []
    assert removed(both, pruning.Wishes(SHOP, 48 * 3600, "48h", database="shop_a"))
    unknown = directory(*(backup(10 + day * 24, day == 0, "shop_a") for day in range(40)))
    assert removed(unknown, pruning.Wishes(SHOP, 48 * 3600, "48h"))


@pytest.mark.parametrize("stale", [False, True])
def test_one_that_does_not_count_any_more_is_still_of_its_database(stale: bool) -> None:
    fine = backup(9, verified=True)
    text = "2026-11-20T00:00:00Z"
    record = catalogue.Verification(10, 1, "00", text, text, "boutique", restore_failed="" if stale else text)
    other = replace(backup(24 * 100), stale=stale, record=record)
    plan, _findings = pruning.plan_prune(
        directory(fine, other), pruning.Wishes(Policy(last=1), 48 * 3600, "48h", database="shop"), NOW
    )
    assert plan.actions == []
    assert other.restore_failed == ("" if stale else text)
    assert {kept.target: kept.reason for kept in plan.kept}[other.path] == "of another database: boutique"
