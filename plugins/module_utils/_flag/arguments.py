# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that everything about maintenance shares; the fragment `flag` documents them."""

from __future__ import annotations

from .._core.arguments import ArgumentSpec

FLAG_ARGUMENTS = ArgumentSpec(
    {
        "path": {"type": "path", "default": "/opt/miniecom/storage/.maintenance"},
        "application_setting": {
            "type": "dict",
            "options": {
                "uri": {"type": "str", "no_log": True},
                "env_file": {"type": "path"},
                "env_from": {"type": "str", "default": "file"},
                "docker_host": {"type": "str"},
                "address": {"type": "str"},
                "tls_files": {"type": "dict", "default": {}},
                "database": {"type": "str"},
                "visitor_message": {"type": "str", "aliases": ["message"]},
                "allow_ips": {"type": "list", "elements": "str"},
                "connect_timeout": {"type": "int", "default": 5},
            },
            "mutually_exclusive": [("uri", "env_file")],
            "required_one_of": [("uri", "env_file")],
        },
    }
)
