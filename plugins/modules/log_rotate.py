#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rotate logs with logrotate."""

from __future__ import annotations

DOCUMENTATION = r"""
module: log_rotate
short_description: Rotate logs with logrotate, each as the process that holds it open allows
version_added: 0.1.0
description:
  - Rotates logs with logrotate, under a configuration and a state of its own. Which logs are due is logrotate's judgement; how each is rotated
    depends on who holds it open.
  - A log that nobody has open for writing is renamed, and an empty one takes its place.
  - A log that is held open for appending is copied and truncated in place (C(copytruncate)). What is written in the moment between the two is lost.
  - A log that is held open otherwise, or by pm2, is rotated in its holder's own way if O(reopen) says which. Otherwise it is left alone, with a
    warning that says what would make it possible, for its holder would go on writing into the renamed file for ever.
  - A log that was renamed earlier and is still written to is reported, or its holder asked to let go of it, by O(reopen).
  - Symbolic links, and logs with a second name (hard links), are passed over by logrotate without a word; here they are named.
  - The configuration is written from what was seen and parsed; no text of an option, and no pattern or command, gets into it. A directory whose path
    has quotes, backslashes, braces, wildcards or control characters is refused, and a log of such a name is left alone with a warning.
  - Run by root, logrotate refuses directories that others may write to unless it is told whom to become. That is the owner of the directory. A log
    of another owner that he may not read or truncate is rotated as its own owner, where only the owner of the directory and his own group may write to it.
  - Rotated logs are named with date and second (C(ops.log-20261128-1795905094)), and compressed at the rotation after their own.
  - A log whose name carries a date (C(ops-20261126.log)) and that nobody has written to for a day is a rotation already, and left to
    M(miniecom.maintenance.log_prune).
  - Only what lies directly in O(directories) is looked at. What is old is removed by M(miniecom.maintenance.log_prune).
options:
  directories:
    description: Directories with logs, as absolute paths.
    type: list
    elements: path
    required: true
  optional_directories:
    description: Further ones, looked at where they exist.
    type: list
    elements: path
    default: []
  patterns:
    description: Globs of the file names of current logs, without slashes, quotes and control characters.
    type: list
    elements: str
    default: ["*.log"]
  max_size:
    description: Size from which a log is rotated whatever its age, such as V(100MiB) or V(104857600) (bytes).
    type: str
    default: 100MiB
  interval:
    description: Age from which a smaller one is rotated. It counts from the first run that sees the log.
    type: str
    choices: [daily, weekly, monthly]
    default: weekly
  retention_days:
    description:
      - Days after which logrotate removes rotations of a log, V(0) for never.
      - It looks at them only when the log itself is rotated.
    type: int
    default: 30
  su:
    description:
      - User and group that logrotate becomes for all logs, as two names with a blank between them.
      - Without it, it becomes the owner of a directory where it has to become somebody.
    type: str
  reopen:
    description: How the holders of logs are brought to open them anew after they were renamed. The first entry that fits counts.
    type: list
    elements: dict
    default: []
    suboptions:
      pattern:
        description: Glob of the file names of the logs.
        type: str
        required: true
      method:
        description:
          - V(signal) sends O(reopen[].signal) to each process that holds the log open for writing, and not to those that it has started.
            A process without a handler for the signal would be ended by it; it is sent none.
          - V(pm2_reload_logs) asks the daemon of pm2 above the process to reload its logs, as C(pm2 reloadLogs) does.
          - Afterwards no process may hold the renamed log open for writing, or the rotation counts as failed.
        type: str
        choices: [signal, pm2_reload_logs]
        required: true
      signal:
        description: The signal on which the program opens its logs anew.
        type: str
        choices: [HUP, USR1, USR2]
        default: HUP
  logrotate:
    description: The program, by name or path.
    type: str
    default: logrotate
  configuration:
    description: Where logrotate's configuration is written; by default C(logrotate.conf) in O(state_dir).
    type: path
  status:
    description: Where logrotate keeps its state; by default C(logrotate.status) in O(state_dir).
    type: path
notes:
  - Only root sees what the processes of other users have open. Run without root, logs that somebody else may have open for writing are left alone.
  - In check mode logrotate is asked with C(--debug) which logs are due; it touches nothing then.
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.run
  - miniecom.maintenance.given
seealso:
  - module: miniecom.maintenance.log_prune
author:
  - miniecom.maintenance contributors (@miniecom)
"""

EXAMPLES = r"""
- name: Rotate logs from 100 MiB on, and every week
  miniecom.maintenance.log_rotate:
    directories: /opt/miniecom/storage/logs

- name: See which logs are due, and who holds them
  miniecom.maintenance.log_rotate:
    directories: /opt/miniecom/storage/logs
    max_size: 10MiB
    interval: daily
  check_mode: true
  diff: true

- name: Rotate what pm2 and a proxy of one's own write
  miniecom.maintenance.log_rotate:
    directories:
      - /opt/miniecom/storage/logs
      - /opt/miniecom/backend/storage/logs
    reopen:
      - pattern: "api*.log"
        method: pm2_reload_logs
      - pattern: proxy.log
        method: signal
        signal: USR1
"""

RETURN = r"""
plan:
  description:
    - What was to be done; the same in check mode. C(run_logrotate) runs it once for all logs, C(rotate) stands for each log that is due, with how
      and why, C(reopen) for a log that was renamed before and is still written to.
    - C(run_logrotate) alone also comes where logrotate sees a log for the first time.
  returned: always
  type: list
  elements: dict
  sample:
    - action: rotate
      target: /opt/miniecom/storage/logs/ops.log
      reason: "131.2 MiB, from 100.0 MiB on it is rotated; nobody holds it open: renamed"
      bytes: 0
kept:
  description: Logs that were left alone, each with the reason.
  returned: always
  type: list
  elements: dict
actions:
  description: What was done. Where logrotate ended with an error, its own words stand with C(run_logrotate), and each log says whether it was rotated.
  returned: always
  type: list
  elements: dict
counts:
  description: Totals of the lists, which are cut at 200 entries.
  returned: always
  type: dict
summary:
  description: C(headline), C(rotated), C(reopened), C(not_rotatable) (due and left alone) and C(logs).
  returned: always
  type: dict
logs:
  description: The logs, and who holds them open.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The log.
      type: str
    bytes:
      description: Its size before.
      type: int
    due:
      description: Whether logrotate said that it needs rotating.
      type: bool
    method:
      description: V(rename), V(copytruncate) or V(reopen); empty when it cannot be rotated as it is held.
      type: str
    held_by:
      description:
        - The processes that have it open, with C(pid), C(program), C(mode) (V(read), V(append) or V(write)), C(manager) (V(pm2), V(systemd), V(container)
          or empty) and C(unit), the unit of systemd or the short id of the container.
      type: list
      elements: dict
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.runner import run
from ..module_utils._logs.log_arguments import LOG_ROTATE_ARGUMENTS
from ..module_utils._logs.rotating import LogRotate

SPEC = LOG_ROTATE_ARGUMENTS


def main() -> None:
    run(LogRotate, SPEC)


if __name__ == "__main__":
    main()
