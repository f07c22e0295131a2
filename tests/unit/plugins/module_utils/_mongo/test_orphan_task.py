# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What check mode says is what a run does, what belongs together comes back whole, and a run that fails half way says how far it came."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from bson import encode

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import (
    DONE,
    FAILED,
    Action,
    Result,
    Results,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import orphan_observation, orphan_task
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.orphan_archive import Entry
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.orphan_judgement import identity_of
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.orphan_originals import (
    CHANGED_LIST,
    GONE,
    digest,
    list_of,
    merged,
    without,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.orphan_planning import (
    PurgeArchive,
    RelationSeen,
    RestoreArchived,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.orphans import RelationFindings
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.raw_document import (
    ARRAY,
    Element,
    array_of,
    build,
    elements,
    field_of,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.relations import Relation

NOW = datetime(2026, 11, 29, tzinfo=timezone.utc)
PRODUCTS = Relation("carts", "items[].product", "products", action="archive")
COUPONS = Relation("carts", "items[].coupon", "coupons", action="archive")
USERS = Relation("carts", "user", "users", action="archive")


def task(**params: Any) -> orphan_task.MongoOrphans:
    given = {
        "action": "archive",
        "min_age": "0s",
        "grace": "30d",
        "max_delete": 100,
        "max_percent": 100.0,
        "max_lag": "10s",
        "allow_business_records": [],
        "archive_run": "run-1",
        **params,
    }
    run = SimpleNamespace(run_id="run-2", renew=lambda: None, state_dir="/nowhere")
    made = orphan_task.MongoOrphans(SimpleNamespace(params=given, run=run, check=False))  # type: ignore[arg-type]
    made._connection = SimpleNamespace(client={"shop": None})  # type: ignore[assignment]
    return made


def seen(relation: Relation, count: int) -> RelationSeen:
    findings = RelationFindings(relation, orphans=count, documents=count, references=count)
    return RelationSeen(findings, tuple("07%024x" % number for number in range(count)), count, 100, total=1000)


def test_check_mode_counts_what_the_plan_takes_and_no_business_records() -> None:
    made = task()
    observation = orphan_task.Observed(
        "shop", (seen(PRODUCTS, 3), seen(Relation("orders", "userId", "users", action="archive"), 5))
    )
    plan = made.plan(observation, NOW)
    report = made.report(observation, plan, Results(True, list(plan.actions)))
    assert report.summary["archived"] == 3
    assert report.headline.startswith("would archive 3 of 8 orphans")


@pytest.mark.parametrize(("status", "archived", "run"), [(DONE, 2, "run-2"), (DONE, 0, ""), (FAILED, 0, "run-2")])
def test_only_what_may_have_been_archived_can_be_given_back(status: str, archived: int, run: str) -> None:
    made = task()
    observation = orphan_task.Observed("shop", (seen(PRODUCTS, 3),))
    [action] = made.plan(observation, NOW).actions
    results: Any = Results(False, [action])
    results.all.append(Result(action, status, 0, 0.0, "", "", orphan_task.Done(archived=archived)))
    report = made.report(observation, made.plan(observation, NOW), results)
    assert report.values["archive_run"] == run
    assert ("undo_run=run-2" in report.headline) == bool(run)


# -- what a run took of one document, one after the other, comes back the other way round ------------------------------


def taken(raw: bytes, relation: Relation, positions: tuple[int, ...]) -> tuple[bytes, Entry]:
    """A document without some elements of its list, and the entry that holds them."""
    fields = list(elements(raw))
    listed = next(field for field in fields if field.name == b"items")
    left = without(listed.value, positions)
    held = [element for number, element in enumerate(elements(listed.value)) if number in positions]
    entry = Entry(
        relation,
        identity_of(raw),
        build([Element(ARRAY, b"elements", array_of(held))]),
        "run-1",
        "2026-11-29T00:00:00Z",
        positions,
        digest(listed.value),
        digest(left),
    )
    return build([field._replace(value=left) if field is listed else field for field in fields]), entry


WHOLE = encode({"_id": 1, "user": "u", "items": [{"product": 1}, {"coupon": 2}, {"product": 3}]})


def one_after_the_other() -> list[Entry]:
    rest, first = taken(WHOLE, PRODUCTS, (0,))
    rest, second = taken(rest, COUPONS, (0,))
    return [first, second, Entry(USERS, identity_of(rest), rest, "run-1", "2026-11-29T00:00:00Z")]


class Shop:
    """One cart and its archive in memory."""

    def __init__(self, entries: list[Entry], document: bytes | None = None) -> None:
        self.held = list(entries)
        self.document = document
        self.fails_after = 99

    def read(self, query: dict[str, Any]) -> Iterator[list[Entry]]:
        for entry in list(self.held):
            yield [entry] if query.get("kind", entry.relation.unit) == entry.relation.unit else []

    def drop(self, entries: list[Entry], unless_claimed: bool = False) -> int:
        self.held = [entry for entry in self.held if entry not in entries]
        return len(entries)

    def judge(self, entry: Entry) -> str:
        if not entry.positions:
            return "" if self.document is None else "another one"
        if self.document is None:
            return GONE
        listed = list_of(self.document, entry)
        assert listed is not None
        return "" if digest(listed) == entry.left else CHANGED_LIST

    def put_back(self, entry: Entry) -> str:
        if self.judge(entry):
            return self.judge(entry)
        self.fails_after -= 1
        if self.fails_after < 0:
            raise MaintenanceError("the server was lost", target="shop.carts", next_step="Run it again.")
        if not entry.positions:
            self.document = entry.payload
            return "restored"
        assert self.document is not None
        listed = list_of(self.document, entry)
        assert listed is not None
        whole = merged(listed, entry.positions, entry.elements)
        fields = [field._replace(value=whole) if field.name == b"items" else field for field in elements(self.document)]
        self.document = build(fields)
        return "restored"


def restored(monkeypatch: pytest.MonkeyPatch, shop: Shop) -> tuple[Any, Any]:
    for name in ("Archive", "Originals"):
        monkeypatch.setattr(orphan_task, name, lambda database, collection: shop)
        monkeypatch.setattr(orphan_observation, name, lambda database, collection: shop)
    made = task(action="restore")
    made._gate = lambda: SimpleNamespace(wait=lambda: 0.0)  # type: ignore[method-assign,assignment,return-value]
    connection: Any = SimpleNamespace(client={"shop": None})
    predicted = orphan_observation.Observer(connection, "shop", {"carts": {}}).look_at_run("carts", "run-1")
    action: Any = Action("restore", "shop.carts", "", RestoreArchived("carts", "run-1"))
    return predicted, made._restore(action, orphan_task.Observed("shop"))


def test_elements_of_one_list_and_their_document_come_back_with_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop(one_after_the_other())
    predicted, outcome = restored(monkeypatch, shop)
    assert shop.document == WHOLE
    assert (outcome.detail.restored, outcome.detail.collisions, shop.held) == (3, (), [])
    assert (predicted.restorable, predicted.collisions) == (3, ())
    assert predicted.restorable_bytes == outcome.bytes


def test_what_was_changed_since_stays_and_is_told_before(monkeypatch: pytest.MonkeyPatch) -> None:
    [first, second, document] = one_after_the_other()
    other = encode({"_id": 1, "user": "u", "items": []})
    shop = Shop([first, second, document], other)
    predicted, outcome = restored(monkeypatch, shop)
    assert (outcome.detail.restored, shop.held, shop.document) == (0, [first, second, document], other)
    assert predicted.restorable == 0
    assert [why for _key, why in predicted.collisions] == [why for _key, why in outcome.detail.collisions]


def test_a_restore_that_fails_half_way_says_how_far_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop(one_after_the_other())
    shop.fails_after = 1
    _predicted, outcome = restored(monkeypatch, shop)
    assert str(outcome.failure).startswith("the server was lost")
    assert outcome.detail.restored == 1
    made = task(action="restore")
    action: Any = Action("restore", "shop.carts", "", RestoreArchived("carts", "run-1"))
    results: Any = Results(False, [action])
    results.all.append(Result(action, FAILED, 0, 0.0, "", "", outcome.detail))
    report = made.report(orphan_task.Observed("shop"), made.plan(orphan_task.Observed("shop"), NOW), results)
    assert report.changed


def test_what_was_there_already_leaves_the_archive_and_counts_as_a_change() -> None:
    made = task(action="restore")
    action: Any = Action("restore", "shop.carts", "", RestoreArchived("carts", "run-1"))
    results: Any = Results(False, [action])
    results.all.append(Result(action, DONE, 0, 0.0, "", "", orphan_task.Done(there=2)))
    observation = orphan_task.Observed("shop")
    assert made.report(observation, made.plan(observation, NOW), results).changed


def test_a_purge_that_fails_half_way_says_how_far_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    class Held:
        """An archive whose server is lost with the second removal."""

        def __init__(self) -> None:
            self.removals = 0

        def get_collection(self, name: str, **options: Any) -> Held:
            return self

        def find(self, query: Any, fields: Any) -> Any:
            return SimpleNamespace(limit=lambda count: [{"_id": "a"}, {"_id": "b"}])

        def delete_many(self, query: Any) -> Any:
            self.removals += 1
            if self.removals > 1:
                raise MaintenanceError("the server was lost", target="shop.carts__orphans", next_step="Run it again.")
            return SimpleNamespace(deleted_count=2)

    made = task(action="purge")
    made._gate = lambda: SimpleNamespace(wait=lambda: 0.0)  # type: ignore[method-assign,assignment,return-value]
    made._connection = SimpleNamespace(client={"shop": Held()})  # type: ignore[assignment]
    monkeypatch.setattr(orphan_task, "note_removal", lambda *arguments: None)
    action: Any = Action("purge", "shop.carts__orphans", "", PurgeArchive("carts", "2026-11-01T00:00:00Z"))
    outcome = made._purge(action, orphan_task.Observed("shop"))
    assert outcome.failure is not None
    assert outcome.detail.purged == 2


@pytest.mark.parametrize(
    ("wanted", "found"),
    [([], ["[a]", "carts", "loyalty_points"]), (["loyalty_*"], ["loyalty_points"]), (["cart"], []), (["[a]"], ["[a]"])],
)
def test_archives_are_meant_by_names_and_patterns(wanted: list[str], found: list[str]) -> None:
    connection: Any = SimpleNamespace(client={"shop": None})
    names: dict[str, dict[str, Any]] = {
        name: {} for name in ("loyalty_points__orphans", "carts__orphans", "[a]__orphans", "carts", "__orphans")
    }
    assert orphan_observation.Observer(connection, "shop", names).archived_collections(wanted) == found


def test_no_entry_is_waited_for_that_nothing_leads_to() -> None:
    [first, second, document] = one_after_the_other()
    waiting = [(first, CHANGED_LIST, 5), (replace(document), "another one", 7)]
    sizes, left = orphan_observation.in_turn(waiting, set())
    assert (sizes, left) == ([], waiting)
    listed = field_of(WHOLE, b"items")
    assert listed is not None and first.before == digest(listed.value)
    sizes, left = orphan_observation.in_turn(waiting, {(second.key.raw, "items", second.before)})
    assert (sizes, left) == ([5], waiting[1:])
