# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one way to a MongoDB server: a connection that is proven to be one."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .._core.arguments import ArgumentSpec
from .._core.errors import MaintenanceError
from .address import Address, resolve, uri_error
from .errors import mongo_errors

try:
    import pymongo
    from pymongo import errors as driver
except ImportError:  # pragma: no cover - address.resolve says so
    pass

MONGO_ARGUMENTS = ArgumentSpec(
    {
        "uri": {"type": "str", "no_log": True},
        "env_file": {"type": "path"},
        "address": {"type": "str"},
        "connect_timeout": {"type": "int", "default": 5},
    },
    required_one_of=[("uri", "env_file")],
    mutually_exclusive=[("uri", "env_file")],
)


@dataclass(frozen=True)
class Server:
    """What kind of server answered.

    Attributes:
        version: as the server reports it ("7.0.14").
        version_array: its first three numbers.
        topology: standalone, replica set or mongos.
        state: primary, secondary, arbiter or other; primary on a standalone and a mongos.
    """

    version: str
    version_array: Tuple[int, ...]
    topology: str
    state: str
    set_name: str = ""
    name: str = ""


class Connection:
    """An open, authenticated connection. A context manager.

    Attributes:
        client: the driver's client.
        address: what it was opened with.
        database_name: the database in the connection string, "" when it names none.
        server: kind and version of the server.
        hello: its answer to hello.
    """

    def __init__(self, client: Any, address: Address, hello: Dict[str, Any], build: Dict[str, Any]) -> None:
        self.client = client
        self.address = address
        self.database_name = address.database
        self.hello = hello
        self.server = describe_server(hello, build)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self.close()

    def close(self) -> None:
        self.client.close()

    def databases(self) -> List[str]:
        """Names of the databases that this user may see, the server's own included."""
        with mongo_errors("cannot list the databases", self.address.where):
            answer = self.client.admin.command("listDatabases", nameOnly=True, authorizedDatabases=True)
        return sorted(entry["name"] for entry in answer["databases"])

    def require_database(self, name: Optional[str] = None) -> str:
        """The database to work on: the one named, else the connection string's; it must exist.

        Raises:
            MaintenanceError: none is named, or there is no such database.
        """
        wanted = name or self.database_name
        if not wanted:
            raise MaintenanceError(
                "the connection string names no database",
                target=self.address.where,
                next_step="Write it behind the hosts (mongodb://HOST:PORT/DATABASE) or give the option for it.",
            )
        # A user may well read a database whose name listDatabases hides from it: ask the database itself then.
        known = self.databases()
        if wanted not in known and not self._has_collections(wanted):
            raise MaintenanceError(
                "there is no database of this name, or this user may not see it",
                target="%s on %s" % (wanted, self.address.where),
                next_step="Databases that it may see: %s." % (", ".join(known) or "none"),
            )
        return wanted

    def _has_collections(self, name: str) -> bool:
        try:
            return bool(self.client[name].list_collection_names())
        except driver.PyMongoError:
            return False


def describe_server(hello: Mapping[str, Any], build: Mapping[str, Any]) -> Server:
    """Kind and version of a server from its answers to hello and buildInfo."""
    if hello.get("msg") == "isdbgrid":
        topology = "mongos"
    elif hello.get("setName") or hello.get("isreplicaset"):
        topology = "replica set"
    else:
        topology = "standalone"
    if topology != "replica set" or hello.get("isWritablePrimary") or hello.get("ismaster"):
        state = "primary"
    elif hello.get("secondary"):
        state = "secondary"
    elif hello.get("arbiterOnly"):
        state = "arbiter"
    else:
        state = "other"
    numbers = [int(number) for number in build.get("versionArray", [])[:3]]
    if not numbers:
        numbers = [int(number) for number in re.findall(r"\d+", str(build.get("version", "")))[:3]]
    return Server(
        str(build.get("version", "")),
        tuple(numbers),
        topology,
        state,
        str(hello.get("setName", "")),
        str(hello.get("me", "")),
    )


def connect(params: Mapping[str, Any], **client_options: Any) -> Connection:
    """Open a connection, and prove that it is one: a server answers and accepts us.

    Args:
        params: a module's options (uri, env_file, address, connect_timeout in seconds).
        client_options: further options for the driver's client; they win over the connection string.

    Raises:
        MaintenanceError: no connection string, no server, or it does not accept us.
        MissingLibrary: pymongo is missing.
    """
    return open_address(resolve(params), float(params.get("connect_timeout") or 5), **client_options)


def open_address(address: Address, connect_timeout: float = 5.0, **client_options: Any) -> Connection:
    """Like connect(), for an address at hand."""
    options: Dict[str, Any] = {
        "appname": "miniecom.maintenance",
        "serverSelectionTimeoutMS": int(connect_timeout * 1000),
        "connectTimeoutMS": int(connect_timeout * 1000),
        # What the application may read from a lagging member we must not decide on.
        "readPreference": "primary",
    }
    if address.direct:
        options["directConnection"] = True
    options.update(client_options)
    what = "cannot connect to MongoDB"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            client: Any = pymongo.MongoClient(address.uri, **options)
    except (driver.PyMongoError, ValueError, OSError, TypeError) as error:
        raise uri_error(error, address.uri, address.source) from None
    try:
        with mongo_errors(what, address.where, address):
            hello = dict(client.admin.command("hello"))
            if not hello.get("arbiterOnly"):
                # ping and hello also succeed without any credentials: only a command that needs them proves something.
                client.admin.command(
                    "listDatabases",
                    nameOnly=True,
                    authorizedDatabases=True,
                    filter={"name": address.database or "admin"},
                )
            build = dict(client.admin.command("buildInfo"))
    except MaintenanceError:
        client.close()
        raise
    return Connection(client, address, hello, build)
