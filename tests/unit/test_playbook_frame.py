# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What playbooks/tasks/frame.yml promises: every run begins, fails and ends alike, whatever tags or first task are asked for."""

from __future__ import annotations

import itertools
from typing import Any

import jinja2
import pytest
import yaml

from tests.support.outline import ROOT, VALIDATION, Task, outlines

WITHIN_MAINTENANCE = ["database", "weekly", "monthly"]
SINGLE = ["backup", "security_audit", "enter_maintenance", "exit_maintenance", "restore_test", "dr_drill"]
STEPS = {
    "daily": 5,
    "database": 10,
    "database_users": 1,
    "fix_permissions": 4,
    "quarterly": 8,
    "undo": 5,
    "weekly": 15,
    "monthly": 19,
    "update": 6,
}
# Closes the shop and opens it, in a way of its own.
CLOSED = ["restore"]
FRAMED = [*SINGLE, *STEPS, *CLOSED]

# Names without what the implicit first task of a role says about it.
BEGIN = [
    "Check the variables",
    "prerequisites : Check that the host can be maintained",
    "prerequisites : Use the environment that is there",
    "context : Begin the run",
]
PREPARE = [
    *("prerequisites : Make what the modules need, and use it", "context : Find the shop on this host"),
]
# The shop is opened, and then looked at as a visitor sees it.
OPENING = {
    "maintenance_mode : Take down maintenance mode": ["always"],
    "Keep what opening the shop did": ["always"],
    # Included: imported and skipped, its tasks would put "skipped" in the place of the health at the end of the work.
    "Run the role health_check": ["always", "health_check"],
    "Keep what was seen in its own row": ["always", "health_check"],
}
OPEN = list(OPENING)
END = ["report : End the run and show what it did", "report : End as failed when a step failed"]
# Whatever became of the report; each skipped where nothing is configured.
TELL = ["alerts : Send alerts", "alerts : Say who would be told"]
NOTE = "Note the failure and go on"


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, Any]]:
    return outlines(FRAMED)


def names(titles: list[str]) -> list[str]:
    """Without the collection's name and the validation of a role's options, which is not ours."""
    return [title.replace("miniecom.maintenance.", "") for title in titles if VALIDATION not in title]


def part(tasks: list[Task], *path: str) -> list[tuple[str, list[str]]]:
    """Name and tags of the tasks that stand in exactly this part of the play."""
    chosen = {task["name"]: task["tags"] for task in tasks if task["path"] == list(path)}
    return [(name, chosen[title]) for title in chosen for name in names([title])]


@pytest.mark.parametrize("playbook", FRAMED)
def test_every_run_begins_alike(playbook: str, found: dict[str, dict[str, Any]]) -> None:
    begun = part(found[playbook]["tasks"])[: len(BEGIN + PREPARE)]
    expected = [(name, ["always"]) for name in BEGIN]
    expected += [(name, ["always", name.partition(" ")[0]]) for name in PREPARE]
    assert begun == expected


@pytest.mark.parametrize("playbook", FRAMED)
def test_every_run_ends_alike(playbook: str, found: dict[str, dict[str, Any]]) -> None:
    ended = part(found[playbook]["tasks"], "always")
    if playbook in CLOSED:
        assert "backup : Start the containers again" in dict(ended)
        ended = [entry for entry in ended if entry[0] in END]
    # What was fetched for a drill goes at the end of its own work, whatever became of that.
    ended = [entry for entry in ended if entry[0] != "dr_drill : Remove the copy from the second place"]
    opened = list(OPENING.items()) if playbook in WITHIN_MAINTENANCE else []
    assert ended == opened + [(name, ["always", "report"]) for name in END]
    told = part(found[playbook]["tasks"], "always", "always")
    assert told == [(name, ["alerts", "always"]) for name in TELL]


@pytest.mark.parametrize("playbook", FRAMED)
def test_what_ends_a_run_is_noted_whatever_the_tags(playbook: str, found: dict[str, dict[str, Any]]) -> None:
    tasks = found[playbook]["tasks"]
    paths = (
        [["rescue"], ["always", "rescue"], ["always", "rescue"]]
        if playbook in [*WITHIN_MAINTENANCE, *CLOSED]
        else [["rescue"]]
    )
    noted = [task for task in tasks if names([task["name"]]) == [NOTE] and "always" in task["tags"]]
    assert [task["path"] for task in noted] == paths


@pytest.mark.parametrize("playbook", STEPS)
def test_every_step_is_noted_under_its_own_tags(playbook: str, found: dict[str, dict[str, Any]]) -> None:
    """Otherwise a step that is asked for by its tag and fails would end the run."""
    tasks = [task for task in found[playbook]["tasks"] if VALIDATION not in task["name"]]
    notes = 0
    for before, task in itertools.pairwise(tasks):
        if names([task["name"]]) == [NOTE] and "always" not in task["tags"]:
            notes += 1
            assert task["path"] == ["rescue"]
            # The tasks of a step have its tags; a task of its own may have more.
            assert set(task["tags"]) <= set(before["tags"]), before["name"]
    assert notes == STEPS[playbook]


@pytest.mark.parametrize("playbook", FRAMED)
def test_tags_choose_the_work_and_never_lose_begin_and_end(playbook: str, found: dict[str, dict[str, Any]]) -> None:
    for tag in [*found[playbook]["tags"], "none-of-them"]:
        order = names(found[playbook]["orders"][f"--tags {tag}"])
        assert order[: len(BEGIN + PREPARE)] == BEGIN + PREPARE, tag
        assert order[-len(END + TELL) :] == END + TELL, tag
    work = names(found[playbook]["orders"]["--skip-tags always"])
    assert work
    around = BEGIN + PREPARE + END + TELL + (OPEN if playbook in WITHIN_MAINTENANCE else [])
    # An open shop's health is checked as a part of the work.
    assert not set(work) & {name for name in around if not name.startswith("health_check")}


@pytest.mark.parametrize("playbook", FRAMED)
def test_a_run_starts_at_any_task_and_ends_as_always(playbook: str, found: dict[str, dict[str, Any]]) -> None:
    orders = found[playbook]["orders"]
    whole = orders[""]
    reached = 0
    for task in found[playbook]["tasks"]:
        if VALIDATION in task["name"]:
            continue
        order = orders[f"--start-at-task {task['name']}"]
        if task["name"] in whole:
            reached += 1
            assert order == whole[whole.index(task["name"]) :], task["name"]
        else:
            assert "rescue" in task["path"]
            assert order == [], "a rescue is no place to start at"
    assert reached >= len(set(names(whole))) >= 10
    assert names(whole)[-len(END + TELL) :] == END + TELL


def test_single_jobs_do_only_theirs(found: dict[str, dict[str, Any]]) -> None:
    def work(playbook: str) -> list[str]:
        return names(found[playbook]["orders"][""])[len(BEGIN + PREPARE) : -len(END + TELL)]

    assert work("backup") == ["backup : Back up the shop", "backup : Copy the backups off the host"]
    assert [name.partition(" ")[0] for name in work("security_audit")] == ["security_audit"] * 11
    nginx = "maintenance_mode : Give nginx what it needs to turn visitors away"
    assert work("enter_maintenance")[:2] == [nginx, "maintenance_mode : Put up maintenance mode"]
    assert work("exit_maintenance")[0] == "maintenance_mode : Take down maintenance mode"
    for playbook, own in (("enter_maintenance", 2), ("exit_maintenance", 1)):
        assert {name.partition(" ")[0] for name in work(playbook)[own:]} == {"health_check"}
    week, month = work("weekly"), work("monthly")
    assert [name for name in month if name in week] == week, "a month's run holds a week's, in its order"


def test_every_playbook_refuses_a_command_or_an_inventory_with_a_slip() -> None:
    names = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml") if path.stem != "sandbox")
    assert set(FRAMED) < set(names)
    for name in names:
        play, *more = yaml.safe_load((ROOT / "playbooks" / f"{name}.yml").read_text(encoding="utf-8"))
        # What follows only compares what the hosts have said.
        assert not more or name == "waive", name
        for each in (play, *more):
            assert each["hosts"].endswith(" | miniecom.maintenance.targets(groups) }}"), name
        first = play["tasks"][0]["ansible.builtin.import_tasks"]
        assert first == ("tasks/frame.yml" if name in FRAMED else "tasks/known.yml"), name


@pytest.mark.parametrize(
    ("result", "opens"),
    [
        (None, True),  # it never began
        ({}, True),
        ({"failed": True, "counts": {}}, True),
        ({"failed": True, "counts": {}, "unsettled": True}, False),
        ({"failed": True, "msg": "MODULE FAILURE", "rc": 137}, False),  # killed: nobody knows
    ],
)
def test_a_shop_whose_database_may_be_half_way_stays_closed(result: dict[str, Any] | None, opens: bool) -> None:
    first = yaml.safe_load((ROOT / "playbooks/tasks/restore_end.yml").read_text())[0]["block"][0]
    jinja = jinja2.Environment(undefined=jinja2.ChainableUndefined)
    jinja.tests["failed"] = lambda value: bool(value.get("failed"))
    known = {} if result is None else {"backup_restore_result": result}
    conditions = [jinja.compile_expression(text)(known) for text in first["ansible.builtin.assert"]["that"]]
    assert all(conditions) is opens


@pytest.mark.parametrize(
    ("images", "dependencies", "put_back"),
    [
        ({"failed": True}, {"changed": True}, True),
        ({"failed": True}, {"changed": False}, False),
        ({"failed": True}, None, False),
        ({"changed": True}, {"changed": True}, False),
        ({"skipped": True}, {"changed": True}, False),
        # It ended before compose_update, as without its backup: nothing was built from the new lock files, and they stay.
        (None, {"changed": True}, False),
        (None, None, False),
    ],
)
def test_lock_files_of_before_come_back_when_the_images_failed(
    images: dict[str, bool] | None, dependencies: dict[str, bool] | None, put_back: bool
) -> None:
    steps = yaml.safe_load((ROOT / "playbooks/tasks/update.yml").read_text())
    (step,) = [step for step in steps if step["name"] == "Lock files of before"]
    # As ansible-core does: what nobody has registered is an error, and no answer.
    jinja = jinja2.Environment(undefined=jinja2.StrictUndefined)
    for test in ("failed", "changed"):
        jinja.tests[test] = lambda value, key=test: bool(value.get(key))
    results = {"app_update_result": images, "app_update_npm_result": dependencies}
    known = {name: result for name, result in results.items() if result is not None}
    for check in (False, True):
        answer = jinja.from_string("{{ %s }}" % step["when"]).render(known, ansible_check_mode=check)
        assert answer == str(put_back and not check)
