# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every module file has in common, without a server: it imports, its options are as documented, each kind of work has
what carries it out, and its plans can be written and read back."""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import re
import typing
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.arguments import ArgumentSpec
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Action, Kept, Plan
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan_json import from_json, to_json
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.runner import Task
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.flag_file import Note
from tests.support.made_classes import make_classes

# What is remembered of the application's setting is whatever was in it.
REMEMBERED = st.dictionaries(st.text(max_size=3), st.none() | st.booleans() | st.text(max_size=3), max_size=2)
st.register_type_strategy(
    Note, st.builds(Note, *[st.text(max_size=3)] * 4, application=st.fixed_dictionaries({"previous": REMEMBERED}))
)

# JSON's readers take no NaN for a number, and no clock or size is one.
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))

ROOT = Path(__file__).resolve().parents[4]
PACKAGE = "ansible_collections.miniecom.maintenance.plugins.modules"
# Its work is done on the controller: the file is its documentation.
DOCUMENTED_ONLY = {"host_ready_info", "maintenance_report", "variables_info"}
# Its options are those of the modules that it calls; see test_several.py.
ELSEWHERE = {"several"}
NAMES = sorted(
    path.stem for path in (ROOT / "plugins/modules").glob("[a-z]*.py") if path.stem not in DOCUMENTED_ONLY | ELSEWHERE
)
CODE_LINES = 60


def module(name: str) -> Any:
    return importlib.import_module(f"{PACKAGE}.{name}")


@functools.cache
def entry(name: str) -> tuple[str, Any, ArgumentSpec]:
    """How the module hands over to the runner: by which of its functions, what does the work, and the options."""
    found = module(name)
    calls: list[tuple[str, Any, ArgumentSpec]] = []
    for runner in ("run", "run_info", "run_outside"):
        if hasattr(found, runner):
            original = getattr(found, runner)
            setattr(found, runner, lambda work, spec, *_more, runner=runner: calls.append((runner, work, spec)))
            try:
                found.main()
            finally:
                setattr(found, runner, original)
            break
    assert len(calls) == 1, f"{name} hands over to the runner {len(calls)} times"
    make_classes()
    return calls[0]


ACTING = [name for name in NAMES if entry(name)[0] == "run"]


def works(task: type[Task[Any]]) -> set[type]:
    """The kinds of work that a task's planner may put into a plan, by its annotation."""
    (work,) = typing.get_args(typing.get_type_hints(task.plan)["return"])
    return set(typing.get_args(work)) or {work}


@pytest.mark.parametrize("name", NAMES)
def test_options_are_those_of_the_documentation(name: str) -> None:
    spec = entry(name)[2].argument_spec
    documentation = yaml.safe_load(module(name).DOCUMENTATION)
    options = dict(documentation.get("options", {}))
    for fragment in documentation.get("extends_documentation_fragment", []):
        _, _, path = fragment.removeprefix("miniecom.maintenance.").partition(".")
        source = importlib.import_module(
            "ansible_collections.miniecom.maintenance.plugins.doc_fragments."
            + fragment.removeprefix("miniecom.maintenance.").partition(".")[0]
        ).ModuleDocFragment
        text = getattr(source, path.upper() if path else "DOCUMENTATION")
        options.update(yaml.safe_load(text).get("options", {}))
    assert set(spec) == set(options)
    for option, about in spec.items():
        assert about.get("default") == options[option].get("default"), option
        choices = about.get("choices")
        assert list(choices or ()) == list(options[option].get("choices") or ()), option
        assert choices is None or len(choices) > 1, f"{option}: an option with one choice offers nothing"


@pytest.mark.parametrize("name", NAMES)
def test_a_module_file_is_documentation_options_and_main(name: str) -> None:
    path = ROOT / "plugins/modules" / f"{name}.py"
    text = path.read_text(encoding="utf-8")
    lines = 0
    for node in ast.parse(text).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        documentation = isinstance(target, ast.Name) and target.id in ("DOCUMENTATION", "EXAMPLES", "RETURN")
        if not documentation and not isinstance(node, (ast.Import, ast.ImportFrom)):
            lines += (node.end_lineno or node.lineno) - node.lineno + 1
    assert lines <= CODE_LINES, f"{lines} lines of code: the work belongs into a domain or _operations"


@pytest.mark.parametrize("name", NAMES)
def test_mitogen_takes_it_for_a_module(name: str) -> None:
    """Mitogen 0.3.54 looks for these words, which a module with relative imports does not hold by itself (planner.py)."""
    text = (ROOT / "plugins/modules" / f"{name}.py").read_text(encoding="utf-8")
    assert re.search(r"from ansible(?:_collections|\.module_utils)\.", text)


@pytest.mark.parametrize("name", ACTING)
def test_each_kind_of_work_has_what_carries_it_out(name: str) -> None:
    task = entry(name)[1]
    assert works(task) == set(task.handlers)
    for work in task.handlers:
        assert dataclasses.is_dataclass(work), work
        assert work.__dataclass_params__.frozen, f"{work.__name__} can be changed after planning"
        assert "Any" not in str(work.__annotations__), f"{work.__name__} says nothing about what it holds"


@pytest.mark.parametrize("name", ACTING)
@settings(max_examples=20, suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
def test_a_plan_is_read_back_as_it_was_written(name: str, data: st.DataObject) -> None:
    task = entry(name)[1]
    works_of_one = [data.draw(st.from_type(work)) for work in sorted(task.handlers, key=lambda kind: kind.__name__)]
    plan: Plan[Any] = Plan(
        [Action("verb", "object", "why", work, 5, predicted=True, assumes="a backup") for work in works_of_one],
        [Kept("other", "in use")],
        ["careful"],
    )
    assert from_json(to_json(plan), task.handlers) == plan
