# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which indexes are built anew, what is said elsewhere, and that no definition is lost on its way to the disk and back."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bson import Int64, Regex
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.client import Server
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.index_definitions import (
    SavedIndexes,
    compare_definitions,
    forget_definitions,
    load_definitions,
    parse_saved,
    same_definition,
    save_definitions,
    saved_text,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.reindex_planning import (
    REBUILD_SKIPPED,
    ROOM_BESIDE,
    CompleteIndexes,
    RebuildIndexes,
    ReindexObservation,
    ReindexPolicy,
    SeenCollection,
    Unfinished,
    ValidateCollection,
    instead_of_rebuild,
    plan_reindex,
    validate_command,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.storage import CollectionStatistics, File

MIB = 1024 * 1024
STANDALONE = Server("6.0.27", (6, 0, 27), "standalone", "primary")
SECONDARY = Server("6.0.27", (6, 0, 27), "replica set", "secondary", "rs0")
MONGOS = Server("6.0.27", (6, 0, 27), "mongos", "primary")
REBUILD = ReindexPolicy("rebuild", MIB)
LOST = Unfinished("note", "shop", "orders", "/state/indexes/x.json", ("u_1",))


def seen(name: str = "orders", size: int = 20 * MIB, free: int = 8 * MIB, **more: Any) -> SeenCollection:
    kind = more.pop("kind", "collection")
    statistics = CollectionStatistics("shop", name, kind, 10, 0, File("", MIB, 0), (File("u_1", size, free),))
    return SeenCollection(statistics, more.pop("indexes", 1), **more)


def observed(*collections: SeenCollection, **more: Any) -> ReindexObservation:
    values: dict[str, Any] = {"server": STANDALONE, "address": "127.0.0.1:27017", "in_maintenance": True, **more}
    return ReindexObservation(collections=collections, **values)


def test_worth_it_from_a_size_on_most_free_first() -> None:
    plan = plan_reindex(observed(seen("a", free=2 * MIB), seen("b"), seen("c", free=MIB - 1)), REBUILD)
    assert [action.work for action in plan.actions] == [RebuildIndexes("shop", "b"), RebuildIndexes("shop", "a")]
    assert [action.bytes for action in plan.actions] == [8 * MIB, 2 * MIB]
    assert plan.actions[0].predicted and plan.actions[0].reason == "1 index, 8.0 MiB of 20.0 MiB free"
    assert "below min_reclaimable (1.0 MiB)" in plan.kept[0].reason
    assert plan_reindex(observed(seen(free=0)), replace(REBUILD, min_reclaimable=0)).actions


@pytest.mark.parametrize("kind", REBUILD_SKIPPED)
def test_what_has_no_indexes_of_its_own_is_left_alone(kind: str) -> None:
    plan = plan_reindex(observed(seen(kind=kind)), replace(REBUILD, min_reclaimable=0))
    assert not plan.actions and plan.kept[0].reason == REBUILD_SKIPPED[kind]
    assert not plan_reindex(observed(seen(indexes=0)), replace(REBUILD, min_reclaimable=0)).actions


def test_room_for_the_new_ones_beside_the_old_ones() -> None:
    enough = 20 * MIB + ROOM_BESIDE
    assert plan_reindex(observed(seen(), disk_free=enough), REBUILD).actions
    plan = plan_reindex(observed(seen(), disk_free=enough - 1), REBUILD)
    assert not plan.actions and "on the server's disk" in plan.kept[0].reason and "shop.orders" in plan.warnings[0]


@pytest.mark.parametrize("policy", [REBUILD, ReindexPolicy("validate", foreground=True)])
def test_nobody_is_kept_waiting_while_the_shop_is_open(policy: ReindexPolicy) -> None:
    with pytest.raises(MaintenanceError, match="enter_maintenance"):
        plan_reindex(observed(seen(), in_maintenance=False), policy)
    assert plan_reindex(observed(seen()), policy).actions
    assert plan_reindex(observed(seen(), in_maintenance=False), replace(policy, require_maintenance=False)).actions
    # What is not worth it, or is only told, keeps nobody waiting.
    assert not plan_reindex(observed(seen(free=0), in_maintenance=False), REBUILD).actions
    assert plan_reindex(observed(seen(), in_maintenance=False), ReindexPolicy("validate")).actions


@pytest.mark.parametrize("server", [SECONDARY, MONGOS])
def test_elsewhere_it_says_what_to_do_instead(server: Server) -> None:
    observation = observed(seen(), seen("view", kind="view"), server=server, in_maintenance=False)
    plan = plan_reindex(observation, REBUILD)
    assert not plan.actions and all("see instead" in kept.reason for kept in plan.kept)
    first, *more = instead_of_rebuild(observation)
    assert first.startswith(
        "shop.orders: indexes of 20.0 MiB, 8.0 MiB of them free. mongo_compact shrinks them by about"
    )
    assert any("without --replSet" in step for step in more) is (server is SECONDARY)
    assert not instead_of_rebuild(observed(seen()))


@pytest.mark.parametrize("policy", [REBUILD, ReindexPolicy("validate"), replace(REBUILD, min_reclaimable=10**9)])
def test_what_was_lost_is_made_again_first_and_whatever_else_is_asked(policy: ReindexPolicy) -> None:
    plan = plan_reindex(observed(seen(), unfinished=(LOST,)), policy)
    assert plan.actions[0].work == CompleteIndexes("note", "shop", "orders")
    assert plan.actions[0].reason == "a rebuild did not end: 1 index to be made again (u_1)"
    # It keeps nobody waiting.
    open_shop = observed(unfinished=(LOST,), in_maintenance=False)
    assert [action.action for action in plan_reindex(open_shop, policy).actions] == ["complete"]


def test_another_collection_of_that_name_is_left_to_a_person() -> None:
    other = replace(LOST, same_collection=False)
    plan = plan_reindex(observed(seen(), seen("users"), unfinished=(other,)), REBUILD)
    assert [action.target for action in plan.actions] == ["shop.users"]
    assert other.path in plan.warnings[0] and plan.kept[0].target == "shop.orders"


@pytest.mark.parametrize(
    ("count", "counted", "mends", "words"),
    [
        (5, None, False, "writers wait"),
        (100, 4000, True, "100 instead of 4000"),
        (0, 4000, True, "0 instead of 4000"),
        (5000, 0, False, "once it holds a document again"),
    ],
)
def test_which_counts_a_validation_mends(count: int, counted: int | None, mends: bool, words: str) -> None:
    one = seen(count=count, counted=counted)
    [action] = plan_reindex(observed(one), ReindexPolicy("validate", foreground=True, full=True)).actions
    assert one.mends is mends and action.reason.endswith(words)
    assert action.work == ValidateCollection("shop", "orders", "orders", True, True)
    [action] = plan_reindex(observed(one), ReindexPolicy("validate")).actions
    assert "nothing is mended" in action.reason


@pytest.mark.parametrize(
    ("foreground", "full", "more"),
    [
        (False, False, {"background": True}),
        (False, True, {"background": True}),
        (True, False, {}),
        (True, True, {"full": True}),
    ],
)
def test_validating_never_repairs(foreground: bool, full: bool, more: dict[str, bool]) -> None:
    """A server that repairs removes what it cannot read: nothing but this is asked."""
    command = validate_command(ValidateCollection("shop", "orders", "orders", foreground, full), "who")
    assert command == {"validate": "orders", "comment": "who", **more} and next(iter(command)) == "validate"


def test_the_buckets_of_time_series_are_validated() -> None:
    plan = plan_reindex(observed(seen(kind="timeseries"), seen("v", kind="view")), ReindexPolicy("validate"))
    assert [action.work.name for action in plan.actions if isinstance(action.work, ValidateCollection)] == [
        "system.buckets.orders"
    ]
    assert plan.kept[0].target == "shop.v"


REACHED: Counter[str] = Counter()


@given(
    st.lists(
        st.builds(
            seen,
            st.sampled_from("abcdef"),
            st.sampled_from([0, 20 * MIB, 200 * MIB]),
            st.sampled_from([0, MIB - 1, MIB, 9 * MIB]),
            kind=st.sampled_from(["collection", "collection", "capped", "view", "timeseries", "system"]),
            indexes=st.integers(0, 3),
        ),
        max_size=5,
        unique_by=lambda item: item.statistics.name,
    ),
    st.sampled_from([STANDALONE, SECONDARY, MONGOS]),
    st.booleans(),
    st.sampled_from([None, 0, 150 * MIB, 900 * MIB]),
    st.sampled_from([REBUILD, replace(REBUILD, require_maintenance=False), ReindexPolicy("validate")]),
)
def test_every_collection_is_told_once(
    collections: list[SeenCollection], server: Server, closed: bool, free: int | None, policy: ReindexPolicy
) -> None:
    observation = observed(*collections, server=server, in_maintenance=closed, disk_free=free)
    try:
        plan = plan_reindex(observation, policy)
    except MaintenanceError:
        REACHED["refused"] += 1
        assert not closed and policy.require_maintenance and policy.mode == "rebuild" and server is STANDALONE
        return
    told = [action.target for action in plan.actions] + [kept.target for kept in plan.kept]
    assert sorted(told) == sorted(item.statistics.namespace for item in collections)
    assert all(kept.reason for kept in plan.kept)
    for action in plan.actions:
        REACHED[action.action] += 1
        if action.action == "rebuild":
            assert server is STANDALONE and action.bytes >= policy.min_reclaimable
            assert closed or not policy.require_maintenance


def test_the_property_is_reached() -> None:
    test_every_collection_is_told_once()
    assert all(REACHED[name] for name in ("refused", "rebuild", "validate")), REACHED


# -- definitions --------------------------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.booleans()
    | st.integers(-(2**31), 2**31 - 1)
    | st.integers(2**32, 2**62).map(Int64)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.just(Regex("^a", "i")),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text("abc$.", min_size=1, max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)
DEFINITIONS = st.builds(
    lambda name, key, more: {"v": 2, **more, "key": key, "name": name},
    st.text(min_size=1, max_size=6),
    st.dictionaries(
        st.text("abc.$*", min_size=1, max_size=4), st.sampled_from([1, -1, "text", "2dsphere"]), min_size=1
    ),
    st.dictionaries(
        st.sampled_from(["unique", "sparse", "expireAfterSeconds", "partialFilterExpression", "collation"]), VALUES
    ),
)


def saved(*definitions: dict[str, Any]) -> SavedIndexes:
    return SavedIndexes(
        "h:1", "shop", "orders", "ab" * 16, "2026-11-29T03:00:00Z", {each["name"]: each for each in definitions}
    )


@given(st.lists(DEFINITIONS, max_size=3, unique_by=lambda each: each["name"]))
def test_definitions_come_back_as_they_were(definitions: list[dict[str, Any]]) -> None:
    whole = saved(*definitions)
    back = parse_saved(saved_text(whole))
    assert replace(back, definitions={}) == replace(whole, definitions={})
    assert list(back.definitions) == [each["name"] for each in definitions]
    for each in definitions:
        assert same_definition(back.definitions[each["name"]], each)
        assert list(back.definitions[each["name"]]["key"]) == list(each["key"]), "the order of keys is a part of it"
        assert saved_text(back) == saved_text(whole)


def test_what_differs() -> None:
    one = {"v": 2, "name": "a", "key": {"x": 1, "y": 1}}
    turned = {"v": 2, "name": "a", "key": {"y": 1, "x": 1}}
    unique = {**one, "unique": True}
    assert same_definition(one, {"key": {"x": 1, "y": 1}, "name": "a", "v": 2})
    assert not same_definition(one, turned) and not same_definition(one, unique)
    found = compare_definitions({"a": one, "b": unique, "c": one}, {"a": one, "b": one, "d": one})
    assert found.missing == ("c",) and found.other == ("b",)


def test_definitions_that_wait_are_not_written_over(tmp_path: Path) -> None:
    first = saved({"v": 2, "name": "u_1", "key": {"u": 1}, "unique": True})
    path = save_definitions(str(tmp_path / "state"), first)
    assert Path(path).stat().st_mode & 0o777 == 0o600 and Path(path).parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(MaintenanceError, match="completes that first"):
        save_definitions(str(tmp_path / "state"), saved())
    assert load_definitions(path) == first
    forget_definitions(path)
    forget_definitions(path)
    with pytest.raises(FileNotFoundError):
        load_definitions(path)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"indexes": [{"name": "a", "key": {}}]}', "\xff"])
def test_what_is_no_such_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(MaintenanceError, match="no definitions of indexes"):
        load_definitions(str(path))
