# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collected logs of containers: where each ends, and what is new in a container's log behind that."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from dataclasses import field, replace
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from .._core.atomic_file import PARTIAL_SUFFIX, atomic_writer, is_partial
from .._core.clock import format_utc, utc_now
from .._core.errors import MaintenanceError, SkipAction, from_os_error
from .._core.late_dataclass import dataclass
from .._core.plan import Outcome
from .._core.state_note import read_state_note, write_state_note
from .._core.units import counted
from .._docker.client import Docker, EngineError
from .._docker.log_export import Export, LoggedContainer, Torn, export_name, newest_exports, parse_export_name
from .._docker.log_source import open_log, read_logged_containers
from .._docker.log_stream import (
    Anchor,
    BrokenLog,
    Reading,
    UnreadableLog,
    format_piece,
    parse_anchor,
    parse_piece,
    unix_stamp,
)
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


class LogCollection:
    """The collections below one directory.

    Args:
        dest: that directory.
        state_dir: where it is noted how far each log was collected.
        first: how far back the first collection of a container goes, in seconds.
    """

    def __init__(self, docker: Docker, dest: str, state_dir: str, first: float) -> None:
        self.docker = docker
        self.dest = dest
        self.state_dir = state_dir
        self.first = first

    def read(
        self, container: LoggedContainer, anchor: Optional[Anchor], sink: Optional[gzip.GzipFile], tally: Tally
    ) -> Reading:
        """Read what is new in a log, count its errors, and write it to the sink if there is one.

        Raises:
            MaintenanceError: the engine does not give it.
        """
        reading = Reading(anchor)
        with open_log(self.docker, container, self.since(anchor)) as pieces:
            try:
                for piece, begins in reading.follow(pieces):
                    if begins:
                        tally.add(piece.text, container.service or container.name)
                    if sink is not None:
                        sink.write(format_piece(piece))
            except BrokenLog as error:
                reading.broken = error
        return reading

    def since(self, anchor: Optional[Anchor]) -> str:
        """From when on the engine is to be asked, as Unix time; "" for all that there is."""
        now = utc_now()
        if anchor is None:
            return "%d.000000000" % (now - timedelta(seconds=self.first)).timestamp()
        if anchor.stamp > format_utc(now):
            # The clock was set back: what was written since may be dated before it.
            return ""
        return unix_stamp(anchor.stamp, MARGIN)

    def collect(self, container: LoggedContainer, anchor: Optional[Anchor]) -> Outcome:
        """Write what is new in a log into a file of its own, and note how far that is.

        Args:
            anchor: where the last collection ended.

        Returns:
            an outcome whose detail is `Collected`; its failure tells that there is more than could be read.

        Raises:
            SkipAction: there is nothing new, or its log cannot be read at all.
            MaintenanceError: the engine or the disk fails.
        """
        now, tally = utc_now(), Tally()
        directory = os.path.join(self.dest, container.name)
        path = os.path.join(directory, export_name(container, (anchor.sequence if anchor else 0) + 1, now))
        try:
            # What the shop's customers did stands in its logs: nobody else reads them.
            os.makedirs(self.dest, mode=0o700, exist_ok=True)
            os.makedirs(directory, mode=0o700, exist_ok=True)
            with atomic_writer(path) as handle:
                with gzip.GzipFile("", "wb", 6, handle, mtime=int(now.timestamp())) as packed:
                    reading = self.read(container, anchor, packed, tally)
                end = reading.anchor()
                if not reading.lines and reading.broken is not None:
                    raise reading.broken
                if not reading.lines or end is None:
                    raise SkipAction("nothing new" if anchor else "its log is empty")
            size = os.stat(path).st_size
        except EngineError as error:
            if error.status in _NOT_READ:
                raise SkipAction(why_unreadable(error, container)) from error
            raise
        except OSError as error:
            raise from_os_error("cannot write the collected log", error, target=path) from error
        # Noted at once: a later log may fail, and this one is collected.
        cursors = load_cursors(self.state_dir)
        kept = {key: entry for key, entry in cursors.anchors.items() if key != container.id}
        save_cursors(self.state_dir, replace(cursors, anchors={**kept, container.id: end}))
        lost = _tell_gap(container, anchor, reading) if reading.gap and anchor is not None else ()
        collected = Collected(container, path, reading.lines, reading.gap, tally)
        # What could be read is safe; that there is more must not go unnoticed.
        return Outcome(size, counted(reading.lines, "line"), collected, lost, failure=reading.broken)

    def collect_last(self, ids: Iterable[str]) -> List[Tuple[str, str]]:
        """Collect the logs of containers that are about to be removed.

        Returns:
            the name of each and what became of its log.

        Raises:
            MaintenanceError: the engine or the disk fails.
        """
        wanted = set(ids)
        containers = [entry for entry in read_logged_containers(self.docker) if entry.id in wanted]
        exports, _torn = find_exports(self.dest, utc_now())
        anchors = known_anchors(load_cursors(self.state_dir), exports, containers)
        told = []
        for container in containers:
            if container.driver == "none":
                continue
            try:
                outcome = self.collect(container, anchors.get(container.id))
            except SkipAction as skipped:
                told.append((container.name, skipped.reason))
                continue
            except UnreadableLog as error:
                # What the engine cannot read is lost already, and no reason to keep the container for ever.
                told.append((container.name, str(error)))
                continue
            notes = [outcome.note, *outcome.warnings, *([str(outcome.failure)] if outcome.failure else [])]
            told.append((container.name, "; ".join(notes)))
        return told


def why_unreadable(error: EngineError, container: LoggedContainer) -> str:
    if error.status == 404:
        return "it is gone"
    return "its log driver (%s) cannot be read: %s" % (container.driver or "unknown", error.words)


def _tell_gap(container: LoggedContainer, anchor: Anchor, reading: Reading) -> Tuple[str, ...]:
    return (
        "%s: its log no longer reaches back to the last collection (%sZ): lines between that and %sZ are lost. Collect more often, or "
        "let the log driver keep more (max-size, max-file)."
        % (container.name, anchor.stamp[:19], reading.first[:19].decode()),
    )
