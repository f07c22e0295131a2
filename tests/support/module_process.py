# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs one module of the collection as Ansible does on a target, without the packing: the quick way for tests.

``python module_process.py NAME`` with the module's arguments as JSON on stdin. Must run on Python 3.8; stands alone.
"""

import os
import runpy
import signal
import sys
from typing import Set, Tuple


def main() -> None:
    name = sys.argv[1]
    arguments = sys.stdin.buffer.read()
    # This directory must not be on the module's path: on a target there is nothing of the tests.
    sys.path.pop(0)
    # Nothing of the arguments is in argv, as on a target.
    sys.argv = [name]

    from ansible.module_utils import basic

    basic._ANSIBLE_ARGS = arguments
    if hasattr(basic, "_ANSIBLE_PROFILE"):
        basic._ANSIBLE_PROFILE = "legacy"
    for variable, what in (("MINIECOM_TEST_KILL_AT", signal.SIGKILL), ("MINIECOM_TEST_STOP_AT", signal.SIGSTOP)):
        number = os.environ.pop(variable, None)
        if number is not None:
            _signal_at(int(number), what)
    kill_at_change = os.environ.pop("MINIECOM_TEST_KILL_AT_CHANGE", None)
    if kill_at_change is not None:
        below, _, number = kill_at_change.rpartition(":")
        _kill_at_change(int(number), below)
    kill_at_command = os.environ.pop("MINIECOM_TEST_KILL_AT_COMMAND", None)
    if kill_at_command is not None:
        number, _, pid = kill_at_command.partition(":")
        _kill_at_command(int(number), int(pid or os.getpid()))
    at_command = os.environ.pop("MINIECOM_TEST_SIGNAL_AT_COMMAND", None)
    if at_command is not None:
        _signal_at_command(*(int(number) for number in at_command.split(":")))
    times = os.environ.pop("MINIECOM_TEST_BATCHES_TIMES", None)
    if times is not None:
        _repeat_batches(int(times))
    memory = os.environ.pop("MINIECOM_TEST_MEMORY", None)
    if memory is not None:
        _tell_memory(memory)
    runpy.run_module("ansible_collections.miniecom.maintenance.plugins.modules." + name, run_name="__main__")


def _repeat_batches(times: int) -> None:
    """Make the database as many times as large: each batch read is given out so often, each document inserted once.

    A backup of it holds all of the documents; restored, and read back as often, they are those of the backup again.
    """
    from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import raw_cursor, restore

    read, insert = raw_cursor.DocumentCursor.__next__, restore.insert_documents
    inserted: Set[Tuple[str, bytes]] = set()

    def again(cursor: "raw_cursor.DocumentCursor") -> "Tuple[bytes, int]":
        left, batch, documents = getattr(cursor, "repeated", (0, b"", 0))
        if left:
            vars(cursor)["repeated"] = (left - 1, batch, documents)
            return bytes(memoryview(batch)), documents  # a copy, as the next batch would be
        batch, documents = read(cursor)
        vars(cursor)["repeated"] = (times - 1, batch, documents)
        return batch, documents

    def once(target: object, data: bytes, where: str, same: bool) -> None:
        position, fresh = 0, []
        while position < len(data):
            size = int.from_bytes(data[position : position + 4], "little")
            key = (where, data[position : position + 32])
            if key not in inserted:
                inserted.add(key)
                fresh.append(data[position : position + size])
            position += size
        if fresh:
            insert(target, b"".join(fresh), where, same)

    raw_cursor.DocumentCursor.__next__ = again  # type: ignore[method-assign,assignment]
    restore.insert_documents = once


def _tell_memory(path: str) -> None:
    """Write to a file, at the end, the most memory that this process has had at a time, in bytes.

    The figure of getrusage() begins with that of the process that started this one.
    """
    import atexit

    def tell() -> None:
        with open("/proc/self/status") as status:
            (line,) = [line for line in status if line.startswith("VmHWM:")]
        with open(path, "w") as out:
            out.write(str(int(line.split()[1]) * 1024))

    atexit.register(tell)


def _signal_at(number: int, what: int) -> None:
    """Send ourselves a signal when the run is about to pass its action boundary of this number, the first one being 0."""
    from ansible_collections.miniecom.maintenance.plugins.module_utils._core import runner

    original = runner.boundary
    passed = [0]

    def boundary(context: runner.RunContext, event: dict) -> None:
        if passed[0] == number:
            os.kill(os.getpid(), what)
        passed[0] += 1
        original(context, event)

    runner.boundary = boundary


def _signal_at_command(number: int, what: int, pid: int) -> None:
    """Send a signal just before the driver sends the command of this number, the first one being 0, to a database.

    Commands without an effect on data, such as those that open a connection, are not counted.

    pid: the process that gets it, 0 for ourselves.
    number: -1 for none; then standard error tells at the end how many commands there were.
    """
    import atexit

    from pymongo import monitoring

    counted = {"find", "aggregate", "getMore", "insert", "update", "delete", "replSetGetStatus"}
    passed = [0]

    class Listener(monitoring.CommandListener):
        def started(self, event: monitoring.CommandStartedEvent) -> None:
            if event.command_name not in counted:
                return
            if passed[0] == number:
                os.kill(pid or os.getpid(), what)
            passed[0] += 1

        def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
            pass

        def failed(self, event: monitoring.CommandFailedEvent) -> None:
            pass

    monitoring.register(Listener())
    if number < 0:
        atexit.register(lambda: sys.stderr.write("commands: %d\n" % passed[0]))


_CHANGING_COMMANDS = ("create", "createIndexes", "insert", "update", "renameCollection", "drop", "aggregate")


def _kill_at_command(number: int, pid: int) -> None:
    """Kill a process by SIGKILL, ourselves or the server, just before the driver sends its changing command of this number."""
    from pymongo import monitoring

    passed = [0]

    class Killer(monitoring.CommandListener):
        def started(self, event: monitoring.CommandStartedEvent) -> None:
            name, command = event.command_name, event.command
            if name not in _CHANGING_COMMANDS or (name == "aggregate" and "$out" not in command["pipeline"][-1]):
                return
            passed[0] += 1
            if passed[0] == number + 1:
                os.kill(pid, signal.SIGKILL)

        def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
            pass

        def failed(self, event: monitoring.CommandFailedEvent) -> None:
            pass

    monitoring.register(Killer())


_CHANGES = (
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.chmod",
    "os.chown",
    "os.truncate",
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def _kill_at_change(number: int, below: str) -> None:
    """Die by SIGKILL just before the change of this number, the first one being 0.

    A change is one that Python's audit events tell of: a file below the directory is opened for writing, renamed, removed ...,
    two change places, or a signal is sent. A path relative to an open directory counts, wherever that directory is.
    """
    passed = [0]

    def hook(event: str, arguments: tuple) -> None:
        if event == "open":
            path, _mode, flags = arguments
            if not isinstance(flags, int) or not flags & _WRITING:
                return
        elif event in _CHANGES:
            path = arguments[0]
        elif event in ("os.kill", "os.killpg") or (event == "ctypes.dlsym" and arguments[1] == "renameat2"):
            # Python has no word of its own for two directories that change places.
            path = below
        else:
            return
        path = "/proc/self/fd/%d" % path if isinstance(path, int) else os.fsdecode(path)
        if path.startswith("/proc/self/fd/"):
            path = os.readlink(path)
        if os.path.isabs(path) and not (path + "/").startswith(below + "/"):
            return
        passed[0] += 1
        if passed[0] == number + 1:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


if __name__ == "__main__":
    main()
