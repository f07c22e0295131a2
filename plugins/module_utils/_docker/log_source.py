# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading the logs of containers from an engine."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import Iterator, List, Optional

from .client import Docker, EngineError
from .log_export import LoggedContainer, parse_logged_container
from .log_stream import ChunkReader, Piece, UnreadableLog, framed_pieces, terminal_pieces

_CHUNK = 1 << 16


def read_logged_containers(docker: Docker) -> List[LoggedContainer]:
    """All containers, stopped ones too, with what their log driver is.

    Raises:
        EngineError, DockerUnavailable: the engine did not answer.
    """
    found = []
    for listed in docker.containers():
        try:
            raw = docker.get("/containers/%s/json" % listed["Id"])
        except EngineError as error:
            if error.status == 404:
                continue
            raise
        found.append(parse_logged_container(raw, _log_bytes(str(raw.get("LogPath") or ""))))
    return found


def _log_bytes(path: str) -> Optional[int]:
    try:
        return os.stat(path).st_size if path else None
    except OSError:
        return None


@contextmanager
def open_log(docker: Docker, container: LoggedContainer, since: str) -> Iterator[Iterator[Piece]]:
    """The log of a container from a moment on to its present end, piece by piece, in its own order.

    Args:
        since: Unix time with decimals; empty for all of it.

    Raises:
        EngineError: the engine refused, or the log driver cannot be read (501; 500 where it is `none`).
        DockerUnavailable: the engine went away.
        UnreadableLog: what it sent is no log, or not all of it.
    """
    parameters = {"stdout": 1, "stderr": 1, "timestamps": 1}
    if since:
        parameters["since"] = since  # type: ignore[assignment]
    with docker.errors("cannot read the log of the container", container.name):
        response = docker.api._get(
            docker.api._url("/containers/{0}/logs", container.id), params=parameters, stream=True
        )
    try:
        with docker.errors("cannot read the log of the container", container.name):
            docker.api._raise_for_status(response)
        chunks = response.iter_content(_CHUNK)
        pieces = terminal_pieces(chunks) if container.terminal else framed_pieces(ChunkReader(chunks).read)
        yield _told(docker, container, pieces)
    finally:
        response.close()


def _told(docker: Docker, container: LoggedContainer, pieces: Iterator[Piece]) -> Iterator[Piece]:
    """The pieces, and what fails with them in words. What fails where they are used is none of the engine's failures."""
    try:
        with docker.errors("cannot read the log of the container", container.name):
            yield from pieces
    except UnreadableLog as error:
        raise type(error)(error.what, target=container.name, next_step=error.next_step) from error
