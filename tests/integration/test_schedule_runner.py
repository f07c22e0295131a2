# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program that timers and crontabs start, packed as on a host, without systemd: waiting its turn and for MongoDB."""

from __future__ import annotations

import fcntl
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.program import pack
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations import job_program
from ansible_collections.miniecom.maintenance.plugins.module_utils._schedule import job_runner
from tests.sandbox.mongod import Mongod

EVER = 10.0**9


class Jobs:
    """A directory of jobs, and the program beside it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.program = directory / "job.pyz"
        self.program.write_bytes(pack(job_program.__name__))
        (directory / "lock").touch()

    def add(self, name: str, *argv: str, address: str = "", **more: Any) -> None:
        job = {
            "argv": list(argv),
            "working_directory": "/",
            "environment": {"GIVEN": "to the job"},
            "ready": {"address": address, "health_url": "", "seconds": 1, "boot_seconds": EVER},
            "queue_seconds": 60,
            "alert": [],
            "alert_itself": False,
            "log": "stdout",
            **more,
        }
        (self.directory / f"{name}.json").write_text(json.dumps(job))

    def start(self, name: str, python: Path = Path(sys.executable)) -> subprocess.Popen[str]:
        """As a unit does: nothing of this collection is on its path."""
        command = [str(python), "-I", "-B", str(self.program), "run", str(self.directory), name]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PATH": "/usr/bin:/bin"}, cwd="/")

    def run(self, name: str, python: Path = Path(sys.executable)) -> tuple[int, str]:
        process = self.start(name, python)
        output, _ = process.communicate(timeout=60)
        return process.returncode, output


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path)


def test_only_a_member_that_serves_is_healthy(mongod: Mongod) -> None:
    assert job_runner.mongod_is_healthy(mongod.address)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = "127.0.0.1:%d" % silent.getsockname()[1]

        def babble() -> None:
            for _ in range(2):
                connection, _peer = silent.accept()
                connection.sendall(b"\x40\x00\x00\x00 no database at all")
                connection.close()

        thread = threading.Thread(target=babble)
        thread.start()
        assert not job_runner.mongod_is_healthy(address)
        thread.join(20)
    assert not job_runner.mongod_is_healthy(address), "nobody listens there any more"
    assert not job_runner.mongod_is_healthy("no address")


def test_it_waits_for_mongodb_and_starts_all_the_same_in_the_end(jobs: Jobs, mongod: Mongod) -> None:
    jobs.add("well", "/bin/sh", "-c", "echo $GIVEN", address=mongod.address)
    assert jobs.run("well")[1].splitlines()[-2] == "to the job" and "waits" not in jobs.run("well")[1]
    jobs.add("ill", "/bin/echo", "started", address="127.0.0.1:1")
    status, output = jobs.run("ill")
    assert status == 0 and "waits for MongoDB" in output and "starts all the same" in output and "\nstarted\n" in output
    ready = {"address": "127.0.0.1:1", "health_url": "", "seconds": 1, "boot_seconds": 0}
    jobs.add("later", "/bin/echo", "started", ready=ready)
    assert "waits" not in jobs.run("later")[1], "long after the boot it does not wait"


def test_jobs_wait_for_one_another_but_not_for_ever(jobs: Jobs) -> None:
    jobs.add("patient", "/bin/echo", "started")
    jobs.add("hasty", "/bin/echo", "started", queue_seconds=0)
    with (jobs.directory / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        status, output = jobs.run("hasty")
        assert (
            status == job_runner.QUEUE_TOO_LONG
            and output.splitlines()[-1].startswith("<2>")
            and "started\n" not in output
        )
        waiting = jobs.start("patient")
        assert waiting.stdout is not None
        assert "waits for another one" in waiting.stdout.readline()
        # The same job, while the first still waits.
        status, output = jobs.run("patient")
        assert status == 0 and "not started again" in output
    assert "\nstarted\n" in waiting.communicate(timeout=60)[0] and waiting.returncode == 0


def test_a_failure_is_the_status_and_calls_the_alert(jobs: Jobs, old_python: Path) -> None:
    told = jobs.directory / "told"
    alert = ["/bin/sh", "-c", f'echo "$MINIECOM_JOB $MINIECOM_STATUS" > {told}; exit 1']
    jobs.add("broken", "/bin/sh", "-c", "exit 4", alert=alert, alert_itself=True)
    status, output = jobs.run("broken", old_python)
    assert status == 4 and told.read_text() == "broken 4\n"
    assert "<2>the scheduled job broken failed (status 4)" in output and "could not be sent: status 1" in output
    jobs.add("missing", "/nonexistent/ansible-playbook")
    status, output = jobs.run("missing", old_python)
    assert status == job_runner.BROKEN and "<2>the job missing cannot be started" in output
    assert jobs.run("unknown")[0] == job_runner.BROKEN


def test_a_failure_reaches_the_channels_of_alerts_once(jobs: Jobs, old_python: Path) -> None:
    """Without Ansible, pymongo or anything else but Python; a channel that fails keeps no other from hearing."""
    told, channels = jobs.directory / "told.jsonl", jobs.directory / "channels"
    env_file = jobs.directory / ".env"
    env_file.write_text("HOOK=http://127.0.0.1:1/canary-secret\nSMTP_PASS=canary-password\n")
    options = {"file": str(told), "webhooks": [{"name": "ops", "shape": "slack", "url_key": "HOOK"}], "mail": None}
    options.update(env_file=str(env_file), state_dir=str(jobs.directory / "state"), threshold="high", repeat_after="1d")
    channels.write_text(json.dumps(options))
    tell = [str(old_python), "-I", "-B", str(jobs.program), "tell", str(channels)]
    output = "; ".join(["echo canary-password", "exit 4"])
    jobs.add("weekly", "/bin/sh", "-c", output, alert=tell, alert_itself=True)
    for _again in range(2):
        process = subprocess.run(
            [str(old_python), "-I", "-B", str(jobs.program), "run", str(jobs.directory), "weekly"],
            capture_output=True,
            text=True,
            env={"PATH": "/usr/bin:/bin"},
            check=False,
        )
        assert process.returncode == 4
        assert "<3>ops: " in process.stderr and "canary-secret" not in process.stderr
        [entry] = [json.loads(text) for text in told.read_text().splitlines()]
        assert "the scheduled job weekly failed (status 4)" in json.dumps(entry) and "canary" not in json.dumps(entry)
    channels.write_text("{")
    broken = subprocess.run(
        tell, capture_output=True, text=True, env={"MINIECOM_JOB": "weekly", "PATH": "/usr/bin:/bin"}, check=False
    )
    assert broken.returncode == 1 and broken.stderr.startswith("<3>")
