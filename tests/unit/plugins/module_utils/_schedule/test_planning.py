# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What has to be done so that a host runs a list of jobs, and what the files of the jobs hold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Plan
from ansible_collections.miniecom.maintenance.plugins.module_utils._schedule.clock_change import CRON, SYSTEMD
from ansible_collections.miniecom.maintenance.plugins.module_utils._schedule.job_list import schedule_policy
from ansible_collections.miniecom.maintenance.plugins.module_utils._schedule.planning import (
    Installed,
    RemoveShared,
    ScheduleJob,
    UnscheduleJob,
    plan_schedule,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._schedule.rendering import (
    CRON_FILE,
    MARK,
    FileOnHost,
    Schedule,
    render,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._schedule.switching import (
    LINE,
    NotedSwitch,
    ShopJob,
    Switch,
    plan_off,
    plan_on,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._schedule.zones import UTC

DIRECTORY = "/etc/schedule"
NAMES = ["weekly", "backup", "health"]
DEFAULTS: dict[str, Any] = {
    "kind": "auto",
    "clock_change": "move",
    "variables": None,
    "inventory": ["/srv/hosts.yml"],
    "ansible_playbook": "/usr/bin/ansible-playbook",
    "working_directory": "/",
    "environment": None,
    "user": "root",
    "directory": DIRECTORY,
    "python": None,
    "mongod_address": "127.0.0.1:27017",
    "health_url": None,
    "ready_timeout": "10m",
    "boot_window": "30m",
    "queue_timeout": "12h",
    "alert_command": [],
}
EMPTY = Installed({}, (), False, ())


def schedule(names: list[str], kind: str = SYSTEMD, when: str = "03:00", **more: Any) -> Schedule:
    jobs = [{"name": name, "when": when} for name in names]
    policy = schedule_policy({**DEFAULTS, "jobs": jobs, **more}, "/usr/bin/python3")
    return render(policy, kind, {"": UTC}, 0)


def files(made: Schedule) -> dict[str, FileOnHost]:
    found = {file.path: file for job in made.jobs for file in job.files}
    found.update({file.path: file for file in made.shared})
    return found


def installed(made: Schedule) -> Installed:
    """As if a schedule had been carried out."""
    return Installed(files(made), tuple(job.timer for job in made.jobs if job.timer), True, ())


def carried_out(plan: Plan[Any], wanted: Schedule, before: Installed) -> set[str]:
    """The paths that are there after a plan; that nothing is removed that is wanted, or written that is not."""
    there, right = set(before.files), files(wanted)
    for action in plan.actions:
        work = action.work
        if isinstance(work, (UnscheduleJob, RemoveShared)):
            assert not set(work.paths) & set(right), "what is wanted is not removed"
            assert set(work.paths) <= there, "what is not there is not removed"
            there -= set(work.paths)
        else:
            there |= set(getattr(work, "paths", ())) | ({work.path} if hasattr(work, "path") else set())
    return there


kinds = st.sampled_from([SYSTEMD, CRON])
lists = st.lists(st.sampled_from(NAMES), unique=True)


@given(lists, kinds, st.sampled_from(["03:00", "04:30"]), lists, kinds, st.sampled_from(["03:00", "04:30"]))
def test_from_any_schedule_to_any_other(
    old: list[str], old_kind: str, old_when: str, new: list[str], new_kind: str, new_when: str
) -> None:
    before, wanted = installed(schedule(old, old_kind, old_when)), schedule(new, new_kind, new_when)
    plan = plan_schedule(wanted, before, DIRECTORY)
    assert carried_out(plan, wanted, before) == set(files(wanted))
    assert not plan_schedule(wanted, installed(wanted), DIRECTORY).actions
    if (old, old_kind, old_when) == (new, new_kind, new_when) or not (old or new):
        assert not plan.actions
    for action in plan.actions:
        if isinstance(action.work, ScheduleJob) and action.work.timer:
            same = action.work.name in old and old_kind == new_kind and old_when == new_when
            assert action.work.new_time != same


@given(lists, kinds)
def test_what_is_not_ours_is_never_touched(names: list[str], kind: str) -> None:
    theirs = "/etc/systemd/system/miniecom-maintenance-job-theirs.timer"
    before = Installed(installed(schedule(NAMES)).files, (), True, (theirs,))
    plan = plan_schedule(schedule(names, kind), before, DIRECTORY)
    touched = [path for action in plan.actions for path in getattr(action.work, "paths", ())]
    assert theirs not in touched and theirs in [kept.target for kept in plan.kept]
    in_the_way = Installed({}, (), False, (CRON_FILE,))
    with pytest.raises(MaintenanceError, match="not made by this module"):
        plan_schedule(schedule(["weekly"], CRON), in_the_way, DIRECTORY)


def test_a_job_never_starts_from_a_crontab_when_its_files_are_not_there() -> None:
    less = plan_schedule(schedule(["weekly"], CRON), installed(schedule(["weekly", "backup"], CRON)), DIRECTORY)
    assert [action.action for action in less.actions] == ["write_crontab", "unschedule_job"]
    more = plan_schedule(schedule(["weekly"], CRON), EMPTY, DIRECTORY)
    assert [action.action for action in more.actions] == ["install", "schedule_job", "write_crontab"]
    none = plan_schedule(schedule([], CRON), installed(schedule(["weekly"], CRON)), DIRECTORY)
    assert [action.action for action in none.actions] == ["remove", "unschedule_job", "remove"]


def test_no_text_of_a_variable_gets_into_units_and_crontabs() -> None:
    wild = "x\n[Service]\nExecStartPre=/bin/evil %h $HOME"
    for kind in (SYSTEMD, CRON):
        made = schedule(
            ["weekly"], kind, variables={"a": wild}, environment={"B": wild}, health_url=wild, working_directory="/a b"
        )
        for path, file in files(made).items():
            if not path.startswith(DIRECTORY):
                assert "evil" not in file.text and file.text.startswith(MARK)
    variables = next(file for path, file in files(made).items() if path.endswith("weekly.variables.json"))
    assert json.loads(variables.text) == {"a": wild, "context_owner": "job weekly"} and variables.mode == 0o600


@pytest.mark.parametrize(
    "wrong, told",
    [
        ({"jobs": [{"name": "Weekly Run", "when": "03:00"}]}, "not a name for a job"),
        ({"jobs": [{"name": "../x", "when": "03:00"}]}, "not a name for a job"),
        ({"jobs": [{"name": "a", "when": "03:00"}, {"name": "a", "when": "04:00"}]}, "two jobs of one name"),
        ({"jobs": [{"name": "a", "when": "03:00", "playbook": "-evil"}]}, "not a playbook"),
        ({"jobs": [{"name": "a", "when": "03:00", "playbook": "plays/a.yml"}]}, "not a full path"),
        ({"jobs": [{"name": "a", "when": "03:00", "tags": ["a b"]}]}, "not a tag"),
        ({"jobs": [{"name": "a", "when": "03:00", "jitter": "soon"}]}, "not a duration"),
        ({"jobs": [{"name": "a", "when": "at three"}]}, "job a: not a time for a job"),
        ({"directory": "/etc/a b"}, "directory is no full path"),
        ({"directory": "/etc/a%h"}, "directory is no full path"),
        ({"python": "python3"}, "python is no full path"),
        ({"user": "root; reboot"}, "not a user"),
        ({"inventory": ["a\nb"]}, "not a word"),
    ],
)
def test_what_is_wrong_is_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(MaintenanceError, match=told):
        schedule_policy({**DEFAULTS, "jobs": [], **wrong}, "/usr/bin/python3")


# -- the shop's own jobs ------------------------------------------------------------------------------------------------

SWITCH = Switch(LINE, "/etc/cron.d/shop", 3, "digest")


def test_only_what_is_active_and_understood_is_switched_off() -> None:
    jobs = [
        ShopJob("/etc/cron.d/shop:3", "rotate_backups.sh", False, True, SWITCH),
        ShopJob("/etc/cron.d/shop:3", "the same line again", False, True, SWITCH),
        ShopJob("/etc/cron.d/shop:4", "docker", False, False, Switch(LINE, "/etc/cron.d/shop", 4, "other")),
        ShopJob("/etc/cron.d/shop:5", "", True, True, Switch(LINE, "/etc/cron.d/shop", 5, "third")),
        ShopJob("/etc/logrotate.d/shop", "logrotate", False, True, None, "change it by hand"),
    ]
    plan = plan_off(jobs, False, "undo")
    assert [action.work.switch for action in plan.actions] == [SWITCH]
    assert len(plan.kept) == 3 and "/etc/logrotate.d/shop" in plan.warnings[0]
    assert len(plan_off(jobs, True, "undo").actions) == 2


def test_only_what_is_off_is_switched_on() -> None:
    noted = [NotedSwitch("b", 0, SWITCH, True), NotedSwitch("a", 0, SWITCH, False, "switched on already")]
    plan = plan_on(noted)
    assert [(action.work.undo_id, action.target) for action in plan.actions] == [("b", "/etc/cron.d/shop:3")]
    assert [kept.reason for kept in plan.kept] == ["switched on already"]
