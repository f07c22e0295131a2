# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""schedule_jobs with the program that also tells the channels of alerts."""

from __future__ import annotations

from .._schedule.scheduling import ScheduleJobs
from . import job_program


class ScheduleJobsWithAlerts(ScheduleJobs):
    """Have the host run the jobs of the list, and tell who should know when one fails."""

    program = job_program.__name__
