# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a program of somebody else's: with an end in time, and nothing of it left running."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import Callable, Iterator, Mapping, Optional, Sequence

from .._core.errors import MaintenanceError, from_os_error
from .._core.late_dataclass import dataclass


@dataclass(frozen=True)
class Completed:
    """What a program left: its exit status, negative for the signal that ended it, and what it printed."""

    status: int
    output: bytes
    errors: bytes


class Running:
    """A program that has been started, in a session of its own.

    Args:
        process: it; name: what it is called in messages.
        timeout: how long it may take, in seconds from now on.
        target: what it looks at, and next_step: what to do, for the message when it takes too long.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], name: str, timeout: float, target: str, next_step: str
    ) -> None:
        self._process, self._name = process, name
        self._timeout, self._end = timeout, time.monotonic() + timeout
        self._target, self._next_step = target, next_step

    def completed(self) -> Completed:
        """Wait for its end.

        Raises:
            MaintenanceError: it takes too long.
        """
        try:
            output, errors = self._process.communicate(timeout=max(0.0, self._end - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise MaintenanceError(
                "%s did not end within %d s" % (self._name, self._timeout),
                target=self._target,
                next_step=self._next_step,
            ) from error
        return Completed(self._process.returncode, output, errors)

    def end(self) -> None:
        """End it with all that it started, should it still run."""
        if self._process.poll() is None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self._process.communicate()


@contextmanager
def running_program(
    name: str,
    command: Sequence[str],
    directory: str,
    environment: Mapping[str, str],
    timeout: float,
    target: str,
    next_step: str,
    prepare: Optional[Callable[[], None]] = None,
    unusable: str = "",
) -> Iterator[Running]:
    """Start a program, and do something else beside it; nothing of it runs any longer than this lasts.

    Args:
        name: what it is called in messages.
        directory: where it runs.
        environment: all of it.
        timeout: seconds.
        target: what it looks at, and next_step: what to do, for the message when it takes too long.
        prepare: what the child does before it becomes the program.
        unusable: what to do where this machine cannot run it.

    Raises:
        MaintenanceError: it cannot be started.
        SubprocessError: what the child was to do before failed.
    """
    try:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=directory,
            env=dict(environment),
            start_new_session=True,
            preexec_fn=prepare,
        )
    except OSError as error:
        raise from_os_error("cannot start %s" % name, error, target=command[0], otherwise=unusable) from error
    running = Running(process, name, timeout, target, next_step)
    try:
        yield running
    finally:
        running.end()


def run_program(
    name: str,
    command: Sequence[str],
    directory: str,
    environment: Mapping[str, str],
    timeout: float,
    target: str,
    next_step: str,
    prepare: Optional[Callable[[], None]] = None,
) -> Completed:
    """Run a program to its end; the arguments are those of running_program.

    Raises:
        MaintenanceError: it cannot be started, or takes too long.
    """
    with running_program(name, command, directory, environment, timeout, target, next_step, prepare) as running:
        return running.completed()
