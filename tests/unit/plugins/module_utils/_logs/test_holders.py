# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.leftovers import ProcessId
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.processes import read_process
from ansible_collections.miniecom.maintenance.plugins.module_utils._logs.holders import (
    ask_to_reopen,
    find_holders,
    harmless_text,
    parse_flags,
    wait_until_released,
)

CGROUPS = {
    "0::/system.slice/miniecom-api.service\n": ("systemd", "miniecom-api.service"),
    "0::/user.slice/user-1000.slice/user@1000.service/app.slice/shop.service\n": ("systemd", "shop.service"),
    "1:name=systemd:/system.slice/api@1.service/child\n0::/\n": ("systemd", "api@1.service"),
    f"0::/system.slice/docker-{'ab' * 32}.scope\n": ("container", "abababababab"),
    f"5:devices:/docker/{'cd' * 32}\n": ("container", "cdcdcdcdcdcd"),
    "0::/user.slice/user-0.slice/session-3.scope\n": ("", ""),
    "": ("", ""),
}


def process(
    proc: Path, pid: int, parent: int = 1, cgroup: str = "", title: str = "node", caught: int = 0, name: str = "node"
) -> Path:
    """A process in a made-up /proc."""
    directory = proc / str(pid)
    for part in ("fd", "fdinfo"):
        (directory / part).mkdir(parents=True)
    (directory / "stat").write_text(f"{pid} ({name}) S {parent} " + "0 " * 17 + "77 0 0\n")
    (directory / "status").write_text(f"Name:\t{name}\nUid:\t0\t0\t0\t0\nSigCgt:\t{caught:016x}\n")
    (directory / "cmdline").write_bytes(title.encode() + b"\0")
    (directory / "cgroup").write_text(cgroup)
    os.symlink(f"/usr/bin/{name}", directory / "exe")
    return directory


def hold(directory: Path, log: Path, number: int, flags: int) -> None:
    os.symlink(log, directory / "fd" / str(number))
    (directory / "fdinfo" / str(number)).write_text(f"pos:\t0\nflags:\t0{flags:o}\nmnt_id:\t24\n")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    process(tmp_path / "proc", 1, 0)
    return tmp_path / "proc"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "api.log"
    path.write_text("x")
    return path


def identity(path: Path) -> tuple[int, int]:
    return path.stat().st_dev, path.stat().st_ino


@pytest.mark.parametrize(
    ("flags", "writes", "appends"),
    [
        ([os.O_RDONLY], False, False),
        ([os.O_WRONLY | os.O_APPEND], True, True),
        ([os.O_RDWR | os.O_APPEND], True, True),
        ([os.O_WRONLY], True, False),
        ([os.O_WRONLY | os.O_APPEND, os.O_WRONLY], True, False),
        ([os.O_WRONLY | os.O_APPEND, os.O_RDONLY], True, True),
    ],
)
def test_how_a_file_is_held(proc: Path, log: Path, flags: list[int], writes: bool, appends: bool) -> None:
    for number, flag in enumerate(flags):
        if not (proc / "50").exists():
            process(proc, 50)
        hold(proc / "50", log, number, flag)
    process(proc, 51)
    [held] = find_holders({identity(log)}, str(proc)).of[identity(log)]
    assert (held.process, held.writes, held.appends) == (ProcessId(50, 77), writes, appends)


@pytest.mark.parametrize("cgroup", CGROUPS)
def test_who_looks_after_a_process(proc: Path, log: Path, cgroup: str) -> None:
    hold(process(proc, 50, cgroup=cgroup), log, 1, os.O_WRONLY)
    [held] = find_holders({identity(log)}, str(proc)).of[identity(log)]
    assert (held.manager, held.unit) == CGROUPS[cgroup]


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("reloads", [True, False])
def test_pm2_is_the_process_itself_or_above_it(proc: Path, log: Path, own: bool, reloads: bool) -> None:
    mask = 1 << (signal.SIGUSR2 - 1) if reloads else 0
    daemon = process(proc, 40, title="PM2 v5.3.0: God Daemon (/root/.pm2)", caught=mask)
    process(proc, 45, 40, title="sh")
    worker = process(proc, 50, 45, cgroup="0::/system.slice/pm2-root.service\n")
    hold(daemon if own else worker, log, 1, os.O_WRONLY | os.O_APPEND)
    [held] = find_holders({identity(log)}, str(proc)).of[identity(log)]
    assert (held.manager, held.pm2, held.pm2_reloads) == ("pm2", ProcessId(40, 77), reloads)


def test_names_that_others_have_chosen_are_harmless(proc: Path, log: Path) -> None:
    hold(process(proc, 50, name="a\x1b[2Jb"), log, 1, os.O_WRONLY)
    [held] = find_holders({identity(log)}, str(proc)).of[identity(log)]
    assert held.program == "a?[2Jb"
    assert harmless_text("a\nb" + "c" * 900) == "a?b" + "c" * 197


def test_what_the_kernel_does_not_say_is_taken_for_plain_writing() -> None:
    assert parse_flags("pos:\t0\n") == os.O_WRONLY
    assert parse_flags("pos:\t0\nflags:\t0102001\nmnt_id:\t1\n") == 0o102001


def running(code: str) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", code + "\nprint('up', flush=True)\nsys.stdin.readline()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None and child.stdout.readline()
    return child


def test_a_signal_is_sent_to_that_process_and_only_with_a_handler() -> None:
    child = running("import os, signal, sys\nsignal.signal(signal.SIGHUP, lambda *_: os.write(1, b'told\\n'))")
    try:
        found = read_process(child.pid)
        assert found is not None and child.stdout is not None
        ours = ProcessId(found.pid, found.start_time)
        with pytest.raises(MaintenanceError, match="no handler for SIGUSR1"):
            ask_to_reopen(ours, "USR1", "python")
        with pytest.raises(MaintenanceError, match="not a signal"):
            ask_to_reopen(ours, "KILL", "python")
        with pytest.raises(MaintenanceError, match="not a signal"):
            ask_to_reopen(ProcessId(1, 0), "HUP", "init")
        assert ask_to_reopen(ProcessId(found.pid, found.start_time + 1), "HUP", "python") is False, "a later one"
        assert ask_to_reopen(ours, "HUP", "python") is True
        assert child.stdout.readline() == "told\n"
        assert child.poll() is None
    finally:
        child.communicate("\n")


def test_waiting_ends_with_who_still_holds(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    child = running(f"import sys\nhandle = open({str(log)!r}, 'a')")
    try:
        [left] = wait_until_released(identity(log), 0.0)
        assert left.process.pid == child.pid
    finally:
        child.communicate("\n")
    assert wait_until_released(identity(log), 5.0) == []
