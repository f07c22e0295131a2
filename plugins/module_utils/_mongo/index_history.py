# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What earlier calls have seen of the use of indexes: a file in the state directory."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import Any, Dict, Mapping, Tuple

from .._core.clock import format_utc, parse_utc
from .._core.state_note import read_state_note, understood_entries, write_state_note
from .index_advice import Rest

# Member and index (database.collection.index).
Key = Tuple[str, str]
_KEPT = timedelta(days=100)


def history_path(state_dir: str) -> str:
    return os.path.join(state_dir, "history", "index-use.json")


def read_rests(state_dir: str) -> Dict[Key, Rest]:
    """What is known; empty where nothing is, and what does not parse is passed over.

    Raises:
        MaintenanceError: it cannot be read.
    """
    path, unreadable = history_path(state_dir), "cannot read the history of indexes"
    return dict(read_state_note(path, unreadable, lambda entries: understood_entries(entries, _rest)) or ())


def _rest(entry: Mapping[str, Any]) -> Tuple[Key, Rest]:
    return (str(entry["member"]), str(entry["index"])), Rest(
        parse_utc(entry["since"]), parse_utc(entry["at"]), int(entry["accesses"]), float(entry["rested"])
    )


def write_rests(state_dir: str, rests: Mapping[Key, Rest], now: datetime) -> None:
    """Raises MaintenanceError: it cannot be written."""
    entries = [
        {
            "member": member,
            "index": index,
            "since": format_utc(rest.since),
            "at": format_utc(rest.at),
            "accesses": rest.accesses,
            "rested": round(rest.rested, 3),
        }
        for (member, index), rest in sorted(rests.items())
        if now - rest.at < _KEPT
    ]
    write_state_note(state_dir, history_path(state_dir), entries, "cannot write the history of indexes")
