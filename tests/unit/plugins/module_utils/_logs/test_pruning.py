# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Between planning and acting a log may be written to, replaced or opened: no line of it is lost."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.clock import parse_utc
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError, SkipAction
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Action
from ansible_collections.miniecom.maintenance.plugins.module_utils._logs import pruning, retention
from ansible_collections.miniecom.maintenance.plugins.module_utils._logs.retention import (
    CompressLog,
    LogFile,
    LogWork,
    RemoveLog,
)

TEXT = b"a line\n" * 100


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An old log that nobody has open, whatever else runs on this machine."""
    monkeypatch.setattr(pruning, "in_use", lambda _path, _status: "")
    path = tmp_path / "app.log"
    path.write_bytes(TEXT)
    os.utime(path, (1e9, 1e9))
    return path


def task(**options: Any) -> pruning.LogPrune:
    call: Any = SimpleNamespace(params={"compress_after": None, "remove_after": None, **options}, run=None, check=False)
    return pruning.LogPrune(call)


def looked_at(path: Path) -> LogFile:
    status = path.stat()
    return LogFile(str(path), status.st_size, status.st_mtime, status.st_dev, status.st_ino)


def acted(work: LogWork) -> int:
    return task().act(Action("x", work.log.path, "", work), []).bytes


def longer(path: Path) -> None:
    with path.open("ab") as handle:
        handle.write(b"the last line\n")
    os.utime(path, (1e9, 1e9))


def touched(path: Path) -> None:
    os.utime(path, (2e9, 2e9))


def replaced(path: Path) -> None:
    """By another log of the same size and time."""
    other = path.with_name("other")
    other.write_bytes(TEXT)
    os.utime(other, (1e9, 1e9))
    other.replace(path)


@pytest.mark.parametrize("kind", [CompressLog, RemoveLog])
@pytest.mark.parametrize("change", [longer, touched, replaced])
def test_a_log_that_is_another_since_it_was_looked_at_stays(
    log: Path, change: Callable[[Path], None], kind: type[Any]
) -> None:
    work = kind(looked_at(log))
    change(log)
    with pytest.raises(SkipAction, match="written to or replaced"):
        acted(work)
    assert os.listdir(log.parent) == ["app.log"]


@pytest.mark.parametrize("kind", [CompressLog, RemoveLog])
def test_a_log_that_somebody_has_just_opened_stays(log: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Any]) -> None:
    monkeypatch.setattr(pruning, "in_use", lambda _path, _status: retention.OPENED)
    with pytest.raises(SkipAction, match="open since it was looked at"):
        acted(kind(looked_at(log)))
    assert os.listdir(log.parent) == ["app.log"]


@pytest.mark.parametrize("moment", [2, 3])
def test_a_log_that_is_written_to_while_it_is_copied_stays(
    log: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """Before the copy has its name, and after that."""
    looks = []
    real = pruning._recheck

    def recheck(item: LogFile) -> None:
        looks.append(item)
        if len(looks) == moment:
            longer(log)
        real(item)

    monkeypatch.setattr(pruning, "_recheck", recheck)
    with pytest.raises(SkipAction, match="written to or replaced"):
        acted(CompressLog(looked_at(log)))
    assert log.read_bytes() == TEXT + b"the last line\n"


def test_a_copy_that_reads_back_otherwise_costs_no_log(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = gzip.open

    def other(path: str, mode: str) -> Any:
        real(path, mode).close()
        return (log.parent / "other").open("rb")

    (log.parent / "other").write_bytes(TEXT[:-1])
    monkeypatch.setattr(gzip, "open", other)
    with pytest.raises(MaintenanceError, match="the compressed copy differs"):
        acted(CompressLog(looked_at(log)))
    assert sorted(os.listdir(log.parent)) == ["app.log", "other"] and log.read_bytes() == TEXT


def test_what_has_the_name_of_the_copy_by_now_is_not_written_over(log: Path) -> None:
    other = Path(f"{log}.gz")
    other.write_bytes(b"something else")
    with pytest.raises(SkipAction, match="exists"):
        acted(CompressLog(looked_at(log)))
    assert (other.read_bytes(), log.read_bytes()) == (b"something else", TEXT)


def test_a_link_in_the_place_of_the_log_is_not_opened(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it leads to the very file that was looked at: what lies behind a link is not ours to judge."""
    found = looked_at(log)
    monkeypatch.setattr(pruning, "_recheck", lambda _log: None)
    log.rename(log.with_name("elsewhere"))
    log.symlink_to("elsewhere")
    with pytest.raises(MaintenanceError, match="cannot compress the log"):
        acted(CompressLog(found))
    assert log.is_symlink() and sorted(os.listdir(log.parent)) == ["app.log", "elsewhere"]


def test_the_log_goes_when_its_copy_is_on_the_disk(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, rename, unlink = os.fsync, os.rename, os.unlink

    def note(what: str, real: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: Any, **more: Any) -> None:
            real(*arguments, **more)
            done.append(what)

        return call

    monkeypatch.setattr(os, "fsync", note("fsync", fsync))
    monkeypatch.setattr(os, "rename", note("rename", rename))
    monkeypatch.setattr(os, "unlink", note("unlink", unlink))
    assert acted(CompressLog(looked_at(log))) > 0
    assert done == ["fsync", "rename", "fsync", "unlink", "fsync"]
    assert gzip.decompress(Path(f"{log}.gz").read_bytes()) == TEXT and not log.exists()


@pytest.mark.parametrize("option", ["compress_after", "remove_after"])
def test_zero_days_are_no_limit(log: Path, option: str) -> None:
    now = parse_utc("2026-11-24T03:00:00Z")
    assert task(**{option: "1d"}).plan([looked_at(log)], now).actions
    assert not task(**{option: "0d"}).plan([looked_at(log)], now).actions
    assert not task(**{option: ""}).plan([replace(looked_at(log))], now).actions
