# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record cannot be written any more in the middle of the work: what was done is still told, and no more is done."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.support.modules import run_module

LOGS = 40
# Room for the plan and for some of the actions.
ROOM = 12000


def test_actions_done_before_the_record_fails_are_returned(tmp_path: Path, state_dir: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    for number in range(LOGS):
        log = logs / f"{number:03d}.log"
        log.write_text("line\n")
        os.utime(log, (1e9, 1e9))
    begun = run_module("maintenance_run", {"state": "begun", "name": "test", "owner": "me", "state_dir": state_dir})
    limited = tmp_path / "limited-python"
    limited.write_text(
        f"#!{sys.executable}\nimport os, resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({ROOM}, {ROOM}))\n"
        f"os.execv({sys.executable!r}, [{sys.executable!r}] + sys.argv[1:])\n"
    )
    limited.chmod(0o700)
    params = {"paths": [str(logs)], "remove_after": "1d", "run_id": begun.result["run_id"], "state_dir": state_dir}
    result = run_module("log_prune", params, python=limited)
    assert result.rc != 0
    assert "cannot write the record" in result.result["msg"]
    left = len(list(logs.iterdir()))
    assert 0 < left < LOGS, "the limit of this test does not fall into the middle of the work"
    assert result.result["changed"] is True
    assert result.result["counts"]["actions"] == LOGS - left
    assert {action["target"] for action in result.result["actions"]} == {
        str(logs / f"{number:03d}.log") for number in range(LOGS)
    } - {str(path) for path in logs.iterdir()}
