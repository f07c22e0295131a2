# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""disk_usage_info on real file systems: a small tmpfs that can be filled, and the machine's own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import lacking
from tests.support.modules import ModuleResult, run_module

MIB = 1024 * 1024


def usage(state_dir: Path, *paths: Path, **more: Any) -> ModuleResult:
    options = {key: more.pop(key) for key in ("check", "python") if key in more}
    params = {"paths": [str(path) for path in paths], "state_dir": str(state_dir), **more}
    return run_module("disk_usage_info", params, **options)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB and 100 inodes."""
    directory = tmp_path / "small"
    directory.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m,nr_inodes=100", "miniecom-test", str(directory)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        lacking(f"a file system of our own (mount -t tmpfs): {done.stderr.strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True)


def test_the_same_file_system_is_told_once_with_what_fills_it(tmp_path: Path, state_dir: Path) -> None:
    (tmp_path / "shop/storage/backups").mkdir(parents=True)
    (tmp_path / "shop/storage/backups/one.tar.gz").write_bytes(b"x" * 3 * MIB)
    (tmp_path / "shop/frontend").mkdir()
    (tmp_path / "shop/frontend/a").write_bytes(b"x" * MIB)
    result = usage(state_dir, tmp_path / "shop", tmp_path / "shop/storage", tmp_path / "shop/not-yet")
    assert not result.failed and not result.changed, result.msg
    (system,) = result.result["filesystems"]
    assert len(system["paths"]) == 3 and system["status"] == result.result["status"]
    df = subprocess.run(
        ["df", "-B1", "--output=size,avail,pcent,target", str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout.splitlines()[1].split()  # fmt: skip
    assert system["bytes_total"] == int(df[0]) and system["mount_point"] == df[3]
    assert abs(system["percent_used"] - float(df[2].rstrip("%"))) <= 1.5
    largest = {os.path.relpath(item["path"], tmp_path): item for item in result.result["largest"]}
    assert list(largest)[:2] == ["shop/storage/backups", "shop/frontend"]
    assert largest["shop/storage/backups"]["bytes_apparent"] == 3 * MIB


def test_status_follows_bytes_and_inodes(small: Path, state_dir: Path) -> None:
    def status() -> tuple[str, float, float]:
        result = usage(state_dir, small, check=True)
        assert not result.failed, "it reports, and never fails because a disk is full"
        (system,) = result.result["filesystems"]
        assert system["mount_point"] == str(small)
        return result.result["status"], system["percent_used"], system["percent_inodes_used"]

    assert status()[0] == "ok"
    (small / "big").write_bytes(b"x" * 7 * MIB)
    assert status()[:2] == ("warn", 87.5)
    (small / "more").write_bytes(b"x" * (MIB // 2))
    assert status()[:2] == ("critical", 93.8)
    for name in ("big", "more"):
        (small / name).unlink()
    for number in range(90):
        (small / str(number)).touch()
    result, used, inodes = status()
    assert result == "critical" and used < 10 and inodes > 90


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("DISK_WARN_PCT=50\nDISK_CRITICAL_PCT='60'\n", {}, (50, 60, "DISK_WARN_PCT", "DISK_CRITICAL_PCT")),
        ("DISK_WARN_PCT=50%\n", {"critical": 99}, (50, 99, "DISK_WARN_PCT", "option")),
        ("DISK_WARN_PCT=50\n", {"warn": 70}, (70, 90, "option", "default")),
        ("", {}, (80, 90, "default", "default")),
    ],
)
def test_thresholds_come_from_options_then_from_the_shop(
    tmp_path: Path, state_dir: Path, text: str, options: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    (tmp_path / ".env").write_text(text)
    result = usage(state_dir, tmp_path, env_file=str(tmp_path / ".env"), largest=0, **options)
    found = result.result["thresholds"]
    assert (found["warn"], found["critical"], found["warn_from"], found["critical_from"]) == expected


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("DISK_WARN_PCT=much\n", {}, "DISK_WARN_PCT=much"),
        ("", {"warn": 95}, "above the critical one"),
        ("", {"warn": 0}, "not a percentage"),
        ("", {"critical": 101}, "not a percentage"),
        ("", {"time_limit": "x"}, "not a duration"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, state_dir: Path, text: str, options: dict[str, Any], message: str) -> None:
    (tmp_path / ".env").write_text(text)
    result = usage(state_dir, tmp_path, env_file=str(tmp_path / ".env"), **options)
    assert result.failed and message in result.msg and not state_dir.exists()


def test_an_environment_file_that_cannot_be_read_is_told_and_the_disks_all_the_same(
    tmp_path: Path, state_dir: Path
) -> None:
    result = usage(state_dir, tmp_path, env_file=str(tmp_path / "missing"), largest=0)
    assert not result.failed and "built-in thresholds" in result.output


def test_the_forecast_comes_from_real_runs_only(small: Path, state_dir: Path) -> None:
    once = usage(state_dir, small, check=True).result
    assert once["filesystems"][0]["forecast"]["samples"] == 1
    assert "not known yet (needs measurements of 3 days, has 1)" in once["summary"]["headline"]
    assert not state_dir.exists()
    usage(state_dir, small)
    history = state_dir / "history/disk.jsonl"
    (line,) = history.read_text().splitlines()
    entry = json.loads(line)
    now = datetime.now(timezone.utc)
    with history.open("w") as handle:
        for days in range(6, 0, -1):
            past = dict(
                entry, bytes_used=(7 - days) * MIB // 2, at=(now - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
            )
            handle.write(json.dumps(past) + "\n")
    (small / "big").write_bytes(b"x" * (7 * MIB // 2))
    result = usage(state_dir, small)
    (system,) = result.result["filesystems"]
    assert system["forecast"]["samples"] == 7 and abs(system["forecast"]["bytes_per_day"] - MIB // 2) < 8192
    assert abs(system["days_until_full"] - 9) < 0.2
    assert (
        "full in" in result.result["summary"]["headline"]
        and result.result["summary"]["days_until_full"] == system["days_until_full"]
    )
    assert len(history.read_text().splitlines()) == 7


def fill(path: Path) -> None:
    with open(path, "wb", buffering=0) as handle, contextlib.suppress(OSError):
        while True:
            handle.write(b"x" * 4096)


def test_a_full_disk_is_told_of_and_not_failed_at(small: Path) -> None:
    state_dir = small / "state"
    assert not usage(state_dir, small, largest=0).failed
    history = state_dir / "history" / "disk.jsonl"
    # A line that reaches the end of its page: the next one wants a new page, which there is none of.
    history.write_bytes(history.read_bytes().rstrip(b"\n") + b" " * (4095 - history.stat().st_size % 4096) + b"\n")
    fill(small / "fill")
    for directory in (state_dir, small / "no-state-yet"):
        full = usage(directory, small, largest=0)
        assert not full.failed, full.msg
        assert full.result["status"] == "critical" and full.result["filesystems"][0]["bytes_available"] == 0
        assert "ENOSPC" in json.dumps(full.result["warnings"])
    (small / "fill").unlink()
    with open(history, "ab") as handle:
        handle.write(b'{"at": "torn by a full d')
    again = usage(state_dir, small, largest=0)
    assert not again.result.get("warnings") and again.result["filesystems"][0]["forecast"]["samples"] == 1
    assert json.loads(history.read_bytes().splitlines()[-1])["mount_point"] == str(small)


def test_it_stays_on_the_file_system(small: Path, state_dir: Path) -> None:
    (small / "inside").write_bytes(b"x" * MIB)
    result = usage(state_dir, small.parent)
    assert str(small) not in [item["path"] for item in result.result["largest"]]


def test_on_the_oldest_python(tmp_path: Path, state_dir: Path, old_python: Path) -> None:
    result = usage(state_dir, tmp_path, python=old_python)
    assert not result.failed, result.msg
