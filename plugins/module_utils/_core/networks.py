# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections from within the network of another process, such as that of a container."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from typing import List, Optional, Tuple

_CLONE_NEWNET = 0x40000000


def connect_within(
    pid: int, address: Tuple[str, int], timeout: float, source: Optional[Tuple[str, int]] = None
) -> socket.socket:
    """A connection as a process would make it; this process stays where it is.

    Args:
        pid: the process in whose network it is made, 0 for this one's own.
        timeout: seconds.
        source: where it comes from, None for the system's choice.

    Raises:
        OSError: it cannot be made, or this process may not enter that network.
    """
    if not pid:
        return socket.create_connection(address, timeout, source)
    made: List[socket.socket] = []
    failed: List[OSError] = []

    def connect() -> None:
        try:
            _enter("/proc/%d/ns/net" % pid)
            made.append(socket.create_connection(address, timeout, source))
        except OSError as error:
            failed.append(error)

    # A network is a thread's own, and so is a socket's that was made in it: nothing has to be put back.
    thread = threading.Thread(target=connect)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return made[0]


def _enter(path: str) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if library.setns(descriptor, _CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(descriptor)
