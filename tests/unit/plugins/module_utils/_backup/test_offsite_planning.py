# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.catalogue import (
    Backup,
    Catalogue,
    VerificationRecord,
    backup_name,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.offsite_copies import (
    OffsiteCopy,
    OffsiteLeftover,
    OffsiteListing,
    copy_of,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.offsite_identity import HostIdentity
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.offsite_planning import (
    AdoptCopies,
    AssumedCopy,
    CopyBackup,
    FetchCopy,
    OffsiteObservation,
    OffsitePolicy,
    OffsiteWork,
    RemoveCopy,
    plan_copying,
    plan_fetching,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.retention import Policy
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import (
    InsufficientSpace,
    MaintenanceError,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Plan
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan_json import from_json, to_json

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)
ME = OffsitePolicy(owner="me")


def record(day: int, database: str = "miniecom", **more: object) -> VerificationRecord:
    started = (NOW - timedelta(days=day)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return VerificationRecord(100, day, f"sha-{day}", started, started, database, **more)  # type: ignore[arg-type]


def here(day: int, encrypted: bool = True, verified: bool = True, database: str = "miniecom") -> Backup:
    moment = NOW - timedelta(days=day)
    name = backup_name(moment, encrypted)
    found = record(day, database) if verified else None
    local = moment.astimezone().replace(tzinfo=None)
    return Backup(name, f"/backups/{name}", local, 100, day, day, encrypted, found, record=found)


def there(day: int, owner: str = "me", **more: Any) -> OffsiteCopy:
    return replace(copy_of(here(day).name, record(day), owner, record(day).started, "read back"), **more)


def world(local: list[Backup], copies: list[OffsiteCopy], **more: object) -> OffsiteObservation:
    catalogue = Catalogue("/backups", sorted(local, key=lambda backup: backup.date))
    listing = OffsiteListing(copies=sorted(copies, key=lambda copy: copy.date), **more)  # type: ignore[arg-type]
    return OffsiteObservation(catalogue, listing)


def sent(plan: Plan[OffsiteWork]) -> list[str]:
    return [action.target for action in plan.actions if isinstance(action.work, CopyBackup)]


def removed(plan: Plan[OffsiteWork]) -> list[str]:
    return [action.target for action in plan.actions if isinstance(action.work, RemoveCopy)]


def test_what_is_missing_is_sent_the_newest_first_and_without_rules_nothing_goes() -> None:
    plan = plan_copying(world([here(day) for day in range(4)], [there(2), there(30)]), ME, "vault", NOW)
    assert sent(plan) == [here(day).path for day in (0, 1, 3)]
    assert not removed(plan)


def test_a_backup_that_the_place_would_not_keep_is_not_sent() -> None:
    policy = replace(ME, keep=Policy(last=2))
    plan = plan_copying(world([here(day) for day in range(4)], [there(2), there(3)]), policy, "vault", NOW)
    assert sent(plan) == [here(0).path, here(1).path]
    assert removed(plan) == [here(3).name, here(2).name]
    relied = {action.work.relies_on.name for action in plan.actions if isinstance(action.work, RemoveCopy)}
    assert relied == {here(0).name}, "nothing goes before the newest one is there"


def test_only_verified_backups_are_sent_and_without_one_it_fails() -> None:
    assert sent(plan_copying(world([here(0, verified=False), here(1)], []), ME, "vault", NOW)) == [here(1).path]
    with pytest.raises(MaintenanceError, match="no verified backup"):
        plan_copying(world([here(0, verified=False)], [there(5)]), ME, "vault", NOW)


@pytest.mark.parametrize(
    ("policy", "fails"),
    [
        (ME, True),
        (replace(ME, allow_unencrypted=True), False),
        (replace(ME, encrypts=True), False),
    ],
)
def test_what_is_not_encrypted_is_refused(policy: OffsitePolicy, fails: bool) -> None:
    plain = world([here(0, encrypted=False), here(1)], [])
    if fails:
        with pytest.raises(MaintenanceError, match="not encrypted"):
            plan_copying(plain, policy, "vault", NOW)
    else:
        assert len(sent(plan_copying(plain, policy, "vault", NOW))) == 2
    # An old one from the time before encryption is left out, and the others go.
    plan = plan_copying(world([here(0), here(1, encrypted=False)], []), policy, "vault", NOW)
    assert len(sent(plan)) == (1 if fails else 2)


def test_copies_of_other_hosts_and_databases_are_neither_counted_nor_removed() -> None:
    policy = replace(ME, keep=Policy(last=1), database="miniecom")
    others = [there(9, "other"), there(8, database="shop2")]
    plan = plan_copying(world([here(0)], [*others, there(1)]), policy, "vault", NOW)
    assert removed(plan) == [here(1).name]


def test_copies_of_another_host_of_this_name_are_neither_counted_nor_removed() -> None:
    """Two shops set up from one image, each with its own rules: the newer backups of one are no reason to remove the other's."""
    policy = replace(ME, keep=Policy(last=1))
    copies = [there(0, host="namesake"), there(5, host="namesake"), there(6, host="mine"), there(7)]
    mine = HostIdentity("mine")
    observation = replace(world([here(1)], copies), identity=mine)
    plan = plan_copying(observation, policy, "vault", NOW)
    assert sent(plan) == [here(1).path], "what is newer there is not of this host"
    assert removed(plan) == [here(7).name, here(6).name]
    [warning] = plan.warnings
    assert "2 copies" in warning and "backup_offsite_adopt=true" in warning
    # A host that has copied nothing yet owns nothing there but what tells of no host.
    first = plan_copying(replace(observation, identity=HostIdentity()), policy, "vault", NOW)
    assert removed(first) == [here(7).name]
    # Taken over they are one series.
    adopting = plan_copying(observation, replace(policy, adopt=True), "vault", NOW)
    assert not sent(adopting) and not adopting.warnings
    assert removed(adopting) == [here(day).name for day in (7, 6, 5)]
    [work] = [action.work for action in adopting.actions if isinstance(action.work, AdoptCopies)]
    assert work.hosts == ("namesake",)
    adopted = replace(observation, identity=HostIdentity("mine", ("namesake",)))
    plan = plan_copying(adopted, policy, "vault", NOW)
    assert removed(plan) == [here(day).name for day in (7, 6, 5)] and not plan.warnings


def test_the_same_archive_under_another_host_of_this_name_is_not_sent_again_and_another_one_is_left_alone() -> None:
    mine = HostIdentity("mine")
    same = replace(world([here(0)], [there(0, host="namesake")]), identity=mine)
    assert not sent(plan_copying(same, ME, "vault", NOW))
    other = replace(world([here(0)], [there(0, host="namesake", sha256="changed")]), identity=mine)
    plan = plan_copying(other, ME, "vault", NOW)
    assert not sent(plan) and any("another host of this name has its name" in warning for warning in plan.warnings)
    broken = replace(world([here(0)], [], broken=[(there(0, host="namesake"), "its archive is gone")]), identity=mine)
    assert not sent(plan_copying(broken, ME, "vault", NOW))


def test_the_newest_copy_of_a_name_that_two_hosts_have_is_not_guessed() -> None:
    """What is brought back is restored: it must not be the other shop's."""
    copies = [there(0, host="namesake"), there(1, host="mine", adopted=("former",)), there(2, host="former")]
    both = world([], copies)
    with pytest.raises(MaintenanceError, match="several hosts of the name me"):
        plan_fetching(both, replace(ME, owner=""), "vault", NOW)
    for policy in (replace(ME, name=here(0).name), replace(ME, name=here(2).name)):
        assert len(plan_fetching(both, policy, "vault", NOW).actions) == 1
    # One of them is this host.
    own = plan_fetching(replace(both, identity=HostIdentity("mine", ("former",))), ME, "vault", NOW)
    assert [action.work.copy.name for action in own.actions if isinstance(action.work, FetchCopy)] == [here(1).name]
    # A host in the place of another one that it has taken over is no second one, whoever asks.
    for identity in (HostIdentity(), HostIdentity("new")):
        plan = plan_fetching(replace(world([], copies[1:]), identity=identity), ME, "vault", NOW)
        assert [action.work.copy.name for action in plan.actions if isinstance(action.work, FetchCopy)] == [
            here(1).name
        ]


def test_a_name_that_is_taken_by_another_backup_is_left_alone() -> None:
    for copy in (there(0, "other"), there(0, sha256="changed")):
        plan = plan_copying(world([here(0), here(1)], [copy]), ME, "vault", NOW)
        assert sent(plan) == [here(1).path]
        assert plan.warnings


def test_a_damaged_copy_is_sent_again_where_the_backup_is_still_here() -> None:
    broken = [(there(0), "its archive is gone"), (there(5), "its archive is gone")]
    plan = plan_copying(world([here(0)], [], broken=broken), ME, "vault", NOW)
    assert sent(plan) == [here(0).path] and "damaged" in plan.actions[0].reason
    again, lost = plan.warnings
    assert here(0).name in again and "sent again" in again
    assert here(5).name in lost and "no backup to send" in lost


def test_an_archive_without_a_note_must_prove_to_be_the_same() -> None:
    plan = plan_copying(world([here(0)], [], unnoted={here(0).name: 100}), ME, "vault", NOW)
    [action] = plan.actions
    assert isinstance(action.work, CopyBackup) and action.work.unnoted


def test_caps() -> None:
    plan = plan_copying(world([here(day) for day in range(5)], []), replace(ME, max_copies=2), "vault", NOW)
    assert sent(plan) == [here(0).path, here(1).path]
    policy = replace(ME, keep=Policy(last=1), max_delete=1)
    with pytest.raises(MaintenanceError, match="max_delete"):
        plan_copying(world([here(0)], [there(1), there(2)]), policy, "vault", NOW)


def test_leftovers_go_but_for_that_which_is_sent_again() -> None:
    leftovers = [OffsiteLeftover("x/1", here(0).name, 5), OffsiteLeftover("x/2", here(7).name, 6)]
    plan = plan_copying(world([here(0)], [], leftovers=leftovers), ME, "vault", NOW)
    assert [(action.action, action.bytes) for action in plan.actions[1:]] == [("remove_leftover", 6)]


def test_in_check_mode_the_backup_of_this_run_counts() -> None:
    policy = replace(ME, keep=Policy(last=1), assume_verified=True)
    plan = plan_copying(world([here(1)], [there(1)]), policy, "vault", NOW)
    assert [type(action.work) for action in plan.actions] == [AssumedCopy, RemoveCopy]
    assert plan.actions[0].assumes


def test_several_databases_want_a_name() -> None:
    with pytest.raises(MaintenanceError, match="several databases"):
        plan_copying(world([here(0), here(1, database="b")], []), ME, "vault", NOW)


days = st.integers(0, 500)
policies = st.builds(
    Policy,
    last=st.integers(0, 4),
    daily=st.integers(0, 8),
    weekly=st.integers(0, 6),
    monthly=st.integers(0, 6),
    within=st.sampled_from([0.0, 86400.0 * 3, 86400.0 * 40]),
)
reached: Counter[str] = Counter()


@settings(max_examples=200)
@given(local=st.sets(days, min_size=1, max_size=12), copies=st.sets(days, max_size=12), keep=policies)
def test_after_one_call_there_is_nothing_more_to_do(local: set[int], copies: set[int], keep: Policy) -> None:
    """The copies are never fewer than the rules want, the newest backup is there, and a second call changes nothing."""
    policy = replace(ME, keep=keep)
    observation = world([here(day) for day in local], [there(day) for day in copies])
    plan = plan_copying(observation, policy, "vault", NOW)
    gone = set(removed(plan))
    by_path = {here(day).path: day for day in local}
    after = [there(day) for day in copies if here(day).name not in gone]
    after += [there(by_path[path]) for path in sent(plan)]
    left = {copy.name for copy in after}
    assert max(here(day).name for day in {*local, *copies}) in left
    for action in plan.actions:
        if isinstance(action.work, RemoveCopy):
            assert action.work.relies_on.name in left and action.work.relies_on.name not in gone
    reached["removed"] += bool(gone)
    reached["sent"] += bool(sent(plan))
    again = plan_copying(world([here(day) for day in local], after), policy, "vault", NOW)
    assert not again.actions
    assert from_json(to_json(plan), [CopyBackup, RemoveCopy]) == plan


def test_the_property_was_reached() -> None:
    assert reached["removed"] > 10 and reached["sent"] > 10


def test_a_copy_goes_only_where_what_takes_its_place_comes_by_this_call() -> None:
    policy = replace(ME, keep=Policy(daily=3), max_copies=1)
    local, old = [here(day) for day in range(3)], [there(day) for day in (10, 11, 12)]
    plan = plan_copying(world(local, old), policy, "vault", NOW)
    assert sent(plan) == [here(0).path]
    assert removed(plan) == [here(12).name], "three days were wanted there, and three stay"
    whole = plan_copying(world(local, old), replace(policy, max_copies=0), "vault", NOW)
    afters = {action.work.after for action in whole.actions if isinstance(action.work, RemoveCopy)}
    assert afters == {tuple(here(day).name for day in range(3))}, "and what comes must really be there"


def test_a_copy_that_is_proven_not_to_restore_pushes_no_good_one_out() -> None:
    known = here(0)
    assert known.record is not None
    bad = replace(known, verification=None, record=replace(known.record, restore_failed="2026-11-24T06:00:00Z"))
    policy = replace(ME, keep=Policy(last=1))
    plan = plan_copying(world([bad, here(1)], [there(0), there(1), there(2)]), policy, "vault", NOW)
    assert removed(plan) == [here(2).name]
    relied = {action.work.relies_on.name for action in plan.actions if isinstance(action.work, RemoveCopy)}
    assert relied == {here(1).name}
    assert any("proven not to restore" in warning for warning in plan.warnings)


# --- fetching


def test_the_newest_copy_is_fetched_or_the_named_one() -> None:
    observation = world([], [there(3), there(1, "other-host-same-shop"), there(2)])
    with pytest.raises(MaintenanceError, match="several shops"):
        plan_fetching(observation, OffsitePolicy(), "vault", NOW)
    [action] = plan_fetching(observation, ME, "vault", NOW).actions
    assert isinstance(action.work, FetchCopy) and action.target == f"/backups/{here(2).name}"
    [action] = plan_fetching(observation, OffsitePolicy(name=here(3).name), "vault", NOW).actions
    assert action.target == f"/backups/{here(3).name}"


@pytest.mark.parametrize(
    ("observation", "policy", "words"),
    [
        (world([], []), OffsitePolicy(), "no finished copy at the place"),
        (world([], [there(1)]), OffsitePolicy(name=here(2).name), "no finished copy of this name"),
        (world([], [there(1)]), replace(ME, owner="other"), "no finished copy"),
        (world([here(1, verified=False)], [there(1)]), ME, "It was not touched"),
        (world([], [], broken=[(there(1), "its archive is gone")]), replace(ME, name=here(1).name), "archive is gone"),
    ],
)
def test_what_cannot_be_fetched(observation: OffsiteObservation, policy: OffsitePolicy, words: str) -> None:
    with pytest.raises(MaintenanceError, match=words):
        plan_fetching(observation, policy, "vault", NOW)


def test_a_copy_that_is_here_already_is_not_fetched_again() -> None:
    plan = plan_fetching(world([here(1)], [there(1)]), ME, "vault", NOW)
    assert not plan.actions and plan.kept


def test_there_must_be_room_for_what_is_fetched() -> None:
    with pytest.raises(InsufficientSpace):
        plan_fetching(replace(world([], [there(1)]), free=99), ME, "vault", NOW)
