# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compactions that a call of ours has begun and does not wait for any more, as it was killed: the server goes on with them.

Whoever has the lease of the set, or the host's lock, knows that nobody else of ours waits for them. They are known by their
comments, and waited for: to go on beside one would keep two members busy, and to give up would leave the rest undone.
"""

from __future__ import annotations

import time
from typing import Callable, List, Mapping, Optional

from .._core.errors import MaintenanceError, SkipAction
from .._core.late_dataclass import dataclass
from .client import Connection
from .compaction import place_of, waiting_deferral
from .running_operations import begun_by_us, running_commands


@dataclass(frozen=True)
class FormerCompactions:
    """Attributes:
    servers: how to ask each server on which one may run, by its name; "" for the connected one.
    renew: a sign of life of the run, given at each look.
    clock: seconds, monotonic.
    sleep: waits for so many seconds between two looks.
    """

    servers: Mapping[str, Callable[[], Connection]]
    renew: Callable[[], None]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def wait(self, deadline: Optional[float]) -> str:
        """Wait until none runs any more; returns what was waited for, in words, "" for nothing.

        A server that does not answer is not waited for: whether it may be left aside is decided by whoever acts.

        Args:
            deadline: seconds of the clock, None for as long as it takes.

        Raises:
            SkipAction: the time is up.
        """
        found: List[str] = []
        while True:
            running = [place for name in self.servers for place in self._running(name)]
            if not running:
                return "waited for what an earlier call had begun: %s" % ", ".join(found) if found else ""
            found += [place for place in running if place not in found]
            if deadline is not None and self.clock() >= deadline:
                raise SkipAction(waiting_deferral(running))
            self.renew()
            self.sleep(0.2)

    def _running(self, name: str) -> List[str]:
        try:
            operations = running_commands(self.servers[name](), "compact")
        except MaintenanceError:
            return []
        return [
            place_of("%s.%s" % (entry["command"].get("$db", "?"), entry["command"]["compact"]), name)
            for entry in operations
            if begun_by_us(entry)
        ]
