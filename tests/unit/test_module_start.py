# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What starts modules in the virtual environment: a program on standard input finds all as Python itself would show it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.old_python import VERSION, PythonUnavailable
from tests.support.pythons import find_interpreter
from tests.support.venvs import put_in_place

# What a program can see of how it was started.
LOOK = """# -*- coding: utf-8 -*-
import __main__, json, os, sys
name = "\\u00e4" + "ä"
def annotated(value: undefined_at_that_time = 1) -> None: ...
print(json.dumps({
    "name": __name__, "file": __main__.__file__, "same": __main__.name == name, "argv": sys.argv, "path": sys.path,
    "program": os.path.basename(sys.executable), "rest": sys.stdin.read(),
}))
"""


@pytest.fixture(scope="module", params=["this", "oldest"])
def interpreter(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        base = sys.executable if request.param == "this" else find_interpreter(VERSION)
    except PythonUnavailable as error:
        pytest.skip(f"NOT TESTED: {error}")
    venv = tmp_path_factory.mktemp("start of modules") / "venv"
    subprocess.run([base, "-m", "venv", "--without-pip", venv], check=True)
    return put_in_place(venv)


def ask(
    interpreter: Path, *arguments: str, text: str = "", cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    command = [str(interpreter), *arguments]
    return subprocess.run(command, input=text, env=env, cwd=cwd, capture_output=True, text=True, check=False)


def test_a_program_sees_what_python_would_show_it(interpreter: Path) -> None:
    text = LOOK.replace(": undefined_at_that_time", "")
    seen = [json.loads(ask(program, text=text).stdout) for program in (interpreter, interpreter.with_name("python"))]
    assert seen[0] == seen[1]
    assert seen[0]["name"] == "__main__" and seen[0]["same"]


def test_its_end_is_the_programs(interpreter: Path) -> None:
    assert ask(interpreter, text="raise SystemExit(7)").returncode == 7
    failed = ask(interpreter, text="value = 1\nraise ValueError('why')\n")
    assert failed.returncode == 1
    assert 'File "<stdin>", line 2' in failed.stderr and "ValueError: why" in failed.stderr
    assert "SyntaxError" in ask(interpreter, text="(").stderr


def test_nothing_of_its_own_way_of_writing_reaches_the_program(interpreter: Path) -> None:
    # It has annotations that are never evaluated; what it starts decides for itself.
    assert "NameError" in ask(interpreter, text=LOOK).stderr or sys.version_info >= (3, 14)


def test_garbage_is_not_looked_for_while_little_is_made(interpreter: Path) -> None:
    text = "import gc\nlooks = lambda: sum(part['collections'] for part in gc.get_stats())\n"
    text += "before = looks()\nkept = [[] for _ in range({})]\nprint(looks() - before)\n"
    assert ask(interpreter, text=text.format(20_000)).stdout == "0\n"
    assert int(ask(interpreter, text=text.format(500_000)).stdout) > 0, "what works long still gives its memory back"


def test_with_arguments_it_is_python_itself(interpreter: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import sys; print(sys.argv[1:], sys.path[0])")
    assert ask(interpreter, str(program), "a b", "c").stdout == f"['a b', 'c'] {tmp_path}\n"
    assert ask(interpreter, "-c", "print('said')").stdout == "said\n"


def test_nothing_is_imported_from_where_it_was_started(interpreter: Path, tmp_path: Path) -> None:
    for name in ("code_cache", "types", "start"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken over')")
    done = ask(interpreter, text="print('said')", cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("said\n", "")
