# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of maintenance_alert."""

from __future__ import annotations

from .._core.arguments import DEFAULT_STATE_DIR, ArgumentSpec
from .._core.finding import SEVERITIES
from .mail import AUTO, SECURITIES
from .messages import GENERIC, SHAPES
from .problems import KINDS, TEXT

_ADDRESS = {
    # An address is a secret: who knows it may write there.
    "url": {"type": "str", "no_log": True},
    "url_key": {"type": "str", "no_log": False},
    "ca_file": {"type": "path"},
    "timeout": {"type": "int", "default": 20},
}

ALERT_ARGUMENTS = ArgumentSpec(
    {
        "run": {
            "type": "dict",
            "required": True,
            "options": {
                "name": {"type": "str", "required": True},
                "status": {"type": "str", "choices": ["ok", "failed"], "required": True},
                "run_id": {"type": "str"},
                "host": {"type": "str"},
                "verdict": {"type": "str"},
            },
        },
        "problems": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "kind": {"type": "str", "choices": list(KINDS), "default": TEXT},
                "severity": {"type": "str", "choices": list(SEVERITIES), "default": "high"},
                "text": {"type": "str", "required": True},
                "step": {"type": "str"},
                "id": {"type": "str"},
            },
        },
        "looked_at": {"type": "list", "elements": "str", "default": []},
        "threshold": {"type": "str", "choices": list(SEVERITIES), "default": "high"},
        "repeat_after": {"type": "str", "default": "1d"},
        "env_file": {"type": "path"},
        "mail": {
            "type": "dict",
            "options": {
                "to": {"type": "list", "elements": "str"},
                "sender": {"type": "str"},
                "host": {"type": "str"},
                "port": {"type": "int"},
                "user": {"type": "str"},
                "password_key": {"type": "str", "no_log": False, "default": "SMTP_PASS"},
                "security": {"type": "str", "choices": list(SECURITIES), "default": AUTO},
                "ca_file": {"type": "path"},
                "timeout": {"type": "int", "default": 20},
            },
        },
        "webhooks": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "name": {"type": "str"},
                "shape": {"type": "str", "choices": list(SHAPES), "default": GENERIC},
                **_ADDRESS,
            },
        },
        "file": {"type": "path"},
        "heartbeat": {"type": "dict", "options": dict(_ADDRESS)},
        "state_dir": {"type": "path", "default": DEFAULT_STATE_DIR},
    }
)
