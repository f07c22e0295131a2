# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said of a server that answers and does not serve."""

from __future__ import annotations

import os

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.leftovers import (
    Leftover,
    LockLeft,
    PathLeft,
    ProcessId,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.processes import read_process
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.serving import (
    BY_BACKUP,
    BY_KILLED,
    BY_SOMEBODY,
    Serving,
    holder_of,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.topology import Member

PROCESS = read_process(os.getpid())
assert PROCESS is not None
ALIVE, DEAD = ProcessId(PROCESS.pid, PROCESS.start_time), ProcessId(1, 1)


def note(keeper: ProcessId = DEAD, process: ProcessId = DEAD, boot: str = "now") -> Leftover:
    return Leftover("x", LockLeft("127.0.0.1:27017", keeper=keeper), boot=boot, process=process)


@pytest.mark.parametrize(
    ("notes", "holder"),
    [
        ([], BY_SOMEBODY),
        ([Leftover("x", PathLeft("/srv"))], BY_SOMEBODY),
        ([note(boot="earlier")], BY_SOMEBODY),
        ([note()], BY_KILLED),
        ([note(keeper=ALIVE)], BY_BACKUP),
        ([note(process=ALIVE)], BY_BACKUP),
        ([note(), note(keeper=ALIVE)], BY_BACKUP),
    ],
)
def test_whose_lock_it_is(notes: list[Leftover], holder: str) -> None:
    assert holder_of(True, notes, "now") == holder
    assert holder_of(False, notes, "now") == ""


def member(state: str, healthy: bool = True, is_self: bool = False) -> Member:
    return Member("m:27017", state, healthy, is_self, None)


@pytest.mark.parametrize(
    ("serving", "problem", "noted"),
    [
        (Serving("m"), "", ""),
        (Serving("m", BY_BACKUP), "", "by a backup that runs"),
        (Serving("m", BY_KILLED), "The next run releases it", ""),
        (Serving("m", BY_SOMEBODY), "db.fsyncUnlock()", ""),
        (Serving("m", members=(member("RECOVERING"),)), "is RECOVERING", ""),
        (Serving("m", members=(member("ROLLBACK"),)), "is ROLLBACK", ""),
        (Serving("m", members=(member("(not reachable/healthy)", False),)), "does not answer", ""),
        (Serving("m", members=(member("STARTUP2"),)), "", "refuses every password, also the right one"),
        (Serving("m", state="other"), "neither primary nor secondary", ""),
        (Serving("m", state="other", members=(member("RECOVERING", is_self=True),)), "is RECOVERING", ""),
        (Serving("m", state="secondary"), "", ""),
    ],
)
def test_what_is_told(serving: Serving, problem: str, noted: str) -> None:
    told = serving.as_dict()
    assert len(told["problems"]) == bool(problem) and problem in "".join(told["problems"])
    assert len(told["notes"]) == bool(noted) and noted in "".join(told["notes"])
