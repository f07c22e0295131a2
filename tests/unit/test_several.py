# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls made in one process: by everything that is written down about them they are what they would be by themselves."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.several import NAMES, known
from ansible_collections.miniecom.maintenance.plugins.modules import several

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "miniecom.maintenance."


def tasks(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for item in items:
        yield item
        for part in ("block", "rescue", "always"):
            yield from tasks(item.get(part, []))


def of_role(role: Path) -> Iterator[dict[str, Any]]:
    for path in sorted((role / "tasks").glob("*.yml")):
        yield from tasks(yaml.safe_load(path.read_text(encoding="utf-8")))


def calls(role: Path) -> dict[str, tuple[str, dict[str, Any]]]:
    """From each module that a role calls in one process to the variable that holds the results, and its options."""
    found = {}
    for task in of_role(role):
        several_args = task.get(PREFIX + "several", {})
        for call in several_args.get("calls", ()):
            assert not set(call["options"]) & set(several_args.get("common", {}))
            found[call["module"]] = (task["register"], {**several_args.get("common", {}), **call["options"]})
    return found


# What only an own task is asked for: with it the call for several is not made.
ALONE = {"security_audit": {"sarif"}}
ROLES = [role for role in sorted((ROOT / "roles").iterdir()) if calls(role)]


def test_there_are_such_roles() -> None:
    assert [role.name for role in ROLES] == ["logs", "mongo_maintenance", "security_audit"]


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_what_is_asked_in_one_call_is_what_the_own_task_would_ask(role: Path) -> None:
    made = calls(role)
    ended = set()
    for task in of_role(role):
        for key, options in task.items():
            # What is refused without a backup has been given its end, too, and asks nobody.
            if isinstance(options, dict) and ".calls." in options.get("given", ""):
                name = key.removeprefix(PREFIX)
                register, expected = made[name]
                asked = {key: options[key] for key in options.keys() - {"given"} - ALONE.get(role.name, set())}
                assert asked == expected
                assert options["given"].endswith(" %s.calls.%s | default(omit) }}" % (register, name))
                ended.add(name)
    assert ended == set(made), "a call whose result nothing ends with"


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_where_it_fails_or_is_left_out_the_own_tasks_do_the_work(role: Path) -> None:
    for task in of_role(role):
        if PREFIX + "several" in task:
            assert task["ignore_errors"] is True
            assert task["changed_when"] is False, "the own tasks tell what was changed"


def test_with_an_output_directory_the_audits_are_not_made_in_one_call() -> None:
    [task] = [task for task in of_role(ROOT / "roles/security_audit") if PREFIX + "several" in task]
    assert any("security_audit_output_directory | length == 0" in part for part in task["when"])
    for other in of_role(ROOT / "roles/security_audit"):
        for options in other.values():
            if isinstance(options, dict) and "sarif" in options and "given" in options:
                assert options["sarif"].endswith(" if security_audit_output_directory else omit }}")


def test_what_is_documented_and_routed_is_what_can_be_called() -> None:
    options = yaml.safe_load(several.DOCUMENTATION)["options"]["calls"]["suboptions"]
    assert options["module"]["choices"] == list(NAMES) == sorted(NAMES)
    actions, documented = (
        {path.stem for path in (ROOT / "plugins" / kind).glob("*.py") if word in path.read_text("utf-8")}
        for kind, word in (("action", "plugin_utils.given"), ("modules", "- miniecom.maintenance.given\n"))
    )
    assert actions == documented > set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_call_is_the_modules_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = importlib.import_module(f"ansible_collections.miniecom.maintenance.plugins.modules.{name}")
    work, spec = known(name)
    assert spec is module.SPEC and "given" in spec.argument_spec
    made = []
    runner = "run" if hasattr(module, "run") else "run_info"
    monkeypatch.setattr(module, runner, lambda *given: made.append(given))
    module.main()
    [(does, _spec, *prepare)] = made
    inside = dict(zip(work.__code__.co_freevars, (cell.cell_contents for cell in work.__closure__ or ())))  # type: ignore[attr-defined]
    assert inside["task_class" if runner == "run" else "function"] is does
    assert [inside["prepare"]] == prepare or (not prepare and inside["prepare"].__name__ == "_nothing_to_prepare")
