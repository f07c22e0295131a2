# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import (
    InsufficientSpace,
    MaintenanceError,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.compose_program import ComposeProgram

RUN = """
import sys
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.compose_program import ComposeProgram
ComposeProgram(sys.argv[1], "unix:///nowhere.sock", "shop", "", (), (), 60).run("cannot", "shop", "up")
"""


def test_compose_does_not_go_on_where_nobody_waits_for_it(tmp_path: Path) -> None:
    """The next call brings back what ran before, and must not meet it at work."""
    program, said = tmp_path / "docker", tmp_path / "pid"
    program.write_text(f"#!/bin/sh\necho $$ > {said}.new; mv {said}.new {said}; exec sleep 600\n")
    program.chmod(0o755)
    caller = subprocess.Popen([sys.executable, "-c", RUN, str(program)])
    deadline = time.monotonic() + 60
    while not said.exists():
        assert caller.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    compose = int(said.read_text())
    try:
        caller.kill()
        caller.wait()
        while running(compose):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        if running(compose):
            os.kill(compose, signal.SIGKILL)


def test_compose_that_is_not_ready_in_time_is_ended(tmp_path: Path) -> None:
    program, said = tmp_path / "docker", tmp_path / "pid"
    program.write_text(f"#!/bin/sh\necho $$ > {said}; exec sleep 600\n")
    program.chmod(0o755)
    compose = ComposeProgram(str(program), "unix:///nowhere.sock", "shop", "", (), (), 2)
    with pytest.raises(
        MaintenanceError, match="cannot pull the image: docker compose was not ready within 2 s"
    ) as caught:
        compose.run("cannot pull the image", "shop/api", "pull")
    assert caught.value.code == "timeout" and "compose_timeout" in caught.value.next_step
    # A machine that is busy beyond measure may not even have begun it.
    assert not said.exists() or not running(int(said.read_text() or 0))


@pytest.mark.parametrize(
    ("words", "step"),
    [
        ("client version 1.40 is too old. Minimum supported API version is 1.44", "upgrade the one that is older"),
        ("client version 1.60 is too new. Maximum supported API version is 1.51", "DOCKER_API_VERSION"),
        ("unknown shorthand flag: 'p' in -p", "docker-compose-plugin"),
        ("write /var/lib/docker/tmp/x: no space left on device", "docker_cleanup"),
        ("manifest unknown", ""),
    ],
)
def test_what_the_docker_command_says_is_told_with_what_to_do(tmp_path: Path, words: str, step: str) -> None:
    program = tmp_path / "docker"
    program.write_text(f'#!/bin/sh\necho "Error response from daemon: {words}" >&2\nexit 1\n')
    program.chmod(0o755)
    compose = ComposeProgram(str(program), "unix:///nowhere.sock", "shop", "", (), (), 60)
    with pytest.raises(MaintenanceError) as caught:
        compose.run("cannot pull the image", "shop/api", "pull")
    assert f"cannot pull the image: Error response from daemon: {words}" in str(caught.value)
    assert step in caught.value.next_step and bool(step) == bool(caught.value.next_step)
    assert isinstance(caught.value, InsufficientSpace) == ("space" in words)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
