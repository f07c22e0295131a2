# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of every module that talks to a Docker Engine."""

from __future__ import annotations


class ModuleDocFragment:
    """The connection."""

    DOCUMENTATION = r"""
options:
  docker_host:
    description:
      - Address of the Docker Engine, V(unix:///path/to/docker.sock) or V(tcp://HOST:PORT).
      - Default is E(DOCKER_HOST) on the host, else V(unix:///var/run/docker.sock).
      - For an encrypted connection E(DOCKER_TLS_VERIFY) and E(DOCKER_CERT_PATH) are read, as the command docker does.
    type: str
  timeout:
    description: Seconds to wait for each answer of the engine. Counting the bytes of many images and volumes can take minutes.
    type: int
    default: 120
notes:
  - The version of the API is always negotiated. An engine that is spoken to in version 1.41 or older treats named volumes like anonymous ones.
requirements:
  - docker (the Docker SDK for Python) >= 7.1.0 on the host
"""
