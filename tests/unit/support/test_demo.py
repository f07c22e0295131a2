# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``make demo`` around what it calls."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools import demo

# Something that needs a moment to end properly.
CHILD = """
import pathlib, subprocess, sys
try:
    print("ready", flush=True)
    sys.stdin.read()
except KeyboardInterrupt:
    subprocess.run([sys.executable, "-c", ""], start_new_session=True)
    pathlib.Path(sys.argv[1]).write_text("ended properly")
"""
DEMO = """
import sys
from tests.tools import demo
demo.down = lambda: demo.call([sys.executable, "-c", sys.argv[1], sys.argv[2]])
sys.exit(demo.main(["down"]))
"""


def test_ctrl_c_lets_what_runs_end_and_prints_no_traceback(tmp_path: Path) -> None:
    note = tmp_path / "note"
    process = subprocess.Popen(
        [sys.executable, "-c", DEMO, CHILD, str(note)],
        cwd=demo.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Whoever runs the tests in a shell's background has it ignored, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    # As a terminal does: everything in the foreground gets it.
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert note.read_text() == "ended properly"
    assert errors == ""
    assert output.startswith("Interrupted. ")


def test_the_next_demo_takes_over_what_an_interrupted_one_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []

    def call(command: list[str], environment: dict[str, str] | None = None) -> int:
        called.append(command)
        return 0

    monkeypatch.setattr(demo, "call", call)
    assert demo.main(["up", "--", "--check"]) == 0
    assert called[-1][-4:] == [str(demo.ROOT / "playbooks/weekly.yml"), "-e", "context_takeover_own=true", "--check"]
    assert demo.main(["try", "monthly", "--", "--check", "--diff"]) == 0
    assert called[-1][-3:] == [str(demo.ROOT / "playbooks/monthly.yml"), "--check", "--diff"]


def test_what_remains_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "call", lambda command, environment=None: 0)
    monkeypatch.setattr(demo, "ROOT", tmp_path)
    assert demo.main(["down"]) == 0
    assert capsys.readouterr().out == ""
    (tmp_path / ".cache").mkdir()
    assert demo.main(["down"]) == 0
    assert "remains in this checkout, in .cache; remove it, too: make clean" in capsys.readouterr().out


def test_make_runs_in_a_directory_with_a_space_in_its_name(tmp_path: Path) -> None:
    checkout = tmp_path / "a shop's checkout"
    (checkout / "tests/tools").mkdir(parents=True)
    shutil.copy(demo.ROOT / "Makefile", checkout)
    (checkout / "tests/tools/bootstrap.sh").write_text("")
    python = checkout / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nprintf "<%s>" "$@"\n')
    python.chmod(0o755)
    done = subprocess.run(
        ["make", "--silent", "try", "PLAYBOOK=monthly", "ARGS=--check --diff"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "<-m><tests.tools.demo><try><monthly><--><--check><--diff>"
