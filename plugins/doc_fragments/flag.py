# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The layers of maintenance: options that the modules about them share."""

from __future__ import annotations


class ModuleDocFragment:
    """The layers."""

    DOCUMENTATION = r"""
options:
  path:
    description: The flag file.
    type: path
    default: /opt/miniecom/storage/.maintenance
  application_setting:
    description:
      - How to reach the application's own setting. Without it only the flag file is put up, which turns nobody away, and only that is looked at.
      - To take maintenance down what was used to put it up is remembered, except O(application_setting.uri).
    type: dict
    suboptions:
      uri:
        description: Connection string. Give it or O(application_setting.env_file).
        type: str
      env_file:
        description: The shop's environment file, from which the connection string is read on the host.
        type: path
      env_from:
        description:
          - From where the application itself has its connection string, as M(miniecom.maintenance.context_info) returns it. What it was given counts more than
            the file.
        type: str
        default: file
      docker_host:
        description: Address of the Docker Engine, where O(application_setting.env_from) names a container. By default E(DOCKER_HOST), else the usual socket.
        type: str
      address:
        description: Host and port that replace those of the connection string, as M(miniecom.maintenance.context_info) returns them.
        type: str
      tls_files:
        description:
          - Where files lie on the host that the connection string names by a path inside a container, as in M(miniecom.maintenance.mongo_info). Where
            O(application_setting.env_from) is a container they are found through its mounts.
        type: dict
        default: {}
      database:
        description: The shop's database. By default the one that the connection string names.
        type: str
      visitor_message:
        description: What visitors read. By default what is set there already. Only putting maintenance up looks at it.
        type: str
        aliases: [message]
      allow_ips:
        description:
          - Client addresses that the application still serves; replaces the list. By default what is set there already.
          - Only putting maintenance up looks at it.
        type: list
        elements: str
      connect_timeout:
        description: Seconds to wait for the server.
        type: int
        default: 5
"""
