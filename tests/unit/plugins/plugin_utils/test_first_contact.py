# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.plugin_utils.first_contact import (
    Facts,
    Ways,
    become_problem,
    facts,
    install,
    pip_problem,
    probe,
    python_problem,
    venv_problem,
    wanted,
)

ROOT = Path(__file__).resolve().parents[4]
REQUIREMENTS = (ROOT / "roles/prerequisites/files/requirements.txt").read_text(encoding="utf-8")
NUMPY = (ROOT / "roles/prerequisites/files/numpy.txt").read_text(encoding="utf-8")
WAYS = Ways(
    host="shop1",
    user="deploy",
    core="2.20",
    on_host=lambda text: f"<on {text}>",
    again=lambda further: f"<again {' '.join(further)}>",
    other=lambda playbook, further: f"<{playbook} {' '.join(further)}>",
)
DEBIAN = Facts((("/usr/bin/python3", (3, 11, 2)),), "apt-get", "x86_64", False, (3, 11, 2), True)


def program(path: Path, version: str, status: int = 0) -> None:
    path.write_text(f"#!/bin/sh\n[ -z '{version}' ] || echo {version}\nexit {status}\n")
    path.chmod(0o755)


def ask(directory: Path, candidates: list[str], base: str = "") -> Facts:
    env = {**os.environ, "PATH": f"{directory}{os.pathsep}/usr/bin{os.pathsep}/bin"}
    script = probe(candidates, (3, 9), base)
    done = subprocess.run(["sh", "-c", script], env=env, capture_output=True, text=True, check=True)
    return facts("Welcome to shop1!\n" + done.stdout.replace("\n", "\r\n"))


def test_the_shell_tells_which_pythons_there_are(tmp_path: Path) -> None:
    program(tmp_path / "pythonA", "", 127)
    program(tmp_path / "pythonB", "3.7.3", 1)
    program(tmp_path / "pythonC", "3.12.1")
    program(tmp_path / "apt-get", "")
    found = ask(tmp_path, ["missing", "pythonA", "pythonB", "pythonC", sys.executable], sys.executable)
    assert found.pythons == tuple(
        (str(tmp_path / name), version)
        for name, version in (("pythonA", (0, 0, 0)), ("pythonB", (3, 7, 3)), ("pythonC", (3, 12, 1)))
    ), "the search ends with the first that is new enough"
    assert found.installer == "apt-get" and found.machine == os.uname().machine
    assert found.base == sys.version_info[:3] and found.venv
    assert ask(tmp_path, ["pythonC"], "pythonB").base == (3, 7, 3)
    assert ask(tmp_path, ["missing"], "missing") == Facts((), "apt-get", os.uname().machine)


def test_an_environment_is_there_when_it_is_complete_and_its_python_runs(tmp_path: Path) -> None:
    mark, python = tmp_path / "the mark", tmp_path / "pythonE"

    def found() -> bool:
        script = probe(["missing"], (3, 9), "", (str(mark), str(python)))
        return facts(
            subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
        ).environment

    program(python, "")
    assert not found(), "no mark"
    mark.touch()
    assert found()
    program(python, "", 1)
    assert not found(), "its Python does not run"
    python.unlink()
    assert not found(), "nor one that is not there"


def test_a_good_host_has_no_problem() -> None:
    assert python_problem(DEBIAN, (3, 9), "", WAYS) == ""
    assert python_problem(DEBIAN, (3, 9), "/usr/bin/python3", WAYS) == ""
    assert venv_problem(DEBIAN, "python3", WAYS) == ""
    assert become_problem("Connection reset by peer", WAYS) == ""


@pytest.mark.parametrize(
    "said, told",
    [
        (
            "/bin/sh: 1: sudo: not found",
            "no sudo on shop1, and deploy is not root. With root's password it goes by su: <again --become-method su -K>",
        ),
        ("bash: sudo: command not found", "no sudo on shop1"),
        (
            "sudo: a password is required",
            "sudo on shop1 wants the password of deploy. Let Ansible ask for it: <again -K>",
        ),
        ("Missing sudo password", "wants the password of deploy"),
        ("Timeout (12s) waiting for privilege escalation prompt: ", "wants the password of deploy"),
        ("Incorrect sudo password", "The password for sudo on shop1 is wrong"),
        ("Sorry, try again.", "The password for sudo on shop1 is wrong"),
        ("deploy is not in the sudoers file.", "deploy may not use sudo on shop1"),
    ],
)
def test_who_cannot_become_root_is_told_how(said: str, told: str) -> None:
    assert told in become_problem(said, WAYS)


@pytest.mark.parametrize(
    "pythons, named, told",
    [
        ((), "", "There is no Python on shop1. Install one: <on apt-get update && apt-get install -y python3>"),
        ((), "/opt/py", "There is no Python /opt/py on shop1."),
        (
            (("/usr/bin/python3", (3, 7, 3)),),
            "",
            "ansible-core 2.20 needs 3.9 or newer there. Install a newer one beside it",
        ),
        ((("/usr/bin/python3", (3, 8, 1)),), "", "needs 3.9 or newer there. Take an older Ansible on this machine: "),
        (
            (("/usr/bin/python3", (3, 7, 3)), ("/usr/bin/python3.11", (3, 11, 2))),
            "/usr/bin/python3",
            "Python 3.7 on shop1 (/usr/bin/python3) is too old: ansible-core 2.20 needs 3.9 or newer there. "
            "Name one that does: <again -e ansible_python_interpreter=/usr/bin/python3.11>",
        ),
        (
            (("/usr/bin/python3", (3, 11, 2)),),
            "/opt/py",
            "There is no Python /opt/py on shop1, as ansible_python_interpreter has it.",
        ),
        (
            (("/shims/python3", (0, 0, 0)), ("/usr/bin/python3", (3, 11, 2))),
            "",
            "Python /shims/python3 on shop1 does not run.",
        ),
    ],
)
def test_a_python_that_ansible_cannot_use_is_told(
    pythons: tuple[tuple[str, tuple[int, ...]], ...], named: str, told: str
) -> None:
    assert told in python_problem(Facts(pythons, "apt-get"), (3, 9), named, WAYS)


def test_what_keeps_an_environment_from_being_made() -> None:
    bare = Facts(DEBIAN.pythons, "apt-get", "x86_64", False, (3, 11, 2), False)
    assert venv_problem(bare, "python3", WAYS) == (
        "Python's venv module is missing on shop1. Install it: <on apt-get update && apt-get install -y python3.11-venv>"
    )
    old = Facts(DEBIAN.pythons, "apt-get", "x86_64", False, (3, 6, 9), True)
    assert "too old for the modules' libraries" in venv_problem(old, "python3.6", WAYS)
    assert "<again -e prerequisites_base_python=/usr/bin/python3>" in venv_problem(old, "python3.6", WAYS)
    assert venv_problem(Facts((), "dnf"), "python3", WAYS).endswith("Install one: <on dnf install -y python3>")
    assert install(Facts((), "apk"), "python3") == "apk add python3"


@pytest.mark.parametrize(
    "version, machine, told",
    [
        (
            (3, 8),
            "x86_64",
            ["pymongo==4.10.1", "docker==7.2.0", "jmespath==1.0.1", "isal==1.7.2", "kingfisher-bin==2.14.0"],
        ),
        (
            (3, 9),
            "aarch64",
            ["pymongo==4.18.3", "docker==7.2.0", "jmespath==1.1.0", "isal==1.9.1", "kingfisher-bin==2.14.0"],
        ),
        ((3, 12), "riscv64", ["pymongo==4.20.0", "docker==7.2.0", "jmespath==1.1.0", "isal==1.9.1"]),
    ],
)
def test_the_libraries_are_chosen_for_the_host_and_not_for_this_machine(
    version: tuple[int, int], machine: str, told: list[str]
) -> None:
    assert wanted(REQUIREMENTS, version, machine) == told


@pytest.mark.parametrize(
    "version, machine, told",
    [
        ((3, 8), "x86_64", ["numpy==1.24.4"]),
        ((3, 9), "aarch64", ["numpy==2.0.2"]),
        ((3, 10), "x86_64", ["numpy==2.2.6"]),
        ((3, 11), "x86_64", ["numpy==2.4.6"]),
        ((3, 14), "aarch64", ["numpy==2.4.6"]),
        ((3, 12), "riscv64", []),  # nothing is compiled on a host
        ((3, 12), "i686", []),
    ],
)
def test_numpy_is_chosen_for_the_host(version: tuple[int, int], machine: str, told: list[str]) -> None:
    assert wanted(NUMPY, version, machine) == told


ASKED_FOR = """
- hosts: localhost
  connection: local
  gather_facts: false
  vars_files: [ROLE/defaults/main.yml, ROLE/vars/main.yml]
  vars: {role_path: ROLE}
  tasks:
    - ansible.builtin.set_fact:
        mark_without: "{{ __prerequisites_mark }}"
        without: "{{ __prerequisites_requirements }}"
    - ansible.builtin.assert:
        that:
          - (__prerequisites_requirements == without ~ '\\n' ~ lookup('ansible.builtin.file', 'ROLE/files/numpy.txt')) == item.installed
          - (__prerequisites_requirements == without) != item.installed
          - (__prerequisites_mark == mark_without) != item.other_mark
      vars:
        prerequisites_numpy: "{{ item.numpy }}"
        prerequisites_temporary: "{{ item.temporary }}"
      loop:
        - {numpy: false, temporary: false, installed: false, other_mark: false}
        - {numpy: true, temporary: false, installed: true, other_mark: true}
        - {numpy: true, temporary: true, installed: false, other_mark: true}
"""


def test_numpy_is_installed_only_where_it_is_asked_for(tmp_path: Path) -> None:
    """An environment made without it is not complete for whoever asks for it; what is temporary backs nothing up."""
    assert "numpy" not in REQUIREMENTS
    playbook = tmp_path / "asked.yml"
    playbook.write_text(ASKED_FOR.replace("ROLE", str(ROOT / "roles/prerequisites")))
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", str(playbook)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


RETRY = "WARNING: Retrying after connection broken by 'NewConnectionError': Temporary failure in name resolution\n"
LACKING = "ERROR: Could not find a version that satisfies the requirement isal==1.9.1\nERROR: No matching distribution found for isal==1.9.1\n"


@pytest.mark.parametrize(
    "said, wheelhouse, told",
    [
        (RETRY + LACKING, "", "shop1 reaches no package index."),
        (
            RETRY + LACKING,
            "",
            "--dest wheels "
            "pymongo==4.20.0 docker==7.2.0 jmespath==1.1.0 isal==1.9.1 kingfisher-bin==2.14.0 && <prerequisites -e prerequisites_wheelhouse=wheels>",
        ),
        (
            LACKING,
            "my wheels",
            "my wheels lacks isal==1.9.1 for Python 3.11 on x86_64, as shop1 has it. Fill it: python3 -m pip download ",
        ),
        ("ERROR: [Errno 28] No space left on device", "", "The disk of shop1 is full"),
        ("SSLError(SSLCertVerificationError: certificate verify failed)", "", "does not trust the certificate"),
        ("ERROR: something else.\nnoise", "", "on shop1: ERROR: something else. Try again: <again >"),
        ("", "", "it said nothing"),
    ],
)
def test_what_pip_says_is_told_in_a_sentence(said: str, wheelhouse: str, told: str) -> None:
    assert told in pip_problem(said, DEBIAN, REQUIREMENTS, wheelhouse, WAYS)
