# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.playbooks import ROOT, environment

SCREEN = """
from ansible_collections.miniecom.maintenance.plugins.plugin_utils.audience import paint, width
print([paint("x", status) for status in ("failed", "changed", "ok", "no such status")], width())
"""
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


def screen(tmp_path: Path, **more: str) -> str:
    settings = environment(tmp_path / "log", more)
    settings = {name: value for name, value in settings.items() if name in more or name not in ("COLUMNS", "NO_COLOR")}
    done = subprocess.run(
        [sys.executable, "-c", SCREEN], cwd=ROOT, env=settings, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_colours_are_ansible_s_and_none_where_nobody_wants_any(tmp_path: Path) -> None:
    red, yellow, green = (f"\x1b[{code}mx\x1b[0m" for code in ("0;31", "0;33", "0;32"))
    assert screen(tmp_path, ANSIBLE_FORCE_COLOR="1").startswith(repr([red, yellow, green, "x"])[:30])
    plain = repr(["x"] * 4)
    assert screen(tmp_path, NO_COLOR="1").startswith(plain)
    assert screen(tmp_path).startswith(plain), "no terminal"


def test_what_is_printed_is_as_wide_as_the_terminal(tmp_path: Path) -> None:
    assert screen(tmp_path).endswith(" 100"), "no terminal"
    for columns in ("80", "160"):
        assert screen(tmp_path, COLUMNS=columns).endswith(" " + columns)
