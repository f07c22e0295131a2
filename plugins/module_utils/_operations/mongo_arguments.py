# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of what a run does with the database."""

from __future__ import annotations

from .._core.arguments import GIVEN_ARGUMENTS, RUN_ARGUMENTS, ArgumentSpec
from .._mongo.relations import ID_FORMS, IGNORED
from .connection import CONNECTION_ARGUMENTS

ACTIONS = ("report", "archive", "purge", "restore")
MONGO_COMPACT_ARGUMENTS = (
    ArgumentSpec(
        {
            "databases": {"type": "list", "elements": "str", "default": []},
            "collections": {"type": "list", "elements": "str", "default": []},
            "min_reclaimable": {"type": "str", "default": "256MiB"},
            "min_ratio": {"type": "float", "default": 0.25},
            "time_budget": {"type": "str"},
            "members": {"type": "str", "choices": ["connected", "rolling"], "default": "connected"},
            "primary": {"type": "str", "choices": ["skip", "stepdown", "force"], "default": "skip"},
            "max_lag": {"type": "str", "default": "10s"},
            "force": {"type": "bool", "default": False},
        }
    )
    + CONNECTION_ARGUMENTS
    + RUN_ARGUMENTS
    + GIVEN_ARGUMENTS
)
MONGO_ORPHANS_ARGUMENTS = (
    ArgumentSpec(
        {
            "database": {"type": "str"},
            "relations": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "collection": {"type": "str", "required": True},
                    "field": {"type": "str", "required": True},
                    "references": {"type": "str", "required": True},
                    "key": {"type": "str", "default": "_id", "no_log": False},
                    "optional": {"type": "bool", "default": True},
                    "id_forms": {
                        "type": "list",
                        "elements": "str",
                        "choices": list(ID_FORMS),
                        "default": list(ID_FORMS),
                    },
                    "ignore": {"type": "list", "elements": "str", "default": list(IGNORED)},
                    "unit": {"type": "str", "choices": ["document", "element"]},
                    "action": {"type": "str", "choices": ["report", "archive"]},
                },
            },
            "action": {"type": "str", "choices": list(ACTIONS), "default": "report"},
            "archive_run": {"type": "str"},
            "min_age": {"type": "str"},
            "grace": {"type": "str", "default": "30d"},
            "max_delete": {"type": "int"},
            "max_percent": {"type": "float", "default": 5},
            "max_lag": {"type": "str", "default": "10s"},
            "allow_business_records": {"type": "list", "elements": "str", "default": []},
            "samples": {"type": "int", "default": 5},
        },
        required_if=[("action", "archive", ["relations"]), ("action", "restore", ["archive_run"])],
    )
    + CONNECTION_ARGUMENTS
    + RUN_ARGUMENTS
    + GIVEN_ARGUMENTS
)
