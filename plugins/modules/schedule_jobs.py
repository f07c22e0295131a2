#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Have a host run playbooks at their times."""

from __future__ import annotations

DOCUMENTATION = r"""
module: schedule_jobs
short_description: Have a host run playbooks at their times, by systemd timers or cron
version_added: 0.1.0
description:
  - Has the host run the jobs of a list, and no others that this module has made. A job that is taken out of the list loses its timer. What anybody
    else has scheduled is never touched.
  - A job never runs beside another one, they wait for one another. One that still runs or waits is not started a second time.
  - Soon after a boot a job waits for a MongoDB that is healthy; a run that was missed while the host was down begins then.
  - Every time is checked by C(systemd-analyze calendar), and every playbook by C(ansible-playbook --syntax-check) with its own inventory, before
    anything is changed.
  - On the night in spring on which the clock goes forward, a systemd timer of a time that is left out does not run at all, and a weekly job loses its
    week. See O(clock_change).
  - Units and crontabs hold no text of a variable. Variables of the playbooks lie in files of their own that only the job's user can read.
  - Only root can use it.
options:
  jobs:
    description:
      - The jobs. An empty list removes all that this module has made.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Its name, of small letters, digits and underscores.
        type: str
        required: true
      playbook:
        description:
          - The playbook, by its name in this collection (V(weekly)), its full name (V(miniecom.maintenance.weekly)) or its full path. By default the
            one of the job's name.
        type: str
      when:
        description:
          - When it runs, as in C(systemd.time(7)), without a zone and with a time of day, such as V(Sun 03:00), V(Mon..Fri 04:30), V(*-*-01 05:00),
            V(*-*~01 22:00), V(*:00/15), or one of V(hourly), V(daily), V(weekly), V(monthly), V(quarterly), V(yearly).
        type: str
        required: true
      time_zone:
        description: The time zone of O(jobs[].when), such as V(Europe/Berlin). By default the host's own.
        type: str
      jitter:
        description: The job begins at most so much later, another time each time, so that many hosts do not begin at once. Such as V(10m).
        type: str
      variables:
        description:
          - Variables for the playbook. They are written into a file that only the job's user can read, and diff mode shows their names only. Still they are
            no place for secrets, since Ansible itself shows and logs the options of a module. Name a file that holds the secret.
        type: dict
      tags:
        description: Only tasks with these tags.
        type: list
        elements: str
      persistent:
        description:
          - Whether a run that was missed while the host was down is caught up on. By default it is with systemd. Cron cannot do it.
        type: bool
      clock_change:
        description: Like O(clock_change), for this job.
        type: str
        choices: [move, utc, keep]
  kind:
    description:
      - What runs them. V(auto) is systemd where it runs the host, cron otherwise.
      - What cron cannot express is refused, such as seconds, other time zones, jitter, days from the end of the month, catching up, and a day of the
        week and a day of the month that have to fit both.
    type: str
    choices: [auto, systemd, cron]
    default: auto
  clock_change:
    description:
      - What is done with a time between 01:00 and 03:00, or in an hour that a change of the clock leaves out, in a time zone whose clock changes. There is
        a warning each time.
      - V(move) runs the job at 03:30 of the same day. V(utc) takes the time for one in UTC; with cron it does what V(move) does. V(keep) leaves it.
      - A job of every hour is left as it is, as it loses nothing but the hour that is not there.
    type: str
    choices: [move, utc, keep]
    default: move
  variables:
    description: Variables for all playbooks; those of a job count more.
    type: dict
  inventory:
    description: Inventories for all playbooks, full paths.
    type: list
    elements: str
    default: []
  ansible_playbook:
    description: The program, on the host on which the jobs run. The collection has to be installed there as well.
    type: path
    required: true
  working_directory:
    description: Where it is started, such as the directory of an ansible.cfg.
    type: path
    default: /
  environment:
    description: Environment variables for it, such as C(ANSIBLE_CONFIG).
    type: dict
  user:
    description: The user that the jobs run as.
    type: str
    default: root
  directory:
    description: Where the files of the jobs lie.
    type: path
    default: /etc/miniecom-maintenance/schedule
  python:
    description: The interpreter that starts the jobs; it needs no packages. By default the one of this module.
    type: path
  mongod_address:
    description: Host and port of the MongoDB that a job waits for soon after a boot.
    type: str
  health_url:
    description: The shop's health endpoint. Either this or O(mongod_address) has to tell of a healthy MongoDB.
    type: str
  ready_timeout:
    description: How long that is waited for. Then the job starts all the same, and its own checks say what is wrong.
    type: str
    default: 10m
  boot_window:
    description: How long after a boot that is done at all.
    type: str
    default: 30m
  queue_timeout:
    description: How long a job waits for another one to end. Then it fails, since something hangs.
    type: str
    default: 12h
  alert_command:
    description:
      - Command, word by word, that is called when a job has failed. It gets C(MINIECOM_JOB), C(MINIECOM_STATUS) and C(MINIECOM_MESSAGE) in its environment.
        The failure is in the system's log in any case, as critical.
    type: list
    elements: str
    default: []
  alert_channels:
    description:
      - File with options of M(miniecom.maintenance.maintenance_alert) as JSON (C(mail), C(webhooks), C(file), C(threshold), C(repeat_after), C(env_file),
        C(state_dir)). Where there is no O(alert_command), the channels in it are told when a job has failed, also when Ansible cannot be started or no
        host can be reached. The file has to be readable by O(user) alone.
      - A run that failed in one of its tasks and has told of it itself just before, from this very machine, is not told twice.
    type: path
  check_playbooks:
    description: Whether new and changed jobs are checked by C(ansible-playbook --syntax-check) first.
    type: bool
    default: true
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.run
seealso:
  - module: miniecom.maintenance.shop_jobs
    description: Switches off the shop's own jobs.
author:
  - miniecom.maintenance contributors (@miniecom)
"""

EXAMPLES = r"""
- name: Run the weekly maintenance on Sundays and the security audit on Mondays
  miniecom.maintenance.schedule_jobs:
    ansible_playbook: /opt/ansible/bin/ansible-playbook
    inventory: [/etc/miniecom-maintenance/inventory.yml]
    jobs:
      - {name: weekly, when: "Sun 03:00", jitter: 10m}
      - {name: security_audit, when: "Mon 04:00"}

- name: A time in the night of a clock change, left where it is, in a zone of its own
  miniecom.maintenance.schedule_jobs:
    ansible_playbook: /opt/ansible/bin/ansible-playbook
    jobs:
      - name: backup
        when: "02:00"
        time_zone: Asia/Kolkata

- name: By cron, and tell somebody about failures
  miniecom.maintenance.schedule_jobs:
    kind: cron
    ansible_playbook: /usr/bin/ansible-playbook
    alert_command: [/usr/local/bin/tell-the-operator, --urgent]
    jobs:
      - {name: weekly, when: "Sun 03:00"}

- name: Remove all jobs again
  miniecom.maintenance.schedule_jobs:
    ansible_playbook: /opt/ansible/bin/ansible-playbook
    jobs: []
"""

RETURN = r"""
plan:
  description: What was to be done; the same in check mode.
  returned: always
  type: list
  elements: dict
  sample: [{"action": "schedule_job", "target": "job weekly", "reason": "new: runs Sun *-*-* 03:00:00", "bytes": 0}]
kept:
  description: Jobs that are as they should be, and files with names of ours that are somebody else's.
  returned: always
  type: list
  elements: dict
actions:
  description: What was done.
  returned: always
  type: list
  elements: dict
counts:
  description: Totals of the lists, which are cut at 200 entries.
  returned: always
  type: dict
kind:
  description: What runs the jobs, C(systemd) or C(cron).
  returned: success
  type: str
jobs:
  description:
    - The jobs. C(when) and C(time_zone) are as they are installed, C(moved) tells that this is not what was asked for, C(next) are the next moments in UTC,
      without the jitter.
  returned: success
  type: list
  elements: dict
  sample:
    - name: weekly
      playbook: miniecom.maintenance.weekly
      when: "Sun *-*-* 03:00:00"
      time_zone: Europe/Berlin
      moved: false
      timer: miniecom-maintenance-job-weekly.timer
      next: ["2026-12-06T02:00:00Z", "2026-12-13T02:00:00Z", "2026-12-20T02:00:00Z"]
collisions:
  description: Jobs that begin at the same moment, and when that is the case first; they run one after the other.
  returned: success
  type: list
  elements: dict
  sample: [{"jobs": ["health", "weekly"], "first": "2026-12-06T02:00:00Z"}]
lines:
  description: The headline and a line for each job, as the playbook shows them.
  returned: success
  type: list
  elements: str
summary:
  description: C(headline), C(jobs), C(jobs_set), C(jobs_removed).
  returned: always
  type: dict
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run
from ..module_utils._operations.scheduled_jobs import ScheduleJobsWithAlerts

_CLOCK_CHANGE = ["move", "utc", "keep"]
_JOB = {
    "name": {"type": "str", "required": True},
    "playbook": {"type": "str"},
    "when": {"type": "str", "required": True},
    "time_zone": {"type": "str"},
    "jitter": {"type": "str"},
    "variables": {"type": "dict"},
    "tags": {"type": "list", "elements": "str"},
    "persistent": {"type": "bool"},
    "clock_change": {"type": "str", "choices": _CLOCK_CHANGE},
}
SPEC = RUN_ARGUMENTS + ArgumentSpec(
    {
        "jobs": {"type": "list", "elements": "dict", "required": True, "options": _JOB},
        "kind": {"type": "str", "choices": ["auto", "systemd", "cron"], "default": "auto"},
        "clock_change": {"type": "str", "choices": _CLOCK_CHANGE, "default": "move"},
        "variables": {"type": "dict"},
        "inventory": {"type": "list", "elements": "str", "default": []},
        "ansible_playbook": {"type": "path", "required": True},
        "working_directory": {"type": "path", "default": "/"},
        "environment": {"type": "dict"},
        "user": {"type": "str", "default": "root"},
        "directory": {"type": "path", "default": "/etc/miniecom-maintenance/schedule"},
        "python": {"type": "path"},
        "mongod_address": {"type": "str"},
        "health_url": {"type": "str"},
        "ready_timeout": {"type": "str", "default": "10m"},
        "boot_window": {"type": "str", "default": "30m"},
        "queue_timeout": {"type": "str", "default": "12h"},
        "alert_command": {"type": "list", "elements": "str", "default": []},
        "alert_channels": {"type": "path"},
        "check_playbooks": {"type": "bool", "default": True},
    }
)


def main() -> None:
    run(ScheduleJobsWithAlerts, SPEC)


if __name__ == "__main__":
    main()
