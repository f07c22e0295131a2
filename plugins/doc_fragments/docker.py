# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of modules that may talk to a Docker Engine."""

from __future__ import annotations


class ModuleDocFragment:
    """Engine address and timeout."""

    DOCUMENTATION = r"""
options:
  docker_host:
    description:
      - Address of the Docker Engine, such as V(unix:///var/run/docker.sock) or V(tcp://127.0.0.1:2375).
      - By default the environment variable E(DOCKER_HOST), else the engine's usual socket.
    type: str
  docker_timeout:
    description: Seconds to wait for any answer of the engine.
    type: int
    default: 120
requirements:
  - docker (Python package) 7.1.0 or newer
"""
