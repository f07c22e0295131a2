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


def specification(role: Path) -> str:
    """The text of meta/argument_specs.yml."""
    options = {}
    for variable in variables(role):
        entry: dict[str, Any] = {"type": variable.type, "description": variable.description}
        if variable.type == "list" and isinstance(variable.default, list):
            element = _type_of(variable.default[0]) if variable.default else None
            if element:
                entry["elements"] = element
        if variable.choices:
            entry["choices"] = list(variable.choices)
        options[variable.name] = entry
    specs = {}
    for tasks in sorted((role / "tasks").glob("*.yml")):
        about = _about(role, tasks.stem)
        if about:
            specs[tasks.stem] = {"short_description": about, "description": about, "options": options}
    return "---\n# Made from defaults/main.yml by `python -m tests.tools.role_docs`.\n" + yaml.dump(
        {"argument_specs": specs}, Dumper=_NoAliases, sort_keys=False, width=140
    )


class _NoAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        return super().increase_indent(flow, False)


def _about(role: Path, entry: str) -> str:
    """What an entry point does: the README's list of entry points says it. Files that are none are not listed."""
    match = re.search(
        r"^\| `%s` \| (.+?) \|$" % re.escape(entry), (role / "README.md").read_text("utf-8"), re.MULTILINE
    )
    return match.group(1).strip() if match else ""


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
