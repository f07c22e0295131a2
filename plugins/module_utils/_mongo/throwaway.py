# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A mongod that lives for one restore test: its own directory, one socket in it, no network, gone afterwards."""

from __future__ import annotations

import os
import subprocess
import time
from typing import Any, Callable, List, Optional, Sequence
from urllib.parse import quote

from .._core.children import dying_with_parent
from .._core.errors import MaintenanceError, from_os_error
from .address import Address
from .client import Connection, open_address

START_SECONDS = 90.0
# The kernel's limit for the path of a socket is 108 bytes with the final zero.
MAX_SOCKET_PATH = 107
SOCKET_NAME = "mongodb-27017.sock"
LOG_NAME = "mongod.log"
# What it says before it has a log, or when it cannot be run at all.
OUTPUT_NAME = "mongod.out"

# Without the first, documents that expire would be gone before they are compared.
_PARAMETERS = ("ttlMonitorEnabled=false", "diagnosticDataCollectionEnabled=false")


def arguments(directory: str, cache_gigabytes: float = 0.25) -> List[str]:
    """mongod's arguments for a server that keeps everything inside a directory and listens on a socket in it alone.

    Args:
        directory: the directory as the server sees it; holds db/.
    """
    found = ["--dbpath", directory + "/db", "--logpath", directory + "/" + LOG_NAME]
    found += ["--bind_ip", directory + "/" + SOCKET_NAME, "--unixSocketPrefix", directory, "--port", "27017"]
    found += ["--filePermissions", "0600", "--wiredTigerCacheSizeGB", str(cache_gigabytes)]
    for parameter in _PARAMETERS:
        found += ["--setParameter", parameter]
    return found


def socket_fits(directory: str) -> bool:
    """Whether a socket in this directory can be connected to."""
    return len(os.fsencode(os.path.join(directory, SOCKET_NAME))) <= MAX_SOCKET_PATH


class ThrowawayServer:
    """A mongod started from a program of this host.

    Args:
        program: path of mongod.
        directory: an empty directory of our own, readable by its owner only.
    """

    def __init__(self, program: str, directory: str) -> None:
        self._program = program
        self._directory = directory
        self._process: Optional[Any] = None

    def start(self) -> Connection:
        """Start and connect.

        Raises:
            MaintenanceError: it does not start; its log says why.
        """
        os.mkdir(os.path.join(self._directory, "db"), 0o700)
        try:
            with open(os.path.join(self._directory, OUTPUT_NAME), "wb") as output:
                self._process = subprocess.Popen(
                    [self._program, *arguments(self._directory)],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=self._directory,
                    preexec_fn=dying_with_parent(),
                )
        except OSError as error:
            raise from_os_error(
                "cannot start a mongod for the restore test",
                error,
                target=self._program,
                next_step="Set mongod_program to a mongod of the same version.",
            ) from error
        return wait_for_server(self._directory, self._ended, self._output)

    def _output(self) -> str:
        return _last_lines(os.path.join(self._directory, OUTPUT_NAME))

    def _ended(self) -> Optional[str]:
        status = self._process.poll() if self._process is not None else 0
        return None if status is None else "exit status %s" % status

    def stop(self) -> None:
        """End it at once: what it holds is thrown away."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()


def wait_for_server(directory: str, ended: Callable[[], Optional[str]], output: Callable[[], str]) -> Connection:
    """Connect to the server in a directory as soon as it answers.

    Args:
        ended: gives the reason when the server has ended, else None.
        output: gives the end of what the server wrote to its standard output and standard error.

    Raises:
        MaintenanceError: it ended, or does not answer in time; its own words are quoted.
    """
    path = os.path.join(directory, SOCKET_NAME)
    address = Address(
        ((path, 0),), "", "", source="the throwaway server", direct=True, uri="mongodb://" + quote(path, safe="")
    )
    deadline = time.monotonic() + START_SECONDS
    while True:
        reason = ended()
        if reason is None and os.path.exists(path):
            try:
                return open_address(address, 2.0)
            except MaintenanceError:
                pass  # it is not ready yet
        if reason is not None or time.monotonic() > deadline:
            words = [text for text in (_log_end(directory), output()) if text]
            raise MaintenanceError(
                "the mongod for the restore test %s" % ("ended (%s)" % reason if reason else "does not answer"),
                target=directory,
                next_step="The backup was not tested. The server's own words: %s" % (" ".join(words) or "none"),
            )
        time.sleep(0.05)


def _log_end(directory: str) -> str:
    return _last_lines(os.path.join(directory, LOG_NAME), ('"s":"E"', '"s":"F"'))


def _last_lines(path: str, marks: Sequence[str] = ()) -> str:
    """The last two lines of a file, of those that bear a mark if any does; "" when there is none."""
    try:
        with open(path, "rb") as handle:
            handle.seek(max(0, os.fstat(handle.fileno()).st_size - 4000))
            lines = handle.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    marked = [line for line in lines if any(mark in line for mark in marks)]
    return " ".join((marked or lines)[-2:])[:600]
