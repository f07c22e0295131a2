# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of the audits that a run makes."""

from __future__ import annotations

from .._core.arguments import GIVEN_ARGUMENTS, RUN_ARGUMENTS, ArgumentSpec
from .finding_arguments import FINDING_ARGUMENTS

PERMISSION_AUDIT_ARGUMENTS = (
    ArgumentSpec(
        {
            "paths": {"type": "list", "elements": "path", "default": []},
            "backups": {"type": "list", "elements": "path", "default": []},
            "exclude": {"type": "list", "elements": "str", "default": []},
            "rules": {"type": "list", "elements": "raw"},
            "docker_socket": {"type": "list", "elements": "path", "default": ["/var/run/docker.sock"]},
            "fix": {"type": "raw", "default": False},
            "service_users": {"type": "list", "elements": "str", "default": []},
            "readers": {"type": "list", "elements": "str", "default": []},
            "undo": {"type": "str"},
        }
    )
    + RUN_ARGUMENTS
    + FINDING_ARGUMENTS
    + GIVEN_ARGUMENTS
)
SECRET_SCAN_ARGUMENTS = (
    ArgumentSpec(
        {
            "paths": {"type": "list", "elements": "path", "required": True},
            "exclude": {"type": "list", "elements": "str", "default": []},
            "kingfisher": {"type": "path"},
            "timeout": {"type": "str", "default": "10m"},
            "rescan_after": {"type": "str", "default": "30d"},
        }
    )
    + RUN_ARGUMENTS
    + FINDING_ARGUMENTS
    + GIVEN_ARGUMENTS
)
PORT_AUDIT_ARGUMENTS = (
    ArgumentSpec(
        {
            "allow": {"type": "list", "elements": "str", "default": ["22/tcp", "80/tcp", "443/tcp"]},
            "compose_project": {"type": "str"},
            "docker_host": {"type": "str"},
            "docker": {"type": "bool", "default": True},
            "configuration": {"type": "bool", "default": True},
            "env_files": {"type": "list", "elements": "path", "default": []},
            "expand": {"type": "bool", "default": True},
        }
    )
    + RUN_ARGUMENTS
    + FINDING_ARGUMENTS
    + GIVEN_ARGUMENTS
)
