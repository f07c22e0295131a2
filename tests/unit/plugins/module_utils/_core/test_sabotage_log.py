# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The maintenance log in a directory that the shop's user may write to, written by root."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.record import write_log

NOW = datetime(2026, 11, 24, tzinfo=timezone.utc)


@pytest.mark.root
def test_a_link_planted_by_another_user_is_not_written_through(tmp_path: Path) -> None:
    victim, log = tmp_path / "sudoers", tmp_path / "log.md"
    victim.write_text("root ALL\n")
    log.symlink_to(victim)
    os.chown(log, 1234, 1234, follow_symlinks=False)
    with pytest.raises(PermissionError, match="another user"):
        write_log(str(log), NOW, ["- Weekly"], "run-1")
    assert victim.read_text() == "root ALL\n"


def test_a_link_of_ones_own_is_followed(tmp_path: Path) -> None:
    real, log = tmp_path / "real.md", tmp_path / "log.md"
    log.symlink_to(real)
    write_log(str(log), NOW, ["- Weekly"], "run-1")
    assert log.is_symlink() and "- Weekly" in real.read_text()


def test_a_pipe_does_not_keep_the_run_waiting(tmp_path: Path) -> None:
    log = tmp_path / "log.md"
    os.mkfifo(log)
    with pytest.raises(OSError, match="not a regular file"):
        write_log(str(log), NOW, ["- Weekly"], "run-1")
