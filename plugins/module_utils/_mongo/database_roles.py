# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Users of the database for maintenance, each with what its work needs and no more. Pure.

They and their roles lie in the database admin, as some of what they may do concerns the server, and bear the name of the
shop's database, as a server may hold several shops.
"""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, List, Mapping, Optional, Sequence, Tuple, Union

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .._core.plan import Action, Kept, Plan

KINDS = ("observer", "maintainer", "restorer")

# A resource: of the server, of all the database's own collections, of the buckets of its time series, or a single one.
CLUSTER = "cluster"
DATABASE = "database"
BUCKETS = "buckets"
PROFILE = "profile"
OPLOG = "oplog"

_LOOK = frozenset(("collStats", "dbStats", "find", "indexStats", "listCollections", "listIndexes", "killCursors"))
_LOOK_SERVER = frozenset(
    ("getCmdLineOpts", "getLog", "getParameter", "inprog", "replSetGetConfig", "replSetGetStatus", "serverStatus")
)
_WRITE = frozenset(("createCollection", "createIndex", "insert", "remove", "update"))

PRIVILEGES: Mapping[str, Mapping[str, FrozenSet[str]]] = {
    # mongo_info, mongo_orphans as a report, health checks.
    "observer": {
        CLUSTER: _LOOK_SERVER,
        DATABASE: _LOOK,
        BUCKETS: frozenset(("collStats", "find", "indexStats", "listIndexes")),
        PROFILE: frozenset(("find",)),
        OPLOG: frozenset(("find",)),
    },
    # The same, backups, compaction (for which a primary may have to step down), rebuilding and validating, archives of orphans, the
    # application's maintenance setting.
    "maintainer": {
        CLUSTER: _LOOK_SERVER | {"fsync", "replSetStateChange", "unlock"},
        DATABASE: _LOOK | _WRITE | {"compact", "reIndex", "validate", "bypassDocumentValidation"},
        BUCKETS: frozenset(("collStats", "compact", "find", "indexStats", "listIndexes", "validate")),
        PROFILE: frozenset(("find",)),
        OPLOG: frozenset(("find",)),
    },
    # mongo_restore into the live database: collections beside the live ones, renamed over them.
    "restorer": {
        CLUSTER: _LOOK_SERVER,
        DATABASE: _LOOK
        | _WRITE
        | {"bypassDocumentValidation", "collMod", "dropCollection", "dropIndex", "renameCollectionSameDB"},
        BUCKETS: frozenset(
            (
                "collStats",
                "createCollection",
                "createIndex",
                "dropCollection",
                "find",
                "insert",
                "listIndexes",
                "update",
            )
        ),
        PROFILE: frozenset(("find",)),
        OPLOG: frozenset(("find",)),
    },
}


def name_in_database(database: str, kind: str) -> str:
    """Of the user, and of its role."""
    return "%s-%s" % (database, kind)


def resource_of(name: str, database: str) -> Dict[str, Any]:
    """A resource as the server writes it."""
    resources: Dict[str, Dict[str, Any]] = {
        CLUSTER: {"cluster": True},
        DATABASE: {"db": database, "collection": ""},
        BUCKETS: {"db": database, "system_buckets": ""},
        PROFILE: {"db": database, "collection": "system.profile"},
        OPLOG: {"db": "local", "collection": "oplog.rs"},
    }
    return resources[name]


def privileges_of(kind: str, database: str) -> List[Dict[str, Any]]:
    """The privileges of a role, as createRole wants them."""
    return [
        {"resource": resource_of(name, database), "actions": sorted(actions)}
        for name, actions in PRIVILEGES[kind].items()
    ]


def same_privileges(one: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> bool:
    """Whether two lists allow the same; neither order counts."""

    def plain(privileges: Sequence[Mapping[str, Any]]) -> List[Tuple[Any, Any]]:
        return sorted(
            (sorted((str(key), str(value)) for key, value in entry["resource"].items()), sorted(entry["actions"]))
            for entry in privileges
        )

    return plain(one) == plain(other)


@dataclass(frozen=True)
class SeenUser:
    """One of the users as it is.

    Attributes:
        role: privileges of its role; None where there is none. role_inherits: roles that this has besides.
        roles: of the user, as role@database; None where there is no such user.
        kept: a file with its connection string lies on the host.
        safe: that file is closed to others, and is ours.
        accepted: the server takes the password in it; None where nobody could ask.
        same_place: the string in it is the one that would be written today, but for the password.
        same_password: the password in it is the one that was given; True where none was.
    """

    kind: str
    role: Optional[Tuple[Mapping[str, Any], ...]] = None
    role_inherits: Tuple[str, ...] = ()
    roles: Optional[Tuple[str, ...]] = None
    kept: bool = False
    safe: bool = True
    accepted: Optional[bool] = None
    same_place: bool = True
    same_password: bool = True


@dataclass(frozen=True)
class SetRole:
    """Give a role exactly its privileges. create: there is none yet."""

    kind: str
    create: bool


@dataclass(frozen=True)
class KeepPassword:
    """Write the user's connection string into its file, before the server learns of it.

    Attributes:
        fresh: with a new password; else with the one that the file has.
    """

    kind: str
    fresh: bool


@dataclass(frozen=True)
class SetUser:
    """Give a user its role and the password in its file. create: there is none yet."""

    kind: str
    create: bool
    password: bool


UserWork = Union[SetRole, KeepPassword, SetUser]


def _refuse_anothers(user: SeenUser, name: str, wanted: Sequence[Mapping[str, Any]]) -> None:
    """Raises MaintenanceError: nothing says that the user or role of this name was made here, and it is put to another use."""
    if user.kept:
        return
    if user.roles is not None and "%s@admin" % name not in user.roles:
        what = "a user of this name is there that was not made here (its roles: %s)" % (", ".join(user.roles) or "none")
    elif user.roles is None and user.role is not None and not same_privileges(user.role, wanted):
        what = "a role of this name is there that was not made here, with other privileges"
    else:
        return
    raise MaintenanceError(
        what,
        target=name,
        next_step="Nothing was changed. Whoever uses it would lose it: give it another name, or drop it, and run again.",
    )


def plan_users(seen: Sequence[SeenUser], database: str, rotate: Sequence[str]) -> Plan[UserWork]:
    """What is to be made or put right, user by user. The file always comes before the server: killed between the two, the next
    call gives the server what the file has. Pure.

    Args:
        rotate: the kinds that get a new password.

    Raises:
        MaintenanceError: a file is another one's, or open to others; or a user or role is another one's.
    """
    plan: Plan[UserWork] = Plan()
    for user in seen:
        name = name_in_database(database, user.kind)
        if user.kept and not user.safe:
            raise MaintenanceError(
                "the file with the connection string is open to others, or no file of this user's",
                target=name,
                next_step="Look who may have read it, remove it, and run again: the user gets a new password.",
            )
        wanted = privileges_of(user.kind, database)
        _refuse_anothers(user, name, wanted)
        before = len(plan.actions)
        if user.role is None:
            plan.actions.append(Action("create_role", name, "there is no such role", SetRole(user.kind, True)))
        elif user.role_inherits or not same_privileges(user.role, wanted):
            reason = "it may more or less than its work needs"
            plan.actions.append(Action("update_role", name, reason, SetRole(user.kind, False)))
        turn = user.kind in rotate
        fresh = turn or not user.kept or not user.same_password
        if fresh or not user.same_place:
            reason = "a new password is asked for" if turn else "there is no file with its connection string"
            if user.kept and not turn:
                reason = "it has another password than was given" if fresh else "it names another server or database"
            plan.actions.append(Action("keep_password", name, reason, KeepPassword(user.kind, fresh)))
        if user.roles is None:
            plan.actions.append(Action("create_user", name, "there is no such user", SetUser(user.kind, True, True)))
        else:
            other_roles = user.roles != ("%s@admin" % name,)
            password = fresh or user.accepted is False
            if other_roles or password:
                reason = "it has other roles than its own" if other_roles else "its password is not that of its file"
                plan.actions.append(Action("update_user", name, reason, SetUser(user.kind, False, password)))
        if len(plan.actions) == before:
            plan.kept.append(Kept(name, "it is as it should be"))
    return plan
