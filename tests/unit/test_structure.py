# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The house rules that can be checked by reading the files."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"
OURS = "ansible_collections.miniecom.maintenance.plugins"
HEADER = (
    "# Copyright (c) 2026, miniecom.maintenance contributors\n"
    "# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)\n"
    "# SPDX-License-Identifier: GPL-3.0-or-later\n"
)
MODULE_START = "#!/usr/bin/python\n# -*- coding: utf-8 -*-\n"

PYTHON_FILES = sorted(PLUGINS.rglob("*.py"))
MODULES = sorted(path for path in (PLUGINS / "modules").glob("*.py") if path.name != "__init__.py")
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if (path / "tasks").is_dir())
# maintenance_report's work is done by its action plugin on the controller: the module file is its documentation.
# maintenance_run begins and ends what the runner needs to stand on.
WITHOUT_RUNNER = {"host_ready_info", "maintenance_report", "maintenance_run", "several", "variables_info"}
# Called when the run that it tells of has ended.
AFTER_THE_RUN = {"maintenance_alert"}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), name(path), feature_version=(3, 8))


def constants(path: Path) -> dict[str, Any]:
    """The documentation blocks of a module, parsed."""
    found = {}
    for node in tree(path).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            for target in node.targets:
                if isinstance(target, ast.Name) and target.id in ("DOCUMENTATION", "EXAMPLES", "RETURN"):
                    found[target.id] = yaml.safe_load(node.value.value)
    return found


def runner_call(path: Path) -> str:
    """`run` for an acting module, `run_info` for one that reads."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("run", "run_info"):
            return node.func.id
    return ""


# -- files --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PYTHON_FILES, ids=name)
def test_header(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path in MODULES:
        assert text.startswith(MODULE_START)
        text = text[len(MODULE_START) :].lstrip("\n")
    if text.strip():
        assert text.startswith(HEADER)


@pytest.mark.parametrize("path", PYTHON_FILES, ids=name)
def test_syntax_of_the_oldest_target_python(path: Path) -> None:
    assert tree(path)
    if path.read_text(encoding="utf-8").strip() and path.name != "__init__.py":
        assert "from __future__ import annotations" in path.read_text(encoding="utf-8")


def test_tracked_files_speak_of_the_project_alone() -> None:
    """Hosts of registries and directories of one workplace have no business in what is published."""
    words = [
        "py" + "pi.org",
        "deb." + "debian.org",
        "registry." + "npmjs",
        "files.python" + "hosted",
        "/wo" + "rk/",
    ]
    pattern = re.compile("|".join(map(re.escape, words)))
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout")
    wrong = []
    for tracked in listed.stdout.split("\0"):
        path = ROOT / tracked
        if not tracked or not path.is_file():
            continue
        for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), 1):
            if pattern.search(line):
                wrong.append(f"{tracked}:{number}: {line.strip()[:120]}")
    assert not wrong, "\n".join(wrong)


def test_no_tracked_file_holds_what_a_merge_could_not_decide() -> None:
    pattern = "^(" + "<" * 7 + "|" + ">" * 7 + ")( |$)"
    found = subprocess.run(["git", "grep", "-InE", pattern], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode in (1, 128), found.stdout


# -- imports ------------------------------------------------------------------------------------------------------------


def imports(path: Path) -> Iterator[tuple[str, ast.stmt]]:
    """All modules that a file imports, in full."""
    package = [*OURS.split("."), *path.relative_to(PLUGINS).with_suffix("").parts]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: -node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            for alias in node.names:
                yield f"{module}.{alias.name}", node


def storey(imported: str) -> str:
    """The part of the collection that is imported: a directory of module_utils, or another kind of plugin."""
    parts = imported[len(OURS) + 1 :].split(".")
    return parts[1] if parts[0] == "module_utils" and len(parts) > 1 else parts[0]


# Each storey may import those below it and itself; the domains and _host stand side by side and never import one another.
DOMAINS = {
    "_mongo",
    "_docker",
    "_audit",
    "_backup",
    "_flag",
    "_logs",
    "_schedule",
    "_alerts",
    "_checklist",
    "_host",
    "_packages",
}
MAY_IMPORT = {
    "_core": set(),
    **{room: {"_core"} for room in DOMAINS},
    "_operations": {"_core", *DOMAINS},
}


def test_every_room_is_known_and_nothing_lies_between_the_storeys() -> None:
    rooms = {path.name for path in (PLUGINS / "module_utils").iterdir() if path.name != "__pycache__"}
    assert rooms == {*MAY_IMPORT, "__init__.py"}
    for path in (PLUGINS / "module_utils").rglob("*.py"):
        assert len(path.relative_to(PLUGINS).parts) == 3 or path.name == "__init__.py", name(path)


@pytest.mark.parametrize("path", PYTHON_FILES, ids=name)
def test_imports_run_down(path: Path) -> None:
    """_core is the ground, domains stand on it side by side, _operations composes them, modules on top."""
    parts = path.relative_to(PLUGINS).parts
    for imported, _ in imports(path):
        if not imported.startswith(OURS + "."):
            continue
        used = storey(imported)
        if parts[0] == "module_utils" and len(parts) > 2:
            assert used in {parts[1], *MAY_IMPORT[parts[1]]}, f"{parts[1]} imports {used}"
        elif parts[0] == "modules":
            assert used.startswith("_"), f"a module imports {used}"
        elif parts[0] != "module_utils":
            assert used.startswith("_") or used in ("plugin_utils", "module_utils"), f"{parts[0]} imports {used}"


@pytest.mark.parametrize("path", PYTHON_FILES, ids=name)
def test_imports_of_our_own_are_relative(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and not node.level:
            assert not (node.module or "").startswith("ansible_collections"), f"line {node.lineno}: {node.module}"


def guarded(path: Path) -> set[int]:
    """Lines inside a `try` that expects ImportError, inside a function, or for type checkers only."""
    lines: set[int] = set()
    for node in ast.walk(tree(path)):
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        if isinstance(node, ast.Try):
            inside = any("ImportError" in ast.dump(handler.type) for handler in node.handlers if handler.type)
        if isinstance(node, ast.If):
            inside = "TYPE_CHECKING" in ast.dump(node.test)
        if inside and isinstance(node, ast.stmt):
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


@pytest.mark.parametrize(
    "path", [path for path in PYTHON_FILES if path.parts[-2] == "modules" or "module_utils" in path.parts], ids=name
)
def test_third_party_imports_are_guarded(path: Path) -> None:
    """A target without the library gets a message that names the package, not a traceback."""
    safe = guarded(path)
    for imported, node in imports(path):
        top = imported.split(".")[0]
        if top in sys.stdlib_module_names or top in ("ansible", "ansible_collections", "__future__"):
            continue
        assert node.lineno in safe, f"line {node.lineno}: {imported}"


# -- modules ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_module_documentation(path: Path) -> None:
    blocks = constants(path)
    assert set(blocks) == {"DOCUMENTATION", "EXAMPLES", "RETURN"}
    documentation = blocks["DOCUMENTATION"]
    assert documentation["module"] == path.stem
    fragments = documentation.get("extends_documentation_fragment", [])
    attributes = [item for item in fragments if item.startswith("miniecom.maintenance.attributes")]
    assert attributes or "attributes" in documentation
    if path.stem in WITHOUT_RUNNER:
        return
    assert ("miniecom.maintenance.run" in fragments) is (path.stem not in AFTER_THE_RUN)
    kind = runner_call(path)
    assert kind, "a module ends in run() or run_info()"
    assert attributes == ["miniecom.maintenance.attributes." + ("acting" if kind == "run" else "info")]


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_module_examples(path: Path) -> None:
    """Several real situations, each by the module's full name."""
    examples = constants(path)["EXAMPLES"]
    full = f"miniecom.maintenance.{path.stem}"
    assert len(examples) >= (1 if path.stem in WITHOUT_RUNNER else 2)
    assert sum(full in task for task in examples) >= (2 if runner_call(path) == "run" else 1)
    for task in examples:
        assert "name" in task
        for key in task:
            assert "." in key or key in TASK_KEYWORDS, f"{key} is no full name"


TASK_KEYWORDS = {
    *("always", "become", "block", "check_mode", "delegate_to", "diff", "environment", "failed_when", "ignore_errors"),
    *("loop", "loop_control", "module_defaults", "name", "no_log", "register", "rescue", "run_once", "tags", "until"),
    *("vars", "when", "changed_when", "hosts", "tasks", "roles", "retries", "delay", "notify", "gather_facts"),
}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_module_return(path: Path) -> None:
    returned = constants(path)["RETURN"]
    # Ansible shows a top-level "results" despite no_log: it is the key of loops.
    assert "results" not in returned
    kind = runner_call(path)
    if kind == "run":
        assert {"plan", "kept", "actions", "counts", "summary"} <= set(returned)
    elif kind == "run_info":
        assert "summary" in returned
    for key, value in returned.items():
        assert value.get("description"), key
        assert value.get("returned"), key
        assert value.get("type"), key


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_results_key_is_returned(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in ("exit_json", "fail_json"):
                assert "results" not in [keyword.arg for keyword in node.keywords]


def test_action_groups_name_every_module() -> None:
    groups = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))["action_groups"]
    names = {path.stem for path in MODULES}
    # Before a run there is no run_id, nor a state directory.
    assert set(groups["all"]) == names - {"host_ready_info", "several", "variables_info"}
    for group in groups.values():
        assert set(group) <= names
        assert group == sorted(group)


def test_groups_by_server_tell_the_truth() -> None:
    groups = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))["action_groups"]
    for path in MODULES:
        documentation = constants(path)["DOCUMENTATION"]
        fragments = documentation.get("extends_documentation_fragment", [])
        options = set(documentation.get("options", {}))
        takes_mongo = (
            any(item.startswith("miniecom.maintenance.mongo") for item in fragments)
            or {"uri", "env_file", "address"} <= options
        )
        assert (path.stem in groups["mongo"]) == takes_mongo, path.stem
        takes_docker = (
            any(item.startswith("miniecom.maintenance.docker") for item in fragments) or "docker_host" in options
        )
        assert (path.stem in groups["docker"]) == takes_docker, path.stem


# -- roles --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES, ids=name)
def test_role_arguments_agree_with_defaults(role: Path) -> None:
    """Every variable is declared and described, and every declared one that is not required has a default."""
    defaults = yaml.safe_load((role / "defaults" / "main.yml").read_text(encoding="utf-8")) or {}
    text = (role / "meta" / "argument_specs.yml").read_text(encoding="utf-8").replace(" !unsafe ", " ")
    specs = yaml.safe_load(text)["argument_specs"]
    assert "main" in specs
    declared: dict[str, Any] = {}
    for entry in specs.values():
        assert entry.get("short_description")
        declared.update(entry.get("options", {}))
    assert set(defaults) <= set(declared), "without a declaration"
    optional = {option for option, about in declared.items() if not about.get("required")}
    assert optional <= set(defaults), "without a default"
    for option, about in declared.items():
        assert about.get("description"), option
        assert about.get("type"), option


@pytest.mark.parametrize("role", ROLES, ids=name)
def test_role_variables_are_prefixed(role: Path) -> None:
    defaults = yaml.safe_load((role / "defaults" / "main.yml").read_text(encoding="utf-8")) or {}
    for variable in defaults:
        assert variable.startswith((f"{role.name}_", "miniecom_")), variable


@pytest.mark.parametrize("role", ROLES, ids=name)
def test_role_has_a_readme(role: Path) -> None:
    text = (role / "README.md").read_text(encoding="utf-8")
    defaults = yaml.safe_load((role / "defaults" / "main.yml").read_text(encoding="utf-8")) or {}
    for variable in defaults:
        assert variable in text


@pytest.mark.parametrize(
    "path", sorted([*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/**/*.yml")]), ids=name
)
def test_nothing_prompts_and_every_shell_says_why(path: Path) -> None:
    """Scheduled runs have nobody to answer; a command needs changed_when and a comment beside it."""
    text = path.read_text(encoding="utf-8")
    assert "vars_prompt" not in text
    assert "ansible.builtin.pause" not in text
    for task in tasks(yaml.safe_load(text)):
        for kind in ("command", "shell", "raw"):
            call = task.get(f"ansible.builtin.{kind}")
            if call:
                once = isinstance(call, dict) and ({"creates", "removes"} & set(call))
                assert once or "changed_when" in task, task.get("name")


def tasks(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, list):
        for item in node:
            yield from tasks(item)
    elif isinstance(node, dict):
        yield node
        for key in ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks", "handlers"):
            yield from tasks(node.get(key))


@pytest.mark.parametrize("path", sorted(ROOT.glob("playbooks/*.yml")), ids=name)
def test_plays_name_their_hosts(path: Path) -> None:
    """Never `all`: a play without a group of its own would reach hosts that nobody meant."""
    for play in yaml.safe_load(path.read_text(encoding="utf-8")):
        if "hosts" in play:
            assert play["hosts"] == "localhost" or "miniecom_hosts" in play["hosts"], play.get("name")
            assert play.get("name")
            if play["hosts"] != "localhost":
                # Otherwise one host's long step would make another's lease look dead.
                assert play["strategy"] == "{{ miniecom_strategy | default('ansible.builtin.host_pinned') }}"
                assert play["serial"] == "{{ miniecom_serial | default(0) }}"


# -- names --------------------------------------------------------------------------------------------------------------

# What each domain has one of: what its planner is told.
ONE_A_DOMAIN = {"Policy", "policy_of"}
# Where a program of its own begins, as _core/program.py starts it.
ONE_A_FILE = {"main"}


def public_definitions(path: Path) -> Iterator[str]:
    for node in tree(path).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_"):
            yield node.name


def test_one_noun_for_one_thing() -> None:
    """No two classes or functions of module_utils have one name, whatever room they are in."""
    places: dict[str, list[str]] = {}
    for path in sorted((PLUGINS / "module_utils").rglob("*.py")):
        for found in public_definitions(path):
            places.setdefault(found, []).append(str(path.relative_to(PLUGINS / "module_utils")))
    twice = {
        found: where for found, where in places.items() if len(where) > 1 and found not in ONE_A_DOMAIN | ONE_A_FILE
    }
    assert not twice
    for found in ONE_A_DOMAIN:
        rooms = [where.partition("/")[0] for where in places[found]]
        assert len(rooms) == len(set(rooms)), found


# -- errors of the system -----------------------------------------------------------------------------------------------

OS_ERRORS = {"OSError", "PermissionError", "FileNotFoundError", "IsADirectoryError", "NotADirectoryError"}
TRANSLATOR = PLUGINS / "module_utils" / "_core" / "errors.py"


@pytest.mark.parametrize("path", [path for path in PYTHON_FILES if path != TRANSLATOR], ids=name)
def test_errors_of_the_system_have_one_translator(path: Path) -> None:
    """Who catches one raises what `from_os_error` makes of it, so that each number means one thing and one next step."""
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.ExceptHandler) or node.type is None:
            continue
        if not {part.id for part in ast.walk(node.type) if isinstance(part, ast.Name)} & OS_ERRORS:
            continue
        made = [
            call
            for call in ast.walk(node)
            if isinstance(call, ast.Call)
            and isinstance(call.func, ast.Name)
            and call.func.id in ("MaintenanceError", "InsufficientSpace")
        ]
        assert not made, f"{name(path)}:{made[0].lineno} translates an OSError by itself"
