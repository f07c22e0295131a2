# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What runs before maintenance, is stopped for it, and runs again afterwards: that and nothing else. Pure.

It is noted before the first is stopped. Whatever was killed in between, the note tells what has to be started.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence, Tuple

from .._core.late_dataclass import dataclass

CONTAINER, UNIT = "container", "unit"


@dataclass(frozen=True)
class Service:
    """One container of the shop, by its name, or one systemd unit. docker_host: the engine of the container."""

    kind: str
    name: str
    docker_host: str = ""

    @property
    def target(self) -> str:
        return "%s %s" % (self.kind, self.name)


@dataclass(frozen=True)
class ServiceState:
    """A service as found.

    present: it is there at all. wanted: it was asked for just now. unseen: why nobody can tell, "" when it was looked at.
    """

    service: Service
    running: bool
    present: bool = True
    wanted: bool = False
    unseen: str = ""


def service_of(found: Mapping[str, Any]) -> Service:
    """One of our note."""
    return Service(str(found["kind"]), str(found["name"]), str(found.get("docker_host") or ""))


def to_note(states: Sequence[ServiceState], noted: Sequence[Service], standing: bool) -> Tuple[Service, ...]:
    """What is to be started when maintenance is over, in the order in which it is stopped.

    Args:
        noted: what a note says already. standing: that note is of maintenance that is up.
    """
    running = {state.service: state.running for state in states}
    kept = [service for service in noted if standing or not running.get(service, False)]
    return tuple(kept) + tuple(s.service for s in states if s.wanted and s.running and s.service not in kept)


def to_start(states: Sequence[ServiceState], noted: Sequence[Service]) -> Tuple[Service, ...]:
    """What is seen not to run of what a note says, the last that was stopped first."""
    stopped = [state.service for state in states if state.present and not state.running and not state.unseen]
    return tuple(service for service in reversed(noted) if service in stopped)
