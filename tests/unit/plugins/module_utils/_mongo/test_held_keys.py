# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""References are good only where their very bytes are a key, and are given up where they need more than that."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from bson import Int64, ObjectId, decode, encode
from bson.min_key import MinKey
from bson.raw_bson import RawBSONDocument

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import held_keys, key_ranges, plain_references
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.held_keys import HeldKeys, read_keys
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.key_ranges import KeyRange
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.raw_document import Element, build
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.raw_tables import join_batch

ANN, BOB, GONE, LOST = (ObjectId(bytes(11) + bytes([number])) for number in (0xA1, 0xA2, 0xA3, 0xA4))
OTHER = "legacy-7"


class Held(HeldKeys):
    """The keys of Ann and Bob; tells which texts it was asked about."""

    def __init__(self, texts_are_ids: bool = True, keep: bool = True) -> None:
        self.asked: list[str] = []
        super().__init__({ANN.binary, BOB.binary}, "userId", texts_are_ids, self._note, keep)
        self._answer = keep

    def _note(self, text: bytes) -> bool:
        self.asked.append(text.decode())
        return self._answer

    @property
    def kept(self) -> list[Any]:
        return [decode(document).get("userId") for document in self.documents]


def orders(*values: Any) -> bytes:
    """A batch; each order has another _id."""
    return join_batch(
        [encode({"_id": number, **({} if value is ... else {"userId": value})}) for number, value in enumerate(values)]
    )


def compared(*batches: bytes, **options: bool) -> Held:
    held = Held(**options)
    for batch in batches:
        assert held.compare(batch)
    return held


@pytest.mark.parametrize("mixed", [False, True])
def test_a_reference_counts_once_in_each_form(mixed: bool) -> None:
    values = [[ANN, ANN, GONE], [str(ANN), str(LOST), str(LOST)]]
    batches = [orders(*values[0], *values[1])] if mixed else [orders(*some) for some in values]
    held = compared(*batches, *batches)
    assert (held.seen, held.lost, held.lost_texts) == (2, {GONE.binary}, {LOST.binary})
    assert sorted(map(str, held.kept)) == sorted(map(str, [GONE, LOST, LOST] * 2)) and held.asked == []


def test_no_form_that_did_not_come_is_counted() -> None:
    held = compared(orders(BOB))
    assert (held.seen, held.lost, held.lost_texts, held.documents) == (1, set(), set(), [])
    held = compared(orders())
    assert (held.seen, held.lost, held.lost_texts, held.documents) == (0, set(), set(), [])


@pytest.mark.parametrize(
    ("written", "texts_are_ids"), [(str(ANN).upper(), True), (str(ANN), False), (str(GONE).upper(), True)]
)
@pytest.mark.parametrize("keep", [True, False])
def test_text_that_is_not_the_usual_spelling_is_asked_about_once(written: str, texts_are_ids: bool, keep: bool) -> None:
    held = compared(orders(str(BOB), written), orders(written), orders(7 * "x"), texts_are_ids=texts_are_ids, keep=keep)
    texts = [written, 7 * "x"] if texts_are_ids else [str(BOB), written, 7 * "x"]
    assert (held.seen, held.lost, held.lost_texts) == (int(texts_are_ids), set(), set())
    assert sorted(held.asked) == sorted(texts)
    assert sorted(held.kept) == (sorted([*texts, written]) if keep else [])


def test_an_id_beside_another_spelling_of_one_counts_once() -> None:
    held = compared(orders(str(BOB), str(LOST)), orders(str(BOB), str(LOST), str(ANN).upper()))
    assert (held.seen, held.lost_texts, held.asked) == (1, {LOST.binary}, [str(ANN).upper()])
    assert held.kept == [str(LOST), str(LOST), str(ANN).upper()]


@pytest.mark.parametrize("value", [7, 7.0, True, [ANN], {"id": ANN}, b"seven", Int64(7)])
@pytest.mark.parametrize("beside", [(), (ANN, str(BOB))])
def test_what_equals_more_than_its_own_bytes_is_given_up(value: Any, beside: tuple[Any, ...]) -> None:
    assert not Held().compare(orders(*beside, value))


def test_a_reference_that_stands_twice_is_given_up() -> None:
    twice = build([Element(7, b"userId", ANN.binary), Element(7, b"userId", GONE.binary)])
    assert not Held().compare(join_batch([twice]))


@pytest.mark.parametrize("keep", [True, False])
def test_null_and_nothing_are_kept_or_not_and_text_is_asked_about(keep: bool) -> None:
    values = (None, ..., OTHER, OTHER, ANN)
    held = compared(orders(*values), orders(*values[:1]), keep=keep)
    assert held.asked == [OTHER]
    assert Counter(held.kept) == ({None: 3, OTHER: 2} if keep else {})
    assert held.seen == 1


def test_what_takes_too_much_memory_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_references, "MOST_LEFT", 1)
    held = Held()
    assert held.compare(orders(ANN, GONE)) and held.lost == {GONE.binary}
    assert not held.compare(orders(LOST))
    assert not Held().compare(orders(GONE, GONE)), "each document takes its place"
    monkeypatch.setattr(plain_references, "MOST_BYTES", 100)
    assert not Held(keep=False).compare(orders("x" * 100))
    assert not Held().compare(join_batch([encode({"userId": GONE, "_id": "x" * 100})]))


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
        within = [
            key
            for key in self.keys
            if isinstance(limits.get("$gte"), MinKey) or limits.get("$gte", key) <= key <= limits.get("$lte", key)
        ]
        batch = [{"_id": key} for key in within[: command.get("limit")]]
        return RawBSONDocument(encode({"cursor": {"firstBatch": batch, "id": 0, "ns": "shop.users"}, "ok": 1}))


def ids(*numbers: int) -> list[ObjectId]:
    return [ObjectId(f"{number:024x}") for number in numbers]


def wanted(*numbers: int) -> set[bytes]:
    return {key.binary for key in ids(*numbers)}


def test_all_keys_are_read_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_keys(Users(*ids(1, 2)), "users") == wanted(1, 2)
    assert read_keys(Users("a" * 24), "users") is None
    assert read_keys(Users(*ids(1, 2), "legacy"), "users") is None
    monkeypatch.setattr(held_keys, "MOST_KEYS", 2)
    assert read_keys(Users(*ids(1, 2)), "users") == wanted(1, 2)
    assert read_keys(Users(*ids(1, 2, 3)), "users") is None


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
