# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the jobs look like on a host: files, systemd units, a crontab. Pure."""

from __future__ import annotations

import json
from typing import Dict, List, Mapping, Tuple

from .._core.late_dataclass import dataclass
from .._core.systemd import UNIT_DIR, unit_words
from .clock_change import CRON, SYSTEMD, Settled, settle
from .cron_table import cron_fields
from .job_list import JobRequest, Policy
from .job_runner import LOCK, STANDARD_OUTPUT, SYSLOG, job_path
from .zones import UTC, Zone

MARK = "# Made by miniecom.maintenance.schedule_jobs, which also removes it."
UNIT = "miniecom-maintenance-job-"
ALERT_UNIT = "miniecom-maintenance-alert@.service"
CRON_FILE = "/etc/cron.d/miniecom-maintenance"
PROGRAM = "job.pyz"
# The verb by which it tells the channels of alerts.
TELL = "tell"


@dataclass(frozen=True)
class FileOnHost:
    """A file as it is to be, or as it was found.

    Attributes:
        text: empty for one whose content does not matter, and for the program.
        secret: its text is not shown.
    """

    path: str
    text: str
    mode: int = 0o644
    group: int = 0
    secret: bool = False


@dataclass(frozen=True)
class RenderedJob:
    """One job as it is to be on the host.

    Attributes:
        timer: name of its timer, "" with cron.
        settled: when it runs.
        on_calendar: the expression in its timer.
    """

    name: str
    files: Tuple[FileOnHost, ...]
    timer: str
    settled: Settled
    on_calendar: str


@dataclass(frozen=True)
class Schedule:
    """All that is to be on the host."""

    kind: str
    jobs: Tuple[RenderedJob, ...]
    shared: Tuple[FileOnHost, ...]


def timer_of(name: str) -> str:
    return UNIT + name + ".timer"


def unit_path(unit: str) -> str:
    return "%s/%s" % (UNIT_DIR, unit)


def render(policy: Policy, kind: str, zones: Mapping[str, Zone], group: int) -> Schedule:
    """All files of a schedule.

    Args:
        kind: SYSTEMD or CRON.
        zones: the zones of the jobs by name; "" is the host's own.
        group: number of the user's group.

    Raises:
        MaintenanceError: cron cannot express a job.
    """
    closed = 0o600 if policy.user == "root" else 0o640
    jobs: List[RenderedJob] = []
    lines: List[str] = []
    for job in policy.jobs:
        settled = settle(job.name, job.calendar, zones[job.time_zone], job.clock_change, kind)
        zone = settled.zone.name if job.time_zone or settled.zone is UTC else ""
        on_calendar = "%s %s" % (settled.calendar, zone) if zone else str(settled.calendar)
        files = [
            FileOnHost(job_path(policy.directory, job.name), _job_text(policy, job, kind), closed, group),
            FileOnHost(_variables_path(policy, job), job.variables, closed, group, secret=True),
        ]
        if kind == SYSTEMD:
            files.append(FileOnHost(unit_path(UNIT + job.name + ".service"), _service(policy, job)))
            files.append(FileOnHost(unit_path(timer_of(job.name)), _timer(job, on_calendar)))
        else:
            fields = cron_fields(job.name, settled.calendar, settled.zone, zones[""], job.jitter, job.persistent)
            lines.append("%s %s %s" % (fields, policy.user, " ".join(_command(policy, "run", job.name))))
        timer = timer_of(job.name) if kind == SYSTEMD else ""
        jobs.append(RenderedJob(job.name, tuple(files), timer, settled, on_calendar))
    shared: List[FileOnHost] = []
    if jobs:
        shared = [
            FileOnHost("%s/%s" % (policy.directory, LOCK), "", closed, group),
            FileOnHost("%s/%s" % (policy.directory, PROGRAM), "", closed, group),
        ]
        if kind == SYSTEMD:
            shared.append(FileOnHost(unit_path(ALERT_UNIT), _alert_service(policy)))
        else:
            shared.append(FileOnHost(CRON_FILE, _crontab(lines)))
    return Schedule(kind, tuple(jobs), tuple(shared))


def _variables_path(policy: Policy, job: JobRequest) -> str:
    return "%s/%s.variables.json" % (policy.directory, job.name)


def _command(policy: Policy, verb: str, name: str) -> List[str]:
    return [policy.python, "-B", "%s/%s" % (policy.directory, PROGRAM), verb, policy.directory, name]


def _alert_command(policy: Policy) -> List[str]:
    """What is called when a job has failed: the command that was given, else our own program where channels are."""
    if policy.alert or not policy.channels:
        return list(policy.alert)
    return [policy.python, "-B", "%s/%s" % (policy.directory, PROGRAM), TELL, policy.channels]


def _job_text(policy: Policy, job: JobRequest, kind: str) -> str:
    argv = [policy.ansible_playbook, job.playbook]
    for source in policy.inventory:
        argv += ["--inventory", source]
    if job.tags:
        argv += ["--tags", ",".join(job.tags)]
    argv += ["--extra-vars", "@" + _variables_path(policy, job)]
    environment: Dict[str, str] = dict(policy.environment)
    return (
        json.dumps(
            {
                "made_by": MARK.lstrip("# "),
                "argv": argv,
                "working_directory": policy.working_directory,
                "environment": environment,
                "ready": {
                    "address": policy.address,
                    "health_url": policy.health_url,
                    "seconds": policy.ready_seconds,
                    "boot_seconds": policy.boot_seconds,
                },
                "queue_seconds": policy.queue_seconds,
                "alert": _alert_command(policy),
                # With systemd OnFailure does, also where the program itself was killed.
                "alert_itself": kind == CRON,
                "log": SYSLOG if kind == CRON else STANDARD_OUTPUT,
            },
            indent=1,
        )
        + "\n"
    )


def _service(policy: Policy, job: JobRequest) -> str:
    return """%(mark)s
[Unit]
Description=Scheduled maintenance of the shop: %(name)s (%(playbook)s)
Wants=network-online.target
After=network-online.target docker.service mongod.service
OnFailure=%(alert)s

[Service]
Type=oneshot
User=%(user)s
ExecStart=%(command)s
TimeoutStartSec=infinity
SyslogIdentifier=miniecom-maintenance-%(name)s
UMask=0077
""" % {
        "mark": MARK,
        "name": job.name,
        "playbook": job.playbook,
        "alert": ALERT_UNIT.replace("@", "@" + job.name),
        "user": policy.user,
        "command": unit_words(_command(policy, "run", job.name)),
    }


def _timer(job: JobRequest, on_calendar: str) -> str:
    return """%(mark)s
[Unit]
Description=When the shop's maintenance job %(name)s runs

[Timer]
OnCalendar=%(calendar)s
Persistent=%(persistent)s
RandomizedDelaySec=%(jitter)d
AccuracySec=1s

[Install]
WantedBy=timers.target
""" % {
        "mark": MARK,
        "name": job.name,
        "calendar": on_calendar,
        "persistent": "false" if job.persistent is False else "true",
        "jitter": job.jitter,
    }


def _alert_service(policy: Policy) -> str:
    return """%s
[Unit]
Description=Tell that the shop's maintenance job %%i failed

[Service]
Type=oneshot
User=%s
ExecStart=%s "%%i"
SyslogIdentifier=miniecom-maintenance-%%i
UMask=0077
""" % (MARK, policy.user, unit_words(_command(policy, "alert", "")[:-1]))


def _crontab(lines: List[str]) -> str:
    return (
        MARK
        + "\n# What the jobs say is in the system's log, under miniecom-maintenance-NAME.\n"
        + 'SHELL=/bin/sh\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nMAILTO=""\n'
        + "".join(line + "\n" for line in lines)
    )
