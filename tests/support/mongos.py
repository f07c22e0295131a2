# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A mongod that says it is mongos: every message goes to and fro, only the answer to hello is what mongos gives."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import bson

_HEADER = struct.Struct("<iiii")
_OP_REPLY, _OP_MSG = 1, 2013
# Of a mongod's answer, what mongos does not have (https://www.mongodb.com/docs/manual/reference/command/hello/).
_OF_MONGOD = ("setName", "hosts", "me", "primary", "secondary", "setVersion", "electionId", "lastWrite")
# Without it the driver asks again each time, and no answer comes unasked.
_STREAMED = "topologyVersion"


@contextmanager
def as_mongos(address: str) -> Iterator[tuple[str, list[str]]]:
    """The address of the seeming mongos, and the names of the commands that came to it, in their order.

    Args:
        address: host and port of the mongod behind it.
    """
    commands: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_accept, args=(listening, address, commands), daemon=True).start()
        host, port = listening.getsockname()[:2]
        yield f"{host}:{port}", commands


def _accept(listening: socket.socket, address: str, commands: list[str]) -> None:
    host, _colon, port = address.rpartition(":")
    # Closing it ends the wait, with an error.
    with suppress(OSError):
        while True:
            client, _peer = listening.accept()
            server = socket.create_connection((host, int(port)))
            threading.Thread(target=_serve, args=(client, server, commands), daemon=True).start()


def _serve(client: socket.socket, server: socket.socket, commands: list[str]) -> None:
    with client, server, suppress(OSError, EOFError):
        while True:
            asked = _message(client)
            start, document = _parsed(asked)
            if document is not None:
                commands.append(next(iter(document)))
            server.sendall(asked)
            answered = _message(server)
            start, document = _parsed(answered)
            if document is not None and ("isWritablePrimary" in document or "ismaster" in document):
                document = {key: value for key, value in document.items() if key not in (*_OF_MONGOD, _STREAMED)}
                body = answered[_HEADER.size : start] + bson.encode({**document, "msg": "isdbgrid"})
                answered = _HEADER.pack(_HEADER.size + len(body), *_HEADER.unpack_from(answered)[1:]) + body
            client.sendall(answered)


def _message(connection: socket.socket) -> bytes:
    header = _exactly(connection, _HEADER.size)
    return header + _exactly(connection, _HEADER.unpack(header)[0] - _HEADER.size)


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def _parsed(message: bytes) -> tuple[int, dict[str, Any] | None]:
    """Where the document of a message begins, and what it is; None for a message of another kind."""
    kind = _HEADER.unpack_from(message)[3]
    start = {_OP_REPLY: _HEADER.size + 20, _OP_MSG: _HEADER.size + 5}.get(kind)
    if start is None:
        return 0, None
    size = int.from_bytes(message[start : start + 4], "little")
    return start, bson.decode(message[start : start + size])
