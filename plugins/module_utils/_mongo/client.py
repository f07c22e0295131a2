# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one way to a MongoDB server: a connection that is proven to be one."""

from __future__ import annotations

import atexit
import re
import sys
import warnings
from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .._core.arguments import ArgumentSpec
from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .address import Address, resolve, uri_error
from .errors import error_number, mongo_errors
from .name_resolution import Redirection

try:
    import pymongo
    from pymongo import errors as driver
except ImportError:  # pragma: no cover - address.resolve says so
    pass

AUTHENTICATION_FAILED = 18

# Where the server is, for modules that may do without one as well; the fragment `mongo.address` documents them.
ADDRESS_ARGUMENTS = ArgumentSpec(
    {
        "uri": {"type": "str", "no_log": True},
        "env_file": {"type": "path"},
        "env_from": {"type": "str", "default": "file"},
        "address": {"type": "str"},
        "tls_files": {"type": "dict", "default": {}},
    },
    mutually_exclusive=[("uri", "env_file")],
)
MONGO_ARGUMENTS = ADDRESS_ARGUMENTS + ArgumentSpec(
    {"connect_timeout": {"type": "int", "default": 5}},
    required_one_of=[("uri", "env_file")],
)

# By which the server knows our connections.
APP_NAME = "miniecom.maintenance"


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

    def __init__(
        self,
        client: Any,
        address: Address,
        hello: Dict[str, Any],
        build: Dict[str, Any],
        redirection: Optional[Redirection] = None,
    ) -> None:
        self.client = client
        self._redirection = redirection
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
        if self._redirection is not None:
            self._redirection.close()

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


def connect(params: Mapping[str, Any], **further: Any) -> Connection:
    """Open a connection, and prove that it is one: a server answers and accepts us.

    Args:
        params: a module's options (uri, env_file, address, connect_timeout in seconds).
        further: options for the driver's client; they win over the connection string.

    Raises:
        MaintenanceError: no connection string, no server, or it does not accept us.
        MissingLibrary: pymongo is missing.
    """
    return open_address(resolve(params), float(params.get("connect_timeout") or 5), **further)


def connect_member(params: Mapping[str, Any], **further: Any) -> Connection:
    """Like connect(), but to one server directly, even where the connection string names a replica set.

    A client of a whole set sends every command but reads to whichever member is the primary at the time, also when the
    one host in the string is a secondary: figures of one member would be taken for another's, and the wrong one compacted.
    Of several hosts it is the one that is the primary now.

    Raises:
        MaintenanceError: as connect().
    """
    address = resolve(params)
    timeout = float(params.get("connect_timeout") or 5)
    if len(address.hosts) == 1 and not address.srv and not address.options.get("loadBalanced"):
        return open_address(replace(address, direct=True), timeout, **further)
    connection = open_address(address, timeout, **further)
    if connection.server.topology != "replica set" or not connection.server.name:
        return connection
    connection.close()
    # By the name that its set has for it, and under which we have just talked to it.
    member = resolve(dict(params, address=connection.server.name), by_its_own_name=True)
    return open_address(member, timeout, **further)


def client_options(address: Address, connect_timeout: float) -> Dict[str, Any]:
    """What we want of the driver's client, whatever the connection string says. Pure.

    Args:
        connect_timeout: in seconds.
    """
    options: Dict[str, Any] = {
        "appname": APP_NAME,
        "serverSelectionTimeoutMS": int(connect_timeout * 1000),
        "connectTimeoutMS": int(connect_timeout * 1000),
        # What the application may read from a lagging member we must not decide on.
        "readPreference": "primary",
    }
    if address.direct:
        options["directConnection"] = True
    return options


def open_address(address: Address, connect_timeout: float = 5.0, **further: Any) -> Connection:
    """Like connect(), for an address at hand."""
    options = dict(client_options(address, connect_timeout), **further)
    # The driver looks names up at any time while the client is open.
    redirection = None
    if address.server_name:
        ((host, port),) = address.hosts
        redirection = Redirection(address.server_name, port, host)
    try:
        client = _client(address.uri, address, options)
        try:
            hello, build = _prove(client, address, options)
        except MaintenanceError:
            client.close()
            raise
    except MaintenanceError:
        if redirection is not None:
            redirection.close()
        raise
    return Connection(client, address, hello, build, redirection)


def _client(uri: str, address: Address, options: Mapping[str, Any]) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            client = pymongo.MongoClient(uri, **options)
    except (driver.PyMongoError, ValueError, OSError, TypeError) as error:
        raise uri_error(error, uri, address.source) from None
    if not address.encrypted:
        _end_without_waiting()
    return client


def _end_without_waiting() -> None:
    """Take back the driver's handler for the end of the process.

    It waits for threads that sleep half a second at a time (PyMongo 4.20, periodic_executor.py), by when each of our
    modules would end. They are daemon threads, which the end of the process ends, and Connection.close() has told the
    servers. A thread in the middle of TLS is another matter: there the handler stays.
    """
    for name in ("pymongo.synchronous.monitor", "pymongo.monitor", "pymongo.periodic_executor"):
        module = sys.modules.get(name)
        for function in ("_shutdown_resources", "_shutdown_monitors", "_shutdown_executors"):
            handler = getattr(module, function, None)
            if handler is not None:
                atexit.unregister(handler)


def _prove(client: Any, address: Address, options: Mapping[str, Any]) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """The server's answers to hello and buildInfo, when it has answered and accepted us."""
    what = "cannot connect to MongoDB"
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
            return hello, dict(client.admin.command("buildInfo"))
    except MaintenanceError as error:
        if error_number(error.__cause__ or error) != AUTHENTICATION_FAILED:
            raise
        state = _state_without_users(address, options)
        if not state:
            raise
        raise MaintenanceError(
            "%s: it refuses every password, also the right one, as %s" % (what, state),
            target=address.where,
            code=error.code,
            next_step="Wait until it is a secondary (rs.status() on another member tells), or give the address of another one.",
        ) from error.__cause__


def _state_without_users(address: Address, options: Mapping[str, Any]) -> str:
    """What a member is that does not know any users (yet); "" where a refused password is just that."""
    client = _client(address.anonymous_uri, address, options)
    try:
        hello = dict(client.admin.command("hello"))
    except driver.PyMongoError:
        return ""
    finally:
        client.close()
    return describe_userless_state(hello)


def describe_userless_state(hello: Mapping[str, Any]) -> str:
    """Why a member may know no users (yet), by its answer to hello; "" where it does know them. Pure.

    Users are data like any other: a member has them once its initial sync has copied them.
    """
    server = describe_server(hello, {})
    if server.topology != "replica set" or server.state in ("primary", "secondary"):
        return ""
    if server.state == "arbiter":
        return "this member is an arbiter (ARBITER), which holds no data and no users"
    if not server.set_name:
        return "this member has not joined its replica set yet (STARTUP)"
    return (
        "this member is neither primary nor secondary: it starts, is in its initial sync (STARTUP2), or recovers"
        " (RECOVERING)"
    )
