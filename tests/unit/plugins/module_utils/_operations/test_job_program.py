# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a job that failed is told, and by whom."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._alerts.problems import JOB, STEP, Concern, Recalled
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.clock import format_utc
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.job_program import told_by_run

NOW = datetime(2026, 11, 29, 3, tzinfo=timezone.utc)


def seen(minutes: float, kind: str = STEP, over: str = "") -> Recalled:
    moment = format_utc(NOW - timedelta(minutes=minutes))
    return Recalled(Concern(kind, kind + ":backup", "critical", "no space"), moment, moment, (), over)


@pytest.mark.parametrize(
    ("memory", "status", "told"),
    [
        ([seen(1)], "2", True),
        ([seen(1)], "4", False),  # no host could be reached
        ([seen(1)], "", False),  # killed
        ([seen(60)], "2", False),  # an earlier run's
        ([seen(-60)], "2", False),  # of a clock that was ahead
        ([seen(1, JOB)], "2", False),
        ([seen(1, over=format_utc(NOW))], "2", False),
        ([], "2", False),
    ],
)
def test_nobody_hears_twice_of_what_a_run_has_told_itself(memory: list[Recalled], status: str, told: bool) -> None:
    assert told_by_run(memory, status, NOW) is told
