# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an engine answers, whole and in pieces, and what comes of an answer that is none."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.lane import Lanes

Talk = Callable[[socket.socket], None]
OK = b"HTTP/1.1 200 OK\r\n"


class Server:
    """A socket that says to each connection, at each request, what comes next."""

    def __init__(self, path: Path) -> None:
        self.path, self.answers = str(path), [b""]
        self.pieces = 1 << 20
        self.requests: list[bytes] = []
        self.connections = 0
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self.path)
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection = self._socket.accept()[0]
            except OSError:
                return
            self.connections += 1
            # Who has read enough of an answer that is none hangs up in the middle of it.
            with connection, suppress(ConnectionError):
                while self._answer(connection):
                    pass

    def _answer(self, connection: socket.socket) -> bool:
        request = connection.recv(65536)
        if not request:
            return False
        self.requests.append(request)
        answer = self.answers.pop(0)
        for start in range(0, len(answer), self.pieces):
            connection.sendall(answer[start : start + self.pieces])
        return bool(self.answers)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(20)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    found = Server(tmp_path / "s")
    yield found
    found.close()


def ask(server: Server, *answers: bytes, times: int = 1) -> list[tuple[int, bytes]]:
    server.answers = [*answers]
    lanes = Lanes(server.path, 20)
    try:
        return [lanes.request("GET", "/x", {"a": "b c"}) for _ in range(times)]
    finally:
        lanes.close()


@pytest.mark.parametrize("pieces", [1, 7, 1 << 20])
def test_answers_of_every_form_one_after_the_other(server: Server, pieces: int) -> None:
    server.pieces = pieces
    answers = [
        OK + b"Content-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        OK + b"TRANSFER-ENCODING: Chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: x\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length:2\r\n\r\n{}",
    ]
    found = ask(server, *answers, times=5)
    assert found == [(200, b"hello"), (204, b""), (200, b"hello world"), (200, b""), (404, b"{}")]
    assert server.connections == 1 and server.requests[0] == b"GET /x?a=b+c HTTP/1.1\r\nHost: docker\r\n\r\n"


@pytest.mark.parametrize(
    "head", [OK + b"Connection: close\r\nContent-Length: 1\r\n\r\n", b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n"]
)
def test_a_connection_that_ends_is_not_used_again(server: Server, head: bytes) -> None:
    assert ask(server, head + b"a", times=1) == [(200, b"a")]
    server.answers = [head + b"a"]
    assert ask(server, head + b"b", head + b"c", times=2)[0] == (200, b"b")


def test_an_answer_without_a_length_goes_on_to_the_end(server: Server) -> None:
    assert ask(server, OK + b"\r\nall of it") == [(200, b"all of it")]


def test_one_that_has_hung_up_meanwhile_is_not_asked(server: Server) -> None:
    server.answers = [OK + b"Content-Length: 1\r\n\r\na"]
    lanes = Lanes(server.path, 20)
    assert lanes.request("GET", "/x", {}) == (200, b"a")
    deadline = time.monotonic() + 20
    while not lanes._idle[0].broken:
        assert time.monotonic() < deadline
    server.answers = [OK + b"Content-Length: 1\r\n\r\nb", b""]
    assert lanes.request("POST", "/x", {}) == (200, b"b")
    assert server.connections == 2 and b"Content-Length: 0\r\n" in server.requests[1]
    lanes.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        OK + b"Content-Length: 5\r\n\r\nhell",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Content-Length: many\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        OK + b"X: " + b"x" * (1 << 17),
    ],
)
def test_half_an_answer_is_none(server: Server, answer: bytes) -> None:
    with pytest.raises((http.client.HTTPException, OSError)):
        ask(server, answer)


@given(st.binary(max_size=60), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_whatever_comes_is_an_answer_or_an_error(server: Server, data: bytes, headed: bool) -> None:
    try:
        ask(server, OK + data if headed else data)
    except (http.client.HTTPException, OSError):
        pass


@pytest.mark.parametrize("pieces", [1, 7, 1 << 20])
def test_many_questions_are_on_their_way_at_a_time(tmp_path: Path, pieces: int) -> None:
    """Each connection is closed with an answer after some, and what is left is asked on another one."""
    served: list[list[bytes]] = []
    most_waiting = 0

    def serve(listening: socket.socket) -> None:
        nonlocal most_waiting
        while True:
            try:
                connection = listening.accept()[0]
            except OSError:
                return
            mine: list[bytes] = []
            served.append(mine)
            with connection, suppress(ConnectionError):
                waiting = b""
                while len(mine) < 40:
                    if b"\r\n\r\n" not in waiting:
                        data = connection.recv(65536)
                        if not data:
                            break
                        waiting += data
                        continue
                    most_waiting = max(most_waiting, waiting.count(b"\r\n\r\n"))
                    request, _end, waiting = waiting.partition(b"\r\n\r\n")
                    name = request.split()[1]
                    mine.append(name)
                    ends = b"Connection: close\r\n" if len(mine) == 40 else b""
                    answer = OK + ends + b"Content-Length: %d\r\n\r\n%s" % (len(name), name)
                    for start in range(0, len(answer), pieces):
                        connection.sendall(answer[start : start + pieces])

    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "s"))
    listening.listen()
    thread = threading.Thread(target=serve, args=(listening,), daemon=True)
    thread.start()
    lanes = Lanes(str(tmp_path / "s"), 20)
    paths = [f"/{number}" for number in range(100)]
    try:
        assert lanes.get_all(paths) == [(200, path.encode()) for path in paths]
        assert lanes.get_all([]) == []
        assert [len(names) for names in served] == [40, 40, 20]
        assert 1 < most_waiting <= 32
    finally:
        lanes.close()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(20)


def test_one_question_of_many_without_an_answer_is_an_error(server: Server) -> None:
    server.answers = [OK + b"Content-Length: 1\r\n\r\na"]
    lanes = Lanes(server.path, 20)
    with pytest.raises((OSError, http.client.HTTPException)):
        lanes.get_all(["/a", "/b"])
    lanes.close()
