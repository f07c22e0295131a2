# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""mongo_restore in both of its modes: proving that a backup restores, and restoring it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, Optional, Union

from .._backup.live_restore_planning import RestoreDatabase, SettleRestore
from .._backup.restore_planning import ClearLeftover, RestoreTest
from .._core.call import Call
from .._core.errors import MaintenanceError
from .._core.plan import Action, Outcome, Plan, Report, Results
from .._core.runner import Task
from .live_restore import LiveRestore
from .restore_test import MongoRestore

AnyWork = Union[ClearLeftover, RestoreTest, SettleRestore, RestoreDatabase]


class Restoring(Task[Any]):
    """Hands every step over to the mode that is asked for."""

    handlers = {**MongoRestore.handlers, **LiveRestore.handlers}

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        live = self.params["mode"] == "restore"
        if live != (self.params["server"] == "live"):
            raise MaintenanceError(
                "mode=%s and server=%s do not go together" % (self.params["mode"], self.params["server"]),
                next_step="A backup is verified in a throwaway server, and restored into the live one:"
                " mode=restore wants server=live beside it.",
            )
        self._mode: Task[Any] = LiveRestore(call) if live else MongoRestore(call)

    def observe(self) -> Any:
        return self._mode.observe()

    def plan(self, observation: Any, now: datetime) -> Plan[AnyWork]:
        return self._mode.plan(observation, now)

    def act(self, action: Action[Any], observation: Any) -> Outcome:
        return self._mode.act(action, observation)

    def report(self, observation: Any, plan: Plan[Any], results: Results[Any, Any]) -> Report:
        return self._mode.report(observation, plan, results)

    def diff(self, observation: Any, plan: Plan[Any]) -> Optional[Dict[str, Any]]:
        return self._mode.diff(observation, plan)

    def close(self) -> None:
        self._mode.close()
