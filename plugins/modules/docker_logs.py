#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_logs
short_description: Collect what containers have written to their logs
version_added: 0.1.0
author:
  - miniecom.maintenance contributors (@miniecom)
description:
  - Writes what each container has logged since the last collection into a compressed file of its own below O(dest), before the engine's rotation
    or a recreated container makes an end of it, and counts the errors in it.
  - No line is collected twice and none is left out as long as the engine still has it, whatever a clock that was set back or a killed call did in between. Each
    collection goes on behind the very line with which the one before ended, which is remembered on the host and stands in the files as well.
  - Of a log that is damaged all is collected that the engine can read, and that there is more is a failure.
  - What the engine has rotated away before it was collected is told as a warning, with the times between which lines are missing.
  - The files have the format of container runtimes under Kubernetes (CRI), which log shippers read and C(zgrep) searches. A line is time, stream, C(F) (or C(P)
    for a piece of a line longer than 16 KiB, which goes on in the next one) and text.
  - Files and directories that it makes are for the user of this task alone, as logs may tell of customers.
  - It works with every log driver that the engine can read; of the others it says so in RV(kept).
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.docker
  - miniecom.maintenance.run
attributes:
  check_mode:
    details: The logs are read as they would be, and counted; nothing is written.
  idempotent:
    details: A second call collects what was logged in between.
options:
  dest:
    description: Directory of the collections; each container has one of its name there. It is made if it is missing.
    type: path
    required: true
  compose_project:
    description: Only containers of this Docker Compose project; by default all containers of the engine, running or stopped.
    type: str
  since:
    description: How far back the first collection of a container goes, such as V(7d).
    type: str
    default: 7d
  fresh_within:
    description: A log whose last collection is at most so old is left for the next call, such as V(1h).
    type: str
    default: 0s
  remove_after:
    description:
      - Age from which a collection is removed, such as V(90d).
      - Without it, or with V(0), none is.
    type: str
  max_size:
    description:
      - What all collections together may take, such as V(2GiB); the oldest are removed when they take more, each container's newest is not.
      - Without it, or with V(0), there is no limit.
    type: str
  limit:
    description: How many kinds of errors to return; the record of the run has all.
    type: int
    default: 20
seealso:
  - module: miniecom.maintenance.log_error_info
  - module: miniecom.maintenance.log_prune
"""

EXAMPLES = r"""
- name: Keep what the shop's containers log for three months
  miniecom.maintenance.docker_logs:
    dest: /var/log/shop-containers
    compose_project: miniecom
    remove_after: 90d
    max_size: 2GiB

- name: What would be collected, and what went wrong since the last time?
  miniecom.maintenance.docker_logs:
    dest: /var/log/shop-containers
  check_mode: true
  register: logs

- name: Name the containers whose log grows until the disk is full
  ansible.builtin.debug:
    msg: "{{ logs.unlimited | map(attribute='remedy') | list }}"
"""

RETURN = r"""
plan:
  description: What was to be done. In check mode C(reason) says how many lines would be collected.
  returned: always
  type: list
  elements: dict
  sample: [{"action": "collect", "target": "miniecom-api-1", "reason": "since 2026-11-28T05:00:00Z", "bytes": 0}]
kept:
  description: Containers whose logs are not collected, and collections that stay, each with the reason.
  returned: always
  type: list
  elements: dict
actions:
  description: What was done, with the bytes of each file that was written or removed.
  returned: always
  type: list
  elements: dict
collections:
  description: The files that were written; C(gap) says that lines before them are lost.
  returned: always
  type: list
  elements: dict
  sample:
    - container: miniecom-api-1
      service: api
      path: /var/log/shop-containers/miniecom-api-1/20261129T050000Z-0123456789ab-000012.log.gz
      lines: 4211
      gap: false
errors:
  description:
    - At most O(limit) kinds of errors, new ones first, then the most frequent; C(message) without what varies, C(count), C(path), the service or container
      where it was met last, C(new), whether no earlier call has met it, and C(id).
  returned: always
  type: list
  elements: dict
unlimited:
  description: Containers whose log has no size limit, the largest first, with C(bytes) where they can be seen, and C(remedy), what to set.
  returned: always
  type: list
  elements: dict
counts:
  description: Totals of the lists, which are cut at 200 entries.
  returned: always
  type: dict
summary:
  description:
    - C(headline), C(bytes) (written), C(bytes_freed) (of removed collections), C(bytes_kept) (of all that there are), C(collected) and C(removed)
      (how many), C(lines), C(errors), C(kinds), C(new_kinds) (0 for the first call), C(unlimited), and C(since), when the last call was.
  returned: always
  type: dict
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run
from ..module_utils._docker.client import DOCKER_ARGUMENTS
from ..module_utils._operations.container_logs import DockerLogs

SPEC = (
    ArgumentSpec(
        {
            "dest": {"type": "path", "required": True},
            "compose_project": {"type": "str"},
            "since": {"type": "str", "default": "7d"},
            "fresh_within": {"type": "str", "default": "0s"},
            "remove_after": {"type": "str"},
            "max_size": {"type": "str"},
            "limit": {"type": "int", "default": 20},
        }
    )
    + DOCKER_ARGUMENTS
    + RUN_ARGUMENTS
)


def main() -> None:
    run(DockerLogs, SPEC)


if __name__ == "__main__":
    main()
