# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Proves that every BSON document parses to its last field, in processes beside the one that reads the archive.

Decoding is by far the slowest part of checking a backup (about 50 MB/s on one core), and Python's threads cannot share
it. The helpers are plain child processes fed through pipes: when the module dies, their input ends and so do they.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from typing import Any, List, Optional

try:
    import bson
except ImportError:  # pragma: no cover - the client raises MissingLibrary first
    bson = None  # type: ignore[assignment]

from .._core.errors import from_os_error

_HELPER = """
import struct, sys
sys.path[:1] = [sys.argv[1]]
from bson import decode_all
from bson.codec_options import CodecOptions, DatetimeConversion
# Dates outside Python's range (year 0 or 10000) are valid BSON: they are read as plain numbers. The server stores
# strings that are not UTF-8 as it got them, so real data has them.
options = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="replace")
source = sys.stdin.buffer
while True:
    head = source.read(8)
    if len(head) < 8:
        break
    size, = struct.unpack("<Q", head)
    data = source.read(size)
    if len(data) < size:
        sys.exit("input ended")
    try:
        decode_all(data, options)
    except Exception as error:
        sys.exit("%s: %s" % (type(error).__name__, str(error)[:200]))
print("ok")
"""


class DocumentCheck:
    """Hands batches of documents to helper processes in turn.

    Args:
        helpers: how many processes; by default one for each core of this process, four at most.
    """

    def __init__(self, helpers: Optional[int] = None) -> None:
        count = helpers or max(1, min(4, len(os.sched_getaffinity(0))))
        self._helpers: List[Any] = []
        self._next = 0
        package = os.path.dirname(os.path.dirname(os.path.abspath(str(bson.__file__))))
        try:
            for _number in range(count):
                self._helpers.append(
                    subprocess.Popen(
                        [sys.executable, "-c", _HELPER, package],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE,
                    )
                )
        except OSError as error:
            self.close()
            raise from_os_error(
                "cannot start the processes that check documents", error, target=sys.executable
            ) from error

    def check(self, data: bytes) -> None:
        """Have the documents in data decoded. An error may show at a later call or in finish().

        Raises:
            ValueError: some document handed in so far does not parse.
        """
        helper = self._helpers[self._next]
        self._next = (self._next + 1) % len(self._helpers)
        try:
            helper.stdin.write(struct.pack("<Q", len(data)))
            helper.stdin.write(data)
        except BrokenPipeError:
            self._judge(helper)

    def finish(self) -> None:
        """Wait for all verdicts.

        Raises:
            ValueError: some document does not parse.
        """
        for helper in self._helpers:
            self._judge(helper)

    def _judge(self, helper: Any) -> None:
        try:
            helper.stdin.close()
        except BrokenPipeError:
            pass
        answer = helper.stdout.read().strip()
        message = helper.stderr.read().decode("utf-8", "replace").strip()
        if helper.wait() != 0 or answer != b"ok":
            raise ValueError(
                message.splitlines()[-1] if message else "the checking process ended with %s" % helper.returncode
            )

    def close(self) -> None:
        """End the helpers, whatever they do."""
        for helper in self._helpers:
            if helper.poll() is None:
                helper.kill()
            helper.wait()
            for pipe in (helper.stdin, helper.stdout, helper.stderr):
                try:
                    pipe.close()
                except OSError:
                    pass
        self._helpers = []
