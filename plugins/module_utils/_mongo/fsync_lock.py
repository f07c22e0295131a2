# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""fsyncLock, held so that it cannot outlive its purpose.

A child process takes the lock, waits, and releases it: when it is told to, when the module dies (its input ends), or
when the time is over. A module killed in the middle of a dump therefore does not leave the shop unable to write.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from typing import Any, Optional

try:
    import pymongo
except ImportError:  # pragma: no cover - the client raises MissingLibrary first
    pymongo = None  # type: ignore[assignment]

from .._core.errors import MaintenanceError
from .address import Address
from .client import Connection
from .errors import mongo_errors

_KEEPER = """
import json, selectors, sys, time, warnings
sys.path[:1] = [sys.argv[1]]
warnings.simplefilter("ignore")
import pymongo
setup = json.loads(sys.stdin.buffer.readline())
def connect():
    return pymongo.MongoClient(setup["uri"], appname="miniecom.maintenance", serverSelectionTimeoutMS=10000, **setup["options"])
def say(text):
    try:
        sys.stdout.write(text + "\\n")
        sys.stdout.flush()
    except OSError:
        pass
def unlock():
    for attempt in range(60):
        try:
            connect().admin.command("fsyncUnlock")
            return True
        except pymongo.errors.OperationFailure as error:
            if "not locked" in str(error):
                return True
        except Exception:
            pass
        time.sleep(1)
    return False
started = time.monotonic()
try:
    connect().admin.command("fsync", lock=True)
except pymongo.errors.PyMongoError as error:
    say("error " + str((getattr(error, "details", None) or {}).get("errmsg") or type(error).__name__)[:300].replace("\\n", " "))
    sys.exit(1)
say("locked")
watch = selectors.DefaultSelector()
watch.register(sys.stdin.buffer, selectors.EVENT_READ)
expired = not watch.select(max(0.0, setup["seconds"] - (time.monotonic() - started)))
if not unlock():
    say("error the lock could not be released")
    sys.exit(1)
say("expired" if expired else "released")
"""


class WriteLock:
    """Holds a server locked against writes for at most `seconds`.

    Args:
        address: the server, with its credentials.
        seconds: how long writers may have to wait.
    """

    def __init__(self, address: Address, seconds: float) -> None:
        self._address = address
        self._seconds = seconds
        self._keeper: Optional[Any] = None

    def acquire(self) -> None:
        """Raises MaintenanceError: the server refuses, or does not lock within the time."""
        package = os.path.dirname(os.path.dirname(os.path.abspath(str(pymongo.__file__))))
        # A session of its own: a signal to the module's group must not end the one who unlocks.
        keeper: Any = subprocess.Popen(
            [sys.executable, "-c", _KEEPER, package],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
        options = {"directConnection": True} if self._address.direct else {}
        setup = {"uri": self._address.uri, "options": options, "seconds": self._seconds}
        self._keeper = keeper
        keeper.stdin.write((json.dumps(setup) + "\n").encode())
        keeper.stdin.flush()
        answer = self._answer(self._seconds + 15)
        if answer != "locked":
            self.release()
            raise MaintenanceError(
                "cannot lock the server against writes: %s" % (answer.partition(" ")[2] or "no answer in time"),
                self._address.where,
                next_step="The user needs the privilege fsync (role hostManager); or use consistency: none.",
            )

    def _answer(self, seconds: float) -> str:
        """The keeper's next line; "" when none comes in time or it has ended."""
        with selectors.DefaultSelector() as watch:
            watch.register(self._keeper.stdout, selectors.EVENT_READ)  # type: ignore[union-attr]
            if not watch.select(seconds):
                return ""
            return str(self._keeper.stdout.readline().decode("utf-8", "replace").strip())  # type: ignore[union-attr]

    def check(self) -> None:
        """Raises MaintenanceError: the lock was released because its time is over."""
        if self._keeper is not None and self._keeper.poll() is not None:
            raise self._expired()

    def _expired(self) -> MaintenanceError:
        return MaintenanceError(
            "the dump was not finished when the lock's time of %d s was over; the server was unlocked" % self._seconds,
            self._address.where,
            next_step="Raise lock_timeout, or use consistency: none, or run at a quieter time.",
        )

    def release(self) -> None:
        """Unlock. Raises MaintenanceError: the lock had run out before, or could not be released."""
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        try:
            keeper.stdin.close()
        except BrokenPipeError:
            pass
        last = keeper.stdout.read().decode("utf-8", "replace").split("\n")
        keeper.wait()
        keeper.stdout.close()
        if "expired" in last:
            raise self._expired()
        if keeper.returncode and "error the lock could not be released" in last:
            raise MaintenanceError(
                "the lock against writes could not be released",
                self._address.where,
                next_step="Run db.fsyncUnlock() in mongosh at once: the application cannot write.",
            )


def is_locked(connection: Connection) -> bool:
    """Whether the server is locked against writes (fsyncLock)."""
    with mongo_errors("cannot ask whether the server is locked", connection.address.where):
        answer = connection.client.admin.command("currentOp", {"$ownOps": True})
    return bool(answer.get("fsyncLock"))


def unlock(connection: Connection, seconds: float = 10.0) -> int:
    """Release every lock that stands; returns how many there were.

    Raises:
        MaintenanceError: the server refuses.
    """
    count, deadline = 0, time.monotonic() + seconds
    while is_locked(connection) and time.monotonic() < deadline:
        with mongo_errors("cannot release the lock against writes", connection.address.where):
            connection.client.admin.command("fsyncUnlock")
        count += 1
    return count
