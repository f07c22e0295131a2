# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role backup makes of the shop's numbers, and when a playbook rotates."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from tests.integration.test_backup_offsite import backup
from tests.integration.test_backup_rotation import backups_in, make
from tests.sandbox.offsite import offsite_programs
from tests.support.modules import ROOT

SETTINGS = ("BACKUP_RETENTION_DAYS", "BACKUP_RETENTION_WEEKS", "BACKUP_RETENTION_MONTHS")


def play(
    tmp_path: Path,
    tasks: list[dict[str, Any]],
    variables: dict[str, Any],
    more: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.CompletedProcess[str]:
    book = tmp_path / "play.yml"
    book.write_text(
        yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": tasks}], width=1000)
    )
    command = [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", "-c", "local", book]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), **more}
    return subprocess.run(
        [*command, "-e", f"ansible_python_interpreter={sys.executable}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        check=False,
    )


@pytest.mark.parametrize(
    ("numbers", "given", "left"),
    [
        ((3, 0, 0), {"backup_keep_weekly": 0, "backup_keep_monthly": 0}, 3),
        ((0, 0, 0), {}, 20),
        ((14, 12, 12), {"backup_keep_daily": 0, "backup_keep_weekly": 0, "backup_keep_monthly": 0}, 20),
        ((14, 12, 12), {"backup_keep_daily": -1}, 20),
        ((0, 0, 0), {"backup_keep_last": 2}, 2),
    ],
)
def test_which_numbers_remove_something(
    tmp_path: Path, numbers: tuple[int, ...], given: dict[str, Any], left: int
) -> None:
    directory = tmp_path / "backups"
    directory.mkdir()
    last = datetime.now().replace(microsecond=0) - timedelta(hours=1)
    for day in range(20):
        make(directory, last - timedelta(days=day), verified=day == 0)
    context = {"settings": dict(zip(SETTINGS, numbers)), "mongo": {"database": "shop"}, "blocking_jobs": []}
    variables = {
        "context_result": {"context": context},
        "context_state_dir": str(tmp_path / "state"),
        "backup_dest": str(directory),
        "backup_include": [],
        **given,
    }
    role = {"ansible.builtin.import_role": {"name": "miniecom.maintenance.backup", "tasks_from": "rotate"}}
    done = play(tmp_path, [role], variables)
    assert done.returncode == 0, done.stdout
    assert len(backups_in(directory)) == left


def test_the_monthly_run_does_not_rotate_after_a_failed_restore_test(tmp_path: Path) -> None:
    (book,) = yaml.safe_load((ROOT / "playbooks" / "monthly.yml").read_text())
    work = yaml.safe_load((ROOT / "playbooks" / "tasks" / book["vars"]["frame_work"]).read_text())
    parts = [task.get("ansible.builtin.import_tasks") for task in work]
    assert parts.index("month.yml") < parts.index("closing.yml")
    closing = yaml.safe_load((ROOT / "playbooks" / "tasks" / "closing.yml").read_text())
    (rotation,) = [task for task in closing if task["name"] == "Backup rotation"]
    cases: dict[str, Any] = {
        "none": None,
        "failed": {"failed": True, "msg": "x"},
        "restored": {"failed": False, "changed": False},
        "skipped": {"skipped": True, "changed": False},
    }
    tasks = []
    for name, result in cases.items():
        task = {
            "ansible.builtin.copy": {"dest": str(tmp_path / f"rotated-{name}"), "content": json.dumps(name)},
            "when": rotation["when"],
        }
        tasks.append({**task, "vars": {"backup_test_result": result}} if result is not None else task)
    done = play(tmp_path, tasks, {})
    assert done.returncode == 0, done.stdout
    assert {path.name for path in tmp_path.glob("rotated-*")} == {"rotated-none", "rotated-restored", "rotated-skipped"}


def test_the_role_copies_off_the_host_tells_its_age_and_brings_a_backup_back(tmp_path: Path) -> None:
    directory, place, other = (tmp_path / name for name in ("backups", "place", "recovery"))
    for made in (directory, place, other):
        made.mkdir()
    archive = backup(directory, datetime.now().replace(microsecond=0) - timedelta(hours=60))
    variables = {
        "context_result": {"context": {"settings": {}, "mongo": {"database": "miniecom"}, "blocking_jobs": []}},
        "context_state_dir": str(tmp_path / "state"),
        "backup_dest": str(directory),
        "backup_include": [],
    }
    configured = {**variables, "backup_offsite_target": str(place), "backup_offsite_fetch_dest": str(other)}
    environment = {"PATH": f"{offsite_programs()}:{os.environ['PATH']}"}

    def role(entry: str) -> dict[str, Any]:
        return {"ansible.builtin.import_role": {"name": "miniecom.maintenance.backup", "tasks_from": entry}}

    # Not configured: nothing is done, and it is said.
    told = {"ansible.builtin.assert": {"that": "backup_offsite_result.reason is search('lost with the host')"}}
    done = play(tmp_path, [role("offsite"), told], variables)
    assert done.returncode == 0, done.stdout
    # Configured, and nothing there yet: the daily look says so.
    done = play(tmp_path, [role("age")], configured)
    assert done.returncode != 0 and "hours is wanted at" in done.stdout, done.stdout
    done = play(tmp_path, [role("offsite"), role("age"), role("fetch")], configured, environment)
    assert done.returncode == 0, done.stdout
    assert (place / archive.name).read_bytes() == (other / archive.name).read_bytes() == archive.read_bytes()
    old = {**configured, "backup_offsite_max_age_hours": 48}
    done = play(tmp_path, [role("age")], old)
    assert done.returncode != 0 and "the newest copy off the host is 2 d 12 h old" in done.stdout, done.stdout
