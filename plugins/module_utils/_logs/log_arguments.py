# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of what a run does with logs."""

from __future__ import annotations

from .._core.arguments import GIVEN_ARGUMENTS, RUN_ARGUMENTS, ArgumentSpec

REOPEN = {
    "pattern": {"type": "str", "required": True},
    "method": {"type": "str", "required": True, "choices": ["signal", "pm2_reload_logs"]},
    "signal": {"type": "str", "default": "HUP", "choices": ["HUP", "USR1", "USR2"]},
}
LOG_ROTATE_ARGUMENTS = (
    RUN_ARGUMENTS
    + ArgumentSpec(
        {
            "directories": {"type": "list", "elements": "path", "required": True},
            "optional_directories": {"type": "list", "elements": "path", "default": []},
            "patterns": {"type": "list", "elements": "str", "default": ["*.log"]},
            "max_size": {"type": "str", "default": "100MiB"},
            "interval": {"type": "str", "default": "weekly", "choices": ["daily", "weekly", "monthly"]},
            "retention_days": {"type": "int", "default": 30},
            "su": {"type": "str"},
            "reopen": {"type": "list", "elements": "dict", "default": [], "options": REOPEN},
            "logrotate": {"type": "str", "default": "logrotate"},
            "configuration": {"type": "path"},
            "status": {"type": "path"},
        }
    )
    + GIVEN_ARGUMENTS
)
LOG_PRUNE_ARGUMENTS = (
    RUN_ARGUMENTS
    + ArgumentSpec(
        {
            "paths": {"type": "list", "elements": "path", "required": True},
            "optional_paths": {"type": "list", "elements": "path", "default": []},
            "patterns": {"type": "list", "elements": "str", "default": ["*.log", "*.log.*", "*.log-*"]},
            "compress_after": {"type": "str"},
            "remove_after": {"type": "str"},
        }
    )
    + GIVEN_ARGUMENTS
)
