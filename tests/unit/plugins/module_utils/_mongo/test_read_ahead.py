# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One batch is read while another is worked on, never more, and whoever leaves leaves nothing behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.read_ahead import read_ahead

LONG = 30


class Cursor:
    """Numbers up to some point; tells what was read, and when it was closed."""

    def __init__(self, end: int = 10**6, failure: Exception | None = None) -> None:
        self.end = end
        self.failure = failure
        self.read = 0
        self.read_two = threading.Event()
        self.closed = threading.Event()

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *_error: object) -> None:
        self.closed.set()

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        if self.read == self.end:
            raise self.failure or StopIteration
        self.read += 1
        if self.read == 2:
            self.read_two.set()
        return self.read


def test_all_batches_in_their_order() -> None:
    cursor = Cursor(end=50)
    with read_ahead(lambda: cursor) as batches:
        assert list(batches) == list(range(1, 51))
    assert cursor.closed.wait(LONG)


def test_the_next_one_is_read_meanwhile_and_no_more() -> None:
    cursor = Cursor()
    with read_ahead(lambda: cursor) as batches:
        assert next(batches) == 1
        assert cursor.read_two.wait(LONG)
        for number in range(2, 40):
            assert next(batches) == number
            assert cursor.read <= number + 1, "given out, and the next: no third"


def test_whoever_leaves_early_closes_the_cursor() -> None:
    cursor = Cursor()
    with pytest.raises(KeyError), read_ahead(lambda: cursor) as batches:
        next(batches)
        raise KeyError
    assert cursor.closed.wait(LONG)


@pytest.mark.parametrize("end", [0, 3])
def test_a_failure_comes_where_the_batches_are_read(end: int) -> None:
    cursor = Cursor(end, ValueError("lost"))
    seen = []
    with pytest.raises(ValueError, match="lost"), read_ahead(lambda: cursor) as batches:
        seen.extend(batches)
    assert cursor.closed.wait(LONG)


def test_a_cursor_that_cannot_be_opened() -> None:
    def refuse() -> Cursor:
        raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"), read_ahead(refuse) as batches:
        next(batches)
