# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a lock, by the last words of the process that kept it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import fsync_lock
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.address import resolve


def kept_by(words: str) -> fsync_lock.WriteLock:
    """A lock whose keeper has said these words and ended."""
    lock = fsync_lock.WriteLock(resolve({"uri": "mongodb://127.0.0.1:1/shop"}), 60)
    command = [sys.executable, "-c", "import sys; sys.stdout.write(sys.argv[1])", words]
    keeper: Any = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    keeper.wait()
    lock._keeper = keeper
    return lock


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("expired\n", "the server was unlocked"),
        ("restarted\n", "was restarted while it was locked"),
        ("unreachable\nrestarted\n", "was restarted while it was locked"),
        ("taken\n", "somebody else has released the lock"),
        ("unreachable\n", "has ended without releasing it"),
        ("", "has ended without releasing it"),
    ],
)
def test_a_lock_that_did_not_stand_to_the_end(words: str, told: str) -> None:
    lock = kept_by(words)
    with pytest.raises(fsync_lock.LockEnded):
        lock.check()
    with pytest.raises(MaintenanceError, match=told) as caught:
        lock.release()
    assert isinstance(caught.value, fsync_lock.KeeperKilled) is ("ended" in told)
    assert "127.0.0.1:1" in str(caught.value)
    lock.check()
    lock.release()


def test_a_lock_that_stood_to_the_end() -> None:
    kept_by("unreachable\nreleased\n").release()
    kept_by("released\n").release()
