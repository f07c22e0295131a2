# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a fix changed, noted before it changes anything, so that it can be taken back."""

from __future__ import annotations

import errno
import json
import os
import secrets
from datetime import datetime
from typing import Any, Dict, Iterable, List, Mapping, Optional

from .._core.atomic_file import is_partial, write_atomic
from .._core.errors import MaintenanceError
from .._core.private_dir import private_directory

KIND = "file modes"
_KEYS = ("path", "root", "device", "inode", "uid", "gid", "before", "after")


def new_undo_id(run_id: Optional[str], now: datetime) -> str:
    """An id that begins with the run's, so that a whole run can be undone by its own id."""
    return "%s.%s" % (run_id or now.strftime("%Y%m%dT%H%M%SZ-fix"), secrets.token_hex(3))


def directory(state_dir: str) -> str:
    return os.path.join(state_dir, "undo")


def _note(entry: Mapping[str, Any]) -> Dict[str, Any]:
    note = {key: entry[key] for key in _KEYS}
    if entry.get("born"):  # not known everywhere
        note["born"] = entry["born"]
    return note


def write(state_dir: str, undo_id: str, entries: Iterable[Mapping[str, Any]]) -> str:
    """Note the modes that are about to change; returns the path of the note.

    Raises:
        MaintenanceError: it cannot be written, and so nothing may be changed.
    """
    path = os.path.join(directory(state_dir), undo_id + ".json")
    notes = [_note(entry) for entry in entries]
    try:
        private_directory(state_dir, "undo")
        write_atomic(path, (json.dumps({"kind": KIND, "entries": notes}, indent=1) + "\n").encode("ascii"), 0o600)
    except OSError as error:
        raise MaintenanceError(
            "cannot note how to undo this fix, so nothing was changed",
            target=path,
            code=errno.errorcode.get(error.errno or 0, error.errno),
            next_step="Check that state_dir is writable and has space.",
        ) from error
    return path


def read(state_dir: str, wanted: str) -> List[Dict[str, Any]]:
    """The notes of one fix, or of all fixes of a run, the latest first.

    Raises:
        MaintenanceError: there are none, or one cannot be understood.
    """
    base = directory(state_dir)
    try:
        names = sorted(os.listdir(base))
    except (FileNotFoundError, NotADirectoryError):
        names = []
    except OSError as error:
        raise MaintenanceError(
            "cannot read the undo data",
            target=base,
            code=errno.errorcode.get(error.errno or 0, error.errno),
            next_step="Run as root (become: true).",
        ) from error
    chosen = [
        name
        for name in names
        if name.endswith(".json")
        and not is_partial(name)
        and (name == wanted + ".json" or name.startswith(wanted + "."))
    ]
    if not wanted or not chosen:
        known = ", ".join(name[: -len(".json")] for name in names[-5:] if name.endswith(".json")) or "none"
        raise MaintenanceError(
            "there is no undo data of this name",
            target=repr(wanted),
            next_step="Use the undo_id or the run_id of a fix on this host; the latest here: %s." % known,
        )
    files = []
    for name in chosen:
        path = os.path.join(base, name)
        try:
            with open(path, encoding="ascii") as handle:
                found = json.load(handle)
            if found["kind"] != KIND:
                continue
            notes = [_note(entry) for entry in found["entries"]]
            files.append((os.stat(path).st_mtime_ns, name, notes))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MaintenanceError(
                "the undo data cannot be read", target=path, code=type(error).__name__, next_step="Nothing was changed."
            ) from error
    return [note for _time, _name, notes in sorted(files, reverse=True) for note in notes]
