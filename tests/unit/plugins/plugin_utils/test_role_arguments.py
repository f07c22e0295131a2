# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleError, AnsibleUndefinedVariable

from ansible_collections.miniecom.maintenance.plugins.plugin_utils.role_arguments import (
    argument_problems,
    entry_points,
    specifications,
)
from tests.support.outline import ROOT

SPEC: dict[str, Any] = {
    "logs_days": {"type": "int"},
    "logs_kind": {"type": "str", "choices": ["a", "b"]},
    "logs_key": {"type": "str", "choices": ["a"], "no_log": True},
}


def fill(values: dict[str, Any]) -> dict[str, Any]:
    """As a templar would, for values that say themselves what becomes of them."""
    for value in values.values():
        if isinstance(value, Exception):
            raise value
    return values


def problems(variables: dict[str, Any], **further: Any) -> list[str]:
    arguments = {"later": {"context_result"}, "shared": {"miniecom_kind"}, **further}
    return argument_problems([SPEC], variables, fill, **arguments)


def test_all_problems_are_told_at_once() -> None:
    found = problems({"logs_days": "many", "logs_kind": "c"})
    assert len(found) == 2
    assert "logs_days" in found[0]
    assert found[1] == "value of logs_kind must be one of: a, b, got: c"
    assert problems({"logs_days": "3", "logs_kind": "b"}) == []
    assert problems({}) == [], "what is not set has its default"


def test_a_secret_is_not_told() -> None:
    (told,) = problems({"logs_key": "hush-hush"})
    assert "logs_key" in told
    assert "hush" not in told


@pytest.mark.parametrize(
    ("error", "conditional", "told"),
    [
        (AnsibleUndefinedVariable("'context_result' is undefined"), [], []),
        (AnsibleUndefinedVariable("'nas' is undefined"), ["logs"], []),
        (AnsibleUndefinedVariable("'nas' is undefined"), ["alerts"], ["logs_days: 'nas' is undefined"]),
        (AnsibleError("no filter"), ["logs"], ["logs_days: no filter", "logs_kind: no filter"]),
    ],
)
def test_what_cannot_be_filled_in_yet(error: AnsibleError, conditional: list[str], told: list[str]) -> None:
    assert problems({"logs_days": error, "logs_kind": error}, conditional=conditional) == told


def test_what_rests_on_what_is_found_out_is_left_alone() -> None:
    text = "{{ context_result.days | default('many') }}"
    assert problems({"logs_days": text}) == []
    assert len(problems({"logs_days": text}, later=())) == 1


@pytest.mark.parametrize(
    ("value", "open_"),
    [
        ("{{ a }}", True),
        ("{% if a %}1{% endif %}", True),
        ([1, {"a": ["{{ b }}"]}], True),
        ({"{{ a }}": 1}, True),
        (object(), True),
        ("plain", False),
        (3, False),
        (None, False),
        ([{"a": ["b", 1.5, True]}], False),
    ],
)
def test_what_is_written_out_is_not_filled_in(value: Any, open_: bool) -> None:
    asked = []

    def filled(values: dict[str, Any]) -> dict[str, Any]:
        asked.append(values)
        return values

    spec: dict[str, Any] = {"logs_value": {"type": "raw"}}
    assert argument_problems([spec], {"logs_value": value}, filled, (), ()) == []
    assert asked == ([{"logs_value": value}] if open_ else [])


def test_a_shared_variable_is_named_where_it_is_set() -> None:
    def filled(values: dict[str, Any]) -> dict[str, Any]:
        return dict.fromkeys(values, "c")

    written = {"logs_kind": "{{ miniecom_kind | default('a') }}"}
    arguments: Any = (filled, (), {"miniecom_kind"})
    assert argument_problems([SPEC], {**written, "miniecom_kind": "c"}, *arguments)[0].startswith(
        "value of miniecom_kind"
    )
    assert argument_problems([SPEC], written, *arguments)[0].startswith("value of logs_kind")


def test_specifications_of_entry_points(tmp_path: Path) -> None:
    (tmp_path / "meta").mkdir()
    option = {"type": "str", "description": "One.", "default": "x"}
    specs = {
        "main": {"options": {"a": option}},
        "end": {"options": {"a": {**option, "description": "Other."}, "b": {}}},
    }
    text = yaml.safe_dump({"argument_specs": {**specs, "other": {"options": {"a": {"type": "int"}}}}})
    (tmp_path / "meta" / "argument_specs.yml").write_text(text.replace("default: x", "default: !unsafe '{{ x }}'"))
    bare = str(tmp_path / "bare")
    roles = [
        SimpleNamespace(_role_path=path, _from_files=files)
        for path in (str(tmp_path), bare)
        for files in ({}, {"tasks": "end.yml"}, {"tasks": "main"})
    ]
    found = entry_points(roles)
    assert found == [(path, entry) for path in (str(tmp_path), bare) for entry in ("main", "end")]
    assert specifications(found) == [{"a": {"type": "str", "default": "{{ x }}"}, "b": {}}]
    assert len(specifications([*found, (str(tmp_path), "other")])) == 2, "they disagree"


def test_every_role_of_a_playbook_is_checked_there_and_not_again() -> None:
    """An import with a check of its own would make it twice; an include is not known beforehand and checks itself."""
    imports = 0
    for path in (ROOT / "playbooks").rglob("*.yml"):
        for line, after in _calls(path.read_text(encoding="utf-8")):
            imports += line == "import_role"
            assert ("rolespec_validate: false" in after) is (line == "import_role"), path
    assert imports > 40


def _calls(text: str) -> list[tuple[str, str]]:
    """Which way a role is called, and the arguments of the call."""
    found = []
    for part in text.split("ansible.builtin.")[1:]:
        begin, _newline, rest = part.partition("\n")
        if begin in ("import_role:", "include_role:"):
            indent = len(rest) - len(rest.lstrip())
            inside = [line for line in rest.split("\n") if len(line) - len(line.lstrip()) >= indent]
            found.append((begin[:-1], "\n".join(inside[:6])))
    return found
