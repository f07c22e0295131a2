# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No index is called superfluous or unused that anybody may need."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.index_advice import (
    UNUSED_AFTER,
    Covered,
    Rest,
    covers,
    find_covered,
    is_unused,
    look_again,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.index_history import (
    history_path,
    read_rests,
    write_rests,
)

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
DAY = timedelta(days=1)
ID = {"name": "_id_", "key": {"_id": 1}}


def index(name: str, more: dict[str, Any] | None = None, **key: Any) -> dict[str, Any]:
    return {"name": name, "key": key, **(more or {})}


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        (index("b", a=1, b=1), index("a", a=1), "prefix"),
        (index("b", a=-1, b=1), index("a", a=1), "prefix"),
        (index("b", a=1, b=-1), index("a", a=-1, b=1), "duplicate"),
        (index("b", a=1, b=1), index("a", a=1, b=-1), ""),
        (index("b", a=1, b=1), index("a", b=1), ""),
        (index("a", a=1), index("b", a=1, b=1), ""),
        (index("b", {"unique": True}, a=1), index("a", a=-1), "duplicate"),
        (index("b", {"expireAfterSeconds": 5}, a=1), index("a", a=-1), "duplicate"),
        (index("b", a=1, b=1), index("a", {"unique": True}, a=1), ""),
        (index("b", a=1, b=1), index("a", {"expireAfterSeconds": 0}, a=1), ""),
        (index("b", a=1, b=1), index("a", {"sparse": True}, a=1), ""),
        (index("b", {"sparse": True}, a=1, b=1), index("a", a=1), ""),
        (index("b", {"partialFilterExpression": {"a": 1}}, a=1, b=1), index("a", a=1), ""),
        (index("b", {"collation": {"locale": "de"}}, a=1, b=1), index("a", a=1), ""),
        (index("b", {"hidden": True}, a=1, b=1), index("a", a=1), ""),
        (index("b", a="text"), index("a", a="text"), ""),
        (index("b", a="hashed"), index("a", a=1), ""),
        (index("b", {}, **{"$**": 1}), index("a", {}, **{"$**": 1}), ""),
        (index("b", _id=1, a=1), ID, ""),
    ],
)
def test_which_index_covers_which(one: dict[str, Any], other: dict[str, Any], kind: str) -> None:
    assert covers(one, other) == kind


def test_of_two_alike_one_stays() -> None:
    specs = [ID, index("x", a=1), index("y", a=-1), index("z", a=1, b=1), index("zz", a=-1, b=-1), index("c", c=1)]
    assert find_covered(specs) == [
        Covered("x", "z", "prefix"),
        Covered("y", "z", "prefix"),
        Covered("zz", "z", "duplicate"),
    ]


SPECS = st.lists(
    st.builds(
        lambda name, key, more: {"name": name, "key": dict(key), **more},
        st.text("abcdefgh", min_size=1, max_size=4),
        st.lists(
            st.tuples(st.sampled_from("xy"), st.sampled_from([1, -1])), min_size=1, max_size=2, unique_by=lambda k: k[0]
        ),
        st.sampled_from([{}, {}, {}, {"unique": True}, {"sparse": True}, {"expireAfterSeconds": 5}]),
    ),
    max_size=6,
    unique_by=lambda spec: spec["name"],
)
REACHED: Counter[str] = Counter()


@given(SPECS)
def test_what_covers_stays(specs: list[dict[str, Any]]) -> None:
    found = find_covered(specs)
    by_name = {spec["name"]: spec for spec in specs}
    gone = {entry.name for entry in found}
    assert len(gone) == len(found)
    for entry in found:
        REACHED[entry.kind] += 1
        assert entry.by not in gone, "else nothing would answer the queries of either"
        assert covers(by_name[entry.by], by_name[entry.name]) == entry.kind
        assert not {"unique", "sparse", "expireAfterSeconds"} & set(by_name[entry.name])


def test_both_kinds_are_reached() -> None:
    test_what_covers_stays()
    assert set(REACHED) == {"duplicate", "prefix"}


@pytest.mark.parametrize(
    ("looks", "days"),
    [
        # Moment of the look, the server's since, its count; all in days.
        ([(40, 0, 0)], 40),
        ([(10, 0, 0), (20, 0, 0)], 20),
        ([(10, 0, 0), (20, 0, 3)], 0),
        ([(10, 0, 3), (20, 0, 3)], 10),
        ([(10, 0, 0), (20, 15, 0)], 15),  # restarted on day 15: from day 10 to it nobody knows
        ([(10, 0, 0), (20, 15, 1)], 0),
        ([(10, 0, 5), (20, 15, 0), (30, 15, 0)], 15),
        ([(20, 0, 0), (10, 0, 0)], 10),  # the clock was turned back
    ],
)
def test_for_how_long_an_index_has_rested(looks: list[tuple[int, int, int]], days: int) -> None:
    rest = None
    for at, since, accesses in looks:
        rest = look_again(rest, START + since * DAY, accesses, START + at * DAY)
    assert rest is not None and rest.rested == days * 86400


EVENTS = st.lists(st.sampled_from(["wait", "look", "use", "restart"]), min_size=1, max_size=30)


@given(EVENTS)
def test_it_has_never_rested_longer_than_since_its_last_use_that_could_be_seen(events: list[str]) -> None:
    now, since, accesses, rest = START, START, 0, None
    last_use, unseen = START, START
    for event in events:
        now += DAY
        if event == "use":
            accesses, last_use = accesses + 1, now
        elif event == "restart":
            # What was counted since the last look is forgotten.
            since, accesses = now, 0
        elif event == "look":
            lost = accesses == 0 and last_use > unseen and since > last_use
            rest = look_again(rest, since, accesses, now)
            unseen = now
            REACHED["looked"] += 1
            assert 0 <= rest.rested <= (now - START).total_seconds()
            if not lost and last_use > START and since <= last_use:
                assert rest.rested <= (now - last_use).total_seconds()


def test_every_member_agrees_or_nothing_is_said() -> None:
    spec, month = index("a", a=1), UNUSED_AFTER.total_seconds()
    long, short = Rest(START, START, 0, month), Rest(START, START, 0, month - 1)
    assert is_unused(spec, [long]) and is_unused(spec, [long, long])
    for members in ([], [short], [long, short], [long, None]):
        assert not is_unused(spec, members)
    for needed in (ID, index("a", {"unique": True}, a=1), index("a", {"expireAfterSeconds": 0}, a=1)):
        assert not is_unused(needed, [long])


def test_history_comes_back_and_old_entries_go(tmp_path: Path) -> None:
    state, now = str(tmp_path / "state"), START + 200 * DAY
    assert read_rests(state) == {}
    young, old = Rest(START, now, 3, 7.5), Rest(START, START, 3, 7.5)
    write_rests(state, {("m:1", "shop.a.b_1"): young, ("m:1", "shop.gone.b_1"): old}, now)
    assert read_rests(state) == {("m:1", "shop.a.b_1"): young}
    path = Path(history_path(state))
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    for text in ("", "{}", '[1, {"member": "a"}]'):
        path.write_text(text)
        assert read_rests(state) == {}
