# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of a backup on their way to where this installation reads them, on the host and in a container's layer."""

from __future__ import annotations

import io
import os
import tarfile
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.tarball import read_backup
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.client import EngineError
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.swap import Journal
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations import live_files
from tests.unit.plugins.module_utils._backup.test_unpacking import UPLOADS, archive

PARTS = [
    UPLOADS,
    ("uploads/a.jpg", tarfile.REGTYPE, "a then"),
    ("uploads/deep", tarfile.DIRTYPE, ""),
    ("uploads/deep/b.jpg", tarfile.REGTYPE, "b then"),
    ("uploads/deep/same", tarfile.REGTYPE, "same"),
    ("uploads/second.jpg", tarfile.LNKTYPE, "20261124_020000/uploads/deep/same"),
    ("uploads/link", tarfile.SYMTYPE, "a.jpg"),
    (".env", tarfile.REGTYPE, "A=then"),
]


def contents(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): os.readlink(path) if path.is_symlink() else path.read_text()
        for path in root.rglob("*")
        if path.is_symlink() or path.is_file()
    }


@pytest.fixture
def live(tmp_path: Path) -> Path:
    root = tmp_path / "live"
    for name, text in {
        "uploads/a.jpg": "a now",
        "uploads/deep/same": "same",
        "uploads/later": "later",
        ".env": "A=now",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def params(**places: dict[str, str]) -> dict[str, Any]:
    return {
        "components": ["uploads", "config"],
        "places": [
            {"name": name.replace("env", ".env").replace("compose", "docker-compose.yml"), **place}
            for name, place in places.items()
        ],
        "docker_host": None,
        "docker_timeout": 1,
    }


class Restore:
    """All steps but those of the database."""

    def __init__(self, given: dict[str, Any], state: Path) -> None:
        state.mkdir(exist_ok=True)
        self.files = live_files.LiveFiles(given, str(state))
        listing = self.files.listing()
        read_backup(archive(*PARTS), "b", lambda _stream: None, listing)
        self.parts = listing.parts
        self.changes = self.files.compare(self.parts)
        self.journal = Journal("t", "shop", files=self.files.swap_places(self.changes, "t"))

    def stage(self) -> list[str]:
        sink = self.files.unpacker(self.journal, self.changes, self.parts)
        read_backup(archive(*PARTS), "b", lambda _stream: None, sink)
        return self.files.prove(self.journal, self.changes, self.parts)


def on_host(live: Path) -> dict[str, Any]:
    return params(
        uploads={"path": str(live / "uploads")}, env={"path": str(live / ".env")}, compose={"path": str(live / "c.yml")}
    )


NEW = {
    "uploads/a.jpg": "a then",
    "uploads/deep/b.jpg": "b then",
    "uploads/deep/same": "same",
    "uploads/second.jpg": "same",
}
NEW |= {"uploads/link": "a.jpg", "uploads/later": "later"}


def test_the_configuration_comes_last_and_the_rest_can_go_back(live: Path, tmp_path: Path) -> None:
    before = contents(live)
    restore = Restore(on_host(live), tmp_path / "state")
    assert [(change.name, change.files) for change in restore.changes] == [("uploads", 4), (".env", 1)]
    assert restore.stage() == []
    restore.files.put_in_place(restore.journal)
    assert restore.files.written_meanwhile(restore.journal) == []
    assert {name: text for name, text in contents(live).items() if ".miniecom" not in name} == {**NEW, ".env": "A=now"}
    assert live_files.files_back(restore.journal) == []
    live_files.files_tidy(restore.journal, False)
    assert contents(live) == before

    restore = Restore(on_host(live), tmp_path / "state")
    restore.stage()
    restore.files.put_in_place(restore.journal)
    for _again in range(2):
        live_files.files_late(restore.journal, "", 1)
    live_files.files_tidy(restore.journal, True)
    assert contents(live) == {**NEW, ".env": "A=then"}
    assert list((tmp_path / "state").iterdir()) == []
    assert not Restore(on_host(live), tmp_path / "state").journal.files, "all is as in the backup"


def test_a_directory_that_is_gone_is_made_as_it_was(live: Path, tmp_path: Path) -> None:
    given = on_host(live)
    given["places"][0]["path"] = str(live / "not/yet")
    restore = Restore(given, tmp_path / "state")
    restore.stage()
    restore.files.put_in_place(restore.journal)
    assert (live / "not/yet").stat().st_mode & 0o7777 == 0o2750
    live_files.files_back(restore.journal)
    live_files.files_tidy(restore.journal, False)
    assert not (live / "not/yet").exists()


class Container:
    """An engine with one container, whose files are a directory here."""

    def __init__(self, root: Path) -> None:
        self.root, self.fails = root, False
        self.api = self

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *_exc_info: Any) -> None:
        pass

    def errors(self, _what: str, _target: str) -> Any:
        return nullcontext()

    def get(self, _path: str, **_parameters: Any) -> dict[str, Any]:
        return {"State": {"Status": "exited"}}

    def get_archive(self, _container: str, path: str, chunk_size: int) -> tuple[Any, dict[str, Any]]:
        place = self.root / path.lstrip("/")
        if not place.exists():
            raise EngineError("no such path", path, 404, "not found")
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            tar.add(place, place.name)
        data = out.getvalue()
        chunks = (data[start : start + 1000] for start in range(0, len(data), 1000))
        return chunks, {}

    def put_archive(self, _container: str, path: str, handle: Any) -> None:
        if self.fails:
            raise EngineError("no space", path, 500, "no space")
        with tarfile.open(fileobj=handle) as tar:
            for member in tar.getmembers():
                tar.extract(member, self.root / path.lstrip("/"))


@pytest.mark.parametrize("missing", [False, True])
def test_what_goes_into_a_container_waits_until_the_new_set_counts(
    live: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: bool
) -> None:
    engine = Container(live)
    monkeypatch.setattr(live_files, "Docker", SimpleNamespace(connect=lambda _host, _timeout: engine))
    given = on_host(live)
    given["components"] = ["uploads"]
    given["places"][0] = {"name": "uploads", "path": "/other" if missing else "/uploads", "container": "api"}
    before = contents(live)
    restore = Restore(given, tmp_path / "state")
    assert restore.stage() == []
    restore.files.put_in_place(restore.journal)
    assert contents(live) == before
    engine.fails = True
    with pytest.raises(MaintenanceError, match="no space"):
        live_files.files_late(restore.journal, "", 1)
    engine.fails = False
    for _again in range(2):
        live_files.files_late(restore.journal, "", 1)
    live_files.files_tidy(restore.journal, True)
    if missing:
        there = {name.replace("uploads/", "other/"): text for name, text in NEW.items() if name != "uploads/later"}
        assert contents(live) == {**before, **there}
        assert (live / "other").stat().st_mode & 0o7777 == 0o2750
    else:
        assert contents(live) == {**before, **NEW}
    assert list((tmp_path / "state").iterdir()) == []
    assert not Restore(given, tmp_path / "state").journal.files


def test_what_nobody_can_do_is_refused(live: Path, tmp_path: Path) -> None:
    with pytest.raises(MaintenanceError, match="not absolute"):
        live_files.LiveFiles(params(uploads={"path": "uploads"}, env={"path": "/e"}, compose={"path": "/c"}), "/s")
    given = on_host(live)
    given["places"][1]["container"] = "api"
    with pytest.raises(MaintenanceError, match="on the host only"):
        Restore(given, tmp_path / "state")
