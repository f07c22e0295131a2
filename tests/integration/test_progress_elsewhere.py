# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whoever watches is told how far a module has come on a host that is reached over ssh."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.clock import format_utc, utc_now
from tests.conftest import lacking
from tests.sandbox.apt import PackagesUnavailable
from tests.sandbox.offsite import USER, offsite_programs, ssh_server
from tests.support.playbooks import ROOT, environment

PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Begin
      miniecom.maintenance.maintenance_run: {state: begun, name: watched, state_dir: "{{ state }}"}
      register: run
    - name: Look long
      miniecom.maintenance.mongo_orphans:
        uri: mongodb://127.0.0.1:{{ silent }}/shop?directConnection=true
        connect_timeout: 120
        run_id: "{{ run.run_id }}"
        state_dir: "{{ state }}"
"""
PLAN = [{"action": "archive", "target": f"shop.{name}", "bytes": 1024} for name in ("carts", "orders")]
# Whoever runs the playbook does not see the state directory, as if it were another machine's.
APART = ("unshare", "--mount", "--propagation", "private", "sh", "-c", 'mount -t tmpfs tmpfs "$0" && exec "$@"')
TOLD = "archive shop.carts, 1 of 2"
EVENTS: list[dict[str, Any]] = [{"event": "planned", "plan": PLAN}, {"event": "begin", **PLAN[0]}]


@pytest.mark.parametrize(
    "reached",
    ["one connection for all", pytest.param("a connection for each command", marks=pytest.mark.exhaustive)],
)
def test_how_far_a_module_is_on_another_host(tmp_path: Path, reached: str) -> None:
    """What is told comes from the record there, while the module waits for a database that does not answer."""
    if os.geteuid() != 0:
        lacking("a directory that only the other host sees: this needs root")
    try:
        programs = offsite_programs()
    except PackagesUnavailable as error:
        lacking(f"ssh: {error}")
    master = "auto -o ControlPersist=20" if reached == "one connection for all" else "no"
    playbook, inventory, state = tmp_path / "long.yml", tmp_path / "hosts.ini", tmp_path / "its state"
    playbook.write_text(PLAYBOOK)
    state.mkdir(mode=0o700)
    # It takes connections, and never says a word.
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        tempfile.TemporaryDirectory(prefix="cp") as short,
        ssh_server(tmp_path / "ssh") as server,
    ):
        inventory.write_text(
            f"[all]\nshop ansible_connection=ssh ansible_host=127.0.0.1 ansible_port={server.port} ansible_user={USER}\n"
            f"[all:vars]\nansible_python_interpreter={sys.executable}\nansible_ssh_executable={programs}/ssh\n"
            f"ansible_ssh_private_key_file={server.key}\nansible_ssh_pipelining=true\nansible_remote_tmp={tmp_path}/tmp\n"
            f"ansible_control_path={short}/%%C\n"
            f"ansible_ssh_args=-o ControlMaster={master} -o UserKnownHostsFile={server.known_hosts}\n"
            f"state='{state}'\nsilent={silent.getsockname()[1]}\n"
        )
        process = subprocess.Popen(
            [
                *APART,
                str(state),
                str(Path(sys.executable).with_name("ansible-playbook")),
                "-i",
                str(inventory),
                str(playbook),
            ],
            cwd=ROOT,
            env=environment(tmp_path / "log", {"ANSIBLE_STDOUT_CALLBACK": "miniecom.maintenance.concise"}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines: list[str] = []
        noted = False
        with process:
            for line in process.stdout or ():
                lines.append(line)
                if "... [shop] Look long" in line and not noted:
                    noted = True
                    (record,) = (state / "runs").glob("*.jsonl")
                    with record.open("a") as events:
                        for event in EVENTS:
                            events.write(json.dumps({**event, "at": format_utc(utc_now())}) + "\n")
                if TOLD in line:
                    silent.close()
    text = "".join(lines)
    assert f"      [shop] {TOLD}\n" in text, text
    assert "FAILED: [shop] Look long: cannot connect to MongoDB" in text, text
    log = (tmp_path / "ssh/log").read_text(errors="replace")
    assert (log.count("Accepted publickey") == 1) is (reached == "one connection for all"), log
