# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from tests.sandbox.daemon import Daemon, of_directory, spawn, start_time
from tests.support.replica import wait_for


def sleeper(tmp_path: Path, *arguments: str) -> Daemon:
    program = tmp_path / "program.py"
    program.write_text("import signal\nprint('ready', flush=True)\nsignal.pause()\n")
    daemon = spawn([sys.executable, str(program), *arguments], tmp_path, tmp_path / "log", os.environ)
    # For a moment after exec the kernel knows no command line of it.
    wait_for(lambda: "ready" in (tmp_path / "log").read_text())
    return daemon


def test_end_and_alive(tmp_path: Path) -> None:
    daemon = sleeper(tmp_path)
    assert daemon.alive
    assert daemon in of_directory(tmp_path)
    daemon.end()
    assert not daemon.alive
    assert of_directory(tmp_path) == []
    daemon.end()  # of a dead one: nothing


def test_a_process_with_a_reused_pid_is_not_ended(tmp_path: Path) -> None:
    daemon = sleeper(tmp_path)
    try:
        for stranger in (replace(daemon, start_time=daemon.start_time - 1), replace(daemon, boot="another")):
            assert not stranger.alive
            stranger.end()
            assert daemon.alive
    finally:
        daemon.end()


def test_one_that_does_not_want_to_is_forced(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import signal; signal.signal(15, signal.SIG_IGN); print(1, flush=True); signal.pause()",
        ],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    Daemon.of(process.pid).end(seconds=0.2)
    assert process.wait(10) == -signal.SIGKILL
    process.stdout.close()


def test_processes_of_other_directories_are_not_found(tmp_path: Path) -> None:
    daemon = sleeper(tmp_path)
    try:
        assert of_directory(tmp_path / "other") == []
        assert of_directory(tmp_path.with_name(tmp_path.name[:-1])) == []  # the beginning of a name is another name
    finally:
        daemon.end()


def test_no_such_process() -> None:
    assert start_time(2**22 + 1) is None
    assert start_time(os.getpid())
