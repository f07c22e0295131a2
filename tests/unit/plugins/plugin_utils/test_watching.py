# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A record is read on bit by bit by its host's own clock, and nothing that goes wrong there reaches the task."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action.normal import ActionModule as ModuleAction

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.clock import format_utc
from ansible_collections.miniecom.maintenance.plugins.plugin_utils import watching
from ansible_collections.miniecom.maintenance.plugins.plugin_utils.watching import (
    Reading,
    WatchedModule,
    note_path,
    pause_after,
    read_note,
    watched,
)

# A host whose clock is an hour behind.
THERE = datetime.now(timezone.utc) - timedelta(hours=1)
PLAN = [{"action": "archive", "target": f"shop.{name}"} for name in ("carts", "Bücher")]


def line(kind: str, ago: float = 0, **values: Any) -> str:
    event = {"event": kind, "at": format_utc(THERE - timedelta(seconds=ago)), **values}
    return json.dumps(event, ensure_ascii=False) + "\n"


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "notes"
    directory.mkdir()
    monkeypatch.setattr(watching, "notes_directory", lambda: str(directory))
    return directory


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_record_is_read_on_from_where_it_ended(tmp_path: Path, ending: str) -> None:
    record = tmp_path / "its record"
    reading = Reading(str(record))

    def told(added: str = "") -> str:
        with record.open("a", encoding="utf-8") as handle:
            handle.write(added)
        done = subprocess.run(["sh", "-c", reading.command], capture_output=True, text=True, check=True)
        moment, _newline, rest = done.stdout.partition("\n")
        assert abs(int(moment) - datetime.now(timezone.utc).timestamp()) < 60
        return reading.take(f"{int(THERE.timestamp())}\n{rest}".replace("\n", ending), 60)

    assert told() == ""
    assert told(line("planned", 300, plan=PLAN) + line("begin", 300, **PLAN[0])) == "", "before the task began"
    assert told(line("planned", 5, plan=PLAN) + line("begin", 5, **PLAN[1])[:30]) == ""
    assert told(line("begin", 5, **PLAN[1])[30:]) == "archive shop.Bücher, 1 of 2"
    assert told() == "archive shop.Bücher, 1 of 2"
    assert told("torn\n" + line("end", **PLAN[1], bytes=2048, status="done", seconds=1)) == ""
    assert told(line("begin", **PLAN[0])).startswith("archive shop.carts, 2 of 2, 2.0 KiB so far")


def test_it_is_looked_ever_less_often() -> None:
    assert [pause_after(seconds) for seconds in (0, 59, 60, 3600)] == [5.0, 5.0, 20.0, 60.0]


class Ssh:
    """A connection like Ansible's own."""

    def __init__(self) -> None:
        self._options = {"host": "shop"}
        self.become: Any = SimpleNamespace(prompt="")

    def set_become_plugin(self, plugin: Any) -> None:
        self.become = plugin


Ssh.__module__ = watching.SSH


class Action:
    """Answers what a test says, and tells what it was asked with."""

    def __init__(self, answer: Any = "", *, check: bool = False, connection: Any = None, **arguments: Any) -> None:
        self._task = SimpleNamespace(
            args={"run_id": "run-1", **arguments}, check_mode=check, async_val=0, _uuid="task-1"
        )
        self._connection = connection or Ssh()
        self.answer = answer
        self.asked: list[Any] = []
        self.looked = threading.Event()

    def _low_level_execute_command(self, command: str) -> dict[str, Any]:
        self.asked.append((self._connection, self._connection.become, command))
        if len(self.asked) >= 2:
            self.looked.set()
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"stdout": self.answer}


def watch(action: Action, wait: bool = True) -> str:
    """The note that there is when the task ends."""
    with watched(action, {"inventory_hostname": "shop"}):
        if wait:
            assert action.looked.wait(30)
    return read_note("task-1", "shop")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "pause_after", lambda _seconds: 0.001)


@pytest.mark.usefixtures("notes", "at_once")
def test_it_looks_with_a_connection_of_its_own_and_leaves_a_note() -> None:
    now = datetime.now(timezone.utc)
    events: list[dict[str, Any]] = [{"event": "planned", "plan": PLAN}, {"event": "begin", **PLAN[0]}]
    lines = [json.dumps({**event, "at": format_utc(now)}) + "\n" for event in events]
    action = Action("%d\n%s" % (now.timestamp(), "".join(lines)), state_dir="/its state")
    assert watch(action) == "archive shop.carts, 1 of 2"
    for connection, become, command in action.asked:
        assert connection is not action._connection and become is not action._connection.become
        assert connection._options is not action._connection._options
        assert "'/its state/runs/run-1.jsonl'" in command
    assert read_note("task-1", "other") == read_note("task-2", "shop") == ""


@pytest.mark.usefixtures("notes", "at_once")
@pytest.mark.parametrize("answer", [RuntimeError("unreachable"), "", "sh: date: not found\n"])
def test_what_goes_wrong_there_is_given_up_and_nobody_hears_of_it(answer: Any) -> None:
    action = Action(answer)
    before = set(threading.enumerate())
    with watched(action, {"inventory_hostname": "shop"}):
        # It may have given up already.
        for thread in set(threading.enumerate()) - before:
            thread.join(30)
            assert not thread.is_alive()
    assert len(action.asked) == watching.FAILURES and read_note("task-1", "shop") == ""


@pytest.mark.parametrize(
    "action",
    [
        Action(check=True),
        Action(run_id=None),
        Action(run_id=7),
        Action(connection=SimpleNamespace(become=None)),
        SimpleNamespace(),
    ],
    ids=["check mode", "no run", "a run that makes no sense", "another connection", "another Ansible"],
)
@pytest.mark.usefixtures("notes")
def test_elsewhere_nothing_is_looked_at(action: Any) -> None:
    before = threading.active_count()
    with watched(action, {"inventory_hostname": "shop"}):
        assert threading.active_count() == before


def test_without_a_callback_that_asks_for_notes_nothing_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "notes_directory", lambda: str(tmp_path / "none"))
    before = threading.active_count()
    with watched(Action(), {"inventory_hostname": "shop"}):
        assert threading.active_count() == before


def test_an_old_note_says_nothing(notes: Path) -> None:
    path = Path(note_path("task-1", "shop"))
    path.write_text("archive shop.carts, 1 of 2")
    assert read_note("task-1", "shop")
    moment = path.stat().st_mtime - watching.OLDEST - 5
    os.utime(path, (moment, moment))
    assert read_note("task-1", "shop") == ""
    assert path.parent == notes


@pytest.mark.parametrize(
    "name",
    "backup_offsite compose_update docker_prune mongo_backup mongo_compact mongo_orphans mongo_reindex mongo_restore npm_audit "
    "perm_audit recovery_drill secret_scan".split(),
)
def test_modules_that_work_long_are_watched(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = importlib.import_module(f"ansible_collections.miniecom.maintenance.plugins.action.{name}").ActionModule
    assert issubclass(plugin, WatchedModule)
    seen: list[bool] = []

    @contextmanager
    def noted(action: Any, variables: Any) -> Iterator[None]:
        seen.append(True)
        yield
        seen.append(False)

    monkeypatch.setattr(watching, "watched", noted)
    monkeypatch.setattr(ModuleAction, "run", lambda self, tmp=None, task_vars=None: {"called": seen == [True]})
    action = plugin.__new__(plugin)
    assert WatchedModule.run(action, None, {}) == {"called": True} and seen == [True, False]
