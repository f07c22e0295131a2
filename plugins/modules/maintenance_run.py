#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: maintenance_run
short_description: Begin and end a maintenance run
version_added: 0.1.0
description:
  - A run is what one playbook does on one host. It holds the host's lease, so that no second run works beside it, and it has a record.
  - V(begun) takes the lease and returns the run's id, which every other module of the run is given as C(run_id). A live run is never disturbed,
    however long it takes. A run that died (nothing of it works, and no sign of life for 30 minutes or the host was booted since) is taken
    over, what it left half-done is cleared away, and both are told.
  - V(ended) writes the record, adds an entry to the host's maintenance log, clears away what modules of the run may have left behind, and gives
    the lease back. It belongs into the C(always) part of a play. Ending a run twice does no harm.
  - Needs only Python's standard library. Leftovers that lie in Docker or MongoDB need their libraries; where these are missing at the beginning
    of a run, they are cleared away at its end.
options:
  state:
    description: Begin or end a run.
    type: str
    choices: [begun, ended]
    required: true
  name:
    description: What the run is called in lease, record and log.
    type: str
    default: maintenance
  owner:
    description: Who runs it, a person or a job. By default the user that the module runs as, or that called C(sudo).
    type: str
  takeover:
    description:
      - Take over a run that you know is dead, without waiting for half an hour of silence.
      - A module that works at this moment is left alone nevertheless.
    type: bool
    default: false
  status:
    description: With O(state=ended), how the run went.
    type: str
    choices: [ok, failed]
    default: ok
  steps:
    description: With O(state=ended), what the run did, for record and log. Each with C(step), C(status), C(headline), C(bytes), C(seconds) and C(findings).
    type: list
    elements: dict
    default: []
  log_path:
    description: The maintenance log, Markdown. The default is C(maintenance-log.md) in O(state_dir). Its directory must exist.
    type: path
  keep_days:
    description: Records older than this many days are removed when a run ends.
    type: int
    default: 400
  timeout:
    description: Seconds to wait for an answer of a Docker Engine, when a container was left behind.
    type: int
    default: 30
attributes:
  check_mode:
    description: Whether check mode tells what would happen without changing anything.
    support: full
    details: Returns a run id that begins with C(check-), warns of a live run, and writes nothing.
  diff_mode:
    description: Whether diff mode shows what changes, or in check mode would change.
    support: none
    details: Lease and record never count as a change.
  idempotent:
    description: Whether a second run with nothing new reports no change.
    support: full
    details: Never reports a change.
  platform:
    description: On which platforms the module runs.
    support: full
    platforms: linux
extends_documentation_fragment:
  - miniecom.maintenance.run
author:
  - miniecom.maintenance contributors (@miniecom)
seealso:
  - module: miniecom.maintenance.context_info
  - module: miniecom.maintenance.maintenance_report
"""

EXAMPLES = r"""
- name: Work as one run
  block:
    - name: Begin
      miniecom.maintenance.maintenance_run:
        state: begun
        name: weekly maintenance
        owner: "{{ lookup('ansible.builtin.env', 'USER') }}"
      register: run

    - name: Compact what is worth it
      miniecom.maintenance.mongo_compact:
        env_file: /opt/miniecom/.env
        run_id: "{{ run.run_id }}"
  always:
    - name: End
      miniecom.maintenance.maintenance_run:
        state: ended
        run_id: "{{ run.run_id }}"
        status: "{{ 'failed' if ansible_failed_task is defined else 'ok' }}"
      when: run.run_id is defined

- name: Take over a run whose controller is known to be gone
  miniecom.maintenance.maintenance_run:
    state: begun
    name: weekly maintenance
    takeover: true

- name: Keep the log where the shop's people look for it
  miniecom.maintenance.maintenance_run:
    state: ended
    run_id: "{{ run.run_id }}"
    log_path: /opt/miniecom/storage/logs/maintenance-log.md
"""

RETURN = r"""
run_id:
  description: The run.
  returned: success
  type: str
  sample: 20261124T031500Z-ab12cd
started:
  description: When it began, in UTC.
  returned: success
  type: str
  sample: "2026-11-24T03:15:00Z"
replaced:
  description: The dead run that was taken over, with C(run_id), C(name), C(owner), C(started) and the C(reason).
  returned: when one was
  type: dict
lease:
  description: The run that holds the host, with C(run_id), C(name), C(owner), C(started) and C(renewed).
  returned: when another one does
  type: dict
cleaned:
  description: Leftovers that were cleared away, or in check mode would be, one sentence each.
  returned: success
  type: list
  elements: str
record:
  description: The record. C(run_id), C(name), C(owner), C(started), C(ended), C(seconds), C(status), C(steps) and the first 200 C(events), with their number.
  returned: with O(state=ended)
  type: dict
record_path:
  description: The record on the host; all events lie beside it in the file of the same name with the extension C(.jsonl).
  returned: with O(state=ended), outside check mode
  type: str
log_path:
  description: The maintenance log.
  returned: with O(state=ended), outside check mode
  type: str
summary:
  description: C(headline) and C(seconds).
  returned: success
  type: dict
  sample: {"headline": "begun 20261124T031500Z-ab12cd; took over a dead run of alice", "seconds": 0.02}
"""

import os
import time
import uuid
from dataclasses import asdict
from datetime import datetime
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.miniecom.maintenance.plugins.module_utils._core import maintenance_log
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.cleanup import (
    NothingLeft,
    clear_path,
    clear_process,
    describe,
    sweep,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError, MissingLibrary
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.redaction import SECRETS
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.run_record import (
    close_dead,
    default_owner,
    first_event,
    prune_records,
    read_record,
    record_path,
    seconds_between,
    with_events,
    write_log,
    write_record,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.run_state import (
    CHECK_PREFIX,
    Lease,
    RunContext,
    RunState,
    boot_id,
    is_abandoned,
    iso,
    judge,
    utc_now,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.client import Docker, docker_errors
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import fsync_lock
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.client import connect

SPEC = (
    ArgumentSpec(
        {
            "state": {"type": "str", "choices": ["begun", "ended"], "required": True},
            "name": {"type": "str", "default": "maintenance"},
            "owner": {"type": "str"},
            "takeover": {"type": "bool", "default": False},
            "status": {"type": "str", "choices": ["ok", "failed"], "default": "ok"},
            "steps": {"type": "list", "elements": "dict", "default": []},
            "log_path": {"type": "path"},
            "keep_days": {"type": "int", "default": 400},
            "timeout": {"type": "int", "default": 30},
        },
        required_if=[("state", "ended", ["run_id"])],
    )
    + RUN_ARGUMENTS
)

# Processes first: what they use goes away more easily afterwards.
_KINDS = ("process", "container", "fsync_lock", "path")


def clear_container(facts: Mapping[str, Any], state_dir: str, timeout: int = 30) -> str:
    docker = Docker.connect(facts.get("docker_host"), timeout)
    name = str(facts.get("name") or "")
    if not any("/" + name in (item.get("Names") or []) for item in docker.containers()):
        raise NothingLeft()
    with docker_errors("cannot remove the container", name):
        docker.api.remove_container(name, force=True, v=True)
    return "removed the container %s" % name


def clear_fsync_lock(facts: Mapping[str, Any], state_dir: str, note: Mapping[str, Any]) -> str:
    """Release the lock of a note, if it can be ours: the server does not tell whose a lock is."""
    if not facts.get("env_file"):
        raise MaintenanceError(
            "a dump that was killed may have left the server locked against writes",
            str(facts.get("address") or ""),
            next_step="Run db.fsyncUnlock() in mongosh if db.currentOp() says fsyncLock.",
        )
    with connect({"env_file": facts["env_file"], "address": facts.get("address")}) as connection:
        verdict = fsync_lock.judge(connection, note, boot_id())
        if verdict == fsync_lock.HELD:
            raise MaintenanceError(
                "the process that holds it still runs, and releases it when its time is over", connection.address.where
            )
        if verdict == fsync_lock.UNKNOWN:
            raise MaintenanceError(fsync_lock.UNKNOWN_TEXT % connection.address.where)
        if verdict == fsync_lock.GONE or not fsync_lock.unlock(connection):
            raise NothingLeft()
    return "released the lock against writes on %s" % facts.get("address")


CLEAR: Mapping[str, Callable[..., str]] = {
    "process": clear_process,
    "container": clear_container,
    "fsync_lock": clear_fsync_lock,
    "path": clear_path,
}


def clear_leftovers(context: RunContext, timeout: int) -> Tuple[List[str], List[str]]:
    """Clear away what modules that are gone have left; returns what was done, and what could not be, a sentence each."""
    done: List[str] = []
    warnings: List[str] = []
    boot = boot_id()
    notes = [note for note in context.leftovers.found() if isinstance(note, dict) and is_abandoned(note, boot)]
    order = {kind: number for number, kind in enumerate(_KINDS)}
    for note in sorted(notes, key=lambda item: order.get(str(item.get("kind")), len(order))):
        clear = CLEAR.get(str(note.get("kind")))
        if clear is None:
            warnings.append("unknown leftover of a killed run: %s" % describe(note))
            continue
        # Processes do not outlive a boot, nor does a server's lock.
        if note.get("kind") in ("process", "fsync_lock") and boot and note.get("boot") not in (None, "", boot):
            context.leftovers.done(str(note["id"]))
            continue
        try:
            more: List[Any] = [timeout] if clear is clear_container else [note] if clear is clear_fsync_lock else []
            done.append(clear(note.get("facts") or {}, context.state_dir, *more))
            context.append({"event": "cleaned", "leftover": done[-1]})
        except NothingLeft:
            pass
        except MissingLibrary:
            # The run installs them in a moment; its end tries again.
            continue
        except MaintenanceError as error:
            warnings.append("cannot clear away what a killed run left behind, %s: %s" % (describe(note), error))
            continue
        context.leftovers.done(str(note["id"]))
    return done, warnings


# -- the two states ----------------------------------------------------------------------------------------------------


def _told(lease: Lease) -> Dict[str, str]:
    return {key: value for key, value in asdict(lease).items() if key != "boot"}


def begin_check(params: Mapping[str, Any], state: RunState, now: datetime) -> Dict[str, Any]:
    run_id = CHECK_PREFIX + str(uuid.uuid4())
    lease = state.lease()
    verdict = judge(lease, state.lock_is_free(), boot_id(), now, bool(params["takeover"]))
    values: Dict[str, Any] = {"run_id": run_id, "started": iso(now), "cleaned": [], "warnings": []}
    context = RunContext(run_id, state.state_dir, True)
    if verdict.state == "live":
        who = (
            "%s (%s), begun %s by %s" % (lease.name, lease.run_id, lease.started, lease.owner) if lease else "a module"
        )
        values["warnings"].append(
            "another run holds this host: %s; %s. This run only looks; a real one would be refused."
            % (who, verdict.reason)
        )
        if lease:
            values["lease"] = _told(lease)
    else:
        if verdict.state == "dead" and lease:
            values["replaced"] = dict(_told(lease), reason=verdict.reason)
        values["cleaned"] = [
            "would clear away: " + describe(note) for note in context.leftovers.found() if is_abandoned(note, boot_id())
        ]
    headline = "would begin; nothing is written"
    if values.get("replaced"):
        headline = "would take over a dead run of %s (%s)" % (values["replaced"]["owner"], verdict.reason)
    values["summary"] = {"headline": headline}
    return values


def begin(params: Mapping[str, Any], state: RunState, now: datetime) -> Dict[str, Any]:
    owner = params.get("owner") or default_owner()
    beginning = state.begin(
        str(params["name"]),
        str(owner),
        bool(params["takeover"]),
        now,
        lambda lease, reason: close_dead(state, lease, reason, now),
    )
    run_id = beginning.lease.run_id
    context = RunContext(run_id, state.state_dir, False, "maintenance_run")
    values: Dict[str, Any] = {"run_id": run_id, "started": iso(now)}
    headline = "begun %s" % run_id
    event: Dict[str, Any] = {"event": "begun", "name": params["name"], "owner": owner, "started": iso(now)}
    if beginning.replaced:
        values["replaced"] = dict(_told(beginning.replaced), reason=beginning.reason)
        event["replaced"] = values["replaced"]
        headline += "; took over a dead run of %s (%s)" % (beginning.replaced.owner, beginning.reason)
    context.append(event)
    # No other module works: the lease was free or dead, and it is ours now.
    with context.working():
        sweep(state)
        values["cleaned"], values["warnings"] = clear_leftovers(context, int(params["timeout"]))
    if values["cleaned"]:
        headline += "; cleared away: " + "; ".join(values["cleaned"])
    values["summary"] = {"headline": headline}
    return values


def end(params: Mapping[str, Any], state: RunState, now: datetime, check: bool) -> Dict[str, Any]:
    run_id = str(params["run_id"])
    state.spool_path(run_id)  # refuses what is no run id
    if check or run_id.startswith(CHECK_PREFIX):
        record = {
            "run_id": run_id,
            "name": params["name"],
            "status": params["status"],
            "steps": list(params["steps"]),
            "check_mode": True,
            "ended": iso(now),
        }
        return {
            "run_id": run_id,
            "record": record,
            "cleaned": [],
            "summary": {"headline": "would end; nothing is written"},
        }
    lease = state.lease()
    mine = lease is not None and lease.run_id == run_id
    first, before = first_event(state, run_id), read_record(state, run_id)
    if not mine and not first and not before:
        raise MaintenanceError(
            "this host knows no such run",
            run_id,
            next_step="Use the run_id that maintenance_run returned with state=begun, and the same state_dir.",
        )
    context = RunContext(run_id, state.state_dir, False, "maintenance_run")
    values: Dict[str, Any] = {"run_id": run_id, "warnings": [], "cleaned": []}
    if not mine and before.get("status") in ("ok", "failed"):
        # Ended already: what was recorded then stands.
        values.update(
            record=with_events(state, before), record_path=record_path(state, run_id), started=before.get("started")
        )
        values["log_path"] = before.get("log_path")
        values["summary"] = {"headline": "had ended already, %s" % before["status"]}
        return values
    status, notes = str(params["status"]), []
    if not mine:
        status = "failed"
        holder = "%s (%s) by %s" % (lease.name, lease.run_id, lease.owner) if lease else "nobody"
        notes.append("This run was taken over before it ended; %s holds the host now" % holder)
        values["warnings"].append("run %s no longer held the host when it ended: it was taken over" % run_id)
        if lease:
            values["lease"] = _told(lease)
    if first.get("replaced"):
        dead = first["replaced"]
        notes.append(
            "Took over the dead run %s of %s: %s" % (dead.get("run_id"), dead.get("owner"), dead.get("reason"))
        )
    if mine:
        with context.working():
            values["cleaned"], more = clear_leftovers(context, int(params["timeout"]))
            values["warnings"].extend(more)
    notes.extend(
        "Cleared away: " + event["leftover"] for event in state.events(run_id) if event.get("event") == "cleaned"
    )
    started = str(first.get("started") or (lease.started if mine and lease else "") or iso(now))
    log_path = params.get("log_path") or os.path.join(state.state_dir, "maintenance-log.md")
    record = {
        "run_id": run_id,
        "name": first.get("name") or params["name"],
        "owner": first.get("owner") or "",
        "started": started,
        "ended": iso(now),
        "seconds": seconds_between(started, iso(now)),
        "status": status,
        "steps": SECRETS.clean(list(params["steps"])),
        "notes": notes,
        "log_path": log_path,
    }
    problems: List[str] = []
    for what, path, write in (
        ("the record", record_path(state, run_id), lambda: write_record(state, record)),
        (
            "the maintenance log",
            log_path,
            lambda: write_log(
                log_path,
                now,
                maintenance_log.entry(
                    str(record["name"]),
                    run_id,
                    str(record["owner"]),
                    status,
                    float(record["seconds"]),
                    record["steps"],
                    notes,
                ),
                run_id,
            ),
        ),
        ("old records", state.runs_dir, lambda: prune_records(state, int(params["keep_days"]), now)),
    ):
        try:
            write()
        except OSError as error:
            # The lease must go back whatever the disk says: a full one is what the next run is to repair.
            problems.append("cannot write %s: %s (%s)" % (what, path, error.strerror or error))
    values.update(
        started=started, record=with_events(state, record), record_path=record_path(state, run_id), log_path=log_path
    )
    if mine:
        state.release(run_id)
    values["summary"] = {"headline": "ended %s, %s" % (run_id, status)}
    if problems:
        raise MaintenanceError(
            "the run was ended and its lease given back, but " + "; ".join(problems),
            next_step="Make room or correct log_path.",
            details=values,
        )
    return values


def main() -> None:
    module = AnsibleModule(supports_check_mode=True, **SPEC.module_arguments())
    started = time.monotonic()
    state, now = RunState(module.params["state_dir"]), utc_now()
    values: Dict[str, Any] = {}
    message: Optional[str] = None
    try:
        if module.params["state"] == "ended":
            values = end(module.params, state, now, bool(module.check_mode))
        elif module.check_mode:
            values = begin_check(module.params, state, now)
        else:
            values = begin(module.params, state, now)
    except MaintenanceError as error:
        values, message = dict(error.details), str(error)
    except Exception as error:  # pylint: disable=broad-except
        message = "%s: %s. This is a defect of the collection: please report it with the output of -vvv." % (
            type(error).__name__,
            error,
        )
        if module._verbosity >= 3:
            import traceback

            values["exception"] = traceback.format_exc()
    values["changed"] = False
    for warning in values.pop("warnings", ()):
        module.warn(SECRETS.clean_text(str(warning)))
    if isinstance(values.get("summary"), dict):
        values["summary"]["seconds"] = round(time.monotonic() - started, 3)
    cleaned = SECRETS.clean(values)
    if message is not None:
        module.fail_json(msg=SECRETS.clean_text(message), **cleaned)
    module.exit_json(**cleaned)


if __name__ == "__main__":
    main()
