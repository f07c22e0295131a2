# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role schedule: its jobs are playbooks of ours at the guide's times, and both machines are told the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ansible_collections.miniecom.maintenance.plugins.module_utils._schedule.calendars import parse_calendar

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles" / "schedule"
DEFAULTS = yaml.safe_load((ROLE / "defaults/main.yml").read_text())


def test_the_jobs_are_playbooks_of_ours_at_the_times_of_the_guide() -> None:
    jobs = {job["name"]: job["when"] for job in DEFAULTS["schedule_jobs"]}
    assert (jobs["weekly"], jobs["security_audit"], jobs["backup"], jobs["health"]) == (
        "Sun 03:00",
        "Mon 04:00",
        "02:00",
        "hourly",
    )
    for name, when in jobs.items():
        assert (ROOT / "playbooks" / f"{name}.yml").is_file(), name
        assert parse_calendar(when)


def options(place: str) -> dict[str, Any]:
    tasks = yaml.safe_load((ROLE / f"tasks/{place}.yml").read_text())
    [found] = [
        task["miniecom.maintenance.schedule_jobs"] for task in tasks if "miniecom.maintenance.schedule_jobs" in task
    ]
    return dict(found)


def test_host_and_controller_are_told_the_same() -> None:
    host, controller = options("host"), options("controller")
    # A file that the role writes, where the channels of alerts are.
    assert host.pop("alert_channels") == controller.pop("alert_channels")
    assert host.pop("state_dir") == "{{ context_state_dir }}"
    assert host == controller
    variables = {value.strip("{} ") for value in host.values()}
    others = {
        "schedule_on",
        "schedule_shop_jobs",
        "schedule_shop_jobs_unknown",
        "schedule_undo",
        "schedule_undo_required",
    }
    assert variables | others == set(DEFAULTS)
