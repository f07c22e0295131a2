# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replica sets of several members, and what each of them was asked."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.sandbox.mongod import Mongod

SET = "rs0"


class Member(Mongod):
    """A server that another one takes into its set: it answers, and nothing more is done to it."""

    def _set_up(self) -> None:
        pass


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Return the first true value of a condition; AssertionError when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "the condition did not come about"
        time.sleep(0.05)
    return found


def hello(server: Mongod, answers: bool = True) -> dict[str, Any]:
    """What a member says of itself; needs no authentication.

    answers: it is running. Of one that may stand still nothing is said if it does not answer soon.
    """
    import pymongo

    seconds = 30_000 if answers else 2_000
    limits = {"serverSelectionTimeoutMS": seconds, "connectTimeoutMS": seconds, "socketTimeoutMS": seconds}
    try:
        with pymongo.MongoClient("127.0.0.1", server.port, directConnection=True, **limits) as client:
            return dict(client.admin.command("hello"))
    except pymongo.errors.ConnectionFailure:
        if answers:
            raise
        return {}


# A member that was added before has become ready, and gets its vote by a configuration of the primary's own making.
_OTHER_CONFIGURATION = (
    103,
    109,
    308,
)  # NewReplicaSetConfigurationIncompatible, ConfigurationInProgress, CurrentConfigNotCommittedYet


def add(primary: Mongod, member: Mongod, **settings: Any) -> None:
    """Take a running member into the set of a primary; it need not be ready on return."""
    import pymongo

    def added() -> bool:
        with primary.client() as client:
            config = client.admin.command("replSetGetConfig")["config"]
            config["version"] += 1
            config["members"].append({"_id": len(config["members"]), "host": member.address, **settings})
            try:
                client.admin.command("replSetReconfig", config)
            except pymongo.errors.OperationFailure as error:
                if error.code not in _OTHER_CONFIGURATION:
                    raise
                return False
        return True

    wait_for(added)


@contextmanager
def two_members(
    directory: Path, version: str, parameters: dict[str, str] | None = None, **settings: Any
) -> Iterator[tuple[Mongod, Mongod]]:
    """A primary and a secondary, without authentication.

    parameters: of both servers.
    settings: of the secondary in the set's configuration.
    """
    with (
        Mongod(directory / "one", replica_set=SET, version=version, parameters=parameters) as primary,
        Member(directory / "two", replica_set=SET, version=version, parameters=parameters) as secondary,
    ):
        add(primary, secondary, **settings)
        wait_for(lambda: hello(secondary).get("secondary"))
        yield primary, secondary


def step_down(primary: Mongod, successor: Mongod) -> None:
    """Make another member the primary."""
    with primary.client() as client:
        client.admin.command("replSetStepDown", 60, secondaryCatchUpPeriodSecs=30)
    wait_for(lambda: hello(successor).get("isWritablePrimary"))
    with primary.client() as client:
        # Else it could not become the primary again within the minute.
        client.admin.command("replSetFreeze", 0)


def times_asked(server: Mongod, command: str) -> int:
    """How often a server was given a command since its start, whether it carried it out or refused."""
    with server.client() as client:
        return int(client.admin.command("serverStatus")["metrics"]["commands"][command]["total"])


def voting_members(primary: Mongod) -> int:
    """How many members have a vote by now."""
    with primary.client() as client:
        return int(client.admin.command("replSetGetStatus")["votingMembersCount"])


@contextmanager
def three_members(
    directory: Path, version: str, parameters: dict[str, str] | None = None
) -> Iterator[tuple[Mongod, Mongod, Mongod]]:
    """A primary, a secondary that may become it, and a hidden one that may not, with authentication."""
    first = Mongod(directory / "one", auth=True, replica_set=SET, version=version, parameters=parameters)
    others = [
        Member(
            directory / name,
            auth=True,
            replica_set=SET,
            version=version,
            parameters=parameters,
            root_password=first.root_password,
        )
        for name in ("two", "three")
    ]
    with first:
        for member in others:
            member.directory.mkdir()
            shutil.copy2(first.directory / "keyfile", member.directory / "keyfile")
        with others[0], others[1]:
            for member, settings in zip(others, ({}, {"priority": 0, "hidden": True}), strict=True):
                add(first, member, **settings)
                wait_for(partial(lambda new: hello(new).get("secondary"), member))
            # A new member votes a moment after it is ready: until then the primary would miss any other one.
            wait_for(lambda: voting_members(first) == 3)
            yield first, others[0], others[1]
