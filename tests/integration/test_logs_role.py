# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role logs, run as users run it: what it makes of inventory variables, and what it leaves in the directories."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import lacking
from tests.sandbox.fetch import PackagesUnavailable, logrotate_binary
from tests.support.playbooks import PlaybookRun, run_playbook

DAY = 86400
PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.import_role:
        name: miniecom.maintenance.logs
    - ansible.builtin.debug:
        var: logs_rotate_result.summary.headline
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A shop's directory with one log that is due by its size."""
    directory = tmp_path / "shop" / "storage" / "logs"
    directory.mkdir(parents=True)
    (directory / "ops.log").write_text("a line\n" * 1000)
    return tmp_path / "shop"


def rotate(root: Path, *arguments: str, **variables: Any) -> PlaybookRun:
    try:
        program = logrotate_binary()
    except PackagesUnavailable as error:
        lacking(f"logrotate: {error}")
    play = root.parent / "play.yml"
    play.write_text(PLAY)
    given = {
        "context_state_dir": str(root.parent / "state"),
        "context_result": {
            "context": {
                "root": str(root),
                "settings": {"MAX_LOG_SIZE": 1000, "LOG_RETENTION_DAYS": 30},
                "storage": {"logs": {"path": str(root / "storage" / "logs")}},
            }
        },
        "logs_logrotate": str(program),
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
    }
    (root.parent / "state").mkdir(mode=0o700, exist_ok=True)
    given.update(variables)
    log = root.parent / "tasks.log"
    return run_playbook(str(play), "localhost,", "--extra-vars", json.dumps(given), *arguments, log=log)


def injection(mark: Path, value: str) -> str:
    return f"{value}\n    sharedscripts\n    postrotate\n        touch {mark}\n    endscript\n"


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("logs_max_size", "1k"),
        ("logs_pattern", '*.log" {\n    daily\n}\n"/nowhere/*.log'),
        ("logs_interval", "weekly"),
        ("logs_su", "root root"),
        ("logs_directories", "DIRECTORY"),
        ("logs_retention_days", "30"),
    ],
)
def test_no_variable_brings_a_command_into_what_root_runs(root: Path, name: str, value: str) -> None:
    mark = root.parent / "executed"
    text: Any = injection(mark, value.replace("DIRECTORY", f'{root}/storage/logs/*.log" {{\n'))
    run = rotate(root, **{name: [text] if name == "logs_directories" else text})
    assert not mark.exists(), "the value was executed"
    assert run.rc != 0, "what is no size, no name, no directory is refused"
    assert "postrotate" not in "".join(path.read_text() for path in (root.parent / "state").glob("logrotate*")), (
        "nor does it lie in wait for the next run"
    )
    assert sorted(files(root / "storage/logs")) == ["ops.log"]


def test_no_name_of_a_file_or_directory_brings_one_either(root: Path) -> None:
    logs, mark = root / "storage/logs", root.parent / "executed"
    planted = logs / ('x.log" {\npostrotate\ntouch ..' + "executed\nendscript\n}\n.log")
    planted.write_text("a line\n" * 1000)
    run = rotate(root).assert_ok()
    assert not mark.exists()
    assert planted.read_text() == "a line\n" * 1000
    assert (logs / "ops.log").read_text() == "", "what has a proper name is rotated all the same"
    assert "cannot be written" in json.dumps(run.result("log_rotate")["kept"])


def test_rotated_then_expired_and_a_second_run_changes_nothing(root: Path) -> None:
    """Also what nobody rotates any more: old rotations of a log that no longer grows, and the shop's own summaries."""
    logs, backend = root / "storage/logs", root / "backend/storage/logs"
    backend.mkdir(parents=True)
    (backend / "worker.log").write_text("a line\n" * 1000)
    (logs / "quiet.log").write_text("short\n")
    old = [logs / "quiet.log.1", logs / "quiet.log-20260101-1767225600.gz", logs / "log_summary_20260101.txt"]
    for path in [*old, backend / "worker.log-20260101-1767225600"]:
        path.write_text("old\n")
        os.utime(path, (time.time() - 90 * DAY,) * 2)
    before = files(logs)
    checked = rotate(root, "--check").assert_ok()
    assert files(logs) == before
    assert "would rotate 2 logs" in checked.output
    planned = checked.result("log_rotate")["plan"]
    assert {str(logs / "ops.log"), str(backend / "worker.log")} <= {action["target"] for action in planned}
    run = rotate(root).assert_ok()
    assert "rotated 2 logs" in run.output
    assert run.result("log_rotate")["plan"] == planned
    assert not [path for path in old if path.exists()]
    assert not (backend / "worker.log-20260101-1767225600").exists()
    assert (logs / "quiet.log").read_text() == "short\n"
    again = rotate(root).assert_ok()
    assert again.changed() == []


def test_what_the_shop_does_not_have_is_not_looked_for(root: Path) -> None:
    run = rotate(root).assert_ok()
    assert "backend" not in json.dumps(run.result("log_rotate")["plan"])


def test_days_of_retention_reach_both_programs(root: Path) -> None:
    old = root / "storage/logs/quiet.log.1"
    old.write_text("old\n")
    os.utime(old, (time.time() - 400 * DAY,) * 2)
    rotate(root, logs_retention_days=0, logs_compress_after="").assert_ok()
    assert old.exists(), "0 days are no limit"
    lines = (root.parent / "state/logrotate.conf").read_text().split("\n")
    assert "    rotate -1" in lines and not any("maxage" in line for line in lines)


def test_a_host_without_logrotate_is_told_what_to_install(root: Path) -> None:
    run = rotate(root, "--check", logs_logrotate="/nowhere/logrotate")
    assert run.rc != 0
    assert "apt-get install -y logrotate" in run.result("log_rotate")["msg"]
