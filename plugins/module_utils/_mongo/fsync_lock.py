# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""fsyncLock, held so that it cannot outlive its purpose.

A child process takes the lock, waits, and releases it: when it is told to, when the module dies (its input ends), or
when the time is over. A module killed in the middle of a dump therefore does not leave the shop unable to write.

A lock goes with the process of the server that holds it, and anybody may release it: what was read under it was read under
it to the end only where the same process still held it then. A server's process has an id that it tells with hello
(topologyVersion.processId, https://github.com/mongodb/specifications/blob/master/source/server-discovery-and-monitoring/server-discovery-and-monitoring.md).

The server counts locks and does not know whose they are. What tells ours from an administrator's is a note that exists
only while ours may stand: it names the child, and the child removes it when it has unlocked.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from typing import Any, Callable, Optional

try:
    import pymongo
except ImportError:  # pragma: no cover - the client raises MissingLibrary first
    pymongo = None  # type: ignore[assignment]

from .._core.clock import parse_utc, utc_now
from .._core.errors import MaintenanceError
from .._core.leftovers import Leftover, LockLeft, ProcessId
from .._core.processes import read_process
from .address import Address
from .client import Connection
from .errors import mongo_errors

_KEEPER = """
import json, os, selectors, socket, sys, time, warnings
sys.path[:1] = [sys.argv[1]]
warnings.simplefilter("ignore")
import pymongo
setup = json.loads(sys.stdin.buffer.readline())
plain = socket.getaddrinfo
def look_up(host, port, *more, **named):
    if [host, port] == setup["lookup"][:2]:
        return plain(setup["lookup"][2], port, type=socket.SOCK_STREAM)
    return plain(host, port, *more, **named)
socket.getaddrinfo = look_up
def connect():
    return pymongo.MongoClient(setup["uri"], appname="miniecom.maintenance", serverSelectionTimeoutMS=10000, **setup["options"])
def say(text):
    try:
        sys.stdout.write(text + "\\n")
        sys.stdout.flush()
    except OSError:
        pass
def drop_note():
    try:
        if setup["note"]:
            os.unlink(setup["note"])
    except OSError:
        pass
def process_of(client):
    return (client.admin.command("hello").get("topologyVersion") or {}).get("processId")
def unlock():
    first = asked = False
    for attempt in range(60):
        try:
            client = connect()
            if holder is not None and process_of(client) != holder:
                return "restarted"
            first, asked = not asked, True
            client.admin.command("fsyncUnlock")
            return "released"
        except pymongo.errors.OperationFailure as error:
            if "not locked" in str(error):
                return "taken" if first else "released"
        except Exception:
            pass
        if not attempt:
            say("unreachable")
        time.sleep(1)
    return ""
started = time.monotonic()
holder = None
try:
    client = connect()
    client.admin.command("fsync", lock=True)
except pymongo.errors.PyMongoError as error:
    if isinstance(error, pymongo.errors.OperationFailure):
        drop_note()
    say("error " + str((getattr(error, "details", None) or {}).get("errmsg") or type(error).__name__)[:300].replace("\\n", " "))
    sys.exit(1)
try:
    holder = process_of(client)
except pymongo.errors.PyMongoError:
    pass
say("locked")
watch = selectors.DefaultSelector()
watch.register(sys.stdin.buffer, selectors.EVENT_READ)
expired = not watch.select(max(0.0, setup["seconds"] - (time.monotonic() - started)))
end = unlock()
if not end:
    sys.exit(1)
drop_note()
say("expired" if expired and end == "released" else end)
"""


# How long a server may take to unlock, which needs nothing but its answer.
_RELEASE_SECONDS = 30


class LockEnded(MaintenanceError):
    """The lock has ended while it was still needed."""


class KeeperKilled(MaintenanceError):
    """Whoever kept the lock has ended without a word: the server may still be locked."""


class WriteLock:
    """Holds a server locked against writes for at most `seconds`.

    Args:
        address: the server, with its credentials.
        seconds: how long writers may have to wait.
        register: notes the keeper (pid and start_time) before it locks; returns the path of the note, or "".
    """

    def __init__(
        self, address: Address, seconds: float, register: Callable[[ProcessId], str] = lambda keeper: ""
    ) -> None:
        self._address = address
        self._register = register
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
        self._keeper = keeper
        process = read_process(keeper.pid)
        note = self._register(ProcessId(keeper.pid, process.start_time if process is not None else 0))
        # The server that is dumped is to be locked, and no other that has the name of its certificate.
        lookup = [self._address.server_name, *reversed(self._address.hosts[0])] if self._address.server_name else []
        setup = {
            "uri": self._address.uri,
            "options": options,
            "seconds": self._seconds,
            "note": note,
            "lookup": lookup,
        }
        keeper.stdin.write((json.dumps(setup) + "\n").encode())
        keeper.stdin.flush()
        answer = self._answer(self._seconds + 15)
        if answer != "locked":
            self._end()
            self._keeper = None
            raise MaintenanceError(
                "cannot lock the server against writes: %s" % (answer.partition(" ")[2] or "no answer in time"),
                target=self._address.where,
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
        """Raises LockEnded: nobody keeps the lock any more; release() tells why."""
        if self._keeper is not None and self._keeper.poll() is not None:
            raise LockEnded("the lock has ended before the dump", target=self._address.where)

    def release(self) -> None:
        """Unlock.

        Raises:
            KeeperKilled: the lock may stand.
            MaintenanceError: it had run out before, was not there any more, or could not be released yet.
        """
        if self._keeper is None:
            return
        end, pid = self._end(), self._keeper.pid
        self._keeper = None
        where = self._address.where
        again = "Nothing of this backup remains. Run again."
        if end == "expired":
            raise MaintenanceError(
                "the dump was not finished when the lock's time of %d s was over; the server was unlocked"
                % self._seconds,
                target=where,
                next_step="Raise lock_timeout, or use consistency: none, or run at a quieter time.",
            )
        if end == "restarted":
            raise MaintenanceError(
                "the server was restarted while it was locked for the dump, and its lock is gone",
                target=where,
                next_step=again,
            )
        if end == "taken":
            raise MaintenanceError(
                "somebody else has released the lock while the dump was made", target=where, next_step=again
            )
        if end == "unreachable":
            raise MaintenanceError(
                "the server that was locked for the dump does not answer",
                target=where,
                next_step="Process %d goes on trying to unlock it for some ten minutes; a server that was restarted is"
                " not locked any more. If the application cannot write later, run db.fsyncUnlock() in mongosh." % pid,
            )
        if end != "released":
            raise KeeperKilled(
                "the process that kept the lock has ended without releasing it", target=where, next_step=again
            )

    def _end(self) -> str:
        """Tell the keeper to unlock; its last word, "" where it had none.

        It is not waited for where it cannot reach the server: it ends by itself.
        """
        keeper = self._keeper
        if keeper is None:
            return ""
        try:
            keeper.stdin.close()
        except BrokenPipeError:
            pass
        deadline, last = time.monotonic() + _RELEASE_SECONDS, ""
        while last != "unreachable" or keeper.poll() is not None:
            line = self._answer(max(0.0, deadline - time.monotonic()))
            if not line:
                break
            last = line
        if keeper.poll() is None and (last == "unreachable" or time.monotonic() >= deadline):
            return "unreachable"
        keeper.wait()
        keeper.stdout.close()
        return last if last != "unreachable" else ""  # it has given up


def is_locked(connection: Connection) -> bool:
    """Whether the server is locked against writes (fsyncLock)."""
    with mongo_errors("cannot ask whether the server is locked", connection.address.where):
        answer = connection.client.admin.command("currentOp", {"$ownOps": True})
    return bool(answer.get("fsyncLock"))


LEFT, GONE, HELD, UNKNOWN = "left", "gone", "held", "unknown"
UNKNOWN_TEXT = (
    "%s is locked against writes, and a note that does not name its keeper says that a killed dump may have done it. "
    "If nobody else did, run db.fsyncUnlock() in mongosh."
)


def judge_lock(connection: Connection, leftover: Leftover, boot: str) -> str:
    """What became of the lock of a note whose module is gone.

    Args:
        leftover: a note about a lock.
        boot: the id of the host's present boot.

    Returns:
        LEFT: its keeper was killed, and the server is locked; it may be by ours. GONE: it cannot stand any more.
        HELD: its keeper still runs and will release it. UNKNOWN: the server is locked and the note does not say enough.
    """
    keeper = leftover.left.keeper if isinstance(leftover.left, LockLeft) else ProcessId()
    if leftover.is_of_another_boot(boot):
        return GONE
    if keeper.runs():
        return HELD
    if not is_locked(connection) or _started_after(connection, leftover.at):
        return GONE
    return LEFT if keeper.pid and leftover.boot and boot else UNKNOWN


def _started_after(connection: Connection, at: str) -> bool:
    """Whether the server was started after a moment: no lock outlives that. False where it cannot be told."""
    try:
        moment = parse_utc(at)
        uptime = float(connection.client.admin.command("serverStatus", repl=0, metrics=0)["uptimeMillis"]) / 1000
    except (ValueError, KeyError, pymongo.errors.PyMongoError):
        return False
    # The note tells whole seconds.
    return (utc_now() - moment).total_seconds() > uptime + 2


def unlock(connection: Connection) -> bool:
    """Release one lock, as ours is one; returns whether any stood.

    Raises:
        MaintenanceError: the server refuses.
    """
    if not is_locked(connection):
        return False
    with mongo_errors("cannot release the lock against writes", connection.address.where):
        connection.client.admin.command("fsyncUnlock")
    return True
