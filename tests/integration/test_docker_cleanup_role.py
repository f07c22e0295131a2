# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When the role docker_cleanup takes a missing engine for a fact of the host, and when for a failure."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.playbooks import PlaybookRun, run_playbook

PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.import_role:
        name: miniecom.maintenance.docker_cleanup
    - ansible.builtin.debug:
        var: docker_cleanup_result
"""


@contextlib.contextmanager
def silent_engine() -> Iterator[str]:
    """A socket that takes connections and never answers."""
    with tempfile.TemporaryDirectory(prefix="miniecom-") as directory, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{directory}/docker.sock")
        server.listen(16)
        yield f"unix://{directory}/docker.sock"


def clean_up(tmp_path: Path, docker_host: str, absent: bool) -> PlaybookRun:
    play = tmp_path / "play.yml"
    play.write_text(PLAY)
    context = {"docker": {"available": False, "absent": absent}}
    variables = {
        "context_docker_host": docker_host,
        "context_state_dir": str(tmp_path / "state"),
        "context_result": {"context": context},
        "docker_cleanup_timeout": 1,
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
    }
    return run_playbook(str(play), "localhost,", "--extra-vars", json.dumps(variables), log=tmp_path / "tasks.log")


@pytest.mark.parametrize("fails", [False, True])
def test_only_an_engine_that_is_not_there_is_not_applicable(tmp_path: Path, fails: bool) -> None:
    with silent_engine() as docker_host:
        run = clean_up(tmp_path, docker_host, not fails)
    assert (run.rc != 0) == fails, run.output[-4000:]
    if fails:
        assert "did not answer within 1 s" in json.dumps(run.result("docker_prune"))
    else:
        assert "not applicable" in run.output
