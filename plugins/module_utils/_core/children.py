# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Child processes that do not outlive the module that started them, however it ends."""

from __future__ import annotations

import ctypes
import signal
from typing import Callable

_PR_SET_PDEATHSIG = 1


def dying_with_parent(number: int = signal.SIGKILL) -> Callable[[], None]:
    """What a child does before its program begins (`preexec_fn`), so that the kernel sends it a signal when we are gone."""
    library = ctypes.CDLL(None)

    def ask() -> None:  # pragma: no cover - runs in the child
        library.prctl(_PR_SET_PDEATHSIG, int(number))

    return ask
