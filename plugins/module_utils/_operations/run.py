# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Beginning and ending a run: the lease, the record, the maintenance log, what dead runs have left."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from datetime import datetime
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from .._core import maintenance_log
from .._core.call import Call
from .._core.clock import format_utc, seconds_between, utc_now
from .._core.errors import MaintenanceError
from .._core.lease import CHECK_PREFIX, Lease, boot_id, judge_lease, read_lease, release_lease, take_lease
from .._core.plan import Report
from .._core.record import (
    close_dead,
    default_log_path,
    default_owner,
    first_event,
    prune_records,
    read_events,
    read_record,
    with_events,
    write_log,
    write_record,
)
from .._core.redaction import SECRETS
from .._core.run_context import RunContext
from .._core.served_shop import NEXT_STEP, note_shop, other_shop, shared_warning
from .._core.state_dir import StateDirectory, sweep

MODULE = "maintenance_run"


def begin_or_end(call: Call) -> Report:
    """What the module maintenance_run does."""
    state, now = call.run.state, utc_now()
    if call.params["state"] == "ended":
        return end(call.params, state, now, call.check)
    if call.check:
        return begin_check(call.params, state, now)
    return begin(call.params, state, now)


def _lease_values(lease: Lease) -> Dict[str, str]:
    """A lease as it is returned."""
    return {key: value for key, value in asdict(lease).items() if key != "boot"}


def begin_check(params: Mapping[str, Any], state: StateDirectory, now: datetime) -> Report:
    """What beginning would do. Writes nothing; a live run is a warning."""
    run_id = CHECK_PREFIX + str(uuid.uuid4())
    lease = read_lease(state)
    own = str(params.get("owner") or default_owner()) if params["takeover_own"] else ""
    standing = judge_lease(lease, state.lock_is_free(), boot_id(), now, bool(params["takeover"]), own)
    report = Report("would begin; nothing is written")
    shop = str(params["shop"] or "")
    other = other_shop(state.path, shop) if shop else ""
    if other:
        report.warnings.append(shared_warning(state.path, shop, other))
    report.values = {"run_id": run_id, "started": format_utc(now), "cleaned": []}
    if standing.state == "live":
        who = (
            "%s (%s), begun %s by %s" % (lease.name, lease.run_id, lease.started, lease.owner) if lease else "a module"
        )
        report.warnings.append(
            "another run holds this host: %s; %s. This run only looks; a real one would be refused."
            % (who, standing.reason)
        )
        if lease:
            report.values["lease"] = _lease_values(lease)
        return report
    if standing.state == "dead" and lease:
        report.values["replaced"] = dict(_lease_values(lease), reason=standing.reason)
        report.headline = "would take over a dead run of %s (%s)" % (lease.owner, standing.reason)
    context = RunContext(run_id, state.path, True)
    report.values["cleaned"] = ["would clear away: %s" % leftover for leftover in context.leftovers.abandoned()]
    return report


def begin(params: Mapping[str, Any], state: StateDirectory, now: datetime) -> Report:
    """Take the lease and clear away what dead runs have left.

    Raises:
        MaintenanceError: a live run holds the host.
    """
    owner = params.get("owner") or default_owner()
    shop = str(params["shop"] or "")
    other = other_shop(state.path, shop) if shop else ""
    try:
        taken = take_lease(
            state,
            str(params["name"]),
            str(owner),
            bool(params["takeover"]),
            now,
            str(owner) if params["takeover_own"] else "",
            lambda lease, reason: close_dead(state, lease, reason, now),
        )
    except MaintenanceError as error:
        if other and error.details.get("busy"):
            error.next_step = "%s It may be one of the shop in %s. %s" % (error.next_step, other, NEXT_STEP)
        raise
    run_id = taken.lease.run_id
    context = RunContext(run_id, state.path, False, MODULE)
    values = {"run_id": run_id, "started": format_utc(now), "begun_in": state.path}
    report = Report("begun %s" % run_id, values=values)
    event: Dict[str, Any] = {"event": "begun", "name": params["name"], "owner": owner, "started": format_utc(now)}
    if taken.replaced:
        event["replaced"] = report.values["replaced"] = dict(_lease_values(taken.replaced), reason=taken.reason)
        report.headline += "; took over a dead run of %s (%s)" % (taken.replaced.owner, taken.reason)
    context.append(event)
    # No other module works: the lease was free or dead, and it is ours now.
    with context.working():
        sweep(state)
        cleaned, report.warnings, unsettled = _clear_leftovers(context, int(params["docker_timeout"]))
        if other:
            report.warnings.append(shared_warning(state.path, shop, other))
        if shop:
            try:
                note_shop(state.path, shop)
            except MaintenanceError as error:
                # The run has the host by now, and needs this for nothing.
                report.warnings.append(str(error))
    report.values["cleaned"] = cleaned
    if cleaned:
        report.headline += "; cleared away: " + "; ".join(cleaned)
    if unsettled:
        report.values["unsettled"] = unsettled
    return report


def _clear_leftovers(context: RunContext, timeout: int) -> Tuple[List[str], List[str], List[str]]:
    """What was cleared away, warnings, and of these what left a database half way."""
    if not context.leftovers.abandoned():
        return [], [], []
    # Knows the leftovers of all domains, with their drivers, and there hardly ever are any.
    from .leftovers import clear_all

    cleared = clear_all(context, timeout)
    return cleared.done, cleared.warnings, cleared.unsettled


def end(params: Mapping[str, Any], state: StateDirectory, now: datetime, check: bool) -> Report:
    """Write the record and the maintenance log, and give the lease back.

    Raises:
        MaintenanceError: this host knows no such run.
    """
    run_id = str(params["run_id"])
    state.events_path(run_id)  # refuses what is no run id
    if check or run_id.startswith(CHECK_PREFIX):
        return _end_check(params, run_id, now)
    lease = read_lease(state)
    mine = lease is not None and lease.run_id == run_id
    first, before = first_event(state, run_id), read_record(state, run_id)
    if not mine and not first and not before:
        raise MaintenanceError(
            "this host knows no such run",
            target=run_id,
            next_step="Use the run_id that maintenance_run returned with state=begun, and the same state_dir.",
        )
    if not mine and before.get("status") in ("ok", "failed"):
        return _ended_before(state, run_id, before)
    report = Report("", values={"run_id": run_id, "cleaned": []})
    status, notes = str(params["status"]), _taken_over_notes(first)
    if not mine:
        status = "failed"
        notes[:0] = _lost(report, run_id, lease)
    if mine:
        context = RunContext(run_id, state.path, False, MODULE)
        with context.working():
            report.values["cleaned"], warnings, _unsettled = _clear_leftovers(context, int(params["docker_timeout"]))
        report.warnings.extend(warnings)
    notes.extend(
        "Cleared away: " + event["leftover"] for event in read_events(state, run_id) if event.get("event") == "cleaned"
    )
    started = str(first.get("started") or (lease.started if mine and lease else "") or format_utc(now))
    record = {
        "run_id": run_id,
        "name": first.get("name") or params["name"],
        "owner": first.get("owner") or "",
        "started": started,
        "ended": format_utc(now),
        "seconds": seconds_between(started, format_utc(now)),
        "status": status,
        "steps": SECRETS.clean(list(params["steps"])),
        "notes": notes,
        "log_path": params.get("log_path") or default_log_path(state),
    }
    problems = _write_all(state, record, now, int(params["keep_days"]))
    report.headline = "ended %s, %s" % (run_id, status)
    report.values.update(
        started=started,
        record=with_events(state, record),
        record_path=state.record_path(run_id),
        log_path=record["log_path"],
    )
    if mine:
        release_lease(state, run_id)
    if problems:
        report.failure = MaintenanceError(
            "the run was ended and its lease given back, but " + "; ".join(problems),
            next_step="Make room or correct log_path.",
        )
    return report


def _end_check(params: Mapping[str, Any], run_id: str, now: datetime) -> Report:
    record = {
        "run_id": run_id,
        "name": params["name"],
        "status": params["status"],
        "steps": list(params["steps"]),
        "check_mode": True,
        "ended": format_utc(now),
    }
    return Report("would end; nothing is written", values={"run_id": run_id, "record": record, "cleaned": []})


def _ended_before(state: StateDirectory, run_id: str, record: Mapping[str, Any]) -> Report:
    """It had ended already: what was recorded then stands."""
    return Report(
        "had ended already, %s" % record["status"],
        values={
            "run_id": run_id,
            "cleaned": [],
            "record": with_events(state, record),
            "record_path": state.record_path(run_id),
            "started": record.get("started"),
            "log_path": record.get("log_path"),
        },
    )


def _taken_over_notes(first: Mapping[str, Any]) -> List[str]:
    dead = first.get("replaced")
    if not dead:
        return []
    return ["Took over the dead run %s of %s: %s" % (dead.get("run_id"), dead.get("owner"), dead.get("reason"))]


def _lost(report: Report, run_id: str, lease: Optional[Lease]) -> List[str]:
    """Tell that the run was taken over before it ended; returns the notes for its record."""
    report.warnings.append("run %s no longer held the host when it ended: it was taken over" % run_id)
    holder = "nobody"
    if lease:
        holder = "%s (%s) by %s" % (lease.name, lease.run_id, lease.owner)
        report.values["lease"] = _lease_values(lease)
    return ["This run was taken over before it ended; %s holds the host now" % holder]


def _write_all(state: StateDirectory, record: Mapping[str, Any], now: datetime, keep_days: int) -> List[str]:
    """Write what is to stay of a run; returns what could not be written.

    The lease must go back whatever the disk says: a full one is what the next run is to repair.
    """
    run_id, log_path = str(record["run_id"]), str(record["log_path"])

    def log() -> None:
        lines = maintenance_log.entry(
            str(record["name"]),
            run_id,
            str(record["owner"]),
            str(record["status"]),
            float(record["seconds"]),
            record["steps"],
            record["notes"],
        )
        write_log(log_path, now, lines, run_id)

    writes: Tuple[Tuple[str, str, Callable[[], Any]], ...] = (
        ("the record", state.record_path(run_id), lambda: write_record(state, record)),
        ("the maintenance log", log_path, log),
        ("old records", state.runs_dir, lambda: prune_records(state, keep_days, now)),
    )
    problems = []
    for what, path, write in writes:
        try:
            write()
        except OSError as error:
            problems.append("cannot write %s: %s (%s)" % (what, path, error.strerror or error))
    return problems
