# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the programs say, read without them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.catalogue import VerificationRecord
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.offsite_copies import (
    OffsiteNote,
    copy_of,
    listing_of,
    note_name,
    noted_archive,
    parse_note,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.offsite_ledger import (
    LedgerEntry,
    newest_entry,
    read_ledger,
    write_entry,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.offsite_place import (
    PlaceOptions,
    SecondPlace,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.offsite_restic import (
    TAG,
    note_tags,
    parse_snapshots,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.offsite_rsync import (
    is_daemon,
    is_on_this_host,
    parse_files,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError

NAME = "20261124_020000.tar.gz.enc"
AT = "2026-11-24T02:00:00Z"
RECORD = VerificationRecord(100, 7, "abc", AT, AT, "miniecom", components=("uploads", "labels"), empty=("labels",))
NOTE = OffsiteNote(copy_of(NAME, RECORD, "shop-1", AT, "read back"), RECORD)


def test_rsync_lists() -> None:
    text = (
        "drwxr-xr-x          4,096 2026/11/29 14:02:56 .\n"
        "-rw-r--r--      3,000,000 2026/11/29 14:02:56 20261124_020000.tar.gz\n"
        "-rw-------            314 2026/11/29 14:02:56 a name with  spaces\n"
        "lrwxrwxrwx             11 2026/11/29 14:02:56 20260101_000000.tar.gz -> elsewhere\n"
        "-rw-r--r--              2 2026/11/29 14:02:56 .miniecom-partial-h/20261125_020000.tar.gz\n"
        "Welcome to the vault\n"
    )
    assert parse_files(text) == {
        "20261124_020000.tar.gz": 3000000,
        "a name with  spaces": 314,
        ".miniecom-partial-h/20261125_020000.tar.gz": 2,
    }


@pytest.mark.parametrize(
    ("target", "local"),
    [("/mnt/disk", True), ("host:/srv", False), ("me@host:dir", False), ("rsync://h/m", False), ("/mnt/a:b", True)],
)
def test_where_rsync_goes(target: str, local: bool) -> None:
    assert is_on_this_host(target) is local


@pytest.mark.parametrize(
    ("target", "daemon"),
    [
        ("rsync://h/m", True),
        ("h::m/dir", True),
        ("me@[fd00::1]:/srv", False),
        ("host:/srv/a::b", False),
        ("[::1]::m", True),
    ],
)
def test_where_a_daemon_answers_and_where_ssh_does(target: str, daemon: bool) -> None:
    assert is_daemon(target) is daemon


def test_a_note_comes_back_as_it_was_written_and_nothing_else_is_one() -> None:
    assert parse_note(NAME, NOTE.to_json()) == NOTE
    assert NOTE.copy.parts == ("uploads",)
    assert noted_archive(note_name(NAME)) == NAME
    assert not noted_archive(".20269999_020000.tar.gz.offsite.json")
    values = json.loads(NOTE.to_json())
    for broken in (
        b"",
        b"[]",
        b"{}",
        json.dumps({**values, "format": 2}).encode(),
        json.dumps({**values, "name": "20261125_020000.tar.gz"}).encode(),
        json.dumps({**values, "sha256": "other"}).encode(),
        NOTE.to_json()[:-20],
    ):
        assert parse_note(NAME, broken) is None


def test_a_copy_counts_while_its_archive_has_its_size() -> None:
    assert listing_of({NAME: 100}, {NAME: NOTE}).copies == [NOTE.copy]
    for files, words in (({}, "gone"), ({NAME: 99}, "99 bytes instead of 100")):
        found = listing_of(files, {NAME: NOTE})
        assert not found.copies and words in found.broken[0][1]
    assert listing_of({NAME: 100, "photos": 1}, {}).unnoted == {NAME: 100}


odd = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@given(database=odd, tags=st.lists(odd.filter(bool), max_size=3), lacking=st.booleans())
def test_restic_snapshots_tell_what_was_noted(database: str, tags: list[str], lacking: bool) -> None:
    copy = replace(NOTE.copy, database=database, tags=tuple(tags), lacking=lacking)
    tagged = note_tags(copy, "a1b2c3d4")
    assert not any("," in tag for tag in tagged), "restic takes a comma for the end of a tag"
    archive = {"id": "a1b2c3d4e5", "paths": ["/" + NAME], "tags": [TAG, "archive"], "hostname": "shop-1"}
    note = {"id": "n1", "paths": ["/" + note_name(NAME)], "tags": tagged, "hostname": "shop-1"}
    assert parse_snapshots([archive, note]).copies == [replace(copy, ids=("a1b2c3d4e5", "n1"))]
    assert parse_snapshots([note]).broken[0][0].name == NAME
    # Hosts of one name: a note of one is no note of the other's archive, and neither is left over from the other.
    twin = {**archive, "id": "b1b2c3d4e5", "tags": [TAG, "archive", "host=twin"]}
    tagged = note_tags(replace(copy, host="twin", adopted=("x", "y")), "b1b2c3d4")
    both = parse_snapshots([archive, note, twin, {**note, "id": "n2", "tags": tagged}])
    assert sorted(found.host for found in both.copies) == ["", "twin"] and not both.leftovers
    assert {found.adopted for found in both.copies} == {(), ("x", "y")}
    # Another host's archive of the same name is no archive of this note.
    strange = {**archive, "hostname": "shop-2"}
    found = parse_snapshots([strange, note])
    assert not found.copies and [leftover.id for leftover in found.leftovers] == ["a1b2c3d4e5"]


@pytest.mark.parametrize("unchecked", ["00000000", "ffffffff"])
def test_of_two_archives_in_the_repository_the_one_that_was_noted_is_the_copy(unchecked: str) -> None:
    """A call that was killed after its transfer leaves an archive that nobody has compared; the next call sends another one."""

    def archive(identity: str, **more: str) -> dict[str, object]:
        return {"id": identity, "paths": ["/" + NAME], "tags": [TAG, "archive"], "hostname": "shop-1", **more}

    def note(identity: str, about: str) -> dict[str, object]:
        tags = note_tags(NOTE.copy, about)
        return {"id": identity, "paths": ["/" + note_name(NAME)], "tags": tags, "hostname": "shop-1"}

    found = parse_snapshots([archive(unchecked), archive("88888888"), note("n1", "88888888")])
    assert [copy.ids for copy in found.copies] == [("88888888", "n1")]
    assert [leftover.id for leftover in found.leftovers] == [unchecked]
    # A note whose archive is gone is no copy, whatever else has its name, and goes once there is a better one.
    found = parse_snapshots([archive(unchecked), note("n1", "88888888")])
    assert not found.copies and [copy.ids for copy, _why in found.broken] == [("n1",)]
    found = parse_snapshots([note("n0", "77777777"), archive("88888888"), note("n1", "88888888")])
    assert [copy.ids for copy in found.copies] == [("88888888", "n1")] and not found.broken
    assert [leftover.id for leftover in found.leftovers] == ["n0"]
    # restic gives a snapshot that it copies into another repository another id.
    found = parse_snapshots([archive("99999999", original="88888888"), note("n1", "88888888")])
    assert [copy.ids for copy in found.copies] == [("99999999", "n1")]


def test_snapshots_of_others_are_passed_over() -> None:
    others = [
        {"id": "1", "paths": ["/etc"], "tags": None, "hostname": "x"},
        {"id": "2", "paths": ["/" + NAME], "tags": ["archive"], "hostname": "x"},
        {"id": "3", "paths": ["/etc", "/home"], "tags": [TAG, "archive"], "hostname": "x"},
        {"id": "4", "paths": ["/" + note_name(NAME)], "tags": [TAG, "note", "size=x"], "hostname": "x"},
    ]
    found = parse_snapshots(others)
    assert not (found.copies or found.broken or found.leftovers)


def test_the_ledger_tells_the_newest_copy_of_a_directory(tmp_path: Path) -> None:
    state, path = str(tmp_path / "state"), str(tmp_path)
    assert newest_entry(state, path) is None
    old = LedgerEntry(path, "miniecom", "rsync", "vault:/a", NAME, AT, AT, "read back", AT, 3)
    write_entry(state, old)
    write_entry(state, replace(old, target="vault:/b", started="2026-11-25T02:00:00Z"))
    write_entry(state, replace(old, copies=4))
    assert len(read_ledger(state)) == 2
    newest = newest_entry(state, path, "miniecom")
    assert newest is not None and newest.target == "vault:/b"
    assert newest_entry(state, path, "another") is None
    assert newest_entry(state, str(tmp_path / "elsewhere")) is None
    assert (tmp_path / "state" / "offsite.json").stat().st_mode & 0o777 == 0o600
    (tmp_path / "state" / "offsite.json").write_text("{")
    assert newest_entry(state, path) is None


class Writing(SecondPlace):
    """A place whose program is a shell."""

    method = package = "sh"


def test_a_program_that_writes_for_ever_or_never_ends_is_ended_at_its_time_limit(tmp_path: Path) -> None:
    place = Writing(PlaceOptions("vault", "me", lambda: str(tmp_path), time_limit=0.3))
    for script in ("sleep 600", "while :; do echo x; sleep 0.05; done", "exec yes"):
        with pytest.raises(MaintenanceError, match="longer than time_limit"):
            place.piped_sha256(
                ["sh", "-c", "exec " + script if script == "sleep 600" else script], "cannot read it back"
            )
    assert place.piped_sha256(["printf", "abc"], "cannot read it back") == hashlib.sha256(b"abc").hexdigest()
    with pytest.raises(MaintenanceError, match="cannot read it back"):
        place.piped_sha256(["false"], "cannot read it back")
