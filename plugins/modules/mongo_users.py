#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mongo_users
short_description: Makes users of the database for maintenance, each with what its work needs and no more
version_added: 0.1.0
description:
  - V(observer) looks, V(maintainer) does what the playbooks do every week, V(restorer) restores into the live database. Each has a role of its own with
    exactly the privileges for it, on this database and on what concerns the server. User and role lie in the database C(admin) and are called
    DATABASE-KIND, such as C(miniecom-observer).
  - A password is made up and kept in a file below O(state_dir) that only its owner may read, as an environment file with the user's connection string,
    which O(env_file) of the other modules takes. It stands nowhere else, in no output and no command line. The file is written before the server
    learns of the password. Killed between the two, the next call gives the server what the file has.
  - The connection is that of a user who may make users, such as the root user of the shop's compose file.
  - Removes no user and no role, and changes none of these names that was not made here.
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.mongo
  - miniecom.maintenance.mongo.address
  - miniecom.maintenance.docker
  - miniecom.maintenance.run
attributes:
  idempotent:
    support: partial
    details: What is in O(rotate) gets a new password each time.
options:
  database:
    description: The shop's database. Default is the one that the connection string names.
    type: str
  users:
    description: Which of them to make.
    type: list
    elements: str
    choices: [observer, maintainer, restorer]
    default: [observer, maintainer, restorer]
  rotate:
    description: Which of them get a new password.
    type: list
    elements: str
    choices: [observer, maintainer, restorer]
    default: []
  passwords:
    description: Passwords to use in place of made-up ones, by V(observer), V(maintainer) and V(restorer), of at least 12 characters each.
    type: dict
    default: {}
seealso:
  - module: miniecom.maintenance.mongo_info
author:
  - miniecom.maintenance contributors (@miniecom)
"""

EXAMPLES = r"""
- name: Make the users for maintenance
  miniecom.maintenance.mongo_users:
    env_file: /opt/miniecom/.env
    address: 127.0.0.1:27017

- name: Look at the database as the user who may only look
  miniecom.maintenance.mongo_info:
    env_file: /var/lib/miniecom-maintenance/mongo-users/miniecom-observer.env

- name: Give one of them a new password
  miniecom.maintenance.mongo_users:
    env_file: /opt/miniecom/.env
    users: [maintainer]
    rotate: [maintainer]
"""

RETURN = r"""
changed:
  description: Whether anything was made or put right; in check mode whether it would be.
  returned: always
  type: bool
plan:
  description: What to make or put right, user by user.
  returned: always
  type: list
  elements: dict
  sample:
    - action: create_role
      target: miniecom-observer
      reason: there is no such role
      bytes: 0
kept:
  description: Users that are as they should be.
  returned: always
  type: list
  elements: dict
actions:
  description: What was done.
  returned: always
  type: list
  elements: dict
users:
  description: The users, with the file that holds the connection string of each.
  returned: success
  type: list
  elements: dict
  sample:
    - name: miniecom-observer
      kind: observer
      file: /var/lib/miniecom-maintenance/mongo-users/miniecom-observer.env
counts:
  description: How many entries the lists have.
  returned: always
  type: dict
summary:
  description: The few numbers a person wants.
  returned: always
  type: dict
  contains:
    headline:
      description: One sentence.
      type: str
    users:
      description: Number of users looked at.
      type: int
    users_changed:
      description: Number of those that were made or put right.
      type: int
    seconds:
      description: How long the module took.
      type: float
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run
from ..module_utils._mongo.database_roles import KINDS
from ..module_utils._mongo.database_users import MongoUsers
from ..module_utils._operations.connection import CONNECTION_ARGUMENTS, prepare_connection

SPEC = (
    ArgumentSpec(
        {
            "database": {"type": "str"},
            "users": {"type": "list", "elements": "str", "choices": list(KINDS), "default": list(KINDS)},
            "rotate": {"type": "list", "elements": "str", "choices": list(KINDS), "default": []},
            "passwords": {"type": "dict", "default": {}, "no_log": True},
        }
    )
    + CONNECTION_ARGUMENTS
    + RUN_ARGUMENTS
)


def main() -> None:
    run(MongoUsers, SPEC, prepare_connection)


if __name__ == "__main__":
    main()
