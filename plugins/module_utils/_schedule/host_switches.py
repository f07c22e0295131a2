# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Switching jobs of the shop off and on, on the host. What is switched off is noted whole before anything is touched."""

from __future__ import annotations

import base64
import glob
import hashlib
import os
from typing import Any, List, Mapping, Optional, Sequence, Tuple

from .._core import systemd
from .._core.atomic_file import discard_partial, sync_directory, write_atomic
from .._core.errors import MaintenanceError, SkipAction, from_os_error
from .._core.late_dataclass import dataclass
from .._core.undo_note import undo_notes, write_undo_note
from .switching import LINE, OFF_MARK, OFF_SUFFIX, SCRIPT, TIMER, NotedSwitch, ShopJob, Switch

KIND = "switched-off jobs"
_UNITS = (systemd.UNIT_DIR, "/run/systemd/system")
_RUN_PARTS = ("cron.hourly", "cron.daily", "cron.weekly", "cron.monthly")


@dataclass(frozen=True)
class SwitchNote:
    """One entry of a note: what is needed to put it back byte for byte."""

    switch: Switch
    original: bytes
    whole: bytes


def digest_of(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()[:16]


def _bytes_of(path: str) -> bytes:
    with open(path, "rb") as handle:
        return handle.read()


# -- looking ------------------------------------------------------------------------------------------------------------


def switch_of(source: str, line: int) -> Tuple[Optional[Switch], str]:
    """How a job is switched, or why it cannot be switched here.

    Args:
        source: the file that schedules it; line: the line in it, 0 for a whole file.
    """
    parent, name = os.path.basename(os.path.dirname(source)), os.path.basename(source)
    if name.endswith(".timer"):
        return _timer_switch(source, name)
    if parent in _RUN_PARTS:
        return Switch(SCRIPT, source), ""
    if not line or parent in ("tmpfiles.d", "logrotate.d") or name == "logrotate.conf":
        return None, "no line of a crontab and no timer: change it by hand"
    if os.path.islink(source):
        return None, "a link: change what it leads to (%s)" % os.path.realpath(source)
    original = _line(source, line)
    if original is None:
        return None, "its lines cannot be told apart: change it by hand"
    return Switch(LINE, source, line, digest_of(original)), ""


def _line(path: str, number: int) -> Optional[bytes]:
    """A line of a crontab as the finder of jobs counts them, where it is one for cron as well."""
    raw = _bytes_of(path)
    lines = raw.split(b"\n")
    found = lines[number - 1] if number <= len(lines) else b""
    seen = raw.decode("utf-8", "replace").splitlines()
    same = number <= len(seen) and seen[number - 1] == found.decode("utf-8", "replace").rstrip("\r")
    return found if same and found.strip() else None


def _timer_switch(source: str, name: str) -> Tuple[Optional[Switch], str]:
    if "/.config/" in source:
        return None, "a user's own timer: systemctl --user disable --now %s, as that user" % name
    if not systemd.runs_this_host():
        return None, "a timer, and systemd does not run this host"
    if os.path.dirname(source).endswith("/transient"):
        return None, "made by systemd-run: systemctl stop %s" % name
    links = tuple(
        (path, os.readlink(path))
        for base in _UNITS
        for kind in ("wants", "requires")
        for path in sorted(glob.glob("%s/*.%s/%s" % (base, kind, glob.escape(name))))
        if os.path.islink(path)
    )
    if not links:
        return None, "started by its package: systemctl mask --now %s" % name
    facts = systemd.unit_properties([name], ["ActiveState"])[name]
    return Switch(TIMER, source, links=links, running=facts.get("ActiveState") == "active"), ""


def is_off(switch: Switch, original: bytes) -> Tuple[bool, str]:
    """Whether a job is switched off as we left it, and how it stands otherwise."""
    if switch.form == LINE:
        try:
            lines = _bytes_of(switch.path).split(b"\n")
        except FileNotFoundError:
            return False, "its crontab is gone; the line is in the note"
        if OFF_MARK + original in lines:
            return True, ""
        return (
            False,
            "switched on already" if original in lines else "its line was changed; the original is in the note",
        )
    if switch.form == SCRIPT:
        if os.path.lexists(switch.path):
            return False, "switched on already"
        return (True, "") if os.path.lexists(switch.path + OFF_SUFFIX) else (False, "gone")
    if not os.path.exists(switch.path):
        return False, "its unit is gone"
    missing = [path for path, _target in switch.links if not os.path.lexists(path)]
    return (True, "") if missing else (False, "switched on already")


# -- notes --------------------------------------------------------------------------------------------------------------


def switch_note_of(switch: Switch) -> SwitchNote:
    if switch.form != LINE:
        return SwitchNote(switch, b"", b"")
    whole = _bytes_of(switch.path)
    return SwitchNote(switch, whole.split(b"\n")[switch.line - 1], whole)


def write_switch_note(state_dir: str, undo_id: str, notes: Sequence[SwitchNote]) -> None:
    """Note what is about to be switched off.

    Raises:
        AbortPlan: it cannot be written, and so nothing may be changed.
    """
    entries = [
        {
            "form": note.switch.form,
            "path": note.switch.path,
            "line": note.switch.line,
            "links": [list(link) for link in note.switch.links],
            "running": note.switch.running,
            "original": base64.b64encode(note.original).decode("ascii"),
            "whole": base64.b64encode(note.whole).decode("ascii"),
        }
        for note in notes
    ]
    failed = "cannot note how to switch the jobs on again, so nothing was changed"
    write_undo_note(state_dir, undo_id, KIND, {"entries": entries}, failed)


def read_notes(state_dir: str, wanted: str) -> List[Tuple[str, List[SwitchNote]]]:
    """All notes of switched-off jobs, the latest first; those of one undo id or run where one is given.

    Raises:
        MaintenanceError: one cannot be understood.
    """
    found = undo_notes(state_dir, KIND, _read_all, wanted)
    if wanted and not found:
        raise MaintenanceError(
            "there is no undo data of this name for jobs",
            target=repr(wanted),
            next_step="Use the undo_id or the run_id of what was switched off on this host.",
            details={"nothing_to_undo": True},
        )
    return found


def _read_all(note: Mapping[str, Any]) -> List[SwitchNote]:
    return [_read(entry) for entry in note["entries"]]


def _read(entry: Mapping[str, Any]) -> SwitchNote:
    original = base64.b64decode(entry["original"])
    links = tuple((str(path), str(target)) for path, target in entry["links"])
    switch = Switch(
        str(entry["form"]),
        str(entry["path"]),
        int(entry["line"]),
        digest_of(original) if entry["line"] else "",
        links,
        bool(entry["running"]),
    )
    return SwitchNote(switch, original, base64.b64decode(entry["whole"]))


def noted_switches(notes: Sequence[Tuple[str, Sequence[SwitchNote]]]) -> Tuple[NotedSwitch, ...]:
    found: List[NotedSwitch] = []
    for undo_id, entries in notes:
        for index, note in enumerate(entries):
            off, state = is_off(note.switch, note.original)
            found.append(NotedSwitch(undo_id, index, note.switch, off, state))
    return tuple(found)


# -- switching ----------------------------------------------------------------------------------------------------------


def turn_off(switch: Switch) -> None:
    """Switch one job off, if it is as it was looked at."""
    try:
        if switch.form == LINE:
            lines = _bytes_of(switch.path).split(b"\n")
            if len(lines) < switch.line or digest_of(lines[switch.line - 1]) != switch.digest:
                raise SkipAction("the line has changed since it was looked at")
            lines[switch.line - 1] = OFF_MARK + lines[switch.line - 1]
            write_atomic(switch.path, b"\n".join(lines))
        elif switch.form == SCRIPT:
            if os.path.lexists(switch.path + OFF_SUFFIX):
                raise SkipAction("%s exists" % (switch.path + OFF_SUFFIX))
            os.rename(switch.path, switch.path + OFF_SUFFIX)
            sync_directory(os.path.dirname(switch.path))
        else:
            for path, target in switch.links:
                if os.path.islink(path) and os.readlink(path) == target:
                    os.unlink(path)
                    sync_directory(os.path.dirname(path))
            systemd.call("systemctl", "daemon-reload")
            systemd.call("systemctl", "stop", os.path.basename(switch.path))
    except OSError as error:
        raise from_os_error("cannot switch the job off", error, target=switch.path) from error


def clear_partial(switch: Switch) -> None:
    """Remove what a killed call has left beside a crontab, where it is still there."""
    try:
        discard_partial(switch.path)
    except OSError as error:
        raise from_os_error("cannot remove what a killed run left", error, target=switch.path) from error


def turn_on(switch: Switch, original: bytes) -> None:
    """Switch one job on again, byte for byte as it was."""
    if not is_off(switch, original)[0]:
        raise SkipAction("it is not switched off any more as it was left")
    try:
        if switch.form == LINE:
            lines = _bytes_of(switch.path).split(b"\n")
            lines[lines.index(OFF_MARK + original)] = original
            write_atomic(switch.path, b"\n".join(lines))
        elif switch.form == SCRIPT:
            os.rename(switch.path + OFF_SUFFIX, switch.path)
            sync_directory(os.path.dirname(switch.path))
        else:
            for path, target in switch.links:
                if not os.path.lexists(path):
                    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
                    os.symlink(target, path)
                    sync_directory(os.path.dirname(path))
            systemd.call("systemctl", "daemon-reload")
            if switch.running:
                systemd.call("systemctl", "start", os.path.basename(switch.path))
    except OSError as error:
        raise from_os_error("cannot switch the job on again", error, target=switch.path) from error


def job_seen(where: str, about: str, unknown: bool, active: bool, source: str, line: int) -> ShopJob:
    """A job as it was found, with how it is switched."""
    if not active:
        return ShopJob(where, about, unknown, active)
    try:
        switch, problem = switch_of(source, line)
    except OSError as error:
        raise from_os_error("cannot look at a job of the shop", error, target=source) from error
    return ShopJob(where, about, unknown, active, switch, problem)
