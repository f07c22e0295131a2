# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.miniecom.maintenance.plugins.plugin_utils.step_report import collect, step_of, table, verdict

WANTED = [{"step": name, "variable": name + "_result"} for name in ("backup", "compaction", "ports", "logs", "gone")]
VARIABLES = {
    "backup_result": {"changed": True, "summary": {"headline": "wrote it", "bytes": 1048576, "seconds": 2.04}},
    "compaction_result": {"skipped": True, "reason": "no backup"},
    "ports_result": {"failed": True, "msg": "2 new findings", "summary": {"findings": 2}},
    "logs_result": {"changed": False, "summary": {"headline": "nothing old"}},
}


def test_rows_come_in_order_and_only_for_what_ran() -> None:
    steps = collect(WANTED, VARIABLES, check=False)
    assert [(step.step, step.status) for step in steps] == [
        ("backup", "changed"),
        ("compaction", "skipped"),
        ("ports", "failed"),
        ("logs", "ok"),
    ]
    assert steps[1].headline == "no backup"
    assert steps[2].findings == 2


def test_the_table_shows_units_and_failures() -> None:
    text = table(collect(WANTED, VARIABLES, check=False), "weekly of shop", False, ["the end"])
    assert "1.0 MiB" in text
    assert "FAILED" in text
    assert text.splitlines()[0] == "weekly of shop"
    assert text.endswith("the end")
    assert max(map(len, text.splitlines())) < 140


def test_check_mode_says_would() -> None:
    steps = collect(WANTED, VARIABLES, check=True)
    assert "WOULD" in table(steps, "t", True)
    assert verdict(steps, True) == "1 of 4 steps failed: ports"


def test_a_loop_counts_as_one_step() -> None:
    looped = {
        "results": [
            {"changed": False, "summary": {"headline": "backend: 2 outdated", "findings": 1}},
            {"changed": True, "summary": {"headline": "frontend: 1 outdated", "findings": 2}},
        ]
    }
    step = step_of("updates", looped, check=False)
    assert (step.status, step.findings) == ("changed", 3)
    assert "backend" in step.headline and "frontend" in step.headline


def test_numbers_that_are_none_are_shown_as_dashes() -> None:
    assert step_of("x", {"summary": {"bytes": None, "seconds": "?"}}, False).seconds is None
