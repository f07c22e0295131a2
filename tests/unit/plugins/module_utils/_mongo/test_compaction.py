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

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.client import Server
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.compaction import (
    DISK_NEEDED,
    MIB,
    SKIPPED_KINDS,
    SMALL_FILE,
    Compact,
    Compaction,
    CompactionObservation,
    MemberView,
    Policy,
    beyond_compaction,
    compact_command,
    compaction_headline,
    estimate_seconds,
    expect,
    is_deferral,
    plan_compaction,
    predict,
    predict_file,
    predict_least,
    scattered_warnings,
    shortfall_warnings,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.compaction_history import PastYield
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.recent_removals import RecentRemoval
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.storage import CollectionStatistics, File
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.topology import interpret_members, supports

STANDALONE = Server("6.0.5", (6, 0, 5), "standalone", "primary")
PRIMARY = Server("6.0.5", (6, 0, 5), "replica set", "primary", "rs0")
SECONDARY = Server("6.0.5", (6, 0, 5), "replica set", "secondary", "rs0")
ORDERS = Compact("shop", "orders", 100)
NOW = datetime(2026, 11, 29, 3, 0, tzinfo=timezone.utc)
POLICY = Policy(min_reclaimable=8 * MIB, min_ratio=0.25)


def collection(name="c", size=100 * MIB, free=50 * MIB, kind="collection", indexes=()):
    return CollectionStatistics("shop", name, kind, 10, size - free, File("", size, free), tuple(indexes))


def observed(*collections, server=STANDALONE, **more):
    return CompactionObservation(server, tuple(collections), **more)


def plan_of(observation, policy):
    return plan_compaction([MemberView("", observation)], policy, NOW)


@pytest.mark.parametrize(
    ("size", "free", "freed"),
    [
        # Lengths, free bytes and what really came free, as measured; the prediction may be wrong by a tenth of the file.
        (1294909440, 971149312, 970997760),
        (33100000, 26914816, 26353664),
        (102 * 10**6, 3260000, 0),
        (102 * 10**6, 9280000, 28672),
        (102 * 10**6, 12500000, 8400000),
        (102 * 10**6, 18600000, 12800000),
        (102 * 10**6, 25800000, 20500000),
        (102 * 10**6, 41100000, 41070000),
        (1690000, 840000, 12288),
        (950000, 627000, 24576),
    ],
)
def test_prediction_against_measurements(size, free, freed):
    assert abs(predict_file(File("", size, free)) - freed) <= max(SMALL_FILE, 0.04 * size)


# Most files are large and hold much that is free, most policies ask for little and most worlds forbid nothing: a plan in
# which nothing is compacted proves next to nothing.
FILES = st.tuples(
    st.integers(0, 4 * MIB) | st.integers(SMALL_FILE, 400 * MIB) | st.integers(SMALL_FILE, 400 * MIB),
    st.floats(0, 0.3) | st.floats(0.3, 1) | st.floats(0.3, 1),
).map(lambda pair: File("f", pair[0], int(pair[0] * pair[1])))
COLLECTIONS = st.builds(
    lambda name, kind, own, indexes: CollectionStatistics("shop", name, kind, 1, 1, own, tuple(indexes)),
    st.sampled_from("abcdef"),
    st.sampled_from(["collection"] * 6 + ["timeseries"] * 2 + [*SKIPPED_KINDS]),
    FILES,
    st.lists(FILES, max_size=2),
)
POLICIES = st.builds(
    Policy,
    st.integers(0, 40 * MIB) | st.integers(0, 40 * MIB) | st.integers(0, 400 * MIB),
    st.floats(0, 0.3) | st.floats(0, 0.3) | st.floats(0, 1),
    st.none() | st.floats(5, 120) | st.floats(0, 10),
    st.sampled_from(["skip", "force"]),
    st.floats(5, 30),
)
WORLDS = st.fixed_dictionaries(
    {
        "server": st.sampled_from([STANDALONE] * 3 + [SECONDARY] * 4 + [PRIMARY]),
        "disk_free": st.none()
        | st.none()
        | st.integers(DISK_NEEDED, 9 * DISK_NEEDED)
        | st.integers(0, 2 * DISK_NEEDED),
        "lag_seconds": st.none() | st.floats(0, 5) | st.floats(0, 5) | st.floats(0, 60),
        "removals": st.dictionaries(
            st.sampled_from("abcdef").map("shop.{}".format),
            st.integers(0, 1200).map(lambda ago: NOW - timedelta(seconds=ago)),
            max_size=4,
        ),
    }
)
SOME_COLLECTIONS = st.lists(COLLECTIONS, min_size=2, max_size=6, unique_by=lambda entry: entry.name)


def test_every_plan():
    reached = Counter()

    @settings(max_examples=300, deadline=None)
    @given(SOME_COLLECTIONS, POLICIES, WORLDS)
    def check(collections, policy, world):
        server, lag, disk_free = world["server"], world["lag_seconds"], world["disk_free"]
        plan = plan_of(observed(*collections, **world), policy)
        by_name = {entry.namespace: entry for entry in collections}
        seen = [action.target for action in plan.actions] + [kept.target for kept in plan.kept]
        assert sorted(seen) == sorted(by_name), "each collection is either compacted or kept, with a reason"
        assert all(kept.reason for kept in plan.kept)
        for action in plan.actions:
            reached["compacted"] += 1
            entry = by_name[action.target]
            reached[entry.kind] += 1
            assert entry.kind in ("collection", "timeseries")
            assert 0 < action.bytes <= entry.reusable and action.predicted
            assert action.bytes >= policy.min_reclaimable and action.bytes >= policy.min_ratio * entry.bytes
            removed = world["removals"].get(action.target)
            if removed is not None and server is not STANDALONE:
                reached["removed before"] += 1
                assert (NOW - removed).total_seconds() >= 300
        if policy.time_budget is not None:
            reached["within a budget"] += bool(plan.actions)
            assert sum(estimate_seconds(by_name[action.target]) for action in plan.actions) <= policy.time_budget
        sizes = [action.bytes for action in plan.actions]
        reached["several"] += len(sizes) > 1
        assert sizes == sorted(sizes, reverse=True)
        refused = (
            (server is PRIMARY and policy.primary == "skip")
            or (server is not STANDALONE and lag is not None and lag > policy.max_lag)
            or (disk_free is not None and disk_free < DISK_NEEDED)
        )
        if refused:
            reached["refused"] += 1
            allowed = {"server": STANDALONE, "disk_free": None, "lag_seconds": None}
            reached["refused what would be compacted"] += bool(
                plan_of(observed(*collections, **allowed), policy).actions
            )
            assert not plan.actions
        for kept in plan.kept:
            reached["snapshots"] += "snapshots may still read" in kept.reason
            reached["budget"] += "time_budget" in kept.reason

    check()
    least = {
        "compacted": 60,
        "several": 10,
        "within a budget": 10,
        "budget": 5,
        "timeseries": 5,
        "removed before": 1,
        "snapshots": 2,
        "refused": 15,
        "refused what would be compacted": 10,
    }
    assert all(reached[what] >= number for what, number in least.items()), reached


def test_after_a_perfect_compaction_there_is_nothing_to_do():
    reached = Counter()

    @settings(max_examples=200, deadline=None)
    @given(SOME_COLLECTIONS, POLICIES)
    def check(collections, policy):
        # What the server leaves of a partly free file is less than a tenth.
        policy = replace(policy, min_ratio=max(0.1, policy.min_ratio))
        plan = plan_of(observed(*collections), policy)
        done = {action.target for action in plan.actions}

        def shrunk(entry):
            if entry.namespace not in done:
                return entry
            files = [File(f.name, f.bytes - predict_file(f), f.reusable - predict_file(f)) for f in entry.files]
            return replace(entry, file=files[0], indexes=tuple(files[1:]))

        again = plan_of(observed(*map(shrunk, collections)), replace(policy, time_budget=None))
        reached["compacted"] += len(done)
        assert not done & {action.target for action in again.actions}

    check()
    assert reached["compacted"] >= 60, reached


def test_index_bloat_alone_is_worth_it():
    entry = collection(free=0, indexes=[File("k_1", 60 * MIB, 40 * MIB)])
    assert predict(entry) == 40 * MIB
    assert plan_of(observed(entry), POLICY).actions


@pytest.mark.parametrize(
    ("entry", "policy", "words"),
    [
        (collection(kind="view"), POLICY, "view"),
        (collection(kind="capped"), POLICY, "capped"),
        (collection(kind="system"), POLICY, "server's own"),
        (collection(free=0), POLICY, "nothing to reclaim"),
        (collection(size=MIB, free=MIB // 2), POLICY, "never shrink"),
        (collection(free=9 * MIB), POLICY, "declines"),
        (collection(size=20 * MIB, free=7 * MIB), POLICY, "min_reclaimable (8.0 MiB)"),
        (collection(free=31 * MIB), replace(POLICY, min_ratio=0.5), "min_ratio (0.5)"),
        (collection(), replace(POLICY, time_budget=1.0), "time_budget"),
    ],
)
def test_the_reason_names_the_rule(entry, policy, words):
    plan = plan_of(observed(entry), policy)
    assert not plan.actions and words in plan.kept[0].reason


def test_a_smaller_one_may_still_fit_into_the_budget():
    big, small = collection("big", 4000 * MIB, 3000 * MIB), collection("small")
    plan = plan_of(observed(big, small), replace(POLICY, time_budget=30.0))
    assert [action.target for action in plan.actions] == ["shop.small"]


@pytest.mark.parametrize(
    ("version", "feature", "expected"),
    [
        ((4, 2, 24), "compact_online", False),
        ((4, 4, 0), "compact_online", True),
        ((7, 0, 14), "compact_free_space_target", False),
        ((8, 0, 0), "compact_free_space_target", True),
        ((10, 0, 0), "compact_free_space_target", True),
    ],
)
def test_version_gates(version, feature, expected):
    assert supports(replace(STANDALONE, version_array=version), feature) is expected


@given(st.sampled_from([(5, 0, 0), (6, 0, 5), (7, 0, 99)]), st.sampled_from([STANDALONE, PRIMARY, SECONDARY]), POLICIES)
def test_old_servers_get_no_option_that_they_would_ignore(version, server, policy):
    command = compact_command(replace(server, version_array=version), "c", policy, "x")
    assert set(command) <= {"compact", "comment", "force"}
    assert ("force" in command) == (server is PRIMARY and policy.primary == "force")


def test_new_servers_are_told_the_wanted_minimum():
    new = replace(STANDALONE, version_array=(8, 0, 0))
    assert compact_command(new, "c", replace(POLICY, min_reclaimable=8 * MIB), "x")["freeSpaceTargetMB"] == 8
    assert compact_command(new, "c", replace(POLICY, min_reclaimable=1), "x")["freeSpaceTargetMB"] == 1
    assert "freeSpaceTargetMB" not in compact_command(new, "c", replace(POLICY, min_reclaimable=256 * MIB), "x")


def test_time_series_are_planned_with_the_doubt_that_there_is():
    [action] = plan_of(observed(collection(kind="timeseries")), POLICY).actions
    assert "when it is tried" in action.reason and action.predicted
    [kept] = plan_of(observed(collection(kind="timeseries", free=0)), POLICY).kept
    assert kept.reason == "nothing to reclaim: 0 B of 100.0 MiB free"


def test_a_replica_set_is_told_to_be_a_rough_guide():
    [action] = plan_of(observed(collection(), server=SECONDARY), POLICY).actions
    assert "rough guide" in action.reason
    [kept] = plan_of(observed(collection(size=20 * MIB, free=7 * MIB), server=SECONDARY), POLICY).kept
    assert "rough guide" in kept.reason and "min_reclaimable" in kept.reason
    assert "rough guide" in compaction_headline(5, 100, [ORDERS], False, SECONDARY, POLICY)
    assert "rough guide" in compaction_headline(0, 100, [ORDERS], True, SECONDARY, POLICY)
    [alone] = plan_of(observed(collection()), POLICY).actions
    assert "rough" not in alone.reason + compaction_headline(5, 100, [ORDERS], False, STANDALONE, POLICY)


def past(freed, predicted=50 * MIB, after=100 * MIB):
    return PastYield(NOW - timedelta(days=7), "b", "shop.c", predicted, freed, after)


@pytest.mark.parametrize(
    ("entries", "expected", "scattered"),
    [
        ([], 50, False),
        ([past(0)], 25, False),  # once is no rule
        ([past(0), past(MIB)], 0.5, True),
        ([past(30 * MIB), past(20 * MIB), past(40 * MIB)], 30, False),
        ([past(0), past(0), past(50 * MIB), past(50 * MIB), past(50 * MIB)], 50, False),
        ([past(120 * MIB)], 75, False),  # the counter may be too low as well
        ([past(500 * MIB), past(500 * MIB)], 100, False),  # but nothing frees more than there is
        ([past(0, predicted=0), past(0, predicted=0)], 50, False),
        ([past(0, after=70 * MIB), past(0, after=70 * MIB)], 50, False),  # the file has grown since
    ],
)
def test_experience_decides_on_a_replica_set(entries, expected, scattered):
    entry = collection(size=100 * MIB, free=50 * MIB)
    found = expect(entry, SECONDARY, entries)
    assert (found.bytes, found.counted, found.scattered) == (int(expected * MIB), 50 * MIB, scattered)
    assert expect(entry, STANDALONE, entries).bytes == 50 * MIB, "there the counter is right"


def test_what_compaction_does_not_shrink_is_left_alone_and_what_would_is_named():
    entry = collection(size=71 * MIB, free=44 * MIB)
    history = {"shop.c": [past(0, 40 * MIB, 71 * MIB), past(MIB, 40 * MIB, 71 * MIB)]}
    [kept] = plan_of(observed(entry, server=SECONDARY, past=history), POLICY).kept
    for words in (
        "44.0 MiB of 71.0 MiB free",
        "freed 1.0 MiB of 80.0 MiB predicted",
        "initial sync",
        "min_reclaimable",
    ):
        assert words in kept.reason
    [told] = beyond_compaction(
        [MemberView("b", observed(entry, server=SECONDARY, past=history)), MemberView("c", None)]
    )
    assert told["bytes"] == 71 * MIB and told["data_bytes"] == 27 * MIB and told["member"] == "b"
    [warning] = scattered_warnings([told])
    assert "shop.c on b: 71.0 MiB in files for 27.0 MiB of data" in warning and "initial sync" in warning
    assert beyond_compaction([MemberView("b", observed(entry, server=SECONDARY))]) == []


def test_what_was_deferred_has_the_first_claim_on_the_time_and_comes_first():
    big, small = collection("big", 400 * MIB, 300 * MIB), collection("small")
    seconds = estimate_seconds(big) + 0.5
    plan = plan_of(observed(big, small), replace(POLICY, time_budget=seconds))
    assert [action.target for action in plan.actions] == ["shop.big"]
    assert [(kept.target, is_deferral(kept.reason)) for kept in plan.kept] == [("shop.small", True)]
    views = [MemberView("", observed(big, small))]
    later = plan_compaction(views, replace(POLICY, time_budget=seconds), NOW, {"shop.small": NOW})
    assert [action.target for action in later.actions] == ["shop.small"]
    both = plan_compaction(views, POLICY, NOW, {"shop.small": NOW, "shop.big": NOW - timedelta(days=1)})
    assert [action.target for action in both.actions] == ["shop.big", "shop.small"], "the longest ago before all"


def test_the_time_goes_to_what_was_deferred_on_any_member_and_the_members_keep_their_order():
    views = [MemberView(name, observed(collection(), server=server)) for name, server in SET]
    policy = replace(POLICY, primary="force", time_budget=2 * estimate_seconds(collection()) + 0.5)
    plan = plan_compaction(views, policy, NOW, {"shop.c on primary": NOW})
    assert [action.target for action in plan.actions] == ["shop.c on hidden", "shop.c on primary"]
    assert [kept.target for kept in plan.kept] == ["shop.c on other"]


SET = [("hidden", SECONDARY), ("other", SECONDARY), ("primary", PRIMARY)]


@pytest.mark.parametrize(("ago", "kept"), [(0, True), (359, True), (360, False), (-5, True), (10**6, False)])
def test_nothing_is_compacted_while_a_snapshot_may_need_what_we_have_removed(ago, kept):
    """Deleted documents that are still in the snapshots' window would be frozen into the file for good."""
    removals = {"shop.c": NOW - timedelta(seconds=ago)}
    observation = observed(collection("c"), collection("d"), server=SECONDARY, removals=removals, snapshot_window=300.0)
    plan = plan_of(observation, POLICY)
    assert [entry.target for entry in plan.kept] == (["shop.c"] if kept else [])
    assert all("removed" in entry.reason for entry in plan.kept)
    assert not plan_of(replace(observation, server=STANDALONE), POLICY).kept, "a standalone keeps no such window"


@pytest.mark.parametrize(
    ("documents", "ago", "kept"),
    [(4, 10, True), (1, 10, True), (0, 10, False), (4, 359, True), (4, 360, False)],
)
def test_what_others_have_removed_of_late_is_waited_for_where_it_is_much(documents, ago, kept):
    """Ten documents are left in 50 MiB: each is five of them, and as much as is free elsewhere counts."""
    recent = {"shop.c": RecentRemoval(documents, float(ago))}
    observation = observed(collection("c"), collection("d"), server=SECONDARY, recent=recent, snapshot_window=300.0)
    plan = plan_of(observation, POLICY)
    assert [entry.target for entry in plan.kept] == (["shop.c"] if kept else [])
    assert all("%d document" % documents in entry.reason and "freeze" in entry.reason for entry in plan.kept)
    assert not plan_of(replace(observation, snapshot_window=0.0), POLICY).kept, "such a server keeps nothing"
    assert not plan_of(replace(observation, server=STANDALONE), POLICY).kept


def test_a_few_documents_that_a_ttl_index_removes_do_not_count():
    entry = CollectionStatistics("shop", "c", "collection", 1000, 50 * MIB, File("", 100 * MIB, 50 * MIB))
    for documents, kept in ((49, False), (51, True)):
        recent = {"shop.c": RecentRemoval(documents, 10.0)}
        assert bool(plan_of(observed(entry, server=SECONDARY, recent=recent), POLICY).kept) is kept
    emptied = replace(entry, documents=0, data_bytes=0)
    recent = {"shop.c": RecentRemoval(1, 10.0)}
    assert plan_of(observed(emptied, server=SECONDARY, recent=recent), POLICY).kept


def test_shortfall():
    entry = Compaction("shop.c", 200, 190, bytes_predicted=100, bytes_freed=10, seconds=1.0)
    assert "shop.c" in shortfall_warnings([entry])[0]
    assert shortfall_warnings([replace(entry, bytes_freed=60)]) == []


def test_member_lag():
    def member(state, second, health=1, own=False):
        moment = datetime(2026, 1, 1, 0, 0, second)
        return {"name": state, "stateStr": state, "health": health, "self": own, "optimeDate": moment}

    members = interpret_members(
        {
            "members": [
                member("PRIMARY", 30),
                member("SECONDARY", 22, own=True),
                member("DOWN", 1, 0),
                member("ARBITER", 1),
            ]
        }
    )
    assert [entry.lag_seconds for entry in members] == [0.0, 8.0, None, None]
    assert interpret_members({"members": [member("SECONDARY", 22)]})[0].lag_seconds is None


@pytest.mark.parametrize("check", [False, True])
def test_a_collection_on_several_members_is_one_collection(check: bool):
    on_two = [replace(ORDERS, member=member) for member in ("a", "b")]
    users = replace(ORDERS, collection="users", member="b")
    for works, words in (
        (on_two, " 1 collection on 2 members "),
        ([*on_two, users], " 2 collections on 2 members "),
        ([ORDERS], " 1 collection "),
    ):
        told = compaction_headline(5, 100, works, check, STANDALONE, POLICY)
        assert words in told and ("member" in told) is ("member" in words)


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_thresholds_that_decided_are_named(check: bool, count: int):
    policy = replace(POLICY, min_reclaimable=256 * MIB, min_ratio=0.25)
    told = compaction_headline(5, 100, [ORDERS] * count, check, STANDALONE, policy)
    assert told.endswith("worth it from 256.0 MiB and 25 % of a collection's files on")


@pytest.mark.parametrize(
    ("file", "free", "least"),
    [
        # Nothing is promised of a file that is declined, or small.
        (100, 9, 0),
        (1, 1, 0),
        (10, 0, 0),
        # A ninth of what is left, and four megabytes.
        (100, 50, 50 - 50 / 9 - 4),
        (100, 91, 91 - 1 - 4),
        (3, 1.2, 0),
    ],
)
def test_the_least_that_comes_free(file: float, free: float, least: float) -> None:
    statistics = CollectionStatistics("shop", "c", "collection", 1, 0, File("", int(file * MIB), int(free * MIB)))
    assert abs(predict_least(statistics) - least * MIB) < 2
    assert predict_least(statistics) <= predict(statistics)


@pytest.mark.parametrize("free", [DISK_NEEDED - 1, DISK_NEEDED, None])
def test_where_the_disk_is_full_nothing_is_compacted_and_it_says_so(free: int | None) -> None:
    plan = plan_compaction([MemberView("b:1", observed(collection("orders"), disk_free=free))], POLICY, NOW)
    assert bool(plan.actions) == (free is None or free >= DISK_NEEDED)
    told = [f"{entry.target}: {entry.reason}" for entry in plan.kept] + plan.warnings
    for text in told if not plan.actions else ():
        assert "shop.orders on b:1" in text and "128.0 MiB for its journal" in text and "only " in text
    assert len(told) == (0 if plan.actions else 2)


def test_the_least_is_told_of_a_standalone_alone() -> None:
    works = [Compact("shop", "c", 20 * MIB, least=18 * MIB), Compact("shop", "d", 10 * MIB, least=5 * MIB)]
    standalone, member = (Server("6.0.27", (6, 0, 27), kind, "secondary") for kind in ("standalone", "replica set"))
    policy = Policy(MIB, 0.1)
    for check in (True, False):
        assert "at least 23.0 MiB" in compaction_headline(25 * MIB, 30 * MIB, works, check, standalone, policy)
        told = compaction_headline(25 * MIB, 30 * MIB, works, check, member, policy)
        assert "at least" not in told and "a rough guide" in told
