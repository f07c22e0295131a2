# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the first make of a clone does before there is a Python of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# Takes as long to make an environment as somebody wants.
SLOW = '#!/bin/sh\n[ "$1" = -c ] || read -r line <"$WAIT_FOR"\n'


def test_it_says_that_it_lives_until_it_is_interrupted(tmp_path: Path) -> None:
    (tmp_path / "tests/tools").mkdir(parents=True)
    shutil.copy(ROOT / "tests/tools/bootstrap.sh", tmp_path / "tests/tools")
    (tmp_path / "requirements-dev.txt").touch()
    python = tmp_path / "python"
    python.write_text(SLOW)
    python.chmod(0o755)
    os.mkfifo(tmp_path / "never")
    process = subprocess.Popen(
        ["sh", "tests/tools/bootstrap.sh"],
        cwd=tmp_path,
        env={**os.environ, "PYTHON": str(python), "WAIT_FOR": str(tmp_path / "never"), "BEAT": "0.1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # Whoever runs the tests in a shell's background has it ignored, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(f"Making .venv with {python}")
        assert [process.stdout.readline() for _ in range(2)] == ["  ...\n"] * 2
        # As a terminal does: everything in the foreground gets it.
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=60) != 0
        # To the end of its output, which all that it has started must let go.
        process.communicate(timeout=60)
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
