# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whoever comes first makes the state directory, and closes it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.audit_state import AuditState, Writes
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.kingfisher import cache_for
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.undo_store import write_undo
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.clock import utc_now
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.judgement import Remembered
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.private_dir import private_directory
from ansible_collections.miniecom.maintenance.plugins.module_utils._host import disk


@pytest.mark.parametrize(
    "make",
    [
        lambda path: private_directory(path, "a", "b"),
        lambda path: write_undo(path, "x", []),
        lambda path: cache_for(path, path, False),
        lambda path: disk.History(path).add(disk.measure_file_systems(["/"]), utc_now()),
        lambda path: AuditState(path).write(Writes(AuditState(path).read("a"), Remembered())),
    ],
)
def test_everything_below_and_itself_is_closed_to_others(tmp_path: Path, make: object) -> None:
    state = tmp_path / "state"
    old = os.umask(0)
    try:
        make(str(state))  # type: ignore[operator]
    finally:
        os.umask(old)
    for path in [state, *state.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
