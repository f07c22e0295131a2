# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller as the place, as the module on the host is told of it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.catalogue import (
    ArchiveId,
    VerificationRecord,
    backup_name,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.offsite_controller import (
    ControllerPlace,
    stored_listing,
    unkept_copies,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.offsite_copies import OffsiteNote, copy_of
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.offsite_place import PlaceOptions
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.offsite_planning import CopyBackup, FetchCopy
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.retention import Policy
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError, SkipAction
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Action

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)


def note(day: int = 0, owner: str = "shop") -> OffsiteNote:
    moment = NOW - timedelta(days=day)
    started = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    record = VerificationRecord(100, 1, f"sha-{day}", started, started, "miniecom")
    return OffsiteNote(copy_of(backup_name(moment.astimezone(), True), record, owner, started, "compared"), record)


def directory(*notes: OffsiteNote, **files: int) -> dict[str, Any]:
    held = {found.copy.name: found.copy.size for found in notes}
    texts = {found.copy.name: found.to_json().decode() for found in notes}
    return {"files": {**held, **files}, "notes": texts, "leftovers": {}}


def place(create: bool = False, **told: Any) -> ControllerPlace:
    given = {"exists": True, "directories": {"shop": directory(note(1))}, **told}
    return ControllerPlace(PlaceOptions("controller:/srv/shop", "shop", str, create, controller=given))


def test_only_what_has_a_note_that_fits_is_a_copy() -> None:
    stored = directory(note(0), note(1), note(2))
    stored["files"][note(1).copy.name] = 99
    stored["notes"][note(2).copy.name] = "{}"
    stored["leftovers"] = {note(3).copy.name: 7}
    found = stored_listing({"shop": stored})
    assert [copy.name for copy in found.copies] == [note(0).copy.name]
    assert [(copy.name, trouble) for copy, trouble in found.broken] == [
        (note(1).copy.name, "its archive has 99 bytes instead of 100")
    ]
    assert found.unnoted == {note(2).copy.name: 100}
    assert [(leftover.archive, leftover.size) for leftover in found.leftovers] == [(note(3).copy.name, 7)]


def test_a_name_in_two_directories_could_be_either() -> None:
    both = {"one": directory(note(0, "one"), note(1, "one")), "two": directory(note(0, "two"))}
    with pytest.raises(MaintenanceError, match="several hosts have one name"):
        stored_listing(both)
    both["two"] = directory(note(2, "two"))
    assert [copy.owner for copy in stored_listing(both).copies] == ["two", "one", "one"], "oldest first"


def test_a_place_that_told_nothing_or_is_not_there_is_no_empty_one() -> None:
    with pytest.raises(MaintenanceError, match="has not told"):
        ControllerPlace(PlaceOptions("controller:/srv/shop", "shop", str)).list()
    with pytest.raises(MaintenanceError, match="not there"):
        place(exists=False).list()
    assert not place(create=True, exists=False).list().exists


def test_what_has_come_is_compared_and_what_has_not_is_said() -> None:
    name = note(0).copy.name
    with pytest.raises(SkipAction):
        place().send("/backups/" + name, name)
    with pytest.raises(MaintenanceError, match="the disk is full"):
        place(errors={name: "the disk is full"}).send("/backups/" + name, name)
    there = place(received={name: {"bytes": 100, "sha256": "another"}})
    there.send("/backups/" + name, name)
    with pytest.raises(MaintenanceError, match="is not what was sent"):
        there.check("/backups/" + name, name, "sha-0")


def test_the_controller_is_told_what_to_fetch_to_note_and_to_remove() -> None:
    name, old = note(0).copy.name, note(1).copy
    there = place(received={name: {"bytes": 100, "sha256": "sha-0"}})
    there.send("/backups/" + name, name)
    assert name in there.list().unnoted, "no copy before it is noted"
    assert "compared" in there.check("/backups/" + name, name, "sha-0")
    there.write_note(note(0))
    there.remove(old)
    assert [copy.name for copy in there.list().copies] == [name]
    work = CopyBackup(ArchiveId("/backups/" + name, 1, 100, 3), "sha-0")
    orders = there.orders(
        [
            Action("copy_backup", "/backups/" + name, "", work, 100),
            Action("fetch_backup", "/x/" + old.name, "", FetchCopy(old, "/x/" + old.name), 100),
        ]
    )
    sent, brought = orders.pop("transfers")
    assert sent == {
        "name": name,
        "path": "/backups/" + name,
        "bytes": 100,
        "sha256": "sha-0",
        "unnoted": False,
    }
    assert brought == {"name": old.name, "owner": "shop", "sha256": "sha-1"}
    assert orders == {"notes": {name: note(0).to_json().decode()}, "remove": [old.name], "leftovers": []}


def test_what_the_rules_keep_by_themselves() -> None:
    listing = stored_listing({"shop": directory(*(note(day) for day in range(5)))})
    assert unkept_copies(listing, Policy(last=2), NOW) == {note(day).copy.name for day in (2, 3, 4)}
    assert unkept_copies(listing, Policy(), NOW) == set()
