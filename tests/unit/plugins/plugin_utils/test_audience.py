# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.playbooks import ROOT, environment

CODE = "from ansible_collections.miniecom.maintenance.plugins.plugin_utils.audience import read_by_people; "


def asked(tmp_path: Path, callback: str, **more: str) -> str:
    """The answer of a process as ansible-playbook is one: its settings and plugins hold for the whole process."""
    loader = "from ansible.plugins.loader import init_plugin_loader; init_plugin_loader(); "
    done = subprocess.run(
        [sys.executable, "-c", loader + CODE + "print(read_by_people())"],
        cwd=ROOT,
        env=environment(tmp_path / "log", {"ANSIBLE_STDOUT_CALLBACK": callback, **more}),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    "callback, people",
    [
        *(
            ("default", "True"),
            ("ansible.builtin.minimal", "True"),
            ("oneline", "True"),
            ("ansible.posix.debug", "True"),
        ),
        *(("json", "False"), ("ansible.posix.json", "False"), ("ansible.posix.jsonl", "False"), ("junit", "False")),
        ("is.not.there", "False"),
    ],
)
def test_who_reads_the_callback(callback: str, people: str, tmp_path: Path) -> None:
    assert asked(tmp_path, callback) == people


def test_the_callback_of_awx_is_for_people(tmp_path: Path) -> None:
    import ansible_runner

    plugins = str(Path(ansible_runner.__file__).parent / "display_callback" / "callback")
    assert asked(tmp_path, "awx_display", ANSIBLE_CALLBACK_PLUGINS=plugins) == "True"
