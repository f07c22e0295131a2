# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import bson
import pytest
from bson.timestamp import Timestamp

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import oplog

FIRST = {"ts": Timestamp(0, 0), "t": -1}
LATER = {"ts": Timestamp(9, 1), "t": 1}


def inner(*namespaces: str) -> list[dict[str, Any]]:
    return [{"op": "i", "ns": namespace, "o": {"_id": number}} for number, namespace in enumerate(namespaces)]


def command(operation: dict[str, Any], previous: dict[str, Any] | None = None) -> dict[str, Any]:
    entry: dict[str, Any] = {"op": "c", "ns": "admin.$cmd", "o": operation, "ts": Timestamp(10, 1), "v": 2}
    return entry if previous is None else {**entry, "prevOpTime": previous}


@pytest.mark.parametrize(
    ("entry", "taken"),
    [
        ({"op": "i", "ns": "shop.orders", "o": {"_id": 1}}, True),
        ({"op": "c", "ns": "shop.$cmd", "o": {"create": "new"}}, True),
        ({"op": "i", "ns": "shop2.orders", "o": {"ns": "shop.orders"}}, False),
        ({"op": "i", "ns": "ashop.orders", "o": {}}, False),
        ({"op": "n", "ns": "", "o": {"msg": "noop"}}, False),
        ({"op": "i", "ns": "admin.system.users", "o": {}}, False),
        ({"op": "n"}, False),
        (command({"create": "x"}), False),
        (command({"applyOps": inner("shop.a", "shop.b")}), True),
        (command({"applyOps": inner("other.a")}), False),
        (command({"applyOps": inner("other.a")}, FIRST), False),
        (command({"applyOps": []}), True),
        # Without the end of a transaction its other entries would never be replayed.
        (command({"commitTransaction": 1}, LATER), True),
        (command({"abortTransaction": 1}, LATER), True),
    ],
)
def test_which_entries_are_taken_as_they_are(entry: dict[str, Any], taken: bool) -> None:
    raw = bson.encode(entry)
    assert oplog.entry_of(raw, b"shop.") == (raw if taken else None)


@pytest.mark.parametrize(
    ("operation", "previous", "left"),
    [
        ({"applyOps": inner("other.a", "shop.b", "other.c"), "count": 3}, FIRST, ["shop.b"]),
        ({"applyOps": inner("other.a"), "partialTxn": True}, FIRST, []),
        ({"applyOps": inner("other.a"), "prepare": True}, FIRST, []),
        ({"applyOps": inner("other.a"), "count": 2}, LATER, []),
    ],
)
def test_of_a_transaction_over_databases_only_ours_is_left(
    operation: dict[str, Any], previous: dict[str, Any], left: list[str]
) -> None:
    entry = command(operation, previous)
    taken = oplog.entry_of(bson.encode(entry), b"shop.")
    assert taken is not None
    found = bson.decode(taken)
    assert [inner["ns"] for inner in found["o"].pop("applyOps")] == left
    entry["o"] = {key: value for key, value in operation.items() if key != "applyOps"}
    assert found == entry and list(found) == list(entry), "and everything else as it was"


def test_a_batch_is_gone_through_to_its_end() -> None:
    ours = [bson.encode({"op": "i", "ns": "shop.a", "o": {"_id": number}}) for number in range(3)]
    other = bson.encode({"op": "i", "ns": "other.a", "o": {}})
    assert oplog.entries_of(other.join([b"", *ours, b""]), b"shop.") == ours
    assert oplog.entries_of(b"", b"shop.") == []
