# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Telling what a run found to who should know: the steps of maintenance_alert."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .._core.atomic_file import append_line
from .._core.call import Call
from .._core.clock import format_utc, utc_now
from .._core.finding import FIXED, WAIVED
from .._core.late_dataclass import dataclass
from .._core.plan import DONE, Action, Outcome, Plan, Report, Results
from .._core.record import read_events, read_record, write_log, write_record
from .._core.redaction import SECRETS
from .._core.runner import Task
from .._core.state_dir import state_error
from .._core.units import parse_duration
from .channels import Channels, deliver, ping, read_channels
from .memory import alone, load_told, save_told
from .planning import AlertWork, PingHeartbeat, Policy, SendMessage, after_telling, plan_alerts, stand
from .problems import Concern, Recalled, RunSeen, line, read_problems


@dataclass(frozen=True)
class Seen:
    """What the run found, what was told before, and to whom.

    Attributes:
        known_findings: the record says which findings there are.
    """

    run: RunSeen
    problems: Tuple[Concern, ...]
    memory: Tuple[Recalled, ...]
    channels: Channels
    known_findings: bool


class MaintenanceAlert(Task[Seen]):
    """Tell what is new, what still stands and what is over."""

    stop_on_failure = False

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.state = call.run.state
        self._alone: Any = None

    def observe(self) -> Seen:
        channels = read_channels(self.params)
        if not self.call.check:
            self._alone = alone(self.state.path)
            self._alone.__enter__()
        given = self.params["run"]
        run_id = str(given.get("run_id") or "")
        run = RunSeen(
            line(given["name"]),
            line(run_id),
            line(given.get("host") or "this host"),
            str(given["status"]),
            line(given.get("verdict") or ""),
            tuple(line(step) for step in self.params["looked_at"]),
        )
        known = False
        if run_id:
            present = self._findings(run_id)
            known = present is not None
            record = self.state.record_path(run_id)
            run = replace(run, present=tuple(present or ()), record=record if read_record(self.state, run_id) else "")
        problems = read_problems(self.params["problems"], run.name)
        return Seen(run, tuple(problems), tuple(load_told(self.state.path)), channels, known)

    def _findings(self, run_id: str) -> Optional[List[str]]:
        """Ids of all findings that this run has met and that stand; None when the host knows nothing of the run."""
        events = list(read_events(self.state, run_id))
        if not events:
            return None
        return [
            str(entry.get("id"))
            for event in events
            for entry in event.get("findings") or ()
            if isinstance(entry, dict) and entry.get("status") not in (WAIVED, FIXED)
        ]

    def _policy(self, observation: Seen) -> Policy:
        return Policy(
            self.params["threshold"],
            parse_duration(self.params["repeat_after"]) if self.params["repeat_after"] else 0.0,
            observation.channels.names,
            observation.channels.heartbeat is not None,
        )

    def _standing(self, memory: Sequence[Recalled], observation: Seen, now: datetime) -> List[Recalled]:
        return stand(
            memory,
            observation.problems,
            observation.run,
            self._policy(observation),
            now,
            observation.known_findings,
        )

    def plan(self, observation: Seen, now: datetime) -> Plan[AlertWork]:
        return plan_alerts(
            self._standing(observation.memory, observation, now), observation.run, self._policy(observation), now
        )

    def _send(self, action: Action[SendMessage], observation: Seen) -> Outcome:
        now = utc_now()
        note = deliver(observation.channels, action.work.channel, action.work.message)
        # At once: whatever ends this later, nobody is told the same twice.
        memory = load_told(self.state.path)
        save_told(self.state.path, after_telling(memory, action.work.message, action.work.channel, now))
        return Outcome(note=note, warnings=("%s: %s" % (action.target, note),) if note else ())

    def _ping(self, action: Action[PingHeartbeat], observation: Seen) -> Outcome:
        ping(observation.channels, action.work.run, action.work.host)
        return Outcome()

    handlers = {SendMessage: _send, PingHeartbeat: _ping}

    def report(self, observation: Seen, plan: Plan[AlertWork], results: Results[AlertWork, Seen]) -> Report:
        sent = [action.target for action in results.effective if isinstance(action.work, SendMessage)]
        pinged = any(isinstance(action.work, PingHeartbeat) for action in results.effective)
        parts = []
        if sent:
            parts.append("%s %s" % (results.words("told", "would tell"), ", ".join(sent)))
        if pinged:
            parts.append(results.words("heartbeat pinged", "would ping the heartbeat"))
        if results.failed:
            parts.append("not told: %s" % ", ".join(result.action.target for result in results.failed))
        return Report(
            "; ".join(parts) or "nothing to tell",
            # A heartbeat says that nothing has changed.
            changed=bool(sent),
            summary={"sent": len(sent), "undelivered": len(results.failed), "problems": len(observation.problems)},
        )

    def remember(self, observation: Seen, plan: Plan[AlertWork], results: Results[AlertWork, Seen]) -> None:
        now = utc_now()
        save_told(self.state.path, self._standing(load_told(self.state.path), observation, now))
        self._record(observation.run, results, now)

    def _record(self, run: RunSeen, results: Results[AlertWork, Seen], now: datetime) -> None:
        """Write into the record of the run what became of its alerts, and into the log which could not be sent."""
        if not run.record or not len(results):
            return
        entries = [_entry(result.action.target, result.status, result.error) for result in results]
        record = read_record(self.state, run.run_id)
        try:
            event = {"at": format_utc(now), "module": "maintenance_alert", "event": "alerted", "alerts": entries}
            append_line(self.state.events_path(run.run_id), json.dumps(SECRETS.clean(event), sort_keys=True).encode())
            write_record(self.state, dict(record, alerts=entries))
            failed = [result for result in results if result.status != DONE]
            if failed and record.get("log_path"):
                lines = ["- **Alert not sent** (%s): %s" % (result.action.target, result.error) for result in failed]
                write_log(str(record["log_path"]), now, [line(text, 2000) for text in lines], "alert-" + run.run_id)
        except OSError as error:
            raise state_error("cannot note what was alerted", run.record, error) from error

    def close(self) -> None:
        if self._alone is not None:
            self._alone.__exit__(None, None, None)


def _entry(channel: str, status: str, error: str) -> Dict[str, Any]:
    entry: Dict[str, Any] = {"channel": channel, "status": "sent" if status == DONE else status}
    if error:
        entry["error"] = SECRETS.clean_text(error)
    return entry
