# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ends a task with the result that its call has had already, in one process with others (see plugins/modules/several.py), or that needs no call.

The action plugins of the modules that can be called several at a time are this one, as are those of some that have nothing to do on many hosts
(a redirection in meta/runtime.yml would be taken for another name of the modules by ansible-lint). Without a result the module is called as ever,
and watched while it works. Controller side.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

from ansible.plugins.action import ActionBase

from .late_options import LateOptions
from .watching import WatchedModule


class ActionModule(LateOptions, WatchedModule):
    """A module's own task."""

    FIRST = frozenset(["given"])

    def run(self, tmp: Any = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        given = self._task.args.get("given")
        result: Dict[str, Any]
        if not isinstance(given, Mapping) or not given:
            self._task.args.pop("given", None)
            self.fill_in()
            result = super().run(tmp, task_vars)
            return result
        self.leave_out()
        result = ActionBase.run(self, tmp, task_vars)
        result.update(given, given=True)
        return result
