# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is archived, purged and restored, and above all what is refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import (
    InsufficientSpace,
    MaintenanceError,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.orphan_planning import (
    DISK_RESERVE,
    ArchiveOrphans,
    ArchiveSeen,
    OrphanObservation,
    OrphanPolicy,
    PurgeArchive,
    RelationSeen,
    RestoreArchived,
    Settle,
    growth,
    plan_orphans,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.orphans import RelationFindings
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.relations import (
    Relation,
    is_business_record,
)

NOW = datetime(2026, 11, 29, tzinfo=timezone.utc)
GIB = 1024**3
ARCHIVE = OrphanPolicy("archive", 604800, 2592000, max_delete=100)


def seen(collection: str = "inventory", count: int = 3, total: int = 1000, **more: Any) -> RelationSeen:
    findings = RelationFindings(
        Relation(collection, "productId", "products", action=more.pop("action", "archive")),
        orphans=count,
        documents=count,
        references=total,
        missing=count,
    )
    for name in ("judged", "reason", "too_young", "malformed", "incomparable", "references"):
        if name in more:
            setattr(findings, name, more.pop(name))
    found = RelationSeen(
        findings,
        tuple(f"07{number:024x}" for number in range(count)),
        count,
        100 * count,
        total=total,
        reference_types={"string": total},
        key_types=("objectId",),
        examples=("65a1 refers to 65b2",),
        file_bytes=GIB,
    )
    return replace(found, **more)


def observation(*relations: RelationSeen, **more: Any) -> OrphanObservation:
    return OrphanObservation("shop", relations, disk_free=more.pop("disk_free", 100 * GIB), **more)


def refused(what: OrphanObservation, policy: OrphanPolicy = ARCHIVE) -> MaintenanceError:
    with pytest.raises(MaintenanceError) as caught:
        plan_orphans(what, policy, NOW)
    return caught.value


def test_orphans_are_archived_under_the_run() -> None:
    plan = plan_orphans(observation(seen()), replace(ARCHIVE, run_id="run-1"), NOW)
    [action] = plan.actions
    assert action.work == ArchiveOrphans(seen().relation, seen().keys, "run-1")
    assert action.target == "shop.inventory.productId"
    assert action.bytes == 300


def test_without_a_run_what_is_archived_has_an_id_of_its_own() -> None:
    [action] = plan_orphans(observation(seen()), ARCHIVE, NOW).actions
    assert isinstance(action.work, ArchiveOrphans)
    assert action.work.run_id == "20261129T000000Z.000000-orphans"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (seen(judged=False, reason="there is no collection products"), "there is no collection products"),
        (seen(judged=False, reason="the collection products is empty"), "products is empty"),
        (seen(count=60), "60 of 1000 documents (6.0 %)"),
        (seen(count=30, too_young=30), "60 of 1000 documents"),
        (seen(count=1, total=0), "max_percent"),
        (seen(count=0, references=0, incomparable=7), "no form of an id matches any type there"),
        (seen(obstacle="inventory is capped"), "inventory is capped"),
    ],
)
def test_what_is_doubtful_is_refused_and_shown(found: RelationSeen, words: str) -> None:
    error = refused(observation(seen("carts"), found))
    assert words in str(error)
    assert "inventory.productId holds string" in str(error)
    assert "products._id is objectId" in str(error)
    assert "65a1 refers to 65b2" in str(error)
    assert error.details["plan"][0]["target"] == "shop.carts.productId"
    assert len(error.details["relations"]) == 2
    assert ("raise max_percent" in str(error.next_step)) == ("max_percent" in str(error)), "where that is what refuses"


def test_a_share_that_the_user_allows_is_archived() -> None:
    assert plan_orphans(observation(seen(count=60)), replace(ARCHIVE, max_percent=6.0), NOW).actions
    assert plan_orphans(observation(seen(count=50)), ARCHIVE, NOW).actions


def test_the_cap_is_over_all_relations_and_required() -> None:
    assert plan_orphans(observation(seen(count=50), seen("carts", count=50)), ARCHIVE, NOW).actions
    assert "101 orphans" in str(refused(observation(seen(count=50), seen("carts", count=51, total=2000))))
    assert "needs max_delete" in str(refused(observation(seen()), replace(ARCHIVE, max_delete=None)))
    assert "1 orphans" in str(refused(observation(seen(count=1)), replace(ARCHIVE, max_delete=0)))
    # More than max_delete are not even read.
    assert "500 orphans" in str(refused(observation(seen(total=20000, keys=(), orphans=500))))


def test_a_replica_set_needs_room_for_the_growth() -> None:
    tight = observation(seen(), disk_free=150 * 1024**2)
    assert plan_orphans(tight, ARCHIVE, NOW).actions
    many = seen(count=90, total=100000)
    enough = observation(many, disk_free=DISK_RESERVE + 2 * many.bytes)
    assert plan_orphans(enough, ARCHIVE, NOW).actions
    assert isinstance(refused(replace(enough, replica_set=True)), InsufficientSpace)
    assert isinstance(refused(observation(seen(), disk_free=1024)), InsufficientSpace)
    assert plan_orphans(replace(tight, disk_free=None, replica_set=True), ARCHIVE, NOW).actions


@given(st.integers(0, 10**7), st.integers(0, 10**12), st.integers(0, 10**13), st.integers(1, 60))
def test_files_grow_to_twice_their_size_at_most(count: int, size: int, files: int, indexes: int) -> None:
    found = replace(seen(), keys=("07",) * min(count, 1000), bytes=size, file_bytes=files, indexes=indexes)
    assert 0 <= growth(found) <= files


@pytest.mark.parametrize(
    "name",
    [
        "orders",
        "payments",
        "refunds",
        "invoices",
        "shipments",
        "coupon_usage",
        "loyalty_points",
        "audit_logs",
        "Orders",
        "orders_2025",
        "old_orders",
        "orderItems",
        "paymentlogs",
        "invoices.archive",
        "couponusages",
        "auditlogs",
        "adminAudits",
    ],
)
def test_business_records_are_only_reported(name: str) -> None:
    assert is_business_record(name)
    plan = plan_orphans(observation(seen(name)), ARCHIVE, NOW)
    assert not plan.actions
    assert "business records" in plan.kept[0].reason
    assert name in plan.warnings[0]
    allowed = plan_orphans(observation(seen(name)), replace(ARCHIVE, allowed=(name,)), NOW)
    assert [type(action.work) for action in allowed.actions] == [ArchiveOrphans]
    purge = OrphanPolicy("purge", 0, 60)
    archive = replace(observation(), archives=(ArchiveSeen(name, old=3),))
    assert not plan_orphans(archive, purge, NOW).actions
    assert plan_orphans(archive, replace(purge, allowed=(name,)), NOW).actions


def test_other_collections_are_no_business_records() -> None:
    assert not any(map(is_business_record, ["inventory", "carts", "reorders", "wishlists", "sessions"]))


def test_what_is_young_malformed_or_strange_is_kept_and_told() -> None:
    found = seen(too_young=2, malformed=4, stays={"it does not decode": 1})
    plan = plan_orphans(observation(found), ARCHIVE, NOW)
    reasons = " ".join(kept.reason for kept in plan.kept)
    assert "2 orphans in documents younger" in reasons
    assert "4 malformed references" in reasons
    assert "it does not decode" in reasons


def test_what_a_run_had_under_way_is_dealt_with_first() -> None:
    what = replace(observation(seen()), archives=(ArchiveSeen("inventory", pending=2), ArchiveSeen("carts")))
    assert [type(action.work) for action in plan_orphans(what, ARCHIVE, NOW).actions] == [Settle, ArchiveOrphans]


def test_only_what_is_older_than_grace_is_purged() -> None:
    archives = (ArchiveSeen("inventory", pending=1, old=3, old_bytes=9, young=2), ArchiveSeen("carts", young=1))
    plan = plan_orphans(replace(observation(), archives=archives), OrphanPolicy("purge", 0, 86400), NOW)
    [action] = plan.actions
    assert action.work == PurgeArchive("inventory", "2026-11-28T00:00:00Z")
    # Counting took an hour: what has grown old meanwhile was not counted.
    counted = replace(observation(), archives=archives, purged_before=NOW - timedelta(hours=25))
    [action] = plan_orphans(counted, OrphanPolicy("purge", 0, 86400), NOW).actions
    assert action.work == PurgeArchive("inventory", "2026-11-27T23:00:00Z")
    assert len(plan.kept) == 3
    error = refused(replace(observation(), archives=archives), OrphanPolicy("purge", 0, 86400, max_delete=2))
    assert "3 entries" in str(error)


def test_collisions_are_reported_and_the_rest_is_restored() -> None:
    archives = (
        ArchiveSeen("inventory", restorable=2, collisions=(("65a1", "it is another one"),)),
        ArchiveSeen("carts", restorable=1, obstacle="the collection is gone"),
        ArchiveSeen("wishlists"),
    )
    policy = OrphanPolicy("restore", 0, 0, restored_run="run-1")
    plan = plan_orphans(replace(observation(), archives=archives), policy, NOW)
    assert [action.work for action in plan.actions] == [RestoreArchived("inventory", "run-1")]
    assert [kept.target for kept in plan.kept] == ["shop.inventory 65a1", "shop.carts"]
    assert len(plan.warnings) == 2


COLLECTIONS = st.sampled_from(["inventory", "carts", "orders", "payments"])
SEEN = st.builds(
    seen,
    COLLECTIONS,
    st.integers(0, 12),
    st.sampled_from([1, 12, 100, 1000]),
    too_young=st.integers(0, 2),
    judged=st.sampled_from([True] * 9 + [False]),
    action=st.sampled_from(["report", "archive"]),
)
POLICIES = st.builds(
    OrphanPolicy,
    st.sampled_from(["report", "archive", "archive", "archive"]),
    st.just(0.0),
    st.just(0.0),
    st.sampled_from([None, 0, 10, 30, 60]),
    st.sampled_from([5.0, 50.0, 100.0]),
    st.sets(COLLECTIONS).map(tuple),
)


def test_no_plan_is_beyond_what_was_allowed() -> None:
    reached: Counter[str] = Counter()

    @settings(max_examples=400)
    @given(st.lists(SEEN, max_size=4), POLICIES, st.sampled_from([None, 1, 10 * GIB, 10 * GIB]), st.booleans())
    def check(relations: list[RelationSeen], policy: OrphanPolicy, free: int | None, replica_set: bool) -> None:
        what = OrphanObservation("shop", tuple(relations), disk_free=free, replica_set=replica_set)
        try:
            plan = plan_orphans(what, policy, NOW)
        except MaintenanceError:
            reached["refused"] += 1
            assert policy.action == "archive"
            return
        works = [action.work for action in plan.actions]
        reached["archives" if works else "nothing"] += 1
        if works:
            assert policy.action == "archive"
            assert policy.max_delete is not None
            assert sum(len(work.keys) for work in works if isinstance(work, ArchiveOrphans)) <= policy.max_delete
        for work in works:
            assert isinstance(work, ArchiveOrphans)
            assert work.relation.action == "archive"
            assert not is_business_record(work.relation.collection) or work.relation.collection in policy.allowed
            assert any(
                one.findings.judged and one.findings.documents * 100 <= policy.max_percent * one.total
                for one in relations
                if one.relation == work.relation and one.keys == work.keys
            )

    check()
    assert all(reached[what] for what in ("refused", "archives", "nothing")), reached
