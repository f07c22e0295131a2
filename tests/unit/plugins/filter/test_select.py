# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible.parsing.dataloader import DataLoader
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.filter.select import EXAMPLES, select
from ansible_collections.miniecom.maintenance.plugins.plugin_utils import query as module
from ansible_collections.miniecom.maintenance.plugins.plugin_utils.query import plain
from tests.support.playbooks import run_playbook

# As a playbook has them: read by Ansible, so that each value carries where it was written.
RESULTS = """
security_audit_permissions_result:
  findings:
    - {status: new, severity: high, target: /b}
    - {status: new, severity: low, target: /c}
    - {status: known, severity: critical, target: /d}
report_result:
  steps:
    - {step: backup, seconds: 2.5}
    - {step: disk, seconds: 0.5}
    - {step: context, seconds: null}
    - {step: logs, seconds: 7}
    - {step: audit, seconds: 3}
backup_result: {summary: {bytes: 2000000}}
"""


def test_the_examples_of_the_documentation(tmp_path: Path) -> None:
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": yaml.safe_load(RESULTS),
        "tasks": yaml.safe_load(EXAMPLES),
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play], sort_keys=False))
    run = run_playbook(str(tmp_path / "play.yml"), "localhost,", "-c", "local", log=tmp_path / "log").assert_ok()
    new, longest, large = [task["result"] for task in run.tasks]
    assert new["msg"] == ["/b"]
    assert longest["msg"] == [["logs", 7], ["audit", 3], ["backup", 2.5]]
    assert large["msg"] == "All assertions passed"


def test_functions_know_what_ansible_has_read() -> None:
    found = DataLoader().load(RESULTS)
    assert select(found, "report_result.steps[?contains(step, 'au')].step") == ["audit"]
    assert select(found, "sort_by(report_result.steps, &step)[0].step") == "audit"
    assert select(found, "length(keys(@))") == 3


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_what_is_plain_stays_as_it_is(value: Any) -> None:
    assert plain(value) == value
    assert json.dumps(plain(value)) == json.dumps(value)


def test_what_json_has_not_is_text() -> None:
    assert plain({"on": datetime.date(2026, 11, 29), "of": ("a",)}) == {"on": "2026-11-29", "of": ["a"]}


def test_nothing_chosen_is_null() -> None:
    assert select({"a": 1}, "b.c") is None


@pytest.mark.parametrize("expression", ["findings[?", "unknown_function(@)", "sort_by(a, &b)", ""])
def test_a_wrong_expression_is_named(expression: str) -> None:
    with pytest.raises(AnsibleFilterError, match="select: "):
        select({"a": [{"b": 1}, {"b": "x"}]}, expression)


def test_without_the_library_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "jmespath", None)
    with pytest.raises(AnsibleFilterError, match="pip install jmespath"):
        select({}, "a")
