# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup that is another one right after it was made, or is gone, does not end green."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bson
import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.catalogue import (
    look_at,
    read_catalogue,
    sidecar_path,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.making import make
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.planning import (
    BackupObservation,
    BackupWork,
    DumpConsistency,
    MakeBackup,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.clock import parse_utc
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Action, Plan, Result, Results
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.backup import MongoBackup, NamedArchive
from tests.unit.plugins.module_utils._backup import test_making

NOW = parse_utc("2026-11-24T02:30:00Z")
OPTIONS = {
    "fresh_within": "20h",
    "min_free": "1MiB",
    "passphrase_file": None,
    "consistency": "auto",
    "check": "documents",
    "tags": [],
    "lock_timeout": "1m",
    "include": [],
    "docker_host": None,
    "docker_timeout": 1,
}


def touched(path: Path) -> None:
    os.utime(path, (1, 1))


def longer(path: Path) -> None:
    status = path.stat()
    with path.open("ab") as handle:
        handle.write(b"x")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def without_its_record(path: Path) -> None:
    Path(sidecar_path(str(path))).unlink()


def left_alone(path: Path) -> None:
    assert path.exists()


@pytest.mark.parametrize("change", [touched, longer, without_its_record, Path.unlink, left_alone])
def test_an_archive_that_changes_after_its_making_fails(tmp_path: Path, change: Callable[[Path], None]) -> None:
    make(test_making.job(tmp_path))
    (path,) = (tmp_path / "dest").glob("2*")
    call: Any = SimpleNamespace(params={**OPTIONS, "dest": str(tmp_path / "dest")}, run=None, check=False)
    task = MongoBackup(call)
    work = MakeBackup(str(path), "shop", DumpConsistency(), {})
    action: Action[BackupWork] = Action("back_up", str(path), "", work)
    observation = BackupObservation("shop", "", read_catalogue(str(tmp_path / "empty"), missing_ok=True), NOW)
    plan: Plan[BackupWork] = Plan([action])
    results: Results[BackupWork, BackupObservation] = Results(False, [action])
    results.all.append(Result(action, "done", detail=NamedArchive(str(path))))
    change(path)
    results.verification = task.verify(observation, plan, results)
    report = task.report(observation, plan, results)
    found = look_at(str(path))
    if change is left_alone:
        assert found is not None
        assert results.verification.failure is None
        assert report.summary["verified"] is True and report.values["path"] == str(path)
        return
    assert isinstance(results.verification.failure, MaintenanceError)
    assert "has changed since" in str(results.verification.failure)
    assert report.summary["verified"] is False and report.headline == "no backup was made"


@pytest.mark.parametrize("check", ["documents", "checksums"])
def test_a_document_that_does_not_parse_ends_the_dump_and_its_collection_is_named(check: str, tmp_path: Path) -> None:
    good = bson.encode({"a": {"b": "text"}})
    bad = good.replace(b"\x02b\0", b"\x99b\0")
    call: Any = SimpleNamespace(params={**OPTIONS, "dest": str(tmp_path), "check": check}, run=None, check=False)
    task = MongoBackup(call)
    problem = None
    try:
        with task._checking() as parse:
            parse(good * 500, "shop.users")
            parse(good * 200 + bad + good * 200, "shop.orders")
            parse(good, "shop.carts")
    except MaintenanceError as error:
        problem = error
    if check == "checksums":
        assert problem is None
    else:
        assert problem is not None
        assert problem.target == "shop.orders"
        assert "does not parse" in problem.what
