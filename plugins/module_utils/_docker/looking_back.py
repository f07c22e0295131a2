# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run has removed of Docker, and how to have it again: the work of docker_prune_info."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, Tuple

from .._core.call import Call
from .._core.plan import DONE, Report
from .._core.record import LIST_CAP, read_events
from .._core.units import counted

MODULE = "docker_prune"


def look_back(call: Call) -> Report:
    """What a run of this host has removed.

    Raises:
        MaintenanceError: this is no run id.
    """
    of_run = call.params["of_run"]
    removed, unsure = removals(read_events(call.run.state, of_run))
    lines = ["%s %s: %s" % (item["kind"], item["target"], item["again"]) for item in removed]
    lines += [
        "%s %s: the run ended while it was to be removed, so look whether it is there" % (item["kind"], item["target"])
        for item in unsure
    ]
    # No list of a result is longer; these are needed whole.
    more = [lines[start : start + LIST_CAP] for start in range(LIST_CAP, len(lines), LIST_CAP)]
    headline = "the run %s removed nothing of Docker" % of_run
    if lines:
        headline = "the run %s removed %s of Docker, each with how to have it again" % (
            of_run,
            counted(len(removed), "object"),
        )
    return Report(
        headline,
        summary={"removed": len(removed), "unsure": len(unsure)},
        values={"removed": removed, "unsure": unsure, "lines": lines[:LIST_CAP], "more_lines": more},
    )


def removals(events: Iterable[Mapping[str, Any]]) -> Tuple[List[Dict[str, Any]], List[Dict[str, Any]]]:
    """From a run's events what was removed, and what was begun to be and of which nobody knows. Pure."""
    removed: List[Dict[str, Any]] = []
    begun: List[Tuple[str, str]] = []
    for event in events:
        if event.get("module") != MODULE or not str(event.get("action") or "").startswith("remove_"):
            continue
        key = (str(event["action"]), str(event.get("target") or ""))
        if event.get("event") == "begin":
            begun.append(key)
        elif event.get("event") == "end":
            if key in begun:
                begun.remove(key)
            if event.get("status") == DONE:
                removed.append(
                    dict(_named(key), at=event.get("at"), again=str(event.get("again") or "it is not known how"))
                )
    return removed, [_named(key) for key in begun]


def _named(key: Tuple[str, str]) -> Dict[str, Any]:
    return {"kind": key[0][len("remove_") :].replace("_", " "), "target": key[1]}
