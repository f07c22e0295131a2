# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The oldest ansible-core that is promised, and the newest there was; ``make test-compat`` runs whole weeks with all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import lacking
from tests.support.pythons import PythonUnavailable
from tests.support.sandboxes import Sandbox
from tests.tools import compatibility

ROWS = {row.name: row for row in compatibility.read()[1]}
OLDEST, NEWEST = f"core-{next(iter(compatibility.CONTROLLERS))}", "core-next"
# What a controller does in every run: the frame around the work, the record and the report; and a module of each kind.
RUN = "weekly --tags health_check,disk_check,mongo_maintenance_orphans"


@pytest.mark.parametrize("name", [OLDEST, NEWEST])
def test_a_run_by_the_oldest_and_the_newest(native_sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    row = ROWS[name]
    try:
        programs = compatibility.core_environment(row.core, row.python)
    except PythonUnavailable as error:
        lacking(f"ansible-core {row.core}: {error}")
    run, output = compatibility.play(programs, native_sandbox, ["inventories/sandbox"], RUN, tmp_path / "log")
    assert run.rc == 0, output[-8000:]
    assert "steps ended well" in output and compatibility.complaints_in(output) == []
