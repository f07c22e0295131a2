#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring a shop up from nothing but a backup, look at it, and take it away again."""

from __future__ import annotations

DOCUMENTATION = r"""
module: recovery_drill
short_description: Bring a MiniEcom shop up from nothing but a backup, look at it, and take it away again
version_added: 0.1.0
description:
  - Restores the database of a backup into a throwaway mongod and compares it, as M(miniecom.maintenance.mongo_restore) does with C(mode=verify), unpacks its
    files, starts the shop's API against them, and asks for its health. It measures the time to recover and the age of the data, and compares them with targets.
  - The running shop is neither written to nor read from, but for what its server and its API are started with.
  - The API that is started can do no harm. Natively it has a network of its own with loopback alone, and can write to no file but those of the drill; where
    that cannot be had, it is not started. In compose it is a container of the shop's image without network. So no mail is sent and no payment asked for. What
    needs other machines when it starts will not start in a drill.
  - Natively the API gets the C(.env) of the backup in its working directory, and what its running process was given; in compose what its container was
    given. In both the addresses of the database and the directories of its files are the drill's.
  - Everything of it is removed afterwards. What a drill that was killed leaves is removed by the next one, or by the next run on the host.
  - It fails where the backup does not restore, an assertion does not hold, the API that was started is not well, or a target is missed. An API that
    could not be started is a warning.
options:
  src:
    description: The archive, or a directory of which the newest backup by name is taken that is not dated in the future.
    type: path
    required: true
  passphrase:
    description: The passphrase of an encrypted backup, as the controller keeps it. It is in no file of the host. Without it O(passphrase_file) counts.
    type: str
  root:
    description: The shop's directory, by which its API is found among the processes of the host.
    type: path
  start_api:
    description: Start the shop's API.
    type: bool
    default: true
  api_container:
    description: The container whose image and settings the API is started with. Without it the API is a process of the host.
    type: str
  api_command:
    description: Natively the command of the API, with full paths, where none of O(root) runs.
    type: list
    elements: str
    default: []
  api_timeout:
    description: How long the API may take until it is well.
    type: str
    default: 60s
  health_path:
    description: Its health endpoint.
    type: str
    default: /api/health
  max_recovery_time:
    description:
      - The target for the time to recover (RTO), such as V(4h).
      - It counts from the fetch to the API's first good answer, without what was compared only.
    type: str
  max_data_age:
    description: The target for the age of the data (RPO), such as V(26h).
    type: str
  seconds_before:
    description: What fetching the backup has taken already.
    type: float
    default: 0
  uri:
    description: Connection string of the shop's server. Its hosts are used to find the program, and its database to tell the shop's in a dump of several.
    type: str
  env_file:
    description: The shop's environment file, from which the connection string is read. One of this, O(uri) and O(mongod_program) is needed.
    type: path
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.restore_test
  - miniecom.maintenance.mongo.address
  - miniecom.maintenance.docker
  - miniecom.maintenance.run
requirements:
  - pymongo >= 4.10.1 on the host
seealso:
  - module: miniecom.maintenance.mongo_restore
author:
  - miniecom.maintenance contributors (@miniecom)
"""

EXAMPLES = r"""
- name: Would the shop come back from its newest backup, within four hours and with the data of yesterday?
  miniecom.maintenance.recovery_drill:
    src: /opt/miniecom/storage/backups
    root: /opt/miniecom
    env_file: /opt/miniecom/.env
    address: 127.0.0.1:27017
    max_recovery_time: 4h
    max_data_age: 26h

- name: The same from a copy, with a passphrase that is on the controller only
  miniecom.maintenance.recovery_drill:
    src: /srv/fetched
    passphrase: "{{ lookup('ansible.builtin.file', '~/.secrets/shop.passphrase') }}"
    mongod_program: /usr/bin/mongod
    api_command: [/usr/bin/node, /opt/miniecom/backend/dist/server.js]

- name: In compose, with the image that the shop runs now
  miniecom.maintenance.recovery_drill:
    src: /opt/miniecom/storage/backups
    env_file: /opt/miniecom/.env
    address: 127.0.0.1:27017
    api_container: miniecom_api
"""

RETURN = r"""
plan:
  description: What was planned; the same in check mode.
  returned: always
  type: list
  elements: dict
kept:
  description: What was looked at and left alone, with a reason.
  returned: always
  type: list
  elements: dict
actions:
  description: What was done.
  returned: when not in check mode
  type: list
  elements: dict
counts:
  description: Totals of the lists, which are cut at 200 entries.
  returned: always
  type: dict
differences:
  description: What is not as the backup says, a sentence each; empty when it restores.
  returned: always
  type: list
  elements: str
doubts:
  description: Assertions of the severity V(warn) that do not hold, a sentence each.
  returned: always
  type: list
  elements: str
summary:
  description: The few numbers; beside these all of the mode V(verify) of M(miniecom.maintenance.mongo_restore).
  returned: always
  type: dict
  contains:
    headline: {description: One sentence., type: str}
    path: {description: The archive., type: str}
    passed: {description: "Whether it restores, all assertions hold, the API that was started was well, and no target is missed.", type: bool}
    recovery_seconds: {description: The time to recover., type: float}
    data_age_hours: {description: The age of the data., type: float}
    api: {description: "Its health: V(up), V(maintenance), V(degraded), V(down), or empty where it was not started.", type: str}
    api_reason: {description: Why., type: str}
    api_seconds: {description: How long it took until it was well., type: float}
    seconds_start: {description: How long the throwaway server took to start., type: float}
    seconds_restore: {description: How long database and files took to be restored., type: float}
    seconds_compare: {description: How long everything took to be read back and compared; no part of the time to recover., type: float}
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run
from ..module_utils._docker.client import DOCKER_ARGUMENTS
from ..module_utils._mongo.client import ADDRESS_ARGUMENTS
from ..module_utils._operations.connection import prepare_connection
from ..module_utils._operations.recovery_drill import RecoveryDrill
from ..module_utils._operations.restore_test import RESTORE_TEST_ARGUMENTS

SPEC = (
    ArgumentSpec(
        {
            "src": {"type": "path", "required": True},
            "passphrase": {"type": "str", "no_log": True},
            "root": {"type": "path"},
            "start_api": {"type": "bool", "default": True},
            "api_container": {"type": "str"},
            "api_command": {"type": "list", "elements": "str", "default": []},
            "api_timeout": {"type": "str", "default": "60s"},
            "health_path": {"type": "str", "default": "/api/health"},
            "max_recovery_time": {"type": "str"},
            "max_data_age": {"type": "str"},
            "seconds_before": {"type": "float", "default": 0},
        }
    )
    + RESTORE_TEST_ARGUMENTS
    + ADDRESS_ARGUMENTS
    + DOCKER_ARGUMENTS
    + RUN_ARGUMENTS
)


def main() -> None:
    run(RecoveryDrill, SPEC, prepare_connection)


if __name__ == "__main__":
    main()
