# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What timers and crontabs start: one job (`_schedule/job_runner.py`), and telling the channels of alerts that it failed.

It runs by itself, without Ansible: a job fails, too, where Ansible cannot be started or a host cannot be reached.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from datetime import datetime, timedelta
from typing import Any, Dict, List, Mapping, Sequence

from .._alerts.channels import deliver, read_channels
from .._alerts.memory import alone, load_told, save_told
from .._alerts.planning import Policy, SendMessage, after_telling, plan_alerts, stand
from .._alerts.problems import JOB, Recalled, RunSeen, read_problems
from .._core.clock import parse_utc, utc_now
from .._core.errors import MaintenanceError
from .._core.redaction import SECRETS
from .._core.units import parse_duration
from .._schedule import job_runner
from .._schedule.rendering import TELL

# Of ansible-playbook, when a task failed: the run came to its end, and has alerts of its own.
TASK_FAILED = "2"
# So long after its own alerts a run has ended, and this is called.
JUST_NOW = timedelta(minutes=15)


def main(arguments: List[str]) -> int:
    """run DIRECTORY NAME, alert DIRECTORY NAME, or tell FILE: the options of maintenance_alert, as JSON."""
    if arguments[0] != TELL:
        return job_runner.main(arguments)
    try:
        with open(arguments[1], encoding="utf-8") as handle:
            options: Dict[str, Any] = json.load(handle)
        undelivered = tell_of_job(options, os.environ)
    except (MaintenanceError, OSError, ValueError, KeyError, TypeError) as error:
        undelivered = [str(error)]
    for text in undelivered:
        sys.stderr.write("<3>%s\n" % SECRETS.clean_text(text))
    return 1 if undelivered else 0


def told_by_run(memory: Sequence[Recalled], status: str, now: datetime) -> bool:
    """Whether the run that failed has told of it itself, so that nobody has to hear of it twice. Pure.

    Args:
        memory: what this machine has told; with it that of the runs, where they are those of this very host.
    """
    return status == TASK_FAILED and any(
        entry.problem.kind != JOB and not entry.over and timedelta(0) <= now - parse_utc(entry.seen) < JUST_NOW
        for entry in memory
    )


def tell_of_job(options: Mapping[str, Any], environment: Mapping[str, str]) -> List[str]:
    """Tell each channel that has not heard of it that a job failed; returns what could not be told, and why.

    Args:
        options: as those of maintenance_alert.
        environment: with the job's name, its status, and a sentence.

    Raises:
        MaintenanceError: the options make no sense, or the memory cannot be used.
    """
    name, status = environment["MINIECOM_JOB"], environment.get("MINIECOM_STATUS", "")
    state_dir = os.path.expanduser(str(options["state_dir"]))
    channels = read_channels(options)
    repeat = str(options.get("repeat_after") or "")
    policy = Policy(
        str(options.get("threshold") or "high"), parse_duration(repeat) if repeat else 0.0, channels.names, False
    )
    run = RunSeen("job " + name, "", socket.gethostname(), "failed", environment.get("MINIECOM_MESSAGE", ""))
    problem = {"kind": JOB, "id": name, "severity": "critical", "text": run.verdict or "the job %s failed" % name}
    problems = read_problems([problem], run.name)
    undelivered: List[str] = []
    with alone(state_dir):
        now = utc_now()
        memory = load_told(state_dir)
        if told_by_run(memory, status, now):
            return []
        standing = stand(memory, problems, run, policy, now)
        for action in plan_alerts(standing, run, policy, now).actions:
            if not isinstance(action.work, SendMessage):
                continue
            try:
                deliver(channels, action.work.channel, action.work.message)
            except MaintenanceError as error:
                undelivered.append("%s: %s" % (action.work.channel, error))
                continue
            # At once: whatever ends this later, nobody is told the same twice.
            standing = after_telling(standing, action.work.message, action.work.channel, now)
            save_told(state_dir, standing)
    return undelivered
