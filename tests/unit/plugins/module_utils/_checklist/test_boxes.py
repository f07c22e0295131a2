# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The boxes of the checklists, and how they stand."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._checklist.boxes import (
    BOXES,
    FULL,
    PERIODS,
    Tick,
    as_lines,
    as_values,
    newest,
    plan_ticks,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._checklist.ticking import read_ticks, ticks_path
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.clock import format_utc
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from tests.support.playbooks import ROOT

NOW = datetime(2026, 11, 29, 8, 0, tzinfo=timezone.utc)
BY_HAND = [box.id for box in BOXES if not box.step]
BY_RUN = [box for box in BOXES if box.step]


def ago(days: float) -> str:
    return format_utc(NOW - timedelta(days=days))


def record(
    step: str, status: str = "ok", run: str = "ok", days: float = 0, others: frozenset[str] = frozenset()
) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"step": name, "status": "ok", "headline": "x"} for name in others - {step}]
    steps.append({"step": step, "status": status, "headline": "x", "findings_total": 0})
    return {"name": "weekly maintenance", "owner": "mira", "status": run, "ended": ago(days), "steps": steps}


def test_every_box_has_its_place_and_every_step_its_row() -> None:
    rows = (ROOT / "roles/report/defaults/main.yml").read_text(encoding="utf-8")
    assert len({box.id for box in BOXES}) == len(BOXES) == 17
    assert [list(PERIODS).index(box.period) for box in BOXES] == sorted(
        list(PERIODS).index(box.period) for box in BOXES
    )
    for step in [*(box.step for box in BY_RUN), *FULL]:
        assert "{step: %s, variable:" % step in rows, step
    map_of_guide = (ROOT / "docs/guide-map.md").read_text(encoding="utf-8")
    for box in BOXES:
        assert f"| {box.text} |" in map_of_guide, box.text


@pytest.mark.parametrize("box", BY_RUN, ids=lambda box: box.id)
def test_a_run_ticks_what_it_did_and_nothing_else(box: Any) -> None:
    name = {"name": box.run} if box.run else {}
    whole = {**record(box.step, others=FULL | set(box.also)), **name}
    assert newest(box, [], [whole]) == Tick(box.id, ago(0), f"{box.run or 'weekly maintenance'} of mira")
    assert (newest(box, [], [{**record(box.step), **name}]) is None) is (box.whole or bool(box.also)), (
        "narrowed by tags"
    )
    if box.run:
        assert newest(box, [], [{**whole, "name": "weekly maintenance"}]) is None, "it does less than a review"
    for not_done in (record(box.step, "failed"), record(box.step, "skipped"), record("else"), {}, {"steps": 1}):
        assert newest(box, [], [not_done]) is None
    assert (
        newest(box, [], [{**record(box.step, run="failed", others=FULL | set(box.also)), **name}]) is None
    ) is box.whole


@pytest.mark.parametrize("left", [1, None])
def test_packages_are_updated_when_no_update_is_left(left: int | None) -> None:
    (box,) = [box for box in BOXES if box.clean]
    run = record(box.step)
    assert newest(box, [], [run]) is not None
    run["steps"][-1]["findings_total"] = left
    assert newest(box, [], [run]) is None, "updates are missing, or nobody knows"


@given(st.lists(st.tuples(st.sampled_from(BY_HAND), st.floats(0, 400), st.sampled_from(["mira", "jo"]))))
def test_the_last_tick_counts_and_what_is_older_than_its_period_is_due(entries: list[tuple[str, float, str]]) -> None:
    ticks = [Tick(box, ago(days), by) for box, days, by in entries]
    for box in as_values(ticks, [], NOW):
        own = [days for name, days, _by in entries if name == box["id"]]
        assert bool(box["at"]) is bool(own)
        if own and abs(min(own) - PERIODS[box["period"]]) > 0.001:
            assert box["due"] is (min(own) > PERIODS[box["period"]])
        if not own:
            assert box["due"]
    assert len(as_lines(as_values(ticks, [], NOW))) == len(BOXES) + len(PERIODS) + 1


def test_what_the_clock_or_a_hand_has_spoilt_ticks_nothing(tmp_path: Path) -> None:
    wrong = [Tick("documentation", ago(-400), "mira"), Tick("documentation", ago(3), "jo")]
    records = [
        record("restore test", days=-400),
        record("restore test", days=5),
        {**record("health"), "ended": "today"},
    ]
    boxes = {box["id"]: box for box in as_values(wrong, records, NOW)}
    assert (boxes["documentation"]["by"], boxes["restore_test"]["at"]) == ("jo", ago(5))
    assert boxes["service_health"]["due"]
    good = '{"at": "%s", "box": "documentation", "by": "jo", "note": 5}\n' % ago(1)
    Path(ticks_path(str(tmp_path))).write_bytes(b'\xff\n[]\n7\n{"box": 1}\n' + good.encode() + b'{"at": "x"')
    assert read_ticks(str(tmp_path)) == [Tick("documentation", ago(1), "jo", "5")]


def test_what_a_run_does_nobody_ticks_by_hand() -> None:
    with pytest.raises(MaintenanceError, match="ticked by a run"):
        plan_ticks(["restore_test"], "mira", "", [], NOW)
    with pytest.raises(MaintenanceError, match=r"no such box.*documentation"):
        plan_ticks(["documentatoin"], "mira", "", [], NOW)


def test_one_person_ticks_once_a_day() -> None:
    before = [Tick("documentation", ago(0.1), "mira")]
    again = plan_ticks(["documentation", "recovery_drill", "recovery_drill"], "mira", "", before, NOW)
    assert [action.target for action in again.actions] == ["recovery_drill"]
    assert [kept.target for kept in again.kept] == ["documentation"]
    assert len(plan_ticks(["documentation"], "jo", "", before, NOW).actions) == 1
    assert len(plan_ticks(["documentation"], "mira", "", before, NOW + timedelta(days=1)).actions) == 1
