# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was noted before it was changed, so that it can be put back: a file for each change, of each kind, in state_dir/undo."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any, Callable, List, Mapping, Optional, Tuple, TypeVar

from .atomic_file import is_partial
from .clock import compact_utc
from .errors import AbortPlan, MaintenanceError, from_os_error
from .state_note import read_state_note, write_state_note

T = TypeVar("T")
_SUFFIX = ".json"


def new_undo_id(run_id: Optional[str], now: datetime) -> str:
    """An id that begins with the run's, so that a whole run can be undone by its own id. Pure.

    The modules of a run work one after the other: the moment, in microseconds, tells its fixes apart.
    """
    moment = compact_utc(now)
    if run_id:
        return "%s.%s%06d" % (run_id, moment[moment.index("T") + 1 : -1], now.microsecond)
    return "%s-fix.%06d" % (moment, now.microsecond)


def undo_path(state_dir: str, undo_id: str) -> str:
    return os.path.join(state_dir, "undo", undo_id + _SUFFIX)


def undo_ids(state_dir: str) -> List[str]:
    """Of all notes of every kind, by name.

    Raises:
        MaintenanceError: their directory cannot be read.
    """
    base = os.path.dirname(undo_path(state_dir, ""))
    try:
        names = sorted(os.listdir(base))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise from_os_error("cannot read the undo data", error, target=base) from error
    return [name[: -len(_SUFFIX)] for name in names if name.endswith(_SUFFIX) and not is_partial(name)]


def write_undo_note(state_dir: str, undo_id: str, kind: str, content: Mapping[str, Any], failed: str) -> str:
    """Note what is about to change; returns the path of the note.

    Raises:
        AbortPlan: it cannot be written, and so nothing may be changed.
    """
    path = undo_path(state_dir, undo_id)
    try:
        write_state_note(state_dir, path, {"kind": kind, **content}, failed)
    except MaintenanceError as error:
        raise AbortPlan.because_of(error) from error
    return path


def undo_notes(
    state_dir: str, kind: str, parse: Callable[[Mapping[str, Any]], T], wanted: str = ""
) -> List[Tuple[str, T]]:
    """The notes of a kind by their ids, the latest first.

    Args:
        parse: makes something of a note, as for read_state_note().
        wanted: an undo id, or a run's id for all of it; "" for every one.

    Raises:
        MaintenanceError: one that is wanted cannot be read or understood, of whatever kind it may be.
    """
    found: List[Tuple[int, str, T]] = []

    def of_kind(content: Any) -> Optional[T]:
        return parse(content) if content["kind"] == kind else None

    for undo_id in undo_ids(state_dir):
        if wanted and undo_id != wanted and not undo_id.startswith(wanted + "."):
            continue
        path = undo_path(state_dir, undo_id)
        unreadable = "the undo data cannot be read"
        note = read_state_note(path, unreadable, of_kind, unreadable, "Nothing was changed.")
        if note is not None:
            found.append((_written_at(path), undo_id, note))
    found.sort(key=lambda item: item[:2], reverse=True)
    return [(undo_id, note) for _time, undo_id, note in found]


def _written_at(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError as error:
        raise from_os_error("cannot read the undo data", error, target=path) from error
