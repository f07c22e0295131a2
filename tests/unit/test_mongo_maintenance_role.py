# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nothing is compacted, archived or purged without a verified backup of the same play."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import jinja2.nativetypes
import pytest
import yaml

ROLE = Path(__file__).resolve().parents[2] / "roles" / "mongo_maintenance"
MODULE = "miniecom.maintenance.mongo_"
VARIABLES = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))


def value(text: str, known: dict[str, Any]) -> Any:
    """As Ansible fills it in: a name that nobody has set is an error, and one variable may rest on another."""
    jinja = jinja2.nativetypes.NativeEnvironment(undefined=jinja2.StrictUndefined)
    jinja.tests["failed"] = lambda result: bool(result.get("failed"))
    jinja.filters["bool"] = bool
    rest = {
        name: value(VARIABLES[name], known)
        for name in VARIABLES
        if name in text and isinstance(VARIABLES[name], str) and f"{name}:" not in text and VARIABLES[name] != text
    }
    return jinja.from_string(text).render({**rest, **known})


@pytest.mark.parametrize("entry", ["main", "orphans_archive", "orphans_purge"])
@pytest.mark.parametrize(
    ("required", "backup", "refused"),
    [
        (True, None, True),
        (True, {"failed": True}, True),
        (True, {"path": "/b"}, False),
        (False, None, False),
        (False, {"failed": True}, False),
    ],
)
@pytest.mark.parametrize("within_a_run", [True, False])
def test_what_changes_the_database_wants_a_backup(
    entry: str, required: bool, backup: dict[str, Any] | None, refused: bool, within_a_run: bool
) -> None:
    tasks = yaml.safe_load((ROLE / "tasks" / f"{entry}.yml").read_text(encoding="utf-8"))
    (task,) = [task for task in tasks if any(key.startswith(MODULE) for key in task)]
    (options,) = [task[key] for key in task if key.startswith(MODULE)]
    known = {
        **task["vars"],
        "mongo_maintenance_require_backup": required,
        "context_run": {"run_id": "one"} if within_a_run else {},
        "__mongo_maintenance_calls": {"calls": {}},
        "omit": "omitted",
        **({} if backup is None else {"backup_result": backup}),
        **({"report_result": {}} if within_a_run else {}),
    }
    given = value(options["given"], {"report_result": {}, **known})
    if not refused:
        assert given == "omitted"
    elif within_a_run:
        assert given["skipped"] is True and given["reason"].endswith("without a verified backup of this run")
    else:
        assert given["failed"] is True and "run the role miniecom.maintenance.backup before" in given["msg"]


def test_the_tag_of_what_rests_on_a_backup_brings_it_along() -> None:
    """Who asks for one step alone is not refused for want of another."""
    text = (ROLE.parents[1] / "playbooks" / "tasks" / "database.yml").read_text(encoding="utf-8")
    steps = {step["name"]: step for step in yaml.safe_load(text)}
    brought = set(steps["Backup"]["tags"])
    resting = []
    for step in steps.values():
        given = step.get("vars", {})
        if given.get("step_role") != "miniecom.maintenance.mongo_maintenance":
            continue
        tasks = (ROLE / "tasks" / f"{given.get('step_tasks', 'main')}.yml").read_text(encoding="utf-8")
        if "__mongo_maintenance_unsafe" in tasks or "mongo_maintenance_require_backup" in tasks:
            resting.append(step["tags"][-1])
    assert len(resting) == 5 and set(resting) <= brought, resting
