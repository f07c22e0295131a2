#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mongo_slow_info
short_description: Tells which operations of a MongoDB server were slow
version_added: 0.1.0
description:
  - Puts together what was slow, by what it asked for and how the server did it, and names an index that may help where a whole collection was read.
  - Reads mongod's log, its file where that is on this host, otherwise the last lines (at most 1024) that the server keeps in memory; and what
    the profiler has noted of the time before, where it is switched on.
  - Of an operation only names are told, those of the collection and of the fields that it asked by; never a value.
  - Of what this collection itself asks the server nothing is counted.
extends_documentation_fragment:
  - miniecom.maintenance.attributes.info
  - miniecom.maintenance.mongo
  - miniecom.maintenance.mongo.address
  - miniecom.maintenance.docker
  - miniecom.maintenance.run
options:
  databases:
    description:
      - Databases to tell of. Default is the one that the connection string names, or when it names none all that the user may see except C(admin),
        C(config) and C(local).
    type: list
    elements: str
    default: []
  since:
    description: How far to look back. The sources may not reach that far, see RV(summary).
    type: str
    default: 7d
  limit:
    description: How many kinds of operations to return.
    type: int
    default: 20
  max_bytes:
    description: How much of the log's file is read, from its end.
    type: str
    default: 256MiB
notes:
  - What counts as slow is the server's own setting, 100 ms unless somebody has changed it. This module changes nothing of it.
  - A mongod in a container logs to its standard output, so that only its memory is read. Where that does not reach back far enough, the profiler does,
    C(db.setProfilingLevel(1)).
seealso:
  - module: miniecom.maintenance.mongo_info
author:
  - miniecom.maintenance contributors (@miniecom)
"""

EXAMPLES = r"""
- name: What was slow this week?
  miniecom.maintenance.mongo_slow_info:
    env_file: /opt/miniecom/.env
    address: 127.0.0.1:27017
  register: slow

- name: Show it
  ansible.builtin.debug:
    msg: "{{ slow.slow_operations | map(attribute='sentence') | list }}"
"""

RETURN = r"""
slow_operations:
  description:
    - Kinds of slow operations, those that took the most time in all first. C(fields) are those that it asked by, C(sort) those that it sorted by, C(plan)
      is how the server did it, C(scans) tells that it read the whole collection. C(sentence) is for people, C(advice) an index that may help, empty
      where none is missing for all that can be seen.
  returned: success
  type: list
  elements: dict
  sample:
    - namespace: miniecom.orders
      operation: find
      fields: [status]
      sort: [createdAt]
      plan: COLLSCAN
      count: 8
      milliseconds: 5210
      milliseconds_max: 1203
      documents_examined: 120000
      documents_returned: 20
      last: "2026-11-29T02:14:07Z"
      scans: true
      sentence: >-
        miniecom.orders find by status sorted by createdAt (8 times, up to 1.2 s) reads the whole collection, 120000 documents for 20
      advice: 'in mongosh, on a copy first: use miniecom; db.getCollection("orders").createIndex({"status": 1, "createdAt": 1})'
sources:
  description:
    - C(log) is V(file) or V(memory), null where the user may not read it; C(log_since) the oldest moment that it knows; C(profiler_levels) of the
      databases; C(threshold_milliseconds) from which an operation counts as slow.
  returned: success
  type: dict
summary:
  description:
    - C(headline), C(slow_operations), C(kinds), C(kinds_without_index), and C(known_since), from when on that is all that was slow.
  returned: success
  type: dict
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run_info
from ..module_utils._mongo.slow_reading import read_slow_operations
from ..module_utils._operations.connection import CONNECTION_ARGUMENTS, prepare_connection

SPEC = (
    ArgumentSpec(
        {
            "databases": {"type": "list", "elements": "str", "default": []},
            "since": {"type": "str", "default": "7d"},
            "limit": {"type": "int", "default": 20},
            "max_bytes": {"type": "str", "default": "256MiB"},
        }
    )
    + CONNECTION_ARGUMENTS
    + RUN_ARGUMENTS
)


def main() -> None:
    run_info(read_slow_operations, SPEC, prepare_connection)


if __name__ == "__main__":
    main()
