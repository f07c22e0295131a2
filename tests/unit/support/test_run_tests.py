# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools import run_tests
from tests.tools.null_device import MENDING, MENDING_MODE, null_device_trouble
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


def test_the_machines_own_null_device_is_one() -> None:
    assert null_device_trouble() == ""


def test_what_is_no_null_device_is_told_with_what_mends_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, words in (("file", "is no character device"), ("missing", "cannot be used (No such file or directory)")):
        trouble = null_device_trouble(tmp_path / name)
        assert words in trouble and MENDING in trouble and "\n" not in trouble


@pytest.mark.root
@pytest.mark.parametrize(
    ("mode", "minor", "words"),
    [(0o644, 3, "has mode 0644"), (0o600, 3, "has mode 0600"), (0o666, 5, "is device 1:5 and not 1:3")],
)
def test_a_null_device_that_others_cannot_use_is_told(tmp_path: Path, mode: int, minor: int, words: str) -> None:
    path = tmp_path / "null"
    os.mknod(path, stat.S_IFCHR, os.makedev(1, minor))
    path.chmod(mode)
    trouble = null_device_trouble(path)
    assert words in trouble and trouble.endswith(MENDING if minor == 5 else MENDING_MODE)


def driver(arguments: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    """Run the driver with two stages: the second one breaks what stands for /dev/null."""
    monkeypatch.setattr(run_tests, "LOGS", tmp_path)
    null = tmp_path / "null"
    monkeypatch.setattr(
        run_tests, "null_device_trouble", lambda: "" if not null.exists() else null_device_trouble(null)
    )
    commands = {"good": "true", "bad": f"touch {null}", "later": "true"}
    monkeypatch.setattr(run_tests, "stages", lambda: [Stage(name, [["sh", "-c", do]]) for name, do in commands.items()])
    monkeypatch.setattr(sys, "argv", ["run_tests", "--jobs", "1", *arguments])
    return run_tests.main()


def test_the_stage_in_which_the_null_device_was_lost_is_named_and_nothing_begins_without_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert driver([], monkeypatch, tmp_path) == 1
    *_others, failure, last = capsys.readouterr().out.splitlines()
    assert failure.startswith(f"FAILED the machine: {tmp_path}/null is no character device: ")
    assert failure.endswith("(it became so while these ran: bad)") and last == "3 passed, 1 failed"
    assert driver([], monkeypatch, tmp_path) == 1
    line, last = capsys.readouterr().out.splitlines()
    assert MENDING in line and last == "0 passed, 1 failed"
    (tmp_path / "null").unlink()
    assert driver(["good", "later"], monkeypatch, tmp_path) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 passed, 0 failed"
