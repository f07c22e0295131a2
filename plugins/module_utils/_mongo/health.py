# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a server is doing: connections, the oldest operation, index use, replication.

Nothing here returns the content of an operation, which holds customers' data: only its kind and its collection.
"""

from __future__ import annotations

from dataclasses import field
from datetime import datetime, timezone
from typing import Any, Callable, Dict, List, Mapping, Optional, TypeVar

from .._core.clock import format_utc
from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .client import Connection
from .errors import error_number, mongo_errors
from .topology import oplog_window_seconds, read_members

UNAUTHORIZED = 13
# No question of ours may burden a server that is already slow.
MAX_TIME_MS = 10000
Value = TypeVar("Value")


@dataclass(frozen=True)
class IndexUse:
    """One index and how often it was used.

    Attributes:
        accesses: since `since`, on this member only.
        spec: its whole definition.
    """

    name: str
    keys: Mapping[str, Any]
    accesses: int
    since: Optional[datetime]
    unique: bool
    ttl_seconds: Optional[float]
    spec: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> Dict[str, Any]:
        return {
            "keys": {key: value if isinstance(value, (int, str)) else str(value) for key, value in self.keys.items()},
            "accesses": self.accesses,
            "accesses_since": format_utc(self.since) if self.since else None,
            "unique": self.unique,
            "ttl_seconds": self.ttl_seconds,
        }


def _utc(moment: Any) -> Optional[datetime]:
    if not isinstance(moment, datetime):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    # As they are written down: whole seconds.
    return moment.replace(microsecond=0)


def interpret_index(entry: Mapping[str, Any]) -> IndexUse:
    """One document of $indexStats as data."""
    spec = entry.get("spec") or {}
    accesses = entry.get("accesses") or {}
    ttl = spec.get("expireAfterSeconds")
    return IndexUse(
        str(entry.get("name", "")),
        dict(entry.get("key") or {}),
        int(accesses.get("ops", 0)),
        _utc(accesses.get("since")),
        bool(spec.get("unique")),
        float(ttl) if ttl is not None else None,
        dict(spec, name=str(entry.get("name", "")), key=dict(entry.get("key") or {})),
    )


class Prober:
    """Asks what the user may ask; what it may not is left out, with one warning for each kind of question."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.warnings: List[str] = []

    def ask(self, what: str, question: Callable[[], Value], role: str = "clusterMonitor on admin") -> Optional[Value]:
        """The answer, or None when the user lacks the privilege.

        Args:
            role: that allows it.

        Raises:
            MaintenanceError: the server fails otherwise.
        """
        try:
            with mongo_errors("cannot read %s" % what, self._connection.address.where):
                return question()
        except MaintenanceError as error:
            if error_number(error.__cause__ or error) != UNAUTHORIZED:
                raise
            warning = "The user may not read %s; the role %s allows it." % (what, role)
            if warning not in self.warnings:
                self.warnings.append(warning)
            return None

    def index_use(self, database: str, collection: str) -> Dict[str, IndexUse]:
        """Use of each index by name; empty when it cannot be asked."""

        def question() -> List[Mapping[str, Any]]:
            stages: List[Any] = [{"$indexStats": {}}]
            # As a command: the server has names of which the driver makes no collection. One batch holds all: of 64 indexes
            # at most, through mongos on each shard.
            answer = self._connection.client[database].command(
                "aggregate", collection, pipeline=stages, cursor={"batchSize": 10_000}, maxTimeMS=MAX_TIME_MS
            )
            return list(answer["cursor"]["firstBatch"])

        found = self.ask("the use of indexes", question) or []
        return {use.name: use for use in map(interpret_index, found)}

    def health(self) -> Dict[str, Any]:
        """Connections, oldest operation and replication; None for what the user may not read."""
        connection = self._connection
        status = self.ask("the server's status", lambda: connection.client.admin.command("serverStatus")) or {}
        connections = status.get("connections") or {}
        members = self.ask("the state of the replica set", lambda: read_members(connection))
        lags = [member.lag_seconds for member in members or [] if member.lag_seconds is not None]
        return {
            "uptime_seconds": int(status["uptime"]) if "uptime" in status else None,
            "connections": {key: int(connections[key]) for key in ("current", "available") if key in connections}
            or None,
            "oldest_operation": self.oldest_operation(),
            "members": [member.as_dict() for member in members] if members is not None else None,
            "replication_lag_seconds": max(lags) if lags else None,
            "oplog_window_seconds": self.ask("the oplog", lambda: oplog_window_seconds(connection)),
        }

    def oldest_operation(self) -> Optional[Dict[str, Any]]:
        """The client operation that runs longest; one's own only, where the privilege for others' is missing."""

        def question(all_users: bool) -> List[Mapping[str, Any]]:
            stages: List[Any] = [
                {"$currentOp": {"allUsers": all_users, "idleConnections": False}},
                {
                    "$match": {
                        "active": True,
                        "op": {"$nin": ["none", ""]},
                        "client": {"$exists": True},
                        "command.aggregate": {"$ne": 1},
                        "command.hello": {"$exists": False},
                    }
                },
                {"$sort": {"microsecs_running": -1}},
                {"$limit": 1},
                {
                    "$project": {
                        "op": 1,
                        "ns": 1,
                        "microsecs_running": 1,
                        "waitingForLock": 1,
                        "names": {"$objectToArray": "$command"},
                    }
                },
                {"$project": {"op": 1, "ns": 1, "microsecs_running": 1, "waitingForLock": 1, "names.k": 1}},
            ]
            return list(self._connection.client.admin.aggregate(stages, maxTimeMS=MAX_TIME_MS))

        found = self.ask("other users' operations", lambda: question(True))
        if found is None:
            found = self.ask("one's own operations", lambda: question(False))
        if not found:
            return None
        entry = found[0]
        names = entry.get("names") or [{}]
        return {
            "operation": str(names[0].get("k") or entry.get("op", "")),
            "namespace": str(entry.get("ns", "")),
            "seconds": round(float(entry.get("microsecs_running", 0)) / 1e6, 3),
            "waiting_for_lock": bool(entry.get("waitingForLock")),
        }

    def server(self) -> Dict[str, Any]:
        """Kind and settings of the server; None for what the user may not read."""
        connection = self._connection
        answer = self.ask("the server's settings", lambda: connection.client.admin.command("getCmdLineOpts")) or {}
        parsed = answer.get("parsed")
        security = (parsed or {}).get("security") or {}
        net = (parsed or {}).get("net") or {}
        return {
            "address": connection.address.where,
            "version": connection.server.version,
            "topology": connection.server.topology,
            "state": connection.server.state,
            "set_name": connection.server.set_name or None,
            # Any of these makes the server ask for credentials.
            "authorization": None
            if parsed is None
            else security.get("authorization") == "enabled"
            or bool(security.get("keyFile"))
            or bool(security.get("clusterAuthMode")),
            "bind": None if parsed is None else ("*" if net.get("bindIpAll") else net.get("bindIp")),
        }
