# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was told before, in the state directory."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Sequence

from .._core.clock import parse_utc
from .._core.errors import MaintenanceError
from .._core.finding import SEVERITIES
from .._core.private_dir import private_directory
from .._core.state_dir import state_error, take_lock
from .._core.state_note import read_state_note, understood_entries, write_state_note
from .problems import KINDS, Concern, Recalled

DIRECTORY = "alerts"
# Seconds that another process is given for its messages.
PATIENCE = 180.0


def told_path(state_dir: str) -> str:
    return os.path.join(state_dir, DIRECTORY, "told.json")


@contextmanager
def alone(state_dir: str) -> Iterator[None]:
    """Let no second process tell the same things at the same time.

    Raises:
        MaintenanceError: the directory cannot be made, or the other one does not come to its end.
    """
    path = os.path.join(state_dir, DIRECTORY, "lock")
    try:
        private_directory(state_dir, DIRECTORY)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise state_error("cannot open the lock of alerts", path, error) from error
    try:
        # A run must end, too, where a mail server keeps the alerts of another one waiting.
        if not take_lock(descriptor, PATIENCE):
            raise MaintenanceError(
                "another run is sending its alerts, and does not come to an end",
                target=path,
                next_step="The next run tells it. Look for a process of maintenance_alert that hangs.",
            )
        yield
    finally:
        os.close(descriptor)


def _entry(found: Dict[str, Any]) -> Recalled:
    problem = Concern(**{key: str(value) for key, value in found["problem"].items()})
    if problem.kind not in KINDS or problem.severity not in SEVERITIES:
        raise ValueError("no problem")
    told = tuple((str(name), str(when), str(severity)) for name, when, severity in found["told"])
    if not {severity for _name, _when, severity in told} <= set(SEVERITIES):
        raise ValueError("no severity")
    moments = [str(found[key]) for key in ("since", "seen")] + [when for _name, when, _severity in told]
    over = str(found["over"])
    for moment in moments + ([over] if over else []):
        parse_utc(moment)
    return Recalled(problem, moments[0], moments[1], told, over)


def load_told(state_dir: str) -> List[Recalled]:
    """What stands and who knows of it. What cannot be understood is passed over: it is told once more.

    Raises:
        MaintenanceError: it is there and cannot be read.
    """
    unreadable = "cannot read what was alerted before"
    return read_state_note(told_path(state_dir), unreadable, lambda found: understood_entries(found, _entry)) or []


def save_told(state_dir: str, standing: Sequence[Recalled]) -> None:
    """Remember what stands and who knows of it.

    Raises:
        MaintenanceError: it cannot be written.
    """
    entries = [
        {
            "problem": vars(entry.problem),
            "since": entry.since,
            "seen": entry.seen,
            "told": [list(told) for told in entry.told],
            "over": entry.over,
        }
        for entry in standing
    ]
    write_state_note(state_dir, told_path(state_dir), entries, "cannot note what was alerted")
