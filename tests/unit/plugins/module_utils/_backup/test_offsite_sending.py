# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What happens at the place between planning and sending, at a place of memory that another host shares."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Callable

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.catalogue import (
    VerificationRecord,
    look_at,
    write_sidecar,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.offsite import BackupOffsite
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.offsite_copies import (
    OffsiteListing,
    OffsiteNote,
    copy_of,
    listing_of,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.offsite_place import (
    PlaceOptions,
    SecondPlace,
    sha256_of,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.offsite_planning import (
    CopyBackup,
    OffsiteObservation,
    OffsitePolicy,
    OffsiteWork,
    RemoveCopy,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import (
    AbortPlan,
    MaintenanceError,
    SkipAction,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Action
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.run_context import RunContext

NAME = "20261124_020000.tar.gz.enc"
AT = "2026-11-24T02:00:00Z"


class SharedPlace(SecondPlace):
    """Files in memory. `meanwhile` is called where another host may act: while something is sent."""

    def __init__(self, directory: Path, settles: bool) -> None:
        super().__init__(PlaceOptions("vault:/srv", "me", lambda: str(directory)))
        self.state_dir = str(directory / "state")
        self.settles = settles
        self.files: dict[str, bytes] = {}
        self.notes: dict[str, OffsiteNote] = {}
        self.meanwhile: Callable[[], None] = lambda: None

    def list(self) -> OffsiteListing:
        named = {name: len(data) for name, data in self.files.items() if not name.endswith("~")}
        return listing_of(named, self.notes)

    def send(self, path: str, name: str) -> None:
        self.files[name + "~" if self.settles else name] = Path(path).read_bytes()
        self.meanwhile()

    def check(self, path: str, name: str, sha256: str) -> str:
        if self.files[name + "~" if self.settles else name] != Path(path).read_bytes():
            raise self.differs(name, "in a test")
        return "compared"

    def settle(self, name: str) -> None:
        if self.settles:
            self.files[name] = self.files.pop(name + "~")

    def discard(self, name: str) -> None:
        del self.files[name + "~" if self.settles else name]

    def write_note(self, note: OffsiteNote) -> None:
        self.notes[note.copy.name] = note

    def of_another(self, data: bytes = b"another host's") -> None:
        record = VerificationRecord(len(data), 1, "other", AT, AT, "miniecom")
        self.files[NAME] = data
        self.notes[NAME] = OffsiteNote(copy_of(NAME, record, "you", AT, "compared"), record)


def sending(place: SharedPlace) -> BackupOffsite:
    task = object.__new__(BackupOffsite)
    task.run, task.fetching = RunContext(None, place.state_dir), False
    task.place, task.policy, task.target = place, OffsitePolicy(owner="me"), "vault:/srv"
    return task


@pytest.fixture
def action(tmp_path: Path) -> Action[CopyBackup]:
    path = tmp_path / NAME
    path.write_bytes(b"the backup of this host")
    status = path.stat()
    sha256 = sha256_of(str(path))
    record = VerificationRecord(status.st_size, status.st_mtime_ns, sha256, AT, AT, "miniecom")
    write_sidecar(str(path), record)
    backup = look_at(str(path))
    assert backup is not None and backup.verified
    return Action("copy_backup", str(path), "", CopyBackup(backup.id, sha256), status.st_size)


def observation() -> OffsiteObservation:
    return OffsiteObservation(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("settles", [False, True])
def test_what_another_host_has_put_there_since_planning_is_not_overwritten(
    tmp_path: Path, action: Action[CopyBackup], settles: bool
) -> None:
    place = SharedPlace(tmp_path, settles)
    place.of_another()
    with pytest.raises(MaintenanceError, match="since planning"):
        sending(place)._copy(action, observation())
    assert place.files == {NAME: b"another host's"} and place.notes[NAME].copy.owner == "you"


@pytest.mark.parametrize("settles", [False, True])
def test_nor_what_it_puts_there_during_the_transfer(tmp_path: Path, action: Action[CopyBackup], settles: bool) -> None:
    place = SharedPlace(tmp_path, settles)
    place.meanwhile = place.of_another
    with pytest.raises(MaintenanceError):
        sending(place)._copy(action, observation())
    assert place.files[NAME] == b"another host's" and place.notes[NAME].copy.owner == "you"


@pytest.mark.parametrize("settles", [False, True])
def test_what_was_damaged_on_the_way_is_removed_and_never_counts(
    tmp_path: Path, action: Action[CopyBackup], settles: bool
) -> None:
    place = SharedPlace(tmp_path, settles)
    name = NAME + "~" if settles else NAME

    def damage() -> None:
        place.files[name] = place.files[name][:-1] + b"?"

    place.meanwhile = damage
    with pytest.raises(MaintenanceError, match="not what was sent"):
        sending(place)._copy(action, observation())
    assert not place.files and not place.notes


def test_a_copy_goes_only_after_what_was_counted_on_is_there(tmp_path: Path, action: Action[CopyBackup]) -> None:
    place = SharedPlace(tmp_path, False)
    task = sending(place)
    task._copy(action, observation())
    copy = place.notes[NAME].copy
    removal: Action[OffsiteWork] = Action("remove_copy", NAME, "", RemoveCopy(copy, copy, ("20261125_020000.tar.gz",)))
    with pytest.raises(SkipAction, match="20261125_020000"):
        task.act(removal, observation())
    assert os.path.exists(action.target) and NAME in place.files


def test_a_copy_that_another_host_of_this_name_has_put_there_since_planning_is_not_removed(
    tmp_path: Path, action: Action[CopyBackup]
) -> None:
    place = SharedPlace(tmp_path, False)
    task = sending(place)
    task._copy(action, observation())
    note = place.notes[NAME]
    removal: Action[OffsiteWork] = Action("remove_copy", NAME, "", RemoveCopy(note.copy, note.copy))
    place.notes[NAME] = replace(note, copy=replace(note.copy, host="namesake"))
    with pytest.raises(AbortPlan):
        task.act(removal, observation())
    assert NAME in place.files
