#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compress and remove old logs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: log_prune
short_description: Compress and remove old log files
version_added: 0.1.0
description:
  - Compresses logs that have not been written to for a while and removes those that are older still. It does not rotate; logrotate does.
  - A log that any process has open is left alone, whatever its age, since what the process writes next would be lost.
  - Only root sees what the processes of other users have open. Run without root, a log that somebody else could have open for writing (it belongs to
    another user, or its group or others may write to it) is left alone, with a warning. Logs that only the user of this task (and root) may write to are
    handled as usual, after the kernel has been asked whether anybody at all has them open for writing. Where it does not tell (on network file
    systems) and a process hides its open files, they are left alone as well.
  - A compressed copy is read back and compared before the original goes. A run killed at any moment leaves the original or a complete copy,
    and the next run finishes.
  - Only regular files directly in O(paths) are looked at; links are not followed.
options:
  paths:
    description: Directories with logs.
    type: list
    elements: path
    required: true
  optional_paths:
    description: Further ones, looked at where they exist.
    type: list
    elements: path
    default: []
  patterns:
    description: Globs of file names that are logs.
    type: list
    elements: str
    default: ["*.log", "*.log.*", "*.log-*"]
  compress_after:
    description:
      - Age since the last write from which a log is compressed, such as V(7d).
      - Without it, or with V(0), nothing is compressed.
    type: str
  remove_after:
    description:
      - Age since the last write from which a log is removed, such as V(30d).
      - Without it, or with V(0), nothing is removed.
    type: str
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.run
  - miniecom.maintenance.given
author:
  - miniecom.maintenance contributors (@miniecom)
"""

EXAMPLES = r"""
- name: Compress logs after a week, remove them after a month
  miniecom.maintenance.log_prune:
    paths: /opt/miniecom/storage/logs
    compress_after: 7d
    remove_after: 30d

- name: See what would be compressed
  miniecom.maintenance.log_prune:
    paths: /opt/miniecom/storage/logs
    compress_after: 7d
  check_mode: true
  diff: true
"""

RETURN = r"""
plan:
  description: What was to be done; the same in check mode.
  returned: always
  type: list
  elements: dict
  sample: [{"action": "compress", "target": "/opt/miniecom/storage/logs/ops.log-20261101", "reason": "last written 9 d ago", "bytes": 900}]
kept:
  description: Logs that were left alone, each with the reason.
  returned: always
  type: list
  elements: dict
actions:
  description: What was done, with the bytes each action freed.
  returned: always
  type: list
  elements: dict
counts:
  description: Totals of the lists, which are cut at 200 entries.
  returned: always
  type: dict
summary:
  description: C(headline), C(bytes) and C(bytes_freed), C(compressed), C(removed).
  returned: always
  type: dict
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.runner import run
from ..module_utils._logs.log_arguments import LOG_PRUNE_ARGUMENTS
from ..module_utils._logs.pruning import LogPrune

SPEC = LOG_PRUNE_ARGUMENTS


def main() -> None:
    run(LogPrune, SPEC)


if __name__ == "__main__":
    main()
