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

from tests.sandbox.engine import Engine
from tests.sandbox.image import tiny_image
from tests.support.modules import run_module
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


LOOK_BACK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.import_role:
        name: miniecom.maintenance.docker_cleanup
        tasks_from: undo
    - ansible.builtin.debug:
        var: docker_cleanup_undo_result
"""


@pytest.mark.parametrize("run_id", ["20261129T030000Z-a1b2c3", "20261129T030000Z-000000", ""])
def test_what_a_run_removed_is_shown_with_how_to_have_it_again(tmp_path: Path, run_id: str) -> None:
    play = tmp_path / "play.yml"
    play.write_text(LOOK_BACK)
    events = tmp_path / "state/runs/20261129T030000Z-a1b2c3.jsonl"
    events.parent.mkdir(parents=True, mode=0o700)
    events.parent.parent.chmod(0o700)
    event = {"module": "docker_prune", "action": "remove_image", "target": "mongo:6", "event": "begin"}
    end = {**event, "event": "end", "status": "done", "again": "docker pull mongo@sha256:12"}
    events.write_text("".join(json.dumps(item) + "\n" for item in (event, end, {**event, "target": "mongo:7"})))
    variables = {
        "context_state_dir": str(tmp_path / "state"),
        "docker_cleanup_undo": run_id,
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
    }
    run = run_playbook(str(play), "localhost,", "--extra-vars", json.dumps(variables), log=tmp_path / "tasks.log")
    assert (run.rc == 0) == bool(run_id), run.output[-4000:]
    if not run_id:
        assert "Nothing says which run is to be looked back on" in run.output
    elif run_id.endswith("000000"):
        assert "this run removed nothing of Docker" in run.output
    else:
        assert "image mongo:6: docker pull mongo@sha256:12" in run.output
        assert "image mongo:7: the run ended while it was to be removed" in run.output


def test_what_a_real_cleanup_removed_is_looked_back_on(docker_engine: Engine, tmp_path: Path) -> None:
    image, state = tiny_image(docker_engine), str(tmp_path / "state")
    docker_engine.docker("create", "--name", "forgotten", "--network", "none", image, "true")
    begun = run_module("maintenance_run", {"state": "begun", "name": "weekly", "owner": "test", "state_dir": state})
    run_id = begun.result["run_id"]
    options = {"containers": "stopped", "docker_host": docker_engine.docker_host, "run_id": run_id, "state_dir": state}
    # As Ansible calls it: the record names the module.
    pruned = run_module("docker_prune", {**options, "_ansible_module_name": "miniecom.maintenance.docker_prune"})
    assert [action["target"] for action in pruned.result["actions"]] == ["forgotten"], pruned.msg
    ended = run_module("maintenance_run", {"state": "ended", "run_id": run_id, "state_dir": state})
    assert not ended.failed, ended.msg
    play = tmp_path / "play.yml"
    play.write_text(LOOK_BACK)
    variables = {
        "context_state_dir": state,
        "docker_cleanup_undo": run_id,
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
    }
    told = run_playbook(str(play), "localhost,", "--extra-vars", json.dumps(variables), log=tmp_path / "tasks.log")
    told.assert_ok()
    (line,) = told.result("docker_prune_info")["lines"]
    assert line.startswith(
        f"container forgotten: no compose file says how it was set up: make it anew, of the image {image}"
    )
    assert "container forgotten: no compose file" in told.output
    assert told.changed() == [] and "forgotten" not in docker_engine.docker("ps", "--all")
