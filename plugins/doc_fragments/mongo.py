# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of every module that talks to MongoDB."""

from __future__ import annotations


class ModuleDocFragment:
    """The connection."""

    # Where the server is.
    ADDRESS = r"""
options:
  uri:
    description:
      - Connection string of the MongoDB server, for example V(mongodb://USER:PASSWORD@127.0.0.1:27017/miniecom?authSource=admin).
      - Special characters in user name and password are written in percent-encoding, as the shop's own driver wants them.
      - Give either this or O(env_file).
    type: str
  env_file:
    description:
      - The shop's environment file on the host, from which the connection string is read; E(MONGODB_URI) wins over E(MONGO_URI) as in the shop itself.
      - The secret then never leaves the host.
    type: path
  env_from:
    description:
      - From where the application itself has its connection string, as M(miniecom.maintenance.context_info) returns it. What it was given counts more
        than the file.
      - V(file) reads O(env_file), V(file:expanded) the same with variables put in as Docker Compose does, V(container:NAME) what that container was given,
        V(process:PID:START) what that process was given and then O(env_file), V(compose:PATH) what that compose file would give to a container not made yet.
    type: str
    default: file
  address:
    description:
      - V(HOST:PORT) that replaces the hosts of the connection string; user, database and options stay.
      - Needed where the string names a host that resolves only inside the compose network. M(miniecom.maintenance.context_info) returns it.
      - The connection then goes to exactly this server, whatever replica set it belongs to.
      - With TLS the certificate is checked against the name in the connection string all the same (or in its option C(servername)).
    type: str
  tls_files:
    description:
      - Where files lie on the host that the connection string names, in C(tlsCAFile) and the like, by a path inside a container; each path as the
        string has it, with the one of the host, for example V(/certs/ca.pem) with V(/opt/miniecom/certs/ca.pem).
      - Where O(env_from) is a container they are found through its mounts, and need not be given. What is given here counts more.
    type: dict
    default: {}
requirements:
  - pymongo >= 4.10.1 on the host
"""

    # How long to wait for it; beside the other.
    DOCUMENTATION = r"""
options:
  connect_timeout:
    description: Seconds to wait for the server.
    type: int
    default: 5
"""
