# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clearing away what a module that was killed has left: processes and paths. Each is told by its note."""

from __future__ import annotations

import os
import shutil
import signal
import time
from typing import Any, List, Mapping

from . import processes
from .atomic_file import is_partial
from .errors import MaintenanceError
from .run_state import RunState


class NothingLeft(Exception):
    """The leftover is gone already."""


def clear_path(facts: Mapping[str, Any], state_dir: str) -> str:
    path = os.path.normpath(str(facts.get("path") or ""))
    # A note is our own, in a directory that only its owner may write to; still it shall never cost more than a work file.
    if (
        not os.path.isabs(path)
        or path.count("/") < 2
        or os.path.ismount(path)
        or state_dir.startswith(path + "/")
        or path == state_dir
    ):
        raise MaintenanceError(
            "this is no path that a run leaves behind", path, next_step="Look at it and remove the note."
        )
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    except FileNotFoundError:
        raise NothingLeft() from None
    except OSError as error:
        raise MaintenanceError("cannot remove it", path, error.strerror or error.errno) from error
    return "removed %s" % path


def _own_processes(facts: Mapping[str, Any]) -> List[processes.Process]:
    """The processes of a note: the one it names, and the server that works in the folder that was made for it."""
    folder = str(facts.get("directory") or "")
    found = []
    for process in processes.list_processes():
        named = process.pid == facts.get("pid") and process.start_time == facts.get("start_time")
        # A throwaway server; not the shell or the pager of somebody who looks into its folder.
        inside = (
            len(folder) > 2
            and process.name.startswith("mongo")
            and any(part == folder or part.startswith(folder + "/") for part in (process.cwd, *process.argv))
        )
        if (named or inside) and process.pid != os.getpid() and process.state not in ("Z", "X"):
            found.append(process)
    return found


def clear_process(facts: Mapping[str, Any], state_dir: str) -> str:
    found = _own_processes(facts)
    if not found:
        raise NothingLeft()
    for number, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
        waiting = [item for item in found if processes.is_running(item.pid, item.start_time)]
        for process in waiting:
            try:
                os.kill(process.pid, number)
            except ProcessLookupError:
                pass
            except OSError as error:
                raise MaintenanceError("cannot end it", "process %d" % process.pid, error.strerror) from error
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and any(processes.is_running(item.pid, item.start_time) for item in waiting):
            time.sleep(0.05)
    left = [item.pid for item in found if processes.is_running(item.pid, item.start_time)]
    if left:
        raise MaintenanceError("it does not end", "process %s" % ", ".join(str(pid) for pid in left))
    return "ended %s" % ", ".join("process %d (%s)" % (item.pid, item.name) for item in found)


def describe(note: Mapping[str, Any]) -> str:
    facts = note.get("facts") or {}
    told = facts.get("path") or facts.get("name") or facts.get("address") or facts.get("directory") or facts.get("pid")
    return "%s %s" % (str(note.get("kind")).replace("_", " "), told)


def sweep(state: RunState) -> None:
    """Remove half-written files of our own in the state directory; a write takes no hour."""
    for folder in (state.state_dir, state.runs_dir, state.leftovers_dir):
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for name in names:
            path = os.path.join(folder, name)
            try:
                if is_partial(name) and time.time() - os.lstat(path).st_mtime > 3600:
                    os.unlink(path)
            except OSError:
                continue
