# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Any change to what a scan reads is seen, and a state that may not be the one that was read is never taken for it."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit import scanned_tree
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.scanned_tree import (
    RACY_NS,
    ScannedTree,
    directory_digest,
)

# As after a scan that began an hour from now: everything here is long settled then.
LATER = time.time_ns() + 3600 * 10**9
FIELDS = ("st_mode", "st_uid", "st_gid", "st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
NUMBERS = st.integers(0, 2**31 - 1)
NAMES = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=6)
KINDS = st.sampled_from([stat.S_IFREG, stat.S_IFDIR, stat.S_IFIFO, stat.S_IFSOCK])


class Status:
    """What of os.stat_result is looked at."""

    st_mode: int

    def __init__(self, **fields: int) -> None:
        self.__dict__.update(fields)


@st.composite
def statuses(draw: st.DrawFn) -> Status:
    fields = {field: draw(NUMBERS) for field in FIELDS}
    return Status(**{**fields, "st_mode": draw(KINDS) | draw(st.integers(0, 0o7777))})


LISTS = st.dictionaries(NAMES, statuses(), max_size=4)


def digest(entries: dict[str, Status], path: str = "/srv") -> str:
    return directory_digest(path, list(entries.items()))  # type: ignore[arg-type]


@given(LISTS, st.data())
def test_any_single_change_of_an_entry_is_another_digest(entries: dict[str, Status], data: st.DataObject) -> None:
    before = digest(entries)
    assert before == digest(dict(reversed(list(entries.items()))))
    assert before != digest(entries, "/srv2")
    other = data.draw(NAMES.filter(lambda name: name.isascii() and name not in entries))
    assert before != digest({**entries, other: data.draw(statuses())})
    if not entries:
        return
    name = data.draw(st.sampled_from(sorted(entries)))
    without = {key: value for key, value in entries.items() if key != name}
    assert before != digest(without)
    assert before != digest({**without, other: entries[name]})
    regular = stat.S_ISREG(entries[name].st_mode)
    field = data.draw(st.sampled_from(FIELDS if regular else FIELDS[:5]))
    value = data.draw(NUMBERS.filter(lambda value: value != getattr(entries[name], field)))
    assert before != digest({**without, name: Status(**{**vars(entries[name]), field: value})})


@given(LISTS, LISTS)
def test_two_lists_never_come_to_the_same(one: dict[str, Status], other: dict[str, Status]) -> None:
    def told(entries: dict[str, Status]) -> object:
        return {
            name: [getattr(entry, field) for field in (FIELDS if stat.S_ISREG(entry.st_mode) else FIELDS[:5])]
            for name, entry in entries.items()
        }

    assert (digest(one) == digest(other)) == (told(one) == told(other))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    for name in (
        "app.js",
        "backend/src/db.js",
        "backend/mailer.js",
        "storage/uploads/a.txt",
        "web/node_modules/x.js",
        "web/b.js",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x" * 10)
    (root / "empty").mkdir()
    return root


def tree(root: Path, *exclude: str) -> ScannedTree:
    return ScannedTree([str(root)], [*exclude, "node_modules", "storage/uploads", "storage/.maintenance"], 100)


def seen(root: Path) -> frozenset[str]:
    found = tree(root)
    found.finish()
    assert found.settled(LATER) and found.timed()
    assert len(set(found.digests)) == len(found.digests)
    return frozenset(found.digests)


def rewritten(path: Path) -> None:
    """Another content of the same size, with the time of writing put back."""
    before = path.stat()
    path.write_text("y" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (before.st_size, before.st_mtime_ns, before.st_ino) == (after.st_size, after.st_mtime_ns, after.st_ino)


def replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_text(path.read_text())
    other.replace(path)


def emptied(path: Path) -> Path:
    path.rmdir()
    return path


CHANGES: dict[str, Callable[[Path], object]] = {
    "rewritten": lambda root: rewritten(root / "backend/src/db.js"),
    "appended": lambda root: (root / "backend/src/db.js").write_text("y" * 11),
    "replaced": lambda root: replaced(root / "app.js"),
    "new": lambda root: (root / "backend/new.js").write_text("x"),
    "new, in a directory that was empty": lambda root: (root / "empty/new.js").write_text("x"),
    "new directory": lambda root: (root / "more").mkdir(),
    "removed": lambda root: (root / "backend/mailer.js").unlink(),
    "removed directory": lambda root: (root / "empty").rmdir(),
    "renamed": lambda root: (root / "app.js").rename(root / "App.js"),
    "moved": lambda root: (root / "backend/src").rename(root / "src"),
    "mode": lambda root: (root / "app.js").chmod(0o600),
    "mode of a directory": lambda root: (root / "backend").chmod(0o700),
    "a file in place of a directory": lambda root: (root / "app.js").replace(emptied(root / "empty")),
    "another name of a file": lambda root: os.link(root / "app.js", root / "web/again.js"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen(root: Path, change: str) -> None:
    before = seen(root)
    assert not tree(root).differs_from(before)
    CHANGES[change](root)
    assert tree(root).differs_from(before)


def test_what_is_not_read_may_change(root: Path) -> None:
    before = seen(root)
    (root / "storage/uploads/b.txt").write_text("x")
    (root / "web/node_modules/x.js").unlink()
    (root / "storage/.maintenance").write_text("{}")
    (root / "backend/link.js").symlink_to("/etc/passwd")
    assert not tree(root).differs_from(before)


def test_what_is_no_longer_excluded_is_seen(root: Path) -> None:
    before = seen(root)
    assert ScannedTree([str(root)], ["storage/uploads"], 100).differs_from(before)
    assert tree(root, "backend").differs_from(before), "nor is less the same"


def test_after_a_difference_the_walk_goes_on(root: Path) -> None:
    whole = tree(root)
    whole.finish()
    stopped = tree(root)
    assert stopped.differs_from(frozenset()) and len(stopped.digests) == 1
    stopped.finish()
    assert stopped.digests == whole.digests and stopped.passed == whole.passed and stopped.settled(LATER)


def test_a_name_that_is_no_text_is_looked_at(root: Path) -> None:
    before = seen(root)
    Path(os.fsdecode(os.fsencode(root) + b"/\xff.js")).write_text("x")
    assert tree(root).differs_from(before) and seen(root)


def test_what_is_too_fresh_may_have_changed_while_it_was_read(root: Path) -> None:
    path, before = root / "app.js", seen(root)
    oldest = (root / "empty").stat().st_ctime_ns
    # Until the clock that file times are taken from has gone on: then only this file is so fresh.
    while path.stat().st_ctime_ns <= max(root.stat().st_ctime_ns, oldest):
        path.chmod(0o600)
    found = tree(root)
    assert found.differs_from(before)
    found.finish()
    assert found.newest == path.stat().st_ctime_ns
    assert not found.settled(found.newest) and not found.settled(found.newest + RACY_NS)
    assert found.settled(found.newest + RACY_NS + 1)


def test_a_time_that_is_still_to_come_is_never_settled(root: Path) -> None:
    os.utime(root / "app.js", ns=(LATER, LATER))
    found = tree(root)
    found.finish()
    assert not found.settled(LATER - 1)


@pytest.mark.parametrize("away", ["backend", "web"])
def test_a_directory_that_was_away_meanwhile_is_noticed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, away: str
) -> None:
    """What lies in it is as it was, and Kingfisher has not seen it."""
    monkeypatch.setattr(scanned_tree, "RACY_NS", 0)
    found = tree(root)
    found.finish()
    began = found.newest + 1
    probe = tmp_path / "probe"
    probe.touch()
    # Until the clock that file times are taken from has gone on.
    while probe.stat().st_ctime_ns < began:
        probe.touch()
    assert found.settled(began)
    (root / away).rename(root / "away")
    assert not found.settled(began)
    (root / "away").rename(root / away)
    assert not tree(root).differs_from(frozenset(found.digests)) and not found.settled(began)


def test_what_cannot_be_looked_into_is_never_the_same(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = seen(root)
    listed = os.scandir

    def scandir(descriptor: int) -> object:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith("/empty"):
            raise PermissionError(13, "forbidden")
        return listed(descriptor)

    monkeypatch.setattr(os, "scandir", scandir)
    found = tree(root)
    assert found.differs_from(before) and not found.settled(LATER)


@pytest.mark.parametrize(("kind", "trusted"), [("nfs4", False), ("fuse.sshfs", False), ("vfat", False), ("xfs", True)])
def test_times_of_other_machines_are_not_relied_on(
    root: Path, monkeypatch: pytest.MonkeyPatch, kind: str, trusted: bool
) -> None:
    found = tree(root)
    found.finish()
    mounts = [("/", "ext4"), (f"{root}/backend", kind), (f"{root}/storage/uploads", "nfs")]
    monkeypatch.setattr(scanned_tree, "parse_mount_types", lambda _text: mounts)
    assert found.timed() == trusted
