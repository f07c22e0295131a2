# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess
import threading
from collections import Counter
from typing import Any

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo.errors import OperationFailure

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import document_check, dump
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.client import Server
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.document_check import (
    CheckEnded,
    DocumentCheck,
    UnreadableDocument,
)


def server(topology: str, *version: int) -> Server:
    return Server(".".join(map(str, version)), version, topology, "primary")


@pytest.mark.parametrize(
    ("requested", "topology", "version", "mode"),
    [
        ("auto", "standalone", (7, 0, 14), "none"),
        ("auto", "replica set", (7, 0, 14), "snapshot"),
        ("auto", "replica set", (5, 0, 0), "snapshot"),
        ("auto", "replica set", (4, 4, 29), "none"),
        ("auto", "mongos", (6, 0, 5), "snapshot"),
        ("none", "replica set", (7, 0, 14), "none"),
        ("locked", "standalone", (4, 4, 0), "locked"),
        ("locked", "replica set", (7, 0, 14), "locked"),
        ("snapshot", "replica set", (10, 0, 0), "snapshot"),
        ("oplog", "replica set", (5, 0, 0), "oplog"),
    ],
)
def test_what_consistency_is_possible(requested: str, topology: str, version: tuple[int, ...], mode: str) -> None:
    chosen = dump.choose_consistency(requested, server(topology, *version))
    assert chosen.mode == mode
    assert chosen.note
    assert chosen.fallback == (requested == "auto" and mode == "snapshot")


@pytest.mark.parametrize(
    ("requested", "topology", "version"),
    [("snapshot", "standalone", (7, 0, 0)), ("snapshot", "replica set", (4, 4, 9)), ("locked", "mongos", (7, 0, 0))]
    + [("oplog", "mongos", (7, 0, 0)), ("oplog", "standalone", (7, 0, 0)), ("oplog", "replica set", (4, 4, 9))],
)
def test_what_is_refused(requested: str, topology: str, version: tuple[int, ...]) -> None:
    with pytest.raises(MaintenanceError) as caught:
        dump.choose_consistency(requested, server(topology, *version))
    assert caught.value.next_step


def test_a_batch_is_about_a_megabyte() -> None:
    reached: Counter[str] = Counter()

    @given(st.lists(st.integers(5, 16 * 2**20), max_size=9))
    def check(sizes: list[int]) -> None:
        batch = dump.documents_per_batch(sizes)
        # The server's first batch of one document only would cost a round trip for each.
        assert 2 <= batch <= dump.MAX_BATCH_DOCUMENTS
        if sizes:
            reached["documents of a known size"] += 1
            size = sorted(sizes)[len(sizes) // 2]
            assert batch * size <= max(dump.BATCH_BYTES, 2 * size)
            assert batch == dump.documents_per_batch([16 * 2**20, *sizes, 5]), "single ones decide nothing"

    check()
    assert reached["documents of a known size"] >= 20, reached


# --- the check of every document

GOOD = bson.encode({"_id": 1, "a": {"b": [1, 2, {"c": "text"}]}, "far": bson.DatetimeMS(2**62)})


# The server stores strings as it gets them.
NOT_UTF8 = GOOD.replace(b"text", b"\xff\xfe\xfd\xfc")


@pytest.mark.parametrize("helpers", [1, 3])
def test_good_documents_pass(helpers: int) -> None:
    check = DocumentCheck(helpers, -1)
    try:
        for _count in range(20):
            check.check((GOOD + NOT_UTF8) * 100)
        check.finish()
    finally:
        check.close()


@pytest.mark.parametrize(
    "bad",
    [
        GOOD.replace(b"\x02c\0", b"\x99c\0"),  # a type that does not exist, deep inside
        GOOD.replace(b"\x05\0\0\0text", b"\x99\0\0\0text"),  # a string longer than its document
    ],
    ids=["type", "length"],
)
def test_a_document_that_does_not_parse_is_found_wherever_it_stands(bad: bytes) -> None:
    assert len(bad) == len(GOOD)
    for position in range(4):
        check = DocumentCheck(2, -1)
        try:
            with pytest.raises(ValueError, match=r"Invalid|invalid|unknown|Detected|not a valid"):
                for number in range(4):
                    check.check(bad if number == position else GOOD)
                check.finish()
        finally:
            check.close()


def test_the_collection_of_a_document_that_does_not_parse_is_named() -> None:
    bad = GOOD.replace(b"\x02c\0", b"\x99c\0")
    check = DocumentCheck(2, -1)
    try:
        with pytest.raises(UnreadableDocument) as caught:
            for number in range(300):
                check.check(GOOD * 500 + (bad if number == 150 else GOOD) + GOOD * 500, "shop.c%d" % number)
            check.finish()
    finally:
        check.close()
    assert caught.value.where == "shop.c150"


def test_what_stands_after_eight_kilobytes_and_at_the_very_end_is_decoded_too() -> None:
    bad = GOOD.replace(b"\x02c\0", b"\x99c\0")
    for position in (0, 1, 99, 100, 101, 998, 999):
        documents = [GOOD] * 1000
        documents[position] = bad
        check = DocumentCheck(1)
        try:
            check.check(b"".join(documents), "here")
            with pytest.raises(UnreadableDocument):
                check.finish()
        finally:
            check.close()


@pytest.mark.parametrize("cut", [1, 3, len(GOOD) - 1])
def test_a_document_that_is_cut_off_does_not_parse(cut: int) -> None:
    check = DocumentCheck(1)
    try:
        check.check(GOOD * 300 + GOOD[:-cut], "here")
        with pytest.raises(UnreadableDocument):
            check.finish()
    finally:
        check.close()


def test_large_and_small_batches_and_a_helper_that_is_killed() -> None:
    large = bson.encode({"x": b"\0" * (5 * 1024 * 1024)})
    check = DocumentCheck(2, -1)
    try:
        for _count in range(4):
            check.check(large)
            check.check(GOOD)
        check._helpers[0].kill()
        # That says nothing of any document.
        with pytest.raises(CheckEnded, match=r"ended before its time \(signal 9\)"):
            for _count in range(200):
                check.check(GOOD * 1000)
            check.finish()
    finally:
        check.close()


def test_what_follows_a_document_that_does_not_parse_does_not_hide_its_collection() -> None:
    """The helper ends while the next batch is on its way to it."""
    check = DocumentCheck(1, -1)
    try:
        check.check(GOOD.replace(b"\x02c\0", b"\x99c\0") + GOOD * 1000, "shop.bad")
        helper = check._helpers[0]
        assert helper.wait(60) == 65
        check.check(GOOD * 50_000, "shop.good")
        with pytest.raises(UnreadableDocument) as caught:
            check.finish()
    finally:
        check.close()
    assert caught.value.where == "shop.bad"


def test_without_a_thread_for_a_helper_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host may allow no more: those that there are do it, and where there are none, that is what is told."""
    start, left = threading.Thread.start, [0]

    def refuse(thread: threading.Thread) -> None:
        if not left[0]:
            raise RuntimeError("can't start new thread")
        left[0] -= 1
        start(thread)

    began: list[Any] = []
    popen = subprocess.Popen

    def begin(*given: Any, **named: Any) -> Any:
        began.append(popen(*given, **named))
        return began[-1]

    monkeypatch.setattr(subprocess, "Popen", begin)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(CheckEnded, match="can't start new thread"):
        DocumentCheck(1, -1)
    left[0] = 1
    check = DocumentCheck(1, -1)
    try:
        check._most = 2
        monkeypatch.setattr(document_check, "_PATIENCE_BYTES", -1)
        monkeypatch.setattr(document_check, "_PATIENCE_BATCHES", -1)
        check.check(GOOD)
        assert len(began) == 3 and check._most == 1
        check.check(GOOD)
        check.finish()
    finally:
        check.close()
    assert [helper.poll() is not None for helper in began] == [True] * 3


def test_a_feeder_without_memory_keeps_nobody_waiting() -> None:
    class Full:
        def write(self, data: bytes) -> None:
            raise MemoryError

        def fileno(self) -> int:
            return -1

        def close(self) -> None:
            pass

    check = DocumentCheck(1, -1)
    try:
        check.check(GOOD)
        check._waiting.join()
        real, check._helpers[0].stdin = check._helpers[0].stdin, Full()
        check.check(GOOD)
        check._waiting.join()
        real.close()
        with pytest.raises(CheckEnded, match="MemoryError"):
            check.check(GOOD)
    finally:
        check.close()


def test_an_error_stops_the_feeding_instead_of_hanging() -> None:
    check = DocumentCheck(1)
    try:
        with pytest.raises(ValueError, match=r"."):
            for _count in range(200):
                check.check(b"\x10\0\0\0" + b"x" * 1_000_000)
    finally:
        check.close()


def test_a_server_that_keeps_no_history_at_all_gives_the_snapshot_up_as_it_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that the dump goes on without one where that may be."""

    def too_old(*given: Any) -> Any:
        raise OperationFailure("Read timestamp is older than the oldest available", 239)

    monkeypatch.setattr(dump, "_answers_alone", lambda connection: True)
    monkeypatch.setattr(dump, "_snapshot_time", too_old)
    with pytest.raises(dump.SnapshotExpired) as caught:
        dump._take_moment(None, "shop", [])  # type: ignore[arg-type]
    assert caught.value.target == "shop" and caught.value.code == "239 SnapshotTooOld"
