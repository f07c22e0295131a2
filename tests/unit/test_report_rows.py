# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rows of the summary stand in one list: whatever registers a result or notes a failure names one of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DEFAULTS = yaml.safe_load((ROOT / "roles" / "report" / "defaults" / "main.yml").read_text(encoding="utf-8"))
ROWS = [entry["variable"] for entry in DEFAULTS["report_steps"]]
TITLES = [entry["step"] for entry in DEFAULTS["report_steps"]]
# What ends a run outside of its steps has registered nothing.
WITHOUT_A_TASK = "report_run_result"

TASK_FILES = sorted([*ROOT.glob("playbooks/**/*.yml"), *ROOT.glob("roles/*/tasks/*.yml")])


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tasks(path: Path) -> list[dict[str, Any]]:
    """All tasks of a file, those inside plays and blocks, too."""

    def inside(node: Any) -> Iterator[dict[str, Any]]:
        for item in node or []:
            yield item
            for key in ("tasks", "block", "rescue", "always"):
                yield from inside(item.get(key))

    return list(inside(yaml.safe_load(path.read_text(encoding="utf-8"))))


def results(path: Path) -> list[str]:
    """The rows whose variables the tasks of a file register or set, in order."""
    found = []
    for task in tasks(path):
        for variable in (task.get("register"), *task.get("ansible.builtin.set_fact", {})):
            if variable in ROWS and variable not in found:
                found.append(variable)
    return found


def steps(path: Path) -> list[dict[str, Any]]:
    """The variables of each import of step.yml."""
    return [task["vars"] for task in tasks(path) if task.get("ansible.builtin.import_tasks") == "step.yml"]


STEPS = [(path, step) for path in TASK_FILES for step in steps(path)]


def test_rows_and_titles_are_unique() -> None:
    assert len(set(ROWS)) == len(ROWS)
    assert len(set(TITLES)) == len(TITLES)
    assert not set(TITLES) & set(ROWS)


def test_something_registers_every_row() -> None:
    registered = {variable for path in TASK_FILES for variable in results(path)}
    assert set(ROWS) - registered == {WITHOUT_A_TASK}


@pytest.mark.parametrize("path", TASK_FILES, ids=name)
def test_every_rescue_names_rows(path: Path) -> None:
    for task in tasks(path):
        role = task.get("ansible.builtin.import_role", {})
        by_name = (role.get("name"), role.get("tasks_from")) == ("miniecom.maintenance.report", "failure")
        if by_name or task.get("ansible.builtin.import_tasks", "").endswith("/report/tasks/failure.yml"):
            rows = task["vars"]["report_failed_rows"]
            # These two are told by whoever imports them.
            assert path.name in ("step.yml", "frame.yml") or (rows and set(rows) <= set(ROWS)), task


@pytest.mark.parametrize("path", sorted((ROOT / "playbooks").glob("*.yml")), ids=name)
def test_a_run_that_is_one_step_ends_in_a_row_that_there_is(path: Path) -> None:
    for play in yaml.safe_load(path.read_text()):
        rows = play.get("vars", {}).get("frame_rows", ["report_run_result"])
        assert rows and set(rows) <= set(ROWS)


@pytest.mark.parametrize("path, step", STEPS, ids=[f"{path.stem}-{step['step_rows'][0]}" for path, step in STEPS])
def test_a_step_fails_in_the_rows_of_its_role(path: Path, step: dict[str, Any]) -> None:
    collection, _dot, role = step["step_role"].rpartition(".")
    assert collection == "miniecom.maintenance"
    rows = results(ROOT / "roles" / role / "tasks" / f"{step.get('step_tasks', 'main')}.yml")
    if path.name == "make_room.yml" and step["step_rows"] != rows:
        # Done before its turn: what it does and how it fails has rows apart, into which the file copies the results.
        copies = {
            variable: value
            for task in tasks(path)
            for variable, value in task.get("ansible.builtin.set_fact", {}).items()
        }
        rows = [next(copy for copy, value in copies.items() if f" {row} " in value) for row in rows]
    assert step["step_rows"] == rows


def test_there_are_steps() -> None:
    assert len(STEPS) >= 15, "the test above looks at them"
