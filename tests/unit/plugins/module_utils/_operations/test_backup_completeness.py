# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a directory lacks of that which documents name, and how little is read to know it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations import backup_completeness
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.backup_completeness import (
    compare_with_database,
    lacking_of_archive,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.backup_sources import (
    Sources,
    read_entries,
)

CONNECTION: Any = None


class Names:
    """What the database names, and how far it was read."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.read = 0

    def __call__(self, *_arguments: Any) -> Iterator[str]:
        for name in self.names:
            self.read += 1
            yield name


def lacking(monkeypatch: pytest.MonkeyPatch, path: Path, names: Any, **entry: Any) -> tuple[str, str]:
    monkeypatch.setattr(backup_completeness, "named_files", names)
    include = {"name": "uploads", "path": str(path), "optional": True, **entry}
    sources = Sources(read_entries([include]), None, 1)
    seen = sources.look_at(sources.entries[0], False)
    found, unknown = compare_with_database(sources, CONNECTION, "shop", sources.entries[0], seen)
    return found.lacking, unknown


@pytest.mark.parametrize(
    ("make", "names", "said", "read"),
    [
        ([], [], "", 0),
        ([], ["a.jpg", "b.jpg"], "empty, though the database names files in it (products.images, such as a.jpg)", 1),
        (["sub/"], ["a.jpg"], "empty, though", 1),
        (["other"], [], "", 0),
        (["other"], ["a.jpg", "b.jpg"], "holds none of the 2 files that the database names (", 2),
        (["b.jpg"], ["a.jpg", "b.jpg", "c.jpg"], "", 2),
        (["sub/b.jpg"], ["sub/b.jpg"], "", 1),
        (["a.jpg/"], ["a.jpg"], "empty, though", 1),
        (None, [], "", 0),
        (None, ["a.jpg"], "not found, though the database names files in it", 1),
    ],
)
def test_what_is_lacking(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make: list[str] | None, names: list[str], said: str, read: int
) -> None:
    path = tmp_path / "uploads"
    if make is not None:
        path.mkdir()
    for name in make or []:
        place = path / name
        (place if name.endswith("/") else place.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            place.write_text("content")
    named = Names(names)
    found, unknown = lacking(monkeypatch, path, named)
    assert found.startswith(said) and bool(found) == bool(said) and not unknown
    assert named.read == read


def test_what_is_configured_and_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nothing, path = Names([]), tmp_path / "none"
    said, _unknown = lacking(monkeypatch, path, nothing, configured_by="UPLOAD_DIR")
    assert said == "not found, though UPLOAD_DIR says that it is there"
    assert lacking(monkeypatch, path, nothing, name="pictures", configured_by="X")[0].startswith("not found")
    assert lacking(monkeypatch, path, Names(["a"]), name="pictures") == ("", "")
    # Refused anyway, and not asked for.
    assert lacking(monkeypatch, path, Names(["a"]), optional=False) == ("", "")


def test_what_is_not_known_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_arguments: Any) -> Iterator[str]:
        raise MaintenanceError("cannot read which files the database names")

    said, unknown = lacking(monkeypatch, tmp_path, refuse)
    assert not said and unknown.startswith("whether uploads holds what the database names is not known: cannot read")


def test_what_a_whole_archive_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_completeness, "named_files", Names(["a"]))
    found = lacking_of_archive(CONNECTION, "shop", {"uploads": 3, "invoices": 0, ".env": 1})
    assert set(found) == {"invoices", "labels"}
    assert found["invoices"].startswith("empty") and found["labels"].startswith("not in the backup")
    assert lacking_of_archive(CONNECTION, "", {}) == {}, "nobody knows which database is the shop's"
    monkeypatch.setattr(backup_completeness, "named_files", Names([]))
    assert lacking_of_archive(CONNECTION, "shop", {}) == {}

    def refuse(*_arguments: Any) -> Iterator[str]:
        raise MaintenanceError("cannot read which files the database names")

    monkeypatch.setattr(backup_completeness, "named_files", refuse)
    assert lacking_of_archive(CONNECTION, "shop", {}) == {}
