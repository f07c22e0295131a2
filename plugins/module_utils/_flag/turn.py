# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One after the other: whoever puts maintenance up or takes it down has looked at what the one before has left.

The host's own lock is no help: it is held for as long as a module of a run works, an hour maybe, and a shop must be opened at any time.
"""

from __future__ import annotations

import os
from typing import Optional

from .._core.errors import MaintenanceError
from .._core.state_dir import take_lock

LOCK_NAME = "maintenance.lock"
# Stopping services, waiting for the shop to answer: what another call may need.
WAIT_SECONDS = 120.0


def take_turn_to_switch(state_dir: str, wait: float = WAIT_SECONDS) -> Optional[int]:
    """Lock out all others who switch maintenance on this host, until the descriptor given back is closed, or the process dies.

    Args:
        wait: seconds for which another one is waited for.

    Returns:
        A descriptor; None where the state directory cannot be written: nobody else can note there who puts maintenance up, and to
        open the shop needs no room.

    Raises:
        MaintenanceError: another call is at work for longer.
    """
    path = os.path.join(state_dir, LOCK_NAME)
    try:
        os.makedirs(state_dir, mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None
    if take_lock(descriptor, wait):
        return descriptor
    os.close(descriptor)
    raise MaintenanceError(
        "another call is putting maintenance up or taking it down at this moment",
        target=path,
        next_step="Wait until it has ended and run again. If it hangs, set force: true (maintenance_mode_force=true).",
        details={"busy": True},
    )
