# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore of database and files that is killed, and killed again while it is put in order: each step has its place.

Killed once, many an order of the steps ends well: whoever puts it in order lives. So the one who does is killed as well,
before each change that it makes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.catalogue import Backup
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.live_restore_planning import (
    LiveObservation,
    LivePolicy,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.tarball import read_backup
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.atomic_file import is_partial
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.leftovers import RestoreLeft
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.swap import (
    COLLECTION,
    COMMITTED,
    PREFIX,
    STAGING,
    SWAPPING,
    UNDONE,
    Drop,
    Journal,
    Listed,
    Rename,
    Side,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations import live_restore, restore_recovery
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.restore_recovery import (
    refuse_half_way,
    write_journal,
)
from tests.unit.plugins.module_utils._backup.test_unpacking import UPLOADS, Entry, archive
from tests.unit.plugins.module_utils._operations.test_live_files import contents, on_host
from tests.unit.plugins.module_utils._operations.test_live_restore import NOW

PARTS: list[Any] = [
    UPLOADS,
    ("uploads/a.jpg", b"0", "a then"),
    ("uploads/new.jpg", b"0", "new then"),
    (".env", b"0", "A=then"),
    ("docker-compose.yml", b"0", "then"),
]
OLD = {"uploads/a.jpg": "a now", "uploads/later": "later", ".env": "A=now", "c.yml": "now"}
NEW = {"uploads/a.jpg": "a then", "uploads/new.jpg": "new then", "uploads/later": "later", ".env": "A=then"}
NEW |= {"c.yml": "then"}
CHANGES = ("rename", "link", "unlink", "rmdir", "mkdir")


class Killed(BaseException):
    """What nothing but the test catches."""


@contextmanager
def killed_before(number: int) -> Iterator[Callable[[], bool]]:
    """The change of this number, the first one being 0, is not made, nor any after it: the process is dead.

    Yields:
        Whether it came to that.
    """
    done, dead = [0], [False]

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def change(*arguments: Any, **options: Any) -> Any:
            if dead[0] or done[0] == number:
                dead[0] = True
                raise Killed
            done[0] += 1
            return original(*arguments, **options)

        return change

    with pytest.MonkeyPatch.context() as patch:
        for name in CHANGES:
            patch.setattr(os, name, counted(getattr(os, name)))
        patch.setattr(os, "fsync", lambda _descriptor: None)  # no power fails here, and disks are slow
        try:
            yield lambda: dead[0]
        except Killed:
            pass


class Database:
    """Collections as files of a directory: the UUID, and what it holds."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        self.put("orders", "old", "now")

    def put(self, name: str, uuid: str, text: str) -> None:
        (self.directory / name).write_text(json.dumps([uuid, text]))

    def get(self, name: str) -> list[str]:
        found: list[str] = json.loads((self.directory / name).read_text())
        return found

    def names(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())

    # What the restore asks of the server.

    def listing(self, *_arguments: Any) -> dict[str, Listed]:
        return {name: Listed(COLLECTION, self.get(name)[0]) for name in self.names()}

    def read(self, _connection: Any, _database: str, name: str) -> Any:
        return SimpleNamespace(documents=1, sha256=self.get(name)[1])

    def carry_out(self, _connection: Any, _database: str, steps: list[Any]) -> None:
        for step in steps:
            if isinstance(step, Rename):
                assert not (self.directory / step.target).exists()
                os.rename(self.directory / step.source, self.directory / step.target)
            else:
                assert isinstance(step, Drop)
                os.unlink(self.directory / step.name)

    def prove(self, _connection: Any, _database: str, journal: Journal, _reader: Any) -> tuple[Journal, list[str]]:
        (entry,) = journal.swaps
        self.put(journal.beside(entry, "new"), "new", "then")
        return replace(journal, swaps=(replace(entry, new=Side(COLLECTION, "{}", "new", 1, "then")),)), []


class Shop:
    """A shop that is restored, with a database and files of three kinds."""

    def __init__(self, directory: Path, patch: pytest.MonkeyPatch, entries: list[Entry]) -> None:
        directory.mkdir()
        self.live, self.state = directory / "live", directory / "state"
        for name, text in OLD.items():
            (self.live / name).parent.mkdir(parents=True, exist_ok=True)
            (self.live / name).write_text(text)
        self.state.mkdir()
        self.database = database = Database(directory / "database")
        self.connection: Any = SimpleNamespace(address=SimpleNamespace(where="db:1"))
        task: Any = object.__new__(live_restore.LiveRestore)
        self.task = task
        task.params = {
            **on_host(self.live),
            "passphrase_file": None,
            "env_file": None,
            "env_from": [],
            "tls_files": {},
        }
        task.params["components"] = ["database", "uploads", "config"]
        task.policy, task._connected = LivePolicy(1), self.connection
        leftovers = SimpleNamespace(register=lambda _left: "note", done=lambda _note: None)
        task.run = SimpleNamespace(state_dir=str(self.state), leftovers=leftovers)
        task._files = live_restore.LiveFiles(task.params, str(self.state))
        listing = task._files.listing()
        read_backup(archive(*entries), "b", lambda _stream: None, listing)
        backup = Backup("b", "/b", NOW, 1, 1, 1)
        files = task._files.compare(listing.parts)
        reader = SimpleNamespace(totals={})
        known: Any = SimpleNamespace(database="shop", reader=reader, parts=listing.parts)
        seen = LiveObservation("/b", backup, "shop", "db:1", NOW, files=files)
        self.looked = live_restore.Looked(seen, known, {"orders": Side(COLLECTION, "{}", "old", 1, "now")})

        def unpack(_backup: Any, _stream: Any, _read: Any, sink: Any) -> Any:
            read_backup(archive(*entries), "b", lambda _stream: None, sink)
            return SimpleNamespace(dump=reader)

        answers: dict[str, Any] = {
            "heads_of": lambda *_arguments: {"orders": SimpleNamespace(type=COLLECTION)},
            "prove": database.prove,
            "copy_timeseries": lambda _connection, journal: journal,
            "other_clients": lambda _connection: [],
            "list_live": database.listing,
            "carry_out": database.carry_out,
            "new_set_stands": lambda *_arguments: [],
            "written_meanwhile": lambda *_arguments: [],
        }
        for name, answer in answers.items():
            patch.setattr(live_restore.staging, name, answer)
        patch.setattr(restore_recovery, "list_live", database.listing)
        patch.setattr(restore_recovery, "carry_out", database.carry_out)
        patch.setattr(restore_recovery, "read_collection", database.read)
        patch.setattr(live_restore, "open_backup", lambda *_arguments: nullcontext())
        patch.setattr(live_restore, "read_backup_or_dump", unpack)
        patch.setattr(live_restore, "look_at_source", lambda _path: backup)

    def restore(self) -> None:
        action = SimpleNamespace(work=SimpleNamespace(collections=("orders",)))
        self.task._restore(action, self.looked)

    @property
    def journal(self) -> Path | None:
        return next(self.state.glob("restore-????????.json"), None)

    @property
    def phase(self) -> str:
        """What the journal says; "" where there is none."""
        return restore_recovery.load_journal(str(self.journal)).phase if self.journal is not None else ""

    def settle(self) -> None:
        """As the next call does it, or the next run."""
        if self.journal is not None:
            path = str(self.journal)
            restore_recovery.settle_restore(self.connection, path, restore_recovery.load_journal(path))

    def files(self) -> dict[str, str]:
        return {name: text for name, text in contents(self.live).items() if ".miniecom" not in name}

    def require_order(self) -> None:
        """What holds at any moment, whoever was killed."""
        files = self.files()
        phase = self.phase
        if files[".env"] == "A=then":
            assert phase in (COMMITTED, ""), "the server is still reached with what the old file says"
            assert files["c.yml"] == "then", "the environment file comes last"
        everything = {*contents(self.live).values(), *(self.database.get(name)[1] for name in self.database.names())}
        if phase not in (COMMITTED, ""):
            assert {"a now", "A=now", "now"} <= everything, "nothing old is lost before the new set counts"
        if phase == UNDONE:
            assert files == OLD and self.database.get("orders") == ["old", "now"]

    def require_end(self, kept: bool = False) -> bool:
        """Database and files are of one time, and nothing is left beside; gives whether it is the backup's."""
        restored = self.database.get("orders")[0] == "new"
        assert self.files() == (NEW if restored else OLD)
        names = [name for name in self.database.names() if name.startswith(PREFIX)]
        assert len(names) == kept
        assert not [path for path in self.live.rglob(".miniecom*") if path.name != "kept"]
        # Half a journal of what had not begun is removed with all such files, an hour later.
        assert [path for path in self.state.iterdir() if not is_partial(str(path))] == []
        return restored


def test_killed_twice_it_is_the_old_shop_or_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before any change, and again before any change of putting it in order."""
    ends, number, lived = set(), 0, False
    while not lived:
        again, put_in_order = 0, False
        while not put_in_order:
            shop = Shop(tmp_path / f"{number}-{again}", monkeypatch, PARTS)
            with killed_before(number) as was_killed:
                shop.restore()
            lived = not was_killed()
            untouched = shop.phase in (STAGING, "")
            shop.require_order()
            with killed_before(again) as was_killed:
                shop.settle()
            put_in_order = not was_killed()
            shop.require_order()
            shop.settle()
            ends.add(shop.require_end())
            again += 5 if untouched else 1
        number += 1
    assert number > 40
    assert ends == {True, False}


def test_what_was_written_too_early_outlives_who_puts_it_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shop was opened on a half restored database: its new order is kept, however often the one who tidies is killed."""
    number, tried = 0, 0
    while True:
        again, put_in_order = 0, False
        while not put_in_order:
            shop = Shop(tmp_path / f"{number}-{again}", monkeypatch, PARTS)
            with killed_before(number) as was_killed:
                shop.restore()
            if not was_killed():
                assert tried > 10
                return
            if shop.phase != SWAPPING:
                break
            if "orders" not in shop.database.names() or shop.database.get("orders")[0] != "new":
                break
            tried += 1
            shop.database.put("orders", "new", "precious")
            with killed_before(again) as was_killed:
                shop.settle()
            put_in_order = not was_killed()
            shop.settle()
            assert shop.require_end(kept=True) is False
            assert "precious" in [shop.database.get(name)[1] for name in shop.database.names()]
            again += 1
        number += 1


@pytest.mark.parametrize("phase", [STAGING, SWAPPING, COMMITTED, UNDONE])
def test_no_backup_is_made_of_a_database_that_is_half_way(phase: str, tmp_path: Path) -> None:
    path = tmp_path / "restore-x"
    write_journal(str(path), Journal("x", "shop", phase))

    def refuse(journal: Path = path, address: str = "127.0.0.1:27017", database: str = "shop") -> None:
        note = SimpleNamespace(left=RestoreLeft(str(journal), "127.0.0.1:27017", "shop"))
        refuse_half_way([note], address, database)  # type: ignore[list-item]

    with pytest.raises(MaintenanceError, match="half way") if phase == SWAPPING else nullcontext():
        refuse()
    refuse(database="another")
    refuse(address="elsewhere:27017")
    refuse(journal=tmp_path / "never begun")
