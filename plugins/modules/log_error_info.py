#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: log_error_info
short_description: Tell which errors the logs hold since the last look
version_added: 0.1.0
author:
  - miniecom.maintenance contributors (@miniecom)
description:
  - Reads what logs hold since the last real run, counts the errors, and puts together what says the same; kinds that were never met
    before come first.
  - An error is a line with such a level (in capitals, in brackets, as C(level=), or in JSON as pino, winston and MongoDB write it), or one
    that begins with an exception nobody caught. Lines of a stack trace belong to the error above them.
  - Of a message only what does not vary is kept, told and remembered; numbers, ids, times, addresses of people and machines, and what stands behind
    words such as password or token are replaced.
  - A log is known by its beginning, so that a rotation in between, whether it renames, copies and truncates, or compresses with gzip, loses no line and
    counts none twice. Lines that a rotation removed before this look are not seen.
  - The first look reads the end of each log only (O(first_bytes)). Memory is bounded whatever the size of the logs.
  - It reports and never fails because there are errors; RV(summary) is for the playbook to judge.
extends_documentation_fragment:
  - miniecom.maintenance.attributes.info
  - miniecom.maintenance.run
attributes:
  check_mode:
    details: How far the logs were read is not remembered, so that the next look tells the same and what came since.
options:
  paths:
    description: Directories with logs, themselves only. What the containers write to their standard output is not there.
    type: list
    elements: path
    required: true
  optional_paths:
    description: Further ones, looked at where they exist.
    type: list
    elements: path
    default: []
  patterns:
    description: Names of logs; their rotations (C(api.log.1), C(api.log-20261129.gz)) are found by them.
    type: list
    elements: str
    default: ["*.log"]
  first_bytes:
    description: How much of each log the first look reads, from its end.
    type: str
    default: 8MiB
  max_bytes:
    description: How much one look reads at most; of what is beyond, the latest part is read and the rest told in C(summary.bytes_skipped).
    type: str
    default: 256MiB
  limit:
    description: How many kinds of errors to return; the record of the run has all.
    type: int
    default: 20
seealso:
  - module: miniecom.maintenance.log_rotate
  - module: miniecom.maintenance.log_prune
"""

EXAMPLES = r"""
- name: What went wrong since yesterday?
  miniecom.maintenance.log_error_info:
    paths: [/opt/miniecom/storage/logs]
  register: errors

- name: Show the kinds that are new
  ansible.builtin.debug:
    msg: "{{ errors.errors | selectattr('new') | map(attribute='message') | list }}"

- name: Fail when something new goes wrong often
  ansible.builtin.assert:
    that: errors.errors | selectattr('new') | selectattr('count', '>', 100) | length == 0
"""

RETURN = r"""
errors:
  description:
    - At most O(limit) kinds of errors, new ones first, then the most frequent; C(message) without what varies, C(count), C(path), the log in which it
      was met last, C(new), whether no earlier look has met it, and C(id).
  returned: always
  type: list
  elements: dict
  sample:
    - {id: 5f0c3e0a9b7d1c22, message: "[ERROR] payment webhook <id> failed: timeout after # ms", count: 12, new: true, path: /opt/miniecom/storage/logs/api.log}
unreadable:
  description: At most 50 files that could not be read, each with C(path) and C(reason).
  returned: always
  type: list
  elements: dict
summary:
  description:
    - C(headline), C(errors) and C(kinds) (how many), C(new_kinds) (0 for the first look), C(uncounted) (errors beyond 2000 kinds), C(logs), C(lines),
      C(bytes_read), C(bytes_skipped), and C(since), when the last look took place, empty for the first.
  returned: always
  type: dict
  sample: {headline: "no errors in 3 logs since 2026-11-28T05:00:00Z", errors: 0, kinds: 0, new_kinds: 0}
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run_info
from ..module_utils._logs.log_review import review_logs

SPEC = (
    ArgumentSpec(
        {
            "paths": {"type": "list", "elements": "path", "required": True},
            "optional_paths": {"type": "list", "elements": "path", "default": []},
            "patterns": {"type": "list", "elements": "str", "default": ["*.log"]},
            "first_bytes": {"type": "str", "default": "8MiB"},
            "max_bytes": {"type": "str", "default": "256MiB"},
            "limit": {"type": "int", "default": 20},
        }
    )
    + RUN_ARGUMENTS
)


def main() -> None:
    run_info(review_logs, SPEC)


if __name__ == "__main__":
    main()
