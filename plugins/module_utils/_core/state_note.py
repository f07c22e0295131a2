# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small notes in the state directory: JSON, written in one step, and with one meaning of what cannot be understood."""

from __future__ import annotations

import json
import os
from typing import Any, Callable, List, Optional, TypeVar

from .atomic_file import write_atomic
from .errors import MaintenanceError
from .private_dir import private_directory
from .state_dir import state_error

T = TypeVar("T")
# What tells that a note, or an entry of it, is none of ours: no UTF-8, no JSON, or not of the expected form.
NOT_UNDERSTOOD = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


def read_state_note(
    path: str, unreadable: str, parse: Callable[[Any], T], damaged: str = "", next_step: str = ""
) -> Optional[T]:
    """What a note says; None where there is none.

    Args:
        unreadable: what failed where the system refuses it.
        parse: makes something of what the JSON holds; an error of NOT_UNDERSTOOD says that it cannot.
        damaged: what failed where it cannot be understood; without it such a note is passed over as if it were not there.
        next_step: of that failure.

    Raises:
        MaintenanceError: it cannot be read, or, with `damaged`, not be understood.
    """
    try:
        with open(path, encoding="utf-8") as handle:
            return parse(json.load(handle))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise state_error(unreadable, path, error) from error
    except NOT_UNDERSTOOD as error:
        if not damaged:
            return None
        raise MaintenanceError(damaged, target=path, code=type(error).__name__, next_step=next_step) from error


def understood_entries(entries: Any, parse: Callable[[Any], T]) -> List[T]:
    """What the entries of a list say; those that cannot be understood, and what is no list, are passed over."""
    found = []
    for entry in entries if isinstance(entries, list) else ():
        try:
            found.append(parse(entry))
        except NOT_UNDERSTOOD:
            continue
    return found


def write_state_note(state_dir: str, path: str, content: Any, failed: str) -> None:
    """Write a note for its owner alone, and make the directories that it lies in.

    Args:
        path: below state_dir.
        content: for JSON; what it holds stays in its order.
        failed: what failed where the system refuses it.

    Raises:
        MaintenanceError: it cannot be written; what was there before stands.
    """
    below = os.path.relpath(os.path.dirname(path), state_dir)
    try:
        private_directory(state_dir, *(name for name in below.split(os.sep) if name != os.curdir))
        write_atomic(path, (json.dumps(content, indent=1) + "\n").encode("ascii"), 0o600)
    except OSError as error:
        raise state_error(failed, path, error) from error
