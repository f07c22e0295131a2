# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""log_rotate with logrotate itself, and with real processes that hold logs open."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.clock import utc_now
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import SkipAction
from ansible_collections.miniecom.maintenance.plugins.module_utils._logs.rotating import LogRotate
from tests.conftest import lacking
from tests.sandbox.fetch import PackagesUnavailable, logrotate_binary
from tests.support.extent import sampled
from tests.support.kill import boundaries, kill_and_run_again, kill_at_every_change
from tests.support.modules import ModuleResult, run_module

WWW = 33
TEXT = "an old line\n" * 1000
WRITER = """
import os, signal, sys
path, flags, reopens = sys.argv[1], int(sys.argv[2]), sys.argv[3]
def opened():
    return os.open(path, flags | os.O_CREAT, 0o640)
descriptor = opened()
def again(*_):
    global descriptor
    os.close(descriptor)
    descriptor = opened()
if reopens:
    signal.signal(getattr(signal, "SIG" + reopens), again)
print("up", flush=True)
for line in sys.stdin:
    os.write(descriptor, line.encode())
    print("written", flush=True)
"""
APPEND, PLAIN, READ = os.O_WRONLY | os.O_APPEND, os.O_WRONLY, os.O_RDONLY


class Writer:
    """A process that holds a log open and writes to it when it is told to."""

    def __init__(self, log: Path, flags: int, reopens: str = "", title: str = "") -> None:
        self.process = subprocess.Popen(
            [title or sys.executable, "-c", WRITER, str(log), str(flags), reopens],
            executable=sys.executable,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answered("up")

    def _answered(self, word: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == word + "\n"

    def write(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        self._answered("written")

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=20)


@pytest.fixture(scope="session")
def logrotate() -> str:
    try:
        return str(logrotate_binary())
    except PackagesUnavailable as error:
        lacking(f"logrotate: {error}")
        raise


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    directory = tmp_path / "logs"
    directory.mkdir()
    for name in ("api.log", "ops.log"):
        (directory / name).write_text(TEXT)
    (directory / "small.log").write_text("a line\n")
    return directory


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that other users can reach."""
    if os.geteuid() != 0:
        lacking("files of other users: only root can give files away")
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        directory = Path(name) / "logs"
        directory.mkdir()
        yield directory


def parameters(logs: Path, logrotate: str, **more: Any) -> dict[str, Any]:
    return {
        "directories": [str(logs)],
        "max_size": "1k",
        "logrotate": logrotate,
        "state_dir": str(logs.parent / "state"),
        **more,
    }


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def rotations(log: Path) -> list[Path]:
    return sorted(log.parent.glob(log.name + "-*"))


def warnings(result: ModuleResult) -> list[str]:
    """What it warns of; newer releases of Ansible give more than the text."""
    found = result.result.get("warnings", [])
    return [warning if isinstance(warning, str) else warning["event"]["msg"] for warning in found]


def reason(result: ModuleResult, log: Path, where: str = "plan") -> str:
    return str(next(entry["reason"] for entry in result.result[where] if entry["target"] == str(log)))


def test_check_mode_changes_nothing_and_predicts_what_happens(logs: Path, logrotate: str) -> None:
    before = contents(logs)
    params = parameters(logs, logrotate)
    checked = run_module("log_rotate", params, check=True, diff=True)
    assert checked.result["changed"] is True
    assert checked.result["summary"]["headline"] == "would rotate 2 logs"
    assert f"{logs}/api.log: rotate" in checked.result["diff"]["after"]
    assert contents(logs) == before and not (logs.parent / "state").exists()
    done = run_module("log_rotate", params)
    assert done.result["plan"] == checked.result["plan"] and not done.failed, done.msg
    assert done.result["summary"]["headline"] == "rotated 2 logs"
    assert [action["status"] for action in done.result["actions"]] == ["done"] * 3
    for name in ("api.log", "ops.log"):
        [rotated] = rotations(logs / name)
        assert rotated.read_text() == TEXT and (logs / name).read_text() == ""
    assert (logs / "small.log").read_text() == "a line\n"
    assert (logs.parent / "state" / "logrotate.conf").stat().st_mode & 0o777 == 0o600
    settled = contents(logs)
    again = run_module("log_rotate", params)
    assert (again.result["changed"], again.result["plan"], contents(logs)) == (False, [], settled)


def test_the_age_counts_from_the_first_run_that_sees_a_log(logs: Path, logrotate: str) -> None:
    params = parameters(logs, logrotate, max_size="1G", interval="daily")
    first = run_module("log_rotate", params)
    assert not first.changed and [action["action"] for action in first.result["plan"]] == ["run_logrotate"]
    status = logs.parent / "state" / "logrotate.status"
    assert str(logs / "small.log") in status.read_text()
    assert run_module("log_rotate", params).result["plan"] == []
    status.write_text(f'logrotate state -- version 2\n"{logs}/small.log" 2026-1-2-3:0:0\n')
    checked = run_module("log_rotate", params, check=True)
    assert checked.result["summary"]["rotated"] == 1
    assert "rotated daily" in reason(checked, logs / "small.log")
    assert run_module("log_rotate", params).result["summary"]["rotated"] == 1
    assert rotations(logs / "small.log")


def test_what_is_held_for_appending_is_truncated_in_place(logs: Path, logrotate: str) -> None:
    log = logs / "api.log"
    with Writer(log, APPEND) as writer:
        writer.write("the last old line")
        done = run_module("log_rotate", parameters(logs, logrotate))
        assert not done.failed, done.msg
        writer.write("the first new line")
        assert "loses what is written in the moment" in reason(done, log)
        [entry] = [entry for entry in done.result["logs"] if entry["path"] == str(log)]
        assert entry["method"] == "copytruncate"
        assert [(held["pid"], held["mode"]) for held in entry["held_by"]] == [(writer.process.pid, "append")]
    assert log.read_text() == "the first new line\n"
    [rotated] = rotations(log)
    assert rotated.read_text() == TEXT + "the last old line\n"
    assert run_module("log_rotate", parameters(logs, logrotate)).changed is False


def test_what_is_held_otherwise_is_left_alone_with_the_line_that_would_help(logs: Path, logrotate: str) -> None:
    log = logs / "api.log"
    with Writer(log, PLAIN) as writer:
        checked = run_module("log_rotate", parameters(logs, logrotate), check=True)
        done = run_module("log_rotate", parameters(logs, logrotate))
        assert done.result["plan"] == checked.result["plan"]
        writer.write("x")
    assert not done.failed and not rotations(log) and log.stat().st_size == len(TEXT)
    assert rotations(logs / "ops.log"), "the others are rotated"
    assert done.result["summary"]["headline"] == "rotated 1 log, 1 cannot be rotated"
    assert "not for appending" in reason(done, log, "kept")
    [warning] = warnings(done)
    assert "reopen: [{pattern: 'api.log', method: signal, signal: HUP}]" in warning


def test_its_holder_opens_it_anew_on_the_signal_that_is_named(logs: Path, logrotate: str) -> None:
    log = logs / "api.log"
    params = parameters(logs, logrotate, reopen=[{"pattern": "api*", "method": "signal", "signal": "USR2"}])
    with Writer(log, PLAIN, "USR2") as writer:
        done = run_module("log_rotate", params)
        assert not done.failed, done.msg
        writer.write("the first new line")
    assert log.read_text() == "the first new line\n"
    assert rotations(log)[0].read_text() == TEXT


def test_nobody_is_killed_by_a_signal_that_he_does_not_know(logs: Path, logrotate: str) -> None:
    log = logs / "api.log"
    params = parameters(logs, logrotate, reopen=[{"pattern": "api.log", "method": "signal", "signal": "USR1"}])
    with Writer(log, PLAIN, "HUP") as writer:
        done = run_module("log_rotate", params)
        assert writer.process.poll() is None
        writer.write("it lives")
    assert not rotations(log)
    assert "no handler for SIGUSR1" in reason(done, log, "kept")


def test_a_holder_that_does_not_let_go_is_a_failure_and_is_asked_again(logs: Path, logrotate: str) -> None:
    log = logs / "api.log"
    params = parameters(logs, logrotate, reopen=[{"pattern": "*", "method": "signal", "signal": "HUP"}])
    stubborn = WRITER.replace("    os.close(descriptor)\n", "    pass\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "WRITER", stubborn)
        with Writer(log, PLAIN, "HUP"):
            done = run_module("log_rotate", params)
            assert done.failed and "still writes into the renamed file" in done.msg
            statuses = {action["target"]: action["status"] for action in done.result["actions"]}
            assert statuses[str(log)] == "failed" and statuses[str(logs / "ops.log")] == "done"
            again = run_module("log_rotate", params, check=True)
            assert [(entry["action"], entry["target"]) for entry in again.result["plan"]] == [
                ("reopen", str(rotations(log)[0]))
            ]


def test_pm2_is_asked_to_reload_its_logs_only_where_that_is_said(logs: Path, logrotate: str) -> None:
    log = logs / "api.log"
    with Writer(log, APPEND, "USR2", title="PM2 v5.3.0: God Daemon (/root/.pm2)") as writer:
        left = run_module("log_rotate", parameters(logs, logrotate))
        assert "pm2_reload_logs" in warnings(left)[0] and not rotations(log)
        [entry] = [entry for entry in left.result["logs"] if entry["path"] == str(log)]
        assert entry["held_by"][0]["manager"] == "pm2"
        params = parameters(logs, logrotate, reopen=[{"pattern": "api.log", "method": "pm2_reload_logs"}])
        done = run_module("log_rotate", params)
        assert not done.failed, done.msg
        writer.write("the first new line")
    assert log.read_text() == "the first new line\n" and rotations(log)[0].read_text() == TEXT


def test_who_only_reads_is_no_reason_to_copy(logs: Path, logrotate: str) -> None:
    log = logs / "api.log"
    inode = log.stat().st_ino
    with Writer(log, READ):
        done = run_module("log_rotate", parameters(logs, logrotate))
    assert "only read by" in reason(done, log)
    assert rotations(log)[0].stat().st_ino == inode


def test_who_writes_into_a_renamed_log_is_named_and_can_be_asked_to_let_go(logs: Path, logrotate: str) -> None:
    log = logs / "api.log"
    with Writer(log, APPEND, "HUP") as writer:
        renamed = logs / "api.log-20261101-1793491200"
        log.rename(renamed)
        log.touch()
        done = run_module("log_rotate", parameters(logs, logrotate))
        assert "still writes into it" in warnings(done)[0] and "Restart it" in warnings(done)[0]
        params = parameters(logs, logrotate, reopen=[{"pattern": "api.log", "method": "signal"}])
        asked = run_module("log_rotate", params)
        assert not asked.failed and asked.changed, asked.msg
        writer.write("where it belongs")
        assert run_module("log_rotate", params).changed is False
    assert log.read_text() == "where it belongs\n"


def test_links_and_second_names_are_said_to_be_passed_over(logs: Path, logrotate: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(TEXT)
    (logs / "link.log").symlink_to(tmp_path / "elsewhere")
    (logs / "current.log").symlink_to("ops.log")
    (logs / "null.log").symlink_to("/dev/null")
    os.link(logs / "api.log", logs / "twin.log")
    done = run_module("log_rotate", parameters(logs, logrotate))
    assert done.result["summary"]["rotated"] == 1 and not rotations(logs / "api.log")
    assert "symbolic link" in reason(done, logs / "link.log", "kept")
    for name in ("api.log", "twin.log"):
        assert "2 names (hard links)" in reason(done, logs / name, "kept")
    warned = " ".join(warnings(done))
    assert "link.log" in warned and "twin.log" in warned
    assert "current.log" not in warned, "what it leads to is rotated"


def test_a_directory_seen_twice_is_rotated_once(logs: Path, logrotate: str) -> None:
    (logs.parent / "same").symlink_to(logs)
    params = parameters(logs, logrotate, directories=[str(logs), f"{logs}/", str(logs.parent / "same")])
    done = run_module("log_rotate", params)
    assert not done.failed, done.msg
    assert done.result["summary"]["rotated"] == 2
    assert "the same file as" in reason(done, logs.parent / "same" / "api.log", "kept")


@pytest.mark.root
def test_in_a_directory_that_others_may_write_to_logrotate_becomes_its_owner(
    open_directory: Path, logrotate: str
) -> None:
    """The shop's guides make it www-data's with mode 775, and systemd opens what it appends to as root."""
    for name in ("own.log", "roots.log", "private.log", "systemd.log"):
        (open_directory / name).write_text(TEXT)
    shutil.chown(open_directory / "own.log", WWW, WWW)
    (open_directory / "private.log").chmod(0o600)
    os.chown(open_directory, WWW, WWW)
    open_directory.chmod(0o775)
    params = parameters(open_directory, logrotate)
    with Writer(open_directory / "systemd.log", APPEND) as writer:
        done = run_module("log_rotate", params)
        assert not done.failed, done.msg
        writer.write("new")
    assert done.result["summary"]["rotated"] == 4
    assert (open_directory / "systemd.log").read_text() == "new\n"
    for name in ("own.log", "roots.log", "private.log", "systemd.log"):
        assert rotations(open_directory / name)[0].read_text().startswith(TEXT)
    assert (open_directory / "own.log").stat().st_uid == WWW
    assert not (open_directory / "roots.log").exists(), "whoever writes next makes one of his own"
    private = (open_directory / "private.log").stat()
    assert (private.st_uid, private.st_mode & 0o777) == (0, 0o600)
    lines = (open_directory.parent / "state/logrotate.conf").read_text()
    assert "su 33 33" in lines and "su 0 33" in lines


@pytest.mark.root
def test_where_everybody_may_write_root_does_not_rotate_as_root(open_directory: Path, logrotate: str) -> None:
    for name in ("own.log", "roots.log"):
        (open_directory / name).write_text(TEXT)
    shutil.chown(open_directory / "own.log", WWW, WWW)
    (open_directory / "roots.log").chmod(0o600)
    os.chown(open_directory, WWW, WWW)
    open_directory.chmod(0o777)
    done = run_module("log_rotate", parameters(open_directory, logrotate))
    assert not done.failed, done.msg
    assert rotations(open_directory / "own.log") and not rotations(open_directory / "roots.log")
    assert "chmod o-w" in warnings(done)[0]
    given = run_module("log_rotate", parameters(open_directory, logrotate, su="root www-data"))
    assert not given.failed and rotations(open_directory / "roots.log"), given.msg


@pytest.mark.root
def test_what_logrotate_says_stands_in_the_failure_beside_what_was_rotated(
    open_directory: Path, logs: Path, logrotate: str
) -> None:
    log = open_directory / "own.log"
    log.write_text(TEXT)
    unreadable = open_directory / "own.log-20261101-1793491200"
    unreadable.write_text("old\n")
    unreadable.chmod(0o600)
    for path in (log, open_directory):
        os.chown(path, WWW, WWW)
    open_directory.chmod(0o775)
    params = parameters(logs, logrotate, directories=[str(open_directory), str(logs)])
    done = run_module("log_rotate", params)
    assert done.failed and done.changed
    assert "for compression: Permission denied" in done.msg and f"{logs}/api.log" in done.msg
    statuses = {action["target"]: action["status"] for action in done.result["actions"]}
    assert statuses == {
        "logrotate": "failed",
        str(log): "failed",
        str(logs / "api.log"): "done",
        str(logs / "ops.log"): "done",
    }
    assert done.result["summary"]["headline"] == "rotated 2 logs"
    assert log.read_text() == TEXT


def test_a_log_that_is_opened_in_the_last_moment_is_not_renamed(logs: Path, logrotate: str) -> None:
    defaults = {"patterns": ["*.log"], "interval": "weekly", "retention_days": 30, "reopen": [], "su": None}
    params = {
        **defaults,
        "optional_directories": [],
        "configuration": None,
        "status": None,
        **parameters(logs, logrotate),
    }
    (logs.parent / "tmp").mkdir()
    task = LogRotate(cast(Any, SimpleNamespace(params=params, run=None, tmpdir=str(logs.parent / "tmp"))))
    observation = task.observe()
    plan = task.plan(observation, utc_now())
    with Writer(logs / "api.log", PLAIN):
        task.act(plan.actions[0], observation)
        with pytest.raises(SkipAction, match="opened it"):
            task.act(plan.actions[1], observation)
        task.act(plan.actions[2], observation)
    assert [path.name.partition("-")[0] for path in logs.glob("*-*")] == ["ops.log"]
    assert (logs / "api.log").read_text() == TEXT


@pytest.mark.parametrize(
    ("option", "value", "word"),
    [
        ("max_size", "100M\npostrotate", "not a size"),
        ("max_size", "0", "out of range"),
        ("retention_days", -1, "out of range"),
        ("patterns", ['*.log" {'], "not a pattern"),
        ("patterns", ["../*.log"], "not a pattern"),
        ("su", "root", "su is not"),
        ("su", "root adm\n", "su is not"),
        ("su", "root nobodys-group", "does not have"),
        ("directories", ["logs"], "absolute"),
        ("directories", ["/var/log\n/etc"], "absolute"),
        ("directories", ["/var/log/*"], "absolute"),
        ("configuration", "/nowhere/logrotate.conf", "/nowhere"),
        ("logrotate", "/nowhere/logrotate", "apt-get install -y logrotate"),
        ("reopen", [{"pattern": "a\nb", "method": "signal"}], "not a pattern"),
    ],
)
def test_a_value_that_is_none_of_its_kind_is_refused(
    logs: Path, logrotate: str, option: str, value: object, word: str
) -> None:
    before = contents(logs)
    done = run_module("log_rotate", {**parameters(logs, logrotate), option: value})
    assert done.failed and word in done.msg, done.msg
    assert contents(logs) == before


@pytest.mark.parametrize("boundary", sampled(boundaries(3)))
def test_killed_at_any_boundary_the_next_run_finishes(logs: Path, logrotate: str, boundary: int) -> None:
    params = parameters(logs, logrotate, reopen=[{"pattern": "api.log", "method": "signal"}])
    with Writer(logs / "api.log", PLAIN, "HUP") as writer:

        def nothing_is_lost() -> None:
            for name in ("api.log", "ops.log"):
                assert TEXT in "".join(path.read_text() for path in [logs / name, *rotations(logs / name)])

        kill_and_run_again("log_rotate", params, boundary, nothing_is_lost)
        writer.write("new")
    assert (logs / "api.log").read_text() == "new\n", "its holder was asked, by the one run or the other"
    assert len(rotations(logs / "api.log")) == len(rotations(logs / "ops.log")) == 1


def test_killed_at_every_change_no_line_is_lost(logs: Path, logrotate: str, tmp_path: Path) -> None:
    worlds = tmp_path / "worlds"
    worlds.mkdir()

    def prepare(world: Path) -> tuple[str, dict[str, Any]]:
        shutil.copytree(logs, world / "logs")
        return "log_rotate", parameters(world / "logs", logrotate)

    def inspect(world: Path) -> None:
        again = run_module("log_rotate", parameters(world / "logs", logrotate))
        assert not again.failed, again.msg
        for name in ("api.log", "ops.log"):
            assert [path.read_text() for path in rotations(world / "logs" / name)] == [TEXT]
            assert (world / "logs" / name).read_text() == ""

    assert kill_at_every_change(worlds, prepare, inspect) > 3


def test_older_rotations_are_compressed_and_come_back_whole(logs: Path, logrotate: str) -> None:
    log = logs / "api.log"
    before = logs / "api.log-20261101-1793491200"
    before.write_text("older\n")
    assert not run_module("log_rotate", parameters(logs, logrotate)).failed
    assert gzip.decompress((logs / f"{before.name}.gz").read_bytes()) == b"older\n"
    assert [path.suffix for path in rotations(log)] == [".gz", ".log-" + rotations(log)[1].name.partition("-")[2]]


def test_on_the_oldest_python(logs: Path, logrotate: str, old_python: Path) -> None:
    with Writer(logs / "api.log", APPEND):
        done = run_module("log_rotate", parameters(logs, logrotate), python=str(old_python))
    assert not done.failed and done.result["summary"]["rotated"] == 2, done.msg
