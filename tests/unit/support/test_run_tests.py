# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools import run_tests
from tests.tools.run_tests import Count, Outcome, Stage, count_junit, failures

TESTS = """
import pytest

@pytest.fixture
def broken():
    raise OSError("no space")

def helper():
    assert 1 == 2, "one is not two"

def test_good(): pass
def test_bad(): helper()
@pytest.mark.parametrize("kind", ["a"])
def test_set_up(broken, kind): pass
"""


def test_the_end_names_each_failed_test_and_where_it_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_tests, "LOGS", tmp_path)
    (tmp_path / "test_it.py").write_text(TESTS)
    stage = Stage("it", [], count=count_junit)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "test_it.py"]
    done = subprocess.run([*command, "--junitxml", str(stage.junit)], cwd=tmp_path, capture_output=True)
    count = count_junit(stage, [done.returncode])
    assert (count.passed, count.failed) == (1, 2)
    bad, set_up = failures([Outcome(stage, count, 1.0, "it.log")])
    assert bad.startswith("FAILED test_it::test_bad at test_it.py:9: AssertionError: one is not two")
    assert set_up.startswith("FAILED test_it::test_set_up[a] at test_it.py:6:") and "no space" in set_up


def test_a_stage_that_is_no_pytest_is_named_with_the_last_line_of_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_tests, "LOGS", tmp_path)
    commands = [["sh", "-c", "echo price: 3 $ each; echo Found 3 errors.; exit 1"], ["echo", "Success"]]
    outcomes = [run_tests.Driver().run(Stage(name, commands[index:])) for index, name in enumerate(("lint", "fine"))]
    assert [outcome.count for outcome in outcomes] == [Count(passed=1, failed=1), Count(passed=1)]
    assert failures(outcomes) == ["FAILED lint: Found 3 errors."]
