# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs the jobs on a host, and what is said where nothing does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core import systemd
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._schedule import host_jobs


@pytest.mark.parametrize(
    ("asked", "booted", "said"),
    [
        ("auto", False, "neither systemd nor cron runs on this host. Install and start cron."),
        ("cron", False, "neither systemd nor cron runs on this host. Install and start cron."),
        (
            "cron",
            True,
            "no cron runs on this host. Install and start cron, or set kind: systemd (schedule_kind=systemd).",
        ),
        ("systemd", False, "this host does not run systemd. Set kind: cron (schedule_kind=cron)."),
    ],
)
def test_a_host_that_runs_no_jobs_is_told_what_it_lacks(
    asked: str, booted: bool, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(systemd, "runs_this_host", lambda: booted)
    monkeypatch.setattr(host_jobs, "CRON_FILE", str(tmp_path / "cron.d" / "jobs"))
    with pytest.raises(MaintenanceError) as refused:
        host_jobs.chosen_kind(asked)
    assert str(refused.value) == said


def test_systemd_is_taken_where_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(systemd, "runs_this_host", lambda: True)
    assert host_jobs.chosen_kind("auto") == host_jobs.chosen_kind("systemd") == host_jobs.SYSTEMD
