# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clearing away costs what a killed run has left, and nothing else. No path here would hurt if it were cleared away."""

from __future__ import annotations

import os
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core import processes
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.lease import boot_id
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.leftovers import (
    Leftover,
    LockLeft,
    PathLeft,
    ProcessId,
    ProcessLeft,
    RestoreLeft,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.processes import Process, read_process
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.run_context import RunContext
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.state_dir import StateDirectory, sweep
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations import leftovers
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.leftovers import (
    NothingLeft,
    clear,
    clear_all,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.restore_recovery import SettledRestore

NO_PATH = "no path that a run leaves behind"


def clear_path(path: str, state_dir: str = "/nonexistent-state-of-the-tests/state") -> str:
    return clear(Leftover("id", PathLeft(path)), state_dir, 1)


def test_work_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "work" / "db").mkdir(parents=True)
    (tmp_path / "half").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    for name in ("work", "half", "link"):
        assert clear_path(str(tmp_path / name)) == f"removed {tmp_path / name}"
    assert os.listdir(tmp_path) == ["elsewhere"], "what a link leads to is not cleared away"
    with pytest.raises(NothingLeft):
        clear_path(str(tmp_path / "work"))


@pytest.mark.parametrize(
    "path", ["", "nonexistent-of-the-tests/a/b", "/nonexistent-of-the-tests", "/a/../x-of-the-tests"]
)
def test_a_path_that_no_run_makes_is_refused(path: str) -> None:
    with pytest.raises(MaintenanceError, match=NO_PATH):
        clear_path(path)


def test_the_state_and_what_holds_it_are_no_leftovers(tmp_path: Path) -> None:
    state = tmp_path / "lib" / "state"
    (state / "work").mkdir(parents=True)
    for path in (state, state.parent, f"{state}/../state"):
        with pytest.raises(MaintenanceError, match=NO_PATH):
            clear_path(str(path), str(state))
    clear_path(str(state / "work"), str(state))
    assert state.exists() and not (state / "work").exists()


def test_what_is_mounted_is_no_leftover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "disk").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: path == str(tmp_path / "disk"))
    with pytest.raises(MaintenanceError, match=NO_PATH):
        clear_path(str(tmp_path / "disk"))
    assert (tmp_path / "disk").exists()


# -- processes; none of them is real, and none is ended ---------------------------------------------------------------

SERVER = Process(50, "/usr/bin/mongod", ("mongod", "--dbpath", "/w/restore/db"), "/", 77, "root")


def own(monkeypatch: pytest.MonkeyPatch, left: ProcessLeft, *there: Process) -> list[int]:
    monkeypatch.setattr(processes, "list_processes", lambda: list(there))
    return [process.pid for process in leftovers._own_processes(left)]


def test_a_server_is_told_by_its_directory_and_whoever_looks_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    left = ProcessLeft("/w/restore")
    shell = replace(SERVER, pid=51, exe="/bin/bash", argv=("bash",), cwd="/w/restore")
    pager = replace(SERVER, pid=52, exe="/usr/bin/less", argv=("less", "/w/restore/mongod.log"))
    other = replace(SERVER, pid=53, argv=("mongod", "--dbpath", "/w/restore2/db"))
    dead = replace(SERVER, pid=54, state="Z")
    assert own(monkeypatch, left, SERVER, shell, pager, other, dead) == [50]
    assert own(monkeypatch, ProcessLeft(), SERVER) == []


def test_a_process_is_told_by_when_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    job = replace(SERVER, argv=("mongod",))
    assert own(monkeypatch, ProcessLeft(pid=50, start_time=77), job) == [50]
    assert own(monkeypatch, ProcessLeft(pid=50, start_time=76), job) == [], "its number was used again"


@pytest.mark.parametrize("left", [ProcessLeft("/w/restore"), LockLeft("127.0.0.1:27017")])
def test_nothing_outlives_a_boot(monkeypatch: pytest.MonkeyPatch, left: ProcessLeft | LockLeft) -> None:
    tried: list[object] = []

    def cleared(*arguments: object) -> str:
        tried.append(arguments)
        return "cleared"

    monkeypatch.setitem(leftovers._CLEAR, type(left), cleared)
    with pytest.raises(NothingLeft):
        clear(Leftover("id", left, boot="another"), "/state", 1)
    assert tried == []
    assert clear(Leftover("id", left, boot=boot_id()), "/state", 1) == "cleared"


def test_how_a_server_is_reached_is_read_back_from_the_note(tmp_path: Path) -> None:
    """Whoever releases the lock of a killed dump needs the same files to connect."""
    left = LockLeft("db:27017", "/srv/.env", "container:api", "", ProcessId(1, 2), tls_files={"/certs/ca": "/srv/ca"})
    notes = RunContext(None, str(tmp_path)).leftovers
    for written in (left, LockLeft("db:27017")):
        note = notes.register(written)
        assert [found.left for found in notes.found()] == [written]
        notes.done(note)


def test_what_a_module_still_works_on_is_not_abandoned(tmp_path: Path) -> None:
    notes = RunContext(None, str(tmp_path)).leftovers
    notes.register(PathLeft("/w/half"))
    assert notes.found() and notes.abandoned() == []
    mine = read_process(os.getpid())
    assert mine is not None
    note = notes.found()[0]
    assert note.process == ProcessId(mine.pid, mine.start_time)
    for gone in (
        replace(note, process=replace(note.process, start_time=mine.start_time + 1)),
        replace(note, process=ProcessId()),
        replace(note, boot="another"),
    ):
        assert gone.is_abandoned(boot_id())


def test_only_half_written_files_of_ours_are_swept_away_and_only_old_ones(tmp_path: Path) -> None:
    state = StateDirectory(str(tmp_path))
    state.prepare()
    names = {".lease.json.miniecom-partial": 2.0, ".new.json.miniecom-partial": 0.5, "lease.json": 2.0, ".x": 2.0}
    for name, hours in names.items():
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (time.time() - hours * 3600,) * 2)
    sweep(state)
    left = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert left == {".new.json.miniecom-partial", "lease.json", ".x"}


@pytest.mark.parametrize("kept", [[], ["miniecom_restore.t.kept.0"]])
def test_what_an_undone_restore_has_kept_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: list[str]
) -> None:
    context = RunContext("run", str(tmp_path), False)
    context.leftovers.register(RestoreLeft("/j", "db:1", "shop", "/env"))
    notes = context.leftovers.found()
    monkeypatch.setattr(context.leftovers, "abandoned", lambda: notes)
    monkeypatch.setattr(context, "append", lambda event: None)
    monkeypatch.setattr(leftovers, "load_journal", lambda path: None)
    monkeypatch.setattr(leftovers, "connect", lambda place: nullcontext())
    monkeypatch.setattr(leftovers, "settle_restore", lambda *_arguments: SettledRestore(False, kept))
    cleared = clear_all(context, 1)
    assert [kept[0] in text for text in cleared.warnings] == [True] * len(kept)
    assert "was undone" in cleared.done[0]
    assert not context.leftovers.found()
