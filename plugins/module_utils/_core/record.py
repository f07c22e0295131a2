# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of a run: a summary beside its events, and its entry in the maintenance log."""

from __future__ import annotations

import errno
import json
import os
import pwd
import re
import stat
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping

from . import maintenance_log
from .atomic_file import write_atomic
from .clock import compact_utc, format_utc
from .redaction import SECRETS
from .state_dir import StateDirectory

if TYPE_CHECKING:
    from .lease import Lease

EVENT_CAP = 200
LIST_CAP = 200
_RUN_DATE = re.compile(r"^(\d{8}T\d{6}Z)-[0-9a-f]+\.(?:jsonl|json)$")


def capped(values: Mapping[str, Any]) -> Dict[str, Any]:
    """Values that travel through the controller's memory and into its database: lists are cut, `counts` has their totals."""
    counts = dict(values.get("counts") or {})
    for key, value in values.items():
        if isinstance(value, (list, tuple)) and len(value) > LIST_CAP:
            counts[key] = len(value)
    cut: Dict[str, Any] = {key: _cut(value) for key, value in values.items()}
    if counts:
        cut["counts"] = counts
    return cut


def _cut(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_cut(item) for item in list(value)[:LIST_CAP]]
    if isinstance(value, dict):
        return {key: _cut(item) for key, item in value.items()}
    return value


def default_owner() -> str:
    """Who runs this, when nobody says: the user who called sudo, else the one that the module runs as."""
    if os.environ.get("SUDO_USER"):
        return os.environ["SUDO_USER"]
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return "uid %d" % os.geteuid()


def default_log_path(state: StateDirectory) -> str:
    """Where the maintenance log lies when nobody says."""
    return os.path.join(state.path, "maintenance-log.md")


def read_record(state: StateDirectory, run_id: str) -> Dict[str, Any]:
    try:
        with open(state.record_path(run_id), encoding="utf-8") as handle:
            found = json.load(handle)
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError):
        return {}


def write_record(state: StateDirectory, record: Mapping[str, Any]) -> str:
    path = state.record_path(str(record["run_id"]))
    text = json.dumps(SECRETS.clean(dict(record)), indent=1, sort_keys=True, default=str) + "\n"
    write_atomic(path, text.encode("utf-8"), 0o600)
    return path


def prune_records(state: StateDirectory, keep_days: int, now: datetime) -> int:
    oldest = compact_utc(now - timedelta(days=max(keep_days, 1)))
    count = 0
    for name in sorted(os.listdir(state.runs_dir)):
        match = _RUN_DATE.match(name)
        if match and match.group(1) < oldest:
            os.unlink(os.path.join(state.runs_dir, name))
            count += 1
    return count


def write_log(path: str, moment: datetime, lines: List[str], run_id: str) -> None:
    """Append to the maintenance log.

    Raises:
        OSError: as the system reports it, or the log is a link or no file that another user has planted.
    """
    # The log may lie in a directory of the shop's user, and this runs as root: it must not write where that user points.
    if os.path.islink(path) and os.lstat(path).st_uid not in (0, os.geteuid()):
        raise PermissionError(errno.EPERM, "it is a link that another user has put there", path)
    path = os.path.realpath(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, encoding="utf-8", errors="surrogateescape", newline="") as handle:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "it is not a regular file", path)
            before = handle.read()
    except FileNotFoundError:
        before = ""
    after = maintenance_log.append(before, moment, lines, run_id)
    if after != before:
        write_atomic(path, after.encode("utf-8", "surrogateescape"), None if before else 0o640)


def close_dead(state: StateDirectory, lease: Lease, reason: str, now: datetime) -> None:
    """A dead run gets its record, too: what it had done stands in its events."""
    if read_record(state, lease.run_id):
        return
    record = {
        "run_id": lease.run_id,
        "name": lease.name,
        "owner": lease.owner,
        "started": lease.started,
        "ended": lease.renewed,
        "status": "died",
        "reason": reason,
        "closed": format_utc(now),
        "steps": [],
    }
    try:
        write_record(state, record)
    except OSError:
        pass  # a full disk must not keep the next run from making room


def read_events(state: StateDirectory, run_id: str) -> Iterator[Dict[str, Any]]:
    """The events of a run in order; a line torn by a kill is passed over."""
    try:
        with open(state.events_path(run_id), encoding="utf-8") as handle:
            for line in handle:
                try:
                    yield json.loads(line)
                except ValueError:
                    continue
    except FileNotFoundError:
        return


def first_event(state: StateDirectory, run_id: str) -> Dict[str, Any]:
    return next((event for event in read_events(state, run_id) if event.get("event") == "begun"), {})


def with_events(state: StateDirectory, record: Mapping[str, Any]) -> Dict[str, Any]:
    events = list(read_events(state, str(record["run_id"])))
    return dict(record, events=[capped(event) for event in telling(events)], event_count=len(events))


def telling(events: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """The events that go to the controller, in their order: how each module ended before each single action. Pure."""

    def is_detail(event: Mapping[str, Any]) -> bool:
        return event.get("event") in ("planned", "begin", "end")

    order = sorted(range(len(events)), key=lambda place: (is_detail(events[place]), place))
    return [events[place] for place in sorted(order[:EVENT_CAP])]
