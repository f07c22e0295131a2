# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Argument specifications and the variable tables of the role READMEs, made from the commented defaults.

A role's defaults file says what each variable means, once; what Ansible validates and what a person reads is derived
from it. ``python -m tests.tools.role_docs`` writes, ``--check`` fails when something is out of date.

A comment above a variable (or a group of variables without blank lines) is its description. It may begin with a type in
brackets, ``[list]`` or ``[str: auto, compose, native]`` (choices); otherwise the default's own type counts.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- variables: begin -->", "<!-- variables: end -->"
_TYPE = re.compile(r"^\[(?P<type>[a-z]+)(?::\s*(?P<choices>[^\]]+))?\]\s*")


@dataclass(frozen=True)
class Variable:
    name: str
    type: str
    choices: tuple[str, ...]
    default: Any
    shown_default: str
    description: str


def _type_of(value: Any) -> str:
    for kind, name in ((bool, "bool"), (int, "int"), (float, "float"), (list, "list"), (dict, "dict")):
        if isinstance(value, kind):
            return name
    return "str"


def variables(role: Path) -> list[Variable]:
    """The role's variables in the order of its defaults."""
    path = role / "defaults" / "main.yml"
    text = path.read_text(encoding="utf-8")
    values = yaml.safe_load(text) or {}
    found: list[Variable] = []
    comment: list[str] = []
    ended = True
    for line in text.splitlines():
        if line.startswith("#"):
            if ended:
                comment, ended = [], False
            comment.append(line.lstrip("# ").rstrip())
        elif not line.strip():
            ended = True
        elif re.match(r"^[a-z_]+:", line):
            name = line.split(":", 1)[0]
            description = " ".join(comment)
            match = _TYPE.match(description)
            kind = _type_of(values[name])
            choices: tuple[str, ...] = ()
            if match:
                kind = match.group("type")
                choices = tuple(
                    choice.strip() for choice in (match.group("choices") or "").split(",") if choice.strip()
                )
                description = description[match.end() :]
            ended = True
            found.append(Variable(name, kind, choices, values[name], _shown(values[name]), description))
            ended = False
        # anything else continues the value above
    return found


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return " ".join(value.split()) or '""'
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).replace("\n...", "").strip()


class Literal(str):
    """Text that Ansible must not fill in: a default is shown as it stands, and only the role itself knows what it refers to."""


def _literal(value: Any) -> Any:
    """A default for the specification, with all templates in it as they stand."""
    if isinstance(value, str):
        # Folded over several lines it would be hard to read as one value.
        text = " ".join(value.split()) if "{{" in value else value
        return Literal(text) if "{{" in text else text
    if isinstance(value, list):
        return [_literal(item) for item in value]
    return {key: _literal(item) for key, item in value.items()} if isinstance(value, dict) else value


def entry_points(role: Path) -> dict[str, str]:
    """The files of tasks that a play may name, with what each does, in the order of the README, which lists them."""
    text = (role / "README.md").read_text("utf-8")
    named = re.findall(r"^\| `(\w+)` \| (.+?) \|$", text.split("## Variables", 1)[0], re.MULTILINE)
    return {entry: about.strip() for entry, about in named if (role / "tasks" / f"{entry}.yml").is_file()}


def used_by(role: Path, entry: str) -> set[str]:
    """The role's variables that an entry point reads, by itself, by a file that it imports or by another variable."""
    values: dict[str, str] = {}
    for path in (role / "defaults/main.yml", role / "vars/main.yml"):
        if path.is_file():
            loaded = yaml.safe_load(path.read_text("utf-8")) or {}
            values.update({name: json.dumps(value) for name, value in loaded.items()})
    used: set[str] = set()
    texts = [_tasks_text(role, f"{entry}.yml", set())]
    while texts:
        words = set(re.findall(r"\w+", texts.pop()))
        fresh = (words & set(values)) - used
        used |= fresh
        texts.extend(values[name] for name in sorted(fresh))
    return used


def _tasks_text(role: Path, name: str, seen: set[str]) -> str:
    """A file of tasks and what it imports."""
    if name in seen:
        return ""
    seen.add(name)
    text = re.sub(r"(?m)^\s*#.*$", "", (role / "tasks" / name).read_text("utf-8"))
    further = re.findall(r"(?:import|include)_tasks: (\w+\.yml)", text)
    return "\n".join([text, *(_tasks_text(role, other, seen) for other in further)])


def specification(role: Path) -> str:
    """The text of meta/argument_specs.yml: each entry point with the options that it reads.

    What none of them reads, because a playbook does, is an option of the one that the README names first.
    """
    options: dict[str, dict[str, Any]] = {}
    for variable in variables(role):
        default = _literal(variable.default)
        entry: dict[str, Any] = {"type": variable.type, "default": default, "description": variable.description}
        if isinstance(default, Literal) and variable.type not in ("str", "list"):
            # Tools that read specifications want a default of the option's type, which text with a template in it is not.
            del entry["default"]
            entry["description"] = Literal(f"{variable.description} By default {default}")
        if variable.type == "list" and isinstance(variable.default, list):
            element = _type_of(variable.default[0]) if variable.default else None
            if element:
                entry["elements"] = element
        if variable.choices:
            entry["choices"] = list(variable.choices)
        options[variable.name] = entry
    points = entry_points(role)
    used = {point: used_by(role, point) for point in points}
    used[next(iter(points))] |= set(options) - set().union(*used.values())
    specs = {}
    for point in sorted(points):
        chosen = {name: entry for name, entry in options.items() if name in used[point]}
        specs[point] = {"short_description": points[point], "description": points[point], "options": chosen}
    return "---\n# Made from defaults/main.yml by `python -m tests.tools.role_docs`.\n" + yaml.dump(
        {"argument_specs": specs}, Dumper=_NoAliases, sort_keys=False, width=100
    )


class _NoAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        return super().increase_indent(flow, False)


_NoAliases.add_representer(Literal, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text), style="'"))


def readme(role: Path) -> str:
    """The README with its table of variables renewed."""
    text = (role / "README.md").read_text(encoding="utf-8")
    rows = ["| variable | type | default | meaning |", "|---|---|---|---|"]
    for variable in variables(role):
        meaning = variable.description + (" One of %s." % ", ".join(variable.choices) if variable.choices else "")
        default = variable.shown_default.replace("|", "\\|")
        rows.append(f"| `{variable.name}` | {variable.type} | `{default}` | {meaning} |")
    before, rest = text.split(BEGIN, 1)
    return before + BEGIN + "\n" + "\n".join(rows) + "\n" + END + rest.split(END, 1)[1]


def main(arguments: list[str]) -> int:
    """Write what is out of date; with --check only name it and return 1."""
    stale = []
    for role in sorted(path for path in (ROOT / "roles").iterdir() if (path / "defaults" / "main.yml").is_file()):
        for path, text in (
            (role / "README.md", readme(role)),
            (role / "meta" / "argument_specs.yml", specification(role)),
        ):
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                stale.append(str(path.relative_to(ROOT)))
                if "--check" not in arguments:
                    path.write_text(text, encoding="utf-8")
    for name in stale:
        print(("out of date: " if "--check" in arguments else "wrote ") + name)
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
