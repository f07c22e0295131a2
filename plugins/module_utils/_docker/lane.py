# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections to an engine's socket that stay open, for many small requests.

The Docker SDK spends about a millisecond of its own on each request, more than the engine needs for most of them, and the
standard library's client a tenth of one, most of it on headers that nobody reads. Connections over the network, which may be
encrypted, are left to the SDK.
"""

from __future__ import annotations

import http.client
import json
import select
import socket
import threading
from typing import Any, Dict, List, NoReturn, Optional, Sequence, Tuple
from urllib.parse import quote, urlencode

# What may stand in a path as it is; a "%" is part of what was quoted already.
_SAFE = "/:@%+~=,"
# Bytes of an answer's head, or of a chunk's first line: far more than any engine sends.
_LONGEST_HEAD = 1 << 16
# Questions that are put before the first of them is answered: few enough for the kernel to hold them all, so that sending never waits
# for an engine that waits for its answers to be read.
_ON_THEIR_WAY = 32


def _request(method: str, place: str) -> bytes:
    length = "Content-Length: 0\r\n" if method in ("POST", "PUT") else ""
    return ("%s %s HTTP/1.1\r\nHost: docker\r\n%s\r\n" % (method, place, length)).encode("ascii")


class Lane:
    """One connection to a socket, in HTTP/1.1. After an exception, or an answer with `ends`, it is of no more use."""

    def __init__(self, path: str, timeout: Optional[float]) -> None:
        self._socket = connected(path, timeout)
        self._buffer = b""
        # Of the last answer, names in small letters.
        self.headers: Dict[bytes, bytes] = {}

    @property
    def broken(self) -> bool:
        """The other end has hung up, or has said something that nobody asked for."""
        return bool(self._buffer or select.select([self._socket], [], [], 0)[0])

    def ask(self, method: str, place: str) -> Tuple[int, bytes, bool]:
        """Send a request; returns the status, the body, and whether the connection ends with it.

        Args:
            place: path and query, quoted.

        Raises:
            OSError, http.client.HTTPException: there was no answer, or what came was none.
        """
        self._socket.sendall(_request(method, place))
        return self._answer()

    def ask_all(self, places: Sequence[str]) -> List[Tuple[int, bytes]]:
        """Put questions (GET) that do not wait for each other's answers. Returns status and body of each, in their order, and fewer
        when the other end closes the connection with an answer.

        Raises:
            as ask().
        """
        found: List[Tuple[int, bytes]] = []
        sent = 0
        while len(found) < len(places):
            if sent < len(places) and sent - len(found) <= _ON_THEIR_WAY // 2:
                more = places[sent : len(found) + _ON_THEIR_WAY]
                try:
                    self._socket.sendall(b"".join(_request("GET", place) for place in more))
                except ConnectionError:
                    if not found:
                        raise
                    # It was closed with an answer that is still to be read, or there comes none.
                    more = places[sent:]
                sent += len(more)
            status, body, ends = self._answer()
            found.append((status, body))
            if ends:
                break
        return found

    def _answer(self) -> Tuple[int, bytes, bool]:
        status, headers, ends = self._head()
        while 100 <= status < 200:
            status, headers, ends = self._head()
        self.headers = headers
        if status in (204, 304):
            return status, b"", ends
        if "chunked" in headers.get(b"transfer-encoding", b"").lower().decode("latin-1"):
            return status, self._chunks(), ends
        size = headers.get(b"content-length")
        if size is None:
            return status, self._rest(), True
        return status, self._exactly(_number(size, 10)), ends

    def _head(self) -> Tuple[int, Dict[bytes, bytes], bool]:
        while b"\r\n\r\n" not in self._buffer:
            if len(self._buffer) > _LONGEST_HEAD:
                raise http.client.LineTooLong("the head of an answer")
            if not self._more():
                if not self._buffer:
                    raise http.client.RemoteDisconnected("the connection was closed without an answer")
                raise http.client.IncompleteRead(self._buffer)
        head, _end, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        words = first.split(None, 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
            raise http.client.BadStatusLine(repr(first[:80]))
        headers = {}
        for line in lines:
            name, _colon, value = line.partition(b":")
            headers[name.strip().lower()] = value.strip()
        tokens = headers.get(b"connection", b"").lower()
        return int(words[1]), headers, b"close" in tokens or words[0] == b"HTTP/1.0"

    def _more(self) -> bool:
        data = self._socket.recv(65536)
        self._buffer += data
        return bool(data)

    def _exactly(self, size: int) -> bytes:
        parts, left = [self._buffer[:size]], size - len(self._buffer)
        self._buffer = self._buffer[size:]
        while left > 0:
            data = self._socket.recv(min(left, 1 << 20))
            if not data:
                self._cut_off(b"".join(parts), left)
            parts.append(data)
            left -= len(data)
        return b"".join(parts)

    def _rest(self) -> bytes:
        parts, self._buffer = [self._buffer], b""
        while True:
            data = self._socket.recv(1 << 20)
            if not data:
                return b"".join(parts)
            parts.append(data)

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            if len(self._buffer) > _LONGEST_HEAD or not self._more():
                self._cut_off(self._buffer)
        line, _end, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def _chunks(self) -> bytes:
        parts = []
        while True:
            size = _number(self._line().partition(b";")[0], 16)
            if size == 0:
                break
            parts.append(self._exactly(size))
            self._line()
        while self._line():
            pass  # trailers
        return b"".join(parts)

    @staticmethod
    def _cut_off(data: bytes, missing: Optional[int] = None) -> NoReturn:
        raise http.client.IncompleteRead(data, missing)

    def close(self) -> None:
        self._socket.close()


def _number(text: bytes, base: int) -> int:
    """A size, as HTTP writes it. Raises http.client.HTTPException: it is none."""
    try:
        found = int(text.strip(), base)
    except ValueError:
        found = -1
    if found < 0:
        raise http.client.HTTPException("no size: %r" % text[:40])
    return found


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
        status, body, _headers = self._ask(method, target(path, parameters))
        return status, body

    def ping(self) -> Tuple[int, Dict[str, str]]:
        """Status and headers, their names in small letters, of the answer to the cheapest question.

        Raises:
            OSError, http.client.HTTPException: there was none.
        """
        status, _body, headers = self._ask("GET", "/_ping")
        return status, {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}

    def get_all(self, paths: Sequence[str]) -> List[Tuple[int, bytes]]:
        """Status and body of the answers to many questions, by one connection on which they do not wait for each other.

        Raises:
            OSError, http.client.HTTPException: there was none to one of them.
        """
        places = [target(path, {}) for path in paths]
        found: List[Tuple[int, bytes]] = []
        while len(found) < len(places):
            lane = self._lane()
            try:
                found += lane.ask_all(places[len(found) :])
            except BaseException:
                lane.close()
                raise
            if len(found) < len(places):
                lane.close()
            else:
                self._give_back(lane)
        return found

    def _ask(self, method: str, place: str) -> Tuple[int, bytes, Dict[bytes, bytes]]:
        lane = self._lane()
        try:
            status, body, ends = lane.ask(method, place)
        except BaseException:
            lane.close()
            raise
        headers = lane.headers
        if ends:
            lane.close()
        else:
            self._give_back(lane)
        return status, body, headers

    def _lane(self) -> Lane:
        """One that nobody uses now."""
        with self._lock:
            lane = self._idle.pop() if self._idle else None
        if lane is not None and lane.broken:
            lane.close()
            lane = None
        return lane or Lane(self.path, self.timeout)

    def _give_back(self, lane: Lane) -> None:
        with self._lock:
            self._idle.append(lane)

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
