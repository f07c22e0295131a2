# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Long commands that a server works on, also such whose client is gone, and how to wait for their end."""

from __future__ import annotations

import time
from typing import Any, Callable, List, Mapping, Optional

from .._core.errors import MaintenanceError
from .client import Connection
from .errors import error_number, mongo_errors

try:
    from pymongo.errors import OperationFailure
except ImportError:  # the client says so
    OperationFailure = Exception  # type: ignore[assignment,misc]

UNAUTHORIZED = 13
# How the comments of our commands begin; the rest tells each from all others.
COMMENT = "miniecom.maintenance"
# A server that is silent for so long is taken for lost.
SILENCE_SECONDS = 60.0


def running_commands(connection: Connection, command: str) -> List[Mapping[str, Any]]:
    """The operations of one command that the server works on now; one's own only, where the privilege inprog is missing.

    Args:
        command: its name, such as compact.

    Raises:
        MaintenanceError: the server refuses or cannot be reached.
    """
    match = {"$match": {"command.%s" % command: {"$exists": True}}}
    with mongo_errors("cannot list the server's operations", connection.address.where):
        for all_users in (True, False):
            try:
                stages: List[Any] = [{"$currentOp": {"allUsers": all_users, "idleConnections": False}}, match]
                return list(connection.client.admin.aggregate(stages))
            except OperationFailure as error:
                if error_number(error) != UNAUTHORIZED or not all_users:
                    raise
    return []


def begun_by_us(operation: Mapping[str, Any]) -> bool:
    """Whether one of our calls has sent it, one that died perhaps."""
    return str(operation.get("command", {}).get("comment", "")).startswith(COMMENT + " ")


def wait_for_command(
    connection: Connection,
    command: str,
    database: str,
    collection: str,
    renew: Callable[[], None],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Wait until the server does not work on a command for a collection any more; returns whether it did.

    Args:
        renew: a sign of life, given at each look.

    Raises:
        MaintenanceError: the server has not answered for a minute.
    """
    silent_since: Optional[float] = None
    found = False
    while True:
        try:
            running = [
                entry
                for entry in running_commands(connection, command)
                if entry.get("command", {}).get(command) == collection
                and entry.get("command", {}).get("$db", database) == database
            ]
            silent_since = None
            if not running:
                return found
            found = True
        except MaintenanceError:
            now = clock()
            silent_since = now if silent_since is None else silent_since
            if now - silent_since > SILENCE_SECONDS:
                raise
        renew()
        sleep(0.2)
