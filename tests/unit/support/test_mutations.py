# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tools import mutations
from tests.tools.mutations import COULD_NOT_RUN, NOT_NOTICED, NOTICED, ROOT, ListError, Ran, check_list, judge
from tests.tools.mutations_list import MUTATIONS, Mutation

GUARD = Mutation("name", "core", "code.py", "if small:", "if True:", ("test_it.py",))
CODE = "def halve(number):\n    small = number < 2\n    if small:\n        return 0\n    return number // 2\n"
TESTS = {
    "from code_of_it import halve\ndef test_four(): assert halve(4) == 2\n": NOTICED,
    "from code_of_it import halve\ndef test_one(): assert halve(1) == 0\n": NOT_NOTICED,
    "from code_of_it import halve\nassert halve(4) == 2\ndef test_one(): pass\n": COULD_NOT_RUN,
    "import pytest, code_of_it\n@pytest.fixture\ndef two(): assert code_of_it.halve(4) == 2\ndef test(two): pass\n": COULD_NOT_RUN,
    "import time, code_of_it\ndef test_slow(): time.sleep(0 if code_of_it.halve(4) else 99)\n": COULD_NOT_RUN,
}


def test_the_list_is_true_and_has_guards_of_every_module_that_acts() -> None:
    check_list(MUTATIONS)
    assert len(MUTATIONS) >= 60
    acting = {
        path.stem
        for path in (ROOT / "plugins/modules").glob("*.py")
        if re.search(r"^    run(?:_outside)?\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(acting) >= 10
    assert acting - {mutation.module for mutation in MUTATIONS} == set()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"guard": "if large:"}, "stands 0 times"),
        ({"guard": "small"}, "stands 2 times"),
        ({"broken": "if:"}, "no Python"),
        ({"broken": "if small:"}, "nothing is broken"),
        ({"tests": ("test_other.py",)}, "no such test: test_other.py"),
        ({"tests": ("test_it.py::test_other",)}, "no such test: test_it.py::test_other"),
        ({"tests": ()}, "none is named"),
    ],
)
def test_a_list_that_is_not_true_is_refused(tmp_path: Path, change: dict[str, object], said: str) -> None:
    (tmp_path / "code.py").write_text(CODE)
    (tmp_path / "test_it.py").write_text("def test_one(): pass\n")
    check_list([GUARD], tmp_path)
    with pytest.raises(ListError, match=said):
        check_list([replace(GUARD, **change)], tmp_path)  # type: ignore[arg-type]
    with pytest.raises(ListError, match="given twice: name"):
        check_list([GUARD, GUARD], tmp_path)


@pytest.mark.parametrize(("tests", "verdict"), TESTS.items())
def test_only_a_test_that_fails_notices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tests: str, verdict: str
) -> None:
    guard = replace(GUARD, file="code_of_it.py")
    monkeypatch.setattr(mutations, "MUTATIONS", (guard,))
    (tmp_path / "code_of_it.py").write_text(CODE)
    (tmp_path / "test_it.py").write_text(tests)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    found = mutations.try_one(tmp_path, guard, 4.0 if "slow" in tests else 60.0)
    assert found.verdict == verdict, found
    assert (tmp_path / "code_of_it.py").read_text() == CODE, "the guard is put back"
    assert found.note == {NOTICED: "test_it.py::test_four", NOT_NOTICED: ""}.get(verdict, found.note)


def test_how_pytest_ended_decides() -> None:
    assert judge(Ran(None, "FAILED a.py::test_b"), 9) == (COULD_NOT_RUN, "not ended after 9 s")
    assert judge(Ran(1, "FAILED tests/a.py::test_b[1]\n!!! stopping\n1 failed"), 9) == (NOTICED, "a.py::test_b")
    assert judge(Ran(1, "ERROR tests/a.py::test_b\n1 error"), 9) == (COULD_NOT_RUN, "pytest ended with 1: 1 error")
    assert judge(Ran(2, "FAILED tests/a.py::test_b\ninterrupted"), 9)[0] == COULD_NOT_RUN
    clumsy = Ran(1, "/a.py:3: NameError: name 'x' is not defined\nFAILED tests/a.py::test_b\n1 failed")
    assert judge(clumsy, 9) == (COULD_NOT_RUN, "NameError: name 'x' is not defined")
    assert judge(Ran(5, ""), 9) == (COULD_NOT_RUN, "pytest ended with 5: no output")
