# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a run's result is alerted."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.filter.problems import problems
from tests.support.playbooks import ROOT

RESULT: dict[str, Any] = {
    "name": "weekly maintenance",
    "status": "failed",
    "verdict": "1 of 4 steps failed: backup",
    "steps": [
        {"step": "health", "status": "ok", "headline": "up", "seconds": 0.1},
        {"step": "backup", "status": "failed", "headline": "no space", "seconds": 3.0},
        {"step": "old logs", "status": "changed", "headline": "removed 3", "seconds": 90.0},
        {"step": "restore test", "status": "skipped", "headline": "no backup", "seconds": None},
        {"step": "permissions", "status": "ok", "headline": "2 findings", "seconds": 1.0},
    ],
    "findings": [
        {"id": "a-1", "step": "permissions", "severity": "high", "status": "new", "target": "/x", "message": "open"},
        {"id": "a-2", "step": "permissions", "severity": "high", "status": "known", "target": "/y", "message": "open"},
    ],
}


def told(when: str = "", result: Any = RESULT) -> list[tuple[str, str]]:
    return [
        (entry["kind"], entry.get("id") or entry.get("step") or entry["text"])
        for entry in problems(result, when)["problems"]
    ]


def test_failed_steps_and_new_findings_by_default() -> None:
    assert told() == [("step", "backup"), ("finding", "a-1")]
    assert told("status == 'failed'") == told()
    assert problems(RESULT)["looked_at"] == ["health", "old logs", "permissions"]


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("status == 'ok'", []),
        ("steps[?step=='disk']", []),
        ("nothing.of.this", []),
        ("steps[?seconds > `60`]", [("step", "old logs")]),
        (
            "[steps[?status=='failed'], findings[?severity=='high']][]",
            [("step", "backup"), ("finding", "a-1"), ("finding", "a-2")],
        ),
        ("steps[?status=='changed'].headline", [("text", "removed 3")]),
        ("verdict", [("text", RESULT["verdict"])]),
    ],
)
def test_an_expression_decides(when: str, expected: list[tuple[str, str]]) -> None:
    assert told(when) == expected


def test_the_examples_of_the_readme() -> None:
    text = (ROOT / "roles/alerts/README.md").read_text(encoding="utf-8")
    first, second = re.findall(r"(?<=[ `])`((?:\[|steps\[).+?)`(?=[,.`])", text.partition("`alerts_when` chooses")[2])
    more = [{"step": "log errors", "status": "failed"}, {"step": "backup", "status": "changed", "seconds": 3601.0}]
    result = dict(RESULT, steps=[*RESULT["steps"], *more])
    assert told(first, result) == [("step", "backup")]
    assert told(second, result) == [("step", "backup"), ("step", "log errors"), ("step", "backup")]


def test_a_slip_in_the_expression_keeps_nobody_from_hearing_what_failed() -> None:
    found = problems(RESULT, "steps[?")["problems"]
    assert found[0]["kind"] == "run"
    assert "alerts_when" in found[0]["text"]
    assert [entry["kind"] for entry in found[1:]] == ["step", "finding"]


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ({}, "could not be reported"),
        (None, "could not be reported"),
        ({**RESULT, "steps": [], "findings": [], "verdict": "it was taken over"}, "it was taken over"),
        (
            {**RESULT, "status": "ok", "steps": [], "findings": [], "failed": True, "msg": "cannot end the run"},
            "cannot end",
        ),
    ],
)
def test_a_run_that_failed_outside_of_its_steps_is_told_whatever_the_expression(result: Any, text: str) -> None:
    for when in ("", "steps[?step=='backup']"):
        (found,) = problems(result, when)["problems"]
        assert (found["kind"], found["severity"]) == ("run", "critical")
        assert text in found["text"]
