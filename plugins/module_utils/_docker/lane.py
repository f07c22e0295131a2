# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections to an engine's socket that stay open, for many small requests.

The Docker SDK spends about a millisecond of its own on each request, more than the engine needs for most of them. Connections
over the network, which may be encrypted, are left to the SDK.
"""

from __future__ import annotations

import http.client
import json
import select
import socket
import threading
from typing import Any, Dict, List, Optional, Tuple
from urllib.parse import quote, urlencode

# What may stand in a path as it is; a "%" is part of what was quoted already.
_SAFE = "/:@%+~=,"


class Lane(http.client.HTTPConnection):
    """One connection to a socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("docker", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = connected(self._path, self.timeout)

    @property
    def broken(self) -> bool:
        """The other end has hung up, or has said something that nobody asked for."""
        return self.sock is not None and bool(select.select([self.sock], [], [], 0)[0])


def connected(path: str, timeout: Optional[float]) -> socket.socket:
    """A connection to a socket.

    Raises:
        OSError: as the system reports it.
    """
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        found.settimeout(timeout)
        found.connect(path)
    except BaseException:
        found.close()
        raise
    return found


class Lanes:
    """As many connections to one socket as there are requests at a time; each is used again.

    Args:
        path: of the socket.
        timeout: in seconds, for each answer.
    """

    def __init__(self, path: str, timeout: float) -> None:
        self.path = path
        self.timeout = timeout
        self._idle: List[Lane] = []
        self._lock = threading.Lock()

    def request(self, method: str, path: str, parameters: Dict[str, Any]) -> Tuple[int, bytes]:
        """Status and body of an answer. Nothing is ever sent twice.

        Raises:
            OSError, http.client.HTTPException: there was none.
        """
        with self._lock:
            lane = self._idle.pop() if self._idle else None
        if lane is not None and lane.broken:
            lane.close()
            lane = None
        lane = lane or Lane(self.path, self.timeout)
        try:
            lane.request(method, target(path, parameters))
            response = lane.getresponse()
            status, body = response.status, response.read()
        except BaseException:
            lane.close()
            raise
        if response.will_close:
            lane.close()
        with self._lock:
            self._idle.append(lane)
        return status, body

    def close(self) -> None:
        with self._lock:
            for lane in self._idle:
                lane.close()
            self._idle.clear()


def target(path: str, parameters: Dict[str, Any]) -> str:
    """What stands in a request's first line."""
    query = urlencode(parameters, doseq=True)
    return quote(path, safe=_SAFE) + ("?" + query if query else "")


def refusal_text(body: bytes) -> str:
    """The words of an engine that refuses something."""
    text = body.decode("utf-8", "replace")
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if isinstance(found, dict) and (found.get("message") or found.get("cause")):
        text = str(found.get("message") or found.get("cause"))
    return text.strip().rstrip(".")
