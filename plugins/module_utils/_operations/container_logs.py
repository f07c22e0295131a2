# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Collecting what containers have written to their logs: the steps of docker_logs."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional

from .._core.atomic_file import sync_directory
from .._core.call import Call
from .._core.clock import format_utc, utc_now
from .._core.errors import MaintenanceError, SkipAction, from_os_error
from .._core.late_dataclass import dataclass
from .._core.plan import Action, Outcome, Plan, Report, Results
from .._core.runner import Task
from .._core.units import counted, format_size, parse_duration, parse_size
from .._docker.client import Docker, DockerUnavailable, EngineError
from .._docker.log_export import (
    CollectLog,
    LogExportWork,
    LogPolicy,
    LogWorld,
    Pending,
    RemoveExport,
    collected_lately,
    in_scope,
    newest_exports,
    plan_logs,
    unlimited_logs,
)
from .._docker.log_source import read_logged_containers
from .._logs.log_errors import Tally, first_kinds
from .log_collection import (
    MAX_KNOWN,
    Collected,
    LogCollection,
    LogCursors,
    find_exports,
    known_anchors,
    load_cursors,
    save_cursors,
    why_unreadable,
)


@dataclass
class LogScene:
    """What was observed: the containers and their collections, what earlier calls left, and the errors that were counted meanwhile."""

    world: LogWorld
    cursors: LogCursors
    tally: Tally


class DockerLogs(Task[LogScene]):
    """Collect the logs of containers, and remove old collections."""

    stop_on_failure = False

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self._docker: Optional[Docker] = None
        self.dest = os.path.abspath(self.params["dest"])
        age, size = self.params["remove_after"], self.params["max_size"]
        self.policy = LogPolicy(
            self.params["compose_project"] or "",
            # An age or a size of 0 is far more often meant as "no limit" than as "remove all".
            (parse_duration(age) or None) if age else None,
            (parse_size(size) or None) if size else None,
            parse_duration(self.params["fresh_within"]),
        )
        self.first = parse_duration(self.params["since"])

    def _engine(self) -> Docker:
        if self._docker is None:
            self._docker = Docker.connect(self.params["docker_host"], self.params["docker_timeout"])
        return self._docker

    def _collection(self) -> LogCollection:
        return LogCollection(self._engine(), self.dest, self.run.state_dir, self.first)

    def observe(self) -> LogScene:
        containers = read_logged_containers(self._engine())
        cursors = load_cursors(self.run.state_dir)
        exports, torn = find_exports(self.dest, utc_now())
        anchors = known_anchors(cursors, exports, in_scope(containers, self.policy))
        seen = LogScene(LogWorld(tuple(containers), tuple(exports), tuple(torn), anchors), cursors, Tally())
        if self.call.check:
            self._look_ahead(seen)
        return seen

    def _look_ahead(self, seen: LogScene) -> None:
        """What check mode tells: each log is read as it would be, and nothing is written."""
        pending: Dict[str, Pending] = {}
        unreadable: Dict[str, str] = {}
        newest = newest_exports(seen.world.exports)
        for container in in_scope(seen.world.containers, self.policy):
            if container.driver == "none" or collected_lately(newest.get(container.short_id), self.policy, utc_now()):
                continue
            try:
                reading = self._collection().read(container, seen.world.anchors.get(container.id), None, seen.tally)
                pending[container.id] = Pending(reading.lines, reading.bytes)
                if reading.broken is not None and not reading.lines:
                    unreadable[container.id] = str(reading.broken)
            except EngineError as error:
                unreadable[container.id] = why_unreadable(error, container)
            except DockerUnavailable:
                raise
            except MaintenanceError as error:
                unreadable[container.id] = str(error)
        seen.world = replace(seen.world, pending=pending, unreadable=unreadable)

    def plan(self, observation: LogScene, now: datetime) -> Plan[LogExportWork]:
        return plan_logs(observation.world, self.policy, now)

    def _collect(self, action: Action[CollectLog], observation: LogScene) -> Outcome:
        return self._collection().collect(action.work.container, action.work.anchor)

    def _remove(self, action: Action[RemoveExport], observation: LogScene) -> Outcome:
        path = action.work.path
        try:
            status = os.lstat(path)
            if not stat.S_ISREG(status.st_mode) or status.st_size != action.work.size:
                raise SkipAction("it was replaced since it was looked at")
            os.unlink(path)
            sync_directory(os.path.dirname(path))
        except FileNotFoundError:
            raise SkipAction("it is gone") from None
        except OSError as error:
            raise from_os_error("cannot remove the collected log", error, target=path) from error
        return Outcome(action.work.size)

    handlers = {CollectLog: _collect, RemoveExport: _remove}

    def remember(
        self, observation: LogScene, plan: Plan[LogExportWork], results: Results[LogExportWork, LogScene]
    ) -> None:
        """The errors that were met; how far each log was collected is noted with each."""
        met = [kind["id"] for kind in _tally(observation, results).kinds(frozenset())]
        cursors = load_cursors(self.run.state_dir)
        known = [entry for entry in cursors.known if entry not in set(met)] + met
        save_cursors(self.run.state_dir, replace(cursors, at=format_utc(utc_now()), known=tuple(known[-MAX_KNOWN:])))

    def report(
        self, observation: LogScene, plan: Plan[LogExportWork], results: Results[LogExportWork, LogScene]
    ) -> Report:
        world, tally = observation.world, _tally(observation, results)
        collected = results.details(Collected)
        removed = [action for action in results.effective if isinstance(action.work, RemoveExport)]
        # A log of which a part cannot be read is collected as far as it can be, and a failure.
        count = len(collected)
        if results.check:
            count = sum(isinstance(action.work, CollectLog) for action in results.effective)
        kinds = tally.kinds(frozenset(observation.cursors.known))
        new = sum(kind["new"] for kind in kinds) if observation.cursors.at else 0
        unlimited = unlimited_logs(world.containers, self.policy)
        written = sum(result.bytes for result in results.done if isinstance(result.action.work, CollectLog))
        summary = {
            "bytes": written,
            "bytes_freed": sum(action.bytes for action in removed),
            "bytes_kept": written + sum(item.size for item in world.exports) - sum(action.bytes for action in removed),
            "collected": count,
            "removed": len(removed),
            "lines": tally.lines,
            "errors": tally.errors,
            "kinds": len(kinds),
            "new_kinds": new,
            "unlimited": len(unlimited),
            "since": observation.cursors.at,
        }
        values = {
            "collections": [item.as_dict() for item in collected],
            "errors": kinds[: int(self.params["limit"])],
            "unlimited": unlimited,
        }
        looked = len(in_scope(world.containers, self.policy))
        headline = _headline(summary, looked, results.check, kinds, unlimited)
        changed = bool(results.effective) or bool(collected)
        return Report(headline, changed, summary, values, record={"errors": kinds})

    def close(self) -> None:
        if self._docker is not None:
            self._docker.close()


def _tally(observation: LogScene, results: Results[LogExportWork, LogScene]) -> Tally:
    """The errors of all logs together."""
    whole = Tally()
    for part in [observation.tally, *(item.tally for item in results.details(Collected))]:
        whole.merge(part)
    return whole


def _headline(
    summary: Mapping[str, Any],
    looked: int,
    check: bool,
    kinds: List[Dict[str, Any]],
    unlimited: List[Dict[str, Any]],
) -> str:
    would = "would " if check else ""
    if not looked:
        text = "there are no containers whose logs could be collected"
    elif summary["collected"]:
        text = "%s of %s %s" % (
            counted(summary["lines"], "line"),
            counted(summary["collected"], "container"),
            "would be collected" if check else "collected",
        )
    else:
        text = "nothing new in the logs of %s" % counted(looked, "container")
    if summary["removed"]:
        removed = counted(summary["removed"], "old collection")
        text += ", %s%s %s" % (would, "remove" if check else "removed", removed)
    if kinds:
        news = ", %s of them new" % (summary["new_kinds"] or "none") if summary["since"] else ""
        text += "; %s of %s%s: %s" % (
            counted(summary["errors"], "error"),
            counted(len(kinds), "kind"),
            news,
            first_kinds(kinds),
        )
    if unlimited:
        size = sum(item["bytes"] or 0 for item in unlimited)
        text += "; %s without a size limit%s" % (
            counted(len(unlimited), "log"),
            " (%s)" % format_size(size) if size else "",
        )
    return text
