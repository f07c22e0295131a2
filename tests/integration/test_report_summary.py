# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a summary shows: the rows that somebody's own expression chooses, and what nobody may miss."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.playbooks import PlaybookRun, run_playbook

FINDINGS = [
    {"id": "aa11", "severity": "high", "status": "known", "target": "/srv/a", "message": "it is open", "rule": "r"},
    {"id": "bb22", "severity": "low", "status": "known", "target": "/srv/b", "message": "it is read", "rule": "r"},
]


def titles(run: PlaybookRun) -> list[str]:
    """Of the rows that the table shows."""
    return [line.split()[0] for line in run.output.splitlines() if line.startswith(("one ", "two "))]


def report(tmp_path: Path, expression: str, **further: Any) -> PlaybookRun:
    """A run with one audit, ended by the role report with the expression as an inventory has it."""
    audit = {"summary": {"headline": "2 findings", "findings_total": 2}, "baseline": {"state": "kept"}}
    tasks = [
        {
            "name": "Begin",
            "miniecom.maintenance.maintenance_run": {"state": "begun", "state_dir": str(tmp_path / "state")},
            "register": "context_run",
        },
        {"name": "Audit", "ansible.builtin.set_fact": {"one_result": {**audit, "findings": FINDINGS}}},
        {"name": "Look", "ansible.builtin.set_fact": {"two_result": {"summary": {"headline": "nothing"}}}},
        {"name": "End", "ansible.builtin.import_role": {"name": "miniecom.maintenance.report"}},
    ]
    variables = {
        "report_name": "a run",
        "report_directory": "",
        "report_steps": [{"step": name, "variable": f"{name}_result"} for name in ("one", "two")],
        "report_select": expression,
        "context_state_dir": str(tmp_path / "state"),
        **further,
    }
    play = {"hosts": "shop", "gather_facts": False, "vars": variables, "tasks": tasks}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    hosts = {"all": {"hosts": {"shop": host}}}
    (tmp_path / "hosts.json").write_text(json.dumps(hosts))
    run = run_playbook(
        str(tmp_path / "play.yml"), tmp_path / "hosts.json", log=tmp_path / "log", env={"COLUMNS": "100"}
    )
    return run.assert_ok()


@pytest.mark.parametrize("expression", ["steps[?headline=='2 findings']", "steps[?contains(['one'], step)].step"])
def test_what_an_expression_chooses_is_shown_alone(tmp_path: Path, expression: str) -> None:
    # contains does not know the text of newer ansible-core unless it is made plain.
    run = report(tmp_path, expression)
    assert titles(run) == ["one"]
    assert len(run.result("maintenance_report")["steps"]) == 2, "the result has all"


def test_a_slip_in_the_expression_hides_nothing(tmp_path: Path) -> None:
    run = report(tmp_path, "findings[?severity==")
    assert "findings[?severity==" in run.output
    assert titles(run) == ["one", "two"]
    assert "2 known (1 high, 1 low)" in run.output


def test_uploads_that_go_with_a_container_are_in_the_verdict(tmp_path: Path) -> None:
    context = {"storage": {"uploads": {"in_writable_layer": True}, "invoices": {"kind": "volume"}}}
    run = report(tmp_path, "", context_result={"context": context})
    verdict = run.result("maintenance_report")["verdict"]
    assert verdict.endswith("AT RISK: uploads lie in a container's writable layer and go with it")
    assert verdict in " ".join(run.output.split())
