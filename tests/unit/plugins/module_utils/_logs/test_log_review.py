# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each line is looked at once, whatever a rotation does to the log in between."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core import state_note
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Report
from ansible_collections.miniecom.maintenance.plugins.module_utils._logs import log_review
from ansible_collections.miniecom.maintenance.plugins.module_utils._logs.log_positions import (
    HEAD,
    base_name,
    find_position,
    parse_position,
    position_of,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._logs.log_review import review_logs


class Shop:
    """A log directory, and how often each thing was written into it."""

    def __init__(self, directory: Path) -> None:
        self.logs, self.state = directory / "logs", directory / "state"
        self.logs.mkdir()
        self.log = self.logs / "api.log"
        self.written = self.rotations = 0

    def write(self, count: int) -> None:
        with self.log.open("a") as handle:
            for _ in range(count):
                self.written += 1
                handle.write(f"{self.written:06d} [ERROR] no stock\n{self.written:06d} [INFO] sold\n")

    def look(self, check: bool = False, **params: Any) -> Report:
        options = {
            "paths": [str(self.logs)],
            "optional_paths": [str(self.logs.parent / "more"), str(self.logs.parent / "none")],
            "patterns": ["*.log"],
            "first_bytes": "8MiB",
            "max_bytes": "256MiB",
            "limit": 20,
        }
        run = SimpleNamespace(state_dir=str(self.state))
        return review_logs(SimpleNamespace(params={**options, **params}, check=check, run=run))  # type: ignore[arg-type]

    def _target(self) -> Path:
        self.rotations += 1
        return self.logs / f"api.log-{1_790_000_000 + self.rotations}"

    def rename(self) -> None:
        if self.log.exists():
            self.log.rename(self._target())

    def copy_and_truncate(self) -> None:
        if self.log.exists():
            shutil.copyfile(self.log, self._target())
            os.truncate(self.log, 0)

    def copy(self) -> None:
        """As a rotation leaves it that has not truncated yet; one shorter than a log's beginning is no known case."""
        if self.log.exists() and self.log.stat().st_size >= HEAD:
            shutil.copyfile(self.log, self._target())

    def compress(self) -> None:
        for path in [path for path in self.logs.glob("api.log-*") if path.suffix != ".gz"]:
            status = path.stat()
            with gzip.open(f"{path}.gz", "wb") as packed:
                packed.write(path.read_bytes())
            os.utime(f"{path}.gz", ns=(status.st_atime_ns, status.st_mtime_ns))
            path.unlink()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_a_directory_that_may_be_there_is_looked_at_where_it_is(shop: Shop) -> None:
    shop.write(1)
    assert shop.look().summary["errors"] == 1
    more = shop.logs.parent / "more"
    more.mkdir()
    (more / "extra.log").write_text("000001 [ERROR] another\n")
    assert shop.look().summary["errors"] == 1


STEPS = ["write", "write", "look", "rename", "copy_and_truncate", "copy", "compress"]


@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(1, 40)), max_size=25))
def test_every_line_counts_once(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        shop = Shop(Path(directory))
        shop.write(1)
        counted = shop.look().summary["errors"]
        for step, count in steps:
            if step == "look":
                counted += shop.look().summary["errors"]
            else:
                getattr(shop, step)(*([count] if step == "write" else []))
        counted += shop.look().summary["errors"]
        event(f"rotations {min(shop.rotations, 3)}")
        assert counted == shop.written
        assert shop.look().summary["errors"] == 0


def test_check_mode_remembers_nothing(shop: Shop) -> None:
    shop.write(3)
    for _ in range(2):
        assert shop.look(check=True).summary["errors"] == 3
    assert not shop.state.exists()
    assert shop.look().summary["errors"] == 3
    assert os.stat(shop.state / "history" / "log-errors.json").st_mode & 0o777 == 0o600


def test_what_was_met_before_is_not_new(shop: Shop) -> None:
    shop.write(1)
    first = shop.look()
    assert first.summary["new_kinds"] == 0, "with nothing to compare with nothing is news"
    assert "the first look" in first.headline
    shop.write(2)
    again = shop.look()
    assert [(kind["count"], kind["new"]) for kind in again.values["errors"]] == [(2, False)]
    assert "none of them new" in again.headline
    with shop.log.open("a") as handle:
        handle.write("000099 [ERROR] till burns\n")
    third = shop.look()
    assert (third.summary["new_kinds"], third.values["errors"][0]["message"]) == (1, "# [ERROR] till burns")
    assert "1 of them new" in third.headline and "; api.log: # [ERROR] till burns (1)" in third.headline
    shop.write(2)
    with shop.log.open("a") as handle:
        handle.write("000099 [ERROR] till smokes\n")
    fourth = shop.look()
    assert [kind["new"] for kind in fourth.values["errors"]] == [True, False]
    assert "; api.log: # [ERROR] till smokes (1); api.log: " in fourth.headline and fourth.headline.endswith(" (2)")


def test_a_line_counts_when_it_is_whole(shop: Shop) -> None:
    shop.write(1)
    shop.look()
    with shop.log.open("a") as handle:
        handle.write("0002 [ERROR] half")
    assert shop.look().summary["errors"] == 0
    with shop.log.open("a") as handle:
        handle.write(" and whole\n")
    [kind] = shop.look().values["errors"]
    assert kind["message"] == "# [ERROR] half and whole"


def test_an_overlong_line_is_one_line(shop: Shop) -> None:
    shop.log.write_text("[ERROR] long " + "x" * (3 * log_review.LONGEST_LINE) + " [ERROR] again\n[ERROR] next\n")
    assert (shop.look().summary["lines"], shop.written) == (2, 0)


def test_the_first_look_reads_the_end_of_each_log_only(shop: Shop) -> None:
    shop.write(100)
    shop.copy()
    line = shop.log.stat().st_size // shop.written
    report = shop.look(first_bytes=str(10 * line))
    assert report.summary["errors"] == 10
    assert report.summary["bytes_read"] + report.summary["bytes_skipped"] == 100 * line
    assert report.warnings == [], "what was before the first look is nobody's loss"


def test_more_than_may_be_read_is_told(shop: Shop) -> None:
    shop.write(1)
    shop.look()
    shop.write(100)
    line = shop.log.stat().st_size // shop.written
    report = shop.look(max_bytes=str(30 * line))
    assert report.summary["errors"] == 30
    assert report.summary["bytes_skipped"] == 70 * line
    assert "max_bytes" in report.warnings[0]
    assert shop.look().summary["errors"] == 0


def test_damaged_files_and_memory_hold_nothing_up(shop: Shop) -> None:
    shop.write(2)
    shop.look()
    (shop.logs / "api.log-1.gz").write_bytes(b"\x1f\x8b\x08\x00 no gzip")
    (shop.logs / "odd.log").write_bytes(bytes(range(256)) + b"\n[ERROR] seen\n")
    report = shop.look()
    assert report.summary["errors"] == 1
    assert [Path(entry["path"]).name for entry in report.values["unreadable"]] == ["api.log-1.gz"]
    assert "api.log-1.gz was not read" in report.warnings[0]
    memory = shop.state / "history" / "log-errors.json"
    for text in ("", "[]", '{"at": "x", "positions": [], "known": []}', '{"at": 3, "positions": 4, "known": 5}'):
        memory.write_text(text)
        assert "the first look" in shop.look().headline


def test_what_is_no_log_is_not_opened(shop: Shop) -> None:
    shop.write(1)
    os.mkfifo(shop.logs / "pipe.log")
    (shop.logs / "link.log").symlink_to(shop.log)
    (shop.logs / "directory.log").mkdir()
    (shop.logs / "notes.txt").write_text("[ERROR] none of ours\n")
    assert shop.look().summary["errors"] == 1


def test_a_missing_directory_is_named(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(MaintenanceError, match=r"cannot read the log directory: .*/nothing \(code ENOENT\)"):
        shop.look(paths=[str(tmp_path / "nothing")])


def test_where_the_next_look_begins_cannot_be_noted(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.write(2)

    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state_note, "write_atomic", full)
    report = shop.look()
    assert report.summary["errors"] == 2
    assert "ENOSPC" in report.warnings[0] and "begins where this one did" in report.warnings[0]


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("api.log", "api.log"),
        ("api.log.1", "api.log"),
        ("api.log-17900000.gz", "api.log"),
        ("api-error.log-20261129", "api-error.log"),
        ("notes.txt", "notes.txt"),
        ("catalog", "catalog"),
    ],
)
def test_a_log_and_its_rotations_share_a_name(name: str, base: str) -> None:
    assert base_name(name) == base


@given(st.binary(min_size=1, max_size=800), st.binary(max_size=800), st.integers(0, 10**9))
def test_a_log_that_has_grown_is_the_same(head: bytes, more: bytes, offset: int) -> None:
    position = position_of("/a.log", head, offset)
    assert parse_position(position.as_dict()) == position
    assert find_position("/a.log", (head + more)[:512], [position]) == position
    assert find_position("/b.log", head[:512], [position]) is None
    other = bytes([head[0] ^ 1]) + head[1:512]
    assert find_position("/a.log", other, [position]) is None


@pytest.mark.parametrize("entry", [None, [], {}, {"base": "a", "head": "b", "length": 0, "offset": 0}, {"base": "a"}])
def test_what_is_no_position_is_none(entry: Any) -> None:
    assert parse_position(entry) is None
