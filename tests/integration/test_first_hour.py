# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes wrong first goes wrong on a host that nobody has prepared: each failure is a sentence with the command that helps.

The host is a Debian container in a network namespace without a way out, reached as a user with sudo. The commands are run as they are printed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import lacking
from tests.sandbox.engine import Engine, EngineUnavailable
from tests.sandbox.image import OPERATOR, base_image
from tests.support.playbooks import ROOT, PlaybookRun, environment, run_playbook

HOST = "bare-host"
VENV = "/opt/miniecom-maintenance/venv"
SECRET = "canary-Root-4711"
# What apt would do with a network: the module comes back.
APT = "#!/bin/sh\n[ $1 = update ] && exit\n[ \"$*\" = 'install -y python3.11-venv' ] && mv /root/ensurepip /usr/lib/python3.11/\n"
# Nothing is installed where the way to it is all that matters.
WITHOUT = ["-e", "prerequisites_method=none"]
# As on a distribution of some years ago.
OLD_PYTHON = "#!/bin/sh\necho 3.7.3\nexit 1\n"


class Host:
    """The container, and the inventory by which it is reached."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        self.engine, self.directory = engine, directory
        self.inventory = directory / "hosts.json"
        variables = {
            "ansible_connection": "community.docker.docker_api",
            "ansible_docker_docker_host": engine.docker_host,
            "ansible_user": OPERATOR,
            "miniecom_record_dir": str(directory / "record"),
        }
        self.inventory.write_text(json.dumps({"miniecom": {"hosts": {HOST: variables}}}))

    def sh(self, script: str) -> str:
        return self.engine.docker("exec", HOST, "sh", "-c", script)

    def put(self, path: str, text: str) -> None:
        self.engine.docker("exec", "-i", HOST, "sh", "-c", f"cat > {path}; chmod 755 {path}", stdin=None, input=text)

    def play(self, name: str, *arguments: str, **env: str) -> PlaybookRun:
        return run_playbook(name, self.inventory, *arguments, log=self.directory / "log", env=env)

    def told(self, run: PlaybookRun) -> str:
        """The sentence of the task that failed."""
        assert run.rc != 0, run.output
        # The end of a run names the host before it.
        return str([task for task in run.tasks if task["status"] == "failed"][-1]["result"]["msg"]).removeprefix(
            f"{HOST}: "
        )

    def type_in(self, sentence: str) -> str:
        """Run the command at the end of a sentence as it stands there."""
        command = re.findall(r"^.*: ((?:ansible|/)\S* .*)$", sentence)[0]
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=ROOT,
            env={**environment(self.directory / "log"), "PIP_CACHE_DIR": str(ROOT / ".cache" / "pip")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        return command


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    if os.geteuid() != 0:
        lacking("Docker: a private engine needs root")
    engine = Engine(tmp_path_factory.mktemp("engine"))
    try:
        engine.start()
    except EngineUnavailable as error:
        lacking(f"Docker: {error}")
    try:
        image = base_image(engine)
        engine.docker("run", "--detach", "--name", HOST, "--network", "none", image, "sleep", "infinity")
        yield Host(engine, tmp_path_factory.mktemp("host"))
    finally:
        engine.stop()


@pytest.fixture
def sudo(host: Host) -> Iterator[str]:
    """The operator has to type a password for sudo."""
    host.sh(f"cp /etc/sudoers.d/{OPERATOR} /root/sudoers; echo '{OPERATOR} ALL=(ALL) ALL' > /etc/sudoers.d/{OPERATOR}")
    host.sh(f"echo '{OPERATOR}:{SECRET}' | chpasswd; echo 'root:{SECRET}' | chpasswd")
    yield SECRET
    host.sh(f"cp /root/sudoers /etc/sudoers.d/{OPERATOR}")


def test_a_host_without_the_venv_module_and_without_a_package_index(host: Host, tmp_path: Path) -> None:
    host.sh("mv /usr/lib/python3.11/ensurepip /root/")
    host.put("/usr/local/sbin/apt-get", APT)
    # What root makes there is root's alone, unless somebody sees to it.
    host.put(f"/etc/sudoers.d/{OPERATOR}-umask", "Defaults umask=0077\n")
    sentence = host.told(host.play("prerequisites"))
    assert sentence.startswith(f"Python's venv module is missing on {HOST}. Install it: ansible {HOST} -b -i ")
    host.type_in(sentence)

    # In a run it is in the table as well, and the run is over.
    run = host.play("weekly", COLUMNS="300")
    sentence = next(task for task in run.tasks if task["status"] == "failed")["result"]["msg"]
    assert sentence.startswith(f"{HOST} reaches no package index. A mirror that it does reach is named by ")
    (row,) = [line for line in run.output.splitlines() if re.match(r"run +FAILED ", line)]
    shown = " ".join(run.output.partition(row)[2].partition("\n\n")[0].split())
    assert sentence.endswith(shown.rpartition("isal")[2]) and "reaches no package index" in row
    assert run.result("maintenance_report")["status"] == "failed"

    wheels = tmp_path / "wheels"
    command = host.type_in(sentence.replace("--dest wheels", f"--dest {wheels}").replace("=wheels", f"={wheels}"))
    assert "pymongo==" in command and len(list(wheels.glob("*.whl"))) >= 5
    python = f"{VENV}/bin/python -c 'import pymongo, docker, isal'"
    host.sh(f"{python} && {VENV}/bin/kingfisher --version && ! ls {VENV}/wheels")
    # Mitogen starts it as whoever connects, before it becomes root.
    host.sh(f"su {OPERATOR} -c \"{VENV}/bin/miniecom-python -c 'import pymongo, docker, isal'\"")
    host.sh(f"rm /etc/sudoers.d/{OPERATOR}-umask")

    again = host.play("prerequisites").assert_ok()
    assert again.changed() == [] and f"{HOST}: the libraries are in {VENV}" in again.output

    # The same wheels by a mirror: a package index that the host reaches, here on its own loopback.
    for wheel in wheels.glob("*.whl"):
        package = wheel.name.partition("-")[0].lower().replace("_", "-")
        host.sh(f"mkdir -p /srv/index/simple/{package}")
        host.engine.docker("cp", str(wheel), f"{HOST}:/srv/index/simple/{package}/")
    serve = "cd /srv/index && exec python3 -m http.server --bind 127.0.0.1 8080 > /srv/asked 2>&1"
    host.engine.docker("exec", "--detach", HOST, "sh", "-c", serve)
    mirror = "http://127.0.0.1:8080/simple"
    host.play(
        "prerequisites", "-e", "miniecom_venv=/opt/mirrored", "-e", f"prerequisites_index_url={mirror}"
    ).assert_ok()
    host.sh("/opt/mirrored/bin/python -c 'import pymongo, docker, isal' && /opt/mirrored/bin/kingfisher --version")
    asked = host.sh("cat /srv/asked")
    assert "GET /simple/pymongo/ " in asked and re.search(r"GET /simple/kingfisher-bin/\S+\.whl", asked)


def test_what_is_missing_in_the_wheelhouse_is_told_with_the_command_that_fetches_it(host: Host, tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    other = ["-e", "miniecom_venv=/opt/other", "-e", f"prerequisites_wheelhouse={tmp_path / 'wheels'}"]
    preview = host.play("prerequisites", *other, "--check").assert_ok()
    told = f"{HOST}: would install the libraries into /opt/other from {tmp_path / 'wheels'}"
    assert told in " ".join(preview.output.split())
    host.sh("! ls /opt/other")
    sentence = host.told(host.play("prerequisites", *other))
    assert re.match(
        rf"{tmp_path}/wheels lacks \S+ for Python 3.11 on \w+, as {HOST} has it. Fill it: \S+ -m pip download ",
        sentence,
    )


def test_sudo_that_wants_a_password(host: Host, sudo: str) -> None:
    sentence = host.told(host.play("weekly"))
    assert sentence.startswith(
        f"sudo on {HOST} wants the password of {OPERATOR}. Let Ansible ask for it: ansible-playbook "
    )
    assert sentence.endswith(" -K")
    wrong = host.play("weekly", "-e", "ansible_become_password=Canary-wrong")
    assert f"The password for sudo on {HOST} is wrong. " in host.told(wrong)
    assert "Canary-wrong" not in wrong.output and "ansible_become_password" not in host.told(wrong)
    host.play("prerequisites", *WITHOUT, "-e", f"ansible_become_password={sudo}").assert_ok()


def test_a_host_without_sudo(host: Host, sudo: str, tmp_path: Path) -> None:
    host.sh("mv /usr/bin/sudo /root/")
    try:
        run = host.play("weekly", *WITHOUT)
        sentence = host.told(run)
        assert (
            f"There is no sudo on {HOST}, and {OPERATOR} is not root. With root's password it goes by su: " in sentence
        )
        assert f"weekly maintenance of {HOST}" in run.output and re.search(
            r"(?m)^host +FAILED +There is no sudo", run.output
        )
        (tmp_path / "password").write_text(sudo)
        asked = sentence.replace("weekly.yml", "prerequisites.yml")
        host.type_in(asked.replace(" -K", f" --become-password-file {tmp_path / 'password'}"))
    finally:
        host.sh("mv /root/sudo /usr/bin/")


def test_a_host_whose_python_is_too_old_or_missing(host: Host) -> None:
    host.put("/usr/local/bin/python3.7", OLD_PYTHON)
    old = [*WITHOUT, "-e", "ansible_python_interpreter=/usr/local/bin/python3.7"]
    sentence = host.told(host.play("prerequisites", *old))
    assert sentence.startswith(f"Python 3.7 on {HOST} (/usr/local/bin/python3.7) is too old: ansible-core ")
    assert host.type_in(sentence).endswith("-e ansible_python_interpreter=/usr/bin/python3.11")
    host.sh("mkdir /root/py; mv /usr/bin/python3* /root/py/")
    try:
        sentence = host.told(host.play("health"))
        assert sentence.startswith(f"There is no Python on {HOST}. Install one: ansible {HOST} -b -i ")
        assert sentence.endswith("'apt-get update && apt-get install -y python3'")
    finally:
        host.sh("mv /root/py/* /usr/bin/")


def test_one_line_closes_over_all_hosts_those_included_that_nobody_reaches(host: Host, tmp_path: Path) -> None:
    inventory = json.loads(host.inventory.read_text())
    hosts = inventory["miniecom"]["hosts"]
    hosts["away"] = {**hosts[HOST], "ansible_docker_docker_host": f"unix://{tmp_path}/none.sock"}
    hosts["old"] = {**hosts[HOST], "ansible_host": HOST, "ansible_python_interpreter": "/nowhere/python"}
    path = tmp_path / "three.json"
    path.write_text(json.dumps(inventory))
    env = {"ANSIBLE_STDOUT_CALLBACK": "miniecom.maintenance.concise", "COLUMNS": "400"}
    run = run_playbook("prerequisites", path, log=tmp_path / "log", env=env)
    assert run.rc != 0
    assert run.output.strip().splitlines()[-1] == (
        f"3 hosts: 1 ended well ({HOST}); 1 failed (old: prerequisites : Check that the host can be maintained); 1 could not be reached (away)"
    )
    assert "Validating arguments" not in run.output and "ok: [" not in run.output and "skipping" not in run.output
    assert run.output.count("There is no Python /nowhere/python on old") == 1
