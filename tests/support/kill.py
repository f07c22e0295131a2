# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kill a module (SIGKILL) at each of its action boundaries, and see that the next run finishes the work."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from typing import Any

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
