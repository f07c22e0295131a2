# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kill a module (SIGKILL) at each of its action boundaries, or at each change it makes, and see that the next run finishes
the work."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.support.extent import STRIDE
from tests.support.modules import ModuleResult, run_module


def boundaries(actions: int) -> range:
    """Numbers of the action boundaries of a run with so many planned actions: before and after each."""
    return range(2 * actions)


def kill_and_run_again(
    name: str,
    params: Mapping[str, Any],
    number: int,
    inspect: Callable[[], None] = lambda: None,
    timeout: float = 120,
    **options: Any,
) -> ModuleResult:
    """Run a module that dies at boundary `number`, then the same module undisturbed.

    inspect: called between the two, for what must hold although the first was killed (no data lost, no half files).
    options: python and env, as run_module() takes them.

    Returns the second run's result, which has been checked to be a success, and whose repetition to change nothing.
    """
    killed = run_module(name, params, kill_at=number, timeout=timeout, **options)
    assert killed.rc == -signal.SIGKILL, f"boundary {number} was not reached: {killed.rc} {killed.msg}"
    inspect()
    again = run_module(name, params, timeout=timeout, **options)
    assert not again.failed, again.msg
    inspect()
    settled = run_module(name, params, timeout=timeout, **options)
    assert not settled.failed, settled.msg
    assert not settled.changed, settled.result.get("summary")
    return again


def kill_at_every_change(
    directory: Path, prepare: Callable[[Path], tuple[str, Mapping[str, Any]]], inspect: Callable[[Path], None]
) -> int:
    """Run a module again and again, each time on a fresh world of its own, and kill it just before its first change to the
    files there, its second, and so on, until it lives to its end; ``make test`` passes over two of three.

    prepare: makes the world in the given directory, and returns the module's name and arguments.
    inspect: what must hold in it after the kill, the next run included.

    Returns how many changes it makes; a little more where some were passed over.
    """
    number = 0
    while True:
        world = directory / f"killed-{number}"
        world.mkdir()
        name, params = prepare(world)
        result = run_module(name, params, kill_at_change=(world, number))
        if result.rc != -signal.SIGKILL:
            assert not result.failed, result.msg
            return number
        try:
            inspect(world)
        except Exception as error:
            error.add_note(f"killed before change {number}")
            raise
        number += STRIDE
