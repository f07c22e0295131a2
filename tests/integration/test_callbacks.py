# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What programs read of a run stays readable for them, whichever callback writes it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.support.playbooks import ROOT, environment
from tests.support.sandboxes import Sandbox

INVENTORY = ROOT / "inventories" / "sandbox"
VERDICT = "all 2 steps ended well"
RUNS = [("weekly", ["--tags", "disk_check"]), ("maintenance_status", [])]


def output(sandbox: Sandbox, tmp_path: Path, playbook: str, *arguments: str, **settings: str) -> str:
    """What ansible-playbook writes to its standard output."""
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(INVENTORY)),
            *(str(ROOT / "playbooks" / f"{playbook}.yml"), *arguments),
        ],
        cwd=ROOT,
        env=environment(tmp_path / "log", {**sandbox.environment(), **settings}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def last_result(found: list[dict[str, Any]]) -> dict[str, Any]:
    return next(result for result in reversed(found) if "table" in result or "lines" in result)


@pytest.mark.parametrize("playbook, arguments", RUNS, ids=[name for name, _arguments in RUNS])
@pytest.mark.parametrize("callback", ["json", "ansible.posix.jsonl"])
def test_json_stays_json(
    callback: str, playbook: str, arguments: list[str], native_sandbox: Sandbox, tmp_path: Path
) -> None:
    text = output(native_sandbox, tmp_path, playbook, *arguments, ANSIBLE_STDOUT_CALLBACK=callback)
    if callback == "json":
        plays = json.loads(text)["plays"]
        results = [result for play in plays for task in play["tasks"] for result in task["hosts"].values()]
    else:
        events = [json.loads(line) for line in text.splitlines()]
        results = [result for event in events for result in event.get("hosts", {}).values() if isinstance(result, dict)]
    told = last_result(results)
    if playbook == "weekly":
        assert any(line.startswith(VERDICT) for line in told["table"]), "what people read is in the result"
    else:
        assert "the shop is up" in told["lines"][0]


def test_people_read_it_once(native_sandbox: Sandbox, tmp_path: Path) -> None:
    text = output(native_sandbox, tmp_path, "weekly", "--tags", "disk_check", "-v")
    assert text.count(f"\n{VERDICT}") == 1
    assert text.count("maintenance log:") == 1, "the result does not hold it a second time"


def test_junit_writes_its_report(native_sandbox: Sandbox, tmp_path: Path) -> None:
    settings = {"ANSIBLE_CALLBACKS_ENABLED": "ansible.builtin.junit", "JUNIT_OUTPUT_DIR": str(tmp_path / "junit")}
    text = output(native_sandbox, tmp_path, "weekly", "--tags", "disk_check", **settings)
    assert VERDICT in text
    (report,) = (tmp_path / "junit").glob("*.xml")
    assert ElementTree.parse(report).getroot().findall(".//testcase")
