# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One name of a server, for one connection, means another address.

A certificate is checked against the name that the driver connects to, and the driver has no option for another one. So
the name stays in the connection string, and while the connection is open the lookup of exactly this name with exactly this
port gives the address; all other lookups of the process are as ever.
"""

from __future__ import annotations

import socket
import threading
from typing import Any, Callable, Dict, List, Optional, Tuple

_lock = threading.Lock()
_redirected: Dict[Tuple[str, int], List[str]] = {}
_original: Optional[Callable[..., Any]] = None


def _look_up(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
    with _lock:
        targets = _redirected.get((host, port)) if isinstance(host, str) and isinstance(port, int) else None
        original = _original or socket.getaddrinfo
    if not targets:
        return original(host, port, *args, **kwargs)
    # The family that suits the name need not suit the address: any will do, as long as it is a stream.
    return original(targets[-1], port, type=socket.SOCK_STREAM)


class Redirection:
    """From now on, until it is closed, a name and a port mean another host.

    Args:
        name: as it stands in the connection string.
        port: of both.
        host: where the connection really goes.
    """

    def __init__(self, name: str, port: int, host: str) -> None:
        self._key = (name, port)
        self._host = host
        self._open = True
        global _original
        with _lock:
            _redirected.setdefault(self._key, []).append(host)
            if _original is None:
                _original, socket.getaddrinfo = socket.getaddrinfo, _look_up  # type: ignore[assignment]

    def close(self) -> None:
        global _original
        with _lock:
            if not self._open:
                return
            self._open = False
            _redirected[self._key].remove(self._host)
            if not _redirected[self._key]:
                del _redirected[self._key]
            if not _redirected and _original is not None and socket.getaddrinfo is _look_up:
                socket.getaddrinfo, _original = _original, None  # type: ignore[assignment]
