# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies on the controller: nothing half-way has a name, and what a host says is not trusted."""

from __future__ import annotations

import hashlib
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.catalogue import (
    VerificationRecord,
    backup_name,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.offsite_copies import OffsiteNote, copy_of
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.retention import Policy
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import (
    InsufficientSpace,
    MaintenanceError,
)
from ansible_collections.miniecom.maintenance.plugins.plugin_utils import copy_store
from ansible_collections.miniecom.maintenance.plugins.plugin_utils.copy_store import CopyStore

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)
DATA = b"Salted__" + bytes(range(256)) * 40
SHA = hashlib.sha256(DATA).hexdigest()


def name_of(day: int = 0) -> str:
    return backup_name((NOW - timedelta(days=day)).astimezone(), True)


def note_of(day: int = 0, owner: str = "shop/1", data: bytes = DATA) -> str:
    started = (NOW - timedelta(days=day)).strftime("%Y-%m-%dT%H:%M:%SZ")
    record = VerificationRecord(len(data), 1, hashlib.sha256(data).hexdigest(), started, started, "miniecom")
    return OffsiteNote(copy_of(name_of(day), record, owner, started, "compared"), record).to_json().decode()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CopyStore:
    monkeypatch.setattr(copy_store, "CHUNK_BYTES", 1000)
    found = CopyStore(str(tmp_path / "root"), "shop/1")
    found.make(create=True)
    return found


class Host:
    """The archive on a host; `until` is where the connection is cut off, `asked` what was read."""

    def __init__(self, data: bytes = DATA, until: int = 10**9) -> None:
        self.data = data
        self.until = until
        self.asked: list[int] = []

    def read(self, offset: int, size: int) -> bytes:
        if offset >= self.until:
            raise MaintenanceError("the connection is gone")
        self.asked.append(offset)
        return self.data[offset : offset + size]


def receive(store: CopyStore, host: Host, day: int = 0) -> dict[str, object]:
    return store.receive(name_of(day), len(DATA), SHA, host.read)


def put(store: CopyStore, day: int) -> None:
    store.note(name_of(day), note_of(day), receive(store, Host(), day))


def files(store: CopyStore) -> set[str]:
    return set(os.listdir(store.directory))


def test_a_host_has_a_directory_of_its_own_whatever_its_name(store: CopyStore, tmp_path: Path) -> None:
    assert store.directory == str(tmp_path / "root" / "shop_1")
    assert os.stat(store.directory).st_mode & 0o777 == 0o700
    with pytest.raises(MaintenanceError, match="cannot make the directory"):
        CopyStore(str(tmp_path / "not-mounted"), "shop").make(create=False)


def test_what_was_cut_off_has_no_name_and_is_gone_on_with(store: CopyStore) -> None:
    with pytest.raises(MaintenanceError, match="connection is gone"):
        receive(store, Host(until=4000))
    assert files(store) == {f".{name_of()}.miniecom-partial"}
    assert store.listing().copies == [] and store.listing().unnoted == {}
    assert [leftover.archive for leftover in store.listing().leftovers] == [name_of()]
    host = Host()
    assert receive(store, host) == {"bytes": len(DATA), "sha256": SHA}
    assert host.asked[0] == 4000, "nothing is fetched twice"
    assert Path(store.directory, name_of()).read_bytes() == DATA and files(store) == {name_of()}


def test_what_came_damaged_is_removed_and_never_gets_a_name(store: CopyStore) -> None:
    with pytest.raises(MaintenanceError, match="another SHA-256"):
        receive(store, Host(DATA[:-1] + b"x"))
    assert files(store) == set()


def test_an_archive_that_shrinks_or_grows_under_way_is_told(store: CopyStore) -> None:
    with pytest.raises(MaintenanceError, match="the archive ended after"):
        receive(store, Host(DATA[:5000]))
    receive(store, Host(DATA + b"more"))
    assert Path(store.directory, name_of()).read_bytes() == DATA


def test_a_file_that_nobody_has_noted_is_not_overwritten(store: CopyStore) -> None:
    Path(store.directory, name_of()).write_bytes(b"somebody's")
    with pytest.raises(MaintenanceError, match="nobody has noted"):
        receive(store, Host())
    assert Path(store.directory, name_of()).read_bytes() == b"somebody's"
    assert store.look_at(name_of())["sha256"] != SHA


def test_a_damaged_copy_of_our_own_is_fetched_again(store: CopyStore) -> None:
    put(store, 0)
    Path(store.directory, name_of()).write_bytes(DATA[:100])
    assert [copy.name for copy, _trouble in store.listing().broken] == [name_of()]
    receive(store, Host())
    assert [copy.name for copy in store.listing().copies] == [name_of()]


def test_without_space_nothing_is_begun(store: CopyStore) -> None:
    with pytest.raises(InsufficientSpace, match="are free"):
        store.receive(name_of(), 10**18, SHA, Host().read)


@pytest.mark.parametrize("name", ["../" + name_of(), name_of() + "\n", "/etc/passwd", "..", "", "note.json"])
def test_a_name_that_no_backup_has_is_refused(store: CopyStore, name: str) -> None:
    for ordered in (
        lambda: store.receive(name, len(DATA), SHA, Host().read),
        lambda: store.note(name, note_of(), {"bytes": len(DATA), "sha256": SHA}),
        lambda: store.look_at(name),
        lambda: store.tidy([name]),
    ):
        with pytest.raises(MaintenanceError, match="no name of one"):
            ordered()
    assert store.remove([name], Policy(last=1), "", NOW) == [name]


@pytest.mark.parametrize(
    "text",
    [
        note_of(owner="another"),
        note_of(1),
        note_of(data=DATA + b"x"),
        "{}",
    ],
)
def test_a_note_that_is_not_of_what_lies_here_is_refused(store: CopyStore, text: str) -> None:
    received = receive(store, Host())
    with pytest.raises(MaintenanceError, match="not of the copy"):
        store.note(name_of(), text, received)
    with pytest.raises(MaintenanceError, match="not of the copy"):
        store.note(name_of(), note_of(), None)
    assert store.listing().copies == []


def test_a_host_can_have_nothing_removed_that_the_rules_keep(store: CopyStore) -> None:
    for day in range(4):
        put(store, day)
    everything = [name_of(day) for day in reversed(range(4))]
    assert store.remove(everything, Policy(), "", NOW) == everything, "without rules everything stays"
    assert store.remove(everything, Policy(last=2), "", NOW) == [name_of(1), name_of(0)]
    assert {copy.name for copy in store.listing().copies} == {name_of(0), name_of(1)}
    assert len(files(store)) == 4, "notes go with their copies"
    earlier = NOW - timedelta(hours=13)  # as on a controller far in the west
    assert store.remove([name_of(1)], Policy(last=1), "", earlier) == [], "the newest one counts there, too"
    put(store, 1)
    assert store.remove([name_of(1)], Policy(last=1), "another", NOW) == [name_of(1)], "nor what is of another shop"


def test_two_runs_do_not_fetch_at_once(store: CopyStore) -> None:
    with store.locked(), pytest.raises(MaintenanceError, match="in use"), CopyStore(store.root, store.owner).locked():
        pass
    with store.locked():
        pass


def test_of_which_host_a_copy_is_must_be_clear(store: CopyStore) -> None:
    put(store, 0)
    another = CopyStore(store.root, "shop-2")
    another.make(create=False)
    another.note(name_of(1), note_of(1, "shop-2"), receive(another, Host(), 1))
    everybodys = CopyStore(store.root)
    Path(store.root, "lost+found").mkdir()
    assert set(everybodys.stored()) == {"shop_1", "shop-2"}
    assert everybodys.path_of(name_of(1), "shop-2", SHA) == os.path.join(another.directory, name_of(1))
    with pytest.raises(MaintenanceError, match="not on the controller"):
        everybodys.path_of(name_of(1), "shop/1", SHA)
