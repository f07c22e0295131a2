# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where slow operations are to be found, and reading them there: the work of mongo_slow_info.

mongod logs each one in any case, into its log and into the last lines that it keeps in memory; the profiler notes them where
somebody has switched it on. Each source reaches back to another moment, and what one has seen is not counted again.
"""

from __future__ import annotations

import os
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .._core.call import Call
from .._core.clock import format_utc, utc_now
from .._core.late_dataclass import dataclass
from .._core.plan import Report
from .._core.units import counted, parse_duration, parse_size
from .client import APP_NAME, Connection, connect_member
from .health import MAX_TIME_MS, Prober
from .slow_operations import SlowOperation, advice, group, logged_at, of_log_line, of_profile, sentence
from .storage import choose_databases

FILE, MEMORY = "file", "memory"
# Of the profiler's collection, which is capped; a level that notes everything fills it in a minute.
_MOST_ENTRIES = 20000


@dataclass
class SlowSource:
    """What was read at one place.

    Attributes:
        kind: file, memory, or the name of a database for its profiler.
        since: the oldest moment that it knows; None where it is empty.
    """

    kind: str
    since: Optional[datetime] = None
    operations: List[SlowOperation] = field(default_factory=list)


def _of_lines(lines: Sequence[bytes], since: datetime, source: SlowSource) -> None:
    for line in lines:
        moment = logged_at(line)
        if moment is None:
            continue
        if source.since is None or moment < source.since:
            source.since = moment
        found = of_log_line(line) if moment >= since else None
        if found is not None:
            source.operations.append(found)


def read_log_file(path: str, since: datetime, newest: bytes, limit: int) -> Optional[SlowSource]:
    """The end of mongod's log file; None where this host has none of this server.

    Args:
        newest: a line that the server has just told; a file without it is another server's, such as one of the same path
            inside a container.
        limit: bytes to read at most, from its end.
    """
    source, known, rest = SlowSource(FILE), False, b""
    try:
        with open(path, "rb") as handle:
            start = max(0, os.fstat(handle.fileno()).st_size - limit)
            handle.seek(start)
            while True:
                piece = handle.read(1 << 20)
                lines = (rest + piece).split(b"\n")
                rest = lines.pop()
                if start:
                    # It begins anywhere in a line.
                    lines, start = lines[1:], 0
                known = known or newest in lines
                _of_lines(lines, since, source)
                if not piece:
                    break
    except OSError:
        return None
    return source if known else None


def _read_log(connection: Connection, prober: Prober, since: datetime, limit: int) -> Optional[SlowSource]:
    """From the log: its file where it is on this host, else what the server keeps of it in memory."""
    client = connection.client
    answer = prober.ask("its log", lambda: client.admin.command("getLog", "global"))
    if answer is None:
        return None
    lines = [str(line).rstrip("\n").encode("utf-8") for line in answer.get("log") or ()]
    options = prober.ask("the server's settings", lambda: client.admin.command("getCmdLineOpts")) or {}
    path = ((options.get("parsed") or {}).get("systemLog") or {}).get("path")
    # A line that is cut in memory is whole in the file.
    whole = [line for line in lines if line.endswith(b"}") and len(line) < 1000]
    if path and whole:
        found = read_log_file(str(path), since, whole[-1], limit)
        if found is not None:
            return found
    source = SlowSource(MEMORY)
    _of_lines(lines, since, source)
    return source


def _read_profiler(connection: Connection, prober: Prober, name: str, since: datetime) -> Tuple[int, int, SlowSource]:
    """Level and threshold of a database's profiler, and what it has noted."""
    database, source = connection.client[name], SlowSource(name)
    status = (
        prober.ask("the profiler's level", lambda: database.command("profile", -1), "dbAdmin on the database") or {}
    )
    level, threshold = int(status.get("was") or 0), int(status.get("slowms", 100))

    def entries() -> List[Mapping[str, Any]]:
        wanted = {"ts": {"$gte": since}, "millis": {"$gte": threshold}, "appName": {"$ne": APP_NAME}}
        found = database["system.profile"].find(wanted).sort("$natural", -1).limit(_MOST_ENTRIES)
        return list(found.max_time_ms(MAX_TIME_MS))

    for entry in prober.ask("the profiler's entries", entries, "dbAdmin on the database") or ():
        operation = of_profile(entry)
        if operation is not None:
            source.operations.append(operation)
            source.since = operation.at if source.since is None else min(source.since, operation.at)
    return level, threshold, source


def merge(
    log: Optional[SlowSource], profilers: Sequence[SlowSource], names: Sequence[str], since: datetime
) -> List[SlowOperation]:
    """Each operation once: of the log all, of the profilers what is older than the log. Pure."""
    found = [
        operation for operation in (log.operations if log else ()) if operation.namespace.partition(".")[0] in names
    ]
    for profiler in profilers:
        for operation in profiler.operations:
            if log is None or log.since is None or operation.at < log.since:
                found.append(operation)
    return [operation for operation in found if operation.at >= since]


def read_slow_operations(call: Call) -> Report:
    """All that mongo_slow_info tells.

    Raises:
        MaintenanceError: the server refuses or cannot be reached, or a name is misspelt.
    """
    params = call.params
    now = utc_now()
    since = now - timedelta(seconds=parse_duration(params["since"]))
    with connect_member(params) as connection:
        prober = Prober(connection)
        names = choose_databases(connection, params["databases"], fallback_to_all=True)
        log = _read_log(connection, prober, since, parse_size(params["max_bytes"]))
        profilers = {name: _read_profiler(connection, prober, name, since) for name in names}
    operations = merge(log, [source for _level, _threshold, source in profilers.values()], names, since)
    kinds = group(operations)
    known = [source.since for source in [log, *(entry[2] for entry in profilers.values())] if source and source.since]
    reaches = max(min(known), since) if known else None
    thresholds = sorted({threshold for _level, threshold, _source in profilers.values()}) or [100]
    values: Dict[str, Any] = {
        "slow_operations": [
            dict(kind, sentence=sentence(kind), advice=advice(kind)) for kind in kinds[: int(params["limit"])]
        ],
        "sources": {
            "log": log.kind if log else None,
            "log_since": format_utc(log.since) if log and log.since else None,
            "profiler_levels": {name: level for name, (level, _threshold, _source) in profilers.items()},
            "threshold_milliseconds": thresholds[-1],
        },
    }
    return Report(
        slow_headline(kinds, len(operations), reaches, thresholds[-1]),
        summary={
            "slow_operations": len(operations),
            "kinds": len(kinds),
            "kinds_without_index": sum(bool(kind["scans"]) for kind in kinds),
            "known_since": format_utc(reaches) if reaches else "",
        },
        values=values,
        record={"slow_operations": values["slow_operations"]} if kinds else {},
        warnings=prober.warnings,
    )


def slow_headline(kinds: Sequence[Mapping[str, Any]], number: int, since: Optional[datetime], threshold: int) -> str:
    """How much was slow, and what most of it was. Pure.

    Args:
        since: from when on that is known; None where nothing is.
        threshold: milliseconds from which an operation counts as slow.
    """
    if since is None:
        return "what was slow is not known: neither the log nor the profiler tells"
    when = "since %s (from %d ms on)" % (format_utc(since), threshold)
    if not kinds:
        return "no slow operation %s" % when
    return "%s of %s %s; most time went into %s" % (
        counted(number, "slow operation"),
        counted(len(kinds), "kind"),
        when,
        sentence(kinds[0]),
    )
