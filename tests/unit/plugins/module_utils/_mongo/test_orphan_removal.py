# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two runs at once, from two hosts of the same replica set: what one of them does to the archive never leaves the other's
documents nowhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from bson import encode

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import AbortPlan
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import orphan_removal as removal
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.orphan_archive import Archive, Entry
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.orphan_judgement import (
    AgeRule,
    Verdict,
    identity_of,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.relations import Relation

NOW = datetime(2026, 11, 29, tzinfo=timezone.utc)
AGES = AgeRule(NOW, True)
STOCK = Relation("stock", "product", "products")
RAWS = [encode({"_id": number, "product": number}) for number in range(3)]


class World:
    """A collection and its archive in memory, in the place of the server's, and when each was asked for what."""

    def __init__(self) -> None:
        self.documents = {identity_of(raw).value: raw for raw in RAWS}
        self.entries: dict[str, Entry] = {}
        self.claimed: set[str] = set()
        self.asked: list[str] = []
        # What has a reference by now.
        self.referring: set[bytes] = set()

    # -- the archive ---------------------------------------------------------------------------------------------------

    def write(self, entries: list[Entry]) -> None:
        self.entries.update({entry.id: entry for entry in entries})

    def verify(self, entries: list[Entry]) -> None:
        assert all(entry.id in self.entries for entry in entries)

    def read(self, query: dict[str, Any]) -> list[list[Entry]]:
        return [[entry for entry in self.entries.values() if entry.pending]]

    def claim(self, entries: list[Entry]) -> list[Entry]:
        found = [entry for entry in entries if entry.id in self.entries]
        found = [entry for entry in found if self.entries[entry.id].run_id == entry.run_id]
        self.claimed |= {entry.id for entry in found}
        return found

    def drop(self, entries: list[Entry], unless_claimed: bool = False) -> int:
        dropped = [one for one in entries if one.id in self.entries and not (unless_claimed and one.id in self.claimed)]
        for entry in dropped:
            del self.entries[entry.id]
        return len(dropped)

    def settle(self, entries: list[Entry]) -> int:
        found = [entry.id for entry in entries if entry.id in self.entries]
        for one in found:
            self.entries[one] = replace(self.entries[one], pending=False)
        return len(found)

    # -- the collection ------------------------------------------------------------------------------------------------

    def judge(self, entry: Entry) -> str:
        return "there" if entry.key.value in self.documents else ""

    def remove(self, raws: list[bytes]) -> int:
        return len([self.documents.pop(identity_of(raw).value) for raw in raws])

    def put_back(self, entry: Entry) -> str:
        self.documents[entry.key.value] = entry.payload
        return "restored"

    # ------------------------------------------------------------------------------------------------------------------

    def verdicts(self, finder: Any, relation: Relation, raws: list[bytes], policy: AgeRule) -> list[Verdict]:
        self.asked.append("judged")
        return [Verdict("it has a reference" if raw in self.referring else "") for raw in raws]

    def lost(self) -> set[bytes]:
        return set(RAWS) - set(self.documents.values()) - {entry.payload for entry in self.entries.values()}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(removal, "Archive", lambda database, collection: made)
    monkeypatch.setattr(removal, "Originals", lambda database, collection: made)
    monkeypatch.setattr(removal, "OrphanFinder", lambda database, cutoff: None)
    monkeypatch.setattr(removal, "has_reference", lambda finder, entry: False)
    monkeypatch.setattr(removal, "judge_documents", made.verdicts)
    return made


def archive(world: World, between: Callable[[str], None], gate: Any = None) -> removal.Moved:
    archiver = removal.Archiver(None, STOCK, AGES, "run-1", NOW, gate, between=between)
    archiver._batch(RAWS)
    return archiver.moved


def others(world: World, at: str) -> Callable[[str], None]:
    """What another run does first of all, at a step of ours."""

    def between(step: str) -> None:
        if step == at:
            removal.settle_pending(None, "stock", AGES)

    return between


def test_archived_is_out_of_the_collection_and_settled(world: World) -> None:
    moved = archive(world, lambda step: None)
    assert (moved.entries, moved.stayed, world.documents) == (3, {}, {})
    assert [entry.pending for entry in world.entries.values()] == [False] * 3


def test_what_gains_its_parent_while_it_is_removed_is_put_back(world: World) -> None:
    def between(step: str) -> None:
        if step == "removed":
            world.referring = {RAWS[1]}

    assert archive(world, between).stayed == {removal.PUT_BACK: 1}
    assert list(world.documents.values()) == [RAWS[1]]
    assert sorted(entry.payload for entry in world.entries.values()) == [RAWS[0], RAWS[2]]


def test_the_only_copy_of_what_has_gone_meanwhile_is_not_dropped(world: World) -> None:
    """Another run may have removed it."""

    def between(step: str) -> None:
        if step == "verified":
            world.referring = {RAWS[1]}
            del world.documents[identity_of(RAWS[1]).value]

    archive(world, between)
    assert [entry.pending for entry in world.entries.values() if entry.payload == RAWS[1]] == [True]
    assert not world.lost()


@pytest.mark.parametrize("step", ["verified", "noted"])
def test_nothing_is_removed_whose_entry_another_run_has_dropped(world: World, step: str) -> None:
    moved = archive(world, others(world, step))
    assert moved.stayed == {removal.TAKEN: 3}
    assert sorted(world.documents.values()) == sorted(RAWS)


@pytest.mark.parametrize("step", ["copied", "verified", "noted"])
def test_what_another_run_has_taken_over_is_left_to_it(world: World, step: str) -> None:
    def between(now: str) -> None:
        if now == step:
            first = next(iter(world.entries))
            world.entries[first] = replace(world.entries[first], run_id="run-9")

    assert archive(world, between).stayed == {removal.TAKEN: 1}
    assert len(world.documents) == 1
    assert not world.lost()


def test_copies_are_verified_by_what_they_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = entries()
    there = [replace(ours[0], run_id="run-9"), ours[1], ours[2]]
    monkeypatch.setattr(Archive, "read", lambda self, query: [there])
    Archive(Commands(0, []), "stock").verify(ours)
    there[1] = replace(ours[1], payload=RAWS[0])
    with pytest.raises(AbortPlan, match="1 copies in the archive are not what was written"):
        Archive(Commands(0, []), "stock").verify(ours)


@pytest.mark.parametrize("step", ["claimed", "removed", "looked up"])
def test_another_run_drops_nothing_that_is_being_removed(world: World, step: str) -> None:
    counts: list[dict[str, int]] = []

    def between(now: str) -> None:
        if now == step:
            counts.append(removal.settle_pending(None, "stock", AGES))
        assert not world.lost()

    assert archive(world, between).entries == 3
    assert counts == [{"left": 3} if step == "claimed" else {"archived": 3}]
    assert not world.lost()


def test_an_entry_that_vanished_while_its_document_was_removed_is_written_again(world: World) -> None:
    def between(step: str) -> None:
        if step == "looked up":
            world.entries.clear()

    archive(world, between)
    assert not world.lost()
    assert [entry.pending for entry in world.entries.values()] == [False] * 3


def test_it_is_told_under_which_run_what_was_cut_off_is_archived(world: World) -> None:
    world.write(entries())
    world.documents.popitem()
    runs: list[str] = []
    assert removal.settle_pending(None, "stock", AGES, told=runs.append) == {"dropped": 2, "archived": 1}
    assert runs == ["run-1"]


def test_members_are_waited_for_before_the_last_look_and_not_after_it(world: World) -> None:
    class Gate:
        def wait(self) -> float:
            world.asked.append("waited")
            return 0.0

    archive(world, lambda step: world.asked.append(step), Gate())
    assert world.asked.index("waited") < max(
        number for number, what in enumerate(world.asked[: world.asked.index("claimed")]) if what == "judged"
    )


class Commands:
    """A collection of the driver, as far as it is asked for here."""

    def __init__(self, matched: int, there: list[str]) -> None:
        self.matched_count = self.deleted_count = matched
        self.there = there
        self.sent: list[Any] = []
        self.name = "shop"

    def get_collection(self, name: str, **options: Any) -> Commands:
        return self

    def update_many(self, query: Any, change: Any) -> Commands:
        self.sent.append((query, change))
        return self

    def delete_many(self, query: Any) -> Commands:
        self.sent.append(query)
        return self

    def find(self, query: Any, fields: Any) -> list[dict[str, str]]:
        self.sent.append(query)
        return [{"_id": one} for one in self.there]


def entries() -> list[Entry]:
    return [Entry(STOCK, identity_of(raw), raw, "run-1", "2026-11-29T00:00:00Z") for raw in RAWS]


def test_only_what_is_pending_of_the_own_run_is_claimed() -> None:
    ours = entries()
    server = Commands(2, [ours[0].id, ours[2].id])
    assert Archive(server, "stock").claim(ours) == [ours[0], ours[2]]
    query, change = server.sent[0]
    assert query == {"_id": {"$in": [entry.id for entry in ours]}, "run_id": "run-1", "pending": True}
    assert change == {"$currentDate": {"claimed": True}}


def test_parts_go_only_with_their_entry() -> None:
    ours = entries()
    server = Commands(1, [ours[0].id])
    assert Archive(server, "stock").drop(ours[:2], unless_claimed=True) == 1
    assert "$claimed" in str(server.sent[0]["$expr"])
    assert server.sent[-1]["$or"] == [{"_id": {"$gt": ours[1].id + "-", "$lt": ours[1].id + "."}}]
    server = Commands(2, [])
    Archive(server, "stock").drop(ours[:2])
    assert "$expr" not in server.sent[0]
    assert len(server.sent[-1]["$or"]) == 2
