# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ticking boxes, and reading how they stand: the steps of maintenance_checklist."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from datetime import datetime
from typing import Any, Dict, List, Tuple

from .._core.atomic_file import append_line
from .._core.clock import parse_utc, utc_now
from .._core.finding import printable
from .._core.late_dataclass import dataclass
from .._core.plan import Action, Outcome, Plan, Report, Results
from .._core.private_dir import private_directory
from .._core.record import default_owner, read_record
from .._core.runner import Task
from .._core.state_dir import StateDirectory, state_error
from .boxes import Tick, TickBox, as_lines, as_values, last_durations, plan_ticks


@dataclass(frozen=True)
class Ticked:
    """What was ticked so far, and the records of runs."""

    ticks: Tuple[Tick, ...]
    records: Tuple[Dict[str, Any], ...]


def ticks_path(state_dir: str) -> str:
    return os.path.join(state_dir, "checklist.jsonl")


def read_ticks(state_dir: str) -> List[Tick]:
    """All ticks, in order. A line that makes no sense is passed over.

    Raises:
        MaintenanceError: they cannot be read.
    """
    path, found = ticks_path(state_dir), []
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            for line in handle:
                try:
                    tick = Tick(**{key: str(value) for key, value in json.loads(line).items()})
                    parse_utc(tick.at)
                    found.append(tick)
                except (ValueError, TypeError, AttributeError):
                    continue
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise state_error("cannot read what was ticked", path, error) from error
    return found


def read_records(state: StateDirectory) -> List[Dict[str, Any]]:
    """The records of all runs that the host still keeps.

    Raises:
        MaintenanceError: the directory cannot be read.
    """
    try:
        names = sorted(name for name in os.listdir(state.runs_dir) if name.endswith(".json"))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise state_error("cannot read the records of runs", state.runs_dir, error) from error
    return [read_record(state, name[: -len(".json")]) for name in names]


class MaintenanceChecklist(Task[Ticked]):
    """Tick boxes and tell how all stand."""

    def observe(self) -> Ticked:
        state = self.call.run.state
        return Ticked(tuple(read_ticks(state.path)), tuple(read_records(state)))

    def plan(self, observation: Ticked, now: datetime) -> Plan[TickBox]:
        by = printable(" ".join(str(self.params["by"] or default_owner()).split()))[:80]
        note = printable(" ".join(str(self.params["note"] or "").split()))[:200]
        return plan_ticks(self.params["tick"], by, note, observation.ticks, now)

    def _tick(self, action: Action[TickBox], observation: Ticked) -> Outcome:
        path = ticks_path(self.call.run.state.path)
        try:
            private_directory(self.call.run.state.path)
            append_line(path, json.dumps(asdict(action.work.tick), sort_keys=True).encode("utf-8"))
        except OSError as error:
            raise state_error("cannot note that it was done", path, error) from error
        return Outcome()

    handlers = {TickBox: _tick}

    def report(self, observation: Ticked, plan: Plan[TickBox], results: Results[TickBox, Ticked]) -> Report:
        fresh = [action.work.tick for action in results.effective]
        boxes = as_values([*observation.ticks, *fresh], observation.records, utc_now())
        due = [box for box in boxes if box["due"]]
        headline = "%d of %d boxes are due" % (len(due), len(boxes))
        if fresh:
            headline = "%s %s; %s" % (
                results.words("ticked", "would tick"),
                ", ".join(tick.box for tick in fresh),
                headline,
            )
        return Report(
            headline,
            changed=bool(fresh),
            summary={"due": len(due), "boxes": len(boxes)},
            values={
                "boxes": boxes,
                "lines": as_lines(boxes),
                "durations": last_durations(observation.records),
            },
        )
