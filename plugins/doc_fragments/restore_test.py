# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of the modules that restore a backup into a throwaway server."""

from __future__ import annotations


class ModuleDocFragment:
    """Shared options."""

    DOCUMENTATION = r"""
options:
  assertions:
    description:
      - What must hold of a database that was restored in a test, beside that it is as it was. Each entry counts the documents of a
        O(assertions[].collection), or gives an expression in O(assertions[].that).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What is said, in words, for messages.
        type: str
      that:
        description:
          - An expression in JMESPath (U(https://jmespath.org)) that must give true. Anything else, such as null where a name in it does not exist, does not
            hold. It is worked out on the host, and no document leaves it.
          - It sees C(counts) (documents by the name of the collection), C(samples) (the documents of O(samples), dates as UTC timestamps, ids as their
            hexadecimal digits), C(backup.started), C(backup.files) (files by the name of the part) and C(database).
          - Beside JMESPath's own functions it knows C(age_hours(DATE)), the hours from a date to the moment in which the backup was begun.
        type: str
      collection:
        description: Collection to count in.
        type: str
      filter:
        description: Filter of MongoDB's query language, extended JSON allowed. By default all documents count.
        type: dict
        default: {}
      min:
        description: At least this many documents must match.
        type: int
        default: 1
      max:
        description: At most this many documents may match.
        type: int
      severity:
        description: Whether the backup counts as one that does not restore where this does not hold, or a warning says so.
        type: str
        choices: [fail, warn]
        default: fail
  samples:
    description: Documents that O(assertions[].that) looks at, at most 100 and 4 MiB of each entry.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name in C(samples).
        type: str
        required: true
      collection:
        description: Collection that it is taken from.
        type: str
        required: true
      pipeline:
        description: Stages of MongoDB's aggregation, extended JSON allowed; none that writes. By default the first documents.
        type: list
        elements: dict
        default: []
  passphrase_file:
    description: File on the host with the passphrase of an encrypted backup in its first line.
    type: path
  mongod_program:
    description:
      - Program to start the throwaway server from. By default that of the mongod which listens at O(address), or at the address in the connection string.
    type: path
  work_dir:
    description:
      - Directory in which the throwaway server's own directory is made; needs about 1.3 times the raw size of the documents and 400 MB.
      - By default O(state_dir).
    type: path
  min_free:
    description: How much must stay free there.
    type: str
    default: 256MiB
  uri:
    description:
      - Connection string of the shop's server. Its hosts are used to find the program, and its database to tell the shop's in a dump of several.
    type: str
  env_file:
    description: The shop's environment file, from which the connection string is read. One of this, O(uri) and O(mongod_program) is needed.
    type: path
"""
