# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests that act as another user, in a checkout that no other user can enter, such as one in root's home."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import lacking

ROOT = Path(__file__).resolve().parents[2]
# One for each way in which tests become another user; those that need an engine or a playbook besides cost too much for a second time.
TESTS = (
    "tests/integration/test_context_info.py::test_an_environment_file_of_another_user",
    "tests/integration/test_engine_private.py::test_without_root_it_says_so",
    "tests/integration/test_log_prune.py::test_without_root_no_line_of_a_process_that_hides_is_lost",
    "tests/integration/test_perm_audit.py::test_a_directory_that_is_closed_to_the_auditor_is_told",
)
# The checkout as it is, its environment included, seen in another place. The mount is gone with the process that sees it.
BEGIN = 'mount --bind "$1" "$2" && cd "$2" && shift 2 && exec "$@"'


@pytest.mark.root
def test_what_another_user_needs_is_taken_to_a_place_that_he_can_enter(tmp_path: Path) -> None:
    if not shutil.which("unshare"):
        lacking("mount namespaces: there is no unshare")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    clone = closed / "clone"
    clone.mkdir()
    python = str(clone / ".venv/bin/python")
    if not (ROOT / ".venv/bin/python").exists():
        lacking("a checkout with an environment of its own: make venv")
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", BEGIN, "sh", str(ROOT), str(clone)]
        + [python, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'inner'}", *TESTS],
        env={
            **os.environ,
            "PYTHONPATH": f"{clone / 'collections'}:{clone}",
            "PATH": f"{Path(python).parent}:{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert not list(clone.iterdir())
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    counts = re.search(r"(\d+) passed in ", done.stdout)
    assert counts and int(counts[1]) >= len(TESTS) and "skipped" not in done.stdout, done.stdout[-2000:]
