# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that take their places: wherever it is cut off, going back gives the old ones and going on the new ones."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup import file_swap
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.file_comparison import (
    DIRECTORY,
    FILE,
    LINK,
    FileEntry,
    PartListing,
    chosen_of,
    compare_part,
    hash_file,
    list_tree,
    units_of,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.file_swap import (
    SwapPlace,
    back,
    forward,
    make_beside,
    misplaced,
    note_paths,
    place_text,
    read_place,
    tidy,
    written_aside,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError

Files = dict[str, str]
NAMES = st.sampled_from(["a", "b", "b-c", "d/a", "d/b", "d/e/a", "f/a", "f/g/a", "ä/ö"])
TREES = st.dictionaries(NAMES, st.sampled_from(["one", "two", "three"]), max_size=6)


def write(root: Path, files: Files) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def read(root: Path) -> Files:
    return {
        str(path.relative_to(root)): path.read_text()
        for path in root.rglob("*")
        if path.is_file() and file_swap.BESIDE not in str(path)
    }


def entries_of(root: Path) -> dict[str, FileEntry]:
    return {
        path: FileEntry(entry.kind, entry.size, hash_file(str(root), path)) if entry.kind == FILE else entry
        for path, entry in list_tree(str(root)).items()
    }


class Swapping:
    """Two trees, and one about to take the place of the other."""

    def __init__(self, directory: Path, old: Files, new: Files) -> None:
        self.root, source = directory / "root", directory / "source"
        self.root.mkdir()
        source.mkdir()
        write(self.root, old)
        write(source, new)
        wanted = entries_of(source)
        root = str(self.root)
        self.change = compare_part("uploads", root, "", wanted, list_tree(root), lambda path: hash_file(root, path))
        self.place = SwapPlace(
            "uploads", root, str(self.root / ".miniecom_restore.t.0"), str(directory / "listing.json")
        )
        make_beside(self.place, None, False)
        for path in sorted(chosen_of(self.change, wanted)):
            target = Path(self.place.new) / path
            if wanted[path].kind == DIRECTORY:
                target.mkdir(parents=True, exist_ok=True)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source / path, target)
        assert file_swap.compare_unpacked(self.change, self.place, wanted) == []
        note_paths(self.change, self.place)


def cut_after(monkeypatch: pytest.MonkeyPatch, renames: int) -> None:
    """Let the process seem killed when it has renamed so often."""
    original, done = os.rename, [0]

    def rename(*arguments: Any, **options: Any) -> None:
        if done[0] == renames:
            raise KeyboardInterrupt
        done[0] += 1
        original(*arguments, **options)

    monkeypatch.setattr(file_swap.os, "rename", rename)


def possible(old: Files, new: Files) -> bool:
    """Whether no file of one tree is a directory of the other."""
    names = {*old, *new}
    return not any(other.startswith(name + "/") for name in names for other in names)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.filter_too_much])
@given(TREES, TREES, st.integers(0, 12), st.integers(0, 12), st.booleans())
def test_wherever_it_is_cut_off_it_is_the_old_tree_or_the_new_one(
    old: Files, new: Files, cut: int, again: int, onward: bool
) -> None:
    assert possible(old, new)
    with tempfile.TemporaryDirectory() as directory:
        swapping = Swapping(Path(directory), old, new)
        place = read_place(place_text(swapping.place))
        for step, renames in ((forward, cut), (forward if onward else back, again)):
            with pytest.MonkeyPatch.context() as patch:
                cut_after(patch, renames)
                try:
                    step(place)
                except KeyboardInterrupt:
                    pass
        if onward:
            forward(place)
            assert written_aside(place) == misplaced(place) == []
        else:
            assert back(place) == []
        tidy(place, onward)
        assert read(swapping.root) == ({**old, **new} if onward else old)
        assert not os.path.lexists(place.beside) and not os.path.lexists(place.listing)


def test_a_new_directory_moves_as_one_and_others_keep_what_is_in_them(tmp_path: Path) -> None:
    swapping = Swapping(
        tmp_path, {"d/a": "one", "b": "one"}, {"d/a": "two", "d/b": "x", "f/a": "y", "f/g/a": "z", "b": "one"}
    )
    assert units_of(swapping.change) == [("d/a", True), ("d/b", False), ("f", False)]
    assert swapping.change.same == 1
    assert swapping.change.files == 4


def test_what_was_written_since_is_not_overwritten(tmp_path: Path) -> None:
    swapping = Swapping(tmp_path, {"a": "one", "b": "one"}, {"a": "two", "b": "two", "d/a": "new"})
    (swapping.root / "b").write_text("precious")
    with pytest.raises(MaintenanceError, match="changed while the backup was restored"):
        forward(swapping.place)
    assert back(swapping.place) == []
    assert read(swapping.root) == {"a": "one", "b": "precious"}


def test_what_was_written_half_way_is_kept(tmp_path: Path) -> None:
    swapping = Swapping(tmp_path, {"a": "one"}, {"a": "two", "d/a": "new"})
    forward(swapping.place)
    (swapping.root / "a").write_text("precious")
    (swapping.root / "d" / "more").write_text("precious, too")
    kept = back(swapping.place)
    tidy(swapping.place, False)
    assert read(swapping.root) == {"a": "one", "d/a": "new", "d/more": "precious, too"}
    assert sorted(kept) == sorted([swapping.place.kept + "/0", str(swapping.root / "d")])
    assert Path(kept[0] if kept[0].endswith("/0") else kept[1]).read_text() == "precious"


def test_what_somebody_writes_to_an_old_file_aside_is_noticed(tmp_path: Path) -> None:
    swapping = Swapping(tmp_path, {"a": "one"}, {"a": "two"})
    with (swapping.root / "a").open("a") as handle:
        forward(swapping.place)
        handle.write("more")
    assert written_aside(swapping.place) == [str(swapping.root / "a")]


def test_a_write_between_the_two_renames_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swapping = Swapping(tmp_path, {"a": "one"}, {"a": "two"})
    with pytest.MonkeyPatch.context() as patch:
        cut_after(patch, 1)
        with pytest.raises(KeyboardInterrupt):
            forward(swapping.place)
    (swapping.root / "a").write_text("precious")
    with pytest.raises(MaintenanceError, match="written while the backup took its place"):
        forward(swapping.place)
    assert (swapping.root / "a").read_text() == "precious"


def test_nothing_is_moved_through_a_directory_of_somebody_elses(tmp_path: Path) -> None:
    """The application may rename what is in its directory: then it could have root move files of the host."""
    swapping = Swapping(tmp_path, {"a": "one"}, {"a": "two"})
    beside, elsewhere = Path(swapping.place.beside), tmp_path / "elsewhere"
    beside.rename(elsewhere)
    beside.symlink_to(elsewhere)
    with pytest.raises(MaintenanceError, match="cannot be opened any more"):
        forward(swapping.place)
    beside.unlink()
    shutil.copytree(elsewhere, beside)
    with pytest.raises(MaintenanceError, match="not there any more as it was compared"):
        forward(swapping.place)
    beside.chmod(0o755)
    with pytest.raises(MaintenanceError, match="another directory stands"):
        back(swapping.place)
    assert read(swapping.root) == {"a": "one"}
    shutil.rmtree(beside)
    forward(swapping.place)
    assert misplaced(swapping.place) == [str(swapping.root / "a")], "it was not in the place, and that is noticed"


def test_what_is_on_the_disk_is_compared(tmp_path: Path) -> None:
    swapping = Swapping(tmp_path, {}, {"a": "one", "d/a": "two"})
    wanted = entries_of(tmp_path / "source")
    (Path(swapping.place.new) / "d/a").write_text("twX")
    assert file_swap.compare_unpacked(swapping.change, swapping.place, wanted) == [
        "uploads: d/a is not on the disk as in the backup"
    ]


@pytest.mark.parametrize(
    ("wanted", "there", "what"),
    [
        (FileEntry(FILE, 1, "x"), FileEntry(DIRECTORY), "conflicts"),
        (FileEntry(DIRECTORY), FileEntry(LINK, link="/etc"), "conflicts"),
        (FileEntry(DIRECTORY), FileEntry(FILE, 1), "conflicts"),
        (FileEntry(FILE, 1, "x"), FileEntry("other"), "conflicts"),
        (FileEntry(FILE, 1, "x"), FileEntry(LINK, link="/etc/passwd"), "replace"),
        (FileEntry(LINK, link="a"), FileEntry(LINK, link="b"), "replace"),
        (FileEntry(FILE, 1, "y"), FileEntry(FILE, 1), "replace"),
        (FileEntry(FILE, 2, "x"), FileEntry(FILE, 1), "replace"),
        (FileEntry(FILE, 1, "x"), None, "create"),
        (FileEntry(FILE, 1, "x"), FileEntry(FILE, 1), ""),
        (FileEntry(LINK, link="a"), FileEntry(LINK, link="a"), ""),
        (FileEntry(DIRECTORY), FileEntry(DIRECTORY), ""),
    ],
)
def test_what_becomes_of_a_path(wanted: FileEntry, there: FileEntry | None, what: str) -> None:
    change = compare_part("u", "/u", "", {"p": wanted}, {"p": there} if there else {}, lambda _path: "x")
    found = {name for name in ("create", "replace", "conflicts") if getattr(change, name)}
    assert found == ({what} if what else set())
    assert change.changes is (what in ("create", "replace"))


def test_the_restores_own_directory_is_none_of_the_shops(tmp_path: Path) -> None:
    write(tmp_path, {"a": "1", ".miniecom_restore.t.0/new/a": "2"})
    assert list(list_tree(str(tmp_path))) == ["a"]
    assert list_tree(str(tmp_path / "nowhere")) == {}


def test_a_path_that_an_archive_holds_twice_is_refused() -> None:
    import tarfile

    listing = PartListing({"uploads"})
    info = tarfile.TarInfo("x")
    listing.directory("uploads", "d", info)
    with pytest.raises(MaintenanceError, match="holds a path twice"):
        listing.link("uploads", "d", info)
    with pytest.raises(MaintenanceError, match="that is not in it"):
        listing.same("uploads", "e", "d")
