# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far a module has come on a host that is reached over ssh, read there while it works. Controller side.

The process that carries out a task reads the run's record over a connection of its own, in a thread, and leaves what it says in a note that the
callback shows. The task does not wait for it, and does not fail with it. Where no callback asks for notes nothing is read.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shlex
import threading
import time
from contextlib import contextmanager
from contextvars import copy_context
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from ansible import constants
from ansible.plugins.action.normal import ActionModule as ModuleAction

from ..module_utils._core.arguments import DEFAULT_STATE_DIR
from ..module_utils._core.state_dir import StateDirectory
from .progress import progress_of, told

# Seconds between two looks, by how long the task runs already. A task is over before the first one, mostly.
PAUSES = ((60, 5.0), (600, 20.0))
LATER = 60.0
# A note that is older than this many seconds says nothing any more.
OLDEST = 150.0
# Bytes of the record that are read at once, and looks in a row that may fail.
MOST_BYTES = 1_000_000
FAILURES = 3
# Whose instances hold nothing open between two commands, so that a copy is a connection of its own.
SSH = "ansible.plugins.connection.ssh"


def notes_directory() -> str:
    """Where notes are left, in Ansible's own temporary directory; the callback that reads them makes it."""
    return os.path.join(constants.DEFAULT_LOCAL_TMP, "miniecom-progress")


def note_path(task: str, host: str) -> str:
    """Of a task, by its id, on a host."""
    return os.path.join(notes_directory(), hashlib.sha256(("%s %s" % (task, host)).encode("utf-8")).hexdigest())


def read_note(task: str, host: str) -> str:
    """How far a task has come on a host; "" while nothing is known."""
    path = note_path(task, host)
    try:
        if time.time() - os.stat(path).st_mtime > OLDEST:
            return ""
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read()
    except OSError:
        return ""


def pause_after(seconds: float) -> float:
    """Seconds until the next look at a task that runs for so many. Pure."""
    return next((pause for until, pause in PAUSES if seconds < until), LATER)


class Reading:
    """What was read of a run's record so far.

    Args:
        path: of the record, on its host.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._offset = 0
        self._events: List[Mapping[str, Any]] = []

    @property
    def command(self) -> str:
        """Prints the host's time, and below it what the record has had added since the last answer."""
        return "date +%%s; tail -c +%d %s 2>/dev/null | head -c %d" % (
            self._offset + 1,
            shlex.quote(self._path),
            MOST_BYTES,
        )

    def take(self, answer: str, seconds: float) -> str:
        """How far the module is, for a person; "" where it says nothing.

        Args:
            answer: what the command has printed.
            seconds: since the task began. Moments of the record are by the host's own clock.

        Raises:
            ValueError: that is no such answer.
        """
        # A terminal, which become may need, ends its lines in another way.
        moment, _newline, added = answer.replace("\r\n", "\n").partition("\n")
        now = datetime.fromtimestamp(int(moment), timezone.utc)
        whole = added[: added.rfind("\n") + 1]
        self._offset += len(whole.encode("utf-8", "surrogateescape"))
        for line in whole.splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                self._events.append(event)
        found = progress_of(self._events, now, now - timedelta(seconds=seconds))
        return told(found) if found else ""


def _record_of(action: Any) -> str:
    """Where the record of the run lies that a task belongs to; "" where it has none that grows."""
    arguments = action._task.args
    run_id, state_dir = arguments.get("run_id"), arguments.get("state_dir") or DEFAULT_STATE_DIR
    if (
        action._task.check_mode
        or action._task.async_val
        or not isinstance(run_id, str)
        or not isinstance(state_dir, str)
    ):
        return ""
    return StateDirectory(state_dir).events_path(run_id) if run_id else ""


def _beside(action: Any) -> Optional[Any]:
    """The same action with a connection, and a become plugin, of its own; None where its kind of connection is not known."""
    connection = action._connection
    if type(connection).__module__ != SSH:
        return None
    own = copy.copy(connection)
    own._options = dict(connection._options)
    if connection.become is not None:
        own.set_become_plugin(copy.copy(connection.become))
    other = copy.copy(action)
    other._connection = own
    return other


def _look(action: Any, record: str, note: str, over: threading.Event) -> None:
    """Leave notes until the task is over."""
    reading, begun, failures = Reading(record), time.monotonic(), 0
    while failures < FAILURES and not over.wait(pause_after(time.monotonic() - begun)):
        try:
            answer = action._low_level_execute_command(reading.command)
            text = reading.take(str(answer["stdout"]), time.monotonic() - begun)
            if over.is_set():
                return
            with open(note + ".new", "w", encoding="utf-8", errors="replace") as handle:
                handle.write(text)
            os.replace(note + ".new", note)
            failures = 0
        except Exception:  # nothing that goes wrong here concerns the task
            failures += 1


class WatchedModule(ModuleAction):
    """The action plugin of a module that may work long: the module is called as ever, and watched while it works."""

    def run(self, tmp: Any = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        with watched(self, task_vars):
            result: Dict[str, Any] = super().run(tmp, task_vars)
        return result


@contextmanager
def watched(action: Any, variables: Optional[Mapping[str, Any]]) -> Iterator[None]:
    """While an action carries out its task, leave notes of how far it has come.

    Args:
        action: an action plugin.
        variables: of its task.
    """
    prepared = _prepared(action, variables or {})
    if prepared is None:
        yield
        return
    other, record, note = prepared
    over = threading.Event()
    # What Ansible knows of the present task it keeps by context.
    context = copy_context()
    thread = threading.Thread(target=context.run, args=(_look, other, record, note, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


def _prepared(action: Any, variables: Mapping[str, Any]) -> Optional[Tuple[Any, str, str]]:
    """What looks, at which record, and the note it leaves; None where nothing can or need be told."""
    try:
        record = _record_of(action)
        if not record or not os.path.isdir(notes_directory()):
            return None
        other = _beside(action)
        host = str(variables.get("inventory_hostname") or "")
        return (other, record, note_path(str(action._task._uuid), host)) if other is not None else None
    except Exception:  # an Ansible that is made in another way
        return None
