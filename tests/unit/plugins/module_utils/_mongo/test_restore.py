# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
from types import SimpleNamespace
from typing import Any

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import dump, restore, throwaway
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.archive import CollectionMetadata


def metadata(options: dict[str, object] | None = None, **indexes: object) -> str:
    listed = [
        {"name": name, **(index if isinstance(index, dict) else {"key": index})} for name, index in indexes.items()
    ]
    return json.dumps({"options": options or {}, "indexes": listed})


A = {"key": {"a": 1, "b": 1}, "unique": True}


@pytest.mark.parametrize(
    ("wanted", "found", "lines"),
    [
        (metadata(), metadata(), []),
        (metadata(a=A), metadata(a=A), []),
        (metadata(a=A), metadata(a={"unique": True, "key": {"a": 1, "b": 1}}), []),
        (metadata(a=A), metadata(a={"key": {"b": 1, "a": 1}, "unique": True}), ["x: the index a differs"]),
        (metadata(a=A), metadata(a={"key": {"a": 1, "b": 1}}), ["x: the index a differs"]),
        (metadata(a=A), metadata(), ["x: the index a is missing"]),
        (metadata(), metadata(a=A), ["x: the index a is not in the archive"]),
        (metadata(), metadata(_id_={"key": {"_id": 1}}), []),
        (metadata(_id_={"key": {"_id": 1}}), metadata(), ["x: the index _id_ is missing"]),
        (metadata({"capped": True}), metadata(), ["x: the option capped differs"]),
        (metadata({"size": 1}), metadata({"size": 2}), ["x: the option size differs"]),
        (metadata({"autoIndexId": True}), metadata(), []),
        (metadata(a={**A, "ns": "db.x"}), metadata(a=A), []),
        ("", metadata(), []),
        (
            metadata({"max": 1}, a=A),
            metadata({"max": {"$numberInt": "1"}}, a={**A, "key": {"a": {"$numberInt": "1"}, "b": 1}}),
            [],
        ),
        (metadata({"max": {"$numberLong": "1"}}), metadata({"max": 1}), ["x: the option max differs"]),
        (
            metadata(a={"key": {"a": {"$numberDouble": "1.0"}}}),
            metadata(a={"key": {"a": 1}}),
            ["x: the index a differs"],
        ),
    ],
)
def test_comparing_metadata(wanted: str, found: str, lines: list[str]) -> None:
    assert restore.compare_metadata("x", wanted, found) == lines


def test_types_survive_the_metadata() -> None:
    text = '{"indexes":[{"key":{"a":{"$numberDouble":"1.0"}},"expireAfterSeconds":{"$numberLong":"5"}}],"options":{"max":{"$numberInt":"3"}}}'
    found = restore.metadata_of(CollectionMetadata("d", "c", "collection", text))
    index = found["indexes"][0]
    assert isinstance(index["key"]["a"], float)
    assert isinstance(index["expireAfterSeconds"], bson.Int64)
    assert type(found["options"]["max"]) is int


@pytest.mark.parametrize(
    ("db", "collection", "kind"),
    [
        ("shop", "orders", restore.DATA),
        ("shop", "system.js", restore.DATA),
        ("shop", "$admin.system.users", restore.USERS),
        ("shop", "$admin.system.roles", restore.ROLES),
        ("shop", "$admin.system.version", restore.READ_ONLY),
        ("admin", "system.users", restore.USERS),
        ("admin", "system.roles", restore.ROLES),
        ("admin", "system.version", restore.READ_ONLY),
        ("admin", "notes", restore.DATA),
        ("config", "settings", restore.READ_ONLY),
        ("", "oplog", restore.READ_ONLY),
        ("administration", "system.users.x", restore.DATA),
    ],
)
def test_what_a_collection_of_an_archive_is(db: str, collection: str, kind: str) -> None:
    assert restore.kind_of_collection(db, collection) == kind


@pytest.mark.parametrize(
    ("options", "refuses"),
    [
        ({"validator": {"a": 1}}, True),
        ({"validator": {"a": 1}, "validationLevel": "moderate", "validationAction": "error"}, True),
        ({"validator": {"a": 1}, "validationAction": "errorAndLog"}, True),
        ({"validator": {"a": 1}, "validationAction": "warn"}, False),
        ({"validator": {"a": 1}, "validationLevel": "off"}, False),
        ({"validator": {}}, False),
        ({}, False),
    ],
)
def test_which_validator_refuses(options: dict[str, object], refuses: bool) -> None:
    assert dump.refusing_validator(options) == (options["validator"] if refuses else {})


def test_other_documents_than_the_archive_differ_without_a_manifest_too(monkeypatch: pytest.MonkeyPatch) -> None:
    head = CollectionMetadata("s", "c")
    totals = {("s", "c"): SimpleNamespace(documents=2, sha256="a")}
    reader: Any = SimpleNamespace(prelude=SimpleNamespace(collections=(head,)), totals=totals)
    source = dump.DumpSource("c", "collection", "c", "{}", documents=2, bytes=10)
    monkeypatch.setattr(restore, "list_sources", lambda *_arguments: [source])
    found = restore.Restored(2, 10, "b")
    monkeypatch.setattr(restore, "read_collection", lambda *_arguments: found)
    connection: Any = None
    assert restore.compare_restored(connection, reader).differences == ["s.c has other documents than the archive"]
    totals[("s", "c")].sha256 = "b"
    assert restore.compare_restored(connection, reader).differences == []


def test_metadata_that_is_no_json_names_its_collection() -> None:
    with pytest.raises(MaintenanceError, match=r"not valid extended JSON.*d\.c"):
        restore.metadata_of(CollectionMetadata("d", "c", "collection", "{"))


@given(st.lists(st.binary(max_size=3000), max_size=1500))
def test_inserts_are_bounded_and_lose_nothing(values: list[bytes]) -> None:
    documents = [bson.encode({"x": value}) for value in values]
    inserts = list(restore._inserts(b"".join(documents)))
    assert [document.raw for insert in inserts for document in insert] == documents
    assert all(0 < len(insert) <= restore.INSERT_DOCUMENTS for insert in inserts)
    assert all(sum(len(document.raw) for document in insert[:-1]) < restore.INSERT_BYTES for insert in inserts)


def test_a_throwaway_server_listens_on_its_socket_alone_and_lets_nothing_expire() -> None:
    arguments = throwaway.arguments("/x")
    assert arguments[arguments.index("--bind_ip") + 1] == "/x/mongodb-27017.sock"
    assert arguments[arguments.index("--dbpath") + 1] == "/x/db"
    assert "ttlMonitorEnabled=false" in arguments


def test_how_long_a_directory_for_a_socket_may_be() -> None:
    room = 107 - len("/mongodb-27017.sock")
    assert throwaway.socket_fits("/" + "x" * (room - 1))
    assert not throwaway.socket_fits("/" + "x" * room)
    assert not throwaway.socket_fits("/" + "é" * (room // 2 + 1))


def test_a_program_that_is_none(tmp_path: os.PathLike[str]) -> None:
    server = throwaway.ThrowawayServer("/nonexistent/mongod", os.fspath(tmp_path))
    with pytest.raises(MaintenanceError, match="ENOENT"):
        server.start()
    server.stop()
