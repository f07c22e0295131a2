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
        for expression in re.findall(r"{{(.*?)}}|when: ([^\n]*)", text, re.DOTALL):
            used |= set(re.findall(rf"(?<![\w.'/])({role.name}_\w+)", " ".join(expression)))
    assert used <= known | registered


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_option_is_one_of_an_entry_point_that_reads_it(role: role_docs.Path) -> None:
    """An option in none would be checked by nobody; one in a wrong one would be shown to people for nothing."""
    points = role_docs.entry_points(role)
    assert points
    used = {point: role_docs.used_by(role, point) for point in points}
    names = [variable.name for variable in role_docs.variables(role)]
    text = role_docs.specification(role).replace(" !unsafe ", " ")
    specs = role_docs.yaml.safe_load(text)["argument_specs"]
    assert set(names) == {name for spec in specs.values() for name in spec["options"]}
    for point, spec in specs.items():
        for name in spec["options"]:
            nobodys = not any(name in reads for reads in used.values())
            assert name in used[point] or (nobodys and point == next(iter(points))), (point, name)


def test_what_an_entry_point_reads() -> None:
    backup, prerequisites = role_docs.ROOT / "roles/backup", role_docs.ROOT / "roles/prerequisites"
    rotating = role_docs.used_by(backup, "rotate")
    assert {"backup_dest", "backup_keep_weekly", "backup_blocked_by"} <= rotating, "by itself and by variables"
    assert not {"backup_fresh_within", "backup_consistency"} & rotating
    assert "prerequisites_pip_arguments" in role_docs.used_by(prerequisites, "main"), "by a file that it includes"


def test_ansible_doc_shows_what_is_really_the_default(tmp_path: role_docs.Path) -> None:
    import json
    import subprocess
    import sys

    from tests.support.playbooks import environment

    done = subprocess.run(
        [str(role_docs.Path(sys.executable).with_name("ansible-doc")), "-t", "role", "--json"]
        + [f"miniecom.maintenance.{role.name}" for role in ROLES],
        cwd=role_docs.ROOT,
        env=environment(tmp_path / "log"),
        capture_output=True,
        text=True,
        check=True,
    )
    shown = json.loads(done.stdout)
    for role in ROLES:
        points = shown[f"miniecom.maintenance.{role.name}"]["entry_points"]
        defaults = {variable.name: variable.default for variable in role_docs.variables(role)}
        for point in points.values():
            for name, option in point["options"].items():
                expected = defaults[name]
                if isinstance(expected, str):
                    expected = " ".join(expected.split())
                if "default" in option:
                    assert option["default"] == expected, name
                else:
                    # A default of another type than text that is text with a template in it.
                    assert option["type"] not in ("str", "list"), name
                    assert option["description"].endswith(f" By default {expected}"), name
