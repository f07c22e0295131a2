# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restoring beside the live collections: what the server may do to them meanwhile, and who else is seen there."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from pymongo.errors import OperationFailure

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import staging
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.archive import CollectionMetadata, Totals
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.dump import DumpSource
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.swap import COLLECTION, Journal, Side, Swap

ID = {"v": 2, "key": {"_id": 1}, "name": "_id_"}
PLAIN = {"v": 2, "key": {"userId": 1}, "name": "userId_1"}
TTL = {"v": 2, "key": {"expiresAt": 1}, "name": "expiresAt_1", "expireAfterSeconds": 0}


class Server:
    """Knows indexes, and forgets the expired documents of a collection as soon as an index lets it."""

    def __init__(self) -> None:
        self.indexes: list[dict[str, Any]] = [ID]
        self.server = SimpleNamespace(version="7.0.5")
        self.client = {"shop": self}
        self.asked: list[dict[str, Any]] = []

    def command(self, name: str, collection: str, **options: Any) -> None:
        assert (name, collection[-5:]) in (("create", "new.0"), ("createIndexes", "new.0"))
        self.indexes += options.get("indexes", [])

    def sources(self, _connection: Any, _database: str) -> list[DumpSource]:
        metadata = json.dumps({"indexes": self.indexes})
        return [DumpSource("miniecom_restore.t.new.0", COLLECTION, "miniecom_restore.t.new.0", metadata, uuid="n")]

    def read(self, _connection: Any, _database: str, _name: str) -> Any:
        gone = TTL in self.indexes
        return SimpleNamespace(documents=0 if gone else 3, sha256=Totals().sha256)


def test_documents_that_have_expired_are_proven_before_the_server_may_remove_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server: Any = Server()
    head = CollectionMetadata("shop", "sessions", COLLECTION, json.dumps({"indexes": [ID, PLAIN, TTL]}))
    reader: Any = SimpleNamespace(
        prelude=SimpleNamespace(server_version="7.0.2", collections=(head,)),
        totals={("shop", "sessions"): Totals(documents=3)},
        batches=lambda: iter(()),
    )
    journal = Journal("t", "shop", swaps=(Swap(0, "sessions", Side(), Side(COLLECTION)),))
    monkeypatch.setattr(staging, "list_sources", server.sources)
    monkeypatch.setattr(staging, "read_collection", server.read)
    staging.stage(server, "shop", journal, reader)
    assert server.indexes == [ID, PLAIN]
    journal, differences = staging.prove(server, "shop", journal, reader)
    assert not differences
    assert server.indexes == [ID, PLAIN, TTL]
    assert (journal.swaps[0].new.uuid, journal.swaps[0].new.documents) == ("n", 3)


@pytest.mark.parametrize(
    ("may_see_all", "others", "seen"),
    [
        (True, ["api"], ["api from 10.0.0.2"]),
        (True, [], []),
        (False, ["api"], ["api from 10.0.0.2"]),  # connected as the same user
        (False, [], None),
    ],
)
def test_without_the_privilege_the_connections_of_the_same_user_are_seen(
    may_see_all: bool, others: list[str], seen: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "GONE_WITHIN", 0)

    def aggregate(pipeline: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if pipeline[0]["$currentOp"]["allUsers"] and not may_see_all:
            raise OperationFailure("not authorized", 13)
        return [{"client": "10.0.0.2:5000", "appName": name} for name in (staging.APP_NAME, *others)]

    connection: Any = SimpleNamespace(
        client=SimpleNamespace(admin=SimpleNamespace(aggregate=aggregate)), address=SimpleNamespace(where="db:1")
    )
    assert staging.other_clients(connection) == seen


def test_who_was_stopped_a_moment_ago_is_nobody() -> None:
    answers = [["api", "worker"], ["worker"], []]

    def aggregate(_pipeline: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{"client": "10.0.0.2:5000", "appName": name} for name in answers.pop(0)]

    connection: Any = SimpleNamespace(
        client=SimpleNamespace(admin=SimpleNamespace(aggregate=aggregate)), address=SimpleNamespace(where="db:1")
    )
    assert staging.other_clients(connection) == []
    assert not answers


def test_what_was_written_to_the_old_collections_is_seen_unless_they_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, expiring = json.dumps({"indexes": [ID, PLAIN]}), json.dumps({"indexes": [ID, TTL]})
    swaps = tuple(
        Swap(number, name, Side(COLLECTION, metadata, name, 2, "then"), Side(COLLECTION))
        for number, (name, metadata) in enumerate(
            [("orders", plain), ("carts", plain), ("users", plain), ("sessions", expiring)]
        )
    )
    read = {"old.0": (2, "then"), "old.1": (3, "now"), "old.2": (2, "now")}
    monkeypatch.setattr(
        staging,
        "read_collection",
        lambda _connection, _database, name: SimpleNamespace(
            **dict(zip(("documents", "sha256"), read[name.partition(".t.")[2]], strict=True))
        ),
    )
    connection: Any = None
    journal = Journal("t", "shop", swaps=(*swaps, Swap(9, "new", Side(), Side(COLLECTION))))
    assert staging.written_meanwhile(connection, journal) == ["carts", "users"]
