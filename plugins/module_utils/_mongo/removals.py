# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When documents of a collection were last removed by us: a note in the state directory.

On a replica set the server keeps deleted documents for snapshots (minSnapshotHistoryWindowInSeconds). Measured on 6.0.27:
a compaction within that time moves them along and freezes them into the file, which no later compaction shrinks. So what
removes documents notes it here, and what compacts waits: archiving and purging orphans, and the setting that maintenance makes
where the shop has none, and takes away when it opens the shop.
"""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta
from typing import Dict

from .._core.atomic_file import write_atomic
from .._core.clock import format_utc, parse_utc
from .._core.private_dir import private_directory
from .._core.state_dir import state_error

NAME = "mongo-removals.jsonl"
# Longer than any window that a server would be set to.
_KEPT = timedelta(days=1)


def note_removal(state_dir: str, namespace: str, now: datetime) -> None:
    """Note that documents of a collection were removed just now.

    Args:
        namespace: database and collection.

    Raises:
        MaintenanceError: it cannot be written.
    """
    known = {name: at for name, at in read_removals(state_dir).items() if now - at < _KEPT}
    known[namespace] = now
    lines = [json.dumps({"at": format_utc(at), "namespace": name}) for name, at in sorted(known.items())]
    path = os.path.join(state_dir, NAME)
    try:
        private_directory(state_dir)
        write_atomic(path, "".join(line + "\n" for line in lines).encode("utf-8"), 0o600)
    except OSError as error:
        raise state_error("cannot note that documents were removed", path, error) from error


def read_removals(state_dir: str) -> Dict[str, datetime]:
    """The last removal of each collection, as far as it is noted; lines that do not parse are passed over.

    Raises:
        MaintenanceError: it cannot be read.
    """
    path = os.path.join(state_dir, NAME)
    found: Dict[str, datetime] = {}
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            for line in handle:
                try:
                    entry = json.loads(line)
                    found[str(entry["namespace"])] = parse_utc(entry["at"])
                except (ValueError, KeyError, TypeError):
                    continue
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise state_error("cannot read when documents were removed", path, error) from error
    return found
