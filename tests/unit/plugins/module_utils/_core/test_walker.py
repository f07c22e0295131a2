# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The walk over real trees: complete, never through a link, never out of the tree, bounded."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core import walker
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.walker import Walk, open_below, outermost


def names(root: Path, *exclude: str) -> set[str]:
    return {os.path.relpath(os.path.join(path, name), root) for path, _fd, name, _status in Walk(str(root), exclude)}


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    for path in ("a/b/c", "node_modules/x", "storage/cache/deep", "empty"):
        (root / path).mkdir(parents=True)
    for path in ("top", "a/b/c/leaf", "node_modules/x/pkg", "storage/cache/deep/f", "storage/keep"):
        (root / path).write_text("x")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("x")
    (root / "a" / "out").symlink_to(tmp_path / "outside")
    (root / "a" / "loop").symlink_to(root)
    return root


def test_everything_but_links_is_given_once(tree: Path) -> None:
    expected = {"."} | {
        os.path.relpath(os.path.join(path, name), tree)
        for path, directories, files in os.walk(tree)
        for name in directories + files
        if not os.path.islink(os.path.join(path, name))
    }
    walk = Walk(str(tree))
    seen = [os.path.relpath(os.path.join(path, name), tree) for path, _fd, name, _status in walk]
    assert sorted(seen) == sorted(expected)
    assert walk.entries == len(expected) and walk.troubles == []


def test_excluded_directories_are_given_but_not_entered(tree: Path) -> None:
    seen = names(tree, "node_modules", "storage/c*")
    assert {"node_modules", "storage/cache", "storage/keep"} <= seen
    assert not {name for name in seen if name.startswith(("node_modules/", "storage/cache/"))}


def test_a_single_file_and_a_missing_root(tree: Path) -> None:
    assert names(tree / "top") == {"."}
    with pytest.raises(FileNotFoundError):
        names(tree / "missing")


def test_a_directory_swapped_for_a_link_is_not_followed(tree: Path, tmp_path: Path) -> None:
    seen = []
    for path, _fd, name, _status in Walk(str(tree)):
        seen.append(os.path.join(path, name))
        if name == "a":
            os.rename(tree / "a", tmp_path / "moved")
            (tree / "a").symlink_to(tmp_path / "outside")
    assert not [name for name in seen if name.endswith("secret")]


def test_what_vanishes_during_the_walk_is_passed_over(tree: Path) -> None:
    walk = Walk(str(tree))
    for path, _fd, name, _status in walk:
        if name in ("b", "deep"):
            os.rename(os.path.join(path, name), tree.parent / f"gone-{name}")
    assert walk.troubles == []


def test_a_tree_too_deep_is_told_and_no_descriptor_stays_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walker, "DEEPEST", 8)
    deep = tmp_path.joinpath(*["d"] * 12)
    deep.mkdir(parents=True)
    before = open_descriptors()
    walk = Walk(str(tmp_path))
    assert len(list(walk)) < 12
    assert [trouble.code for trouble in walk.troubles] == ["depth"]
    assert open_descriptors() == before


def chain(root: Path, levels: int, name: str = "d", lates: int = 1) -> None:
    """A chain of directories that may be deeper than any path the system takes."""
    descriptor = os.open(root, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=descriptor)
        below = os.open(name, os.O_RDONLY, dir_fd=descriptor)
        os.close(os.open("file", os.O_CREAT, dir_fd=below))
        for late in range(lates):
            os.mkdir(f"late{late}", dir_fd=below)
            os.mkdir(f"late{late}/inner", dir_fd=below)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)


@pytest.mark.parametrize("name", ["d", "n" * 200], ids=["short", "longer than a path may be"])
def test_a_thousand_levels_are_walked_with_few_descriptors(tmp_path: Path, name: str) -> None:
    root = tmp_path / "deep"
    root.mkdir()
    chain(root, 1000, name)
    before, most = open_descriptors(), 0
    walk = Walk(str(root))
    for count, _entry in enumerate(walk):
        if not count % 100:
            most = max(most, open_descriptors())
    assert walk.entries == 1 + 4 * 1000 and walk.troubles == []
    assert most < before + walker.KEPT_OPEN + 10 and open_descriptors() == before
    subprocess.run(["rm", "-rf", str(root)], check=True)


def test_a_deep_directory_that_is_moved_meanwhile_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walker, "KEPT_OPEN", 2)
    root = tmp_path / "deep"
    root.mkdir()
    chain(root, 8, lates=6)
    (tmp_path / "away").mkdir()
    before = open_descriptors()
    walk = Walk(str(root))
    inner = 0
    for path, _fd, name, _status in walk:
        inner += name == "inner"
        if name == "d" and path.count("/d") == 8:
            os.rename(root / "d/d/d", tmp_path / "away" / "d")
            os.rename(root / "d", tmp_path / "away" / "upper")
    assert inner < 8 * 6 and "moved" in {trouble.code for trouble in walk.troubles}
    assert open_descriptors() == before


def test_links_are_given_where_they_are_wanted(tree: Path) -> None:
    walk = Walk(str(tree), links=True)
    links = {name for _path, _fd, name, status in walk if stat.S_ISLNK(status.st_mode)}
    assert links == {"out", "loop"}
    plain = Walk(str(tree))
    assert len(list(plain)) == plain.entries == walk.entries


def test_an_abandoned_walk_closes_what_it_opened(tree: Path) -> None:
    before = open_descriptors()
    iterator = iter(Walk(str(tree)))
    next(iterator), next(iterator), next(iterator)
    assert open_descriptors() > before
    iterator.close()  # type: ignore[attr-defined]
    assert open_descriptors() == before


def test_outermost_paths(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tree)
    assert outermost([str(tree / "a"), str(tree), str(tree) + "/", str(tmp_path / "link" / "storage")]) == [str(tree)]
    assert outermost([str(tree / "a"), str(tree / "storage")]) == [str(tree / "a"), str(tree / "storage")]


def test_opening_below_a_root_refuses_links_and_ways_out(tree: Path) -> None:
    descriptor = open_below(str(tree), str(tree / "a/b/c/leaf"))
    assert stat.S_ISREG(os.fstat(descriptor).st_mode)
    os.close(descriptor)
    before = open_descriptors()
    for path in ("a/out/secret", "missing/x", "../outside/secret"):
        with pytest.raises(OSError):
            open_below(str(tree), os.path.join(tree, path))
    assert open_descriptors() == before


@given(
    st.sets(
        st.binary(min_size=1, max_size=6).filter(lambda n: b"/" not in n and b"\0" not in n and n not in (b".", b".."))
    )
)
def test_any_name_is_walked(tmp_path_factory: pytest.TempPathFactory, found: set[bytes]) -> None:
    root = tmp_path_factory.mktemp("names")
    for name in found:
        with open(os.path.join(os.fsencode(root), name), "w"):
            pass
    assert {os.fsencode(name) for name in names(root)} - {b"."} == found
