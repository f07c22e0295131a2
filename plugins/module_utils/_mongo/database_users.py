# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Making users for maintenance: the steps of mongo_users. A password stands in one file on the host, and nowhere else."""

from __future__ import annotations

import os
import secrets
import stat
from datetime import datetime
from typing import Any, Dict, Optional, Tuple
from urllib.parse import quote, urlencode

from .._core.atomic_file import write_atomic
from .._core.call import Call
from .._core.errors import MaintenanceError, SkipAction
from .._core.late_dataclass import dataclass
from .._core.plan import Action, Outcome, Plan, Report, Results
from .._core.private_dir import private_directory
from .._core.redaction import SECRETS
from .._core.runner import Task
from .._core.state_dir import state_error
from .address import Address, resolve
from .client import Connection, connect, open_address
from .database_roles import (
    KINDS,
    KeepPassword,
    SeenUser,
    SetRole,
    SetUser,
    UserWork,
    name_in_database,
    plan_users,
    privileges_of,
)
from .errors import error_number, mongo_errors
from .storage import SYSTEM_DATABASES

DIRECTORY = "mongo-users"
AUTHENTICATION_FAILED = 18
# As long as anybody would want, and without a character that has to be escaped anywhere.
PASSWORD_BYTES = 32
SHORTEST = 12


@dataclass(frozen=True)
class UsersObservation:
    """What was found. database: the shop's."""

    database: str
    users: Tuple[SeenUser, ...]


def users_file(state_dir: str, database: str, kind: str) -> str:
    """Where the connection string of a user lies."""
    return os.path.join(state_dir, DIRECTORY, "%s.env" % name_in_database(quote(database, safe=""), kind))


def connection_string(address: Address, database: str, kind: str, password: str) -> str:
    """The string for one of the users, to the server of another string, with the options that decide where it leads. Pure."""
    options = {"authSource": "admin"}
    given = address.options
    for name, key in (("replicaset", "replicaSet"), ("tls", "tls"), ("tlscafile", "tlsCAFile")):
        value = next((value for option, value in given.items() if option.lower() == name), None)
        if value not in (None, False):
            options[key] = "true" if value is True else str(value)
    if address.direct:
        options["directConnection"] = "true"
        options.pop("replicaSet", None)
    return "mongodb://%s:%s@%s/%s?%s" % (
        quote(name_in_database(database, kind), safe=""),
        quote(password, safe=""),
        address.where,
        quote(database, safe=""),
        urlencode(options, safe="/"),
    )


class MongoUsers(Task[UsersObservation]):
    """Make users, give them exactly their roles, keep their passwords."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self._given: Dict[str, str] = {str(kind): str(text) for kind, text in (self.params["passwords"] or {}).items()}
        for kind, text in self._given.items():
            SECRETS.register(text)
            if kind not in KINDS or len(text) < SHORTEST:
                raise MaintenanceError(
                    "not a user of these, or a password of fewer than %d characters" % SHORTEST,
                    target="passwords.%s" % kind if kind in KINDS else "passwords",
                    next_step="Users are %s. Without passwords they are made up." % ", ".join(KINDS),
                )
        self._opened: Optional[Connection] = None

    def _connection(self) -> Connection:
        if self._opened is None:
            self._opened = connect(self.params)
        return self._opened

    # --- observe -------------------------------------------------------------------------------------------------

    def observe(self) -> UsersObservation:
        connection = self._connection()
        database = str(self.params["database"] or connection.database_name)
        if not database or database in SYSTEM_DATABASES:
            raise MaintenanceError(
                "these users are for the shop's database, and none is named",
                target=database or connection.address.where,
                next_step="Set database.",
            )
        kinds = [kind for kind in KINDS if kind in self.params["users"]]
        return UsersObservation(database, tuple(self._look(connection, database, kind) for kind in kinds))

    def _look(self, connection: Connection, database: str, kind: str) -> SeenUser:
        name = name_in_database(database, kind)
        with mongo_errors("cannot look at the users and roles of the server", name):
            admin = connection.client.admin
            roles = admin.command("rolesInfo", {"role": name, "db": "admin"}, showPrivileges=True)["roles"]
            users = admin.command("usersInfo", {"user": name, "db": "admin"})["users"]
        path = users_file(self.run.state_dir, database, kind)
        password, safe = read_kept(path, name)
        accepted = None
        if users and password:
            accepted = self._accepts(connection, database, kind, password)
        return SeenUser(
            kind,
            tuple(roles[0].get("privileges", ())) if roles else None,
            tuple(sorted("%(role)s@%(db)s" % entry for entry in roles[0].get("roles", ()))) if roles else (),
            tuple(sorted("%(role)s@%(db)s" % entry for entry in users[0].get("roles", ()))) if users else None,
            password is not None or not safe,
            safe,
            accepted,
            password is None or read_string(path) == connection_string(connection.address, database, kind, password),
            kind not in self._given or password == self._given[kind],
        )

    def _accepts(self, connection: Connection, database: str, kind: str, password: str) -> bool:
        text = connection_string(connection.address, database, kind, password)
        address = resolve({"uri": text, "tls_files": self.params["tls_files"]})
        try:
            open_address(address, float(self.params.get("connect_timeout") or 5)).close()
        except MaintenanceError as error:
            if error_number(error.__cause__ or error) == AUTHENTICATION_FAILED:
                return False
            raise
        return True

    def plan(self, observation: UsersObservation, now: datetime) -> Plan[UserWork]:
        return plan_users(observation.users, observation.database, self.params["rotate"])

    # --- act -----------------------------------------------------------------------------------------------------

    def _set_role(self, action: Action[SetRole], observation: UsersObservation) -> Outcome:
        work = action.work
        with mongo_errors("cannot make the role", action.target):
            self._connection().client.admin.command(
                "createRole" if work.create else "updateRole",
                action.target,
                privileges=privileges_of(work.kind, observation.database),
                roles=[],
                writeConcern={"w": "majority"},
            )
        return Outcome()

    def _keep(self, action: Action[KeepPassword], observation: UsersObservation) -> Outcome:
        work, database = action.work, observation.database
        path = users_file(self.run.state_dir, database, work.kind)
        kept, _safe = read_kept(path, action.target)
        password = self._given.get(work.kind) or secrets.token_urlsafe(PASSWORD_BYTES)
        if not work.fresh:
            if kept is None:
                raise SkipAction("the file is gone")
            password = kept
        SECRETS.register(password)
        text = "MONGO_URI='%s'\n" % connection_string(self._connection().address, database, work.kind, password)
        try:
            private_directory(self.run.state_dir, DIRECTORY)
            write_atomic(path, text.encode(), 0o600)
        except OSError as error:
            raise state_error("cannot keep the password", path, error) from error
        return Outcome(note=path)

    def _set_user(self, action: Action[SetUser], observation: UsersObservation) -> Outcome:
        work = action.work
        command: Dict[str, Any] = {
            "createUser" if work.create else "updateUser": action.target,
            "roles": [{"role": action.target, "db": "admin"}],
            "writeConcern": {"w": "majority"},
        }
        if work.password:
            password, _safe = read_kept(users_file(self.run.state_dir, observation.database, work.kind), action.target)
            if password is None:
                raise MaintenanceError(
                    "the file with its password is gone", target=action.target, next_step="Run again."
                )
            command["pwd"] = password
        with mongo_errors("cannot make the user", action.target):
            self._connection().client.admin.command(command)
        return Outcome()

    handlers = {SetRole: _set_role, KeepPassword: _keep, SetUser: _set_user}

    def report(
        self, observation: UsersObservation, plan: Plan[UserWork], results: Results[UserWork, UsersObservation]
    ) -> Report:
        names = sorted({action.target for action in results.effective})
        users = [
            {
                "name": name_in_database(observation.database, user.kind),
                "kind": user.kind,
                "file": users_file(self.run.state_dir, observation.database, user.kind),
            }
            for user in observation.users
        ]
        return Report(
            "%s %s" % (results.words("made or put right", "would make or put right"), ", ".join(names))
            if names
            else "%d users are as they should be" % len(users),
            changed=bool(results.effective),
            summary={"users": len(users), "users_changed": len(names)},
            values={"users": users},
        )

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()


def read_string(path: str) -> Optional[str]:
    """The connection string of a file of ours; None where there is none. What it holds is a secret from now on."""
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            text = handle.read(65536)
    except OSError:
        return None
    key, _equals, value = text.partition("=")
    value = value.strip().strip("'")
    SECRETS.register_uri(value)
    return value if key == "MONGO_URI" and value else None


def read_kept(path: str, name: str) -> Tuple[Optional[str], bool]:
    """The password in a file, None where there is none, and whether the file is closed to others and this user's.

    Raises:
        MaintenanceError: it cannot be read.
    """
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None, True
    except OSError as error:
        raise state_error("cannot look at the file with a password", path, error) from error
    if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077 or status.st_uid not in (0, os.geteuid()):
        return None, False
    text = read_string(path)
    address = _resolved(text)
    if address is None or address.username != name:
        return None, False
    return address.password, True


def _resolved(text: Optional[str]) -> Optional[Address]:
    if text is None:
        return None
    try:
        return resolve({"uri": text})
    except MaintenanceError:
        return None
