# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""backup_info and backup_prune on real directories: what goes, what stays, and what a kill leaves."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup import catalogue
from tests.support.archives import small_archive
from tests.support.kill import kill_at_every_change
from tests.support.modules import ModuleResult, module_environment, run_module

POLICY = {"keep_daily": 14, "keep_weekly": 12, "keep_monthly": 12}


def make(path: Path, moment: datetime, verified: bool = False) -> Path:
    archive = path / catalogue.backup_name(moment.astimezone())
    archive.write_bytes(small_archive())
    if verified:
        status = archive.stat()
        utc = moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        catalogue.write_sidecar(
            str(archive), catalogue.VerificationRecord(status.st_size, status.st_mtime_ns, "00", utc, utc, "shop")
        )
    return archive


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """400 daily backups, the last one verified, and things that are none of ours."""
    path = tmp_path / "backups"
    path.mkdir()
    last = datetime.now().replace(microsecond=0) - timedelta(hours=1)
    for day in range(400):
        make(path, last - timedelta(days=day), verified=day == 0)
    old = (last - timedelta(days=900)).strftime(catalogue.DATE_FORMAT)
    (path / "archive-of-the-founder").mkdir()
    (path / "archive-of-the-founder" / f"{old}.tar.gz").write_text("kept by hand")
    (path / old).mkdir()
    (path / old / "mongo.archive.gz").write_text("x")
    (path / f"{old}-before-the-move.tar.gz").write_text("kept by hand")
    (path / f"{old}.tar.gz").symlink_to(path / f"{old}-before-the-move.tar.gz")
    return path


def tree(path: Path) -> set[str]:
    return {str(entry.relative_to(path)) for entry in path.rglob("*")}


def ok(result: ModuleResult) -> ModuleResult:
    assert not result.failed, result.msg
    return result


def backups_in(path: Path) -> list[str]:
    return [backup.name for backup in catalogue.read_catalogue(str(path)).backups]


def run(directory: Path, state_dir: Path, **options: Any) -> ModuleResult:
    check = bool(options.pop("check", False))
    kill_at = options.pop("kill_at", None)
    given = {"path": str(directory), "state_dir": str(state_dir), **POLICY, **options}
    return run_module("backup_prune", given, check=check, diff=check, kill_at=kill_at)


# --- info


def test_info_lists_without_opening_anything(directory: Path, state_dir: Path) -> None:
    for name in backups_in(directory)[:-1]:
        (directory / name).chmod(0)
    (directory / ".20200101_000000.tar.gz.miniecom-partial").write_bytes(b"abc")
    before = tree(directory)
    result = ok(run_module("backup_info", {"path": str(directory), "state_dir": str(state_dir)}))
    assert not result.changed
    summary = result.result["summary"]
    assert (summary["backups"], summary["verified"], summary["partials"], summary["bytes_partials"]) == (400, 1, 1, 3)
    assert result.result["counts"]["backups"] == 400
    assert len(result.result["backups"]) == 200
    newest = result.result["backups"][0]
    assert newest["verified"]
    assert newest == result.result["newest"] == result.result["newest_verified"]
    assert 0.9 < summary["age_hours"] < 1.5
    assert tree(directory) == before
    assert not state_dir.exists()


def test_info_about_a_directory_that_is_not_there(tmp_path: Path, state_dir: Path) -> None:
    result = ok(run_module("backup_info", {"path": str(tmp_path / "nope"), "state_dir": str(state_dir)}))
    assert result.result["summary"]["headline"] == "there is no backup"
    assert result.result["summary"]["age_hours"] is None


# --- prune


def test_prune_removes_what_check_mode_told_and_nothing_else(directory: Path, state_dir: Path) -> None:
    before = tree(directory)
    would = ok(run(directory, state_dir, check=True))
    assert would.changed
    assert tree(directory) == before
    assert not state_dir.exists()
    real = ok(run(directory, state_dir))
    assert real.result["plan"] == would.result["plan"]
    assert real.result["counts"] == {**would.result["counts"], "actions": real.result["counts"]["plan"]}
    gone = before - tree(directory)
    count = real.result["summary"]["removed"]
    assert len(gone) == count == would.result["summary"]["removed"]
    assert real.result["summary"]["bytes_freed"] == count * len(small_archive())
    # 36 of a policy over 400 days, a few less when buckets coincide, as depends on the day of the week.
    assert 30 <= len(backups_in(directory)) <= 38
    assert all(catalogue.parse_name(name) for name in gone)
    assert (directory / "archive-of-the-founder").is_dir()
    again = ok(run(directory, state_dir))
    assert not again.changed
    assert tree(directory) == before - gone


def test_an_empty_policy_removes_nothing(directory: Path, state_dir: Path) -> None:
    before = tree(directory)
    result = ok(run(directory, state_dir, keep_daily=0, keep_weekly=0, keep_monthly=0))
    assert not result.changed
    assert tree(directory) == before


def test_no_verified_backup_no_removal(directory: Path, state_dir: Path) -> None:
    newest = directory / backups_in(directory)[-1]
    newest.write_bytes(small_archive(b"y"))
    before = tree(directory)
    result = run(directory, state_dir)
    assert result.failed
    assert "without a verified one younger than 48h: there is none" in result.msg
    assert tree(directory) == before
    # In a real run an assumption is no backup.
    assert run(directory, state_dir, assume_verified=True).failed
    assert tree(directory) == before
    would = ok(run(directory, state_dir, assume_verified=True, check=True))
    assert would.result["plan"][0]["assumes"] == "a verified backup made by this run"


def test_in_a_shared_directory_another_shops_backups_count_for_nothing(tmp_path: Path, state_dir: Path) -> None:
    now = datetime.now().replace(microsecond=0)
    for day in range(4):
        make(tmp_path, now - timedelta(hours=1, days=day), verified=True)
        make(tmp_path, now - timedelta(hours=5, days=day), verified=False)
    before = tree(tmp_path)
    # The records say "shop"; for the shop of another database there is no verified backup.
    refused = run(tmp_path, state_dir, database="boutique", keep_daily=1, keep_weekly=0, keep_monthly=0)
    assert "there is none" in refused.msg
    assert tree(tmp_path) == before
    listed = ok(
        run_module("backup_info", {"path": str(tmp_path), "state_dir": str(state_dir), "database": "boutique"})
    ).result["summary"]
    assert (listed["backups"], listed["verified"], listed["other_databases"]) == (4, 0, 4)
    done = ok(run(tmp_path, state_dir, database="shop", keep_daily=1, keep_weekly=0, keep_monthly=0))
    assert len(backups_in(tmp_path)) == 1
    assert done.result["summary"]["removed"] == 7


def test_a_shared_directory_needs_the_name_of_the_database(tmp_path: Path, state_dir: Path) -> None:
    now = datetime.now().replace(microsecond=0)
    for day in range(4):
        make(tmp_path, now - timedelta(hours=1, days=day), verified=True)
        other = make(tmp_path, now - timedelta(hours=2, days=day), verified=True)
        record = catalogue.read_sidecar(str(other))
        assert record is not None
        catalogue.write_sidecar(str(other), replace(record, database="boutique"))
    before = tree(tmp_path)
    refused = run(tmp_path, state_dir)
    assert refused.failed
    assert "boutique, shop" in refused.msg
    assert "option database" in refused.msg
    assert tree(tmp_path) == before


@pytest.mark.parametrize("how", ["gone", "changed", "proven bad"])
def test_it_stops_when_what_it_relies_on_is_no_longer_there(directory: Path, state_dir: Path, how: str) -> None:
    """It happens right after the third removal."""
    newest = directory / backups_in(directory)[-1]
    plan = ok(run(directory, state_dir, check=True)).result["plan"]
    code = (
        "import os, sys\n"
        "from ansible.module_utils import basic\n"
        "basic._ANSIBLE_ARGS, basic._ANSIBLE_PROFILE = sys.stdin.buffer.read(), 'legacy'\n"
        "from ansible_collections.miniecom.maintenance.plugins.modules import backup_prune\n"
        "from ansible_collections.miniecom.maintenance.plugins.module_utils._backup import catalogue, making, rotation\n"
        "import datetime\n"
        "path, how, unlink, count = sys.argv[1], sys.argv[2], rotation.unlink, []\n"
        "def one_more(target):\n"
        "    unlink(target)\n"
        "    count.append(target)\n"
        "    if len(count) == 3:\n"
        "        if how == 'gone': os.unlink(path)\n"
        "        elif how == 'changed': os.utime(path, (1, 1))\n"
        "        else: making.mark_restore_failed(path, catalogue.read_sidecar(path), datetime.datetime.now().astimezone())\n"
        "rotation.unlink = one_more\n"
        "backup_prune.main()\n"
    )
    arguments = {"ANSIBLE_MODULE_ARGS": {"path": str(directory), "state_dir": str(state_dir), **POLICY}}
    answer = subprocess.run(
        [sys.executable, "-c", code, str(newest), how],
        input=json.dumps(arguments),
        capture_output=True,
        text=True,
        env=module_environment(),
        check=False,
    )
    result = json.loads(answer.stdout)
    assert result["failed"]
    assert "the newest verified backup is gone, or has changed" in result["msg"]
    assert [action["status"] for action in result["actions"]] == ["done", "done", "done", "failed"]
    gone = {Path(entry["target"]).name for entry in plan[:3]}
    assert set(backups_in(directory)).isdisjoint(gone)
    assert len(backups_in(directory)) == 400 - 3 - (how == "gone")


def test_a_record_that_cannot_be_removed_is_told(tmp_path: Path, state_dir: Path) -> None:
    """A directory in its place, which no user may unlink."""
    now = datetime.now().replace(microsecond=0)
    old = make(tmp_path, now - timedelta(days=3))
    Path(catalogue.sidecar_path(str(old))).mkdir()
    make(tmp_path, now - timedelta(hours=1), verified=True)
    result = ok(run(tmp_path, state_dir, keep_daily=0, keep_weekly=0, keep_monthly=0, keep_last=1))
    assert not old.exists()
    assert "its record could not be removed" in str(result.result["actions"])


def test_the_cap(directory: Path, state_dir: Path) -> None:
    before = tree(directory)
    result = run(directory, state_dir, max_delete=5)
    assert result.failed
    assert "max_delete (5)" in result.msg
    assert tree(directory) == before
    assert result.result["counts"]["plan"] > 5
    assert result.result["plan"][0]["bytes"] == len(small_archive())
    assert result.result["kept"]


def test_while_a_job_of_the_shop_is_active(directory: Path, state_dir: Path) -> None:
    before = tree(directory)
    result = ok(run(directory, state_dir, blocked_by=["crontab of root: scripts/rotate_backups.sh"]))
    assert not result.changed
    assert tree(directory) == before
    summary = result.result["summary"]
    assert summary["blocked"] and summary["findings_total"] == 1 and "findings" not in summary
    assert re.match(
        r"removed nothing: [1-9]\d* backups that no rule keeps stay .*rotate_backups\.sh$", summary["headline"]
    )
    assert result.result["findings"][0]["severity"] == "critical"
    assert "rotate_backups.sh" in result.result["findings"][0]["target"]
    assert re.fullmatch("backup-deleted-by-another-job-[0-9a-f]{8}", result.result["findings"][0]["id"])


def test_a_record_goes_with_its_backup(tmp_path: Path, state_dir: Path) -> None:
    now = datetime.now().replace(microsecond=0)
    old = make(tmp_path, now - timedelta(days=3), verified=True)
    new = make(tmp_path, now - timedelta(hours=1), verified=True)
    ok(run(tmp_path, state_dir, keep_daily=0, keep_weekly=0, keep_monthly=0, keep_last=1))
    assert not old.exists()
    assert sorted(os.listdir(tmp_path)) == sorted([new.name, f".{new.name}.verified.json"])


def test_while_a_backup_is_being_written(directory: Path, state_dir: Path) -> None:
    before = tree(directory)
    with catalogue.directory_lock(str(directory)) as free:
        assert free
        result = run(directory, state_dir)
    assert result.failed
    assert "a backup is being written" in result.msg
    assert tree(directory) == before


@pytest.mark.parametrize("boundary", range(6))
def test_killed_at_any_boundary_the_next_run_finishes(tmp_path: Path, state_dir: Path, boundary: int) -> None:
    now = datetime.now().replace(microsecond=0)
    names = [make(tmp_path, now - timedelta(hours=1, days=day), verified=day < 2).name for day in range(5)]
    options = {"keep_daily": 2, "keep_weekly": 0, "keep_monthly": 0}
    killed = run(tmp_path, state_dir, kill_at=boundary, **options)
    assert killed.rc == -signal.SIGKILL
    # Oldest first, one at a time: what is left is always a good set of backups.
    assert backups_in(tmp_path) == sorted(names)[(boundary + 1) // 2 :]
    ok(run(tmp_path, state_dir, **options))
    assert backups_in(tmp_path) == sorted(names)[3:]


def test_killed_at_every_change_a_good_set_is_left(tmp_path: Path) -> None:
    now = datetime.now().replace(microsecond=0)
    before = tmp_path / "before"
    before.mkdir()
    names = sorted(make(before, now - timedelta(hours=1, days=day), verified=day in (0, 3)).name for day in range(5))
    options = {"keep_daily": 2, "keep_weekly": 0, "keep_monthly": 0}

    def prepare(world: Path) -> tuple[str, dict[str, Any]]:
        shutil.copytree(before, world / "backups")
        return "backup_prune", {"path": world / "backups", "state_dir": world / "state", **POLICY, **options}

    def inspect(world: Path) -> None:
        left = backups_in(world / "backups")
        assert left == names[len(names) - len(left) :] and len(left) >= 2, "the oldest go first"
        ok(run(world / "backups", world / "state", **options))
        assert backups_in(world / "backups") == names[3:]
        assert set(os.listdir(world / "backups")) == {*names[3:], f".{names[-1]}.verified.json"}

    assert kill_at_every_change(tmp_path, prepare, inspect) >= 4


def test_killed_between_a_backup_and_its_record(tmp_path: Path, state_dir: Path) -> None:
    now = datetime.now().replace(microsecond=0)
    make(tmp_path, now - timedelta(hours=1), verified=True)
    make(tmp_path, now - timedelta(days=9), verified=True).unlink()
    result = ok(run(tmp_path, state_dir))
    assert [action["action"] for action in result.result["actions"]] == ["remove_record"]
    assert len(os.listdir(tmp_path)) == 2
    assert not ok(run(tmp_path, state_dir)).changed


def test_under_the_oldest_python_of_a_target(directory: Path, state_dir: Path, old_python: Path) -> None:
    given = {"path": str(directory), "state_dir": str(state_dir)}
    assert ok(run_module("backup_info", given, python=old_python)).result["summary"]["backups"] == 400
    would = ok(run(directory, state_dir, check=True))
    done = ok(run_module("backup_prune", {**given, **POLICY}, python=old_python))
    assert done.result["plan"] == would.result["plan"]


def test_what_cannot_be_a_backup_takes_no_place_and_is_told(tmp_path: Path, state_dir: Path) -> None:
    now = datetime.now().replace(microsecond=0) - timedelta(hours=1)
    good = [make(tmp_path, now - timedelta(hours=1, days=day), verified=day == 0) for day in range(6)]
    contents = (b"", b"x" * 20, small_archive()[:-9], b"Salted__" + bytes(24))
    junk = [make(tmp_path, now - timedelta(days=day)) for day in range(len(contents))]
    for path, content in zip(junk, contents):
        path.write_bytes(content)
    listed = ok(run_module("backup_info", {"path": str(tmp_path), "state_dir": str(state_dir)})).result
    assert listed["summary"]["implausible"] == len(junk)
    assert listed["newest"]["path"] == str(good[0])
    assert {entry["problem"] for entry in listed["backups"]} == {
        *("", "empty", "it is no gzip file", "cut short: it has no end")
    }
    would = ok(run(tmp_path, state_dir, keep_daily=3, keep_weekly=0, keep_monthly=0, check=True))
    done = ok(run(tmp_path, state_dir, keep_daily=3, keep_weekly=0, keep_monthly=0))
    assert done.result["plan"] == would.result["plan"]
    assert backups_in(tmp_path) == sorted(path.name for path in [*good[:3], *junk])
    assert done.result["summary"]["implausible"] == len(junk)
    assert str(done.result["warnings"]).count("does not count as a backup") == len(junk)


def test_what_the_run_relied_on_is_not_removed_in_it(tmp_path: Path, state_dir: Path) -> None:
    now = datetime.now().replace(microsecond=0)
    backups = tmp_path / "backups"
    backups.mkdir()
    kept = [make(backups, now - timedelta(hours=1, days=day), verified=True) for day in range(4)]
    begun = {"state": "begun", "name": "test", "state_dir": str(state_dir)}
    run_id = ok(run_module("maintenance_run", begun)).result["run_id"]
    event = {"module": "mongo_backup", "event": "ended", "summary": {"path": str(kept[2])}}
    with (state_dir / "runs" / f"{run_id}.jsonl").open("a") as record:
        record.write(json.dumps(event) + "\n")
    options = {"keep_daily": 0, "keep_weekly": 0, "keep_monthly": 0, "keep_last": 1, "relied_on": [str(kept[1])]}
    ok(run(backups, state_dir, run_id=run_id, **options))
    assert backups_in(backups) == sorted(path.name for path in kept[:3])
    # On its own there is no such run.
    ok(run(backups, state_dir, **{**options, "relied_on": []}))
    assert backups_in(backups) == [kept[0].name]


def test_negative_numbers_and_a_missing_directory(directory: Path, state_dir: Path, tmp_path: Path) -> None:
    assert "negative" in run(directory, state_dir, keep_daily=-1).msg
    before = sorted(directory.iterdir())
    for within in ("0", "1d"):
        counts = {"keep_daily": -1, "keep_weekly": 1, "keep_monthly": 0, "keep_within": within}
        kept = ok(run(directory, state_dir, **counts, negative="keep_all"))
        assert kept.result["changed"] is False and sorted(directory.iterdir()) == before
    assert "no directory of backups" in run(tmp_path / "nope", state_dir).msg
