# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known on this host of its copies at a second place, so that its age can be told without asking the place."""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import Any, Dict, List, Optional

from .._core.atomic_file import write_atomic
from .._core.clock import parse_utc
from .._core.late_dataclass import dataclass
from .._core.private_dir import private_directory
from .._core.state_dir import state_error

_NAME = "offsite.json"
_TEXTS = ("path", "database", "method", "target", "name", "started", "copied", "checked", "looked")


@dataclass(frozen=True)
class LedgerEntry:
    """The newest copy of a directory's backups at one place, as of the last look. Times are UTC timestamps.

    Attributes:
        path: the directory of backups.
        target: the place, without secrets.
        looked: when it was looked at.
        copies: how many there were.
    """

    path: str
    database: str
    method: str
    target: str
    name: str = ""
    started: str = ""
    copied: str = ""
    checked: str = ""
    looked: str = ""
    copies: int = 0

    def age_seconds(self, now: datetime) -> Optional[float]:
        """Age of the newest copy's data; None where there is no copy."""
        return (now - parse_utc(self.started)).total_seconds() if self.started else None

    def describe(self, now: datetime) -> Dict[str, Any]:
        """The entry as modules return it."""
        age = self.age_seconds(now)
        hours = None if age is None else round(age / 3600.0, 1)
        return dict(self.__dict__, age_hours=hours)


def read_ledger(state_dir: str) -> List[LedgerEntry]:
    """All entries; none where there is no ledger, or it cannot be read."""
    try:
        with open(os.path.join(state_dir, _NAME), "rb") as handle:
            values = json.loads(handle.read())["places"]
        found = []
        for value in values:
            entry = LedgerEntry(copies=int(value["copies"]), **{key: str(value[key]) for key in _TEXTS})
            entry.age_seconds(parse_utc("2000-01-01T00:00:00Z"))
            if entry.looked:
                parse_utc(entry.looked)
            found.append(entry)
        return found
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def newest_entry(state_dir: str, path: str, database: str = "") -> Optional[LedgerEntry]:
    """The place that has the newest copy of a directory's backups; None where none is known."""
    here = os.path.realpath(path)
    fitting = [
        entry
        for entry in read_ledger(state_dir)
        if entry.path == here and (not database or entry.database in ("", database))
    ]
    return max(fitting, key=lambda entry: entry.started, default=None)


def write_entry(state_dir: str, entry: LedgerEntry) -> None:
    """Put an entry in the place of the one of the same directory, database and place.

    Raises:
        MaintenanceError: it cannot be written.
    """

    def key(one: LedgerEntry) -> List[str]:
        return [one.path, one.database, one.method, one.target]

    entries = [other for other in read_ledger(state_dir) if key(other) != key(entry)] + [entry]
    path = os.path.join(state_dir, _NAME)
    text = json.dumps({"format": 1, "places": [other.__dict__ for other in entries]}, sort_keys=True, indent=1)
    try:
        private_directory(state_dir)
        write_atomic(path, (text + "\n").encode(), 0o600)
    except OSError as error:
        raise state_error("cannot note what is at the second place", path, error) from error
