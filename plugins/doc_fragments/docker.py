# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of modules that may talk to a Docker Engine."""

from __future__ import annotations


class ModuleDocFragment:
    """Where the engine is, and how long to wait for it: the same options in every module that may talk to one."""

    DOCUMENTATION = r"""
options:
  docker_host:
    description:
      - Address of the Docker Engine, such as V(unix:///var/run/docker.sock) or V(tcp://127.0.0.1:2375).
      - By default the environment variable E(DOCKER_HOST) on the host, else the engine's usual socket.
      - For an encrypted connection E(DOCKER_TLS_VERIFY) and E(DOCKER_CERT_PATH) are read, as the command docker does.
    type: str
  docker_timeout:
    description: Seconds to wait for any answer of the engine. Counting the bytes of many images and volumes can take minutes.
    type: int
    default: 120
    aliases: [timeout]
requirements:
  - docker (the Docker SDK for Python) >= 7.1.0 on the host, where an engine is to be talked to
"""
