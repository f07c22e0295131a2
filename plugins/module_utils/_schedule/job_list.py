# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The list of jobs, as it is asked for. Pure."""

from __future__ import annotations

import json
import os
import re
from typing import Any, List, Mapping, Optional, Tuple

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .._core.units import parse_duration
from .calendars import Calendar, parse_calendar

COLLECTION = "miniecom.maintenance."
_NAME = re.compile(r"^[a-z][a-z0-9_]{0,39}$")
_PLAYBOOK = re.compile(r"^[A-Za-z0-9_/.][A-Za-z0-9_./-]*$")
_TAG = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.:-]*$")
_USER = re.compile(r"^[a-z_][a-z0-9_.-]*\$?$")
# What stands in a crontab as it is.
_PLAIN_PATH = re.compile(r"^/[A-Za-z0-9_./+-]+$")
_FULL_PATH = re.compile(r"^/[^\0\n\r]*$")
_WORD = re.compile(r"^[^\0\n\r]+$")


@dataclass(frozen=True)
class JobRequest:
    """One job of the list.

    Attributes:
        playbook: name in a collection, or path.
        calendar: when.
        time_zone: "" for the host's own.
        jitter: at most so many seconds later, another number each time.
        variables: for the playbook, as JSON; they may hold what is not to be shown.
        persistent: whether what was missed is caught up on; None for yes where that is possible.
        clock_change: what happens with a time in the night of a clock change.
    """

    name: str
    playbook: str
    calendar: Calendar
    time_zone: str
    jitter: float
    variables: str
    tags: Tuple[str, ...]
    persistent: Optional[bool]
    clock_change: str


@dataclass(frozen=True)
class Policy:
    """All that is asked for.

    Attributes:
        kind: auto, systemd or cron.
        directory: where the jobs' files lie.
        python: the interpreter that runs the program of the jobs.
        user: whose jobs they are.
        address, health_url: where a healthy MongoDB shows, "" to wait for none.
        ready_seconds, boot_seconds, queue_seconds: see job_runner.
        alert: command that is called when a job has failed.
        channels: file of the channels that are told where there is no such command, "" for none.
    """

    jobs: Tuple[JobRequest, ...]
    kind: str
    directory: str
    python: str
    user: str
    ansible_playbook: str
    inventory: Tuple[str, ...]
    working_directory: str
    environment: Tuple[Tuple[str, str], ...]
    address: str
    health_url: str
    ready_seconds: float
    boot_seconds: float
    queue_seconds: float
    alert: Tuple[str, ...]
    channels: str = ""


def _refused(what: str, value: object, next_step: str) -> MaintenanceError:
    return MaintenanceError(what, target=repr(value), next_step=next_step)


def _checked(pattern: re.Pattern[str], value: object, what: str, next_step: str) -> str:
    text = str(value)
    if not pattern.match(text):
        raise _refused(what, text, next_step)
    return text


def job_of(entry: Mapping[str, Any], shared: Mapping[str, Any], clock_change: str) -> JobRequest:
    """One entry of the list, checked.

    Args:
        shared: variables of all jobs; those of the job count more.
        clock_change: where the job says nothing of its own.

    Raises:
        MaintenanceError: something of it is not what it should be.
    """
    name = _checked(
        _NAME, entry["name"], "not a name for a job", "Use small letters, digits and underscores, a letter first."
    )
    playbook = _checked(
        _PLAYBOOK,
        entry.get("playbook") or name,
        "not a playbook",
        "Write weekly for a playbook of this collection, its full name otherwise, or a path.",
    )
    if "." not in playbook and "/" not in playbook:
        playbook = COLLECTION + playbook
    elif "/" in playbook and not playbook.startswith("/"):
        raise _refused(
            "not a full path of a playbook", playbook, "A job runs in no directory of yours: begin with a slash."
        )
    tags = tuple(
        _checked(_TAG, tag, "not a tag", "Use letters, digits and underscores.") for tag in entry.get("tags") or ()
    )
    try:
        calendar = parse_calendar(entry["when"])
    except MaintenanceError as error:
        raise MaintenanceError(
            "job %s: %s" % (name, error.what), target=error.target, next_step=error.next_step
        ) from error
    variables = {"context_owner": "job " + name, **shared, **(entry.get("variables") or {})}
    jitter = entry.get("jitter")
    return JobRequest(
        name,
        playbook,
        calendar,
        str(entry.get("time_zone") or ""),
        parse_duration(jitter) if jitter else 0.0,
        json.dumps(variables, sort_keys=True, indent=1, ensure_ascii=True) + "\n",
        tags,
        entry.get("persistent"),
        str(entry.get("clock_change") or clock_change),
    )


def schedule_policy(params: Mapping[str, Any], python: str) -> Policy:
    """The policy of a module's options.

    Args:
        python: the interpreter, where the options name none.

    Raises:
        MaintenanceError: something of it is not what it should be.
    """
    jobs = tuple(job_of(entry, params["variables"] or {}, params["clock_change"]) for entry in params["jobs"])
    names = [job.name for job in jobs]
    for name in names:
        if names.count(name) > 1:
            raise _refused("two jobs of one name", name, "Each job has a name of its own.")
    paths: List[str] = []
    for option in ("directory", "python", "working_directory", "ansible_playbook"):
        # The first two stand in units and crontabs as they are.
        pattern = _PLAIN_PATH if option in ("directory", "python") else _FULL_PATH
        value = os.path.normpath(str(params[option] or python))
        paths.append(_checked(pattern, value, "%s is no full path that can be used" % option, "Begin with a slash."))
    words = [*params["inventory"], *params["alert_command"]]
    for word in words:
        _checked(_WORD, word, "not a word of a command line", "Leave line ends out.")
    environment = {str(key): str(value) for key, value in (params["environment"] or {}).items()}
    return Policy(
        jobs,
        params["kind"],
        paths[0],
        paths[1],
        _checked(_USER, params["user"], "not a user", "Name a user of that host."),
        paths[3],
        tuple(str(source) for source in params["inventory"]),
        paths[2],
        tuple(sorted(environment.items())),
        str(params["mongod_address"] or ""),
        str(params["health_url"] or ""),
        parse_duration(params["ready_timeout"]),
        parse_duration(params["boot_window"]),
        parse_duration(params["queue_timeout"]),
        tuple(str(word) for word in params["alert_command"]),
        _checked(_FULL_PATH, params["alert_channels"], "no full path that can be used", "Begin with a slash.")
        if params.get("alert_channels")
        else "",
    )
