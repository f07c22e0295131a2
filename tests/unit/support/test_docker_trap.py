# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard around the machine's own Docker Engine does guard."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import modules
from tests.support.modules import module_environment, run_module

CONNECT = "import socket; socket.socket(socket.AF_UNIX).connect({!r})"


@pytest.mark.parametrize("address", ["/var/run/docker.sock", "/run/docker.sock", b"/var/run/docker.sock"])
def test_connection_is_refused_and_noted(address: str | bytes, tmp_path: Path) -> None:
    note = tmp_path / "note"
    done = subprocess.run(
        [sys.executable, "-c", CONNECT.format(address)],
        env=module_environment({"MINIECOM_TRAP_FILE": str(note)}),
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "out of bounds" in done.stderr
    assert "docker.sock" in note.read_text()


def test_a_link_does_not_get_around_it(tmp_path: Path) -> None:
    link = tmp_path / "engine.sock"
    link.symlink_to("/run/docker.sock")
    note = tmp_path / "note"
    subprocess.run(
        [sys.executable, "-c", CONNECT.format(str(link))],
        env=module_environment({"MINIECOM_TRAP_FILE": str(note)}),
        capture_output=True,
    )
    assert "engine.sock" in note.read_text()


def test_other_sockets_are_free(tmp_path: Path) -> None:
    note = tmp_path / "note"
    subprocess.run(
        [sys.executable, "-c", CONNECT.format(str(tmp_path / "other.sock"))],
        env=module_environment({"MINIECOM_TRAP_FILE": str(note)}),
        capture_output=True,
    )
    assert not note.exists()


def test_this_very_process_is_guarded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import socket

    monkeypatch.setenv("MINIECOM_TRAP_FILE", str(tmp_path / "note"))
    with socket.socket(socket.AF_UNIX) as client, pytest.raises(PermissionError, match="out of bounds"):
        client.connect("/var/run/docker.sock")
    assert (tmp_path / "note").exists()


def test_a_module_that_falls_back_on_the_default_socket_is_caught(tmp_path: Path) -> None:
    note = tmp_path / "note"
    run = run_module(
        "docker_usage_info",
        {"state_dir": str(tmp_path / "state")},
        env={"DOCKER_HOST": None, "MINIECOM_TRAP_FILE": str(note)},
    )
    # Without the variable the module's own default applies, which is the machine's socket; it is not even opened where it is not there.
    if Path("/var/run/docker.sock").exists():
        assert "docker.sock" in note.read_text()
    else:
        assert run.result["docker"] == {
            "available": False,
            "reason": "missing",
            "docker_host": "unix:///var/run/docker.sock",
        }


def test_modules_under_test_get_no_default_engine(tmp_path: Path) -> None:
    assert module_environment()["DOCKER_HOST"] == modules.NO_DOCKER_HOST
