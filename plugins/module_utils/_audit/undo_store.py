# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a fix changes, noted before it changes anything, so that it can be taken back."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping

from .._core.errors import MaintenanceError
from .._core.undo_note import undo_ids, undo_notes, write_undo_note
from .permission_fix import ModeChange

KIND = "file modes"
_KEYS = ("path", "root", "device", "inode", "uid", "gid", "before", "after")


def _as_entry(change: ModeChange) -> Dict[str, Any]:
    entry = {key: getattr(change, key) for key in _KEYS}
    if change.born:  # not known everywhere
        entry["born"] = change.born
    return entry


def _change(entry: Mapping[str, Any]) -> ModeChange:
    return ModeChange(**{key: entry[key] for key in _KEYS}, born=int(entry.get("born") or 0))


def write_undo(state_dir: str, undo_id: str, changes: Iterable[ModeChange]) -> str:
    """Note the modes that are about to change; returns the path of the note.

    Raises:
        AbortPlan: it cannot be written, and so nothing may be changed.
    """
    content = {"entries": [_as_entry(change) for change in changes]}
    return write_undo_note(
        state_dir, undo_id, KIND, content, "cannot note how to undo this fix, so nothing was changed"
    )


def read_undo(state_dir: str, wanted: str) -> List[ModeChange]:
    """The notes of one fix, or of all fixes of a run, the latest first.

    Raises:
        MaintenanceError: there are none, or one cannot be understood.
    """
    notes = undo_notes(state_dir, KIND, _changes, wanted) if wanted else []
    if not notes:
        raise MaintenanceError(
            "there is no undo data of this name",
            target=repr(wanted),
            next_step="Use the undo_id or the run_id of a fix on this host; the latest here: %s."
            % (", ".join(undo_ids(state_dir)[-5:]) or "none"),
            details={"nothing_to_undo": True},
        )
    return [change for _undo_id, changes in notes for change in changes]


def _changes(note: Mapping[str, Any]) -> List[ModeChange]:
    return [_change(entry) for entry in note["entries"]]
