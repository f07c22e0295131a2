# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What programs read of a run stays readable for them, whichever callback writes it."""

from __future__ import annotations

import json
import os
import re
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
WEEKLY = ("weekly", ["--tags", "disk_check"])
STATUS = ("maintenance_status", [])


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


@pytest.mark.parametrize(
    ("callback", "playbook", "arguments"),
    [
        ("json", *WEEKLY),
        ("ansible.posix.jsonl", *STATUS),
        pytest.param("json", *STATUS, marks=pytest.mark.exhaustive),
        pytest.param("ansible.posix.jsonl", *WEEKLY, marks=pytest.mark.exhaustive),
    ],
)
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


def test_what_a_run_has_packed_the_next_one_need_not(native_sandbox: Sandbox, tmp_path: Path) -> None:
    """Ansible looks for packages where ours are laid: what it says of itself tells when that changes."""
    settings = {"ANSIBLE_HOME": str(tmp_path / "home"), "ANSIBLE_DEBUG": "1"}
    texts = [output(native_sandbox, tmp_path, "maintenance_status", **settings) for _ in range(2)]
    packed, found = (
        [text.count(f"ANSIBALLZ: {said}") for text in texts] for said in ("Creating module", "using cached")
    )
    ours = len(list((tmp_path / "home/miniecom_packed").glob("*/*.miniecom.*")))
    assert ours >= 2 and packed[1] == packed[0] - ours and found[1] >= found[0] + ours


def test_junit_writes_its_report(native_sandbox: Sandbox, tmp_path: Path) -> None:
    settings = {"ANSIBLE_CALLBACKS_ENABLED": "ansible.builtin.junit", "JUNIT_OUTPUT_DIR": str(tmp_path / "junit")}
    text = output(native_sandbox, tmp_path, "weekly", "--tags", "disk_check", **settings)
    assert VERDICT in text
    (report,) = (tmp_path / "junit").glob("*.xml")
    assert ElementTree.parse(report).getroot().findall(".//testcase")


def try_weekly(native_sandbox: Sandbox, home: Path, arguments: str) -> str:
    """As `make try` does it, which the README tells a newcomer to type: with the checkout's own configuration."""
    home.mkdir()
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "XDG_"))}
    done = subprocess.run(
        ["make", "--no-print-directory", "try", "PLAYBOOK=weekly", f"ARGS={arguments}"],
        cwd=ROOT,
        env={**kept, **native_sandbox.environment(), "HOME": str(home), "COLUMNS": "80", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert list(home.iterdir()) == [], done.stdout
    assert "argument_spec" not in done.stdout and "Validating arguments" not in done.stdout
    assert "\x1b" not in done.stdout
    return done.stdout


def test_wrong_values_are_told_before_anything_is_done(native_sandbox: Sandbox, tmp_path: Path) -> None:
    arguments = "--tags disk_check -e docker_cleanup_images=al -e backup_keep_last=many -e alerts_threshold=hihg"
    shown = try_weekly(native_sandbox, tmp_path / "home", arguments)
    text = " ".join(shown.split())
    for said in (
        "value of docker_cleanup_images must be one of: none, dangling, unused, got: al.",
        "backup_keep_last is of type str",
        "value of alerts_threshold must be one of: low, medium, high, critical, got: hihg.",
    ):
        assert text.count(said) == 2, "in the task and in the table"
    assert text.endswith("1 host: 1 failed (sandbox: Check the variables)")
    assert "ok=0" in text
    table = shown.partition("maintenance of sandbox")[2].partition("PLAY RECAP")[0]
    table = "\n".join(line for line in table.splitlines() if "FAILED: [" not in line)
    assert all(len(line) <= 80 for line in table.splitlines())


def test_concise_is_for_people_and_leaves_nothing_in_the_home_directory(
    native_sandbox: Sandbox, tmp_path: Path
) -> None:
    arguments = "--tags disk_check,docker_cleanup,logs -e disk_check_warn=soon -e logs_logrotate=no-such-program"
    shown = try_weekly(native_sandbox, tmp_path / "home", arguments)
    text = " ".join(shown.split())
    assert text.count("disk_check_warn is of type str") == 2, "by a module, for the variable that was typed"
    # A module knows its host's command; where it is told, it is one to be typed there.
    command = "ansible sandbox -b -i inventories/sandbox -e disk_check_warn=soon "
    lines = [line for line in shown.splitlines() if command in line]
    assert len(lines) == 2 and all(re.search(" -a '.* install -y logrotate'$", line) for line in lines), shown
    assert text.count("logrotate is missing on this host") == 2, "in the task and in the table"
    assert text.endswith("1 host: 1 failed (sandbox: disk, log rotation)")
    table = shown.partition("weekly maintenance of")[2].partition("record on the host")[0]
    paths = [word for word in table.split() if len(word) > 40]
    paths.append(command)
    assert all(len(line) <= 80 or any(path in line for path in paths) for line in table.splitlines())
