# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Members of a replica set, and what depends on the server's version."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .._core.units import format_duration
from .client import Connection, Server, describe_server
from .errors import error_number, mongo_errors

# minSnapshotHistoryWindowInSeconds, unless it was set.
DEFAULT_SNAPSHOT_WINDOW = 300.0

_UNAUTHORIZED = 13

# The first version that has a behaviour, from the manual. A server takes options that it does not know without a word
# (6.0 takes `dryRun: true` and compacts), so none is sent to one that is older than this table says.
SINCE: Dict[str, Tuple[int, ...]] = {
    # compact holds no lock that keeps reads and writes of the collection waiting.
    "compact_online": (4, 4),
    # compact {dryRun: true} and {freeSpaceTargetMB: n}; the latter's default is 20.
    "compact_dry_run": (8, 0),
    "compact_free_space_target": (8, 0),
}


# Since these, a secondary goes on replicating while it compacts; the manual names the first patch of each release. What is not
# in the table never learnt it, what comes after 6.0 always could.
_REPLICATES_SINCE: Dict[Tuple[int, ...], Tuple[int, ...]] = {
    (4, 4): (4, 4, 17),
    (5, 0): (5, 0, 12),
    (6, 0): (6, 0, 2),
}


def supports(server: Server, feature: str) -> bool:
    """Whether the server's version has a feature of the table."""
    return server.version_array >= SINCE[feature]


def replicates_while_compacting(server: Server) -> bool:
    """Whether a secondary of this version goes on replicating while it compacts."""
    release = server.version_array[:2]
    if release in _REPLICATES_SINCE:
        return server.version_array >= _REPLICATES_SINCE[release]
    return release > (6, 0)


@dataclass(frozen=True)
class Seat:
    """What the configuration of a replica set says of one member.

    Attributes:
        name: host and port by which the members know it.
        priority: 0 for one that never becomes the primary.
        delay_seconds: how far it is to be behind.
    """

    name: str
    hidden: bool = False
    priority: float = 1.0
    votes: int = 1
    delay_seconds: float = 0.0
    arbiter: bool = False


@dataclass(frozen=True)
class Member:
    """One member of a replica set as the connected member sees it.

    Attributes:
        lag_seconds: how far its last applied operation is behind the primary's; None when not known.
    """

    name: str
    state: str
    healthy: bool
    is_self: bool
    lag_seconds: Optional[float]

    def as_dict(self) -> Dict[str, Any]:
        return {
            "name": self.name,
            "state": self.state.lower(),
            "healthy": self.healthy,
            "connected": self.is_self,
            "lag_seconds": self.lag_seconds,
        }


def interpret_members(status: Mapping[str, Any]) -> List[Member]:
    """A replSetGetStatus answer as data."""
    entries = list(status.get("members") or [])
    newest = [
        entry["optimeDate"] for entry in entries if entry.get("stateStr") == "PRIMARY" and entry.get("optimeDate")
    ]
    members = []
    for entry in entries:
        applied = entry.get("optimeDate")
        # An arbiter holds no data; a member that is down reports the epoch.
        known = bool(newest) and applied is not None and entry.get("health") == 1 and entry.get("stateStr") != "ARBITER"
        members.append(
            Member(
                str(entry.get("name", "")),
                str(entry.get("stateStr", "")),
                entry.get("health") == 1,
                bool(entry.get("self")),
                max(0.0, (newest[0] - applied).total_seconds()) if known else None,
            )
        )
    return members


def read_members(connection: Connection) -> List[Member]:
    """Members of the replica set; empty on a standalone.

    Raises:
        MaintenanceError: the server refuses.
    """
    if connection.server.topology != "replica set":
        return []
    with mongo_errors("cannot read the state of the replica set", connection.address.where):
        return interpret_members(connection.client.admin.command("replSetGetStatus"))


def read_lag(connection: Connection, server: Server) -> Optional[float]:
    """Seconds that the connected member is behind the primary; None where it is no secondary, or where that is not known.

    Raises:
        MaintenanceError: the server refuses.
    """
    if server.state != "secondary":
        return None
    own = [member for member in read_members(connection) if member.is_self]
    return own[0].lag_seconds if own else None


def lagging_members(connection: Connection, max_lag: float) -> List[str]:
    """Secondaries that are further behind than this many seconds, each with how far; a delay that was asked for does not count.

    Empty on a standalone, and where the user may not read the state of the set.

    Raises:
        MaintenanceError: the server does not answer.
    """
    try:
        members = read_members(connection)
    except MaintenanceError as error:
        if error_number(error.__cause__ or error) == _UNAUTHORIZED:
            return []
        raise
    behind = [member for member in members if member.state == "SECONDARY" and (member.lag_seconds or 0.0) > max_lag]
    delays = _delays(connection) if behind else {}
    return [
        "%s (%s behind)" % (member.name, format_duration(member.lag_seconds or 0.0))
        for member in behind
        if (member.lag_seconds or 0.0) - delays.get(member.name, 0.0) > max_lag
    ]


def interpret_seats(config: Mapping[str, Any]) -> List[Seat]:
    """The members of a configuration, as replSetGetConfig has it. Pure."""
    return [
        Seat(
            str(member["host"]),
            bool(member.get("hidden")),
            float(member.get("priority", 1)),
            int(member.get("votes", 1)),
            float(member.get("secondaryDelaySecs") or member.get("slaveDelay") or 0),
            bool(member.get("arbiterOnly")),
        )
        for member in config.get("members", [])
    ]


def read_seats(connection: Connection) -> List[Seat]:
    """The members as the set's configuration has them.

    Raises:
        MaintenanceError: the server refuses.
    """
    with mongo_errors("cannot read the configuration of the replica set", connection.address.where):
        return interpret_seats(connection.client.admin.command("replSetGetConfig")["config"])


def _delays(connection: Connection) -> Dict[str, float]:
    """Seconds that members are to be behind, by their names; empty where the user may not read it."""
    try:
        return {seat.name: seat.delay_seconds for seat in read_seats(connection)}
    except MaintenanceError:
        return {}


def read_server(connection: Connection) -> Server:
    """The connected server as it is at this moment: a member's state changes at any time.

    Raises:
        MaintenanceError: the server does not answer.
    """
    with mongo_errors("cannot read the state of the server", connection.address.where):
        hello = dict(connection.client.admin.command("hello"))
    known = connection.server
    return replace(describe_server(hello, {}), version=known.version, version_array=known.version_array)


def read_server_process(connection: Connection) -> str:
    """What tells the server's process from the one before and after a restart; "" for a server that does not say.

    Raises:
        MaintenanceError: the server does not answer.
    """
    with mongo_errors("cannot read the state of the server", connection.address.where):
        hello = connection.client.admin.command("hello")
    return str((hello.get("topologyVersion") or {}).get("processId", ""))


def read_snapshot_window(connection: Connection) -> float:
    """Seconds for which deleted documents are kept for snapshots; the server's default where the user may not read it."""
    name = "minSnapshotHistoryWindowInSeconds"
    try:
        with mongo_errors("cannot read a parameter", connection.address.where):
            return float(connection.client.admin.command({"getParameter": 1, name: 1})[name])
    except MaintenanceError:
        return DEFAULT_SNAPSHOT_WINDOW


def oplog_window_seconds(connection: Connection) -> Optional[float]:
    """Seconds between the oldest and the newest entry of the oplog: how long a member may be away. None without an oplog.

    Raises:
        MaintenanceError: the server refuses.
    """
    if connection.server.topology != "replica set":
        return None
    with mongo_errors("cannot read the oplog", "local.oplog.rs"):
        oplog = connection.client.local["oplog.rs"]
        ends = [oplog.find_one({}, {"ts": 1}, sort=[("$natural", direction)]) for direction in (1, -1)]
    if not all(ends):
        return None
    return float(ends[1]["ts"].time - ends[0]["ts"].time)
