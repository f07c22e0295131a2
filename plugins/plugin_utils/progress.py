# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far a module has come that works long, as the record of its run tells while it works. Controller side.

A module cannot print. But one that acts within a run notes in the run's record what it has planned, and each action before and
after it, and where the record lies on this machine whoever watches can be told.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from ..module_utils._core.clock import parse_utc
from ..module_utils._core.errors import MaintenanceError
from ..module_utils._core.record import read_events
from ..module_utils._core.state_dir import StateDirectory
from ..module_utils._core.units import format_duration, format_size
from .concise_text import harmless

# What is done, and on what.
Key = Tuple[str, str]
_ENDS = ("ended", "failed", "planned")


@dataclass(frozen=True)
class Progress:
    """What is known of a module at work.

    Attributes:
        doing: the action that it carries out, and on what.
        number: of this action, from 1 on; total: of those planned.
        bytes: what the ones before it came to.
        left: seconds that the rest may take; None while nothing says.
    """

    doing: str
    number: int
    total: int
    bytes: int = 0
    left: Optional[float] = None


def progress_of(events: Iterable[Mapping[str, Any]], now: datetime, since: datetime) -> Optional[Progress]:
    """How far the module is that works now; None where none does, or between two actions. Pure.

    Args:
        events: of the run, in order.
        since: when the task began that runs now: what a module had planned before that was killed, perhaps.
    """
    # Moments of the record are whole seconds.
    since = since.replace(microsecond=0)
    planned: List[Mapping[str, Any]] = []
    done: Dict[Key, Mapping[str, Any]] = {}
    begun: Dict[Key, Mapping[str, Any]] = {}
    for event in events:
        kind = event.get("event")
        if kind in _ENDS:
            ours = kind == "planned" and parse_utc(str(event["at"])) >= since
            planned, done, begun = list(event.get("plan") or ()) if ours else [], {}, {}
        elif kind == "begin":
            begun[_key(event)] = event
        elif kind == "end":
            done[_key(event)] = event
            begun.pop(_key(event), None)
    if not begun or not planned:
        return None
    # A few actions may be carried out side by side.
    key, event = list(begun.items())[-1]
    working = max(0.0, (now - parse_utc(str(event["at"]))).total_seconds())
    return Progress(
        "%s %s" % (key[0].replace("_", " "), key[1]),
        len(done) + 1,
        len(planned),
        sum(int(end.get("bytes") or 0) for end in done.values()),
        _left(planned, done, key, working),
    )


def _left(
    planned: List[Mapping[str, Any]], done: Mapping[Key, Mapping[str, Any]], present: Key, working: float
) -> Optional[float]:
    """Seconds that the rest may take, by what was done; None where that tells nothing.

    Actions of one kind are set against each other, by the bytes that were planned of them where they are known.

    Args:
        working: seconds since the present action began.
    """
    rest = [entry for entry in planned if _key(entry) not in done]
    paces: Dict[str, float] = {}
    for kind in {_key(entry)[0] for entry in rest}:
        ends = {key: end for key, end in done.items() if key[0] == kind and end.get("status") == "done"}
        weight = sum(_weight(entry) for entry in planned if _key(entry) in ends)
        if not weight:
            return None
        paces[kind] = sum(float(end.get("seconds") or 0) for end in ends.values()) / weight
    left = 0.0
    for entry in rest:
        expected = _weight(entry) * paces[_key(entry)[0]]
        # One that takes longer than it was thought to is not over for that.
        left += max(0.0, expected - working) if _key(entry) == present else expected
    return left


def _key(entry: Mapping[str, Any]) -> Key:
    return str(entry.get("action", "")), str(entry.get("target", ""))


def _weight(entry: Mapping[str, Any]) -> float:
    return float(entry.get("bytes") or 1)


def told(progress: Progress) -> str:
    """The same for a person: ``compact shop.orders on b:27017, 3 of 7, 1.2 GiB so far, about 4 min left``."""
    parts = [progress.doing, "%d of %d" % (progress.number, progress.total)]
    if progress.bytes:
        parts.append("%s so far" % format_size(progress.bytes))
    if progress.left is not None and progress.left >= 1:
        parts.append("about %s left" % format_duration(progress.left))
    return harmless(", ".join(parts))


def read_progress(state_dir: str, run_id: str, now: datetime, since: datetime) -> str:
    """How far a run is whose record lies on this machine, for a person; "" where it does not, or may not be read.

    Args:
        since: when the task began that runs now.
    """
    try:
        found = progress_of(read_events(StateDirectory(state_dir), run_id), now, since)
    except (OSError, MaintenanceError, ValueError, KeyError, TypeError, AttributeError):
        return ""
    return told(found) if found else ""


@dataclass(frozen=True)
class RunPlace:
    """Where the record of a host's run lies, if it is this machine's."""

    state_dir: str
    run_id: str


def run_place(result: Mapping[str, Any]) -> Optional[RunPlace]:
    """The run that maintenance_run has begun, by its result; None for any other result. Pure."""
    # What it was called with is not told by each ansible-core: 2.22 leaves it out.
    run_id, state_dir = result.get("run_id"), result.get("begun_in")
    if not isinstance(run_id, str) or not isinstance(state_dir, str):
        return None
    return RunPlace(state_dir, run_id)
