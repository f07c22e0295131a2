# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How large databases were when earlier calls looked: a file in the state directory, one figure a day."""

from __future__ import annotations

import os
from datetime import date, datetime, timedelta
from typing import Any, Dict, List, Mapping, Tuple

from .._core.clock import format_utc, parse_utc
from .._core.state_note import read_state_note, understood_entries, write_state_note

# Server and database.
SizeKey = Tuple[str, str]
SizeHistory = Dict[SizeKey, List[Tuple[datetime, int]]]
# Longer than a forecast looks back.
_KEPT = timedelta(days=100)


def sizes_path(state_dir: str) -> str:
    return os.path.join(state_dir, "history", "database-sizes.json")


def read_sizes(state_dir: str) -> SizeHistory:
    """Moments and bytes; nothing where there is no file, and what does not parse is passed over.

    Raises:
        MaintenanceError: it cannot be read.
    """
    known = read_state_note(
        sizes_path(state_dir),
        "cannot read the sizes of databases",
        lambda entries: understood_entries(entries, _sample),
    )
    found: SizeHistory = {}
    for key, sample in known or ():
        found.setdefault(key, []).append(sample)
    return found


def _sample(entry: Mapping[str, Any]) -> Tuple[SizeKey, Tuple[datetime, int]]:
    return (str(entry["server"]), str(entry["database"])), (parse_utc(entry["at"]), int(entry["bytes"]))


def with_sizes(known: SizeHistory, sizes: Mapping[SizeKey, int], now: datetime) -> SizeHistory:
    """The same with those of now; of a day the last one is kept. Pure."""
    found: SizeHistory = {}
    for key in {**known, **sizes}:
        samples = list(known.get(key, ()))
        if key in sizes:
            samples.append((now, sizes[key]))
        by_day: Dict[date, Tuple[datetime, int]] = {}
        for at, size in sorted(samples):
            if now - at < _KEPT:
                by_day[at.date()] = (at, size)
        if by_day:
            found[key] = sorted(by_day.values())
    return found


def write_sizes(state_dir: str, sizes: SizeHistory) -> None:
    """Raises MaintenanceError: it cannot be written."""
    entries = [
        {"at": format_utc(at), "server": server, "database": database, "bytes": size}
        for (server, database), samples in sorted(sizes.items())
        for at, size in samples
    ]
    write_state_note(state_dir, sizes_path(state_dir), entries, "cannot write the sizes of databases")
