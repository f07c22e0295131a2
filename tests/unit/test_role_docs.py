# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from tests.tools import role_docs

ROLES = sorted(path for path in (role_docs.ROOT / "roles").iterdir() if path.is_dir())


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_specifications_and_readme_agree_with_the_defaults(role: role_docs.Path) -> None:
    again = "run `python -m tests.tools.role_docs`"
    assert (role / "meta" / "argument_specs.yml").read_text(encoding="utf-8") == role_docs.specification(role), again
    assert (role / "README.md").read_text(encoding="utf-8") == role_docs.readme(role), again


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_variable_is_described_and_prefixed(role: role_docs.Path) -> None:
    for variable in role_docs.variables(role):
        assert variable.description, f"{variable.name} has no comment above it in the defaults"
        assert variable.name.startswith(role.name + "_")


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_variable_used_is_defined_somewhere(role: role_docs.Path) -> None:
    import re

    known = {variable.name for variable in role_docs.variables(role)}
    registered: set[str] = set()
    used: set[str] = set()
    for path in role.rglob("*.yml"):
        text = path.read_text(encoding="utf-8")
        registered |= set(re.findall(r"register: (\w+)", text))
        registered |= set(re.findall(r"^\s+(\w+):", text, re.MULTILINE))
        for expression in re.findall(r"{{(.*?)}}|when: (.*)", text, re.DOTALL):
            used |= set(re.findall(rf"(?<![\w.'/])({role.name}_\w+)", " ".join(expression)))
    assert used <= known | registered
