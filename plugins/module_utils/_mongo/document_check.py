# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Proves that every BSON document parses to its last field, in processes beside the one that reads the database.

Decoding is by far the slowest part of a checked backup, and Python's threads cannot share it. The helpers are plain child
processes fed through pipes: when the module dies, their input ends and so do they.

Where numpy can be imported, a helper that has much to do has most documents vouched for by `document_shapes.py`, which is some
four times as fast, and decodes the others. It is always the driver that says that a document does not parse.

They decode some kilobytes at a time and drop them: what is decoded stays in the processor's cache, and its memory is used
again (measured: 170 MB/s on one core; a megabyte at once 100, and with the collector of cyclic garbage, of which
there is none, 50).
"""

from __future__ import annotations

import fcntl
import os
import queue
import struct
import subprocess
import sys
import threading
from importlib.util import find_spec
from typing import Any, List, Optional, Tuple

try:
    import bson
except ImportError:  # pragma: no cover - the client raises MissingLibrary first
    bson = None  # type: ignore[assignment]

from .._core.errors import MaintenanceError, from_os_error
from . import document_shapes

_HELPER = """
import gc, struct, sys
sys.path[:1] = [sys.argv[1]]
from bson import decode_all
from bson.codec_options import CodecOptions, DatetimeConversion
gc.disable()
# Dates outside Python's range (year 0 or 10000) are valid BSON: they are read as plain numbers. The server stores
# strings that are not UTF-8 as it got them, so real data has them.
options = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="replace")
length = struct.Struct("<i").unpack_from
def check(data):
    start = position = 0
    while position < len(data):
        size, = length(data, position)
        if size < 5:
            raise ValueError("a document claims a length of %d bytes" % size)
        position += size
        if position - start >= 8192 or position >= len(data):
            decode_all(data[start:position], options)
            start = position
def starts(data, position):
    # Where documents start, from one on, a megabyte of them for the memory's sake; nothing where they do not add up.
    found, end, most = [position], len(data), position + 1500000
    while position < end and position < most and len(found) <= 20000:
        if end - position < 5:
            return []
        size, = length(data, position)
        position += size
        if size < 5 or position > end:
            return []
        found.append(position)
    return found
class Fast:
    # What numpy vouches for the driver need not decode; it alone says that a document does not parse.
    def __init__(self, source, after):
        self.source, self.after = source, after
        self.numpy = self.kit = None
        self.where = self.shapes = None
        self.missed = self.pause = self.vouched = 0
    def load(self):
        source, self.source = self.source, None
        try:
            import numpy
            self.kit = {"__name__": "document_shapes"}
            exec(compile(source, "document_shapes", "exec"), self.kit)
            self.numpy = numpy
        except Exception:
            pass  # not installed, or not for this machine
    def check(self, data, room, where):
        if self.source and self.after <= 0:
            self.load()
        self.after -= len(data)
        if where != self.where:
            self.where, self.shapes = where, None
            self.missed = self.pause = 0
        if self.numpy is None:
            return check(data)
        if self.pause:
            self.pause -= 1
            return check(data)
        position = 0
        while position < len(data):
            found = starts(data, position)
            if self.numpy is None or len(found) <= self.kit["LEAST"]:
                return check(data[position:])
            self.part(data, room, found)
            position = found[-1]
    def part(self, data, room, found):
        try:
            if self.shapes is None:
                self.shapes = self.kit["Shapes"](self.numpy)
            unsure = self.shapes.unsure(room, found)
        except Exception:
            # A numpy of another age, or no memory: that says nothing of the documents.
            self.numpy, unsure = None, range(len(found) - 1)
        self.vouched += len(found) - 1 - len(unsure)
        if 2 * len(unsure) < len(found):
            self.missed = 0
        else:
            # Documents with little in common: they are only looked at again after a while.
            self.missed += 1
            if self.missed == 3:
                self.shapes, self.missed, self.pause = None, 0, 64
        place = 0
        while place < len(unsure):
            last = place
            while last + 1 < len(unsure) and unsure[last + 1] == unsure[last] + 1:
                last += 1
            check(data[found[unsure[place]]:found[unsure[last] + 1]])
            place = last + 1
source = sys.stdin.buffer
head = struct.Struct("<QH")
size, after, padding = map(int, sys.argv[2:])
fast = Fast(source.read(size), after)
room = bytearray(2 * 1024 * 1024)
while True:
    given = source.read(head.size)
    if len(given) < head.size:
        break
    size, named = head.unpack(given)
    where = source.read(named).decode("utf-8", "replace")
    if size + padding > len(room):
        room = bytearray(size + padding)
    with memoryview(room) as whole, whole[:size] as data:
        if source.readinto(data) < size:
            sys.exit("input ended")
        try:
            fast.check(data, room, where)
        except MemoryError:
            raise  # that says nothing of the documents
        except Exception as error:
            sys.stderr.write(where + "\\n%s: %s" % (type(error).__name__, " ".join(str(error).split())[:200]))
            sys.exit(65)
    if len(room) > 4 * 1024 * 1024:
        room = bytearray(2 * 1024 * 1024)
print("ok", fast.vouched)
"""
_HEAD = struct.Struct("<QH")
_DOES_NOT_PARSE = 65  # a helper's exit status
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ of Linux, which Python names from 3.10 on
_PIPE_BYTES = 1024 * 1024
# numpy would start a thread for each core, for mathematics that nobody wants.
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# numpy takes a tenth of a second to load: only where there is so much to check that it is won back.
_NUMPY_AFTER_BYTES = 8 * 1024 * 1024
# The server goes on sending while a helper loads numpy.
_WAITING_BATCHES = 8
# A helper before which as many still wait at each of so many batches in a row, so many bytes after it began, does not keep up.
_PATIENCE_BATCHES, _PATIENCE_BYTES = 8, 4 * _NUMPY_AFTER_BYTES
# Of batches as large as this one only is on its way at a time.
LARGE_BYTES = 4 * 1024 * 1024


class UnreadableDocument(ValueError):
    """A document does not parse.

    Attributes:
        where: as it was given with the document.
    """

    def __init__(self, where: str, why: str) -> None:
        super().__init__(why)
        self.where = where


class CheckEnded(MaintenanceError):
    """A helper did not come to its end, for a reason that says nothing of any document."""


class DocumentCheck:
    """Hands batches of documents to helper processes, to whichever is free.

    Args:
        helpers: how many processes at most; by default one for each core of this process, four at most. Where numpy is
            there, one is begun with, and others follow when it does not keep up.
        numpy_after: bytes that a helper decodes before it looks for numpy; -1 for never.

    Attributes:
        vouched: how many documents the driver did not have to decode; known after finish().
    """

    def __init__(self, helpers: Optional[int] = None, numpy_after: int = _NUMPY_AFTER_BYTES) -> None:
        self._most = helpers or max(1, min(4, len(os.sched_getaffinity(0))))
        self._helpers: List[Any] = []
        self._feeders: List[threading.Thread] = []
        self._waiting: queue.Queue[Optional[Tuple[str, bytes]]] = queue.Queue(_WAITING_BATCHES)
        self._failure: Optional[Exception] = None
        self._shapes = b"" if numpy_after < 0 else _source_of_shapes()
        self.vouched = 0
        package = os.path.dirname(os.path.dirname(os.path.abspath(str(bson.__file__))))
        settings = (len(self._shapes), numpy_after, document_shapes.PADDING)
        self._command = [sys.executable, "-c", _HELPER, package, *map(str, settings)]
        self._handed = self._behind = 0
        with_numpy = bool(self._shapes) and find_spec("numpy") is not None
        try:
            for _number in range(1 if with_numpy else self._most):
                self._start_helper()
        except OSError as error:
            self.close()
            raise from_os_error(
                "cannot start the processes that check documents", error, target=sys.executable
            ) from error
        except RuntimeError as error:
            self.close()
            raise _ended(str(error)) from error

    def _start_helper(self) -> None:
        helper = subprocess.Popen(
            self._command,
            env=dict(os.environ, **_ONE_THREAD),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        _widen(helper.stdin)
        feeder = threading.Thread(target=self._feed, args=(helper,), daemon=True)
        try:
            feeder.start()
        except RuntimeError:  # there may be no more threads
            _end(helper)
            raise
        self._helpers.append(helper)
        self._feeders.append(feeder)

    def check(self, data: bytes, where: str = "") -> None:
        """Have the documents in data decoded. An error may show at a later call or in finish().

        Args:
            where: names them in the error.

        Raises:
            UnreadableDocument: some document handed in so far does not parse.
            CheckEnded: a helper was killed, or could not work.
        """
        if self._failure is not None:
            raise self._failure
        if len(self._helpers) < self._most:
            # The first ones always wait: it has to start, and to load numpy.
            self._handed += len(data)
            self._behind = self._behind + 1 if self._waiting.full() else 0
            if self._handed > _PATIENCE_BYTES and self._behind > _PATIENCE_BATCHES:
                self._behind = 0
                try:
                    self._start_helper()
                except (OSError, RuntimeError):  # no process, or no thread to feed it
                    self._most = len(self._helpers)  # those that there are do it
        self._waiting.put((where, data))
        if len(data) >= LARGE_BYTES:
            self._waiting.join()

    def finish(self) -> None:
        """Wait for all verdicts.

        Raises:
            UnreadableDocument: some document does not parse.
            CheckEnded: a helper was killed, or could not work.
        """
        self._end_feeding()
        for helper in self._helpers:
            self._judge(helper)
        if self._failure is not None:
            raise self._failure

    def _feed(self, helper: Any) -> None:
        """What one helper is given. Once there is a failure the rest is passed over, so that nobody waits for ever."""
        try:
            helper.stdin.write(self._shapes)
        except (OSError, ValueError):
            self._judge(helper)
        while True:
            item = self._waiting.get()
            try:
                if item is None:
                    return
                if self._failure is not None:
                    continue
                where, data = item[0].encode("utf-8", "replace")[:1000], item[1]
                helper.stdin.write(_HEAD.pack(len(data), len(where)) + where)
                helper.stdin.write(data)
            except (OSError, ValueError):  # it ended, or was closed
                self._judge(helper)
            except Exception as error:  # no memory, maybe: whoever hands documents in must not wait for ever
                self._fail(_ended(type(error).__name__))
            finally:
                item = data = None  # type: ignore[assignment]
                self._waiting.task_done()

    def _end_feeding(self) -> None:
        feeders, self._feeders = self._feeders, []
        for _feeder in feeders:
            self._waiting.put(None)
        for feeder in feeders:
            feeder.join()

    def _judge(self, helper: Any) -> None:
        try:
            helper.stdin.close()
        except (OSError, ValueError):
            pass
        answer = helper.stdout.read().split()
        message = helper.stderr.read().decode("utf-8", "replace").strip()
        status, lines = helper.wait(), ["", *message.splitlines()]
        if status == 0 and answer[:1] == [b"ok"]:
            self.vouched += int(answer[1])
        elif status == _DOES_NOT_PARSE and len(lines) > 1:  # else it has been judged before
            self._fail(UnreadableDocument(lines[-2], lines[-1]))
        else:
            how = "signal %d" % -status if status < 0 else "exit status %d" % status
            self._fail(_ended(": ".join([how, *lines[1:][-1:]])))

    def _fail(self, failure: Exception) -> None:
        """The first failure is the one that is told."""
        if self._failure is None:
            self._failure = failure

    def close(self) -> None:
        """End the helpers, whatever they do."""
        for helper in self._helpers:
            if helper.poll() is None:
                helper.kill()
            helper.wait()
        self._end_feeding()
        for helper in self._helpers:
            _end(helper)
        self._helpers = []


def _end(helper: Any) -> None:
    helper.kill()
    helper.wait()
    for pipe in (helper.stdin, helper.stdout, helper.stderr):
        try:
            pipe.close()
        except OSError:
            pass


def _ended(why: str) -> CheckEnded:
    return CheckEnded(
        "a process that checks documents ended before its time (%s)" % why,
        target=sys.executable,
        next_step="Is memory short on this host? Run again; check: checksums does without these processes.",
    )


def _source_of_shapes() -> bytes:
    """What the helpers run beside the driver; nothing where the module's source is not to be had."""
    spec = document_shapes.__spec__
    read = getattr(spec.loader if spec else None, "get_source", None)
    return ((read(document_shapes.__name__) if read else None) or "").encode("utf-8")


def _widen(pipe: Any) -> None:
    """Let a pipe hold a whole batch, so that the next one is there when a helper has done with one."""
    try:
        fcntl.fcntl(pipe.fileno(), _SET_PIPE_SIZE, _PIPE_BYTES)
    except OSError:
        pass  # the limit of this user
