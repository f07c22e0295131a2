# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Killed between any two steps of a swap, the way back leads to the old set, and no document is dropped on it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.swap import (
    COLLECTION,
    COMMITTED,
    STAGING,
    SWAPPING,
    TIMESERIES,
    UNDONE,
    VIEW,
    Define,
    Drop,
    Journal,
    Listed,
    Refill,
    Rename,
    Side,
    Step,
    Swap,
    journal_text,
    read_journal,
    steps_back,
    steps_forward,
    steps_tidy,
)


def same_view(one: str, other: str) -> bool:
    return one == other


@dataclass
class Server:
    """A server that knows names, UUIDs and what the collections hold, by UUID."""

    names: dict[str, Listed] = field(default_factory=dict)
    holds: dict[str, str] = field(default_factory=dict)
    made: int = 0

    def carry_out(self, step: Step) -> None:
        if isinstance(step, Rename):
            assert step.target not in self.names
            assert self.names[step.source].uuid == step.uuid
            assert self.names[step.source].kind == COLLECTION
            self.names[step.target] = self.names.pop(step.source)
        elif isinstance(step, Drop):
            assert self.names[step.name].uuid == step.uuid
            self.holds.pop(self.names.pop(step.name).uuid, None)
        elif isinstance(step, Define):
            assert step.name not in self.names
            self.names[step.name] = Listed(VIEW, "", step.metadata)
        else:
            assert step.name not in self.names
            self.made += 1
            uuid = f"made {self.made}"
            self.names[step.name] = Listed(TIMESERIES, uuid, step.metadata)
            self.holds[uuid] = self.holds[self.names[step.source].uuid]

    def content(self) -> dict[str, Any]:
        return {
            name: (listed.kind, listed.metadata, self.holds.get(listed.uuid)) for name, listed in self.names.items()
        }


def world(kinds: list[tuple[str, str]], view_changes: bool) -> tuple[Server, Journal, dict[str, Any], dict[str, Any]]:
    """A server on which everything is proven and nothing swapped; its contents before, and those wanted."""
    server, swaps = Server(), []
    journal = Journal("t", "shop", SWAPPING)
    wanted: dict[str, Any] = {}
    for number, (old, new) in enumerate(kinds):
        name = f"c{number}"
        side = Side(old, f"old {number}", f"o{number}" if old not in ("", VIEW) else "")
        metadata = f"new {number}" if new != VIEW or view_changes or old != VIEW else f"other {number}"
        new_side = Side(new, metadata, f"n{number}" if new != VIEW else "")
        swaps.append(Swap(number, name, side, new_side))
        if old:
            server.names[name] = Listed(old, side.uuid, side.metadata)
            if side.uuid:
                server.holds[side.uuid] = f"old data {number}"
        wanted[name] = (new, metadata, f"new data {number}" if new != VIEW else None)
    server.names["other"] = Listed(COLLECTION, "x", "")
    server.holds["x"] = "untouched"
    before = server.content()
    journal = replace(journal, swaps=tuple(swaps))
    for swap in swaps:
        if swap.new.kind != VIEW:
            server.names[journal.beside(swap, "new")] = Listed(swap.new.kind, swap.new.uuid, swap.new.metadata)
            server.holds[swap.new.uuid] = f"new data {swap.number}"
        if swap.old.kind == TIMESERIES:
            server.names[journal.beside(swap, "old")] = Listed(COLLECTION, f"copy {swap.number}", "")
            server.holds[f"copy {swap.number}"] = f"old data {swap.number}"
    return server, journal, before, {**wanted, "other": before["other"]}


KINDS = st.lists(
    st.tuples(st.sampled_from(["", COLLECTION, VIEW, TIMESERIES]), st.sampled_from([COLLECTION, VIEW, TIMESERIES])),
    min_size=1,
    max_size=5,
)


@given(kinds=KINDS, view_changes=st.booleans())
def test_forward_and_tidied_it_is_the_new_set(kinds: list[tuple[str, str]], view_changes: bool) -> None:
    server, journal, _before, wanted = world(kinds, view_changes)
    for step in steps_forward(journal, dict(server.names), same_view):
        server.carry_out(step)
    for step in steps_tidy(replace(journal, phase=COMMITTED), dict(server.names)):
        server.carry_out(step)
    assert server.content() == wanted


@given(kinds=KINDS, view_changes=st.booleans(), data=st.data())
def test_killed_anywhere_the_way_back_leads_to_the_old_set(
    kinds: list[tuple[str, str]], view_changes: bool, data: st.DataObject
) -> None:
    server, journal, before, _wanted = world(kinds, view_changes)
    forward = steps_forward(journal, dict(server.names), same_view)
    for step in forward[: data.draw(st.integers(0, len(forward)))]:
        server.carry_out(step)
    for _attempt in range(data.draw(st.integers(0, 2))):  # the way back is killed as well
        back, _strangers = steps_back(journal, dict(server.names), same_view)
        for step in back[: data.draw(st.integers(0, len(back)))]:
            server.carry_out(step)
            assert not isinstance(step, Drop) or step.uuid[:1] != "o"
    back, strangers = steps_back(journal, dict(server.names), same_view)
    assert not strangers
    for step in back:
        server.carry_out(step)
    journal = replace(journal, phase=UNDONE)
    tidy = steps_tidy(journal, dict(server.names))
    for step in tidy[: data.draw(st.integers(0, len(tidy)))]:
        server.carry_out(step)
    for step in steps_tidy(journal, dict(server.names)):
        server.carry_out(step)
    assert server.content() == before


@given(kinds=KINDS)
def test_before_the_swap_only_what_is_beside_goes(kinds: list[tuple[str, str]]) -> None:
    server, journal, before, _wanted = world(kinds, True)
    for step in steps_tidy(replace(journal, phase=STAGING), dict(server.names)):
        server.carry_out(step)
    assert server.content() == before


def test_what_somebody_else_made_in_between_is_kept() -> None:
    server, journal, before, _wanted = world([(COLLECTION, COLLECTION)], True)
    first = steps_forward(journal, dict(server.names), same_view)[0]
    server.carry_out(first)
    server.names["c0"] = Listed(COLLECTION, "stranger", "")
    server.holds["stranger"] = "orders of this morning"
    steps, strangers = steps_back(journal, dict(server.names), same_view)
    for step in steps:
        server.carry_out(step)
    assert server.content()[strangers[0]][2] == "orders of this morning"
    assert server.content()["c0"] == before["c0"]
    for step in steps_tidy(replace(journal, phase=UNDONE), dict(server.names)):
        server.carry_out(step)
    assert strangers[0] in server.names


@given(done=st.integers(0, 6))
def test_a_database_that_was_restored_by_other_means_is_left_alone(done: int) -> None:
    """Into an empty one, which is how most are restored: the names belong to nobody else."""
    kinds = (COLLECTION, VIEW, TIMESERIES)
    server, journal, _before, _wanted = world([("", kind) for kind in kinds], True)
    for step in steps_forward(journal, dict(server.names), same_view)[:done]:
        server.carry_out(step)
    del server.names[journal.beside(journal.swaps[2], "new")]
    for number, kind in enumerate(kinds):
        server.names[f"c{number}"] = Listed(kind, f"by hand {number}", "by hand")
    assert steps_back(journal, dict(server.names), same_view) == ([], [])


def test_a_set_that_others_put_there_is_not_undone() -> None:
    server, journal, _before, _wanted = world([(COLLECTION, COLLECTION)] * 2, True)
    for step in steps_forward(journal, dict(server.names), same_view):
        server.carry_out(step)
    for name in ("c0", "c1"):
        server.names[name] = Listed(COLLECTION, f"by hand {name}", "")
    with pytest.raises(MaintenanceError, match="other collections were put in the place of 2"):
        steps_back(journal, dict(server.names), same_view)


def test_an_old_collection_that_is_nowhere_is_told() -> None:
    server, journal, _before, _wanted = world([(COLLECTION, COLLECTION)], True)
    server.carry_out(steps_forward(journal, dict(server.names), same_view)[0])
    del server.names[journal.beside(journal.swaps[0], "old")]
    with pytest.raises(MaintenanceError, match="nowhere to be found"):
        steps_back(journal, dict(server.names), same_view)


def test_a_collection_that_was_replaced_meanwhile_is_not_swapped() -> None:
    server, journal, _before, _wanted = world([(COLLECTION, COLLECTION)], True)
    server.names["c0"] = Listed(COLLECTION, "another", "")
    with pytest.raises(MaintenanceError, match="was replaced"):
        steps_forward(journal, dict(server.names), same_view)


@pytest.mark.parametrize("phase", [STAGING, SWAPPING, UNDONE])
def test_an_old_collection_is_dropped_only_when_the_new_set_counts(phase: str) -> None:
    server, journal, _before, _wanted = world([(COLLECTION, COLLECTION)], True)
    for step in steps_forward(journal, dict(server.names), same_view):
        server.carry_out(step)
    old = journal.beside(journal.swaps[0], "old")
    dropped = [
        step.name for step in steps_tidy(replace(journal, phase=phase), dict(server.names)) if isinstance(step, Drop)
    ]
    assert old not in dropped
    dropped = [
        step.name
        for step in steps_tidy(replace(journal, phase=COMMITTED), dict(server.names))
        if isinstance(step, Drop)
    ]
    assert old in dropped


@given(kinds=KINDS)
def test_a_journal_is_read_back_as_it_was_written(kinds: list[tuple[str, str]]) -> None:
    _server, journal, _before, _wanted = world(kinds, True)
    assert read_journal(journal_text(journal)) == journal


def test_a_refill_reads_what_stands_beside() -> None:
    server, journal, _before, _wanted = world([(TIMESERIES, TIMESERIES)], True)
    steps = steps_forward(journal, dict(server.names), same_view)
    assert steps == [Drop("c0", "o0"), Refill("c0", "new 0", journal.beside(journal.swaps[0], "new"))]
