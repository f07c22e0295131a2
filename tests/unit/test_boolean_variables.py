# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is set on the command line (-e switch=false) is text, and text is true: no condition may take it for a truth value."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted([*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("roles/*/vars/*.yml"), *ROOT.glob("playbooks/**/*.yml")])


class _Loader(yaml.SafeLoader):
    """Knows Ansible's tag for text that is no template."""


_Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


def switches() -> set[str]:
    """The variables of roles that are true or false."""
    found = set()
    for path in ROOT.glob("roles/*/meta/argument_specs.yml"):
        specs = yaml.load(path.read_text(encoding="utf-8"), _Loader)["argument_specs"]
        for entry in specs.values():
            found |= {name for name, option in (entry.get("options") or {}).items() if option.get("type") == "bool"}
    return found


NAMES = "|".join(sorted(switches()))
CONVERTED = r"(?![\w:])(?!\s*(?:\|\s*default\([^)]*\)\s*)?\|\s*bool\b)"
TAKEN_AS_IT_IS = re.compile(rf"(?<![\w.])({NAMES}){CONVERTED}")
# A module, or another role, turns text into a truth value itself.
HANDED_ON = re.compile(rf'"\{{\{{ (?:{NAMES})(?: \| default\([^)]*\))? \}}\}}"')


def conditions(text: str) -> list[str]:
    """The lines that decide something by a switch."""
    found, keys = [], ("when:", "until:", "changed_when:", "failed_when:", "check_mode:", "that:", "- ")
    for line in text.splitlines():
        code = line.split(" #")[0].strip()
        if code.startswith(keys) or "{{" in code or "{%" in code:
            found.append("" if code.startswith(("- name:", "tags:")) else HANDED_ON.sub("", code))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_switches_are_turned_into_truth_values(path: Path) -> None:
    lines = conditions(path.read_text(encoding="utf-8"))
    assert [line for line in lines if TAKEN_AS_IT_IS.search(line)] == []


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("when: logs_containers and not absent", True),
        ("when: logs_containers | bool and not absent", False),
        ("when: logs_containers | default(true) | bool", False),
        ('value: "{{ logs_containers }}"', False),
        ('value: "{{ 1 if logs_containers else 2 }}"', True),
        ("tags: [logs, logs_containers]", False),
        ("when: logs_containers_result is failed", False),
    ],
)
def test_what_counts_as_wrong(line: str, wrong: bool) -> None:
    assert bool([one for one in conditions(line) if TAKEN_AS_IT_IS.search(one)]) == wrong
