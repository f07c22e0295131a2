# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.behind import LARGE_BYTES, behind


def refuse() -> None:
    raise KeyError("refused")


def test_all_is_done_in_order_and_by_another_thread() -> None:
    done: list[tuple[int, bool]] = []
    here = threading.get_ident()
    with behind() as call:
        for number in range(50):
            call(lambda number: done.append((number, threading.get_ident() != here)), number)
    assert done == [(number, True) for number in range(50)]


def test_an_error_shows_and_nothing_is_done_after_it() -> None:
    done: list[int] = []
    with pytest.raises(KeyError), behind() as call:
        call(done.append, 1)
        call(refuse)
        for number in range(2, 50):
            call(done.append, number)
    assert done == [1]


def test_an_error_of_the_last_call_shows_at_the_end() -> None:
    with pytest.raises(KeyError), behind() as call:
        call(refuse)


def test_who_leaves_early_waits_for_the_call_that_runs() -> None:
    begun, go_on = threading.Event(), threading.Event()
    done: list[str] = []

    def first() -> None:
        begun.set()
        go_on.wait(30)
        done.append("first")

    with pytest.raises(ValueError, match="left"), behind() as call:
        call(first)
        call(done.append, "second")
        begun.wait(30)
        threading.Timer(0.05, go_on.set).start()
        raise ValueError("left")
    assert done[0] == "first"


def test_one_with_much_to_send_is_waited_for() -> None:
    done: list[int] = []
    with behind() as call:
        for number in range(1, 4):
            call(lambda data: done.append(len(data)), bytes(LARGE_BYTES))
            assert len(done) == number
    with pytest.raises(KeyError), behind() as call:
        call(lambda data: refuse(), bytes(LARGE_BYTES))
