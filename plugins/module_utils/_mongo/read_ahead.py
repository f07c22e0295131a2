# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading the next batch of a cursor while the last one is being worked on."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from queue import Queue
from typing import Any, Callable, Iterator


@contextmanager
def read_ahead(open_cursor: Callable[[], Any], most: int = 2) -> Iterator[Iterator[Any]]:
    """The batches of a cursor, of which never more than so many are in memory: the one given out, and the next ones.

    The cursor is opened, read and closed in a thread of its own, which the driver gives a connection of its own. Whoever
    leaves early does not wait for the server: it may have been lost, and the thread does not keep the process from ending.

    Args:
        open_cursor: returns a cursor of the driver.
        most: batches, 2 or more. Where both sides take about the same time for one, but not always, a few more keep
            either from waiting for the other.

    Raises:
        what the cursor raises, where the batches are read.
    """
    batches: Queue[Any] = Queue()
    wanted = threading.Semaphore(most)
    left = threading.Event()

    def read() -> None:
        try:
            with open_cursor() as cursor:
                while True:
                    wanted.acquire()
                    if left.is_set():
                        return
                    batches.put((True, next(cursor)))
        except StopIteration:
            batches.put((False, None))
        except BaseException as error:  # it belongs to the one who reads
            batches.put((False, error))

    def given() -> Iterator[Any]:
        while True:
            more, item = batches.get()
            if not more:
                if item is not None:
                    raise item
                return
            yield item
            del item
            wanted.release()

    threading.Thread(target=read, daemon=True).start()
    try:
        yield given()
    finally:
        left.set()
        wanted.release()
