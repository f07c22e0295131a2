# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Work that waits for a server, done in order by a thread, while the next piece is being made ready."""

from __future__ import annotations

import queue
import threading
from contextlib import contextmanager
from typing import Any, Callable, Iterator, List, Optional, Tuple

# What is sent is copied on its way: of more such pieces at a time the memory would be several times as large.
LARGE_BYTES = 4 * 1024 * 1024
_Work = Tuple[Callable[..., Any], Tuple[Any, ...]]


@contextmanager
def behind() -> Iterator[Callable[..., None]]:
    """Gives a function that has another one called with arguments, after all those before it; at the end all are done.

    No more than two calls are on their way: one that runs and one that waits; of those with bytes of LARGE_BYTES among their
    arguments one, which is waited for. What one of them raises is raised by the next
    call of the given function, or at the end; those after it are not made. Whoever leaves by an exception waits for the
    call that runs, and the one that waits is not made.
    """
    waiting: queue.Queue[Optional[_Work]] = queue.Queue(1)
    failed: List[BaseException] = []

    def work() -> None:
        while True:
            item = waiting.get()
            if item is None:
                return
            if not failed:
                try:
                    item[0](*item[1])
                except BaseException as error:  # it belongs to the one who asked for it
                    failed.append(error)
            del item
            waiting.task_done()

    def call(function: Callable[..., Any], *arguments: Any) -> None:
        if failed:
            raise failed[0]
        waiting.put((function, arguments))
        if any(isinstance(argument, bytes) and len(argument) >= LARGE_BYTES for argument in arguments):
            waiting.join()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield call
    except BaseException as error:
        failed.append(error)
        raise
    finally:
        waiting.put(None)
        thread.join()
    if failed:
        raise failed[0]
