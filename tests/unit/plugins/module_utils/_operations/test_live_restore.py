# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore says that could not be brought to its end: whoever opens the shop goes by it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.catalogue import Backup, VerificationRecord
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.live_restore_planning import (
    LiveObservation,
    LivePolicy,
    SettleRestore,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.leftovers import Leftover, RestoreLeft
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Action
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.nginx_layer import Nginx
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.archive import Batch
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.dump import DumpSource
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.swap import (
    COLLECTION,
    COMMITTED,
    SWAPPING,
    Journal,
    Side,
    Swap,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations import (
    closed_shop,
    live_files,
    live_restore,
    restore_recovery,
)

PARAMS = {"components": ["database"], "places": [], "docker_host": None, "docker_timeout": 1}
NOW = datetime(2026, 11, 24, 3, 0, tzinfo=timezone.utc)


@pytest.fixture
def task(tmp_path: Path) -> Any:
    """A restore that was cut off while it was swapping."""
    path = str(tmp_path / "restore-t.json")
    swaps = (Swap(0, "orders", Side(COLLECTION, "{}", "o"), Side(COLLECTION, "{}", "n")),)
    restore_recovery.write_journal(path, Journal("t", "shop", SWAPPING, swaps))
    notes = [Leftover("a", RestoreLeft(path, "db:1", "shop"))]
    found: Any = object.__new__(live_restore.LiveRestore)
    found.run = SimpleNamespace(leftovers=SimpleNamespace(found=lambda: notes, done=notes.clear))
    found._connected = object()
    found.params = PARAMS
    found._files = live_files.LiveFiles(PARAMS, str(tmp_path))
    found.journal = path
    return found


@pytest.mark.parametrize("foreseen", [True, False])
def test_a_database_that_could_not_be_put_in_order_is_told(
    task: Any, monkeypatch: pytest.MonkeyPatch, foreseen: bool
) -> None:
    def fail(*_arguments: Any) -> Any:
        raise MaintenanceError("no answer") if foreseen else RuntimeError("no answer")

    monkeypatch.setattr(restore_recovery, "list_live", fail)
    with pytest.raises(MaintenanceError, match="no answer") as earlier:
        task._settle(Action("settle_restore", "shop", "", SettleRestore("a")), None)
    first = MaintenanceError("it broke", details={"more": 1})
    error = task._put_back("a", task.journal, first)
    assert "could not be put in order yet (" in str(error)
    assert earlier.value.details["unsettled"] is error.details["unsettled"] is True
    assert error.details["more"] == 1
    assert task.run.leftovers.found()


def test_who_knows_better_is_told_how_a_restore_is_forgotten(task: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore_recovery, "list_live", lambda *_arguments: {})
    with pytest.raises(MaintenanceError, match="nowhere to be found") as raised:
        task._settle(Action("settle_restore", "shop", "", SettleRestore("a")), None)
    assert f"remove {task.journal}" in str(raised.value)
    assert Path(task.journal).exists()


@pytest.mark.parametrize(
    ("application", "nginx", "closed"),
    [
        (True, None, True),
        (False, None, False),
        (False, Nginx("/n", "", True), True),
        (False, Nginx("/n", "it does not run", True), False),
        (False, Nginx("/n", "", False), False),
    ],
)
def test_what_is_seen_of_the_live_side(
    task: Any, monkeypatch: pytest.MonkeyPatch, application: bool, nginx: Nginx | None, closed: bool
) -> None:
    """What an earlier restore has set aside is neither restored nor touched: a safety backup with it must be restorable."""
    kept = "miniecom_restore.t.kept.0"
    heads = {name: SimpleNamespace(type=COLLECTION, data_collection=name) for name in ("orders", kept)}
    sources = [DumpSource(name, COLLECTION, name, "{}") for name in ("orders", kept)]
    reader = SimpleNamespace(totals={}, prelude=SimpleNamespace(collections=()))
    found = SimpleNamespace(components={"uploads": 1, "other": 1}, manifest=None)
    contents = live_restore.Contents(found, reader)  # type: ignore[arg-type]
    task.params = {**PARAMS, "collections": []}
    task.policy = LivePolicy(1)
    task.run.state_dir = str(Path(task.journal).parent)
    task._connected = SimpleNamespace(client={"shop": None})
    task._read_through = lambda _backup: contents
    task._database_in = lambda *_arguments: "shop"
    task._refuse_damage = lambda *_arguments: None
    task._is_same = lambda *_arguments: False
    monkeypatch.setattr(live_restore, "list_sources", lambda *_arguments: sources)
    monkeypatch.setattr(closed_shop, "read_setting", lambda *_arguments: SimpleNamespace(enabled=application))
    monkeypatch.setattr(closed_shop, "observe_nginx", lambda *_arguments: nginx)
    monkeypatch.setattr(live_restore.staging, "heads_of", lambda *_arguments: heads)
    monkeypatch.setattr(live_restore.staging, "look_at_side", lambda *_arguments: Side(COLLECTION))
    monkeypatch.setattr(live_restore.staging, "other_clients", lambda *_arguments: [])
    monkeypatch.setattr(live_restore.staging, "free_for_data", lambda *_arguments: None)
    monkeypatch.setattr(live_restore.restore, "databases", lambda *_arguments: ["shop"])
    seen = task._look(LiveObservation("/b", None, "shop", "db:1", NOW), SimpleNamespace(path="/b")).seen
    assert seen.in_maintenance is closed
    assert [change.name for change in seen.changes] == ["orders"]
    assert seen.unasked == ("uploads",)
    assert len(seen.skipped) == 2
    assert all(kept in line for line in seen.skipped)


@pytest.mark.parametrize("trouble", ["", "written", "client", "unsafe"])
def test_the_journal_goes_ahead_of_the_swap_and_what_would_be_lost_ends_it(
    task: Any, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    path, done = task.journal, []
    Path(path).unlink()
    backup = Backup("b", "/b", NOW, 1, 1, 1)
    record = VerificationRecord(1, 1, "", "2026-11-24T02:30:00Z", "2026-11-24T02:31:00Z", "shop")
    safety = replace(backup, path="/safety", verification=record)
    reader = SimpleNamespace(totals={})

    def carry_out(*_arguments: Any) -> None:
        assert restore_recovery.load_journal(path).phase == SWAPPING
        done.append("swapped")

    answers: dict[str, Any] = {
        "prove": lambda _connection, _database, journal, _reader: (journal, []),
        "copy_timeseries": lambda _connection, journal: journal,
        "other_clients": lambda _connection: ["node from 10.0.0.2"] if trouble == "client" else None,
        "list_live": lambda *_arguments: {},
        "carry_out": carry_out,
        "new_set_stands": lambda *_arguments: [],
        "written_meanwhile": lambda *_arguments: ["orders"] if trouble == "written" else [],
    }
    for name, answer in answers.items():
        monkeypatch.setattr(live_restore.staging, name, answer)
    monkeypatch.setattr(live_restore, "open_backup", lambda *_arguments: nullcontext())
    monkeypatch.setattr(live_restore, "read_backup_or_dump", lambda *_arguments: SimpleNamespace(dump=reader))
    monkeypatch.setattr(live_restore, "look_at", lambda _path: None if trouble == "unsafe" else safety)
    task.params = {**PARAMS, "passphrase_file": None}
    task.policy = LivePolicy(1)
    task._connected = SimpleNamespace(address=SimpleNamespace(where="db:1"))
    seen = LiveObservation("/b", backup, "shop", "db:1", NOW, safety=safety)
    contents = SimpleNamespace(database="shop", reader=reader, parts={})

    def stage() -> None:
        task._stage_and_swap(path, Journal("t", "shop"), seen, contents, [])

    if not trouble:
        stage()
        assert restore_recovery.load_journal(path).phase == COMMITTED
        return
    with pytest.raises(MaintenanceError, match=r"would be lost|not any more what it was"):
        stage()
    if trouble == "written":
        assert restore_recovery.load_journal(path).phase == SWAPPING
    assert bool(done) is Path(path).exists() is (trouble == "written")


def test_settings_of_another_database_in_the_same_backup_are_not_the_shops(
    task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = [Batch(name, "settings", name.encode(), 1) for name in ("blog", "shop", "blog")]
    reader = SimpleNamespace(batches=lambda: iter(batches))
    monkeypatch.setattr(live_restore, "open_backup", lambda *_arguments: nullcontext())
    monkeypatch.setattr(live_restore, "ArchiveReader", lambda *_arguments: reader)
    monkeypatch.setattr(
        live_restore, "read_backup_or_dump", lambda _backup, stream, read, _sink: SimpleNamespace(dump=read(stream))
    )
    task.params = {"passphrase_file": None}
    contents = task._read_through(SimpleNamespace(name="b", path="/b"))
    assert contents.settings == {"blog": b"blogblog", "shop": b"shop"}
