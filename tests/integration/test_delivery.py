# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection as its users get it: installed, and under ansible-runner as AWX runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.delivery import BIN, bare, checkout, install
from tests.support.playbooks import ROOT, run_playbook
from tests.support.sandboxes import Sandbox


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkout(tmp_path_factory.mktemp("source") / "checkout")


@pytest.fixture(scope="module")
def installed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the built and installed collection."""
    return install(source, tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("installed"))


@pytest.fixture
def empty(tmp_path: Path, installed: Path) -> Iterator[dict[str, str]]:
    """An empty directory with a configuration and a home of its own, so that no checkout shadows what is installed."""
    config = tmp_path / "ansible.cfg"
    config.write_text(f"[defaults]\ncollections_path = {installed}\n")
    (tmp_path / "home").mkdir()
    yield {
        "ANSIBLE_CONFIG": str(config),
        "HOME": str(tmp_path / "home"),
        "ANSIBLE_HOME": str(tmp_path / "home/.ansible"),
        "PYTHONPATH": "",
    }


def test_the_artifact_holds_what_users_need_and_nothing_else(installed: Path) -> None:
    directory = installed / "ansible_collections" / "miniecom" / "maintenance"
    for name in ("playbooks/weekly.yml", "roles/backup/tasks/main.yml", "plugins/modules/mongo_backup.py", "README.md"):
        assert (directory / name).is_file(), name
    for name in (".cache", ".venv", ".sandbox", "collections", "tests/unit", "tests/integration", ".ci"):
        assert not (directory / name).exists(), name


def test_the_installed_collection_runs_from_an_empty_directory(
    native_sandbox: Sandbox, installed: Path, empty: dict[str, str], tmp_path: Path
) -> None:
    where = subprocess.run(
        [str(BIN / "ansible-doc"), "-t", "module", "miniecom.maintenance.mongo_backup", "--json"],
        cwd=tmp_path,
        env=bare(**empty),
        stdout=subprocess.PIPE,
        check=True,
    )
    assert json.loads(where.stdout)["miniecom.maintenance.mongo_backup"]["doc"]["filename"].startswith(str(installed))
    run = run_playbook(
        "miniecom.maintenance.weekly",
        ROOT / "inventories" / "sandbox",
        log=tmp_path / "tasks.jsonl",
        env={**native_sandbox.environment(), **empty},
        cwd=tmp_path,
    ).assert_ok()
    assert run.result("maintenance_report")["status"] == "ok"


def test_ansible_runner_runs_a_project_as_awx_does(native_sandbox: Sandbox, source: Path, tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir()
    shutil.copytree(source, private / "project", symlinks=True)
    shutil.copytree(ROOT / "inventories" / "sandbox", private / "inventory")
    done = subprocess.run(
        [str(BIN / "ansible-runner"), "run", str(private), "-p", "playbooks/weekly.yml", "--ident", "job"],
        cwd=tmp_path,
        env=bare(
            HOME=str(tmp_path),
            PATH=f"{BIN}{os.pathsep}{os.environ['PATH']}",
            **native_sandbox.environment(),
        ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    events = [json.loads(path.read_text()) for path in (private / "artifacts" / "job" / "job_events").glob("*.json")]
    stats = [event for event in events if event["event"] == "playbook_on_stats"]
    assert stats[0]["event_data"]["failures"] == {}
    assert any("all " in event["stdout"] and "steps ended well" in event["stdout"] for event in events), (
        "the summary is shown"
    )
    kept = stats[0]["event_data"]["artifact_data"]["miniecom_maintenance"]["sandbox"]
    assert kept["status"] == "ok"
