# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state directory of a host: what lies where in it, and the lock that each module holds while it works."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import contextmanager
from typing import Iterator

from .atomic_file import is_partial
from .errors import MaintenanceError, from_os_error

_FORBIDDEN = (errno.EACCES, errno.EPERM)


def state_error(what: str, path: str, error: OSError) -> MaintenanceError:
    """What the system refused in the state directory."""
    return from_os_error(
        what,
        error,
        target=path,
        forbidden="Run as the owner of the state directory, usually root (become: true), or set state_dir.",
        otherwise="Check the file system of state_dir.",
    )


def take_lock(descriptor: int, wait: float) -> bool:
    """Lock a file for this process alone; False when another one holds it longer than `wait` seconds."""
    deadline = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)


class StateDirectory:
    """Paths of one host's state, and its lock.

    Args:
        path: made with mode 0700 by the first call that writes.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.lease_path = os.path.join(path, "lease.json")
        self.lock_path = os.path.join(path, "lock")
        self.runs_dir = os.path.join(path, "runs")
        self.leftovers_dir = os.path.join(path, "leftovers")

    def prepare(self) -> None:
        """Make the directories, readable by their owner only."""
        try:
            for path in (self.path, self.runs_dir, self.leftovers_dir):
                os.makedirs(path, mode=0o700, exist_ok=True)
        except OSError as error:
            raise state_error("cannot make the state directory", self.path, error) from error

    def lock_is_free(self) -> bool:
        """Whether no module is working now. Changes nothing, makes no file."""
        try:
            descriptor = os.open(self.lock_path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError as error:
            raise state_error("cannot look at the lock", self.lock_path, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)

    @contextmanager
    def locked(self, wait: float = 0.0) -> Iterator[bool]:
        """Hold the lock; gives False when another process holds it longer than `wait` seconds."""
        self.prepare()
        try:
            descriptor = os.open(self.lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise state_error("cannot open the lock", self.lock_path, error) from error
        try:
            yield take_lock(descriptor, wait)
        finally:
            os.close(descriptor)

    def events_path(self, run_id: str) -> str:
        """Where the events of a run lie.

        Raises:
            MaintenanceError: this is no run id.
        """
        if not run_id or os.sep in run_id or run_id.startswith("."):
            raise MaintenanceError(
                "not a run id", target=repr(run_id), next_step="Use the run_id that maintenance_run returned."
            )
        return os.path.join(self.runs_dir, run_id + ".jsonl")

    def record_path(self, run_id: str) -> str:
        """Where the summary of a run lies, beside its events."""
        return self.events_path(run_id)[: -len("l")]


def sweep(state: StateDirectory) -> None:
    """Remove half-written files of our own in the state directory; a write takes no hour."""
    for directory in (state.path, state.runs_dir, state.leftovers_dir):
        try:
            names = os.listdir(directory)
        except OSError:
            continue
        for name in names:
            path = os.path.join(directory, name)
            try:
                if is_partial(name) and time.time() - os.lstat(path).st_mtime > 3600:
                    os.unlink(path)
            except OSError:
                continue
