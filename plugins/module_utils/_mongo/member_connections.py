# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections to the members of a replica set, each to one server directly, opened when they are first asked for.

While something long goes on, the thread that keeps the lease of the set asks for them, too. The driver's clients may be used by
several threads; the table of them may not.
"""

from __future__ import annotations

import threading
from typing import Any, Dict, List, Mapping, Tuple

from .._core.errors import MaintenanceError
from .address import Address, resolve
from .client import Connection, connect_member, open_address
from .topology import read_server

# The server that the options name.
CONNECTED = ""


class MemberConnections:
    """Args:
    params: a module's options (uri, env_file, address, connect_timeout in seconds).
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params
        self._timeout = float(params.get("connect_timeout") or 5)
        self._open: Dict[Tuple[str, str], Connection] = {}
        # Else two threads that ask for one member at a time open two, of which one is never closed.
        self._opening = threading.RLock()

    def looking(self, member: str = CONNECTED) -> Connection:
        """For everything but long commands.

        Args:
            member: by its name in its set.

        Raises:
            MaintenanceError: it cannot be reached, or does not accept us.
        """
        key = ("looking", member)
        with self._opening:
            if key not in self._open:
                if member == CONNECTED:
                    self._open[key] = connect_member(self._params)
                elif member == self.looking().server.name:
                    return self.looking()
                else:
                    self._open[key] = open_address(self._address(member), self._timeout)
            return self._open[key]

    def working(self, member: str = CONNECTED) -> Connection:
        """For a long command: however long it takes, a client that gives up does not stop the server.

        Raises:
            MaintenanceError: as for `looking`.
        """
        key = ("working", member)
        with self._opening:
            if key not in self._open:
                # To the member that was looked at, whichever of the set is the primary by now.
                looked_at = self.looking(member).address
                self._open[key] = open_address(looked_at, self._timeout, socketTimeoutMS=None, timeoutMS=None)
            return self._open[key]

    def primary(self, members: List[str]) -> Connection:
        """The member of these that is the primary now.

        Raises:
            MaintenanceError: none is, or it cannot be reached.
        """
        reason = ""
        for member in members:
            try:
                connection = self.looking(member)
                if read_server(connection).state == "primary":
                    return connection
            except MaintenanceError as error:
                reason = " (%s)" % str(error).rstrip(".")
        raise MaintenanceError(
            "no member of the replica set says that it is the primary%s" % reason,
            target=", ".join(members),
            next_step="Look at rs.status(); an election takes some seconds. Run it again afterwards.",
        )

    def _address(self, member: str) -> Address:
        return resolve(dict(self._params, address=member), by_its_own_name=True)

    def close(self) -> None:
        with self._opening:
            for connection in self._open.values():
                connection.close()
