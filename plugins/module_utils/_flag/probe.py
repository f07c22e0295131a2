# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the shop is: one request to its health endpoint.

Maintenance (503 with ``maintenance: true``) is a state of its own, no failure. A 200 is not enough: without its database
the application still says ok, with ``mongoConnected: false``, after ten seconds.
"""

from __future__ import annotations

import json
import socket
import time
from dataclasses import asdict
from http.client import HTTPException
from typing import Any, Dict
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from .._core.late_dataclass import dataclass

UP = "up"
MAINTENANCE = "maintenance"
DEGRADED = "degraded"
DOWN = "down"
# The application gives its database ten seconds.
DEFAULT_TIMEOUT = 20.0
_LARGEST = 64 * 1024


@dataclass(frozen=True)
class Probe:
    """The answer.

    Attributes:
        state: up, maintenance, degraded (it answers, but not as it should) or down.
        status: of HTTP, 0 without an answer.
        seconds: until the whole answer was there.
        reason: in words.
    """

    url: str
    state: str
    status: int = 0
    seconds: float = 0.0
    mongo_connected: Any = None
    reason: str = ""

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_arguments: Any, **_options: Any) -> None:
        return None  # a login page or another host says nothing about this shop


def judge(status: int, body: bytes) -> Dict[str, Any]:
    """State, mongo_connected and reason of an answer. Pure."""
    try:
        found = json.loads(body.decode("utf-8"))
    except ValueError:
        found = None
    values = found if isinstance(found, dict) else {}
    if status == 503 and values.get("maintenance") is True:
        return {"state": MAINTENANCE, "reason": " ".join(str(values.get("message") or "in maintenance").split())[:200]}
    connected = values.get("mongoConnected")
    if status == 200 and values.get("status") == "ok":
        if connected is False:
            return {"state": DEGRADED, "mongo_connected": False, "reason": "it answers, but has lost its database"}
        if connected is True:
            return {"state": UP, "mongo_connected": True, "reason": "ok"}
        return {"state": DEGRADED, "reason": "it does not say whether it reaches its database"}
    if status >= 500:
        return {"state": DOWN, "reason": "it answers with status %d" % status}
    if status == 200 and found is None:
        return {"state": DEGRADED, "reason": "something else answers there: the answer is no JSON"}
    return {"state": DEGRADED, "reason": "it answers with status %d and not as the shop's API does" % status}


def _failure(error: BaseException) -> str:
    cause: Any = getattr(error, "reason", error)
    if isinstance(cause, (socket.timeout, TimeoutError)):
        return "no answer in time"
    if isinstance(cause, ConnectionRefusedError):
        return "connection refused: nothing listens there"
    if isinstance(cause, OSError):
        return "no connection: %s" % (cause.strerror or cause)
    return "%s: %s" % (type(cause).__name__, cause)


def probe(url: str, timeout: float = DEFAULT_TIMEOUT) -> Probe:
    """Ask for the shop's health.

    Args:
        url: of the health endpoint; "" when nobody knows it, which counts as down.
        timeout: seconds for the whole request; less than ten takes a shop that waits for its database for dead.
    """
    if not url:
        return Probe("", DOWN, reason="the address of the shop's health endpoint is not known")
    started = time.monotonic()
    # Environment variables for a proxy are for the way out, never for the shop on this host.
    opener = build_opener(ProxyHandler({}), _NoRedirect())
    try:
        request = Request(url, headers={"Accept": "application/json", "User-Agent": "miniecom.maintenance"})  # noqa: S310
        if request.type not in ("http", "https"):
            return Probe(url, DOWN, reason="not an address of a web server")
        try:
            answer = opener.open(request, timeout=timeout)
        except HTTPError as error:
            answer = error
        with answer:
            body = b""
            while len(body) < _LARGEST and time.monotonic() - started < timeout:
                part = answer.read(4096)
                if not part:
                    break
                body += part
            else:
                return Probe(url, DOWN, int(answer.status), _since(started), reason="its answer does not end")
            return Probe(url, status=int(answer.status), seconds=_since(started), **judge(int(answer.status), body))
    except (URLError, HTTPException, OSError, ValueError) as error:
        return Probe(url, DOWN, 0, _since(started), reason=_failure(error))


def _since(started: float) -> float:
    return round(time.monotonic() - started, 3)
