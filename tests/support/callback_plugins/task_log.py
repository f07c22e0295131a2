# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes one line of JSON for each task result into the file named by TASK_LOG, so that tests can count and look."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: task_log
type: aggregate
short_description: Log task results for tests
description:
  - One line of JSON for each result.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "task_log"
    CALLBACK_NEEDS_ENABLED = True

    def _log(self, result: Any, status: str) -> None:
        task = result._task
        entry = {
            "host": result._host.get_name(),
            "action": task.action,
            "task": task.get_name(),
            "status": status,
            "changed": bool(result._result.get("changed")),
            "result": result._result,
        }
        with open(os.environ["TASK_LOG"], "a", encoding="utf-8") as handle:
            handle.write(json.dumps(entry, default=str) + "\n")

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        with open(os.environ["TASK_LOG"], "a", encoding="utf-8") as handle:
            handle.write(json.dumps({"started": task.action, "host": host.get_name()}) + "\n")

    def v2_runner_on_ok(self, result: Any) -> None:
        self._log(result, "ok")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._log(result, "failed")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._log(result, "unreachable")

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._log(result, "skipped")
