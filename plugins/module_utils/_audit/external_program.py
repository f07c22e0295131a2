# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a program of somebody else's: with an end in time, and nothing of it left running."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass
from typing import Mapping, Sequence

from .._core.errors import MaintenanceError, from_os_error


@dataclass(frozen=True)
class Completed:
    """What a program left: its exit status, negative for the signal that ended it, and what it printed."""

    status: int
    output: bytes
    errors: bytes


def run_program(
    name: str,
    command: Sequence[str],
    directory: str,
    environment: Mapping[str, str],
    timeout: float,
    target: str,
    next_step: str,
) -> Completed:
    """Run a program to its end, in a session of its own, so that what it started ends with it.

    Args:
        name: what it is called in messages.
        directory: where it runs.
        environment: all of it.
        timeout: seconds.
        target: what it looks at, and next_step: what to do, for the message when it takes too long.

    Raises:
        MaintenanceError: it cannot be started, or takes too long.
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
        )
    except OSError as error:
        raise from_os_error("cannot start %s" % name, error, target=command[0]) from error
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise MaintenanceError(
            "%s did not end within %d s" % (name, timeout), target=target, next_step=next_step
        ) from error
    finally:
        if process.poll() is None:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.communicate()
    return Completed(process.returncode, output, errors)
