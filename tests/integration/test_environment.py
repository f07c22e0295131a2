# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connection string is read where the application has it, and the other database is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.modules import run_module

SERVER = (
    "import socket, sys; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); print(flush=True); sys.stdin.read()"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "miniecom"
    for name in ("backend", "storage/backups"):
        (directory / name).mkdir(parents=True)
    return directory


@pytest.fixture
def api(root: Path, mongod: Any, mongo_database: str) -> Iterator[str]:
    """An API that systemd gave another connection string than .env has; gives its place as env_from names it."""
    (root / ".env").write_text("MONGODB_URI=%s\n" % mongod.uri_for(mongo_database + "_old"))
    with mongod.client() as client:
        client[mongo_database].orders.insert_many([{"n": n} for n in range(20)])
        client[mongo_database + "_old"].orders.insert_one({"n": "old"})
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        cwd=root / "backend",
        env={"MONGODB_URI": mongod.uri_for(mongo_database), "PATH": os.environ["PATH"]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None and process.stdout.readline()
        found = run_module(
            "context_info",
            {
                "root": root,
                "state_dir": root.parent / "state",
                "cron_paths": [str(root / "none")],
                "docker_host": "unix:///nonexistent/docker.sock",
            },
        )
        assert not found.failed, found.msg
        assert found.result["context"]["mongo"]["database"] == mongo_database
        yield str(found.result["context"]["env_from"])
    finally:
        process.kill()
        process.communicate()


def test_a_backup_is_one_of_the_database_that_the_application_uses(
    root: Path, api: str, mongod: Any, mongo_database: str, state_dir: Path
) -> None:
    params = {"env_file": root / ".env", "dest": root / "storage/backups", "state_dir": state_dir}
    made = run_module("mongo_backup", {**params, "env_from": api})
    assert not made.failed, made.msg
    assert made.result["backup"]["database"] == mongo_database and made.result["summary"]["documents"] == 20
    assert mongod.root_password not in made.output
    other = run_module("mongo_backup", {**params, "env_from": api, "database": mongo_database + "_old"})
    assert other.failed and "another database than the application uses" in other.msg and mongo_database in other.msg
    on_purpose = run_module("mongo_backup", {**params, "database": mongo_database + "_old", "fresh_within": "0s"})
    assert not on_purpose.failed and on_purpose.result["summary"]["documents"] == 1


def test_a_place_that_is_not_there_is_named(root: Path, api: str, state_dir: Path) -> None:
    params = {"env_file": root / ".env", "state_dir": state_dir}
    for env_from, words in (
        ("process:999999999:1", "process has ended"),
        ("container:miniecom_api", "Docker"),
        ("compose:%s/none.yml" % root, "compose file"),
        ("somewhere", "not a place"),
    ):
        result = run_module("mongo_info", {**params, "env_from": env_from})
        assert result.failed and words in result.msg, result.msg


def test_maintenance_closes_the_shop_that_runs(
    root: Path, api: str, mongod: Any, mongo_database: str, state_dir: Path
) -> None:
    params = {
        "path": root / "storage/.maintenance",
        "state_dir": state_dir,
        "timer": "none",
        "application_setting": {"env_file": str(root / ".env"), "env_from": api, "allow_ips": ["127.0.0.1"]},
    }
    up = run_module("maintenance_flag", {**params, "state": "present"})
    assert not up.failed, up.msg
    with mongod.client() as client:
        assert '"enabled":true' in client[mongo_database].settings.find_one({"key": "site"})["value"]
        assert client[mongo_database + "_old"].settings.find_one({"key": "site"}) is None
    # Whoever takes it down need not say again how to reach the setting.
    del params["application_setting"]
    down = run_module("maintenance_flag", {**params, "state": "absent"})
    assert not down.failed, down.msg
    with mongod.client() as client:
        assert client[mongo_database].settings.find_one({"key": "site"}) is None
