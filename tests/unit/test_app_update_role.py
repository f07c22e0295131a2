# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role app_update makes of the shop's UPDATE_IMAGES, and that it replaces nothing without a verified backup of the same play."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import jinja2.nativetypes
import pytest
import yaml
from ansible.plugins.filter.core import to_bool
from jinja2 import Environment

from ansible_collections.miniecom.maintenance.plugins.module_utils._host.settings import read_settings

ROLE = Path(__file__).resolve().parents[2] / "roles" / "app_update"


@pytest.mark.parametrize(
    ("written", "services", "pulled"),
    [
        ({"UPDATE_IMAGES": "true"}, [], True),
        ({"UPDATE_IMAGES": "false"}, [], False),
        ({}, [], False),
        # Whoever names a service wants it to be updated.
        ({"UPDATE_IMAGES": "false"}, ["api"], True),
    ],
)
def test_images_are_pulled_as_the_shop_says_or_where_they_are_named(
    written: dict[str, str], services: list[str], pulled: bool
) -> None:
    engine = Environment()
    engine.filters["bool"] = to_bool
    template = yaml.safe_load((ROLE / "defaults/main.yml").read_text())["app_update_pull"]
    values: dict[str, Any] = {"context_result": {"context": {"settings": read_settings(written).values}}}
    assert engine.from_string(template).render(values, app_update_services=services) == str(pulled)
    tasks = yaml.safe_load((ROLE / "tasks/main.yml").read_text())
    assert tasks[0]["miniecom.maintenance.compose_update"]["pull"] == "{{ app_update_pull }}"


def value(text: str, known: dict[str, Any]) -> Any:
    """As Ansible fills it in: a name that nobody has set is an error, and one variable may rest on another."""
    engine = jinja2.nativetypes.NativeEnvironment(undefined=jinja2.StrictUndefined)
    engine.filters["bool"] = to_bool
    for test in ("failed", "skipped"):
        engine.tests[test] = lambda result, key=test: bool(result.get(key))
    variables = yaml.safe_load((ROLE / "vars/main.yml").read_text())
    rest = {name: value(template, known) for name, template in variables.items() if name in text}
    return engine.from_string(text if "{{" in text else "{{ %s }}" % text).render({**rest, **known})


def condition(task: dict[str, Any], known: dict[str, Any]) -> bool:
    conditions = task["when"] if isinstance(task["when"], list) else [task["when"]]
    return all(value(text, known) for text in conditions)


@pytest.mark.parametrize(
    ("required", "backup", "refused"),
    [
        (True, None, True),
        # It could not be made, or what was read back was not what was written.
        (True, {"failed": True}, True),
        (True, {"skipped": True}, True),
        (True, {"path": "/b"}, False),
        (False, None, False),
    ],
)
@pytest.mark.parametrize(
    "wish", ["app_update_apply", "app_update_undo", "app_update_npm_fix", "app_update_npm_update", ""]
)
@pytest.mark.parametrize("within_a_run", [True, False])
def test_what_replaces_anything_wants_a_verified_backup(
    required: bool, backup: dict[str, Any] | None, refused: bool, wish: str, within_a_run: bool
) -> None:
    images = wish in ("", "app_update_apply", "app_update_undo")
    wishes = {"app_update_apply": False, "app_update_undo": False, "app_update_npm_fix": False}
    known: dict[str, Any] = {
        **wishes,
        "app_update_npm_update": "minor" if wish == "app_update_npm_update" else "none",
        "app_update_require_backup": required,
        "context_result": {"context": {"deployment": "compose", "docker": {"absent": False}}},
        "context_run": {"run_id": "one"} if within_a_run else {},
        "report_result": {},
        **({wish: True} if wish in wishes else {}),
        **({} if backup is None else {"backup_result": backup}),
    }
    work, fail, tell = yaml.safe_load((ROLE / "tasks" / ("main.yml" if images else "dependencies.yml")).read_text())
    module = "compose_update" if images else "npm_audit"
    assert f"miniecom.maintenance.{module}" in work and "ansible.builtin.fail" in fail
    refused = refused and bool(wish)
    assert condition(work, known) is not refused, "nothing is touched without one, and looking needs none"
    known["app_update_result" if images else "app_update_npm_result"] = {"skipped": True} if refused else {}
    # Within a run the row says so; alone the role ends as failed.
    assert condition(fail, known) is (refused and not within_a_run)
    assert condition(tell, known) is refused
