# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.extent import sampled
from tests.support.kill import boundaries, kill_and_run_again, kill_at_every_change
from tests.support.modules import for_other_users, run_module

DAY = 86400


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    directory = tmp_path / "logs"
    directory.mkdir()
    for age in (1, 9, 20, 40):
        log = directory / f"ops{age}.log"
        log.write_text(f"{age} days old\n" * 5000)
        log.chmod(0o640)
        os.utime(log, (time.time() - age * DAY,) * 2)
    return directory


def parameters(logs: Path, tmp_path: Path) -> dict[str, object]:
    return {
        "paths": [str(logs)],
        "compress_after": "7d",
        "remove_after": "30d",
        "state_dir": str(tmp_path / "state"),
    }


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_check_mode_changes_nothing_and_predicts_what_happens(logs: Path, tmp_path: Path) -> None:
    before = contents(logs)
    checked = run_module("log_prune", parameters(logs, tmp_path), check=True, diff=True)
    assert checked.result["changed"] is True
    assert contents(logs) == before
    assert "ops20.log: compress" in checked.result["diff"]["after"]
    done = run_module("log_prune", parameters(logs, tmp_path))
    assert done.result["plan"] == checked.result["plan"]
    assert [action["status"] for action in done.result["actions"]] == ["done", "done", "done"]
    assert sorted(contents(logs)) == ["ops1.log", "ops20.log.gz", "ops9.log.gz"]


def test_compressed_logs_keep_content_mode_and_age(logs: Path, tmp_path: Path) -> None:
    before = (logs / "ops20.log").stat()
    text = (logs / "ops20.log").read_bytes()
    run_module("log_prune", parameters(logs, tmp_path))
    packed = logs / "ops20.log.gz"
    assert gzip.decompress(packed.read_bytes()) == text
    assert packed.stat().st_mtime == before.st_mtime
    assert packed.stat().st_mode == before.st_mode
    again = run_module("log_prune", parameters(logs, tmp_path))
    assert again.result["changed"] is False


def test_a_log_that_a_process_has_open_stays(logs: Path, tmp_path: Path) -> None:
    with open(logs / "ops40.log", "ab"):
        done = run_module("log_prune", parameters(logs, tmp_path))
    assert (logs / "ops40.log").exists()
    assert {"target": str(logs / "ops40.log"), "reason": "a process has it open"} in done.result["kept"]


def test_a_run_killed_after_the_copy_is_finished_by_the_next(logs: Path, tmp_path: Path) -> None:
    log = logs / "ops9.log"
    copy = logs / "ops9.log.gz"
    copy.write_bytes(gzip.compress(log.read_bytes()))
    (logs / ".ops20.log.gz.miniecom-partial").write_bytes(b"half a copy")
    run_module("log_prune", parameters(logs, tmp_path))
    assert sorted(contents(logs)) == ["ops1.log", "ops20.log.gz", "ops9.log.gz"]


def test_an_unrelated_file_of_that_name_is_left_alone(logs: Path, tmp_path: Path) -> None:
    other = logs / "ops9.log.gz"
    other.write_bytes(gzip.compress(b"something else"))
    run_module("log_prune", parameters(logs, tmp_path))
    assert (logs / "ops9.log").exists()
    assert gzip.decompress(other.read_bytes()) == b"something else"


def test_links_are_not_followed(logs: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim.log"
    victim.write_bytes(b"x")
    os.utime(victim, (0, 0))
    (logs / "link.log").symlink_to(victim)
    run_module("log_prune", parameters(logs, tmp_path))
    assert victim.exists()
    assert (logs / "link.log").is_symlink()


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    done = run_module("log_prune", parameters(tmp_path / "nowhere", tmp_path))
    assert done.rc != 0
    assert str(tmp_path / "nowhere") in done.result["msg"]


@pytest.mark.parametrize("boundary", sampled(boundaries(3)))
def test_killed_at_any_boundary_the_next_run_finishes(logs: Path, tmp_path: Path, boundary: int) -> None:
    text = {path.name: path.read_bytes() for path in logs.iterdir()}

    def nothing_is_lost() -> None:
        for name in ("ops9.log", "ops20.log"):
            copy = logs / f"{name}.gz"
            assert (logs / name).exists() or gzip.decompress(copy.read_bytes()) == text[name]

    kill_and_run_again("log_prune", parameters(logs, tmp_path), boundary, nothing_is_lost)
    assert sorted(contents(logs)) == ["ops1.log", "ops20.log.gz", "ops9.log.gz"]


def test_killed_at_every_change_no_line_is_lost(logs: Path, tmp_path: Path) -> None:
    text = {path.name: path.read_bytes() for path in logs.iterdir()}
    worlds = tmp_path / "worlds"
    worlds.mkdir()

    def prepare(world: Path) -> tuple[str, dict[str, object]]:
        shutil.copytree(logs, world / "logs")
        return "log_prune", parameters(world / "logs", world)

    def inspect(world: Path) -> None:
        directory = world / "logs"
        for name in ("ops9.log", "ops20.log"):
            if (directory / name).exists():
                assert (directory / name).read_bytes() == text[name]
            else:
                assert gzip.decompress((directory / f"{name}.gz").read_bytes()) == text[name]
        assert (directory / "ops1.log").read_bytes() == text["ops1.log"]
        again = run_module("log_prune", parameters(directory, world))
        assert not again.failed, again.msg
        assert sorted(contents(directory)) == ["ops1.log", "ops20.log.gz", "ops9.log.gz"]
        for name in ("ops9.log", "ops20.log"):
            assert gzip.decompress((directory / f"{name}.gz").read_bytes()) == text[name]

    assert kill_at_every_change(worlds, prepare, inspect) > 5


def test_on_the_oldest_python(logs: Path, tmp_path: Path, old_python: Path) -> None:
    done = run_module("log_prune", parameters(logs, tmp_path), python=str(old_python))
    assert done.result["summary"]["compressed"] == 2


NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
HOLD = """
import ctypes, sys
handle = open(sys.argv[1], "a")
if sys.argv[2] == "hidden":
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE
print("up", flush=True)
sys.stdin.readline()
handle.write("the last line\\n")
"""


@pytest.fixture
def nobodys() -> Iterator[Path]:
    """A directory that a user without rights can reach, with one old log of its own and a Python for it."""
    if os.geteuid() != 0 or not shutil.which("setpriv") or not os.path.exists("/usr/bin/python3"):
        pytest.skip("needs root, setpriv and a system Python")
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        python = place / "python"
        python.write_text('#!/bin/sh\nexec %s /usr/bin/python3 "$@"\n' % " ".join(NOBODY))
        python.chmod(0o755)
        for directory in ("logs", "state"):
            (place / directory).mkdir()
            os.chown(place / directory, 65534, 65534)
        log = place / "logs" / "api.log.1"
        log.write_text("a line\n" * 1000)
        log.chmod(0o644)
        os.chown(log, 65534, 65534)
        os.utime(log, (time.time() - 10 * DAY,) * 2)
        yield place


@contextmanager
def held(log: Path, how: str) -> Iterator[None]:
    """A process of the same user that writes to the log when it ends."""
    command = [*NOBODY, "/usr/bin/python3", "-c", HOLD, str(log), how]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline()
    try:
        yield
    finally:
        process.communicate(b"\n")


@pytest.mark.parametrize("how", ["plain", "hidden"])
def test_without_root_no_line_of_a_process_that_hides_is_lost(nobodys: Path, how: str) -> None:
    log = nobodys / "logs" / "api.log.1"
    params = {"paths": [str(log.parent)], "compress_after": "7d", "state_dir": str(nobodys / "state")}
    place = for_other_users(nobodys)
    with held(log, how):
        done = run_module("log_prune", params, python=nobodys / "python", place=place)
        assert not done.failed, done.msg
        assert done.result["kept"] == [{"target": str(log), "reason": "a process has it open"}]
    assert log.read_text().endswith("the last line\n")
    os.utime(log, (time.time() - 10 * DAY,) * 2)
    # A process that hides, and has other things open: the kernel tells that nobody writes to this one.
    with held(nobodys / "logs" / "other.log", "hidden"):
        done = run_module("log_prune", params, python=nobodys / "python", place=place)
    assert done.result["summary"]["compressed"] == 1, done.result["kept"]
    assert gzip.decompress((log.parent / "api.log.1.gz").read_bytes()).endswith(b"the last line\n")
