# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which rows of a summary are shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.plugin_utils.report_selection import chosen_rows
from ansible_collections.miniecom.maintenance.plugins.plugin_utils.step_report import Step

STEPS = [
    Step("health", "ok", "the shop is up", seconds=0.2),
    Step("backup", "changed", "backed up", seconds=12.5),
    Step("orphans", "failed", "no answer", seconds=3.0),
    Step("disk", "ok", "plenty of room"),
]


def shown(expression: str, steps: list[Step] = STEPS) -> tuple[list[str], str]:
    result: dict[str, Any] = {"status": "failed", "steps": [step.as_dict() for step in steps]}
    rows, said = chosen_rows(steps, result, expression)
    return [row.step for row in rows], said


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("", ["health", "backup", "orphans", "disk"]),
        ("  ", ["health", "backup", "orphans", "disk"]),
        ("steps[?status!='ok']", ["backup", "orphans"]),
        ("steps[?step=='disk'] | [0]", ["disk", "orphans"]),
        ("reverse(sort_by(steps[?seconds], &seconds))[:2]", ["backup", "orphans"]),
        ("steps[?seconds > `1`].step", ["backup", "orphans"]),
        ("'disk'", ["disk", "orphans"]),
        ("['disk', 'no such step', 'disk', 'health']", ["disk", "health", "orphans"]),
        ("steps[?status=='nothing like this']", ["orphans"]),
        ("nothing", ["orphans"]),
        ("status=='ok'", ["orphans"]),
    ],
)
def test_what_is_chosen_is_shown_in_its_order_and_failures_always(expression: str, expected: list[str]) -> None:
    found, said = shown(expression)
    assert found == expected
    assert said == (f"{len(expected)} of 4 steps are shown (report_select)" if expression.strip() else "")


@pytest.mark.parametrize("expression", ["steps[?", "nonsense(steps)", "steps[].seconds", "length(steps)", "@"])
def test_a_slip_in_the_expression_hides_nothing(expression: str) -> None:
    found, said = shown(expression)
    assert found == [step.step for step in STEPS]
    assert said.startswith("report_select chooses nothing: ")


@given(
    st.lists(st.tuples(st.text("abc", min_size=1, max_size=2), st.sampled_from(["ok", "failed", "skipped"]))),
    st.lists(st.text("abcd", min_size=1, max_size=2)),
)
def test_no_failure_is_hidden_and_no_row_is_shown_twice(made: list[tuple[str, str]], wanted: list[str]) -> None:
    steps = [Step(title, status, "x") for title, status in dict(made).items()]
    found, _said = shown(f"`{json.dumps(wanted)}`", steps)
    assert len(set(found)) == len(found)
    assert set(found) == {step.step for step in steps if step.status == "failed" or step.step in wanted}
