# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A log that is held otherwise than when it was looked at is not rotated as was planned then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.leftovers import ProcessId
from ansible_collections.miniecom.maintenance.plugins.module_utils._logs import rotating
from ansible_collections.miniecom.maintenance.plugins.module_utils._logs.holders import Holder, Holders
from ansible_collections.miniecom.maintenance.plugins.module_utils._logs.logrotate import (
    COPY,
    RENAME,
    REOPEN,
    Rules,
    Section,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._logs.rotation import Log, LogRotationPolicy, Logs

POLICY = LogRotationPolicy(Rules("weekly", 1000, 30))
APPENDER = Holder(ProcessId(7, 100), "node", writes=True, appends=True)


def right(
    monkeypatch: pytest.MonkeyPatch, path: Path, method: str, *now: Holder, due: bool = True, **facts: Any
) -> bool:
    status = path.stat()
    log = replace(Log(str(path), 5, device=status.st_dev, inode=status.st_ino, due=due), **facts)
    monkeypatch.setattr(rotating, "find_holders", lambda wanted: Holders({one: list(now) for one in wanted}, False))
    section = Section((str(path),), method, None, True, due)
    return rotating.still_right([section], Logs({}, (log,)), POLICY) == (section,)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "api.log"
    path.write_text("x")
    return path


def test_who_holds_it_now_decides(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert right(monkeypatch, log, RENAME)
    assert not right(monkeypatch, log, RENAME, APPENDER), "its lines would go into the renamed file"
    assert right(monkeypatch, log, COPY, APPENDER)
    assert not right(monkeypatch, log, COPY), "renaming loses nothing"
    assert not right(monkeypatch, log, COPY, replace(APPENDER, appends=False))
    assert not right(monkeypatch, log, REOPEN, APPENDER)
    assert right(monkeypatch, log, RENAME, APPENDER, due=False), "it is only named"


def test_another_file_in_its_place_is_left_alone(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not right(monkeypatch, log, RENAME, inode=log.stat().st_ino + 1)
    assert not right(monkeypatch, log, RENAME, device=log.stat().st_dev + 1)
