# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.plugin_utils.packed_modules import STATES, keep, lay_out, state_of

NAME = "ansible_collections.miniecom.maintenance.plugins.modules.mongo_info-ZIP_DEFLATED-none"


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    directory = tmp_path / "plugins"
    (directory / "modules").mkdir(parents=True)
    (directory / "module_utils").mkdir()
    (directory / "modules/mongo_info.py").write_text("one")
    (directory / "module_utils/dump.py").write_text("two")
    return directory


class Run:
    """One run's temporary directory."""

    def __init__(self, directory: Path, kept: Path, sources: Path, core: str = "2.19.1 /here") -> None:
        self.temporary = directory
        directory.mkdir()
        lay_out(str(directory), str(kept), str(sources), core)

    def found(self) -> dict[str, bytes]:
        cache = self.temporary / "ansiballz_cache"
        return {path.name: path.read_bytes() for path in cache.glob("ansible*")} if cache.exists() else {}

    def pack(self, **content: bytes) -> None:
        for name, data in (content or {NAME: b"packed"}).items():
            (self.temporary / "ansiballz_cache" / name).write_bytes(data)
        keep(str(self.temporary))


def test_what_one_run_packed_the_next_one_finds(tmp_path: Path, sources: Path) -> None:
    kept = tmp_path / "home" / "kept"
    first = Run(tmp_path / "first", kept, sources)
    assert first.found() == {}
    first.pack()
    second = Run(tmp_path / "second", kept, sources)
    assert second.found() == {NAME: b"packed"}
    lay_out(str(second.temporary), str(kept), str(sources), "2.19.1 /here")
    second.pack()
    assert Run(tmp_path / "third", kept, sources).found() == {NAME: b"packed"}
    assert not [path for path in kept.rglob("*") if path.name.endswith("-part")]
    assert kept.stat().st_mode & 0o777 == 0o700


def test_another_source_another_ansible_and_another_place_have_packages_of_their_own(
    tmp_path: Path, sources: Path
) -> None:
    kept = tmp_path / "kept"
    Run(tmp_path / "first", kept, sources).pack()
    assert Run(tmp_path / "core", kept, sources, "2.20.0 /here").found() == {}
    (sources / "module_utils/dump.py").write_text("2wo")
    assert Run(tmp_path / "changed", kept, sources).found() == {}
    (sources / "module_utils/dump.py").write_text("two")
    assert Run(tmp_path / "back", kept, sources).found() == {NAME: b"packed"}
    before = state_of(str(sources), "core")
    (sources / "module_utils/dump.py").rename(sources / "module_utils/pump.py")
    assert state_of(str(sources), "core") != before
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    sources.rename(elsewhere / "plugins")
    (elsewhere / "plugins/module_utils/pump.py").rename(elsewhere / "plugins/module_utils/dump.py")
    assert Run(tmp_path / "moved", kept, elsewhere / "plugins").found() == {}


def test_only_plain_packages_of_ours_are_kept(tmp_path: Path, sources: Path) -> None:
    kept = tmp_path / "kept"
    others = {
        "ansible.modules.stat-ZIP_DEFLATED-none": b"not ours",
        NAME.replace("-none", "-debugger"): b"with settings of its own",
        f"{NAME}.lock": b"",
        f"{NAME}-part": b"half",
    }
    Run(tmp_path / "first", kept, sources).pack(**others, **{NAME: b"packed"})
    assert Run(tmp_path / "second", kept, sources).found() == {NAME: b"packed"}


def test_a_package_of_this_run_is_not_written_over(tmp_path: Path, sources: Path) -> None:
    kept = tmp_path / "kept"
    Run(tmp_path / "first", kept, sources).pack()
    cache = tmp_path / "second" / "ansiballz_cache"
    cache.mkdir(parents=True)
    (cache / NAME).write_bytes(b"made by a worker meanwhile")
    lay_out(str(tmp_path / "second"), str(kept), str(sources), "2.19.1 /here")
    assert (cache / NAME).read_bytes() == b"made by a worker meanwhile"
    assert sorted(path.name for path in cache.iterdir()) == [".miniecom_kept_in", NAME]


@pytest.mark.parametrize("mode", [0o720, 0o702])
def test_where_others_may_write_nothing_is_taken_from(mode: int, tmp_path: Path, sources: Path) -> None:
    kept = tmp_path / "kept"
    Run(tmp_path / "first", kept, sources).pack()
    kept.chmod(mode)
    assert Run(tmp_path / "second", kept, sources).found() == {}


def test_what_cannot_be_kept_is_no_failure(tmp_path: Path, sources: Path) -> None:
    (tmp_path / "file").write_text("")
    run = Run(tmp_path / "first", tmp_path / "file" / "kept", sources)
    keep(str(run.temporary))
    (tmp_path / "kept").symlink_to(tmp_path / "first")
    assert Run(tmp_path / "second", tmp_path / "kept", sources).found() == {}
    keep(str(tmp_path / "nothing"))


def test_states_that_nobody_used_lately_go(tmp_path: Path, sources: Path) -> None:
    kept = tmp_path / "kept"
    for number in range(STATES + 2):
        Run(tmp_path / f"run{number}", kept, sources, f"core {number}").pack()
        for state in kept.iterdir():
            status = state.stat()
            os.utime(state, (status.st_atime, status.st_mtime - 10))
    assert len(list(kept.iterdir())) == STATES
    assert Run(tmp_path / "again", kept, sources, f"core {STATES + 1}").found() == {NAME: b"packed"}
    assert Run(tmp_path / "gone", kept, sources, "core 0").found() == {}


@pytest.mark.parametrize("content", [b"", b"packeT"])
def test_what_is_not_what_was_kept_is_packed_anew(content: bytes, tmp_path: Path, sources: Path) -> None:
    kept = tmp_path / "kept"
    Run(tmp_path / "first", kept, sources).pack()
    (stored,) = kept.glob("*/ansible*")
    stored.write_bytes(content)
    second = Run(tmp_path / "second", kept, sources)
    assert second.found() == {}
    second.pack()
    assert Run(tmp_path / "third", kept, sources).found() == {NAME: b"packed"}
