# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A name for this very process that no other one of any host ever has, and whether the bearer of such a name has ended."""

from __future__ import annotations

import os

from .lease import boot_id
from .processes import PROC, read_process

_ENDED = ("Z", "X")


def own_identity(proc: str = PROC) -> str:
    """Boot, pid namespace, pid and start of this process; "" where that cannot be known."""
    process = read_process(os.getpid(), proc)
    place = _place(proc)
    return "%s %d %d" % (place, process.pid, process.start_time) if process and place else ""


def has_ended(identity: str, proc: str = PROC) -> bool:
    """Whether a process of this boot and this pid namespace has ended; False wherever that cannot be known.

    Args:
        identity: as `own_identity` made it.
    """
    words = identity.rsplit(" ", 2)
    if len(words) != 3:
        return False
    place, number, start = words
    if not place or place != _place(proc) or not number.isdigit() or not start.isdigit():
        return False
    pid, start_time = int(number), int(start)
    process = read_process(pid, proc)
    if process is None:
        # Where /proc hides the processes of others (hidepid), one that lives looks like none.
        return not _exists(pid)
    return process.start_time != start_time or process.state in _ENDED


def _place(proc: str) -> str:
    """This boot and pid namespace; "" where /proc does not tell."""
    boot = boot_id()
    try:
        namespace = os.readlink("%s/self/ns/pid" % proc)
    except OSError:
        return ""
    return "%s %s" % (boot, namespace) if boot else ""


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True
