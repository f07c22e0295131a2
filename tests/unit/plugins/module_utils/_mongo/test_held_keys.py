# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""References are good only where their very bytes are a key, and are given up where they need more than that."""

from __future__ import annotations

from typing import Any

import pytest
from bson import ObjectId, encode
from bson.raw_bson import RawBSONDocument

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import held_keys, key_ranges
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.held_keys import HeldKeys, hold_keys
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.key_ranges import KeyRange
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.raw_ids import RawIds

ANN, BOB, GONE, LOST = (bytes(11) + bytes([number]) for number in (0xA1, 0xA2, 0xA3, 0xA4))


def text(key: bytes) -> bytes:
    return key.hex().encode()


def compared(*batches: RawIds, texts_are_ids: bool = True) -> HeldKeys:
    held = HeldKeys({ANN, BOB})
    for batch in batches:
        assert held.compare(batch, texts_are_ids)
    return held


def test_a_reference_counts_once_in_each_form() -> None:
    batch = RawIds([ANN, ANN, GONE], [text(ANN), text(LOST), text(LOST)], [])
    held = compared(batch, batch)
    assert held.compared() == (2, {GONE}, {LOST}) and held.texts == set()


def test_no_form_that_did_not_come_is_counted() -> None:
    assert compared(RawIds([BOB], [], [])).compared() == (1, set(), set())
    assert compared(RawIds([], [], [])).compared() == (0, set(), set())


@pytest.mark.parametrize(
    ("written", "texts_are_ids"), [(text(ANN).upper(), True), (text(ANN), False), (text(GONE).upper(), True)]
)
def test_text_that_is_not_the_usual_spelling_is_left_to_be_looked_up(written: bytes, texts_are_ids: bool) -> None:
    held = compared(RawIds([], [text(BOB), written], []), texts_are_ids=texts_are_ids)
    assert held.compared() == (0, set(), set()) and held.texts == {text(BOB), written}


@pytest.mark.parametrize("value", [7, 7.0, True, [ANN], {"id": ANN}, ObjectId(GONE)])
def test_what_equals_more_than_its_own_bytes_is_given_up(value: Any) -> None:
    assert not HeldKeys({ANN}).compare(RawIds([], [], [encode({"userId": value})]), True)


def test_null_nothing_and_text_are_kept_once() -> None:
    documents = [encode({"userId": None}), encode({}), encode({"userId": "legacy-7"})]
    assert compared(RawIds([], [], documents * 3)).others == set(documents)


def test_what_takes_too_much_memory_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_keys, "MOST_LEFT", 1)
    held = HeldKeys({ANN})
    assert held.compare(RawIds([ANN, GONE], [], []), True) and held.compared() == (1, {GONE}, set())
    # More than there are keys: some are lost for certain, before the end.
    assert not held.compare(RawIds([LOST], [text(ANN), text(GONE)], []), True)
    held = HeldKeys({ANN, BOB})
    assert held.compare(RawIds([GONE, LOST], [], []), True) and held.compared() is None
    monkeypatch.setattr(held_keys, "MOST_BYTES", 100)
    assert not HeldKeys({ANN}).compare(RawIds([], [], [encode({"userId": "x" * 100})]), True)


class Session:
    def end_session(self) -> None:
        pass


class Users:
    """A collection, and its database: keys in their order, as many as are wanted of those in a range."""

    def __init__(self, *keys: Any) -> None:
        self.keys = list(keys)
        self.asked: list[Any] = []
        self.client = self

    def start_session(self, **options: Any) -> Session:
        return Session()

    def command(self, command: dict[str, Any], **_options: Any) -> RawBSONDocument:
        self.asked.append(command)
        limits = command["filter"]["_id"]
        within = [key for key in self.keys if limits.get("$gte", key) <= key <= limits.get("$lte", key)]
        batch = [{"_id": key} for key in within[: command.get("limit")]]
        return RawBSONDocument(encode({"cursor": {"firstBatch": batch, "id": 0, "ns": "shop.users"}, "ok": 1}))


def ids(*numbers: int) -> list[ObjectId]:
    return [ObjectId(f"{number:024x}") for number in numbers]


def wanted(*numbers: int) -> set[bytes]:
    return {key.binary for key in ids(*numbers)}


def test_all_keys_are_held_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    held = hold_keys(Users(*ids(1, 2)), "users")
    assert held is not None
    assert held.compare(RawIds([key.binary for key in ids(2, 3)], [], []), True)
    assert held.compared() == (1, wanted(3), set())
    assert (
        hold_keys(Users("a" * 24), "users") is None and hold_keys(Users(*ids(1, 2, 3)[:2], "legacy"), "users") is None
    )  # type: ignore[comparison-overlap]
    monkeypatch.setattr(held_keys, "MOST_KEYS", 2)
    assert hold_keys(Users(*ids(1, 2)), "users") is not None and hold_keys(Users(*ids(1, 2, 3)), "users") is None


def read(users: Users) -> KeyRange:
    return KeyRange(users, "users", ObjectId, lambda cut: cut.objectids)


def test_what_a_range_holds_exists_and_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_ranges, "FEWEST_IDS", 2)
    users, left = Users(*ids(1, 2, 5, 9)), wanted(2, 3, 9)
    assert read(users).discard_existing(left) is True
    assert left == wanted(3)
    assert users.asked[0]["filter"] == {"_id": {"$gte": ids(2)[0], "$lte": ids(9)[0]}}


def test_a_range_that_was_not_read_whole_tells_of_no_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_ranges, "FEWEST_IDS", 2)
    monkeypatch.setattr(key_ranges, "KEYS_FOR_EACH_ID", 2)
    users, left = Users(*ids(*range(1, 50))), wanted(1, 40)
    keys = read(users)
    assert keys.discard_existing(left) is False
    assert left == wanted(40)
    # Tried again ever less often, until it is worth it.
    for tries in (2, 3, 4):
        asked = len(users.asked)
        while len(users.asked) == asked:
            assert keys.discard_existing(wanted(1, 40)) is False
        assert len(users.asked) == tries
    users.keys = ids(1)
    while not keys.discard_existing(wanted(1, 40)):
        pass
    users.keys = ids(*range(1, 50))
    assert [keys.discard_existing(wanted(1, 40)) for _ in range(3)] == [False] * 3
    assert len(users.asked) == 7


def test_a_few_are_not_worth_it() -> None:
    users, left = Users(*ids(1)), wanted(1)
    assert read(users).discard_existing(left) is False
    assert (left, users.asked) == (wanted(1), [])
