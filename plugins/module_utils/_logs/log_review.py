# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading what logs hold since the last look: the work of log_error_info."""

from __future__ import annotations

import fnmatch
import gzip
import os
import stat
import zlib
from typing import Any, BinaryIO, Dict, List, Mapping, Optional, Sequence, Tuple

from .._core.atomic_file import is_partial
from .._core.call import Call
from .._core.clock import format_utc, parse_utc, utc_now
from .._core.errors import MaintenanceError, from_os_error
from .._core.finding import printable
from .._core.late_dataclass import dataclass
from .._core.plan import Report
from .._core.state_note import read_state_note, write_state_note
from .._core.units import counted, format_size, parse_size
from .log_errors import Tally, first_kinds
from .log_positions import HEAD, Position, base_name, find_position, keep_latest, parse_position, position_of
from .retention import existing_directories

# A line is judged by so many bytes of it; the rest of a longer one is passed over.
LONGEST_LINE = 1 << 16
# Kinds of errors that are remembered as known, the latest ones.
MAX_KNOWN = 5000
_COMPRESSED = (".gz", ".xz", ".zst", ".bz2", ".zip")


@dataclass(frozen=True)
class LogMemory:
    """What earlier looks left in the state directory.

    Attributes:
        at: when the last look took place; empty before the first one.
        positions: how far each log has been read.
        known: ids of the kinds of errors met so far, the latest last.
    """

    at: str = ""
    positions: Tuple[Position, ...] = ()
    known: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A file that may hold lines nobody has looked at."""

    path: str
    base: str
    rotated: bool
    packed: bool
    size: int
    modified: float


@dataclass(frozen=True)
class Span:
    """What was read of one file.

    Attributes:
        known: the position from which it went on; None where the log was not read before.
        position: how far it has been read now; None where there was nothing to read, or it is a copy of what was read.
        bytes: so many were read.
        skipped: so many were passed over.
    """

    known: Optional[Position]
    position: Optional[Position]
    bytes: int
    skipped: int


def memory_path(state_dir: str) -> str:
    return os.path.join(state_dir, "history", "log-errors.json")


def load_memory(state_dir: str) -> LogMemory:
    """What earlier looks left; nothing where there is none, or where it cannot be understood: then this is the first look.

    Raises:
        MaintenanceError: it is there and cannot be read.
    """
    return read_state_note(memory_path(state_dir), "cannot read how far the logs were read", _memory) or LogMemory()


def _memory(found: Mapping[str, Any]) -> LogMemory:
    positions = [parse_position(entry) for entry in found["positions"]]
    parse_utc(found["at"])
    return LogMemory(
        str(found["at"]),
        tuple(position for position in positions if position is not None),
        tuple(str(entry) for entry in found["known"]),
    )


def save_memory(state_dir: str, memory: LogMemory) -> None:
    """Remember how far this look came.

    Raises:
        MaintenanceError: it cannot be written.
    """
    entry = {
        "at": memory.at,
        "positions": [position.as_dict() for position in memory.positions],
        "known": list(memory.known),
    }
    write_state_note(state_dir, memory_path(state_dir), entry, "cannot note how far the logs were read")


def find_sources(directories: Sequence[str], patterns: Sequence[str]) -> List[Source]:
    """The logs of these directories and their rotations: each log before its rotations, and of those the longest first.

    Of several that begin alike, such as a log that was copied twice, the first one counts: it must be the whole one.

    Raises:
        MaintenanceError: a directory is missing or cannot be read.
    """
    found: Dict[str, Source] = {}
    for directory in directories:
        path = os.path.abspath(directory)
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    base = base_name(entry.name)
                    if is_partial(entry.name) or not any(fnmatch.fnmatchcase(base, pattern) for pattern in patterns):
                        continue
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    if stat.S_ISREG(status.st_mode):
                        found[entry.path] = Source(
                            entry.path,
                            os.path.join(path, base),
                            entry.name != base,
                            entry.name.endswith(_COMPRESSED),
                            status.st_size,
                            status.st_mtime,
                        )
        except OSError as error:
            raise from_os_error("cannot read the log directory", error, target=path) from error
    return sorted(found.values(), key=lambda item: (item.base, item.rotated, item.packed, -item.size, item.path))


def wanted_sources(sources: Sequence[Source], memory: LogMemory) -> List[Source]:
    """Those that may hold something new. Pure.

    A rotation that was last written to before the last look was read by it under its old name; before the first look
    nothing of the past is asked for.
    """
    if not memory.at:
        return [source for source in sources if not source.rotated]
    since = parse_utc(memory.at).timestamp()
    # A file system's clock may lag behind a little.
    return [source for source in sources if not source.rotated or source.modified >= since - 2]


_NOTHING = Span(None, None, 0, 0)


def read_source(
    source: Source, memory: LogMemory, done: Sequence[Span], first_bytes: int, limit: int, tally: Tally
) -> Span:
    """Count the errors of one file since the last look.

    Args:
        done: what was read of other files in this look: a rotation that copies makes a second file of the same lines.
        first_bytes: how much of a log is looked at, from its end, when no log was ever looked at.
        limit: how much may be read.

    Raises:
        OSError: it cannot be read.
        EOFError: it is compressed and cut short.
        zlib.error: it is compressed and damaged.
    """
    if source.packed and not source.path.endswith(".gz"):
        return _NOTHING
    with open(source.path, "rb") as raw:
        handle: BinaryIO = gzip.GzipFile(fileobj=raw) if source.packed else raw  # type: ignore[assignment]
        head = handle.read(HEAD)
        if not head or find_position(source.base, head, [span.position for span in done if span.position]):
            return _NOTHING
        known = find_position(source.base, head, memory.positions)
        if known is not None and any(span.known == known for span in done):
            return _NOTHING
        offset, skipped = known.offset if known else 0, 0
        unread = 0 if source.packed else source.size - offset
        if not memory.at:
            skipped = max(0, unread - first_bytes)
        elif unread > limit:
            skipped = unread - limit
        if skipped:
            # It begins in the middle of a line, whose rest is passed over as well.
            handle.seek(offset + skipped - 1)
            skipped += len(handle.readline()) - 1
        start = offset + skipped
        handle.seek(0)
        if _skip(handle, start, source.packed) < start:
            return _NOTHING
        read = _feed(handle, tally, source.path, limit)
        return Span(known, position_of(source.base, head, start + read), read, skipped)


def _feed(handle: BinaryIO, tally: Tally, path: str, limit: int) -> int:
    """Give whole lines to the tally until the file ends or the limit is reached; returns the bytes they took.

    Never more than one line is held, and of an overlong one its beginning only. The last line of a log may not be written
    to its end yet: it counts when it is whole.
    """
    taken = 0
    while taken < limit:
        line = handle.readline(LONGEST_LINE)
        size, piece = len(line), line
        while piece and not piece.endswith(b"\n"):
            piece = handle.readline(LONGEST_LINE)
            size += len(piece)
        if not piece:
            break
        tally.add(line.rstrip(b"\r\n"), path)
        taken += size
    return taken


def _skip(handle: BinaryIO, count: int, packed: bool) -> int:
    """Pass over bytes from the beginning; returns how many there were."""
    if not packed:
        return handle.seek(count)
    passed = 0
    while passed < count:
        piece = handle.read(min(1 << 20, count - passed))
        if not piece:
            break
        passed += len(piece)
    return passed


def review_logs(call: Call) -> Report:
    """Look at the logs of the options.

    Raises:
        MaintenanceError: a directory cannot be read, or what earlier looks left.
    """
    params = call.params
    state_dir = call.run.state_dir
    memory = load_memory(state_dir)
    now = utc_now()
    first_bytes, limit = parse_size(params["first_bytes"]), parse_size(params["max_bytes"])
    tally = Tally()
    spans: List[Span] = []
    unreadable: List[Dict[str, Any]] = []
    read = 0
    paths = params["paths"] + existing_directories(params["optional_paths"])
    for source in wanted_sources(find_sources(paths, params["patterns"]), memory):
        try:
            span = read_source(source, memory, spans, first_bytes, max(0, limit - read), tally)
        except (OSError, EOFError, zlib.error) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is damaged"
            unreadable.append({"path": printable(source.path), "reason": reason})
            continue
        if span.position is not None:
            spans.append(span)
            read += span.bytes
    kinds = tally.kinds(frozenset(memory.known))
    warnings = ["%s was not read: %s" % (entry["path"], entry["reason"]) for entry in unreadable[:5]]
    if not call.check:
        met = [kind["id"] for kind in kinds]
        met_set = set(met)
        known_ids = [entry for entry in memory.known if entry not in met_set] + met
        kept = LogMemory(
            format_utc(now),
            tuple(keep_latest([span.position for span in spans if span.position], memory.positions)),
            tuple(known_ids[-MAX_KNOWN:]),
        )
        try:
            save_memory(state_dir, kept)
        except MaintenanceError as error:
            warnings.append("the next look begins where this one did: %s" % error)
    return _report(tally, kinds, memory.at, spans, unreadable, int(params["limit"]), warnings)


def _report(
    tally: Tally,
    kinds: List[Dict[str, Any]],
    since: str,
    spans: List[Span],
    unreadable: List[Dict[str, Any]],
    limit: int,
    warnings: List[str],
) -> Report:
    new = [kind for kind in kinds if kind["new"]]
    read, skipped = sum(span.bytes for span in spans), sum(span.skipped for span in spans)
    when = "since %s" % since if since else "in the last %s, the first look" % format_size(read)
    if not tally.errors:
        headline = "no errors in %s %s" % (counted(len(spans), "log"), when)
    else:
        headline = "%s of %s %s" % (counted(tally.errors, "error"), counted(len(kinds), "kind"), when)
        if since:
            headline += ", %s" % ("%d of them new" % len(new) if new else "none of them new")
        named = [{**kind, "path": os.path.basename(printable(kind["path"]))} for kind in kinds]
        headline += "; " + first_kinds(named)
    if skipped and since:
        warnings.append("%s of logs were passed over, more than max_bytes" % format_size(skipped))
    for kind in kinds:
        kind["path"] = printable(kind["path"])
    return Report(
        headline,
        summary={
            "errors": tally.errors,
            "kinds": len(kinds),
            "new_kinds": len(new) if since else 0,
            "uncounted": tally.uncounted,
            "logs": len(spans),
            "lines": tally.lines,
            "bytes_read": read,
            "bytes_skipped": skipped,
            "since": since,
        },
        values={"errors": kinds[:limit], "unreadable": unreadable[:50]},
        record={"errors": kinds},
        warnings=warnings,
    )
