# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a fix changes, noted before it changes anything, so that it can be taken back."""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import Any, Dict, Iterable, List, Mapping, Optional

from .._core.atomic_file import is_partial, write_atomic
from .._core.clock import compact_utc
from .._core.errors import AbortPlan, MaintenanceError, from_os_error
from .._core.private_dir import private_directory
from .permission_fix import ModeChange

KIND = "file modes"
_KEYS = ("path", "root", "device", "inode", "uid", "gid", "before", "after")


def new_undo_id(run_id: Optional[str], now: datetime) -> str:
    """An id that begins with the run's, so that a whole run can be undone by its own id. Pure.

    The modules of a run work one after the other: the moment, in microseconds, tells its fixes apart.
    """
    moment = compact_utc(now)
    if run_id:
        return "%s.%s%06d" % (run_id, moment[moment.index("T") + 1 : -1], now.microsecond)
    return "%s-fix.%06d" % (moment, now.microsecond)


def undo_directory(state_dir: str) -> str:
    return os.path.join(state_dir, "undo")


def undo_path(state_dir: str, undo_id: str) -> str:
    return os.path.join(undo_directory(state_dir), undo_id + ".json")


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
    path = undo_path(state_dir, undo_id)
    entries = [_as_entry(change) for change in changes]
    try:
        private_directory(state_dir, "undo")
        write_atomic(path, (json.dumps({"kind": KIND, "entries": entries}, indent=1) + "\n").encode("ascii"), 0o600)
    except OSError as error:
        cause = from_os_error(
            "cannot note how to undo this fix, so nothing was changed",
            error,
            target=path,
            otherwise="Check the file system of state_dir.",
        )
        raise AbortPlan.because_of(cause) from error
    return path


def read_undo(state_dir: str, wanted: str) -> List[ModeChange]:
    """The notes of one fix, or of all fixes of a run, the latest first.

    Raises:
        MaintenanceError: there are none, or one cannot be understood.
    """
    base = undo_directory(state_dir)
    try:
        names = sorted(os.listdir(base))
    except (FileNotFoundError, NotADirectoryError):
        names = []
    except OSError as error:
        raise from_os_error("cannot read the undo data", error, target=base) from error
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
            details={"nothing_to_undo": True},
        )
    files = []
    for name in chosen:
        path = os.path.join(base, name)
        try:
            with open(path, encoding="ascii") as handle:
                found = json.load(handle)
            if found["kind"] != KIND:
                continue
            changes = [_change(entry) for entry in found["entries"]]
            files.append((os.stat(path).st_mtime_ns, name, changes))
        except OSError as error:
            raise from_os_error("the undo data cannot be read, so nothing was changed", error, target=path) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise MaintenanceError(
                "the undo data cannot be read", target=path, code=type(error).__name__, next_step="Nothing was changed."
            ) from error
    files.sort(key=lambda item: item[:2], reverse=True)
    return [change for _time, _name, changes in files for change in changes]
