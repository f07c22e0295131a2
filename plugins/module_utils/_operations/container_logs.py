# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Collecting what containers have written to their logs: the steps of docker_logs."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .._core.atomic_file import PARTIAL_SUFFIX, atomic_writer, is_partial, sync_directory
from .._core.call import Call
from .._core.clock import format_utc, utc_now
from .._core.errors import MaintenanceError, SkipAction, from_os_error
from .._core.plan import Action, Outcome, Plan, Report, Results
from .._core.runner import Task
from .._core.state_note import read_state_note, write_state_note
from .._core.units import format_size, parse_duration, parse_size
from .._docker.client import Docker, DockerUnavailable, EngineError
from .._docker.log_export import (
    CollectLog,
    Export,
    LogExportWork,
    LoggedContainer,
    LogPolicy,
    LogWorld,
    Pending,
    RemoveExport,
    Torn,
    collected_lately,
    export_name,
    in_scope,
    newest_exports,
    parse_export_name,
    plan_logs,
    unlimited_logs,
)
from .._docker.log_source import open_log, read_logged_containers
from .._docker.log_stream import Anchor, BrokenLog, Reading, format_piece, parse_anchor, parse_piece, unix_stamp
from .._logs.log_errors import Tally

# The engine looks for the end of the last collection from so many seconds before it on. A clock may have been set back since,
# and by hours where it ran in local time: of what was dated further back the engine would tell nothing.
MARGIN = 14 * 3600
MAX_ANCHORS = 1000
MAX_KNOWN = 5000
_DAMAGED = "the last collection of this log cannot be read"
_MOVE_AWAY = "Move it away; what the engine still holds is collected anew."
# It is gone, or its log driver keeps nothing that could be read.
_NOT_READ = (404, 500, 501)
# Nobody writes a collection for so long.
TORN_AFTER = 86400


@dataclass(frozen=True)
class LogCursors:
    """What earlier calls left in the state directory.

    Attributes:
        at: when the last one was; empty before the first.
        anchors: by the id of the container, those collected last at the end.
        known: ids of the kinds of errors that were met, the latest last.
    """

    at: str = ""
    anchors: Mapping[str, Anchor] = field(default_factory=dict)
    known: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Collected:
    """One log that was collected."""

    container: LoggedContainer
    path: str
    lines: int
    gap: bool
    tally: Tally

    def as_dict(self) -> Dict[str, Any]:
        return {
            "container": self.container.name,
            "service": self.container.service,
            "path": self.path,
            "lines": self.lines,
            "gap": self.gap,
        }


def cursors_path(state_dir: str) -> str:
    return os.path.join(state_dir, "history", "container-logs.json")


def load_cursors(state_dir: str) -> LogCursors:
    """What earlier calls left; nothing where there is none or where it cannot be understood: the collections themselves tell then.

    Raises:
        MaintenanceError: it is there and cannot be read.
    """
    unreadable = "cannot read how far container logs were collected"
    return read_state_note(cursors_path(state_dir), unreadable, _cursors) or LogCursors()


def _cursors(found: Mapping[str, Any]) -> LogCursors:
    anchors = {str(key): parse_anchor(entry) for key, entry in dict(found["anchors"]).items()}
    return LogCursors(
        str(found["at"]),
        {key: anchor for key, anchor in anchors.items() if anchor is not None},
        tuple(str(entry) for entry in found["known"]),
    )


def save_cursors(state_dir: str, cursors: LogCursors) -> None:
    """Remember how far each log was collected.

    Raises:
        MaintenanceError: it cannot be written.
    """
    anchors = dict(list(cursors.anchors.items())[-MAX_ANCHORS:])
    entry = {
        "at": cursors.at,
        "anchors": {key: anchor.as_dict() for key, anchor in anchors.items()},
        "known": list(cursors.known),
    }
    write_state_note(state_dir, cursors_path(state_dir), entry, "cannot note how far container logs were collected")


def find_exports(dest: str, now: datetime) -> Tuple[List[Export], List[Torn]]:
    """The collections below a directory, and what killed calls have left; files of other names are none of ours.

    Raises:
        MaintenanceError: a directory cannot be read.
    """
    found: List[Export] = []
    torn: List[Torn] = []
    try:
        with os.scandir(dest) as directories:
            places = sorted(entry.path for entry in directories if entry.is_dir(follow_symlinks=False))
        for place in places:
            with os.scandir(place) as entries:
                for entry in entries:
                    partial = is_partial(entry.name)
                    parsed = parse_export_name(entry.name[1 : -len(PARTIAL_SUFFIX)] if partial else entry.name)
                    status = entry.stat(follow_symlinks=False) if parsed else None
                    if parsed is None or status is None or not stat.S_ISREG(status.st_mode):
                        continue
                    if not partial:
                        taken = datetime.strptime(parsed[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
                        found.append(Export(entry.path, parsed[1], parsed[2], taken, status.st_size))
                    elif now.timestamp() - status.st_mtime > TORN_AFTER:
                        torn.append(Torn(entry.path, status.st_size))
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise from_os_error("cannot read the directory of the collected logs", error, target=dest) from error
    return found, torn


def anchor_of_file(export: Export) -> Optional[Anchor]:
    """Where a collection ends, as it says itself: a call that was killed has written it and could not note it any more.

    Raises:
        MaintenanceError: it is damaged.
    """
    reading = Reading(None)
    try:
        with gzip.open(export.path, "rb") as handle:
            for line in handle:
                piece = parse_piece(line.rstrip(b"\n"))
                if piece is not None:
                    reading.take(piece)
    except OSError as error:
        raise from_os_error(_DAMAGED, error, target=export.path, next_step=_MOVE_AWAY) from error
    except (EOFError, zlib.error) as error:
        raise MaintenanceError("%s: %s" % (_DAMAGED, error), target=export.path, next_step=_MOVE_AWAY) from error
    anchor = reading.anchor()
    return replace(anchor, sequence=export.sequence) if anchor else None


def known_anchors(cursors: LogCursors, exports: List[Export], containers: List[LoggedContainer]) -> Dict[str, Anchor]:
    """Where each container's last collection ended: as noted, or as its newest file tells when that is newer."""
    newest = newest_exports(exports)
    found: Dict[str, Anchor] = {}
    for container in containers:
        anchor: Optional[Anchor] = cursors.anchors.get(container.id)
        last = newest.get(container.short_id)
        if last is not None and (anchor is None or last.sequence > anchor.sequence):
            told = anchor_of_file(last)
            if told is not None and anchor is not None:
                told = replace(told, high=max(told.high, anchor.high))
            anchor = told or anchor
        if anchor is not None:
            found[container.id] = anchor
    return found


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
                reading = self._read(container, seen.world.anchors.get(container.id), None, seen.tally)
                pending[container.id] = Pending(reading.lines, reading.bytes)
                if reading.broken is not None and not reading.lines:
                    unreadable[container.id] = str(reading.broken)
            except EngineError as error:
                unreadable[container.id] = _why_unreadable(error, container)
            except DockerUnavailable:
                raise
            except MaintenanceError as error:
                unreadable[container.id] = str(error)
        seen.world = replace(seen.world, pending=pending, unreadable=unreadable)

    def _read(
        self, container: LoggedContainer, anchor: Optional[Anchor], sink: Optional[gzip.GzipFile], tally: Tally
    ) -> Reading:
        """Read what is new in a log, count its errors, and write it to the sink if there is one."""
        reading = Reading(anchor)
        with open_log(self._engine(), container, self._since(anchor)) as pieces:
            try:
                for piece, begins in reading.follow(pieces):
                    if begins:
                        tally.add(piece.text, container.service or container.name)
                    if sink is not None:
                        sink.write(format_piece(piece))
            except BrokenLog as error:
                reading.broken = error
        return reading

    def _since(self, anchor: Optional[Anchor]) -> str:
        now = utc_now()
        if anchor is None:
            return "%d.000000000" % (now - timedelta(seconds=self.first)).timestamp()
        if anchor.stamp > format_utc(now):
            # The clock was set back: what was written since may be dated before it.
            return ""
        return unix_stamp(anchor.stamp, MARGIN)

    def plan(self, observation: LogScene, now: datetime) -> Plan[LogExportWork]:
        return plan_logs(observation.world, self.policy, now)

    def _collect(self, action: Action[CollectLog], observation: LogScene) -> Outcome:
        container, anchor = action.work.container, action.work.anchor
        now, tally = utc_now(), Tally()
        directory = os.path.join(self.dest, container.name)
        path = os.path.join(directory, export_name(container, (anchor.sequence if anchor else 0) + 1, now))
        try:
            # What the shop's customers did stands in its logs: nobody else reads them.
            os.makedirs(self.dest, mode=0o700, exist_ok=True)
            os.makedirs(directory, mode=0o700, exist_ok=True)
            with atomic_writer(path) as handle:
                with gzip.GzipFile("", "wb", 6, handle, mtime=int(now.timestamp())) as packed:
                    reading = self._read(container, anchor, packed, tally)
                end = reading.anchor()
                if not reading.lines and reading.broken is not None:
                    raise reading.broken
                if not reading.lines or end is None:
                    raise SkipAction("nothing new" if anchor else "its log is empty")
            size = os.stat(path).st_size
        except EngineError as error:
            if error.status in _NOT_READ:
                raise SkipAction(_why_unreadable(error, container)) from error
            raise
        except OSError as error:
            raise from_os_error("cannot write the collected log", error, target=path) from error
        # Noted at once: a later log may fail, and this one is collected.
        cursors = load_cursors(self.run.state_dir)
        kept = {key: entry for key, entry in cursors.anchors.items() if key != container.id}
        save_cursors(self.run.state_dir, replace(cursors, anchors={**kept, container.id: end}))
        lost = _tell_gap(container, anchor, reading) if reading.gap and anchor is not None else ()
        note = "%d %s" % (reading.lines, "line" if reading.lines == 1 else "lines")
        collected = Collected(container, path, reading.lines, reading.gap, tally)
        # What could be read is safe; that there is more must not go unnoticed.
        return Outcome(size, note, collected, lost, failure=reading.broken)

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


def _why_unreadable(error: EngineError, container: LoggedContainer) -> str:
    if error.status == 404:
        return "it is gone"
    return "its log driver (%s) cannot be read: %s" % (container.driver or "unknown", error.words)


def _tell_gap(container: LoggedContainer, anchor: Anchor, reading: Reading) -> Tuple[str, ...]:
    return (
        "%s: its log no longer reaches back to the last collection (%sZ): lines between that and %sZ are lost. Collect more often, or "
        "let the log driver keep more (max-size, max-file)."
        % (container.name, anchor.stamp[:19], reading.first[:19].decode()),
    )


def _count(number: int, noun: str) -> str:
    return "%d %s%s" % (number, noun, "" if number == 1 else "s")


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
            _count(summary["lines"], "line"),
            _count(summary["collected"], "container"),
            "would be collected" if check else "collected",
        )
    else:
        text = "nothing new in the logs of %s" % _count(looked, "container")
    if summary["removed"]:
        removed = _count(summary["removed"], "old collection")
        text += ", %s%s %s" % (would, "remove" if check else "removed", removed)
    if kinds:
        first = kinds[0]
        news = ", %s of them new" % (summary["new_kinds"] or "none") if summary["since"] else ""
        text += "; %s of %s%s: %s: %s (%d)" % (
            _count(summary["errors"], "error"),
            _count(len(kinds), "kind"),
            news,
            first["path"],
            first["message"],
            first["count"],
        )
    if unlimited:
        size = sum(item["bytes"] or 0 for item in unlimited)
        text += "; %s without a size limit%s" % (
            _count(len(unlimited), "log"),
            " (%s)" % format_size(size) if size else "",
        )
    return text
